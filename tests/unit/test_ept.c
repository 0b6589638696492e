// SPDX-License-Identifier: GPL-2.0-only
/* The EPT builder: properties over random memory types, and each promise of ept.h. */
#include "unit.h"
#include "ept_supplier.h"
#include "random_mtrr.h"

#define PHYS_BITS	37
#define TOP		(1ull << PHYS_BITS)
#define MONITOR		0x1200000000ull		/* table pages: the first of the hidden blocks */
#define ZERO_PAGE	(MONITOR + 0x1fff000)
#define GIB		(1ull << 30)
#define MIB		(1ull << 20)
#define TYPE(type)	((u64)(type) << EPT_TYPE_SHIFT)

struct machine {
	struct supplier supplier;
	struct avmm_mtrr mtrr;
	u64 hidden[16 + 4];	/* 32 MiB of table pages, and some blocks elsewhere */
	struct ept ept;
};

static void machine_init(struct machine *m)
{
	u32 i;

	memset(m, 0, sizeof(*m));
	supplier_init(&m->supplier, &m->ept, MONITOR);
	for (i = 0; i < 16; i++)
		m->hidden[i] = MONITOR + i * AVMM_BLOCK_SIZE;
	m->ept.phys_bits = PHYS_BITS;
	m->ept.mtrr = &m->mtrr;
	m->ept.hidden = m->hidden;
	m->ept.nhidden = 16;
	m->ept.zero_page = ZERO_PAGE;
}

static void random_machine(u64 *seed, struct machine *m)
{
	machine_init(m);
	random_mtrr(seed, &m->mtrr, PHYS_BITS);
	m->ept.max_level = 2 + random_below(seed, 2);
	for (; m->ept.nhidden < ARRAY_SIZE(m->hidden); m->ept.nhidden++)
		m->hidden[m->ept.nhidden] = random_address(seed, &m->mtrr, PHYS_BITS) & ~(AVMM_BLOCK_SIZE - 1);
}

static bool is_hidden(const struct machine *m, u64 base, u64 size)
{
	u64 addr;
	u32 i;

	for (addr = base & ~(AVMM_BLOCK_SIZE - 1); addr < base + size; addr += AVMM_BLOCK_SIZE)
		for (i = 0; i < m->ept.nhidden; i++)
			if (m->hidden[i] == addr)
				return true;
	return false;
}

/* Where the 4 KiB at gpa goes, with rights and type. */
static u64 translation(const struct ept *ept, u64 gpa)
{
	struct ept_entry found = ept_walk(ept, gpa);
	u64 offset = gpa & (EPT_SPAN(found.level) - 1) & EPT_ADDRESS;

	return found.entry & EPT_RWX ? (found.entry & ~EPT_LARGE) + offset : found.entry;
}

static u64 identity_translation(const struct machine *m, u64 gpa)
{
	if (is_hidden(m, gpa, AVMM_PAGE_SIZE))
		return ZERO_PAGE | EPT_R | TYPE(MTRR_WB);
	return gpa | EPT_RWX | TYPE(mtrr_type(&m->mtrr, gpa));
}

static u64 check_service(const struct machine *m)
{
	struct ept_rule rule[1 + ARRAY_SIZE(m->hidden)] = { { ZERO_PAGE, AVMM_PAGE_SIZE, EPT_R } };
	u32 i;

	for (i = 0; i < m->ept.nhidden; i++)
		rule[i + 1] = (struct ept_rule){ m->hidden[i], AVMM_BLOCK_SIZE, 0 };
	return ept_check(&m->ept, rule, m->ept.nhidden + 1, EPT_RWX);
}

/* A page of hidden memory or one that random_address() gives. */
static u64 sample(u64 *seed, const struct machine *m)
{
	if (random_below(seed, 4) == 0)
		return (m->hidden[random_below(seed, m->ept.nhidden)] +
			(random_below(seed, 514) - 1) * AVMM_PAGE_SIZE) & (TOP - 1);
	return random_address(seed, &m->mtrr, PHYS_BITS);
}

