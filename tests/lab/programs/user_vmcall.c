// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMCALL and all other VMX instructions from CPL 3: each must raise SIGILL, as on a CPU without VMX. Then what CPUID
 * says about VMX and about hypervisors. -v: a line per instruction first. -x: another hypervisor than AVMM is known to
 * be under this machine, whose affair VMCALL is.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <avmm/hypercall.h>

#include "lab.h"

static sigjmp_buf back;
static u64 operand[2] __attribute__((aligned(16)));
static bool verbose, foreign;

#define INSN(name, insn, ...)								\
static void run_##name(void)								\
{											\
	__asm__ volatile(insn : : __VA_ARGS__ : "rax", "rdx", "memory", "cc");		\
}

INSN(vmcall, "mov %0, %%eax\n\tvmcall", "i" (AVMM_HC_VERSION))
INSN(vmcall_leave, "mov %0, %%eax\n\tvmcall", "i" (AVMM_HC_LEAVE))
INSN(vmcall_zero, "xor %%eax, %%eax\n\tvmcall", "b" (0))
INSN(vmcall_unknown, "mov $-1, %%rax\n\tvmcall", "b" (0))
INSN(vmxon, "vmxon %0", "m" (operand))
INSN(vmxoff, "vmxoff", "b" (0))
INSN(vmclear, "vmclear %0", "m" (operand))
INSN(vmptrld, "vmptrld %0", "m" (operand))
INSN(vmptrst, "vmptrst %0", "m" (operand))
INSN(vmread, "vmread %0, %%rax", "b" (0x681eul))
INSN(vmwrite, "vmwrite %0, %0", "b" (0x681eul))
INSN(vmlaunch, "vmlaunch", "b" (0))
INSN(vmresume, "vmresume", "b" (0))
INSN(invept, "invept %0, %1", "m" (operand), "b" (2ul))
INSN(invvpid, "invvpid %0, %1", "m" (operand), "b" (2ul))
INSN(vmfunc, "xor %%eax, %%eax\n\t.byte 0x0f, 0x01, 0xd4", "c" (0))
INSN(getsec, "xor %%eax, %%eax\n\t.byte 0x0f, 0x37", "b" (0))
INSN(vmmcall, ".byte 0x0f, 0x01, 0xd9", "b" (0))

static const struct {
	const char *name;
	void (*run)(void);
	int signal;		/* 0: the one by which another vendor's instruction ends is only shown */
} insns[] = {
	{ "vmcall", run_vmcall, SIGILL },
	{ "vmcall-leave", run_vmcall_leave, SIGILL },
	{ "vmcall-0", run_vmcall_zero, SIGILL },
	{ "vmcall-unknown", run_vmcall_unknown, SIGILL },
	{ "vmxon", run_vmxon, SIGILL },
	{ "vmxoff", run_vmxoff, SIGILL },
	{ "vmclear", run_vmclear, SIGILL },
	{ "vmptrld", run_vmptrld, SIGILL },
	{ "vmptrst", run_vmptrst, SIGILL },
	{ "vmread", run_vmread, SIGILL },
	{ "vmwrite", run_vmwrite, SIGILL },
	{ "vmlaunch", run_vmlaunch, SIGILL },
	{ "vmresume", run_vmresume, SIGILL },
	{ "invept", run_invept, SIGILL },
	{ "invvpid", run_invvpid, SIGILL },
	{ "vmfunc", run_vmfunc, SIGILL },
	{ "getsec", run_getsec, SIGILL },
	{ "vmmcall", run_vmmcall, 0 },
};

static void on_fault(int signal)
{
	siglongjmp(back, signal);
}

static int run(void (*insn)(void))
{
	int signal = sigsetjmp(back, 1);

	if (!signal)
		insn();
	return signal;
}

static void option(int letter, const char *value)
{
	(void)value;
	if (letter == 'v')
		verbose = true;
	else
		foreign = true;
}

int main(int argc, char **argv)
{
	static const int caught[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	char signature[13] = "", wrong[256] = "";
	u32 features[4], leaf[4];
	size_t i;

	lab_start(argc, argv, "vx", option, "[-v] [-x]");
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaction(caught[i], &action, NULL);
	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		int signal = run(insns[i].run);

		if (verbose)
			printf("%s %s\n", insns[i].name, signal ? sigabbrev_np(signal) : "none");
		if (insns[i].signal && signal != insns[i].signal && !(foreign && !strncmp(insns[i].name, "vmcall", 6)))
			snprintf(wrong + strlen(wrong), sizeof(wrong) - strlen(wrong), " %s %s", insns[i].name,
				 signal ? sigabbrev_np(signal) : "none");
	}
	lab_cpuid(1, 0, features);
	lab_cpuid(AVMM_SIGNATURE_LEAF, 0, leaf);
	memcpy(signature, &leaf[1], 12);
	for (i = 0; i < 12; i++)
		if (signature[i] < ' ' || signature[i] > '~')
			signature[i] = '.';
	if (*wrong)
		lab_fail("not SIGILL:%s", wrong);
	lab_ok("vmx %u hypervisor %u signature %s", features[2] >> 5 & 1, features[2] >> 31, signature);
}
