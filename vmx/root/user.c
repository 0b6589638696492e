// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMCS of a user's vCPU. The host state is the service's, read from the VMCS that is loaded; the controls are what
 * this CPU must have, plus what we want, minus what it cannot (Intel SDM volume 3, appendix A).
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/user.h>

#define MSR_VMX_MISC		0x485
#define MSR_VMX_PROC2		0x48b
#define MSR_VMX_TRUE_PIN	0x48d	/* then processor, exit, entry */

#define WANT_PIN	(VMX_PIN_EXTERNAL_INTERRUPT | VMX_PIN_NMI | VMX_PIN_VIRTUAL_NMI | VMX_PIN_PREEMPTION_TIMER)
#define WANT_PROC	(VMX_PROC_TSC_OFFSETTING | VMX_PROC_HLT | VMX_PROC_MWAIT | VMX_PROC_RDPMC | VMX_PROC_TPR_SHADOW | \
			 VMX_PROC_IO | VMX_PROC_MSR_BITMAPS | VMX_PROC_MONITOR | VMX_PROC_SECONDARY)
#define WANT_EXCEPTIONS	(1u << 1 | 1u << 17 | 1u << 18)	/* #DB, #AC, #MC: see user-exit.c */
#define WANT_PROC2	(VMX_PROC2_EPT | VMX_PROC2_VPID | VMX_PROC2_UNRESTRICTED)
#define WANT_APICV	(VMX_PROC2_APIC_ACCESSES | VMX_PROC2_APIC_REGISTERS | VMX_PROC2_INTERRUPT_DELIVERY)
#define LIKE_PROC2	(VMX_PROC2_RDTSCP | VMX_PROC2_WBINVD | VMX_PROC2_INVPCID | VMX_PROC2_XSAVES)

#define CR0_START	(AVMM_CR0_PE | AVMM_CR0_ET | AVMM_CR0_NE | AVMM_CR0_WP | AVMM_CR0_PG)
#define CR0_RESET	(AVMM_CR0_CD | AVMM_CR0_NW | AVMM_CR0_ET)
/* NE must be set in VMX operation; CD and NW are the machine's, and would turn off its caches: the guest has a shadow. */
#define CR0_OURS	(AVMM_CR0_NE | AVMM_CR0_CD | AVMM_CR0_NW)
/*
 * CR4: bits 0 to 11, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP, PKE. The others, also those that nobody knows yet, turn on
 * what a user's vCPU does not have, or what the switch does not carry: refused as reserved. MCE stays set under a guest
 * that has it clear, or a machine check would shut the machine down.
 */
#define CR4_USERS	0x770ffful
/* TSC ticks: two PAUSEs of a loop are not farther apart, and a loop that runs for so long is one that waits. */
#define PLE_GAP		128
#define PLE_WINDOW	4096
#define PLE_WINDOW_MAX	(1u << 22)
#define PAT_RESET	0x0007040600070406ull
#define RESET_DR7	0x400
#define RESET_SEL	0xf000
#define RESET_BASE	0xffff0000u
#define RESET_RIP	0xfff0
#define AR_CODE16	0x9b
#define AR_DATA16	0x93
#define AR_LDT		0x82
#define AR_CODE64	0xa09b
#define AR_DATA		0xc093
#define AR_BUSY_TSS	0x8b
#define FLAT_LIMIT	0xffffffffu
#define RFLAGS_IF	(1u << 9)
#define BITMAP_WRITE	2048
#define LEAF7_IBRS	(1u << 26)	/* EDX; and IBPB */
#define LEAF7_STIBP	(1u << 27)
#define LEAF7_FLUSH	(1u << 28)
#define LEAF7_SSBD	(1u << 31)
#define MSR_SPEC_CTRL	0x48
#define MSR_PRED_CMD	0x49
#define MSR_FLUSH_CMD	0x10b
#define BITMAP_HIGH	1024
#define MSR_X2APIC	0x800

