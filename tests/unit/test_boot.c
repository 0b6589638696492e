// SPDX-License-Identifier: GPL-2.0-only
/* Direct boot: headers that are refused, where everything goes, and what a kernel finds there. */
#include "unit.h"
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <avmm/partition.h>
#include "small_kernel.h"

#define GIB		(1ull << 30)
#define KERNELS		"../../build/cache/kernels/*/boot/vmlinuz-*"

static const u64 sizes[] = {
	64 * MIB, 66 * MIB, 128 * MIB, 512 * MIB, 2 * GIB, 3 * GIB - 2 * MIB, 3 * GIB, 3 * GIB + 2 * MIB, 4 * GIB,
	4 * GIB + 2 * MIB, 16 * GIB, 64 * GIB,
};

struct range {
	const char *name;
	u64 start;
	u64 size;
};

static const char *parse(const u8 *file, struct bzimage *image)
{
	return bzimage_parse(file, BZIMAGE_HEAD, FILE_SIZE, image);
}

static void header_is_read(void **state)
{
	struct bzimage image;
	u8 file[FILE_SIZE];

	(void)state;
	make_kernel(file);
	assert_null(parse(file, &image));
	assert_int_equal(image.offset, SETUP);
	assert_int_equal(image.size, FILE_SIZE - SETUP);
	assert_int_equal(image.room, 8 * MIB);
	assert_int_equal(image.address, 16 * MIB);
	assert_int_equal(image.alignment, 2 * MIB);
	assert_int_equal(image.initrd_end, 2 * GIB);

	/* 0 sectors are 4, for historical reasons */
	header_of(file)->setup_sects = 0;
	header_of(file)->syssize = 0;
	assert_null(parse(file, &image));
	assert_int_equal(image.offset, 5 * 512);
	/* a kernel that is larger than it says it needs */
	header_of(file)->init_size = 1;
	assert_null(parse(file, &image));
	assert_int_equal(image.room, image.size);
	header_of(file)->relocatable_kernel = 0;
	assert_null(parse(file, &image));
	assert_int_equal(image.alignment, 0);
	/* the jump says where the header ends: the rest is not a header */
	file[0x201] = 0x22c - 0x202;
	assert_non_null(strstr(parse(file, &image), "64-bit"));
	assert_int_equal(image.header.xloadflags, 0);
}

static void headers_are_refused(void **state)
{
	struct bzimage image;
	u8 file[FILE_SIZE];
	struct setup_header *header = header_of(file);

	(void)state;
#define REFUSED(change, text) do { \
		const char *problem; \
		make_kernel(file); \
		change; \
		problem = parse(file, &image); \
		assert_non_null(problem); \
		assert_non_null(strstr(problem, text)); \
	} while (0)
	REFUSED(header->boot_flag = 0, "not a Linux kernel");
	REFUSED(header->header = 0, "not a Linux kernel");
	REFUSED(header->version = 0x020b, "too old");
	REFUSED(header->loadflags = 0, "zImage");
	REFUSED(header->xloadflags = 0, "64-bit");
	REFUSED(header->kernel_alignment = 3 * MIB, "alignment");
	REFUSED(header->kernel_alignment = 0, "alignment");
	REFUSED(header->kernel_alignment = 2048, "alignment");
	REFUSED(header->pref_address = 4 * GIB, "4 GiB");
	REFUSED(header->init_size = 0xffffffff, "1 GiB");
	REFUSED(header->setup_sects = 255, "cut off");
	REFUSED(header->setup_sects = 17, "cut off");
	REFUSED(header->syssize++, "cut off");
#undef REFUSED
	make_kernel(file);
	assert_non_null(bzimage_parse(file, 1023, FILE_SIZE, &image));
	assert_non_null(bzimage_parse(file, 1024, 1023, &image));
	assert_non_null(bzimage_parse(file, 1024, 1024, &image));
	assert_non_null(bzimage_parse(file, 0, 0, &image));
}

static void check_ranges(const struct range *range, u32 count, const struct boot_request *request)
{
	struct boot_e820_entry map[BOOT_E820_MAX];
	u32 n = boot_e820(request->memory, request->window, map), i, j;

	for (i = 0; i < count; i++) {
		for (j = i + 1; j < count; j++) {
			if (range[i].start < range[j].start + range[j].size &&
			    range[j].start < range[i].start + range[i].size)
				fail_msg("%s and %s overlap", range[i].name, range[j].name);
		}
		for (j = 0; j < n; j++) {
			if (map[j].addr <= range[i].start &&
			    range[i].start + range[i].size <= map[j].addr + map[j].size)
				break;
		}
		if (j == n)
			fail_msg("%s is not in one entry of the map", range[i].name);
		/* what the guest must not use for itself is not RAM; the rest it gives up on its own */
		assert_int_equal(map[j].type, range[i].start < BOOT_EBDA || range[i].start >= BOOT_HIGH ? 1 : 2);
	}
}

