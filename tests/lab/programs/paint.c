// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draws the test picture, some times over:
 *
 *	paint fb TIMES		on /dev/fb0
 *	paint vbe TIMES		sets 640 x 480 with 8 bits by the VBE registers of emulators' cards, and draws to the linear
 *				frame buffer of one that is not on the PCI bus
 *	paint text TIMES	characters all over the text screen
 *
 * Red is (x / 8) % 8, green (y / 8) % 8, blue (x / 64 + y / 64) % 4. More than 8 bits the emulator's VNC server cannot show.
 */
#include <fcntl.h>
#include <linux/fb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <avmm/types.h>

#define VBE_INDEX	0x1ce
#define VBE_DATA	0x1cf
#define VBE_ENABLE	4
#define VBE_DAC_8	0x20
#define VBE_LFB		0xe0000000
#define DAC_INDEX	0x3c8
#define DAC_DATA	0x3c9
#define VGA_TEXT	0xb8000
#define TEXT_BYTES	(80 * 25 * 2)

struct surface {
	volatile u8 *pixels;
	u32 width, height, pitch;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static u32 scaled(u32 value, u32 most, u32 bits)
{
	return value * ((1u << bits) - 1) / most;
}

/* Eight bits are blue, green and red, from the top: the palette says so. */
static u32 red_of(u32 pixel)
{
	return pixel & 7;
}

static u32 green_of(u32 pixel)
{
	return pixel >> 3 & 7;
}

static u32 blue_of(u32 pixel)
{
	return pixel >> 6;
}

static void draw(const struct surface *s)
{
	u32 x, y;

	for (y = 0; y < s->height; y++)
		for (x = 0; x < s->width; x++)
			s->pixels[y * s->pitch + x] = (u8)(x / 8 % 8 | y / 8 % 8 << 3 | (x / 64 + y / 64) % 4 << 6);
}

static volatile u8 *map(const char *file, off_t at, size_t size)
{
	int fd = open(file, O_RDWR | O_SYNC);
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	if (p == MAP_FAILED)
		die(file);
	return p;
}

static void vbe(u16 index, u16 value)
{
	outw(index, VBE_INDEX);
	outw(value, VBE_DATA);
}

/* By its ports: some versions of vesafb cannot change it. Firmware may have made it one of 8 bits. */
static void set_palette(void)
{
	u32 i, bits;

	if (iopl(3))
		die("iopl");
	outw(VBE_ENABLE, VBE_INDEX);
	bits = inw(VBE_DATA) & VBE_DAC_8 ? 8 : 6;
	outb(0, DAC_INDEX);
	for (i = 0; i < 256; i++) {
		outb((u8)scaled(red_of(i), 7, bits), DAC_DATA);
		outb((u8)scaled(green_of(i), 7, bits), DAC_DATA);
		outb((u8)scaled(blue_of(i), 3, bits), DAC_DATA);
	}
}

static struct surface open_fb(void)
{
	struct fb_var_screeninfo var;
	struct fb_fix_screeninfo fix;
	int fd = open("/dev/fb0", O_RDWR);

	if (fd < 0 || ioctl(fd, FBIOGET_VSCREENINFO, &var) || ioctl(fd, FBIOGET_FSCREENINFO, &fix))
		die("/dev/fb0");
	close(fd);
	printf("%ux%u, %u bits\n", var.xres, var.yres, var.bits_per_pixel);
	if (var.bits_per_pixel != 8)
		exit(1);
	set_palette();
	return (struct surface){ map("/dev/fb0", 0, fix.line_length * var.yres), var.xres, var.yres, fix.line_length };
}

static struct surface open_vbe(void)
{
	if (iopl(3))
		die("iopl");
	vbe(VBE_ENABLE, 0);
	vbe(1, 640);
	vbe(2, 480);
	vbe(3, 8);
	vbe(VBE_ENABLE, 0x41);	/* enabled, linear */
	set_palette();
	return (struct surface){ map("/dev/mem", VBE_LFB, 640 * 480), 640, 480, 640 };
}

static void draw_text(unsigned long times)
{
	volatile u8 *screen = map("/dev/mem", VGA_TEXT, TEXT_BYTES);
	u32 i;

	while (times--)
		for (i = 0; i < TEXT_BYTES; i += 2) {
			screen[i] = (u8)('a' + i / 2 % 26);
			screen[i + 1] = 0x07;
		}
}

int main(int argc, char **argv)
{
	unsigned long times = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct surface s;

	if (!times || (strcmp(argv[1], "fb") && strcmp(argv[1], "vbe") && strcmp(argv[1], "text"))) {
		fprintf(stderr, "usage: paint fb|vbe|text TIMES\n");
		return 2;
	}
	if (!strcmp(argv[1], "text")) {
		draw_text(times);
		return 0;
	}
	s = !strcmp(argv[1], "fb") ? open_fb() : open_vbe();
	while (times--)
		draw(&s);
	return 0;
}
