/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Back half of the disguised disk: takes commands from the ring (avmm/disk.h), decodes and executes them. Plain C; what
 * is Linux's (block devices, guest pages, the interrupt to the monitor) comes in by struct ide_back_ops.
 *
 *	ide.c            the rings, one job per command
 *	ata.c            commands of a disk, by a table; ata-identify.c
 *	atapi.c          packet commands of a CD-ROM, by a table; atapi-replies.c what they return
 *	transfer.c       moves sectors between the block device and the data area or guest memory, in parts
 *	prd.c request.c  the bus master's table, requests to the block device
 *
 * A channel has one job that may use the block device, and room for a second one that may not: a command such as
 * IDENTIFY, while an orphan has not ended. A drive's settings are in the job's state, which travels with the command;
 * nothing is remembered here from one command to the next.
 *
 * All calls of a struct ide_back come from one worker. ops.submit never calls ide_back_end() itself: that comes later.
 */
#ifndef AVMM_BACK_IDE_H
#define AVMM_BACK_IDE_H

#include "prd.h"

#define ATA_ERR		0x01	/* status */
#define ATA_DSC		0x10
#define ATA_DRDY	0x40

#define ATA_ABRT	0x04	/* error */
#define ATA_IDNF	0x10
#define ATA_UNC		0x40

#define IDE_MAX_MULTIPLE	16
#define ATA_TRIM_BLOCKS		8	/* of 64 ranges, in a command */
#define IDE_BUFFER_SIZE		AVMM_DISK_DATA_SIZE

/* A drive and what is known of its block device. Strings are shown padded. */
struct ide_unit {
	u8 kind;		/* enum avmm_disk_kind */
	bool read_only;
	bool can_discard;
	u8 media;		/* CD-ROM: counts discs that were put in; 0: none */
	u64 sectors;		/* of 512 bytes; may change between commands */
	u32 physical_block;	/* bytes, a power of two */
	char model[41];
	char serial[21];
	char firmware[9];
};

/* Settings of a disk. */
union ata_state {
	u64 all;
	struct {
		u8 multiple;	/* also the front's, see avmm/disk.h */
		u8 heads;	/* of the translation; 0: that of IDENTIFY */
		u8 sectors;
		u8 mode;	/* transfer mode, as SET FEATURES has it */
		u8 flags;
		u8 power;	/* as CHECK POWER MODE shows it */
		u8 pad[2];
	};
};

#define ATA_STATE_WRITE_CACHE	0x01
#define ATA_STATE_LOOK_AHEAD	0x02
#define ATA_POWER_STANDBY	0x00
#define ATA_POWER_ACTIVE	0xff
#define ATA_MODE_DEFAULT	0x45	/* UDMA 5 */

/* Settings of a CD-ROM. */
union atapi_state {
	u64 all;
	struct {
		u8 pad0;
		u8 key;		/* sense of the last packet that failed */
		u8 asc;
		u8 ascq;
		u8 media;	/* the disc that the guest knows of */
		u8 mode;
		u8 flags;
		u8 pad7;
	};
};

#define ATAPI_STATE_PREVENT	0x01	/* medium removal */
#define ATAPI_STATE_EJECTED	0x02	/* by the guest: the tray is out */

struct ide_back_ops {
	void (*submit)(void *ctx, struct avmm_blk_req *req);
	/*
	 * The guest gave up the command that this request is of, a READ or WRITE whose segments are guest memory. From
	 * the return on the device must not reach that memory, neither to write nor to read what the guest now keeps
	 * there: the pages are exchanged for copies.
	 */
	void (*withdraw)(void *ctx, struct avmm_blk_req *req);
	/* There are completions for the front. */
	void (*kick)(void *ctx);
	void *ctx;
	struct avmm_guest_memory memory;
};

struct ide_back;
struct ide_channel_back;
struct ide_job;
struct ata_row;

enum transfer_place { TRANSFER_AREA, TRANSFER_GUEST, TRANSFER_BOUNCED, TRANSFER_NOWHERE };

