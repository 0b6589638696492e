/* SPDX-License-Identifier: GPL-2.0-only */
/* Direct-access devices that are not on the PCI bus: "i8042", "vga". */
#ifndef AVMMCTL_LEGACY_H
#define AVMMCTL_LEGACY_H

#include "image.h"
#include "netlink.h"

/*
 * Tells a boot image of those that are assigned: firmware gets a screen and a video BIOS, a kernel the state of the
 * screen. EXIT_DONE, or EXIT_REFUSED after having said why.
 */
int legacy_fit(struct connection *connection, const struct config *config, struct image *image);

/* This Linux's driver of one; "" if there is none. */
void legacy_driver(const char *name, char *driver, size_t size);

#endif
