// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control registers. The guest owns every bit but CR0.NE and CR4.VMXE, which VMX operation needs set, and as a user CD and
 * NW in CR0 and those of user.c in CR4: a write that differs from the shadow in one of these comes here (Intel SDM volume
 * 3, 26.1.3) and is carried out with all of its effects. XSETBV always comes here.
 */
#include <avmm/x86.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>

#define QUAL_CR(q)	((q) & 15)
#define QUAL_TYPE(q)	(((q) >> 4) & 3)
#define QUAL_GPR(q)	(((q) >> 8) & 15)
#define TYPE_MOV_TO	0

#define CR0_DEFINED	0xe005003ful	/* PE MP EM TS ET NE WP AM NW CD PG */
#define CR0_LOADS	0xe0000000ul	/* NW CD PG: a change loads the PDPTEs */
#define CR0_CACHE	(AVMM_CR0_CD | AVMM_CR0_NW)
#define CR4_LOADS	(AVMM_CR4_PGE | AVMM_CR4_PAE | (1ul << 4) | (1ul << 20))
#define CR4_FLUSHES	(AVMM_CR4_PGE | AVMM_CR4_PCIDE | AVMM_CR4_PAE | (1ul << 4) | (1ul << 20))
#define CS_AR_L		(1u << 13)
#define AR_TYPE_BUSY_TSS	11
#define AR_TYPE_MASK	15u

static u64 guest_gpr(struct vcpu *v, unsigned int reg)
{
	return reg == RSP ? vmread(VMCS_GUEST_RSP) : v->gpr[reg];
}

/* Entering and leaving IA-32e mode with CR0.PG, Intel SDM volume 3, 10.8.5. */
static void set_long_mode(bool on)
{
	u64 efer = vmread(VMCS_GUEST_EFER) & ~AVMM_EFER_LMA;
	u64 controls = vmread(VMCS_ENTRY_CONTROLS) & ~(u64)VMX_ENTRY_IA32E_GUEST;

	if (on) {
		/* entry demands a busy 64-bit TSS; a CPU fresh from INIT has a busy 32-bit one: the same type */
		efer |= AVMM_EFER_LMA;
		controls |= VMX_ENTRY_IA32E_GUEST;
		vmwrite(VMCS_GUEST_TR_AR, (vmread(VMCS_GUEST_TR_AR) & ~(u64)AR_TYPE_MASK) | AR_TYPE_BUSY_TSS);
	}
	vmwrite(VMCS_GUEST_EFER, efer);
	vmwrite(VMCS_ENTRY_CONTROLS, controls);
}

/*
 * PAE paging keeps four entries in registers, which a write of CR0 or CR4 that changes paging loads (SDM volume 3, 4.4.1).
 * The service's vCPU is never in PAE paging: Linux is in IA-32e mode before it enables paging.
 */
static bool load_pdptes(const struct vcpu *v, u64 cr0, u64 cr4, bool long_mode)
{
	u64 entry[4];
	unsigned int i;

	if (v->service || long_mode || !(cr0 & AVMM_CR0_PG) || !(cr4 & AVMM_CR4_PAE))
		return true;
	if (!core_user_pdptes(vmread(VMCS_GUEST_CR3), entry))
		return false;
	for (i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, entry[i]);
	return true;
}

static u64 visible_cr0(void)
{
	u64 mask = vmread(VMCS_CR0_MASK);

	return (vmread(VMCS_GUEST_CR0) & ~mask) | (vmread(VMCS_CR0_SHADOW) & mask);
}

/*
 * CD and NW are the CPU's: no exit or entry changes them (SDM volume 3, 27.3.2.1). What the service wants is done here. A
 * user has them in its shadow only, or it would switch off the service's caches.
 */
static void set_cr0(const struct vcpu *v, u64 value)
{
	u64 now, wanted;

	vmwrite(VMCS_CR0_SHADOW, value);
	if (!v->service) {
		vmwrite(VMCS_GUEST_CR0, (value & ~CR0_CACHE) | AVMM_CR0_NE);
		return;
	}
	vmwrite(VMCS_GUEST_CR0, value | AVMM_CR0_NE);
	asm volatile("mov %%cr0, %0" : "=r"(now));
	wanted = (now & ~CR0_CACHE) | (value & CR0_CACHE);
	if (wanted != now)
		asm volatile("mov %0, %%cr0" : : "r"(wanted) : "memory");
}

