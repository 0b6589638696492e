// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/nbd.h>
#include <avmm/types.h>
#include "proxy.h"

#define LENGTH_MAX	(64u << 20)	/* libnbd's; the kernel sends 32 MiB at most */
#define WRITE_ZEROES	6		/* newer than Debian 12's linux/nbd.h, as the next */
#define FLAG_NO_HOLE	(1u << 17)
#define COMMAND		0xffffu
#define GOODBYE_TIMEOUT	5		/* seconds */

struct proxy {
	struct nbd_handle *handle;
	int socket;
	bool over;
};

/* A request that waits for the server. */
struct carried {
	struct proxy *proxy;
	struct nbd_reply reply;
	u32 data;			/* bytes that follow the reply */
	u8 buffer[];
};

static bool read_all(int fd, void *data, size_t size)
{
	ssize_t n;

	for (; size; size -= (size_t)n, data = (u8 *)data + n) {
		n = recv(fd, data, size, 0);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return false;
	}
	return true;
}

static bool write_all(int fd, const void *data, size_t size)
{
	ssize_t n;

	for (; size; size -= (size_t)n, data = (const u8 *)data + n) {
		n = send(fd, data, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return false;
	}
	return true;
}

/*
 * The server's answer, or that there will be none: ENOTCONN comes from libnbd for what was under way when the
 * connection broke. A server that says it shuts down is as good as gone.
 */
static int on_answer(void *opaque, int *error)
{
	struct carried *carried = opaque;
	struct proxy *proxy = carried->proxy;

	if (proxy->over || *error == ENOTCONN || *error == ESHUTDOWN) {
		proxy->over = true;
		return 1;
	}
	/* the protocol's errors are Linux's numbers */
	carried->reply.error = htobe32((u32)*error);
	if (!write_all(proxy->socket, &carried->reply, sizeof(carried->reply)) ||
	    (!*error && !write_all(proxy->socket, carried->buffer, carried->data)))
		proxy->over = true;
	return 1;
}

static nbd_completion_callback answer(struct carried *carried)
{
	return (nbd_completion_callback){ .callback = on_answer, .user_data = carried, .free = free };
}

static int64_t send_on(struct proxy *proxy, struct carried *carried, u32 type, u64 from, u32 length)
{
	u32 fua = type & NBD_CMD_FLAG_FUA ? LIBNBD_CMD_FLAG_FUA : 0;
	u32 no_hole = type & FLAG_NO_HOLE ? LIBNBD_CMD_FLAG_NO_HOLE : 0;

	switch (type & COMMAND) {
	case NBD_CMD_READ:
		carried->data = length;
		return nbd_aio_pread(proxy->handle, carried->buffer, length, from, answer(carried), 0);
	case NBD_CMD_WRITE:
		return nbd_aio_pwrite(proxy->handle, carried->buffer, length, from, answer(carried), fua);
	case NBD_CMD_FLUSH:
		return nbd_aio_flush(proxy->handle, answer(carried), 0);
	case NBD_CMD_TRIM:
		return nbd_aio_trim(proxy->handle, length, from, answer(carried), fua);
	case WRITE_ZEROES:
		return nbd_aio_zero(proxy->handle, length, from, answer(carried), fua | no_hole);
	default:
		free(carried);
		return -1;
	}
}

/* One request of the kernel's. False if that was the last. */
static bool carry(struct proxy *proxy)
{
	struct nbd_request request;
	struct carried *carried;
	u32 type, length, data;

	if (!read_all(proxy->socket, &request, sizeof(request)) || be32toh(request.magic) != NBD_REQUEST_MAGIC)
		return false;
	type = be32toh(request.type);
	length = be32toh(request.len);
	data = (type & COMMAND) == NBD_CMD_READ || (type & COMMAND) == NBD_CMD_WRITE ? length : 0;
	if ((type & COMMAND) == NBD_CMD_DISC || data > LENGTH_MAX)
		return false;
	carried = malloc(sizeof(*carried) + data);
	if (!carried)
		return false;
	carried->proxy = proxy;
	carried->data = 0;
	carried->reply.magic = htobe32(NBD_REPLY_MAGIC);
	memcpy(carried->reply.handle, request.handle, sizeof(request.handle));
	if ((type & COMMAND) == NBD_CMD_WRITE && !read_all(proxy->socket, carried->buffer, length)) {
		free(carried);
		return false;
	}
	/* libnbd frees it, also if it refuses; it refuses when the server is gone */
	return send_on(proxy, carried, type, be64toh(request.from), length) >= 0;
}

static void attend_server(struct proxy *proxy, short events)
{
	unsigned int direction = nbd_aio_get_direction(proxy->handle);

	if (events & (POLLIN | POLLHUP | POLLERR) && direction & LIBNBD_AIO_DIRECTION_READ)
		nbd_aio_notify_read(proxy->handle);
	else if (events & (POLLOUT | POLLHUP | POLLERR) && direction & LIBNBD_AIO_DIRECTION_WRITE)
		nbd_aio_notify_write(proxy->handle);
}

/* The server is waited for, but not for ever: the alarm ends this process. */
static void say_goodbye(struct nbd_handle *handle)
{
	if (nbd_aio_is_ready(handle) <= 0)
		return;
	alarm(GOODBYE_TIMEOUT);
	nbd_shutdown(handle, 0);
}

void proxy_run(struct nbd_handle *handle, int socket)
{
	struct proxy proxy = { .handle = handle, .socket = socket };
	struct pollfd polled[2] = { { .fd = socket, .events = POLLIN } };
	unsigned int direction;

	nbd_set_strict_mode(handle, 0);		/* the server is to judge */
	while (!proxy.over && nbd_aio_is_dead(handle) <= 0 && nbd_aio_is_closed(handle) <= 0) {
		direction = nbd_aio_get_direction(handle);
		polled[1].fd = nbd_aio_get_fd(handle);
		polled[1].events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				   (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			break;
		if (polled[1].revents)
			attend_server(&proxy, polled[1].revents);
		if (polled[0].revents && !carry(&proxy)) {
			say_goodbye(handle);
			break;
		}
	}
}
