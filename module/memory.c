// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor's memory, taken from Linux at run time: blocks of 2 MiB that no partition will see, the shared pages, and
 * a data page per CPU for the switch. All of it is prepared before the first launch; after it the module's stores to
 * the blocks go nowhere.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>
#include <asm/cpu_device_id.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#include <avmm/disk.h>
#include <avmm/x86.h>
#include "module.h"

#define BLOCK_ORDER	(21 - PAGE_SHIFT)
#define INFO_PAGES	DIV_ROUND_UP(sizeof(struct avmm_boot_info), PAGE_SIZE)
#define PARTITION_PAGES	(1 + AVMM_CONSOLE_PAGES + AVMM_DISK_PAGES)
#define FIRST_BLOCKS	1
#define UART_LSR	5
#define PMU_VERSION	0xff

struct avmm_memory avmm_memory;

static uint serial = 0x3f8;
module_param(serial, uint, 0444);
MODULE_PARM_DESC(serial, "I/O port of the 16550 for the report of a monitor fault, 0: none (default 0x3f8)");

static unsigned int ncpus(void)
{
	return nr_cpu_ids;
}

static void free_blocks(void)
{
	while (avmm_memory.nblocks)
		__free_pages(avmm_memory.block[--avmm_memory.nblocks], BLOCK_ORDER);
}

static int take_blocks(unsigned int count)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	while (avmm_memory.nblocks < count) {
		struct page *block = alloc_pages(gfp, BLOCK_ORDER);

		if (!block) {
			pr_avmm(KERN_ERR, "no memory: %u blocks of 2 MiB wanted, %u could be had\n", count,
				avmm_memory.nblocks);
			return -ENOMEM;
		}
		avmm_memory.block[avmm_memory.nblocks++] = block;
	}
	return 0;
}

static int take_shared(void)
{
	unsigned int i, n = AVMM_LOG_PAGES + ncpus() + PARTITION_PAGES + INFO_PAGES;

	if (avmm_memory.shared)
		return 0;
	avmm_memory.shared = kcalloc(n, sizeof(*avmm_memory.shared), GFP_KERNEL);
	if (!avmm_memory.shared)
		return -ENOMEM;
	avmm_memory.nshared = n;
	for (i = 0; i < n; i++) {
		avmm_memory.shared[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!avmm_memory.shared[i])
			return -ENOMEM;
	}
	avmm_memory.shared_rw = vmap(avmm_memory.shared, n, VM_MAP, PAGE_KERNEL);
	avmm_memory.shared_ro = vmap(avmm_memory.shared, n, VM_MAP, PAGE_KERNEL_RO);
	if (!avmm_memory.shared_rw || !avmm_memory.shared_ro)
		return -ENOMEM;
	avmm_memory.info = avmm_memory.shared_rw + (AVMM_LOG_PAGES + ncpus() + PARTITION_PAGES) * PAGE_SIZE;
	return 0;
}

static void free_leave_pages(void)
{
	unsigned int i;

	for (i = 0; avmm_memory.info && i < ncpus(); i++) {
		free_page(avmm_memory.info->leave_page[i]);
		avmm_memory.info->leave_page[i] = 0;
	}
}

static void read_mtrrs(struct avmm_mtrr *m)
{
	static const u32 fixed[] = {
		0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
	};
	unsigned int i, count;

	BUILD_BUG_ON(ARRAY_SIZE(fixed) != ARRAY_SIZE(m->fixed));
	memset(m, 0, sizeof(*m));
	if (!boot_cpu_has(X86_FEATURE_MTRR)) {
		/* without MTRRs the type is the PAT's alone: write-back here leaves it the last word */
		m->def_type = BIT(11) | 6;
		return;
	}
	rdmsrl(AVMM_MSR_MTRRCAP, m->cap);
	rdmsrl(AVMM_MSR_MTRR_DEF_TYPE, m->def_type);
	count = min_t(unsigned int, m->cap & 0xff, AVMM_MAX_VAR_MTRRS);
	for (i = 0; (m->cap & BIT(8)) && i < ARRAY_SIZE(fixed); i++)
		rdmsrl(fixed[i], m->fixed[i]);
	for (i = 0; i < count; i++) {
		rdmsrl(AVMM_MSR_MTRR_VAR_BASE0 + 2 * i, m->var[i].base);
		rdmsrl(AVMM_MSR_MTRR_VAR_BASE0 + 2 * i + 1, m->var[i].mask);
	}
}

/* Root operation must not count: PEBS would write its records through the monitor's page tables. */
static void list_switched_msrs(struct avmm_boot_info *info)
{
	u64 value;

	info->msr_count = 0;
	if (boot_cpu_data.cpuid_level >= 0xa && (cpuid_eax(0xa) & PMU_VERSION) >= 2 &&
	    !rdmsrl_safe(AVMM_MSR_PERF_GLOBAL_CTRL, &value))
		info->msr_number[info->msr_count++] = AVMM_MSR_PERF_GLOBAL_CTRL;
}

