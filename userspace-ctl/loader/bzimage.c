// SPDX-License-Identifier: GPL-2.0-only
/* The kernel may come from anywhere: nothing in its header is believed before it was checked. */
#include <string.h>
#include "bzimage.h"

#define SECTOR		512
#define HEADER		0x1f1		/* struct setup_header in the file */
#define BOOT_FLAG	0xaa55
#define MAGIC		0x53726448	/* "HdrS" */
#define VERSION_64BIT	0x020c		/* the first with xloadflags */
#define ROOM_MAX	(1ull << 30)	/* no kernel needs as much */
#define ALIGNMENT_MIN	4096u

_Static_assert(HEADER + sizeof(struct setup_header) <= 2 * SECTOR, "the header is in the first two sectors");

/* Older kernels have shorter headers; the jump at its start tells where it ends. */
static size_t header_size(const u8 *head)
{
	size_t end = 0x202u + head[0x201];

	if (end > HEADER + sizeof(struct setup_header))
		end = HEADER + sizeof(struct setup_header);
	return end - HEADER;
}

static const char *check_header(const struct setup_header *header)
{
	if (header->boot_flag != BOOT_FLAG || header->header != MAGIC)
		return "it is not a Linux kernel (bzImage)";
	if (header->version < VERSION_64BIT)
		return "it is too old: boot protocol 2.12 (Linux 3.8) or later is needed";
	if (!(header->loadflags & LOADED_HIGH))
		return "it is a zImage, a bzImage is needed";
	if (!(header->xloadflags & XLF_KERNEL_64))
		return "it is not a 64-bit kernel";
	if (header->relocatable_kernel && (header->kernel_alignment < ALIGNMENT_MIN ||
	    (header->kernel_alignment & (header->kernel_alignment - 1))))
		return "its header is damaged: the alignment is not a power of two";
	if (header->pref_address >> 32)
		return "it wants to be loaded above 4 GiB";
	return NULL;
}

const char *bzimage_parse(const u8 *head, u64 head_size, u64 file_size, struct bzimage *image)
{
	struct setup_header *header = &image->header;
	const char *problem;

	memset(image, 0, sizeof(*image));
	if (head_size > file_size || head_size < 2 * SECTOR)
		return "it is not a Linux kernel (bzImage): it is too short";
	memcpy(header, head + HEADER, header_size(head));
	problem = check_header(header);
	if (problem)
		return problem;

	image->offset = ((header->setup_sects ? header->setup_sects : 4) + 1) * SECTOR;
	if (image->offset + header->syssize * 16ull > file_size || image->offset + BZIMAGE_ENTRY_64 >= file_size)
		return "it is cut off: the file is shorter than its header says";
	image->size = file_size - image->offset;
	image->room = header->init_size > image->size ? header->init_size : image->size;
	if (image->room > ROOM_MAX)
		return "its header is damaged: it wants more than 1 GiB to unpack itself";
	image->address = header->pref_address;
	image->alignment = header->relocatable_kernel ? header->kernel_alignment : 0;
	image->initrd_end = header->initrd_addr_max + 1ull;
	image->cmdline_max = header->cmdline_size;
	return NULL;
}
