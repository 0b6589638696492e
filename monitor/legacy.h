/* SPDX-License-Identifier: GPL-2.0-only */
/* legacy.c: direct-access devices that are not on the PCI bus. */
#ifndef MONITOR_LEGACY_H
#define MONITOR_LEGACY_H

#include <vdev/bars.h>
#include <vdev/vdev.h>

struct partition;

/* A hypercall: enum avmm_legacy; of the VGA its linear frame buffer, size 0: none. 0 or a negative errno. */
s64 legacy_add(u64 which, u64 base, u64 size);
bool legacy_has(u64 which);
/* Is this address in the VGA's memory, which the service does not have now? */
bool legacy_is_vga(u64 gpa);

/* A partition is created and has none; its platform is there; the vCPUs will not run any more. */
void legacy_reset(void);
void legacy_start(struct partition *p, const struct vdev_irq *irq, void (*reset)(void *ctx));
void legacy_stop(void);

/* Behind platform_lock(). False: no such line. */
bool legacy_edge(u64 number);

/* Where BARs must not be. */
struct bars_range legacy_frame_buffer(void);

#endif
