// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID of the user partition: the machine's own CPU, less what the monitor does not virtualise. A row per leaf says
 * which bits pass and which are set; leaves without a row are empty.
 */
#include <avmm/hypercall.h>
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "partition.h"

#define ALL	0xffffffffu
#define ANY_SUB	0xffffffffu

#define TSC_DENOMINATOR	800
#define PDPTE_RESERVED	0x1e6ull
#define MAX_BASIC	0x16
#define XSAVE_LEGACY_SIZE 576	/* with the header */
#define MAX_EXTENDED	0x80000008u

struct cpuid_row {
	u32 leaf;
	u32 sub;
	u32 pass[4];	/* bits of EAX, EBX, ECX, EDX that the guest sees as the CPU has them */
	u32 set[4];
};

/* Leaf 1 ECX: without DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, SDBG, PDCM; OSXSAVE is the guest's CR4. */
#define LEAF1_ECX	(ALL & ~(0x1fcu | 1u << 11 | 1u << 15 | 1u << 27))
#define LEAF1_ECX_SET	(1u << 21 | 1u << 24 | 1u << 31)	/* x2APIC, TSC deadline, hypervisor */
/* … EDX: without DS, ACPI clock modulation, HTT, TM, PBE. */
#define LEAF1_EDX	(ALL & ~(1u << 21 | 1u << 22 | 1u << 28 | 1u << 29 | 1u << 31))
/* Leaf 7 EBX: without SGX, HLE, PQM, RTM, MPX, PQE, Intel PT. TSC_ADJUST is there. */
#define LEAF7_EBX	(ALL & ~(1u << 2 | 1u << 4 | 1u << 11 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 25))
/* … ECX: AVX-512 and other instructions, UMIP, PKU, RDPID; without OSPKE, WAITPKG, CET, TME, LA57, key locker, SGX. */
#define LEAF7_ECX	(1u << 1 | 1u << 2 | 1u << 3 | 0x5fu << 8 | 1u << 22 | 1u << 25 | 1u << 27 | 1u << 28)
/*
 * … EDX: AVX-512 additions, fast short REP MOV, MD_CLEAR, SERIALIZE, and what user_msr_bitmap() passes: SPEC_CTRL,
 * PRED_CMD, FLUSH_CMD, and ARCH_CAPABILITIES, which user-msr.c filters. Without AMX, CET, UINTR, PMU.
 */
#define LEAF7_EDX	(1u << 2 | 1u << 3 | 1u << 4 | 1u << 8 | 1u << 10 | 1u << 14 | 1u << 23 | 0xfu << 26 | 1u << 31)

static const struct cpuid_row rows[] = {
	{ 0x0, ANY_SUB, { 0, ALL, ALL, ALL }, { MAX_BASIC } },
	{ 0x1, ANY_SUB, { ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX }, { 0, 0, LEAF1_ECX_SET, 0 } },
	{ 0x2, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x4, ANY_SUB, { 0x000003ff, ALL, ALL, ALL }, { 0 } },
	{ 0x6, ANY_SUB, { 0 }, { 1u << 2 } },			/* the APIC timer never stops */
	{ 0x7, 0, { 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX }, { 0, 1u << 1, 0, 0 } },
	{ 0xd, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x80000000u, ANY_SUB, { 0, ALL, ALL, ALL }, { MAX_EXTENDED } },
	{ 0x80000001u, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x80000002u, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x80000003u, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x80000004u, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x80000006u, ANY_SUB, { ALL, ALL, ALL, ALL }, { 0 } },
	{ 0x80000007u, ANY_SUB, { 0 }, { 0, 0, 0, 1u << 8 } },	/* invariant TSC */
	{ 0x80000008u, ANY_SUB, { 0xffff, 0, 0, 0 }, { 0 } },
};

static const struct cpuid_row *find(u32 leaf, u32 sub)
{
	unsigned int i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].leaf == leaf && (rows[i].sub == ANY_SUB || rows[i].sub == sub))
			return &rows[i];
	return NULL;
}

static void set(u64 r[4], u32 a, u32 b, u32 c, u32 d)
{
	r[0] = a;
	r[1] = b;
	r[2] = c;
	r[3] = d;
}

/* Bytes of an XSAVE area with all states that the guest may enable; SDM volume 1, 13.5. */
static u32 largest_area(void)
{
	u64 r[4], end = XSAVE_LEGACY_SIZE;
	u32 i;

	for (i = 2; i < 63; i++) {
		if (!(user.xcr0_mask >> i & 1))
			continue;
		cpuid(0xd, i, r);
		if (r[0] + r[1] > end)
			end = r[0] + r[1];
	}
	return (u32)end;
}

