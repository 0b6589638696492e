// SPDX-License-Identifier: GPL-2.0-only
/* The monitor's side of direct-access devices, with a real bus, EPT and chip set, and no machine under it. */
#include "vdev_unit.h"
#include "direct_unit.h"
#include "ept_supplier.h"

#include "monitor/direct.c"

#define lapic_bus_msi	record_message		/* test_lapic.c has the local APICs */
static enum lapic_result record_message(struct lapic_bus *bus, u64 address, u32 data);
#include "monitor/direct-message.c"

#define RAM		(256ull << 20)
#define RAM_AT		(8ull << 30)	/* of the machine */
#define MONITOR		(32ull << 30)
#define TABLES		(1ull << 38)
#define NE2000_PORTS	0xc060u
#define FRAME_BUFFER	0xd0000000ull

struct machine machine;
struct partition user;

static struct supplier supplier;
static struct avmm_partition_page page;
static struct user_vcpu vcpu, other_vcpu;
static u8 bitmap[2 * AVMM_PAGE_SIZE], bitmap_before[2 * AVMM_PAGE_SIZE];
static struct avmm_device given __attribute__((aligned(4096)));
static u32 messages, wakes, lent, returned, holds, looks, flushes, sent;
static struct direct_message last;
static enum lapic_result taken;
static u8 device_page[AVMM_PAGE_SIZE];
static bool no_pages, no_tables, stopped;
static u8 line[16];

void *pool_pages(u32 count)
{
	return no_pages || count != 2 ? NULL : bitmap;
}

u64 monitor_phys(const void *p)
{
	return MONITOR + (u64)((const u8 *)p - bitmap);
}

void *monitor_virt(u64 phys)
{
	return phys - MONITOR < AVMM_BLOCK_SIZE ? bitmap : NULL;
}

#define DEVICE	0x2000000000ull		/* BAR 4 of everything() */

void *window_map(u64 phys)
{
	return phys >= DEVICE ? (void *)(device_page + phys % AVMM_PAGE_SIZE) : &given;
}

static enum lapic_result record_message(struct lapic_bus *bus, u64 address, u32 data)
{
	assert_ptr_equal(bus, &user.platform.lapics);
	last = (struct direct_message){ address, data };
	sent += taken != LAPIC_IGNORED;
	return taken;
}

bool service_lend(u64 base, u64 size)
{
	assert_true(base % AVMM_PAGE_SIZE == 0 && size % AVMM_PAGE_SIZE == 0);
	lent += !no_tables;
	return !no_tables;
}

void service_return(u64 base, u64 size)
{
	(void)base, (void)size;
	returned++;
}

void partition_message(void)
{
	messages++;
}

/* While vCPUs are in the guest the I/O bitmap stays as it is; before they are there again all have flushed. */
bool dedicated_order(u32 order)
{
	if (order == ORDER_WAIT) {
		assert_true(stopped || !memcmp(bitmap, bitmap_before, sizeof(bitmap)));
		flushes = 0;
	}
	if (order == ORDER_RUN) {
		assert_true(stopped && flushes);
		memcpy(bitmap_before, bitmap, sizeof(bitmap));
	}
	stopped = order == ORDER_WAIT;
	return true;
}

void vcpu_flush(void *ctx)
{
	(void)ctx;
	assert_true(stopped);
	flushes++;
}

void stray_forget(void)
{
	assert_true(stopped && !flushes);
}

void platform_look_here(void)
{
	looks++;
}

void partition_hold(u32 why)
{
	/* before the module can know, and with the plan made */
	assert_true(stopped && flushes && !user.platform.unsettled);
	holds++;
	user.held |= why;
}

void partition_release(u32 why)
{
	user.held &= ~why;
	if (!user.held)
		dedicated_order(ORDER_RUN);
}

void platform_lock_smp(struct platform *b)
{
	(void)b;
}

void partition_wake(void)
{
	wakes++;
}

/* test_legacy.c has these */
void legacy_reset(void)
{
}

void legacy_stop(void)
{
}

struct bars_range legacy_frame_buffer(void)
{
	return (struct bars_range){ FRAME_BUFFER, AVMM_PAGE_SIZE };
}

bool legacy_edge(u64 number)
{
	return number == AVMM_LINE_KEYBOARD;
}

void core_log(const char *format, ...)
{
	(void)format;
}

static void set_line_level(void *ctx, unsigned int irq, bool level)
{
	(void)ctx;
	line[irq] = level;
}

static void no_base(void *ctx, u16 base)
{
	(void)ctx, (void)base;
}

static void no_reset(void *ctx)
{
	(void)ctx;
}

