/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What AVMM needs of VT-x: one table of features, used by avmm.ko before it touches a CPU, by `avmmctl check`, and to
 * compute the VM-execution, VM-exit and VM-entry controls of the service partition.
 *
 * Plain C without hardware in it: the caller brings two functions that read CPUID and MSRs. Names are those of the
 * Intel SDM, volume 3, chapters 25 (controls), 26 (host state) and appendix A (capability MSRs).
 */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <avmm/types.h>

/* The capability registers; vmx_caps_msrs[] has their numbers and names. */
enum vmx_caps_msr {
	VMX_MSR_FEATURE_CONTROL,
	VMX_MSR_BASIC,
	VMX_MSR_PINBASED_CTLS,
	VMX_MSR_PROCBASED_CTLS,
	VMX_MSR_EXIT_CTLS,
	VMX_MSR_ENTRY_CTLS,
	VMX_MSR_MISC,
	VMX_MSR_CR0_FIXED0,
	VMX_MSR_CR0_FIXED1,
	VMX_MSR_CR4_FIXED0,
	VMX_MSR_CR4_FIXED1,
	VMX_MSR_TRUE_PINBASED_CTLS,
	VMX_MSR_TRUE_PROCBASED_CTLS,
	VMX_MSR_TRUE_EXIT_CTLS,
	VMX_MSR_TRUE_ENTRY_CTLS,
	VMX_MSR_PROCBASED_CTLS2,
	VMX_MSR_PROCBASED_CTLS3,
	VMX_MSR_EPT_VPID_CAP,
	VMX_MSR_COUNT
};

enum vmx_caps_leaf {
	VMX_LEAF_0,
	VMX_LEAF_1,
	VMX_LEAF_7_0,
	VMX_LEAF_7_1,
	VMX_LEAF_A,
	VMX_LEAF_D_1,
	VMX_LEAF_80000000,
	VMX_LEAF_80000001,
	VMX_LEAF_80000008,
	VMX_LEAF_COUNT
};

enum vmx_caps_reg { VMX_EAX, VMX_EBX, VMX_ECX, VMX_EDX, VMX_REG_COUNT };

/* The facts about one CPU. vmx_caps_read() fills the first part, the caller the second. */
struct vmx_caps_input {
	u32 cpuid[VMX_LEAF_COUNT][VMX_REG_COUNT];	/* zero where the CPU has no such leaf */
	u64 msr[VMX_MSR_COUNT];
	bool msr_valid[VMX_MSR_COUNT];			/* it exists and could be read */

	bool cr_valid;			/* cr0 and cr4 are known: in the kernel only */
	u64 cr0;
	u64 cr4;
	const char *vmx_owner;		/* who holds VMX, or would if CR4.VMXE is set: "kvm_intel"; NULL: not known */
};

/* How to read the CPU that the question is about; rdmsr() returns false where the register cannot be read. */
struct vmx_caps_reader {
	void (*cpuid)(void *opaque, u32 leaf, u32 subleaf, u32 regs[VMX_REG_COUNT]);
	bool (*rdmsr)(void *opaque, u32 msr, u64 *value);
	void *opaque;
};

/* The 64-bit words that the table makes statements about. */
enum vmx_caps_word {
	/* below: enum vmx_caps_msr, as read */
	VMX_WORD_PIN = VMX_MSR_COUNT,	/* the TRUE registers where the CPU has them, */
	VMX_WORD_PROC,			/* bits 31:0: must be 1, bits 63:32: may be 1 */
	VMX_WORD_EXIT,
	VMX_WORD_ENTRY,
	VMX_WORD_FEATURE_CONTROL,	/* as it will be: AVMM completes a register that firmware left unlocked */
	VMX_WORD_CR4,
	VMX_WORD_VMXE,			/* CR4.VMXE; where that cannot be seen, whether an owner is known */
	VMX_WORD_CR0_CONFLICT,		/* bits of CR0 that have a value not allowed in VMX operation */
	VMX_WORD_CR4_CONFLICT,		/* likewise, with VMXE taken as set */
	VMX_WORD_CPUID,			/* CPUID leaf n, register r: VMX_WORD_CPUID + n * VMX_REG_COUNT + r */
	VMX_WORD_COUNT = VMX_WORD_CPUID + VMX_LEAF_COUNT * VMX_REG_COUNT
};

enum vmx_feature_id {
	VMX_F_NONE,

	/* the CPU as a whole */
	VMX_F_VMX,
	VMX_F_FEATURE_CONTROL,
	VMX_F_FEATURE_CONTROL_LOCK,
	VMX_F_VMCS_WB,
	VMX_F_VMCS_64BIT,
	VMX_F_VMXE_FREE,
	VMX_F_NO_SMXE,
	VMX_F_NO_FRED,
	VMX_F_CR0_ALLOWED,
	VMX_F_CR4_ALLOWED,
	VMX_F_NOT_NESTED,

