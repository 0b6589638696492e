// SPDX-License-Identifier: GPL-2.0-only
/* The monitor's side of keyboard controller and VGA, with a real bus and EPT, and no machine under it. */
#include "vdev_unit.h"
#include "ept_supplier.h"

static unsigned int invepts, accesses;

#define invept	insn_invept	/* these instructions are not for us */
#define inb	insn_inb
#define inw	insn_inw
#define outb	insn_outb
#define outw	insn_outw
#include <vmx/root/insn.h>
#undef invept
#undef inb
#undef inw
#undef outb
#undef outw
#define invept(type, eptp)	((void)(type), (void)(eptp), (void)invepts++)

static u8 inb(u16 port)
{
	accesses++;
	return port == 0x64 ? 0x10 : 0x5a;
}

static u16 inw(u16 port)
{
	(void)port;
	accesses++;
	return 0xb0c5;
}

static void outb(u16 port, u8 value)
{
	(void)value;
	assert_true(port != 0x64 || value < 0xf0);
	accesses++;
}

static void outw(u16 port, u16 value)
{
	(void)port, (void)value;
	accesses++;
}

#include "monitor/legacy.c"

#define RAM		(256ull << 20)
#define RAM_AT		(8ull << 30)	/* of the machine */
#define MONITOR		(32ull << 30)
#define TABLES		(1ull << 38)
#define LFB		0xe0000000ull
#define LFB_SIZE	(16ull << 20)

struct machine machine;
struct partition user;

static struct supplier supplier;
static struct avmm_partition_page page;
static struct ept_exec_table exec_slot;
static u8 bitmap[0x10000];
static u32 lent, resets;
static u64 lent_bytes;
static bool no_bitmap;
static struct lines lines;

bool direct_need_io_bitmap(void)
{
	return !no_bitmap;
}

void direct_pass_ports(u64 first, u64 count, bool pass)
{
	memset(&bitmap[first], pass, count);
}

void *monitor_virt(u64 phys)
{
	(void)phys;
	return NULL;
}

u64 service_eptp(void)
{
	return 0;
}

bool direct_is_monitors(u64 base, u64 size)
{
	return bars_overlap(base, size, machine.block[0], AVMM_BLOCK_SIZE);
}

bool service_lend(u64 base, u64 size)
{
	(void)base;
	lent++;
	lent_bytes += size;
	return true;
}

void service_return(u64 base, u64 size)
{
	(void)base;
	lent--;
	lent_bytes -= size;
}

bool bars_overlap(u64 a, u64 asize, u64 b, u64 bsize)
{
	return asize && bsize && a < b + bsize && b < a + asize;
}

static void on_reset(void *ctx)
{
	assert_ptr_equal(ctx, &user);
	resets++;
}

/* In a direct boot the first block is one large page. */
static int create(void **state)
{
	(void)state;
	legacy_reset();
	memset(&user, 0, sizeof(user));
	memset(&page, 0, sizeof(page));
	memset(bitmap, 0, sizeof(bitmap));
	lent = resets = 0;
	lent_bytes = 0;
	no_bitmap = false;
	machine.phys_bits = 39;
	machine.nblocks = 1;
	machine.block[0] = MONITOR;
	user.page = &page;
	user.ram = RAM;
	user.state = AVMM_PARTITION_CREATED;
	supplier_init(&supplier, &user.ept, TABLES);
	assert_int_equal(ept_init(&user.ept), 0);
	assert_int_equal(ept_map(&user.ept, 0, RAM_AT, RAM, EPT_RWX, MTRR_WB), 0);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	legacy_stop();
	assert_int_equal(lent, 0);
	assert_int_equal(lent_bytes, 0);
	supplier_free(&supplier);
	return 0;
}

static void start(void)
{
	struct vdev_irq irq = lines_irq(&lines);

	bus_init(&user.platform.ports);
	legacy_start(&user, &irq, on_reset);
	user.state = AVMM_PARTITION_RUNNING;
}

static u64 where(u64 gpa, u64 *type)
{
	struct ept_entry e = ept_walk(&user.ept, gpa);
	u64 span = EPT_SPAN(e.level);

	*type = (e.entry & EPT_TYPE) >> EPT_TYPE_SHIFT;
	return e.entry & EPT_RWX ? (e.entry & EPT_ADDRESS & ~(span - 1)) + (gpa & (span - 1)) : ~0ull;
}

