// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "export.h"

#define PAGE		4096	/* the kernel's largest block */
#define MBR_SIGNATURE	440
#define MBR_MAGIC	510
#define GPT_GUID	56

struct nbd_label label_find(const u8 *data, size_t size)
{
	struct nbd_label label = { .kind = NBD_LABEL_NONE };
	size_t sector;

	for (sector = NBD_SECTOR; sector <= PAGE; sector *= 2) {
		if (sector + NBD_SECTOR > size)
			break;
		if (memcmp(data + sector, "EFI PART", 8))
			continue;
		label.kind = NBD_LABEL_GPT;
		memcpy(label.id, data + sector + GPT_GUID, 16);
		return label;
	}
	if (size >= NBD_SECTOR && data[MBR_MAGIC] == 0x55 && data[MBR_MAGIC + 1] == 0xaa) {
		label.kind = NBD_LABEL_MBR;
		memcpy(label.id, data + MBR_SIGNATURE, 4);
	}
	return label;
}

bool label_equal(const struct nbd_label *a, const struct nbd_label *b)
{
	return a->kind == b->kind && !memcmp(a->id, b->id, sizeof(a->id));
}

/* A GUID's first three fields are little-endian on the disk, and people see them the other way round. */
static const u8 guid_order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

const char *label_text(const struct nbd_label *label, char text[LABEL_TEXT])
{
	int at, i;

	switch (label->kind) {
	case NBD_LABEL_GPT:
		at = sprintf(text, "gpt ");
		for (i = 0; i < 16; i++)
			at += sprintf(text + at, "%s%02X", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				      label->id[guid_order[i]]);
		break;
	case NBD_LABEL_MBR:
		sprintf(text, "mbr %02x%02x%02x%02x", label->id[3], label->id[2], label->id[1], label->id[0]);
		break;
	default:
		strcpy(text, "none");
	}
	return text;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool parse_bytes(const char *text, const u8 *order, int count, u8 *id)
{
	int i, high, low;

	for (i = 0; i < count; i++) {
		if (*text == '-')
			text++;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		id[order[i]] = (u8)(high << 4 | low);
		text += 2;
	}
	return !*text;
}

bool label_parse(const char *text, struct nbd_label *label)
{
	*label = (struct nbd_label){ .kind = NBD_LABEL_NONE };
	if (!strcmp(text, "none"))
		return true;
	if (!strncmp(text, "gpt ", 4)) {
		label->kind = NBD_LABEL_GPT;
		return parse_bytes(text + 4, guid_order, 16, label->id);
	}
	label->kind = NBD_LABEL_MBR;
	return !strncmp(text, "mbr ", 4) && parse_bytes(text + 4, guid_order, 4, label->id);
}

u32 export_block_size(const struct nbd_export *export)
{
	u32 size = export->min_block > NBD_SECTOR ? export->min_block : NBD_SECTOR;

	return size <= PAGE && !(size & (size - 1)) ? size : 0;
}

/* The kernel goes on sending what it was told that the server can do. */
static const struct {
	u32 flag;
	const char *what;
} needed[] = {
	{ NBD_CAN_FLUSH, "flush its cache" },
	{ NBD_CAN_FUA, "write through its cache" },
	{ NBD_CAN_TRIM, "discard" },
	{ NBD_CAN_ZERO, "write zeroes" },
	{ NBD_CAN_MULTI_CONN, "serve several connections" },
};

static const char *lost_ability(u32 flags)
{
	size_t i;

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (flags & needed[i].flag)
			return needed[i].what;
	}
	return NULL;
}

enum export_change export_compare(const struct nbd_export *was, const struct nbd_export *is, u32 flags, char *why,
				  size_t size)
{
	const char *lost = lost_ability(flags & ~is->flags);
	char before[LABEL_TEXT], now[LABEL_TEXT];

	if (was->size != is->size) {
		snprintf(why, size, "another size: it was %" PRIu64 " bytes and is %" PRIu64, was->size, is->size);
	} else if (strcmp(was->name, is->name)) {
		snprintf(why, size, "another export: it was `%.200s` and is `%.200s`", was->name, is->name);
	} else if (is->flags & NBD_READ_ONLY && !(flags & NBD_READ_ONLY)) {
		snprintf(why, size, "it has become read-only");
	} else if (export_block_size(is) != export_block_size(was)) {
		snprintf(why, size, "another block size: it was %u and is %u", was->min_block, is->min_block);
	} else if (lost) {
		snprintf(why, size, "the server can no longer %s", lost);
	} else if (strcmp(was->description, is->description)) {
		snprintf(why, size, "another description: it was `%.200s` and is `%.200s`", was->description,
			 is->description);
		return EXPORT_RELABELLED;
	} else if (!label_equal(&was->label, &is->label)) {
		snprintf(why, size, "another disk label: it was %s and is %s", label_text(&was->label, before),
			 label_text(&is->label, now));
		return EXPORT_RELABELLED;
	} else {
		return EXPORT_SAME;
	}
	return EXPORT_CHANGED;
}
