/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The 82C54 interval timer and port 61h of a PC.
 *
 * Nothing counts: a channel remembers at which tick of the 1.193182 MHz clock its counting began, and all that can be
 * seen of it (count, status, OUT) is computed from that. Channel 0's OUT is IRQ 0; channel 1 is the refresh timer, of
 * which bit 4 of port 61h is left; channel 2's gate and OUT are bits 0 and 5 of port 61h.
 *
 * No periodic tick is lost. Each rising edge of channel 0 reaches the line as pit_advance() finds it. Edges that came
 * while the guest had not yet finished an earlier one (pit_irq_done(), from the EOI) may have been merged by the
 * interrupt controller; they are queued, at most PIT_MAX_BACKLOG of them, and each EOI hands out one. Programming
 * channel 0 forgets the queue. So does a guest that does not finish an interrupt for PIT_PATIENCE, though it had
 * PIT_CHANCES deadlines: it masked IRQ 0, and ticks of a masked timer are lost on every machine. Channel 0 does not
 * ask for more than one deadline in PIT_MIN_INTERVAL ticks (100 us), however fast it is programmed.
 */
#ifndef AVMM_PIT_H
#define AVMM_PIT_H

#include "bus.h"

#define PIT_HZ			1193182u
#define PIT_IRQ			0
#define PIT_MAX_BACKLOG		1000u	/* 1 s at 1 kHz */
#define PIT_PATIENCE		(PIT_HZ / 4)
#define PIT_CHANCES		4u
#define PIT_MIN_INTERVAL	119u

struct pit_channel {
	u64 start;		/* tick of which the count is "count"; elapsed time counts from here */
	u64 reload_at;		/* tick at which next_count replaces count, if reload_pending */
	u64 frozen;		/* elapsed ticks, while not running */
	u32 count;		/* 1 to 65536, or 10000 in BCD */
	u32 next_count;
	bool running;		/* the clock is gated in */
	bool loaded;		/* a count was written since the control word (modes 1, 5: and triggered) */
	bool programmed;	/* a count was written since the control word */
	bool reload_pending;
	bool gate;
	u8 mode;		/* 0 to 5 */
	u8 access;		/* 1: low byte, 2: high byte, 3: low, then high */
	bool bcd;
	bool write_high;	/* access 3: the next byte written is the high one */
	u8 write_low;
	bool read_high;		/* likewise for reads that are not latched */
	u8 latched;		/* bytes of latch that are left to read */
	u16 latch;
	bool status_latched;
	u8 status;
};

struct pit {
	struct clock clock;
	struct vdev_irq irq;
	struct pit_channel channel[3];
	u64 seen;		/* tick up to which edges of channel 0 are accounted for */
	u64 raised;		/* tick of the edge that is not finished */
	u32 chances;		/* deadlines since then */
	u32 backlog;		/* queued ticks */
	bool unfinished;	/* an edge was raised and the guest has not finished the interrupt */
	u8 port61;		/* bits 0 to 3 as written */
};

#define PIT_ROWS	3
extern const struct bus_row pit_rows[PIT_ROWS];		/* map at port 0, context struct pit */

void pit_init(struct pit *pit, const struct vdev_irq *irq, u32 tsc_khz, u64 now);
void pit_reset(struct pit *pit, u64 now);

u64 pit_next_deadline(const struct pit *pit, u64 now);
void pit_advance(struct pit *pit, u64 now);

void pit_irq_done(struct pit *pit);

/* The speaker's input: channel 2's OUT, if port 61h lets it through. */
bool pit_speaker(const struct pit *pit, u64 now);

#endif
