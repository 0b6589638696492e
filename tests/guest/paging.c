// SPDX-License-Identifier: GPL-2.0-only
/*
 * One to one up to 512 GiB, by 2 MiB pages below 4 GiB and 1 GiB pages above, for the supervisor; 2 MiB of 4 KiB slots
 * after that.
 */
#include "guest.h"

#define SLOTS_BASE	(1ull << 39)
#define GIB		(1ull << 30)
#define MIB2		(2ull << 20)

u64 pml4[512] __attribute__((aligned(4096)));
static u64 identity[512] __attribute__((aligned(4096)));
static u64 directories[4][512] __attribute__((aligned(4096)));
static u64 slot_pdpt[512] __attribute__((aligned(4096)));
static u64 slot_directory[512] __attribute__((aligned(4096)));
static u64 slot_table[512] __attribute__((aligned(4096)));

static void enable_sse(void)
{
	u64 cr4;
	u32 r[4];

	READ_CR(4, cr4);
	WRITE_CR(4, cr4 | CR4_OSFXSR | 1 << 10);
	cpuid(1, 0, r);
	if (!(r[2] & 1 << 26))
		return;
	WRITE_CR(4, cr4 | CR4_OSFXSR | 1 << 10 | CR4_OSXSAVE);
	cpuid(0xd, 0, r);
	asm volatile("xsetbv" : : "c"(0), "a"(r[0] & 7), "d"(0));
}

void paging_init(void)
{
	u64 i;

	for (i = 0; i < 4 * 512; i++)
		directories[i / 512][i % 512] = i * MIB2 | PTE_P | PTE_W | PTE_LARGE;
	for (i = 0; i < 4; i++)
		identity[i] = (u64)directories[i] | PTE_P | PTE_W | PTE_U;
	for (; i < 512; i++)
		identity[i] = i * GIB | PTE_P | PTE_W | PTE_LARGE;
	slot_directory[0] = (u64)slot_table | PTE_P | PTE_W | PTE_U;
	slot_pdpt[0] = (u64)slot_directory | PTE_P | PTE_W | PTE_U;
	pml4[0] = (u64)identity | PTE_P | PTE_W | PTE_U;
	pml4[1] = (u64)slot_pdpt | PTE_P | PTE_W | PTE_U;
	WRITE_CR(3, pml4);
	enable_sse();
}

u64 slot_address(unsigned int slot)
{
	return SLOTS_BASE + (u64)slot * PAGE;
}

u64 *slot_entry(unsigned int slot)
{
	return &slot_table[slot];
}

volatile void *slot_map(unsigned int slot, u64 physical, u64 flags)
{
	slot_table[slot] = physical | flags;
	asm volatile("invlpg (%0)" : : "r"(slot_address(slot)) : "memory");
	return (volatile void *)slot_address(slot);
}
