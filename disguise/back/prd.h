/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bus master's table of physical regions, as a copy of our own: it is read once, and only as far as the transfer
 * needs it.
 *
 * As on PIIX bit 0 of addresses and counts is ignored, a count of 0 means 64 KiB, and the table ends at its 64 KiB
 * boundary at the latest. A region that crosses such a boundary goes on behind it, other than in the specification:
 * OVMF builds such tables. One that crosses 4 GiB is an error, the controller has no such addresses.
 */
#ifndef AVMM_BACK_PRD_H
#define AVMM_BACK_PRD_H

#include "request.h"

#define PRD_ENTRIES	8192	/* of 8 bytes, in 64 KiB */

enum prd_result {
	PRD_EXACT,	/* the table describes just the transfer */
	PRD_LONG,	/* more */
	PRD_SHORT,	/* less */
	PRD_BAD,	/* it is not in RAM, or has no end */
};

struct prd_region {
	u32 gpa;
	u32 bytes;
};

struct prd_table {
	u32 count;
	bool aligned;	/* all addresses and sizes are multiples of a sector */
	struct prd_region region[PRD_ENTRIES];	/* if EXACT or LONG: together the bytes that were wanted */
};

/* A place in the table. */
struct prd_cursor {
	u32 index;
	u32 offset;
};

enum prd_result prd_load(struct prd_table *t, const struct avmm_guest_memory *m, u32 gpa, u64 wanted);

/* n bytes from the cursor on, which goes ahead; false: not in RAM. */
bool prd_read(const struct prd_table *t, struct prd_cursor *c, const struct avmm_guest_memory *m, void *to, u32 n);
bool prd_write(const struct prd_table *t, struct prd_cursor *c, const struct avmm_guest_memory *m, const void *from,
	       u32 n);
/* As much of an aligned table as the request takes. */
enum avmm_blk_added prd_add(const struct prd_table *t, struct prd_cursor *c, const struct avmm_guest_memory *m,
			    struct avmm_blk_req *req);

#endif
