// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler on a mock machine. The bounds are those of docs/scheduler.md; every run has a fixed seed, every call is
 * followed by sched_check().
 */
#include "unit.h"
#include "monitor/sched.c"
#include "sched_machine.h"

#define SEC(m)	(ms(m, 1000))

void sched_check_failed(const char *what, int line)
{
	fail_msg("sched_check, line %d: %s", line, what);
}

static const u32 clocks[] = { 24000, 1000000, 2399999, 5000000 };
static const u32 splits[] = { 10, 50, 100, 333, 500, 667, 900, 950, 990 };	/* the service's */

static void busy(struct machine *m, u32 khz, u32 s0)
{
	machine_start(m, khz, s0, 1000);
	m->cost = us(&m->s, 1);
	m->late = us(&m->s, 1);
	machine_set_going(m);
}

/* --- Shares ------------------------------------------------------------------------------------------------------- */

static void shares_of_a_machine(void **state)
{
	static const struct {
		u32 cpus, service_cpus, share, s0, min, max;
	} row[] = {
		{ 1, 0,  100,  100,   1, 1000 },
		{ 1, 0,    0,    0,   1, 1000 },
		{ 1, 0, 1000, 1000,   1, 1000 },
		{ 1, 0, 1001,    0,   1, 1000 },
		{ 4, 0,   50,  200,   1,  250 },	/* 95/5 */
		{ 4, 0,  100,  400,   1,  250 },	/* 90/10 */
		{ 4, 0,  200,  800,   1,  250 },	/* 80/20 */
		{ 4, 0,  250, 1000,   1,  250 },
		{ 4, 0,  251,    0,   1,  250 },
		{ 4, 0,  500,    0,   1,  250 },	/* 50/50 */
		{ 4, 1,  250,    0, 251,  500 },	/* the sibling's share alone */
		{ 4, 1,  300,  200, 251,  500 },
		{ 3, 1,  334,    2, 334,  666 },
		{ 3, 1,  666,  998, 334,  666 },
		{ 256, 0,  3,  768,   1,    3 },
		{ 0, 0,  100,    0, 1000,   0 },
		{ 2, 2,  100,    0, 1000,   0 },
		{ 0xffffffff, 0, 1, 0, 1, 0 },
	};
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct sched_split split = sched_shares(row[i].cpus, row[i].service_cpus, row[i].share);

		assert_int_equal(split.s0, row[i].s0);
		assert_int_equal(split.min, row[i].min);
		assert_int_equal(split.max, row[i].max);
	}
	assert_true(sched_share_auto(1, 900));
	assert_true(sched_share_auto(4, 499));
	assert_false(sched_share_auto(4, 500));
}

static void refusals(void **state)
{
	struct sched s;

	(void)state;
	assert_false(sched_init(&s, SCHED_MIN_KHZ - 1, 100, 0));
	assert_false(sched_init(&s, SCHED_MAX_KHZ + 1, 100, 0));
	assert_false(sched_init(&s, 1000000, 0, 0));
	assert_false(sched_init(&s, 1000000, 1001, 0));
	assert_true(sched_init(&s, 1000000, 1000, 0));
	assert_false(sched_set_shares(&s, 0, 0));
	assert_false(sched_set_shares(&s, 1001, 0));
	assert_false(sched_set_caps(&s, 0, 100, 0));
	assert_false(sched_set_caps(&s, 100, 1001, 0));
	assert_false(sched_set_skew(&s, SCHED_SKEW_MIN - 1, 0));
	assert_false(sched_set_skew(&s, SCHED_SKEW_MAX + 1, 0));
	assert_true(sched_set_skew(&s, 0, 0));
	sched_check(&s);
}

static double jain(u64 got0, u64 got1, u32 s0)
{
	double x = (double)got0 / s0, y = (double)got1 / (SCHED_WHOLE - s0);

	return (x + y) * (x + y) / (2 * (x * x + y * y));
}

/* Any second, not only the first: 20 windows at random places. */
static void both_busy(void **state)
{
	u32 i, j, window;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		for (j = 0; j < ARRAY_SIZE(splits); j++) {
			struct machine m;
			u32 s0 = splits[j];

			busy(&m, clocks[i], s0);
			for (window = 0; window < 20; window++) {
				u64 service, user, total;

				machine_run(&m, random_below(&m.seed, ms(&m, 200)));
				service = m.guest[0].got;
				user = m.guest[1].got;
				machine_run(&m, SEC(&m));
				service = m.guest[0].got - service;
				user = m.guest[1].got - user;
				total = service + user;
				assert_true(jain(service, user, s0) >= 0.999);
				assert_in_range(service * 1000 / total, s0 < 10 ? 0 : s0 - 10, s0 + 9);
			}
		}
	}
}

/* No fraction is ever lost: after 200 s the difference is still less than a request. */
static void no_drift(void **state)
{
	static const u32 odd[] = { 1, 7, 333, 501, 999 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		struct machine m;
		s64 off;

		busy(&m, 1234567, odd[i]);
		machine_run(&m, 200 * SEC(&m));
		off = (s64)(m.guest[0].got * 1000) - (s64)((m.guest[0].got + m.guest[1].got) * odd[i]);
		assert_int_equal(off, -m.s.side[0].lag);
		assert_int_equal(m.s.stats[0].forgiven + m.s.stats[1].forgiven, 0);
		assert_true(off <= m.s.side[0].limit && -off <= m.s.side[1].limit);
	}
}

