// SPDX-License-Identifier: GPL-2.0-only
/* The monitor's IDT. A fault at an instruction of the exception table goes on at its fix-up; any other is a bug. */
#include <avmm/x86.h>
#include "core.h"

#define GATE_INTERRUPT	0x8e00u
#define STUB_SIZE	16
#define VECTORS		32

enum { IST_NONE, IST_NMI, IST_DF, IST_MC };

struct gate {
	u16 offset_low;
	u16 selector;
	u16 flags;
	u16 offset_middle;
	u32 offset_high;
	u32 reserved;
};

struct extable_entry {
	u64 from;
	u64 to;
};

extern char fault_stubs[];
extern const struct extable_entry extable_start[], extable_end[];
void fault_nmi(void);
void fault_mc(void);

static struct gate idt[VECTORS] __attribute__((aligned(16)));

static void set_gate(u32 vector, const void *handler, u16 ist)
{
	u64 offset = (u64)handler;

	idt[vector] = (struct gate){
		.offset_low = offset & 0xffff,
		.selector = AVMM_SEL_CS,
		.flags = GATE_INTERRUPT | ist,
		.offset_middle = offset >> 16 & 0xffff,
		.offset_high = offset >> 32,
	};
}

void idt_init(void)
{
	u32 i;

	for (i = 0; i < VECTORS; i++)
		set_gate(i, fault_stubs + STUB_SIZE * i, i == 8 ? IST_DF : IST_NONE);
	set_gate(2, fault_nmi, IST_NMI);
	set_gate(18, fault_mc, IST_MC);
}

u64 idt_base(void)
{
	return (u64)idt;
}

/* Has a machine check come in the NMI handler? Its stack is the page above the ordinary one, see cpu.c. */
bool __attribute__((used)) fault_on_nmi_stack(const struct cpu *cpu, u64 rsp)
{
	return rsp - cpu->stack_high < AVMM_PAGE_SIZE;
}

void __attribute__((used)) fault_handle(struct fault_frame *frame)
{
	const struct extable_entry *e;

	for (e = extable_start; e < extable_end; e++) {
		if (e->from == frame->rip) {
			frame->rip = e->to;
			return;
		}
	}
	report_fault(frame);
}
