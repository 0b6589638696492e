/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions and NMIs in root operation. 32 stubs of 16 bytes each; vectors 2 and 18 have handlers of their own. */
#include <vmx/gprs.h>

	.text
	.globl fault_stubs
	.balign 16
fault_stubs:
	.set vector, 0
	.rept 32
	.balign 16
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector >= 29
	/* the CPU has pushed an error code */
	.else
	push	$0
	.endif
	push	$vector
	jmp	fault_common
	.set vector, vector + 1
	.endr

fault_common:
	push_gprs
	mov	%rsp, %rdi
	call	fault_handle
	pop_gprs
	add	$16, %rsp
	iretq

	.macro push_scratch
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	.endm

	.macro pop_scratch
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	.endm

	.globl fault_nmi
fault_nmi:
	push_scratch
	mov	%gs:0, %rdi
	call	vmx_root_nmi
	pop_scratch
	iretq

/*
 * IRET unblocks NMIs. That must not happen while the NMI handler runs, since the next NMI would start at the top of the
 * same stack: back to that handler it goes by POPF and RET, on its stack, below which nothing is kept.
 */
#define SCRATCH		72		/* bytes of push_scratch; above them: rip, cs, rflags, rsp, ss */
	.globl fault_mc
fault_mc:
	push_scratch
	mov	%gs:0, %rdi
	call	vmx_root_mc
	mov	%gs:0, %rdi
	mov	SCRATCH + 24(%rsp), %rsi
	call	fault_on_nmi_stack
	test	%al, %al
	jz	1f
	mov	SCRATCH + 24(%rsp), %rax
	mov	SCRATCH(%rsp), %rcx
	mov	SCRATCH + 16(%rsp), %rdx
	sub	$16, %rax
	mov	%rdx, (%rax)
	mov	%rcx, 8(%rax)
	mov	%rax, SCRATCH(%rsp)
	pop_scratch
	mov	(%rsp), %rsp
	popf
	ret
1:	pop_scratch
	iretq

	.section .note.GNU-stack, "", @progbits
