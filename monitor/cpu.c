// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU's own pages, in this order, CPU_PAGES in all: struct cpu, VMXON region, VMCS, MSR areas, guard page, two pages
 * of stack, and a page of stack each for NMI, double fault and machine check.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include "core.h"

#define GDT_CODE64	0x00af9b000000ffffull
#define GDT_DATA	0x00cf93000000ffffull
#define TSS_LIMIT	103
#define TSS_AVAILABLE	0x89ull
#define TSS_IST1	36	/* offset, Intel SDM volume 3, figure 8-11 */
#define TSS_IO_MAP	100
#define MSR_AREA_HOST	2048	/* offset in the page of the MSR areas */

_Static_assert(__builtin_offsetof(struct cpu, leaving) == __builtin_offsetof(struct cpu, event) + 4 &&
	       __builtin_offsetof(struct cpu, event) % 8 == 0, "event and leaving are one word for the launch");
_Static_assert(sizeof(struct cpu) <= AVMM_PAGE_SIZE, "struct cpu has one page");
_Static_assert(AVMM_MAX_SWITCHED_MSRS * sizeof(struct avmm_msr_entry) <= MSR_AREA_HOST, "the areas do not overlap");

static void set_tss(struct cpu *cpu, const void *const ist_top[3])
{
	u64 base = (u64)cpu->tss;
	u32 *tss = (u32 *)cpu->tss;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		tss[(TSS_IST1 + 8 * i) / 4] = (u32)(u64)ist_top[i];
		tss[(TSS_IST1 + 8 * i) / 4 + 1] = (u64)ist_top[i] >> 32;
	}
	tss[TSS_IO_MAP / 4] = (TSS_LIMIT + 1u) << 16;	/* no I/O permission bitmap */
	cpu->gdt[AVMM_SEL_CS / 8] = GDT_CODE64;
	cpu->gdt[AVMM_SEL_DS / 8] = GDT_DATA;
	cpu->gdt[AVMM_SEL_TSS / 8] = TSS_LIMIT | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 |
				     (base >> 24 & 0xff) << 56;
	cpu->gdt[AVMM_SEL_TSS / 8 + 1] = base >> 32;
}

static void set_boot(const struct cpu *cpu, u8 *const page[CPU_PAGES], struct avmm_cpu_boot *boot)
{
	boot->vmxon_phys = monitor_phys(page[1]);
	boot->vmcs_phys = cpu->service.vmcs_phys;
	boot->fresh_phys = monitor_phys((const void *)&cpu->event);
	boot->host_rip = (u64)vmx_exit_entry;
	boot->host_rsp = (u64)&cpu->service.gpr[16];
	boot->host_gs_base = (u64)cpu;
	boot->host_tr_base = (u64)cpu->tss;
	boot->host_gdtr_base = (u64)cpu->gdt;
	boot->host_idtr_base = idt_base();
	boot->msr_store_phys = monitor_phys(page[3]);
	boot->msr_host_phys = monitor_phys(page[3] + MSR_AREA_HOST);
}

static void set_msr_area(struct cpu *cpu, const struct avmm_boot_info *info, u8 *page)
{
	struct avmm_msr_entry *guest = (void *)page, *host = (void *)(page + MSR_AREA_HOST);
	u32 i;

	cpu->msr_store = guest;
	cpu->msr_count = info->msr_count;
	for (i = 0; i < info->msr_count; i++) {
		guest[i].number = info->msr_number[i];
		host[i].number = info->msr_number[i];
	}
}

struct cpu *cpu_create(const struct avmm_boot_info *info, u32 number, struct avmm_cpu_boot *boot)
{
	u8 *page[CPU_PAGES];
	struct cpu *cpu;
	unsigned int i;

	for (i = 0; i < CPU_PAGES; i++) {
		page[i] = heap_page();
		if (!page[i])
			return NULL;
	}
	*(u32 *)page[1] = vmx_revision();
	*(u32 *)page[2] = vmx_revision();
	monitor_unmap_page(page[4]);

	cpu = (struct cpu *)page[0];
	cpu->self = cpu;
	cpu->current = &cpu->service;
	cpu->number = number;
	cpu->apic_id = info->apic_id[number];
	cpu->service.vmcs_phys = monitor_phys(page[2]);
	cpu->service.exits = vmx_service_exits;
	cpu->service.launched = 1;
	cpu->stats = (struct avmm_cpu_stats *)(AVMM_SHARED_BASE + (AVMM_LOG_PAGES + number) * AVMM_PAGE_SIZE);
	cpu->leave = (struct avmm_leave *)info->leave_page[number];
	cpu->leave_entry = info->leave_entry;
	cpu->stack_low = (u64)page[5];
	cpu->stack_high = (u64)page[6] + AVMM_PAGE_SIZE;
	cpu->service.cpu = cpu;
	cpu->service.exit_counts = cpu->stats->exits;
	cpu->service.stack = cpu->stack_high;
	cpu->service.service = true;
	set_tss(cpu, (const void *const[3]){ page[7] + AVMM_PAGE_SIZE, page[8] + AVMM_PAGE_SIZE,
					      page[9] + AVMM_PAGE_SIZE });
	set_msr_area(cpu, info, page[3]);
	set_boot(cpu, page, boot);
	return cpu;
}
