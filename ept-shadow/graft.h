/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One page of memory, shown for a moment at addresses where an EPT maps nothing. Tables that are missing on the way
 * come from a reserve, and ept_prune() gives them back: the EPT is then as it was, so that no number of addresses uses
 * up memory. As with ept.h, lock and INVEPT (after ept_prune() only) are the caller's.
 */
#ifndef EPT_SHADOW_GRAFT_H
#define EPT_SHADOW_GRAFT_H

#include <ept-shadow/ept.h>

#define GRAFT_PAGES	8u		/* addresses at a time */
#define GRAFT_TABLES	((EPT_LEVELS - 1) * GRAFT_PAGES)
#define GRAFT_CHANGES	(EPT_LEVELS * GRAFT_PAGES)

struct ept_graft {
	struct ept *ept;
	u64 page;			/* physical: what is shown */
	u64 *table[GRAFT_TABLES];	/* the reserve; empty but for what change[] tells */
	u64 phys[GRAFT_TABLES];
	u32 tables;			/* … of which in use */
	u32 changes;
	struct {
		u64 *slot;
		u64 old;
	} change[GRAFT_CHANGES];
};

/* Takes the reserve from ept->alloc(). 0, or -ENOMEM. */
int ept_graft_init(struct ept_graft *g, struct ept *ept, u64 page);

/*
 * Shows the page at gpa, with these rights; again at the same address: with more of them. False: something else is
 * there, the address is beyond what the EPT translates, or the reserve is used up, which GRAFT_PAGES addresses cannot do.
 * Then nothing has changed.
 */
bool ept_graft(struct ept_graft *g, u64 gpa, u64 perms);

void ept_prune(struct ept_graft *g);

#endif
