/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a world switch does against speculation across it, where the CPU needs it. The monitor maps a partition's memory
 * one page at a time, so speculation in root operation reaches little: the barriers stand between the worlds, not at
 * every exit.
 */
#ifndef VMX_ROOT_BARRIERS_H
#define VMX_ROOT_BARRIERS_H

#include <avmm/types.h>

#define BARRIER_IBPB	(1u << 0)	/* both ways: branches of one side shall not steer the other's */
#define BARRIER_L1D	(1u << 1)	/* before the user: L1 terminal fault reads what lies in the L1 data cache */
#define BARRIER_VERW	(1u << 2)	/* before the user: fill, store and load buffers keep data of the service */

/*
 * Which of them this CPU needs and has. edx: CPUID.(7,0):EDX; arch: IA32_ARCH_CAPABILITIES, 0 where there is none.
 * Intel, "Speculative Execution Side Channel Mitigations", and SDM volume 4, MSR 10Ah.
 */
u32 barriers_needed(u32 edx, u64 arch);

/*
 * May a guest execute from large pages? Not where a fetch with translations of two sizes is a machine check that stops the
 * CPU (iTLB multi-hit): those that do not say PSCHANGE_MC_NO. Old Atoms do not say it either, and get small ones for nothing.
 */
bool large_pages_may_execute(u64 arch);

#endif
