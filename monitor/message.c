// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the module: there is something new in the shared pages. The monitor raises the vector that the module
 * has got from Linux for this CPU, as an IPI to ourselves. It stays pending in the local APIC and Linux takes it in
 * the ordinary way after the entry.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include "core.h"

#define XAPIC_ICR_LOW	0x300
#define ICR_BUSY	(1u << 12)
#define ICR_SELF	(1u << 18)
#define ICR_ASSERT	(1u << 14)
#define BUSY_TRIES	10000u

static volatile u32 *xapic(u32 reg)
{
	return (volatile u32 *)(AVMM_APIC_BASE + reg);
}

/*
 * The service may be between its writes of ICR high and low: the self shorthand ignores ICR high, and the wait leaves
 * no IPI of the service half sent.
 */
static void self_ipi(u32 vector)
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

void message_raise(struct cpu *cpu)
{
	if (!cpu->message_vector)
		return;
	cpu_count(cpu, AVMM_COUNT_MESSAGE);
	self_ipi(cpu->message_vector);
}
