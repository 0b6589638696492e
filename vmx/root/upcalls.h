/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vmx/root asks of the monitor's core: policy and reporting. The core implements these; vmx/root includes nothing
 * of the core.
 */
#ifndef VMX_ROOT_UPCALLS_H
#define VMX_ROOT_UPCALLS_H

#include <vmx/root/cpu.h>

/* CPUID as the vCPU sees it; registers are in v->gpr. */
void core_cpuid(struct vcpu *v);
void core_user_cpuid(struct vcpu *v);	/* … a user's */

/* RDMSR and WRMSR that the MSR bitmap sends here. False: #GP. */
bool core_rdmsr(struct vcpu *v, u32 number, u64 *value);
bool core_wrmsr(struct vcpu *v, u32 number, u64 value);

/* VMCALL from CPL 0 of the service in 64-bit mode; steps over it. False: number not known, #UD. */
bool core_hypercall(struct vcpu *v);

/* An access to gpa that the vCPU's EPT does not allow. Mends the EPT so that the instruction can run again. */
void core_ept_violation(struct vcpu *v, u64 gpa, u64 qualification);

/* The step that user_step() began has ended, or something else came first: ends it. */
void core_step_done(struct vcpu *v);

/* The partition of v cannot go on: triple fault. Returns for the user's only. */
void core_triple_fault(struct vcpu *v);

/* The service has nothing to do on the shared CPU; may_wake: a store may wake it, which nobody sees. */
void core_service_idle(struct vcpu *v, bool may_wake);

/* An NMI has come to a CPU that the service has given up; its VMCS is loaded. */
void core_dedicated(struct cpu *cpu);

/* An INIT has come for a CPU of the service: its local APIC is as after one. */
void core_apic_init(void);

/* The VMX-preemption timer of this CPU ran out. */
void core_timer(struct vcpu *v);

/* An interrupt waits for the service, in the local APIC. Of a user's vCPU: the whole exit; of the idle one. */
void core_user_interrupt(struct vcpu *v);
void core_idle_interrupt(struct vcpu *v);
/* Exits come before any interrupt at each entry: is there one? */
void core_user_hides_interrupts(void);

/* Of a user's vCPU: the service has to run; HLT; the guest can take an interrupt. */
void core_service_wanted(struct vcpu *v);
/* … and is loaded on return, in the place of v, which was to be entered. */
void core_service_now(struct vcpu *v);
void core_user_halt(struct vcpu *v);
void core_user_window(struct vcpu *v);
/* … it spins on PAUSE, perhaps for another vCPU. */
void core_user_spins(struct vcpu *v);

/*
 * Of a user's vCPU whose local APIC the CPU virtualises: an access that it leaves to us, as the exit's qualification has it;
 * a register was written, at this offset of the page; the EOI of a vector that user_set_eoi_exits() asked for.
 */
void core_user_apic_access(struct vcpu *v, u64 qualification);
void core_user_apic_written(struct vcpu *v, u64 offset);
void core_user_eoi(struct vcpu *v, u8 vector);

/* Of a user's vCPU: an access of a port. No bit of the result is set above the size; of value, those count. */
u64 core_in(struct vcpu *v, u32 port, u32 size);
void core_out(struct vcpu *v, u32 port, u32 size, u64 value);
/* Either, for INS and OUTS. */
u64 core_io(struct vcpu *v, u32 port, u32 size, bool write, u64 value);
/* May a user's vCPU enable these states in XCR0? */
bool core_user_xcr0(struct vcpu *v, u64 value);
/* The PDPTEs of a user's vCPU. False: they are refused. */
bool core_user_pdptes(u64 cr3, u64 entry[4]);
/* INS and OUTS. False: not emulated, #GP. */
bool core_io_string(struct vcpu *v, u64 qualification);

/* The entry of a user's vCPU failed after its checks; the service is loaded on return. */
void core_user_entry_failed(struct vcpu *v, u64 reason);

/* Every exit of a user's vCPU, and of the idle one, ends here, before the next entry. */
void core_user_enter(struct vcpu *v);
void core_user_resume(struct vcpu *v);	/* … of one that is over with its instruction, unless the core has noted more */
void core_idle_enter(struct vcpu *v);

/* A fault of the monitor or something that hardware must never do: a report, then the CPU stops. */
void core_panic(const char *what, u64 detail) __attribute__((noreturn));

/* A line for the monitor's log. Formats: %s %u %x %lx. */
void core_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
