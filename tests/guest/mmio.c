// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is no RAM, under every kind of instruction: in a hole loads give ones and stores vanish, whatever the
 * instruction is; in a device's page nothing worse happens than a fault.
 */
#include "guest.h"

#define SPOT		0x400		/* where in a page the forms work: 64 bytes aligned, no register of a device */

struct form {
	const char *name;
	u8 size;
	u8 code[16];
	int expect;			/* in a hole */
	bool jumps;			/* to where a device's register says: not in devices */
};

/*
 * RDI, RBX: where. RSI: our GDT's register. RAX: 7. RCX: 0, RDX: 0. AVX registers hold what earlier forms left there.
 * What is not in CPUID is #UD.
 */
static const struct form forms[] = {
	/* x87 */
	{ "fld m32", 4, { 0xd9, 0x07, 0xdd, 0xd8 }, NO_FAULT },
	{ "fld m64", 4, { 0xdd, 0x07, 0xdd, 0xd8 }, NO_FAULT },
	{ "fld m80", 4, { 0xdb, 0x2f, 0xdd, 0xd8 }, NO_FAULT },
	{ "fild m64", 4, { 0xdf, 0x2f, 0xdd, 0xd8 }, NO_FAULT },
	{ "fadd m32", 6, { 0xd9, 0xe8, 0xd8, 0x07, 0xdd, 0xd8 }, NO_FAULT },
	{ "fstp m32", 4, { 0xd9, 0xe8, 0xd9, 0x1f }, NO_FAULT },
	{ "fstp m64", 4, { 0xd9, 0xe8, 0xdd, 0x1f }, NO_FAULT },
	{ "fstp m80", 4, { 0xd9, 0xe8, 0xdb, 0x3f }, NO_FAULT },
	{ "fistp m16", 4, { 0xd9, 0xe8, 0xdf, 0x1f }, NO_FAULT },
	{ "fbstp", 4, { 0xd9, 0xe8, 0xdf, 0x37 }, NO_FAULT },
	{ "fnstenv", 2, { 0xd9, 0x37 }, NO_FAULT },
	{ "fnsave", 2, { 0xdd, 0x37 }, NO_FAULT },
	{ "fnstcw", 2, { 0xd9, 0x3f }, NO_FAULT },
	{ "fnstsw", 2, { 0xdd, 0x3f }, NO_FAULT },
	{ "fldcw", 4, { 0xd9, 0x2f, 0xdb, 0xe3 }, NO_FAULT },
	{ "fldenv", 4, { 0xd9, 0x27, 0xdb, 0xe3 }, NO_FAULT },
	{ "frstor", 4, { 0xdd, 0x27, 0xdb, 0xe3 }, NO_FAULT },
	/* MMX, SSE */
	{ "movq mm", 5, { 0x0f, 0x6f, 0x07, 0x0f, 0x77 }, NO_FAULT },
	{ "movq m, mm", 5, { 0x0f, 0x7f, 0x07, 0x0f, 0x77 }, NO_FAULT },
	{ "paddb mm", 5, { 0x0f, 0xfc, 0x07, 0x0f, 0x77 }, NO_FAULT },
	{ "movss", 4, { 0xf3, 0x0f, 0x10, 0x07 }, NO_FAULT },
	{ "movsd m", 4, { 0xf2, 0x0f, 0x11, 0x07 }, NO_FAULT },
	{ "movd", 4, { 0x66, 0x0f, 0x6e, 0x07 }, NO_FAULT },
	{ "movq", 4, { 0xf3, 0x0f, 0x7e, 0x07 }, NO_FAULT },
	{ "movhps", 3, { 0x0f, 0x16, 0x07 }, NO_FAULT },
	{ "movups", 3, { 0x0f, 0x10, 0x07 }, NO_FAULT },
	{ "movaps m", 3, { 0x0f, 0x29, 0x07 }, NO_FAULT },
	{ "addps", 3, { 0x0f, 0x58, 0x07 }, NO_FAULT },
	{ "ucomiss", 3, { 0x0f, 0x2e, 0x07 }, NO_FAULT },
	{ "cvtsi2sd", 4, { 0xf2, 0x0f, 0x2a, 0x07 }, NO_FAULT },
	{ "pshufd", 5, { 0x66, 0x0f, 0x70, 0x07, 0x1b }, NO_FAULT },
	{ "pinsrw", 5, { 0x66, 0x0f, 0xc4, 0x07, 1 }, NO_FAULT },
	{ "pextrb", 6, { 0x66, 0x0f, 0x3a, 0x14, 0x07, 1 }, NO_FAULT },
	{ "ptest", 5, { 0x66, 0x0f, 0x38, 0x17, 0x07 }, NO_FAULT },
	{ "aesenc", 5, { 0x66, 0x0f, 0x38, 0xdc, 0x07 }, NO_FAULT },
	{ "movntdqa", 5, { 0x66, 0x0f, 0x38, 0x2a, 0x07 }, NO_FAULT },
	{ "maskmovdqu", 8, { 0x66, 0x0f, 0x76, 0xc9, 0x66, 0x0f, 0xf7, 0xc1 }, NO_FAULT },
	{ "maskmovq", 8, { 0x0f, 0x74, 0xc9, 0x0f, 0xf7, 0xc1, 0x0f, 0x77 }, NO_FAULT },
	/* AVX, AVX-512 */
	{ "vmovups ymm", 4, { 0xc5, 0xfc, 0x10, 0x07 }, NO_FAULT },
	{ "vmovups m, ymm", 4, { 0xc5, 0xfc, 0x11, 0x07 }, NO_FAULT },
	{ "vmovdqu xmm", 4, { 0xc5, 0xfa, 0x6f, 0x07 }, NO_FAULT },
	{ "vaddps", 4, { 0xc5, 0xfc, 0x58, 0x07 }, NO_FAULT },
	{ "vbroadcastss", 5, { 0xc4, 0xe2, 0x7d, 0x18, 0x07 }, NO_FAULT },
	{ "vmaskmovps m", 9, { 0xc5, 0xfd, 0x76, 0xc0, 0xc4, 0xe2, 0x7d, 0x2e, 0x07 }, NO_FAULT },
	{ "vpgatherdd", 14, { 0xc5, 0xf5, 0x76, 0xc9, 0xc5, 0xed, 0xef, 0xd2, 0xc4, 0xe2, 0x75, 0x90, 0x04, 0x17 }, NO_FAULT },
	{ "vmovups zmm", 6, { 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07 }, UD },
	{ "vzeroupper", 3, { 0xc5, 0xf8, 0x77 }, NO_FAULT },
	/* read, modify, write */
	{ "lock add", 3, { 0xf0, 0x01, 0x07 }, NO_FAULT },
	{ "lock xadd", 4, { 0xf0, 0x0f, 0xc1, 0x07 }, NO_FAULT },
	{ "lock cmpxchg", 4, { 0xf0, 0x0f, 0xb1, 0x07 }, NO_FAULT },
	{ "cmpxchg8b", 3, { 0x0f, 0xc7, 0x0f }, NO_FAULT },
	{ "lock cmpxchg8b", 4, { 0xf0, 0x0f, 0xc7, 0x0f }, NO_FAULT },
	{ "cmpxchg16b", 4, { 0x48, 0x0f, 0xc7, 0x0f }, NO_FAULT },
	{ "lock cmpxchg16b", 5, { 0xf0, 0x48, 0x0f, 0xc7, 0x0f }, NO_FAULT },
	{ "lock bts", 5, { 0xf0, 0x0f, 0xba, 0x2f, 3 }, NO_FAULT },
	{ "bts r", 3, { 0x0f, 0xab, 0x07 }, NO_FAULT },
	{ "xchg", 2, { 0x87, 0x07 }, NO_FAULT },
	{ "rol", 2, { 0xd3, 0x07 }, NO_FAULT },
	{ "shl 1", 2, { 0xd1, 0x27 }, NO_FAULT },
	{ "sar 3", 3, { 0xc0, 0x3f, 3 }, NO_FAULT },
	{ "shld", 4, { 0x0f, 0xa4, 0x07, 5 }, NO_FAULT },
	{ "neg", 2, { 0xf7, 0x1f }, NO_FAULT },
	{ "sete", 3, { 0x0f, 0x94, 0x07 }, NO_FAULT },
	{ "cmove", 3, { 0x0f, 0x44, 0x07 }, NO_FAULT },
	/* arithmetic from memory */
	{ "imul", 3, { 0x0f, 0xaf, 0x07 }, NO_FAULT },
	{ "imul imm", 3, { 0x6b, 0x07, 3 }, NO_FAULT },
	{ "mul", 2, { 0xf7, 0x27 }, NO_FAULT },
	{ "div", 2, { 0xf7, 0x37 }, NO_FAULT },
	{ "bsf", 3, { 0x0f, 0xbc, 0x07 }, NO_FAULT },
	{ "popcnt", 4, { 0xf3, 0x0f, 0xb8, 0x07 }, NO_FAULT },
	{ "movbe", 4, { 0x0f, 0x38, 0xf0, 0x07 }, NO_FAULT },
	{ "movbe m", 4, { 0x0f, 0x38, 0xf1, 0x07 }, NO_FAULT },
	{ "crc32", 5, { 0xf2, 0x0f, 0x38, 0xf1, 0x07 }, NO_FAULT },
	{ "adcx", 5, { 0x66, 0x0f, 0x38, 0xf6, 0x07 }, NO_FAULT },
	{ "xlat", 1, { 0xd7 }, NO_FAULT },
	/* the stack, and jumps */
	{ "push m", 3, { 0xff, 0x37, 0x58 }, NO_FAULT },
	{ "pop m", 4, { 0x6a, 1, 0x8f, 0x07 }, NO_FAULT },
	{ "call m", 2, { 0xff, 0x17 }, PF, true },
	{ "jmp m", 2, { 0xff, 0x27 }, PF, true },
	{ "ljmp m", 3, { 0x48, 0xff, 0x2f }, GP, true },
	{ "push there", 10, { 0x48, 0x89, 0xe2, 0x48, 0x89, 0xfc, 0x50, 0x48, 0x89, 0xd4 }, NO_FAULT },
	{ "pop there", 10, { 0x48, 0x89, 0xe2, 0x48, 0x89, 0xfc, 0x58, 0x48, 0x89, 0xd4 }, NO_FAULT },
	{ "call there", 14, { 0x48, 0x89, 0xe2, 0x48, 0x89, 0xfc, 0xe8, 0, 0, 0, 0, 0x48, 0x89, 0xd4 }, NO_FAULT },
	{ "enter there", 13, { 0x48, 0x89, 0xe2, 0x48, 0x89, 0xfc, 0xc8, 16, 0, 0, 0x48, 0x89, 0xd4 }, NO_FAULT },
	{ "ret there", 4, { 0x48, 0x89, 0xfc, 0xc3 }, PF, true },
	{ "iretq there", 5, { 0x48, 0x89, 0xfc, 0x48, 0xcf }, GP, true },
	/* strings */
	{ "movsb, both there", 4, { 0x48, 0x89, 0xfe, 0xa4 }, NO_FAULT },
	{ "rep movsq, both there", 8, { 0x48, 0x89, 0xfe, 0xb1, 16, 0xf3, 0x48, 0xa5 }, NO_FAULT },
	{ "cmpsd, both there", 4, { 0x48, 0x89, 0xfe, 0xa7 }, NO_FAULT },
	{ "repne scasb", 4, { 0xb1, 16, 0xf2, 0xae }, NO_FAULT },
	{ "rep stosw", 5, { 0xb1, 16, 0xf3, 0x66, 0xab }, NO_FAULT },
	{ "rep lodsb", 7, { 0x48, 0x89, 0xfe, 0xb1, 16, 0xf3, 0xac }, NO_FAULT },
	/* state */
	{ "fxsave", 3, { 0x0f, 0xae, 0x07 }, NO_FAULT },
	{ "fxrstor", 3, { 0x0f, 0xae, 0x0f }, GP },
	{ "ldmxcsr", 3, { 0x0f, 0xae, 0x17 }, GP },
	{ "stmxcsr", 3, { 0x0f, 0xae, 0x1f }, NO_FAULT },
	{ "xsave", 3, { 0x0f, 0xae, 0x27 }, NO_FAULT },
	{ "xsaveopt", 3, { 0x0f, 0xae, 0x37 }, NO_FAULT },
	{ "xsavec", 3, { 0x0f, 0xc7, 0x27 }, NO_FAULT },
	{ "xsaves", 3, { 0x0f, 0xc7, 0x2f }, NO_FAULT },
	{ "xrstor", 3, { 0x0f, 0xae, 0x2f }, GP },
	{ "clflush", 3, { 0x0f, 0xae, 0x3f }, NO_FAULT },
	{ "prefetch", 3, { 0x0f, 0x18, 0x07 }, NO_FAULT },
	/* tables and selectors */
	{ "sgdt", 3, { 0x0f, 0x01, 0x07 }, NO_FAULT },
	{ "sidt", 3, { 0x0f, 0x01, 0x0f }, NO_FAULT },
	{ "lgdt", 6, { 0x0f, 0x01, 0x17, 0x0f, 0x01, 0x16 }, NO_FAULT, true },
	{ "sldt", 3, { 0x0f, 0x00, 0x07 }, NO_FAULT },
	{ "str", 3, { 0x0f, 0x00, 0x0f }, NO_FAULT },
	{ "lldt", 3, { 0x0f, 0x00, 0x17 }, GP, true },
	{ "ltr", 3, { 0x0f, 0x00, 0x1f }, GP, true },
	{ "verr", 3, { 0x0f, 0x00, 0x27 }, NO_FAULT },
	{ "lar", 3, { 0x0f, 0x02, 0x07 }, NO_FAULT },
	{ "smsw", 3, { 0x0f, 0x01, 0x27 }, NO_FAULT },
	{ "mov ds", 2, { 0x8e, 0x1f }, GP, true },
	{ "lss", 3, { 0x0f, 0xb2, 0x07 }, GP, true },
	{ "invpcid", 5, { 0x66, 0x0f, 0x38, 0x82, 0x07 }, GP },
	{ "vmptrld", 3, { 0x0f, 0xc7, 0x37 }, UD },
	{ "nop m", 3, { 0x0f, 0x1f, 0x07 }, NO_FAULT },
	/* what the decoder does know, as the measure */
	{ "mov", 2, { 0x8b, 0x07 }, NO_FAULT },
	{ "mov m", 2, { 0x89, 0x07 }, NO_FAULT },
	{ "movs to there", 1, { 0xa4 }, NO_FAULT },
};

