// SPDX-License-Identifier: GPL-2.0-only
/*
 * What firmware gets: its image in the ROM, and fw_cfg's files, read as firmware reads them, through the monitor's model;
 * the ACPI tables after the loader's commands are those that an operating system wants.
 */
#include "unit.h"
#include "userspace-ctl/acpi/acpi.h"
#include "userspace-ctl/firmware/fw-cfg.h"
#include "userspace-ctl/firmware/rom.h"
#include "userspace-ctl/firmware/smbios.h"
#include "vdev/fw_cfg.h"

#define GIB	(1ull << 30)
#define HIGH	0x7fe0000u	/* where our loader puts what goes high, */
#define FSEG	0xf5000u	/* and what goes below 1 MiB */

static struct firmware_files files;
static u8 blob[FW_CFG_DATA_MAX + 4096];
static struct fw_cfg model;
static struct bus bus;

static void read_blob(void *ctx, u32 offset, u8 *to, u32 n)
{
	(void)ctx;
	assert_true(offset <= fw_cfg_blob_size(&files) && n <= fw_cfg_blob_size(&files) - offset);
	memcpy(to, blob + offset, n);
}

static bool no_dma(void *ctx, u64 gpa, u8 *to, u32 n)
{
	(void)ctx, (void)gpa, (void)to, (void)n;
	return false;
}

static bool no_dma_write(void *ctx, u64 gpa, const u8 *from, u32 n)
{
	(void)ctx, (void)gpa, (void)from, (void)n;
	return false;
}

static void build_for(const struct firmware_machine *machine)
{
	const struct fw_cfg_ops ops = { read_blob, no_dma, no_dma_write, NULL };

	assert_true(firmware_files(&files, machine));
	assert_true(fw_cfg_blob_size(&files) <= sizeof(blob));
	fw_cfg_write(&files, blob);
	bus_init(&bus);
	fw_cfg_init(&model, &ops, &(struct fw_cfg_machine){ .ram = machine->memory, .cpus = (u16)machine->vcpus },
		    fw_cfg_blob_size(&files));
	assert_true(bus_map(&bus, FW_CFG_BASE, fw_cfg_rows, FW_CFG_ROWS, &model));
}

static void build_in(u64 memory, u64 window, u32 vcpus)
{
	const struct firmware_machine machine = {
		.memory = memory, .window = window, .vcpus = vcpus, .phys_bits = 39, .pm_base = 0x600, .ioapic_id = 1,
	};

	build_for(&machine);
}

static void build(u64 memory, u32 vcpus)
{
	build_in(memory, 0, vcpus);
}

