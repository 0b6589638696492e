// SPDX-License-Identifier: GPL-2.0-only
/* The local APIC's timer: SDM volume 3, 11.5.4, and properties of its time over ten years. */
#include "unit.h"
#include "lapics.h"

#define VECTOR		0xec
#define ONE_SHOT	VECTOR
#define PERIODIC	(0x20000 | VECTOR)
#define DEADLINE	(0x40000 | VECTOR)
#define MASKED		0x10000
#define DIVIDE_BY_1	0xb
#define TEN_YEARS	(10ull * 366 * 86400 * 1000 * TSC_KHZ)

static struct lapics all;
static struct lapic *const lapic = &all.lapic[0];

static void put_at(u32 offset, u32 value, u64 now)
{
	lapic_mmio_write(lapic, offset, 4, value, now);
}

static u32 count_at(u64 now)
{
	return (u32)lapic_mmio_read(lapic, LAPIC_TIMER_CURRENT, 4, now);
}

static void start_with(u32 tsc_khz, u32 bus_khz, u32 lvt)
{
	lapics_init_with(&all, 1, ALL_FEATURES, tsc_khz, bus_khz);
	put_at(LAPIC_SVR, 0x1ff, 0);
	put_at(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1, 0);
	put_at(LAPIC_LVT_TIMER, lvt, 0);
}

/* Takes and finishes what is pending; how many interrupts came? */
static u32 drain(u64 now)
{
	u32 n = 0;
	int vector;

	for (; (vector = lapic_pending(lapic)) >= 0; n++) {
		assert_int_equal(vector, VECTOR);
		lapic_accept(lapic, (u8)vector);
		put_at(LAPIC_EOI, 0, now);
	}
	return n;
}

static void one_shot_counts_down(void **state)
{
	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, ONE_SHOT);		/* 3 TSC ticks a count */
	put_at(LAPIC_TIMER_INITIAL, 1000, 30);
	assert_int_equal(count_at(30), 1000);
	assert_int_equal(count_at(32), 1000);
	assert_int_equal(count_at(33), 999);
	assert_int_equal(count_at(3029), 1);
	assert_int_equal(lapic_next_deadline(lapic, 3029), 3030);
	assert_int_equal(drain(3029), 0);
	lapic_advance(lapic, 3029);
	assert_int_equal(drain(3029), 0);
	lapic_advance(lapic, 3030);
	assert_int_equal(drain(3030), 1);
	assert_int_equal(count_at(3030), 0);
	assert_int_equal(lapic_next_deadline(lapic, 3030), LAPIC_NEVER);
	lapic_advance(lapic, 99999);
	assert_int_equal(drain(99999), 0);
	put_at(LAPIC_TIMER_INITIAL, 1000, 100000);
	put_at(LAPIC_TIMER_INITIAL, 0, 100001);		/* 0 stops it */
	assert_int_equal(lapic_next_deadline(lapic, 100001), LAPIC_NEVER);
}

static void dividers(void **state)
{
	static const struct { u32 value, divider; } rows[] = {
		{ 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 }, { 0x3, 16 }, { 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 },
	};
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		start_with(TSC_KHZ, BUS_KHZ, ONE_SHOT);
		put_at(LAPIC_TIMER_DIVIDE, rows[i].value, 0);
		put_at(LAPIC_TIMER_INITIAL, 0xffffffff, 0);
		assert_true(lapic_next_deadline(lapic, 0) == 3ull * 0xffffffff * rows[i].divider);
		assert_int_equal(count_at(3 * rows[i].divider * 10), 0xffffffff - 10);
	}
}

static void divider_changes_while_counting(void **state)
{
	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, ONE_SHOT);
	put_at(LAPIC_TIMER_INITIAL, 1000, 0);
	put_at(LAPIC_TIMER_DIVIDE, 1, 1500);		/* 500 left, by 4 from here */
	assert_int_equal(count_at(1500), 500);
	assert_int_equal(lapic_next_deadline(lapic, 1500), 1500 + 500 * 12);
}

static void periodic_ticks_wait_for_eois(void **state)
{
	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, PERIODIC);
	put_at(LAPIC_TIMER_INITIAL, 1000000, 0);	/* 1 ms */
	assert_int_equal(lapic_next_deadline(lapic, 0), 3000000);
	lapic_advance(lapic, 3000000);
	assert_int_equal(lapic_next_deadline(lapic, 3000000), 6000000);
	assert_int_equal(drain(3000000), 1);
	lapic_advance(lapic, 41ull * 3000000);		/* 40 ms away */
	assert_int_equal(drain(41ull * 3000000), 40);
	assert_int_equal(drain(41ull * 3000000), 0);
	lapic_advance(lapic, 5041ull * 3000000);	/* 5 s: the backlog is bounded and the rest is counted */
	assert_int_equal(drain(0), LAPIC_MAX_BACKLOG + 1);
	assert_int_equal(lapic->timer.lost, 5000 - LAPIC_MAX_BACKLOG - 1);
	lapic_advance(lapic, 5051ull * 3000000);
	put_at(LAPIC_TIMER_INITIAL, 1000000, 5051ull * 3000000);	/* programmed anew: no more of the old */
	assert_int_equal(drain(0), 1);
	assert_int_equal(count_at(5051ull * 3000000 + 1500000), 500000);
}