/* Leaf Dh: no state beyond what the service has enabled, no supervisor state. Sizes in EBX follow the guest's XCR0. */
static void extended_states(u32 sub, u64 r[4])
{
	if (sub == 0) {
		r[0] &= (u32)user.xcr0_mask;
		r[3] &= user.xcr0_mask >> 32;
		r[2] = largest_area();
	} else if (sub == 1) {
		r[0] &= 0xf;
		r[2] = 0;
		r[3] = 0;
	} else if (sub > 63 || !(user.xcr0_mask >> sub & 1)) {
		set(r, 0, 0, 0, 0);
	}
}

static u32 tsc_numerator(void)
{
	return (u32)(((u64)machine.tsc_khz * TSC_DENOMINATOR + LOCAL_APIC_BUS_KHZ / 2) / LOCAL_APIC_BUS_KHZ);
}

/* Bits of an APIC ID that number the cores: the guest's vCPUs are cores of one package, without hyperthreads. */
static u32 core_bits(void)
{
	u32 n = user.config.vcpus;

	return n > 1 ? 32 - (u32)__builtin_clz(n - 1) : 0;
}

/* Leaf 4: one core has each cache to itself, but for the last level, which all share. */
static void share_cache(u64 r[4])
{
	u32 others = (1u << core_bits()) - 1;

	if (!(r[0] & 0x1f))
		return;
	r[0] |= (u64)others << 26;
	if ((r[0] >> 5 & 7) == 3)
		r[0] |= others << 14;
}

/* Leaf Bh: threads of a core, of which there is one, then cores. */
static void topology(u32 sub, u32 id, u64 r[4])
{
	if (sub == 0)
		set(r, 0, 1, 1 << 8, id);
	else if (sub == 1)
		set(r, core_bits(), user.config.vcpus, 1 | 2 << 8, id);
	else
		set(r, 0, 0, sub & 0xff, id);
}

/* What no table of bits can say, but for what varies. */
static void compute(const struct user_vcpu *u, u32 leaf, u32 sub, u64 r[4])
{
	static const char signature[] __attribute__((aligned(4))) = AVMM_SIGNATURE;
	const u32 *words = (const u32 *)signature;

	switch (leaf) {
	case 0x1:
		r[1] |= 1u << (core_bits() + 16);
		if (user.config.vcpus > 1)
			r[3] |= 1u << 28;
		break;
	case 0x4:
		share_cache(r);
		break;
	case 0xb:
		topology(sub, u->lapic.id, r);
		break;
	case 0xd:
		extended_states(sub, r);
		break;
	case 0x15:
		/*
		 * TSC = crystal × EBX / EAX, crystal in ECX: from Linux's calibration, not from the CPU's own leaves.
		 * Guests multiply in 32 bits: crystal in kHz × EBX = TSC in kHz × EAX has to stay below 2^32.
		 */
		set(r, TSC_DENOMINATOR, tsc_numerator(), LOCAL_APIC_BUS_KHZ * 1000, 0);
		break;
	case 0x16:
		set(r, machine.tsc_khz / 1000, machine.tsc_khz / 1000, LOCAL_APIC_BUS_KHZ / 1000, 0);
		break;
	case AVMM_SIGNATURE_LEAF:
		set(r, AVMM_SIGNATURE_LEAF, words[0], words[1], words[2]);
		break;
	default:
		break;
	}
}

/* … and what depends on the vCPU and its control registers. */
static void vary(const struct user_vcpu *u, u32 leaf, u32 sub, u64 r[4])
{
	u64 now[4];

	if (leaf == 0x1) {
		r[1] |= (u64)u->lapic.id << 24;
		if (vmx_guest_cr4() & AVMM_CR4_OSXSAVE)
			r[2] |= 1u << 27;
	} else if (leaf == 0x7 && sub == 0) {
		if (vmx_guest_cr4() & AVMM_CR4_PKE)
			r[2] |= 1u << 4;
	} else if (leaf == 0xd && sub < 2) {
		cpuid(leaf, sub, now);
		r[1] = now[1];
	}
}

/*
 * Answers are kept, as long as there is this partition. Those that are always the same come first: the basic leaves, then
 * the extended ones. The others depend on the subleaf (4, 7, Bh, Dh) or vary (1, 7, Dh); but for Bh, which hardly anybody
 * asks for, they have places of their own: programs ask for caches and states whenever they start.
 */
#define EXTENDED	0x80000000u
#define KEPT_BASIC	(MAX_BASIC + 1)
#define KEPT		32
#define OTHERS		(1u << 1 | 1u << 4 | 1u << 7 | 1u << 0xb | 1u << 0xd)
#define CACHES		8	/* subleaves of 4; like those of Dh, more than there are */
#define STATES		16

