// SPDX-License-Identifier: GPL-2.0-only
/*
 * The world switch. State that is the same on both sides costs a compare and no write. The state of the FPU is switched
 * as a whole under the service's XCR0, which is the most that the user may enable: so no register of one side is ever
 * left to the other.
 */
#include <avmm/x86.h>
#include <vmx/root/barriers.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/switch.h>
#include <vmx/vmcs.h>

#define MXCSR_RESET	0x1f80
#define MXCSR_AT	24
#define DR6_RESET	0xffff0ff0
#define MSR_PRED_CMD		0x49
#define MSR_ARCH_CAPABILITIES	0x10a
#define MSR_FLUSH_CMD		0x10b

#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_CSTAR	0xc0000083
#define MSR_FMASK	0xc0000084
#define MSR_KERNEL_GS	0xc0000102

static const u32 msr_table[SWITCH_MSRS] = {
	MSR_KERNEL_GS,
	0x48,		/* SPEC_CTRL */
	/* written once at boot: the user's writes exit, see switch_write_msr() */
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK,
	0xc0000103,	/* TSC_AUX */
	/* those that the user does not have */
	0x122,		/* TSX_CTRL */
	0xe1,		/* UMWAIT_CONTROL */
	0x33,		/* TEST_CTRL */
	0x1c4,		/* XFD */
	0x1c5,		/* XFD_ERR */
	0xda0,		/* XSS: 0 for the user, so that XSAVES gives it nothing of the service's */
};

static struct {
	u32 msr[SWITCH_MSRS];	/* those that this CPU has, packed; behind the first SWITCH_ALWAYS it may lack some */
	u32 users;		/* so many of these can the user write without an exit */
	u32 once;		/* … or at all */
	u32 count;
	u32 barriers;
	u64 xcr0;
} present;

