// SPDX-License-Identifier: GPL-2.0-only
/* Local APIC: registers, priorities, interrupts between vCPUs, after the Intel SDM, volume 3, chapter 11. */
#include <pthread.h>
#include <sched.h>

#include "unit.h"
#include "lapics.h"

static struct lapics all;
static struct lapic *const bsp = &all.lapic[0];

static int start(void **state)
{
	(void)state;
	lapics_init(&all, 4);
	lapics_enable(&all);
	return 0;
}

static void raise(u8 vector)
{
	put(&all, 0, LAPIC_ICR, 1u << 18 | vector);	/* to self */
}

static u64 msr(u32 n, u32 index)
{
	u64 value = 0;

	assert_true(lapic_msr_read(&all.lapic[n], index, &value, 0));
	return value;
}

static bool set_msr(u32 n, u32 index, u64 value)
{
	return lapic_msr_write(&all.lapic[n], index, value, 0);
}

static void power_up_state(void **state)
{
	static const struct { u32 offset, value; } rows[] = {
		{ LAPIC_ID, 1u << 24 }, { LAPIC_VERSION, 0x01050014 }, { LAPIC_TPR, 0 }, { LAPIC_PPR, 0 },
		{ LAPIC_LDR, 0 }, { LAPIC_DFR, 0xffffffff }, { LAPIC_SVR, 0xff }, { LAPIC_ISR, 0 }, { LAPIC_IRR, 0 },
		{ LAPIC_ESR, 0 }, { LAPIC_ICR, 0 }, { LAPIC_ICR2, 0 }, { LAPIC_LVT_TIMER, 0x10000 },
		{ LAPIC_LVT_THERMAL, 0x10000 }, { LAPIC_LVT_PERF, 0x10000 }, { LAPIC_LVT_LINT0, 0x10000 },
		{ LAPIC_LVT_LINT1, 0x10000 }, { LAPIC_LVT_ERROR, 0x10000 }, { LAPIC_TIMER_INITIAL, 0 },
		{ LAPIC_TIMER_CURRENT, 0 }, { LAPIC_TIMER_DIVIDE, 0 },
	};
	u32 i;

	(void)state;
	lapics_init(&all, 2);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(get(&all, 1, rows[i].offset), rows[i].value);
	assert_int_equal(msr(0, 0x1b), 0xfee00900);
	assert_int_equal(msr(1, 0x1b), 0xfee00800);
	/* and the same after INIT, but for mode and ID */
	lapics_enable(&all);
	put(&all, 1, LAPIC_LVT_TIMER, 0x20030);
	put(&all, 1, LAPIC_TPR, 0x50);
	lapic_take_init(&all.lapic[1]);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(get(&all, 1, rows[i].offset), rows[i].value);
}

/* A write in xAPIC mode changes the writable bits only. */
static void writable_bits(void **state)
{
	static const struct { u32 offset, ones, zeros; } rows[] = {
		{ LAPIC_ID, 0, 0 }, { LAPIC_VERSION, 0x01050014, 0x01050014 }, { LAPIC_TPR, 0xff, 0 },
		{ LAPIC_LDR, 0xff000000, 0 }, { LAPIC_DFR, 0xffffffff, 0x0fffffff }, { LAPIC_SVR, 0x13ff, 0 },
		{ LAPIC_ICR2, 0xff000000, 0 }, { LAPIC_LVT_TIMER, 0x700ff, 0x10000 },
		{ LAPIC_LVT_THERMAL, 0x107ff, 0x10000 }, { LAPIC_LVT_PERF, 0x107ff, 0x10000 },
		{ LAPIC_LVT_LINT0, 0x1a7ff, 0x10000 }, { LAPIC_LVT_LINT1, 0x1a7ff, 0x10000 },
		{ LAPIC_LVT_ERROR, 0x100ff, 0x10000 }, { LAPIC_TIMER_DIVIDE, 0xb, 0 },
	};
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		put(&all, 0, rows[i].offset, 0xffffffff);
		assert_int_equal(get(&all, 0, rows[i].offset), rows[i].ones);
		put(&all, 0, LAPIC_SVR, 0);	/* from here on mask bits are stuck */
		put(&all, 0, rows[i].offset, 0);
		assert_int_equal(get(&all, 0, rows[i].offset), rows[i].zeros);
		put(&all, 0, LAPIC_SVR, 0x1ff);
	}
}

