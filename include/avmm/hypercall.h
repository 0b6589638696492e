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

	AVMM_HC_FLUSH		= 0x41560003,	/* this CPU forgets where memory was that Linux has lent, or got back */

	/* the user partition, avmm/partition.h; -EBUSY, -ENOENT, -EINVAL where the state or the argument is wrong */
	AVMM_HC_PARTITION_CREATE = 0x41560010,	/* RBX: physical address of struct avmm_partition_config */
	AVMM_HC_PARTITION_RAM	= 0x41560011,	/* RBX: of a page of block addresses, RCX: how many, RDX: guest address */
	AVMM_HC_PARTITION_START	= 0x41560012,	/* on the shared CPU: vCPU 0 becomes runnable */
	AVMM_HC_PARTITION_DESTROY = 0x41560013,	/* the partition is gone, its RAM Linux's again; from any state */
	AVMM_HC_PARTITION_PAUSE	= 0x41560014,	/* RBX: 1 pause, 0 resume */
	AVMM_HC_PARTITION_BUTTON = 0x41560015,	/* presses the ACPI power button */
	AVMM_HC_PARTITION_SHARES = 0x41560016,	/* RBX: service's permille of the machine, RCX, RDX: caps of service, user */
	AVMM_HC_CONSOLE_KICK	= 0x41560017,	/* the module put input into the ring or took output out of it */
	AVMM_HC_PARTITION_FREEZE = 0x41560018,	/* RBX: 1 freeze, 0 thaw: as a pause, and independent of it */
	AVMM_HC_DISK		= 0x41560019,	/* RBX: enum avmm_disk_call */

	AVMM_HC_PARTITION_LOOK	= 0x4156001a,	/* what the interrupt of KICK_VECTOR asks for */
	AVMM_HC_PARTITION_TIMES	= 0x4156001b,	/* times and guest_time of the partition's page are those of now */
	AVMM_HC_KICK_VECTOR	= 0x4156001c,	/* RBX: vector by which other CPUs call the shared one, 0: none */

	/* direct-access devices, avmm/device.h */
	AVMM_HC_PARTITION_DEVICE = 0x41560020,	/* RBX: physical address of struct avmm_device; before the start */
	AVMM_HC_DEVICE_INTERRUPT = 0x41560021,	/* RBX: the device's number; RCX: 0 its line is up, masked; n: message n - 1 */
	AVMM_HC_DEVICE_MASTER	= 0x41560022,	/* RBX: the device's number, RCX: AVMM_WANTS_* as they are now */
	AVMM_HC_PARTITION_LEGACY = 0x41560023,	/* RBX: enum avmm_legacy, RCX, RDX: VGA's frame buffer; before the start */

	/* debug builds only, -ENOSYS otherwise */
	AVMM_HC_DEBUG_FAULT	= 0x4156f000,	/* RBX: enum avmm_debug_fault, a fault in root operation */
};

/* Of the back half of the disguised disk, avmm/disk.h. */
enum avmm_disk_call {
	AVMM_DISK_COMPLETIONS,		/* there are some in the ring */
	AVMM_DISK_ATTACH,		/* a successor has filled in the page, with a generation of its own */
	AVMM_DISK_DETACH,		/* nobody looks at the rings any more, all block requests have ended */
};

enum avmm_debug_fault {
	AVMM_DEBUG_PAGE_FAULT,		/* the monitor reads an unmapped address: ends with a report */
	AVMM_DEBUG_UD,			/* the monitor executes UD2: ends with a report */
	AVMM_DEBUG_STACK,		/* the monitor recurses onto its guard page: double fault, ends with a report */
	AVMM_DEBUG_MC,			/* a machine check while in root operation: passed on to the service */
	AVMM_DEBUG_NMI,			/* an NMI while in root operation: passed on to the service */
	AVMM_DEBUG_MC_IN_NMI,		/* a machine check on the NMI handler's stack: likewise */
	AVMM_DEBUG_ENTRY,		/* the next VM entry fails: ends with a report */
	AVMM_DEBUG_DELAY,		/* 20 ms in which this CPU does nothing, as in system management mode */
	AVMM_DEBUG_NO_GRACE,		/* no fault: from now on lock holders are preempted as anybody is */
};

#define AVMM_ABI_VERSION	1

#endif
