// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel's header: any bytes. What is taken has a layout inside the memory, or a message why not; writing it stays
 * inside, which the sanitizers see to.
 */
#include <stdlib.h>
#include <string.h>
#include "userspace-ctl/loader/boot.h"

#define MEMORY	(8ull << 20)
#define INITRD	(3ull << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void plan(const struct bzimage *image, const u8 *kernel, u64 initrd_size)
{
	const struct boot_request request = {
		.memory = MEMORY, .image = image, .kernel = kernel, .cmdline = "quiet", .initrd_size = initrd_size,
		.acpi = { .vcpus = 1, .memory = MEMORY, .phys_bits = 39, .pm_base = 0x600 },
	};
	struct boot_layout layout;
	u8 *ram;

	if (!boot_plan(&request, &layout)) {
		check(layout.problem[0]);
		return;
	}
	check(layout.end == MEMORY && layout.kernel >= BOOT_HIGH);
	check(layout.kernel + image->room <= (initrd_size ? layout.initrd : MEMORY));
	check(layout.initrd + initrd_size <= MEMORY);
	ram = calloc(1, MEMORY);
	check(ram);
	boot_write(&request, &layout, ram, ram);
	free(ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bzimage image;

	if (bzimage_parse(data, size < BZIMAGE_HEAD ? size : BZIMAGE_HEAD, size, &image))
		return 0;
	check(image.offset + image.size == size && image.size > BZIMAGE_ENTRY_64 && image.room >= image.size);
	plan(&image, data + image.offset, 0);
	plan(&image, data + image.offset, INITRD);
	return 0;
}
