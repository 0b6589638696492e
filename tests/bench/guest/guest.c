// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest without an operating system that counts what its exits cost: in ticks of the time stamp counter, which are
 * instructions on the emulated machine. A line per operation on the serial port:
 *
 *	NAME min MIN median MEDIAN
 *
 * And NAME right, or NAME WRONG, for what must not be lost for the sake of speed.
 *
 * Two readings of the counter in a row are subtracted from all but the latencies. Latencies (…-delivery) are from the
 * deadline to the handler's first instruction but two.
 */
#include <avmm/types.h>

#define SAMPLES		64
#ifndef END
#define END		"cli; hlt"
#endif
#define CODE_SELECTOR	0x10
#define INTERRUPT_GATE	0x8e00
#define IDT_ENTRIES	256
#define EXCEPTIONS	32
#define VECTOR		0x40

#define UART		0x3f8
#define PM_TIMER	0x608
#define HPET_BASE	0xfed00000ul
#define APIC_BASE	0xfee00000ul
#define APIC_TPR	0x80
#define APIC_EOI	0xb0
#define APIC_SVR	0xf0
#define APIC_ICR	0x300
#define APIC_LVT_TIMER	0x320
#define TSC_DEADLINE	(2u << 17)
#define MASKED		(1u << 16)
#define SELF_IPI	(1u << 18 | VECTOR)
#define MSR_APIC_BASE	0x1b
#define MSR_DEADLINE	0x6e0
#define MSR_X2APIC	0x800

volatile u64 interrupt_tsc, interrupts;
u8 use_x2apic;

