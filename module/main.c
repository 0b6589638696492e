// SPDX-License-Identifier: GPL-2.0-only
/*
 * avmm.ko: slides the monitor under the running Linux and takes it away.
 *
 * A CPU hotplug state carries the launch: Linux calls cpu_up() on every online CPU in turn, and if one fails,
 * cpu_down() on those before it. A CPU that comes later is launched by the same call. A CPU that goes stays launched:
 * it lies in Linux's idle loop in non-root operation and comes back by INIT and SIPI, which the monitor plays.
 *
 * `phase` is written under `lock` and read by the hotplug callbacks, which run while it is held or while it is
 * LAUNCHED. launched[] of a CPU is written on that CPU only. Lock order: lock, then CPU hotplug; lock, then that of
 * partition.c. A user partition can be from the end of the launch on, and is gone before any CPU leaves.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/suspend.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <avmm/version.h>
#include <avmm/x86.h>
#include "module.h"
#include "device.h"
#include "legacy.h"
#include "partition.h"

#define CPUID_7_ECX_SHSTK	(1u << 7)

enum phase { LOADED, LAUNCHING, LAUNCHED, LEAVING };

static DEFINE_MUTEX(lock);
static enum phase phase;
static int hotplug_state;
static struct vmx_launch launch_plan;
static bool vmx_was_shown;		/* to Linux, before the launch */
static bool feat_ctl_was_shown;
static bool stranded;			/* a CPU could not leave: its monitor must stay where it is */

static struct {
	bool launched;
	u64 launch_ticks;
	u64 leave_ticks;
} cpus[AVMM_MAX_CPUS];
static u64 irqs_off_ticks;		/* the longest that a CPU had interrupts off; CPUs come one at a time */

static bool launch = true;
module_param(launch, bool, 0444);
MODULE_PARM_DESC(launch, "slide the monitor under Linux at once (default), or only load (0)");

#ifdef AVMM_DEBUG
static int fail_cpu = -1;
module_param(fail_cpu, int, 0644);
MODULE_PARM_DESC(fail_cpu, "debug: the launch of this CPU fails");

static uint fail_step;
module_param(fail_step, uint, 0644);
MODULE_PARM_DESC(fail_step, "debug: where it fails: 1 VMXON, 2 VMLAUNCH, 3 VM entry, 4 after the launch, 5 check");
#endif

static void caps_cpuid(void *opaque, u32 leaf, u32 subleaf, u32 regs[VMX_REG_COUNT])
{
	cpuid_count(leaf, subleaf, &regs[VMX_EAX], &regs[VMX_EBX], &regs[VMX_ECX], &regs[VMX_EDX]);
}

static bool caps_rdmsr(void *opaque, u32 msr, u64 *value)
{
	return !rdmsrl_safe(msr, value);
}

/* What one CPU's check says, collected on that CPU. */
struct check {
	const char *owner;
	bool quiet;
	bool refused;
	struct vmx_controls controls;
	struct vmx_caps_input input;	/* too large for the stack of an interrupt */
};

static void print_finding(void *opaque, const struct vmx_caps_finding *finding)
{
	char text[VMX_CAPS_DESCRIPTION_SIZE];

	if (finding->severity == VMX_NOTE)
		return;
	vmx_caps_describe(finding, text, sizeof(text));
	pr_avmm(KERN_ERR, "CPU %d: %s\n", raw_smp_processor_id(), text);
}

static void check_this_cpu(void *data)
{
	static const struct vmx_caps_reader reader = { .cpuid = caps_cpuid, .rdmsr = caps_rdmsr };
	struct check *c = data;
	u64 cr0, cr4;

	vmx_caps_read(&c->input, &reader);
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	c->input.cr0 = cr0;
	c->input.cr4 = cr4;
	c->input.cr_valid = true;
	c->input.vmx_owner = cr4 & AVMM_CR4_VMXE ? c->owner : NULL;
	c->refused = vmx_caps_check(&c->input, c->quiet ? NULL : print_finding, NULL) != VMX_NOTE ||
		     !vmx_caps_controls(&c->input, &c->controls);
}

