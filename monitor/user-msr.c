// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs of the user partition that exit. A row per register or range says how it answers; what has no row is #GP, and
 * counted. The list is what Linux and Windows are known to touch, some of it before they have a #GP handler.
 */
#include <avmm/x86.h>
#include <ept-shadow/mtrr.h>
#include <vmx/root/insn.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>
#include "core.h"
#include "direct.h"
#include "partition.h"

#define MSR_TSC			0x10
#define MSR_TSC_ADJUST		0x3b
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC_FIRST	0x800
#define MSR_X2APIC_LAST		0x8ff

enum msr_answer {
	MSR_CONSTANT,		/* reads give the constant, writes of the same value are taken, others #GP */
	MSR_IGNORED,		/* reads give the constant, writes are dropped */
	MSR_NATIVE,		/* reads give the machine's bits of the constant, writes are dropped */
	MSR_MTRR,		/* kept, without effect: second-level tables say the type */
};

struct msr_row {
	u32 first;
	u32 last;
	u8 answer;
	u64 constant;
};

static const struct msr_row rows[] = {
	{ 0x17, 0x17, MSR_IGNORED, 0 },				/* PLATFORM_ID */
	{ 0x3a, 0x3a, MSR_CONSTANT, AVMM_FEATURE_CONTROL_LOCK },	/* FEATURE_CONTROL: locked, no VMX */
	{ 0x79, 0x79, MSR_IGNORED, 0 },				/* microcode update */
	{ 0x8b, 0x8b, MSR_NATIVE, ~0ull },			/* microcode revision */
	{ 0xce, 0xce, MSR_IGNORED, 0 },				/* PLATFORM_INFO */
	/* ARCH_CAPABILITIES: what this CPU does not suffer from, and that VERW clears; none that stands for an MSR */
	{ 0x10a, 0x10a, MSR_NATIVE, 0x1d1ae17f },
	{ 0xfe, 0xfe, MSR_CONSTANT, 0x508 },			/* MTRRCAP: 8 ranges, fixed ranges, WC */
	{ 0x179, 0x17a, MSR_IGNORED, 0 },			/* MCG_CAP: no banks; MCG_STATUS */
	{ 0x198, 0x199, MSR_IGNORED, 0 },			/* PERF_STATUS, PERF_CTL */
	{ 0x19a, 0x19c, MSR_IGNORED, 0 },			/* clock modulation, thermal interrupt and status */
	{ 0x1a0, 0x1a0, MSR_IGNORED, 1 | 1 << 11 | 1 << 12 },	/* MISC_ENABLE: fast strings; no BTS, no PEBS */
	{ 0x1a2, 0x1a2, MSR_IGNORED, 0 },			/* TEMPERATURE_TARGET */
	{ 0x1d9, 0x1d9, MSR_IGNORED, 0 },			/* DEBUGCTL: no branch records */
	{ 0x200, 0x20f, MSR_MTRR, 0 },
	{ 0x250, 0x250, MSR_MTRR, 0 },
	{ 0x258, 0x259, MSR_MTRR, 0 },
	{ 0x268, 0x26f, MSR_MTRR, 0 },
	{ 0x2ff, 0x2ff, MSR_MTRR, 0 },
	{ 0x606, 0x606, MSR_IGNORED, 0 },			/* RAPL units: Windows 10 reads them */
	{ 0x611, 0x611, MSR_IGNORED, 0 },
	{ 0xda0, 0xda0, MSR_CONSTANT, 0 },			/* XSS */
};

static u32 mtrr_index(u32 number)
{
	if (number < 0x210)
		return number - 0x200;
	if (number == 0x250)
		return 16;
	if (number < 0x25a)
		return number - 0x258 + 17;
	if (number < 0x270)
		return number - 0x268 + 19;
	return 27;
}

/* As firmware leaves them: write-back, uncached where a PC has its holes. */
void user_msr_reset(struct user_vcpu *u)
{
	u64 *mtrr = u->mtrr;
	u32 i;

	for (i = 0; i < MTRR_STORE; i++)
		mtrr[i] = 0;
	mtrr[16] = 0x0606060606060606;		/* 0 to 512 KiB */
	mtrr[17] = 0x0606060606060606;		/* to 640 KiB; A0000h is uncached */
	for (i = 19; i < 27; i++)
		mtrr[i] = 0x0505050505050505;	/* C0000h to FFFFFh: write-protected */
	mtrr[0] = AVMM_PCI_HOLE;		/* up to 4 GiB: uncached */
	mtrr[1] = (((1ull << machine.phys_bits) - 1) & ~((1ull << 30) - 1)) | 1 << 11;
	mtrr[27] = 6 | 1 << 10 | 1 << 11;
}

