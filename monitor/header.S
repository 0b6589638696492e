/* SPDX-License-Identifier: GPL-2.0-only */
/* struct avmm_image_header, and the one function that runs before root operation. */
#define MAGIC 0x314d4e4f4d4d5641

	.section .header, "a"
	.quad	MAGIC
	.quad	monitor_init
	.quad	image_rodata_size
	.quad	image_text_size
	.quad	image_data_size
	.quad	image_text_bytes

	.section .note.GNU-stack, "", @progbits
