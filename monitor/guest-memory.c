// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory. Intel SDM volume 3, chapter 4 (paging), 3.4 and 5.3 (segments).
 *
 * Where the SDM leaves a choice: accessed flags of upper levels are set on the way down, also if the walk ends in a
 * fault; a table where the guest has no memory reads as all ones, as a bus without a device does; the flags of a table
 * in read-only memory stay as they are.
 */
#include <avmm/x86.h>
#include "guest-memory.h"

#define CR0_PE		(1ul << 0)
#define CR4_PSE		(1ul << 4)
#define CR4_SMEP	(1ul << 20)
#define CR4_SMAP	(1ul << 21)
#define EFER_NXE	(1ul << 11)

#define PTE_P		(1ull << 0)
#define PTE_RW		(1ull << 1)
#define PTE_US		(1ull << 2)
#define PTE_A		(1ull << 5)
#define PTE_D		(1ull << 6)
#define PTE_PS		(1ull << 7)
#define PTE_NX		(1ull << 63)
#define PTE_KEY_SHIFT	59

/* The error code of a page fault; GUEST_WRITE, GUEST_USER and GUEST_FETCH are bits of it. */
#define ERROR_P		(1u << 0)
#define ERROR_RSVD	(1u << 3)
#define ERROR_PK	(1u << 5)

#define VECTOR_SS	12
#define VECTOR_GP	13
#define VECTOR_PF	14

#define WALK_TRIES	4	/* against a guest that changes its tables all the time */

/* Bits from…to, both inclusive. */
#define BITS(from, to)	((~0ull >> (63 - (to))) & (~0ull << (from)))

struct walk {
	u64 linear;
	u64 entry;		/* of this level; at first CR3 or a PDPTE */
	u64 table;		/* where it is: page, */
	u64 offset;		/* and offset in that */
	u64 rights;		/* RW, US: set in all levels so far; bit 63: in none of them */
	u64 physical;		/* the page frame bits of an entry */
	u64 reserved;		/* in every entry */
	u64 unusual;		/* in the entry of a table: worth a closer look */
	enum guest_paging paging;
	u8 level;		/* 0: the page table */
	u8 stride;		/* bits of the address that a level takes: 9 or 10 */
};

enum guest_paging guest_paging(const struct guest_memory *m)
{
	if (!(m->cr0 & AVMM_CR0_PG))
		return PAGING_NONE;
	if (m->efer & AVMM_EFER_LMA)
		return m->cr4 & AVMM_CR4_LA57 ? PAGING_5LEVEL : PAGING_4LEVEL;
	return m->cr4 & AVMM_CR4_PAE ? PAGING_PAE : PAGING_32;
}

static enum guest_result protection_fault(struct guest_memory *m, u32 access)
{
	m->fault = (struct guest_fault) { .vector = access & GUEST_STACK ? VECTOR_SS : VECTOR_GP };
	return GUEST_FAULT;
}

static enum guest_result page_fault(struct guest_memory *m, const struct walk *w, u32 access, u32 error)
{
	bool tells_fetch = (m->cr4 & CR4_SMEP) || ((m->cr4 & AVMM_CR4_PAE) && (m->efer & EFER_NXE));
	u32 kept = GUEST_WRITE | GUEST_USER | (tells_fetch ? GUEST_FETCH : 0);

	m->fault = (struct guest_fault) {
		.vector = VECTOR_PF, .error_code = error | (access & kept), .cr2 = w->linear,
	};
	return GUEST_FAULT;
}

/* Bits of the address below those that this level takes. */
static inline unsigned int level_shift(const struct walk *w)
{
	return 12 + w->stride * w->level;
}

