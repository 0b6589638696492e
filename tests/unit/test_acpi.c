// SPDX-License-Identifier: GPL-2.0-only
/* ACPI tables: each passes iasl both ways without a warning, and an interpreter finds in them what it should. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"
#include "userspace-ctl/acpi/acpi.h"
#include "userspace-ctl/acpi/dsdt.h"

#define BASE	0xbffe0000u

static struct acpi_tables tables;
static char folder[] = "/tmp/avmm-acpi-XXXXXX";

static u64 get(const u8 *at, u32 bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static const u8 *at(u64 address)
{
	assert_in_range(address, BASE, BASE + tables.size - 1);
	return &tables.data[address - BASE];
}

static void assert_sum(const u8 *data, u32 size)
{
	u8 sum = 0;

	while (size--)
		sum = (u8)(sum + *data++);
	assert_int_equal(sum, 0);
}

static void build(u32 vcpus, u64 memory, u32 has)
{
	const struct acpi_config config = {
		.vcpus = vcpus, .memory = memory, .phys_bits = 39, .pm_base = 0x600, .has = has,
	};

	assert_true(acpi_build(&tables, &config));
	acpi_place(&tables, BASE);
}

/* As an operating system does it: from the RSDP. */
static const u8 *find(const char *signature)
{
	const u8 *xsdt = at(get(&tables.rsdp[24], 8)), *found = NULL, *table;
	u32 i, size = (u32)get(xsdt + 4, 4);

	assert_memory_equal(tables.rsdp, "RSD PTR ", 8);
	assert_sum(tables.rsdp, 20);
	assert_sum(tables.rsdp, ACPI_RSDP_SIZE);
	assert_memory_equal(xsdt, "XSDT", 4);
	for (i = 36; i < size; i += 8) {
		table = at(get(xsdt + i, 8));
		if (!memcmp(table, signature, 4))
			found = table;
	}
	assert_non_null(found);
	return found;
}

/* Output of a command in the test's folder; its exit status goes to the caller's assertion. */
static const char *run(const char *command)
{
	static char output[65536];
	char line[512];
	size_t size;
	FILE *pipe;

	snprintf(line, sizeof(line), "cd %s && %s 2>&1", folder, command);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	size = fread(output, 1, sizeof(output) - 1, pipe);
	output[size] = 0;
	pclose(pipe);
	return output;
}

static void assert_contains(const char *output, const char *text)
{
	if (!strstr(output, text))
		fail_msg("no \"%s\" in:\n%s", text, output);
}

static void save(const char *name, const u8 *data, u32 size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
}

/* Disassembled, compiled again: the same table, and nothing to complain about. */
static void assert_clean(const u8 *data, u32 size)
{
	const char *output;

	save("t.aml", data, size);
	output = run("rm -f t.dsl; iasl -d t.aml");
	assert_null(strstr(output, "arning"));
	assert_null(strstr(output, "rror"));
	assert_null(strstr(run("grep -i -e warning -e error -e invalid -e unknown t.dsl"), " "));
	output = run("iasl -p again t.dsl");
	assert_contains(output, "Compilation successful. 0 Errors, 0 Warnings, 0 Remarks");
	if (memcmp(data, "DSDT", 4) && memcmp(data, "SSDT", 4)) {
		/* the same but for its maker and checksum */
		output = run("cmp -i 36 t.aml again.aml && cmp -n 9 t.aml again.aml && echo same");
		if (memcmp(data, "RSD ", 4) && memcmp(data, "FACS", 4))
			assert_contains(output, "same");
	}
}

static void iasl_accepts(u32 vcpus, u64 memory, u32 has)
{
	u32 i;

	build(vcpus, memory, has);
	assert_clean(tables.data, 64);		/* FACS; of an RSDP alone iasl makes nothing */
	for (i = 0; i < tables.ntables; i++) {
		const u8 *table = &tables.data[tables.table[i].at];

		assert_int_equal(get(table + 4, 4), tables.table[i].size);
		assert_sum(table, tables.table[i].size);
		assert_clean(table, tables.table[i].size);
	}
}

static void iasl_accepts_small(void **state)
{
	(void)state;
	iasl_accepts(1, 512ull << 20, 0);
}

