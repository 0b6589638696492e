// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three local APICs, an I/O APIC and an HPET, wired as on the board, under a stream of guest accesses, line changes and
 * jumps in time. After each step the state has to be consistent and time has to go on.
 *
 * Input: 8 bytes a step: what, which vCPU, register, value.
 */
#include <stdlib.h>
#include <string.h>

#include "vdev/hpet.h"
#include "vdev/ioapic.h"

#define VCPUS	3

struct step {
	u8 what;
	u8 vcpu;
	u16 where;
	u32 value;
};

static struct machine {
	struct lapic_bus bus;
	struct lapic lapic[VCPUS];
	struct ioapic ioapic;
	struct hpet hpet;
	struct bus mmio;
	bool level[32];
	u64 now;
} m;
static u32 page[VCPUS][1024] __attribute__((aligned(4096)));

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void deliver(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector)
{
	(void)ctx;
	(void)vector;
	require(vcpu < VCPUS);
	require(mode != LAPIC_LOWEST && mode != LAPIC_SMI && mode <= LAPIC_EXTINT);
	if (mode == LAPIC_INIT)
		lapic_take_init(&m.lapic[vcpu]);	/* all vCPUs are on this CPU */
}

static void eoi(void *ctx, u32 vcpu, u8 vector)
{
	(void)ctx;
	(void)vcpu;
	ioapic_eoi(&m.ioapic, vector);
}

static bool hpet_edge(void *ctx, u32 pin)
{
	enum lapic_result result;

	(void)ctx;
	require(pin && pin < IOAPIC_PINS);
	ioapic_set_line(&m.ioapic, pin, false);
	result = ioapic_set_line(&m.ioapic, pin, true);
	return result != LAPIC_COALESCED;
}

static void hpet_level(void *ctx, u32 pin, bool asserted)
{
	(void)ctx;
	require(pin && pin < IOAPIC_PINS);
	ioapic_set_line(&m.ioapic, pin, asserted);
}

static void init(u8 options)
{
	static const struct lapic_ops lapic_ops = { deliver, eoi };
	static const struct hpet_ops hpet_ops = { hpet_edge, hpet_level };
	const struct ioapic_config ioapic_config = {
		.bus = &m.bus, .id = VCPUS, .has_eoi_register = options & 1, .watched = 1 << 2 | 1 << 5,
	};
	u32 i;

	memset(&m, 0, sizeof(m));
	memset(page, 0, sizeof(page));
	lapic_bus_init(&m.bus, &lapic_ops, NULL);
	for (i = 0; i < VCPUS; i++) {
		const struct lapic_config config = {
			.page = page[i],
			.id = i * (options & 2 ? 17 : 1),
			.features = options >> 2 & 0x17,
			.tsc_khz = options & 0x80 ? 2893201 : 400000,
			.bus_khz = 24001,
			.phys_bits = 39,
		};

		require(lapic_init(&m.lapic[i], &m.bus, &config));
		lapic_mmio_write(&m.lapic[i], LAPIC_SVR, 4, 0x1ff, 0);
		lapic_mmio_write(&m.lapic[i], LAPIC_LDR, 4, 1u << (24 + i), 0);
	}
	ioapic_init(&m.ioapic, &ioapic_config);
	hpet_init(&m.hpet, &hpet_ops, NULL, options & 0x80 ? 2893201 : 400000);
	bus_init(&m.mmio);
	require(bus_map(&m.mmio, IOAPIC_BASE, ioapic_rows, IOAPIC_ROWS, &m.ioapic));
	require(bus_map(&m.mmio, HPET_BASE, hpet_rows, HPET_ROWS, &m.hpet));
}

static void advance_all(void)
{
	struct lapic *lapic;

	for (lapic = m.lapic; lapic < m.lapic + VCPUS; lapic++) {
		lapic_advance(lapic, m.now);
		require(lapic_next_deadline(lapic, m.now) > m.now);
	}
	hpet_advance(&m.hpet, m.now);
	require(hpet_next_deadline(&m.hpet, m.now) > m.now);
}

static void take(struct lapic *lapic, bool finish)
{
	int vector = lapic_pending(lapic);

	if (vector < 0)
		return;
	require(vector >= 16 && vector / 16 > lapic_highest_isr(lapic) / 16);
	lapic_accept(lapic, (u8)vector);
	require(lapic_highest_isr(lapic) == vector);
	require(lapic_pending(lapic) < 0 || lapic_pending(lapic) / 16 > vector / 16);
	if (finish) {
		lapic_mmio_write(lapic, LAPIC_EOI, 4, 0, m.now);
		lapic_msr_write(lapic, 0x80b, 0, m.now);
	}
}

/* The interesting values of a register are few; the fuzzer finds the others itself. */
static u64 widen(const struct step *step)
{
	return step->what & 0x80 ? (u64)step->value << 32 | step->where : step->value;
}

