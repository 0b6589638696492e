/* SPDX-License-Identifier: GPL-2.0-only */
/* The user partition's disks. */
#ifndef AVMMCTL_DISK_H
#define AVMMCTL_DISK_H

#include "config.h"
#include "messages.h"
#include "netlink.h"

struct json_object;

/* All disks of the configuration, to a partition that was just created. EXIT_DONE, or EXIT_REFUSED after having said why. */
int disks_attach(struct connection *connection, const struct config *config);

/* The partition is gone: so are overlays that lay in memory. */
void disks_release(const struct config *config);
/* Tells of overlays that are nearly full, each once; said has a bit for each. False: no disk has an overlay. */
bool disks_look(const struct config *config, unsigned int *said);

struct json_object *disks_json(const struct partition_status *partition);
void disks_show(const struct partition_status *partition);	/* a line each; nothing if there are none */

#endif
