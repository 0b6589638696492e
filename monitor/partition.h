/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user partition: its memory, its platform, its vCPUs, and its place on the shared CPU.
 *
 *	struct user_vcpu	its own CPU, in root operation; what other CPUs write is marked
 *	struct platform		under its lock; what is the shared CPU's alone while no vCPU runs elsewhere needs none
 *	the rest		the shared CPU: exits of the vCPU there, exits and hypercalls of the service there
 *
 * The lock is the innermost but for that of the log. Nobody waits for another CPU while holding it.
 */
#ifndef MONITOR_PARTITION_H
#define MONITOR_PARTITION_H

#include <avmm/partition.h>
#include <disguise/front/ide.h>
#include <disguise/front/uart.h>
#include <ept-shadow/ept.h>
#include <ept-shadow/exec.h>
#include <ept-shadow/mtrr.h>
#include <monitor/sched.h>
#include <vdev/bus.h>
#include <vdev/debugport.h>
#include <vdev/flash.h>
#include <vdev/fw_cfg.h>
#include <vdev/hpet.h>
#include <vdev/i8042.h>
#include <vdev/ioapic.h>
#include <vdev/lapic.h>
#include <vdev/pci.h>
#include <vdev/pic.h>
#include <vdev/pit.h>
#include <vdev/pmtimer.h>
#include <vdev/rtc.h>
#include <vmx/root/cpu.h>
#include <vmx/root/insn.h>
#include <vmx/root/switch.h>
#include <vmx/root/user.h>

/* Devices that have deadlines. The local APIC is apart: its deadline moves all the time. */
enum { TIMER_PIT, TIMER_RTC, TIMER_PM, TIMER_HPET, TIMER_UART, TIMER_FW_CFG, PLATFORM_TIMERS };

struct platform {
	u64 devices_next;	/* guest time: the earliest deadline; vCPU 0 looks after it */
	u64 deadline[PLATFORM_TIMERS];
	struct bus ports;
	struct bus mmio;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct pm pm;
	struct pci pci;
	struct hpet hpet;
	struct lapic_bus lapics;
	struct ioapic ioapic;
	struct uart uart;
	struct fw_cfg fw_cfg;
	struct i8042 i8042;
	struct debugport debugport;
	struct flash flash;
	struct ide ide;
	bool lint0;		/* level of the 8259's interrupt line */
	bool smp;		/* vCPUs run on other CPUs than the shared one */
	u32 locked;
	u64 last;		/* the time that was used last */
	bool sooner;		/* devices_next has become so */
	bool off_wanted;	/* noted by handlers, done before vCPU 0's next entry */
	bool reset_wanted;
	bool unsettled;		/* direct_settle() has something to do; atomically */
};

#define MTRR_STORE	28	/* 16 variable, 11 fixed, default type */

/* What other CPUs want of a vCPU: bits of user_vcpu.wanted. */
#define WANTED_NMI	(1u << 0)	/* pends; one more is no more, as in the CPU */
#define WANTED_INIT	(1u << 1)
#define WANTED_SIPI	(1u << 2)	/* with user_vcpu.sipi */

/* What dedicated CPUs are to do; ORDER_NONE: nothing was said yet. */
enum { ORDER_NONE, ORDER_RUN, ORDER_WAIT, ORDER_LEAVE };

struct user_vcpu {
	struct vcpu vcpu;		/* first: to_user_vcpu() */
	struct world world;
	struct world service_world;	/* of the service on this vCPU's CPU, while the vCPU runs */
	u64 next;			/* guest time: the earliest deadline that this vCPU looks after */
	u64 tsc_delta;			/* what the guest has added to this TSC */
	struct user_timer timer;	/* as it was set for whoever runs on this CPU */
	u32 number;
	u32 tpr_threshold;		/* in the VMCS */
	u32 wanted;			/* WANTED_*; written by any CPU, atomically */
	u32 kicked;			/* it is to look, and was told so; likewise */
	u32 flushed;			/* partition.flushes of its CPU's last INVEPT; others read it */
	u32 obeys;			/* ORDER_*: on a dedicated CPU, what was done last; others read it */
	u8 sipi;			/* vector of WANTED_SIPI; written by any CPU */
	bool waits;			/* for a SIPI */
	bool start;			/* it has come */
	bool ready;			/* the VMCS is filled in */
	bool timing;			/* the timer counts */
	bool posted;			/* it takes notifications of posted interrupts; others read it */
	u64 service_cr8;		/* of a dedicated CPU */
	bool halted;
	bool deaf;			/* … with interrupts off: only an NMI wakes it */
	bool window;			/* interrupt-window exiting is on */
	struct avmm_user_stats *stats;	/* shared page */
	u64 *lapic_page;
	u64 eoi_exits[4];		/* as in the VMCS */
	u64 mtrr[MTRR_STORE];
	struct lapic lapic;		/* its mailboxes: any CPU */
};

