// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds CPUs with interrupts off, and storms of calls between CPUs.
 *
 *	echo 'irqoff MILLISECONDS [cpus=LIST]' > /proc/avmm_spin	returns when the time is over
 *	echo 'ipi COUNT [cpus=LIST]' > /proc/avmm_spin			a thread per CPU, in the background; 0: endless
 *	echo wait > /proc/avmm_spin
 *	echo stop > /proc/avmm_spin
 *	cat /proc/avmm_spin
 *
 * irqoff shows the longest gap that a CPU saw between two readings of its time stamp counter: how long something
 * else (an NMI handler, a hypervisor) had the CPU. ipi: every call must reach each CPU that it was sent to, once.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/smp.h>
#include <asm/msr.h>

#include "test_file.h"

#define REST_EVERY	16
#define CALL_TOKEN	0x41564d4d43414c4cul

struct spin_cpu {
	struct task_struct *thread;
	u64 held_ns, longest_gap;		/* irqoff; the gap in ticks of the TSC */
	unsigned long calls, targets, hits;	/* ipi: calls made, CPUs called, calls answered */
	unsigned long taken;			/* calls taken here; with interrupts off */
	unsigned long wrong;
	u64 slowest;				/* ticks of the TSC */
};

struct call {
	unsigned long token;
	atomic_t hits;
};

static DEFINE_PER_CPU(struct spin_cpu, spin_cpus);
static DEFINE_MUTEX(spin_lock_commands);	/* one command at a time, except wait */
static DECLARE_COMPLETION(ipi_over);
static atomic_t ipi_threads;
static unsigned long ipi_count;

static void hold(void *milliseconds)
{
	struct spin_cpu *c = this_cpu_ptr(&spin_cpus);
	u64 start = ktime_get_mono_fast_ns(), ns = *(unsigned long *)milliseconds * NSEC_PER_MSEC;
	u64 now, last = rdtsc_ordered();

	do {
		now = rdtsc_ordered();
		c->longest_gap = max(c->longest_gap, now - last);
		last = now;
		c->held_ns = ktime_get_mono_fast_ns() - start;
	} while (c->held_ns < ns);
}

static void take_call(void *info)
{
	struct spin_cpu *c = this_cpu_ptr(&spin_cpus);
	struct call *call = info;

	if (call->token != CALL_TOKEN)
		c->wrong++;
	c->taken++;
	atomic_inc(&call->hits);
}

/* With preemption off no CPU of the mask can go, and one that comes is not in it. */
static void call_others(struct spin_cpu *c, struct cpumask *mask)
{
	struct call call = { .token = CALL_TOKEN };
	unsigned int targets;
	u64 start;

	preempt_disable();
	cpumask_copy(mask, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), mask);
	targets = cpumask_weight(mask);
	start = rdtsc_ordered();
	smp_call_function_many(mask, take_call, &call, true);
	c->slowest = max(c->slowest, rdtsc_ordered() - start);
	preempt_enable();

	c->calls++;
	c->targets += targets;
	c->hits += atomic_read(&call.hits);
	if (atomic_read(&call.hits) != targets)
		c->wrong++;
}

static int ipi_run(void *data)
{
	struct spin_cpu *c = data;
	cpumask_var_t mask;
	unsigned long i;

	if (zalloc_cpumask_var(&mask, GFP_KERNEL)) {
		for (i = 0; (!ipi_count || i < ipi_count) && !kthread_should_stop(); i++) {
			call_others(c, mask);
			if (i % REST_EVERY == 0)
				usleep_range(50, 500);	/* leaves something to the rest of the machine */
		}
		free_cpumask_var(mask);
	} else {
		c->wrong++;
	}
	if (atomic_dec_and_test(&ipi_threads))
		complete_all(&ipi_over);
	return 0;
}

static void ipi_stop(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct spin_cpu *c = per_cpu_ptr(&spin_cpus, cpu);

		if (!c->thread)
			continue;
		kthread_stop(c->thread);
		put_task_struct(c->thread);
		c->thread = NULL;
	}
	atomic_set(&ipi_threads, 0);	/* a thread stopped before it began does not */
	complete_all(&ipi_over);
}