/* All of the service, nothing of the user: the user gets what is left over, and only that. */
static void whole_share(void **state)
{
	struct machine m;

	(void)state;
	machine_start(&m, 1000000, 1000, 0);
	m.guest[0].compute = ms(&m, 3);
	m.guest[0].sleep = ms(&m, 3);
	machine_set_going(&m);
	machine_run(&m, 10 * SEC(&m));
	assert_int_equal(m.guest[0].got, m.guest[0].wanted);
	assert_int_equal(m.guest[0].got + m.guest[1].got, 10 * SEC(&m));
	assert_true(m.guest[1].got > 4 * SEC(&m));
}

/* --- Time --------------------------------------------------------------------------------------------------------- */

static void randomly(struct machine *m, u64 *seed)
{
	u32 i;

	machine_start(m, clocks[random_below(seed, ARRAY_SIZE(clocks))], 1 + random_below(seed, 1000),
		      random_u64(seed) >> (1 + random_below(seed, 63)));
	m->seed = random_u64(seed) | 1;
	m->cost = us(&m->s, random_below(seed, 3));
	m->late = us(&m->s, random_below(seed, 3));
	for (i = 0; i < SCHED_SIDES; i++) {
		m->guest[i].compute = random_below(seed, 3) ? us(&m->s, 1 + random_below(seed, 20000)) : 0;
		m->guest[i].sleep = us(&m->s, 1 + random_below(seed, 20000));
		m->guest[i].by_timer = random_below(seed, 2);
		m->guest[i].unsafe = random_below(seed, 101);
	}
	if (random_below(seed, 2)) {
		m->irq_gap = us(&m->s, 10 + random_below(seed, 5000));
		m->irq_kind = random_below(seed, 3);
	}
	if (random_below(seed, 2))
		m->boost_gap = us(&m->s, 10 + random_below(seed, 5000));
	if (random_below(seed, 2))
		m->yield_gap = us(&m->s, 10 + random_below(seed, 5000));
	if (random_below(seed, 3) == 0)
		sched_set_caps(&m->s, 100 + random_below(seed, 901), 100 + random_below(seed, 901), m->now);
	if (random_below(seed, 3) == 0)
		sched_set_skew(&m->s, SCHED_SKEW_MIN + random_below(seed, 5000), m->now);
	machine_set_going(m);
}

/* What the machine saw is what the scheduler booked, tick by tick. */
static void conservation(void **state)
{
	u64 seed = 42;
	u32 i, j;

	(void)state;
	for (i = 0; i < 300; i++) {
		struct machine m;
		u64 start;

		randomly(&m, &seed);
		start = m.now;
		for (j = 0; j < 10; j++) {
			machine_run(&m, ms(&m, 50));
			assert_int_equal(m.s.time[SCHED_SERVICE], m.guest[0].got);
			assert_int_equal(m.s.time[SCHED_USER], m.guest[1].got);
			assert_int_equal(m.s.time[SCHED_IDLE], m.idle);
			assert_int_equal(m.s.time[SCHED_MONITOR], m.decisions * m.cost);
			assert_int_equal(m.s.time[0] + m.s.time[1] + m.s.time[2] + m.s.time[3], m.now - start);
		}
	}
}

static void ten_years(void **state)
{
	struct machine m;
	u64 year = 5000000ull * 1000 * 86400 * 365;
	u32 i;

	(void)state;
	/* In steps of a quarter: both awake, one or both asleep, and no call in between. */
	machine_start(&m, 5000000, 100, 0);
	for (i = 0; i < 40; i++) {
		if (i & 1)
			sched_sleep(&m.s, i >> 1 & 1, SCHED_NEVER, m.now);
		else
			sched_wake(&m.s, i >> 1 & 1, m.now);
		sched_pick(&m.s, SCHED_SAFE, m.now);
		sched_check_choice(&m.s, m.s.cur, sched_enter(&m.s, m.now));
		m.now += year / 4;
		sched_set_caps(&m.s, i % 3 ? 200 : 1000, 900, m.now);
		sched_check(&m.s);
	}
	assert_int_equal(m.s.time[0] + m.s.time[1] + m.s.time[2] + m.s.time[3], 10 * year);
	assert_int_equal(sched_ns(5000000, 10 * year), 10ull * 365 * 86400 * 1000000000);
	/* And it is as good as on the first day. */
	sched_set_caps(&m.s, 1000, 1000, m.now);
	sched_wake(&m.s, SCHED_SERVICE, m.now);
	sched_wake(&m.s, SCHED_USER, m.now);
	m.running = m.s.cur;
	m.guest[0].waits_since = m.guest[1].waits_since = m.now;
	machine_set_going(&m);
	machine_run(&m, SEC(&m));
	assert_in_range(m.guest[0].got * 1000 / SEC(&m), 96, 104);
}

static void nanoseconds(void **state)
{
	u64 seed = 7;
	u32 i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		u32 khz = SCHED_MIN_KHZ + random_below(&seed, SCHED_MAX_KHZ - SCHED_MIN_KHZ + 1);
		u64 ticks = random_u64(&seed) >> (8 + random_below(&seed, 56));
		unsigned __int128 exact = (unsigned __int128)ticks * 1000000 / khz;

		if (exact >> 64)
			continue;
		assert_int_equal(sched_ns(khz, ticks), (u64)exact);
	}
}

