/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM exit and entry. Host RSP points behind gpr[] of the vCPU that runs, so the pushes save the registers where they
 * belong; the C code gets a stack of its own. Every instruction here is paid at each exit.
 */
#include <vmx/gprs.h>

#define VCPU_STACK	128
#define VCPU_LAUNCHED	160
#define CPU_CURRENT	8

	.text
	.globl vmx_exit_entry
	.type vmx_exit_entry, @function
vmx_exit_entry:
	push_gprs
	mov	%rsp, %rdi
	mov	VCPU_STACK(%rsp), %rsp
	call	vmx_exit
	mov	%gs:CPU_CURRENT, %rsp
	cmpb	$0, VCPU_LAUNCHED(%rsp)
	pop_gprs
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
