/* SPDX-License-Identifier: GPL-2.0-only */
/* The user partition as avmm.ini(5) describes it. Strict: what is not understood is refused, with file and line. */
#ifndef AVMMCTL_CONFIG_H
#define AVMMCTL_CONFIG_H

#include <stdio.h>
#include <avmm/types.h>

enum config_key {
	KEY_MEMORY,
	KEY_MEMORY_MODE,
	KEY_RESERVE,
	KEY_CPUS,
	KEY_SHARED,
	KEY_FIRMWARE,
	KEY_VARIABLES,
	KEY_KERNEL,
	KEY_INITRD,
	KEY_CMDLINE,
	KEY_ON_TRIPLE_FAULT,
	KEY_USER,
	KEY_SERVICE,
	KEY_CAP_USER,
	KEY_CAP_SERVICE,
	KEY_MAX_SKEW,
	KEY_FREEZE_AFTER,
	KEY_DISKS,			/* enum config_disk_key of disk0, of disk1, … */
	CONFIG_KEYS = KEY_DISKS + 4 * 6
};

enum config_disk_key { DISK_BUS, DISK_BACKING, DISK_CDROM, DISK_READONLY, DISK_OVERLAY, DISK_OVERLAY_SIZE, CONFIG_DISK_KEYS };

/* Where a value comes from: a line of the file, or one of these. */
#define FROM_NOWHERE	0
#define FROM_OPTION	(-1)

#define CONFIG_DEVICES	8		/* device0 … device7 */
#define CONFIG_DISKS	4		/* disk0 … disk3 */

/* [deviceN] */
struct config_device {
	char address[16];		/* "0000:00:04.0", "i8042", "vga"; "": there is none */
	u32 dma;			/* AVMM_ATTR_DEVICE_DMA */
	bool hide_rom;
	int heading;			/* the line with it */
	int from_device, from_dma, from_rom;	/* lines */
};

_Static_assert(CONFIG_KEYS == KEY_DISKS + CONFIG_DISKS * CONFIG_DISK_KEYS, "each disk has each key");

struct config_disk {
	bool present;
	bool cdrom;
	bool read_only;
	u64 overlay_size;		/* bytes */
};

struct config {
	const char *file;		/* its name for messages; NULL: options only */
	u64 memory;			/* bytes */
	bool identity;			/* … where the machine has them, too */
	u64 window;			/* then: there; by who looks at the machine, not by config_finish() */
	u64 reserve;			/* bytes; 0: the module's default */
	u32 cpus;
	u32 shared;			/* enum avmm_shared */
	u32 on_triple_fault;		/* enum avmm_partition_policy */
	u32 user;			/* permille, like the following */
	u32 service;
	u32 cap_user;
	u32 cap_service;
	u32 max_skew;			/* microseconds; 0: any */
	u32 freeze_after;		/* seconds; 0: never */
	struct config_disk disk[CONFIG_DISKS];
	struct config_device device[CONFIG_DEVICES];
	const char *variables_template;	/* what a file for the firmware's variables is made from; NULL: it must be there */
	char *text[CONFIG_KEYS];	/* of every key that was given; of files the absolute path */
	int from[CONFIG_KEYS];
	int problem_line;
	char problem[512];		/* "user.ini:3: cpus = 0: …", "" if there is none */
};

void config_init(struct config *config);
void config_free(struct config *config);

/* Each returns false with config->problem. The order is: file, options, config_finish(). */
bool config_read(struct config *config, FILE *stream, const char *file);
bool config_option(struct config *config, enum config_key key, const char *value);
bool config_finish(struct config *config);	/* what is missing, what does not go together; looks for files */

/* "10", "12.5": permille from percent, from 0.1 to max percent. Returns 0 for anything else. */
u32 config_percent(const char *text, u32 max);

/* Bytes from "512M": K, M, G, T or none. Returns false for anything else. */
bool config_bytes(const char *text, u64 *bytes);

static inline enum config_key config_disk_key(unsigned int disk, enum config_disk_key key)
{
	return (enum config_key)(KEY_DISKS + disk * CONFIG_DISK_KEYS + key);
}

/* "0000:00:04.0" from that or from "00:04.0". Returns false for anything else. */
bool config_address(const char *text, char address[16]);

/* A device that is not on the PCI bus. */
bool config_legacy(const char *text);

/* "iommu", "off", "trusted": as AVMM_ATTR_DEVICE_DMA. Returns false for anything else. */
bool config_dma(const char *text, u32 *dma);

/* "yes", "no". Returns false for anything else. */
bool config_rom(const char *text, bool *hide);

/* "memory", "cap-user": as an option's name. */
const char *config_option_name(enum config_key key);

#endif
