// SPDX-License-Identifier: GPL-2.0-only
/* Devices behind an IOMMU, at the start of a partition: opened, its memory mapped for them, and avmm.ko told of it. */
#include <stdio.h>
#include <string.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "avmmctl.h"
#include "device.h"

struct found {
	u32 count;
	char address[VFIO_DEVICES][16];
};

static int on_device(struct nlmsghdr *header, void *opaque)
{
	struct found *found = opaque;
	struct device_status status;
	int ret = parse_device(header, &status);

	if (!ret && status.dma == AVMM_DMA_IOMMU && found->count < VFIO_DEVICES)
		memcpy(found->address[found->count++], status.address, sizeof(status.address));
	return ret;
}

static int tell(struct connection *connection, const struct vfio_device *device)
{
	struct nl_msg *msg = new_request(connection, AVMM_CMD_DEVICE_HOLD);

	if (msg && (nla_put_string(msg, AVMM_ATTR_DEVICE_ADDRESS, device->address) ||
		    nla_put_u32(msg, AVMM_ATTR_DEVICE_FILE, (u32)device->device) ||
		    nla_put_u32(msg, AVMM_ATTR_DEVICE_RAISED, (u32)device->raised) ||
		    nla_put_u32(msg, AVMM_ATTR_DEVICE_DONE, (u32)device->done))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return send_request(connection, msg, NULL, NULL);
}

int devices_hold(struct connection *connection, struct vfio *vfio, u64 memory)
{
	struct found found = { .count = 0 };
	int ret = request(connection, AVMM_CMD_GET_DEVICES, on_device, &found);
	u32 i;

	for (i = 0; !ret && i < found.count; i++)
		ret = vfio_open(vfio, found.address[i]);
	if (!ret)
		ret = vfio_map(vfio, memory);
	for (i = 0; !ret && i < vfio->count; i++)
		ret = tell(connection, &vfio->device[i]);
	return ret;
}
