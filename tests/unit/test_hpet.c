// SPDX-License-Identifier: GPL-2.0-only
/* HPET: IA-PC HPET specification 1.0a, chapter 2. */
#include "unit.h"
#include "vdev/hpet.h"

#define TSC_KHZ		3000000u		/* 30 TSC ticks are one of the counter */
#define TICK		30u
#define TEN_YEARS	(10ull * 366 * 86400 * 1000 * TSC_KHZ)

#define CONFIG		0x010
#define STATUS		0x020
#define COUNTER		0x0f0
#define TIMER(n)	(0x100 + 0x20 * (n))
#define COMPARATOR(n)	(0x108 + 0x20 * (n))

#define LEVEL		0x002
#define ENABLE		0x004
#define PERIODIC	0x008
#define VALUE_SET	0x040
#define BITS32		0x100
#define ROUTE(pin)	((u64)(pin) << 9)

static struct hpet hpet;
static struct bus bus;
static u32 edges[32];
static bool level[32];
static u32 rises[32];
static bool merging;		/* the guest does not take its edges now */

static bool on_edge(void *ctx, u32 pin)
{
	(void)ctx;
	if (merging)
		return false;
	edges[pin]++;
	return true;
}

static void on_level(void *ctx, u32 pin, bool asserted)
{
	(void)ctx;
	assert_int_not_equal(level[pin], asserted);
	level[pin] = asserted;
	rises[pin] += asserted;
}

static void start_with(u32 tsc_khz)
{
	static const struct hpet_ops ops = { on_edge, on_level };

	memset(edges, 0, sizeof(edges));
	memset(rises, 0, sizeof(rises));
	memset(level, 0, sizeof(level));
	merging = false;
	hpet_init(&hpet, &ops, NULL, tsc_khz);
	bus_init(&bus);
	assert_true(bus_map(&bus, HPET_BASE, hpet_rows, HPET_ROWS, &hpet));
}

static int start(void **state)
{
	(void)state;
	start_with(TSC_KHZ);
	return 0;
}

static u64 get(u32 offset, u64 now)
{
	return bus_read(&bus, HPET_BASE + offset, 8, now);
}

static u32 get32(u32 offset, u64 now)
{
	return (u32)bus_read(&bus, HPET_BASE + offset, 4, now);
}

static void put(u32 offset, u64 value, u64 now)
{
	bus_write(&bus, HPET_BASE + offset, 8, value, now);
}

static void put32(u32 offset, u32 value, u64 now)
{
	bus_write(&bus, HPET_BASE + offset, 4, value, now);
}

static void registers(void **state)
{
	u32 n;

	(void)state;
	assert_true(get(0, 0) == (10000000ull << 32 | 0x8086a201));
	assert_int_equal(get32(4, 0), 10000000);
	put(0, ~0ull, 0);
	assert_true(get(0, 0) == (10000000ull << 32 | 0x8086a201));
	for (n = 0; n < 3; n++) {
		assert_true(get(TIMER(n), 0) == 0x00f0000000000030);
		assert_true(get(COMPARATOR(n), 0) == ~0ull);
		put(TIMER(n), ~0ull, 0);	/* route 31 is not offered */
		assert_true(get(TIMER(n), 0) == 0x00f000000000017e);
		put(TIMER(n), ROUTE(21), 0);
		assert_true(get(TIMER(n), 0) == (0x00f0000000000030 | ROUTE(21)));
		put(TIMER(n), ROUTE(3), 0);
		assert_true(get(TIMER(n), 0) == (0x00f0000000000030 | ROUTE(21)));
		put(TIMER(n) + 0x10, ~0ull, 0);	/* no FSB interrupts */
		assert_int_equal(get(TIMER(n) + 0x10, 0), 0);
	}
	put(CONFIG, ~0ull, 0);
	assert_int_equal(get(CONFIG, 0), 3);
	assert_true(hpet_replaces_legacy(&hpet));
	assert_int_equal(get(0x160, 0), 0);
	assert_int_equal(get(0x3f8, 0), 0);
	assert_int_equal(hpet_read(&hpet, 0xf4, 8, 0), 0);
	assert_int_equal(hpet_read(&hpet, 0xfffffff8, 8, 0), 0);
	hpet_write(&hpet, 0xfffffff8, 8, ~0ull, 0);
	hpet_reset(&hpet);
	assert_int_equal(get(CONFIG, 0), 0);
}

