// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CD-ROM drive with an image of 2048-byte blocks, after ATA/ATAPI-7 and MMC-3. Packets by a table; what they return
 * is put together in atapi-replies.c.
 *
 * A packet that fails leaves its sense in the drive's state and in the error register, as REQUEST SENSE tells it. A
 * new disc is announced once, by unit attention.
 */
#include "atapi.h"

#define PACKET			0xa0
#define IDENTIFY_DEVICE		0xec
#define IDENTIFY_PACKET_DEVICE	0xa1
#define READ_SECTORS		0x20

#define AREA_BYTES		AVMM_DISK_DATA_SIZE
#define LIMIT_MAX		0xfffeu	/* bytes with one interrupt */

/* Of a row. */
#define MEDIUM		0x01	/* needs a disc */
#define NO_ATTENTION	0x02	/* is executed also while a unit attention waits */

struct packet_row {
	u8 opcode;
	u8 flags;
	void (*run)(struct ide_job *job, const u8 *packet);
};

static union atapi_state state_of(const struct ide_job *job)
{
	return (union atapi_state){ .all = job->reply.state };
}

static u32 get32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static void set_sense(struct ide_job *job, u8 key, u8 asc, u8 ascq)
{
	union atapi_state state = state_of(job);

	state.key = key;
	state.asc = asc;
	state.ascq = ascq;
	job->reply.state = state.all;
}

static void check(struct ide_job *job, u8 key, u8 asc, u8 ascq)
{
	set_sense(job, key, asc, ascq);
	job_fail(job, (u8)(key << 4 | (key == SENSE_ILLEGAL ? ATA_ABRT : 0)));
}

static void good(struct ide_job *job)
{
	set_sense(job, 0, 0, 0);
	job_end(job);
}

static u32 blocks(const struct ide_unit *unit)
{
	return (u32)(unit->sectors / ATAPI_SECTORS);
}

/* What the host takes at a time. */
static u32 byte_limit(const struct ide_job *job)
{
	u32 limit = job->cmd.regs.now[AVMM_ATA_LBA_MID] | (u32)job->cmd.regs.now[AVMM_ATA_LBA_HIGH] << 8;

	limit &= ~1u;
	return limit ? limit : LIMIT_MAX;
}

static void show_data(struct ide_job *job, u32 bytes)
{
	job->reply.flags |= AVMM_DISK_DATA_IN;
	job->reply.bytes = bytes;
	job->reply.block = byte_limit(job);
}

/* Data of the drive itself, at most as much as the host has room for. */
static void reply_data(struct ide_job *job, const u8 *data, u32 bytes, u32 room)
{
	struct prd_cursor start = { 0, 0 };

	if (bytes > room)
		bytes = room;
	if (bytes && (job->cmd.flags & AVMM_DISK_BUS_MASTER)) {
		if (!job_load_prd(job, bytes, true))
			return;
		if (!prd_write(&job->channel->prd, &start, &job->back->ops.memory, data, bytes)) {
			job_fault(job);
			return;
		}
	} else if (bytes) {
		memcpy(job->channel->area, data, bytes);
		show_data(job, bytes);
	}
	good(job);
}

static void moved(struct ide_job *job, enum avmm_blk_status status)
{
	struct ide_transfer *t = &job->transfer;

	if (t->place == TRANSFER_AREA) {
		/* a block of which a part failed is not shown */
		u32 bytes = (u32)(t->sector - job->first) / ATAPI_SECTORS * ATAPI_BLOCK;

		if (bytes)
			show_data(job, bytes);
		if (status == AVMM_BLK_OK && t->sector < job->last)
			job->reply.flags |= AVMM_DISK_MORE;
	}
	if (status == AVMM_BLK_OK)
		good(job);
	else
		check(job, SENSE_MEDIUM, 0x11, 0x00);	/* unrecovered read error */
}