/* The entry at an offset in a table. */
static inline u64 load_entry(struct guest_memory *m, const struct walk *w, u64 table, u64 offset)
{
	const char *page = m->map(m->ctx, table, false);

	if (!page)
		return w->paging == PAGING_32 ? ~(u32)0 : ~0ull;
	if (w->paging == PAGING_32)
		return __atomic_load_n((const u32 *)(const void *)(page + offset), __ATOMIC_RELAXED);
	return __atomic_load_n((const u64 *)(const void *)(page + offset), __ATOMIC_RELAXED);
}

/*
 * Loads the entry of this level, and goes on down as long as it is that of a table that has been walked before and has
 * nothing to check: most are. Works on locals, since this is the hot part of a walk.
 */
static inline void descend(struct guest_memory *m, struct walk *w)
{
	u64 entry = w->entry, rights = w->rights, unusual = w->unusual, physical = w->physical, linear = w->linear;
	unsigned int level = w->level, stride = w->stride, size_shift = 12 - stride;	/* 3 or 2 */
	unsigned int shift = level_shift(w) - size_shift;
	u64 mask = (AVMM_PAGE_SIZE - 1) & (~0ull << size_shift), table, offset;

	for (;;) {
		table = entry & physical;
		offset = (linear >> shift) & mask;
		entry = load_entry(m, w, table, offset);
		if (!level || (entry & unusual) != (PTE_P | PTE_A))
			break;
		rights &= entry ^ PTE_NX;
		level--;
		shift -= stride;
	}
	w->entry = entry;
	w->rights = rights;
	w->level = level;
	w->table = table;
	w->offset = offset;
}

/* Sets accessed and dirty flags, provided that the entry is still the one that was judged. */
static enum guest_result set_flags(struct guest_memory *m, const struct walk *w, u64 flags)
{
	u64 entry = w->entry;
	u32 entry32 = entry;
	char *page = m->map(m->ctx, w->table, true);
	void *p;

