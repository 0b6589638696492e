// SPDX-License-Identifier: GPL-2.0-only
/* Instructions that a monitor looks at: those of VMX and SMX, waits, counters, single steps over emulated ones. */
#include "guest.h"

struct form {
	const char *name;
	u8 size;
	u8 code[15];
	int expect;
};

static u8 operand[64] __attribute__((aligned(64)));

/* RDI: memory; RAX, RCX, RDX, RBX: 0. What the SDM says of a CPU without VMX, SMX, SGX, outside SMM. */
static const struct form forms[] = {
	{ "vmcall", 3, { 0x0f, 0x01, 0xc1 }, UD },
	{ "vmlaunch", 3, { 0x0f, 0x01, 0xc2 }, UD },
	{ "vmresume", 3, { 0x0f, 0x01, 0xc3 }, UD },
	{ "vmxoff", 3, { 0x0f, 0x01, 0xc4 }, UD },
	{ "vmfunc", 3, { 0x0f, 0x01, 0xd4 }, UD },
	{ "vmread", 3, { 0x0f, 0x78, 0xc0 }, UD },
	{ "vmread mem", 3, { 0x0f, 0x78, 0x07 }, UD },
	{ "vmwrite", 3, { 0x0f, 0x79, 0xc0 }, UD },
	{ "vmwrite mem", 3, { 0x0f, 0x79, 0x07 }, UD },
	{ "vmptrld", 3, { 0x0f, 0xc7, 0x37 }, UD },
	{ "vmptrst", 3, { 0x0f, 0xc7, 0x3f }, UD },
	{ "vmclear", 4, { 0x66, 0x0f, 0xc7, 0x37 }, UD },
	{ "vmxon", 4, { 0xf3, 0x0f, 0xc7, 0x37 }, UD },
	{ "invept", 5, { 0x66, 0x0f, 0x38, 0x80, 0x07 }, UD },
	{ "invvpid", 5, { 0x66, 0x0f, 0x38, 0x81, 0x07 }, UD },
	{ "getsec", 2, { 0x0f, 0x37 }, UD },
	{ "encls", 3, { 0x0f, 0x01, 0xcf }, UD },
	{ "enclu", 3, { 0x0f, 0x01, 0xd7 }, UD },
	{ "enclv", 3, { 0x0f, 0x01, 0xc0 }, UD },
	{ "pconfig", 3, { 0x0f, 0x01, 0xc5 }, UD },
	{ "rsm", 2, { 0x0f, 0xaa }, UD },
	{ "monitor", 3, { 0x0f, 0x01, 0xc8 }, UD },
	{ "mwait", 3, { 0x0f, 0x01, 0xc9 }, UD },
	{ "umonitor", 4, { 0xf3, 0x0f, 0xae, 0xf0 }, UD },
	{ "umwait", 4, { 0xf2, 0x0f, 0xae, 0xf0 }, UD },
	{ "tpause", 4, { 0x66, 0x0f, 0xae, 0xf0 }, UD },
	{ "vmrun", 3, { 0x0f, 0x01, 0xd8 }, UD },
	{ "vmmcall", 3, { 0x0f, 0x01, 0xd9 }, UD },
	{ "vmload", 3, { 0x0f, 0x01, 0xda }, UD },
	{ "stgi", 3, { 0x0f, 0x01, 0xdc }, UD },
	{ "skinit", 3, { 0x0f, 0x01, 0xde }, UD },
	{ "seamcall", 4, { 0x66, 0x0f, 0x01, 0xcf }, UD },
	{ "rdpmc", 2, { 0x0f, 0x33 }, GP },
	{ "invd", 2, { 0x0f, 0x08 }, NO_FAULT },
	{ "wbinvd", 2, { 0x0f, 0x09 }, NO_FAULT },
	{ "wbnoinvd", 3, { 0xf3, 0x0f, 0x09 }, NO_FAULT },
	{ "rdtscp", 3, { 0x0f, 0x01, 0xf9 }, NO_FAULT },
	{ "pause", 2, { 0xf3, 0x90 }, NO_FAULT },
	{ "invlpg", 3, { 0x0f, 0x01, 0x3f }, NO_FAULT },
	{ "invpcid 0", 5, { 0x66, 0x0f, 0x38, 0x82, 0x07 }, NO_FAULT },
	{ "invpcid 5", 9, { 0xb0, 5, 0x66, 0x0f, 0x38, 0x82, 0x07, 0x90, 0x90 }, GP },
	{ "ud2", 2, { 0x0f, 0x0b }, UD },
	{ "15 prefixes", 15, { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66 },
	  GP },
	{ "lock nop", 2, { 0xf0, 0x90 }, UD },
	{ "cpuid", 2, { 0x0f, 0xa2 }, NO_FAULT },
};

