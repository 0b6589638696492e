/* SPDX-License-Identifier: GPL-2.0-only */
/* Privileged instructions, one wrapper each. The *_safe ones return false instead of a fault (exception table). */
#ifndef VMX_ROOT_INSN_H
#define VMX_ROOT_INSN_H

#include <avmm/types.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

/* An instruction at `from` that faults goes on at `to`. Collected by the linker script, used by monitor/fault.c. */
#define EXTABLE(from, to)					\
	".pushsection .extable, \"a\"\n"			\
	".quad " from ", " to "\n"				\
	".popsection\n"

static inline u64 vmread(u64 field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

static inline void vmwrite(u64 field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

/* CR8: the class of interrupts that the local APIC holds back, with all below it. */
static inline u64 read_cr8(void)
{
	u64 value;

	asm volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

static inline void write_cr8(u64 value)
{
	asm volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static inline void vmclear(u64 phys)
{
	asm volatile("vmclear %0" : : "m"(phys) : "cc", "memory");
}

static inline void vmxoff(void)
{
	asm volatile("vmxoff" : : : "cc", "memory");
}

struct inv_descriptor {
	u64 id;		/* EPTP or VPID */
	u64 address;
};

enum { INV_SINGLE_CONTEXT = 1, INV_ALL_CONTEXTS = 2 };

static inline void invept(u64 type, u64 eptp)
{
	struct inv_descriptor d = { eptp, 0 };

	asm volatile("invept %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

static inline void invvpid(u64 type, u64 vpid)
{
	struct inv_descriptor d = { vpid, 0 };

	asm volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

/* 64-bit: the instruction clears the upper halves itself. */
static inline void cpuid(u32 leaf, u32 sub, u64 r[4])
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
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

static inline bool rdmsr_safe(u32 number, u64 *value)
{
	u32 low, high, fault = 0;

	asm volatile("1: rdmsr\n2:\n"
		     ".pushsection .text.fixup, \"ax\"\n3: mov $1, %2\njmp 2b\n.popsection\n" EXTABLE("1b", "3b")
		     : "=a"(low), "=d"(high), "+r"(fault) : "c"(number));
	*value = (u64)high << 32 | low;
	return !fault;
}

static inline bool wrmsr_safe(u32 number, u64 value)
{
	u32 fault = 0;

	asm volatile("1: wrmsr\n2:\n"
		     ".pushsection .text.fixup, \"ax\"\n3: mov $1, %0\njmp 2b\n.popsection\n" EXTABLE("1b", "3b")
		     : "+r"(fault) : "c"(number), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
	return !fault;
}

static inline bool xsetbv_safe(u32 index, u32 low, u32 high)
{
	u32 fault = 0;

	asm volatile("1: xsetbv\n2:\n"
		     ".pushsection .text.fixup, \"ax\"\n3: mov $1, %0\njmp 2b\n.popsection\n" EXTABLE("1b", "3b")
		     : "+r"(fault) : "c"(index), "a"(low), "d"(high));
	return !fault;
}

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

static inline void outb(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u16 inw(u16 port)
{
	u16 value;

	asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outw(u16 port, u16 value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline u32 inl(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outl(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline void pause(void)
{
	asm volatile("pause");
}

static inline void barrier(void)
{
	asm volatile("" : : : "memory");
}

#endif
