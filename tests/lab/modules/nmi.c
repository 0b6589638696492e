// SPDX-License-Identifier: GPL-2.0-only
/*
 * An NMI storm that loses no count. One thread sends NMIs to online CPUs, its own among them, one at a time: the
 * hardware keeps only one NMI pending per CPU, so the next one waits until the handler has acknowledged the last.
 *
 *	echo 'storm COUNT [cpus=LIST] [gap=MICROSECONDS] [nest=PERCENT] [seed=NUMBER]' > /proc/avmm_nmi
 *	echo wait > /proc/avmm_nmi	until the storm is over (COUNT 0: it never is)
 *	echo stop > /proc/avmm_nmi
 *	cat /proc/avmm_nmi
 *
 * The thread wanders over the CPUs. While it waits it executes CPUID, which is where an NMI hits a hypervisor's root
 * mode. nest: so many of a hundred NMIs have their handler send another one to its own CPU, where NMIs are blocked
 * at that moment, and execute CPUID with it pending.
 *
 * counts.pending is the handshake: the sender sets it, the handler or the sender after its deadline clears it by
 * xchg(), so an NMI is counted exactly once, as received or as lost. What the handler finds with nothing pending is
 * counted as extra (sysrq-l and the like, an NMI delivered twice, or one that came after its deadline).
 *
 * A CPU cannot leave cpu_online_mask while preemption is off on another one (stop_machine() needs all), therefore
 * every NMI is on its way before its target goes off line. It is counted apart if it got lost nevertheless.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <asm/apic.h>
#include <asm/nmi.h>
#include <asm/processor.h>

#include "test_file.h"

#define DEADLINE_NS	(2 * NSEC_PER_SEC)
#define NESTED_CPUIDS	8
#define MOVE_EVERY	64
#define REST_EVERY	256

enum pending { PENDING_NONE, PENDING_ONE, PENDING_NEST };

struct nmi_counts {
	int pending;			/* enum pending */
	unsigned long sent;		/* by the storm's thread */
	unsigned long nested;		/* by the handler on the CPU itself */
	unsigned long received;		/* this and extra: by the handler */
	unsigned long extra;
	unsigned long lost;		/* this and offline: by the storm's thread */
	unsigned long offline;
	unsigned long own;		/* of sent: from the CPU to itself */
	u64 slowest_ns;
};

static DEFINE_PER_CPU(struct nmi_counts, counts);

static struct {
	unsigned long count, gap, nest, seed;
	cpumask_t cpus;
} storm;				/* written while no storm runs */

static DEFINE_MUTEX(storm_lock);	/* guards storm_thread, and start against stop */
static struct task_struct *storm_thread;
static DECLARE_COMPLETION(storm_over);
static bool storm_claims;		/* the handler claims NMIs */
static u32 random_state;		/* of the storm's thread */

static u32 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

static void execute_cpuid(void)
{
	cpuid_eax(0);
}

/* Interrupts are off, or this is an NMI handler. */
static void send_nmi(unsigned int cpu)
{
	while (!x2apic_mode && (apic->icr_read() & APIC_ICR_BUSY))
		cpu_relax();
	apic->icr_write(APIC_DEST_PHYSICAL | APIC_DM_NMI, cpu_physical_id(cpu));
}

/* The interrupted code may be between its writes of ICR2 and ICR, so that ICR2 has to survive. */
static void send_nmi_from_nmi(void)
{
	u32 icr2 = 0;

	if (!x2apic_mode) {
		while (apic->icr_read() & APIC_ICR_BUSY)
			cpu_relax();
		icr2 = apic->read(APIC_ICR2);
	}
	send_nmi(smp_processor_id());
	if (!x2apic_mode) {
		while (apic->icr_read() & APIC_ICR_BUSY)
			cpu_relax();
		apic->write(APIC_ICR2, icr2);
	}
}

