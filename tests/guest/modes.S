/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything below 64-bit mode. This is copied to LOW_BASE, within reach of real mode. low_enter() leaves 64-bit mode for
 * 32-bit code without paging, calls a routine there, and comes back with its EAX, or with 100h + vector if it faulted.
 * A routine may come back from any 32-bit state.
 */
#define LOW_BASE	0x20000
#define LOW(label)	(LOW_BASE + (label) - low_image)
#define LOW_STACK	(LOW_BASE + 0xf000)
#define REAL_STACK	0xe000
#define SEL_CODE	0x10
#define SEL_DATA	0x18
#define SEL_CODE32	0x30
#define SEL_CODE16	0x38
#define SEL_DATA16	0x40
#define SEL_USER_DATA	0x4b
#define SEL_TSS32	0x58
#define SEL_TSS32_OTHER	0x60
#define SEL_USER_CODE32	0x6b
#define MSR_EFER	0xc0000080
#define HOLE		0xd0000000
#define LAPIC		0xfee00000
#define HPET		0xfed00000
#define NOBODY		0x5000

	.section .low, "awx"
	.globl	low_image
low_image:
	.code64
/* u32 low_enter(u32 routine), all addresses in the copy */
	.globl	low_enter
low_enter:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, LOW(saved_rsp)
	movq	%cr0, %rax
	movq	%rax, LOW(saved_cr0)
	movq	%cr3, %rax
	movq	%rax, LOW(saved_cr3)
	movq	%cr4, %rax
	movq	%rax, LOW(saved_cr4)
	pushq	$SEL_CODE32
	pushq	$LOW(enter32)
	lretq

	.code32
enter32:
	movl	$SEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$LOW_STACK, %esp
	call	paging_off
	lidt	LOW(idt32_register)
	/* legacy: no PCIDE, no bits that want long mode */
	movl	$0x600, %eax
	movl	%eax, %cr4
	call	*%edi
	jmp	low_back

paging_off:
	movl	%cr0, %ecx
	andl	$0x7fffffff, %ecx
	movl	%ecx, %cr0
	movl	$MSR_EFER, %ecx
	rdmsr
	andl	$~0x100, %eax
	wrmsr
	ret

/* A stub for each of the first 32 vectors; the frame is of no interest. */
	.balign	16
	.globl	low_stubs
low_stubs:
	vector = 0
	.rept	32
	.balign	16
	movl	$0x100 + vector, %eax
	jmp	low_faulted
	vector = vector + 1
	.endr
low_faulted:
	movl	$SEL_DATA, %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	movl	%ecx, %ss
	movl	$LOW_STACK, %esp

low_back:
	pushl	%eax
	call	paging_off
	movl	LOW(saved_cr4), %eax
	movl	%eax, %cr4
	movl	LOW(saved_cr3), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	popl	%eax
	movl	LOW(saved_cr0), %ecx
	movl	%ecx, %cr0
	ljmp	$SEL_CODE, $LOW(enter64)

	.code64
enter64:
	movq	LOW(saved_rsp), %rsp
	movl	%eax, %eax
	cld
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/* u32 compatibility(void): 32-bit code under the tables of 64-bit mode */
	.globl	compatibility
compatibility:
	pushq	%rbx
	movq	%rsp, LOW(saved_rsp)
	pushq	$SEL_CODE32
	pushq	$LOW(compat32)
	lretq
	.code32
compat32:
	call	instructions32
	ljmp	$SEL_CODE, $LOW(compat64)
	.code64
compat64:
	movq	LOW(saved_rsp), %rsp
	popq	%rbx
	movl	%eax, %eax
	ret

	.code32
