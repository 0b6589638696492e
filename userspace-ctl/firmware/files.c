// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is in fw_cfg's files. Numbers are little-endian here.
 *
 *	etc/e820				RAM
 *	etc/acpi/tables, etc/acpi/rsdp		the images that acpi.c builds
 *	etc/table-loader			where firmware puts them, and what it patches in them then
 *	etc/smbios/…				smbios.c
 *	bootorder				drives in the order of the configuration
 *	vgaroms/machine.rom			the video BIOS of a direct-access VGA; without one
 *	etc/sercon-port				SeaBIOS's screen and keyboard are COM1
 *	etc/irq0-override			the timer arrives at pin 2 of the I/O APIC
 */
#include <string.h>
#include <avmm/partition.h>
#include "../acpi/acpi.h"
#include "fw-cfg.h"
#include "smbios.h"

#define COM1		0x3f8
#define HIGH		0x100000u
#define E820_RAM	1u
#define E820_RESERVED	2u
#define E820_ENTRY	20u
#define GIB4		(1ull << 32)

#define TABLES		"etc/acpi/tables"
#define RSDP		"etc/acpi/rsdp"

/* The table loader's commands, 128 bytes each. */
#define COMMAND_SIZE	128u
#define COMMANDS_MAX	(2 + ACPI_MAX_POINTERS + ACPI_MAX_TABLES + 4)
#define ALLOCATE	1u
#define ADD_POINTER	2u
#define ADD_CHECKSUM	3u
#define ZONE_HIGH	1u
#define ZONE_FSEG	2u
#define TABLE_CHECKSUM	9u		/* its offset in a table */

/* ACPI 6.3, table 5-27: offsets in the RSDP. */
#define RSDP_CHECKSUM	8u
#define RSDP_RSDT	16u
#define RSDP_V1_SIZE	20u
#define RSDP_XSDT	24u
#define RSDP_CHECKSUM_2	32u

struct loader {
	u32 count;
	u8 command[COMMANDS_MAX][COMMAND_SIZE];
};

static void put(u8 *at, u64 value, u32 bytes)
{
	for (; bytes; bytes--, value >>= 8)
		*at++ = (u8)value;
}

static u8 *command(struct loader *loader, u32 number, const char *file)
{
	u8 *c = loader->command[loader->count++];

	memset(c, 0, COMMAND_SIZE);
	put(c, number, 4);
	memcpy(c + 4, file, strlen(file));
	return c + 4 + FW_CFG_NAME;
}

static void allocate(struct loader *loader, const char *file, u32 alignment, u8 zone)
{
	u8 *c = command(loader, ALLOCATE, file);

	put(c, alignment, 4);
	c[4] = zone;
}

/* At that offset in file, the address of the tables is added. */
static void add_pointer(struct loader *loader, const char *file, u32 offset, u32 size)
{
	u8 *c = command(loader, ADD_POINTER, file);

	memcpy(c, TABLES, sizeof(TABLES));
	put(c + FW_CFG_NAME, offset, 4);
	c[FW_CFG_NAME + 4] = (u8)size;
}

static void add_checksum(struct loader *loader, const char *file, u32 offset, u32 start, u32 size)
{
	u8 *c = command(loader, ADD_CHECKSUM, file);

	put(c, offset, 4);
	put(c + 4, start, 4);
	put(c + 8, size, 4);
}

/* OVMF counts the old checksum in: it has to be 0. */
static void build_loader(struct loader *loader, struct acpi_tables *tables)
{
	u32 i;

	allocate(loader, RSDP, 16, ZONE_FSEG);
	allocate(loader, TABLES, ACPI_ALIGNMENT, ZONE_HIGH);
	for (i = 0; i < tables->npointers; i++)
		add_pointer(loader, TABLES, tables->pointer[i].at, tables->pointer[i].size);
	for (i = 0; i < tables->ntables; i++) {
		const struct acpi_table *t = &tables->table[i];

		tables->data[t->at + TABLE_CHECKSUM] = 0;
		add_checksum(loader, TABLES, t->at + TABLE_CHECKSUM, t->at, t->size);
	}
	add_pointer(loader, RSDP, RSDP_RSDT, 4);
	add_pointer(loader, RSDP, RSDP_XSDT, 8);
	tables->rsdp[RSDP_CHECKSUM] = 0;
	tables->rsdp[RSDP_CHECKSUM_2] = 0;
	add_checksum(loader, RSDP, RSDP_CHECKSUM, 0, RSDP_V1_SIZE);
	add_checksum(loader, RSDP, RSDP_CHECKSUM_2, 0, ACPI_RSDP_SIZE);
}

