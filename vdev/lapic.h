/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Local APIC: Intel SDM volume 3, chapter 11, and the bus that local and I/O APICs send messages on.
 *
 * The registers live in a 4 KiB page laid out as the hardware's virtual-APIC page, so that APIC-register
 * virtualisation and virtual-interrupt delivery can use the very same page. Interrupts from other CPUs are posted into
 * a descriptor that has the hardware's posted-interrupt format.
 *
 * Who may call what: a function that takes a struct lapic is called by the CPU that runs this vCPU, and by no other.
 * Functions that take a struct lapic_bus may be called by any CPU at any time; they need no lock.
 *
 * Time: now is the partition's time in TSC ticks. It stands still while the partition is frozen, and a guest's writes
 * to IA32_TSC do not move it: these come in by lapic_set_tsc_offset().
 */
#ifndef VDEV_LAPIC_H
#define VDEV_LAPIC_H

#include <avmm/types.h>
#include "clock.h"

#define LAPIC_NONE		(-1)		/* no vector */
#define LAPIC_NEVER		CLOCK_NEVER	/* no deadline */
#define LAPIC_MAX_VCPUS		256
#define LAPIC_MAX_BACKLOG	1000u		/* periodic ticks kept for a guest that is late: 1 s at 1 kHz */
#define LAPIC_DEFAULT_BASE	0xfee00000ull

/* Register offsets in the page; an x2APIC MSR is 0x800 + offset / 16. */
enum lapic_reg {
	LAPIC_ID = 0x20, LAPIC_VERSION = 0x30, LAPIC_TPR = 0x80, LAPIC_APR = 0x90, LAPIC_PPR = 0xa0, LAPIC_EOI = 0xb0,
	LAPIC_RRD = 0xc0, LAPIC_LDR = 0xd0, LAPIC_DFR = 0xe0, LAPIC_SVR = 0xf0, LAPIC_ISR = 0x100, LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200, LAPIC_ESR = 0x280, LAPIC_ICR = 0x300, LAPIC_ICR2 = 0x310, LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330, LAPIC_LVT_PERF = 0x340, LAPIC_LVT_LINT0 = 0x350, LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370, LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390, LAPIC_TIMER_DIVIDE = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0,
};

/* Delivery modes as in ICR, LVT and I/O APIC entries. 3 is reserved there: here it asks for an exit. */
enum lapic_mode {
	LAPIC_FIXED, LAPIC_LOWEST, LAPIC_SMI, LAPIC_SYNC, LAPIC_NMI, LAPIC_INIT, LAPIC_STARTUP, LAPIC_EXTINT,
};

enum lapic_trigger { LAPIC_EDGE, LAPIC_LEVEL };

/* What became of a message. Coalesced: every receiver had that vector pending already. */
enum lapic_result { LAPIC_IGNORED, LAPIC_COALESCED, LAPIC_ACCEPTED };

/*
 * A message is a word in the format that ICR, I/O APIC entries and MSI data share (vector, delivery mode in bits 10:8,
 * the bits below), and a destination: 8 bits of an APIC ID or a logical one, 32 in x2APIC mode.
 */
#define LAPIC_MSG_MODE(mode)	((u32)(mode) << 8)
#define LAPIC_MSG_LOGICAL	(1u << 11)
#define LAPIC_MSG_LEVEL		(1u << 15)
#define LAPIC_MSG_ALL		(1u << 24)	/* whatever the destination says */
#define LAPIC_MSG_NOT_SELF	(1u << 25)
#define LAPIC_MSG_WATCH		(1u << 26)	/* edge, but report the EOI */

struct lapic_ops {
	/*
	 * LAPIC_FIXED: something was posted for the vCPU; if it may be in guest mode, a posted-interrupt notification
	 * or a kick has to be sent, and if it halts it has to be woken. LAPIC_SYNC: the same, but it must exit, since
	 * only software can take this one. LAPIC_NMI, LAPIC_INIT, LAPIC_STARTUP, LAPIC_EXTINT: deliver that event.
	 * Comes on the sender's CPU; for the sender's own vCPU too, except for fixed interrupts.
	 */
	void (*deliver)(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector);
	/* EOI of a level-triggered or watched vector, to be passed to ioapic_eoi(). */
	void (*eoi)(void *ctx, u32 vcpu, u8 vector);
};

