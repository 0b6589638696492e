// SPDX-License-Identifier: GPL-2.0-only
/* PIIX4 power management: timer and its status bit, SCI, power button, sleep, the ports that reset. */
#include "vdev_unit.h"
#include "vdev/pmtimer.h"

#define BASE	0x600

static struct pm pm;
static struct lines lines;
static u32 offs, resets;

static void on_power_off(void *ctx)
{
	(void)ctx;
	offs++;
}

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static void start(bool acpi_mode)
{
	static const struct pm_ops ops = { on_power_off, on_reset, NULL };
	struct vdev_irq irq = lines_irq(&lines);

	offs = 0;
	resets = 0;
	now = 5;
	bus_init(&ports);
	pm_init(&pm, &irq, &ops, TSC_KHZ, acpi_mode, now);
	assert_true(bus_map(&ports, BASE, pm_rows, PM_ROWS, &pm));
	assert_true(bus_map(&ports, 0, pm_port_rows, PM_PORT_ROWS, &pm));
	assert_true(bus_map(&ports, 0, pm_keyboard_rows, PM_KEYBOARD_ROWS, &pm));
}

static u32 timer(void)
{
	return (u32)bus_read(&ports, BASE + 8, 4, now);
}

static u16 get(u16 reg)
{
	return (u16)bus_read(&ports, BASE + reg, 2, now);
}

static void set(u16 reg, u16 value)
{
	bus_write(&ports, BASE + reg, 2, value, now);
}

static void timer_counts_24_bits(void **state)
{
	(void)state;
	start(true);
	assert_int_equal(timer(), 0);
	now = SECOND;
	assert_int_equal(timer(), PM_HZ);
	assert_int_equal(in(BASE + 8), PM_HZ & 0xff);
	assert_int_equal(in(BASE + 9), PM_HZ >> 8 & 0xff);
	assert_int_equal(bus_read(&ports, BASE + 10, 2, now), PM_HZ >> 16);
	now = clock_when(&pm.clock, 0x1000000);
	assert_int_equal(timer(), 0);
	now--;
	assert_int_equal(timer(), 0xffffff);
	bus_write(&ports, BASE + 8, 4, 0, now);	/* read-only */
	assert_int_equal(timer(), 0xffffff);
}

static void timer_is_monotonic_without_drift(void **state)
{
	u64 seed = 3, total = 0;
	u32 old;

	(void)state;
	start(true);
	old = timer();
	while (now < 30 * 86400 * SECOND) {	/* a month, looked at as seldom as the 24 bits allow */
		u32 have;

		now += random_below(&seed, 4 * SECOND);
		have = timer();
		total += (have - old) & 0xffffff;
		old = have;
	}
	assert_true(total == clock_ticks(&pm.clock, now));
}

/* TMR_STS at every change of bit 23, 2.3 s apart. */
static void timer_status(void **state)
{
	u32 i;

	(void)state;
	start(true);
	assert_true(pm_next_deadline(&pm, now) == CLOCK_NEVER);
	set(2, 1);
	for (i = 1; i <= 20; i++) {
		u64 next = pm_next_deadline(&pm, now);

		assert_true(next == clock_when(&pm.clock, 0x800000ull * i));
		now = next - 1;
		pm_advance(&pm, now);
		assert_false(lines.level[9]);
		now = next;
		pm_advance(&pm, now);
		assert_true(lines.level[9]);
		assert_int_equal(get(0), 1);
		assert_true(pm_next_deadline(&pm, now) == CLOCK_NEVER);	/* nothing to wait for until it is cleared */
		set(0, 1);
		assert_false(lines.level[9]);
		assert_int_equal(get(0), 0);
	}
	set(2, 0);
	now += 10 * SECOND;
	assert_int_equal(get(0), 1);		/* the flag does not need the enable bit */
	assert_false(lines.level[9]);
	set(2, 1);
	assert_true(lines.level[9]);
}