static int run_form(const struct form *form, u64 where)
{
	struct registers r = { .rax = 7, .rbx = where, .rdi = where, .rsi = (u64)&gdt_register };

	return run_code(form->code, form->size, &r);
}

static const char *forms_in_hole(u64 where)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		int vector;

		vector = run_form(&forms[i], where);
		if (vector != forms[i].expect)
			return fail("%s at %lx: vector %lu instead of %lu", forms[i].name, where, (u64)vector,
				    (u64)forms[i].expect);
		if (read64(where) != ~0ull || read64(where - 8) != ~0ull)
			return fail("%s leaves %lx at %lx", forms[i].name, read64(where), where);
	}
	return NULL;
}

static const char *run_forms_hole(void)
{
	return forms_in_hole(HOLE + SPOT);
}

/* The same where a page of 4 KiB maps the hole, above 4 GiB. */
static const char *run_forms_slot(void)
{
	slot_map(0, 1ull << 36, PTE_P | PTE_W);
	return forms_in_hole(slot_address(0) + SPOT);
}

static const char *forms_in_device(u64 page)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (!forms[i].jumps) {
			run_form(&forms[i], page + SPOT);
			run_form(&forms[i], page);
		}
	return NULL;
}

static const char *run_forms_lapic(void)
{
	return forms_in_device(LAPIC);
}

