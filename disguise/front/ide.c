// SPDX-License-Identifier: GPL-2.0-only
/* IDE, front half: a channel's registers and the course of a command; see ide.h. After ATA/ATAPI-7, volumes 1 and 2. */
#include "ide-internal.h"

#define CONTROL_NIEN	0x02
#define CONTROL_SRST	0x04
#define CONTROL_HOB	0x80

#define DEVICE_DEV	0x10

#define FEATURE_DMA	0x01	/* of PACKET */

#define REASON_COMMAND	0x01	/* interrupt reason, in the count register of a packet command */
#define REASON_TO_HOST	0x02

#define PACKET_BYTES	12

#define IRQ_PRIMARY	14

/* What each register of the command block is when it is read and when it is written. */
enum { BUFFER, SHADOW, STATUS, LATCH, FEATURES, SELECT, COMMAND };

static const u8 read_class[AVMM_ATA_REGISTERS] = { BUFFER, SHADOW, SHADOW, SHADOW, SHADOW, SHADOW, SHADOW, STATUS };
static const u8 write_class[AVMM_ATA_REGISTERS] = { BUFFER, FEATURES, LATCH, LATCH, LATCH, LATCH, SELECT, COMMAND };

/*
 * What has to be known of a command before it crosses. Those that do not touch the medium need not wait for orphans;
 * all that are not named are taken to touch it.
 */
#define OUT		0x01	/* PIO data from the guest */
#define MULTIPLE	0x02	/* in blocks of several sectors */
#define EXT		0x04	/* 16 bits of count */
#define BUS_MASTER	0x08
#define QUICK		0x10	/* does not touch the medium */

#define DEVICE_RESET	0x08
#define DIAGNOSTIC	0x90
#define PACKET		0xa0

static const struct {
	u8 opcode;
	u8 class;
} commands[] = {
	{ 0x06, BUS_MASTER },			/* DATA SET MANAGEMENT */
	{ 0x25, BUS_MASTER },			/* READ DMA EXT */
	{ 0x30, OUT }, { 0x31, OUT },		/* WRITE SECTORS */
	{ 0x34, OUT | EXT },
	{ 0x35, BUS_MASTER },			/* WRITE DMA EXT */
	{ 0x39, OUT | MULTIPLE | EXT },		/* WRITE MULTIPLE EXT */
	{ 0x3d, BUS_MASTER },			/* WRITE DMA FUA EXT */
	{ 0x91, QUICK },			/* INITIALIZE DEVICE PARAMETERS */
	{ 0xa1, QUICK },			/* IDENTIFY PACKET DEVICE */
	{ 0xc5, OUT | MULTIPLE },		/* WRITE MULTIPLE */
	{ 0xc6, QUICK },			/* SET MULTIPLE MODE */
	{ 0xc8, BUS_MASTER }, { 0xc9, BUS_MASTER },	/* READ DMA */
	{ 0xca, BUS_MASTER }, { 0xcb, BUS_MASTER },	/* WRITE DMA */
	{ 0xce, OUT | MULTIPLE | EXT },		/* WRITE MULTIPLE FUA EXT */
	{ 0xe5, QUICK },			/* CHECK POWER MODE */
	{ 0xec, QUICK },			/* IDENTIFY DEVICE */
};

static u8 command_class(u8 opcode)
{
	unsigned int i;

	for (i = 0; i < VDEV_ARRAY_SIZE(commands); i++)
		if (commands[i].opcode == opcode)
			return commands[i].class;
	return 0;
}

bool ide_touches_medium(const struct ide_channel *ch)
{
	return !(command_class(ch->cmd.regs.now[AVMM_ATA_COMMAND]) & QUICK);
}

static unsigned int selected(const struct ide_channel *ch)
{
	return ch->select ? 1 : 0;
}

static struct ide_drive *active_drive(struct ide_channel *ch)
{
	return &ch->drive[ch->active];
}

