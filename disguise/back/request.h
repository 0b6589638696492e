/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The request between controller models and block devices, and the way to the guest's memory.
 *
 * A controller model fills a request: addresses that the guest supplied are mapped one page at a time, once, while the
 * request is filled; from then on it holds pointers only. Whoever owns the block device makes bios of its segments.
 * Segments of guest memory are the guest's own pages, nothing is copied.
 */
#ifndef AVMM_BACK_REQUEST_H
#define AVMM_BACK_REQUEST_H

#include <avmm/disk.h>

#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#define AVMM_BLK_SEGMENTS	256

enum avmm_blk_op { AVMM_BLK_READ, AVMM_BLK_WRITE, AVMM_BLK_FLUSH, AVMM_BLK_DISCARD };

#define AVMM_BLK_FUA	(1u << 0)

enum avmm_blk_status { AVMM_BLK_OK, AVMM_BLK_ERROR };

struct avmm_blk_segment {
	void *data;	/* in the kernel's direct map; may go on over pages that lie one behind the other there */
	u32 bytes;	/* of a READ or WRITE always whole sectors */
};

struct avmm_blk_req {
	enum avmm_blk_op op;
	u32 flags;
	u8 unit;
	u64 sector;
	u32 sectors;
	u32 nsegments;
	struct avmm_blk_segment segment[AVMM_BLK_SEGMENTS];
	/* set by the block device's side */
	enum avmm_blk_status status;
	u32 done;	/* after an error: sectors before the first one that failed, as far as it is known */
};

/* The partition's RAM: where the page at a page-aligned guest-physical address is; NULL: no RAM. */
struct avmm_guest_memory {
	void *(*page)(void *ctx, u64 gpa);
	void *ctx;
};

/* n bytes between buffer and guest; false: not all of it is RAM, and a part may have been copied. */
bool avmm_guest_read(const struct avmm_guest_memory *m, u64 gpa, void *to, u32 n);
bool avmm_guest_write(const struct avmm_guest_memory *m, u64 gpa, const void *from, u32 n);

void avmm_blk_init(struct avmm_blk_req *req, enum avmm_blk_op op, u64 sector);
/* A piece of memory of ours. False: the request is full. */
bool avmm_blk_add(struct avmm_blk_req *req, void *data, u32 bytes);

enum avmm_blk_added { AVMM_BLK_ADDED, AVMM_BLK_FULL, AVMM_BLK_NO_RAM };

/*
 * Guest memory: whole sectors, at an address that is a multiple of a sector. *added says how far it went, also when
 * the request is full before the end; it can be submitted then, and the rest goes into the next one.
 */
enum avmm_blk_added avmm_blk_add_guest(struct avmm_blk_req *req, const struct avmm_guest_memory *m, u64 gpa, u32 bytes,
				       u32 *added);

#endif