void start(void);
void on_interrupt(void);
void on_exception(void);
void exception(u64 first, u64 second);
void main(void);

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static inline u8 inb(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u32 inl(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outb(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u64 rdmsr(u32 number)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 number, u64 value)
{
	asm volatile("wrmsr" : : "c"(number), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 read_cr3(void)
{
	u64 value;

	asm volatile("mov %%cr3, %0" : "=r"(value));
	return value & ~0xffful;
}

static inline void write_cr3(u64 value)
{
	asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static void put(char c)
{
	while (!(inb(UART + 5) & 0x20))
		;
	outb(UART, (u8)c);
}

static void print(const char *s)
{
	while (*s)
		put(*s++);
}

static void print_number(u64 n)
{
	char digits[20];
	int i = 0;

	do
		digits[i++] = (char)('0' + n % 10);
	while (n /= 10);
	while (i)
		put(digits[--i]);
}

void exception(u64 first, u64 second)
{
	print("exception ");
	print_number(first);
	print(" ");
	print_number(second);
	print("\r\n");
}

static void set_idt(void)
{
	static struct { u16 offset, selector, flags, offset2; u32 offset3, zero; } idt[IDT_ENTRIES];
	struct __attribute__((packed)) { u16 limit; u64 base; } pointer = { sizeof(idt) - 1, (u64)idt };
	int i;

	for (i = 0; i < IDT_ENTRIES; i++) {
		u64 handler = i < EXCEPTIONS ? (u64)on_exception : (u64)on_interrupt;

		idt[i].offset = (u16)handler;
		idt[i].offset2 = (u16)(handler >> 16);
		idt[i].selector = CODE_SELECTOR;
		idt[i].flags = INTERRUPT_GATE;
	}
	asm volatile("lidt %0" : : "m"(pointer));
}

static u64 samples[SAMPLES];

static void sort(void)
{
	int i, j;

	for (i = 1; i < SAMPLES; i++) {
		u64 x = samples[i];

		for (j = i; j && samples[j - 1] > x; j--)
			samples[j] = samples[j - 1];
		samples[j] = x;
	}
}

static void report(const char *name)
{
	sort();
	print(name);
	print(" min ");
	print_number(samples[0]);
	print(" median ");
	print_number(samples[SAMPLES / 2]);
	print("\r\n");
}

#define MEASURE(name, operation) do {				\
	int i_;							\
								\
	for (i_ = 0; i_ < SAMPLES; i_++) {			\
		u64 start_ = rdtsc();				\
								\
		operation;					\
		samples[i_] = rdtsc() - start_ - empty;		\
	}							\
	report(name);						\
} while (0)

static u64 empty;

static void cpuid(u32 leaf)
{
	u32 a = leaf, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static u32 mmio_read(u64 address)
{
	u32 value;

	asm volatile("mov (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static void mmio_write(u64 address, u32 value)
{
	asm volatile("mov %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static u64 mmio_read64(u64 address)
{
	u64 value;

	asm volatile("mov (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

/*
 * The monitor keeps what it decoded. Here it meets another instruction at the same address: by a store, by another page in
 * the tables, by other tables. Each is "mov n(%rdi), %eax; ret", and reads another half of the HPET's capabilities.
 */
#define LOW_HALF	0xc300478bul		/* n = 0 */
#define HIGH_HALF	0xc304478bul		/* n = 4 */
#define CODE_A		0x1400000ul
#define CODE_B		0x1600000ul
#define LINEAR		0x40000000ul		/* in the second GiB: 2 MiB of it are moved about */
#define TABLES		0x1800000ul
#define PAGE_RW		3ul
#define PAGE_LARGE	0x80ul

static u32 call(u64 address)
{
	u32 value;

	asm volatile("call *%1" : "=a"(value) : "r"(address), "D"(HPET_BASE) : "memory", "cc");
	return value;
}

static void check(const char *name, u32 value, u32 expected)
{
	print(name);
	print(value == expected ? " right\r\n" : " WRONG\r\n");
}

/* Page tables of our own at `at`: the loader's, but LINEAR is the 2 MiB page at `code`. */
static u64 make_tables(u64 at, u64 code)
{
	volatile u64 *top = (u64 *)at, *second = top + 512, *third = top + 1024;
	volatile u64 *old = (u64 *)((volatile u64 *)read_cr3())[0];
	int i;

	old = (u64 *)((u64)old & ~0xffful);
	for (i = 0; i < 512; i++) {
		top[i] = 0;
		second[i] = old[i];
		third[i] = 0;
	}
	top[0] = (u64)second | PAGE_RW;
	second[1] = (u64)third | PAGE_RW;
	third[0] = code | PAGE_RW | PAGE_LARGE;
	return at;
}

static void check_changed_code(void)
{
	u32 low = mmio_read(HPET_BASE), high = mmio_read(HPET_BASE + 4);
	u64 old = read_cr3(), one = make_tables(TABLES, CODE_A), two = make_tables(TABLES + 0x10000, CODE_B);
	int i;

	*(volatile u64 *)CODE_A = LOW_HALF;
	*(volatile u64 *)CODE_B = HIGH_HALF;
	for (i = 0; i < 3; i++) {
		write_cr3(one);
		check("code", call(LINEAR), low);
		check("code-again", call(LINEAR), low);
		*(volatile u64 *)CODE_A = HIGH_HALF;
		check("code-stored", call(LINEAR), high);
		*(volatile u64 *)CODE_A = LOW_HALF;
		check("code-stored-back", call(LINEAR), low);
		*(volatile u64 *)(one + 0x2000) = CODE_B | PAGE_RW | PAGE_LARGE;
		asm volatile("invlpg (%0)" : : "r"(LINEAR) : "memory");
		check("code-mapped", call(LINEAR), high);
		*(volatile u64 *)(one + 0x2000) = CODE_A | PAGE_RW | PAGE_LARGE;
		write_cr3(two);
		check("code-other-tables", call(LINEAR), high);
	}
	write_cr3(old);
}

static void measure_instructions(void)
{
	MEASURE("cpuid-0", cpuid(0));
	MEASURE("cpuid-1", cpuid(1));
	MEASURE("cpuid-7", cpuid(7));
	MEASURE("cpuid-d", cpuid(0xd));
	MEASURE("cpuid-80000008", cpuid(0x80000008u));
	MEASURE("port-pm-timer", inl(PM_TIMER));
	MEASURE("port-61h", inb(0x61));
	MEASURE("port-8254", inb(0x40));
	MEASURE("port-rtc-index", outb(0x70, 0x0a));
	MEASURE("port-rtc-a", inb(0x71));
	MEASURE("port-pic-mask", inb(0x21));
	MEASURE("port-uart-lsr", inb(UART + 5));
	MEASURE("port-80h", outb(0x80, 0));
	MEASURE("port-nobody", inb(0x2e0));
	MEASURE("hpet-counter-64", mmio_read64(HPET_BASE + 0xf0));
	MEASURE("hpet-counter-32", mmio_read(HPET_BASE + 0xf0));
	MEASURE("hpet-capabilities", mmio_read(HPET_BASE));
}

static void write_deadline(u64 deadline)
{
	wrmsr(MSR_DEADLINE, deadline);
}

/* From deadline to handler, while the guest computes or is halted. */
static void measure_delivery(const char *name, bool halt)
{
	int i;

	for (i = 0; i < SAMPLES; i++) {
		u64 before = interrupts, deadline = rdtsc() + 40000;

		write_deadline(deadline);
		if (!halt)
			asm volatile("sti");
		while (interrupts == before)
			if (halt)
				asm volatile("sti; hlt; cli");
		asm volatile("cli");
		samples[i] = interrupt_tsc - deadline;
	}
	report(name);
}

/* What a tick of an operating system costs: everything but the handler's and this loop's own instructions. */
static void measure_tick(const char *name)
{
	int i;

	for (i = 0; i < SAMPLES; i++) {
		u64 before = interrupts, start, last, now, lost = 0;

		start = rdtsc();
		write_deadline(start + 40000);
		lost = rdtsc() - start - empty;
		asm volatile("sti");
		for (last = rdtsc(); interrupts == before; last = now) {
			now = rdtsc();
			if (now - last > 100)
				lost += now - last;
		}
		now = rdtsc();
		if (now - last > 100)
			lost += now - last;
		asm volatile("cli");
		samples[i] = lost;
	}
	report(name);
}

static void self_ipi_mmio(void)
{
	u64 before = interrupts;

	mmio_write(APIC_BASE + APIC_ICR, SELF_IPI);
	asm volatile("sti; nop; cli");
	while (interrupts == before)
		asm volatile("sti; nop; cli");
}

static void self_ipi_msr(void)
{
	u64 before = interrupts;

	wrmsr(MSR_X2APIC + 0x30, SELF_IPI);
	asm volatile("sti; nop; cli");
	while (interrupts == before)
		asm volatile("sti; nop; cli");
}

static void measure_xapic(void)
{
	mmio_write(APIC_BASE + APIC_SVR, 0x1ff);
	mmio_write(APIC_BASE + APIC_LVT_TIMER, TSC_DEADLINE | VECTOR);
	MEASURE("xapic-id", mmio_read(APIC_BASE + 0x20));
	MEASURE("xapic-tpr", mmio_write(APIC_BASE + APIC_TPR, 0));
	MEASURE("xapic-eoi", mmio_write(APIC_BASE + APIC_EOI, 0));
	MEASURE("xapic-icr-self-and-handler", self_ipi_mmio());
	mmio_write(APIC_BASE + APIC_ICR + 0x10, 5u << 24);
	MEASURE("xapic-icr-nobody", mmio_write(APIC_BASE + APIC_ICR, 0xfb));
	MEASURE("deadline-write", write_deadline(rdtsc() + 100000000));
	measure_delivery("timer-delivery", false);
	measure_delivery("timer-delivery-halted", true);
	measure_tick("xapic-tick");
}

static void measure_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 1 << 10);
	use_x2apic = 1;
	MEASURE("x2apic-id", rdmsr(MSR_X2APIC + 2));
	MEASURE("x2apic-tpr", wrmsr(MSR_X2APIC + 8, 0));
	MEASURE("x2apic-eoi", wrmsr(MSR_X2APIC + 0xb, 0));
	MEASURE("x2apic-icr-self-and-handler", self_ipi_msr());
	MEASURE("x2apic-icr-nobody", wrmsr(MSR_X2APIC + 0x30, 5ull << 32 | VECTOR));
	measure_delivery("x2apic-timer-delivery", false);
	measure_tick("x2apic-tick");
}

void main(void)
{
	int i;

	outb(UART + 3, 3);	/* 8 bits */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	set_idt();
	*(volatile u64 *)(HPET_BASE + 0x10) = 1;
	empty = ~0ull;
	for (i = 0; i < SAMPLES; i++) {
		u64 start = rdtsc(), ticks = rdtsc() - start;

		empty = ticks < empty ? ticks : empty;
	}
	measure_instructions();
	measure_xapic();
	measure_x2apic();
	check_changed_code();
	print("done\r\n");
	for (;;)
		asm volatile(END);
}
