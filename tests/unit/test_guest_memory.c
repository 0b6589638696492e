// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest page walk against a second one that follows the SDM's tables bit by bit, on random page tables in all
 * modes; and by hand what is not a walk: two pages, races, read-only tables, segments.
 *
 * The mapping window is strict: a page that was mapped before the last one is poisoned, one mapped for reading must
 * not change.
 */
#include "unit.h"
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include "monitor/guest-memory.h"

#define PAGES		16u
#define RAM_SIZE	(PAGES * AVMM_PAGE_SIZE)
#define NO_PAGE		(~0ull)

#define CR0_PE		(1u << 0)
#define CR0_WP		(1u << 16)
#define CR0_PG		(1u << 31)
#define CR4_PSE		(1u << 4)
#define CR4_PAE		(1u << 5)
#define CR4_LA57	(1u << 12)
#define CR4_SMEP	(1u << 20)
#define CR4_SMAP	(1u << 21)
#define CR4_PKE		(1u << 22)
#define CR4_PKS		(1u << 24)
#define EFER_LMA	(1u << 10)
#define EFER_NXE	(1u << 11)

/* Page-aligned, so that poisoning takes whole pages; RAM is at guest-physical 0. */
static u8 ram[RAM_SIZE] __attribute__((aligned(4096)));
static u8 expected[RAM_SIZE];
static u8 snapshot[4096];
static u64 mapped = NO_PAGE;
static bool mapped_for_write;
static u64 read_only = NO_PAGE;		/* a page that cannot be mapped for writing */
static void (*at_write_map)(void);	/* what another CPU does just before */

static void unmap(void)
{
	if (mapped != NO_PAGE && !mapped_for_write)
		assert_memory_equal(ram + mapped, snapshot, AVMM_PAGE_SIZE);
	mapped = NO_PAGE;
	__asan_poison_memory_region(ram, RAM_SIZE);
}

static void *map(void *ctx, u64 gpa, bool write)
{
	assert_ptr_equal(ctx, &mapped);
	assert_int_equal(gpa % AVMM_PAGE_SIZE, 0);
	unmap();
	if (gpa >= RAM_SIZE || (write && gpa == read_only))
		return NULL;
	__asan_unpoison_memory_region(ram + gpa, AVMM_PAGE_SIZE);
	if (write && at_write_map)
		at_write_map();
	mapped = gpa;
	mapped_for_write = write;
	if (!write)
		memcpy(snapshot, ram + gpa, AVMM_PAGE_SIZE);
	return ram + gpa;
}

/* Opens RAM to the test itself. */
static void open_ram(void)
{
	unmap();
	__asan_unpoison_memory_region(ram, RAM_SIZE);
}

/* The second walk. Bits by number, as the SDM's tables have them. */

struct outcome {
	enum guest_result result;
	u64 gpa;
	struct guest_fault fault;
};

enum { P, RW, US, PWT, PCD, A, D, PS };

static bool bit(u64 value, unsigned int n)
{
	return value >> n & 1;
}

/* SDM volume 3, tables 4-4 to 4-6 (32-bit), 4-9 to 4-11 (PAE), 4-15 to 4-20 (4 and 5 levels). */
static bool bit_is_reserved(const struct guest_memory *m, enum guest_paging paging, int level, u64 entry, int n)
{
	bool large = level > 0 && bit(entry, PS);

	if (paging == PAGING_32) {
		if (level == 0 || !large || !(m->cr4 & CR4_PSE))
			return false;
		if (n < 13 || n > 21)
			return false;
		return !m->pse36 || n == 21 || 32 + n - 13 >= m->physical_bits;
	}
	if (n == 63)
		return !(m->efer & EFER_NXE);
	if (n >= 52)
		return paging == PAGING_PAE;
	if (n >= m->physical_bits)
		return true;
	if (!large)
		return false;
	if (level >= 3 || (level == 2 && !m->gigabyte_pages))
		return n == PS;
	return n >= 13 && n < (level == 1 ? 21 : 30);
}