static void read_blocks(struct ide_job *job, u32 lba, u32 count)
{
	struct ide_transfer *t = &job->transfer;
	u64 done = job->cmd.done / ATAPI_BLOCK;

	if (lba > blocks(job->unit) || count > blocks(job->unit) - lba) {
		check(job, SENSE_ILLEGAL, 0x21, 0x00);	/* address out of range */
		return;
	}
	if (!count) {
		good(job);
		return;
	}
	job->first = (u64)lba * ATAPI_SECTORS;
	job->last = job->first + (u64)count * ATAPI_SECTORS;
	t->sector = job->first;
	if (job->cmd.flags & AVMM_DISK_BUS_MASTER) {
		if (count > ATAPI_DMA_BLOCKS) {
			check(job, SENSE_ILLEGAL, 0x24, 0x00);
			return;
		}
		t->left = count * ATAPI_SECTORS;
		if (job_load_prd(job, (u64)count * ATAPI_BLOCK, true))
			transfer_start(job, AVMM_BLK_READ, TRANSFER_GUEST, 0, moved);
		return;
	}
	if (done >= count) {
		check(job, SENSE_ILLEGAL, 0x24, 0x00);
		return;
	}
	count -= (u32)done;
	t->sector += done * ATAPI_SECTORS;
	job->first = t->sector;
	t->left = (count < AREA_BYTES / ATAPI_BLOCK ? count : AREA_BYTES / ATAPI_BLOCK) * ATAPI_SECTORS;
	transfer_start(job, AVMM_BLK_READ, TRANSFER_AREA, 0, moved);
}

static void run_read_10(struct ide_job *job, const u8 *packet)
{
	read_blocks(job, get32(packet + 2), get16(packet + 7));
}

static void run_read_12(struct ide_job *job, const u8 *packet)
{
	read_blocks(job, get32(packet + 2), get32(packet + 6));
}

/* User data of data blocks, or nothing; this drive has no other. */
static void run_read_cd(struct ide_job *job, const u8 *packet)
{
	u32 count = (u32)packet[6] << 16 | get16(packet + 7);

	if (packet[9] & 0xee || (packet[9] & 0x10 && packet[10] & 7) || (packet[1] & 0x1c) == 0x04)
		check(job, SENSE_ILLEGAL, 0x24, 0x00);
	else
		read_blocks(job, get32(packet + 2), packet[9] & 0x10 ? count : 0);
}

static void run_good(struct ide_job *job, const u8 *packet)
{
	(void)packet;
	good(job);
}

static void run_seek(struct ide_job *job, const u8 *packet)
{
	read_blocks(job, get32(packet + 2), 0);
}

static void run_request_sense(struct ide_job *job, const u8 *packet)
{
	union atapi_state state = state_of(job);
	u8 data[18] = { 0x70, [2] = state.key, [7] = 10, [12] = state.asc, [13] = state.ascq };

	reply_data(job, data, sizeof(data), packet[4]);
}

static void run_inquiry(struct ide_job *job, const u8 *packet)
{
	u8 data[ATAPI_REPLY_MAX];

	if (packet[1] & 1 || packet[2]) {
		check(job, SENSE_ILLEGAL, 0x24, 0x00);	/* invalid field */
		return;
	}
	reply_data(job, data, atapi_inquiry(job->unit, data), get16(packet + 3));
}

static void run_start_stop(struct ide_job *job, const u8 *packet)
{
	union atapi_state state = state_of(job);
	u8 what = packet[4] & 3;

	if (what == 2 && (state.flags & ATAPI_STATE_PREVENT)) {
		check(job, SENSE_ILLEGAL, 0x53, 0x02);	/* removal prevented */
		return;
	}
	if (what == 2)
		state.flags |= ATAPI_STATE_EJECTED;
	if (what == 3 && (state.flags & ATAPI_STATE_EJECTED)) {
		state.flags &= (u8)~ATAPI_STATE_EJECTED;
		state.media = 0;	/* to be announced */
	}
	job->reply.state = state.all;
	good(job);
}

