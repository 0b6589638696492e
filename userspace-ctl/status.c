// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl status */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "disk.h"
#include "messages.h"
#include "names.h"
#include "netlink.h"

struct devices {
	u32 count;
	struct device_status device[AVMM_MAX_DEVICES + AVMM_LEGACIES];
};

static int on_device(struct nlmsghdr *header, void *opaque)
{
	struct devices *devices = opaque;

	if (devices->count == AVMM_MAX_DEVICES + AVMM_LEGACIES)
		return -EINVAL;
	return parse_device(header, &devices->device[devices->count++]);
}

static int on_status(struct nlmsghdr *header, void *opaque)
{
	return parse_status(header, opaque);
}

static void add_number(struct json_object *object, const char *key, u64 number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static struct json_object *cpu_json(const struct cpu_status *cpu)
{
	struct json_object *object = json_object_new_object();

	add_number(object, "cpu", cpu->cpu);
	json_object_object_add(object, "online", json_object_new_boolean(cpu->online));
	json_object_object_add(object, "state", json_object_new_string(cpu_state_name(cpu->state)));
	add_number(object, "launch_ticks", cpu->launch_ticks);
	add_number(object, "exits", cpu->exit_total);
	json_object_object_add(object, "counters", counters_json(cpu->counters, AVMM_COUNTERS, counter_name));
	return object;
}

static double percent(u32 permille)
{
	return permille / 10.0;
}

static struct json_object *user_json(const struct machine_status *status, const struct partition_status *user)
{
	struct json_object *object = json_object_new_object(), *cpus = json_object_new_array();
	u32 i;

	if (user->shared != AVMM_SHARED_NO)
		json_object_array_add(cpus, json_object_new_uint64(AVMM_SHARED_CPU));
	for (i = 0; i < status->ncpus; i++) {
		if (status->cpu[i].state == AVMM_CPU_USER)
			json_object_array_add(cpus, json_object_new_uint64(status->cpu[i].cpu));
	}
	json_object_object_add(object, "name", json_object_new_string("user"));
	json_object_object_add(object, "cpus", cpus);
	json_object_object_add(object, "state", json_object_new_string(partition_state_name(user->state)));
	json_object_object_add(object, "reason", json_object_new_string(partition_reason_name(user->reason)));
	add_number(object, "resets", user->resets);
	add_number(object, "memory", user->memory);
	add_number(object, "vcpus", user->vcpus);
	json_object_object_add(object, "share", json_object_new_double(percent(1000 - user->service_share)));
	json_object_object_add(object, "cap", json_object_new_double(percent(user->cap_user)));
	json_object_object_add(object, "on_triple_fault",
			       json_object_new_string(user->on_triple_fault == AVMM_POLICY_RESET ? "reset" : "stop"));
	add_number(object, "freeze_after", user->freeze_after);
	json_object_object_add(object, "max_skew", json_object_new_double(user->max_skew / 1000.0));
	json_object_object_add(object, "frozen", user->frozen[0] ? json_object_new_string(user->frozen) : NULL);
	json_object_object_add(object, "disks", disks_json(user));
	add_number(object, "time_user", user->time_user);
	add_number(object, "time_service", user->time_service);
	add_number(object, "time_idle", user->time_idle);
	add_number(object, "time_monitor", user->time_monitor);
	add_number(object, "guest_time", user->guest_time);
	add_number(object, "tsc", user->tsc);
	return object;
}

/* The service partition has every CPU that runs above the monitor. */
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
	if (status->partition.state != AVMM_PARTITION_NONE) {
		json_object_object_add(service, "share",
				       json_object_new_double(percent(status->partition.service_share)));
		json_object_object_add(service, "cap", json_object_new_double(percent(status->partition.cap_service)));
	}
	json_object_array_add(list, service);
	if (status->partition.state != AVMM_PARTITION_NONE)
		json_object_array_add(list, user_json(status, &status->partition));
	return list;
}

static struct json_object *devices_json(const struct devices *devices)
{
	struct json_object *list = json_object_new_array();
	u32 i;

	for (i = 0; i < devices->count; i++)
		json_object_array_add(list, json_object_new_string(devices->device[i].address));
	return list;
}

static void show_json(const struct machine_status *status, const struct devices *devices)
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
	json_object_object_add(object, "devices", devices_json(devices));
	json_object_object_add(object, "last_reason",
			       json_object_new_string(partition_reason_name(status->partition.reason)));
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

static void show_partitions(const struct machine_status *status)
{
	const struct partition_status *user = &status->partition;
	char memory[32];

	if (!status->state) {
		puts("partitions: none");
		return;
	}
	if (user->state == AVMM_PARTITION_NONE) {
		printf("partitions: service (this Linux)\n");
		if (user->reason != AVMM_REASON_NONE)
			printf("the last user partition ended: %s\n", partition_reason_text(user->reason));
		return;
	}
	printf("partitions: service (this Linux) with %.1f %%, user with %.1f %%\n", percent(user->service_share),
	       percent(1000 - user->service_share));
	printf("user: %s", partition_state_name(user->state));
	if (user->state == AVMM_PARTITION_OFF)
		printf(" (%s)", partition_reason_text(user->reason));
	printf(", %s of memory, %" PRIu32 " CPU%s, %" PRIu32 " reset%s\n",
	       format_bytes(memory, sizeof(memory), user->memory), user->vcpus, user->vcpus == 1 ? "" : "s",
	       user->resets, user->resets == 1 ? "" : "s");
	if (user->frozen[0])
		printf("user: frozen until it does, its time stands still: %s\n", user->frozen);
	disks_show(user);
}

static void show_devices(const struct devices *devices)
{
	u32 i;

	for (i = 0; i < devices->count; i++)
		printf("%s%s", i ? ", " : "devices of the user partition: ", devices->device[i].address);
	if (devices->count)
		putchar('\n');
}

static void show_text(const struct machine_status *status, const struct devices *devices)
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
	show_partitions(status);
	show_devices(devices);
	printf("\n%-4s %-10s %-8s %12s %14s\n", "CPU", "STATE", "LINUX", "LAUNCH", "EXITS");
	for (i = 0; i < status->ncpus; i++)
		show_cpu(status, &status->cpu[i]);
}

int status_run(const struct command *self, int argc, char **argv)
{
	static struct machine_status status;
	static struct devices devices;
	struct connection connection;
	int ret = no_options(self, argc, argv);

	if (ret != GO_ON)
		return ret;
	ret = connect_module(&connection);
	if (ret)
		return ret;
	ret = request(&connection, AVMM_CMD_GET_STATUS, on_status, &status);
	connection.tolerate = -EOPNOTSUPP;	/* an older module has none */
	if (!ret)
		ret = request(&connection, AVMM_CMD_GET_DEVICES, on_device, &devices);
	disconnect(&connection);
	if (ret)
		return ret;
	if (output_json)
		show_json(&status, &devices);
	else
		show_text(&status, &devices);
	return EXIT_DONE;
}
