/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user partition: its memory, its platform, its vCPU, and its place on the shared CPU.
 *
 * All of it is touched by the shared CPU only, in root operation: exits of the user's vCPU, exits and hypercalls of the
 * service there. No lock is needed until vCPUs run elsewhere.
 */
#ifndef MONITOR_PARTITION_H
#define MONITOR_PARTITION_H

#include <avmm/partition.h>
#include <disguise/front/uart.h>
#include <ept-shadow/ept.h>
#include <monitor/sched.h>
#include <vdev/bus.h>
#include <vdev/hpet.h>
#include <vdev/ioapic.h>
#include <vdev/lapic.h>
#include <vdev/pci.h>
#include <vdev/pic.h>
#include <vdev/pit.h>
#include <vdev/pmtimer.h>
#include <vdev/rtc.h>
#include <vmx/root/cpu.h>
#include <vmx/root/switch.h>

struct platform {
	struct bus ports;
	struct bus mmio;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct pm pm;
	struct pci pci;
	struct hpet hpet;
	struct lapic_bus lapics;
	struct lapic lapic;
	struct ioapic ioapic;
	struct uart uart;
	bool off_wanted;	/* noted by handlers, done before the next entry */
	bool reset_wanted;
};

struct partition {
	u32 state;			/* enum avmm_partition_state */
	struct avmm_partition_config config;
	struct ept ept;
	u64 ram;			/* bytes mapped so far */
	struct avmm_partition_page *page;
	struct avmm_console *console;
	struct platform platform;
	u64 device_deadline;		/* guest time at which a device wants to be called */
	u64 time_offset;		/* guest time = TSC + this */
	u64 tsc_delta;			/* what the guest has added to its TSC */
	u64 paused_at;			/* guest time, while paused */
	u64 *lapic_page;
	u8 *msr_bitmap;
	u64 xcr0_mask;
	struct vcpu vcpu;
	struct vcpu idle;		/* stays in HLT, so that interrupts come as exits; shares whatever world is loaded */
	struct world world;
	struct world service_world;
	bool halted;
	bool service_wanted;		/* an interrupt is pending for the service */
	bool deferred;			/* interrupts of devices and the tick are held back by CR8 */
	u64 service_cr8;		/* … which the service had set to this */
	bool service_mwait;		/* the service waits in MWAIT, not in HLT */
	bool resched;			/* the scheduler has to decide before the next entry */
	u64 until;			/* TSC at which the scheduler wants to be asked again */
	struct sched sched;
	u32 service_share;
};

extern struct partition user;

/* partition.c: hypercalls. 0 or a negative errno. */
s64 partition_create(u64 config_phys);
s64 partition_ram(u64 list_phys, u64 count, u64 gpa);
s64 partition_start(struct cpu *cpu);
s64 partition_destroy(struct cpu *cpu);
s64 partition_pause(bool pause);
s64 partition_button(void);
s64 partition_shares(u64 service, u64 cap_service, u64 cap_user);
s64 partition_console(void);
void partition_off(struct cpu *cpu, u32 reason);

/* There is something new in the shared pages of the partition. */
void partition_message(void);

/* The partition's time now. */
u64 partition_now(void);

/* platform.c */
void platform_init(struct partition *p, u64 now, u32 tsc_khz, u32 phys_bits);
void platform_advance(struct partition *p, u64 now);
u64 platform_deadline(const struct partition *p, u64 now);
/* A vector for the vCPU, taken from the controllers; LAPIC_NONE. pending only asks. */
bool platform_pending(struct partition *p);
int platform_take(struct partition *p);

/* shared.c: the scheduler of the shared CPU, and who runs next. */
void shared_start(struct cpu *cpu);
void shared_stop(struct cpu *cpu);
void shared_reschedule(struct cpu *cpu);

/* user-cpuid.c, user-msr.c */
void user_cpuid(struct vcpu *v);
bool user_rdmsr(struct vcpu *v, u32 number, u64 *value);
bool user_wrmsr(struct vcpu *v, u32 number, u64 value);
void user_msr_reset(void);
void user_mmio(struct vcpu *v, u64 gpa, u64 qualification);

/* window.c: a page of Linux's or the partition's memory, mapped until the next call on this CPU. */
void *window_map(u64 phys);

/* heap.c: pages for the partition, given back all at once. */
void *pool_page(void);
void *pool_pages(u32 count);
void pool_reset(void);

#define LOCAL_APIC_BUS_KHZ	25000u	/* also the crystal of CPUID leaf 15h */

#endif
