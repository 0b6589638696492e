// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory: pages are mapped, filled, checked, made read-only and unmapped, with and without huge pages, on all CPUs at
 * once; and one thread replaces pages under the eyes of the others, who must never see what a page held before (a
 * TLB entry that outlived its flush).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#define PAGE		4096u
#define HUGE		(2u << 20)
#define SLOTS		16u		/* pages that are replaced in turn */

static u64 mib = 16;
static u64 faults, replaced, seen, refused;

static u8 *slots;			/* slot n % SLOTS holds n at its start when published says n */
static u64 published;
static __thread sigjmp_buf on_fault;
static __thread volatile sig_atomic_t fault_expected;

static void on_segv(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (!fault_expected)
		lab_fail("unexpected fault at %p", info->si_addr);
	siglongjmp(on_fault, 1);
}

static bool write_faults(u8 *page)
{
	bool faulted = true;

	fault_expected = 1;
	if (!sigsetjmp(on_fault, 1)) {
		*(volatile u8 *)page = 0;
		faulted = false;
	}
	fault_expected = 0;
	return faulted;
}

static void fill_and_check(u8 *memory, size_t size, u64 seed)
{
	size_t i;

	for (i = 0; i < size; i += PAGE) {
		if (memory[i] || memory[i + PAGE - 1])
			lab_fail("fresh memory is not zero");
		lab_fill(memory + i, 256, seed + i);
		lab_fill(memory + i + PAGE - 256, 256, ~(seed + i));
	}
	for (i = 0; i < size; i += PAGE)
		if (!lab_check(memory + i, 256, seed + i, NULL) ||
		    !lab_check(memory + i + PAGE - 256, 256, ~(seed + i), NULL))
			lab_fail("memory changed");
	__atomic_fetch_add(&faults, size / PAGE, __ATOMIC_RELAXED);
}

static void protect_and_drop(u8 *memory, size_t size, u64 seed)
{
	u8 *page = memory + (seed % (size / PAGE)) * PAGE;

	if (mprotect(memory, size, PROT_READ))
		lab_fail("mprotect: %s", strerror(errno));
	if (!write_faults(page))
		lab_fail("a page was written after mprotect(PROT_READ)");
	__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
	if (mprotect(memory, size, PROT_READ | PROT_WRITE) || madvise(page, PAGE, MADV_DONTNEED))
		lab_fail("mprotect, madvise: %s", strerror(errno));
	if (page[0] || page[PAGE - 1])
		lab_fail("memory dropped by madvise is not zero");
}

static void *pressure(void *number)
{
	size_t size = (mib << 20) / lab_cpus() / HUGE * HUGE;
	u64 state = (uintptr_t)number + 1;

	if (size < HUGE)
		size = HUGE;
	while (lab_go_on()) {
		u64 seed = lab_random(&state);
		u8 *memory = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		u8 *aligned = (u8 *)(((uintptr_t)memory + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

		if (memory == MAP_FAILED)
			lab_fail("mmap: %s", strerror(errno));
		lab_pin(lab_cpu((uintptr_t)number));
		madvise(aligned, size, seed & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		fill_and_check(aligned, size, seed);
		protect_and_drop(aligned, size, seed);
		munmap(memory, size + HUGE);
	}
	return NULL;
}

/* A new page takes the old one's place; membarrier() now and then, which interrupts all CPUs. */
static void *replacer(void *unused)
{
	u64 n = 0;

	(void)unused;
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
	while (lab_go_on()) {
		u8 *slot = slots + ++n % SLOTS * PAGE;

		if (mmap(slot, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != slot)
			lab_fail("mmap: %s", strerror(errno));
		__atomic_store_n((u64 *)slot, n, __ATOMIC_RELAXED);
		__atomic_store_n(&published, n, __ATOMIC_RELEASE);
		if (n % 64 == 0)
			syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
		if (n % 256 == 0)
			usleep(1000);
	}
	replaced = n;
	return NULL;
}

/* What is older than the published number cannot be in the slot, unless an old translation is used. */
static void *watcher(void *number)
{
	u64 count = 0;

	while (lab_go_on()) {
		u64 n, value;
		int i;

		lab_pin(lab_cpu((uintptr_t)number));
		for (i = 0; i < 100; i++) {
			n = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
			value = __atomic_load_n((u64 *)(slots + n % SLOTS * PAGE), __ATOMIC_ACQUIRE);
			/* it may be replaced just now: then it is zero or newer, and so is published soon */
			if (value && value < n)
				lab_fail("page of %llu read %llu: an old translation", (unsigned long long)n,
					 (unsigned long long)value);
			count++;
		}
		sched_yield();
	}
	__atomic_fetch_add(&seen, count, __ATOMIC_RELAXED);
	return NULL;
}

static void option(int letter, const char *value)
{
	(void)letter;
	mib = lab_number(value, 2, 1000000);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };
	unsigned int i, cpus;
	pthread_t *thread;

	lab_start(argc, argv, "m:", option, "[-m MIB (16)]");
	sigaction(SIGSEGV, &action, NULL);
	cpus = lab_cpus();
	thread = calloc(2 * cpus + 1, sizeof(*thread));
	slots = mmap(NULL, SLOTS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < cpus; i++) {
		pthread_create(&thread[2 * i], NULL, pressure, (void *)(uintptr_t)i);
		pthread_create(&thread[2 * i + 1], NULL, watcher, (void *)(uintptr_t)i);
	}
	pthread_create(&thread[2 * cpus], NULL, replacer, NULL);
	for (i = 0; i < 2 * cpus + 1; i++)
		pthread_join(thread[i], NULL);
	lab_ok("pages %llu protected %llu replaced %llu looks %llu", (unsigned long long)faults,
	       (unsigned long long)refused, (unsigned long long)replaced, (unsigned long long)seen);
}