	/* IA32_VMX_MISC */
	VMX_F_STORES_LMA,
	VMX_F_STATE_HLT,
	VMX_F_STATE_WAIT_SIPI,
	VMX_F_PT_IN_VMX,

	/* pin-based controls */
	VMX_F_NMI_EXITING,
	VMX_F_VIRTUAL_NMIS,
	VMX_F_NO_EXTINT_EXITING,
	VMX_F_PREEMPTION_TIMER,
	VMX_F_POSTED_INTERRUPTS,
	VMX_F_PIN_FORCED,

	/* primary processor-based controls */
	VMX_F_NMI_WINDOW_EXITING,
	VMX_F_MSR_BITMAPS,
	VMX_F_SECONDARY,
	VMX_F_TSC_OFFSETTING,
	VMX_F_INTERRUPT_WINDOW_EXITING,
	VMX_F_HLT_EXITING,
	VMX_F_IO_BITMAPS,
	VMX_F_TPR_SHADOW,
	VMX_F_MONITOR_TRAP_FLAG,
	VMX_F_TERTIARY,
	VMX_F_NO_TSC_OFFSETTING,
	VMX_F_NO_HLT_EXITING,
	VMX_F_NO_INVLPG_EXITING,
	VMX_F_NO_MWAIT_EXITING,
	VMX_F_NO_RDPMC_EXITING,
	VMX_F_NO_RDTSC_EXITING,
	VMX_F_NO_CR3_LOAD_EXITING,
	VMX_F_NO_CR3_STORE_EXITING,
	VMX_F_NO_CR8_LOAD_EXITING,
	VMX_F_NO_CR8_STORE_EXITING,
	VMX_F_NO_MOV_DR_EXITING,
	VMX_F_NO_IO_EXITING,
	VMX_F_NO_MONITOR_EXITING,
	VMX_F_NO_PAUSE_EXITING,
	VMX_F_PROC_FORCED,

	/* secondary processor-based controls */
	VMX_F_EPT,
	VMX_F_VPID,
	VMX_F_UNRESTRICTED_GUEST,
	VMX_F_RDTSCP,
	VMX_F_INVPCID,
	VMX_F_XSAVES,
	VMX_F_USER_WAIT_PAUSE,
	VMX_F_PCONFIG,
	VMX_F_APIC_ACCESSES,
	VMX_F_X2APIC_MODE,
	VMX_F_APIC_REGISTERS,
	VMX_F_VIRTUAL_INTERRUPTS,
	VMX_F_PAUSE_LOOP_EXITING,
	VMX_F_PML,
	VMX_F_MODE_BASED_EXECUTE,
	VMX_F_TSC_SCALING,

	/* tertiary processor-based controls */
	VMX_F_MSR_LIST,
	VMX_F_IPI_VIRTUALIZATION,

	/* IA32_VMX_EPT_VPID_CAP */
	VMX_F_EPT_4_LEVEL,
	VMX_F_EPT_WB,
	VMX_F_EPT_2M,
	VMX_F_INVEPT,
	VMX_F_INVEPT_SINGLE,
	VMX_F_INVEPT_ALL,
	VMX_F_INVVPID,
	VMX_F_INVVPID_SINGLE,
	VMX_F_INVVPID_ALL,
	VMX_F_EPT_5_LEVEL,
	VMX_F_EPT_1G,
	VMX_F_EPT_AD,

	/* VM-exit controls */
	VMX_F_EXIT_SAVE_DEBUG,
	VMX_F_EXIT_HOST_64BIT,
	VMX_F_EXIT_SAVE_PAT,
	VMX_F_EXIT_LOAD_PAT,
	VMX_F_EXIT_SAVE_EFER,
	VMX_F_EXIT_LOAD_EFER,
	VMX_F_EXIT_LOAD_CET,
	VMX_F_EXIT_LOAD_PKRS,
	VMX_F_EXIT_LOAD_PERF,
	VMX_F_EXIT_SAVE_PERF,
	VMX_F_EXIT_SAVE_TIMER,
	VMX_F_EXIT_FORCED,

	/* VM-entry controls */
	VMX_F_ENTRY_LOAD_DEBUG,
	VMX_F_ENTRY_64BIT,
	VMX_F_ENTRY_LOAD_PAT,
	VMX_F_ENTRY_LOAD_EFER,
	VMX_F_ENTRY_LOAD_CET,
	VMX_F_ENTRY_LOAD_PKRS,
	VMX_F_ENTRY_LOAD_PERF,
	VMX_F_ENTRY_FORCED,

	VMX_F_COUNT
};

enum vmx_need {
	VMX_REQUIRED,
	VMX_REQUIRED_IF,	/* when the row's condition holds, e.g. CPUID shows the instruction */
	VMX_OPTIONAL,		/* AVMM does without it, or better with it */
};

