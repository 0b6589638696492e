/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fw_cfg, as QEMU's docs/specs/fw_cfg describes it: items that firmware reads by number or, through a directory, by
 * name. Ports 510h (selector), 511h (data), 514h and 518h (DMA). All items are read-only.
 *
 * The files come as one blob, which begins with the directory just as the guest will read it (big-endian: their count;
 * per file its size, two unused 16-bit words, a name of 56 bytes) and goes on with their contents one after the other.
 * Sizes are taken over and checked once; the guest reads the rest as it is, so who owns the blob may lie to the guest
 * only. Selectors are given out here: 20h, 21h, … in the directory's order.
 *
 * DMA moves a piece per call and goes on with fw_cfg_advance(); the guest waits for its control word to become 0.
 */
#ifndef VDEV_FW_CFG_H
#define VDEV_FW_CFG_H

#include "bus.h"

#define FW_CFG_BASE	0x510
#define FW_CFG_ROWS	2
#define FW_CFG_FILES	32		/* more are not shown */
#define FW_CFG_PIECE	4096u		/* bytes of DMA per call */

struct fw_cfg_ops {
	/* n bytes of the blob, of which the length was given to fw_cfg_init(). */
	void (*blob)(void *ctx, u32 offset, u8 *to, u32 n);
	/* n bytes at most a page of guest-physical memory, across a page boundary or not. False: not all of it is RAM. */
	bool (*read)(void *ctx, u64 gpa, u8 *to, u32 n);
	bool (*write)(void *ctx, u64 gpa, const u8 *from, u32 n);
	void *ctx;
};

struct fw_cfg_machine {
	u64 ram;		/* bytes */
	u16 cpus;
};

struct fw_cfg {
	struct fw_cfg_ops ops;
	struct fw_cfg_machine machine;
	u32 files;
	struct {
		u32 offset;	/* in the blob */
		u32 size;
	} file[FW_CFG_FILES];
	u16 key;		/* the selected item, */
	u32 offset;		/* and where in it the guest is */
	u64 address;		/* the upper half of a DMA request's address; of the request itself while dma */
	bool dma;		/* … goes on: */
	u32 control;
	u32 left;
	u64 memory;
};

extern const struct bus_row fw_cfg_rows[FW_CFG_ROWS];

/* blob_size 0: no files. */
void fw_cfg_init(struct fw_cfg *f, const struct fw_cfg_ops *ops, const struct fw_cfg_machine *machine, u32 blob_size);

u64 fw_cfg_next_deadline(const struct fw_cfg *f, u64 now);
void fw_cfg_advance(struct fw_cfg *f, u64 now);

#endif
