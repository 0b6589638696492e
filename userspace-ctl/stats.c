// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl stats */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "messages.h"
#include "names.h"
#include "netlink.h"

#define INTERVAL_MIN	0.01	/* seconds */
#define INTERVAL_MAX	86400.0
#define COLUMNS_MAX	8	/* with more CPUs only the sum is printed */

struct choice {
	double interval;	/* seconds; 0: counts since the launch */
	int cpu;		/* -1: all */
};

static int on_stats(struct nlmsghdr *header, void *opaque)
{
	return parse_stats(header, opaque);
}

/* Counts only grow, unless the module was loaded anew in between: then they began at 0. */
static u64 difference(u64 before, u64 after)
{
	return after >= before ? after - before : after;
}

static void subtract(const struct machine_stats *before, struct machine_stats *after)
{
	u32 cpu, i;

	for (cpu = 0; cpu < AVMM_MAX_CPUS; cpu++) {
		const struct cpu_stats *old = &before->cpu[cpu];
		struct cpu_stats *new = &after->cpu[cpu];

		for (i = 0; i < AVMM_EXIT_REASONS; i++)
			new->exits[i] = difference(old->exits[i], new->exits[i]);
		for (i = 0; i < AVMM_COUNTERS; i++)
			new->counters[i] = difference(old->counters[i], new->counters[i]);
	}
}

static struct json_object *cpu_json(u32 number, const struct cpu_stats *cpu)
{
	struct json_object *object = json_object_new_object();
	struct json_object *exits = json_object_new_object(), *counters = json_object_new_object();
	char buf[32];
	u32 i;

	for (i = 0; i < AVMM_EXIT_REASONS; i++) {
		if (cpu->exits[i])
			json_object_object_add(exits, exit_reason_name(i, buf, sizeof(buf)),
					       json_object_new_uint64(cpu->exits[i]));
	}
	for (i = 0; i < AVMM_COUNTERS; i++)
		json_object_object_add(counters, counter_name(i), json_object_new_uint64(cpu->counters[i]));
	json_object_object_add(object, "cpu", json_object_new_uint64(number));
	json_object_object_add(object, "exits", exits);
	json_object_object_add(object, "counters", counters);
	return object;
}

static void show_json(const struct machine_stats *stats, const struct choice *choice)
{
	struct json_object *object = json_object_new_object(), *cpus = json_object_new_array();
	u32 i;

	for (i = 0; i < AVMM_MAX_CPUS; i++) {
		if (stats->cpu[i].present)
			json_object_array_add(cpus, cpu_json(i, &stats->cpu[i]));
	}
	json_object_object_add(object, "interval", choice->interval ? json_object_new_double(choice->interval) : NULL);
	json_object_object_add(object, "cpus", cpus);
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

static void sleep_seconds(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int read_stats(const struct choice *choice, struct machine_stats *stats)
{
	static struct machine_stats before;
	struct connection connection;
	int ret = connect_module(&connection);

	if (ret)
		return ret;
	if (choice->interval) {
		ret = request(&connection, AVMM_CMD_GET_STATS, on_stats, &before);
		if (!ret)
			sleep_seconds(choice->interval);
	}
	if (!ret)
		ret = request(&connection, AVMM_CMD_GET_STATS, on_stats, stats);
	disconnect(&connection);
	if (!ret)
		subtract(&before, stats);
	return ret;
}

static int parse_interval(const struct command *self, const char *text, double *interval)
{
	char *end;

	errno = 0;
	*interval = strtod(text, &end);
	if (errno || end == text || *end || !(*interval >= INTERVAL_MIN && *interval <= INTERVAL_MAX))
		return usage_error(self, "--interval %s: seconds, from %g to %g", text, INTERVAL_MIN, INTERVAL_MAX);
	return EXIT_DONE;
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
	static struct machine_stats stats, all;
	struct choice choice = { .cpu = -1 };
	int ret = parse_options(self, argc, argv, &choice);

	if (ret != GO_ON)
		return ret;
	ret = read_stats(&choice, &all);
	if (ret)
		return ret;
	if (choice.cpu < 0)
		stats = all;
	else if (all.cpu[choice.cpu].present)
		stats.cpu[choice.cpu] = all.cpu[choice.cpu];
	else
		return fail("there is no CPU %d", choice.cpu);
	if (output_json)
		show_json(&stats, &choice);
	else
		show_text(&stats);
	return EXIT_DONE;
}