static bool add_acpi(struct firmware_files *files, const struct firmware_machine *machine)
{
	static struct acpi_tables tables;
	static struct loader loader;
	const struct acpi_config config = {
		.vcpus = machine->vcpus, .memory = machine->memory, .phys_bits = machine->phys_bits,
		.pm_base = machine->pm_base, .ioapic_id = machine->ioapic_id,
		.has = ACPI_HAS_I8042 | ACPI_HAS_FW_CFG | ACPI_HAS_SMI_COMMAND | (machine->vga ? ACPI_HAS_VGA : 0),
	};

	if (!acpi_build(&tables, &config))
		return false;
	loader.count = 0;
	build_loader(&loader, &tables);
	return fw_cfg_add(files, TABLES, tables.data, tables.size) &&
	       fw_cfg_add(files, RSDP, tables.rsdp, sizeof(tables.rsdp)) &&
	       fw_cfg_add(files, "etc/table-loader", loader.command, loader.count * COMMAND_SIZE);
}

static u8 *put_range(u8 *at, u64 base, u64 size, u32 type)
{
	put(at, base, 8);
	put(at + 8, size, 8);
	put(at + 16, type, 4);
	return at + E820_ENTRY;
}

/* Boot loaders unpack themselves at 1 MiB, whether it is RAM or not: with a window there is memory, not to be kept. */
static bool add_e820(struct firmware_files *files, u64 memory, u64 window)
{
	u64 low = memory < AVMM_PCI_HOLE ? memory : AVMM_PCI_HOLE;
	u8 map[3 * E820_ENTRY], *at = map;

	if (window) {
		at = put_range(at, 0, HIGH, E820_RAM);
		at = put_range(at, HIGH, AVMM_WINDOW_LOW - HIGH, E820_RESERVED);
		at = put_range(at, window, memory, E820_RAM);
	} else {
		at = put_range(at, 0, low, E820_RAM);
		if (memory > low)
			at = put_range(at, GIB4, memory - low, E820_RAM);
	}
	return fw_cfg_add(files, "etc/e820", map, (u32)(at - map));
}

/* IDE: both channels of function 1 of PIIX3, master and slave. */
static bool add_boot_order(struct firmware_files *files)
{
	static const char order[] =
		"/pci@i0cf8/ide@1,1/drive@0/disk@0\n/pci@i0cf8/ide@1,1/drive@0/disk@1\n"
		"/pci@i0cf8/ide@1,1/drive@1/disk@0\n/pci@i0cf8/ide@1,1/drive@1/disk@1";

	return fw_cfg_add(files, "bootorder", order, sizeof(order));
}

static bool add_smbios(struct firmware_files *files, const struct firmware_machine *machine)
{
	static struct smbios smbios;

	smbios_build(&smbios, machine->memory, machine->vcpus);
	return fw_cfg_add(files, "etc/smbios/smbios-anchor", smbios.anchor, sizeof(smbios.anchor)) &&
	       fw_cfg_add(files, "etc/smbios/smbios-tables", smbios.tables, smbios.size);
}

/* SeaBIOS starts the ROM as it would start that of a card. */
static bool add_console(struct firmware_files *files, const struct firmware_machine *machine)
{
	if (machine->vga && machine->video_bios)
		return fw_cfg_add(files, "vgaroms/machine.rom", machine->video_bios, machine->video_bios_size);
	return fw_cfg_add_number(files, "etc/sercon-port", COM1, 2);
}

bool firmware_files(struct firmware_files *files, const struct firmware_machine *machine)
{
	files->count = 0;
	files->size = 0;
	return add_e820(files, machine->memory, machine->window) && add_acpi(files, machine) && add_smbios(files, machine) &&
	       add_boot_order(files) && add_console(files, machine) &&
	       fw_cfg_add_number(files, "etc/irq0-override", 1, 1);
}