/* APIC-register virtualisation stores the guest's value first, SDM volume 3, 30.4.3.2. */
static void hardware_write(struct lapic *lapic, u32 offset, u32 value)
{
	static const u16 virtualised[] = {
		0x020, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0,
	};
	u32 i;

	for (i = 0; i < sizeof(virtualised) / sizeof(virtualised[0]); i++) {
		if (virtualised[i] != offset || lapic_mmio_base(lapic) == 0)
			continue;
		lapic->page[offset / 4] = value;
		lapic_mmio_written(lapic, offset, m.now);
	}
}

static void do_step(const struct step *step)
{
	struct lapic *lapic = &m.lapic[step->vcpu % VCPUS];
	u32 size = 1u << (step->vcpu >> 4 & 3);
	u64 value;

	switch (step->what & 15) {
	case 0:
		lapic_mmio_write(lapic, step->where, size, step->value, m.now);
		break;
	case 1:
	case 2:
		lapic_mmio_write(lapic, step->where & 0x3f0, 4, step->value, m.now);
		break;
	case 3:
		lapic_mmio_read(lapic, step->where, size, m.now);
		break;
	case 4:
		lapic_msr_write(lapic, 0x800 + (step->where & 0x3f), step->value, m.now);
		lapic_msr_read(lapic, 0x800 + (step->where & 0xff), &value, m.now);
		break;
	case 5:
		lapic_msr_write(lapic, step->where & 1 ? 0x6e0 : 0x1b, widen(step), m.now);
		break;
	case 6:
		lapic_msr_write(lapic, 0x830, (u64)step->where << 32 | step->value, m.now);
		break;
	case 7:
		hardware_write(lapic, step->where & 0x3f0, step->value);
		break;
	case 8:
		ioapic_set_line(&m.ioapic, step->where & 31, step->value & 1);
		break;
	case 9:
		bus_write(&m.mmio, IOAPIC_BASE, 4, step->where & 0x3f, m.now);
		bus_write(&m.mmio, IOAPIC_BASE + 0x10, 4, step->value, m.now);
		bus_read(&m.mmio, IOAPIC_BASE + 0x10, 4, m.now);
		break;
	case 10:
		bus_write(&m.mmio, IOAPIC_BASE + (step->where & 0x7f), size, step->value, m.now);
		break;
	case 11:
		hpet_write(&m.hpet, step->where & 0x1ff, step->vcpu & 1 ? 8 : 4, widen(step), m.now);
		break;
	case 12:
		hpet_read(&m.hpet, step->where, size, m.now);
		break;
	case 13:
		m.now += (u64)step->value << (step->where & 15);
		advance_all();
		break;
	case 14:
		take(lapic, step->value & 1);
		break;
	default:
		lapic_bus_msi(&m.bus, 0xfee00000 | step->where << 2, step->value);
		lapic_set_lint(lapic, step->vcpu >> 4, step->value & 1);
		if (step->value & 2)
			lapic_set_tsc_offset(lapic, step->value, m.now);
	}
}

static void check_lapic(const struct lapic *lapic)
{
	const u32 *regs = lapic->page;
	bool x2apic = (lapic->base & 0xc00) == 0xc00;
	u32 i;

	require((lapic->base & 0xc00) != 0x400);
	require(regs[LAPIC_ID / 4] == (x2apic ? lapic->id : lapic->id << 24));
	for (i = 0; i < 8; i++) {
		require(!regs[(LAPIC_IRR + i * 16) / 4] || lapic->irr_words >> i & 1);
		require(!regs[(LAPIC_ISR + i * 16) / 4] || lapic->isr_words >> i & 1);
	}
	require(!(regs[LAPIC_IRR / 4] & 0xffff) && !(regs[LAPIC_ISR / 4] & 0xffff));
	for (i = LAPIC_LVT_TIMER; i <= LAPIC_LVT_ERROR; i += 16)
		require(regs[LAPIC_SVR / 4] & 0x100 || regs[i / 4] & 0x10000);
	require(regs[LAPIC_LVT_TIMER / 4] == lapic->timer.lvt);
	require(lapic->timer.backlog <= LAPIC_MAX_BACKLOG);
	require(lapic->timer.expiry == LAPIC_NEVER || lapic->timer.initial);
}

static void check_devices(void)
{
	u32 pin, n;
	u64 entry;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		entry = m.ioapic.entry[pin];
		require((entry >> 14 & 1) == (m.ioapic.in_service >> pin & 1));
		require(!(entry & 1 << 14) || entry & 1 << 15);
		require(!(entry & 0x00fffffffffe1000));
	}
	for (n = 0; n < HPET_TIMERS; n++) {
		require(m.hpet.timer[n].backlog <= HPET_MAX_BACKLOG);
		require(!m.hpet.timer[n].asserted || (m.hpet.status >> n & 1 && m.hpet.config & 1));
		require(!(m.hpet.timer[n].config & 0x100) || m.hpet.timer[n].comparator >> 32 == 0);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct step step;
	u32 i;

	if (!size)
		return 0;
	init(data[0]);
	for (data++, size--; size >= sizeof(step); data += sizeof(step), size -= sizeof(step)) {
		memcpy(&step, data, sizeof(step));
		if (m.now > 1ull << 61)
			break;
		do_step(&step);
		for (i = 0; i < VCPUS; i++)
			check_lapic(&m.lapic[i]);
		check_devices();
	}
	return 0;
}
