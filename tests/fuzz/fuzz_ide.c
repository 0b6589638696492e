// SPDX-License-Identifier: GPL-2.0-only
/*
 * Both halves of the disguised disk under any stream of register accesses, guest memory contents, answers of the block
 * device in any order, resets and successors of the back half. In half of the inputs the shared pages are written by
 * anybody as well, so that each half meets a hostile one.
 *
 * After each step the front's state is sound. At the end a successor comes, the guest resets the channel, and a sector
 * must be readable: whatever happened, it was not the end of the disk. Without hostility nothing may be rejected.
 *
 * Input: a byte of mode, then 4 bytes a step: what, where, value.
 */
#include <stdio.h>
#include <stdlib.h>

#include "disguise/back/ide.h"
#include "disguise/front/ide.h"

#define CHECK(cond)	do { if (!(cond)) failed(#cond, __LINE__); } while (0)

#define RAM_SIZE	0x100000u
#define HOLE		0xa0000u	/* one page of it is no RAM */
#define TABLE		0x1000u
#define BM		0xc000
#define HOSTILE		1
#define DISK_SECTORS	300000u

enum op {
	OUT_BYTE, IN_BYTE, OUT_WIDE, IN_WIDE, STRING_IN, STRING_OUT, MEMORY, BACK, DEVICE_END, FRONT, TASK, DMA, PACKET,
	WORLD, PAGE, CONFIG, OPS
};

static struct ide front;
static struct ide_back back;
static struct pci pci;
static struct bus ports;
static struct avmm_disk_page *page;
static u8 *area[2], *ram;
static struct avmm_blk_req *queue[2];	/* by channel */
static bool level[16];
static u32 generation;
static u16 bm_base;
static bool hostile;

static void failed(const char *what, int line)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

static void on_irq(void *ctx, unsigned int irq, bool up)
{
	(void)ctx;
	CHECK((irq == 14 || irq == 15) && level[irq] != up);
	level[irq] = up;
}

static void on_kick(void *ctx)
{
	(void)ctx;
}

static void on_moved(void *ctx, u16 base)
{
	(void)ctx;
	bus_unmap(&ports, ide_bm_rows, IDE_BM_ROWS, &front);
	bm_base = base && bus_map(&ports, base, ide_bm_rows, IDE_BM_ROWS, &front) ? base : 0;
}

static void on_pm(void *ctx, u16 base)
{
	(void)ctx, (void)base;
}

static void on_pci_reset(void *ctx)
{
	(void)ctx;
}

static void *on_page(void *ctx, u64 gpa)
{
	(void)ctx;
	CHECK(gpa % AVMM_PAGE_SIZE == 0);
	return gpa < RAM_SIZE && gpa != HOLE ? ram + gpa : NULL;
}

/* One request per channel, for sectors that there are, in memory that is ours. */
static void on_submit(void *ctx, struct avmm_blk_req *req)
{
	u64 bytes = 0;
	u32 i;

	(void)ctx;
	CHECK(req->unit < AVMM_DISK_UNITS && !queue[req->unit / 2]);
	queue[req->unit / 2] = req;
	if (req->op == AVMM_BLK_FLUSH)
		return;
	CHECK(req->sectors && req->sector < back.unit[req->unit].sectors);
	CHECK(req->sectors <= back.unit[req->unit].sectors - req->sector);
	CHECK(req->op != AVMM_BLK_WRITE || !back.unit[req->unit].read_only);
	if (req->op == AVMM_BLK_DISCARD)
		return;
	CHECK(req->nsegments && req->nsegments <= AVMM_BLK_SEGMENTS);
	for (i = 0; i < req->nsegments; i++)
		bytes += req->segment[i].bytes;
	CHECK(bytes == (u64)req->sectors * AVMM_DISK_SECTOR);
}

static void on_withdraw(void *ctx, struct avmm_blk_req *req)
{
	(void)ctx;
	CHECK(queue[req->unit / 2] == req && req->op <= AVMM_BLK_WRITE);
	CHECK((u8 *)req->segment[0].data >= ram && (u8 *)req->segment[0].data < ram + RAM_SIZE);
	req->nsegments = 0;	/* to nobody's memory any more */
}

