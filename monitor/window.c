// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping window: the monitor has no direct map. A CPU reaches a partition's memory one page at a time, through an
 * entry of its own. Entries behind those of the CPUs are used by one CPU each, and stay until they are dropped.
 */
#include <vmx/root/insn.h>
#include "core.h"
#include "partition.h"

#define PTE_PRESENT	(1ul << 0)
#define PTE_WRITE	(1ul << 1)
#define PTE_NX		(1ul << 63)

static u8 *set_entry(u32 index, u64 entry)
{
	volatile u64 *pte = (u64 *)(AVMM_MONITOR_BASE + machine.window_pt) + index;
	u8 *at = (u8 *)(AVMM_WINDOW_BASE + index * AVMM_PAGE_SIZE);

	if (*pte != entry) {
		*pte = entry;
		asm volatile("invlpg (%0)" : : "r"(at) : "memory");
	}
	return at;
}

void *window_map(u64 phys)
{
	return set_entry(this_cpu()->number, (phys & ~(AVMM_PAGE_SIZE - 1)) | PTE_PRESENT | PTE_WRITE | PTE_NX) +
	       phys % AVMM_PAGE_SIZE;
}

void *window_keep(u32 slot, u64 phys)
{
	return set_entry(AVMM_MAX_CPUS + slot, (phys & ~(AVMM_PAGE_SIZE - 1)) | PTE_PRESENT | PTE_NX) +
	       phys % AVMM_PAGE_SIZE;
}

void window_drop(u32 slot)
{
	set_entry(AVMM_MAX_CPUS + slot, 0);
}
