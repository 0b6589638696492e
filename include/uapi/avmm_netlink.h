/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Generic netlink family "avmm", version 1. Attributes and commands are only ever added. Requests that change
 * something need CAP_NET_ADMIN; errors come with a text (extended acknowledgement) that names the cause.
 */
#ifndef UAPI_AVMM_NETLINK_H
#define UAPI_AVMM_NETLINK_H

#define AVMM_GENL_NAME		"avmm"
#define AVMM_GENL_VERSION	1
#define AVMM_GENL_MCGRP_EVENTS	"events"

enum avmm_genl_cmd {
	AVMM_CMD_UNSPEC,
	AVMM_CMD_GET_STATUS,	/* reply: VERSION, STATE, MEMORY*, LAUNCH_*, then CPUS of STATE */
	AVMM_CMD_GET_STATS,	/* dump: a message per CPU: CPU, EXITS (reason, count pairs), COUNTERS */
	AVMM_CMD_GET_LOG,	/* dump: LOG_OFFSET, LOG_TEXT per message; request may carry LOG_OFFSET to start at;
				   needs CAP_NET_ADMIN, for fault reports show registers */
	AVMM_CMD_EVENT,		/* multicast: EVENT, LOG_TEXT */
	__AVMM_CMD_MAX,
};
#define AVMM_CMD_MAX (__AVMM_CMD_MAX - 1)

enum avmm_genl_attr {
	AVMM_ATTR_UNSPEC,
	AVMM_ATTR_PAD,
	AVMM_ATTR_VERSION,		/* string: version of avmm.ko */
	AVMM_ATTR_STATE,		/* u32: 0 loaded, 1 launched, 2 partly launched */
	AVMM_ATTR_MEMORY_TOTAL,		/* u64: bytes taken from Linux for the monitor */
	AVMM_ATTR_MEMORY_USED,		/* u64: bytes of these in use */
	AVMM_ATTR_TEXT_SIZE,		/* u64: bytes of monitor text */
	AVMM_ATTR_PREPARE_TICKS,	/* u64: TSC ticks of the preparation */
	AVMM_ATTR_TSC_KHZ,		/* u32 */
	AVMM_ATTR_CPUS,			/* nested list of nested CPU entries (status) */
	AVMM_ATTR_CPU_ENTRY,		/* nested: CPU, CPU_STATE, LAUNCH_TICKS, LEAVE_TICKS, COUNTERS, EXIT_TOTAL */
	AVMM_ATTR_CPU,			/* u32: Linux's CPU number */
	AVMM_ATTR_CPU_STATE,		/* u32: enum avmm_cpu_state */
	AVMM_ATTR_LAUNCH_TICKS,		/* u64: TSC ticks that this CPU had interrupts off for the launch */
	AVMM_ATTR_EXIT_TOTAL,		/* u64 */
	AVMM_ATTR_EXITS,		/* binary: array of { u32 reason; u32 zero; u64 count; }, only non-zero rows */
	AVMM_ATTR_COUNTERS,		/* binary: array of u64, by enum avmm_counter */
	AVMM_ATTR_LOG_OFFSET,		/* u64: bytes ever written before LOG_TEXT */
	AVMM_ATTR_LOG_TEXT,		/* string */
	AVMM_ATTR_EVENT,		/* u32: enum avmm_event */
	AVMM_ATTR_CPU_ONLINE,		/* u32: 1 if Linux uses this CPU (in CPU_ENTRY) */
	AVMM_ATTR_LOG_END,		/* u64: bytes ever written; a log dump starts with a message that has it */
	__AVMM_ATTR_MAX,
};
#define AVMM_ATTR_MAX (__AVMM_ATTR_MAX - 1)

enum avmm_event {
	AVMM_EVENT_LAUNCHED,
	AVMM_EVENT_LEFT,
	AVMM_EVENT_LOG,			/* the monitor wrote to its log */
};

#endif
