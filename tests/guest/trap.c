// SPDX-License-Identifier: GPL-2.0-only
/* GDT, IDT, TSS; exceptions end the attempt() that they come in, interrupts are counted. */
#include "guest.h"

#define STUB_SIZE	16
#define STACK_SIZE	8192
#define LAST_EXCEPTION	21
#define PIC_MASTER	0x20
#define PIC_SLAVE	0xa0
#define LAPIC_EOI	0xb0

extern u8 trap_stubs[];
void attempt_faulted(void);
void call_with(u64 registers, u64 code);

struct frame last_fault;
u64 last_cr2;
u64 recovery;			/* RSP of the innermost attempt() */
volatile u64 interrupts[256];
void (*volatile on_interrupt)(u8 vector);
volatile enum eoi eoi;

struct gate idt[256] __attribute__((aligned(4096)));
struct tss64 tss __attribute__((aligned(128)));
static u8 stacks[4][STACK_SIZE] __attribute__((aligned(4096)));

/* The first four as the loader's: a case may have changed what the hidden parts of the registers came from. */
u64 gdt[] __attribute__((aligned(4096))) = {
	0, 0,
	0x00af9b000000ffff,	/* 10: code, 64 bits */
	0x00cf93000000ffff,	/* 18: data */
	0, 0,			/* 20: TSS */
	0x00cf9b000000ffff,	/* 30: code, 32 bits */
	0x00009b020000ffff,	/* 38: code, 16 bits, base LOW_BASE */
	0x000093020000ffff,	/* 40: data, 16 bits, base LOW_BASE */
	0x00cff3000000ffff,	/* 48: data, CPL 3 */
	0x00affb000000ffff,	/* 50: code, 64 bits, CPL 3 */
	0,			/* 58: TSS, 32 bits; mode.c */
	0,			/* 60: another */
	0x00cffb000000ffff,	/* 68: code, 32 bits, CPL 3 */
};

const struct table_register idt_register = { sizeof(idt) - 1, (u64)idt };
const struct table_register gdt_register = { sizeof(gdt) - 1, (u64)gdt };

void set_gate(u8 vector, void (*handler)(void), u8 ist, u8 type)
{
	u64 at = (u64)handler;

	idt[vector] = (struct gate){
		.offset_low = (u16)at, .selector = SEL_CODE, .ist = ist, .type = type,
		.offset_middle = (u16)(at >> 16), .offset_high = (u32)(at >> 32),
	};
}

static u8 ist_of(unsigned int vector)
{
	if (vector == NMI)
		return IST_NMI;
	return vector == DF ? IST_DF : vector < 32 ? IST_FAULT : 0;
}

void trap_init(void)
{
	u64 base = (u64)&tss;
	unsigned int i;

	for (i = 0; i < 256; i++)
		set_gate((u8)i, (void (*)(void))(trap_stubs + i * STUB_SIZE), ist_of(i), GATE_INTERRUPT);
	for (i = 0; i < 4; i++)
		tss.ist[i] = (u64)stacks[i] + STACK_SIZE;
	tss.rsp[0] = tss.ist[3];
	tss.io_map = sizeof(tss);
	gdt[4] = 0x0000890000000067 | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	gdt[5] = base >> 32;
	asm volatile("lgdt %0" : : "m"(gdt_register));
	asm volatile("lidt %0" : : "m"(idt_register));
	asm volatile("ltr %w0" : : "r"(SEL_TSS));
	/* both 8259 at vectors 20h and 28h, all masked */
	out8(PIC_MASTER, 0x11);
	out8(PIC_SLAVE, 0x11);
	out8(PIC_MASTER + 1, 0x20);
	out8(PIC_SLAVE + 1, 0x28);
	out8(PIC_MASTER + 1, 4);
	out8(PIC_SLAVE + 1, 2);
	out8(PIC_MASTER + 1, 1);
	out8(PIC_SLAVE + 1, 1);
	out8(PIC_MASTER + 1, 0xff);
	out8(PIC_SLAVE + 1, 0xff);
}

static void end_of_interrupt(u8 vector)
{
	if (eoi == EOI_LAPIC)
		write32(LAPIC + LAPIC_EOI, 0);
	else if (eoi == EOI_X2APIC)
		wrmsr(MSR_X2APIC + LAPIC_EOI / 16, 0);
	if (eoi == EOI_PIC && vector >= 0x28)
		out8(PIC_SLAVE, 0x20);
	if (eoi == EOI_PIC)
		out8(PIC_MASTER, 0x20);
}

/* From head.S. */
void trap(struct frame *f)
{
	u8 vector = (u8)f->vector;

	if (vector == NMI || vector > LAST_EXCEPTION) {
		interrupts[vector]++;
		if (on_interrupt)
			on_interrupt(vector);
		if (vector != NMI)
			end_of_interrupt(vector);
		return;
	}
	last_fault = *f;
	READ_CR(2, last_cr2);
	if (!recovery) {
		print("FAIL unexpected exception %lu, error %lx, rip %lx, cr2 %lx\n", f->vector, f->error, f->rip,
		      last_cr2);
		power_off();
	}
	f->rip = (u64)attempt_faulted;
	f->cs = SEL_CODE;
	f->ss = SEL_DATA;
	f->rsp = recovery;
	f->rflags = 2;
	f->rax = vector;
}

int run_code(const void *code, size_t size, struct registers *r)
{
	static u8 buffer[256] __attribute__((aligned(256)));
	const volatile u8 *from = code;
	size_t i;

	for (i = 0; i < size; i++)
		buffer[i] = from[i];
	buffer[size] = 0xc3;
	return attempt(call_with, (u64)r, (u64)buffer);
}