static int nmi_handler(unsigned int type, struct pt_regs *regs)
{
	struct nmi_counts *c = this_cpu_ptr(&counts);
	int i, pending;

	if (!READ_ONCE(storm_claims))
		return NMI_DONE;
	pending = READ_ONCE(c->pending);
	if (pending == PENDING_NONE) {
		c->extra++;
		return NMI_HANDLED;
	}
	c->received++;
	if (pending == PENDING_ONE) {
		if (xchg(&c->pending, PENDING_NONE) == PENDING_NONE) {
			c->received--;		/* the sender gave up just now: it is lost, and too late */
			c->extra++;
		}
		return NMI_HANDLED;
	}
	c->nested++;
	WRITE_ONCE(c->pending, PENDING_ONE);
	send_nmi_from_nmi();
	for (i = 0; i < NESTED_CPUIDS; i++)
		execute_cpuid();
	return NMI_HANDLED;
}

static void wait_for_nmi(unsigned int cpu, u64 since, bool with_cpuid)
{
	struct nmi_counts *c = per_cpu_ptr(&counts, cpu);
	u64 took = 0;

	while (READ_ONCE(c->pending) != PENDING_NONE) {
		took = ktime_get_mono_fast_ns() - since;
		if (took > DEADLINE_NS)
			break;
		if (with_cpuid)
			execute_cpuid();
		else
			cpu_relax();
		cond_resched();
	}
	c->slowest_ns = max(c->slowest_ns, took);
	if (xchg(&c->pending, PENDING_NONE) == PENDING_NONE)
		return;
	if (cpu_online(cpu))
		c->lost++;
	else
		c->offline++;
}

/* nr_cpu_ids where there is none, or where one went off line meanwhile. */
static unsigned int pick_online_cpu(const struct cpumask *cpus)
{
	unsigned int cpu, online = 0, skip;

	for_each_cpu_and(cpu, cpus, cpu_online_mask)
		online++;
	if (!online)
		return nr_cpu_ids;
	skip = next_random() % online;
	for_each_cpu_and(cpu, cpus, cpu_online_mask)
		if (!skip--)
			return cpu;
	return nr_cpu_ids;
}

static void send_one(void)
{
	bool nest = next_random() % 100 < storm.nest, with_cpuid = next_random() % 2;
	struct nmi_counts *c;
	unsigned long flags;
	unsigned int cpu;
	u64 now;

	preempt_disable();
	cpu = pick_online_cpu(&storm.cpus);
	if (cpu >= nr_cpu_ids) {
		preempt_enable();
		msleep(20);
		return;
	}
	c = per_cpu_ptr(&counts, cpu);
	c->sent++;
	c->own += cpu == smp_processor_id();
	now = ktime_get_mono_fast_ns();
	WRITE_ONCE(c->pending, nest ? PENDING_NEST : PENDING_ONE);
	local_irq_save(flags);
	send_nmi(cpu);
	if (with_cpuid)
		execute_cpuid();
	local_irq_restore(flags);
	preempt_enable();
	wait_for_nmi(cpu, now, with_cpuid);
}

/* So that the next NMI meets the other side anywhere. */
static void pause_at_random(unsigned long i)
{
	u32 number = next_random();

	switch (number % 4) {
	case 0:
		break;
	case 1:
		udelay(number / 4 % 20);
		break;
	default:
		ndelay(number / 4 % 2000);
	}
	if (storm.gap)
		usleep_range(storm.gap, storm.gap + storm.gap / 2);
	else if (i % REST_EVERY == 0)
		usleep_range(50, 500);
	cond_resched();
}

static void move_thread(void)
{
	unsigned int cpu = pick_online_cpu(cpu_possible_mask);

	if (cpu < nr_cpu_ids)
		set_cpus_allowed_ptr(current, cpumask_of(cpu));		/* it may have gone: never mind */
}

static int storm_run(void *unused)
{
	unsigned long i;

	for (i = 0; (!storm.count || i < storm.count) && !kthread_should_stop(); i++) {
		if (i % MOVE_EVERY == 0)
			move_thread();
		send_one();
		pause_at_random(i);
	}
	msleep(20);		/* a late one is ours, too */
	WRITE_ONCE(storm_claims, false);
	complete_all(&storm_over);
	return 0;
}

static void storm_stop(void)
{
	if (!storm_thread)
		return;
	kthread_stop(storm_thread);
	put_task_struct(storm_thread);
	storm_thread = NULL;
	WRITE_ONCE(storm_claims, false);	/* a thread stopped before it began does not */
	complete_all(&storm_over);
}

