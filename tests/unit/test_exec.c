// SPDX-License-Identifier: GPL-2.0-only
/* Execution without executable large pages: translations stay, rights are those asked for, tables are not leaked. */
#include "unit.h"
#include "ept_supplier.h"
#include "ept-shadow/exec.h"
#include "ept-shadow/mtrr.h"

#define TABLES	0x700000000ull
#define RAM	0x40000000ull		/* host-physical */
#define BLOCKS	24u
#define SLOTS	8u

struct machine {
	struct supplier supplier;
	struct ept ept;
	struct ept_exec exec;
	struct ept_exec_table slot[SLOTS];
	u32 flushes;
	bool slow;		/* other CPUs have not flushed */
};

static void count_flush(void *ctx)
{
	((struct machine *)ctx)->flushes++;
}

static bool all_have_flushed(void *ctx)
{
	return !((struct machine *)ctx)->slow;
}

static void setup(struct machine *m)
{
	*m = (struct machine){ .flushes = 0 };
	supplier_init(&m->supplier, &m->ept, TABLES);
	m->ept.max_level = 2;
	m->exec = (struct ept_exec){
		.ept = &m->ept, .slot = m->slot, .size = SLOTS, .flush = count_flush, .flushed = all_have_flushed, .ctx = m,
	};
	assert_int_equal(ept_init(&m->ept), 0);
	assert_int_equal(ept_map(&m->ept, 0, RAM, BLOCKS * AVMM_BLOCK_SIZE, EPT_EXEC_LATER, MTRR_WB), 0);
}

/* Every page goes where it went, can be written, and only leaves of 4 KiB can be executed. Returns those, in 2 MiB. */
static u32 check(const struct machine *m)
{
	u32 executable = 0;
	u64 gpa;

	for (gpa = 0; gpa < BLOCKS * AVMM_BLOCK_SIZE; gpa += AVMM_PAGE_SIZE) {
		struct ept_entry e = ept_walk(&m->ept, gpa);

		assert_int_equal(e.entry & EPT_RW, EPT_RW);
		assert_int_equal((e.entry & EPT_TYPE) >> EPT_TYPE_SHIFT, MTRR_WB);
		assert_int_equal((e.entry & EPT_ADDRESS) + (gpa & (EPT_SPAN(e.level) - 1)), RAM + gpa);
		assert_true(e.level == 1 || !(e.entry & EPT_X));
		executable += e.entry & EPT_X ? 1 : 0;
	}
	assert_int_equal(executable % EPT_ENTRIES, 0);
	assert_int_equal(ept_check(&m->ept, NULL, 0, EPT_RWX), EPT_CLEAN);
	/* those that are not in use wait in a slot */
	assert_int_equal(m->ept.tables - count_tables(&m->ept, m->ept.root, EPT_LEVELS),
			 m->exec.used - executable / EPT_ENTRIES);
	return executable / EPT_ENTRIES;
}

static void a_fetch_splits_its_block(void **state)
{
	struct machine m;

	(void)state;
	setup(&m);
	assert_int_equal(check(&m), 0);
	assert_true(ept_exec_allow(&m.exec, 5 * AVMM_BLOCK_SIZE + 0x12345));
	assert_int_equal(check(&m), 1);
	assert_int_equal(ept_walk(&m.ept, 5 * AVMM_BLOCK_SIZE).level, 1);
	assert_int_equal(ept_walk(&m.ept, 6 * AVMM_BLOCK_SIZE).level, 2);
	/* another fetch from it was on its way */
	assert_true(ept_exec_allow(&m.exec, 5 * AVMM_BLOCK_SIZE));
	assert_int_equal(m.exec.used, 1);
	assert_int_equal(m.flushes, 0);
	supplier_free(&m.supplier);
}

static void tables_are_taken_back(void **state)
{
	struct machine m;
	u32 i;

	(void)state;
	setup(&m);
	for (i = 0; i < BLOCKS; i++) {
		assert_true(ept_exec_allow(&m.exec, i * AVMM_BLOCK_SIZE));
		assert_int_equal(check(&m), i < SLOTS ? i + 1 : SLOTS - 1);
		assert_true(ept_walk(&m.ept, i * AVMM_BLOCK_SIZE).entry & EPT_X);
	}
	assert_int_equal(m.flushes, BLOCKS - SLOTS + 1);
	/* the oldest ones went first, and one more to be there in time */
	assert_int_equal(ept_walk(&m.ept, (BLOCKS - SLOTS) * AVMM_BLOCK_SIZE).level, 2);
	assert_int_equal(ept_walk(&m.ept, (BLOCKS - SLOTS + 1) * AVMM_BLOCK_SIZE).level, 1);
	supplier_free(&m.supplier);
}

