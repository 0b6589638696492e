// SPDX-License-Identifier: GPL-2.0-only
/* 82C54: the six modes as seen through latch, status and OUT; ticks that are never lost; no drift. */
#include "vdev_unit.h"
#include "vdev/pit.h"

static struct pit pit;
static struct lines lines;
static u64 origin;	/* device tick that "at(0)" stands for */

static void start(void)
{
	struct vdev_irq irq = lines_irq(&lines);

	now = 123456789;
	bus_init(&ports);
	pit_init(&pit, &irq, TSC_KHZ, now);
	assert_true(bus_map(&ports, 0, pit_rows, PIT_ROWS, &pit));
}

/* The moment ticks after the last mark(). A count written at the mark is loaded at at(1). */
static void mark(void)
{
	origin = clock_ticks(&pit.clock, now) + 1;
	now = clock_when(&pit.clock, origin);
}

static void at(u64 ticks)
{
	now = clock_when(&pit.clock, origin + ticks);
}

static void program(u8 channel, u8 mode, u16 count)
{
	out(0x43, (u8)(channel << 6 | 0x30 | mode << 1));
	out(0x40 + channel, (u8)count);
	out(0x40 + channel, (u8)(count >> 8));
}

static u16 latched(u8 channel)
{
	u8 low;

	out(0x43, (u8)(channel << 6));
	low = in(0x40 + channel);
	return (u16)(low | in(0x40 + channel) << 8);
}

static u8 status(u8 channel)
{
	out(0x43, (u8)(0xe0 | 2 << channel));
	return in(0x40 + channel);
}

static bool out2(void)
{
	return in(0x61) & 0x20;
}

/* Runs the caller's timer until then; every deadline must lie after the time at which it was asked for. */
static void run_to(u64 end)
{
	for (;;) {
		u64 next = pit_next_deadline(&pit, now);

		if (next > end)
			break;
		assert_true(next > now);
		now = next;
		pit_advance(&pit, now);
	}
	now = end;
}

static void mode0_counts_down_once(void **state)
{
	(void)state;
	start();
	mark();
	program(0, 0, 1000);
	assert_false(lines.level[0]);
	assert_int_equal(status(0), 0x70);		/* OUT low, null count, low-high, mode 0 */
	at(1);
	assert_int_equal(status(0), 0x30);
	assert_int_equal(latched(0), 1000);
	at(501);
	assert_int_equal(latched(0), 500);
	pit_advance(&pit, now);
	assert_false(lines.level[0]);
	at(1000);
	pit_advance(&pit, now);
	assert_false(lines.level[0]);
	at(1001);
	assert_int_equal(pit_next_deadline(&pit, now), now);
	pit_advance(&pit, now);
	assert_true(lines.level[0]);
	assert_int_equal(latched(0), 0);
	assert_int_equal(status(0), 0xb0);
	at(1003);
	assert_int_equal(latched(0), 0xfffe);		/* wraps and counts on */
	assert_true(pit_next_deadline(&pit, now) == CLOCK_NEVER);
	assert_int_equal(lines.rises[0], 1);
	program(2, 0, 1000);			/* other channels leave the line alone */
	out(0x41, 0);
	assert_true(lines.level[0]);
}

static void mode0_first_byte_stops(void **state)
{
	(void)state;
	start();
	mark();
	program(0, 0, 1000);
	at(1101);
	pit_advance(&pit, now);
	assert_true(lines.level[0]);
	out(0x40, 100);
	assert_false(lines.level[0]);
	at(5000);
	assert_true(pit_next_deadline(&pit, now) == CLOCK_NEVER);
	out(0x40, 0);
	at(5101);
	pit_advance(&pit, now);
	assert_int_equal(lines.rises[0], 2);
}

