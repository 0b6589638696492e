// SPDX-License-Identifier: GPL-2.0-only
/*
 * The launch of a CPU: its present state becomes the guest state of a VMCS, the monitor's the host state; VMLAUNCH
 * goes on at the next instruction, in non-root operation. Each step before VMLAUNCH can be taken back; VMLAUNCH is the
 * point of no return. The way back is one hypercall.
 *
 * Interrupts are off throughout, so that nothing of the state changes in between. NMIs may come: before VMLAUNCH they
 * are Linux's own, after it the monitor's.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/asm.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <avmm/hypercall.h>
#include <avmm/x86.h>
#include <vmx/launch/launch.h>
#include <vmx/vmcs.h>

#define SERVICE_VPID	1
#define CR4_NOT_IN_ROOT	(AVMM_CR4_PGE | AVMM_CR4_CET | AVMM_CR4_PKS | AVMM_CR4_FRED)
#define RESET_DR7	0x400
#define MACHINE_CHECK	18
#define PROC2_XSAVES	(1u << 20)
#define PROC2_PCONFIG	(1u << 27)
#define ALL_CONTEXTS	2ul	/* type of INVEPT and INVVPID */

u32 vmx_launch_enter(void);
int vmx_trampoline_call(struct avmm_leave *leave, u64 cr3, u64 function, void *argument);
void vmx_trampoline_nmi(void);
void vmx_trampoline_mc(void);
void vmx_leave_raise(struct avmm_leave *leave);

static __always_inline void vmwrite(u64 field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

static __always_inline u64 vmread(u64 field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

/* A #GP, where VMX is locked off on a CPU that came after the check, fails like the rest. */
static __always_inline bool vmxon(u64 phys)
{
	asm goto("1: vmxon %0\n"
		 "jbe %l[fail]\n"
		 _ASM_EXTABLE(1b, %l[fail])
		 : : "m"(phys) : "cc", "memory" : fail);
	return true;
fail:
	return false;
}

/*
 * VMXON and VMXOFF need not drop what was cached under a VPID or an EPT pointer (Intel SDM volume 3, 29.4.3.3). An
 * earlier launch may have had the same two, and Linux has changed its page tables since.
 */
static __always_inline void drop_old_translations(void)
{
	static const u64 descriptor[2];

	asm volatile("invept %0, %1; invvpid %0, %1" : : "m"(descriptor), "r"(ALL_CONTEXTS) : "cc", "memory");
}

static __always_inline bool vmcs_load(u64 phys)
{
	bool fail;

	asm volatile("vmclear %1" : "=@ccbe"(fail) : "m"(phys) : "memory");
	if (fail)
		return false;
	asm volatile("vmptrld %1" : "=@ccbe"(fail) : "m"(phys) : "memory");
	return !fail;
}

static __always_inline u64 read_cr4_raw(void)
{
	u64 value;

	/* not Linux's shadow: the question is what the CPU has */
	asm volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static __always_inline void write_cr4_raw(u64 value)
{
	asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static __always_inline u64 rdmsr_raw(u32 number)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	return (u64)high << 32 | low;
}

static __always_inline u64 ticks(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

/* Access rights as the VMCS has them: LAR's bits 23:8, less the limit's part; a null selector is unusable. Base 0. */
static __always_inline void write_segment(unsigned int index, u16 selector)
{
	u32 rights = VMX_AR_UNUSABLE, limit = 0;

	if (selector & ~3) {
		asm volatile("lar %1, %0" : "=r"(rights) : "r"((u32)selector));
		asm volatile("lsl %1, %0" : "=r"(limit) : "r"((u32)selector));
		rights = rights >> 8 & 0xf0ff;
	}
	vmwrite(VMCS_GUEST_ES_SEL + 2 * index, selector);
	vmwrite(VMCS_GUEST_ES_AR + 2 * index, rights);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * index, limit);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * index, 0);
}

static u64 system_segment_base(const struct desc_ptr *gdtr, u16 selector)
{
	const struct ldttss_desc *d = (const void *)(gdtr->address + (selector & ~7));

	if (!(selector & ~3))
		return 0;
	return d->base0 | (u64)d->base1 << 16 | (u64)d->base2 << 24 | (u64)d->base3 << 32;
}

#define READ_SELECTOR(reg) ({ u16 sel_; asm volatile("mov %%" #reg ", %0" : "=rm"(sel_)); sel_; })

static void write_guest_segments(void)
{
	struct desc_ptr gdtr, idtr;
	u16 tr, ldtr;

	asm volatile("sgdt %0" : "=m"(gdtr));
	asm volatile("sidt %0" : "=m"(idtr));
	asm volatile("str %0" : "=rm"(tr));
	asm volatile("sldt %0" : "=rm"(ldtr));
	write_segment(0, READ_SELECTOR(es));
	write_segment(1, READ_SELECTOR(cs));
	write_segment(2, READ_SELECTOR(ss));
	write_segment(3, READ_SELECTOR(ds));
	write_segment(4, READ_SELECTOR(fs));
	write_segment(5, READ_SELECTOR(gs));
	write_segment(6, ldtr);
	write_segment(7, tr);
	vmwrite(VMCS_GUEST_FS_BASE, rdmsr_raw(AVMM_MSR_FS_BASE));
	vmwrite(VMCS_GUEST_GS_BASE, rdmsr_raw(AVMM_MSR_GS_BASE));
	vmwrite(VMCS_GUEST_LDTR_BASE, system_segment_base(&gdtr, ldtr));
	vmwrite(VMCS_GUEST_TR_BASE, system_segment_base(&gdtr, tr));
	vmwrite(VMCS_GUEST_GDTR_BASE, gdtr.address);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, gdtr.size);
	vmwrite(VMCS_GUEST_IDTR_BASE, idtr.address);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, idtr.size);
}

