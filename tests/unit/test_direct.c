// SPDX-License-Identifier: GPL-2.0-only
/* Configuration space of direct-access devices and the BAR planner: what a guest's PCI code reads, writes and sizes. */
#include "vdev_unit.h"
#include "direct_unit.h"
#include "vdev/bars.h"

static struct pci pci;
static struct lines lines;
static struct direct d;

static void no_base(void *ctx, u16 base)
{
	(void)ctx, (void)base;
}

static void no_reset(void *ctx)
{
	(void)ctx;
}

static void start(const struct avmm_device *device)
{
	static const struct pci_ops ops = { .pm_base = no_base, .reset = no_reset };
	struct vdev_irq irq = lines_irq(&lines);

	pci_init(&pci, &irq, &ops, 0x600);
	assert_true(direct_init(&d, device));
	assert_true(pci_add(&pci, (u8)device->guest_devfn, &d.model, &d));
}

static u32 get(unsigned int offset, unsigned int size)
{
	return guest_get(&d, &pci, offset, size);
}

static void set(unsigned int offset, unsigned int size, u32 value)
{
	guest_set(&d, &pci, offset, size, value);
}

static void identity_passes(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	start(&device);
	assert_int_equal(get(0x00, 4), 0x100e8086);
	assert_int_equal(get(0x08, 4), 0x02000003);
	assert_int_equal(get(0x0e, 1), 0);
	assert_int_equal(get(0x2c, 4), 0);
	assert_int_equal(get(0x3d, 1), 2);
	assert_int_equal(get(0x3e, 2), 0x10ff);
	set(0x00, 4, 0xdeadbeef);
	set(0x3d, 1, 4);
	assert_int_equal(get(0x00, 4), 0x100e8086);
	assert_int_equal(get(0x3d, 1), 2);
	/* firmware's note is the guest's own, the machine's is not shown */
	assert_int_equal(get(0x3c, 1), 0);
	set(0x3c, 1, 11);
	assert_int_equal(get(0x3c, 1), 11);
}

static void bars_begin_where_the_machine_has_them(void **state)
{
	struct avmm_device device = ne2000();

	(void)state;
	start(&device);
	assert_int_equal(get(0x10, 4), 0xc061);
	assert_int_equal(get(0x04, 2), 0x0003);
	assert_true(direct_bar_enabled(&d, &pci, 0));
	assert_int_equal(direct_bar_base(&d, &pci, 0), 0xc060);
	device.flags = 0;
	start(&device);
	assert_int_equal(get(0x10, 4), 0x0001);
	assert_int_equal(get(0x04, 2), 0);
	assert_false(direct_bar_enabled(&d, &pci, 0));
}

static u32 sized(unsigned int offset)
{
	set(offset, 4, ~0u);
	return get(offset, 4);
}

static void bars_are_sized(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	start(&device);
	assert_int_equal(sized(0x10), 0xfffe0000);
	assert_int_equal(sized(0x14), 0xffffffc1);
	assert_int_equal(sized(0x18), 0xfffff000);	/* 256 bytes, but a page is what can be mapped */
	assert_int_equal(sized(0x1c), 0);
	assert_int_equal(sized(0x20), 0x0000000c);
	assert_int_equal(sized(0x24), 0xffffffff);
	assert_int_equal(sized(0x30), 0);		/* its ROM is not shown */
	set(0x20, 4, 0x12345678);
	set(0x24, 4, 0x00000005);
	assert_int_equal(direct_bar_base(&d, &pci, 4), 0x500000000ull);
	set(0x14, 1, 0x80);
	assert_int_equal(direct_bar_base(&d, &pci, 1), 0xffffff80);
	assert_int_equal(get(0x14, 1), 0x81);
}

