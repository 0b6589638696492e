// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sectors between the block device and the guest, in parts.
 *
 * With DMA the request's segments are the guest's own pages, unless the guest's regions are no multiples of a sector:
 * then they are copied by the channel's buffer. PIO data goes by the buffer as well, and between it and the data area
 * when the command starts (writes) or ends (reads): a command that was given up touches the area no more.
 */
#include "ide.h"

#define BUFFER_SECTORS	(IDE_BUFFER_SIZE / AVMM_DISK_SECTOR)

static void submit(struct ide_job *job)
{
	struct avmm_blk_req *req = &job->channel->req;

	req->unit = job->cmd.unit;
	job->back->ops.submit(job->back->ops.ctx, req);
}

static bool may_submit(const struct ide_job *job)
{
	return job == &job->channel->job;
}

void transfer_submit(struct ide_job *job, enum avmm_blk_op op, u64 sector, u32 sectors,
		     void (*then)(struct ide_job *job, enum avmm_blk_status status))
{
	if (!may_submit(job)) {
		job_fail(job, ATA_ABRT);
		return;
	}
	avmm_blk_init(&job->channel->req, op, sector);
	job->channel->req.sectors = sectors;
	job->then = then;
	submit(job);
}

/* What the next request moves, into the channel's request. False: the guest's memory is none. */
static bool build_part(struct ide_job *job)
{
	struct ide_transfer *t = &job->transfer;
	struct ide_channel_back *ch = job->channel;
	u32 sectors = t->left < BUFFER_SECTORS ? t->left : BUFFER_SECTORS;

	avmm_blk_init(&ch->req, t->op, t->sector);
	ch->req.flags = t->flags;
	if (t->place == TRANSFER_GUEST)
		return prd_add(&ch->prd, &t->cursor, &job->back->ops.memory, &ch->req) != AVMM_BLK_NO_RAM;
	if (t->place == TRANSFER_BOUNCED && t->op == AVMM_BLK_WRITE &&
	    !prd_read(&ch->prd, &t->cursor, &job->back->ops.memory, ch->buffer, sectors * AVMM_DISK_SECTOR))
		return false;
	return avmm_blk_add(&ch->req, ch->buffer, sectors * AVMM_DISK_SECTOR);
}

static void part_ended(struct ide_job *job, enum avmm_blk_status status);

static void next_part(struct ide_job *job)
{
	if (!build_part(job) || !job->channel->req.sectors) {
		job_fault(job);
		return;
	}
	job->then = part_ended;
	submit(job);
}

/* What came goes to the guest, as far as it is not there already. */
static bool deliver(struct ide_job *job, u32 bytes)
{
	struct ide_channel_back *ch = job->channel;
	struct ide_transfer *t = &job->transfer;

	if (t->op != AVMM_BLK_READ)
		return true;
	if (t->place == TRANSFER_AREA)
		memcpy(ch->area, ch->buffer, bytes);
	return t->place != TRANSFER_BOUNCED ||
	       prd_write(&ch->prd, &t->cursor, &job->back->ops.memory, ch->buffer, bytes);
}

static void part_ended(struct ide_job *job, enum avmm_blk_status status)
{
	const struct avmm_blk_req *req = &job->channel->req;
	struct ide_transfer *t = &job->transfer;
	u32 moved = status == AVMM_BLK_OK || req->done > req->sectors ? req->sectors : req->done;

	if (!deliver(job, moved * AVMM_DISK_SECTOR)) {
		job_fault(job);
		return;
	}
	t->sector += moved;
	t->left -= moved;
	if (status == AVMM_BLK_OK && t->left)
		next_part(job);
	else
		t->then(job, status);
}

void transfer_start(struct ide_job *job, enum avmm_blk_op op, enum transfer_place place, u32 flags,
		    void (*then)(struct ide_job *job, enum avmm_blk_status status))
{
	struct ide_channel_back *ch = job->channel;
	struct ide_transfer *t = &job->transfer;

	if (!may_submit(job)) {
		job_fail(job, ATA_ABRT);
		return;
	}
	t->op = op;
	t->place = place == TRANSFER_GUEST && !ch->prd.aligned ? TRANSFER_BOUNCED : place;
	t->flags = flags;
	t->cursor = (struct prd_cursor){ 0, 0 };
	t->then = then;
	if (place == TRANSFER_AREA && op == AVMM_BLK_WRITE)
		memcpy(ch->buffer, ch->area, t->left * AVMM_DISK_SECTOR);
	next_part(job);
}
