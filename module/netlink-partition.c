// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user partition's commands of the netlink family: attributes in, words and attributes out. What is allowed when is
 * decided in partition.c. Has no state but the words of the last refusals, which must live until the core has sent
 * them.
 */
#include <linux/atomic.h>
#include <linux/slab.h>
#include <asm/msr.h>
#include "module.h"
#include "netlink.h"
#include "partition.h"

#define FREEZE_AFTER	10	/* seconds: guests lose their patience after 30 at the earliest */
#define CONSOLE_CHUNK	2048u	/* bytes of output per message */
#define REFUSALS	8u	/* refusals that may be on their way at a time */

struct console_dump {
	u64 next;
	u64 end;	/* when the dump started */
	bool started;
};

const struct nla_policy avmm_create_policy[] = {
	[AVMM_ATTR_PARTITION_MEMORY] = { .type = NLA_U64 },
	[AVMM_ATTR_MEMORY_RESERVE] = { .type = NLA_U64 },
	[AVMM_ATTR_VCPUS] = { .type = NLA_U32 },
	[AVMM_ATTR_SERVICE_SHARE] = { .type = NLA_U32 },
	[AVMM_ATTR_CAP_SERVICE] = { .type = NLA_U32 },
	[AVMM_ATTR_CAP_USER] = { .type = NLA_U32 },
	[AVMM_ATTR_ON_TRIPLE_FAULT] = { .type = NLA_U32 },
	[AVMM_ATTR_FREEZE_AFTER] = { .type = NLA_U32 },
	[AVMM_ATTR_SHARED] = { .type = NLA_U32 },
	[AVMM_ATTR_ROM_SIZE] = { .type = NLA_U64 },
	[AVMM_ATTR_MAX_SKEW] = { .type = NLA_U32 },
	[AVMM_ATTR_FLASH] = { .type = NLA_U64 },
	[AVMM_ATTR_FLASH_SIZE] = { .type = NLA_U64 },
	[AVMM_CREATE_ATTRS] = { .type = NLA_U64 },
};

const struct nla_policy avmm_start_policy[] = {
	[AVMM_ATTR_RIP] = { .type = NLA_U64 },
	[AVMM_ATTR_RSI] = { .type = NLA_U64 },
	[AVMM_ATTR_CR3] = { .type = NLA_U64 },
	[AVMM_ATTR_GDT_BASE] = { .type = NLA_U64 },
	[AVMM_ATTR_GDT_LIMIT] = { .type = NLA_U32 },
	[AVMM_ATTR_EPOCH] = { .type = NLA_U64 },
	[AVMM_START_ATTRS] = { .type = NLA_U64 },
};

const struct nla_policy avmm_stop_policy[] = {
	[AVMM_STOP_ATTRS] = { .type = NLA_FLAG },
};

const struct nla_policy avmm_reload_policy[] = {
	[AVMM_RELOAD_ATTRS] = { .type = NLA_FLAG },
};

const struct nla_policy avmm_shares_policy[] = {
	[AVMM_ATTR_SERVICE_SHARE] = { .type = NLA_U32 },
	[AVMM_ATTR_CAP_SERVICE] = { .type = NLA_U32 },
	[AVMM_SHARES_ATTRS] = { .type = NLA_U32 },
};

const struct nla_policy avmm_disk_policy[] = {
	[AVMM_ATTR_DISK_NUMBER] = { .type = NLA_U32 },
	[AVMM_ATTR_DISK_PATH] = { .type = NLA_NUL_STRING, .len = AVMM_DISK_PATH_MAX },
	[AVMM_ATTR_DISK_CDROM] = { .type = NLA_FLAG },
	[AVMM_DISK_ATTRS] = { .type = NLA_FLAG },
};

/* Where the words of a refusal go: they are still needed when the command has returned. */
struct avmm_refusal *avmm_next_refusal(void)
{
	static struct avmm_refusal refusals[REFUSALS];
	static atomic_t next;
	struct avmm_refusal *why = &refusals[(unsigned int)atomic_inc_return(&next) % REFUSALS];

	why->text[0] = '\0';
	return why;
}

int avmm_answer(struct genl_info *info, int err, const struct avmm_refusal *why)
{
	if (err && info->extack && why->text[0])
		info->extack->_msg = why->text;
	return err;
}

