/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests about the user partition. Each returns EXIT_DONE, or EXIT_REFUSED after having said why. */
#ifndef AVMMCTL_PARTITION_H
#define AVMMCTL_PARTITION_H

#include "config.h"
#include "image.h"
#include "messages.h"
#include "netlink.h"

#define STOP_TIMEOUT	60	/* seconds that the guest has for its shutdown unless told otherwise */

/* An attribute of a request. */
struct value {
	int attr;
	u64 value;
	size_t size;		/* 8, 4 or 0: a flag */
};

int partition_request(struct connection *connection, u8 cmd, const struct value *values, size_t count,
		      message_handler handler, void *opaque);

int partition_get(struct connection *connection, struct partition_status *partition);
int partition_create(struct connection *connection, const struct config *config, const struct image *image);

/* Writes the image to the partition, which is CREATED, and starts it. */
int partition_boot(struct connection *connection, const struct image *image);

int partition_reload(struct connection *connection);	/* back to CREATED, with zeroed memory */

/*
 * Presses the power button of a partition that runs; one that does not run is gone when this returns. Forced, it is
 * gone in any case. That there is none any more, for somebody else was faster, is no error.
 */
int partition_stop(struct connection *connection, bool force);

int partition_command(struct connection *connection, u8 cmd);	/* without attributes */

#endif
