// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices vfio-pci may have, by a sysfs of files; that it is asked rightly; and which memory is mapped. What the
 * kernel makes of it is tested in QEMU.
 */
#define _GNU_SOURCE
#include "unit.h"
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <unistd.h>
#undef fail		/* of cmocka; avmmctl has one of its own */

/* No module is loaded into the machine that tests. */
static int no_spawn(pid_t *child, const char *path, const void *actions, const void *attributes, char *const argv[],
		    char *const envp[])
{
	(void)child, (void)path, (void)actions, (void)attributes, (void)argv, (void)envp;
	return ENOENT;
}

#define posix_spawn	no_spawn
#include "userspace-ctl/vfio-bind.c"

#define CARD	"0000:01:00.0"
#define OTHER	"0000:01:00.1"
#define GIB	(1ull << 30)

static char root[64];
static char said[512];

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

/* The fake sysfs */

static void shell(const char *format, ...)
{
	char command[1024];
	va_list args;
	int n = snprintf(command, sizeof(command), "set -e; cd %s; ", root);

	va_start(args, format);
	vsnprintf(command + n, sizeof(command) - (size_t)n, format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static void add_device(const char *address, const char *driver)
{
	shell("mkdir -p bus/pci/devices/%s kernel/iommu_groups/7/devices; cd bus/pci/devices/%s; "
	      "echo '(null)' >driver_override; echo bus >reset_method; ln -s ../../../../kernel/iommu_groups/7 iommu_group; "
	      "ln -s ../../../../bus/pci/devices/%s iommu_group/devices/%s", address, address, address, address);
	if (driver[0])
		shell("mkdir -p bus/pci/drivers/%s; : >bus/pci/drivers/%s/unbind; "
		      "ln -s ../../drivers/%s bus/pci/devices/%s/driver",
		      driver, driver, driver, address);
}

static int make(void **state)
{
	(void)state;
	strcpy(root, "/tmp/avmm-vfio-XXXXXX");
	assert_non_null(mkdtemp(root));
	sys = root;
	said[0] = '\0';
	add_device(CARD, "e1000");
	shell("mkdir -p bus/pci/drivers/vfio-pci; : >bus/pci/drivers_probe");
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	shell("rm -rf %s", root);
	return 0;
}

static void assert_file(const char *name, const char *expected)
{
	char path[128], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/bus/pci/%s", root, name);
	file = fopen(path, "re");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(text, expected);
}

static void assert_refused(const char *words)
{
	assert_int_equal(vfio_take(CARD), EXIT_REFUSED);
	assert_non_null(strstr(said, words));
}

/* Nothing was written. */
static void assert_untouched(const char *words)
{
	assert_refused(words);
	assert_file("drivers_probe", "");
	assert_file("drivers/e1000/unbind", "");
}

static void each_refusal_names_its_reason(void **state)
{
	(void)state;
	shell("mv kernel/iommu_groups/7 kernel/7");
	assert_untouched("Linux has no IOMMU");
	assert_non_null(strstr(said, "intel_iommu=on"));
	shell("mv kernel/7 kernel/iommu_groups/7; mv bus/pci/devices/" CARD "/iommu_group x");
	assert_untouched("does not cover it");
	shell("mv x bus/pci/devices/" CARD "/iommu_group; rm bus/pci/devices/" CARD "/reset_method");
	assert_untouched("cannot be reset");
	shell("echo >bus/pci/devices/" CARD "/reset_method; echo other >bus/pci/devices/" CARD "/driver_override");
	assert_untouched("reserved for the driver other by driver_override");
	shell("echo '(null)' >bus/pci/devices/" CARD "/driver_override; rmdir bus/pci/drivers/vfio-pci");
	assert_untouched("there is no vfio-pci");
	shell("rm -r bus/pci/devices/" CARD);
	assert_refused("there is no device at " CARD);
}

static void a_group_is_taken_whole(void **state)
{
	static const char *const harmless[] = { "", "pcieport", "pci-stub", "vfio-pci" };
	size_t i;

	(void)state;
	add_device(OTHER, "nvme");
	assert_untouched("does not tell it from " OTHER ", which is in use: its driver is nvme");
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		shell("rm -r bus/pci/devices/" OTHER " kernel/iommu_groups/7/devices/" OTHER);
		add_device(OTHER, harmless[i]);
		/* the files give it no driver */
		assert_refused("does not take it");
	}
}

/* The kernel of files does nothing: so it is tried, and undone. */
static void it_is_asked_for_and_given_back(void **state)
{
	(void)state;
	assert_refused("vfio-pci does not take it");
	assert_file("drivers/e1000/unbind", CARD);
	assert_file("drivers_probe", CARD);
	assert_file("devices/" CARD "/driver_override", "\nfio-pci");	/* a file, whose rest stays */
	shell("rm bus/pci/devices/" CARD "/driver; ln -s ../../drivers/vfio-pci bus/pci/devices/" CARD "/driver; "
	      ": >bus/pci/drivers/vfio-pci/unbind");
	assert_int_equal(vfio_take(CARD), EXIT_DONE);
	assert_int_equal(vfio_give(CARD), EXIT_DONE);
	assert_file("drivers/vfio-pci/unbind", CARD);
}

static void all_memory_is_mapped_where_the_guest_has_it(void **state)
{
	struct vfio_stretch s[2];

	(void)state;
	assert_int_equal(vfio_stretches(0, s), 0);
	assert_int_equal(vfio_stretches(2 << 20, s), 1);
	assert_int_equal(s[0].guest, 0);
	assert_int_equal(s[0].size, 2 << 20);
	assert_int_equal(vfio_stretches(3 * GIB, s), 1);
	assert_int_equal(s[0].size, 3 * GIB);
	assert_int_equal(vfio_stretches(8 * GIB, s), 2);
	assert_int_equal(s[0].size, 3 * GIB);
	assert_int_equal(s[1].guest, 4 * GIB);
	assert_int_equal(s[1].size, 5 * GIB);
}

/* Without /dev/vfio, as on any machine that builds this. */
static void nothing_is_open_after_a_failure(void **state)
{
	struct vfio vfio;

	(void)state;
	vfio_begin(&vfio);
	assert_int_equal(vfio_map(&vfio, GIB), EXIT_DONE);
	assert_int_equal(vfio_open(&vfio, "ffff:ff:1f.7"), EXIT_REFUSED);
	assert_int_equal(vfio.count, 0);
	vfio_close(&vfio);
	vfio_close(&vfio);
	assert_int_equal(vfio.container, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_refusal_names_its_reason, make, remove_all),
		cmocka_unit_test_setup_teardown(a_group_is_taken_whole, make, remove_all),
		cmocka_unit_test_setup_teardown(it_is_asked_for_and_given_back, make, remove_all),
		cmocka_unit_test(all_memory_is_mapped_where_the_guest_has_it),
		cmocka_unit_test(nothing_is_open_after_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