static inline struct user_vcpu *to_user_vcpu(struct vcpu *v)
{
	return (struct user_vcpu *)v;
}

struct partition {
	u32 state;			/* enum avmm_partition_state */
	struct avmm_partition_config config;
	struct ept ept;
	struct ept_exec exec;		/* without slots: memory can be executed as it is */
	u32 flushes;			/* of the second-level tables, that vCPUs were told of; atomically */
	u64 ram;			/* bytes mapped so far */
	u64 rom;			/* likewise, of firmware */
	u64 rom_block[AVMM_ROM_MAX / AVMM_BLOCK_SIZE];	/* in Linux's memory, from the lowest on */
	struct avmm_partition_page *page;
	struct avmm_console *console;
	struct avmm_disk_page *disk;
	struct platform platform;
	u64 time_offset;		/* guest time = TSC + this */
	u64 held_at;			/* guest time, while it is held */
	u32 held;			/* why it does not run: AVMM_HELD_*, 0: it runs */
	u8 *msr_bitmap;
	u8 *msr_bitmap_x2apic;
	u8 *apic_access;		/* shown where local APICs are, while all are there; NULL: interrupts are injected */
	bool apic_shown;
	bool posting;			/* vCPUs with a CPU of their own take interrupts of others without an exit */
	u64 xcr0_mask;
	struct user_vcpu *vcpu[AVMM_MAX_VCPUS];	/* the first config.vcpus */
	struct vcpu idle;		/* stays in HLT, so that interrupts come as exits; shares whatever world is loaded */
	bool service_wanted;		/* an interrupt is pending for the service */
	bool deferred;			/* interrupts of devices and the tick are held back by CR8 */
	u64 service_cr8;		/* … which the service had set to this */
	bool service_mwait;		/* the service waits in MWAIT, not in HLT */
	bool resched;			/* the scheduler has to decide before the next entry */
	u64 until;			/* TSC at which the scheduler wants to be asked again */
	u64 shortest;			/* ticks that an entry lasts at least, if nothing else ends it */
	u64 poll;			/* ticks after which a vCPU that cannot be called looks by itself */
	struct sched sched;
	u32 service_share;
	u32 order;			/* to dedicated CPUs: ORDER_*; dedicated.c */
	u32 off_reason;			/* of platform.off_wanted */
	u32 yield;			/* vCPUs spin for the one on the shared CPU; written by any CPU */
	bool preempted;			/* … which could run and does not; others read it */
};

extern struct partition user;

/* partition.c: hypercalls. 0 or a negative errno. */
s64 partition_create(struct cpu *cpu, u64 config_phys);
s64 partition_ram(u64 list_phys, u64 count, u64 gpa);
s64 partition_start(struct cpu *cpu);
s64 partition_destroy(struct cpu *cpu);
s64 partition_pause(bool pause);
s64 partition_freeze(bool freeze);
s64 partition_button(void);
s64 partition_shares(u64 service, u64 cap_service, u64 cap_user);
s64 partition_console(void);
s64 partition_disk(u64 call);
/* Its time stands still, or goes on, for one of AVMM_HELD_*. */
void partition_hold(u32 why);
void partition_release(u32 why);
/* A device has something for the guest. */
void partition_wake(void);
s64 partition_look(struct cpu *cpu);
void partition_off(struct cpu *cpu, u32 reason);
void partition_stop(struct cpu *cpu);	/* as the guest wanted */
void partition_off_here(struct vcpu *v, u32 reason);	/* … or as its vCPU forces us to */

