// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disguised disk's back half in Linux: its worker, its disks, its settings.
 *
 * One work item runs disguise/back: it takes commands out of the rings when the monitor's message says that there are
 * some, and ends requests that the block devices have answered. It never waits for a device, with one exception: a
 * guest that resets its controller while the device reads or writes its memory. It is held by the monitor then, and so
 * is the worker, until the device has answered or the partition goes.
 *
 * `lock` guards `back` and `unit`, and is held by the worker. avmm_io_lock guards `flying`. Who attaches and detaches
 * holds partition.c's lock; order: that one, `lock`, avmm_io_lock. A request's age is looked at by another work item,
 * which takes partition.c's lock: the worker never waits for that one.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <avmm/hypercall.h>
#include "disk.h"
#include "module.h"

#define BUFFER_ORDER	get_order(IDE_BUFFER_SIZE)
#define LOCK_TRY_MS	2000	/* that a control request waits for a worker that waits */

struct unit {
	struct avmm_backing *backing;
	u64 counters[AVMM_DISK_COUNTERS];
};

static DEFINE_MUTEX(lock);
static DECLARE_WAIT_QUEUE_HEAD(ended_wait);
static struct workqueue_struct *queue;
static struct ide_back *back;			/* NULL: no disk was attached */
static struct unit unit[AVMM_DISK_UNITS];
static struct avmm_io *flying[AVMM_DISK_CHANNELS];
static bool missing[AVMM_DISK_CHANNELS];	/* its disc is gone: the request fails, as soon as the worker comes to it */
static bool running;				/* the monitor has the front half */
static bool stopping;
static bool answered;				/* completions that the monitor does not know of yet */
static u32 generation;
static u8 media;
static u32 watch_seconds;

static void work(struct work_struct *item);
static void watch(struct work_struct *item);
static DECLARE_WORK(disk_work, work);
static DECLARE_DELAYED_WORK(watch_work, watch);

static void queue_disk_work(void)
{
	queue_work_on(AVMM_SHARED_CPU, queue, &disk_work);
}

void avmm_disk_ended(void)
{
	wake_up(&ended_wait);
	queue_disk_work();
}

void avmm_disk_message(void)
{
	const struct avmm_disk_page *page = avmm_shared_disk();

	if (READ_ONCE(running) && READ_ONCE(page->command_head) != READ_ONCE(page->command_tail))
		queue_disk_work();
}

/* What the back half asks for */

static void count_request(const struct avmm_blk_req *req)
{
	static const u8 counter[] = {
		[AVMM_BLK_READ] = AVMM_DISK_COUNT_READS, [AVMM_BLK_WRITE] = AVMM_DISK_COUNT_WRITES,
		[AVMM_BLK_FLUSH] = AVMM_DISK_COUNT_FLUSHES, [AVMM_BLK_DISCARD] = AVMM_DISK_COUNT_DISCARDS,
	};
	u64 *counters = unit[req->unit].counters;

	counters[counter[req->op]]++;
	if (req->op == AVMM_BLK_READ)
		counters[AVMM_DISK_COUNT_SECTORS_READ] += req->sectors;
	else if (req->op == AVMM_BLK_WRITE)
		counters[AVMM_DISK_COUNT_SECTORS_WRITTEN] += req->sectors;
}

static void set_flying(unsigned int channel, struct avmm_io *io)
{
	spin_lock_irq(&avmm_io_lock);
	flying[channel] = io;
	spin_unlock_irq(&avmm_io_lock);
}

static void submit(void *ctx, struct avmm_blk_req *req)
{
	struct avmm_io *io;

	count_request(req);
	if (!unit[req->unit].backing) {
		missing[req->unit / 2] = true;
		queue_disk_work();
		return;
	}
	io = avmm_io_start(unit[req->unit].backing, req);
	set_flying(req->unit / 2, io);
	if (watch_seconds && !delayed_work_pending(&watch_work))
		queue_delayed_work(queue, &watch_work, watch_seconds * HZ);
}

/*
 * The guest gave the command up; the monitor holds it until the cancellation is answered. The pages are not exchanged for
 * copies: what the guest has in the same 2 MiB may be under other requests. So the answer has to wait for the device.
 */
static void withdraw(void *ctx, struct avmm_blk_req *req)
{
	struct avmm_io *io = flying[req->unit / 2];

	if (io)
		wait_event(ended_wait, READ_ONCE(io->ended) || READ_ONCE(stopping));
}

