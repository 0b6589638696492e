// SPDX-License-Identifier: GPL-2.0-only
/* Loading: files go into the partition's memory, which may be taken away at any moment. */
#include "unit.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "small_kernel.h"
#include "include/uapi/avmm_netlink.h"

static char device[] = "/tmp/avmm-device-XXXXXX";	/* stands for /dev/avmm */

#undef fail	/* cmocka's */
#undef AVMM_DEVICE
#define AVMM_DEVICE device
#include "userspace-ctl/image.c"

static char said[256];

int fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	return EXIT_REFUSED;
}

void notice(const char *format, ...)
{
	(void)format;
}

struct files {
	int ram;
	struct config config;
	char kernel[32];
	char initrd[32];
};

static void make_file(char *name, const char *pattern, const void *data, size_t size)
{
	int fd;

	strcpy(name, pattern);
	fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static int set_up(void **state)
{
	static struct files files;
	u8 kernel[FILE_SIZE];

	make_kernel(kernel);
	files = (struct files){ .config = { .memory = 64 * MIB, .cpus = 1 } };
	strcpy(device + sizeof(device) - 7, "XXXXXX");
	files.ram = mkstemp(device);
	make_file(files.kernel, "/tmp/avmm-kernel-XXXXXX", kernel, sizeof(kernel));
	make_file(files.initrd, "/tmp/avmm-initrd-XXXXXX", "an initrd", 9);
	files.config.text[KEY_KERNEL] = files.kernel;
	files.config.text[KEY_INITRD] = files.initrd;
	said[0] = '\0';
	*state = &files;
	return files.ram < 0;
}

static int tear_down(void **state)
{
	struct files *files = *state;

	close(files->ram);
	unlink(device);
	unlink(files->kernel);
	unlink(files->initrd);
	return 0;
}

static void image_is_written(void **state)
{
	struct files *files = *state;
	struct image image;
	char found[9];

	assert_int_equal(ftruncate(files->ram, 64 * MIB), 0);
	assert_int_equal(image_open(&image, &files->config), EXIT_DONE);
	assert_int_equal(image_write(&image), EXIT_DONE);
	assert_int_equal(pread(files->ram, found, sizeof(found), (off_t)image.layout.initrd), sizeof(found));
	assert_memory_equal(found, "an initrd", sizeof(found));
	assert_string_equal(said, "");
	image_close(&image);
}

/* A mapping beyond the end of a file behaves as one of RAM that was taken back. */
static void memory_goes_while_it_is_filled(void **state)
{
	struct files *files = *state;
	struct image image;
	off_t left;

	assert_int_equal(image_open(&image, &files->config), EXIT_DONE);
	for (left = 0; left <= 4 * (off_t)MIB; left += 2 * (off_t)MIB) {
		assert_int_equal(ftruncate(files->ram, left), 0);
		assert_int_equal(image_write(&image), EXIT_REFUSED);
		assert_string_equal(said, "the user partition went while its memory was filled");
	}
	image_close(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(image_is_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(memory_goes_while_it_is_filled, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
