/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Configuration space of a direct-access device, as the guest sees it (PCI Local Bus 3.0, chapter 6). One table says
 * what each register is:
 *
 *	pass	the machine's value, read-only
 *	shadow	the machine's value at first; what the guest writes is kept and goes no further
 *	virtual	made here: command, BARs, expansion ROM, capability pointers, interrupt pin, MSI (one message, no masks) and
 *		MSI-X
 *	hidden	what no row names: zero, read-only
 *
 * direct_init() turns the table and a snapshot of the device into a struct pci_model, and pci.c does the rest.
 * Registers of the vendor's own are hidden but for a few by name.
 * Capabilities that no row knows vanish from the list, and so do those that need what the module does not offer.
 */
#ifndef AVMM_DIRECT_H
#define AVMM_DIRECT_H

#include <avmm/device.h>
#include "msix.h"
#include "pci.h"

#define DIRECT_REGISTERS	48
#define DIRECT_NO_CAP		0
#define DIRECT_BARS		(AVMM_DEVICE_BARS + 1)
#define DIRECT_ROM		AVMM_DEVICE_BARS	/* the expansion ROM: a BAR with an enable bit of its own */
#define DIRECT_MIN_MEMORY	4096ull	/* a memory BAR is at least this large for the guest: pages are what EPT maps */

struct direct {
	struct avmm_device device;		/* checked */
	struct avmm_device_bar rom;		/* its copy; flags are 0 */
	struct pci_register reg[DIRECT_REGISTERS];
	struct pci_model model;
	u8 pm, msi, msix;			/* offsets of capabilities that the guest sees; DIRECT_NO_CAP */
	u8 pin;					/* 1: INTA; 0: no interrupt pin */
	struct msix table;			/* of MSI-X; no entries: the guest does not see that */
};

/* What is behind BAR i, of DIRECT_BARS. */
static inline const struct avmm_device_bar *direct_bar(const struct direct *d, unsigned int i)
{
	return i == DIRECT_ROM ? &d->rom : &d->device.bar[i];
}

/* What bar i looks like to the guest; 0: there is none. */
u64 direct_bar_size(const struct direct *d, unsigned int i);

/* False: the description makes no sense, and *d must not be used. model.written is NULL, to be set. */
bool direct_init(struct direct *d, const struct avmm_device *device);

/* As the guest has them in its configuration space now; nothing else is read from *pci. */
u64 direct_bar_base(const struct direct *d, struct pci *pci, unsigned int i);
bool direct_bar_enabled(const struct direct *d, struct pci *pci, unsigned int i);
bool direct_intx_enabled(const struct direct *d, struct pci *pci);
bool direct_master(const struct direct *d, struct pci *pci);	/* it may master the bus: only with AVMM_DEVICE_MASTER */
/* MSI or MSI-X instead of the pin. */
bool direct_messages(const struct direct *d, struct pci *pci);
/* The message for a vector. False: not enabled, or masked, or there is no such vector. */
bool direct_message(const struct direct *d, struct pci *pci, unsigned int vector, struct direct_message *message);
/* [offset, offset + size) of configuration space has to do with these two. */
bool direct_is_message_control(const struct direct *d, unsigned int offset, unsigned int size);

#endif
