// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of the user partition that no decoder knows, to memory that is no RAM: one instruction, or one delivery of
 * an event, runs with a page of ones in the place of each page that it reaches. What it writes there is forgotten.
 *
 * A step begins with an EPT violation and ends with the next exit that is none: the monitor trap flag's behind the
 * instruction, or whatever came in between. So it costs as many exits as it reaches pages, and one more. The pages
 * allow execution: ones are an invalid opcode, which is then the guest's own affair. The tables are those of all vCPUs:
 * one that has business at the same addresses in this very moment finds the ones, too.
 */
#include <ept-shadow/graft.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include "core.h"
#include "partition.h"

#define STRAY_REPORTS	16
#define VECTOR_DF	8

static struct {
	struct ept_graft graft;
	u64 *ones;
	struct vcpu *owner;	/* whose step is on; others' accesses wait for its end, which is an exit away */
	bool dirty;		/* the page may hold something else */
} stray;

static void fill(void)
{
	unsigned int i;

	for (i = 0; i < AVMM_PAGE_SIZE / sizeof(*stray.ones); i++)
		((volatile u64 *)stray.ones)[i] = ~0ull;
	stray.dirty = false;
}

s64 stray_init(struct ept *ept)
{
	stray.owner = NULL;
	stray.ones = pool_page();
	if (!stray.ones)
		return -ENOMEM;
	fill();
	return ept_graft_init(&stray.graft, ept, monitor_phys(stray.ones));
}

bool stray_running(void)
{
	return __atomic_load_n(&stray.owner, __ATOMIC_RELAXED);
}

bool stray_stepping(const struct vcpu *v)
{
	return stray.owner == v;
}

void core_step_done(struct vcpu *v)
{
	user_step(v, false);
	ept_prune(&stray.graft);
	vcpu_flush(NULL);
	if (stray.dirty)
		fill();
	__atomic_store_n(&stray.owner, NULL, __ATOMIC_RELEASE);
}

static bool become_owner(struct vcpu *v)
{
	struct vcpu *none = NULL;

	return stray.owner == v ||
	       __atomic_compare_exchange_n(&stray.owner, &none, v, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/*
 * What is mapped is about to change, while no vCPU is in the guest. A vCPU that was to make a step when it was told to leave
 * comes to its EPT violation again, or finds something there.
 */
void stray_forget(void)
{
	ept_prune(&stray.graft);
}

/* No step is possible: a fault takes its place. In the middle of a delivery that is a double fault, or a third. */
static void refuse(struct vcpu *v)
{
	u32 info = vmread(VMCS_VECTORING_INFO);

	core_step_done(v);
	if (!(info & VMX_EVENT_VALID))
		vmx_inject_gp(v);
	else if ((info & VMX_EVENT_EXCEPTION(0xff)) == VMX_EVENT_EXCEPTION(VECTOR_DF))
		core_triple_fault(v);
	else
		vmx_inject_exception(v, VECTOR_DF, 0);
}

void stray_step(struct vcpu *v, u64 gpa, u64 qualification)
{
	struct avmm_user_stats *stats = to_user_vcpu(v)->stats;
	bool write = qualification & VMX_EPT_WRITE, first = !stray_stepping(v);

	/* the instruction runs again, until the other's is done */
	if (!become_owner(v))
		return;
	stats->stray++;
	if (stats->stray <= STRAY_REPORTS)
		core_log("user partition: access to %lx, where nobody is, rip %lx", gpa, vmread(VMCS_GUEST_RIP));
	if (!user_can_step() || !ept_graft(&stray.graft, gpa, write ? EPT_RWX : EPT_R | EPT_X)) {
		refuse(v);
		return;
	}
	stray.dirty |= write;
	if (first)
		user_step(v, true);
}
