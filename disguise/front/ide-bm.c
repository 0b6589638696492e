// SPDX-License-Identifier: GPL-2.0-only
/*
 * IDE, front half: PCI configuration, the bus master's registers, power-on. After Intel's 290550 (PIIX3) and
 * "Programming Interface for Bus Master IDE Controller", revision 1.0.
 *
 * The table of memory regions is read by the back half. Here are only the engine's bits: it is active from the start
 * until the table is used up, an error, or the end by software.
 */
#include "ide-internal.h"

#define BM_CHANNEL	8	/* a channel's registers */
#define BM_COMMAND	0
#define BM_STATUS	2
#define BM_TABLE	4

#define BM_COMMAND_BITS	(IDE_BM_START | IDE_BM_TO_MEMORY)
#define BM_CAPABLE	0x60	/* drive 0, drive 1 can do DMA: remembered */

#define PCI_COMMAND	0x04
#define PCI_COMMAND_IO	0x01
#define PCI_BAR4	0x20
#define BAR_BITS	0xfffffff0u	/* PIIX3 has 16 of them; SeaBIOS takes the size from all, as QEMU's has them */
#define PORTS		0x10000u

static const struct pci_register registers[] = {
	{ 0x00, 4, 0x70108086, 0, 0 },
	{ PCI_COMMAND, 2, 0, 0x0005, 0 },
	{ 0x06, 2, 0x0280, 0, 0x7800 },
	{ 0x08, 4, 0x01018000, 0, 0 },		/* legacy mode, bus master */
	{ 0x0d, 1, 0, 0xf0, 0 },		/* latency timer */
	{ PCI_BAR4, 4, 0x00000001, BAR_BITS, 0 },
	{ 0x2c, 4, 0x11001af4, 0, 0 },		/* as QEMU's */
	{ 0x40, 4, 0x80008000, 0xf3fff3ff, 0 },	/* timing; both channels are on, also for a kernel without firmware */
	{ 0x44, 1, 0, 0xff, 0 },
};

static void config_written(struct pci *pci, void *ctx, unsigned int offset, unsigned int size)
{
	struct ide *ide = ctx;
	u32 function = 0x80000000u | IDE_DEVFN << 8;
	u32 bar = pci_config_read(pci, function | PCI_BAR4, 0, 4) & BAR_BITS;
	u16 base = bar < PORTS ? (u16)bar : 0;

	(void)offset, (void)size;
	if (!(pci_config_read(pci, function | PCI_COMMAND, 0, 1) & PCI_COMMAND_IO))
		base = 0;
	if (base == ide->bm_base)
		return;
	ide->bm_base = base;
	ide->ops.moved(ide->ops.ctx, base);
}

const struct pci_model ide_pci_model = { registers, VDEV_ARRAY_SIZE(registers), config_written };

/* A start is an edge. Stopping in the middle of a transfer gives the command up: its drive waits for more, in vain. */
static void command_write(struct ide_channel *ch, u8 value)
{
	u8 changed = (ch->bm.command ^ value) & IDE_BM_START;
	bool runs = ch->phase == IDE_RUN && (ch->cmd.flags & AVMM_DISK_BUS_MASTER);

	ch->bm.command = value & BM_COMMAND_BITS;
	if (!changed)
		return;
	if (value & IDE_BM_START) {
		ch->bm.status |= IDE_BM_ACTIVE;
		if (ch->phase == IDE_DMA)
			ide_dma(ch);
		return;
	}
	ch->bm.status &= (u8)~IDE_BM_ACTIVE;
	if (runs) {
		ide_abandon(ch);
		ch->phase = IDE_STARVED;
	}
}

static u64 bm_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct ide *ide = ctx;

	(void)size, (void)now;
	return ide->channel[offset / BM_CHANNEL].bm.all >> 8 * (offset % BM_CHANNEL);
}

static void write_byte(struct ide_channel *ch, unsigned int reg, u8 value)
{
	if (reg == BM_COMMAND)
		command_write(ch, value);
	else if (reg == BM_STATUS)
		ch->bm.status = (ch->bm.status & ~value & (IDE_BM_ERROR | IDE_BM_INTERRUPT)) |
				(ch->bm.status & IDE_BM_ACTIVE) | (value & BM_CAPABLE);
	else if (reg >= BM_TABLE)
		ch->bm.byte[reg] = reg == BM_TABLE ? value & 0xfc : value;
}

static void bm_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct ide *ide = ctx;

	(void)now;
	for (; size; size--, offset++, value >>= 8)
		write_byte(&ide->channel[offset / BM_CHANNEL % IDE_CHANNELS], offset % BM_CHANNEL, (u8)value);
}

const struct bus_row ide_bm_rows[IDE_BM_ROWS] = {
	{ 0, IDE_CHANNELS * BM_CHANNEL, 1 | 2 | 4 | BUS_QUIET, bm_read, bm_write },
};

void ide_power_on(struct ide_drive *drive, const struct avmm_disk_unit *unit)
{
	drive->kind = unit->kind;
	drive->state = unit->state;
	ide_sign(drive);
}

void ide_reset(struct ide *ide)
{
	unsigned int i, j;

	if (ide->bm_base)
		ide->ops.moved(ide->ops.ctx, 0);
	ide->bm_base = 0;
	for (i = 0; i < IDE_CHANNELS; i++) {
		struct ide_channel *ch = &ide->channel[i];

		ch->control = 0;
		ch->features[0] = ch->features[1] = 0;
		ch->bm.all = 0;
		ide_begin_reset(ch, IDE_BOTH);
		for (j = 0; j < IDE_DRIVES; j++)
			ide_power_on(&ch->drive[j], &ide->unit[i * IDE_DRIVES + j]);
	}
}

void ide_init(struct ide *ide, const struct vdev_irq *irq, const struct ide_ops *ops)
{
	unsigned int i;

	vdev_clear(ide, sizeof(*ide));
	ide->irq = *irq;
	ide->ops = *ops;
	for (i = 0; i < IDE_CHANNELS; i++) {
		ide->channel[i].ide = ide;
		ide->channel[i].index = (u8)i;
	}
	ide_reset(ide);
}
