// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses to a guest whose registers, page tables and rivals are the input. An access must end, in one of the ways
 * that there are, having touched nothing but the page mapped last; a fault must be one that a CPU can raise.
 *
 * Input: the registers as struct input has them, then the contents of memory, over and over again.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/guest-memory.h"

#define PAGES		8u
#define RAM_SIZE	(PAGES * AVMM_PAGE_SIZE)

struct input {
	u64 cr3;
	u64 pdpte[4];
	u64 linear;
	u64 offset;
	u32 cr0;
	u32 cr4;
	u32 efer;
	u32 pkru;
	u32 pkrs;
	u32 access;
	u32 limit;
	u32 access_rights;
	u16 length;
	u8 physical_bits;
	u8 flags;		/* bits of the struct below, and 4: another CPU writes entries meanwhile */
} __attribute__((packed));

static u8 ram[RAM_SIZE] __attribute__((aligned(4096)));
static unsigned int maps;

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void *map(void *ctx, u64 gpa, bool write)
{
	const struct input *in = ctx;

	require(!(gpa % AVMM_PAGE_SIZE));
	require(++maps < 200);
	__asan_poison_memory_region(ram, RAM_SIZE);
	if (gpa >= RAM_SIZE)
		return NULL;
	__asan_unpoison_memory_region(ram + gpa, AVMM_PAGE_SIZE);
	if (write && in->flags & 16)
		ram[gpa + (maps * 8) % AVMM_PAGE_SIZE] ^= 1;
	return ram + gpa;
}

static void fill_ram(const u8 *data, size_t size)
{
	size_t at;

	__asan_unpoison_memory_region(ram, RAM_SIZE);
	memset(ram, 0, RAM_SIZE);
	for (at = 0; size && at < RAM_SIZE; at += size)
		memcpy(ram + at, data, size < RAM_SIZE - at ? size : RAM_SIZE - at);
}

static void judge(const struct guest_memory *m, enum guest_result r, size_t n)
{
	const struct guest_fault *f = &m->fault;

	require(r == GUEST_TOO_LONG ? n > AVMM_PAGE_SIZE : r <= GUEST_RETRY);
	if (r != GUEST_FAULT)
		return;
	require(f->vector == 12 || f->vector == 13 || f->vector == 14);
	require(!(f->error_code & ~0x3fu) && (f->vector == 14 || !f->error_code));
	require((f->error_code & 1) || !(f->error_code & (8 | 32)));
}

static void try(struct guest_memory *m, const struct input *in)
{
	static u8 buffer[2 * 4096];
	struct guest_segment segment = { in->cr3, in->limit, in->access_rights };
	size_t n = in->length % (AVMM_PAGE_SIZE + 2);
	u32 access = in->access & (GUEST_WRITE | GUEST_USER | GUEST_FETCH | GUEST_IMPLICIT | GUEST_STACK);
	u64 linear = in->linear;
	enum guest_result r;

	maps = 0;
	judge(m, guest_read(m, linear, buffer, n, access & ~GUEST_WRITE), n);
	maps = 0;
	judge(m, guest_write(m, linear, buffer, n, access & ~GUEST_FETCH), n);
	maps = 0;
	r = guest_linear(m, &segment, in->offset, n, access, &linear);
	judge(m, r, n);
	maps = 0;
	if (r == GUEST_DONE)
		judge(m, guest_write(m, linear, buffer, n, access & ~GUEST_FETCH), n);
	maps = 0;
	judge(m, guest_read_physical(m, in->linear, buffer, n), 0);
	judge(m, guest_write_physical(m, in->linear, buffer, n), 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in;
	struct guest_memory m;

	if (size < sizeof(in))
		return -1;
	memcpy(&in, data, sizeof(in));
	fill_ram(data + sizeof(in), size - sizeof(in));
	m = (struct guest_memory) {
		.cr0 = in.cr0, .cr3 = in.cr3, .cr4 = in.cr4, .efer = in.efer, .pkru = in.pkru, .pkrs = in.pkrs,
		.physical_bits = 32 + in.physical_bits % 21, .gigabyte_pages = in.flags & 1, .pse36 = in.flags & 2,
		.alignment_check = in.flags & 4, .long_code = in.flags & 8, .map = map, .ctx = &in,
	};
	memcpy(m.pdpte, in.pdpte, sizeof(m.pdpte));
	try(&m, &in);
	return 0;
}