static void mode0_gate_pauses(void **state)
{
	(void)state;
	start();
	out(0x61, 1);
	mark();
	program(2, 0, 1000);
	at(301);
	out(0x61, 0);
	assert_int_equal(latched(2), 700);
	at(9000);
	assert_int_equal(latched(2), 700);
	assert_false(out2());
	out(0x61, 1);
	at(9500);
	assert_int_equal(latched(2), 200);
	at(9699);
	assert_false(out2());
	at(9700);
	assert_true(out2());
}

static void mode1_is_retriggerable(void **state)
{
	(void)state;
	start();
	mark();
	program(2, 1, 100);
	assert_true(out2());
	assert_int_equal(status(2) & 0xc0, 0xc0);
	at(500);
	assert_true(out2());
	out(0x61, 1);
	at(501);
	assert_false(out2());
	assert_int_equal(status(2) & 0xc0, 0);
	at(550);
	assert_int_equal(latched(2), 51);
	out(0x61, 0);			/* only the rising edge counts */
	assert_false(out2());
	out(0x61, 1);
	at(650);
	assert_false(out2());
	at(651);
	assert_true(out2());
}

static void mode2_divides(void **state)
{
	u32 i;

	(void)state;
	start();
	out(0x61, 1);
	mark();
	program(2, 2, 7);
	for (i = 0; i < 50; i++) {
		at(1 + i);
		assert_int_equal(latched(2), 7 - i % 7);
		assert_int_equal(out2(), i % 7 != 6);	/* low for the last clock of each period */
	}
	out(0x61, 0);
	assert_true(out2());
	at(200);
	out(0x61, 1);			/* the gate's edge starts a new period */
	at(201);
	assert_int_equal(latched(2), 7);
}

static void mode2_new_count_waits_for_the_period(void **state)
{
	(void)state;
	start();
	mark();
	program(0, 2, 1000);
	at(1 + 400);
	out(0x40, 50);
	out(0x40, 0);
	assert_int_equal(status(0) & 0x40, 0x40);
	at(1 + 999);
	assert_int_equal(latched(0), 1);
	assert_int_equal(lines.rises[0], 1);	/* from the control word that put OUT high */
	at(1 + 1000);
	assert_int_equal(latched(0), 50);
	assert_int_equal(status(0) & 0x40, 0);
	assert_int_equal(lines.rises[0], 2);
	at(1 + 1049);
	assert_int_equal(lines.rises[0], 2);
	at(1 + 1050);
	pit_advance(&pit, now);
	assert_int_equal(lines.rises[0], 3);
}

static void mode3_even(void **state)
{
	u32 i;

	(void)state;
	start();
	out(0x61, 1);
	mark();
	program(2, 3, 8);
	for (i = 0; i < 64; i++) {
		at(1 + i);
		assert_int_equal(latched(2), 8 - i % 4 * 2);
		assert_int_equal(out2(), i % 8 < 4);
	}
}

static void mode3_odd(void **state)
{
	static const u8 count[5] = { 4, 2, 0, 4, 2 };
	u32 i;

	(void)state;
	start();
	out(0x61, 1);
	mark();
	program(2, 3, 5);
	for (i = 0; i < 50; i++) {
		at(1 + i);
		assert_int_equal(latched(2), count[i % 5]);
		assert_int_equal(out2(), i % 5 < 3);	/* high for (n + 1) / 2 */
	}
}

static void mode3_new_count_waits_for_the_half_period(void **state)
{
	(void)state;
	start();
	out(0x61, 1);
	mark();
	program(2, 3, 100);
	at(1 + 10);
	out(0x42, 20);
	out(0x42, 0);
	at(1 + 49);
	assert_true(out2());
	at(1 + 50);
	assert_false(out2());
	assert_int_equal(latched(2), 20);
	at(1 + 60);
	assert_true(out2());
	at(1 + 70);
	assert_false(out2());
}

