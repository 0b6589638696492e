// SPDX-License-Identifier: GPL-2.0-only
/*
 * Called by the module on the monitor's page tables with interrupts off, before any CPU is launched. GS is not the
 * monitor's yet and a fault here has no handler: nothing in it depends on a guest. Each call does a step of some
 * thousand instructions, so that interrupts are never off for long.
 */
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include "core.h"

#define EAGAIN 11
#define ENOMEM 12
#define EINVAL 22

struct machine machine;

static struct {
	bool begun;
	bool service;
	u32 cpus;	/* that have their pages */
} done;

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

static int begin(struct avmm_boot_info *info)
{
	u8 *bitmap;
	int err;

	if (info->size != sizeof(*info) || info->ncpus > AVMM_MAX_CPUS || info->nblocks > AVMM_MAX_BLOCKS)
		return -EINVAL;
	copy_info(info);
	heap_init(info->heap_offset, info->nblocks * AVMM_BLOCK_SIZE);
	log_init((struct avmm_log *)AVMM_SHARED_BASE);
	idt_init();
	bitmap = heap_page();
	if (!bitmap)
		return -ENOMEM;
	vmx_msr_bitmap(bitmap);
	info->msr_bitmap_phys = monitor_phys(bitmap);
	err = service_init(info);
	info->eptp = service_eptp();
	done.begun = !err;
	return err ? err : -EAGAIN;
}

static int one_cpu(struct avmm_boot_info *info)
{
	u32 i = done.cpus++;

	machine.cpu[i] = cpu_create(info, i, &info->cpu[i]);
	if (!machine.cpu[i])
		return -ENOMEM;
	info->heap_used = heap_used();
	return done.cpus < machine.ncpus ? -EAGAIN : 0;
}

/* -EAGAIN: call again. -EINVAL: not the same ABI. -ENOMEM: start anew with more blocks. */
int monitor_init(struct avmm_boot_info *info)
{
	int err;

	if (!done.begun)
		return begin(info);
	if (done.service)
		return one_cpu(info);
	err = service_build();
	done.service = !err;
	return err ? err : -EAGAIN;
}
