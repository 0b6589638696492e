// SPDX-License-Identifier: GPL-2.0-only
/*
 * The identity window: memory that Linux was told to leave alone (memmap= on its command line), where the user partition's
 * addresses are the machine's, so that its devices can do DMA. While a partition has it, it has struct pages.
 *
 * Everything here is called under partition.c's lock, or by who knows that the window does not change.
 */
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <asm/e820/api.h>
#include "module.h"
#include "partition.h"

static struct dev_pagemap map;
static bool taken;

/* By the firmware's map the range is memory, all of it; by Linux's none that it uses. */
static bool is_left_alone(u64 base, u64 size)
{
	static const enum e820_type others[] = {
		E820_TYPE_RESERVED, E820_TYPE_ACPI, E820_TYPE_NVS, E820_TYPE_UNUSABLE, E820_TYPE_PMEM,
	};
	unsigned int i;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (e820__mapped_raw_any(base, base + size, others[i]))
			return false;
	for (at = base; at < base + size; at += PAGE_SIZE)
		if (!e820__mapped_raw_any(at, at + PAGE_SIZE, E820_TYPE_RAM))
			return false;
	return region_intersects(base, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) == REGION_DISJOINT;
}

struct page *avmm_window_take(u64 base, u64 size, struct avmm_refusal *why)
{
	void *at;

	if (base % AVMM_BLOCK_SIZE || base < AVMM_WINDOW_LOW || base >= AVMM_PCI_HOLE || size > AVMM_PCI_HOLE - base) {
		avmm_refuse(why, -ERANGE, "an identity window of %llu MiB at %llx: it must be in blocks of 2 MiB, below 3 GiB",
			    size >> 20, base);
		return ERR_PTR(-ERANGE);
	}
	if (!is_left_alone(base, size)) {
		avmm_refuse(why, -EBUSY, "%llu MiB at %llx are not all memory that Linux was told to leave alone: "
			    "avmmctl device window prints the parameter for that", size >> 20, base);
		return ERR_PTR(-EBUSY);
	}
	if (!request_mem_region(base, size, "avmm identity window")) {
		avmm_refuse(why, -EBUSY, "%llu MiB at %llx are in use", size >> 20, base);
		return ERR_PTR(-EBUSY);
	}
	map.type = MEMORY_DEVICE_GENERIC;
	map.range = (struct range){ .start = base, .end = base + size - 1 };
	map.nr_range = 1;
	at = memremap_pages(&map, NUMA_NO_NODE);
	if (IS_ERR(at)) {
		release_mem_region(base, size);
		avmm_refuse(why, PTR_ERR(at), "no struct pages for an identity window of %llu MiB: error %ld", size >> 20,
			    PTR_ERR(at));
		return at;
	}
	taken = true;
	return pfn_to_page(base >> PAGE_SHIFT);
}

void avmm_window_give(void)
{
	if (!taken)
		return;
	taken = false;
	memunmap_pages(&map);
	release_mem_region(map.range.start, range_len(&map.range));
}

bool avmm_window_taken(void)
{
	return taken;
}