static void assert_mapped(u64 gpa, u64 hpa, u64 wanted)
{
	u64 type;

	assert_true(where(gpa, &type) == hpa);
	assert_int_equal(type, wanted);
}

static void the_vga_is_the_guests(void **state)
{
	const struct ept_rule rules[] = {
		{ RAM_AT, RAM, EPT_RWX }, { VGA_MEMORY, VGA_SIZE, EPT_RWX }, { LFB, LFB_SIZE, EPT_RWX },
	};
	u32 port, n = 0;

	(void)state;
	assert_false(legacy_is_vga(VGA_MEMORY));
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, LFB, LFB_SIZE), 0);
	assert_true(legacy_is_vga(0xa0000) && legacy_is_vga(0xbffff) && !legacy_is_vga(0x9ffff) && !legacy_is_vga(0xc0000));
	assert_true(legacy_has(AVMM_LEGACY_VGA) && !legacy_has(AVMM_LEGACY_I8042));
	assert_mapped(0x9f000, RAM_AT + 0x9f000, MTRR_WB);
	assert_mapped(0xa0000, 0xa0000, MTRR_UC);
	assert_mapped(0xbf000, 0xbf000, MTRR_UC);
	assert_mapped(0xc0000, RAM_AT + 0xc0000, MTRR_WB);
	assert_mapped(0x1ff000, RAM_AT + 0x1ff000, MTRR_WB);
	assert_mapped(LFB, LFB, MTRR_UC);
	assert_mapped(LFB + LFB_SIZE - 1, LFB + LFB_SIZE - 1, MTRR_UC);
	assert_true(ept_check(&user.ept, rules, ARRAY_SIZE(rules), 0) == EPT_CLEAN);
	assert_int_equal(lent, 2);
	assert_int_equal(lent_bytes, VGA_SIZE + LFB_SIZE);
	assert_true(legacy_frame_buffer().base == LFB && legacy_frame_buffer().size == LFB_SIZE);
	for (port = 0; port < sizeof(bitmap); port++)
		n += bitmap[port];
	assert_int_equal(n, 12 + 32 + 3);
	assert_true(bitmap[0x3b0] && bitmap[0x3bb] && !bitmap[0x3bc] && bitmap[0x3c0] && bitmap[0x3df] && bitmap[0x1d0]);
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, LFB, LFB_SIZE), -EBUSY);
	/* what reaches beyond it comes here */
	start();
	assert_int_equal(bus_read(&user.platform.ports, 0x3ba, 4, 0), 0xffffb0c5);
	bus_write(&user.platform.ports, 0x3df, 2, 0x1234, 0);
	assert_int_equal(accesses, 2);
	bus_write(&user.platform.ports, 0x1cf, 2, 640, 0);		/* one access, not two */
	assert_int_equal(accesses, 3);
	assert_int_equal(page.legacy[AVMM_LEGACY_VGA].forwarded, 3);
}

/* Where large pages must not be executed, the first block's small ones may be at once, and the VGA's never. */
static void small_pages_can_be_executed(void **state)
{
	(void)state;
	user.exec.slot = &exec_slot;
	assert_int_equal(ept_map(&user.ept, 0, RAM_AT, AVMM_BLOCK_SIZE, EPT_RW, MTRR_WB), 0);
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, 0, 0), 0);
	assert_int_equal(lent, 1);
	assert_true(ept_walk(&user.ept, 0x1000).level == 1 && ept_walk(&user.ept, 0x100000).level == 1);
	assert_true(ept_walk(&user.ept, 0x1000).entry & EPT_X && ept_walk(&user.ept, 0x100000).entry & EPT_X);
	assert_false(ept_walk(&user.ept, 0xa0000).entry & EPT_X);
	assert_true(legacy_frame_buffer().size == 0);
}

/* With firmware there is a hole, and the rest of the block stays as it is. */
static void firmware_keeps_its_hole(void **state)
{
	(void)state;
	user.config.rom_size = AVMM_BLOCK_SIZE;
	assert_int_equal(ept_unmap(&user.ept, VGA_MEMORY, VGA_SIZE), 0);
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, 0, 0), 0);
	assert_mapped(0xa0000, 0xa0000, MTRR_UC);
	assert_mapped(0xc0000, RAM_AT + 0xc0000, MTRR_WB);
}

