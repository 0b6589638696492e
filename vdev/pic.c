// SPDX-License-Identifier: GPL-2.0-only
/* 8259A pair and ELCR; see pic.h. Names follow Intel's data sheet 231468. */
#include "pic.h"

#define PIC_CASCADE	2

#define ICW1		0x10	/* written to the even port: initialisation starts */
#define ICW1_IC4	0x01
#define ICW1_SNGL	0x02
#define ICW4_AEOI	0x02
#define ICW4_SFNM	0x10

#define OCW3		0x08	/* written to the even port without ICW1 */
#define OCW3_RIS	0x01
#define OCW3_RR		0x02
#define OCW3_POLL	0x04
#define OCW3_SMM	0x20
#define OCW3_ESMM	0x40

#define POLL_PENDING	0x80

static const u8 elcr_writable[2] = { 0xf8, 0xde };	/* IRQ 0, 1, 2, 8 and 13 are always edge triggered */

static u8 rotate_right(u8 bits, unsigned int n)
{
	return (u8)(bits >> n | bits << (8 - n));
}

/* Distance of the first set bit from the input of highest priority; 8 if there is none. */
static unsigned int priority(const struct pic_chip *chip, u8 bits)
{
	return (unsigned int)__builtin_ctz(rotate_right(bits, chip->first) | 0x100u);
}

/* The input that requests service, or -1. */
static int chip_request(const struct pic_chip *chip)
{
	u8 in_service = chip->isr;
	unsigned int request = priority(chip, chip->irr & (u8)~chip->imr);

	if (chip->special_mask)
		in_service &= (u8)~chip->imr;
	if (chip->fully_nested && chip->master)
		in_service &= (u8)~(1u << PIC_CASCADE);	/* the slave sorts its own priorities out */
	if (request >= priority(chip, in_service))
		return -1;
	return (int)((request + chip->first) & 7);
}

/* The slave's INT pin is a line of the master like any other, but one that stays up while there is a request. */
static void pic_update(struct pic *pic)
{
	struct pic_chip *master = &pic->chip[0];
	bool intr;

	if (chip_request(&pic->chip[1]) >= 0)
		master->irr |= 1u << PIC_CASCADE;
	else
		master->irr &= (u8)~(1u << PIC_CASCADE);
	intr = chip_request(master) >= 0;
	if (intr == pic->intr)
		return;
	pic->intr = intr;
	pic->ops.intr(pic->ops.ctx, intr);
}

static void pic_done(struct pic *pic, const struct pic_chip *chip, unsigned int input)
{
	if (pic->ops.done && !(chip->master && input == PIC_CASCADE))
		pic->ops.done(pic->ops.ctx, chip->master ? input : input + 8);
}

void pic_set_irq(struct pic *pic, unsigned int irq, bool level)
{
	struct pic_chip *chip = &pic->chip[irq >> 3 & 1];
	u8 bit = (u8)(1u << (irq & 7));

	if (irq > 15 || irq == PIC_CASCADE)
		return;
	if (level && !(chip->lines & bit))
		chip->irr |= bit;
	if (!level && (chip->elcr & bit))
		chip->irr &= (u8)~bit;
	chip->lines = level ? chip->lines | bit : chip->lines & (u8)~bit;
	pic_update(pic);
}

/* One chip's part of the acknowledge cycle. Returns the input; 7 without in-service bit if no request is left. */
static unsigned int chip_ack(struct pic_chip *chip, bool *real)
{
	int input = chip_request(chip);
	u8 bit = (u8)(1u << (input & 7));

	*real = input >= 0;
	if (!*real)
		return 7;
	if (!(chip->elcr & bit))
		chip->irr &= (u8)~bit;
	if (!chip->auto_eoi)
		chip->isr |= bit;
	else if (chip->rotate_on_auto_eoi)
		chip->first = (u8)((input + 1) & 7);
	return (unsigned int)input;
}

static void chip_ack_done(struct pic *pic, const struct pic_chip *chip, unsigned int input, bool real)
{
	if (real && chip->auto_eoi)
		pic_done(pic, chip, input);
}

u8 pic_ack(struct pic *pic)
{
	struct pic_chip *master = &pic->chip[0], *slave = &pic->chip[1];
	bool real, slave_real = false;
	unsigned int input = chip_ack(master, &real), slave_input = 0;
	u8 vector = (u8)(master->base + input);

	if (real && input == PIC_CASCADE) {
		slave_input = chip_ack(slave, &slave_real);
		vector = (u8)(slave->base + slave_input);
	}
	pic_update(pic);
	chip_ack_done(pic, master, input, real);
	chip_ack_done(pic, slave, slave_input, slave_real);
	return vector;
}

/* ICW1 forgets latched edges: a line must rise again. Level lines that are high request on. */
static void chip_start_init(struct pic_chip *chip, u8 icw1)
{
	chip->irr = chip->lines & chip->elcr;
	chip->imr = 0;
	chip->isr = 0;
	chip->first = 0;
	chip->read_isr = false;
	chip->poll = false;
	chip->special_mask = false;
	chip->auto_eoi = false;
	chip->rotate_on_auto_eoi = false;
	chip->fully_nested = false;
	chip->want_icw4 = icw1 & ICW1_IC4;
	chip->single = icw1 & ICW1_SNGL;
	chip->init_step = 2;
}

