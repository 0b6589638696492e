// SPDX-License-Identifier: GPL-2.0-only
/*
 * A firmware image: any bytes. What is taken fits its ROM, and lies at its end. And fw_cfg's files for any memory and
 * number of CPUs, taken from the same bytes: they fit, and every pointer of the table loader lies in its file.
 */
#include <stdlib.h>
#include <string.h>
#include <avmm/partition.h>
#include "userspace-ctl/firmware/fw-cfg.h"
#include "userspace-ctl/firmware/rom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* The same bytes as a store of variables: either refused, or in front of the code. */
static void place_variables(struct rom *rom, const u8 *image, size_t size)
{
	u8 *to, shadow[ROM_SHADOW_SIZE] = { 0 };

	rom->kind = ROM_UEFI;
	if (!rom_add_variables(rom, image, size)) {
		check(rom->problem[0]);
		return;
	}
	check(rom->variables_size == size && rom->image_size == 2 * size && rom->size <= AVMM_ROM_MAX);
	to = malloc(rom->size);
	check(to);
	rom_write(rom, image, image, to, shadow);
	check(!memcmp(to + (rom_variables(rom) - (ROM_END - rom->size)), image, size));
	check(!memcmp(to + rom->size - size, image, size));
	free(to);
}

static void place(const u8 *image, size_t size)
{
	u8 *to, shadow[ROM_SHADOW_SIZE] = { 0 };
	struct rom rom;

	if (!rom_parse(image, size, &rom)) {
		check(rom.problem[0]);
		return;
	}
	check(rom.size >= size && rom.size - size < AVMM_BLOCK_SIZE && rom.size <= AVMM_ROM_MAX);
	to = malloc(rom.size);
	check(to);
	rom_write(&rom, NULL, image, to, shadow);
	check(!memcmp(to + rom.size - size, image, size));
	check(!memcmp(shadow + ROM_SHADOW_SIZE - ROM_IMAGE_MIN, image + size - ROM_IMAGE_MIN, ROM_IMAGE_MIN));
	free(to);
	place_variables(&rom, image, size);
}

/* Tiles the bytes to a whole image, so that small inputs reach behind the checks of size. */
static void place_large(const u8 *data, size_t size)
{
	size_t whole = ROM_IMAGE_MIN + (size_t)(data[0] % 40) * 4096, i;
	u8 *image = malloc(whole);

	check(image);
	for (i = 0; i < whole; i++)
		image[i] = data[i % size];
	place(image, whole);
	free(image);
}

static void files(u16 memory, u16 vcpus, u8 phys_bits)
{
	static struct firmware_files files;
	static u8 blob[FW_CFG_DATA_MAX + 8192];
	const struct firmware_machine machine = {
		.memory = (memory % 0x7fffu + 2) * (u64)AVMM_BLOCK_SIZE, .vcpus = vcpus,
		.phys_bits = 36 + phys_bits % 17, .pm_base = 0x600, .ioapic_id = 1,
	};

	if (!firmware_files(&files, &machine)) {
		check(!vcpus || vcpus > 256);
		return;
	}
	check(fw_cfg_blob_size(&files) <= sizeof(blob) && sizeof(blob) < AVMM_FW_CFG_MAX);
	fw_cfg_write(&files, blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	place(data, size);
	if (size < 5)
		return 0;
	place_large(data, size);
	files((u16)(data[0] << 8 | data[1]), (u16)(data[2] << 8 | data[3]), data[4]);
	return 0;
}
