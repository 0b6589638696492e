// SPDX-License-Identifier: GPL-2.0-only
/* IDE, both halves: the bus master and its table, TRIM. */
#include "ide_machine.h"

#define TABLE	0x1000u
#define BUFFER	0x200000u

static int begin(void **state)
{
	(void)state;
	machine_build();
	return 0;
}

static int end(void **state)
{
	(void)state;
	machine_free();
	return 0;
}

/* As Linux does a read: table, direction, command, start; interrupt, status, stop. */
static void read_dma(void **state)
{
	(void)state;
	put_prd(TABLE, 0, BUFFER, 4096, true);
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, 123456, 8, 0xc8);
	assert_int_equal(in(ALT_STATUS), READY | DRQ);
	assert_int_equal(kicks, 0);
	dma_start(TO_MEMORY);
	assert_int_equal(in(BM_STATUS), ACTIVE);
	assert_int_equal(in(ALT_STATUS), BSY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT);
	out(BM_COMMAND, TO_MEMORY);
	assert_int_equal(take_interrupt(), READY);
	out(BM_STATUS, INTERRUPT);
	assert_int_equal(in(BM_STATUS), 0);
	assert_pattern(guest(BUFFER), 0, 123456, 8);
	assert_int_equal(kicks, 1);		/* 4 KiB: one crossing there, one back */
	assert_int_equal(completions_seen, 1);
	assert_int_equal(device.segments, 1);	/* the guest's own memory */
}

/* Some start the bus master before they send the command. */
static void start_first(void **state)
{
	(void)state;
	put_prd(TABLE, 0, BUFFER, 512, true);
	dma_prepare(TABLE, TO_MEMORY);
	dma_start(TO_MEMORY);
	assert_int_equal(kicks, 0);
	task(DRIVE0, 5, 1, 0xc8);
	assert_int_equal(kicks, 1);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_pattern(guest(BUFFER), 0, 5, 1);
}

static void write_dma(void **state)
{
	static const struct { u8 command; bool fua; } row[] = { { 0xca, false }, { 0x35, false }, { 0x3d, true } };
	unsigned int i, at;
	u64 seed = 3;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		for (at = 0; at < 1024; at++)
			guest(BUFFER)[at] = (u8)random_u64(&seed);
		put_prd(TABLE, 0, BUFFER, 1024, true);
		dma_prepare(TABLE, 0);
		task_ext(DRIVE0, 0x1000, 2, row[i].command);
		dma_start(0);
		settle();
		out(BM_COMMAND, 0);
		assert_int_equal(take_interrupt(), READY);
		assert_memory_equal(device_find(0, 0x1000)->data, guest(BUFFER), 512);
		assert_memory_equal(device_find(0, 0x1001)->data, guest(BUFFER + 512), 512);
		assert_int_equal(device.fuas, row[i].fua);
	}
}

/* Pieces in any order, over the places where RAM is not contiguous; all of 65,536 sectors is tried below. */
static void scattered(void **state)
{
	static const struct { u32 gpa, bytes; } piece[] = {
		{ 0x3ff000, 8192 }, { 0x10000, 512 }, { 0x700e00, 0x10000 }, { 0x5000, 1536 },
	};
	u64 sector = 0x10000000;
	u32 total = 0, i, at;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(piece); i++) {
		put_prd(TABLE, i, piece[i].gpa, piece[i].bytes, i == ARRAY_SIZE(piece) - 1);
		total += piece[i].bytes;
	}
	dma_prepare(TABLE, TO_MEMORY);
	task_ext(DRIVE0, sector, (u16)(total / 512), 0x25);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT);
	assert_int_equal(take_interrupt(), READY);
	for (i = 0; i < ARRAY_SIZE(piece); i++)
		for (at = 0; at < piece[i].bytes; at += 512)
			assert_pattern(guest(piece[i].gpa + at), 0, sector++, 1);
	assert_int_equal(device.requests, 1);
	assert_int_equal(device.segments, 5);	/* one piece crosses from block to block */
}

/* Regions that are even, but no multiples of a sector. */
static void odd_pieces(void **state)
{
	u8 want[1024], got[1024];
	u32 i, at = 0;

	(void)state;
	for (i = 0; i < 512; i++)	/* and bit 0 is nothing to either of them */
		put_prd(TABLE, i, BUFFER + 0x20 * i + (i & 1), 2 + (i & 1), i == 511);
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, 9, 2, 0xc8);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT);
	assert_int_equal(take_interrupt(), READY);
	for (i = 0; i < 512; i++, at += 2)
		memcpy(got + at, guest(BUFFER + 0x20 * i), 2);
	device_get(0, 9, want);
	device_get(0, 10, want + 512);
	assert_memory_equal(got, want, 1024);
	for (i = 0; i < 512; i++)
		got[i] = (u8)i;
	memcpy(guest(BUFFER + 0x7ffe), got, 2);
	memcpy(guest(BUFFER + 0x8000), got + 2, 510);
	put_prd(TABLE, 0, BUFFER + 0x7ffe, 512, true);
	dma_prepare(TABLE, 0);
	task(DRIVE0, 9, 1, 0xca);
	dma_start(0);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_memory_equal(device_find(0, 9)->data, got, 512);
}

