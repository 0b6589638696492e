// SPDX-License-Identifier: GPL-2.0-only
/* The blob of fw_cfg's files: directory (numbers are big-endian), then the contents. See fw-cfg.h. */
#include <string.h>
#include "fw-cfg.h"

#define COUNT_SIZE	4u
#define ENTRY_SIZE	64u
#define ENTRY_NAME	8u		/* offset in an entry: size and two unused words come before */

bool fw_cfg_add(struct firmware_files *files, const char *name, const void *data, u32 size)
{
	size_t length = strlen(name);

	if (files->count == FIRMWARE_FILES_MAX || length >= FW_CFG_NAME || size > FW_CFG_DATA_MAX - files->size)
		return false;
	memset(files->file[files->count].name, 0, FW_CFG_NAME);
	memcpy(files->file[files->count].name, name, length);
	files->file[files->count].size = size;
	memcpy(&files->data[files->size], data, size);
	files->count++;
	files->size += size;
	return true;
}

bool fw_cfg_add_number(struct firmware_files *files, const char *name, u64 value, u32 bytes)
{
	u8 little[8];
	u32 i;

	for (i = 0; i < sizeof(little); i++)
		little[i] = (u8)(value >> 8 * i);
	return bytes <= sizeof(little) && fw_cfg_add(files, name, little, bytes);
}

u32 fw_cfg_blob_size(const struct firmware_files *files)
{
	return COUNT_SIZE + files->count * ENTRY_SIZE + files->size;
}

static void put_big32(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 24);
	at[1] = (u8)(value >> 16);
	at[2] = (u8)(value >> 8);
	at[3] = (u8)value;
}

void fw_cfg_write(const struct firmware_files *files, u8 *blob)
{
	u8 *entry = blob + COUNT_SIZE;
	u32 i;

	put_big32(blob, files->count);
	for (i = 0; i < files->count; i++, entry += ENTRY_SIZE) {
		memset(entry, 0, ENTRY_SIZE);
		put_big32(entry, files->file[i].size);
		memcpy(entry + ENTRY_NAME, files->file[i].name, FW_CFG_NAME);
	}
	memcpy(entry, files->data, files->size);
}