static void iasl_accepts_large(void **state)
{
	(void)state;
	iasl_accepts(256, 64ull << 30, ~0u);
}

static void dsdt_is_up_to_date(void **state)
{
	char command[1280], path[1024];
	u8 fresh[sizeof(dsdt_aml_code) + 1] = { 0 };
	FILE *file;

	(void)state;
	assert_non_null(getcwd(path, sizeof(path)));
	snprintf(command, sizeof(command), "cp %s/../../userspace-ctl/acpi/dsdt.asl . && iasl -p fresh dsdt.asl", path);
	assert_contains(run(command), "Compilation successful. 0 Errors, 0 Warnings");
	snprintf(path, sizeof(path), "%s/fresh.aml", folder);
	file = fopen(path, "r");
	assert_non_null(file);
	if (fread(fresh, 1, sizeof(fresh), file) != sizeof(dsdt_aml_code) &&
	    memcmp(&fresh[32], &dsdt_aml_code[32], 4)) {
		fclose(file);
		skip();				/* another compiler may write it in another way */
	}
	fclose(file);
	assert_memory_equal(fresh, dsdt_aml_code, sizeof(dsdt_aml_code));
}

static void nothing_outside(void **state)
{
	struct acpi_config config = { .vcpus = 0 };
	u32 i;

	(void)state;
	assert_false(acpi_build(&tables, &config));
	config.vcpus = ACPI_MAX_VCPUS + 1;
	assert_false(acpi_build(&tables, &config));
	build(ACPI_MAX_VCPUS, ~0ull >> 20, ~0u);
	assert_true(tables.size <= ACPI_MAX_SIZE);
	assert_true(tables.ntables <= ACPI_MAX_TABLES);
	assert_true(tables.npointers <= ACPI_MAX_POINTERS);
	acpi_place(&tables, 0);
	acpi_place(&tables, BASE);		/* moving is exact */
	for (i = 0; i < tables.npointers; i++)
		at(get(&tables.data[tables.pointer[i].at], tables.pointer[i].size));
	find("FACP");
}

static void fixed_hardware(void **state)
{
	const u8 *fadt;

	(void)state;
	build(2, 1ull << 30, 0);
	fadt = find("FACP");
	assert_memory_equal(at(get(fadt + 36, 4)), "FACS", 4);
	assert_int_equal(get(fadt + 36, 4) % 64, 0);
	assert_memory_equal(at(get(fadt + 140, 8)), "DSDT", 4);
	assert_int_equal(get(fadt + 46, 2), 9);
	assert_int_equal(get(fadt + 48, 4), 0);		/* always in ACPI mode */
	assert_int_equal(get(fadt + 56, 4), 0x600);
	assert_int_equal(get(fadt + 64, 4), 0x604);
	assert_int_equal(get(fadt + 76, 4), 0x608);
	assert_int_equal(get(fadt + 109, 2), 5);		/* ISA devices, no i8042, no VGA */
	assert_int_equal(get(fadt + 112, 4) & 0x500, 0x400);	/* reset register, 24-bit timer */
	assert_int_equal(get(fadt + 120, 8), 0xcf9);
	assert_int_equal(get(fadt + 148 + 4, 8), 0x600);
	assert_int_equal(get(fadt + 208 + 4, 8), 0x608);
	build(2, 1ull << 30, ~0u);
	fadt = find("FACP");
	assert_int_equal(get(fadt + 48, 4), 0xb2);
	assert_int_equal(get(fadt + 52, 2), 0xf0f1);
	assert_int_equal(get(fadt + 109, 2), 3);
}

/* Entries of one type. */
static u32 madt_count(const u8 *madt, u8 type)
{
	u32 i, count = 0, size = (u32)get(madt + 4, 4);

	for (i = 44; i < size; i += madt[i + 1]) {
		assert_true(madt[i + 1] >= 2);
		count += madt[i] == type;
	}
	assert_int_equal(i, size);
	return count;
}