static void check_layout(const struct boot_request *request, const struct boot_layout *layout)
{
	const struct bzimage *image = request->image;
	const struct range ranges[] = {
		{ "GDT", BOOT_GDT, BOOT_GDT_SIZE },
		{ "page tables", BOOT_PAGE_TABLES, 6 * 4096 },
		{ "boot_params", BOOT_PARAMS, 4096 },
		{ "command line", BOOT_CMDLINE, BOOT_CMDLINE_SIZE },
		{ "EBDA", BOOT_EBDA, 1024 },
		{ "ACPI tables", BOOT_ACPI, ACPI_MAX_SIZE },
		{ "RSDP", BOOT_RSDP, ACPI_RSDP_SIZE },
		{ "kernel", layout->kernel, image->room },
		{ "initrd", layout->initrd, request->initrd_size },
	};

	check_ranges(ranges, ARRAY_SIZE(ranges) - !request->initrd_size, request);
	assert_int_equal(layout->base, request->window);
	assert_true(layout->end <= AVMM_PCI_HOLE && layout->end <= request->window + request->memory);
	assert_true(layout->kernel >= request->window);
	assert_int_equal(layout->entry, layout->kernel + 0x200);
	if (layout->kernel != image->address) {
		assert_true(image->alignment);
		assert_int_equal(layout->kernel % image->alignment, 0);
	}
	if (request->initrd_size) {
		assert_int_equal(layout->initrd % 4096, 0);
		assert_true(layout->initrd + request->initrd_size <= image->initrd_end);
	}
}

static void layouts_do_not_overlap(void **state)
{
	u64 random = 1, planned = 0, initrd, i, size;
	struct boot_layout layout;
	struct bzimage image;
	u8 file[FILE_SIZE];

	(void)state;
	make_kernel(file);
	for (size = 0; size < ARRAY_SIZE(sizes); size++) {
		for (i = 0; i < 2000; i++) {
			struct setup_header *header = header_of(file);

			initrd = i % 3 ? random_below(&random, 80 * MIB) : 0;
			header->init_size = (u32)random_below(&random, 100 * MIB);
			header->pref_address = random_below(&random, 64) * MIB;
			header->kernel_alignment = 4096u << random_below(&random, 13);
			header->relocatable_kernel = i % 5 != 0;
			header->initrd_addr_max = i % 7 ? 0x7fffffff : (u32)random_u64(&random);
			assert_null(parse(file, &image));
			struct boot_request request = {
				.memory = sizes[size], .image = &image, .cmdline = "", .initrd_size = initrd,
				.window = random_below(&random, 4) ? 0 : random_below(&random, 1536) * 2 * MIB,
			};

			if (!boot_plan(&request, &layout)) {
				assert_string_not_equal(layout.problem, "");
				continue;
			}
			planned++;
			check_layout(&request, &layout);
		}
	}
	assert_true(planned > 10000);
}

static void kernel_goes_low_if_it_must(void **state)
{
	struct boot_layout layout;
	struct bzimage image;
	u8 file[FILE_SIZE];
	struct boot_request request = { .memory = 64 * MIB, .image = &image, .cmdline = "" };

	(void)state;
	make_kernel(file);
	assert_null(parse(file, &image));
	assert_true(boot_plan(&request, &layout));
	assert_int_equal(layout.kernel, 16 * MIB);
	request.initrd_size = 48 * MIB;
	assert_true(boot_plan(&request, &layout));
	assert_int_equal(layout.kernel, 2 * MIB);
	assert_int_equal(layout.initrd, 16 * MIB);
	request.initrd_size = 55 * MIB;
	assert_false(boot_plan(&request, &layout));
	assert_non_null(strstr(layout.problem, "unpack"));
	request.initrd_size = 64 * MIB;
	assert_false(boot_plan(&request, &layout));
	assert_non_null(strstr(layout.problem, "initrd"));
	request.initrd_size = 0;
	request.memory = 2 * MIB;
	assert_false(boot_plan(&request, &layout));

	/* the one that cannot move */
	header_of(file)->relocatable_kernel = 0;
	assert_null(parse(file, &image));
	request.memory = 64 * MIB;
	request.initrd_size = 48 * MIB;
	assert_false(boot_plan(&request, &layout));
}