static const char *run_forms(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		struct registers r = { .rdi = (u64)operand };
		int vector = run_code(forms[i].code, forms[i].size, &r);

		if (vector != forms[i].expect)
			return fail("%s: vector %lu instead of %lu", forms[i].name, (u64)vector, (u64)forms[i].expect);
	}
	return NULL;
}

static void user_mode(u64 code, u64 stack)
{
	asm volatile("pushq %0; pushq %1; pushq $2; pushq %2; pushq %3; iretq"
		     : : "i"(SEL_USER_DATA), "r"(stack), "i"(SEL_USER_CODE), "r"(code) : "memory");
}

/* The same in CPL 3, where privileged ones are #GP; what is left is that nothing else happens. */
static const char *run_forms_user(void)
{
	static u8 pages[2][PAGE] __attribute__((aligned(4096)));
	volatile u8 *buffer = slot_map(0, (u64)pages[0], PTE_P | PTE_W | PTE_U);
	volatile u8 *stack = slot_map(1, (u64)pages[1], PTE_P | PTE_W | PTE_U);
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		int vector;

		for (j = 0; j < forms[i].size; j++)
			buffer[j] = forms[i].code[j];
		buffer[j] = 0x0f;
		buffer[j + 1] = 0x0b;		/* UD2 */
		vector = attempt(user_mode, (u64)buffer, (u64)stack + PAGE);
		if (vector != UD && vector != GP && vector != PF)
			return fail("%s: vector %lu", forms[i].name, (u64)vector);
	}
	return NULL;
}

/* Registers for the code below, and RFLAGS with TF for its POPF. */
static void enter(u64 at, u64 unused)
{
	(void)unused;
	asm volatile("pushq %0; jmp *%1" : : "i"(FLAG_TF | 2), "r"(at), "a"(0), "c"(MSR_APIC_BASE), "d"(0x21),
		     "D"((u64)LAPIC + 0x80), "S"((u64)operand), "b"(SEL_DATA) : "memory");
}

/* TF over instructions that exit: the trap comes after the instruction, with RIP behind it and BS in DR6. */
static const char *step(const char *name, const u8 *code, unsigned int size, unsigned int length)
{
	static u8 buffer[32] __attribute__((aligned(64)));
	unsigned int i;
	u64 dr6;
	int vector;

	buffer[0] = 0x9d;		/* POPF: the instruction after it is the first that is stepped over */
	for (i = 0; i < size; i++)
		buffer[1 + i] = code[i];
	buffer[1 + size] = 0xc3;
	asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ull));
	vector = attempt(enter, (u64)buffer, 0);
	asm volatile("mov %%dr6, %0" : "=r"(dr6));
	if (vector != DB || last_fault.rip != (u64)buffer + 1 + length || !(dr6 & 1 << 14))
		return fail("%s: vector %lu, at %lx, DR6 %lx", name, (u64)vector, last_fault.rip - (u64)buffer, dr6);
	return NULL;
}

