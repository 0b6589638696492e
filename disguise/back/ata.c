// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of a disk, after ATA/ATAPI-7 (ATA-8 for DATA SET MANAGEMENT and physical sectors). docs/disk.md says which
 * and how errors are reported; what has no row is aborted.
 */
#include "ide.h"

#define DEVICE_LBA	0x40
#define DEVICE_HEAD	0x0f

#define SECTORS_28	0x10000000ull
#define AREA_SECTORS	(AVMM_DISK_DATA_SIZE / AVMM_DISK_SECTOR)

/* Of a row. */
#define EXT		0x01	/* 48 bits of address, 16 of count */
#define DMA		0x02
#define WRITES		0x04
#define MULTIPLE	0x08	/* in blocks of several sectors */
#define FUA		0x10
#define VERIFY		0x20	/* the data go nowhere */

struct ata_row {
	u8 first;
	u8 last;
	u8 flags;
	void (*run)(struct ide_job *job, const struct ata_row *row);
};

static union ata_state state_of(const struct ide_job *job)
{
	return (union ata_state){ .all = job->reply.state };
}

static u8 reg(const struct ide_job *job, enum avmm_ata_register r)
{
	return job->cmd.regs.now[r];
}

static void geometry(const struct ide_job *job, u32 *heads, u32 *sectors)
{
	ata_geometry(state_of(job), heads, sectors);
}

/* The first sector; false: the registers name none. */
static bool get_lba(const struct ide_job *job, u8 flags, u64 *lba)
{
	const u8 *now = &job->cmd.regs.now[AVMM_ATA_LBA_LOW], *prev = &job->cmd.regs.prev[AVMM_ATA_LBA_LOW];
	u32 low = now[0] | (u32)now[1] << 8 | (u32)now[2] << 16, heads, sectors;

	*lba = low;
	if (flags & EXT) {
		*lba |= (u64)prev[0] << 24 | (u64)prev[1] << 32 | (u64)prev[2] << 40;
	} else if (reg(job, AVMM_ATA_DEVICE) & DEVICE_LBA) {
		*lba |= (u32)(reg(job, AVMM_ATA_DEVICE) & DEVICE_HEAD) << 24;
	} else {
		geometry(job, &heads, &sectors);
		if (!now[0] || now[0] > sectors || (reg(job, AVMM_ATA_DEVICE) & DEVICE_HEAD) >= heads)
			return false;
		*lba = ((low >> 8) * (u64)heads + (reg(job, AVMM_ATA_DEVICE) & DEVICE_HEAD)) * sectors + now[0] - 1;
	}
	return true;
}

/* An address into the reply, in the form that the command has. */
static void put_lba(struct ide_job *job, u8 flags, u64 lba)
{
	struct avmm_ata_regs *regs = &job->reply.regs;
	u8 *device = &regs->now[AVMM_ATA_DEVICE];
	u32 heads, sectors, i;

	if (!(flags & EXT) && !(*device & DEVICE_LBA)) {
		geometry(job, &heads, &sectors);
		*device = (u8)((*device & ~DEVICE_HEAD) | lba / sectors % heads);
		lba = lba / sectors / heads << 8 | (lba % sectors + 1);
	} else if (!(flags & EXT)) {
		*device = (u8)((*device & ~DEVICE_HEAD) | (lba >> 24 & DEVICE_HEAD));
	}
	for (i = 0; i < 3; i++) {
		regs->now[AVMM_ATA_LBA_LOW + i] = (u8)(lba >> 8 * i);
		if (flags & EXT)
			regs->prev[AVMM_ATA_LBA_LOW + i] = (u8)(lba >> (24 + 8 * i));
	}
}

static u32 get_count(const struct ide_job *job, u8 flags)
{
	u32 count = reg(job, AVMM_ATA_COUNT);

	if (flags & EXT)
		count |= (u32)job->cmd.regs.prev[AVMM_ATA_COUNT] << 8;
	return count ? count : flags & EXT ? 0x10000 : 0x100;
}

static void set_power(struct ide_job *job, u8 power)
{
	union ata_state state = state_of(job);

	state.power = power;
	job->reply.state = state.all;
}

