// SPDX-License-Identifier: GPL-2.0-only
/* Interrupt controllers and timers programmed as nobody should, and as everybody does. */
#include "guest.h"

#define ID		0x20
#define TPR		0x80
#define EOI		0xb0
#define SVR		0xf0
#define ISR		0x100
#define IRR		0x200
#define ESR		0x280
#define ICR		0x300
#define ICR2		0x310
#define LVT_TIMER	0x320
#define LVT_LINT0	0x350
#define LVT_ERROR	0x370
#define INITIAL		0x380
#define CURRENT		0x390
#define DIVIDE		0x3e0

#define ICR_SELF	0x44000u
#define ICR_ALL		0x84000u
#define ICR_NMI		0x400u
#define ICR_INIT	0x500u
#define ICR_SIPI	0x600u
#define MASKED		0x10000u
#define PERIODIC	0x20000u
#define DEADLINE	0x40000u
#define BY_ONE		0xb
#define VECTOR		0x41

#define BASE_ENABLE	(1ull << 11)
#define BASE_X2APIC	(1ull << 10)

static u32 get(u32 reg)
{
	return read32(LAPIC + reg);
}

static void set(u32 reg, u32 value)
{
	write32(LAPIC + reg, value);
}

static void enable(void)
{
	set(SVR, 0x1ff);
	set(TPR, 0);
	set(LVT_LINT0, MASKED);
	eoi = EOI_LAPIC;
}

/* Fixed IPIs to itself arrive each once. */
static const char *run_self_ipi(void)
{
	unsigned int i;

	enable();
	sti();
	for (i = 0; i < 1000; i++) {
		set(ICR, ICR_SELF | VECTOR);
		if (interrupts[VECTOR] != i + 1)
			return fail("IPI %lu: %lu came", (u64)i, interrupts[VECTOR]);
	}
	cli();
	/* two that merge, and one of another vector */
	set(ICR, ICR_SELF | VECTOR);
	set(ICR, ICR_SELF | VECTOR);
	set(ICR, ICR_ALL | (VECTOR + 1));
	sti();
	asm volatile("nop; nop");
	cli();
	return interrupts[VECTOR] == 1001 && interrupts[VECTOR + 1] == 1 ? NULL : fail("%lu, %lu", interrupts[VECTOR],
										       interrupts[VECTOR + 1]);
}

/* CR8 holds an interrupt back; when it goes down the interrupt comes at once, not at the next exit. */
static const char *run_tpr(void)
{
	u64 i, cr8;

	enable();
	for (i = 0; i < 16; i++) {
		u64 before = interrupts[VECTOR];

		WRITE_CR(8, i);
		set(ICR, ICR_SELF | VECTOR);
		sti();
		asm volatile("nop; nop; nop; nop");
		if (interrupts[VECTOR] - before != (i < VECTOR / 16))
			return fail("CR8 %lu: %lu came", i, interrupts[VECTOR] - before);
		READ_CR(8, cr8);
		if (cr8 != i)
			return fail("CR8 is %lu instead of %lu", cr8, i);
		WRITE_CR(8, 0);
		asm volatile("nop; nop; nop; nop");
		cli();
		if (interrupts[VECTOR] - before != 1)
			return fail("CR8 from %lu to 0: %lu came", i, interrupts[VECTOR] - before);
	}
	return NULL;
}

/* Vectors below 16 are errors of the sender or of the receiver, never interrupts. */
static const char *run_low_vectors(void)
{
	unsigned int i;

	enable();
	set(LVT_ERROR, MASKED);
	sti();
	for (i = 0; i < 16; i++) {
		set(ICR, ICR_SELF | i);
		set(ESR, 0);
		if (!(get(ESR) & 0x60))
			return fail("IPI with vector %lu: ESR %lx", (u64)i, (u64)get(ESR));
		set(DIVIDE, BY_ONE);
		set(LVT_TIMER, i);
		set(INITIAL, 1);
		spin_us(100);
		set(ESR, 0);
		if (!(get(ESR) & 0x40))
			return fail("timer with vector %lu: ESR %lx", (u64)i, (u64)get(ESR));
	}
	return NULL;
}

