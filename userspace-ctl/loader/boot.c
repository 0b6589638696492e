// SPDX-License-Identifier: GPL-2.0-only
/* Plans and writes the memory of a direct boot. Plain C on a byte array: tests and fuzzers use it as it is. */
#include <stdio.h>
#include <string.h>
#include <avmm/partition.h>
#include "boot.h"

#define PAGE		4096ull
#define GIB4		(1ull << 32)
#define LARGE_PAGE	(2ull << 20)
#define ENTRIES		512u
#define PTE_TABLE	0x3u		/* present, writable */
#define PTE_LARGE	0x83u
#define BDA_EBDA	0x40eu		/* segment of the EBDA */
#define BDA_MEMORY	0x413u		/* KiB of RAM below it */
#define LOADER_OTHER	0xff		/* type_of_loader: none that has a number */
#define E820_RAM	1u
#define E820_RESERVED	2u

_Static_assert(ACPI_LOW_RAM_END == AVMM_PCI_HOLE, "the DSDT's window begins where RAM ends");
_Static_assert(BOOT_ACPI + ACPI_MAX_SIZE <= BOOT_RSDP, "the RSDP lies behind the tables");
_Static_assert(BOOT_PAGE_TABLES + 6 * PAGE <= BOOT_PARAMS, "boot_params lie behind the page tables");
_Static_assert(sizeof(struct boot_params) == PAGE, "boot_params fill a page");
_Static_assert(sizeof(struct screen_info) == BOOT_SCREEN, "boot_params begin with the screen");

