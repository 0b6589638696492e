// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does anything at ports 60h to 67h, and a keyboard controller that answers anything, with edges at any time.
 * The model of the machine's controller keeps its output port: asserted are that it is never pulsed and never written,
 * that no command but those of drivers arrives, and that each edge makes a rise of the guest's line.
 */
#include <assert.h>
#include <stdint.h>

#include "vdev/i8042-gate.h"

struct world {
	const uint8_t *data;
	size_t size;
	u8 last;		/* command that the machine's controller has, 0: a byte for 60h belongs to no command */
	u32 rises[16];
	bool level[16];
};

static u8 take(struct world *w)
{
	if (!w->size)
		return 0;
	w->size--;
	return *w->data++;
}

static u8 machine_in(void *ctx, u16 port)
{
	assert(port == 0x60 || port == 0x64);
	return take(ctx);
}

static void machine_out(void *ctx, u16 port, u8 value)
{
	struct world *w = ctx;

	assert(port == 0x60 || port == 0x64);
	if (port == 0x60) {
		assert(w->last != 0xd1);
		w->last = 0;
		return;
	}
	assert(value < 0xd5);				/* A20, tests, pulses */
	assert(value != 0xd1 && (value < 0xa4 || value > 0xa6));
	assert(value <= 0x60 || value >= 0x80);		/* the controller's memory */
	w->last = value;
}

static void on_reset(void *ctx)
{
	(void)ctx;
}

static void set_irq(void *ctx, unsigned int irq, bool level)
{
	struct world *w = ctx;

	assert((irq == 1 || irq == 12) && level != w->level[irq]);
	w->level[irq] = level;
	w->rises[irq] += level;
}

static void edge(struct world *w, struct i8042_gate *gate, bool mouse)
{
	u32 before = w->rises[mouse ? 12 : 1];

	i8042_gate_edge(gate, mouse ? I8042_LINE_MOUSE : I8042_LINE_KEYBOARD);
	assert(w->rises[mouse ? 12 : 1] == before + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .data = data, .size = size };
	const struct i8042_gate_ops ops = { .in = machine_in, .out = machine_out, .reset = on_reset, .ctx = &w };
	const struct vdev_irq irq = { set_irq, &w };
	struct avmm_device_counts counts = { .raised = 0 };
	struct i8042_gate gate;
	struct bus bus;

	bus_init(&bus);
	i8042_gate_init(&gate, &irq, &ops, &counts);
	assert(bus_map(&bus, 0, i8042_gate_rows, I8042_GATE_ROWS, &gate));
	while (w.size) {
		u8 what = take(&w);
		u32 port = 0x60 + (what >> 2 & 7), bytes = 1u << (what >> 5 & 3) % 3;
		u64 value;

		if ((what & 3) == 3) {
			edge(&w, &gate, what & 4);
		} else if (what & 1) {
			bus_read(&bus, port, bytes, 0);
		} else {
			value = take(&w) | (u64)take(&w) << 8 | (u64)take(&w) << 16 | (u64)take(&w) << 24;
			bus_write(&bus, port, bytes, value & ((1ull << 8 * bytes) - 1), 0);
		}
		assert(counts.acked <= counts.raised);
	}
	return 0;
}
