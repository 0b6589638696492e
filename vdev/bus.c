// SPDX-License-Identifier: GPL-2.0-only
/* Address spaces that devices answer in; see bus.h. */
#include "bus.h"

/* A port access is on the hot path, and -Os would call. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

void bus_init(struct bus *bus)
{
	vdev_clear(bus, sizeof(*bus));
}

/* How many slots start at or below addr: the last of them is the only one that can hold it. */
static unsigned int bus_rank(const struct bus *bus, u64 addr)
{
	unsigned int low = 0, high = bus->count;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (bus->slot[mid].first <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool slot_holds(const struct bus_slot *slot, u64 addr)
{
	return addr - slot->first < slot->count;
}

/* The slot that holds the first byte at addr, or NULL. */
static const struct bus_slot *bus_search(const struct bus *bus, u64 addr)
{
	unsigned int rank = bus_rank(bus, addr);

	return rank && slot_holds(&bus->slot[rank - 1], addr) ? &bus->slot[rank - 1] : NULL;
}

static u8 *bus_hint(struct bus *bus, u64 addr)
{
	return &bus->hint[(addr ^ addr >> 6) % BUS_HINTS];
}

static const struct bus_slot *bus_find(struct bus *bus, u64 addr)
{
	const struct bus_slot *slot = bus_search(bus, addr);

	if (slot)
		*bus_hint(bus, addr) = (u8)(slot - bus->slot);
	return slot;
}

static bool bus_takes(const struct bus_slot *slot, u64 addr, unsigned int size)
{
	return (slot->sizes & size) && addr - slot->first <= slot->count - size;
}

bool bus_claimed(const struct bus *bus, u64 addr)
{
	return bus_search(bus, addr);
}

static bool bus_insert(struct bus *bus, u64 base, const struct bus_row *row, void *ctx)
{
	u64 first = base + row->first;
	unsigned int rank = bus_rank(bus, first), i, size;

	if (bus->count == BUS_SLOTS || bus_search(bus, first))
		return false;
	if (rank < bus->count && bus->slot[rank].first - first < row->count)
		return false;
	for (i = bus->count; i > rank; i--)
		bus->slot[i] = bus->slot[i - 1];
	bus->slot[rank] = (struct bus_slot){
		.first = first, .count = row->count, .sizes = row->sizes, .base = base, .row = row, .ctx = ctx,
	};
	for (size = 8; size > row->count; size /= 2)
		bus->slot[rank].sizes &= ~size;
	bus->count++;
	return true;
}

bool bus_map(struct bus *bus, u64 base, const struct bus_row *rows, unsigned int nrows, void *ctx)
{
	unsigned int i;

	for (i = 0; i < nrows; i++) {
		if (bus_insert(bus, base, &rows[i], ctx))
			continue;
		bus_unmap(bus, rows, i, ctx);
		return false;
	}
	return true;
}

void bus_unmap(struct bus *bus, const struct bus_row *rows, unsigned int nrows, void *ctx)
{
	unsigned int from, to = 0;

	for (from = 0; from < bus->count; from++) {
		const struct bus_slot *slot = &bus->slot[from];

		if (slot->ctx != ctx || slot->row < rows || slot->row >= rows + nrows)
			bus->slot[to++] = *slot;
	}
	for (from = to; from < bus->count; from++)
		bus->slot[from].sizes = 0;
	bus->count = to;
}

static u64 bus_ones(unsigned int size)
{
	static const u64 ones[9] = { [1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = ~0ull };

	return ones[size];
}

/* The largest piece of an access that one row takes whole, 0 if nobody answers at addr. */
static unsigned int bus_piece(const struct bus_slot *slot, u64 addr, unsigned int left)
{
	unsigned int size;

	for (size = 8; size; size /= 2)
		if (slot && size <= left && bus_takes(slot, addr, size))
			return size;
	return 0;
}

/* Whose deadline may move is noted before the call, which may change the mapping. */
static ALWAYS_INLINE u64 bus_call_read(struct bus *bus, const struct bus_slot *slot, u64 addr, unsigned int size,
				       u64 now)
{
	if (!slot->row->read)
		return bus_ones(size);
	if (!(slot->sizes & BUS_QUIET))
		bus->touched = slot->ctx;
	return slot->row->read(slot->ctx, (u32)(addr - slot->base), size, now) & bus_ones(size);
}

static ALWAYS_INLINE void bus_call_write(struct bus *bus, const struct bus_slot *slot, u64 addr, unsigned int size,
					 u64 value, u64 now)
{
	if (!slot->row->write)
		return;
	bus->touched = slot->ctx;
	slot->row->write(slot->ctx, (u32)(addr - slot->base), size, value & bus_ones(size), now);
}

/* The pieces of one access may have been different devices', the last one nobody's. */
static void bus_split(struct bus *bus, unsigned int last_piece, unsigned int size)
{
	if (!last_piece)
		bus->unclaimed = true;
	if (bus->touched && last_piece != size)
		bus->touched = bus;
}

/* The way of an access that the hint does not find: wrong hint, nobody there, or several rows. */
__attribute__((noinline))
static u64 bus_read_slow(struct bus *bus, u64 addr, unsigned int size, u64 now)
{
	unsigned int done = 0, piece = 0;
	u64 value = 0;

	while (done < size) {
		const struct bus_slot *slot = bus_find(bus, addr + done);
		u64 part = 0xff;

		piece = bus_piece(slot, addr + done, size - done);
		if (piece)
			part = bus_call_read(bus, slot, addr + done, piece, now);
		value |= part << (8 * done);
		done += piece ? piece : 1;
	}
	bus_split(bus, piece, size);
	return value;
}

u64 bus_read(struct bus *bus, u64 addr, unsigned int size, u64 now)
{
	const struct bus_slot *slot = &bus->slot[*bus_hint(bus, addr)];

	if (bus_takes(slot, addr, size))
		return bus_call_read(bus, slot, addr, size, now);
	return bus_read_slow(bus, addr, size, now);
}

__attribute__((noinline))
static void bus_write_slow(struct bus *bus, u64 addr, unsigned int size, u64 value, u64 now)
{
	unsigned int done = 0, piece = 0;

	while (done < size) {
		const struct bus_slot *slot = bus_find(bus, addr + done);

		piece = bus_piece(slot, addr + done, size - done);
		if (piece)
			bus_call_write(bus, slot, addr + done, piece, value >> (8 * done), now);
		done += piece ? piece : 1;
	}
	bus_split(bus, piece, size);
}

void bus_write(struct bus *bus, u64 addr, unsigned int size, u64 value, u64 now)
{
	const struct bus_slot *slot = &bus->slot[*bus_hint(bus, addr)];

	if (bus_takes(slot, addr, size))
		bus_call_write(bus, slot, addr, size, value, now);
	else
		bus_write_slow(bus, addr, size, value, now);
}
