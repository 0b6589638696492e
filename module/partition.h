/* SPDX-License-Identifier: GPL-2.0-only */
/* The user partition, inside avmm.ko: its RAM, its life, its console, and how they reach userspace. */
#ifndef MODULE_PARTITION_H
#define MODULE_PARTITION_H

#include <linux/compiler_attributes.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <avmm/disk.h>
#include <avmm/partition.h>
#include <avmm/shared.h>
#include "../include/uapi/avmm_netlink.h"

struct sk_buff;
struct vm_fault;

/* Why something was refused, in words. */
struct avmm_refusal {
	char text[200];
};

/* Fills in the words; returns err. */
__printf(3, 4) int avmm_refuse(struct avmm_refusal *why, int err, const char *format, ...);

struct avmm_partition_request {
	u64 memory;		/* bytes */
	u64 window;		/* they are the machine's from there on, in an identity window; 0: wherever Linux has some */
	u64 rom;		/* bytes of firmware in whole blocks, 0: direct boot */
	u64 flash;		/* these as in struct avmm_partition_config */
	u64 flash_size;
	u64 reserve;		/* bytes that stay available to the service */
	u32 vcpus;
	u32 shared;		/* enum avmm_shared */
	u32 service_share;	/* these likewise */
	u32 cap_service;
	u32 cap_user;
	u32 on_triple_fault;
	u32 freeze_after;	/* seconds that a disk may take, 0: any time */
	u32 max_skew;		/* as in struct avmm_partition_config */
};

/* The first state of vCPU 0 and of the clock, as in struct avmm_partition_config. */
struct avmm_partition_entry {
	u64 rip;
	u64 rsi;
	u64 cr3;
	u64 gdt_base;
	u32 gdt_limit;
	u64 epoch;
	u64 fw_cfg_size;
};

#define AVMM_DISK_PATH_MAX	255

struct avmm_disk_request {
	u32 number;
	const char *path;		/* of a block device; NULL: a CD-ROM drive without a disc */
	bool cdrom;
	bool read_only;
};

struct avmm_disk_info {
	u32 kind;			/* enum avmm_disk_kind */
	bool read_only;
	char path[AVMM_DISK_PATH_MAX + 1];	/* empty: no disc */
	u64 size;			/* bytes */
	u64 counters[AVMM_DISK_COUNTERS];
	u64 waiting_ms;			/* since when the request on its way has not been answered */
};

/* A snapshot. Without a partition only state and reason mean something. */
struct avmm_partition_info {
	u32 state;
	u32 reason;
	u32 resets;
	struct avmm_partition_request request;	/* with the shares and caps in force */
	struct avmm_partition_page page;	/* these zero unless the monitor knows the partition */
	struct avmm_user_stats stats;		/* of all its vCPUs */
	char frozen[AVMM_DISK_PATH_MAX + 80];	/* why its time stands still although nobody paused it */
	struct avmm_disk_info disk[AVMM_DISK_UNITS];
};

/* partition.c: the life cycle. May sleep; 0 or a negative errno, with `why` filled in. */
int avmm_partition_create(const struct avmm_partition_request *request, struct avmm_refusal *why);
int avmm_partition_start(const struct avmm_partition_entry *entry, struct avmm_refusal *why);
int avmm_partition_button(struct avmm_refusal *why);	/* or the end of one that does not run */
int avmm_partition_destroy(struct avmm_refusal *why);
int avmm_partition_reset(struct avmm_refusal *why);
int avmm_partition_reload(bool zero, struct avmm_refusal *why);
int avmm_partition_pause(bool pause, struct avmm_refusal *why);
/* UINT_MAX stays as it is; all three return what is in force then. */
int avmm_partition_shares(u32 *service, u32 *cap_service, u32 *cap_user, struct avmm_refusal *why);
int avmm_partition_disk_attach(const struct avmm_disk_request *disk, struct avmm_refusal *why);
int avmm_partition_disk_detach(u32 number, struct avmm_refusal *why);
void avmm_partition_info(struct avmm_partition_info *info);
/* What the flash holds, or held when the partition went, as read() of /dev/avmm has it. */
ssize_t avmm_partition_read_flash(char __user *to, size_t size, loff_t *offset);
u64 avmm_partition_default_reserve(void);

/* The machine is launched: partitions may be. Before it leaves: none may, and the one that is goes. */
void avmm_partition_allow(void);
void avmm_partition_forbid(void);
bool avmm_partition_exists(void);	/* at this moment; for who holds no lock */

void avmm_partition_poll(void);		/* the monitor's message: looks for changes */
void avmm_partition_kick_console(void);	/* tells the monitor that the module used the rings */

/* The monitor, on the shared CPU: 0 or more, or a negative errno. */
int avmm_hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx);
void avmm_partition_watch_disk(void);	/* freezes and thaws as avmm_disk_waits() says */