/* Ends the in-service input of highest priority. In special mask mode a masked one is not looked at. */
static int chip_eoi(struct pic_chip *chip)
{
	u8 candidates = chip->special_mask ? chip->isr & (u8)~chip->imr : chip->isr;
	unsigned int input;

	if (!candidates)
		return -1;
	input = (priority(chip, candidates) + chip->first) & 7;
	chip->isr &= (u8)~(1u << input);
	return (int)input;
}

static int chip_eoi_specific(struct pic_chip *chip, unsigned int input)
{
	u8 bit = (u8)(1u << input);

	if (!(chip->isr & bit))
		return -1;
	chip->isr &= (u8)~bit;
	return (int)input;
}

static void pic_write_ocw2(struct pic *pic, struct pic_chip *chip, u8 value)
{
	unsigned int level = value & 7;
	int ended = -1;

	switch (value >> 5) {
	case 0:	/* rotate in automatic EOI mode: clear, and set */
	case 4:
		chip->rotate_on_auto_eoi = value >> 5 == 4;
		break;
	case 1:	/* non-specific EOI, and with rotation */
	case 5:
		ended = chip_eoi(chip);
		if (ended >= 0 && value >> 5 == 5)
			chip->first = (u8)((ended + 1) & 7);
		break;
	case 3:	/* specific EOI, and with rotation */
	case 7:
		ended = chip_eoi_specific(chip, level);
		if (value >> 5 == 7)
			chip->first = (u8)((level + 1) & 7);
		break;
	case 6:	/* set priority */
		chip->first = (u8)((level + 1) & 7);
		break;
	default:
		break;
	}
	pic_update(pic);
	if (ended >= 0)
		pic_done(pic, chip, (unsigned int)ended);
}

static void pic_write_ocw3(struct pic *pic, struct pic_chip *chip, u8 value)
{
	if (value & OCW3_POLL)
		chip->poll = true;
	if (value & OCW3_RR)
		chip->read_isr = value & OCW3_RIS;
	if (value & OCW3_ESMM)
		chip->special_mask = value & OCW3_SMM;
	pic_update(pic);
}

static void pic_write_ocw1(struct pic *pic, struct pic_chip *chip, u8 value)
{
	chip->imr = value;
	pic_update(pic);
}

static void pic_write_icw(struct pic_chip *chip, u8 value)
{
	switch (chip->init_step) {
	case 2:
		chip->base = value & 0xf8;
		chip->init_step = chip->single ? chip->want_icw4 ? 4 : 0 : 3;
		break;
	case 3:
		chip->init_step = chip->want_icw4 ? 4 : 0;
		break;
	default:
		chip->auto_eoi = value & ICW4_AEOI;
		chip->fully_nested = value & ICW4_SFNM;
		chip->init_step = 0;
		break;
	}
}

static void pic_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pic *pic = ctx;
	struct pic_chip *chip = &pic->chip[port >> 7 & 1];

	(void)size, (void)now;
	if (port & 1) {
		if (!chip->init_step)
			return pic_write_ocw1(pic, chip, (u8)value);
		pic_write_icw(chip, (u8)value);
	} else if (value & ICW1) {
		chip_start_init(chip, (u8)value);
	} else if (value & OCW3) {
		return pic_write_ocw3(pic, chip, (u8)value);
	} else {
		return pic_write_ocw2(pic, chip, (u8)value);
	}
	pic_update(pic);
}

/* A read after the poll command is an acknowledge cycle of this chip alone. */
static u8 pic_poll(struct pic *pic, struct pic_chip *chip)
{
	bool real;
	unsigned int input = chip_ack(chip, &real);

	chip->poll = false;
	pic_update(pic);
	chip_ack_done(pic, chip, input, real);
	return real ? (u8)(POLL_PENDING | input) : 0;
}

static u64 pic_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct pic *pic = ctx;
	struct pic_chip *chip = &pic->chip[port >> 7 & 1];

	(void)size, (void)now;
	if (chip->poll)
		return pic_poll(pic, chip);
	if (port & 1)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip->irr;
}

static u64 elcr_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct pic *pic = ctx;

	(void)size, (void)now;
	return pic->chip[port & 1].elcr;
}

static void elcr_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pic *pic = ctx;
	struct pic_chip *chip = &pic->chip[port & 1];
	u8 elcr = (u8)value & elcr_writable[port & 1], changed = elcr ^ chip->elcr;

	(void)size, (void)now;
	chip->elcr = elcr;
	chip->irr = (u8)((chip->irr & ~changed) | (chip->lines & elcr));
	pic_update(pic);
}

const struct bus_row pic_rows[PIC_ROWS] = {
	{ 0x20, 2, 1 | BUS_QUIET, pic_read, pic_write },
	{ 0xa0, 2, 1 | BUS_QUIET, pic_read, pic_write },
	{ 0x4d0, 2, 1 | BUS_QUIET, elcr_read, elcr_write },
};

/* Power-on: nothing is masked, nothing is initialised; firmware and kernels write ICW1 first. */
void pic_reset(struct pic *pic)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		u8 lines = pic->chip[i].lines;

		pic->chip[i] = (struct pic_chip){ .lines = lines, .master = i == 0 };
	}
	pic_update(pic);
}

void pic_init(struct pic *pic, const struct pic_ops *ops)
{
	vdev_clear(pic, sizeof(*pic));
	pic->ops = *ops;
	pic_reset(pic);
}
