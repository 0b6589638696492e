/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files that firmware reads through fw_cfg (QEMU's docs/specs/fw_cfg, acpi linker/loader; SeaBIOS and OVMF know
 * them by name), collected and then written as the one blob that vdev/fw_cfg.h describes.
 */
#ifndef AVMM_FIRMWARE_FW_CFG_H
#define AVMM_FIRMWARE_FW_CFG_H

#include <avmm/types.h>

#define FIRMWARE_FILES_MAX	32
#define FW_CFG_NAME		56		/* with the zero at its end */
#define FW_CFG_DATA_MAX		(256u << 10)

struct firmware_files {
	u32 count;
	u32 size;				/* of data in use */
	struct {
		char name[FW_CFG_NAME];
		u32 size;
	} file[FIRMWARE_FILES_MAX];
	u8 data[FW_CFG_DATA_MAX];		/* one file after the other */
};

/* What the files say of the partition. */
struct firmware_machine {
	u64 memory;
	u64 window;		/* where an identity window begins that is this memory; 0: none */
	u32 vcpus;
	u32 phys_bits;
	u16 pm_base;		/* where the firmware puts PIIX4's power management block */
	u8 ioapic_id;
	bool vga;		/* it has a screen … */
	const u8 *video_bios;	/* … and a video BIOS; NULL: none */
	u32 video_bios_size;
};

/* Each returns false if the files do not fit; then nothing was added. */
bool fw_cfg_add(struct firmware_files *files, const char *name, const void *data, u32 size);
bool fw_cfg_add_number(struct firmware_files *files, const char *name, u64 value, u32 bytes);

/* Bytes of the blob. */
u32 fw_cfg_blob_size(const struct firmware_files *files);
void fw_cfg_write(const struct firmware_files *files, u8 *blob);

/* All files of a partition: memory map, ACPI tables and their loader's commands, SMBIOS, boot order, console. */
bool firmware_files(struct firmware_files *files, const struct firmware_machine *machine);

#endif