static void status_bits_clear_one_by_one(void **state)
{
	(void)state;
	start(true);
	pm_power_button(&pm, now);
	now += 10 * SECOND;
	assert_int_equal(get(0), 0x101);
	set(0, 0x101);
	now += 10 * SECOND;
	pm_power_button(&pm, now);
	assert_int_equal(get(0), 0x101);
	bus_write(&ports, BASE + 1, 1, 0xff, now);
	assert_int_equal(get(0), 0x001);
	out(BASE, 0xfe);
	assert_int_equal(get(0), 0x001);
	set(0, 0xffff);
	assert_int_equal(get(0), 0);
}

static void power_button(void **state)
{
	(void)state;
	start(true);
	pm_power_button(&pm, now);
	assert_false(lines.level[9]);
	set(2, 0x100);
	assert_true(lines.level[9]);
	set(0, 0x100);
	assert_false(lines.level[9]);
	pm_power_button(&pm, now);
	assert_true(lines.level[9]);
	pm_reset(&pm, now);
	assert_false(lines.level[9]);
	assert_int_equal(get(2), 0);
}

static void acpi_mode(void **state)
{
	(void)state;
	start(true);
	assert_int_equal(get(4), 1);
	start(false);
	assert_int_equal(get(4), 0);
	set(2, 0x100);
	pm_power_button(&pm, now);
	assert_false(lines.level[9]);
	set(4, 0x0402);
	out(0xb3, PM_ACPI_ENABLE);		/* the other register */
	assert_int_equal(get(4), 0x0402);
	out(0xb2, PM_ACPI_ENABLE);
	assert_int_equal(get(4), 0x0403);
	assert_true(lines.level[9]);
	out(0xb2, PM_ACPI_DISABLE);
	assert_false(lines.level[9]);
	out(0xb3, 0x42);
	assert_int_equal(in(0xb3), 0x42);
	assert_int_equal(in(0xb2), PM_ACPI_DISABLE);
}

static void enable_and_control_bits(void **state)
{
	(void)state;
	start(true);
	set(2, 0xffff);
	assert_int_equal(get(2), 0x0521);
	bus_write(&ports, BASE, 4, 0x01000000, now);	/* ACPICA may access both at once */
	assert_int_equal(get(2), 0x0100);
	set(4, 0xdfff);
	assert_int_equal(get(4), 0x1c03);
	assert_int_equal(offs, 0);
	assert_int_equal(bus_read(&ports, BASE + 6, 2, now), 0);
	assert_int_equal(bus_read(&ports, BASE + 0xc, 4, now), 0);
	assert_int_equal(in(BASE + 0x3f), 0);
	assert_int_equal(in(BASE + 0x40), 0xff);
}

static void sleep_types(void **state)
{
	(void)state;
	start(true);
	pm_power_button(&pm, now);
	set(4, 0x2001 | 1 << 10);		/* a state that there is not: awake again at once */
	assert_int_equal(offs, 0);
	assert_int_equal(get(0), 0x8100);
	assert_int_equal(get(4) & 0x2000, 0);
	set(0, 0xffff);
	set(4, 0x2001);
	assert_int_equal(offs, 1);
	assert_int_equal(get(0), 0);
	out(BASE + 5, 0x20);			/* by bytes */
	assert_int_equal(offs, 2);
}

static void reset_ports(void **state)
{
	(void)state;
	start(true);
	assert_int_equal(in(0x92), 2);
	out(0x92, 2);
	assert_int_equal(resets, 0);
	out(0x92, 3);
	out(0x92, 3);
	assert_int_equal(resets, 1);		/* the bit's edge */
	out(0x92, 0);
	assert_int_equal(in(0x92), 0);
	out(0x64, 0xd1);
	assert_int_equal(resets, 1);
	out(0x64, 0xfe);
	assert_int_equal(resets, 2);
	assert_int_equal(in(0x64), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_counts_24_bits), cmocka_unit_test(timer_is_monotonic_without_drift),
		cmocka_unit_test(timer_status), cmocka_unit_test(status_bits_clear_one_by_one),
		cmocka_unit_test(power_button), cmocka_unit_test(acpi_mode),
		cmocka_unit_test(enable_and_control_bits), cmocka_unit_test(sleep_types), cmocka_unit_test(reset_ports),
	};

	return cmocka_run_group_tests_name("pmtimer", tests, NULL, NULL);
}