static u64 get_u64(struct genl_info *info, int attr, u64 otherwise)
{
	return info->attrs[attr] ? nla_get_u64(info->attrs[attr]) : otherwise;
}

static u32 get_u32(struct genl_info *info, int attr, u32 otherwise)
{
	return info->attrs[attr] ? nla_get_u32(info->attrs[attr]) : otherwise;
}

/* The partition, as attributes */

static size_t disk_size(void)
{
	return nla_total_size(0) + 3 * nla_total_size(sizeof(u32)) + nla_total_size(AVMM_DISK_PATH_MAX + 1) +
	       2 * nla_total_size_64bit(sizeof(u64)) + nla_total_size(AVMM_DISK_COUNTERS * sizeof(u64));
}

size_t avmm_netlink_partition_size(void)
{
	return nla_total_size(0) +				/* PARTITION */
	       10 * nla_total_size(sizeof(u32)) +	/* STATE to RESETS, VCPUS to ON_TRIPLE_FAULT, FREEZE_AFTER, SHARED */
	       nla_total_size(sizeof(u32)) +		/* MAX_SKEW */
	       nla_total_size(sizeof(((struct avmm_partition_info *)0)->frozen)) +
	       nla_total_size(0) + AVMM_DISK_UNITS * disk_size() +
	       9 * nla_total_size_64bit(sizeof(u64)) +		/* MEMORY, WINDOW, RESERVE, times, TSC */
	       nla_total_size(AVMM_EXIT_REASONS * sizeof(struct avmm_exit_row)) +
	       nla_total_size(AVMM_PARTITION_COUNTERS * sizeof(u64));
}

static int put_counters(struct sk_buff *skb, const struct avmm_partition_info *info)
{
	const struct avmm_user_stats *stats = &info->stats;
	const struct avmm_partition_page *page = &info->page;
	const u64 counters[AVMM_PARTITION_COUNTERS] = {
		[AVMM_PARTITION_COUNT_IO] = stats->io_exits,
		[AVMM_PARTITION_COUNT_MMIO] = stats->mmio_exits,
		[AVMM_PARTITION_COUNT_UNKNOWN_MSR] = stats->unknown_msr,
		[AVMM_PARTITION_COUNT_STRAY] = stats->stray,
		[AVMM_PARTITION_COUNT_INJECTED] = stats->injected,
		[AVMM_PARTITION_COUNT_SWITCHES] = page->switches,
		[AVMM_PARTITION_COUNT_DISK_MESSAGES] = page->disk_messages,
		[AVMM_PARTITION_COUNT_DISK_CALLS] = page->disk_calls,
		[AVMM_PARTITION_COUNT_YIELDS] = page->yields,
		[AVMM_PARTITION_COUNT_FLASH] = page->flash_changes / 2,
	};

	return nla_put(skb, AVMM_ATTR_PARTITION_COUNTERS, sizeof(counters), counters);
}

static int put_page_counts(struct sk_buff *skb, const struct avmm_partition_info *info)
{
	const struct avmm_partition_page *page = &info->page;

	if (avmm_put_exits(skb, AVMM_ATTR_PARTITION_EXITS, info->stats.exits) ||
	    put_counters(skb, info) ||
	    avmm_put_u64(skb, AVMM_ATTR_TIME_SERVICE, page->time_service) ||
	    avmm_put_u64(skb, AVMM_ATTR_TIME_USER, page->time_user) ||
	    avmm_put_u64(skb, AVMM_ATTR_TIME_IDLE, page->time_idle) ||
	    avmm_put_u64(skb, AVMM_ATTR_TIME_MONITOR, page->time_monitor) ||
	    avmm_put_u64(skb, AVMM_ATTR_GUEST_TIME, page->guest_time))
		return -EMSGSIZE;
	return 0;
}

static int put_shares(struct sk_buff *skb, const struct avmm_partition_request *r)
{
	if (nla_put_u32(skb, AVMM_ATTR_SERVICE_SHARE, r->service_share) ||
	    nla_put_u32(skb, AVMM_ATTR_CAP_SERVICE, r->cap_service) ||
	    nla_put_u32(skb, AVMM_ATTR_CAP_USER, r->cap_user))
		return -EMSGSIZE;
	return 0;
}

