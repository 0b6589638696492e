// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits: a row per basic exit reason says who handles it. Handlers of instructions either advance RIP or inject a
 * fault; the others leave RIP alone, so that the instruction runs again.
 */
#include <avmm/x86.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>

/* Read by entry.S when VMRESUME itself fails. */
const u64 vmx_entry_stack_offset = __builtin_offsetof(struct cpu, service.stack);

void __attribute__((noreturn, used)) vmx_entry_failed(void)
{
	core_panic("VMRESUME failed, VM-instruction error", vmread(VMCS_INSTR_ERROR));
}

void vmx_exit_cpuid(struct vcpu *v)
{
	core_cpuid(v);
	vmx_skip_instruction();
}

static void exit_invd(struct vcpu *v)
{
	(void)v;
	/* INVD would drop the monitor's own dirty lines; writing back is what every OS can live with */
	asm volatile("wbinvd" : : : "memory");
	vmx_skip_instruction();
}

void vmx_exit_rdmsr(struct vcpu *v)
{
	u64 value;

	if (!core_rdmsr(v, (u32)v->gpr[RCX], &value)) {
		vmx_inject_gp(v);
		return;
	}
	v->gpr[RAX] = (u32)value;
	v->gpr[RDX] = value >> 32;
	vmx_skip_instruction();
}

void vmx_exit_wrmsr(struct vcpu *v)
{
	u64 value = v->gpr[RDX] << 32 | (u32)v->gpr[RAX];

	if (!core_wrmsr(v, (u32)v->gpr[RCX], value)) {
		vmx_inject_gp(v);
		return;
	}
	vmx_skip_instruction();
}

static void exit_vmcall(struct vcpu *v)
{
	if (!vmx_guest_cpl0_64() || !core_hypercall(v))
		vmx_inject_ud(v);
}

void vmx_exit_ept_violation(struct vcpu *v)
{
	vmx_reinject();
	core_ept_violation(v, vmread(VMCS_GUEST_PHYS_ADDR), vmread(VMCS_EXIT_QUALIFICATION));
}

void vmx_exit_ept_misconfig(struct vcpu *v)
{
	(void)v;
	core_panic("EPT misconfiguration at guest-physical address", vmread(VMCS_GUEST_PHYS_ADDR));
}

/* The three below exit only while a user partition shares this CPU. */
static void exit_hlt(struct vcpu *v)
{
	vmx_skip_instruction();
	core_service_idle(v, false);
}

static void exit_mwait(struct vcpu *v)
{
	vmx_skip_instruction();
	core_service_idle(v, true);
}

static void exit_preemption_timer(struct vcpu *v)
{
	core_timer(v);
}

/* No control that could lead here is on. The instruction, if it is one, looks privileged to the guest. */
void vmx_exit_unknown(struct vcpu *v)
{
	u32 reason = vmread(VMCS_EXIT_REASON);

	cpu_count(v->cpu, AVMM_COUNT_UNKNOWN_EXIT);
	core_log("CPU %u: unknown exit reason %u, qualification %lx, rip %lx", v->cpu->number, reason & 0xffff,
		 vmread(VMCS_EXIT_QUALIFICATION), vmread(VMCS_GUEST_RIP));
	vmx_inject_gp(v);
}

