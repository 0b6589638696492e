/* SPDX-License-Identifier: GPL-2.0-only */
/* What smp.c and start.S share. */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#define AP_BASE		0x9000		/* the start-up IPI's vector, times 4096 */
#define AP_GDTR		0xf00		/* offsets there */
#define AP_CR0		0xf10
#define AP_CR3		0xf14
#define AP_CR4		0xf18
#define AP_STACK_SHIFT	12
#define AP_MAX		16

#endif
