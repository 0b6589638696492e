/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine's keyboard controller in the hands of the guest: ports 60h and 64h. All accesses come through here, since
 * the controller's output port also has the reset line of the machine's CPUs and A20:
 *
 *	commands F0h–FFh	pulse lines of the output port: with bit 0 clear that is the guest's own reset
 *	command D1h		writes the output port, by the next byte for 60h: likewise
 *	what no row names	does not go to the machine, and with a byte that belongs to it
 *	all else		goes to the machine
 *
 * A line of the guest's rises when the module relays an edge of the machine's, and falls when the guest reads the byte
 * that it was about. Each relayed edge makes an edge here, whether the last byte has been read or not.
 */
#ifndef VDEV_I8042_GATE_H
#define VDEV_I8042_GATE_H

#include <avmm/device.h>
#include "bus.h"

#define I8042_GATE_ROWS	2

struct i8042_gate_ops {
	u8 (*in)(void *ctx, u16 port);			/* of the machine */
	void (*out)(void *ctx, u16 port, u8 value);
	void (*reset)(void *ctx);			/* as in pmtimer.h: only note it */
	void *ctx;
};

enum i8042_line { I8042_LINE_KEYBOARD, I8042_LINE_MOUSE, I8042_LINES };

struct i8042_gate {
	struct vdev_irq irq;
	struct i8042_gate_ops ops;
	u8 argument;		/* what the next byte for 60h is: enum argument of i8042-gate.c */
	bool up[I8042_LINES];
	struct avmm_device_counts *counts;
};

extern const struct bus_row i8042_gate_rows[I8042_GATE_ROWS];	/* map at port 0 */

/* Empties the controller's output buffer: no edge would ever come with a byte of the time before in it. */
void i8042_gate_init(struct i8042_gate *g, const struct vdev_irq *irq, const struct i8042_gate_ops *ops,
		     struct avmm_device_counts *counts);

/* The machine's line had an edge. */
void i8042_gate_edge(struct i8042_gate *g, enum i8042_line line);

#endif
