/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BAR planner: which base address registers of direct-access devices may be mapped where the guest put them.
 *
 * A BAR that its command register does not enable is nowhere. An enabled one is mapped if it lies whole inside the
 * address space, touches no reserved range (RAM, APICs, virtual devices, firmware) and no BAR planned before it; else
 * it is nowhere and counted. The order of the BARs decides: who comes first keeps its place. Pure; no state.
 */
#ifndef AVMM_BARS_H
#define AVMM_BARS_H

#include <avmm/types.h>

#define BARS_PORTS	0x10000ull	/* the port space ends here */
#define BARS_NOWHERE	(~0ull)

/* The BARs' addresses are guest-physical or ports; [base, base + size) of either. */
struct bars_range {
	u64 base;
	u64 size;		/* 0: none, in which case nothing touches it */
};

struct bars_bar {
	u64 base;		/* as the guest wrote it */
	u64 size;		/* a power of two; 0: there is none */
	bool io;
	bool enabled;
	u64 place;		/* result: base, or BARS_NOWHERE */
};

struct bars_space {
	const struct bars_range *memory;	/* reserved */
	unsigned int nmemory;
	const struct bars_range *ports;
	unsigned int nports;
	u64 memory_end;				/* behind the last guest-physical address, at most 2^48 */
};

bool bars_overlap(u64 a, u64 asize, u64 b, u64 bsize);

/* Sets each place; returns how many enabled BARs are refused. */
unsigned int bars_plan(struct bars_bar *bars, unsigned int nbars, const struct bars_space *space);

#endif
