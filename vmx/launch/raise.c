// SPDX-License-Identifier: GPL-2.0-only
/*
 * NMIs and machine checks that came in the switch between the monitor and Linux, given to Linux as what they are: a
 * real NMI to this CPU, since the kernel's NMI entry relies on the blocking that only a real one has.
 */
#include <linux/kernel.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <avmm/x86.h>
#include <vmx/launch/launch.h>

void vmx_leave_raise(struct avmm_leave *leave);

void vmx_leave_raise(struct avmm_leave *leave)
{
	u32 nmis = leave->nmi, mcs = leave->mc;

	leave->nmi = 0;
	leave->mc = 0;
	while (nmis--)
		apic->send_IPI(raw_smp_processor_id(), NMI_VECTOR);
	if (mcs)
		asm volatile("int $18");
}
