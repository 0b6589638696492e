// SPDX-License-Identifier: GPL-2.0-only
/* Snapshots of all counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "avmmctl.h"
#include "partition.h"
#include "snapshot.h"

#define INTERVAL_MIN	0.01	/* seconds */
#define INTERVAL_MAX	86400.0

static int on_stats(struct nlmsghdr *header, void *opaque)
{
	return parse_stats(header, opaque);
}

int snapshot_read(struct connection *connection, struct snapshot *snapshot)
{
	int ret;

	memset(snapshot, 0, sizeof(*snapshot));
	ret = request(connection, AVMM_CMD_GET_STATS, on_stats, &snapshot->machine);
	return ret ? ret : partition_get(connection, &snapshot->user);
}

/* Counts only grow, unless the module was loaded or the partition created anew in between: then they began at 0. */
static void subtract(const u64 *before, u64 *after, u32 count)
{
	for (; count; before++, after++, count--)
		*after = *after >= *before ? *after - *before : *after;
}

void snapshot_subtract(const struct snapshot *before, struct snapshot *after)
{
	const struct partition_status *old_user = &before->user;
	struct partition_status *user = &after->user;
	u32 cpu;

	for (cpu = 0; cpu < AVMM_MAX_CPUS; cpu++) {
		const struct cpu_stats *old = &before->machine.cpu[cpu];
		struct cpu_stats *new = &after->machine.cpu[cpu];

		subtract(old->exits, new->exits, AVMM_EXIT_REASONS);
		subtract(old->counters, new->counters, AVMM_COUNTERS);
		subtract(old->user_exits, new->user_exits, AVMM_EXIT_REASONS);
	}
	subtract(old_user->exits, user->exits, AVMM_EXIT_REASONS);
	subtract(old_user->counters, user->counters, AVMM_PARTITION_COUNTERS);
	subtract(&old_user->time_service, &user->time_service, 1);
	subtract(&old_user->time_user, &user->time_user, 1);
	subtract(&old_user->time_idle, &user->time_idle, 1);
	subtract(&old_user->time_monitor, &user->time_monitor, 1);
	subtract(&old_user->guest_time, &user->guest_time, 1);
	subtract(&old_user->tsc, &user->tsc, 1);
}

void sleep_seconds(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

int parse_interval(const struct command *self, const char *text, double *interval)
{
	char *end;

	errno = 0;
	*interval = strtod(text, &end);
	if (errno || end == text || *end || !(*interval >= INTERVAL_MIN && *interval <= INTERVAL_MAX))
		return usage_error(self, "--interval %s: seconds, from %g to %g", text, INTERVAL_MIN, INTERVAL_MAX);
	return EXIT_DONE;
}
