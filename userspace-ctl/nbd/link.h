/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection to a server, made by a child process: name look-up, handshake and TLS may hang or be slow, and whoever
 * wants the connection must not. The child negotiates with libnbd, looks at the disk's label, and sends what it found
 * with the socket. With TLS that socket is one end of a pair: the child stays and carries requests over (proxy.h),
 * and when the server is gone it ends, which the kernel sees as a dead connection like any other.
 */
#ifndef NBD_LINK_H
#define NBD_LINK_H

#include "export.h"

#define LINK_TIMEOUT	15	/* seconds for everything */

struct link_options {
	const char *uri;
	bool tls;			/* insist on it; a URI nbds:// does so too */
	const char *tls_certificates;	/* a directory, or NULL */
	const char *tls_psk;		/* a file, or NULL */
	const char *tls_user;		/* or NULL */
};

struct link_report {
	int failed;			/* boolean; text says why */
	struct nbd_export export;
	char text[512];
};

struct link_attempt {
	int channel;			/* where the report comes from; -1: no attempt is being made */
	int pid;
};

/* Returns 0 or a negative errno. */
int link_start(struct link_attempt *attempt, const struct link_options *options);

/*
 * Reads the report; waits until there is one. Returns the socket, or -1 if there is none; the attempt is over. The
 * export is checked as far as it can be without knowing what it was.
 */
int link_finish(struct link_attempt *attempt, struct link_report *report);

/* Gives up. */
void link_abort(struct link_attempt *attempt);

/* Both, with the timeout. */
int link_make(const struct link_options *options, struct link_report *report);

#endif
