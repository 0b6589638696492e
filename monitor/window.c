// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping window: the monitor has no direct map. A CPU reaches a partition's memory one page at a time, through an
 * entry of its own.
 */
#include <vmx/root/insn.h>
#include "core.h"
#include "partition.h"

#define PTE_PRESENT	(1ul << 0)
#define PTE_WRITE	(1ul << 1)
#define PTE_NX		(1ul << 63)

void *window_map(u64 phys)
{
	u32 cpu = this_cpu()->number;
	volatile u64 *pte = (u64 *)(AVMM_MONITOR_BASE + machine.window_pt) + cpu;
	void *at = (void *)(AVMM_WINDOW_BASE + cpu * AVMM_PAGE_SIZE);
	u64 entry = (phys & ~(AVMM_PAGE_SIZE - 1)) | PTE_PRESENT | PTE_WRITE | PTE_NX;

	if (*pte != entry) {
		*pte = entry;
		asm volatile("invlpg (%0)" : : "r"(at) : "memory");
	}
	return (u8 *)at + phys % AVMM_PAGE_SIZE;
}