static u64 board_read(void *ctx, u32 offset, unsigned int size, u64 when)
{
	(void)ctx, (void)offset, (void)size, (void)when;
	return 0;
}

static const struct bus_row board_row = { 0, 0x40, 1 | 2 | 4, board_read, NULL };

static int create(void **state)
{
	(void)state;
	direct_reset();
	memset(&user, 0, sizeof(user));
	memset(&page, 0, sizeof(page));
	memset(line, 0, sizeof(line));
	messages = wakes = lent = returned = holds = looks = sent = 0;
	taken = LAPIC_ACCEPTED;
	memset(device_page, 0, sizeof(device_page));
	no_pages = no_tables = stopped = false;
	machine.phys_bits = 39;
	machine.nblocks = 1;
	machine.block[0] = MONITOR;
	user.page = &page;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&other_vcpu, 0, sizeof(other_vcpu));
	user.vcpu[0] = &vcpu;
	user.vcpu[1] = &other_vcpu;
	user.config.vcpus = 2;
	user.ram = RAM;
	user.config.window = AVMM_WINDOW_LOW;	/* all of it, then */
	user.config.ram_size = RAM;
	user.state = AVMM_PARTITION_CREATED;
	supplier_init(&supplier, &user.ept, TABLES);
	assert_int_equal(ept_init(&user.ept), 0);
	assert_int_equal(ept_map(&user.ept, 0, RAM_AT, RAM, EPT_RWX, MTRR_WB), 0);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	direct_stop();
	supplier_free(&supplier);
	return 0;
}

static s64 add(struct avmm_device device)
{
	given = device;
	return direct_add(0x1000);
}

static void start(void)
{
	static const struct pci_ops ops = { .pm_base = no_base, .reset = no_reset };
	struct vdev_irq irq = { .set_irq = set_line_level };

	bus_init(&user.platform.ports);
	bus_init(&user.platform.mmio);
	assert_true(bus_map(&user.platform.ports, 0x600, &board_row, 1, &user));
	pci_init(&user.platform.pci, &irq, &ops, 0x600);
	direct_start(&user);
	memcpy(bitmap_before, bitmap, sizeof(bitmap));
	user.state = AVMM_PARTITION_RUNNING;
}

/* The vCPU's exit, and what the shared CPU does about it. */
static void set(const struct avmm_device *device, unsigned int offset, unsigned int size, u32 value)
{
	pci_config_write(&user.platform.pci, 0x80000000u | device->guest_devfn << 8 | (offset & 0xfc), offset & 3, size,
			 value);
	if (user.platform.unsettled)
		direct_settle();
}

static bool passes(u32 port)
{
	return !(bitmap[port / 8] >> (port % 8) & 1);
}

static u32 ports_that_pass(void)
{
	u32 port, n = 0;

	for (port = 0; port < 0x10000; port++)
		n += passes(port);
	return n;
}

static bool maps(u64 gpa, u64 hpa)
{
	struct ept_entry e = ept_walk(&user.ept, gpa);
	u64 span = EPT_SPAN(e.level);

	return e.entry & EPT_RWX && (e.entry & EPT_TYPE) == 0 &&
	       (e.entry & EPT_ADDRESS & ~(span - 1)) + (gpa & (span - 1)) == hpa;
}

/* Nothing but RAM, the BARs of this device and its ROM is in the guest's EPT, and that read-only. */
static void assert_contained(const struct avmm_device *device)
{
	struct ept_rule rules[2 + AVMM_DEVICE_BARS] = {
		{ RAM_AT, RAM, EPT_RWX }, [1 + AVMM_DEVICE_BARS] = { device->rom, device->rom_size, EPT_R | EPT_X },
	};
	unsigned int i;

	for (i = 0; i < AVMM_DEVICE_BARS; i++)
		if (!(device->bar[i].flags & AVMM_BAR_IO))
			rules[1 + i] = (struct ept_rule){ device->bar[i].base,
							  device->bar[i].size < 4096 ? 4096 : device->bar[i].size, EPT_RWX };
	assert_true(ept_check(&user.ept, rules, 2 + AVMM_DEVICE_BARS, 0) == EPT_CLEAN);
}

