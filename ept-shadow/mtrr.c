// SPDX-License-Identifier: GPL-2.0-only
#include "mtrr.h"

#define MTRR_TYPE	0xffu			/* memory type in IA32_MTRR_DEF_TYPE and IA32_MTRR_PHYSBASEn */
#define MTRR_ADDRESS	0xffffffffff000ull	/* address bits of PHYSBASEn and PHYSMASKn */
#define MTRR_MAX_RUNS	4096			/* 32 ranges need at most 18 runs at each of their two ends in 1 GiB */

/* Reserved types cannot be written to an MTRR; should one turn up, uncached is what is always right. */
static u32 legal(u64 type)
{
	switch (type) {
	case MTRR_WC:
	case MTRR_WT:
	case MTRR_WP:
	case MTRR_WB:
		return type;
	default:
		return MTRR_UC;
	}
}

static u32 variable_ranges(const struct avmm_mtrr *mtrr)
{
	u32 n = mtrr->cap & MTRR_CAP_VCNT;

	return n < AVMM_MAX_VAR_MTRRS ? n : AVMM_MAX_VAR_MTRRS;
}

static bool fixed_applies(const struct avmm_mtrr *mtrr, u64 addr)
{
	return addr < MTRR_FIXED_END && (mtrr->cap & MTRR_CAP_FIX) && (mtrr->def_type & MTRR_FE);
}

/* The byte of eleven registers that holds addr's type: 8 of 64 KiB, 16 of 16 KiB, 64 of 4 KiB; SDM table 12-9. */
static u32 fixed_type(const struct avmm_mtrr *mtrr, u64 addr)
{
	u32 byte;

	if (addr < 0x80000)
		byte = addr >> 16;
	else if (addr < 0xc0000)
		byte = 8 + ((addr - 0x80000) >> 14);
	else
		byte = 24 + ((addr - 0xc0000) >> 12);
	return legal(mtrr->fixed[byte / 8] >> (byte % 8 * 8) & MTRR_TYPE);
}

/* Two ranges over one address: UC wins, WT wins over WB, all else is undefined; SDM 12.11.4.1. */
static u32 overlap(u32 a, u32 b)
{
	if (a == b)
		return a;
	if ((a == MTRR_WT && b == MTRR_WB) || (a == MTRR_WB && b == MTRR_WT))
		return MTRR_WT;
	return MTRR_UC;
}

u32 mtrr_type(const struct avmm_mtrr *mtrr, u64 addr)
{
	bool found = false;
	u32 type = legal(mtrr->def_type & MTRR_TYPE);
	u32 i;

	if (!(mtrr->def_type & MTRR_E))
		return MTRR_UC;
	if (fixed_applies(mtrr, addr))
		return fixed_type(mtrr, addr);
	for (i = 0; i < variable_ranges(mtrr); i++) {
		u64 mask = mtrr->var[i].mask & MTRR_ADDRESS;
		u32 own = legal(mtrr->var[i].base & MTRR_TYPE);

		if (!(mtrr->var[i].mask & MTRR_VALID) || ((addr ^ mtrr->var[i].base) & mask))
			continue;
		type = found ? overlap(type, own) : own;
		found = true;
	}
	return type;
}

/*
 * The size of the largest naturally aligned run at addr, at most limit, in which every variable range either holds
 * all or nothing: a range whose mask has a bit below the run's size splits it, unless it is elsewhere anyway.
 */
static u64 run_at(const struct avmm_mtrr *mtrr, u64 addr, u64 limit)
{
	u64 size = limit;
	u32 i;

	if (fixed_applies(mtrr, addr)) {
		u64 one = addr < 0x80000 ? 1u << 16 : addr < 0xc0000 ? 1u << 14 : AVMM_PAGE_SIZE;

		return size < one ? size : one;
	}
	while (addr & (size - 1))
		size >>= 1;
	for (i = 0; i < variable_ranges(mtrr); i++) {
		u64 mask = mtrr->var[i].mask & MTRR_ADDRESS;
		u64 differ = (addr ^ mtrr->var[i].base) & mask;

		if (!(mtrr->var[i].mask & MTRR_VALID))
			continue;
		while ((mask & (size - 1)) && !(differ & ~(size - 1)))
			size >>= 1;
	}
	return size;
}

bool mtrr_uniform(const struct avmm_mtrr *mtrr, u64 base, u64 size)
{
	u32 type = mtrr_type(mtrr, base);
	u64 done = 0;
	u32 runs;

	if (!(mtrr->def_type & MTRR_E))
		return true;
	for (runs = 0; done < size && runs < MTRR_MAX_RUNS; runs++) {
		if (mtrr_type(mtrr, base + done) != type)
			return false;
		done += run_at(mtrr, base + done, size);
	}
	return done >= size;
}

static bool known_type(u64 type)
{
	return type == MTRR_UC || type == MTRR_WC || type == MTRR_WT || type == MTRR_WP || type == MTRR_WB;
}

bool mtrr_msr_valid(u32 number, u64 value, u32 phys_bits)
{
	unsigned int i;

	if (number == 0x2ff)
		return !(value & ~(0xffull | MTRR_E | MTRR_FE)) && known_type(value & 0xff);
	if (number < 0x250) {
		if (value >> phys_bits)
			return false;
		return number & 1 ? !(value & (MTRR_VALID - 1)) : !(value & 0xf00) && known_type(value & 0xff);
	}
	for (i = 0; i < 8; i++)
		if (!known_type(value >> 8 * i & 0xff))
			return false;
	return true;
}
