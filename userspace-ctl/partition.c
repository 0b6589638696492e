// SPDX-License-Identifier: GPL-2.0-only
/* Requests about the user partition. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "avmmctl.h"
#include "partition.h"

int partition_request(struct connection *connection, u8 cmd, const struct value *value, size_t count,
		      message_handler handler, void *opaque)
{
	struct nl_msg *msg = new_request(connection, cmd);
	int ret = 0;

	for (; msg && !ret && count; value++, count--) {
		if (value->size == sizeof(u64))
			ret = nla_put_u64(msg, value->attr, value->value);
		else if (value->size)
			ret = nla_put_u32(msg, value->attr, (u32)value->value);
		else
			ret = nla_put_flag(msg, value->attr);
	}
	if (ret) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return send_request(connection, msg, handler, opaque);
}

static int send_values(struct connection *connection, u8 cmd, const struct value *values, size_t count)
{
	return partition_request(connection, cmd, values, count, NULL, NULL);
}

static int on_partition(struct nlmsghdr *header, void *opaque)
{
	return parse_partition(header, opaque);
}

int partition_get(struct connection *connection, struct partition_status *partition)
{
	return request(connection, AVMM_CMD_GET_PARTITION, on_partition, partition);
}

int partition_create(struct connection *connection, const struct config *config, const struct image *image)
{
	const struct value values[] = {
		{ AVMM_ATTR_ROM_SIZE, image->rom.size, sizeof(u64) },
		{ AVMM_ATTR_FLASH, image->rom.variables_size ? rom_variables(&image->rom) : 0, sizeof(u64) },
		{ AVMM_ATTR_FLASH_SIZE, image->rom.variables_size, sizeof(u64) },
		{ AVMM_ATTR_PARTITION_MEMORY, config->memory, sizeof(u64) },
		{ AVMM_ATTR_SERVICE_SHARE, config->service, sizeof(u32) },
		{ AVMM_ATTR_VCPUS, config->cpus, sizeof(u32) },
		{ AVMM_ATTR_SHARED, config->shared, sizeof(u32) },
		{ AVMM_ATTR_CAP_SERVICE, config->cap_service, sizeof(u32) },
		{ AVMM_ATTR_CAP_USER, config->cap_user, sizeof(u32) },
		{ AVMM_ATTR_ON_TRIPLE_FAULT, config->on_triple_fault, sizeof(u32) },
		{ AVMM_ATTR_FREEZE_AFTER, config->freeze_after, sizeof(u32) },
	};
	/* those that were given only: an older module knows them not, or better */
	struct value all[sizeof(values) / sizeof(values[0]) + 3];
	size_t count = sizeof(values) / sizeof(values[0]);

	memcpy(all, values, sizeof(values));
	if (config->window)
		all[count++] = (struct value){ AVMM_ATTR_WINDOW, config->window, sizeof(u64) };
	if (config->max_skew)
		all[count++] = (struct value){ AVMM_ATTR_MAX_SKEW, config->max_skew, sizeof(u32) };
	if (config->from[KEY_RESERVE])
		all[count++] = (struct value){ AVMM_ATTR_MEMORY_RESERVE, config->reserve, sizeof(u64) };
	return send_values(connection, AVMM_CMD_PARTITION_CREATE, all, count);
}

int partition_boot(struct connection *connection, const struct image *image)
{
	const struct value values[] = {
		{ AVMM_ATTR_RIP, image->layout.entry, sizeof(u64) },
		{ AVMM_ATTR_RSI, BOOT_PARAMS, sizeof(u64) },
		{ AVMM_ATTR_CR3, BOOT_PAGE_TABLES, sizeof(u64) },
		{ AVMM_ATTR_GDT_BASE, BOOT_GDT, sizeof(u64) },
		{ AVMM_ATTR_GDT_LIMIT, BOOT_GDT_SIZE - 1, sizeof(u32) },
		{ AVMM_ATTR_EPOCH, (u64)time(NULL), sizeof(u64) },
		{ AVMM_ATTR_FW_CFG_SIZE, image->files ? fw_cfg_blob_size(image->files) : 0, sizeof(u64) },
	};
	int ret = image_write(image);

	if (ret)
		return ret;
	return send_values(connection, AVMM_CMD_PARTITION_START, values, sizeof(values) / sizeof(values[0]));
}

int partition_reload(struct connection *connection)
{
	static const struct value zero = { AVMM_ATTR_ZERO_MEMORY, 0, 0 };

	return send_values(connection, AVMM_CMD_PARTITION_RELOAD, &zero, 1);
}

int partition_stop(struct connection *connection, bool force)
{
	static const struct value flag = { AVMM_ATTR_FORCE, 0, 0 };
	int ret;

	connection->tolerate = -ENOENT;
	ret = send_values(connection, AVMM_CMD_PARTITION_STOP, &flag, force);
	connection->tolerate = 0;
	return ret;
}

int partition_command(struct connection *connection, u8 cmd)
{
	return send_values(connection, cmd, NULL, 0);
}
