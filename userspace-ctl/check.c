// SPDX-License-Identifier: GPL-2.0-only
/*
 * avmmctl check: the table of vmx/caps, asked for each CPU. CPUs are mostly alike, so what they have in common is
 * said once, with the list of CPUs.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <avmm/boot.h>
#include "avmmctl.h"
#include "hardware.h"

#define FINDINGS_MAX	(4 * VMX_F_COUNT)

/* The same thing said about some CPUs. */
struct finding {
	enum vmx_feature_id id;
	enum vmx_severity severity;
	bool cpu[AVMM_MAX_CPUS];
	char where[96];
	char text[VMX_CAPS_DESCRIPTION_SIZE];
};

struct check {
	unsigned int ncpus;
	unsigned int cpus[AVMM_MAX_CPUS];
	unsigned int current;			/* number of the CPU that is looked at */
	enum vmx_severity verdict;
	bool above_avmm;
	char hypervisor[13];
	char msr_problem[128];
	struct vmx_owner owner;
	bool signed_modules;
	size_t nfindings;
	struct finding finding[FINDINGS_MAX];
	enum vmx_state state[VMX_F_COUNT];	/* the worst of all CPUs */
	char where[VMX_F_COUNT][96];
};

static const char *const severities[] = {
	[VMX_NOTE] = "note", [VMX_UNKNOWN] = "unknown", [VMX_REFUSAL] = "refusal",
};

static const char *const states[] = {
	[VMX_STATE_OK] = "ok", [VMX_STATE_LACKING] = "lacking", [VMX_STATE_UNKNOWN] = "unknown",
	[VMX_STATE_NOT_APPLICABLE] = "not-applicable",
};

static const char *const needs[] = {
	[VMX_REQUIRED] = "required", [VMX_REQUIRED_IF] = "conditional", [VMX_OPTIONAL] = "optional",
};

static const char *verdict_name(enum vmx_severity verdict)
{
	static const char *const names[] = {
		[VMX_NOTE] = "ok", [VMX_UNKNOWN] = "unknown", [VMX_REFUSAL] = "refused",
	};

	return names[verdict];
}

static void on_finding(void *opaque, const struct vmx_caps_finding *found)
{
	struct check *check = opaque;
	struct finding new = { .id = found->id, .severity = found->severity };
	size_t i;

	vmx_caps_describe(found, new.text, sizeof(new.text));
	vmx_caps_where(found->input, found->id, new.where, sizeof(new.where));
	for (i = 0; i < check->nfindings; i++) {
		if (check->finding[i].severity == new.severity && !strcmp(check->finding[i].text, new.text))
			break;
	}
	if (i == FINDINGS_MAX)
		return;		/* the verdict has it nonetheless */
	if (i == check->nfindings)
		check->finding[check->nfindings++] = new;
	check->finding[i].cpu[check->current] = true;
}

/* In the order in which one is worse than the other. */
static int badness(enum vmx_state state)
{
	static const int order[] = {
		[VMX_STATE_NOT_APPLICABLE] = 0, [VMX_STATE_OK] = 1, [VMX_STATE_UNKNOWN] = 2, [VMX_STATE_LACKING] = 3,
	};

	return order[state];
}

static void note_states(struct check *check, const struct vmx_caps_input *input)
{
	unsigned int id;

	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++) {
		enum vmx_state state = vmx_caps_state(input, id);

		if (badness(state) > badness(check->state[id]))
			check->state[id] = state;
		vmx_caps_where(input, id, check->where[id], sizeof(check->where[id]));
	}
}

static int check_cpu(struct check *check, unsigned int cpu)
{
	struct cpu_facts facts;
	enum vmx_severity verdict;
	int ret = read_cpu(cpu, &facts);

	if (ret)
		return fail("cannot look at CPU %u: %s", cpu, strerror(-ret));
	if (check->owner.holds)
		facts.input.vmx_owner = check->owner.text;
	check->current = cpu;
	check->above_avmm |= facts.above_avmm;
	if (facts.hypervisor[0])
		memcpy(check->hypervisor, facts.hypervisor, sizeof(check->hypervisor));
	if (facts.msr_problem[0])
		memcpy(check->msr_problem, facts.msr_problem, sizeof(check->msr_problem));
	if (facts.above_avmm)
		return EXIT_DONE;	/* the monitor hides VMX: there is nothing more to see */

	verdict = vmx_caps_check(&facts.input, on_finding, check);
	if (verdict > check->verdict)
		check->verdict = verdict;
	note_states(check, &facts.input);
	return EXIT_DONE;
}