/* No table is used anew while a CPU may still walk it: the fetch is tried again until then. */
static void slow_cpus(void **state)
{
	struct machine m;
	u32 i;

	(void)state;
	setup(&m);
	for (i = 0; i < SLOTS; i++)
		assert_true(ept_exec_allow(&m.exec, i * AVMM_BLOCK_SIZE));
	m.slow = true;
	for (i = 0; i < 3; i++) {
		assert_true(ept_exec_allow(&m.exec, SLOTS * AVMM_BLOCK_SIZE));
		assert_int_equal(check(&m), SLOTS - 1);
		assert_int_equal(ept_walk(&m.ept, SLOTS * AVMM_BLOCK_SIZE).level, 2);
		assert_int_equal(m.flushes, 1);
	}
	/* its old block is no exception */
	assert_true(ept_exec_allow(&m.exec, 0));
	assert_int_equal(ept_walk(&m.ept, 0).level, 2);
	m.slow = false;
	assert_true(ept_exec_allow(&m.exec, SLOTS * AVMM_BLOCK_SIZE));
	assert_int_equal(ept_walk(&m.ept, SLOTS * AVMM_BLOCK_SIZE).level, 1);
	assert_int_equal(check(&m), SLOTS - 1);
	supplier_free(&m.supplier);
}

static void little_memory(void **state)
{
	struct machine m;
	u32 i;

	(void)state;
	setup(&m);
	m.supplier.limit = m.supplier.used;
	assert_false(ept_exec_allow(&m.exec, 0));
	assert_int_equal(check(&m), 0);

	supplier_free(&m.supplier);
	setup(&m);
	m.supplier.limit = m.supplier.used + 3;
	for (i = 0; i < 6; i++) {
		assert_true(ept_exec_allow(&m.exec, i * AVMM_BLOCK_SIZE));
		assert_int_equal(check(&m), i < 3 ? i + 1 : 2);
		/* an instruction can lie in two blocks */
		assert_true(!i || ept_walk(&m.ept, (i - 1) * AVMM_BLOCK_SIZE).entry & EPT_X);
	}
	supplier_free(&m.supplier);

	/* … which would never get both */
	setup(&m);
	m.supplier.limit = m.supplier.used + 2;
	assert_true(ept_exec_allow(&m.exec, 0));
	assert_true(ept_exec_allow(&m.exec, AVMM_BLOCK_SIZE));
	assert_false(ept_exec_allow(&m.exec, 2 * AVMM_BLOCK_SIZE));
	assert_int_equal(check(&m), 2);
	supplier_free(&m.supplier);
}

static void nothing_there(void **state)
{
	struct machine m;

	(void)state;
	setup(&m);
	assert_false(ept_exec_allow(&m.exec, BLOCKS * AVMM_BLOCK_SIZE));
	assert_false(ept_exec_allow(&m.exec, 1ull << 39));
	assert_false(ept_exec_allow(&m.exec, 1ull << 51));
	/* a page of 4 KiB without the right is somebody else's business */
	assert_int_equal(ept_map(&m.ept, 1ull << 32, RAM, AVMM_PAGE_SIZE, EPT_R, MTRR_WB), 0);
	assert_false(ept_exec_allow(&m.exec, 1ull << 32));
	/* so is a device, which may be large */
	assert_int_equal(ept_map(&m.ept, 1ull << 33, RAM, AVMM_BLOCK_SIZE, EPT_RW, MTRR_UC), 0);
	assert_int_equal(ept_walk(&m.ept, 1ull << 33).level, 2);
	assert_false(ept_exec_allow(&m.exec, 1ull << 33));
	assert_int_equal(check(&m), 0);
	assert_int_equal(m.exec.used, 0);
	supplier_free(&m.supplier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fetch_splits_its_block),
		cmocka_unit_test(tables_are_taken_back),
		cmocka_unit_test(slow_cpus),
		cmocka_unit_test(little_memory),
		cmocka_unit_test(nothing_there),
	};

	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
