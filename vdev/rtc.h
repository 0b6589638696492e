/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MC146818 real time clock with 256 bytes of CMOS memory, as in PIIX4: ports 70h/71h, upper bank at 72h/73h.
 *
 * The time of day is a count of seconds that began at some tick of the 32.768 kHz clock; the registers are computed
 * from it. Only while the guest holds the clock (SET, or the divider in reset) they are bytes as the guest wrote them.
 *
 * No periodic tick is lost. A tick that finds the one before still in register C is queued, at most RTC_MAX_BACKLOG
 * of them; the next one is handed out when the guest has both read register C and finished the interrupt
 * (rtc_irq_done(), from the EOI). Changing rate or enable bit forgets the queue. So does a guest that does not read
 * register C for RTC_PATIENCE, though it had RTC_CHANCES deadlines: it does not listen.
 *
 * Century in byte 32h, in the format that register B says for the other bytes. Daylight saving is not implemented.
 */
#ifndef AVMM_RTC_H
#define AVMM_RTC_H

#include "bus.h"

#define RTC_HZ		32768u
#define RTC_IRQ		8
#define RTC_MAX_BACKLOG	1024u
#define RTC_PATIENCE	(RTC_HZ / 4)
#define RTC_CHANCES	4u

struct rtc {
	struct clock clock;
	struct vdev_irq irq;
	u8 ram[256];
	u8 index;		/* port 70h, without the NMI bit */
	u8 high_index;		/* port 72h */
	bool nmi_disabled;	/* bit 7 of port 70h */
	bool held;		/* time stands still, ram[] has it */
	bool raised;		/* the line */
	bool unfinished;	/* an interrupt was raised and the guest has not finished it */
	u8 weekday_shift;	/* what the guest added to the true day of the week */
	u32 backlog;		/* queued periodic ticks */
	u32 chances;		/* deadlines since the periodic flag came up */
	u64 flagged;		/* tick at which it did */
	u64 origin;		/* a tick at which the divider chain was all zeroes */
	u64 base;		/* seconds … */
	u64 base_tick;		/* … at this tick */
	u64 alarm;		/* in seconds: the next alarm after "seen" */
	u64 seen;		/* tick up to which flags are accounted for */
};

#define RTC_ROWS	2
extern const struct bus_row rtc_rows[RTC_ROWS];		/* map at port 0, context struct rtc */

/* epoch: what the clock shows now, as seconds since 1970-01-01 of the guest's time zone (Windows wants local time). */
void rtc_init(struct rtc *rtc, const struct vdev_irq *irq, u32 tsc_khz, s64 epoch, u64 now);
void rtc_reset(struct rtc *rtc, u64 now);

/* For firmware: the memory size bytes of a PC. Sizes in bytes, below_4g counted from address 0. */
void rtc_set_memory(struct rtc *rtc, u64 below_4g, u64 above_4g);
/* A byte of CMOS memory that is no clock register; keeps the checksum of the standard area. */
void rtc_poke(struct rtc *rtc, u8 index, u8 value);

/* What the clock shows, as for rtc_init(); and to set it. */
s64 rtc_get_time(const struct rtc *rtc, u64 now);
void rtc_set_time(struct rtc *rtc, s64 epoch, u64 now);

u64 rtc_next_deadline(const struct rtc *rtc, u64 now);
void rtc_advance(struct rtc *rtc, u64 now);

void rtc_irq_done(struct rtc *rtc);

#endif
