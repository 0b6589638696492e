// SPDX-License-Identifier: GPL-2.0-only
/* NOR flash; see flash.h. Command names are those of Intel's StrataFlash data sheets. */
#include "flash.h"

#define PROGRAM		0x10u
#define ERASE		0x20u
#define PROGRAM_ALT	0x40u
#define CLEAR_STATUS	0x50u
#define LOCK		0x60u
#define READ_STATUS	0x70u
#define READ_ID		0x90u
#define READ_QUERY	0x98u
#define CONFIRM		0xd0u
#define READ_ARRAY	0xffu

#define READY		0x80u
#define ERASE_ERROR	0x20u
#define PROGRAM_ERROR	0x10u

#define MANUFACTURER	0x89u
#define DEVICE		0x18u

#define QUERY_SIZE	0x27u	/* index of log2 of the size */
#define QUERY_BLOCKS	0x2du	/* … of the number of blocks less one, low byte first */

/* JESD68 from 10h on: ID string, command sets, supply voltages, times as powers of two (µs, ms), geometry of one region. */
static const u8 query[] = {
	'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45, 0x55, 0, 0, 4, 0, 4, 0, 4, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0,
	FLASH_BLOCK / 256 % 256, FLASH_BLOCK / 256 / 256,
	'P', 'R', 'I', '1', '0',
};

static u8 read_query(const struct flash *f, u32 offset)
{
	if (offset < 0x10 || offset - 0x10 >= sizeof(query))
		return 0;
	switch (offset) {
	case QUERY_SIZE:
		return (u8)(32 - __builtin_clz(f->size - 1));
	case QUERY_BLOCKS:
		return (u8)(f->size / FLASH_BLOCK - 1);
	case QUERY_BLOCKS + 1:
		return (u8)((f->size / FLASH_BLOCK - 1) >> 8);
	default:
		return query[offset - 0x10];
	}
}

static u8 read_id(u32 offset)
{
	static const u8 id[4] = { MANUFACTURER, DEVICE };	/* then: not locked */

	return offset % FLASH_BLOCK < sizeof(id) ? id[offset % FLASH_BLOCK] : 0;
}

static u64 flash_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	struct flash *f = ctx;

	(void)size;
	(void)now;
	switch (f->mode) {
	case FLASH_ARRAY:
		return f->ops.read(f->ops.ctx, offset);
	case FLASH_ID:
		return read_id(offset);
	case FLASH_QUERY:
		return read_query(f, offset);
	default:
		return f->status;
	}
}

static void set_mode(struct flash *f, enum flash_mode mode)
{
	bool was_array = f->mode == FLASH_ARRAY, array = mode == FLASH_ARRAY;

	f->mode = mode;
	if (array != was_array)
		f->ops.show(f->ops.ctx, array);
}

static void begin(struct flash *f, u8 command)
{
	switch (command) {
	case PROGRAM: case PROGRAM_ALT: case ERASE: case LOCK:
		f->pending = command;
		set_mode(f, FLASH_STATUS);
		break;
	case CLEAR_STATUS:
		/* not even READY is left, as in QEMU's flash: by that OVMF knows it. Reads are what they were */
		f->status = 0;
		break;
	case READ_STATUS:
		set_mode(f, FLASH_STATUS);
		break;
	case READ_ID:
		set_mode(f, FLASH_ID);
		break;
	case READ_QUERY:
		set_mode(f, FLASH_QUERY);
		break;
	default:		/* READ_ARRAY, and what is no command */
		set_mode(f, FLASH_ARRAY);
		break;
	}
}

static void finish(struct flash *f, u32 offset, u8 data)
{
	u8 command = f->pending, old;

	f->pending = 0;
	f->status |= READY;
	if (command == PROGRAM || command == PROGRAM_ALT) {
		old = f->ops.read(f->ops.ctx, offset);
		if (old & ~data)
			f->ops.write(f->ops.ctx, offset, old & data);
	} else if (command == ERASE && data == CONFIRM) {
		f->ops.erase(f->ops.ctx, offset & ~(FLASH_BLOCK - 1));
	} else if (command == ERASE) {
		f->status |= ERASE_ERROR | PROGRAM_ERROR;	/* a wrong sequence */
	}
	/* blocks are never locked, so that locking and unlocking do nothing */
}

static void flash_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct flash *f = ctx;

	(void)size;
	(void)now;
	if (f->pending)
		finish(f, offset, (u8)value);
	else
		begin(f, (u8)value);
}

void flash_init(struct flash *f, const struct flash_ops *ops, u32 size)
{
	vdev_clear(f, sizeof(*f));
	f->ops = *ops;
	f->size = size;
	f->status = READY;
	f->row[0] = (struct bus_row){ 0, size, 1 | BUS_QUIET, flash_read, flash_write };
}
