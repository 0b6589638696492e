/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mock machine for the scheduler: one CPU, a clock, two guests that compute and sleep, interrupts. It keeps its own
 * accounts of who ran and who waited, from what it did and not from what the scheduler says.
 *
 * sched_check() holds after every call and whatever the caller does; test_sched.c and fuzz_sched.c share it.
 */
#ifndef SCHED_MACHINE_H
#define SCHED_MACHINE_H

#include "monitor/sched.h"

#define CHECK(cond)	do { if (!(cond)) sched_check_failed(#cond, __LINE__); } while (0)

void sched_check_failed(const char *what, int line);

static inline void sched_check(const struct sched *s)
{
	const struct sched_side *service = &s->side[SCHED_SERVICE], *user = &s->side[SCHED_USER];
	u64 boost = 0;
	int i;

	CHECK(s->time[0] + s->time[1] + s->time[2] + s->time[3] == s->last - s->epoch);
	CHECK(service->weight + user->weight == SCHED_WHOLE);
	CHECK(service->lag == -user->lag);
	CHECK(s->period_end > s->last || s->owner == s->cur);	/* the monitor's time may have passed it */
	for (i = 0; i < SCHED_SIDES; i++) {
		const struct sched_side *side = &s->side[i];

		CHECK(side->lag >= -side->limit);
		CHECK(side->request > side->done && side->done > 0);
		CHECK(side->budget <= side->quota);
		CHECK(!(side->state & SCHED_THROTTLED) || side->cap != SCHED_WHOLE);
		CHECK(!(side->state & SCHED_THROTTLED) || side->budget <= 0);
		CHECK(s->stats[i].alone <= s->time[i]);
		CHECK(s->stats[i].longest_wait <= s->stats[i].waited);
	}
	for (i = 0; i < SCHED_BOOST_SLOTS; i++)
		boost += s->boost_used[i];
	CHECK(boost == s->boost_sum);
}

/* After sched_pick and sched_enter. */
static inline void sched_check_choice(const struct sched *s, u32 who, u64 end)
{
	sched_check(s);
	CHECK(who == s->cur && who <= SCHED_IDLE);
	CHECK(end > s->last || end == s->limit);
	if (s->grace || end <= s->last)		/* the monitor took so long that the next decision is due */
		return;
	if (who == SCHED_IDLE) {
		CHECK(s->side[0].state != SCHED_RUNNABLE && s->side[1].state != SCHED_RUNNABLE);
		return;
	}
	CHECK(s->side[who].state == SCHED_RUNNABLE || s->why == SCHED_INTERRUPT);
	CHECK(s->why != SCHED_ALONE || s->side[!who].state != SCHED_RUNNABLE);
	CHECK(s->why == SCHED_ALONE || s->length != SCHED_NEVER);
}

struct guest {
	u64 compute;		/* mean ticks between two sleeps; 0: never sleeps */
	u64 sleep;		/* mean ticks of a sleep */
	bool by_timer;		/* the scheduler is told when it wakes, else the machine wakes it */
	u32 unsafe;		/* percent of the picks at which it is not safe to preempt */
	u64 left;		/* ticks until it sleeps */
	u64 wakes_at;
	bool asleep;
	u64 waits_since;
	u64 longest_wait;
	u64 wanted;		/* ticks awake */
	u64 got;
};

struct machine {
	struct sched s;
	struct guest guest[SCHED_SIDES];
	u64 now;
	u64 seed;
	u64 cost;		/* ticks of the monitor per decision */
	u64 late;		/* slices end up to so many ticks late */
	u64 irq_gap;		/* mean ticks between interrupts of the service, 0: none */
	enum sched_irq irq_kind;
	u64 irq_at;
	bool irq_pending;
	u64 irq_since;
	u64 irq_longest;	/* wait of an interrupt */
	u64 irqs;
	u64 boost_gap;		/* mean ticks between forwarded requests */
	u64 boost_at;
	u64 yield_gap;		/* mean ticks between PAUSE exits of other vCPUs while the user is preempted */
	u64 yield_at;
	u64 idle;
	u64 boosted;
	u64 decisions;
	u64 quick;		/* … of which by sched_take_interrupt() */
	bool taken;		/* the next decision has been made by it */
	u32 running;
};

static inline u64 ms(const struct machine *m, u64 n)
{
	return n * m->s.khz;
}

static inline u64 around(struct machine *m, u64 mean)
{
	return mean ? 1 + random_below(&m->seed, 2 * mean) : SCHED_NEVER;
}

static inline u64 next_at(struct machine *m, u64 gap)
{
	return gap ? m->now + around(m, gap) : SCHED_NEVER;
}

static inline void machine_start(struct machine *m, u32 khz, u32 s0, u64 now)
{
	int i;

	memset(m, 0, sizeof(*m));
	m->now = now;
	m->seed = khz + s0;
	m->running = SCHED_IDLE;
	CHECK(sched_init(&m->s, khz, s0, now));
	for (i = 0; i < SCHED_SIDES; i++) {
		sched_wake(&m->s, i, now);
		m->guest[i].waits_since = now;
	}
}

