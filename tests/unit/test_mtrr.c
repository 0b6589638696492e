// SPDX-License-Identifier: GPL-2.0-only
/* MTRRs: the rules of the SDM one by one, and mtrr_uniform() against a look at every page. */
#include "unit.h"
#include "random_mtrr.h"

static void set_range(struct avmm_mtrr *mtrr, int i, u64 base, u64 size, u32 type)
{
	mtrr->var[i].base = base | type;
	mtrr->var[i].mask = (~(size - 1) & 0xffffffffff000ull) | MTRR_VALID;
	if ((int)(mtrr->cap & MTRR_CAP_VCNT) <= i)
		mtrr->cap = (mtrr->cap & ~(u64)MTRR_CAP_VCNT) | (i + 1);
}

static void disabled_is_uncached(void **state)
{
	struct avmm_mtrr mtrr = { .cap = MTRR_CAP_FIX, .def_type = MTRR_FE | MTRR_WB };

	(void)state;
	memset(mtrr.fixed, MTRR_WB, sizeof(mtrr.fixed));
	set_range(&mtrr, 0, 0, 1ull << 32, MTRR_WB);
	assert_int_equal(mtrr_type(&mtrr, 0), MTRR_UC);
	assert_int_equal(mtrr_type(&mtrr, 0x200000), MTRR_UC);
	assert_true(mtrr_uniform(&mtrr, 0, 1ull << 30));
	mtrr.def_type |= MTRR_E;
	assert_int_equal(mtrr_type(&mtrr, 0x200000), MTRR_WB);
}

static void default_type_where_no_range_is(void **state)
{
	struct avmm_mtrr mtrr = { .def_type = MTRR_E | MTRR_WC };

	(void)state;
	assert_int_equal(mtrr_type(&mtrr, 0), MTRR_WC);
	set_range(&mtrr, 0, 0x80000000, 0x40000000, MTRR_WB);
	assert_int_equal(mtrr_type(&mtrr, 0x7ffff000), MTRR_WC);
	assert_int_equal(mtrr_type(&mtrr, 0x80000000), MTRR_WB);
	assert_int_equal(mtrr_type(&mtrr, 0xbffff000), MTRR_WB);
	assert_int_equal(mtrr_type(&mtrr, 0xc0000000), MTRR_WC);
	mtrr.var[0].mask &= ~(u64)MTRR_VALID;
	assert_int_equal(mtrr_type(&mtrr, 0x80000000), MTRR_WC);
}

static void ranges_beyond_the_count_are_not_there(void **state)
{
	struct avmm_mtrr mtrr = { .def_type = MTRR_E | MTRR_WB };

	(void)state;
	set_range(&mtrr, 0, 0x80000000, 0x40000000, MTRR_UC);
	mtrr.cap = 0;
	assert_int_equal(mtrr_type(&mtrr, 0x80000000), MTRR_WB);
	mtrr.cap = 0xff;	/* more than the structure holds */
	assert_int_equal(mtrr_type(&mtrr, 0x80000000), MTRR_UC);
	set_range(&mtrr, AVMM_MAX_VAR_MTRRS - 1, 0x40000000, 0x40000000, MTRR_UC);
	assert_int_equal(mtrr_type(&mtrr, 0x40000000), MTRR_UC);
	assert_false(mtrr_uniform(&mtrr, 0, 1ull << 31));
	mtrr.cap = AVMM_MAX_VAR_MTRRS - 1;
	assert_int_equal(mtrr_type(&mtrr, 0x40000000), MTRR_WB);
}

