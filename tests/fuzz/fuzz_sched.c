// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any stream of events at any times: the accounts stay exact, the lag bounded, the decision sensible. With a caller
 * that comes back when it should, no side waits longer than the bound and no boost exceeds its bucket.
 *
 * Input: clock, share, and a byte of flags; then per step an event, its argument, and how much time passes (2 bytes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/sched.c"
#include "tests/unit/unit.h"
#include "tests/unit/sched_machine.h"

#define OBEDIENT	1u	/* comes back at the end of every slice */

enum event { PICK, WAKE, SLEEP, SLEEP_FOR, BOOST, YIELD, IRQ, SHARES, CAPS, SKEW, CLOCK, EVENTS };

struct world {
	struct sched s;
	u64 now;
	u64 since[SCHED_SIDES];		/* waits since */
	bool obedient;
	bool ipi;			/* the user's wait is not bounded when IPIs are many */
};

struct step {
	u8 event;
	u8 arg;
	u16 time;
};

void sched_check_failed(const char *what, int line)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

/* Log scale: from nothing over ticks to hours. */
static u64 duration(u16 time)
{
	return (u64)(time & 0x3ff) << ((time >> 10) * 3 / 4) >> 10;
}

static void change(struct world *w)
{
	w->since[0] = w->since[1] = w->now;
}

/* The quick way decides as the long one does, and asks to be called again no later. */
static void check_quick_way(const struct sched *s, enum sched_irq kind, u64 now)
{
	struct sched quick = *s, whole = *s;

	if (!sched_take_interrupt(&quick, kind, now))
		return;
	CHECK(sched_service_interrupt(&whole, kind, now) == now);
	CHECK(sched_pick(&whole, SCHED_SAFE, now) == SCHED_SERVICE);
	CHECK(quick.cur == whole.cur && quick.owner == whole.owner);
	CHECK(quick.why == whole.why || !whole.side[SCHED_SERVICE].lag);	/* both eligible: the deadline decides */
	CHECK(quick.side[0].lag == whole.side[0].lag && quick.last == whole.last);
	CHECK(sched_enter(&quick, now + 1) <= sched_enter(&whole, now + 1));
	sched_check(&quick);
}

static void happens(struct world *w, struct step step)
{
	struct sched *s = &w->s;
	u32 who = step.arg & 1;
	u64 at;

	switch (step.event % EVENTS) {
	case WAKE:
		sched_wake(s, who, w->now);
		break;
	case SLEEP:
		sched_sleep(s, who, SCHED_NEVER, w->now);
		break;
	case SLEEP_FOR:
		sched_sleep(s, who, w->now + duration(step.arg << 8), w->now);
		break;
	case BOOST:
		sched_boost(s, w->now);
		break;
	case YIELD:
		sched_directed_yield(s, w->now);
		break;
	case IRQ:
		if (s->cur == SCHED_SERVICE)
			break;
		w->ipi |= step.arg % 3 == SCHED_IRQ_IPI;
		check_quick_way(s, step.arg % 3, w->now);
		at = sched_service_interrupt(s, step.arg % 3, w->now);
		CHECK(at >= w->now && at <= w->now + s->period);
		CHECK(step.arg % 3 != SCHED_IRQ_IPI || at == w->now);
		break;
	case SHARES:
		CHECK(sched_set_shares(s, step.arg * 4, w->now) == (step.arg > 0 && step.arg <= 250));
		change(w);
		break;
	case CAPS:
		if (!w->obedient)
			sched_set_caps(s, 1 + (step.arg & 15) * 66, 1 + (step.arg >> 4) * 66, w->now);
		break;
	case SKEW:
		sched_set_skew(s, step.arg * 50, w->now);
		change(w);
		break;
	case CLOCK:
		if (!w->obedient)
			w->now -= min_u64(w->now, duration(step.arg << 8));
		break;
	}
}

static void not_waiting(struct world *w)
{
	u32 i;

	for (i = 0; i < SCHED_SIDES; i++)
		if (w->s.cur == i || !active(&w->s.side[i]))
			w->since[i] = w->now;
}

static void check_waits(struct world *w)
{
	struct sched *s = &w->s;
	u32 i;

	for (i = 0; i < SCHED_SIDES; i++) {
		struct sched_side *me = &s->side[i], *other = &s->side[!i];
		u64 grace = us(s, i == SCHED_SERVICE ? 2 * SCHED_USER_GRACE : SCHED_SERVICE_GRACE);

		if (!me->weight || (i == SCHED_USER && w->ipi))
			continue;
		CHECK(w->now - w->since[i] <= me->limit / me->weight + other->request + grace + 1);
	}
	CHECK(s->boost_sum <= us(s, SCHED_BOOST_MAX + SCHED_SERVICE_GRACE));
}

static void one_step(struct world *w, struct step step)
{
	u64 end, pass = duration(step.time);
	u32 who;

	not_waiting(w);
	happens(w, step);
	sched_check(&w->s);
	who = sched_pick(&w->s, step.event & 0x80 ? SCHED_HOLDS_LOCK : SCHED_SAFE, w->now);
	if (!w->obedient && step.event & 0x40)
		w->now += pass >> 4;
	end = sched_enter(&w->s, w->now);
	sched_check_choice(&w->s, who, end);
	if (w->obedient) {
		not_waiting(w);
		check_waits(w);
		pass = end - w->now < pass ? end - w->now : pass;
	}
	w->now += pass;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u32 clocks[] = { SCHED_MIN_KHZ, 24000, 2399999, 5000000, SCHED_MAX_KHZ };
	struct world w = { .now = 0 };
	struct step step;

	if (size < 3)
		return 0;
	w.obedient = data[2] & OBEDIENT;
	if (!sched_init(&w.s, clocks[data[0] % ARRAY_SIZE(clocks)], data[1] * 4, w.now))
		return 0;
	change(&w);
	for (data += 3, size -= 3; size >= sizeof(step); data += sizeof(step), size -= sizeof(step)) {
		memcpy(&step, data, sizeof(step));
		one_step(&w, step);
	}
	return 0;
}
