// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes nearly all memory that is free, fills it with a pattern, says so, and holds it to the end. Then each word must be
 * what it was: nobody else, no device either, has written to memory that was given back before.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab.h"

#define PATTERN	0x5aa5c33c96690ff0ull

static u64 keep = 64, most = 1024;	/* MiB */

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

static void option(int letter, const char *value)
{
	if (letter == 'k')
		keep = lab_number(value, 1, 1 << 20);
	else
		most = lab_number(value, 1, 1 << 20);
}

int main(int argc, char **argv)
{
	u64 mib, words, i;
	u64 *memory;

	lab_start(argc, argv, "k:m:", option, "[-k MIB-TO-LEAVE (64)] [-m MIB-AT-MOST (1024)]");
	mib = free_mib();
	if (mib <= keep)
		lab_fail("only %llu MiB are free", (unsigned long long)mib);
	mib = mib - keep < most ? mib - keep : most;
	words = (mib << 20) / sizeof(*memory);
	memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		lab_fail("no memory");
	madvise(memory, mib << 20, MADV_HUGEPAGE);
	for (i = 0; i < words; i++)
		memory[i] = PATTERN + i;
	printf("holds %llu MiB\n", (unsigned long long)mib);
	while (lab_go_on())
		usleep(10000);
	for (i = 0; i < words; i++)
		if (memory[i] != PATTERN + i)
			lab_fail("word %llu of %llu is %llx", (unsigned long long)i, (unsigned long long)words,
				 (unsigned long long)memory[i]);
	lab_ok("held-mib %llu", (unsigned long long)mib);
}