static void the_rom_has_an_enable_bit(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	device.rom = ROM_AT;
	device.rom_size = 0x20000;
	start(&device);
	assert_int_equal(get(0x30, 4), 0xfebe0000);	/* where the machine has it, disabled */
	assert_false(direct_bar_enabled(&d, &pci, DIRECT_ROM));
	set(0x30, 4, 0xfffff801);
	assert_int_equal(get(0x30, 4), 0xfffe0001);
	set(0x30, 4, 0xe0020001);
	assert_int_equal(direct_bar_size(&d, DIRECT_ROM), 0x20000);
	assert_int_equal(direct_bar_base(&d, &pci, DIRECT_ROM), 0xe0020000);
	assert_int_equal(direct_bar(&d, DIRECT_ROM)->base, ROM_AT);
	assert_true(direct_bar_enabled(&d, &pci, DIRECT_ROM));
	set(0x04, 2, 0x0001);				/* ports only */
	assert_false(direct_bar_enabled(&d, &pci, DIRECT_ROM));
	set(0x04, 2, 0x0002);
	assert_true(direct_bar_enabled(&d, &pci, DIRECT_ROM));
	set(0x30, 1, 0);
	assert_false(direct_bar_enabled(&d, &pci, DIRECT_ROM));
	device.flags = 0;
	start(&device);
	assert_int_equal(get(0x30, 4), 0);
}

static void command_is_filtered(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	start(&device);
	assert_int_equal(get(0x04, 2), 0x0003);		/* no mastering, before the guest wants it */
	set(0x04, 2, 0xffff);
	assert_int_equal(get(0x04, 2), 0x0547);
	device.flags &= ~AVMM_DEVICE_MASTER;
	start(&device);
	set(0x04, 2, 0xffff);
	assert_int_equal(get(0x04, 2), 0x0543);
}

static void status_tells_of_capabilities_that_are_shown(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	start(&device);
	assert_int_equal(get(0x06, 2), 0x0290);
	config_put(&device, 0x34, 1, 0xa0);		/* only what is not shown */
	start(&device);
	assert_int_equal(get(0x06, 2), 0x0280);
	assert_int_equal(get(0x34, 1), 0);
}

static void known_capabilities_are_linked(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	start(&device);
	assert_int_equal(get(0x34, 1), 0x50);
	assert_int_equal(get(0x50, 2), 0x5801);
	assert_int_equal(get(0x58, 2), 0x0005);
	assert_int_equal(get(0x70, 4), 0);
	assert_int_equal(get(0x40, 4), 0);
	assert_int_equal(get(0xa0, 4), 0);
	device = with_msix(3);
	start(&device);
	assert_int_equal(get(0x50, 2), 0x7001);
	assert_int_equal(get(0x58, 4), 0);
	assert_int_equal(get(0x70, 4), 0x00020011);
	assert_int_equal(get(0x74, 4), 0x00000004);
	assert_int_equal(get(0x78, 4), 0x00000804);
	device.flags &= ~AVMM_DEVICE_MSIX;
	start(&device);
	assert_int_equal(get(0x50, 2), 0x0001);
	assert_int_equal(get(0x58, 4), 0);
	assert_int_equal(get(0x70, 4), 0);
}

static void a_list_that_never_ends(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	config_put(&device, 0x58, 2, 0x5005);		/* back to the first */
	start(&device);
	assert_int_equal(get(0x58, 2), 0x0005);
	config_put(&device, 0x50, 2, 0x5001);		/* to itself */
	start(&device);
	assert_int_equal(get(0x50, 2), 0x0001);
	assert_int_equal(get(0x58, 2), 0);
}

/* A card of Renesas's has its firmware, which the guest cannot bring; the guest sees that and changes nothing there. */
static void firmware_is_told_of(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	config_put(&device, 0xf4, 4, 0x80100012);
	start(&device);
	assert_int_equal(get(0xf4, 4), 0);		/* another vendor's means something else */
	config_put(&device, 0x00, 4, 0x00151912);
	start(&device);
	assert_int_equal(get(0xf4, 4), 0x80100012);
	set(0xf4, 4, 0xffffffff);
	assert_int_equal(get(0xf4, 4), 0x80100012);
	device = with_msix(4);
	config_put(&device, 0x00, 4, 0x00151912);
	config_put(&device, 0x51, 1, 0xec);		/* MSI-X, on it */
	config_put(&device, 0xec, 4, 0x00030011);
	config_put(&device, 0xf4, 4, 0x800);
	start(&device);
	assert_int_equal(get(0xec, 1), 0x11);
	assert_int_equal(get(0xf4, 4), 0x800);		/* where its pending bits are */
}

