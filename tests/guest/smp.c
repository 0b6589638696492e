// SPDX-License-Identifier: GPL-2.0-only
/* Several vCPUs: `cpus=N` on the command line says how many. Those that are started do as `task` says. */
#include "guest.h"
#include "smp.h"

#define ID		0x20
#define EOI		0xb0
#define LDR		0xd0
#define SVR		0xf0
#define ICR		0x300
#define ICR2		0x310
#define ICR_BUSY	0x1000u
#define ICR_LOGICAL	0x800u
#define ICR_OTHERS	0xc0000u
#define ICR_ASSERT	0x4000u
#define ICR_LOWEST	0x100u
#define ICR_NMI		0x400u
#define ICR_INIT	0x500u
#define ICR_SIPI	0x600u
#define VECTOR		0x51
#define ROUNDS		200u
#define TSC_SLACK_US	50u
#define APIC_BASE_X2APIC (1ull << 10)
#define LVT_LINT0	0x350
#define LVT_MASKED	0x10000u
#define IOAPIC_MASKED	0x10000u
#define IRQ0_PIN	2u

#define HELD_US		5u	/* smp_lock: with the lock and without it */
#define FREE_US		20u
#define MEASURE_MS	1000u

enum task { TASK_IDLE, TASK_HALT_DEAF, TASK_SPIN_DEAF, TASK_TRIPLE_FAULT, TASK_RELAY, TASK_COMPUTE, TASK_LOCK,
	    TASK_STEADY };

extern u8 ap_start[], ap_start_end[];
void ap_main(u32 id);

u8 ap_stacks[AP_MAX + 1][1 << AP_STACK_SHIFT] __attribute__((aligned(4096)));
static u64 ap_gdt[AP_MAX][14] __attribute__((aligned(64)));
static struct tss64 ap_tss[AP_MAX] __attribute__((aligned(128)));
static u8 ap_nmi_stack[AP_MAX][2048] __attribute__((aligned(64)));
static volatile u32 started[AP_MAX];
static volatile u64 tsc_seen[AP_MAX];
static volatile u32 came[AP_MAX], nmis[AP_MAX];
static volatile enum task task;
static volatile u32 logical_id[AP_MAX];
static volatile u32 wrong_id;
static volatile bool x2;	/* all local APICs are in x2APIC mode, or will be when they start */
static volatile u32 lock;
static volatile bool stop_tasks;
static volatile u64 locks[AP_MAX], longest[AP_MAX];

/* From the command line; 0: it is not there. */
static u32 number(const char *name)
{
	const char *text;
	u32 n = 0;

	if (option(name, &text))
		while (*text >= '0' && *text <= '9')
			n = n * 10 + (u32)(*text++ - '0');
	return n;
}

static u32 count(void)
{
	u32 n = number("cpus");

	return n > AP_MAX ? AP_MAX : n;
}

static void set(u32 reg, u32 value)
{
	if (x2)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		write32(LAPIC + reg, value);
}

static u32 my_id(void)
{
	return x2 ? (u32)rdmsr(MSR_X2APIC + ID / 16) : read32(LAPIC + ID) >> 24;
}

static void send(u32 dest, u32 icr)
{
	if (x2) {
		wrmsr(MSR_X2APIC + ICR / 16, (u64)dest << 32 | icr);
		return;
	}
	while (read32(LAPIC + ICR) & ICR_BUSY)
		;
	set(ICR2, dest << 24);
	set(ICR, icr);
}

static void note(u8 vector)
{
	u32 id = my_id() % AP_MAX;

	if (vector == NMI)
		nmis[id]++;
	else
		came[id]++;
}

static void take_tables(u32 id)
{
	struct table_register r = { sizeof(ap_gdt[id]) - 1, (u64)ap_gdt[id] };
	u64 base = (u64)&ap_tss[id];
	u32 i;

	for (i = 0; i < 14; i++)
		ap_gdt[id][i] = gdt[i];
	ap_gdt[id][4] = 0x0000890000000067 | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	ap_gdt[id][5] = base >> 32;
	for (i = 0; i < 4; i++)
		ap_tss[id].ist[i] = (u64)ap_nmi_stack[id] + sizeof(ap_nmi_stack[id]);
	ap_tss[id].io_map = sizeof(ap_tss[id]);
	asm volatile("lgdt %0" : : "m"(r));
	asm volatile("lidt %0" : : "m"(idt_register));
	asm volatile("ltr %w0" : : "r"(SEL_TSS));
}