static bool check_fails_at(unsigned int cpu)
{
	return launch_plan.fail_cpu == (int)cpu && launch_plan.fail_step == VMX_STEP_CHECK;
}

/* One CPU: it can do it, and, unless it is the first that is asked, in the way of the others. It says why not. */
static int check_cpu(struct check *c, unsigned int cpu, bool first)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->owner = avmm_vmx_owner();
	err = smp_call_function_single(cpu, check_this_cpu, c, 1);
	if (err)
		return err;
	if (c->refused)
		return c->input.cr4 & AVMM_CR4_VMXE ? -EBUSY : -EOPNOTSUPP;
	if (first) {
		launch_plan.controls = c->controls;
		launch_plan.shadow_stacks = c->input.cpuid[VMX_LEAF_7_0][VMX_ECX] & CPUID_7_ECX_SHSTK;
	}
	if (check_fails_at(cpu) || memcmp(&c->controls, &launch_plan.controls, sizeof(c->controls))) {
		pr_avmm(KERN_ERR, "CPU %u has other VT-x features than those before it\n", cpu);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Every online CPU. */
static int check_machine(void)
{
	struct check *c = kzalloc(sizeof(*c), GFP_KERNEL);
	unsigned int cpu;
	int err = c ? 0 : -ENOMEM;
	bool first = true;

	if (err)
		return err;
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		err = check_cpu(c, cpu, first);
		if (err)
			break;
		first = false;
	}
	cpus_read_unlock();
	kfree(c);
	return err;
}

/* A CPU that was off at the launch; this runs on it. */
static int check_late_cpu(unsigned int cpu)
{
	struct check *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int err = c ? check_cpu(c, cpu, false) : -ENOMEM;

	kfree(c);
	if (err)
		pr_avmm(KERN_ERR, "CPU %u cannot be launched and stays off\n", cpu);
	return err;
}

/*
 * KVM's own "somebody has VMX" check reads Linux's copy of CR4. Setting VMXE there, where this kernel lets us, turns a
 * fault in KVM into a plain EBUSY; the monitor keeps the bit from having any effect.
 */
static void show_vmxe(bool on)
{
#ifdef AVMM_HAVE_CR4_UPDATE_IRQSOFF
	if (on)
		cr4_update_irqsoff(X86_CR4_VMXE, 0);
	else
		cr4_update_irqsoff(0, X86_CR4_VMXE);
#endif
}

static void note_irqs_off(u64 start)
{
	irqs_off_ticks = max(irqs_off_ticks, rdtsc_ordered() - start);
}

static int launch_this_cpu(unsigned int cpu)
{
	struct vmx_launch_result result;
	unsigned long flags;
	u64 start;

	local_irq_save(flags);
	start = rdtsc_ordered();
	vmx_leave_page_init((void *)avmm_memory.info->leave_page[cpu]);
	vmx_launch_cpu(&launch_plan, cpu, &result);
	if (result.error == VMX_LAUNCH_OK) {
		show_vmxe(true);
		cpus[cpu].launched = true;
		cpus[cpu].launch_ticks = result.ticks;
		avmm_shared_stats_rw(cpu)->state = AVMM_CPU_SERVICE;
	}
	note_irqs_off(start);
	local_irq_restore(flags);
	if (result.error == VMX_LAUNCH_OK)
		return 0;
	pr_avmm(KERN_ERR, "CPU %u: launch failed: %s %#x\n", cpu, vmx_launch_error_text(result.error), result.detail);
	return result.error == VMX_LAUNCH_HELD ? -EBUSY : -EIO;
}

static void leave_this_cpu(unsigned int cpu)
{
	unsigned long flags;
	u64 start;

	local_irq_save(flags);
	start = rdtsc_ordered();
	show_vmxe(false);
	cpus[cpu].leave_ticks = vmx_leave_cpu();
	cpus[cpu].launched = false;
	note_irqs_off(start);
	local_irq_restore(flags);
}