static void power_states_are_remembered(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	start(&device);
	assert_int_equal(get(0x52, 2), 0x0002);		/* the version, no D1, no D2, no PME# */
	set(0x54, 2, 0xffff);
	assert_int_equal(get(0x54, 2), 0x000b);
}

static void a_message_is_the_guests(void **state)
{
	struct avmm_device device = everything();
	struct direct_message message;

	(void)state;
	start(&device);
	assert_int_equal(get(0x5a, 2), 0x0080);		/* of the machine's eight and their masks nothing shows */
	assert_int_equal(get(0x68, 4), 0);
	assert_false(direct_message(&d, &pci, 0, &message) || direct_messages(&d, &pci));
	assert_true(direct_intx_enabled(&d, &pci));
	set(0x5c, 4, 0xfee01007);
	set(0x60, 4, 0x00000001);
	set(0x64, 2, 0x4165);
	set(0x68, 4, 0x1);
	set(0x5a, 2, 0x0031);				/* on; eight are wanted */
	assert_true(direct_message(&d, &pci, 0, &message) && direct_messages(&d, &pci));
	assert_false(direct_intx_enabled(&d, &pci));
	assert_true(message.address == 0x1fee01004ull);
	assert_int_equal(message.data, 0x4165);
	assert_false(direct_message(&d, &pci, 1, &message));
	config_put(&device, 0x5a, 2, 0x0006);		/* 32 bits */
	start(&device);
	set(0x5c, 4, 0xfee02000);
	set(0x60, 4, 0xffff0042);
	set(0x5a, 2, 0x0001);
	assert_true(direct_message(&d, &pci, 0, &message));
	assert_true(message.address == 0xfee02000);
	assert_int_equal(message.data, 0x0042);
	assert_true(direct_is_message_control(&d, 0x5a, 1) && direct_is_message_control(&d, 0x58, 4));
	assert_false(direct_is_message_control(&d, 0x5c, 4) || direct_is_message_control(&d, 0x72, 2));
}

#define TABLE	0x3000ull
#define PENDING	0x3800ull

static u64 table_get(u64 offset, unsigned int size)
{
	u64 value = 0;

	assert_true(msix_read(&d.table, offset, size, &value));
	return value;
}

static void table_set(u64 offset, unsigned int size, u64 value)
{
	assert_true(msix_write(&d.table, offset, size, value));
}

static struct avmm_device with_table(u32 messages)
{
	struct avmm_device device = with_msix(messages);

	config_put(&device, 0x74, 4, TABLE | 4);
	config_put(&device, 0x78, 4, PENDING | 4);
	return device;
}

