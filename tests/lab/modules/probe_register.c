// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs, control registers and XCRs: illegal values must raise #GP as on the bare machine, legal ones must take
 * effect, and each is restored at once.
 */
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include "probe.h"

#define ALWAYS		1	/* bit of msr_case.fault: must fault everywhere */
#define MONITORED	2	/* under AVMM */

static const struct {
	const char *name;
	u32 first, last;
	int read_faults, write_faults;		/* 0: no expectation, and no write */
} msr_cases[] = {
	{ "vmx",		0x480, 0x491, MONITORED, ALWAYS },
	{ "vmx-next",		0x492, 0x493, 0, 0 },
	{ "feature-control",	0x3a, 0x3a, 0, MONITORED },
	{ "between",		0x2000, 0x2000, MONITORED, MONITORED },
	{ "hypervisor",		0x40000000, 0x40000001, MONITORED, MONITORED },
	{ "below-high",		0xbfffffff, 0xbfffffff, MONITORED, MONITORED },
	{ "above-high",		0xc0002000, 0xc0002000, MONITORED, MONITORED },
	{ "svm",		0xc0010114, 0xc0010114, MONITORED, MONITORED },
	{ "last",		0xffffffff, 0xffffffff, MONITORED, MONITORED },
};

static bool must_fault(int expected)
{
	return expected == ALWAYS || (expected == MONITORED && under_avmm());
}

static void probe_one_msr(const char *name, u32 msr, int read_faults, int write_faults)
{
	u64 value = 0;
	int read = rdmsrl_safe(msr, &value), write = 0;

	if (read)
		say("msr %x %s read #GP", msr, name);
	else
		say("msr %x %s read %llx", msr, name, value);
	if (!read && must_fault(read_faults))
		bad("msr %x %s can be read", msr, name);
	if (!must_fault(write_faults))
		return;
	write = wrmsrl_safe(msr, value);
	say("msr %x %s write %s", msr, name, write ? "#GP" : "accepted");
	if (!write)
		bad("msr %x %s can be written", msr, name);
}

int probe_msr(void)
{
	size_t i;
	u32 msr;

	migrate_disable();
	for (i = 0; i < ARRAY_SIZE(msr_cases); i++)
		for (msr = msr_cases[i].first; msr >= msr_cases[i].first && msr <= msr_cases[i].last; msr++)
			probe_one_msr(msr_cases[i].name, msr, msr_cases[i].read_faults, msr_cases[i].write_faults);
	migrate_enable();
	return 0;
}

