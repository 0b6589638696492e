// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices that the emulated machine has not, on a bus of their own, E0h: they are configuration space and nothing
 * else. For what avmm.ko refuses to assign, and for resets by PCI.
 *
 *	e0:00.0		a memory BAR of 256 bytes at the beginning of a page, on which e0:01.0 has one, too
 *	e0:01.0		a memory BAR of 256 bytes that does not begin at a page
 *	e0:02.0		a memory BAR without an address
 *	e0:03.0		can master the bus and cannot be reset
 *	e0:04.0		can master the bus and has a function-level reset (Advanced Features, of conventional PCI)
 *	e0:05.0		can be reset by power management only
 *	e0:06.0		an interrupt pin without a line
 *	e0:07.0		a memory BAR that somebody else has reserved
 *
 * /sys/module/avmm_pci/parameters/flr, pm: resets of e0:04.0 and e0:05.0 so far.
 */
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <asm/pci.h>

#define BUS		0xe0
#define FUNCTIONS	8
#define VENDOR		0x1af4
#define UNKNOWN_CLASS	0xff0000	/* none of the known ones */
#define MEMORY		0x1000000000ull
#define CAP		0x40
#define FLR_SLOT	4
#define PM_SLOT		5
#define RESERVED_SLOT	7

static struct function {
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 writable[PCI_CFG_SPACE_SIZE];
} functions[FUNCTIONS];

static struct pci_sysdata sysdata = { .node = NUMA_NO_NODE };
static struct pci_bus *bus;
static unsigned int flr, pm;
module_param(flr, uint, 0444);
module_param(pm, uint, 0444);

static void put(u8 *at, u64 value, unsigned int size)
{
	for (; size--; value >>= 8)
		*at++ = (u8)value;
}

/* A 64-bit BAR 0. */
static void add_bar(unsigned int slot, u64 address, u64 size)
{
	put(&functions[slot].config[PCI_BASE_ADDRESS_0], address | PCI_BASE_ADDRESS_MEM_TYPE_64, 8);
	put(&functions[slot].writable[PCI_BASE_ADDRESS_0], ~(size - 1), 8);
}

static void add_cap(unsigned int slot, u8 id)
{
	functions[slot].config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	functions[slot].config[PCI_CAPABILITY_LIST] = CAP;
	functions[slot].config[CAP] = id;
}

static void make_functions(void)
{
	unsigned int slot;

	for (slot = 0; slot < FUNCTIONS; slot++) {
		u8 *config = functions[slot].config;

		put(&config[PCI_VENDOR_ID], VENDOR, 2);
		put(&config[PCI_DEVICE_ID], 0x6000 + slot, 2);
		put(&config[PCI_CLASS_REVISION], UNKNOWN_CLASS << 8, 4);
		put(&functions[slot].writable[PCI_COMMAND], PCI_COMMAND_MEMORY, 2);
	}
	add_bar(0, MEMORY, 256);
	add_bar(1, MEMORY + 256, 256);
	add_bar(2, 0, PAGE_SIZE);
	functions[3].writable[PCI_COMMAND] |= PCI_COMMAND_MASTER;
	functions[FLR_SLOT].writable[PCI_COMMAND] |= PCI_COMMAND_MASTER;
	add_cap(FLR_SLOT, PCI_CAP_ID_AF);
	functions[FLR_SLOT].config[CAP + 2] = PCI_AF_LENGTH;
	functions[FLR_SLOT].config[CAP + PCI_AF_CAP] = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	add_cap(PM_SLOT, PCI_CAP_ID_PM);
	functions[PM_SLOT].config[CAP + PCI_PM_PMC] = 3;
	functions[PM_SLOT].writable[CAP + PCI_PM_CTRL] = PCI_PM_CTRL_STATE_MASK;
	functions[6].config[PCI_INTERRUPT_PIN] = 1;
	add_bar(RESERVED_SLOT, MEMORY + PAGE_SIZE, PAGE_SIZE);
}

static struct function *find(unsigned int devfn)
{
	return !PCI_FUNC(devfn) && PCI_SLOT(devfn) < FUNCTIONS ? &functions[PCI_SLOT(devfn)] : NULL;
}

static int config_read(struct pci_bus *on, unsigned int devfn, int where, int size, u32 *value)
{
	const struct function *f = find(devfn);
	int i;

	*value = ~0u;
	if (!f || where + size > PCI_CFG_SPACE_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	*value = 0;
	for (i = size; i--;)
		*value = *value << 8 | f->config[where + i];
	return PCIBIOS_SUCCESSFUL;
}

/* Back from D3hot to D0 is a reset of a function that does not say otherwise. */
static void note_reset(unsigned int slot, int at, u8 old, u8 now)
{
	if (slot == FLR_SLOT && at == CAP + PCI_AF_CTRL && now & PCI_AF_CTRL_FLR)
		flr++;
	if (slot == PM_SLOT && at == CAP + PCI_PM_CTRL && old & PCI_PM_CTRL_STATE_MASK && !(now & PCI_PM_CTRL_STATE_MASK))
		pm++;
}

static int config_write(struct pci_bus *on, unsigned int devfn, int where, int size, u32 value)
{
	struct function *f = find(devfn);

	if (!f || where + size > PCI_CFG_SPACE_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	for (; size--; where++, value >>= 8) {
		note_reset(PCI_SLOT(devfn), where, f->config[where], (u8)value);
		f->config[where] &= ~f->writable[where];
		f->config[where] |= (u8)value & f->writable[where];
	}
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops ops = { .read = config_read, .write = config_write };

/* For e0:07.0: its BAR is known to Linux, and a driver that is none has it. */
static int reserve(void)
{
	struct pci_dev *pdev = pci_get_slot(bus, PCI_DEVFN(RESERVED_SLOT, 0));
	int err = pdev ? pci_claim_resource(pdev, 0) : -ENODEV;

	if (!err && !request_mem_region(MEMORY + PAGE_SIZE, PAGE_SIZE, KBUILD_MODNAME))
		err = -EBUSY;
	pci_dev_put(pdev);
	return err;
}

static void remove_bus(void)
{
	pci_stop_root_bus(bus);
	pci_remove_root_bus(bus);
}

static int __init pci_test_init(void)
{
	LIST_HEAD(resources);
	int err = -ENODEV;

	make_functions();
	pci_add_resource(&resources, &iomem_resource);
	pci_lock_rescan_remove();
	bus = pci_scan_root_bus(NULL, BUS, &ops, &sysdata, &resources);
	if (bus)
		err = reserve();
	else
		pci_free_resource_list(&resources);
	if (!err)
		pci_bus_add_devices(bus);
	else if (bus)
		remove_bus();
	pci_unlock_rescan_remove();
	return err;
}

static void __exit pci_test_exit(void)
{
	release_mem_region(MEMORY + PAGE_SIZE, PAGE_SIZE);
	pci_lock_rescan_remove();
	remove_bus();
	pci_unlock_rescan_remove();
}

module_init(pci_test_init);
module_exit(pci_test_exit);
MODULE_LICENSE("GPL");
