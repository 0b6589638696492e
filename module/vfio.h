/* SPDX-License-Identifier: GPL-2.0-only */
/* vfio.c: devices that vfio-pci holds for a process. */
#ifndef MODULE_VFIO_H
#define MODULE_VFIO_H

#include <linux/types.h>

struct avmm_vfio;

/* Of the process that calls. */
struct avmm_vfio_files {
	int device;			/* vfio's */
	int raised;			/* eventfds: vfio signals it at an interrupt … */
	int done;			/* … and unmasks that at the other one */
};

/* Both in interrupt context, with a lock held under which they must not call back. */
struct avmm_vfio_calls {
	void (*raised)(void *data);	/* an interrupt, which vfio has masked */
	void (*gone)(void *data);	/* the process has ended: vfio has the device until drop() */
};

/* An ERR_PTR(). May sleep, as drop() may, after which there are no calls any more. */
struct avmm_vfio *avmm_vfio_hold(const struct avmm_vfio_files *files, const struct avmm_vfio_calls *calls, void *data);
void avmm_vfio_drop(struct avmm_vfio *v);

void avmm_vfio_done(struct avmm_vfio *v);	/* the interrupt is finished; in any context, but not within raised() */
bool avmm_vfio_gone(const struct avmm_vfio *v);

#endif