static void a_table_of_messages(void **state)
{
	struct avmm_device device = with_table(2);	/* of the machine's four */
	struct direct_message message;
	u64 value;

	(void)state;
	start(&device);
	assert_true(d.table.place.first == 0x3000 && d.table.place.size == 0x1000 && d.table.place.bar == 4);
	assert_int_equal(get(0x72, 2), 0x0001);
	assert_int_equal(table_get(TABLE + 0x1c, 4), 1);	/* masked */
	table_set(TABLE + 0x10, 8, 0x1fee03000ull);
	table_set(TABLE + 0x18, 4, 0x51);
	assert_false(direct_message(&d, &pci, 1, &message) || direct_messages(&d, &pci));
	set(0x72, 2, 0xffff);
	assert_int_equal(get(0x72, 2), 0xc001);
	assert_true(direct_messages(&d, &pci));
	table_set(TABLE + 0x1c, 4, 0xfffffffe);
	assert_false(direct_message(&d, &pci, 1, &message));	/* the whole function is masked */
	set(0x72, 2, 0x8000);
	assert_true(direct_message(&d, &pci, 1, &message));
	assert_true(message.address == 0x1fee03000ull && message.data == 0x51);
	assert_true(table_get(TABLE + 0x10, 8) == 0x1fee03000ull && table_get(TABLE + 0x18, 8) == 0x51);
	table_set(TABLE + 0x18, 8, 0x1ffffff77ull);
	assert_true(table_get(TABLE + 0x18, 8) == 0x1ffffff77ull);
	assert_false(direct_message(&d, &pci, 1, &message));
	assert_false(direct_message(&d, &pci, 2, &message));	/* not the guest's */
	table_set(TABLE + 0x20, 8, ~0ull);
	assert_int_equal(table_get(TABLE + 0x20, 8), 0);
	d.table.pending = 2;
	assert_int_equal(table_get(PENDING, 4), 2);
	assert_int_equal(table_get(PENDING + 4, 4), 0);
	table_set(PENDING, 8, 0);
	assert_int_equal(table_get(PENDING, 8), 2);
	/* not whole, or not aligned */
	table_set(TABLE + 0x18, 2, 0);
	table_set(TABLE + 0x1a, 4, 0);
	table_set(TABLE + 0x1c, 8, 0);
	assert_true(table_get(TABLE + 0x18, 8) == 0x1ffffff77ull);
	assert_true(table_get(TABLE + 0x18, 1) == ~0ull && table_get(TABLE + 0x14, 8) == ~0ull);
	/* neither: the device's */
	assert_false(msix_read(&d.table, TABLE + 0x40, 4, &value) || msix_read(&d.table, PENDING + 8, 8, &value));
	assert_false(msix_write(&d.table, TABLE - 4, 4, 0));
	assert_true(msix_read(&d.table, TABLE - 4, 8, &value) && value == ~0ull);
	assert_true(direct_is_message_control(&d, 0x73, 1));
}

/* Where the table is decides whether the guest may have one. */
static void tables_that_cannot_be(void **state)
{
	static const struct {
		u32 control, table, pending;
		bool good;
	} places[] = {
		{ 0x003, TABLE | 4, PENDING | 4, true },
		{ 0x003, 0x00010 | 0, 0x1fff8 | 0, true },	/* both ends of BAR 0 */
		{ 0x003, 0x20000 | 4, 0x00ff8 | 4, false },	/* too far apart */
		{ 0x003, 0x1fff0 | 0, 0x00000 | 0, false },	/* beyond its end */
		{ 0x003, 0x00000 | 0, 0x20000 | 0, false },
		{ 0x003, 0x00000 | 4, 0x00038 | 4, false },	/* on top of each other */
		{ 0x7ff, 0x00000 | 4, 0x08000 | 4, true },
		{ 0x7ff, 0x00000 | 4, 0x07ff8 | 4, false },
		{ 0x003, 0x00000 | 1, 0x00800 | 1, false },	/* ports */
		{ 0x003, 0x00000 | 3, 0x00800 | 3, false },	/* there is no such BAR */
		{ 0x003, 0x00000 | 6, 0x00800 | 6, false },
		{ 0x003, 0x00000 | 4, 0x00800 | 0, false },	/* two */
		{ 0x003, 0x00000 | 2, 0x00080 | 2, true },	/* a BAR of less than a page */
	};
	struct avmm_device device;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		device = with_msix(AVMM_DEVICE_MESSAGES);
		config_put(&device, 0x72, 2, places[i].control);
		config_put(&device, 0x74, 4, places[i].table);
		config_put(&device, 0x78, 4, places[i].pending);
		start(&device);
		assert_int_equal(get(0x70, 1), places[i].good ? 0x11 : 0);
		assert_int_equal(!!d.table.entries, places[i].good);
	}
	device = with_msix(0);
	start(&device);
	assert_int_equal(get(0x70, 1), 0);
	device = with_msix(AVMM_DEVICE_MESSAGES + 1);
	assert_false(direct_init(&d, &device));
}

