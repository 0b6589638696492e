/* SPDX-License-Identifier: GPL-2.0-only */
/* A file of 9 KiB that looks like a kernel with a 64-bit entry. */
#ifndef TESTS_SMALL_KERNEL_H
#define TESTS_SMALL_KERNEL_H

#include <string.h>
#include "userspace-ctl/loader/boot.h"

#define MIB		(1ull << 20)
#define SETUP		1024u		/* bytes of its setup part */
#define FILE_SIZE	(SETUP + 8192u)

static inline struct setup_header *header_of(u8 *file)
{
	return (struct setup_header *)(file + 0x1f1);
}

static inline void make_kernel(u8 file[FILE_SIZE])
{
	const struct setup_header header = {
		.setup_sects = 1, .boot_flag = 0xaa55, .header = 0x53726448, .version = 0x020f, .jump = 0x6aeb,
		.loadflags = LOADED_HIGH, .xloadflags = XLF_KERNEL_64, .relocatable_kernel = 1,
		.kernel_alignment = 2 * MIB, .pref_address = 16 * MIB, .init_size = 8 * MIB,
		.initrd_addr_max = 0x7fffffff, .cmdline_size = 2047, .syssize = (FILE_SIZE - SETUP) / 16,
	};
	u32 i;

	memset(file, 0, SETUP);
	for (i = SETUP; i < FILE_SIZE; i++)
		file[i] = (u8)(i * 7);
	memcpy(file + 0x1f1, &header, sizeof(header));
}

#endif