/* Periods that no guest can follow: it gets on between its interrupts all the same. */
static const char *run_timer_period_1(void)
{
	u64 begin, end;

	enable();
	set(DIVIDE, BY_ONE);
	set(LVT_TIMER, PERIODIC | VECTOR);
	set(INITIAL, 1);
	sti();
	begin = rdtsc();
	end = begin + tsc_khz * 20;
	while (rdtsc() < end)
		;
	cli();
	set(LVT_TIMER, MASKED);
	return interrupts[VECTOR] > 100 ? NULL : fail("%lu interrupts", interrupts[VECTOR]);
}

static void next_past_deadline(u8 vector)
{
	if (interrupts[vector] < 3000)
		wrmsr(MSR_TSC_DEADLINE, rdtsc() - 1);
}

/* A deadline in the past is due at once, each time. */
static const char *run_deadline_past(void)
{
	enable();
	set(LVT_TIMER, DEADLINE | VECTOR);
	on_interrupt = next_past_deadline;
	wrmsr(MSR_TSC_DEADLINE, 1);
	sti();
	spin_us(200000);
	cli();
	on_interrupt = NULL;
	return interrupts[VECTOR] == 3000 ? NULL : fail("%lu interrupts", interrupts[VECTOR]);
}

static void send_again(u8 vector)
{
	set(ICR, ICR_SELF | vector);
}

static void send_nmi_again(u8 vector)
{
	(void)vector;
	set(ICR, ICR_SELF | ICR_NMI);
}

/* The next three never end: the guest is stopped. */
static const char *run_ipi_storm(void)
{
	enable();
	on_interrupt = send_again;
	set(ICR, ICR_SELF | VECTOR);
	for (;;)
		sti();
	return "it came back";
}

static const char *run_nmi_storm(void)
{
	enable();
	on_interrupt = send_nmi_again;
	set(ICR, ICR_SELF | ICR_NMI);
	for (;;)
		asm volatile("pause");
	return "it came back";
}

static const char *run_nmi_storm_self(void)
{
	enable();
	for (;;)
		set(ICR, ICR_SELF | ICR_NMI);
	return "it came back";
}

/* An NMI comes with interrupts off too, once; one more that comes in its handler waits for the IRET. */
static void send_one_more(u8 vector)
{
	if (vector == NMI && interrupts[NMI] == 1) {
		set(ICR, ICR_SELF | ICR_NMI);
		spin_us(100);
		if (interrupts[NMI] != 1)
			interrupts[NMI] = 100;
	}
}

static const char *run_nmi(void)
{
	enable();
	on_interrupt = send_one_more;
	set(ICR, ICR_SELF | ICR_NMI);
	spin_us(100);
	on_interrupt = NULL;
	return interrupts[NMI] == 2 ? NULL : fail("%lu NMIs", interrupts[NMI]);
}

/* INIT and SIPI by shorthand to itself are not valid; SIPI to a CPU that does not wait for it does nothing. */
static const char *run_init_shorthand(void)
{
	enable();
	set(ICR, ICR_SELF | ICR_INIT);
	set(ICR, ICR_ALL | ICR_INIT);
	set(ICR, ICR_SELF | ICR_SIPI | 0x10);
	set(ICR2, 0);
	set(ICR, 0x4000 | ICR_SIPI | 0x10);
	return NULL;
}

/* INIT to itself by its ID: back to the reset vector, where this guest has no firmware. */
static const char *run_init_self(void)
{
	enable();
	set(ICR2, get(ID));
	set(ICR, 0x4000 | ICR_INIT);
	return "it came back";
}

/* Every ICR mode, shorthand and level, with a few vectors and destinations; without INIT. */
static const char *run_icr_values(void)
{
	u32 value;

	enable();
	for (value = 0; value < 0x100000; value += 0x81) {
		if ((value & 0x700) == ICR_INIT)
			continue;
		set(ICR2, value << 12);
		set(ICR, value);
	}
	return NULL;
}

#define HPET_CONFIG	(HPET + 0x10)
#define HPET_COUNTER	(HPET + 0xf0)
#define HPET_TIMER	(HPET + 0x100)
#define HPET_STATUS	(HPET + 0x20)
#define PIN		20u
#define LAST_EXCEPTION	22

