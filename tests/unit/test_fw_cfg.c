// SPDX-License-Identifier: GPL-2.0-only
/* fw_cfg and the debug port, as firmware uses them. */
#include <stdio.h>
#include "unit.h"
#include "vdev/debugport.h"
#include "vdev/fw_cfg.h"

#define RAM	0x100000u
#define BIG	20000u
#define REQUEST	0x1ff8u		/* crosses a page */

struct board {
	struct bus bus;
	struct fw_cfg fw;
	struct debugport debug;
	u8 blob[4 + 3 * 64 + 5 + BIG];
	u32 blob_size;
	u8 ram[RAM];
	char log[4096];
	unsigned int lines;
};

static void read_blob(void *ctx, u32 offset, u8 *to, u32 n)
{
	struct board *b = ctx;

	assert_true(offset <= b->blob_size && n <= b->blob_size - offset);
	memcpy(to, b->blob + offset, n);
}

static bool read_ram(void *ctx, u64 gpa, u8 *to, u32 n)
{
	struct board *b = ctx;

	if (gpa > RAM || n > RAM - gpa)
		return false;
	memcpy(to, b->ram + gpa, n);
	return true;
}

static bool write_ram(void *ctx, u64 gpa, const u8 *from, u32 n)
{
	struct board *b = ctx;

	if (gpa > RAM || n > RAM - gpa)
		return false;
	memcpy(b->ram + gpa, from, n);
	return true;
}

static void line(void *ctx, const char *text)
{
	struct board *b = ctx;

	b->lines++;
	snprintf(b->log, sizeof(b->log), "%s", text);
}

static void put32(u8 *to, u32 value)
{
	value = __builtin_bswap32(value);
	memcpy(to, &value, 4);
}

static u32 get32(const u8 *from)
{
	u32 value;

	memcpy(&value, from, 4);
	return __builtin_bswap32(value);
}

static void init(struct board *b)
{
	struct fw_cfg_ops ops = { read_blob, read_ram, write_ram, b };
	struct fw_cfg_machine machine = { .ram = 0x123456789, .cpus = 3 };
	struct debugport_ops debug = { line, b };

	bus_init(&b->bus);
	fw_cfg_init(&b->fw, &ops, &machine, b->blob_size);
	debugport_init(&b->debug, &debug);
	assert_true(bus_map(&b->bus, FW_CFG_BASE, fw_cfg_rows, FW_CFG_ROWS, &b->fw));
	assert_true(bus_map(&b->bus, DEBUGPORT_BASE, debugport_rows, DEBUGPORT_ROWS, &b->debug));
}

/* Two files, of 5 and of BIG bytes, and an empty one between. */
static struct board *board(void)
{
	struct board *b = test_calloc(1, sizeof(*b));
	u32 i;

	put32(b->blob, 3);
	put32(b->blob + 4, 5);
	strcpy((char *)b->blob + 12, "etc/short");
	put32(b->blob + 4 + 64, 0);
	strcpy((char *)b->blob + 12 + 64, "etc/empty");
	put32(b->blob + 4 + 128, BIG);
	strcpy((char *)b->blob + 12 + 128, "etc/big");
	memcpy(b->blob + 4 + 192, "short", 5);
	for (i = 0; i < BIG; i++)
		b->blob[4 + 192 + 5 + i] = i % 251;
	b->blob_size = sizeof(b->blob);
	init(b);
	return b;
}

static u8 next(struct board *b)
{
	return bus_read(&b->bus, 0x511, 1, 0);
}

static u32 next_le(struct board *b)
{
	u32 value = next(b);

	value |= (u32)next(b) << 8;
	value |= (u32)next(b) << 16;
	return value | (u32)next(b) << 24;
}

static void choose(struct board *b, u16 key)
{
	bus_write(&b->bus, 0x510, 2, key, 0);
}

/* A request at REQUEST; how many calls of fw_cfg_advance() it took. */
static unsigned int request(struct board *b, u32 control, u32 length, u64 address)
{
	unsigned int n = 0;

	put32(b->ram + REQUEST, control);
	put32(b->ram + REQUEST + 4, length);
	put32(b->ram + REQUEST + 8, address >> 32);
	put32(b->ram + REQUEST + 12, (u32)address);
	bus_write(&b->bus, 0x514, 4, 0, 0);
	bus_write(&b->bus, 0x518, 4, __builtin_bswap32(REQUEST), 0);
	for (; fw_cfg_next_deadline(&b->fw, 7) == 7; n++)
		fw_cfg_advance(&b->fw, 7);
	return n;
}

static void test_numbers(void **state)
{
	struct board *b = board();

	(void)state;
	choose(b, 0);
	assert_int_equal(next(b), 'Q');
	assert_int_equal(next(b), 'E');
	assert_int_equal(next(b), 'M');
	assert_int_equal(next(b), 'U');
	assert_int_equal(next(b), 0);
	choose(b, 1);
	assert_int_equal(next_le(b), 3);
	choose(b, 3);
	assert_int_equal(next_le(b), 0x23456789);
	assert_int_equal(next_le(b), 1);
	choose(b, 5);
	assert_int_equal(next_le(b), 3);
	choose(b, 0x7777);
	assert_int_equal(next_le(b), 0);
	assert_int_equal(bus_read(&b->bus, 0x514, 4, 0), 0x554d4551);
	assert_int_equal(bus_read(&b->bus, 0x518, 4, 0), 0x47464320);
	test_free(b);
}

