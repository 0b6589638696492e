/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Generic netlink family "avmm", version 1. Attributes and commands are only ever added. Requests that change
 * something need CAP_NET_ADMIN; errors come with a text (extended acknowledgement) that names the cause.
 */
#ifndef UAPI_AVMM_NETLINK_H
#define UAPI_AVMM_NETLINK_H

#define AVMM_GENL_NAME		"avmm"
#define AVMM_GENL_VERSION	1
#define AVMM_GENL_MCGRP_EVENTS	"events"

enum avmm_genl_cmd {
	AVMM_CMD_UNSPEC,
	AVMM_CMD_GET_STATUS,	/* reply: VERSION, STATE, MEMORY*, LAUNCH_*, PARTITION, TSC, then CPUS of STATE */
	AVMM_CMD_GET_STATS,	/* dump: a message per CPU: CPU, EXITS (reason, count pairs), COUNTERS */
	AVMM_CMD_GET_LOG,	/* dump: LOG_OFFSET, LOG_TEXT per message; request may carry LOG_OFFSET to start at;
				   needs CAP_NET_ADMIN, for fault reports show registers */
	AVMM_CMD_EVENT,		/* multicast: EVENT, LOG_TEXT; those of the partition also PARTITION_STATE,
				   PARTITION_REASON, SERVICE_SHARE, CAP_SERVICE, CAP_USER, PARTITION_RESETS */

	/*
	 * The user partition. Its life: CREATE takes its memory from Linux, all of it zero; the loader maps it from
	 * /dev/avmm and writes the boot image there; START. All but GET_PARTITION need CAP_NET_ADMIN, have a reply only
	 * where one is named, and fail with ENOENT without a partition, with EBUSY in a state that does not allow them.
	 */
	AVMM_CMD_GET_PARTITION,		/* reply: PARTITION, TSC */
	AVMM_CMD_PARTITION_CREATE,	/* PARTITION_MEMORY, SERVICE_SHARE; optional: VCPUS, SHARED, CAP_SERVICE,
					   CAP_USER, ON_TRIPLE_FAULT, MEMORY_RESERVE, ROM_SIZE, FLASH, FLASH_SIZE. EEXIST,
					   ENOMEM, ERANGE. State: CREATED */
	AVMM_CMD_PARTITION_START,	/* RIP, RSI, CR3, GDT_BASE, GDT_LIMIT, EPOCH; with firmware, where all but EPOCH mean
					   nothing, also FW_CFG_SIZE. From CREATED to RUNNING */
	AVMM_CMD_PARTITION_STOP,	/* running: presses the ACPI power button and returns at once, event OFF follows
					   when the guest obeys. CREATED or OFF, or with FORCE in any state: the
					   partition is gone and its memory Linux's when this returns. A partition
					   that is OFF holds its memory until this */
	AVMM_CMD_PARTITION_RESET,	/* the vCPUs stop, memory stays as it is, state CREATED, event RESET_WANTED:
					   somebody must listen to events who reloads (RELOAD, load, START), otherwise
					   EUNATCH and nothing happens */
	AVMM_CMD_PARTITION_RELOAD,	/* optional: ZERO_MEMORY. From any state to CREATED, memory kept: to load the
					   boot image anew after event RESET_WANTED */
	AVMM_CMD_PARTITION_PAUSE,	/* from RUNNING to PAUSED: the guest's time stands still */
	AVMM_CMD_PARTITION_RESUME,
	AVMM_CMD_PARTITION_SHARES,	/* any of SERVICE_SHARE, CAP_SERVICE, CAP_USER: these change, live; none: none.
					   Reply: all three as they are then */
	AVMM_CMD_GET_CONSOLE,		/* dump of the last 64 KiB of the serial console, as GET_LOG: first LOG_END,
					   then LOG_OFFSET, CONSOLE_DATA per message; request may carry LOG_OFFSET */
	AVMM_CMD_DISK_ATTACH,		/* DISK_NUMBER; DISK_PATH, DISK_CDROM, DISK_READ_ONLY. In state CREATED any drive; a
					   CD-ROM drive, which then exists, takes a disc in any state. EBUSY, ENOTBLK … */
	AVMM_CMD_DISK_DETACH,		/* DISK_NUMBER. In state CREATED the drive goes, later only the disc of a CD-ROM */