static void fixed_ranges(void **state)
{
	static const struct {
		u32 addr;
		u32 reg;
		u32 byte;
	} row[] = {
		{ 0x00000, 0, 0 }, { 0x0f000, 0, 0 }, { 0x10000, 0, 1 }, { 0x7f000, 0, 7 }, { 0x80000, 1, 0 },
		{ 0x83000, 1, 0 }, { 0x84000, 1, 1 }, { 0x9f000, 1, 7 }, { 0xa0000, 2, 0 }, { 0xbf000, 2, 7 },
		{ 0xc0000, 3, 0 }, { 0xc7000, 3, 7 }, { 0xc8000, 4, 0 }, { 0xd0000, 5, 0 }, { 0xd8000, 6, 0 },
		{ 0xe0000, 7, 0 }, { 0xe8000, 8, 0 }, { 0xf0000, 9, 0 }, { 0xf8000, 10, 0 }, { 0xff000, 10, 7 },
	};
	struct avmm_mtrr mtrr = { .cap = MTRR_CAP_FIX, .def_type = MTRR_E | MTRR_FE | MTRR_WB };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		memset(mtrr.fixed, MTRR_WB, sizeof(mtrr.fixed));
		mtrr.fixed[row[i].reg] &= ~(0xffull << (row[i].byte * 8));
		mtrr.fixed[row[i].reg] |= (u64)MTRR_WP << (row[i].byte * 8);
		assert_int_equal(mtrr_type(&mtrr, row[i].addr), MTRR_WP);
	}
	assert_int_equal(mtrr_type(&mtrr, 0x100000), MTRR_WB);
	set_range(&mtrr, 0, 0, 0x200000, MTRR_UC);	/* fixed ranges go before variable ones */
	assert_int_equal(mtrr_type(&mtrr, 0xff000), MTRR_WP);
	mtrr.def_type &= ~(u64)MTRR_FE;
	assert_int_equal(mtrr_type(&mtrr, 0xff000), MTRR_UC);
	mtrr.def_type |= MTRR_FE;
	mtrr.cap &= ~(u64)MTRR_CAP_FIX;
	assert_int_equal(mtrr_type(&mtrr, 0xff000), MTRR_UC);
}

static void overlaps(void **state)
{
	static const u32 row[][3] = {
		{ MTRR_WB, MTRR_WB, MTRR_WB }, { MTRR_WB, MTRR_UC, MTRR_UC }, { MTRR_WC, MTRR_UC, MTRR_UC },
		{ MTRR_WT, MTRR_UC, MTRR_UC }, { MTRR_WP, MTRR_UC, MTRR_UC }, { MTRR_WT, MTRR_WB, MTRR_WT },
		{ MTRR_WT, MTRR_WT, MTRR_WT }, { MTRR_WC, MTRR_WB, MTRR_UC }, { MTRR_WP, MTRR_WB, MTRR_UC },
		{ MTRR_WP, MTRR_WT, MTRR_UC }, { MTRR_WC, MTRR_WC, MTRR_WC }, { MTRR_WC, MTRR_WP, MTRR_UC },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct avmm_mtrr mtrr = { .def_type = MTRR_E | MTRR_WB };

		set_range(&mtrr, 0, 0, 1ull << 32, row[i][0]);
		set_range(&mtrr, 1, 1ull << 31, 1ull << 20, row[i][1]);
		assert_int_equal(mtrr_type(&mtrr, 1ull << 31), row[i][2]);
		assert_int_equal(mtrr_type(&mtrr, 1ull << 30), row[i][0]);
		set_range(&mtrr, 1, 0, 1ull << 32, row[i][0]);
		set_range(&mtrr, 0, 1ull << 31, 1ull << 20, row[i][1]);
		assert_int_equal(mtrr_type(&mtrr, 1ull << 31), row[i][2]);
	}
}

static void reserved_types_are_uncached(void **state)
{
	struct avmm_mtrr mtrr = { .def_type = MTRR_E | 7 };

	(void)state;
	assert_int_equal(mtrr_type(&mtrr, 0), MTRR_UC);
	set_range(&mtrr, 0, 0, 1ull << 32, 3);
	assert_int_equal(mtrr_type(&mtrr, 0), MTRR_UC);
}

/* Two halves that join to one type, and a hole that another range covers up, are uniform. */
static void uniform_sees_through_joints(void **state)
{
	struct avmm_mtrr mtrr = { .def_type = MTRR_E | MTRR_UC };

	(void)state;
	set_range(&mtrr, 0, 1ull << 30, 1ull << 29, MTRR_WB);
	assert_false(mtrr_uniform(&mtrr, 1ull << 30, 1ull << 30));
	set_range(&mtrr, 1, (1ull << 30) + (1ull << 29), 1ull << 29, MTRR_WB);
	assert_true(mtrr_uniform(&mtrr, 1ull << 30, 1ull << 30));
	set_range(&mtrr, 2, (1ull << 30) + 0x5000, 0x1000, MTRR_WB);
	assert_true(mtrr_uniform(&mtrr, 1ull << 30, 1ull << 30));
	set_range(&mtrr, 2, (1ull << 30) + 0x5000, 0x1000, MTRR_WT);
	assert_false(mtrr_uniform(&mtrr, 1ull << 30, 1ull << 30));
	assert_false(mtrr_uniform(&mtrr, 1ull << 30, 1ull << 21));
	assert_true(mtrr_uniform(&mtrr, (1ull << 30) + 0x200000, 1ull << 21));
	set_range(&mtrr, 3, 0, 1ull << 39, MTRR_UC);
	assert_true(mtrr_uniform(&mtrr, 1ull << 30, 1ull << 30));
}

