/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's instruction at the exit: stepping over it, and in what mode it ran. */
#ifndef VMX_ROOT_INSTR_H
#define VMX_ROOT_INSTR_H

#include <vmx/root/insn.h>
#include <vmx/vmcs.h>

#define RFLAGS_TF		(1u << 8)
#define BLOCKING_ONE		(VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS)	/* for one instruction */
#define PENDING_DEBUG_BS	(1u << 14)	/* single step, Intel SDM volume 3, 25.4.2 */

/* The rest of vmx_skip_instruction() for the instruction after STI or MOV SS, and for a single step: its trap. */
void vmx_skip_slowly(void);

/* RIP beyond 4 GiB: in 64-bit code only, elsewhere the entry would be refused. */
u64 vmx_wrap(u64 rip);

/* Completes an instruction of this length. Inline: most exits end with it. */
static inline void vmx_advance(u64 length)
{
	u64 rip = vmread(VMCS_GUEST_RIP) + length;

	/* a carry out of the lower half */
	if (unlikely((u32)rip < (u32)length))
		rip = vmx_wrap(rip);
	vmwrite(VMCS_GUEST_RIP, rip);
	if ((vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKING_ONE) | (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF))
		vmx_skip_slowly();
}

/* Completes the instruction whose length the exit gives: not valid for EPT violations. */
static inline void vmx_skip_instruction(void)
{
	vmx_advance(vmread(VMCS_EXIT_INSTR_LENGTH));
}

/* CPL 0 in 64-bit mode. */
bool vmx_guest_cpl0_64(void);

#endif
