// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations cost, in ticks of the time stamp counter: the same static program on the bare machine and in each kind
 * of partition. On the emulated machine with one CPU a tick is an instruction, so these are counts and repeat; on a real
 * machine they are times. A line per row:
 *
 *	NAME median MEDIAN min MIN max MAX samples N
 *
 * over samples of some operations each, in ticks per operation. Samples are taken until the median has stayed within
 * 0.2 % for a while, or there are MAX_SAMPLES. Timer interrupts are part of what is measured; the median has few of them.
 *
 *	-o NAME,NAME	only these rows
 *	-r COUNT	no measurement: so many operations of each row (0: each row's own number), for those who count exits.
 *			-n is the same with none, for what the program itself takes. Both say how many they did
 *	-s SAMPLES	operations one at a time, and how often which count was seen. Most of them have no timer tick in them
 *			and find the kernel in the same state, so on the emulated machine the least and the most frequent
 *			count are exact: "NAME least TICKS times N frequent TICKS times N samples N"
 *	-c		how many ticks an instruction takes, in a loop of known length
 *	-m MIB		memory for fault-first, touched once
 *	-d DEVICE	a disk that may be written to, for the disk's rows
 *	-w SECONDS	no rows: computes, and says for each second how much of the CPU it got, and the longest time without:
 *			"second GOT permille LONGEST us without"
 *	-k "FILE ARGS"	no rows: loads a module once. (busybox's insmod tries twice when it fails, as the benchmark's does)
 *	-b COMMAND	no rows: runs it by a shell, and says what the CPU was not idle meanwhile: "busy TICKS of TICKS"
 *	-l		the rows' names
 *
 * The busy part of an operation that waits is what the CPU was not idle. An idle CPU cannot be read off exactly, so a
 * process of SCHED_IDLE takes the place of the idle task: it reads the counter in a loop and adds up the gaps between two
 * readings that are as short as the loop itself. Everything longer was not idle. This counts the timer interrupt, two
 * switches between processes and the system call, not the entry to and exit from the idle task.
 *
 * As first process (rdinit=/bench-init) it leaves the counter's value in /boot-ticks and goes on as /init.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define MAX_SAMPLES	2000
#define STABLE_FOR	150		/* samples with the median within 0.2 % */
#define STABLE_SINGLES	100		/* the same, of single operations */
#define CALIBRATION	10000u		/* rounds of a loop of two instructions */
#define CALIBRATIONS	100

static const struct operation *const tables[] = { cpu_operations, os_operations, disk_operations };

static const char *only, *module, *command;
static u64 singles, repeat, seconds;
static bool repeats, list, calibrate, nothing;
static double samples[MAX_SAMPLES];
static size_t count;
static volatile u64 *idle_ticks;		/* shared with the spinner */

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

/* Ticks of `n` operations, negative when there is nothing more to measure. */
static double sample(const struct operation *o, u32 n)
{
	u64 start, ticks, idle, empty = 0;

	if (o->before && !o->before())
		return -1;
	if (o->empty) {
		start = lab_rdtsc();
		o->empty(n);
		empty = lab_rdtsc() - start;
	}
	idle = o->idles ? *idle_ticks : 0;
	start = lab_rdtsc();
	o->run(n);
	ticks = lab_rdtsc() - start;
	if (o->idles)
		ticks -= *idle_ticks - idle;
	return ticks > empty ? (double)(ticks - empty) : 0;
}

static void measure(const struct operation *o)
{
	double least, most, now, settled = 0, ticks;
	unsigned int stable = 0, wanted_stable = o->batch == 1 ? STABLE_SINGLES : STABLE_FOR;
	size_t i;

	sample(o, o->batch);			/* warms up */
	for (count = 0; count < MAX_SAMPLES && stable < wanted_stable;) {
		ticks = sample(o, o->batch);
		if (ticks < 0)
			break;
		samples[count++] = ticks / o->batch;
		now = median();
		stable = now > settled * 0.998 && now < settled * 1.002 ? stable + 1 : 0;
		if (!stable)
			settled = now;
	}
	if (!count)
		lab_fail("%s: nothing measured", o->name);
	for (i = 0, least = most = samples[0]; i < count; i++) {
		least = samples[i] < least ? samples[i] : least;
		most = samples[i] > most ? samples[i] : most;
	}
	printf("%s median %.2f min %.2f max %.2f samples %zu\n", o->name, median(), least, most, count);
}

static void count_singles(const struct operation *o)
{
	size_t i, j, n, least = 0, times = 0;
	double *seen = calloc(singles, sizeof(*seen)), frequent = 0;

	if (!seen)
		lab_fail("calloc: %s", strerror(errno));
	for (n = 0; n < singles; n++) {
		seen[n] = sample(o, 1);
		if (seen[n] < 0)
			break;
	}
	qsort(seen, n, sizeof(*seen), compare);
	for (i = 0; i < n; i = j) {
		for (j = i; j < n && seen[j] == seen[i]; j++)
			;
		least = i ? least : j;
		if (j - i > times) {
			times = j - i;
			frequent = seen[i];
		}
	}
	printf("%s least %.0f times %zu frequent %.0f times %zu samples %zu\n", o->name, seen[0], least, frequent, times, n);
	free(seen);
}

static void repeat_operations(const struct operation *o)
{
	u64 todo = nothing ? 0 : repeat ? repeat : o->repeat, done;
	u32 n;

	for (done = 0; done < todo; done += n) {
		n = todo - done < o->batch ? (u32)(todo - done) : o->batch;
		if (o->before && !o->before())
			break;
		o->run(n);
	}
	printf("%s did %llu\n", o->name, (unsigned long long)done);
}

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

/* Takes the place of the idle task, until it is stopped. */
static pid_t start_spinner(void)
{
	pid_t spinner = fork();

	if (!spinner)
		spin();
	if (spinner < 0)
		lab_fail("fork: %s", strerror(errno));
	usleep(20000);				/* until it knows its own loop */
	return spinner;
}

static void stop_spinner(pid_t spinner)
{
	kill(spinner, SIGKILL);
	waitpid(spinner, NULL, 0);
}

_Noreturn static void run_command(void)
{
	pid_t spinner = start_spinner();
	u64 idle = *idle_ticks, ticks = lab_rdtsc();
	int status = system(command);

	ticks = lab_rdtsc() - ticks;
	idle = *idle_ticks - idle;
	stop_spinner(spinner);
	printf("busy %llu of %llu\n", (unsigned long long)(ticks - idle), (unsigned long long)ticks);
	exit(status ? 1 : 0);
}

static bool wanted(const char *name)
{
	size_t length = strlen(name);
	const char *p;

	for (p = only; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, name, length) && (!p[length] || p[length] == ','))
			return true;
	return !only;
}

