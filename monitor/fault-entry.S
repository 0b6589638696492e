/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions and NMIs in root operation. 32 stubs of 16 bytes each; vectors 2 and 18 have handlers of their own. */
#include <vmx/root/gprs.h>

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

	.macro root_event name, handler
	.globl \name
\name:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	mov	%gs:0, %rdi
	call	\handler
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq
	.endm

	root_event fault_nmi, vmx_root_nmi
	root_event fault_mc, vmx_root_mc

	.section .note.GNU-stack, "", @progbits
