// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way back to the bare machine. The guest's state goes from the VMCS to the CPU's data page; the trampoline in
 * avmm.ko's text, mapped here at the same address, loads it into the CPU. There is no step that can fail.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/vmcs.h>

typedef void leave_fn(struct avmm_leave *leave);

static u32 add_msr(struct avmm_leave *leave, u32 n, u32 number, u64 value)
{
	leave->msr[n].number = number;
	leave->msr[n].value = value;
	return n + 1;
}

/* The CPU has `now`, which is mostly what it should have: WRMSR takes long. */
static u32 add_other_msr(struct avmm_leave *leave, u32 n, u32 number, u64 value, u64 now)
{
	return value == now ? n : add_msr(leave, n, number, value);
}

static void save_msrs(struct avmm_leave *leave, const struct cpu *cpu)
{
	enum { ALWAYS = 2, OTHER = 6, CET_AND_PKRS = 3 };
	_Static_assert(ALWAYS + OTHER + CET_AND_PKRS + AVMM_MAX_SWITCHED_MSRS <= AVMM_LEAVE_MAX_MSRS,
		       "the data page has room for all of them");
	u64 exit_controls = vmread(VMCS_EXIT_CONTROLS);
	u32 i, n = 0;

	n = add_msr(leave, n, AVMM_MSR_GS_BASE, vmread(VMCS_GUEST_GS_BASE));	/* the first, see leave.h */
	n = add_msr(leave, n, AVMM_MSR_FS_BASE, vmread(VMCS_GUEST_FS_BASE));
	n = add_other_msr(leave, n, AVMM_MSR_SYSENTER_CS, vmread(VMCS_GUEST_SYSENTER_CS), vmread(VMCS_HOST_SYSENTER_CS));
	n = add_other_msr(leave, n, AVMM_MSR_SYSENTER_ESP, vmread(VMCS_GUEST_SYSENTER_ESP), vmread(VMCS_HOST_SYSENTER_ESP));
	n = add_other_msr(leave, n, AVMM_MSR_SYSENTER_EIP, vmread(VMCS_GUEST_SYSENTER_EIP), vmread(VMCS_HOST_SYSENTER_EIP));
	n = add_other_msr(leave, n, AVMM_MSR_EFER, vmread(VMCS_GUEST_EFER), vmread(VMCS_HOST_EFER));
	n = add_other_msr(leave, n, AVMM_MSR_PAT, vmread(VMCS_GUEST_PAT), vmread(VMCS_HOST_PAT));
	n = add_other_msr(leave, n, AVMM_MSR_DEBUGCTL, vmread(VMCS_GUEST_DEBUGCTL), 0);
	if (exit_controls & VMX_EXIT_LOAD_CET) {
		n = add_msr(leave, n, AVMM_MSR_S_CET, vmread(VMCS_GUEST_S_CET));
		n = add_msr(leave, n, AVMM_MSR_INTR_SSP_TABLE, vmread(VMCS_GUEST_INTR_SSP_TABLE));
	}
	if (exit_controls & VMX_EXIT_LOAD_PKRS)
		n = add_msr(leave, n, AVMM_MSR_PKRS, vmread(VMCS_GUEST_PKRS));
	for (i = 0; i < cpu->msr_count; i++)
		n = add_msr(leave, n, cpu->msr_store[i].number, cpu->msr_store[i].value);
	leave->msr[n].number = 0;
}

static void copy_words(u64 *to, const u64 *from, u64 count)
{
	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void save_state(struct avmm_leave *leave, const struct vcpu *v)
{
	u64 shadow = vmread(VMCS_CR4_SHADOW) & AVMM_CR4_VMXE;
	unsigned int i;

	copy_words(leave->gpr, v->gpr, 16);
	leave->rip = vmread(VMCS_GUEST_RIP);
	leave->cs = vmread(VMCS_GUEST_CS_SEL);
	leave->rflags = vmread(VMCS_GUEST_RFLAGS);
	leave->rsp = vmread(VMCS_GUEST_RSP);
	leave->ss = vmread(VMCS_GUEST_SS_SEL);
	leave->cr0 = vmread(VMCS_GUEST_CR0);
	leave->cr3 = vmread(VMCS_GUEST_CR3);
	leave->cr4 = (vmread(VMCS_GUEST_CR4) & ~AVMM_CR4_VMXE) | shadow;
	leave->dr7 = vmread(VMCS_GUEST_DR7);
	leave->linux_gdtr.base = vmread(VMCS_GUEST_GDTR_BASE);
	leave->linux_gdtr.limit = vmread(VMCS_GUEST_GDTR_LIMIT);
	leave->linux_idtr.base = vmread(VMCS_GUEST_IDTR_BASE);
	leave->linux_idtr.limit = vmread(VMCS_GUEST_IDTR_LIMIT);
	leave->sel[0] = vmread(VMCS_GUEST_ES_SEL);
#pragma GCC unroll 5
	for (i = 1; i < 6; i++)
		leave->sel[i] = vmread(VMCS_GUEST_DS_SEL + 2 * (i - 1));
	save_msrs(leave, v->cpu);
}

/*
 * Adds what came since `before`: one instruction, since the NMI handler adds to the same count by now. An NMI before
 * `leaving` was set is in the event, one after it in the data page; none is in both.
 */
static void add_late(u32 *count, u32 now, u32 before)
{
	asm volatile("addl %1, %0" : "+m"(*count) : "r"(now - before) : "cc");
}

/* The guest is at CPL 0 in 64-bit mode, and behind the instruction that asked for this. */
void vmx_leave(struct cpu *cpu, u64 result)
{
	struct avmm_leave *leave = cpu->leave;
	u32 nmi = cpu->event.nmi, mc = cpu->event.mc;

	leave->nmi = nmi;
	leave->mc = mc;
	save_state(leave, &cpu->service);
	leave->gpr[RAX] = result;
	cpu->stats->state = AVMM_CPU_NATIVE;

	/* from here on the handlers count in the data page; what they counted just before comes along */
	cpu->leaving = 1;
	barrier();
	add_late(&leave->nmi, cpu->event.nmi, nmi);
	add_late(&leave->mc, cpu->event.mc, mc);
	vmclear(cpu->service.vmcs_phys);
	vmxoff();
	((leave_fn *)cpu->leave_entry)(leave);
	__builtin_unreachable();
}
