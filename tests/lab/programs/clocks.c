// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the clocks once, as close together as can be: the tightest of many readings, for an interrupt or another
 * partition may come between two of them. Two machines that share a time stamp counter are compared by it.
 */
#include "lab.h"

#define READINGS	200

struct reading {
	u64 tsc;
	u64 ticks;		/* that the reading took */
	u64 monotonic;
	u64 realtime;
};

static struct reading read_once(void)
{
	struct reading r;

	r.tsc = lab_rdtsc();
	r.monotonic = lab_now(CLOCK_MONOTONIC);
	r.realtime = lab_now(CLOCK_REALTIME);
	r.ticks = lab_rdtsc() - r.tsc;
	return r;
}

int main(int argc, char **argv)
{
	struct reading best, r;
	int i;

	lab_start(argc, argv, "", NULL, NULL);
	best = read_once();
	for (i = 1; i < READINGS; i++) {
		r = read_once();
		if (r.ticks < best.ticks)
			best = r;
	}
	lab_ok("tsc %llu monotonic-ns %llu realtime-ns %llu ticks %llu", (unsigned long long)best.tsc,
	       (unsigned long long)best.monotonic, (unsigned long long)best.realtime, (unsigned long long)best.ticks);
}
