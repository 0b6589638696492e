/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls: VMCALL from CPL 0 of the service partition (anything else gets #UD). Number in RAX, arguments in RBX,
 * RCX, RDX; result in RAX: 0 or more, or a negative errno. All other registers are kept.
 */
#ifndef AVMM_HYPERCALL_H
#define AVMM_HYPERCALL_H

#define AVMM_SIGNATURE_LEAF	0x40000000u	/* CPUID leaf that names the monitor */
#define AVMM_SIGNATURE		"AVMMAVMMAVMM"	/* in EBX, ECX, EDX */

enum avmm_hypercall {
	AVMM_HC_VERSION		= 0x41560000,	/* returns AVMM_ABI_VERSION */
	AVMM_HC_LEAVE		= 0x41560001,	/* this CPU goes back to the bare machine; returns 0 there */
	AVMM_HC_MESSAGE_VECTOR	= 0x41560002,	/* RBX: vector that the monitor raises on this CPU, 0: none */

	/* debug builds only, -ENOSYS otherwise */
	AVMM_HC_DEBUG_FAULT	= 0x4156f000,	/* RBX: enum avmm_debug_fault, a fault in root operation */
};

enum avmm_debug_fault {
	AVMM_DEBUG_PAGE_FAULT,		/* the monitor reads an unmapped address: ends with a report */
	AVMM_DEBUG_UD,			/* the monitor executes UD2: ends with a report */
	AVMM_DEBUG_STACK,		/* the monitor recurses onto its guard page: double fault, ends with a report */
	AVMM_DEBUG_MC,			/* a machine check while in root operation: passed on to the service */
	AVMM_DEBUG_NMI,			/* an NMI while in root operation: passed on to the service */
};

#define AVMM_ABI_VERSION	1

#endif