static void counter(void **state)
{
	(void)state;
	assert_int_equal(get(COUNTER, 3000), 0);
	put(COUNTER, 1000, 3000);
	assert_int_equal(get(COUNTER, 6000), 1000);
	put(CONFIG, 1, 6000);
	assert_int_equal(get(COUNTER, 6029), 1000);
	assert_int_equal(get(COUNTER, 6030), 1001);
	put(COUNTER, 5, 6030);				/* running: not written */
	assert_int_equal(get(COUNTER, 9000), 1100);
	put(CONFIG, 0, 9000);
	assert_int_equal(get(COUNTER, 12000), 1100);
	put32(COUNTER + 4, 0xffffffff, 12000);
	put32(COUNTER, 0xfffffffe, 12000);
	put(CONFIG, 1, 12000);
	assert_int_equal(get32(COUNTER + 4, 12030), 0xffffffff);
	assert_int_equal(get(COUNTER, 12000 + 2 * TICK), 0);	/* 64 bits wrap */
}

static void one_shot(void **state)
{
	(void)state;
	put(CONFIG, 1, 0);
	put(TIMER(2), ENABLE | ROUTE(20), 0);
	put(COMPARATOR(2), 100, 0);
	assert_int_equal(hpet_next_deadline(&hpet, 0), 100 * TICK);
	hpet_advance(&hpet, 100 * TICK - 1);
	assert_int_equal(edges[20], 0);
	hpet_advance(&hpet, 100 * TICK);
	assert_int_equal(edges[20], 1);
	assert_true(hpet_next_deadline(&hpet, 100 * TICK) == CLOCK_NEVER);
	put(COMPARATOR(2), 50, 200 * TICK);		/* a little late: at once */
	assert_int_equal(edges[20], 2);
	put(COMPARATOR(2), 300, 200 * TICK);
	put(TIMER(2), ROUTE(20), 250 * TICK);		/* interrupts off: nobody needs to look */
	assert_true(hpet_next_deadline(&hpet, 250 * TICK) == CLOCK_NEVER);
	hpet_advance(&hpet, 400 * TICK);
	assert_int_equal(edges[20], 2);
	put(TIMER(2), ENABLE | ROUTE(20), 400 * TICK);	/* a match of the past does not come again */
	hpet_advance(&hpet, 500 * TICK);
	assert_int_equal(edges[20], 2);
	put(COMPARATOR(2), 1000, 500 * TICK);
	put(CONFIG, 0, 600 * TICK);			/* halted: no match */
	hpet_advance(&hpet, 5000 * TICK);
	assert_int_equal(edges[20], 2);
	put(CONFIG, 1, 6000 * TICK);			/* goes on at 600 */
	assert_int_equal(hpet_next_deadline(&hpet, 6000 * TICK), 6400 * TICK);
}

static void thirty_two_bits_wrap(void **state)
{
	u64 wrap = 1ull << 32;

	(void)state;
	put(COUNTER, 0xfffffff0, 0);
	put(CONFIG, 1, 0);
	put(TIMER(1), ENABLE | BITS32 | ROUTE(21), 0);
	put(COMPARATOR(1), 0x1200000010, 0);
	assert_int_equal(get(COMPARATOR(1), 0), 0x10);
	put32(COMPARATOR(1) + 4, 0x77, 0);
	assert_int_equal(get(COMPARATOR(1), 0), 0x10);
	assert_int_equal(hpet_next_deadline(&hpet, 0), 0x20 * TICK);
	hpet_advance(&hpet, 0x20 * TICK);
	assert_int_equal(edges[21], 1);
	assert_true(hpet_next_deadline(&hpet, 0x20 * TICK) == (0x20 + wrap) * TICK);	/* once per wrap */
	hpet_advance(&hpet, (0x20 + 5 * wrap) * TICK);
	assert_true(hpet_next_deadline(&hpet, (0x20 + 5 * wrap) * TICK) == (0x20 + 6 * wrap) * TICK);
}

