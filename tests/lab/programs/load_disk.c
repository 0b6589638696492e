// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes pseudo-random blocks to a file or a block device, in random order and with several generations, and reads
 * them back past the page cache: O_DIRECT where it works, else fsync() and POSIX_FADV_DONTNEED.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

#define BLOCK		16384u

static const char *path;
static u64 size_mib = 4;
static u64 written, read_back;

static u64 block_seed(size_t block, u32 generation)
{
	return (u64)generation << 40 | (block + 1);
}

static void transfer(int fd, bool write, u8 *buffer, size_t block)
{
	size_t done = 0;

	while (done < BLOCK) {
		off_t at = (off_t)block * BLOCK + done;
		ssize_t n = write ? pwrite(fd, buffer + done, BLOCK - done, at)
				  : pread(fd, buffer + done, BLOCK - done, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			lab_fail("%s at %lld: %s", write ? "write" : "read", (long long)at,
				 n ? strerror(errno) : "end of file");
		done += n;
	}
}

static void write_block(int fd, u8 *buffer, size_t block, u32 generation)
{
	lab_fill(buffer, BLOCK, block_seed(block, generation));
	transfer(fd, true, buffer, block);
	written++;
}

static void check_block(int fd, u8 *buffer, size_t block, u32 generation)
{
	size_t wrong;

	memset(buffer, 0, BLOCK);
	transfer(fd, false, buffer, block);
	if (!lab_check(buffer, BLOCK, block_seed(block, generation), &wrong))
		lab_fail("wrong data at %llu", (unsigned long long)block * BLOCK + wrong);
	read_back++;
}

static void flush(int fd)
{
	while (fsync(fd))
		if (errno != EINTR)
			lab_fail("fsync: %s", strerror(errno));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void run(int fd, size_t blocks)
{
	u32 *generation = calloc(blocks, sizeof(*generation));
	u8 *buffer = aligned_alloc(4096, BLOCK);
	u64 state = 1;
	size_t i;

	for (i = 0; i < blocks && lab_go_on(); i++)
		write_block(fd, buffer, i, generation[i] = 1);
	blocks = i;
	flush(fd);
	while (lab_go_on()) {
		for (i = 0; i < blocks / 4 + 1 && lab_go_on(); i++) {
			size_t block = lab_random(&state) % blocks;

			write_block(fd, buffer, block, ++generation[block]);
		}
		flush(fd);
		for (i = 0; i < blocks && lab_go_on(); i++)
			check_block(fd, buffer, i, generation[i]);
	}
	free(buffer);
	free(generation);
}

static int open_target(bool *direct, char *made, size_t made_size, size_t *blocks)
{
	int flags = O_RDWR | O_CLOEXEC, fd;
	struct stat st;
	u64 bytes = size_mib << 20, device;

	if (stat(path, &st))
		lab_fail("%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		snprintf(made, made_size, "%s/load_disk.%d", path, getpid());
		flags |= O_CREAT | O_EXCL;
		path = made;
	}
	fd = open(path, flags | O_DIRECT, 0600);
	*direct = fd >= 0;
	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags & ~O_EXCL, 0600);		/* the first try may have created it */
	if (fd < 0)
		lab_fail("%s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode) && !ioctl(fd, BLKGETSIZE64, &device) && device < bytes)
		bytes = device;
	*blocks = bytes / BLOCK;
	return fd;
}

static void option(int letter, const char *value)
{
	if (letter == 's')
		size_mib = lab_number(value, 1, 100000);
	else
		path = value;
}

int main(int argc, char **argv)
{
	char made[4096] = "";
	size_t blocks;
	bool direct;
	int fd;

	lab_start(argc, argv, "d:s:", option, "-d DIRECTORY-OR-BLOCK-DEVICE [-s MIB (4)]");
	if (!path)
		lab_usage();
	fd = open_target(&direct, made, sizeof(made), &blocks);
	if (*made)
		unlink(made);		/* lives on until it is closed */
	run(fd, blocks);
	close(fd);
	lab_ok("direct %d written-kib %llu checked-kib %llu", direct, (unsigned long long)written * BLOCK / 1024,
	       (unsigned long long)read_back * BLOCK / 1024);
}
