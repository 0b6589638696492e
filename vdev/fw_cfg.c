// SPDX-License-Identifier: GPL-2.0-only
/* fw_cfg; see fw_cfg.h. */
#include "clock.h"
#include "fw_cfg.h"

enum { KEY_SIGNATURE = 0, KEY_ID = 1, KEY_RAM = 3, KEY_CPUS = 5, KEY_MAX_CPUS = 15, KEY_DIRECTORY = 0x19, KEY_FILES = 0x20 };

#define KEY_WRITE	0x4000u		/* asks for writing: ignored */
#define ID_SELECTOR	1u
#define ID_DMA		2u
#define ENTRY_SIZE	64u
#define ENTRY_SELECT	4u		/* offset in an entry */
#define COUNT_SIZE	4u
#define DMA_ERROR	1u
#define DMA_READ	2u
#define DMA_SKIP	4u
#define DMA_SELECT	8u
#define DMA_WRITE	16u
#define SIGNATURE	0x554d4551u	/* "QEMU" */
#define SIGNATURE_DMA	0x47464320u	/* " CFG" */

static u32 big32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void put_big32(u8 *p, u32 value)
{
	p[0] = value >> 24;
	p[1] = value >> 16 & 0xff;
	p[2] = value >> 8 & 0xff;
	p[3] = value & 0xff;
}

/* Files that lie in the blob; the first that does not ends the list. */
void fw_cfg_init(struct fw_cfg *f, const struct fw_cfg_ops *ops, const struct fw_cfg_machine *machine, u32 blob_size)
{
	u32 count, offset;
	u8 word[4];

	vdev_clear(f, sizeof(*f));
	f->ops = *ops;
	f->machine = *machine;
	if (blob_size < COUNT_SIZE)
		return;
	f->ops.blob(f->ops.ctx, 0, word, sizeof(word));
	count = big32(word);
	if (count > FW_CFG_FILES || blob_size - COUNT_SIZE < count * ENTRY_SIZE)
		return;
	offset = COUNT_SIZE + count * ENTRY_SIZE;
	for (; f->files < count; f->files++) {
		f->ops.blob(f->ops.ctx, COUNT_SIZE + f->files * ENTRY_SIZE, word, sizeof(word));
		if (big32(word) > blob_size - offset)
			return;
		f->file[f->files].offset = offset;
		f->file[f->files].size = big32(word);
		offset += big32(word);
	}
}

/* Bytes of a number, little-endian, from an offset on; zeroes behind it. */
static void read_number(u64 value, u32 offset, u8 *to, u32 n)
{
	for (; n; n--, offset++)
		*to++ = offset < 8 ? value >> 8 * offset & 0xff : 0;
}

/* The directory: its count and the selectors are ours, the rest is the blob's. */
static void read_directory(struct fw_cfg *f, u32 offset, u8 *to, u32 n)
{
	u32 size = COUNT_SIZE + f->files * ENTRY_SIZE;

	for (; n; n--, offset++, to++) {
		u32 at = (offset - COUNT_SIZE) % ENTRY_SIZE, key = KEY_FILES + (offset - COUNT_SIZE) / ENTRY_SIZE;

		*to = 0;
		if (offset < COUNT_SIZE)
			*to = offset == COUNT_SIZE - 1 ? (u8)f->files : 0;
		else if (offset < size && at == ENTRY_SELECT + 1)
			*to = (u8)key;
		else if (offset < size && at != ENTRY_SELECT)
			f->ops.blob(f->ops.ctx, offset, to, 1);
	}
}

static void read_file(struct fw_cfg *f, u32 i, u32 offset, u8 *to, u32 n)
{
	u32 size = f->file[i].size, part = offset < size ? size - offset : 0;

	if (part > n)
		part = n;
	if (part)
		f->ops.blob(f->ops.ctx, f->file[i].offset + offset, to, part);
	for (; part < n; part++)
		to[part] = 0;
}

