// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps known values in every register that a program has, and looks whether they are still there: x87, SSE, AVX,
 * AVX-512, PKRU and AMX as far as the machine has them, the general registers, FS and GS base, TSC_AUX, and a
 * breakpoint register. Two threads per CPU take turns, signals arrive in between whose handler loads other values.
 *
 * hold() does it without a C instruction in the middle: XRSTOR of the values, then spinning or system calls, then
 * XSAVE, and the two images must be alike.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#define AREA_SIZE	16384
#define LEGACY_SIZE	512
#define SPINS		2000
#define YIELDS		20
#define HITS		5		/* of the breakpoint per round */
#define SIGNAL_NS	700000

#ifndef ARCH_REQ_XCOMP_PERM
#define ARCH_REQ_XCOMP_PERM	0x1023
#endif

enum component { X87, SSE, AVX, OPMASK = 5, ZMM_HIGH, ZMM_16_31, PKRU = 9, TILECFG = 17, TILEDATA, COMPONENTS };

static const char *const names[COMPONENTS] = {
	"x87", "sse", "avx", [OPMASK] = "opmask", "zmm-high", "zmm16-31", [PKRU] = "pkru", [TILECFG] = "tilecfg",
	"tiledata",
};

/* A thread's; the assembly in hold() knows the offsets of the members up to out_gs. */
struct thread {
	u64 gpr[7], out_gpr[7];			/* r8, r9, r10, r12 to r15 */
	u64 fs, gs, out_fs, out_gs, own_fs, own_gs;
	u8 *in, *out, *own, *other;		/* XSAVE areas; other is what the signal handler loads */
	u64 number, state;
	volatile u64 watched, signals;
	unsigned int cpu;
	int breakpoint;				/* file descriptor, -1: none */
	pthread_t thread;
};

static u64 mask;				/* components in use */
static u32 offset[COMPONENTS], size[COMPONENTS];
static bool has_fsgsbase, has_rdtscp;
static u64 rounds, hits, all_signals;

static u64 read_xcr0(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return (u64)high << 32 | low;
}

static void find_components(void)
{
	u32 r[4];
	int i;

	lab_cpuid(1, 0, r);
	if (!(r[2] & 1u << 27))
		lab_fail("this CPU has no XSAVE");
	mask = read_xcr0();
	if (mask >> TILEDATA & 1 && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA))
		mask &= ~(1ull << TILEDATA | 1ull << TILECFG);
	for (i = 0; i < 64; i++)
		if (mask >> i & 1 && (i >= COMPONENTS || !names[i]))
			mask &= ~(1ull << i);
	for (i = AVX; i < COMPONENTS; i++) {
		if (!(mask >> i & 1))
			continue;
		lab_cpuid(0xd, i, r);
		size[i] = r[0];
		offset[i] = r[1];
		if (offset[i] + size[i] > AREA_SIZE)
			lab_fail("XSAVE area larger than %d bytes", AREA_SIZE);
	}
	has_fsgsbase = getauxval(AT_HWCAP2) & 2;
	lab_cpuid(0x80000001, 0, r);
	has_rdtscp = r[3] & 1u << 27;
}

static void random_legacy(u8 *area, u64 *state)
{
	u32 mxcsr = 0x1f80 | (lab_random(state) & 0xe03f);	/* masked; rounding, flush and flags at random */
	u16 control = 0x37f | (lab_random(state) & 0x0c40);
	int i;

	memset(area, 0, 160);
	memcpy(area, &control, 2);
	area[4] = 0xff;						/* all registers valid */
	memcpy(area + 24, &mxcsr, 4);
	for (i = 0; i < 8; i++)
		lab_fill(area + 32 + 16 * i, 10, lab_random(state));
	lab_fill(area + 160, 256, lab_random(state));
}

static void random_area(u8 *area, u64 *state)
{
	u32 pkru;
	int i;

	memset(area, 0, AREA_SIZE);
	random_legacy(area, state);
	memcpy(area + LEGACY_SIZE, &mask, 8);
	for (i = AVX; i < COMPONENTS; i++)
		if (mask >> i & 1)
			lab_fill(area + offset[i], size[i], lab_random(state));
	if (mask >> PKRU & 1) {
		pkru = lab_random(state) << 2 | 4;		/* key 0 is everything's */
		memset(area + offset[PKRU], 0, size[PKRU]);
		memcpy(area + offset[PKRU], &pkru, 4);
	}
	if (mask >> TILECFG & 1) {
		u8 *config = area + offset[TILECFG];
		u16 columns = 64;

		memset(config, 0, size[TILECFG]);
		config[0] = 1;					/* palette */
		for (i = 0; i < 8; i++) {
			memcpy(config + 16 + 2 * i, &columns, 2);
			config[48 + i] = 16;			/* rows */
		}
	}
}

