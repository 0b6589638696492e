// SPDX-License-Identifier: GPL-2.0-only
/*
 * fw_cfg with a random blob and random accesses: it never reads outside of the blob, never moves more than a piece per
 * call, and a DMA request ends. Input: the blob's length, the blob, and a byte of operation and some of value each.
 */
#include <stdlib.h>
#include <string.h>
#include "vdev/debugport.h"
#include "vdev/fw_cfg.h"

#define RAM	0x10000u

struct board {
	struct bus bus;
	struct fw_cfg fw;
	struct debugport debug;
	const u8 *blob;
	u32 blob_size;
	u32 moved;		/* in this call */
	u8 ram[RAM];
};

static void check(bool good)
{
	if (!good)
		abort();
}

static void read_blob(void *ctx, u32 offset, u8 *to, u32 n)
{
	struct board *b = ctx;

	check(offset <= b->blob_size && n <= b->blob_size - offset);
	memcpy(to, b->blob + offset, n);
}

static bool read_ram(void *ctx, u64 gpa, u8 *to, u32 n)
{
	struct board *b = ctx;

	check(n <= AVMM_PAGE_SIZE);
	if (gpa > RAM || n > RAM - gpa)
		return false;
	memcpy(to, b->ram + gpa, n);
	return true;
}

static bool write_ram(void *ctx, u64 gpa, const u8 *from, u32 n)
{
	struct board *b = ctx;

	check(n <= AVMM_PAGE_SIZE);
	b->moved += n;
	check(b->moved <= FW_CFG_PIECE + 4);
	if (gpa > RAM || n > RAM - gpa)
		return false;
	memcpy(b->ram + gpa, from, n);
	return true;
}

static void line(void *ctx, const char *text)
{
	(void)ctx;
	check(text[0] && strlen(text) <= DEBUGPORT_WIDTH);
}

static void access_port(struct board *b, u8 op, u32 value)
{
	static const u16 ports[] = { 0x510, 0x511, 0x514, 0x518, 0x402 };
	unsigned int size = 1u << (op >> 3 & 3), port = op & 7;

	b->moved = 0;
	if (port == 5)
		memcpy(b->ram + (value & 0xfff0), &value, 4);
	else if (port == 6)
		fw_cfg_advance(&b->fw, value);
	else if (port == 7)
		check(fw_cfg_next_deadline(&b->fw, value) == value || !b->fw.dma);
	else if (op & 0x80)
		check(size == 8 || bus_read(&b->bus, ports[port], size, 0) >> (8 * size) == 0);
	else
		bus_write(&b->bus, ports[port], size, op & 0x40 ? __builtin_bswap32(value) : value, 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct board b;
	struct fw_cfg_ops ops = { read_blob, read_ram, write_ram, &b };
	struct fw_cfg_machine machine = { .ram = 1ull << 30, .cpus = 1 };
	struct debugport_ops debug = { line, &b };
	u32 value, i;

	if (size < 2)
		return 0;
	memset(&b, 0, sizeof(b));
	b.blob_size = data[0] | (u32)(data[1] & 3) << 8;
	if (b.blob_size > size - 2)
		b.blob_size = size - 2;
	b.blob = data + 2;
	memcpy(b.ram, data, size < RAM ? size : RAM);
	bus_init(&b.bus);
	fw_cfg_init(&b.fw, &ops, &machine, b.blob_size);
	debugport_init(&b.debug, &debug);
	check(b.fw.files <= FW_CFG_FILES);
	bus_map(&b.bus, FW_CFG_BASE, fw_cfg_rows, FW_CFG_ROWS, &b.fw);
	bus_map(&b.bus, DEBUGPORT_BASE, debugport_rows, DEBUGPORT_ROWS, &b.debug);
	for (i = 2 + b.blob_size; i + 5 <= size; i += 5) {
		memcpy(&value, data + i + 1, 4);
		access_port(&b, data[i], value);
	}
	for (i = 0; b.fw.dma; i++) {
		b.moved = 0;
		fw_cfg_advance(&b.fw, 0);
		check(i < RAM / FW_CFG_PIECE + 1);
	}
	return 0;
}
