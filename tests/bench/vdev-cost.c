// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that the interrupt controllers' and timers' models take per operation, counted by single-stepping a
 * child. The monitor's exit path and decoder come on top. Exits with 1 if a row is above its limit.
 *
 *	cc -O2 -Iinclude -I. tests/bench/vdev-cost.c vdev/lapic.c vdev/ioapic.c vdev/hpet.c -o vdev-cost
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdev/hpet.h"
#include "vdev/ioapic.h"

#define VCPUS	4

static struct lapic_bus bus;
static struct lapic lapic[VCPUS];
static u32 page[VCPUS][1024] __attribute__((aligned(4096)));
static struct ioapic ioapic;
static struct hpet hpet;

static void deliver(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector)
{
	(void)ctx;
	(void)vcpu;
	(void)mode;
	(void)vector;
}

static void eoi(void *ctx, u32 vcpu, u8 vector)
{
	(void)ctx;
	(void)vcpu;
	ioapic_eoi(&ioapic, vector);
}

static void put(u32 offset, u32 value)
{
	lapic_mmio_write(&lapic[0], offset, 4, value, 3000);
}

static void nothing(void)
{
}

static void self_ipi(void)
{
	put(LAPIC_ICR, 0x400ec);
}

static void ipi(void)
{
	put(LAPIC_ICR, 0xfc);
}

static void ipi_x2apic(void)
{
	lapic_msr_write(&lapic[1], 0x830, 2ull << 32 | 0xfc, 3000);
}

static void eoi_mmio(void)
{
	put(LAPIC_EOI, 0);
}

static void eoi_x2apic(void)
{
	lapic_msr_write(&lapic[1], 0x80b, 0, 3000);
}

static void eoi_level(void)
{
	put(LAPIC_EOI, 0);
}

static void initial_count(void)
{
	put(LAPIC_TIMER_INITIAL, 1000000);
}

static void deadline(void)
{
	lapic_msr_write(&lapic[1], 0x6e0, 1000000, 3000);
}

static void current_count(void)
{
	lapic_mmio_read(&lapic[0], LAPIC_TIMER_CURRENT, 4, 6000);
}

static void tpr(void)
{
	put(LAPIC_TPR, 0x20);
}

static void entry_idle(void)
{
	lapic_pending(&lapic[3]);
}

static void entry_interrupt(void)
{
	lapic_accept(&lapic[0], (u8)lapic_pending(&lapic[0]));
}

static void next_deadline(void)
{
	lapic_next_deadline(&lapic[0], 3000);
}

static void timer_fires(void)
{
	lapic_advance(&lapic[0], 10000000);
}

static void level_line(void)
{
	ioapic_set_line(&ioapic, 16, true);
}

static void edge_line(void)
{
	ioapic_set_line(&ioapic, 4, true);
}

static void hpet_counter(void)
{
	hpet_read(&hpet, 0xf0, 8, 123456789);
}

static void hpet_comparator(void)
{
	hpet_write(&hpet, 0x108, 8, 100000000, 123456789);
}

static void hpet_deadline(void)
{
	hpet_next_deadline(&hpet, 123456789);
}

/* In this order: each finds the state that those before it left. Limits are the design's where it has any. */
static const struct row {
	const char *name;
	void (*run)(void);
	int limit;
} rows[] = {
	{ "(call)", nothing, 0 },
	{ "local APIC: ICR write, self", self_ipi, 100 },
	{ "local APIC: ICR write, another vCPU", ipi, 110 },
	{ "local APIC: ICR write, x2APIC", ipi_x2apic, 110 },
	{ "local APIC: pending and accept at entry", entry_interrupt, 110 },
	{ "local APIC: EOI", eoi_mmio, 80 },
	{ "local APIC: EOI, x2APIC", eoi_x2apic, 90 },
	{ "local APIC: nothing pending at entry", entry_idle, 30 },
	{ "local APIC: timer initial count write", initial_count, 80 },
	{ "local APIC: timer current count read", current_count, 80 },
	{ "local APIC: next deadline", next_deadline, 40 },
	{ "local APIC: timer fires", timer_fires, 120 },
	{ "local APIC: TSC deadline write", deadline, 60 },
	{ "local APIC: TPR write", tpr, 40 },
	{ "I/O APIC: edge to a vCPU", edge_line, 150 },
	{ "I/O APIC: level to a vCPU", level_line, 160 },
	{ "local and I/O APIC: that level accepted", entry_interrupt, 220 },
	{ "local and I/O APIC: EOI of that level", eoi_level, 300 },
	{ "HPET: counter read", hpet_counter, 60 },
	{ "HPET: comparator write", hpet_comparator, 220 },
	{ "HPET: next deadline", hpet_deadline, 80 },
};

static void init(void)
{
	static const struct lapic_ops ops = { deliver, eoi };
	static const struct ioapic_config ioapic_config = { .bus = &bus, .id = VCPUS };
	static const struct hpet_ops hpet_ops;
	struct lapic_config config = {
		.features = LAPIC_HAS_X2APIC | LAPIC_HAS_DEADLINE, .tsc_khz = 2893201, .bus_khz = 1000000, .phys_bits = 39,
	};
	u32 i;

	lapic_bus_init(&bus, &ops, NULL);
	for (i = 0; i < VCPUS; i++) {
		config.page = page[i];
		config.id = i;
		lapic_init(&lapic[i], &bus, &config);
		lapic_mmio_write(&lapic[i], LAPIC_SVR, 4, 0x1ff, 0);
	}
	put(LAPIC_ICR2, 2u << 24);
	put(LAPIC_LVT_TIMER, 0x200ed);
	lapic_msr_write(&lapic[1], 0x1b, LAPIC_DEFAULT_BASE | 0xc00, 0);
	lapic_msr_write(&lapic[1], 0x832, 0x400ec, 0);
	lapic_msr_write(&lapic[1], 0x83f, 0xec, 0);
	lapic_accept(&lapic[1], (u8)lapic_pending(&lapic[1]));
	ioapic_init(&ioapic, &ioapic_config);
	ioapic.entry[16] = 0x80ee;
	ioapic.entry[4] = 0x1ull << 56 | 0x34;
	hpet_init(&hpet, &hpet_ops, NULL, 2893201);
	hpet_write(&hpet, 0x10, 8, 1, 0);
	hpet_write(&hpet, 0x100, 8, 4 | 20 << 9, 0);
}

static void __attribute__((noinline)) mark(void)
{
	asm volatile("");
}

static int child(void)
{
	const struct row *row;

	init();
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	for (row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
		mark();
		row->run();
	}
	mark();
	return 0;
}

/* Instructions until the child is at mark() next, -1 if it never comes there. */
static int count_to_mark(pid_t pid)
{
	struct user_regs_struct regs;
	int status, count = 0;

	do {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			return -1;
		ptrace(PTRACE_GETREGS, pid, NULL, &regs);
		count++;
	} while (regs.rip != (unsigned long)mark);
	return count;
}

int main(void)
{
	const struct row *row;
	int status, count, call = 0, failed = 0;
	pid_t pid = fork();

	if (!pid)
		return child();	/* our own loop costs the same in each row and falls out with the first */
	waitpid(pid, &status, 0);
	count_to_mark(pid);
	for (row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
		count = count_to_mark(pid);
		if (row == rows)
			call = count;
		count -= call;
		printf("%-45s %5d%s\n", row->name, count, count > row->limit ? "  above the limit" : "");
		failed |= count > row->limit || count < 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return failed;
}
