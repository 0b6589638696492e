// SPDX-License-Identifier: GPL-2.0-only
/* 8259A pair: what a driver notices, by the data sheet's commands. */
#include "vdev_unit.h"
#include "vdev/pic.h"

static struct pic pic;
static bool intr;
static u32 intr_changes;
static u32 done[16];

static void on_intr(void *ctx, bool level)
{
	(void)ctx;
	assert_true(level != intr);
	intr = level;
	intr_changes++;
}

static void on_done(void *ctx, unsigned int irq)
{
	(void)ctx;
	assert_true(irq < 16);
	done[irq]++;
}

/* As Linux and Windows initialise: vectors 30h and 38h, all unmasked. icw4 of both. */
static void start(u8 icw4)
{
	static const struct pic_ops ops = { on_intr, on_done, NULL };

	intr = false;
	intr_changes = 0;
	memset(done, 0, sizeof(done));
	bus_init(&ports);
	pic_init(&pic, &ops);
	assert_true(bus_map(&ports, 0, pic_rows, PIC_ROWS, &pic));
	out(0x20, 0x11);
	out(0xa0, 0x11);
	out(0x21, 0x30);
	out(0xa1, 0x38);
	out(0x21, 0x04);
	out(0xa1, 0x02);
	out(0x21, icw4);
	out(0xa1, icw4 & 0x0f);
}

static void pulse(unsigned int irq)
{
	pic_set_irq(&pic, irq, false);
	pic_set_irq(&pic, irq, true);
}

static u8 isr(u16 port)
{
	out(port, 0x0b);
	return in(port);
}

static u8 irr(u16 port)
{
	out(port, 0x0a);
	return in(port);
}

static void probe_by_mask_register(void **state)
{
	(void)state;
	start(1);
	out(0x21, 0xfb);
	assert_int_equal(in(0x21), 0xfb);	/* Linux's probe_8259A() */
	out(0xa1, 0x5a);
	assert_int_equal(in(0xa1), 0x5a);
	assert_int_equal(in(0x21), 0xfb);
}

static void edge_is_delivered_once(void **state)
{
	(void)state;
	start(1);
	assert_false(pic_pending(&pic));
	pulse(4);
	assert_true(intr && pic_pending(&pic));
	assert_int_equal(irr(0x20), 0x10);
	assert_int_equal(pic_ack(&pic), 0x34);
	assert_false(intr);
	assert_int_equal(irr(0x20), 0);
	assert_int_equal(isr(0x20), 0x10);
	assert_int_equal(done[4], 0);
	out(0x20, 0x20);
	assert_int_equal(done[4], 1);
	assert_int_equal(isr(0x20), 0);
	assert_false(intr);		/* the line is still high: no new edge */
	pulse(4);
	assert_true(intr);
}

static void edge_in_service_is_latched(void **state)
{
	(void)state;
	start(1);
	pulse(1);
	pic_ack(&pic);
	pulse(1);
	pulse(1);
	assert_false(intr);
	out(0x20, 0x61);
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), 0x31);
	out(0x20, 0x61);
	assert_false(intr);
}

static void priorities_nest(void **state)
{
	(void)state;
	start(1);
	pulse(5);
	pulse(3);
	assert_int_equal(pic_ack(&pic), 0x33);
	assert_false(intr);		/* 5 is lower */
	pulse(1);
	assert_int_equal(pic_ack(&pic), 0x31);
	assert_int_equal(isr(0x20), 0x0a);
	out(0x20, 0x20);		/* ends 1 */
	assert_int_equal(isr(0x20), 0x08);
	assert_false(intr);
	out(0x20, 0x20);
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), 0x35);
}

static void masked_edges_wait(void **state)
{
	(void)state;
	start(1);
	out(0x21, 0xff);
	pulse(0);
	assert_false(intr);
	assert_int_equal(irr(0x20), 1);
	out(0x21, 0xfe);
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), 0x30);
}

