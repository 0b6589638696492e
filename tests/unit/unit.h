/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test includes first: cmocka with the headers it wants, and a random generator with a fixed seed. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <avmm/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* xorshift64*; the state is the test's own and must not be 0, so every failure can be repeated. */
static inline u64 random_u64(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* 0 … n - 1 */
static inline u64 random_below(u64 *state, u64 n)
{
	return (random_u64(state) >> 11) % n;
}

#endif
