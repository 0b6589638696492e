// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct-access devices at the places that every PC has for them.
 *
 *	keyboard controller	ports 60h and 64h exit, and go on to the machine's by way of vdev/i8042-gate.c; the module
 *				relays the edges of lines 1 and 12
 *	VGA			its ports by the I/O bitmap, its memory and its linear frame buffer in the user's EPT,
 *				uncached (the guest's PAT may make it write-combining), and not in the service's: no exit
 *
 * State is added and forgotten by hypercalls while no vCPU runs; the gate is under the platform's lock.
 */
#include <avmm/device.h>
#include <avmm/x86.h>
#include <ept-shadow/mtrr.h>
#include <vdev/i8042-gate.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "direct.h"
#include "legacy.h"
#include "partition.h"

#define ENOENT		2
#define EBUSY		16
#define FOUR_GIB	(1ull << 32)
#define HIGH_MEMORY	0x100000ull
#define FIXED_BASE	0xfec00000ull	/* from here to 4 GiB: APICs, HPET, message addresses, firmware */
#define VGA_MEMORY	AVMM_VGA_HOLE
#define VGA_SIZE	(AVMM_VGA_HOLE_END - AVMM_VGA_HOLE)

static struct {
	bool present[AVMM_LEGACIES];
	struct i8042_gate gate;
	struct bars_range lfb;		/* size 0: none */
	bool memory_lent, lfb_lent;	/* taken from the service's EPT */
} legacy;

static u8 port_in(void *ctx, u16 port)
{
	(void)ctx;
	return inb(port);
}

static void port_out(void *ctx, u16 port, u8 value)
{
	(void)ctx;
	outb(port, value);
}

/*
 * 3BCh–3BFh is a parallel port's. Accesses come here where the I/O bitmap does not let them pass as a whole: those that
 * reach beyond the VGA.
 */
static u64 vga_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	(void)ctx, (void)now;
	user.page->legacy[AVMM_LEGACY_VGA].forwarded++;
	return size == 1 ? inb((u16)port) : inw((u16)port);
}

static void vga_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	(void)ctx, (void)now;
	user.page->legacy[AVMM_LEGACY_VGA].forwarded++;
	if (size == 1)
		outb((u16)port, (u8)value);
	else
		outw((u16)port, (u16)value);
}

static const struct bus_row vga_rows[] = {
	{ 0x1ce, 3, 1 | 2 | BUS_QUIET, vga_read, vga_write },	/* emulators' VBE: index, and data of 16 bits at 1CFh */
	{ 0x3b0, 12, 1 | 2 | BUS_QUIET, vga_read, vga_write },
	{ 0x3c0, 32, 1 | 2 | BUS_QUIET, vga_read, vga_write },
};

static bool lend(u64 base, u64 size, bool *lent)
{
	*lent = service_lend(base, size);
	return *lent;
}

static void take_back(void)
{
	if (legacy.memory_lent)
		service_return(VGA_MEMORY, VGA_SIZE);
	if (legacy.lfb_lent)
		service_return(legacy.lfb.base, legacy.lfb.size);
	legacy.memory_lent = legacy.lfb_lent = false;
	legacy.lfb.size = 0;
}

/* Between the guest's RAM and what every PC has below 4 GiB, or behind the RAM above. */
static bool lfb_good(const struct bars_range *lfb)
{
	u64 low = user.config.window ? partition_window_end() : partition_low_ram(), end = lfb->base + lfb->size;

	if (!lfb->size)
		return !lfb->base;
	if ((lfb->base | lfb->size) % AVMM_PAGE_SIZE || lfb->size > FOUR_GIB || lfb->base >> machine.phys_bits ||
	    (end - 1) >> machine.phys_bits || (end - 1) >> EPT_GPA_BITS || direct_is_monitors(lfb->base, lfb->size))
		return false;
	if (lfb->base < FOUR_GIB)
		return lfb->base >= low && lfb->base >= HIGH_MEMORY && end <= FIXED_BASE;
	return lfb->base >= FOUR_GIB + partition_high_ram();
}

