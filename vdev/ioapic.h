/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O APIC: Intel 82093AA (version 0x11), or one with an EOI register (version 0x20).
 *
 * Lines are asserted or not: the board's wires are taken to have the polarity that the guest programs, as a board
 * whose MADT tells the truth has. Who shares a line forms the OR before it calls.
 *
 * An edge-triggered interrupt that finds its vector pending already merges with it, as on hardware; set_line() says so.
 * For devices that must know when the guest is done with an edge (a periodic timer with ticks to catch up), a pin can
 * be watched: ack() then comes with the EOI of each interrupt that this pin sent.
 *
 * Locking: all calls for one I/O APIC under the partition's device lock. lapic_ops.eoi() must take it before it calls
 * ioapic_eoi(); lapic_ops.deliver() may be called with it held.
 */
#ifndef VDEV_IOAPIC_H
#define VDEV_IOAPIC_H

#include "bus.h"
#include "lapic.h"

#define IOAPIC_PINS	24
#define IOAPIC_BASE	0xfec00000u

struct ioapic_config {
	struct lapic_bus *bus;
	u32 id;
	bool has_eoi_register;			/* version 0x20 */
	u32 watched;				/* pins */
	void (*ack)(void *ctx, u32 pin);	/* may be NULL if no pin is watched; called under the lock */
	void *ctx;
};

struct ioapic {
	struct ioapic_config config;
	u64 entry[IOAPIC_PINS];
	u32 lines;		/* asserted pins */
	u32 in_service;		/* pins with remote IRR set, as in their entries */
	u32 id;
	u8 select;
};

#define IOAPIC_ROWS	3
extern const struct bus_row ioapic_rows[IOAPIC_ROWS];	/* map at IOAPIC_BASE, context struct ioapic */

void ioapic_init(struct ioapic *ioapic, const struct ioapic_config *config);
void ioapic_reset(struct ioapic *ioapic);		/* the lines stay as they are */

enum lapic_result ioapic_set_line(struct ioapic *ioapic, u32 pin, bool asserted);
void ioapic_eoi(struct ioapic *ioapic, u8 vector);

/* Where an ISA interrupt arrives: IRQ 0 on pin 2, as the MADT's override says; pin 0 is the 8259's. */
static inline u32 ioapic_isa_pin(u32 irq)
{
	return irq ? irq : 2;
}

#endif
