// SPDX-License-Identifier: GPL-2.0-only
/* What of a guest's accesses reaches the machine's keyboard controller, and how its edges come to the guest. */
#include "vdev_unit.h"
#include "vdev/i8042-gate.h"

#define DATA	0x60
#define COMMAND	0x64
#define FULL	0x01

static struct i8042_gate gate;
static struct lines lines;
static struct avmm_device_counts counts;
static unsigned int resets;

/* The machine's controller: bytes to read, and what was written last. */
static struct {
	u8 waiting[64];
	unsigned int read, filled, writes;
	u16 port;
	u8 value;
	bool never_empty;
} machine;

static u8 machine_in(void *ctx, u16 port)
{
	(void)ctx;
	if (port == COMMAND)
		return machine.never_empty || machine.read < machine.filled ? FULL | 0x10 : 0x10;
	return machine.read < machine.filled ? machine.waiting[machine.read++] : 0;
}

static void machine_out(void *ctx, u16 port, u8 value)
{
	(void)ctx;
	machine.writes++;
	machine.port = port;
	machine.value = value;
}

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static void start(void)
{
	const struct i8042_gate_ops ops = { .in = machine_in, .out = machine_out, .reset = on_reset };
	struct vdev_irq irq = lines_irq(&lines);

	bus_init(&ports);
	i8042_gate_init(&gate, &irq, &ops, &counts);
	assert_true(bus_map(&ports, 0, i8042_gate_rows, I8042_GATE_ROWS, &gate));
}

static int setup(void **state)
{
	(void)state;
	memset(&machine, 0, sizeof(machine));
	memset(&counts, 0, sizeof(counts));
	resets = 0;
	start();
	return 0;
}

static bool reaches(u16 port, u8 value)
{
	unsigned int before = machine.writes;

	out(port, value);
	assert_true(machine.writes == before || (machine.port == port && machine.value == value));
	return machine.writes != before;
}

/* The pulses that pull the reset line, and no other. */
static void pulses_are_the_guests_own(void **state)
{
	unsigned int command;

	(void)state;
	for (command = 0xf0; command <= 0xff; command++) {
		unsigned int before = resets;

		assert_false(reaches(COMMAND, (u8)command));
		assert_int_equal(resets - before, !(command & 1));
	}
	assert_int_equal(counts.refused, 16);
	assert_int_equal(counts.forwarded, 0);
}

static void the_output_port_is_the_guests_own(void **state)
{
	unsigned int value;

	(void)state;
	for (value = 0; value < 256; value++) {
		unsigned int before = resets;

		assert_false(reaches(COMMAND, 0xd1));
		assert_false(reaches(DATA, (u8)value));
		assert_int_equal(resets - before, !(value & 1));
		assert_true(reaches(DATA, (u8)value));		/* one byte, and the next is the keyboard's */
	}
}

/* A command between takes its place, whether it goes through or not. */
static void a_later_command_counts(void **state)
{
	(void)state;
	out(COMMAND, 0xd1);
	assert_true(reaches(COMMAND, 0x60));
	assert_true(reaches(DATA, 0x00));
	assert_int_equal(resets, 0);
	out(COMMAND, 0xd1);
	out(COMMAND, 0xff);
	assert_true(reaches(DATA, 0x00));
	assert_int_equal(resets, 0);
	out(COMMAND, 0xd4);
	out(COMMAND, 0xd1);
	assert_false(reaches(DATA, 0xfe));
	assert_int_equal(resets, 1);
}

static void drivers_get_through(void **state)
{
	static const u8 used[] = { 0x20, 0x60, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xad, 0xae, 0xc0, 0xd0, 0xd2, 0xd3, 0xd4, 0x90 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(used); i++) {
		assert_true(reaches(COMMAND, used[i]));
		assert_true(reaches(DATA, (u8)(0x40 + i)));
	}
	assert_int_equal(counts.refused, 0);
	assert_int_equal(counts.forwarded, 2 * ARRAY_SIZE(used));
}

