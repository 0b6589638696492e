/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the lab's programs share. Each runs until its time is over (-t SECONDS, 0: no limit), a file appears
 * (-u FILE), or SIGTERM or SIGINT comes; then it prints one line, "NAME ok key value …" or "NAME FAILED: reason",
 * and ends with status 0 or 1 (2: wrong usage).
 */
#ifndef LAB_H
#define LAB_H

#include <time.h>

#include <avmm/types.h>

#define NS_PER_S	1000000000ull
#define NS_PER_MS	1000000ull

/* options: more letters for getopt(), with their handler; usage: their text, NULL if there are none */
void lab_start(int argc, char **argv, const char *options, void (*handler)(int letter, const char *value),
	       const char *usage);
_Noreturn void lab_usage(void);
u64 lab_number(const char *text, u64 min, u64 max);

/* Cheap enough for every round; also in threads and forked children, whose parent's end is theirs. */
bool lab_go_on(void);

/* Made by one thread of any process of the program; the first failure is the one printed. */
__attribute__((format(printf, 1, 2))) _Noreturn void lab_fail(const char *format, ...);
__attribute__((format(printf, 1, 2))) _Noreturn void lab_ok(const char *format, ...);

/* For parents: waits for so many children; fails, silently where a child did not, if one ends otherwise than by 0. */
void lab_wait_children(unsigned int children);

/* Memory that forked children share, zeroed. */
void *lab_shared(size_t size);

u64 lab_random(u64 *state);		/* any state will do */
void lab_fill(void *buffer, size_t size, u64 seed);			/* with pseudo-random bytes */
bool lab_check(const void *buffer, size_t size, u64 seed, size_t *wrong);	/* wrong: first offset, may be NULL */
u64 lab_now(clockid_t clock);		/* nanoseconds */
unsigned int lab_cpus(void);		/* CPUs that this process may use */
unsigned int lab_cpu(unsigned int n);	/* the number of the n-th of them */
/* The calling thread. A CPU that is off is no error; rounds pin again, for Linux drops the affinity to such a CPU. */
void lab_pin(unsigned int cpu);

static inline u64 lab_rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

static inline void lab_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	__asm__ volatile("cpuid" : "=a" (out[0]), "=b" (out[1]), "=c" (out[2]), "=d" (out[3])
			 : "0" (leaf), "2" (subleaf));
}

#endif