static int ipi_start_thread(unsigned int cpu)
{
	struct spin_cpu *c = per_cpu_ptr(&spin_cpus, cpu);
	struct task_struct *thread = kthread_create(ipi_run, c, "avmm_ipi/%u", cpu);

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	kthread_bind(thread, cpu);
	get_task_struct(thread);
	c->thread = thread;
	atomic_inc(&ipi_threads);
	return 0;
}

static int ipi_start(unsigned long count, const struct cpumask *cpus)
{
	unsigned int cpu;
	int err = 0;

	ipi_count = count;
	reinit_completion(&ipi_over);
	atomic_set(&ipi_threads, 0);

	cpus_read_lock();
	for_each_cpu_and(cpu, cpus, cpu_online_mask) {
		err = ipi_start_thread(cpu);
		if (err)
			break;
	}
	for_each_cpu_and(cpu, cpus, cpu_online_mask) {
		struct task_struct *thread = per_cpu_ptr(&spin_cpus, cpu)->thread;

		if (thread)
			wake_up_process(thread);
	}
	cpus_read_unlock();
	if (!atomic_read(&ipi_threads))
		complete_all(&ipi_over);
	return err;
}

static void reset_counts(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(&spin_cpus, cpu), 0, sizeof(struct spin_cpu));
}

static int spin_start(const char *verb, char *args)
{
	static cpumask_t cpus;		/* guarded by spin_lock_commands */
	char *word = strsep(&args, " ");
	unsigned long number;

	if (!word || kstrtoul(word, 0, &number))
		return -EINVAL;
	cpumask_copy(&cpus, cpu_possible_mask);
	while ((word = strsep(&args, " ")))
		if (test_cpus(word, &cpus))
			return -EINVAL;

	ipi_stop();
	reset_counts();
	if (!strcmp(verb, "irqoff")) {
		on_each_cpu_mask(&cpus, hold, &number, true);
		return 0;
	}
	return strcmp(verb, "ipi") ? -EINVAL : ipi_start(number, &cpus);
}

static int spin_command(char *command)
{
	char *verb = strsep(&command, " ");
	int err = 0;

	if (!strcmp(verb, "wait"))
		return atomic_read(&ipi_threads) ? wait_for_completion_interruptible(&ipi_over) : 0;

	mutex_lock(&spin_lock_commands);
	if (!strcmp(verb, "stop"))
		ipi_stop();
	else
		err = spin_start(verb, command);
	mutex_unlock(&spin_lock_commands);
	return err;
}

static int spin_show(struct seq_file *m, void *unused)
{
	unsigned long targets = 0, hits = 0, taken = 0, wrong = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		const struct spin_cpu c = *per_cpu_ptr(&spin_cpus, cpu);

		seq_printf(m, "cpu %u held_us %llu longest_gap_ticks %llu ", cpu, c.held_ns / NSEC_PER_USEC,
			   c.longest_gap);
		seq_printf(m, "calls %lu targets %lu hits %lu taken %lu wrong %lu slowest_ticks %llu\n", c.calls,
			   c.targets, c.hits, c.taken, c.wrong, c.slowest);
		targets += c.targets;
		hits += c.hits;
		taken += c.taken;
		wrong += c.wrong;
	}
	seq_printf(m, "total targets %lu hits %lu taken %lu wrong %lu\n", targets, hits, taken, wrong);
	if (atomic_read(&ipi_threads))
		seq_puts(m, "verdict running\n");
	else
		seq_printf(m, "verdict %s\n", targets == hits && hits == taken && !wrong ? "ok" : "FAILED");
	return 0;
}

static struct test_file spin_file = {
	.name	= "avmm_spin",
	.run	= spin_command,
	.show	= spin_show,
};

static int __init spin_init(void)
{
	return test_file_create(&spin_file);
}

static void __exit spin_exit(void)
{
	test_file_remove(&spin_file);
	ipi_stop();
}

module_init(spin_init);
module_exit(spin_exit);
MODULE_DESCRIPTION("AVMM lab: CPUs with interrupts off, calls between CPUs");
MODULE_LICENSE("GPL");