/* What Linux does: VAL_SET and first match, then the period. */
static void periodic_as_linux_sets_it(void **state)
{
	(void)state;
	put(CONFIG, 1, 0);
	put32(TIMER(0), ENABLE | PERIODIC | VALUE_SET | BITS32 | (u32)ROUTE(22), 500 * TICK);
	put32(COMPARATOR(0), 10500, 500 * TICK);
	put32(COMPARATOR(0), 10000, 600 * TICK);
	assert_int_equal(get32(TIMER(0), 600 * TICK) & VALUE_SET, 0);
	assert_int_equal(hpet_next_deadline(&hpet, 600 * TICK), 10500 * TICK);
	hpet_advance(&hpet, 10500 * TICK);
	assert_int_equal(edges[22], 1);
	assert_int_equal(get(COMPARATOR(0), 10500 * TICK), 20500);
	assert_int_equal(hpet_next_deadline(&hpet, 10500 * TICK), 20500 * TICK);
}

/* 2.3.9.2.2: halted, cleared, VAL_SET, one write, enabled. */
static void periodic_as_the_specification_sets_it(void **state)
{
	u32 i;

	(void)state;
	put(TIMER(0), ENABLE | PERIODIC | VALUE_SET | ROUTE(22), 0);
	put(COMPARATOR(0), 10000, 0);
	put(CONFIG, 3, 7);		/* legacy replacement: pin 2 */
	for (i = 1; i <= 1000; i++) {
		hpet_advance(&hpet, (u64)i * 10000 * TICK);
		assert_int_equal(edges[2], i);
	}
	assert_int_equal(edges[22], 0);
	put(TIMER(1), ENABLE, (u64)i * 10000 * TICK);
	put(COMPARATOR(1), i * 10000 + 10, (u64)i * 10000 * TICK);
	hpet_advance(&hpet, (u64)i * 10010 * TICK);
	assert_int_equal(edges[8], 1);
}

static void periodic_ticks_are_not_lost(void **state)
{
	u64 now;

	(void)state;
	put(CONFIG, 1, 0);
	put(TIMER(0), ENABLE | PERIODIC | VALUE_SET | ROUTE(22), 0);
	put(COMPARATOR(0), 100000, 0);			/* 1 ms */
	hpet_advance(&hpet, 4100000ull * TICK);		/* 41 ms away */
	assert_int_equal(edges[22], 1);
	for (now = 4100000ull * TICK; now < 5500000ull * TICK; now = hpet_next_deadline(&hpet, now))
		hpet_advance(&hpet, now);
	assert_int_equal(edges[22], 54);		/* 41 and 13: caught up within 14 ms */
	merging = true;
	hpet_advance(&hpet, 6500000ull * TICK);
	assert_int_equal(edges[22], 54);
	merging = false;
	for (now = 6500000ull * TICK; now < 7050000ull * TICK; now = hpet_next_deadline(&hpet, now))
		hpet_advance(&hpet, now);
	assert_int_equal(edges[22], 70);
	hpet_advance(&hpet, 1000000000ull * TICK);
	assert_int_equal(hpet.timer[0].backlog, HPET_MAX_BACKLOG);
	assert_int_equal(hpet.timer[0].lost, 10000 - 70 - HPET_MAX_BACKLOG - 1);
	merging = true;
	hpet_advance(&hpet, 1000500000ull * TICK);
	assert_int_equal(hpet.timer[0].backlog, HPET_MAX_BACKLOG);
}

