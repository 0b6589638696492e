// SPDX-License-Identifier: GPL-2.0-only
/* Sends requests to avmm.ko and waits for its events. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "messages.h"
#include "netlink.h"

#define REPLY_TIMEOUT	10	/* seconds until a request is given up */

/* A request in progress. */
struct exchange {
	u8 cmd;
	message_handler handler;
	void *opaque;
	int error;		/* 0 or a negative errno */
	char text[256];		/* the kernel's own words about it */
	bool done;
};

static int on_message(struct nl_msg *msg, void *opaque)
{
	struct exchange *exchange = opaque;
	int ret = exchange->handler ? exchange->handler(nlmsg_hdr(msg), exchange->opaque) : 0;

	if (ret && !exchange->error)
		exchange->error = ret;
	return NL_OK;
}

static void note_error(struct exchange *exchange, int error, struct nlmsghdr *header)
{
	const char *text = parse_extack(header);

	exchange->error = error;
	if (text)
		snprintf(exchange->text, sizeof(exchange->text), "%s", text);
}

static int on_end(struct nl_msg *msg, void *opaque)
{
	struct exchange *exchange = opaque;
	int error = parse_done(nlmsg_hdr(msg));

	if (error)
		note_error(exchange, error, nlmsg_hdr(msg));
	exchange->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *opaque)
{
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)error - NLMSG_HDRLEN);
	struct exchange *exchange = opaque;

	(void)from;
	note_error(exchange, error->error ? error->error : -EIO, header);
	exchange->done = true;
	return NL_STOP;
}

/* Linux's sequence numbers of a request and its reply; events have none. */
static int no_sequence_check(struct nl_msg *msg, void *opaque)
{
	(void)msg;
	(void)opaque;
	return NL_OK;
}

static int not_loaded(void)
{
	if (geteuid())
		return fail("the module avmm is not loaded: as root, `modprobe avmm` or `insmod avmm.ko`");
	return fail("the module avmm is not loaded: `modprobe avmm` or `insmod avmm.ko`");
}

static void set_options(struct nl_sock *socket)
{
	static const struct timeval timeout = { .tv_sec = REPLY_TIMEOUT };
	int fd = nl_socket_get_fd(socket), on = 1;

	/* Without these, errors have no text and a dead module would hang us: not worth giving up for. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	nl_socket_enable_msg_peek(socket);	/* replies are larger than libnl's buffer */
}

int connect_module(struct connection *connection)
{
	int ret;

	connection->socket = nl_socket_alloc();
	if (!connection->socket)
		return fail("out of memory");
	ret = genl_connect(connection->socket);
	if (ret < 0) {
		disconnect(connection);
		return fail("cannot open a generic netlink socket: %s", nl_geterror(ret));
	}
	set_options(connection->socket);
	connection->family = genl_ctrl_resolve(connection->socket, AVMM_GENL_NAME);
	if (connection->family >= 0)
		return EXIT_DONE;

	ret = connection->family;
	disconnect(connection);
	if (ret == -NLE_OBJ_NOTFOUND)
		return not_loaded();
	return fail("cannot find the netlink family %s: %s", AVMM_GENL_NAME, nl_geterror(ret));
}

void disconnect(struct connection *connection)
{
	nl_socket_free(connection->socket);
	connection->socket = NULL;
}

static int explain(const struct exchange *exchange)
{
	if (exchange->text[0])
		return fail("the module refused: %s", exchange->text);
	switch (exchange->error) {
	case -EPERM:
		return fail("permission denied: this needs root (CAP_NET_ADMIN)");
	case -ENOENT:
		if (exchange->cmd >= AVMM_CMD_GET_PARTITION && exchange->cmd <= AVMM_CMD_GET_CONSOLE)
			return fail("there is no user partition");
		return fail("the module avmm was removed");
	case -EOPNOTSUPP:
		return fail("the loaded avmm module does not know this request: is it older than avmmctl?");
	case -EINVAL:
		return fail("the module's answer cannot be understood: do avmm.ko and avmmctl belong together?");
	default:
		return fail("the request failed: %s", strerror(-exchange->error));
	}
}