static void types_and_addresses_of_the_identity(void **state)
{
	u64 seed = 0x455054;
	int set, i;

	(void)state;
	for (set = 0; set < 60; set++) {
		struct machine m;
		u64 tables;

		random_machine(&seed, &m);
		assert_int_equal(ept_init(&m.ept), 0);
		assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
		tables = m.ept.tables;
		assert_int_equal(count_tables(&m.ept, m.ept.root, EPT_LEVELS), tables);
		assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
		assert_int_equal(m.ept.tables, tables);
		for (i = 0; i < 2000; i++) {
			u64 gpa = sample(&seed, &m);

			assert_int_equal(translation(&m.ept, gpa), identity_translation(&m, gpa));
		}
		assert_int_equal(ept_walk(&m.ept, TOP).entry, 0);
		assert_int_equal(check_service(&m), EPT_CLEAN);
		supplier_free(&m.supplier);
	}
}

static void identity_has_the_largest_pages_possible(void **state)
{
	u64 seed = 0x4c41524745, pages[4] = { 0 };
	int set, i;

	(void)state;
	for (set = 0; set < 40; set++) {
		struct machine m;

		random_machine(&seed, &m);
		assert_int_equal(ept_init(&m.ept), 0);
		assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
		for (i = 0; i < 1000; i++) {
			u64 gpa = sample(&seed, &m);
			u32 level = ept_walk(&m.ept, gpa).level;
			u64 base = gpa & ~(EPT_SPAN(level + 1) - 1);

			pages[level]++;
			assert_true(level <= m.ept.max_level);
			if (level == m.ept.max_level)
				continue;
			assert_true(is_hidden(&m, base, EPT_SPAN(level + 1)) ||
				    !mtrr_uniform(&m.mtrr, base, EPT_SPAN(level + 1)));
		}
		supplier_free(&m.supplier);
	}
	assert_true(pages[1] > 1000 && pages[2] > 1000 && pages[3] > 1000);
}

static bool same_tables(const struct ept *a, const u64 *ta, const struct ept *b, const u64 *tb, u32 level)
{
	u32 i;

	for (i = 0; i < EPT_ENTRIES; i++) {
		bool table = level > 1 && (ta[i] & EPT_RWX) && !(ta[i] & EPT_LARGE);

		if (table != (level > 1 && (tb[i] & EPT_RWX) && !(tb[i] & EPT_LARGE)))
			return false;
		if (!table && ta[i] != tb[i])
			return false;
		if (table && !same_tables(a, a->table(a->ctx, ta[i] & EPT_ADDRESS), b,
					  b->table(b->ctx, tb[i] & EPT_ADDRESS), level - 1))
			return false;
	}
	return true;
}

static u64 count_leaves(const struct ept *ept, const u64 *table, u32 level)
{
	u64 n = 0;
	u32 i;

	for (i = 0; i < EPT_ENTRIES; i++)
		if (level > 1 && (table[i] & EPT_RWX) && !(table[i] & EPT_LARGE))
			n += count_leaves(ept, ept->table(ept->ctx, table[i] & EPT_ADDRESS), level - 1);
		else
			n += (table[i] & EPT_RWX) != 0;
	return n;
}

