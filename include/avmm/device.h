/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A direct-access device, as avmm.ko hands it to the monitor before the user partition starts: the page that
 * AVMM_HC_PARTITION_DEVICE points to. The monitor checks a copy. Configuration space is a snapshot: the monitor never
 * touches the machine's CF8h and CFCh, which are Linux's.
 */
#ifndef AVMM_DEVICE_H
#define AVMM_DEVICE_H

#include <avmm/types.h>

#define AVMM_MAX_DEVICES	8
#define AVMM_DEVICE_BARS	6
#define AVMM_DEVICE_CONFIG	256
#define AVMM_DEVICE_ROM_MAX	(256ull << 10)

/* Of struct avmm_device_bar. */
#define AVMM_BAR_IO		(1u << 0)
#define AVMM_BAR_64		(1u << 1)	/* takes the next register, too */
#define AVMM_BAR_PREFETCH	(1u << 2)

/* Of struct avmm_device. */
#define AVMM_DEVICE_PRESET	(1u << 0)	/* BARs begin at the machine's addresses, as if firmware had put them there */
#define AVMM_DEVICE_MASTER	(1u << 1)	/* it may do DMA: the module switches bus mastering as the guest asks */
#define AVMM_DEVICE_MSI		(1u << 2)	/* the module relays its message-signalled interrupts */

struct avmm_device_bar {
	u64 base;		/* the machine's */
	u64 size;		/* a power of two; 0: there is none */
	u32 flags;
	u32 zero;
};

struct avmm_device {
	u32 number;		/* below AVMM_MAX_DEVICES; of AVMM_HC_DEVICE_INTERRUPT and of the shared page */
	u32 address;		/* bus << 8 | device << 3 | function, for the log */
	u32 guest_devfn;	/* where the guest finds it, on bus 0 */
	u32 flags;
	struct avmm_device_bar bar[AVMM_DEVICE_BARS];
	u8 config[AVMM_DEVICE_CONFIG];
	u64 rom;		/* a copy of its expansion ROM, in Linux's memory: it stays as long as the partition */
	u64 rom_size;		/* a power of two, from a page to AVMM_DEVICE_ROM_MAX; 0: none is shown */
};

/* Devices at the places that every PC has for them: of AVMM_HC_PARTITION_LEGACY. */
enum avmm_legacy {
	AVMM_LEGACY_I8042,	/* ports 60h and 64h, lines 1 and 12 */
	AVMM_LEGACY_VGA,	/* ports 3B0h–3BBh, 3C0h–3DFh, 1CEh–1D0h; A0000h–BFFFFh; a linear frame buffer */
	AVMM_LEGACIES
};

/* Of AVMM_HC_DEVICE_INTERRUPT too, behind the devices' numbers: edges, of which none waits for anything. */
#define AVMM_LINE_KEYBOARD	AVMM_MAX_DEVICES
#define AVMM_LINE_MOUSE		(AVMM_MAX_DEVICES + 1)

/* Of a device, in struct avmm_partition_page; written by the monitor. Everything counts since the start. */
struct avmm_device_counts {
	u32 raised;		/* interrupts that the module relayed */
	u32 acked;		/* … that the guest has finished: the module lets the line interrupt again; i8042: read */
	u32 refused;		/* plans in which an enabled BAR lay where it must not, and was not mapped; i8042: commands */
	u32 forwarded;		/* port accesses that the monitor did for the guest */
	u32 master;		/* bus mastering as the guest wants it: 0 or 1; AVMM_HC_DEVICE_MASTER tells that it is so */
};

#endif
