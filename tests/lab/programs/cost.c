// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations cost, in ticks of the time stamp counter. On the emulated machine with one CPU a tick is an
 * instruction, so these are counts and repeat exactly; on a real machine they are times. A line per operation:
 *
 *	NAME median MEDIAN min MIN max MAX samples N
 *
 * over batches, in ticks per operation. Batches go on until the median has stayed within 0.2 % for a while, or there
 * are MAX_SAMPLES. Timer interrupts are part of what is measured; the median has few of them.
 *
 *	cpuid		the instruction, loop overhead subtracted
 *	syscall		getppid()
 *	fault-first	a page touched for the first time, from memory that was not in use for long (so for a guest: not
 *			backed yet). Run it first after boot: -m MIB at most, each page once
 *	fault-recycled	the same page again and again, MADV_DONTNEED (not counted) in between
 *	fork		fork(), _exit(0) of the child, waitpid()
 *	sleep		the busy part of a sleep of 1 ms
 *
 * The busy part of a sleep is what the CPU was not idle. An idle CPU cannot be read off exactly, so a process of
 * SCHED_IDLE takes the place of the idle task: it reads the counter in a loop and adds up the gaps between two
 * readings that are as short as the loop itself. Everything longer was not idle. This counts the timer interrupt, two
 * switches between processes and the system call, not the entry to and exit from the idle task.
 *
 * With -s SAMPLES, operations one at a time, and how often which count was seen. Most of them have no timer tick in them
 * and find the kernel in the same state, so on the emulated machine the least and the most frequent count are exact:
 *
 *	NAME least TICKS times N frequent TICKS times N samples N
 *
 * Choose one CPU's operations by taskset; the program stays on the CPU that it starts on. -o NAME measures one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define PAGE		4096u
#define MAX_SAMPLES	400
#define STABLE_FOR	20		/* samples with the median within 0.2 % */
#define FAULTS		64		/* pages per sample */

