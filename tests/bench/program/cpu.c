// SPDX-License-Identifier: GPL-2.0-only
/* Rows that a process alone makes: instructions, exceptions, memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "bench.h"

#define STREAM		(256u << 10)	/* bytes of a buffer for the memory streams */
#define KIB_WORDS	(1024 / sizeof(u64))

static void loop_only(u32 n)
{
	while (n--)
		__asm__ volatile("" : : : "rax", "rbx", "rcx", "rdx");
}

static void run_cpuid(u32 n)
{
	while (n--)
		__asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; cpuid" : : : "rax", "rbx", "rcx", "rdx");
}

static void run_syscall(u32 n)
{
	while (n--)
		syscall(SYS_getppid);
}

static __attribute__((noinline)) void callee(void)
{
	__asm__ volatile("");
}

static void run_call(u32 n)
{
	while (n--)
		callee();
}

/* Both exceptions: the handler steps over the instruction, which is two bytes long. */
static void step_over(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void catch_signal(int signal)
{
	struct sigaction action = { .sa_sigaction = step_over, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (sigaction(signal, &action, NULL))
		lab_fail("sigaction: %s", strerror(errno));
}

static bool prepare_divzero(void)
{
	catch_signal(SIGFPE);
	return true;
}

static void run_divzero(u32 n)
{
	while (n--)
		__asm__ volatile("div %%ecx" : : "a" (1), "d" (0), "c" (0));	/* f7 f1 */
}

static void *memory(size_t size, int protection)
{
	void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		lab_fail("mmap: %s", strerror(errno));
	return p;
}

static u8 *forbidden;

static bool prepare_pgfault(void)
{
	forbidden = memory(PAGE, PROT_NONE);
	catch_signal(SIGSEGV);
	return true;
}

static void run_pgfault(u32 n)
{
	while (n--)
		__asm__ volatile("mov (%%rcx), %%eax" : : "c" (forbidden) : "rax");	/* 8b 01 */
}

static void finish_pgfault(void)
{
	signal(SIGSEGV, SIG_DFL);
	munmap(forbidden, PAGE);
}

static u8 *changed;

static bool prepare_mprotect(void)
{
	changed = memory(PAGE, PROT_READ | PROT_WRITE);
	*changed = 1;
	return true;
}

static void run_mprotect(u32 n)
{
	while (n--)
		if (mprotect(changed, PAGE, n % 2 ? PROT_READ : PROT_READ | PROT_WRITE))
			lab_fail("mprotect: %s", strerror(errno));
}

/* Each result is the next one's operand, and not known to the compiler. */
#define ARITHMETIC(name, type, constraint, start, expression)			\
static void run_##name(u32 n)							\
{										\
	type x = (start), y = (type)7;						\
										\
	__asm__ volatile("" : "+" constraint (x), "+" constraint (y));		\
	while (n--) {								\
		x = (expression);						\
		__asm__ volatile("" : "+" constraint (x));			\
	}									\
}

ARITHMETIC(int_add, s32, "r", 1, (s32)((u32)x + (u32)y))
ARITHMETIC(int_mul, s32, "r", 1, (s32)((u32)x * (u32)y))
ARITHMETIC(int_div, s32, "r", 1000000007, x / y + 1000000000)
ARITHMETIC(int_mod, s32, "r", 1000000007, x % y + 1000000000)
ARITHMETIC(int64_add, s64, "r", 1, (s64)((u64)x + (u64)y))
ARITHMETIC(int64_mul, s64, "r", 1, (s64)((u64)x * (u64)y))
ARITHMETIC(int64_div, s64, "r", 1000000000007, x / y + 1000000000000)
ARITHMETIC(int64_mod, s64, "r", 1000000000007, x % y + 1000000000000)
ARITHMETIC(float_add, float, "x", 1.0f, x + y)
ARITHMETIC(float_mul, float, "x", 0.0f, x * y)
ARITHMETIC(float_div, float, "x", 0.0f, x / y)
ARITHMETIC(double_add, double, "x", 1.0, x + y)
ARITHMETIC(double_mul, double, "x", 0.0, x * y)
ARITHMETIC(double_div, double, "x", 0.0, x / y)

static u64 *source, *target;

static bool prepare_streams(void)
{
	source = memory(STREAM, PROT_READ | PROT_WRITE);
	target = memory(STREAM, PROT_READ | PROT_WRITE);
	memset(source, 1, STREAM);
	memset(target, 2, STREAM);
	return true;
}

static void finish_streams(void)
{
	munmap(source, STREAM);
	munmap(target, STREAM);
}

/* An operation is a KiB, one word after the other. */
#define STREAM_OF(name, statement)						\
static void run_##name(u32 n)							\
{										\
	volatile u64 *from = source, *to = target;				\
	u64 word = 0;								\
	size_t i;								\
										\
	(void)from;								\
	(void)to;								\
	for (i = 0; i < n * KIB_WORDS; i++)					\
		statement;							\
	__asm__ volatile("" : : "r" (word));					\
}

STREAM_OF(mem_read, word += from[i])
STREAM_OF(mem_write, to[i] = word)
STREAM_OF(mem_copy, to[i] = from[i])

#define ROW_ARITHMETIC(label, function) { .name = label, .batch = 10000, .repeat = 1000000, .run = run_##function }
#define ROW_STREAM(label, function)						\
	{ .name = label, .batch = STREAM / 1024, .repeat = STREAM / 1024 * 100,	\
	  .prepare = prepare_streams, .run = run_##function, .finish = finish_streams }

const struct operation cpu_operations[] = {
	{ .name = "syscall", .batch = 500, .repeat = 100000, .run = run_syscall },
	{ .name = "call", .batch = 10000, .repeat = 1000000, .run = run_call },
	{ .name = "divzero", .batch = 50, .repeat = 5000, .prepare = prepare_divzero, .run = run_divzero },
	{ .name = "pgfault", .batch = 50, .repeat = 5000, .prepare = prepare_pgfault, .run = run_pgfault,
	  .finish = finish_pgfault },
	{ .name = "mprotect", .batch = 50, .repeat = 10000, .prepare = prepare_mprotect, .run = run_mprotect },
	{ .name = "cpuid", .batch = 200, .repeat = 20000, .run = run_cpuid, .empty = loop_only },
	ROW_ARITHMETIC("int-add", int_add),
	ROW_ARITHMETIC("int-mul", int_mul),
	ROW_ARITHMETIC("int-div", int_div),
	ROW_ARITHMETIC("int-mod", int_mod),
	ROW_ARITHMETIC("int64-add", int64_add),
	ROW_ARITHMETIC("int64-mul", int64_mul),
	ROW_ARITHMETIC("int64-div", int64_div),
	ROW_ARITHMETIC("int64-mod", int64_mod),
	ROW_ARITHMETIC("float-add", float_add),
	ROW_ARITHMETIC("float-mul", float_mul),
	ROW_ARITHMETIC("float-div", float_div),
	ROW_ARITHMETIC("double-add", double_add),
	ROW_ARITHMETIC("double-mul", double_mul),
	ROW_ARITHMETIC("double-div", double_div),
	ROW_STREAM("mem-read-1k", mem_read),
	ROW_STREAM("mem-write-1k", mem_write),
	ROW_STREAM("mem-copy-1k", mem_copy),
	{ },
};
