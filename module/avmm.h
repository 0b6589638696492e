/* SPDX-License-Identifier: GPL-2.0-only */
/* avmm.ko's files see each other through this header. */
#ifndef MODULE_AVMM_H
#define MODULE_AVMM_H

#include <linux/types.h>
#include <avmm/shared.h>

#define pr_avmm(level, fmt, ...) printk(level "avmm: " fmt, ##__VA_ARGS__)

/* What status queries see. launch_ticks is written by the CPU itself, everything else before the first launch. */
struct avmm_machine_status {
	u64 memory_total;		/* bytes */
	u64 memory_used;		/* bytes */
	u64 text_size;			/* bytes */
	u64 prepare_ticks;		/* TSC */
	bool launched;
};

/* Both may sleep; taken and released inside. Values are a snapshot. */
void avmm_get_status(struct avmm_machine_status *status);
u64 avmm_cpu_launch_ticks(unsigned int cpu);

/* The shared pages, read-only; NULL while the monitor has no memory. Valid from module init to exit. */
const struct avmm_log *avmm_shared_log(void);
const struct avmm_cpu_stats *avmm_shared_stats(unsigned int cpu);

/* netlink.c: the generic netlink family; event() may be called from any context that can sleep. */
int avmm_netlink_init(void);
void avmm_netlink_exit(void);
void avmm_netlink_event(u32 event, const char *text);

#endif
