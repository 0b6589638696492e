/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUs that the tests of vmx/caps know, as a table of what RDMSR and CPUID answer. */
#ifndef TESTS_CAPS_SAMPLES_H
#define TESTS_CAPS_SAMPLES_H

#include "vmx/caps/caps.h"

struct sample {
	const char *name;
	u32 cpuid[VMX_LEAF_COUNT][VMX_REG_COUNT];
	u64 msr[VMX_MSR_COUNT];
	u64 cr4;
};

/* A Skylake desktop CPU. */
static const struct sample skylake = {
	.name = "Skylake",
	.cpuid = {
		[VMX_LEAF_0] = { 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 },
		[VMX_LEAF_1] = { 0x000506e3, 0x00100800, 0x7ffafbff, 0xbfebfbff },
		[VMX_LEAF_7_0] = { 0, 0x029c6fbb, 0, 0 },
		[VMX_LEAF_A] = { 0x07300404, 0, 0, 0x603 },
		[VMX_LEAF_D_1] = { 0xf, 0x3c0, 0x100, 0 },
		[VMX_LEAF_80000000] = { 0x80000008, 0, 0, 0 },
		[VMX_LEAF_80000001] = { 0, 0, 0x121, 0x2c100800 },
		[VMX_LEAF_80000008] = { 0x3027, 0, 0, 0 },
	},
	.msr = {
		[VMX_MSR_FEATURE_CONTROL] = 0x5,
		[VMX_MSR_BASIC] = 0x00da040000000004,
		[VMX_MSR_PINBASED_CTLS] = 0x0000007f00000016,
		[VMX_MSR_PROCBASED_CTLS] = 0xfff9fffe0401e172,
		[VMX_MSR_EXIT_CTLS] = 0x01ffffff00036dff,
		[VMX_MSR_ENTRY_CTLS] = 0x0003ffff000011ff,
		[VMX_MSR_MISC] = 0x000000007004c1e7,
		[VMX_MSR_CR0_FIXED0] = 0x80000021,
		[VMX_MSR_CR0_FIXED1] = 0xffffffff,
		[VMX_MSR_CR4_FIXED0] = 0x2000,
		[VMX_MSR_CR4_FIXED1] = 0x3767ff,
		[VMX_MSR_TRUE_PINBASED_CTLS] = 0x0000007f00000016,
		[VMX_MSR_TRUE_PROCBASED_CTLS] = 0xfff9fffe04006172,
		[VMX_MSR_TRUE_EXIT_CTLS] = 0x01ffffff00036dfb,
		[VMX_MSR_TRUE_ENTRY_CTLS] = 0x0003ffff000011fb,
		[VMX_MSR_PROCBASED_CTLS2] = 0x001ffcff00000000,
		[VMX_MSR_EPT_VPID_CAP] = 0x00000f0106334141,
	},
	.cr4 = 0x3606e0,
};