static void ports_pass_where_the_machine_has_them(void **state)
{
	struct avmm_device device = ne2000();

	(void)state;
	assert_int_equal(direct_io_bitmap(), 0);
	assert_int_equal(add(device), 0);
	assert_true(direct_io_bitmap() == MONITOR);
	assert_int_equal(ports_that_pass(), 0);
	start();
	assert_int_equal(ports_that_pass(), 32);
	assert_true(passes(NE2000_PORTS) && passes(NE2000_PORTS + 31));
	set(&device, 0x04, 2, 0);
	assert_int_equal(ports_that_pass(), 0);
	assert_false(bus_claimed(&user.platform.ports, NE2000_PORTS));
	set(&device, 0x10, 4, 0xe000);			/* elsewhere: the monitor does it */
	set(&device, 0x04, 2, 1);
	assert_int_equal(ports_that_pass(), 0);
	assert_true(bus_claimed(&user.platform.ports, 0xe000) && bus_claimed(&user.platform.ports, 0xe01f));
	set(&device, 0x10, 4, NE2000_PORTS);
	assert_int_equal(ports_that_pass(), 32);
	assert_false(bus_claimed(&user.platform.ports, 0xe000));
	assert_int_equal(page.device[0].refused, 0);
}

static void ports_of_the_board_stay(void **state)
{
	static const u32 bad[] = { 0x600, 0x620, 0x3e0, 0, 0x10000, 0xffffffe0 };
	struct avmm_device device = ne2000();
	unsigned int i;

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set(&device, 0x10, 4, bad[i]);
		assert_int_equal(ports_that_pass(), 0);
		assert_int_equal(page.device[0].refused, i + 1);
		set(&device, 0x10, 4, NE2000_PORTS);
		assert_int_equal(ports_that_pass(), 32);
	}
	assert_true(bus_claimed(&user.platform.ports, 0x600));
}

static void memory_is_mapped_uncached(void **state)
{
	struct avmm_device device = everything();
	u64 high = device.bar[4].base;

	(void)state;
	assert_int_equal(add(device), 0);
	assert_int_equal(lent, 3);
	start();
	assert_true(maps(0xfeb00000, 0xfeb00000) && maps(0xfeb1f000, 0xfeb1f000));
	assert_true(maps(0xfeb40000, 0xfeb40000) && maps(high, high));
	assert_contained(&device);
	set(&device, 0x10, 4, 0xe0000000);
	assert_true(maps(0xe0000000, 0xfeb00000) && !maps(0xfeb00000, 0xfeb00000));
	assert_contained(&device);
	set(&device, 0x04, 2, 1);			/* ports only */
	assert_false(maps(0xe0000000, 0xfeb00000) || maps(0xfeb40000, 0xfeb40000) || maps(high, high));
	direct_stop();
	assert_int_equal(returned, 3);
}

static bool shows_rom(u64 gpa, u64 hpa)
{
	struct ept_entry e = ept_walk(&user.ept, gpa);

	return (e.entry & (EPT_RWX | EPT_TYPE)) == (EPT_R | EPT_X | MTRR_WB << EPT_TYPE_SHIFT) && e.level == 1 &&
	       (e.entry & EPT_ADDRESS) == hpa;
}

static void a_rom_is_read_only(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	device.rom = ROM_AT;
	device.rom_size = 0x20000;
	assert_int_equal(add(device), 0);
	assert_int_equal(lent, 3);			/* it is Linux's as before */
	start();
	assert_false(shows_rom(0xfebe0000, ROM_AT));
	set(&device, 0x30, 4, 0xfebe0001);
	assert_true(shows_rom(0xfebe0000, ROM_AT) && shows_rom(0xfebff000, ROM_AT + 0x1f000));
	assert_true(maps(0xfeb00000, 0xfeb00000));
	assert_true(user_memory(0xfebe0000, EPT_R) == ROM_AT && !user_memory(0xfebe0000, EPT_W));
	assert_contained(&device);
	set(&device, 0x30, 4, 0xe0000001);
	assert_true(shows_rom(0xe0000000, ROM_AT) && !shows_rom(0xfebe0000, ROM_AT));
	set(&device, 0x30, 4, 0xfec00001);		/* where it must not be */
	assert_false(shows_rom(0xe0000000, ROM_AT) || shows_rom(0xfec00000, ROM_AT));
	assert_int_equal(page.device[1].refused, 1);
	set(&device, 0x30, 4, 0x00100001);
	assert_true(maps(0xfeb00000, 0xfeb00000) && !shows_rom(0x00100000, ROM_AT));
	set(&device, 0x30, 4, 0xfeb00001);		/* on its own BAR, which comes first */
	assert_true(maps(0xfeb00000, 0xfeb00000) && !shows_rom(0xfeb00000, ROM_AT));
	assert_contained(&device);
	set(&device, 0x30, 4, 0xe0000001);
	set(&device, 0x31, 2, 0);
	assert_true(shows_rom(0xe0000000, ROM_AT));	/* the low address bits are no bits */
	set(&device, 0x04, 2, 1);
	assert_false(shows_rom(0xe0000000, ROM_AT));
	set(&device, 0x04, 2, 2);
	set(&device, 0x30, 1, 0);
	assert_false(shows_rom(0xe0000000, ROM_AT));
	assert_contained(&device);
	direct_stop();
	assert_int_equal(returned, 3);
}

