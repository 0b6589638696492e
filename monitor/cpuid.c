// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID. The service partition sees its own CPU, without VMX. It is one of the hottest exits: one pass, no table.
 */
#include <avmm/hypercall.h>
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/upcalls.h>

#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_OSXSAVE	(1u << 27)
#define LEAF7_ECX_OSPKE		(1u << 4)

/* Bits that mirror CR4 come from the guest's: the CPU shows the monitor's own here. */
static u64 mirror(u64 reg, u64 bit, u64 on)
{
	return on ? reg | bit : reg & ~bit;
}

void core_cpuid(struct vcpu *v, u64 os_cr4)
{
	u32 leaf = v->gpr[RAX], sub = v->gpr[RCX];
	u64 r[4];

	cpuid(leaf, sub, r);
	if (leaf == 1) {
		r[2] = mirror(r[2] & ~(u64)LEAF1_ECX_VMX, LEAF1_ECX_OSXSAVE, os_cr4 & AVMM_CR4_OSXSAVE);
	} else if (leaf == 7 && sub == 0) {
		r[2] = mirror(r[2], LEAF7_ECX_OSPKE, os_cr4 & AVMM_CR4_PKE);
	} else if (leaf == AVMM_SIGNATURE_LEAF) {
		static const char signature[] __attribute__((aligned(4))) = AVMM_SIGNATURE;
		const u32 *words = (const u32 *)signature;

		r[0] = AVMM_SIGNATURE_LEAF;
		r[1] = words[0];
		r[2] = words[1];
		r[3] = words[2];
	}
	v->gpr[RAX] = r[0];
	v->gpr[RBX] = r[1];
	v->gpr[RCX] = r[2];
	v->gpr[RDX] = r[3];
}
