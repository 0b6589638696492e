// SPDX-License-Identifier: GPL-2.0-only
/* Wild values for MSRs, control registers, debug registers and XCRs: a result or #GP, and the guest goes on. */
#include "guest.h"

#define RANGE		0x2000u

static void read_msr(u64 number, u64 result)
{
	*(u64 *)result = rdmsr((u32)number);
}

static void write_msr(u64 number, u64 value)
{
	wrmsr((u32)number, value);
}

static const struct { u32 first, count; } msr_ranges[] = {
	{ 0, RANGE }, { 0xc0000000, RANGE }, { 0x40000000, 0x200 }, { 0x2000, 16 }, { 0x80000000, 16 },
	{ 0xc0002000, 16 }, { 0xc0010000, 0x40 }, { 0xfffffff0, 16 }, { 0x4b564d00, 16 },
};

/* What our own code needs; the rest of the guest can live with any value that the CPU takes. */
static const u32 msrs_kept[] = { MSR_EFER, 0x10, MSR_APIC_BASE, 0x277, 0xc0000100, 0xc0000101 };

static const char *each_msr(const char *(*f)(u32 number))
{
	u64 kept[ARRAY_SIZE(msrs_kept)];
	const char *why = NULL;
	unsigned int i;
	u32 j;

	for (i = 0; i < ARRAY_SIZE(msrs_kept); i++)
		kept[i] = rdmsr(msrs_kept[i]);
	for (i = 0; i < ARRAY_SIZE(msr_ranges) && !why; i++)
		for (j = 0; j < msr_ranges[i].count && !why; j++)
			why = f(msr_ranges[i].first + j);
	for (i = 0; i < ARRAY_SIZE(msrs_kept); i++)
		if (msrs_kept[i] != 0x10)
			wrmsr(msrs_kept[i], kept[i]);
	return why;
}

static const char *read_one(u32 number)
{
	u64 value;
	int vector = attempt(read_msr, number, (u64)&value);

	return vector == NO_FAULT || vector == GP ? NULL : fail("MSR %lx: vector %lu", (u64)number, (u64)vector);
}

static const char *run_msr_read(void)
{
	return each_msr(read_one);
}

static const char *write_one(u32 number)
{
	static const u64 values[] = { 0, ~0ull, 0x5a5a5a5a5a5a5a5a, 0xa5a5a5a5, 1, 1ull << 63 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		int vector = attempt(write_msr, number, values[i]);

		if (vector != NO_FAULT && vector != GP)
			return fail("MSR %lx: vector %lu", (u64)number, (u64)vector);
	}
	return NULL;
}

static const char *run_msr_write(void)
{
	return each_msr(write_one);
}

static void write_cr0(u64 v, u64 unused)
{
	(void)unused;
	WRITE_CR(0, v);
}

static void write_cr3(u64 v, u64 unused)
{
	(void)unused;
	WRITE_CR(3, v);
}

static void write_cr4(u64 v, u64 unused)
{
	(void)unused;
	WRITE_CR(4, v);
}

static void write_cr8(u64 v, u64 unused)
{
	(void)unused;
	WRITE_CR(8, v);
}

/*
 * Each bit flipped alone, of a register whose value must stay good for us. In 64-bit mode paging and PAE cannot be
 * switched off, so whatever the CPU takes can be taken back.
 */
static const char *run_cr0(void)
{
	u64 old, now;
	unsigned int bit;

	READ_CR(0, old);
	for (bit = 0; bit < 64; bit++) {
		int vector = attempt(write_cr0, old ^ 1ull << bit, 0);

		if (vector != NO_FAULT && vector != GP)
			return fail("bit %lu: vector %lu", (u64)bit, (u64)vector);
		if (vector == NO_FAULT && (bit >= 32 || bit == 31 || bit == 0))
			return fail("bit %lu was taken", (u64)bit);
		WRITE_CR(0, old);
	}
	if (attempt(write_cr0, old | 1ul << 29, 0) != GP)
		return "NW without CD was taken";
	if (attempt(write_cr0, ~0ull, 0) != GP || attempt(write_cr0, 0, 0) != GP)
		return "-1 or 0 was taken";
	READ_CR(0, now);
	return now == old ? NULL : fail("%lx instead of %lx", now, old);
}