static void a_rom_is_memory_of_its_own(void **state)
{
	struct avmm_device device = ne2000(), other = everything();

	(void)state;
	device.rom_size = 0x20000;
	device.rom = MONITOR;
	assert_int_equal(add(device), -EINVAL);
	device.rom = 1ull << 39;
	assert_int_equal(add(device), -EINVAL);
	device.rom = ROM_AT;
	assert_int_equal(add(device), 0);
	other.rom_size = 0x1000;
	other.rom = ROM_AT + 0x1f000;
	assert_int_equal(add(other), -EINVAL);
	other.rom = other.bar[0].base;
	assert_int_equal(add(other), -EINVAL);
	other = everything();
	other.bar[4].base = ROM_AT;			/* the first one's */
	assert_int_equal(add(other), -EINVAL);
	other = everything();
	other.rom_size = 0x1000;
	other.rom = ROM_AT + 0x20000;
	assert_int_equal(add(other), 0);
	assert_int_equal(lent, 3);
}

static void memory_of_others_stays(void **state)
{
	static const u32 bad[] = { 0, 0x00100000, 0x0ffe0000, 0xfec00000, 0xfee00000, 0xfffe0000, 0x000a0000,
				   FRAME_BUFFER };
	struct avmm_device device = everything();
	unsigned int i;

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		u64 before = ept_walk(&user.ept, bad[i]).entry & ~(u64)EPT_HELD;

		set(&device, 0x10, 4, bad[i]);
		assert_true((ept_walk(&user.ept, bad[i]).entry & ~(u64)EPT_HELD) == before);
		assert_int_equal(page.device[1].refused, i + 1);
		assert_contained(&device);
		set(&device, 0x10, 4, 0xe0000000);
		assert_true(maps(0xe0000000, 0xfeb00000));
	}
	/* two of its own on top of each other: the first keeps the place */
	set(&device, 0x18, 4, 0xe0010000);
	assert_true(maps(0xe0010000, 0xfeb10000));
	assert_contained(&device);
}

static u64 memory_at(u64 gpa)
{
	return ept_walk(&user.ept, gpa).entry & EPT_RWX;
}

/* What is where is the same until all vCPUs have left the guest, and they go on only when each knows. */
static void a_write_is_settled_by_the_shared_cpu(void **state)
{
	struct avmm_device device = everything();
	u32 address = 0x80000000u | device.guest_devfn << 8;

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	pci_config_write(&user.platform.pci, address | 0x10, 0, 4, 0xe0000000);
	assert_true(user.platform.unsettled);
	assert_int_equal(looks, 1);
	assert_true(maps(0xfeb00000, 0xfeb00000) && !memory_at(0xe0000000));
	direct_settle();
	assert_false(user.platform.unsettled || stopped);
	assert_true(maps(0xe0000000, 0xfeb00000) && !memory_at(0xfeb00000));
	/* registers that move nothing: nobody stops */
	set(&device, 0x0c, 1, 8);
	set(&device, 0x3c, 1, 5);
	assert_int_equal(looks, 1);
	/* of a partition that stands still for another reason, none goes on */
	stopped = true;
	user.held = AVMM_HELD_PAUSED;
	set(&device, 0x10, 4, 0xe0100000);
	assert_true(stopped && maps(0xe0100000, 0xfeb00000));
	partition_release(AVMM_HELD_PAUSED);
}

static void apics_of_all_vcpus_stay(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	direct_apic_moved();
	assert_false(user.platform.unsettled);			/* nobody has devices */
	assert_int_equal(add(device), 0);
	start();
	other_vcpu.lapic.base = 0xe0003000 | 1 << 11;
	direct_apic_moved();
	assert_int_equal(looks, 1);
	direct_settle();
	set(&device, 0x10, 4, 0xe0000000);
	assert_false(memory_at(0xe0000000) || memory_at(0xe0003000));
	assert_int_equal(page.device[1].refused, 1);
	/* it goes away, and onto a BAR that is there */
	other_vcpu.lapic.base = 0xfee00000 | 1 << 11;
	direct_apic_moved();
	direct_settle();
	assert_true(maps(0xe0000000, 0xfeb00000));
	vcpu.lapic.base = 0xe0010000 | 1 << 11;
	direct_apic_moved();
	direct_settle();
	assert_false(memory_at(0xe0000000) || memory_at(0xe0010000));
	assert_int_equal(page.device[1].refused, 2);
}

