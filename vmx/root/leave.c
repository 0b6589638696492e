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

static struct avmm_leave_msr *add_msr(struct avmm_leave_msr *at, u32 number, u64 value)
{
	at->number = number;
	at->value = value;
	return at + 1;
}

/* The CPU has `now`, which is mostly what it should have: WRMSR takes long. */
static struct avmm_leave_msr *add_other_msr(struct avmm_leave_msr *at, u32 number, u64 value, u64 now)
{
	return value == now ? at : add_msr(at, number, value);
}

#define ADD_OTHER(at, name) add_other_msr(at, AVMM_MSR_##name, vmread(VMCS_GUEST_##name), vmread(VMCS_HOST_##name))

static void save_msrs(struct avmm_leave *leave, const struct cpu *cpu)
{
	enum { OTHER = 6, CET_AND_PKRS = 3 };
	_Static_assert(OTHER + CET_AND_PKRS + AVMM_MAX_SWITCHED_MSRS <= AVMM_LEAVE_MAX_MSRS,
		       "the data page has room for all of them");
	struct avmm_leave_msr *at = leave->msr;
	const struct avmm_msr_entry *stored = cpu->msr_store, *end = stored + cpu->msr_count;
	u64 exit_controls = vmread(VMCS_EXIT_CONTROLS);

	at = ADD_OTHER(at, SYSENTER_CS);
	at = ADD_OTHER(at, SYSENTER_ESP);
	at = ADD_OTHER(at, SYSENTER_EIP);
	at = ADD_OTHER(at, EFER);
	at = ADD_OTHER(at, PAT);
	at = add_other_msr(at, AVMM_MSR_DEBUGCTL, vmread(VMCS_GUEST_DEBUGCTL), 0);
	if (exit_controls & VMX_EXIT_LOAD_CET) {
		at = add_msr(at, AVMM_MSR_S_CET, vmread(VMCS_GUEST_S_CET));
		/* a CPU with nothing but IBT has the field, always 0, but no such MSR */
		at = ADD_OTHER(at, INTR_SSP_TABLE);
	}
	if (exit_controls & VMX_EXIT_LOAD_PKRS)
		at = add_msr(at, AVMM_MSR_PKRS, vmread(VMCS_GUEST_PKRS));
	for (; stored < end; stored++)
		at = add_other_msr(at, stored->number, stored->value, 0);
	at->number = 0;
}

/* Straight to memory: that is one instruction less than by a register. */
#define VMREAD_TO(word, field) asm volatile("vmread %1, %0" : "=m"(word) : "r"((u64)(field)) : "cc")

static void copy_words(u64 *to, const u64 *from, u64 count)
{
	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void save_state(struct avmm_leave *leave, const struct vcpu *v)
{
	u64 shadow = vmread(VMCS_CR4_SHADOW) & AVMM_CR4_VMXE;
	unsigned int i;

	copy_words(leave->gpr, v->gpr, 16);
	VMREAD_TO(leave->rip, VMCS_GUEST_RIP);
	VMREAD_TO(leave->cs, VMCS_GUEST_CS_SEL);
	VMREAD_TO(leave->rflags, VMCS_GUEST_RFLAGS);
	VMREAD_TO(leave->rsp, VMCS_GUEST_RSP);
	VMREAD_TO(leave->ss, VMCS_GUEST_SS_SEL);
	VMREAD_TO(leave->cr0, VMCS_GUEST_CR0);
	VMREAD_TO(leave->cr3, VMCS_GUEST_CR3);
	leave->cr4 = (vmread(VMCS_GUEST_CR4) & ~AVMM_CR4_VMXE) | shadow;
	VMREAD_TO(leave->dr7, VMCS_GUEST_DR7);
	VMREAD_TO(leave->linux_gdtr.base, VMCS_GUEST_GDTR_BASE);
	leave->linux_gdtr.limit = vmread(VMCS_GUEST_GDTR_LIMIT);
	VMREAD_TO(leave->linux_idtr.base, VMCS_GUEST_IDTR_BASE);
	leave->linux_idtr.limit = vmread(VMCS_GUEST_IDTR_LIMIT);
	VMREAD_TO(leave->sel[0], VMCS_GUEST_ES_SEL);
#pragma GCC unroll 5
	for (i = 1; i < 6; i++)
		VMREAD_TO(leave->sel[i], VMCS_GUEST_DS_SEL + 2 * (i - 1));
	VMREAD_TO(leave->gs_base, VMCS_GUEST_GS_BASE);
	VMREAD_TO(leave->fs_base, VMCS_GUEST_FS_BASE);
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