static void redirect(u32 pin, u32 low)
{
	write32(IOAPIC, 0x11 + 2 * pin);
	write32(IOAPIC + 0x10, 0);
	write32(IOAPIC, 0x10 + 2 * pin);
	write32(IOAPIC + 0x10, low);
}

/* The fifth time it calms the device. */
static void calm(u8 vector)
{
	if (interrupts[vector] == 5) {
		write64(HPET_TIMER, 0);
		write64(HPET_STATUS, 1);
	}
}

/* A level-triggered pin that nobody calms: nothing more before the EOI, and again and again with it. */
static const char *run_level(void)
{
	u64 first;

	enable();
	eoi = EOI_NONE;
	redirect(PIN, 0x8000 | VECTOR);
	write64(HPET_CONFIG, 0);
	write64(HPET_COUNTER, 0);
	write64(HPET_TIMER, PIN << 9 | 1 << 2 | 1 << 1);
	write64(HPET_TIMER + 8, 100);
	write64(HPET_CONFIG, 1);
	sti();
	spin_us(3000);
	first = interrupts[VECTOR];
	eoi = EOI_LAPIC;
	on_interrupt = calm;
	set(EOI, 0);
	spin_us(500);
	cli();
	on_interrupt = NULL;
	redirect(PIN, MASKED);
	eoi = EOI_NONE;
	if (first != 1)
		return fail("%lu before the EOI", first);
	return interrupts[VECTOR] == 5 ? NULL : fail("%lu after the EOI", interrupts[VECTOR]);
}

static void redirect_all(u32 low)
{
	u32 pin;

	for (pin = 0; pin < 24; pin++)
		redirect(pin, low);
}

/* A line that is high and level-triggered would come again for ever. */
static void mask_all(u8 vector)
{
	(void)vector;
	redirect_all(MASKED);
}

/* Vectors, modes and destinations of the I/O APIC that make no sense, while a timer pulls the line. */
static const char *run_ioapic_values(void)
{
	u32 value;

	enable();
	on_interrupt = mask_all;
	out8(0x43, 0x34);
	out8(0x40, 0xff);
	out8(0x40, 1);
	for (value = 0; value < 0x20000; value += 0x283) {
		/* vectors of exceptions would look like these to our handlers */
		if ((value & 0x700) == ICR_INIT || (u8)value < LAST_EXCEPTION)
			continue;
		redirect_all(value);
		write32(IOAPIC, value);
		write32(IOAPIC + 0x10, value);
		write32(IOAPIC + 0x40, value);
		sti();
		spin_us(10);
		cli();
	}
	redirect_all(MASKED);
	on_interrupt = NULL;
	return NULL;
}

static void write_base(u64 value, u64 unused)
{
	(void)unused;
	wrmsr(MSR_APIC_BASE, value);
}

/* Figure 11-27 of the SDM's volume 3, every arrow and every one that is missing. */
static const char *run_x2apic(void)
{
	u64 base = rdmsr(MSR_APIC_BASE), off = base & ~BASE_ENABLE, x2 = base | BASE_X2APIC;
	static const struct { u8 to, expect_gp; } walk[] = {
		/* 0: off, 1: xAPIC, 2: x2APIC, 3: EXTD without EN */
		{ 3, 1 }, { 1, 0 }, { 0, 0 }, { 2, 1 }, { 3, 1 }, { 1, 0 }, { 2, 0 }, { 1, 1 }, { 3, 1 }, { 2, 0 },
		{ 0, 0 }, { 1, 0 },
	};
	const u64 value[] = { off, base, x2, off | BASE_X2APIC };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(walk); i++) {
		int vector = attempt(write_base, value[walk[i].to], 0);

		if ((vector == GP) != walk[i].expect_gp)
			return fail("step %lu: vector %lu", (u64)i, (u64)vector);
		if (vector != GP && rdmsr(MSR_APIC_BASE) != value[walk[i].to])
			return fail("step %lu: %lx", (u64)i, rdmsr(MSR_APIC_BASE));
		/* only xAPIC mode has registers in memory */
		if (vector != GP && walk[i].to != 1 && read32(LAPIC + 0x30) != 0xffffffff)
			return fail("step %lu: version %lx", (u64)i, (u64)read32(LAPIC + 0x30));
	}
	for (i = 0; i < 64; i++)
		if (i >= physical_bits || (i < 12 && !(1u << i & 0xd00)))
			if (attempt(write_base, base ^ 1ull << i, 0) != GP)
				return fail("bit %lu of the base was taken", (u64)i);
	return NULL;
}