/* The same on channel 0: where its rising edges are. */
static void mode3_new_count_moves_the_edge(void **state)
{
	(void)state;
	start();
	mark();
	program(0, 3, 1000);
	at(1 + 100);
	out(0x40, 0x90);
	out(0x40, 0x01);		/* 400, from the low half on */
	at(1 + 500 + 200);
	assert_int_equal(pit_next_deadline(&pit, 0), now);
	pit_advance(&pit, now);
	at(1 + 500 + 200 + 400);
	assert_int_equal(pit_next_deadline(&pit, 0), now);
	program(0, 3, 1000);
	mark();
	program(0, 3, 1000);
	at(1 + 600);
	out(0x40, 0x90);
	out(0x40, 0x01);		/* 400, from the next period on */
	at(1 + 1000);
	assert_int_equal(pit_next_deadline(&pit, 0), now);
	pit_advance(&pit, now);
	at(1 + 1400);
	assert_int_equal(pit_next_deadline(&pit, 0), now);
}

static void mode4_strobes_once(void **state)
{
	(void)state;
	start();
	out(0x61, 1);
	mark();
	program(2, 4, 20);
	at(20);
	assert_true(out2());
	at(21);
	assert_false(out2());
	at(22);
	assert_true(out2());
	assert_int_equal(latched(2), 0xffff);
	at(21 + 65536);
	assert_true(out2());
	program(0, 4, 20);
	assert_true(pit_next_deadline(&pit, now) != CLOCK_NEVER);
	run_to(now + SECOND);
	assert_int_equal(lines.rises[0], 2);	/* the control word, the strobe's end */
}

static void mode5_strobes_after_trigger(void **state)
{
	(void)state;
	start();
	mark();
	program(2, 5, 20);
	at(1000);
	assert_true(out2());
	out(0x61, 1);
	at(1020);
	assert_true(out2());
	at(1021);
	assert_false(out2());
	at(1022);
	assert_true(out2());
	program(0, 5, 20);		/* its gate never rises */
	assert_true(pit_next_deadline(&pit, now) == CLOCK_NEVER);
	program(0, 1, 20);
	assert_true(pit_next_deadline(&pit, now) == CLOCK_NEVER);
}

static void modes_6_and_7_are_2_and_3(void **state)
{
	(void)state;
	start();
	program(0, 6, 100);
	assert_int_equal(status(0) & 0x0e, 4);
	program(0, 7, 100);
	assert_int_equal(status(0) & 0x0e, 6);
}

static void zero_is_the_largest_count(void **state)
{
	(void)state;
	start();
	mark();
	program(0, 2, 0);
	at(1);
	assert_int_equal(latched(0), 0);
	at(2);
	assert_int_equal(latched(0), 0xffff);
	at(1 + 65536);
	assert_int_equal(pit_next_deadline(&pit, now), now);
}

static void bcd(void **state)
{
	(void)state;
	start();
	mark();
	out(0x43, 0x35);		/* channel 0, mode 2, BCD */
	out(0x40, 0x34);
	out(0x40, 0x12);
	assert_int_equal(status(0) & 1, 1);
	at(1);
	assert_int_equal(latched(0), 0x1234);
	at(36);
	assert_int_equal(latched(0), 0x1199);
	at(1 + 1234);
	assert_int_equal(latched(0), 0x1234);
	out(0x43, 0x31);		/* mode 0: wraps to 9999 */
	mark();
	out(0x40, 5);
	out(0x40, 0);
	at(7);
	assert_int_equal(latched(0), 0x9999);
	mark();
	out(0x43, 0x35);
	out(0x40, 0);
	out(0x40, 0);			/* 10000 */
	at(2);
	assert_int_equal(latched(0), 0x9999);
	out(0x43, 0x35);
	out(0x40, 0xff);		/* no BCD at all: any count will do */
	out(0x40, 0xff);
	run_to(now + SECOND);
}

