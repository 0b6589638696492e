/* SPDX-License-Identifier: GPL-2.0-only */
/* device.c: direct-access devices, taken from Linux for the user partition. */
#ifndef MODULE_DEVICE_H
#define MODULE_DEVICE_H

#include <linux/smp.h>
#include <linux/types.h>
#include <avmm/device.h>
#include <avmm/partition.h>

struct avmm_refusal;
struct avmm_vfio_files;
struct pci_dev;

struct avmm_device_info {
	char address[16];		/* "0000:00:04.0" */
	char driver[32];		/* who had it; "": nobody */
	u32 number;
	u32 irq;			/* Linux's; 0: none */
	u32 guest_devfn;
	u32 dma;			/* enum avmm_dma */
	u32 rom;			/* bytes of expansion ROM that the partition sees */
	bool live;			/* a partition that runs has it */
	u32 messages;			/* that its guest may use, by MSI or … */
	bool msix;			/* … MSI-X */
	struct avmm_device_counts counts;	/* zero unless it is live */
};

/*
 * A hypercall about a device's interrupt, on the shared CPU: here and now, or as soon as that CPU takes the message. One
 * that is still on its way there stays the only one. Interrupts are off.
 */
static inline void avmm_on_shared(call_single_data_t *csd)
{
	if (smp_processor_id() == AVMM_SHARED_CPU)
		csd->func(csd->info);
	else
		smp_call_function_single_async(AVMM_SHARED_CPU, csd);
}

int avmm_device_init(void);
void avmm_device_exit(void);		/* all go back to Linux */

/*
 * address: "0000:00:04.0" or "00:04.0"; rom: the partition sees its expansion ROM. May sleep; 0 or a negative errno, with
 * `why` filled in.
 */
int avmm_device_assign(const char *address, u32 dma, bool rom, struct avmm_refusal *why);
int avmm_device_release(const char *address, struct avmm_refusal *why);
/* By files of the calling process: a device that vfio-pci has, with AVMM_DMA_IOMMU. */
int avmm_device_hold(const char *address, const struct avmm_vfio_files *files, struct avmm_refusal *why);
/* The assigned device with this number; false: there is none. */
bool avmm_device_info(unsigned int number, struct avmm_device_info *info);

/* For partition.c, under its lock. page: a page to tell the monitor by; attach comes before the start, go behind it. */
int avmm_device_attach(void *page, struct avmm_refusal *why);
void avmm_device_go(void);
void avmm_device_halt(void);		/* no interrupt, no DMA any more; may be called again */
void avmm_device_rest(void);		/* the monitor has let registers and ROMs go: reset */

/* device-message.c, by the device's number: MSI-X if it may be, else MSI, or none. The switch, off at first, does not sleep. */
void avmm_messages_take(u32 device, struct pci_dev *pdev, bool msix);
void avmm_messages_give(u32 device);
u32 avmm_messages_count(u32 device, bool *msix);
void avmm_messages_switch(u32 device, bool on);		/* instead of the line */
void avmm_messages_synchronize(u32 device);		/* switched off before: no handler runs any more */

/* device-reset.c: by PCI, or as its programming interface says. locked: the device's lock is held. */
bool avmm_device_can_reset(struct pci_dev *pdev);
int avmm_device_reset(struct pci_dev *pdev, bool locked);	/* -ENOTTY: it cannot be */

void avmm_device_look(void);		/* the monitor's message, in interrupt context: lines to unmask */

#endif
