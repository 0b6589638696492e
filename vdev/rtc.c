// SPDX-License-Identifier: GPL-2.0-only
/* MC146818 and CMOS memory; see rtc.h. */
#include "rtc.h"

enum rtc_register {
	SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR,
	REG_A, REG_B, REG_C, REG_D, FIRST_RAM,
	CENTURY = 0x32,
};

#define A_UIP		0x80
#define A_DIVIDER	0x70
#define A_DIVIDER_RESET	0x60	/* and 70h */
#define A_RATE		0x0f
#define A_DEFAULT	0x26	/* 32.768 kHz, 1024 Hz */

#define B_SET		0x80
#define B_PIE		0x40
#define B_AIE		0x20
#define B_UIE		0x10
#define B_SQWE		0x08
#define B_BINARY	0x04
#define B_24H		0x02

#define C_IRQF		0x80
#define C_PF		0x40	/* the flags stand where register B has their enable bits */
#define C_AF		0x20
#define C_UF		0x10
#define C_FLAGS		0x70

#define D_VALID		0x80

#define HOUR_PM		0x80
#define ALARM_ANY	0xc0	/* both bits set: matches always */
#define UPDATE_TICKS	8u	/* UIP goes up 244 us before the update */
#define TICK_BIAS	0x10000u /* so that "origin" may lie before TSC 0 */

#define DAY_SECONDS	86400u
#define DAYS_400Y	146097u
#define DAYS_TO_1970	(719468u + DAYS_400Y)	/* seconds count from the 1st of March of the year -400 */

/* Date without libc, after H. Hinnant, "chrono-compatible low-level date algorithms": the year begins in March. */
struct date {
	u32 year;
	u32 month;
	u32 day;
};

static struct date date_from_days(u64 days)
{
	u32 of_era = (u32)(days % DAYS_400Y);
	u32 year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	u32 of_year = of_era - (365 * year + year / 4 - year / 100);
	u32 month = (5 * of_year + 2) / 153;
	struct date date;

	date.day = of_year - (153 * month + 2) / 5 + 1;
	date.month = month < 10 ? month + 3 : month - 9;
	date.year = year + (u32)(days / DAYS_400Y) * 400 - 400 + (date.month <= 2);
	return date;
}

static u64 days_from_date(const struct date *date)
{
	u32 year = date->year + 400 - (date->month <= 2);
	u32 of_era = year % 400;
	u32 of_year = (153 * (date->month > 2 ? date->month - 3 : date->month + 9) + 2) / 5 + date->day - 1;

	return (u64)(year / 400) * DAYS_400Y + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
}

static u64 rtc_tick(const struct rtc *rtc, u64 now)
{
	return clock_ticks(&rtc->clock, now) + TICK_BIAS;
}