static void kick(void *ctx)
{
	answered = true;
}

static void *guest_page(void *ctx, u64 gpa)
{
	return avmm_ram_at(gpa);
}

/* The worker */

static void look_at_sizes(void)
{
	unsigned int i;

	for (i = 0; i < AVMM_DISK_UNITS; i++)
		if (unit[i].backing)
			back->unit[i].sectors = bdev_nr_sectors(unit[i].backing->bdev);
}

static struct avmm_io *take_ended(unsigned int channel)
{
	struct avmm_io *io;

	spin_lock_irq(&avmm_io_lock);
	io = flying[channel];
	if (io && !io->ended)
		io = NULL;
	if (io)
		flying[channel] = NULL;
	spin_unlock_irq(&avmm_io_lock);
	return io;
}

static void end_requests(void)
{
	unsigned int i;

	for (i = 0; i < AVMM_DISK_CHANNELS; i++) {
		struct avmm_blk_req *req = &back->channel[i].req;
		struct avmm_io *io = take_ended(i);

		if (missing[i]) {
			missing[i] = false;
			req->status = AVMM_BLK_ERROR;
			req->done = 0;
			ide_back_end(back, req);
		}
		if (!io)
			continue;
		req->status = io->failed ? AVMM_BLK_ERROR : AVMM_BLK_OK;
		req->done = io->done;
		if (io->failed)
			unit[io->unit].counters[AVMM_DISK_COUNT_ERRORS]++;
		avmm_io_deliver(io);
		avmm_io_free(io);
		ide_back_end(back, req);
	}
}

static void work(struct work_struct *item)
{
	mutex_lock(&lock);
	if (running && !stopping) {
		look_at_sizes();
		end_requests();
		ide_back_poll(back);
		if (answered && !stopping)
			avmm_hypercall(AVMM_HC_DISK, AVMM_DISK_COMPLETIONS, 0, 0);
		answered = false;
	}
	mutex_unlock(&lock);
	/* overdue no more? */
	if (READ_ONCE(avmm_shared_partition()->held) & AVMM_HELD_FROZEN)
		mod_delayed_work(queue, &watch_work, 0);
}

/* How long requests take */

/* The oldest request that was not answered, of this unit or any (AVMM_DISK_UNITS): in jiffies, 0: none. */
static unsigned long age_of(unsigned int number, unsigned int *which)
{
	unsigned long oldest = 0, flags;
	unsigned int i;

	spin_lock_irqsave(&avmm_io_lock, flags);
	for (i = 0; i < AVMM_DISK_CHANNELS; i++) {
		const struct avmm_io *io = flying[i];
		unsigned long age = io && !io->ended ? jiffies - io->since + 1 : 0;

		if (age <= oldest || (number < AVMM_DISK_UNITS && number != io->unit))
			continue;
		oldest = age;
		*which = io->unit;
	}
	spin_unlock_irqrestore(&avmm_io_lock, flags);
	return oldest;
}

bool avmm_disk_waits(u32 seconds, char *text, size_t size)
{
	unsigned int which = 0;
	unsigned long age = age_of(AVMM_DISK_UNITS, &which);

	if (!seconds || age < seconds * HZ)
		return false;
	scnprintf(text, size, "disk%u (%s) has not answered for %lu s", which,
		  unit[which].backing ? unit[which].backing->path : "no disc", age / HZ);
	return true;
}

static void watch(struct work_struct *item)
{
	unsigned int which;
	unsigned long age, limit = READ_ONCE(watch_seconds) * HZ;

	avmm_partition_watch_disk();
	age = age_of(AVMM_DISK_UNITS, &which);
	/* one that waits longer wakes the worker when it ends */
	if (limit && age && age < limit)
		queue_delayed_work(queue, &watch_work, limit - age);
}

void avmm_disk_watch(u32 seconds)
{
	WRITE_ONCE(watch_seconds, seconds);
}

/* Attach and detach */

static void free_back(void)
{
	unsigned int i;

	for (i = 0; back && i < AVMM_DISK_CHANNELS; i++)
		if (back->channel[i].buffer)
			put_page(virt_to_page(back->channel[i].buffer));
	kvfree(back);
	WRITE_ONCE(back, NULL);
}