static void row(const struct operation *o)
{
	pid_t spinner = 0;

	if (list)
		printf("%s\n", o->name);
	if (list || !wanted(o->name) || (o->prepare && !o->prepare()))
		return;
	/* Those who count exits want the machine's own idle. */
	if (o->idles && !repeats)
		spinner = start_spinner();
	if (repeats)
		repeat_operations(o);
	else if (singles)
		count_singles(o);
	else
		measure(o);
	if (spinner)
		stop_spinner(spinner);
	if (o->finish)
		o->finish();
}

/* The least of some loops: a timer tick is in few of them. */
static void calibrate_counter(void)
{
	u64 least = UINT64_MAX, ticks, n;
	int i;

	for (i = 0; i < CALIBRATIONS; i++) {
		n = CALIBRATION;
		ticks = lab_rdtsc();
		__asm__ volatile("1: dec %0; jnz 1b" : "+r" (n) : : "cc");
		ticks = lab_rdtsc() - ticks;
		least = ticks < least ? ticks : least;
	}
	printf("calibration %.4f ticks per instruction\n", (double)least / (2.0 * CALIBRATION));
}

/* Ticks of this second in which we ran: those between two readings as close together as the loop is. */
static void one_second(u64 second, u64 shortest)
{
	u64 start = lab_rdtsc(), last = start, got = 0, longest = 0, gap;

	while (last - start < second) {
		gap = lab_rdtsc() - last;
		last += gap;
		if (gap < 8 * shortest)
			got += gap;
		else
			longest = gap > longest ? gap : longest;
	}
	printf("second %llu permille %llu us without\n", (unsigned long long)(got * 1000 / (last - start)),
	       (unsigned long long)(longest * 1000000 / second));
}