static bool has_reserved(const struct guest_memory *m, enum guest_paging paging, int level, u64 entry)
{
	int n;

	for (n = 0; n < (paging == PAGING_32 ? 32 : 64); n++)
		if (bit(entry, n) && bit_is_reserved(m, paging, level, entry, n))
			return true;
	return false;
}

/* 4.6.1, statement by statement; us, rw, nx are those of the translation. */
static bool is_allowed(const struct guest_memory *m, u32 access, bool us, bool rw, bool nx)
{
	bool wp = m->cr0 & CR0_WP, smap = m->cr4 & CR4_SMAP, smep = m->cr4 & CR4_SMEP;
	bool explicit_ac = m->alignment_check && !(access & GUEST_IMPLICIT);

	if (access & GUEST_USER) {			/* user-mode accesses */
		if (!us)
			return false;
		if (access & GUEST_FETCH)
			return !nx;
		return access & GUEST_WRITE ? rw : true;
	}
	if (access & GUEST_FETCH) {			/* supervisor-mode fetches */
		if (us && smep)
			return false;
		return !nx;
	}
	if (us && smap && !explicit_ac)			/* data, user-mode address */
		return false;
	if (access & GUEST_WRITE)
		return rw || !wp;
	return true;
}

/* 4.6.2 */
static bool key_allows(const struct guest_memory *m, enum guest_paging paging, u32 access, bool us, u64 entry)
{
	u32 i = entry >> 59 & 15, reg = us ? m->pkru : m->pkrs;
	bool on = m->cr4 & (us ? CR4_PKE : CR4_PKS);
	bool ad = bit(reg, 2 * i), wd = bit(reg, 2 * i + 1);

	if (!on || paging < PAGING_4LEVEL || (access & GUEST_FETCH))
		return true;
	if (ad)
		return false;
	if (wd && (access & GUEST_WRITE))
		return !(access & GUEST_USER) && !(m->cr0 & CR0_WP);
	return true;
}

static struct outcome page_fault(const struct guest_memory *m, u64 linear, u32 access, bool p, bool rsvd, bool pk)
{
	bool tells_id = (m->cr4 & CR4_SMEP) || ((m->cr4 & CR4_PAE) && (m->efer & EFER_NXE));
	u32 error = p | !!(access & GUEST_WRITE) << 1 | !!(access & GUEST_USER) << 2 | rsvd << 3 |
		    (tells_id && (access & GUEST_FETCH)) << 4 | pk << 5;

	return (struct outcome) { .result = GUEST_FAULT, .fault = { .vector = 14, .error_code = error, .cr2 = linear } };
}

static u64 entry_at(const u8 *memory, u64 gpa, int size)
{
	u64 entry = 0;

	if (gpa >= RAM_SIZE)
		return size == 4 ? 0xffffffff : ~0ull;
	memcpy(&entry, memory + gpa, size);
	return entry;
}

static void set_bit(u8 *memory, u64 gpa, int n)
{
	if (gpa < RAM_SIZE)
		memory[gpa] |= 1 << n;
}

static u64 frame(const struct guest_memory *m, enum guest_paging paging, int shift, u64 entry)
{
	u64 address = 0;
	int n;

	for (n = shift; n < (paging == PAGING_32 ? 32 : m->physical_bits); n++)
		address |= entry & (1ull << n);
	if (paging == PAGING_32 && shift == 22 && m->pse36)
		for (n = 13; n <= 20; n++)
			address |= (u64)bit(entry, n) << (32 + n - 13);
	return address;
}

static enum guest_paging mode_of(const struct guest_memory *m)
{
	if (!(m->cr0 & CR0_PG))
		return PAGING_NONE;
	if (!(m->cr4 & CR4_PAE))
		return PAGING_32;
	if (!(m->efer & EFER_LMA))
		return PAGING_PAE;
	return m->cr4 & CR4_LA57 ? PAGING_5LEVEL : PAGING_4LEVEL;
}

