// SPDX-License-Identifier: GPL-2.0-only
/* ACPI tables, after the ACPI specification 6.3, chapter 5, and the IA-PC HPET specification 1.0a, 3.2.4. */
#include <string.h>

#include "acpi.h"
#include "dsdt.h"
#include "vdev/hpet.h"
#include "vdev/ioapic.h"
#include "vdev/pmtimer.h"

#define HEADER_SIZE		36
#define CHECKSUM		9	/* in the header */
#define GIB			(1ull << 30)

#define FADT_SIZE		244	/* revision 3: ACPI 2.0, which every system reads */
#define FADT_WBINVD		(1u << 0)
#define FADT_PROC_C1		(1u << 2)
#define FADT_SLP_BUTTON		(1u << 5)	/* there is none in fixed hardware */
#define FADT_RESET_REG		(1u << 10)
#define FADT_PLATFORM_CLOCK	(1u << 15)
#define BOOT_LEGACY_DEVICES	(1u << 0)
#define BOOT_8042		(1u << 1)
#define BOOT_NO_VGA		(1u << 2)
#define FACS_SIZE		64

#define SPACE_MEMORY		0
#define SPACE_IO		1
#define RESET_PORT		0xcf9
#define RESET_VALUE		0x06

#define MADT_PCAT		1u		/* there are 8259s */
#define ISO_LEVEL_HIGH		0x000du		/* level-triggered, active high */
#define XAPIC_IDS		255u

#define WAET_PM_TIMER_GOOD	(1u << 1)	/* one read is enough */

#define AML_NAME		0x08
#define AML_BYTE		0x0a
#define AML_DWORD		0x0c
#define AML_STRING		0x0d
#define AML_QWORD		0x0e
#define AML_SCOPE		0x10
#define AML_EXT			0x5b
#define AML_DEVICE		0x82
#define AML_ROOT		'\\'

static void put(struct acpi_tables *tables, u64 value, u32 bytes)
{
	for (; bytes; bytes--, value >>= 8)
		tables->data[tables->size++] = (u8)value;
}

static void put_text(struct acpi_tables *tables, const char *text, u32 bytes)
{
	memcpy(&tables->data[tables->size], text, bytes);
	tables->size += bytes;
}

static void put_zeros(struct acpi_tables *tables, u32 bytes)
{
	memset(&tables->data[tables->size], 0, bytes);
	tables->size += bytes;
}

static void set(u8 *at, u64 value, u32 bytes)
{
	for (; bytes; bytes--, value >>= 8)
		*at++ = (u8)value;
}

