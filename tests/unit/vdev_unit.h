/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of virtual devices share: lines that count, ports by bus, a time that is moved by hand. */
#ifndef TESTS_VDEV_UNIT_H
#define TESTS_VDEV_UNIT_H

#include "unit.h"
#include "vdev/bus.h"

#define TSC_KHZ		2893413u	/* odd on purpose: nothing divides evenly */
#define MS		((u64)TSC_KHZ)
#define SECOND		(1000 * MS)

struct lines {
	bool level[32];
	u32 rises[32];
};

static inline void lines_set(void *ctx, unsigned int irq, bool level)
{
	struct lines *lines = ctx;

	assert_true(irq == 0 || level != lines->level[irq]);	/* only the PIT may repeat a level */
	lines->rises[irq] += level && !lines->level[irq];
	lines->level[irq] = level;
}

static inline struct vdev_irq lines_irq(struct lines *lines)
{
	memset(lines, 0, sizeof(*lines));
	return (struct vdev_irq){ lines_set, lines };
}

static struct bus ports;
static u64 now;

static inline u8 in(u16 port)
{
	return (u8)bus_read(&ports, port, 1, now);
}

static inline void out(u16 port, u8 value)
{
	bus_write(&ports, port, 1, value, now);
}

#endif