static bool allowed(u32 msr, u32 bits)
{
	return !(bits & ~(rdmsr(msr) >> 32));
}

static u32 adjust(u32 msr, u32 bits)
{
	u64 cap = rdmsr(msr);

	return (bits | (u32)cap) & (u32)(cap >> 32);
}

const char *user_lacks(void)
{
	if (!allowed(MSR_VMX_TRUE_PIN, VMX_PIN_PREEMPTION_TIMER))
		return "VMX-preemption timer";
	if (!allowed(MSR_VMX_TRUE_PIN, WANT_PIN))
		return "external-interrupt exiting";
	if (!allowed(MSR_VMX_TRUE_PIN + 1, VMX_PROC_TPR_SHADOW))
		return "use TPR shadow";
	if (!allowed(MSR_VMX_TRUE_PIN + 1, WANT_PROC))
		return "HLT, MWAIT or I/O exiting";
	return NULL;
}

bool user_can_reset(void)
{
	return allowed(MSR_VMX_PROC2, VMX_PROC2_UNRESTRICTED);
}

bool user_has_apicv(void)
{
	return allowed(MSR_VMX_PROC2, WANT_APICV);
}

bool user_has_x2apic(void)
{
	return allowed(MSR_VMX_PROC2, VMX_PROC2_X2APIC);
}

bool user_has_posted(void)
{
	return user_has_apicv() && allowed(MSR_VMX_TRUE_PIN, VMX_PIN_POSTED) &&
	       allowed(MSR_VMX_TRUE_PIN + 2, VMX_EXIT_ACKNOWLEDGE);
}

static const u16 host_fields[] = {
	VMCS_HOST_ES_SEL, VMCS_HOST_CS_SEL, VMCS_HOST_SS_SEL, VMCS_HOST_DS_SEL, VMCS_HOST_FS_SEL, VMCS_HOST_GS_SEL,
	VMCS_HOST_TR_SEL, VMCS_HOST_PAT, VMCS_HOST_EFER, VMCS_HOST_SYSENTER_CS, VMCS_HOST_CR0, VMCS_HOST_CR3,
	VMCS_HOST_CR4, VMCS_HOST_FS_BASE, VMCS_HOST_GS_BASE, VMCS_HOST_TR_BASE, VMCS_HOST_GDTR_BASE,
	VMCS_HOST_IDTR_BASE, VMCS_HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_EIP, VMCS_HOST_RIP,
	/* the controls that say how the host state is loaded and the guest's is kept */
	VMCS_EXIT_CONTROLS, VMCS_ENTRY_CONTROLS,
};

#define HOST_FIELDS (sizeof(host_fields) / sizeof(host_fields[0]))

static void write_zeroes(void)
{
	static const u16 zero[] = {
		VMCS_PF_ERROR_MASK, VMCS_PF_ERROR_MATCH, VMCS_CR3_TARGET_COUNT,
		VMCS_ENTRY_INTR_INFO, VMCS_EXIT_MSR_STORE_COUNT, VMCS_ENTRY_MSR_LOAD_COUNT,
		VMCS_EXIT_MSR_LOAD_COUNT, VMCS_TPR_THRESHOLD, VMCS_GUEST_DEBUGCTL, VMCS_GUEST_SYSENTER_CS,
		VMCS_GUEST_SYSENTER_ESP, VMCS_GUEST_SYSENTER_EIP, VMCS_GUEST_INTERRUPTIBILITY,
		VMCS_GUEST_ACTIVITY, VMCS_GUEST_PENDING_DEBUG, VMCS_GUEST_RSP, VMCS_GUEST_IDTR_BASE,
		VMCS_GUEST_IDTR_LIMIT,
		/* not on every CPU: there the write fails, and nobody looks at the field */
		VMCS_GUEST_PERF_GLOBAL_CTRL, VMCS_XSS_EXITING_BITMAP,
	};
	unsigned int i;

	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		vmwrite(zero[i], 0);
}