static const char *run_single_step(void)
{
	static const struct form stepped[] = {
		{ "nop", 1, { 0x90 }, 1 },
		{ "cpuid", 2, { 0x0f, 0xa2 }, 2 },
		{ "in", 2, { 0xe4, 0x21 }, 2 },
		{ "out", 2, { 0xe6, 0x80 }, 2 },
		{ "rdmsr", 2, { 0x0f, 0x32 }, 2 },
		{ "mmio read", 2, { 0x8b, 0x07 }, 2 },
		{ "mmio write", 2, { 0x89, 0x07 }, 2 },
		{ "outsb", 1, { 0x6e }, 1 },
		{ "wbinvd", 2, { 0x0f, 0x09 }, 2 },
		/* MOV SS holds the trap back for one instruction */
		{ "mov ss, in", 4, { 0x8e, 0xd3, 0xe4, 0x21 }, 4 },
		{ "mov ss, cpuid", 4, { 0x8e, 0xd3, 0x0f, 0xa2 }, 4 },
		{ "mov ss, mmio read", 4, { 0x8e, 0xd3, 0x8b, 0x07 }, 4 },
		{ "sti, in", 3, { 0xfb, 0xe4, 0x21 }, 1 },
	};
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stepped) && !why; i++)
		why = step(stepped[i].name, stepped[i].code, stepped[i].size, (unsigned int)stepped[i].expect);
	return why;
}

/* With SMEP on no page of a user may be executed: not the handler of the fault that this is, either. */
static const char *run_endless_pf(void)
{
	void (*handler)(void) = (void (*)(void))slot_map(0, (u64)operand & ~(u64)(PAGE - 1), PTE_P | PTE_W | PTE_U);
	u64 cr4;

	READ_CR(4, cr4);
	WRITE_CR(4, cr4 | CR4_SMEP);
	set_gate(PF, handler, IST_FAULT, GATE_INTERRUPT);
	handler();
	return "it came back";
}

/* A data breakpoint on the stack that #DB pushes onto: each delivery hits it again. */
static const char *run_endless_db(void)
{
	static u64 stack[512] __attribute__((aligned(4096)));

	tss.ist[IST_SPARE - 1] = (u64)&stack[512];
	idt[DB].ist = IST_SPARE;
	asm volatile("mov %0, %%dr0" : : "r"((u64)&stack[510]));
	asm volatile("mov %0, %%dr7" : : "r"(0x00090402ull));
	asm volatile("pushfq; orq %0, (%%rsp); popfq; nop; nop" : : "i"(FLAG_TF));
	return "it came back";
}

/* Waits from which only the monitor can take the CPU back. */
static const char *run_hlt_if0(void)
{
	/* a timer that would wake it if IF were set: it must not */
	write32(LAPIC + 0xf0, 0x1ff);
	write32(LAPIC + 0x3e0, 0xb);
	write32(LAPIC + 0x320, 0x41);
	write32(LAPIC + 0x380, 1000);
	asm volatile("cli; hlt");
	return "it came back";
}

static const char *run_spin(void)
{
	for (;;)
		asm volatile("cli");
	return "it came back";
}

static const char *run_spin_pause(void)
{
	for (;;)
		asm volatile("cli; pause");
	return "it came back";
}

static const char *run_spin_cpuid(void)
{
	u32 r[4];

	for (;;)
		cpuid(0, 0, r);
	return "it came back";
}

static const struct test tests[] = {
	{ "forms", run_forms },
	{ "forms_user", run_forms_user },
	{ "single_step", run_single_step },
	{ "endless_pf", run_endless_pf },
	{ "endless_db", run_endless_db },
	{ "hlt_if0", run_hlt_if0 },
	{ "spin", run_spin },
	{ "spin_pause", run_spin_pause },
	{ "spin_cpuid", run_spin_cpuid },
};

const struct test_group instruction_tests = { tests, ARRAY_SIZE(tests) };