/* Writes CR number and reads it back; the old value is restored. */
static int try_cr(int number, unsigned long set, unsigned long clear, unsigned long *old, unsigned long *now)
{
	unsigned long flags, value, rax = 0;
	int trap = NO_TRAP, back = NO_TRAP;

#define TRY_CR(cr)								\
	case cr:								\
		asm volatile("mov %%cr" #cr ", %0" : "=r" (*old));		\
		value = (*old | set) & ~clear;					\
		TRY(trap, rax, "mov %[v], %%cr" #cr, [v] "r" (value));		\
		asm volatile("mov %%cr" #cr ", %0" : "=r" (*now));		\
		if (*now != *old)						\
			TRY(back, rax, "mov %[v], %%cr" #cr, [v] "r" (*old));	\
		break;

	local_irq_save(flags);
	switch (number) {
	TRY_CR(0)
	TRY_CR(3)
	TRY_CR(4)
	TRY_CR(8)
	}
	local_irq_restore(flags);
	if (back != NO_TRAP)
		bad("cr%d: %s on restoring %lx", number, trap_name(back), *old);
	return trap;
}

static void cr_must_fault(int number, const char *what, unsigned long set, unsigned long clear)
{
	unsigned long old, now;
	int trap = try_cr(number, set, clear, &old, &now);

	say("cr%d %s trap %s", number, what, trap_name(trap));
	if (trap != X86_TRAP_GP || now != old)
		bad("cr%d %s: %s, %lx became %lx", number, what, trap_name(trap), old, now);
}

static void cr_must_change(int number, const char *what, unsigned long set, unsigned long clear)
{
	unsigned long old, now, want;
	int trap = try_cr(number, set, clear, &old, &now);

	want = (old | set) & ~clear;
	say("cr%d %s trap %s reads %lx", number, what, trap_name(trap), now);
	if (trap != NO_TRAP || now != want)
		bad("cr%d %s: %s, reads %lx instead of %lx", number, what, trap_name(trap), now, want);
}

/* LMSW can set PE, MP, EM, TS and clear all but PE. */
static void probe_lmsw(void)
{
	unsigned long flags, old, set, cleared, rax = 0;
	int trap;

	local_irq_save(flags);
	old = read_cr0();
	TRY(trap, rax, "lmsw %w[v]", [v] "r" ((old | X86_CR0_TS) & 0xe));
	set = read_cr0();
	asm volatile("clts");
	cleared = read_cr0();
	local_irq_restore(flags);
	say("lmsw trap %s cr0 %lx, clts %lx", trap_name(trap), set, cleared);
	if (trap != NO_TRAP || set != (old | X86_CR0_TS) || cleared != (old & ~X86_CR0_TS))
		bad("lmsw, clts: %s, cr0 %lx became %lx, then %lx", trap_name(trap), old, set, cleared);
}

int probe_cr(void)
{
	bool la57 = __read_cr4() & X86_CR4_LA57;

	migrate_disable();
	cr_must_fault(0, "bit 32", BIT(32), 0);
	cr_must_fault(0, "bit 63", BIT(63), 0);
	cr_must_fault(0, "without PG", 0, X86_CR0_PG);
	cr_must_fault(0, "without PE", 0, X86_CR0_PE);
	cr_must_fault(0, "without PE, PG", 0, X86_CR0_PE | X86_CR0_PG);
	cr_must_fault(0, "NW without CD", X86_CR0_NW, X86_CR0_CD);
	cr_must_change(0, "TS", X86_CR0_TS, 0);
	if (__read_cr4() & X86_CR4_CET)
		cr_must_fault(0, "without WP, with CET", 0, X86_CR0_WP);
	else
		cr_must_change(0, "without WP", 0, X86_CR0_WP);
	cr_must_change(0, "without NE", 0, X86_CR0_NE);
	if (read_cr0() & X86_CR0_CD)
		bad("cr0: CD is set");
	cr_must_change(0, "CD", X86_CR0_CD, 0);
	cr_must_change(0, "CD without NE", X86_CR0_CD, X86_CR0_NE);
	probe_lmsw();
	cr_must_fault(3, "bit 59", BIT(59), 0);
	cr_must_change(3, "reloaded", 0, 0);
	cr_must_fault(4, "bit 15", BIT(15), 0);
	cr_must_fault(4, "bit 30", BIT(30), 0);
	cr_must_fault(4, "bit 63", BIT(63), 0);
	cr_must_fault(4, "without PAE", 0, X86_CR4_PAE);
	cr_must_fault(4, "LA57 switched", la57 ? 0 : X86_CR4_LA57, la57 ? X86_CR4_LA57 : 0);
	cr_must_change(4, "TSD", X86_CR4_TSD, 0);
	cr_must_change(4, "without PGE", 0, X86_CR4_PGE);
	cr_must_fault(8, "16", 16, 0);
	migrate_enable();
	return 0;
}

static int xsetbv_trap(u32 index, u64 value)
{
	unsigned long rax = (u32)value;
	int trap;

	TRY(trap, rax, "xsetbv", "c" (index), "d" ((u32)(value >> 32)));
	return trap;
}

static int xgetbv_trap(u32 index)
{
	unsigned long rax = 0, rdx = 0;
	int trap;

	asm volatile("1:\txgetbv\n"
		     "\tmovl $-1, %[t]\n"
		     "\tjmp 3f\n"
		     "2:\tmovl %%eax, %[t]\n"
		     "3:\n"
		     _ASM_EXTABLE_FAULT(1b, 2b)
		     : [t] "=&r" (trap), "+&a" (rax), "+&d" (rdx) : "c" (index));
	return trap;
}

static u64 read_xcr0(void)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return (u64)high << 32 | low;
}

static void xcr_must_fault(const char *what, u32 index, u64 value)
{
	unsigned long flags;
	u64 old, now;
	int trap;

	local_irq_save(flags);
	old = read_xcr0();
	trap = xsetbv_trap(index, value);
	now = read_xcr0();
	if (now != old)
		xsetbv_trap(0, old);
	local_irq_restore(flags);
	say("xcr%u %s (%llx) trap %s", index, what, value, trap_name(trap));
	if (trap != X86_TRAP_GP || now != old)
		bad("xcr%u %s: %s, xcr0 %llx became %llx", index, what, trap_name(trap), old, now);
}

/* CPUID's size of the XSAVE area follows XCR0. */
static void xcr_must_change(u64 value, u32 want_size)
{
	u64 old, now;
	unsigned long flags;
	u32 eax, size, ecx, edx, old_size;
	int trap, back;

	local_irq_save(flags);
	old = read_xcr0();
	cpuid_count(0xd, 0, &eax, &old_size, &ecx, &edx);
	trap = xsetbv_trap(0, value);
	now = read_xcr0();
	cpuid_count(0xd, 0, &eax, &size, &ecx, &edx);
	back = xsetbv_trap(0, old);
	local_irq_restore(flags);
	say("xcr0 %llx trap %s size %u", value, trap_name(trap), size);
	if (trap != NO_TRAP || back != NO_TRAP || now != value || size != (want_size ?: old_size))
		bad("xcr0 %llx: %s, back %s, reads %llx, size %u", value, trap_name(trap), trap_name(back), now, size);
}

int probe_xcr(void)
{
	u64 xcr0;
	int trap;

	if (!(__read_cr4() & X86_CR4_OSXSAVE)) {
		say("xcr: no XSAVE here");
		return 0;
	}
	migrate_disable();
	xcr0 = read_xcr0();
	xcr_must_change(xcr0, 0);
	xcr_must_change(1, 576);
	xcr_must_change(3, 576);
	xcr_must_fault("nothing", 0, 0);
	xcr_must_fault("without x87", 0, xcr0 & ~1ull);
	xcr_must_fault("AVX without SSE", 0, 5);
	xcr_must_fault("bit 62", 0, xcr0 | BIT_ULL(62));
	xcr_must_fault("bit 63", 0, xcr0 | BIT_ULL(63));
	xcr_must_fault("part of AVX-512", 0, 0x27);
	xcr_must_fault("no register", 1, xcr0);
	xcr_must_fault("no register", 0xffffffff, xcr0);
	trap = xgetbv_trap(2);
	say("xgetbv 2 trap %s", trap_name(trap));
	if (trap != X86_TRAP_GP)
		bad("xgetbv 2: %s", trap_name(trap));
	migrate_enable();
	return 0;
}
