// SPDX-License-Identifier: GPL-2.0-only
/* The table of VT-x features: consistent, each missing bit gives its own refusal, controls are allowed ones. */
#include "unit.h"
#include "caps_samples.h"
#include <stdio.h>

#define CR4_VMXE	(1ull << 13)

struct findings {
	unsigned int count[VMX_REFUSAL + 1];
	enum vmx_feature_id last[VMX_REFUSAL + 1];
	char text[VMX_CAPS_DESCRIPTION_SIZE];		/* of the last refusal */
};

static void collect(void *opaque, const struct vmx_caps_finding *found)
{
	struct findings *findings = opaque;

	assert_ptr_equal(found->feature, &vmx_features[found->id]);
	findings->count[found->severity]++;
	findings->last[found->severity] = found->id;
	if (found->severity == VMX_REFUSAL)
		vmx_caps_describe(found, findings->text, sizeof(findings->text));
}

static enum vmx_severity check(const struct vmx_caps_input *input, struct findings *findings)
{
	memset(findings, 0, sizeof(*findings));
	return vmx_caps_check(input, collect, findings);
}

static bool is_control_word(unsigned int word)
{
	return (word >= VMX_WORD_PIN && word <= VMX_WORD_ENTRY) || word == VMX_MSR_PROCBASED_CTLS2;
}

static void every_row_is_complete(void **state)
{
	unsigned int id, other;

	(void)state;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		const struct vmx_feature *feature = &vmx_features[id];

		assert_non_null(feature->name);
		assert_non_null(feature->problem);
		assert_int_not_equal(feature->holds.mask, 0);
		assert_int_equal(feature->holds.value & ~feature->holds.mask, 0);
		assert_true(feature->holds.word < VMX_WORD_COUNT);
		assert_true(feature->condition.word < VMX_WORD_COUNT);
		assert_int_equal(feature->condition.value & ~feature->condition.mask, 0);
		if (feature->need == VMX_REQUIRED_IF)
			assert_int_not_equal(feature->condition.mask, 0);
		if (feature->need == VMX_REQUIRED)
			assert_int_equal(feature->condition.mask, 0);
		for (other = id + 1; other < VMX_F_COUNT; other++)
			assert_false(feature->holds.word == vmx_features[other].holds.word &&
				     feature->holds.mask == vmx_features[other].holds.mask &&
				     feature->holds.value == vmx_features[other].holds.value);
	}
}

static void parents_come_first_and_rings_close(void **state)
{
	unsigned int id, other, steps;

	(void)state;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		assert_true(vmx_features[id].parent < id);
		if (!vmx_features[id].partner)
			continue;
		for (steps = 0, other = vmx_features[id].partner; other != id; other = vmx_features[other].partner) {
			assert_int_not_equal(other, VMX_F_NONE);
			assert_true(++steps < VMX_F_COUNT);
		}
	}
}

/* A row is used in the VMCS only if it is one control that may be 1. */
static void used_rows_are_controls(void **state)
{
	unsigned int id;

	(void)state;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		const struct vmx_fact *holds = &vmx_features[id].holds;

		if (vmx_features[id].use == VMX_USE_NOT || !is_control_word(holds->word))
			continue;
		assert_int_equal(holds->mask & 0xffffffff, 0);
		assert_int_equal(holds->mask & (holds->mask - 1), 0);
		assert_int_equal(holds->mask, holds->value);
	}
}

static void registers_are_read_after_what_announces_them(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < VMX_MSR_COUNT; i++) {
		unsigned int word = vmx_caps_msrs[i].exists.word;

		assert_non_null(vmx_caps_msrs[i].name);
		assert_int_not_equal(vmx_caps_msrs[i].exists.mask, 0);
		if (word < VMX_MSR_COUNT)
			assert_true(word < i);
	}
}

static void samples_pass(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		sample_read(samples[i], &input);
		if (check(&input, &findings) != VMX_NOTE)
			fail_msg("%s: %s", samples[i]->name, findings.text);
		assert_int_equal(findings.count[VMX_UNKNOWN], 0);
	}
	assert_int_equal(findings.count[VMX_NOTE], 0);	/* the last one has everything */
}

