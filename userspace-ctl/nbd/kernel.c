// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include "../avmmctl.h"
#include "kernel.h"

#define REPLY_TIMEOUT	60	/* seconds; a disconnection waits for a send that may take the device's timeout */

extern char **environ;

static struct nl_msg *new_message(int family, u8 command)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0, command, NBD_GENL_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int put_sockets(struct nl_msg *msg, const int *fds, u32 count)
{
	struct nlattr *list = nla_nest_start(msg, NBD_ATTR_SOCKETS), *item;
	u32 i;

	for (i = 0; list && i < count; i++) {
		item = nla_nest_start(msg, NBD_SOCK_ITEM);
		if (!item || nla_put_u32(msg, NBD_SOCK_FD, (u32)fds[i]))
			return -NLE_NOMEM;
		nla_nest_end(msg, item);
	}
	if (!list)
		return -NLE_NOMEM;
	nla_nest_end(msg, list);
	return 0;
}

static struct nl_msg *checked(struct nl_msg *msg, int error)
{
	if (!error)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

struct nl_msg *kernel_connect_message(int family, const struct kernel_device *device, const int *fds, u32 count)
{
	struct nl_msg *msg = new_message(family, NBD_CMD_CONNECT);
	int error;

	if (!msg)
		return NULL;
	error = nla_put_u64(msg, NBD_ATTR_SIZE_BYTES, device->size) ||
		nla_put_u64(msg, NBD_ATTR_BLOCK_SIZE_BYTES, device->block_size) ||
		nla_put_u64(msg, NBD_ATTR_TIMEOUT, device->timeout) ||
		nla_put_u64(msg, NBD_ATTR_DEAD_CONN_TIMEOUT, NBD_DEAD_CONN_TIMEOUT) ||
		nla_put_u64(msg, NBD_ATTR_SERVER_FLAGS, device->flags) ||
		nla_put_string(msg, NBD_ATTR_BACKEND_IDENTIFIER, device->backend) ||
		(device->index != NBD_ANY_DEVICE && nla_put_u32(msg, NBD_ATTR_INDEX, (u32)device->index)) ||
		put_sockets(msg, fds, count);
	return checked(msg, error);
}

struct nl_msg *kernel_reconfigure_message(int family, int index, const char *backend, int fd)
{
	struct nl_msg *msg = new_message(family, NBD_CMD_RECONFIGURE);

	if (!msg)
		return NULL;
	return checked(msg, nla_put_u32(msg, NBD_ATTR_INDEX, (u32)index) ||
		       nla_put_string(msg, NBD_ATTR_BACKEND_IDENTIFIER, backend) || put_sockets(msg, &fd, 1));
}

struct nl_msg *kernel_device_message(int family, u8 command, int index)
{
	struct nl_msg *msg = new_message(family, command);

