// SPDX-License-Identifier: GPL-2.0-only
/* Dispatch of ports and MMIO: who is called with what, splitting, unclaimed addresses, changes of the map. */
#include "vdev_unit.h"

struct log {
	unsigned int calls;
	u32 offset[8];
	unsigned int size[8];
	u64 value[8];
};

static u64 log_read(void *ctx, u32 offset, unsigned int size, u64 at)
{
	struct log *log = ctx;

	assert_int_equal(at, 77);
	log->offset[log->calls] = offset;
	log->size[log->calls++] = size;
	return 0x1122334455667700ull + offset;
}

static void log_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 at)
{
	struct log *log = ctx;

	assert_int_equal(at, 77);
	log->offset[log->calls] = offset;
	log->size[log->calls] = size;
	log->value[log->calls++] = value;
}

static const struct bus_row bytes[] = {
	{ 0, 4, 1, log_read, log_write },
	{ 4, 4, 1 | 2 | 4, log_read, log_write },
	{ 0x10, 1, 1, NULL, NULL },
};
static const struct bus_row page[] = { { 0, 4096, 4 | 8, log_read, log_write } };

static const struct bus_row quiet[] = {
	{ 0, 2, 1 | 2 | 4 | BUS_QUIET, log_read, log_write },	/* no access of 4 bytes fits */
	{ 2, 2, 1, log_read, NULL },
};

/* Who has to be asked for a deadline: nobody, one device, or several. */
static void touched(void **state)
{
	struct log a = { 0 }, b = { 0 };

	(void)state;
	bus_init(&ports);
	assert_true(bus_map(&ports, 0x100, quiet, 2, &a));
	assert_true(bus_map(&ports, 0x104, quiet, 2, &b));
	bus_read(&ports, 0x101, 1, 77);
	bus_read(&ports, 0x100, 2, 77);
	assert_null(ports.touched);
	bus_write(&ports, 0x102, 1, 0, 77);	/* nobody takes it */
	bus_read(&ports, 0x90, 4, 77);
	assert_null(ports.touched);
	bus_write(&ports, 0x105, 1, 0, 77);
	assert_ptr_equal(ports.touched, &b);
	ports.touched = NULL;
	bus_read(&ports, 0x102, 1, 77);
	assert_ptr_equal(ports.touched, &a);
	ports.touched = NULL;
	a.calls = 0;
	b.calls = 0;
	bus_read(&ports, 0x102, 4, 77);		/* two bytes of one, a word of the other */
	assert_ptr_equal(ports.touched, &ports);
	assert_int_equal(a.calls, 2);
	assert_int_equal(b.calls, 1);
}

static void unclaimed_reads_ones(void **state)
{
	(void)state;
	bus_init(&ports);
	assert_int_equal(bus_read(&ports, 0x80, 1, 77), 0xff);
	assert_int_equal(bus_read(&ports, 0x80, 2, 77), 0xffff);
	assert_int_equal(bus_read(&ports, 0xfffe, 4, 77), 0xffffffff);
	assert_true(bus_read(&ports, ~0ull, 8, 77) == ~0ull);
	bus_write(&ports, 0x80, 4, 0, 77);
	assert_false(bus_claimed(&ports, 0x80));
	assert_true(ports.unclaimed);
}

static void handler_gets_offset_size_and_time(void **state)
{
	struct log log = { 0 };

	(void)state;
	bus_init(&ports);
	assert_true(bus_map(&ports, 0x100, bytes, 3, &log));
	assert_int_equal(bus_read(&ports, 0x103, 1, 77), 0x03);	/* cut to the size */
	bus_write(&ports, 0x104, 4, 0xaabbccdd11223344, 77);
	assert_int_equal(log.calls, 2);
	assert_int_equal(log.offset[0], 3);
	assert_int_equal(log.offset[1], 4);
	assert_int_equal(log.size[1], 4);
	assert_int_equal(log.value[1], 0x11223344);
	assert_int_equal(bus_read(&ports, 0x110, 1, 77), 0xff);	/* a row without handler */
	bus_write(&ports, 0x110, 1, 0, 77);
	assert_true(bus_claimed(&ports, 0x107));
	assert_false(bus_claimed(&ports, 0x108));
}

