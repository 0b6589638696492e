/* SPDX-License-Identifier: GPL-2.0-only */
/* The identity window: memory that the kernel leaves alone, where guest-physical addresses are the machine's. */
#ifndef AVMMCTL_WINDOW_H
#define AVMMCTL_WINDOW_H

#include <stdio.h>
#include <avmm/types.h>

#define WINDOW_ALIGN	(2ull << 20)
#define WINDOW_END	(3ull << 30)	/* below the guest's PCI hole, where every device reaches it */

enum window_state {
	WINDOW_FOUND,		/* a place was found, which is ordinary memory now */
	WINDOW_RESERVED,	/* memmap= has reserved one of this size or larger */
	WINDOW_TOO_LARGE,	/* no range of memory is that large; *size: what there is */
	WINDOW_HIDDEN,		/* the addresses are not shown: this needs root */
};

/*
 * iomem: /proc/iomem; cmdline: /proc/cmdline. size: bytes, a multiple of WINDOW_ALIGN. The place is the highest below
 * WINDOW_END: the kernel and what is fixed lie low.
 */
enum window_state window_find(FILE *iomem, const char *cmdline, u64 *size, u64 *base);

#endif
