// SPDX-License-Identifier: GPL-2.0-only
/* MC146818: time in all formats, the update cycle, the three interrupts, queued ticks, CMOS bytes. */
#include <stdio.h>
#include <time.h>

#include "vdev_unit.h"
#include "vdev/rtc.h"

#define EPOCH	1095379199	/* 2004-09-16 23:59:59, a Thursday */

static struct rtc rtc;
static struct lines lines;

static void start(s64 epoch)
{
	struct vdev_irq irq = lines_irq(&lines);

	now = 987654321;
	bus_init(&ports);
	rtc_init(&rtc, &irq, TSC_KHZ, epoch, now);
	assert_true(bus_map(&ports, 0, rtc_rows, RTC_ROWS, &rtc));
}

static u8 get(u8 index)
{
	out(0x70, index);
	return in(0x71);
}

static void set(u8 index, u8 value)
{
	out(0x70, index);
	out(0x71, value);
}

/* Moves to a number of 32.768 kHz ticks after the start. */
static void at(u64 ticks)
{
	now = clock_when(&rtc.clock, clock_ticks(&rtc.clock, 987654321) + ticks);
}

static void assert_time(const char *expected)
{
	char have[32];

	snprintf(have, sizeof(have), "%02x%02x-%02x-%02x %02x:%02x:%02x %x", get(0x32), get(9), get(8), get(7), get(4),
		 get(2), get(0), get(6));
	assert_string_equal(have, expected);
}

/* Advances as the caller's timer does and reads register C for every interrupt; returns how many came. */
static u32 interrupts_until(u64 end, u8 *flags)
{
	u32 count = 0;

	*flags = 0;
	for (;;) {
		u64 next = rtc_next_deadline(&rtc, now);

		if (next > end)
			break;
		assert_true(next > now);
		now = next;
		rtc_advance(&rtc, now);
		assert_true(lines.level[8]);
		*flags |= get(0x0c);
		assert_false(lines.level[8]);
		rtc_irq_done(&rtc);
		count++;
	}
	now = end;
	return count;
}

static void shows_and_carries(void **state)
{
	(void)state;
	start(EPOCH);
	assert_time("2004-09-16 23:59:59 5");
	at(32767);
	assert_time("2004-09-16 23:59:59 5");
	at(32768);
	assert_time("2004-09-17 00:00:00 6");
	start(951782399);
	at(32768);
	assert_time("2000-02-29 00:00:00 3");
	start(946684799);
	at(32768);
	assert_time("2000-01-01 00:00:00 7");
	start(4102444799);
	at(32768);
	assert_time("2100-01-01 00:00:00 6");
	start(-1);
	assert_time("1969-12-31 23:59:59 4");
}

static void defaults(void **state)
{
	(void)state;
	start(EPOCH);
	assert_int_equal(get(0x0a), 0x26);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0d), 0x80);
	set(0x0d, 0);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(in(0x70), 0xff);
	assert_true(rtc_next_deadline(&rtc, now) == CLOCK_NEVER);
}

static void formats(void **state)
{
	static const struct {
		u32 hour;
		u8 h24;
		u8 h12;
		u8 binary12;
	} row[] = { { 0, 0x00, 0x12, 12 }, { 1, 0x01, 0x01, 1 }, { 11, 0x11, 0x11, 11 }, { 12, 0x12, 0x92, 0x8c },
		    { 13, 0x13, 0x81, 0x81 }, { 23, 0x23, 0x91, 0x8b } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		start(86400 * 10000 + row[i].hour * 3600 + 45 * 60);
		assert_int_equal(get(4), row[i].h24);
		assert_int_equal(get(2), 0x45);
		set(0x0b, 0x00);
		assert_int_equal(get(4), row[i].h12);
		set(0x0b, 0x04);
		assert_int_equal(get(4), row[i].binary12);
		assert_int_equal(get(2), 45);
		set(0x0b, 0x06);
		assert_int_equal(get(4), row[i].hour);
		set(0x0b, 0x84);	/* set it the same way: hold, write, go on */
		set(4, row[i].binary12);
		set(0x0b, 0x02);
		set(0x0b, 0x06);
	}
}

