// SPDX-License-Identifier: GPL-2.0-only
/*
 * The physical local APIC of this CPU, which is the service's: what the monitor reads of it, raises in it, and holds
 * back. Intel SDM volume 3, chapter 11.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/upcalls.h>
#include "core.h"

#define XAPIC_EOI	0xb0
#define XAPIC_SVR	0xf0
#define XAPIC_IRR	0x200	/* eight registers of 32 vectors, 16 bytes apart */
#define XAPIC_ICR_LOW	0x300
#define XAPIC_ICR_HIGH	0x310
#define MSR_X2APIC	0x800	/* + offset / 16 */
#define MSR_X2APIC_ICR	0x830
#define ICR_BUSY	(1u << 12)
#define ICR_SELF	(1u << 18)
#define ICR_ASSERT	(1u << 14)
#define ICR_NMI		(4u << 8)
#define SVR_ENABLE	(1u << 8)
#define SVR_SPURIOUS	0xffu	/* Linux's, too */
#define BUSY_TRIES	10000u
#define IRR_WORDS	8u

static volatile u32 *xapic(u32 reg)
{
	return (volatile u32 *)(AVMM_APIC_BASE + reg);
}

/*
 * The service may be between its writes of ICR high and low: the self shorthand ignores ICR high, and the wait leaves
 * no IPI of the service half sent.
 */
void apic_self_ipi(u32 vector)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE);
	u32 tries = BUSY_TRIES;

	if (!(base & AVMM_APIC_BASE_ENABLE))
		return;
	if (base & AVMM_APIC_BASE_X2APIC) {
		wrmsr(AVMM_MSR_X2APIC_SELF_IPI, vector);
		return;
	}
	while ((*xapic(XAPIC_ICR_LOW) & ICR_BUSY) && --tries)
		pause();
	*xapic(XAPIC_ICR_LOW) = ICR_SELF | ICR_ASSERT | vector;
}

/* The wait leaves no IPI of the service half sent; ICR high is put back, as the service may be between its two writes. */
static void send(u32 apic_id, u32 icr)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE);
	u32 tries = BUSY_TRIES, high;

	if (!(base & AVMM_APIC_BASE_ENABLE))
		return;
	if (base & AVMM_APIC_BASE_X2APIC) {
		/* WRMSR to the x2APIC does not wait for the stores before it */
		asm volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_ICR, (u64)apic_id << 32 | icr);
		return;
	}
	while ((*xapic(XAPIC_ICR_LOW) & ICR_BUSY) && --tries)
		pause();
	high = *xapic(XAPIC_ICR_HIGH);
	*xapic(XAPIC_ICR_HIGH) = apic_id << 24;
	*xapic(XAPIC_ICR_LOW) = icr;
	for (tries = BUSY_TRIES; (*xapic(XAPIC_ICR_LOW) & ICR_BUSY) && --tries;)
		pause();
	*xapic(XAPIC_ICR_HIGH) = high;
}

void apic_send_nmi(u32 apic_id)
{
	send(apic_id, ICR_ASSERT | ICR_NMI);
}

void apic_send_ipi(u32 apic_id, u32 vector)
{
	send(apic_id, ICR_ASSERT | vector);
}

/*
 * An INIT that exits does not reset the local APIC, and what has come for a CPU that lay idle would be there for ever.
 * Disabling does reset it (Intel SDM volume 3, 11.4.7.2); x2APIC mode outlives an INIT (11.12.5.1). A CPU whose x2APIC
 * mode cannot be left raises #GP, and stays as it is.
 */
void core_apic_init(void)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE), off = base & ~(u64)(AVMM_APIC_BASE_ENABLE | AVMM_APIC_BASE_X2APIC);

	if (!(base & AVMM_APIC_BASE_ENABLE) || !wrmsr_safe(AVMM_MSR_APIC_BASE, off))
		return;
	wrmsr(AVMM_MSR_APIC_BASE, off | AVMM_APIC_BASE_ENABLE);
	if (base & AVMM_APIC_BASE_X2APIC)
		wrmsr(AVMM_MSR_APIC_BASE, base);
}

static void write_register(u32 reg, u32 value)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE);

	if (!(base & AVMM_APIC_BASE_ENABLE))
		return;
	if (base & AVMM_APIC_BASE_X2APIC)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		*xapic(reg) = value;
}

/* Without it no fixed interrupt comes. Enabling leaves all local sources masked, as disabling has made them. */
void apic_enable(bool on)
{
	write_register(XAPIC_SVR, on ? SVR_ENABLE | SVR_SPURIOUS : SVR_SPURIOUS);
}

void apic_eoi(void)
{
	write_register(XAPIC_EOI, 0);
}

u32 apic_requested(void)
{
	u64 base = rdmsr(AVMM_MSR_APIC_BASE);
	u32 i, word;

	if (!(base & AVMM_APIC_BASE_ENABLE))
		return 0;
	for (i = IRR_WORDS; i-- > 1;) {
		word = base & AVMM_APIC_BASE_X2APIC ? (u32)rdmsr(AVMM_MSR_X2APIC_IRR + i) : *xapic(XAPIC_IRR + 16 * i);
		if (word)
			return 32 * i + 31 - (u32)__builtin_clz(word);
	}
	return 0;
}