	/*
	 * Direct-access devices. An assigned device has this module for a driver and is the user partition's from its
	 * next START on. ASSIGN and RELEASE need CAP_NET_ADMIN and that no partition exists (EBUSY).
	 */
	AVMM_CMD_GET_DEVICES,		/* dump: a message per assigned device: DEVICE_* */
	AVMM_CMD_DEVICE_ASSIGN,		/* DEVICE_ADDRESS; optional: DEVICE_DMA, DEVICE_ROM */
	AVMM_CMD_DEVICE_RELEASE,	/* DEVICE_ADDRESS: its former driver gets it back */
	AVMM_CMD_DEVICE_HOLD,		/* DEVICE_ADDRESS, DEVICE_FILE, DEVICE_RAISED, DEVICE_DONE: this process holds a device
					   with DMA 3 by vfio, as long as it has RAISED open: when it has not any more, a
					   partition that runs with the device is stopped, and then FILE is let go, too. Needs
					   CAP_NET_ADMIN, and before START */
	__AVMM_CMD_MAX,
};
#define AVMM_CMD_MAX (__AVMM_CMD_MAX - 1)

enum avmm_genl_attr {
	AVMM_ATTR_UNSPEC,
	AVMM_ATTR_PAD,
	AVMM_ATTR_VERSION,		/* string: version of avmm.ko */
	AVMM_ATTR_STATE,		/* u32: 0 loaded, 1 launched, 2 partly launched */
	AVMM_ATTR_MEMORY_TOTAL,		/* u64: bytes taken from Linux for the monitor */
	AVMM_ATTR_MEMORY_USED,		/* u64: bytes of these in use */
	AVMM_ATTR_TEXT_SIZE,		/* u64: bytes of monitor text */
	AVMM_ATTR_PREPARE_TICKS,	/* u64: TSC ticks of the preparation */
	AVMM_ATTR_TSC_KHZ,		/* u32 */
	AVMM_ATTR_CPUS,			/* nested list of nested CPU entries (status) */
	AVMM_ATTR_CPU_ENTRY,		/* nested: CPU, CPU_STATE, LAUNCH_TICKS, LEAVE_TICKS, COUNTERS, EXIT_TOTAL */
	AVMM_ATTR_CPU,			/* u32: Linux's CPU number */
	AVMM_ATTR_CPU_STATE,		/* u32: enum avmm_cpu_state (status, GET_STATS) */
	AVMM_ATTR_LAUNCH_TICKS,		/* u64: TSC ticks that this CPU had interrupts off for the launch */
	AVMM_ATTR_EXIT_TOTAL,		/* u64 */
	AVMM_ATTR_EXITS,		/* binary: array of { u32 reason; u32 zero; u64 count; }, only non-zero rows */
	AVMM_ATTR_COUNTERS,		/* binary: array of u64, by enum avmm_counter */
	AVMM_ATTR_LOG_OFFSET,		/* u64: bytes ever written before LOG_TEXT */
	AVMM_ATTR_LOG_TEXT,		/* string */
	AVMM_ATTR_EVENT,		/* u32: enum avmm_event */
	AVMM_ATTR_CPU_ONLINE,		/* u32: 1 if Linux uses this CPU (in CPU_ENTRY) */
	AVMM_ATTR_LOG_END,		/* u64: bytes ever written; a log dump starts with a message that has it */

