/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's instruction at the exit: stepping over it, and in what mode it ran. */
#ifndef VMX_ROOT_INSTR_H
#define VMX_ROOT_INSTR_H

#include <vmx/root/insn.h>
#include <vmx/vmcs.h>

#define RFLAGS_TF		(1u << 8)
#define PENDING_DEBUG_BS	(1u << 14)	/* single step, Intel SDM volume 3, 25.4.2 */

/* The rest of vmx_skip_instruction() for the instruction after STI or MOV SS, and for a single step: its trap. */
void vmx_skip_slowly(u64 blocking, u64 rflags);

/* RIP beyond 4 GiB: in 64-bit code only, elsewhere the entry would be refused. */
u64 vmx_wrap(u64 rip);

/* Completes an instruction of this length. Inline: most exits end with it. */
static inline void vmx_advance(u64 length)
{
	u64 blocking, rflags, old = vmread(VMCS_GUEST_RIP), rip = old + length;

	if (unlikely((old ^ rip) >> 32))
		rip = vmx_wrap(rip);
	vmwrite(VMCS_GUEST_RIP, rip);
	blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY) & (VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS);
	rflags = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF;
	if (blocking | rflags)
		vmx_skip_slowly(blocking, rflags);
}

/* Completes the instruction whose length the exit gives: not valid for EPT violations. */
static inline void vmx_skip_instruction(void)
{
	vmx_advance(vmread(VMCS_EXIT_INSTR_LENGTH));
}

/* CPL 0 in 64-bit mode. */
bool vmx_guest_cpl0_64(void);

#endif
