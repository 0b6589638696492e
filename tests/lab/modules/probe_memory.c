// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes every page of the monitor by its physical address. All pages must read as zeros before the
 * first write; afterwards at most what was written here may show, in whichever page (a scratch page may be shared).
 *
 * Everything that is written here leaves OWN_HALF in each 4 bytes that it touches, to tell it from the monitor's
 * values. Each page gets its first write from another kind of instruction than its neighbours, then all the others.
 */
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

#include "probe.h"

#define OWN_BYTE	0xa7
#define OWN_HALF	0xa7a7a7a7ul
#define OWN		(OWN_HALF << 32 | OWN_HALF)
#define SELF_ORDER	9
#define MAX_BAD		20

struct access {
	const char *name;
	void (*run)(u8 *page);		/* a read: copies the page to copy[] */
	bool (*usable)(void);		/* NULL: always */
	bool fpu;
};

static u8 copy[PAGE_SIZE] __aligned(64);	/* guarded by the report's lock, as all here */
static u64 pattern[8] __aligned(64) = { OWN, OWN, OWN, OWN, OWN, OWN, OWN, OWN };
static unsigned long bad_values;

static bool has_avx(void)
{
	return cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM, NULL);
}

static bool has_avx512(void)
{
	return boot_cpu_has(X86_FEATURE_AVX512F) && cpu_has_xfeatures(XFEATURE_MASK_AVX512, NULL);
}

static bool has_cx16(void)
{
	return boot_cpu_has(X86_FEATURE_CX16);
}

static void read_plain(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE / 8; i++)
		((u64 *)copy)[i] = READ_ONCE(((u64 *)page)[i]);
}

static void read_bytes(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i++)
		copy[i] = READ_ONCE(page[i]);
}

static void rep_movsb(u8 *to, const u8 *from, size_t count)
{
	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (count) : : "memory");
}

static void rep_movsq(u8 *to, const u8 *from, size_t count)
{
	asm volatile("rep movsq" : "+D" (to), "+S" (from), "+c" (count) : : "memory");
}

static void read_movsb(u8 *page)
{
	rep_movsb(copy, page, PAGE_SIZE);
}

static void read_movsq(u8 *page)
{
	rep_movsq(copy, page, PAGE_SIZE / 8);
}

static void read_lodsq(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE / 8; i++)
		asm volatile("lodsq" : "+S" (page), "=a" (((u64 *)copy)[i]) : : "memory");
}

/* The register holds the interrupted task's nothing: kernel_fpu_begin() is in force. */
#define VECTOR_COPY(name, insn, reg, size)								\
static void name(u8 *to, const u8 *from, size_t step)							\
{													\
	size_t i;											\
													\
	for (i = 0; i < PAGE_SIZE; i += size, from += step)						\
		asm volatile(insn " (%0), %%" reg "\n\t" insn " %%" reg ", (%1)"			\
			     : : "r" (from), "r" (to + i) : "memory");					\
}

VECTOR_COPY(copy_sse, "movups", "xmm0", 16)
VECTOR_COPY(copy_avx, "vmovups", "ymm0", 32)
VECTOR_COPY(copy_avx512, "vmovups", "zmm0", 64)

static void read_sse(u8 *page)
{
	copy_sse(copy, page, 16);
}

static void read_avx(u8 *page)
{
	copy_avx(copy, page, 32);
}

static void read_avx512(u8 *page)
{
	copy_avx512(copy, page, 64);
}

static void write_plain(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE / 8; i++)
		WRITE_ONCE(((u64 *)page)[i], OWN);
}

static void write_bytes(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i++)
		WRITE_ONCE(page[i], OWN_BYTE);
}

static void write_stosb(u8 *page)
{
	size_t count = PAGE_SIZE;

	asm volatile("rep stosb" : "+D" (page), "+c" (count) : "a" (OWN_BYTE) : "memory");
}

static void write_movsb(u8 *page)
{
	memset(copy, OWN_BYTE, PAGE_SIZE);
	rep_movsb(page, copy, PAGE_SIZE);
}

