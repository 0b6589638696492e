// SPDX-License-Identifier: GPL-2.0-only
/* Reads a CPU's VT-x capabilities and judges them by the table in features.c. Has no state. */
#include "caps.h"

#define CR4_VMXE			(1ull << 13)
#define CR0_PE_PG			((1ull << 0) | (1ull << 31))
#define FEATURE_CONTROL_LOCK		(1ull << 0)
#define FEATURE_CONTROL_VMX		(1ull << 2)
#define BASIC_TRUE_CTLS			(1ull << 55)

enum truth { NO, YES, DONT_KNOW };

static bool get_msr(const struct vmx_caps_input *input, unsigned int msr, u64 *value)
{
	*value = input->msr[msr];
	return input->msr_valid[msr];
}

/* The TRUE register of a set of controls where IA32_VMX_BASIC[55] says that there is one: SDM A.2. */
static enum vmx_caps_msr control_msr(const struct vmx_caps_input *input, unsigned int word)
{
	bool has_true = input->msr[VMX_MSR_BASIC] & BASIC_TRUE_CTLS;

	switch (word) {
	case VMX_WORD_PIN:
		return has_true ? VMX_MSR_TRUE_PINBASED_CTLS : VMX_MSR_PINBASED_CTLS;
	case VMX_WORD_PROC:
		return has_true ? VMX_MSR_TRUE_PROCBASED_CTLS : VMX_MSR_PROCBASED_CTLS;
	case VMX_WORD_EXIT:
		return has_true ? VMX_MSR_TRUE_EXIT_CTLS : VMX_MSR_EXIT_CTLS;
	default:
		return has_true ? VMX_MSR_TRUE_ENTRY_CTLS : VMX_MSR_ENTRY_CTLS;
	}
}

static u64 conflict(u64 value, u64 fixed0, u64 fixed1)
{
	return (fixed0 & ~value) | (value & ~fixed1);
}

static bool get_control_register(const struct vmx_caps_input *input, unsigned int word, u64 *value)
{
	const u64 *msr = input->msr;
	const bool *valid = input->msr_valid;

	switch (word) {
	case VMX_WORD_CR4:
		*value = input->cr4;
		return input->cr_valid;
	case VMX_WORD_VMXE:
		/* Who cannot see the register may know who holds VMX; who can, trusts it. */
		*value = input->cr_valid ? input->cr4 & CR4_VMXE : CR4_VMXE;
		return input->cr_valid || input->vmx_owner;
	case VMX_WORD_CR0_CONFLICT:
		*value = conflict(input->cr0, msr[VMX_MSR_CR0_FIXED0], msr[VMX_MSR_CR0_FIXED1]);
		return input->cr_valid && valid[VMX_MSR_CR0_FIXED0] && valid[VMX_MSR_CR0_FIXED1];
	default:
		*value = conflict(input->cr4 | CR4_VMXE, msr[VMX_MSR_CR4_FIXED0], msr[VMX_MSR_CR4_FIXED1]);
		return input->cr_valid && valid[VMX_MSR_CR4_FIXED0] && valid[VMX_MSR_CR4_FIXED1];
	}
}

/* Returns false where the word is not known. */
static bool get_word(const struct vmx_caps_input *input, unsigned int word, u64 *value)
{
	bool known;

	if (word < VMX_MSR_COUNT)
		return get_msr(input, word, value);

	switch (word) {
	case VMX_WORD_PIN:
	case VMX_WORD_PROC:
	case VMX_WORD_EXIT:
	case VMX_WORD_ENTRY:
		return get_msr(input, control_msr(input, word), value);
	case VMX_WORD_FEATURE_CONTROL:
		known = get_msr(input, VMX_MSR_FEATURE_CONTROL, value);
		if (!(*value & FEATURE_CONTROL_LOCK))
			*value |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
		return known;
	case VMX_WORD_CR4:
	case VMX_WORD_VMXE:
	case VMX_WORD_CR0_CONFLICT:
	case VMX_WORD_CR4_CONFLICT:
		return get_control_register(input, word, value);
	default:
		word -= VMX_WORD_CPUID;
		*value = input->cpuid[word / VMX_REG_COUNT][word % VMX_REG_COUNT];
		return true;
	}
}

