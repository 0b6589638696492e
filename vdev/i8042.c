// SPDX-License-Identifier: GPL-2.0-only
/* The keyboard controller; see i8042.h. */
#include "i8042.h"

#define STATUS_OUTPUT	0x01u	/* there is a byte to read */
#define STATUS_SYSTEM	0x04u
#define STATUS_COMMAND	0x08u
#define STATUS_UNLOCKED	0x10u
#define STATUS_MOUSE	0x20u	/* it comes from the auxiliary port */
#define STATUS_TIMEOUT	0x40u
#define STATUS_PARITY	0x80u

#define COMMAND_IRQ1	0x01u
#define COMMAND_IRQ12	0x02u
#define COMMAND_SYSTEM	0x04u
#define COMMAND_NO_KEYBOARD 0x10u
#define COMMAND_NO_MOUSE 0x20u
#define COMMAND_BITS	0x7fu
#define COMMAND_RESET	(COMMAND_NO_KEYBOARD | COMMAND_NO_MOUSE)

#define OUTPUT_NO_RESET	0x01u
#define OUTPUT_A20	0x02u
#define OUTPUT_RESET	0xcfu	/* lines high, nothing in the buffers */

#define SELF_TEST_GOOD	0x55u
#define PORT_GOOD	0x00u
#define NO_ANSWER	0xfeu

/* Each line is up while its byte waits and may interrupt. */
static void update_irqs(struct i8042 *k)
{
	bool full = k->status & STATUS_OUTPUT, from_mouse = k->status & STATUS_MOUSE;
	bool keyboard = full && !from_mouse && (k->command & COMMAND_IRQ1);
	bool mouse = full && from_mouse && (k->command & COMMAND_IRQ12);

	if (keyboard != k->keyboard_irq)
		vdev_set_irq(&k->irq, I8042_IRQ_KEYBOARD, keyboard);
	if (mouse != k->mouse_irq)
		vdev_set_irq(&k->irq, I8042_IRQ_MOUSE, mouse);
	k->keyboard_irq = keyboard;
	k->mouse_irq = mouse;
}

static void answer(struct i8042 *k, u8 data, u8 status)
{
	k->data = data;
	k->status = STATUS_OUTPUT | status;
	update_irqs(k);
}

static void set_output_port(struct i8042 *k, u8 value)
{
	k->output_port = value;
	if (!(value & OUTPUT_NO_RESET))
		k->ops.reset(k->ops.ctx);
}

static void self_test(struct i8042 *k)
{
	k->command = COMMAND_RESET | COMMAND_SYSTEM;
	k->system = true;
	answer(k, SELF_TEST_GOOD, 0);
}

static void do_command(struct i8042 *k, u8 command)
{
	k->pending = 0;
	switch (command) {
	case 0x20:
		answer(k, k->command, 0);
		break;
	case 0x60: case 0xd1: case 0xd2: case 0xd3: case 0xd4:
		k->pending = command;
		break;
	case 0xa7:
		k->command |= COMMAND_NO_MOUSE;
		break;
	case 0xa8:
		k->command &= ~COMMAND_NO_MOUSE;
		break;
	case 0xa9: case 0xab:		/* tests of the lines of both ports */
		answer(k, PORT_GOOD, 0);
		break;
	case 0xaa:
		self_test(k);
		break;
	case 0xad:
		k->command |= COMMAND_NO_KEYBOARD;
		break;
	case 0xae:
		k->command &= ~COMMAND_NO_KEYBOARD;
		break;
	case 0xc0:			/* input port: the keyboard is not locked */
		answer(k, 0x80, 0);
		break;
	case 0xd0:
		answer(k, k->output_port, 0);
		break;
	case 0xf0 ... 0xff:		/* pulses the lines whose bits are 0 */
		if (!(command & OUTPUT_NO_RESET))
			k->ops.reset(k->ops.ctx);
		break;
	default:
		break;
	}
}

static void do_data(struct i8042 *k, u8 value)
{
	u8 pending = k->pending;

	k->pending = 0;
	switch (pending) {
	case 0x60:
		k->command = value & COMMAND_BITS;
		k->system = value & COMMAND_SYSTEM;
		update_irqs(k);
		break;
	case 0xd1:
		set_output_port(k, value);
		break;
	case 0xd2:			/* as if the keyboard, the mouse had sent it */
		answer(k, value, 0);
		break;
	case 0xd3:
		answer(k, value, STATUS_MOUSE);
		break;
	case 0xd4:
		answer(k, NO_ANSWER, STATUS_MOUSE | STATUS_TIMEOUT);
		break;
	default:			/* to the keyboard, whose port that opens */
		k->command &= ~COMMAND_NO_KEYBOARD;
		answer(k, NO_ANSWER, STATUS_TIMEOUT);
		break;
	}
}

static u64 data_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct i8042 *k = ctx;

	(void)port, (void)size, (void)now;
	k->status = 0;
	update_irqs(k);
	return k->data;
}

static void data_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct i8042 *k = ctx;

	(void)port, (void)size, (void)now;
	k->last_command = false;
	do_data(k, (u8)value);
}

static u64 status_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	const struct i8042 *k = ctx;

	(void)port, (void)size, (void)now;
	/* With an empty buffer: nobody answers on the lines. EDK II would wait for a keyboard, several seconds each time. */
	return STATUS_UNLOCKED | (k->status ? k->status : STATUS_TIMEOUT | STATUS_PARITY) |
	       (k->system ? STATUS_SYSTEM : 0) | (k->last_command ? STATUS_COMMAND : 0);
}

static void command_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct i8042 *k = ctx;

	(void)port, (void)size, (void)now;
	k->last_command = true;
	do_command(k, (u8)value);
}

const struct bus_row i8042_rows[I8042_ROWS] = {
	{ 0x60, 1, 1 | BUS_QUIET, data_read, data_write },
	{ 0x64, 1, 1 | BUS_QUIET, status_read, command_write },
};

void i8042_init(struct i8042 *k, const struct vdev_irq *irq, const struct i8042_ops *ops)
{
	vdev_clear(k, sizeof(*k));
	k->irq = *irq;
	k->ops = *ops;
	k->command = COMMAND_RESET;
	k->output_port = OUTPUT_RESET;
}