/* The way of mc146818_set_time(): SET, divider reset, write, release. The next second comes after half a second. */
static void set_like_linux(void **state)
{
	(void)state;
	start(EPOCH);
	at(5000);
	set(0x0b, 0x82);
	set(0x0a, 0x76);
	set(9, 0x26);
	set(8, 0x11);
	set(7, 0x21);
	set(4, 0x12);
	set(2, 0x34);
	set(0, 0x56);
	set(0x32, 0x20);
	at(200000);
	assert_int_equal(get(0), 0x56);
	assert_int_equal(get(0x0a), 0x76);		/* no UIP while it stands still */
	set(0x0b, 0x02);
	at(300000);
	assert_int_equal(get(0), 0x56);
	set(0x0a, 0x26);
	at(300000 + 16383);
	assert_int_equal(get(0), 0x56);
	at(300000 + 16384);
	assert_int_equal(get(0), 0x57);
	assert_int_equal(get(4), 0x12);
	assert_int_equal(get(7), 0x21);
}

/* SET alone leaves the divider running: updates go on at the old moments. */
static void set_bit_holds_time_only(void **state)
{
	(void)state;
	start(EPOCH);
	at(1000);
	set(0x0b, 0x82);
	set(0, 0x10);
	at(32768 * 5 + 1000);
	assert_int_equal(get(0), 0x10);
	set(0x0b, 0x02);
	assert_int_equal(get(0), 0x10);
	at(32768 * 6);
	assert_int_equal(get(0), 0x11);
}

static void running_registers_can_be_written(void **state)
{
	(void)state;
	start(EPOCH);
	at(10000);
	set(4, 0x05);
	assert_time("2004-09-16 05:59:59 5");
	at(32768);
	assert_time("2004-09-16 06:00:00 5");
	set(6, 1);			/* the day of the week is the guest's business */
	assert_time("2004-09-16 06:00:00 1");
	at(32768 + 32768ull * 86400);
	assert_time("2004-09-17 06:00:00 2");
}

static void nonsense_counts_on_from_something(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 256; i++) {
		start(EPOCH);
		set(0x0b, (u8)(0x80 | (i & 6)));
		set(0, (u8)i);
		set(2, (u8)(i * 3));
		set(4, (u8)(i * 5));
		set(7, (u8)(i * 7));
		set(8, (u8)(i * 11));
		set(9, (u8)(i * 13));
		set(0x32, (u8)(i * 17));
		assert_int_equal(get(4), (u8)(i * 5));	/* read back as written while held */
		set(0x0b, 0x02);
		assert_true((get(0) & 15) < 10 && get(0) < 0x60 && get(2) < 0x60 && get(4) < 0x24);
		assert_true(get(8) >= 1 && get(8) <= 0x12 && get(7) >= 1 && get(7) <= 0x31);
	}
}

/* Every date a guest may set is the date it reads, in both formats, and the next day is the right one. */
static void written_dates_read_back(void **state)
{
	u64 seed = 17;
	u32 i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		time_t t = (time_t)random_below(&seed, 8000ull * 366 * 86400);
		bool binary = i & 1;
		struct tm tm;
		u32 field[5], j;
		static const u8 reg[] = { 0x32, 9, 8, 7, 4 };

		start(EPOCH);
		if (i % 3 == 0)
			t = t / 86400 / 365 * 86400 * 365 + 59 * 86400;	/* about the end of February */
		gmtime_r(&t, &tm);
		field[0] = (u32)(tm.tm_year + 1900) / 100;
		field[1] = (u32)(tm.tm_year + 1900) % 100;
		field[2] = (u32)tm.tm_mon + 1;
		field[3] = (u32)tm.tm_mday;
		field[4] = (u32)tm.tm_hour;
		set(0x0b, binary ? 0x86 : 0x82);
		for (j = 0; j < 5; j++)
			set(reg[j], (u8)(binary ? field[j] : field[j] % 10 | field[j] / 10 << 4));
		set(0x0b, binary ? 0x06 : 0x02);
		for (j = 0; j < 5; j++)
			assert_int_equal(get(reg[j]), binary ? field[j] : field[j] % 10 | field[j] / 10 << 4);
		now += 86400 * SECOND;
		t += 86400;
		gmtime_r(&t, &tm);
		assert_int_equal(get(7), binary ? tm.tm_mday : tm.tm_mday % 10 | tm.tm_mday / 10 << 4);
	}
}

/* UIP low promises 244 us without update; it goes up before each one and down with it. */
static void update_in_progress(void **state)
{
	u64 i, ups = 0;

	(void)state;
	start(EPOCH);
	for (i = 0; i < 32768 * 2; i++) {
		at(i);
		if (!(get(0x0a) & 0x80))
			continue;
		ups++;
		assert_in_range(i % 32768, 32768 - 8, 32767);
	}
	assert_int_equal(ups, 16);
	set(0x0b, 0x82);
	at(32768 * 3 - 1);
	assert_int_equal(get(0x0a) & 0x80, 0);
}

