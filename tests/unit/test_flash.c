// SPDX-License-Identifier: GPL-2.0-only
/* Flash, as OVMF and Linux's CFI drivers use it. */
#include "vdev_unit.h"
#include "vdev/flash.h"

#define BASE	0xffc00000u
#define SIZE	(3 * FLASH_BLOCK)

static struct flash flash;
static u8 content[SIZE];
static bool shown;
static unsigned int changes;	/* of what is shown */
static unsigned int exits;	/* reads that came to the model */

static u8 get(void *ctx, u32 offset)
{
	assert_ptr_equal(ctx, content);
	assert_true(offset < SIZE);
	return content[offset];
}

static void set(void *ctx, u32 offset, u8 value)
{
	assert_ptr_equal(ctx, content);
	assert_true(offset < SIZE);
	content[offset] = value;
}

static void erase(void *ctx, u32 offset)
{
	assert_ptr_equal(ctx, content);
	assert_true(offset < SIZE && offset % FLASH_BLOCK == 0);
	memset(content + offset, 0xff, FLASH_BLOCK);
}

static void show(void *ctx, bool array)
{
	assert_ptr_equal(ctx, content);
	assert_int_not_equal(array, shown);
	shown = array;
	changes++;
}

static int setup(void **state)
{
	static const struct flash_ops ops = { get, set, erase, show, content };
	unsigned int i;

	(void)state;
	shown = true;
	changes = 0;
	exits = 0;
	for (i = 0; i < SIZE; i++)
		content[i] = (u8)(i * 7);
	bus_init(&ports);
	flash_init(&flash, &ops, SIZE);
	assert_true(bus_map(&ports, BASE, flash.row, FLASH_ROWS, &flash));
	return 0;
}

/* As the guest reads: past the model while the content is shown. */
static u8 peek(u32 offset)
{
	if (shown)
		return content[offset];
	exits++;
	return (u8)bus_read(&ports, BASE + offset, 1, now);
}

static void poke(u32 offset, u8 value)
{
	bus_write(&ports, BASE + offset, 1, value, now);
}

/* OVMF's QemuFlashDetected(): flash is what answers a status where there was something else. */
static void ovmf_detects_it(void **state)
{
	u8 original = content[1];

	(void)state;
	poke(1, 0x50);
	assert_int_equal(peek(1), original);
	poke(1, 0x70);
	assert_int_equal(peek(1), 0);
	poke(1, 0xff);
	assert_int_equal(peek(1), original);
	assert_true(shown);
	assert_int_equal(exits, 1);
}

/* OVMF's QemuFlashWrite(): two writes a byte, and reading again at the end. */
static void ovmf_writes(void **state)
{
	static const u8 text[] = "variable";
	u32 at = FLASH_BLOCK + 100, i;

	(void)state;
	poke(FLASH_BLOCK, 0x20);
	poke(FLASH_BLOCK, 0xd0);
	for (i = 0; i < FLASH_BLOCK; i++)
		assert_int_equal(content[FLASH_BLOCK + i], 0xff);
	assert_int_equal(content[FLASH_BLOCK - 1], (u8)((FLASH_BLOCK - 1) * 7));
	assert_int_equal(content[2 * FLASH_BLOCK], (u8)(2 * FLASH_BLOCK * 7));
	poke(FLASH_BLOCK, 0xff);
	changes = 0;
	for (i = 0; i < sizeof(text); i++) {
		poke(at + i, 0x10);
		poke(at + i, text[i]);
	}
	assert_int_equal(peek(at), 0x80);
	poke(at + i - 1, 0xff);
	assert_memory_equal(content + at, text, sizeof(text));
	assert_int_equal(content[at + sizeof(text)], 0xff);
	/* not mapped and unmapped for each byte */
	assert_int_equal(changes, 2);
}

static void programming_only_clears_bits(void **state)
{
	(void)state;
	content[5] = 0x3c;
	poke(5, 0x40);
	poke(5, 0xf0);
	assert_int_equal(content[5], 0x30);
	poke(5, 0x10);
	poke(5, 0xff);
	assert_int_equal(content[5], 0x30);
	assert_int_equal(peek(0), 0x80);
}

static void erase_wants_its_confirmation(void **state)
{
	(void)state;
	poke(0, 0x20);
	poke(0, 0xff);
	assert_int_equal(content[1], 7);
	assert_int_equal(peek(0), 0xb0);
	poke(0, 0x50);
	assert_int_equal(peek(0), 0);
	poke(0, 0x20);
	poke(0, 0xd0);
	assert_int_equal(peek(0), 0x80);
}

/* A command's code as the data of another is data. */
static void data_are_no_commands(void **state)
{
	(void)state;
	content[9] = 0xff;
	poke(9, 0x10);
	poke(9, 0x20);
	poke(9, 0xff);
	assert_int_equal(content[9], 0x20);
	assert_true(shown);
}

static void tells_what_it_is(void **state)
{
	static const u8 start[] = { 'Q', 'R', 'Y', 1, 0, 0x31, 0 };
	u32 i;

	(void)state;
	poke(0, 0x90);
	assert_int_equal(peek(0), 0x89);
	assert_int_equal(peek(1), 0x18);
	assert_int_equal(peek(FLASH_BLOCK + 2), 0);
	poke(0x55, 0x98);
	for (i = 0; i < sizeof(start); i++)
		assert_int_equal(peek(0x10 + i), start[i]);
	assert_int_equal(peek(0x27), 14);				/* 2^14 hold it */
	assert_int_equal(peek(0x2c), 1);
	assert_int_equal(peek(0x2d) | peek(0x2e) << 8, SIZE / FLASH_BLOCK - 1);
	assert_int_equal((peek(0x2f) | peek(0x30) << 8) * 256, FLASH_BLOCK);
	for (i = 0; i < 3; i++)
		assert_int_equal(peek(0x31 + i), "PRI"[i]);
	assert_int_equal(peek(SIZE - 1), 0);
	poke(0, 0x60);
	poke(0, 0xd0);
	assert_int_equal(peek(0), 0x80);
}

/* Wider accesses are so many bytes. */
static void wide_accesses(void **state)
{
	u32 i;

	(void)state;
	poke(0, 0x70);
	assert_int_equal(bus_read(&ports, BASE + SIZE - 4, 4, now), 0x80808080);
	assert_int_equal(bus_read(&ports, BASE + SIZE - 2, 4, now), 0xffff8080);
	poke(0, 0xff);
	assert_int_equal(bus_read(&ports, BASE + 1, 2, now), 7 | 14 << 8);
	bus_write(&ports, BASE + 8, 4, 0xffd02050, now);	/* clear; erase, confirmed; read */
	assert_true(shown);
	for (i = 0; i < FLASH_BLOCK; i++)
		assert_int_equal(content[i], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ovmf_detects_it, setup),
		cmocka_unit_test_setup(ovmf_writes, setup),
		cmocka_unit_test_setup(programming_only_clears_bits, setup),
		cmocka_unit_test_setup(erase_wants_its_confirmation, setup),
		cmocka_unit_test_setup(data_are_no_commands, setup),
		cmocka_unit_test_setup(tells_what_it_is, setup),
		cmocka_unit_test_setup(wide_accesses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
