/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disguised disk, between its front half in the monitor and its back half in avmm.ko.
 *
 * One page of rings per IDE controller, and a data area per channel behind it. The front puts a command into the ring
 * of commands, the back answers by a completion with the same tag; each crossing is announced by the monitor's message
 * interrupt or a hypercall. A ring has one writer and one reader; positions count entries ever written or read, a
 * ring's writer owns head, its reader owns tail. Each side keeps its own positions privately, copies an entry once,
 * and checks the copy. What the other side can spoil is the data that it could spoil anyway.
 *
 * A back half comes with a generation of its own, which is in every entry: what a predecessor left is recognised. The
 * front keeps its copy of every unfinished command and posts it again to a successor. A back half that goes has ended
 * all its block requests before.
 *
 * The back has no memory of a drive's settings: they travel with each command and each completion (state).
 *
 * A guest may give a command up by a reset. The front then sends a cancellation: the back answers that one at once,
 * after which the command touches neither the data area nor the guest's memory any more, and answers the command
 * itself when its block requests have ended. A command given up is an orphan; until all orphans of a channel have
 * ended, the front sends no command that touches the medium, so that an old write never overtakes a new one.
 */
#ifndef AVMM_DISK_H
#define AVMM_DISK_H

#include <avmm/types.h>

#define AVMM_DISK_UNITS		4	/* channel * 2 + drive */
#define AVMM_DISK_CHANNELS	2
#define AVMM_DISK_TAGS		4	/* per channel: one command and its orphans */
#define AVMM_DISK_RING		16u	/* a command and a cancellation for each tag: never full */
#define AVMM_DISK_DATA_SIZE	131072u	/* of a channel's data area: the 256 sectors of a 28-bit command */
#define AVMM_DISK_SECTOR	512u
/* shared pages: the rings, then each channel's data area */
#define AVMM_DISK_PAGES		(1 + AVMM_DISK_CHANNELS * (AVMM_DISK_DATA_SIZE >> AVMM_PAGE_SHIFT))

/* ATA's command block registers by their place after the channel's first port; in now[] and prev[] below. */
enum avmm_ata_register {
	AVMM_ATA_DATA,
	AVMM_ATA_FEATURES,
	AVMM_ATA_ERROR = AVMM_ATA_FEATURES,
	AVMM_ATA_COUNT,
	AVMM_ATA_LBA_LOW,
	AVMM_ATA_LBA_MID,
	AVMM_ATA_LBA_HIGH,
	AVMM_ATA_DEVICE,
	AVMM_ATA_COMMAND,
	AVMM_ATA_STATUS = AVMM_ATA_COMMAND,
	AVMM_ATA_REGISTERS
};

struct avmm_ata_regs {
	u8 now[AVMM_ATA_REGISTERS];
	u8 prev[AVMM_ATA_REGISTERS];	/* the earlier of two writes: bits 8 and up of 48-bit commands */
};

enum avmm_disk_kind { AVMM_DISK_NONE, AVMM_DISK_ATA, AVMM_DISK_ATAPI };

enum avmm_disk_message { AVMM_DISK_COMMAND = 1, AVMM_DISK_CANCEL };

#define AVMM_DISK_BUS_MASTER	(1u << 0)	/* it was started: prd is valid */
#define AVMM_DISK_TO_MEMORY	(1u << 1)	/* its direction */

struct avmm_disk_command {
	u32 generation;
	u8 message;		/* enum avmm_disk_message */
	u8 tag;			/* channel * AVMM_DISK_TAGS + n */
	u8 unit;
	u8 flags;
	struct avmm_ata_regs regs;	/* features and command, not error and status */
	u8 packet[12];		/* of PACKET */
	u32 prd;		/* guest-physical address of the bus master's table */
	u64 done;		/* bytes that earlier parts of a long PIO command moved */
	u32 bytes;		/* of a PIO write in the data area */
	u32 pad;
	u64 state;
};

#define AVMM_DISK_DATA_IN	(1u << 0)	/* bytes in the data area are for the guest to read */
#define AVMM_DISK_MORE		(1u << 1)	/* a PIO command goes on: when this part has gone, send it again */
#define AVMM_DISK_PACKET	(1u << 2)	/* data and end are shown as those of a packet command */
#define AVMM_DISK_BM_DONE	(1u << 3)	/* the table was used up exactly: the bus master has stopped */
#define AVMM_DISK_BM_ERROR	(1u << 4)	/* it could not reach the memory */
#define AVMM_DISK_STARVED	(1u << 5)	/* the table was too short: the drive waits for more, until a reset */

struct avmm_disk_completion {
	u32 generation;
	u8 message;		/* of the command */
	u8 tag;
	u8 flags;
	u8 pad;
	struct avmm_ata_regs regs;	/* error and status */
	u32 bytes;
	u32 block;		/* bytes that the guest gets with one interrupt */
	u64 state;
};

/* The low byte of a disk's state: sectors per block of READ and WRITE MULTIPLE, 0: off. The rest is the back's. */
struct avmm_disk_unit {
	u8 kind;		/* enum avmm_disk_kind */
	u8 pad[7];
	u64 state;		/* after power-on */
};

struct avmm_disk_page {
	u32 generation;		/* written by the back before it attaches, never 0 */
	u32 pad;
	u32 command_head;	/* front */
	u32 command_tail;	/* back */
	u32 completion_head;	/* back */
	u32 completion_tail;	/* front */
	struct avmm_disk_unit unit[AVMM_DISK_UNITS];	/* written by the back before it attaches */
	struct avmm_disk_command command[AVMM_DISK_RING];
	struct avmm_disk_completion completion[AVMM_DISK_RING];
};

_Static_assert(sizeof(struct avmm_disk_command) == 64, "a command has 64 bytes");
_Static_assert(sizeof(struct avmm_disk_completion) == 40, "a completion has 40 bytes");
_Static_assert(sizeof(struct avmm_disk_page) <= AVMM_PAGE_SIZE, "the rings fit a page");

#endif
