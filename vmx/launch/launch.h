/* SPDX-License-Identifier: GPL-2.0-only */
/* Linked into avmm.ko: takes a CPU from the bare machine into VMX non-root operation and back. */
#ifndef VMX_LAUNCH_LAUNCH_H
#define VMX_LAUNCH_LAUNCH_H

#include <avmm/boot.h>
#include <avmm/leave.h>
#include <vmx/caps/caps.h>

/* Steps of a launch that a debug build can make fail. */
enum vmx_launch_step {
	VMX_STEP_NONE,
	VMX_STEP_VMXON,		/* before VMXON */
	VMX_STEP_VMLAUNCH,	/* VMLAUNCH fails: VMfail */
	VMX_STEP_ENTRY,		/* VM entry fails after its checks: exit reason with bit 31 */
	VMX_STEP_AFTER,		/* after the launch */
	VMX_STEP_CHECK,		/* the CPU's features are not those of the others */
	VMX_STEPS
};

/* What all CPUs share in a launch; prepared once, read-only then. */
struct vmx_launch {
	const struct avmm_boot_info *info;
	struct vmx_controls controls;
	bool shadow_stacks;	/* the CPU has them: IA32_INTERRUPT_SSP_TABLE_ADDR exists */
	u64 feature_control;	/* to be written where firmware left it unlocked, 0: leave it */
	int fail_cpu;		/* debug builds: this CPU fails at fail_step; -1: none */
	enum vmx_launch_step fail_step;
};

/* How a launch of one CPU ended. */
enum vmx_launch_error {
	VMX_LAUNCH_OK,
	VMX_LAUNCH_HELD,	/* CR4.VMXE is set: somebody else is in VMX operation */
	VMX_LAUNCH_VMXON,
	VMX_LAUNCH_VMCS,	/* VMCLEAR or VMPTRLD failed */
	VMX_LAUNCH_VMLAUNCH,	/* detail: VM-instruction error */
	VMX_LAUNCH_ENTRY,	/* detail: exit reason */
	VMX_LAUNCH_INJECTED,	/* by fail_step */
};

struct vmx_launch_result {
	enum vmx_launch_error error;
	u32 detail;
	u64 ticks;		/* TSC ticks that the launch took, interrupts off */
};

/*
 * Launches this CPU. Interrupts are off, the CPU cannot change. On an error it is on the bare machine as before.
 */
void vmx_launch_cpu(const struct vmx_launch *launch, u32 cpu, struct vmx_launch_result *result);

/* Un-launches this CPU, which is launched. Interrupts are off. Cannot fail. Returns the ticks it took. */
u64 vmx_leave_cpu(void);

/* A hypercall from this CPU; -ENOSYS where it is not launched. */
s64 vmx_hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx);

/* Fills in this CPU's data page: before its first launch and after Linux changed its GDT's address. */
void vmx_leave_page_init(struct avmm_leave *leave);

/* What happened, for the user; a static string. */
const char *vmx_launch_error_text(enum vmx_launch_error error);

/* Calls init of the image on the monitor's page tables, with interrupts off, on this CPU's data page. */
int vmx_call_monitor(struct avmm_leave *leave, u64 cr3, u64 function, void *argument);

/* The page of code that must be mapped on both sides, and where the monitor jumps to in it. */
extern const char vmx_trampoline[], vmx_trampoline_leave[];

#endif