static bool uniform_by_looking(const struct avmm_mtrr *mtrr, u64 base, u64 size)
{
	u64 addr;

	for (addr = base; addr < base + size; addr += AVMM_PAGE_SIZE)
		if (mtrr_type(mtrr, addr) != mtrr_type(mtrr, base))
			return false;
	return true;
}

static void uniform_equals_looking_at_every_page(void **state)
{
	u64 seed = 0x4d545252, uniform = 0, mixed = 0;
	int set, i;

	(void)state;
	for (set = 0; set < 300; set++) {
		struct avmm_mtrr mtrr;

		random_mtrr(&seed, &mtrr, 36);
		for (i = 0; i < 40; i++) {
			u64 size = 1ull << (12 + random_below(&seed, 11));
			u64 base = random_address(&seed, &mtrr, 36) & ~(size - 1);
			bool same = uniform_by_looking(&mtrr, base, size);

			assert_int_equal(mtrr_uniform(&mtrr, base, size), same);
			uniform += same;
			mixed += !same;
		}
	}
	assert_true(uniform > 1000 && mixed > 1000);	/* else the sets are too dull to prove anything */
}

/* Masks with holes are legal for the CPU: never wrong, and never slow. */
static void masks_with_holes_are_bounded(void **state)
{
	struct avmm_mtrr mtrr = { .cap = 32, .def_type = MTRR_E | MTRR_WB };
	int i;

	(void)state;
	for (i = 0; i < AVMM_MAX_VAR_MTRRS; i++) {
		mtrr.var[i].base = MTRR_WB;
		mtrr.var[i].mask = MTRR_VALID | 0x5000;
	}
	assert_false(mtrr_uniform(&mtrr, 0, 1ull << 30));	/* WB all over, but too long to look through */
	assert_true(mtrr_uniform(&mtrr, 0, 1ull << 21));
	mtrr.var[7].base = MTRR_UC | 0x4000;
	assert_false(mtrr_uniform(&mtrr, 0, 1ull << 21));
	assert_int_equal(mtrr_type(&mtrr, 0x6000), MTRR_UC);
	assert_int_equal(mtrr_type(&mtrr, 0x5000), MTRR_WB);
}

/* What WRMSR takes: SDM volume 3, 12.11.2. */
static void values_of_the_registers(void **state)
{
	unsigned int type, i;

	(void)state;
	for (type = 0; type < 256; type++) {
		bool good = type == 0 || type == 1 || (type >= 4 && type <= 6);

		assert_int_equal(mtrr_msr_valid(0x2ff, type | MTRR_E | MTRR_FE, 40), good);
		assert_int_equal(mtrr_msr_valid(0x200, 0xfffffff000ull | type, 40), good);
		for (i = 0; i < 8; i++)
			assert_int_equal(mtrr_msr_valid(0x268, (u64)type << 8 * i, 40), good);
	}
	assert_false(mtrr_msr_valid(0x2ff, 1 << 8, 40));
	assert_false(mtrr_msr_valid(0x2ff, 1 << 12, 40));
	assert_false(mtrr_msr_valid(0x202, 1ull << 40, 40));
	assert_false(mtrr_msr_valid(0x202, 0x100, 40));
	assert_true(mtrr_msr_valid(0x203, 0xffc0000800ull, 40));
	assert_false(mtrr_msr_valid(0x203, 0xffc0000400ull, 40));
	assert_false(mtrr_msr_valid(0x203, 0x1ffc0000800ull, 40));
	assert_true(mtrr_msr_valid(0x20f, 0xfffffc0000800ull, 52));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disabled_is_uncached),
		cmocka_unit_test(default_type_where_no_range_is),
		cmocka_unit_test(ranges_beyond_the_count_are_not_there),
		cmocka_unit_test(fixed_ranges),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(reserved_types_are_uncached),
		cmocka_unit_test(uniform_sees_through_joints),
		cmocka_unit_test(uniform_equals_looking_at_every_page),
		cmocka_unit_test(masks_with_holes_are_bounded),
		cmocka_unit_test(values_of_the_registers),
	};

	return cmocka_run_group_tests_name("mtrr", tests, NULL, NULL);
}