static struct outcome reference_level(const struct guest_memory *m, u8 *memory, u64 table, int level, u64 linear,
				      u32 access, bool us, bool rw, bool nx)
{
	enum guest_paging paging = mode_of(m);
	int size = paging == PAGING_32 ? 4 : 8, bits = paging == PAGING_32 ? 10 : 9, shift = 12 + level * bits;
	u64 at = table + (linear >> shift) % (1u << bits) * size, entry = entry_at(memory, at, size);
	bool large = level == 0 || (bit(entry, PS) && (paging != PAGING_32 || (m->cr4 & CR4_PSE))), key;

	if (!bit(entry, P))
		return page_fault(m, linear, access, false, false, false);
	if (has_reserved(m, paging, level, entry))
		return page_fault(m, linear, access, true, true, false);
	us = us && bit(entry, US);
	rw = rw && bit(entry, RW);
	nx = nx || (size == 8 && bit(entry, 63));
	if (!large) {
		set_bit(memory, at, A);
		return reference_level(m, memory, frame(m, paging, 12, entry), level - 1, linear, access, us, rw, nx);
	}
	key = key_allows(m, paging, access, us, entry);
	if (!is_allowed(m, access, us, rw, nx) || !key)
		return page_fault(m, linear, access, true, false, !key);
	set_bit(memory, at, A);
	if ((access & GUEST_WRITE) && !(access & GUEST_PROBE))
		set_bit(memory, at, D);
	return (struct outcome) { .gpa = frame(m, paging, shift, entry) + linear % (1ull << shift) };
}

static struct outcome reference(const struct guest_memory *m, u8 *memory, u64 linear, u32 access)
{
	enum guest_paging paging = mode_of(m);
	u64 table = frame(m, paging, 12, m->cr3), upper;

	if (paging < PAGING_4LEVEL || (!m->long_code && !(access & GUEST_IMPLICIT)))
		linear %= 1ull << 32;
	switch (paging) {
	case PAGING_NONE:
		return (struct outcome) { .gpa = linear };
	case PAGING_32:
		return reference_level(m, memory, table, 1, linear, access, true, true, false);
	case PAGING_PAE:
		if (!bit(m->pdpte[linear >> 30], P))
			return page_fault(m, linear, access, false, false, false);
		return reference_level(m, memory, frame(m, paging, 12, m->pdpte[linear >> 30]), 1, linear, access,
				       true, true, false);
	default:
		upper = linear >> (paging == PAGING_5LEVEL ? 56 : 47);
		if (upper && upper != ~0ull >> (paging == PAGING_5LEVEL ? 56 : 47))
			return (struct outcome) { .result = GUEST_FAULT,
						  .fault.vector = access & GUEST_STACK ? 12 : 13 };
		return reference_level(m, memory, table, paging == PAGING_5LEVEL ? 4 : 3, linear, access, true, true,
				       false);
	}
}

/* Random tables and CPUs: most walks get to the end, each rule is broken often enough. */

static u64 seed = 11;

static bool one_in(unsigned int n)
{
	return !random_below(&seed, n);
}

static u64 random_entry(bool wide)
{
	u64 entry = random_below(&seed, one_in(40) ? 2 * PAGES : PAGES) << 12;

	entry |= (u64)!one_in(24) << P | (u64)!one_in(6) << RW | (u64)!one_in(6) << US | (random_u64(&seed) & 0xf78);
	if (one_in(6))
		entry |= 1ull << PS;
	if ((entry & (1ull << PS)) && !one_in(4))
		entry &= ~0x3fe000ull;			/* not with reserved bits of a large page */
	if (one_in(40))
		entry |= 1ull << random_below(&seed, wide ? 64 : 32);
	if ((entry & (1ull << PS)) && one_in(4))
		entry |= 1ull << (12 + random_below(&seed, 20));
	if (wide)
		entry |= (u64)one_in(10) << 63 | (one_in(4) ? random_below(&seed, 16) << 59 : 0);
	return entry;
}

static void random_tables(bool wide)
{
	size_t i;

	open_ram();
	for (i = 0; i < RAM_SIZE; i += wide ? 8 : 4) {
		u64 entry = random_entry(wide);

		memcpy(ram + i, &entry, wide ? 8 : 4);
	}
	memcpy(expected, ram, RAM_SIZE);
}

