/* SPDX-License-Identifier: GPL-2.0-only */
/* VMCS field encodings (Intel SDM volume 3, appendix B), control bits (chapter 25), exit reasons (appendix C). */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

/* 16-bit fields */
#define VMCS_VPID			0x0000
#define VMCS_GUEST_ES_SEL		0x0800	/* ES, CS, SS, DS, FS, GS, LDTR, TR: two apart */
#define VMCS_GUEST_CS_SEL		0x0802
#define VMCS_GUEST_SS_SEL		0x0804
#define VMCS_GUEST_DS_SEL		0x0806
#define VMCS_GUEST_FS_SEL		0x0808
#define VMCS_GUEST_GS_SEL		0x080a
#define VMCS_GUEST_LDTR_SEL		0x080c
#define VMCS_GUEST_TR_SEL		0x080e
#define VMCS_GUEST_INTR_STATUS		0x0810	/* RVI in bits 7:0, SVI in 15:8 */
#define VMCS_HOST_ES_SEL		0x0c00
#define VMCS_HOST_CS_SEL		0x0c02
#define VMCS_HOST_SS_SEL		0x0c04
#define VMCS_HOST_DS_SEL		0x0c06
#define VMCS_HOST_FS_SEL		0x0c08
#define VMCS_HOST_GS_SEL		0x0c0a
#define VMCS_HOST_TR_SEL		0x0c0c

/* 64-bit fields */
#define VMCS_IO_BITMAP_A		0x2000
#define VMCS_IO_BITMAP_B		0x2002
#define VMCS_MSR_BITMAP			0x2004
#define VMCS_EXIT_MSR_STORE_ADDR	0x2006
#define VMCS_EXIT_MSR_LOAD_ADDR		0x2008
#define VMCS_ENTRY_MSR_LOAD_ADDR	0x200a
#define VMCS_TSC_OFFSET			0x2010
#define VMCS_VIRTUAL_APIC		0x2012
#define VMCS_APIC_ACCESS		0x2014
#define VMCS_EPTP			0x201a
#define VMCS_EOI_EXIT			0x201c	/* four, two apart */
#define VMCS_XSS_EXITING_BITMAP		0x202c
#define VMCS_PCONFIG_EXITING_BITMAP	0x203e
#define VMCS_GUEST_PHYS_ADDR		0x2400
#define VMCS_LINK_POINTER		0x2800
#define VMCS_GUEST_DEBUGCTL		0x2802
#define VMCS_GUEST_PAT			0x2804
#define VMCS_GUEST_EFER			0x2806
#define VMCS_GUEST_PERF_GLOBAL_CTRL	0x2808
#define VMCS_GUEST_PDPTE0		0x280a
#define VMCS_GUEST_PKRS			0x2818
#define VMCS_HOST_PAT			0x2c00
#define VMCS_HOST_EFER			0x2c02
#define VMCS_HOST_PERF_GLOBAL_CTRL	0x2c04
#define VMCS_HOST_PKRS			0x2c06

/* 32-bit fields */
#define VMCS_PIN_CONTROLS		0x4000
#define VMCS_PROC_CONTROLS		0x4002
#define VMCS_EXCEPTION_BITMAP		0x4004
#define VMCS_PF_ERROR_MASK		0x4006
#define VMCS_PF_ERROR_MATCH		0x4008
#define VMCS_CR3_TARGET_COUNT		0x400a
#define VMCS_EXIT_CONTROLS		0x400c
#define VMCS_EXIT_MSR_STORE_COUNT	0x400e
#define VMCS_EXIT_MSR_LOAD_COUNT	0x4010
#define VMCS_ENTRY_CONTROLS		0x4012
#define VMCS_ENTRY_MSR_LOAD_COUNT	0x4014
#define VMCS_ENTRY_INTR_INFO		0x4016
#define VMCS_ENTRY_ERROR_CODE		0x4018
#define VMCS_ENTRY_INSTR_LENGTH		0x401a
#define VMCS_TPR_THRESHOLD		0x401c
#define VMCS_PROC_CONTROLS2		0x401e
#define VMCS_PLE_GAP			0x4020
#define VMCS_PLE_WINDOW			0x4022
#define VMCS_INSTR_ERROR		0x4400
#define VMCS_EXIT_REASON		0x4402
#define VMCS_EXIT_INTR_INFO		0x4404
#define VMCS_EXIT_INTR_ERROR		0x4406
#define VMCS_VECTORING_INFO		0x4408
#define VMCS_VECTORING_ERROR		0x440a
#define VMCS_EXIT_INSTR_LENGTH		0x440c
#define VMCS_EXIT_INSTR_INFO		0x440e
#define VMCS_GUEST_ES_LIMIT		0x4800
#define VMCS_GUEST_LDTR_LIMIT		0x480c
#define VMCS_GUEST_TR_LIMIT		0x480e
#define VMCS_GUEST_GDTR_LIMIT		0x4810
#define VMCS_GUEST_IDTR_LIMIT		0x4812
#define VMCS_GUEST_ES_AR		0x4814
#define VMCS_GUEST_CS_AR		0x4816
#define VMCS_GUEST_SS_AR		0x4818
#define VMCS_GUEST_LDTR_AR		0x4820
#define VMCS_GUEST_TR_AR		0x4822
#define VMCS_GUEST_INTERRUPTIBILITY	0x4824
#define VMCS_GUEST_ACTIVITY		0x4826
#define VMCS_GUEST_SYSENTER_CS		0x482a
#define VMCS_PREEMPTION_TIMER		0x482e
#define VMCS_HOST_SYSENTER_CS		0x4c00

