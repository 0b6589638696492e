/* SPDX-License-Identifier: GPL-2.0-only */
/* Direct-access devices: what of Linux uses one, and the requests about them. */
#ifndef AVMMCTL_DEVICE_H
#define AVMMCTL_DEVICE_H

#include <stddef.h>
#include "config.h"
#include "messages.h"
#include "netlink.h"
#include "vfio.h"
#include "window.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"

/* Says in words what uses the device in this Linux; false: nothing does. */
bool device_in_use(const char *address, char *words, size_t size);

/* Looks for an identity window, as window_find() does. Returns EXIT_DONE, or EXIT_REFUSED after having said why. */
int device_window(u64 *size, u64 *base, enum window_state *state);

/* Each returns EXIT_DONE, or EXIT_REFUSED after having said why. One that is assigned already: done if again. */
int device_assign(struct connection *connection, const struct config_device *device, bool again);
int device_release(struct connection *connection, const char *address);

/* device-hold.c: opens all that are assigned with dma = iommu, for a partition that was just created. Likewise. */
int devices_hold(struct connection *connection, struct vfio *vfio, u64 memory);

#endif
