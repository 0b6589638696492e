/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bare-metal guest that misbehaves, for the lab's tests. It is booted like a Linux kernel; `run=a,b,c` on its command
 * line names the cases. Each prints "ok NAME" or "FAIL NAME why" on the serial console; then the guest switches off.
 *
 * All of RAM and the holes below 4 GiB are mapped one to one. Cases that want a page of their own take a slot (slot_map).
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGE		4096u
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* -- the machine */
#define LAPIC		0xfee00000u
#define IOAPIC		0xfec00000u
#define HPET		0xfed00000u
#define HOLE		0xd0000000u	/* nobody is here */
#define PM_BASE		0x600u		/* AVMM_PM_BASE */
#define COM1		0x3f8u
#define SEL_CODE	0x10
#define SEL_DATA	0x18
#define SEL_TSS		0x20
#define SEL_CODE32	0x30
#define SEL_CODE16	0x38
#define SEL_DATA16	0x40
#define SEL_USER_DATA	0x4b
#define SEL_USER_CODE	0x53
#define SEL_TSS32	0x58
#define SEL_TSS32_OTHER	0x60

#define MSR_APIC_BASE	0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC	0x800u
#define MSR_EFER	0xc0000080u

#define CR0_PE		(1ul << 0)
#define CR0_TS		(1ul << 3)
#define CR0_NE		(1ul << 5)
#define CR0_WP		(1ul << 16)
#define CR0_AM		(1ul << 18)
#define CR0_NW		(1ul << 29)
#define CR0_CD		(1ul << 30)
#define CR0_PG		(1ul << 31)
#define CR4_PAE		(1ul << 5)
#define CR4_PGE		(1ul << 7)
#define CR4_OSFXSR	(1ul << 9)
#define CR4_PCIDE	(1ul << 17)
#define CR4_OSXSAVE	(1ul << 18)
#define CR4_SMEP	(1ul << 20)
#define FLAG_TF		(1ul << 8)
#define FLAG_IF		(1ul << 9)
#define FLAG_AC		(1ul << 18)

#define PTE_P		1ull
#define PTE_W		2ull
#define PTE_U		4ull
#define PTE_LARGE	0x80ull

enum { DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14, AC = 17 };

/* -- cases */
struct test {
	const char *name;
	const char *(*run)(void);	/* returns NULL, or what is wrong */
};

struct test_group {
	const struct test *test;
	size_t count;
};

extern const struct test_group crash_tests, cpu_tests, instruction_tests, mode_tests, port_tests, mmio_tests, apic_tests,
	memory_tests, delivery_tests, clock_tests, smp_tests, card_tests;

/* The text for a failure: %lx %lu %s. */
const char *fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool option(const char *name, const char **value);
__attribute__((noreturn)) void power_off(void);

/* -- faults and interrupts */
#define NO_FAULT	(-1)

struct frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* What the last exception that ended an attempt() was. */
extern struct frame last_fault;
extern u64 last_cr2;

/* Calls f(a, b). The vector of the exception that ended it, or NO_FAULT. */
int attempt(void (*f)(u64 a, u64 b), u64 a, u64 b);

/* General registers of a piece of code; RSP is the caller's. */
struct registers {
	u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
};

/* Runs these bytes, then a RET, with these registers; as attempt(). */
int run_code(const void *code, size_t size, struct registers *r);

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, zero;
};

struct table_register {
	u16 limit;
	u64 base;
} __attribute__((packed));

struct tss64 {
	u32 zero;
	u64 rsp[3];
	u64 zero2;
	u64 ist[7];
	u64 zero3;
	u16 zero4, io_map;
} __attribute__((packed));

extern struct gate idt[256];
extern struct tss64 tss;
extern u64 gdt[];
extern const struct table_register idt_register, gdt_register;

#define IST_FAULT	1
#define IST_NMI		2
#define IST_DF		3
#define IST_SPARE	4		/* for cases that deliver to a stack of their choice */

void trap_init(void);
void set_gate(u8 vector, void (*handler)(void), u8 ist, u8 type);
#define GATE_INTERRUPT	0x8e
#define GATE_USER	0xee

/* Interrupts that came, per vector; NMIs too. */
extern volatile u64 interrupts[256];
/* Called by the interrupt's handler, which then sends an EOI where eoi says so. */
extern void (*volatile on_interrupt)(u8 vector);
extern volatile enum eoi { EOI_NONE, EOI_LAPIC, EOI_X2APIC, EOI_PIC } eoi;

/* -- memory */
extern u64 pml4[512];
void paging_init(void);
/* A page of its own, number 0 to 511, mapped to this physical address with these flags; where. */
volatile void *slot_map(unsigned int slot, u64 physical, u64 flags);
u64 *slot_entry(unsigned int slot);
u64 slot_address(unsigned int slot);

extern u64 memory_size;			/* as the command line says */
extern u64 tsc_khz;			/* CPUID 15h */
extern u32 physical_bits;

/* -- low memory and other modes (modes.S), see mode.c */
#define LOW_BASE	0x20000u

/* -- instructions */
static inline u8 in8(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u16 in16(u16 port)
{
	u16 v;

	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u32 in32(u16 port)
{
	u32 v;

	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void out8(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out32(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline u32 read32(u64 address)
{
	u32 v;

	asm volatile("movl (%1), %0" : "=r"(v) : "r"(address) : "memory");
	return v;
}

static inline void write32(u64 address, u32 v)
{
	asm volatile("movl %0, (%1)" : : "r"(v), "r"(address) : "memory");
}

static inline u64 read64(u64 address)
{
	u64 v;

	asm volatile("movq (%1), %0" : "=r"(v) : "r"(address) : "memory");
	return v;
}

static inline void write64(u64 address, u64 v)
{
	asm volatile("movq %0, (%1)" : : "r"(v), "r"(address) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

#define READ_CR(n, v)	asm volatile("mov %%cr" #n ", %0" : "=r"(v))
#define WRITE_CR(n, v)	asm volatile("mov %0, %%cr" #n : : "r"((u64)(v)) : "memory")

static inline void sti(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void cli(void)
{
	asm volatile("cli" : : : "memory");
}

static inline void sti_hlt_cli(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

/* Spins without an exit. */
static inline void spin_us(u64 us)
{
	u64 end = rdtsc() + us * tsc_khz / 1000;

	while (rdtsc() < end)
		asm volatile("" : : : "memory");
}

#endif
