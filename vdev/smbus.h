/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SMBus host controller of PIIX4's power management function, with nobody on the bus: every transaction ends at
 * once with "device error", the missing acknowledge. It is here because drivers go by the function's PCI IDs and
 * complain about a controller without address.
 */
#ifndef AVMM_SMBUS_H
#define AVMM_SMBUS_H

#include "bus.h"

struct smbus {
	u8 reg[8];
};

#define SMBUS_ROWS	1
extern const struct bus_row smbus_rows[SMBUS_ROWS];	/* map where pci.h's ops.smbus_base says */

void smbus_reset(struct smbus *smbus);	/* does for initialisation too */

#endif