static void write_guest_registers(const struct vmx_launch *l, u64 cr4)
{
	const struct vmx_controls *c = &l->controls;
	u64 cr0, cr3, dr7, rflags;

	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %%cr3, %0" : "=r"(cr3));
	asm volatile("mov %%dr7, %0" : "=r"(dr7));
	asm volatile("pushf; pop %0" : "=r"(rflags));
	vmwrite(VMCS_GUEST_CR0, cr0);
	vmwrite(VMCS_GUEST_CR3, cr3);
	vmwrite(VMCS_GUEST_CR4, cr4 | AVMM_CR4_VMXE);
	vmwrite(VMCS_CR0_MASK, AVMM_CR0_NE);
	vmwrite(VMCS_CR0_SHADOW, cr0);
	vmwrite(VMCS_CR4_MASK, AVMM_CR4_VMXE);
	vmwrite(VMCS_CR4_SHADOW, 0);
	vmwrite(VMCS_GUEST_DR7, dr7);
	vmwrite(VMCS_GUEST_RFLAGS, rflags);
	vmwrite(VMCS_GUEST_SYSENTER_CS, rdmsr_raw(AVMM_MSR_SYSENTER_CS));
	vmwrite(VMCS_GUEST_SYSENTER_ESP, rdmsr_raw(AVMM_MSR_SYSENTER_ESP));
	vmwrite(VMCS_GUEST_SYSENTER_EIP, rdmsr_raw(AVMM_MSR_SYSENTER_EIP));
	vmwrite(VMCS_GUEST_EFER, rdmsr_raw(AVMM_MSR_EFER));
	vmwrite(VMCS_GUEST_PAT, rdmsr_raw(AVMM_MSR_PAT));
	vmwrite(VMCS_GUEST_DEBUGCTL, rdmsr_raw(AVMM_MSR_DEBUGCTL));
	vmwrite(VMCS_LINK_POINTER, ~0ull);
	if (c->entry & VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL)
		vmwrite(VMCS_GUEST_PERF_GLOBAL_CTRL, rdmsr_raw(AVMM_MSR_PERF_GLOBAL_CTRL));
	if (c->entry & VMX_ENTRY_LOAD_CET) {
		vmwrite(VMCS_GUEST_S_CET, rdmsr_raw(AVMM_MSR_S_CET));
		vmwrite(VMCS_GUEST_SSP, 0);
		vmwrite(VMCS_GUEST_INTR_SSP_TABLE, l->shadow_stacks ? rdmsr_raw(AVMM_MSR_INTR_SSP_TABLE) : 0);
	}
	if (c->entry & VMX_ENTRY_LOAD_PKRS)
		vmwrite(VMCS_GUEST_PKRS, rdmsr_raw(AVMM_MSR_PKRS));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
}