static void the_pin_is_routed(void **state)
{
	struct avmm_device device = ne2000();

	(void)state;
	start(&device);
	assert_int_equal(pci_intx_irq(&pci, PCI_DEVFN(4, 0), 1), PCI_NO_IRQ);
	pci_config_write(&pci, 0x80000860, 3, 1, 10);	/* PIRQD of PIIX3 */
	assert_int_equal(pci_intx_irq(&pci, PCI_DEVFN(4, 0), 1), 10);
	pci_set_intx(&pci, PCI_DEVFN(4, 0), 1, true);
	assert_true(lines.level[10]);
	pci_set_intx(&pci, PCI_DEVFN(4, 0), 1, false);
	assert_false(lines.level[10]);
	assert_true(direct_intx_enabled(&d, &pci));
	set(0x04, 2, 0x0403);
	assert_false(direct_intx_enabled(&d, &pci));
}

static void nonsense_is_refused(void **state)
{
	const struct {
		struct avmm_device_bar bar[2];
	} bad[] = {
		{ { { .base = 0xc060, .size = 48, .flags = AVMM_BAR_IO } } },
		{ { { .base = 0xc070, .size = 32, .flags = AVMM_BAR_IO } } },
		{ { { .base = 0xff80, .size = 256, .flags = AVMM_BAR_IO } } },
		{ { { .base = 0, .size = 32, .flags = AVMM_BAR_IO } } },
		{ { { .base = 0x10000, .size = 32, .flags = AVMM_BAR_IO } } },
		{ { { .base = 0xc060, .size = 32, .flags = AVMM_BAR_IO | AVMM_BAR_64 } } },
		{ { { .base = 0xc060, .size = 2, .flags = AVMM_BAR_IO } } },
		{ { { .base = 0xfeb00800, .size = 2048 } } },
		{ { { .base = 0x100000000ull, .size = 0x1000 } } },
		{ { { .base = 0xfeb00000, .size = 8 } } },
		{ { { .base = 1ull << 52, .size = 0x1000, .flags = AVMM_BAR_64 } } },
		{ { { .base = 1ull << 41, .size = 1ull << 41, .flags = AVMM_BAR_64 } } },
		{ { { .base = 0xfeb00000, .size = 0x1000, .flags = AVMM_BAR_64 }, { .base = 0xfec00000, .size = 0x1000 } } },
		{ { { .flags = AVMM_BAR_IO } } },
	};
	const struct {
		u64 at, size;
	} bad_roms[] = {
		{ ROM_AT, 0 }, { ROM_AT, 0x800 }, { ROM_AT, 0x3000 }, { ROM_AT, 2 * AVMM_DEVICE_ROM_MAX }, { 0, 0x1000 },
		{ ROM_AT + 0x800, 0x1000 }, { 1ull << 52, 0x1000 },
	};
	struct avmm_device device;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		device = ne2000();
		memcpy(device.bar, bad[i].bar, sizeof(bad[i].bar));
		assert_false(direct_init(&d, &device));
	}
	device = ne2000();
	device.guest_devfn = PCI_DEVFN(4, 1);
	assert_false(direct_init(&d, &device));
	device = ne2000();
	device.number = AVMM_MAX_DEVICES;
	assert_false(direct_init(&d, &device));
	device = ne2000();
	device.config[0x0e] = 1;
	assert_false(direct_init(&d, &device));
	device = ne2000();
	device.config[0x3d] = 5;
	assert_false(direct_init(&d, &device));
	device = ne2000();
	device.bar[5] = (struct avmm_device_bar){ .base = 0x100000000ull, .size = 0x1000, .flags = AVMM_BAR_64 };
	assert_false(direct_init(&d, &device));
	for (i = 0; i < ARRAY_SIZE(bad_roms); i++) {
		device = ne2000();
		device.rom = bad_roms[i].at;
		device.rom_size = bad_roms[i].size;
		assert_false(direct_init(&d, &device));
	}
	device = everything();				/* capabilities on top of each other */
	config_put(&device, 0x50, 2, 0x5401);
	config_put(&device, 0x54, 2, 0x0005);
	assert_false(direct_init(&d, &device));
}

/* The planner */

#define KIB	1024ull
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)

static const struct bars_range memory[] = {
	{ 0, 256 * MIB }, { 0xfec00000, 20 * MIB }, { 4 * GIB, GIB }, { 0, 0 },
};
static const struct bars_range board[] = { { 0, 0x400 }, { 0x600, 0x40 }, { 0xcf8, 8 } };
static const struct bars_space space = { memory, ARRAY_SIZE(memory), board, ARRAY_SIZE(board), 1ull << 39 };

