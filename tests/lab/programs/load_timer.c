// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timers and clocks, 1,000 times a second:
 *  - a thread per CPU sleeps to absolute times, and compares all clocks and the time stamp counter at each tick, with
 *    its own last reading and with that of all CPUs: none may go backwards, none may run away from the others;
 *  - a timerfd, whose count of expirations has to be exact;
 *  - setitimer(), whose signals may merge when they come late, so that they are only bounded.
 * The longest delay of a sleep is shown, and is a failure above the limit.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lab.h"

#define PERIOD		NS_PER_MS
#define CALIBRATION	(300 * NS_PER_MS)
#define SLACK		5000			/* ns that two readings may differ by besides the time between them */

enum clock { TSC, MONOTONIC, RAW, REALTIME, CLOCKS };

static const char *const clock_names[CLOCKS] = { "tsc", "monotonic", "monotonic-raw", "realtime" };

struct sample {
	u64 clock[CLOCKS];
	u64 tsc_after;
};

static pthread_mutex_t newest_lock = PTHREAD_MUTEX_INITIALIZER;
static u64 newest[CLOCKS];		/* of all CPUs, under newest_lock */

static u64 limit_ms = 1000;
static u64 ticks, longest, timerfd_ticks;
static volatile u64 signals;

static struct sample read_clocks(void)
{
	struct sample s;
	struct timeval day;

	s.clock[TSC] = lab_rdtsc();
	s.clock[MONOTONIC] = lab_now(CLOCK_MONOTONIC);
	s.clock[RAW] = lab_now(CLOCK_MONOTONIC_RAW);
	gettimeofday(&day, NULL);
	s.clock[REALTIME] = day.tv_sec * NS_PER_S + day.tv_usec * 1000;
	s.tsc_after = lab_rdtsc();
	return s;
}

static struct sample read_clocks_in_order(void)
{
	struct sample s;
	int i;

	pthread_mutex_lock(&newest_lock);
	s = read_clocks();
	for (i = 0; i < CLOCKS; i++) {
		if (s.clock[i] < newest[i])
			lab_fail("%s went back by %llu between CPUs", clock_names[i],
				 (unsigned long long)(newest[i] - s.clock[i]));
		newest[i] = s.clock[i];
	}
	pthread_mutex_unlock(&newest_lock);
	return s;
}

static u64 reading(const struct sample *s)
{
	return s->tsc_after - s->clock[TSC];
}

/*
 * The rate of the time stamp counter, or 0 as long as it cannot be told: a thread that is preempted between two clocks
 * of one sample makes the rate wrong by as much. So only samples count whose reading took a 10,000th of the time between.
 */
static double rate(struct sample *first, const struct sample *now)
{
	u64 tsc = now->clock[TSC] - first->clock[TSC], ns = now->clock[MONOTONIC] - first->clock[MONOTONIC];

	if (ns <= CALIBRATION)
		return 0;
	if (reading(first) > tsc / 10000) {
		*first = *now;
		return 0;
	}
	return reading(now) > tsc / 10000 ? 0 : (double)ns / tsc;
}

/* Between two samples the clocks have to advance alike, but for the time that reading took, and 0.2 %. */
static void compare(const struct sample *last, const struct sample *now, double ns_per_tsc)
{
	double want = now->clock[MONOTONIC] - last->clock[MONOTONIC];
	double allowed = (reading(now) + reading(last)) * ns_per_tsc + SLACK + want * 0.002;
	int i;

	for (i = 0; i < CLOCKS; i++) {
		double got = (double)(now->clock[i] - last->clock[i]) * (i == TSC ? ns_per_tsc : 1.0);

		if (got - want > allowed || want - got > allowed)
			lab_fail("%s advanced by %.0f ns while monotonic did by %.0f", clock_names[i], got, want);
	}
}

