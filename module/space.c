// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor's page tables: its blocks, the shared pages, the local APIC, the window's empty table, and the two things
 * that have the same address on both sides (trampoline, data pages). Everything is mapped by 4 KiB pages with the
 * rights that it needs and no more. Tables lie in the blocks, behind the image; as many levels as Linux uses.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <avmm/x86.h>
#include "module.h"

#define ENTRIES		512
#define MAP_TABLE	(_PAGE_PRESENT | _PAGE_RW)
#define MAP_TEXT	_PAGE_PRESENT
#define MAP_RODATA	(_PAGE_PRESENT | _PAGE_NX)
#define MAP_DATA	(_PAGE_PRESENT | _PAGE_RW | _PAGE_NX)
#define MAP_DEVICE	(MAP_DATA | _PAGE_PCD | _PAGE_PWT)
#define ADDRESS_MASK	0xffffffffff000ull

static void *at(u64 offset)
{
	struct page *block = avmm_memory.block[offset / AVMM_BLOCK_SIZE];

	return page_address(block) + offset % AVMM_BLOCK_SIZE;
}

/* A zeroed page from behind what is in use; its offset. 0: the blocks are full. */
static u64 take_page(void)
{
	u64 offset = avmm_memory.info->heap_offset;

	if (offset + PAGE_SIZE > avmm_memory.nblocks * AVMM_BLOCK_SIZE)
		return 0;
	avmm_memory.info->heap_offset += PAGE_SIZE;
	clear_page(at(offset));
	return offset;
}

static int top_level(void)
{
	return native_read_cr4() & X86_CR4_LA57 ? 5 : 4;
}

/* The entry for va in the table of `level`, with the tables above made as necessary. NULL: no memory. */
static u64 *entry_at(u64 va, int level)
{
	u64 *table = phys_to_virt(avmm_memory.info->cr3);
	int l;

	for (l = top_level();; l--) {
		u64 *entry = &table[va >> (PAGE_SHIFT + 9 * (l - 1)) & (ENTRIES - 1)];
		u64 page;

		if (l == level)
			return entry;
		if (!*entry) {
			page = take_page();
			if (!page)
				return NULL;
			*entry = virt_to_phys(at(page)) | MAP_TABLE;
		}
		table = phys_to_virt(*entry & ADDRESS_MASK);
	}
}

static int map(u64 va, u64 pa, u64 flags)
{
	u64 *entry = entry_at(va, 1);

	if (!entry)
		return -ENOMEM;
	*entry = pa | flags;
	return 0;
}

/* The blocks' page tables stand side by side, so that the monitor finds any of its own entries by arithmetic. */
static int map_blocks(const struct avmm_image_header *image)
{
	u64 text = image->rodata_size, data = text + image->text_size;
	u64 offset, size = avmm_memory.nblocks * AVMM_BLOCK_SIZE;
	unsigned int i;

	avmm_memory.info->linear_pt = avmm_memory.info->heap_offset;
	for (i = 0; i < avmm_memory.nblocks; i++) {
		u64 page = take_page();
		u64 *entry = page ? entry_at(AVMM_MONITOR_BASE + i * AVMM_BLOCK_SIZE, 2) : NULL;

		if (!entry)
			return -ENOMEM;
		*entry = virt_to_phys(at(page)) | MAP_TABLE;
	}
	for (offset = 0; offset < size; offset += PAGE_SIZE) {
		u64 flags = offset < text ? MAP_RODATA : offset < data ? MAP_TEXT : MAP_DATA;

		if (map(AVMM_MONITOR_BASE + offset, virt_to_phys(at(offset)), flags))
			return -ENOMEM;
	}
	return 0;
}

static int map_common(void)
{
	struct avmm_boot_info *info = avmm_memory.info;
	u64 apic = native_read_msr(MSR_IA32_APICBASE) & ADDRESS_MASK;
	u64 window = take_page();
	u64 *entry = window ? entry_at(AVMM_WINDOW_BASE, 2) : NULL;
	unsigned int i;
	int err;

	if (!entry)
		return -ENOMEM;
	info->window_pt = window;
	*entry = virt_to_phys(at(window)) | MAP_TABLE;

	err = map(AVMM_APIC_BASE, apic, MAP_DEVICE);
	for (i = 0; !err && i < avmm_memory.nshared; i++)
		err = map(AVMM_SHARED_BASE + i * PAGE_SIZE, page_to_phys(avmm_memory.shared[i]), MAP_DATA);
	if (!err)
		err = map((u64)vmx_trampoline, (u64)vmalloc_to_pfn(vmx_trampoline) << PAGE_SHIFT, MAP_TEXT);
	for (i = 0; !err && i < info->ncpus; i++)
		err = map(info->leave_page[i], virt_to_phys((void *)info->leave_page[i]), MAP_DATA);
	return err;
}

/* info->heap_offset stands behind the image. */
int avmm_space_build(const struct avmm_image_header *image)
{
	u64 root = take_page();
	int err;

	if (!root)
		return -ENOMEM;
	avmm_memory.info->cr3 = virt_to_phys(at(root));
	/* the upper levels first, so that the blocks' tables are not interrupted */
	if (!entry_at(AVMM_MONITOR_BASE, 2))
		return -ENOMEM;
	err = map_blocks(image);
	return err ? err : map_common();
}
