/* SPDX-License-Identifier: GPL-2.0-only */
/* Where another vCPU begins: real mode at AP_BASE, to which smp.c copies this; then straight to 64-bit mode. */
#include "smp.h"

	.text
	.code16
	.globl	ap_start, ap_start_end
ap_start:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	AP_GDTR
	movl	AP_CR4, %eax
	movl	%eax, %cr4
	movl	AP_CR3, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	AP_CR0, %eax
	movl	%eax, %cr0
	ljmpl	$0x10, $ap_long
ap_start_end:

	.code64
ap_long:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	/* the local APIC's ID says which stack */
	movl	$0xfee00020, %eax
	movl	(%rax), %edi
	shrl	$24, %edi
	movl	%edi, %eax
	incl	%eax
	shll	$AP_STACK_SHIFT, %eax
	leaq	ap_stacks(%rax), %rsp
	call	ap_main
	ud2

	.section .note.GNU-stack, "", @progbits
