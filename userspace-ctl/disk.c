// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl disk; and the disks of a partition that starts. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/loop.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "avmmctl.h"
#include "disk.h"
#include "names.h"
#include "overlay.h"
#include "partition.h"

#define LOOP_TRIES	8	/* somebody else may take the device that was free */

struct attachment {
	unsigned int number;
	const char *path;	/* NULL: no disc */
	bool cdrom;
	bool read_only;
	const char *overlay;	/* NULL: none; else "ram" or a folder */
	u64 overlay_size;
};

int loop_device(const char *file, bool read_only, char *name, size_t size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), data, loop = -1, tries, number;
	struct loop_config config = { 0 };

	data = open(file, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (control < 0 || data < 0)
		fail("%s: %s", data < 0 ? file : "/dev/loop-control", strerror(errno));
	config.fd = (u32)data;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0);
	strncpy((char *)config.info.lo_file_name, file, LO_NAME_SIZE - 1);
	for (tries = 0; control >= 0 && data >= 0 && loop < 0 && tries < LOOP_TRIES; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(name, size, "/dev/loop%d", number);
		loop = number < 0 ? -1 : open(name, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (loop >= 0 && !ioctl(loop, LOOP_CONFIGURE, &config))
			break;
		if (tries == LOOP_TRIES - 1 || errno != EBUSY) {
			fail("%s: no loop device for it: %s", file, strerror(errno));
			tries = LOOP_TRIES;
		}
		if (loop >= 0)
			close(loop);
		loop = -1;
	}
	if (control >= 0)
		close(control);
	if (data >= 0)
		close(data);
	return loop;
}

static int send_attach(struct connection *connection, const struct attachment *a, const char *path)
{
	struct nl_msg *msg = new_request(connection, AVMM_CMD_DISK_ATTACH);

	if (msg && (nla_put_u32(msg, AVMM_ATTR_DISK_NUMBER, a->number) ||
		    (path && nla_put_string(msg, AVMM_ATTR_DISK_PATH, path)) ||
		    (a->cdrom && nla_put_flag(msg, AVMM_ATTR_DISK_CDROM)) ||
		    (a->read_only && nla_put_flag(msg, AVMM_ATTR_DISK_READ_ONLY)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return send_request(connection, msg, NULL, NULL);
}

static int attach_device(struct connection *connection, const struct attachment *a, const char *device)
{
	char overlay[64];
	int ret;

	if (!a->overlay)
		return send_attach(connection, a, device);
	ret = overlay_make(a->number, device, a->overlay, a->overlay_size, overlay, sizeof(overlay));
	if (ret)
		return ret;
	ret = send_attach(connection, a, overlay);
	if (ret)
		overlay_remove(a->number);
	return ret;
}

/* The module takes block devices; a file becomes one. */
static int attach(struct connection *connection, const struct attachment *a)
{
	char name[32];
	struct stat st;
	int loop, ret;

	if (!a->path)
		return send_attach(connection, a, NULL);
	if (stat(a->path, &st) < 0)
		return fail("%s: %s", a->path, strerror(errno));
	if (strlen(a->path) >= sizeof(((struct disk_status *)0)->path))
		return fail("%s: the name is too long", a->path);
	if (!S_ISREG(st.st_mode))
		return attach_device(connection, a, a->path);
	loop = loop_device(a->path, a->read_only || a->cdrom || a->overlay, name, sizeof(name));
	if (loop < 0)
		return EXIT_REFUSED;
	ret = attach_device(connection, a, name);
	close(loop);
	return ret;
}

int disks_attach(struct connection *connection, const struct config *config)
{
	unsigned int i;
	int ret = EXIT_DONE;

	for (i = 0; !ret && i < CONFIG_DISKS; i++) {
		const struct attachment a = {
			.number = i,
			.path = config->text[config_disk_key(i, DISK_BACKING)],
			.cdrom = config->disk[i].cdrom,
			.read_only = config->disk[i].read_only,
			.overlay = config->text[config_disk_key(i, DISK_OVERLAY)],
			.overlay_size = config->disk[i].overlay_size,
		};

		if (config->disk[i].present)
			ret = attach(connection, &a);
	}
	return ret;
}

void disks_release(const struct config *config)
{
	unsigned int i;

	for (i = 0; i < CONFIG_DISKS; i++)
		if (config->text[config_disk_key(i, DISK_OVERLAY)])
			overlay_remove(i);
}

static void look_at(unsigned int number, unsigned int *said)
{
	struct overlay_use use;
	char size[32];

	if (!overlay_use(number, &use) || use.used < use.size / 100 * OVERLAY_FULL) {
		*said &= ~(1u << number);
		return;
	}
	if (!(*said >> number & 1))
		notice("disk%u: its overlay of %s is nearly full (%u %%); when it is full the disk waits", number,
		       format_bytes(size, sizeof(size), use.size), (unsigned int)(use.used * 100 / use.size));
	*said |= 1u << number;
}

bool disks_look(const struct config *config, unsigned int *said)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < CONFIG_DISKS; i++) {
		if (!config->text[config_disk_key(i, DISK_OVERLAY)])
			continue;
		look_at(i, said);
		any = true;
	}
	return any;
}

/* The file behind a loop device; "" for other devices. */
static const char *file_behind(const char *path, char *buf, size_t size)
{
	const char *name = strrchr(path, '/');
	char sys[PATH_MAX];
	FILE *stream;

	buf[0] = '\0';
	snprintf(sys, sizeof(sys), "/sys/block%s/loop/backing_file", name ? name : "/");
	stream = fopen(sys, "re");
	if (!stream)
		return buf;
	if (!fgets(buf, (int)size, stream))
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(stream);
	return buf;
}

static void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value[0] ? json_object_new_string(value) : NULL);
}

