/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boot image: the files that the configuration names, and what of them goes where in the partition's memory. Either
 * firmware or a kernel.
 */
#ifndef AVMMCTL_IMAGE_H
#define AVMMCTL_IMAGE_H

#include "config.h"
#include "firmware/fw-cfg.h"
#include "firmware/rom.h"
#include "loader/boot.h"

/* Direct-access devices that the image has to know of. */
struct image_devices {
	bool keyboard, vga;
	bool console;			/* the screen's state at a direct boot is known */
	u8 screen[BOOT_SCREEN];
	u8 *video_bios;			/* for firmware; NULL: none */
	u32 video_bios_size;
};

struct image {
	u8 *firmware;			/* the whole file; NULL: direct boot of a kernel */
	u8 *variables;			/* its own; NULL: none that could be kept */
	struct rom rom;
	struct firmware_files *files;

	u8 *kernel;			/* the whole file */
	int initrd;			/* file descriptor, -1: none */
	const char *initrd_name;
	struct bzimage header;
	struct boot_request request;
	struct boot_layout layout;
	struct image_devices devices;
};

/* Each returns EXIT_DONE, or EXIT_REFUSED after having said why. */
int image_open(struct image *image, const struct config *config);
int image_plan(struct image *image, const struct config *config);	/* anew: its devices are others */
int image_write(const struct image *image);	/* to the partition's memory, which is zero */

void image_close(struct image *image);

/* what: "a Linux kernel". The buffer is the caller's to free, also after a refusal. */
int image_read_file(const char *name, const char *what, u64 max, u8 **data, u64 *size);

#endif
