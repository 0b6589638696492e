/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole disguised disk in userspace: front half on a bus of ports, rings, back half, guest memory, and a block
 * device that ends its requests when it is told to. Crossings are counted.
 */
#ifndef TESTS_IDE_MACHINE_H
#define TESTS_IDE_MACHINE_H

#include "vdev_unit.h"
#include "disguise/back/ide.h"
#include "disguise/front/ide.h"

enum {
	DATA = 0x1f0, ERROR = 0x1f1, FEATURES = 0x1f1, COUNT = 0x1f2, LBA_LOW = 0x1f3, LBA_MID = 0x1f4,
	LBA_HIGH = 0x1f5, DEVICE = 0x1f6, STATUS = 0x1f7, COMMAND = 0x1f7, CONTROL = 0x3f6, ALT_STATUS = 0x3f6,
	BM = 0xc000, BM_COMMAND = BM, BM_STATUS = BM + 2, BM_TABLE = BM + 4,
};
#define SECOND_CHANNEL	(-0x80)	/* to add to a port */

enum { BSY = 0x80, DRDY = 0x40, DSC = 0x10, DRQ = 0x08, ERR = 0x01, READY = DRDY | DSC };
enum { NIEN = 0x02, SRST = 0x04, HOB = 0x80 };
enum { DRIVE0 = 0xe0, DRIVE1 = 0xf0 };	/* device register, LBA */
enum { START = 1, TO_MEMORY = 8, ACTIVE = 1, BM_ERROR = 2, INTERRUPT = 4 };

#define DISK_SECTORS	300000000ull	/* more than 28 bits */
#define CD_SECTORS	40000u
#define RAM_SIZE	(16u << 20)
#define RAM_HOLE	0xa0000u
#define RAM_HOLE_END	0x100000u
#define STORED		4096
#define QUEUE		8

struct stored {
	u64 sector;
	u8 unit;
	u8 data[512];
};

/* A block device whose sectors hold a pattern until they are written. */
struct device {
	struct stored stored[STORED];
	u32 nstored;
	struct avmm_blk_req *queue[QUEUE];
	u32 queued;
	u32 requests, flushes, fuas, discards, segments;
	u64 discarded;
	u64 fail_at;		/* sector that cannot be read or written */
	bool fail_flush;
	struct avmm_blk_req *withdrawn;
};

static struct ide front;
static struct ide_back *back;
static struct pci pci;
static struct avmm_disk_page page;
static struct device device;
static struct lines lines;
static u8 areas[2][AVMM_DISK_DATA_SIZE];
static u8 *ram;
static u32 kicks, completions_seen;	/* crossings to the back, to the front */
static u16 bm_base;

static inline u8 pattern(u8 unit, u64 sector, u32 at)
{
	u64 x = (sector * 64 + at / 8 + (u64)unit * 0x123456789ull) * 0x9e3779b97f4a7c15ull;

	return (u8)(x >> (8 * (at % 8)));
}

static inline struct stored *device_find(u8 unit, u64 sector)
{
	u32 i;

	for (i = device.nstored; i; i--)
		if (device.stored[i - 1].sector == sector && device.stored[i - 1].unit == unit)
			return &device.stored[i - 1];
	return NULL;
}

static inline void device_get(u8 unit, u64 sector, u8 *data)
{
	const struct stored *s = device_find(unit, sector);
	u32 i;

	for (i = 0; i < 512; i++)
		data[i] = s ? s->data[i] : pattern(unit, sector, i);
}

static inline void device_put(u8 unit, u64 sector, const u8 *data)
{
	struct stored *s = device_find(unit, sector);

	if (!s) {
		if (device.nstored == STORED)
			device.nstored = 0;	/* forgets; no test writes as much and looks */
		s = &device.stored[device.nstored++];
	}
	s->sector = sector;
	s->unit = unit;
	memcpy(s->data, data, 512);
}

static inline void on_submit(void *ctx, struct avmm_blk_req *req)
{
	(void)ctx;
	assert_true(device.queued < QUEUE);
	assert_true(req->unit < AVMM_DISK_UNITS && req->nsegments <= AVMM_BLK_SEGMENTS);
	device.requests++;
	device.queue[device.queued++] = req;
}

static inline void on_withdraw(void *ctx, struct avmm_blk_req *req)
{
	(void)ctx;
	device.withdrawn = req;
}

static inline void on_front_kick(void *ctx)
{
	(void)ctx;
	kicks++;
}

static inline void on_back_kick(void *ctx)
{
	(void)ctx;
	completions_seen++;
}

static inline void on_moved(void *ctx, u16 base)
{
	(void)ctx;
	bus_unmap(&ports, ide_bm_rows, IDE_BM_ROWS, &front);
	bm_base = base;
	if (base)
		bus_map(&ports, base, ide_bm_rows, IDE_BM_ROWS, &front);
}

