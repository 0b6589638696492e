// SPDX-License-Identifier: GPL-2.0-only
/* What is asked of a PCI device that is to be, or is, a direct-access device: what may be one, what the monitor is told. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <asm/cacheflush.h>
#include "module.h"
#include "device-pci.h"
#include "partition.h"

static bool on_page_of(struct pci_dev *other, phys_addr_t page)
{
	unsigned int i;

	for (i = 0; i < PCI_NUM_RESOURCES; i++)
		if (pci_resource_flags(other, i) & IORESOURCE_MEM && pci_resource_len(other, i) &&
		    pci_resource_start(other, i) < page + PAGE_SIZE && pci_resource_end(other, i) >= page)
			return true;
	return false;
}

/* A page is the least that can be given; what else lies on it would be given, too. */
static int check_page(struct pci_dev *pdev, unsigned int bar, struct avmm_refusal *why)
{
	phys_addr_t start = pci_resource_start(pdev, bar);
	struct pci_dev *other = NULL;

	if (start % PAGE_SIZE)
		return avmm_refuse(why, -EBUSY, "%s: BAR %u does not begin at a page", pci_name(pdev), bar);
	if (pci_resource_len(pdev, bar) >= PAGE_SIZE)
		return 0;
	for_each_pci_dev(other) {
		if (other == pdev || !on_page_of(other, start))
			continue;
		avmm_refuse(why, -EBUSY, "%s: BAR %u is on the same page as one of %s", pci_name(pdev), bar,
			    pci_name(other));
		pci_dev_put(other);
		return -EBUSY;
	}
	return 0;
}

int avmm_pci_check_bars(struct pci_dev *pdev, struct avmm_refusal *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < AVMM_DEVICE_BARS; i++) {
		unsigned long flags = pci_resource_flags(pdev, i);

		if (!pci_resource_len(pdev, i))
			continue;
		if (!pci_resource_start(pdev, i) || flags & IORESOURCE_UNSET)
			err = avmm_refuse(why, -EBUSY, "%s: BAR %u has no address", pci_name(pdev), i);
		else if (flags & IORESOURCE_MEM)
			err = check_page(pdev, i, why);
	}
	return err;
}

bool avmm_pci_can_master(struct pci_dev *pdev)
{
	u16 old, now;

	pci_read_config_word(pdev, PCI_COMMAND, &old);
	if (old & PCI_COMMAND_MASTER)
		return true;
	pci_write_config_word(pdev, PCI_COMMAND, old | PCI_COMMAND_MASTER);
	pci_read_config_word(pdev, PCI_COMMAND, &now);
	pci_write_config_word(pdev, PCI_COMMAND, old);
	return now & PCI_COMMAND_MASTER;
}

int avmm_pci_check_kind(struct pci_dev *pdev, struct avmm_refusal *why)
{
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL || pdev->class >> 16 == PCI_BASE_CLASS_BRIDGE)
		return avmm_refuse(why, -EINVAL, "%s is a part of the machine's board, not a device to assign",
				   pci_name(pdev));
	return 0;
}

static void describe_bars(struct pci_dev *pdev, struct avmm_device *page)
{
	unsigned int i;

	for (i = 0; i < AVMM_DEVICE_BARS; i++) {
		unsigned long flags = pci_resource_flags(pdev, i);

		if (!pci_resource_len(pdev, i))
			continue;
		page->bar[i] = (struct avmm_device_bar){
			.base = pci_resource_start(pdev, i),
			.size = pci_resource_len(pdev, i),
			.flags = (flags & IORESOURCE_IO ? AVMM_BAR_IO : 0) |
				 (flags & IORESOURCE_MEM_64 ? AVMM_BAR_64 : 0) |
				 (flags & IORESOURCE_PREFETCH ? AVMM_BAR_PREFETCH : 0),
		};
	}
}

void avmm_pci_describe(struct pci_dev *pdev, struct avmm_device *page)
{
	u32 value;
	int i;

	describe_bars(pdev, page);
	for (i = 0; i < AVMM_DEVICE_CONFIG; i += sizeof(value)) {
		pci_read_config_dword(pdev, i, &value);
		memcpy(&page->config[i], &value, sizeof(value));
	}
	page->config[PCI_HEADER_TYPE] &= 0x7f;	/* its other functions stay here */
}

/* In memory as well as in caches: the guest may map it uncached. */
static int take(struct avmm_rom *rom, const void __iomem *from, size_t size)
{
	u32 whole = roundup_pow_of_two(max_t(size_t, size, PAGE_SIZE));

	rom->copy = alloc_pages_exact(whole, GFP_KERNEL);
	if (!rom->copy)
		return -ENOMEM;
	rom->size = whole;
	memset(rom->copy, 0xff, whole);
	memcpy_fromio(rom->copy, from, size);
	clflush_cache_range(rom->copy, whole);
	return 0;
}

int avmm_rom_copy(struct avmm_rom *rom, struct pci_dev *pdev, struct avmm_refusal *why)
{
	void __iomem *from;
	size_t size;
	int err = 0;

	if (!pci_resource_len(pdev, PCI_ROM_RESOURCE))
		return 0;
	from = pci_map_rom(pdev, &size);
	if (!from)
		return 0;
	if (size <= AVMM_DEVICE_ROM_MAX)
		err = take(rom, from, size);
	else
		pr_avmm(KERN_INFO, "%s: its expansion ROM stays hidden: %zu KiB are more than %llu\n", pci_name(pdev),
			size >> 10, AVMM_DEVICE_ROM_MAX >> 10);
	pci_unmap_rom(pdev, from);
	return err ? avmm_refuse(why, err, "%s: no memory for a copy of its expansion ROM", pci_name(pdev)) : 0;
}

void avmm_rom_drop(struct avmm_rom *rom)
{
	if (rom->copy)
		free_pages_exact(rom->copy, rom->size);
	*rom = (struct avmm_rom){ .copy = NULL };
}
