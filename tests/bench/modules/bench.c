// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only the kernel can measure, in ticks of the time stamp counter. Measured when it is loaded, with interrupts
 * off, on the CPU that loads it; loading fails on purpose, so that it can be loaded again:
 *
 *	vmcall	a hypercall that does nothing but answer, where a monitor is below
 *	cpuid	the instruction
 *	nmi	from the write that sends an NMI to this CPU until the handler of ours has been through
 *	rdtsc	two readings in a row, which is contained in all the others
 */
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/nmi.h>
#include <asm/processor.h>
#include <avmm/hypercall.h>

#define ROUNDS		64
#define NMI_TRIES	1000000

static int nmis_wanted, nmis_seen;

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (nmis_seen == nmis_wanted)
		return NMI_DONE;
	nmis_seen++;
	return NMI_HANDLED;
}

static void do_nothing(void)
{
}

static void do_vmcall(void)
{
	u64 rax = AVMM_HC_VERSION;

	asm volatile("vmcall" : "+a"(rax) : "b"(0ul), "c"(0ul), "d"(0ul) : "memory", "cc");
}

static void do_cpuid(void)
{
	u32 a = 0, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void do_nmi(void)
{
	int tries = NMI_TRIES;

	nmis_wanted++;
	apic->send_IPI(raw_smp_processor_id(), NMI_VECTOR);
	while (READ_ONCE(nmis_seen) != nmis_wanted && --tries)
		cpu_relax();
	if (!tries)
		pr_info("avmm_bench: an NMI was lost\n");
}

static void measure(const char *name, void (*operation)(void))
{
	u64 least = U64_MAX, most = 0;
	unsigned long flags;
	int i;

	local_irq_save(flags);
	for (i = 0; i < ROUNDS; i++) {
		u64 start = rdtsc(), ticks;

		operation();
		ticks = rdtsc() - start;
		least = min(least, ticks);
		/* the first round fills caches, of the emulator too */
		most = i ? max(most, ticks) : 0;
	}
	local_irq_restore(flags);
	pr_info("avmm_bench: %s min %llu max %llu\n", name, least, most);
}

static bool above_monitor(void)
{
	return cpuid_ebx(AVMM_SIGNATURE_LEAF) == 0x4d4d5641;	/* "AVMM" */
}

static int __init bench_init(void)
{
	int err = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "avmm_bench");

	if (err)
		return err;
	measure("rdtsc", do_nothing);
	measure("cpuid", do_cpuid);
	if (above_monitor())
		measure("vmcall", do_vmcall);
	measure("nmi", do_nmi);
	unregister_nmi_handler(NMI_LOCAL, "avmm_bench");
	return -EAGAIN;
}

module_init(bench_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Costs that only the kernel can measure");