static void moved(struct ide_job *job, enum avmm_blk_status status)
{
	struct ide_transfer *t = &job->transfer;
	const struct ata_row *row = job->row;
	union ata_state state = state_of(job);

	if (t->place == TRANSFER_AREA && t->op == AVMM_BLK_READ) {
		job->reply.bytes = (u32)(t->sector - job->first) * AVMM_DISK_SECTOR;
		job->reply.block = AVMM_DISK_SECTOR * (row->flags & MULTIPLE ? state.multiple : 1);
		job->reply.flags |= job->reply.bytes ? AVMM_DISK_DATA_IN : 0;
	}
	if (status != AVMM_BLK_OK) {
		put_lba(job, row->flags, t->sector);
		job_fail(job, t->op == AVMM_BLK_READ ? ATA_UNC : ATA_ABRT);
		return;
	}
	if (t->place == TRANSFER_AREA && t->sector < job->last)
		job->reply.flags |= AVMM_DISK_MORE;
	job_end(job);
}

/* The part of a PIO command that is next. False: it is not the one that the front means. */
static bool pio_part(struct ide_job *job, u8 flags, u64 lba, u32 count)
{
	struct ide_transfer *t = &job->transfer;
	u64 done = job->cmd.done / AVMM_DISK_SECTOR;

	if (done >= count)
		return false;
	t->sector = lba + done;
	t->left = count - (u32)done;
	if (t->left > AREA_SECTORS)
		t->left = AREA_SECTORS;
	return !(flags & WRITES) || job->cmd.bytes == t->left * AVMM_DISK_SECTOR;
}

static enum transfer_place place_of(u8 flags)
{
	return flags & DMA ? TRANSFER_GUEST : flags & VERIFY ? TRANSFER_NOWHERE : TRANSFER_AREA;
}

static void ata_move(struct ide_job *job, const struct ata_row *row)
{
	enum avmm_blk_op op = row->flags & WRITES ? AVMM_BLK_WRITE : AVMM_BLK_READ;
	union ata_state state = state_of(job);
	u32 count = get_count(job, row->flags);
	bool cached = (state.flags & ATA_STATE_WRITE_CACHE) && !(row->flags & FUA);
	u64 lba;

	set_power(job, ATA_POWER_ACTIVE);
	if (((row->flags & MULTIPLE) && !state.multiple) || ((row->flags & WRITES) && job->unit->read_only)) {
		job_fail(job, ATA_ABRT);
		return;
	}
	if (!get_lba(job, row->flags, &lba)) {
		job_fail(job, ATA_IDNF);
		return;
	}
	if (lba >= job->unit->sectors || count > job->unit->sectors - lba) {
		put_lba(job, row->flags, lba > job->unit->sectors ? lba : job->unit->sectors);
		job_fail(job, ATA_IDNF);
		return;
	}
	if ((row->flags & DMA) && !job_load_prd(job, (u64)count * AVMM_DISK_SECTOR, op == AVMM_BLK_READ))
		return;
	job->transfer.sector = lba;
	job->transfer.left = count;
	if (!(row->flags & (DMA | VERIFY)) && !pio_part(job, row->flags, lba, count)) {
		job_fail(job, ATA_ABRT);
		return;
	}
	job->row = row;
	job->first = job->transfer.sector;
	job->last = lba + count;
	transfer_start(job, op, place_of(row->flags), op == AVMM_BLK_WRITE && !cached ? AVMM_BLK_FUA : 0, moved);
}

static void flushed(struct ide_job *job, enum avmm_blk_status status)
{
	if (status == AVMM_BLK_OK)
		job_end(job);
	else
		job_fail(job, ATA_ABRT);
}

static void ata_flush(struct ide_job *job, const struct ata_row *row)
{
	(void)row;
	transfer_submit(job, AVMM_BLK_FLUSH, 0, 0, flushed);
}

/* The next range that is not empty is discarded; they lie in the channel's buffer, a copy. */
static void trim_next(struct ide_job *job, enum avmm_blk_status status)
{
	struct ide_transfer *t = &job->transfer;

	if (status != AVMM_BLK_OK) {
		job_fail(job, ATA_ABRT);
		return;
	}
	while (t->left) {
		u64 range;

		memcpy(&range, job->channel->buffer + t->sector, sizeof(range));
		t->sector += sizeof(range);
		t->left -= sizeof(range);
		if (range >> 48) {
			transfer_submit(job, AVMM_BLK_DISCARD, range & 0xffffffffffffull, (u32)(range >> 48),
					trim_next);
			return;
		}
	}
	job_end(job);
}

