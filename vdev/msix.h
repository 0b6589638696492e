/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table and the pending bits of MSI-X (PCI Local Bus 3.0, 6.8.2) as the guest sees them: the pages of a BAR that it
 * does not have by its EPT, since the machine's table is Linux's. What else lies on these pages is the device's, and the
 * caller's to forward. The capability's enable and function mask bits are in configuration space (direct.h).
 */
#ifndef AVMM_MSIX_H
#define AVMM_MSIX_H

#include <avmm/device.h>

struct direct_message {
	u64 address;
	u32 data;
};

struct msix {
	struct avmm_msix place;		/* the machine's; its table may be longer than the guest's */
	u32 entries;			/* of the guest: at most AVMM_DEVICE_MESSAGES */
	u32 entry[AVMM_DEVICE_MESSAGES][4];
	u32 pending;			/* by vector: came while it was masked */
};

/* All masked, nothing pending. */
void msix_init(struct msix *x, const struct avmm_msix *place, u32 entries);

/*
 * offset: in the BAR; size: 1, 2, 4 or 8. False: it touches neither table nor pending bits. Accesses that are not
 * whole, aligned dwords or qwords of one of them read ones and write nothing.
 */
bool msix_read(const struct msix *x, u64 offset, unsigned int size, u64 *value);
bool msix_write(struct msix *x, u64 offset, unsigned int size, u64 value);

/* False: there is no such vector, or it is masked. */
bool msix_message(const struct msix *x, unsigned int vector, struct direct_message *message);

#endif