static const char *run_forms_ioapic(void)
{
	return forms_in_device(IOAPIC);
}

static const char *run_forms_hpet(void)
{
	return forms_in_device(HPET);
}

/* What loads of all kinds bring back from a hole, and from a device that has known values. */
static const char *run_values(void)
{
	static const u8 sse[] = { 0x0f, 0x10, 0x07, 0x0f, 0x11, 0x06 };			/* movups xmm0, [rdi]; [rsi], xmm0 */
	static const u8 avx[] = { 0xc5, 0xfc, 0x10, 0x07, 0xc5, 0xfc, 0x11, 0x06 };	/* vmovups ymm0 */
	static const u8 x87[] = { 0xdf, 0x2f, 0xdf, 0x3e };				/* fild m64; fistp [rsi] */
	static u64 data[8] __attribute__((aligned(64)));
	struct registers r = { .rdi = HOLE + SPOT, .rsi = (u64)data };
	unsigned int i;

	if (run_code(sse, sizeof(sse), &r) != NO_FAULT || data[0] != ~0ull || data[1] != ~0ull)
		return fail("SSE: %lx %lx", data[0], data[1]);
	for (i = 0; i < 4; i++)
		data[i] = 0;
	if (run_code(avx, sizeof(avx), &r) != NO_FAULT || data[0] != ~0ull || data[3] != ~0ull)
		return fail("AVX: %lx %lx", data[0], data[3]);
	data[0] = 0;
	if (run_code(x87, sizeof(x87), &r) != NO_FAULT || data[0] != ~0ull)
		return fail("x87: %lx", data[0]);
	if (read64(HPET) >> 32 != read32(HPET + 4))
		return "HPET: 8 bytes are not 4 and 4";
	r.rdi = HPET;
	if (run_code(sse, sizeof(sse), &r) != NO_FAULT || data[0] != read64(HPET))
		return fail("HPET by SSE: %lx", data[0]);
	return NULL;
}

