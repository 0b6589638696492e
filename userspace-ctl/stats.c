// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl stats */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "avmmctl.h"
#include "messages.h"
#include "names.h"
#include "snapshot.h"

#define COLUMNS_MAX	8	/* with more CPUs only the sum is printed */

struct choice {
	double interval;	/* seconds; 0: counts since the launch */
	int cpu;		/* -1: all */
};

static struct json_object *cpu_json(u32 number, const struct cpu_stats *cpu)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "cpu", json_object_new_uint64(number));
	json_object_object_add(object, "state", json_object_new_string(cpu_state_name(cpu->state)));
	json_object_object_add(object, "exits", exits_json(cpu->exits, AVMM_EXIT_REASONS));
	json_object_object_add(object, "counters", counters_json(cpu->counters, AVMM_COUNTERS, counter_name));
	json_object_object_add(object, "user_exits", exits_json(cpu->user_exits, AVMM_EXIT_REASONS));
	return object;
}

static struct json_object *user_json(const struct partition_status *user)
{
	const struct { const char *key; u64 ticks; } times[] = {
		{ "time_user", user->time_user }, { "time_service", user->time_service },
		{ "time_idle", user->time_idle }, { "time_monitor", user->time_monitor },
		{ "guest_time", user->guest_time }, { "tsc", user->tsc },
	};
	struct json_object *object;
	u32 i;

	if (user->state == AVMM_PARTITION_NONE)
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "exits", exits_json(user->exits, AVMM_EXIT_REASONS));
	json_object_object_add(object, "counters",
			       counters_json(user->counters, AVMM_PARTITION_COUNTERS, partition_counter_name));
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		json_object_object_add(object, times[i].key, json_object_new_uint64(times[i].ticks));
	return object;
}

static void show_json(const struct machine_stats *stats, const struct partition_status *user,
		      const struct choice *choice)
{
	struct json_object *object = json_object_new_object(), *cpus = json_object_new_array();
	u32 i;

	for (i = 0; i < AVMM_MAX_CPUS; i++) {
		if (stats->cpu[i].present)
			json_object_array_add(cpus, cpu_json(i, &stats->cpu[i]));
	}
	json_object_object_add(object, "interval", choice->interval ? json_object_new_double(choice->interval) : NULL);
	json_object_object_add(object, "cpus", cpus);
	json_object_object_add(object, "user", user_json(user));
	print_json(object, false);
}

/* The count that a row shows of a CPU: exits by reason first, then the counters. */
static u64 count_of(const struct cpu_stats *cpu, u32 row)
{
	return row < AVMM_EXIT_REASONS ? cpu->exits[row] : cpu->counters[row - AVMM_EXIT_REASONS];
}

static void show_row(const struct machine_stats *stats, u32 row, bool columns)
{
	char buf[32];
	u64 sum = 0;
	u32 i;

	for (i = 0; i < AVMM_MAX_CPUS; i++)
		sum += count_of(&stats->cpu[i], row);
	if (!sum)
		return;
	printf("%-42s %14" PRIu64, row < AVMM_EXIT_REASONS ? exit_reason_name(row, buf, sizeof(buf)) :
	       counter_text(row - AVMM_EXIT_REASONS), sum);
	for (i = 0; columns && i < AVMM_MAX_CPUS; i++) {
		if (stats->cpu[i].present)
			printf(" %12" PRIu64, count_of(&stats->cpu[i], row));
	}
	putchar('\n');
}

static void show_text(const struct machine_stats *stats)
{
	u32 i, present = 0;
	char name[16];

	for (i = 0; i < AVMM_MAX_CPUS; i++)
		present += stats->cpu[i].present;
	printf("%-42s %14s", "VM EXITS", "ALL");
	for (i = 0; present <= COLUMNS_MAX && i < AVMM_MAX_CPUS; i++) {
		if (!stats->cpu[i].present)
			continue;
		snprintf(name, sizeof(name), "CPU %" PRIu32, i);
		printf(" %12s", name);
	}
	putchar('\n');
	for (i = 0; i < AVMM_EXIT_REASONS; i++)
		show_row(stats, i, present <= COLUMNS_MAX);
	puts("\nOTHER COUNTS");
	for (; i < AVMM_EXIT_REASONS + AVMM_COUNTERS; i++)
		show_row(stats, i, present <= COLUMNS_MAX);
}