static void device_end(unsigned int channel, u8 how)
{
	struct avmm_blk_req *req = queue[channel];
	u32 i;

	if (!req)
		return;
	queue[channel] = NULL;
	for (i = 0; req->op <= AVMM_BLK_WRITE && i < req->nsegments; i++) {
		u8 *first = req->segment[i].data, *last = first + req->segment[i].bytes - 1;

		if (req->op == AVMM_BLK_READ) {
			*first = (u8)req->sector;
			*last = (u8)(req->sector >> 8);
		} else {
			how ^= (*first ^ *last) & 0x3f;
		}
	}
	req->status = how & 0x80 ? AVMM_BLK_ERROR : AVMM_BLK_OK;
	req->done = how & 0x40 ? ~0u : how & 0x3f;
	ide_back_end(&back, req);
}

static void set_unit(unsigned int i, u8 kind)
{
	back.unit[i] = (struct ide_unit){
		.kind = kind, .sectors = DISK_SECTORS, .media = 1, .physical_block = 512, .can_discard = i == 0,
		.model = "AVMM DISK", .serial = "1", .firmware = "1",
	};
}

static void attach(void)
{
	const struct ide_back_ops ops = {
		.submit = on_submit, .withdraw = on_withdraw, .kick = on_kick, .memory = { .page = on_page },
	};

	ide_back_init(&back, page, ++generation, &ops);
	CHECK(ide_attach(&front, page, area));
}

static void successor(void)
{
	device_end(0, 0);
	device_end(1, 0);
	while (queue[0] || queue[1]) {	/* commands in parts */
		device_end(0, 0);
		device_end(1, 0);
	}
	CHECK(ide_back_idle(&back));
	ide_detach(&front);
	attach();
}

static void build(void)
{
	const struct ide_ops ops = { on_kick, on_moved, NULL };
	const struct pci_ops pci_ops = { .pm_base = on_pm, .reset = on_pci_reset };
	const struct vdev_irq irq = { on_irq, NULL }, none = { NULL, NULL };
	unsigned int i;

	if (!ram) {	/* each by itself, so that every byte beyond is noticed */
		ram = malloc(RAM_SIZE);
		page = malloc(sizeof(*page));
		for (i = 0; i < 2; i++) {
			area[i] = calloc(1, AVMM_DISK_DATA_SIZE);
			back.channel[i].area = area[i];
			back.channel[i].buffer = calloc(1, IDE_BUFFER_SIZE);
		}
	}
	memset(ram, 0, 0x4000);
	memset(level, 0, sizeof(level));
	memset(queue, 0, sizeof(queue));
	generation = 0;
	bm_base = 0;
	set_unit(0, AVMM_DISK_ATA);
	set_unit(1, AVMM_DISK_ATAPI);
	set_unit(2, AVMM_DISK_ATA);
	set_unit(3, AVMM_DISK_NONE);
	bus_init(&ports);
	ide_init(&front, &irq, &ops);
	pci_init(&pci, &none, &pci_ops, 0);
	CHECK(pci_add(&pci, IDE_DEVFN, &ide_pci_model, &front));
	CHECK(bus_map(&ports, 0x1f0, ide_rows, IDE_ROWS, &front.channel[0]));
	CHECK(bus_map(&ports, 0x170, ide_rows, IDE_ROWS, &front.channel[1]));
	pci_config_write(&pci, 0x80000000u | IDE_DEVFN << 8 | 0x20, 0, 4, BM);
	pci_config_write(&pci, 0x80000000u | IDE_DEVFN << 8 | 4, 0, 2, 5);
	CHECK(bm_base == BM);
	attach();
}

static void out(u16 port, u8 value)
{
	bus_write(&ports, port, 1, value, 0);
}

static u8 in(u16 port)
{
	return (u8)bus_read(&ports, port, 1, 0);
}

