/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the IDE front: ide.c (a channel's registers), ide-ring.c (the way to the back), ide-bm.c. */
#ifndef AVMM_FRONT_IDE_INTERNAL_H
#define AVMM_FRONT_IDE_INTERNAL_H

#include "ide.h"

#define IDE_CONTROL	0x206	/* the control block's register, from the channel's first port */

#define IDE_BOTH	3	/* drives, a bit each */

#define ATA_BSY		0x80
#define ATA_DRDY	0x40
#define ATA_DSC		0x10
#define ATA_DRQ		0x08
#define ATA_ERR		0x01
#define ATA_ABRT	0x04

#define IDE_BM_START		0x01	/* command */
#define IDE_BM_TO_MEMORY	0x08
#define IDE_BM_ACTIVE		0x01	/* status */
#define IDE_BM_ERROR		0x02
#define IDE_BM_INTERRUPT	0x04

/* ide.c */
void ide_begin(struct ide_channel *ch);
void ide_dma(struct ide_channel *ch);
void ide_complete(struct ide_channel *ch, const struct avmm_disk_completion *c);
void ide_fail(struct ide_channel *ch);
void ide_sign(struct ide_drive *drive);
void ide_begin_reset(struct ide_channel *ch, u8 drives);
void ide_end_reset(struct ide_channel *ch);
void ide_power_on(struct ide_drive *drive, const struct avmm_disk_unit *unit);
/* Does the command in ch->cmd have to wait for orphans? */
bool ide_touches_medium(const struct ide_channel *ch);

/* ide-ring.c */
/* The command in ch->cmd is complete: it crosses, now or when it may. */
void ide_post(struct ide_channel *ch);
/* The guest gives up what the channel does. */
void ide_abandon(struct ide_channel *ch);

#endif
