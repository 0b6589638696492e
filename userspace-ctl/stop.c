// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl stop */
#include <getopt.h>
#include <time.h>
#include "avmmctl.h"
#include "names.h"
#include "partition.h"

struct stop {
	bool force;
	int timeout;			/* seconds */
	struct connection control;
	struct connection events;
};

static s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (s64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int show(bool forced)
{
	struct json_object *object;

	if (!output_json)
		return EXIT_DONE;
	object = json_object_new_object();
	json_object_object_add(object, "state", json_object_new_string(partition_state_name(AVMM_PARTITION_NONE)));
	json_object_object_add(object, "forced", json_object_new_boolean(forced));
	print_json(object, false);
	return EXIT_DONE;
}

/* Returns true with *status once the partition is gone, or something failed. */
static bool gone(struct stop *stop, int *status)
{
	struct partition_status partition;

	*status = partition_get(&stop->control, &partition);
	if (!*status && partition.state == AVMM_PARTITION_OFF) {
		/* The supervisor does the same, if there is one. */
		*status = partition_stop(&stop->control, false);
		return true;
	}
	return *status || partition.state == AVMM_PARTITION_NONE;
}

/* The guest may take its time, or not listen to its power button at all. Returns true with *status as gone() does. */
static bool wait_gone(struct stop *stop, int *status)
{
	s64 deadline = now_ms() + (s64)stop->timeout * 1000, left;

	while (!gone(stop, status)) {
		left = deadline - now_ms();
		if (left <= 0)
			return false;
		*status = wait_event(&stop->events, left < EVENT_INTERVAL ? (int)left : EVENT_INTERVAL, NULL);
		if (*status)
			return true;
	}
	return true;
}

static int run(struct stop *stop)
{
	struct partition_status partition;
	int ret = partition_get(&stop->control, &partition);

	if (ret)
		return ret;
	if (partition.state == AVMM_PARTITION_NONE)
		return fail("there is no user partition");
	if (!stop->force || (stop->timeout && partition.state == AVMM_PARTITION_RUNNING)) {
		ret = partition_stop(&stop->control, false);
		if (ret)
			return ret;
		if (wait_gone(stop, &ret))
			return ret ? ret : show(false);
	}
	if (!stop->force)
		return fail("the guest did not shut down within %d seconds; `avmmctl stop --force` stops it anyway",
			    stop->timeout);
	ret = partition_stop(&stop->control, true);
	return ret ? ret : show(true);
}

/* Returns GO_ON, or the command's exit status. */
static int parse_options(const struct command *self, int argc, char **argv, struct stop *stop)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "timeout", required_argument, NULL, 't' },
		COMMON_OPTIONS
	};
	int c, ret = EXIT_DONE;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS "ft:", options, NULL)) != -1) {
		if (c == 'f')
			stop->force = true;
		else if (c == 't')
			ret = parse_timeout(self, optarg, &stop->timeout);
		else if (common_option(self, c, argv, &ret))
			return ret;
		if (ret)
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);
	return GO_ON;
}

int stop_run(const struct command *self, int argc, char **argv)
{
	struct stop stop = { .timeout = STOP_TIMEOUT };
	int ret = parse_options(self, argc, argv, &stop);

	if (ret != GO_ON)
		return ret;
	ret = connect_module(&stop.control);
	if (ret)
		return ret;
	ret = subscribe(&stop.events);
	if (!ret)
		ret = run(&stop);
	disconnect(&stop.events);
	disconnect(&stop.control);
	return ret;
}
