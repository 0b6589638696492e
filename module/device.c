// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct-access devices on Linux's side. A device that is assigned has this module's stub for a driver, by
 * driver_override; the stub does nothing with it but hold it, so that nobody else in Linux does.
 *
 *	assigned	bound to the stub, decoding, not mastering the bus, its interrupt line requested but masked
 *	live		a partition runs with it: an interrupt masks the line and is relayed; acknowledged, it is unmasked; it
 *			masters the bus while the guest says so and the partition's addresses are the machine's (window.c),
 *			and then it sends messages instead if the guest says so (device-message.c);
 *			the copy of its expansion ROM is kept from before that until the monitor has let it go
 *
 * With an IOMMU a device has vfio-pci for a driver instead, by avmmctl, which holds it by vfio while a partition has it.
 * vfio resets it and masks its interrupts (vfio.c); bus mastering is switched here, as the guest says.
 *
 * A line is masked at the device where it can do so (DisINTx, PCI 2.3): then others may share it. Else the line itself
 * is, and it must be this device's alone: Linux refuses to request it otherwise.
 *
 * `lock` guards assigning and releasing, and is held across driver callbacks of other drivers; `irq_lock` guards what
 * the interrupt handler touches. Lock order: partition.c's lock, then `lock`, then device locks; `irq_lock` last.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <avmm/hypercall.h>
#include "module.h"
#include "device.h"
#include "device-pci.h"
#include "override.h"
#include "partition.h"
#include "vfio.h"

#define STUB_NAME	"avmm"
#define VFIO_NAME	"vfio-pci"
#define FIRST_SLOT	2	/* slots 0 and 1 of the guest's bus are its chip set */
#define LAST_SLOT	31

struct direct {
	struct pci_dev *pdev;		/* NULL: this entry is free */
	u32 number;
	u32 dma;
	u32 guest_devfn;
	int irq;			/* 0: it has no pin */
	bool can_master;
	bool masks_itself;		/* DisINTx */
	bool live;
	bool used;			/* by a partition, and not reset since */
	bool masked;			/* relayed, and not yet acknowledged */
	u32 seen;			/* acknowledgements, at the last look */
	u32 has;			/* AVMM_WANTS_*, as they are set now; what the monitor was told */
	bool shows_rom;
	struct avmm_rom rom;		/* the copy that the monitor has */
	call_single_data_t relay;
	call_single_data_t mastered;
	struct avmm_vfio *vfio;		/* with AVMM_DMA_IOMMU, once a process holds it; changed while not live */
	char was[32];			/* the driver that had it */
};

static DEFINE_MUTEX(lock);
static DEFINE_RAW_SPINLOCK(irq_lock);
static struct direct devices[AVMM_MAX_DEVICES];
static struct direct *taking;		/* whom the stub may bind to */
static struct avmm_refusal *taking_why;
static int taking_err;
static struct direct *giving;		/* whom it is to let go */

static bool by_vfio(const struct direct *d)
{
	return d->dma == AVMM_DMA_IOMMU;
}

/* Under `lock`. No process holds it, or not any more. */
static bool is_lost(const struct direct *d)
{
	return by_vfio(d) && (!d->vfio || avmm_vfio_gone(d->vfio));
}

/* Interrupts */

/* On the shared CPU, with interrupts off. Without a partition nobody wants to know. */
static void relay(void *data)
{
	struct direct *d = data;

	vmx_hypercall(AVMM_HC_DEVICE_INTERRUPT, d->number, 0, 0);
}

/* Likewise. */
static void tell_mastering(void *data)
{
	struct direct *d = data;

	vmx_hypercall(AVMM_HC_DEVICE_MASTER, d->number, READ_ONCE(d->has), 0);
}

static irqreturn_t on_interrupt(int irq, void *data)
{
	struct direct *d = data;

	raw_spin_lock(&irq_lock);
	if (!d->live || d->masked || (d->masks_itself && !pci_check_and_mask_intx(d->pdev))) {
		raw_spin_unlock(&irq_lock);
		return IRQ_NONE;
	}
	if (!d->masks_itself)
		disable_irq_nosync(irq);
	d->masked = true;
	raw_spin_unlock(&irq_lock);
	avmm_on_shared(&d->relay);
	return IRQ_HANDLED;
}

