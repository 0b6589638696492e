// SPDX-License-Identifier: GPL-2.0-only
/* The tables that a VMCS points at, made at init time; not yet in root operation. */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>

/* Intel SDM volume 3, 25.6.9: read low, read high, write low, write high, 1 KiB each. */
#define BITMAP_READ_LOW		0
#define BITMAP_WRITE_LOW	2048

static void trap(u8 *bitmap, u32 number)
{
	bitmap[BITMAP_READ_LOW + number / 8] |= 1u << (number % 8);
	bitmap[BITMAP_WRITE_LOW + number / 8] |= 1u << (number % 8);
}

/* Of the service: everything passes but what would show VMX. MSRs outside the bitmap's ranges exit by themselves. */
void vmx_msr_bitmap(u8 *bitmap)
{
	u32 number;

	trap(bitmap, AVMM_MSR_FEATURE_CONTROL);
	for (number = AVMM_MSR_VMX_BASIC; number <= AVMM_MSR_VMX_LAST; number++)
		trap(bitmap, number);
}

/* What VMXON and VMCS regions start with, Intel SDM volume 3, A.1. */
u32 vmx_revision(void)
{
	return rdmsr(AVMM_MSR_VMX_BASIC) & 0x7fffffff;
}
