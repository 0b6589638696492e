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

/* RDMSR and WRMSR that the MSR bitmap sends here. False: #GP. */
bool core_rdmsr(struct vcpu *v, u32 number, u64 *value);
bool core_wrmsr(struct vcpu *v, u32 number, u64 value);

/* VMCALL from CPL 0 of the service in 64-bit mode. False: number not known, #UD. */
bool core_hypercall(struct vcpu *v);

/* An access to gpa that the vCPU's EPT does not allow. Mends the EPT so that the instruction can run again. */
void core_ept_violation(struct vcpu *v, u64 gpa, u64 qualification);

/* The partition of v cannot go on: triple fault. */
void core_triple_fault(struct vcpu *v) __attribute__((noreturn));

/* A fault of the monitor or something that hardware must never do: a report, then the CPU stops. */
void core_panic(const char *what, u64 detail) __attribute__((noreturn));

/* A line for the monitor's log. Formats: %s %u %x %lx. */
void core_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
