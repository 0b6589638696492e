/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device's clock, derived from guest TSC ticks by an exact fraction.
 *
 * Device time is always computed from absolute TSC time, never added up, so that there is no remainder to carry and no
 * drift: ticks(t) = floor(t * den / num). Both parts stay below 2^32, which keeps every product below 2^64 as long as
 * t itself does.
 */
#ifndef VDEV_CLOCK_H
#define VDEV_CLOCK_H

#include <avmm/types.h>

#define CLOCK_NEVER	(~0ull)

struct clock {
	u32 num;	/* num TSC ticks … */
	u32 den;	/* … last den ticks of the device */
};

/* Reduced fraction of the two frequencies; neither may be 0. */
static inline struct clock clock_make(u32 tsc_khz, u32 device_khz)
{
	u32 a = tsc_khz, b = device_khz;
	struct clock clock;

	while (b) {	/* Euclid: at most 48 rounds for 32-bit numbers */
		u32 rest = a % b;

		a = b;
		b = rest;
	}
	clock.num = tsc_khz / a;
	clock.den = device_khz / a;
	return clock;
}

/* Device ticks that have passed at TSC time t. */
static inline u64 clock_ticks(const struct clock *clock, u64 t)
{
	return t / clock->num * clock->den + t % clock->num * clock->den / clock->num;
}

/* The first TSC time at which clock_ticks() is at least that many; CLOCK_NEVER if that is beyond 64 bits. */
static inline u64 clock_when(const struct clock *clock, u64 ticks)
{
	u64 whole, part = (ticks % clock->den * clock->num + clock->den - 1) / clock->den;

	if (__builtin_mul_overflow(ticks / clock->den, (u64)clock->num, &whole) ||
	    __builtin_add_overflow(whole, part, &whole))
		return CLOCK_NEVER;
	return whole;
}

#endif