static void write_segments(const struct user_setup *s)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		bool data = i < 6 && i != 1;

		vmwrite(VMCS_GUEST_ES_SEL + 2 * i, i == 1 ? AVMM_SEL_CS : data ? AVMM_SEL_DS : 0);
		vmwrite(VMCS_GUEST_ES_BASE + 2 * i, 0);
		vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, i < 6 ? FLAT_LIMIT : 0xffff);
		vmwrite(VMCS_GUEST_ES_AR + 2 * i,
			i == 1 ? AR_CODE64 : data ? AR_DATA : i == 6 ? VMX_AR_UNUSABLE : AR_BUSY_TSS);
	}
	vmwrite(VMCS_GUEST_GDTR_BASE, s->gdt_base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, s->gdt_limit);
}

/* Intel SDM volume 3, table 10-1. */
static void write_reset_segments(void)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		vmwrite(VMCS_GUEST_ES_SEL + 2 * i, i == 1 ? RESET_SEL : 0);
		vmwrite(VMCS_GUEST_ES_BASE + 2 * i, i == 1 ? RESET_BASE : 0);
		vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, 0xffff);
		vmwrite(VMCS_GUEST_ES_AR + 2 * i,
			i == 1 ? AR_CODE16 : i < 6 ? AR_DATA16 : i == 6 ? AR_LDT : AR_BUSY_TSS);
	}
	vmwrite(VMCS_GUEST_GDTR_BASE, 0);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
}

static void write_registers(const struct user_setup *s)
{
	vmwrite(VMCS_GUEST_CR0, s->reset ? AVMM_CR0_ET | AVMM_CR0_NE : CR0_START);
	vmwrite(VMCS_CR0_MASK, CR0_OURS);
	vmwrite(VMCS_CR0_SHADOW, s->reset ? CR0_RESET : CR0_START);
	vmwrite(VMCS_GUEST_CR3, s->reset ? 0 : s->cr3);
	vmwrite(VMCS_GUEST_CR4, (s->reset ? 0 : AVMM_CR4_PAE) | AVMM_CR4_VMXE | AVMM_CR4_MCE);
	vmwrite(VMCS_CR4_SHADOW, 0);
	vmwrite(VMCS_CR4_MASK, ~CR4_USERS | AVMM_CR4_MCE);
	vmwrite(VMCS_GUEST_EFER, s->reset ? 0 : AVMM_EFER_LME | AVMM_EFER_LMA);
	vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	vmwrite(VMCS_GUEST_DR7, RESET_DR7);
	vmwrite(VMCS_GUEST_RFLAGS, 2);
	vmwrite(VMCS_GUEST_RIP, s->reset ? RESET_RIP : s->rip);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
}

static void write_apicv(const struct user_setup *s)
{
	u32 i;

	vmwrite(VMCS_PROC_CONTROLS2, vmread(VMCS_PROC_CONTROLS2) | VMX_PROC2_INTERRUPT_DELIVERY);
	vmwrite(VMCS_APIC_ACCESS, s->apic_access);
	user_set_interrupt_status(0, 0);
	for (i = 0; i < 4; i++)
		user_set_eoi_exits(i, 0);
	user_set_apic(USER_APIC_XAPIC, s->msr_bitmap);
	if (!s->posted)
		return;
	vmwrite(VMCS_PIN_CONTROLS, vmread(VMCS_PIN_CONTROLS) | VMX_PIN_POSTED);
	vmwrite(VMCS_EXIT_CONTROLS, vmread(VMCS_EXIT_CONTROLS) | VMX_EXIT_ACKNOWLEDGE);
	vmwrite(VMCS_POSTED_VECTOR, s->posted_vector);
	vmwrite(VMCS_POSTED_DESCRIPTOR, s->posted);
}