static const char *run_cr4(void)
{
	static const u8 hidden[] = { 12, 13, 14, 23, 24, 25, 32 };	/* LA57, VMXE, SMXE, CET, PKS, UINTR, FRED */
	u64 old, now;
	unsigned int bit;

	READ_CR(4, old);
	for (bit = 0; bit < 64; bit++) {
		int vector = attempt(write_cr4, old ^ 1ull << bit, 0);

		if (vector != NO_FAULT && vector != GP)
			return fail("bit %lu: vector %lu", (u64)bit, (u64)vector);
		READ_CR(4, now);
		if (now != (vector == GP ? old : old ^ 1ull << bit))
			return fail("bit %lu: vector %lu and value %lx", (u64)bit, (u64)vector, now);
		WRITE_CR(4, old);
	}
	for (bit = 0; bit < ARRAY_SIZE(hidden); bit++)
		if (attempt(write_cr4, old | 1ull << hidden[bit], 0) != GP)
			return fail("bit %lu was taken", (u64)hidden[bit]);
	return attempt(write_cr4, ~0ull, 0) == GP ? NULL : "-1 was taken";
}

/* Without PCIDE bits 2:0 and 11:5 are ignored; those beyond MAXPHYADDR are reserved. */
static const char *run_cr3(void)
{
	u64 now;
	unsigned int bit;

	for (bit = 0; bit < 12; bit++)
		if (attempt(write_cr3, (u64)pml4 | 1ull << bit, 0) != NO_FAULT)
			return fail("bit %lu was refused", (u64)bit);
	for (bit = physical_bits; bit < 63; bit++)
		if (attempt(write_cr3, (u64)pml4 | 1ull << bit, 0) != GP)
			return fail("bit %lu was taken", (u64)bit);
	WRITE_CR(3, pml4);
	READ_CR(3, now);
	return now == (u64)pml4 ? NULL : fail("%lx", now);
}

static const char *run_cr8(void)
{
	unsigned int i;
	u64 now;

	for (i = 0; i < 64; i++) {
		int vector = attempt(write_cr8, i < 16 ? i : 1ull << i, 0);

		READ_CR(8, now);
		if (vector != (i < 16 ? NO_FAULT : GP) || now != (i < 16 ? i : 15))
			return fail("%lu: vector %lu, value %lu", (u64)i, (u64)vector, now);
	}
	if (read32(LAPIC + 0x80) != 0xf0)
		return fail("TPR is %lx", (u64)read32(LAPIC + 0x80));
	WRITE_CR(8, 0);
	return NULL;
}