/* In steps of any size the same tables come out as at once, and a step makes no more than it may. */
static void identity_in_steps(void **state)
{
	u64 seed = 0x53544550;
	int set;

	(void)state;
	for (set = 0; set < 30; set++) {
		u32 step = 1 + random_below(&seed, 300), calls = 0;
		u64 done = 0, before;
		struct machine m, whole;
		int err;

		random_machine(&seed, &m);
		whole = m;
		whole.ept.ctx = &whole.supplier;
		whole.ept.mtrr = &whole.mtrr;
		whole.ept.hidden = whole.hidden;
		assert_int_equal(ept_init(&whole.ept), 0);
		assert_int_equal(ept_identity(&whole.ept, 0, TOP), 0);
		assert_int_equal(ept_init(&m.ept), 0);
		do {
			before = done;
			err = ept_identity_some(&m.ept, 0, TOP, &done, step);
			calls++;
			if (err == -EAGAIN)
				assert_true(done > before);
		} while (err == -EAGAIN);
		assert_int_equal(err, 0);
		assert_true(same_tables(&whole.ept, whole.ept.root, &m.ept, m.ept.root, EPT_LEVELS));
		assert_int_equal(calls, (count_leaves(&m.ept, m.ept.root, EPT_LEVELS) + step - 1) / step);
		supplier_free(&whole.supplier);
		supplier_free(&m.supplier);
	}
}

/* A PC as firmware leaves it: 1 GiB pages, and tables only where something is. */
static void identity_of_a_pc(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	m.mtrr = (struct avmm_mtrr){
		.cap = MTRR_CAP_FIX | 8, .def_type = MTRR_E | MTRR_FE | MTRR_WB,
		.fixed = { 0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505 },
		.var = { { 0xc0000000, (TOP - (1ull << 30)) | MTRR_VALID } },
	};
	m.ept.nhidden = 1;
	m.supplier.base = m.hidden[0];
	/* root, level 3, level 2 and 1 for the fixed ranges, level 2 and 1 for the hidden block */
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
	assert_int_equal(m.ept.tables, 6);
	assert_int_equal(ept_walk(&m.ept, 0x9f000).entry, 0x9f000 | EPT_RWX | TYPE(MTRR_WB));
	assert_int_equal(ept_walk(&m.ept, 0xa0000).entry, 0xa0000 | EPT_RWX | TYPE(MTRR_UC));
	assert_int_equal(ept_walk(&m.ept, 0xc0000).entry, 0xc0000 | EPT_RWX | TYPE(MTRR_WP));
	assert_int_equal(ept_walk(&m.ept, 2 * MIB).entry, 2 * MIB | EPT_RWX | TYPE(MTRR_WB) | EPT_LARGE);
	assert_int_equal(ept_walk(&m.ept, GIB).level, 3);
	assert_int_equal(ept_walk(&m.ept, 0xfee00000).entry, 0xc0000000 | EPT_RWX | TYPE(MTRR_UC) | EPT_LARGE);
	assert_int_equal(ept_walk(&m.ept, MONITOR).entry, ZERO_PAGE | EPT_R | TYPE(MTRR_WB));
	supplier_free(&m.supplier);
}

static void wide_machines_fill_the_top_late(void **state)
{
	const u64 gpa = (1ull << 47) + 0x123456000, gib = gpa & ~(GIB - 1);
	struct machine m;

	(void)state;
	machine_init(&m);
	m.mtrr.def_type = MTRR_E | MTRR_UC;
	m.ept.phys_bits = 52;
	m.ept.nhidden = 0;
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_identity(&m.ept, 0, 1ull << EPT_EAGER_BITS), 0);
	assert_int_equal(m.ept.tables, 1 + 128);
	assert_int_equal(translation(&m.ept, (1ull << 46) - 0x1000), ((1ull << 46) - 0x1000) | EPT_RWX);
	assert_int_equal(ept_walk(&m.ept, gpa).entry, 0);
	assert_int_equal(ept_identity_late(&m.ept, gpa), 0);
	assert_int_equal(ept_walk(&m.ept, gpa).entry, gib | EPT_RWX | EPT_LARGE);
	assert_int_equal(ept_walk(&m.ept, gib + GIB).entry, 0);
	assert_int_equal(ept_walk(&m.ept, gib - 1).entry, 0);
	assert_int_equal(ept_identity_late(&m.ept, (1ull << 46) - 1), -EINVAL);
	assert_int_equal(ept_identity_late(&m.ept, 1ull << 48), -EINVAL);
	assert_int_equal(ept_identity_late(&m.ept, (1ull << 48) - 1), 0);
	m.ept.phys_bits = 47;
	assert_int_equal(ept_identity_late(&m.ept, 1ull << 47), -EINVAL);
	supplier_free(&m.supplier);
}