/* Under irq_lock. True: the device has more to say already. */
static bool unmask(struct direct *d)
{
	if (!d->masked)
		return false;
	if (d->masks_itself && !pci_check_and_unmask_intx(d->pdev))
		return true;
	d->masked = false;
	if (!d->masks_itself && !by_vfio(d))
		enable_irq(d->irq);
	return false;
}

static bool may_master(const struct direct *d)
{
	return d->can_master && (d->dma == AVMM_DMA_TRUSTED || by_vfio(d));
}

/*
 * Read back: what was posted to memory before has arrived. Bytes, for by the register's high one vfio masks interrupts on
 * another CPU meanwhile.
 */
static void set_master(struct direct *d, bool master)
{
	u8 command;

	pci_read_config_byte(d->pdev, PCI_COMMAND, &command);
	command = master ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
	pci_write_config_byte(d->pdev, PCI_COMMAND, command);
	pci_read_config_byte(d->pdev, PCI_COMMAND, &command);
}

/* The guest waits for the answer. Under irq_lock. */
static bool look_at_wants(struct direct *d, u32 wants)
{
	u32 changed = wants ^ d->has;

	if (!changed || !may_master(d))
		return false;
	if (changed & AVMM_WANTS_MASTER)
		set_master(d, wants & AVMM_WANTS_MASTER);
	if (changed & AVMM_WANTS_MESSAGES)
		avmm_messages_switch(d->number, wants & AVMM_WANTS_MESSAGES);
	WRITE_ONCE(d->has, wants);
	return true;
}

void avmm_device_look(void)
{
	const struct avmm_partition_page *page = avmm_shared_partition();
	unsigned int i;

	for (i = 0; i < AVMM_MAX_DEVICES; i++) {
		struct direct *d = &devices[i];
		bool again = false, mastered = false;
		struct avmm_vfio *finished = NULL;
		u32 acked;

		if (!READ_ONCE(d->live))
			continue;
		raw_spin_lock(&irq_lock);
		/* first, for one that sends messages now has its line down */
		if (d->live)
			mastered = look_at_wants(d, READ_ONCE(page->device[i].wants));
		acked = READ_ONCE(page->device[i].acked);
		if (d->live && acked != d->seen) {
			d->seen = acked;
			finished = d->masked ? d->vfio : NULL;
			again = unmask(d);
		}
		raw_spin_unlock(&irq_lock);
		if (mastered)
			avmm_on_shared(&d->mastered);
		if (again)
			smp_call_function_single_async(AVMM_SHARED_CPU, &d->relay);
		if (finished)
			avmm_vfio_done(finished);
	}
}

/* The eventfd of vfio, which has masked the interrupt. One that nobody wants stays so until the next start. */
static void on_raised(void *data)
{
	struct direct *d = data;
	unsigned long flags;
	bool heard;

	raw_spin_lock_irqsave(&irq_lock, flags);
	heard = d->live && !d->masked;
	if (heard)
		d->masked = true;
	raw_spin_unlock_irqrestore(&irq_lock, flags);
	if (heard)
		avmm_on_shared(&d->relay);
}

static void on_lost(struct work_struct *work);
static DECLARE_WORK(lost_work, on_lost);

static void on_gone(void *data)
{
	schedule_work(&lost_work);
}

static int take_irq(struct direct *d, struct avmm_refusal *why)
{
	int err;

	if (!d->pdev->pin)
		return 0;
	if (!d->pdev->irq)
		return avmm_refuse(why, -ENODEV, "%s: no interrupt line was found for its pin", pci_name(d->pdev));
	d->masks_itself = pci_intx_mask_supported(d->pdev);
	if (d->masks_itself) {
		pci_intx(d->pdev, 0);
		err = request_irq(d->pdev->irq, on_interrupt, IRQF_SHARED, STUB_NAME, d);
	} else {
		/* masked at once, not at the next interrupt; a line that is not free is no news for the kernel log */
		irq_set_status_flags(d->pdev->irq, IRQ_DISABLE_UNLAZY);
		err = request_irq(d->pdev->irq, on_interrupt, IRQF_NO_AUTOEN | IRQF_PROBE_SHARED, STUB_NAME, d);
	}
	if (err == -EBUSY)
		return avmm_refuse(why, err, "%s: its interrupt line %u is shared with another device, and it cannot "
				   "mask its own interrupts", pci_name(d->pdev), d->pdev->irq);
	if (err)
		return avmm_refuse(why, err, "%s: its interrupt line %u cannot be requested: error %d",
				   pci_name(d->pdev), d->pdev->irq, err);
	d->irq = d->pdev->irq;
	irq_set_affinity(d->irq, cpumask_of(AVMM_SHARED_CPU));
	return 0;
}

