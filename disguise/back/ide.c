// SPDX-License-Identifier: GPL-2.0-only
/* The disguised disk's rings and jobs, back half; see ide.h. */
#include "ide.h"

static void put_completion(struct ide_back *back, const struct avmm_disk_completion *c)
{
	struct avmm_disk_page *page = back->page;

	page->completion[back->completion_head % AVMM_DISK_RING] = *c;
	__atomic_store_n(&page->completion_head, ++back->completion_head, __ATOMIC_RELEASE);
	back->ops.kick(back->ops.ctx);
}

void job_end(struct ide_job *job)
{
	job->busy = false;
	put_completion(job->back, &job->reply);
}

void job_fail(struct ide_job *job, u8 error)
{
	job->reply.regs.now[AVMM_ATA_ERROR] = error;
	job->reply.regs.now[AVMM_ATA_STATUS] |= ATA_ERR;
	job_end(job);
}

void job_reply_sector(struct ide_job *job, const u8 data[512])
{
	memcpy(job->channel->area, data, AVMM_DISK_SECTOR);
	job->reply.flags |= AVMM_DISK_DATA_IN;
	job->reply.bytes = AVMM_DISK_SECTOR;
	job->reply.block = AVMM_DISK_SECTOR;
	job_end(job);
}

void job_fault(struct ide_job *job)
{
	job->reply.flags = (job->reply.flags & AVMM_DISK_PACKET) | AVMM_DISK_BM_ERROR;
	job_fail(job, ATA_ABRT);
}

bool job_load_prd(struct ide_job *job, u64 bytes, bool to_memory)
{
	enum prd_result result = PRD_BAD;

	if (job == &job->channel->job && (job->cmd.flags & AVMM_DISK_BUS_MASTER) &&
	    to_memory == !!(job->cmd.flags & AVMM_DISK_TO_MEMORY))
		result = prd_load(&job->channel->prd, &job->back->ops.memory, job->cmd.prd, bytes);
	if (result == PRD_EXACT)
		job->reply.flags |= AVMM_DISK_BM_DONE;
	if (result == PRD_EXACT || result == PRD_LONG)
		return true;
	if (result == PRD_BAD) {
		job_fault(job);
		return false;
	}
	job->reply.flags |= AVMM_DISK_STARVED;
	job_end(job);
	return false;
}

/* The reply starts as what the registers were; each command changes what it has to. */
static void job_begin(struct ide_back *back, const struct avmm_disk_command *cmd)
{
	struct ide_channel_back *ch = &back->channel[cmd->unit / 2];
	struct ide_job *job = ch->job.busy ? &ch->quick : &ch->job;

	job->back = back;
	job->channel = ch;
	job->unit = &back->unit[cmd->unit];
	job->busy = true;
	job->cancelled = false;
	job->then = NULL;
	job->cmd = *cmd;
	job->reply = (struct avmm_disk_completion){
		.generation = back->generation,
		.message = AVMM_DISK_COMMAND,
		.tag = cmd->tag,
		.regs = cmd->regs,
		.state = cmd->state,
	};
	job->reply.regs.now[AVMM_ATA_ERROR] = 0;
	job->reply.regs.now[AVMM_ATA_STATUS] = ATA_DRDY | ATA_DSC;
	if (job->unit->kind == AVMM_DISK_ATAPI)
		atapi_command(job);
	else if (job->unit->kind == AVMM_DISK_ATA)
		ata_command(job);
	else
		job_fail(job, ATA_ABRT);
}

/* Answered at once; the command itself when its request has ended. One that has ended already is not found. */
static void job_cancel(struct ide_back *back, const struct avmm_disk_command *cmd)
{
	struct avmm_disk_completion c = {
		.generation = back->generation,
		.message = AVMM_DISK_CANCEL,
		.tag = cmd->tag,
	};
	struct ide_channel_back *ch = &back->channel[cmd->unit / 2];

	if (ch->job.busy && ch->job.cmd.tag == cmd->tag && !ch->job.cancelled) {
		ch->job.cancelled = true;
		if (ch->req.op <= AVMM_BLK_WRITE && ch->job.transfer.place == TRANSFER_GUEST)
			back->ops.withdraw(back->ops.ctx, &ch->req);
	}
	put_completion(back, &c);
}

static bool take(struct ide_back *back, const struct avmm_disk_command *cmd)
{
	if (cmd->generation != back->generation || cmd->unit >= AVMM_DISK_UNITS ||
	    cmd->tag / AVMM_DISK_TAGS != cmd->unit / 2)
		return false;
	if (cmd->message == AVMM_DISK_COMMAND)
		job_begin(back, cmd);
	else if (cmd->message == AVMM_DISK_CANCEL)
		job_cancel(back, cmd);
	else
		return false;
	return true;
}

void ide_back_poll(struct ide_back *back)
{
	struct avmm_disk_page *page = back->page;
	u32 count = __atomic_load_n(&page->command_head, __ATOMIC_ACQUIRE) - back->command_tail;

	if (count > AVMM_DISK_RING) {
		back->rejected++;
		return;
	}
	for (; count; count--) {
		struct avmm_disk_command cmd = page->command[back->command_tail % AVMM_DISK_RING];

		asm volatile("" : "+m" (cmd));	/* a copy: nothing is read from the page twice */
		__atomic_store_n(&page->command_tail, ++back->command_tail, __ATOMIC_RELEASE);
		if (!take(back, &cmd))
			back->rejected++;
	}
}

void ide_back_end(struct ide_back *back, struct avmm_blk_req *req)
{
	struct ide_job *job = &back->channel[req->unit / 2].job;

	if (!job->busy)
		return;
	if (job->cancelled) {	/* nobody reads the reply: only that it is there counts */
		job_fail(job, ATA_ABRT);
		return;
	}
	job->then(job, req->status);
}

bool ide_back_idle(const struct ide_back *back)
{
	return !back->channel[0].job.busy && !back->channel[1].job.busy;
}

void ide_back_init(struct ide_back *back, struct avmm_disk_page *page, u32 generation, const struct ide_back_ops *ops)
{
	unsigned int i;

	back->ops = *ops;
	back->page = page;
	back->generation = generation;
	back->command_tail = 0;
	back->completion_head = 0;
	back->rejected = 0;
	memset(page, 0, sizeof(*page));
	for (i = 0; i < AVMM_DISK_CHANNELS; i++) {
		back->channel[i].job.busy = false;
		back->channel[i].quick.busy = false;
	}
	for (i = 0; i < AVMM_DISK_UNITS; i++) {
		const struct ide_unit *unit = &back->unit[i];

		page->unit[i].kind = unit->kind;
		page->unit[i].state = unit->kind == AVMM_DISK_ATA ? ata_state() : atapi_state(unit);
	}
	__atomic_store_n(&page->generation, generation, __ATOMIC_RELEASE);
}