/* What was lent away above EPT_EAGER_BITS does not come back by touching it. */
static void held_is_not_filled(void **state)
{
	const u64 gib = 1ull << 47;
	struct machine m;

	(void)state;
	machine_init(&m);
	m.mtrr.def_type = MTRR_E | MTRR_WB;
	m.ept.phys_bits = 48;
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_unmap(&m.ept, gib, GIB), 0);
	assert_int_equal(ept_unmap(&m.ept, gib + GIB, 0x3000), 0);
	assert_int_equal(ept_identity_late(&m.ept, gib), 0);
	assert_int_equal(ept_identity_late(&m.ept, gib + GIB), 0);
	assert_int_equal(ept_walk(&m.ept, gib).entry, EPT_HELD);
	assert_int_equal(ept_walk(&m.ept, gib).level, 3);
	assert_int_equal(ept_walk(&m.ept, gib + GIB + 0x2000).entry, EPT_HELD);
	assert_int_equal(translation(&m.ept, gib + GIB + 0x3000), (gib + GIB + 0x3000) | EPT_RWX | TYPE(MTRR_WB));
	assert_int_equal(ept_unmap(&m.ept, 1ull << 46, 1ull << 40), 0);
	assert_int_equal(ept_map(&m.ept, (1ull << 46) + 0x5000, 0x1000, 0x1000, EPT_R, MTRR_WB), 0);
	assert_int_equal(ept_walk(&m.ept, (1ull << 46) + 0x6000).entry, EPT_HELD);	/* kept by the split */
	supplier_free(&m.supplier);
}

static void split_keeps_every_translation(void **state)
{
	u64 seed = 0x53504c4954;
	int round, i;

	(void)state;
	for (round = 0; round < 40; round++) {
		u64 gpa[200], before[200], victim;
		struct machine m;

		random_machine(&seed, &m);
		assert_int_equal(ept_init(&m.ept), 0);
		assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
		victim = sample(&seed, &m);
		for (i = 0; i < 200; i++) {
			u64 near = (random_below(&seed, 1024) - 512) << (12 + random_below(&seed, 19));

			gpa[i] = i & 1 ? sample(&seed, &m) : (victim + near) & (TOP - 1) & ~0xfffull;
			before[i] = translation(&m.ept, gpa[i]);
		}
		assert_int_equal(ept_map(&m.ept, victim, 0x5000, AVMM_PAGE_SIZE, EPT_R, MTRR_WP), 0);
		assert_int_equal(ept_walk(&m.ept, victim).level, 1);
		assert_int_equal(translation(&m.ept, victim), 0x5000 | EPT_R | TYPE(MTRR_WP));
		for (i = 0; i < 200; i++)
			if (gpa[i] != victim)
				assert_int_equal(translation(&m.ept, gpa[i]), before[i]);
		supplier_free(&m.supplier);
	}
}

/* The service's stray write: the entry gets a page of its own, needs no memory, and the neighbours stay. */
static void scratch_page_under_a_write(void **state)
{
	struct machine m;
	u64 tables;

	(void)state;
	machine_init(&m);
	m.mtrr.def_type = MTRR_E | MTRR_WB;
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
	tables = m.ept.tables;
	m.supplier.limit = m.supplier.used;
	assert_int_equal(ept_map(&m.ept, MONITOR + 0x3000, 0x7000, AVMM_PAGE_SIZE, EPT_RW, MTRR_WB), 0);
	assert_int_equal(translation(&m.ept, MONITOR + 0x3000), 0x7000 | EPT_RW | TYPE(MTRR_WB));
	assert_int_equal(translation(&m.ept, MONITOR + 0x2000), ZERO_PAGE | EPT_R | TYPE(MTRR_WB));
	assert_int_equal(translation(&m.ept, MONITOR + 0x4000), ZERO_PAGE | EPT_R | TYPE(MTRR_WB));
	assert_int_equal(m.ept.tables, tables);
	assert_int_equal(check_service(&m), EPT_CLEAN);
	supplier_free(&m.supplier);
}

