// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of the disguised disk to block devices: bios on the guest's own pages, and what becomes of requests that a
 * device does not answer.
 *
 * A request is submitted by a work item of its own, for drivers may sleep there until a server is back. It holds its
 * pages, its device and, as an orphan, the module: so a partition can end at any time. Pages of a partition that is gone
 * return to Linux when the request ends, and not before. Requests to a device that has orphans wait until these have
 * ended, so that an old write never overtakes a new one.
 *
 * Pages of an identity window cannot stay behind: the next partition has the same. There requests go by copies.
 *
 * avmm_io_lock guards ended, orphan, the list of orphans and what of struct avmm_backing is said to be under it.
 */
#include <linux/bio.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "disk.h"
#include "module.h"

DEFINE_SPINLOCK(avmm_io_lock);
static LIST_HEAD(orphans);
static struct workqueue_struct *queue;

/* Block devices */

#ifdef AVMM_HAVE_BDEV_FILE
static int open_device(struct avmm_backing *b, bool write)
{
	struct file *file = bdev_file_open_by_path(b->path, BLK_OPEN_READ | (write ? BLK_OPEN_WRITE : 0), b, NULL);

	if (IS_ERR(file))
		return PTR_ERR(file);
	b->file = file;
	b->bdev = file_bdev(file);
	return 0;
}

static void close_device(struct avmm_backing *b)
{
	bdev_fput(b->file);
}
#else
static fmode_t open_mode(bool write)
{
	return FMODE_READ | FMODE_EXCL | (write ? FMODE_WRITE : 0);
}

static int open_device(struct avmm_backing *b, bool write)
{
	struct block_device *bdev = blkdev_get_by_path(b->path, open_mode(write), b);

	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	b->bdev = bdev;
	return 0;
}

static void close_device(struct avmm_backing *b)
{
	blkdev_put(b->bdev, open_mode(!b->read_only));
}
#endif

static int refuse_open(const struct avmm_backing *b, int err, struct avmm_refusal *why)
{
	switch (err) {
	case -ENOENT:
		return avmm_refuse(why, err, "%s does not exist", b->path);
	case -ENOTBLK:
		return avmm_refuse(why, err, "%s is not a block device", b->path);
	case -EBUSY:
		return avmm_refuse(why, err, "%s is in use: mounted, part of another device, or a user partition that "
				   "is gone waits for its answer", b->path);
	case -ENXIO:
	case -ENODEV:
	case -ENOMEDIUM:
		return avmm_refuse(why, err, "%s has no medium, or nothing is connected to it", b->path);
	default:
		return avmm_refuse(why, err, "%s cannot be opened: error %d", b->path, err);
	}
}

struct avmm_backing *avmm_backing_open(const char *path, bool read_only, struct avmm_refusal *why)
{
	struct avmm_backing *b = kzalloc(sizeof(*b), GFP_KERNEL);
	int err;

	if (!b)
		return ERR_PTR(-ENOMEM);
	refcount_set(&b->users, 1);
	INIT_LIST_HEAD(&b->waiting);
	strscpy(b->path, path, sizeof(b->path));
	b->read_only = read_only;
	err = open_device(b, !read_only);
	if (!read_only && (err == -EACCES || err == -EROFS)) {
		b->read_only = true;
		err = open_device(b, false);
	}
	if (err) {
		err = refuse_open(b, err, why);
		kfree(b);
		return ERR_PTR(err);
	}
	return b;
}

void avmm_backing_put(struct avmm_backing *b)
{
	if (!b || !refcount_dec_and_test(&b->users))
		return;
	close_device(b);
	kfree(b);
}

/* The end of a request */

static void put_pages(struct avmm_io *io)
{
	u32 i, at;

	for (i = 0; i < io->nsegments; i++) {
		struct avmm_blk_segment *s = &io->segment[i];

		for (at = 0; at < offset_in_page(s->data) + s->bytes; at += PAGE_SIZE)
			put_page(virt_to_page((void *)((unsigned long)s->data & PAGE_MASK) + at));
	}
}

static void get_pages(struct avmm_io *io)
{
	u32 i, at;

	for (i = 0; i < io->nsegments; i++) {
		struct avmm_blk_segment *s = &io->segment[i];

		for (at = 0; at < offset_in_page(s->data) + s->bytes; at += PAGE_SIZE)
			get_page(virt_to_page((void *)((unsigned long)s->data & PAGE_MASK) + at));
	}
}

/* The first so many bytes, between the guest's segments and their copies. */
static void copy(struct avmm_io *io, u64 bytes, bool to_guest)
{
	struct avmm_blk_segment *guest = io->guest, *own = io->segment;
	u32 guest_at = 0, own_at = 0, n;

	for (; bytes; bytes -= n) {
		n = min3((u64)guest->bytes - guest_at, (u64)own->bytes - own_at, bytes);
		if (to_guest)
			memcpy(guest->data + guest_at, own->data + own_at, n);
		else
			memcpy(own->data + own_at, guest->data + guest_at, n);
		guest_at += n;
		own_at += n;
		if (guest_at == guest->bytes) {
			guest++;
			guest_at = 0;
		}
		if (own_at == own->bytes) {
			own++;
			own_at = 0;
		}
	}
}

