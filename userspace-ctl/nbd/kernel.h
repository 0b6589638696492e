/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's nbd driver, by generic netlink. */
#ifndef NBD_KERNEL_H
#define NBD_KERNEL_H

#include <linux/nbd-netlink.h>
#include <netlink/netlink.h>
#include <avmm/types.h>

#define NBD_ANY_DEVICE	(-1)

/*
 * Seconds that I/O waits for a connection: as many as the kernel's clock can count at its fastest rate of 1000 ticks,
 * for a stall must not become a failure.
 */
#define NBD_DEAD_CONN_TIMEOUT	((u64)INT64_MAX / 1000)

struct kernel_device {
	int index;			/* or NBD_ANY_DEVICE */
	u64 size;
	u32 block_size;
	u32 timeout;			/* seconds */
	u32 flags;			/* enum nbd_flags */
	const char *backend;
};

/* Messages, NULL if memory is short; to be freed with nlmsg_free(). */
struct nl_msg *kernel_connect_message(int family, const struct kernel_device *device, const int *fds, u32 count);
struct nl_msg *kernel_reconfigure_message(int family, int index, const char *backend, int fd);
struct nl_msg *kernel_device_message(int family, u8 command, int index);

/* The index in a reply or an event of this command; -1 if it is another message. */
int kernel_message_index(struct nlmsghdr *header, u8 command);

/* Calls seen() for each device of a status reply. False if it is none. */
typedef void (*device_seen)(int index, bool connected, void *opaque);
bool kernel_parse_status(struct nlmsghdr *header, device_seen seen, void *opaque);

struct kernel {
	struct nl_sock *socket;
	int family;
};

/*
 * Opens the family, after loading the module nbd if that lacks; EVENTS: for link-dead events only. Returns
 * EXIT_DONE, or EXIT_REFUSED after having said why.
 */
int kernel_open(struct kernel *kernel, bool events);
void kernel_close(struct kernel *kernel);

/* These return 0 or a negative error of libnl. */
int kernel_connect(struct kernel *kernel, const struct kernel_device *device, const int *fds, u32 count, int *index);
int kernel_disconnect(struct kernel *kernel, int index);
int kernel_status(struct kernel *kernel, device_seen seen, void *opaque);
int kernel_is_connected(struct kernel *kernel, int index, bool *connected);

/*
 * Gives the kernel a socket in place of a dead one. The driver says "done" as well if it found none dead and took
 * nothing; *taken tells. That shows in the socket's send timeout, which the driver sets on what it takes.
 */
int kernel_replace(struct kernel *kernel, int index, const char *backend, int fd, bool *taken);

/* Reads an event. Returns how many links of device INDEX died, -1 if events were lost. */
int kernel_events(struct kernel *kernel, int index);

#endif
