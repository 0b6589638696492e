/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NOR flash with Intel's command set (Intel CFI, JESD68 with primary vendor set 1), one byte wide, blocks of 4 KiB: where
 * UEFI firmware keeps its variables.
 *
 * A write is a command, or the data of one. In read-array mode the content itself is what a guest sees, so that reads
 * need no exit: show() tells when that begins and when it ends. Programming clears bits, and only erasing sets them.
 * Every command is done at once.
 */
#ifndef AVMM_FLASH_H
#define AVMM_FLASH_H

#include "bus.h"

#define FLASH_BLOCK	4096u
#define FLASH_ROWS	1u

struct flash_ops {
	u8 (*read)(void *ctx, u32 offset);
	void (*write)(void *ctx, u32 offset, u8 value);		/* the content, whatever it was */
	void (*erase)(void *ctx, u32 offset);			/* a block, to ones */
	void (*show)(void *ctx, bool array);			/* called on changes only; at first it is true */
	void *ctx;
};

enum flash_mode { FLASH_ARRAY, FLASH_STATUS, FLASH_ID, FLASH_QUERY };

struct flash {
	struct flash_ops ops;
	struct bus_row row[FLASH_ROWS];	/* as large as it is */
	u32 size;
	u8 status;
	u8 pending;			/* the command whose second cycle is expected; 0: none */
	u8 mode;			/* enum flash_mode: what reads give */
};

/* size: whole blocks, up to 16 MiB. */
void flash_init(struct flash *f, const struct flash_ops *ops, u32 size);

#endif
