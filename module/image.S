/* SPDX-License-Identifier: GPL-2.0-only */
/* The monitor's image, linked on its own. */
#include <linux/linkage.h>

	.section .rodata, "a"
	.balign 4096
	.globl avmm_image
avmm_image:
	.incbin AVMM_IMAGE_FILE
	.globl avmm_image_end
avmm_image_end:
	.balign 8

	.section .note.GNU-stack, "", @progbits
