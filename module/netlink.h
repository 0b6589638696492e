/* SPDX-License-Identifier: GPL-2.0-only */
/* What netlink.c, which has the family and its table of operations, and netlink-partition.c share. */
#ifndef MODULE_NETLINK_H
#define MODULE_NETLINK_H

#include <net/genetlink.h>
#include "../include/uapi/avmm_netlink.h"

/* A row of AVMM_ATTR_EXITS and AVMM_ATTR_PARTITION_EXITS. */
struct avmm_exit_row {
	u32 reason;
	u32 zero;
	u64 count;
};

/* Policies end with the last attribute that their command takes. */
#define AVMM_CREATE_ATTRS	AVMM_ATTR_WINDOW
#define AVMM_START_ATTRS	AVMM_ATTR_FW_CFG_SIZE
#define AVMM_STOP_ATTRS		AVMM_ATTR_FORCE
#define AVMM_RELOAD_ATTRS	AVMM_ATTR_ZERO_MEMORY
#define AVMM_SHARES_ATTRS	AVMM_ATTR_CAP_USER
#define AVMM_OFFSET_ATTRS	AVMM_ATTR_LOG_OFFSET
#define AVMM_DISK_ATTRS		AVMM_ATTR_DISK_READ_ONLY
#define AVMM_ASSIGN_ATTRS	AVMM_ATTR_DEVICE_ROM
#define AVMM_RELEASE_ATTRS	AVMM_ATTR_DEVICE_ADDRESS
#define AVMM_HOLD_ATTRS		AVMM_ATTR_DEVICE_DONE

extern struct genl_family avmm_family;
extern const struct nla_policy avmm_create_policy[], avmm_start_policy[], avmm_stop_policy[], avmm_reload_policy[],
			       avmm_shares_policy[], avmm_offset_policy[], avmm_disk_policy[];

extern const struct nla_policy avmm_assign_policy[], avmm_release_policy[], avmm_hold_policy[];

int avmm_put_u64(struct sk_buff *skb, int attr, u64 value);
/* exits: by reason, AVMM_EXIT_REASONS of them */
int avmm_put_exits(struct sk_buff *skb, int attr, const u64 *exits);

int avmm_get_partition(struct sk_buff *request, struct genl_info *info);
int avmm_do_create(struct sk_buff *request, struct genl_info *info);
int avmm_do_start(struct sk_buff *request, struct genl_info *info);
int avmm_do_stop(struct sk_buff *request, struct genl_info *info);
int avmm_do_reset(struct sk_buff *request, struct genl_info *info);
int avmm_do_reload(struct sk_buff *request, struct genl_info *info);
int avmm_do_pause(struct sk_buff *request, struct genl_info *info);
int avmm_do_resume(struct sk_buff *request, struct genl_info *info);
int avmm_do_shares(struct sk_buff *request, struct genl_info *info);
int avmm_do_disk_attach(struct sk_buff *request, struct genl_info *info);
int avmm_do_disk_detach(struct sk_buff *request, struct genl_info *info);
int avmm_dump_console(struct sk_buff *skb, struct netlink_callback *cb);

/* Words for a refusal, which stay until the core has sent them; answer() returns err. */
struct avmm_refusal *avmm_next_refusal(void);
int avmm_answer(struct genl_info *info, int err, const struct avmm_refusal *why);

/* netlink-device.c */
int avmm_do_assign(struct sk_buff *request, struct genl_info *info);
int avmm_do_release(struct sk_buff *request, struct genl_info *info);
int avmm_do_hold(struct sk_buff *request, struct genl_info *info);
int avmm_dump_devices(struct sk_buff *skb, struct netlink_callback *cb);

#endif
