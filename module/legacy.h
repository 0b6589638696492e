/* SPDX-License-Identifier: GPL-2.0-only */
/* legacy.c, vga.c: direct-access devices that are not on the PCI bus; `struct avmm_device_info` and locks as in device.h. */
#ifndef MODULE_LEGACY_H
#define MODULE_LEGACY_H

#include <avmm/device.h>

struct avmm_device_info;
struct avmm_refusal;
struct platform_device;

int avmm_legacy_init(void);
void avmm_legacy_exit(void);		/* all go back to Linux */

/* "i8042", "vga": enum avmm_legacy; a negative errno for another name. */
int avmm_legacy_find(const char *name);
int avmm_legacy_assign(enum avmm_legacy which, struct avmm_refusal *why);
int avmm_legacy_release(enum avmm_legacy which, struct avmm_refusal *why);
bool avmm_legacy_info(enum avmm_legacy which, struct avmm_device_info *info);

/* For partition.c, under its lock: as those of device.h, but go comes before the start. */
int avmm_legacy_attach(struct avmm_refusal *why);
void avmm_legacy_go(void);
void avmm_legacy_halt(void);

/* A platform device of Linux's that a stub of ours holds instead of its driver. */
struct avmm_held {
	struct platform_device *pdev;	/* NULL: none */
	char was[32];			/* its driver */
};

/* False: there is no such device. *err otherwise: 0, or a negative errno with `why` filled in. */
bool avmm_hold(struct avmm_held *held, const char *name, int *err, struct avmm_refusal *why);
void avmm_let_go(struct avmm_held *held);	/* its driver may have it again */

/* vga.c */
int avmm_vga_take(struct avmm_refusal *why);
void avmm_vga_give(void);
/* What takes the place of the service's console: what it was, "" if there was none on the screen. */
const char *avmm_vga_was(void);
/* The screen as it was when it was taken, but empty; the monitor has nothing of it yet. */
int avmm_vga_ready(u64 *lfb, u64 *size, struct avmm_refusal *why);

#endif