/* Made up: a CPU that has everything that the table names, CET and PKS in use. */
static const struct sample modern = {
	.name = "everything",
	.cpuid = {
		[VMX_LEAF_0] = { 0x20, 0x756e6547, 0x6c65746e, 0x49656e69 },
		[VMX_LEAF_1] = { 0x000806f8, 0x00100800, 0x7ffefbff, 0xbfebfbff },
		[VMX_LEAF_7_0] = { 2, 0xf3bfbfbf, 0xfb417fee, 0xffdd4432 },
		[VMX_LEAF_7_1] = { 0x08421c30, 0, 0, 0 },
		[VMX_LEAF_A] = { 0x08300805, 0, 0xf, 0x8604 },
		[VMX_LEAF_D_1] = { 0x1f, 0x2440, 0x1f900, 0 },
		[VMX_LEAF_80000000] = { 0x80000008, 0, 0, 0 },
		[VMX_LEAF_80000001] = { 0, 0, 0x121, 0x2c100800 },
		[VMX_LEAF_80000008] = { 0x3934, 0, 0, 0 },
	},
	.msr = {
		[VMX_MSR_FEATURE_CONTROL] = 0x100005,
		[VMX_MSR_BASIC] = 0x03da050000000013,
		[VMX_MSR_PINBASED_CTLS] = 0x000000ff00000016,
		[VMX_MSR_PROCBASED_CTLS] = 0xfffbfffe0401e172,
		[VMX_MSR_EXIT_CTLS] = 0x7fffffff00036dff,
		[VMX_MSR_ENTRY_CTLS] = 0x007fffff000011ff,
		[VMX_MSR_MISC] = 0x000000007004c1e7,
		[VMX_MSR_CR0_FIXED0] = 0x80000021,
		[VMX_MSR_CR0_FIXED1] = 0xffffffff,
		[VMX_MSR_CR4_FIXED0] = 0x2000,
		[VMX_MSR_CR4_FIXED1] = 0x1ff77fff,
		[VMX_MSR_TRUE_PINBASED_CTLS] = 0x000000ff00000016,
		[VMX_MSR_TRUE_PROCBASED_CTLS] = 0xfffbfffe04006172,
		[VMX_MSR_TRUE_EXIT_CTLS] = 0x7fffffff00036dfb,
		[VMX_MSR_TRUE_ENTRY_CTLS] = 0x007fffff000011fb,
		[VMX_MSR_PROCBASED_CTLS2] = 0xfffffffe00000000 | 1ull << 32,
		[VMX_MSR_PROCBASED_CTLS3] = 0x50,
		[VMX_MSR_EPT_VPID_CAP] = 0x00000f0106f341c1,
	},
	.cr4 = 0x01b716e0,
};

/* The lab's usual machine. */
static const struct sample lab_skylake_x = {
	.name = "corei7_skylake_x of the lab",
	.cpuid = {
		[VMX_LEAF_0] = { 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 },
		[VMX_LEAF_1] = { 0x00050654, 0x00010800, 0x7ffaf3bf, 0xbfebfbff },
		[VMX_LEAF_7_0] = { 0, 0xd19f27eb, 0, 0 },
		[VMX_LEAF_A] = { 0x07300404, 0, 0, 0x603 },
		[VMX_LEAF_D_1] = { 0xf, 0x980, 0, 0 },
		[VMX_LEAF_80000000] = { 0x80000008, 0, 0, 0 },
		[VMX_LEAF_80000001] = { 0, 0, 0x121, 0x2c100800 },
		[VMX_LEAF_80000008] = { 0x3028, 0x200, 0, 0 },
	},
	.msr = {
		[VMX_MSR_FEATURE_CONTROL] = 0x5,
		[VMX_MSR_BASIC] = 0x00d810000000002b,
		[VMX_MSR_PINBASED_CTLS] = 0x000000ff00000016,
		[VMX_MSR_PROCBASED_CTLS] = 0xfff9fffe0401e172,
		[VMX_MSR_EXIT_CTLS] = 0x007fefff00036dff,
		[VMX_MSR_ENTRY_CTLS] = 0x0000dfff000011ff,
		[VMX_MSR_MISC] = 0x00000000600401e0,
		[VMX_MSR_CR0_FIXED0] = 0x80000021,
		[VMX_MSR_CR0_FIXED1] = 0xffffffff,
		[VMX_MSR_CR4_FIXED0] = 0x2000,
		[VMX_MSR_CR4_FIXED1] = 0x3727ff,
		[VMX_MSR_TRUE_PINBASED_CTLS] = 0x000000ff00000016,
		[VMX_MSR_TRUE_PROCBASED_CTLS] = 0xfff9fffe04006172,
		[VMX_MSR_TRUE_EXIT_CTLS] = 0x007fefff00036dfb,
		[VMX_MSR_TRUE_ENTRY_CTLS] = 0x0000dfff000011fb,
		[VMX_MSR_PROCBASED_CTLS2] = 0x02577fff00000000,
		[VMX_MSR_EPT_VPID_CAP] = 0x00000f0106734141,
	},
	.cr4 = 0x3606e0,
};