/* natural-width fields */
#define VMCS_CR0_MASK			0x6000
#define VMCS_CR4_MASK			0x6002
#define VMCS_CR0_SHADOW			0x6004
#define VMCS_CR4_SHADOW			0x6006
#define VMCS_EXIT_QUALIFICATION		0x6400
#define VMCS_GUEST_LINEAR_ADDR		0x640a
#define VMCS_GUEST_CR0			0x6800
#define VMCS_GUEST_CR3			0x6802
#define VMCS_GUEST_CR4			0x6804
#define VMCS_GUEST_ES_BASE		0x6806
#define VMCS_GUEST_CS_BASE		0x6808
#define VMCS_GUEST_FS_BASE		0x680e
#define VMCS_GUEST_GS_BASE		0x6810
#define VMCS_GUEST_LDTR_BASE		0x6812
#define VMCS_GUEST_TR_BASE		0x6814
#define VMCS_GUEST_GDTR_BASE		0x6816
#define VMCS_GUEST_IDTR_BASE		0x6818
#define VMCS_GUEST_DR7			0x681a
#define VMCS_GUEST_RSP			0x681c
#define VMCS_GUEST_RIP			0x681e
#define VMCS_GUEST_RFLAGS		0x6820
#define VMCS_GUEST_PENDING_DEBUG	0x6822
#define VMCS_GUEST_SYSENTER_ESP		0x6824
#define VMCS_GUEST_SYSENTER_EIP		0x6826
#define VMCS_GUEST_S_CET		0x6828
#define VMCS_GUEST_SSP			0x682a
#define VMCS_GUEST_INTR_SSP_TABLE	0x682c
#define VMCS_HOST_CR0			0x6c00
#define VMCS_HOST_CR3			0x6c02
#define VMCS_HOST_CR4			0x6c04
#define VMCS_HOST_FS_BASE		0x6c06
#define VMCS_HOST_GS_BASE		0x6c08
#define VMCS_HOST_TR_BASE		0x6c0a
#define VMCS_HOST_GDTR_BASE		0x6c0c
#define VMCS_HOST_IDTR_BASE		0x6c0e
#define VMCS_HOST_SYSENTER_ESP		0x6c10
#define VMCS_HOST_SYSENTER_EIP		0x6c12
#define VMCS_HOST_RSP			0x6c14
#define VMCS_HOST_RIP			0x6c16
#define VMCS_HOST_S_CET			0x6c18
#define VMCS_HOST_SSP			0x6c1a
#define VMCS_HOST_INTR_SSP_TABLE	0x6c1c

/* control bits used by name outside vmx/caps */
#define VMX_PIN_EXTERNAL_INTERRUPT	(1u << 0)
#define VMX_PIN_NMI			(1u << 3)
#define VMX_PIN_VIRTUAL_NMI		(1u << 5)
#define VMX_PIN_PREEMPTION_TIMER	(1u << 6)
#define VMX_PROC_INTERRUPT_WINDOW	(1u << 2)
#define VMX_PROC_TSC_OFFSETTING		(1u << 3)
#define VMX_PROC_HLT			(1u << 7)
#define VMX_PROC_MWAIT			(1u << 10)
#define VMX_PROC_RDPMC			(1u << 11)
#define VMX_PROC_TPR_SHADOW		(1u << 21)
#define VMX_PROC_NMI_WINDOW		(1u << 22)
#define VMX_PROC_IO			(1u << 24)
#define VMX_PROC_IO_BITMAPS		(1u << 25)
#define VMX_PROC_MONITOR_TRAP		(1u << 27)
#define VMX_PROC_MSR_BITMAPS		(1u << 28)
#define VMX_PROC_MONITOR		(1u << 29)
#define VMX_PROC_SECONDARY		(1u << 31)
#define VMX_PROC2_APIC_ACCESSES		(1u << 0)
#define VMX_PROC2_EPT			(1u << 1)
#define VMX_PROC2_RDTSCP		(1u << 3)
#define VMX_PROC2_X2APIC		(1u << 4)
#define VMX_PROC2_VPID			(1u << 5)
#define VMX_PROC2_WBINVD		(1u << 6)
#define VMX_PROC2_UNRESTRICTED		(1u << 7)
#define VMX_PROC2_APIC_REGISTERS	(1u << 8)
#define VMX_PROC2_INTERRUPT_DELIVERY	(1u << 9)
#define VMX_PROC2_PAUSE_LOOP		(1u << 10)
#define VMX_PROC2_INVPCID		(1u << 12)
#define VMX_PROC2_XSAVES		(1u << 20)
#define VMX_EXIT_LOAD_PERF_GLOBAL_CTRL	(1u << 12)
#define VMX_EXIT_SAVE_TIMER		(1u << 22)
#define VMX_EXIT_LOAD_CET		(1u << 28)
#define VMX_EXIT_LOAD_PKRS		(1u << 29)
#define VMX_ENTRY_IA32E_GUEST		(1u << 9)
#define VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL	(1u << 13)
#define VMX_ENTRY_LOAD_CET		(1u << 20)
#define VMX_ENTRY_LOAD_PKRS		(1u << 22)