/* The TSC is the service's: it may write it. Going back costs nobody anything, and nothing hangs. */
static void clock_goes_back(void **state)
{
	struct machine m;
	u64 service, user;

	(void)state;
	busy(&m, 1000000, 200);
	machine_run(&m, SEC(&m));
	service = m.s.time[0];
	user = m.s.time[1];
	m.now -= 900000000;
	sched_account(&m.s, m.now);
	assert_int_equal(m.s.time[0], service);
	assert_int_equal(m.s.time[1], user);
	m.guest[0].waits_since = m.guest[1].waits_since = m.now;
	machine_run(&m, SEC(&m));
	assert_int_equal(m.s.backwards, 1);
	assert_in_range(m.guest[0].got * 1000 / (m.guest[0].got + m.guest[1].got), 195, 205);
	assert_true(m.guest[1].longest_wait < ms(&m, 10));
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

/* The bound of the design in ticks: own request / own share + the other's request + graces. */
static u64 wait_bound(const struct machine *m, u32 who)
{
	const struct sched_side *me = &m->s.side[who], *other = &m->s.side[!who];
	u64 grace = us(&m->s, who == SCHED_SERVICE ? 2 * SCHED_USER_GRACE : SCHED_SERVICE_GRACE);

	return me->limit / me->weight + other->request + grace;
}

static void longest_wait_busy(void **state)
{
	u32 i, j, who;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		for (j = 0; j < ARRAY_SIZE(splits); j++) {
			struct machine m;

			busy(&m, clocks[i], splits[j]);
			m.cost = 0;
			m.late = 0;
			m.guest[0].unsafe = m.guest[1].unsafe = 50;
			machine_run(&m, 20 * SEC(&m));
			for (who = 0; who < SCHED_SIDES; who++) {
				assert_true(m.guest[who].longest_wait <= wait_bound(&m, who));
				assert_int_equal(m.guest[who].longest_wait, m.s.stats[who].longest_wait);
				if (m.s.side[who].weight >= 20)
					assert_int_equal(m.s.side[who].limit, m.s.side[who].request * SCHED_WHOLE);
			}
			if (splits[j] == 100)
				assert_true(m.guest[0].longest_wait <= ms(&m, 14));
			if (splits[j] == 900)
				assert_true(m.guest[1].longest_wait <= ms(&m, 41));
		}
	}
}

/* Whatever the guests do: sleep, wake, cause boosts and yields, hold locks. */
static void nobody_starves(void **state)
{
	u64 seed = 4711;
	u32 i, who;

	(void)state;
	for (i = 0; i < 500; i++) {
		struct machine m;

		randomly(&m, &seed);
		m.cost = 0;
		m.late = 0;
		m.irq_gap = 0;
		m.irq_at = SCHED_NEVER;
		sched_set_caps(&m.s, 1000, 1000, m.now);
		machine_run(&m, SEC(&m));
		for (who = 0; who < SCHED_SIDES; who++) {
			if (m.s.side[who].weight)
				assert_true(m.guest[who].longest_wait <= wait_bound(&m, who));
		}
	}
}

/* Interrupts break in, and a storm of them may slow the user, but never stop it; IPIs are the exception by design. */
static void interrupt_storm(void **state)
{
	static const enum sched_irq kind[] = { SCHED_IRQ_TICK, SCHED_IRQ_DEVICE };
	u32 i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kind); i++) {
		for (j = 0; j < ARRAY_SIZE(splits); j++) {
			struct machine m;
			u64 whole;

			machine_start(&m, 2000000, splits[j], 0);
			m.irq_gap = us(&m.s, 10);
			m.irq_kind = kind[i];
			machine_set_going(&m);
			machine_run(&m, 5 * SEC(&m));
			whole = m.guest[0].got + m.guest[1].got;
			assert_in_range(m.guest[0].got * 1000 / whole, splits[j] - 10, splits[j] + 9);
			assert_true(m.irq_longest <= us(&m.s, SCHED_DEFER));
			assert_true(m.guest[1].longest_wait <= wait_bound(&m, SCHED_USER));
		}
	}
}

static void interrupt_at_once(void **state)
{
	u32 j;

	(void)state;
	for (j = 0; j < ARRAY_SIZE(splits); j++) {
		struct machine m;

		machine_start(&m, 2000000, splits[j], 0);
		m.guest[0].compute = us(&m.s, 10);	/* a handler, then HLT */
		m.guest[0].sleep = SEC(&m);
		m.irq_gap = ms(&m, 5);
		m.irq_kind = SCHED_IRQ_TICK;
		machine_set_going(&m);
		machine_run(&m, 5 * SEC(&m));
		assert_true(m.irqs > 500);
		assert_true(m.irq_longest <= us(&m.s, SCHED_DEFER));
		if (splits[j] >= 50)
			assert_int_equal(m.irq_longest, 0);
	}
}