static u64 bytes_of(const struct avmm_blk_req *req)
{
	u64 bytes = 0;
	u32 i;

	for (i = 0; i < req->nsegments; i++)
		bytes += req->segment[i].bytes;
	return bytes;
}

/* Pages of our own as its segments, and the guest's apart. */
static void take_copies(struct avmm_io *io, const struct avmm_blk_req *req, u64 bytes)
{
	u64 left = bytes;
	u32 i;

	io->guest = kmalloc_array(req->nsegments, sizeof(io->guest[0]), GFP_NOIO | __GFP_NOFAIL);
	memcpy(io->guest, req->segment, req->nsegments * sizeof(io->guest[0]));
	for (i = 0; i < io->nsegments; i++, left -= io->segment[i - 1].bytes) {
		io->segment[i].data = page_address(alloc_page(GFP_NOIO | __GFP_NOFAIL));
		io->segment[i].bytes = min_t(u64, left, PAGE_SIZE);
	}
	if (io->op == AVMM_BLK_WRITE)
		copy(io, bytes, false);
}

void avmm_io_deliver(struct avmm_io *io)
{
	if (io->guest && io->op == AVMM_BLK_READ)
		copy(io, (u64)io->done << SECTOR_SHIFT, true);
}

void avmm_io_free(struct avmm_io *io)
{
	put_pages(io);
	avmm_backing_put(io->backing);
	kfree(io->guest);
	kfree(io->part);
	kfree(io);
}

static void submit_waiting(struct avmm_backing *b)
{
	struct avmm_io *io;

	while (!b->orphans && !list_empty(&b->waiting)) {
		io = list_first_entry(&b->waiting, struct avmm_io, list);
		list_del_init(&io->list);
		queue_work(queue, &io->submit);
	}
}

/* The module's reference is the last thing: avmm_io_exit() waits until this function has returned. */
static void reap(struct work_struct *work)
{
	struct avmm_io *io = container_of(work, struct avmm_io, reap);

	pr_avmm(KERN_INFO, "%s has answered a request of a user partition that is gone\n", io->backing->path);
	spin_lock_irq(&avmm_io_lock);
	list_del(&io->list);
	io->backing->orphans--;
	submit_waiting(io->backing);
	spin_unlock_irq(&avmm_io_lock);
	avmm_io_free(io);
	module_put(THIS_MODULE);
}

static void put_pending(struct avmm_io *io)
{
	unsigned long flags;

	if (!atomic_dec_and_test(&io->pending))
		return;
	spin_lock_irqsave(&avmm_io_lock, flags);
	io->ended = true;
	if (io->orphan)
		queue_work(queue, &io->reap);
	else
		avmm_disk_ended();
	spin_unlock_irqrestore(&avmm_io_lock, flags);
}

static void note_error(struct avmm_io *io, u32 first)
{
	unsigned long flags;

	spin_lock_irqsave(&avmm_io_lock, flags);
	io->failed = true;
	io->done = min(io->done, first);
	spin_unlock_irqrestore(&avmm_io_lock, flags);
}

static void on_end(struct bio *bio)
{
	struct avmm_io_part *part = bio->bi_private;
	struct avmm_io *io = part->io;

	if (bio->bi_status)
		note_error(io, part->first);
	bio_put(bio);
	put_pending(io);
}

/* The way of a request */

static void send(struct avmm_io *io, struct bio *bio, u32 first)
{
	struct avmm_io_part *part = &io->part[io->nparts++];

	part->io = io;
	part->first = first;
	bio->bi_private = part;
	bio->bi_end_io = on_end;
	atomic_inc(&io->pending);
	submit_bio(bio);
}

static blk_opf_t flags_of(const struct avmm_io *io)
{
	if (io->op == AVMM_BLK_READ)
		return REQ_OP_READ;
	if (io->op == AVMM_BLK_FLUSH)
		return REQ_OP_WRITE | REQ_PREFLUSH;
	return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE | (io->flags & AVMM_BLK_FUA ? REQ_FUA : 0);
}

static unsigned int count_pages(const struct avmm_io *io)
{
	unsigned int i, pages = 0;

	for (i = 0; i < io->nsegments; i++)
		pages += DIV_ROUND_UP(offset_in_page(io->segment[i].data) + io->segment[i].bytes, PAGE_SIZE);
	return pages;
}

