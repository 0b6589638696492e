/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all virtual devices share.
 *
 * A device model is plain C: its state is one structure per partition, it allocates nothing and reads no clock. Every
 * entry point that needs the time gets it as "now", in ticks of the guest's time stamp counter. That time stands
 * still while the partition is paused, never goes back (a guest that writes its TSC does not move it) and stays below
 * 2^63. A device that does something by itself has
 *
 *	u64 X_next_deadline(const struct X *x, u64 now);	the TSC at which it wants X_advance(), CLOCK_NEVER: none
 *	void X_advance(struct X *x, u64 now);			does all that became due; late calls lose nothing
 *
 * After X_advance(now) the next deadline lies after now, so that a caller's timer always makes progress. Any access
 * to a register may move the deadline: ask again after each.
 *
 * Locking: none here. All calls for one partition are made under that partition's device lock.
 */
#ifndef AVMM_VDEV_H
#define AVMM_VDEV_H

#include <avmm/types.h>
#include "clock.h"

/*
 * The interrupt lines of the machine. An edge is a call with false followed by one with true. Devices that share a
 * line have a context each, so that the callee can form the wired OR. Models call on changes only, as a call goes all
 * the way through the interrupt controllers; but the PIT may repeat a level.
 */
struct vdev_irq {
	void (*set_irq)(void *ctx, unsigned int irq, bool level);
	void *ctx;
};

static inline void vdev_set_irq(const struct vdev_irq *irq, unsigned int line, bool level)
{
	if (irq->set_irq)
		irq->set_irq(irq->ctx, line, level);
}

/*
 * The clock (clock.h: exact, without drift) of a device whose frequency is no whole number of kHz. No TSC runs faster
 * than VDEV_MAX_TSC_KHZ; below it the fraction's parts fit, since every frequency used here shares a factor of 2 or 5
 * with 1000.
 */
#define VDEV_MAX_TSC_KHZ	8000000u

static inline struct clock vdev_clock(u32 tsc_khz, u32 hz)
{
	u64 a = (tsc_khz < VDEV_MAX_TSC_KHZ ? tsc_khz ? tsc_khz : 1 : VDEV_MAX_TSC_KHZ) * 1000ull, tsc_hz = a;
	u64 b = hz;

	while (b) {	/* Euclid: fewer than 64 rounds */
		u64 rest = a % b;

		a = b;
		b = rest;
	}
	return (struct clock){ .num = (u32)(tsc_hz / a), .den = (u32)(hz / a) };
}

/* Zeroes state. The barrier keeps compilers from making a call of memset() of it, which the monitor does not have. */
static inline void vdev_clear(void *state, size_t size)
{
	u8 *byte = state;

	while (size--) {
		*byte++ = 0;
		asm volatile("" : : : "memory");
	}
}

#define VDEV_ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif
