/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the monitor keeps per CPU and per virtual CPU. struct cpu is reached through GS; all of it is touched by its
 * own CPU only, except where a field says otherwise. The NMI handler of root operation may run between any two
 * instructions: it touches nothing but `event` and the processor controls of the current VMCS (see nmi.c).
 */
#ifndef VMX_ROOT_CPU_H
#define VMX_ROOT_CPU_H

#include <avmm/boot.h>
#include <avmm/leave.h>
#include <avmm/shared.h>

/* gpr[] is in the encoding order of instructions; rsp lives in the VMCS. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct cpu;

/* entry.S has the offsets of gpr and stack. The VMCS's host RSP points just behind gpr. */
struct vcpu {
	u64 gpr[16];
	u64 stack;		/* top of the CPU's stack */
	struct cpu *cpu;
	void (*const *exits)(struct vcpu *v);	/* a handler per basic exit reason */
	u64 *exit_counts;	/* of this vCPU, shared page */
	u64 launched;		/* VMRESUME, else VMLAUNCH: entry.S looks */
	u64 vmcs_phys;
	bool service;		/* of the service partition */
	struct world *world;	/* what a world switch keeps: switch.h */
	void *owner;		/* of a user's vCPU: the core's */
};

/* Reasons to look twice before the next entry; all zero on the fast path. */
union cpu_event {
	u32 any;
	struct {
		u8 nmi;		/* NMIs for the service, not injected yet: at most 2, as hardware latches */
		u8 mc;		/* machine checks for the service, likewise */
		u8 window;	/* NMI-window exiting is on */
		u8 pad;
	};
};

struct cpu {
	struct cpu *self;	/* these two first: entry.S reads them through GS */
	struct vcpu *current;	/* whose VMCS is loaded; it is entered next */
	volatile union cpu_event event;
	volatile u32 leaving;	/* VMXOFF may have happened: VMREAD is #UD from here on */
	u32 number;		/* Linux's */
	u32 apic_id;
	struct avmm_msr_entry *msr_store;	/* hardware stores the guest's values here at exits */
	u32 msr_count;
	u32 message_vector;	/* 0: none */
	u32 kick_vector;	/* of the shared CPU; 0: none */
	struct avmm_cpu_stats *stats;	/* shared page */
	struct avmm_leave *leave;	/* the same address as in Linux */
	u64 leave_entry;
	struct vcpu service;
	void *user;		/* the core's: the user's vCPU that this CPU runs */
	volatile u32 dedicated;	/* the user's alone; set by the shared CPU, cleared by this one */
	u64 gdt[16];
	u8 tss[104];
	u64 stack_low;		/* of the ordinary stack, for backtraces */
	u64 stack_high;
};

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	asm("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* Is any event noted on this CPU? One instruction less than by way of this_cpu(), at each exit. */
static inline bool cpu_has_event(void)
{
	u32 any;

	asm volatile("mov %%gs:%c1, %0" : "=r"(any) : "i"(__builtin_offsetof(struct cpu, event)));
	return any;
}

static inline void cpu_count(struct cpu *cpu, enum avmm_counter counter)
{
	cpu->stats->counters[counter]++;
}

#endif
