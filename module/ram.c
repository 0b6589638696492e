// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user partition's RAM: blocks of 2 MiB from Linux's page allocator, split into pages of their own so that each can
 * be mapped, pinned and used for I/O like any other page. A page that somebody still holds when the partition goes
 * returns to Linux when it is let go; nobody else gets it before.
 *
 * Guest-physical addresses start at 0; what does not fit below AVMM_PCI_HOLE goes on at 4 GiB.
 *
 * `blocks` and `count` are changed by take() and give() under partition.c's lock; faults read them under `lock`, which
 * give() takes for writing. A fault enters its page into the page tables under the lock: what give() zaps afterwards is
 * all that there is. Lock order: partition.c's lock or mmap_lock, then `lock`, then page table locks.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "module.h"
#include "partition.h"

#define BLOCK_ORDER	(21 - PAGE_SHIFT)
#define BLOCK_PAGES	(1u << BLOCK_ORDER)
#define HOLE_BLOCKS	(AVMM_PCI_HOLE / AVMM_BLOCK_SIZE)
#define FAULT_AROUND	16u	/* pages that a fault maps at once, where they are in the same 64 KiB */

static DECLARE_RWSEM(lock);
static struct page **blocks;
static unsigned int count;

static u64 to_mib(u64 bytes)
{
	return bytes >> 20;
}

/* What the service can spare at this moment. */
static u64 spare(u64 reserve)
{
	long pages = si_mem_available();
	u64 available = pages > 0 ? (u64)pages << PAGE_SHIFT : 0;

	return available > reserve ? round_down(available - reserve, AVMM_BLOCK_SIZE) : 0;
}

static int refuse(u64 size, u64 had, u64 reserve, struct avmm_refusal *why)
{
	return avmm_refuse(why, -ENOMEM, "%llu MiB of memory asked for, %llu MiB could be had in blocks of 2 MiB with "
			   "%llu MiB kept in reserve for the service", to_mib(size), to_mib(had), to_mib(reserve));
}

static void free_blocks(struct page **list, unsigned int n)
{
	unsigned int i;

	while (n--) {
		for (i = 0; i < BLOCK_PAGES; i++)
			__free_page(list[n] + i);
		cond_resched();
	}
	kvfree(list);
}

/* Reclaims and compacts, but gives up rather than have the OOM killer make room. */
static struct page *take_block(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN | __GFP_ZERO, BLOCK_ORDER);

	if (page)
		split_page(page, BLOCK_ORDER);
	return page;
}

/* give_up is looked at between blocks. */
int avmm_ram_take(u64 size, u64 reserve, const bool *give_up, struct avmm_refusal *why)
{
	unsigned int n, wanted = size / AVMM_BLOCK_SIZE;
	struct page **list;
	int err = 0;

	if (spare(reserve) < size)
		return refuse(size, spare(reserve), reserve, why);
	list = kvmalloc_array(wanted, sizeof(*list), GFP_KERNEL | __GFP_NOWARN);
	if (!list)
		return refuse(size, 0, reserve, why);
	for (n = 0; n < wanted; n++) {
		if (fatal_signal_pending(current) || READ_ONCE(*give_up)) {
			err = avmm_refuse(why, -EINTR, "interrupted while memory was taken");
			break;
		}
		list[n] = spare(reserve) ? take_block() : NULL;
		if (!list[n]) {
			err = refuse(size, n * AVMM_BLOCK_SIZE, reserve, why);
			break;
		}
		cond_resched();
	}
	if (err) {
		free_blocks(list, n);
		return err;
	}
	down_write(&lock);
	blocks = list;
	count = wanted;
	up_write(&lock);
	return 0;
}

void avmm_ram_give(void)
{
	struct page **list = blocks;
	unsigned int n = count;

	down_write(&lock);
	blocks = NULL;
	count = 0;
	up_write(&lock);
	avmm_chardev_zap();
	free_blocks(list, n);
}

