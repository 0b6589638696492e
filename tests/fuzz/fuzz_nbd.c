// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the connection manager reads: a disk's first bytes, which its user writes; what a server says; records. A label
 * is the same after being written down and read; every difference of two exports has words that fit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "userspace-ctl/nbd/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_label(const struct nbd_label *label)
{
	struct nbd_label back;
	char text[LABEL_TEXT];

	check(label_parse(label_text(label, text), &back) && label_equal(label, &back));
}

/* Two exports from the bytes: the second differs from the first where the last few say so. */
static void compare(const uint8_t *data, size_t size)
{
	static struct nbd_export was, is;
	char why[96];
	size_t i;

	memset(&was, 0, sizeof(was));
	for (i = 0; i < NBD_STRING_MAX; i++)
		was.name[i] = was.description[i] = (char)data[i % size];
	was.size = size;
	was.min_block = data[0] << (data[size - 1] & 15);
	was.flags = data[size / 2] * 3;
	was.label = label_find(data, size);
	check_label(&was.label);
	is = was;
	check(export_compare(&was, &is, is.flags & ~(u32)NBD_READ_ONLY, why, sizeof(why)) == EXPORT_SAME ||
	      is.flags & NBD_READ_ONLY);
	is.size += data[size - 1] & 1;
	is.flags ^= data[size - 1] & 0xfe;
	is.label = label_find(data, size / 2);
	is.description[data[0]] ^= 1;
	memset(why, 0, sizeof(why));
	check(export_compare(&was, &is, was.flags, why, sizeof(why)) == EXPORT_SAME || why[0]);
	check(strlen(why) < sizeof(why));
	check(export_block_size(&is) <= 4096);
}

static void parse_record(const uint8_t *data, size_t size)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object = json_tokener_parse_ex(tokener, (const char *)data, (int)size);
	struct nbd_record record, back;

	if (object && json_object_is_type(object, json_type_object)) {
		if (record_parse(object, &record)) {
			json_object_put(object);
			object = record_json(&record);
			check(record_parse(object, &back) && back.state == record.state);
			check(!memcmp(&back.export, &record.export, sizeof(back.export)));
			record_free(&back);
		}
		record_free(&record);
	}
	json_object_put(object);
	json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nbd_label label;
	char text[LABEL_TEXT * 2];

	if (!size)
		return 0;
	compare(data, size);
	parse_record(data, size);
	snprintf(text, sizeof(text), "%.*s", (int)size, (const char *)data);
	if (label_parse(text, &label))
		check_label(&label);
	return 0;
}
