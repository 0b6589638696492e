// SPDX-License-Identifier: GPL-2.0-only
/* Pages shown for a moment: where they are seen, and that nothing is left of them. */
#include "unit.h"
#include "ept_supplier.h"
#include "ept-shadow/graft.h"
#include "ept-shadow/mtrr.h"

#define PAGE		0x1234567000ull
#define RAM		0x40000000ull		/* in the EPT: 8 MiB from here */
#define RAM_SIZE	0x800000ull

struct machine {
	struct supplier supplier;
	struct ept ept;
	struct ept_graft graft;
};

static void machine_init(struct machine *m)
{
	supplier_init(&m->supplier, &m->ept, 0x1200000000ull);
	assert_int_equal(ept_init(&m->ept), 0);
	assert_int_equal(ept_map(&m->ept, RAM, 0, RAM_SIZE, EPT_RWX, MTRR_WB), 0);
	/* a page in a table of its own, with nothing beside it */
	assert_int_equal(ept_map(&m->ept, RAM + RAM_SIZE, 0x800000, AVMM_PAGE_SIZE, EPT_R, MTRR_UC), 0);
	assert_int_equal(ept_graft_init(&m->graft, &m->ept, PAGE), 0);
}

/* All tables of the supplier, as they were before. */
static u64 (*snapshot(const struct machine *m))[EPT_ENTRIES]
{
	u64 (*copy)[EPT_ENTRIES] = calloc(m->supplier.used, sizeof(*copy));
	u32 i;

	assert_non_null(copy);
	for (i = 0; i < m->supplier.used; i++)
		memcpy(copy[i], m->supplier.page[i], sizeof(*copy));
	return copy;
}

static void assert_unchanged(const struct machine *m, u64 (*copy)[EPT_ENTRIES])
{
	u32 i;

	for (i = 0; i < m->supplier.used; i++)
		assert_memory_equal(copy[i], m->supplier.page[i], sizeof(*copy));
}

static void assert_shown(const struct machine *m, u64 gpa, u64 perms)
{
	struct ept_entry e = ept_walk(&m->ept, gpa);

	assert_int_equal(e.level, 1);
	assert_int_equal(e.entry, PAGE | perms | MTRR_WB << EPT_TYPE_SHIFT);
}

static void test_anywhere(void **state)
{
	struct machine m;
	u64 (*before)[EPT_ENTRIES], seed = 1, gpa[GRAFT_PAGES];
	u32 used, round, i;

	(void)state;
	machine_init(&m);
	before = snapshot(&m);
	used = m.supplier.used;
	for (round = 0; round < 20000; round++) {
		for (i = 0; i < GRAFT_PAGES; i++) {
			gpa[i] = random_u64(&seed) >> (16 + random_below(&seed, 30));
			if (gpa[i] - RAM <= RAM_SIZE)
				gpa[i] += 2 * RAM_SIZE;
			assert_true(ept_graft(&m.graft, gpa[i], EPT_R | EPT_X));
		}
		for (i = 0; i < GRAFT_PAGES; i++)
			assert_shown(&m, gpa[i], EPT_R | EPT_X);
		assert_int_equal(ept_walk(&m.ept, RAM).level, 2);
		ept_prune(&m.graft);
		for (i = 0; i < GRAFT_PAGES; i++)
			assert_int_equal(ept_walk(&m.ept, gpa[i]).entry & EPT_RWX, 0);
	}
	assert_unchanged(&m, before);
	assert_int_equal(m.supplier.used, used);
	free(before);
	supplier_free(&m.supplier);
}

static void test_rights_grow(void **state)
{
	struct machine m;
	u64 (*before)[EPT_ENTRIES], gpa = 0xd0000123;

	(void)state;
	machine_init(&m);
	before = snapshot(&m);
	assert_true(ept_graft(&m.graft, gpa, EPT_R | EPT_X));
	assert_true(ept_graft(&m.graft, gpa, EPT_RWX));
	assert_shown(&m, gpa, EPT_RWX);
	assert_true(ept_graft(&m.graft, gpa, EPT_R));
	assert_shown(&m, gpa, EPT_RWX);
	ept_prune(&m.graft);
	assert_unchanged(&m, before);
	free(before);
	supplier_free(&m.supplier);
}

/* What is there stays; and an entry that was taken away on purpose is taken away again afterwards. */
static void test_not_over_others(void **state)
{
	struct machine m;
	u64 (*before)[EPT_ENTRIES];

	(void)state;
	machine_init(&m);
	assert_int_equal(ept_unmap(&m.ept, RAM + AVMM_PAGE_SIZE, AVMM_PAGE_SIZE), 0);
	before = snapshot(&m);
	assert_false(ept_graft(&m.graft, RAM, EPT_RWX));
	assert_false(ept_graft(&m.graft, RAM + RAM_SIZE, EPT_RWX));
	assert_false(ept_graft(&m.graft, RAM + RAM_SIZE / 2, EPT_RWX));
	assert_false(ept_graft(&m.graft, 1ull << EPT_GPA_BITS, EPT_RWX));
	assert_unchanged(&m, before);
	assert_true(ept_graft(&m.graft, RAM + AVMM_PAGE_SIZE, EPT_RWX));
	assert_shown(&m, RAM + AVMM_PAGE_SIZE, EPT_RWX);
	ept_prune(&m.graft);
	assert_unchanged(&m, before);
	free(before);
	supplier_free(&m.supplier);
}

/* The reserve ends: a refusal, no change, and all of it is there again afterwards. */
static void test_reserve_ends(void **state)
{
	struct machine m;
	u64 (*before)[EPT_ENTRIES], i, n[2];
	unsigned int round;

	(void)state;
	machine_init(&m);
	before = snapshot(&m);
	for (round = 0; round < 2; round++) {
		for (i = 1; ept_graft(&m.graft, i << 39, EPT_R); i++)
			assert_true(i <= GRAFT_PAGES);
		assert_int_equal(ept_walk(&m.ept, i << 39).level, EPT_LEVELS);
		n[round] = i;
		ept_prune(&m.graft);
		assert_unchanged(&m, before);
	}
	assert_int_equal(n[0], GRAFT_PAGES + 1);
	assert_int_equal(n[1], n[0]);
	/* side by side they need less, but there is an end of it, too */
	for (i = 0; ept_graft(&m.graft, 0xd0000000 + i * AVMM_PAGE_SIZE, EPT_R); i++)
		assert_true(i < GRAFT_CHANGES);
	ept_prune(&m.graft);
	assert_unchanged(&m, before);
	free(before);
	supplier_free(&m.supplier);
}

static void test_no_memory(void **state)
{
	struct machine m;

	(void)state;
	supplier_init(&m.supplier, &m.ept, 0x1200000000ull);
	m.supplier.limit = GRAFT_TABLES;
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_graft_init(&m.graft, &m.ept, PAGE), -ENOMEM);
	supplier_free(&m.supplier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anywhere),
		cmocka_unit_test(test_rights_grow),
		cmocka_unit_test(test_not_over_others),
		cmocka_unit_test(test_reserve_ends),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