/*
 * disk.c: the disks. They are attached while the partition is not the monitor's, or to a CD-ROM drive any time, and stay
 * until it is gone. Changed under partition.c's lock only.
 */
int avmm_disk_init(void);
void avmm_disk_exit(void);
int avmm_disk_attach(const struct avmm_disk_request *request, bool live, struct avmm_refusal *why);
int avmm_disk_detach(u32 number, bool live, struct avmm_refusal *why);
void avmm_disk_info(struct avmm_disk_info info[AVMM_DISK_UNITS]);
bool avmm_disk_any(void);
void avmm_disk_start(void);	/* fills in the page; the monitor may have commands from now on */
void avmm_disk_stop(void);			/* the monitor has none any more; does not wait for disks */
int avmm_disk_leave_ram(struct avmm_refusal *why);	/* RAM will be used again: no late disk must reach it */
void avmm_disk_forget(void);			/* the partition is gone */
void avmm_disk_message(void);			/* the monitor's message; from the interrupt */
/* Has a request waited longer than so many seconds? Then text says which. */
bool avmm_disk_waits(u32 seconds, char *text, size_t size);
void avmm_disk_watch(u32 seconds);		/* from now on avmm_partition_watch_disk() is called when it may be so */

/* ram.c: the blocks. Changed under partition.c's lock only. */
int avmm_ram_take(const struct avmm_partition_request *request, const bool *give_up, struct avmm_refusal *why);
void avmm_ram_give(void);	/* nobody but Linux may use them any more */
void avmm_ram_zero(void);
void avmm_ram_copy(u64 guest, u8 *to, u64 size);	/* of one region, pages */
/*
 * Physical addresses of blocks from number `first` on, as many as list takes and lie side by side in the guest; returns
 * how many, 0 at the end.
 */
unsigned int avmm_ram_list(unsigned int first, u64 list[AVMM_RAM_LIST], u64 *guest);
u64 avmm_ram_fw_cfg(void);	/* physical address of the block of fw_cfg's files, 0: none */
bool avmm_ram_covers(u64 guest, u64 size);
bool avmm_ram_owns(const struct page *page);
bool avmm_ram_pinned(void);	/* all of it but firmware's: somebody has it pinned for DMA */
int avmm_ram_exchange(const struct page *page);	/* its block, for another with the same content */
void *avmm_ram_at(u64 guest);	/* of the page there; for devices of a partition that is the monitor's */
vm_fault_t avmm_ram_fault(struct vm_fault *vmf);

/* window.c: where guest-physical addresses are the machine's. The first page of it; an ERR_PTR(). */
struct page *avmm_window_take(u64 base, u64 size, struct avmm_refusal *why);
void avmm_window_give(void);	/* nobody holds a page of it */
bool avmm_window_taken(void);

/* flash.c: what firmware's flash holds. Under partition.c's lock. */
int avmm_flash_take(u64 size);	/* for a partition with so much of it; forgets the last one's */
int avmm_flash_copy(u64 guest);	/* from there, before the memory goes or is to be read */
ssize_t avmm_flash_read(char __user *to, size_t size, loff_t *offset);

/* cpus.c: the CPUs that are the partition's alone. Under partition.c's lock, but for avmm_cpu_taken(). */
int avmm_cpus_init(void);
void avmm_cpus_exit(void);
int avmm_cpus_check(unsigned int n, struct avmm_refusal *why);	/* can so many be had? */
bool avmm_cpus_possible(unsigned int n);			/* the same without words */
int avmm_cpus_take(unsigned int n, u32 *list, struct avmm_refusal *why);
void avmm_cpus_give(void);
unsigned int avmm_cpus_taken(void);
bool avmm_cpu_taken(unsigned int cpu);
bool avmm_cpu_was_taken(unsigned int cpu);	/* by the last start */

/* chardev.c: /dev/avmm */
int avmm_chardev_init(void);
void avmm_chardev_exit(void);
void avmm_chardev_zap(void);	/* takes user RAM out of all address spaces */

/* console.c: /dev/ttyAVMM0 and the log of the console */
int avmm_console_init(void);
void avmm_console_exit(void);
void avmm_console_start(void);	/* the rings are the monitor's from now on */
void avmm_console_stop(void);	/* they are not any more */
void avmm_console_hangup(void);
void avmm_console_poll(void);
u64 avmm_console_end(void);	/* bytes ever put out */
/* Output from *offset on, which moves to the oldest that is kept; returns the number of bytes. */
unsigned int avmm_console_read(u64 *offset, u64 end, u8 *data, unsigned int size);

/* netlink-partition.c: the partition's part of the family; netlink.c has the table. */
size_t avmm_netlink_partition_size(void);
int avmm_netlink_put_partition(struct sk_buff *skb, const struct avmm_partition_info *info);
void avmm_netlink_partition_event(u32 event, const struct avmm_partition_info *info, const char *text);
bool avmm_netlink_has_listeners(void);

#endif
