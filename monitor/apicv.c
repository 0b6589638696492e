// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU as a vCPU's local APIC (Intel SDM volume 3, chapter 30). It answers reads of registers, delivers the highest
 * vector in IRR as soon as the guest may take it, and does the EOI: without exits, in the page that is the model's, too
 * (vdev/lapic.h). What is left to software:
 *
 *	messages of others	posted, and moved into IRR before an entry; then RVI says which is the highest. A CPU that
 *				is the vCPU's own does that by itself, at any time, when it is notified (30.6)
 *	EOI			of level-triggered and watched vectors, and of the timer's while ticks wait
 *	writes			of ICR, LVT, timer and the like: the CPU stores the value, then exits
 *	the 8259		injects past the local APIC, as without all this
 *
 * In xAPIC mode the guest's accesses are told by a page that its EPT shows at the usual address. It is taken away for good
 * when a vCPU puts its APIC elsewhere, into x2APIC mode or off: those who then still use that address exit and are
 * emulated, and for the others nothing is there.
 */
#include <ept-shadow/mtrr.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include "core.h"
#include "partition.h"
#include "vcpu.h"

/* Exit qualification of APIC accesses, table 28-6. */
#define ACCESS_OFFSET(q)	((q) & 0xfff)
#define ACCESS_TYPE(q)		((q) >> 12 & 15)
#define ACCESS_LINEAR_WRITE	1
#define ACCESS_LINEAR_FETCH	2

/* From the pool. All CPUs are of one kind. -ENOMEM, or 0: also where the CPU cannot do it. */
s64 apicv_create(void)
{
	if (!user.config.apicv || !user_has_apicv())
		return 0;
	user.apic_access = pool_page();
	user.msr_bitmap_x2apic = pool_page();
	if (!user.apic_access || !user.msr_bitmap_x2apic)
		return -ENOMEM;
	user_msr_bitmap_x2apic(user.msr_bitmap_x2apic);
	user.apic_shown = true;
	user.posting = user_has_posted();
	/* not write-back: whoever looks for RAM finds none */
	return ept_map(&user.ept, LAPIC_DEFAULT_BASE, monitor_phys(user.apic_access), AVMM_PAGE_SIZE, EPT_RW, MTRR_UC);
}

/* What is in service the CPU knows by itself, but for what the model has done there. */
static void tell_vectors(struct user_vcpu *u)
{
	int irr = lapic_highest_irr(&u->lapic), isr;

	if (u->lapic.irr_words != LAPIC_TELL_ALL) {
		user_set_requested(irr < 0 ? 0 : (u32)irr);
		return;
	}
	isr = lapic_highest_isr(&u->lapic);
	user_set_interrupt_status(irr < 0 ? 0 : (u32)irr, isr < 0 ? 0 : (u32)isr);
}

static void tell(struct user_vcpu *u)
{
	u64 map[4];
	u32 i;

	tell_vectors(u);
	lapic_eoi_exits(&u->lapic, map);
	for (i = 0; i < 4; i++) {
		if (map[i] != u->eoi_exits[i])
			user_set_eoi_exits(i, map[i]);
		u->eoi_exits[i] = map[i];
	}
	u->lapic.irr_words = 0;
}

void apicv_inject(struct user_vcpu *u)
{
	bool extint = platform_extint(u);

	lapic_sync(&u->lapic);
	if (u->lapic.irr_words)
		tell(u);
	if (extint && user_can_take_interrupt()) {
		vcpu_give(u, platform_take_extint(u));
		extint = platform_extint(u);
	}
	want_exits(u, extint, 0);
}

static void hide(void)
{
	platform_lock(&user.platform);
	if (user.apic_shown) {
		ept_unmap(&user.ept, LAPIC_DEFAULT_BASE, AVMM_PAGE_SIZE);
		vcpu_flush(NULL);
	}
	user.apic_shown = false;
	platform_unlock(&user.platform);
}

void apicv_mode(struct user_vcpu *u)
{
	bool x2apic = lapic_x2apic(&u->lapic) && user_has_x2apic();

	if (!user.apic_access)
		return;
	if (x2apic)
		user_set_apic(USER_APIC_X2APIC, monitor_phys(user.msr_bitmap_x2apic));
	else
		user_set_apic(lapic_mmio_base(&u->lapic) == LAPIC_DEFAULT_BASE ? USER_APIC_XAPIC : USER_APIC_NONE,
			      monitor_phys(user.msr_bitmap));
	if (lapic_mmio_base(&u->lapic) != LAPIC_DEFAULT_BASE)
		hide();
}

void core_user_apic_access(struct vcpu *v, u64 qualification)
{
	u64 type = ACCESS_TYPE(qualification), kind = VMX_EPT_READ;

	if (type == ACCESS_LINEAR_WRITE)
		kind = VMX_EPT_WRITE;
	else if (type == ACCESS_LINEAR_FETCH)
		kind = VMX_EPT_FETCH;
	user_mmio(v, LAPIC_DEFAULT_BASE + ACCESS_OFFSET(qualification), kind);
}

void core_user_apic_written(struct vcpu *v, u64 offset)
{
	struct user_vcpu *u = to_user_vcpu(v);
	u64 now = running_now();

	lapic_mmio_written(&u->lapic, (u32)offset, now);
	platform_lapic_touched(u, now);
}

void core_user_eoi(struct vcpu *v, u8 vector)
{
	struct user_vcpu *u = to_user_vcpu(v);

	lapic_eoi_exit(&u->lapic, vector);
	platform_lapic_touched(u, running_now());
}