static int storm_parse(char *args)
{
	char *word;
	int err;

	storm.gap = 0;
	storm.nest = 0;
	storm.seed = 1;
	cpumask_copy(&storm.cpus, cpu_possible_mask);

	word = strsep(&args, " ");
	if (!word || kstrtoul(word, 0, &storm.count))
		return -EINVAL;
	while ((word = strsep(&args, " "))) {
		err = test_cpus(word, &storm.cpus);
		if (err == -ENOENT)
			err = test_number(word, "gap", &storm.gap);
		if (err == -ENOENT)
			err = test_number(word, "nest", &storm.nest);
		if (err == -ENOENT)
			err = test_number(word, "seed", &storm.seed);
		if (err)
			return -EINVAL;
	}
	return 0;
}

static int storm_start(char *args)
{
	struct task_struct *thread;
	unsigned int cpu;
	int err;

	if (storm_thread && !completion_done(&storm_over))
		return -EBUSY;
	storm_stop();
	err = storm_parse(args);
	if (err)
		return err;
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(&counts, cpu), 0, sizeof(struct nmi_counts));
	random_state = (u32)storm.seed * 2654435761u | 1;
	reinit_completion(&storm_over);

	thread = kthread_create(storm_run, NULL, "avmm_nmi");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	get_task_struct(thread);
	storm_thread = thread;
	WRITE_ONCE(storm_claims, true);
	wake_up_process(thread);
	return 0;
}

static int nmi_command(char *command)
{
	char *verb = strsep(&command, " ");
	int err = 0;

	if (!strcmp(verb, "wait"))
		return READ_ONCE(storm_thread) ? wait_for_completion_interruptible(&storm_over) : 0;

	mutex_lock(&storm_lock);
	if (!strcmp(verb, "storm"))
		err = storm_start(command);
	else if (!strcmp(verb, "stop"))
		storm_stop();
	else
		err = -EINVAL;
	mutex_unlock(&storm_lock);
	return err;
}

static void show_counts(struct seq_file *m, const char *who, const struct nmi_counts *c)
{
	seq_printf(m, "%s sent %lu received %lu lost %lu offline %lu extra %lu own %lu nested %lu slowest_us %llu\n",
		   who, c->sent + c->nested, c->received, c->lost, c->offline, c->extra, c->own, c->nested,
		   c->slowest_ns / NSEC_PER_USEC);
}

static int nmi_show(struct seq_file *m, void *unused)
{
	struct nmi_counts all = {};
	bool over = !READ_ONCE(storm_claims);
	unsigned int cpu;
	char who[16];

	for_each_possible_cpu(cpu) {
		const struct nmi_counts c = *per_cpu_ptr(&counts, cpu);

		snprintf(who, sizeof(who), "cpu %u", cpu);
		show_counts(m, who, &c);
		all.sent += c.sent;
		all.nested += c.nested;
		all.received += c.received;
		all.lost += c.lost;
		all.offline += c.offline;
		all.extra += c.extra;
		all.own += c.own;
		all.slowest_ns = max(all.slowest_ns, c.slowest_ns);
	}
	show_counts(m, "total", &all);
	if (!over)
		seq_puts(m, "verdict running\n");
	else if (all.sent + all.nested == all.received && !all.lost && !all.offline)
		seq_puts(m, "verdict ok\n");
	else
		seq_puts(m, "verdict FAILED\n");
	return 0;
}

static struct test_file nmi_file = {
	.name	= "avmm_nmi",
	.run	= nmi_command,
	.show	= nmi_show,
};

static int __init nmi_init(void)
{
	int err;

	if (!boot_cpu_has(X86_FEATURE_APIC))
		return -ENODEV;
	err = register_nmi_handler(NMI_LOCAL, nmi_handler, 0, "avmm_nmi");
	if (err)
		return err;
	err = test_file_create(&nmi_file);
	if (err)
		unregister_nmi_handler(NMI_LOCAL, "avmm_nmi");
	return err;
}

static void __exit nmi_exit(void)
{
	test_file_remove(&nmi_file);
	storm_stop();
	unregister_nmi_handler(NMI_LOCAL, "avmm_nmi");
}

module_init(nmi_init);
module_exit(nmi_exit);
MODULE_DESCRIPTION("AVMM lab: NMI storm");
MODULE_LICENSE("GPL");