/*
 * The registers of the caller survive in own. spins of PAUSE each time round; number: a system call to make each
 * time, or a negative one for none. No signal handler uses FS meanwhile.
 */
static __attribute__((noinline)) void hold(struct thread *t, u64 times, u64 spins, long number, bool bases)
{
	u32 low = mask, high = mask >> 32;

	__asm__ volatile(
		"movq	%[own], %%rcx\n"
		"movl	%[low], %%eax\n\tmovl %[high], %%edx\n"
		"xsave64 (%%rcx)\n"
		"testb	%[bases], %[bases]\n\tjz 1f\n"
		"rdfsbase %%rax\n\tmovq %%rax, %c[ofs](%%rdi)\n\trdgsbase %%rax\n\tmovq %%rax, %c[ogs](%%rdi)\n"
		"movq	%c[fs](%%rdi), %%rax\n\twrfsbase %%rax\n\tmovq %c[gs](%%rdi), %%rax\n\twrgsbase %%rax\n"
		"1:\n"
		"movq	%c[in](%%rdi), %%rcx\n"
		"movl	%[low], %%eax\n\tmovl %[high], %%edx\n"
		"xrstor64 (%%rcx)\n"
		"movq	0(%%rdi), %%r8\n\tmovq 8(%%rdi), %%r9\n\tmovq 16(%%rdi), %%r10\n\tmovq 24(%%rdi), %%r12\n"
		"movq	32(%%rdi), %%r13\n\tmovq 40(%%rdi), %%r14\n\tmovq 48(%%rdi), %%r15\n"
		"2:\n"
		"movq	%[spins], %%rcx\n"
		"3:	subq $1, %%rcx\n\tjb 4f\n\tpause\n\tjmp 3b\n"
		"4:	movq %[number], %%rax\n\ttestq %%rax, %%rax\n\tjs 5f\n\tsyscall\n"
		"5:	decq %[times]\n\tjnz 2b\n"
		"movq	%%r8, 56(%%rdi)\n\tmovq %%r9, 64(%%rdi)\n\tmovq %%r10, 72(%%rdi)\n\tmovq %%r12, 80(%%rdi)\n"
		"movq	%%r13, 88(%%rdi)\n\tmovq %%r14, 96(%%rdi)\n\tmovq %%r15, 104(%%rdi)\n"
		"movq	%c[out](%%rdi), %%rcx\n"
		"movl	%[low], %%eax\n\tmovl %[high], %%edx\n"
		"xsave64 (%%rcx)\n"
		"testb	%[bases], %[bases]\n\tjz 6f\n"
		"rdfsbase %%rax\n\tmovq %%rax, %c[outfs](%%rdi)\n\trdgsbase %%rax\n\tmovq %%rax, %c[outgs](%%rdi)\n"
		"movq	%c[ofs](%%rdi), %%rax\n\twrfsbase %%rax\n\tmovq %c[ogs](%%rdi), %%rax\n\twrgsbase %%rax\n"
		"6:\n"
		"movq	%[own], %%rcx\n"
		"movl	%[low], %%eax\n\tmovl %[high], %%edx\n"
		"xrstor64 (%%rcx)\n"
		: [times] "+m" (times)
		: "D" (t), [spins] "m" (spins), [number] "m" (number), [bases] "b" (bases), [low] "m" (low),
		  [high] "m" (high), [own] "m" (t->own),
		  [in] "i" (offsetof(struct thread, in)), [out] "i" (offsetof(struct thread, out)),
		  [fs] "i" (offsetof(struct thread, fs)), [gs] "i" (offsetof(struct thread, gs)),
		  [outfs] "i" (offsetof(struct thread, out_fs)), [outgs] "i" (offsetof(struct thread, out_gs)),
		  [ofs] "i" (offsetof(struct thread, own_fs)), [ogs] "i" (offsetof(struct thread, own_gs))
		: "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

/* Runs on any FS base: nothing thread-local here. The kernel restores everything afterwards. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct thread *t = info->si_value.sival_ptr;

	(void)signal;
	(void)context;
	__asm__ volatile("xrstor64 (%0)" : : "r" (t->other), "a" ((u32)mask), "d" ((u32)(mask >> 32)) : "memory");
	t->signals++;
}

static void compare_part(const struct thread *t, const char *what, size_t at, size_t len)
{
	size_t i;

	for (i = at; i < at + len; i++)
		if (t->in[i] != t->out[i])
			lab_fail("thread %llu: %s changed: byte %zu was %02x, is %02x", (unsigned long long)t->number,
				 what, i - at, t->in[i], t->out[i]);
}

static void compare(const struct thread *t, bool bases)
{
	int i;

	compare_part(t, "x87 state", 0, 24);
	compare_part(t, "mxcsr", 24, 4);
	compare_part(t, "x87 registers", 32, 128);
	compare_part(t, "xmm registers", 160, 256);
	compare_part(t, "xstate_bv", LEGACY_SIZE, 8);
	for (i = AVX; i < COMPONENTS; i++)
		if (mask >> i & 1)
			compare_part(t, names[i], offset[i], size[i]);
	if (memcmp(t->gpr, t->out_gpr, sizeof(t->gpr)))
		lab_fail("thread %llu: a general register changed", (unsigned long long)t->number);
	if (bases && (t->fs != t->out_fs || t->gs != t->out_gs))
		lab_fail("thread %llu: fs base %llx became %llx, gs base %llx %llx", (unsigned long long)t->number,
			 (unsigned long long)t->fs, (unsigned long long)t->out_fs, (unsigned long long)t->gs,
			 (unsigned long long)t->out_gs);
}

static void check_tsc_aux(void)
{
	unsigned int before, after, aux;

	if (!has_rdtscp)
		return;
	syscall(SYS_getcpu, &before, NULL, NULL);
	__asm__ volatile("rdtscp" : "=c" (aux) : : "rax", "rdx");
	syscall(SYS_getcpu, &after, NULL, NULL);
	if (before == after && (aux & 0xfff) != before)
		lab_fail("tsc_aux is %#x on CPU %u", aux, before);
}

static void open_breakpoint(struct thread *t)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&t->watched, .bp_len = HW_BREAKPOINT_LEN_8, .pinned = 1, .exclude_kernel = 1,
		.exclude_hv = 1,
	};

	t->breakpoint = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static void check_breakpoint(struct thread *t, u64 *expected)
{
	u64 count;
	int i;

	if (t->breakpoint < 0)
		return;
	for (i = 0; i < HITS; i++)
		t->watched++;
	*expected += HITS;
	if (read(t->breakpoint, &count, sizeof(count)) != sizeof(count) || count != *expected)
		lab_fail("breakpoint: %llu hits instead of %llu", (unsigned long long)count,
			 (unsigned long long)*expected);
	__atomic_fetch_add(&hits, HITS, __ATOMIC_RELAXED);
}

static void start_signals(struct thread *t)
{
	struct itimerspec every = { { 0, SIGNAL_NS }, { 0, SIGNAL_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1,
				  .sigev_value.sival_ptr = t };
	timer_t timer;

	event._sigev_un._tid = syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL))
		lab_fail("timer: %s", strerror(errno));
}

static void one_round(struct thread *t, u64 *expected_hits)
{
	u64 choice = lab_random(&t->state);
	bool bases = has_fsgsbase;
	int i;

	random_area(t->in, &t->state);
	memset(t->out, 0, AREA_SIZE);
	for (i = 0; i < 7; i++)
		t->gpr[i] = lab_random(&t->state);
	t->fs = lab_random(&t->state) >> 17;		/* canonical */
	t->gs = lab_random(&t->state) >> 17;
	switch (choice % 3) {
	case 0:
		hold(t, 1, choice >> 8 & 0xffff, -1, bases);
		break;
	case 1:
		hold(t, YIELDS, SPINS, SYS_sched_yield, bases);
		break;
	default:
		hold(t, YIELDS, 50, SYS_getppid, bases);
	}
	compare(t, bases);
	check_tsc_aux();
	check_breakpoint(t, expected_hits);
	__atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
}

static void *run_thread(void *argument)
{
	struct thread *t = argument;
	u64 expected_hits = 0;

	t->in = aligned_alloc(64, 4 * AREA_SIZE);
	t->out = t->in + AREA_SIZE;
	t->own = t->out + AREA_SIZE;
	t->other = t->own + AREA_SIZE;
	memset(t->own, 0, AREA_SIZE);
	t->state = t->number + 1;
	random_area(t->other, &t->state);
	open_breakpoint(t);
	start_signals(t);
	while (lab_go_on()) {
		lab_pin(t->cpu);
		one_round(t, &expected_hits);
	}
	__atomic_fetch_add(&all_signals, t->signals, __ATOMIC_RELAXED);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct thread *threads;
	unsigned int i, count;
	char list[128] = "";

	lab_start(argc, argv, "", NULL, NULL);
	find_components();
	sigaction(SIGUSR1, &action, NULL);
	count = 2 * lab_cpus();
	threads = calloc(count, sizeof(*threads));
	for (i = 0; i < count; i++) {
		threads[i].number = i;
		threads[i].cpu = lab_cpu(i / 2);
		pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]);
	}
	for (i = 0; i < count; i++)
		pthread_join(threads[i].thread, NULL);
	for (i = 0; i < COMPONENTS; i++)
		if (mask >> i & 1)
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", *list ? "," : "", names[i]);
	lab_ok("threads %u rounds %llu signals %llu state %s fsgsbase %d breakpoint-hits %llu", count,
	       (unsigned long long)rounds, (unsigned long long)all_signals, list, has_fsgsbase,
	       (unsigned long long)hits);
}