/* Whoever changes vector, mask or mode does not want the ticks of before. */
static void lvt_change_forgets_the_backlog(void **state)
{
	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, PERIODIC);
	put_at(LAPIC_TIMER_INITIAL, 1000000, 0);
	lapic_advance(lapic, 41ull * 3000000);
	put_at(LAPIC_LVT_TIMER, PERIODIC, 41ull * 3000000);		/* no change */
	assert_int_equal(lapic->timer.backlog, 40);
	put_at(LAPIC_LVT_TIMER, PERIODIC | MASKED, 41ull * 3000000);
	put_at(LAPIC_LVT_TIMER, PERIODIC, 41ull * 3000000);
	assert_int_equal(drain(41ull * 3000000), 1);
}

static void backlog_wants_eoi_exits(void **state)
{
	u64 map[4];

	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, PERIODIC);
	put_at(LAPIC_TIMER_INITIAL, 1000000, 0);
	lapic_advance(lapic, 3000000);
	lapic_eoi_exits(lapic, map);
	assert_int_equal(map[3], 0);
	lapic_advance(lapic, 6000000);
	lapic_eoi_exits(lapic, map);
	assert_int_equal(map[3], 1ull << (VECTOR - 192));
	lapic_accept(lapic, VECTOR);
	lapic->page[(LAPIC_ISR + VECTOR / 32 * 16) / 4] = 0;	/* the hardware's EOI */
	lapic_eoi_exit(lapic, VECTOR);
	assert_int_equal(drain(0), 1);
}

static void masked_ticks_are_gone(void **state)
{
	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, PERIODIC | MASKED);
	put_at(LAPIC_TIMER_INITIAL, 1000, 0);
	assert_int_equal(lapic_next_deadline(lapic, 0), LAPIC_NEVER);
	assert_int_equal(count_at(3000 * 10 + 3), 999);
	put_at(LAPIC_LVT_TIMER, PERIODIC, 3000 * 20 + 3);
	assert_int_equal(drain(0), 0);
	lapic_advance(lapic, 3000 * 21);
	assert_int_equal(drain(0), 1);
	put_at(LAPIC_LVT_TIMER, ONE_SHOT, 3000 * 21);	/* the mode is asked when the count ends */
	lapic_advance(lapic, 3000 * 30);
	assert_int_equal(drain(0), 1);
	assert_int_equal(count_at(3000 * 30), 0);
}

/* A period of one bus tick neither hangs the model nor asks for more than 20,000 looks a second. */
static void hostile_period(void **state)
{
	u64 now = 0, next;
	u32 i;

	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, PERIODIC);
	put_at(LAPIC_TIMER_INITIAL, 1, 0);
	for (i = 0; i < 1000; i++) {
		next = lapic_next_deadline(lapic, now);
		assert_true(next >= now + TSC_KHZ / 20);
		now = next;
		lapic_advance(lapic, now);
		assert_true(lapic->timer.backlog <= LAPIC_MAX_BACKLOG);
	}
	lapic_advance(lapic, TEN_YEARS);
	assert_true(lapic_next_deadline(lapic, TEN_YEARS) > TEN_YEARS);
	put_at(LAPIC_LVT_TIMER, 0x20000, TEN_YEARS);	/* an illegal vector is an error, not an interrupt */
	lapic_advance(lapic, 2 * TEN_YEARS);
	put_at(LAPIC_ESR, 0, 2 * TEN_YEARS);
	assert_int_equal(get(&all, 0, LAPIC_ESR), 0x40);
}

