// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clocks and timers against the TSC: each ticks at its rate within 0.1 %, and no periodic tick is lost. When a tick
 * comes is up to the scheduler; that it is never early, and how late the most punctual ones of a stretch are, is not.
 */
#include "guest.h"

#define VECTOR		0x41
#define VECTOR_PIC	0x20
#define TICKS		200
#define PPM_ALLOWED	1000ull
#define PIT_HZ		1193182ull
#define PM_HZ		3579545ull
#define PM_TIMER	(PM_BASE + 8)
#define HPET_CONFIG	(HPET + 0x10)
#define HPET_COUNTER	(HPET + 0xf0)
#define HPET_TIMER	(HPET + 0x100)
#define LVT_TIMER	(LAPIC + 0x320)
#define INITIAL		(LAPIC + 0x380)
#define CURRENT		(LAPIC + 0x390)
#define DIVIDE		(LAPIC + 0x3e0)
#define SVR		(LAPIC + 0xf0)
#define LVT_LINT0	(LAPIC + 0x350)
#define MASKED		0x10000u
#define EXTINT		0x700u
#define PERIODIC	0x20000u
#define DEADLINE	0x40000u
#define RTC_A		0x0a
#define RTC_B		0x0b
#define RTC_C		0x0c

static volatile u64 came[TICKS];
static volatile u32 count;
static void (*rearm)(void);

static void note(u8 vector)
{
	(void)vector;
	if (count < TICKS)
		came[count] = rdtsc();
	count++;
	if (rearm)
		rearm();
}

static const char *run_tsc(void)
{
	u64 i, last = rdtsc(), now;

	for (i = 0; i < 1000000; i++) {
		now = rdtsc();
		if (now < last)
			return fail("%lx after %lx", now, last);
		last = now;
		if (i % 1000 == 0 && rdmsr(0x10) < last)
			return "the MSR is behind";
	}
	return NULL;
}

static u64 difference(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

/* A counter of this frequency moved so far in so many TSC ticks. */
static const char *compare(u64 moved, u64 hz, u64 tsc)
{
	/* both over 0.1 s or less: no overflow */
	u64 expected = tsc * (hz / 1000) / tsc_khz + tsc * (hz % 1000) / tsc_khz / 1000;

	return difference(moved, expected) * 1000000 <= expected * PPM_ALLOWED ? NULL :
	       fail("%lu ticks instead of %lu", moved, expected);
}

static const char *rate(u64 (*read)(void), u64 mask, u64 hz)
{
	u64 t0 = rdtsc(), c0 = read(), t1, c1;

	/* the first read pays for what is set up by it */
	t0 = rdtsc();
	c0 = read();
	do {
		t1 = rdtsc();
		c1 = read();
	} while (t1 - t0 < tsc_khz * 40);
	return compare((c1 - c0) & mask, hz, t1 - t0);
}

static u64 read_pm(void)
{
	return in32(PM_TIMER);
}

static u64 read_hpet(void)
{
	return read64(HPET_COUNTER);
}

static u64 read_lapic(void)
{
	return ~read32(CURRENT);
}

static const char *run_pm_timer(void)
{
	return rate(read_pm, 0xffffff, PM_HZ);
}

static u64 hpet_hz(void)
{
	return 1000000000000000ull / (read64(HPET) >> 32);
}

static const char *run_hpet_counter(void)
{
	write64(HPET_CONFIG, 1);
	return rate(read_hpet, ~0ull, hpet_hz());
}

static u64 lapic_hz(void)
{
	u32 r[4];

	cpuid(0x15, 0, r);
	return r[2];
}

static const char *run_lapic_counter(void)
{
	write32(SVR, 0x1ff);
	write32(DIVIDE, 0xb);
	write32(LVT_TIMER, MASKED);
	write32(INITIAL, 0xffffffff);
	return rate(read_lapic, 0xffffffff, lapic_hz());
}

/* The smallest lateness of ticks first to last against a clock of that period (TSC ticks · 2^16). */
static u64 lateness(u32 first, u32 last, u64 period)
{
	u64 least = ~0ull;
	u32 i;

	for (i = first; i < last; i++) {
		u64 due = came[0] + (i * period >> 16), late = came[i] - due + (1ull << 40);

		if (late < least)
			least = late;
	}
	return least;
}

/* Ticks of this period come until there are TICKS of them, or for three times as long as they ought to take. */
static const char *collect(u64 period)
{
	u64 begin = rdtsc(), end = begin + 3 * (TICKS * period >> 16) + tsc_khz * 200, early, late;

	while (count < TICKS && rdtsc() < end)
		sti_hlt_cli();
	if (count < TICKS)
		return fail("%lu ticks only", (u64)count);
	early = lateness(0, TICKS / 2, period);
	late = lateness(TICKS / 2, TICKS, period);
	if (difference(early, late) * 1000000 > (TICKS / 2 * period >> 16) * PPM_ALLOWED)
		return fail("in %lu TSC ticks off by %lu (%s)", TICKS / 2 * period >> 16, difference(early, late),
			    late > early ? "slow" : "fast");
	return NULL;
}

static u64 period_of(u64 ticks, u64 hz)
{
	return ((ticks << 16) * tsc_khz / hz) * 1000 + ((ticks << 16) * tsc_khz % hz) * 1000 / hz;
}

static void listen(enum eoi how, void (*again)(void))
{
	count = 0;
	rearm = again;
	eoi = how;
	on_interrupt = note;
	write32(SVR, 0x1ff);
	write32(LVT_LINT0, how == EOI_PIC ? EXTINT : MASKED);
}

static const char *run_pit_periodic(void)
{
	const u64 divisor = 1193;
	const char *why;

	listen(EOI_PIC, NULL);
	out8(0x43, 0x34);
	out8(0x40, divisor & 0xff);
	out8(0x40, divisor >> 8);
	out8(0x21, 0xfe);
	why = collect(period_of(divisor, PIT_HZ));
	out8(0x21, 0xff);
	return why;
}

static const char *run_lapic_periodic(void)
{
	const u32 initial = (u32)(lapic_hz() / 1000);
	const char *why;

	listen(EOI_LAPIC, NULL);
	write32(DIVIDE, 0xb);
	write32(LVT_TIMER, PERIODIC | VECTOR);
	write32(INITIAL, initial);
	why = collect(period_of(initial, lapic_hz()));
	write32(LVT_TIMER, MASKED);
	return why;
}

static u64 target;

static void next_deadline(void)
{
	target += tsc_khz;
	wrmsr(MSR_TSC_DEADLINE, target);
}

static const char *run_lapic_deadline(void)
{
	const char *why;

	listen(EOI_LAPIC, next_deadline);
	write32(LVT_TIMER, DEADLINE | VECTOR);
	target = rdtsc();
	next_deadline();
	why = collect(tsc_khz << 16);
	write32(LVT_TIMER, MASKED);
	return why;
}

/* Each write is an exit that moves the end of the vCPU's run, and none of the deadlines comes. */
static const char *run_endless_deadlines(void)
{
	write32(LVT_TIMER, DEADLINE | VECTOR);
	for (;;)
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_khz);
	return "it came back";
}

