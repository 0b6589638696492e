/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The data page of a CPU for the way between Linux and the monitor. Linux and the monitor map it at the same address,
 * as they do the trampoline's code (vmx/launch/trampoline.S): from before CR3 changes until after it, GDT, IDT and
 * stack lie here, so that an NMI or #MC always finds a handler. The handlers only count; Linux gets them afterwards.
 *
 * The offsets are for assembly; vmx/launch/launch.c asserts them.
 */
#ifndef AVMM_LEAVE_H
#define AVMM_LEAVE_H

#define AVMM_LEAVE_GDT		0x000	/* copy of Linux's: 32 entries */
#define AVMM_LEAVE_IDT		0x100	/* vectors 0 to 18 */
#define AVMM_LEAVE_GDTR		0x230	/* of this page: limit, base (10 bytes) */
#define AVMM_LEAVE_IDTR		0x240
#define AVMM_LEAVE_NMI		0x250	/* u32: NMIs caught */
#define AVMM_LEAVE_MC		0x254	/* u32: machine checks caught */
#define AVMM_LEAVE_GPR		0x260	/* rax, rcx, rdx, rbx, -, rbp, rsi, rdi, r8 … r15 */
#define AVMM_LEAVE_RIP		0x2e0	/* five words as IRETQ takes them: rip, cs, rflags, rsp, ss */
#define AVMM_LEAVE_CR0		0x308
#define AVMM_LEAVE_CR3		0x310
#define AVMM_LEAVE_CR4		0x318
#define AVMM_LEAVE_DR7		0x320
#define AVMM_LEAVE_LINUX_GDTR	0x328
#define AVMM_LEAVE_LINUX_IDTR	0x338
#define AVMM_LEAVE_SEL		0x348	/* a word each: es, ds, fs, gs, ldtr, tr */
#define AVMM_LEAVE_GS_BASE	0x378
#define AVMM_LEAVE_FS_BASE	0x380
#define AVMM_LEAVE_MSRS		0x388	/* u64 number, value; ends with number 0 */
#define AVMM_LEAVE_MAX_MSRS	13
#define AVMM_LEAVE_STACK	0x1000	/* grows down from the end of the page */

#define AVMM_LEAVE_IDT_VECTORS	19

#ifndef __ASSEMBLY__
#include <avmm/types.h>

struct avmm_desc_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

struct avmm_leave {
	u64 gdt[32];
	struct {
		u64 low;
		u64 high;
	} idt[AVMM_LEAVE_IDT_VECTORS];
	struct avmm_desc_ptr gdtr __attribute__((aligned(16)));
	struct avmm_desc_ptr idtr __attribute__((aligned(16)));
	u32 nmi __attribute__((aligned(16)));
	u32 mc;
	u64 gpr[16] __attribute__((aligned(16)));
	u64 rip;
	u64 cs;
	u64 rflags;
	u64 rsp;
	u64 ss;
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 dr7;
	struct avmm_desc_ptr linux_gdtr __attribute__((aligned(8)));
	struct avmm_desc_ptr linux_idtr __attribute__((aligned(8)));
	u64 sel[6] __attribute__((aligned(8)));	/* words, since VMREAD stores words */
	u64 gs_base;
	u64 fs_base;
	struct avmm_leave_msr {
		u64 number;
		u64 value;
	} msr[AVMM_LEAVE_MAX_MSRS + 1];
};
#endif

#endif