/* Blocks of 2 MiB, not in their order, as RAM comes from Linux. */
static inline void *guest_page(void *ctx, u64 gpa)
{
	u64 block = gpa >> 21;

	(void)ctx;
	assert_int_equal(gpa % AVMM_PAGE_SIZE, 0);
	if (gpa >= RAM_SIZE || (gpa >= RAM_HOLE && gpa < RAM_HOLE_END))
		return NULL;
	return ram + ((block ^ 5) << 21) + (gpa & ((2u << 20) - 1));
}

static inline u8 *guest(u64 gpa)
{
	return (u8 *)guest_page(NULL, gpa & ~(u64)(AVMM_PAGE_SIZE - 1)) + gpa % AVMM_PAGE_SIZE;
}

/* What the disk does with a request. A withdrawn one may not touch guest memory: its pages were exchanged. */
static inline void device_do(struct avmm_blk_req *req)
{
	u64 sector = req->sector;
	u32 i, at;

	assert_true(!req->flags || req->op == AVMM_BLK_WRITE);
	device.segments = req->nsegments;
	device.fuas += req->op == AVMM_BLK_WRITE && (req->flags & AVMM_BLK_FUA);
	device.flushes += req->op == AVMM_BLK_FLUSH;
	if (req->op == AVMM_BLK_FLUSH)
		req->status = device.fail_flush ? AVMM_BLK_ERROR : AVMM_BLK_OK;
	if (req->op == AVMM_BLK_DISCARD) {
		device.discards++;
		device.discarded += req->sectors;
	}
	for (i = 0; req->op <= AVMM_BLK_WRITE && i < req->nsegments; i++) {
		assert_true(req->segment[i].bytes && req->segment[i].bytes % 512 == 0);
		for (at = 0; at < req->segment[i].bytes; at += 512, sector++) {
			u8 *data = (u8 *)req->segment[i].data + at;

			if (sector == device.fail_at) {
				req->status = AVMM_BLK_ERROR;
				req->done = (u32)(sector - req->sector);
				return;
			}
			if (req->op == AVMM_BLK_WRITE)
				device_put(req->unit, sector, data);
			else if (device.withdrawn != req)
				device_get(req->unit, sector, data);
		}
	}
	if (req->op <= AVMM_BLK_WRITE)
		assert_int_equal(sector - req->sector, req->sectors);
}

/* The oldest request ends. */
static inline bool device_end(void)
{
	struct avmm_blk_req *req = device.queue[0];

	if (!device.queued)
		return false;
	memmove(device.queue, device.queue + 1, --device.queued * sizeof(device.queue[0]));
	device_do(req);
	if (device.withdrawn == req)
		device.withdrawn = NULL;
	ide_back_end(back, req);
	return true;
}

static inline void poll_back(void)
{
	ide_back_poll(back);
}

static inline void poll_front(void)
{
	ide_completions(&front);
}

/* Until nothing happens any more without the guest. */
static inline void settle(void)
{
	u32 before;

	do {
		before = kicks;
		poll_back();
		while (device_end())
			;
		poll_front();
	} while (kicks != before || device.queued);
	assert_int_equal(front.rejected | back->rejected, 0);
}

static inline void set_unit(unsigned int i, u8 kind, u64 sectors)
{
	struct ide_unit *unit = &back->unit[i];

	memset(unit, 0, sizeof(*unit));
	unit->kind = kind;
	unit->sectors = sectors;
	unit->physical_block = 512;
	unit->media = kind == AVMM_DISK_ATAPI;
	strcpy(unit->model, kind == AVMM_DISK_ATAPI ? "AVMM DVD-ROM" : "AVMM DISK");
	strcpy(unit->serial, "AVMM0001");
	strcpy(unit->firmware, "1.0");
}

static inline void attach(u32 generation)
{
	const struct ide_back_ops ops = {
		.submit = on_submit, .withdraw = on_withdraw, .kick = on_back_kick, .memory = { .page = guest_page },
	};
	u8 *const data[2] = { areas[0], areas[1] };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		back->channel[i].area = areas[i];
		if (!back->channel[i].buffer)
			back->channel[i].buffer = malloc(IDE_BUFFER_SIZE);
	}
	ide_back_init(back, &page, generation, &ops);
	assert_true(ide_attach(&front, &page, data));
}

static inline u32 config(unsigned int offset)
{
	return 0x80000000u | IDE_DEVFN << 8 | offset;
}

static inline void machine_free(void)
{
	if (back) {
		free(back->channel[0].buffer);
		free(back->channel[1].buffer);
	}
	free(back);
	free(ram);
	back = NULL;
	ram = NULL;
}

