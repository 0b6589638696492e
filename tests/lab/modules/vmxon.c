// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another hypervisor, as far as others can see it: VMX operation on CPUs from insmod to rmmod, and nothing in it.
 *
 *	insmod avmm_vmxon.ko [cpus=LIST]	all online CPUs without LIST
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <asm/asm.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>

#define VMX_BASIC	0x480

static char *cpus;
module_param(cpus, charp, 0444);

static DEFINE_PER_CPU(unsigned long, region);	/* of a CPU in VMX operation; 0: it is not */
static cpumask_t wanted;

static unsigned long read_cr4(void)
{
	unsigned long cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	return cr4;
}

/* Not by Linux's copy of CR4: whoever looks for the owner has to look at the CPU. */
static void write_cr4(unsigned long cr4)
{
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static bool vmxon(u64 phys)
{
	asm goto("1: vmxon %0\n"
		 "jbe %l[fail]\n"
		 _ASM_EXTABLE(1b, %l[fail])
		 : : "m"(phys) : "cc", "memory" : fail);
	return true;
fail:
	return false;
}

static void enter(void *failed)
{
	unsigned long page = get_zeroed_page(GFP_ATOMIC), cr4 = read_cr4();
	u64 basic;

	if (!page || cr4 & X86_CR4_VMXE) {
		free_page(page);
		*(bool *)failed = true;
		return;
	}
	rdmsrl(VMX_BASIC, basic);
	*(u32 *)page = basic & 0x7fffffff;
	write_cr4(cr4 | X86_CR4_VMXE);
	if (vmxon(virt_to_phys((void *)page))) {
		this_cpu_write(region, page);
		return;
	}
	write_cr4(cr4);
	free_page(page);
	*(bool *)failed = true;
}

static void leave(void *unused)
{
	if (!this_cpu_read(region))
		return;
	asm volatile("vmxoff" : : : "cc", "memory");
	write_cr4(read_cr4() & ~X86_CR4_VMXE);
	free_page(this_cpu_read(region));
	this_cpu_write(region, 0);
}

static int __init vmxon_init(void)
{
	bool failed = false;

	cpumask_copy(&wanted, cpu_online_mask);
	if (cpus && cpulist_parse(cpus, &wanted))
		return -EINVAL;
	on_each_cpu_mask(&wanted, enter, &failed, true);
	if (!failed)
		return 0;
	on_each_cpu(leave, NULL, true);
	return -EBUSY;
}

static void __exit vmxon_exit(void)
{
	on_each_cpu(leave, NULL, true);
}

module_init(vmxon_init);
module_exit(vmxon_exit);
MODULE_DESCRIPTION("AVMM lab: somebody else who holds VMX");
MODULE_LICENSE("GPL");