static void slave_goes_through_cascade(void **state)
{
	(void)state;
	start(1);
	pulse(12);
	assert_true(intr);
	assert_int_equal(irr(0x20), 0x04);
	assert_int_equal(pic_ack(&pic), 0x3c);
	assert_int_equal(isr(0x20), 0x04);
	assert_int_equal(isr(0xa0), 0x10);
	pulse(3);			/* lower than the cascade */
	assert_false(intr);
	pulse(1);
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), 0x31);
	out(0x20, 0x20);
	out(0xa0, 0x64);		/* Linux: specific EOI to the slave, then cascade */
	assert_int_equal(done[12], 1);
	assert_int_equal(isr(0x20), 0x04);
	out(0x20, 0x62);
	assert_int_equal(done[2], 0);
	assert_int_equal(pic_ack(&pic), 0x33);
}

static void cascade_line_of_its_own_is_ignored(void **state)
{
	(void)state;
	start(1);
	pic_set_irq(&pic, 2, true);
	pic_set_irq(&pic, 16, true);
	pic_set_irq(&pic, ~0u, true);
	assert_false(intr);
}

/* Without special fully nested mode the master holds back a second request of the slave; with it, it does not. */
static void fully_nested(void **state)
{
	(void)state;
	start(1);
	pulse(12);
	pic_ack(&pic);
	pulse(8);
	assert_false(intr);
	start(0x11);
	pulse(12);
	pic_ack(&pic);
	pulse(8);
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), 0x38);
	assert_int_equal(isr(0xa0), 0x11);
}

static void level_follows_line(void **state)
{
	(void)state;
	start(1);
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8);	/* 0, 1, 2, 8, 13 cannot be level */
	assert_int_equal(in(0x4d1), 0xde);
	assert_int_equal(bus_read(&ports, 0x4d0, 2, 0), 0xdef8);
	pic_set_irq(&pic, 11, true);
	assert_int_equal(pic_ack(&pic), 0x3b);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_true(intr);			/* still up: again */
	pic_set_irq(&pic, 11, false);
	assert_false(intr);
	pic_set_irq(&pic, 5, true);
	out(0x4d0, 0);				/* edge again: the level alone is no request */
	assert_false(intr);
	out(0x4d0, 0x20);
	assert_true(intr);
}

static void spurious(void **state)
{
	(void)state;
	start(1);
	out(0x4d0, 0xf8);
	pic_set_irq(&pic, 5, true);
	pic_set_irq(&pic, 5, false);
	assert_int_equal(pic_ack(&pic), 0x37);
	assert_int_equal(isr(0x20), 0);		/* how a driver tells it from a true IRQ 7 */
	assert_int_equal(pic_ack(&pic), 0x37);
	pulse(7);
	assert_int_equal(pic_ack(&pic), 0x37);
	assert_int_equal(isr(0x20), 0x80);
}

/* The cascade was acknowledged, the slave has nothing any more: IRQ 15 without in-service bit, the master has one. */
static void spurious_slave(void **state)
{
	(void)state;
	start(1);
	pulse(10);
	pic.chip[1].irr = 0;	/* gone between the two acknowledge pulses */
	assert_int_equal(pic_ack(&pic), 0x3f);
	assert_int_equal(isr(0xa0), 0);
	assert_int_equal(isr(0x20), 0x04);
	out(0x20, 0x62);
	assert_int_equal(isr(0x20), 0);
}

static void mask_withdraws_request(void **state)
{
	(void)state;
	start(1);
	pulse(6);
	assert_true(intr);
	out(0x21, 0x40);
	assert_false(intr);
	out(0x21, 0);
	assert_true(intr);
}

static void auto_eoi(void **state)
{
	(void)state;
	start(3);
	pulse(3);
	assert_int_equal(pic_ack(&pic), 0x33);
	assert_int_equal(isr(0x20), 0);
	assert_int_equal(done[3], 1);
	pulse(14);
	assert_int_equal(pic_ack(&pic), 0x3e);
	assert_int_equal(done[14], 1);
	assert_int_equal(isr(0x20) | isr(0xa0), 0);
}

