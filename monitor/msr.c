// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs of the service partition that exit: those that show VMX, and those outside the bitmap's ranges. To the service
 * this is a CPU without VMX whose firmware has locked FEATURE_CONTROL.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/upcalls.h>
#include "partition.h"

bool core_rdmsr(struct vcpu *v, u32 number, u64 *value)
{
	if (!v->service)
		return user_rdmsr(v, number, value);
	if (number == AVMM_MSR_FEATURE_CONTROL) {
		*value = rdmsr(AVMM_MSR_FEATURE_CONTROL) & ~(AVMM_FEATURE_CONTROL_VMX | AVMM_FEATURE_CONTROL_SMX);
		*value |= AVMM_FEATURE_CONTROL_LOCK;
		return true;
	}
	cpu_count(v->cpu, AVMM_COUNT_UNKNOWN_MSR);
	return false;
}

bool core_wrmsr(struct vcpu *v, u32 number, u64 value)
{
	if (!v->service)
		return user_wrmsr(v, number, value);
	if (number != AVMM_MSR_FEATURE_CONTROL)
		cpu_count(v->cpu, AVMM_COUNT_UNKNOWN_MSR);
	return false;
}
