// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes a PCI device from its driver for vfio-pci, by driver_override, and gives it back. Whether it may be taken is asked
 * of sysfs before anything is changed: an IOMMU isolates groups of devices, so nobody in Linux may use one of its group.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "avmmctl.h"
#include "vfio.h"

#define DRIVER	"vfio-pci"

static const char *sys = "/sys";

/* NAME of the device in sysfs */
static const char *device_file(char path[PATH_MAX], const char *address, const char *name)
{
	snprintf(path, PATH_MAX, "%s/bus/pci/devices/%s/%s", sys, address, name);
	return path;
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* The last part of what a link of the device leads to; "" if there is none. */
static void read_link(const char *address, const char *link, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length = readlink(device_file(path, address, link), target, sizeof(target) - 1);
	const char *slash;

	target[length < 0 ? 0 : length] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, size, "%.*s", (int)size - 1, slash ? slash + 1 : target);
}

/* A write to sysfs: true, or false with errno. */
static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done = fd < 0 ? -1 : write(fd, text, strlen(text));
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return done == (ssize_t)strlen(text);
}

static bool is_empty(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool empty = true;

	while (dir && empty && (entry = readdir(dir)))
		empty = entry->d_name[0] == '.';
	if (dir)
		closedir(dir);
	return empty;
}

/* Drivers that do no DMA of Linux's: vfio lets their devices be in a group. */
static bool is_harmless(const char *driver)
{
	return !driver[0] || !strcmp(driver, DRIVER) || !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport");
}

/* An IOMMU cannot tell the devices of a group apart. */
static int check_group(const char *address)
{
	char path[PATH_MAX], driver[64];
	const struct dirent *entry;
	int ret = EXIT_DONE;
	DIR *dir;

	dir = opendir(device_file(path, address, "iommu_group/devices"));
	if (!dir)
		return fail("%s: dma = iommu: the IOMMU of this machine does not cover it", address);
	while (!ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, address))
			continue;
		read_link(entry->d_name, "driver", driver, sizeof(driver));
		if (!is_harmless(driver))
			ret = fail("%s: dma = iommu: the IOMMU does not tell it from %.40s, which is in use: its driver is %s",
				   address, entry->d_name, driver);
	}
	closedir(dir);
	return ret;
}

static int check_override(const char *address)
{
	char path[PATH_MAX], text[64] = "";
	FILE *file = fopen(device_file(path, address, "driver_override"), "re");

	if (file && !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = '\0';
	if (!text[0] || !strcmp(text, "(null)") || !strcmp(text, DRIVER))
		return EXIT_DONE;
	return fail("%s is reserved for the driver %s by driver_override", address, text);
}

/* Its own messages would be about a module that this kernel does not have, which is said better below. */
static void load_driver(void)
{
	char *const argv[] = { "modprobe", "-q", "-a", DRIVER, "vfio_iommu_type1", NULL };
	char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	pid_t child;

	if (!posix_spawn(&child, "/sbin/modprobe", NULL, NULL, argv, envp))
		waitpid(child, NULL, 0);
}

static int check_driver(const char *address)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/" DRIVER, sys);
	if (exists(path))
		return EXIT_DONE;
	load_driver();
	if (exists(path))
		return EXIT_DONE;
	return fail("%s: dma = iommu: there is no " DRIVER ": this kernel lacks the module, or `modprobe " DRIVER "` failed",
		    address);
}

static int check(const char *address)
{
	char path[PATH_MAX];
	int ret;

	if (!exists(device_file(path, address, "")))
		return fail("there is no device at %s", address);
	snprintf(path, sizeof(path), "%s/kernel/iommu_groups", sys);
	if (is_empty(path))
		return fail("%s: dma = iommu: Linux has no IOMMU: this machine has none, or its firmware (VT-d, AMD-Vi) or the "
			    "kernel's command line (intel_iommu=on) leaves it off", address);
	ret = check_group(address);
	if (!ret)
		ret = check_override(address);
	if (!ret && !exists(device_file(path, address, "reset_method")))
		ret = fail("%s cannot be reset: its next user would have its DMA of before", address);
	return ret ? ret : check_driver(address);
}

/* Off its driver, and to whom the override says. */
static int rebind(const char *address, const char *override)
{
	char path[PATH_MAX];

	if (!put(device_file(path, address, "driver_override"), override))
		return fail("%s: %s", path, strerror(errno));
	if (exists(device_file(path, address, "driver")) && !put(device_file(path, address, "driver/unbind"), address))
		return fail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%s/bus/pci/drivers_probe", sys);
	/* an error of it is the driver's that was asked: who has the device is what counts */
	put(path, address);
	return EXIT_DONE;
}

int vfio_take(const char *address)
{
	char driver[64];
	int ret = check(address);

	if (ret)
		return ret;
	ret = rebind(address, DRIVER);
	if (ret)
		return ret;
	read_link(address, "driver", driver, sizeof(driver));
	if (!strcmp(driver, DRIVER))
		return EXIT_DONE;
	vfio_give(address);
	return fail("%s: " DRIVER " does not take it: see the kernel log", address);
}

int vfio_give(const char *address)
{
	return rebind(address, "\n");
}