static int receive(struct connection *connection, struct exchange *exchange)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int ret = 0;

	if (!cb)
		return fail("out of memory");
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, exchange);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, exchange);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, exchange);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, exchange);
	while (!exchange->done && ret >= 0)
		ret = nl_recvmsgs(connection->socket, cb);
	nl_cb_put(cb);
	if (!exchange->done && ret == -NLE_AGAIN)
		return fail("the module did not answer within %d seconds", REPLY_TIMEOUT);
	if (!exchange->done)
		return fail("cannot receive the module's answer: %s", nl_geterror(ret));
	connection->error = exchange->error;
	if (!exchange->error || exchange->error == connection->tolerate)
		return EXIT_DONE;
	return explain(exchange);
}

static struct nl_msg *new_message(struct connection *connection, u8 cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, connection->family, 0, flags, cmd, AVMM_GENL_VERSION)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

struct nl_msg *new_request(struct connection *connection, u8 cmd)
{
	return new_message(connection, cmd, NLM_F_ACK);
}

int send_request(struct connection *connection, struct nl_msg *msg, message_handler handler, void *opaque)
{
	struct exchange exchange = { .handler = handler, .opaque = opaque };
	int ret;

	if (!msg)
		return fail("out of memory");
	exchange.cmd = genlmsg_hdr(nlmsg_hdr(msg))->cmd;
	ret = nl_send_auto(connection->socket, msg);
	nlmsg_free(msg);
	if (ret < 0)
		return fail("cannot send to the module: %s", nl_geterror(ret));
	return receive(connection, &exchange);
}

int request(struct connection *connection, u8 cmd, message_handler handler, void *opaque)
{
	int flags = cmd == AVMM_CMD_GET_STATS || cmd == AVMM_CMD_GET_DEVICES ? NLM_F_DUMP : NLM_F_ACK;

	return send_request(connection, new_message(connection, cmd, flags), handler, opaque);
}

int request_from(struct connection *connection, u8 cmd, u64 offset, message_handler handler, void *opaque)
{
	struct nl_msg *msg = new_message(connection, cmd, NLM_F_DUMP);

	if (msg && nla_put_u64(msg, AVMM_ATTR_LOG_OFFSET, offset)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return send_request(connection, msg, handler, opaque);
}

int subscribe(struct connection *connection)
{
	int group, ret = connect_module(connection);

	if (ret)
		return ret;
	group = genl_ctrl_resolve_grp(connection->socket, AVMM_GENL_NAME, AVMM_GENL_MCGRP_EVENTS);
	ret = group < 0 ? group : nl_socket_add_membership(connection->socket, group);
	if (ret < 0) {
		disconnect(connection);
		return fail("cannot subscribe to the module's events: %s", nl_geterror(ret));
	}
	nl_socket_modify_cb(connection->socket, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, no_sequence_check, NULL);
	nl_socket_set_nonblocking(connection->socket);
	return EXIT_DONE;
}

int wait_event(struct connection *connection, int milliseconds, const sigset_t *mask)
{
	struct pollfd fd = { .fd = nl_socket_get_fd(connection->socket), .events = POLLIN };
	struct timespec timeout = { milliseconds / 1000, milliseconds % 1000 * 1000000l };
	int ret;

	if (ppoll(&fd, 1, milliseconds < 0 ? NULL : &timeout, mask) < 0)
		return errno == EINTR ? EXIT_DONE : fail("cannot wait for events: %s", strerror(errno));
	if (!(fd.revents & (POLLIN | POLLERR)))
		return EXIT_DONE;
	/* What the event says does not matter, nor does it if some were lost: the caller asks anyway. */
	do
		ret = nl_recvmsgs_default(connection->socket);
	while (ret == 0);
	if (ret == -NLE_AGAIN || ret == -NLE_NOMEM)
		return EXIT_DONE;
	return fail("cannot receive events: %s", nl_geterror(ret));
}
