/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries the kernel's requests over a connection of libnbd's, for TLS, which the kernel's driver cannot speak. It
 * ends when either side is gone: requests that were not answered then are sent again by the kernel over the next
 * connection. A ready-made proxy would answer them with errors instead, and the disk's user would see them.
 */
#ifndef NBD_PROXY_H
#define NBD_PROXY_H

#include <libnbd.h>

/* HANDLE is connected, SOCKET is where requests come from. Returns when it is over; frees nothing. */
void proxy_run(struct nbd_handle *handle, int socket);

#endif