/* In x2APIC mode the CPU gives the logical ID. */
static void take_logical_id(u32 id)
{
	if (x2)
		logical_id[id] = (u32)rdmsr(MSR_X2APIC + LDR / 16);
	else
		set(LDR, 1u << (24 + id % 8));
}

static void enter_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
}

/* Passes the interrupt on to the next vCPU each time that one came. */
static void relay(u32 id, u32 n)
{
	u32 seen = came[id];

	for (;;) {
		if (came[id] == seen)
			sti_hlt_cli();
		if (came[id] != seen) {
			seen = came[id];
			send((id + 1) % n, ICR_ASSERT | VECTOR);
		}
	}
}

/* Takes the lock and lets it go, over and over; `pause=0` on the command line: waits without PAUSE. */
static void contend(u32 id, u64 end)
{
	const char *text;
	bool pauses = !option("pause", &text) || *text != '0';

	while (!stop_tasks && rdtsc() < end) {
		u64 begin = rdtsc(), waited;

		while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {
			while (lock) {
				if (pauses)
					asm volatile("pause");
			}
		}
		waited = rdtsc() - begin;
		if (waited > longest[id])
			longest[id] = waited;
		locks[id]++;
		spin_us(HELD_US);
		__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
		spin_us(FREE_US);
	}
}

/* The longest time that this vCPU did not run. */
static void watch(u32 id, u64 end)
{
	u64 now, last = rdtsc();

	do {
		now = rdtsc();
		if (now - last > longest[id])
			longest[id] = now - last;
		last = now;
	} while (!stop_tasks && now < end);
}

void ap_main(u32 id)
{
	static const struct table_register none;
	u32 r[4];

	id %= AP_MAX;
	take_tables(id);
	cpuid(1, 0, r);
	if (r[1] >> 24 != id)
		wrong_id = r[1] >> 24;
	cpuid(0xb, 0, r);
	if (r[3] != id)
		wrong_id = r[3];
	if (x2)
		enter_x2apic();
	set(SVR, 0x1ff);
	take_logical_id(id);
	tsc_seen[id] = rdtsc();
	started[id]++;
	for (;;) {
		switch (task) {
		case TASK_HALT_DEAF:
			cli();
			asm volatile("hlt");
			break;
		case TASK_SPIN_DEAF:
			for (;;)
				asm volatile("cli");
		case TASK_TRIPLE_FAULT:
			asm volatile("lidt %0; ud2" : : "m"(none));
			break;
		case TASK_RELAY:
			relay(id, count());
			break;
		case TASK_LOCK:
			contend(id, ~0ull);
			task = TASK_IDLE;
			break;
		case TASK_STEADY:
			watch(id, ~0ull);
			task = TASK_IDLE;
			break;
		case TASK_COMPUTE:
			for (;;)
				asm volatile("" : : : "memory");
		default:
			/* without HLT, which would need somebody to wake it */
			sti();
			asm volatile("pause");
			cli();
		}
	}
}

static void prepare(void)
{
	volatile u8 *to = (volatile u8 *)(u64)AP_BASE;
	size_t i;
	u64 v;

	for (i = 0; i < (size_t)(ap_start_end - ap_start); i++)
		to[i] = ap_start[i];
	*(volatile u16 *)(to + AP_GDTR) = gdt_register.limit;
	*(volatile u32 *)(to + AP_GDTR + 2) = (u32)gdt_register.base;
	READ_CR(0, v);
	*(volatile u32 *)(to + AP_CR0) = (u32)v;
	READ_CR(3, v);
	*(volatile u32 *)(to + AP_CR3) = (u32)v;
	READ_CR(4, v);
	*(volatile u32 *)(to + AP_CR4) = (u32)v;
	set(SVR, 0x1ff);
	take_logical_id(0);
	eoi = x2 ? EOI_X2APIC : EOI_LAPIC;
	on_interrupt = note;
}

static bool all_started(u32 times)
{
	u32 i;

	for (i = 1; i < count(); i++)
		if (started[i] != times)
			return false;
	return true;
}

/* INIT, SIPI, SIPI, as everybody does; the second SIPI finds a running vCPU and does nothing. */
static const char *start_all(enum task what)
{
	static u32 times;
	u64 end;
	u32 i;

	task = what;
	prepare();
	send(0, ICR_OTHERS | ICR_ASSERT | ICR_INIT);
	spin_us(100);
	send(0, ICR_OTHERS | ICR_ASSERT | ICR_SIPI | AP_BASE >> 12);
	spin_us(100);
	send(0, ICR_OTHERS | ICR_ASSERT | ICR_SIPI | AP_BASE >> 12);
	times++;
	end = rdtsc() + 100 * tsc_khz;
	while (!all_started(times) && rdtsc() < end)
		;
	for (i = 1; i < count(); i++)
		if (started[i] != times)
			return fail("vCPU %lu: started %lu times of %lu", (u64)i, (u64)started[i], (u64)times);
	return wrong_id ? fail("a vCPU calls itself %lu", (u64)wrong_id) : NULL;
}

