/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of vmx/root offer to each other and to the monitor's core. All of it runs in root operation. */
#ifndef VMX_ROOT_ROOT_H
#define VMX_ROOT_ROOT_H

#include <vmx/root/cpu.h>
#include <vmx/vmcs.h>

/* entry.S: where a VM exit arrives; the NMI handler that the core puts into its IDT. */
void vmx_exit_entry(void);

/* exit.c: handles the exit of the current VMCS; cpu->current is entered next. */
void vmx_exit(struct vcpu *v);

#define EXIT_ROWS (VMX_REASON_LAST + 1)
extern void (*const vmx_service_exits[EXIT_ROWS])(struct vcpu *v);
extern void (*const vmx_user_exits[EXIT_ROWS])(struct vcpu *v);
extern void (*const vmx_idle_exits[EXIT_ROWS])(struct vcpu *v);

/* Handlers that both tables have. */
void vmx_exit_unknown(struct vcpu *v);
void vmx_exit_cpuid(struct vcpu *v);
void vmx_exit_rdmsr(struct vcpu *v);
void vmx_exit_wrmsr(struct vcpu *v);
void vmx_exit_ept_violation(struct vcpu *v);
void vmx_exit_ept_misconfig(struct vcpu *v);

/* The CR4 that the running guest has. */
u64 vmx_guest_cr4(void);

/* inject.c: for the next entry. A second event in the same exit replaces the first only where the SDM makes #DF. */
void vmx_inject_ud(struct vcpu *v);
void vmx_inject_gp(struct vcpu *v);
void vmx_inject_exception(struct vcpu *v, u8 vector, u32 error_code);
void vmx_reinject(void);
void vmx_pass_exception(struct vcpu *v);

/* nmi.c */
void vmx_root_nmi(struct cpu *cpu);
void vmx_root_mc(struct cpu *cpu);
void vmx_deliver_events(struct cpu *cpu);
void vmx_drop_nmis(struct cpu *cpu);
void vmx_recheck_events(struct cpu *cpu);
void vmx_write_proc_controls(struct cpu *cpu, u64 controls);
void vmx_exit_nmi_window(struct vcpu *v);
void vmx_exit_exception_nmi(struct vcpu *v);

/* cr.c: control registers and XCR0. */
void vmx_exit_cr_access(struct vcpu *v);
void vmx_exit_xsetbv(struct vcpu *v);

/* startup.c: INIT and SIPI of a service CPU. */
void vmx_exit_init(struct vcpu *v);
void vmx_exit_sipi(struct vcpu *v);
/* Registers as after INIT, of the current VMCS, and where to begin. */
void vmx_start_at(struct vcpu *v, u64 cs_sel, u64 cs_base, u64 rip);

/* leave.c: this CPU goes back to the bare machine, with RAX = result. Does not return. */
void vmx_leave(struct cpu *cpu, u64 result) __attribute__((noreturn));

/* setup.c: the monitor's part of the VMCS set-up, at init time. */
void vmx_msr_bitmap(u8 *bitmap);
u32 vmx_revision(void);

#endif