static u64 get(const u8 *at, u32 bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static void put_pointer(struct acpi_tables *tables, u64 to, u32 bytes)
{
	tables->pointer[tables->npointers++] = (struct acpi_pointer){ tables->size, bytes };
	put(tables, to, bytes);
}

/* Generic address structure. */
static void put_address(struct acpi_tables *tables, u8 space, u8 bits, u8 access, u64 address)
{
	put(tables, space, 1);
	put(tables, bits, 1);
	put(tables, 0, 1);
	put(tables, access, 1);
	put(tables, address, 8);
}

static void align(struct acpi_tables *tables, u32 to)
{
	put_zeros(tables, -tables->size & (to - 1));
}

static u32 begin(struct acpi_tables *tables, const char *signature, u8 revision)
{
	u32 at;

	align(tables, 16);
	at = tables->size;
	put_text(tables, signature, 4);
	put(tables, 0, 4);			/* length: end() */
	put(tables, revision, 1);
	put(tables, 0, 1);			/* checksum: acpi_place() */
	put_text(tables, "AVMM  ", 6);
	put_text(tables, "AVMM", 4);
	put_text(tables, signature, 4);
	put(tables, 1, 4);
	put_text(tables, "AVMM", 4);
	put(tables, 1, 4);
	return at;
}

static u32 end(struct acpi_tables *tables, u32 at)
{
	u32 size = tables->size - at;

	set(&tables->data[at + 4], size, 4);
	tables->table[tables->ntables++] = (struct acpi_table){ at, size };
	return at;
}

static u32 build_facs(struct acpi_tables *tables)
{
	u32 at;

	align(tables, ACPI_ALIGNMENT);
	at = tables->size;
	put_text(tables, "FACS", 4);
	put(tables, FACS_SIZE, 4);
	put_zeros(tables, 24);
	put(tables, 2, 1);			/* version */
	put_zeros(tables, 31);
	return at;
}

static u32 build_dsdt(struct acpi_tables *tables)
{
	u32 at;

	align(tables, 16);
	at = tables->size;
	put_text(tables, (const char *)dsdt_aml_code, sizeof(dsdt_aml_code));
	return end(tables, at);
}

static void put_integer(struct acpi_tables *tables, const char *name, u64 value)
{
	put(tables, AML_NAME, 1);
	put_text(tables, name, (u32)strlen(name));
	put(tables, AML_QWORD, 1);
	put(tables, value, 8);
}

/* Device (C0nn) { Name (_HID, "ACPI0007") Name (_UID, nn) }; its length fits in one byte. */
static void put_processor(struct acpi_tables *tables, u32 n)
{
	static const char digits[] = "0123456789ABCDEF";
	const char name[] = { 'C', '0', digits[n >> 4 & 15], digits[n & 15] };
	u32 length;

	put(tables, AML_EXT, 1);
	put(tables, AML_DEVICE, 1);
	length = tables->size;
	put(tables, 0, 1);
	put_text(tables, name, 4);
	put(tables, AML_NAME, 1);
	put_text(tables, "_HID", 4);
	put(tables, AML_STRING, 1);
	put_text(tables, "ACPI0007", 9);
	put(tables, AML_NAME, 1);
	put_text(tables, "_UID", 4);
	put(tables, AML_DWORD, 1);
	put(tables, n, 4);
	tables->data[length] = (u8)(tables->size - length);
}

/* What dsdt.asl leaves open. The window for 64-bit BARs begins at the first whole GiB behind RAM. */
static u32 build_ssdt(struct acpi_tables *tables, const struct acpi_config *config)
{
	u64 high = config->memory > ACPI_LOW_RAM_END ? config->memory - ACPI_LOW_RAM_END : 0;
	u64 first = (4 * GIB + high + GIB - 1) & ~(GIB - 1), last = 1ull << config->phys_bits;
	u32 length, size, n, at = begin(tables, "SSDT", 2);

	put_integer(tables, "\\P64S", first);
	put_integer(tables, "\\P64L", first < last ? last - first : 0);
	put_integer(tables, "\\I804", config->has & ACPI_HAS_I8042 ? 1 : 0);
	put_integer(tables, "\\FWEN", config->has & ACPI_HAS_FW_CFG ? 1 : 0);
	put(tables, AML_SCOPE, 1);
	length = tables->size;
	put(tables, 0, 3);			/* package length of three bytes: 4, 8 and 8 bits */
	put_text(tables, "\\_SB_", 5);
	for (n = 0; n < config->vcpus; n++)
		put_processor(tables, n);
	size = tables->size - length;
	set(&tables->data[length], 0x80 | (size & 15) | (size >> 4) << 8, 3);
	return end(tables, at);
}

static u32 apic_id(const struct acpi_config *config, u32 n)
{
	return config->apic_id ? config->apic_id[n] : n;
}

/* Interrupt source override on the ISA bus. */
static void put_override(struct acpi_tables *tables, u8 irq, u32 pin, u16 flags)
{
	put(tables, 2, 1);
	put(tables, 10, 1);
	put(tables, 0, 1);
	put(tables, irq, 1);
	put(tables, pin, 4);
	put(tables, flags, 2);
}

static void put_local_apic(struct acpi_tables *tables, u32 uid, u32 id)
{
	if (id < XAPIC_IDS && uid < XAPIC_IDS) {
		put(tables, 0, 1);
		put(tables, 8, 1);
		put(tables, uid, 1);
		put(tables, id, 1);
		put(tables, 1, 4);		/* enabled */
	} else {
		put(tables, 9, 1);		/* x2APIC */
		put(tables, 16, 1);
		put(tables, 0, 2);
		put(tables, id, 4);
		put(tables, 1, 4);
		put(tables, uid, 4);
	}
}

/* LINT1 is NMI on all of them. */
static void put_local_nmis(struct acpi_tables *tables, bool any_x2apic)
{
	put(tables, 4, 1);
	put(tables, 6, 1);
	put(tables, 0xff, 1);
	put(tables, 0, 2);
	put(tables, 1, 1);
	if (!any_x2apic)
		return;
	put(tables, 0xa, 1);
	put(tables, 12, 1);
	put(tables, 0, 2);
	put(tables, 0xffffffff, 4);
	put(tables, 1, 1);
	put(tables, 0, 3);
}

/* IRQ 0 arrives at pin 2; those that PIRQs and the SCI may use are level-triggered. */
static u32 build_madt(struct acpi_tables *tables, const struct acpi_config *config)
{
	static const u8 level[] = { 5, PM_SCI, 10, 11 };
	bool any_x2apic = false;
	u32 n, at = begin(tables, "APIC", 3);

	put(tables, LAPIC_DEFAULT_BASE, 4);
	put(tables, MADT_PCAT, 4);
	for (n = 0; n < config->vcpus; n++) {
		put_local_apic(tables, n, apic_id(config, n));
		any_x2apic |= n >= XAPIC_IDS || apic_id(config, n) >= XAPIC_IDS;
	}
	put(tables, 1, 1);			/* I/O APIC */
	put(tables, 12, 1);
	put(tables, config->ioapic_id, 1);
	put(tables, 0, 1);
	put(tables, IOAPIC_BASE, 4);
	put(tables, 0, 4);
	put_override(tables, 0, ioapic_isa_pin(0), 0);
	for (n = 0; n < sizeof(level); n++)
		put_override(tables, level[n], level[n], ISO_LEVEL_HIGH);
	put_local_nmis(tables, any_x2apic);
	return end(tables, at);
}

static u32 build_hpet(struct acpi_tables *tables)
{
	u32 at = begin(tables, "HPET", 1);

	put(tables, HPET_BLOCK_ID, 4);
	put_address(tables, SPACE_MEMORY, 64, 0, HPET_BASE);
	put(tables, 0, 1);			/* number */
	put(tables, 5000, 2);			/* shortest period that is not served in bunches: 50 us */
	put(tables, 0, 1);			/* no promise about the rest of its page */
	return end(tables, at);
}

static u32 build_waet(struct acpi_tables *tables)
{
	u32 at = begin(tables, "WAET", 1);

	put(tables, WAET_PM_TIMER_GOOD, 4);
	return end(tables, at);
}

/* The ports once more, as generic address structures: PM1a and PM timer; there is no PM1b, PM2, GPE0 and GPE1. */
static void put_fadt_addresses(struct acpi_tables *tables, u16 pm_base)
{
	put_address(tables, SPACE_IO, 32, 2, pm_base);
	put_address(tables, SPACE_IO, 0, 0, 0);
	put_address(tables, SPACE_IO, 16, 2, pm_base + 4u);
	put_address(tables, SPACE_IO, 0, 0, 0);
	put_address(tables, SPACE_IO, 0, 0, 0);
	put_address(tables, SPACE_IO, 32, 3, pm_base + 8u);
	put_address(tables, SPACE_IO, 0, 0, 0);
	put_address(tables, SPACE_IO, 0, 0, 0);
}

/* Table 5-33 up to the ports' lengths. */
static void put_fadt_ports(struct acpi_tables *tables, const struct acpi_config *config)
{
	bool smi = config->has & ACPI_HAS_SMI_COMMAND;

	put(tables, 0, 1);			/* reserved */
	put(tables, 1, 1);			/* a desktop */
	put(tables, PM_SCI, 2);
	put(tables, smi ? 0xb2 : 0, 4);
	put(tables, smi ? PM_ACPI_ENABLE : 0, 1);
	put(tables, smi ? PM_ACPI_DISABLE : 0, 1);
	put(tables, 0, 2);			/* no S4BIOS, no P-state control */
	put(tables, config->pm_base, 4);	/* PM1a events */
	put(tables, 0, 4);
	put(tables, config->pm_base + 4u, 4);	/* PM1a control */
	put(tables, 0, 8);
	put(tables, config->pm_base + 8u, 4);	/* PM timer */
	put(tables, 0, 8);
	put(tables, 4, 1);			/* lengths in this order */
	put(tables, 2, 1);
	put(tables, 0, 1);
	put(tables, 4, 1);
	put(tables, 0, 3);
	put(tables, 0, 1);			/* no C-state notification */
	put(tables, 0xfff, 2);			/* no C2 and no C3 */
	put(tables, 0xfff, 2);
	put(tables, 0, 8);			/* WBINVD works, no duty cycle, no alarm beyond a day */
}

static u32 build_fadt(struct acpi_tables *tables, const struct acpi_config *config, u32 facs, u32 dsdt)
{
	u32 boot = BOOT_LEGACY_DEVICES, at = begin(tables, "FACP", 3);

	if (config->has & ACPI_HAS_I8042)
		boot |= BOOT_8042;
	if (!(config->has & ACPI_HAS_VGA))
		boot |= BOOT_NO_VGA;
	put_pointer(tables, facs, 4);
	put_pointer(tables, dsdt, 4);
	put_fadt_ports(tables, config);
	put(tables, 0x32, 1);			/* century in CMOS */
	put(tables, boot, 2);
	put(tables, 0, 1);
	put(tables, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RESET_REG | FADT_PLATFORM_CLOCK, 4);
	put_address(tables, SPACE_IO, 8, 1, RESET_PORT);
	put(tables, RESET_VALUE, 1);
	put(tables, 0, 3);
	put_pointer(tables, facs, 8);
	put_pointer(tables, dsdt, 8);
	put_fadt_addresses(tables, config->pm_base);
	return end(tables, at);
}

static u32 build_root(struct acpi_tables *tables, const char *signature, const u32 *table, u32 count, u32 bytes)
{
	u32 at = begin(tables, signature, 1);

	while (count--)
		put_pointer(tables, *table++, bytes);
	return end(tables, at);
}

bool acpi_build(struct acpi_tables *tables, const struct acpi_config *config)
{
	u32 facs, dsdt, listed[5];

	if (config->vcpus == 0 || config->vcpus > ACPI_MAX_VCPUS)
		return false;
	memset(tables, 0, sizeof(*tables));
	facs = build_facs(tables);
	dsdt = build_dsdt(tables);
	listed[0] = build_fadt(tables, config, facs, dsdt);
	listed[1] = build_ssdt(tables, config);
	listed[2] = build_madt(tables, config);
	listed[3] = build_hpet(tables);
	listed[4] = build_waet(tables);
	tables->rsdt = build_root(tables, "RSDT", listed, 5, 4);
	tables->xsdt = build_root(tables, "XSDT", listed, 5, 8);
	acpi_place(tables, 0);
	return true;
}

static void set_checksum(u8 *at, u32 size, u32 checksum)
{
	u8 sum = 0;

	at[checksum] = 0;
	while (size--)
		sum = (u8)(sum + at[size]);
	at[checksum] = (u8)-sum;
}

static void build_rsdp(struct acpi_tables *tables)
{
	u8 *rsdp = tables->rsdp;

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(&rsdp[9], "AVMM  ", 6);
	rsdp[15] = 2;				/* revision */
	set(&rsdp[16], tables->base + tables->rsdt, 4);
	set(&rsdp[20], ACPI_RSDP_SIZE, 4);
	set(&rsdp[24], tables->base + tables->xsdt, 8);
	set_checksum(rsdp, 20, 8);
	set_checksum(rsdp, ACPI_RSDP_SIZE, 32);
}

void acpi_place(struct acpi_tables *tables, u64 base)
{
	const struct acpi_pointer *pointer = tables->pointer;
	const struct acpi_table *table = tables->table;

	for (; pointer < tables->pointer + tables->npointers; pointer++)
		set(&tables->data[pointer->at],
		    get(&tables->data[pointer->at], pointer->size) - tables->base + base, pointer->size);
	tables->base = base;
	for (; table < tables->table + tables->ntables; table++)
		set_checksum(&tables->data[table->at], table->size, CHECKSUM);
	build_rsdp(tables);
}
