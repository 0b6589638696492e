// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user partition's RAM: blocks of 2 MiB from Linux's page allocator, split into pages of their own so that each can
 * be mapped, pinned and used for I/O like any other page. A page that somebody still holds when the partition goes
 * returns to Linux when it is let go; nobody else gets it before.
 *
 * Guest-physical addresses start at 0; what does not fit below AVMM_PCI_HOLE goes on at 4 GiB. With firmware two more
 * regions come from the same blocks: the ROM that ends at 4 GiB, and one block for the files of fw_cfg, which the guest
 * does not see; AVMM_FW_CFG_OFFSET is its offset in /dev/avmm only. With an identity window (window.c) that is all RAM but
 * AVMM_WINDOW_LOW, which comes from Linux; pages of the window are never let go before the partition is.
 *
 * `blocks` and `region` are changed by take() and give() under partition.c's lock; faults read them under `lock`, which
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
#define FAULT_AROUND	16u	/* pages that a fault maps at once, where they are in the same 64 KiB */

static DECLARE_RWSEM(lock);
static struct page **blocks;

enum { REGION_LOW, REGION_HIGH, REGION_ROM, REGION_FW_CFG, REGIONS };	/* with a window, that is REGION_HIGH */

static struct region {
	u64 guest;
	unsigned int first;	/* block */
	unsigned int count;
} region[REGIONS];

static const struct region *region_at(u64 guest);
static struct page *page_at(u64 guest);

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
		for (i = 0; !is_zone_device_page(list[n]) && i < BLOCK_PAGES; i++)
			__free_page(list[n] + i);
		cond_resched();
	}
	kvfree(list);
	avmm_window_give();
}

/* Reclaims and compacts, but gives up rather than have the OOM killer make room. */
static struct page *take_block(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN | __GFP_ZERO, BLOCK_ORDER);

	if (page)
		split_page(page, BLOCK_ORDER);
	return page;
}

static unsigned int block_count(void)
{
	return region[REGION_FW_CFG].first + region[REGION_FW_CFG].count;
}

/* Returns the number of blocks. */
static unsigned int plan(struct region plan[REGIONS], const struct avmm_partition_request *r)
{
	u64 low = r->window ? AVMM_WINDOW_LOW : min_t(u64, r->memory, AVMM_PCI_HOLE), rom = r->rom;
	const u64 guest[REGIONS] = { 0, r->window ?: SZ_4G, SZ_4G - rom, AVMM_FW_CFG_OFFSET };
	const u64 bytes[REGIONS] = { low, r->window ? r->memory : r->memory - low, rom, rom ? AVMM_FW_CFG_MAX : 0 };
	unsigned int i, first = 0;

	for (i = 0; i < REGIONS; i++) {
		plan[i] = (struct region){ guest[i], first, bytes[i] / AVMM_BLOCK_SIZE };
		first += plan[i].count;
	}
	return first;
}

static struct page *take_window_block(struct page *window, unsigned int n)
{
	struct page *page = window + n * BLOCK_PAGES;
	unsigned int i;

	for (i = 0; i < BLOCK_PAGES; i++)
		clear_page(page_address(page + i));
	return page;
}

/*
 * Fills the list; window: its first page, or NULL. give_up is looked at between blocks. *n: how many were taken, whatever
 * came of it.
 */
static int take_blocks(struct page **list, const struct region *planned, unsigned int wanted, struct page *window,
		       u64 reserve, const bool *give_up, unsigned int *n, struct avmm_refusal *why)
{
	const struct region *high = &planned[REGION_HIGH];

	for (*n = 0; *n < wanted; ++*n) {
		if (fatal_signal_pending(current) || READ_ONCE(*give_up))
			return avmm_refuse(why, -EINTR, "interrupted while memory was taken");
		if (window && *n >= high->first && *n < high->first + high->count)
			list[*n] = take_window_block(window, *n - high->first);
		else
			list[*n] = spare(reserve) ? take_block() : NULL;
		if (!list[*n])
			return refuse(wanted * AVMM_BLOCK_SIZE, *n * AVMM_BLOCK_SIZE, reserve, why);
		cond_resched();
	}
	return 0;
}

