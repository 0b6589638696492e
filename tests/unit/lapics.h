/* SPDX-License-Identifier: GPL-2.0-only */
/* Some vCPUs' local APICs on a bus that records what it delivers. */
#ifndef TESTS_UNIT_LAPICS_H
#define TESTS_UNIT_LAPICS_H

#include "vdev/lapic.h"

#define MAX_LAPICS	20
#define TSC_KHZ		3000000u
#define BUS_KHZ		1000000u
#define ALL_FEATURES	(LAPIC_HAS_X2APIC | LAPIC_HAS_DEADLINE | LAPIC_HAS_EOI_SUPPRESS)
#define BASE_X2APIC	(LAPIC_DEFAULT_BASE | 0xc00)
#define BASE_XAPIC	(LAPIC_DEFAULT_BASE | 0x800)

struct event {
	u32 vcpu;
	u32 mode;
	u32 vector;
};

struct lapics {
	struct lapic_bus bus;
	struct lapic lapic[MAX_LAPICS];
	u32 page[MAX_LAPICS][1024] __attribute__((aligned(4096)));
	struct event event[64];
	u32 events;
	u8 eoi[64];
	u32 eois;
};

static inline void lapics_deliver(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector)
{
	struct lapics *all = ctx;

	if (all->events < 64)
		all->event[all->events++] = (struct event){ vcpu, mode, vector };
}

static inline void lapics_eoi(void *ctx, u32 vcpu, u8 vector)
{
	struct lapics *all = ctx;

	(void)vcpu;
	if (all->eois < 64)
		all->eoi[all->eois++] = vector;
}

static inline void lapics_init_with(struct lapics *all, u32 count, u32 features, u32 tsc_khz, u32 bus_khz)
{
	static const struct lapic_ops ops = { lapics_deliver, lapics_eoi };
	u32 i;

	memset(all, 0, sizeof(*all));
	lapic_bus_init(&all->bus, &ops, all);
	for (i = 0; i < count; i++) {
		const struct lapic_config config = {
			.page = all->page[i],
			.id = i,
			.features = features | (i ? 0 : LAPIC_IS_BSP),
			.tsc_khz = tsc_khz,
			.bus_khz = bus_khz,
			.phys_bits = 39,
		};

		lapic_init(&all->lapic[i], &all->bus, &config);
	}
}

static inline void lapics_init(struct lapics *all, u32 count)
{
	lapics_init_with(all, count, ALL_FEATURES, TSC_KHZ, BUS_KHZ);
}

static inline void put(struct lapics *all, u32 n, u32 offset, u32 value)
{
	lapic_mmio_write(&all->lapic[n], offset, 4, value, 0);
}

static inline u32 get(struct lapics *all, u32 n, u32 offset)
{
	return (u32)lapic_mmio_read(&all->lapic[n], offset, 4, 0);
}

/* All of them switched on as an operating system does it, in flat mode: the first eight have logical IDs. */
static inline void lapics_enable(struct lapics *all)
{
	u32 i;

	for (i = 0; i < all->bus.count; i++) {
		put(all, i, LAPIC_SVR, 0x1ff);
		put(all, i, LAPIC_LDR, i < 8 ? 1u << (24 + i) : 0);
	}
}

#endif
