/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Follows the disk's label: an installer in the guest writes a new one, and the disk must be known by it after the
 * next lost connection. The label is read through the block device, by a child process, for the read hangs as long as
 * the server does; and only after the disk was written to.
 */
#ifndef NBD_OBSERVE_H
#define NBD_OBSERVE_H

#include "export.h"

struct observer {
	int index;		/* of the device */
	int channel;		/* where the label comes from; -1: nobody reads */
	int pid;
	u64 written;		/* sectors, when it was read last */
};

/* The first reader starts in any case: what a former manager knew may be old. */
void observe_begin(struct observer *observer, int index);

/* Starts a reader if something was written since the last one, and that one is done. */
void observe_start(struct observer *observer);

/* The channel is readable. False if the device could not be read. */
bool observe_finish(struct observer *observer, struct nbd_label *label);

void observe_end(struct observer *observer);

#endif