/* A register of a channel: command block, control block, bus master. */
static u16 port_of(u8 where)
{
	static const u16 control[] = { 0x206, 0x207 };
	u16 base = where & 0x80 ? 0x170 : 0x1f0;

	where &= 0x1f;
	if (where < 8)
		return base + where;
	if (where < 16)
		return base + control[where & 1];
	return BM + (where & 15);
}

static u16 channel_base(unsigned int channel)
{
	return channel ? 0x170 : 0x1f0;
}

static void string_io(struct ide_channel *ch, enum ide_direction direction, u32 n)
{
	u32 bytes, i;
	u8 *data = ide_data(ch, direction, &bytes);

	if (!data)
		return;
	CHECK(bytes && bytes <= AVMM_DISK_DATA_SIZE);
	if (n && n < bytes)
		bytes = n;
	for (i = 0; i < bytes; i += i + 64 < bytes ? 64 : 1) {
		if (direction == IDE_READS)
			asm volatile("" : : "r"(data[i]));	/* a read, for the sanitizer */
		else
			data[i] = (u8)(n + i);
	}
	ide_data_advance(ch, bytes);
}

static void task(const u8 *in)
{
	unsigned int channel = in[1] >> 7;
	u16 base = channel_base(channel);
	u8 count = in[1] & 0x3f;
	unsigned int i;

	out(base + AVMM_ATA_DEVICE, in[1] & 0x40 ? 0xf0 : 0xe0);
	for (i = 0; i < 2; i++) {	/* high bytes first; some counts fill the data area more than once */
		out(base + AVMM_ATA_COUNT, i ? count : count >> 5);
		out(base + AVMM_ATA_LBA_LOW, i ? in[2] : 0);
		out(base + AVMM_ATA_LBA_MID, 0);
		out(base + AVMM_ATA_LBA_HIGH, 0);
	}
	out(base + AVMM_ATA_COMMAND, in[3]);
}

static void packet(const u8 *in)
{
	unsigned int i;

	out(0x1f0 + AVMM_ATA_DEVICE, 0xf0);
	out(0x1f0 + AVMM_ATA_FEATURES, in[1] & 1);
	out(0x1f0 + AVMM_ATA_COMMAND, 0xa0);
	for (i = 0; i < 12; i += 2)
		bus_write(&ports, 0x1f0, 2, i == 0 ? in[2] : i == 4 ? in[1] : i == 8 ? in[3] : 0, 0);
}

/* A table of one or two regions, and the start of the engine. */
static void dma(const u8 *in)
{
	u16 base = BM + (in[1] & 0x80 ? 8 : 0);
	u32 entry[4] = { 0x20000 + in[2] * 2, (u32)in[3] * 128 | (in[1] & 2 ? 0x80000000u : 0),
			 0x40000, 0x80000000u | in[3] * 256 };

	memcpy(ram + TABLE, entry, sizeof(entry));
	bus_write(&ports, base + 4, 4, in[1] & 4 ? TABLE + in[2] : TABLE, 0);
	out(base, in[1] & 8);
	out(base, (in[1] & 8) | (in[1] & 16 ? 0 : 1));
}

/* The service partition's side of life. */
static void world(const u8 *in)
{
	struct ide_unit *unit = &back.unit[in[2] & 3];

	switch (in[1] % 6) {
	case 0:
		ide_reset(&front);
		break;
	case 1:
		successor();
		break;
	case 2:
		if (!queue[0] && !queue[1])	/* else it is the device's business */
			unit->sectors = in[3] ? in[3] * 1000u : DISK_SECTORS;
		break;
	case 3:
		if (!queue[0] && !queue[1])
			unit->read_only = in[3] & 1;
		break;
	case 4:
		unit->media = in[3];
		break;
	default:
		if (ide_back_idle(&back))
			ide_detach(&front);
		break;
	}
}

static void access_step(const u8 *in)
{
	u16 port = port_of(in[1]);
	unsigned int size = in[1] & 0x40 ? 4 : 2;

	switch (in[0] % OPS) {
	case OUT_BYTE:
		out(port, in[2]);
		break;
	case IN_BYTE:
		bus_read(&ports, port, 1, 0);
		break;
	case OUT_WIDE:
		bus_write(&ports, port, size, in[2] | (u32)in[3] << 8, 0);
		break;
	case IN_WIDE:
		bus_read(&ports, port, size, 0);
		break;
	default:
		string_io(&front.channel[in[1] >> 7], in[0] % OPS == STRING_IN ? IDE_READS : IDE_WRITES,
			  in[2] | (u32)in[3] << 8);
		break;
	}
}

