// SPDX-License-Identifier: GPL-2.0-only
/* Barriers of the world switch, by what known CPUs enumerate. */
#include "unit.h"
#include <vmx/root/barriers.h>

#define MD_CLEAR	(1u << 10)
#define IBRS_IBPB	(1u << 26)
#define L1D_FLUSH	(1u << 28)
#define ARCH		(1u << 29)

static void nothing_enumerated(void **state)
{
	(void)state;
	assert_int_equal(barriers_needed(0, 0), 0);
	assert_int_equal(barriers_needed(1u << 31, ~0ull), 0);
}

static void skylake_with_microcode_needs_all(void **state)
{
	(void)state;
	assert_int_equal(barriers_needed(MD_CLEAR | IBRS_IBPB | L1D_FLUSH, 0), BARRIER_IBPB | BARRIER_L1D | BARRIER_VERW);
}

static void cascade_lake_is_not_open_to_l1tf(void **state)
{
	(void)state;
	/* RDCL_NO, IBRS_ALL, SKIP_L1DFL, MDS_NO; TAA remains */
	assert_int_equal(barriers_needed(MD_CLEAR | IBRS_IBPB | L1D_FLUSH | ARCH, 0x2b), BARRIER_IBPB | BARRIER_VERW);
}

static void under_a_hypervisor_that_flushes(void **state)
{
	(void)state;
	assert_int_equal(barriers_needed(L1D_FLUSH | ARCH, 0x08), 0);
}

static void clean_buffers_need_no_verw(void **state)
{
	(void)state;
	assert_int_equal(barriers_needed(MD_CLEAR | ARCH, 0x0800e121), 0);
	/* register file data sampling is all that is left */
	assert_int_equal(barriers_needed(MD_CLEAR | ARCH, 0x0000e121), BARRIER_VERW);
}

static void executable_large_pages(void **state)
{
	(void)state;
	assert_false(large_pages_may_execute(0));		/* Skylake and older have no such MSR */
	assert_false(large_pages_may_execute(0x2b));		/* Cascade Lake */
	assert_true(large_pages_may_execute(0x6b));		/* Ice Lake */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_enumerated),
		cmocka_unit_test(skylake_with_microcode_needs_all),
		cmocka_unit_test(cascade_lake_is_not_open_to_l1tf),
		cmocka_unit_test(under_a_hypervisor_that_flushes),
		cmocka_unit_test(clean_buffers_need_no_verw),
		cmocka_unit_test(executable_large_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
