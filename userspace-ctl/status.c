// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl status */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "messages.h"
#include "names.h"
#include "netlink.h"

static int on_status(struct nlmsghdr *header, void *opaque)
{
	return parse_status(header, opaque);
}

static struct json_object *cpu_json(const struct cpu_status *cpu)
{
	struct json_object *object = json_object_new_object(), *counters = json_object_new_object();
	u32 i;

	json_object_object_add(object, "cpu", json_object_new_uint64(cpu->cpu));
	json_object_object_add(object, "online", json_object_new_boolean(cpu->online));
	json_object_object_add(object, "state", json_object_new_string(cpu_state_name(cpu->state)));
	json_object_object_add(object, "launch_ticks", json_object_new_uint64(cpu->launch_ticks));
	json_object_object_add(object, "exits", json_object_new_uint64(cpu->exit_total));
	for (i = 0; i < AVMM_COUNTERS; i++)
		json_object_object_add(counters, counter_name(i), json_object_new_uint64(cpu->counters[i]));
	json_object_object_add(object, "counters", counters);
	return object;
}

/* Until the user partition comes there is one partition, and it has every CPU that runs above the monitor. */
static struct json_object *partitions_json(const struct machine_status *status)
{
	struct json_object *list = json_object_new_array(), *service, *cpus;
	u32 i;

	if (!status->state)
		return list;
	service = json_object_new_object();
	cpus = json_object_new_array();
	for (i = 0; i < status->ncpus; i++) {
		if (status->cpu[i].state == AVMM_CPU_SERVICE || status->cpu[i].state == AVMM_CPU_WAIT_SIPI)
			json_object_array_add(cpus, json_object_new_uint64(status->cpu[i].cpu));
	}
	json_object_object_add(service, "name", json_object_new_string("service"));
	json_object_object_add(service, "cpus", cpus);
	json_object_array_add(list, service);
	return list;
}

static void show_json(const struct machine_status *status)
{
	struct json_object *object = json_object_new_object(), *cpus = json_object_new_array();
	u32 i;

	json_object_object_add(object, "version", json_object_new_string(status->version));
	json_object_object_add(object, "state", json_object_new_string(machine_state_name(status->state)));
	json_object_object_add(object, "memory_total", json_object_new_uint64(status->memory_total));
	json_object_object_add(object, "memory_used", json_object_new_uint64(status->memory_used));
	json_object_object_add(object, "text_size", json_object_new_uint64(status->text_size));
	json_object_object_add(object, "prepare_ticks", json_object_new_uint64(status->prepare_ticks));
	json_object_object_add(object, "tsc_khz", json_object_new_uint64(status->tsc_khz));
	json_object_object_add(object, "partitions", partitions_json(status));
	for (i = 0; i < status->ncpus; i++)
		json_object_array_add(cpus, cpu_json(&status->cpu[i]));
	json_object_object_add(object, "cpus", cpus);
	print_json(object, false);
}

static void show_cpu(const struct machine_status *status, const struct cpu_status *cpu)
{
	char launch[32] = "-";
	u32 i;

	if (cpu->launch_ticks)
		format_ticks(launch, sizeof(launch), cpu->launch_ticks, status->tsc_khz);
	printf("%-4" PRIu32 " %-10s %-8s %12s %14" PRIu64 "\n", cpu->cpu, cpu_state_name(cpu->state),
	       cpu->online ? "online" : "offline", launch, cpu->exit_total);
	for (i = 0; i < AVMM_COUNTERS; i++) {
		if (cpu->counters[i])
			printf("     %-40s %10" PRIu64 "\n", counter_text(i), cpu->counters[i]);
	}
}

static void show_text(const struct machine_status *status)
{
	char total[32], used[32], text[32], prepared[32];
	u32 i;

	printf("AVMM %s, %s\n", status->version, machine_state_name(status->state));
	if (status->memory_total)
		printf("monitor: %s of memory, %s of it used, %s of text; prepared in %s\n",
		       format_bytes(total, sizeof(total), status->memory_total),
		       format_bytes(used, sizeof(used), status->memory_used),
		       format_bytes(text, sizeof(text), status->text_size),
		       format_ticks(prepared, sizeof(prepared), status->prepare_ticks, status->tsc_khz));
	else
		puts("monitor: none");
	printf("partitions: %s\n", status->state ? "service (this Linux)" : "none");
	printf("\n%-4s %-10s %-8s %12s %14s\n", "CPU", "STATE", "LINUX", "LAUNCH", "EXITS");
	for (i = 0; i < status->ncpus; i++)
		show_cpu(status, &status->cpu[i]);
}

int status_run(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS };
	static struct machine_status status;
	struct connection connection;
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS, options, NULL)) != -1) {
		if (common_option(self, c, argv, &ret))
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);

	ret = connect_module(&connection);
	if (ret)
		return ret;
	ret = request(&connection, AVMM_CMD_GET_STATUS, on_status, &status);
	disconnect(&connection);
	if (ret)
		return ret;
	if (output_json)
		show_json(&status);
	else
		show_text(&status);
	return EXIT_DONE;
}