static void write_controls(const struct vcpu *v, const struct user_setup *s)
{
	u32 proc = (s->dedicated ? WANT_PROC & ~VMX_PROC_HLT : WANT_PROC) | (s->io_bitmap ? VMX_PROC_IO_BITMAPS : 0);

	vmwrite(VMCS_PIN_CONTROLS, adjust(MSR_VMX_TRUE_PIN, WANT_PIN));
	vmwrite(VMCS_PROC_CONTROLS, adjust(MSR_VMX_TRUE_PIN + 1, proc));
	vmwrite(VMCS_IO_BITMAP_A, s->io_bitmap);
	vmwrite(VMCS_IO_BITMAP_B, s->io_bitmap ? s->io_bitmap + AVMM_PAGE_SIZE : 0);
	vmwrite(VMCS_PROC_CONTROLS2, adjust(MSR_VMX_PROC2, WANT_PROC2 | LIKE_PROC2));
	if (s->yields && allowed(MSR_VMX_PROC2, VMX_PROC2_PAUSE_LOOP)) {
		vmwrite(VMCS_PROC_CONTROLS2, vmread(VMCS_PROC_CONTROLS2) | VMX_PROC2_PAUSE_LOOP);
		vmwrite(VMCS_PLE_GAP, PLE_GAP);
		vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	vmwrite(VMCS_EXCEPTION_BITMAP, WANT_EXCEPTIONS);
	vmwrite(VMCS_EPTP, s->eptp);
	vmwrite(VMCS_VPID, s->vpid);
	vmwrite(VMCS_MSR_BITMAP, s->msr_bitmap);
	vmwrite(VMCS_VIRTUAL_APIC, s->virtual_apic);
	if (s->apic_access)
		write_apicv(s);
	vmwrite(VMCS_TSC_OFFSET, 0);
	vmwrite(VMCS_HOST_RSP, (u64)&v->gpr[16]);
}

void user_setup(struct vcpu *v, const struct user_setup *s)
{
	u64 host[HOST_FIELDS], entry, now = v->cpu->current->vmcs_phys;
	unsigned int i;

	for (i = 0; i < HOST_FIELDS; i++)
		host[i] = vmread(host_fields[i]);
	vmclear(v->vmcs_phys);
	asm volatile("vmptrld %0" : : "m"(v->vmcs_phys) : "cc", "memory");
	for (i = 0; i < HOST_FIELDS; i++)
		vmwrite(host_fields[i], host[i]);
	/* CET and PKRS are off at exit, and off they stay */
	entry = vmread(VMCS_ENTRY_CONTROLS) & ~(u64)(VMX_ENTRY_LOAD_CET | VMX_ENTRY_LOAD_PKRS | VMX_ENTRY_IA32E_GUEST);
	vmwrite(VMCS_ENTRY_CONTROLS, s->reset ? entry : entry | VMX_ENTRY_IA32E_GUEST);
	write_zeroes();
	write_controls(v, s);
	if (s->reset)
		write_reset_segments();
	else
		write_segments(s);
	write_registers(s);
	if (s->idle)
		vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_HLT);
	invvpid(INV_SINGLE_CONTEXT, s->vpid);
	v->launched = 0;
	asm volatile("vmptrld %0" : : "m"(now) : "cc", "memory");
}

static void pass_read(u8 *bitmap, u32 number)
{
	bitmap[(number >> 31 ? BITMAP_HIGH : 0) + (number & 0x1fff) / 8] &= ~(1u << (number % 8));
}

static void pass(u8 *bitmap, u32 number)
{
	pass_read(bitmap, number);
	pass_read(bitmap + BITMAP_WRITE, number);
}

/*
 * What hardware holds per VMCS, and what the world switch carries (switch.c); SPEC_CTRL and the like where present. Of the
 * MSRs that a kernel writes once, only reads pass: then the switch to the service need not read them.
 */
