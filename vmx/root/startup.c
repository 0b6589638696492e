// SPDX-License-Identifier: GPL-2.0-only
/*
 * INIT and SIPI, first of all of a service CPU: Linux takes a CPU down and up again while the monitor stays below. SIPI is
 * lost in root operation, and Linux may send it right behind INIT. So the INIT exit makes the CPU wait for it and nothing
 * else: the guest executes no instruction before SIPI exits, and the registers get their values then.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>

#define AR_CODE		0x9b	/* present, accessed, execute/read */
#define AR_DATA		0x93	/* present, accessed, read/write */
#define AR_LDT		0x82
#define AR_TSS		0x8b	/* busy */
#define RESET_LIMIT	0xffff
#define RESET_CS_SEL	0xf000
#define RESET_CS_BASE	0xffff0000u
#define RESET_IP	0xfff0
#define RESET_DR6	0xffff0ff0ul
#define RESET_DR7	0x400
#define APIC_BASE_BSP	(1u << 8)

static void reset_segments(void)
{
	unsigned int i;

	/* ES, CS, SS, DS, FS, GS, LDTR, TR: their fields are two apart */
	for (i = 0; i < 8; i++) {
		u32 ar = i == 1 ? AR_CODE : i == 6 ? AR_LDT : i == 7 ? AR_TSS : AR_DATA;

		vmwrite(VMCS_GUEST_ES_SEL + 2 * i, 0);
		vmwrite(VMCS_GUEST_ES_BASE + 2 * i, 0);
		vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, RESET_LIMIT);
		vmwrite(VMCS_GUEST_ES_AR + 2 * i, ar);
	}
	vmwrite(VMCS_GUEST_GDTR_BASE, 0);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, RESET_LIMIT);
	vmwrite(VMCS_GUEST_IDTR_BASE, 0);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, RESET_LIMIT);
}

/* Those that are in the CPU, not in the VMCS. */
static void reset_cpu(void)
{
	asm volatile("mov %0, %%cr2; mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3; mov %1, %%dr6"
		     : : "r"(0ul), "r"(RESET_DR6));
}

/* Registers after INIT, Intel SDM volume 3, table 10-1. CR0.CD and NW and the MSRs beyond EFER keep their values. */
static void reset_registers(struct vcpu *v)
{
	u64 cr0 = (vmread(VMCS_GUEST_CR0) & (AVMM_CR0_CD | AVMM_CR0_NW)) | AVMM_CR0_ET | AVMM_CR0_NE;
	u64 r[4];
	unsigned int i;

	cpuid(1, 0, r);
	for (i = 0; i < 16; i++)
		v->gpr[i] = 0;
	v->gpr[RDX] = r[0];
	vmwrite(VMCS_GUEST_CR0, cr0);
	/* the guest sees NE set, which the manual has clear: its next write of CR0 then needs no exit */
	vmwrite(VMCS_CR0_SHADOW, cr0);
	vmwrite(VMCS_GUEST_CR3, 0);
	vmwrite(VMCS_GUEST_CR4, AVMM_CR4_VMXE | (v->service ? 0 : AVMM_CR4_MCE));
	vmwrite(VMCS_CR4_SHADOW, 0);
	vmwrite(VMCS_GUEST_EFER, 0);
	vmwrite(VMCS_ENTRY_CONTROLS, vmread(VMCS_ENTRY_CONTROLS) & ~(u64)VMX_ENTRY_IA32E_GUEST);
	vmwrite(VMCS_GUEST_DR7, RESET_DR7);
	vmwrite(VMCS_GUEST_RFLAGS, 2);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
}

void vmx_start_at(struct vcpu *v, u64 cs_sel, u64 cs_base, u64 rip)
{
	reset_segments();
	reset_registers(v);
	reset_cpu();
	invvpid(INV_SINGLE_CONTEXT, vmread(VMCS_VPID));
	vmwrite(VMCS_GUEST_CS_SEL, cs_sel);
	vmwrite(VMCS_GUEST_CS_BASE, cs_base);
	vmwrite(VMCS_GUEST_RIP, rip);
	vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_ACTIVE);
}

/* Where memory was that Linux has lent while this CPU was parked, and could not be told (AVMM_HC_FLUSH), is forgotten. */
static void start_service(struct vcpu *v, u64 cs_sel, u64 cs_base, u64 rip)
{
	invept(INV_ALL_CONTEXTS, 0);
	vmx_start_at(v, cs_sel, cs_base, rip);
	v->cpu->stats->state = AVMM_CPU_SERVICE;
}

/*
 * The wait for SIPI goes with no blocking and no event to deliver, Intel SDM volume 3, 27.3.1.5. The boot CPU does not
 * wait: it goes to the reset vector.
 */
void vmx_exit_init(struct vcpu *v)
{
	core_apic_init();
	if (rdmsr(AVMM_MSR_APIC_BASE) & APIC_BASE_BSP) {
		start_service(v, RESET_CS_SEL, RESET_CS_BASE, RESET_IP);
		return;
	}
	vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_WAIT_SIPI);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	v->cpu->stats->state = AVMM_CPU_WAIT_SIPI;
}

void vmx_exit_sipi(struct vcpu *v)
{
	u64 vector = vmread(VMCS_EXIT_QUALIFICATION) & 0xff;

	start_service(v, vector << 8, vector << 12, 0);
}
