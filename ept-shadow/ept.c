// SPDX-License-Identifier: GPL-2.0-only
#include "ept.h"
#include "mtrr.h"

/* Two passes over a range: the first takes all memory, so that the second cannot fail half-way. */
enum pass {
	PREPARE,
	COMMIT,
};

/* What the entries of a range shall become. */
struct change {
	u64 gpa;
	u64 size;
	u64 hpa;
	u64 bits;		/* rights and type; 0 takes the range away */
	u32 max_level;
	bool repeat;		/* the page at hpa again and again */
};

/* ept_identity() at work. */
struct identity {
	struct ept *ept;
	u64 base;
	u64 end;
	u64 at;			/* what is below is done */
	u32 left;		/* entries that may still be made */
	u64 run;		/* [run, run + run_size) is known to have one memory type */
	u64 run_size;
	u32 run_type;
};

#define RUN_STEP	3	/* 512 GiB … 128 MiB … 2 MiB … 4 KiB: divides the bits of a level */

static bool is_leaf(u64 entry, u32 level)
{
	return (entry & EPT_RWX) && (level == 1 || (entry & EPT_LARGE));
}

static bool is_table(u64 entry, u32 level)
{
	return (entry & EPT_RWX) && !is_leaf(entry, level);
}

static u32 index_of(u64 gpa, u32 level)
{
	return gpa / EPT_SPAN(level) % EPT_ENTRIES;
}

static u64 leaf(u64 hpa, u64 bits, u32 level)
{
	return hpa | bits | (level > 1 ? EPT_LARGE : 0);
}

