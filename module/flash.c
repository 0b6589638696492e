// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flash of the user partition's firmware, as the supervisor reads it from /dev/avmm to keep it in a file: one read gives
 * what the flash held at one moment, also once the partition is gone, until the next one is created.
 *
 * Guarded by partition.c's lock.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "module.h"
#include "partition.h"

#define TRIES	16	/* of a copy that the guest does not write into */

static u8 *copy;
static u64 copy_size;

/* size 0: none. The memory that is needed at the end is taken at the beginning. */
int avmm_flash_take(u64 size)
{
	kvfree(copy);
	copy = NULL;
	copy_size = 0;
	if (!size)
		return 0;
	copy = kvzalloc(size, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	copy_size = size;
	return 0;
}

/* The content as it is. -EAGAIN: it was written each time. */
int avmm_flash_copy(u64 guest)
{
	const struct avmm_partition_page *page = avmm_shared_partition();
	unsigned int tries;
	u64 before;

	if (!copy_size)
		return 0;
	for (tries = 0; tries < TRIES; tries++) {
		before = smp_load_acquire(&page->flash_changes);
		avmm_ram_copy(guest, copy, copy_size);
		smp_rmb();
		if (!(before & 1) && READ_ONCE(page->flash_changes) == before)
			return 0;
		cond_resched();
	}
	return -EAGAIN;
}

ssize_t avmm_flash_read(char __user *to, size_t size, loff_t *offset)
{
	if (*offset < 0 || *offset >= copy_size)
		return 0;
	size = min_t(u64, size, copy_size - *offset);
	if (copy_to_user(to, copy + *offset, size))
		return -EFAULT;
	*offset += size;
	return size;
}
