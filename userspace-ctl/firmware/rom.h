/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A firmware image in the partition's memory. It ends at 4 GiB, in whole blocks of ROM of which the rest is ones; its
 * last 128 KiB are below 1 MiB as well, where the chip set of a real PC shows them until RAM takes their place.
 */
#ifndef AVMM_FIRMWARE_ROM_H
#define AVMM_FIRMWARE_ROM_H

#include <avmm/types.h>

#define ROM_END			0x100000000ull
#define ROM_SHADOW		0xe0000ull
#define ROM_SHADOW_SIZE		0x20000u
#define ROM_IMAGE_MIN		0x10000u

enum rom_kind { ROM_BIOS, ROM_UEFI };

struct rom {
	enum rom_kind kind;
	u64 size;		/* of the ROM: whole blocks */
	u64 image_size;		/* variables and code */
	u64 variables_size;	/* they come before the code; 0: none of their own */
	char problem[128];
};

/* False with rom->problem if that is no firmware. */
bool rom_parse(const u8 *image, u64 size, struct rom *rom);

/* Variables that lie in a file of their own; likewise. */
bool rom_add_variables(struct rom *rom, const u8 *variables, u64 size);

/* Where they are in the partition's memory. */
static inline u64 rom_variables(const struct rom *rom)
{
	return ROM_END - rom->image_size;
}

/* variables: NULL, without any. to: rom->size bytes; shadow: ROM_SHADOW_SIZE bytes, zero. */
void rom_write(const struct rom *rom, const u8 *variables, const u8 *image, u8 *to, u8 *shadow);

#endif