/* One store, after all stores to the table that it may point to: other CPUs may be walking. */
static void set(u64 *slot, u64 entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

static u64 *table_of(const struct ept *ept, u64 entry)
{
	return ept->table(ept->ctx, entry & EPT_ADDRESS);
}

/* The table under an entry of this level. One is made if need be, with the same meaning that the entry had. */
static u64 *lower_table(struct ept *ept, u64 *slot, u32 level)
{
	u64 entry = *slot;
	u64 phys, *table;
	u32 i;

	if (is_table(entry, level))
		return table_of(ept, entry);
	table = ept->alloc(ept->ctx, &phys);
	if (!table)
		return NULL;
	ept->tables++;
	for (i = 0; entry && i < EPT_ENTRIES; i++) {
		u64 hpa = (entry & EPT_ADDRESS) + i * EPT_SPAN(level - 1);

		table[i] = entry & EPT_RWX ? leaf(hpa, entry & (EPT_RWX | EPT_TYPE), level - 1) : entry;
	}
	set(slot, phys | EPT_RWX);
	return table;
}

static bool valid_range(u64 base, u64 size, u32 bits)
{
	return !((base | size) % AVMM_PAGE_SIZE) && base >> bits == 0 && size <= (1ull << bits) - base;
}

static bool valid_bits(u64 perms, u32 type)
{
	if ((perms & ~EPT_RWX) || !(perms & EPT_R))	/* execute-only needs a capability that nobody wants here */
		return false;
	return type == MTRR_UC || type == MTRR_WC || type == MTRR_WT || type == MTRR_WP || type == MTRR_WB;
}

int ept_init(struct ept *ept)
{
	if (ept->phys_bits < 32 || ept->phys_bits > 52 || ept->max_level < 1 || ept->max_level > 3)
		return -EINVAL;
	ept->root = ept->alloc(ept->ctx, &ept->root_phys);
	ept->tables = ept->root ? 1 : 0;
	return ept->root ? 0 : -ENOMEM;
}

u64 ept_pointer(const struct ept *ept)
{
	return ept->root_phys | (EPT_LEVELS - 1) << 3 | MTRR_WB;
}

static bool hidden(const struct ept *ept, u64 base, u64 size)
{
	u32 i;

	for (i = 0; i < ept->nhidden; i++)
		if (base < ept->hidden[i] + AVMM_BLOCK_SIZE && ept->hidden[i] < base + size)
			return true;
	return false;
}

/*
 * Has [gpa, gpa + span) one memory type? Asked of the largest aligned run around it first, and remembered: most of
 * the address space has one type, and one answer then serves for hundreds of entries. Runs from 0 on are not tried:
 * types change the more often the lower the address.
 */
static bool uniform(struct identity *id, u64 gpa, u64 span)
{
	const struct avmm_mtrr *mtrr = id->ept->mtrr;
	u64 size = EPT_SPAN(EPT_LEVELS);

	if (gpa - id->run < id->run_size && span <= id->run_size)
		return true;
	while (size > gpa && size > span)
		size >>= RUN_STEP;
	for (; size >= span; size >>= RUN_STEP) {
		if (!mtrr_uniform(mtrr, gpa & ~(size - 1), size))
			continue;
		id->run = gpa & ~(size - 1);
		id->run_size = size;
		id->run_type = mtrr_type(mtrr, gpa);
		return true;
	}
	return false;
}

/* The identity entry at gpa, 0 when it has to be a table. */
static u64 identity_leaf(struct identity *id, u64 gpa, u32 level)
{
	const struct ept *ept = id->ept;
	u64 span = EPT_SPAN(level);

	if (level > ept->max_level || gpa < id->base || id->end - gpa < span)
		return 0;
	if (hidden(ept, gpa, span))
		return level > 1 ? 0 : leaf(ept->zero_page, EPT_R | MTRR_WB << EPT_TYPE_SHIFT, 1);
	if (!uniform(id, gpa, span))
		return 0;
	return leaf(gpa, EPT_RWX | (u64)id->run_type << EPT_TYPE_SHIFT, level);
}

/*
 * Fill one entry and all under it from id->at on; recursion is as deep as there are levels. A new table is linked
 * before it is full, so none is lost when memory ends.
 */
static int fill(struct identity *id, u64 *slot, u64 gpa, u32 level)
{
	u64 last = gpa + EPT_SPAN(level) < id->end ? gpa + EPT_SPAN(level) : id->end;
	u64 *table;
	u64 next;

	if (*slot && !is_table(*slot, level))
		return 0;
	next = *slot ? 0 : identity_leaf(id, gpa, level);
	if (next && !id->left) {
		id->at = gpa;
		return -EAGAIN;
	}
	if (next) {
		id->left--;
		set(slot, next);
		return 0;
	}
	table = lower_table(id->ept, slot, level);
	if (!table)
		return -ENOMEM;
	next = gpa > id->at ? gpa : id->at & ~(EPT_SPAN(level - 1) - 1);
	for (; next < last; next += EPT_SPAN(level - 1)) {
		int err = fill(id, &table[index_of(next, level - 1)], next, level - 1);

		if (err)
			return err;
	}
	return 0;
}

int ept_identity_some(struct ept *ept, u64 base, u64 size, u64 *done, u32 entries)
{
	struct identity id = { .ept = ept, .base = base, .end = base + size, .at = base + *done, .left = entries };
	u64 gpa = id.at & ~(EPT_SPAN(EPT_LEVELS) - 1);
	int err = 0;

	if (!valid_range(base, size, EPT_GPA_BITS) || !valid_range(base, size, ept->phys_bits) || *done > size)
		return -EINVAL;
	for (; gpa < id.end && !err; gpa += EPT_SPAN(EPT_LEVELS))
		err = fill(&id, &ept->root[index_of(gpa, EPT_LEVELS)], gpa, EPT_LEVELS);
	*done = id.at - base;
	return err;
}

int ept_identity(struct ept *ept, u64 base, u64 size)
{
	u64 done = 0;

	return ept_identity_some(ept, base, size, &done, ~0u);
}

int ept_identity_late(struct ept *ept, u64 gpa)
{
	if (gpa >> EPT_EAGER_BITS == 0)
		return -EINVAL;
	return ept_identity(ept, gpa & ~(EPT_SPAN(3) - 1), EPT_SPAN(3));
}

/* The entry for gpa at this level, or at a lower one when a table is there already: never merged. */
static u64 *slot_at(struct ept *ept, u64 gpa, u32 *level)
{
	u64 *table = ept->root;
	u32 at = EPT_LEVELS;

	while (at > *level || is_table(table[index_of(gpa, at)], at)) {
		table = lower_table(ept, &table[index_of(gpa, at)], at);
		if (!table)
			return NULL;
		at--;
	}
	*level = at;
	return &table[index_of(gpa, at)];
}

static int apply(struct ept *ept, const struct change *c, enum pass pass)
{
	u64 done = 0;

	while (done < c->size) {
		u32 level = c->max_level;
		u64 hpa = c->repeat ? c->hpa : c->hpa + done;
		u64 *slot;

		while (level > 1 && (((c->gpa + done) | hpa) % EPT_SPAN(level) || c->size - done < EPT_SPAN(level)))
			level--;
		slot = slot_at(ept, c->gpa + done, &level);
		if (!slot)
			return -ENOMEM;
		if (pass == COMMIT)
			set(slot, c->bits ? leaf(hpa, c->bits, level) : EPT_HELD);
		done += EPT_SPAN(level);
	}
	return 0;
}

static int apply_both(struct ept *ept, const struct change *c)
{
	int err;

	if (!valid_range(c->gpa, c->size, EPT_GPA_BITS))
		return -EINVAL;
	err = apply(ept, c, PREPARE);
	return err ? err : apply(ept, c, COMMIT);
}

int ept_map(struct ept *ept, u64 gpa, u64 hpa, u64 size, u64 perms, u32 type)
{
	struct change c = {
		.gpa = gpa, .size = size, .hpa = hpa, .max_level = ept->max_level,
		.bits = perms | (u64)type << EPT_TYPE_SHIFT,
	};

	if (!valid_bits(perms, type) || !valid_range(hpa, size, ept->phys_bits))
		return -EINVAL;
	return apply_both(ept, &c);
}

int ept_map_blocks(struct ept *ept, u64 gpa, const u64 *blocks, u32 nblocks, u64 perms, u32 type)
{
	int err = 0;
	u32 i;

	for (i = 0; i < nblocks && !err; i++)
		err = ept_map(ept, gpa + i * AVMM_BLOCK_SIZE, blocks[i], AVMM_BLOCK_SIZE, perms, type);
	return err;
}

int ept_unmap(struct ept *ept, u64 gpa, u64 size)
{
	struct change c = { .gpa = gpa, .size = size, .hpa = gpa, .max_level = 3 };

	return apply_both(ept, &c);
}

int ept_replace(struct ept *ept, u64 gpa, u64 size, u64 hpa)
{
	struct change c = {
		.gpa = gpa, .size = size, .hpa = hpa, .max_level = 1, .repeat = true,
		.bits = EPT_R | MTRR_WB << EPT_TYPE_SHIFT,
	};

	if (!valid_range(hpa, AVMM_PAGE_SIZE, ept->phys_bits))
		return -EINVAL;
	return apply_both(ept, &c);
}

struct ept_entry ept_walk(const struct ept *ept, u64 gpa)
{
	struct ept_entry found = { .level = EPT_LEVELS };
	const u64 *table = ept->root;

	if (gpa >> EPT_GPA_BITS)
		return found;
	found.entry = table[index_of(gpa, found.level)];
	while (is_table(found.entry, found.level)) {
		table = table_of(ept, found.entry);
		found.level--;
		found.entry = table[index_of(gpa, found.level)];
	}
	return found;
}