static void periodic_rates(void **state)
{
	static const u32 hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };
	u8 flags;
	u32 i;

	(void)state;
	for (i = 0; i < 16; i++) {
		start(EPOCH + 100);
		set(0x0a, (u8)(0x20 | i));
		set(0x0b, 0x42);
		assert_int_equal(interrupts_until(now + 2 * SECOND + MS / 20, &flags), hz[i] * 2);
		assert_int_equal(flags & 0xe0, hz[i] ? 0xc0 : 0);
		assert_int_equal(get(0x0a) & 0x0f, i);
	}
	set(0x0a, 0x60 | 6);		/* no ticks from a divider in reset */
	assert_int_equal(interrupts_until(now + SECOND, &flags), 0);
}

static void update_interrupt(void **state)
{
	u8 flags;

	(void)state;
	start(EPOCH + 100);
	set(0x0b, 0x12);
	assert_int_equal(interrupts_until(now + 10 * SECOND + MS, &flags), 10);
	assert_int_equal(flags & 0xb0, 0x90);
	set(0x0b, 0x92);
	assert_int_equal(get(0x0b), 0x82);	/* SET clears UIE */
	assert_int_equal(interrupts_until(now + 10 * SECOND, &flags), 0);
}

static void flags_without_enable(void **state)
{
	(void)state;
	start(EPOCH + 100);
	assert_int_equal(get(0x0c), 0);
	at(33);
	assert_int_equal(get(0x0c), 0x40);
	assert_int_equal(get(0x0c), 0);
	at(32768);
	assert_int_equal(get(0x0c), 0x50);
	assert_false(lines.level[8]);
	set(0x0a, 0x20);
	at(32768 * 2);
	set(0x0a, 0x26);
	at(32768 * 2 + 40);
	set(0x0b, 0x12);			/* the flag was up already: IRQ at once */
	assert_true(lines.level[8]);
	assert_int_equal(get(0x0c), 0xd0);
}

static void alarm_once_a_day(void **state)
{
	u8 flags;
	u32 i;

	(void)state;
	start(EPOCH);
	set(1, 0x30);
	set(3, 0x15);
	set(5, 0x06);
	set(0x0b, 0x22);
	for (i = 0; i < 3; i++) {
		u64 next = rtc_next_deadline(&rtc, now);

		now = next;
		rtc_advance(&rtc, now);
		assert_int_equal(get(0x0c) & 0xa0, 0xa0);
		assert_int_equal(get(4), 0x06);
		assert_int_equal(get(2), 0x15);
		assert_int_equal(get(0), 0x30);
		assert_int_equal(get(7), 0x17 + i);
	}
	set(5, 0x24);				/* an hour that does not exist */
	assert_int_equal(interrupts_until(now + 3 * 86400 * SECOND, &flags), 0);
	set(0x0b, 0x20);			/* 12 hours: 6 p.m. */
	set(5, 0x86);
	now = rtc_next_deadline(&rtc, now);
	rtc_advance(&rtc, now);
	assert_int_equal(get(4), 0x86);
}

static void alarm_wildcards(void **state)
{
	static const struct {
		u8 h, m, s;
		u32 a_day;
	} row[] = { { 0xff, 0xff, 0xff, 86400 }, { 0xff, 0xff, 0x00, 1440 }, { 0xc0, 0x30, 0x59, 24 },
		    { 0x23, 0xff, 0x59, 60 }, { 0x00, 0xff, 0xff, 3600 }, { 0x12, 0x00, 0xc5, 60 },
		    { 0xff, 0x59, 0xff, 1440 }, { 0x23, 0x59, 0x59, 1 }, { 0x10, 0x60, 0x00, 0 },
		    { 0xff, 0xff, 0xc0, 86400 }, { 0x10, 0x10, 0x60, 0 }, { 0x24, 0x00, 0x00, 0 } };
	u8 flags;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		start(EPOCH);
		set(1, row[i].s);
		set(3, row[i].m);
		set(5, row[i].h);
		set(0x0b, 0x22);
		assert_int_equal(interrupts_until(now + 86400 * SECOND + MS, &flags), row[i].a_day);
	}
}

