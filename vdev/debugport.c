// SPDX-License-Identifier: GPL-2.0-only
/* The debug port; see debugport.h. */
#include "debugport.h"

#define PRESENT	0xe9u	/* what a read says where there is such a port */

void debugport_init(struct debugport *d, const struct debugport_ops *ops)
{
	vdev_clear(d, sizeof(*d));
	d->ops = *ops;
}

static void end_line(struct debugport *d)
{
	if (!d->used)
		return;
	d->line[d->used] = 0;
	d->used = 0;
	d->lines++;
	d->ops.line(d->ops.ctx, d->line);
}

static u64 port_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	(void)ctx;
	(void)offset;
	(void)size;
	(void)now;
	return PRESENT;
}

static void port_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct debugport *d = ctx;
	u8 c = (u8)value;

	(void)offset;
	(void)size;
	(void)now;
	if (d->lines >= DEBUGPORT_LINES || c == '\r')
		return;
	if (c == '\n' || d->used == DEBUGPORT_WIDTH)
		end_line(d);
	if (c != '\n')
		d->line[d->used++] = c >= ' ' && c < 0x7f ? (char)c : '?';
}

const struct bus_row debugport_rows[DEBUGPORT_ROWS] = { { 0, 1, 1, port_read, port_write } };
