// SPDX-License-Identifier: GPL-2.0-only
/* PCI mechanism #1 and the chip set: what scanning kernels, SeaBIOS and OVMF read and write. */
#include "vdev_unit.h"
#include "vdev/pci.h"
#include "vdev/smbus.h"

static struct pci pci;
static struct lines lines;
static u32 resets, pam_calls, pm_calls;
static u32 pam_attr[0x40];	/* by 4 KiB from C0000h */
static u16 pm_base, smbus_base;

static void on_pam(void *ctx, u32 base, u32 size, u32 attr)
{
	u32 i;

	(void)ctx;
	pam_calls++;
	assert_true(base >= 0xc0000 && base + size <= 0x100000 && attr < 4);
	for (i = 0; i < size; i += 0x1000)
		pam_attr[(base + i - 0xc0000) >> 12] = attr;
}

static void on_pm_base(void *ctx, u16 base)
{
	(void)ctx;
	pm_base = base;
	pm_calls++;
}

static void on_smbus_base(void *ctx, u16 base)
{
	(void)ctx;
	smbus_base = base;
}

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static void start(u16 base)
{
	static const struct pci_ops ops = { on_pam, on_pm_base, on_smbus_base, on_reset, NULL };
	struct vdev_irq irq = lines_irq(&lines);

	resets = 0;
	pam_calls = 0;
	pm_calls = 0;
	pm_base = 1;
	bus_init(&ports);
	pci_init(&pci, &irq, &ops, base);
	assert_true(bus_map(&ports, 0, pci_rows, PCI_ROWS, &pci));
}

static void address(u32 bus, u32 devfn, u32 reg)
{
	bus_write(&ports, 0xcf8, 4, 0x80000000 | bus << 16 | devfn << 8 | (reg & 0xfc), 0);
}

static u32 get(u32 devfn, u32 reg, unsigned int size)
{
	address(0, devfn, reg);
	return (u32)bus_read(&ports, 0xcfc + (reg & 3), size, 0);
}

static void set(u32 devfn, u32 reg, unsigned int size, u32 value)
{
	address(0, devfn, reg);
	bus_write(&ports, 0xcfc + (reg & 3), size, value, 0);
}

static void mechanism_is_found(void **state)
{
	(void)state;
	start(0);
	bus_write(&ports, 0xcf8, 4, 0x80000000, 0);	/* Linux's pci_check_type1() */
	assert_int_equal(bus_read(&ports, 0xcf8, 4, 0), 0x80000000);
	bus_write(&ports, 0xcf8, 4, 0xffffffff, 0);
	assert_int_equal(bus_read(&ports, 0xcf8, 4, 0), 0x80fffffc);
	bus_write(&ports, 0xcf8, 4, 0x00000000, 0);
	assert_int_equal(bus_read(&ports, 0xcfc, 4, 0), 0xffffffff);	/* not enabled */
	bus_write(&ports, 0xcfb, 1, 0x01, 0);		/* only dwords are the address register */
	bus_write(&ports, 0xcf8, 2, 0x8000, 0);
	assert_int_equal(bus_read(&ports, 0xcf8, 4, 0), 0);
}

static void scan_finds_three_functions(void **state)
{
	u32 bus, devfn, found = 0;

	(void)state;
	start(0);
	for (bus = 0; bus < 256; bus++)
		for (devfn = 0; devfn < 256; devfn++) {
			address(bus, devfn, 0);
			found += bus_read(&ports, 0xcfc, 4, 0) != 0xffffffff;
		}
	assert_int_equal(found, 3);
	assert_int_equal(get(PCI_DEV_HOST, 0, 4), 0x12378086);
	assert_int_equal(get(PCI_DEV_HOST, 0x08, 4), 0x06000002);
	assert_int_equal(get(PCI_DEV_HOST, 0x0e, 1), 0x00);
	assert_int_equal(get(PCI_DEV_HOST, 0x2c, 4), 0x11001af4);	/* how SeaBIOS knows QEMU's pc */
	assert_int_equal(get(PCI_DEV_ISA, 0, 2), 0x8086);
	assert_int_equal(get(PCI_DEV_ISA, 2, 2), 0x7000);
	assert_int_equal(get(PCI_DEV_ISA, 0x0a, 2), 0x0601);
	assert_int_equal(get(PCI_DEV_ISA, 0x0e, 1), 0x80);
	assert_int_equal(get(PCI_DEV_PM, 2, 2), 0x7113);
	assert_int_equal(get(PCI_DEV_PM, 0x3c, 2), 0x0109);
	assert_int_equal(get(PCI_DEVFN(1, 1), 0, 2), 0xffff);
}

