/* SPDX-License-Identifier: GPL-2.0-only */
/* The disguised disk in avmm.ko: the back half's worker, its disks, and what they lie on. */
#ifndef MODULE_DISK_H
#define MODULE_DISK_H

#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <disguise/back/ide.h>
#include "partition.h"

/* disk-bio.c: a block device that somebody has opened for us. Requests on their way hold it too. */
struct avmm_backing {
	refcount_t users;
	struct block_device *bdev;
	struct file *file;		/* where the kernel opens block devices as files */
	bool read_only;
	unsigned int orphans;		/* under avmm_io_lock */
	struct list_head waiting;	/* requests that come after them, likewise */
	char path[AVMM_DISK_PATH_MAX + 1];
};

struct avmm_backing *avmm_backing_open(const char *path, bool read_only, struct avmm_refusal *why);
void avmm_backing_put(struct avmm_backing *backing);

struct avmm_io;

struct avmm_io_part {
	struct avmm_io *io;
	u32 first;			/* of its sectors, from the request's first one */
};

/* A request on its way, with all that it needs, so that it may outlive the partition that it was made for. */
struct avmm_io {
	struct work_struct submit;
	struct work_struct reap;
	struct list_head list;		/* of orphans; before, of backing->waiting */
	struct avmm_backing *backing;
	enum avmm_blk_op op;
	u32 flags;
	u8 unit;
	u64 sector;
	u32 sectors;
	unsigned long since;		/* jiffies */
	atomic_t pending;
	u32 done;			/* sectors before the first one that failed */
	bool failed;
	bool ended;			/* these two under avmm_io_lock */
	bool orphan;
	u32 nparts;
	struct avmm_io_part *part;
	struct avmm_blk_segment *guest;	/* if the segments are copies of these; the guest's pages are not held then */
	u32 nsegments;
	struct avmm_blk_segment segment[];
};

extern spinlock_t avmm_io_lock;

int avmm_io_init(void);
void avmm_io_exit(void);		/* waits for the last orphan's end */
/* Never waits for the device. avmm_disk_ended() follows, unless it becomes an orphan before. */
struct avmm_io *avmm_io_start(struct avmm_backing *backing, const struct avmm_blk_req *req);
void avmm_io_deliver(struct avmm_io *io);	/* what was read is the guest's; it has ended, the partition is there */
void avmm_io_free(struct avmm_io *io);
/* Nobody waits for it any more; it keeps its pages and the module until it ends. Under the lock, not ended. */
void avmm_io_abandon(struct avmm_io *io);
/* The partition's RAM is to be used again: what orphans may still reach is exchanged for other memory. */
int avmm_io_leave_ram(struct avmm_refusal *why);

/* disk.c */
void avmm_disk_ended(void);		/* any context */

#endif
