/* SPDX-License-Identifier: GPL-2.0-only */
/* VMCS of a user's vCPU. */
#ifndef VMX_ROOT_USER_H
#define VMX_ROOT_USER_H

#include <vmx/root/cpu.h>
#include <vmx/root/insn.h>
#include <vmx/vmcs.h>

struct user_setup {
	u64 eptp;
	u64 msr_bitmap;		/* physical */
	u64 io_bitmap;		/* physical, two pages; 0: every port exits */
	u64 virtual_apic;	/* physical: the local APIC's page */
	u64 apic_access;	/* physical: the page that stands for it in the EPT; 0: interrupts are injected */
	u64 posted;		/* physical, with apic_access: the posted-interrupt descriptor; 0: none is used */
	u8 posted_vector;	/* of notifications */
	u64 vpid;
	bool reset;		/* the start: as after RESET; else in 64-bit mode, flat segments, interrupts off: */
	u64 rip;
	u64 cr3;
	u64 gdt_base;
	u64 gdt_limit;
	bool idle;		/* never runs: waits in HLT for interrupts, NMIs and the timer */
	bool yields;		/* it exits when it spins on PAUSE, where the CPU can tell */
	bool dedicated;		/* HLT does not exit: the CPU is the vCPU's own */
};

/* The name of the first control that this CPU lacks for a user partition, NULL: none. */
const char *user_lacks(void);

bool user_can_reset(void);

/* Can this CPU be the local APIC of a vCPU: registers, delivery, EOI? Intel SDM volume 3, chapter 30. */
bool user_has_apicv(void);
bool user_has_x2apic(void);	/* … also in x2APIC mode */
/* … take what other CPUs send it without an exit? 30.6: the vCPU has to be alone with the CPU's physical local APIC. */
bool user_has_posted(void);

/* Fills in v's VMCS. On the CPU that will run it, in root operation; the current VMCS stays. */
void user_setup(struct vcpu *v, const struct user_setup *setup);

/* The MSR bitmap of a user: everything exits but what is switched or in the VMCS … */
void user_msr_bitmap(u8 *bitmap);
/* … and, in x2APIC mode with apic_access, what the CPU answers from the virtual-APIC page. */
void user_msr_bitmap_x2apic(u8 *bitmap);

/* Of the current VMCS, which is a user's. The threshold: an exit follows when CR8 falls below it. */
void user_set_tpr_threshold(u32 class);
bool user_can_take_interrupt(void);
void user_inject_interrupt(u8 vector);
void user_want_window(bool on);
/* With apic_access. How the guest reaches its local APIC: NONE is by neither of the ways that the CPU knows. */
enum user_apic { USER_APIC_NONE, USER_APIC_XAPIC, USER_APIC_X2APIC };
void user_set_apic(enum user_apic mode, u64 msr_bitmap);
/* The highest vectors in IRR and ISR, 0: none. Which vectors' EOI exits: word i of four. */
void user_set_interrupt_status(u32 rvi, u32 svi);
void user_set_requested(u32 rvi);
void user_set_eoi_exits(u32 i, u64 map);
/* As the CPU itself: one that comes in the handler of another waits for its IRET. */
bool user_can_take_nmi(void);
void user_inject_nmi(void);
void user_want_nmi_window(bool on);
/* step.c: one instruction at a time; core_step_done() comes at the next exit that is no EPT violation. */
bool user_can_step(void);
void user_step(struct vcpu *v, bool on);
void user_set_tsc_offset(u64 offset);

/*
 * The slice timer counts down whenever a certain bit of the TSC changes (Intel SDM volume 3, 26.5.1). So it ends at the
 * first such change that is not before `at`; an entry late after `now` may make it one change later.
 */
struct user_timer {
	u64 at;			/* TSC */
	u64 end;		/* the same in changes of that bit */
	u32 shift;		/* which bit */
};

/* For user_timer.shift, of this CPU. */
u32 user_timer_shift(void);

/* Later than the timer can be set, it ends earlier. */
void user_set_timer(struct user_timer *timer, u64 at, u64 now);

/* Again at an exit that did not change when it ends; at has not come yet. */
static inline void user_continue_timer(const struct user_timer *timer, u64 now)
{
	vmwrite(VMCS_PREEMPTION_TIMER, timer->end - (now >> timer->shift));
}

/* The guest spins, and to no avail: rarer from now on; or as at first. */
void user_spin_longer(bool longer);
/* Does the timer count? */
void user_want_timer(bool on);
/* The guest is about to get an event: it halts no more. */
void user_wake(void);

/* Of the current VMCS, which is the service's: do HLT, MWAIT and the timer exit? */
void service_share(bool on);
bool service_interruptible(void);
/* Its activity state: HLT, where interrupts wake it, or active. */
void service_halt(bool on);
bool service_halted(void);

#endif