static void without_tables_a_bar_is_nowhere(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	assert_int_equal(add(device), 0);
	supplier.limit = supplier.used;
	start();
	assert_false(maps(0xfeb00000, 0xfeb00000));
	assert_true(page.device[1].refused > 0);
	supplier.limit = SUPPLIER_PAGES;
	set(&device, 0x04, 2, 3);
	assert_true(maps(0xfeb00000, 0xfeb00000));
}

static void monitor_memory_is_refused(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	device.bar[4].base = MONITOR;
	assert_int_equal(add(device), -EINVAL);
	assert_int_equal(lent, returned);
	device.bar[4].base = MONITOR - device.bar[4].size;
	assert_int_equal(add(device), 0);
	device = ne2000();
	device.guest_devfn = PCI_DEVFN(5, 0);		/* where the other is */
	assert_int_equal(add(device), -EINVAL);
	device.guest_devfn = PCI_DEVFN(6, 0);
	device.number = 1;
	assert_int_equal(add(device), -EINVAL);
	device.number = 0;
	assert_int_equal(direct_add(0x1001), -EINVAL);
	assert_int_equal(direct_add(MONITOR), -EINVAL);
	assert_int_equal(direct_add(1ull << 39), -EINVAL);
	assert_int_equal(add(device), 0);
	user.state = AVMM_PARTITION_RUNNING;
	device.number = 2;
	device.guest_devfn = PCI_DEVFN(7, 0);
	assert_int_equal(add(device), -ENOENT);
}

static void no_memory_is_said(void **state)
{
	struct avmm_device device = everything();

	(void)state;
	no_pages = true;
	assert_int_equal(add(device), -ENOMEM);
	no_pages = false;
	no_tables = true;
	assert_int_equal(add(device), -ENOMEM);
	assert_int_equal(returned, 0);
}

static void an_interrupt_is_relayed_and_finished(void **state)
{
	struct avmm_device device = ne2000();

	(void)state;
	assert_int_equal(direct_interrupt(0, 0), -ENOENT);
	assert_int_equal(add(device), 0);
	start();
	pci_config_write(&user.platform.pci, 0x80000860, 3, 1, 11);	/* its PIRQ */
	assert_int_equal(direct_interrupt(1, 0), -EINVAL);
	assert_int_equal(direct_interrupt(AVMM_LINE_MOUSE, 0), -EINVAL);
	assert_int_equal(direct_interrupt(0, 0), 0);
	assert_true(line[11]);
	assert_int_equal(wakes, 1);
	assert_int_equal(page.device[0].raised, 1);
	direct_irq_done(&user, 10);				/* somebody else's */
	assert_true(line[11]);
	direct_irq_done(&user, 11);
	assert_false(line[11]);
	assert_int_equal(page.device[0].acked, 1);
	assert_int_equal(messages, 1);
	direct_irq_done(&user, 11);				/* once only */
	assert_int_equal(messages, 1);
	/* while its interrupts are disabled it waits */
	set(&device, 0x04, 2, 0x0401);
	assert_int_equal(direct_interrupt(0, 0), 0);
	assert_false(line[11]);
	direct_irq_done(&user, 11);
	assert_int_equal(page.device[0].acked, 1);
	set(&device, 0x04, 2, 0x0001);
	assert_true(line[11]);
	direct_irq_done(&user, 11);
	assert_int_equal(page.device[0].acked, 2);
	wakes = 0;
	assert_int_equal(direct_interrupt(AVMM_LINE_KEYBOARD, 0), 0);
	assert_int_equal(wakes, 1);
}

/* Another controller, with a BAR and DMA. */
static struct avmm_device master_of(u32 number)
{
	struct avmm_device device = ne2000();

	device.number = number;
	device.guest_devfn = (4 + number) << 3;
	device.flags |= AVMM_DEVICE_MASTER;
	device.bar[0].base += 0x100 * number;
	return device;
}

static void masters_need_the_window(void **state)
{
	(void)state;
	user.config.window = 0;
	assert_int_equal(add(master_of(0)), -EINVAL);
	user.config.window = AVMM_WINDOW_LOW;
	assert_int_equal(add(master_of(0)), 0);
}

static void masters_behind_an_iommu_need_none(void **state)
{
	struct avmm_device device = master_of(0);

	(void)state;
	user.config.window = 0;
	device.flags |= AVMM_DEVICE_IOMMU;
	assert_int_equal(add(device), 0);
}