static void write_movsq(u8 *page)
{
	memset(copy, OWN_BYTE, PAGE_SIZE);
	rep_movsq(page, copy, PAGE_SIZE / 8);
}

/* Both operands in the monitor. */
static void write_movsq_inside(u8 *page)
{
	rep_movsq(page, page + PAGE_SIZE / 2, PAGE_SIZE / 16);
}

static void write_sse(u8 *page)
{
	copy_sse(page, (u8 *)pattern, 0);
}

static void write_avx(u8 *page)
{
	copy_avx(page, (u8 *)pattern, 0);
}

static void write_avx512(u8 *page)
{
	copy_avx512(page, (u8 *)pattern, 0);
}

static void write_nontemporal(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 8)
		asm volatile("movnti %0, (%1)" : : "r" (OWN), "r" (page + i) : "memory");
	asm volatile("sfence" : : : "memory");
}

static bool is_own(u64 value)
{
	u32 low = value, high = value >> 32;

	return (!low || low == OWN_HALF) && (!high || high == OWN_HALF);
}

static void check_value(const char *what, const u8 *page, size_t offset, u64 value, bool zero)
{
	if (zero ? !value : is_own(value))
		return;
	if (bad_values++ < MAX_BAD)
		bad("memory %s: %016llx at %016lx", what, value, (unsigned long)virt_to_phys((void *)page) + offset);
}

static void write_xchg(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 8)
		check_value("xchg", page, i, xchg((u64 *)(page + i), OWN), false);
}

/* The first compares unequal, which still is a write to the hardware; the second succeeds. */
static void write_cmpxchg(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 8) {
		u64 old = cmpxchg((u64 *)(page + i), 0x123456789abcdef0ul, OWN);

		check_value("cmpxchg", page, i, old, false);
		check_value("cmpxchg", page, i, cmpxchg((u64 *)(page + i), old, OWN), false);
	}
}

static void write_cmpxchg16(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 16) {
		u64 low = 0, high = 0;

		asm volatile("lock cmpxchg16b %0" : "+m" (*(u64 (*)[2])(page + i)), "+a" (low), "+d" (high)
			     : "b" (OWN), "c" (OWN) : "cc");
		check_value("cmpxchg16b", page, i, low, false);
		check_value("cmpxchg16b", page, i + 8, high, false);
	}
}

/* What is added makes OWN of what is there, so that no other value ever appears. */
static void write_locked_add(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 8) {
		u64 value = OWN - READ_ONCE(*(u64 *)(page + i));

		asm volatile("lock addq %1, %0" : "+m" (*(u64 *)(page + i)) : "r" (value) : "cc");
	}
}

static void write_locked_xadd(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 8) {
		u64 value = OWN - READ_ONCE(*(u64 *)(page + i));

		asm volatile("lock xaddq %0, %1" : "+r" (value), "+m" (*(u64 *)(page + i)) : : "cc");
		check_value("xadd", page, i, value, false);
	}
}

static void write_locked_bits(u8 *page)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i += 8) {
		asm volatile("lock btsl $0, %0" : "+m" (*(u32 *)(page + i)) : : "cc");
		asm volatile("lock orq %1, %0" : "+m" (*(u64 *)(page + i)) : "r" (OWN) : "cc");
	}
}

static const struct access reads[] = {
	{ "mov-8",	read_plain },
	{ "mov-1",	read_bytes },
	{ "rep-movsb",	read_movsb },
	{ "rep-movsq",	read_movsq },
	{ "lodsq",	read_lodsq },
	{ "sse",	read_sse, .fpu = true },
	{ "avx",	read_avx, has_avx, .fpu = true },
	{ "avx512",	read_avx512, has_avx512, .fpu = true },
};

static const struct access writes[] = {
	{ "mov-8",		write_plain },
	{ "xchg",		write_xchg },
	{ "rep-stosb",		write_stosb },
	{ "rep-movsb",		write_movsb },
	{ "lock-cmpxchg",	write_cmpxchg },
	{ "rep-movsq",		write_movsq },
	{ "sse",		write_sse, .fpu = true },
	{ "lock-add",		write_locked_add },
	{ "avx",		write_avx, has_avx, .fpu = true },
	{ "movsq-inside",	write_movsq_inside },
	{ "avx512",		write_avx512, has_avx512, .fpu = true },
	{ "mov-1",		write_bytes },
	{ "lock-cmpxchg16b",	write_cmpxchg16, has_cx16 },
	{ "movnti",		write_nontemporal },
	{ "lock-xadd",		write_locked_xadd },
	{ "lock-bts",		write_locked_bits },
};

