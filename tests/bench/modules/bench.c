// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only the kernel can measure, in ticks of the time stamp counter. Measured when it is loaded, with interrupts
 * off, on the CPU that loads it; loading fails on purpose, so that it can be loaded again:
 *
 *	vmcall	a hypercall that does nothing but answer, where a monitor is below
 *	cpuid	the instruction
 *	nmi	from the write that sends an NMI to this CPU until the handler of ours has been through
 *	rdtsc	two readings in a row, which is contained in all the others
 *	in	port 80h, which nobody drives
 *	cr8wr	0 to CR8
 *	ptemod	a page table entry of the kernel written, and its translation dropped by INVLPG
 *	port	the ACPI timer
 *	hpet	the HPET's counter
 *	timer	the local APIC's timer is set again to what it is set to
 *
 * And of another kind, from the time for which a timer is set until its handler, interrupts on, median of ROUNDS:
 *
 *	timer-busy	while this CPU waits in a loop
 *	timer-idle	while the one who waits sleeps, and whoever else wants the CPU has it
 *
 * With only=NAME repeat=N it does N operations of one of the first kind instead, for those who count exits.
 */
#include <linux/acpi.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/nmi.h>
#include <asm/pgtable.h>
#include <asm/processor.h>
#include <avmm/hypercall.h>

#define ROUNDS		64
#define NMI_TRIES	1000000
#define HPET_ADDRESS	0xfed00000
#define HPET_COUNTER	0xf0
#define TIMER_NS	200000

static char *only;
module_param(only, charp, 0);
static uint repeat;
module_param(repeat, uint, 0);

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

static void __iomem *hpet;
static u16 pm_timer;

static void do_in(void)
{
	inb(0x80);
}

static void do_cr8wr(void)
{
	asm volatile("mov %0, %%cr8" : : "r"(0ul) : "memory");
}

static void *page;
static pte_t *page_entry;

static void do_ptemod(void)
{
	WRITE_ONCE(page_entry->pte, page_entry->pte ^ _PAGE_RW);
	asm volatile("invlpg (%0)" : : "r"(page) : "memory");
}

static void do_port(void)
{
	inl(pm_timer);
}

static void do_hpet(void)
{
	readl(hpet + HPET_COUNTER);
}

static void do_timer(void)
{
	if (boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER))
		wrmsrl(MSR_IA32_TSC_DEADLINE, native_read_msr(MSR_IA32_TSC_DEADLINE));
	else
		apic_write(APIC_TMICT, apic_read(APIC_TMCCT));
}

static void repeat_operation(const char *name, void (*operation)(void))
{
	uint i;

	for (i = 0; i < repeat; i++) {
		operation();
		cond_resched();
	}
	pr_info("avmm_bench: %s did %u\n", name, repeat);
}

static void measure(const char *name, void (*operation)(void))
{
	u64 least = U64_MAX, most = 0;
	unsigned long flags;
	int i;

	if (only) {
		if (!strcmp(only, name))
			repeat_operation(name, operation);
		return;
	}
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

static struct latency {
	struct hrtimer timer;
	struct completion done;
	u64 fired;
} latency;

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	WRITE_ONCE(latency.fired, rdtsc());
	complete(&latency.done);
	return HRTIMER_NORESTART;
}

static int by_value(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void measure_latency(const char *name, bool busy)
{
	static u64 samples[ROUNDS];
	int i;

	if (only)
		return;
	hrtimer_init(&latency.timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	latency.timer.function = on_timer;
	for (i = 0; i < ROUNDS; i++) {
		u64 ns = TIMER_NS + i * 977, now, due;

		init_completion(&latency.done);
		latency.fired = 0;
		local_irq_disable();
		now = ktime_get_ns();
		due = rdtsc() + mul_u64_u32_div(ns, tsc_khz, 1000000);
		hrtimer_start(&latency.timer, now + ns, HRTIMER_MODE_ABS_HARD);
		local_irq_enable();
		while (busy && !READ_ONCE(latency.fired))
			cpu_relax();
		wait_for_completion(&latency.done);
		samples[i] = latency.fired - due;
	}
	sort(samples, ROUNDS, sizeof(*samples), by_value, NULL);
	pr_info("avmm_bench: %s median %llu min %llu max %llu\n", name, samples[ROUNDS / 2], samples[0],
		samples[ROUNDS - 1]);
}

/* In the service partition, not in the user's, which knows that it is one. */
static bool above_monitor(void)
{
	return !boot_cpu_has(X86_FEATURE_HYPERVISOR) && cpuid_ebx(AVMM_SIGNATURE_LEAF) == 0x4d4d5641;	/* "AVMM" */
}

static int measure_memory(void)
{
	unsigned int level;

	page = vmalloc(PAGE_SIZE);
	hpet = ioremap(HPET_ADDRESS, PAGE_SIZE);
	page_entry = page ? lookup_address((unsigned long)page, &level) : NULL;
	if (hpet && page_entry && level == PG_LEVEL_4K) {
		measure("hpet", do_hpet);
		measure("ptemod", do_ptemod);
	}
	if (hpet)
		iounmap(hpet);
	vfree(page);
	return hpet && page_entry ? 0 : -ENOMEM;
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
	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		measure("nmi", do_nmi);
	unregister_nmi_handler(NMI_LOCAL, "avmm_bench");
	pm_timer = acpi_gbl_FADT.xpm_timer_block.address;
	measure("in", do_in);
	measure("cr8wr", do_cr8wr);
	measure("port", do_port);
	err = measure_memory();
	if (err)
		return err;
	measure("timer", do_timer);
	measure_latency("timer-busy", true);
	measure_latency("timer-idle", false);
	return -EAGAIN;
}

module_init(bench_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Costs that only the kernel can measure");
