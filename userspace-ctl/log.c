// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl log */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "lines.h"
#include "messages.h"
#include "netlink.h"

static void print_line(u64 offset, const char *text, void *opaque)
{
	struct json_object *object;

	(void)opaque;
	if (!output_json) {
		puts(text);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "offset", json_object_new_uint64(offset));
	json_object_object_add(object, "text", json_object_new_string(text));
	print_json(object, true);
}

static int on_log(struct nlmsghdr *header, void *opaque)
{
	static struct log_part part;
	struct lines *lines = opaque;
	u64 lost;
	int ret = parse_log(header, &part);

	if (ret)
		return ret;
	if (!part.text[0])
		return 0;
	lost = lines_add(lines, part.offset, part.text);
	if (lost)
		fprintf(stderr, "avmmctl: %" PRIu64 " bytes of the log were overwritten by newer text\n", lost);
	return 0;
}

static int follow(struct connection *connection, struct lines *lines)
{
	struct connection events;
	int ret = subscribe(&events);

	/* Subscribed before the first reading: nothing that is written between the two goes unnoticed. */
	while (!ret) {
		ret = request_from(connection, AVMM_CMD_GET_LOG, lines->next, on_log, lines);
		if (fflush(stdout) || ferror(stdout))
			break;
		if (!ret)
			ret = wait_event(&events, EVENT_INTERVAL, NULL);
	}
	disconnect(&events);
	return ret;
}

int log_run(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		COMMON_OPTIONS
	};
	static struct lines lines = { .print = print_line };
	struct connection connection;
	bool following = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS "f", options, NULL)) != -1) {
		if (c == 'f')
			following = true;
		else if (common_option(self, c, argv, &ret))
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);

	ret = connect_module(&connection);
	if (ret)
		return ret;
	if (following)
		ret = follow(&connection, &lines);
	else
		ret = request_from(&connection, AVMM_CMD_GET_LOG, 0, on_log, &lines);
	disconnect(&connection);
	lines_end(&lines);
	return ret;
}
