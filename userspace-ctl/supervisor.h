/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that `avmmctl start` leaves behind: it loads the boot image anew when the guest resets, takes the
 * partition away when it is off, and ends with it. SIGTERM presses the power button, a second one is the axe.
 */
#ifndef AVMMCTL_SUPERVISOR_H
#define AVMMCTL_SUPERVISOR_H

#include "config.h"
#include "netlink.h"
#include "vfio.h"

#define SUPERVISOR_PID_FILE	"/run/avmm.pid"

/* Makes this process the only one that starts a partition. Returns a file descriptor, or -1 after having said why. */
int supervisor_lock(void);

/* Writes who this is to the pid file; supervisor_unlock() empties it. */
int supervisor_announce(int lock);
void supervisor_unlock(int lock);

/* Detaches from the terminal. Returns the child's pid to the parent, 0 to the child, -1 after having said why. */
int supervisor_daemonise(void);

/* From now on signals wait until supervise() looks. */
void supervisor_catch_signals(void);

/* Stays until the partition is gone. Returns an exit status: refused if the partition had to be destroyed. */
int supervise(struct connection *connection, struct connection *events, const struct config *config, struct vfio *vfio);

#endif
