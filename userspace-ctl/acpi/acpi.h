/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user partition's ACPI tables as byte images: RSDP, RSDT, XSDT, FADT, FACS, DSDT, SSDT, MADT, HPET and WAET.
 *
 * acpi_build() makes them with pointers that count from the start of the image. Who loads them himself calls
 * acpi_place() with the guest-physical address that he puts them at. For firmware that loads them (fw_cfg's table
 * loader) the lists of pointers and of tables are what the loader's commands have to name.
 *
 * Fixed by the platform: RAM below ACPI_LOW_RAM_END, the rest of it from 4 GiB on, between them the window for 32-bit
 * BARs, the I/O APIC at 0xfec00000 and the local APIC's page at 0xfee00000.
 */
#ifndef AVMM_ACPI_H
#define AVMM_ACPI_H

#include <avmm/types.h>

#define ACPI_LOW_RAM_END	0xc0000000ull
#define ACPI_MAX_VCPUS		256
#define ACPI_MAX_SIZE		32768
#define ACPI_MAX_TABLES		9
#define ACPI_MAX_POINTERS	24
#define ACPI_RSDP_SIZE		36
#define ACPI_ALIGNMENT		64	/* of the image, because of the FACS */

#define ACPI_HAS_I8042		(1u << 0)
#define ACPI_HAS_VGA		(1u << 1)
#define ACPI_HAS_FW_CFG		(1u << 2)
#define ACPI_HAS_SMI_COMMAND	(1u << 3)	/* ACPI mode is switched by port 0xb2; else the machine is always in it */

struct acpi_config {
	u32 vcpus;
	const u32 *apic_id;	/* of each vCPU; NULL: 0, 1, 2, … */
	u64 memory;		/* bytes of RAM */
	u32 phys_bits;		/* physical address width that the guest sees */
	u16 pm_base;		/* I/O port of PIIX4's power management block */
	u8 ioapic_id;
	u32 has;		/* ACPI_HAS_* */
};

/* A place in the image that holds an address in it. */
struct acpi_pointer {
	u32 at;
	u32 size;		/* 4 or 8 */
};

struct acpi_table {
	u32 at;
	u32 size;
};

struct acpi_tables {
	u32 size;
	u32 ntables;
	u32 npointers;
	u32 rsdt;
	u32 xsdt;
	u64 base;					/* what pointers count from now */
	struct acpi_table table[ACPI_MAX_TABLES];	/* those with a checksum: all but the FACS */
	struct acpi_pointer pointer[ACPI_MAX_POINTERS];
	u8 rsdp[ACPI_RSDP_SIZE];
	u8 data[ACPI_MAX_SIZE] __attribute__((aligned(ACPI_ALIGNMENT)));
};

/* False for a number of vCPUs that is 0 or too large. */
bool acpi_build(struct acpi_tables *tables, const struct acpi_config *config);

/* base: aligned to ACPI_ALIGNMENT, and base + size below 4 GiB (RSDT and FADT have 32-bit fields). */
void acpi_place(struct acpi_tables *tables, u64 base);

#endif