static enum truth judge(const struct vmx_caps_input *input, const struct vmx_fact *fact)
{
	u64 value;

	if (!get_word(input, fact->word, &value))
		return DONT_KNOW;
	return (value & fact->mask) == fact->value ? YES : NO;
}

/* The CPU's highest leaf of either range stands in EAX of the range's first. */
static bool leaf_exists(const struct vmx_caps_input *input, unsigned int i)
{
	const struct vmx_caps_leaf_info *info = &vmx_caps_leaves[i];
	enum vmx_caps_leaf first = info->leaf & 0x80000000u ? VMX_LEAF_80000000 : VMX_LEAF_0;

	if (i == first)
		return true;
	if (info->leaf > input->cpuid[first][VMX_EAX])
		return false;
	if (i == VMX_LEAF_7_1 && input->cpuid[VMX_LEAF_7_0][VMX_EAX] < 1)
		return false;
	return !info->exists.mask || judge(input, &info->exists) == YES;
}

void vmx_caps_read(struct vmx_caps_input *input, const struct vmx_caps_reader *reader)
{
	const struct vmx_caps_input clear = { .cr_valid = false };
	unsigned int i;

	*input = clear;
	for (i = 0; i < VMX_LEAF_COUNT; i++) {
		const struct vmx_caps_leaf_info *info = &vmx_caps_leaves[i];

		if (leaf_exists(input, i))
			reader->cpuid(reader->opaque, info->leaf, info->subleaf, input->cpuid[i]);
	}

	/* In the table's order: a register is above those that tell whether it exists. */
	for (i = 0; i < VMX_MSR_COUNT; i++) {
		if (judge(input, &vmx_caps_msrs[i].exists) == YES)
			input->msr_valid[i] = reader->rdmsr(reader->opaque, vmx_caps_msrs[i].index, &input->msr[i]);
	}
}

/* The state of a row whose parent is OK. */
static enum vmx_state own_state(const struct vmx_caps_input *input, const struct vmx_feature *feature)
{
	enum truth holds = judge(input, &feature->holds);

	if (feature->condition.mask && holds != YES) {
		switch (judge(input, &feature->condition)) {
		case NO:
			return VMX_STATE_NOT_APPLICABLE;
		case DONT_KNOW:
			return VMX_STATE_UNKNOWN;
		case YES:
			break;
		}
	}

	switch (holds) {
	case YES:
		return VMX_STATE_OK;
	case NO:
		return VMX_STATE_LACKING;
	default:
		return VMX_STATE_UNKNOWN;
	}
}

/* Chains of parents end at VMX_F_NONE: a test sees to it. */
static enum vmx_state parents_state(const struct vmx_caps_input *input, enum vmx_feature_id id)
{
	enum vmx_state result = VMX_STATE_OK;

	for (id = vmx_features[id].parent; id != VMX_F_NONE; id = vmx_features[id].parent) {
		enum vmx_state state = own_state(input, &vmx_features[id]);

		if (state == VMX_STATE_UNKNOWN)
			result = VMX_STATE_UNKNOWN;
		else if (state != VMX_STATE_OK)
			return VMX_STATE_NOT_APPLICABLE;
	}
	return result;
}

enum vmx_state vmx_caps_state(const struct vmx_caps_input *input, enum vmx_feature_id id)
{
	enum vmx_state state = parents_state(input, id);

	return state == VMX_STATE_OK ? own_state(input, &vmx_features[id]) : state;
}

static bool about_control_register(const struct vmx_fact *fact)
{
	return fact->mask && fact->word >= VMX_WORD_CR4 && fact->word <= VMX_WORD_CR4_CONFLICT;
}

/* Control registers are seen in the kernel only; elsewhere what hangs on them is not worth a finding. */
static bool is_beyond_us(const struct vmx_caps_input *input, const struct vmx_feature *feature)
{
	return !input->cr_valid &&
	       (about_control_register(&feature->holds) || about_control_register(&feature->condition));
}

