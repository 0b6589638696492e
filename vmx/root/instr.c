// SPDX-License-Identifier: GPL-2.0-only
/* In what mode the guest's instruction ran. */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/instr.h>
#include <vmx/vmcs.h>

#define CS_AR_L			(1u << 13)
#define SS_AR_DPL(ar)		(((ar) >> 5) & 3)
#define DEBUGCTL_BTF		(1u << 1)	/* TF steps over branches only */

void vmx_skip_slowly(void)
{
	u64 blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (blocking & BLOCKING_ONE)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(u64)BLOCKING_ONE);
	if ((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) && !(vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

u64 vmx_wrap(u64 rip)
{
	bool code64 = (vmread(VMCS_GUEST_EFER) & AVMM_EFER_LMA) && (vmread(VMCS_GUEST_CS_AR) & CS_AR_L);

	return code64 ? rip : (u32)rip;
}

/* The CPL is the DPL of SS, Intel SDM volume 3, 25.4.1. */
bool vmx_guest_cpl0_64(void)
{
	return SS_AR_DPL(vmread(VMCS_GUEST_SS_AR)) == 0 && (vmread(VMCS_GUEST_CS_AR) & CS_AR_L) &&
	       (vmread(VMCS_GUEST_EFER) & AVMM_EFER_LMA);
}