static void write_host(const struct vmx_launch *l, const struct avmm_cpu_boot *boot, u64 cr4)
{
	u64 cr0;

	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	vmwrite(VMCS_HOST_CR0, cr0);
	vmwrite(VMCS_HOST_CR3, l->info->cr3);
	vmwrite(VMCS_HOST_CR4, (cr4 & ~CR4_NOT_IN_ROOT) | AVMM_CR4_VMXE);
	vmwrite(VMCS_HOST_ES_SEL, 0);
	vmwrite(VMCS_HOST_CS_SEL, AVMM_SEL_CS);
	vmwrite(VMCS_HOST_SS_SEL, AVMM_SEL_DS);
	vmwrite(VMCS_HOST_DS_SEL, 0);
	vmwrite(VMCS_HOST_FS_SEL, 0);
	vmwrite(VMCS_HOST_GS_SEL, 0);
	vmwrite(VMCS_HOST_TR_SEL, AVMM_SEL_TSS);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_GS_BASE, boot->host_gs_base);
	vmwrite(VMCS_HOST_TR_BASE, boot->host_tr_base);
	vmwrite(VMCS_HOST_GDTR_BASE, boot->host_gdtr_base);
	vmwrite(VMCS_HOST_IDTR_BASE, boot->host_idtr_base);
	/* nobody uses these in root operation: with Linux's in force the way back has nothing to write */
	vmwrite(VMCS_HOST_SYSENTER_CS, rdmsr_raw(AVMM_MSR_SYSENTER_CS));
	vmwrite(VMCS_HOST_SYSENTER_ESP, rdmsr_raw(AVMM_MSR_SYSENTER_ESP));
	vmwrite(VMCS_HOST_SYSENTER_EIP, rdmsr_raw(AVMM_MSR_SYSENTER_EIP));
	vmwrite(VMCS_HOST_EFER, rdmsr_raw(AVMM_MSR_EFER));
	vmwrite(VMCS_HOST_PAT, rdmsr_raw(AVMM_MSR_PAT));
	if (l->controls.exit & VMX_EXIT_LOAD_PERF_GLOBAL_CTRL)
		vmwrite(VMCS_HOST_PERF_GLOBAL_CTRL, 0);
	if (l->controls.exit & VMX_EXIT_LOAD_CET) {
		vmwrite(VMCS_HOST_S_CET, 0);
		vmwrite(VMCS_HOST_SSP, 0);
		vmwrite(VMCS_HOST_INTR_SSP_TABLE, 0);
	}
	if (l->controls.exit & VMX_EXIT_LOAD_PKRS)
		vmwrite(VMCS_HOST_PKRS, 0);
	vmwrite(VMCS_HOST_RSP, boot->host_rsp);
	vmwrite(VMCS_HOST_RIP, boot->host_rip);
}

static void write_controls(const struct vmx_launch *l, const struct avmm_cpu_boot *boot)
{
	const struct vmx_controls *c = &l->controls;
	u32 n = l->info->msr_count;

	vmwrite(VMCS_PIN_CONTROLS, c->pin);
	vmwrite(VMCS_PROC_CONTROLS, c->proc);
	vmwrite(VMCS_PROC_CONTROLS2, c->proc2);
	vmwrite(VMCS_EXIT_CONTROLS, c->exit);
	vmwrite(VMCS_ENTRY_CONTROLS, c->entry);
	if (c->proc2 & PROC2_XSAVES)
		vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
	if (c->proc2 & PROC2_PCONFIG)
		vmwrite(VMCS_PCONFIG_EXITING_BITMAP, 0);
	vmwrite(VMCS_EXCEPTION_BITMAP, 0);
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	vmwrite(VMCS_EPTP, l->info->eptp);
	vmwrite(VMCS_VPID, SERVICE_VPID);
	vmwrite(VMCS_MSR_BITMAP, l->info->msr_bitmap_phys);
	vmwrite(VMCS_EXIT_MSR_STORE_ADDR, boot->msr_store_phys);
	vmwrite(VMCS_ENTRY_MSR_LOAD_ADDR, boot->msr_store_phys);
	vmwrite(VMCS_EXIT_MSR_LOAD_ADDR, boot->msr_host_phys);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, n);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, n);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, n);
}