/* Returns false where there is nothing to say about a row. */
static bool find(const struct vmx_caps_input *input, enum vmx_feature_id id, enum vmx_severity *severity)
{
	const struct vmx_feature *feature = &vmx_features[id];

	switch (vmx_caps_state(input, id)) {
	case VMX_STATE_LACKING:
		*severity = feature->need == VMX_OPTIONAL ? VMX_NOTE : VMX_REFUSAL;
		return true;
	case VMX_STATE_UNKNOWN:
		if (is_beyond_us(input, feature) || parents_state(input, id) == VMX_STATE_UNKNOWN)
			return false;
		*severity = VMX_UNKNOWN;
		return true;
	default:
		return false;
	}
}

enum vmx_severity vmx_caps_check(const struct vmx_caps_input *input, vmx_caps_report report, void *opaque)
{
	enum vmx_severity verdict = VMX_NOTE;
	unsigned int id;

	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		struct vmx_caps_finding finding = { .id = id, .feature = &vmx_features[id], .input = input };

		if (!find(input, id, &finding.severity))
			continue;
		if (report)
			report(opaque, &finding);
		if (finding.severity > verdict && finding.feature->need != VMX_OPTIONAL)
			verdict = finding.severity;
	}
	return verdict;
}

/* Controls of a ring are set together or not at all. */
static bool ring_is_complete(const struct vmx_caps_input *input, enum vmx_feature_id id)
{
	enum vmx_feature_id other = vmx_features[id].partner;

	while (other != id && other != VMX_F_NONE) {
		if (!vmx_caps_has(input, other))
			return false;
		other = vmx_features[other].partner;
	}
	return true;
}

static bool is_used(const struct vmx_caps_input *input, enum vmx_feature_id id)
{
	const struct vmx_feature *feature = &vmx_features[id];

	if (feature->use == VMX_USE_NOT || !vmx_caps_has(input, id) || !ring_is_complete(input, id))
		return false;
	if (feature->use == VMX_USE_IF_THERE || !feature->condition.mask)
		return true;
	return judge(input, &feature->condition) == YES;
}

/* Bits that must be 1, and those of the used rows; vmx_caps_check() made sure that all of them may be 1. */
static u32 controls_of(const struct vmx_caps_input *input, unsigned int word)
{
	unsigned int id;
	u64 capability;
	u32 value;

	if (!get_word(input, word, &capability))
		return 0;
	value = (u32)capability;
	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		const struct vmx_fact *holds = &vmx_features[id].holds;

		if (holds->word == word && is_used(input, id))
			value |= (u32)(holds->mask >> 32);
	}
	return value;
}

bool vmx_caps_controls(const struct vmx_caps_input *input, struct vmx_controls *out)
{
	if (vmx_caps_check(input, NULL, NULL) != VMX_NOTE)
		return false;

	out->pin = controls_of(input, VMX_WORD_PIN);
	out->proc = controls_of(input, VMX_WORD_PROC);
	out->proc2 = controls_of(input, VMX_MSR_PROCBASED_CTLS2);
	out->proc3 = 0;
	out->exit = controls_of(input, VMX_WORD_EXIT);
	out->entry = controls_of(input, VMX_WORD_ENTRY);
	out->cr0_fixed0 = input->msr[VMX_MSR_CR0_FIXED0];
	out->cr0_fixed1 = input->msr[VMX_MSR_CR0_FIXED1];
	out->cr0_guest_fixed0 = out->cr0_fixed0 & ~CR0_PE_PG;
	out->cr4_fixed0 = input->msr[VMX_MSR_CR4_FIXED0];
	out->cr4_fixed1 = input->msr[VMX_MSR_CR4_FIXED1];
	return true;
}

/* A text that grows in a buffer of fixed size; what does not fit is cut. */
struct text {
	char *buf;
	size_t size;
	size_t len;
};

static void add_char(struct text *text, char c)
{
	if (text->len + 1 >= text->size)
		return;
	text->buf[text->len++] = c;
	text->buf[text->len] = '\0';
}

static void add(struct text *text, const char *s)
{
	while (*s)
		add_char(text, *s++);
}

