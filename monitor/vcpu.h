/* SPDX-License-Identifier: GPL-2.0-only */
/* What a vCPU of the user is given on its way into the guest. Inline: it is on the way of most exits. */
#ifndef MONITOR_VCPU_H
#define MONITOR_VCPU_H

#include <vmx/root/user.h>
#include "partition.h"

static inline u64 vcpu_host_time(u64 guest)
{
	return guest == CLOCK_NEVER ? SCHED_NEVER : guest - user.time_offset;
}

/* Can the halted vCPU go on? Devices are up to date. */
static inline bool vcpu_has_work(struct user_vcpu *u)
{
	if (user.held)
		return false;
	return !u->halted || __atomic_load_n(&u->wanted, __ATOMIC_RELAXED) || (!u->deaf && platform_pending(u));
}

/* Of notifications. It is KVM's, for which Linux has a handler that does nothing, should one come astray. */
#define VCPU_POSTED_VECTOR	0xf2

/* What ends the guest's run when it can take an interrupt: an open window, a lower TPR by way of CR8. */
static inline void want_exits(struct user_vcpu *u, bool window, u32 tpr_threshold)
{
	if (window != u->window)
		user_want_window(window);
	u->window = window;
	if (tpr_threshold != u->tpr_threshold)
		user_set_tpr_threshold(tpr_threshold);
	u->tpr_threshold = tpr_threshold;
}

static inline void inject_nmi(struct user_vcpu *u)
{
	bool can = user_can_take_nmi();

	if (can) {
		__atomic_fetch_and(&u->wanted, ~WANTED_NMI, __ATOMIC_SEQ_CST);
		if (u->vcpu.cpu->dedicated)
			user_wake();
		user_inject_nmi();
		u->stats->injected++;
	}
	user_want_nmi_window(!can);
}

/* The guest can take an interrupt: this one, LAPIC_NONE for none. */
static inline void vcpu_give(struct user_vcpu *u, int vector)
{
	if (vector == LAPIC_NONE)
		return;
	if (u->vcpu.cpu->dedicated)
		user_wake();
	user_inject_interrupt((u8)vector);
	u->stats->injected++;
}

/* It is about to be entered and its VMCS is loaded: NMIs and interrupts. */
static inline void vcpu_inject(struct user_vcpu *u)
{
	bool pending = platform_may_pend(u);

	u->halted = false;
	if (__atomic_load_n(&u->wanted, __ATOMIC_RELAXED) & WANTED_NMI)
		inject_nmi(u);
	if (user.apic_access) {
		if (pending || u->window)
			apicv_inject(u);
		return;
	}
	if (pending && user_can_take_interrupt()) {
		vcpu_give(u, platform_take(u));
		pending = platform_may_pend(u);
	}
	if (!pending) {
		if (u->window || u->tpr_threshold)
			want_exits(u, false, 0);
		return;
	}
	pending = platform_pending(u);
	want_exits(u, pending, pending ? 0 : lapic_tpr_threshold(&u->lapic));
}

#endif