void (*const vmx_service_exits[EXIT_ROWS])(struct vcpu *v) = {
	[0 ... EXIT_ROWS - 1]		= vmx_exit_unknown,
	[VMX_REASON_EXCEPTION_NMI]	= vmx_exit_exception_nmi,
	[VMX_REASON_TRIPLE_FAULT]	= core_triple_fault,
	[VMX_REASON_INIT]		= vmx_exit_init,
	[VMX_REASON_SIPI]		= vmx_exit_sipi,
	[VMX_REASON_NMI_WINDOW]		= vmx_exit_nmi_window,
	[VMX_REASON_CPUID]		= vmx_exit_cpuid,
	[VMX_REASON_GETSEC]		= vmx_inject_ud,
	[VMX_REASON_INVD]		= exit_invd,
	[VMX_REASON_VMCALL]		= exit_vmcall,
	[VMX_REASON_VMCLEAR]		= vmx_inject_ud,
	[VMX_REASON_VMLAUNCH]		= vmx_inject_ud,
	[VMX_REASON_VMPTRLD]		= vmx_inject_ud,
	[VMX_REASON_VMPTRST]		= vmx_inject_ud,
	[VMX_REASON_VMREAD]		= vmx_inject_ud,
	[VMX_REASON_VMRESUME]		= vmx_inject_ud,
	[VMX_REASON_VMWRITE]		= vmx_inject_ud,
	[VMX_REASON_VMXOFF]		= vmx_inject_ud,
	[VMX_REASON_VMXON]		= vmx_inject_ud,
	[VMX_REASON_CR_ACCESS]		= vmx_exit_cr_access,
	[VMX_REASON_RDMSR]		= vmx_exit_rdmsr,
	[VMX_REASON_WRMSR]		= vmx_exit_wrmsr,
	[VMX_REASON_EPT_VIOLATION]	= vmx_exit_ept_violation,
	[VMX_REASON_EPT_MISCONFIG]	= vmx_exit_ept_misconfig,
	[VMX_REASON_INVEPT]		= vmx_inject_ud,
	[VMX_REASON_INVVPID]		= vmx_inject_ud,
	[VMX_REASON_XSETBV]		= vmx_exit_xsetbv,
	[VMX_REASON_HLT]		= exit_hlt,
	[VMX_REASON_MWAIT]		= exit_mwait,
	[VMX_REASON_PREEMPTION_TIMER]	= exit_preemption_timer,
	[VMX_REASON_VMFUNC]		= vmx_inject_ud,
};

_Static_assert(EXIT_ROWS <= AVMM_EXIT_REASONS, "the statistics have a counter for every row");
_Static_assert(__builtin_offsetof(struct vcpu, stack) == 128, "VCPU_STACK in entry.S");
_Static_assert(__builtin_offsetof(struct vcpu, launched) == 160, "VCPU_LAUNCHED in entry.S");
_Static_assert(__builtin_offsetof(struct cpu, current) == 8, "CPU_CURRENT in entry.S");

u64 vmx_guest_cr4(void)
{
	return vmread(VMCS_GUEST_CR4);
}

/*
 * The guest is as it was before the entry. The service's first one is the launch: that is taken back. Later the guest is
 * in the middle of something, and has no way to go.
 */
static void entry_failed(struct vcpu *v, u64 reason)
{
	if ((reason & VMX_EXIT_BASIC) == VMX_REASON_MC_AT_ENTRY)
		vmx_root_mc(v->cpu);
	else if (!v->service)
		core_user_entry_failed(v, reason);
	else if (v->cpu->stats->state == AVMM_CPU_NATIVE)
		vmx_leave(v->cpu, reason);
	else
		core_panic("VM entry failed, exit reason", reason);
}

/* A reason with flags above its number: a failed entry, or an exit out of an enclave, as NMIs find the CPU there. */
static void __attribute__((noinline)) exit_with_flags(struct vcpu *v, u64 reason)
{
	u64 basic = reason & VMX_EXIT_BASIC;

	if (reason & VMX_EXIT_ENTRY_FAILED) {
		entry_failed(v, reason);
	} else if (basic < EXIT_ROWS) {
		v->exit_counts[basic]++;
		v->exits[basic](v);
	} else {
		vmx_exit_unknown(v);
	}
}

/*
 * NMIs and machine checks are the service's, and need its VMCS: it takes the place of whoever would be entered. One that
 * comes later than this look ends the entry at once (nmi.c).
 */
static void __attribute__((noinline)) take_events(struct cpu *cpu)
{
	if (!cpu->current->service && (cpu->event.nmi || cpu->event.mc))
		core_service_now(cpu->current);
	if (cpu->current->service)
		vmx_deliver_events(cpu);
}

/* Every exit pays for each line here: what is rare hides in the range check. */
void vmx_exit(struct vcpu *v)
{
	u64 reason = vmread(VMCS_EXIT_REASON);

	if (likely(reason < EXIT_ROWS)) {
		v->exit_counts[reason]++;
		v->exits[reason](v);
	} else {
		exit_with_flags(v, reason);
	}

	if (unlikely(cpu_has_event()))
		take_events(this_cpu());
}
