// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events that are delivered through memory of nobody or of a device: the CPU exits in the middle of the delivery, and
 * the monitor has to deliver the event once more. What the CPU pushes goes nowhere, so a handler that wants to come
 * back has to remember where: `landed` ends the attempt().
 */
#include "guest.h"

#define VECTOR		0x41
#define SOFTWARE	0x80
#define LANDED		0x200		/* what attempt() returns */
#define ICR		(LAPIC + 0x300)
#define ICR_SELF	0x44000u
#define ICR_NMI		0x400u
#define SVR		(LAPIC + 0xf0)

static volatile u64 landings;

/* The handler: onto a good stack, and out of the attempt(). Two entries, for events with and without an error code. */
asm(".pushsection .text\n"
    ".globl landed\nlanded:\n"
    "	movq	recovery, %rsp\n"
    "	incq	landings\n"
    "	movl	$0x200, %eax\n"
    "	jmp	attempt_faulted\n"
    ".popsection");
void landed(void);

static void software_interrupt(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile("int %0" : : "i"(SOFTWARE));
}

static void int3(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile("int3");
}

static void int1(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile(".byte 0xf1");
}

static void undefined(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile("ud2");
}

static void general_protection(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile("mov %0, %%ds" : : "r"(0x1000));
}

static void page_fault(u64 a, u64 b)
{
	(void)a;
	(void)b;
	read64(0x400000000000);
}

static void divide(u64 a, u64 b)
{
	(void)b;
	asm volatile("divl %0" : : "r"((u32)a), "a"(1), "d"(0));
}

static void step(u64 a, u64 b)
{
	(void)a;
	(void)b;
	asm volatile("pushfq; orq %0, (%%rsp); popfq; nop" : : "i"(FLAG_TF) : "memory", "cc");
}

static void interrupt(u64 a, u64 b)
{
	(void)a;
	(void)b;
	write32(SVR, 0x1ff);
	write32(ICR, ICR_SELF | VECTOR);
	sti();
	spin_us(10000);
}

static void nmi(u64 a, u64 b)
{
	(void)a;
	(void)b;
	write32(SVR, 0x1ff);
	write32(ICR, ICR_SELF | ICR_NMI);
	spin_us(10000);
}

static const struct event {
	const char *name;
	u8 vector;
	void (*cause)(u64, u64);
} events[] = {
	{ "INT n", SOFTWARE, software_interrupt },
	{ "INT3", BP, int3 },
	{ "INT1", DB, int1 },
	{ "single step", DB, step },
	{ "#UD", UD, undefined },
	{ "#DE", DE, divide },
	{ "#GP", GP, general_protection },
	{ "#PF", PF, page_fault },
	{ "interrupt", VECTOR, interrupt },
};

static const struct event nmi_event = { "NMI", NMI, nmi };

/* An IRET ends the blocking of NMIs that the delivery of one began. */
static void unblock_nmi(void)
{
	asm volatile("mov %%rsp, %%rax; pushq %0; pushq %%rax; pushfq; pushq %1; pushq $1f; iretq; 1:"
		     : : "i"(SEL_DATA), "i"(SEL_CODE) : "rax", "memory");
}

static const char *deliver(const struct event *e, u64 stack)
{
	u64 before = landings;
	int result;

	tss.ist[IST_SPARE - 1] = stack;
	set_gate(e->vector, landed, IST_SPARE, GATE_INTERRUPT);
	result = attempt(e->cause, 0, 0);
	trap_init();
	if (e->vector == VECTOR)
		write32(LAPIC + 0xb0, 0);
	if (result != LANDED || landings != before + 1)
		return fail("%s with a stack at %lx: result %lx, %lu landings", e->name, stack, (u64)result,
			    landings - before);
	return NULL;
}

static const char *deliver_all(u64 stack)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events) && !why; i++)
		why = deliver(&events[i], stack);
	if (!why && read32(LAPIC + 0x120) != 0)
		why = "an interrupt is still in service";
	return why;
}

static const char *run_stack_hole(void)
{
	return deliver_all(HOLE + PAGE);
}

/* Half of what is pushed in RAM. */
static const char *run_stack_crossing(void)
{
	static u8 ram[PAGE] __attribute__((aligned(4096)));

	slot_map(0, HOLE, PTE_P | PTE_W);
	slot_map(1, (u64)ram, PTE_P | PTE_W);
	return deliver_all(slot_address(1) + 16);
}

static const char *run_stack_lapic(void)
{
	return deliver_all(LAPIC + PAGE);
}

static const char *run_stack_hpet(void)
{
	return deliver_all(HPET + PAGE);
}

static const char *run_stack_ioapic(void)
{
	return deliver_all(IOAPIC + PAGE);
}

static const char *run_stack_nmi(void)
{
	const char *why = deliver(&nmi_event, HOLE + PAGE);

	unblock_nmi();
	if (!why)
		why = deliver(&nmi_event, LAPIC + PAGE);
	unblock_nmi();
	return why;
}

/* Tables in memory of nobody hold ones, which are no gates and no selectors: each ends in a triple fault. */
static const char *run_idt_hole(void)
{
	const struct table_register r = { 0xfff, HOLE };

	asm volatile("lidt %0; int3" : : "m"(r));
	return "it came back";
}

static const char *run_idt_device(void)
{
	const struct table_register r = { 0xfff, LAPIC };

	asm volatile("lidt %0; ud2" : : "m"(r));
	return "it came back";
}

static const char *run_gdt_hole(void)
{
	const struct table_register r = { 0xffff, HOLE };

	asm volatile("lgdt %0; ud2" : : "m"(r));
	return "it came back";
}

static const char *run_tss_hole(void)
{
	/* a TSS whose stack pointers are all ones */
	gdt[4] = 0x0000890000000067 | (u64)(HOLE & 0xffffff) << 16 | (u64)(HOLE >> 24) << 56;
	gdt[5] = 0;
	asm volatile("ltr %w0; ud2" : : "r"(SEL_TSS));
	return "it came back";
}

static const struct test tests[] = {
	{ "stack_hole", run_stack_hole },
	{ "stack_crossing", run_stack_crossing },
	{ "stack_lapic", run_stack_lapic },
	{ "stack_hpet", run_stack_hpet },
	{ "stack_ioapic", run_stack_ioapic },
	{ "stack_nmi", run_stack_nmi },
	{ "idt_hole", run_idt_hole },
	{ "idt_device", run_idt_device },
	{ "gdt_hole", run_gdt_hole },
	{ "tss_hole", run_tss_hole },
};

const struct test_group delivery_tests = { tests, ARRAY_SIZE(tests) };