static void give_irq(struct direct *d)
{
	if (!d->irq)
		return;
	if (!d->masks_itself)
		irq_clear_status_flags(d->irq, IRQ_DISABLE_UNLAZY);
	free_irq(d->irq, d);
	d->irq = 0;
}

/* What may be assigned: see device-pci.c, too */

/* The stub has just got the device, which no driver uses. */
static int check_dma(struct direct *d, struct avmm_refusal *why)
{
	d->can_master = avmm_pci_can_master(d->pdev);
	if (may_master(d) && !avmm_device_can_reset(d->pdev))
		return avmm_refuse(why, -EOPNOTSUPP, "%s cannot be reset: its next user would have its DMA of before",
				   pci_name(d->pdev));
	if (d->dma != AVMM_DMA_NONE || !d->can_master)
		return 0;
	return avmm_refuse(why, -EPERM, "%s can do DMA, by which the user partition could reach all memory: say "
			   "dma = iommu, dma = off, or dma = trusted", pci_name(d->pdev));
}

/* The stub driver */

/* Bus mastering is off, read back, before anybody else gets the memory; no messages, either. */
static void quiesce(struct direct *d)
{
	u16 command;

	avmm_messages_switch(d->number, false);
	pci_clear_master(d->pdev);
	pci_read_config_word(d->pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MASTER)
		pr_avmm(KERN_ERR, "%s goes on mastering the bus\n", pci_name(d->pdev));
	if (d->masks_itself)
		pci_intx(d->pdev, 0);
}

/* Of one that cannot be reset, the next driver will have to; it has no DMA (check_dma). */
static void reset(struct direct *d, bool locked)
{
	int err;

	pci_save_state(d->pdev);
	err = avmm_device_reset(d->pdev, locked);
	if (!err)
		pci_restore_state(d->pdev);
	else if (may_master(d))
		pr_avmm(KERN_ERR, "%s cannot be reset: error %d\n", pci_name(d->pdev), err);
}

static void describe(struct direct *d, struct avmm_device *page);

/* A message is a write to memory: without DMA there are none. What comes of this is said by avmm_messages_count(). */
static void take_messages(struct direct *d)
{
	struct avmm_device *page = kmalloc(sizeof(*page), GFP_KERNEL);
	struct avmm_msix place;
	u8 cap;

	if (page && may_master(d)) {
		describe(d, page);
		cap = pci_find_capability(d->pdev, PCI_CAP_ID_MSIX);
		avmm_messages_take(d->number, d->pdev, cap && avmm_device_msix(page, cap, &place));
	}
	kfree(page);
}

static int take(struct direct *d, struct avmm_refusal *why)
{
	struct pci_dev *pdev = d->pdev;
	int err = avmm_pci_check_bars(pdev, why) ?: check_dma(d, why);

	if (err)
		return err;
	err = pci_enable_device(pdev);
	if (err)
		return avmm_refuse(why, err, "%s cannot be enabled: error %d", pci_name(pdev), err);
	err = pci_request_regions(pdev, STUB_NAME);
	if (err) {
		avmm_refuse(why, err, "%s: its addresses are in use", pci_name(pdev));
		goto disable;
	}
	quiesce(d);
	reset(d, true);
	quiesce(d);
	err = take_irq(d, why);
	if (!err) {
		take_messages(d);
		quiesce(d);
		return 0;
	}
	pci_release_regions(pdev);
disable:
	pci_disable_device(pdev);
	return err;
}

static int stub_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct direct *d = taking;

	if (!d || d->pdev != pdev)
		return -ENODEV;
	taking_err = take(d, taking_why);
	if (taking_err)
		return -ENODEV;		/* about which the driver core says nothing */
	pci_set_drvdata(pdev, d);
	return 0;
}