static void tsc_deadline(void **state)
{
	u64 value;

	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, ONE_SHOT);
	assert_true(lapic_msr_write(lapic, 0x6e0, 5000, 0));	/* other modes ignore it */
	assert_true(lapic_msr_read(lapic, 0x6e0, &value, 0));
	assert_int_equal(value, 0);
	put_at(LAPIC_TIMER_INITIAL, 1000, 0);
	put_at(LAPIC_LVT_TIMER, DEADLINE, 0);			/* disarms */
	assert_int_equal(lapic_next_deadline(lapic, 0), LAPIC_NEVER);
	put_at(LAPIC_TIMER_INITIAL, 1000, 0);			/* ignored */
	assert_int_equal(count_at(10), 0);
	assert_true(lapic_msr_write(lapic, 0x6e0, 5000, 10));
	assert_true(lapic_msr_read(lapic, 0x6e0, &value, 4999));
	assert_int_equal(value, 5000);
	assert_int_equal(lapic_next_deadline(lapic, 4999), 5000);
	lapic_advance(lapic, 5000);
	assert_int_equal(drain(5000), 1);
	assert_true(lapic_msr_read(lapic, 0x6e0, &value, 5000));
	assert_int_equal(value, 0);
	assert_true(lapic_msr_write(lapic, 0x6e0, 4000, 5001));	/* in the past: at once */
	assert_int_equal(drain(5001), 1);
	assert_true(lapic_msr_write(lapic, 0x6e0, ~0ull, 5002));
	assert_true(lapic_next_deadline(lapic, 5002) >= ~0ull - 1);
	assert_true(lapic_msr_write(lapic, 0x6e0, 0, 5002));
	assert_int_equal(lapic_next_deadline(lapic, 5002), LAPIC_NEVER);
}

/* The guest moves its TSC: deadlines are in its time, the model's now is not. */
static void tsc_offset(void **state)
{
	(void)state;
	start_with(TSC_KHZ, BUS_KHZ, DEADLINE);
	lapic_set_tsc_offset(lapic, (u64)-900, 1000);		/* the guest's TSC is 100 */
	assert_true(lapic_msr_write(lapic, 0x6e0, 250, 1000));
	assert_int_equal(lapic_next_deadline(lapic, 1000), 1150);
	lapic_set_tsc_offset(lapic, (u64)-800, 1000);
	assert_int_equal(lapic_next_deadline(lapic, 1000), 1050);
	assert_int_equal(drain(1000), 0);
	lapic_set_tsc_offset(lapic, 0, 1000);
	assert_int_equal(drain(1000), 1);
}

/* n periods end exactly at start + ceil(n · period), for odd frequencies and for ten years. */
static void no_drift(void **state)
{
	static const u32 khz[] = { 400000, 1000003, 2893201, 2999999, 3500000, 7999993 };
	u64 seed = 99;
	u32 i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		u32 bus = i & 1 ? 1000000 / 3 : 24001, initial = 24001;
		u64 ticks = 0, end = 0;

		start_with(khz[i], bus, PERIODIC);
		put_at(LAPIC_TIMER_INITIAL, initial, 0);
		for (j = 0; j < 2000; j++) {
			unsigned __int128 exact;

			ticks += 1 + (random_below(&seed, 50) ? 0 : random_below(&seed, 10000000));
			exact = ((unsigned __int128)ticks * initial * khz[i] + bus - 1) / bus;
			end = (u64)exact;
			lapic_advance(lapic, end - 1);
			assert_true(lapic_next_deadline(lapic, end - 1) == end);
			assert_int_equal(count_at(end - 1), 1);
			assert_int_equal(count_at(end), initial);
			while (drain(end))
				;
		}
	}
}

/* The count is never too high, never too low, and falls. */
static void count_is_exact(void **state)
{
	u64 seed = 7, begin = TEN_YEARS, now = begin;
	u32 initial, before, count, i;

	(void)state;
	start_with(2893201, 24001, ONE_SHOT);
	while (now < 2 * TEN_YEARS) {
		initial = before = (u32)random_u64(&seed) | 1;
		put_at(LAPIC_TIMER_INITIAL, initial, now);
		begin = now / 2893201 * 24001 + now % 2893201 * 24001 / 2893201;
		for (i = 0; i < 20; i++) {
			u64 gone;

			now += random_below(&seed, initial) * 10;
			count = count_at(now);
			gone = (u64)((unsigned __int128)now * 24001 / 2893201) - begin;
			assert_int_equal(count, gone < initial ? initial - gone : 0);
			assert_true(count <= before);
			before = count;
		}
		while (drain(now))
			;
		now += random_below(&seed, TEN_YEARS / 500);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_shot_counts_down),
		cmocka_unit_test(dividers),
		cmocka_unit_test(divider_changes_while_counting),
		cmocka_unit_test(periodic_ticks_wait_for_eois),
		cmocka_unit_test(lvt_change_forgets_the_backlog),
		cmocka_unit_test(backlog_wants_eoi_exits),
		cmocka_unit_test(masked_ticks_are_gone),
		cmocka_unit_test(hostile_period),
		cmocka_unit_test(tsc_deadline),
		cmocka_unit_test(tsc_offset),
		cmocka_unit_test(no_drift),
		cmocka_unit_test(count_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