/* All start, know their number, and have the same time; and again. */
static const char *run_smp_start(void)
{
	const char *why = NULL;
	u32 i, r[4];

	for (i = 0; i < 3 && !why; i++) {
		u64 before = rdtsc(), after;
		u32 id;

		why = start_all(TASK_IDLE);
		after = rdtsc();
		for (id = 1; id < count() && !why; id++)
			if (tsc_seen[id] + TSC_SLACK_US * tsc_khz / 1000 < before || tsc_seen[id] > after)
				why = fail("TSC of vCPU %lu: %lx, not in %lx to %lx", (u64)id, tsc_seen[id], before, after);
	}
	cpuid(0xb, 1, r);
	if (!why && (r[1] & 0xffff) != count())
		why = fail("leaf Bh has %lu CPUs", (u64)(r[1] & 0xffff));
	return why;
}

static bool wait_for(volatile u32 *counter, u32 value)
{
	u64 end = rdtsc() + 100 * tsc_khz;

	while (*counter < value && rdtsc() < end)
		;
	return *counter == value;
}

/* Fixed, logical, lowest priority, all but self, NMI: each arrives once, and where it should. */
static const char *run_smp_ipi(void)
{
	const char *why = start_all(TASK_IDLE);
	u32 n = count(), id, i, sum = 0;

	for (id = 1; id < n && !why; id++) {
		for (i = 0; i < ROUNDS && !why; i++) {
			send(i & 1 ? 1u << id % 8 : id, ICR_ASSERT | VECTOR | (i & 1 ? ICR_LOGICAL : 0));
			if (!wait_for(&came[id], i + 1))
				why = fail("IPI %lu to vCPU %lu: %lu came", (u64)i, (u64)id, (u64)came[id]);
		}
		send(id, ICR_ASSERT | ICR_NMI);
		if (!why && !wait_for(&nmis[id], 1))
			why = fail("NMI to vCPU %lu: %lu came", (u64)id, (u64)nmis[id]);
	}
	for (i = 0; i < ROUNDS && !why; i++) {
		send(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
		for (id = 1; id < n && !why; id++)
			if (!wait_for(&came[id], ROUNDS + i + 1))
				why = fail("broadcast %lu: %lu came to vCPU %lu", (u64)i, (u64)came[id], (u64)id);
	}
	for (i = 0; i < ROUNDS && !why; i++) {
		send(0xfe, ICR_ASSERT | VECTOR | ICR_LOGICAL | ICR_LOWEST);
		spin_us(20);
	}
	for (id = 1; id < n; id++)
		sum += came[id] - 2 * ROUNDS;
	if (!why && (!sum || sum > ROUNDS))
		why = fail("%lu lowest-priority IPIs: %lu came", (u64)ROUNDS, (u64)sum);
	return why ? why : came[0] || nmis[0] ? fail("vCPU 0 got %lu", (u64)came[0]) : NULL;
}

/* The 8254 raises IRQ 0 once. */
static void one_shot(void)
{
	out8(0x43, 0x30);
	out8(0x40, 1000 & 0xff);
	out8(0x40, 1000 >> 8);
}

static void route_irq0(u32 low, u32 dest)
{
	write32(IOAPIC, 0x10 + 2 * IRQ0_PIN);
	write32(IOAPIC + 0x10, IOAPIC_MASKED);
	write32(IOAPIC, 0x11 + 2 * IRQ0_PIN);
	write32(IOAPIC + 0x10, dest << 24);
	write32(IOAPIC, 0x10 + 2 * IRQ0_PIN);
	write32(IOAPIC + 0x10, low);
}

static u32 all_that_came(void)
{
	u32 id, sum = 0;

	for (id = 0; id < count(); id++)
		sum += came[id];
	return sum;
}

/* A device's interrupt goes to each vCPU in turn, by its ID and by its logical ID, and to one of all. */
static const char *run_smp_ioapic(void)
{
	const char *why = start_all(TASK_IDLE);
	u32 n = count(), round, id;

	set(LVT_LINT0, LVT_MASKED);	/* the 8259 gets it as well */
	for (id = 0; id < n; id++)
		came[id] = 0;
	sti();
	for (round = 0; round < 20 && !why; round++) {
		for (id = 0; id < n && !why; id++) {
			u32 logical = round & 1;

			route_irq0(VECTOR | (logical ? ICR_LOGICAL : 0), logical ? 1u << id : id);
			one_shot();
			if (!wait_for(&came[id], round + 1) || all_that_came() != round * n + id + 1)
				why = fail("round %lu, vCPU %lu: %lu", (u64)round, (u64)id, (u64)all_that_came());
		}
	}
	for (round = 0; round < 20 && !why; round++) {
		route_irq0(VECTOR | ICR_LOGICAL | ICR_LOWEST, 0xff);
		one_shot();
		spin_us(2000);
		if (all_that_came() != 20 * n + round + 1)
			why = fail("lowest priority, %lu: %lu", (u64)round, (u64)all_that_came());
	}
	cli();
	route_irq0(IOAPIC_MASKED, 0);
	return why;
}

static const char *check_logical_ids(void)
{
	u32 id;

	for (id = 0; id < count(); id++)
		if (logical_id[id] != (id >> 4 << 16 | 1u << id % 16))
			return fail("vCPU %lu: LDR %lx", (u64)id, (u64)logical_id[id]);
	return NULL;
}

/* x2APIC mode, whose logical destinations are always clusters. The last case, for an INIT does not end that mode. */
static const char *run_smp_x2apic(void)
{
	u32 n = count(), others = (1u << n) - 2, id, i;
	const char *why;

	enter_x2apic();
	x2 = true;
	why = start_all(TASK_IDLE);
	for (id = 0; id < n; id++)
		came[id] = nmis[id] = 0;
	if (!why)
		why = check_logical_ids();
	for (i = 0; i < ROUNDS && !why; i++) {
		send(others, ICR_ASSERT | ICR_LOGICAL | VECTOR);
		for (id = 1; id < n && !why; id++)
			if (!wait_for(&came[id], 3 * i + 1))
				why = fail("cluster, %lu: %lu came to vCPU %lu", (u64)i, (u64)came[id], (u64)id);
		for (id = 1; id < n && !why; id++) {
			send(1u << id, ICR_ASSERT | ICR_LOGICAL | VECTOR);
			if (!wait_for(&came[id], 3 * i + 2))
				why = fail("logical, %lu: %lu came to vCPU %lu", (u64)i, (u64)came[id], (u64)id);
			send(id, ICR_ASSERT | VECTOR);
			if (!why && !wait_for(&came[id], 3 * i + 3))
				why = fail("physical, %lu: %lu came to vCPU %lu", (u64)i, (u64)came[id], (u64)id);
		}
		send(1u << 16 | 0xffff, ICR_ASSERT | ICR_LOGICAL | VECTOR);	/* a cluster where nobody is */
	}
	send(others, ICR_ASSERT | ICR_LOGICAL | ICR_NMI);
	for (id = 1; id < n && !why; id++)
		if (!wait_for(&nmis[id], 1))
			why = fail("NMI: %lu came to vCPU %lu", (u64)nmis[id], (u64)id);
	if (!why && all_that_came() != 3 * ROUNDS * (n - 1))
		why = fail("%lu interrupts in all", (u64)all_that_came());
	return why;
}

/* An interrupt goes round; each vCPU sleeps in HLT until it comes. */
static const char *run_smp_relay(void)
{
	const char *why = start_all(TASK_RELAY);
	u64 end = rdtsc() + 2000 * tsc_khz;
	u32 i;

	came[0] = 0;
	for (i = 0; i < 10 * ROUNDS && !why; i++) {
		send(1, ICR_ASSERT | VECTOR);
		while (came[0] <= i && rdtsc() < end)
			sti_hlt_cli();
		if (came[0] != i + 1)
			why = fail("round %lu: %lu came", (u64)i, (u64)came[0]);
	}
	return why;
}

static const char *forever(enum task what)
{
	const char *why = start_all(what);

	if (why)
		return why;
	print("ready\n");
	for (;;)
		asm volatile("" : : : "memory");
}

static const char *run_smp_deaf(void)
{
	return forever(TASK_HALT_DEAF);
}

static const char *run_smp_spin(void)
{
	return forever(TASK_SPIN_DEAF);
}

/* What all measure until vCPU 0 has done so for as long: `ms=N` on the command line. */
static const char *measure(enum task what, void (*f)(u32 id, u64 end))
{
	u32 ms = number("ms");
	const char *why;

	stop_tasks = false;
	why = start_all(what);
	f(0, rdtsc() + (ms ? ms : MEASURE_MS) * tsc_khz);
	stop_tasks = true;
	return why;
}

static u64 longest_us(u32 first)
{
	u64 most = 0;
	u32 id;

	for (id = first; id < count(); id++)
		most = longest[id] > most ? longest[id] : most;
	return most * 1000 / tsc_khz;
}

/* All vCPUs want one lock. How often vCPU 0 and the others got it, and the longest wait of those. */
static const char *run_smp_lock(void)
{
	const char *why = measure(TASK_LOCK, contend);
	u64 sum = 0;
	u32 id;

	for (id = 1; id < count(); id++)
		sum += locks[id];
	print("locks %lu others %lu longest-us %lu\n", locks[0], sum, longest_us(1));
	return why;
}

static const char *run_smp_steady(void)
{
	const char *why = measure(TASK_STEADY, watch);

	print("longest-us %lu\n", longest_us(0));
	return why;
}

/* CPUs of one package without hyperthreads; each has its caches, and all share the last level. */
static const char *run_smp_topology(void)
{
	u32 n = count(), bits = 0, r[4], sub;

	while (1u << bits < n)
		bits++;
	cpuid(1, 0, r);
	if ((r[1] >> 16 & 0xff) != 1u << bits || !!(r[3] >> 28 & 1) != (n > 1) || r[1] >> 24 != my_id())
		return fail("leaf 1: EBX %lx, EDX %lx", (u64)r[1], (u64)r[3]);
	for (sub = 0; sub < 8; sub++) {
		u32 level, sharing;

		cpuid(4, sub, r);
		if (!(r[0] & 0x1f))
			break;
		level = r[0] >> 5 & 7;
		sharing = (r[0] >> 14 & 0xfff) + 1;
		if ((r[0] >> 26) + 1 != 1u << bits || sharing != (level == 3 ? 1u << bits : 1))
			return fail("leaf 4, %lu: EAX %lx", (u64)sub, (u64)r[0]);
	}
	if (sub < 3)
		return fail("leaf 4: %lu caches", (u64)sub);
	cpuid(0xb, 0, r);
	if (r[0] || r[1] != 1 || r[2] != 0x100 || r[3] != my_id())
		return fail("leaf Bh, 0: EAX %lx, EBX %lx, ECX %lx", (u64)r[0], (u64)r[1], (u64)r[2]);
	cpuid(0xb, 1, r);
	if (r[0] != bits || r[1] != n || r[2] != 0x201 || r[3] != my_id())
		return fail("leaf Bh, 1: EAX %lx, EBX %lx, ECX %lx", (u64)r[0], (u64)r[1], (u64)r[2]);
	cpuid(0xb, 2, r);
	if (r[1] || r[2] != 2 || r[3] != my_id())
		return fail("leaf Bh, 2: EBX %lx, ECX %lx", (u64)r[1], (u64)r[2]);
	cpuid(0, 0, r);
	return r[0] < 0x1f ? NULL : fail("there is a leaf 1Fh: %lx", (u64)r[0]);
}

static const char *run_smp_triple_fault(void)
{
	return forever(TASK_TRIPLE_FAULT);
}

static const char *run_smp_compute(void)
{
	return forever(TASK_COMPUTE);
}

/* Nothing but INITs and SIPIs. */
static const char *run_smp_init_storm(void)
{
	prepare();
	print("ready\n");
	for (;;) {
		send(0, ICR_OTHERS | ICR_ASSERT | ICR_INIT);
		send(0, ICR_OTHERS | ICR_ASSERT | ICR_SIPI | AP_BASE >> 12);
	}
	return NULL;
}

static const struct test tests[] = {
	{ "smp_start", run_smp_start },
	{ "smp_ipi", run_smp_ipi },
	{ "smp_ioapic", run_smp_ioapic },
	{ "smp_relay", run_smp_relay },
	{ "smp_x2apic", run_smp_x2apic },
	{ "smp_topology", run_smp_topology },
	{ "smp_lock", run_smp_lock },
	{ "smp_steady", run_smp_steady },
	{ "smp_deaf", run_smp_deaf },
	{ "smp_spin", run_smp_spin },
	{ "smp_triple_fault", run_smp_triple_fault },
	{ "smp_compute", run_smp_compute },
	{ "smp_init_storm", run_smp_init_storm },
};

const struct test_group smp_tests = { tests, ARRAY_SIZE(tests) };