static void frame_buffers_elsewhere_are_refused(void **state)
{
	static const struct bars_range bad[] = {
		{ LFB, 0 }, { LFB + 1, 4096 }, { LFB, 4095 }, { 0, 4096 }, { RAM - 4096, 8192 }, { 0xfebff000, 8192 },
		{ 0xfee00000, 4096 }, { 0xfffff000, 8192 }, { 0xa0000, 4096 }, { MONITOR, 4096 }, { MONITOR - 4096, 8192 },
		{ 1ull << 39, 4096 }, { (1ull << 39) - 4096, 8192 }, { ~0ull << 12, 8192 }, { 4ull << 30, 1ull << 40 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(legacy_add(AVMM_LEGACY_VGA, bad[i].base, bad[i].size), -EINVAL);
		assert_false(legacy_has(AVMM_LEGACY_VGA));
	}
	user.ram = AVMM_PCI_HOLE + RAM;
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, FOUR_GIB, 4096), -EINVAL);		/* RAM goes on there */
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, FOUR_GIB + RAM, 4096), 0);
}

static void what_is_no_device_is_refused(void **state)
{
	(void)state;
	assert_int_equal(legacy_add(AVMM_LEGACIES, 0, 0), -EINVAL);
	assert_int_equal(legacy_add(~0ull, 0, 0), -EINVAL);
	assert_int_equal(legacy_add(AVMM_LEGACY_I8042, LFB, LFB_SIZE), -EINVAL);
	user.state = AVMM_PARTITION_RUNNING;
	assert_int_equal(legacy_add(AVMM_LEGACY_I8042, 0, 0), -ENOENT);
	user.state = AVMM_PARTITION_CREATED;
	user.ram = 0;
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, 0, 0), -ENOENT);
}

/* Nothing stays lent. */
static void without_memory_it_is_not_taken(void **state)
{
	(void)state;
	no_bitmap = true;
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, LFB, LFB_SIZE), -ENOMEM);
	assert_int_equal(lent, 0);
	no_bitmap = false;
	supplier.limit = supplier.used;
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, LFB, LFB_SIZE), -ENOMEM);
	assert_int_equal(lent, 0);
	assert_false(legacy_has(AVMM_LEGACY_VGA) || legacy_frame_buffer().size);
	supplier.limit = SUPPLIER_PAGES;
	assert_int_equal(legacy_add(AVMM_LEGACY_VGA, LFB, LFB_SIZE), 0);
}

static void keys_come_and_resets_stay(void **state)
{
	struct bus *bus = &user.platform.ports;

	(void)state;
	assert_false(legacy_edge(AVMM_LINE_KEYBOARD));
	assert_int_equal(legacy_add(AVMM_LEGACY_I8042, 0, 0), 0);
	start();
	assert_false(legacy_edge(0) || legacy_edge(AVMM_LINE_MOUSE + 1));
	assert_true(legacy_edge(AVMM_LINE_KEYBOARD) && legacy_edge(AVMM_LINE_MOUSE));
	assert_true(lines.level[1] && lines.level[12]);
	assert_int_equal(bus_read(bus, 0x60, 1, 0), 0x5a);
	assert_false(lines.level[1] || lines.level[12]);
	assert_int_equal(page.legacy[AVMM_LEGACY_I8042].raised, 2);
	bus_write(bus, 0x64, 1, 0xfe, 0);
	assert_int_equal(resets, 1);
	assert_int_equal(page.legacy[AVMM_LEGACY_I8042].refused, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_vga_is_the_guests, create, destroy),
		cmocka_unit_test_setup_teardown(small_pages_can_be_executed, create, destroy),
		cmocka_unit_test_setup_teardown(firmware_keeps_its_hole, create, destroy),
		cmocka_unit_test_setup_teardown(frame_buffers_elsewhere_are_refused, create, destroy),
		cmocka_unit_test_setup_teardown(what_is_no_device_is_refused, create, destroy),
		cmocka_unit_test_setup_teardown(without_memory_it_is_not_taken, create, destroy),
		cmocka_unit_test_setup_teardown(keys_come_and_resets_stay, create, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
