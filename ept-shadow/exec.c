// SPDX-License-Identifier: GPL-2.0-only
#include "exec.h"
#include "mtrr.h"

#define LEVEL	2

/* The entry of level 2 for gpa, NULL where there is none. */
static u64 *find(const struct ept *ept, u64 gpa)
{
	u64 *table = ept->root;
	u32 level;

	for (level = EPT_LEVELS; level > LEVEL; level--) {
		u64 entry = table[gpa / EPT_SPAN(level) % EPT_ENTRIES];

		if (!(entry & EPT_RWX) || (entry & EPT_LARGE))
			return NULL;
		table = ept->table(ept->ctx, entry & EPT_ADDRESS);
	}
	return &table[gpa / EPT_SPAN(LEVEL) % EPT_ENTRIES];
}

static void set(u64 *slot, u64 entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* The oldest one's leaf takes its place again. Its pages were all one block, with the same rights. */
static void take_back(struct ept_exec *x)
{
	const struct ept_exec_table *t = &x->slot[x->next];

	set(find(x->ept, t->gpa), (t->table[0] & ~EPT_X) | EPT_LARGE);
	x->flush(x->ctx);
	x->loose = true;
}

/*
 * A table that no CPU uses; NULL: there is none, or not yet (loose). An instruction can lie in two blocks; a third table is
 * on its way out meanwhile, so that nobody waits for CPUs that are slow to forget it.
 */
static struct ept_exec_table *take(struct ept_exec *x)
{
	struct ept_exec_table *t = &x->slot[x->used];

	if (x->used < x->size) {
		t->table = x->ept->alloc(x->ept->ctx, &t->phys);
		if (t->table) {
			x->ept->tables++;
			x->used++;
			return t;
		}
		x->size = x->used;
	}
	if (x->size < 3)
		return NULL;
	if (!x->loose)
		take_back(x);
	if (!x->flushed(x->ctx))
		return NULL;
	t = &x->slot[x->next];
	x->next = (x->next + 1) % x->size;
	take_back(x);
	return t;
}

bool ept_exec_allow(struct ept_exec *x, u64 gpa)
{
	u64 *slot = gpa >> EPT_GPA_BITS ? NULL : find(x->ept, gpa), leaf = slot ? *slot : 0;
	struct ept_exec_table *t;
	u32 i;

	if (!(leaf & EPT_RWX))
		return false;
	/* a device's registers: not for executing, and not ours */
	if ((leaf & EPT_LARGE) && (leaf & EPT_TYPE) != (u64)MTRR_WB << EPT_TYPE_SHIFT)
		return false;
	/* another CPU was here before, or this one kept an old translation: such a fetch needs no more than a second try */
	if (!(leaf & EPT_LARGE))
		return x->ept->table(x->ept->ctx, leaf & EPT_ADDRESS)[gpa / AVMM_PAGE_SIZE % EPT_ENTRIES] & EPT_X;
	if (leaf & EPT_X)
		return true;
	t = take(x);
	if (!t)
		return x->loose;
	t->gpa = gpa & ~(EPT_SPAN(LEVEL) - 1);
	for (i = 0; i < EPT_ENTRIES; i++)
		t->table[i] = ((leaf & ~EPT_LARGE) | EPT_X) + i * AVMM_PAGE_SIZE;
	set(slot, t->phys | EPT_RWX);
	return true;
}
