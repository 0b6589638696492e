// SPDX-License-Identifier: GPL-2.0-only
/* The table and the pending bits of MSI-X; see msix.h. */
#include "msix.h"
#include "vdev.h"

enum word { ADDRESS_LOW, ADDRESS_HIGH, DATA, CONTROL };

#define CONTROL_MASK	1u
#define DWORD		4u
#define ENTRY		16u

void msix_init(struct msix *x, const struct avmm_msix *place, u32 entries)
{
	u32 i;

	vdev_clear(x, sizeof(*x));
	x->place = *place;
	x->entries = entries < AVMM_DEVICE_MESSAGES ? entries : AVMM_DEVICE_MESSAGES;
	for (i = 0; i < x->entries; i++)
		x->entry[i][CONTROL] = CONTROL_MASK;
}

static bool overlaps(u64 offset, unsigned int size, u64 first, u64 length)
{
	return offset < first + length && first < offset + size;
}

static bool inside(u64 offset, unsigned int size, u64 first, u64 length)
{
	return size % DWORD == 0 && offset % size == 0 && offset >= first && offset + size <= first + length;
}

/* The machine's entries that the guest does not have read zero. */
static u32 dword(const struct msix *x, u64 offset)
{
	u64 at = offset - x->place.table;

	if (overlaps(offset, DWORD, x->place.pending, x->place.pending_size))
		return offset == x->place.pending ? x->pending : 0;
	return at / ENTRY < x->entries ? x->entry[at / ENTRY][at % ENTRY / DWORD] : 0;
}

static bool whole(const struct msix *x, u64 offset, unsigned int size)
{
	return inside(offset, size, x->place.table, x->place.table_size) ||
	       inside(offset, size, x->place.pending, x->place.pending_size);
}

static bool touches(const struct msix *x, u64 offset, unsigned int size)
{
	return overlaps(offset, size, x->place.table, x->place.table_size) ||
	       overlaps(offset, size, x->place.pending, x->place.pending_size);
}

bool msix_read(const struct msix *x, u64 offset, unsigned int size, u64 *value)
{
	if (!touches(x, offset, size))
		return false;
	*value = ~0ull;
	if (whole(x, offset, size))
		*value = size == DWORD ? dword(x, offset) : dword(x, offset) | (u64)dword(x, offset + DWORD) << 32;
	return true;
}

static void set_dword(struct msix *x, u64 offset, u32 value)
{
	u64 at = offset - x->place.table;
	u32 word = at % ENTRY / DWORD;

	if (at / ENTRY < x->entries)
		x->entry[at / ENTRY][word] = word == CONTROL ? value & CONTROL_MASK : value;
}

bool msix_write(struct msix *x, u64 offset, unsigned int size, u64 value)
{
	if (!touches(x, offset, size))
		return false;
	if (!inside(offset, size, x->place.table, x->place.table_size))
		return true;
	set_dword(x, offset, (u32)value);
	if (size > DWORD)
		set_dword(x, offset + DWORD, (u32)(value >> 32));
	return true;
}

bool msix_message(const struct msix *x, unsigned int vector, struct direct_message *message)
{
	const u32 *entry;

	if (vector >= x->entries || x->entry[vector][CONTROL] & CONTROL_MASK)
		return false;
	entry = x->entry[vector];
	message->address = entry[ADDRESS_LOW] | (u64)entry[ADDRESS_HIGH] << 32;
	message->data = entry[DATA];
	return true;
}