static bool write_cr0(const struct vcpu *v, u64 value)
{
	u64 old = visible_cr0();
	u64 efer = vmread(VMCS_GUEST_EFER);
	u64 cr4 = vmread(VMCS_GUEST_CR4);
	bool pg = value & AVMM_CR0_PG;

	value = (value & CR0_DEFINED) | (value >> 32 << 32) | AVMM_CR0_ET;
	if (value >> 32 || (pg && !(value & AVMM_CR0_PE)) || ((value & AVMM_CR0_NW) && !(value & AVMM_CR0_CD)))
		return false;
	if (!(value & AVMM_CR0_WP) && (cr4 & AVMM_CR4_CET))
		return false;
	if (((old ^ value) & CR0_LOADS) && !load_pdptes(v, value, cr4, efer & AVMM_EFER_LME))
		return false;
	if (pg && !(old & AVMM_CR0_PG) && (efer & AVMM_EFER_LME)) {
		if (!(cr4 & AVMM_CR4_PAE) || (vmread(VMCS_GUEST_CS_AR) & CS_AR_L))
			return false;
		set_long_mode(true);
	} else if (!pg && (old & AVMM_CR0_PG) && (efer & AVMM_EFER_LMA)) {
		if ((vmread(VMCS_GUEST_CS_AR) & CS_AR_L) || (cr4 & AVMM_CR4_PCIDE))
			return false;
		set_long_mode(false);
	}
	set_cr0(v, value);
	if ((old ^ value) & (AVMM_CR0_PG | AVMM_CR0_WP | AVMM_CR0_PE))
		invvpid(INV_SINGLE_CONTEXT, vmread(VMCS_VPID));
	return true;
}

static bool write_cr4(const struct vcpu *v, u64 value)
{
	u64 old = vmread(VMCS_GUEST_CR4);
	u64 changed = old ^ value;	/* MCE and VMXE matter to nothing below */
	bool long_mode = vmread(VMCS_GUEST_EFER) & AVMM_EFER_LMA;

	/* FIXED1 has a 1 for every bit that this CPU knows; a user's vCPU has fewer */
	if (value & ~rdmsr(AVMM_MSR_VMX_CR4_FIXED1))
		return false;
	if (!v->service && (value & vmread(VMCS_CR4_MASK) & ~AVMM_CR4_MCE))
		return false;
	if (long_mode && ((changed & AVMM_CR4_LA57) || !(value & AVMM_CR4_PAE)))
		return false;
	if ((changed & value & AVMM_CR4_PCIDE) && (!long_mode || (vmread(VMCS_GUEST_CR3) & 0xfff)))
		return false;
	if ((value & AVMM_CR4_CET) && !(vmread(VMCS_GUEST_CR0) & AVMM_CR0_WP))
		return false;
	if ((changed & CR4_LOADS) && !load_pdptes(v, vmread(VMCS_GUEST_CR0), value, long_mode))
		return false;
	vmwrite(VMCS_CR4_SHADOW, value & vmread(VMCS_CR4_MASK));
	vmwrite(VMCS_GUEST_CR4, value | AVMM_CR4_VMXE | (v->service ? 0 : AVMM_CR4_MCE));
	if (changed & CR4_FLUSHES)
		invvpid(INV_SINGLE_CONTEXT, vmread(VMCS_VPID));
	return true;
}

void vmx_exit_cr_access(struct vcpu *v)
{
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);
	u64 value = guest_gpr(v, QUAL_GPR(q));
	bool ok = false;

	/* CLTS and LMSW never touch NE, reads never exit: only MOV to CR is left */
	if (QUAL_TYPE(q) == TYPE_MOV_TO && QUAL_CR(q) == 0)
		ok = write_cr0(v, value);
	else if (QUAL_TYPE(q) == TYPE_MOV_TO && QUAL_CR(q) == 4)
		ok = write_cr4(v, value);
	if (ok)
		vmx_skip_instruction();
	else
		vmx_inject_gp(v);
}

/*
 * Tried on the hardware, whose judgement of XCR0 values is the right one. The guest has CR4.OSXSAVE set, or it would
 * not have come here; the monitor's own CR4 has it from the launch.
 */
void vmx_exit_xsetbv(struct vcpu *v)
{
	if (!v->service && v->gpr[RCX] == 0 && !core_user_xcr0(v, v->gpr[RDX] << 32 | (u32)v->gpr[RAX])) {
		vmx_inject_gp(v);
		return;
	}
	if (xsetbv_safe((u32)v->gpr[RCX], (u32)v->gpr[RAX], (u32)v->gpr[RDX]))
		vmx_skip_instruction();
	else
		vmx_inject_gp(v);
}