	if (!page)
		return GUEST_DONE;
	p = page + w->offset;
	if (w->paging == PAGING_32 ?
	    __atomic_compare_exchange_n((u32 *)p, &entry32, entry32 | (u32)flags, false, __ATOMIC_SEQ_CST,
					__ATOMIC_RELAXED) :
	    __atomic_compare_exchange_n((u64 *)p, &entry, entry | flags, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return GUEST_DONE;
	return GUEST_RETRY;
}

static inline enum guest_result need_flags(struct guest_memory *m, const struct walk *w, u64 flags)
{
	return (w->entry & flags) == flags ? GUEST_DONE : set_flags(m, w, flags);
}

/* Whether this level's entry maps a page, and not a table. */
static inline bool is_leaf(const struct guest_memory *m, const struct walk *w)
{
	if (w->level == 0)
		return true;
	return w->level < 3 && (w->entry & PTE_PS) && (w->paging != PAGING_32 || (m->cr4 & CR4_PSE));
}

/* Bits 39 to 32 of the address of a 4 MiB page, as far as there are any, are bits 20 to 13 of its entry. */
static u64 pse_reserved(const struct guest_memory *m)
{
	unsigned int bits = m->physical_bits < 40 ? m->physical_bits : 40;

	return m->pse36 && bits > 32 ? BITS(13 + bits - 32, 21) : BITS(13, 21);
}

static inline u64 reserved_bits(const struct guest_memory *m, const struct walk *w)
{
	u64 reserved = w->reserved;

	if (w->level == 0 || !(w->entry & PTE_PS))
		return reserved;
	if (w->paging == PAGING_32)
		return m->cr4 & CR4_PSE ? pse_reserved(m) : 0;
	if (w->level == 1)
		return reserved | BITS(13, 20);
	if (w->level == 2 && m->gigabyte_pages)
		return reserved | BITS(13, 29);
	return reserved | PTE_PS;
}

/* Rights of the page's protection key; fetches know none. */
static inline bool key_denies(const struct guest_memory *m, const struct walk *w, u32 access)
{
	u32 rights, key = (w->entry >> PTE_KEY_SHIFT) & 15;

	if (w->paging < PAGING_4LEVEL || (access & GUEST_FETCH))
		return false;
	if (w->rights & PTE_US)
		rights = m->cr4 & AVMM_CR4_PKE ? m->pkru : 0;
	else
		rights = m->cr4 & AVMM_CR4_PKS ? m->pkrs : 0;
	rights >>= 2 * key;
	if (rights & 1)
		return true;
	return (rights & 2) && (access & GUEST_WRITE) && ((access & GUEST_USER) || (m->cr0 & AVMM_CR0_WP));
}

static inline bool page_denies(const struct guest_memory *m, const struct walk *w, u32 access)
{
	bool user_page = w->rights & PTE_US;

	if ((access & GUEST_FETCH) && !(w->rights & PTE_NX))
		return true;
	if (access & GUEST_USER)
		return !user_page || ((access & GUEST_WRITE) && !(w->rights & PTE_RW));
	if (user_page && (access & GUEST_FETCH))
		return m->cr4 & CR4_SMEP;
	if (user_page && (m->cr4 & CR4_SMAP) && ((access & GUEST_IMPLICIT) || !m->alignment_check))
		return true;
	return (access & GUEST_WRITE) && (m->cr0 & AVMM_CR0_WP) && !(w->rights & PTE_RW);
}

static inline u64 page_address(const struct guest_memory *m, const struct walk *w)
{
	u64 offset = (1ull << level_shift(w)) - 1;
	u64 address = (w->entry & w->physical & ~offset) | (w->linear & offset);

	if (w->paging == PAGING_32 && w->level && m->pse36)
		address |= (w->entry & BITS(13, 20)) << (32 - 13);
	return address;
}

static inline enum guest_result finish_walk(struct guest_memory *m, const struct walk *w, u32 access, u64 *gpa)
{
	bool dirty = (access & (GUEST_WRITE | GUEST_PROBE)) == GUEST_WRITE;
	bool key = key_denies(m, w, access);

	if (key || page_denies(m, w, access))
		return page_fault(m, w, access, ERROR_P | (key ? ERROR_PK : 0));
	*gpa = page_address(m, w);
	return need_flags(m, w, dirty ? PTE_A | PTE_D : PTE_A);
}

/* From the table at w->entry & w->physical, whose entries are of w->level, down to the page. */
static inline enum guest_result walk(struct guest_memory *m, struct walk *w, u32 access, u64 *gpa)
{
	enum guest_result r;

	for (;; w->level--) {
		descend(m, w);
		if (!(w->entry & PTE_P))
			return page_fault(m, w, access, 0);
		if (w->entry & reserved_bits(m, w))
			return page_fault(m, w, access, ERROR_P | ERROR_RSVD);
		w->rights &= w->entry ^ PTE_NX;
		if (is_leaf(m, w))
			return finish_walk(m, w, access, gpa);
		r = need_flags(m, w, PTE_A);
		if (r != GUEST_DONE)
			return r;
	}
}

/* Where the walk begins. */
static inline enum guest_result start_walk(struct guest_memory *m, struct walk *w, u32 access)
{
	u64 no_nx = m->efer & EFER_NXE ? 0 : PTE_NX;

	w->entry = m->cr3;
	w->rights = PTE_RW | PTE_US | PTE_NX;
	w->stride = 9;
	w->physical = BITS(12, m->physical_bits - 1);
	if (w->paging >= PAGING_4LEVEL) {
		w->reserved = (BITS(12, 51) & ~w->physical) | no_nx;
		w->level = w->paging == PAGING_5LEVEL ? 4 : 3;
	} else if (w->paging == PAGING_PAE) {
		w->reserved = (BITS(12, 62) & ~w->physical) | no_nx;
		w->level = 1;
		w->entry = m->pdpte[w->linear >> 30];
		if (!(w->entry & PTE_P))
			return page_fault(m, w, access, 0);
	} else {
		w->reserved = 0;
		w->level = 1;
		w->stride = 10;
		w->physical = BITS(12, 31);
	}
	w->unusual = w->reserved | PTE_P | PTE_A | PTE_PS;
	return GUEST_DONE;
}

static inline bool canonical(u64 linear, enum guest_paging paging)
{
	unsigned int unused = paging == PAGING_5LEVEL ? 64 - 57 : 64 - 48;

	return (u64)((s64)(linear << unused) >> unused) == linear;
}

enum guest_result guest_translate(struct guest_memory *m, u64 linear, u32 access, u64 *gpa)
{
	struct walk w = { .linear = linear, .paging = guest_paging(m) };
	enum guest_result r;
	unsigned int tries;

	if (!m->long_code && !(access & GUEST_IMPLICIT))
		w.linear = (u32)linear;
	if (w.paging < PAGING_4LEVEL)
		w.linear = (u32)linear;
	else if (!canonical(w.linear, w.paging))
		return protection_fault(m, access);
	if (w.paging == PAGING_NONE) {
		*gpa = w.linear;
		return GUEST_DONE;
	}
	for (tries = 0; tries < WALK_TRIES; tries++) {
		r = start_walk(m, &w, access);
		if (r == GUEST_DONE)
			r = walk(m, &w, access, gpa);
		if (r != GUEST_RETRY)
			return r;
	}
	return GUEST_RETRY;
}

enum {
	RIGHTS_TYPE_WRITE	= 1 << 1,	/* of data: writable; of code: readable */
	RIGHTS_TYPE_DOWN	= 1 << 2,	/* of data: expands down */
	RIGHTS_TYPE_CODE	= 1 << 3,
	RIGHTS_BIG		= 1 << 14,
	RIGHTS_UNUSABLE		= 1 << 16,
};

static bool within_limit(const struct guest_segment *s, u64 offset, size_t n)
{
	u64 last = offset + n - 1;

	if ((s->access_rights & (RIGHTS_TYPE_CODE | RIGHTS_TYPE_DOWN)) == RIGHTS_TYPE_DOWN)
		return offset > s->limit && last <= (s->access_rights & RIGHTS_BIG ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

static bool segment_allows(const struct guest_memory *m, const struct guest_segment *s, u32 access)
{
	u32 rights = s->access_rights;

	if (!(m->cr0 & CR0_PE))
		return true;
	if (rights & RIGHTS_UNUSABLE)
		return false;
	if (access & GUEST_WRITE)
		return (rights & (RIGHTS_TYPE_CODE | RIGHTS_TYPE_WRITE)) == RIGHTS_TYPE_WRITE;
	return !(rights & RIGHTS_TYPE_CODE) || (rights & RIGHTS_TYPE_WRITE);
}

enum guest_result guest_linear(struct guest_memory *m, const struct guest_segment *segment, u64 offset, size_t n,
			       u32 access, u64 *linear)
{
	*linear = segment->base + offset;
	if (m->long_code)
		return GUEST_DONE;	/* no checks; whether it is canonical is the walk's business */
	*linear = (u32)*linear;
	if (!segment_allows(m, segment, access) || !within_limit(segment, (u32)offset, n))
		return protection_fault(m, access);
	return GUEST_DONE;
}

/* Numbers at any address; volatile, so that the guest's memory is read once. */
union chunk {
	u16 u16;
	u32 u32;
	u64 u64;
} __attribute__((packed, may_alias));

static void copy(volatile void *to, const volatile void *from, size_t n)
{
	volatile u8 *t = to;
	const volatile u8 *f = from;

	for (; n >= 8; n -= 8, t += 8, f += 8)
		((volatile union chunk *)t)->u64 = ((const volatile union chunk *)f)->u64;
	if (n & 4) {
		((volatile union chunk *)t)->u32 = ((const volatile union chunk *)f)->u32;
		t += 4;
		f += 4;
	}
	if (n & 2) {
		((volatile union chunk *)t)->u16 = ((const volatile union chunk *)f)->u16;
		t += 2;
		f += 2;
	}
	if (n & 1)
		*t = *f;
}

static inline size_t up_to_page_end(u64 address, size_t n)
{
	size_t rest = AVMM_PAGE_SIZE - (address & (AVMM_PAGE_SIZE - 1));

	return n < rest ? n : rest;
}

/* The byte at gpa in the window, or NULL. */
static char *window(struct guest_memory *m, u64 gpa, bool write)
{
	char *page = m->map(m->ctx, gpa & ~(AVMM_PAGE_SIZE - 1), write);

	if (!page) {
		m->unbacked = gpa;
		return NULL;
	}
	return page + (gpa & (AVMM_PAGE_SIZE - 1));
}

enum guest_result guest_read_physical(struct guest_memory *m, u64 gpa, void *to, size_t n)
{
	u8 *t = to;
	size_t part;

	for (; n; n -= part, gpa += part, t += part) {
		const char *from = window(m, gpa, false);

		if (!from)
			return GUEST_UNBACKED;
		part = up_to_page_end(gpa, n);
		copy(t, from, part);
	}
	return GUEST_DONE;
}

enum guest_result guest_write_physical(struct guest_memory *m, u64 gpa, const void *from, size_t n)
{
	const u8 *f = from;
	size_t part;

	for (; n; n -= part, gpa += part, f += part) {
		char *to = window(m, gpa, true);

		if (!to)
			return GUEST_UNBACKED;
		part = up_to_page_end(gpa, n);
		copy(to, f, part);
	}
	return GUEST_DONE;
}

enum guest_result guest_read(struct guest_memory *m, u64 linear, void *to, size_t n, u32 access)
{
	size_t first = up_to_page_end(linear, n);
	enum guest_result r;
	u64 gpa;

	if (n > AVMM_PAGE_SIZE)
		return GUEST_TOO_LONG;
	r = guest_translate(m, linear, access, &gpa);
	if (r == GUEST_DONE)
		r = guest_read_physical(m, gpa, to, first);
	if (r != GUEST_DONE || first == n)
		return r;
	r = guest_translate(m, linear + first, access, &gpa);
	if (r != GUEST_DONE)
		return r;
	return guest_read_physical(m, gpa, (u8 *)to + first, n - first);
}

/* Both pages are translated, and found to be memory, before a byte is written or a page marked dirty. */
static enum guest_result write_two_pages(struct guest_memory *m, u64 linear, const void *from, size_t first, size_t n,
					 u32 access)
{
	u64 gpa1, gpa2;
	enum guest_result r = guest_translate(m, linear, access | GUEST_PROBE, &gpa1);

	if (r == GUEST_DONE)
		r = guest_translate(m, linear + first, access | GUEST_PROBE, &gpa2);
	if (r == GUEST_DONE && (!window(m, gpa1, true) || !window(m, gpa2, true)))
		return GUEST_UNBACKED;
	if (r == GUEST_DONE)
		r = guest_translate(m, linear, access, &gpa1);
	if (r == GUEST_DONE)
		r = guest_translate(m, linear + first, access, &gpa2);
	if (r == GUEST_DONE)
		r = guest_write_physical(m, gpa1, from, first);
	if (r == GUEST_DONE)
		r = guest_write_physical(m, gpa2, (const u8 *)from + first, n - first);
	return r;
}

enum guest_result guest_write(struct guest_memory *m, u64 linear, const void *from, size_t n, u32 access)
{
	size_t first = up_to_page_end(linear, n);
	enum guest_result r;
	u64 gpa;

	if (n > AVMM_PAGE_SIZE)
		return GUEST_TOO_LONG;
	access |= GUEST_WRITE;
	if (first < n)
		return write_two_pages(m, linear, from, first, n, access);
	r = guest_translate(m, linear, access, &gpa);
	return r == GUEST_DONE ? guest_write_physical(m, gpa, from, n) : r;
}
