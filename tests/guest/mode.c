// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other modes of the CPU: protected mode with every kind of paging, 16-bit segments, real mode, virtual-8086 mode,
 * compatibility mode, task switches. The code is in modes.S; a copy of it runs at LOW_BASE.
 */
#include "guest.h"

#define FAULTED		0x100u
#define REAL_INT80	(0x80 * 4)
#define REAL_CS		(LOW_BASE >> 4)
#define TSS32_SIZE	104
#define GATE32		0x8e00u
#define GATE32_USER	0xee00u
#define TASK_GATE	0x8500u
#define SEL_USER_CODE32	0x6b
#define LARGE_32	(4ul << 20)
#define PDPTE_RESERVED	0x1e6ull

extern u8 low_image[], low_image_end[], low_enter[], compatibility[], low_stubs[], idt32_register[], low_cr3[], low_cr3_bad[];
extern u8 low_plain[], low_pae[], low_pae_ne[], low_pae_cr3[], low_legacy[], low_16[], low_real[], low_v86[], low_task[],
	low_task_gate[], low_into[], low_endless_ac[], real_int80[], real_fault[];

static u64 idt32[256] __attribute__((aligned(64)));
static u32 tss32[2][TSS32_SIZE / 4 + 1];
static u64 pdpt[4] __attribute__((aligned(32))), pdpt_bad[4] __attribute__((aligned(32)));
static u64 directory_pae[4][512] __attribute__((aligned(4096)));
static u32 directory[1024] __attribute__((aligned(4096)));

/* Where a label of modes.S is in the copy. */
static u64 low(const u8 *label)
{
	return LOW_BASE + (u64)(label - low_image);
}

static void put32(u64 at, u32 value)
{
	write32(at, value);
}

static void set_gate32(u8 vector, u64 handler, u16 selector, u32 type)
{
	idt32[vector] = (handler & 0xffff) | (u64)selector << 16 | (u64)type << 32 | handler >> 16 << 48;
}

static u64 tss_descriptor(const u32 *at)
{
	u64 base = (u64)at;

	return 0x0000890000000067 | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
}

static void make_tables(void)
{
	u64 i;

	for (i = 0; i < 4 * 512; i++)
		directory_pae[i / 512][i % 512] = i << 21 | PTE_P | PTE_W | PTE_U | PTE_LARGE;
	for (i = 0; i < 4; i++) {
		pdpt[i] = (u64)directory_pae[i] | PTE_P;
		pdpt_bad[i] = pdpt[i] | PDPTE_RESERVED;
	}
	for (i = 0; i < 1024; i++)
		directory[i] = (u32)(i * LARGE_32 | PTE_P | PTE_W | PTE_U | PTE_LARGE);
}

/* A fresh copy of the code, and everything that its routines look at. */
static void prepare(u32 cr3)
{
	static u8 stack[PAGE] __attribute__((aligned(16)));
	u64 i;

	for (i = 0; i < (u64)(low_image_end - low_image); i++)
		((volatile u8 *)(u64)LOW_BASE)[i] = low_image[i];
	for (i = 0; i < 32; i++)
		set_gate32((u8)i, low(low_stubs) + i * 16, SEL_CODE32, GATE32);
	put32(low(idt32_register) + 2, (u32)(u64)idt32);
	put32(low(low_cr3), cr3);
	put32(low(low_cr3_bad), (u32)(u64)pdpt_bad);
	/* real mode's vectors */
	for (i = 0; i < 32; i++)
		put32(i * 4, REAL_CS << 16 | (u32)(low(real_fault) - LOW_BASE));
	put32(REAL_INT80, REAL_CS << 16 | (u32)(low(real_int80) - LOW_BASE));
	tss32[0][1] = (u32)(u64)stack + sizeof(stack);	/* ESP0, SS0 */
	tss32[0][2] = SEL_DATA;
	tss32[0][25] = TSS32_SIZE << 16;
	gdt[SEL_TSS32 / 8] = tss_descriptor(tss32[0]);
	gdt[SEL_TSS32_OTHER / 8] = tss_descriptor(tss32[1]);
	make_tables();
}

static u32 call_low(const u8 *routine)
{
	u32 (*enter)(u64) = (u32 (*)(u64))low(low_enter);
	u32 result = enter(low(routine));

	asm volatile("mov %w0, %%ds; mov %w0, %%es; mov %w0, %%ss" : : "r"(SEL_DATA));
	trap_init();
	return result;
}

static const char *check(const u8 *routine, u32 expected)
{
	u32 result = call_low(routine);

	return result == expected ? NULL : fail("result %lx instead of %lx", (u64)result, (u64)expected);
}

static const char *run_protected(void)
{
	prepare(0);
	return check(low_plain, 0);
}

static const char *run_pae(void)
{
	prepare((u32)(u64)pdpt);
	return check(low_pae, 0);
}

static const char *run_pae_ne(void)
{
	prepare((u32)(u64)pdpt);
	return check(low_pae_ne, 0);
}

static const char *run_pae_reserved(void)
{
	const char *why;

	prepare((u32)(u64)pdpt_bad);
	why = check(low_pae, FAULTED + GP);
	if (!why)
		why = check(low_pae_ne, FAULTED + GP);
	prepare((u32)(u64)pdpt);
	return why ? why : check(low_pae_cr3, FAULTED + GP);
}

static const char *run_legacy_paging(void)
{
	prepare((u32)(u64)directory);
	return check(low_legacy, 0);
}

static const char *run_segments_16(void)
{
	prepare(0);
	return check(low_16, 0);
}

static const char *run_real(void)
{
	prepare(0);
	return check(low_real, 0);
}

static const char *run_v86(void)
{
	prepare(0);
	return check(low_v86, FAULTED + GP);
}

/* The monitor has no task switches: #GP. */
static const char *run_task_switch(void)
{
	prepare(0);
	return check(low_task, FAULTED + GP);
}

static const char *run_task_gate(void)
{
	prepare(0);
	set_gate32(UD, 0, SEL_TSS32_OTHER, TASK_GATE);
	return check(low_task_gate, FAULTED + GP);
}

static const char *run_into(void)
{
	prepare(0);
	return check(low_into, FAULTED + OF);
}

static void compatibility_mode(u64 result, u64 unused)
{
	u32 (*enter)(void) = (u32 (*)(void))low(compatibility);

	(void)unused;
	*(u32 *)result = enter();
}

static const char *run_compatibility(void)
{
	u32 result = ~0u;
	int vector;

	prepare(0);
	vector = attempt(compatibility_mode, (u64)&result, 0);
	return vector == NO_FAULT && !result ? NULL : fail("vector %lu, result %lx", (u64)vector, (u64)result);
}

static const char *run_endless_ac(void)
{
	prepare(0);
	set_gate32(AC, low(low_stubs) + AC * 16, SEL_USER_CODE32, GATE32_USER);
	return check(low_endless_ac, 0);
}

static const struct test tests[] = {
	{ "protected", run_protected },
	{ "pae", run_pae },
	{ "pae_ne", run_pae_ne },
	{ "pae_reserved", run_pae_reserved },
	{ "legacy_paging", run_legacy_paging },
	{ "segments_16", run_segments_16 },
	{ "real", run_real },
	{ "v86", run_v86 },
	{ "task_switch", run_task_switch },
	{ "task_gate", run_task_gate },
	{ "into", run_into },
	{ "compatibility", run_compatibility },
	{ "endless_ac", run_endless_ac },
};

const struct test_group mode_tests = { tests, ARRAY_SIZE(tests) };