static const struct msr_row *find(u32 number)
{
	unsigned int i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (number >= rows[i].first && number <= rows[i].last)
			return &rows[i];
	return NULL;
}

static bool is_lapic(u32 number)
{
	return number == AVMM_MSR_APIC_BASE || number == MSR_TSC_DEADLINE ||
	       (number >= MSR_X2APIC_FIRST && number <= MSR_X2APIC_LAST);
}

static bool unknown(struct vcpu *v, const char *what, u32 number)
{
	struct avmm_user_stats *stats = to_user_vcpu(v)->stats;

	cpu_count(v->cpu, AVMM_COUNT_UNKNOWN_MSR);
	stats->unknown_msr++;
	if (stats->unknown_msr <= 32)
		core_log("user partition: %s of unknown MSR %x, rip %lx", what, number, vmread(VMCS_GUEST_RIP));
	return false;
}

static bool lapic_read(struct user_vcpu *u, u32 number, u64 *value)
{
	u64 now = running_now();
	bool done = lapic_msr_read(&u->lapic, number, value, now);

	platform_timer_touched(u, now);
	return done;
}

bool user_rdmsr(struct vcpu *v, u32 number, u64 *value)
{
	struct user_vcpu *u = to_user_vcpu(v);
	const struct msr_row *row;

	if (is_lapic(number))
		return lapic_read(u, number, value);
	if (number == MSR_TSC) {
		*value = rdtsc() + vmread(VMCS_TSC_OFFSET);
		return true;
	}
	/* the sum of what was added to the TSC, whichever of the two was written: SDM volume 3, 18.17.3 */
	if (number == MSR_TSC_ADJUST) {
		*value = u->tsc_delta;
		return true;
	}
	row = find(number);
	if (!row)
		return unknown(v, "read", number);
	*value = row->constant;
	if (row->answer == MSR_MTRR)
		*value = u->mtrr[mtrr_index(number)];
	if (row->answer != MSR_NATIVE)
		return true;
	if (!rdmsr_safe(number, value))
		return false;
	*value &= row->constant;
	return true;
}

/* The guest moves its own view of the TSC; the partition's time does not move. */
static void adjust_tsc(struct user_vcpu *u, u64 delta)
{
	u->tsc_delta = delta;
	vmwrite(VMCS_TSC_OFFSET, user.time_offset + delta);
	lapic_set_tsc_offset(&u->lapic, delta, running_now());
	platform_lapic_touched(u, running_now());
}

static bool write_deadline(struct user_vcpu *u, u64 value)
{
	u64 now = running_now();
	bool done = lapic_msr_write(&u->lapic, MSR_TSC_DEADLINE, value, now);

	platform_timer_touched(u, now);
	return done;
}

bool user_wrmsr(struct vcpu *v, u32 number, u64 value)
{
	struct user_vcpu *u = to_user_vcpu(v);
	const struct msr_row *row;
	u32 own;

	if (likely(number == MSR_TSC_DEADLINE))
		return write_deadline(u, value);
	if (is_lapic(number)) {
		u64 now = running_now();
		bool done = lapic_msr_write(&u->lapic, number, value, now);

		if (number == AVMM_MSR_APIC_BASE) {
			apicv_mode(u);
			direct_apic_moved();
		}
		platform_lapic_touched(u, now);
		return done;
	}
	if (number == MSR_TSC) {
		adjust_tsc(u, value - running_now());
		return true;
	}
	if (number == MSR_TSC_ADJUST) {
		adjust_tsc(u, value);
		return true;
	}
	own = switch_find_msr(number);
	if (own < SWITCH_MSRS)
		return switch_write_msr(v->world, own, value);
	row = find(number);
	if (!row)
		return unknown(v, "write", number);
	if (row->answer == MSR_MTRR) {
		if (!mtrr_msr_valid(number, value, machine.phys_bits))
			return false;
		u->mtrr[mtrr_index(number)] = value;
	}
	return row->answer != MSR_CONSTANT || value == row->constant;
}