	AVMM_ATTR_PARTITION,		/* nested: STATE to GUEST_TIME below; STATE and REASON only if there is none */
	AVMM_ATTR_PARTITION_STATE,	/* u32: enum avmm_partition_state, avmm/partition.h */
	AVMM_ATTR_PARTITION_REASON,	/* u32: enum avmm_partition_reason why it last went OFF; kept until CREATE */
	AVMM_ATTR_PARTITION_RESETS,	/* u32: resets that were asked for since CREATE, by the guest or by RESET */
	AVMM_ATTR_PARTITION_MEMORY,	/* u64: bytes, a multiple of 2 MiB */
	AVMM_ATTR_MEMORY_RESERVE,	/* u64: bytes that stay available to the service; default: the module's
					   parameter reserve. Also in GET_STATUS: that default */
	AVMM_ATTR_VCPUS,		/* u32: default 1 */
	AVMM_ATTR_SERVICE_SHARE,	/* u32: permille of the whole machine; the rest is the user's */
	AVMM_ATTR_CAP_SERVICE,		/* u32: permille of the shared CPU, 1 to 1000; 1000, the default: no cap */
	AVMM_ATTR_CAP_USER,		/* u32: likewise */
	AVMM_ATTR_ON_TRIPLE_FAULT,	/* u32: enum avmm_partition_policy; default stop */
	AVMM_ATTR_PARTITION_EXITS,	/* binary: as EXITS, of the user's vCPUs */
	AVMM_ATTR_PARTITION_COUNTERS,	/* binary: array of u64, by enum avmm_partition_counter; may be longer */
	AVMM_ATTR_TIME_SERVICE,		/* u64: TSC ticks of the shared CPU that the service received since START */
	AVMM_ATTR_TIME_USER,		/* u64: likewise the user */
	AVMM_ATTR_TIME_IDLE,		/* u64: likewise nobody */
	AVMM_ATTR_TIME_MONITOR,		/* u64: likewise the monitor */
	AVMM_ATTR_GUEST_TIME,		/* u64: the guest's TSC at the monitor's last update */
	AVMM_ATTR_TSC,			/* u64: this machine's TSC at the reply; beside PARTITION */

	AVMM_ATTR_RIP,			/* u64: guest-virtual, paging is on */
	AVMM_ATTR_RSI,			/* u64 */
	AVMM_ATTR_CR3,			/* u64: guest-physical */
	AVMM_ATTR_GDT_BASE,		/* u64: guest-virtual */
	AVMM_ATTR_GDT_LIMIT,		/* u32 */
	AVMM_ATTR_EPOCH,		/* u64: what the partition's clock shows at START, seconds since 1970 */
	AVMM_ATTR_FORCE,		/* flag */
	AVMM_ATTR_ZERO_MEMORY,		/* flag */
	AVMM_ATTR_CONSOLE_DATA,		/* binary: the guest's output, byte for byte */

