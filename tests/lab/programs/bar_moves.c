// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves a device's BAR between two places (-a, -b: addresses) by its configuration space (-c FILE), on CPU 0 or 1 (-m), while
 * the other one reads a register (-o OFFSET) at both. When a move is over, both CPUs find it at the new place and ones at the
 * old; in the middle of one, either. The register must not read as ones, and keep its value.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab.h"

#define PAGE		4096
#define BAR0		0x10
#define ONES		0xffffffffu

static u64 address[2], offset;
static unsigned int mover;
static const char *config;
static const volatile u32 *reg[2];
static u32 value;
static u32 moves;		/* twice their number; odd: one is on */
static u32 seen;		/* as many moves has the reader seen the end of */
static u64 looks, between;

static void option(int letter, const char *text)
{
	if (letter == 'c')
		config = text;
	else if (letter == 'm')
		mover = lab_number(text, 0, 1);
	else if (letter == 'o')
		offset = lab_number(text, 0, PAGE - 4);
	else
		address[letter - 'a'] = lab_number(text, PAGE, ~0u);
}

/* After an even number of moves it is at the first place. */
static void check(const char *who, u32 n)
{
	u32 here = *reg[n / 2 % 2], there = *reg[1 - n / 2 % 2];

	if (__atomic_load_n(&moves, __ATOMIC_SEQ_CST) == n && (here != value || there != ONES))
		lab_fail("%s, after move %u: %x at the new place, %x at the old, not %x", who, n / 2, here, there, value);
	if ((here != value && here != ONES) || (there != value && there != ONES))
		lab_fail("%s, in move %u: %x and %x, not %x", who, n / 2, here, there, value);
}

static void *reader(void *unused)
{
	(void)unused;
	lab_pin(1 - mover);
	for (; lab_go_on(); looks++) {
		u32 n = __atomic_load_n(&moves, __ATOMIC_SEQ_CST);

		check("reader", n & ~1u);
		if (n & 1 || __atomic_load_n(&moves, __ATOMIC_SEQ_CST) != n)
			continue;
		between++;
		__atomic_store_n(&seen, n, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void open_all(int *fd)
{
	int mem = open("/dev/mem", O_RDWR), i;

	*fd = open(config, O_RDWR);
	if (mem < 0 || *fd < 0)
		lab_fail("/dev/mem or %s: %s", config, strerror(errno));
	for (i = 0; i < 2; i++) {
		const char *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mem, (off_t)address[i]);

		if (page == MAP_FAILED)
			lab_fail("%llx: %s", (unsigned long long)address[i], strerror(errno));
		reg[i] = (const volatile u32 *)(page + offset);
	}
}

static void move(int fd)
{
	u32 to = (u32)address[(moves / 2 + 1) % 2];

	__atomic_add_fetch(&moves, 1, __ATOMIC_SEQ_CST);
	if (pwrite(fd, &to, sizeof(to), BAR0) != sizeof(to))
		lab_fail("%s: %s", config, strerror(errno));
	__atomic_add_fetch(&moves, 1, __ATOMIC_SEQ_CST);
	check("mover", moves);
	while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) != moves && lab_go_on())
		;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int fd;

	lab_start(argc, argv, "a:b:c:m:o:", option, "-a ADDRESS -b ADDRESS -c FILE -o OFFSET [-m CPU]");
	if (!config || !address[0] || !address[1])
		lab_usage();
	open_all(&fd);
	value = *reg[0];
	if (value == ONES)
		lab_fail("nothing is at %llx", (unsigned long long)address[0]);
	if (pthread_create(&thread, NULL, reader, NULL))
		lab_fail("no thread");
	lab_pin(mover);
	while (lab_go_on() || moves / 2 % 2)
		move(fd);
	pthread_join(thread, NULL);
	lab_ok("moves %u looks %llu between %llu", moves / 2, (unsigned long long)looks, (unsigned long long)between);
}
