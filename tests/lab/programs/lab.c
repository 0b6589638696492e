// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define FILE_CHECK_NS	(10 * NS_PER_MS)

static struct {
	volatile int stop;	/* a signal came, the file is there, or something failed */
	volatile int said;	/* the one line was printed */
	u64 next_look;
} *shared;

static const char *name = "lab", *until, *more_usage;
static u64 end;			/* CLOCK_MONOTONIC, 0: none */
static cpu_set_t cpus;

static void on_signal(int signal)
{
	(void)signal;
	shared->stop = 1;
}

void lab_usage(void)
{
	fprintf(stderr, "usage: %s [-t SECONDS] [-u UNTIL-THIS-FILE-EXISTS]%s%s\n", name, more_usage ? " " : "",
		more_usage ? more_usage : "");
	exit(2);
}

u64 lab_number(const char *text, u64 min, u64 max)
{
	char *rest;
	u64 value;

	errno = 0;
	value = strtoull(text, &rest, 0);
	if (errno || rest == text || *rest || *text == '-' || value < min || value > max) {
		fprintf(stderr, "%s: %s: not a number from %llu to %llu\n", name, text, (unsigned long long)min,
			(unsigned long long)max);
		exit(2);
	}
	return value;
}

void *lab_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "%s: mmap: %s\n", name, strerror(errno));
		exit(1);
	}
	return memory;
}

void lab_start(int argc, char **argv, const char *options, void (*handler)(int letter, const char *value),
	       const char *usage)
{
	struct sigaction action = { .sa_handler = on_signal };	/* no SA_RESTART: waits end */
	char letters[64] = "+t:u:";
	u64 seconds = 5;
	bool timed = false;
	int letter;

	name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	more_usage = usage;
	shared = lab_shared(sizeof(*shared));
	strncat(letters, options, sizeof(letters) - strlen(letters) - 1);
	while ((letter = getopt(argc, argv, letters)) != -1) {
		if (letter == '?')
			lab_usage();
		if (letter == 't') {
			seconds = lab_number(optarg, 0, 1000000);
			timed = true;
		} else if (letter == 'u') {
			until = optarg;
		} else {
			handler(letter, optarg);
		}
	}
	if (until && !timed)
		seconds = 0;
	end = seconds ? lab_now(CLOCK_MONOTONIC) + seconds * NS_PER_S : 0;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

bool lab_go_on(void)
{
	u64 now;

	if (shared->stop)
		return false;
	now = lab_now(CLOCK_MONOTONIC);
	if (until && now >= shared->next_look) {
		shared->next_look = now + FILE_CHECK_NS;
		if (!access(until, F_OK))
			shared->stop = 1;
	}
	return !shared->stop && (!end || now < end);
}

static void say_once(const char *verdict, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	if (!__atomic_exchange_n(&shared->said, 1, __ATOMIC_SEQ_CST))
		printf("%s %s%s\n", name, verdict, text);
	fflush(stdout);
}

void lab_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_once("FAILED: ", format, args);
	shared->stop = 1;
	_exit(1);
}

void lab_ok(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_once("ok ", format, args);
	exit(0);
}

void lab_wait_children(unsigned int children)
{
	int status;

	while (children) {
		pid_t pid = wait(&status);

		if (pid < 0) {
			if (errno != EINTR)
				lab_fail("wait: %s", strerror(errno));
			continue;
		}
		children--;
		if (WIFSIGNALED(status))
			lab_fail("a process was killed by signal %d", WTERMSIG(status));
		if (WEXITSTATUS(status))
			lab_fail("a process ended with status %d", WEXITSTATUS(status));
	}
}

u64 lab_random(u64 *state)	/* splitmix64 */
{
	u64 z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void lab_fill(void *buffer, size_t size, u64 seed)
{
	u8 *to = buffer;
	u64 value;

	for (; size >= 8; size -= 8, to += 8) {
		value = lab_random(&seed);
		memcpy(to, &value, 8);
	}
	value = lab_random(&seed);
	memcpy(to, &value, size);
}

bool lab_check(const void *buffer, size_t size, u64 seed, size_t *wrong)
{
	const u8 *from = buffer;
	size_t i;

	for (i = 0; i < size; i += 8) {
		u64 value = lab_random(&seed);

		if (memcmp(from + i, &value, size - i < 8 ? size - i : 8)) {
			if (wrong)
				*wrong = i;
			return false;
		}
	}
	return true;
}

u64 lab_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (u64)t.tv_sec * NS_PER_S + t.tv_nsec;
}

unsigned int lab_cpus(void)
{
	return CPU_COUNT(&cpus);
}

unsigned int lab_cpu(unsigned int n)
{
	unsigned int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus) && !n--)
			return cpu;
	return 0;
}

void lab_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) && errno != EINVAL)
		lab_fail("sched_setaffinity to CPU %u: %s", cpu, strerror(errno));
}
