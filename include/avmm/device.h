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
#define AVMM_DEVICE_MESSAGES	16	/* vectors of MSI-X at most */
#define AVMM_MSIX_SPAN		0x20000	/* from its table to its pending bits at most */

/* Of struct avmm_device_bar. */
#define AVMM_BAR_IO		(1u << 0)
#define AVMM_BAR_64		(1u << 1)	/* takes the next register, too */
#define AVMM_BAR_PREFETCH	(1u << 2)

/* Of struct avmm_device. */
#define AVMM_DEVICE_PRESET	(1u << 0)	/* BARs begin at the machine's addresses, as if firmware had put them there */
#define AVMM_DEVICE_MASTER	(1u << 1)	/* it may do DMA: the module switches bus mastering as the guest asks */
#define AVMM_DEVICE_MSI		(1u << 2)	/* the module relays its message-signalled interrupts: one by MSI, … */
#define AVMM_DEVICE_MSIX	(1u << 3)	/* … or several by MSI-X; never both */
#define AVMM_DEVICE_IOMMU	(1u << 8)	/* its DMA goes by the guest's addresses: no identity window is needed */

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
	u32 messages;		/* that the module relays: with MSI 1, with MSI-X at most AVMM_DEVICE_MESSAGES */
	struct avmm_device_bar bar[AVMM_DEVICE_BARS];
	u8 config[AVMM_DEVICE_CONFIG];
	u64 rom;		/* a copy of its expansion ROM, in Linux's memory: it stays as long as the partition */
	u64 rom_size;		/* a power of two, from a page to AVMM_DEVICE_ROM_MAX; 0: none is shown */
};

/* Where an MSI-X capability says that its table and its pending bits are. Those pages stay the module's. */
struct avmm_msix {
	u32 bar;
	u32 entries;
	u64 table, table_size;
	u64 pending, pending_size;
	u64 first, size;	/* the pages from the first of them to the last */
};

static inline u32 avmm_device_config(const struct avmm_device *device, u32 offset, u32 size)
{
	u32 value = 0;

	while (size--)
		value = value << 8 | device->config[(offset + size) % AVMM_DEVICE_CONFIG];
	return value;
}

/* cap: the capability's offset. False: not both in one memory BAR, whole, and close together. */
static inline bool avmm_device_msix(const struct avmm_device *device, u32 cap, struct avmm_msix *x)
{
	u32 table = avmm_device_config(device, cap + 4, 4), pending = avmm_device_config(device, cap + 8, 4);
	const struct avmm_device_bar *bar;
	u64 end;

	if ((table & 7) >= AVMM_DEVICE_BARS || (pending & 7) != (table & 7))
		return false;
	bar = &device->bar[table & 7];
	x->bar = table & 7;
	x->entries = (avmm_device_config(device, cap + 2, 2) & 0x7ff) + 1;
	x->table = table & ~7u;
	x->table_size = 16ull * x->entries;
	x->pending = pending & ~7u;
	x->pending_size = 8ull * ((x->entries + 63) / 64);
	if (bar->flags & AVMM_BAR_IO || x->table + x->table_size > bar->size ||
	    x->pending + x->pending_size > bar->size ||
	    (x->table < x->pending + x->pending_size && x->pending < x->table + x->table_size))
		return false;
	end = x->table < x->pending ? x->pending + x->pending_size : x->table + x->table_size;
	x->first = (x->table < x->pending ? x->table : x->pending) & ~(u64)(AVMM_PAGE_SIZE - 1);
	x->size = ((end + AVMM_PAGE_SIZE - 1) & ~(u64)(AVMM_PAGE_SIZE - 1)) - x->first;
	return x->size <= AVMM_MSIX_SPAN;
}

/* Devices at the places that every PC has for them: of AVMM_HC_PARTITION_LEGACY. */
enum avmm_legacy {
	AVMM_LEGACY_I8042,	/* ports 60h and 64h, lines 1 and 12 */
	AVMM_LEGACY_VGA,	/* ports 3B0h–3BBh, 3C0h–3DFh, 1CEh–1D0h; A0000h–BFFFFh; a linear frame buffer */
	AVMM_LEGACIES
};

/* Of AVMM_HC_DEVICE_INTERRUPT too, behind the devices' numbers: edges, of which none waits for anything. */
#define AVMM_LINE_KEYBOARD	AVMM_MAX_DEVICES
#define AVMM_LINE_MOUSE		(AVMM_MAX_DEVICES + 1)

/* What the module switches for the guest, in the device's configuration space. */
#define AVMM_WANTS_MASTER	(1u << 0)	/* bus mastering */
#define AVMM_WANTS_MESSAGES	(1u << 1)	/* MSI or MSI-X instead of the line */

/* Of a device, in struct avmm_partition_page; written by the monitor. Everything counts since the start. */
struct avmm_device_counts {
	u32 raised;		/* interrupts that the module relayed */
	u32 acked;		/* … that the guest has finished: the module lets the line interrupt again; i8042: read */
	u32 refused;		/* plans in which an enabled BAR lay where it must not, and was not mapped; i8042: commands */
	u32 forwarded;		/* accesses that the monitor did for the guest: of ports, and of memory beside an MSI-X table */
	u32 wants;		/* AVMM_WANTS_*, as the guest has it; AVMM_HC_DEVICE_MASTER tells that it is so */
	u32 messages;		/* of those raised: sent to a local APIC of the guest's … */
	u32 lost;		/* … or not, since the guest's message makes no sense or nobody takes it */
};

#endif
