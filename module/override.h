/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * driver_override of a struct pci_dev or a struct platform_device: the field has moved into struct device. A name of ""
 * clears it; returns 0 or a negative errno.
 */
#ifndef MODULE_OVERRIDE_H
#define MODULE_OVERRIDE_H

#include <linux/device.h>
#include <linux/string.h>

#ifdef AVMM_HAVE_DEVICE_DRIVER_OVERRIDE
static inline bool avmm_has_override(struct device *dev)
{
	bool has = device_has_driver_override(dev);

	/* for sparse, which does not know that the guard in there has ended with its block */
	__release(&dev->driver_override.lock);
	return has;
}

#define avmm_override(owner, name)	device_set_driver_override(&(owner)->dev, name)
#define avmm_is_overridden(owner)	avmm_has_override(&(owner)->dev)
#else
#define avmm_override(owner, name) \
	driver_set_override(&(owner)->dev, &(owner)->driver_override, name, strlen(name))
#define avmm_is_overridden(owner)	(!!(owner)->driver_override)
#endif

#endif