/* The lab's newest: CET, PKS, user wait, 5-level paging, no switch of the performance counters. */
static const struct sample lab_sapphire_rapids = {
	.name = "sapphire_rapids of the lab",
	.cpuid = {
		[VMX_LEAF_0] = { 0x20, 0x756e6547, 0x6c65746e, 0x49656e69 },
		[VMX_LEAF_1] = { 0x000806f8, 0x00010800, 0x7ffef3bf, 0xbfebfbff },
		[VMX_LEAF_7_0] = { 2, 0xf1bf27eb, 0x98415ffe, 0xfc904410 },
		[VMX_LEAF_7_1] = { 0x1c30, 0, 0, 0 },
		[VMX_LEAF_A] = { 0x08300805, 0, 0xf, 0x8604 },
		[VMX_LEAF_D_1] = { 0xf, 0x998, 0x1800, 0 },
		[VMX_LEAF_80000000] = { 0x80000008, 0, 0, 0 },
		[VMX_LEAF_80000001] = { 0, 0, 0x121, 0x2c100800 },
		[VMX_LEAF_80000008] = { 0x3928, 0x200, 0, 0 },
	},
	.msr = {
		[VMX_MSR_FEATURE_CONTROL] = 0x5,
		[VMX_MSR_BASIC] = 0x01d8100000000004,
		[VMX_MSR_PINBASED_CTLS] = 0x000000ff00000016,
		[VMX_MSR_PROCBASED_CTLS] = 0xfffbfffe0401e172,
		[VMX_MSR_EXIT_CTLS] = 0xb07fefff00036dff,
		[VMX_MSR_ENTRY_CTLS] = 0x0050dfff000011ff,
		[VMX_MSR_MISC] = 0x00000000600401e0,
		[VMX_MSR_CR0_FIXED0] = 0x80000021,
		[VMX_MSR_CR0_FIXED1] = 0xffffffff,
		[VMX_MSR_CR4_FIXED0] = 0x2000,
		[VMX_MSR_CR4_FIXED1] = 0x1f73fff,
		[VMX_MSR_TRUE_PINBASED_CTLS] = 0x000000ff00000016,
		[VMX_MSR_TRUE_PROCBASED_CTLS] = 0xfffbfffe04006172,
		[VMX_MSR_TRUE_EXIT_CTLS] = 0xb07fefff00036dfb,
		[VMX_MSR_TRUE_ENTRY_CTLS] = 0x0050dfff000011fb,
		[VMX_MSR_PROCBASED_CTLS2] = 0x06d77fff00000000,
		[VMX_MSR_PROCBASED_CTLS3] = 0x80,
		[VMX_MSR_EPT_VPID_CAP] = 0x00000f0106f34141,
	},
	.cr4 = 0xf716e0,
};

static const struct sample *const samples[] = { &skylake, &lab_skylake_x, &lab_sapphire_rapids, &modern };

static inline void sample_cpuid(void *opaque, u32 leaf, u32 subleaf, u32 regs[VMX_REG_COUNT])
{
	const struct sample *sample = opaque;
	unsigned int i;

	for (i = 0; i < VMX_LEAF_COUNT; i++) {
		if (vmx_caps_leaves[i].leaf == leaf && vmx_caps_leaves[i].subleaf == subleaf)
			memcpy(regs, sample->cpuid[i], sizeof(sample->cpuid[i]));
	}
}

/* A register that is 0 in the sample is one that the CPU lacks. */
static inline bool sample_rdmsr(void *opaque, u32 msr, u64 *value)
{
	const struct sample *sample = opaque;
	unsigned int i;

	for (i = 0; i < VMX_MSR_COUNT; i++) {
		if (vmx_caps_msrs[i].index == msr)
			*value = sample->msr[i];
	}
	return *value != 0;
}

static inline void sample_read(const struct sample *sample, struct vmx_caps_input *input)
{
	const struct vmx_caps_reader reader = {
		.cpuid = sample_cpuid, .rdmsr = sample_rdmsr, .opaque = (void *)sample,
	};

	vmx_caps_read(input, &reader);
	input->cr_valid = true;
	input->cr0 = 0x80050033;
	input->cr4 = sample->cr4;
}

#endif