/* To be called when the fields above have been set. */
static inline void machine_set_going(struct machine *m)
{
	int i;

	for (i = 0; i < SCHED_SIDES; i++)
		m->guest[i].left = around(m, m->guest[i].compute);
	m->irq_at = next_at(m, m->irq_gap);
	m->boost_at = next_at(m, m->boost_gap);
	m->yield_at = next_at(m, m->yield_gap);
}

static inline void guest_wakes(struct machine *m, u32 who)
{
	struct guest *g = &m->guest[who];

	g->asleep = false;
	g->left = around(m, g->compute);
	g->waits_since = m->now;
	if (!g->by_timer)
		sched_wake(&m->s, who, m->now);
}

static inline void guest_sleeps(struct machine *m, u32 who)
{
	struct guest *g = &m->guest[who];

	g->asleep = true;
	g->wakes_at = m->now + around(m, g->sleep);
	sched_sleep(&m->s, who, g->by_timer ? g->wakes_at : SCHED_NEVER, m->now);
}

static inline void machine_events(struct machine *m)
{
	int i;

	for (i = 0; i < SCHED_SIDES; i++) {
		if (m->guest[i].asleep && m->guest[i].wakes_at <= m->now)
			guest_wakes(m, i);
		else if (!m->guest[i].asleep && !m->guest[i].left)
			guest_sleeps(m, i);
	}
	if (m->boost_at <= m->now) {
		sched_boost(&m->s, m->now);
		m->boost_at = next_at(m, m->boost_gap);
	}
	if (m->yield_at <= m->now) {
		sched_directed_yield(&m->s, m->now);
		m->yield_at = next_at(m, m->yield_gap);
	}
	if (m->irq_at <= m->now) {
		if (!m->irq_pending)
			m->irq_since = m->now;
		m->irq_pending = true;
		m->irqs++;
		m->irq_at = next_at(m, m->irq_gap);
		if (m->running == SCHED_SERVICE)
			m->irq_pending = false;
		else if (m->running == SCHED_IDLE && m->guest[SCHED_SERVICE].asleep)
			sched_wake(&m->s, SCHED_SERVICE, m->now);
		else if (m->running == SCHED_USER && sched_take_interrupt(&m->s, m->irq_kind, m->now))
			m->taken = true;
		else
			sched_service_interrupt(&m->s, m->irq_kind, m->now);
	}
}

/* The scheduler may wake a guest that the machine thinks asleep: an interrupt, which makes it run. */
static inline void guest_runs(struct machine *m, u32 who)
{
	struct guest *g = &m->guest[who];

	if (g->asleep) {
		g->asleep = false;
		g->left = around(m, g->compute);
		g->waits_since = m->now;
	}
	if (m->now - g->waits_since > g->longest_wait)
		g->longest_wait = m->now - g->waits_since;
	if (who == SCHED_SERVICE && m->irq_pending) {
		if (m->now - m->irq_since > m->irq_longest)
			m->irq_longest = m->now - m->irq_since;
		m->irq_pending = false;
	}
}

static inline void advance(struct machine *m, u64 to)
{
	u64 ran = to - m->now;
	int i;

	for (i = 0; i < SCHED_SIDES; i++)
		m->guest[i].wanted += m->guest[i].asleep ? 0 : ran;
	if (m->running < SCHED_SIDES) {
		struct guest *g = &m->guest[m->running];

		g->got += ran;
		if (g->left != SCHED_NEVER)
			g->left -= ran < g->left ? ran : g->left;
		g->waits_since = to;
		if (m->s.why == SCHED_BOOSTED)
			m->boosted += ran;
	} else if (m->running == SCHED_IDLE) {
		m->idle += ran;
	}
	m->now = to;
}

static inline u64 earliest(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline void machine_step(struct machine *m, u64 until)
{
	u64 end, stop;
	bool unsafe = m->running < SCHED_SIDES &&
		random_below(&m->seed, 100) < m->guest[m->running].unsafe;
	u32 i;

	m->running = m->taken ? SCHED_SERVICE : sched_pick(&m->s, unsafe ? SCHED_HOLDS_LOCK : SCHED_SAFE, m->now);
	m->decisions++;
	m->quick += m->taken;
	m->taken = false;
	m->now += m->cost;
	for (i = 0; i < SCHED_SIDES; i++)
		m->guest[i].wanted += m->guest[i].asleep ? 0 : m->cost;
	end = sched_enter(&m->s, m->now);
	sched_check_choice(&m->s, m->running, end);
	if (m->running < SCHED_SIDES)
		guest_runs(m, m->running);
	if (end < m->now)
		end = m->now;
	if (end != SCHED_NEVER && m->late)
		end += random_below(&m->seed, m->late + 1);
	stop = earliest(earliest(end, until), earliest(m->irq_at, earliest(m->boost_at, m->yield_at)));
	for (i = 0; i < SCHED_SIDES; i++) {
		if (m->guest[i].asleep)
			stop = earliest(stop, m->guest[i].by_timer ? stop : m->guest[i].wakes_at);
		else if (i == m->running && m->guest[i].left != SCHED_NEVER)
			stop = earliest(stop, m->now + m->guest[i].left);
	}
	advance(m, stop < m->now ? m->now : stop);
	machine_events(m);
}

static inline void machine_run(struct machine *m, u64 ticks)
{
	u64 until = m->now + ticks;

	while (m->now < until)
		machine_step(m, until);
	sched_account(&m->s, m->now);
	sched_check(&m->s);
}

#endif