static void access_sizes(void **state)
{
	(void)state;
	put(&all, 0, LAPIC_LDR, 0x12000000);
	assert_int_equal(lapic_mmio_read(bsp, LAPIC_LDR + 3, 1, 0), 0x12);
	assert_int_equal(lapic_mmio_read(bsp, LAPIC_LDR + 2, 2, 0), 0x1200);
	assert_int_equal(lapic_mmio_read(bsp, LAPIC_LDR, 8, 0), 0x12000000);
	assert_int_equal(lapic_mmio_read(bsp, LAPIC_LDR + 4, 4, 0), 0);
	lapic_mmio_write(bsp, LAPIC_LDR, 2, 0xffff, 0);
	lapic_mmio_write(bsp, LAPIC_LDR + 2, 4, 0xffff, 0);
	lapic_mmio_write(bsp, LAPIC_LDR + 3, 1, 0xff, 0);
	assert_int_equal(get(&all, 0, LAPIC_LDR), 0x12000000);
	assert_int_equal(lapic_mmio_read(bsp, 0xfff, 4, 0), 0);
	assert_int_equal(lapic_mmio_read(bsp, 0x10000, 4, 0), 0);
	lapic_mmio_write(bsp, 0xfffffff0, 4, 1, 0);
}

static void software_disable_masks_and_drops(void **state)
{
	(void)state;
	put(&all, 0, LAPIC_LVT_LINT0, 0x700);
	raise(0x40);
	put(&all, 0, LAPIC_SVR, 0xff);
	assert_int_equal(get(&all, 0, LAPIC_LVT_LINT0), 0x10700);
	raise(0x50);			/* dropped, … */
	assert_int_equal(lapic_pending(bsp), 0x40);	/* … but what is pending stays */
	put(&all, 0, LAPIC_LVT_LINT0, 0x700);
	assert_int_equal(get(&all, 0, LAPIC_LVT_LINT0), 0x10700);
	put(&all, 1, LAPIC_ICR, 0x400);	/* NMI to APIC 0 still comes */
	assert_int_equal(all.events, 1);
	assert_int_equal(all.event[0].mode, LAPIC_NMI);
	put(&all, 0, LAPIC_SVR, 0x1ff);
	assert_int_equal(get(&all, 0, LAPIC_LVT_LINT0), 0x10700);
}

static void priorities(void **state)
{
	(void)state;
	raise(0x31);
	raise(0x45);
	assert_int_equal(lapic_pending(bsp), 0x45);
	put(&all, 0, LAPIC_TPR, 0x40);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);	/* the same class does not get through */
	assert_int_equal(lapic_tpr_threshold(bsp), 4);
	assert_int_equal(get(&all, 0, LAPIC_PPR), 0x40);
	lapic_set_cr8(bsp, 3);
	assert_int_equal(get(&all, 0, LAPIC_TPR), 0x30);
	assert_int_equal(lapic_tpr_threshold(bsp), 0);
	lapic_accept(bsp, (u8)lapic_pending(bsp));
	assert_int_equal(get(&all, 0, LAPIC_PPR), 0x40);
	assert_int_equal(get(&all, 0, LAPIC_ISR + 0x20), 1 << 5);
	put(&all, 0, LAPIC_TPR, 0x47);
	assert_int_equal(get(&all, 0, LAPIC_PPR), 0x47);	/* TPR's subclass counts when its class is not lower */
	raise(0x46);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	assert_int_equal(lapic_tpr_threshold(bsp), 0);		/* it is ISR that keeps it back */
	raise(0x50);
	assert_int_equal(lapic_pending(bsp), 0x50);
	put(&all, 0, LAPIC_TPR, 0);
	lapic_accept(bsp, 0x50);
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(lapic_pending(bsp), 0x46);
	put(&all, 0, LAPIC_EOI, 0);				/* nothing in service: nothing happens */
	assert_int_equal(lapic_pending(bsp), 0x46);
}

/* Against arrays of bool, for every kind of step in random order. */
struct reference {
	bool irr[256];
	bool isr[256];
	u32 tpr;
};

static int reference_highest(const bool *bits)
{
	int i;

	for (i = 255; i >= 0; i--)
		if (bits[i])
			return i;
	return -1;
}

static u32 reference_ppr(const struct reference *ref)
{
	int isr = reference_highest(ref->isr);
	u32 in_service = isr < 0 ? 0 : (u32)isr / 16;

	return ref->tpr / 16 >= in_service ? ref->tpr : in_service * 16;
}

static int reference_pending(const struct reference *ref)
{
	int irr = reference_highest(ref->irr);

	return irr >= 0 && (u32)irr / 16 > reference_ppr(ref) / 16 ? irr : -1;
}

