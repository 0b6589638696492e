// SPDX-License-Identifier: GPL-2.0-only
/* Which barriers the world switch of this CPU needs. Plain C: switch.c asks the CPU, and does them. */
#include <vmx/root/barriers.h>

#define EDX_MD_CLEAR		(1u << 10)
#define EDX_IBRS_IBPB		(1u << 26)
#define EDX_L1D_FLUSH		(1u << 28)

#define ARCH_RDCL_NO		(1u << 0)
#define ARCH_SKIP_L1DFL		(1u << 3)
#define ARCH_MDS_NO		(1u << 5)
#define ARCH_PSCHANGE_MC_NO	(1u << 6)
#define ARCH_TAA_NO		(1u << 8)
#define ARCH_SBDR_SSDP_NO	(1u << 13)
#define ARCH_FBSDP_NO		(1u << 14)
#define ARCH_PSDP_NO		(1u << 15)
#define ARCH_RFDS_NO		(1u << 27)
#define BUFFERS_CLEAN		(ARCH_MDS_NO | ARCH_TAA_NO | ARCH_SBDR_SSDP_NO | ARCH_FBSDP_NO | ARCH_PSDP_NO | ARCH_RFDS_NO)

u32 barriers_needed(u32 edx, u64 arch)
{
	u32 needed = 0;

	if (edx & EDX_IBRS_IBPB)
		needed |= BARRIER_IBPB;
	if ((edx & EDX_L1D_FLUSH) && !(arch & (ARCH_RDCL_NO | ARCH_SKIP_L1DFL)))
		needed |= BARRIER_L1D;
	if ((edx & EDX_MD_CLEAR) && (arch & BUFFERS_CLEAN) != BUFFERS_CLEAN)
		needed |= BARRIER_VERW;
	return needed;
}

bool large_pages_may_execute(u64 arch)
{
	return arch & ARCH_PSCHANGE_MC_NO;
}