/* Posted-interrupt descriptor, SDM volume 3, 30.6. SN stays 0; nv and ndst are the VT-x code's. */
struct lapic_posted {
	u64 pir[4];
	u8 on;			/* outstanding notification: a byte of its own, bit 1 (SN) being unused */
	u8 reserved0;
	u8 nv;
	u8 reserved1;
	u32 ndst;
	u64 reserved2[3];
} __attribute__((aligned(64)));

struct lapic_timer {
	struct clock clock;
	u64 expiry;		/* in bus ticks; LAPIC_NEVER: stopped */
	u64 due;		/* the same, or the TSC deadline, in TSC ticks */
	u64 deadline;		/* IA32_TSC_DEADLINE as the guest wrote it, 0: disarmed */
	u64 tsc_offset;		/* the guest's TSC is now + this */
	u64 lost;		/* periodic ticks beyond LAPIC_MAX_BACKLOG */
	u64 min_gap;		/* TSC ticks: faster periodic timers are served in bunches */
	u32 initial;
	u32 lvt;
	u32 backlog;		/* periodic ticks that wait for an EOI */
	u8 shift;		/* divider, as a power of two */
};

#define LAPIC_TELL_ALL	0xffu		/* irr_words: all of IRR, and with hardware that it does not know ISR either */

struct lapic {
	struct lapic_posted posted;	/* written by any CPU */
	u64 soft[4];			/* the same for vectors that only software may take */
	u64 watch[4];			/* edge-triggered vectors whose EOI somebody waits for */
	u8 soft_on;
	u8 irr_words;			/* words of IRR that may have a bit set; with hardware, that it does not know of */
	u8 isr_words;			/* likewise of ISR; with hardware, all */

	u32 features;			/* LAPIC_HAS_* */
	u64 route;			/* read by senders: see route_make() in lapic.c */
	struct lapic_bus *bus;
	u32 *page;
	u32 vcpu;
	u32 id;
	u64 base;			/* IA32_APIC_BASE */
	u64 base_reserved;
	struct lapic_timer timer;
	u32 esr;			/* errors since the last write to ESR */
	u8 error_raised;		/* the error interrupt is armed again by that write */
	u8 lint;			/* bits 0 and 1: levels of LINT0 and LINT1, bit 2: remote IRR of LINT0 */
};

struct lapic_bus {
	const struct lapic_ops *ops;
	void *ctx;
	u32 count;
	u32 rotor;			/* the vCPU that took the last lowest-priority message */
	struct lapic *lapic[LAPIC_MAX_VCPUS];	/* indexed by vCPU */
};

#define LAPIC_HAS_X2APIC	(1u << 0)
#define LAPIC_HAS_DEADLINE	(1u << 1)
#define LAPIC_HAS_EOI_SUPPRESS	(1u << 2)	/* only beside an I/O APIC with an EOI register */
#define LAPIC_IS_BSP		(1u << 3)
#define LAPIC_HAS_HARDWARE	(1u << 4)	/* virtual-interrupt delivery: the CPU writes IRR and ISR in the page, too */

struct lapic_config {
	u32 *page;		/* 4 KiB, aligned, zeroed */
	u32 id;			/* APIC ID, fixed for ever */
	u32 features;
	u32 tsc_khz;
	u32 bus_khz;		/* of the timer before its divider */
	u32 phys_bits;		/* physical address width that the guest sees */
};

void lapic_bus_init(struct lapic_bus *bus, const struct lapic_ops *ops, void *ctx);

/* Appends a vCPU to the bus, in power-up state; nothing may be sent meanwhile. False when the bus is full. */
bool lapic_init(struct lapic *lapic, struct lapic_bus *bus, const struct lapic_config *config);

