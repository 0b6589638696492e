/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kernel that only says when it was entered: "====" and the counter in 16 hexadecimal digits on the serial port, by the
 * 16-bit entry of the boot protocol, that firmware uses, and by the 64-bit entry, that the user partition's loader uses.
 * Padded to a real kernel's size it tells what came before that kernel, for the reading of the counter in its first process.
 */
#define UART		0x3f8
#define ADDRESS		0x1000000

	.macro	say		/* %ebx:%ebp */
	mov	$3, %al
	mov	$UART + 3, %dx
	out	%al, %dx		/* 8 bits */
	mov	$20, %ecx		/* four marks, then the digits */
1:	mov	$UART + 5, %dx
2:	in	%dx, %al
	test	$0x20, %al
	jz	2b
	mov	$'=', %al
	cmp	$16, %cl
	ja	3f
	mov	%ebx, %eax
	shr	$28, %eax
	shld	$4, %ebp, %ebx
	shl	$4, %ebp
	cmp	$10, %al
	jb	4f
	add	$'a' - '0' - 10, %al
4:	add	$'0', %al
3:	mov	$UART, %dx
	out	%al, %dx
	dec	%ecx
	jnz	1b
	.endm

	.section .setup, "ax"
	.code16
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
	.org	0x214
	.long	0x100000		/* code32_start */
	.org	0x22c
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	0, 21			/* not relocatable */
	.word	1			/* xloadflags: 64-bit entry */
	.long	2047			/* cmdline_size */
	.org	0x258
	.quad	ADDRESS			/* pref_address */
	.long	0x3000000		/* init_size */
	.org	0x268
	rdtsc
	mov	%edx, %ebx
	mov	%eax, %ebp
	say
5:	hlt
	jmp	5b
	.org	0x400

	.section .head, "ax"
	.code64
	.org	0x200			/* the 64-bit entry */
	.globl	start
start:
	rdtsc
	mov	%edx, %ebx
	mov	%eax, %ebp
	say
5:	hlt
	jmp	5b

	.section .note.GNU-stack, "", @progbits