static u64 align_up(u64 value, u64 alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

u32 boot_e820(u64 memory, u64 window, struct boot_e820_entry map[BOOT_E820_MAX])
{
	u64 low_end = memory < AVMM_PCI_HOLE ? memory : AVMM_PCI_HOLE;
	u32 n = 0;

	map[n++] = (struct boot_e820_entry){ 0, BOOT_EBDA, E820_RAM };
	map[n++] = (struct boot_e820_entry){ BOOT_EBDA, 0xa0000 - BOOT_EBDA, E820_RESERVED };
	map[n++] = (struct boot_e820_entry){ BOOT_ACPI, BOOT_HIGH - BOOT_ACPI, E820_RESERVED };
	if (window) {
		map[n++] = (struct boot_e820_entry){ BOOT_HIGH, AVMM_WINDOW_LOW - BOOT_HIGH, E820_RESERVED };
		map[n++] = (struct boot_e820_entry){ window, memory, E820_RAM };
		return n;
	}
	map[n++] = (struct boot_e820_entry){ BOOT_HIGH, low_end - BOOT_HIGH, E820_RAM };
	if (memory > low_end)
		map[n++] = (struct boot_e820_entry){ GIB4, memory - low_end, E820_RAM };
	return n;
}

/* Where the kernel goes if it may use memory from start up to end; 0: nowhere. */
static u64 place_kernel(const struct bzimage *image, u64 start, u64 end)
{
	u64 lowest = align_up(start, image->alignment ? image->alignment : 1);
	bool aligned = !image->alignment || !(image->address & (image->alignment - 1));

	if (aligned && image->address >= start && image->address + image->room <= end)
		return image->address;
	return image->alignment && lowest + image->room <= end ? lowest : 0;
}

static bool refuse(struct boot_layout *layout, const char *text, u64 value, u64 limit)
{
	snprintf(layout->problem, sizeof(layout->problem), text, (unsigned long long)value,
		 (unsigned long long)limit);
	return false;
}

bool boot_plan(const struct boot_request *request, struct boot_layout *layout)
{
	const struct bzimage *image = request->image;
	u64 limit = image->cmdline_max, start = request->window ? request->window : BOOT_HIGH, end;

	memset(layout, 0, sizeof(*layout));
	if (request->window && (request->window < AVMM_WINDOW_LOW || request->window >= AVMM_PCI_HOLE ||
				request->memory > AVMM_PCI_HOLE - request->window))
		return refuse(layout, "a window of %llu bytes at %llx is not below 3 GiB, above 2 MiB", request->memory,
			      request->window);
	if (request->memory <= 2 * BOOT_HIGH)
		return refuse(layout, "%llu bytes of memory are too few, more than %llu are needed", request->memory,
			      2 * BOOT_HIGH);
	if (limit > BOOT_CMDLINE_SIZE - 1)
		limit = BOOT_CMDLINE_SIZE - 1;
	if (strlen(request->cmdline) > limit)
		return refuse(layout, "the command line has %llu bytes, the kernel takes %llu",
			      strlen(request->cmdline), limit);

	layout->base = request->window;
	layout->end = request->window + request->memory < AVMM_PCI_HOLE ? request->window + request->memory : AVMM_PCI_HOLE;
	end = layout->end;
	if (request->initrd_size) {
		if (end > image->initrd_end)
			end = image->initrd_end;
		if (request->initrd_size > end - start || end < start)
			return refuse(layout, "the initrd has %llu bytes, and there is room for %llu",
				      request->initrd_size, end < start ? 0 : end - start);
		end = (end - request->initrd_size) & ~(PAGE - 1);
		layout->initrd = end;
	}
	layout->kernel = place_kernel(image, start, end);
	if (!layout->kernel)
		return refuse(layout, "the kernel needs %llu bytes to unpack itself, and memory of %llu has no room "
			      "for that", image->room, request->memory);
	layout->entry = layout->kernel + BZIMAGE_ENTRY_64;
	return true;
}

static void put16(u8 *ram, u64 at, u16 value)
{
	memcpy(ram + at, &value, sizeof(value));
}

static void put64(u8 *ram, u64 at, u64 value)
{
	memcpy(ram + at, &value, sizeof(value));
}

/* 2 MiB pages: every 64-bit CPU has them. */
static void write_page_tables(u8 *ram)
{
	u64 pdpt = BOOT_PAGE_TABLES + PAGE, directories = pdpt + PAGE;
	u32 i;

	put64(ram, BOOT_PAGE_TABLES, pdpt | PTE_TABLE);
	for (i = 0; i < GIB4 / LARGE_PAGE / ENTRIES; i++)
		put64(ram, pdpt + 8 * i, (directories + i * PAGE) | PTE_TABLE);
	for (i = 0; i < GIB4 / LARGE_PAGE; i++)
		put64(ram, directories + 8 * i, i * LARGE_PAGE | PTE_LARGE);
}

static void write_gdt(u8 *ram)
{
	put64(ram, BOOT_GDT + 0x10, 0x00af9b000000ffffull);	/* code, 64 bits */
	put64(ram, BOOT_GDT + 0x18, 0x00cf93000000ffffull);	/* data */
}

/* What Linux looks for below 1 MiB even without a BIOS: how far RAM goes there. */
static void write_bios_data(u8 *ram)
{
	put16(ram, BDA_EBDA, (u16)(BOOT_EBDA >> 4));
	put16(ram, BDA_MEMORY, (u16)(BOOT_EBDA >> 10));
	ram[BOOT_EBDA] = 1;					/* KiB */
}

static void write_acpi(const struct boot_request *request, u8 *ram)
{
	static struct acpi_tables tables;

	if (!acpi_build(&tables, &request->acpi))
		return;		/* a number of vCPUs that nobody can ask for; without tables the guest has one */
	acpi_place(&tables, BOOT_ACPI);
	memcpy(ram + BOOT_ACPI, tables.data, tables.size);
	memcpy(ram + BOOT_RSDP, tables.rsdp, sizeof(tables.rsdp));
}

static void write_params(const struct boot_request *request, const struct boot_layout *layout, u8 *ram)
{
	struct boot_params params = { .hdr = request->image->header };
	struct setup_header *header = &params.hdr;

	if (request->screen)
		memcpy(&params.screen_info, request->screen, BOOT_SCREEN);
	header->type_of_loader = LOADER_OTHER;
	header->vid_mode = 0xffff;				/* "normal" */
	header->code32_start = (u32)layout->kernel;
	header->ramdisk_image = (u32)layout->initrd;
	header->ramdisk_size = (u32)request->initrd_size;
	header->cmd_line_ptr = (u32)BOOT_CMDLINE;
	header->setup_data = 0;
	params.acpi_rsdp_addr = BOOT_RSDP;
	params.e820_entries = (u8)boot_e820(request->memory, request->window, params.e820_table);
	memcpy(ram + BOOT_PARAMS, &params, sizeof(params));
}

void boot_write(const struct boot_request *request, const struct boot_layout *layout, u8 *low, u8 *ram)
{
	write_bios_data(low);
	write_gdt(low);
	write_page_tables(low);
	write_params(request, layout, low);
	memcpy(low + BOOT_CMDLINE, request->cmdline, strlen(request->cmdline) + 1);
	write_acpi(request, low);
	memcpy(ram + (layout->kernel - layout->base), request->kernel, request->image->size);
}
