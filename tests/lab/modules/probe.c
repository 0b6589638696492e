// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does from CPL 0 what a guest must not be able to do, or what must look as on the bare machine, and reports.
 *
 *	echo 'memory [0xADDRESS+0xLENGTH,…]' > /proc/avmm_probe	without ranges: the module's parameter ranges;
 *								without it, memory of its own (passes anywhere)
 *	echo 'vmx' | 'msr' | 'cr' | 'xcr' | 'cpuid' > /proc/avmm_probe
 *	echo 'invd [force]' > /proc/avmm_probe			force: on the bare machine, too, which loses data
 *	echo all > /proc/avmm_probe				vmx, msr, cr, xcr, cpuid, and memory with ranges
 *	cat /proc/avmm_probe					report of the last command, ends with "verdict ok|FAILED"
 *
 * The instructions run on the CPU that writes: use taskset.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/vmalloc.h>
#include <asm/processor.h>

#include <avmm/hypercall.h>

#include "probe.h"
#include "test_file.h"

#define REPORT_SIZE	65536

static char *ranges;
module_param(ranges, charp, 0600);
MODULE_PARM_DESC(ranges, "physical memory of the monitor, 0xADDRESS+0xLENGTH,...");

static DEFINE_MUTEX(report_lock);	/* guards everything below */
static char *report;
static size_t report_len;
static unsigned long bad_lines;

static __printf(1, 0) void say_args(const char *format, va_list args)
{
	report_len += vscnprintf(report + report_len, REPORT_SIZE - report_len, format, args);
	report_len += scnprintf(report + report_len, REPORT_SIZE - report_len, "\n");
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
}

void bad(const char *format, ...)
{
	va_list args;

	bad_lines++;
	report_len += scnprintf(report + report_len, REPORT_SIZE - report_len, "UNEXPECTED ");
	va_start(args, format);
	say_args(format, args);
	va_end(args);
}

const char *trap_name(int trap)
{
	static char other[2][16];
	static unsigned int turn;
	char *name;

	switch (trap) {
	case NO_TRAP:
		return "none";
	case X86_TRAP_UD:
		return "#UD";
	case X86_TRAP_GP:
		return "#GP";
	case X86_TRAP_PF:
		return "#PF";
	}
	name = other[turn++ % 2];
	snprintf(name, sizeof(other[0]), "vector-%d", trap);
	return name;
}

bool under_avmm(void)
{
	u32 eax, signature[3];

	cpuid(AVMM_SIGNATURE_LEAF, &eax, &signature[0], &signature[1], &signature[2]);
	return !memcmp(signature, AVMM_SIGNATURE, sizeof(signature));
}

bool cpuid_shows_vmx(void)
{
	return cpuid_ecx(1) & BIT(5);
}

int probe_cpuid(void)
{
	u32 eax, signature[3];

	cpuid(AVMM_SIGNATURE_LEAF, &eax, &signature[0], &signature[1], &signature[2]);
	say("cpuid vmx %d hypervisor %d osxsave %d leaf-0x40000000 eax %x signature %*pE", cpuid_shows_vmx(),
	    !!(cpuid_ecx(1) & BIT(31)), !!(cpuid_ecx(1) & BIT(27)), eax, 12, signature);
	if (under_avmm() && cpuid_shows_vmx())
		bad("cpuid shows VMX under AVMM");
	if (!(cpuid_ecx(1) & BIT(27)) != !(__read_cr4() & X86_CR4_OSXSAVE))
		bad("cpuid OSXSAVE differs from CR4");
	return 0;
}

static int run_all(void)
{
	int err = probe_vmx();

	if (!err)
		err = probe_msr();
	if (!err)
		err = probe_cr();
	if (!err)
		err = probe_xcr();
	if (!err)
		err = probe_cpuid();
	return err ?: probe_memory(ranges);
}

static int run_command(char *verb, char *args)
{
	if (!strcmp(verb, "memory"))
		return probe_memory(args ?: ranges);
	if (!strcmp(verb, "vmx"))
		return probe_vmx();
	if (!strcmp(verb, "msr"))
		return probe_msr();
	if (!strcmp(verb, "cr"))
		return probe_cr();
	if (!strcmp(verb, "xcr"))
		return probe_xcr();
	if (!strcmp(verb, "cpuid"))
		return probe_cpuid();
	if (!strcmp(verb, "invd"))
		return under_avmm() || (args && !strcmp(args, "force")) ? probe_invd() : -EPERM;
	if (!strcmp(verb, "all"))
		return run_all();
	return -EINVAL;
}

static int probe_command(char *command)
{
	char *verb = strsep(&command, " ");
	int err;

	mutex_lock(&report_lock);
	report_len = 0;
	bad_lines = 0;
	kernel_param_lock(THIS_MODULE);		/* ranges */
	err = run_command(verb, command);
	kernel_param_unlock(THIS_MODULE);
	if (err)
		bad("%s: error %d", verb, err);
	mutex_unlock(&report_lock);
	return err;
}

static int probe_show(struct seq_file *m, void *unused)
{
	mutex_lock(&report_lock);
	seq_write(m, report, report_len);
	if (report_len == REPORT_SIZE - 1)
		seq_puts(m, "\n(report cut off)\n");
	if (bad_lines)
		seq_printf(m, "verdict FAILED %lu\n", bad_lines);
	else
		seq_puts(m, "verdict ok\n");
	mutex_unlock(&report_lock);
	return 0;
}

static struct test_file probe_file = {
	.name	= "avmm_probe",
	.run	= probe_command,
	.show	= probe_show,
};

static int __init probe_init(void)
{
	int err;

	report = vzalloc(REPORT_SIZE);
	if (!report)
		return -ENOMEM;
	err = test_file_create(&probe_file);
	if (err)
		vfree(report);
	return err;
}

static void __exit probe_exit(void)
{
	test_file_remove(&probe_file);
	vfree(report);
}

module_init(probe_init);
module_exit(probe_exit);
MODULE_DESCRIPTION("AVMM lab: what a guest must not be able to do");
MODULE_LICENSE("GPL");
