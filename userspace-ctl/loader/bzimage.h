/* SPDX-License-Identifier: GPL-2.0-only */
/* What the header of a Linux kernel says (Linux's Documentation/arch/x86/boot.rst). */
#ifndef AVMM_BZIMAGE_H
#define AVMM_BZIMAGE_H

#include <asm/bootparam.h>
#include <avmm/types.h>

#define BZIMAGE_HEAD		4096		/* bytes at the start of the file that bzimage_parse() wants to see */
#define BZIMAGE_ENTRY_64	0x200		/* the 64-bit entry point, from where the kernel is loaded */

struct bzimage {
	struct setup_header header;	/* as in the file; what the file lacks is 0 */
	u64 offset;			/* in the file, of what is loaded */
	u64 size;			/* of that */
	u64 room;			/* memory that the kernel needs where it is loaded, at least size */
	u64 address;			/* where it wants to be */
	u64 alignment;			/* a power of two; 0: it runs at address only */
	u64 initrd_end;			/* the initrd lies below this */
	u32 cmdline_max;		/* bytes of command line, without the zero at its end */
};

/* head: the first bytes of a file of that size. Returns NULL, or why this kernel cannot be booted. */
const char *bzimage_parse(const u8 *head, u64 head_size, u64 file_size, struct bzimage *image);

#endif
