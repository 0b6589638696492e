// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID. The service partition sees its own CPU, without VMX. It is one of the hottest exits: one pass, no table.
 */
#include <avmm/hypercall.h>
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "partition.h"

#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_OSXSAVE	(1u << 27)
#define LEAF7_ECX_OSPKE		(1u << 4)

/* Bits that mirror CR4 come from the guest's: the CPU shows the monitor's own here. */
static u64 mirror(u64 reg, u64 bit, u64 on)
{
	return on ? reg | bit : reg & ~bit;
}

static void __attribute__((noinline)) adjust(struct vcpu *v, u32 leaf, u32 sub)
{
	static const char signature[] __attribute__((aligned(4))) = AVMM_SIGNATURE;
	const u32 *words = (const u32 *)signature;
	u64 ecx = v->gpr[RCX];

	if (leaf == 1) {
		v->gpr[RCX] = mirror(ecx & ~(u64)LEAF1_ECX_VMX, LEAF1_ECX_OSXSAVE, vmx_guest_cr4() & AVMM_CR4_OSXSAVE);
	} else if (leaf == 7 && sub == 0) {
		v->gpr[RCX] = mirror(ecx, LEAF7_ECX_OSPKE, vmx_guest_cr4() & AVMM_CR4_PKE);
	} else if (leaf == AVMM_SIGNATURE_LEAF) {
		v->gpr[RAX] = AVMM_SIGNATURE_LEAF;
		v->gpr[RBX] = words[0];
		v->gpr[RCX] = words[1];
		v->gpr[RDX] = words[2];
	}
}

void core_cpuid(struct vcpu *v)
{
	u32 leaf = v->gpr[RAX], sub = v->gpr[RCX];
	u64 r[4];

	cpuid(leaf, sub, r);
	v->gpr[RAX] = r[0];
	v->gpr[RBX] = r[1];
	v->gpr[RCX] = r[2];
	v->gpr[RDX] = r[3];
	/* the rest costs nothing where there is nothing to adjust */
	if (unlikely(leaf == 1 || leaf == 7 || leaf == AVMM_SIGNATURE_LEAF))
		adjust(v, leaf, sub);
}