/* Where a word comes from in the input; NULL for what has no place of its own. */
static u64 *place_of(struct vmx_caps_input *input, unsigned int word)
{
	switch (word) {
	case VMX_WORD_PIN:
		return &input->msr[VMX_MSR_TRUE_PINBASED_CTLS];
	case VMX_WORD_PROC:
		return &input->msr[VMX_MSR_TRUE_PROCBASED_CTLS];
	case VMX_WORD_EXIT:
		return &input->msr[VMX_MSR_TRUE_EXIT_CTLS];
	case VMX_WORD_ENTRY:
		return &input->msr[VMX_MSR_TRUE_ENTRY_CTLS];
	case VMX_WORD_FEATURE_CONTROL:
		return &input->msr[VMX_MSR_FEATURE_CONTROL];
	case VMX_WORD_CR4:
	case VMX_WORD_VMXE:
		return &input->cr4;
	default:
		return word < VMX_MSR_COUNT ? &input->msr[word] : NULL;
	}
}

/* Makes the row's statement false, and nothing else if it is about bits of its own. */
static void spoil(struct vmx_caps_input *input, const struct vmx_fact *fact)
{
	u64 lowest = fact->mask & -fact->mask;
	u64 *place = place_of(input, fact->word);

	if (place) {
		*place ^= lowest;
	} else if (fact->word == VMX_WORD_CR0_CONFLICT) {
		input->cr0 |= 1ull << 40;
	} else if (fact->word == VMX_WORD_CR4_CONFLICT) {
		input->cr4 |= 1ull << 40;
	} else {
		unsigned int reg = fact->word - VMX_WORD_CPUID;

		input->cpuid[reg / VMX_REG_COUNT][reg % VMX_REG_COUNT] ^= (u32)lowest;
	}
}

static void each_missing_bit_gives_its_own_finding(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;
	unsigned int id;

	(void)state;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		bool optional = vmx_features[id].need == VMX_OPTIONAL;
		enum vmx_severity severity = optional ? VMX_NOTE : VMX_REFUSAL;

		sample_read(&modern, &input);
		spoil(&input, &vmx_features[id].holds);
		if (vmx_caps_state(&input, id) != VMX_STATE_LACKING)
			fail_msg("%s: state %d", vmx_features[id].name, vmx_caps_state(&input, id));
		assert_int_equal(check(&input, &findings), severity);
		if (id == VMX_F_NO_FRED)
			findings.count[VMX_REFUSAL]--;	/* this CPU does not know the bit: CR4 is in conflict too */
		if (findings.count[severity] != 1 || (findings.last[severity] != id && id != VMX_F_NO_FRED))
			fail_msg("%s: %u findings, the last one %s", vmx_features[id].name, findings.count[severity],
				 vmx_features[findings.last[severity]].name);
		assert_int_equal(findings.count[VMX_UNKNOWN], 0);
		if (!optional)
			assert_memory_equal(findings.text, vmx_features[findings.last[severity]].name,
					    strlen(vmx_features[findings.last[severity]].name));
	}
}

/* What only some CPUs have is required only of these. */
static void conditions_are_obeyed(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;
	unsigned int id;

	(void)state;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		if (!vmx_features[id].condition.mask)
			continue;
		sample_read(&modern, &input);
		spoil(&input, &vmx_features[id].holds);
		spoil(&input, &vmx_features[id].condition);
		assert_int_equal(vmx_caps_state(&input, id), VMX_STATE_NOT_APPLICABLE);
		/* CET and PKRS have two controls, each of which is required by the same condition. */
		assert_int_equal(check(&input, &findings), VMX_NOTE);
		assert_int_equal(findings.count[VMX_NOTE], 0);
	}
}

static void assert_allowed(u32 value, u64 capability)
{
	assert_int_equal((u32)capability & ~value, 0);			/* bits 31:0 must be 1 */
	assert_int_equal(value & ~(u32)(capability >> 32), 0);		/* bits 63:32 may be 1 */
}

