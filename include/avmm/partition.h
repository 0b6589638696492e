/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user partition, between avmm.ko and the monitor. One partition exists at most.
 *
 * avmm.ko takes its RAM from Linux, hands it over by hypercalls, and a vCPU runs whenever the scheduler of the shared
 * CPU says so. What the partition does reaches the module through its shared page and its console rings, each
 * announced by the monitor's message interrupt (message.c). All pages lie in the shared pages (shared.h), behind the
 * CPUs' statistics: one page struct avmm_partition_page, then AVMM_CONSOLE_PAGES for struct avmm_console, then one page
 * struct avmm_disk_page and the data areas of its channels (AVMM_DISK_PAGES in all).
 */
#ifndef AVMM_PARTITION_H
#define AVMM_PARTITION_H

#include <avmm/device.h>
#include <avmm/types.h>

#define AVMM_SHARED_CPU		0	/* that both partitions run on, by Linux's number */
#define AVMM_MAX_VCPUS		64
#define AVMM_PCI_HOLE		0xc0000000ull	/* RAM ends here below 4 GiB, the rest goes on at 4 GiB */
#define AVMM_RAM_LIST		512	/* blocks per page of AVMM_HC_PARTITION_RAM */
#define AVMM_PM_BASE		0x600	/* PM I/O block, direct boot */
#define AVMM_SKEW_MIN		1500u	/* of avmm_partition_config.max_skew */
#define AVMM_SKEW_MAX		20000u
#define AVMM_ROM_MAX		(16u << 20)	/* of firmware: it ends at 4 GiB, and the local APIC is below it */
#define AVMM_VGA_HOLE		0xa0000ull	/* no RAM from here … */
#define AVMM_VGA_HOLE_END	0xc0000ull	/* … to here, where there is firmware */
#define AVMM_WINDOW_LOW		AVMM_BLOCK_SIZE	/* RAM below an identity window, from 0 on: no device reaches it */

/* What a page at the physical address of AVMM_HC_PARTITION_CREATE says. Checked by the monitor, on a copy. */
struct avmm_partition_config {
	u64 ram_size;		/* bytes, a multiple of AVMM_BLOCK_SIZE */
	u64 window;		/* all RAM but AVMM_WINDOW_LOW begins here, where the machine has it, too; 0: no such window */
	u64 epoch;		/* what the partition's clock shows at the start, seconds since 1970 */
	u32 vcpus;
	u32 shared;		/* vCPU 0 runs on the shared CPU; all others have CPUs of their own */
	u32 service_share;	/* permille of the machine */
	u32 cap_service;	/* permille of the shared CPU, 1000: none */
	u32 cap_user;
	u32 ncpus;		/* CPUs of the machine */
	u32 service_cpus;	/* of them wholly the service's */
	u32 on_triple_fault;	/* enum avmm_partition_policy */
	u32 tick_vector;	/* Linux's, of the local APIC timer: what waits there is the service's tick */

	/*
	 * Bytes of ROM that end at 4 GiB, a multiple of AVMM_BLOCK_SIZE: then vCPU 0 starts as after RESET, by the first
	 * instruction of the firmware there. 0: it starts in 64-bit mode with flat segments, interrupts off (Linux's
	 * 64-bit boot protocol), with what follows.
	 */
	u64 rom_size;
	u64 rip;
	u64 rsi;
	u64 cr3;
	u64 gdt_base;		/* selectors 10h (code) and 18h (data) as the boot protocol has them */
	u64 gdt_limit;

	/* the files of fw_cfg, as vdev/fw_cfg.h has them: in one piece of Linux's memory, which stays there; 0: none */
	u64 fw_cfg;
	u64 fw_cfg_size;

	/* of the ROM these bytes are flash, where firmware keeps its variables; pages, 0: none */
	u64 flash;
	u64 flash_size;

	u32 disks;		/* 1: the page of the disguised disk is filled in, its back half waits for commands */
	u32 max_skew;		/* microseconds that the vCPU of the shared CPU waits at most; 0: as its share has it */
	u32 apicv;		/* the CPU may virtualise local APICs */