/* Requests hold the buffers' pages as they do the guest's. */
static int make_back(void)
{
	u8 *area = avmm_shared_disk() + PAGE_SIZE;
	struct ide_back *b;
	unsigned int i;

	if (back)
		return 0;
	b = kvzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	b->page = avmm_shared_disk();
	WRITE_ONCE(back, b);
	for (i = 0; i < AVMM_DISK_CHANNELS; i++) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, BUFFER_ORDER);

		if (!page) {
			free_back();
			return -ENOMEM;
		}
		b->channel[i].area = area + i * AVMM_DISK_DATA_SIZE;
		b->channel[i].buffer = page_address(page);
	}
	return 0;
}

static void describe(unsigned int number, bool cdrom)
{
	struct ide_unit *u = &back->unit[number];
	struct avmm_backing *b = unit[number].backing;

	memset(u, 0, sizeof(*u));
	u->kind = cdrom ? AVMM_DISK_ATAPI : AVMM_DISK_ATA;
	strscpy(u->model, cdrom ? "AVMM CD-ROM" : "AVMM DISK", sizeof(u->model));
	scnprintf(u->serial, sizeof(u->serial), "AVMM%08u", number);
	strscpy(u->firmware, "1.0", sizeof(u->firmware));
	u->physical_block = AVMM_DISK_SECTOR;
	if (!b)
		return;
	if (cdrom && !++media)
		media = 1;
	u->media = cdrom ? media : 0;
	u->read_only = b->read_only;
	u->sectors = bdev_nr_sectors(b->bdev);
	u->can_discard = !cdrom && !b->read_only && bdev_max_discard_sectors(b->bdev);
	if (!cdrom)
		u->physical_block = max(bdev_physical_block_size(b->bdev), AVMM_DISK_SECTOR);
}

static int check_size(const struct avmm_backing *b, bool cdrom, struct avmm_refusal *why)
{
	if (bdev_logical_block_size(b->bdev) > (cdrom ? 2048 : AVMM_DISK_SECTOR))
		return avmm_refuse(why, -EINVAL, "%s has blocks of %u bytes: disks with more than 512 are not supported",
				   b->path, bdev_logical_block_size(b->bdev));
	if (!bdev_nr_sectors(b->bdev))
		return avmm_refuse(why, -ENXIO, "%s has no medium, or nothing is connected to it", b->path);
	return 0;
}

/* The worker may wait for a device, for as long as that likes. */
static int lock_soon(struct avmm_refusal *why)
{
	unsigned int ms;

	for (ms = 0; ms < LOCK_TRY_MS; ms += 10) {
		if (mutex_trylock(&lock))
			return 0;
		schedule_timeout_uninterruptible(msecs_to_jiffies(10));
	}
	return avmm_refuse(why, -EAGAIN, "the disk controller is being reset and waits for a disk");
}

static int may_attach(const struct avmm_disk_request *r, bool live, struct avmm_refusal *why)
{
	if (live && (!back || back->unit[r->number].kind != AVMM_DISK_ATAPI))
		return avmm_refuse(why, -EBUSY, "disk%u: IDE disks cannot be attached while the partition runs, only discs "
				   "put into a CD-ROM drive that it has", r->number);
	if (unit[r->number].backing || (!live && back && back->unit[r->number].kind))
		return avmm_refuse(why, -EEXIST, "disk%u is there already: detach it first", r->number);
	if (!r->path && !r->cdrom)
		return avmm_refuse(why, -EINVAL, "disk%u: a disk needs a block device", r->number);
	return 0;
}

int avmm_disk_attach(const struct avmm_disk_request *r, bool live, struct avmm_refusal *why)
{
	struct avmm_backing *b = NULL;
	bool cdrom = r->cdrom || live;
	int err;

	if (r->number >= AVMM_DISK_UNITS)
		return avmm_refuse(why, -ERANGE, "disk%u: there are disk0 to disk%u", r->number, AVMM_DISK_UNITS - 1);
	err = may_attach(r, live, why);
	if (!err && make_back())
		err = avmm_refuse(why, -ENOMEM, "no memory for the disk controller");
	if (!err && r->path) {
		b = avmm_backing_open(r->path, r->read_only || cdrom, why);
		err = IS_ERR(b) ? PTR_ERR(b) : check_size(b, cdrom, why);
	}
	if (!err)
		err = lock_soon(why);
	if (err) {
		if (!IS_ERR(b))
			avmm_backing_put(b);
		return err;
	}
	unit[r->number].backing = b;
	memset(unit[r->number].counters, 0, sizeof(unit[r->number].counters));
	describe(r->number, cdrom);
	mutex_unlock(&lock);
	return 0;
}

