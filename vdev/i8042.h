/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keyboard controller of a PC, ports 60h and 64h, with nothing plugged in: it answers self tests, its command byte
 * can be read and written, it resets the CPU, and whatever is sent to a keyboard or a mouse times out at once, as the
 * controller says by FEh and the time-out bit of its status; time-out and parity error without a byte mean that nobody is
 * there. A20 is always open, its bit is remembered.
 *
 * Commands of the AT's technical reference and the PS/2's auxiliary port. One byte is output at a time; a command that
 * answers while one waits takes its place.
 */
#ifndef VDEV_I8042_H
#define VDEV_I8042_H

#include "bus.h"

#define I8042_ROWS	2
#define I8042_IRQ_KEYBOARD 1
#define I8042_IRQ_MOUSE	12

struct i8042_ops {
	void (*reset)(void *ctx);	/* as in pmtimer.h: only note it */
	void *ctx;
};

struct i8042 {
	struct vdev_irq irq;
	struct i8042_ops ops;
	u8 command;		/* the command byte */
	u8 output_port;
	u8 pending;		/* the command that waits for its byte at 60h, 0: none */
	u8 status;		/* of what is there to read */
	u8 data;
	bool system;		/* the self test has passed */
	bool last_command;	/* the last write went to 64h */
	bool keyboard_irq;	/* the lines */
	bool mouse_irq;
};

extern const struct bus_row i8042_rows[I8042_ROWS];	/* map at port 0 */

void i8042_init(struct i8042 *k, const struct vdev_irq *irq, const struct i8042_ops *ops);

#endif