static void access_modes(void **state)
{
	(void)state;
	start();
	mark();
	out(0x43, 0x14);		/* channel 0, low byte, mode 2 */
	out(0x40, 200);
	at(1);
	assert_int_equal(in(0x40), 200);
	at(2);
	assert_int_equal(in(0x40), 199);
	mark();
	out(0x43, 0x24);		/* high byte: the low one is zero */
	out(0x40, 0x10);
	at(1);
	assert_int_equal(in(0x40), 0x10);
	at(2);
	assert_int_equal(in(0x40), 0x0f);
	out(0x43, 0);
	at(300);
	assert_int_equal(in(0x40), 0x0f);
	mark();
	program(0, 2, 0x1234);
	at(1);
	assert_int_equal(in(0x40), 0x34);	/* not latched: low, high, low, … */
	assert_int_equal(in(0x40), 0x12);
	assert_int_equal(in(0x40), 0x34);
}

static void latches_hold_until_read(void **state)
{
	(void)state;
	start();
	mark();
	program(0, 2, 5000);
	at(101);
	out(0x43, 0x00);
	at(301);
	out(0x43, 0x00);		/* ignored: not read yet */
	assert_int_equal(in(0x40), 4900 & 0xff);
	at(501);
	assert_int_equal(in(0x40), 4900 >> 8);
	out(0x43, 0xc2);		/* read-back of status and count: status comes first */
	at(700);
	assert_int_equal(in(0x40), 0xb4);
	assert_int_equal(in(0x40), 4500 & 0xff);
	assert_int_equal(in(0x40), 4500 >> 8);
	out(0x43, 0xde);		/* count of all three */
	out(0x43, 0xee);		/* status of all three */
	assert_int_equal(in(0x40), 0xb4);
	assert_int_equal(in(0x41) & 0x3f, 0x36);
	assert_int_equal(in(0x42) & 0x3f, 0x36);
	out(0x43, 0x34);		/* a control word drops latches */
	out(0x40, 1);
	out(0x40, 1);
	assert_int_equal(in(0x43), 0xff);
}

static void port61(void **state)
{
	u32 i, toggles = 0;
	u8 old;

	(void)state;
	start();
	out(0x61, 0xff);
	assert_int_equal(in(0x61) & 0xcf, 0x0f);
	out(0x61, 0x02);
	assert_int_equal(in(0x61) & 0x0f, 0x02);
	mark();
	old = in(0x61) & 0x10;
	for (i = 0; i < 1800; i++) {	/* the refresh bit: loops of old BIOSes count it */
		at(i);
		toggles += (in(0x61) & 0x10) != old;
		old = in(0x61) & 0x10;
	}
	assert_in_range(toggles, 99, 100);
	program(2, 3, 100);
	out(0x61, 3);
	mark();
	at(10);
	assert_true(pit_speaker(&pit, now));
	at(70);
	assert_false(pit_speaker(&pit, now));
	out(0x61, 1);
	at(110);
	assert_false(pit_speaker(&pit, now));
}

/* Linux's quick_pit_calibrate() and Windows's stall calibration: 50 ms of channel 2 measured in TSC. */
static void calibration(void **state)
{
	u64 begin, took;
	u16 count = (u16)(PIT_HZ / 20);

	(void)state;
	start();
	out(0x61, (u8)((in(0x61) & ~2) | 1));
	out(0x43, 0xb0);
	out(0x42, (u8)count);
	out(0x42, (u8)(count >> 8));
	begin = now;
	while (!out2())
		now += 3000;
	took = now - begin;
	assert_in_range(took, SECOND / 20 - 5000, SECOND / 20 + 10000);
	program(2, 0, 0xffff);
	now += 2 * TSC_KHZ / 1000;
	in(0x42);
	assert_int_equal(in(0x42), 0xff);
}

static void ticks_on_time(void **state)
{
	u64 begin;

	(void)state;
	start();
	program(0, 2, 1193);
	begin = now;
	assert_int_equal(lines.rises[0], 1);
	lines.rises[0] = 0;
	for (;;) {
		u64 next = pit_next_deadline(&pit, now);

		if (next > begin + SECOND)
			break;
		now = next;
		pit_advance(&pit, now);
		pit_irq_done(&pit);
	}
	assert_int_equal(lines.rises[0], PIT_HZ / 1193);
	assert_int_equal(pit.backlog, 0);
}