/* Sectors on their way, in parts; sector and left count what is not done yet. */
struct ide_transfer {
	u8 op;			/* enum avmm_blk_op */
	u8 place;		/* enum transfer_place */
	u32 flags;		/* of the requests */
	u64 sector;
	u32 left;
	struct prd_cursor cursor;
	void (*then)(struct ide_job *job, enum avmm_blk_status status);
};

/* A command. */
struct ide_job {
	struct ide_back *back;
	struct ide_channel_back *channel;
	const struct ide_unit *unit;
	bool busy;
	bool cancelled;
	struct ide_transfer transfer;
	const struct ata_row *row;	/* of a disk's command */
	u64 first;		/* of the sectors of this part; last is the one behind the command's */
	u64 last;
	void (*then)(struct ide_job *job, enum avmm_blk_status status);	/* what goes on when a request has ended */
	struct avmm_disk_command cmd;
	struct avmm_disk_completion reply;
};

struct ide_channel_back {
	u8 *area;		/* the data area that is shared with the front */
	u8 *buffer;		/* IDE_BUFFER_SIZE of our own, in the direct map, aligned to a page */
	struct ide_job job;
	struct ide_job quick;	/* without block device: meanwhile */
	struct avmm_blk_req req;
	struct prd_table prd;
};

struct ide_back {
	struct ide_back_ops ops;
	struct avmm_disk_page *page;
	u32 generation;
	u32 command_tail;
	u32 completion_head;
	u32 rejected;		/* commands that made no sense */
	struct ide_unit unit[AVMM_DISK_UNITS];
	struct ide_channel_back channel[AVMM_DISK_CHANNELS];
};

/*
 * Fills in the page before the front attaches. channel[].area and .buffer and unit[] are set already; generation is
 * neither 0 nor a predecessor's.
 */
void ide_back_init(struct ide_back *back, struct avmm_disk_page *page, u32 generation, const struct ide_back_ops *ops);
/* The front kicked. */
void ide_back_poll(struct ide_back *back);
/* The block device has ended a channel's request; status and done are set. */
void ide_back_end(struct ide_back *back, struct avmm_blk_req *req);
/* All requests have ended: the back half may go. */
bool ide_back_idle(const struct ide_back *back);

/* ide.c, for the drives: registers of the reply, and its end. */
void job_end(struct ide_job *job);
void job_fail(struct ide_job *job, u8 error);
void job_reply_sector(struct ide_job *job, const u8 data[512]);	/* 512 bytes of PIO data */
/* The bus master's table for this many bytes and this direction; if false, the job has ended. */
bool job_load_prd(struct ide_job *job, u64 bytes, bool to_memory);
/* The job ended in a bus master error. */
void job_fault(struct ide_job *job);

/*
 * transfer.c. job->transfer.left sectors from job->transfer.sector on; with TRANSFER_AREA at most what the data area
 * holds. then() comes at the end, and finds in both what was not moved. Or never, if the job was ended here.
 */
void transfer_start(struct ide_job *job, enum avmm_blk_op op, enum transfer_place place, u32 flags,
		    void (*then)(struct ide_job *job, enum avmm_blk_status status));
/* FLUSH and DISCARD, a single request. */
void transfer_submit(struct ide_job *job, enum avmm_blk_op op, u64 sector, u32 sectors,
		     void (*then)(struct ide_job *job, enum avmm_blk_status status));

void ata_command(struct ide_job *job);
u64 ata_state(void);	/* after power-on */
void ata_geometry(union ata_state state, u32 *heads, u32 *sectors);	/* of the translation in force */
void ata_identify(const struct ide_unit *unit, union ata_state state, unsigned int drive, u8 data[512]);
void ata_identify_string(u8 *to, const char *from, u32 bytes);
void ata_identify_seal(u8 data[512]);
void ata_put_modes(u8 mode, unsigned int drive, u8 *data);
bool ata_mode_is_known(u8 mode);
void ata_put_word(u8 *data, unsigned int word, u16 value);

void atapi_command(struct ide_job *job);
u64 atapi_state(const struct ide_unit *unit);

#endif