static u64 get(const u8 *at, u32 bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static u8 next(void)
{
	return (u8)bus_read(&bus, 0x511, 1, 0);
}

static u32 next_big(u32 bytes)
{
	u32 value = 0;

	while (bytes--)
		value = value << 8 | next();
	return value;
}

/* The file by its name in the directory; its size. */
static u32 load(const char *name, u8 *to, u32 max)
{
	u32 count, i, j, size = 0;
	u16 key = 0;
	char found[56];

	bus_write(&bus, 0x510, 2, 0x19, 0);
	count = next_big(4);
	for (i = 0; i < count && !key; i++) {
		size = next_big(4);
		key = (u16)next_big(2);
		next_big(2);
		for (j = 0; j < sizeof(found); j++)
			found[j] = (char)next();
		if (strcmp(found, name))
			key = 0;
	}
	assert_true(key);
	assert_true(size <= max);
	bus_write(&bus, 0x510, 2, key, 0);
	for (i = 0; i < size; i++)
		to[i] = next();
	return size;
}

/* Memory as the loader fills it. */
static struct loaded {
	char name[56];
	u32 at;
	u32 size;
	u8 data[65536];
} loaded[2];
static u32 nloaded;

static struct loaded *find(const char *name)
{
	u32 i;

	for (i = 0; i < nloaded; i++)
		if (!strcmp(loaded[i].name, name))
			return &loaded[i];
	fail_msg("%s was not allocated", name);
	return NULL;
}

static void add(u8 *at, u32 bytes, u64 value)
{
	value += get(at, bytes);
	for (; bytes; bytes--, value >>= 8)
		*at++ = (u8)value;
}

/* OVMF's way: the sum with the old checksum in it. */
static void checksum(struct loaded *file, u32 at, u32 start, u32 size)
{
	u8 sum = 0;

	assert_true(at < file->size && start <= file->size && size <= file->size - start);
	while (size--)
		sum = (u8)(sum + file->data[start + size]);
	file->data[at] = (u8)-sum;
}

static void do_command(const u8 *c)
{
	struct loaded *file;
	u32 at, size;

	switch (get(c, 4)) {
	case 1:
		assert_true(nloaded < 2);
		file = &loaded[nloaded++];
		strcpy(file->name, (const char *)c + 4);
		file->at = c[64] == 1 ? HIGH : FSEG;
		assert_true(c[64] == 1 || c[64] == 2);
		assert_int_equal(file->at & (get(c + 60, 4) - 1), 0);
		file->size = load(file->name, file->data, sizeof(file->data));
		break;
	case 2:
		file = find((const char *)c + 4);
		at = (u32)get(c + 116, 4);
		size = c[120];
		assert_true((size == 4 || size == 8) && at + size <= file->size);
		add(&file->data[at], size, find((const char *)c + 60)->at);
		break;
	case 3:
		checksum(find((const char *)c + 4), (u32)get(c + 60, 4), (u32)get(c + 64, 4), (u32)get(c + 68, 4));
		break;
	default:
		fail_msg("command %u", (u32)get(c, 4));
	}
}

static void run_loader(void)
{
	static u8 commands[16384];
	u32 size = load("etc/table-loader", commands, sizeof(commands)), i;

	nloaded = 0;
	assert_int_equal(size % 128, 0);
	for (i = 0; i < size; i += 128)
		do_command(&commands[i]);
}

static u8 sum(const u8 *data, u32 size)
{
	u8 sum = 0;

	while (size--)
		sum = (u8)(sum + *data++);
	return sum;
}

static const u8 *table_at(const struct loaded *tables, u64 address)
{
	assert_in_range(address, tables->at, tables->at + tables->size - 36);
	return &tables->data[address - tables->at];
}

static void loader_makes_good_tables(void **state)
{
	const struct loaded *tables, *rsdp;
	const u8 *root, *fadt = NULL;
	u32 i, n = 0;

	(void)state;
	build(512 << 20, 2);
	run_loader();
	tables = find("etc/acpi/tables");
	rsdp = find("etc/acpi/rsdp");
	assert_int_equal(sum(rsdp->data, 20), 0);
	assert_int_equal(sum(rsdp->data, 36), 0);
	root = table_at(tables, get(&rsdp->data[24], 8));
	assert_memory_equal(root, "XSDT", 4);
	for (i = 36; i < get(root + 4, 4); i += 8, n++) {
		const u8 *table = table_at(tables, get(root + i, 8));

		assert_int_equal(sum(table, (u32)get(table + 4, 4)), 0);
		if (!memcmp(table, "FACP", 4))
			fadt = table;
	}
	assert_true(n >= 5 && fadt);
	assert_memory_equal(table_at(tables, get(fadt + 36, 4)), "FACS", 4);
	assert_memory_equal(table_at(tables, get(fadt + 140, 8)), "DSDT", 4);
	assert_int_equal(get(fadt + 48, 4), 0xb2);		/* ACPI mode is switched on by the SMI command port */
	assert_int_equal(get(table_at(tables, get(&rsdp->data[16], 4)), 4), get((const u8 *)"RSDT", 4));
}

static void memory_map_has_ram(void **state)
{
	u8 map[64];

	(void)state;
	build(512 << 20, 1);
	assert_int_equal(load("etc/e820", map, sizeof(map)), 20);
	assert_int_equal(get(map, 8), 0);
	assert_int_equal(get(map + 8, 8), 512 << 20);
	assert_int_equal(get(map + 16, 4), 1);
	build(8 * GIB, 1);
	assert_int_equal(load("etc/e820", map, sizeof(map)), 40);
	assert_int_equal(get(map + 8, 8), 3 * GIB);
	assert_int_equal(get(map + 20, 8), 4 * GIB);
	assert_int_equal(get(map + 28, 8), 5 * GIB);
	/* with a window: what a BIOS needs below, nothing to be kept up to 2 MiB, the window */
	build_in(256 << 20, 512 << 20, 1);
	assert_int_equal(load("etc/e820", map, sizeof(map)), 60);
	assert_int_equal(get(map, 8), 0);
	assert_int_equal(get(map + 8, 8), 1 << 20);
	assert_int_equal(get(map + 20, 8), 1 << 20);
	assert_int_equal(get(map + 28, 8), 1 << 20);
	assert_int_equal(get(map + 36, 4), 2);
	assert_int_equal(get(map + 40, 8), 512 << 20);
	assert_int_equal(get(map + 48, 8), 256 << 20);
	assert_int_equal(get(map + 56, 4), 1);
}

/* Walks the structures as dmidecode does. */
static void smbios_is_whole(u64 memory, u32 ranges)
{
	u8 anchor[64], tables[4096];
	u32 size, at = 0, n = 0, length, largest = 0, found19 = 0, type = 0;

	build(memory, 4);
	assert_int_equal(load("etc/smbios/smbios-anchor", anchor, sizeof(anchor)), 31);
	size = load("etc/smbios/smbios-tables", tables, sizeof(tables));
	assert_memory_equal(anchor, "_SM_", 4);
	assert_int_equal(get(anchor + 22, 2), size);
	while (at < size) {
		u32 start = at;

		type = tables[at];
		length = tables[at + 1];
		assert_true(length >= 4);
		found19 += type == 19;
		if (type == 17)
			assert_int_equal(get(&tables[at + 12], 2) == 0x7fff ? get(&tables[at + 28], 4) :
					 get(&tables[at + 12], 2), memory >> 20);
		for (at += length; tables[at] || tables[at + 1]; at++)
			assert_true(at + 1 < size);
		at += 2;
		n++;
		if (at - start > largest)
			largest = at - start;
	}
	assert_int_equal(at, size);
	assert_int_equal(type, 127);
	assert_int_equal(get(anchor + 28, 2), n);
	assert_int_equal(get(anchor + 8, 2), largest);
	assert_int_equal(found19, ranges);
}

static void smbios_says_what_there_is(void **state)
{
	(void)state;
	smbios_is_whole(512 << 20, 1);
	smbios_is_whole(40 * GIB, 2);
	smbios_is_whole(1024 * GIB, 2);
}

/* Items of other architectures, and such as QEMU had before there were files, are empty: SeaBIOS counts in them. */
static void old_items_are_empty(void **state)
{
	static const u16 keys[] = { 0x04, 0x0d, 0x0e, 0x8000, 0x8001, 0x8002, 0x8003, 0x8020 };
	u32 i;

	(void)state;
	build(512 << 20, 1);
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		bus_write(&bus, 0x510, 2, keys[i], 0);
		assert_int_equal(next_big(4), 0);
	}
}

