// SPDX-License-Identifier: GPL-2.0-only
/* The request to block devices: guest addresses become segments, checked; the bus master's table as a copy. */
#include "unit.h"
#include "disguise/back/prd.h"

#define RAM_PAGES	64
#define HOLE		10	/* a page that is no RAM */

static u8 *ram;
static u32 lookups;
static struct avmm_blk_req req;
static struct prd_table table;

/* Pages of one half lie in order, those of the other half backwards. */
static void *page(void *ctx, u64 gpa)
{
	u64 n = gpa / AVMM_PAGE_SIZE;

	(void)ctx;
	assert_int_equal(gpa % AVMM_PAGE_SIZE, 0);
	lookups++;
	if (n >= RAM_PAGES || n == HOLE)
		return NULL;
	return ram + (n < RAM_PAGES / 2 ? n : RAM_PAGES * 3 / 2 - 1 - n) * AVMM_PAGE_SIZE;
}

static const struct avmm_guest_memory memory = { .page = page };

static int begin(void **state)
{
	(void)state;
	ram = calloc(RAM_PAGES, AVMM_PAGE_SIZE);
	lookups = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

static void copies(void **state)
{
	u8 data[10000], back[10000];
	u64 seed = 5;
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)random_u64(&seed);
	for (i = 0; i < 100; i++) {
		u64 gpa = random_below(&seed, 70 * AVMM_PAGE_SIZE);
		u32 n = (u32)random_below(&seed, sizeof(data));
		u64 last = (gpa + n - (n != 0)) / AVMM_PAGE_SIZE, first = gpa / AVMM_PAGE_SIZE;
		bool inside = !n || (last < RAM_PAGES && (first > HOLE || last < HOLE));

		assert_int_equal(avmm_guest_write(&memory, gpa, data, n), inside);
		memset(back, 0, sizeof(back));
		assert_int_equal(avmm_guest_read(&memory, gpa, back, n), inside);
		if (inside)
			assert_memory_equal(back, data, n);
	}
	assert_false(avmm_guest_read(&memory, ~0ull - 10, back, 100));
}

static void segments(void **state)
{
	u32 added;

	(void)state;
	avmm_blk_init(&req, AVMM_BLK_READ, 77);
	assert_int_equal(avmm_blk_add_guest(&req, &memory, 0x200, 0x3000, &added), AVMM_BLK_ADDED);
	assert_int_equal(added, 0x3000);
	assert_int_equal(lookups, 4);		/* each page once */
	assert_int_equal(req.nsegments, 1);	/* one behind the other */
	assert_ptr_equal(req.segment[0].data, ram + 0x200);
	assert_int_equal(req.segment[0].bytes, 0x3000);
	assert_int_equal(req.sectors, 0x3000 / 512);
	assert_int_equal(avmm_blk_add_guest(&req, &memory, 40 * AVMM_PAGE_SIZE, 0x2000, &added), AVMM_BLK_ADDED);
	assert_int_equal(req.nsegments, 3);
	assert_int_equal(req.segment[1].bytes, 0x1000);
	/* a hole in the middle: what was before it is not forgotten, but it is no success */
	assert_int_equal(avmm_blk_add_guest(&req, &memory, (HOLE - 1) * AVMM_PAGE_SIZE, 0x3000, &added),
			 AVMM_BLK_NO_RAM);
	assert_int_equal(added, 0x1000);
	assert_int_equal(avmm_blk_add_guest(&req, &memory, RAM_PAGES * AVMM_PAGE_SIZE, 512, &added), AVMM_BLK_NO_RAM);
	assert_int_equal(added, 0);
}

static void full(void **state)
{
	u32 added, i;

	(void)state;
	avmm_blk_init(&req, AVMM_BLK_READ, 0);
	for (i = 0; i < AVMM_BLK_SEGMENTS - 1; i++)
		assert_int_equal(avmm_blk_add_guest(&req, &memory, i % 2 * 1024, 512, &added), AVMM_BLK_ADDED);
	assert_int_equal(avmm_blk_add_guest(&req, &memory, 40 * AVMM_PAGE_SIZE, 0x3000, &added), AVMM_BLK_FULL);
	assert_int_equal(added, 0x1000);
	assert_int_equal(req.nsegments, AVMM_BLK_SEGMENTS);
	assert_int_equal(req.sectors, AVMM_BLK_SEGMENTS - 1 + 8);
}

static void put(u32 at, u32 index, u32 gpa, u32 count)
{
	memcpy(ram + at + 8 * index, &gpa, 4);
	memcpy(ram + at + 8 * index + 4, &count, 4);
}

#define EOT	0x80000000u

static void tables(void **state)
{
	(void)state;
	put(0x1000, 0, 0x2000, 0x1000);
	put(0x1000, 1, 0x5001, 0x7fff0000 | 0x201);	/* reserved bits */
	put(0x1000, 2, 0x8000, EOT);
	assert_int_equal(prd_load(&table, &memory, 0x1000, 0x1000), PRD_LONG);	/* covered, but not the end */
	assert_int_equal(table.count, 1);
	assert_int_equal(prd_load(&table, &memory, 0x1000, 0x1200 + 0x10000), PRD_EXACT);
	assert_int_equal(table.count, 3);
	assert_true(table.aligned);
	assert_int_equal(table.region[1].gpa, 0x5000);
	assert_int_equal(table.region[1].bytes, 0x200);
	assert_int_equal(table.region[2].bytes, 0x10000);
	assert_int_equal(prd_load(&table, &memory, 0x1000, 0x1400), PRD_LONG);
	assert_int_equal(table.region[2].bytes, 0x200);
	assert_int_equal(prd_load(&table, &memory, 0x1000, 0x1200 + 0x10002), PRD_SHORT);
	assert_int_equal(prd_load(&table, &memory, 0x1008, 0x200), PRD_LONG);
	assert_int_equal(prd_load(&table, &memory, 0x1004, 2), PRD_LONG);	/* a table starts at any dword */
}