/* Called by release() below, or because the device vanishes: then the partition cannot go on. */
static void stub_remove(struct pci_dev *pdev)
{
	struct direct *d = pci_get_drvdata(pdev);
	struct avmm_refusal ignored;

	if (READ_ONCE(d->live)) {
		pr_avmm(KERN_ERR, "%s vanishes: the user partition is stopped\n", pci_name(pdev));
		avmm_partition_destroy(&ignored);
	}
	avmm_messages_give(d->number);
	give_irq(d);
	if (d->masks_itself)
		pci_intx(pdev, 1);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	pci_set_drvdata(pdev, NULL);
	if (giving != d) {
		pci_dev_put(d->pdev);
		d->pdev = NULL;
	}
}

static const struct pci_device_id no_ids[] = { { } };

static struct pci_driver stub = {
	.name = STUB_NAME,
	.id_table = no_ids,		/* by driver_override only */
	.probe = stub_probe,
	.remove = stub_remove,
	.driver = { .suppress_bind_attrs = true },
};

/* Under `lock`. */

static struct direct *find(const struct pci_dev *pdev)
{
	unsigned int i;

	for (i = 0; i < AVMM_MAX_DEVICES; i++)
		if (devices[i].pdev == pdev)
			return &devices[i];
	return NULL;
}

static struct pci_dev *look_up(const char *address, struct avmm_refusal *why)
{
	unsigned int domain = 0, bus, slot, function;
	struct pci_dev *pdev = NULL;
	char end;

	if (sscanf(address, "%x:%x:%x.%x%c", &domain, &bus, &slot, &function, &end) != 4) {
		domain = 0;
		if (sscanf(address, "%x:%x.%x%c", &bus, &slot, &function, &end) != 3) {
			avmm_refuse(why, -EINVAL, "`%.40s` is no address of a PCI device, as in 0000:00:04.0", address);
			return ERR_PTR(-EINVAL);
		}
	}
	if (bus < 256 && slot < 32 && function < 8)
		pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (pdev)
		return pdev;
	avmm_refuse(why, -ENODEV, "there is no device at %.40s", address);
	return ERR_PTR(-ENODEV);
}

static bool slot_taken(unsigned int slot)
{
	unsigned int i;

	for (i = 0; i < AVMM_MAX_DEVICES; i++)
		if (devices[i].pdev && PCI_SLOT(devices[i].guest_devfn) == slot)
			return true;
	return false;
}

/* Where it is on the machine, if that can be; a guest's devices have one function. */
static u32 place(const struct pci_dev *pdev)
{
	unsigned int slot = PCI_SLOT(pdev->devfn);

	if (pci_domain_nr(pdev->bus) || pdev->bus->number || PCI_FUNC(pdev->devfn) || slot < FIRST_SLOT ||
	    slot_taken(slot))
		for (slot = LAST_SLOT; slot > FIRST_SLOT && slot_taken(slot);)
			slot--;
	return PCI_DEVFN(slot, 0);
}

static void give_back(struct pci_dev *pdev)
{
	avmm_override(pdev, "");
	if (device_attach(&pdev->dev) < 0)
		pr_avmm(KERN_WARNING, "%s: its driver does not take it again\n", pci_name(pdev));
}

static int bind(struct direct *d, struct avmm_refusal *why)
{
	struct pci_dev *pdev = d->pdev;
	int err;

	if (avmm_is_overridden(pdev))
		return avmm_refuse(why, -EBUSY, "%s is reserved for another driver by driver_override", pci_name(pdev));
	err = avmm_override(pdev, STUB_NAME);
	if (err)
		return err;
	device_release_driver(&pdev->dev);
	taking = d;
	taking_why = why;
	taking_err = -EBUSY;
	err = device_attach(&pdev->dev);
	taking = NULL;
	if (err == 1)
		return 0;
	if (!why->text[0])
		avmm_refuse(why, -EBUSY, "%s cannot be taken: error %d", pci_name(pdev), err);
	give_back(pdev);
	return taking_err;
}

static bool has_vfio(const struct direct *d)
{
	return d->pdev->dev.driver && !strcmp(d->pdev->dev.driver->name, VFIO_NAME);
}