static void files_have_limits(void **state)
{
	static u8 data[FW_CFG_DATA_MAX];
	u32 i;

	(void)state;
	memset(&files, 0, sizeof(files));
	assert_false(fw_cfg_add(&files, "a name of fifty-six characters, for which no room is left", data, 1));
	assert_true(fw_cfg_add(&files, "most", data, FW_CFG_DATA_MAX - 1));
	assert_false(fw_cfg_add(&files, "too much", data, 2));
	assert_true(fw_cfg_add(&files, "all", data, 1));
	assert_int_equal(files.count, 2);
	for (i = 2; i < FIRMWARE_FILES_MAX; i++)
		assert_true(fw_cfg_add(&files, "empty", data, 0));
	assert_false(fw_cfg_add(&files, "one more", data, 0));
}

static void image_ends_at_the_reset_vector(void **state)
{
	const u32 size = 256 << 10;
	u8 *image = test_calloc(1, size), *rom = test_calloc(1, 2 << 20), *shadow = test_calloc(1, ROM_SHADOW_SIZE);
	struct rom r;
	u32 i;

	(void)state;
	for (i = 0; i < size; i++)
		image[i] = (u8)(i >> 8 ^ i);
	assert_true(rom_parse(image, size, &r));
	assert_int_equal(r.kind, ROM_BIOS);
	assert_int_equal(r.size, 2 << 20);
	rom_write(&r, NULL, image, rom, shadow);
	assert_int_equal(rom[0], 0xff);
	assert_int_equal(rom[r.size - size - 1], 0xff);
	assert_memory_equal(rom + r.size - size, image, size);
	assert_memory_equal(shadow, image + size - ROM_SHADOW_SIZE, ROM_SHADOW_SIZE);
	memcpy(image + 0x28, "_FVH", 4);
	assert_true(rom_parse(image, size, &r));
	assert_int_equal(r.kind, ROM_UEFI);
	/* as small as can be: the shadow begins with zeroes */
	assert_true(rom_parse(image, ROM_IMAGE_MIN, &r));
	memset(shadow, 0, ROM_SHADOW_SIZE);
	rom_write(&r, NULL, image, rom, shadow);
	assert_int_equal(shadow[ROM_SHADOW_SIZE - ROM_IMAGE_MIN - 1], 0);
	assert_memory_equal(shadow + ROM_SHADOW_SIZE - ROM_IMAGE_MIN, image, ROM_IMAGE_MIN);
	test_free(image);
	test_free(rom);
	test_free(shadow);
}