/* Memory donated after the launch. */
static void replace_hides_a_range(void **state)
{
	struct machine m;
	u64 gpa;

	(void)state;
	machine_init(&m);
	m.mtrr.def_type = MTRR_E | MTRR_WB;
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
	assert_int_equal(ept_replace(&m.ept, 3 * GIB + 2 * MIB, 2 * MIB, ZERO_PAGE), 0);
	for (gpa = 3 * GIB + 2 * MIB; gpa < 3 * GIB + 4 * MIB; gpa += AVMM_PAGE_SIZE)
		assert_int_equal(ept_walk(&m.ept, gpa).entry, ZERO_PAGE | EPT_R | TYPE(MTRR_WB));
	assert_int_equal(ept_walk(&m.ept, gpa).entry, gpa | EPT_RWX | TYPE(MTRR_WB) | EPT_LARGE);
	assert_int_equal(ept_walk(&m.ept, 3 * GIB).entry, 3 * GIB | EPT_RWX | TYPE(MTRR_WB) | EPT_LARGE);
	m.hidden[m.ept.nhidden++] = 3 * GIB + 2 * MIB;
	assert_int_equal(check_service(&m), EPT_CLEAN);
	supplier_free(&m.supplier);
}

/* With n pages of memory for every n up to enough: what is there is right, and a second call completes it. */
static void identity_without_memory(void **state)
{
	u64 seed = 0x4f4f4d;
	int set, i;

	(void)state;
	for (set = 0; set < 4; set++) {
		struct machine m;
		u32 wanted, limit;

		random_machine(&seed, &m);
		assert_int_equal(ept_init(&m.ept), 0);
		assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
		wanted = m.ept.tables;
		supplier_free(&m.supplier);
		m.ept.root = NULL;
		m.ept.tables = 0;
		for (limit = 0; limit < wanted; limit++) {
			m.supplier.limit = limit;
			assert_int_equal(limit ? ept_init(&m.ept) : 0, 0);
			assert_int_equal(limit ? ept_identity(&m.ept, 0, TOP) : ept_init(&m.ept), -ENOMEM);
			assert_int_equal(m.ept.tables, limit);
			for (i = 0; limit && i < 200; i++) {
				u64 gpa = sample(&seed, &m), found = translation(&m.ept, gpa);

				assert_true(!found || found == identity_translation(&m, gpa));
			}
			m.supplier.limit = wanted;
			assert_int_equal(limit ? 0 : ept_init(&m.ept), 0);
			assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
			assert_int_equal(m.ept.tables, wanted);
			assert_int_equal(check_service(&m), EPT_CLEAN);
			supplier_free(&m.supplier);
			m.ept.root = NULL;
		}
	}
}

enum operation { OP_MAP, OP_UNMAP, OP_REPLACE, OPERATIONS };

static int operate(struct ept *ept, enum operation op, u64 gpa, u64 size)
{
	switch (op) {
	case OP_MAP:
		return ept_map(ept, gpa, gpa ^ GIB, size, EPT_RW, MTRR_WT);
	case OP_UNMAP:
		return ept_unmap(ept, gpa, size);
	default:
		return ept_replace(ept, gpa, size, 0x8000);
	}
}