void user_msr_bitmap(u8 *bitmap)
{
	static const u32 passed[] = {
		0xc0000080, 0xc0000100, 0xc0000101, 0xc0000102,
		AVMM_MSR_SYSENTER_CS, AVMM_MSR_SYSENTER_ESP, AVMM_MSR_SYSENTER_EIP, AVMM_MSR_PAT,
	};
	static const u32 once[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000103 };
	unsigned int i;
	u64 r[4];

	for (i = 0; i < AVMM_PAGE_SIZE; i++)
		((volatile u8 *)bitmap)[i] = 0xff;
	for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		pass(bitmap, passed[i]);
	for (i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		pass_read(bitmap, once[i]);
	/* those of speculation, where the guest's CPUID shows the CPU's bit; PRED_CMD and FLUSH_CMD keep nothing */
	cpuid(7, 0, r);
	if (r[3] & (LEAF7_IBRS | LEAF7_STIBP | LEAF7_SSBD))
		pass(bitmap, MSR_SPEC_CTRL);
	if (r[3] & LEAF7_IBRS)
		pass(bitmap, MSR_PRED_CMD);
	if (r[3] & LEAF7_FLUSH)
		pass(bitmap, MSR_FLUSH_CMD);
}

/*
 * Registers that exist and that the CPU keeps, table 30-1 and 30.5: not the current count, which is no memory. It checks
 * writes of TPR, EOI and SELF IPI as bare hardware would.
 */
void user_msr_bitmap_x2apic(u8 *bitmap)
{
	static const u64 readable = 1ull << 0x02 | 1ull << 0x03 | 1ull << 0x08 | 1ull << 0x0a | 1ull << 0x0d | 1ull << 0x0f |
				    0xffffffull << 0x10 | 1ull << 0x28 | 1ull << 0x30 | 0x7full << 0x32 | 1ull << 0x3e;
	u32 i;

	user_msr_bitmap(bitmap);
	for (i = 0; i < 64; i++)
		if (readable >> i & 1)
			pass_read(bitmap, MSR_X2APIC + i);
	pass_read(bitmap + BITMAP_WRITE, MSR_X2APIC + 0x08);
	pass_read(bitmap + BITMAP_WRITE, MSR_X2APIC + 0x0b);
	pass_read(bitmap + BITMAP_WRITE, MSR_X2APIC + 0x3f);
}

void user_set_apic(enum user_apic mode, u64 msr_bitmap)
{
	u64 proc2 = vmread(VMCS_PROC_CONTROLS2) &
		    ~(u64)(VMX_PROC2_APIC_ACCESSES | VMX_PROC2_X2APIC | VMX_PROC2_APIC_REGISTERS);

	if (mode == USER_APIC_XAPIC)
		proc2 |= VMX_PROC2_APIC_ACCESSES | VMX_PROC2_APIC_REGISTERS;
	else if (mode == USER_APIC_X2APIC)
		proc2 |= VMX_PROC2_X2APIC | VMX_PROC2_APIC_REGISTERS;
	vmwrite(VMCS_PROC_CONTROLS2, proc2);
	vmwrite(VMCS_MSR_BITMAP, msr_bitmap);
}

void user_set_interrupt_status(u32 rvi, u32 svi)
{
	vmwrite(VMCS_GUEST_INTR_STATUS, svi << 8 | rvi);
}

void user_set_requested(u32 rvi)
{
	vmwrite(VMCS_GUEST_INTR_STATUS, (vmread(VMCS_GUEST_INTR_STATUS) & ~0xffull) | rvi);
}

void user_set_eoi_exits(u32 i, u64 map)
{
	vmwrite(VMCS_EOI_EXIT + 2 * i, map);
}

bool user_can_take_interrupt(void)
{
	return (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) &&
	       !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (VMX_BLOCKING_STI | VMX_BLOCKING_MOV_SS)) &&
	       !(vmread(VMCS_ENTRY_INTR_INFO) & VMX_EVENT_VALID);
}

void user_inject_interrupt(u8 vector)
{
	vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | vector);
}

/* STI need not hold an NMI back, and its shadow ends with the delivery. */
bool user_can_take_nmi(void)
{
	return !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (VMX_BLOCKING_MOV_SS | VMX_BLOCKING_NMI)) &&
	       !(vmread(VMCS_ENTRY_INTR_INFO) & VMX_EVENT_VALID);
}