static u32 shot;

static void next_shot(void)
{
	target = rdtsc();
	write32(INITIAL, shot);
}

/* A shot may be late, and begins where the last one ended: never early, and the best of them punctual. */
static const char *run_lapic_one_shot(void)
{
	u64 i, best = ~0ull, period;

	shot = (u32)(lapic_hz() / 1000);
	period = period_of(shot, lapic_hz()) >> 16;
	listen(EOI_LAPIC, NULL);
	write32(DIVIDE, 0xb);
	write32(LVT_TIMER, VECTOR);
	for (i = 0; i < 50; i++) {
		count = 0;
		next_shot();
		while (!count && rdtsc() - target < 100 * period)
			sti_hlt_cli();
		if (!count)
			return "no interrupt";
		if (came[0] - target < period - period / 1000)
			return fail("after %lu TSC ticks instead of %lu", came[0] - target, period);
		if (came[0] - target < best)
			best = came[0] - target;
	}
	write32(LVT_TIMER, MASKED);
	/* the world switch and the delivery take a few thousand */
	return best - period < period / 20 ? NULL : fail("at best after %lu TSC ticks instead of %lu", best, period);
}

static void redirect(u32 pin, u32 low)
{
	write32(IOAPIC, 0x11 + 2 * pin);
	write32(IOAPIC + 0x10, 0);
	write32(IOAPIC, 0x10 + 2 * pin);
	write32(IOAPIC + 0x10, low);
}

static const char *run_hpet_periodic(void)
{
	const u64 ticks = hpet_hz() / 1000, pin = 20;
	const char *why;

	listen(EOI_LAPIC, NULL);
	redirect(pin, VECTOR);
	write64(HPET_CONFIG, 0);
	write64(HPET_COUNTER, 0);
	write64(HPET_TIMER, pin << 9 | 1 << 6 | 1 << 3 | 1 << 2);	/* set value, periodic, enabled */
	write64(HPET_TIMER + 8, ticks);
	write64(HPET_TIMER + 8, ticks);
	write64(HPET_CONFIG, 1);
	why = collect(period_of(ticks, hpet_hz()));
	write64(HPET_TIMER, 0);
	redirect(pin, MASKED);
	return why;
}

static u8 rtc_read(u8 reg)
{
	out8(0x70, reg);
	return in8(0x71);
}

static void rtc_write(u8 reg, u8 value)
{
	out8(0x70, reg);
	out8(0x71, value);
}

static void rtc_again(void)
{
	rtc_read(RTC_C);
}

/* 1024 Hz, through the slave 8259. */
static const char *run_rtc_periodic(void)
{
	const char *why;

	listen(EOI_PIC, rtc_again);
	rtc_write(RTC_A, 0x26);
	rtc_write(RTC_B, rtc_read(RTC_B) | 0x40);
	rtc_read(RTC_C);
	out8(0xa1, 0xfe);
	out8(0x21, 0xfb);
	why = collect(period_of(1, 1024));
	out8(0x21, 0xff);
	rtc_write(RTC_B, rtc_read(RTC_B) & ~0x40);
	return why;
}

static const struct test tests[] = {
	{ "tsc", run_tsc },
	{ "pm_timer", run_pm_timer },
	{ "hpet_counter", run_hpet_counter },
	{ "lapic_counter", run_lapic_counter },
	{ "pit_periodic", run_pit_periodic },
	{ "lapic_periodic", run_lapic_periodic },
	{ "lapic_deadline", run_lapic_deadline },
	{ "endless_deadlines", run_endless_deadlines },
	{ "lapic_one_shot", run_lapic_one_shot },
	{ "hpet_periodic", run_hpet_periodic },
	{ "rtc_periodic", run_rtc_periodic },
};

const struct test_group clock_tests = { tests, ARRAY_SIZE(tests) };
