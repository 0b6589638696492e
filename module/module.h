/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of avmm.ko other than netlink offer to each other. */
#ifndef MODULE_MODULE_H
#define MODULE_MODULE_H

#include <avmm/boot.h>
#include <avmm/partition.h>
#include <vmx/launch/launch.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmm.h"

/* memory.c: everything that the monitor lives in. Exists from before the first launch until after the last leave. */
struct avmm_memory {
	struct page *block[AVMM_MAX_BLOCKS];
	unsigned int nblocks;
	struct page **shared;		/* log, statistics, boot information */
	unsigned int nshared;
	void *shared_rw;		/* for the preparation */
	const void *shared_ro;
	struct avmm_boot_info *info;	/* in shared_rw */
	u64 prepare_ticks;
	u64 init_ticks;			/* of the longest step of the monitor's init, with interrupts off */
};

extern struct avmm_memory avmm_memory;

/* Takes memory, lays out the image, calls its init. -ENOMEM, or what init says; nothing stays behind then. */
int avmm_memory_prepare(void);
/* Gives back everything but the shared pages, which keep log and statistics for later questions. */
void avmm_memory_release(void);
/* Gives back the shared pages too. */
void avmm_memory_exit(void);

/* The statistics page of a CPU for the module's own marks; only before the monitor writes there. */
struct avmm_cpu_stats *avmm_shared_stats_rw(unsigned int cpu);

/* The user partition's shared pages; they exist once memory was prepared, until module exit. */
const struct avmm_partition_page *avmm_shared_partition(void);
struct avmm_console *avmm_shared_console(void);
void *avmm_shared_disk(void);	/* struct avmm_disk_page, and the data areas behind it */

/* space.c: the monitor's page tables, built in its own blocks. */
int avmm_space_build(const struct avmm_image_header *image);

/* message.c: the interrupt by which the monitor calls the module. */
int avmm_message_init(void);
void avmm_message_exit(void);
int avmm_message_cpu_up(unsigned int cpu);	/* on that CPU, launched */
void avmm_message_cpu_down(unsigned int cpu);	/* likewise */

/* owner.c */
const char *avmm_vmx_owner(void);

/* debug.c: debug builds only */
#ifdef AVMM_DEBUG
void avmm_debug_init(void);
void avmm_debug_exit(void);
#else
static inline void avmm_debug_init(void) { }
static inline void avmm_debug_exit(void) { }
#endif

/* The image in avmm.ko, see image.S. */
extern const char avmm_image[], avmm_image_end[];

#endif