static void controls_are_allowed(void **state)
{
	struct vmx_controls controls;
	struct vmx_caps_input input;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		sample_read(samples[i], &input);
		assert_true(vmx_caps_controls(&input, &controls));
		assert_allowed(controls.pin, input.msr[VMX_MSR_TRUE_PINBASED_CTLS]);
		assert_allowed(controls.proc, input.msr[VMX_MSR_TRUE_PROCBASED_CTLS]);
		assert_allowed(controls.proc2, input.msr[VMX_MSR_PROCBASED_CTLS2]);
		assert_allowed(controls.exit, input.msr[VMX_MSR_TRUE_EXIT_CTLS]);
		assert_allowed(controls.entry, input.msr[VMX_MSR_TRUE_ENTRY_CTLS]);
		assert_int_equal(controls.proc3, 0);
		assert_int_equal(controls.cr0_fixed0, 0x80000021);
		assert_int_equal(controls.cr0_guest_fixed0, 0x20);
		assert_int_equal(controls.cr4_fixed0, CR4_VMXE);
	}
}

/* Bit by bit, by hand from the SDM: a control too many is an exit too many. */
static void controls_are_these(void **state)
{
	struct vmx_controls controls;
	struct vmx_caps_input input;

	(void)state;
	sample_read(&skylake, &input);
	assert_true(vmx_caps_controls(&input, &controls));
	assert_int_equal(controls.pin, 0x16 | 1 << 3 | 1 << 5);
	assert_int_equal(controls.proc, 0x04006172 | 1 << 28 | 1u << 31);
	assert_int_equal(controls.proc2, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 12 | 1 << 20);
	assert_int_equal(controls.exit, 0x36dfb | 1 << 2 | 1 << 9 | 0xf << 18);
	assert_int_equal(controls.entry, 0x11fb | 1 << 2 | 1 << 9 | 3 << 14);

	sample_read(&lab_sapphire_rapids, &input);
	assert_true(vmx_caps_controls(&input, &controls));
	assert_int_equal(controls.proc2, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 12 | 1 << 20 | 1 << 26);
	assert_int_equal(controls.exit, 0x36dfb | 1 << 2 | 1 << 9 | 0xf << 18 | 1 << 28 | 1 << 29);
	assert_int_equal(controls.entry, 0x11fb | 1 << 2 | 1 << 9 | 3 << 14 | 1 << 20 | 1 << 22);

	sample_read(&modern, &input);
	assert_true(vmx_caps_controls(&input, &controls));
	assert_int_equal(controls.proc2, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 12 | 1 << 20 | 1 << 26 | 1 << 27);
	assert_int_equal(controls.exit, 0x36dfb | 1 << 2 | 1 << 9 | 0xf << 18 | 1 << 12 | 1 << 28 | 1 << 29 | 1 << 30);
	assert_int_equal(controls.entry, 0x11fb | 1 << 2 | 1 << 9 | 3 << 14 | 1 << 13 | 1 << 20 | 1 << 22);
}

static void instructions_that_cpuid_hides_stay_off(void **state)
{
	struct vmx_controls controls;
	struct vmx_caps_input input;

	(void)state;
	sample_read(&modern, &input);
	input.cpuid[VMX_LEAF_7_0][VMX_ECX] &= ~(1u << 5);
	assert_true(vmx_caps_controls(&input, &controls));
	assert_int_equal(controls.proc2 & 1 << 26, 0);
	assert_int_equal(controls.proc2 & 1 << 27, 1 << 27);
}

/* The guest's counters must not be loaded at entries if exits do not save them. */
static void rings_are_used_whole_or_not_at_all(void **state)
{
	static const enum vmx_feature_id ring[] = {
		VMX_F_EXIT_LOAD_PERF, VMX_F_EXIT_SAVE_PERF, VMX_F_ENTRY_LOAD_PERF,
	};
	struct vmx_controls controls;
	struct vmx_caps_input input;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ring); i++) {
		sample_read(&modern, &input);
		spoil(&input, &vmx_features[ring[i]].holds);
		assert_true(vmx_caps_controls(&input, &controls));
		assert_int_equal(controls.exit & (1 << 12 | 1 << 30), 0);
		assert_int_equal(controls.entry & 1 << 13, 0);
		assert_int_equal(controls.exit & 1 << 28, 1 << 28);
	}
}

/*
 * A control that is forced to 1 is tolerated only if it is of class default1 and means nothing (SDM A.2), or if it is
 * one that the service wants anyway.
 */