static bool ranges_fit(const struct ide_job *job, u32 bytes)
{
	u64 range, first, count, sectors = job->unit->sectors;
	u32 i;

	for (i = 0; i < bytes; i += sizeof(range)) {
		memcpy(&range, job->channel->buffer + i, sizeof(range));
		first = range & 0xffffffffffffull;
		count = range >> 48;
		if (count && (first >= sectors || count > sectors - first))
			return false;
	}
	return true;
}

/* DATA SET MANAGEMENT, the TRIM of it. */
static void ata_trim(struct ide_job *job, const struct ata_row *row)
{
	struct prd_cursor start = { 0, 0 };
	u32 bytes = get_count(job, row->flags) * AVMM_DISK_SECTOR;

	if (!job->unit->can_discard || job->unit->read_only || reg(job, AVMM_ATA_FEATURES) != 1 ||
	    bytes > ATA_TRIM_BLOCKS * AVMM_DISK_SECTOR) {
		job_fail(job, ATA_ABRT);
		return;
	}
	if (!job_load_prd(job, bytes, false))
		return;
	if (!prd_read(&job->channel->prd, &start, &job->back->ops.memory, job->channel->buffer, bytes)) {
		job_fault(job);
		return;
	}
	if (!ranges_fit(job, bytes)) {
		job_fail(job, ATA_IDNF);
		return;
	}
	job->transfer.sector = 0;
	job->transfer.left = bytes;
	trim_next(job, AVMM_BLK_OK);
}

static void ata_run_identify(struct ide_job *job, const struct ata_row *row)
{
	u8 data[AVMM_DISK_SECTOR];

	(void)row;
	ata_identify(job->unit, state_of(job), job->cmd.unit & 1, data);
	job_reply_sector(job, data);
}

static void ata_set_features(struct ide_job *job, const struct ata_row *row)
{
	union ata_state state = state_of(job);
	u8 mode = reg(job, AVMM_ATA_COUNT);
	bool known = true;

	switch (reg(job, AVMM_ATA_FEATURES)) {
	case 0x02:
		state.flags |= ATA_STATE_WRITE_CACHE;
		break;
	case 0x82:	/* what is cached still goes to the medium */
		state.flags &= (u8)~ATA_STATE_WRITE_CACHE;
		job->reply.state = state.all;
		ata_flush(job, row);
		return;
	case 0xaa:
		state.flags |= ATA_STATE_LOOK_AHEAD;
		break;
	case 0x55:
		state.flags &= (u8)~ATA_STATE_LOOK_AHEAD;
		break;
	case 0x03:
		known = ata_mode_is_known(mode);
		if (known)
			state.mode = mode;
		break;
	case 0x66:	/* a software reset leaves the settings alone: it does anyway */
		break;
	default:
		known = false;
		break;
	}
	job->reply.state = state.all;
	if (known)
		job_end(job);
	else
		job_fail(job, ATA_ABRT);
}

static void ata_set_multiple(struct ide_job *job, const struct ata_row *row)
{
	union ata_state state = state_of(job);
	u8 count = reg(job, AVMM_ATA_COUNT);

	(void)row;
	if (count > IDE_MAX_MULTIPLE || (count & (count - 1))) {
		job_fail(job, ATA_ABRT);
		return;
	}
	state.multiple = count;
	job->reply.state = state.all;
	job_end(job);
}

static void ata_set_parameters(struct ide_job *job, const struct ata_row *row)
{
	union ata_state state = state_of(job);

	(void)row;
	if (!reg(job, AVMM_ATA_COUNT)) {
		job_fail(job, ATA_ABRT);
		return;
	}
	state.heads = (u8)((reg(job, AVMM_ATA_DEVICE) & DEVICE_HEAD) + 1);
	state.sectors = reg(job, AVMM_ATA_COUNT);
	job->reply.state = state.all;
	job_end(job);
}

static void ata_seek(struct ide_job *job, const struct ata_row *row)
{
	u64 lba;

	if (get_lba(job, row->flags, &lba) && lba < job->unit->sectors)
		job_end(job);
	else
		job_fail(job, ATA_IDNF);
}

static void ata_done(struct ide_job *job, const struct ata_row *row)
{
	(void)row;
	job_end(job);
}

static void ata_idle(struct ide_job *job, const struct ata_row *row)
{
	(void)row;
	set_power(job, ATA_POWER_ACTIVE);
	job_end(job);
}