static void run_prevent(struct ide_job *job, const u8 *packet)
{
	union atapi_state state = state_of(job);

	state.flags = (u8)((state.flags & ~ATAPI_STATE_PREVENT) | (packet[4] & 1 ? ATAPI_STATE_PREVENT : 0));
	job->reply.state = state.all;
	good(job);
}

/* A disc that the guest ejected is there again when it closes the tray, or when another one is put in. */
static bool has_disc(const struct ide_job *job)
{
	union atapi_state state = state_of(job);

	return job->unit->media && (!(state.flags & ATAPI_STATE_EJECTED) || state.media != job->unit->media);
}

static void run_read_capacity(struct ide_job *job, const u8 *packet)
{
	u8 data[8];

	(void)packet;
	atapi_put32(data, blocks(job->unit) - 1);
	atapi_put32(data + 4, ATAPI_BLOCK);
	reply_data(job, data, sizeof(data), sizeof(data));
}

static void run_read_toc(struct ide_job *job, const u8 *packet)
{
	u8 data[ATAPI_REPLY_MAX];
	u32 bytes = atapi_toc(blocks(job->unit), packet, data);

	if (bytes)
		reply_data(job, data, bytes, get16(packet + 7));
	else
		check(job, SENSE_ILLEGAL, 0x24, 0x00);
}

static void run_get_configuration(struct ide_job *job, const u8 *packet)
{
	u8 data[ATAPI_REPLY_MAX];

	reply_data(job, data, atapi_configuration(blocks(job->unit), packet, data), get16(packet + 7));
}

/* Polled only; of the classes of events only that of the medium. */
static void run_get_event_status(struct ide_job *job, const u8 *packet)
{
	union atapi_state state = state_of(job);
	u8 data[8] = { 0, 6, 4, 0x10 };

	if (!(packet[1] & 1)) {
		check(job, SENSE_ILLEGAL, 0x24, 0x00);
		return;
	}
	if (!(packet[4] & 0x10)) {
		data[1] = 2;
		data[2] = 0x80;		/* no such event */
		reply_data(job, data, 4, get16(packet + 7));
		return;
	}
	if (has_disc(job) && state.media != job->unit->media)
		data[4] = 2;		/* new medium */
	data[5] = has_disc(job) ? 2 : state.flags & ATAPI_STATE_EJECTED ? 1 : 0;
	reply_data(job, data, sizeof(data), get16(packet + 7));
}

static void run_read_disc_information(struct ide_job *job, const u8 *packet)
{
	u8 data[ATAPI_REPLY_MAX];

	reply_data(job, data, atapi_disc_information(data), get16(packet + 7));
}

static void run_mode_sense(struct ide_job *job, const u8 *packet)
{
	u8 data[ATAPI_REPLY_MAX];
	u32 bytes;

	if (packet[2] >> 6 == 3) {
		check(job, SENSE_ILLEGAL, 0x39, 0x00);	/* values are not saved */
		return;
	}
	bytes = atapi_mode_sense(state_of(job), has_disc(job), packet[2], data);
	if (bytes)
		reply_data(job, data, bytes, get16(packet + 7));
	else
		check(job, SENSE_ILLEGAL, 0x24, 0x00);
}

static void run_mechanism_status(struct ide_job *job, const u8 *packet)
{
	u8 data[8] = { [1] = state_of(job).flags & ATAPI_STATE_EJECTED ? 0x10 : 0, [5] = 1 };

	reply_data(job, data, sizeof(data), get16(packet + 8));
}