/* Against a second by second look for the next match. */
static void alarm_property(void **state)
{
	u64 seed = 5;
	u32 i;

	(void)state;
	for (i = 0; i < 400; i++) {
		u32 want[3] = { (u32)random_below(&seed, 80), (u32)random_below(&seed, 80),
				(u32)random_below(&seed, 32) };
		s64 epoch = EPOCH + (s64)random_below(&seed, 86400), t;
		u64 next;

		start(epoch);
		set(0x0b, 0x26);
		set(1, (u8)(want[0] < 60 ? want[0] : 0xff));
		set(3, (u8)(want[1] < 60 ? want[1] : 0xff));
		set(5, (u8)(want[2] < 24 ? want[2] : 0xff));
		next = rtc_next_deadline(&rtc, now);
		for (t = epoch + 1;; t++)
			if ((want[0] >= 60 || t % 60 == want[0]) && (want[1] >= 60 || t / 60 % 60 == want[1]) &&
			    (want[2] >= 24 || t / 3600 % 24 == want[2]))
				break;
		at((u64)(t - epoch) * 32768);
		assert_true(next == now);
	}
}

static void late_ticks_are_queued(void **state)
{
	u32 i, ticks = 0;

	(void)state;
	start(EPOCH + 100);
	set(0x0b, 0x42);
	at(32 * 100 + 7);
	rtc_advance(&rtc, now);
	assert_int_equal(lines.rises[8], 1);
	for (i = 0; i < 200; i++) {		/* the guest's handler: read C, EOI */
		if (!lines.level[8])
			break;
		ticks++;
		assert_int_equal(get(0x0c) & 0xc0, 0xc0);
		assert_false(lines.level[8]);
		rtc_irq_done(&rtc);
	}
	assert_int_equal(ticks, 100);
	assert_int_equal(lines.rises[8], 100);
	get(0x0c);
	at(32 * 150);
	rtc_advance(&rtc, now);
	for (ticks = 0; ticks < 200 && lines.level[8]; ticks++) {	/* and the other way round: EOI, read C */
		rtc_irq_done(&rtc);
		get(0x0c);
	}
	assert_int_equal(ticks, 50);
	at(32768 + 32 * 2);
	set(0x0b, 0x52);
	at(32768 * 2 + 32 * 5);
	rtc_advance(&rtc, now);
	assert_true(rtc.backlog > 2);
	assert_int_equal(get(0x0c) & 0xf0, 0xd0);	/* a tick and an update */
	at(32768 * 3 + 32 * 5);
	set(0x40, 0);					/* accounts for the update while the tick waits for its EOI */
	rtc_irq_done(&rtc);
	assert_int_equal(get(0x0c) & 0xd0, 0xd0);
}

static void backlog_is_bounded_and_forgotten(void **state)
{
	(void)state;
	start(EPOCH);
	set(0x0b, 0x42);
	now += 100 * SECOND;
	rtc_advance(&rtc, now);
	assert_int_equal(rtc.backlog, RTC_MAX_BACKLOG);
	set(0x0a, 0x27);
	assert_int_equal(rtc.backlog, 0);
	now += 100 * SECOND;
	set(0x0b, 0x02);
	assert_int_equal(rtc.backlog, 0);
	get(0x0c);
	rtc_irq_done(&rtc);
	assert_false(lines.level[8]);
}

/* Nobody reads register C: after a quarter second no more ticks are queued, and no more deadlines asked for. */
static void ignored_ticks_are_lost(void **state)
{
	u32 deadlines = 0;

	(void)state;
	start(EPOCH);
	set(0x0b, 0x42);
	for (; rtc_next_deadline(&rtc, now) != CLOCK_NEVER; deadlines++) {
		now = rtc_next_deadline(&rtc, now);
		rtc_advance(&rtc, now);
	}
	assert_in_range(deadlines, 250, 260);
	assert_int_equal(rtc.backlog, 0);
	now += 3600 * SECOND;
	assert_int_equal(get(0x0c) & 0xc0, 0xc0);
	rtc_irq_done(&rtc);
	assert_false(lines.level[8]);
	assert_true(rtc_next_deadline(&rtc, now) < now + 2 * MS);	/* it listens again */
	now = rtc_next_deadline(&rtc, now);
	rtc_advance(&rtc, now);
	now += 500 * MS;					/* off the CPU: nothing is lost */
	rtc_advance(&rtc, now);
	assert_in_range(rtc.backlog, 511, 513);
}

static void nmi_bit_and_banks(void **state)
{
	u32 i;

	(void)state;
	start(EPOCH);
	out(0x70, 0x8f);
	assert_true(rtc.nmi_disabled);
	out(0x71, 0x5a);
	assert_int_equal(get(0x0f), 0x5a);	/* the shutdown byte */
	assert_false(rtc.nmi_disabled);
	for (i = 0; i < 128; i++) {
		out(0x72, (u8)(i | 0x80));
		out(0x73, (u8)(i ^ 0x33));
	}
	for (i = 0; i < 128; i++) {
		out(0x72, (u8)i);
		assert_int_equal(in(0x73), i ^ 0x33);
	}
	bus_write(&ports, 0x70, 2, 0x770f, now);	/* OUT of a word: index and data */
	assert_int_equal(get(0x0f), 0x77);
}

