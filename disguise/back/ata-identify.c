// SPDX-License-Identifier: GPL-2.0-only
/* What IDENTIFY DEVICE returns; words as ATA/ATAPI-7 numbers them, 105, 106, 169 and 217 as ATA-8 does. */
#include "ide.h"

#define CYLINDERS_MAX	16383
#define HEADS		16
#define SECTORS		63
#define SECTORS_28_MAX	0x0fffffffu

#define VALID		0x4000	/* bits 15 and 14 of some words say that the others mean something */

void ata_put_word(u8 *data, unsigned int word, u16 value)
{
	data[2 * word] = (u8)value;
	data[2 * word + 1] = (u8)(value >> 8);
}

static void put_number(u8 *data, unsigned int word, u64 value, unsigned int words)
{
	for (; words; words--, word++, value >>= 16)
		ata_put_word(data, word, (u16)value);
}

/* ASCII, the first character of each pair in the upper byte, padded with blanks. */
void ata_identify_string(u8 *to, const char *from, u32 bytes)
{
	u32 i;

	for (i = 0; i < bytes; i++)
		to[i ^ 1] = *from ? (u8)*from++ : ' ';
}

void ata_identify_seal(u8 data[512])
{
	u8 sum = 0;
	u32 i;

	data[510] = 0xa5;
	for (i = 0; i < 511; i++)
		sum += data[i];
	data[511] = (u8)-sum;
}

void ata_geometry(union ata_state state, u32 *heads, u32 *sectors)
{
	bool set = state.heads && state.heads <= HEADS && state.sectors;

	*heads = set ? state.heads : HEADS;
	*sectors = set ? state.sectors : SECTORS;
}

static void put_geometry(const struct ide_unit *unit, union ata_state state, u8 *data)
{
	u64 cylinders = unit->sectors / (HEADS * SECTORS), now;
	u32 heads, sectors;

	ata_geometry(state, &heads, &sectors);
	now = unit->sectors / (heads * sectors);
	if (cylinders > CYLINDERS_MAX)
		cylinders = CYLINDERS_MAX;
	if (now > CYLINDERS_MAX)
		now = CYLINDERS_MAX;
	ata_put_word(data, 1, (u16)cylinders);
	ata_put_word(data, 3, HEADS);
	ata_put_word(data, 6, SECTORS);
	ata_put_word(data, 54, (u16)now);
	ata_put_word(data, 55, (u16)heads);
	ata_put_word(data, 56, (u16)sectors);
	put_number(data, 57, now * heads * sectors, 2);
	put_number(data, 60, unit->sectors > SECTORS_28_MAX ? SECTORS_28_MAX : unit->sectors, 2);
	put_number(data, 100, unit->sectors, 4);
}

/* PIO default and flow control modes 0 to 4, multiword DMA 0 to 2, Ultra DMA 0 to 5. */
bool ata_mode_is_known(u8 mode)
{
	return mode <= 0x01 || (mode >= 0x08 && mode <= 0x0c) || (mode >= 0x20 && mode <= 0x22) ||
	       (mode >= 0x40 && mode <= 0x45);
}

/* Which transfer modes there are, and which one SET FEATURES chose. */
void ata_put_modes(u8 mode, unsigned int drive, u8 *data)
{
	u16 chosen = (u16)(0x100u << (mode & 7));

	ata_put_word(data, 51, 0x0200);
	ata_put_word(data, 53, 0x0007);		/* words 54 to 58, 64 to 70 and 88 are valid */
	ata_put_word(data, 63, 0x0007 | (mode >> 3 == 0x20 >> 3 ? chosen : 0));
	ata_put_word(data, 64, 0x0003);		/* PIO 3 and 4 */
	put_number(data, 65, 0x0078007800780078ull, 4);	/* cycles of 120 ns */
	ata_put_word(data, 88, 0x003f | (mode >> 3 == 0x40 >> 3 ? chosen : 0));
	ata_put_word(data, 93, VALID | 0x2000 | (drive ? 0x0b00 : 0x000b));	/* 80-wire cable, well, by jumper */
}

static u16 physical_block(const struct ide_unit *unit)
{
	u16 exponent = 0;

	while (exponent < 15 && AVMM_DISK_SECTOR << (exponent + 1) <= unit->physical_block)
		exponent++;
	return exponent ? VALID | 0x2000 | exponent : VALID;
}

void ata_identify(const struct ide_unit *unit, union ata_state state, unsigned int drive, u8 data[512])
{
	u16 cache = (state.flags & ATA_STATE_WRITE_CACHE ? 0x0020 : 0) |
		    (state.flags & ATA_STATE_LOOK_AHEAD ? 0x0040 : 0);

	memset(data, 0, 512);
	ata_put_word(data, 0, 0x0040);		/* not removable */
	ata_identify_string(data + 2 * 10, unit->serial, 20);
	ata_identify_string(data + 2 * 23, unit->firmware, 8);
	ata_identify_string(data + 2 * 27, unit->model, 40);
	ata_put_word(data, 47, 0x8000 | IDE_MAX_MULTIPLE);
	ata_put_word(data, 49, 0x0b00);		/* IORDY, LBA, DMA */
	ata_put_word(data, 50, VALID);
	ata_put_word(data, 59, state.multiple ? 0x0100 | state.multiple : 0);
	put_geometry(unit, state, data);
	ata_put_modes(state.mode, drive, data);
	ata_put_word(data, 80, 0x00f0);		/* ATA-4 to ATA-7 */
	ata_put_word(data, 82, 0x4068);		/* NOP, look-ahead, write cache, power management */
	ata_put_word(data, 83, VALID | 0x3400);	/* FLUSH CACHE EXT, FLUSH CACHE, 48 bits */
	ata_put_word(data, 84, VALID | 0x0040);	/* FUA */
	ata_put_word(data, 85, 0x4008 | cache);
	ata_put_word(data, 86, 0x3400);
	ata_put_word(data, 87, VALID | 0x0040);
	ata_put_word(data, 105, unit->can_discard ? ATA_TRIM_BLOCKS : 0);
	ata_put_word(data, 106, physical_block(unit));
	ata_put_word(data, 169, unit->can_discard ? 1 : 0);
	ata_put_word(data, 209, VALID);
	ata_put_word(data, 217, 1);		/* nothing turns: seeks cost nothing that the guest could know of */
	ata_identify_seal(data);
}
