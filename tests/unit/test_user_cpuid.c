// SPDX-License-Identifier: GPL-2.0-only
/* The user partition's CPUID on a made-up CPU: what is kept answers as if it had just been asked. */
#include "unit.h"

#define cpuid	insn_cpuid	/* the instruction is not for us */
#include <vmx/root/insn.h>
#undef cpuid

static unsigned int asked;
static u32 area = 576;		/* bytes of the XSAVE area under the present XCR0 */

/* Every bit of every leaf is something, and the same each time. Few leaves have subleaves. */
static void cpuid(u32 leaf, u32 sub, u64 r[4])
{
	bool subleaves = leaf == 0x4 || leaf == 0x7 || leaf == 0xb || leaf == 0xd;
	u64 seed = (u64)leaf << 8 | (subleaves ? sub & 0xff : 0) | 1ull << 40;
	int i;

	for (i = 0; i < 4; i++)
		r[i] = (u32)(random_u64(&seed) >> 16);
	if (leaf == 0x4)
		r[0] = sub < 4 ? (r[0] & ~0x1full) | 1 : 0;
	if (leaf == 0xd && sub < 2)
		r[1] = area;
	asked++;
}

#include "monitor/user-cpuid.c"

struct machine machine = { .tsc_khz = 2000000, .phys_bits = 39 };
struct partition user;

static struct user_vcpu vcpu;
static u64 cr4;

u64 vmx_guest_cr4(void)
{
	return cr4;
}

/* core_user_pdptes() is in that file, too. */
struct ept_entry ept_walk(const struct ept *ept, u64 gpa)
{
	(void)ept;
	(void)gpa;
	return (struct ept_entry){ 0 };
}

void *window_map(u64 phys)
{
	(void)phys;
	return NULL;
}

static int start(void **state)
{
	(void)state;
	memset(&user, 0, sizeof(user));
	user.config.vcpus = 1;
	user.xcr0_mask = 0xe7;
	vcpu.lapic.id = 0;
	cr4 = 0;
	area = 576;
	user_cpuid_reset();
	return 0;
}

static void ask(u32 leaf, u32 sub, u64 r[4])
{
	vcpu.vcpu.gpr[RAX] = leaf;
	vcpu.vcpu.gpr[RCX] = sub;
	core_user_cpuid(&vcpu.vcpu);
	r[0] = vcpu.vcpu.gpr[RAX];
	r[1] = vcpu.vcpu.gpr[RBX];
	r[2] = vcpu.vcpu.gpr[RCX];
	r[3] = vcpu.vcpu.gpr[RDX];
}

static u32 some_leaf(u64 *seed)
{
	static const u32 base[] = { 0, 0, 0x40000000, 0x80000000 };

	return base[random_below(seed, 4)] + random_below(seed, 0x1c);
}

/* Whoever asks what before, and whatever changes meanwhile. */
static void as_if_asked_anew(void **state)
{
	u64 seed = 5, kept[4], anew[4];
	struct kept before[2];
	u32 i, leaf, sub;

	(void)state;
	for (i = 0; i < 200000; i++) {
		leaf = some_leaf(&seed);
		sub = random_below(&seed, random_below(&seed, 8) ? 20 : 100);
		vcpu.lapic.id = random_below(&seed, 16);
		cr4 = random_u64(&seed);
		area = 576 + 64 * random_below(&seed, 30);
		ask(leaf, sub, kept);
		before[0] = plain;
		before[1] = others;
		user_cpuid_reset();
		ask(leaf, sub, anew);
		assert_memory_equal(kept, anew, sizeof(kept));
		plain = before[0];
		others = before[1];
	}
}

/* Programs ask for these when they start. */
static void asked_once(void **state)
{
	static const struct {
		u32 leaf, sub, again;
	} row[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 2, 0, 0 }, { 4, 0, 0 }, { 4, 3, 0 }, { 4, 4, 0 }, { 7, 0, 0 }, { 7, 1, 0 },
		{ 0xd, 0, 1 }, { 0xd, 1, 1 }, { 0xd, 2, 0 }, { 0xd, 9, 0 }, { 0x14, 0, 0 }, { 0x80000001, 0, 0 },
		{ 0x80000008, 5, 0 },
	};
	u64 r[4];
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		ask(row[i].leaf, row[i].sub, r);
		asked = 0;
		ask(row[i].leaf, row[i].sub, r);
		assert_int_equal(asked, row[i].again);
	}
}

static void what_varies(void **state)
{
	u64 r[4];

	(void)state;
	ask(1, 0, r);
	assert_int_equal(r[1] >> 24, 0);
	assert_false(r[2] & 1u << 27);
	ask(7, 0, r);
	assert_false(r[2] & 1u << 4);
	vcpu.lapic.id = 3;
	cr4 = AVMM_CR4_OSXSAVE | AVMM_CR4_PKE;
	ask(1, 0, r);
	assert_int_equal(r[1] >> 24, 3);
	assert_true(r[2] & 1u << 27);
	ask(7, 0, r);
	assert_true(r[2] & 1u << 4);
	ask(0xd, 0, r);
	assert_int_equal(r[1], 576);
	area = 832;
	ask(0xd, 0, r);
	assert_int_equal(r[1], 832);
	ask(0xd, 1, r);
	assert_int_equal(r[1], 832);
}

/* Another partition has its own. */
static void of_this_partition(void **state)
{
	u64 one[4], four[4];

	(void)state;
	ask(1, 0, one);
	ask(4, 0, one);
	ask(0xd, 5, one);
	user.config.vcpus = 4;
	user.xcr0_mask = 7;
	user_cpuid_reset();
	ask(1, 0, four);
	assert_int_equal(four[1] >> 16 & 0xff, 4);
	assert_true(four[3] & 1u << 28);
	ask(4, 0, four);
	assert_int_equal(four[0] >> 26, 3);
	ask(0xd, 5, four);
	assert_int_equal(four[0] | four[1] | four[2] | four[3], 0);
	assert_true(one[0] | one[1] | one[2] | one[3]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(as_if_asked_anew, start),
	cmocka_unit_test_setup(asked_once, start),
	cmocka_unit_test_setup(what_varies, start),
	cmocka_unit_test_setup(of_this_partition, start),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