static const char *only;
static u64 mib, singles;
static double samples[MAX_SAMPLES];
static size_t count;

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(void)
{
	static double sorted[MAX_SAMPLES];

	memcpy(sorted, samples, count * sizeof(*samples));
	qsort(sorted, count, sizeof(*sorted), compare);
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* sample() returns ticks per operation, or a negative number when it has nothing more to measure. */
static void measure(const char *name, double (*sample)(void))
{
	double least = 0, most = 0, now, settled = 0;
	unsigned int stable = 0;
	size_t i;

	if (only && strcmp(only, name))
		return;
	sample();			/* warms up */
	for (count = 0; count < MAX_SAMPLES && stable < STABLE_FOR;) {
		samples[count] = sample();
		if (samples[count] < 0)
			break;
		count++;
		now = median();
		stable = now > settled * 0.998 && now < settled * 1.002 ? stable + 1 : 0;
		if (!stable)
			settled = now;
	}
	if (!count)
		lab_fail("%s: nothing measured", name);
	for (i = 0, least = most = samples[0]; i < count; i++) {
		least = samples[i] < least ? samples[i] : least;
		most = samples[i] > most ? samples[i] : most;
	}
	printf("%s median %.1f min %.1f max %.1f samples %zu\n", name, median(), least, most, count);
}

/* sample() does one operation and returns its ticks. */
static void count_singles(const char *name, u64 (*sample)(void))
{
	size_t i, j, least = 0, times = 0;
	double *seen, frequent = 0;

	if (only && strcmp(only, name))
		return;
	seen = calloc(singles, sizeof(*seen));
	if (!seen)
		lab_fail("calloc: %s", strerror(errno));
	for (i = 0; i < singles; i++)
		seen[i] = sample();
	qsort(seen, singles, sizeof(*seen), compare);
	for (i = 0; i < singles; i = j) {
		for (j = i; j < singles && seen[j] == seen[i]; j++)
			;
		least = i ? least : j;
		if (j - i > times) {
			times = j - i;
			frequent = seen[i];
		}
	}
	printf("%s least %.0f times %zu frequent %.0f times %zu samples %zu\n", name, seen[0], least, frequent, times,
	       (size_t)singles);
	free(seen);
}

static double sample_cpuid(void)
{
	enum { N = 1000 };
	u64 start, empty, full;
	u32 r[4];
	int i;

	start = lab_rdtsc();
	for (i = 0; i < N; i++)
		__asm__ volatile("" : : : "rax", "rbx", "rcx", "rdx");
	empty = lab_rdtsc() - start;
	start = lab_rdtsc();
	for (i = 0; i < N; i++)
		lab_cpuid(0, 0, r);
	full = lab_rdtsc() - start;
	return full > empty ? (double)(full - empty) / N : 0;
}

static u64 one_syscall(void)
{
	u64 start = lab_rdtsc();

	syscall(SYS_getppid);
	return lab_rdtsc() - start;
}

static double sample_syscall(void)
{
	enum { N = 1000 };
	u64 start = lab_rdtsc();
	int i;

	for (i = 0; i < N; i++)
		syscall(SYS_getppid);
	return (double)(lab_rdtsc() - start) / N;
}

static u8 *first_memory;
static size_t first_size;

static double sample_fault_first(void)
{
	static size_t next;
	u64 start;
	int i;

	if (!first_memory) {
		first_size = mib << 20;
		first_memory = mmap(NULL, first_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (first_memory == MAP_FAILED)
			lab_fail("mmap: %s", strerror(errno));
		madvise(first_memory, first_size, MADV_NOHUGEPAGE);
	}
	if (next + FAULTS * PAGE > first_size)
		return -1;
	start = lab_rdtsc();
	for (i = 0; i < FAULTS; i++, next += PAGE)
		*(volatile u8 *)(first_memory + next) = 1;
	return (double)(lab_rdtsc() - start) / FAULTS;
}

static double sample_fault_recycled(void)
{
	static u8 *memory;
	u64 start;
	int i;

	if (!memory) {
		memory = mmap(NULL, FAULTS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			lab_fail("mmap: %s", strerror(errno));
		madvise(memory, FAULTS * PAGE, MADV_NOHUGEPAGE);
	}
	madvise(memory, FAULTS * PAGE, MADV_DONTNEED);
	start = lab_rdtsc();
	for (i = 0; i < FAULTS; i++)
		*(volatile u8 *)(memory + i * PAGE) = 1;
	return (double)(lab_rdtsc() - start) / FAULTS;
}

static u64 one_fault(void)
{
	static u8 *page;
	u64 start;

	if (!page) {
		page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			lab_fail("mmap: %s", strerror(errno));
	}
	madvise(page, PAGE, MADV_DONTNEED);
	start = lab_rdtsc();
	*(volatile u8 *)page = 1;
	return lab_rdtsc() - start;
}

static u64 one_fork(void)
{
	u64 start = lab_rdtsc();
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		lab_fail("fork, waitpid: %s", strerror(errno));
	return lab_rdtsc() - start;
}

static double sample_fork(void)
{
	enum { N = 10 };
	u64 ticks = 0;
	int i;

	for (i = 0; i < N; i++)
		ticks += one_fork();
	return (double)ticks / N;
}

static volatile u64 *idle_ticks;		/* shared with the spinner */

_Noreturn static void spin(void)
{
	struct sched_param param = {};
	u64 last, now, shortest = UINT64_MAX;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &param))
		_exit(1);
	for (i = 0, last = lab_rdtsc(); i < 1000; i++, last = now) {
		now = lab_rdtsc();
		shortest = now - last < shortest ? now - last : shortest;
	}
	for (last = lab_rdtsc();; last = now) {
		now = lab_rdtsc();
		if (now - last < 8 * shortest)
			*idle_ticks += now - last;
	}
}

static u64 one_sleep(void)
{
	struct timespec ms = { 0, NS_PER_MS };
	u64 start = lab_rdtsc(), idle = *idle_ticks;

	nanosleep(&ms, NULL);
	idle = *idle_ticks - idle;
	return lab_rdtsc() - start - idle;
}

static double sample_sleep(void)
{
	enum { N = 20 };
	struct timespec ms = { 0, NS_PER_MS };
	u64 start, idle;
	int i;

	nanosleep(&ms, NULL);
	start = lab_rdtsc();
	idle = *idle_ticks;
	for (i = 0; i < N; i++)
		nanosleep(&ms, NULL);
	idle = *idle_ticks - idle;
	return (double)(lab_rdtsc() - start - idle) / N;
}

static void measure_sleep(void)
{
	pid_t spinner;

	if (only && strcmp(only, "sleep"))
		return;
	idle_ticks = lab_shared(sizeof(*idle_ticks));
	spinner = fork();
	if (!spinner)
		spin();
	usleep(20000);			/* until it knows its own loop */
	if (singles)
		count_singles("sleep", one_sleep);
	else
		measure("sleep", sample_sleep);
	kill(spinner, SIGKILL);
	waitpid(spinner, NULL, 0);
}

static void option(int letter, const char *value)
{
	if (letter == 'o')
		only = value;
	else if (letter == 's')
		singles = lab_number(value, 10, 100000);
	else
		mib = lab_number(value, 1, 1000000);
}

int main(int argc, char **argv)
{
	struct sysinfo info;
	int cpu;

	lab_start(argc, argv, "m:o:s:", option,
		  "[-m MIB-FOR-FIRST-USE (a quarter of what is free)] [-o OPERATION] [-s SAMPLES]");
	sysinfo(&info);
	if (!mib)
		mib = (u64)info.freeram * info.mem_unit / 4 >> 20;
	cpu = sched_getcpu();
	if (cpu >= 0)
		lab_pin(cpu);
	if (singles) {
		count_singles("syscall", one_syscall);
		count_singles("fault", one_fault);
		count_singles("fork", one_fork);
		measure_sleep();
		lab_ok("cpu %d", cpu);
	}
	measure("fault-first", sample_fault_first);
	if (first_memory)
		munmap(first_memory, first_size);	/* fork() would copy its page tables */
	measure("cpuid", sample_cpuid);
	measure("syscall", sample_syscall);
	measure("fault-recycled", sample_fault_recycled);
	measure("fork", sample_fork);
	measure_sleep();
	lab_ok("cpu %d", cpu);
}