static int check_machine(struct check *check)
{
	unsigned int i, id;
	int ret = online_cpus(check->cpus, AVMM_MAX_CPUS);

	if (ret < 0)
		return fail("cannot read /sys/devices/system/cpu/online: %s", strerror(-ret));
	check->ncpus = (unsigned int)ret;
	for (id = 0; id < VMX_F_COUNT; id++)
		check->state[id] = VMX_STATE_NOT_APPLICABLE;
	find_vmx_owner(&check->owner);
	check->signed_modules = modules_must_be_signed();
	for (i = 0; i < check->ncpus; i++) {
		if (check->cpus[i] >= AVMM_MAX_CPUS)
			return fail("CPU %u: AVMM knows CPUs 0 to %d", check->cpus[i], AVMM_MAX_CPUS - 1);
		ret = check_cpu(check, check->cpus[i]);
		if (ret)
			return ret;
	}
	return EXIT_DONE;
}

/* JSON */

static struct json_object *owner_json(const struct vmx_owner *owner)
{
	struct json_object *object;

	if (!owner->module[0])
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "module", json_object_new_string(owner->module));
	json_object_object_add(object, "users", owner->users < 0 ? NULL : json_object_new_int64(owner->users));
	json_object_object_add(object, "holds_vmx", json_object_new_boolean(owner->holds));
	return object;
}

static struct json_object *finding_json(const struct check *check, const struct finding *finding)
{
	const struct vmx_feature *feature = &vmx_features[finding->id];
	struct json_object *object = json_object_new_object(), *cpus = json_object_new_array();
	unsigned int i;

	for (i = 0; i < check->ncpus; i++) {
		if (finding->cpu[check->cpus[i]])
			json_object_array_add(cpus, json_object_new_uint64(check->cpus[i]));
	}
	json_object_object_add(object, "severity", json_object_new_string(severities[finding->severity]));
	json_object_object_add(object, "name", json_object_new_string(feature->name));
	json_object_object_add(object, "register", json_object_new_string(finding->where));
	json_object_object_add(object, "text", json_object_new_string(finding->text));
	json_object_object_add(object, "advice", feature->advice ? json_object_new_string(feature->advice) : NULL);
	json_object_object_add(object, "cpus", cpus);
	return object;
}

static struct json_object *features_json(const struct check *check)
{
	struct json_object *list = json_object_new_array(), *object;
	unsigned int id;