static void longest_command(void **state)
{
	u32 i;

	(void)state;
	/* 65,536 sectors into the same 64 KiB, 512 times, by regions of a whole 64 KiB */
	for (i = 0; i < 512; i++)
		put_prd(TABLE, i, BUFFER, 0, i == 511);
	dma_prepare(TABLE, TO_MEMORY);
	task_ext(DRIVE0, 0, 0, 0x25);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT);
	assert_int_equal(take_interrupt(), READY);
	assert_pattern(guest(BUFFER), 0, 65536 - 128, 128);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
	assert_int_equal(device.requests, 2);
}

/* More of the table than the command needs: the engine stays active, as the specification says. */
static void longer_table(void **state)
{
	(void)state;
	put_prd(TABLE, 0, BUFFER, 1024, true);
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, 5, 1, 0xc8);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT | ACTIVE);
	out(BM_COMMAND, 0);
	assert_int_equal(in(BM_STATUS), INTERRUPT);
	assert_int_equal(take_interrupt(), READY);
	assert_pattern(guest(BUFFER), 0, 5, 1);
	assert_int_equal(guest(BUFFER + 512)[0], 0);
}

/* Less: it stops without an interrupt, and the drive waits until it is reset. */
static void shorter_table(void **state)
{
	(void)state;
	put_prd(TABLE, 0, BUFFER, 512, true);
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, 5, 2, 0xc8);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), 0);
	assert_false(lines.level[14]);
	assert_int_equal(in(STATUS), BSY);
	out(CONTROL, SRST);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);
}

static void bad_table(u32 table, u8 direction, u8 command)
{
	dma_prepare(table, direction);
	task(DRIVE0, 5, 1, command);
	dma_start(direction);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT | BM_ERROR);
	out(BM_COMMAND, 0);
	out(BM_STATUS, INTERRUPT | BM_ERROR);
	assert_int_equal(in(BM_STATUS), 0);
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
}

static void bad_tables(void **state)
{
	u32 i;

	(void)state;
	bad_table(RAM_HOLE, TO_MEMORY, 0xc8);			/* table outside of RAM */
	bad_table(0xfffffffc, TO_MEMORY, 0xc8);
	put_prd(TABLE, 0, RAM_HOLE - 256, 512, true);		/* region runs out of RAM */
	bad_table(TABLE, TO_MEMORY, 0xc8);
	put_prd(TABLE, 0, RAM_HOLE, 512, true);
	bad_table(TABLE, TO_MEMORY, 0xc8);
	bad_table(TABLE, 0, 0xca);
	put_prd(TABLE, 0, RAM_HOLE, 2, false);
	put_prd(TABLE, 1, BUFFER, 512, true);
	bad_table(TABLE, 0, 0xca);
	put_prd(TABLE, 0, 0xffffff00, 0x1000, true);		/* wraps at 4 GiB */
	bad_table(TABLE, TO_MEMORY, 0xc8);
	put_prd(TABLE, 0, BUFFER, 512, true);			/* the wrong direction */
	bad_table(TABLE, TO_MEMORY, 0xca);
	bad_table(TABLE, 0, 0xc8);
	for (i = 0; i < 8192; i++)				/* no end: the table stops at its 64 KiB boundary */
		put_prd(0x20000, i, BUFFER, 2, false);
	for (i = 0; i < 8192; i++)
		put_prd(0x30000, i, BUFFER, 2, i == 0);
	dma_prepare(0x2fff8, TO_MEMORY);
	task(DRIVE0, 5, 1, 0xc8);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT | BM_ERROR);
	assert_int_equal(device.nstored, 0);
}

/* A table that describes itself as the buffer is read once, before the data come. */
static void table_in_its_own_buffer(void **state)
{
	(void)state;
	put_prd(TABLE, 0, TABLE, 512, false);
	put_prd(TABLE, 1, TABLE, 512, true);
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, 5, 2, 0xc8);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS), INTERRUPT);
	assert_pattern(guest(TABLE), 0, 6, 1);
}

static void errors_of_the_medium(void **state)
{
	(void)state;
	put_prd(TABLE, 0, BUFFER, 4096, true);
	device.fail_at = 105;
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, 100, 8, 0xc8);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_UNC);
	assert_int_equal(in(LBA_LOW), 105);
	dma_prepare(TABLE, 0);
	task_ext(DRIVE0, 100, 8, 0x35);
	dma_start(0);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
	assert_int_equal(in(LBA_LOW), 105);
	back->unit[0].read_only = true;
	dma_prepare(TABLE, 0);
	task_ext(DRIVE0, 200, 8, 0x35);
	dma_start(0);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
}

