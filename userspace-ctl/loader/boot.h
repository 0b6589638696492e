/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct boot: the picture of the user partition's memory with which a Linux kernel starts in 64-bit mode.
 *
 *	500h		GDT
 *	1000h		page tables: the first 4 GiB, identity
 *	7000h		boot_params
 *	8000h		command line
 *	9fc00h		EBDA, as a BIOS would have it
 *	e0000h		ACPI tables
 *	f0000h		RSDP
 *	1 MiB …		kernel, where it wants to be; else as low as it may
 *	… 3 GiB		initrd, as high as it may
 *
 * With an identity window these two lie in it, and below it there is RAM up to AVMM_WINDOW_LOW only, which the kernel is
 * told of up to the EBDA.
 */
#ifndef AVMM_BOOT_LOADER_H
#define AVMM_BOOT_LOADER_H

#include <avmm/types.h>
#include "../acpi/acpi.h"
#include "bzimage.h"

#define BOOT_GDT		0x500ull
#define BOOT_GDT_SIZE		32u
#define BOOT_PAGE_TABLES	0x1000ull
#define BOOT_PARAMS		0x7000ull
#define BOOT_CMDLINE		0x8000ull
#define BOOT_CMDLINE_SIZE	0x10000u	/* with the zero at its end */
#define BOOT_EBDA		0x9fc00ull
#define BOOT_ACPI		0xe0000ull
#define BOOT_RSDP		0xf0000ull
#define BOOT_HIGH		0x100000ull
#define BOOT_E820_MAX		8

#define BOOT_SCREEN		64u		/* sizeof(struct screen_info), at the beginning of boot_params */

struct boot_request {
	u64 memory;			/* bytes of RAM of the partition */
	u64 window;			/* where an identity window begins that is this memory; 0: none */
	const struct bzimage *image;
	const u8 *kernel;		/* image->size bytes: the file from image->offset on */
	const char *cmdline;
	u64 initrd_size;		/* 0: none */
	const u8 *screen;		/* BOOT_SCREEN bytes; NULL: there is none */
	struct acpi_config acpi;
};

struct boot_layout {
	u64 base;			/* what RAM the kernel and the initrd are in: the window, or all below 4 GiB */
	u64 end;
	u64 kernel;
	u64 initrd;			/* where the caller puts it */
	u64 entry;
	char problem[192];
};

/* False with layout->problem if it does not fit. */
bool boot_plan(const struct boot_request *request, struct boot_layout *layout);

/*
 * Writes all but the initrd. Both are zero: low maps guest-physical 0 to layout->end, with a window to AVMM_WINDOW_LOW; ram
 * maps layout->base to layout->end.
 */
void boot_write(const struct boot_request *request, const struct boot_layout *layout, u8 *low, u8 *ram);

/* Returns the number of entries. */
u32 boot_e820(u64 memory, u64 window, struct boot_e820_entry map[BOOT_E820_MAX]);

#endif
