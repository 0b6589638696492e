// SPDX-License-Identifier: GPL-2.0-only
/* The keyboard controller, as SeaBIOS and Linux use it. */
#include "vdev_unit.h"
#include "vdev/i8042.h"

#define DATA	0x60
#define COMMAND	0x64
#define FULL	0x01
#define MOUSE	0x20
#define TIMEOUT	0x40

static struct i8042 keyboard;
static struct lines lines;
static unsigned int resets;

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static int setup(void **state)
{
	struct vdev_irq irq = lines_irq(&lines);
	struct i8042_ops ops = { .reset = on_reset };

	(void)state;
	resets = 0;
	bus_init(&ports);
	i8042_init(&keyboard, &irq, &ops);
	assert_true(bus_map(&ports, 0, i8042_rows, I8042_ROWS, &keyboard));
	return 0;
}

static u8 ask(u8 command)
{
	out(COMMAND, command);
	assert_true(in(COMMAND) & FULL);
	return in(DATA);
}

static void set_command_byte(u8 value)
{
	out(COMMAND, 0x60);
	out(DATA, value);
}

static void self_tests_pass(void **state)
{
	(void)state;
	assert_int_equal(in(COMMAND) & (FULL | 0x02), 0);	/* nothing to read, and it listens */
	assert_false(in(COMMAND) & 0x04);
	assert_int_equal(ask(0xaa), 0x55);
	assert_true(in(COMMAND) & 0x04);
	assert_int_equal(ask(0xab), 0);
	assert_int_equal(ask(0xa9), 0);
	assert_int_equal(in(COMMAND) & FULL, 0);
}

static void command_byte_is_kept(void **state)
{
	(void)state;
	set_command_byte(0x65);
	assert_int_equal(ask(0x20), 0x65);
	out(COMMAND, 0xad);
	assert_int_equal(ask(0x20), 0x75);
	out(COMMAND, 0xae);
	out(COMMAND, 0xa8);
	assert_int_equal(ask(0x20), 0x45);
	out(COMMAND, 0xa7);
	assert_int_equal(ask(0x20), 0x65);
}

/* EDK II takes both bits, without a byte, for the sign that it need not wait for a keyboard. */
static void nobody_is_there(void **state)
{
	(void)state;
	assert_int_equal(in(COMMAND) & (FULL | TIMEOUT | 0x80), TIMEOUT | 0x80);
	out(COMMAND, 0xaa);
	assert_int_equal(in(COMMAND) & (FULL | TIMEOUT | 0x80), FULL);
	assert_int_not_equal(in(COMMAND), 0xff);
	assert_int_equal(in(DATA), 0x55);
	assert_int_equal(in(COMMAND) & (FULL | TIMEOUT | 0x80), TIMEOUT | 0x80);
}

/* Nothing is plugged in: an answer at once, so that nobody waits, and it says time-out. */
static void devices_do_not_answer(void **state)
{
	(void)state;
	out(DATA, 0xff);
	assert_int_equal(in(COMMAND) & (FULL | MOUSE | TIMEOUT), FULL | TIMEOUT);
	assert_int_equal(in(DATA), 0xfe);
	out(COMMAND, 0xd4);
	out(DATA, 0xf2);
	assert_int_equal(in(COMMAND) & (FULL | MOUSE | TIMEOUT), FULL | MOUSE | TIMEOUT);
	assert_int_equal(in(DATA), 0xfe);
	assert_false(in(COMMAND) & FULL);
}

/* How Linux finds out that there is an auxiliary port, and that its interrupt arrives. */
static void loops_back(void **state)
{
	(void)state;
	set_command_byte(0x02);
	out(COMMAND, 0xd3);
	out(DATA, 0x5a);
	assert_true(lines.level[I8042_IRQ_MOUSE]);
	assert_int_equal(in(COMMAND) & (FULL | MOUSE), FULL | MOUSE);
	assert_int_equal(in(DATA), 0x5a);
	assert_false(lines.level[I8042_IRQ_MOUSE]);
	out(COMMAND, 0xd2);
	out(DATA, 0xa5);
	assert_int_equal(in(COMMAND) & (FULL | MOUSE), FULL);
	assert_false(lines.level[I8042_IRQ_KEYBOARD]);
	set_command_byte(0x01);
	assert_true(lines.level[I8042_IRQ_KEYBOARD]);
	assert_int_equal(in(DATA), 0xa5);
	assert_false(lines.level[I8042_IRQ_KEYBOARD]);
	assert_int_equal(lines.rises[I8042_IRQ_MOUSE], 1);
}

static void resets_the_cpu(void **state)
{
	(void)state;
	out(COMMAND, 0xff);
	assert_int_equal(resets, 0);
	out(COMMAND, 0xfe);
	assert_int_equal(resets, 1);
	out(COMMAND, 0xd1);
	out(DATA, 0xdf);
	assert_int_equal(resets, 1);
	assert_int_equal(ask(0xd0), 0xdf);
	out(COMMAND, 0xd1);
	out(DATA, 0xde);
	assert_int_equal(resets, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(self_tests_pass, setup),
		cmocka_unit_test_setup(command_byte_is_kept, setup),
		cmocka_unit_test_setup(nobody_is_there, setup),
		cmocka_unit_test_setup(devices_do_not_answer, setup),
		cmocka_unit_test_setup(loops_back, setup),
		cmocka_unit_test_setup(resets_the_cpu, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
