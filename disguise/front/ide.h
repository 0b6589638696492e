/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Front half of the disguised disk: PIIX3's IDE function as the guest sees it. Two channels at the legacy ports, two
 * drives on each, and the bus master's registers at BAR4.
 *
 * Whatever the guest reads is answered from here. What it writes is latched, until a command is complete: registers,
 * the packet of an ATAPI command, the data of a PIO write, the start of the bus master. Then it crosses to the back
 * half, once (avmm/disk.h); what it means is the back's business. The front knows of a command only what it needs to
 * collect it (commands in ide.c). The completion comes with all data of a PIO read, up to 128 KiB; blocks and their
 * interrupts are dealt out from here.
 *
 * A channel is in one phase, on behalf of the drive that has the command:
 *
 *	IDLE                   no command
 *	PACKET, OUT            DRQ: the guest writes a packet, data
 *	DMA                    DRQ: waits for the bus master
 *	HOLD                   BSY: a PIO write came while no back half is there; its data is collected later
 *	WAIT                   BSY: complete, but orphans have not ended, or there is no back half
 *	RUN                    BSY: the back half has it
 *	IN                     DRQ: the guest reads data
 *	STARVED                BSY: the bus master stopped short; ends by a reset
 *	RESET                  BSY: the guest holds SRST, or a command that it gave up still may touch memory
 *
 * No time passes in here: a command that the back half does not answer stays. Calls are made under the partition's
 * device lock. While ide_cancelling(), the guest must not run if it could reuse memory that it gave to the bus master.
 */
#ifndef AVMM_FRONT_IDE_H
#define AVMM_FRONT_IDE_H

#include <avmm/disk.h>
#include "vdev/bus.h"
#include "vdev/pci.h"

#define IDE_CHANNELS	AVMM_DISK_CHANNELS
#define IDE_DRIVES	2	/* per channel */
#define IDE_DEVFN	PCI_DEVFN(1, 1)

enum ide_phase {
	IDE_IDLE, IDE_PACKET, IDE_OUT, IDE_DMA, IDE_HOLD, IDE_WAIT, IDE_RUN, IDE_IN, IDE_STARVED, IDE_RESET,
};

enum ide_direction { IDE_READS, IDE_WRITES };

struct ide_ops {
	/* There is something in the ring for the back half. */
	void (*kick)(void *ctx);
	/* The bus master's registers moved; base 0: they are not decoded. Map ide_bm_rows there. */
	void (*moved)(void *ctx, u16 base);
	void *ctx;
};

/* A channel's registers of the bus master, as they lie at its ports. */
union ide_bm {
	struct {
		u8 command;
		u8 pad1;
		u8 status;
		u8 pad2;
		u32 table;
	};
	u8 byte[8];
	u64 all;
};

struct ide_drive {
	u8 kind;		/* enum avmm_disk_kind */
	bool irq;		/* INTRQ, where the drive is selected and nIEN clear */
	u64 state;		/* the back's memory */
	struct avmm_ata_regs regs;	/* as the guest reads them: error and status, not features and command */
};

struct ide_channel {
	struct ide *ide;
	u8 index;
	u8 phase;		/* enum ide_phase */
	u8 active;		/* the drive that the phase is of */
	u8 resetting;		/* drives, a bit each, whose reset ends with the phase RESET */
	u8 select;		/* DEV, of the device register */
	u8 control;
	u8 features[2];		/* as written last, and before */
	bool line;
	u8 tag;			/* in RUN; a channel's tags count from 0 here */
	u8 orphans;		/* tags, a bit each: given up, but the back has not ended them */
	u8 cancelling;		/* likewise: the back has not taken note of it */
	union ide_bm bm;
	u8 *data;		/* the data area, AVMM_DISK_DATA_SIZE */
	/* the part of a transfer that is under way: in the data area or cmd.packet */
	u32 at;
	u32 block_end;
	u32 size;
	u32 block;
	u32 left;		/* bytes that a PIO write has after this part */
	u8 flags;		/* of the completion that began the phase IN */
	struct avmm_disk_command cmd;
	struct ide_drive drive[IDE_DRIVES];
};

struct ide {
	struct vdev_irq irq;
	struct ide_ops ops;
	struct avmm_disk_page *page;	/* NULL: no back half */
	u32 generation;
	u32 command_head;	/* ours; what the page says of them is for the back */
	u32 completion_tail;
	u32 rejected;		/* completions that made no sense */
	u16 bm_base;
	struct avmm_disk_unit unit[AVMM_DISK_UNITS];	/* as at power-on */
	struct ide_channel channel[IDE_CHANNELS];
};

#define IDE_ROWS	2
#define IDE_BM_ROWS	1
extern const struct bus_row ide_rows[IDE_ROWS];		/* map at 1F0h and 170h, context the channel */
extern const struct bus_row ide_bm_rows[IDE_BM_ROWS];	/* map where ops.moved says, context struct ide */
extern const struct pci_model ide_pci_model;		/* pci_add() at IDE_DEVFN, context struct ide */

void ide_init(struct ide *ide, const struct vdev_irq *irq, const struct ide_ops *ops);
/* As by the PCI bus's reset. Commands that the back has become orphans. */
void ide_reset(struct ide *ide);

/*
 * A back half came: page and the data areas lie in shared pages. It gets all unfinished commands anew. Which drives
 * there are is taken over from the first one. A page without a generation, or with the predecessor's, is refused.
 */
bool ide_attach(struct ide *ide, struct avmm_disk_page *page, u8 *const data[IDE_CHANNELS]);
/* The back half is gone, and has ended its block requests. PIO data in the shared pages is lost: its command fails. */
void ide_detach(struct ide *ide);

/* The back half put completions into the ring. */
void ide_completions(struct ide *ide);

/* The guest gave a command up, and the back half may not know of it yet. */
bool ide_cancelling(const struct ide *ide);

/*
 * For REP INS and REP OUTS on the data port: where the guest's next bytes come from or go to and how many there are,
 * never more than up to the next interrupt. NULL: the data port is not in use in that direction; go by single accesses.
 * ide_data_advance() says how many of them were moved.
 */
u8 *ide_data(struct ide_channel *ch, enum ide_direction direction, u32 *bytes);
void ide_data_advance(struct ide_channel *ch, u32 bytes);

#endif
