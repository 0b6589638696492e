/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extended page tables, four levels, Intel SDM volume 3, 29.3.
 *
 * Level 4 is the root; an entry at level 3, 2 or 1 maps 1 GiB, 2 MiB or 4 KiB, or is a table of the level below.
 * Large pages are split where it is necessary and never merged, so tables are only ever added; the supplier of the
 * pages frees them all at once when the partition is gone.
 *
 * An entry that maps nothing is either 0, which ept_identity() may fill, or EPT_HELD, taken away on purpose.
 *
 * Every function that changes something wants the caller's lock and, after it, the caller's INVEPT on all CPUs. CPUs
 * that walk the tables meanwhile see each entry as it was or as it will be, and a split changes no translation.
 * The functions that return int return 0, -ENOMEM, or -EINVAL for unaligned ranges, ranges beyond 48 guest-physical
 * or phys_bits host-physical bits, and bits that hardware would call a misconfiguration (29.3.3.1). When ept_map(),
 * ept_unmap() or ept_replace() fail, no translation has changed; pages that went into splits stay there.
 */
#ifndef EPT_SHADOW_EPT_H
#define EPT_SHADOW_EPT_H

#include <avmm/boot.h>

#ifndef ENOMEM
#define	ENOMEM		12
#endif
#ifndef EAGAIN
#define	EAGAIN		11
#endif
#ifndef EINVAL
#define	EINVAL		22
#endif

#define EPT_R		(1ull << 0)
#define EPT_W		(1ull << 1)
#define EPT_X		(1ull << 2)
#define EPT_RW		(EPT_R | EPT_W)
#define EPT_RWX		(EPT_R | EPT_W | EPT_X)
#define EPT_TYPE_SHIFT	3			/* bits 5:3 of a leaf: enum mtrr_memory_type */
#define EPT_TYPE	(7ull << EPT_TYPE_SHIFT)
#define EPT_LARGE	(1ull << 7)		/* leaf at level 2 or 3 */
#define EPT_HELD	(1ull << 11)		/* ours, in a bit that hardware ignores: not present on purpose */
#define EPT_ADDRESS	0xffffffffff000ull

#define EPT_LEVELS	4
#define EPT_ENTRIES	512
#define EPT_GPA_BITS	48
#define EPT_EAGER_BITS	46			/* above this, ept_identity() at the first access, 1 GiB a time */

/* Bytes that an entry of this level spans, 4 KiB at level 1. */
#define EPT_SPAN(level)	(1ull << (3 + 9 * (level)))

struct ept {
	/* set by the owner before anything else */
	u32 phys_bits;			/* width of physical addresses, at most 52 */
	u32 max_level;			/* largest pages: 3 is 1 GiB (IA32_VMX_EPT_VPID_CAP bit 17), 2 is 2 MiB (bit 16) */
	const struct avmm_mtrr *mtrr;	/* for ept_identity() only, as are the next three */
	const u64 *hidden;		/* blocks of AVMM_BLOCK_SIZE that the identity shows as zero_page, read-only */
	u32 nhidden;
	u64 zero_page;			/* physical */
	void *ctx;
	u64 *(*alloc)(void *ctx, u64 *phys);		/* a zeroed page for a table, NULL: there is none left */
	u64 *(*table)(void *ctx, u64 phys);		/* where alloc() said that this one is */

	/* set by ept_init() and kept up to date */
	u64 *root;
	u64 root_phys;
	u64 tables;			/* table pages taken from alloc(), the root included */
};

/* What ept_walk() found. Nothing is mapped there when (entry & EPT_RWX) == 0. */
struct ept_entry {
	u64 entry;
	u32 level;			/* 4 … 1 */
};

/* Rights that a range of host-physical memory may have at most: see ept_check(). */
struct ept_rule {
	u64 base;			/* host-physical */
	u64 size;			/* bytes */
	u64 perms;			/* EPT_R | EPT_W | EPT_X */
};

#define EPT_CLEAN	(~0ull)

int ept_init(struct ept *ept);

/* The EPT pointer for the VMCS: write-back, four levels, accessed and dirty flags off; SDM table 25-9. */
u64 ept_pointer(const struct ept *ept);

/*
 * Map every address of [base, base + size) to itself with all rights and its MTRR type, in the largest pages that
 * have one type, unless the entry is not empty. Safe to call again after -ENOMEM, when the entries made so far stay.
 */
int ept_identity(struct ept *ept, u64 base, u64 size);

/*
 * The same in steps, for callers who must not be busy for long: -EAGAIN after so many new entries, and the next call goes
 * on behind *done bytes of the range, 0 at first.
 */
int ept_identity_some(struct ept *ept, u64 base, u64 size, u64 *done, u32 entries);

/* For EPT violations of the service above EPT_EAGER_BITS: the identity of the 1 GiB around gpa; -EINVAL elsewhere. */
int ept_identity_late(struct ept *ept, u64 gpa);

/* Map a range to other memory, whatever was there. One call for 4 KiB sets one entry. */
int ept_map(struct ept *ept, u64 gpa, u64 hpa, u64 size, u64 perms, u32 type);

/* Map blocks of AVMM_BLOCK_SIZE, one after the other from gpa on. -ENOMEM leaves those that were mapped. */
int ept_map_blocks(struct ept *ept, u64 gpa, const u64 *blocks, u32 nblocks, u64 perms, u32 type);

/* Take a range away. Cannot fail where a call of ept_map() for the same range came before. */
int ept_unmap(struct ept *ept, u64 gpa, u64 size);

/* Show the one page at hpa in every 4 KiB entry of a range, read-only and write-back. */
int ept_replace(struct ept *ept, u64 gpa, u64 size, u64 hpa);

struct ept_entry ept_walk(const struct ept *ept, u64 gpa);

/*
 * Does every leaf keep to the rules? The first rule that holds all of a leaf's memory decides what rights it may
 * have; rules that hold a part of it restrict it as well; what no rule holds may have the rights in others. Entries
 * that hardware would refuse fail too. Returns EPT_CLEAN or the guest-physical address of the first bad entry.
 * Walks all tables: for debug builds and tests.
 */
u64 ept_check(const struct ept *ept, const struct ept_rule *rules, u32 nrules, u64 others);

#endif