	for (id = VMX_F_NONE + 1; !check->above_avmm && id < VMX_F_COUNT; id++) {
		object = json_object_new_object();
		json_object_object_add(object, "name", json_object_new_string(vmx_features[id].name));
		json_object_object_add(object, "register", json_object_new_string(check->where[id]));
		json_object_object_add(object, "problem", json_object_new_string(vmx_features[id].problem));
		json_object_object_add(object, "need", json_object_new_string(needs[vmx_features[id].need]));
		json_object_object_add(object, "state", json_object_new_string(states[check->state[id]]));
		json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *string_or_null(const char *text)
{
	return text[0] ? json_object_new_string(text) : NULL;
}

static void show_json(const struct check *check)
{
	struct json_object *object = json_object_new_object(), *findings = json_object_new_array();
	size_t i;

	for (i = 0; i < check->nfindings; i++)
		json_object_array_add(findings, finding_json(check, &check->finding[i]));
	json_object_object_add(object, "verdict", json_object_new_string(verdict_name(check->verdict)));
	json_object_object_add(object, "launched", json_object_new_boolean(check->above_avmm));
	json_object_object_add(object, "cpus", json_object_new_uint64(check->ncpus));
	json_object_object_add(object, "hypervisor", string_or_null(check->hypervisor));
	json_object_object_add(object, "vmx_module", owner_json(&check->owner));
	json_object_object_add(object, "msr_problem", string_or_null(check->msr_problem));
	json_object_object_add(object, "signed_modules_only", json_object_new_boolean(check->signed_modules));
	json_object_object_add(object, "findings", findings);
	json_object_object_add(object, "features", features_json(check));
	print_json(object, false);
}

/* Text */

/* "0-3,8"; as many as fit. */
static void format_cpus(const struct finding *finding, char *buf, size_t size)
{
	unsigned int cpu, last;
	size_t len = 0;

	buf[0] = '\0';
	for (cpu = 0; cpu < AVMM_MAX_CPUS && len < size; cpu++) {
		if (!finding->cpu[cpu])
			continue;
		for (last = cpu; last + 1 < AVMM_MAX_CPUS && finding->cpu[last + 1]; last++)
			;
		len += (size_t)snprintf(buf + len, size - len, "%s%u", len ? "," : "", cpu);
		if (last != cpu && len < size)
			len += (size_t)snprintf(buf + len, size - len, "-%u", last);
		cpu = last;
	}
}

static bool is_on_all(const struct check *check, const struct finding *finding)
{
	unsigned int i;

	for (i = 0; i < check->ncpus; i++) {
		if (!finding->cpu[check->cpus[i]])
			return false;
	}
	return true;
}

/* What could not be read is said in one line, unless everything is asked for. */
static void show_findings(const struct check *check, enum vmx_severity severity, const char *label)
{
	char cpus[64];
	size_t i;

	for (i = 0; i < check->nfindings; i++) {
		const struct finding *finding = &check->finding[i];

		if (finding->severity != severity)
			continue;
		if (is_on_all(check, finding)) {
			printf("%s: %s\n", label, finding->text);
			continue;
		}
		format_cpus(finding, cpus, sizeof(cpus));
		printf("%s: CPU %s: %s\n", label, cpus, finding->text);
	}
}

static size_t count(const struct check *check, enum vmx_severity severity)
{
	size_t i, n = 0;

	for (i = 0; i < check->nfindings; i++)
		n += check->finding[i].severity == severity;
	return n;
}

static void show_features(const struct check *check)
{
	unsigned int id;

	for (id = VMX_F_NONE + 1; id < VMX_F_COUNT; id++)
		printf("%-14s %-11s %s (%s)\n", states[check->state[id]], needs[vmx_features[id].need],
		       vmx_features[id].name, check->where[id]);
	putchar('\n');
}

static void show_surroundings(const struct check *check)
{
	if (check->hypervisor[0])
		printf("note: this machine is virtual, its hypervisor calls itself %s\n", check->hypervisor);
	if (check->owner.module[0] && !check->owner.holds)
		printf("note: %s does not hold VMX now; while AVMM is launched its virtual machines cannot start\n",
		       check->owner.text);
	if (check->signed_modules)
		puts("note: this kernel loads signed modules only: sign avmm.ko with a key that it trusts");
}

static void show_verdict(const struct check *check)
{
	switch (check->verdict) {
	case VMX_NOTE:
		printf("AVMM can run on this machine (%u %s checked).\n", check->ncpus,
		       check->ncpus == 1 ? "CPU" : "CPUs");
		break;
	case VMX_UNKNOWN:
		puts("Whether AVMM can run on this machine could not be found out.");
		break;
	case VMX_REFUSAL:
		puts("AVMM cannot run on this machine as it is.");
		break;
	}
}

static void show_text(const struct check *check, bool all)
{
	if (check->above_avmm) {
		puts("AVMM is running on this machine.");
		return;
	}
	if (all)
		show_features(check);
	show_findings(check, VMX_REFUSAL, "refused");
	if (check->msr_problem[0])
		printf("unknown: %zu features and what hangs on them were not checked: %s\n",
		       count(check, VMX_UNKNOWN), check->msr_problem);
	else
		show_findings(check, VMX_UNKNOWN, "unknown");
	show_findings(check, VMX_NOTE, "note");
	show_surroundings(check);
	show_verdict(check);
}

int check_run(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		COMMON_OPTIONS
	};
	static struct check check;
	bool all = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS "a", options, NULL)) != -1) {
		if (c == 'a')
			all = true;
		else if (common_option(self, c, argv, &ret))
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);

	ret = check_machine(&check);
	if (ret)
		return ret;
	if (output_json)
		show_json(&check);
	else
		show_text(&check, all);
	return check.verdict == VMX_NOTE ? EXIT_DONE : EXIT_REFUSED;
}
