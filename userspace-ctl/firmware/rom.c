// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <avmm/partition.h>
#include "rom.h"

#define PAGE		4096u
#define RESET_VECTOR	16u		/* bytes before the end, where the first instruction is */

/* The header of a UEFI firmware volume, UEFI PI volume 3, 3.2.1. */
#define VOLUME_GUID	0x10u
#define VOLUME_LENGTH	0x20u
#define VOLUME_MAGIC	0x28u

/* EFI_SYSTEM_NV_DATA_FV_GUID, as the header of a volume with variables has it. */
static const u8 nvdata[16] = {
	0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50,
};

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

static bool is_erased(const u8 *at, u32 size)
{
	while (size--)
		if (at[size] != 0xff)
			return false;
	return true;
}

static void set_size(struct rom *rom, u64 image_size)
{
	rom->image_size = image_size;
	rom->size = (image_size + AVMM_BLOCK_SIZE - 1) / AVMM_BLOCK_SIZE * AVMM_BLOCK_SIZE;
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
	set_size(rom, size);
	return true;
}

/* A store whose first block is erased was being written anew when the power failed: firmware has a copy. */
bool rom_add_variables(struct rom *rom, const u8 *variables, u64 size)
{
	u64 length = 0;
	int i;

	if (rom->kind != ROM_UEFI)
		return refuse(rom, "the firmware is no UEFI firmware: it has no variables");
	if (size < PAGE || size % PAGE)
		return refuse(rom, "it is no store of UEFI variables: its size is not a multiple of 4 KiB");
	if (size > AVMM_ROM_MAX - rom->image_size)
		return refuse(rom, "it is no store of UEFI variables: with the firmware it has more than 16 MiB");
	for (i = 7; i >= 0; i--)
		length = length << 8 | variables[VOLUME_LENGTH + i];
	if (!is_erased(variables, PAGE)) {
		if (memcmp(variables + VOLUME_GUID, nvdata, sizeof(nvdata)) ||
		    memcmp(variables + VOLUME_MAGIC, "_FVH", 4))
			return refuse(rom, "it is no store of UEFI variables");
		if (length != size)
			return refuse(rom, "it is a store of UEFI variables of another size than its header says");
	}
	rom->variables_size = size;
	set_size(rom, rom->image_size + size);
	return true;
}

void rom_write(const struct rom *rom, const u8 *variables, const u8 *image, u8 *to, u8 *shadow)
{
	u64 gap = rom->size - rom->image_size, code = rom->image_size - rom->variables_size;
	u64 n = code < ROM_SHADOW_SIZE ? code : ROM_SHADOW_SIZE;

	memset(to, 0xff, gap);
	if (rom->variables_size)
		memcpy(to + gap, variables, rom->variables_size);
	memcpy(to + gap + rom->variables_size, image, code);
	memcpy(shadow + ROM_SHADOW_SIZE - n, image + code - n, n);
}