static void forced_controls_are_noticed(void **state)
{
	static const struct {
		enum vmx_caps_msr msr;
		u32 tolerated;
	} rows[] = {
		{ VMX_MSR_TRUE_PINBASED_CTLS, 0x16 | 1 << 3 | 1 << 5 },
		{ VMX_MSR_TRUE_PROCBASED_CTLS, 0x04006172 | 1 << 28 | 1u << 31 },
		{ VMX_MSR_TRUE_EXIT_CTLS, 0x00036dff | 1 << 9 | 0xf << 18 },
		{ VMX_MSR_TRUE_ENTRY_CTLS, 0x000011ff | 1 << 9 | 3 << 14 },
	};
	struct vmx_caps_input input;
	struct findings findings;
	unsigned int i, bit;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		for (bit = 0; bit < 32; bit++) {
			bool tolerated = rows[i].tolerated & 1u << bit;

			sample_read(&modern, &input);
			input.msr[rows[i].msr] |= 1ull << bit;
			if (check(&input, &findings) != (tolerated ? VMX_NOTE : VMX_REFUSAL) ||
			    findings.count[VMX_REFUSAL] != !tolerated)
				fail_msg("%s[%u]: %u refusals", vmx_caps_msrs[rows[i].msr].name, bit,
					 findings.count[VMX_REFUSAL]);
		}
	}
}

static void refused_cpus_get_no_controls(void **state)
{
	struct vmx_controls controls, before;
	struct vmx_caps_input input;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	controls = before;
	sample_read(&skylake, &input);
	spoil(&input, &vmx_features[VMX_F_EPT].holds);
	assert_false(vmx_caps_controls(&input, &controls));
	assert_memory_equal(&controls, &before, sizeof(before));
}

/* Before "true" controls, exits on CR3 accesses could not be switched off. */
static void old_cpus_are_refused_for_cr3_exits(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;

	(void)state;
	sample_read(&skylake, &input);
	input.msr[VMX_MSR_BASIC] &= ~(1ull << 55);
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	assert_int_equal(findings.count[VMX_REFUSAL], 2);
	assert_int_equal(findings.last[VMX_REFUSAL], VMX_F_NO_CR3_STORE_EXITING);
	assert_string_equal(findings.text, "CR3-store exiting cannot be switched off (IA32_VMX_PROCBASED_CTLS[16]): "
			    "an outer hypervisor insists on seeing these events: AVMM needs one that does not");
}

static void feature_control(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;

	(void)state;
	sample_read(&skylake, &input);
	input.msr[VMX_MSR_FEATURE_CONTROL] = 0;		/* left to the first who needs it */
	assert_int_equal(check(&input, &findings), VMX_NOTE);
	assert_int_equal(vmx_caps_state(&input, VMX_F_FEATURE_CONTROL_LOCK), VMX_STATE_LACKING);
	input.msr[VMX_MSR_FEATURE_CONTROL] = 1;		/* locked off */
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	assert_int_equal(findings.count[VMX_REFUSAL], 1);
	assert_int_equal(findings.last[VMX_REFUSAL], VMX_F_FEATURE_CONTROL);
	input.msr[VMX_MSR_FEATURE_CONTROL] = 3;		/* for measured launches only */
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	input.msr[VMX_MSR_FEATURE_CONTROL] = 4;		/* not locked */
	assert_int_equal(check(&input, &findings), VMX_NOTE);
}

static void the_owner_of_vmx_is_named(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;

	(void)state;
	sample_read(&skylake, &input);
	input.vmx_owner = "kvm_intel";
	assert_int_equal(check(&input, &findings), VMX_NOTE);	/* it is loaded but does not hold VMX */
	input.cr4 |= CR4_VMXE;
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	assert_non_null(strstr(findings.text, "VMX operation is in use by kvm_intel (CR4[13]): "));
	assert_non_null(strstr(findings.text, "rmmod kvm_intel"));
	assert_non_null(strstr(findings.text, "kvm.enable_virt_at_load=0"));
	input.vmx_owner = NULL;
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	assert_non_null(strstr(findings.text, "VMX operation is in use by another hypervisor (CR4[13]): "));
}