static void rotation(void **state)
{
	(void)state;
	start(1);
	pulse(3);
	pic_ack(&pic);
	out(0x20, 0xa0);		/* rotate on non-specific EOI: 3 is lowest now */
	pulse(3);
	pulse(4);
	pulse(0);
	assert_int_equal(pic_ack(&pic), 0x34);
	out(0x20, 0x20);
	assert_int_equal(pic_ack(&pic), 0x30);
	out(0x20, 0x20);
	assert_int_equal(pic_ack(&pic), 0x33);
	out(0x20, 0xe5);		/* rotate on specific EOI of 5: not in service, but priorities change */
	assert_int_equal(isr(0x20), 0x08);
	out(0x20, 0x63);
	pulse(5);
	pulse(6);
	assert_int_equal(pic_ack(&pic), 0x36);
	out(0x20, 0x20);
	out(0x20, 0xc7);		/* set priority: back to 7 lowest */
	pulse(6);
	assert_int_equal(pic_ack(&pic), 0x35);
}

static void rotation_in_auto_eoi(void **state)
{
	(void)state;
	start(3);
	out(0x20, 0x80);
	pulse(0);
	assert_int_equal(pic_ack(&pic), 0x30);
	pulse(0);
	pulse(5);
	assert_int_equal(pic_ack(&pic), 0x35);
	out(0x20, 0x00);
	assert_int_equal(pic_ack(&pic), 0x30);
}

static void special_mask_mode(void **state)
{
	(void)state;
	start(1);
	pulse(1);
	pic_ack(&pic);
	pulse(4);
	assert_false(intr);
	out(0x21, 0x02);
	assert_false(intr);
	out(0x20, 0x68);		/* special mask mode: all that is not masked may come */
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), 0x34);
	out(0x20, 0x20);		/* the masked one is not ended by a non-specific EOI */
	assert_int_equal(isr(0x20), 0x02);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x02);
	out(0x20, 0x48);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
}

static void poll_acknowledges(void **state)
{
	(void)state;
	start(1);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0);
	pulse(6);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x86);
	assert_false(intr);
	assert_int_equal(isr(0x20), 0x40);
	out(0x20, 0x20);
	pulse(9);
	out(0xa0, 0x0c);
	assert_int_equal(in(0xa0), 0x81);
	assert_false(intr);		/* the slave's output went down, and the cascade with it */
	assert_int_equal(irr(0x20), 0);
}

static void register_choice_is_kept(void **state)
{
	(void)state;
	start(1);
	pulse(2 + 1);
	assert_int_equal(irr(0x20), 8);
	assert_int_equal(in(0x20), 8);
	pic_ack(&pic);
	assert_int_equal(isr(0x20), 8);
	out(0x20, 0x48);		/* an OCW3 without read command leaves it */
	assert_int_equal(in(0x20), 8);
}

static void icw1_resets(void **state)
{
	(void)state;
	start(1);
	out(0x21, 0xff);
	pulse(4);
	out(0x21, 0x00);
	pic_ack(&pic);
	pulse(4);
	out(0x20, 0x68);
	out(0x20, 0x11);
	assert_int_equal(in(0x20), 0);		/* IRR: latched edges are forgotten, and IRR is chosen */
	assert_int_equal(in(0x21), 0);
	out(0x21, 0x08);
	out(0x21, 0x04);
	out(0x21, 0x01);
	assert_int_equal(isr(0x20), 0);
	pic_set_irq(&pic, 4, true);		/* still high from before: no edge */
	assert_false(intr);
	pulse(4);
	assert_int_equal(pic_ack(&pic), 0x0c);
}

static void icw1_resets_modes(void **state)
{
	(void)state;
	start(0x13);
	out(0x20, 0x80);
	out(0x20, 0x0b);
	out(0x20, 0xc3);
	out(0x20, 0x10);			/* no ICW4: all that it says is off */
	out(0x21, 0x30);
	out(0x21, 0x04);
	pulse(7);
	assert_int_equal(in(0x20), 0x80);	/* IRR is what is read */
	pulse(0);
	assert_int_equal(pic_ack(&pic), 0x30);
	assert_int_equal(isr(0x20), 1);		/* no automatic EOI */
	pulse(8);
	assert_false(intr);
	out(0x20, 0x20);
	assert_int_equal(pic_ack(&pic), 0x40 - 8);
	pulse(12);
	assert_false(intr);
	pulse(8);
	assert_false(intr);			/* not fully nested */
	start(3);
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, 0x03);			/* automatic EOI again, but without rotation */
	pulse(0);
	pic_ack(&pic);
	pulse(0);
	pulse(5);
	assert_int_equal(pic_ack(&pic), 0x30);
}

