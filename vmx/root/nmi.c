// SPDX-License-Identifier: GPL-2.0-only
/*
 * NMIs and machine checks of a service CPU.
 *
 * An NMI that comes while the guest runs exits; one that comes in root operation reaches vmx_root_nmi(). Both end in
 * cpu->event.nmi and are injected when the guest can take them. None is lost between the check before an entry and
 * the entry, because the handler also sets NMI-window exiting and the slice timer in the current VMCS: the entry then
 * exits at once.
 *
 * The handler may interrupt a read-modify-write of the processor controls, or the switch to another VMCS. So every
 * writer of the controls, and the switch, ends in vmx_recheck_events(): an NMI that came before is seen by that second
 * look, one that comes after it sets the bit itself, in the VMCS that is then current.
 *
 * After an exit by NMI, NMIs stay blocked until the next entry (which unblocks them, Intel SDM volume 3, 27.7.1), so
 * the handler does not nest.
 */
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>

#define VECTOR_MC 18
#define NMI_LATCH 2	/* one in delivery, one latched: what the bare CPU would keep */

static void note_nmi(struct cpu *cpu)
{
	cpu_count(cpu, AVMM_COUNT_NMI_CAUGHT);
	if (cpu->event.nmi < NMI_LATCH)
		cpu->event.nmi++;
}

static void note_mc(struct cpu *cpu)
{
	cpu_count(cpu, AVMM_COUNT_MC_CAUGHT);
	cpu->event.mc = 1;
}

static void request_window(void)
{
	vmwrite(VMCS_PROC_CONTROLS, vmread(VMCS_PROC_CONTROLS) | VMX_PROC_NMI_WINDOW);
}

/*
 * The next entry shall end at once. A guest that is in an NMI handler of its own, a user's, has no NMI window: there the
 * slice timer does it. Where the timer is not on, the field means nothing.
 */
static void end_next_entry(struct cpu *cpu)
{
	cpu->event.window = 1;
	request_window();
	vmwrite(VMCS_PREEMPTION_TIMER, 0);
}

/* From the IDT, in root operation; the interrupted code may be anywhere. */
void vmx_root_nmi(struct cpu *cpu)
{
	if (cpu->leaving) {
		cpu->leave->nmi++;
		return;
	}
	note_nmi(cpu);
	end_next_entry(cpu);
}

/* A machine check in root operation: the service has the banks, and is told. */
void vmx_root_mc(struct cpu *cpu)
{
	if (cpu->leaving) {
		cpu->leave->mc++;
		return;
	}
	note_mc(cpu);
	end_next_entry(cpu);
}

void vmx_recheck_events(struct cpu *cpu)
{
	barrier();
	if (cpu->event.nmi || cpu->event.mc) {
		cpu->event.window = 1;
		request_window();
	}
}

void vmx_write_proc_controls(struct cpu *cpu, u64 controls)
{
	vmwrite(VMCS_PROC_CONTROLS, controls);
	vmx_recheck_events(cpu);
}

static void set_window(struct cpu *cpu)
{
	cpu->event.window = 0;
	barrier();
	vmx_write_proc_controls(cpu, vmread(VMCS_PROC_CONTROLS) & ~(u64)VMX_PROC_NMI_WINDOW);
}

/* NMIs are not passed on: each was to make this CPU look. One that comes later than this makes it look again. */
void vmx_drop_nmis(struct cpu *cpu)
{
	cpu->event.nmi = 0;
	set_window(cpu);
}

/* Gives the guest what it can take now; asks for an exit when it can take the rest. Off the fast path. */
void vmx_deliver_events(struct cpu *cpu)
{
	u32 activity = vmread(VMCS_GUEST_ACTIVITY);

	/* an NMI there is the core's: Linux has given this CPU up */
	if (cpu->dedicated) {
		vmx_drop_nmis(cpu);
		core_dedicated(cpu);
		return;
	}
	/* INIT has dropped what was pending; nothing can be injected into a CPU that waits for SIPI */
	if (activity == VMX_ACTIVITY_WAIT_SIPI) {
		cpu->event.nmi = 0;
		cpu->event.mc = 0;
	} else if (!(vmread(VMCS_ENTRY_INTR_INFO) & VMX_EVENT_VALID)) {
		if (cpu->event.mc) {
			cpu->event.mc = 0;
			vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | VMX_EVENT_EXCEPTION(VECTOR_MC));
		} else if (cpu->event.nmi && !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & VMX_BLOCKS_NMI)) {
			/* one instruction: a second NMI may come in the middle of a load and a store */
			asm volatile("decb %0" : "+m"(cpu->event.nmi) : : "cc");
			cpu_count(cpu, AVMM_COUNT_NMI_INJECTED);
			vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | VMX_EVENT_NMI);
		}
	}
	set_window(cpu);
}

void vmx_exit_nmi_window(struct vcpu *v)
{
	/* vmx_deliver_events() follows, since the window was requested */
	v->cpu->event.window = 1;
}

void vmx_exit_exception_nmi(struct vcpu *v)
{
	u32 info = vmread(VMCS_EXIT_INTR_INFO);

	if (VMX_EVENT_TYPE(info) == VMX_TYPE_NMI)
		note_nmi(v->cpu);
	else if ((info & 0xff) == VECTOR_MC)
		note_mc(v->cpu);
	else
		core_panic("exit by an exception that is not intercepted", info);
}