/* In userspace: no control registers, an owner known by other means. */
static void without_control_registers(void **state)
{
	struct vmx_caps_input input;
	struct findings findings;

	(void)state;
	sample_read(&skylake, &input);
	input.cr_valid = false;
	assert_int_equal(check(&input, &findings), VMX_NOTE);
	assert_int_equal(findings.count[VMX_UNKNOWN], 0);
	assert_int_equal(vmx_caps_state(&input, VMX_F_NO_SMXE), VMX_STATE_UNKNOWN);
	input.vmx_owner = "kvm_intel";
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	assert_int_equal(findings.count[VMX_REFUSAL], 1);
	assert_int_equal(findings.last[VMX_REFUSAL], VMX_F_VMXE_FREE);
}

static bool no_rdmsr(void *opaque, u32 msr, u64 *value)
{
	(void)opaque;
	(void)msr;
	(void)value;
	return false;
}

static void without_msrs_nothing_is_known(void **state)
{
	const struct vmx_caps_reader reader = {
		.cpuid = sample_cpuid, .rdmsr = no_rdmsr, .opaque = (void *)&skylake,
	};
	struct vmx_controls controls;
	struct vmx_caps_input input;
	struct findings findings;

	(void)state;
	vmx_caps_read(&input, &reader);
	assert_int_equal(check(&input, &findings), VMX_UNKNOWN);
	assert_int_equal(findings.count[VMX_REFUSAL], 0);
	assert_true(findings.count[VMX_UNKNOWN] > 10);
	assert_int_equal(vmx_caps_state(&input, VMX_F_EPT_1G), VMX_STATE_UNKNOWN);
	assert_false(vmx_caps_controls(&input, &controls));
}

/* The one thing that is said about a machine without VT-x. No MSR is touched there. */
static bool must_not_rdmsr(void *opaque, u32 msr, u64 *value)
{
	(void)opaque;
	(void)value;
	fail_msg("MSR %#x was read", msr);
	return false;
}

static void without_vmx(void **state)
{
	struct sample amd = {
		.cpuid = {
			[VMX_LEAF_0] = { 0xd, 0x68747541, 0x444d4163, 0x69746e65 },
			[VMX_LEAF_1] = { 0x00800f11, 0x00100800, 0x7ed8320b, 0x178bfbff },
			[VMX_LEAF_80000000] = { 0x8000001f, 0x68747541, 0x444d4163, 0x69746e65 },
			[VMX_LEAF_80000001] = { 0x00800f11, 0x70000000, 0x35c233ff, 0x2fd3fbff },
		},
	};
	const struct vmx_caps_reader reader = { .cpuid = sample_cpuid, .rdmsr = must_not_rdmsr, .opaque = &amd };
	struct vmx_caps_input input;
	struct findings findings;

	(void)state;
	vmx_caps_read(&input, &reader);
	assert_int_equal(check(&input, &findings), VMX_REFUSAL);
	assert_int_equal(findings.count[VMX_REFUSAL], 1);
	assert_int_equal(findings.count[VMX_NOTE] + findings.count[VMX_UNKNOWN], 0);
	assert_string_equal(findings.text, "VMX is missing (CPUID.01H.0:ECX[5]): AVMM needs an Intel CPU with VT-x; "
			    "in a virtual machine, one whose host offers nested VT-x");
}

/* A CPU answers leaves beyond its highest with the highest one's data. */
static void echo_cpuid(void *opaque, u32 leaf, u32 subleaf, u32 regs[VMX_REG_COUNT])
{
	(void)opaque;
	(void)subleaf;
	memset(regs, 0xff, VMX_REG_COUNT * sizeof(*regs));
	if (leaf == 0)
		regs[VMX_EAX] = 0x5;
	if (leaf == 0x80000000)
		regs[VMX_EAX] = 0x80000001;
}

