/* SPDX-License-Identifier: GPL-2.0-only */
/* direct-message.c: MSI and MSI-X of a direct-access device. Everything under the platform's lock. */
#ifndef MONITOR_DIRECT_MESSAGE_H
#define MONITOR_DIRECT_MESSAGE_H

#include <vdev/direct.h>

struct messages {
	struct bus_row row;	/* the pages with the table; the context of its handlers is this structure */
	struct direct *direct;
	struct avmm_device_counts *counts;
};

void messages_init(struct messages *m, struct direct *direct, struct avmm_device_counts *counts);

/* The pages with the table are emulated, the BAR being at bar. False: there is no room. */
bool messages_map(struct messages *m, u64 bar);
void messages_unmap(struct messages *m);

/* The device has sent one; the capability or the table was written. */
void messages_raise(struct messages *m, u64 vector);
void messages_look(struct messages *m);

#endif
