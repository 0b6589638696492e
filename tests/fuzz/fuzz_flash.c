// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flash under any stream of accesses. A second model, which knows only what may change: content changes by a program or
 * an erase command alone, programming sets no bit, and what is shown is the content.
 *
 * Input: 4 bytes a step: which access, where (two), what.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdev/flash.h"

#define SIZE	(5 * FLASH_BLOCK)
#define BASE	0xffc00000u

#define CHECK(cond)	do { if (!(cond)) failed(#cond, __LINE__); } while (0)

static u8 content[SIZE], before[SIZE];
static bool shown;
static unsigned int writes, erases;

static void failed(const char *what, int line)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

static u8 get(void *ctx, u32 offset)
{
	(void)ctx;
	CHECK(offset < SIZE);
	return content[offset];
}

static void set(void *ctx, u32 offset, u8 value)
{
	(void)ctx;
	CHECK(offset < SIZE && !(value & ~content[offset]));
	content[offset] = value;
	writes++;
}

static void erase(void *ctx, u32 offset)
{
	(void)ctx;
	CHECK(offset < SIZE && offset % FLASH_BLOCK == 0);
	memset(content + offset, 0xff, FLASH_BLOCK);
	erases++;
}

static void show(void *ctx, bool array)
{
	(void)ctx;
	CHECK(array != shown);
	shown = array;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct flash_ops ops = { get, set, erase, show, NULL };
	static struct flash flash;
	static struct bus bus;
	unsigned int i;

	shown = true;
	for (i = 0; i < SIZE; i++)
		content[i] = (u8)(i ^ i >> 8);
	bus_init(&bus);
	flash_init(&flash, &ops, SIZE);
	CHECK(bus_map(&bus, BASE, flash.row, FLASH_ROWS, &flash));
	for (; size >= 4; data += 4, size -= 4) {
		u32 offset = (u32)(data[1] | data[2] << 8) % SIZE;
		unsigned int bytes = 1u << (data[0] >> 1 & 3);

		memcpy(before, content, sizeof(before));
		writes = 0;
		erases = 0;
		if (data[0] & 1) {
			bus_write(&bus, BASE + offset, bytes, data[3] * 0x0101010101010101ull, 0);
			CHECK(writes + erases <= (bytes + 1) / 2);
		} else {
			u64 value = bus_read(&bus, BASE + offset, bytes, 0);

			CHECK(!shown || (u8)value == content[offset]);
			CHECK(!writes && !erases);
		}
		CHECK(writes || erases || !memcmp(before, content, sizeof(before)));
		CHECK(shown == (flash.mode == FLASH_ARRAY));
	}
	return 0;
}