static void long_command_lines_are_refused(void **state)
{
	struct boot_layout layout;
	struct bzimage image;
	u8 file[FILE_SIZE];
	static char line[0x20001];
	struct boot_request request = { .memory = 64 * MIB, .image = &image, .cmdline = line };

	(void)state;
	make_kernel(file);
	assert_null(parse(file, &image));
	memset(line, 'x', 2047);
	assert_true(boot_plan(&request, &layout));
	line[2047] = 'x';
	assert_false(boot_plan(&request, &layout));
	assert_non_null(strstr(layout.problem, "2048"));
	/* however long the kernel would take it: it lies in one place */
	image.cmdline_max = 0xffffffff;
	memset(line, 'x', BOOT_CMDLINE_SIZE - 1);
	assert_true(boot_plan(&request, &layout));
	line[BOOT_CMDLINE_SIZE - 1] = 'x';
	assert_false(boot_plan(&request, &layout));
}

static void map_has_all_memory(void **state)
{
	struct boot_e820_entry map[BOOT_E820_MAX];
	u32 i, j, n;
	u64 ram;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = boot_e820(sizes[i], 0, map);
		for (j = 0, ram = 0; j < n; j++) {
			assert_true(map[j].size > 0);
			assert_true(!j || map[j].addr >= map[j - 1].addr + map[j - 1].size);
			assert_true(map[j].addr >= 4 * GIB || map[j].addr + map[j].size <= AVMM_PCI_HOLE);
			if (map[j].type == 1)
				ram += map[j].size;
		}
		/* all but what lies between 9fc00h and 1 MiB */
		assert_int_equal(ram, sizes[i] - (MIB - 0x9fc00));
	}
}

/* A guest that uses what it is told to be RAM uses the window, and what no device will be given. */
static void map_of_a_window(void **state)
{
	struct boot_e820_entry map[BOOT_E820_MAX];
	u32 n = boot_e820(256 * MIB, 512 * MIB, map), i;
	u64 ram = 0;

	(void)state;
	for (i = 0; i < n; i++) {
		assert_true(!i || map[i].addr >= map[i - 1].addr + map[i - 1].size);
		if (map[i].type == 1)
			ram += map[i].size;
		assert_true(map[i].type != 1 || map[i].addr + map[i].size <= BOOT_EBDA || map[i].addr == 512 * MIB);
	}
	assert_int_equal(ram, BOOT_EBDA + 256 * MIB);
}

static void windows_are_refused(void **state)
{
	struct boot_layout layout;
	struct bzimage image;
	u8 file[FILE_SIZE];
	struct boot_request request = { .memory = 64 * MIB, .image = &image, .cmdline = "", .window = 64 * MIB };

	(void)state;
	make_kernel(file);
	assert_null(parse(file, &image));
	assert_true(boot_plan(&request, &layout));
	assert_int_equal(layout.kernel, 64 * MIB);
	request.window = AVMM_PCI_HOLE - 64 * MIB;
	assert_true(boot_plan(&request, &layout));
	request.window += 2 * MIB;
	assert_false(boot_plan(&request, &layout));
	assert_non_null(strstr(layout.problem, "window"));
	request.window = 4 * GIB;
	assert_false(boot_plan(&request, &layout));
	request.window = MIB;
	assert_false(boot_plan(&request, &layout));
	header_of(file)->relocatable_kernel = 0;
	assert_null(parse(file, &image));
	request.window = 64 * MIB;
	assert_false(boot_plan(&request, &layout));
}

static u64 get64(const u8 *ram, u64 at)
{
	u64 value;

	memcpy(&value, ram + at, sizeof(value));
	return value;
}

/* As a CPU walks. */
static u64 translate(const u8 *ram, u64 address)
{
	u64 pml4e = get64(ram, BOOT_PAGE_TABLES + 8 * (address >> 39 & 511));
	u64 pdpte = get64(ram, (pml4e & ~0xfffull) + 8 * (address >> 30 & 511));
	u64 pde = get64(ram, (pdpte & ~0xfffull) + 8 * (address >> 21 & 511));

	assert_int_equal(pml4e & 0xfff, 3);
	assert_int_equal(pdpte & 0xfff, 3);
	assert_int_equal(pde & 0xfff, 0x83);
	return (pde & ~0x1fffffull) | (address & 0x1fffff);
}

