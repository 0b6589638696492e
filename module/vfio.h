/* SPDX-License-Identifier: GPL-2.0-only */
/* vfio.c: devices that vfio-pci holds for a process. */
#ifndef MODULE_VFIO_H
#define MODULE_VFIO_H

#include <linux/types.h>

struct avmm_vfio;

/* Both in interrupt context, with a lock held under which they must not call back. */
struct avmm_vfio_calls {
	void (*raised)(void *data);	/* an interrupt, which vfio has masked */
	void (*gone)(void *data);	/* the process has ended or let the device go: vfio has it no more, or soon */
};

/*
 * raised, done: eventfds of the process that calls, which vfio signals at an interrupt and which let it unmask. An
 * ERR_PTR(). May sleep, as drop() may, after which there are no calls any more.
 */
struct avmm_vfio *avmm_vfio_hold(int raised, int done, const struct avmm_vfio_calls *calls, void *data);
void avmm_vfio_drop(struct avmm_vfio *v);

void avmm_vfio_done(struct avmm_vfio *v);	/* the interrupt is finished; in any context, but not within raised() */
bool avmm_vfio_gone(const struct avmm_vfio *v);

#endif