/* However small the share, 4 ms are the end of it; and nothing is left waiting once the service runs. */
static void deferral_ends(void **state)
{
	struct sched s;
	u64 now = 0, at;

	(void)state;
	sched_init(&s, 1000000, 1, now);
	sched_wake(&s, SCHED_USER, now);
	sched_pick(&s, SCHED_SAFE, now);
	sched_enter(&s, now);
	set_lag(&s, SCHED_SERVICE, -s.side[SCHED_SERVICE].limit);
	at = sched_service_interrupt(&s, SCHED_IRQ_TICK, now);
	assert_int_equal(at, us(&s, SCHED_DEFER));
	assert_int_equal(sched_service_interrupt(&s, SCHED_IRQ_DEVICE, now + 1000), at);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now + 1000), SCHED_USER);
	assert_int_equal(sched_enter(&s, now + 1000), at);
	now = at;
	assert_int_equal(sched_pick(&s, SCHED_HOLDS_LOCK, now), SCHED_SERVICE);
	assert_int_equal(s.why, SCHED_INTERRUPT);
	assert_int_equal(sched_enter(&s, now), now + us(&s, SCHED_WINDOW));
	/* Again, and an IPI takes it along. */
	now += us(&s, SCHED_WINDOW);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);
	sched_enter(&s, now);
	assert_true(sched_service_interrupt(&s, SCHED_IRQ_TICK, now + 1) > now + 1);
	assert_int_equal(sched_service_interrupt(&s, SCHED_IRQ_IPI, now + 2), now + 2);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now + 2), SCHED_SERVICE);
	assert_int_equal(s.defer_at, SCHED_NEVER);
	sched_enter(&s, now + 2);
	/* Again, and the user halts. */
	now += 100000;
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);
	sched_enter(&s, now);
	sched_sleep(&s, SCHED_SERVICE, SCHED_NEVER, now);
	assert_true(sched_service_interrupt(&s, SCHED_IRQ_TICK, now + 1) > now + 1);
	sched_sleep(&s, SCHED_USER, SCHED_NEVER, now + 2);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now + 2), SCHED_SERVICE);
}

/* Whatever the service owes: while the user has nothing to run, an interrupt does not wait. */
static void no_deferral_without_user(void **state)
{
	enum sched_irq kind;

	(void)state;
	for (kind = SCHED_IRQ_TICK; kind <= SCHED_IRQ_IPI; kind++) {
		struct sched s;
		u64 now = 0;

		sched_init(&s, 1000000, 100, now);
		sched_wake(&s, SCHED_USER, now);
		sched_pick(&s, SCHED_SAFE, now);
		sched_enter(&s, now);
		set_lag(&s, SCHED_SERVICE, -s.side[SCHED_SERVICE].limit);
		sched_sleep(&s, SCHED_USER, now + us(&s, 10000), now);
		assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_IDLE);
		assert_int_equal(sched_enter(&s, now), now + us(&s, 10000));
		now += us(&s, 1000);
		assert_int_equal(sched_service_interrupt(&s, kind, now), now);
		assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_SERVICE);
		assert_int_equal(s.why, SCHED_ALONE);
		assert_int_equal(sched_enter(&s, now), s.side[SCHED_USER].wake_at);
		/* it cost nothing, and the user comes first as soon as it wakes and the window is over */
		now += us(&s, SCHED_WINDOW);
		sched_wake(&s, SCHED_USER, now);
		assert_int_equal(s.side[SCHED_SERVICE].lag, -s.side[SCHED_SERVICE].limit);
		assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);
		/* a cap still holds */
		sched_enter(&s, now);
		sched_set_caps(&s, 10, SCHED_WHOLE, now);
		charge_budget(&s, SCHED_SERVICE, s.period);
		sched_sleep(&s, SCHED_SERVICE, SCHED_NEVER, now);
		sched_sleep(&s, SCHED_USER, SCHED_NEVER, now);
		if (kind != SCHED_IRQ_IPI)
			assert_int_equal(sched_service_interrupt(&s, kind, now), s.period_end);
	}
}

/* The short way of most interrupts decides as the long one; neither shares nor waits tell which was taken. */
static void short_way(void **state)
{
	static const u32 shares[] = { 50, 100, 500, 900 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct machine m;

		machine_start(&m, 2000000, shares[i], 0);
		m.irq_kind = SCHED_IRQ_TICK;
		m.irq_gap = ms(&m, 1);
		m.guest[SCHED_SERVICE].compute = ms(&m, 1) / 100;
		m.guest[SCHED_SERVICE].sleep = ms(&m, 5);
		machine_set_going(&m);
		machine_run(&m, ms(&m, 2000));
		assert_true(m.irqs > 1500 && m.quick > m.irqs * 8 / 10 && m.quick < m.irqs);
		assert_true(m.irq_longest <= us(&m.s, SCHED_DEFER));
		assert_int_equal(m.s.time[SCHED_IDLE], 0);
	}
}

static void mwait_is_bounded_idle(void **state)
{
	struct machine m;

	(void)state;
	busy(&m, 1000000, 100);
	m.guest[0].compute = us(&m.s, 2);
	machine_run(&m, ms(&m, 50));
	sched_sleep(&m.s, SCHED_SERVICE, m.now + ms(&m, 1), m.now);
	assert_int_equal(sched_pick(&m.s, SCHED_SAFE, m.now), SCHED_USER);
	assert_int_equal(sched_enter(&m.s, m.now), m.now + ms(&m, 1));
	m.now += ms(&m, 1);
	assert_int_equal(sched_pick(&m.s, SCHED_HOLDS_LOCK, m.now), SCHED_SERVICE);
	assert_true(sched_enter(&m.s, m.now) <= m.now + us(&m.s, SCHED_SERVICE_REQUEST));
}

