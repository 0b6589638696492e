// SPDX-License-Identifier: GPL-2.0-only
/* HPET model; hpet.h has the state and the policies. Numbers in comments are sections of IA-PC HPET 1.0a. */
#include "hpet.h"

#define REG_CAPABILITIES	0x000
#define REG_CONFIG		0x010
#define REG_STATUS		0x020
#define REG_COUNTER		0x0f0
#define REG_TIMERS		0x100
#define TIMER_CONFIG		0x00
#define TIMER_COMPARATOR	0x08

#define CONFIG_ENABLE		(1u << 0)
#define CONFIG_LEGACY		(1u << 1)

#define TIMER_LEVEL		(1u << 1)
#define TIMER_INTERRUPTS	(1u << 2)
#define TIMER_PERIODIC		(1u << 3)
#define TIMER_VALUE_SET		(1u << 6)
#define TIMER_32BIT		(1u << 8)
#define TIMER_ROUTE_SHIFT	9
#define TIMER_ROUTE		(31u << TIMER_ROUTE_SHIFT)
#define TIMER_WRITABLE		0x3f4eu
#define TIMER_CAPABILITIES	((u64)HPET_ROUTES << 32 | 1u << 5 | 1u << 4)	/* 64 bits, periodic */

#define LATE_TICKS		(1ull << 24)	/* see the deviation in hpet.h */
#define MIN_GAP			5000u		/* ticks, 50 us: faster periodic timers are served in bunches */

static bool running(const struct hpet *hpet)
{
	return hpet->config & CONFIG_ENABLE;
}

static u64 counter_at(const struct hpet *hpet, u64 tick)
{
	return running(hpet) ? hpet->base + tick : hpet->base;
}

bool hpet_replaces_legacy(const struct hpet *hpet)
{
	return hpet->config & CONFIG_LEGACY;
}

/* The I/O APIC pin of a timer, 0: none. */
static u32 pin_of(const struct hpet *hpet, u32 n)
{
	u32 route = hpet->timer[n].config >> TIMER_ROUTE_SHIFT & 31;

	if (hpet_replaces_legacy(hpet) && n < 2)
		return n ? HPET_LEGACY_PIN1 : HPET_LEGACY_PIN0;
	return HPET_ROUTES >> route & 1 ? route : 0;
}

/* Bring a timer's line in step with status, enable and routing. */
static void update_level(struct hpet *hpet, u32 n)
{
	struct hpet_timer *timer = &hpet->timer[n];
	u32 pin = 0;

	if (running(hpet) && hpet->status >> n & 1 && timer->config & TIMER_INTERRUPTS && timer->config & TIMER_LEVEL)
		pin = pin_of(hpet, n);
	if (pin == timer->asserted)
		return;
	if (timer->asserted)
		hpet->ops->level(hpet->ctx, timer->asserted, false);
	timer->asserted = pin;
	if (pin)
		hpet->ops->level(hpet->ctx, pin, true);
}

static bool edge(struct hpet *hpet, u32 n)
{
	u32 pin = pin_of(hpet, n);

	return !pin || hpet->ops->edge(hpet->ctx, pin);
}

static u64 retry_gap(const struct hpet_timer *timer)
{
	return timer->period / 4 > MIN_GAP ? timer->period / 4 : MIN_GAP;
}

/* A timer matched so many times. What cannot be told to the guest now waits, if interrupts are on at all. */
static void fire(struct hpet *hpet, u32 n, u64 matches, u64 tick)
{
	struct hpet_timer *timer = &hpet->timer[n];
	u64 room = HPET_MAX_BACKLOG - timer->backlog;

	if (timer->config & TIMER_LEVEL) {
		if (!(hpet->status >> n & 1))
			matches--;
		hpet->status |= 1u << n;
		update_level(hpet, n);
	}
	if (!(timer->config & TIMER_INTERRUPTS))
		return;
	if (!(timer->config & TIMER_LEVEL) && !timer->backlog && edge(hpet, n))
		matches--;
	if (!(timer->config & TIMER_PERIODIC) || !matches)
		return;
	if (!timer->backlog)
		timer->retry = tick + retry_gap(timer);
	timer->lost += matches > room ? matches - room : 0;
	timer->backlog += (u32)(matches > room ? room : matches);
}

static void advance_timer(struct hpet *hpet, u32 n, u64 tick)
{
	struct hpet_timer *timer = &hpet->timer[n];
	u64 matches = 1, wrap = timer->config & TIMER_32BIT ? 1ull << 32 : 0;

	if (timer->backlog && tick >= timer->retry && !(timer->config & TIMER_LEVEL)) {
		if (edge(hpet, n))
			timer->backlog--;
		timer->retry = tick + retry_gap(timer);
	}
	if (tick < timer->due || timer->due == CLOCK_NEVER)
		return;
	if (timer->config & TIMER_PERIODIC && timer->period) {
		matches += (tick - timer->due) / timer->period;
		timer->due += matches * timer->period;
		timer->comparator += matches * timer->period;
		if (wrap)
			timer->comparator = (u32)timer->comparator;
	} else if (wrap) {
		timer->due += ((tick - timer->due) / wrap + 1) * wrap;	/* 32 bits: again when the counter wraps */
	} else {
		timer->due = CLOCK_NEVER;
	}
	fire(hpet, n, matches, tick);
}