/*
 * In a direct boot the first block is RAM throughout. Its rest may be executed at once, as with firmware: where large pages
 * must not be (exec.h), small ones are not made executable later.
 */
static int map_around(void)
{
	u64 block = ept_walk(&user.ept, 0).entry & EPT_ADDRESS;
	int err;

	if (user.config.rom_size)
		return 0;
	err = ept_map(&user.ept, 0, block, AVMM_VGA_HOLE, EPT_RWX, MTRR_WB);
	return err ? err : ept_map(&user.ept, AVMM_VGA_HOLE_END, block + AVMM_VGA_HOLE_END,
				   AVMM_BLOCK_SIZE - AVMM_VGA_HOLE_END, EPT_RWX, MTRR_WB);
}

static s64 add_vga(void)
{
	u64 rights = user.exec.slot ? EPT_RW : EPT_RWX;
	unsigned int i;
	int err;

	if (!direct_need_io_bitmap() || !lend(VGA_MEMORY, VGA_SIZE, &legacy.memory_lent) ||
	    (legacy.lfb.size && !lend(legacy.lfb.base, legacy.lfb.size, &legacy.lfb_lent)))
		return -ENOMEM;
	invept(INV_SINGLE_CONTEXT, service_eptp());
	err = map_around();
	if (!err)
		err = ept_map(&user.ept, VGA_MEMORY, VGA_MEMORY, VGA_SIZE, rights, MTRR_UC);
	if (!err && legacy.lfb.size)
		err = ept_map(&user.ept, legacy.lfb.base, legacy.lfb.base, legacy.lfb.size, rights, MTRR_UC);
	for (i = 0; i < VDEV_ARRAY_SIZE(vga_rows); i++)
		direct_pass_ports(vga_rows[i].first, vga_rows[i].count, true);
	return err;
}

s64 legacy_add(u64 which, u64 base, u64 size)
{
	const struct bars_range lfb = { base, size };
	s64 err = 0;

	if (user.state != AVMM_PARTITION_CREATED || !user.ram)
		return -ENOENT;
	if (which >= AVMM_LEGACIES || (which != AVMM_LEGACY_VGA && (base || size)) || !lfb_good(&lfb))
		return -EINVAL;
	if (legacy.present[which])
		return -EBUSY;
	if (which == AVMM_LEGACY_VGA) {
		legacy.lfb = lfb;
		err = add_vga();
		if (err)
			take_back();
	}
	legacy.present[which] = !err;
	return err;
}

bool legacy_has(u64 which)
{
	return legacy.present[which];
}

bool legacy_is_vga(u64 gpa)
{
	return legacy.memory_lent && gpa - VGA_MEMORY < VGA_SIZE;
}

struct bars_range legacy_frame_buffer(void)
{
	return legacy.lfb;
}

void legacy_reset(void)
{
	vdev_clear(&legacy, sizeof(legacy));
}

void legacy_start(struct partition *p, const struct vdev_irq *irq, void (*reset)(void *ctx))
{
	const struct i8042_gate_ops ops = { .in = port_in, .out = port_out, .reset = reset, .ctx = p };

	if (legacy.present[AVMM_LEGACY_I8042]) {
		i8042_gate_init(&legacy.gate, irq, &ops, &p->page->legacy[AVMM_LEGACY_I8042]);
		bus_map(&p->platform.ports, 0, i8042_gate_rows, I8042_GATE_ROWS, &legacy.gate);
	}
	if (legacy.present[AVMM_LEGACY_VGA])
		bus_map(&p->platform.ports, 0, vga_rows, VDEV_ARRAY_SIZE(vga_rows), p);
}

void legacy_stop(void)
{
	take_back();
	legacy_reset();
}

bool legacy_edge(u64 number)
{
	if (!legacy.present[AVMM_LEGACY_I8042] || (number != AVMM_LINE_KEYBOARD && number != AVMM_LINE_MOUSE))
		return false;
	i8042_gate_edge(&legacy.gate, number == AVMM_LINE_MOUSE ? I8042_LINE_MOUSE : I8042_LINE_KEYBOARD);
	return true;
}