/* INTRQ as PIIX sees it: a rising edge sets the bus master's interrupt bit. */
static void update_line(struct ide_channel *ch)
{
	bool line = ch->drive[selected(ch)].irq && !(ch->control & CONTROL_NIEN);

	if (line == ch->line)
		return;
	ch->line = line;
	if (line)
		ch->bm.status |= IDE_BM_INTERRUPT;
	vdev_set_irq(&ch->ide->irq, IRQ_PRIMARY + ch->index, line);
}

static void interrupt(struct ide_channel *ch)
{
	active_drive(ch)->irq = true;
	update_line(ch);
}

static u8 drive_status(const struct ide_channel *ch, unsigned int drive)
{
	u8 status = ch->drive[drive].regs.now[AVMM_ATA_STATUS];

	if (ch->phase == IDE_RESET)
		return ATA_BSY;		/* also of the other drive: no command is taken */
	if (drive != ch->active || ch->phase == IDE_IDLE)
		return status;
	if (ch->phase == IDE_PACKET || ch->phase == IDE_OUT || ch->phase == IDE_DMA || ch->phase == IDE_IN)
		return (status & (u8)~ATA_ERR) | ATA_DRQ;
	return ATA_BSY;
}

void ide_fail(struct ide_channel *ch)
{
	struct avmm_ata_regs *regs = &active_drive(ch)->regs;

	regs->now[AVMM_ATA_ERROR] = ATA_ABRT;
	regs->now[AVMM_ATA_STATUS] = ATA_DRDY | ATA_DSC | ATA_ERR;
	ch->phase = IDE_IDLE;
	interrupt(ch);
}

/* What a drive's registers show after a reset and after EXECUTE DEVICE DIAGNOSTIC: what it is, and that it is well. */
void ide_sign(struct ide_drive *drive)
{
	bool atapi = drive->kind == AVMM_DISK_ATAPI;
	u8 *now = drive->regs.now;

	vdev_clear(&drive->regs, sizeof(drive->regs));
	now[AVMM_ATA_ERROR] = 0x01;
	now[AVMM_ATA_COUNT] = 0x01;
	now[AVMM_ATA_LBA_LOW] = 0x01;
	now[AVMM_ATA_LBA_MID] = atapi ? 0x14 : 0;
	now[AVMM_ATA_LBA_HIGH] = atapi ? 0xeb : 0;
	now[AVMM_ATA_STATUS] = atapi ? 0 : ATA_DRDY | ATA_DSC;
	drive->irq = false;
}

void ide_end_reset(struct ide_channel *ch)
{
	unsigned int i;

	if (ch->phase != IDE_RESET || ch->cancelling || (ch->control & CONTROL_SRST))
		return;
	ch->phase = IDE_IDLE;
	if (ch->resetting == IDE_BOTH)	/* whatever was written meanwhile */
		ch->select = 0;
	for (i = 0; i < IDE_DRIVES; i++)
		if (ch->resetting >> i & 1)
			ide_sign(&ch->drive[i]);
	ch->resetting = 0;
}

void ide_begin_reset(struct ide_channel *ch, u8 drives)
{
	unsigned int i;

	ide_abandon(ch);
	ch->phase = IDE_RESET;
	ch->resetting |= drives;
	if (drives == IDE_BOTH)
		ch->select = 0;
	for (i = 0; i < IDE_DRIVES; i++)
		if (drives >> i & 1)
			ch->drive[i].irq = false;
	update_line(ch);
	ide_end_reset(ch);
}

static void begin_part(struct ide_channel *ch, enum ide_phase phase, u32 bytes, u32 block)
{
	ch->phase = phase;
	ch->at = 0;
	ch->size = bytes;
	ch->block = block;
	ch->block_end = block < bytes ? block : bytes;
}

/* The next part of what a PIO write sends. */
static void collect(struct ide_channel *ch)
{
	u32 bytes = ch->left < AVMM_DISK_DATA_SIZE ? ch->left : AVMM_DISK_DATA_SIZE;

	ch->left -= bytes;
	ch->cmd.bytes = bytes;
	begin_part(ch, IDE_OUT, bytes, ch->block);
}