/* Instructions that exit, and what is to come of them. EAX: 0, or the number of the one that is wrong. */
instructions32:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	xorl	%eax, %eax
	cpuid
	testl	%eax, %eax
	movl	$1, %eax
	jz	1f
	movw	$NOBODY, %dx
	inl	%dx, %eax
	cmpl	$-1, %eax
	movl	$2, %eax
	jne	1f
	/* INS and OUTS, addresses of 32 and of 16 bits */
	movl	$LOW(buffer), %edi
	movl	$4, %ecx
	movw	$NOBODY, %dx
	rep insl
	cmpl	$LOW(buffer) + 16, %edi
	movl	$3, %eax
	jne	1f
	cmpl	$-1, LOW(buffer) + 12
	movl	$4, %eax
	jne	1f
	movl	$LOW(buffer), %esi
	movl	$16, %ecx
	rep outsb
	cmpl	$LOW(buffer) + 16, %esi
	movl	$5, %eax
	jne	1f
	pushl	%es
	movl	$SEL_DATA16, %eax
	movl	%eax, %es
	movl	$0xabcd0000 + buffer - low_image, %edi
	movl	$0x12340003, %ecx
	addr16 rep insw
	popl	%es
	cmpl	$0xabcd0000 + buffer - low_image + 6, %edi
	movl	$6, %eax
	jne	1f
	cmpl	$0x12340000, %ecx
	movl	$7, %eax
	jne	1f
	/* MMIO: what the decoder knows, and what it does not */
	movl	LAPIC + 0x30, %ecx
	andl	$0xf0, %ecx
	cmpl	$0x10, %ecx
	movl	$8, %eax
	jne	1f
	movl	$0x20, LAPIC + 0x80
	cmpl	$0x20, LAPIC + 0x80
	movl	$9, %eax
	jne	1f
	movl	$0, LAPIC + 0x80
	fildll	HOLE
	fistpll	LOW(buffer)
	cmpl	$-1, LOW(buffer) + 4
	movl	$10, %eax
	jne	1f
	movl	$MSR_EFER, %ecx
	rdmsr
	xorl	%eax, %eax
1:	popl	%edi
	popl	%esi
	popl	%ebx
	ret

/* The routines that mode.c names. */
	.globl	low_plain, low_pae, low_pae_ne, low_pae_cr3, low_legacy, low_16, low_real, low_v86, low_task, low_task_gate
	.globl	low_into, low_endless_ac
low_plain:
	jmp	instructions32

paging_on_pae:
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	LOW(low_cr3), %eax
	movl	%eax, %cr3
	ret

low_pae:
	call	paging_on_pae
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	jmp	instructions32

/* CR0.NE changes in the same write: it is one that exits. */
low_pae_ne:
	call	paging_on_pae
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	andl	$~0x20, %eax
	movl	%eax, %cr0
	jmp	instructions32

/* Under PAE paging CR3 goes elsewhere: the entries there have reserved bits, or none. */
low_pae_cr3:
	call	low_pae
	testl	%eax, %eax
	jnz	1f
	movl	LOW(low_cr3_bad), %eax
	movl	%eax, %cr3
	movl	$20, %eax
1:	ret

low_legacy:
	movl	%cr4, %eax
	orl	$0x10, %eax
	movl	%eax, %cr4
	movl	LOW(low_cr3), %eax
	movl	%eax, %cr3
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	jmp	instructions32

low_16:
	ljmp	$SEL_CODE16, $in16 - low_image
	.code16
in16:
	movw	$SEL_DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	call	instructions16
	ljmpl	$SEL_CODE32, $LOW(from16)
	.code32
from16:
	movl	$SEL_DATA, %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	ret

	.code16
/* The same in 16-bit code with DS and ES at LOW_BASE, also in real mode. */
instructions16:
	xorl	%eax, %eax
	cpuid
	testl	%eax, %eax
	movl	$1, %eax
	jz	1f
	movw	$NOBODY, %dx
	inw	%dx, %ax
	cmpw	$-1, %ax
	movl	$2, %eax
	jne	1f
	movw	$buffer - low_image, %di
	movw	$4, %cx
	movw	$NOBODY, %dx
	rep insw
	cmpw	$buffer - low_image + 8, %di
	movl	$3, %eax
	jne	1f
	cmpw	$-1, buffer - low_image + 6
	movl	$4, %eax
	jne	1f
	movw	$buffer - low_image, %si
	movw	$8, %cx
	rep outsb
	cmpw	$buffer - low_image + 8, %si
	movl	$5, %eax
	jne	1f
	movl	$MSR_EFER, %ecx
	rdmsr
	xorl	%eax, %eax