/* basic exit reasons */
#define VMX_EXIT_BASIC			0xffffu
#define VMX_EXIT_ENTRY_FAILED		(1u << 31)
#define VMX_REASON_EXCEPTION_NMI	0
#define VMX_REASON_TRIPLE_FAULT		2
#define VMX_REASON_EXTERNAL_INTERRUPT	1
#define VMX_REASON_INIT			3
#define VMX_REASON_SIPI			4
#define VMX_REASON_INTERRUPT_WINDOW	7
#define VMX_REASON_NMI_WINDOW		8
#define VMX_REASON_TASK_SWITCH		9
#define VMX_REASON_CPUID		10
#define VMX_REASON_GETSEC		11
#define VMX_REASON_HLT			12
#define VMX_REASON_INVD			13
#define VMX_REASON_RDPMC		15
#define VMX_REASON_VMCALL		18
#define VMX_REASON_VMCLEAR		19
#define VMX_REASON_VMLAUNCH		20
#define VMX_REASON_VMPTRLD		21
#define VMX_REASON_VMPTRST		22
#define VMX_REASON_VMREAD		23
#define VMX_REASON_VMRESUME		24
#define VMX_REASON_VMWRITE		25
#define VMX_REASON_VMXOFF		26
#define VMX_REASON_VMXON		27
#define VMX_REASON_CR_ACCESS		28
#define VMX_REASON_IO			30
#define VMX_REASON_RDMSR		31
#define VMX_REASON_WRMSR		32
#define VMX_REASON_MWAIT		36
#define VMX_REASON_MONITOR_TRAP		37
#define VMX_REASON_MONITOR		39
#define VMX_REASON_PAUSE		40
#define VMX_REASON_MC_AT_ENTRY		41
#define VMX_REASON_TPR_BELOW		43
#define VMX_REASON_APIC_ACCESS		44
#define VMX_REASON_EOI			45
#define VMX_REASON_EPT_VIOLATION	48
#define VMX_REASON_EPT_MISCONFIG	49
#define VMX_REASON_INVEPT		50
#define VMX_REASON_PREEMPTION_TIMER	52
#define VMX_REASON_INVVPID		53
#define VMX_REASON_WBINVD		54
#define VMX_REASON_XSETBV		55
#define VMX_REASON_APIC_WRITE		56
#define VMX_REASON_VMFUNC		59
#define VMX_REASON_LAST			77	/* of those that the manual names today */

/* exit qualification of EPT violations, Intel SDM volume 3, table 28-7 */
#define VMX_EPT_READ			(1u << 0)
#define VMX_EPT_WRITE			(1u << 1)
#define VMX_EPT_FETCH			(1u << 2)

/* event injection and vectoring information: bits 7:0 vector, 10:8 type, 11 error code, 31 valid */
#define VMX_EVENT_VALID			(1u << 31)
#define VMX_EVENT_ERROR_CODE		(1u << 11)
#define VMX_EVENT_NMI_UNBLOCK		(1u << 12)	/* exits only: NMI unblocking due to IRET */
#define VMX_EVENT_TYPE(info)		(((info) >> 8) & 7)
#define VMX_EVENT_NMI			((2u << 8) | 2)
#define VMX_EVENT_EXCEPTION(vector)	((3u << 8) | (vector))
#define VMX_TYPE_NMI			2
#define VMX_TYPE_SOFT_INT		4	/* and above: the instruction's length is needed for injection */

/* guest interruptibility state */
#define VMX_BLOCKING_STI		(1u << 0)
#define VMX_BLOCKING_MOV_SS		(1u << 1)
#define VMX_BLOCKING_NMI		(1u << 3)
#define VMX_BLOCKS_NMI			(VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS | VMX_BLOCKING_NMI)

/* guest activity state */
#define VMX_ACTIVITY_ACTIVE		0
#define VMX_ACTIVITY_HLT		1
#define VMX_ACTIVITY_WAIT_SIPI		3

#define VMX_AR_UNUSABLE			0x10000u

#endif