static void access(u64 where, u64 size_and_value)
{
	u64 value = size_and_value >> 8;

	switch (size_and_value & 0xff) {
	case 1:
		asm volatile("movb (%0), %%al; movb %b1, (%0)" : : "r"(where), "r"(value) : "rax", "memory");
		break;
	case 2:
		asm volatile("movw (%0), %%ax; movw %w1, (%0)" : : "r"(where), "r"(value) : "rax", "memory");
		break;
	case 4:
		asm volatile("movl (%0), %%eax; movl %k1, (%0)" : : "r"(where), "r"(value) : "rax", "memory");
		break;
	default:
		asm volatile("movq (%0), %%rax; movq %1, (%0)" : : "r"(where), "r"(value) : "rax", "memory");
	}
}

/* Every offset, also where the access leaves the page or comes from the one before. `full=1`: with more values. */
static const char *sweep(u64 page)
{
	static const u64 values[] = { 0x5aa5c33cull, 0, ~0ull };
	const char *text;
	unsigned int nvalues = option("full", &text) ? ARRAY_SIZE(values) : 1, i, size;
	u64 at;

	for (i = 0; i < nvalues; i++)
		for (size = 1; size <= 8; size *= 2)
			for (at = page - size + 1; at < page + PAGE; at++) {
				int vector = attempt(access, at, values[i] << 8 | size);

				if (vector != NO_FAULT && vector != GP)
					return fail("%lu bytes at %lx: vector %lu", (u64)size, at, (u64)vector);
			}
	return NULL;
}