/* --- Heuristics --------------------------------------------------------------------------------------------------- */

/* Heuristic 1: an idle side's time goes to the other one. */
static void donation(void **state)
{
	u32 i, sleeper;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(splits); i++) {
		for (sleeper = 0; sleeper < SCHED_SIDES; sleeper++) {
			struct machine m;
			u64 given;

			busy(&m, 2000000, splits[i]);
			m.guest[sleeper].compute = us(&m.s, 30);
			m.guest[sleeper].sleep = ms(&m, 4);
			machine_set_going(&m);
			machine_run(&m, 10 * SEC(&m));
			given = 10 * SEC(&m) - m.guest[sleeper].got;
			assert_true(m.guest[!sleeper].got * 1000 >= given * 995);
			assert_int_equal(m.idle, 0);
			assert_true((m.s.stats[!sleeper].alone + m.s.stats[sleeper].waited) * 1000 >= given * 990);
		}
	}
	/* Wholly idle: no slice, no exit. */
	for (sleeper = 0; sleeper < SCHED_SIDES; sleeper++) {
		struct sched s;

		sched_init(&s, 1000000, 500, 0);
		sched_wake(&s, !sleeper, 0);
		assert_int_equal(sched_pick(&s, SCHED_SAFE, 0), !sleeper);
		assert_int_equal(sched_enter(&s, 0), SCHED_NEVER);
	}
}

/* Time not wanted is not saved up: after a second of sleep the share is the share. */
static void sleep_is_no_savings_account(void **state)
{
	u32 who;

	(void)state;
	for (who = 0; who < SCHED_SIDES; who++) {
		struct machine m;
		u64 got;

		busy(&m, 1000000, 500);
		machine_run(&m, ms(&m, 33));
		sched_sleep(&m.s, who, SCHED_NEVER, m.now);
		m.guest[who].asleep = true;
		m.guest[who].wakes_at = m.now + SEC(&m);
		machine_run(&m, SEC(&m));
		got = m.guest[who].got;
		machine_run(&m, ms(&m, 100));
		assert_in_range(m.guest[who].got - got, ms(&m, 44), ms(&m, 56));
	}
}

static void lag_is_clamped(void **state)
{
	struct sched s;

	(void)state;
	sched_init(&s, 1000000, 500, 0);
	set_lag(&s, SCHED_SERVICE, s.side[SCHED_USER].limit);
	sched_sleep(&s, SCHED_SERVICE, SCHED_NEVER, 0);
	assert_int_equal(s.side[SCHED_SERVICE].lag, s.side[SCHED_SERVICE].limit);
	sched_set_shares(&s, 900, 0);
	set_lag(&s, SCHED_SERVICE, s.side[SCHED_USER].limit);
	sched_set_shares(&s, 100, 0);
	assert_int_equal(s.side[SCHED_USER].lag, -s.side[SCHED_USER].room);
	sched_check(&s);
}

/* A long time alone is many requests; the one that runs when the other side wakes is what the last of them leaves. */
static void request_goes_on_after_time_alone(void **state)
{
	struct sched s;
	u64 now = 18000000;	/* four requests and a half */

	(void)state;
	sched_init(&s, 1000000, 200, 0);
	sched_wake(&s, SCHED_USER, 0);
	sched_pick(&s, SCHED_SAFE, 0);
	sched_enter(&s, 0);
	sched_wake(&s, SCHED_SERVICE, now);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);
	assert_int_equal(sched_enter(&s, now), now + 2000000);
}

/* A sleep that ends before the next decision: the request that runs competes, however much of it seems to be left. */
static void short_sleep_wakes_at_once(void **state)
{
	struct sched s;
	u64 now = 0;

	(void)state;
	sched_init(&s, 1000000, 600, now);
	sched_wake(&s, SCHED_SERVICE, now);
	sched_wake(&s, SCHED_USER, now);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_SERVICE);
	now = sched_enter(&s, now);
	sched_sleep(&s, SCHED_USER, now, now);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);
}

/* Several requests in a row are one slice (and one more where the lag comes out at 0). */
static void no_needless_decisions(void **state)
{
	struct machine m;

	(void)state;
	machine_start(&m, 1000000, 900, 0);
	machine_set_going(&m);
	machine_run(&m, 10 * SEC(&m));
	assert_true(m.decisions <= 2 * (m.s.stats[0].switches + m.s.stats[1].switches));
}

