/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM exit and entry. Host RSP points behind gpr[] of the vCPU that runs, so the pushes save the registers where they
 * belong; the C code gets a stack of its own. Every instruction here is paid at each exit.
 */
#define VCPU_STACK	128
#define VCPU_LAUNCHED	160
#define CPU_CURRENT	8

	.text
	.globl vmx_exit_entry
	.type vmx_exit_entry, @function
vmx_exit_entry:
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
	push	%rax			/* the slot of rsp, which the VMCS holds */
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	mov	%rsp, %rdi
	mov	VCPU_STACK(%rsp), %rsp
	call	vmx_exit
	mov	%gs:CPU_CURRENT, %rsp
	cmpb	$0, VCPU_LAUNCHED(%rsp)
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
	/* none of the pops has changed the flags */
	je	1f
	vmresume
	jmp	2f
1:	vmlaunch
2:
	/* VMfail: the entry did not happen, the registers are the guest's and lost with the report that follows */
	mov	%gs:0, %rdi
	mov	vmx_entry_stack_offset(%rip), %rax
	mov	(%rdi, %rax), %rsp
	call	vmx_entry_failed
	ud2
	.size vmx_exit_entry, . - vmx_exit_entry

	.section .note.GNU-stack, "", @progbits