static void test_directory_and_files(void **state)
{
	struct board *b = board();
	u8 entry[64];
	u32 i, n;

	(void)state;
	choose(b, 0x19);
	assert_int_equal(__builtin_bswap32(next_le(b)), 3);
	for (n = 0; n < 3; n++) {
		for (i = 0; i < 64; i++)
			entry[i] = next(b);
		assert_int_equal(get32(entry), n == 0 ? 5 : n == 1 ? 0 : BIG);
		assert_int_equal(get32(entry + 4), (0x20 + n) << 16);
		assert_string_equal((char *)entry + 8, n == 0 ? "etc/short" : n == 1 ? "etc/empty" : "etc/big");
	}
	assert_int_equal(next(b), 0);
	choose(b, 0x20);
	for (i = 0; i < 5; i++)
		assert_int_equal(next(b), "short"[i]);
	assert_int_equal(next(b), 0);
	choose(b, 0x21);
	assert_int_equal(next(b), 0);
	choose(b, 0x22);
	for (i = 0; i < BIG; i++)
		assert_int_equal(next(b), i % 251);
	assert_int_equal(next(b), 0);
	test_free(b);
}

static void test_dma(void **state)
{
	struct board *b = board();
	u32 i, pieces = (BIG + FW_CFG_PIECE - 1) / FW_CFG_PIECE;

	(void)state;
	memset(b->ram, 0xcc, RAM);
	assert_int_equal(request(b, 0x22u << 16 | 8 | 2, BIG, 0x3003), pieces - 1);
	assert_int_equal(get32(b->ram + REQUEST), 0);
	for (i = 0; i < BIG; i++)
		assert_int_equal(b->ram[0x3003 + i], i % 251);
	assert_int_equal(b->ram[0x3003 + BIG], 0xcc);
	/* skip, then read on; behind the end are zeroes */
	request(b, 0x20u << 16 | 8 | 4, 2, 0);
	assert_int_equal(get32(b->ram + REQUEST), 0);
	request(b, 2, 5, 0x3000);
	assert_memory_equal(b->ram + 0x3000, "ort\0\0", 5);
	/* nothing can be written, and memory that is none is an error */
	request(b, 0x20u << 16 | 8 | 16, 5, 0x3000);
	assert_int_equal(get32(b->ram + REQUEST), 1);
	request(b, 0x22u << 16 | 8 | 2, BIG, RAM - 100);
	assert_int_equal(get32(b->ram + REQUEST), 1);
	request(b, 0x22u << 16 | 8 | 2, 1, ~0ull);
	assert_int_equal(get32(b->ram + REQUEST), 1);
	test_free(b);
}

/* A second request while the first goes on is not heard. */
static void test_dma_busy(void **state)
{
	struct board *b = board();

	(void)state;
	put32(b->ram + 0x100, 0x22u << 16 | 8 | 2);
	put32(b->ram + 0x104, BIG);
	put32(b->ram + 0x10c, 0x4000);
	bus_write(&b->bus, 0x518, 4, __builtin_bswap32(0x100), 0);
	assert_int_not_equal(get32(b->ram + 0x100), 0);
	bus_write(&b->bus, 0x518, 4, __builtin_bswap32(0x200), 0);
	while (fw_cfg_next_deadline(&b->fw, 1) == 1)
		fw_cfg_advance(&b->fw, 1);
	assert_int_equal(get32(b->ram + 0x100), 0);
	assert_int_equal(b->ram[0x4000 + BIG - 1], (BIG - 1) % 251);
	test_free(b);
}

/* Whatever the directory says, nothing outside of the blob is read: the callback looks. */
static void test_bad_blobs(void **state)
{
	static const u32 counts[] = { 0, 1, 2, 3, 32, 33, 0x10000000, ~0u };
	static const u32 sizes[] = { 0, 1, 6, BIG, BIG + 1, ~0u, 1u << 31 };
	struct board *b = board();
	u32 i, j, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		for (j = 0; j < ARRAY_SIZE(sizes); j++)
			for (b->blob_size = 0; b->blob_size <= 300; b->blob_size += 1 + b->blob_size / 5) {
				put32(b->blob, counts[i]);
				put32(b->blob + 4, sizes[j]);
				init(b);
				assert_true(b->fw.files <= FW_CFG_FILES);
				choose(b, 0x19);
				for (k = 0; k < 3000; k++)
					next(b);
				for (k = 0; k < FW_CFG_FILES; k++)
					request(b, (0x20 + k) << 16 | 8 | 2, 4096, 0x3000);
			}
	test_free(b);
}

static void test_debug_port(void **state)
{
	struct board *b = board();
	const char *text = "SeaBIOS (version 1)\r\n\n\x01x\n";
	u32 i;

	(void)state;
	assert_int_equal(bus_read(&b->bus, 0x402, 1, 0), 0xe9);
	for (i = 0; text[i]; i++)
		bus_write(&b->bus, 0x402, 1, (u8)text[i], 0);
	assert_int_equal(b->lines, 2);
	assert_string_equal(b->log, "?x");
	for (i = 0; i < DEBUGPORT_WIDTH + 1; i++)
		bus_write(&b->bus, 0x402, 1, 'a', 0);
	assert_int_equal(b->lines, 3);
	assert_int_equal(strlen(b->log), DEBUGPORT_WIDTH);
	for (i = 0; i < 2 * DEBUGPORT_LINES; i++)
		bus_write(&b->bus, 0x402, 1, i % 2 ? '\n' : 'x', 0);
	for (i = 0; i < 2 * DEBUGPORT_LINES; i++)
		bus_write(&b->bus, 0x402, 1, i % 2 ? '\n' : 'x', 0);
	assert_int_equal(b->lines, DEBUGPORT_LINES);
	test_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_directory_and_files),
		cmocka_unit_test(test_dma),
		cmocka_unit_test(test_dma_busy),
		cmocka_unit_test(test_bad_blobs),
		cmocka_unit_test(test_debug_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