static u64 planned(u64 base, u64 size, bool io)
{
	struct bars_bar bar = { .base = base, .size = size, .io = io, .enabled = true };
	unsigned int refused = bars_plan(&bar, 1, &space);

	assert_int_equal(refused, bar.place == BARS_NOWHERE);
	return bar.place;
}

static void planner_keeps_off_what_is_reserved(void **state)
{
	(void)state;
	assert_true(planned(0xe0000000, MIB, false) == 0xe0000000);
	assert_true(planned(256 * MIB, 4 * KIB, false) == 256 * MIB);
	assert_true(planned(256 * MIB - 4 * KIB, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(0, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(0xfee00000, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(0xfebff000, 4 * KIB, false) == 0xfebff000);
	assert_true(planned(0x80000000, 2 * GIB, false) == BARS_NOWHERE);
	assert_true(planned(4 * GIB, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(5 * GIB, 4 * KIB, false) == 5 * GIB);
	assert_true(planned((1ull << 39) - GIB, GIB, false) == (1ull << 39) - GIB);
	assert_true(planned(1ull << 39, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(~0ull << 12, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(0xe0000800, 4 * KIB, false) == BARS_NOWHERE);
	assert_true(planned(0xc060, 32, true) == 0xc060);
	assert_true(planned(0x620, 32, true) == BARS_NOWHERE);
	assert_true(planned(0x3c0, 32, true) == BARS_NOWHERE);
	assert_true(planned(0xcc0, 64, true) == BARS_NOWHERE);
	assert_true(planned(0xff00, 256, true) == 0xff00);
	assert_true(planned(0x10000, 32, true) == BARS_NOWHERE);
	assert_true(planned(0xffffff80, 64, true) == BARS_NOWHERE);
}

static void planner_lets_the_first_have_it(void **state)
{
	struct bars_bar bars[] = {
		{ .base = 0xe0000000, .size = MIB, .enabled = true },
		{ .base = 0xe0080000, .size = 4 * KIB, .enabled = true },
		{ .base = 0xe0000000, .size = MIB },
		{ .base = 0, .size = 0, .enabled = true },
		{ .base = 0xe0000000, .size = 32, .io = true, .enabled = true },
		{ .base = 0xc000, .size = 32, .io = true, .enabled = true },
		{ .base = 0xc000, .size = 4 * KIB * 4, .enabled = true },
	};

	(void)state;
	assert_int_equal(bars_plan(bars, ARRAY_SIZE(bars), &space), 3);
	assert_true(bars[0].place == bars[0].base);
	assert_true(bars[1].place == BARS_NOWHERE);
	assert_true(bars[2].place == BARS_NOWHERE);
	assert_true(bars[5].place == 0xc000);
	/* a refused one is in nobody's way */
	bars[0].base = 0xfec00000;
	assert_int_equal(bars_plan(bars, ARRAY_SIZE(bars), &space), 3);
	assert_true(bars[0].place == BARS_NOWHERE && bars[1].place == 0xe0080000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_passes),
		cmocka_unit_test(bars_begin_where_the_machine_has_them),
		cmocka_unit_test(bars_are_sized),
		cmocka_unit_test(the_rom_has_an_enable_bit),
		cmocka_unit_test(command_is_filtered),
		cmocka_unit_test(status_tells_of_capabilities_that_are_shown),
		cmocka_unit_test(known_capabilities_are_linked),
		cmocka_unit_test(a_list_that_never_ends),
		cmocka_unit_test(firmware_is_told_of),
		cmocka_unit_test(power_states_are_remembered),
		cmocka_unit_test(a_message_is_the_guests),
		cmocka_unit_test(a_table_of_messages),
		cmocka_unit_test(tables_that_cannot_be),
		cmocka_unit_test(the_pin_is_routed),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(planner_keeps_off_what_is_reserved),
		cmocka_unit_test(planner_lets_the_first_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