static void no_bars(void **state)
{
	static const u8 fn[] = { PCI_DEV_HOST, PCI_DEV_ISA, PCI_DEV_PM };
	u32 i, reg;

	(void)state;
	start(0);
	for (i = 0; i < 3; i++)
		for (reg = 0x10; reg < 0x34; reg += 4) {
			if (reg == 0x2c)
				continue;
			set(fn[i], reg, 4, 0xffffffff);
			assert_int_equal(get(fn[i], reg, 4), 0);
		}
	set(PCI_DEV_HOST, 0, 4, 0);
	assert_int_equal(get(PCI_DEV_HOST, 0, 4), 0x12378086);
	set(PCI_DEV_HOST, 4, 2, 0xffff);
	assert_int_equal(get(PCI_DEV_HOST, 4, 2), 0x0106);
}

static void pam_registers(void **state)
{
	u32 i;

	(void)state;
	start(0);
	assert_int_equal(pam_calls, PCI_PAMS);
	pam_calls = 0;
	set(PCI_DEV_HOST, 0x59, 1, 0xff);
	assert_int_equal(get(PCI_DEV_HOST, 0x59, 1), 0x30);
	assert_int_equal(pam_calls, 1);
	for (i = 0; i < 0x40; i++)
		assert_int_equal(pam_attr[i], i >= 0x30 ? PCI_PAM_READ | PCI_PAM_WRITE : 0);
	set(PCI_DEV_HOST, 0x59, 1, 0x10);		/* SeaBIOS write-protects itself */
	assert_int_equal(pam_attr[0x3f], PCI_PAM_READ);
	set(PCI_DEV_HOST, 0x5a, 1, 0x21);
	assert_int_equal(pam_attr[0x00], PCI_PAM_READ);
	assert_int_equal(pam_attr[0x03], PCI_PAM_READ);
	assert_int_equal(pam_attr[0x04], PCI_PAM_WRITE);
	assert_int_equal(pam_attr[0x08], 0);
	set(PCI_DEV_HOST, 0x5c, 4, 0x33333333);
	assert_int_equal(pam_attr[0x10], 3);
	assert_int_equal(pam_attr[0x2f], 3);
	assert_int_equal(pam_attr[0x0f], 0);
	pam_calls = 0;
	set(PCI_DEV_HOST, 0x5c, 4, 0x33333333);
	assert_int_equal(pam_calls, 0);
	pci_reset(&pci, 0);
	for (i = 0; i < 0x40; i++)
		assert_int_equal(pam_attr[i], 0);
}

static void pirq_routing(void **state)
{
	(void)state;
	start(0);
	assert_true(pci_add(&pci, PCI_DEVFN(3, 0), pci.function[2].model, NULL));
	assert_true(pci_add(&pci, PCI_DEVFN(7, 2), pci.function[2].model, NULL));
	assert_int_equal(get(PCI_DEV_ISA, 0x60, 4), 0x80808080);
	pci_set_intx(&pci, PCI_DEVFN(3, 0), 1, true);	/* PIRQC: not routed */
	assert_int_equal(lines.level[10] | lines.level[11], 0);
	set(PCI_DEV_ISA, 0x62, 1, 11);
	assert_true(lines.level[11]);
	set(PCI_DEV_ISA, 0x62, 1, 10);
	assert_false(lines.level[11]);
	assert_true(lines.level[10]);
	set(PCI_DEV_ISA, 0x61, 1, 10);
	pci_set_intx(&pci, PCI_DEVFN(7, 2), 4, true);	/* PIRQB, the same IRQ */
	pci_set_intx(&pci, PCI_DEVFN(3, 0), 1, false);
	assert_true(lines.level[10]);
	pci_set_intx(&pci, PCI_DEVFN(7, 2), 4, false);
	assert_false(lines.level[10]);
	pci_set_intx(&pci, PCI_DEVFN(30, 7), 1, true);	/* nobody */
	set(PCI_DEV_ISA, 0x63, 1, 5);
	pci_set_intx(&pci, PCI_DEVFN(3, 0), 4, true);	/* two lines at once, of one function and of two */
	pci_set_intx(&pci, PCI_DEVFN(3, 0), 2, true);
	assert_true(lines.level[5]);
	assert_true(lines.level[10]);
	pci_set_intx(&pci, PCI_DEVFN(3, 0), 4, false);
	pci_set_intx(&pci, PCI_DEVFN(7, 2), 1, true);
	assert_true(lines.level[5]);
	set(PCI_DEV_ISA, 0x60, 4, 0xffffffff);
	assert_int_equal(get(PCI_DEV_ISA, 0x60, 4), 0x8f8f8f8f);
}