static void level_triggered(void **state)
{
	(void)state;
	put(CONFIG, 1, 0);
	put(TIMER(1), LEVEL | ENABLE | PERIODIC | VALUE_SET | ROUTE(23), 0);
	put(COMPARATOR(1), 10000, 0);
	hpet_advance(&hpet, 10000 * TICK);
	assert_true(level[23]);
	assert_int_equal(get(STATUS, 10000 * TICK), 2);
	put(STATUS, 1, 10000 * TICK);			/* another timer's bit */
	assert_true(level[23]);
	put(STATUS, 2, 10000 * TICK);
	assert_false(level[23]);
	hpet_advance(&hpet, 40000 * TICK);		/* three periods: one up, two wait for the guest */
	put(STATUS, 2, 40000 * TICK);
	put(STATUS, 2, 40000 * TICK);
	assert_true(level[23]);
	put(STATUS, 2, 40000 * TICK);
	assert_false(level[23]);
	assert_int_equal(rises[23], 4);
	hpet_advance(&hpet, 50000 * TICK);
	put(TIMER(1), LEVEL | PERIODIC | ROUTE(23), 50000 * TICK);	/* interrupt off, status stays */
	assert_false(level[23]);
	assert_int_equal(get(STATUS, 50000 * TICK), 2);
	put(TIMER(1), LEVEL | ENABLE | PERIODIC | ROUTE(20), 50000 * TICK);
	assert_true(level[20]);
	put(TIMER(1), ENABLE | PERIODIC | ROUTE(20), 50000 * TICK);	/* edge: there is no status */
	assert_false(level[20]);
	assert_int_equal(get(STATUS, 50000 * TICK), 0);
	put(TIMER(1), LEVEL | ENABLE | PERIODIC | ROUTE(20), 50000 * TICK);
	hpet_advance(&hpet, 60000 * TICK);
	assert_true(level[20]);
	put(CONFIG, 0, 60000 * TICK);			/* halted: no interrupts */
	assert_false(level[20]);
	put(CONFIG, 3, 60000 * TICK);			/* legacy: the line moves */
	assert_true(level[8]);
	hpet_reset(&hpet);
	assert_false(level[8]);
}

static void hostile_period(void **state)
{
	u64 now = 0, next;
	u32 i;

	(void)state;
	put(CONFIG, 1, 0);
	put(TIMER(0), ENABLE | PERIODIC | VALUE_SET | ROUTE(22), 0);
	put(COMPARATOR(0), 1, 0);
	merging = true;
	for (i = 0; i < 1000; i++) {
		next = hpet_next_deadline(&hpet, now);
		assert_true(next >= now + 4999 * TICK);
		now = next;
		hpet_advance(&hpet, now);
	}
	hpet_advance(&hpet, TEN_YEARS);
	assert_true(hpet_next_deadline(&hpet, TEN_YEARS) > TEN_YEARS);
	put(COMPARATOR(0), 0, TEN_YEARS);		/* no period at all */
	hpet_advance(&hpet, TEN_YEARS + 1000);
}

/* The counter is floor(t · 100 MHz / TSC) for ten years, and each match comes at the first TSC tick that shows it. */
static void no_drift(void **state)
{
	static const u32 khz[] = { 400000, 1000003, 2893201, 2999999, 7999993 };
	u64 seed = 3, now;
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		start_with(khz[i]);
		put(CONFIG, 1, 0);
		put(TIMER(0), ENABLE | ROUTE(20), 0);
		for (now = 0; now < TEN_YEARS; now += random_below(&seed, TEN_YEARS / 500)) {
			u64 count = (u64)((unsigned __int128)now * HPET_KHZ / khz[i]), due, ahead, fired = edges[20];

			assert_true(get(COUNTER, now) == count);
			ahead = 1 + random_below(&seed, 1000000);
			put(COMPARATOR(0), count + ahead, now);
			due = hpet_next_deadline(&hpet, now);
			assert_true(get(COUNTER, due) == count + ahead);
			assert_true(get(COUNTER, due - 1) == count + ahead - 1);
			hpet_advance(&hpet, due - 1);
			assert_int_equal(edges[20], fired);
			hpet_advance(&hpet, due);
			assert_int_equal(edges[20], fired + 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers, start),
		cmocka_unit_test_setup(counter, start),
		cmocka_unit_test_setup(one_shot, start),
		cmocka_unit_test_setup(thirty_two_bits_wrap, start),
		cmocka_unit_test_setup(periodic_as_linux_sets_it, start),
		cmocka_unit_test_setup(periodic_as_the_specification_sets_it, start),
		cmocka_unit_test_setup(periodic_ticks_are_not_lost, start),
		cmocka_unit_test_setup(level_triggered, start),
		cmocka_unit_test_setup(hostile_period, start),
		cmocka_unit_test_setup(no_drift, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
