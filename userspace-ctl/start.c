// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl start */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "avmmctl.h"
#include "config.h"
#include "disk.h"
#include "device.h"
#include "legacy.h"
#include "names.h"
#include "partition.h"
#include "supervisor.h"
#include "vfio.h"

#define OPTION_KEYS	256		/* getopt_long()'s values for the configuration's keys begin here */

struct start {
	const char *file;
	const char *option[CONFIG_KEYS];	/* values given on the command line */
	bool foreground;
	struct config config;
	struct vfio vfio;			/* devices behind an IOMMU: the process that stays has them open */
	struct connection control;
	struct connection events;
	int lock;
};

/* Returns GO_ON, or the command's exit status. */
static int parse_options(const struct command *self, int argc, char **argv, struct start *start)
{
	static const struct option common[] = { { "foreground", no_argument, NULL, 'f' }, COMMON_OPTIONS };
	struct option options[CONFIG_KEYS + sizeof(common) / sizeof(common[0])];
	int c, i, status;

	for (i = 0; i < CONFIG_KEYS; i++)
		options[i] = (struct option){
			config_option_name((enum config_key)i), required_argument, NULL, OPTION_KEYS + i
		};
	memcpy(&options[CONFIG_KEYS], common, sizeof(common));
	/* The file may stand before its options. */
	while ((c = getopt_long(argc, argv, "-:jhf", options, NULL)) != -1) {
		if (c >= OPTION_KEYS)
			start->option[c - OPTION_KEYS] = optarg;
		else if (c == 'f')
			start->foreground = true;
		else if (c == 1 && !start->file)
			start->file = optarg;
		else if (c == 1)
			return usage_error(self, "start: what is `%s`?", optarg);
		else if (common_option(self, c, argv, &status))
			return status;
	}
	if (optind < argc && !start->file)
		start->file = argv[optind++];
	return optind < argc ? usage_error(self, "start: what is `%s`?", argv[optind]) : GO_ON;
}

static int read_config(struct start *start)
{
	struct config *config = &start->config;
	FILE *stream;
	bool good;
	int i;

	config_init(config);
	if (start->file) {
		stream = fopen(start->file, "re");
		if (!stream)
			return fail("%s: %s", start->file, strerror(errno));
		good = config_read(config, stream, start->file);
		fclose(stream);
		if (!good)
			return fail("%s", config->problem);
	}
	for (i = 0; i < CONFIG_KEYS; i++) {
		if (start->option[i] && !config_option(config, (enum config_key)i, start->option[i]))
			return fail("%s", config->problem);
	}
	return config_finish(config) ? EXIT_DONE : fail("%s", config->problem);
}

/* Its memory is at the beginning of the window. */
static int find_window(struct config *config)
{
	enum window_state state = WINDOW_FOUND;
	u64 size = config->memory, base = 0;
	char text[32];
	int ret;

	if (!config->identity)
		return EXIT_DONE;
	ret = device_window(&size, &base, &state);
	if (!ret && state != WINDOW_RESERVED)
		ret = fail("memory_mode = identity: the kernel has not left %s alone: `avmmctl device window` prints the "
			   "parameter for its command line", format_bytes(text, sizeof(text), config->memory));
	config->window = base;
	return ret;
}

/* There may be one partition only. Its creation would be refused as well, but after waiting for its supervisor. */
static int check_none(struct connection *connection)
{
	struct partition_status partition;
	int ret = partition_get(connection, &partition);

	if (!ret && partition.state != AVMM_PARTITION_NONE)
		return fail("there is a user partition already, it is %s", partition_state_name(partition.state));
	return ret;
}

static int assign_some(struct start *start, bool legacy)
{
	int i, ret = EXIT_DONE;

	for (i = 0; !ret && i < CONFIG_DEVICES; i++) {
		const struct config_device *device = &start->config.device[i];

		if (device->address[0] && config_legacy(device->address) == legacy)
			ret = device_assign(&start->control, device, true);
	}
	return ret;
}

/*
 * Those that are assigned stay so when the partition is gone, until `avmmctl device release`. The VGA is before the PCI
 * device that it is on, whose memory a driver for firmware's frame buffer has.
 */
static int assign_devices(struct start *start)
{
	int ret = assign_some(start, true);

	return ret ? ret : assign_some(start, false);
}

static int create(struct start *start)
{
	struct image image;
	int ret = image_open(&image, &start->config);

	if (ret)
		return ret;
	ret = assign_devices(start);
	if (!ret)
		ret = legacy_fit(&start->control, &start->config, &image);
	if (!ret)
		ret = partition_create(&start->control, &start->config, &image);
	if (!ret) {
		ret = devices_hold(&start->control, &start->vfio, start->config.memory);
		if (!ret)
			ret = disks_attach(&start->control, &start->config);
		if (!ret)
			ret = partition_boot(&start->control, &image);
		if (ret) {
			partition_stop(&start->control, true);
			vfio_close(&start->vfio);
			disks_release(&start->config);
		}
	}
	image_close(&image);
	return ret;
}

static void show(int pid)
{
	struct json_object *object;

	if (!output_json)
		return;
	object = json_object_new_object();
	json_object_object_add(object, "state", json_object_new_string(partition_state_name(AVMM_PARTITION_RUNNING)));
	json_object_object_add(object, "supervisor", json_object_new_int(pid));
	print_json(object, false);
	fflush(stdout);		/* in the foreground the next words may be long in coming */
}

/* The partition runs. In the child of a daemon this does not return. */
static int stay(struct start *start)
{
	int pid = start->foreground ? 0 : supervisor_daemonise();
	int status = pid < 0 ? EXIT_REFUSED : EXIT_DONE;

	if (pid > 0) {
		show(pid);
		return EXIT_DONE;
	}
	if (!status)
		status = supervisor_announce(start->lock);
	if (status) {
		partition_stop(&start->control, true);
	} else {
		if (start->foreground)
			show(getpid());
		status = supervise(&start->control, &start->events, &start->config, &start->vfio);
	}
	vfio_close(&start->vfio);
	disks_release(&start->config);
	supervisor_unlock(start->lock);
	if (!start->foreground && !pid)
		_exit(status);
	return status;
}

static int run(struct start *start)
{
	int ret = check_none(&start->control);

	if (ret)
		return ret;
	start->lock = supervisor_lock();
	if (start->lock < 0)
		return EXIT_REFUSED;
	supervisor_catch_signals();
	vfio_begin(&start->vfio);
	ret = create(start);
	if (!ret)
		return stay(start);
	supervisor_unlock(start->lock);
	return ret;
}

int start_run(const struct command *self, int argc, char **argv)
{
	struct start start = { .lock = -1 };
	int ret = parse_options(self, argc, argv, &start);

	if (ret != GO_ON)
		return ret;
	ret = read_config(&start);
	if (!ret)
		ret = find_window(&start.config);
	if (!ret)
		ret = connect_module(&start.control);
	if (!ret) {
		/* Before the partition is: a reset is refused if nobody listens. */
		ret = subscribe(&start.events);
		if (!ret)
			ret = run(&start);
		disconnect(&start.events);
		disconnect(&start.control);
	}
	config_free(&start.config);
	return ret;
}
