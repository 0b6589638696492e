/* SPDX-License-Identifier: GPL-2.0-only */
/* Table pages for an EPT under test: a limited number of them, at physical addresses that are no pointers. */
#ifndef TESTS_EPT_SUPPLIER_H
#define TESTS_EPT_SUPPLIER_H

#include <stdlib.h>
#include <string.h>

#include "ept-shadow/ept.h"

#define SUPPLIER_PAGES	8192u

struct supplier {
	u64 base;			/* physical address of the first page */
	u32 limit;			/* pages that there are, at most SUPPLIER_PAGES */
	u32 used;
	u64 *page[SUPPLIER_PAGES];	/* allocated one by one, so that ASan sees every overrun */
};

static inline u64 *supplier_alloc(void *ctx, u64 *phys)
{
	struct supplier *s = ctx;

	if (s->used >= s->limit)
		return NULL;
	s->page[s->used] = calloc(1, AVMM_PAGE_SIZE);
	*phys = s->base + s->used * AVMM_PAGE_SIZE;
	return s->page[s->used++];
}

/* A table that was never handed out is a bug of the builder. */
static inline u64 *supplier_table(void *ctx, u64 phys)
{
	struct supplier *s = ctx;
	u64 i = (phys - s->base) / AVMM_PAGE_SIZE;

	if (phys % AVMM_PAGE_SIZE || i >= s->used)
		abort();
	return s->page[i];
}

static inline void supplier_free(struct supplier *s)
{
	while (s->used)
		free(s->page[--s->used]);
}

/* Tables that hang under an entry's table, itself included. */
static inline u64 count_tables(const struct ept *ept, const u64 *table, u32 level)
{
	u64 n = 1;
	u32 i;

	for (i = 0; i < EPT_ENTRIES && level > 1; i++)
		if ((table[i] & EPT_RWX) && !(table[i] & EPT_LARGE))
			n += count_tables(ept, ept->table(ept->ctx, table[i] & EPT_ADDRESS), level - 1);
	return n;
}

/* An EPT without root over a fresh supplier. */
static inline void supplier_init(struct supplier *s, struct ept *ept, u64 base)
{
	*s = (struct supplier){ .base = base, .limit = SUPPLIER_PAGES };
	*ept = (struct ept){
		.phys_bits = 39, .max_level = 3, .ctx = s, .alloc = supplier_alloc, .table = supplier_table,
	};
}

#endif
