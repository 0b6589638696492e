// SPDX-License-Identifier: GPL-2.0-only
/* Rows of a disk (-d DEVICE), which is written to: one request at a time, past the page cache, always another place. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SMALL		(4u << 10)
#define LARGE		(64u << 10)
#define SPAN		(4u << 20)	/* of the device */

const char *bench_disk;

static int disk;
static void *buffer;
static off_t place;

static bool prepare_disk(void)
{
	if (!bench_disk)
		return false;
	disk = open(bench_disk, O_RDWR | O_DIRECT);
	if (disk < 0)
		lab_fail("%s: %s", bench_disk, strerror(errno));
	if (posix_memalign(&buffer, LARGE, LARGE))
		lab_fail("no memory");
	memset(buffer, 1, LARGE);
	return true;
}

static void finish_disk(void)
{
	free(buffer);
	close(disk);
}

static void transfer(u32 n, size_t size, bool write)
{
	ssize_t done;

	while (n--) {
		done = write ? pwrite(disk, buffer, size, place) : pread(disk, buffer, size, place);
		if (done != (ssize_t)size)
			lab_fail("%s: %s", bench_disk, done < 0 ? strerror(errno) : "short transfer");
		place = (place + LARGE) % SPAN;
	}
}

static void run_read_4k(u32 n)
{
	transfer(n, SMALL, false);
}

static void run_read_64k(u32 n)
{
	transfer(n, LARGE, false);
}

static void run_write_4k(u32 n)
{
	transfer(n, SMALL, true);
}

static void run_write_64k(u32 n)
{
	transfer(n, LARGE, true);
}

#define ROW(label, function)								\
	{ .name = label, .batch = 1, .repeat = 200, .idles = true, .prepare = prepare_disk,	\
	  .run = run_##function, .finish = finish_disk }

const struct operation disk_operations[] = {
	ROW("disk-read-4k", read_4k),
	ROW("disk-read-64k", read_64k),
	ROW("disk-write-4k", write_4k),
	ROW("disk-write-64k", write_64k),
	{ },
};