1:	ret

	.code32
low_real:
	ljmp	$SEL_CODE16, $1f - low_image
	.code16
1:	movw	$SEL_DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$REAL_STACK, %esp
	movl	%cr0, %eax
	andl	$~1, %eax
	movl	%eax, %cr0
	ljmp	$LOW_BASE >> 4, $1f - low_image
1:	movw	$LOW_BASE >> 4, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	lidt	ivt_register - low_image
	call	instructions16
	testl	%eax, %eax
	jnz	real_back
	/* INT through the vector table; it puts 21 into EAX */
	int	$0x80
	cmpl	$21, %eax
	movl	$11, %eax
	jne	real_back
	/* a fault comes back by real_fault */
	movl	$12, %eax
	ud2
	.globl	real_int80, real_fault
real_int80:
	movl	$21, %eax
	iretw
real_fault:
	xorl	%eax, %eax
real_back:
	movw	$LOW_BASE >> 4, %bx
	movw	%bx, %ss
	movl	$REAL_STACK, %esp
	movl	%cr0, %ecx
	orl	$1, %ecx
	movl	%ecx, %cr0
	ljmpl	$SEL_CODE32, $LOW(real_done)
	.code32
real_done:
	movl	$SEL_DATA, %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	movl	%ecx, %ss
	movl	$LOW_STACK, %esp
	lidt	LOW(idt32_register)
	jmp	low_back

/* Virtual-8086 mode: CPUID exits there; HLT, IN and INT n are #GP with IOPL 0. */
low_v86:
	movl	$SEL_TSS32, %eax
	ltr	%ax
	pushl	$LOW_BASE >> 4			# GS
	pushl	$LOW_BASE >> 4
	pushl	$LOW_BASE >> 4
	pushl	$LOW_BASE >> 4
	pushl	$LOW_BASE >> 4			# SS
	pushl	$REAL_STACK
	pushl	$0x20002			# VM
	pushl	$LOW_BASE >> 4
	pushl	$in_v86 - low_image
	iretl
	.code16
in_v86:
	xorl	%eax, %eax
	cpuid
	hlt
	ud2
	.code32

low_task:
	movl	$SEL_TSS32, %eax
	ltr	%ax
	ljmp	$SEL_TSS32_OTHER, $0
	movl	$1, %eax
	ret

/* A task gate for #UD. */
low_task_gate:
	movl	$SEL_TSS32, %eax
	ltr	%ax
	ud2
	movl	$1, %eax
	ret

/* INTO, with a stack where nobody is; HOLE: what is pushed goes nowhere. */
low_into:
	movl	$HOLE + 0x800, %esp
	movb	$0x7f, %al
	addb	$1, %al
	into
	movl	$1, %eax
	movl	$LOW_STACK, %esp
	jmp	low_back

/* #AC whose handler runs in CPL 3 too, on a stack that is not aligned: its delivery is #AC, and so on. */
low_endless_ac:
	movl	%cr0, %eax
	orl	$0x40000, %eax
	movl	%eax, %cr0
	pushl	$SEL_USER_DATA
	pushl	$LOW_STACK - 0x801
	pushl	$0x40002			# AC
	pushl	$SEL_USER_CODE32
	pushl	$LOW(1f)
	iretl
1:	pushl	%eax
	jmp	1b

	.balign	16
	.globl	idt32_register, ivt_register, low_cr3, low_cr3_bad
saved_rsp:
	.quad	0
saved_cr0:
	.quad	0
saved_cr3:
	.quad	0
saved_cr4:
	.quad	0
idt32_register:
	.word	256 * 8 - 1
	.long	0				# mode.c
ivt_register:
	.word	0x3ff
	.long	0
low_cr3:
	.long	0
low_cr3_bad:
	.long	0
	.balign	16
buffer:
	.space	64

	.section .note.GNU-stack, "", @progbits