static void step(const u8 *in)
{
	u8 op = in[0] % OPS;

	if (op <= STRING_OUT)
		access_step(in);
	else if (op == MEMORY)
		ram[TABLE + in[1] + (in[2] & 3) * 256] = in[3];
	else if (op == BACK)
		ide_back_poll(&back);
	else if (op == DEVICE_END)
		device_end(in[1] & 1, in[2]);
	else if (op == FRONT)
		ide_completions(&front);
	else if (op == TASK)
		task(in);
	else if (op == DMA)
		dma(in);
	else if (op == PACKET)
		packet(in);
	else if (op == WORLD)
		world(in);
	else if (op == PAGE && hostile)
		((u8 *)page)[(in[1] | (u32)in[2] << 8) % sizeof(*page)] = in[3];
	else if (op == CONFIG)
		pci_config_write(&pci, 0x80000000u | IDE_DEVFN << 8 | (in[1] & 0xfc), in[1] & 3, 1, in[2]);
}

static void check_channel(const struct ide_channel *ch)
{
	const struct ide_drive *drive = &ch->drive[ch->select ? 1 : 0];
	u32 room = ch->phase == IDE_PACKET ? sizeof(ch->cmd.packet) : AVMM_DISK_DATA_SIZE;

	CHECK(ch->phase <= IDE_RESET && ch->active < IDE_DRIVES);
	CHECK(ch->line == level[14 + ch->index] && ch->line == (drive->irq && !(ch->control & 2)));
	if (ch->phase == IDE_PACKET || ch->phase == IDE_OUT || ch->phase == IDE_IN)
		CHECK(ch->at < ch->block_end && ch->block_end <= ch->size && ch->size <= room);
	if (ch->phase == IDE_RUN)
		CHECK(ch->tag < AVMM_DISK_TAGS && !((ch->orphans | ch->cancelling) >> ch->tag & 1));
	CHECK(!((ch->orphans | ch->cancelling) >> AVMM_DISK_TAGS));
	CHECK(front.page || (!ch->orphans && !ch->cancelling && ch->phase != IDE_RUN));
	CHECK(!(ch->phase == IDE_IN || ch->phase == IDE_OUT) || ch->data);
	CHECK(!ch->cancelling || ide_cancelling(ch->ide));
}

static void check_state(void)
{
	check_channel(&front.channel[0]);
	check_channel(&front.channel[1]);
	if (!hostile)
		CHECK(!front.rejected && !back.rejected);
}

static void settle(void)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		ide_back_poll(&back);
		while (queue[0] || queue[1]) {
			device_end(0, 0);
			device_end(1, 0);
		}
		ide_completions(&front);
	}
}

/* Whatever was: after a successor and a reset the disk is there. Without hostility the reset alone is enough. */
static void check_life(void)
{
	if (hostile || !front.page)
		successor();
	set_unit(0, AVMM_DISK_ATA);
	out(0x3f6, 4);
	out(0x3f6, 0);
	settle();
	CHECK(in(0x1f7) == 0x50 && in(0x1f1) == 1 && in(0x1f5) == 0);
	out(0x1f6, 0xe0);
	out(0x1f2, 1);
	out(0x1f3, 0x34);
	out(0x1f4, 0x12);
	out(0x1f5, 0);
	out(0x1f7, 0x20);
	settle();
	CHECK(level[14] && in(0x1f7) == 0x58 && !level[14]);
	CHECK((u8)bus_read(&ports, 0x1f0, 2, 0) == 0x34);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!size)
		return 0;
	hostile = *data & HOSTILE;
	build();
	for (data++, size--; size >= 4; data += 4, size -= 4) {
		step(data);
		check_state();
	}
	check_life();
	return 0;
}