static const char *run_sweep_lapic(void)
{
	return sweep(LAPIC);
}

static const char *run_sweep_ioapic(void)
{
	return sweep(IOAPIC);
}

static const char *run_sweep_hpet(void)
{
	return sweep(HPET);
}

/* Half in RAM, half in a hole or a device: what is RAM is RAM. */
static const char *run_crossing(void)
{
	static u8 ram[PAGE] __attribute__((aligned(4096)));
	static const u64 other[] = { HOLE, LAPIC, IOAPIC, HPET };
	u64 slot = slot_address(0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		slot_map(0, (u64)ram, PTE_P | PTE_W);
		slot_map(1, other[i], PTE_P | PTE_W);
		slot_map(2, (u64)ram, PTE_P | PTE_W);
		attempt(access, slot + PAGE - 4, 0x1122334455667788ull << 8 | 8);
		attempt(access, slot + 2 * PAGE - 4, 0x1122334455667788ull << 8 | 8);
		ram[PAGE - 1] = ram[0] = 0x12;
		if (i == 0 && (read32(slot + PAGE - 1) != 0xffffff12 || read32(slot + 2 * PAGE - 3) != 0x12ffffff))
			return fail("hole: %lx %lx", (u64)read32(slot + PAGE - 1), (u64)read32(slot + 2 * PAGE - 3));
	}
	return NULL;
}

