/* SPDX-License-Identifier: GPL-2.0-only */
/* The process that keeps a device connected: one for each device, as long as that is connected. */
#ifndef NBD_MANAGER_H
#define NBD_MANAGER_H

#include "backoff.h"
#include "kernel.h"
#include "link.h"
#include "observe.h"
#include "record.h"

#define NBD_CONNECTIONS_MAX	16
#define NBD_UNKNOWN		(-1)	/* a connection that the kernel has, and this process has not */

struct manager {
	struct link_options options;
	struct nbd_record record;
	struct kernel kernel;
	int lock;
	/* Our own descriptors of the kernel's sockets: they hang up when the kernel or the server gives them up. */
	struct {
		bool alive;
		int fd;			/* or NBD_UNKNOWN */
	} slots[NBD_CONNECTIONS_MAX];
	struct kernel events;
	struct link_attempt attempt;
	s64 attempt_until;		/* milliseconds of the monotonic clock, as the next two */
	s64 next_attempt;
	s64 next_observation;
	struct backoff backoff;
	struct observer observer;
	bool accept;			/* the next attempt may find another label or description */
	bool over;
};

/* Stays until it is told to end by SIGTERM or SIGINT, or the device is disconnected. Returns an exit status. */
int manage(struct manager *manager);

/* Gives the kernel SOCKET for a dead connection, or finds that it has none that is dead. For manage() and take-over. */
int manager_replace(struct manager *manager, u32 slot, int socket);

/* Writes the record with the state that the slots say; REASON if it is not "connected". */
void manager_tell(struct manager *manager, enum nbd_state state, const char *reason);

#endif