/* A block of a packet command's data: its length stands in the middle registers. */
static void show_block(struct ide_channel *ch)
{
	u8 *now = active_drive(ch)->regs.now;
	u32 bytes = ch->block_end - ch->at;

	if (!(ch->flags & AVMM_DISK_PACKET))
		return;
	now[AVMM_ATA_COUNT] = REASON_TO_HOST;
	now[AVMM_ATA_LBA_MID] = (u8)bytes;
	now[AVMM_ATA_LBA_HIGH] = (u8)(bytes >> 8);
}

static void end_packet(struct ide_channel *ch)
{
	if (ch->flags & AVMM_DISK_PACKET)
		active_drive(ch)->regs.now[AVMM_ATA_COUNT] = REASON_TO_HOST | REASON_COMMAND;
}

void ide_dma(struct ide_channel *ch)
{
	ch->phase = IDE_DMA;
	if (!(ch->bm.status & IDE_BM_ACTIVE))
		return;
	ch->cmd.prd = ch->bm.table;
	ch->cmd.flags = AVMM_DISK_BUS_MASTER | (ch->bm.command & IDE_BM_TO_MEMORY ? AVMM_DISK_TO_MEMORY : 0);
	ide_post(ch);
}

/* Some packets have no data, whatever the DMA bit says: nobody starts the bus master for them. */
static bool packet_has_data(u8 opcode)
{
	return opcode != 0x00 && opcode != 0x1b && opcode != 0x1e;	/* TEST UNIT READY, START STOP, PREVENT */
}

static void end_block(struct ide_channel *ch)
{
	if (ch->phase == IDE_PACKET) {
		if ((ch->cmd.regs.now[AVMM_ATA_FEATURES] & FEATURE_DMA) && packet_has_data(ch->cmd.packet[0]))
			ide_dma(ch);
		else
			ide_post(ch);
		return;
	}
	if (ch->at < ch->size) {
		u32 rest = ch->size - ch->at;

		ch->block_end = ch->at + (ch->block < rest ? ch->block : rest);
		show_block(ch);
		interrupt(ch);
	} else if (ch->phase == IDE_OUT) {
		ide_post(ch);
	} else if (ch->flags & AVMM_DISK_MORE) {
		ch->cmd.done += ch->size;
		ide_post(ch);
	} else {
		ch->phase = IDE_IDLE;
		end_packet(ch);
		if ((ch->flags & AVMM_DISK_PACKET) || (active_drive(ch)->regs.now[AVMM_ATA_STATUS] & ATA_ERR))
			interrupt(ch);
	}
}

u8 *ide_data(struct ide_channel *ch, enum ide_direction direction, u32 *bytes)
{
	bool writes = ch->phase == IDE_PACKET || ch->phase == IDE_OUT;

	if (selected(ch) != ch->active || (direction == IDE_WRITES ? !writes : ch->phase != IDE_IN))
		return NULL;
	*bytes = ch->block_end - ch->at;
	return (ch->phase == IDE_PACKET ? ch->cmd.packet : ch->data) + ch->at;
}

void ide_data_advance(struct ide_channel *ch, u32 bytes)
{
	ch->at += bytes;
	if (ch->at >= ch->block_end)
		end_block(ch);
}

static u64 data_port(struct ide_channel *ch, enum ide_direction direction, unsigned int size, u64 value)
{
	u32 bytes, i;
	u8 *data = ide_data(ch, direction, &bytes);

	if (!data)
		return ~0ull;
	if (bytes > size)
		bytes = size;
	for (i = 0; i < bytes; i++) {
		if (direction == IDE_WRITES)
			data[i] = (u8)(value >> 8 * i);
		else
			value |= (u64)data[i] << 8 * i;
	}
	ide_data_advance(ch, bytes);
	return value;
}

