// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU of the user partition, wherever it runs: what it is made of, and how others reach it.
 */
#include <vmx/root/root.h>
#include <vmx/root/user.h>
#include "core.h"
#include "direct.h"
#include "partition.h"
#include "vcpu.h"

#define USER_VPID	2	/* each CPU has translations of one vCPU only */

_Static_assert(sizeof(struct user_vcpu) <= AVMM_PAGE_SIZE, "it has one page");

/* From the pool, which is all zeroes. */
s64 vcpu_create(struct user_vcpu *u, u32 number, struct cpu *cpu)
{
	u32 xsave_pages = (switch_xsave_size() + AVMM_PAGE_SIZE - 1) / AVMM_PAGE_SIZE;
	u8 *vmcs = pool_page();

	u->lapic_page = pool_page();
	u->world.xsave = pool_pages(xsave_pages);
	u->service_world.xsave = pool_pages(xsave_pages);
	if (!vmcs || !u->lapic_page || !u->world.xsave || !u->service_world.xsave)
		return -ENOMEM;
	*(u32 *)vmcs = vmx_revision();
	u->number = number;
	u->waits = number;	/* all but the boot CPU */
	u->vcpu.vmcs_phys = monitor_phys(vmcs);
	u->vcpu.cpu = cpu;
	u->vcpu.stack = cpu->service.stack;
	u->vcpu.exits = vmx_user_exits;
	u->vcpu.world = &u->world;
	u->stats = &cpu->stats->user;
	u->vcpu.exit_counts = u->stats->exits;
	vdev_clear(u->stats, sizeof(*u->stats));
	return 0;
}

void vcpu_setup(struct user_vcpu *u)
{
	const struct avmm_partition_config *c = &user.config;
	struct cpu *cpu = u->vcpu.cpu;
	struct user_setup setup = {
		.eptp = ept_pointer(&user.ept),
		.msr_bitmap = monitor_phys(user.msr_bitmap),
		.io_bitmap = direct_io_bitmap(),
		.virtual_apic = monitor_phys(u->lapic_page),
		.apic_access = user.apic_access ? monitor_phys(user.apic_access) : 0,
		.posted = user.posting && cpu->dedicated ? monitor_phys(&u->lapic.posted) : 0,
		.posted_vector = VCPU_POSTED_VECTOR,
		.vpid = USER_VPID,
		.rip = c->rip,
		.cr3 = c->cr3,
		.gdt_base = c->gdt_base,
		.gdt_limit = c->gdt_limit,
		.reset = c->rom_size && !u->number,
		.dedicated = cpu->dedicated,
		.yields = cpu->dedicated && c->shared,
	};
	u64 r[4];

	u->vcpu.gpr[RSI] = c->rsi;
	if (setup.reset) {
		cpuid(1, 0, r);
		u->vcpu.gpr[RDX] = (u32)r[0];		/* family, model and stepping */
	}
	u->timer.shift = user_timer_shift();
	u->timing = true;
	cpu->user = u;
	cpu->service.world = &u->service_world;
	switch_reset(&u->world);
	user_msr_reset(u);
	user_setup(&u->vcpu, &setup);
	invept(INV_ALL_CONTEXTS, 0);
}

void vcpu_kick(struct user_vcpu *u)
{
	const struct cpu *cpu = u->vcpu.cpu;

	if (cpu == this_cpu()) {
		vcpu_look(u);
		return;
	}
	if (__atomic_exchange_n(&u->kicked, 1, __ATOMIC_SEQ_CST))
		return;
	if (cpu->dedicated)
		apic_send_nmi(cpu->apic_id);
	else if (cpu->kick_vector)
		apic_send_ipi(cpu->apic_id, cpu->kick_vector);
}

void vcpu_notify(struct user_vcpu *u)
{
	if (__atomic_load_n(&u->posted, __ATOMIC_RELAXED))
		apic_send_ipi(u->vcpu.cpu->apic_id, VCPU_POSTED_VECTOR);
	else
		vcpu_kick(u);
}

void vcpu_want(struct user_vcpu *u, u32 wanted)
{
	__atomic_fetch_or(&u->wanted, wanted, __ATOMIC_SEQ_CST);
	vcpu_kick(u);
}

void vcpu_flush(void *ctx)
{
	struct user_vcpu *own = this_cpu()->user;
	/* counted first: this CPU's INVEPT must not pass for one that another CPU asks for meanwhile */
	u32 wanted = __atomic_add_fetch(&user.flushes, 1, __ATOMIC_SEQ_CST), i;

	(void)ctx;
	invept(INV_SINGLE_CONTEXT, ept_pointer(&user.ept));
	if (own)
		__atomic_store_n(&own->flushed, wanted, __ATOMIC_RELEASE);
	for (i = 0; i < user.config.vcpus; i++) {
		if (user.vcpu[i]->vcpu.cpu != this_cpu())
			vcpu_kick(user.vcpu[i]);
	}
}

bool vcpu_flushed(void *ctx)
{
	u32 wanted = __atomic_load_n(&user.flushes, __ATOMIC_ACQUIRE), i;

	(void)ctx;
	for (i = 0; i < user.config.vcpus; i++) {
		const struct user_vcpu *u = user.vcpu[i];

		if (u->vcpu.cpu != this_cpu() && __atomic_load_n(&u->flushed, __ATOMIC_ACQUIRE) != wanted)
			return false;
	}
	return true;
}

void vcpu_kicked(struct user_vcpu *u)
{
	u32 wanted;

	__atomic_exchange_n(&u->kicked, 0, __ATOMIC_SEQ_CST);
	wanted = __atomic_load_n(&user.flushes, __ATOMIC_SEQ_CST);
	if (u->flushed != wanted) {
		invept(INV_SINGLE_CONTEXT, ept_pointer(&user.ept));
		__atomic_store_n(&u->flushed, wanted, __ATOMIC_RELEASE);
	}
	/* others may have moved a device's deadline, or the 8259's line */
	if (!u->number)
		lapic_set_lint(&u->lapic, 0, user.platform.lint0);
	platform_lapic_touched(u, partition_now());
}