static void pm_function(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(pm_base, 0);
	assert_int_equal(get(PCI_DEV_PM, 0x58, 4) >> 25 & 1, 1);	/* APMC_EN */
	set(PCI_DEV_PM, 0x40, 4, 0xb001);			/* SeaBIOS or OVMF */
	assert_int_equal(get(PCI_DEV_PM, 0x40, 4), 0xb001);
	assert_int_equal(pm_base, 0);
	set(PCI_DEV_PM, 0x80, 1, 1);
	assert_int_equal(pm_base, 0xb000);
	set(PCI_DEV_PM, 0x40, 4, 0xffffffff);
	assert_int_equal(get(PCI_DEV_PM, 0x40, 4), 0xffc1);
	assert_int_equal(pm_base, 0xffc0);
	set(PCI_DEV_PM, 0x80, 1, 0);
	assert_int_equal(pm_base, 0);
	pci_reset(&pci, 0x600);
	assert_int_equal(pm_base, 0x600);
	assert_int_equal(get(PCI_DEV_PM, 0x40, 4), 0x601);
	start(0x600);
	assert_int_equal(pm_base, 0x600);
	assert_int_equal(pm_calls, 1);
}

/* What Linux's i2c-piix4 asks: an address, enabled, an interrupt that it knows, an idle bus, and an end with -ENXIO. */
static void smbus(void **state)
{
	struct smbus smbus;
	u16 base;

	(void)state;
	start(0);
	assert_int_equal(smbus_base, 0);
	set(PCI_DEV_PM, 0x90, 4, 0x701);
	assert_int_equal(smbus_base, 0);
	set(PCI_DEV_PM, 0xd2, 1, 0x09);
	assert_int_equal(smbus_base, 0x700);
	start(0x600);
	base = smbus_base;
	assert_int_equal(base, 0x700);
	assert_int_equal(get(PCI_DEV_PM, 0x90, 2) & 0xfff0, base);
	assert_int_equal(get(PCI_DEV_PM, 0xd2, 1) & 0x0f, 0x09);
	smbus_reset(&smbus);
	assert_true(bus_map(&ports, base, smbus_rows, SMBUS_ROWS, &smbus));
	assert_int_equal(in(base), 0);
	out(base + 4, 0xa1);
	assert_int_equal(in(base + 4), 0xa1);
	out(base + 2, 0x48);
	assert_int_equal(in(base + 2), 0x08);
	assert_int_equal(in(base), 0x06);
	out(base, in(base));
	assert_int_equal(in(base), 0);
	out(base + 1, 0xff);
	assert_int_equal(in(base + 1), 0);
}

static void reset_register(void **state)
{
	(void)state;
	start(0);
	out(0xcf9, 0x02);
	assert_int_equal(resets, 0);
	assert_int_equal(in(0xcf9), 0x02);
	out(0xcf9, 0x06);
	assert_int_equal(resets, 1);
	assert_int_equal(in(0xcf9), 0x02);
	bus_write(&ports, 0xcf8, 4, 0x80000600, 0);	/* the address register: no reset */
	bus_write(&ports, 0xcf8, 2, 0x0600, 0);
	bus_write(&ports, 0xcf9, 2, 0x0006, 0);
	out(0xcfa, 0x06);
	assert_int_equal(resets, 1);
	assert_int_equal(bus_read(&ports, 0xcf9, 2, 0), 0xffff);
	assert_int_equal(in(0xcfa), 0xff);
}

static void functions_can_be_added(void **state)
{
	static const struct pci_register regs[] = {
		{ 0x00, 4, 0x12345678, 0, 0 }, { 0x06, 2, 0xf900, 0, 0xf900 }, { 0x10, 4, 1, 0xfffffff0, 0 },
	};
	static const struct pci_model model = { regs, 3, NULL };
	u32 i;

	(void)state;
	start(0);
	assert_false(pci_add(&pci, PCI_DEV_ISA, &model, NULL));
	assert_true(pci_add(&pci, PCI_DEVFN(1, 1), &model, NULL));
	assert_int_equal(get(PCI_DEVFN(1, 1), 0, 4), 0x12345678);
	set(PCI_DEVFN(1, 1), 0x10, 4, 0xffffffff);
	assert_int_equal(get(PCI_DEVFN(1, 1), 0x10, 4), 0xfffffff1);	/* sixteen ports */
	set(PCI_DEVFN(1, 1), 0x06, 2, 0x1100);
	assert_int_equal(get(PCI_DEVFN(1, 1), 0x06, 2), 0xe800);
	set(PCI_DEVFN(1, 1), 0x07, 1, 0xff);
	assert_int_equal(get(PCI_DEVFN(1, 1), 0x06, 2), 0);
	for (i = pci.count; i < PCI_FUNCTIONS; i++)
		assert_true(pci_add(&pci, (u8)(i * 8), &model, NULL));
	assert_false(pci_add(&pci, 0xf8, &model, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mechanism_is_found), cmocka_unit_test(scan_finds_three_functions),
		cmocka_unit_test(no_bars), cmocka_unit_test(pam_registers), cmocka_unit_test(pirq_routing),
		cmocka_unit_test(pm_function), cmocka_unit_test(smbus), cmocka_unit_test(reset_register),
		cmocka_unit_test(functions_can_be_added),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
