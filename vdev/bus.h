/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address spaces of the user partition that devices answer in: one bus for I/O ports, one for MMIO.
 *
 * A device describes its registers in a static const table of struct bus_row: which addresses, which access sizes,
 * which handlers. bus_map() puts a table at an address. The slots stay sorted for a binary search of at most six
 * steps; a table of hints, by address, makes that rare: an access is one look and one call. Mapping may change at run
 * time, also from inside a handler (PIIX4's PMBASE).
 *
 * An access of a size that a row does not take is split into smaller ones, as the bus does on a real machine: OUT of
 * a word to port 70h writes index and data. Where nobody answers, reads give ones and writes vanish.
 */
#ifndef AVMM_BUS_H
#define AVMM_BUS_H

#include "vdev.h"

#define BUS_SLOTS	64
#define BUS_HINTS	64

/* In a row's sizes: a read sets no timer. (What it does to interrupt lines, the lines tell.) */
#define BUS_QUIET	16u

/* One register, or several that have the same handlers. Offsets count from where the table is mapped. */
struct bus_row {
	u32 first;
	u32 count;	/* addresses */
	u32 sizes;	/* access sizes that the handlers take: 1, 2, 4, 8 or'ed, and BUS_QUIET; they never see others */
	u64 (*read)(void *ctx, u32 offset, unsigned int size, u64 now);			/* NULL: all ones */
	void (*write)(void *ctx, u32 offset, unsigned int size, u64 value, u64 now);	/* NULL: ignored */
};

struct bus_slot {
	u64 first;		/* absolute; slots are sorted by it and never overlap */
	u32 count;		/* of the row */
	u32 sizes;		/* of the row, without those above count; 0 in a slot that is not used */
	u64 base;		/* of the table */
	const struct bus_row *row;
	void *ctx;
};

struct bus {
	unsigned int count;
	struct bus_slot slot[BUS_SLOTS];
	void *touched;		/* whose next deadline may have moved, by accesses; the bus itself: several devices' */
	bool unclaimed;		/* nobody answered at the end of an access */
	u8 hint[BUS_HINTS];	/* the slot where such an address was found last; a wrong one costs only the search */
};

void bus_init(struct bus *bus);

/* All rows or, if one overlaps or there are too many (false), none. */
bool bus_map(struct bus *bus, u64 base, const struct bus_row *rows, unsigned int nrows, void *ctx);
/* Takes away what was mapped of this table with this context. */
void bus_unmap(struct bus *bus, const struct bus_row *rows, unsigned int nrows, void *ctx);

/* size is 1, 2, 4 or 8. The value read has no bit set above the size. */
u64 bus_read(struct bus *bus, u64 addr, unsigned int size, u64 now);
void bus_write(struct bus *bus, u64 addr, unsigned int size, u64 value, u64 now);
/* Does a device answer at this address? */
bool bus_claimed(const struct bus *bus, u64 addr);

#endif