static void the_guest_waits_for_bus_mastering(void **state)
{
	struct avmm_device first = master_of(0), second = master_of(1);

	(void)state;
	assert_int_equal(direct_mastering(0, AVMM_WANTS_MASTER), -ENOENT);
	assert_int_equal(add(first), 0);
	assert_int_equal(add(second), 0);
	start();
	set(&first, 0x04, 2, 0x0001);
	assert_int_equal(holds, 0);
	set(&first, 0x04, 2, 0x0005);
	assert_int_equal(page.device[0].wants, AVMM_WANTS_MASTER);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	assert_int_equal(messages, 1);
	set(&first, 0x04, 2, 0x0005);				/* nothing new */
	assert_int_equal(holds, 1);
	/* both are awaited, whoever comes first */
	set(&second, 0x04, 2, 0x0004);
	assert_int_equal(page.device[1].wants, AVMM_WANTS_MASTER);
	assert_int_equal(direct_mastering(2, AVMM_WANTS_MASTER), -EINVAL);
	assert_int_equal(direct_mastering(1, AVMM_WANTS_MASTER), 0);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	assert_int_equal(direct_mastering(0, AVMM_WANTS_MASTER), 0);
	assert_int_equal(user.held, 0);
	set(&first, 0x05, 1, 0x00);				/* the upper half only */
	assert_int_equal(user.held, 0);
	set(&first, 0x04, 1, 0x01);
	assert_int_equal(page.device[0].wants, 0);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	/* an answer to an older question is none */
	assert_int_equal(direct_mastering(0, AVMM_WANTS_MASTER), 0);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	assert_int_equal(direct_mastering(0, 0), 0);
	assert_int_equal(user.held, 0);
}

/* What the guest's driver does at its start, to the configuration space of everything(). */
static void enable_msi(const struct avmm_device *device)
{
	set(device, 0x5c, 4, 0xfee01000);
	set(device, 0x60, 4, 0);
	set(device, 0x64, 2, 0xc051);
	set(device, 0x5a, 2, 0x0001);
}

static void messages_replace_the_line(void **state)
{
	struct avmm_device device = everything();
	const struct avmm_device_counts *counts = &page.device[1];

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	pci_config_write(&user.platform.pci, 0x80000860, 1, 1, 11);	/* its PIRQ */
	assert_int_equal(direct_interrupt(1, 0), 0);
	assert_true(line[11]);
	enable_msi(&device);
	/* the line falls, which the module is told, and the guest stands still until the machine's device does so, too */
	assert_false(line[11]);
	assert_int_equal(counts->acked, 1);
	assert_int_equal(counts->wants, AVMM_WANTS_MESSAGES);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	assert_int_equal(direct_mastering(1, 0), 0);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	assert_int_equal(direct_mastering(1, AVMM_WANTS_MESSAGES), 0);
	assert_int_equal(user.held, 0);
	assert_int_equal(sent, 0);
	wakes = 0;
	assert_int_equal(direct_interrupt(1, 1), 0);
	assert_int_equal(sent, 1);
	assert_int_equal(wakes, 1);
	assert_true(last.address == 0xfee01000 && last.data == 0x51);	/* an edge */
	assert_int_equal(direct_interrupt(1, 2), 0);			/* it has no second one */
	assert_int_equal(direct_interrupt(1, ~0ull), 0);
	assert_int_equal(counts->lost, 2);
	set(&device, 0x5a, 2, 0x0000);
	assert_int_equal(counts->wants, 0);
	assert_int_equal(user.held, AVMM_HELD_MASTER);
	assert_int_equal(direct_interrupt(1, 1), 0);			/* that was on its way */
	assert_int_equal(counts->lost, 3);
	assert_int_equal(direct_mastering(1, 0), 0);
	assert_int_equal(direct_interrupt(1, 0), 0);
	assert_true(line[11]);
	assert_int_equal(counts->raised, 6);
	assert_int_equal(counts->messages, 1);
}

static void messages_that_make_no_sense(void **state)
{
	static const u32 modes[] = { LAPIC_SMI, LAPIC_SYNC, LAPIC_NMI, LAPIC_INIT, LAPIC_STARTUP, LAPIC_EXTINT };
	struct avmm_device device = everything();
	unsigned int i;

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	enable_msi(&device);
	for (i = 0; i < VDEV_ARRAY_SIZE(modes); i++) {
		set(&device, 0x64, 2, modes[i] << 8 | 0x51);
		assert_int_equal(direct_interrupt(1, 1), 0);
		assert_int_equal(page.device[1].lost, i + 1);
	}
	assert_int_equal(sent, 0);
	set(&device, 0x64, 2, LAPIC_LOWEST << 8 | 0x51);
	assert_int_equal(direct_interrupt(1, 1), 0);
	assert_int_equal(sent, 1);
	taken = LAPIC_IGNORED;						/* no such APIC */
	assert_int_equal(direct_interrupt(1, 1), 0);
	assert_int_equal(page.device[1].lost, i + 1);
	assert_int_equal(page.device[1].messages, 1);
}

