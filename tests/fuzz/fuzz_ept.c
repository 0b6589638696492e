// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps, unmaps, replaces and fills as the input says, against a model: the list of calls that succeeded. What is at
 * an address is what the last of them that covers it did. Memory may end at any time, and calls may be wrong.
 *
 * Input: a byte max_level, a byte limit of table pages in fours, then 8 bytes a call.
 */
#include "ept_supplier.h"
#include "ept-shadow/mtrr.h"

#define MAX_CALLS	64u
#define MONITOR		0x6000000000ull	/* table pages are here; no call names it */
#define ZERO_PAGE	0x6ffffff000ull
#define GIB		(1ull << 30)

enum kind {
	MAP,
	UNMAP,
	REPLACE,
	IDENTITY,
	IDENTITY_PART,		/* memory ended in it */
	KINDS,
};

struct call {
	enum kind kind;
	u64 gpa;
	u64 size;
	u64 hpa;
	u64 perms;
	u32 type;
};

struct model {
	struct call call[MAX_CALLS];
	u32 calls;
};

static const u64 hidden_blocks[] = { 0x40000000, 0x40200000, 0x4080400000 };

static const struct avmm_mtrr mtrr = {
	.cap = MTRR_CAP_FIX | 4,
	.def_type = MTRR_E | MTRR_FE | MTRR_UC,
	.fixed = { 0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0404040404040404 },
	.var = {
		{ MTRR_WB, 0x7f00000000 | MTRR_VALID },			/* 0 … 4 GiB */
		{ 0xc0000000 | MTRR_UC, 0x7fc0000000 | MTRR_VALID },	/* 3 … 4 GiB */
		{ 0x80203000 | MTRR_WT, 0x7ffffff000 | MTRR_VALID },	/* one page */
		{ 0x4000000000 | MTRR_WC, 0x7fffe00000 | MTRR_VALID },	/* 2 MiB */
	},
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* A place that the bytes name: mostly aligned to large pages, around the ends of tables. */
static u64 place(u8 high, u8 low)
{
	static const u64 base[] = { 0, 1ull << 38, (1ull << 39) - 8 * GIB, (1ull << 48) - 8 * GIB };
	static const u64 page[] = { 0, 0, 0, 1, 2, 5, 510, 511 };

	return base[high & 3] + (high >> 2 & 7) * GIB + ((u64)(low >> 3 & 31) * 0x1f << 21) % GIB +
	       page[low & 7] * AVMM_PAGE_SIZE;
}

static struct call decode(const u8 *b, u32 max_level)
{
	static const u64 unit[] = { AVMM_PAGE_SIZE, AVMM_PAGE_SIZE, 2ull << 20, GIB };
	static const u32 type[] = { MTRR_UC, MTRR_WC, 2, MTRR_WT, MTRR_WP, MTRR_WB, MTRR_WB, 7 };
	struct call c = {
		.kind = b[0] % IDENTITY_PART,
		.gpa = place(b[1], b[2]),
		.size = unit[b[3] & 3] * ((b[3] >> 2 & 15) % (b[3] & 2 ? 4 : 16)),
		.hpa = place(b[4], b[5]),
		.perms = b[6] & EPT_RWX,
		.type = type[b[7] & 7],
	};

	if ((b[3] & 3) == 3)		/* gigabytes by the page would only be slow */
		c.hpa &= ~0x1fffffull;
	if (b[6] == 0xff)
		c.gpa++;
	if ((c.kind == REPLACE || max_level == 1) && c.size > 16ull << 20)
		c.size = 16ull << 20;
	return c;
}

static bool valid(const struct call *c)
{
	bool in_gpa = !(c->gpa % AVMM_PAGE_SIZE) && c->gpa + c->size <= 1ull << 48;
	bool in_phys = !(c->hpa % AVMM_PAGE_SIZE) && c->hpa < 1ull << 39;

	switch (c->kind) {
	case MAP:
		return in_gpa && in_phys && c->hpa + c->size <= 1ull << 39 && (c->perms & EPT_R) &&
		       c->type != 2 && c->type != 7;
	case UNMAP:
		return in_gpa;
	case REPLACE:
		return in_gpa && in_phys;
	default:
		return in_gpa && c->gpa < 1ull << 39 && c->gpa + c->size <= 1ull << 39;
	}
}

static u64 identity_entry(u64 gpa)
{
	u32 i;

	for (i = 0; i < sizeof(hidden_blocks) / sizeof(hidden_blocks[0]); i++)
		if (gpa - hidden_blocks[i] < AVMM_BLOCK_SIZE)
			return ZERO_PAGE | EPT_R | MTRR_WB << EPT_TYPE_SHIFT;
	return gpa | EPT_RWX | (u64)mtrr_type(&mtrr, gpa) << EPT_TYPE_SHIFT;
}

/* Compares the 4 KiB at gpa with the model. */
static void verify(const struct ept *ept, const struct model *m, u64 gpa)
{
	struct ept_entry found = ept_walk(ept, gpa);
	u64 offset = gpa & (EPT_SPAN(found.level) - 1) & EPT_ADDRESS;
	u64 entry = found.entry & EPT_RWX ? (found.entry & ~EPT_LARGE) + offset : found.entry;
	bool part = false, full = false;
	u32 i;

	for (i = m->calls; i-- > 0;) {
		const struct call *c = &m->call[i];

		if (gpa - c->gpa >= c->size)
			continue;
		part |= c->kind == IDENTITY_PART;
		full |= c->kind == IDENTITY;
		if (c->kind == UNMAP)
			require(entry == EPT_HELD);
		else if (c->kind == MAP)
			require(entry == ((c->hpa + gpa - c->gpa) | c->perms | (u64)c->type << EPT_TYPE_SHIFT));
		else if (c->kind == REPLACE)
			require(entry == (c->hpa | EPT_R | MTRR_WB << EPT_TYPE_SHIFT));
		else
			continue;
		return;
	}
	require((entry == 0 && !full) || (entry == identity_entry(gpa) && (full || part)));
}

static void verify_all(const struct ept *ept, const struct model *m)
{
	static const struct ept_rule rule = { MONITOR, SUPPLIER_PAGES * AVMM_PAGE_SIZE, 0 };
	u32 i;

	for (i = 0; i < m->calls; i++) {
		u64 first = m->call[i].gpa, end = first + m->call[i].size;

		verify(ept, m, first);
		verify(ept, m, (first + m->call[i].size / 2) & EPT_ADDRESS);
		verify(ept, m, end ? (end - 1) & EPT_ADDRESS : 0);
		if (first)
			verify(ept, m, first - AVMM_PAGE_SIZE);
		if (end < 1ull << 48)
			verify(ept, m, end);
	}
	require(ept_check(ept, &rule, 1, EPT_RWX) == EPT_CLEAN);
	require(count_tables(ept, ept->root, EPT_LEVELS) == ept->tables);
}

static int identity(struct ept *ept, struct call *c)
{
	struct supplier *s = ept->ctx;
	u64 before = ept->tables, left = s->limit - s->used;
	u64 done = 0, last;
	int err;

	do {
		last = done;
		err = ept_identity_some(ept, c->gpa, c->size, &done, 1 + 8 * c->perms);
		require(err != -EAGAIN || done > last);
	} while (err == -EAGAIN);
	if (err == -EINVAL)
		return err;
	require(!err || ept->tables - before == left);
	if (err)
		c->kind = IDENTITY_PART;
	return 0;
}

static int perform(struct ept *ept, struct call *c)
{
	switch (c->kind) {
	case MAP:
		return ept_map(ept, c->gpa, c->hpa, c->size, c->perms, c->type);
	case UNMAP:
		return ept_unmap(ept, c->gpa, c->size);
	case REPLACE:
		return ept_replace(ept, c->gpa, c->size, c->hpa);
	default:
		return identity(ept, c);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct supplier s;
	struct model m = { .calls = 0 };
	struct ept ept;

	if (size < 2)
		return 0;
	supplier_init(&s, &ept, MONITOR);
	ept.max_level = data[0] % 3 + 1;
	ept.mtrr = &mtrr;
	ept.hidden = hidden_blocks;
	ept.nhidden = sizeof(hidden_blocks) / sizeof(hidden_blocks[0]);
	ept.zero_page = ZERO_PAGE;
	s.limit = 1 + data[1] * 4;
	require(ept_init(&ept) == 0);
	for (data += 2, size -= 2; size >= 8 && m.calls < MAX_CALLS; data += 8, size -= 8) {
		struct call c = decode(data, ept.max_level);
		int err = perform(&ept, &c);

		require((err == -EINVAL) == !valid(&c));
		if (!err)
			m.call[m.calls++] = c;
		else if (err == -ENOMEM)
			verify_all(&ept, &m);
	}
	verify_all(&ept, &m);
	supplier_free(&s);
	return 0;
}
