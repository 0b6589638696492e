// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink family "avmm": what avmmctl asks for and what it is told. include/uapi/avmm_netlink.h is the
 * contract.
 *
 * The partition's commands are in netlink-partition.c. Has no state besides the registered family. Everything that is
 * told comes from the shared pages, which the monitor writes at any time without lock: each value is read once, a dump
 * shows CPUs at slightly different times.
 */
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/tsc.h>
#include <avmm/boot.h>
#include <avmm/shared.h>
#include <avmm/version.h>
#include "avmm.h"
#include "netlink.h"
#include "partition.h"

#define LOG_CHUNK	2048u	/* bytes of log text per message */
#define EVENT_TEXT_MAX	1024u	/* bytes of text that an event carries */

/*
 * The monitor overwrites the oldest text before it stores head. Bytes this close to being overwritten may be newer
 * than head says and are left out. The monitor's longest line is far shorter.
 */
#define LOG_MARGIN	4096u

struct stats_dump {
	unsigned int next_cpu;
};

struct log_dump {
	u64 next;	/* offset of the next byte to send */
	u64 end;	/* offset where the dump ends: the head when it started */
	bool started;
};

static bool registered;

static unsigned int cpu_limit(void)
{
	return min_t(unsigned int, nr_cpu_ids, AVMM_MAX_CPUS);
}

static u64 exit_total(const struct avmm_cpu_stats *stats)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < AVMM_EXIT_REASONS; i++)
		sum += READ_ONCE(stats->exits[i]);
	return sum;
}

static int put_counters(struct sk_buff *skb, const struct avmm_cpu_stats *stats)
{
	u64 counters[AVMM_COUNTERS];
	unsigned int i;

	for (i = 0; i < AVMM_COUNTERS; i++)
		counters[i] = READ_ONCE(stats->counters[i]);
	return nla_put(skb, AVMM_ATTR_COUNTERS, sizeof(counters), counters);
}

int avmm_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, AVMM_ATTR_PAD);
}

/* GET_STATUS */

static size_t cpu_entry_size(void)
{
	return nla_total_size(0) +					/* AVMM_ATTR_CPU_ENTRY */
	       3 * nla_total_size(sizeof(u32)) +			/* CPU, CPU_STATE, CPU_ONLINE */
	       2 * nla_total_size_64bit(sizeof(u64)) +			/* LAUNCH_TICKS, EXIT_TOTAL */
	       nla_total_size(AVMM_COUNTERS * sizeof(u64));
}

static size_t status_size(void)
{
	return nla_total_size(sizeof(AVMM_VERSION)) +
	       2 * nla_total_size(sizeof(u32)) +			/* STATE, TSC_KHZ */
	       5 * nla_total_size_64bit(sizeof(u64)) +			/* MEMORY_*, TEXT_SIZE, PREPARE_TICKS */
	       avmm_netlink_partition_size() +
	       nla_total_size(0) + cpu_limit() * cpu_entry_size();
}

static int put_cpu_entry(struct sk_buff *skb, unsigned int cpu)
{
	const struct avmm_cpu_stats *stats = avmm_shared_stats(cpu);
	struct nlattr *entry = nla_nest_start(skb, AVMM_ATTR_CPU_ENTRY);
	u32 state = stats ? READ_ONCE(stats->state) : AVMM_CPU_NATIVE;

	if (!entry)
		return -EMSGSIZE;
	if (nla_put_u32(skb, AVMM_ATTR_CPU, cpu) ||
	    nla_put_u32(skb, AVMM_ATTR_CPU_STATE, state) ||
	    nla_put_u32(skb, AVMM_ATTR_CPU_ONLINE, cpu_online(cpu)) ||
	    avmm_put_u64(skb, AVMM_ATTR_LAUNCH_TICKS, avmm_cpu_launch_ticks(cpu)))
		return -EMSGSIZE;
	if (stats && (avmm_put_u64(skb, AVMM_ATTR_EXIT_TOTAL, exit_total(stats)) || put_counters(skb, stats)))
		return -EMSGSIZE;
	nla_nest_end(skb, entry);
	return 0;
}