void user_inject_nmi(void)
{
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(u64)VMX_BLOCKING_STI);
	vmwrite(VMCS_ENTRY_INTR_INFO, VMX_EVENT_VALID | VMX_EVENT_NMI);
}

static void want_exit(u64 control, bool on)
{
	u64 old = vmread(VMCS_PROC_CONTROLS), new = on ? old | control : old & ~control;

	if (new != old)
		vmx_write_proc_controls(this_cpu(), new);
}

/* An NMI for the service wants the same exit: taking it away is its sender's business, too (vmx_recheck_events). */
void user_want_nmi_window(bool on)
{
	want_exit(VMX_PROC_NMI_WINDOW, on);
}

void user_want_window(bool on)
{
	want_exit(VMX_PROC_INTERRUPT_WINDOW, on);
}

void user_set_tpr_threshold(u32 class)
{
	vmwrite(VMCS_TPR_THRESHOLD, class);
}

void user_set_tsc_offset(u64 offset)
{
	vmwrite(VMCS_TSC_OFFSET, offset);
}

void user_spin_longer(bool longer)
{
	u64 window = vmread(VMCS_PLE_WINDOW);

	if (longer && window < PLE_WINDOW_MAX)
		vmwrite(VMCS_PLE_WINDOW, window * 2);
	else if (!longer && window != PLE_WINDOW)
		vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
}

void user_want_timer(bool on)
{
	u64 pin = vmread(VMCS_PIN_CONTROLS);

	vmwrite(VMCS_PIN_CONTROLS, on ? pin | VMX_PIN_PREEMPTION_TIMER : pin & ~(u64)VMX_PIN_PREEMPTION_TIMER);
}

void user_wake(void)
{
	if (vmread(VMCS_GUEST_ACTIVITY) != VMX_ACTIVITY_ACTIVE)
		vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_ACTIVE);
}

u32 user_timer_shift(void)
{
	return rdmsr(MSR_VMX_MISC) & 31;
}

void user_set_timer(struct user_timer *timer, u64 at, u64 now)
{
	u64 most = (u64)FLAT_LIMIT << timer->shift;

	if (at - now > most)
		at = now + most;
	timer->at = at;
	timer->end = ((at - 1) >> timer->shift) + 1;
	user_continue_timer(timer, now);
}

/* The timer's rest is saved at exits, where the CPU can: exits that do not decide then need not set it anew. */
void service_share(bool on)
{
	u64 pin = vmread(VMCS_PIN_CONTROLS), proc = vmread(VMCS_PROC_CONTROLS), exit = vmread(VMCS_EXIT_CONTROLS);

	if (on) {
		pin |= VMX_PIN_PREEMPTION_TIMER;
		proc |= VMX_PROC_HLT | VMX_PROC_MWAIT;
		if (allowed(MSR_VMX_TRUE_PIN + 2, VMX_EXIT_SAVE_TIMER))
			exit |= VMX_EXIT_SAVE_TIMER;
	} else {
		pin &= ~(u64)VMX_PIN_PREEMPTION_TIMER;
		proc &= ~(u64)(VMX_PROC_HLT | VMX_PROC_MWAIT);
		exit &= ~(u64)VMX_EXIT_SAVE_TIMER;
	}
	vmwrite(VMCS_PIN_CONTROLS, pin);
	vmwrite(VMCS_EXIT_CONTROLS, exit);
	vmx_write_proc_controls(this_cpu(), proc);
}

bool service_interruptible(void)
{
	return vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF;
}

void service_halt(bool on)
{
	vmwrite(VMCS_GUEST_ACTIVITY, on ? VMX_ACTIVITY_HLT : VMX_ACTIVITY_ACTIVE);
}

bool service_halted(void)
{
	return vmread(VMCS_GUEST_ACTIVITY) == VMX_ACTIVITY_HLT;
}
