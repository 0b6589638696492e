// SPDX-License-Identifier: GPL-2.0-only
/* What the guest may do to the machine's keyboard controller; see i8042-gate.h. */
#include "i8042-gate.h"

#define PORT_DATA	0x60
#define PORT_COMMAND	0x64
#define STATUS_OUTPUT	0x01u	/* there is a byte to read */
#define NO_RESET	0x01u	/* of the output port, and of the commands that pulse it */
#define BUFFER_MAX	32	/* bytes that controller, keyboard and mouse may have ready, and more */

enum policy {
	DROP,			/* the machine does not see it */
	DROP_BYTE,		/* … nor the byte for 60h that follows */
	PASS,
	PULSE,			/* lines of the output port whose bits are 0 */
	OUTPUT,			/* the byte for 60h that follows is for the output port */
};

enum argument { OF_DEVICE, OF_NOBODY, OF_OUTPUT_PORT };

struct rule {
	u8 first, last;
	u8 policy;		/* enum policy; DROP where there is no row */
};

/*
 * Commands of the AT's and the PS/2's controllers that every system uses. The passwords (A4h–A6h) would lock the service
 * out, A20 (DDh, DFh) is the machine's, and vendors' own commands may be anything.
 */
static const struct rule rules[] = {
	{ 0x20, 0x3f, PASS },			/* reads the controller's memory, 20h: its command byte */
	{ 0x60, 0x60, PASS },			/* writes the command byte */
	{ 0x61, 0x7f, DROP_BYTE },		/* writes other memory */
	{ 0x90, 0x93, PASS },			/* the next byte is for one of four mice */
	{ 0xa1, 0xa1, PASS },			/* version */
	{ 0xa5, 0xa5, DROP_BYTE },
	{ 0xa7, 0xab, PASS },			/* mouse off, on; tests */
	{ 0xad, 0xae, PASS },			/* keyboard off, on */
	{ 0xc0, 0xc0, PASS },			/* reads the input port */
	{ 0xcb, 0xcb, DROP_BYTE },		/* writes the mode */
	{ 0xd0, 0xd0, PASS },			/* reads the output port: A20 is open there, and no reset */
	{ 0xd1, 0xd1, OUTPUT },
	{ 0xd2, 0xd4, PASS },			/* the next byte is as from the keyboard, from the mouse; is for the mouse */
	{ 0xf0, 0xff, PULSE },
};

static enum policy policy_of(u8 command)
{
	unsigned int i;

	for (i = 0; i < VDEV_ARRAY_SIZE(rules); i++)
		if (command >= rules[i].first && command <= rules[i].last)
			return (enum policy)rules[i].policy;
	return DROP;
}

static u8 in(struct i8042_gate *g, u16 port)
{
	g->counts->forwarded++;
	return g->ops.in(g->ops.ctx, port);
}

static void out(struct i8042_gate *g, u16 port, u8 value)
{
	g->counts->forwarded++;
	g->ops.out(g->ops.ctx, port, value);
}

static void set_line(struct i8042_gate *g, enum i8042_line line, bool up)
{
	if (g->up[line] == up)
		return;
	g->up[line] = up;
	vdev_set_irq(&g->irq, line == I8042_LINE_KEYBOARD ? 1 : 12, up);
}

/* One byte is there at most, so no line is up for another one. */
static u64 data_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct i8042_gate *g = ctx;
	u8 value = in(g, PORT_DATA);
	unsigned int line;

	(void)port, (void)size, (void)now;
	for (line = 0; line < I8042_LINES; line++) {
		g->counts->acked += g->up[line];
		set_line(g, (enum i8042_line)line, false);
	}
	return value;
}

static void data_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct i8042_gate *g = ctx;
	u8 argument = g->argument;

	(void)port, (void)size, (void)now;
	g->argument = OF_DEVICE;
	if (argument == OF_DEVICE)
		out(g, PORT_DATA, (u8)value);
	else if (argument == OF_OUTPUT_PORT && !(value & NO_RESET))
		g->ops.reset(g->ops.ctx);
}

static u64 status_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	(void)port, (void)size, (void)now;
	return in(ctx, PORT_COMMAND);
}

static void command_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct i8042_gate *g = ctx;
	enum policy policy = policy_of((u8)value);

	(void)port, (void)size, (void)now;
	g->argument = OF_DEVICE;
	if (policy == PASS) {
		out(g, PORT_COMMAND, (u8)value);
		return;
	}
	g->counts->refused++;
	if (policy == OUTPUT)
		g->argument = OF_OUTPUT_PORT;
	else if (policy == DROP_BYTE)
		g->argument = OF_NOBODY;
	else if (policy == PULSE && !(value & NO_RESET))
		g->ops.reset(g->ops.ctx);
}

const struct bus_row i8042_gate_rows[I8042_GATE_ROWS] = {
	{ PORT_DATA, 1, 1 | BUS_QUIET, data_read, data_write },
	{ PORT_COMMAND, 1, 1 | BUS_QUIET, status_read, command_write },
};

void i8042_gate_edge(struct i8042_gate *g, enum i8042_line line)
{
	g->counts->raised++;
	set_line(g, line, false);
	set_line(g, line, true);
}

void i8042_gate_init(struct i8042_gate *g, const struct vdev_irq *irq, const struct i8042_gate_ops *ops,
		     struct avmm_device_counts *counts)
{
	unsigned int i;

	vdev_clear(g, sizeof(*g));
	g->irq = *irq;
	g->ops = *ops;
	g->counts = counts;
	for (i = 0; i < BUFFER_MAX && ops->in(ops->ctx, PORT_COMMAND) & STATUS_OUTPUT; i++)
		ops->in(ops->ctx, PORT_DATA);
}