static void random_step(struct reference *ref, u64 *seed)
{
	u8 vector = (u8)(16 + random_below(seed, 240));
	int isr = reference_highest(ref->isr);

	switch (random_below(seed, 5)) {
	case 0:
		lapic_bus_send(&all.bus, 0, vector);
		ref->irr[vector] = true;
		break;
	case 1:
		raise(vector);
		ref->irr[vector] = true;
		break;
	case 2:
		ref->tpr = (u32)random_below(seed, 256) & (u32)random_below(seed, 256);
		put(&all, 0, LAPIC_TPR, ref->tpr);
		break;
	case 3:
		put(&all, 0, LAPIC_EOI, 0);
		if (isr >= 0)
			ref->isr[isr] = false;
		break;
	default:
		if (reference_pending(ref) < 0)
			break;
		vector = (u8)reference_pending(ref);
		lapic_accept(bsp, vector);
		ref->irr[vector] = false;
		ref->isr[vector] = true;
	}
}

static void random_priorities(void **state)
{
	static struct reference ref;
	u64 seed = 0x1234567;
	u32 i, vector;

	(void)state;
	for (i = 0; i < 200000; i++) {
		random_step(&ref, &seed);
		assert_int_equal(lapic_pending(bsp), reference_pending(&ref));
		assert_int_equal(get(&all, 0, LAPIC_PPR), reference_ppr(&ref));
		vector = (u32)random_below(&seed, 256);
		assert_int_equal(get(&all, 0, LAPIC_IRR + vector / 32 * 16) >> (vector & 31) & 1, ref.irr[vector]);
		assert_int_equal(get(&all, 0, LAPIC_ISR + vector / 32 * 16) >> (vector & 31) & 1, ref.isr[vector]);
	}
}

static void errors_are_latched_and_armed_by_writes(void **state)
{
	(void)state;
	put(&all, 0, LAPIC_LVT_ERROR, 0xfe);
	put(&all, 0, LAPIC_ICR, 0x8);				/* fixed, vector 8 */
	assert_int_equal(get(&all, 0, LAPIC_ESR), 0);		/* not before a write */
	assert_int_equal(lapic_pending(bsp), 0xfe);
	lapic_accept(bsp, 0xfe);
	put(&all, 0, LAPIC_EOI, 0);
	get(&all, 0, 0x3f0);					/* reserved in xAPIC mode */
	put(&all, 0, 0x400, 0);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);	/* one interrupt until ESR is written */
	put(&all, 0, LAPIC_ESR, 0xffffffff);
	assert_int_equal(get(&all, 0, LAPIC_ESR), 0xa0);
	put(&all, 0, LAPIC_ESR, 0);
	assert_int_equal(get(&all, 0, LAPIC_ESR), 0);
	lapic_bus_msi(&all.bus, 0xfee00000, 3);			/* illegal when it arrives */
	assert_int_equal(lapic_pending(bsp), 0xfe);
	put(&all, 0, LAPIC_ESR, 0);
	assert_int_equal(get(&all, 0, LAPIC_ESR), 0x40);
	put(&all, 0, LAPIC_LVT_ERROR, 0x3);			/* an illegal error vector does not recurse */
	put(&all, 0, LAPIC_ICR, 0x8);
	put(&all, 0, LAPIC_ESR, 0);
	assert_int_equal(get(&all, 0, LAPIC_ESR), 0x60);
}

static void base_transitions(void **state)
{
	static const struct { u64 from, to; bool allowed; } rows[] = {
		{ 0x800, 0x800, true }, { 0x800, 0xc00, true }, { 0x800, 0, true }, { 0x800, 0x400, false },
		{ 0xc00, 0xc00, true }, { 0xc00, 0x800, false }, { 0xc00, 0, true }, { 0xc00, 0x400, false },
		{ 0, 0, true }, { 0, 0x800, true }, { 0, 0xc00, false }, { 0, 0x400, false },
	};
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		lapics_init(&all, 1);
		assert_true(set_msr(0, 0x1b, LAPIC_DEFAULT_BASE | rows[i].from));
		assert_int_equal(set_msr(0, 0x1b, LAPIC_DEFAULT_BASE | rows[i].to), rows[i].allowed);
		assert_int_equal(msr(0, 0x1b),
				 LAPIC_DEFAULT_BASE | (rows[i].allowed ? rows[i].to : rows[i].from));
	}
	assert_false(set_msr(0, 0x1b, 1ull << 39 | BASE_XAPIC));
	assert_false(set_msr(0, 0x1b, 1 | BASE_XAPIC));
	assert_false(set_msr(0, 0x1b, 0x200 | BASE_XAPIC));
	assert_true(set_msr(0, 0x1b, 0xfed00800));
	assert_int_equal(lapic_mmio_base(bsp), 0xfed00000);
	lapics_init_with(&all, 1, 0, TSC_KHZ, BUS_KHZ);
	assert_false(set_msr(0, 0x1b, BASE_X2APIC));
	assert_false(set_msr(0, 0x6e0, 1));
}