static void other_files_are_refused(void **state)
{
	u8 *image = test_calloc(1, 17 << 20);
	struct rom r;

	(void)state;
	memset(image, 0x90, 17 << 20);
	assert_false(rom_parse(image, 0, &r));
	assert_false(rom_parse(image, 4096, &r));
	assert_non_null(strstr(r.problem, "less than 64 KiB"));
	assert_false(rom_parse(image, 17 << 20, &r));
	assert_non_null(strstr(r.problem, "more than 16 MiB"));
	assert_false(rom_parse(image, (1 << 20) + 1, &r));
	assert_non_null(strstr(r.problem, "multiple of 4 KiB"));
	memset(image + (1 << 20) - 16, 0xff, 16);
	assert_false(rom_parse(image, 1 << 20, &r));
	assert_non_null(strstr(r.problem, "reset vector"));
	assert_true(rom_parse(image, 2 << 20, &r));
	test_free(image);
}

static void make_volume(u8 *at, u32 size)
{
	static const u8 header[] = {
		0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50,
	};
	u32 i;

	memset(at, 0, 16);
	memcpy(at + 16, header, sizeof(header));
	for (i = 0; i < 8; i++)
		at[32 + i] = i < 4 ? (u8)(size >> 8 * i) : 0;
	memcpy(at + 40, "_FVH", 4);
	memset(at + 44, 0x5a, size - 44);
}