static struct page *page_at(u64 guest);

/* The block of this page, an index; count: none of ours. Under partition.c's lock. */
static unsigned int find_block(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page) & ~(BLOCK_PAGES - 1ul);
	unsigned int i;

	for (i = 0; i < count; i++)
		if (page_to_pfn(blocks[i]) == pfn)
			break;
	return i;
}

bool avmm_ram_owns(const struct page *page)
{
	return find_block(page) < count;
}

/* The block goes; who still holds pages of it keeps these. What it had is in the new one. */
int avmm_ram_exchange(const struct page *page)
{
	unsigned int block = find_block(page), i;
	struct page *new, *old;

	if (block == count)
		return 0;
	new = take_block();
	if (!new)
		return -ENOMEM;
	old = blocks[block];
	for (i = 0; i < BLOCK_PAGES; i++)
		copy_page(page_address(new + i), page_address(old + i));
	down_write(&lock);
	blocks[block] = new;
	up_write(&lock);
	avmm_chardev_zap();
	for (i = 0; i < BLOCK_PAGES; i++)
		__free_page(old + i);
	return 0;
}

/* For devices: while the partition is the monitor's, no lock is needed, for nothing changes. NULL: no RAM there. */
void *avmm_ram_at(u64 guest)
{
	struct page *page = page_at(guest);

	return page ? page_address(page) : NULL;
}

void avmm_ram_zero(void)
{
	unsigned int n, i;

	for (n = 0; n < count; n++) {
		for (i = 0; i < BLOCK_PAGES; i++)
			clear_page(page_address(blocks[n] + i));
		cond_resched();
	}
}

unsigned int avmm_ram_list(unsigned int first, u64 list[AVMM_RAM_LIST], u64 *guest)
{
	unsigned int i, end = first < HOLE_BLOCKS ? min_t(u64, count, HOLE_BLOCKS) : count;

	*guest = first * AVMM_BLOCK_SIZE;
	if (first >= HOLE_BLOCKS)
		*guest += SZ_4G - AVMM_PCI_HOLE;
	for (i = 0; i < AVMM_RAM_LIST && first + i < end; i++)
		list[i] = page_to_phys(blocks[first + i]);
	return i;
}

/* NULL: no RAM there. Under the lock. */
static struct page *page_at(u64 guest)
{
	u64 offset = guest;

	if (guest >= SZ_4G)
		offset -= SZ_4G - AVMM_PCI_HOLE;
	else if (guest >= AVMM_PCI_HOLE)
		return NULL;
	if (offset / AVMM_BLOCK_SIZE >= count)
		return NULL;
	return blocks[offset / AVMM_BLOCK_SIZE] + offset % AVMM_BLOCK_SIZE / PAGE_SIZE;
}

/* RAM everywhere in a range that is not empty? */
bool avmm_ram_covers(u64 guest, u64 size)
{
	u64 last = guest + size - 1;
	bool covers;

	down_read(&lock);
	covers = last >= guest && page_at(guest) && page_at(last) && !(guest < AVMM_PCI_HOLE && last >= SZ_4G);
	up_read(&lock);
	return covers;
}

vm_fault_t avmm_ram_fault(struct vm_fault *vmf)
{
	unsigned long room = (vmf->vma->vm_end - vmf->address) >> PAGE_SHIFT;
	unsigned int i, n = min_t(unsigned long, room, FAULT_AROUND - vmf->pgoff % FAULT_AROUND);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&lock);
	for (i = 0; i < n; i++) {
		struct page *page = page_at((u64)(vmf->pgoff + i) << PAGE_SHIFT);
		vm_fault_t one;

		if (!page)
			break;
		one = vmf_insert_page(vmf->vma, vmf->address + i * PAGE_SIZE, page);
		if (!i)
			ret = one;
		if (one != VM_FAULT_NOPAGE)
			break;
	}
	up_read(&lock);
	return ret;
}
