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

struct boot_request {
	u64 memory;			/* bytes of RAM of the partition */
	const struct bzimage *image;
	const u8 *kernel;		/* image->size bytes: the file from image->offset on */
	const char *cmdline;
	u64 initrd_size;		/* 0: none */
	struct acpi_config acpi;
};

struct boot_layout {
	u64 low_end;			/* end of the RAM below 4 GiB: what boot_write() writes is below this */
	u64 kernel;
	u64 initrd;			/* where the caller puts it */
	u64 entry;
	char problem[192];
};

/* False with layout->problem if it does not fit. */
bool boot_plan(const struct boot_request *request, struct boot_layout *layout);

/* Writes all but the initrd to ram, which is zero and maps guest-physical 0 to layout->low_end. */
void boot_write(const struct boot_request *request, const struct boot_layout *layout, u8 *ram);

/* Returns the number of entries. */
u32 boot_e820(u64 memory, struct boot_e820_entry map[BOOT_E820_MAX]);

#endif
