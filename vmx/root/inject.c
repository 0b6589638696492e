// SPDX-License-Identifier: GPL-2.0-only
/* Events for the next VM entry (Intel SDM volume 3, 25.8.3 and 27.6). */
#include <vmx/root/insn.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/vmcs.h>

#define VECTOR_DB 1
#define VECTOR_UD 6
#define VECTOR_GP 13
#define DR6_HITS 15
#define DR6_BD (1u << 13)
#define DR6_BS (1u << 14)
#define DR7_GD (1u << 13)

void vmx_inject_ud(struct vcpu *v)
{
	cpu_count(v->cpu, AVMM_COUNT_UD);
	vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | VMX_EVENT_EXCEPTION(VECTOR_UD));
}

void vmx_inject_gp(struct vcpu *v)
{
	cpu_count(v->cpu, AVMM_COUNT_GP);
	vmwrite(VMCS_ENTRY_ERROR_CODE, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | VMX_EVENT_ERROR_CODE | VMX_EVENT_EXCEPTION(VECTOR_GP));
}

/* A hardware exception with an error code. */
void vmx_inject_exception(struct vcpu *v, u8 vector, u32 error_code)
{
	(void)v;
	vmwrite(VMCS_ENTRY_ERROR_CODE, error_code);
	vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | VMX_EVENT_ERROR_CODE | VMX_EVENT_EXCEPTION(vector));
}

/*
 * An exit in the middle of the delivery of an event: it is delivered again by the next entry. An exit in the middle of
 * IRET from an NMI handler: NMIs are blocked again, as the IRET will run again.
 */
void vmx_reinject(void)
{
	u32 info = vmread(VMCS_VECTORING_INFO);
	u32 blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (!(info & VMX_EVENT_VALID)) {
		/* for EPT violations the qualification's bit 12 says "NMI unblocking due to IRET" */
		if (vmread(VMCS_EXIT_QUALIFICATION) & VMX_EVENT_NMI_UNBLOCK)
			vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking | VMX_BLOCKING_NMI);
		return;
	}
	/* delivering an NMI has set the blocking that its injection is about to set */
	if (VMX_EVENT_TYPE(info) == VMX_TYPE_NMI)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~VMX_BLOCKING_NMI);
	if (info & VMX_EVENT_ERROR_CODE)
		vmwrite(VMCS_ENTRY_ERROR_CODE, vmread(VMCS_VECTORING_ERROR));
	if (VMX_EVENT_TYPE(info) >= VMX_TYPE_SOFT_INT)
		vmwrite(VMCS_ENTRY_INSTR_LENGTH, vmread(VMCS_EXIT_INSTR_LENGTH));
	/* bit 12 is undefined in the vectoring information and must be 0 at entry */
	vmwrite(VMCS_ENTRY_INTR_INFO, info & ~VMX_EVENT_NMI_UNBLOCK);
}

/*
 * A #DB or #AC that was intercepted goes on to the guest. What the CPU would have done before the delivery is done here:
 * DR6 and DR7.GD. The check of an entry wants BS pending with TF set in the shadow of STI or MOV SS.
 */
void vmx_pass_exception(struct vcpu *v)
{
	u32 info = vmread(VMCS_EXIT_INTR_INFO), shadow = vmread(VMCS_GUEST_INTERRUPTIBILITY);
	u64 q = vmread(VMCS_EXIT_QUALIFICATION), dr6;

	(void)v;
	if ((info & 0xff) == VECTOR_DB) {
		asm volatile("mov %%dr6, %0" : "=r"(dr6));
		asm volatile("mov %0, %%dr6" : : "r"((dr6 & ~(u64)DR6_HITS) | (q & (DR6_HITS | DR6_BD | DR6_BS))));
		vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~(u64)DR7_GD);
	}
	if ((shadow & (VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS)) && (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF))
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
	if (!(vmread(VMCS_VECTORING_INFO) & VMX_EVENT_VALID) && (info & VMX_EVENT_NMI_UNBLOCK))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, shadow | VMX_BLOCKING_NMI);
	if (info & VMX_EVENT_ERROR_CODE)
		vmwrite(VMCS_ENTRY_ERROR_CODE, vmread(VMCS_EXIT_INTR_ERROR));
	if (VMX_EVENT_TYPE(info) >= VMX_TYPE_SOFT_INT)
		vmwrite(VMCS_ENTRY_INSTR_LENGTH, vmread(VMCS_EXIT_INSTR_LENGTH));
	vmwrite(VMCS_ENTRY_INTR_INFO, info & ~VMX_EVENT_NMI_UNBLOCK);
}