int avmm_ram_take(const struct avmm_partition_request *r, const bool *give_up, struct avmm_refusal *why)
{
	struct region planned[REGIONS];
	unsigned int n, wanted = plan(planned, r);
	u64 size = wanted * AVMM_BLOCK_SIZE - (r->window ? r->memory : 0);
	struct page **list, *window;
	int err;

	if (spare(r->reserve) < size)
		return refuse(size, spare(r->reserve), r->reserve, why);
	list = kvmalloc_array(wanted, sizeof(*list), GFP_KERNEL | __GFP_NOWARN);
	if (!list)
		return refuse(size, 0, r->reserve, why);
	window = r->window ? avmm_window_take(r->window, r->memory, why) : NULL;
	if (IS_ERR(window)) {
		kvfree(list);
		return PTR_ERR(window);
	}
	err = take_blocks(list, planned, wanted, window, r->reserve, give_up, &n, why);
	if (err) {
		free_blocks(list, n);
		return err;
	}
	down_write(&lock);
	blocks = list;
	memcpy(region, planned, sizeof(region));
	up_write(&lock);
	return 0;
}

void avmm_ram_give(void)
{
	struct page **list = blocks;
	unsigned int n = block_count();

	down_write(&lock);
	blocks = NULL;
	memset(region, 0, sizeof(region));
	up_write(&lock);
	avmm_chardev_zap();
	free_blocks(list, n);
}

/* The block of this page, an index; block_count(): none of ours. Under partition.c's lock. */
static unsigned int find_block(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page) & ~(BLOCK_PAGES - 1ul);
	unsigned int i;

	for (i = 0; i < block_count(); i++)
		if (page_to_pfn(blocks[i]) == pfn)
			break;
	return i;
}

bool avmm_ram_owns(const struct page *page)
{
	return find_block(page) < block_count();
}

bool avmm_ram_pinned(void)
{
	unsigned int n, i;

	for (n = 0; n < region[REGION_ROM].first; n++) {
		for (i = 0; i < BLOCK_PAGES; i++)
			if (!folio_maybe_dma_pinned(page_folio(blocks[n] + i)))
				return false;
		cond_resched();
	}
	return true;
}

/* The block goes; who still holds pages of it keeps these. What it had is in the new one. */
int avmm_ram_exchange(const struct page *page)
{
	unsigned int block = find_block(page), i;
	struct page *new, *old;

	if (block == block_count())
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
	const struct region *r = region_at(guest);

	return r && r < &region[REGION_ROM] ? page_address(page_at(guest)) : NULL;
}

/* Under partition.c's lock. What is no memory of the partition is left out. */
void avmm_ram_copy(u64 guest, u8 *to, u64 size)
{
	for (; size; size -= PAGE_SIZE, guest += PAGE_SIZE, to += PAGE_SIZE) {
		struct page *page = page_at(guest);

		if (page)
			copy_page(to, page_address(page));
	}
}

void avmm_ram_zero(void)
{
	unsigned int n, i;

	for (n = 0; n < block_count(); n++) {
		for (i = 0; i < BLOCK_PAGES; i++)
			clear_page(page_address(blocks[n] + i));
		cond_resched();
	}
}

unsigned int avmm_ram_list(unsigned int first, u64 list[AVMM_RAM_LIST], u64 *guest)
{
	const struct region *r = region;
	unsigned int i;

	while (r < &region[REGION_FW_CFG] && first >= r->first + r->count)
		r++;
	if (r == &region[REGION_FW_CFG])
		return 0;
	*guest = r->guest + (first - r->first) * AVMM_BLOCK_SIZE;
	for (i = 0; i < AVMM_RAM_LIST && first + i < r->first + r->count; i++)
		list[i] = page_to_phys(blocks[first + i]);
	return i;
}

u64 avmm_ram_fw_cfg(void)
{
	const struct region *r = &region[REGION_FW_CFG];

	return r->count ? page_to_phys(blocks[r->first]) : 0;
}

/* NULL: no region is there. Under the lock. */
static const struct region *region_at(u64 guest)
{
	const struct region *r;

	for (r = region; r < region + REGIONS; r++)
		if (guest >= r->guest && guest - r->guest < r->count * AVMM_BLOCK_SIZE)
			return r;
	return NULL;
}

static struct page *page_at(u64 guest)
{
	const struct region *r = region_at(guest);

	if (!r)
		return NULL;
	guest -= r->guest;
	return blocks[r->first + guest / AVMM_BLOCK_SIZE] + guest % AVMM_BLOCK_SIZE / PAGE_SIZE;
}

/* Memory of one region everywhere in a range that is not empty? */
bool avmm_ram_covers(u64 guest, u64 size)
{
	u64 last = guest + size - 1;
	const struct region *r;
	bool covers;

	down_read(&lock);
	r = region_at(guest);
	covers = r && last >= guest && region_at(last) == r;
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
