// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills physical memory that Linux does not use with a pattern and looks at it for a while (-t SECONDS): whoever still
 * writes there, as a device may that has been left alone with its addresses, is found out.
 * -b ADDRESS, -m MIB: where, in pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab.h"

#define MIB		(1ull << 20)
#define LOOKS_US	200000

static u64 base, mib;

static void option(int letter, const char *value)
{
	if (letter == 'b')
		base = lab_number(value, 0, ~0ull >> 1);
	else
		mib = lab_number(value, 1, 1 << 20);
}

static u64 pattern(u64 word)
{
	return word * 0x9e3779b97f4a7c15ull ^ base;
}

static void check(const volatile u64 *memory, u64 words)
{
	u64 i;

	for (i = 0; i < words; i++)
		if (memory[i] != pattern(i))
			lab_fail("%llx is %llx, not %llx", (unsigned long long)(base + 8 * i),
				 (unsigned long long)memory[i], (unsigned long long)pattern(i));
}

int main(int argc, char **argv)
{
	volatile u64 *memory;
	u64 i, words, looks = 0;
	int fd;

	lab_start(argc, argv, "b:m:", option, "-b ADDRESS -m MIB");
	if (!mib)
		lab_usage();
	words = mib * MIB / 8;
	fd = open("/dev/mem", O_RDWR);
	if (fd < 0)
		lab_fail("/dev/mem: %s", strerror(errno));
	memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)base);
	if (memory == MAP_FAILED)
		lab_fail("mmap: %s", strerror(errno));
	for (i = 0; i < words; i++)
		memory[i] = pattern(i);
	for (; lab_go_on(); looks++) {
		usleep(LOOKS_US);
		check(memory, words);
	}
	check(memory, words);
	lab_ok("looks %llu", (unsigned long long)looks);
}
