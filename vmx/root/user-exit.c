// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits of a user's vCPU. Each row ends in core_user_enter(), which decides whether this vCPU is entered again and
 * with what.
 */
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>

#define VECTOR_DB	1
#define VECTOR_AC	17
#define IO_SIZE(q)	(((q) & 7) + 1)
#define IO_IN(q)	((q) & (1u << 3))
#define IO_STRING(q)	((q) & (1u << 4))
#define IO_PORT(q)	(((q) >> 16) & 0xffff)

/*
 * NMIs and machine checks are the service's. #DB and #AC are the guest's: they exit because the delivery of either may
 * raise it again, without an end and without a moment for an interrupt.
 */
static void exit_event(struct vcpu *v)
{
	u32 vector = vmread(VMCS_EXIT_INTR_INFO) & 0xff;

	if (vector == VECTOR_DB || vector == VECTOR_AC) {
		vmx_pass_exception(v);
		core_user_hides_interrupts();
		return;
	}
	vmx_exit_exception_nmi(v);
	core_service_wanted(v);
}

/*
 * Either the NMI handler asked for it, for the service: in this VMCS, because it was the one that ran. Or the guest has
 * an NMI pending, which it gets on its way in.
 */
static void exit_nmi_window(struct vcpu *v)
{
	u32 events;

	vmwrite(VMCS_PROC_CONTROLS, vmread(VMCS_PROC_CONTROLS) & ~(u64)VMX_PROC_NMI_WINDOW);
	vmx_recheck_events(v->cpu);
	events = v->cpu->event.nmi | v->cpu->event.mc;
	if (events)
		core_service_wanted(v);
}

/* All of the guest's memory is write-back RAM and no device reads it: the caches are as good as written back. */
static void exit_wbinvd(struct vcpu *v)
{
	(void)v;
	vmx_skip_instruction();
}

static void exit_hlt(struct vcpu *v)
{
	vmx_skip_instruction();
	core_user_halt(v);
}

static u64 merge(u64 old, u64 value, u32 size)
{
	u64 mask = size == 1 ? 0xff : 0xffff;

	/* a 32-bit destination clears the upper half */
	return size == 4 ? value : (old & ~mask) | (value & mask);
}

static void exit_cpuid(struct vcpu *v)
{
	core_user_cpuid(v);
	vmx_skip_instruction();
}

static void exit_io(struct vcpu *v)
{
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);
	u64 value;

	if (IO_STRING(q)) {
		if (!core_io_string(v, q))
			vmx_inject_gp(v);
		return;
	}
	if (IO_IN(q)) {
		value = core_in(v, IO_PORT(q), IO_SIZE(q));
		v->gpr[RAX] = merge(v->gpr[RAX], value, IO_SIZE(q));
	} else {
		core_out(v, IO_PORT(q), IO_SIZE(q), v->gpr[RAX]);
	}
	vmx_skip_instruction();
}

static void exit_window(struct vcpu *v)
{
	core_user_window(v);
}

/*
 * On the shared CPU an INIT is for the machine, and the exit has used it up: the service takes it as if it had come
 * while that ran.
 */
static void take_init(struct vcpu *v)
{
	struct vcpu *service = v->cpu->current;

	if (service->service)
		vmx_exit_init(service);
}

static void user_init(struct vcpu *v)
{
	/* of a CPU that the service has given up, and must not start */
	if (v->cpu->dedicated) {
		core_user_enter(v);
		return;
	}
	core_service_wanted(v);
	core_user_enter(v);
	take_init(v);
}

static void idle_init(struct vcpu *v)
{
	core_service_wanted(v);
	core_idle_enter(v);
	take_init(v);
}

/* The qualification has no bit about NMIs, which vmx_reinject() would look for. */
static void exit_apic_access(struct vcpu *v)
{
	if (vmread(VMCS_VECTORING_INFO) & VMX_EVENT_VALID)
		vmx_reinject();
	core_user_apic_access(v, vmread(VMCS_EXIT_QUALIFICATION));
}

static void exit_apic_write(struct vcpu *v)
{
	core_user_apic_written(v, vmread(VMCS_EXIT_QUALIFICATION));
}

static void exit_eoi(struct vcpu *v)
{
	core_user_eoi(v, (u8)vmread(VMCS_EXIT_QUALIFICATION));
}

static void exit_nothing(struct vcpu *v)
{
	/* what there is to do is done on the way to the next entry */
	(void)v;
}

#define USER(handler) static void user_##handler(struct vcpu *v) { handler(v); core_user_enter(v); }

#define RESUME(handler) static void resume_##handler(struct vcpu *v) { handler(v); core_user_resume(v); }