static bool rtc_divider_reset(const struct rtc *rtc)
{
	return (rtc->ram[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static u64 rtc_seconds(const struct rtc *rtc, u64 tick)
{
	return rtc->base + (tick - rtc->base_tick) / RTC_HZ;
}

static u8 rtc_encode(const struct rtc *rtc, u32 value)
{
	return (u8)(rtc->ram[REG_B] & B_BINARY ? value : value % 10 | value / 10 % 10 << 4);
}

static u32 rtc_decode(const struct rtc *rtc, u8 value)
{
	return rtc->ram[REG_B] & B_BINARY ? value : (value & 15u) + (value >> 4) * 10u;
}

static u8 rtc_encode_hour(const struct rtc *rtc, u32 hour)
{
	if (rtc->ram[REG_B] & B_24H)
		return rtc_encode(rtc, hour);
	return rtc_encode(rtc, hour % 12 ? hour % 12 : 12) | (hour < 12 ? 0 : HOUR_PM);
}

static u32 rtc_decode_hour(const struct rtc *rtc, u8 value)
{
	if (rtc->ram[REG_B] & B_24H)
		return rtc_decode(rtc, value);
	return rtc_decode(rtc, value & (u8)~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* One register of the time as it shows when the clock has counted that many seconds. */
static u8 rtc_show(const struct rtc *rtc, u8 index, u64 seconds)
{
	u64 days = seconds / DAY_SECONDS;
	u32 of_day = (u32)(seconds % DAY_SECONDS);

	switch (index) {
	case SECONDS:
		return rtc_encode(rtc, of_day % 60);
	case MINUTES:
		return rtc_encode(rtc, of_day / 60 % 60);
	case HOURS:
		return rtc_encode_hour(rtc, of_day / 3600);
	case WEEKDAY:
		return rtc_encode(rtc, (u32)((days + 3 + rtc->weekday_shift) % 7 + 1));
	case DAY:
		return rtc_encode(rtc, date_from_days(days).day);
	case MONTH:
		return rtc_encode(rtc, date_from_days(days).month);
	case YEAR:
		return rtc_encode(rtc, date_from_days(days).year % 100);
	default:
		return rtc_encode(rtc, date_from_days(days).year / 100 % 100);
	}
}

static const u8 time_registers[] = { SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY };

static bool rtc_is_time(u8 index)
{
	return index == CENTURY || index == SECONDS || index == MINUTES || index == HOURS ||
	       (index >= WEEKDAY && index <= YEAR);
}

/* The time into ram[] … */
static void rtc_store(struct rtc *rtc, u64 seconds)
{
	unsigned int i;

	for (i = 0; i < VDEV_ARRAY_SIZE(time_registers); i++)
		rtc->ram[time_registers[i]] = rtc_show(rtc, time_registers[i], seconds);
}

/* … and back. Nonsense is forced into range, so that it counts on from something. */
static u64 rtc_load(const struct rtc *rtc)
{
	const u8 *ram = rtc->ram;
	u32 month = rtc_decode(rtc, ram[MONTH]), day = rtc_decode(rtc, ram[DAY]);
	struct date date = {
		.year = rtc_decode(rtc, ram[CENTURY]) * 100 + rtc_decode(rtc, ram[YEAR]),
		.month = month < 1 ? 1 : month > 12 ? 12 : month,
		.day = day < 1 ? 1 : day > 31 ? 31 : day,
	};

	return days_from_date(&date) * DAY_SECONDS + rtc_decode_hour(rtc, ram[HOURS]) % 24 * 3600 +
	       rtc_decode(rtc, ram[MINUTES]) % 60 * 60 + rtc_decode(rtc, ram[SECONDS]) % 60;
}

/* Seconds from "have" on until it equals the alarm byte; both modulo n. */
static u32 alarm_distance(u32 have, u32 want, u32 n)
{
	return (want + n - have) % n;
}

/* The first second after "seconds" that the alarm registers match. An impossible alarm never does. */
static u64 rtc_alarm_after(const struct rtc *rtc, u64 seconds)
{
	const u8 *ram = rtc->ram;
	bool any_h = ram[HOURS_ALARM] >= ALARM_ANY, any_m = ram[MINUTES_ALARM] >= ALARM_ANY;
	bool any_s = ram[SECONDS_ALARM] >= ALARM_ANY;
	u32 h = any_h ? 0 : rtc_decode_hour(rtc, ram[HOURS_ALARM]);
	u32 m = any_m ? 0 : rtc_decode(rtc, ram[MINUTES_ALARM]);
	u32 s = any_s ? 0 : rtc_decode(rtc, ram[SECONDS_ALARM]);
	u64 t = seconds + 1;
	unsigned int rounds;

	if (h > 23 || m > 59 || s > 59)
		return CLOCK_NEVER;
	/* Each round jumps to the next match of one field; a later field can undo an earlier one only by a carry. */
	for (rounds = 0; rounds < 8; rounds++) {
		u32 of_day = (u32)(t % DAY_SECONDS);

		if (!any_h && of_day / 3600 != h)
			t += alarm_distance(of_day / 3600, h, 24) * 3600 - of_day % 3600;
		else if (!any_m && of_day / 60 % 60 != m)
			t += alarm_distance(of_day / 60 % 60, m, 60) * 60 - of_day % 60;
		else if (!any_s && of_day % 60 != s)
			t += alarm_distance(of_day % 60, s, 60);
		else
			return t;
	}
	return CLOCK_NEVER;
}

/* Period of the periodic interrupt in ticks, 0: none. */
static u32 rtc_period(const struct rtc *rtc)
{
	u8 rate = rtc->ram[REG_A] & A_RATE;

	if (!rate || rtc_divider_reset(rtc))
		return 0;
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static void rtc_update_irq(struct rtc *rtc)
{
	bool raise = rtc->ram[REG_B] & rtc->ram[REG_C] & C_FLAGS;

	rtc->ram[REG_C] = (u8)((rtc->ram[REG_C] & C_FLAGS) | (raise ? C_IRQF : 0));
	if (raise == rtc->raised)
		return;
	rtc->raised = raise;
	rtc->unfinished |= raise;
	vdev_set_irq(&rtc->irq, RTC_IRQ, raise);
}

static void rtc_flag_tick(struct rtc *rtc, u64 tick)
{
	rtc->ram[REG_C] |= C_PF;
	rtc->chances = 0;
	rtc->flagged = tick;
}

/* Hands out a queued tick once the guest is done with the one before. */
static void rtc_next_queued(struct rtc *rtc)
{
	if (!rtc->backlog || rtc->unfinished || (rtc->ram[REG_C] & C_IRQF) || !(rtc->ram[REG_B] & B_PIE))
		return;
	rtc->backlog--;
	rtc_flag_tick(rtc, rtc->seen);
	rtc_update_irq(rtc);
}

/* A tick at this moment would find the one before unread for so long that nobody can be listening. */
static bool rtc_ignored(const struct rtc *rtc, u64 tick)
{
	return (rtc->ram[REG_C] & C_PF) && rtc->chances >= RTC_CHANCES && tick - rtc->flagged > RTC_PATIENCE;
}

static void rtc_account_periodic(struct rtc *rtc, u64 tick)
{
	u32 period = rtc_period(rtc);
	u64 ticks;

	if (!period)
		return;
	ticks = (tick - rtc->origin) / period - (rtc->seen - rtc->origin) / period;
	if (!ticks)
		return;
	if (rtc->ram[REG_C] & C_PF) {
		rtc->chances++;
	} else {
		rtc_flag_tick(rtc, tick);
		ticks--;
	}
	if (!(rtc->ram[REG_B] & B_PIE) || rtc_ignored(rtc, tick)) {
		rtc->backlog = 0;
		return;
	}
	ticks += rtc->backlog;
	rtc->backlog = ticks < RTC_MAX_BACKLOG ? (u32)ticks : RTC_MAX_BACKLOG;
}

/* Sets the flags of all that happened up to now. */
static void rtc_account(struct rtc *rtc, u64 tick)
{
	if (tick <= rtc->seen)
		return;
	rtc_account_periodic(rtc, tick);
	if (!rtc->held && rtc_seconds(rtc, tick) != rtc_seconds(rtc, rtc->seen)) {
		rtc->ram[REG_C] |= C_UF;
		if (rtc->alarm <= rtc_seconds(rtc, tick)) {
			rtc->ram[REG_C] |= C_AF;
			rtc->alarm = rtc_alarm_after(rtc, rtc_seconds(rtc, tick));
		}
	}
	rtc->seen = tick;
	rtc_update_irq(rtc);
}

static void rtc_set_alarm(struct rtc *rtc, u64 tick)
{
	rtc->alarm = rtc->held ? CLOCK_NEVER : rtc_alarm_after(rtc, rtc_seconds(rtc, tick));
}

/* From ram[] on, with updates where the divider chain has them. */
static void rtc_restart(struct rtc *rtc, u64 tick)
{
	u64 seconds = rtc_load(rtc);
	u32 weekday = rtc_decode(rtc, rtc->ram[WEEKDAY]);

	rtc->weekday_shift = (u8)((weekday + 13 - (seconds / DAY_SECONDS + 3) % 7) % 7);
	rtc->base = seconds;
	rtc->base_tick = tick - (tick - rtc->origin) % RTC_HZ;
	rtc_set_alarm(rtc, tick);
}

/* To be called after a change of SET or divider. */
static void rtc_update_held(struct rtc *rtc, u64 tick, bool hold)
{
	if (hold == rtc->held)
		return;
	if (hold)
		rtc_store(rtc, rtc_seconds(rtc, tick));
	rtc->held = hold;
	if (!hold)
		rtc_restart(rtc, tick);
}

static void rtc_write_a(struct rtc *rtc, u8 value, u64 tick)
{
	bool was_reset = rtc_divider_reset(rtc);
	u8 changed = (u8)((value ^ rtc->ram[REG_A]) & (A_RATE | A_DIVIDER));

	rtc->ram[REG_A] = value & (u8)~A_UIP;
	if (changed)
		rtc->backlog = 0;
	if (was_reset && !rtc_divider_reset(rtc))
		rtc->origin = tick - RTC_HZ / 2;	/* the first update comes after half a second */
	rtc_update_held(rtc, tick, rtc_divider_reset(rtc) || (rtc->ram[REG_B] & B_SET));
}

static void rtc_write_b(struct rtc *rtc, u8 value, u64 tick)
{
	bool hold = rtc_divider_reset(rtc) || (value & B_SET);

	if (value & B_SET)
		value &= (u8)~B_UIE;
	if ((value ^ rtc->ram[REG_B]) & B_PIE)
		rtc->backlog = 0;
	if (hold)	/* time is shown in the old format, and read back in the new one */
		rtc_update_held(rtc, tick, true);
	rtc->ram[REG_B] = value;
	if (!hold)
		rtc_update_held(rtc, tick, false);
	rtc_set_alarm(rtc, tick);
	rtc_update_irq(rtc);
}

static void rtc_write_time(struct rtc *rtc, u8 index, u8 value, u64 tick)
{
	if (!rtc->held)
		rtc_store(rtc, rtc_seconds(rtc, tick));
	rtc->ram[index] = value;
	if (!rtc->held)
		rtc_restart(rtc, tick);
}

static u8 rtc_read_c(struct rtc *rtc)
{
	u8 value = rtc->ram[REG_C];

	rtc->ram[REG_C] = 0;
	rtc_update_irq(rtc);
	rtc_next_queued(rtc);
	return value;
}

static u8 rtc_read_a(const struct rtc *rtc, u64 tick)
{
	bool uip = !rtc->held && (tick - rtc->origin) % RTC_HZ >= RTC_HZ - UPDATE_TICKS;

	return rtc->ram[REG_A] | (uip ? A_UIP : 0);
}

static u8 rtc_read_register(struct rtc *rtc, u8 index, u64 now)
{
	u64 tick;

	if (index >= FIRST_RAM && index != CENTURY)
		return rtc->ram[index];
	tick = rtc_tick(rtc, now);
	if (index == REG_A)
		return rtc_read_a(rtc, tick);
	if (index == REG_C) {
		rtc_account(rtc, tick);
		return rtc_read_c(rtc);
	}
	if (!rtc->held && rtc_is_time(index))
		return rtc_show(rtc, index, rtc_seconds(rtc, tick));
	return rtc->ram[index];
}

static void rtc_write_register(struct rtc *rtc, u8 index, u8 value, u64 now)
{
	u64 tick = rtc_tick(rtc, now);

	rtc_account(rtc, tick);
	switch (index) {
	case REG_A:
		return rtc_write_a(rtc, value, tick);
	case REG_B:
		return rtc_write_b(rtc, value, tick);
	case REG_C:
	case REG_D:
		return;
	case SECONDS_ALARM:
	case MINUTES_ALARM:
	case HOURS_ALARM:
		rtc->ram[index] = value;
		return rtc_set_alarm(rtc, tick);
	default:
		if (rtc_is_time(index))
			return rtc_write_time(rtc, index, value, tick);
		rtc->ram[index] = value;
	}
}

static void rtc_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct rtc *rtc = ctx;

	(void)size;
	switch (port) {
	case 0x70:
		rtc->index = value & 0x7f;
		rtc->nmi_disabled = value & 0x80;
		break;
	case 0x71:
		rtc_write_register(rtc, rtc->index, (u8)value, now);
		break;
	case 0x72:
		rtc->high_index = value & 0x7f;
		break;
	default:
		rtc->ram[0x80 + rtc->high_index] = (u8)value;
		break;
	}
}

static u64 rtc_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct rtc *rtc = ctx;

	(void)size;
	if (port == 0x71)
		return rtc_read_register(rtc, rtc->index, now);
	if (port == 0x73)
		return rtc->ram[0x80 + rtc->high_index];
	return 0xff;	/* the index registers are write-only */
}

const struct bus_row rtc_rows[RTC_ROWS] = {
	{ 0x70, 2, 1, rtc_read, rtc_write },
	{ 0x72, 2, 1, rtc_read, rtc_write },
};

void rtc_advance(struct rtc *rtc, u64 now)
{
	rtc_account(rtc, rtc_tick(rtc, now));
}

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

/*
 * Only what is enabled and not yet flagged needs a timer; all else is accounted for when somebody looks. But ticks
 * that find the flag up are counted in time, to tell a guest that is late from one that does not listen.
 */
u64 rtc_next_deadline(const struct rtc *rtc, u64 now)
{
	u8 wanted = rtc->ram[REG_B] & (u8)~rtc->ram[REG_C];
	u32 period = rtc_period(rtc);
	u64 tick = CLOCK_NEVER;

	(void)now;
	if ((rtc->ram[REG_B] & B_PIE) && period && !rtc_ignored(rtc, rtc->seen))
		tick = rtc->seen + period - (rtc->seen - rtc->origin) % period;
	if ((wanted & B_UIE) && !rtc->held)
		tick = earlier(tick, rtc->seen + RTC_HZ - (rtc->seen - rtc->base_tick) % RTC_HZ);
	if ((wanted & B_AIE) && !rtc->held && rtc->alarm != CLOCK_NEVER)
		tick = earlier(tick, rtc->base_tick + (rtc->alarm - rtc->base) * RTC_HZ);
	return tick == CLOCK_NEVER ? CLOCK_NEVER : clock_when(&rtc->clock, tick - TICK_BIAS);
}

void rtc_irq_done(struct rtc *rtc)
{
	rtc->unfinished = false;
	rtc_next_queued(rtc);
}

void rtc_poke(struct rtc *rtc, u8 index, u8 value)
{
	u32 sum = 0, i;

	if (index < FIRST_RAM || index == CENTURY)
		return;
	rtc->ram[index] = value;
	for (i = 0x10; i <= 0x2d; i++)
		sum += rtc->ram[i];
	rtc->ram[0x2e] = (u8)(sum >> 8);
	rtc->ram[0x2f] = (u8)sum;
}

static void rtc_poke_size(struct rtc *rtc, u8 index, u64 value, unsigned int bytes)
{
	u64 limit = (1ull << 8 * bytes) - 1;
	unsigned int i;

	if (value > limit)
		value = limit;
	for (i = 0; i < bytes; i++)
		rtc_poke(rtc, (u8)(index + i), (u8)(value >> 8 * i));
}

void rtc_set_memory(struct rtc *rtc, u64 below_4g, u64 above_4g)
{
	u64 above_1m = below_4g > 1u << 20 ? below_4g - (1u << 20) : 0;
	u64 above_16m = below_4g > 16u << 20 ? below_4g - (16u << 20) : 0;

	rtc_poke_size(rtc, 0x15, below_4g >> 10 < 640 ? below_4g >> 10 : 640, 2);	/* KiB */
	rtc_poke_size(rtc, 0x17, above_1m >> 10, 2);
	rtc_poke_size(rtc, 0x30, above_1m >> 10, 2);
	rtc_poke_size(rtc, 0x34, above_16m >> 16, 2);	/* 64 KiB */
	rtc_poke_size(rtc, 0x5b, above_4g >> 16, 3);
}

s64 rtc_get_time(const struct rtc *rtc, u64 now)
{
	u64 seconds = rtc->held ? rtc_load(rtc) : rtc_seconds(rtc, rtc_tick(rtc, now));

	return (s64)(seconds - (u64)DAYS_TO_1970 * DAY_SECONDS);
}

void rtc_set_time(struct rtc *rtc, s64 epoch, u64 now)
{
	u64 tick = rtc_tick(rtc, now), seconds = (u64)epoch + (u64)DAYS_TO_1970 * DAY_SECONDS;

	rtc_account(rtc, tick);
	if (rtc->held)
		return rtc_store(rtc, seconds);
	rtc->base = seconds;
	rtc->base_tick = tick - (tick - rtc->origin) % RTC_HZ;
	rtc_set_alarm(rtc, tick);
}

/* The RESET pin leaves time and memory alone. */
void rtc_reset(struct rtc *rtc, u64 now)
{
	rtc_account(rtc, rtc_tick(rtc, now));
	rtc->ram[REG_B] &= (u8)~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->ram[REG_C] = 0;
	rtc->index = 0;
	rtc->high_index = 0;
	rtc->nmi_disabled = false;
	rtc->backlog = 0;
	rtc->unfinished = false;
	rtc_update_irq(rtc);
}

void rtc_init(struct rtc *rtc, const struct vdev_irq *irq, u32 tsc_khz, s64 epoch, u64 now)
{
	vdev_clear(rtc, sizeof(*rtc));
	rtc->irq = *irq;
	rtc->clock = vdev_clock(tsc_khz, RTC_HZ);
	rtc->ram[REG_A] = A_DEFAULT;
	rtc->ram[REG_B] = B_24H;
	rtc->ram[REG_D] = D_VALID;
	rtc->seen = rtc_tick(rtc, now);
	rtc->origin = rtc->seen;
	rtc_set_time(rtc, epoch, now);
	rtc_poke(rtc, 0x14, 0x06);	/* equipment: FPU, PS/2 mouse port, no floppy */
}