/* Input 0 is as good as any. */
static void eoi_of_irq0(void **state)
{
	(void)state;
	start(1);
	pulse(0);
	pic_ack(&pic);
	out(0x20, 0xa0);		/* with rotation: 1 is the highest now */
	assert_int_equal(done[0], 1);
	pulse(0);
	pulse(1);
	assert_int_equal(pic_ack(&pic), 0x31);
	out(0x20, 0x20);
	pic_ack(&pic);
	out(0x20, 0x60);
	assert_int_equal(done[0], 2);
	out(0x20, 0xa0);		/* nothing in service: nothing rotates */
	out(0x20, 0x20);
	assert_int_equal(done[0] + done[1], 3);
	pulse(0);
	pulse(1);
	assert_int_equal(pic_ack(&pic), 0x31);
	out(0x20, 0xe3);		/* 3 becomes the lowest */
	out(0x20, 0x61);
	pulse(3);
	pulse(4);
	assert_int_equal(pic_ack(&pic), 0x34);
	out(0x20, 0x64);
	out(0x20, 0xc2);		/* set priority: 3 is the highest again */
	pulse(2);
	assert_int_equal(pic_ack(&pic), 0x33);
}

static void both_chips_request(void **state)
{
	(void)state;
	start(1);
	pulse(5);
	pulse(9);
	pulse(1);
	assert_int_equal(irr(0x20), 0x26);
	assert_int_equal(pic_ack(&pic), 0x31);
	out(0x20, 0x20);
	assert_int_equal(pic_ack(&pic), 0x39);
	assert_int_equal(irr(0x20), 0x20);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_int_equal(pic_ack(&pic), 0x35);
}

static void short_initialisations(void **state)
{
	(void)state;
	start(1);
	out(0x20, 0x12);			/* single, no ICW4: ICW2 is the last */
	out(0x21, 0x50);
	out(0x21, 0xef);
	assert_int_equal(in(0x21), 0xef);
	out(0x20, 0x10);			/* cascaded, no ICW4 */
	out(0x21, 0x57);			/* the low three bits are the input's */
	out(0x21, 0x04);
	out(0x21, 0xee);
	assert_int_equal(in(0x21), 0xee);
	pulse(0);
	assert_int_equal(pic_ack(&pic), 0x50);
}

static void reset_keeps_lines_only(void **state)
{
	(void)state;
	start(3);
	out(0x21, 0xaa);
	out(0x4d0, 0x20);
	pic_set_irq(&pic, 5, true);
	pic_reset(&pic);
	assert_int_equal(in(0x4d0), 0);
	assert_false(intr);
	assert_int_equal(in(0x21), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe_by_mask_register), cmocka_unit_test(edge_is_delivered_once),
		cmocka_unit_test(edge_in_service_is_latched), cmocka_unit_test(priorities_nest),
		cmocka_unit_test(masked_edges_wait), cmocka_unit_test(slave_goes_through_cascade),
		cmocka_unit_test(cascade_line_of_its_own_is_ignored), cmocka_unit_test(fully_nested),
		cmocka_unit_test(level_follows_line), cmocka_unit_test(spurious), cmocka_unit_test(spurious_slave),
		cmocka_unit_test(mask_withdraws_request), cmocka_unit_test(auto_eoi), cmocka_unit_test(rotation),
		cmocka_unit_test(rotation_in_auto_eoi), cmocka_unit_test(special_mask_mode),
		cmocka_unit_test(poll_acknowledges), cmocka_unit_test(register_choice_is_kept),
		cmocka_unit_test(icw1_resets),
		cmocka_unit_test(icw1_resets_modes), cmocka_unit_test(eoi_of_irq0),
		cmocka_unit_test(both_chips_request), cmocka_unit_test(short_initialisations),
		cmocka_unit_test(reset_keeps_lines_only),
	};

	return cmocka_run_group_tests_name("pic", tests, NULL, NULL);
}
