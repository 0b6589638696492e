// SPDX-License-Identifier: GPL-2.0-only
#include "graft.h"
#include "mtrr.h"

int ept_graft_init(struct ept_graft *g, struct ept *ept, u64 page)
{
	u32 i;

	g->ept = ept;
	g->page = page;
	g->tables = 0;
	g->changes = 0;
	for (i = 0; i < GRAFT_TABLES; i++) {
		g->table[i] = ept->alloc(ept->ctx, &g->phys[i]);
		if (!g->table[i])
			return -ENOMEM;
	}
	return 0;
}

static void change(struct ept_graft *g, u64 *slot, u64 entry)
{
	g->change[g->changes].slot = slot;
	g->change[g->changes].old = *slot;
	g->changes++;
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

static u64 *slot_in(u64 *table, u64 gpa, u32 level)
{
	return &table[gpa / EPT_SPAN(level) % EPT_ENTRIES];
}

bool ept_graft(struct ept_graft *g, u64 gpa, u64 perms)
{
	u64 entry = g->page | perms | MTRR_WB << EPT_TYPE_SHIFT, *table = g->ept->root, *slot;
	u32 level = EPT_LEVELS;

	if (gpa >> EPT_GPA_BITS)
		return false;
	for (slot = slot_in(table, gpa, level); level > 1 && (*slot & EPT_RWX) && !(*slot & EPT_LARGE);
	     slot = slot_in(table, gpa, --level))
		table = g->ept->table(g->ept->ctx, *slot & EPT_ADDRESS);
	if (*slot & EPT_RWX) {
		if (level > 1 || (*slot & EPT_ADDRESS) != g->page)
			return false;
		__atomic_store_n(slot, *slot | entry, __ATOMIC_RELEASE);
		return true;
	}
	if (g->tables + level - 1 > GRAFT_TABLES || g->changes + level > GRAFT_CHANGES)
		return false;
	for (; level > 1; level--) {
		table = g->table[g->tables];
		change(g, slot, g->phys[g->tables++] | EPT_RWX);
		slot = slot_in(table, gpa, level - 1);
	}
	change(g, slot, entry);
	return true;
}

void ept_prune(struct ept_graft *g)
{
	while (g->changes) {
		g->changes--;
		__atomic_store_n(g->change[g->changes].slot, g->change[g->changes].old, __ATOMIC_RELEASE);
	}
	g->tables = 0;
}
