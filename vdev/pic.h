/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pair of 8259A interrupt controllers of a PC with the edge/level registers of PIIX3.
 *
 * Inputs: pic_set_irq(). Output: ops.intr() on every change of the master's INT pin, which goes to the local APIC's
 * LINT0 or, without one, to the processor; the processor's acknowledge cycle is pic_ack().
 *
 * ops.done() says that the guest finished an interrupt: EOI, or the acknowledge cycle with automatic EOI. Timers
 * hand out their next queued tick then.
 *
 * As on PIIX3, ICW1's level bit is ignored (ELCR decides) and the slave hangs on the master's input 2 for good. One
 * deviation: an edge stays latched when its line falls before the acknowledge. A real 8259A would give a spurious
 * IRQ 7 and lose the interrupt; no driver wants that, and pulses would have to be stretched for it.
 */
#ifndef AVMM_PIC_H
#define AVMM_PIC_H

#include "bus.h"

struct pic_ops {
	void (*intr)(void *ctx, bool level);
	void (*done)(void *ctx, unsigned int irq);		/* may be NULL */
	void *ctx;
};

struct pic_chip {
	u8 irr;			/* latched edges, and level lines that are high */
	u8 imr;
	u8 isr;
	u8 lines;		/* the inputs */
	u8 elcr;		/* 1: level triggered */
	u8 first;		/* the input that has the highest priority */
	u8 base;		/* interrupt vector of input 0 (ICW2) */
	u8 init_step;		/* which ICW comes next, 0: none */
	bool master;
	bool want_icw4;
	bool single;		/* ICW1 announced no ICW3 */
	bool read_isr;
	bool poll;
	bool special_mask;
	bool auto_eoi;
	bool rotate_on_auto_eoi;
	bool fully_nested;	/* "special fully nested mode" */
};

struct pic {
	struct pic_chip chip[2];	/* master, slave */
	struct pic_ops ops;
	bool intr;
};

#define PIC_ROWS	3
extern const struct bus_row pic_rows[PIC_ROWS];		/* map at port 0, context struct pic */

void pic_init(struct pic *pic, const struct pic_ops *ops);
void pic_reset(struct pic *pic);

void pic_set_irq(struct pic *pic, unsigned int irq, bool level);
static inline bool pic_pending(const struct pic *pic)
{
	return pic->intr;
}

/* The acknowledge cycle: the vector; a spurious one (input 7) when the request went away meanwhile. */
u8 pic_ack(struct pic *pic);

#endif
