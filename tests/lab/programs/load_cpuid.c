// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executes CPUID on each CPU in a loop, at the lowest priority: under VT-x every one is a VM exit, so that interrupts
 * and NMIs meet the hypervisor. The answers must not change, except for what a launch changes on purpose (VMX and
 * the hypervisor bit) and what belongs to the CPU that happened to answer.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "lab.h"

static const struct {
	u32 leaf, subleaf;
	u32 mask[4];		/* bits that must stay */
} leaves[] = {
#define ALL	0xffffffff
	{ 0, 0, { ALL, ALL, ALL, ALL } },
	{ 1, 0, { ALL, 0x00ffffff, ~(1u << 31 | 1u << 5), ALL } },
	{ 4, 0, { ALL, ALL, ALL, ALL } },
	{ 7, 0, { ALL, ALL, ALL, ALL } },
	{ 0xd, 0, { ALL, ALL, ALL, ALL } },
	{ 0xd, 1, { ALL, 0, ALL, ALL } },	/* EBX: what the kernel has enabled at the moment */
	{ 0x80000000, 0, { ALL, ALL, ALL, ALL } },
	{ 0x80000001, 0, { ALL, ALL, ALL, ALL } },
	{ 0x80000002, 0, { ALL, ALL, ALL, ALL } },
	{ 0x80000008, 0, { ALL, ALL, ALL, ALL } },
};

#define LEAVES	(sizeof(leaves) / sizeof(leaves[0]))

static u64 *counts;

static void ask(unsigned int process)
{
	u32 first[LEAVES][4], now[4];
	size_t i;
	int r;

	for (i = 0; i < LEAVES; i++)
		lab_cpuid(leaves[i].leaf, leaves[i].subleaf, first[i]);
	while (lab_go_on()) {
		lab_pin(lab_cpu(process));
		for (i = 0; i < 50 * LEAVES; i++) {
			size_t n = i % LEAVES;

			lab_cpuid(leaves[n].leaf, leaves[n].subleaf, now);
			for (r = 0; r < 4; r++)
				if ((now[r] ^ first[n][r]) & leaves[n].mask[r])
					lab_fail("leaf %#x.%u e%cx: %08x became %08x", leaves[n].leaf,
						 leaves[n].subleaf, "abcd"[r], first[n][r], now[r]);
		}
		counts[process] += 50 * LEAVES;
	}
}

int main(int argc, char **argv)
{
	unsigned int i, processes;
	u64 sum = 0;

	lab_start(argc, argv, "", NULL, NULL);
	processes = lab_cpus();
	counts = lab_shared(processes * sizeof(*counts));
	for (i = 0; i < processes; i++) {
		if (!fork()) {
			if (nice(19) < 0)
				_exit(1);
			ask(i);
			_exit(0);
		}
	}
	lab_wait_children(processes);
	for (i = 0; i < processes; i++)
		sum += counts[i];
	lab_ok("processes %u cpuids %llu", processes, (unsigned long long)sum);
}
