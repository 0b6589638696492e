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

static void save_msrs(struct avmm_leave *leave, const struct cpu *cpu)
{
	static const struct {
		u16 number_low;
		bool high;	/* 0xc000xxxx */
		u16 field;
	} table[] = {
		{ 0x0101, true, VMCS_GUEST_GS_BASE },	/* the first, see leave.h */
		{ 0x0100, true, VMCS_GUEST_FS_BASE },
		{ AVMM_MSR_SYSENTER_CS, false, VMCS_GUEST_SYSENTER_CS },
		{ AVMM_MSR_SYSENTER_ESP, false, VMCS_GUEST_SYSENTER_ESP },
		{ AVMM_MSR_SYSENTER_EIP, false, VMCS_GUEST_SYSENTER_EIP },
		{ 0x0080, true, VMCS_GUEST_EFER },
		{ AVMM_MSR_PAT, false, VMCS_GUEST_PAT },
		{ AVMM_MSR_DEBUGCTL, false, VMCS_GUEST_DEBUGCTL },
	};
	enum { CET_AND_PKRS = 3 };
	_Static_assert(sizeof(table) / sizeof(table[0]) + CET_AND_PKRS + AVMM_MAX_SWITCHED_MSRS <= AVMM_LEAVE_MAX_MSRS,
		       "the data page has room for all of them");
	u64 exit_controls = vmread(VMCS_EXIT_CONTROLS);
	unsigned int i, n = sizeof(table) / sizeof(table[0]);

	for (i = 0; i < n; i++) {
		leave->msr[i].number = table[i].number_low | (table[i].high ? 0xc0000000u : 0);
		leave->msr[i].value = vmread(table[i].field);
	}
	if (exit_controls & VMX_EXIT_LOAD_CET) {
		leave->msr[n].number = AVMM_MSR_S_CET;
		leave->msr[n++].value = vmread(VMCS_GUEST_S_CET);
		leave->msr[n].number = AVMM_MSR_INTR_SSP_TABLE;
		leave->msr[n++].value = vmread(VMCS_GUEST_INTR_SSP_TABLE);
	}
	if (exit_controls & VMX_EXIT_LOAD_PKRS) {
		leave->msr[n].number = AVMM_MSR_PKRS;
		leave->msr[n++].value = vmread(VMCS_GUEST_PKRS);
	}
	for (i = 0; i < cpu->msr_count; i++) {
		leave->msr[n].number = cpu->msr_store[i].number;
		leave->msr[n++].value = cpu->msr_store[i].value;
	}
	leave->msr[n].number = 0;
}

static void save_state(struct avmm_leave *leave, const struct vcpu *v)
{
	u64 shadow = vmread(VMCS_CR4_SHADOW) & AVMM_CR4_VMXE;
	unsigned int i;

	for (i = 0; i < 16; i++)
		leave->gpr[i] = v->gpr[i];
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