/* Its configuration space is not asked: it may sleep until vfio opens it. */
static int adopt(struct direct *d, struct avmm_refusal *why)
{
	if (!has_vfio(d))
		return avmm_refuse(why, -EINVAL, "%s: its driver is not " VFIO_NAME, pci_name(d->pdev));
	d->can_master = true;
	return avmm_pci_check_bars(d->pdev, why);
}

/* It is not live. Who looks has interrupts off. */
static void drop(struct direct *d)
{
	struct avmm_vfio *vfio = d->vfio;

	if (!vfio)
		return;
	d->vfio = NULL;
	synchronize_rcu();
	avmm_vfio_drop(vfio);
}

static int hold(struct direct *d, const struct avmm_vfio_files *files, struct avmm_refusal *why)
{
	static const struct avmm_vfio_calls calls = { .raised = on_raised, .gone = on_gone };
	struct avmm_vfio *vfio;

	if (!by_vfio(d) || !has_vfio(d))
		return avmm_refuse(why, -EINVAL, "%s is not held by vfio: it was assigned without dma = iommu, or taken from "
				   VFIO_NAME " since", pci_name(d->pdev));
	if (READ_ONCE(d->live))
		return avmm_refuse(why, -EBUSY, "%s: a user partition runs with it", pci_name(d->pdev));
	vfio = avmm_vfio_hold(files, &calls, d);
	if (IS_ERR(vfio))
		return avmm_refuse(why, PTR_ERR(vfio), "%s: its files cannot be used: error %ld", pci_name(d->pdev),
				   PTR_ERR(vfio));
	drop(d);
	d->vfio = vfio;
	return 0;
}

int avmm_device_hold(const char *address, const struct avmm_vfio_files *files, struct avmm_refusal *why)
{
	struct pci_dev *pdev;
	struct direct *d;
	int err;

	mutex_lock(&lock);
	pdev = look_up(address, why);
	d = IS_ERR(pdev) ? NULL : find(pdev);
	if (IS_ERR(pdev))
		err = PTR_ERR(pdev);
	else if (!d)
		err = avmm_refuse(why, -ENOENT, "%s is not assigned", pci_name(pdev));
	else
		err = hold(d, files, why);
	if (!IS_ERR(pdev))
		pci_dev_put(pdev);
	mutex_unlock(&lock);
	return err;
}

/* Does a partition run with a device that is lost? */
static bool any_lost(void)
{
	bool lost = false;
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < AVMM_MAX_DEVICES; i++) {
		struct direct *d = &devices[i];

		if (!READ_ONCE(d->live) || !is_lost(d))
			continue;
		lost = true;
		pr_avmm(KERN_ERR, "%s: the process that held it by vfio has ended: the user partition is stopped\n",
			pci_name(d->pdev));
	}
	mutex_unlock(&lock);
	return lost;
}

/* The partition first, while vfio still has the device for it; then vfio resets the device and unmaps memory. */
static void on_lost(struct work_struct *work)
{
	struct avmm_refusal ignored;
	unsigned int i;
	int err = any_lost() ? avmm_partition_destroy(&ignored) : 0;

	if (err && err != -ENOENT)
		return;
	mutex_lock(&lock);
	for (i = 0; i < AVMM_MAX_DEVICES; i++)
		if (is_lost(&devices[i]) && !READ_ONCE(devices[i].live))
			drop(&devices[i]);
	mutex_unlock(&lock);
}

static int assign(struct pci_dev *pdev, u32 dma, bool rom, struct avmm_refusal *why)
{
	struct direct *d = find(NULL);
	int err;

	if (find(pdev))
		return avmm_refuse(why, -EEXIST, "%s is assigned already", pci_name(pdev));
	if (avmm_partition_exists())
		return avmm_refuse(why, -EBUSY, "there is a user partition: devices are assigned before it is created");
	if (!d)
		return avmm_refuse(why, -ENOSPC, "%u devices are assigned, more cannot be", AVMM_MAX_DEVICES);
	err = avmm_pci_check_kind(pdev, why);
	if (err)
		return err;
	*d = (struct direct){ .number = d - devices, .dma = dma, .guest_devfn = place(pdev), .shows_rom = rom };
	INIT_CSD(&d->relay, relay, d);
	INIT_CSD(&d->mastered, tell_mastering, d);
	strscpy(d->was, pdev->dev.driver ? pdev->dev.driver->name : "", sizeof(d->was));
	d->pdev = pdev;
	err = by_vfio(d) ? adopt(d, why) : bind(d, why);
	if (err)
		d->pdev = NULL;
	else
		pr_avmm(KERN_INFO, "%s is assigned to the user partition\n", pci_name(pdev));
	return err;
}

