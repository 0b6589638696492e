// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 8254 against a second one that really counts, clock by clock, written from the data sheet: the same count, OUT
 * and null flag in all modes under random counts, rewrites in mid-count and gate changes, and the same edges of IRQ 0.
 */
#include "vdev_unit.h"
#include "vdev/pit.h"

struct counter {
	u32 mode, modulus;
	u32 written;		/* CR */
	u32 value;		/* CE */
	bool load;		/* on the next clock */
	bool stopped;		/* mode 0 between two bytes */
	bool counting;		/* loaded since the control word */
	bool armed;		/* modes 1, 4, 5: the count has not yet expired */
	bool null;
	bool odd;
	bool gate;
	bool out;
	u32 rises;
};

static struct pit pit;
static struct lines lines;
static struct counter ref;
static u64 seed = 0x8254, tick;

static void set_out(struct counter *c, bool out)
{
	c->rises += out && !c->out;
	c->out = out;
}

static void reload(struct counter *c)
{
	c->value = c->mode == 3 ? c->written & ~1u : c->written;
	c->odd = c->written & 1;
	c->load = false;
	c->null = false;
	c->counting = true;
}

static void clock_square(struct counter *c)
{
	if (c->out && c->odd && !c->value) {	/* the clock that makes the high half one longer */
		set_out(c, false);
		return reload(c);
	}
	c->value -= 2;
	if (c->value || (c->out && c->odd))
		return;
	set_out(c, !c->out);
	reload(c);
}

static void clock_once(struct counter *c)
{
	bool strobes = c->mode == 4 || c->mode == 5;

	if (c->load) {
		reload(c);
		c->armed = true;
		if (c->mode != 0)
			set_out(c, c->mode != 1);
		return;
	}
	if (!c->counting || c->stopped || (!c->gate && c->mode != 1 && c->mode != 5))
		return;
	if (c->mode == 3)
		return clock_square(c);
	c->value = (c->value + c->modulus - 1) % c->modulus;
	if (c->mode == 2) {
		if (!c->value)
			reload(c);
		return set_out(c, c->value != 1);
	}
	if (strobes)
		set_out(c, c->value || !c->armed);
	else if (!c->value)
		set_out(c, true);
	if (!c->value)
		c->armed = false;
}

static void pass(u32 ticks)
{
	while (ticks--) {
		tick++;
		clock_once(&ref);
		if (ticks % 1024)	/* the queue of ticks is bounded */
			continue;
		now = clock_when(&pit.clock, tick);
		pit_advance(&pit, now);
		while (pit.unfinished)
			pit_irq_done(&pit);
	}
}

static u32 bcd_of(u32 value)
{
	return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static u32 raw(u32 count)
{
	return ref.modulus == 10000 ? bcd_of(count % 10000) : count & 0xffff;
}

static void start(u8 channel, u8 mode, bool bcd)
{
	struct vdev_irq irq = lines_irq(&lines);

	now = random_below(&seed, SECOND);
	bus_init(&ports);
	pit_init(&pit, &irq, TSC_KHZ, now);
	bus_map(&ports, 0, pit_rows, PIT_ROWS, &pit);
	tick = clock_ticks(&pit.clock, now);
	memset(&ref, 0, sizeof(ref));
	ref.mode = mode;
	ref.modulus = bcd ? 10000 : 65536;
	ref.gate = channel == 0;
	out(0x43, (u8)(channel << 6 | 0x30 | mode << 1 | bcd));
	set_out(&ref, mode != 0);
}

/* Small counts most of the time, so that much happens; never 1, which the modes 2 and 3 forbid. */
static void write_count(u8 channel)
{
	u32 count = 2 + (u32)random_below(&seed, random_below(&seed, 8) ? 40 : 9998);

	ref.written = count;
	out(0x40 + channel, (u8)raw(count));
	if (ref.mode == 0) {
		ref.stopped = true;
		ref.out = false;
		pass((u32)random_below(&seed, 3));
	}
	out(0x40 + channel, (u8)(raw(count) >> 8));
	ref.stopped = false;
	ref.null = true;
	if (ref.mode == 0 || ref.mode == 4 || ((ref.mode == 2 || ref.mode == 3) && !ref.counting))
		ref.load = true;
}

static void toggle_gate(void)
{
	ref.gate = !ref.gate;
	out(0x61, ref.gate);
	if (!ref.gate && (ref.mode == 2 || ref.mode == 3))
		set_out(&ref, true);
	if (ref.gate && ref.mode != 0 && ref.mode != 4 && (ref.counting || ref.null))
		ref.load = true;
}

static void compare(u8 channel)
{
	u8 status;
	u32 value;

	out(0x43, (u8)(0xc0 | 2 << channel));	/* read-back: count and status of one moment */
	status = in(0x40 + channel);
	value = in(0x40 + channel);
	value |= (u32)in(0x40 + channel) << 8;
	assert_int_equal(status & 0x3f, 0x30 | ref.mode << 1 | (ref.modulus == 10000));
	if (ref.load)		/* what a write or a trigger does shows a clock later; the model does not wait */
		return;
	assert_int_equal(status >> 7, ref.out);
	if (channel == 2)
		assert_int_equal(in(0x61) >> 5 & 1, ref.out);
	if (!ref.counting)
		return;
	assert_int_equal(value, raw(ref.value));
	assert_int_equal(status >> 6 & 1, ref.null);
}

static void episode(u8 channel, u8 mode, bool bcd)
{
	u32 steps = 200;

	start(channel, mode, bcd);
	write_count(channel);
	while (steps--) {
		pass(1 + (u32)random_below(&seed, random_below(&seed, 16) ? 12 : 20000));
		compare(channel);
		if (!random_below(&seed, 6) && (mode != 4 || ref.out))	/* a strobe cut short makes no edge */
			write_count(channel);
		else if (channel == 2 && !random_below(&seed, 4))
			toggle_gate();
		compare(channel);
		if (channel == 0)
			assert_int_equal(lines.rises[0], ref.rises);
	}
}

static void all_modes(u8 channel)
{
	u32 i;

	for (i = 0; i < 12 * 25; i++)
		episode(channel, i % 6, i / 6 & 1);
}

static void channel_2_with_gate(void **state)
{
	(void)state;
	all_modes(2);
}

static void channel_0_edges(void **state)
{
	(void)state;
	all_modes(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channel_2_with_gate), cmocka_unit_test(channel_0_edges),
	};

	return cmocka_run_group_tests_name("pit_model", tests, NULL, NULL);
}