static struct guest_memory random_cpu(enum guest_paging paging)
{
	static const u8 physical_bits[] = { 32, 36, 39, 40, 46, 52 };
	struct guest_memory m = { .map = map, .ctx = &mapped };
	int i;

	m.cr0 = CR0_PE | (paging ? CR0_PG : 0) | (one_in(2) ? CR0_WP : 0);
	m.cr4 = (random_u64(&seed) & (CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PKS)) |
		(paging >= PAGING_PAE ? CR4_PAE : 0) | (paging == PAGING_5LEVEL ? CR4_LA57 : 0);
	m.efer = (paging >= PAGING_4LEVEL ? EFER_LMA : 0) | (one_in(4) ? 0 : EFER_NXE);
	m.cr3 = random_below(&seed, PAGES) << 12 | (random_u64(&seed) & 0xfff);
	for (i = 0; i < 4; i++)
		m.pdpte[i] = random_below(&seed, PAGES) << 12 | !one_in(8);
	m.pkru = random_u64(&seed);
	m.pkrs = random_u64(&seed);
	m.physical_bits = physical_bits[random_below(&seed, sizeof(physical_bits))];
	m.gigabyte_pages = one_in(2);
	m.pse36 = one_in(2);
	m.alignment_check = one_in(2);
	m.long_code = paging >= PAGING_4LEVEL && !one_in(4);
	return m;
}

static u64 random_linear(void)
{
	u64 linear = random_u64(&seed);

	switch (random_below(&seed, 8)) {
	case 0:
		return linear;
	case 1:
		return linear & 0xffffffff;
	case 2:
		return (u64)((s64)(linear << 7) >> 7);
	default:
		return (u64)((s64)(linear << 16) >> 16);
	}
}

static u32 random_access(void)
{
	static const u32 kinds[] = { GUEST_READ, GUEST_WRITE, GUEST_FETCH, GUEST_WRITE | GUEST_PROBE };
	static const u32 modes[] = { 0, GUEST_USER, GUEST_STACK, GUEST_USER | GUEST_STACK, GUEST_IMPLICIT };

	return kinds[random_below(&seed, ARRAY_SIZE(kinds))] | modes[random_below(&seed, ARRAY_SIZE(modes))];
}

static bool same_fault(const struct guest_fault *a, const struct guest_fault *b)
{
	return a->vector == b->vector && a->error_code == b->error_code && a->cr2 == b->cr2;
}

static struct outcome compare_walks(struct guest_memory *m)
{
	u64 linear = random_linear(), gpa = 0;
	u32 access = random_access();
	struct outcome want = reference(m, expected, linear, access);
	enum guest_result got = guest_translate(m, linear, access, &gpa);

	if (got != want.result || (got == GUEST_DONE ? gpa != want.gpa : !same_fault(&m->fault, &want.fault)))
		fail_msg("paging %d linear %llx access %x: result %d gpa %llx error %x, want %d %llx %x", mode_of(m),
			 (long long)linear, access, got, (long long)gpa, m->fault.error_code, want.result,
			 (long long)want.gpa, want.fault.error_code);
	return want;
}

static void walks_agree(enum guest_paging paging)
{
	u32 done = 0, errors[64] = { 0 }, i, j;

	for (i = 0; i < 400; i++) {
		random_tables(paging != PAGING_32);
		for (j = 0; j < 400; j++) {
			struct guest_memory m = random_cpu(paging);
			struct outcome o = compare_walks(&m);

			assert_int_equal(guest_paging(&m), paging);
			done += o.result == GUEST_DONE;
			if (o.fault.vector == 14)
				errors[o.fault.error_code]++;
		}
		open_ram();
		assert_memory_equal(ram, expected, RAM_SIZE);
	}
	assert_true(done > 10000);
	if (paging == PAGING_NONE)
		return;
	assert_true(errors[0] && errors[1 | 2] && errors[1 | 4] && errors[1 | 16 | 4] && errors[2 | 4]);
	assert_true(errors[9] && errors[1 | 16]);
	assert_true(!errors[1 | 32] == (paging < PAGING_4LEVEL));
}