static void switched_off(void **state)
{
	(void)state;
	put(&all, 0, LAPIC_TPR, 0x80);
	raise(0x90);
	put(&all, 1, LAPIC_ICR, 0x91);
	assert_false(lapic_takes_extint(bsp));
	assert_true(set_msr(0, 0x1b, LAPIC_DEFAULT_BASE));
	assert_true(lapic_takes_extint(bsp));
	assert_int_equal(lapic_mmio_base(bsp), 0);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	all.events = 0;
	put(&all, 1, LAPIC_ICR, 0x92);
	put(&all, 1, LAPIC_ICR, 0x400);		/* off: not even NMIs come over the bus */
	assert_int_equal(all.events, 0);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	assert_true(set_msr(0, 0x1b, BASE_XAPIC));
	assert_int_equal(get(&all, 0, LAPIC_TPR), 0);
	assert_int_equal(get(&all, 0, LAPIC_SVR), 0xff);
}

/* Every MSR from 0x800 to 0x8ff: may it be read, which of its bits may be set? SDM table 11-6. */
static void x2apic_registers(void **state)
{
	static const struct { u32 msr; bool reads; s32 writes; u32 bits; } rows[] = {
		{ 0x802, true, 0, 0 }, { 0x803, true, 0, 0 }, { 0x808, true, 1, 0xff }, { 0x80a, true, 0, 0 },
		{ 0x80b, false, 1, 0 }, { 0x80d, true, 0, 0 }, { 0x80f, true, 1, 0x13ff }, { 0x828, true, 1, 0 },
		{ 0x832, true, 1, 0x710ff }, { 0x833, true, 1, 0x117ff }, { 0x834, true, 1, 0x117ff },
		{ 0x835, true, 1, 0x1f7ff }, { 0x836, true, 1, 0x1f7ff }, { 0x837, true, 1, 0x110ff },
		{ 0x838, true, 1, 0xffffffff }, { 0x839, true, 0, 0 }, { 0x83e, true, 1, 0xb }, { 0x83f, false, 1, 0xff },
	};
	u32 i, index, bit;
	u64 value;

	(void)state;
	for (index = 0x800; index < 0x900; index++) {
		assert_false(lapic_msr_read(bsp, index, &value, 0));	/* xAPIC mode: #GP */
		assert_false(set_msr(0, index, 0));
	}
	assert_true(set_msr(0, 0x1b, BASE_X2APIC));
	for (index = 0x800; index < 0x900; index++) {
		bool bitmap = index >= 0x810 && index < 0x828;

		for (i = 0; i < ARRAY_SIZE(rows) && rows[i].msr != index; i++)
			;
		if (index == 0x830)
			continue;
		assert_int_equal(lapic_msr_read(bsp, index, &value, 0),
				 bitmap || (i < ARRAY_SIZE(rows) && rows[i].reads));
		assert_int_equal(set_msr(0, index, 0), i < ARRAY_SIZE(rows) && rows[i].writes);
		for (bit = 0; bit < 64; bit++)
			assert_int_equal(set_msr(0, index, 1ull << bit),
					 i < ARRAY_SIZE(rows) && rows[i].writes && (u64)rows[i].bits >> bit & 1);
	}
	for (bit = 0; bit < 32; bit++)
		assert_int_equal(set_msr(0, 0x830, 1ull << bit | 0x40), 0xcdfffu >> bit & 1);
	assert_int_equal(lapic_mmio_read(bsp, LAPIC_VERSION, 4, 0), 0);	/* there is no page now */
}

static void x2apic_state(void **state)
{
	(void)state;
	lapics_init(&all, 20);
	put(&all, 18, LAPIC_TPR, 0x20);
	assert_true(set_msr(18, 0x1b, BASE_X2APIC));
	assert_int_equal(msr(18, 0x802), 18);
	assert_int_equal(msr(18, 0x80d), 1 << 16 | 1 << 2);
	assert_int_equal(msr(18, 0x808), 0x20);		/* the rest stays */
	assert_true(set_msr(18, 0x830, 0x1234567800004000ull | 0x41));
	assert_int_equal(msr(18, 0x830), 0x1234567800004000ull | 0x41);
	lapic_take_init(&all.lapic[18]);
	assert_int_equal(msr(18, 0x1b), BASE_X2APIC);
	assert_int_equal(msr(18, 0x80d), 1 << 16 | 1 << 2);
	assert_true(set_msr(18, 0x80f, 0x1ff));
	assert_true(set_msr(18, 0x83f, 0x55));
	assert_int_equal(lapic_pending(&all.lapic[18]), 0x55);
	lapic_accept(&all.lapic[18], 0x55);
	assert_true(set_msr(18, 0x80b, 0));
	assert_int_equal(lapic_highest_isr(&all.lapic[18]), LAPIC_NONE);
}