/* Heuristic 2: the boosted side gets the CPU at once, and no storm gets more than the bucket or the share. */
static void boost_storm(void **state)
{
	static const u32 share[] = { 10, 50, 100, 500, 900 };
	u32 i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(share); i++) {
		struct machine m;
		u64 in_window[11] = { 0 };
		u64 sum = 0, before = 0;

		machine_start(&m, 2000000, share[i], 12345);
		m.boost_gap = us(&m.s, 20);
		m.guest[0].compute = ms(&m, 1);
		m.guest[0].sleep = ms(&m, 1);
		machine_set_going(&m);
		for (j = 0; j < 2000; j++) {
			machine_run(&m, ms(&m, 10));
			sum -= in_window[j % 11];
			in_window[j % 11] = m.boosted - before;
			sum += in_window[j % 11];
			before = m.boosted;
			/* 11 slices of 10 ms: any 100 ms lie within. */
			assert_true(sum <= us(&m.s, SCHED_BOOST_MAX));
		}
		/* And what the bucket has can be had, where the share allows. */
		if (share[i] == 50 || share[i] == 100)
			assert_true(m.boosted >= 20 * 9 * us(&m.s, SCHED_BOOST_MAX / 2));
		m.guest[0].compute = 0;
		m.guest[0].left = SCHED_NEVER;
		machine_run(&m, ms(&m, 100));
		sum = m.guest[0].got;
		machine_run(&m, SEC(&m));
		assert_in_range((m.guest[0].got - sum) * 1000 / SEC(&m), share[i] - 10, share[i] + 9);
	}
}

static void boost_comes_at_once(void **state)
{
	struct sched s;
	u64 now = 0;

	(void)state;
	sched_init(&s, 1000000, 100, now);
	sched_wake(&s, SCHED_USER, now);
	sched_pick(&s, SCHED_SAFE, now);
	sched_enter(&s, now);
	now += 500000;
	sched_wake(&s, SCHED_SERVICE, now);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);	/* its request is the more urgent one */
	sched_enter(&s, now);
	now += 100;
	assert_true(sched_boost(&s, now));
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_SERVICE);
	assert_int_equal(s.why, SCHED_BOOSTED);
	assert_int_equal(sched_enter(&s, now), now + us(&s, SCHED_BOOST));
	now += us(&s, SCHED_BOOST);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, now), SCHED_USER);
	assert_int_equal(s.side[SCHED_SERVICE].lag, 100 * 100 - 900 * (s64)us(&s, SCHED_BOOST));	/* charged */
}

/* The bucket pays for time out of turn only. */
static void boost_in_turn_is_free(void **state)
{
	struct sched s;

	(void)state;
	sched_init(&s, 1000000, 500, 0);
	sched_wake(&s, SCHED_USER, 0);
	sched_wake(&s, SCHED_SERVICE, 0);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, 0), SCHED_SERVICE);
	sched_enter(&s, 0);
	assert_true(sched_boost(&s, 10));
	sched_account(&s, 400010);
	assert_int_equal(s.boost_left, 100000);
	assert_int_equal(s.boost_sum, 0);
}

/* --- Caps --------------------------------------------------------------------------------------------------------- */

/* In no period more than the budget and what one slice may end late; in the long run not even that, and nothing less. */
static void caps_hold(void **state)
{
	static const struct {
		u32 s0, service, user;
	} row[] = {
		{ 500, 100, 1000 }, { 500, 1000, 300 }, { 900, 200, 333 }, { 100, 50, 1000 }, { 100, 1, 1000 },
		{ 500, 1000, 1 },
	};
	u32 i, j, who;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct machine m;
		u64 granule;
		u32 cap[SCHED_SIDES] = { row[i].service, row[i].user };
		u64 before[SCHED_SIDES] = { 0 };

		machine_start(&m, 2399999, row[i].s0, 0);
		m.late = us(&m.s, 2);
		granule = m.late + 1;
		sched_set_caps(&m.s, cap[0], cap[1], m.now);
		machine_set_going(&m);
		for (j = 0; j < 1000; j++) {
			machine_run(&m, m.s.period);
			for (who = 0; who < SCHED_SIDES; who++) {
				u64 budget = m.s.period * cap[who] / 1000 + 1;

				if (cap[who] != 1000)
					assert_true(m.guest[who].got - before[who] <= budget + granule);
				before[who] = m.guest[who].got;
			}
		}
		for (who = 0; who < SCHED_SIDES; who++) {
			u64 entitled = 1000 * m.s.period * cap[who] / 1000;

			if (cap[who] != 1000)
				assert_in_range(m.guest[who].got, entitled - granule, entitled + granule);
		}
	}
}

/* A side with nothing to do does not save up budget, one that slept gets its whole cap again. */
static void caps_lose_and_save_nothing(void **state)
{
	struct machine m;
	u64 got;

	(void)state;
	busy(&m, 1000000, 500);
	sched_set_caps(&m.s, 200, 1000, m.now);
	sched_sleep(&m.s, SCHED_SERVICE, SCHED_NEVER, m.now);
	m.guest[0].asleep = true;
	m.guest[0].wakes_at = m.now + SEC(&m);
	machine_run(&m, SEC(&m) + ms(&m, 5));
	got = m.guest[0].got;
	machine_run(&m, SEC(&m));
	assert_in_range(m.guest[0].got - got, ms(&m, 196), ms(&m, 204));
}

/* A decision that comes late: every tick is charged to the period in which it was used. */
static void periods_end_at_their_boundary(void **state)
{
	struct sched s;

	(void)state;
	sched_init(&s, 1000000, 500, 0);
	sched_set_caps(&s, 500, 1000, 0);
	sched_wake(&s, SCHED_SERVICE, 9000000);
	sched_pick(&s, SCHED_SAFE, 9000000);
	assert_int_equal(sched_enter(&s, 9000000), 10000000);
	sched_account(&s, 12000000);
	assert_int_equal(s.side[SCHED_SERVICE].budget, 3000000ll * SCHED_WHOLE);
	/* The monitor passes the end of a period, and the clock goes back before anybody sees it. */
	sched_pick(&s, SCHED_SAFE, 12000000);
	sched_enter(&s, 20000001);
	sched_account(&s, 0);
	sched_check(&s);
	assert_int_equal(s.period_end, 9999999);
}