/* Whoever sends its disk to sleep wants the data to be safe. It wakes up by any command, also from SLEEP. */
static void ata_standby(struct ide_job *job, const struct ata_row *row)
{
	set_power(job, ATA_POWER_STANDBY);
	ata_flush(job, row);
}

static void ata_check_power(struct ide_job *job, const struct ata_row *row)
{
	(void)row;
	job->reply.regs.now[AVMM_ATA_COUNT] = state_of(job).power;
	job_end(job);
}

static void ata_native_max(struct ide_job *job, const struct ata_row *row)
{
	u64 last = job->unit->sectors - 1;

	if (!(row->flags & EXT) && last >= SECTORS_28)
		last = SECTORS_28 - 1;
	put_lba(job, row->flags, last);
	job_end(job);
}

static const struct ata_row rows[] = {
	{ 0x06, 0x06, EXT | DMA, ata_trim },			/* DATA SET MANAGEMENT */
	{ 0x10, 0x1f, 0, ata_done },				/* RECALIBRATE */
	{ 0x20, 0x21, 0, ata_move },				/* READ SECTORS */
	{ 0x24, 0x24, EXT, ata_move },
	{ 0x25, 0x25, EXT | DMA, ata_move },
	{ 0x27, 0x27, EXT, ata_native_max },			/* READ NATIVE MAX ADDRESS EXT */
	{ 0x29, 0x29, EXT | MULTIPLE, ata_move },
	{ 0x30, 0x31, WRITES, ata_move },			/* WRITE SECTORS */
	{ 0x34, 0x34, EXT | WRITES, ata_move },
	{ 0x35, 0x35, EXT | WRITES | DMA, ata_move },
	{ 0x39, 0x39, EXT | WRITES | MULTIPLE, ata_move },
	{ 0x3d, 0x3d, EXT | WRITES | DMA | FUA, ata_move },
	{ 0x40, 0x41, VERIFY, ata_move },			/* READ VERIFY */
	{ 0x42, 0x42, EXT | VERIFY, ata_move },
	{ 0x70, 0x7f, 0, ata_seek },
	{ 0x91, 0x91, 0, ata_set_parameters },			/* INITIALIZE DEVICE PARAMETERS */
	{ 0x94, 0x94, 0, ata_standby },				/* power management, the old opcodes */
	{ 0x95, 0x95, 0, ata_idle },
	{ 0x96, 0x96, 0, ata_standby },
	{ 0x97, 0x97, 0, ata_idle },
	{ 0x98, 0x98, 0, ata_check_power },
	{ 0x99, 0x99, 0, ata_standby },
	{ 0xc4, 0xc4, MULTIPLE, ata_move },
	{ 0xc5, 0xc5, WRITES | MULTIPLE, ata_move },
	{ 0xc6, 0xc6, 0, ata_set_multiple },
	{ 0xc8, 0xc9, DMA, ata_move },
	{ 0xca, 0xcb, WRITES | DMA, ata_move },
	{ 0xce, 0xce, EXT | WRITES | MULTIPLE | FUA, ata_move },
	{ 0xe0, 0xe0, 0, ata_standby },				/* STANDBY IMMEDIATE */
	{ 0xe1, 0xe1, 0, ata_idle },				/* IDLE IMMEDIATE */
	{ 0xe2, 0xe2, 0, ata_standby },
	{ 0xe3, 0xe3, 0, ata_idle },
	{ 0xe5, 0xe5, 0, ata_check_power },
	{ 0xe6, 0xe6, 0, ata_standby },				/* SLEEP */
	{ 0xe7, 0xe7, 0, ata_flush },
	{ 0xea, 0xea, EXT, ata_flush },
	{ 0xec, 0xec, 0, ata_run_identify },
	{ 0xef, 0xef, 0, ata_set_features },
	{ 0xf8, 0xf8, 0, ata_native_max },
};

void ata_command(struct ide_job *job)
{
	u8 opcode = reg(job, AVMM_ATA_COMMAND);
	u32 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (opcode < rows[i].first || opcode > rows[i].last)
			continue;
		rows[i].run(job, &rows[i]);
		return;
	}
	job_fail(job, ATA_ABRT);
}

u64 ata_state(void)
{
	union ata_state state = { .all = 0 };

	state.multiple = IDE_MAX_MULTIPLE;
	state.mode = ATA_MODE_DEFAULT;
	state.flags = ATA_STATE_WRITE_CACHE | ATA_STATE_LOOK_AHEAD;
	state.power = ATA_POWER_ACTIVE;
	return state.all;
}