/* Off the CPU for 41 periods: all arrive, one per EOI. */
static void late_ticks_are_queued(void **state)
{
	u32 i;

	(void)state;
	start();
	program(0, 2, 1193);
	lines.rises[0] = 0;
	mark();
	at(1193 * 41 + 5);
	pit_advance(&pit, now);
	assert_int_equal(lines.rises[0], 1);
	assert_int_equal(pit.backlog, 40);
	for (i = 0; i < 60; i++)
		pit_irq_done(&pit);
	assert_int_equal(lines.rises[0], 41);
	assert_false(pit.unfinished);
}

static void backlog_is_bounded_and_forgotten(void **state)
{
	(void)state;
	start();
	program(0, 2, 2);
	now += 3600 * SECOND;
	pit_advance(&pit, now);
	assert_int_equal(pit.backlog, PIT_MAX_BACKLOG);
	now += 3600 * SECOND;
	pit_advance(&pit, now);
	assert_int_equal(pit.backlog, PIT_MAX_BACKLOG);
	program(0, 2, 1000);
	assert_int_equal(pit.backlog, 0);
	lines.rises[0] = 0;
	pit_irq_done(&pit);
	assert_int_equal(lines.rises[0], 0);
}

/* Late is who had no chance; who had many of them for a quarter second masked the interrupt. */
static void masked_ticks_are_lost(void **state)
{
	(void)state;
	start();
	program(0, 2, 1193);
	run_to(now + 200 * MS);
	assert_in_range(pit.backlog, 198, 199);
	run_to(now + 10 * SECOND);
	assert_in_range(pit.backlog, 0, 251);
	program(0, 2, 0);		/* 18.2 Hz */
	run_to(now + 10 * SECOND);
	assert_in_range(pit.backlog, 0, 5);
	program(0, 2, 1193);
	run_to(now + MS + MS / 2);	/* an interrupt is being handled as the vCPU loses its CPU */
	assert_true(pit.unfinished);
	now += 500 * MS;
	pit_advance(&pit, now);
	assert_in_range(pit.backlog, 499, 501);
}

/* Linux's PIC driver masks, ends, handles, unmasks: that must not cost queued ticks. */
static void slow_handler_loses_nothing(void **state)
{
	u64 begin;
	u32 ticks = 0;

	(void)state;
	start();
	program(0, 2, 1193);
	begin = now;
	lines.rises[0] = 0;
	while (now < begin + 10 * SECOND) {	/* on the CPU for 10 of 41 ms, an interrupt takes 20 us */
		u64 on = now + 10 * MS;

		while (now < on) {
			pit_advance(&pit, now);
			if (pit.unfinished) {
				ticks++;
				pit_irq_done(&pit);
			}
			now += MS / 50;
		}
		now += 31 * MS;
	}
	assert_in_range(ticks, (now - begin) / MS - 41, (now - begin) / MS + 1);
}

static void fast_rates_do_not_storm(void **state)
{
	u64 begin;
	u32 deadlines = 0;

	(void)state;
	start();
	program(0, 2, 1);
	begin = now;
	while (now < begin + SECOND / 10) {
		now = pit_next_deadline(&pit, now);
		pit_advance(&pit, now);
		deadlines++;
	}
	assert_in_range(deadlines, 500, 1010);
}

/*
 * Ten days at 1 kHz and at odd rates, looked at irregularly: the edges seen are exactly those of the ideal clock.
 */
