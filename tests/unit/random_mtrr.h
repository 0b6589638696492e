/* SPDX-License-Identifier: GPL-2.0-only */
/* Random legal sets of MTRRs, and addresses near their ends, where the bugs are. */
#ifndef TESTS_RANDOM_MTRR_H
#define TESTS_RANDOM_MTRR_H

#include "unit.h"
#include "ept-shadow/mtrr.h"

static inline u32 random_type(u64 *seed)
{
	static const u8 types[] = { MTRR_UC, MTRR_WC, MTRR_WT, MTRR_WP, MTRR_WB, MTRR_WB, MTRR_UC };

	return types[random_below(seed, sizeof(types))];
}

static inline void random_fixed(u64 *seed, struct avmm_mtrr *mtrr)
{
	u32 i, byte;

	for (i = 0; i < ARRAY_SIZE(mtrr->fixed); i++)
		for (byte = 0; byte < 8; byte++)
			mtrr->fixed[i] |= (u64)random_type(seed) << (byte * 8);
}

/* Contiguous masks, bases aligned to their size: what the SDM asks of software. */
static inline void random_mtrr(u64 *seed, struct avmm_mtrr *mtrr, u32 phys_bits)
{
	u32 i, n = random_below(seed, random_below(seed, 8) ? 11 : AVMM_MAX_VAR_MTRRS + 1);

	memset(mtrr, 0, sizeof(*mtrr));
	mtrr->cap = n | (random_below(seed, 4) ? MTRR_CAP_FIX : 0);
	mtrr->def_type = random_type(seed) | (random_below(seed, 16) ? MTRR_E : 0) |
			 (random_below(seed, 4) ? MTRR_FE : 0);
	random_fixed(seed, mtrr);
	for (i = 0; i < n; i++) {
		u64 size = 1ull << (12 + random_below(seed, phys_bits - 12));
		u64 base = random_u64(seed) & ((1ull << phys_bits) - 1) & ~(size - 1);

		if (i && random_below(seed, 2))		/* beside or inside the one before */
			base = (mtrr->var[i - 1].base & ~0xfffull & ~(size - 1)) ^ (random_below(seed, 2) ? size : 0);
		base &= (1ull << phys_bits) - 1;
		mtrr->var[i].base = base | random_type(seed);
		mtrr->var[i].mask = ((1ull << phys_bits) - size) | (random_below(seed, 8) ? MTRR_VALID : 0);
	}
}

/* A page near an end of a range, or in the first 2 MiB, or anywhere. */
static inline u64 random_address(u64 *seed, const struct avmm_mtrr *mtrr, u32 phys_bits)
{
	u32 n = mtrr->cap & MTRR_CAP_VCNT;
	u64 addr = random_u64(seed);
	u32 i;

	switch (random_below(seed, 4)) {
	case 0:
		addr &= 0x1fffff;
		break;
	case 1:
	case 2:
		if (!n)
			break;
		i = random_below(seed, n);
		addr = mtrr->var[i].base + (random_below(seed, 2) ? -mtrr->var[i].mask : 0);
		addr += (random_below(seed, 5) - 2) * AVMM_PAGE_SIZE;
		break;
	}
	return addr & ((1ull << phys_bits) - 1) & ~0xfffull;
}

#endif
