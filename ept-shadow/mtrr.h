/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory types of physical addresses as the MTRRs define them, Intel SDM volume 3, 12.11.
 *
 * Pure functions of a snapshot of the registers; no state. A CPU without MTRRs is the caller's business: its
 * snapshot is def_type = MTRR_E | MTRR_WB.
 */
#ifndef EPT_SHADOW_MTRR_H
#define EPT_SHADOW_MTRR_H

#include <avmm/boot.h>

/* SDM volume 3, table 12-8; 2, 3 and everything above 6 are reserved. */
enum mtrr_memory_type {
	MTRR_UC = 0,
	MTRR_WC = 1,
	MTRR_WT = 4,
	MTRR_WP = 5,
	MTRR_WB = 6,
};

#define MTRR_CAP_VCNT		0xffu		/* IA32_MTRRCAP: number of variable ranges */
#define MTRR_CAP_FIX		(1u << 8)	/* there are fixed ranges */
#define MTRR_FE			(1u << 10)	/* IA32_MTRR_DEF_TYPE: fixed ranges enabled */
#define MTRR_E			(1u << 11)	/* MTRRs enabled */
#define MTRR_VALID		(1u << 11)	/* IA32_MTRR_PHYSMASKn: the pair is in use */
#define MTRR_FIXED_END		0x100000ull	/* the fixed ranges cover the first MiB */

/* The effective memory type of the 4 KiB page with this physical address. */
u32 mtrr_type(const struct avmm_mtrr *mtrr, u64 addr);

/*
 * Has [base, base + size) one memory type? size is a power of two from 4 KiB on, base is aligned to it. False as well
 * when masks with holes, which no firmware writes, make the range too expensive to look through.
 */
bool mtrr_uniform(const struct avmm_mtrr *mtrr, u64 base, u64 size);

/* May a guest with this physical address width write the value to this MTRR (200h to 20Fh, the fixed ones, 2FFh)? */
bool mtrr_msr_valid(u32 number, u64 value, u32 phys_bits);

#endif