static void table_places(void **state)
{
	u32 i;

	(void)state;
	/* the last entry before the hole, and one over the edge of a page: the copy does not read on into the hole */
	put(HOLE * AVMM_PAGE_SIZE - 8, 0, 0x2000, EOT | 512);
	assert_int_equal(prd_load(&table, &memory, HOLE * AVMM_PAGE_SIZE - 8, 512), PRD_EXACT);
	put(HOLE * AVMM_PAGE_SIZE - 12, 0, 0x2000, EOT | 512);
	assert_int_equal(prd_load(&table, &memory, HOLE * AVMM_PAGE_SIZE - 12, 512), PRD_EXACT);
	assert_int_equal(prd_load(&table, &memory, HOLE * AVMM_PAGE_SIZE - 4, 512), PRD_BAD);
	put(0x4ffc, 0, 0x2000, EOT | 512);
	assert_int_equal(prd_load(&table, &memory, 0x4ffc, 512), PRD_EXACT);
	/* the end of 64 KiB is the end of the table */
	put(0x1fff8, 0, 0x2000, 512);
	put(0x20000, 0, 0x2000, EOT | 512);
	assert_int_equal(prd_load(&table, &memory, 0x1fff8, 1024), PRD_BAD);
	assert_int_equal(prd_load(&table, &memory, 0x1fff8, 512), PRD_LONG);
	assert_int_equal(prd_load(&table, &memory, 0x1fffc, 512), PRD_BAD);	/* not even one entry */
	assert_int_equal(prd_load(&table, &memory, 0xfffffffc, 512), PRD_BAD);
	put(0x1000, 0, 0xfffffe00, EOT | 0x202);
	assert_int_equal(prd_load(&table, &memory, 0x1000, 512), PRD_BAD);	/* over 4 GiB */
	for (i = 0; i < 8192; i++)
		put(0x10000, i, 0x2000, 2);
	assert_int_equal(prd_load(&table, &memory, 0x10000, 8192 * 2), PRD_LONG);
	assert_int_equal(table.count, PRD_ENTRIES);
	assert_false(table.aligned);
	assert_int_equal(prd_load(&table, &memory, 0x10000, 8192 * 2 + 2), PRD_BAD);
}

/* The cursor goes through pieces of any size, in steps of any size. */
static void cursors(void **state)
{
	u8 data[4000], got[4000];
	struct prd_cursor from = { 0, 0 }, to = { 0, 0 };
	u64 seed = 9;
	u32 i, at, n;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)random_u64(&seed);
	for (i = 0, at = 0; at < sizeof(data); at += n, i++) {
		n = 2 + (u32)random_below(&seed, 40) * 2;
		put(0x1000, i, 0x20000 + i * 100, n);
	}
	assert_int_equal(prd_load(&table, &memory, 0x1000, sizeof(data)), PRD_LONG);
	for (at = 0; at < sizeof(data); at += n) {
		n = 1 + (u32)random_below(&seed, sizeof(data) - at);
		assert_true(prd_write(&table, &to, &memory, data + at, n));
	}
	for (at = 0; at < sizeof(data); at += n) {
		n = 1 + (u32)random_below(&seed, sizeof(data) - at);
		assert_true(prd_read(&table, &from, &memory, got + at, n));
	}
	assert_memory_equal(got, data, sizeof(data));
	assert_false(prd_read(&table, &from, &memory, got, 1));
	assert_false(prd_write(&table, &to, &memory, got, 1));
}

/* A table of more segments than a request takes fills several. */
static void table_to_requests(void **state)
{
	struct prd_cursor c = { 0, 0 };
	u32 i, sectors = 0;

	(void)state;
	for (i = 0; i < 600; i++)
		put(0x10000, i, 0x20000 + i % 2 * 1024, 512);
	assert_int_equal(prd_load(&table, &memory, 0x10000, 600 * 512), PRD_LONG);
	assert_true(table.aligned);
	for (i = 0; i < 3; i++) {
		avmm_blk_init(&req, AVMM_BLK_WRITE, 0);
		assert_int_equal(prd_add(&table, &c, &memory, &req), i == 2 ? AVMM_BLK_ADDED : AVMM_BLK_FULL);
		assert_int_equal(req.nsegments, i == 2 ? 600 - 2 * AVMM_BLK_SEGMENTS : AVMM_BLK_SEGMENTS);
		sectors += req.sectors;
	}
	assert_int_equal(sectors, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies, begin, end),
		cmocka_unit_test_setup_teardown(segments, begin, end),
		cmocka_unit_test_setup_teardown(full, begin, end),
		cmocka_unit_test_setup_teardown(tables, begin, end),
		cmocka_unit_test_setup_teardown(table_places, begin, end),
		cmocka_unit_test_setup_teardown(cursors, begin, end),
		cmocka_unit_test_setup_teardown(table_to_requests, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
