/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Code on both sides of the switch between Linux's and the monitor's page tables: one page of avmm.ko's text that the
 * monitor maps at the same address. While CR3 changes, GDT, IDT and stack lie in the CPU's data page (avmm/leave.h).
 *
 * vmx_trampoline_leave	 the monitor jumps here after VMXOFF, data page in RDI; ends in Linux, where VMCALL was
 * vmx_trampoline_call	 calls the monitor's init and comes back
 */
#include <linux/linkage.h>
#include <asm/unwind_hints.h>
#include <avmm/leave.h>
#include <avmm/x86.h>
#include <vmx/gprs.h>
#include "objtool-compat.h"

#define CR4_PGE	0x80
#define TSS_BUSY_BIT 41

	.text
/*
 * u32 vmx_launch_enter(void): VMLAUNCH with this very place as the guest's RIP and stack. Returns 0 as the guest,
 * ~0 after VMfail, or the exit reason of a failed entry, which the monitor puts into RAX on its way back here.
 */
SYM_CODE_START(vmx_launch_enter)
	AVMM_UNWIND_HINT
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	$0x681c, %eax		/* guest RSP */
	vmwrite	%rsp, %rax
	mov	$0x681e, %eax		/* guest RIP */
	lea	1f(%rip), %rcx
	vmwrite	%rcx, %rax
	xor	%eax, %eax
	vmlaunch
	or	$-1, %eax
1:	ENDBR
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	AVMM_RET
SYM_CODE_END(vmx_launch_enter)

	.balign 4096, 0xcc
	.globl vmx_trampoline
vmx_trampoline:

SYM_CODE_START(vmx_trampoline_leave)
	AVMM_UNWIND_HINT
	ENDBR
	lgdt	AVMM_LEAVE_GDTR(%rdi)
	lea	AVMM_LEAVE_STACK(%rdi), %rsp
	lidt	AVMM_LEAVE_IDTR(%rdi)
	mov	%rdi, %rbx

	/* CR4 is still the monitor's: it has PCIDE and LA57 as Linux has them, and no PGE */
	mov	AVMM_LEAVE_CR3(%rbx), %rax
	mov	%rax, %cr3
	mov	AVMM_LEAVE_CR0(%rbx), %rax
	mov	%rax, %cr0
	/* setting PGE drops every translation of VPID 0, from the monitor and from before the launch */
	mov	AVMM_LEAVE_CR4(%rbx), %rax
	mov	%rax, %cr4

	/* LTR wants a TSS that is not busy; Linux's GDT is read-only, so it is loaded from our copy */
	mov	AVMM_LEAVE_SEL + 40(%rbx), %rdx
	mov	AVMM_LEAVE_LINUX_GDTR + 2(%rbx), %rsi
	mov	(%rsi, %rdx), %rax
	btr	$TSS_BUSY_BIT, %rax
	mov	%rax, AVMM_LEAVE_GDT(%rbx, %rdx)
	mov	8(%rsi, %rdx), %rax
	mov	%rax, AVMM_LEAVE_GDT + 8(%rbx, %rdx)
	ltr	%dx
	lgdt	AVMM_LEAVE_LINUX_GDTR(%rbx)

	/* selectors before the base registers that loading them changes */
	mov	AVMM_LEAVE_SEL(%rbx), %es
	mov	AVMM_LEAVE_SEL + 8(%rbx), %ds
	mov	AVMM_LEAVE_SEL + 16(%rbx), %fs
	mov	AVMM_LEAVE_SEL + 24(%rbx), %gs
	lldt	AVMM_LEAVE_SEL + 32(%rbx)
	mov	$AVMM_MSR_GS_BASE, %ecx
	mov	AVMM_LEAVE_GS_BASE(%rbx), %eax
	mov	AVMM_LEAVE_GS_BASE + 4(%rbx), %edx
	wrmsr
	mov	$AVMM_MSR_FS_BASE, %ecx
	mov	AVMM_LEAVE_FS_BASE(%rbx), %eax
	mov	AVMM_LEAVE_FS_BASE + 4(%rbx), %edx
	wrmsr
	lea	AVMM_LEAVE_MSRS(%rbx), %rsi
1:	mov	(%rsi), %rcx
	jrcxz	2f
	mov	8(%rsi), %eax
	mov	12(%rsi), %edx
	wrmsr
	add	$16, %rsi
	jmp	1b
2:	mov	AVMM_LEAVE_DR7(%rbx), %rax
	mov	%rax, %dr7

	/* Linux's handlers from here on; what ours have caught is raised again, as it came */
	lidt	AVMM_LEAVE_LINUX_IDTR(%rbx)
	mov	AVMM_LEAVE_NMI(%rbx), %rax
	test	%rax, %rax
	jz	3f
	mov	%rbx, %rdi
	call	vmx_leave_raise
3:
	/* the words are popped where they lie; nothing is pushed any more: NMI and #MC have stacks of their own */
	lea	AVMM_LEAVE_GPR(%rbx), %rsp
	pop_gprs
	iretq
SYM_CODE_END(vmx_trampoline_leave)

/* int vmx_trampoline_call(struct avmm_leave *leave, u64 cr3, u64 function, void *argument) */
SYM_CODE_START(vmx_trampoline_call)
	AVMM_UNWIND_HINT
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	mov	%rdi, %rbx
	mov	%rsp, %rbp
	sgdt	AVMM_LEAVE_LINUX_GDTR(%rbx)
	sidt	AVMM_LEAVE_LINUX_IDTR(%rbx)
	mov	%cr3, %r12
	mov	%cr4, %r13
	mov	%rdx, %r14
	mov	%rcx, %rdi
	lgdt	AVMM_LEAVE_GDTR(%rbx)
	lea	AVMM_LEAVE_STACK(%rbx), %rsp
	lidt	AVMM_LEAVE_IDTR(%rbx)
	/* the monitor's code has no ENDBR: indirect branches are not tracked there */
	mov	%r13, %rax
	and	$~(AVMM_CR4_CET | AVMM_CR4_PGE), %rax
	mov	%rax, %cr4
	mov	%rsi, %cr3
	ANNOTATE_RETPOLINE_SAFE
	call	*%r14
	mov	%r12, %cr3
	mov	%r13, %cr4
	lidt	AVMM_LEAVE_LINUX_IDTR(%rbx)
	lgdt	AVMM_LEAVE_LINUX_GDTR(%rbx)
	mov	%rbp, %rsp
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	AVMM_RET
SYM_CODE_END(vmx_trampoline_call)

/* Handlers of the data page's IDT; the stack is in the same page. */
SYM_CODE_START(vmx_trampoline_nmi)
	AVMM_UNWIND_HINT
	ENDBR
	push	%rax
	mov	%rsp, %rax
	and	$-4096, %rax
	incl	AVMM_LEAVE_NMI(%rax)
	pop	%rax
	iretq
SYM_CODE_END(vmx_trampoline_nmi)

SYM_CODE_START(vmx_trampoline_mc)
	AVMM_UNWIND_HINT
	ENDBR
	push	%rax
	mov	%rsp, %rax
	and	$-4096, %rax
	incl	AVMM_LEAVE_MC(%rax)
	pop	%rax
	iretq
SYM_CODE_END(vmx_trampoline_mc)
