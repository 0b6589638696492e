// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <avmm/partition.h>
#include "rom.h"

#define PAGE		4096u
#define RESET_VECTOR	16u		/* bytes before the end, where the first instruction is */
#define VOLUME_MAGIC	0x28u		/* of a UEFI firmware volume, UEFI PI volume 3, 3.2.1 */

static bool refuse(struct rom *rom, const char *text)
{
	snprintf(rom->problem, sizeof(rom->problem), "%s", text);
	return false;
}

/* Erased flash or a gap in a file is no instruction. */
static bool is_blank(const u8 *at, u32 size)
{
	while (size--)
		if (at[size] != 0 && at[size] != 0xff)
			return false;
	return true;
}

bool rom_parse(const u8 *image, u64 size, struct rom *rom)
{
	memset(rom, 0, sizeof(*rom));
	if (size < ROM_IMAGE_MIN)
		return refuse(rom, "it is no firmware: it has less than 64 KiB");
	if (size > AVMM_ROM_MAX)
		return refuse(rom, "it is no firmware: it has more than 16 MiB");
	if (size % PAGE)
		return refuse(rom, "it is no firmware: its size is not a multiple of 4 KiB");
	if (is_blank(image + size - RESET_VECTOR, RESET_VECTOR))
		return refuse(rom, "it is no firmware that starts: there is no instruction at its reset vector");
	rom->kind = memcmp(image + VOLUME_MAGIC, "_FVH", 4) ? ROM_BIOS : ROM_UEFI;
	rom->image_size = size;
	rom->size = (size + AVMM_BLOCK_SIZE - 1) / AVMM_BLOCK_SIZE * AVMM_BLOCK_SIZE;
	return true;
}

void rom_write(const struct rom *rom, const u8 *image, u8 *to, u8 *shadow)
{
	u64 gap = rom->size - rom->image_size;
	u64 n = rom->image_size < ROM_SHADOW_SIZE ? rom->image_size : ROM_SHADOW_SIZE;

	memset(to, 0xff, gap);
	memcpy(to + gap, image, rom->image_size);
	memcpy(shadow + ROM_SHADOW_SIZE - n, image + rom->image_size - n, n);
}