static void put_range(u32 index, u64 lba, u16 count)
{
	u64 range = lba | (u64)count << 48;

	memcpy(guest(BUFFER + 8 * index), &range, 8);
}

static void trim(u8 features, u16 blocks)
{
	put_prd(TABLE, 0, BUFFER, blocks * 512, true);
	dma_prepare(TABLE, 0);
	out(FEATURES, features);
	task_ext(DRIVE0, 0, blocks, 0x06);
	dma_start(0);
	settle();
	out(BM_COMMAND, 0);
}

static void discards(void **state)
{
	(void)state;
	back->unit[0].can_discard = true;
	put_range(0, 1000, 8);
	put_range(3, 0, 0);
	put_range(64, DISK_SECTORS - 65535, 65535);
	trim(1, 2);
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(device.discards, 2);
	assert_int_equal(device.discarded, 8 + 65535);
	put_range(5, DISK_SECTORS - 1, 2);
	trim(1, 1);
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_IDNF);
	assert_int_equal(device.discards, 2);	/* all or nothing */
	trim(0, 1);
	assert_int_equal(take_interrupt(), READY | ERR);
	trim(1, 9);
	assert_int_equal(take_interrupt(), READY | ERR);
	put_range(5, 0, 0);
	trim(1, 8);
	assert_int_equal(take_interrupt(), READY);
	put_prd(TABLE, 0, RAM_HOLE, 512, true);
	dma_prepare(TABLE, 0);
	out(FEATURES, 1);
	task_ext(DRIVE0, 0, 1, 0x06);
	dma_start(0);
	settle();
	assert_int_equal(in(BM_STATUS), BM_ERROR | INTERRUPT);
	assert_int_equal(take_interrupt(), READY | ERR);
	back->unit[0].can_discard = false;
	trim(1, 1);
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
}

/* The register accesses of Linux's driver for a read of 4 KiB; research counted 26 of them. */
static void accesses_of_a_driver(void **state)
{
	u32 accesses = 0;

	(void)state;
#define COUNTED(x)	(accesses++, (x))
	put_prd(TABLE, 0, BUFFER, 4096, true);
	COUNTED(out(DEVICE, DRIVE0));
	COUNTED(in(ALT_STATUS));
	COUNTED(in(ALT_STATUS));
	COUNTED(in(STATUS));
	COUNTED(out(FEATURES, 0));
	COUNTED(out(COUNT, 8));
	COUNTED(out(LBA_LOW, 0));
	COUNTED(out(LBA_MID, 0));
	COUNTED(out(LBA_HIGH, 0));
	COUNTED(out(DEVICE, DRIVE0));
	COUNTED(in(ALT_STATUS));
	COUNTED(out_long(BM_TABLE, TABLE));
	COUNTED(in(BM_COMMAND));
	COUNTED(out(BM_COMMAND, TO_MEMORY));
	COUNTED(out(COMMAND, 0xc8));
	COUNTED(in(ALT_STATUS));
	COUNTED(in(BM_COMMAND));
	COUNTED(out(BM_COMMAND, TO_MEMORY | START));
	settle();
	COUNTED(in(BM_STATUS));
	COUNTED(in(BM_COMMAND));
	COUNTED(out(BM_COMMAND, TO_MEMORY));
	COUNTED(in(ALT_STATUS));
	COUNTED(in(ALT_STATUS));
	COUNTED(in(STATUS));
	COUNTED(in(BM_STATUS));
	COUNTED(out(BM_STATUS, INTERRUPT));
#undef COUNTED
	assert_int_equal(accesses, 26);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
	assert_int_equal(lines.rises[14], 1);
	assert_false(lines.level[14]);
	assert_pattern(guest(BUFFER), 0, 0, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(read_dma, begin, end),
		cmocka_unit_test_setup_teardown(start_first, begin, end),
		cmocka_unit_test_setup_teardown(write_dma, begin, end),
		cmocka_unit_test_setup_teardown(scattered, begin, end),
		cmocka_unit_test_setup_teardown(odd_pieces, begin, end),
		cmocka_unit_test_setup_teardown(longest_command, begin, end),
		cmocka_unit_test_setup_teardown(longer_table, begin, end),
		cmocka_unit_test_setup_teardown(shorter_table, begin, end),
		cmocka_unit_test_setup_teardown(bad_tables, begin, end),
		cmocka_unit_test_setup_teardown(table_in_its_own_buffer, begin, end),
		cmocka_unit_test_setup_teardown(errors_of_the_medium, begin, end),
		cmocka_unit_test_setup_teardown(discards, begin, end),
		cmocka_unit_test_setup_teardown(accesses_of_a_driver, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