/* Where the partition's memory at gpa is, with one of these rights; 0: no RAM and no ROM is there. A BAR is neither. */
static inline u64 user_memory(u64 gpa, u64 rights)
{
	struct ept_entry e = ept_walk(&user.ept, gpa);
	u64 inside = EPT_SPAN(e.level) - 1;

	if (!(e.entry & rights) || (e.entry & EPT_TYPE) != (u64)MTRR_WB << EPT_TYPE_SHIFT)
		return 0;
	return (e.entry & EPT_ADDRESS & ~inside) + (gpa & inside);
}

/* Behind the identity window, which there is. */
static inline u64 partition_window_end(void)
{
	return user.config.window + user.config.ram_size - AVMM_WINDOW_LOW;
}

/* RAM below 4 GiB and above, from 0 and from 4 GiB on; with a window what lies below it. */
static inline u64 partition_low_ram(void)
{
	if (user.config.window)
		return AVMM_WINDOW_LOW;
	return user.ram < AVMM_PCI_HOLE ? user.ram : AVMM_PCI_HOLE;
}

static inline u64 partition_high_ram(void)
{
	return user.config.window ? 0 : user.ram - partition_low_ram();
}

/* A fetch from RAM that could not be executed until now. False: it was none. */
bool partition_fetch(u64 gpa, u64 qualification);

/* There is something new in the shared pages of the partition. */
void partition_message(void);

/* The partition's time now; the second one where it runs. */
u64 partition_now(void);

static inline u64 running_now(void)
{
	return rdtsc() + user.time_offset;
}

/*
 * Interrupts may be new, or the earliest deadline, or a wish to power off: to be looked after before the next entry. Then
 * the timer has ended, so that an exit's end has one thing to ask.
 */
static inline void vcpu_look(struct user_vcpu *u)
{
	u->timer.at = 0;
}

/* vcpu.c: a vCPU of the user, wherever it runs; vcpu.h has the rest. */
s64 vcpu_create(struct user_vcpu *u, u32 number, struct cpu *cpu);
/* Fills in its VMCS, on its CPU, in the service's world. */
void vcpu_setup(struct user_vcpu *u);
/* From any CPU: there is something to look at; and what. */
void vcpu_kick(struct user_vcpu *u);
void vcpu_want(struct user_vcpu *u, u32 wanted);
/* … an interrupt has been posted. */
void vcpu_notify(struct user_vcpu *u);
/* The second-level tables have lost entries: INVEPT here at once, elsewhere before the next entry, by a kick. */
void vcpu_flush(void *ctx);
/* … which all other CPUs have done; true at times later than at once, since stray accesses flush too. */
bool vcpu_flushed(void *ctx);
/* Before it looks at its mailboxes. */
void vcpu_kicked(struct user_vcpu *u);

static inline void vcpu_looks(struct user_vcpu *u)
{
	if (unlikely(__atomic_load_n(&u->kicked, __ATOMIC_RELAXED)))
		vcpu_kicked(u);
}

/* apicv.c: the CPU is the vCPU's local APIC, where it can. */
s64 apicv_create(void);
void apicv_inject(struct user_vcpu *u);	/* in place of vcpu_inject() */
void apicv_mode(struct user_vcpu *u);	/* the guest may have changed its local APIC's mode or base */

/* dedicated.c: vCPUs that have a CPU of their own. False: one does not answer; the log says which. */
bool dedicated_start(void);
bool dedicated_order(u32 order);
void dedicated_stop(void);
void dedicated_enter(struct vcpu *v);
void dedicated_event(struct vcpu *v);
void dedicated_interrupt(struct vcpu *v);
/* u->next is another, and that is all: sets the timer. False: it is not all. */
bool dedicated_retime(struct user_vcpu *u);

/* platform.c */
void platform_init(struct partition *p, u64 now, u32 tsc_khz, u32 phys_bits);
/* What the vCPU looks after does what is due; called when u->next has come. */
void platform_advance(struct user_vcpu *u, u64 now);
/* Something else than the guest moved a device, under the lock: all deadlines anew. */
void platform_refresh(struct partition *p, u64 now);
/* The guest had access to its local APIC. */
void platform_lapic_touched(struct user_vcpu *u, u64 now);
/* … what it did is at most that the timer has another deadline */
void platform_timer_touched(struct user_vcpu *u, u64 now);
/* Before the next entry of the vCPU whose exit this is there is something to look after. */
void platform_look_here(void);
/* The guest's accesses to memory that is no RAM. */
u64 platform_mmio_read(struct user_vcpu *u, u64 gpa, u32 size);
void platform_mmio_write(struct user_vcpu *u, u64 gpa, u32 size, u64 value);
/* A vector for the vCPU, taken from the controllers; LAPIC_NONE. pending only asks; may_pend is quick and may be wrong. */
static inline bool platform_may_pend(const struct user_vcpu *u)
{
	return lapic_may_pend(&u->lapic) || (!u->number && pic_pending(&user.platform.pic));
}

