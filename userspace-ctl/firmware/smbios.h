/* SPDX-License-Identifier: GPL-2.0-only */
/* The user partition's SMBIOS structures (DMTF DSP0134, version 2.8), as firmware wants them in fw_cfg. */
#ifndef AVMM_FIRMWARE_SMBIOS_H
#define AVMM_FIRMWARE_SMBIOS_H

#include <avmm/types.h>

#define SMBIOS_ANCHOR	31u
#define SMBIOS_MAX	2048u

struct smbios {
	u8 anchor[SMBIOS_ANCHOR];	/* entry point; firmware fills in checksums and the address */
	u32 size;
	u32 count;			/* structures */
	u32 largest;
	u8 tables[SMBIOS_MAX];
};

/* The processors are one socket with that many cores. Type 0 (BIOS) is the firmware's own to add. */
void smbios_build(struct smbios *s, u64 memory, u32 vcpus);

#endif
