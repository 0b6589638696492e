// SPDX-License-Identifier: GPL-2.0-only
/* Overlays, by the program dmsetup; see overlay.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "avmmctl.h"
#include "overlay.h"

#define MEMORY		"/run/avmm/overlay"
#define BLOCK_SECTORS	128u		/* 64 KiB: what is copied at the first write to a part of it */
#define META_PER_BLOCK	64u		/* bytes of metadata, at most; so it is never short of them */
#define META_MORE	(16u << 20)
#define NO_SPACE_TIMEOUT "/sys/module/dm_thin_pool/parameters/no_space_timeout"
#define ANSWER		512

/* Runs dmsetup with these words, the last one NULL; what it says goes into answer. True: it did what was asked. */
static bool run_dmsetup(char answer[ANSWER], const char *const words[])
{
	int pipes[2], status, pid;
	size_t have = 0;
	ssize_t n = 0;

	answer[0] = '\0';
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (!pid) {
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		execvp("dmsetup", (char *const *)(uintptr_t)words);
		dprintf(2, "dmsetup: %s", strerror(errno));
		_exit(127);
	}
	close(pipes[1]);
	while (pid > 0 && have < ANSWER - 1 && (n = read(pipes[0], answer + have, ANSWER - 1 - have)) > 0)
		have += (size_t)n;
	close(pipes[0]);
	answer[have] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

#define dmsetup(answer, ...) run_dmsetup(answer, (const char *const []){ "dmsetup", __VA_ARGS__, NULL })

static void names(unsigned int number, char volume[32], char pool[32])
{
	snprintf(volume, 32, "avmm-disk%u", number);
	snprintf(pool, 32, "avmm-disk%u-pool", number);
}

static void file_name(char *name, size_t size, const char *where, unsigned int number, const char *kind)
{
	snprintf(name, size, "%s/disk%u.%s", !strcmp(where, "ram") ? MEMORY : where, number, kind);
}

/* A sparse file in front of a loop device. The file of one in memory has no name: its memory goes with the device. */
static int open_part(const char *where, unsigned int number, const char *kind, u64 size, char device[32])
{
	bool ram = !strcmp(where, "ram");
	char name[PATH_MAX];
	int fd, loop;

	if (ram) {
		mkdir("/run/avmm", 0755);
		mkdir(MEMORY, 0700);
	}
	file_name(name, sizeof(name), where, number, kind);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (ram ? O_TRUNC : 0), 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		fail("%s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	loop = loop_device(name, false, device, 32);
	if (ram)
		unlink(name);
	close(fd);
	return loop;
}

/* A full pool waits; without this it fails after a minute. The module comes with the first pool. */
static void wait_when_full(void)
{
	FILE *stream = fopen(NO_SPACE_TIMEOUT, "we");

	if (!stream)
		return;
	fputs("0", stream);
	fclose(stream);
}

static bool make_pool(const char *pool, const char *meta, const char *data, u64 sectors, char answer[ANSWER])
{
	char table[256];

	snprintf(table, sizeof(table), "0 %" PRIu64 " thin-pool %s %s %u %" PRIu64, sectors, meta, data, BLOCK_SECTORS,
		 sectors / BLOCK_SECTORS * (100 - OVERLAY_FULL) / 100);
	if (!dmsetup(answer, "create", pool, "--table", table))
		return false;
	wait_when_full();
	dmsetup(answer, "message", pool, "0", "create_thin 0");	/* an older overlay has it already */
	return true;
}

/* By its number: names in /dev/mapper are udev's, and there may be none. */
static bool find_device(const char *name, unsigned int *major, unsigned int *minor)
{
	char answer[ANSWER];

	return dmsetup(answer, "info", "-c", "--noheadings", "--separator", ":", "-o", "major,minor", name) &&
	       sscanf(answer, "%u:%u", major, minor) == 2;
}

static bool make_volume(const char *volume, const char *pool, const char *origin, u64 bytes, char answer[ANSWER])
{
	char table[PATH_MAX + 128];
	unsigned int major, minor;

	if (!find_device(pool, &major, &minor))
		return false;
	snprintf(table, sizeof(table), "0 %" PRIu64 " thin %u:%u 0 %s", bytes / 512, major, minor, origin);
	return dmsetup(answer, "create", volume, "--table", table);
}

static bool size_of(const char *device, u64 *bytes)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && !ioctl(fd, BLKGETSIZE64, bytes);

	if (fd >= 0)
		close(fd);
	return good;
}

int overlay_make(unsigned int number, const char *origin, const char *where, u64 size, char *device, size_t device_size)
{
	u64 bytes, blocks = size / (BLOCK_SECTORS * 512);
	char volume[32], pool[32], meta[32], data[32], answer[ANSWER];
	int meta_fd, data_fd = -1, ret = EXIT_REFUSED;

	if (!size_of(origin, &bytes))
		return fail("%s: %s", origin, strerror(errno));
	names(number, volume, pool);
	overlay_remove(number);		/* what a supervisor that was killed left behind */
	meta_fd = open_part(where, number, "meta", blocks * META_PER_BLOCK + META_MORE, meta);
	if (meta_fd >= 0)
		data_fd = open_part(where, number, "data", size, data);
	if (data_fd >= 0) {
		if (make_pool(pool, meta, data, blocks * BLOCK_SECTORS, answer) &&
		    make_volume(volume, pool, origin, bytes, answer))
			ret = EXIT_DONE;
		else
			fail("disk%u: no overlay: %s", number, answer);
	}
	if (meta_fd >= 0)
		close(meta_fd);
	if (data_fd >= 0)
		close(data_fd);
	if (!ret && !overlay_device(number, device, device_size))
		ret = fail("disk%u: its overlay is not there", number);
	if (ret)
		overlay_remove(number);
	return ret;
}

bool overlay_device(unsigned int number, char *device, size_t size)
{
	unsigned int major, minor;
	char volume[32], pool[32];

	names(number, volume, pool);
	if (!find_device(volume, &major, &minor))
		return false;
	snprintf(device, size, "/dev/dm-%u", minor);
	return true;
}

static bool exists(const char *name)
{
	char answer[ANSWER];

	return dmsetup(answer, "info", name);
}

/* Deferred: a request that a device has not answered may still hold it. */
void overlay_remove(unsigned int number)
{
	char volume[32], pool[32], answer[ANSWER];

	names(number, volume, pool);
	if (exists(volume) && !dmsetup(answer, "remove", "--deferred", volume))
		notice("disk%u: the overlay stays: %s", number, answer);
	if (exists(pool) && !dmsetup(answer, "remove", "--deferred", pool))
		notice("disk%u: the overlay stays: %s", number, answer);
}

bool overlay_use(unsigned int number, struct overlay_use *use)
{
	char volume[32], pool[32], answer[ANSWER];
	u64 used, total;

	names(number, volume, pool);
	if (!dmsetup(answer, "status", pool) ||
	    sscanf(answer, "%*u %*u thin-pool %*u %*u/%*u %" SCNu64 "/%" SCNu64, &used, &total) != 2)
		return false;
	use->used = used * BLOCK_SECTORS * 512;
	use->size = total * BLOCK_SECTORS * 512;
	return true;
}

int overlay_forget(unsigned int number, const char *where)
{
	static const char *const kinds[] = { "data", "meta" };
	char volume[32], pool[32], name[PATH_MAX];
	unsigned int i;

	names(number, volume, pool);
	if (exists(volume) || exists(pool))
		return fail("disk%u: its overlay is in use: stop the user partition first", number);
	for (i = 0; i < 2; i++) {
		file_name(name, sizeof(name), where, number, kinds[i]);
		if (unlink(name) < 0 && errno != ENOENT)
			return fail("%s: %s", name, strerror(errno));
	}
	return EXIT_DONE;
}