	AVMM_ATTR_FREEZE_AFTER,		/* u32: seconds that a disk may take for an answer before the partition's time
					   stands still; 0: any time; default 10. In CREATE and PARTITION */
	AVMM_ATTR_FROZEN,		/* string in PARTITION: why its time stands still although nobody paused it */
	AVMM_ATTR_DISKS,		/* nested list of nested DISK_ENTRY, in PARTITION */
	AVMM_ATTR_DISK_ENTRY,		/* nested: DISK_NUMBER to DISK_WAITING */
	AVMM_ATTR_DISK_NUMBER,		/* u32: 0 primary master, 1 primary slave, 2 secondary master, 3 its slave */
	AVMM_ATTR_DISK_PATH,		/* string: a block device, up to 255 bytes; none: a CD-ROM drive without a disc */
	AVMM_ATTR_DISK_CDROM,		/* flag */
	AVMM_ATTR_DISK_READ_ONLY,	/* flag */
	AVMM_ATTR_DISK_SIZE,		/* u64: bytes */
	AVMM_ATTR_DISK_COUNTERS,	/* binary: array of u64, by enum avmm_disk_counter; may be longer */
	AVMM_ATTR_DISK_WAITING,		/* u64: milliseconds since the request that is on its way was made */
	AVMM_ATTR_ROM_SIZE,		/* u64: bytes of firmware, a multiple of 2 MiB; the CPU starts as after RESET */
	AVMM_ATTR_FW_CFG_SIZE,		/* u64: bytes of fw_cfg's files, as vdev/fw_cfg.h has them */
	AVMM_ATTR_DEVICE_ADDRESS,	/* string: "0000:00:04.0" (in requests without the domain, too), "i8042", "vga" */
	AVMM_ATTR_DEVICE_DMA,		/* u32: 0 a device that can do DMA is refused, 1 it is kept from it, 2 trusted, 3 by an
					   IOMMU: vfio-pci is its driver */
	AVMM_ATTR_DEVICE_DRIVER,	/* string: the driver that had it, or "" */
	AVMM_ATTR_DEVICE_IRQ,		/* u32: Linux's interrupt number, 0: none */
	AVMM_ATTR_DEVICE_GUEST,		/* u32: device << 3 | function on the guest's bus 0 */
	AVMM_ATTR_DEVICE_LIVE,		/* u32: 1 while a partition runs with it */
	AVMM_ATTR_DEVICE_COUNTERS,	/* binary: array of u32, by enum avmm_device_counter; may be longer */

	AVMM_ATTR_SHARED,		/* u32: enum avmm_shared; default auto; in replies yes or no, once started */
	AVMM_ATTR_USER_EXITS,		/* binary: as EXITS, of the user's vCPU on this CPU (in GET_STATS) */
	AVMM_ATTR_MAX_SKEW,		/* u32: microseconds that the shared CPU's vCPU waits at most while it has work, where
					   its share allows; 0: as its share has it. In CREATE and PARTITION */
	AVMM_ATTR_FLASH,		/* u64: guest-physical address of flash in the ROM, where firmware keeps variables */
	AVMM_ATTR_FLASH_SIZE,		/* u64: bytes of it, whole pages */
	AVMM_ATTR_WINDOW,		/* u64: physical address of an identity window that is PARTITION_MEMORY, reserved by
					   memmap=; 0: memory from Linux. In CREATE and PARTITION */
	AVMM_ATTR_DEVICE_ROM,		/* u32: bytes of expansion ROM that the partition sees; in requests 0: it is to see
					   none */
	AVMM_ATTR_DEVICE_MESSAGES,	/* u32: how many the device may send instead of raising its line, 0: none */
	AVMM_ATTR_DEVICE_MODE,		/* u32: enum avmm_device_mode, in which it is now */
	AVMM_ATTR_DEVICE_FILE,		/* u32: vfio's file of the device, open in the sender */
	AVMM_ATTR_DEVICE_RAISED,	/* u32: an eventfd of the sender: the device has interrupted */
	AVMM_ATTR_DEVICE_DONE,		/* u32: likewise: the guest has finished the interrupt */
	__AVMM_ATTR_MAX,
};
#define AVMM_ATTR_MAX (__AVMM_ATTR_MAX - 1)

enum avmm_event {
	AVMM_EVENT_LAUNCHED,
	AVMM_EVENT_LEFT,
	AVMM_EVENT_LOG,			/* the monitor wrote to its log */

	AVMM_EVENT_PARTITION_CREATED,
	AVMM_EVENT_PARTITION_STARTED,
	AVMM_EVENT_PARTITION_PAUSED,
	AVMM_EVENT_PARTITION_RESUMED,
	AVMM_EVENT_PARTITION_OFF,	/* PARTITION_REASON says why */
	AVMM_EVENT_PARTITION_RESET_WANTED,	/* it does not run and waits for its boot image */
	AVMM_EVENT_PARTITION_DESTROYED,	/* its memory is Linux's again */
	AVMM_EVENT_PARTITION_SHARES,	/* shares or caps changed */
	AVMM_EVENT_PARTITION_FROZEN,	/* a disk does not answer: the partition's time stands still until it does */
	AVMM_EVENT_PARTITION_THAWED,
	AVMM_EVENT_DISK,		/* a disk was attached or detached */
};