void hpet_advance(struct hpet *hpet, u64 now)
{
	u64 tick = clock_ticks(&hpet->clock, now);
	u32 n;

	for (n = 0; n < HPET_TIMERS; n++)
		advance_timer(hpet, n, tick);
}

u64 hpet_next_deadline(const struct hpet *hpet, u64 now)
{
	const struct hpet_timer *timer;
	u64 tick, due, first = CLOCK_NEVER;

	for (timer = hpet->timer; timer < hpet->timer + HPET_TIMERS; timer++) {
		if (!(timer->config & TIMER_INTERRUPTS))
			continue;
		due = timer->due;
		if (timer->config & TIMER_PERIODIC && timer->period < MIN_GAP && due != CLOCK_NEVER) {
			tick = clock_ticks(&hpet->clock, now) + MIN_GAP;
			due = due < tick ? tick : due;
		}
		if (timer->backlog && !(timer->config & TIMER_LEVEL) && timer->retry < due)
			due = timer->retry;
		if (due < first)
			first = due;
	}
	return first == CLOCK_NEVER ? CLOCK_NEVER : clock_when(&hpet->clock, first);
}

/* When does the counter reach the comparator by counting? */
static void arm(struct hpet *hpet, u32 n, u64 tick)
{
	struct hpet_timer *timer = &hpet->timer[n];
	u64 ahead = timer->comparator - counter_at(hpet, tick);

	timer->due = CLOCK_NEVER;
	if (!running(hpet))
		return;
	if (timer->config & TIMER_32BIT)
		ahead = (u32)ahead ? (u32)ahead : 1ull << 32;
	if (!ahead || __builtin_add_overflow(tick, ahead, &timer->due))
		timer->due = CLOCK_NEVER;
}

/* The comparator was written: the same, but one that is a little late is due since then. */
static void arm_written(struct hpet *hpet, u32 n, u64 tick)
{
	struct hpet_timer *timer = &hpet->timer[n];
	u64 behind = counter_at(hpet, tick) - timer->comparator;

	if (timer->config & TIMER_32BIT)
		behind = (u32)behind;
	arm(hpet, n, tick);
	if (running(hpet) && behind <= LATE_TICKS) {
		timer->due = tick - (behind < tick ? behind : tick);
		advance_timer(hpet, n, tick);
	}
}

/* Half of a 64-bit register, or all of it. */
static u64 merge(u64 old, u64 value, u32 offset, u32 size)
{
	if (size == 8)
		return value;
	return offset & 4 ? (u32)old | value << 32 : (old & ~0xffffffffull) | (u32)value;
}

/* 2.3.8: a route that is not offered is not taken; 2.3.9.2.2: periodic mode starts with the comparator's value. */
static void write_timer_config(struct hpet *hpet, u32 n, u64 value, u64 tick)
{
	struct hpet_timer *timer = &hpet->timer[n];
	u64 changed;

	value &= TIMER_WRITABLE;
	if (!(HPET_ROUTES >> (value >> TIMER_ROUTE_SHIFT & 31) & 1))
		value = (value & ~(u64)TIMER_ROUTE) | (timer->config & TIMER_ROUTE);
	changed = timer->config ^ value;
	timer->config = value;
	if (value & TIMER_32BIT) {
		timer->comparator = (u32)timer->comparator;
		timer->period = (u32)timer->period;
	}
	if (changed & (TIMER_PERIODIC | TIMER_32BIT))
		arm(hpet, n, tick);
	if (changed & (TIMER_PERIODIC | TIMER_LEVEL | TIMER_INTERRUPTS))
		timer->backlog = 0;
	if (!(value & TIMER_LEVEL))
		hpet->status &= ~(1u << n);
	update_level(hpet, n);
}

/* Periodic: the last value written is the period; it is the first match as well if VAL_SET is on, for one write. */
static void write_comparator(struct hpet *hpet, u32 n, u32 offset, u32 size, u64 value, u64 tick)
{
	struct hpet_timer *timer = &hpet->timer[n];
	bool sets = !(timer->config & TIMER_PERIODIC) || timer->config & TIMER_VALUE_SET;

	if (timer->config & TIMER_32BIT) {
		if (offset & 4)
			return;
		value = (u32)value;
		size = 8;
	}
	timer->config &= ~(u64)TIMER_VALUE_SET;
	timer->backlog = 0;
	timer->period = merge(timer->period, value, offset, size);
	if (sets) {
		timer->comparator = merge(timer->comparator, value, offset, size);
		arm_written(hpet, n, tick);
	}
}