static void run_access(const struct access *access, u8 *page)
{
	if (access->usable && !access->usable())
		return;
	if (access->fpu)
		kernel_fpu_begin();
	access->run(page);
	if (access->fpu)
		kernel_fpu_end();
}

static void check_page(u8 *page, bool zero)
{
	size_t i, offset;

	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		memset(copy, 0, PAGE_SIZE);
		run_access(&reads[i], page);
		for (offset = 0; offset < PAGE_SIZE; offset += 8)
			check_value(zero ? "not zero before the first write" : reads[i].name, page, offset,
				    *(u64 *)(copy + offset), zero);
	}
}

/* Whether what was written stays: 1 in the report of our own memory, either is fine with the monitor's. */
static bool keeps_writes(u8 *page)
{
	write_plain(page);
	return READ_ONCE(*(u64 *)page) == OWN;
}

static void report_kinds(const char *what, const struct access *table, size_t count)
{
	char names[256];
	size_t i, len = 0;

	for (i = 0; i < count; i++)
		if (!table[i].usable || table[i].usable())
			len += scnprintf(names + len, sizeof(names) - len, " %s", table[i].name);
	say("memory %s:%s", what, names);
}

static void probe_pages(u8 *start, size_t pages)
{
	size_t i, k, kept = 0;

	for (i = 0; i < pages; i++) {
		check_page(start + i * PAGE_SIZE, true);
		cond_resched();
	}
	for (i = 0; i < pages; i++) {
		u8 *page = start + i * PAGE_SIZE;

		for (k = 0; k < ARRAY_SIZE(writes); k++)
			run_access(&writes[(i + k) % ARRAY_SIZE(writes)], page);
		if (i + 1 < pages)	/* one store to two pages */
			*(u64 *)(page + PAGE_SIZE - 4) = OWN;
		kept += keeps_writes(page);
		cond_resched();
	}
	for (i = 0; i < pages; i++) {
		check_page(start + i * PAGE_SIZE, false);
		cond_resched();
	}
	say("memory %016lx pages %zu keep-writes %zu", (unsigned long)virt_to_phys(start), pages, kept);
}

static int probe_range(const char *range)
{
	unsigned long long start, length;
	void *map;

	if (sscanf(range, "%lli+%lli", &start, &length) != 2 || !length || (start | length) & ~PAGE_MASK)
		return -EINVAL;
	map = memremap(start, length, MEMREMAP_WB);
	if (!map)
		return -ENOMEM;
	if (virt_addr_valid(map))
		probe_pages(map, length / PAGE_SIZE);
	memunmap(map);
	return virt_addr_valid(map) ? 0 : -ENXIO;	/* the monitor's memory is Linux's RAM */
}

static int probe_own_memory(void)
{
	struct page *block = alloc_pages(GFP_KERNEL | __GFP_ZERO, SELF_ORDER);

	if (!block)
		return -ENOMEM;
	probe_pages(page_address(block), 1ul << SELF_ORDER);
	__free_pages(block, SELF_ORDER);
	return 0;
}

int probe_memory(char *ranges)
{
	char *list, *next, *range;
	int err = 0;

	bad_values = 0;
	report_kinds("reads", reads, ARRAY_SIZE(reads));
	report_kinds("writes", writes, ARRAY_SIZE(writes));
	if (!ranges || !*ranges) {
		err = probe_own_memory();
	} else {
		next = list = kstrdup(ranges, GFP_KERNEL);
		if (!list)
			return -ENOMEM;
		while (!err && (range = strsep(&next, ",")))
			err = probe_range(strim(range));
		kfree(list);
	}
	if (bad_values > MAX_BAD)
		bad("memory: %lu wrong values in all", bad_values);
	return err;
}