static int put_cpus(struct sk_buff *skb)
{
	struct nlattr *cpus = nla_nest_start(skb, AVMM_ATTR_CPUS);
	unsigned int cpu;

	if (!cpus)
		return -EMSGSIZE;
	for_each_present_cpu(cpu) {
		if (cpu < cpu_limit() && put_cpu_entry(skb, cpu))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, cpus);
	return 0;
}

/* As AVMM_ATTR_STATE: 0 no online CPU runs above the monitor, 1 all do, 2 some do. */
static u32 machine_state(void)
{
	unsigned int cpu, online = 0, launched = 0;

	for_each_online_cpu(cpu) {
		const struct avmm_cpu_stats *stats = avmm_shared_stats(cpu);

		online++;
		launched += stats && READ_ONCE(stats->state) != AVMM_CPU_NATIVE;
	}
	if (!launched)
		return 0;
	return launched == online ? 1 : 2;
}

static int put_partition(struct sk_buff *skb)
{
	struct avmm_partition_info *info = kmalloc(sizeof(*info), GFP_KERNEL);
	int ret;

	if (!info)
		return -ENOMEM;
	avmm_partition_info(info);
	ret = avmm_netlink_put_partition(skb, info);
	kfree(info);
	return ret;
}

static int put_status(struct sk_buff *skb)
{
	struct avmm_machine_status status;

	avmm_get_status(&status);
	if (nla_put_string(skb, AVMM_ATTR_VERSION, AVMM_VERSION) ||
	    nla_put_u32(skb, AVMM_ATTR_STATE, machine_state()) ||
	    avmm_put_u64(skb, AVMM_ATTR_MEMORY_TOTAL, status.memory_total) ||
	    avmm_put_u64(skb, AVMM_ATTR_MEMORY_USED, status.memory_used) ||
	    avmm_put_u64(skb, AVMM_ATTR_TEXT_SIZE, status.text_size) ||
	    avmm_put_u64(skb, AVMM_ATTR_PREPARE_TICKS, status.prepare_ticks) ||
	    nla_put_u32(skb, AVMM_ATTR_TSC_KHZ, tsc_khz) ||
	    avmm_put_u64(skb, AVMM_ATTR_MEMORY_RESERVE, avmm_partition_default_reserve()) ||
	    put_partition(skb))
		return -EMSGSIZE;
	return put_cpus(skb);
}

