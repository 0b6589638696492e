// SPDX-License-Identifier: GPL-2.0-only
/* The direct-access devices' commands of the netlink family. What may be assigned is decided in device.c. No state. */
#include "device.h"
#include "legacy.h"
#include "module.h"
#include "netlink.h"
#include "partition.h"
#include "vfio.h"

const struct nla_policy avmm_assign_policy[] = {
	[AVMM_ATTR_DEVICE_ADDRESS] = { .type = NLA_NUL_STRING, .len = 40 },
	[AVMM_ATTR_DEVICE_DMA] = { .type = NLA_U32 },
	[AVMM_ASSIGN_ATTRS] = { .type = NLA_U32 },
};

const struct nla_policy avmm_release_policy[] = {
	[AVMM_RELEASE_ATTRS] = { .type = NLA_NUL_STRING, .len = 40 },
};

const struct nla_policy avmm_hold_policy[] = {
	[AVMM_ATTR_DEVICE_ADDRESS] = { .type = NLA_NUL_STRING, .len = 40 },
	[AVMM_ATTR_DEVICE_FILE] = { .type = NLA_U32 },
	[AVMM_ATTR_DEVICE_RAISED] = { .type = NLA_U32 },
	[AVMM_HOLD_ATTRS] = { .type = NLA_U32 },
};

static u32 mode_of(const struct avmm_device_info *info)
{
	if (!(info->counts.wants & AVMM_WANTS_MESSAGES))
		return AVMM_DEVICE_LINE;
	return info->msix ? AVMM_DEVICE_BY_MSIX : AVMM_DEVICE_BY_MSI;
}

static int put_entry(struct sk_buff *skb, struct netlink_callback *cb, const struct avmm_device_info *info)
{
	const u32 counts[AVMM_DEVICE_COUNTERS] = {
		[AVMM_DEVICE_COUNT_RAISED] = info->counts.raised,
		[AVMM_DEVICE_COUNT_ACKED] = info->counts.acked + info->counts.messages,
		[AVMM_DEVICE_COUNT_REFUSED] = info->counts.refused,
		[AVMM_DEVICE_COUNT_FORWARDED] = info->counts.forwarded,
		[AVMM_DEVICE_COUNT_MESSAGES] = info->counts.messages,
		[AVMM_DEVICE_COUNT_LOST] = info->counts.lost,
	};
	void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &avmm_family, NLM_F_MULTI,
				   AVMM_CMD_GET_DEVICES);

	if (!header)
		return -EMSGSIZE;
	if (nla_put_string(skb, AVMM_ATTR_DEVICE_ADDRESS, info->address) ||
	    nla_put_string(skb, AVMM_ATTR_DEVICE_DRIVER, info->driver) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_DMA, info->dma) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_ROM, info->rom) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_IRQ, info->irq) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_GUEST, info->guest_devfn) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_LIVE, info->live) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_MESSAGES, info->messages) ||
	    nla_put_u32(skb, AVMM_ATTR_DEVICE_MODE, mode_of(info)) ||
	    nla_put(skb, AVMM_ATTR_DEVICE_COUNTERS, sizeof(counts), counts)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return 0;
}

/* PCI devices first, then those that are not. */
static bool get_info(unsigned long number, struct avmm_device_info *info)
{
	return number < AVMM_MAX_DEVICES ? avmm_device_info(number, info) : avmm_legacy_info(number - AVMM_MAX_DEVICES, info);
}

/* cb->args[0]: the next number. */
int avmm_dump_devices(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct avmm_device_info info;
	unsigned long *next = (unsigned long *)cb->ctx;

	for (; *next < AVMM_MAX_DEVICES + AVMM_LEGACIES; ++*next)
		if (get_info(*next, &info) && put_entry(skb, cb, &info))
			return skb->len ? skb->len : -EMSGSIZE;
	return skb->len;
}

static int assign(const char *address, u32 dma, bool rom, struct avmm_refusal *why)
{
	int legacy = avmm_legacy_find(address);

	return legacy < 0 ? avmm_device_assign(address, dma, rom, why) : avmm_legacy_assign(legacy, why);
}

static int release(const char *address, struct avmm_refusal *why)
{
	int legacy = avmm_legacy_find(address);

	return legacy < 0 ? avmm_device_release(address, why) : avmm_legacy_release(legacy, why);
}

int avmm_do_assign(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct nlattr *address = info->attrs[AVMM_ATTR_DEVICE_ADDRESS], *dma = info->attrs[AVMM_ATTR_DEVICE_DMA];
	struct nlattr *rom = info->attrs[AVMM_ATTR_DEVICE_ROM];
	int err;

	if (!address || (dma && nla_get_u32(dma) > AVMM_DMA_IOMMU))
		return avmm_answer(info, avmm_refuse(why, -EINVAL, "which device?"), why);
	err = assign(nla_data(address), dma ? nla_get_u32(dma) : AVMM_DMA_NONE, !rom || nla_get_u32(rom), why);
	return avmm_answer(info, err, why);
}

int avmm_do_release(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct nlattr *address = info->attrs[AVMM_ATTR_DEVICE_ADDRESS];

	if (!address)
		return avmm_answer(info, avmm_refuse(why, -EINVAL, "which device?"), why);
	return avmm_answer(info, release(nla_data(address), why), why);
}

/* In the context of the process whose files these are. */
int avmm_do_hold(struct sk_buff *request, struct genl_info *info)
{
	struct avmm_refusal *why = avmm_next_refusal();
	struct nlattr *address = info->attrs[AVMM_ATTR_DEVICE_ADDRESS], *file = info->attrs[AVMM_ATTR_DEVICE_FILE];
	struct nlattr *raised = info->attrs[AVMM_ATTR_DEVICE_RAISED], *done = info->attrs[AVMM_ATTR_DEVICE_DONE];
	struct avmm_vfio_files files;

	if (!address || !file || !raised || !done)
		return avmm_answer(info, avmm_refuse(why, -EINVAL, "which device, and by which files?"), why);
	files = (struct avmm_vfio_files){ nla_get_u32(file), nla_get_u32(raised), nla_get_u32(done) };
	return avmm_answer(info, avmm_device_hold(nla_data(address), &files, why), why);
}