static void read_item(struct fw_cfg *f, u8 *to, u32 n)
{
	u32 at = f->offset, key = f->key & ~KEY_WRITE;

	f->offset = at + n < at ? ~0u : at + n;
	if (key >= KEY_FILES && key - KEY_FILES < f->files)
		read_file(f, key - KEY_FILES, at, to, n);
	else if (key == KEY_DIRECTORY)
		read_directory(f, at, to, n);
	else if (key == KEY_SIGNATURE)
		read_number(SIGNATURE, at, to, n);
	else if (key == KEY_ID)
		read_number(ID_SELECTOR | ID_DMA, at, to, n);
	else if (key == KEY_RAM)
		read_number(f->machine.ram, at, to, n);
	else
		read_number(key == KEY_CPUS || key == KEY_MAX_CPUS ? f->machine.cpus : 0, at, to, n);
}

static void select_item(struct fw_cfg *f, u16 key)
{
	f->key = key;
	f->offset = 0;
}

static void end_dma(struct fw_cfg *f, u32 control)
{
	u8 word[4];

	put_big32(word, control);
	f->dma = false;
	f->ops.write(f->ops.ctx, f->address, word, sizeof(word));
}

/* A piece of a transfer; the guest may have changed the items' selector meanwhile: its loss. */
static void dma_piece(struct fw_cfg *f)
{
	u8 piece[256];
	u32 done, n;

	for (done = 0; done < FW_CFG_PIECE && f->left; done += n) {
		n = f->left < sizeof(piece) ? f->left : sizeof(piece);
		read_item(f, piece, n);
		if (!f->ops.write(f->ops.ctx, f->memory, piece, n)) {
			end_dma(f, DMA_ERROR);
			return;
		}
		f->memory += n;
		f->left -= n;
	}
	if (!f->left)
		end_dma(f, 0);
}

static void start_dma(struct fw_cfg *f)
{
	u8 request[16];

	if (!f->ops.read(f->ops.ctx, f->address, request, sizeof(request)))
		return;
	f->control = big32(request);
	f->left = big32(request + 4);
	f->memory = (u64)big32(request + 8) << 32 | big32(request + 12);
	if (f->control & DMA_SELECT)
		select_item(f, f->control >> 16);
	if (f->control & DMA_READ) {
		f->dma = true;
		dma_piece(f);
	} else if (f->control & DMA_WRITE) {
		end_dma(f, DMA_ERROR);
	} else {
		if (f->control & DMA_SKIP)
			f->offset = f->offset + f->left < f->offset ? ~0u : f->offset + f->left;
		end_dma(f, 0);
	}
}

u64 fw_cfg_next_deadline(const struct fw_cfg *f, u64 now)
{
	return f->dma ? now : CLOCK_NEVER;
}

void fw_cfg_advance(struct fw_cfg *f, u64 now)
{
	(void)now;
	if (f->dma)
		dma_piece(f);
}

static u64 port_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	struct fw_cfg *f = ctx;
	u8 byte;

	(void)now;
	if (offset != 1 || size != 1)
		return 0;
	read_item(f, &byte, 1);
	return byte;
}

static void port_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	(void)now;
	if (offset == 0 && size == 2)
		select_item(ctx, (u16)value);
}

static u64 dma_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	(void)ctx;
	(void)size;
	(void)now;
	return offset == 4 ? SIGNATURE : offset == 8 ? SIGNATURE_DMA : 0;
}

/* The registers are big-endian. The lower half starts the request; while one goes on nothing is heard. */
static void dma_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct fw_cfg *f = ctx;
	u32 half = __builtin_bswap32((u32)value);

	(void)size;
	(void)now;
	if (f->dma)
		return;
	if (offset == 4) {
		f->address = (u64)half << 32;
	} else if (offset == 8) {
		f->address |= half;
		start_dma(f);
		if (!f->dma)
			f->address = 0;
	}
}

const struct bus_row fw_cfg_rows[FW_CFG_ROWS] = {
	{ 0, 2, 1 | 2, port_read, port_write },
	{ 4, 8, 4, dma_read, dma_write },
};
