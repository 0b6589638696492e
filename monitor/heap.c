// SPDX-License-Identifier: GPL-2.0-only
/*
 * Monitor memory: the blocks that the module gave, mapped side by side from AVMM_MONITOR_BASE. The image and the page
 * tables come first, the heap takes the rest, page by page, at init time only.
 */
#include "core.h"
#include "partition.h"

static struct {
	u64 next;	/* offsets from AVMM_MONITOR_BASE */
	u64 end;
	u64 pool;	/* next of the pool; 0: init is not over */
} heap;

void heap_init(u64 offset, u64 end)
{
	heap.next = offset;
	heap.end = end;
}

static void clear(void *at, u64 size)
{
	u64 words = size / sizeof(u64);

	asm volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0ul) : "memory");
}

void *heap_page(void)
{
	void *page;

	if (heap.end - heap.next < AVMM_PAGE_SIZE)
		return NULL;
	page = (void *)(AVMM_MONITOR_BASE + heap.next);
	heap.next += AVMM_PAGE_SIZE;
	clear(page, AVMM_PAGE_SIZE);
	return page;
}

/* count pages side by side, zeroed; NULL: the pool is empty. */
void *pool_pages(u32 count)
{
	u64 size = count * AVMM_PAGE_SIZE;
	void *p;

	if (!heap.pool)
		heap.pool = heap.next;
	if (heap.end - heap.pool < size)
		return NULL;
	p = (void *)(AVMM_MONITOR_BASE + heap.pool);
	heap.pool += size;
	clear(p, size);
	return p;
}

void *pool_page(void)
{
	return pool_pages(1);
}

u64 pool_left(void)
{
	return (heap.end - (heap.pool ? heap.pool : heap.next)) / AVMM_PAGE_SIZE;
}

void pool_reset(void)
{
	heap.pool = heap.next;
}

u64 heap_used(void)
{
	return heap.next;
}

u64 monitor_phys(const void *p)
{
	u64 offset = (u64)p - AVMM_MONITOR_BASE;

	return machine.block[offset / AVMM_BLOCK_SIZE] + offset % AVMM_BLOCK_SIZE;
}

void *monitor_virt(u64 phys)
{
	u32 i;

	for (i = 0; i < machine.nblocks; i++)
		if (phys - machine.block[i] < AVMM_BLOCK_SIZE)
			return (void *)(AVMM_MONITOR_BASE + i * AVMM_BLOCK_SIZE + (phys - machine.block[i]));
	return NULL;
}

void monitor_unmap_page(void *p)
{
	u64 *pte = (u64 *)(AVMM_MONITOR_BASE + machine.linear_pt);

	pte[((u64)p - AVMM_MONITOR_BASE) / AVMM_PAGE_SIZE] = 0;
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
}