#define WALK_TEST(name, paging)			\
	static void name(void **state)		\
	{					\
		(void)state;			\
		walks_agree(paging);		\
	}

WALK_TEST(no_paging, PAGING_NONE)
WALK_TEST(paging_of_32_bits, PAGING_32)
WALK_TEST(paging_with_pae, PAGING_PAE)
WALK_TEST(paging_of_4_levels, PAGING_4LEVEL)
WALK_TEST(paging_of_5_levels, PAGING_5LEVEL)

/* By hand: 4 levels in pages 0 to 3; linear 0, 0x1000 … are PTEs 0, 1 … and by default pages 8, 9 … */

#define PTE(n)	(3 * AVMM_PAGE_SIZE + 8 * (n))

static u64 get_entry(u64 gpa)
{
	u64 entry;

	open_ram();
	memcpy(&entry, ram + gpa, 8);
	return entry;
}

static void put_entry(u64 gpa, u64 entry)
{
	open_ram();
	memcpy(ram + gpa, &entry, 8);
}

static struct guest_memory by_hand(void)
{
	u64 i;

	open_ram();
	memset(ram, 0, RAM_SIZE);
	for (i = 0; i < 3; i++)
		put_entry(i * AVMM_PAGE_SIZE, (i + 1) << 12 | 1 << A | 7);
	for (i = 0; i < 8; i++)
		put_entry(PTE(i), (i + 8) << 12 | 7);
	read_only = NO_PAGE;
	at_write_map = NULL;
	return (struct guest_memory) {
		.cr0 = CR0_PE | CR0_PG | CR0_WP, .cr4 = CR4_PAE, .efer = EFER_LMA | EFER_NXE, .physical_bits = 39,
		.long_code = true, .map = map, .ctx = &mapped,
	};
}

static void two_pages(void **state)
{
	struct guest_memory m = by_hand();
	u8 in[64], out[64];
	size_t n, at;

	(void)state;
	for (n = 0; n < sizeof(in); n++)
		in[n] = n + 1;
	put_entry(PTE(1), 13 << 12 | 7);
	for (n = 0; n <= sizeof(in); n++) {
		for (at = 0; at <= n; at++) {
			u64 linear = AVMM_PAGE_SIZE - at;

			assert_int_equal(guest_write(&m, linear, in, n, GUEST_USER), GUEST_DONE);
			memset(out, 0, sizeof(out));
			assert_int_equal(guest_read(&m, linear, out, n, GUEST_USER), GUEST_DONE);
			assert_memory_equal(in, out, n);
			open_ram();
			assert_memory_equal(ram + 9 * AVMM_PAGE_SIZE - at, in, at);
			assert_memory_equal(ram + 13 * AVMM_PAGE_SIZE, in + at, n - at);
		}
	}
	assert_int_equal(guest_read(&m, 0, out, AVMM_PAGE_SIZE + 1, 0), GUEST_TOO_LONG);
	assert_int_equal(guest_write(&m, 0, in, AVMM_PAGE_SIZE + 1, 0), GUEST_TOO_LONG);
}

static void a_write_to_two_pages_is_all_or_nothing(void **state)
{
	struct guest_memory m = by_hand();
	static const u64 value = ~0ull;

	(void)state;
	put_entry(PTE(1), 9 << 12 | 5);			/* the second page is read-only */
	assert_int_equal(guest_write(&m, 0xffc, &value, 8, GUEST_USER), GUEST_FAULT);
	assert_int_equal(m.fault.error_code, 7);
	assert_true(m.fault.cr2 == 0x1000);
	assert_true(get_entry(PTE(0)) == (8 << 12 | 1 << A | 7));	/* not dirty */
	assert_true(get_entry(0x8ff8) == 0);

	put_entry(PTE(0), 8 << 12 | 5);			/* both: the first one faults */
	assert_int_equal(guest_write(&m, 0xffc, &value, 8, GUEST_USER), GUEST_FAULT);
	assert_true(m.fault.cr2 == 0xffc);

	m = by_hand();
	put_entry(PTE(1), 0x12345007);			/* no memory there */
	assert_int_equal(guest_write(&m, 0xffc, &value, 8, GUEST_USER), GUEST_UNBACKED);
	assert_true(m.unbacked == 0x12345000);
	assert_true(get_entry(0x8ff8) == 0);
}

