// SPDX-License-Identifier: GPL-2.0-only
/*
 * One instruction of a user's vCPU by the monitor trap flag (Intel SDM volume 3, 26.5.2). The vCPU has a table of exits
 * of its own meanwhile, so that no other exit pays for it.
 */
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include <vmx/vmcs.h>

#define MSR_VMX_TRUE_PROC	0x48e

bool user_can_step(void)
{
	return rdmsr(MSR_VMX_TRUE_PROC) >> 32 & VMX_PROC_MONITOR_TRAP;
}

static void exit_trap(struct vcpu *v)
{
	core_step_done(v);
	core_user_enter(v);
}

/* Something else came first. The instruction, if it did not run, will come to its EPT violation again. */
static void exit_early(struct vcpu *v)
{
	core_step_done(v);
	vmx_user_exits[vmread(VMCS_EXIT_REASON) & VMX_EXIT_BASIC](v);
}

static void exit_violation(struct vcpu *v)
{
	vmx_user_exits[VMX_REASON_EPT_VIOLATION](v);
}

static void (*const step_exits[EXIT_ROWS])(struct vcpu *v) = {
	[0 ... EXIT_ROWS - 1]		= exit_early,
	[VMX_REASON_MONITOR_TRAP]	= exit_trap,
	[VMX_REASON_EPT_VIOLATION]	= exit_violation,
};

void user_step(struct vcpu *v, bool on)
{
	u64 controls = vmread(VMCS_PROC_CONTROLS) & ~(u64)VMX_PROC_MONITOR_TRAP;

	v->exits = on ? step_exits : vmx_user_exits;
	vmx_write_proc_controls(v->cpu, on ? controls | VMX_PROC_MONITOR_TRAP : controls);
}
