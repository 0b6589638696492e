// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of an Intel 8254x that receives whatever comes, by DMA into this guest's memory, and never stops by itself.
 * For a guest in an identity window, linked there (guest-window.bin).
 */
#include "guest.h"

#define CARD_ID		0x100e8086u
#define COMMAND		0x04
#define COMMAND_ON	0x0006u		/* memory, bus master */
#define BAR0		0x10

#define CTRL		0x0000
#define CTRL_SLU	(1u << 6)
#define ICS		0x00c8
#define IMS		0x00d0
#define IMS_RXT0	(1u << 7)
#define IMS_LSC		(1u << 2)
#define RCTL		0x0100
#define RCTL_EN		(1u << 1)
#define RCTL_ALL	(1u << 3 | 1u << 4 | 1u << 15)	/* whatever its address is */
#define TCTL		0x0400
#define TCTL_EN		(1u << 1)
#define RDBAL		0x2800
#define TDBAL		0x3800
#define BAH		0x04		/* from these on */
#define LENGTH		0x08
#define HEAD		0x10
#define TAIL		0x18
#define RAL0		0x5400

#define DONE		(1u << 0)
#define TX_COMMAND	(0xbu << 24)	/* end of packet, checksum, report */
#define RING		32u
#define BUFFER		2048u
#define ENOUGH		20u

#define PIRQ_ROUTES	0x80000860u	/* of the PIIX3, PIRQA to D */
#define IRQ		11
#define ELCR_HIGH	0x4d1
#define PIC_MASTER_MASK	0x21
#define PIC_SLAVE_MASK	0xa1
#define SVR		0xf0
#define LVT_LINT0	0x350
#define EXTINT		0x700

struct descriptor {
	u64 address;
	u32 length;		/* to be sent: with the command; received: with the checksum */
	u32 status;
};

static struct descriptor receive[RING] __attribute__((aligned(128))), transmit[8] __attribute__((aligned(128)));
static u8 buffers[RING][BUFFER] __attribute__((aligned(4096)));
static u8 packet[64];
static u64 card;

static u32 config(u32 slot, u32 offset)
{
	out32(0xcf8, 0x80000000 | slot << 11 | offset);
	return in32(0xcfc);
}

/* Where its registers are; 0: there is none. */
static u64 find_card(void)
{
	u32 slot;

	for (slot = 0; slot < 32; slot++) {
		if (config(slot, 0) != CARD_ID)
			continue;
		config(slot, COMMAND);
		out16(0xcfc, COMMAND_ON);
		return config(slot, BAR0) & ~0xfu;
	}
	return 0;
}

static void set_ring(u64 registers, struct descriptor *ring, u32 size)
{
	write32(card + registers, (u32)(u64)ring);
	write32(card + registers + BAH, 0);
	write32(card + registers + LENGTH, size * sizeof(*ring));
	write32(card + registers + HEAD, 0);
	write32(card + registers + TAIL, 0);
}

/* The emulated network's gateway is asked for its address, and learns ours by that: 10.0.2.15. */
static void send_arp(void)
{
	static const u8 request[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 }, us[] = { 10, 0, 2, 15 }, gateway[] = { 10, 0, 2, 2 };
	u32 i;

	for (i = 0; i < 6; i++) {
		packet[i] = 0xff;
		packet[6 + i] = packet[22 + i] = (u8)(read32(card + RAL0 + (i & 4)) >> 8 * (i & 3));
	}
	for (i = 0; i < sizeof(request); i++)
		packet[12 + i] = request[i];
	for (i = 0; i < 4; i++) {
		packet[28 + i] = us[i];
		packet[38 + i] = gateway[i];
	}
	transmit[0] = (struct descriptor){ (u64)packet, sizeof(packet) | TX_COMMAND, 0 };
	write32(card + TAIL + TDBAL, 1);
}

static void start(void)
{
	u32 i;

	for (i = 0; i < RING; i++)
		receive[i] = (struct descriptor){ .address = (u64)buffers[i] };
	set_ring(RDBAL, receive, RING);
	set_ring(TDBAL, transmit, ARRAY_SIZE(transmit));
	write32(card + CTRL, read32(card + CTRL) | CTRL_SLU);
	write32(card + RCTL, RCTL_EN | RCTL_ALL);
	write32(card + RDBAL + TAIL, RING - 1);
	write32(card + TCTL, TCTL_EN);
	write32(card + IMS, IMS_RXT0);		/* its line is up from the first packet on: nobody here takes it down */
	send_arp();
}

static const char *take(void)
{
	card = find_card();
	if (!card)
		return "there is no card";
	if (read32(card + RCTL) & RCTL_EN || read32(card + TCTL) & TCTL_EN)
		return fail("it was not reset: RCTL %lx, TCTL %lx", (u64)read32(card + RCTL), (u64)read32(card + TCTL));
	return NULL;
}

static const char *run_card_receives(void)
{
	const char *why = take();
	u32 n = 0, at = 0;

	if (why)
		return why;
	start();
	for (;;) {
		volatile struct descriptor *d = &receive[at];

		if (!(d->status & DONE))
			continue;
		d->status = 0;
		write32(card + RDBAL + TAIL, at);
		at = (at + 1) % RING;
		if (++n == ENOUGH)
			print("receiving\n");
	}
}

/* Finishes each interrupt at the 8259, and leaves the card as it is: so there is another one at once. */
static const char *run_card_storm(void)
{
	const char *why = take();
	u16 pin;

	if (why)
		return why;
	for (pin = 0; pin < 4; pin++) {
		out32(0xcf8, PIRQ_ROUTES);
		out8(0xcfc + pin, IRQ);
	}
	out8(ELCR_HIGH, 1 << (IRQ - 8));
	eoi = EOI_PIC;
	write32(LAPIC + SVR, 0x1ff);
	write32(LAPIC + LVT_LINT0, EXTINT);
	write32(card + IMS, IMS_LSC);
	write32(card + ICS, IMS_LSC);
	out8(PIC_SLAVE_MASK, (u8)~(1 << (IRQ - 8)));
	out8(PIC_MASTER_MASK, (u8)~(1 << 2));
	print("storm\n");
	for (;;)
		sti();
}

static const struct test tests[] = {
	{ "card_receives", run_card_receives },
	{ "card_storm", run_card_storm },
};

const struct test_group card_tests = { tests, ARRAY_SIZE(tests) };
