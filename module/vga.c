// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VGA as a direct-access device: the service's console leaves the screen, and comes back to one that looks as it did.
 *
 * The console is on the screen by vgacon (text), by a driver for the frame buffer that firmware left (a platform device,
 * which our stub holds), or by a driver of the graphics card's PCI device, which is assigned by itself and comes first in
 * both directions.
 *
 * Registers, palette and fonts are kept when the VGA is taken (IBM's VGA technical reference), with the VBE interface of
 * emulators' cards, and written back before each partition begins and when the VGA is given back: so a kernel that is
 * booted directly finds the mode that it is told of, whatever the partition before did. What stood in text memory is
 * not: it is filled with blanks. All calls are under legacy.c's lock.
 */
#include <linux/console.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/pci.h>
#include <linux/vgaarb.h>
#include <linux/vmalloc.h>
#include <linux/vt.h>
#include "module.h"
#include "device.h"
#include "legacy.h"
#include "partition.h"

#define ATTRIBUTE	0x3c0		/* index and data; reads at 3C1h */
#define MISC_WRITE	0x3c2
#define MISC_READ	0x3cc
#define SEQUENCER	0x3c4
#define DAC_MASK	0x3c6
#define DAC_READ	0x3c7
#define DAC_WRITE	0x3c8
#define DAC_DATA	0x3c9
#define GRAPHICS	0x3ce
#define COLOUR		1		/* of the miscellaneous register: the CRTC is at 3D4h */
#define CRTC_PROTECT	0x80		/* of CRTC register 11h: 0 to 7 are read-only */
#define VIDEO_ON	0x20		/* in the attribute controller's index */
#define FONT_PLANE	2
#define PLANE_SIZE	0x10000
#define PLANES_AT	0xa0000
#define BLANK		0x0720		/* grey on black */

#define VBE_INDEX	0x1ce
#define VBE_DATA	0x1cf
#define VBE_ID		0
#define VBE_ENABLE	4
#define VBE_REGISTERS	10
#define VBE_MEMORY	10		/* in units of 64 KiB, where there is this register */
#define VBE_NO_CLEAR	0x80
#define VBE_LFB		0xe0000000ull	/* of a card that is not on the PCI bus */
#define VBE_LEAST	(4ull << 20)	/* of memory */
#define VENDOR_EMULATOR	0x1234

static struct {
	u8 misc, sequencer[5], crtc[25], graphics[9], attribute[21], dac_mask, dac[3 * 256];
	u16 vbe[VBE_REGISTERS];		/* VBE_ID 0: it has none */
	u8 *fonts;
} kept;

static u64 lfb, lfb_size;
static bool had_vgacon;
static struct avmm_held frame_buffer;

/* Registers */

static u8 get(u16 port, u8 index)
{
	outb(index, port);
	return inb(port + 1);
}

static void put(u16 port, u8 index, u8 value)
{
	outb(index, port);
	outb(value, port + 1);
}

static u16 crtc_port(void)
{
	return kept.misc & COLOUR ? 0x3d4 : 0x3b4;
}

/* The attribute controller takes an index next. */
static void reset_attribute(void)
{
	inb(crtc_port() + 6);
}

static u16 vbe_get(u16 index)
{
	outw(index, VBE_INDEX);
	return inw(VBE_DATA);
}

static void vbe_put(u16 index, u16 value)
{
	outw(index, VBE_INDEX);
	outw(value, VBE_DATA);
}

static bool is_text(void)
{
	return !(kept.graphics[6] & 1);
}

static void keep_registers(void)
{
	unsigned int i;

	kept.misc = inb(MISC_READ);
	for (i = 0; i < sizeof(kept.sequencer); i++)
		kept.sequencer[i] = get(SEQUENCER, i);
	for (i = 0; i < sizeof(kept.crtc); i++)
		kept.crtc[i] = get(crtc_port(), i);
	for (i = 0; i < sizeof(kept.graphics); i++)
		kept.graphics[i] = get(GRAPHICS, i);
	for (i = 0; i < sizeof(kept.attribute); i++) {
		reset_attribute();
		outb(i, ATTRIBUTE);
		kept.attribute[i] = inb(ATTRIBUTE + 1);
	}
	reset_attribute();
	outb(VIDEO_ON, ATTRIBUTE);
	kept.dac_mask = inb(DAC_MASK);
	outb(0, DAC_READ);
	for (i = 0; i < sizeof(kept.dac); i++)
		kept.dac[i] = inb(DAC_DATA);
}

static void write_planes(void)
{
	unsigned int i;

	put(SEQUENCER, 0, 1);		/* reset while the clock may change */
	outb(kept.misc, MISC_WRITE);
	for (i = 1; i < sizeof(kept.sequencer); i++)
		put(SEQUENCER, i, kept.sequencer[i]);
	put(SEQUENCER, 0, 3);
	for (i = 0; i < sizeof(kept.graphics); i++)
		put(GRAPHICS, i, kept.graphics[i]);
}

static void write_registers(void)
{
	unsigned int i;

	write_planes();
	put(crtc_port(), 0x11, kept.crtc[0x11] & ~CRTC_PROTECT);
	for (i = 0; i < sizeof(kept.crtc); i++)
		put(crtc_port(), i, i == 0x11 ? kept.crtc[i] & ~CRTC_PROTECT : kept.crtc[i]);
	put(crtc_port(), 0x11, kept.crtc[0x11]);
	for (i = 0; i < sizeof(kept.attribute); i++) {
		reset_attribute();
		outb(i, ATTRIBUTE);
		outb(kept.attribute[i], ATTRIBUTE);
	}
	outb(kept.dac_mask, DAC_MASK);
	outb(0, DAC_WRITE);
	for (i = 0; i < sizeof(kept.dac); i++)
		outb(kept.dac[i], DAC_DATA);
	reset_attribute();
	outb(VIDEO_ON, ATTRIBUTE);
}

/* The memory shows one plane, byte by byte. */
static void open_plane(unsigned int plane)
{
	put(SEQUENCER, 2, 1 << plane);
	put(SEQUENCER, 4, 6);		/* all memory, neither odd/even nor chained */
	put(GRAPHICS, 1, 0);
	put(GRAPHICS, 3, 0);
	put(GRAPHICS, 4, plane);
	put(GRAPHICS, 5, 0);
	put(GRAPHICS, 6, 5);		/* 64 KiB at A0000h */
	put(GRAPHICS, 8, 0xff);
}

static void keep_vbe(const struct pci_dev *pdev)
{
	unsigned int i;
	u16 units;

	kept.vbe[VBE_ID] = 0;
	lfb = lfb_size = 0;
	if ((pdev && pdev->vendor != VENDOR_EMULATOR) || (vbe_get(VBE_ID) & 0xfff0) != 0xb0c0)
		return;
	for (i = 0; i < VBE_REGISTERS; i++)
		kept.vbe[i] = vbe_get(i);
	if (pdev)
		return;		/* its frame buffer is a BAR */
	units = vbe_get(VBE_MEMORY);
	lfb = VBE_LFB;
	lfb_size = units && units != 0xffff ? (u64)units << 16 : VBE_LEAST;
}

static void write_vbe(void)
{
	unsigned int i;

	if (!kept.vbe[VBE_ID])
		return;
	vbe_put(VBE_ENABLE, 0);
	if (!(kept.vbe[VBE_ENABLE] & 1))
		return;
	for (i = 1; i < VBE_ENABLE; i++)
		vbe_put(i, kept.vbe[i]);
	vbe_put(VBE_ENABLE, kept.vbe[VBE_ENABLE] & ~VBE_NO_CLEAR);
	for (i = VBE_ENABLE + 1; i < VBE_REGISTERS; i++)
		vbe_put(i, kept.vbe[i]);
}

static int keep(struct avmm_refusal *why)
{
	void __iomem *planes = ioremap(PLANES_AT, PLANE_SIZE);

	kept.fonts = vmalloc(PLANE_SIZE);
	if (!planes || !kept.fonts) {
		vfree(kept.fonts);
		if (planes)
			iounmap(planes);
		return avmm_refuse(why, -ENOMEM, "vga: there is no memory for what its fonts are");
	}
	keep_registers();
	keep_vbe(vga_default_device());
	if (is_text()) {
		open_plane(FONT_PLANE);
		memcpy_fromio(kept.fonts, planes, PLANE_SIZE);
		write_planes();
	}
	iounmap(planes);
	return 0;
}

/* Fonts into their plane, and nothing on the screen. */
static void write_text(void __iomem *planes)
{
	unsigned int i;

	open_plane(FONT_PLANE);
	memcpy_toio(planes, kept.fonts, PLANE_SIZE);
	for (i = 0; i < 2; i++) {
		open_plane(i);
		memset_io(planes, i ? BLANK >> 8 : BLANK & 0xff, PLANE_SIZE);
	}
	write_planes();
}

static int restore(struct avmm_refusal *why)
{
	void __iomem *planes = ioremap(PLANES_AT, PLANE_SIZE);

	if (!planes)
		return avmm_refuse(why, -ENOMEM, "vga: its memory cannot be mapped");
	write_vbe();
	write_registers();
	if (is_text())
		write_text(planes);
	iounmap(planes);
	return 0;
}

/* The service's console */

#ifdef AVMM_HAVE_VGACON
/* What graphics drivers do. Bound or not, it must not be one that somebody could bind meanwhile. */
static int leave_vgacon(struct avmm_refusal *why)
{
	int err = 0;

	console_lock();
	had_vgacon = con_is_bound(&vga_con);
	if (had_vgacon)
		err = do_take_over_console(&dummy_con, 0, MAX_NR_CONSOLES - 1, 1);
	if (had_vgacon && !err)
		err = do_unregister_con_driver(&vga_con);
	console_unlock();
	if (err)
		avmm_refuse(why, err, "vga: the service's text console does not leave the screen: error %d", err);
	return err;
}

static void take_vgacon(void)
{
	int err = 0;

	console_lock();
	if (had_vgacon)
		err = do_take_over_console(&vga_con, 0, MAX_NR_CONSOLES - 1, 1);
	console_unlock();
	had_vgacon = false;
	if (err)
		pr_avmm(KERN_WARNING, "vga: the service's text console does not come back: error %d\n", err);
}
#else
static int leave_vgacon(struct avmm_refusal *why)
{
	return 0;
}

static void take_vgacon(void)
{
}
#endif

/* There is one at most. */
static int leave_frame_buffer(struct avmm_refusal *why)
{
	static const char *const firmware[] = {
		"vesa-framebuffer.0", "efi-framebuffer.0", "simple-framebuffer.0", "vga-framebuffer.0",
		"platform-framebuffer.0",
	};
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(firmware); i++)
		if (avmm_hold(&frame_buffer, firmware[i], &err, why))
			return err;
	return 0;
}

