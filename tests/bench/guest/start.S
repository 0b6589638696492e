/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Head of a bzImage for the 64-bit boot protocol (Documentation/arch/x86/boot.rst), its start, and the interrupt
 * handler. The handler reads the counter before anything else.
 */
#define ADDRESS		0x1000000
#define APIC_EOI	0xfee000b0
#define MSR_X2APIC_EOI	0x80b

	.section .setup, "a"
	.org	0x1f1
	.byte	1			/* setup_sects */
	.org	0x1f4
	.long	image_paragraphs	/* syssize */
	.org	0x1fe
	.word	0xaa55
	.byte	0xeb, 0x66		/* the header ends at 268h */
	.ascii	"HdrS"
	.word	0x020f			/* version */
	.org	0x211
	.byte	1			/* loadflags: loaded high */
	.org	0x22c
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	0, 21			/* not relocatable */
	.word	1			/* xloadflags: 64-bit entry */
	.long	255			/* cmdline_size */
	.org	0x258
	.quad	ADDRESS			/* pref_address */
	.long	0x400000		/* init_size */
	.org	0x400

	.section .head, "ax"
	.org	0x200			/* the 64-bit entry */
	.globl start
start:
	lea	stack_top(%rip), %rsp
	mov	%cr4, %rax
	or	$0x600, %rax		/* OSFXSR, OSXMMEXCPT: nothing here uses it, but guests do */
	mov	%rax, %cr4
	call	main
1:	hlt
	jmp	1b

	.text
	.globl on_interrupt, on_exception
on_interrupt:
	push	%rax
	push	%rdx
	rdtsc
	mov	%eax, interrupt_tsc(%rip)
	mov	%edx, interrupt_tsc+4(%rip)
	push	%rcx
	incq	interrupts(%rip)
	cmpb	$0, use_x2apic(%rip)
	jne	1f
	mov	$APIC_EOI, %eax
	movl	$0, (%rax)
	jmp	2f
1:	xor	%eax, %eax
	xor	%edx, %edx
	mov	$MSR_X2APIC_EOI, %ecx
	wrmsr
2:	pop	%rcx
	pop	%rdx
	pop	%rax
	iretq

on_exception:
	mov	(%rsp), %rdi
	mov	8(%rsp), %rsi
	call	exception
1:	hlt
	jmp	1b

	.bss
	.balign 16
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
