// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl nbd status */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <netlink/errno.h>
#include "kernel.h"
#include "nbd.h"
#include "record.h"

struct listing {
	int wanted;			/* or NBD_ANY_DEVICE */
	struct json_object *devices;
};

static bool is_managed(int index)
{
	int holder, lock = record_lock(NBD_RUN_DIR, index, &holder);

	if (lock >= 0)
		close(lock);
	return lock == -EWOULDBLOCK;
}

/* Of a device that somebody else connected nothing else is known. */
static struct json_object *foreign_json(int index)
{
	struct json_object *object = json_object_new_object();
	char device[32];

	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	json_object_object_add(object, "device", json_object_new_string(device));
	json_object_object_add(object, "state", json_object_new_string("foreign"));
	json_object_object_add(object, "reason",
			       json_object_new_string("connected or opened by somebody else: not connected anew if "
						      "its connection breaks"));
	return object;
}

static struct json_object *orphan_json(const struct nbd_record *record)
{
	struct json_object *object = record_json(record);

	json_object_object_add(object, "state", json_object_new_string("unmanaged"));
	json_object_object_add(object, "reason",
			       json_object_new_string("its manager is gone; the same `avmmctl nbd connect` with "
						      "--device takes over"));
	return object;
}

static void add_device(int index, bool connected, void *opaque)
{
	struct listing *listing = opaque;
	struct nbd_record record;
	struct json_object *object;

	if (!connected || (listing->wanted != NBD_ANY_DEVICE && listing->wanted != index))
		return;
	if (record_read(NBD_RUN_DIR, index, &record))
		object = foreign_json(index);
	else if (is_managed(index))
		object = record_json(&record);
	else
		object = orphan_json(&record);
	record_free(&record);
	json_object_array_add(listing->devices, object);
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) && value ? json_object_get_string(value) : "";
}

static u64 number_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

static void print_device(struct json_object *object)
{
	const char *reason = text_of(object, "reason");
	char size[32];

	printf("%s: %s%s%s\n", text_of(object, "device"), text_of(object, "state"), reason[0] ? ": " : "", reason);
	if (!json_object_object_get_ex(object, "uri", NULL))
		return;
	printf("  %s%s%s\n", text_of(object, "uri"), text_of(object, "description")[0] ? ", " : "",
	       text_of(object, "description"));
	printf("  %s%s%s, label %s\n", format_bytes(size, sizeof(size), number_of(object, "size")),
	       number_of(object, "read_only") ? ", read-only" : "", number_of(object, "tls") ? ", TLS" : "",
	       text_of(object, "label"));
	printf("  %u of %u connections, %u made anew; a request may take %u s\n", (u32)number_of(object, "alive"),
	       (u32)number_of(object, "connections"), (u32)number_of(object, "reconnects"),
	       (u32)number_of(object, "timeout"));
}

static int show(struct listing *listing)
{
	struct json_object *object;
	size_t i, count = json_object_array_length(listing->devices);

	if (output_json) {
		object = json_object_new_object();
		json_object_object_add(object, "devices", json_object_get(listing->devices));
		print_json(object, false);
		return EXIT_DONE;
	}
	if (!count)
		puts("no nbd device is connected");
	for (i = 0; i < count; i++)
		print_device(json_object_array_get_idx(listing->devices, i));
	return EXIT_DONE;
}

static int parse_options(const struct command *self, int argc, char **argv, struct listing *listing)
{
	static const struct option options[] = { COMMON_OPTIONS };
	int c, status;

	while ((c = getopt_long(argc, argv, NBD_LETTERS, options, NULL)) != -1) {
		if (common_option(self, c, argv, &status))
			return status;
	}
	if (optind == argc)
		return GO_ON;
	if (optind + 1 < argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind + 1]);
	listing->wanted = parse_device(argv[optind]);
	if (listing->wanted < 0)
		return usage_error(self, "%s: `%s` is no /dev/nbdN", self->name, argv[optind]);
	return GO_ON;
}

int nbd_status_run(const struct command *self, int argc, char **argv)
{
	struct listing listing = { .wanted = NBD_ANY_DEVICE };
	struct kernel kernel;
	int status, ret;

	status = parse_options(self, argc, argv, &listing);
	if (status != GO_ON)
		return status;
	status = kernel_open(&kernel, false);
	if (status)
		return status;
	listing.devices = json_object_new_array();
	ret = kernel_status(&kernel, add_device, &listing);
	kernel_close(&kernel);
	if (ret)
		status = fail("cannot talk with the kernel's nbd driver: %s", nl_geterror(ret));
	else if (listing.wanted != NBD_ANY_DEVICE && !json_object_array_length(listing.devices))
		status = fail("/dev/nbd%d is not connected", listing.wanted);
	else
		status = show(&listing);
	json_object_put(listing.devices);
	return status;
}
