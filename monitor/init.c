// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs once, called by the module on the monitor's page tables with interrupts off, before any CPU is launched. GS is
 * not the monitor's yet and a fault here has no handler: nothing in it depends on a guest.
 */
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include "core.h"

#define ENOMEM 12
#define EINVAL 22

struct machine machine;

static u64 blocks_for(u64 pages, u64 offset)
{
	return (offset + pages * AVMM_PAGE_SIZE + AVMM_BLOCK_SIZE - 1) / AVMM_BLOCK_SIZE;
}

static void copy_info(const struct avmm_boot_info *info)
{
	u32 i;

	machine.ncpus = info->ncpus;
	machine.nblocks = info->nblocks;
	for (i = 0; i < info->nblocks; i++)
		machine.block[i] = info->block[i];
	machine.tsc_khz = info->tsc_khz;
	machine.serial_port = info->serial_port;
	machine.panic_timeout = info->panic_timeout;
	machine.linear_pt = info->linear_pt;
	machine.window_pt = info->window_pt;
	machine.phys_bits = info->phys_bits;
}

/* 0, -EINVAL: not the same ABI, -ENOMEM: info->blocks_wanted says how many 2 MiB blocks are needed. */
int monitor_init(struct avmm_boot_info *info)
{
	u8 *bitmap;
	u32 i;
	int err;

	if (info->size != sizeof(*info) || info->ncpus > AVMM_MAX_CPUS || info->nblocks > AVMM_MAX_BLOCKS)
		return -EINVAL;
	copy_info(info);
	heap_init(info->heap_offset, info->nblocks * AVMM_BLOCK_SIZE);
	info->blocks_wanted = blocks_for(1 + service_pages(info) + (u64)info->ncpus * CPU_PAGES, info->heap_offset);
	if (info->blocks_wanted > info->nblocks)
		return -ENOMEM;

	log_init((struct avmm_log *)AVMM_SHARED_BASE);
	idt_init();
	bitmap = heap_page();
	if (!bitmap)
		return -ENOMEM;
	vmx_msr_bitmap(bitmap);
	err = service_init(info);
	if (err)
		return err;
	for (i = 0; i < info->ncpus; i++) {
		machine.cpu[i] = cpu_create(info, i, &info->cpu[i]);
		if (!machine.cpu[i])
			return -ENOMEM;
	}
	info->msr_bitmap_phys = monitor_phys(bitmap);
	info->eptp = service_eptp();
	info->heap_used = heap_used();
	return 0;
}