enum vmx_use {
	VMX_USE_NOT,		/* not set in the service partition's VMCS */
	VMX_USE_IF_NEEDED,	/* set when required, or when the condition of VMX_REQUIRED_IF holds */
	VMX_USE_IF_THERE,	/* set whenever the CPU has it */
};

/* A statement about a word of the input: (word & mask) == value. */
struct vmx_fact {
	u8 word;		/* enum vmx_caps_word */
	u64 mask;		/* 0: no statement */
	u64 value;
};

/* A row of the table. */
struct vmx_feature {
	const char *name;		/* as in the SDM */
	const char *problem;		/* what is said when it does not hold: "is missing" */
	const char *advice;		/* what to do about it; NULL: nothing can be done */
	struct vmx_fact holds;
	struct vmx_fact condition;	/* of VMX_REQUIRED_IF */
	u8 parent;			/* enum vmx_feature_id: without the parent this row means nothing */
	u8 partner;			/* enum vmx_feature_id: a ring of controls, set all or none */
	u8 need;			/* enum vmx_need */
	u8 use;				/* enum vmx_use */
};

/* What a row says about a CPU. */
enum vmx_state {
	VMX_STATE_OK,
	VMX_STATE_LACKING,
	VMX_STATE_UNKNOWN,		/* a register could not be read */
	VMX_STATE_NOT_APPLICABLE,	/* the parent is lacking, or the condition does not hold */
};

enum vmx_severity {
	VMX_NOTE,			/* an optional feature is lacking */
	VMX_UNKNOWN,			/* could not be found out */
	VMX_REFUSAL,			/* AVMM cannot run on this CPU as it is */
};

struct vmx_caps_finding {
	enum vmx_feature_id id;
	enum vmx_severity severity;
	const struct vmx_feature *feature;
	const struct vmx_caps_input *input;
};

typedef void (*vmx_caps_report)(void *opaque, const struct vmx_caps_finding *finding);

/* The service partition's controls and what VMX operation demands of the control registers. */
struct vmx_controls {
	u32 pin;
	u32 proc;
	u32 proc2;
	u64 proc3;		/* 0: tertiary controls are not activated */
	u32 exit;
	u32 entry;
	u64 cr0_fixed0;		/* bits that must be 1 in root operation */
	u64 cr0_fixed1;		/* bits that may be 1 */
	u64 cr0_guest_fixed0;	/* bits that must be 1 in the guest: without PE and PG (unrestricted guest) */
	u64 cr4_fixed0;
	u64 cr4_fixed1;
};

struct vmx_caps_msr_info {
	u32 index;
	const char *name;
	struct vmx_fact exists;		/* the CPU has this register only if so */
};

struct vmx_caps_leaf_info {
	u32 leaf;
	u32 subleaf;
	struct vmx_fact exists;
};

extern const struct vmx_caps_msr_info vmx_caps_msrs[VMX_MSR_COUNT];
extern const struct vmx_caps_leaf_info vmx_caps_leaves[VMX_LEAF_COUNT];
extern const struct vmx_feature vmx_features[VMX_F_COUNT];

/* Clears input and reads every leaf and MSR that the CPU says it has. cr*, and vmx_owner stay for the caller. */
void vmx_caps_read(struct vmx_caps_input *input, const struct vmx_caps_reader *reader);

/*
 * The verdict: VMX_REFUSAL if AVMM cannot run, else VMX_UNKNOWN if something required could not be found out, else
 * VMX_NOTE. Each finding is reported in the order of the table, consequences of another finding are not. report may
 * be NULL.
 */
enum vmx_severity vmx_caps_check(const struct vmx_caps_input *input, vmx_caps_report report, void *opaque);

enum vmx_state vmx_caps_state(const struct vmx_caps_input *input, enum vmx_feature_id id);

static inline bool vmx_caps_has(const struct vmx_caps_input *input, enum vmx_feature_id id)
{
	return vmx_caps_state(input, id) == VMX_STATE_OK;
}

/* False, with *out untouched, unless vmx_caps_check() found nothing against this CPU. */
bool vmx_caps_controls(const struct vmx_caps_input *input, struct vmx_controls *out);

/* The register and bits behind a row, "IA32_VMX_PROCBASED_CTLS2[33]"; returns the length, cut at size - 1. */
size_t vmx_caps_where(const struct vmx_caps_input *input, enum vmx_feature_id id, char *buf, size_t size);

/* A finding as one line of text without newline; returns its length, cut at size - 1. 320 bytes are enough. */
size_t vmx_caps_describe(const struct vmx_caps_finding *finding, char *buf, size_t size);

#define VMX_CAPS_DESCRIPTION_SIZE	320

#endif
