// SPDX-License-Identifier: GPL-2.0-only
/*
 * Computes the same integer, SSE2 and x87 results again and again and compares them with what is known: a register
 * that changes behind the back of a program shows within a round of some million instructions.
 */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define ITERATIONS	100000

static const u64 known_integer = 0xffc750056892914e, known_double = 0x1c1de3168397d1b6, known_x87 = 0x8e358646da76fc35;

static bool all_cpus;
static int one_cpu = -1;
static u64 *rounds;		/* of each process */

static u64 integer_round(void)
{
	u64 state = 1, sum = 0;
	int i;

	for (i = 0; i < ITERATIONS; i++) {
		u64 value = lab_random(&state);

		sum += value / ((value & 0xffff) + 1);
		sum = (sum << 7 | sum >> 57) ^ value;
	}
	return sum;
}

static u64 double_round(void)
{
	volatile double start = 1.25;
	double a = start, b = start + 1;
	u64 bits, sum = 0;
	int i;

	for (i = 0; i < ITERATIONS; i++) {
		a = a * 1.0000001 + sqrt(b) / (a + 3.0);
		b = b * 0.9999 + a / 7.0;
		if (a > 1e6)
			a *= 1e-6;
	}
	memcpy(&bits, &a, 8);
	sum ^= bits;
	memcpy(&bits, &b, 8);
	return sum * 31 + bits;
}

static u64 x87_round(void)
{
	volatile long double start = 1.75L;
	long double a = start, b = start * 2;
	u64 mantissa, sum = 0;
	int i;

	for (i = 0; i < ITERATIONS / 4; i++) {
		a = a / 1.0000003L + b * 0.5L;
		b = (b + 2.0L) / (a + 1.0L);
	}
	memcpy(&mantissa, &a, 8);
	sum ^= mantissa;
	memcpy(&mantissa, &b, 8);
	return sum * 31 + mantissa;
}

static void check(const char *what, u64 got, u64 known)
{
	if (got != known)
		lab_fail("%s: %#llx instead of %#llx", what, (unsigned long long)got, (unsigned long long)known);
}

static void compute(unsigned int process, int cpu)
{
	while (lab_go_on()) {
		if (cpu >= 0)
			lab_pin(cpu);
		check("integer", integer_round(), known_integer);
		check("double", double_round(), known_double);
		check("x87", x87_round(), known_x87);
		rounds[process]++;
	}
}

static void option(int letter, const char *value)
{
	if (letter == 'a')
		all_cpus = true;
	else
		one_cpu = lab_number(value, 0, 4095);
}

int main(int argc, char **argv)
{
	unsigned int i, processes;
	u64 sum = 0;

	lab_start(argc, argv, "ac:", option, "[-a (a process on each CPU) | -c CPU]");
	processes = all_cpus ? lab_cpus() : 1;
	rounds = lab_shared(processes * sizeof(*rounds));
	for (i = 0; i < processes; i++) {
		if (!fork()) {
			compute(i, all_cpus ? (int)lab_cpu(i) : one_cpu);
			_exit(0);
		}
	}
	lab_wait_children(processes);
	for (i = 0; i < processes; i++)
		sum += rounds[i];
	lab_ok("processes %u rounds %llu", processes, (unsigned long long)sum);
}
