// SPDX-License-Identifier: GPL-2.0-only
/* The invariants of second-level translation, as code: what no EPT may ever hold. */
#include "ept.h"
#include "mtrr.h"

struct rules {
	const struct ept *ept;
	const struct ept_rule *rule;
	u32 count;
	u64 others;
};

/* Rights that a leaf over [hpa, hpa + size) may have. */
static u64 rights(const struct rules *r, u64 hpa, u64 size)
{
	u64 perms = EPT_RWX;
	u32 i;

	for (i = 0; i < r->count; i++) {
		const struct ept_rule *rule = &r->rule[i];

		if (hpa >= rule->base + rule->size || rule->base >= hpa + size)
			continue;
		perms &= rule->perms;
		if (hpa >= rule->base && hpa + size <= rule->base + rule->size)
			return perms;
	}
	return perms & r->others;
}

/* Leaves have a type of the SDM's table 12-8, PAT is not ignored, and all bits that we do not use are 0. */
static bool good_leaf(const struct rules *r, u64 entry, u32 level)
{
	u64 hpa = entry & EPT_ADDRESS;
	u64 type = (entry & EPT_TYPE) >> EPT_TYPE_SHIFT;
	u64 large = level > 1 ? EPT_LARGE : 0;

	if (entry & ~(EPT_ADDRESS | EPT_TYPE | EPT_RWX | large) || level > r->ept->max_level)
		return false;
	if (hpa % EPT_SPAN(level) || hpa >> r->ept->phys_bits || !(entry & EPT_R))
		return false;
	if (type == 2 || type == 3 || type == 7)
		return false;
	return !(entry & EPT_RWX & ~rights(r, hpa, EPT_SPAN(level)));
}

static bool good_table(const struct rules *r, u64 entry)
{
	return (entry & ~EPT_ADDRESS) == EPT_RWX && (entry & EPT_ADDRESS) >> r->ept->phys_bits == 0;
}

/* The first bad entry under a table, which maps from gpa on; recursion is as deep as there are levels. */
static u64 check_table(const struct rules *r, const u64 *table, u64 gpa, u32 level)
{
	u32 i;

	for (i = 0; i < EPT_ENTRIES; i++, gpa += EPT_SPAN(level)) {
		u64 bad = EPT_CLEAN;

		if (table[i] == 0 || table[i] == EPT_HELD)
			continue;
		if (level == 1 || (table[i] & EPT_LARGE))
			bad = good_leaf(r, table[i], level) ? EPT_CLEAN : gpa;
		else if (good_table(r, table[i]))
			bad = check_table(r, r->ept->table(r->ept->ctx, table[i] & EPT_ADDRESS), gpa, level - 1);
		else
			bad = gpa;
		if (bad != EPT_CLEAN)
			return bad;
	}
	return EPT_CLEAN;
}

u64 ept_check(const struct ept *ept, const struct ept_rule *rules, u32 nrules, u64 others)
{
	struct rules r = { .ept = ept, .rule = rules, .count = nrules, .others = others };

	return check_table(&r, ept->root, 0, EPT_LEVELS);
}
