// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl top */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "avmmctl.h"
#include "names.h"
#include "snapshot.h"

#define ROWS		14		/* exit reasons that are shown */
#define CPU_ROWS	16
#define CLEAR		"\033[H\033[J"

struct choice {
	double interval;		/* seconds */
	long count;			/* of views; 0: without end */
};

/* The exits of all CPUs of the service and those of the user by reason. */
struct row {
	u32 reason;
	u64 service;
	u64 user;
};

static int by_count(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	u64 left = x->service + x->user, right = y->service + y->user;

	return left < right ? 1 : left > right ? -1 : 0;
}

static void fill_rows(const struct snapshot *shot, struct row rows[AVMM_EXIT_REASONS])
{
	u32 reason, cpu;

	for (reason = 0; reason < AVMM_EXIT_REASONS; reason++) {
		rows[reason] = (struct row){ reason, 0, shot->user.exits[reason] };
		for (cpu = 0; cpu < AVMM_MAX_CPUS; cpu++)
			rows[reason].service += shot->machine.cpu[cpu].exits[reason];
	}
	qsort(rows, AVMM_EXIT_REASONS, sizeof(rows[0]), by_count);
}

static double part(u64 ticks, u64 of)
{
	return of ? 100.0 * (double)ticks / (double)of : 0;
}

/* What the time on the shared CPU is divided by. Nothing is shared while no user partition runs. */
static u64 all_time(const struct partition_status *user)
{
	return user->time_service + user->time_user + user->time_idle + user->time_monitor;
}

static void show_user(const struct partition_status *user)
{
	u64 all = all_time(user);

	if (user->state == AVMM_PARTITION_NONE) {
		puts("no user partition");
		return;
	}
	printf("user partition: %s, shares: user %.1f %%, service %.1f %%\n", partition_state_name(user->state),
	       (1000 - user->service_share) / 10.0, user->service_share / 10.0);
	printf("shared CPU: user %.1f %%, service %.1f %%, idle %.1f %%, monitor %.1f %%\n", part(user->time_user, all),
	       part(user->time_service, all), part(user->time_idle, all), part(user->time_monitor, all));
}

static const char *runs_on(const struct snapshot *shot, u32 cpu)
{
	u32 state = shot->machine.cpu[cpu].state;

	return cpu == AVMM_SHARED_CPU && has_vcpu(&shot->machine, &shot->user, cpu) ? "both" : cpu_state_name(state);
}

static void show_cpus(const struct snapshot *shot, const struct choice *choice)
{
	u32 cpu, rows = 0;

	printf("\n%-4s %-37s %14s %14s\n", "CPU", "RUNS", "SERVICE", "USER");
	for (cpu = 0; cpu < AVMM_MAX_CPUS && rows < CPU_ROWS; cpu++) {
		const struct cpu_stats *stats = &shot->machine.cpu[cpu];

		if (!stats->present)
			continue;
		rows++;
		printf("%-4" PRIu32 " %-37s %14.1f %14.1f\n", cpu, runs_on(shot, cpu),
		       (double)exits_sum(stats->exits) / choice->interval,
		       (double)exits_sum(stats->user_exits) / choice->interval);
	}
}

static void show_text(const struct snapshot *shot, const struct choice *choice, bool clear)
{
	struct row rows[AVMM_EXIT_REASONS];
	char buf[32];
	u32 i;

	fill_rows(shot, rows);
	if (clear)
		fputs(CLEAR, stdout);
	show_user(&shot->user);
	printf("\n%-42s %14s %14s\n", "PER SECOND", "SERVICE", "USER");
	for (i = 0; i < ROWS && rows[i].service + rows[i].user; i++)
		printf("%-42s %14.1f %14.1f\n", exit_reason_name(rows[i].reason, buf, sizeof(buf)),
		       (double)rows[i].service / choice->interval, (double)rows[i].user / choice->interval);
	for (i = 0; i < AVMM_PARTITION_COUNTERS; i++) {
		if (shot->user.counters[i])
			printf("%-42s %14s %14.1f\n", partition_counter_text(i), "",
			       (double)shot->user.counters[i] / choice->interval);
	}
	show_cpus(shot, choice);
	if (!clear)
		putchar('\n');
}

