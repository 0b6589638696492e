/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch: what the two partitions of the shared CPU both use and the VMCS does not hold. Names and order as
 * in switch.c's table.
 */
#ifndef VMX_ROOT_SWITCH_H
#define VMX_ROOT_SWITCH_H

#include <vmx/root/cpu.h>

/* Those that the user can write without an exit come first (user_msr_bitmap()), then those that it can write at all. */
#define SWITCH_MSRS	13
#define SWITCH_ALWAYS	1
#define SWITCH_USERS	2
#define SWITCH_ONCE	7

struct world {
	u64 xcr0;
	u64 cr2;
	u64 dr[4];
	u64 dr6;
	u64 msr[SWITCH_MSRS];
	u32 differ;		/* of a user: bits of those behind that are not what the service had */
	u8 *xsave;		/* 64-byte aligned, switch_xsave_size() bytes */
};

/* Bytes of an XSAVE area that holds every component that the service has enabled. */
u32 switch_xsave_size(void);

/* On the shared CPU, once per partition: which MSRs this CPU has. mask: the service's XCR0, the user's limit. */
void switch_init(struct world *service, u64 *mask);

/* A vCPU's state as after reset: FPU, MSRs, debug registers. */
void switch_reset(struct world *w);

/* Which MSR of a user's own, whose WRMSR exits all the same, has this number; SWITCH_MSRS: it is none. */
u32 switch_find_msr(u32 number);
/* A user's WRMSR to that one; its world is loaded. False: #GP. */
bool switch_write_msr(struct world *w, u32 i, u64 value);

/* XMM registers of the world whose FPU state is in the CPU. */
void switch_get_xmm(struct world *w, unsigned int reg, u64 value[2]);
void switch_set_xmm(struct world *w, unsigned int reg, const u64 value[2]);

/* Loads `to` and its VMCS in the place of cpu->current, which keeps its state. */
void vmx_switch(struct cpu *cpu, struct vcpu *to);

#endif