static const struct packet_row rows[] = {
	{ 0x00, MEDIUM, run_good },			/* TEST UNIT READY */
	{ 0x03, NO_ATTENTION, run_request_sense },
	{ 0x12, NO_ATTENTION, run_inquiry },
	{ 0x1b, 0, run_start_stop },
	{ 0x1e, 0, run_prevent },
	{ 0x25, MEDIUM, run_read_capacity },
	{ 0x28, MEDIUM, run_read_10 },
	{ 0x2b, MEDIUM, run_seek },
	{ 0x43, MEDIUM, run_read_toc },
	{ 0x46, NO_ATTENTION, run_get_configuration },
	{ 0x4a, NO_ATTENTION, run_get_event_status },
	{ 0x51, MEDIUM, run_read_disc_information },
	{ 0x5a, 0, run_mode_sense },
	{ 0xa8, MEDIUM, run_read_12 },
	{ 0xbb, 0, run_good },				/* SET CD SPEED */
	{ 0xbd, 0, run_mechanism_status },
	{ 0xbe, MEDIUM, run_read_cd },
};

/* A disc that the guest does not know of is announced before anything else is done with it. */
static bool attention(struct ide_job *job)
{
	union atapi_state state = state_of(job);

	if (!has_disc(job) || state.media == job->unit->media)
		return false;
	state.media = job->unit->media;
	state.flags &= (u8)~ATAPI_STATE_EJECTED;
	job->reply.state = state.all;
	check(job, SENSE_ATTENTION, 0x28, 0x00);
	return true;
}

static void packet_command(struct ide_job *job)
{
	const u8 *packet = job->cmd.packet;
	u32 i;

	job->reply.flags |= AVMM_DISK_PACKET;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (packet[0] != rows[i].opcode)
			continue;
		if (!(rows[i].flags & NO_ATTENTION) && attention(job))
			return;
		if ((rows[i].flags & MEDIUM) && !has_disc(job))
			check(job, SENSE_NOT_READY, 0x3a, state_of(job).flags & ATAPI_STATE_EJECTED ? 0x02 : 0x01);
		else
			rows[i].run(job, packet);
		return;
	}
	check(job, SENSE_ILLEGAL, 0x20, 0x00);	/* invalid command */
}

static void identify(struct ide_job *job)
{
	u8 data[AVMM_DISK_SECTOR];

	atapi_identify(job->unit, state_of(job), job->cmd.unit & 1, data);
	job_reply_sector(job, data);
}

static void set_features(struct ide_job *job)
{
	union atapi_state state = state_of(job);
	u8 mode = job->cmd.regs.now[AVMM_ATA_COUNT];

	if (job->cmd.regs.now[AVMM_ATA_FEATURES] != 0x03 || !ata_mode_is_known(mode)) {
		job_fail(job, ATA_ABRT);
		return;
	}
	state.mode = mode;
	job->reply.state = state.all;
	job_end(job);
}

/* Commands of a disk are aborted, and these two tell by the signature why. */
static void refuse(struct ide_job *job, u8 opcode)
{
	u8 *now = job->reply.regs.now;

	if (opcode == IDENTIFY_DEVICE || opcode == READ_SECTORS) {
		now[AVMM_ATA_COUNT] = 0x01;
		now[AVMM_ATA_LBA_LOW] = 0x01;
		now[AVMM_ATA_LBA_MID] = 0x14;
		now[AVMM_ATA_LBA_HIGH] = 0xeb;
	}
	job_fail(job, ATA_ABRT);
}

void atapi_command(struct ide_job *job)
{
	u8 opcode = job->cmd.regs.now[AVMM_ATA_COMMAND];

	job->reply.regs.now[AVMM_ATA_STATUS] = ATA_DRDY;
	switch (opcode) {
	case PACKET:
		packet_command(job);
		break;
	case IDENTIFY_PACKET_DEVICE:
		identify(job);
		break;
	case 0xef:
		set_features(job);
		break;
	case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe6:	/* power management: nothing turns */
		job_end(job);
		break;
	case 0xe5:
		job->reply.regs.now[AVMM_ATA_COUNT] = ATA_POWER_ACTIVE;
		job_end(job);
		break;
	default:
		refuse(job, opcode);
		break;
	}
}

u64 atapi_state(const struct ide_unit *unit)
{
	union atapi_state state = { .all = 0 };

	state.media = unit->media;
	state.mode = ATA_MODE_DEFAULT;
	return state.all;
}