static void no_drift_over_days(void **state)
{
	static const u16 count[] = { 1193, 0, 11931, 3 };
	u64 seed = 7;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(count); i++) {
		u32 n = count[i] ? count[i] : 65536;
		u64 begin, edges = 0, ticks;

		start();
		program(0, 2, count[i]);
		pit_advance(&pit, now);
		begin = clock_ticks(&pit.clock, now) + 1;
		while (now < 10 * 86400 * SECOND) {
			now += random_below(&seed, count[i] == 3 ? 2 * MS : 5 * SECOND);
			lines.rises[0] = 0;
			pit_advance(&pit, now);
			while (pit.unfinished)
				pit_irq_done(&pit);
			edges += lines.rises[0];
			if (lines.rises[0] > PIT_MAX_BACKLOG || (count[i] == 3 && now > 100 * SECOND))
				break;
		}
		ticks = clock_ticks(&pit.clock, now) - begin;
		if (lines.rises[0] <= PIT_MAX_BACKLOG)
			assert_int_equal(edges, ticks / n);
	}
}

/* The clock itself: monotonic, exact to one tick over ten years, and its inverse is the first moment of a tick. */
static void clock_property(void **state)
{
	static const u32 khz[] = { 1, 999999, 1000000, 2893413, 3600001, 7999999 };
	static const u32 hz[] = { 1193182, 3579545, 32768 };
	u64 seed = 99;
	size_t i, j, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(khz); i++)
		for (j = 0; j < ARRAY_SIZE(hz); j++) {
			struct clock clock = vdev_clock(khz[i], hz[j]);

			assert_true((u64)clock.num * hz[j] == (u64)clock.den * khz[i] * 1000);
			for (k = 0; k < 2000; k++) {
				u64 t = random_below(&seed, 10ull * 366 * 86400 * khz[i] * 1000);
				u64 ticks = clock_ticks(&clock, t), at_tick = clock_when(&clock, ticks);
				unsigned __int128 exact = (unsigned __int128)t * hz[j] / (khz[i] * 1000ull);

				assert_true(ticks == (u64)exact);
				assert_true(at_tick <= t);
				assert_true(clock_ticks(&clock, at_tick) == ticks);
				assert_true(!at_tick || clock_ticks(&clock, at_tick - 1) < ticks);
			}
		}
}

static void reset_stops(void **state)
{
	(void)state;
	start();
	program(0, 2, 100);
	pit_reset(&pit, now);
	assert_true(pit_next_deadline(&pit, now) == CLOCK_NEVER);
	assert_false(lines.level[0]);
	assert_int_equal(in(0x61) & 0x0f, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mode0_counts_down_once), cmocka_unit_test(mode0_first_byte_stops),
		cmocka_unit_test(mode0_gate_pauses), cmocka_unit_test(mode1_is_retriggerable),
		cmocka_unit_test(mode2_divides), cmocka_unit_test(mode2_new_count_waits_for_the_period),
		cmocka_unit_test(mode3_even), cmocka_unit_test(mode3_odd),
		cmocka_unit_test(mode3_new_count_waits_for_the_half_period),
		cmocka_unit_test(mode3_new_count_moves_the_edge), cmocka_unit_test(mode4_strobes_once),
		cmocka_unit_test(mode5_strobes_after_trigger), cmocka_unit_test(modes_6_and_7_are_2_and_3),
		cmocka_unit_test(zero_is_the_largest_count), cmocka_unit_test(bcd), cmocka_unit_test(access_modes),
		cmocka_unit_test(latches_hold_until_read), cmocka_unit_test(port61), cmocka_unit_test(calibration),
		cmocka_unit_test(ticks_on_time), cmocka_unit_test(late_ticks_are_queued),
		cmocka_unit_test(backlog_is_bounded_and_forgotten), cmocka_unit_test(masked_ticks_are_lost),
		cmocka_unit_test(slow_handler_loses_nothing), cmocka_unit_test(fast_rates_do_not_storm),
		cmocka_unit_test(no_drift_over_days), cmocka_unit_test(clock_property), cmocka_unit_test(reset_stops),
	};

	return cmocka_run_group_tests_name("pit", tests, NULL, NULL);
}