/* Of each CPU where a vCPU runs; none, if they are too many for a line. */
static u32 vcpu_columns(const struct snapshot *all, u32 column[COLUMNS_MAX])
{
	u32 i, n = 0;

	for (i = 0; i < AVMM_MAX_CPUS; i++) {
		if (!has_vcpu(&all->machine, &all->user, i))
			continue;
		if (n == COLUMNS_MAX)
			return 0;
		column[n++] = i;
	}
	return n;
}

static void show_user_exits(const struct snapshot *all)
{
	u32 column[COLUMNS_MAX], columns = vcpu_columns(all, column), reason, i;
	char buf[32];

	printf("\n%-42s %14s", "USER PARTITION", "ALL");
	for (i = 0; i < columns; i++) {
		snprintf(buf, sizeof(buf), "CPU %" PRIu32, column[i]);
		printf(" %12s", buf);
	}
	for (reason = 0; reason < AVMM_EXIT_REASONS; reason++) {
		if (!all->user.exits[reason])
			continue;
		printf("\n%-42s %14" PRIu64, exit_reason_name(reason, buf, sizeof(buf)), all->user.exits[reason]);
		for (i = 0; i < columns; i++)
			printf(" %12" PRIu64, all->machine.cpu[column[i]].user_exits[reason]);
	}
	printf("\n%-42s %14" PRIu64, "all exits", exits_sum(all->user.exits));
	for (i = 0; i < columns; i++)
		printf(" %12" PRIu64, exits_sum(all->machine.cpu[column[i]].user_exits));
	putchar('\n');
}

static void show_user(const struct snapshot *all)
{
	const struct partition_status *user = &all->user;
	u32 i;

	if (user->state == AVMM_PARTITION_NONE)
		return;
	show_user_exits(all);
	for (i = 0; i < AVMM_PARTITION_COUNTERS; i++) {
		if (user->counters[i])
			printf("%-42s %14" PRIu64 "\n", partition_counter_text(i), user->counters[i]);
	}
}

static int read_stats(const struct choice *choice, struct snapshot *stats)
{
	static struct snapshot before;
	struct connection connection;
	int ret = connect_module(&connection);

	if (ret)
		return ret;
	if (choice->interval) {
		ret = snapshot_read(&connection, &before);
		if (!ret)
			sleep_seconds(choice->interval);
	}
	if (!ret)
		ret = snapshot_read(&connection, stats);
	disconnect(&connection);
	if (!ret)
		snapshot_subtract(&before, stats);
	return ret;
}

static int parse_cpu(const struct command *self, const char *text, int *cpu)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value >= AVMM_MAX_CPUS)
		return usage_error(self, "--cpu %s: a CPU number, from 0 to %d", text, AVMM_MAX_CPUS - 1);
	*cpu = (int)value;
	return EXIT_DONE;
}

/* Returns GO_ON, or the command's exit status. */
static int parse_options(const struct command *self, int argc, char **argv, struct choice *choice)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "cpu", required_argument, NULL, 'c' },
		COMMON_OPTIONS
	};
	int c, ret = EXIT_DONE;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS "i:c:", options, NULL)) != -1) {
		if (c == 'i')
			ret = parse_interval(self, optarg, &choice->interval);
		else if (c == 'c')
			ret = parse_cpu(self, optarg, &choice->cpu);
		else if (common_option(self, c, argv, &ret))
			return ret;
		if (ret)
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);
	return GO_ON;
}

int stats_run(const struct command *self, int argc, char **argv)
{
	static struct machine_stats stats;
	static struct snapshot all;
	struct choice choice = { .cpu = -1 };
	int ret = parse_options(self, argc, argv, &choice);

	if (ret != GO_ON)
		return ret;
	ret = read_stats(&choice, &all);
	if (ret)
		return ret;
	if (choice.cpu < 0)
		stats = all.machine;
	else if (all.machine.cpu[choice.cpu].present)
		stats.cpu[choice.cpu] = all.machine.cpu[choice.cpu];
	else
		return fail("there is no CPU %d", choice.cpu);
	if (output_json) {
		show_json(&stats, &all.user, &choice);
	} else {
		show_text(&stats);
		show_user(&all);
	}
	return EXIT_DONE;
}
