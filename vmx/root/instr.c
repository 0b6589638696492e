// SPDX-License-Identifier: GPL-2.0-only
/* The guest's instruction at the exit: stepping over it, and in what mode it ran. */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/vmcs.h>

#define RFLAGS_TF		(1u << 8)
#define PENDING_DEBUG_BS	(1u << 14)	/* single step, Intel SDM volume 3, 25.4.2 */
#define CS_AR_L			(1u << 13)
#define SS_AR_DPL(ar)		(((ar) >> 5) & 3)

/* Completes the instruction: RIP, the one-instruction shadow of STI and MOV SS, and the trap of a single step. */
void vmx_skip_instruction(void)
{
	u64 rip = vmread(VMCS_GUEST_RIP) + vmread(VMCS_EXIT_INSTR_LENGTH);
	u32 blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	vmwrite(VMCS_GUEST_RIP, rip);
	if (blocking & (VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS));
	if (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF)
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

/* CPL 0 in 64-bit mode. The CPL is the DPL of SS, Intel SDM volume 3, 25.4.1. */
bool vmx_guest_cpl0_64(void)
{
	return SS_AR_DPL(vmread(VMCS_GUEST_SS_AR)) == 0 && (vmread(VMCS_GUEST_CS_AR) & CS_AR_L) &&
	       (vmread(VMCS_GUEST_EFER) & AVMM_EFER_LMA);
}
