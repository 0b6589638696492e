/* SPDX-License-Identifier: GPL-2.0-only */
/* For assembly: general registers to and from the stack, as gpr[16] in the encoding order; rsp's slot is a filler. */
#ifndef VMX_GPRS_H
#define VMX_GPRS_H

	.macro push_gprs
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rdi
	push	%rsi
	push	%rbp
	push	%rax			/* the slot of rsp */
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	.endm

	/* changes no flags */
	.macro pop_gprs
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rbx
	pop	%rbp			/* the slot of rsp */
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	.endm

#endif
