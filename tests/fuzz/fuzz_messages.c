// SPDX-License-Identifier: GPL-2.0-only
/*
 * avmmctl's parsers of netlink messages. The input is a message without its header: a byte that chooses the parser,
 * a byte of flags, the rest. libnl checks lengths in the header before a parser sees it, so these are right here.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include "include/uapi/avmm_netlink.h"
#include "userspace-ctl/lines.h"
#include "userspace-ctl/messages.h"

#define PARSERS	9

static void print(u64 offset, const char *text, void *opaque)
{
	(void)offset;
	(void)opaque;
	if (strlen(text) > LINE_MAX_BYTES)
		abort();
}

static void parse(struct nlmsghdr *header, uint8_t which)
{
	static struct lines lines = { .print = print };
	static struct machine_status status;
	static struct machine_stats stats;
	static struct partition_status partition;
	static struct console_part console;
	static struct log_part part;
	struct shares shares;
	struct device_status device;

	switch (which % PARSERS) {
	case 0:
		if (!parse_status(header, &status) && status.ncpus > AVMM_MAX_CPUS)
			abort();
		break;
	case 1:
		parse_stats(header, &stats);
		break;
	case 2:
		if (!parse_log(header, &part))
			lines_add(&lines, part.offset, part.text);
		break;
	case 5:
		parse_partition(header, &partition);
		break;
	case 6:
		/* what it points at lies in the message */
		if (!parse_console(header, &console) && console.size &&
		    (console.data < (char *)header || console.size > header->nlmsg_len))
			abort();
		break;
	case 7:
		parse_shares(header, &shares);
		break;
	case 8:
		parse_device(header, &device);
		break;
	default: {
		const char *text = parse_extack(header);

		if (text && strlen(text) > header->nlmsg_len)
			abort();
		if (parse_done(header) > 0)
			abort();
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t types[PARSERS] = { 0x20, 0x20, 0x20, NLMSG_ERROR, NLMSG_DONE, 0x20, 0x20, 0x20, 0x20 };
	struct nlmsghdr *header;

	if (size < 2)
		return 0;
	header = calloc(1, NLMSG_HDRLEN + size - 2);
	if (!header)
		return 0;
	header->nlmsg_len = (u32)(NLMSG_HDRLEN + size - 2);
	header->nlmsg_type = types[data[0] % PARSERS];
	header->nlmsg_flags = (uint16_t)(data[1] << 8);
	memcpy(NLMSG_DATA(header), data + 2, size - 2);
	parse(header, data[0]);
	free(header);
	return 0;
}