const char *avmm_vga_was(void)
{
	return had_vgacon ? "vgacon" : frame_buffer.was;
}

int avmm_vga_take(struct avmm_refusal *why)
{
	int err;

	frame_buffer = (struct avmm_held){ };
	had_vgacon = false;
	err = leave_frame_buffer(why);
	if (err)
		return err;
	err = leave_vgacon(why);
	if (!err)
		err = keep(why);
	if (!err && lfb_size &&
	    region_intersects(lfb, lfb_size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) != REGION_DISJOINT) {
		err = avmm_refuse(why, -EBUSY, "vga: there is RAM where its frame buffer should be, at %llx", lfb);
		vfree(kept.fonts);
	}
	if (err) {
		take_vgacon();
		avmm_let_go(&frame_buffer);
	}
	return err;
}

void avmm_vga_give(void)
{
	struct avmm_refusal ignored;

	if (restore(&ignored))
		pr_avmm(KERN_WARNING, "vga: the screen stays as it is\n");
	vfree(kept.fonts);
	take_vgacon();
	avmm_let_go(&frame_buffer);
}

static bool is_assigned(const struct pci_dev *pdev)
{
	struct avmm_device_info info;
	unsigned int i;

	for (i = 0; i < AVMM_MAX_DEVICES; i++)
		if (avmm_device_info(i, &info) && !strcmp(info.address, pci_name(pdev)))
			return true;
	return false;
}

int avmm_vga_ready(u64 *base, u64 *size, struct avmm_refusal *why)
{
	const struct pci_dev *pdev = vga_default_device();

	if (pdev && !is_assigned(pdev))
		return avmm_refuse(why, -EBUSY, "vga: the screen is that of %s, which is not assigned", pci_name(pdev));
	*base = lfb;
	*size = lfb_size;
	return restore(why);
}
