/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * High precision event timers: IA-PC HPET specification 1.0a. Three timers, all of them periodic and 64 bits wide,
 * legacy replacement, no FSB interrupts.
 *
 * The main counter runs at 100 MHz: its period is a whole number of femtoseconds (14.31818 MHz has none, so a guest
 * that converts by the capability register would drift by up to 0.5 fs in 69.8 ns), and 10 ns is fine enough.
 *
 * Nothing counts: the counter is computed from the TSC, and each timer knows at which tick it is due. No periodic tick
 * is lost: one that finds the former still pending waits, at most HPET_MAX_BACKLOG of them, and is tried again after
 * a quarter period; a level-triggered one comes when the guest clears the status bit.
 *
 * One deviation: a comparator that is set to a value up to 0.17 s in the past fires at once. Hardware would wait for
 * the counter to wrap. A guest that checks for a late write gets one more interrupt, one that does not goes on
 * running, and a vCPU on the shared CPU may well be preempted between reading the counter and writing the comparator.
 */
#ifndef VDEV_HPET_H
#define VDEV_HPET_H

#include "bus.h"

#define HPET_BASE		0xfed00000u
#define HPET_TIMERS		3
#define HPET_KHZ		100000u
#define HPET_MAX_BACKLOG	1000u
#define HPET_ROUTES		0x00f00000u	/* I/O APIC pins 20 to 23, which nobody else has */
#define HPET_LEGACY_PIN0	2u		/* legacy replacement: timer 0 is IRQ 0, here named by its I/O APIC pin … */
#define HPET_LEGACY_PIN1	8u		/* … and timer 1 is IRQ 8; the 8259 gets both, too */

struct hpet_ops {
	/* An edge on this pin. False: it merged with one that is pending still, and has to be tried again. */
	bool (*edge)(void *ctx, u32 pin);
	void (*level)(void *ctx, u32 pin, bool asserted);
};

struct hpet_timer {
	u64 config;		/* the writable bits */
	u64 comparator;
	u64 period;
	u64 due;		/* clock tick of the next match, CLOCK_NEVER: none */
	u64 retry;		/* clock tick at which to try the backlog again */
	u64 lost;		/* ticks beyond HPET_MAX_BACKLOG */
	u32 backlog;		/* ticks that wait */
	u32 asserted;		/* the pin that is held, 0: none */
};

struct hpet {
	struct clock clock;
	const struct hpet_ops *ops;
	void *ctx;
	u64 base;		/* counter - clock ticks while it runs, the counter while it does not */
	u32 config;
	u32 status;
	struct hpet_timer timer[HPET_TIMERS];
};

#define HPET_ROWS	1
extern const struct bus_row hpet_rows[HPET_ROWS];	/* map at HPET_BASE, context struct hpet */

void hpet_init(struct hpet *hpet, const struct hpet_ops *ops, void *ctx, u32 tsc_khz);
void hpet_reset(struct hpet *hpet);

/* In legacy replacement the 8254's IRQ 0 and the RTC's IRQ 8 are cut off. */
bool hpet_replaces_legacy(const struct hpet *hpet);

u64 hpet_read(struct hpet *hpet, u32 offset, u32 size, u64 now);
void hpet_write(struct hpet *hpet, u32 offset, u32 size, u64 value, u64 now);

u64 hpet_next_deadline(const struct hpet *hpet, u64 now);
void hpet_advance(struct hpet *hpet, u64 now);

/* What a guest finds in the capability register, for the ACPI table too. */
#define HPET_BLOCK_ID	(0x80860000u | 1u << 15 | 1u << 13 | (HPET_TIMERS - 1) << 8 | 1)
#define HPET_PERIOD_FS	(1000000000000ull / HPET_KHZ)

#endif