/* A CPU comes: at the launch, at its first time, or back from where it was parked, still launched. */
static int cpu_up_here(unsigned int cpu)
{
	unsigned long flags;
	int err;

	if (phase == LEAVING)
		return 0;
	if (cpus[cpu].launched) {
		local_irq_save(flags);
		show_vmxe(true);
		local_irq_restore(flags);
	} else {
		err = phase == LAUNCHED ? check_late_cpu(cpu) : 0;
		if (!err)
			err = launch_this_cpu(cpu);
		if (err)
			return err;
	}
	err = avmm_message_cpu_up(cpu);
	if (err && phase == LAUNCHING)
		leave_this_cpu(cpu);
	return phase == LAUNCHING ? err : 0;
}

/* A CPU goes: back to the bare machine when all do, into Linux's idle loop, still launched, when it goes alone. */
static int cpu_down_here(unsigned int cpu)
{
	if (!cpus[cpu].launched)
		return 0;
	if (phase == LAUNCHED && cpu == AVMM_SHARED_CPU && avmm_partition_exists())
		return -EBUSY;
	avmm_message_cpu_down(cpu);
	if (phase != LAUNCHED)
		leave_this_cpu(cpu);
	return 0;
}

static int launch_all(void)
{
	int err;

	launch_plan.feature_control = AVMM_FEATURE_CONTROL_LOCK | AVMM_FEATURE_CONTROL_VMX;
	launch_plan.fail_cpu = -1;
#ifdef AVMM_DEBUG
	launch_plan.fail_cpu = fail_cpu;
	launch_plan.fail_step = fail_step;
#endif
	err = check_machine();
	if (!err)
		err = avmm_memory_prepare();
	if (err)
		return err;
	launch_plan.info = avmm_memory.info;
	vmx_was_shown = boot_cpu_has(X86_FEATURE_VMX);
	feat_ctl_was_shown = boot_cpu_has(X86_FEATURE_MSR_IA32_FEAT_CTL);
	phase = LAUNCHING;
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "avmm:online", cpu_up_here, cpu_down_here);
	if (err < 0) {
		phase = LOADED;
		avmm_memory_release();
		return err;
	}
	hotplug_state = err;
	phase = LAUNCHED;
	avmm_partition_allow();
	avmm_netlink_event(AVMM_EVENT_LAUNCHED, "launched");
	pr_avmm(KERN_INFO, "launched on %u CPUs, interrupts off for at most %llu ticks (%llu in the preparation)\n",
		num_online_cpus(), irqs_off_ticks, avmm_memory.init_ticks);
	return 0;
}

/* Offline CPUs lie in non-root operation: up they come, so that they can leave. Returns those that came. */
static void wake_parked(struct cpumask *woken)
{
	unsigned int cpu;

	for_each_present_cpu(cpu)
		if (cpus[cpu].launched && !cpu_online(cpu) && !add_cpu(cpu))
			cpumask_set_cpu(cpu, woken);
}

/* Linux drops a CPU's VMX flag when the CPU comes up without it; on the bare machine it has it again. */
static void restore_features(void)
{
	unsigned int cpu;

	if (vmx_was_shown)
		set_cpu_cap(&boot_cpu_data, X86_FEATURE_VMX);
	if (feat_ctl_was_shown)
		set_cpu_cap(&boot_cpu_data, X86_FEATURE_MSR_IA32_FEAT_CTL);
	for_each_present_cpu(cpu) {
		if (vmx_was_shown)
			set_cpu_cap(&cpu_data(cpu), X86_FEATURE_VMX);
		if (feat_ctl_was_shown)
			set_cpu_cap(&cpu_data(cpu), X86_FEATURE_MSR_IA32_FEAT_CTL);
	}
}

static void leave_all(void)
{
	static struct cpumask woken;
	unsigned int cpu;
	u64 most = 0;

	avmm_partition_forbid();
	/* no CPU parks from here on: one that goes leaves first; those on their way have arrived when the lock is free */
	phase = LEAVING;
	cpus_read_lock();
	cpus_read_unlock();
	cpumask_clear(&woken);
	wake_parked(&woken);
	cpuhp_remove_state(hotplug_state);
	for_each_cpu(cpu, &woken)
		remove_cpu(cpu);
	restore_features();
	for_each_present_cpu(cpu) {
		stranded = stranded || cpus[cpu].launched;
		most = max(most, cpus[cpu].leave_ticks);
	}
	phase = LOADED;
	if (stranded)
		pr_avmm(KERN_ERR, "a CPU that is off cannot be brought up; the monitor's memory stays taken\n");
	else
		avmm_memory_release();
	avmm_netlink_event(AVMM_EVENT_LEFT, "left");
	pr_avmm(KERN_INFO, "left, at most %llu ticks per CPU, interrupts off for %llu\n", most, irqs_off_ticks);
}

