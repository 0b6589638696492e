// SPDX-License-Identifier: GPL-2.0-only
/* I/O APIC model, after Intel's 82093AA data sheet, chapter 3; state and locking: ioapic.h. */
#include "ioapic.h"

#define REG_ID		0x00
#define REG_VERSION	0x01
#define REG_ARBITRATION	0x02
#define REG_ENTRIES	0x10

#define ENTRY_REMOTE_IRR	(1u << 14)
#define ENTRY_LEVEL		(1u << 15)
#define ENTRY_MASKED		(1u << 16)
#define ENTRY_LOW_WRITABLE	0x1afffu
#define ENTRY_HIGH_WRITABLE	0xff000000u

/* An entry's low half has the format of a message. */
static enum lapic_result send(struct ioapic *ioapic, u32 pin)
{
	u64 entry = ioapic->entry[pin];
	u32 dest = (u32)(entry >> 56), msg = (u32)entry & (0xfff | ENTRY_LEVEL);

	if (dest == 0xff)
		msg |= LAPIC_MSG_ALL;
	if (!(entry & ENTRY_LEVEL) && ioapic->config.watched >> pin & 1)
		msg |= LAPIC_MSG_WATCH;
	return lapic_bus_send(ioapic->config.bus, dest, msg);
}

/* Only fixed and lowest-priority interrupts have levels; the others must be programmed as edges and are taken so. */
static bool is_level(u64 entry)
{
	return entry & ENTRY_LEVEL && (entry >> 8 & 7) <= LAPIC_LOWEST;
}

/* Deliver a level that nobody has in service; what no local APIC accepts stays to be tried at the next occasion. */
static enum lapic_result send_level(struct ioapic *ioapic, u32 pin)
{
	u64 entry = ioapic->entry[pin];
	enum lapic_result result;

	if (entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR) || !(ioapic->lines >> pin & 1))
		return LAPIC_IGNORED;
	result = send(ioapic, pin);
	if (result != LAPIC_IGNORED) {
		ioapic->entry[pin] |= ENTRY_REMOTE_IRR;
		ioapic->in_service |= 1u << pin;
	}
	return result;
}

/* Edges on a masked pin are lost, levels are not: data sheet 3.2.4, interrupt mask. */
enum lapic_result ioapic_set_line(struct ioapic *ioapic, u32 pin, bool asserted)
{
	u32 bit;
	bool rises;

	if (pin >= IOAPIC_PINS)
		return LAPIC_IGNORED;
	bit = 1u << pin;
	rises = asserted && !(ioapic->lines & bit);
	ioapic->lines = asserted ? ioapic->lines | bit : ioapic->lines & ~bit;
	if (is_level(ioapic->entry[pin]))
		return send_level(ioapic, pin);
	if (!rises || ioapic->entry[pin] & ENTRY_MASKED)
		return LAPIC_IGNORED;
	return send(ioapic, pin);
}

static void end_service(struct ioapic *ioapic, u32 pin)
{
	ioapic->entry[pin] &= ~(u64)ENTRY_REMOTE_IRR;
	ioapic->in_service &= ~(1u << pin);
}

void ioapic_eoi(struct ioapic *ioapic, u8 vector)
{
	u32 pin, pins = ioapic->in_service | ioapic->config.watched;

	for (; pins; pins &= pins - 1) {
		pin = (u32)__builtin_ctz(pins);
		if ((u8)ioapic->entry[pin] != vector)
			continue;
		/* first, so that a line that falls by it is not sent again */
		if (ioapic->config.watched >> pin & 1 && ioapic->config.ack)
			ioapic->config.ack(ioapic->config.ctx, pin);
		if (ioapic->entry[pin] & ENTRY_REMOTE_IRR) {
			end_service(ioapic, pin);
			send_level(ioapic, pin);
		}
	}
}

/* Switching to edge forgets remote IRR: this is how version 0x11 is sent an EOI for one pin. */
static void write_entry(struct ioapic *ioapic, u32 index, u32 value)
{
	u32 pin = index / 2;
	u64 *entry = &ioapic->entry[pin];

	if (index & 1) {
		*entry = (u32)*entry | (u64)(value & ENTRY_HIGH_WRITABLE) << 32;
		return;
	}
	*entry = (*entry & ~(u64)ENTRY_LOW_WRITABLE) | (value & ENTRY_LOW_WRITABLE);
	if (is_level(*entry))
		send_level(ioapic, pin);
	else
		end_service(ioapic, pin);
}

static void write_window(struct ioapic *ioapic, u32 value)
{
	u32 index = ioapic->select;

	if (index == REG_ID)
		ioapic->id = value >> 24 & 15;
	else if (index >= REG_ENTRIES && index < REG_ENTRIES + 2 * IOAPIC_PINS)
		write_entry(ioapic, index - REG_ENTRIES, value);
}

static u32 read_window(const struct ioapic *ioapic)
{
	u32 index = ioapic->select;

	switch (index) {
	case REG_ID:
	case REG_ARBITRATION:	/* there is no arbitration bus: the ID, as loaded with it */
		return ioapic->id << 24;
	case REG_VERSION:
		return (IOAPIC_PINS - 1) << 16 | (ioapic->config.has_eoi_register ? 0x20 : 0x11);
	}
	if (index < REG_ENTRIES || index >= REG_ENTRIES + 2 * IOAPIC_PINS)
		return 0;
	index -= REG_ENTRIES;
	return (u32)(ioapic->entry[index / 2] >> (index & 1) * 32);
}

static u64 select_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct ioapic *ioapic = ctx;

	(void)size;
	(void)now;
	return offset ? 0 : ioapic->select;
}

static void select_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct ioapic *ioapic = ctx;

	(void)size;
	(void)now;
	if (!offset)
		ioapic->select = (u8)value;
}

static u64 window_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	(void)offset;
	(void)size;
	(void)now;
	return read_window(ctx);
}

static void window_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	(void)offset;
	(void)size;
	(void)now;
	write_window(ctx, (u32)value);
}

static void eoi_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct ioapic *ioapic = ctx;

	(void)offset;
	(void)size;
	(void)now;
	if (ioapic->config.has_eoi_register)
		ioapic_eoi(ioapic, (u8)value);
}

const struct bus_row ioapic_rows[IOAPIC_ROWS] = {
	{ 0x00, 4, 1 | 2 | 4 | BUS_QUIET, select_read, select_write },
	{ 0x10, 4, 4 | BUS_QUIET, window_read, window_write },
	{ 0x40, 4, 4, NULL, eoi_write },
};

void ioapic_reset(struct ioapic *ioapic)
{
	u32 pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->entry[pin] = ENTRY_MASKED;
	ioapic->in_service = 0;
	ioapic->id = ioapic->config.id & 15;
	ioapic->select = 0;
}

void ioapic_init(struct ioapic *ioapic, const struct ioapic_config *config)
{
	ioapic->config = *config;
	ioapic->lines = 0;
	ioapic_reset(ioapic);
}
