// SPDX-License-Identifier: GPL-2.0-only
/*
 * The physical local APIC of this CPU, which is the service's: what the monitor reads of it, raises in it, and holds
 * back. Intel SDM volume 3, chapter 11.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include "core.h"

#define XAPIC_IRR	0x200	/* eight registers of 32 vectors, 16 bytes apart */
#define XAPIC_ICR_LOW	0x300
#define ICR_BUSY	(1u << 12)
#define ICR_SELF	(1u << 18)
#define ICR_ASSERT	(1u << 14)
#define BUSY_TRIES	10000u
#define IRR_WORDS	8u

static volatile u32 *xapic(u32 reg)
{
	return (volatile u32 *)(AVMM_APIC_BASE + reg);
}

/*
 * The service may be between its writes of ICR high and low: the self shorthand ignores ICR high, and the wait leaves
 * no IPI of the service half sent.
 */
void apic_self_ipi(u32 vector)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE);
	u32 tries = BUSY_TRIES;

	if (!(base & AVMM_APIC_BASE_ENABLE))
		return;
	if (base & AVMM_APIC_BASE_X2APIC) {
		wrmsr(AVMM_MSR_X2APIC_SELF_IPI, vector);
		return;
	}
	while ((*xapic(XAPIC_ICR_LOW) & ICR_BUSY) && --tries)
		pause();
	*xapic(XAPIC_ICR_LOW) = ICR_SELF | ICR_ASSERT | vector;
}

u32 apic_requested(void)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE);
	u32 i, word;

	if (!(base & AVMM_APIC_BASE_ENABLE))
		return 0;
	for (i = IRR_WORDS; i-- > 1;) {
		word = base & AVMM_APIC_BASE_X2APIC ? (u32)rdmsr(AVMM_MSR_X2APIC_IRR + i) : *xapic(XAPIC_IRR + 16 * i);
		if (word)
			return 32 * i + 31 - (u32)__builtin_clz(word);
	}
	return 0;
}