static void capped_interrupts_wait_but_ipis(void **state)
{
	struct machine m;
	u32 kind;

	(void)state;
	for (kind = SCHED_IRQ_TICK; kind <= SCHED_IRQ_IPI; kind++) {
		machine_start(&m, 1000000, 500, 0);
		sched_set_caps(&m.s, 100, 1000, m.now);
		m.irq_gap = ms(&m, 3);
		m.irq_kind = kind;
		machine_set_going(&m);
		machine_run(&m, 10 * SEC(&m));
		assert_in_range(m.guest[0].got, 999 * ms(&m, 1), 1001 * ms(&m, 1));
		if (kind == SCHED_IRQ_IPI)
			assert_int_equal(m.irq_longest, 0);
		else
			assert_in_range(m.irq_longest, ms(&m, 5), us(&m.s, SCHED_PERIOD));
	}
}

/* --- Changes ------------------------------------------------------------------------------------------------------ */

static void changes_within_one_period(void **state)
{
	static const u32 from_to[][2] = { { 100, 900 }, { 900, 100 }, { 100, 500 }, { 500, 100 }, { 200, 800 } };
	u64 seed = 99;
	u32 i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(from_to); i++) {
		for (j = 0; j < 50; j++) {
			struct machine m;
			u64 got, bound;
			u32 s0 = from_to[i][1];

			busy(&m, 1000000, from_to[i][0]);
			machine_run(&m, ms(&m, 100) + random_below(&seed, ms(&m, 50)));
			assert_true(sched_set_shares(&m.s, s0, m.now));
			machine_run(&m, us(&m.s, SCHED_PERIOD));
			got = m.guest[0].got;
			machine_run(&m, ms(&m, 200));
			/* As exact from here on as if it had never been otherwise. */
			bound = m.s.side[0].room + m.s.side[1].room + ms(&m, 1) * 1000;
			assert_in_range((m.guest[0].got - got) * 1000, ms(&m, 200) * s0 - bound,
					ms(&m, 200) * s0 + bound);
		}
	}
}

static void cap_changes_within_one_period(void **state)
{
	struct machine m;
	u64 got;

	(void)state;
	busy(&m, 1000000, 500);
	sched_set_caps(&m.s, 900, 1000, m.now);
	machine_run(&m, ms(&m, 18));
	sched_set_caps(&m.s, 100, 1000, m.now);
	machine_run(&m, ms(&m, 10));
	got = m.guest[0].got;
	machine_run(&m, ms(&m, 100));
	assert_in_range(m.guest[0].got - got, ms(&m, 9), ms(&m, 11));
	sched_set_caps(&m.s, 1000, 1000, m.now);
	machine_run(&m, ms(&m, 10));
	got = m.guest[0].got;
	machine_run(&m, ms(&m, 100));
	assert_in_range(m.guest[0].got - got, ms(&m, 45), ms(&m, 55));
}

/* --- Locks -------------------------------------------------------------------------------------------------------- */

/* Both sides at a share of half; the one that runs reaches the end of its turn and is never safe. */
static void grace_is_bounded(void **state)
{
	static const struct {
		enum sched_who who;
		u32 length, times;
	} row[] = {
		{ SCHED_USER, 50, 2 },
		{ SCHED_SERVICE, 200, 1 },
	};
	u32 i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct sched s;
		u64 now = 0;

		sched_init(&s, 1000000, 500, now);
		sched_wake(&s, row[i].who, now);
		sched_pick(&s, SCHED_SAFE, now);
		sched_enter(&s, now);
		now += 100000;
		set_lag(&s, row[i].who, -1000);
		sched_wake(&s, !row[i].who, now);
		for (j = 0; j < row[i].times; j++) {
			assert_int_equal(sched_pick(&s, SCHED_HOLDS_LOCK, now), row[i].who);
			assert_true(s.grace);
			assert_int_equal(sched_enter(&s, now), now + us(&s, row[i].length));
			now += us(&s, row[i].length) / 2;	/* other exits do not use up a grace */
			assert_int_equal(sched_pick(&s, SCHED_HOLDS_LOCK, now), row[i].who);
			assert_int_equal(sched_enter(&s, now), now + us(&s, row[i].length) / 2);
			now += us(&s, row[i].length) / 2;
		}
		assert_int_equal(sched_pick(&s, SCHED_HOLDS_LOCK, now), !row[i].who);
		assert_int_equal(s.stats[row[i].who].graces, row[i].times);
		assert_int_equal(s.stats[row[i].who].preempted, 1);
	}
}

static void safe_ends_the_grace(void **state)
{
	struct sched s;

	(void)state;
	sched_init(&s, 1000000, 500, 0);
	sched_wake(&s, SCHED_USER, 0);
	sched_pick(&s, SCHED_SAFE, 0);
	sched_enter(&s, 0);
	set_lag(&s, SCHED_USER, -1000);
	sched_wake(&s, SCHED_SERVICE, 100);
	assert_int_equal(sched_pick(&s, SCHED_HOLDS_LOCK, 100), SCHED_USER);
	sched_enter(&s, 100);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, 10100), SCHED_SERVICE);
	assert_false(s.grace);
	assert_int_equal(s.stats[SCHED_USER].preempted, 0);
}