static void poke(u64 gpa, unsigned int size, u64 value)
{
	bus_write(&user.platform.mmio, gpa, size, value, 0);
}

static u64 peek(u64 gpa, unsigned int size)
{
	return bus_read(&user.platform.mmio, gpa, size, 0);
}

/* MSI-X: table at 0, pending bits at 800h of BAR 4. */
static void a_table_is_kept_from_the_guest(void **state)
{
	struct avmm_device device = with_msix(3);

	(void)state;
	assert_int_equal(add(device), 0);
	assert_int_equal(lent, 3);					/* of BAR 4 all but one page */
	start();
	assert_false(maps(DEVICE, DEVICE));
	assert_true(maps(DEVICE + 0x1000, DEVICE + 0x1000));
	assert_true(maps(DEVICE + 0xfffff000, DEVICE + 0xfffff000));
	assert_true(bus_claimed(&user.platform.mmio, DEVICE) && bus_claimed(&user.platform.mmio, DEVICE + 0xfff));
	assert_false(bus_claimed(&user.platform.mmio, DEVICE + 0x1000));
	assert_contained(&device);
	/* what lies beside it is the device's */
	memcpy(device_page + 0x400, "\1\2\3\4\5\6\7\10", 8);
	assert_true(peek(DEVICE + 0x400, 8) == 0x0807060504030201ull);
	assert_int_equal(peek(DEVICE + 0x404, 4), 0x08070605);
	assert_int_equal(peek(DEVICE + 0x402, 2), 0x0403);
	assert_int_equal(peek(DEVICE + 0x401, 1), 0x02);
	assert_int_equal(peek(DEVICE + 0x401, 4), 0xffffffff);
	poke(DEVICE + 0x408, 8, 0x1122334455667788ull);
	poke(DEVICE + 0x410, 4, 0x99aabbcc);
	poke(DEVICE + 0x414, 2, 0xddee);
	poke(DEVICE + 0x417, 1, 0xff);
	poke(DEVICE + 0x419, 2, 0xffff);
	assert_memory_equal(device_page + 0x408, "\x88\x77\x66\x55\x44\x33\x22\x11\xcc\xbb\xaa\x99\xee\xdd\0\xff\0\0", 18);
	assert_int_equal(page.device[1].forwarded, 8);
	poke(DEVICE, 4, 0xfee01000);
	assert_int_equal(peek(DEVICE, 4), 0xfee01000);
	assert_int_equal(device_page[3], 0);
	/* where the guest puts the BAR */
	set(&device, 0x24, 4, 0x30);
	assert_false(bus_claimed(&user.platform.mmio, DEVICE));
	assert_false(maps(DEVICE + 0x1000, DEVICE + 0x1000));
	assert_true(maps(DEVICE + 0x1000000000ull + 0x1000, DEVICE + 0x1000));
	assert_int_equal(peek(DEVICE + 0x1000000000ull, 4), 0xfee01000);
	set(&device, 0x04, 2, 0);
	assert_false(bus_claimed(&user.platform.mmio, DEVICE + 0x1000000000ull));
	assert_contained(&device);
	direct_stop();
	assert_int_equal(returned, 3);
}