static void flips_dirty(void)
{
	u64 entry;

	memcpy(&entry, ram + PTE(0), 8);
	entry ^= 1 << 9;
	memcpy(ram + PTE(0), &entry, 8);
}

static void takes_away(void)
{
	memset(ram + PTE(0), 0, 8);
	at_write_map = NULL;
}

/* Another CPU changes the entry between our look and our flag. */
static void races_are_noticed(void **state)
{
	struct guest_memory m = by_hand();
	u64 gpa;

	(void)state;
	at_write_map = takes_away;
	assert_int_equal(guest_translate(&m, 0, GUEST_WRITE, &gpa), GUEST_FAULT);
	assert_int_equal(m.fault.error_code, 2);
	assert_true(get_entry(PTE(0)) == 0);

	m = by_hand();
	at_write_map = flips_dirty;			/* for ever */
	assert_int_equal(guest_translate(&m, 0, GUEST_WRITE, &gpa), GUEST_RETRY);
	at_write_map = NULL;
}

/* Firmware runs on tables in flash; one without memory reads as all ones, which has reserved bits. */
static void tables_that_are_not_ram(void **state)
{
	struct guest_memory m = by_hand();
	u64 gpa;

	(void)state;
	read_only = PTE(0);
	assert_int_equal(guest_translate(&m, 0x123, GUEST_WRITE, &gpa), GUEST_DONE);
	assert_true(gpa == 0x8123);
	assert_true(get_entry(PTE(0)) == (8 << 12 | 7));
	put_entry(0x2000, 0x12345007);
	assert_int_equal(guest_translate(&m, 0x123, GUEST_WRITE, &gpa), GUEST_FAULT);
	assert_int_equal(m.fault.error_code, 1 | 2 | 8);
}

static void ends_of_the_address_space(void **state)
{
	struct guest_memory m = by_hand();
	u32 value = 0;

	(void)state;
	assert_int_equal(guest_read(&m, 0x7ffffffffffe, &value, 4, 0), GUEST_FAULT);
	assert_int_equal(m.fault.vector, 14);		/* nothing mapped at the first byte */
	assert_int_equal(guest_read(&m, 0x800000000000, &value, 4, 0), GUEST_FAULT);
	assert_int_equal(m.fault.vector, 13);
	assert_int_equal(guest_read(&m, 0xffff7ffffffffffc, &value, 4, GUEST_STACK), GUEST_FAULT);
	assert_int_equal(m.fault.vector, 12);

	/* without paging and outside 64-bit code, 4 GiB is followed by 0 */
	m.cr0 = CR0_PE;
	m.efer = 0;
	m.long_code = false;
	assert_int_equal(guest_write(&m, 0xfffffffe, &value, 4, 0), GUEST_UNBACKED);
	assert_true(m.unbacked == 0xfffffffe);
	read_only = 0;
	assert_int_equal(guest_read(&m, 0xffffffff, &value, 1, 0), GUEST_UNBACKED);
	assert_int_equal(guest_read(&m, 0x100000000, &value, 4, 0), GUEST_DONE);
	assert_int_equal(guest_write(&m, 0x100000000, &value, 4, 0), GUEST_UNBACKED);
	assert_true(m.unbacked == 0);
}

static void physical_accesses(void **state)
{
	struct guest_memory m = by_hand();
	static u8 in[3 * 4096], out[3 * 4096];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(in); i++)
		in[i] = i * 7;
	assert_int_equal(guest_write_physical(&m, 0x8801, in, sizeof(in)), GUEST_DONE);
	assert_int_equal(guest_read_physical(&m, 0x8801, out, sizeof(out)), GUEST_DONE);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(guest_read_physical(&m, RAM_SIZE - 4, out, 8), GUEST_UNBACKED);
	assert_true(m.unbacked == RAM_SIZE);
	open_ram();
}

