// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of direct-access devices. The machine's message is Linux's: its vector, its address. avmm.ko relays the number
 * of the vector, and what the guest has written for that vector, to its virtual capability or its virtual table, goes
 * to its local APICs. A vector that the guest has masked waits in its pending bits. Of the pages with an MSI-X table the
 * guest's EPT has nothing: the table there is emulated, what else lies there is forwarded.
 */
#include <avmm/device.h>
#include <vmx/root/user.h>
#include "core.h"
#include "direct-message.h"
#include "partition.h"

#define DATA_MEANING	0x7ffu		/* vector and delivery mode: a message is an edge */

static void send(struct messages *m, const struct direct_message *message)
{
	u32 mode = message->data >> 8 & 7;
	bool sent = false;

	if (mode == LAPIC_FIXED || mode == LAPIC_LOWEST)
		sent = lapic_bus_msi(&user.platform.lapics, message->address, message->data & DATA_MEANING) !=
		       LAPIC_IGNORED;
	if (sent)
		m->counts->messages++;
	else
		m->counts->lost++;
}

void messages_raise(struct messages *m, u64 vector)
{
	struct msix *table = &m->direct->table;
	struct direct_message message;

	if (vector < AVMM_DEVICE_MESSAGES && direct_message(m->direct, &user.platform.pci, (u32)vector, &message))
		send(m, &message);
	else if (vector < table->entries && direct_messages(m->direct, &user.platform.pci))
		table->pending |= 1u << vector;
	else
		m->counts->lost++;
}

void messages_look(struct messages *m)
{
	struct msix *table = &m->direct->table;
	struct direct_message message;
	u32 i;

	for (i = 0; i < table->entries; i++) {
		if (!(table->pending >> i & 1) || !direct_message(m->direct, &user.platform.pci, i, &message))
			continue;
		table->pending &= ~(1u << i);
		send(m, &message);
	}
}

/* Of the machine's, beside the table. The page is mapped as memory; that it is a device's, the MTRRs say. */
static void *machine_address(const struct messages *m, u64 at)
{
	m->counts->forwarded++;
	return window_map(m->direct->device.bar[m->direct->table.place.bar].base + at);
}

static u64 page_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct messages *m = ctx;
	u64 at = m->direct->table.place.first + offset, value;
	const volatile void *from;

	(void)now;
	if (msix_read(&m->direct->table, at, size, &value))
		return value;
	if (at % size)
		return ~0ull;
	from = machine_address(m, at);
	if (size == 1)
		return *(const volatile u8 *)from;
	if (size == 2)
		return *(const volatile u16 *)from;
	return size == 4 ? *(const volatile u32 *)from : *(const volatile u64 *)from;
}

static void forward(const struct messages *m, u64 at, unsigned int size, u64 value)
{
	volatile void *to = machine_address(m, at);

	if (size == 1)
		*(volatile u8 *)to = (u8)value;
	else if (size == 2)
		*(volatile u16 *)to = (u16)value;
	else if (size == 4)
		*(volatile u32 *)to = (u32)value;
	else
		*(volatile u64 *)to = value;
}

static void page_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct messages *m = ctx;
	u64 at = m->direct->table.place.first + offset;

	(void)now;
	if (msix_write(&m->direct->table, at, size, value))
		messages_look(m);
	else if (at % size == 0)
		forward(m, at, size, value);
}

void messages_init(struct messages *m, struct direct *direct, struct avmm_device_counts *counts)
{
	*m = (struct messages){
		.row = { 0, (u32)direct->table.place.size, 1 | 2 | 4 | 8 | BUS_QUIET, page_read, page_write },
		.direct = direct,
		.counts = counts,
	};
}

bool messages_map(struct messages *m, u64 bar)
{
	return bus_map(&user.platform.mmio, bar + m->direct->table.place.first, &m->row, 1, m);
}

void messages_unmap(struct messages *m)
{
	bus_unmap(&user.platform.mmio, &m->row, 1, m);
}