static void a_masked_message_waits(void **state)
{
	struct avmm_device device = with_msix(3);
	unsigned int i;

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	for (i = 0; i < 3; i++) {
		poke(DEVICE + 16 * i, 8, 0xfee00000 | i << 12);
		poke(DEVICE + 16 * i + 8, 4, 0x60 + i);
	}
	assert_int_equal(direct_interrupt(1, 1), 0);
	assert_int_equal(page.device[1].lost, 1);			/* not yet enabled */
	set(&device, 0x72, 2, 0xc000);
	assert_int_equal(page.device[1].wants, AVMM_WANTS_MESSAGES);
	poke(DEVICE + 16 + 12, 4, 0);
	assert_int_equal(direct_interrupt(1, 2), 0);
	assert_int_equal(direct_interrupt(1, 2), 0);
	assert_int_equal(direct_interrupt(1, 3), 0);
	assert_int_equal(direct_interrupt(1, 4), 0);			/* none of the guest's */
	assert_int_equal(page.device[1].lost, 2);
	assert_int_equal(sent, 0);
	assert_int_equal(peek(DEVICE + 0x800, 8), 6);
	holds = 0;
	set(&device, 0x72, 2, 0x8000);
	assert_int_equal(holds, 0);					/* the mask is not the machine's affair */
	assert_int_equal(sent, 1);
	assert_true(last.address == 0xfee01000 && last.data == 0x61);
	assert_int_equal(peek(DEVICE + 0x800, 8), 4);
	poke(DEVICE + 32 + 12, 4, 0);
	assert_int_equal(sent, 2);
	assert_true(last.address == 0xfee02000 && last.data == 0x62);
	assert_int_equal(peek(DEVICE + 0x800, 8), 0);
	assert_int_equal(direct_interrupt(1, 3), 0);
	assert_int_equal(sent, 3);
	assert_int_equal(page.device[1].messages, 3);
}

static void without_tables_no_table(void **state)
{
	struct avmm_device device = with_msix(3);

	(void)state;
	assert_int_equal(add(device), 0);
	start();
	set(&device, 0x04, 2, 0);
	supplier.limit = supplier.used;
	set(&device, 0x24, 4, 0x30);
	set(&device, 0x04, 2, 2);
	assert_false(bus_claimed(&user.platform.mmio, DEVICE + 0x1000000000ull));
	assert_contained(&device);
	supplier.limit = SUPPLIER_PAGES;
	set(&device, 0x04, 2, 2);
	assert_true(bus_claimed(&user.platform.mmio, DEVICE + 0x1000000000ull));
	assert_contained(&device);
}

static void no_bar_in_the_window(void **state)
{
	struct avmm_device device = master_of(0);

	(void)state;
	user.config.window = 512ull << 20;
	user.config.ram_size = RAM + AVMM_WINDOW_LOW;
	device.bar[1] = (struct avmm_device_bar){ .base = 0xf0000000, .size = 0x20000 };
	assert_int_equal(add(device), 0);
	start();
	set(&device, 0x04, 2, 0x0002);
	assert_true(maps(0xf0000000, 0xf0000000));
	set(&device, 0x14, 4, (512u << 20) + 0x20000);
	assert_false(maps((512ull << 20) + 0x20000, 0xf0000000));
	assert_int_equal(page.device[0].refused, 1);
	set(&device, 0x14, 4, (512u << 20) + (u32)RAM);		/* just behind it */
	assert_true(maps((512ull << 20) + RAM, 0xf0000000));
	assert_int_equal(page.device[0].refused, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ports_pass_where_the_machine_has_them, create, destroy),
		cmocka_unit_test_setup_teardown(ports_of_the_board_stay, create, destroy),
		cmocka_unit_test_setup_teardown(memory_is_mapped_uncached, create, destroy),
		cmocka_unit_test_setup_teardown(a_rom_is_read_only, create, destroy),
		cmocka_unit_test_setup_teardown(a_rom_is_memory_of_its_own, create, destroy),
		cmocka_unit_test_setup_teardown(memory_of_others_stays, create, destroy),
		cmocka_unit_test_setup_teardown(a_write_is_settled_by_the_shared_cpu, create, destroy),
		cmocka_unit_test_setup_teardown(apics_of_all_vcpus_stay, create, destroy),
		cmocka_unit_test_setup_teardown(without_tables_a_bar_is_nowhere, create, destroy),
		cmocka_unit_test_setup_teardown(monitor_memory_is_refused, create, destroy),
		cmocka_unit_test_setup_teardown(no_memory_is_said, create, destroy),
		cmocka_unit_test_setup_teardown(an_interrupt_is_relayed_and_finished, create, destroy),
		cmocka_unit_test_setup_teardown(masters_need_the_window, create, destroy),
		cmocka_unit_test_setup_teardown(masters_behind_an_iommu_need_none, create, destroy),
		cmocka_unit_test_setup_teardown(the_guest_waits_for_bus_mastering, create, destroy),
		cmocka_unit_test_setup_teardown(messages_replace_the_line, create, destroy),
		cmocka_unit_test_setup_teardown(messages_that_make_no_sense, create, destroy),
		cmocka_unit_test_setup_teardown(a_table_is_kept_from_the_guest, create, destroy),
		cmocka_unit_test_setup_teardown(a_masked_message_waits, create, destroy),
		cmocka_unit_test_setup_teardown(without_tables_no_table, create, destroy),
		cmocka_unit_test_setup_teardown(no_bar_in_the_window, create, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
