/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A partition's memory on CPUs where an instruction fetch that finds translations of two sizes for one address stops the
 * machine (iTLB multi-hit): there a guest that changes its page sizes without the flush that the manual asks for could do it.
 *
 * Memory is mapped by leaves of 2 MiB that cannot be executed. A fetch from one is an EPT violation, and then a table of
 * executable 4 KiB leaves takes its place; so nothing larger is ever fetched from. When tables run out, one that is in use
 * becomes a leaf again, and serves anew when every CPU has flushed it.
 */
#ifndef EPT_SHADOW_EXEC_H
#define EPT_SHADOW_EXEC_H

#include "ept.h"

struct ept_exec_table {
	u64 *table;
	u64 phys;
	u64 gpa;			/* of the 2 MiB */
};

struct ept_exec {
	struct ept *ept;		/* max_level 2 */
	struct ept_exec_table *slot;	/* size of them */
	u32 size;
	u32 used;
	u32 next;			/* to be taken back */
	bool loose;			/* that was done, and flush() called since */
	void (*flush)(void *ctx);	/* no CPU is to go on with an old translation; it need not wait for those … */
	bool (*flushed)(void *ctx);	/* … that this asks for */
	void *ctx;
};

/* Rights of memory that ept_exec_allow() looks after. */
#define EPT_EXEC_LATER	EPT_RW

/*
 * The guest fetched from gpa, where it may not. True: it may now, or should try again since a table is about to be free.
 * False: nothing to do with us, or there are no tables. The caller has a lock.
 */
bool ept_exec_allow(struct ept_exec *x, u64 gpa);

#endif
