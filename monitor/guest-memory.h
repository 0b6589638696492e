/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one way to a partition's memory by guest-linear or guest-physical address: segment checks, page walk with
 * permissions, reserved bits, accessed and dirty flags, and the copy itself. docs/decoder.md tells how an exit uses it.
 *
 * Plain C on its arguments: no state of its own, no hardware; memory is reached through map(). Nothing that the guest
 * wrote is believed: every entry is read once, and changed by compare-and-exchange only.
 */
#ifndef MONITOR_GUEST_MEMORY_H
#define MONITOR_GUEST_MEMORY_H

#include <avmm/types.h>

enum guest_result {
	GUEST_DONE,
	GUEST_FAULT,		/* guest_memory.fault is an exception for the guest */
	GUEST_UNBACKED,		/* translated, but map() has nothing at guest_memory.unbacked: a device or a hole */
	GUEST_RETRY,		/* the guest changes the entries while we walk: enter it again */
	GUEST_TOO_LONG,		/* more than a page asked for: a bug of the caller */
};

/* What an access is. The first three have their places in the error code of a page fault. */
enum {
	GUEST_READ	= 0,
	GUEST_WRITE	= 1 << 1,
	GUEST_USER	= 1 << 2,	/* at CPL 3, and not implicit */
	GUEST_FETCH	= 1 << 4,	/* of an instruction */
	GUEST_IMPLICIT	= 1 << 8,	/* of the GDT, IDT, TSS …: supervisor, and SMAP does not heed AC */
	GUEST_STACK	= 1 << 9,	/* a bad address is #SS, not #GP */
	GUEST_PROBE	= 1 << 10,	/* a write that may not happen: sets no dirty flag */
};

enum guest_paging { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_4LEVEL, PAGING_5LEVEL };

struct guest_fault {
	u8 vector;		/* 12, 13 or 14 */
	u32 error_code;
	u64 cr2;		/* for vector 14 */
};

struct guest_memory {
	/* The vCPU's state. */
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u64 pdpte[4];		/* as CR3 loaded them; PAGING_PAE only */
	u32 pkru;		/* looked at with CR4.PKE */
	u32 pkrs;		/* with CR4.PKS */
	u8 physical_bits;	/* MAXPHYADDR as CPUID shows it to the guest: 32 to 52 */
	bool gigabyte_pages;	/* by CPUID */
	bool pse36;		/* by CPUID */
	bool alignment_check;	/* RFLAGS.AC */
	bool long_code;		/* CS.L in IA-32e mode: addresses have 64 bits; otherwise they wrap at 4 GiB */

	/*
	 * The mapping window: the page at the page-aligned gpa, or NULL where there is no memory (or none to write).
	 * Only the last one mapped is used, and until the next call.
	 */
	void *(*map)(void *ctx, u64 gpa, bool write);
	void *ctx;

	/* What came of it. */
	struct guest_fault fault;	/* after GUEST_FAULT */
	u64 unbacked;			/* after GUEST_UNBACKED: the guest-physical address */
};

/* A segment register as VT-x has it in the VMCS. */
struct guest_segment {
	u64 base;
	u32 limit;		/* in bytes */
	u32 access_rights;	/* bit 16: unusable */
};

enum guest_paging guest_paging(const struct guest_memory *m);

/* From an offset of n bytes to its linear address; access tells GUEST_WRITE and GUEST_STACK. */
enum guest_result guest_linear(struct guest_memory *m, const struct guest_segment *segment, u64 offset, size_t n,
			       u32 access, u64 *linear);

/* From a linear address to a guest-physical one, with all that the CPU does on the way. */
enum guest_result guest_translate(struct guest_memory *m, u64 linear, u32 access, u64 *gpa);

/*
 * n bytes, at most a page, hence on one or two of them. Nothing is written unless all can be; a read that fails may
 * have filled a part. Naturally aligned accesses of 2, 4 and 8 bytes are single ones.
 */
enum guest_result guest_read(struct guest_memory *m, u64 linear, void *to, size_t n, u32 access);
enum guest_result guest_write(struct guest_memory *m, u64 linear, const void *from, size_t n, u32 access);

enum guest_result guest_read_physical(struct guest_memory *m, u64 gpa, void *to, size_t n);
enum guest_result guest_write_physical(struct guest_memory *m, u64 gpa, const void *from, size_t n);

#endif