/* The variables come first, and both end at 4 GiB, in whole blocks. */
static void variables_precede_the_code(void **state)
{
	const u32 code = 0x37c000, size = 0x84000;
	u8 *image = test_calloc(1, code), *store = test_calloc(1, size), *rom = test_calloc(1, 6 << 20);
	u8 *shadow = test_calloc(1, ROM_SHADOW_SIZE);
	struct rom r;

	(void)state;
	memcpy(image + 40, "_FVH", 4);
	memset(image + code - 16, 0x90, 16);
	make_volume(store, size);
	assert_true(rom_parse(image, code, &r));
	assert_int_equal(r.kind, ROM_UEFI);
	assert_true(rom_add_variables(&r, store, size));
	assert_int_equal(r.size, 4 << 20);
	assert_int_equal(rom_variables(&r), 0xffc00000);
	rom_write(&r, store, image, rom, shadow);
	assert_memory_equal(rom, store, size);
	assert_memory_equal(rom + size, image, code);
	assert_memory_equal(shadow, image + code - ROM_SHADOW_SIZE, ROM_SHADOW_SIZE);

	/* with a gap before them */
	assert_true(rom_parse(image, code, &r));
	make_volume(store, 4096);
	assert_true(rom_add_variables(&r, store, 4096));
	assert_int_equal(rom_variables(&r), 0x100000000 - code - 4096);
	rom_write(&r, store, image, rom, shadow);
	assert_int_equal(rom[r.size - code - 4097], 0xff);
	assert_memory_equal(rom + r.size - code - 4096, store, 4096);
	test_free(image);
	test_free(store);
	test_free(rom);
	test_free(shadow);
}

static void not_variables(struct rom r, const u8 *store, u64 size, const char *why)
{
	assert_false(rom_add_variables(&r, store, size));
	assert_non_null(strstr(r.problem, why));
}

static void what_is_no_variables(void **state)
{
	const u32 code = 0x37c000, size = 0x84000;
	u8 *image = test_calloc(1, code), *store = test_calloc(1, size);
	struct rom r, again;

	(void)state;
	memcpy(image + 40, "_FVH", 4);
	memset(image + code - 16, 0x90, 16);
	assert_true(rom_parse(image, code, &r));
	not_variables(r, store, size, "no store");
	make_volume(store, size);
	not_variables(r, store, 0, "multiple");
	not_variables(r, store, size - 1, "multiple");
	not_variables(r, store, size - 4096, "another size");
	not_variables(r, store, 15 << 20, "more than 16 MiB");
	store[16]++;
	not_variables(r, store, size, "no store");
	/* the power failed while its first block was written anew */
	memset(store, 0xff, 4096);
	again = r;
	assert_true(rom_add_variables(&again, store, size));
	image[40] = 0;
	assert_true(rom_parse(image, code, &r));
	not_variables(r, store, size, "no UEFI firmware");
	test_free(image);
	test_free(store);
}

static bool has_file(const char *name)
{
	u32 i;

	for (i = 0; i < files.count; i++)
		if (!strcmp(files.file[i].name, name))
			return true;
	return false;
}

/* SeaBIOS's screen is either the VGA, by the BIOS of that, or the serial console. */
static void a_screen_has_its_bios(void **state)
{
	static u8 bios[64 << 10], found[sizeof(bios)];
	struct firmware_machine machine = { .memory = 1 << 30, .vcpus = 1, .phys_bits = 39, .pm_base = 0x600, .ioapic_id = 1 };
	u32 i;

	(void)state;
	build(1 << 30, 1);
	assert_true(has_file("etc/sercon-port") && !has_file("vgaroms/machine.rom"));
	for (i = 0; i < sizeof(bios); i++)
		bios[i] = (u8)(i * 7);
	machine.vga = true;
	build_for(&machine);
	assert_true(has_file("etc/sercon-port") && !has_file("vgaroms/machine.rom"));
	machine.video_bios = bios;
	machine.video_bios_size = sizeof(bios);
	build_for(&machine);
	assert_false(has_file("etc/sercon-port"));
	assert_int_equal(load("vgaroms/machine.rom", found, sizeof(found)), sizeof(bios));
	assert_memory_equal(found, bios, sizeof(bios));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loader_makes_good_tables),
		cmocka_unit_test(memory_map_has_ram),
		cmocka_unit_test(smbios_says_what_there_is),
		cmocka_unit_test(old_items_are_empty),
		cmocka_unit_test(files_have_limits),
		cmocka_unit_test(a_screen_has_its_bios),
		cmocka_unit_test(image_ends_at_the_reset_vector),
		cmocka_unit_test(variables_precede_the_code),
		cmocka_unit_test(what_is_no_variables),
		cmocka_unit_test(other_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