static void read_msr(u64 number, u64 unused)
{
	(void)unused;
	rdmsr((u32)number);
}

static void write_msr(u64 number, u64 value)
{
	wrmsr((u32)number, value);
}

static const char *run_x2apic_registers(void)
{
	static const u64 values[] = { 0, ~0ull, 0x5a5a5a5a, 0xffffffff, 1ull << 32 };
	u64 base = rdmsr(MSR_APIC_BASE);
	unsigned int i, j;

	wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	for (i = 0; i < 0x100; i++) {
		int vector = attempt(read_msr, MSR_X2APIC + i, 0);

		if (vector != NO_FAULT && vector != GP)
			return fail("%lx: vector %lu", (u64)i, (u64)vector);
		for (j = 0; j < ARRAY_SIZE(values); j++) {
			vector = attempt(write_msr, MSR_X2APIC + i, values[j]);
			if (vector != NO_FAULT && vector != GP)
				return fail("%lx: vector %lu", (u64)i, (u64)vector);
			if (vector == NO_FAULT && values[j] == ~0ull && i != ICR / 16)
				return fail("%lx takes reserved bits", (u64)i);
		}
	}
	eoi = EOI_X2APIC;
	wrmsr(MSR_X2APIC + TPR / 16, 0);
	wrmsr(MSR_X2APIC + SVR / 16, 0x1ff);
	sti();
	for (i = 0; i < 100; i++)
		wrmsr(MSR_X2APIC + 0x3f, VECTOR);
	wrmsr(MSR_X2APIC + ICR / 16, ICR_SELF | VECTOR);
	asm volatile("nop; nop");
	cli();
	return interrupts[VECTOR] == 101 ? NULL : fail("%lu interrupts", interrupts[VECTOR]);
}

/* The APIC moved onto RAM, onto another device and away: its old place is nobody's, its new place is its own. */
static const char *run_base_moved(void)
{
	static const u64 places[] = { 0x500000, HPET, IOAPIC, HOLE, 1ull << 36 };
	u64 base = rdmsr(MSR_APIC_BASE) & 0xfff;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		volatile u32 *page = slot_map(0, places[i], PTE_P | PTE_W);

		wrmsr(MSR_APIC_BASE, base | places[i]);
		if (places[i] != 0x500000 && (page[0x30 / 4] & 0xf0) != 0x10)
			return fail("at %lx: version %lx", places[i], (u64)page[0x30 / 4]);
		page[TPR / 4] = 0x20;
		if (read32(LAPIC + 0x30) != 0xffffffff)
			return fail("at %lx: the old place has %lx", places[i], (u64)read32(LAPIC + 0x30));
	}
	wrmsr(MSR_APIC_BASE, base | LAPIC);
	return NULL;
}

static const struct test tests[] = {
	{ "self_ipi", run_self_ipi },
	{ "tpr", run_tpr },
	{ "low_vectors", run_low_vectors },
	{ "timer_period_1", run_timer_period_1 },
	{ "deadline_past", run_deadline_past },
	{ "ipi_storm", run_ipi_storm },
	{ "nmi", run_nmi },
	{ "nmi_storm", run_nmi_storm },
	{ "nmi_storm_self", run_nmi_storm_self },
	{ "init_shorthand", run_init_shorthand },
	{ "init_self", run_init_self },
	{ "icr_values", run_icr_values },
	{ "level", run_level },
	{ "ioapic_values", run_ioapic_values },
	{ "x2apic", run_x2apic },
	{ "x2apic_registers", run_x2apic_registers },
	{ "base_moved", run_base_moved },
};

const struct test_group apic_tests = { tests, ARRAY_SIZE(tests) };
