// SPDX-License-Identifier: GPL-2.0-only
/* Rows of what the operating system does for processes: faults, processes, switches, time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "bench.h"

#define FAULTS		64		/* pages a sample */
#define FILE_PAGES	256
#define TIMER_NS	200000

u64 bench_first_mib;

static u8 *pages;
static size_t pages_size, next_page;

static void map_pages(size_t size)
{
	pages_size = size;
	next_page = 0;
	pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		lab_fail("mmap: %s", strerror(errno));
	madvise(pages, size, MADV_NOHUGEPAGE);
}

/* fork() would copy its page tables. */
static void unmap_pages(void)
{
	munmap(pages, pages_size);
}

static bool prepare_first(void)
{
	map_pages(bench_first_mib << 20);
	return true;
}

static bool before_first(void)
{
	return next_page + FAULTS * PAGE <= pages_size;
}

static void run_first(u32 n)
{
	for (; n--; next_page += PAGE)
		*(volatile u8 *)(pages + next_page) = 1;
}

static bool prepare_recycled(void)
{
	map_pages(FAULTS * PAGE);
	return true;
}

static bool before_recycled(void)
{
	madvise(pages, pages_size, MADV_DONTNEED);
	next_page = 0;
	return true;
}

static int file;

/* Of the page cache. Linux maps more than one page a fault, unless it is told that access is random. */
static bool prepare_file(void)
{
	static u8 page[PAGE];
	int i;

	file = memfd_create("bench", 0);
	for (i = 0; i < FILE_PAGES && file >= 0; i++)
		if (write(file, page, PAGE) != (ssize_t)PAGE)
			lab_fail("write: %s", strerror(errno));
	pages_size = FILE_PAGES * PAGE;
	pages = mmap(NULL, pages_size, PROT_READ, MAP_SHARED, file, 0);
	if (pages == MAP_FAILED)
		lab_fail("mmap of a file: %s", strerror(errno));
	madvise(pages, pages_size, MADV_RANDOM);
	return true;
}

static void run_file(u32 n)
{
	for (; n--; next_page += PAGE)
		(void)*(volatile u8 *)(pages + next_page);
}

static void finish_file(void)
{
	unmap_pages();
	close(file);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		lab_fail("fork, waitpid: %s", strerror(errno));
}

static void run_fork(u32 n)
{
	pid_t pid;

	while (n--) {
		pid = fork();
		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

static void run_exec(u32 n)
{
	pid_t pid;

	while (n--) {
		pid = fork();
		if (!pid) {
			execl("/proc/self/exe", "bench", "--nothing", (char *)NULL);
			_exit(1);
		}
		wait_for(pid);
	}
}

static int there[2], back[2];
static pid_t partner;

static void set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, policy, &param))
		lab_fail("sched_setscheduler: %s", strerror(errno));
}

/* Real-time processes of the same priority: whether who wakes up comes first at once depends on nothing. */
static bool prepare_switch(void)
{
	char c;

	set_policy(SCHED_FIFO, 1);

	if (pipe(there) || pipe(back))
		lab_fail("pipe: %s", strerror(errno));
	partner = fork();
	if (partner < 0)
		lab_fail("fork: %s", strerror(errno));
	if (!partner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			;
		_exit(0);
	}
	return true;
}

/* Two switches and a byte there and back. */
static void run_switch(u32 n)
{
	char c = 0;

	while (n--)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			lab_fail("pipe: %s", strerror(errno));
}

static void finish_switch(void)
{
	int i;

	set_policy(SCHED_OTHER, 0);

	kill(partner, SIGKILL);
	waitpid(partner, NULL, 0);
	for (i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
}

static void run_sleep(u32 n)
{
	struct timespec ms = { 0, NS_PER_MS };

	while (n--)
		nanosleep(&ms, NULL);
}

static int timer;

static bool prepare_timer(void)
{
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	return timer >= 0;
}

/* Set, and wait until it is over. */
static void run_timer(u32 n)
{
	struct itimerspec in = { .it_value = { 0, TIMER_NS } };
	u64 times;

	while (n--)
		if (timerfd_settime(timer, 0, &in, NULL) || read(timer, &times, sizeof(times)) != sizeof(times))
			lab_fail("timerfd: %s", strerror(errno));
}

static void finish_timer(void)
{
	close(timer);
}

/* Set far ahead of all others and stopped again, which reprograms the CPU's timer twice if it is the next one. */
static void run_timer_set(u32 n)
{
	struct itimerspec in = { .it_value = { 0, TIMER_NS } };

	while (n--) {
		in.it_value.tv_nsec = n % 2 ? TIMER_NS : 0;
		if (timerfd_settime(timer, 0, &in, NULL))
			lab_fail("timerfd: %s", strerror(errno));
	}
}

const struct operation os_operations[] = {
	{ .name = "fault-first", .batch = FAULTS, .repeat = 2048, .prepare = prepare_first, .before = before_first,
	  .run = run_first, .finish = unmap_pages },
	{ .name = "fault-recycled", .batch = FAULTS, .repeat = FAULTS * 100, .prepare = prepare_recycled,
	  .before = before_recycled, .run = run_first, .finish = unmap_pages },
	{ .name = "fault-file", .batch = FAULTS, .repeat = FAULTS * 100, .prepare = prepare_file,
	  .before = before_recycled, .run = run_file, .finish = finish_file },
	{ .name = "switch", .batch = 20, .repeat = 2000, .prepare = prepare_switch, .run = run_switch,
	  .finish = finish_switch },
	{ .name = "fork", .batch = 2, .repeat = 100, .run = run_fork },
	{ .name = "exec", .batch = 1, .repeat = 50, .run = run_exec },
	{ .name = "timer-set", .batch = 20, .repeat = 5000, .prepare = prepare_timer, .run = run_timer_set,
	  .finish = finish_timer },
	{ .name = "timer-wait", .batch = 1, .repeat = 1000, .idles = true, .prepare = prepare_timer, .run = run_timer,
	  .finish = finish_timer },
	{ .name = "sleep", .batch = 1, .repeat = 500, .idles = true, .run = run_sleep },
	{ },
};
