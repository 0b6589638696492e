// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl nbd disconnect, and accept */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <netlink/errno.h>
#include "kernel.h"
#include "nbd.h"
#include "record.h"

#define MANAGER_TRIES	100	/* of 100 ms: until it has ended */

/* The device mapper's name of whoever sits on the device, "" if there is none. */
static void find_holder(int index, char holder[256])
{
	struct dirent *entry;
	char path[64];
	DIR *dir;

	*holder = '\0';
	snprintf(path, sizeof(path), "/sys/block/nbd%d/holders", index);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			snprintf(holder, 256, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static int refuse_if_used(int index)
{
	char path[32], holder[256];
	int fd;

	snprintf(path, sizeof(path), "/dev/nbd%d", index);
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return EXIT_DONE;
	}
	if (errno != EBUSY)
		return fail("%s: %s", path, strerror(errno));
	find_holder(index, holder);
	if (holder[0])
		return fail("%s is in use by %s; --force takes it away", path, holder);
	return fail("%s is in use: mounted, or the disk of a partition; --force takes it away", path);
}

/* Its end leaves the device connected, and nobody who would connect it anew. Returns the lock or a negative errno. */
static int end_manager(int index)
{
	static const struct timespec pause = { .tv_nsec = 100000000 };
	int holder = 0, lock, tries;
	bool told = false;

	for (tries = 0; tries < MANAGER_TRIES; tries++) {
		lock = record_lock(NBD_RUN_DIR, index, &holder);
		if (lock != -EWOULDBLOCK)
			return lock;
		if (!told && holder > 0)
			told = !kill(holder, SIGTERM);
		nanosleep(&pause, NULL);
	}
	return -EWOULDBLOCK;
}

static int disconnect_device(struct kernel *kernel, int index, bool force)
{
	bool connected = false;
	int ret, lock;

	ret = kernel_is_connected(kernel, index, &connected);
	if (ret)
		return fail("cannot talk with the kernel's nbd driver: %s", nl_geterror(ret));
	if (!connected) {
		record_remove(NBD_RUN_DIR, index);
		return fail("/dev/nbd%d is not connected", index);
	}
	if (!force && refuse_if_used(index))
		return EXIT_REFUSED;
	lock = end_manager(index);
	if (lock < 0)
		return fail("the manager of /dev/nbd%d does not end: %s", index, strerror(-lock));
	ret = kernel_disconnect(kernel, index);
	if (!ret)
		record_remove(NBD_RUN_DIR, index);
	close(lock);
	if (ret == -NLE_PERM)
		return fail("permission denied: this needs root (CAP_SYS_ADMIN)");
	return ret ? fail("the kernel's nbd driver refused: %s", nl_geterror(ret)) : EXIT_DONE;
}

static int done(int status, int index, const char *what)
{
	struct json_object *object;
	char device[32];

	if (status)
		return status;
	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	if (!output_json) {
		printf("%s: %s\n", device, what);
		return EXIT_DONE;
	}
	object = json_object_new_object();
	json_object_object_add(object, "device", json_object_new_string(device));
	json_object_object_add(object, "done", json_object_new_string(what));
	print_json(object, false);
	return EXIT_DONE;
}

int nbd_disconnect_run(const struct command *self, int argc, char **argv)
{
	struct kernel kernel;
	bool force = false;
	int index, status;

	status = device_options(self, argc, argv, &index, &force);
	if (status != GO_ON)
		return status;
	status = kernel_open(&kernel, false);
	if (status)
		return status;
	status = disconnect_device(&kernel, index, force);
	kernel_close(&kernel);
	return done(status, index, "disconnected");
}

int nbd_accept_run(const struct command *self, int argc, char **argv)
{
	int index, status, lock, holder = 0;
	struct nbd_record record;

	status = device_options(self, argc, argv, &index, NULL);
	if (status != GO_ON)
		return status;
	lock = record_lock(NBD_RUN_DIR, index, &holder);
	if (lock >= 0) {
		close(lock);
		return fail("/dev/nbd%d has no manager", index);
	}
	if (record_read(NBD_RUN_DIR, index, &record) || record.state != NBD_REFUSED)
		status = fail("/dev/nbd%d is not refused: there is nothing to accept", index);
	record_free(&record);
	if (status == EXIT_REFUSED)
		return status;
	if (lock != -EWOULDBLOCK || holder <= 0)
		return fail("cannot find the manager of /dev/nbd%d: %s", index, strerror(-lock));
	if (kill(holder, SIGUSR1))
		return fail("cannot tell the manager, process %d: %s", holder, strerror(errno));
	return done(EXIT_DONE, index, "told");
}