static int get_status(struct sk_buff *request, struct genl_info *info)
{
	struct sk_buff *skb = genlmsg_new(status_size(), GFP_KERNEL);
	void *header;

	if (!skb)
		return -ENOMEM;
	header = genlmsg_put_reply(skb, info, &avmm_family, 0, AVMM_CMD_GET_STATUS);
	if (!header || put_status(skb)) {
		NL_SET_ERR_MSG(info->extack, "the status does not fit into a message");
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

/* GET_STATS */

int avmm_put_exits(struct sk_buff *skb, int type, const u64 *exits)
{
	struct avmm_exit_row row = { 0 };
	struct nlattr *attr = nla_reserve(skb, type, 0);
	unsigned int reason;

	if (!attr)
		return -EMSGSIZE;
	for (reason = 0; reason < AVMM_EXIT_REASONS; reason++) {
		row.reason = reason;
		row.count = READ_ONCE(exits[reason]);
		if (row.count && nla_append(skb, sizeof(row), &row))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, attr);	/* sets the length: rows are a multiple of 4 bytes */
	return 0;
}

static int put_cpu_stats(struct sk_buff *skb, struct netlink_callback *cb, unsigned int cpu)
{
	const struct avmm_cpu_stats *stats = avmm_shared_stats(cpu);
	void *header;

	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &avmm_family, NLM_F_MULTI,
			     AVMM_CMD_GET_STATS);
	if (!header)
		return -EMSGSIZE;
	if (nla_put_u32(skb, AVMM_ATTR_CPU, cpu) ||
	    nla_put_u32(skb, AVMM_ATTR_CPU_STATE, READ_ONCE(stats->state)) ||
	    avmm_put_exits(skb, AVMM_ATTR_EXITS, stats->exits) || put_counters(skb, stats) ||
	    avmm_put_exits(skb, AVMM_ATTR_USER_EXITS, stats->user.exits)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return 0;
}

/* Refusals come from the dump itself: what its start() says is lost in some kernels. */
static int require_monitor(struct netlink_callback *cb)
{
	if (avmm_shared_log())
		return 0;
	NL_SET_ERR_MSG(cb->extack, "the monitor was not prepared yet: it has neither statistics nor a log");
	return -ENODEV;
}

/* Sends as many CPUs as fit; the core calls again until nothing more was put. */
static int dump_stats(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct stats_dump *dump = (struct stats_dump *)cb->ctx;
	int ret = require_monitor(cb);

	BUILD_BUG_ON(sizeof(struct stats_dump) > sizeof(cb->ctx));
	if (ret)
		return ret;
	for (; dump->next_cpu < cpu_limit(); dump->next_cpu++) {
		if (!cpu_present(dump->next_cpu) || !avmm_shared_stats(dump->next_cpu))
			continue;
		ret = put_cpu_stats(skb, cb, dump->next_cpu);
		if (ret)
			return skb->len ? skb->len : ret;
	}
	return skb->len;
}

/* GET_LOG */

/* The oldest offset whose byte cannot be overwritten while it is read: see LOG_MARGIN. */
static u64 log_start(u64 head)
{
	return head > AVMM_LOG_TEXT_SIZE - LOG_MARGIN ? head - (AVMM_LOG_TEXT_SIZE - LOG_MARGIN) : 0;
}

/*
 * Copies text of a ring that is being written. Afterwards head tells whether the monitor may have come round to the
 * bytes that were copied: then they are given up and the copy starts again further on. Terminates because dump->end
 * does not move. Returns the number of bytes, 0 at the end.
 */
static unsigned int read_log(const struct avmm_log *log, struct log_dump *dump, char *text)
{
	unsigned int i, len;
	u64 oldest;

	for (;;) {
		oldest = log_start(smp_load_acquire(&log->head));
		if (dump->next < oldest)
			dump->next = oldest;
		if (dump->next >= dump->end)
			return 0;
		len = min_t(u64, dump->end - dump->next, LOG_CHUNK);
		for (i = 0; i < len; i++) {
			text[i] = READ_ONCE(log->text[(dump->next + i) % AVMM_LOG_TEXT_SIZE]);
			if (!text[i])
				text[i] = '?';	/* a string in the message */
		}
		text[len] = '\0';
		smp_rmb();	/* text before head, against the monitor's head after text */
		if (dump->next >= log_start(READ_ONCE(log->head)))
			return len;
	}
}

const struct nla_policy avmm_offset_policy[] = {
	[AVMM_OFFSET_ATTRS] = { .type = NLA_U64 },
};

static int begin_log(struct netlink_callback *cb)
{
	struct nlattr *attrs[AVMM_OFFSET_ATTRS + 1];
	struct log_dump *dump = (struct log_dump *)cb->ctx;
	int ret;

	BUILD_BUG_ON(sizeof(struct log_dump) > sizeof(cb->ctx));
	ret = require_monitor(cb);
	if (ret)
		return ret;
	/* What the core parsed before lies in a structure that differs between kernels. */
	ret = genlmsg_parse(cb->nlh, &avmm_family, attrs, AVMM_OFFSET_ATTRS, avmm_offset_policy, cb->extack);
	if (ret)
		return ret;
	dump->end = smp_load_acquire(&avmm_shared_log()->head);
	dump->next = attrs[AVMM_ATTR_LOG_OFFSET] ? nla_get_u64(attrs[AVMM_ATTR_LOG_OFFSET]) : 0;
	if (dump->next > dump->end) {
		NL_SET_ERR_MSG(cb->extack, "the log is not that long yet");
		return -ERANGE;
	}
	return 0;
}

/* text: NULL for the first message of a dump, which has the length of the log instead. */
static int put_log(struct sk_buff *skb, struct netlink_callback *cb, const char *text)
{
	struct log_dump *dump = (struct log_dump *)cb->ctx;
	void *header;
	int ret;

	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &avmm_family, NLM_F_MULTI,
			     AVMM_CMD_GET_LOG);
	if (!header)
		return -EMSGSIZE;
	if (text)
		ret = avmm_put_u64(skb, AVMM_ATTR_LOG_OFFSET, dump->next) ?:
		      nla_put_string(skb, AVMM_ATTR_LOG_TEXT, text);
	else
		ret = avmm_put_u64(skb, AVMM_ATTR_LOG_END, dump->end);
	if (ret) {
		genlmsg_cancel(skb, header);
		return ret;
	}
	genlmsg_end(skb, header);
	return 0;
}

/* One chunk per call, so that the buffer may live on the heap for this call only. */
static int dump_log(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct log_dump *dump = (struct log_dump *)cb->ctx;
	unsigned int len;
	char *text;
	int ret;

	if (!dump->started) {
		ret = begin_log(cb) ?: put_log(skb, cb, NULL);
		dump->started = !ret;
		return ret ? ret : skb->len;
	}
	text = kmalloc(LOG_CHUNK + 1, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	len = read_log(avmm_shared_log(), dump, text);
	ret = len ? put_log(skb, cb, text) : 0;
	if (!ret)
		dump->next += len;
	kfree(text);
	return ret ? ret : skb->len;
}

/* Without a policy of its own an operation refuses every attribute. */
static const struct genl_ops avmm_ops[] = {
	{ .cmd = AVMM_CMD_GET_STATUS, .doit = get_status },
	{ .cmd = AVMM_CMD_GET_STATS, .dumpit = dump_stats },
	{
		.cmd = AVMM_CMD_GET_LOG, .dumpit = dump_log, .flags = GENL_ADMIN_PERM,
		.policy = avmm_offset_policy, .maxattr = AVMM_OFFSET_ATTRS,
	},
	{ .cmd = AVMM_CMD_GET_PARTITION, .doit = avmm_get_partition },
	{
		.cmd = AVMM_CMD_PARTITION_CREATE, .doit = avmm_do_create, .flags = GENL_ADMIN_PERM,
		.policy = avmm_create_policy, .maxattr = AVMM_CREATE_ATTRS,
	},
	{
		.cmd = AVMM_CMD_PARTITION_START, .doit = avmm_do_start, .flags = GENL_ADMIN_PERM,
		.policy = avmm_start_policy, .maxattr = AVMM_START_ATTRS,
	},
	{
		.cmd = AVMM_CMD_PARTITION_STOP, .doit = avmm_do_stop, .flags = GENL_ADMIN_PERM,
		.policy = avmm_stop_policy, .maxattr = AVMM_STOP_ATTRS,
	},
	{ .cmd = AVMM_CMD_PARTITION_RESET, .doit = avmm_do_reset, .flags = GENL_ADMIN_PERM },
	{
		.cmd = AVMM_CMD_PARTITION_RELOAD, .doit = avmm_do_reload, .flags = GENL_ADMIN_PERM,
		.policy = avmm_reload_policy, .maxattr = AVMM_RELOAD_ATTRS,
	},
	{ .cmd = AVMM_CMD_PARTITION_PAUSE, .doit = avmm_do_pause, .flags = GENL_ADMIN_PERM },
	{ .cmd = AVMM_CMD_PARTITION_RESUME, .doit = avmm_do_resume, .flags = GENL_ADMIN_PERM },
	{
		.cmd = AVMM_CMD_PARTITION_SHARES, .doit = avmm_do_shares, .flags = GENL_ADMIN_PERM,
		.policy = avmm_shares_policy, .maxattr = AVMM_SHARES_ATTRS,
	},
	{
		.cmd = AVMM_CMD_DISK_ATTACH, .doit = avmm_do_disk_attach, .flags = GENL_ADMIN_PERM,
		.policy = avmm_disk_policy, .maxattr = AVMM_DISK_ATTRS,
	},
	{
		.cmd = AVMM_CMD_DISK_DETACH, .doit = avmm_do_disk_detach, .flags = GENL_ADMIN_PERM,
		.policy = avmm_disk_policy, .maxattr = AVMM_DISK_ATTRS,
	},
	{
		.cmd = AVMM_CMD_DEVICE_ASSIGN, .doit = avmm_do_assign, .flags = GENL_ADMIN_PERM,
		.policy = avmm_assign_policy, .maxattr = AVMM_ASSIGN_ATTRS,
	},
	{
		.cmd = AVMM_CMD_DEVICE_RELEASE, .doit = avmm_do_release, .flags = GENL_ADMIN_PERM,
		.policy = avmm_release_policy, .maxattr = AVMM_RELEASE_ATTRS,
	},
	{
		.cmd = AVMM_CMD_DEVICE_HOLD, .doit = avmm_do_hold, .flags = GENL_ADMIN_PERM,
		.policy = avmm_hold_policy, .maxattr = AVMM_HOLD_ATTRS,
	},
	{ .cmd = AVMM_CMD_GET_DEVICES, .dumpit = avmm_dump_devices },
	{
		.cmd = AVMM_CMD_GET_CONSOLE, .dumpit = avmm_dump_console, .flags = GENL_ADMIN_PERM,
		.policy = avmm_offset_policy, .maxattr = AVMM_OFFSET_ATTRS,
	},
};

static const struct genl_multicast_group avmm_groups[] = {
	{ .name = AVMM_GENL_MCGRP_EVENTS },
};

struct genl_family avmm_family = {
	.name = AVMM_GENL_NAME,
	.version = AVMM_GENL_VERSION,
	.module = THIS_MODULE,
	.ops = avmm_ops,
	.n_ops = ARRAY_SIZE(avmm_ops),
	.mcgrps = avmm_groups,
	.n_mcgrps = ARRAY_SIZE(avmm_groups),
};

static int put_text(struct sk_buff *skb, const char *text, size_t len)
{
	struct nlattr *attr = nla_reserve(skb, AVMM_ATTR_LOG_TEXT, len + 1);

	if (!attr)
		return -EMSGSIZE;
	memcpy(nla_data(attr), text, len);
	((char *)nla_data(attr))[len] = '\0';
	return 0;
}

/* text may be NULL; longer text is cut. An event that cannot be sent is lost: whoever listens can still ask. */
void avmm_netlink_event(u32 event, const char *text)
{
	size_t len = text ? strnlen(text, EVENT_TEXT_MAX) : 0;
	struct sk_buff *skb;
	void *header;

	if (!registered || genl_has_listeners(&avmm_family, &init_net, 0) <= 0)
		return;
	skb = genlmsg_new(nla_total_size(sizeof(u32)) + nla_total_size(len + 1), GFP_KERNEL);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &avmm_family, 0, AVMM_CMD_EVENT);
	if (!header || nla_put_u32(skb, AVMM_ATTR_EVENT, event) ||
	    (text && put_text(skb, text, len))) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&avmm_family, skb, 0, 0, GFP_KERNEL);
}

int avmm_netlink_init(void)
{
	int ret = genl_register_family(&avmm_family);

	registered = !ret;
	return ret;
}

/* Waits for requests in progress. */
void avmm_netlink_exit(void)
{
	registered = false;
	genl_unregister_family(&avmm_family);
}
