// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills memory with a pattern, says so, and holds it to the end. Then each word must be what it was: nobody, no device
 * either, has written to memory that was given back before.
 *
 *	-b ADDRESS -m MIB	physical memory that Linux does not use
 *	-k MIB -m MIB		nearly all memory that is free: so much of it is left (64), so much taken at most (1024)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab.h"

#define FREE	~0ull
#define POLL_US	10000

static u64 base = FREE, keep = 64, mib = 1024;

static void option(int letter, const char *value)
{
	if (letter == 'b')
		base = lab_number(value, 0, ~0ull >> 1);
	else if (letter == 'k')
		keep = lab_number(value, 1, 1 << 20);
	else
		mib = lab_number(value, 1, 1 << 20);
}

/* What is free, less what Linux keeps for itself. */
static u64 free_mib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	u64 least = ~0ull;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long kib;

		if ((sscanf(line, "MemFree: %llu kB", &kib) == 1 || sscanf(line, "MemAvailable: %llu kB", &kib) == 1) &&
		    kib >> 10 < least)
			least = kib >> 10;
	}
	if (f)
		fclose(f);
	return least;
}

static volatile u64 *take_free(void)
{
	u64 most = free_mib();
	void *memory;

	if (most <= keep)
		lab_fail("only %llu MiB are free", (unsigned long long)most);
	if (mib > most - keep)
		mib = most - keep;
	memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		lab_fail("no memory");
	madvise(memory, mib << 20, MADV_HUGEPAGE);
	return memory;
}

static volatile u64 *take_physical(void)
{
	int fd = open("/dev/mem", O_RDWR);
	void *memory;

	if (fd < 0)
		lab_fail("/dev/mem: %s", strerror(errno));
	memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)base);
	if (memory == MAP_FAILED)
		lab_fail("mmap: %s", strerror(errno));
	return memory;
}

static u64 pattern(u64 word)
{
	return word * 0x9e3779b97f4a7c15ull ^ base;
}

int main(int argc, char **argv)
{
	volatile u64 *memory;
	u64 i, words;

	lab_start(argc, argv, "b:k:m:", option, "[-b ADDRESS] [-k MIB-TO-LEAVE (64)] [-m MIB (at most 1024)]");
	memory = base == FREE ? take_free() : take_physical();
	words = (mib << 20) / sizeof(*memory);
	for (i = 0; i < words; i++)
		memory[i] = pattern(i);
	printf("holds %llu MiB\n", (unsigned long long)mib);
	while (lab_go_on())
		usleep(POLL_US);
	for (i = 0; i < words; i++)
		if (memory[i] != pattern(i))
			lab_fail("word %llu of %llu is %llx, not %llx", (unsigned long long)i, (unsigned long long)words,
				 (unsigned long long)memory[i], (unsigned long long)pattern(i));
	lab_ok("held-mib %llu", (unsigned long long)mib);
}