/* A change that fails has changed nothing, and goes through as soon as there is memory. */
static void changes_without_memory(void **state)
{
	const u64 gpa = 5 * GIB - 3 * AVMM_PAGE_SIZE, size = 2 * MIB + 7 * AVMM_PAGE_SIZE;
	enum operation op;
	u32 extra;

	(void)state;
	for (op = 0; op < OPERATIONS; op++) {
		for (extra = 0;; extra++) {
			struct machine m;
			u64 at;
			int err;

			machine_init(&m);
			m.mtrr.def_type = MTRR_E | MTRR_WB;
			assert_int_equal(ept_init(&m.ept), 0);
			assert_int_equal(ept_identity(&m.ept, 0, TOP), 0);
			m.supplier.limit = m.supplier.used + extra;
			err = operate(&m.ept, op, gpa, size);
			for (at = gpa - 4 * MIB; err && at < gpa + size + 4 * MIB; at += AVMM_PAGE_SIZE)
				assert_int_equal(translation(&m.ept, at), identity_translation(&m, at));
			assert_int_equal(check_service(&m), EPT_CLEAN);
			assert_int_equal(count_tables(&m.ept, m.ept.root, EPT_LEVELS), m.ept.tables);
			m.supplier.limit = SUPPLIER_PAGES;
			assert_int_equal(operate(&m.ept, op, gpa, size), 0);
			supplier_free(&m.supplier);
			if (!err)
				break;
			assert_int_equal(err, -ENOMEM);
		}
		/* level 2 on both sides of 5 GiB, level 1 at both ends; replacing has its level 1 in the middle too */
		assert_int_equal(extra, op == OP_REPLACE ? 5 : 4);
	}
}

/* Blocks at 0, a hole for devices, a page for one access in the hole; nothing but what was given. */
static void user_partition(void **state)
{
	static const u64 blocks[] = { 0x80000000, 0x60200000, 0x60400000, 0x40000000 };
	static const struct ept_rule rules[] = {
		{ 0x80000000, 2 * MIB, EPT_RWX }, { 0x60200000, 4 * MIB, EPT_RWX }, { 0x40000000, 2 * MIB, EPT_RWX },
		{ 0xfb000000, MIB, EPT_RW }, { 0x9000, AVMM_PAGE_SIZE, EPT_R },
	};
	struct machine m;
	u64 tables;

	(void)state;
	machine_init(&m);
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_map_blocks(&m.ept, 0, blocks, ARRAY_SIZE(blocks), EPT_RWX, MTRR_WB), 0);
	assert_int_equal(ept_map(&m.ept, 0xe0000000, 0xfb000000, MIB, EPT_RW, MTRR_UC), 0);
	assert_int_equal(ept_unmap(&m.ept, 0xa0000, 0x20000), 0);
	assert_int_equal(translation(&m.ept, 0x9f000), 0x8009f000 | EPT_RWX | TYPE(MTRR_WB));
	assert_int_equal(translation(&m.ept, 0xa0000), EPT_HELD);
	assert_int_equal(translation(&m.ept, 0xc0000), 0x800c0000 | EPT_RWX | TYPE(MTRR_WB));
	assert_int_equal(ept_walk(&m.ept, 2 * MIB).entry, 0x60200000 | EPT_RWX | TYPE(MTRR_WB) | EPT_LARGE);
	assert_int_equal(translation(&m.ept, 8 * MIB - 0x1000), 0x401ff000 | EPT_RWX | TYPE(MTRR_WB));
	assert_int_equal(ept_walk(&m.ept, 8 * MIB).entry, 0);
	assert_int_equal(ept_check(&m.ept, rules, ARRAY_SIZE(rules), 0), EPT_CLEAN);
	tables = m.ept.tables;
	assert_int_equal(ept_map(&m.ept, 0xa5000, 0x9000, AVMM_PAGE_SIZE, EPT_R, MTRR_WB), 0);
	assert_int_equal(ept_check(&m.ept, rules, ARRAY_SIZE(rules), 0), EPT_CLEAN);
	assert_int_equal(ept_check(&m.ept, rules, ARRAY_SIZE(rules) - 1, 0), 0xa5000);
	m.supplier.limit = m.supplier.used;
	assert_int_equal(ept_unmap(&m.ept, 0xa5000, AVMM_PAGE_SIZE), 0);
	assert_int_equal(translation(&m.ept, 0xa5000), EPT_HELD);
	assert_int_equal(m.ept.tables, tables);
	supplier_free(&m.supplier);
}