static void interrupt_model(void **state)
{
	static const u8 override[10] = { 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 };
	static const u32 ids[2] = { 4, 300 };
	const struct acpi_config config = { .vcpus = 2, .apic_id = ids, .memory = 1 << 30, .phys_bits = 36 };
	const u8 *madt;

	(void)state;
	build(4, 1ull << 30, 0);
	madt = find("APIC");
	assert_int_equal(get(madt + 36, 4), 0xfee00000);
	assert_int_equal(get(madt + 40, 4), 1);
	assert_int_equal(madt_count(madt, 0), 4);
	assert_int_equal(madt[44 + 3 * 8 + 3], 3);
	assert_int_equal(madt_count(madt, 1), 1);
	assert_int_equal(madt_count(madt, 2), 5);
	assert_int_equal(madt_count(madt, 4), 1);
	assert_int_equal(madt_count(madt, 9) + madt_count(madt, 10), 0);
	assert_memory_equal(madt + 44 + 4 * 8 + 12, override, sizeof(override));
	assert_true(acpi_build(&tables, &config));
	acpi_place(&tables, BASE);
	madt = find("APIC");
	assert_int_equal(madt_count(madt, 0), 1);
	assert_int_equal(madt_count(madt, 9), 1);
	assert_int_equal(get(madt + 44 + 8 + 4, 4), 300);
	assert_int_equal(madt_count(madt, 10), 1);
	assert_int_equal(get(find("HPET") + 36, 4), 0x8086a201);
	assert_int_equal(get(find("HPET") + 44, 8), 0xfed00000);
}

/* The interpreter's answers, with what acpiexec has for hardware. */
static void namespace(void **state)
{
	const u8 *ssdt, *dsdt;
	char command[96], link[16];
	u32 pin;

	(void)state;
	if (access("/usr/bin/acpiexec", X_OK))
		skip();
	build(3, 5ull << 30, ACPI_HAS_I8042);
	dsdt = at(get(find("FACP") + 140, 8));
	ssdt = find("SSDT");
	save("dsdt.aml", dsdt, (u32)get(dsdt + 4, 4));
	save("ssdt.aml", ssdt, (u32)get(ssdt + 4, 4));
	assert_contains(run("acpiexec -b 'evaluate \\P64S' dsdt.aml ssdt.aml"), "0000000180000000");
	assert_contains(run("acpiexec -b 'evaluate \\P64L' dsdt.aml ssdt.aml"), "0000007E80000000");
	assert_contains(run("acpiexec -b 'evaluate \\_SB.C002._UID' dsdt.aml ssdt.aml"), "0000000000000002");
	assert_contains(run("acpiexec -b 'evaluate \\_SB.C003._UID' dsdt.aml ssdt.aml"), "AE_NOT_FOUND");
	assert_contains(run("acpiexec -b 'evaluate \\_SB.PCI0.ISA.KBD._STA' dsdt.aml ssdt.aml"), "000000000000000F");
	assert_contains(run("acpiexec -b 'evaluate \\_SB.FWCF._STA' dsdt.aml ssdt.aml"), "0000000000000000");
	assert_contains(run("acpiexec -b 'resources \\_SB.PCI0' dsdt.aml ssdt.aml"), "0000007FFFFFFFFF");
	assert_contains(run("acpiexec -b 'resources \\_SB.LNKB' dsdt.aml ssdt.aml"), "Dword02 : 0000000B");
	for (pin = 0; pin < 128; pin += 9) {
		snprintf(command, sizeof(command), "acpiexec -b 'evaluate \\_SB.PCI0.PINR %u' dsdt.aml ssdt.aml", pin);
		snprintf(link, sizeof(link), "LNK%c Device", "ABCD"[(pin / 4 + pin % 4 + 3) % 4]);
		assert_contains(run(command), link);
		snprintf(link, sizeof(link), "%012X", pin / 4 << 16 | 0xffff);
		assert_contains(run(command), link);
	}
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	run("rm -f *");
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_outside),
		cmocka_unit_test(fixed_hardware),
		cmocka_unit_test(interrupt_model),
		cmocka_unit_test(iasl_accepts_small),
		cmocka_unit_test(iasl_accepts_large),
		cmocka_unit_test(dsdt_is_up_to_date),
		cmocka_unit_test(namespace),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
