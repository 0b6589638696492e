/* SPDX-License-Identifier: GPL-2.0-only */
/* avmm_probe's files see each other through this header. */
#ifndef AVMM_PROBE_H
#define AVMM_PROBE_H

#include <linux/types.h>
#include <asm/asm.h>
#include <asm/trapnr.h>

#define NO_TRAP		(-1)

/*
 * Executes one instruction that may fault. trap becomes NO_TRAP or the vector; EAX is lost with a fault. The
 * instruction's operands follow as asm inputs, EAX/RAX is the in- and output rax.
 */
#define TRY(trap, rax, insn, ...)						\
	asm volatile("1:\t" insn "\n"						\
		     "\tmovl $-1, %[t]\n"					\
		     "\tjmp 3f\n"						\
		     "2:\tmovl %%eax, %[t]\n"					\
		     "3:\n"							\
		     _ASM_EXTABLE_FAULT(1b, 2b)					\
		     : [t] "=&r" (trap), "+&a" (rax)				\
		     : __VA_ARGS__						\
		     : "memory", "cc")

/* The report. bad() lines begin with UNEXPECTED and decide the verdict. */
__printf(1, 2) void say(const char *format, ...);
__printf(1, 2) void bad(const char *format, ...);

/* "#UD", "#GP", …; valid until the next call but one */
const char *trap_name(int trap);

/* Does AVMM run under this CPU (CPUID leaf 0x40000000)? Some expectations differ on the bare machine. */
bool under_avmm(void);
bool cpuid_shows_vmx(void);

/* Each runs on the CPU that calls it and reports. Memory: ranges is 0xADDRESS+0xLENGTH,… or NULL for own memory. */
int probe_memory(char *ranges);
int probe_vmx(void);
int probe_msr(void);
int probe_cr(void);
int probe_xcr(void);
int probe_cpuid(void);
int probe_invd(void);

#endif