static void jump(u64 to, u64 unused)
{
	(void)unused;
	asm volatile("call *%0" : : "r"(to) : "memory", "rax", "rcx", "rdx");
}

/* FFh FFh is no instruction. A device's page is no memory to run from; what it gives is up to it. */
static const char *run_fetch(void)
{
	static u8 ram[PAGE] __attribute__((aligned(4096)));
	int vector = attempt(jump, HOLE + SPOT, 0);

	if (vector != UD)
		return fail("hole: vector %lu", (u64)vector);
	vector = attempt(jump, 1ull << 36, 0);
	if (vector != UD)
		return fail("hole above 4 GiB: vector %lu", (u64)vector);
	/* an instruction whose second half is in a hole: MOV EAX, imm32 with ones, and then what is there */
	ram[PAGE - 2] = 0xb8;
	ram[PAGE - 1] = 0x11;
	slot_map(0, (u64)ram, PTE_P | PTE_W);
	slot_map(1, HOLE, PTE_P | PTE_W);
	vector = attempt(jump, slot_address(0) + PAGE - 2, 0);
	if (vector != UD || last_fault.rax != 0xffffff11)
		return fail("crossing: vector %lu, rax %lx", (u64)vector, last_fault.rax);
	return NULL;
}

/* Not for what comes of it. */
static const char *run_fetch_device(void)
{
	static const u64 pages[] = { LAPIC, IOAPIC, HPET };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		if (attempt(jump, pages[i] + 0xffe, 0) == NO_FAULT)
			return fail("%lx can be run", pages[i]);
	return NULL;
}

static const struct test tests[] = {
	{ "forms_hole", run_forms_hole },
	{ "forms_slot", run_forms_slot },
	{ "forms_lapic", run_forms_lapic },
	{ "forms_ioapic", run_forms_ioapic },
	{ "forms_hpet", run_forms_hpet },
	{ "values", run_values },
	{ "sweep_lapic", run_sweep_lapic },
	{ "sweep_ioapic", run_sweep_ioapic },
	{ "sweep_hpet", run_sweep_hpet },
	{ "crossing", run_crossing },
	{ "fetch", run_fetch },
	{ "fetch_device", run_fetch_device },
};

const struct test_group mmio_tests = { tests, ARRAY_SIZE(tests) };
