// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report of a monitor fault, of a triple fault of the service, and what comes after it: the CPU stops, or the
 * machine is reset as Linux's panic= says. It goes to the log and to the machine's serial console.
 */
#include <avmm/x86.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/vmcs.h>
#include "core.h"

#define LINE_SIZE	160
#define FRAMES		24
#define PORT_RESET	0xcf9
#define RESET_HARD	0x06

static void __attribute__((format(printf, 1, 2))) report(const char *format, ...)
{
	char line[LINE_SIZE];
	__builtin_va_list args;

	__builtin_va_start(args, format);
	log_format(line, sizeof(line), format, args);
	__builtin_va_end(args);
	log_line(line);
	serial_puts("avmm monitor: ");
	serial_puts(line);
	serial_puts("\n");
}

static void report_address(const char *what, u64 address)
{
	u64 offset;
	const char *name = symbol_name(address, &offset);

	if (name)
		report("%s%016lx %s+0x%lx", what, address, name, offset);
	else
		report("%s%016lx", what, address);
}

/* Does a call end where this return address points? CALL rel32, or an indirect CALL of 2 or 3 bytes. */
static bool follows_call(u64 address)
{
	const u8 *p = (const u8 *)address;
	u64 offset;

	return symbol_name(address - 5, &offset) && (p[-5] == 0xe8 || p[-2] == 0xff || p[-3] == 0xff);
}

/* The exit path has no frame pointers to spare: whatever on the stack looks like a return address is shown. */
static void report_backtrace(const struct cpu *cpu, u64 rip, u64 rsp)
{
	const u64 *word;
	unsigned int n = 0;

	report("backtrace, innermost first:");
	report_address("  ", rip);
	if (rsp < cpu->stack_low || rsp > cpu->stack_high)
		rsp = cpu->stack_low;
	for (word = (const u64 *)(rsp & ~7ul); (u64)word < cpu->stack_high && n < FRAMES; word++) {
		if (follows_call(*word)) {
			report_address("  ", *word);
			n++;
		}
	}
}

static void report_guest(const struct cpu *cpu)
{
	const u64 *g = cpu->service.gpr;

	report("last exit %x, qualification %lx, guest-physical %lx", (u32)vmread(VMCS_EXIT_REASON),
	       vmread(VMCS_EXIT_QUALIFICATION), vmread(VMCS_GUEST_PHYS_ADDR));
	report("guest rip %016lx rsp %016lx rflags %lx", vmread(VMCS_GUEST_RIP), vmread(VMCS_GUEST_RSP),
	       vmread(VMCS_GUEST_RFLAGS));
	report("guest cr0 %lx cr3 %lx cr4 %lx", vmread(VMCS_GUEST_CR0), vmread(VMCS_GUEST_CR3),
	       vmread(VMCS_GUEST_CR4));
	report("guest rax %016lx rbx %016lx rcx %016lx rdx %016lx", g[RAX], g[RBX], g[RCX], g[RDX]);
	report("guest rsi %016lx rdi %016lx rbp %016lx r8 %016lx", g[RSI], g[RDI], g[RBP], g[R8]);
}

static void wait_seconds(u32 seconds)
{
	u64 end = rdtsc() + (u64)seconds * 1000 * machine.tsc_khz;

	while (rdtsc() < end)
		pause();
}

static void __attribute__((noreturn)) stop(struct cpu *cpu)
{
	cpu->stats->state = AVMM_CPU_DEAD;
	message_raise(cpu);
	if (machine.panic_timeout) {
		report("reset in %u s, as panic= says",
		       machine.panic_timeout > 0 ? (u32)machine.panic_timeout : 0);
		if (machine.panic_timeout > 0)
			wait_seconds((u32)machine.panic_timeout);
		outb(PORT_RESET, RESET_HARD);
	} else {
		report("CPU %u stopped; the machine needs a reset", cpu->number);
	}
	for (;;)
		asm volatile("cli; hlt");
}

static const char *const vector_names[] = {
	[0] = "#DE", [1] = "#DB", [3] = "#BP", [6] = "#UD", [7] = "#NM", [8] = "#DF", [10] = "#TS",
	[11] = "#NP", [12] = "#SS", [13] = "#GP", [14] = "#PF", [17] = "#AC", [19] = "#XM", [21] = "#CP",
};

void report_fault(const struct fault_frame *f)
{
	struct cpu *cpu = this_cpu();
	const char *name = f->vector < sizeof(vector_names) / sizeof(vector_names[0]) ? vector_names[f->vector] : NULL;
	u64 cr2, cr3;

	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	asm volatile("mov %%cr3, %0" : "=r"(cr3));
	report("FAULT in root operation on CPU %u: vector %u %s error %lx", cpu->number, (u32)f->vector,
	       name ? name : "", f->error);
	report_address("rip ", f->rip);
	report("rsp %016lx rflags %lx cr2 %016lx cr3 %lx", f->rsp, f->rflags, cr2, cr3);
	report("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->gpr[RAX], f->gpr[RBX], f->gpr[RCX], f->gpr[RDX]);
	report("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->gpr[RSI], f->gpr[RDI], f->gpr[RBP], f->gpr[R8]);
	report("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->gpr[R9], f->gpr[R10], f->gpr[R11], f->gpr[R12]);
	report("r13 %016lx r14 %016lx r15 %016lx", f->gpr[R13], f->gpr[R14], f->gpr[R15]);
	report_backtrace(cpu, f->rip, f->rsp);
	if (!cpu->leaving)
		report_guest(cpu);
	stop(cpu);
}

void core_panic(const char *what, u64 detail)
{
	struct cpu *cpu = this_cpu();

	report("PANIC on CPU %u: %s %lx", cpu->number, what, detail);
	report_backtrace(cpu, (u64)__builtin_return_address(0), (u64)&cpu);
	report_guest(cpu);
	stop(cpu);
}

/* Ends as on the bare machine: the CPU shuts down, and the chipset resets the machine. */
void core_triple_fault(struct vcpu *v)
{
	static const struct avmm_desc_ptr no_idt;

	if (!v->service) {
		core_user_triple_fault(v);
		return;
	}
	report("service partition: triple fault on CPU %u", v->cpu->number);
	report_guest(v->cpu);
	asm volatile("lidt %0; int3" : : "m"(no_idt));
	__builtin_unreachable();
}
