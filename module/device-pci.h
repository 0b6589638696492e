/* SPDX-License-Identifier: GPL-2.0-only */
/* device-pci.c: what is asked of a PCI device that is to be, or is, a direct-access device. */
#ifndef MODULE_DEVICE_PCI_H
#define MODULE_DEVICE_PCI_H

#include <linux/types.h>
#include <avmm/device.h>

struct avmm_refusal;
struct pci_dev;

/* A copy of an expansion ROM. */
struct avmm_rom {
	void *copy;			/* NULL: there is none */
	u32 size;			/* a power of two, whole pages */
};

/* 0 or a negative errno, with `why` filled in. */
int avmm_pci_check_kind(struct pci_dev *pdev, struct avmm_refusal *why);
int avmm_pci_check_bars(struct pci_dev *pdev, struct avmm_refusal *why);

/* Does the bit for bus mastering stay set? What cannot be a master cannot do DMA. No driver uses it. */
bool avmm_pci_can_master(struct pci_dev *pdev);

/* BARs and configuration space, for the monitor. */
void avmm_pci_describe(struct pci_dev *pdev, struct avmm_device *page);

/*
 * The images of its expansion ROM, as far as Linux finds any; none if they are larger than AVMM_DEVICE_ROM_MAX. A copy,
 * since the ROM itself may share its address decoder with BARs, and need not be on a page boundary. May sleep; -ENOMEM with
 * `why` filled in.
 */
int avmm_rom_copy(struct avmm_rom *rom, struct pci_dev *pdev, struct avmm_refusal *why);
void avmm_rom_drop(struct avmm_rom *rom);	/* nobody has its pages any more */

#endif
