// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flash of the user partition's firmware (vdev/flash.c): a part of the ROM, in memory of Linux's. In read-array mode
 * it is mapped as the rest of the ROM is; otherwise nothing is there, so that reads are exits too.
 *
 * All of it is under the platform's lock. Linux copies the content while the guest may write: page->flash_changes is odd
 * during a write and another number after each.
 */
#include <ept-shadow/mtrr.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include "core.h"
#include "partition.h"

#define FOUR_GIB	(1ull << 32)

/* The page is mapped until another one is on this CPU. */
static u8 *byte_at(const struct partition *p, u32 offset)
{
	u64 in_rom = p->config.flash + offset - (FOUR_GIB - p->config.rom_size);

	return (u8 *)window_map(p->rom_block[in_rom / AVMM_BLOCK_SIZE] + in_rom % AVMM_BLOCK_SIZE / AVMM_PAGE_SIZE *
				AVMM_PAGE_SIZE) + in_rom % AVMM_PAGE_SIZE;
}

static u8 read_content(void *ctx, u32 offset)
{
	return *(volatile u8 *)byte_at(ctx, offset);
}

static void note_change(struct partition *p)
{
	__atomic_store_n(&p->page->flash_changes, p->page->flash_changes + 1, __ATOMIC_SEQ_CST);
}

static void write_content(void *ctx, u32 offset, u8 value)
{
	note_change(ctx);
	*(volatile u8 *)byte_at(ctx, offset) = value;
	note_change(ctx);
}

static void erase(void *ctx, u32 offset)
{
	volatile u64 *page = (volatile u64 *)byte_at(ctx, offset);
	u32 i;

	note_change(ctx);
	for (i = 0; i < FLASH_BLOCK / sizeof(*page); i++)
		page[i] = ~0ull;
	note_change(ctx);
}

/* Piece by piece: a block of the ROM has its own place in Linux's memory. Cannot fail: the ROM is mapped by pages. */
static void map(struct partition *p)
{
	u64 rom = FOUR_GIB - p->config.rom_size, at = p->config.flash, end = at + p->config.flash_size, last;

	for (; at < end; at = last) {
		last = (at & ~(AVMM_BLOCK_SIZE - 1)) + AVMM_BLOCK_SIZE;
		if (last > end)
			last = end;
		ept_map(&p->ept, at, p->rom_block[(at - rom) / AVMM_BLOCK_SIZE] + at % AVMM_BLOCK_SIZE, last - at,
			EPT_R | EPT_X, MTRR_WB);
	}
}

static void show(void *ctx, bool array)
{
	struct partition *p = ctx;

	if (array)
		map(p);
	else
		ept_unmap(&p->ept, p->config.flash, p->config.flash_size);
	vcpu_flush(p);
}

/* Whole pages of the ROM. */
bool flash_good(const struct avmm_partition_config *c)
{
	u64 rom = FOUR_GIB - c->rom_size;

	return !c->flash_size || (!(c->flash % FLASH_BLOCK) && !(c->flash_size % FLASH_BLOCK) && c->flash >= rom &&
				  c->flash < FOUR_GIB && c->flash_size <= FOUR_GIB - c->flash);
}

/* The ROM is mapped. */
int flash_start(struct partition *p)
{
	struct flash_ops ops = { read_content, write_content, erase, show, p };
	struct platform *b = &p->platform;

	if (!p->config.flash_size)
		return 0;
	flash_init(&b->flash, &ops, (u32)p->config.flash_size);
	return bus_map(&b->mmio, p->config.flash, b->flash.row, FLASH_ROWS, &b->flash) ? 0 : -EINVAL;
}
