/* SPDX-License-Identifier: GPL-2.0-only */
/* The connection to avmm.ko. */
#ifndef AVMMCTL_NETLINK_H
#define AVMMCTL_NETLINK_H

#include <avmm/types.h>

struct nlmsghdr;
struct nl_sock;

struct connection {
	struct nl_sock *socket;
	int family;
};

/* Called for each message of a reply; returns 0 or a negative errno, which ends the request. */
typedef int (*message_handler)(struct nlmsghdr *header, void *opaque);

/* Each returns EXIT_DONE, or EXIT_REFUSED after having said why. */
int connect_module(struct connection *connection);
int request(struct connection *connection, u8 cmd, message_handler handler, void *opaque);
int request_log(struct connection *connection, u64 offset, message_handler handler, void *opaque);

/* A second connection that gets events; wait_event() returns after an event, or after a second. */
int subscribe(struct connection *connection);
int wait_event(struct connection *connection);

void disconnect(struct connection *connection);

#endif