/* avmmctl makes overlays, the module knows nothing of them: they are known by their device's name. */
static bool has_overlay(unsigned int number, const struct disk_status *disk, struct overlay_use *use)
{
	char device[32];

	return !strncmp(disk->path, "/dev/dm-", 8) && overlay_device(number, device, sizeof(device)) &&
	       !strcmp(disk->path, device) && overlay_use(number, use);
}

static struct json_object *overlay_json(unsigned int number, const struct disk_status *disk)
{
	struct json_object *object;
	struct overlay_use use;

	if (!has_overlay(number, disk, &use))
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "used", json_object_new_uint64(use.used));
	json_object_object_add(object, "size", json_object_new_uint64(use.size));
	return object;
}

static struct json_object *disk_json(unsigned int number, const struct disk_status *disk)
{
	struct json_object *object = json_object_new_object();
	char file[PATH_MAX];

	json_object_object_add(object, "disk", json_object_new_uint64(number));
	json_object_object_add(object, "bus", json_object_new_string("ide"));
	json_object_object_add(object, "cdrom", json_object_new_boolean(disk->cdrom));
	json_object_object_add(object, "read_only", json_object_new_boolean(disk->read_only));
	add_string(object, "backing", disk->path);
	add_string(object, "file", file_behind(disk->path, file, sizeof(file)));
	json_object_object_add(object, "overlay", overlay_json(number, disk));
	json_object_object_add(object, "size", json_object_new_uint64(disk->size));
	json_object_object_add(object, "waiting_ms", json_object_new_uint64(disk->waiting));
	json_object_object_add(object, "counters", counters_json(disk->counters, AVMM_DISK_COUNTERS, disk_counter_name));
	return object;
}

struct json_object *disks_json(const struct partition_status *partition)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 0; i < AVMM_DISK_UNITS; i++)
		if (partition->disk[i].present)
			json_object_array_add(list, disk_json(i, &partition->disk[i]));
	return list;
}