/* Of a device that can do DMA: refused, not let, let to all memory, or to the partition's only. */
enum avmm_dma { AVMM_DMA_NONE, AVMM_DMA_OFF, AVMM_DMA_TRUSTED, AVMM_DMA_IOMMU };

enum avmm_partition_counter {
	AVMM_PARTITION_COUNT_IO,	/* port accesses that virtual devices answered */
	AVMM_PARTITION_COUNT_MMIO,	/* accesses to their memory */
	AVMM_PARTITION_COUNT_UNKNOWN_MSR,	/* MSR accesses answered by #GP */
	AVMM_PARTITION_COUNT_STRAY,	/* accesses to memory that nobody owns */
	AVMM_PARTITION_COUNT_INJECTED,	/* interrupts given to the guest */
	AVMM_PARTITION_COUNT_SWITCHES,	/* world switches into the user partition */
	AVMM_PARTITION_COUNT_DISK_MESSAGES,	/* crossings to the back half of the disguised disk */
	AVMM_PARTITION_COUNT_DISK_CALLS,	/* … and back */
	AVMM_PARTITION_COUNT_YIELDS,	/* times that spinning vCPUs let that of the shared CPU in */
	AVMM_PARTITION_COUNT_FLASH,	/* writes to the content of firmware's flash */
	AVMM_PARTITION_COUNTERS
};

enum avmm_disk_counter {
	AVMM_DISK_COUNT_READS,		/* requests to the block device */
	AVMM_DISK_COUNT_WRITES,
	AVMM_DISK_COUNT_FLUSHES,
	AVMM_DISK_COUNT_DISCARDS,
	AVMM_DISK_COUNT_SECTORS_READ,	/* of 512 bytes */
	AVMM_DISK_COUNT_SECTORS_WRITTEN,
	AVMM_DISK_COUNT_ERRORS,
	AVMM_DISK_COUNTERS
};

enum avmm_device_mode { AVMM_DEVICE_LINE, AVMM_DEVICE_BY_MSI, AVMM_DEVICE_BY_MSIX };

enum avmm_device_counter {		/* since START */
	AVMM_DEVICE_COUNT_RAISED,	/* interrupts of the device */
	AVMM_DEVICE_COUNT_ACKED,	/* … that the guest has finished; messages: that it got */
	AVMM_DEVICE_COUNT_REFUSED,	/* times that a BAR lay where it must not, and was not mapped; i8042: commands */
	AVMM_DEVICE_COUNT_FORWARDED,	/* accesses of ports, or beside an MSI-X table, that the monitor had to do */
	AVMM_DEVICE_COUNT_MESSAGES,	/* of these: messages */
	AVMM_DEVICE_COUNT_LOST,		/* messages that it did not get: what it has written for them is nonsense, or off */
	AVMM_DEVICE_COUNTERS
};

/*
 * /dev/avmm (root only): mmap() it MAP_SHARED; the offset is the guest-physical address. RAM lies from 0 up to
 * AVMM_PCI_HOLE (avmm/partition.h) and what is more from 4 GiB on; firmware's ROM ends at 4 GiB, and fw_cfg's files have
 * AVMM_FW_CFG_MAX bytes at AVMM_FW_CFG_OFFSET; anything else is ENXIO. What was mapped is SIGBUS
 * once the partition is gone. read() gives the content of the flash, as it is or, without a partition, as the last one
 * left it: a read from its beginning gives that of one moment, or EAGAIN if the guest writes all the time. While the
 * device is open or a partition exists the module cannot be removed.
 */
#define AVMM_DEVICE		"/dev/avmm"
#define AVMM_FW_CFG_OFFSET	0xc0000000ull
#define AVMM_CONSOLE_DEVICE	"/dev/ttyAVMM0"

#endif