static int fill_info(void)
{
	struct avmm_boot_info *info = avmm_memory.info;
	unsigned int i;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->ncpus = ncpus();
	info->phys_bits = cpuid_eax(0x80000008) & 0xff;
	info->tsc_khz = tsc_khz;
	info->serial_port = serial && inb(serial + UART_LSR) != 0xff ? serial : 0;
	info->panic_timeout = panic_timeout;
	info->leave_entry = (u64)vmx_trampoline_leave;
	read_mtrrs(&info->mtrr);
	list_switched_msrs(info);
	for (i = 0; i < ncpus(); i++) {
		struct avmm_leave *leave = (void *)get_zeroed_page(GFP_KERNEL);

		if (!leave)
			return -ENOMEM;
		info->leave_page[i] = (u64)leave;
		info->apic_id[i] = cpu_possible(i) ? per_cpu(x86_cpu_to_apicid, i) : 0;
	}
	return 0;
}

static void lay_out_blocks(const struct avmm_image_header *image)
{
	struct avmm_boot_info *info = avmm_memory.info;
	unsigned int i;

	info->nblocks = avmm_memory.nblocks;
	for (i = 0; i < avmm_memory.nblocks; i++)
		info->block[i] = page_to_phys(avmm_memory.block[i]);
	info->heap_offset = image->rodata_size + image->text_size + image->data_size;
	memset(page_address(avmm_memory.block[0]), 0, info->heap_offset);
	memcpy(page_address(avmm_memory.block[0]), avmm_image, avmm_image_end - avmm_image);
}

/* A step of the image's init, with interrupts off. */
static int init_step(const struct avmm_image_header *image)
{
	struct avmm_boot_info *info = avmm_memory.info;
	void *info_there = (void *)(AVMM_SHARED_BASE + ((void *)info - avmm_memory.shared_rw));
	struct avmm_leave *leave;
	unsigned long flags;
	u64 start;
	int err;

	local_irq_save(flags);
	start = rdtsc_ordered();
	leave = (void *)info->leave_page[smp_processor_id()];
	vmx_leave_page_init(leave);
	err = vmx_call_monitor(leave, info->cr3, image->init, info_there);
	avmm_memory.init_ticks = max(avmm_memory.init_ticks, rdtsc_ordered() - start);
	local_irq_restore(flags);
	return err;
}

/* One try with the blocks that we have. */
static int start_image(const struct avmm_image_header *image)
{
	int err;

	lay_out_blocks(image);
	err = avmm_space_build(image);
	if (err)
		return err;
	do {
		cond_resched();
		err = init_step(image);
	} while (err == -EAGAIN);
	return err;
}

int avmm_memory_prepare(void)
{
	const struct avmm_image_header *image = (const void *)avmm_image;
	u64 start = rdtsc_ordered();
	unsigned int blocks;
	int err;

	if (ncpus() > AVMM_MAX_CPUS) {
		pr_avmm(KERN_ERR, "%u CPUs are possible, %u are supported: boot with nr_cpus=%u\n", ncpus(),
			AVMM_MAX_CPUS, AVMM_MAX_CPUS);
		return -E2BIG;
	}
	err = take_shared();
	if (!err)
		err = fill_info();
	avmm_memory.init_ticks = 0;
	for (blocks = FIRST_BLOCKS; !err && blocks <= AVMM_MAX_BLOCKS; blocks++) {
		err = take_blocks(blocks);
		if (err)
			break;
		err = start_image(image);
		if (err != -ENOMEM)
			break;
		err = blocks < AVMM_MAX_BLOCKS ? 0 : -ENOMEM;
	}
	if (err) {
		avmm_memory_release();
		return err;
	}
	avmm_memory.prepare_ticks = rdtsc_ordered() - start;
	return 0;
}

void avmm_memory_release(void)
{
	free_blocks();
	free_leave_pages();
}

void avmm_memory_exit(void)
{
	unsigned int i;

	avmm_memory_release();
	vunmap(avmm_memory.shared_ro);
	vunmap(avmm_memory.shared_rw);
	for (i = 0; i < avmm_memory.nshared; i++)
		if (avmm_memory.shared[i])
			__free_page(avmm_memory.shared[i]);
	kfree(avmm_memory.shared);
	memset(&avmm_memory, 0, sizeof(avmm_memory));
}

const struct avmm_log *avmm_shared_log(void)
{
	return avmm_memory.shared_ro;
}

struct avmm_cpu_stats *avmm_shared_stats_rw(unsigned int cpu)
{
	return avmm_memory.shared_rw + (AVMM_LOG_PAGES + cpu) * PAGE_SIZE;
}

const struct avmm_partition_page *avmm_shared_partition(void)
{
	return avmm_memory.shared_ro + (AVMM_LOG_PAGES + ncpus()) * PAGE_SIZE;
}

struct avmm_console *avmm_shared_console(void)
{
	return avmm_memory.shared_rw + (AVMM_LOG_PAGES + ncpus() + 1) * PAGE_SIZE;
}

void *avmm_shared_disk(void)
{
	return avmm_memory.shared_rw + (AVMM_LOG_PAGES + ncpus() + 1 + AVMM_CONSOLE_PAGES) * PAGE_SIZE;
}

const struct avmm_cpu_stats *avmm_shared_stats(unsigned int cpu)
{
	if (!avmm_memory.shared_ro || cpu >= ncpus())
		return NULL;
	return avmm_memory.shared_ro + (AVMM_LOG_PAGES + cpu) * PAGE_SIZE;
}
