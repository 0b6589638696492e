// SPDX-License-Identifier: GPL-2.0-only
/*
 * The service partition's memory: everything at its own address, but the monitor's blocks, which show a page of zeros.
 * A write there gets that page replaced by a scratch page, so that a wild store of Linux neither harms nor stops
 * anything. Shared by all CPUs: after init, entries change only under `lock`.
 */
#include <avmm/x86.h>
#include <ept-shadow/ept.h>
#include <ept-shadow/mtrr.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>
#include "core.h"
#include "direct.h"
#include "legacy.h"
#include "partition.h"

#define EPT_CAP_1G		(1ul << 17)
#define EPT_LATE_TABLES		16	/* tables kept for memory above EPT_EAGER_BITS */
#define ENTRIES_PER_STEP	64
#define LOCK_TRIES		10000000u

static struct {
	struct ept ept;
	struct avmm_mtrr mtrr;
	u64 built;		/* bytes of the identity */
	u64 scratch;		/* physical */
	u32 locked;
	u64 *spare[EPT_LATE_TABLES];
	u32 spares;
	bool late;		/* init is over: tables come from spare[] */
} service;

static u64 *alloc_table(void *ctx, u64 *phys)
{
	u64 *page;

	(void)ctx;
	if (service.late)
		page = service.spares ? service.spare[--service.spares] : NULL;
	else
		page = heap_page();
	if (page)
		*phys = monitor_phys(page);
	return page;
}

static u64 *find_table(void *ctx, u64 phys)
{
	(void)ctx;
	return monitor_virt(phys);
}

static u64 eager_size(void)
{
	u32 bits = service.ept.phys_bits < EPT_EAGER_BITS ? service.ept.phys_bits : EPT_EAGER_BITS;

	return 1ull << bits;
}

static void describe(const struct avmm_boot_info *info)
{
	struct ept *ept = &service.ept;

	service.mtrr = info->mtrr;
	*ept = (struct ept){
		.phys_bits = info->phys_bits,
		.max_level = rdmsr(AVMM_MSR_VMX_EPT_VPID_CAP) & EPT_CAP_1G ? 3 : 2,
		.mtrr = &service.mtrr,
		.hidden = machine.block,
		.nhidden = machine.nblocks,
		.alloc = alloc_table,
		.table = find_table,
	};
}

int service_init(const struct avmm_boot_info *info)
{
	void *zero = heap_page(), *scratch = heap_page();

	describe(info);
	if (!zero || !scratch)
		return -ENOMEM;
	service.ept.zero_page = monitor_phys(zero);
	service.scratch = monitor_phys(scratch);
	return ept_init(&service.ept);
}

int service_build(void)
{
	int err;

	if (service.spares < EPT_LATE_TABLES) {
		u64 *page = heap_page();

		service.spare[service.spares++] = page;
		return page ? -EAGAIN : -ENOMEM;
	}
	err = ept_identity_some(&service.ept, 0, eager_size(), &service.built, ENTRIES_PER_STEP);
	service.late = !err;
	return err;
}

u64 service_eptp(void)
{
	return ept_pointer(&service.ept);
}

static void lock(void)
{
	u32 tries = LOCK_TRIES;

	while (__atomic_exchange_n(&service.locked, 1, __ATOMIC_ACQUIRE)) {
		pause();
		if (!--tries)
			core_panic("the service's EPT stays locked", 0);
	}
}

static void unlock(void)
{
	__atomic_store_n(&service.locked, 0, __ATOMIC_RELEASE);
}

/* A store to monitor memory. Another CPU may have mended it already: then our TLB was old, and that is all. */
static void stray_access(struct vcpu *v, u64 gpa)
{
	u64 page = gpa & ~(AVMM_PAGE_SIZE - 1);

	if ((ept_walk(&service.ept, gpa).entry & EPT_ADDRESS) == service.scratch)
		return;
	/* the table is there since the block was replaced: this cannot fail */
	ept_map(&service.ept, page, service.scratch, AVMM_PAGE_SIZE, EPT_RWX, MTRR_WB);
	cpu_count(v->cpu, AVMM_COUNT_STRAY_WRITE);
	core_log("CPU %u: service partition wrote to monitor memory at %lx, rip %lx", v->cpu->number, gpa,
		 vmread(VMCS_GUEST_RIP));
}

/* Held entries that nobody may fill: an access there is Linux's fault, see core_ept_violation(). */
bool service_lend(u64 base, u64 size)
{
	int err;

	lock();
	err = ept_unmap(&service.ept, base, size);
	unlock();
	return !err;
}

/* The tables are there since service_lend(), and pages of device memory have one type. */
void service_return(u64 base, u64 size)
{
	lock();
	ept_map(&service.ept, base, base, size, EPT_RWX, MTRR_UC);
	unlock();
}

/* A crash kernel's console does not know that the VGA is lent. The tables are there, since its range is lent by pages. */
static void vga_access(u64 gpa)
{
	ept_map(&service.ept, gpa & ~(AVMM_PAGE_SIZE - 1), service.scratch, AVMM_PAGE_SIZE, EPT_RWX, MTRR_WB);
}

void core_ept_violation(struct vcpu *v, u64 gpa, u64 qualification)
{
	int err = 0;

	if (!v->service) {
		if (!partition_fetch(gpa, qualification))
			user_access(v, gpa, qualification);
		return;
	}
	lock();
	if (monitor_virt(gpa))
		stray_access(v, gpa);
	else if (legacy_is_vga(gpa))
		vga_access(gpa);
	else
		err = ept_identity_late(&service.ept, gpa);
	unlock();
	if (err) {
		core_log("CPU %u: no page table left for guest-physical address %lx, rip %lx", v->cpu->number, gpa,
			 vmread(VMCS_GUEST_RIP));
		vmx_inject_gp(v);
	}
	invept(INV_SINGLE_CONTEXT, service_eptp());
}