static void leaves_beyond_the_highest_are_not_read(void **state)
{
	const struct vmx_caps_reader reader = { .cpuid = echo_cpuid, .rdmsr = no_rdmsr };
	struct vmx_caps_input input;

	(void)state;
	vmx_caps_read(&input, &reader);
	assert_int_equal(input.cpuid[VMX_LEAF_1][VMX_ECX], 0xffffffff);
	assert_int_equal(input.cpuid[VMX_LEAF_7_0][VMX_ECX], 0);
	assert_int_equal(input.cpuid[VMX_LEAF_7_1][VMX_EAX], 0);
	assert_int_equal(input.cpuid[VMX_LEAF_80000001][VMX_EDX], 0xffffffff);
	assert_int_equal(input.cpuid[VMX_LEAF_80000008][VMX_EAX], 0);
}

static void texts_fit_and_are_cut_safely(void **state)
{
	struct vmx_caps_finding finding = { .severity = VMX_REFUSAL };
	char text[VMX_CAPS_DESCRIPTION_SIZE], cut[16];
	struct vmx_caps_input input;
	unsigned int id;
	size_t len;

	(void)state;
	sample_read(&modern, &input);
	input.vmx_owner = "kvm_intel (in use, 123456789 users)";
	finding.input = &input;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		finding.id = id;
		finding.feature = &vmx_features[id];
		len = vmx_caps_describe(&finding, text, sizeof(text));
		assert_int_equal(len, strlen(text));
		assert_true(len < sizeof(text) - 1);
		assert_null(strstr(text, "(null)"));
		assert_int_equal(vmx_caps_describe(&finding, cut, sizeof(cut)), sizeof(cut) - 1);
		assert_memory_equal(cut, text, sizeof(cut) - 1);
		assert_int_equal(cut[sizeof(cut) - 1], '\0');
	}
}

static void places_are_written_as_in_the_manual(void **state)
{
	static const struct {
		enum vmx_feature_id id;
		const char *where;
	} rows[] = {
		{ VMX_F_EPT, "IA32_VMX_PROCBASED_CTLS2[33]" },
		{ VMX_F_VMCS_WB, "IA32_VMX_BASIC[53:50]" },
		{ VMX_F_NMI_EXITING, "IA32_VMX_TRUE_PINBASED_CTLS[35]" },
		{ VMX_F_NOT_NESTED, "CPUID.01H.0:ECX[31]" },
		{ VMX_F_NO_FRED, "CR4[32]" },
		{ VMX_F_CR4_ALLOWED, "CR4[40,41]" },
		{ VMX_F_PIN_FORCED, "IA32_VMX_TRUE_PINBASED_CTLS[7]" },
		{ VMX_F_FEATURE_CONTROL, "IA32_FEATURE_CONTROL[2]" },
	};
	struct vmx_caps_input input;
	char where[96];
	unsigned int i;

	(void)state;
	sample_read(&modern, &input);
	input.cr4 |= 3ull << 40;
	input.msr[VMX_MSR_TRUE_PINBASED_CTLS] |= 1 << 7;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		vmx_caps_where(&input, rows[i].id, where, sizeof(where));
		assert_string_equal(where, rows[i].where);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_complete),
		cmocka_unit_test(parents_come_first_and_rings_close),
		cmocka_unit_test(used_rows_are_controls),
		cmocka_unit_test(registers_are_read_after_what_announces_them),
		cmocka_unit_test(samples_pass),
		cmocka_unit_test(each_missing_bit_gives_its_own_finding),
		cmocka_unit_test(conditions_are_obeyed),
		cmocka_unit_test(controls_are_allowed),
		cmocka_unit_test(controls_are_these),
		cmocka_unit_test(instructions_that_cpuid_hides_stay_off),
		cmocka_unit_test(rings_are_used_whole_or_not_at_all),
		cmocka_unit_test(forced_controls_are_noticed),
		cmocka_unit_test(refused_cpus_get_no_controls),
		cmocka_unit_test(old_cpus_are_refused_for_cr3_exits),
		cmocka_unit_test(feature_control),
		cmocka_unit_test(the_owner_of_vmx_is_named),
		cmocka_unit_test(without_control_registers),
		cmocka_unit_test(without_msrs_nothing_is_known),
		cmocka_unit_test(without_vmx),
		cmocka_unit_test(leaves_beyond_the_highest_are_not_read),
		cmocka_unit_test(texts_fit_and_are_cut_safely),
		cmocka_unit_test(places_are_written_as_in_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
