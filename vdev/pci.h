/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI configuration space of the user partition by mechanism #1 (CF8h/CFCh), with the chip set of QEMU's "pc":
 *
 *	00:00.0	8086:1237 i440FX host bridge: PAM registers say what C0000h-FFFFFh reads and writes go to
 *	00:01.0	8086:7000 PIIX3 ISA bridge: routes PIRQA-PIRQD to IRQs
 *	00:01.3	8086:7113 PIIX4 power management: where the PM I/O block and the SMBus controller are, and whether
 *
 * and room for more. What no function claims reads all ones. The subsystem IDs are QEMU's: SeaBIOS and OVMF go by
 * them. APMC_EN (DEVACTB bit 25) is set from the start, since SeaBIOS would otherwise wait for an SMM handler.
 *
 * A function is a table of its registers: reset value, writable bits, bits cleared by writing ones. All else of its
 * 256 bytes is zero and read-only, so a BAR that is not in the table does not exist. Port CF9h (reset) is decoded
 * here because dword accesses to CF8h cover it.
 */
#ifndef AVMM_PCI_H
#define AVMM_PCI_H

#include "bus.h"

#define PCI_FUNCTIONS	16	/* functions on bus 0, the chip set's included */
#define PCI_PIRQS	4
#define PCI_NO_IRQ	256u
#define PCI_PAMS	13

#define PCI_DEVFN(dev, fn)	((dev) << 3 | (fn))
#define PCI_DEV_HOST		PCI_DEVFN(0, 0)
#define PCI_DEV_ISA		PCI_DEVFN(1, 0)
#define PCI_DEV_PM		PCI_DEVFN(1, 3)

/* What a PAM segment reads from and writes to: RAM if the bit is set, else the ROM or nothing. */
#define PCI_PAM_READ	1u
#define PCI_PAM_WRITE	2u

struct pci_register {
	u8 offset;
	u8 size;
	u32 reset;
	u32 writable;
	u32 clear;		/* bits that writing a one clears */
};

struct pci;

struct pci_model {
	const struct pci_register *registers;
	unsigned int nregisters;
	/* After a write to [offset, offset + size). May be NULL. */
	void (*written)(struct pci *pci, void *ctx, unsigned int offset, unsigned int size);
};

struct pci_function {
	const struct pci_model *model;
	void *ctx;
	u8 devfn;
	u8 intx;		/* interrupt pins that are up, bit 0: INTA */
	u8 config[256];
};

struct pci_ops {
	/* Segment C0000h + n * 4000h or F0000h changed; attr is PCI_PAM_*. May be NULL. */
	void (*pam)(void *ctx, u32 base, u32 size, u32 attr);
	/* The PM I/O block or the SMBus controller moved; base 0: it is not decoded. The latter may be NULL. */
	void (*pm_base)(void *ctx, u16 base);
	void (*smbus_base)(void *ctx, u16 base);
	/* Port CF9h. Like in pmtimer.h: only note it. */
	void (*reset)(void *ctx);
	void *ctx;
};

struct pci {
	u32 address;			/* CF8h */
	u8 reset_control;		/* CF9h */
	u16 pm_base;			/* as last reported */
	u16 smbus_base;
	u8 pam[PCI_PAMS];		/* likewise */
	u16 irq_level;			/* IRQs that PIRQs hold up */
	u8 index[256];			/* devfn to function + 1, 0: none */
	unsigned int count;
	struct pci_function function[PCI_FUNCTIONS];
	struct vdev_irq irq;
	struct pci_ops ops;
};

#define PCI_ROWS	2
extern const struct bus_row pci_rows[PCI_ROWS];		/* map at port 0, context struct pci */

/*
 * pm_base: the PM I/O block's place at reset, for kernels that start without firmware; 0: firmware sets it. The SMBus
 * controller then lies 100h above, as SeaBIOS puts them. Reports all PAM segments and both places once.
 */
void pci_init(struct pci *pci, const struct vdev_irq *irq, const struct pci_ops *ops, u16 pm_base);
void pci_reset(struct pci *pci, u16 pm_base);

/* False when the place is taken or the table full. The first function of a device has to be number 0. */
bool pci_add(struct pci *pci, u8 devfn, const struct pci_model *model, void *ctx);

/* A function's interrupt pin, 1 to 4 (INTA to INTD): PIRQ (dev + pin - 2) mod 4, as in QEMU's DSDT. Wired OR. */
void pci_set_intx(struct pci *pci, u8 devfn, unsigned int pin, bool level);
/* The IRQ that this pin is routed to now; PCI_NO_IRQ: none. */
unsigned int pci_intx_irq(struct pci *pci, u8 devfn, unsigned int pin);

/*
 * Configuration accesses as from the ports: address as in CF8h, offset + size at most 4. Any other bus than 0 and
 * absent functions read as ones.
 */
u32 pci_config_read(struct pci *pci, u32 address, unsigned int offset, unsigned int size);
void pci_config_write(struct pci *pci, u32 address, unsigned int offset, unsigned int size, u32 value);

#endif
