// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU of the user partition, wherever it runs: what it is made of, and how others reach it.
 */
#include <vmx/root/root.h>
#include <vmx/root/user.h>
#include "core.h"
#include "partition.h"

_Static_assert(sizeof(struct user_vcpu) <= AVMM_PAGE_SIZE, "it has one page");

/* From the pool, which is all zeroes. */
s64 vcpu_create(struct user_vcpu *u, struct cpu *cpu)
{
	u32 xsave_pages = (switch_xsave_size() + AVMM_PAGE_SIZE - 1) / AVMM_PAGE_SIZE;
	u8 *vmcs = pool_page();

	u->lapic_page = pool_page();
	u->world.xsave = pool_pages(xsave_pages);
	u->service_world.xsave = pool_pages(xsave_pages);
	if (!vmcs || !u->lapic_page || !u->world.xsave || !u->service_world.xsave)
		return -ENOMEM;
	*(u32 *)vmcs = vmx_revision();
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

/* From any CPU. */
void vcpu_want(struct user_vcpu *u, u32 wanted)
{
	__atomic_fetch_or(&u->wanted, wanted, __ATOMIC_SEQ_CST);
}
