/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct-access devices behind an IOMMU. Stock vfio-pci holds them; a process opens them there, and they reach user RAM,
 * at the guest's own addresses, and nothing else. When that process ends, whatever ended it, so does their DMA.
 */
#ifndef AVMMCTL_VFIO_H
#define AVMMCTL_VFIO_H

#include <stdbool.h>
#include <avmm/types.h>

#define VFIO_DEVICES	8u

/* vfio-bind.c: the device's driver. Each returns EXIT_DONE, or EXIT_REFUSED after having said why. */

/* Binds it to vfio-pci. */
int vfio_take(const char *address);
/* Undoes that: whichever driver wants it may have it. */
int vfio_give(const char *address);

/* vfio.c: the open devices */

struct vfio_device {
	char address[16];
	int group;		/* file descriptors; a group is opened once, by its first device */
	int device;
	int raised;		/* eventfd: the device has interrupted, and its interrupt is masked */
	int done;		/* eventfd: it may be unmasked */
	u32 group_number;
};

struct vfio {
	int container;		/* -1: not open yet */
	u64 memory;		/* bytes of user RAM that are mapped */
	u32 count;
	struct vfio_device device[VFIO_DEVICES];
};

/* Stretches of user RAM, as /dev/avmm has them: how many, two at most. */
struct vfio_stretch {
	u64 guest;
	u64 size;
};

u32 vfio_stretches(u64 memory, struct vfio_stretch stretch[2]);

void vfio_begin(struct vfio *vfio);
int vfio_open(struct vfio *vfio, const char *address);	/* after vfio_take(); resets it, and its interrupts come by eventfd */
int vfio_map(struct vfio *vfio, u64 memory);		/* all user RAM; for those that were opened before */
int vfio_renew(struct vfio *vfio);			/* the guest begins anew: resets all, maps what is user RAM now */
void vfio_close(struct vfio *vfio);			/* no DMA any more, and no page is held; may be called again */

#endif