/* The switched MSRs' present values. This CPU is native: its stores still reach monitor memory. */
static void fill_msr_area(const struct vmx_launch *l, const struct avmm_cpu_boot *boot)
{
	struct avmm_msr_entry *area = phys_to_virt(boot->msr_store_phys);
	u32 i;

	for (i = 0; i < l->info->msr_count; i++)
		area[i].value = rdmsr_raw(area[i].number);
}

static bool fails_at(const struct vmx_launch *l, u32 cpu, enum vmx_launch_step step)
{
	return l->fail_cpu == (int)cpu && l->fail_step == step;
}

/* In VMX root operation, VMCS loaded. Ends in non-root operation, or back on the bare machine after a failed entry. */
static enum vmx_launch_error enter(const struct vmx_launch *l, u32 cpu, u64 cr4, u32 *detail)
{
	const struct avmm_cpu_boot *boot = &l->info->cpu[cpu];

	fill_msr_area(l, boot);
	/* what an earlier life of this CPU in the same monitor has left behind: events, and that it was leaving */
	*(u64 *)phys_to_virt(boot->fresh_phys) = 0;
	write_controls(l, boot);
	write_host(l, boot, cr4);
	write_guest_segments();
	write_guest_registers(l, cr4);
	if (fails_at(l, cpu, VMX_STEP_VMLAUNCH))
		vmwrite(VMCS_HOST_CS_SEL, 0);
	if (fails_at(l, cpu, VMX_STEP_ENTRY))
		vmwrite(VMCS_LINK_POINTER, 1);

	/* point of no return: the monitor has this CPU from here on */
	*detail = vmx_launch_enter();
	if (!*detail)
		return VMX_LAUNCH_OK;
	if (*detail != ~0u)
		return VMX_LAUNCH_ENTRY;
	*detail = vmread(VMCS_INSTR_ERROR);
	asm volatile("vmclear %0; vmxoff" : : "m"(boot->vmcs_phys) : "cc", "memory");
	return VMX_LAUNCH_VMLAUNCH;
}

static enum vmx_launch_error launch(const struct vmx_launch *l, u32 cpu, u32 *detail)
{
	const struct avmm_cpu_boot *boot = &l->info->cpu[cpu];
	u64 cr4 = read_cr4_raw();
	enum vmx_launch_error error;

	if (cr4 & AVMM_CR4_VMXE)
		return VMX_LAUNCH_HELD;
	if (l->feature_control && !(rdmsr_raw(AVMM_MSR_FEATURE_CONTROL) & AVMM_FEATURE_CONTROL_LOCK))
		native_wrmsrl(AVMM_MSR_FEATURE_CONTROL, rdmsr_raw(AVMM_MSR_FEATURE_CONTROL) | l->feature_control);
	write_cr4_raw(cr4 | AVMM_CR4_VMXE);
	if (fails_at(l, cpu, VMX_STEP_VMXON) || !vmxon(boot->vmxon_phys)) {
		write_cr4_raw(cr4);
		*detail = l->fail_step;
		return fails_at(l, cpu, VMX_STEP_VMXON) ? VMX_LAUNCH_INJECTED : VMX_LAUNCH_VMXON;
	}
	drop_old_translations();
	if (!vmcs_load(boot->vmcs_phys)) {
		asm volatile("vmxoff" : : : "cc", "memory");
		write_cr4_raw(cr4);
		return VMX_LAUNCH_VMCS;
	}
	error = enter(l, cpu, cr4, detail);
	if (error == VMX_LAUNCH_VMLAUNCH)
		write_cr4_raw(cr4);
	return error;
}

void vmx_launch_cpu(const struct vmx_launch *l, u32 cpu, struct vmx_launch_result *result)
{
	u64 start = ticks();

	result->detail = 0;
	result->error = launch(l, cpu, &result->detail);
	if (result->error == VMX_LAUNCH_OK && fails_at(l, cpu, VMX_STEP_AFTER)) {
		vmx_leave_cpu();
		result->error = VMX_LAUNCH_INJECTED;
		result->detail = l->fail_step;
	}
	result->ticks = ticks() - start;
}

