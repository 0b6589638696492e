/* SPDX-License-Identifier: GPL-2.0-only */
/* What a CD-ROM drive returns, put together for atapi.c. Each function gives the number of bytes in data. */
#ifndef AVMM_BACK_ATAPI_H
#define AVMM_BACK_ATAPI_H

#include "ide.h"

#define ATAPI_BLOCK		2048u
#define ATAPI_SECTORS		(ATAPI_BLOCK / AVMM_DISK_SECTOR)
#define ATAPI_REPLY_MAX		128
#define ATAPI_DMA_BLOCKS	16384u	/* 32 MiB: as much as a disk's longest command */

#define SENSE_NOT_READY		0x2
#define SENSE_MEDIUM		0x3
#define SENSE_ILLEGAL		0x5
#define SENSE_ATTENTION		0x6

void atapi_put32(u8 *p, u32 value);
u32 atapi_inquiry(const struct ide_unit *unit, u8 *data);
/* 0: the packet asks for a format that there is none of. */
u32 atapi_toc(u32 blocks, const u8 *packet, u8 *data);
u32 atapi_configuration(u32 blocks, const u8 *packet, u8 *data);
u32 atapi_disc_information(u8 *data);
/* 0: no such page. */
u32 atapi_mode_sense(union atapi_state state, bool disc, u8 page, u8 *data);
void atapi_identify(const struct ide_unit *unit, union atapi_state state, unsigned int drive, u8 data[512]);

#endif