static void add_number(struct text *text, u32 value, u32 base)
{
	if (value >= base)
		add_number(text, value / base, base);
	add_char(text, "0123456789ABCDEF"[value % base]);
}

/* As the SDM writes it: CPUID.07H.0:ECX. */
static void add_cpuid(struct text *text, unsigned int word)
{
	static const char *const regs[VMX_REG_COUNT] = { "EAX", "EBX", "ECX", "EDX" };
	const struct vmx_caps_leaf_info *leaf = &vmx_caps_leaves[(word - VMX_WORD_CPUID) / VMX_REG_COUNT];

	add(text, "CPUID.");
	if (leaf->leaf < 16)
		add_char(text, '0');
	add_number(text, leaf->leaf, 16);
	add(text, "H.");
	add_number(text, leaf->subleaf, 10);
	add_char(text, ':');
	add(text, regs[(word - VMX_WORD_CPUID) % VMX_REG_COUNT]);
}

static void add_word(struct text *text, const struct vmx_caps_input *input, unsigned int word)
{
	switch (word) {
	case VMX_WORD_PIN:
	case VMX_WORD_PROC:
	case VMX_WORD_EXIT:
	case VMX_WORD_ENTRY:
		add(text, vmx_caps_msrs[control_msr(input, word)].name);
		break;
	case VMX_WORD_FEATURE_CONTROL:
		add(text, vmx_caps_msrs[VMX_MSR_FEATURE_CONTROL].name);
		break;
	case VMX_WORD_CR4:
	case VMX_WORD_VMXE:
	case VMX_WORD_CR4_CONFLICT:
		add(text, "CR4");
		break;
	case VMX_WORD_CR0_CONFLICT:
		add(text, "CR0");
		break;
	default:
		if (word < VMX_MSR_COUNT)
			add(text, vmx_caps_msrs[word].name);
		else
			add_cpuid(text, word);
	}
}

/* [high:low], [bit], or for bits that have no name: those that are wrong, [bit,bit]. */
static void add_bits(struct text *text, u64 bits, bool range)
{
	unsigned int bit, low = 64, high = 0;

	add_char(text, '[');
	for (bit = 0; bit < 64; bit++) {
		if (!(bits & (1ull << bit)))
			continue;
		if (low != 64 && !range)
			add_char(text, ',');
		if (!range)
			add_number(text, bit, 10);
		if (low == 64)
			low = bit;
		high = bit;
	}
	if (range) {
		add_number(text, high, 10);
		add_char(text, ':');
		add_number(text, low, 10);
	}
	add_char(text, ']');
}

static void add_where(struct text *text, const struct vmx_caps_input *input, const struct vmx_fact *fact)
{
	u64 bits = fact->mask, value = 0;
	bool single = !(bits & (bits - 1));
	bool catch_all = !single && !fact->value;

	add_word(text, input, fact->word);
	if (catch_all)
		bits &= get_word(input, fact->word, &value) ? value : 0;
	if (bits)
		add_bits(text, bits, !single && !catch_all);
}

size_t vmx_caps_where(const struct vmx_caps_input *input, enum vmx_feature_id id, char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };

	add_where(&text, input, &vmx_features[id].holds);
	return text.len;
}

size_t vmx_caps_describe(const struct vmx_caps_finding *finding, char *buf, size_t size)
{
	const struct vmx_feature *feature = finding->feature;
	struct text text = { .buf = buf, .size = size };

	add(&text, feature->name);
	add_char(&text, ' ');
	add(&text, finding->severity == VMX_UNKNOWN ? "could not be read" : feature->problem);
	if (finding->id == VMX_F_VMXE_FREE) {
		add(&text, " by ");
		add(&text, finding->input->vmx_owner ? finding->input->vmx_owner : "another hypervisor");
	}
	add(&text, " (");
	add_where(&text, finding->input, &feature->holds);
	add_char(&text, ')');
	if (feature->advice && finding->severity != VMX_UNKNOWN) {
		add(&text, ": ");
		add(&text, feature->advice);
	}
	return text.len;
}
