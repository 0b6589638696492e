/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of a connection: /run/avmm/nbd/nbdN.json, written by its manager at each change, read by `status` and
 * by a manager that takes over from one that died. nbdN.lock beside it is locked while there is a manager.
 */
#ifndef NBD_RECORD_H
#define NBD_RECORD_H

#include <json-c/json.h>
#include "export.h"

#define NBD_RUN_DIR	"/run/avmm/nbd"

enum nbd_state {
	NBD_CONNECTED,
	NBD_DEGRADED,		/* some of several connections are down */
	NBD_STALLED,		/* all are down; whoever uses the disk waits */
	NBD_REFUSED,		/* so too, and what the server has now is not the disk that it was */
	NBD_STATES,
};

struct nbd_record {
	int index;		/* N of /dev/nbdN */
	int pid;		/* of the manager */
	char *uri;
	char *backend;		/* what the kernel wants to hear again with a new socket */
	struct nbd_export export;
	u32 flags;		/* enum nbd_flags that the kernel was told */
	u32 block_size;
	u32 timeout;		/* seconds that a request may take before its connection is given up */
	u32 connections;
	u32 alive;
	u32 reconnects;		/* connections made anew so far */
	enum nbd_state state;
	char reason[768];	/* why it is not connected; empty if it is */
	s64 since;		/* when the state began, seconds of the epoch */
};

const char *state_name(enum nbd_state state);

struct json_object *record_json(const struct nbd_record *record);

/* False if a key lacks or is wrong. To be freed in either case. */
bool record_parse(struct json_object *object, struct nbd_record *record);
void record_free(struct nbd_record *record);

/* In DIR. Return 0 or a negative errno; read: -EBADMSG for a file that is none. */
int record_write(const char *dir, const struct nbd_record *record);
int record_read(const char *dir, int index, struct nbd_record *record);
int record_remove(const char *dir, int index);

/*
 * Locks nbdN.lock and writes this process into it. Returns a descriptor, -EWOULDBLOCK if another holds it (*holder is
 * its pid, 0 if not known), or a negative errno.
 */
int record_lock(const char *dir, int index, int *holder);
int record_lock_pid(int lock);

#endif