s64 vmx_hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx)
{
	s64 result;

	asm volatile("1: vmcall\n2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_IMM_REG | EX_DATA_IMM(-ENOSYS), %%rax)
		     : "=a"(result) : "a"(number), "b"(rbx), "c"(rcx), "d"(rdx) : "memory", "cc");
	return result;
}

u64 vmx_leave_cpu(void)
{
	u64 start = ticks();

	vmx_hypercall(AVMM_HC_LEAVE, 0, 0, 0);
	return ticks() - start;
}

const char *vmx_launch_error_text(enum vmx_launch_error error)
{
	static const char *const text[] = {
		[VMX_LAUNCH_OK] = "launched",
		[VMX_LAUNCH_HELD] = "CR4.VMXE is set: another hypervisor holds VMX",
		[VMX_LAUNCH_VMXON] = "VMXON failed: locked off by firmware on this CPU?",
		[VMX_LAUNCH_VMCS] = "VMCLEAR or VMPTRLD failed",
		[VMX_LAUNCH_VMLAUNCH] = "VMLAUNCH failed, VM-instruction error",
		[VMX_LAUNCH_ENTRY] = "VM entry failed, exit reason",
		[VMX_LAUNCH_INJECTED] = "failure injected by fail_step",
	};

	return error < ARRAY_SIZE(text) ? text[error] : "?";
}

static void set_gate(struct avmm_leave *leave, unsigned int vector, void (*handler)(void))
{
	u64 offset = (u64)handler;

	leave->idt[vector].low = (offset & 0xffff) | (u64)__KERNEL_CS << 16 | 0x8e00ull << 32 |
				 (offset >> 16 & 0xffff) << 48;
	leave->idt[vector].high = offset >> 32;
}

static void check_layout(void)
{
#define AT(field, value) BUILD_BUG_ON(offsetof(struct avmm_leave, field) != (value))
	AT(gdt, AVMM_LEAVE_GDT);
	AT(idt, AVMM_LEAVE_IDT);
	AT(gdtr, AVMM_LEAVE_GDTR);
	AT(idtr, AVMM_LEAVE_IDTR);
	AT(nmi, AVMM_LEAVE_NMI);
	AT(mc, AVMM_LEAVE_MC);
	AT(gpr, AVMM_LEAVE_GPR);
	AT(rip, AVMM_LEAVE_RIP);
	AT(cr0, AVMM_LEAVE_CR0);
	AT(dr7, AVMM_LEAVE_DR7);
	AT(linux_gdtr, AVMM_LEAVE_LINUX_GDTR);
	AT(linux_idtr, AVMM_LEAVE_LINUX_IDTR);
	AT(sel, AVMM_LEAVE_SEL);
	AT(gs_base, AVMM_LEAVE_GS_BASE);
	AT(fs_base, AVMM_LEAVE_FS_BASE);
	AT(msr, AVMM_LEAVE_MSRS);
#undef AT
	BUILD_BUG_ON(AVMM_SEL_CS != __KERNEL_CS || AVMM_SEL_DS != __KERNEL_DS || AVMM_SEL_TSS != GDT_ENTRY_TSS * 8);
	BUILD_BUG_ON(GDT_SIZE > sizeof_field(struct avmm_leave, gdt));
}

void vmx_leave_page_init(struct avmm_leave *leave)
{
	struct desc_ptr gdtr;

	check_layout();
	asm volatile("sgdt %0" : "=m"(gdtr));
	memcpy(leave->gdt, (void *)gdtr.address, GDT_SIZE);
	leave->gdtr = (struct avmm_desc_ptr){ sizeof(leave->gdt) - 1, (u64)leave->gdt };
	leave->idtr = (struct avmm_desc_ptr){ sizeof(leave->idt) - 1, (u64)leave->idt };
	set_gate(leave, 2, vmx_trampoline_nmi);
	set_gate(leave, MACHINE_CHECK, vmx_trampoline_mc);
}

int vmx_call_monitor(struct avmm_leave *leave, u64 cr3, u64 function, void *argument)
{
	int err = vmx_trampoline_call(leave, cr3, function, argument);

	vmx_leave_raise(leave);
	return err;
}