static void wide_accesses_split(void **state)
{
	struct log log = { 0 };

	(void)state;
	bus_init(&ports);
	bus_map(&ports, 0x100, bytes, 3, &log);
	assert_int_equal(bus_read(&ports, 0x102, 4, 77), 0x77040302);	/* 02h, 03h, then the word at 04h */
	assert_int_equal(log.calls, 3);
	assert_int_equal(log.size[0], 1);
	assert_int_equal(log.size[2], 2);
	memset(&log, 0, sizeof(log));
	bus_write(&ports, 0x106, 4, 0x44332211, 77);		/* the last two are nobody's */
	assert_int_equal(log.calls, 1);
	assert_int_equal(log.value[0], 0x2211);
	memset(&log, 0, sizeof(log));
	assert_int_equal(bus_read(&ports, 0xff, 2, 77), 0x00ff);
	assert_int_equal(log.calls, 1);
}

static void mmio_beyond_4g(void **state)
{
	struct log log = { 0 };
	u64 base = 0xfee00000ull, high = 0x100fed00000ull;

	(void)state;
	bus_init(&ports);
	assert_true(bus_map(&ports, high, page, 1, &log));
	assert_true(bus_map(&ports, base, page, 1, &log));
	assert_true(bus_read(&ports, base + 0x20, 8, 77) == 0x1122334455667720ull);
	assert_int_equal(bus_read(&ports, high + 0xffc, 4, 77), 0x556686fc);
	assert_int_equal(bus_read(&ports, base + 0x20, 2, 77), 0xffff);	/* too small for the row */
	assert_int_equal(log.calls, 2);
}

static void overlap_is_refused_whole(void **state)
{
	struct log log = { 0 }, other = { 0 };

	(void)state;
	bus_init(&ports);
	assert_true(bus_map(&ports, 0x100, bytes, 3, &log));
	assert_false(bus_map(&ports, 0x103, bytes, 3, &other));
	assert_false(bus_map(&ports, 0xfd, bytes, 3, &other));
	assert_false(bus_map(&ports, 0xf0, bytes, 3, &other));	/* its last row hits */
	assert_int_equal(ports.count, 3);
	bus_unmap(&ports, bytes, 3, &other);
	assert_int_equal(ports.count, 3);
	bus_unmap(&ports, page, 1, &log);	/* another table of the same device */
	assert_int_equal(ports.count, 3);
	bus_unmap(&ports, bytes, 2, &log);	/* a part of the table */
	assert_int_equal(ports.count, 1);
	assert_true(bus_claimed(&ports, 0x110));
	bus_unmap(&ports, bytes, 3, &log);
	assert_int_equal(ports.count, 0);
	assert_true(bus_map(&ports, 0x103, bytes, 3, &other));
}

static void full_is_refused_whole(void **state)
{
	struct log log[BUS_SLOTS] = { 0 };
	unsigned int i;

	(void)state;
	bus_init(&ports);
	for (i = 0; i < BUS_SLOTS / 3; i++)
		assert_true(bus_map(&ports, 0x100 - 0 + i * 0x20, bytes, 3, &log[i]));
	assert_false(bus_map(&ports, 0x8000, bytes, 3, &log[i]));
	assert_int_equal(ports.count, BUS_SLOTS / 3 * 3);
	assert_int_equal(bus_read(&ports, 0x8000, 1, 77), 0xff);
}

/* Against an array that says for each address who answers. */
static void random_maps(void **state)
{
	static struct log owner_of[16];
	u64 seed = 42;
	int round, i;

	(void)state;
	bus_init(&ports);
	for (round = 0; round < 20000; round++) {
		static int owner[0x400], base_of[16], used[16];
		int who = (int)random_below(&seed, 16), base = (int)random_below(&seed, 0x3e0);

		if (used[who]) {
			bus_unmap(&ports, bytes, 3, &owner_of[who]);
			for (i = 0; i < 8; i++)
				owner[base_of[who] + i] = 0;
			owner[base_of[who] + 16] = 0;
			used[who] = 0;
		} else {
			bool is_free = !owner[base + 16];

			for (i = 0; i < 8; i++)
				is_free &= !owner[base + i];
			assert_int_equal(bus_map(&ports, (u64)base, bytes, 3, &owner_of[who]), is_free);
			if (!is_free)
				continue;
			for (i = 0; i < 8; i++)
				owner[base + i] = who + 1;
			owner[base + 16] = who + 1;
			base_of[who] = base;
			used[who] = 1;
		}
		for (i = 0; i < 0x400; i += 1 + (int)random_below(&seed, 40))
			assert_int_equal(bus_claimed(&ports, (u64)i), owner[i] != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unclaimed_reads_ones), cmocka_unit_test(handler_gets_offset_size_and_time),
		cmocka_unit_test(wide_accesses_split), cmocka_unit_test(mmio_beyond_4g),
		cmocka_unit_test(overlap_is_refused_whole), cmocka_unit_test(full_is_refused_whole),
		cmocka_unit_test(random_maps), cmocka_unit_test(touched),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