/* One bio is made after the other, and submitted before the next, as their pool wants it. */
static void send_data(struct avmm_io *io)
{
	unsigned int pages = count_pages(io);
	u32 i, sent = 0, first = 0;
	struct bio *bio = NULL;

	for (i = 0; i < io->nsegments; i++) {
		u8 *data = io->segment[i].data;
		u32 left = io->segment[i].bytes, n;

		for (; left; left -= n, data += n, pages--) {
			n = min_t(u32, left, PAGE_SIZE - offset_in_page(data));
			if (bio && bio_add_page(bio, virt_to_page(data), n, offset_in_page(data)) == n) {
				sent += n >> SECTOR_SHIFT;
				continue;
			}
			if (bio)
				send(io, bio, first);
			first = sent;
			bio = bio_alloc(io->backing->bdev, bio_max_segs(pages), flags_of(io), GFP_NOIO);
			bio->bi_iter.bi_sector = io->sector + first;
			__bio_add_page(bio, virt_to_page(data), n, offset_in_page(data));
			sent += n >> SECTOR_SHIFT;
		}
	}
	if (bio)
		send(io, bio, first);
}

static void send_discard(struct avmm_io *io)
{
	struct bio *bio = NULL;
	int err = __blkdev_issue_discard(io->backing->bdev, io->sector, io->sectors, GFP_NOIO, &bio);

	if (bio)
		send(io, bio, 0);
	if (err)
		note_error(io, 0);
}

static void submit(struct work_struct *work)
{
	struct avmm_io *io = container_of(work, struct avmm_io, submit);

	if (io->op == AVMM_BLK_DISCARD)
		send_discard(io);
	else if (io->op == AVMM_BLK_FLUSH)
		send(io, bio_alloc(io->backing->bdev, 0, flags_of(io), GFP_NOIO), 0);
	else
		send_data(io);
	put_pending(io);
}

struct avmm_io *avmm_io_start(struct avmm_backing *backing, const struct avmm_blk_req *req)
{
	u64 copied = avmm_window_taken() ? bytes_of(req) : 0;
	u32 nsegments = copied ? DIV_ROUND_UP(copied, PAGE_SIZE) : req->nsegments;
	struct avmm_io *io = kzalloc(struct_size(io, segment, nsegments), GFP_NOIO | __GFP_NOFAIL);

	io->backing = backing;
	refcount_inc(&backing->users);
	io->op = req->op;
	io->flags = req->flags;
	io->unit = req->unit;
	io->sector = req->sector;
	io->sectors = req->sectors;
	io->done = req->sectors;
	io->since = jiffies;
	io->nsegments = nsegments;
	if (copied) {
		take_copies(io, req, copied);
	} else {
		memcpy(io->segment, req->segment, nsegments * sizeof(io->segment[0]));
		get_pages(io);
	}
	atomic_set(&io->pending, 1);
	INIT_LIST_HEAD(&io->list);
	INIT_WORK(&io->submit, submit);
	INIT_WORK(&io->reap, reap);
	/* a page may take an entry of its own in the worst case, and the last bio may be short */
	io->part = kcalloc(count_pages(io) / BIO_MAX_VECS + 2, sizeof(*io->part), GFP_NOIO | __GFP_NOFAIL);
	spin_lock_irq(&avmm_io_lock);
	list_add_tail(&io->list, &backing->waiting);
	submit_waiting(backing);
	spin_unlock_irq(&avmm_io_lock);
	return io;
}

/* Orphans */

void avmm_io_abandon(struct avmm_io *io)
{
	__module_get(THIS_MODULE);
	io->orphan = true;
	io->backing->orphans++;
	/* it may wait for older ones, and is not to be sent any more: its partition is gone, it counts as never asked for */
	if (!list_empty(&io->list)) {
		list_del_init(&io->list);
		queue_work(queue, &io->reap);
	}
	list_add(&io->list, &orphans);
}

static struct page *page_in_ram(const struct avmm_blk_segment *s)
{
	unsigned long at = (unsigned long)s->data & PAGE_MASK, end = (unsigned long)s->data + s->bytes;

	for (; at < end; at += PAGE_SIZE)
		if (avmm_ram_owns(virt_to_page((void *)at)))
			return virt_to_page((void *)at);
	return NULL;
}

/* A page of the partition's RAM that an orphan may still reach; NULL: none. */
static struct page *orphan_page(void)
{
	struct page *page = NULL;
	struct avmm_io *io;
	u32 i;

	spin_lock_irq(&avmm_io_lock);
	list_for_each_entry(io, &orphans, list)
		for (i = 0; i < io->nsegments && !page; i++)
			page = page_in_ram(&io->segment[i]);
	spin_unlock_irq(&avmm_io_lock);
	return page;
}

int avmm_io_leave_ram(struct avmm_refusal *why)
{
	struct page *page;
	int err = 0;

	while (!err && (page = orphan_page()))
		err = avmm_ram_exchange(page);
	if (err)
		return avmm_refuse(why, err, "a disk that has not answered may still write to the partition's memory, and "
				   "there is no other to take its place");
	return 0;
}

int avmm_io_init(void)
{
	queue = alloc_workqueue("avmm-disk-io", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	return queue ? 0 : -ENOMEM;
}

void avmm_io_exit(void)
{
	destroy_workqueue(queue);
}