static void check_memory(const struct boot_request *request, const struct boot_layout *layout, const u8 *ram,
			 const u8 *high)
{
	struct boot_params params;
	u64 address;

	memcpy(&params, ram + BOOT_PARAMS, sizeof(params));
	assert_int_equal(params.hdr.header, 0x53726448);
	assert_int_equal(params.hdr.type_of_loader, 0xff);
	assert_int_equal(params.hdr.cmd_line_ptr, BOOT_CMDLINE);
	assert_string_equal((const char *)ram + BOOT_CMDLINE, request->cmdline);
	assert_int_equal(params.hdr.ramdisk_image, layout->initrd);
	assert_int_equal(params.hdr.ramdisk_size, request->initrd_size);
	assert_int_equal(params.acpi_rsdp_addr, BOOT_RSDP);
	assert_memory_equal(ram + BOOT_RSDP, "RSD PTR ", 8);
	assert_memory_equal(ram + get64(ram, BOOT_RSDP + 24), "XSDT", 4);
	assert_int_equal(params.e820_entries, boot_e820(request->memory, request->window, params.e820_table));
	assert_int_equal(params.sentinel, 0);
	if (request->screen)
		assert_memory_equal(&params.screen_info, request->screen, BOOT_SCREEN);
	else
		assert_int_equal(params.screen_info.orig_video_isVGA, 0);
	assert_int_equal(get64(ram, BOOT_GDT + 0x10) >> 40, 0x00af9b);
	assert_int_equal(get64(ram, BOOT_GDT + 0x18) >> 40, 0x00cf93);
	for (address = 0; address < 4 * GIB; address += 0x1fff37)
		assert_int_equal(translate(ram, address), address);
	assert_memory_equal(high + (layout->kernel - layout->base), request->kernel, request->image->size);
}

static u8 *map_zeroes(u64 size)
{
	u8 *ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(ram, MAP_FAILED);
	return ram;
}

static void write_and_check(const struct boot_request *request)
{
	struct boot_layout layout;
	u8 *ram, *low;

	assert_true(boot_plan(request, &layout));
	check_layout(request, &layout);
	ram = map_zeroes(layout.end - layout.base);
	low = layout.base ? map_zeroes(AVMM_WINDOW_LOW) : ram;
	boot_write(request, &layout, low, ram);
	check_memory(request, &layout, low, ram);
	munmap(ram, layout.end - layout.base);
	if (layout.base)
		munmap(low, AVMM_WINDOW_LOW);
}

static struct boot_request request_for(const struct bzimage *image, const u8 *file, u64 memory)
{
	return (struct boot_request){
		.memory = memory, .image = image, .kernel = file + image->offset, .cmdline = "console=ttyS0 quiet",
		.acpi = { .vcpus = 1, .memory = memory, .phys_bits = 39, .pm_base = AVMM_PM_BASE },
	};
}

static void memory_is_written(void **state)
{
	const struct screen_info screen = { .orig_video_isVGA = 1, .orig_video_cols = 80, .orig_video_lines = 25 };
	struct boot_request request;
	struct bzimage image;
	u8 file[FILE_SIZE];
	u32 i;

	(void)state;
	make_kernel(file);
	assert_null(parse(file, &image));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		request = request_for(&image, file, sizes[i]);
		request.initrd_size = 5 * MIB + 17;
		write_and_check(&request);
		request.screen = (const u8 *)&screen;
		write_and_check(&request);
		request.window = 512 * MIB;
		if (sizes[i] <= AVMM_PCI_HOLE - request.window)
			write_and_check(&request);
	}
}

static void distribution_kernels_are_taken(void **state)
{
	struct boot_request request;
	struct bzimage image;
	struct stat info;
	glob_t found;
	size_t i;
	u8 *file;
	int fd;

	(void)state;
	if (glob(KERNELS, 0, NULL, &found)) {
		print_message("no kernel in build/cache/kernels: scripts/setup.sh kernels fetches them\n");
		skip();
	}
	for (i = 0; i < found.gl_pathc; i++) {
		fd = open(found.gl_pathv[i], O_RDONLY);
		assert_true(fd >= 0 && !fstat(fd, &info));
		file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		assert_ptr_not_equal(file, MAP_FAILED);
		assert_null(bzimage_parse(file, BZIMAGE_HEAD, (u64)info.st_size, &image));
		request = request_for(&image, file, 512 * MIB);
		write_and_check(&request);
		request.window = 1024 * MIB;
		write_and_check(&request);
		munmap(file, (size_t)info.st_size);
		close(fd);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_read),
		cmocka_unit_test(headers_are_refused),
		cmocka_unit_test(layouts_do_not_overlap),
		cmocka_unit_test(kernel_goes_low_if_it_must),
		cmocka_unit_test(long_command_lines_are_refused),
		cmocka_unit_test(map_has_all_memory),
		cmocka_unit_test(map_of_a_window),
		cmocka_unit_test(windows_are_refused),
		cmocka_unit_test(memory_is_written),
		cmocka_unit_test(distribution_kernels_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