static void write_xcr(u64 index, u64 value)
{
	asm volatile("xsetbv" : : "c"((u32)index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static u64 xgetbv(void)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

static const char *run_xcr(void)
{
	u64 old = xgetbv(), known;
	u32 r[4];
	unsigned int bit;

	cpuid(0xd, 0, r);
	known = (u64)r[3] << 32 | r[0];
	for (bit = 0; bit < 64; bit++) {
		u64 value = 1 | 1ull << bit;
		int vector = attempt(write_xcr, 0, value);

		if (vector != NO_FAULT && vector != GP)
			return fail("bit %lu: vector %lu", (u64)bit, (u64)vector);
		if (vector == NO_FAULT && value & ~known)
			return fail("bit %lu was taken", (u64)bit);
	}
	if (attempt(write_xcr, 0, 0) != GP || attempt(write_xcr, 0, 5) != GP || attempt(write_xcr, 0, ~0ull) != GP)
		return "a wrong XCR0 was taken";
	for (bit = 0; bit < 32; bit++)
		if (attempt(write_xcr, 1u << bit, 7) != GP)
			return fail("XCR %lx was taken", 1ul << bit);
	if (attempt(write_xcr, 0, known) != NO_FAULT)
		return "all that CPUID names was refused";
	write_xcr(0, old);
	return NULL;
}

static const char *run_efer(void)
{
	u64 old = rdmsr(MSR_EFER), now;
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		int vector = attempt(write_msr, MSR_EFER, old ^ 1ull << bit);

		if (vector != NO_FAULT && vector != GP)
			return fail("bit %lu: vector %lu", (u64)bit, (u64)vector);
		/* SCE, NXE; LMA is not writable; the others are refused on Intel's CPUs */
		if (vector == NO_FAULT && bit != 0 && bit != 10 && bit != 11)
			return fail("bit %lu was taken", (u64)bit);
		wrmsr(MSR_EFER, old);
	}
	now = rdmsr(MSR_EFER);
	return now == old ? NULL : fail("%lx instead of %lx", now, old);
}

#define WRITE_DR(n) static void write_dr##n(u64 v, u64 unused)	\
{								\
	(void)unused;						\
	asm volatile("mov %0, %%dr" #n : : "r"(v));		\
}

WRITE_DR(0)
WRITE_DR(3)
WRITE_DR(4)
WRITE_DR(6)
WRITE_DR(7)

/* DR7's breakpoints hit our own code: #DB is as good an end as #GP. */
static const char *run_dr(void)
{
	static void (*const write[])(u64, u64) = { write_dr0, write_dr3, write_dr4, write_dr6, write_dr7 };
	static const u64 values[] = { 0, ~0ull, 0xffffffff, 0x5a5a5a5a, 1ull << 32, 0x400, 0x2000, 0x2700, 1ull << 63 };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(write); i++)
		for (j = 0; j < ARRAY_SIZE(values); j++) {
			int vector = attempt(write[i], values[j], 0);

			if (vector != NO_FAULT && vector != GP && vector != DB && vector != UD)
				return fail("DR %lu, value %lx: vector %lu", (u64)i, values[j], (u64)vector);
			attempt(write_dr7, 0x400, 0);
		}
	return NULL;
}

static void lmsw(u64 v, u64 unused)
{
	(void)unused;
	asm volatile("lmsw %w0" : : "r"(v));
}

/* LMSW sets PE MP EM TS and clears all but PE; CLTS clears TS. NE stays. */
static const char *run_lmsw(void)
{
	u64 old, now;

	READ_CR(0, old);
	if (attempt(lmsw, 0xffff, 0) != NO_FAULT)
		return "LMSW faulted";
	READ_CR(0, now);
	if (now != (old | 0xe))
		return fail("%lx after LMSW of ones, %lx before", now, old);
	if (attempt(lmsw, 0, 0) != NO_FAULT)
		return "LMSW faulted";
	READ_CR(0, now);
	if (now != (old & ~0xeull))
		return fail("%lx after LMSW of zeroes, %lx before", now, old);
	WRITE_CR(0, old | CR0_TS);
	asm volatile("clts");
	READ_CR(0, now);
	WRITE_CR(0, old);
	return now == (old & ~CR0_TS) ? NULL : fail("%lx after CLTS", now);
}

/* The bit that VMX operation wants is the guest's to see as it likes. */
static const char *run_cr0_ne(void)
{
	u64 old, now;

	READ_CR(0, old);
	WRITE_CR(0, old & ~CR0_NE);
	READ_CR(0, now);
	if (now != (old & ~CR0_NE))
		return fail("%lx with NE cleared", now);
	WRITE_CR(0, (old & ~CR0_NE) | CR0_TS);
	asm volatile("clts");
	WRITE_CR(0, old);
	READ_CR(0, now);
	return now == old ? NULL : fail("%lx with NE set", now);
}

/* Left as it is: the service looks at its own afterwards. */
static const char *run_cr0_cd(void)
{
	u64 old, now;

	READ_CR(0, old);
	WRITE_CR(0, old | CR0_CD | CR0_NW);
	READ_CR(0, now);
	return now == (old | CR0_CD | CR0_NW) ? NULL : fail("%lx with CD and NW set", now);
}

static const struct test tests[] = {
	{ "msr_read", run_msr_read },
	{ "msr_write", run_msr_write },
	{ "cr0", run_cr0 },
	{ "cr0_ne", run_cr0_ne },
	{ "cr0_cd", run_cr0_cd },
	{ "cr3", run_cr3 },
	{ "cr4", run_cr4 },
	{ "cr8", run_cr8 },
	{ "xcr", run_xcr },
	{ "efer", run_efer },
	{ "dr", run_dr },
	{ "lmsw", run_lmsw },
};

const struct test_group cpu_tests = { tests, ARRAY_SIZE(tests) };