USER(exit_event)
USER(core_triple_fault)
USER(exit_window)
USER(exit_nmi_window)
RESUME(exit_cpuid)
USER(exit_hlt)
USER(exit_wbinvd)
USER(vmx_inject_ud)
USER(vmx_inject_gp)
RESUME(vmx_exit_cr_access)
RESUME(exit_io)
RESUME(vmx_exit_rdmsr)
RESUME(vmx_exit_wrmsr)
USER(exit_nothing)
RESUME(vmx_exit_ept_violation)
USER(core_timer)
RESUME(vmx_exit_xsetbv)
RESUME(exit_apic_access)
RESUME(exit_apic_write)
RESUME(exit_eoi)
RESUME(core_user_spins)
USER(vmx_exit_unknown)

void (*const vmx_user_exits[EXIT_ROWS])(struct vcpu *v) = {
	[0 ... EXIT_ROWS - 1]		= user_vmx_exit_unknown,
	[VMX_REASON_EXCEPTION_NMI]	= user_exit_event,
	[VMX_REASON_EXTERNAL_INTERRUPT]	= core_user_interrupt,
	[VMX_REASON_TRIPLE_FAULT]	= user_core_triple_fault,
	[VMX_REASON_INIT]		= user_init,
	[VMX_REASON_INTERRUPT_WINDOW]	= user_exit_window,
	[VMX_REASON_NMI_WINDOW]		= user_exit_nmi_window,
	[VMX_REASON_TASK_SWITCH]	= user_vmx_inject_gp,
	[VMX_REASON_CPUID]		= resume_exit_cpuid,
	[VMX_REASON_GETSEC]		= user_vmx_inject_ud,
	[VMX_REASON_HLT]		= user_exit_hlt,
	[VMX_REASON_INVD]		= user_exit_wbinvd,
	[VMX_REASON_RDPMC]		= user_vmx_inject_gp,
	[VMX_REASON_VMCALL]		= user_vmx_inject_ud,
	[VMX_REASON_VMCLEAR]		= user_vmx_inject_ud,
	[VMX_REASON_VMLAUNCH]		= user_vmx_inject_ud,
	[VMX_REASON_VMPTRLD]		= user_vmx_inject_ud,
	[VMX_REASON_VMPTRST]		= user_vmx_inject_ud,
	[VMX_REASON_VMREAD]		= user_vmx_inject_ud,
	[VMX_REASON_VMRESUME]		= user_vmx_inject_ud,
	[VMX_REASON_VMWRITE]		= user_vmx_inject_ud,
	[VMX_REASON_VMXOFF]		= user_vmx_inject_ud,
	[VMX_REASON_VMXON]		= user_vmx_inject_ud,
	[VMX_REASON_CR_ACCESS]		= resume_vmx_exit_cr_access,
	[VMX_REASON_IO]			= resume_exit_io,
	[VMX_REASON_RDMSR]		= resume_vmx_exit_rdmsr,
	[VMX_REASON_WRMSR]		= resume_vmx_exit_wrmsr,
	[VMX_REASON_MWAIT]		= user_vmx_inject_ud,
	[VMX_REASON_MONITOR]		= user_vmx_inject_ud,
	[VMX_REASON_PAUSE]		= resume_core_user_spins,
	[VMX_REASON_TPR_BELOW]		= user_exit_nothing,
	[VMX_REASON_APIC_ACCESS]	= resume_exit_apic_access,
	[VMX_REASON_EOI]		= resume_exit_eoi,
	[VMX_REASON_EPT_VIOLATION]	= resume_vmx_exit_ept_violation,
	[VMX_REASON_EPT_MISCONFIG]	= vmx_exit_ept_misconfig,
	[VMX_REASON_INVEPT]		= user_vmx_inject_ud,
	[VMX_REASON_PREEMPTION_TIMER]	= user_core_timer,
	[VMX_REASON_INVVPID]		= user_vmx_inject_ud,
	[VMX_REASON_WBINVD]		= user_exit_wbinvd,
	[VMX_REASON_XSETBV]		= resume_vmx_exit_xsetbv,
	[VMX_REASON_APIC_WRITE]		= resume_exit_apic_write,
	[VMX_REASON_VMFUNC]		= user_vmx_inject_ud,
};

#define IDLE(handler) static void idle_##handler(struct vcpu *v) { handler(v); core_idle_enter(v); }

IDLE(exit_event)
IDLE(exit_nmi_window)
IDLE(exit_nothing)
IDLE(core_idle_interrupt)

/* Of the vCPU that waits in HLT for the others: only what ends HLT can come. */
void (*const vmx_idle_exits[EXIT_ROWS])(struct vcpu *v) = {
	[0 ... EXIT_ROWS - 1]		= idle_exit_nothing,
	[VMX_REASON_EXCEPTION_NMI]	= idle_exit_event,
	[VMX_REASON_EXTERNAL_INTERRUPT]	= idle_core_idle_interrupt,
	[VMX_REASON_INIT]		= idle_init,
	[VMX_REASON_NMI_WINDOW]		= idle_exit_nmi_window,
};