/* How many sectors a write says it sends; the back will see whether that is right. */
static u32 sectors_out(const struct avmm_ata_regs *regs, u8 class)
{
	u32 count = regs->now[AVMM_ATA_COUNT];

	if (class & EXT)
		count |= (u32)regs->prev[AVMM_ATA_COUNT] << 8;
	return count ? count : class & EXT ? 0x10000 : 0x100;
}

/* Goes on with the command that was latched. Also for a write whose data had no place to go yet. */
void ide_begin(struct ide_channel *ch)
{
	const struct ide_drive *drive = active_drive(ch);
	u8 opcode = ch->cmd.regs.now[AVMM_ATA_COMMAND], class = command_class(opcode);
	u32 sectors = class & MULTIPLE ? (u8)drive->state : 1;

	if (drive->kind == AVMM_DISK_ATAPI && opcode == PACKET) {
		active_drive(ch)->regs.now[AVMM_ATA_COUNT] = REASON_COMMAND;
		begin_part(ch, IDE_PACKET, PACKET_BYTES, PACKET_BYTES);
	} else if (drive->kind == AVMM_DISK_ATAPI || !(class & (OUT | BUS_MASTER)) || !sectors) {
		ide_post(ch);
	} else if (class & BUS_MASTER) {
		ide_dma(ch);
	} else if (ch->ide->page) {
		ch->left = sectors_out(&ch->cmd.regs, class) * AVMM_DISK_SECTOR;
		ch->block = sectors * AVMM_DISK_SECTOR;
		collect(ch);
	} else {
		ch->phase = IDE_HOLD;
	}
}

static void diagnostic(struct ide_channel *ch)
{
	unsigned int i;

	for (i = 0; i < IDE_DRIVES; i++)
		ide_sign(&ch->drive[i]);
	ch->select = 0;
	ch->active = 0;
	ch->phase = IDE_IDLE;
	if (ch->drive[0].kind)
		interrupt(ch);
}

static void command_write(struct ide_channel *ch, u8 opcode)
{
	unsigned int unit = selected(ch);
	struct ide_drive *drive = &ch->drive[unit];
	bool busy = drive_status(ch, ch->active) & ATA_BSY;

	if (!drive->kind)
		return;
	drive->irq = false;
	update_line(ch);
	if (opcode == DEVICE_RESET && drive->kind == AVMM_DISK_ATAPI && ch->phase != IDE_RESET) {
		if (ch->active == unit)
			ide_begin_reset(ch, (u8)(1u << unit));
		else
			ide_sign(drive);
		return;
	}
	if (busy)
		return;
	if (opcode == DIAGNOSTIC) {
		diagnostic(ch);
		return;
	}
	ch->active = (u8)unit;
	drive->regs.now[AVMM_ATA_ERROR] = 0;
	drive->regs.now[AVMM_ATA_STATUS] = ATA_DRDY | ATA_DSC;
	ch->cmd.message = AVMM_DISK_COMMAND;
	ch->cmd.unit = (u8)(ch->index * IDE_DRIVES + unit);
	ch->cmd.flags = 0;
	ch->cmd.done = 0;
	ch->cmd.bytes = 0;
	ch->cmd.regs = drive->regs;
	ch->cmd.regs.now[AVMM_ATA_FEATURES] = ch->features[0];
	ch->cmd.regs.prev[AVMM_ATA_FEATURES] = ch->features[1];
	ch->cmd.regs.now[AVMM_ATA_COMMAND] = opcode;
	ide_begin(ch);
}

static void register_write(struct ide_channel *ch, unsigned int reg, u8 value)
{
	unsigned int i;

	ch->control &= (u8)~CONTROL_HOB;
	switch (write_class[reg]) {
	case FEATURES:
		ch->features[1] = ch->features[0];
		ch->features[0] = value;
		break;
	case COMMAND:
		command_write(ch, value);
		break;
	default:	/* both drives listen */
		for (i = 0; i < IDE_DRIVES; i++) {
			struct avmm_ata_regs *regs = &ch->drive[i].regs;

			regs->prev[reg] = regs->now[reg];
			regs->now[reg] = value;
		}
		if (write_class[reg] == SELECT) {
			ch->select = value & DEVICE_DEV;
			update_line(ch);
		}
		break;
	}
}