/* Who gets an IPI: a bit per vCPU. */
static u32 receivers(u32 count, u8 vector)
{
	u32 i, got = 0;

	for (i = 0; i < count; i++)
		if (lapic_pending(&all.lapic[i]) == vector) {
			lapic_accept(&all.lapic[i], vector);
			put(&all, i, LAPIC_EOI, 0);
			set_msr(i, 0x80b, 0);
			got |= 1u << i;
		}
	return got;
}

static void destinations(void **state)
{
	static const struct { u32 icr, dest, got; } rows[] = {
		{ 0x40, 0, 1 }, { 0x40, 3, 8 }, { 0x40, 9, 0 }, { 0x40, 0xff, 0xf },		/* physical */
		{ 0x840, 0x05, 5 }, { 0x840, 0xf0, 0 }, { 0x840, 0xff, 0xf },			/* flat */
		{ 0x40040, 2, 1 }, { 0x80040, 2, 0xf }, { 0xc0040, 2, 0xe },			/* shorthands */
		{ 0x8040, 1, 2 }, { 0xc040, 1, 2 },						/* levels are edges */
	};
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		put(&all, 0, LAPIC_ICR2, rows[i].dest << 24);
		put(&all, 0, LAPIC_ICR, rows[i].icr);
		assert_int_equal(receivers(4, 0x40), rows[i].got);
	}
	assert_int_equal(all.eois, 0);
}

static void cluster_destinations(void **state)
{
	static const u8 ldr[4] = { 0x11, 0x12, 0x21, 0x28 };
	static const struct { u32 dest, got; } rows[] = {
		{ 0x11, 1 }, { 0x13, 3 }, { 0x2f, 0xc }, { 0x3f, 0 }, { 0x1c, 0 }, { 0xff, 0xf }, { 0x0f, 0 },
	};
	u32 i;

	(void)state;
	for (i = 0; i < 4; i++) {
		put(&all, i, LAPIC_DFR, 0x0fffffff);
		put(&all, i, LAPIC_LDR, (u32)ldr[i] << 24);
	}
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		put(&all, 2, LAPIC_ICR2, rows[i].dest << 24);
		put(&all, 2, LAPIC_ICR, 0x840);
		assert_int_equal(receivers(4, 0x40), rows[i].got);
	}
}

static void x2apic_destinations(void **state)
{
	static const struct { u32 icr, dest, got; } rows[] = {
		{ 0x40, 17, 1 << 17 }, { 0x40, 0xff, 0 }, { 0x40, 0xffffffff, 0xfffff },
		{ 0x840, 0x00000003, 3 }, { 0x840, 0x00010009, 9 << 16 }, { 0x840, 0x0001fff0, 0 },
		{ 0x840, 0x0000ffff, 0xffff }, { 0x840, 0x00020001, 0 }, { 0xc0040, 0, 0xffffd },
	};
	u32 i;

	(void)state;
	lapics_init(&all, 20);
	for (i = 0; i < 20; i++) {
		assert_true(set_msr(i, 0x1b, BASE_X2APIC));
		assert_true(set_msr(i, 0x80f, 0x1ff));
	}
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(set_msr(1, 0x830, (u64)rows[i].dest << 32 | rows[i].icr));
		assert_int_equal(receivers(20, 0x40), rows[i].got);
	}
}

/* NMI, INIT and SIPI go out as events, also to an APIC that software switched off. */
static void event_ipis(void **state)
{
	static const struct { u32 icr; u32 events; } rows[] = {
		{ 0x400, 1 }, { 0x4500, 1 }, { 0x500, 1 }, { 0xc500, 1 }, { 0x8500, 0 },	/* de-assert: ignored */
		{ 0x4699, 1 }, { 0x200, 0 }, { 0x300, 0 }, { 0x700, 0 },
		{ 0xc4500, 3 }, { 0xc0400, 3 }, { 0x84500, 0 }, { 0x44500, 0 }, { 0x44600, 0 }, { 0x40400, 1 },
	};
	u32 i;

	(void)state;
	put(&all, 2, LAPIC_SVR, 0xff);
	put(&all, 0, LAPIC_ICR2, 2u << 24);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		all.events = 0;
		put(&all, 0, LAPIC_ICR, rows[i].icr);
		assert_int_equal(all.events, rows[i].events);
		if (!all.events)
			continue;
		assert_int_equal(all.event[0].mode, rows[i].icr >> 8 & 7);
		assert_int_equal(all.event[0].vector, (u8)rows[i].icr);
	}
	assert_int_equal(get(&all, 0, LAPIC_ICR), 0x40400);	/* never busy */
}

