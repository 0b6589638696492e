/* SPDX-License-Identifier: GPL-2.0-only */
/* The connection to avmm.ko. */
#ifndef AVMMCTL_NETLINK_H
#define AVMMCTL_NETLINK_H

#include <signal.h>
#include <avmm/types.h>

struct nl_msg;
struct nlmsghdr;
struct nl_sock;

struct connection {
	struct nl_sock *socket;
	int family;
	int tolerate;		/* a negative errno that is not worth a message; the request returns EXIT_DONE */
	int error;		/* the last request's: 0 or a negative errno */
};

/* Called for each message of a reply; returns 0 or a negative errno, which ends the request. */
typedef int (*message_handler)(struct nlmsghdr *header, void *opaque);

/* Each returns EXIT_DONE, or EXIT_REFUSED after having said why. */
int connect_module(struct connection *connection);
int request(struct connection *connection, u8 cmd, message_handler handler, void *opaque);
int request_from(struct connection *connection, u8 cmd, u64 offset, message_handler handler, void *opaque);

/*
 * A request with attributes: new_request(), nla_put…() and send_request(), which releases the message. new_request()
 * returns NULL if there is no memory; send_request() takes that, and says so. handler may be NULL.
 */
struct nl_msg *new_request(struct connection *connection, u8 cmd);
int send_request(struct connection *connection, struct nl_msg *msg, message_handler handler, void *opaque);

/*
 * A second connection that gets events; wait_event() returns after an event, a signal (mask: those that stay blocked
 * meanwhile, NULL: no change), or that time (-1: for ever).
 */
#define EVENT_INTERVAL	1000	/* milliseconds: who shows something asks at least this often */
int subscribe(struct connection *connection);
int wait_event(struct connection *connection, int milliseconds, const sigset_t *mask);

void disconnect(struct connection *connection);

#endif