static void show_disk(unsigned int number, const struct disk_status *disk)
{
	char size[32], file[PATH_MAX];
	struct overlay_use use;

	printf("disk%u: ide, %s", number, disk->path[0] ? disk->path : "no disc");
	if (file_behind(disk->path, file, sizeof(file))[0])
		printf(" (%s)", file);
	if (disk->path[0])
		printf(", %s", format_bytes(size, sizeof(size), disk->size));
	printf("%s%s", disk->cdrom ? ", CD-ROM" : "", disk->read_only && !disk->cdrom ? ", read-only" : "");
	printf(", %" PRIu64 " reads, %" PRIu64 " writes", disk->counters[AVMM_DISK_COUNT_READS],
	       disk->counters[AVMM_DISK_COUNT_WRITES]);
	if (disk->counters[AVMM_DISK_COUNT_ERRORS])
		printf(", %" PRIu64 " errors", disk->counters[AVMM_DISK_COUNT_ERRORS]);
	if (has_overlay(number, disk, &use))
		printf(", overlay of %s, %u %% used", format_bytes(size, sizeof(size), use.size),
		       (unsigned int)(use.used * 100 / use.size));
	if (disk->waiting >= 1000)
		printf(", no answer for %" PRIu64 " s", disk->waiting / 1000);
	putchar('\n');
}

void disks_show(const struct partition_status *partition)
{
	unsigned int i;

	for (i = 0; i < AVMM_DISK_UNITS; i++)
		if (partition->disk[i].present)
			show_disk(i, &partition->disk[i]);
}

/* avmmctl disk */

static int list(struct connection *connection)
{
	struct partition_status partition;
	struct json_object *object;
	int ret = partition_get(connection, &partition);

	if (ret)
		return ret;
	if (!output_json) {
		disks_show(&partition);
		return EXIT_DONE;
	}
	object = json_object_new_object();
	json_object_object_add(object, "disks", disks_json(&partition));
	print_json(object, false);
	return EXIT_DONE;
}

/* "2" or "disk2"; CONFIG_DISKS for anything else. */
static unsigned int disk_number(const char *text)
{
	if (!strncmp(text, "disk", 4))
		text += 4;
	return text[0] >= '0' && text[0] < '0' + CONFIG_DISKS && !text[1] ? (unsigned int)(text[0] - '0') : CONFIG_DISKS;
}

static int detach(struct connection *connection, unsigned int number)
{
	const struct value value = { AVMM_ATTR_DISK_NUMBER, number, sizeof(u32) };

	return partition_request(connection, AVMM_CMD_DISK_DETACH, &value, 1, NULL, NULL);
}

static int attach_file(struct connection *connection, unsigned int number, const char *file)
{
	char *path = realpath(file, NULL);
	const struct attachment a = { .number = number, .path = path, .cdrom = true, .read_only = true };
	int ret = path ? attach(connection, &a) : fail("%s: %s", file, strerror(errno));

	free(path);
	return ret;
}

static const struct {
	const char *name;
	int arguments;
	const char *usage;
} actions[] = {
	{ "list", 0, "no more than that" },
	{ "attach", 2, "which drive, and which file?" },
	{ "detach", 1, "which drive?" },
	{ "reset", 2, "which disk, and where is its overlay?" },
};

enum { LIST, ATTACH, DETACH, RESET, ACTIONS };

static int act(int action, unsigned int number, const char *file)
{
	struct connection connection;
	int ret;

	if (action == RESET)
		return overlay_forget(number, file);
	ret = connect_module(&connection);
	if (ret)
		return ret;
	if (action == ATTACH)
		ret = attach_file(&connection, number, file);
	else
		ret = action == DETACH ? detach(&connection, number) : list(&connection);
	disconnect(&connection);
	return ret;
}

int disk_run(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS };
	unsigned int number = 0;
	int c, ret, action;

	/* options may stand anywhere */
	while ((c = getopt_long(argc, argv, ":jh", options, NULL)) != -1)
		if (common_option(self, c, argv, &ret))
			return ret;
	argc -= optind;
	argv += optind;
	for (action = LIST; argc && action < ACTIONS; action++)
		if (!strcmp(argv[0], actions[action].name))
			break;
	if (action == ACTIONS)
		return usage_error(self, "disk: what is `%s`?", argv[0]);
	if (argc && argc != 1 + actions[action].arguments)
		return usage_error(self, "disk %s: %s", argv[0], actions[action].usage);
	if (argc > 1)
		number = disk_number(argv[1]);
	if (number == CONFIG_DISKS)
		return usage_error(self, "disk: `%s` is none of disk0 to disk%d", argv[1], CONFIG_DISKS - 1);
	return act(action, number, argc > 2 ? argv[2] : NULL);
}