static u8 register_read(struct ide_channel *ch, unsigned int reg)
{
	unsigned int unit = selected(ch);
	struct ide_drive *drive = &ch->drive[unit];

	if (!drive->kind)
		return 0;
	switch (read_class[reg]) {
	case STATUS:
		drive->irq = false;
		update_line(ch);
		return drive_status(ch, unit);
	default:
		if (reg == AVMM_ATA_DEVICE)
			return (drive->regs.now[reg] & (u8)~DEVICE_DEV) | ch->select;
		return ch->control & CONTROL_HOB ? drive->regs.prev[reg] : drive->regs.now[reg];
	}
}

/* Only the data port is wider than a byte. */
static u64 command_block_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	(void)now;
	return offset == AVMM_ATA_DATA ? data_port(ctx, IDE_READS, size, 0) : register_read(ctx, offset);
}

static void command_block_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	(void)now;
	if (offset == AVMM_ATA_DATA)
		data_port(ctx, IDE_WRITES, size, value);
	else
		register_write(ctx, offset, (u8)value);
}

/* Alternate status; and the drive address of old controllers, whose bit 7 belongs to the floppy disk controller. */
static u64 control_block_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct ide_channel *ch = ctx;
	unsigned int unit = selected(ch);

	(void)size, (void)now;
	if (!ch->drive[unit].kind)
		return offset == IDE_CONTROL ? 0 : 0xff;
	if (offset == IDE_CONTROL)
		return drive_status(ch, unit);
	return 0xc0 | (~ch->drive[unit].regs.now[AVMM_ATA_DEVICE] & 0x0f) << 2 | (unit ? 1 : 2);
}

static void control_block_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct ide_channel *ch = ctx;
	u8 old = ch->control;

	(void)size, (void)now;
	if (offset != IDE_CONTROL)
		return;
	ch->control = (u8)value;
	update_line(ch);
	if (value & ~old & CONTROL_SRST)
		ide_begin_reset(ch, IDE_BOTH);
	else
		ide_end_reset(ch);
}

const struct bus_row ide_rows[IDE_ROWS] = {
	{ 0, AVMM_ATA_REGISTERS, 1 | 2 | 4 | BUS_QUIET, command_block_read, command_block_write },
	{ IDE_CONTROL, 2, 1 | BUS_QUIET, control_block_read, control_block_write },
};

/* Into the data phase, on to the next part, or to the end. Nothing in c is believed more than it is checked here. */
void ide_complete(struct ide_channel *ch, const struct avmm_disk_completion *c)
{
	struct ide_drive *drive = active_drive(ch);

	drive->regs = c->regs;
	drive->state = c->state;
	drive->regs.now[AVMM_ATA_STATUS] &= (u8)~(ATA_BSY | ATA_DRQ);
	ch->flags = c->flags;
	if (c->flags & (AVMM_DISK_BM_DONE | AVMM_DISK_BM_ERROR | AVMM_DISK_STARVED))
		ch->bm.status &= (u8)~IDE_BM_ACTIVE;
	if (c->flags & AVMM_DISK_BM_ERROR)
		ch->bm.status |= IDE_BM_ERROR;
	if (c->flags & AVMM_DISK_STARVED) {
		ch->phase = IDE_STARVED;
		return;
	}
	if ((c->flags & AVMM_DISK_DATA_IN) && c->block && c->bytes && c->bytes <= AVMM_DISK_DATA_SIZE) {
		begin_part(ch, IDE_IN, c->bytes, c->block);
		show_block(ch);
	} else if ((c->flags & AVMM_DISK_MORE) && ch->left) {
		ch->cmd.done += ch->cmd.bytes;
		collect(ch);
	} else {
		ch->phase = IDE_IDLE;
		end_packet(ch);
	}
	interrupt(ch);
}
