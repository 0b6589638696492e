// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on request, to test that they end as they should, and what a measurement wants to be without. Release builds
 * answer -ENOSYS.
 */
#include <avmm/hypercall.h>
#include <vmx/root/insn.h>
#include <vmx/vmcs.h>
#include "core.h"

#define ENOSYS 38
#define EINVAL 22
#define DEEPER_THAN_THE_STACK 100000
#define DELAY_MS 20

#ifdef AVMM_DEBUG
bool debug_no_grace;

static u64 __attribute__((noinline)) recurse(u64 depth)
{
	volatile u64 local[64];

	local[depth % 64] = depth;
	return depth < DEEPER_THAN_THE_STACK ? recurse(depth + 1) + local[depth % 64] : 0;
}

static void delay(void)
{
	u64 end = rdtsc() + (u64)DELAY_MS * machine.tsc_khz;

	while (rdtsc() < end)
		pause();
}

s64 debug_fault(u64 which)
{
	switch (which) {
	case AVMM_DEBUG_PAGE_FAULT:
		return *(volatile s32 *)0x1000;
	case AVMM_DEBUG_UD:
		asm volatile("ud2");
		return 0;
	case AVMM_DEBUG_STACK:
		return (s64)recurse(0);
	case AVMM_DEBUG_MC:
		asm volatile("int $18");
		return 0;
	case AVMM_DEBUG_NMI:
		asm volatile("int $2");
		return 0;
	case AVMM_DEBUG_MC_IN_NMI:
		/* somewhere in the middle of that page; the handler has to come back to it */
		asm volatile("mov %%rsp, %%rbx; mov %0, %%rsp; int $18; mov %%rbx, %%rsp"
			     : : "r"(this_cpu()->stack_high + AVMM_PAGE_SIZE / 2) : "rbx", "memory", "cc");
		return 0;
	case AVMM_DEBUG_ENTRY:
		vmwrite(VMCS_LINK_POINTER, 1);
		return 0;
	case AVMM_DEBUG_DELAY:
		delay();
		return 0;
	case AVMM_DEBUG_NO_GRACE:
		debug_no_grace = true;
		return 0;
	default:
		return -EINVAL;
	}
}
#else
s64 debug_fault(u64 which)
{
	(void)which;
	return -ENOSYS;
}
#endif
