/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI fixed hardware of PIIX4's power management function: PM1 event and control registers, the 24-bit PM timer, the
 * power button, SCI (IRQ 9, level), the APM control port; and the ports that reset a PC.
 *
 * The PM I/O block lies where the PCI function says (pci.h: ops.pm_base): map pm_rows there. ACPI modes: the FADT may
 * name no SMI command port (then ask pm_init() for acpi_mode: the machine always is in it), or port B2h with the
 * commands below. There is no SMM behind port B2h.
 */
#ifndef AVMM_PMTIMER_H
#define AVMM_PMTIMER_H

#include "bus.h"

#define PM_HZ			3579545u
#define PM_SCI			9
#define PM_ACPI_ENABLE		0xf1	/* FADT ACPI_ENABLE, ACPI_DISABLE; as QEMU's pc has them */
#define PM_ACPI_DISABLE		0xf0
#define PM_SLEEP_TYPE_S5	0	/* SLP_TYP of soft off; the DSDT's _S5 has to say the same */

/* Called from inside a handler: they note what is wanted, the caller of the bus does it afterwards. */
struct pm_ops {
	void (*power_off)(void *ctx);
	void (*reset)(void *ctx);
	void *ctx;
};

struct pm {
	struct clock clock;
	struct vdev_irq irq;
	struct pm_ops ops;
	u64 seen;		/* tick up to which the timer's status is accounted for */
	u16 status;
	u16 enable;
	u16 control;
	u8 apm[2];		/* ports B2h, B3h */
	u8 port92;
	bool acpi_mode;		/* SCI_EN after reset */
	bool sci;		/* the line */
};

#define PM_ROWS			6
extern const struct bus_row pm_rows[PM_ROWS];		/* map at the PM I/O base */
#define PM_PORT_ROWS		3
extern const struct bus_row pm_port_rows[PM_PORT_ROWS];	/* map at port 0: APM, port 92h, POST code */
#define PM_KEYBOARD_ROWS	1
extern const struct bus_row pm_keyboard_rows[PM_KEYBOARD_ROWS];	/* map at port 0 while there is no i8042: 64h */

void pm_init(struct pm *pm, const struct vdev_irq *irq, const struct pm_ops *ops, u32 tsc_khz, bool acpi_mode,
	     u64 now);
void pm_reset(struct pm *pm, u64 now);

void pm_power_button(struct pm *pm, u64 now);

u64 pm_next_deadline(const struct pm *pm, u64 now);
void pm_advance(struct pm *pm, u64 now);

#endif