static void memory_size(void **state)
{
	u32 sum = 0, i;

	(void)state;
	start(EPOCH);
	rtc_set_memory(&rtc, 512ull << 20, 0);
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 65535);
	assert_int_equal(get(0x34) | get(0x35) << 8, 496 * 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 0);
	rtc_set_memory(&rtc, 3ull << 30, 5ull << 30);
	assert_int_equal(get(0x34) | get(0x35) << 8, (3072 - 16) * 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 5 * 1024 * 16);
	rtc_set_memory(&rtc, 8ull << 20, ~0ull);
	assert_int_equal(get(0x30) | get(0x31) << 8, 7168);
	assert_int_equal(get(0x34) | get(0x35) << 8, 0);
	assert_int_equal(get(0x5d), 0xff);
	rtc_poke(&rtc, 0x2d, 3);
	for (i = 0x10; i <= 0x2d; i++)
		sum += get((u8)i);
	assert_int_equal(get(0x2e) << 8 | get(0x2f), sum);
	rtc_poke(&rtc, 0x0b, 0xff);
	assert_int_equal(get(0x0b), 2);
}

static void get_and_set_time(void **state)
{
	(void)state;
	start(EPOCH);
	at(32768 * 10 + 5);
	assert_true(rtc_get_time(&rtc, now) == EPOCH + 10);
	rtc_set_time(&rtc, EPOCH + 1000, now);
	assert_true(rtc_get_time(&rtc, now) == EPOCH + 1000);
	at(32768 * 11);
	assert_true(rtc_get_time(&rtc, now) == EPOCH + 1001);
	set(0x0b, 0x82);
	now += 50 * SECOND;
	assert_true(rtc_get_time(&rtc, now) == EPOCH + 1001);
	rtc_set_time(&rtc, EPOCH, now);
	assert_time("2004-09-16 23:59:59 5");
}

static void reset_keeps_time_and_memory(void **state)
{
	(void)state;
	start(EPOCH);
	set(0x40, 0x99);
	set(0x0b, 0x7a);
	at(32768);
	rtc_advance(&rtc, now);
	assert_true(lines.level[8]);
	rtc_reset(&rtc, now);
	assert_false(lines.level[8]);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(get(0x40), 0x99);
	assert_time("2004-09-17 00:00:00 6");
}

/* A hundred years in random steps against the C library's calendar, and no drift against the TSC. */
static void calendar_property(void **state)
{
	u64 seed = 11;

	(void)state;
	start(0);
	while (now < 36525ull * 86400 * SECOND) {
		u64 ticks = clock_ticks(&rtc.clock, now) - clock_ticks(&rtc.clock, 987654321);
		time_t t = (time_t)(ticks / 32768);
		struct tm tm;
		char expected[32];

		gmtime_r(&t, &tm);
		snprintf(expected, sizeof(expected), "%04d-%02d-%02d %02d:%02d:%02d %d", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_wday + 1);
		assert_time(expected);
		now += random_below(&seed, 20 * 86400 * SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_and_carries), cmocka_unit_test(defaults), cmocka_unit_test(formats),
		cmocka_unit_test(set_like_linux), cmocka_unit_test(set_bit_holds_time_only),
		cmocka_unit_test(running_registers_can_be_written),
		cmocka_unit_test(nonsense_counts_on_from_something),
		cmocka_unit_test(written_dates_read_back), cmocka_unit_test(update_in_progress),
		cmocka_unit_test(periodic_rates), cmocka_unit_test(update_interrupt),
		cmocka_unit_test(flags_without_enable), cmocka_unit_test(alarm_once_a_day),
		cmocka_unit_test(alarm_wildcards), cmocka_unit_test(alarm_property),
		cmocka_unit_test(late_ticks_are_queued), cmocka_unit_test(backlog_is_bounded_and_forgotten),
		cmocka_unit_test(ignored_ticks_are_lost),
		cmocka_unit_test(nmi_bit_and_banks), cmocka_unit_test(memory_size),
		cmocka_unit_test(get_and_set_time), cmocka_unit_test(reset_keeps_time_and_memory),
		cmocka_unit_test(calendar_property),
	};

	return cmocka_run_group_tests_name("rtc", tests, NULL, NULL);
}