/* The vCPU took an INIT: registers as at power-up; mode, base address and ID stay. */
void lapic_take_init(struct lapic *lapic);

/* What firmware leaves for a kernel that is booted directly: enabled, LINT0 = ExtINT, LINT1 = NMI. */
void lapic_virtual_wire(struct lapic *lapic);

/* The page at lapic_mmio_base(). Accesses that are not 32 bits at a register's start read part of it, write nothing. */
u64 lapic_mmio_base(const struct lapic *lapic);	/* 0 unless in xAPIC mode */
u64 lapic_mmio_read(struct lapic *lapic, u32 offset, u32 size, u64 now);
void lapic_mmio_write(struct lapic *lapic, u32 offset, u32 size, u32 value, u64 now);

/* APIC-write exit: the hardware stored a value at this offset already, and leaves the consequences to software. */
void lapic_mmio_written(struct lapic *lapic, u32 offset, u64 now);

/* IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC MSRs (0x800 to 0x8ff). False: #GP. */
bool lapic_msr_read(struct lapic *lapic, u32 msr, u64 *value, u64 now);
bool lapic_msr_write(struct lapic *lapic, u32 msr, u64 value, u64 now);

/* CR8 is the upper half of TPR. */
/* False: lapic_pending() will find nothing; with hardware, nothing that this has not been told of. */
static inline bool lapic_may_pend(const struct lapic *lapic)
{
	return lapic->irr_words | __atomic_load_n(&lapic->posted.on, __ATOMIC_RELAXED) |
	       __atomic_load_n(&lapic->soft_on, __ATOMIC_RELAXED);
}

static inline u32 lapic_cr8(const struct lapic *lapic)
{
	return lapic->page[LAPIC_TPR / 4] >> 4 & 15;
}

static inline void lapic_set_cr8(struct lapic *lapic, u32 cr8)
{
	lapic->page[LAPIC_TPR / 4] = (cr8 & 15) << 4;
}

/* Moves what other CPUs posted into the page. lapic_pending() does it, too. */
void lapic_sync(struct lapic *lapic);

/* The vector that the CPU would take if it had interrupts enabled, or LAPIC_NONE. accept: it does take it. */
int lapic_pending(struct lapic *lapic);
void lapic_accept(struct lapic *lapic, u8 vector);

/* For TPR threshold, RVI and SVI of the VMCS; LAPIC_NONE where there is none. Call after lapic_sync(). */
u32 lapic_tpr_threshold(const struct lapic *lapic);
int lapic_highest_irr(const struct lapic *lapic);
int lapic_highest_isr(const struct lapic *lapic);

/* In x2APIC mode? */
bool lapic_x2apic(const struct lapic *lapic);

/* Virtual-interrupt delivery: the vectors whose EOI must exit, and that exit (ISR is the hardware's affair there). */
void lapic_eoi_exits(const struct lapic *lapic, u64 map[4]);
void lapic_eoi_exit(struct lapic *lapic, u8 vector);

/* Does this vCPU take the 8259's interrupt at its LINT0? So does one whose APIC is switched off. */
bool lapic_takes_extint(const struct lapic *lapic);

/* Level of pin LINT0 or LINT1; edge of a local source (LAPIC_LVT_PERF, LAPIC_LVT_THERMAL). */
void lapic_set_lint(struct lapic *lapic, u32 pin, bool level);
void lapic_local_event(struct lapic *lapic, enum lapic_reg lvt);

/* The timer: when to call advance at the latest. A timer that nobody could notice has no deadline. */
u64 lapic_next_deadline(const struct lapic *lapic, u64 now);
void lapic_advance(struct lapic *lapic, u64 now);
void lapic_set_tsc_offset(struct lapic *lapic, u64 offset, u64 now);

/* A message from an I/O APIC or a device, and the same in the form of an MSI. */
enum lapic_result lapic_bus_send(struct lapic_bus *bus, u32 dest, u32 message);
enum lapic_result lapic_bus_msi(struct lapic_bus *bus, u64 address, u32 data);

#endif