	/* Linux's numbers of the CPUs that it has given up, a vCPU each; that of vCPU 0 means nothing if it is shared */
	u32 cpu[AVMM_MAX_VCPUS];
};

#define AVMM_FW_CFG_MAX		AVMM_BLOCK_SIZE

/* The I/O APIC's ID is one that no local APIC has, as long as there is one. */
static inline u32 avmm_ioapic_id(u32 vcpus)
{
	return vcpus < 15 ? vcpus : 0;
}

/* Does one of the vCPUs run on the shared CPU? */
enum avmm_shared { AVMM_SHARED_AUTO, AVMM_SHARED_YES, AVMM_SHARED_NO };

enum avmm_partition_policy { AVMM_POLICY_STOP, AVMM_POLICY_RESET };

enum avmm_partition_state {
	AVMM_PARTITION_NONE,
	AVMM_PARTITION_CREATED,		/* has RAM, does not run yet */
	AVMM_PARTITION_RUNNING,
	AVMM_PARTITION_PAUSED,		/* its time stands still */
	AVMM_PARTITION_OFF,		/* powered itself off, or stopped after a fault; RAM is still its own */
};

enum avmm_partition_reason {
	AVMM_REASON_NONE,
	AVMM_REASON_POWER_OFF,		/* by the guest, through ACPI */
	AVMM_REASON_RESET,		/* by the guest: keyboard controller, CF9h, triple fault with that policy */
	AVMM_REASON_TRIPLE_FAULT,
	AVMM_REASON_ENTRY_FAILED,	/* VM entry refused the guest state */
	AVMM_REASON_FORCED,		/* by the module */
};

/* The partition's time stands still for any of these reasons. */
#define AVMM_HELD_PAUSED	(1u << 0)	/* by the administrator; the state is PAUSED */
#define AVMM_HELD_FROZEN	(1u << 1)	/* by the module: the disk does not answer */
#define AVMM_HELD_RESET		(1u << 2)	/* by the monitor: a disk controller's reset waits for a command given up */
#define AVMM_HELD_MASTER	(1u << 3)	/* likewise: the module is switching a device's bus mastering or messages */

/* Written by the monitor only. */
struct avmm_partition_page {
	u32 state;			/* enum avmm_partition_state */
	u32 reason;			/* enum avmm_partition_reason of the last change to OFF */
	u32 resets_wanted;		/* counts guest resets: the module loads the boot image anew and starts again */
	u32 service_share;		/* in force, permille of the machine */
	u32 cap_service;
	u32 cap_user;
	u64 switches;			/* world switches into the user partition */
	u64 time_service;		/* TSC ticks received on the shared CPU at the last update, as the others here */
	u64 time_user;
	u64 time_idle;
	u64 time_monitor;
	u64 guest_time;			/* guest TSC; updates: each world switch, AVMM_HC_PARTITION_TIMES */
	u32 held;			/* why it does not run although it is RUNNING: AVMM_HELD_* */
	u32 pad;
	u64 disk_messages;		/* crossings to the back half of the disk … */
	u64 disk_calls;			/* … and back */
	u64 yields;			/* times that spinning vCPUs let that of the shared CPU in */
	u64 flash_changes;		/* two for each write to the flash's content, odd during one */
	struct avmm_device_counts device[AVMM_MAX_DEVICES];	/* by number */
	struct avmm_device_counts legacy[AVMM_LEGACIES];
};

/*
 * The serial console. Positions count bytes ever written or read; a ring's writer owns head, its reader owns tail.
 * Each side checks what it reads from the other: head - tail is at most the ring's size.
 */
#define AVMM_CONSOLE_RING	4096u
#define AVMM_CONSOLE_PAGES	3

struct avmm_console {
	u32 out_head;		/* written by the monitor: the guest's output */
	u32 out_tail;		/* written by the module */
	u32 in_head;		/* written by the module: input for the guest */
	u32 in_tail;		/* written by the monitor */
	u8 pad[4080];
	u8 out[AVMM_CONSOLE_RING];
	u8 in[AVMM_CONSOLE_RING];
};

#endif
