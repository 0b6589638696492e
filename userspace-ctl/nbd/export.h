/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an NBD export is, and by what it is known again after a lost connection. Touches no socket and no file.
 *
 * The guest goes on with what it has in its caches, so a disk that came back as another one would be destroyed by the
 * next write. Size, name and description come from the server, the label from the disk: the GUID of a GPT, else the
 * signature of an MBR.
 */
#ifndef NBD_EXPORT_H
#define NBD_EXPORT_H

#include <stddef.h>
#include <avmm/types.h>

#define NBD_STRING_MAX		4096	/* of the protocol */
#define NBD_SECTOR		512
#define NBD_LABEL_BYTES		8192	/* from the beginning of a disk: the GPT's header with sectors of up to 4096 bytes */

/* As the protocol numbers them, and the kernel takes them. */
enum nbd_flags {
	NBD_HAS_FLAGS = 1 << 0,
	NBD_READ_ONLY = 1 << 1,
	NBD_CAN_FLUSH = 1 << 2,
	NBD_CAN_FUA = 1 << 3,
	NBD_ROTATIONAL = 1 << 4,
	NBD_CAN_TRIM = 1 << 5,
	NBD_CAN_ZERO = 1 << 6,
	NBD_CAN_MULTI_CONN = 1 << 8,
};

enum nbd_label_kind { NBD_LABEL_NONE, NBD_LABEL_MBR, NBD_LABEL_GPT };

struct nbd_label {
	enum nbd_label_kind kind;
	u8 id[16];			/* as on the disk; of an MBR the first four */
};

struct nbd_export {
	u64 size;
	u32 min_block;			/* bytes; the smallest request that the server takes */
	u32 flags;			/* enum nbd_flags */
	u32 tls;			/* boolean */
	struct nbd_label label;
	char name[NBD_STRING_MAX + 1];
	char description[NBD_STRING_MAX + 1];
};

/* The label in the first bytes of a disk. */
struct nbd_label label_find(const u8 *data, size_t size);
bool label_equal(const struct nbd_label *a, const struct nbd_label *b);

/* "gpt 0FC63DAF-8483-4772-8E79-3D69D8477DE4", "mbr 1a2b3c4d", "none"; and back, false if it is none of these. */
#define LABEL_TEXT	48
const char *label_text(const struct nbd_label *label, char text[LABEL_TEXT]);
bool label_parse(const char *text, struct nbd_label *label);

/* What the kernel is told: 512 unless the server wants more; 0 if the kernel cannot do what the server wants. */
u32 export_block_size(const struct nbd_export *export);

enum export_change {
	EXPORT_SAME,
	EXPORT_CHANGED,			/* never to be taken for the same disk */
	EXPORT_RELABELLED,		/* only what somebody may have changed on purpose */
};

/* Is it the disk that it was? If not, why says what is different; FLAGS are those that the kernel was told. */
enum export_change export_compare(const struct nbd_export *was, const struct nbd_export *is, u32 flags, char *why,
				  size_t size);

#endif
