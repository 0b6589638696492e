// SPDX-License-Identifier: GPL-2.0-only
/* Requests to block devices, guest memory; see request.h. */
#include "request.h"

/* The bytes from gpa to the end of its page, at most n. */
static u32 page_rest(u64 gpa, u32 n)
{
	u32 rest = (u32)(AVMM_PAGE_SIZE - gpa % AVMM_PAGE_SIZE);

	return rest < n ? rest : n;
}

static u8 *guest_pointer(const struct avmm_guest_memory *m, u64 gpa)
{
	u8 *page = m->page(m->ctx, gpa & ~(u64)(AVMM_PAGE_SIZE - 1));

	return page ? page + gpa % AVMM_PAGE_SIZE : NULL;
}

bool avmm_guest_read(const struct avmm_guest_memory *m, u64 gpa, void *to, u32 n)
{
	u32 part;

	for (; n; n -= part, gpa += part, to = (u8 *)to + part) {
		const u8 *from = guest_pointer(m, gpa);

		part = page_rest(gpa, n);
		if (!from)
			return false;
		memcpy(to, from, part);
	}
	return true;
}

bool avmm_guest_write(const struct avmm_guest_memory *m, u64 gpa, const void *from, u32 n)
{
	u32 part;

	for (; n; n -= part, gpa += part, from = (const u8 *)from + part) {
		u8 *to = guest_pointer(m, gpa);

		part = page_rest(gpa, n);
		if (!to)
			return false;
		memcpy(to, from, part);
	}
	return true;
}

void avmm_blk_init(struct avmm_blk_req *req, enum avmm_blk_op op, u64 sector)
{
	req->op = op;
	req->flags = 0;
	req->sector = sector;
	req->sectors = 0;
	req->nsegments = 0;
	req->status = AVMM_BLK_OK;
	req->done = 0;
}

bool avmm_blk_add(struct avmm_blk_req *req, void *data, u32 bytes)
{
	struct avmm_blk_segment *last = req->nsegments ? &req->segment[req->nsegments - 1] : NULL;

	if (last && (u8 *)last->data + last->bytes == data) {
		last->bytes += bytes;
	} else {
		if (req->nsegments == AVMM_BLK_SEGMENTS)
			return false;
		req->segment[req->nsegments++] = (struct avmm_blk_segment){ data, bytes };
	}
	req->sectors += bytes / AVMM_DISK_SECTOR;
	return true;
}

enum avmm_blk_added avmm_blk_add_guest(struct avmm_blk_req *req, const struct avmm_guest_memory *m, u64 gpa, u32 bytes,
				       u32 *added)
{
	u32 part;

	for (*added = 0; *added < bytes; *added += part) {
		u8 *data = guest_pointer(m, gpa + *added);

		part = page_rest(gpa + *added, bytes - *added);
		if (!data)
			return AVMM_BLK_NO_RAM;
		if (!avmm_blk_add(req, data, part))
			return AVMM_BLK_FULL;
	}
	return AVMM_BLK_ADDED;
}