static inline void on_pm(void *ctx, u16 base)
{
	(void)ctx, (void)base;
}

static inline void on_pci_reset(void *ctx)
{
	(void)ctx;
}

/* Disk and CD-ROM on the first channel, a disk on the second. */
static inline void machine_build(void)
{
	const struct ide_ops ops = { on_front_kick, on_moved, NULL };
	const struct pci_ops pci_ops = { .pm_base = on_pm, .reset = on_pci_reset };
	struct vdev_irq irq = lines_irq(&lines);
	struct vdev_irq none = { NULL, NULL };

	machine_free();
	back = calloc(1, sizeof(*back));
	ram = calloc(1, RAM_SIZE);
	memset(&page, 0, sizeof(page));
	memset(areas, 0xee, sizeof(areas));
	memset(&device, 0, sizeof(device));
	device.fail_at = ~0ull;
	kicks = 0;
	completions_seen = 0;
	bm_base = 0;
	set_unit(0, AVMM_DISK_ATA, DISK_SECTORS);
	set_unit(1, AVMM_DISK_ATAPI, CD_SECTORS);
	set_unit(2, AVMM_DISK_ATA, 1000000);
	bus_init(&ports);
	ide_init(&front, &irq, &ops);
	pci_init(&pci, &none, &pci_ops, 0);
	assert_true(pci_add(&pci, IDE_DEVFN, &ide_pci_model, &front));
	assert_true(bus_map(&ports, 0x1f0, ide_rows, IDE_ROWS, &front.channel[0]));
	assert_true(bus_map(&ports, 0x170, ide_rows, IDE_ROWS, &front.channel[1]));
	pci_config_write(&pci, config(0x20), 0, 4, BM);
	pci_config_write(&pci, config(0x04), 0, 2, 5);
	assert_int_equal(bm_base, BM);
	attach(1);
}

static inline u16 in_word(u16 port)
{
	return (u16)bus_read(&ports, port, 2, now);
}

static inline void out_word(u16 port, u16 value)
{
	bus_write(&ports, port, 2, value, now);
}

static inline void out_long(u16 port, u32 value)
{
	bus_write(&ports, port, 4, value, now);
}

/* A task file of 28 bits; device is DRIVE0 or DRIVE1. */
static inline void task(u8 where, u32 lba, u8 count, u8 command)
{
	out(DEVICE, (u8)(where | (lba >> 24 & 15)));
	out(COUNT, count);
	out(LBA_LOW, (u8)lba);
	out(LBA_MID, (u8)(lba >> 8));
	out(LBA_HIGH, (u8)(lba >> 16));
	out(COMMAND, command);
}

static inline void task_ext(u8 where, u64 lba, u16 count, u8 command)
{
	out(DEVICE, where);
	out(COUNT, (u8)(count >> 8));
	out(LBA_LOW, (u8)(lba >> 24));
	out(LBA_MID, (u8)(lba >> 32));
	out(LBA_HIGH, (u8)(lba >> 40));
	out(COUNT, (u8)count);
	out(LBA_LOW, (u8)lba);
	out(LBA_MID, (u8)(lba >> 8));
	out(LBA_HIGH, (u8)(lba >> 16));
	out(COMMAND, command);
}

/* Words by the data port, one by one. */
static inline void read_words(u16 *to, u32 n)
{
	while (n--)
		*to++ = in_word(DATA);
}

static inline void write_words(const u16 *from, u32 n)
{
	while (n--)
		out_word(DATA, *from++);
}

static inline void assert_pattern(const u8 *data, u8 unit, u64 sector, u32 sectors)
{
	u8 want[512];

	for (; sectors; sectors--, sector++, data += 512) {
		device_get(unit, sector, want);
		assert_memory_equal(data, want, 512);
	}
}

/* One entry of the bus master's table. */
static inline void put_prd(u32 table, u32 index, u32 gpa, u32 bytes, bool last)
{
	u32 entry[2] = { gpa, (bytes & 0xffff) | (last ? 0x80000000u : 0) };

	memcpy(guest(table + 8 * index), entry, 4);
	memcpy(guest(table + 8 * index + 4), entry + 1, 4);
}

/* As a driver does: table, direction, command, start. */
static inline void dma_prepare(u32 table, u8 direction)
{
	out_long(BM_TABLE, table);
	out(BM_COMMAND, direction);
	out(BM_STATUS, BM_ERROR | INTERRUPT);
}

static inline void dma_start(u8 direction)
{
	out(BM_COMMAND, direction | START);
}

/* The handler of an interrupt; returns the drive's status. */
static inline u8 take_interrupt(void)
{
	u8 status;

	assert_true(lines.level[14]);
	status = in(STATUS);
	assert_false(lines.level[14]);
	return status;
}

#endif
