// SPDX-License-Identifier: GPL-2.0-only
/*
 * Isolation: whatever address the guest reads or writes, it finds its RAM, its devices, or nothing. `step=N` on the
 * command line makes the walk below 4 GiB N pages wide; without it every page is tried.
 */
#include "guest.h"

#define GIB		(1ull << 30)
#define FOUR_GIB	(4 * GIB)
#define PATTERN		0x5ca1ab1e0ddba11ull

static void load(u64 from, u64 to)
{
	*(u64 *)to = read64(from);
}

static void store(u64 to, u64 value)
{
	write64(to, value);
}

static bool device(u64 physical)
{
	physical &= ~(u64)(PAGE - 1);
	return physical == LAPIC || physical == IOAPIC || physical == HPET;
}

/* At a linear address that is mapped to memory of nobody: ones before and after a store, or a fault. */
static const char *try_hole(u64 linear, u64 physical)
{
	u64 value = 0;

	if (attempt(load, linear, (u64)&value) == NO_FAULT && value != ~0ull)
		return fail("%lx reads as %lx", physical, value);
	if (attempt(store, linear, PATTERN ^ physical) != NO_FAULT)
		return NULL;
	if (attempt(load, linear, (u64)&value) == NO_FAULT && value != ~0ull)
		return fail("%lx reads as %lx after a write", physical, value);
	return NULL;
}

static u64 step(void)
{
	const char *text;
	u64 value = 0;

	if (!option("step", &text))
		return PAGE;
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (u64)(*text++ - '0');
	return (value ? value : 1) * PAGE;
}

static const char *run_pages(void)
{
	u64 at, by = step();
	const char *why = NULL;

	/* an offset of its own in each page */
	for (at = memory_size; at < FOUR_GIB && !why; at += by)
		if (!device(at))
			why = try_hole(at + (at >> 9 & 0xff8), at + (at >> 9 & 0xff8));
	return why;
}

/* The edges of all that is ours, and the page before 4 GiB and after it. */
static const char *run_edges(void)
{
	const u64 edges[] = {
		memory_size, LAPIC, LAPIC + PAGE, IOAPIC, IOAPIC + PAGE, HPET, HPET + PAGE, FOUR_GIB, 0xc0000000,
	};
	const char *why = NULL;
	unsigned int i;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(edges) && !why; i++)
		for (at = edges[i] - PAGE; at < edges[i] + PAGE && !why; at += 0x7f8)
			if (at >= memory_size && !device(at))
				why = try_hole(at & ~7ull, at & ~7ull);
	return why;
}

static const char *try_physical(u64 physical)
{
	if (physical < FOUR_GIB)
		return NULL;
	slot_map(0, physical, PTE_P | PTE_W);
	return try_hole(slot_address(0), physical);
}

static const char *run_gigabytes(void)
{
	const char *why = NULL;
	u64 at, end = 1ull << physical_bits, by = GIB;

	/* 64 Ki addresses are as many as an emulator can be asked for */
	if (end / by > 0x10000)
		by = end / 0x10000;
	for (at = FOUR_GIB; at < end && !why; at += by)
		why = try_physical(at);
	return why;
}

static const char *run_powers_of_two(void)
{
	const char *why = NULL;
	unsigned int bit;

	for (bit = 32; bit < physical_bits && !why; bit++) {
		why = try_physical(1ull << bit);
		if (!why)
			why = try_physical((1ull << bit) - PAGE);
		if (!why)
			why = try_physical((1ull << bit) + (1ull << 31));
	}
	/* beyond what the CPU has: reserved bits */
	for (; bit < 52 && !why; bit++) {
		u64 value;

		slot_map(0, 1ull << bit, PTE_P | PTE_W);
		if (attempt(load, slot_address(0), (u64)&value) != PF || !(last_fault.error & 8))
			why = fail("bit %lu of an address is taken", (u64)bit);
	}
	return why;
}

/* RAM is all there, and each page is its own. */
static const char *run_ram(void)
{
	extern u8 bss_end[];
	u64 at, first = ((u64)bss_end + PAGE - 1) & ~(u64)(PAGE - 1);

	for (at = first; at < memory_size; at += PAGE)
		write64(at, at ^ PATTERN);
	for (at = first; at < memory_size; at += PAGE)
		if (read64(at) != (at ^ PATTERN))
			return fail("%lx", at);
	return NULL;
}

/* What a partition finds when it starts is zero: nothing of who had the memory before. */
static const char *run_zeroed(void)
{
	extern u8 bss_end[];
	u64 at;

	for (at = ((u64)bss_end + 7) & ~7ull; at < memory_size; at += 8)
		if (read64(at))
			return fail("%lx at %lx", read64(at), at);
	return NULL;
}

/* The devices that there are answer. */
static const char *run_devices(void)
{
	u32 period = read32(HPET + 4);

	if (period == 0 || period > 100000000)
		return fail("HPET: period %lx", (u64)period);
	write32(IOAPIC, 1);
	if ((read32(IOAPIC + 0x10) & 0xff0000) != 0x170000)
		return fail("I/O APIC: version %lx", (u64)read32(IOAPIC + 0x10));
	if ((read32(LAPIC + 0x30) & 0xf0) != 0x10)
		return fail("local APIC: version %lx", (u64)read32(LAPIC + 0x30));
	return NULL;
}

static const struct test tests[] = {
	{ "pages", run_pages },
	{ "edges", run_edges },
	{ "gigabytes", run_gigabytes },
	{ "powers_of_two", run_powers_of_two },
	{ "ram", run_ram },
	{ "zeroed", run_zeroed },
	{ "devices", run_devices },
};

const struct test_group memory_tests = { tests, ARRAY_SIZE(tests) };