static int put_request(struct sk_buff *skb, const struct avmm_partition_request *r)
{
	if (avmm_put_u64(skb, AVMM_ATTR_PARTITION_MEMORY, r->memory) || avmm_put_u64(skb, AVMM_ATTR_WINDOW, r->window) ||
	    avmm_put_u64(skb, AVMM_ATTR_MEMORY_RESERVE, r->reserve) ||
	    nla_put_u32(skb, AVMM_ATTR_VCPUS, r->vcpus) ||
	    nla_put_u32(skb, AVMM_ATTR_SHARED, r->shared) ||
	    nla_put_u32(skb, AVMM_ATTR_ON_TRIPLE_FAULT, r->on_triple_fault) ||
	    nla_put_u32(skb, AVMM_ATTR_FREEZE_AFTER, r->freeze_after) ||
	    nla_put_u32(skb, AVMM_ATTR_MAX_SKEW, r->max_skew))
		return -EMSGSIZE;
	return put_shares(skb, r);
}

static int put_disk(struct sk_buff *skb, u32 number, const struct avmm_disk_info *disk)
{
	struct nlattr *nest = nla_nest_start(skb, AVMM_ATTR_DISK_ENTRY);

	if (!nest || nla_put_u32(skb, AVMM_ATTR_DISK_NUMBER, number) ||
	    (disk->path[0] && nla_put_string(skb, AVMM_ATTR_DISK_PATH, disk->path)) ||
	    (disk->kind == AVMM_DISK_ATAPI && nla_put_flag(skb, AVMM_ATTR_DISK_CDROM)) ||
	    (disk->read_only && nla_put_flag(skb, AVMM_ATTR_DISK_READ_ONLY)) ||
	    avmm_put_u64(skb, AVMM_ATTR_DISK_SIZE, disk->size) ||
	    nla_put(skb, AVMM_ATTR_DISK_COUNTERS, sizeof(disk->counters), disk->counters) ||
	    avmm_put_u64(skb, AVMM_ATTR_DISK_WAITING, disk->waiting_ms))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_disks(struct sk_buff *skb, const struct avmm_partition_info *info)
{
	struct nlattr *nest = nla_nest_start(skb, AVMM_ATTR_DISKS);
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < AVMM_DISK_UNITS; i++)
		if (info->disk[i].kind && put_disk(skb, i, &info->disk[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return info->frozen[0] ? nla_put_string(skb, AVMM_ATTR_FROZEN, info->frozen) : 0;
}

int avmm_netlink_put_partition(struct sk_buff *skb, const struct avmm_partition_info *info)
{
	struct nlattr *nest = nla_nest_start(skb, AVMM_ATTR_PARTITION);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, AVMM_ATTR_PARTITION_STATE, info->state) ||
	    nla_put_u32(skb, AVMM_ATTR_PARTITION_REASON, info->reason))
		return -EMSGSIZE;
	if (info->state != AVMM_PARTITION_NONE &&
	    (nla_put_u32(skb, AVMM_ATTR_PARTITION_RESETS, info->resets) ||
	     put_request(skb, &info->request) || put_page_counts(skb, info) || put_disks(skb, info)))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return avmm_put_u64(skb, AVMM_ATTR_TSC, rdtsc());
}

/* Commands */

static int reply_partition(struct sk_buff *skb, struct genl_info *genl, const struct avmm_partition_info *info)
{
	void *header = genlmsg_put_reply(skb, genl, &avmm_family, 0, AVMM_CMD_GET_PARTITION);

	if (!header || avmm_netlink_put_partition(skb, info)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, genl);
}

int avmm_get_partition(struct sk_buff *request, struct genl_info *genl)
{
	struct avmm_partition_info *info = kmalloc(sizeof(*info), GFP_KERNEL);
	struct sk_buff *skb = genlmsg_new(avmm_netlink_partition_size(), GFP_KERNEL);
	int err = -ENOMEM;

	if (info && skb) {
		avmm_partition_info(info);
		err = reply_partition(skb, genl, info);
	} else if (skb) {
		nlmsg_free(skb);
	}
	kfree(info);
	return err;
}

int avmm_do_create(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct avmm_partition_request r = {
		.memory = get_u64(info, AVMM_ATTR_PARTITION_MEMORY, 0),
		.rom = get_u64(info, AVMM_ATTR_ROM_SIZE, 0),
		.flash = get_u64(info, AVMM_ATTR_FLASH, 0),
		.flash_size = get_u64(info, AVMM_ATTR_FLASH_SIZE, 0),
		.window = get_u64(info, AVMM_ATTR_WINDOW, 0),
		.reserve = get_u64(info, AVMM_ATTR_MEMORY_RESERVE, avmm_partition_default_reserve()),
		.vcpus = get_u32(info, AVMM_ATTR_VCPUS, 1),
		.shared = get_u32(info, AVMM_ATTR_SHARED, AVMM_SHARED_AUTO),
		.service_share = get_u32(info, AVMM_ATTR_SERVICE_SHARE, 0),
		.cap_service = get_u32(info, AVMM_ATTR_CAP_SERVICE, 1000),
		.cap_user = get_u32(info, AVMM_ATTR_CAP_USER, 1000),
		.on_triple_fault = get_u32(info, AVMM_ATTR_ON_TRIPLE_FAULT, AVMM_POLICY_STOP),
		.freeze_after = get_u32(info, AVMM_ATTR_FREEZE_AFTER, FREEZE_AFTER),
		.max_skew = get_u32(info, AVMM_ATTR_MAX_SKEW, 0),
	};

	if (!info->attrs[AVMM_ATTR_PARTITION_MEMORY] || !info->attrs[AVMM_ATTR_SERVICE_SHARE])
		return avmm_answer(info, avmm_refuse(why, -EINVAL, "memory and the service's share must be given"), why);
	return avmm_answer(info, avmm_partition_create(&r, why), why);
}

int avmm_do_start(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct avmm_partition_entry entry = {
		.rip = get_u64(info, AVMM_ATTR_RIP, 0),
		.rsi = get_u64(info, AVMM_ATTR_RSI, 0),
		.cr3 = get_u64(info, AVMM_ATTR_CR3, 0),
		.gdt_base = get_u64(info, AVMM_ATTR_GDT_BASE, 0),
		.gdt_limit = get_u32(info, AVMM_ATTR_GDT_LIMIT, 0),
		.epoch = get_u64(info, AVMM_ATTR_EPOCH, 0),
		.fw_cfg_size = get_u64(info, AVMM_ATTR_FW_CFG_SIZE, 0),
	};

	if (!info->attrs[AVMM_ATTR_RIP] || !info->attrs[AVMM_ATTR_RSI] || !info->attrs[AVMM_ATTR_CR3] ||
	    !info->attrs[AVMM_ATTR_GDT_BASE] || !info->attrs[AVMM_ATTR_GDT_LIMIT] || !info->attrs[AVMM_ATTR_EPOCH])
		return avmm_answer(info, avmm_refuse(why, -EINVAL, "the first state of the CPU must be given"), why);
	return avmm_answer(info, avmm_partition_start(&entry, why), why);
}

int avmm_do_stop(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();

	return avmm_answer(info, info->attrs[AVMM_ATTR_FORCE] ? avmm_partition_destroy(why) : avmm_partition_button(why),
		      why);
}

int avmm_do_reset(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();

	return avmm_answer(info, avmm_partition_reset(why), why);
}

int avmm_do_reload(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();

	return avmm_answer(info, avmm_partition_reload(info->attrs[AVMM_ATTR_ZERO_MEMORY], why), why);
}

int avmm_do_pause(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();

	return avmm_answer(info, avmm_partition_pause(true, why), why);
}

int avmm_do_resume(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();

	return avmm_answer(info, avmm_partition_pause(false, why), why);
}

int avmm_do_shares(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct avmm_partition_request r = {
		.service_share = get_u32(info, AVMM_ATTR_SERVICE_SHARE, UINT_MAX),
		.cap_service = get_u32(info, AVMM_ATTR_CAP_SERVICE, UINT_MAX),
		.cap_user = get_u32(info, AVMM_ATTR_CAP_USER, UINT_MAX),
	};
	int err = avmm_partition_shares(&r.service_share, &r.cap_service, &r.cap_user, why);
	struct sk_buff *skb;
	void *header;

	if (err)
		return avmm_answer(info, err, why);
	skb = genlmsg_new(3 * nla_total_size(sizeof(u32)), GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	header = genlmsg_put_reply(skb, info, &avmm_family, 0, AVMM_CMD_PARTITION_SHARES);
	if (!header || put_shares(skb, &r)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

int avmm_do_disk_attach(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct avmm_disk_request r = {
		.number = get_u32(info, AVMM_ATTR_DISK_NUMBER, AVMM_DISK_UNITS),
		.path = info->attrs[AVMM_ATTR_DISK_PATH] ? nla_data(info->attrs[AVMM_ATTR_DISK_PATH]) : NULL,
		.cdrom = info->attrs[AVMM_ATTR_DISK_CDROM],
		.read_only = info->attrs[AVMM_ATTR_DISK_READ_ONLY],
	};

	return avmm_answer(info, avmm_partition_disk_attach(&r, why), why);
}

int avmm_do_disk_detach(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();

	return avmm_answer(info, avmm_partition_disk_detach(get_u32(info, AVMM_ATTR_DISK_NUMBER, AVMM_DISK_UNITS), why),
		      why);
}

/* GET_CONSOLE */

static int begin_console(struct netlink_callback *cb)
{
	struct console_dump *dump = (struct console_dump *)cb->ctx;
	struct nlattr *attrs[AVMM_OFFSET_ATTRS + 1];
	int err;

	BUILD_BUG_ON(sizeof(struct console_dump) > sizeof(cb->ctx));
	err = genlmsg_parse(cb->nlh, &avmm_family, attrs, AVMM_OFFSET_ATTRS, avmm_offset_policy, cb->extack);
	if (err)
		return err;
	dump->end = avmm_console_end();
	dump->next = attrs[AVMM_ATTR_LOG_OFFSET] ? nla_get_u64(attrs[AVMM_ATTR_LOG_OFFSET]) : 0;
	if (dump->next <= dump->end)
		return 0;
	NL_SET_ERR_MSG(cb->extack, "the console has not put out that much yet");
	return -ERANGE;
}

/* data: NULL for the first message of a dump, which has the end instead. */
static int put_console(struct sk_buff *skb, struct netlink_callback *cb, const u8 *data, unsigned int len)
{
	struct console_dump *dump = (struct console_dump *)cb->ctx;
	void *header;
	int err;

	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &avmm_family, NLM_F_MULTI,
			     AVMM_CMD_GET_CONSOLE);
	if (!header)
		return -EMSGSIZE;
	if (data)
		err = avmm_put_u64(skb, AVMM_ATTR_LOG_OFFSET, dump->next) ?:
		      nla_put(skb, AVMM_ATTR_CONSOLE_DATA, len, data);
	else
		err = avmm_put_u64(skb, AVMM_ATTR_LOG_END, dump->end);
	if (err) {
		genlmsg_cancel(skb, header);
		return err;
	}
	genlmsg_end(skb, header);
	return 0;
}

/* One chunk per call. */
int avmm_dump_console(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct console_dump *dump = (struct console_dump *)cb->ctx;
	unsigned int len;
	u8 *data;
	int err;

	if (!dump->started) {
		err = begin_console(cb) ?: put_console(skb, cb, NULL, 0);
		dump->started = !err;
		return err ? err : skb->len;
	}
	data = kmalloc(CONSOLE_CHUNK, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	len = avmm_console_read(&dump->next, dump->end, data, CONSOLE_CHUNK);
	err = len ? put_console(skb, cb, data, len) : 0;
	if (!err)
		dump->next += len;
	kfree(data);
	return err ? err : skb->len;
}

/* Events */

bool avmm_netlink_has_listeners(void)
{
	return genl_has_listeners(&avmm_family, &init_net, 0) > 0;
}

void avmm_netlink_partition_event(u32 event, const struct avmm_partition_info *info, const char *text)
{
	struct sk_buff *skb;
	void *header;

	if (!avmm_netlink_has_listeners())
		return;
	skb = genlmsg_new(7 * nla_total_size(sizeof(u32)) + nla_total_size(strlen(text) + 1), GFP_KERNEL);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &avmm_family, 0, AVMM_CMD_EVENT);
	if (!header || nla_put_u32(skb, AVMM_ATTR_EVENT, event) ||
	    nla_put_string(skb, AVMM_ATTR_LOG_TEXT, text) ||
	    nla_put_u32(skb, AVMM_ATTR_PARTITION_STATE, info->state) ||
	    nla_put_u32(skb, AVMM_ATTR_PARTITION_REASON, info->reason) ||
	    nla_put_u32(skb, AVMM_ATTR_PARTITION_RESETS, info->resets) || put_shares(skb, &info->request)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&avmm_family, skb, 0, 0, GFP_KERNEL);
}