/* Every slice of both sides ends in a critical section: the shares hold nevertheless. */
static void graces_keep_the_shares(void **state)
{
	u32 s0;

	(void)state;
	for (s0 = 5; s0 < SCHED_WHOLE; s0 += 15) {
		struct machine m;

		machine_start(&m, 1000000, s0, 0);
		m.guest[0].unsafe = m.guest[1].unsafe = 100;
		machine_set_going(&m);
		machine_run(&m, 2 * SEC(&m));
		assert_in_range(m.guest[0].got * 500 / SEC(&m), s0 < 10 ? 0 : s0 - 10, s0 + 9);
	}
}

/* Other vCPUs spin for the user's, at any rate: it is run at once, charged, and the service keeps its share. */
static void directed_yields(void **state)
{
	static const u32 share[] = { 100, 500, 800 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(share); i++) {
		struct machine m;

		machine_start(&m, 1000000, share[i], 0);
		m.yield_gap = us(&m.s, 10);
		machine_set_going(&m);
		machine_run(&m, 10 * SEC(&m));
		assert_true(m.s.yields > 0 && m.s.yields_refused > 0);
		assert_in_range(m.guest[0].got * 1000 / (10 * SEC(&m)), share[i] - 2, share[i] + 1);
		assert_true(m.guest[0].longest_wait <= wait_bound(&m, SCHED_SERVICE));
	}
}

static void yield_comes_at_once(void **state)
{
	struct sched s;

	(void)state;
	sched_init(&s, 1000000, 800, 0);
	assert_false(sched_directed_yield(&s, 0));	/* asleep */
	sched_wake(&s, SCHED_USER, 0);
	sched_wake(&s, SCHED_SERVICE, 0);
	set_lag(&s, SCHED_SERVICE, 1000);
	assert_int_equal(sched_pick(&s, SCHED_SAFE, 0), SCHED_SERVICE);
	sched_enter(&s, 0);
	assert_true(sched_directed_yield(&s, 10));
	assert_int_equal(sched_pick(&s, SCHED_SAFE, 10), SCHED_USER);
	assert_int_equal(s.why, SCHED_YIELDED);
	assert_int_equal(sched_enter(&s, 10), 10 + us(&s, SCHED_BOOST));
}

static void skew_is_bounded(void **state)
{
	static const u32 share[] = { 100, 500, 700, 800, 900, 950, 970, 980 };
	u32 i, unsafe;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(share); i++) {
		for (unsafe = 0; unsafe <= 60; unsafe += 30) {
			struct machine m;

			machine_start(&m, 1000000, share[i], 0);
			assert_true(sched_set_skew(&m.s, 3000, 0));
			m.guest[0].unsafe = m.guest[1].unsafe = unsafe;
			machine_set_going(&m);
			machine_run(&m, 10 * SEC(&m));
			assert_true(m.guest[1].longest_wait <= (unsafe ? wait_bound(&m, SCHED_USER) : ms(&m, 3)));
			assert_in_range(m.guest[0].got * 1000 / (10 * SEC(&m)), share[i] - 10, share[i] + 9);
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(shares_of_a_machine),
	cmocka_unit_test(refusals),
	cmocka_unit_test(both_busy),
	cmocka_unit_test(no_drift),
	cmocka_unit_test(whole_share),
	cmocka_unit_test(conservation),
	cmocka_unit_test(ten_years),
	cmocka_unit_test(nanoseconds),
	cmocka_unit_test(clock_goes_back),
	cmocka_unit_test(longest_wait_busy),
	cmocka_unit_test(nobody_starves),
	cmocka_unit_test(interrupt_storm),
	cmocka_unit_test(interrupt_at_once),
	cmocka_unit_test(deferral_ends),
	cmocka_unit_test(no_deferral_without_user),
	cmocka_unit_test(short_way),
	cmocka_unit_test(mwait_is_bounded_idle),
	cmocka_unit_test(donation),
	cmocka_unit_test(sleep_is_no_savings_account),
	cmocka_unit_test(request_goes_on_after_time_alone),
	cmocka_unit_test(short_sleep_wakes_at_once),
	cmocka_unit_test(no_needless_decisions),
	cmocka_unit_test(lag_is_clamped),
	cmocka_unit_test(boost_storm),
	cmocka_unit_test(boost_comes_at_once),
	cmocka_unit_test(boost_in_turn_is_free),
	cmocka_unit_test(caps_hold),
	cmocka_unit_test(caps_lose_and_save_nothing),
	cmocka_unit_test(periods_end_at_their_boundary),
	cmocka_unit_test(capped_interrupts_wait_but_ipis),
	cmocka_unit_test(changes_within_one_period),
	cmocka_unit_test(cap_changes_within_one_period),
	cmocka_unit_test(grace_is_bounded),
	cmocka_unit_test(safe_ends_the_grace),
	cmocka_unit_test(graces_keep_the_shares),
	cmocka_unit_test(directed_yields),
	cmocka_unit_test(yield_comes_at_once),
	cmocka_unit_test(skew_is_bounded),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