static u64 xgetbv(u32 index)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static void xsetbv(u64 value)
{
	asm volatile("xsetbv" : : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
}

static void xsave(u8 *area)
{
	asm volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static void xrstor(const u8 *area)
{
	asm volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

u32 switch_xsave_size(void)
{
	u64 r[4];

	cpuid(0xd, 0, r);
	return r[1];
}

static u32 find_barriers(void)
{
	u64 r[4], arch;

	cpuid(7, 0, r);
	return barriers_needed((u32)r[3], rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch) ? arch : 0);
}

void switch_init(struct world *service, u64 *mask)
{
	u32 i;
	u64 value;

	present.count = 0;
	for (i = 0; i < SWITCH_MSRS; i++) {
		if (i == SWITCH_USERS)
			present.users = present.count;
		if (i == SWITCH_ONCE)
			present.once = present.count;
		if (rdmsr_safe(msr_table[i], &value))
			present.msr[present.count++] = msr_table[i];
	}
	present.barriers = find_barriers();
	present.xcr0 = xgetbv(0);
	service->xcr0 = present.xcr0;
	*mask = present.xcr0;
}

void switch_reset(struct world *w)
{
	u32 i;

	w->xcr0 = 1;
	w->cr2 = 0;
	w->dr6 = DR6_RESET;
	for (i = 0; i < 4; i++)
		w->dr[i] = 0;
	for (i = 0; i < SWITCH_MSRS; i++)
		w->msr[i] = 0;
	for (i = 0; i < switch_xsave_size(); i++)
		((volatile u8 *)w->xsave)[i] = 0;
	*(u32 *)(w->xsave + MXCSR_AT) = MXCSR_RESET;
}

u32 switch_find_msr(u32 number)
{
	u32 i;

	for (i = present.users; i < present.once; i++)
		if (present.msr[i] == number)
			return i;
	return SWITCH_MSRS;
}

bool switch_write_msr(struct world *w, u32 i, u64 value)
{
	if (!wrmsr_safe(present.msr[i], value))
		return false;
	w->msr[i] = value;
	w->differ |= 1u << i;
	return true;
}

static __attribute__((noinline)) void restore_others(const struct world *to, u32 differ)
{
	u32 i;

	for (; differ; differ &= differ - 1) {
		i = (u32)__builtin_ctz(differ);
		wrmsr(present.msr[i], to->msr[i]);
	}
}

#define SWITCH_MSR(i, number) do {				\
	u64 value = rdmsr(number);				\
								\
	from->msr[i] = value;					\
	if (unlikely(value != to->msr[i]))			\
		wrmsr(number, to->msr[i]);			\
} while (0)

/* What the user cannot write without an exit is what it was given: nothing is read, and mostly little is to be written. */
static inline void switch_msrs(struct world *from, struct world *to, bool to_user)
{
	u32 i, differ = 0;

	SWITCH_MSR(0, MSR_KERNEL_GS);
	for (i = SWITCH_ALWAYS; i < present.users; i++)
		SWITCH_MSR(i, present.msr[i]);
	if (!to_user) {
		if (from->differ)
			restore_others(to, from->differ);
		return;
	}
	for (; i < present.count; i++) {
		from->msr[i] = rdmsr(present.msr[i]);
		if (unlikely(from->msr[i] != to->msr[i])) {
			wrmsr(present.msr[i], to->msr[i]);
			differ |= 1u << i;
		}
	}
	to->differ = differ;
}

static inline void switch_fpu(struct world *from, const struct world *to)
{
	from->xcr0 = xgetbv(0);
	if (from->xcr0 != present.xcr0)
		xsetbv(present.xcr0);
	xsave(from->xsave);
	xrstor(to->xsave);
	if (to->xcr0 != present.xcr0)
		xsetbv(to->xcr0);
}

#define XMM_AT	160	/* in the legacy area, 16 bytes each */
#define XMM_COUNT	16
#define SSE_STATE	2u

/* Only the SSE component: the save area is the world's own and not in use while it is in the CPU. */
static void xmm_area(struct world *w, bool load)
{
	if (load)
		asm volatile("xrstor64 (%0)" : : "r"(w->xsave), "a"(SSE_STATE), "d"(0) : "memory");
	else
		asm volatile("xsave64 (%0)" : : "r"(w->xsave), "a"(SSE_STATE), "d"(0) : "memory");
}

void switch_get_xmm(struct world *w, unsigned int reg, u64 value[2])
{
	const u64 *xmm = (const u64 *)(w->xsave + XMM_AT) + 2 * (reg % XMM_COUNT);

	xmm_area(w, false);
	value[0] = xmm[0];
	value[1] = xmm[1];
}

void switch_set_xmm(struct world *w, unsigned int reg, const u64 value[2])
{
	u64 *xmm = (u64 *)(w->xsave + XMM_AT) + 2 * (reg % XMM_COUNT);
	u64 *xstate_bv = (u64 *)(w->xsave + 512);

	xmm_area(w, false);
	xmm[0] = value[0];
	xmm[1] = value[1];
	*xstate_bv |= SSE_STATE;
	xmm_area(w, true);
}

#define SWITCH_DR(n) do {						\
	asm volatile("mov %%dr" #n ", %0" : "=r"(from->dr[n]));		\
	if (unlikely(from->dr[n] != to->dr[n]))					\
		asm volatile("mov %0, %%dr" #n : : "r"(to->dr[n]));	\
} while (0)

static inline void switch_debug(struct world *from, const struct world *to)
{
	SWITCH_DR(0);
	SWITCH_DR(1);
	SWITCH_DR(2);
	SWITCH_DR(3);
	asm volatile("mov %%dr6, %0" : "=r"(from->dr6));
	if (from->dr6 != to->dr6)
		asm volatile("mov %0, %%dr6" : : "r"(to->dr6));
}

static __attribute__((noinline)) void do_barriers(bool to_user)
{
	static const u16 selector = AVMM_SEL_DS;

	if (present.barriers & BARRIER_IBPB)
		wrmsr(MSR_PRED_CMD, 1);
	if (!to_user)
		return;
	if (present.barriers & BARRIER_L1D)
		wrmsr(MSR_FLUSH_CMD, 1);
	/* the form with a memory operand: the one that microcode extends */
	if (present.barriers & BARRIER_VERW)
		asm volatile("verw %0" : : "m"(selector) : "cc");
}

static inline void switch_world(struct world *from, struct world *to, bool to_user)
{
	asm volatile("mov %%cr2, %0" : "=r"(from->cr2));
	/* XFD is 0 in the user's world: under the service's, XRSTOR of a state that it disables would be #NM */
	if (to_user)
		switch_msrs(from, to, true);
	switch_fpu(from, to);
	if (!to_user)
		switch_msrs(from, to, false);
	switch_debug(from, to);
	asm volatile("mov %0, %%cr2" : : "r"(to->cr2));
}

void vmx_switch(struct cpu *cpu, struct vcpu *to)
{
	if (to->world != cpu->current->world) {
		switch_world(cpu->current->world, to->world, !to->service);
		if (present.barriers)
			do_barriers(!to->service);
	}
	asm volatile("vmptrld %0" : : "m"(to->vmcs_phys) : "cc", "memory");
	cpu->current = to;
	vmx_recheck_events(cpu);
}
