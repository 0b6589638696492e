// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of direct-access devices: MSI-X where its table can be kept from the guest, else MSI. Linux has the vectors;
 * their numbers are relayed. They are requested when the device is assigned, which may sleep; from then on the capability's
 * enable bit alone says whether the device sends messages or has its line up, and that bit is flipped, in interrupt
 * context, when the guest flips its own. A device that gets no vectors has its line.
 *
 * A message that finds the last relay of its vector still on its way to the shared CPU needs none of its own: the guest
 * looks after both.
 */
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/smp.h>
#include <avmm/device.h>
#include <avmm/hypercall.h>
#include "module.h"
#include "device.h"
#include "partition.h"

struct message {
	u32 device;
	u32 vector;
	int irq;
	call_single_data_t relay;
};

static struct messages {
	struct pci_dev *pdev;
	int cap;
	bool msix;
	bool on;		/* a partition wants them */
	u32 count;		/* 0: there are none */
	struct message message[AVMM_DEVICE_MESSAGES];
} messages[AVMM_MAX_DEVICES];

/* On the shared CPU, with interrupts off. Without a partition nobody wants to know. */
static void relay(void *data)
{
	const struct message *m = data;

	vmx_hypercall(AVMM_HC_DEVICE_INTERRUPT, m->device, m->vector + 1, 0);
}

static irqreturn_t on_message(int irq, void *data)
{
	struct message *m = data;

	if (READ_ONCE(messages[m->device].on))
		avmm_on_shared(&m->relay);
	return IRQ_HANDLED;
}

static void enable(const struct messages *all, bool on)
{
	int at = all->cap + (all->msix ? PCI_MSIX_FLAGS : PCI_MSI_FLAGS);
	u16 flags;

	pci_read_config_word(all->pdev, at, &flags);
	flags &= all->msix ? ~(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) : ~PCI_MSI_FLAGS_ENABLE;
	if (on)
		flags |= all->msix ? PCI_MSIX_FLAGS_ENABLE : PCI_MSI_FLAGS_ENABLE;
	pci_write_config_word(all->pdev, at, flags);
	/* what was sent before has arrived when this has */
	pci_read_config_word(all->pdev, at, &flags);
}

static void give_some(struct messages *all, u32 n)
{
	while (n--)
		free_irq(all->message[n].irq, &all->message[n]);
	pci_free_irq_vectors(all->pdev);
	all->count = 0;
}

static void request(struct messages *all, u32 device, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		struct message *m = &all->message[i];

		*m = (struct message){ .device = device, .vector = i, .irq = pci_irq_vector(all->pdev, i) };
		INIT_CSD(&m->relay, relay, m);
		irq_set_affinity(m->irq, cpumask_of(AVMM_SHARED_CPU));
		if (request_irq(m->irq, on_message, IRQF_NOBALANCING | IRQF_NO_THREAD, "avmm", m)) {
			give_some(all, i);
			return;
		}
	}
	all->count = n;
	enable(all, false);
}

void avmm_messages_take(u32 device, struct pci_dev *pdev, bool msix)
{
	struct messages *all = &messages[device];
	int n = -ENOSPC;

	all->pdev = pdev;
	all->on = false;
	all->msix = msix;
	if (msix)
		n = pci_alloc_irq_vectors(pdev, 1, AVMM_DEVICE_MESSAGES, PCI_IRQ_MSIX);
	if (n < 0) {
		all->msix = false;
		n = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	}
	if (n < 0)
		return;
	all->cap = pci_find_capability(pdev, all->msix ? PCI_CAP_ID_MSIX : PCI_CAP_ID_MSI);
	request(all, device, n);
}

void avmm_messages_give(u32 device)
{
	if (messages[device].count)
		give_some(&messages[device], messages[device].count);
}

u32 avmm_messages_count(u32 device, bool *msix)
{
	*msix = messages[device].msix;
	return messages[device].count;
}

void avmm_messages_switch(u32 device, bool on)
{
	struct messages *all = &messages[device];

	if (!all->count)
		return;
	WRITE_ONCE(all->on, on);
	enable(all, on);
}

void avmm_messages_synchronize(u32 device)
{
	u32 i;

	for (i = 0; i < messages[device].count; i++)
		synchronize_irq(messages[device].message[i].irq);
}