static void add_part(struct json_object *object, const char *key, u64 ticks, u64 of)
{
	json_object_object_add(object, key, json_object_new_double(part(ticks, of)));
}

static struct json_object *cpu_json(const struct snapshot *shot, u32 cpu)
{
	struct json_object *object = json_object_new_object();
	const struct cpu_stats *stats = &shot->machine.cpu[cpu];

	json_object_object_add(object, "cpu", json_object_new_uint64(cpu));
	json_object_object_add(object, "runs", json_object_new_string(runs_on(shot, cpu)));
	json_object_object_add(object, "service_exits", json_object_new_uint64(exits_sum(stats->exits)));
	json_object_object_add(object, "user_exits", json_object_new_uint64(exits_sum(stats->user_exits)));
	return object;
}

static void show_json(const struct snapshot *shot, const struct choice *choice)
{
	struct json_object *object = json_object_new_object(), *cpus = json_object_new_array();
	u64 all = all_time(&shot->user), exits = 0;
	u32 cpu;

	for (cpu = 0; cpu < AVMM_MAX_CPUS; cpu++) {
		exits += exits_sum(shot->machine.cpu[cpu].exits);
		if (shot->machine.cpu[cpu].present)
			json_object_array_add(cpus, cpu_json(shot, cpu));
	}
	json_object_object_add(object, "interval", json_object_new_double(choice->interval));
	json_object_object_add(object, "state",
			       json_object_new_string(partition_state_name(shot->user.state)));
	add_part(object, "user", shot->user.time_user, all);
	add_part(object, "service", shot->user.time_service, all);
	add_part(object, "idle", shot->user.time_idle, all);
	add_part(object, "monitor", shot->user.time_monitor, all);
	json_object_object_add(object, "service_exits", json_object_new_uint64(exits));
	json_object_object_add(object, "cpus", cpus);
	json_object_object_add(object, "user_exits", exits_json(shot->user.exits, AVMM_EXIT_REASONS));
	json_object_object_add(object, "user_counters",
			       counters_json(shot->user.counters, AVMM_PARTITION_COUNTERS, partition_counter_name));
	print_json(object, true);
}

static int run(struct connection *connection, const struct choice *choice)
{
	static struct snapshot before, now, difference;
	bool clear = isatty(STDOUT_FILENO);
	int ret = snapshot_read(connection, &before);
	long i;

	for (i = 0; !ret && (!choice->count || i < choice->count); i++) {
		sleep_seconds(choice->interval);
		ret = snapshot_read(connection, &now);
		if (ret)
			break;
		difference = now;
		snapshot_subtract(&before, &difference);
		before = now;
		if (output_json)
			show_json(&difference, choice);
		else
			show_text(&difference, choice, clear);
		if (fflush(stdout) || ferror(stdout))
			break;
	}
	return ret;
}

static int parse_count(const struct command *self, const char *text, long *count)
{
	char *end;

	errno = 0;
	*count = strtol(text, &end, 10);
	if (errno || end == text || *end || *count < 1 || *count > INT32_MAX)
		return usage_error(self, "--count %s: a number from 1 to %" PRId32, text, INT32_MAX);
	return EXIT_DONE;
}

int top_run(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		COMMON_OPTIONS
	};
	struct choice choice = { .interval = 2 };
	struct connection connection;
	int c, ret = EXIT_DONE;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS "i:n:", options, NULL)) != -1) {
		if (c == 'i')
			ret = parse_interval(self, optarg, &choice.interval);
		else if (c == 'n')
			ret = parse_count(self, optarg, &choice.count);
		else if (common_option(self, c, argv, &ret))
			return ret;
		if (ret)
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);
	ret = connect_module(&connection);
	if (ret)
		return ret;
	ret = run(&connection, &choice);
	disconnect(&connection);
	return ret;
}