_Static_assert(KEPT_BASIC + MAX_EXTENDED - EXTENDED + 1 <= KEPT, "a bit for each");

struct kept {
	u32 valid;		/* bit by index */
	u64 r[KEPT][4];		/* RAX, RBX, RCX, RDX */
};

static struct kept plain, others;

void user_cpuid_reset(void)
{
	plain.valid = 0;
	others.valid = 0;
}

static u32 plain_index(u32 leaf)
{
	return leaf < KEPT_BASIC ? leaf : leaf >= EXTENDED && leaf <= MAX_EXTENDED ? leaf - EXTENDED + KEPT_BASIC : KEPT;
}

static u32 other_index(u32 leaf, u32 sub)
{
	if (leaf == 0x4)
		return sub < CACHES ? sub : KEPT;
	if (leaf == 0xd)
		return sub < STATES ? CACHES + sub : KEPT;
	if (leaf == 0x7)
		return sub < 2 ? CACHES + STATES + sub : KEPT;
	return leaf == 0x1 ? CACHES + STATES + 2 : KEPT;
}

#define VARYING	(3u << CACHES | 1u << (CACHES + STATES) | 1u << (CACHES + STATES + 2))	/* see vary() */

_Static_assert(CACHES + STATES + 3 <= KEPT, "a bit for each");

static bool is_kept(const struct kept *k, u32 index)
{
	return index < KEPT && (k->valid >> index & 1);
}

static void answer(struct vcpu *v, const u64 r[4])
{
	v->gpr[RAX] = r[0];
	v->gpr[RBX] = r[1];
	v->gpr[RCX] = r[2];
	v->gpr[RDX] = r[3];
}

static void keep(struct kept *k, u32 index, const u64 r[4])
{
	u32 i;

	for (i = 0; i < 4; i++)
		k->r[index][i] = r[i];
	__atomic_fetch_or(&k->valid, 1u << index, __ATOMIC_RELEASE);
}

/* For the first time, or it is not kept. */
static void __attribute__((noinline)) find_out(const struct user_vcpu *u, u32 leaf, u32 sub, u64 r[4])
{
	u32 index = plain_index(leaf), other = other_index(leaf, sub), i;
	const struct cpuid_row *row = find(leaf, sub);

	set(r, 0, 0, 0, 0);
	if (row) {
		cpuid(leaf, sub, r);
		for (i = 0; i < 4; i++)
			r[i] = (r[i] & row->pass[i]) | row->set[i];
	}
	compute(u, leaf, sub, r);
	if (other < KEPT)
		keep(&others, other, r);
	else if (index < KEPT && !(OTHERS >> index & 1))
		keep(&plain, index, r);
}

static void __attribute__((noinline)) cpuid_slow(struct vcpu *v, u32 other)
{
	u32 leaf = (u32)v->gpr[RAX], sub = (u32)v->gpr[RCX], i;
	const struct user_vcpu *u = to_user_vcpu(v);
	u64 r[4];

	if (is_kept(&others, other)) {
		for (i = 0; i < 4; i++)
			r[i] = others.r[other][i];
	} else {
		find_out(u, leaf, sub, r);
	}
	vary(u, leaf, sub, r);
	answer(v, r);
}

void core_user_cpuid(struct vcpu *v)
{
	u32 leaf = (u32)v->gpr[RAX], index = plain_index(leaf);

	if (is_kept(&plain, index)) {
		answer(v, plain.r[index]);
		return;
	}
	index = other_index(leaf, (u32)v->gpr[RCX]);
	if (is_kept(&others, index) && !(VARYING >> index & 1))
		answer(v, others.r[index]);
	else
		cpuid_slow(v, index);
}

/* x87 always, AVX only with SSE, AVX-512's three only together; nothing that the service has not enabled. */
bool core_user_xcr0(struct vcpu *v, u64 value)
{
	(void)v;
	return !(value & ~user.xcr0_mask);
}

/* The four entries of PAE paging. False: one has reserved bits (Intel SDM volume 3, table 4-8), or is where no RAM is. */
bool core_user_pdptes(u64 cr3, u64 entry[4])
{
	u64 reserved = PDPTE_RESERVED | ~0ull << machine.phys_bits, hpa = user_memory(cr3 & 0xffffffe0, EPT_RWX);
	const u64 *from;
	u32 i;

	if (!hpa)
		return false;
	from = window_map(hpa);
	for (i = 0; i < 4; i++) {
		entry[i] = ((const volatile u64 *)from)[i];
		if ((entry[i] & 1) && (entry[i] & reserved))
			return false;
	}
	return true;
}
