// SPDX-License-Identifier: GPL-2.0-only
/* VMX instructions, GETSEC, hypercalls and INVD from CPL 0. A CPU without VMX raises #UD for all but INVD. */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include <avmm/hypercall.h>

#include "probe.h"

#define UNKNOWN_HYPERCALL	0x4156fffful

static u64 operand_phys;		/* address of a page for the instructions that want one */
static u64 descriptor[2];		/* INVEPT, INVVPID */

/* VMX instructions fail by CF or ZF where they do not fault; that is unexpected anyway. */
#define VMX_INSN(name, insn, ...)					\
static int try_##name(unsigned long *rax)				\
{									\
	int trap;							\
									\
	TRY(trap, *rax, insn, ##__VA_ARGS__);				\
	return trap;							\
}

VMX_INSN(vmxon, "vmxon %[m]", [m] "m" (operand_phys))
VMX_INSN(vmxoff, "vmxoff", "i" (0))
VMX_INSN(vmclear, "vmclear %[m]", [m] "m" (operand_phys))
VMX_INSN(vmptrld, "vmptrld %[m]", [m] "m" (operand_phys))
VMX_INSN(vmptrst, "vmptrst %[m]", [m] "m" (descriptor[0]))
VMX_INSN(vmread, "vmread %[f], %%rax", [f] "r" (0x4400ul))
VMX_INSN(vmwrite, "vmwrite %[v], %[f]", [v] "r" (0ul), [f] "r" (0x681eul))
VMX_INSN(vmlaunch, "vmlaunch", "i" (0))
VMX_INSN(vmresume, "vmresume", "i" (0))
VMX_INSN(invept, "invept %[m], %[k]", [m] "m" (descriptor), [k] "r" (2ul))
VMX_INSN(invvpid, "invvpid %[m], %[k]", [m] "m" (descriptor), [k] "r" (2ul))
VMX_INSN(vmfunc, ".byte 0x0f, 0x01, 0xd4", "c" (0))
VMX_INSN(getsec, ".byte 0x0f, 0x37", "b" (0))
VMX_INSN(invd, "invd", "i" (0))

static const struct {
	const char *name;
	int (*run)(unsigned long *rax);
} insns[] = {
	{ "vmxon", try_vmxon },
	{ "vmxoff", try_vmxoff },
	{ "vmclear", try_vmclear },
	{ "vmptrld", try_vmptrld },
	{ "vmptrst", try_vmptrst },
	{ "vmread", try_vmread },
	{ "vmwrite", try_vmwrite },
	{ "vmlaunch", try_vmlaunch },
	{ "vmresume", try_vmresume },
	{ "invept", try_invept },
	{ "invvpid", try_invvpid },
	{ "vmfunc", try_vmfunc },
	{ "getsec", try_getsec },
};

static void run_insns(const char *when)
{
	unsigned long flags;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		unsigned long rax = 0;
		int trap;

		local_irq_save(flags);
		trap = insns[i].run(&rax);
		local_irq_restore(flags);
		say("insn %s%s trap %s", insns[i].name, when, trap_name(trap));
		if (trap != X86_TRAP_UD)
			bad("%s%s: %s instead of #UD, rax %lx", insns[i].name, when, trap_name(trap), rax);
	}
}

static int hypercall(unsigned long number, unsigned long *rax, bool *kept)
{
	unsigned long b = 0x1111, c = 0x2222, d = 0x3333, s = 0x4444, e = 0x5555;
	int trap;

	*rax = number;
	asm volatile("1:\tvmcall\n"
		     "\tmovl $-1, %[t]\n"
		     "\tjmp 3f\n"
		     "2:\tmovl %%eax, %[t]\n"
		     "3:\n"
		     _ASM_EXTABLE_FAULT(1b, 2b)
		     : [t] "=&r" (trap), "+&a" (*rax), "+&b" (b), "+&c" (c), "+&d" (d), "+&S" (s), "+&D" (e)
		     : : "memory", "cc");
	*kept = b == 0x1111 && c == 0x2222 && d == 0x3333 && s == 0x4444 && e == 0x5555;
	return trap;
}

static void run_hypercalls(void)
{
	static const unsigned long numbers[] = { AVMM_HC_VERSION, UNKNOWN_HYPERCALL, 0, 5, ~0ul };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		unsigned long rax;
		bool kept;
		int trap = hypercall(numbers[i], &rax, &kept);

		if (trap == NO_TRAP)
			say("vmcall %lx value %lx", numbers[i], rax);
		else
			say("vmcall %lx trap %s", numbers[i], trap_name(trap));
		if (!kept)
			bad("vmcall %lx changed registers", numbers[i]);
		if (under_avmm() && !i && (trap != NO_TRAP || rax != AVMM_ABI_VERSION))
			bad("vmcall: no ABI version %d", AVMM_ABI_VERSION);
		if (i && trap != X86_TRAP_UD && (trap != NO_TRAP || !under_avmm() || (long)rax >= 0))
			bad("vmcall %lx accepted", numbers[i]);
	}
}

/* With CR4.VMXE set, which the bare machine would really do. */
static void run_with_vmxe(void)
{
	unsigned long flags, cr4, set, rax = 0;
	int trap;

	local_irq_save(flags);
	cr4 = __read_cr4();
	TRY(trap, rax, "mov %[v], %%cr4", [v] "r" (cr4 | X86_CR4_VMXE));
	set = __read_cr4();
	local_irq_restore(flags);

	say("cr4.vmxe set: trap %s reads %d", trap_name(trap), !!(set & X86_CR4_VMXE));
	if (trap == NO_TRAP && !(set & X86_CR4_VMXE))
		bad("cr4.vmxe: accepted, but reads 0");
	run_insns(" with cr4.vmxe");

	local_irq_save(flags);
	TRY(trap, rax, "mov %[v], %%cr4", [v] "r" (cr4));
	set = __read_cr4();
	local_irq_restore(flags);
	if (trap != NO_TRAP || set != cr4)
		bad("cr4.vmxe: trap %s, cr4 %lx after restoring %lx", trap_name(trap), set, cr4);
}

int probe_vmx(void)
{
	unsigned long page;

	if (cpuid_shows_vmx() && (__read_cr4() & X86_CR4_VMXE)) {
		say("vmx is in use here");
		return -EBUSY;
	}
	page = get_zeroed_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	operand_phys = virt_to_phys((void *)page);

	migrate_disable();
	run_insns("");
	run_hypercalls();
	if (!cpuid_shows_vmx())
		run_with_vmxe();
	migrate_enable();
	free_page(page);
	return 0;
}

int probe_invd(void)
{
	unsigned long flags, rax = 0;
	int trap;

	local_irq_save(flags);
	trap = try_invd(&rax);
	local_irq_restore(flags);
	say("insn invd trap %s", trap_name(trap));
	if (trap != NO_TRAP)
		bad("invd: %s", trap_name(trap));
	return 0;
}
