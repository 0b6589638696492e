// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPUs that the user partition has alone: chosen, taken from Linux by remove_cpu(), brought back by add_cpu().
 *
 * Whole cores are given, hyperthread siblings together, and none of the shared CPU's core: siblings see much of each other.
 * The parameter split_cores lifts that. The highest numbers go first.
 * While a CPU is taken Linux must not start it: its INIT would find the user's vCPU there. refuse_taken() is asked before.
 *
 * Everything is guarded by partition.c's lock, but `taken`, which the hotplug callbacks read under Linux's own.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/topology.h>
#include "module.h"
#include "partition.h"

static struct cpumask taken;
static struct cpumask last;		/* those of the last start, for statistics */
static int prepare_state;

static bool split_cores;
module_param(split_cores, bool, 0644);
MODULE_PARM_DESC(split_cores, "dedicated CPUs may be single hyperthreads of a core (default no)");

unsigned int avmm_cpus_taken(void)
{
	return cpumask_weight(&taken);
}

bool avmm_cpu_was_taken(unsigned int cpu)
{
	return cpumask_test_cpu(cpu, &last);
}

bool avmm_cpu_taken(unsigned int cpu)
{
	return cpumask_test_cpu(cpu, &taken);
}

/* What is given together. */
static const struct cpumask *core_of(unsigned int cpu)
{
	return split_cores ? cpumask_of(cpu) : topology_sibling_cpumask(cpu);
}

/* The lowest CPU of each core that can be had stands for it. */
static bool can_take(unsigned int cpu)
{
	const struct cpumask *core = core_of(cpu);

	return cpumask_first(core) == cpu && !cpumask_test_cpu(AVMM_SHARED_CPU, core);
}

/* Fills in which CPUs to take for n vCPUs. 0, or -ERANGE with the counts that can be had. */
static int choose(unsigned int n, struct cpumask *cpus, struct avmm_refusal *why)
{
	unsigned int had = 0, cpu, size, smaller = 0;

	cpumask_clear(cpus);
	for (cpu = nr_cpu_ids; cpu-- > 0;) {
		if (!cpu_online(cpu) || !can_take(cpu))
			continue;
		size = cpumask_weight(core_of(cpu));
		if (had + size <= n) {
			cpumask_or(cpus, cpus, core_of(cpu));
			smaller = had + size;
		}
		had += size;
	}
	if (smaller == n)
		return 0;
	if (had < n)
		return avmm_refuse(why, -ERANGE, "%u dedicated CPUs asked for, %u can be had: whole cores, and not that "
				   "of CPU %u", n, had, AVMM_SHARED_CPU);
	return avmm_refuse(why, -ERANGE, "%u dedicated CPUs would split a core between the partitions: %u can be had",
			   n, smaller);
}

int avmm_cpus_check(unsigned int n, struct avmm_refusal *why)
{
	static struct cpumask cpus;

	return choose(n, &cpus, why);
}

bool avmm_cpus_possible(unsigned int n)
{
	struct avmm_refusal ignored;

	return !avmm_cpus_check(n, &ignored);
}

/* list: their numbers, in order. All or none are taken. */
int avmm_cpus_take(unsigned int n, u32 *list, struct avmm_refusal *why)
{
	static struct cpumask cpus;
	unsigned int cpu;
	int err = choose(n, &cpus, why);

	if (err)
		return err;
	cpumask_clear(&last);
	for_each_cpu(cpu, &cpus) {
		err = remove_cpu(cpu);
		if (err) {
			avmm_cpus_give();
			return avmm_refuse(why, err, "CPU %u cannot be taken from Linux: error %d", cpu, err);
		}
		cpumask_set_cpu(cpu, &taken);
		cpumask_set_cpu(cpu, &last);
		*list++ = cpu;
	}
	return 0;
}

/* The monitor runs nothing of the user's there any more. */
void avmm_cpus_give(void)
{
	static struct cpumask back;
	unsigned int cpu;
	int err;

	cpumask_copy(&back, &taken);
	for_each_cpu(cpu, &back) {
		if (READ_ONCE(avmm_shared_stats(cpu)->state) == AVMM_CPU_USER) {
			pr_avmm(KERN_ERR, "CPU %u still runs the user partition and cannot come back\n", cpu);
			continue;
		}
		cpumask_clear_cpu(cpu, &taken);
		err = add_cpu(cpu);
		if (err)
			pr_avmm(KERN_ERR, "CPU %u does not come back to Linux: error %d\n", cpu, err);
	}
}

static int refuse_taken(unsigned int cpu)
{
	return avmm_cpu_taken(cpu) ? -EBUSY : 0;
}

int avmm_cpus_init(void)
{
	int state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "avmm:prepare", refuse_taken, NULL);

	if (state < 0)
		return state;
	prepare_state = state;
	return 0;
}

void avmm_cpus_exit(void)
{
	cpuhp_remove_state_nocalls(prepare_state);
}
