// SPDX-License-Identifier: GPL-2.0-only
/* The file with the firmware's variables: made from a template, and replaced when the guest has changed them. */
#include "unit.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char device[64];		/* stands for /dev/avmm */

#undef fail	/* cmocka's */
#include "include/uapi/avmm_netlink.h"
#undef AVMM_DEVICE
#define AVMM_DEVICE device
#include "userspace-ctl/variables.c"

#define SIZE	8192u

static char folder[] = "/tmp/avmm-variables-XXXXXX", path[64], template[64], fresh[80];
static char said[512];
static struct config config;

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
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

static void put(const char *name, u8 byte, size_t size)
{
	u8 *data = malloc(size);
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && data);
	memset(data, byte, size);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
	free(data);
}

static u8 has(const char *name)
{
	u8 data[SIZE];
	int fd = open(name, O_RDONLY);
	u32 i;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, data, SIZE), SIZE);
	close(fd);
	for (i = 1; i < SIZE; i++)
		assert_int_equal(data[i], data[0]);
	return data[0];
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(device, sizeof(device), "%s/device", folder);
	snprintf(path, sizeof(path), "%s/vars.fd", folder);
	snprintf(template, sizeof(template), "%s/template", folder);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	put(template, 't', SIZE);
	put(device, 't', SIZE);
	config = (struct config){ .variables_template = template };
	config.text[KEY_VARIABLES] = path;
	said[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rmdir(fresh);
	unlink(fresh);
	unlink(path);
	unlink(template);
	unlink(device);
	return rmdir(folder);
}

static void made_from_the_template(void **state)
{
	u8 *data = NULL;
	u64 size = 0;

	(void)state;
	assert_int_equal(variables_read(&config, &data, &size), EXIT_DONE);
	assert_int_equal(size, SIZE);
	assert_int_equal(data[0], 't');
	assert_int_equal(has(path), 't');
	free(data);
	/* … once */
	put(path, 'k', SIZE);
	assert_int_equal(variables_read(&config, &data, &size), EXIT_DONE);
	assert_int_equal(data[0], 'k');
	free(data);
}

static void refused(const char *why)
{
	u8 *data = NULL;
	u64 size = 0;

	said[0] = '\0';
	assert_int_equal(variables_read(&config, &data, &size), EXIT_REFUSED);
	free(data);
	if (!strstr(said, why))
		print_error("%s\n", said);
	assert_non_null(strstr(said, why));
}

static void refusals(void **state)
{
	char nowhere[] = "/proc/avmm/vars.fd";

	(void)state;
	put(path, 'k', SIZE / 2);
	refused("it has 4096 bytes, but the variables of this firmware have 8192");
	unlink(path);
	assert_int_equal(mkdir(fresh, 0700), 0);
	refused("cannot be kept there");
	rmdir(fresh);
	config.text[KEY_VARIABLES] = nowhere;
	refused("/proc/avmm/vars.fd: No such file");
	config.text[KEY_VARIABLES] = path;
	unlink(template);
	refused("template: No such file");
	put(template, 't', SIZE);
	config.variables_template = NULL;
	refused("vars.fd: No such file");
}

static void changes_are_kept(void **state)
{
	struct variables v;
	struct stat before, after;

	(void)state;
	put(path, 't', SIZE);
	assert_int_equal(variables_begin(&v, &config), EXIT_DONE);
	assert_int_equal(stat(path, &before), 0);
	/* nothing was written, or nothing else than there was */
	variables_look(&v, 0);
	variables_look(&v, 5);
	variables_save(&v);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	put(device, 'n', SIZE);
	variables_look(&v, 5);
	assert_int_equal(has(path), 't');
	variables_look(&v, 6);
	assert_int_equal(has(path), 'n');
	put(device, 'l', SIZE);
	variables_end(&v);
	assert_int_equal(has(path), 'l');
	assert_int_equal(access(fresh, F_OK), -1);
	assert_string_equal(said, "");
}

/* It is said once, tried again, and the old file is whole meanwhile. */
static void a_file_that_cannot_be_written(void **state)
{
	struct variables v;

	(void)state;
	put(path, 't', SIZE);
	assert_int_equal(variables_begin(&v, &config), EXIT_DONE);
	put(device, 'n', SIZE);
	assert_int_equal(mkdir(fresh, 0700), 0);
	variables_look(&v, 1);
	assert_non_null(strstr(said, "the firmware's variables are not kept"));
	said[0] = '\0';
	variables_look(&v, 1);
	assert_string_equal(said, "");
	assert_int_equal(has(path), 't');
	rmdir(fresh);
	variables_look(&v, 1);
	assert_int_equal(has(path), 'n');
	variables_end(&v);
}

static void none_to_keep(void **state)
{
	struct variables v;

	(void)state;
	config.text[KEY_VARIABLES] = NULL;
	unlink(device);
	assert_int_equal(variables_begin(&v, &config), EXIT_DONE);
	variables_look(&v, 1);
	variables_save(&v);
	variables_end(&v);
	put(device, 't', SIZE);
}

/* The module has gone, or has less than it should: the file stays. */
static void a_device_that_says_nothing(void **state)
{
	struct variables v;

	(void)state;
	put(path, 't', SIZE);
	assert_int_equal(variables_begin(&v, &config), EXIT_DONE);
	put(device, 'n', SIZE - 1);
	variables_look(&v, 1);
	variables_end(&v);
	assert_non_null(strstr(said, "could not be read"));
	assert_int_equal(has(path), 't');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_from_the_template, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written, setup, teardown),
		cmocka_unit_test_setup_teardown(none_to_keep, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_that_says_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