int avmm_device_assign(const char *address, u32 dma, bool rom, struct avmm_refusal *why)
{
	struct pci_dev *pdev;
	int err;

	mutex_lock(&lock);
	pdev = look_up(address, why);
	err = IS_ERR(pdev) ? PTR_ERR(pdev) : assign(pdev, dma, rom, why);
	if (err && !IS_ERR(pdev))
		pci_dev_put(pdev);
	mutex_unlock(&lock);
	return err;
}

static void release(struct direct *d)
{
	struct pci_dev *pdev = d->pdev;

	drop(d);
	giving = d;
	if (!by_vfio(d) || has_vfio(d))
		device_release_driver(&pdev->dev);
	giving = NULL;
	d->pdev = NULL;
	give_back(pdev);
	pr_avmm(KERN_INFO, "%s is Linux's again\n", pci_name(pdev));
	pci_dev_put(pdev);
}

int avmm_device_release(const char *address, struct avmm_refusal *why)
{
	struct pci_dev *pdev;
	struct direct *d;
	int err = 0;

	mutex_lock(&lock);
	pdev = look_up(address, why);
	if (IS_ERR(pdev)) {
		err = PTR_ERR(pdev);
		goto out;
	}
	d = find(pdev);
	if (!d)
		err = avmm_refuse(why, -ENOENT, "%s is not assigned", pci_name(pdev));
	else if (avmm_partition_exists())
		err = avmm_refuse(why, -EBUSY, "there is a user partition: devices are released after it is gone");
	else
		release(d);
	pci_dev_put(pdev);
out:
	mutex_unlock(&lock);
	return err;
}

bool avmm_device_info(unsigned int number, struct avmm_device_info *info)
{
	const struct direct *d = &devices[number];

	mutex_lock(&lock);
	*info = (struct avmm_device_info){ .number = number };
	if (d->pdev) {
		strscpy(info->address, pci_name(d->pdev), sizeof(info->address));
		strscpy(info->driver, d->was, sizeof(info->driver));
		info->irq = d->irq;
		info->guest_devfn = d->guest_devfn;
		info->dma = d->dma;
		info->rom = d->rom.size;
		info->live = READ_ONCE(d->live);
		info->messages = avmm_messages_count(number, &info->msix);
		if (info->live)
			info->counts = avmm_shared_partition()->device[number];
	}
	mutex_unlock(&lock);
	return info->address[0];
}

/* For the partition */

static void describe(struct direct *d, struct avmm_device *page)
{
	bool msix;

	memset(page, 0, sizeof(*page));
	page->number = d->number;
	page->address = d->pdev->bus->number << 8 | d->pdev->devfn;
	page->guest_devfn = d->guest_devfn;
	page->flags = AVMM_DEVICE_PRESET | (may_master(d) ? AVMM_DEVICE_MASTER : 0) | (by_vfio(d) ? AVMM_DEVICE_IOMMU : 0);
	page->rom = d->rom.copy ? virt_to_phys(d->rom.copy) : 0;
	page->rom_size = d->rom.size;
	page->messages = avmm_messages_count(d->number, &msix);
	if (page->messages)
		page->flags |= msix ? AVMM_DEVICE_MSIX : AVMM_DEVICE_MSI;
	avmm_pci_describe(d->pdev, page);
}

/*
 * By which addresses its DMA goes. vfio maps memory at the guest's, and pins it; pages that it has not pinned would be
 * those of a former partition. Pages of a window could not be given back while it has them.
 */
