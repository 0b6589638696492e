// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes pieces of random size (512 bytes to 1 MiB) at random places of a block device past the cache, reads them back,
 * and flushes now and then. At the end every sector that was written is read once more. Each sector says in itself
 * which one it is and how often it was written. Or (-l) only reads or writes so many pieces of one size, for counting.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lab.h"

#define SECTOR	512u
#define MOST	2048u	/* sectors in a piece */

static const char *path;
static u64 pieces = 100, seed = 1, most = MOST, loops;
static bool writes;
static u32 *generation;
static u8 *buffer;
static u64 moved;

static void transfer(int fd, bool write, u64 sector, u32 sectors)
{
	size_t done = 0, size = (size_t)sectors * SECTOR;

	while (done < size) {
		off_t at = (off_t)(sector * SECTOR + done);
		ssize_t n = write ? pwrite(fd, buffer + done, size - done, at) : pread(fd, buffer + done, size - done, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			lab_fail("%s of %u at sector %llu: %s", write ? "write" : "read", sectors,
				 (unsigned long long)sector, n ? strerror(errno) : "end of file");
		done += (size_t)n;
	}
	moved += size;
}

static u64 sector_seed(u64 sector)
{
	return (u64)generation[sector] << 40 | (sector + 1);
}

static void write_piece(int fd, u64 sector, u32 sectors)
{
	u32 i;

	for (i = 0; i < sectors; i++) {
		generation[sector + i]++;
		lab_fill(buffer + i * SECTOR, SECTOR, sector_seed(sector + i));
	}
	transfer(fd, true, sector, sectors);
}

static void check_piece(int fd, u64 sector, u32 sectors)
{
	size_t wrong;
	u32 i;

	memset(buffer, 0xa5, (size_t)sectors * SECTOR);
	transfer(fd, false, sector, sectors);
	for (i = 0; i < sectors; i++)
		if (generation[sector + i] &&
		    !lab_check(buffer + i * SECTOR, SECTOR, sector_seed(sector + i), &wrong))
			lab_fail("wrong data in sector %llu", (unsigned long long)sector + i);
}

/* Small and large pieces are equally likely. */
static u32 piece_size(u64 *state)
{
	u64 limit = 1ull << lab_random(state) % 12;

	if (limit > most)
		limit = most;
	return (u32)(1 + lab_random(state) % limit);
}

static void run(int fd, u64 sectors)
{
	u64 state = seed, i, at;

	for (i = 0; i < pieces; i++) {
		u32 n = piece_size(&state);
		u64 sector = lab_random(&state) % (sectors - n);

		write_piece(fd, sector, n);
		if (lab_random(&state) % 4 == 0 && fsync(fd))
			lab_fail("fsync: %s", strerror(errno));
		if (lab_random(&state) % 2)
			check_piece(fd, sector, n);
	}
	if (fsync(fd))
		lab_fail("fsync: %s", strerror(errno));
	for (at = 0; at < sectors; at += MOST)
		check_piece(fd, at, at + MOST < sectors ? MOST : (u32)(sectors - at));
}

static void count(int fd, u64 sectors)
{
	u64 i;

	for (i = 0; i < loops; i++)
		transfer(fd, writes, i * most % (sectors - most), (u32)most);
}

static void option(int letter, const char *value)
{
	if (letter == 'n')
		pieces = lab_number(value, 1, 1000000);
	else if (letter == 'r')
		seed = lab_number(value, 1, 1000000);
	else if (letter == 'l')
		loops = lab_number(value, 1, 1000000);
	else if (letter == 'w')
		writes = true;
	else if (letter == 'm')
		most = lab_number(value, 1, MOST);
	else
		path = value;
}

int main(int argc, char **argv)
{
	u64 bytes;
	int fd;

	lab_start(argc, argv, "d:n:r:m:l:w", option,
		  "-d BLOCK-DEVICE [-n PIECES (100)] [-r SEED] [-m SECTORS] [-l TIMES [-w]]");
	if (!path)
		lab_usage();
	fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		lab_fail("%s: %s", path, strerror(errno));
	generation = calloc(bytes / SECTOR, sizeof(*generation));
	buffer = aligned_alloc(4096, MOST * SECTOR);
	if (!generation || !buffer || bytes / SECTOR <= MOST)
		lab_fail("no memory, or the disk is too small");
	if (loops)
		count(fd, bytes / SECTOR);
	else
		run(fd, bytes / SECTOR);
	close(fd);
	lab_ok("moved-kib %llu", (unsigned long long)moved / 1024);
}