	if (!msg || index == NBD_ANY_DEVICE)
		return msg;
	return checked(msg, nla_put_u32(msg, NBD_ATTR_INDEX, (u32)index));
}

static bool parse(struct nlmsghdr *header, u8 command, struct nlattr **attributes)
{
	static struct nla_policy policy[NBD_ATTR_MAX + 1] = {
		[NBD_ATTR_INDEX] = { .type = NLA_U32 },
		[NBD_ATTR_DEVICE_LIST] = { .type = NLA_NESTED },
	};

	return genlmsg_valid_hdr(header, 0) && genlmsg_hdr(header)->cmd == command &&
	       !genlmsg_parse(header, 0, attributes, NBD_ATTR_MAX, policy);
}

int kernel_message_index(struct nlmsghdr *header, u8 command)
{
	struct nlattr *attributes[NBD_ATTR_MAX + 1];

	if (!parse(header, command, attributes) || !attributes[NBD_ATTR_INDEX])
		return -1;
	return (int)nla_get_u32(attributes[NBD_ATTR_INDEX]);
}

bool kernel_parse_status(struct nlmsghdr *header, device_seen seen, void *opaque)
{
	static struct nla_policy policy[NBD_DEVICE_ATTR_MAX + 1] = {
		[NBD_DEVICE_INDEX] = { .type = NLA_U32 },
		[NBD_DEVICE_CONNECTED] = { .type = NLA_U8 },
	};
	struct nlattr *attributes[NBD_ATTR_MAX + 1], *device[NBD_DEVICE_ATTR_MAX + 1], *item;
	int left;

	if (!parse(header, NBD_CMD_STATUS, attributes) || !attributes[NBD_ATTR_DEVICE_LIST])
		return false;
	nla_for_each_nested(item, attributes[NBD_ATTR_DEVICE_LIST], left) {
		if (nla_type(item) != NBD_DEVICE_ITEM ||
		    nla_parse_nested(device, NBD_DEVICE_ATTR_MAX, item, policy) || !device[NBD_DEVICE_INDEX] ||
		    !device[NBD_DEVICE_CONNECTED])
			continue;
		seen((int)nla_get_u32(device[NBD_DEVICE_INDEX]), nla_get_u8(device[NBD_DEVICE_CONNECTED]), opaque);
	}
	return true;
}

/* The driver has no alias by which opening its family would load it. */
static void load_module(void)
{
	char *const argv[] = { "modprobe", "-q", "nbd", NULL };
	int status;
	pid_t pid;

	if (!posix_spawnp(&pid, "modprobe", NULL, NULL, argv, environ))
		waitpid(pid, &status, 0);
}

static int resolve(struct kernel *kernel)
{
	int family = genl_ctrl_resolve(kernel->socket, NBD_GENL_FAMILY_NAME);

	if (family == -NLE_OBJ_NOTFOUND) {
		load_module();
		family = genl_ctrl_resolve(kernel->socket, NBD_GENL_FAMILY_NAME);
	}
	return family;
}

static int join(struct kernel *kernel)
{
	int group = genl_ctrl_resolve_grp(kernel->socket, NBD_GENL_FAMILY_NAME, NBD_GENL_MCAST_GROUP_NAME);

	return group < 0 ? group : nl_socket_add_membership(kernel->socket, group);
}

int kernel_open(struct kernel *kernel, bool events)
{
	static const struct timeval timeout = { .tv_sec = REPLY_TIMEOUT };
	int ret;

	kernel->socket = nl_socket_alloc();
	if (!kernel->socket)
		return fail("out of memory");
	ret = genl_connect(kernel->socket);
	if (!ret) {
		kernel->family = resolve(kernel);
		ret = kernel->family < 0 ? kernel->family : 0;
	}
	if (!ret && events)
		ret = join(kernel);
	if (!ret) {
		nl_socket_enable_msg_peek(kernel->socket);
		nl_socket_disable_seq_check(kernel->socket);	/* a reply and its acknowledgement have the same */
		/* A driver that hangs must not hang us as well; without this, it would. */
		(void)setsockopt(nl_socket_get_fd(kernel->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout,
				 sizeof(timeout));
		return EXIT_DONE;
	}
	kernel_close(kernel);
	if (ret == -NLE_OBJ_NOTFOUND)
		return fail("this kernel has no nbd driver: the module nbd is missing, or `modprobe nbd` failed");
	return fail("cannot talk with the kernel's nbd driver: %s", nl_geterror(ret));
}

void kernel_close(struct kernel *kernel)
{
	nl_socket_free(kernel->socket);
	kernel->socket = NULL;
}

static int on_ack(struct nl_msg *msg, void *opaque)
{
	(void)msg;
	*(bool *)opaque = true;
	return NL_STOP;
}

/* Not by nl_send_sync(), which leaves the acknowledgement of a request that has a reply to the next one. */
static int request(struct kernel *kernel, struct nl_msg *msg, nl_recvmsg_msg_cb_t reply, void *opaque)
{
	bool done = false;
	int ret;

	if (!msg)
		return -NLE_NOMEM;
	nl_socket_modify_cb(kernel->socket, NL_CB_VALID, NL_CB_CUSTOM, reply, opaque);
	nl_socket_modify_cb(kernel->socket, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &done);
	ret = nl_send_auto(kernel->socket, msg);
	nlmsg_free(msg);
	while (ret >= 0 && !done)
		ret = nl_recvmsgs_default(kernel->socket);
	return ret < 0 ? ret : 0;
}

static int ignore(struct nl_msg *msg, void *opaque)
{
	(void)msg;
	(void)opaque;
	return NL_OK;
}

static int on_connected(struct nl_msg *msg, void *opaque)
{
	*(int *)opaque = kernel_message_index(nlmsg_hdr(msg), NBD_CMD_CONNECT);
	return NL_OK;
}

int kernel_connect(struct kernel *kernel, const struct kernel_device *device, const int *fds, u32 count, int *index)
{
	int ret;

	*index = -1;
	ret = request(kernel, kernel_connect_message(kernel->family, device, fds, count), on_connected, index);
	return ret < 0 ? ret : *index < 0 ? -NLE_PARSE_ERR : 0;
}

int kernel_disconnect(struct kernel *kernel, int index)
{
	return request(kernel, kernel_device_message(kernel->family, NBD_CMD_DISCONNECT, index), ignore, NULL);
}

struct status_reader {
	device_seen seen;
	void *opaque;
};

static int on_status(struct nl_msg *msg, void *opaque)
{
	struct status_reader *reader = opaque;

	kernel_parse_status(nlmsg_hdr(msg), reader->seen, reader->opaque);
	return NL_OK;
}

int kernel_status(struct kernel *kernel, device_seen seen, void *opaque)
{
	struct status_reader reader = { seen, opaque };

	return request(kernel, kernel_device_message(kernel->family, NBD_CMD_STATUS, NBD_ANY_DEVICE), on_status,
		       &reader);
}

struct wanted {
	int index;
	bool connected;
};

static void compare_index(int index, bool connected, void *opaque)
{
	struct wanted *wanted = opaque;

	if (index == wanted->index)
		wanted->connected = connected;
}

int kernel_is_connected(struct kernel *kernel, int index, bool *connected)
{
	struct wanted wanted = { .index = index };
	int ret = kernel_status(kernel, compare_index, &wanted);

	*connected = wanted.connected;
	return ret;
}

int kernel_replace(struct kernel *kernel, int index, const char *backend, int fd, bool *taken)
{
	struct timeval timeout = { 0 };
	socklen_t size = sizeof(timeout);
	int ret;

	ret = request(kernel, kernel_reconfigure_message(kernel->family, index, backend, fd), ignore, NULL);
	if (ret < 0)
		return ret;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, &size))
		return -nl_syserr2nlerr(errno);
	*taken = timeout.tv_sec || timeout.tv_usec;
	return 0;
}

struct deaths {
	int index;
	int count;
};

static int on_event(struct nl_msg *msg, void *opaque)
{
	struct deaths *deaths = opaque;

	if (kernel_message_index(nlmsg_hdr(msg), NBD_CMD_LINK_DEAD) == deaths->index)
		deaths->count++;
	return NL_OK;
}

int kernel_events(struct kernel *kernel, int index)
{
	struct deaths deaths = { .index = index };

	nl_socket_modify_cb(kernel->socket, NL_CB_VALID, NL_CB_CUSTOM, on_event, &deaths);
	return nl_recvmsgs_default(kernel->socket) < 0 ? -1 : deaths.count;
}