static void segment_checks(void **state)
{
	static const struct {
		struct guest_segment segment;
		u64 offset;
		size_t n;
		u32 access;
		enum guest_result result;
		u8 vector;
	} rows[] = {
		{ { 0x1000, 0xffff, 0x93 }, 0xfffc, 4, GUEST_WRITE, GUEST_DONE, 0 },
		{ { 0x1000, 0xffff, 0x93 }, 0xfffd, 4, GUEST_WRITE, GUEST_FAULT, 13 },
		{ { 0x1000, 0xffff, 0x93 }, 0xfffd, 4, GUEST_STACK, GUEST_FAULT, 12 },
		{ { 0x1000, 0xffff, 0x91 }, 0, 4, GUEST_WRITE, GUEST_FAULT, 13 },	/* read-only data */
		{ { 0x1000, 0xffff, 0x91 }, 0, 4, GUEST_READ, GUEST_DONE, 0 },
		{ { 0x1000, 0xffff, 0x9b }, 0, 4, GUEST_WRITE, GUEST_FAULT, 13 },	/* code */
		{ { 0x1000, 0xffff, 0x9b }, 0, 4, GUEST_READ, GUEST_DONE, 0 },
		{ { 0x1000, 0xffff, 0x99 }, 0, 4, GUEST_READ, GUEST_FAULT, 13 },	/* execute-only */
		{ { 0x1000, 0xffff, 0x9f }, 0, 4, GUEST_READ, GUEST_DONE, 0 },		/* conforming, not expand-down */
		{ { 0x1000, 0xfff, 0x97 }, 0xfff, 1, GUEST_WRITE, GUEST_FAULT, 13 },	/* expand-down */
		{ { 0x1000, 0xfff, 0x97 }, 0x1000, 4, GUEST_WRITE, GUEST_DONE, 0 },
		{ { 0x1000, 0xfff, 0x97 }, 0xfffe, 4, GUEST_WRITE, GUEST_FAULT, 13 },
		{ { 0x1000, 0xfff, 0x4097 }, 0xfffe, 4, GUEST_WRITE, GUEST_DONE, 0 },
		{ { 0x1000, 0xffffffff, 0x10093 }, 0, 4, GUEST_READ, GUEST_FAULT, 13 },	/* unusable */
		{ { 0xfffff000, 0xffffffff, 0xc093 }, 0x2000, 4, GUEST_READ, GUEST_DONE, 0 },
	};
	struct guest_memory m = by_hand();
	u64 linear;
	size_t i;

	(void)state;
	m.long_code = false;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(guest_linear(&m, &rows[i].segment, rows[i].offset, rows[i].n, rows[i].access, &linear),
				 rows[i].result);
		if (rows[i].result == GUEST_DONE)
			assert_true(linear == (u32)(rows[i].segment.base + rows[i].offset));
		else
			assert_int_equal(m.fault.vector, rows[i].vector);
	}
	m.cr0 = 0;		/* real mode: through CS too */
	assert_int_equal(guest_linear(&m, &rows[5].segment, 0, 4, GUEST_WRITE, &linear), GUEST_DONE);
	m.long_code = true;
	assert_int_equal(guest_linear(&m, &rows[13].segment, -8ull, 4, GUEST_WRITE, &linear), GUEST_DONE);
	assert_true(linear == 0xff8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_paging),
		cmocka_unit_test(paging_of_32_bits),
		cmocka_unit_test(paging_with_pae),
		cmocka_unit_test(paging_of_4_levels),
		cmocka_unit_test(paging_of_5_levels),
		cmocka_unit_test(two_pages),
		cmocka_unit_test(a_write_to_two_pages_is_all_or_nothing),
		cmocka_unit_test(races_are_noticed),
		cmocka_unit_test(tables_that_are_not_ram),
		cmocka_unit_test(ends_of_the_address_space),
		cmocka_unit_test(physical_accesses),
		cmocka_unit_test(segment_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
