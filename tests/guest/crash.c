// SPDX-License-Identifier: GPL-2.0-only
/* Faults of every gravity, wild jumps and stacks, and page tables that make no sense. */
#include "guest.h"

#define NON_CANONICAL	0x8000000000000000ull
#define UNMAPPED	0x0000400000000000ull
#define LAST_PAGE	0x00007ffffffff000ull
#define PTE_RESERVED	(1ull << 51)		/* beyond MAXPHYADDR of every machine of the lab */
#define PF_RESERVED	8
#define NOT_PRESENT	0x0e			/* an interrupt gate */

static const struct table_register no_idt = { 0, 0 };

static void jump(u64 to, u64 unused)
{
	(void)unused;
	asm volatile("jmp *%0" : : "r"(to));
}

static void load(u64 from, u64 unused)
{
	(void)unused;
	read64(from);
}

static void push_at(u64 stack, u64 unused)
{
	(void)unused;
	asm volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push %%rax; mov %%rbx, %%rsp" : : "r"(stack) : "rbx", "memory");
}

static void undefined(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile("ud2");
}

static const char *expect(int got, int wanted, const char *what)
{
	return got == wanted ? NULL : fail("%s: vector %lu instead of %lu", what, (u64)got, (u64)wanted);
}

static const char *run_wild_rip(void)
{
	const char *why = expect(attempt(jump, NON_CANONICAL, 0), GP, "not canonical");

	if (!why)
		why = expect(attempt(jump, UNMAPPED, 0), PF, "not mapped");
	if (!why)
		why = expect(attempt(jump, LAST_PAGE, 0), PF, "last page");
	return why ? why : expect(attempt(jump, ~0ull, 0), PF, "-1");
}

/* What is there are the interrupt vectors of real mode: zeroes, which are instructions. Some fault ends it. */
static const char *run_jump_0(void)
{
	int vector = attempt(jump, 0, 0);

	return vector == NO_FAULT ? "it came back" : NULL;
}

static const char *run_stack_fault(void)
{
	const char *why = expect(attempt(push_at, NON_CANONICAL, 0), SS, "not canonical");

	return why ? why : expect(attempt(push_at, UNMAPPED, 0), PF, "not mapped");
}

/* A fault whose own delivery faults. */
static const char *run_double_fault(void)
{
	const char *why;

	idt[UD].type = NOT_PRESENT;		/* #UD, then #NP: delivered */
	why = expect(attempt(undefined, 0, 0), NP, "#UD with its gate not present");
	idt[NP].type = NOT_PRESENT;
	idt[GP].type = NOT_PRESENT;		/* #GP, then #NP, contributory: #DF */
	if (!why)
		why = expect(attempt(jump, NON_CANONICAL, 0), DF, "#GP with its gate not present");
	trap_init();
	/* without a stack of its own #PF needs the one that is not mapped */
	idt[PF].ist = 0;
	if (!why)
		why = expect(attempt(push_at, UNMAPPED, 0), DF, "#PF with its stack not mapped");
	trap_init();
	return why;
}

static const char *run_reserved_bits(void)
{
	u64 address = slot_address(0);
	int vector;

	slot_map(0, (u64)gdt, PTE_P | PTE_RESERVED);
	vector = attempt(load, address, 0);
	if (vector != PF || !(last_fault.error & PF_RESERVED) || last_cr2 != address)
		return fail("entry: vector %lu, error %lx, cr2 %lx", (u64)vector, last_fault.error, last_cr2);
	vector = attempt(jump, address, 0);
	if (vector != PF || !(last_fault.error & PF_RESERVED))
		return fail("fetch: vector %lu, error %lx", (u64)vector, last_fault.error);
	/* PS is reserved in the top level */
	pml4[2] = (u64)gdt | PTE_P | PTE_LARGE;
	vector = attempt(load, 2ull << 39, 0);
	pml4[2] = 0;
	if (vector != PF || !(last_fault.error & PF_RESERVED))
		return fail("PS: vector %lu, error %lx", (u64)vector, last_fault.error);
	return NULL;
}

/* Tables that contain themselves, and tables made of devices and of nothing. */
static const char *run_table_loops(void)
{
	static const u64 tables[] = { HOLE, LAPIC, IOAPIC, HPET, 0xfff00000, 1ull << 39 };
	unsigned int i, level;

	pml4[2] = (u64)pml4 | PTE_P | PTE_W | PTE_U;
	if (attempt(load, 2ull << 39 | 2ull << 30 | 2ull << 21 | 2ull << 12, 0) != NO_FAULT)
		return "the map of itself cannot be read";
	/* what an entry of such a table says cannot be told: it may map anything that is the guest's, or fault */
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		pml4[2] = tables[i] | PTE_P | PTE_W | PTE_U;
		for (level = 0; level < 3; level++) {
			u64 address = 2ull << 39 | (u64)level << 30 | (u64)i << 21;

			attempt(load, address, 0);
			attempt(jump, address, 0);
			attempt(push_at, address + 64, 0);
		}
		slot_map(0, tables[i], PTE_P | PTE_W);
		attempt(load, slot_address(0), 0);
	}
	pml4[2] = 0;
	WRITE_CR(3, pml4);
	return NULL;
}

/* The three below end the guest. */
static const char *run_triple_fault(void)
{
	asm volatile("lidt %0; ud2" : : "m"(no_idt));
	return "it came back";
}

static const char *run_triple_stack(void)
{
	unsigned int i;

	for (i = 0; i < 7; i++)
		tss.ist[i] = NON_CANONICAL;
	asm volatile("ud2");
	return "it came back";
}

static const char *run_triple_cr3(void)
{
	static u64 empty[512] __attribute__((aligned(4096)));

	WRITE_CR(3, empty);
	return "it came back";
}

static const char *run_cr3_hole(void)
{
	WRITE_CR(3, HOLE);
	return "it came back";
}

static const char *run_cr3_device(void)
{
	WRITE_CR(3, HPET);
	return "it came back";
}

static const struct test tests[] = {
	{ "wild_rip", run_wild_rip },
	{ "jump_0", run_jump_0 },
	{ "stack_fault", run_stack_fault },
	{ "double_fault", run_double_fault },
	{ "reserved_bits", run_reserved_bits },
	{ "table_loops", run_table_loops },
	{ "triple_fault", run_triple_fault },
	{ "triple_stack", run_triple_stack },
	{ "triple_cr3", run_triple_cr3 },
	{ "cr3_hole", run_cr3_hole },
	{ "cr3_device", run_cr3_device },
};

const struct test_group crash_tests = { tests, ARRAY_SIZE(tests) };