int avmm_disk_detach(u32 number, bool live, struct avmm_refusal *why)
{
	bool cdrom;
	int err;

	if (number >= AVMM_DISK_UNITS || !back || !back->unit[number].kind)
		return avmm_refuse(why, -ENOENT, "there is no disk%u", number);
	cdrom = back->unit[number].kind == AVMM_DISK_ATAPI;
	if (live && !cdrom)
		return avmm_refuse(why, -EBUSY, "disk%u: IDE disks cannot be detached while the partition runs", number);
	if (live && !unit[number].backing)
		return avmm_refuse(why, -ENOENT, "there is no disc in disk%u", number);
	err = lock_soon(why);
	if (err)
		return err;
	avmm_backing_put(unit[number].backing);
	unit[number].backing = NULL;
	if (live)
		describe(number, true);
	else
		memset(&back->unit[number], 0, sizeof(back->unit[number]));
	mutex_unlock(&lock);
	return 0;
}

void avmm_disk_info(struct avmm_disk_info info[AVMM_DISK_UNITS])
{
	unsigned int i, which;

	memset(info, 0, AVMM_DISK_UNITS * sizeof(*info));
	for (i = 0; back && i < AVMM_DISK_UNITS; i++) {
		const struct avmm_backing *b = unit[i].backing;

		info[i].kind = back->unit[i].kind;
		info[i].read_only = back->unit[i].read_only;
		info[i].size = b ? (u64)bdev_nr_sectors(b->bdev) << SECTOR_SHIFT : 0;
		strscpy(info[i].path, b ? b->path : "", sizeof(info[i].path));
		memcpy(info[i].counters, unit[i].counters, sizeof(info[i].counters));
		info[i].waiting_ms = jiffies_to_msecs(age_of(i, &which));
	}
}

bool avmm_disk_any(void)
{
	return back;
}

/* With the partition */

void avmm_disk_start(void)
{
	static const struct ide_back_ops ops = {
		.submit = submit, .withdraw = withdraw, .kick = kick, .memory = { .page = guest_page },
	};

	mutex_lock(&lock);
	WRITE_ONCE(stopping, false);
	answered = false;
	memset(missing, 0, sizeof(missing));
	if (!++generation)
		generation = 1;
	look_at_sizes();
	ide_back_init(back, back->page, generation, &ops);
	WRITE_ONCE(running, true);
	mutex_unlock(&lock);
}

static void abandon(unsigned int channel)
{
	struct avmm_io *io, *ended = NULL;

	spin_lock_irq(&avmm_io_lock);
	io = flying[channel];
	flying[channel] = NULL;
	if (io && io->ended)
		ended = io;
	else if (io)
		avmm_io_abandon(io);
	spin_unlock_irq(&avmm_io_lock);
	if (ended)
		avmm_io_free(ended);
	else if (io)
		pr_avmm(KERN_WARNING, "disk%u has not answered: the memory of the request stays taken until it does\n",
			io->unit);
}

void avmm_disk_stop(void)
{
	unsigned int i;

	WRITE_ONCE(running, false);
	WRITE_ONCE(stopping, true);
	wake_up(&ended_wait);
	cancel_work_sync(&disk_work);
	for (i = 0; i < AVMM_DISK_CHANNELS; i++)
		abandon(i);
}

int avmm_disk_leave_ram(struct avmm_refusal *why)
{
	return avmm_io_leave_ram(why);
}

void avmm_disk_forget(void)
{
	unsigned int i;

	for (i = 0; i < AVMM_DISK_UNITS; i++) {
		avmm_backing_put(unit[i].backing);
		unit[i].backing = NULL;
	}
	free_back();
}

int avmm_disk_init(void)
{
	int err = avmm_io_init();

	if (err)
		return err;
	queue = alloc_workqueue("avmm-disk", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!queue)
		avmm_io_exit();
	return queue ? 0 : -ENOMEM;
}

void avmm_disk_exit(void)
{
	cancel_delayed_work_sync(&watch_work);
	destroy_workqueue(queue);
	avmm_io_exit();
}
