/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's messages say. Touches no socket: tests and a fuzzer feed it. A message may lack attributes (an
 * older module: they read as 0) and may have unknown ones (a newer module: they are passed over).
 */
#ifndef AVMMCTL_MESSAGES_H
#define AVMMCTL_MESSAGES_H

#include <netlink/netlink.h>
#include <avmm/boot.h>
#include <avmm/disk.h>
#include <avmm/partition.h>
#include <avmm/shared.h>
#include "../include/uapi/avmm_netlink.h"

#define LOG_TEXT_MAX	8192	/* bytes of text in one message that are looked at */

struct cpu_status {
	u32 cpu;
	u32 state;			/* enum avmm_cpu_state */
	u32 online;
	u64 launch_ticks;
	u64 exit_total;
	u64 counters[AVMM_COUNTERS];
};

struct disk_status {
	bool present;
	bool cdrom;
	bool read_only;
	char path[256];			/* "": no disc */
	u64 size;
	u64 waiting;			/* milliseconds */
	u64 counters[AVMM_DISK_COUNTERS];
};

struct partition_status {
	u32 state;			/* enum avmm_partition_state; of NONE only the reason is known */
	u32 reason;
	u32 resets;
	u64 memory;
	u32 vcpus;
	u32 shared;		/* enum avmm_shared */
	u32 service_share;		/* permille, as the caps */
	u32 cap_service;
	u32 cap_user;
	u32 on_triple_fault;
	u32 freeze_after;
	u32 max_skew;			/* microseconds */
	char frozen[384];		/* why; "": it is not */
	struct disk_status disk[AVMM_DISK_UNITS];
	u64 exits[AVMM_EXIT_REASONS];
	u64 counters[AVMM_PARTITION_COUNTERS];
	u64 time_service;		/* TSC ticks of the shared CPU */
	u64 time_user;
	u64 time_idle;
	u64 time_monitor;
	u64 guest_time;
	u64 tsc;			/* when this was said */
};

struct shares {
	u32 service_share;		/* permille */
	u32 cap_service;
	u32 cap_user;
};

struct machine_status {
	char version[64];
	u32 state;
	u64 memory_total;
	u64 memory_used;
	u64 text_size;
	u64 prepare_ticks;
	u32 tsc_khz;			/* 0: not known */
	u64 reserve;			/* bytes that a partition leaves to Linux unless told otherwise */
	struct partition_status partition;
	u32 ncpus;
	struct cpu_status cpu[AVMM_MAX_CPUS];
};

struct cpu_stats {
	bool present;
	u32 state;			/* enum avmm_cpu_state */
	u64 exits[AVMM_EXIT_REASONS];
	u64 counters[AVMM_COUNTERS];
	u64 user_exits[AVMM_EXIT_REASONS];	/* of the user's vCPU there */
};

/* By Linux's CPU number. */
struct machine_stats {
	struct cpu_stats cpu[AVMM_MAX_CPUS];
};

struct log_part {
	u64 end;			/* the log's length, in a dump's first message; else 0 */
	u64 offset;			/* of text */
	char text[LOG_TEXT_MAX + 1];	/* may be empty */
};

struct console_part {
	u64 end;			/* as in struct log_part */
	u64 offset;
	size_t size;
	const char *data;		/* in the message */
};

struct device_status {
	bool known;
	u32 number;
	char address[16];
	char driver[32];		/* that had it before */
	u32 dma;
	u32 rom;			/* bytes that the guest sees */
	u32 irq;
	u32 guest;			/* device << 3 | function */
	u32 live;
	u32 messages;			/* that it may send */
	u32 mode;			/* enum avmm_device_mode */
	u32 counters[AVMM_DEVICE_COUNTERS];
};

/* Each returns 0 or a negative errno: -EINVAL for a malformed message. Messages add to *stats. */
int parse_status(struct nlmsghdr *header, struct machine_status *status);
int parse_stats(struct nlmsghdr *header, struct machine_stats *stats);
int parse_log(struct nlmsghdr *header, struct log_part *part);
int parse_console(struct nlmsghdr *header, struct console_part *part);
int parse_partition(struct nlmsghdr *header, struct partition_status *partition);
int parse_device(struct nlmsghdr *header, struct device_status *device);
int parse_shares(struct nlmsghdr *header, struct shares *shares);

/* Does a vCPU of the user's run on this CPU? */
bool has_vcpu(const struct machine_stats *stats, const struct partition_status *user, u32 cpu);
u64 exits_sum(const u64 exits[AVMM_EXIT_REASONS]);

/* How a dump ended: 0 or a negative errno. */
int parse_done(struct nlmsghdr *header);

/* The kernel's text in an error message or at the end of a dump (extended acknowledgement), NULL if there is none. */
const char *parse_extack(struct nlmsghdr *header);

#endif