_Noreturn static void compute(u64 seconds)
{
	u64 ns = lab_now(CLOCK_MONOTONIC), ticks = lab_rdtsc(), shortest = UINT64_MAX, last, gap, second;

	for (last = ticks; lab_now(CLOCK_MONOTONIC) - ns < NS_PER_S / 10;) {
		gap = lab_rdtsc() - last;
		last += gap;
		shortest = gap < shortest ? gap : shortest;
	}
	second = (u64)((double)(lab_rdtsc() - ticks) * NS_PER_S / (double)(lab_now(CLOCK_MONOTONIC) - ns));
	while (seconds--)
		one_second(second, shortest);
	exit(0);
}

_Noreturn static void load_module(const char *file_and_arguments)
{
	char *file = strdup(file_and_arguments), *arguments = file ? strchr(file, ' ') : NULL;
	int fd;

	if (arguments)
		*arguments++ = '\0';
	fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		lab_fail("%s: %s", file_and_arguments, strerror(errno));
	if (syscall(SYS_finit_module, fd, arguments ? arguments : "", 0) && errno != EAGAIN)
		lab_fail("%s: %s", file, strerror(errno));
	exit(0);
}

static void option(int letter, const char *value)
{
	switch (letter) {
	case 'o':
		only = value;
		break;
	case 's':
		singles = lab_number(value, 10, 100000);
		break;
	case 'r':
		repeats = true;
		repeat = lab_number(value, 0, 1000000000);
		break;
	case 'n':
		repeats = nothing = true;
		break;
	case 'c':
		calibrate = true;
		break;
	case 'l':
		list = true;
		break;
	case 'w':
		seconds = lab_number(value, 1, 1000);
		break;
	case 'k':
		module = value;
		break;
	case 'b':
		command = value;
		break;
	case 'd':
		bench_disk = value;
		break;
	default:
		bench_first_mib = lab_number(value, 1, 1000000);
	}
}

static int first_process(char **argv)
{
	u64 ticks = lab_rdtsc();
	int fd = open("/boot-ticks", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	dprintf(fd, "%llu\n", (unsigned long long)ticks);
	close(fd);
	argv[0] = "/init";
	execv(argv[0], argv);
	return 1;
}

int main(int argc, char **argv)
{
	const struct operation *o;
	struct sysinfo info;
	size_t i;
	int cpu;

	if (argc > 1 && !strcmp(argv[1], "--nothing"))
		return 0;
	if (getpid() == 1)
		return first_process(argv);
	lab_start(argc, argv, "m:o:s:r:ncld:k:w:b:", option,
		  "[-o ROW,ROW] [-r COUNT | -n | -s SAMPLES] [-c] [-m MIB-FOR-FIRST-USE] [-d DISK-TO-WRITE-TO]"
		  " [-k MODULE] [-w SECONDS] [-b COMMAND] [-l]");
	if (seconds)
		compute(seconds);
	if (module)
		load_module(module);
	sysinfo(&info);
	if (!bench_first_mib)
		bench_first_mib = (u64)info.freeram * info.mem_unit / 4 >> 20;
	cpu = sched_getcpu();
	if (cpu >= 0)
		lab_pin((unsigned int)cpu);
	idle_ticks = lab_shared(sizeof(*idle_ticks));
	if (calibrate)
		calibrate_counter();
	if (command)
		run_command();
	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (o = tables[i]; o->name; o++)
			row(o);
	lab_ok("cpu %d", cpu);
}
