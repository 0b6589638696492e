/* SPDX-License-Identifier: GPL-2.0-only */
/* Architectural bits and MSR numbers that module and monitor both need (Intel SDM volume 3, 2.5 and volume 4). */
#ifndef AVMM_X86_H
#define AVMM_X86_H

#define AVMM_CR0_PE		(1ul << 0)
#define AVMM_CR0_ET		(1ul << 4)
#define AVMM_CR0_NE		(1ul << 5)
#define AVMM_CR0_WP		(1ul << 16)
#define AVMM_CR0_NW		(1ul << 29)
#define AVMM_CR0_CD		(1ul << 30)
#define AVMM_CR0_PG		(1ul << 31)
#define AVMM_CR4_PAE		(1ul << 5)
#define AVMM_CR4_MCE		(1ul << 6)
#define AVMM_CR4_PGE		(1ul << 7)
#define AVMM_CR4_LA57		(1ul << 12)
#define AVMM_CR4_VMXE		(1ul << 13)
#define AVMM_CR4_SMXE		(1ul << 14)
#define AVMM_CR4_PCIDE		(1ul << 17)
#define AVMM_CR4_OSXSAVE	(1ul << 18)
#define AVMM_CR4_PKE		(1ul << 22)
#define AVMM_CR4_CET		(1ul << 23)
#define AVMM_CR4_PKS		(1ul << 24)
#define AVMM_CR4_FRED		(1ul << 32)
#define AVMM_EFER_LME		(1ul << 8)
#define AVMM_EFER_LMA		(1ul << 10)

#define AVMM_MSR_APIC_BASE		0x1b
#define AVMM_MSR_FEATURE_CONTROL	0x3a
#define AVMM_MSR_MTRRCAP		0xfe
#define AVMM_MSR_SYSENTER_CS		0x174
#define AVMM_MSR_SYSENTER_ESP		0x175
#define AVMM_MSR_SYSENTER_EIP		0x176
#define AVMM_MSR_DEBUGCTL		0x1d9
#define AVMM_MSR_MTRR_VAR_BASE0		0x200
#define AVMM_MSR_PAT			0x277
#define AVMM_MSR_MTRR_DEF_TYPE		0x2ff
#define AVMM_MSR_PERF_GLOBAL_CTRL	0x38f
#define AVMM_MSR_VMX_BASIC		0x480
#define AVMM_MSR_VMX_CR0_FIXED0		0x486
#define AVMM_MSR_VMX_CR4_FIXED1		0x489
#define AVMM_MSR_VMX_EPT_VPID_CAP	0x48c
#define AVMM_MSR_VMX_LAST		0x493
#define AVMM_MSR_S_CET			0x6a2
#define AVMM_MSR_INTR_SSP_TABLE		0x6a8
#define AVMM_MSR_PKRS			0x6e1
#define AVMM_MSR_X2APIC_IRR		0x820	/* to 827h */
#define AVMM_MSR_X2APIC_ICR		0x830
#define AVMM_MSR_X2APIC_SELF_IPI	0x83f
#define AVMM_MSR_EFER			0xc0000080
#define AVMM_MSR_FS_BASE		0xc0000100
#define AVMM_MSR_GS_BASE		0xc0000101

#define AVMM_FEATURE_CONTROL_LOCK	(1ul << 0)
#define AVMM_FEATURE_CONTROL_SMX	(1ul << 1)
#define AVMM_FEATURE_CONTROL_VMX	(1ul << 2)

#define AVMM_APIC_BASE_X2APIC		(1ul << 10)
#define AVMM_APIC_BASE_ENABLE		(1ul << 11)

/*
 * The monitor's GDT has its segments where Linux has them, so that a selector that an NMI pushes on one side of the
 * switch is good on the other.
 */
#define AVMM_SEL_CS		0x10
#define AVMM_SEL_DS		0x18
#define AVMM_SEL_TSS		0x40

#endif
