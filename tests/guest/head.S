/* SPDX-License-Identifier: GPL-2.0-only */
/* The header that the loader reads, the entry, and the ways into and out of exceptions. */

	.section .header, "a"
	/* Linux, Documentation/arch/x86/boot.rst */
	.org	0x1f1
	.byte	1				# setup_sects
	.word	0				# root_flags
	.long	image_paragraphs	# syssize
	.word	0, 0, 0
	.word	0xaa55				# boot_flag
	.byte	0xeb, header_end - 1f		# jump
1:	.ascii	"HdrS"
	.word	0x20f				# version
	.long	0
	.word	0, 0
	.byte	0, 1				# type_of_loader, loadflags: LOADED_HIGH
	.word	0
	.long	image_base			# code32_start
	.long	0, 0, 0
	.word	0
	.byte	0, 0
	.long	0
	.long	0x7fffffff			# initrd_addr_max
	.long	0x1000				# kernel_alignment
	.byte	0, 12				# relocatable_kernel, min_alignment
	.word	1				# xloadflags: XLF_KERNEL_64
	.long	0xfff				# cmdline_size
	.long	0
	.quad	0
	.long	0, 0
	.quad	0
	.quad	image_base			# pref_address
	.long	image_room			# init_size
	.long	0
header_end:
	.org	0x400

	.section .head, "ax"
	.code64
	.org	0x200
	.globl	entry64
entry64:
	cli
	cld
	movl	$stack_top, %esp
	movl	$image_end, %edi
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	movq	%rsi, %rdi
	call	guest_main
	ud2

	.text

/*
 * Every stub leaves vector and error code on the stack. Exceptions whose stack is the memory that a case has chosen go
 * to stubs of the case's own.
 */
	.globl	trap_stubs
	.balign	16
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

/* int attempt(void (*f)(u64, u64), u64 a, u64 b) */
	.globl	attempt, attempt_faulted
attempt:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	recovery
	movq	%rsp, recovery
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	call	*%rax
	movl	$-1, %eax
attempt_faulted:
	popq	recovery
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	cld
	ret

/* void call_with(u64 registers, u64 code) */
	.globl	call_with
call_with:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi
	pushq	%rsi
	movq	0(%rdi), %rax
	movq	8(%rdi), %rbx
	movq	16(%rdi), %rcx
	movq	24(%rdi), %rdx
	movq	32(%rdi), %rsi
	movq	48(%rdi), %rbp
	movq	56(%rdi), %r8
	movq	64(%rdi), %r9
	movq	72(%rdi), %r10
	movq	80(%rdi), %r11
	movq	88(%rdi), %r12
	movq	96(%rdi), %r13
	movq	104(%rdi), %r14
	movq	112(%rdi), %r15
	movq	40(%rdi), %rdi
	call	*(%rsp)
	pushq	%rdi
	movq	16(%rsp), %rdi
	movq	%rax, 0(%rdi)
	movq	%rbx, 8(%rdi)
	movq	%rcx, 16(%rdi)
	movq	%rdx, 24(%rdi)
	movq	%rsi, 32(%rdi)
	popq	40(%rdi)
	movq	%rbp, 48(%rdi)
	movq	%r8, 56(%rdi)
	movq	%r9, 64(%rdi)
	movq	%r10, 72(%rdi)
	movq	%r11, 80(%rdi)
	movq	%r12, 88(%rdi)
	movq	%r13, 96(%rdi)
	movq	%r14, 104(%rdi)
	movq	%r15, 112(%rdi)
	addq	$16, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.bss
	.balign	16
	.space	65536
stack_top:

	.section .note.GNU-stack, "", @progbits
