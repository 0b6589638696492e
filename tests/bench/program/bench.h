/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows of the benchmark program, and what they share. */
#ifndef BENCH_H
#define BENCH_H

#include "lab.h"

#define PAGE		4096u

/*
 * A row. A sample is `before`, which is not counted, and `run` with `batch` operations, which is. `batch` is small enough
 * that most samples have no timer tick in them, so that the median has none either.
 */
struct operation {
	const char *name;
	u32 batch;
	u32 repeat;			/* operations that make a good count of exits */
	bool idles;			/* waits: what counts is the time for which the CPU was not idle */
	bool (*prepare)(void);		/* false: this machine has nothing to measure it with */
	bool (*before)(void);		/* false: nothing more to measure */
	void (*run)(u32 n);
	void (*empty)(u32 n);		/* its loop without the operation, subtracted */
	void (*finish)(void);
};

extern const struct operation cpu_operations[], os_operations[], disk_operations[];	/* each ends with one without name */

extern u64 bench_first_mib;		/* for fault-first */
extern const char *bench_disk;		/* for the disk's rows, or NULL */

#endif