static int check_memory(struct direct *d, struct avmm_refusal *why)
{
	if (d->dma == AVMM_DMA_TRUSTED && d->can_master && !avmm_window_taken())
		return avmm_refuse(why, -EPERM, "%s: dma = trusted needs memory_mode = identity: elsewhere the guest's "
				   "addresses are not the machine's", pci_name(d->pdev));
	if (!by_vfio(d))
		return 0;
	if (avmm_window_taken())
		return avmm_refuse(why, -EPERM, "%s: dma = iommu does not go together with memory_mode = identity",
				   pci_name(d->pdev));
	if (!has_vfio(d) || is_lost(d))
		return avmm_refuse(why, -EPERM, "%s: no process holds it by vfio", pci_name(d->pdev));
	if (!avmm_ram_pinned())
		return avmm_refuse(why, -EPERM, "%s: vfio does not have all memory of the partition", pci_name(d->pdev));
	return 0;
}

int avmm_device_attach(void *page, struct avmm_refusal *why)
{
	unsigned int i;
	int err = 0;

	BUILD_BUG_ON(sizeof(struct avmm_device) > PAGE_SIZE);
	mutex_lock(&lock);
	for (i = 0; !err && i < AVMM_MAX_DEVICES; i++) {
		struct direct *d = &devices[i];

		if (!d->pdev)
			continue;
		err = check_memory(d, why);
		if (err)
			break;
		avmm_rom_drop(&d->rom);
		if (d->shows_rom)
			err = avmm_rom_copy(&d->rom, d->pdev, why);
		if (err)
			break;
		describe(d, page);
		err = avmm_hypercall(AVMM_HC_PARTITION_DEVICE, virt_to_phys(page), 0, 0);
		if (err)
			avmm_refuse(why, err, "the monitor does not take the device %s: error %d", pci_name(d->pdev), err);
	}
	mutex_unlock(&lock);
	return err;
}

void avmm_device_go(void)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < AVMM_MAX_DEVICES; i++) {
		struct direct *d = &devices[i];

		if (!d->pdev)
			continue;
		d->seen = 0;
		d->has = 0;
		d->masked = false;
		WRITE_ONCE(d->live, true);
		if (is_lost(d))
			schedule_work(&lost_work);	/* since it was attached */
		else if (by_vfio(d))
			avmm_vfio_done(d->vfio);	/* if the last guest has not finished one */
		else if (d->irq && d->masks_itself)
			pci_intx(d->pdev, 1);
		else if (d->irq)
			enable_irq(d->irq);
	}
	mutex_unlock(&lock);
	/* the guest may be waiting for its bus mastering since before it was live */
	local_irq_disable();
	avmm_device_look();
	local_irq_enable();
}

static void nothing(void *data)
{
	/* what was queued on that CPU before this has been called */
}

static void halt_one(struct direct *d)
{
	bool masked;

	raw_spin_lock_irq(&irq_lock);
	masked = d->masked;
	WRITE_ONCE(d->live, false);
	d->masked = false;
	raw_spin_unlock_irq(&irq_lock);
	if (d->irq && !d->masks_itself && !masked)
		disable_irq(d->irq);
	if (by_vfio(d))
		set_master(d, false);
	else
		quiesce(d);
	if (d->irq)
		synchronize_irq(d->irq);
	avmm_messages_synchronize(d->number);
	smp_call_function_single(AVMM_SHARED_CPU, nothing, NULL, 1);
	d->used = !by_vfio(d);		/* which resets it itself */
}

void avmm_device_halt(void)
{
	unsigned int i;

	for (i = 0; i < AVMM_MAX_DEVICES; i++)
		if (READ_ONCE(devices[i].live))
			halt_one(&devices[i]);
}

/* Their registers are Linux's again. */
void avmm_device_rest(void)
{
	unsigned int i;

	for (i = 0; i < AVMM_MAX_DEVICES; i++) {
		struct direct *d = &devices[i];

		avmm_rom_drop(&d->rom);
		if (!d->used)
			continue;
		d->used = false;
		reset(d, false);
		quiesce(d);
	}
}

int avmm_device_init(void)
{
	return pci_register_driver(&stub);
}

void avmm_device_exit(void)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < AVMM_MAX_DEVICES; i++)
		if (devices[i].pdev)
			release(&devices[i]);
	mutex_unlock(&lock);
	cancel_work_sync(&lost_work);
	pci_unregister_driver(&stub);
}
