// SPDX-License-Identifier: GPL-2.0-only
/* The bus master's table; see prd.h. */
#include "prd.h"

#define PRD_EOT		0x80000000u
#define PRD_COUNT	0xfffeu
#define PRD_FULL	0x10000u
#define PRD_BATCH	16	/* entries read at a time; the table starts at a multiple of 4 */

/* Adds one entry, cut to what is still wanted. False: it is no region that the controller can reach. */
static bool add_region(struct prd_table *t, const u32 entry[2], u64 *left, bool *cut)
{
	u32 gpa = entry[0] & ~1u, bytes = entry[1] & PRD_COUNT;

	if (!bytes)
		bytes = PRD_FULL;
	if ((u64)gpa + bytes > 1ull << 32)
		return false;
	*cut = bytes > *left;
	if (*cut)
		bytes = (u32)*left;
	t->region[t->count++] = (struct prd_region){ gpa, bytes };
	t->aligned = t->aligned && !((gpa | bytes) % AVMM_DISK_SECTOR);
	*left -= bytes;
	return true;
}

/* How many entries are read at once: not into a next page, which the table may not reach, unless one lies on both. */
static u32 batch_size(u64 at)
{
	u32 n = (u32)(AVMM_PAGE_SIZE - at % AVMM_PAGE_SIZE) / 8;

	return n > PRD_BATCH ? PRD_BATCH : n ? n : 1;
}

enum prd_result prd_load(struct prd_table *t, const struct avmm_guest_memory *m, u32 gpa, u64 wanted)
{
	u32 batch[PRD_BATCH][2], end = (gpa & ~0xffffu) + 0xfff8u, i, n;
	u64 at = gpa;
	bool cut;

	t->count = 0;
	t->aligned = true;
	while (at <= end) {
		n = batch_size(at);
		if (!avmm_guest_read(m, at, batch, 8 * n))
			return PRD_BAD;
		for (i = 0; i < n; i++) {
			if (!add_region(t, batch[i], &wanted, &cut))
				return PRD_BAD;
			if (!wanted)
				return cut || !(batch[i][1] & PRD_EOT) ? PRD_LONG : PRD_EXACT;
			if (batch[i][1] & PRD_EOT)
				return PRD_SHORT;
		}
		at += 8 * n;
	}
	return PRD_BAD;
}

/* The region at the cursor, at most n bytes of it. */
static struct prd_region piece(const struct prd_table *t, const struct prd_cursor *c, u32 n)
{
	struct prd_region r = { 0, 0 };

	if (c->index >= t->count)
		return r;
	r.gpa = t->region[c->index].gpa + c->offset;
	r.bytes = t->region[c->index].bytes - c->offset;
	if (r.bytes > n)
		r.bytes = n;
	return r;
}

static void go_ahead(const struct prd_table *t, struct prd_cursor *c, u32 n)
{
	c->offset += n;
	if (c->offset < t->region[c->index].bytes)
		return;
	c->index++;
	c->offset = 0;
}

bool prd_read(const struct prd_table *t, struct prd_cursor *c, const struct avmm_guest_memory *m, void *to, u32 n)
{
	while (n) {
		struct prd_region r = piece(t, c, n);

		if (!r.bytes || !avmm_guest_read(m, r.gpa, to, r.bytes))
			return false;
		go_ahead(t, c, r.bytes);
		to = (u8 *)to + r.bytes;
		n -= r.bytes;
	}
	return true;
}

bool prd_write(const struct prd_table *t, struct prd_cursor *c, const struct avmm_guest_memory *m, const void *from,
	       u32 n)
{
	while (n) {
		struct prd_region r = piece(t, c, n);

		if (!r.bytes || !avmm_guest_write(m, r.gpa, from, r.bytes))
			return false;
		go_ahead(t, c, r.bytes);
		from = (const u8 *)from + r.bytes;
		n -= r.bytes;
	}
	return true;
}

enum avmm_blk_added prd_add(const struct prd_table *t, struct prd_cursor *c, const struct avmm_guest_memory *m,
			    struct avmm_blk_req *req)
{
	while (c->index < t->count) {
		struct prd_region r = piece(t, c, ~0u);
		u32 added;
		enum avmm_blk_added result = avmm_blk_add_guest(req, m, r.gpa, r.bytes, &added);

		go_ahead(t, c, added);
		if (result != AVMM_BLK_ADDED)
			return result;
	}
	return AVMM_BLK_ADDED;
}