static void check_finds_what_breaks_a_rule(void **state)
{
	static const struct ept_rule rules[] = { { 0x5000, 0x1000, EPT_R }, { 0x4000, 0x4000, 0 } };
	static const struct ept_rule halves[] = { { 0, MIB, EPT_RWX }, { 3 * MIB, MIB, EPT_RWX } };
	struct machine m;

	(void)state;
	machine_init(&m);
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_map(&m.ept, 0x1000, 0x5000, 0x1000, EPT_R, MTRR_WB), 0);
	assert_int_equal(ept_check(&m.ept, rules, 2, EPT_RWX), EPT_CLEAN);
	assert_int_equal(ept_map(&m.ept, 0x1000, 0x5000, 0x1000, EPT_RW, MTRR_WB), 0);
	assert_int_equal(ept_check(&m.ept, rules, 2, EPT_RWX), 0x1000);
	assert_int_equal(ept_map(&m.ept, 0x1000, 0x4000, 0x1000, EPT_R, MTRR_WB), 0);
	assert_int_equal(ept_check(&m.ept, rules, 2, EPT_RWX), 0x1000);
	assert_int_equal(ept_map(&m.ept, 0x1000, 0x8000, 0x1000, EPT_RWX, MTRR_WB), 0);
	assert_int_equal(ept_check(&m.ept, rules, 2, EPT_RWX), EPT_CLEAN);
	assert_int_equal(ept_check(&m.ept, rules, 2, EPT_RW), 0x1000);
	assert_int_equal(ept_map(&m.ept, GIB, 0, GIB, EPT_R, MTRR_WB), 0);	/* a large page over a small secret */
	assert_int_equal(ept_check(&m.ept, rules, 2, EPT_RWX), GIB);
	assert_int_equal(ept_unmap(&m.ept, 0, 2 * GIB), 0);
	assert_int_equal(ept_map(&m.ept, 4 * MIB, 0, 2 * MIB, EPT_R, MTRR_WB), 0);		/* begins well */
	assert_int_equal(ept_check(&m.ept, halves, 2, 0), 4 * MIB);
	assert_int_equal(ept_map(&m.ept, 4 * MIB, 2 * MIB, 2 * MIB, EPT_R, MTRR_WB), 0);	/* ends well */
	assert_int_equal(ept_check(&m.ept, halves, 2, 0), 4 * MIB);
	supplier_free(&m.supplier);
}

static void check_finds_what_hardware_refuses(void **state)
{
	static const u64 bad[] = {
		0x1000 | EPT_W, 0x1000 | EPT_X, 0x1000 | EPT_R | TYPE(2), 0x1000 | EPT_R | TYPE(3),
		0x1000 | EPT_R | TYPE(7), 0x1000 | EPT_R | 1 << 6, 0x1000 | EPT_R | EPT_LARGE, TOP | EPT_R,
		1ull << 52 | EPT_R, 1ull << 63, 0x1000, EPT_HELD | EPT_R,
	};
	struct machine m;
	size_t i;

	(void)state;
	machine_init(&m);
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_map(&m.ept, 0, 0x1000, 0x1000, EPT_R, MTRR_WB), 0);
	assert_int_equal(ept_check(&m.ept, NULL, 0, EPT_RWX), EPT_CLEAN);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		m.supplier.page[3][7] = bad[i];		/* the level 1 table */
		assert_int_equal(ept_check(&m.ept, NULL, 0, EPT_RWX), 0x7000);
	}
	m.supplier.page[3][7] = 0;
	m.supplier.page[2][5] = 0x1000 | EPT_R | EPT_LARGE;	/* level 2, not aligned */
	assert_int_equal(ept_check(&m.ept, NULL, 0, EPT_RWX), 10 * MIB);
	m.supplier.page[2][5] = TOP | EPT_RWX;			/* a table where no memory is */
	assert_int_equal(ept_check(&m.ept, NULL, 0, EPT_RWX), 10 * MIB);
	m.supplier.page[2][5] = 0;
	m.supplier.page[1][2] = GIB | EPT_R | EPT_LARGE;
	assert_int_equal(ept_check(&m.ept, NULL, 0, EPT_RWX), EPT_CLEAN);
	m.ept.max_level = 2;					/* a CPU without 1 GiB pages */
	assert_int_equal(ept_check(&m.ept, NULL, 0, EPT_RWX), 2 * GIB);
	supplier_free(&m.supplier);
}

