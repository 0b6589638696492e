/* SPDX-License-Identifier: GPL-2.0-only */
/* All counts at one time, and what was counted between two times. */
#ifndef AVMMCTL_SNAPSHOT_H
#define AVMMCTL_SNAPSHOT_H

#include "messages.h"
#include "netlink.h"

struct snapshot {
	struct machine_stats machine;
	struct partition_status user;
};

/* Returns EXIT_DONE, or EXIT_REFUSED after having said why. */
int snapshot_read(struct connection *connection, struct snapshot *snapshot);

/* Leaves in after what was counted since before. */
void snapshot_subtract(const struct snapshot *before, struct snapshot *after);

void sleep_seconds(double seconds);

/* Seconds of an --interval. Returns EXIT_DONE or EXIT_USAGE. */
struct command;
int parse_interval(const struct command *self, const char *text, double *interval);

#endif