static void lowest_priority_rotates(void **state)
{
	u32 i, got[4] = { 0 };
	const u32 msg = LAPIC_MSG_MODE(LAPIC_LOWEST) | LAPIC_MSG_LOGICAL | 0x40;

	(void)state;
	for (i = 0; i < 400; i++) {
		u32 mask;

		assert_int_equal(lapic_bus_send(&all.bus, 0xf, msg), LAPIC_ACCEPTED);
		mask = receivers(4, 0x40);
		assert_int_equal(mask & (mask - 1), 0);
		assert_true(mask);
		got[__builtin_ctz(mask)]++;
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(got[i], 100);
	put(&all, 0, LAPIC_TPR, 0x30);
	put(&all, 1, LAPIC_TPR, 0x20);
	put(&all, 2, LAPIC_TPR, 0x3f);
	put(&all, 3, LAPIC_SVR, 0xff);
	for (i = 0; i < 10; i++) {
		lapic_bus_send(&all.bus, 0xf, msg);
		assert_int_equal(receivers(4, 0x40), 2);
	}
	assert_int_equal(lapic_bus_send(&all.bus, 8, msg), LAPIC_IGNORED);
}

static void posting_notifies_once(void **state)
{
	(void)state;
	assert_int_equal(lapic_bus_send(&all.bus, 1, 0x40), LAPIC_ACCEPTED);
	assert_int_equal(lapic_bus_send(&all.bus, 1, 0x40), LAPIC_COALESCED);
	assert_int_equal(lapic_bus_send(&all.bus, 1, 0x41), LAPIC_ACCEPTED);
	assert_int_equal(all.events, 1);
	assert_int_equal(all.event[0].mode, LAPIC_FIXED);
	assert_int_equal(all.lapic[1].posted.on, 1);
	assert_int_equal(all.lapic[1].posted.pir[1], 3);
	assert_int_equal(get(&all, 0, LAPIC_IRR + 0x20), 0);
	lapic_bus_send(&all.bus, 1, LAPIC_MSG_LEVEL | 0x50);	/* the hardware must not take this one */
	assert_int_equal(all.events, 2);
	assert_int_equal(all.event[1].mode, LAPIC_SYNC);
	assert_int_equal(all.lapic[1].posted.pir[1], 3);
	assert_int_equal(lapic_pending(&all.lapic[1]), 0x50);
	assert_int_equal(get(&all, 1, LAPIC_IRR + 0x20), 0x10003);
	assert_int_equal(get(&all, 1, LAPIC_TMR + 0x20), 0x10000);
	assert_int_equal(all.lapic[1].posted.on, 0);
	assert_int_equal(lapic_bus_send(&all.bus, 1, 0x40), LAPIC_COALESCED);	/* still in IRR */
	assert_int_equal(all.events, 3);
	lapic_bus_send(&all.bus, 1, LAPIC_MSG_LEVEL | 0x50);
	assert_int_equal(all.events, 4);
}

static void eoi_is_broadcast_for_levels(void **state)
{
	u64 map[4];

	(void)state;
	lapic_bus_send(&all.bus, 0, LAPIC_MSG_LEVEL | 0x50);
	lapic_bus_send(&all.bus, 0, LAPIC_MSG_WATCH | 0x60);
	assert_int_equal(lapic_pending(bsp), 0x60);
	lapic_eoi_exits(bsp, map);
	assert_int_equal(map[1], 1ull << 16 | 1ull << 32);
	lapic_accept(bsp, 0x60);
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(all.eois, 1);
	assert_int_equal(all.eoi[0], 0x60);
	assert_int_equal(get(&all, 0, LAPIC_TMR + 0x30), 0);
	lapic_accept(bsp, 0x50);
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(all.eois, 2);
	assert_int_equal(all.eoi[1], 0x50);
	lapic_bus_send(&all.bus, 0, LAPIC_MSG_LEVEL | 0x50);
	lapic_accept(bsp, (u8)lapic_pending(bsp));
	put(&all, 0, LAPIC_SVR, 0x11ff);		/* suppressed */
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(all.eois, 2);
	raise(0x50);					/* as an edge: TMR is cleared */
	assert_int_equal(get(&all, 0, LAPIC_TMR + 0x20), 0);
	lapic_bus_send(&all.bus, 0, LAPIC_MSG_LEVEL | 0x51);
	assert_int_equal(get(&all, 0, LAPIC_TMR + 0x20), 0x20000);
	lapic_bus_send(&all.bus, 0, 0x51);		/* from another CPU, too */
	assert_int_equal(get(&all, 0, LAPIC_TMR + 0x20), 0);
}

/* The CPU has stored what was written, and says where: at a byte of the register, perhaps. */
static void written_by_the_cpu(void **state)
{
	u32 *page = all.page[0];

	(void)state;
	page[LAPIC_SVR / 4] = 0x00;			/* its lowest byte alone would have been */
	page[LAPIC_SVR / 4 + 1] = 0xff;
	lapic_mmio_written(bsp, LAPIC_SVR + 1, 0);
	assert_int_equal(get(&all, 0, LAPIC_SVR), 0);
	raise(0x50);					/* disabled by software: nothing comes */
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	page[LAPIC_SVR / 4] = 0x1ff;
	lapic_mmio_written(bsp, LAPIC_SVR, 0);
	raise(0x50);
	assert_int_equal(lapic_pending(bsp), 0x50);
	assert_true(lapic_msr_write(bsp, 0x1b, BASE_X2APIC | 0x100, 0));
	page[LAPIC_SELF_IPI / 4] = 0x05;
	lapic_mmio_written(bsp, LAPIC_SELF_IPI, 0);
	assert_int_equal(lapic_pending(bsp), 0x50);	/* no such vector */
	page[LAPIC_SELF_IPI / 4] = 0x61;
	lapic_mmio_written(bsp, LAPIC_SELF_IPI, 0);
	assert_int_equal(lapic_pending(bsp), 0x61);
	lapic_mmio_written(bsp, LAPIC_ICR, 0);		/* not by this way */
	assert_int_equal(lapic_pending(bsp), 0x61);
}

static void local_pins(void **state)
{
	(void)state;
	lapic_virtual_wire(bsp);
	assert_true(lapic_takes_extint(bsp));
	lapic_set_lint(bsp, 1, true);
	lapic_set_lint(bsp, 1, true);			/* one edge */
	assert_int_equal(all.events, 1);
	assert_int_equal(all.event[0].mode, LAPIC_NMI);
	put(&all, 0, LAPIC_LVT_LINT0, 0x8040);		/* level */
	assert_false(lapic_takes_extint(bsp));
	lapic_set_lint(bsp, 0, true);
	assert_int_equal(get(&all, 0, LAPIC_LVT_LINT0), 0xc040);
	lapic_accept(bsp, (u8)lapic_pending(bsp));
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(lapic_pending(bsp), 0x40);	/* still asserted */
	lapic_accept(bsp, 0x40);
	lapic_set_lint(bsp, 0, false);
	put(&all, 0, LAPIC_EOI, 0);
	assert_int_equal(lapic_pending(bsp), LAPIC_NONE);
	assert_int_equal(get(&all, 0, LAPIC_LVT_LINT0), 0x8040);
	put(&all, 0, LAPIC_LVT_PERF, 0x400);
	lapic_local_event(bsp, LAPIC_LVT_PERF);
	lapic_local_event(bsp, LAPIC_LVT_PERF);		/* masked itself */
	assert_int_equal(all.events, 2);
	assert_int_equal(get(&all, 0, LAPIC_LVT_PERF), 0x10400);
	put(&all, 0, LAPIC_LVT_THERMAL, 0xfa);
	lapic_local_event(bsp, LAPIC_LVT_THERMAL);
	assert_int_equal(lapic_pending(bsp), 0xfa);
}

static void msi(void **state)
{
	(void)state;
	lapic_bus_msi(&all.bus, 0xfee02000, 0x41);
	assert_int_equal(receivers(4, 0x41), 4);
	lapic_bus_msi(&all.bus, 0xfee03004, 0x41);	/* logical 3 */
	assert_int_equal(receivers(4, 0x41), 3);
	lapic_bus_msi(&all.bus, 0xfeeff000, 0x41);
	assert_int_equal(receivers(4, 0x41), 0xf);
	assert_int_equal(lapic_bus_msi(&all.bus, 0x1fee00000, 0x41), LAPIC_IGNORED);
	assert_int_equal(lapic_bus_msi(&all.bus, 0xfed00000, 0x41), LAPIC_IGNORED);
}

/* The hardware has stored the guest's value into the page before software sees it. */
static void writes_by_hardware(void **state)
{
	all.page[0][LAPIC_ID / 4] = 0x55000000;
	lapic_mmio_written(bsp, LAPIC_ID, 0);
	assert_int_equal(get(&all, 0, LAPIC_ID), 0);
	all.page[0][LAPIC_LVT_TIMER / 4] = 0xffffffff;
	lapic_mmio_written(bsp, LAPIC_LVT_TIMER, 0);
	assert_int_equal(get(&all, 0, LAPIC_LVT_TIMER), 0x700ff);
	all.page[0][LAPIC_ICR / 4] = 0x40044;
	lapic_mmio_written(bsp, LAPIC_ICR, 0);
	assert_int_equal(lapic_pending(bsp), 0x44);
	all.page[0][LAPIC_SVR / 4] = 0xff;
	lapic_mmio_written(bsp, LAPIC_SVR, 0);
	raise(0x55);
	assert_int_equal(lapic_pending(bsp), 0x44);
	(void)state;
}

/*
 * Two CPUs send to vCPU 0, whose CPU looks at nothing but the notification. A sender waits for its interrupt to be
 * taken before it sends the next one: if a single notification were lost, the test would not end.
 */
#define ROUNDS	20000u

static u32 taken[2];
static u32 notified;

static void notify(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector)
{
	(void)ctx;
	(void)vcpu;
	(void)mode;
	(void)vector;
	__atomic_store_n(&notified, 1, __ATOMIC_SEQ_CST);
}

static void *sender(void *arg)
{
	u32 n = (u32)(uintptr_t)arg, round;

	for (round = 1; round <= ROUNDS; round++) {
		lapic_bus_send(&all.bus, 0, (0x40 + n) | (round & 1 ? LAPIC_MSG_LEVEL : 0));
		while (__atomic_load_n(&taken[n], __ATOMIC_SEQ_CST) != round)
			sched_yield();
	}
	return NULL;
}

static void no_notification_is_lost(void **state)
{
	static const struct lapic_ops ops = { notify, lapics_eoi };
	pthread_t thread[2];
	int vector;
	u32 i;

	(void)state;
	all.bus.ops = &ops;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, sender, (void *)(uintptr_t)i), 0);
	while (taken[0] + taken[1] < 2 * ROUNDS) {
		if (!__atomic_exchange_n(&notified, 0, __ATOMIC_SEQ_CST)) {
			sched_yield();
			continue;
		}
		while ((vector = lapic_pending(bsp)) >= 0) {
			lapic_accept(bsp, (u8)vector);
			put(&all, 0, LAPIC_EOI, 0);
			all.eois = 0;
			__atomic_fetch_add(&taken[vector - 0x40], 1, __ATOMIC_SEQ_CST);
		}
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static void layout(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct lapic_posted), 64);
	assert_int_equal(offsetof(struct lapic_posted, on), 32);
	assert_int_equal(offsetof(struct lapic_posted, nv), 34);
	assert_int_equal(offsetof(struct lapic_posted, ndst), 36);
	assert_int_equal(offsetof(struct lapic, posted) % 64, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(power_up_state, start),
		cmocka_unit_test_setup(writable_bits, start),
		cmocka_unit_test_setup(access_sizes, start),
		cmocka_unit_test_setup(software_disable_masks_and_drops, start),
		cmocka_unit_test_setup(priorities, start),
		cmocka_unit_test_setup(random_priorities, start),
		cmocka_unit_test_setup(errors_are_latched_and_armed_by_writes, start),
		cmocka_unit_test_setup(base_transitions, start),
		cmocka_unit_test_setup(switched_off, start),
		cmocka_unit_test_setup(x2apic_registers, start),
		cmocka_unit_test_setup(x2apic_state, start),
		cmocka_unit_test_setup(destinations, start),
		cmocka_unit_test_setup(cluster_destinations, start),
		cmocka_unit_test_setup(x2apic_destinations, start),
		cmocka_unit_test_setup(event_ipis, start),
		cmocka_unit_test_setup(lowest_priority_rotates, start),
		cmocka_unit_test_setup(posting_notifies_once, start),
		cmocka_unit_test_setup(eoi_is_broadcast_for_levels, start),
		cmocka_unit_test_setup(written_by_the_cpu, start),
		cmocka_unit_test_setup(local_pins, start),
		cmocka_unit_test_setup(msi, start),
		cmocka_unit_test_setup(writes_by_hardware, start),
		cmocka_unit_test_setup(no_notification_is_lost, start),
		cmocka_unit_test(layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