/* The 8259 has one for this vCPU, past its local APIC; the vector, LAPIC_NONE. */
bool platform_extint(const struct user_vcpu *u);
int platform_take_extint(struct user_vcpu *u);
bool platform_pending(struct user_vcpu *u);
int platform_take(struct user_vcpu *u);

/* Devices, their deadlines and the buses are used under this lock only, which is taken where there can be others. */
void platform_lock_smp(struct platform *b);
/* The partition's time for them, under the lock. */
u64 platform_time(struct platform *b);

static inline void platform_lock(struct platform *b)
{
	if (unlikely(b->smp))
		platform_lock_smp(b);
}

/* Of direct-access devices (direct.c): no vCPU goes on, and the shared CPU is to settle it. */
static inline bool platform_unsettled(const struct platform *b)
{
	return unlikely(__atomic_load_n(&b->unsettled, __ATOMIC_ACQUIRE));
}

static inline void platform_unlock(struct platform *b)
{
	if (unlikely(b->smp))
		__atomic_store_n(&b->locked, 0, __ATOMIC_RELEASE);
}

/* disk.c: the disguised disk's place on the board. */
void disk_init(struct partition *p, const struct vdev_irq *irq);
struct ide_channel *disk_data_port(u32 port);	/* NULL: it is none */

/* flash.c: firmware's variables. */
bool flash_good(const struct avmm_partition_config *c);
int flash_start(struct partition *p);	/* the ROM is mapped; 0 or a negative errno */

/* shared.c: the scheduler of the shared CPU, and who runs next. */
void shared_start(struct cpu *cpu);
void shared_stop(struct cpu *cpu);
void shared_reschedule(struct cpu *cpu);
bool shared_retime(struct user_vcpu *u);	/* as dedicated_retime() */
void shared_service_awake(void);
void shared_forwarded(void);	/* a request of the guest's went to the service */
void shared_look(void);	/* other CPUs have called */
s64 shared_times(void);

/* user-cpuid.c, user-msr.c */
void user_cpuid_reset(void);	/* the configuration is another */
bool user_rdmsr(struct vcpu *v, u32 number, u64 *value);
bool user_wrmsr(struct vcpu *v, u32 number, u64 value);
void user_msr_reset(struct user_vcpu *u);
void user_mmio(struct vcpu *v, u64 gpa, u64 qualification);

/* n bytes at most a page of the partition's RAM, for a device; false: not all of it is RAM, and part may be done. */
bool user_dma_read(void *ctx, u64 gpa, u8 *to, u32 n);
bool user_dma_write(void *ctx, u64 gpa, const u8 *from, u32 n);

/* stray.c: what the decoder cannot do. */
s64 stray_init(struct ept *ept);
bool stray_running(void);
bool stray_stepping(const struct vcpu *v);
void stray_step(struct vcpu *v, u64 gpa, u64 qualification);
void stray_forget(void);	/* what a step maps; vcpu_flush() is the caller's */

/* again.c: an access of the guest to memory that is no RAM, by user_mmio() or quicker. */
void user_access(struct vcpu *v, u64 gpa, u64 qualification);
void user_access_forget(void);

/*
 * window.c: a page of Linux's or the partition's memory, mapped until the next call on this CPU; to be read on the CPU whose
 * the slot is, until that is used again or dropped.
 */
void *window_map(u64 phys);
void *window_keep(u32 slot, u64 phys);
void window_drop(u32 slot);

/* heap.c: pages for the partition, given back all at once. */
void *pool_page(void);
void *pool_pages(u32 count);
u64 pool_left(void);
void pool_reset(void);

#define LOCAL_APIC_BUS_KHZ	25000u	/* also the crystal of CPUID leaf 15h */

#endif