static void note_delay(u64 delay)
{
	u64 old = __atomic_load_n(&longest, __ATOMIC_RELAXED);

	while (delay > old && !__atomic_compare_exchange_n(&longest, &old, delay, true, __ATOMIC_RELAXED,
							   __ATOMIC_RELAXED))
		;
	if (delay > limit_ms * NS_PER_MS)
		lab_fail("a sleep ended %llu us late", (unsigned long long)(delay / 1000));
}

static void *sleeper(void *cpu)
{
	struct sample first, last, now;
	double ns_per_tsc = 0;
	u64 due, woken;

	first = last = read_clocks_in_order();
	due = first.clock[MONOTONIC];
	while (lab_go_on()) {
		struct timespec until;

		lab_pin((unsigned int)(uintptr_t)cpu);
		due += PERIOD;
		until.tv_sec = due / NS_PER_S;
		until.tv_nsec = due % NS_PER_S;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
			;
		woken = lab_now(CLOCK_MONOTONIC);
		if (woken < due)
			lab_fail("a sleep ended %llu ns early", (unsigned long long)(due - woken));
		note_delay(woken - due);
		now = read_clocks_in_order();
		if (ns_per_tsc)
			compare(&last, &now, ns_per_tsc);
		else
			ns_per_tsc = rate(&first, &now);
		last = now;
		__atomic_fetch_add(&ticks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A read counts the periods up to a moment between before and after, exactly. */
static void *timerfd_reader(void *unused)
{
	u64 start = lab_now(CLOCK_MONOTONIC) + PERIOD, count, before, after, total = 0;
	struct itimerspec spec = {
		.it_value = { start / NS_PER_S, start % NS_PER_S },
		.it_interval = { 0, PERIOD },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	(void)unused;
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
	while (lab_go_on()) {
		if (poll(&wait, 1, 100) < 1)
			continue;
		before = lab_now(CLOCK_MONOTONIC);
		if (read(fd, &count, sizeof(count)) != sizeof(count))
			continue;
		after = lab_now(CLOCK_MONOTONIC);
		total += count;
		if (total < (before - start) / PERIOD + 1 || total > (after - start) / PERIOD + 1)
			lab_fail("timerfd: %llu ticks instead of %llu to %llu", (unsigned long long)total,
				 (unsigned long long)((before - start) / PERIOD + 1),
				 (unsigned long long)((after - start) / PERIOD + 1));
		timerfd_ticks = total;
	}
	return NULL;
}

static void on_alarm(int signal)
{
	(void)signal;
	signals++;
}

static void start_itimer(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, PERIOD / 1000 }, { 0, PERIOD / 1000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void option(int letter, const char *value)
{
	(void)letter;
	limit_ms = lab_number(value, 1, 1000000);
}

int main(int argc, char **argv)
{
	unsigned int i, threads;
	struct itimerval off = {};
	pthread_t *thread;
	u64 start, elapsed;
	sigset_t alarm;

	lab_start(argc, argv, "l:", option, "[-l LIMIT-OF-A-DELAY-MS (1000)]");
	threads = lab_cpus();
	thread = calloc(threads + 1, sizeof(*thread));
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);	/* in the threads; the main one takes them */
	for (i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, sleeper, (void *)(uintptr_t)lab_cpu(i));
	pthread_create(&thread[threads], NULL, timerfd_reader, NULL);

	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	start = lab_now(CLOCK_MONOTONIC);
	start_itimer();
	while (lab_go_on())
		pause();
	setitimer(ITIMER_REAL, &off, NULL);
	elapsed = (lab_now(CLOCK_MONOTONIC) - start) / PERIOD;
	for (i = 0; i <= threads; i++)
		pthread_join(thread[i], NULL);

	if (signals > elapsed + 1 || !signals)
		lab_fail("setitimer: %llu signals in %llu ms", (unsigned long long)signals,
			 (unsigned long long)elapsed);
	lab_ok("threads %u ticks %llu longest-delay-us %llu timerfd %llu itimer %llu of %llu", threads,
	       (unsigned long long)ticks, (unsigned long long)(longest / 1000), (unsigned long long)timerfd_ticks,
	       (unsigned long long)signals, (unsigned long long)elapsed);
}