static void stop(void)
{
	mutex_lock(&lock);
	if (phase == LAUNCHED)
		leave_all();
	mutex_unlock(&lock);
}

static int on_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	stop();
	return NOTIFY_DONE;
}

static int on_suspend(struct notifier_block *nb, unsigned long action, void *data)
{
	if (phase == LOADED || (action != PM_SUSPEND_PREPARE && action != PM_HIBERNATION_PREPARE &&
				action != PM_RESTORE_PREPARE))
		return NOTIFY_DONE;
	pr_avmm(KERN_ERR, "this machine cannot sleep while the monitor is launched: rmmod avmm first\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block reboot_notifier = { .notifier_call = on_reboot, .priority = INT_MAX };
static struct notifier_block suspend_notifier = { .notifier_call = on_suspend };

void avmm_get_status(struct avmm_machine_status *status)
{
	const struct avmm_image_header *image = (const void *)avmm_image;

	mutex_lock(&lock);
	*status = (struct avmm_machine_status){ .launched = phase == LAUNCHED };
	if (status->launched) {
		status->memory_total = avmm_memory.nblocks * AVMM_BLOCK_SIZE + avmm_memory.nshared * PAGE_SIZE;
		status->memory_used = avmm_memory.info->heap_used;
		status->text_size = image->text_bytes;
		status->prepare_ticks = avmm_memory.prepare_ticks;
	}
	mutex_unlock(&lock);
}

u64 avmm_cpu_launch_ticks(unsigned int cpu)
{
	return cpu < AVMM_MAX_CPUS ? cpus[cpu].launch_ticks : 0;
}

static int start(void)
{
	int err = 0;

	mutex_lock(&lock);
	if (launch)
		err = launch_all();
	mutex_unlock(&lock);
	return err;
}

static int __init avmm_init(void)
{
	int err;

	err = avmm_netlink_init();
	if (err)
		return err;
	err = avmm_console_init();
	if (err)
		goto no_console;
	err = avmm_disk_init();
	if (err)
		goto no_disk;
	err = avmm_message_init();
	if (err)
		goto no_message;
	err = avmm_cpus_init();
	if (err)
		goto no_cpus;
	err = start();
	if (err)
		goto no_launch;
	err = avmm_device_init();
	if (err)
		goto no_device;
	err = avmm_legacy_init();
	if (err)
		goto no_legacy;
	err = avmm_chardev_init();
	if (err)
		goto no_chardev;
	register_reboot_notifier(&reboot_notifier);
	register_pm_notifier(&suspend_notifier);
	avmm_debug_init();
	return 0;

no_chardev:
	avmm_legacy_exit();
no_legacy:
	avmm_device_exit();
no_device:
	stop();
no_launch:
	avmm_cpus_exit();
no_cpus:
	avmm_message_exit();
no_message:
	avmm_disk_exit();
no_disk:
	avmm_console_exit();
no_console:
	/* before the memory goes: a dump may be reading the shared pages */
	avmm_netlink_exit();
	avmm_memory_exit();
	return err;
}

static void __exit avmm_exit(void)
{
	avmm_debug_exit();
	unregister_pm_notifier(&suspend_notifier);
	unregister_reboot_notifier(&reboot_notifier);
	avmm_chardev_exit();
	avmm_legacy_exit();
	avmm_device_exit();
	stop();
	avmm_cpus_exit();
	avmm_message_exit();
	avmm_disk_exit();
	avmm_console_exit();
	avmm_netlink_exit();
	if (!stranded)
		avmm_memory_exit();
}

module_init(avmm_init);
module_exit(avmm_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The AVMM developers");
MODULE_DESCRIPTION("AVMM: a thin VT-x hypervisor under the running Linux");
MODULE_VERSION(AVMM_VERSION);