static void write_config(struct hpet *hpet, u32 value, u64 tick)
{
	u64 counter = counter_at(hpet, tick);
	bool was_running = running(hpet);
	u32 n;

	hpet->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
	hpet->base = running(hpet) ? counter - tick : counter;
	for (n = 0; n < HPET_TIMERS; n++) {
		if (running(hpet) != was_running) {
			arm(hpet, n, tick);
			hpet->timer[n].backlog = 0;
		}
		update_level(hpet, n);
	}
}

/* Status bits are cleared by writing ones; a tick that waited for that sets its bit again. */
static void write_status(struct hpet *hpet, u32 value)
{
	struct hpet_timer *timer;
	u32 n;

	for (n = 0; n < HPET_TIMERS; n++) {
		timer = &hpet->timer[n];
		if (!((value & hpet->status) >> n & 1))
			continue;
		hpet->status &= ~(1u << n);
		update_level(hpet, n);
		if (!timer->backlog)
			continue;
		timer->backlog--;
		hpet->status |= 1u << n;
		update_level(hpet, n);
	}
}

static u64 read_register(const struct hpet *hpet, u32 offset, u64 now)
{
	const struct hpet_timer *timer = &hpet->timer[(offset - REG_TIMERS) / 32 % HPET_TIMERS];

	switch (offset) {
	case REG_CAPABILITIES:
		return HPET_PERIOD_FS << 32 | HPET_BLOCK_ID;
	case REG_CONFIG:
		return hpet->config;
	case REG_STATUS:
		return hpet->status;
	case REG_COUNTER:
		return counter_at(hpet, clock_ticks(&hpet->clock, now));
	}
	if (offset < REG_TIMERS || offset >= REG_TIMERS + 32 * HPET_TIMERS)
		return 0;
	if ((offset & 31) == TIMER_CONFIG)
		return timer->config | TIMER_CAPABILITIES;
	return (offset & 31) == TIMER_COMPARATOR ? timer->comparator : 0;
}

u64 hpet_read(struct hpet *hpet, u32 offset, u32 size, u64 now)
{
	u64 value;

	if ((size != 4 && size != 8) || offset & (size - 1))
		return 0;
	if (offset != REG_COUNTER)
		hpet_advance(hpet, now);
	value = read_register(hpet, offset & ~7u, now);
	return size == 8 ? value : (u32)(value >> (offset & 4) * 8);
}

static void write_timer(struct hpet *hpet, u32 offset, u32 size, u64 value, u64 tick)
{
	u32 n = (offset - REG_TIMERS) / 32;

	switch (offset & 24) {
	case TIMER_CONFIG:
		if (!(offset & 4))
			write_timer_config(hpet, n, value, tick);
		break;
	case TIMER_COMPARATOR:
		write_comparator(hpet, n, offset, size, value, tick);
		break;
	}
}

void hpet_write(struct hpet *hpet, u32 offset, u32 size, u64 value, u64 now)
{
	u64 tick = clock_ticks(&hpet->clock, now);

	if ((size != 4 && size != 8) || offset & (size - 1))
		return;
	hpet_advance(hpet, now);
	if (offset >= REG_TIMERS && offset < REG_TIMERS + 32 * HPET_TIMERS)
		write_timer(hpet, offset, size, value, tick);
	else if (offset == REG_CONFIG)
		write_config(hpet, (u32)value, tick);
	else if (offset == REG_STATUS)
		write_status(hpet, (u32)value);
	else if ((offset & ~7u) == REG_COUNTER && !running(hpet))	/* running: undefined by 2.3.7, ignored */
		hpet->base = merge(hpet->base, value, offset, size);
}

static u64 row_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	return hpet_read(ctx, offset, size, now);
}

static void row_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	hpet_write(ctx, offset, size, value, now);
}

const struct bus_row hpet_rows[HPET_ROWS] = {
	{ 0, 0x400, 4 | 8 | BUS_QUIET, row_read, row_write },
};

void hpet_reset(struct hpet *hpet)
{
	struct hpet_timer *timer;
	u32 n;

	hpet->config = 0;
	for (n = 0; n < HPET_TIMERS; n++)
		update_level(hpet, n);
	hpet->status = 0;
	hpet->base = 0;
	for (timer = hpet->timer; timer < hpet->timer + HPET_TIMERS; timer++) {
		timer->config = 0;
		timer->comparator = ~0ull;
		timer->period = 0;
		timer->due = CLOCK_NEVER;
		timer->backlog = 0;
		timer->asserted = 0;
	}
}

void hpet_init(struct hpet *hpet, const struct hpet_ops *ops, void *ctx, u32 tsc_khz)
{
	u32 n;

	hpet->clock = clock_make(tsc_khz, HPET_KHZ);
	hpet->ops = ops;
	hpet->ctx = ctx;
	for (n = 0; n < HPET_TIMERS; n++) {
		hpet->timer[n].asserted = 0;
		hpet->timer[n].lost = 0;
	}
	hpet_reset(hpet);
}
