/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The debug port of Bochs and QEMU, 402h, where SeaBIOS and OVMF write what they do. Whole lines go to who wants them;
 * after DEBUGPORT_LINES nobody wants more, so that a guest cannot wash away a log.
 */
#ifndef VDEV_DEBUGPORT_H
#define VDEV_DEBUGPORT_H

#include "bus.h"

#define DEBUGPORT_BASE	0x402
#define DEBUGPORT_ROWS	1
#define DEBUGPORT_LINES	2000u
#define DEBUGPORT_WIDTH	100u		/* longer lines are cut in pieces */

struct debugport_ops {
	void (*line)(void *ctx, const char *line);
	void *ctx;
};

struct debugport {
	struct debugport_ops ops;
	u32 lines;
	u32 used;
	char line[DEBUGPORT_WIDTH + 1];
};

extern const struct bus_row debugport_rows[DEBUGPORT_ROWS];

void debugport_init(struct debugport *d, const struct debugport_ops *ops);

#endif