static void wrong_calls_are_refused(void **state)
{
	struct machine m;
	struct ept e;

	(void)state;
	machine_init(&m);
	e = m.ept;
	e.max_level = 4;
	assert_int_equal(ept_init(&e), -EINVAL);
	e.max_level = 3;
	e.phys_bits = 53;
	assert_int_equal(ept_init(&e), -EINVAL);
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_identity(&m.ept, 0, TOP + 0x1000), -EINVAL);
	assert_int_equal(ept_identity(&m.ept, 0x1001, 0x1000), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, TOP, 0x1000, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, TOP - 0x1000, 0x2000, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 1ull << 48, 0, 0x1000, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, ~0xfffull, 0, 0x2000, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 0, ~0xfffull, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 1, 0, 0x1000, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 1, 0x1000, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 0, 1, EPT_R, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 0, 0x1000, EPT_W, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 0, 0x1000, EPT_X, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 0, 0x1000, EPT_R | 8, MTRR_WB), -EINVAL);
	assert_int_equal(ept_map(&m.ept, 0, 0, 0x1000, EPT_R, 2), -EINVAL);
	assert_int_equal(ept_unmap(&m.ept, 0, (1ull << 48) + 0x1000), -EINVAL);
	assert_int_equal(ept_replace(&m.ept, 0, 0x1000, TOP), -EINVAL);
	assert_int_equal(m.ept.tables, 1);
	assert_int_equal(ept_map(&m.ept, 0, 0, 0x1000, EPT_R, MTRR_WB), 0);
	assert_int_equal(ept_walk(&m.ept, 1ull << 48).entry, 0);
	supplier_free(&m.supplier);
}

static void pointer_for_the_vmcs(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	assert_int_equal(ept_init(&m.ept), 0);
	assert_int_equal(ept_pointer(&m.ept), MONITOR | 3 << 3 | 6);
	supplier_free(&m.supplier);
}

/* The fuzzer's model on bytes that anybody can repeat. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void random_calls_equal_the_model(void **state)
{
	u64 seed = 0x46555a5a;
	u8 data[2 + 8 * 24];
	size_t i, run;

	(void)state;
	for (run = 0; run < 250; run++) {
		for (i = 0; i < sizeof(data); i++)
			data[i] = random_u64(&seed) >> 32;
		assert_int_equal(LLVMFuzzerTestOneInput(data, sizeof(data)), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_and_addresses_of_the_identity),
		cmocka_unit_test(identity_has_the_largest_pages_possible),
		cmocka_unit_test(identity_in_steps),
		cmocka_unit_test(identity_of_a_pc),
		cmocka_unit_test(wide_machines_fill_the_top_late),
		cmocka_unit_test(held_is_not_filled),
		cmocka_unit_test(split_keeps_every_translation),
		cmocka_unit_test(scratch_page_under_a_write),
		cmocka_unit_test(replace_hides_a_range),
		cmocka_unit_test(identity_without_memory),
		cmocka_unit_test(changes_without_memory),
		cmocka_unit_test(user_partition),
		cmocka_unit_test(check_finds_what_breaks_a_rule),
		cmocka_unit_test(check_finds_what_hardware_refuses),
		cmocka_unit_test(wrong_calls_are_refused),
		cmocka_unit_test(pointer_for_the_vmcs),
		cmocka_unit_test(random_calls_equal_the_model),
	};

	return cmocka_run_group_tests_name("ept", tests, NULL, NULL);
}
