// SPDX-License-Identifier: GPL-2.0-only
/* PIIX4 SMBus host controller without slaves; see smbus.h. */
#include "smbus.h"

enum smbus_register { STATUS, SLAVE_STATUS, CONTROL, COMMAND, ADDRESS, DATA0, DATA1, BLOCK };

#define STATUS_INTR	0x02
#define STATUS_DEVICE	0x04
#define STATUS_CLEAR	0x1e	/* by writing ones */
#define CONTROL_START	0x40

static u64 smbus_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct smbus *smbus = ctx;

	(void)size, (void)now;
	return smbus->reg[offset & 7];
}

static void smbus_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct smbus *smbus = ctx;

	(void)size, (void)now;
	switch (offset & 7) {
	case STATUS:
		smbus->reg[STATUS] &= (u8)~(value & STATUS_CLEAR);
		break;
	case SLAVE_STATUS:
		break;
	case CONTROL:
		smbus->reg[CONTROL] = value & 0x1d;	/* START and KILL read as zero */
		if (value & CONTROL_START)
			smbus->reg[STATUS] |= STATUS_INTR | STATUS_DEVICE;
		break;
	default:
		smbus->reg[offset & 7] = (u8)value;
		break;
	}
}

const struct bus_row smbus_rows[SMBUS_ROWS] = {
	{ 0, 8, 1 | BUS_QUIET, smbus_read, smbus_write },
};

void smbus_reset(struct smbus *smbus)
{
	vdev_clear(smbus, sizeof(*smbus));
}