/* Passwords, A20, vendors' commands; and bytes that belong to them do not become the keyboard's. */
static void the_rest_is_held_back(void **state)
{
	static const u8 bytes[] = { 0x61, 0x7f, 0xa5, 0xcb }, none[] = { 0xa4, 0xa6, 0xdd, 0xdf, 0xac, 0xb8, 0xe0, 0x00, 0x40 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		assert_false(reaches(COMMAND, bytes[i]));
		assert_false(reaches(DATA, 0xed));
		assert_true(reaches(DATA, 0xed));
	}
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		assert_false(reaches(COMMAND, none[i]));
		assert_true(reaches(DATA, 0xed));
	}
	assert_int_equal(resets, 0);
	assert_int_equal(counts.refused, ARRAY_SIZE(bytes) + ARRAY_SIZE(none));
}

/* Wide accesses are single ones for the bus: OUT of a word to 63h is none for 64h alone, but one. */
static void wide_accesses_are_no_way_around(void **state)
{
	(void)state;
	bus_write(&ports, 0x63, 2, 0xfe00, now);
	assert_int_equal(resets, 1);
	bus_write(&ports, 0x61, 4, 0xfe000000, now);
	assert_int_equal(resets, 2);
	bus_write(&ports, 0x60, 4, 0, now);
	assert_int_equal(machine.port, DATA);
	assert_int_equal(machine.writes, 1);
}

static void an_edge_is_an_edge(void **state)
{
	(void)state;
	i8042_gate_edge(&gate, I8042_LINE_KEYBOARD);
	assert_true(lines.level[1] && !lines.level[12]);
	machine.waiting[machine.filled++] = 0x1e;
	assert_int_equal(in(COMMAND) & FULL, FULL);
	assert_true(lines.level[1]);
	assert_int_equal(in(DATA), 0x1e);
	assert_false(lines.level[1]);
	i8042_gate_edge(&gate, I8042_LINE_MOUSE);
	assert_true(lines.level[12]);
	in(DATA);
	assert_false(lines.level[12]);
	assert_int_equal(counts.raised, 2);
	assert_int_equal(counts.acked, 2);
}

/* The guest polled the first byte before its interrupt came: the second one has an edge all the same. */
static void no_edge_is_lost_behind_a_late_one(void **state)
{
	(void)state;
	i8042_gate_edge(&gate, I8042_LINE_KEYBOARD);
	i8042_gate_edge(&gate, I8042_LINE_KEYBOARD);
	assert_int_equal(lines.rises[1], 2);
	i8042_gate_edge(&gate, I8042_LINE_MOUSE);
	assert_int_equal(lines.rises[12], 1);
	in(DATA);
	assert_false(lines.level[1] || lines.level[12]);
	in(DATA);
	assert_int_equal(counts.acked, 2);
}

static void begins_with_an_empty_buffer(void **state)
{
	(void)state;
	memset(machine.waiting, 0x55, sizeof(machine.waiting));
	machine.filled = 3;
	start();
	assert_int_equal(machine.read, 3);
	assert_int_equal(machine.writes, 0);
	machine.never_empty = true;		/* no machine: it ends all the same */
	start();
	assert_int_equal(counts.forwarded, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pulses_are_the_guests_own, setup),
		cmocka_unit_test_setup(the_output_port_is_the_guests_own, setup),
		cmocka_unit_test_setup(a_later_command_counts, setup),
		cmocka_unit_test_setup(drivers_get_through, setup),
		cmocka_unit_test_setup(the_rest_is_held_back, setup),
		cmocka_unit_test_setup(wide_accesses_are_no_way_around, setup),
		cmocka_unit_test_setup(an_edge_is_an_edge, setup),
		cmocka_unit_test_setup(no_edge_is_lost_behind_a_late_one, setup),
		cmocka_unit_test_setup(begins_with_an_empty_buffer, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
