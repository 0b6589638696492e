/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Overlays: what a disk writes goes into a thin volume (the device mapper's, dm-thin) in front of its backing, which is
 * only read. It lies in two sparse files, in memory or in a folder.
 */
#ifndef AVMMCTL_OVERLAY_H
#define AVMMCTL_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <avmm/types.h>

#define OVERLAY_FULL	90	/* percent, from which on it is told that one is nearly full */

struct overlay_use {
	u64 used;		/* bytes */
	u64 size;
};

/*
 * For disk `number` in front of the block device `origin`: `where` is "ram" or a folder. The device's name goes into
 * device. EXIT_DONE, or EXIT_REFUSED after having said why.
 */
int overlay_make(unsigned int number, const char *origin, const char *where, u64 size, char *device, size_t device_size);
/* When nobody uses it any more; one in memory is gone then. Quiet if there is none. */
void overlay_remove(unsigned int number);
bool overlay_device(unsigned int number, char *device, size_t size);	/* false: there is none */
bool overlay_use(unsigned int number, struct overlay_use *use);	/* false: there is none */
/* Back to what the backing has. It must not be in use. */
int overlay_forget(unsigned int number, const char *where);

/* disk.c. A loop device with this file; its descriptor, or -1 after having said why. It goes with its last user. */
int loop_device(const char *file, bool read_only, char *name, size_t size);

#endif
