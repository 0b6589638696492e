// SPDX-License-Identifier: GPL-2.0-only
/* The table of VT-x features and the registers behind it; caps.c interprets it. */
#include "caps.h"

#define BIT_AT(bit)		(1ull << (bit))

/* A bit that is 1, that is 0; bits that are all 0. */
#define SET(w, bit)		{ .word = (w), .mask = BIT_AT(bit), .value = BIT_AT(bit) }
#define CLEAR(w, bit)		{ .word = (w), .mask = BIT_AT(bit), .value = 0 }
#define ZERO(w, bits)		{ .word = (w), .mask = (bits), .value = 0 }

/* A control that may be 1 (bits 63:32 of its capability register), that may be 0 (bits 31:0). SDM A.3 to A.5. */
#define MAY_SET(w, bit)		SET(w, 32 + (bit))
#define MAY_CLEAR(w, bit)	CLEAR(w, bit)

#define CPUID(leaf, reg)	(VMX_WORD_CPUID + (leaf) * VMX_REG_COUNT + (reg))
#define LEAF_1_ECX		CPUID(VMX_LEAF_1, VMX_ECX)
#define LEAF_7_EBX		CPUID(VMX_LEAF_7_0, VMX_EBX)
#define LEAF_7_ECX		CPUID(VMX_LEAF_7_0, VMX_ECX)
#define LEAF_7_EDX		CPUID(VMX_LEAF_7_0, VMX_EDX)
#define LEAF_7_1_EAX		CPUID(VMX_LEAF_7_1, VMX_EAX)

/* Capability registers exist where another register says so: SDM volume 4, table 2-2. */
#define HAS_VMX			SET(LEAF_1_ECX, 5)
#define HAS_TRUE_CTLS		SET(VMX_MSR_BASIC, 55)

const struct vmx_caps_msr_info vmx_caps_msrs[VMX_MSR_COUNT] = {
	[VMX_MSR_FEATURE_CONTROL]	= { 0x03a, "IA32_FEATURE_CONTROL", HAS_VMX },
	[VMX_MSR_BASIC]			= { 0x480, "IA32_VMX_BASIC", HAS_VMX },
	[VMX_MSR_PINBASED_CTLS]		= { 0x481, "IA32_VMX_PINBASED_CTLS", HAS_VMX },
	[VMX_MSR_PROCBASED_CTLS]	= { 0x482, "IA32_VMX_PROCBASED_CTLS", HAS_VMX },
	[VMX_MSR_EXIT_CTLS]		= { 0x483, "IA32_VMX_EXIT_CTLS", HAS_VMX },
	[VMX_MSR_ENTRY_CTLS]		= { 0x484, "IA32_VMX_ENTRY_CTLS", HAS_VMX },
	[VMX_MSR_MISC]			= { 0x485, "IA32_VMX_MISC", HAS_VMX },
	[VMX_MSR_CR0_FIXED0]		= { 0x486, "IA32_VMX_CR0_FIXED0", HAS_VMX },
	[VMX_MSR_CR0_FIXED1]		= { 0x487, "IA32_VMX_CR0_FIXED1", HAS_VMX },
	[VMX_MSR_CR4_FIXED0]		= { 0x488, "IA32_VMX_CR4_FIXED0", HAS_VMX },
	[VMX_MSR_CR4_FIXED1]		= { 0x489, "IA32_VMX_CR4_FIXED1", HAS_VMX },
	[VMX_MSR_TRUE_PINBASED_CTLS]	= { 0x48d, "IA32_VMX_TRUE_PINBASED_CTLS", HAS_TRUE_CTLS },
	[VMX_MSR_TRUE_PROCBASED_CTLS]	= { 0x48e, "IA32_VMX_TRUE_PROCBASED_CTLS", HAS_TRUE_CTLS },
	[VMX_MSR_TRUE_EXIT_CTLS]	= { 0x48f, "IA32_VMX_TRUE_EXIT_CTLS", HAS_TRUE_CTLS },
	[VMX_MSR_TRUE_ENTRY_CTLS]	= { 0x490, "IA32_VMX_TRUE_ENTRY_CTLS", HAS_TRUE_CTLS },
	[VMX_MSR_PROCBASED_CTLS2]	= { 0x48b, "IA32_VMX_PROCBASED_CTLS2", MAY_SET(VMX_WORD_PROC, 31) },
	[VMX_MSR_PROCBASED_CTLS3]	= { 0x492, "IA32_VMX_PROCBASED_CTLS3", MAY_SET(VMX_WORD_PROC, 17) },
	[VMX_MSR_EPT_VPID_CAP]		= { 0x48c, "IA32_VMX_EPT_VPID_CAP", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 1) },
};

/* Leaves above the CPU's highest would repeat that one's data: exists is the condition besides that. */
const struct vmx_caps_leaf_info vmx_caps_leaves[VMX_LEAF_COUNT] = {
	[VMX_LEAF_0]		= { .leaf = 0x0 },
	[VMX_LEAF_1]		= { .leaf = 0x1 },
	[VMX_LEAF_7_0]		= { .leaf = 0x7 },
	[VMX_LEAF_7_1]		= { .leaf = 0x7, .subleaf = 1 },
	[VMX_LEAF_A]		= { .leaf = 0xa },
	[VMX_LEAF_D_1]		= { .leaf = 0xd, .subleaf = 1, .exists = SET(LEAF_1_ECX, 26) },
	[VMX_LEAF_80000000]	= { .leaf = 0x80000000 },
	[VMX_LEAF_80000001]	= { .leaf = 0x80000001 },
	[VMX_LEAF_80000008]	= { .leaf = 0x80000008 },
};

/* Texts that many rows share. */
#define MISSING			"is missing"
#define FORCED_ON		"cannot be switched off"
#define CPU_TOO_OLD		"this CPU is too old for AVMM, or an outer hypervisor hides the feature"
#define OUTER_HYPERVISOR	"the CPU has the instruction but not the control: an outer hypervisor has to offer it"
#define OUTER_FORCES		"an outer hypervisor insists on seeing these events: AVMM needs one that does not"

/* Controls that are 1 in every VMCS of older CPUs and mean nothing (default1, SDM A.2), and those named below. */
#define PIN_KNOWN		(0x16ull | BIT_AT(0) | BIT_AT(3) | BIT_AT(5))
#define PROC_KNOWN		(0x04006172ull | BIT_AT(3) | BIT_AT(7) | BIT_AT(9) | BIT_AT(10) | BIT_AT(11) |	\
				 BIT_AT(12) | BIT_AT(15) | BIT_AT(16) | BIT_AT(19) | BIT_AT(20) | BIT_AT(23) |	\
				 BIT_AT(24) | BIT_AT(28) | BIT_AT(29) | BIT_AT(30) | BIT_AT(31))
#define EXIT_KNOWN		(0x00036dfbull | BIT_AT(2) | BIT_AT(9) | BIT_AT(18) | BIT_AT(19) | BIT_AT(20) |	\
				 BIT_AT(21))
#define ENTRY_KNOWN		(0x000011fbull | BIT_AT(2) | BIT_AT(9) | BIT_AT(14) | BIT_AT(15))
#define ALL_CONTROLS		0xffffffffull

/* Kinds of rows. */
#define NEEDED(n, fact, above)								\
	{ .name = (n), .problem = MISSING, .advice = CPU_TOO_OLD,			\
	  .holds = fact, .parent = (above), .need = VMX_REQUIRED, .use = VMX_USE_IF_NEEDED }
#define NOT_FORCED(n, fact)								\
	{ .name = (n), .problem = FORCED_ON, .advice = OUTER_FORCES,			\
	  .holds = fact, .parent = VMX_F_VMX, .need = VMX_REQUIRED }
#define FOR_INSTRUCTION(n, control, cpuid)						\
	{ .name = (n), .problem = MISSING, .advice = OUTER_HYPERVISOR,			\
	  .holds = control, .condition = cpuid, .parent = VMX_F_SECONDARY,		\
	  .need = VMX_REQUIRED_IF, .use = VMX_USE_IF_NEEDED }
#define NICE(n, fact, above)								\
	{ .name = (n), .problem = MISSING, .holds = fact, .parent = (above), .need = VMX_OPTIONAL }
#define MSR_SWITCH(n, control, cr4, ring)						\
	{ .name = (n), .problem = MISSING, .advice = OUTER_HYPERVISOR,			\
	  .holds = control, .condition = cr4, .parent = VMX_F_VMX, .partner = (ring),	\
	  .need = VMX_REQUIRED_IF, .use = VMX_USE_IF_THERE }
#define COUNTER_SWITCH(n, control, ring)						\
	{ .name = (n), .problem = MISSING, .holds = control, .parent = VMX_F_VMX,	\
	  .partner = (ring), .need = VMX_OPTIONAL, .use = VMX_USE_IF_THERE }

const struct vmx_feature vmx_features[VMX_F_COUNT] = {
	[VMX_F_VMX] = {
		.name = "VMX", .problem = MISSING, .holds = HAS_VMX, .need = VMX_REQUIRED,
		.advice = "AVMM needs an Intel CPU with VT-x; in a virtual machine, one whose host offers nested VT-x",
	},
	[VMX_F_FEATURE_CONTROL] = {
		.name = "VMX outside SMX operation", .problem = "is locked off by firmware",
		.advice = "turn on VT-x (Intel Virtualization Technology) in the firmware setup, then power-cycle",
		.holds = SET(VMX_WORD_FEATURE_CONTROL, 2), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_FEATURE_CONTROL_LOCK] = {
		.name = "IA32_FEATURE_CONTROL lock bit", .problem = "is clear",
		.advice = "AVMM will enable VMX outside SMX operation and set the lock bit",
		.holds = SET(VMX_MSR_FEATURE_CONTROL, 0), .parent = VMX_F_VMX, .need = VMX_OPTIONAL,
	},
	[VMX_F_VMCS_WB] = {
		.name = "write-back VMCS memory type", .problem = "is not what this CPU uses", .advice = CPU_TOO_OLD,
		.holds = { VMX_MSR_BASIC, 0xfull << 50, 6ull << 50 }, .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_VMCS_64BIT] = {
		.name = "VMCS addresses above 4 GiB", .problem = "are not possible", .advice = CPU_TOO_OLD,
		.holds = CLEAR(VMX_MSR_BASIC, 48), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_VMXE_FREE] = {
		.name = "VMX operation", .problem = "is in use",
		.advice = "end its virtual machines and unload it (kvm: `rmmod kvm_intel`); since Linux 6.12 a merely "
			  "loaded kvm_intel holds VMX unless the kernel was started with kvm.enable_virt_at_load=0",
		.holds = CLEAR(VMX_WORD_VMXE, 13), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_NO_SMXE] = {
		.name = "CR4.SMXE", .problem = "is set: a measured launch (TXT, tboot) owns this machine",
		.advice = "start Linux without tboot",
		.holds = CLEAR(VMX_WORD_CR4, 14), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_NO_FRED] = {
		.name = "CR4.FRED", .problem = "is set: AVMM does not know FRED event delivery yet",
		.advice = "start Linux with fred=off",
		.holds = CLEAR(VMX_WORD_CR4, 32), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_CR0_ALLOWED] = {
		.name = "CR0", .problem = "has bits with values that VMX operation does not allow",
		.holds = ZERO(VMX_WORD_CR0_CONFLICT, ~0ull), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_CR4_ALLOWED] = {
		.name = "CR4", .problem = "has bits with values that VMX operation does not allow",
		.holds = ZERO(VMX_WORD_CR4_CONFLICT, ~0ull), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_NOT_NESTED] = {
		.name = "hypervisor", .problem = "is present: this machine is itself virtual",
		.advice = "AVMM may run, as fast as the outer hypervisor's nested VT-x lets it",
		.holds = CLEAR(LEAF_1_ECX, 31), .parent = VMX_F_VMX, .need = VMX_OPTIONAL,
	},

	[VMX_F_STORES_LMA] = NEEDED("store of EFER.LMA on VM exit", SET(VMX_MSR_MISC, 5), VMX_F_VMX),
	[VMX_F_STATE_HLT] = NEEDED("HLT activity state", SET(VMX_MSR_MISC, 6), VMX_F_VMX),
	[VMX_F_STATE_WAIT_SIPI] = NEEDED("wait-for-SIPI activity state", SET(VMX_MSR_MISC, 8), VMX_F_VMX),
	[VMX_F_PT_IN_VMX] = {
		.name = "Intel PT in VMX operation", .problem = MISSING,
		.advice = "processor tracing (perf's intel_pt) will not work while AVMM runs",
		.holds = SET(VMX_MSR_MISC, 14), .condition = SET(LEAF_7_EBX, 25), .parent = VMX_F_VMX,
		.need = VMX_OPTIONAL,
	},

	[VMX_F_NMI_EXITING] = NEEDED("NMI exiting", MAY_SET(VMX_WORD_PIN, 3), VMX_F_VMX),
	[VMX_F_VIRTUAL_NMIS] = NEEDED("virtual NMIs", MAY_SET(VMX_WORD_PIN, 5), VMX_F_VMX),
	[VMX_F_NO_EXTINT_EXITING] = NOT_FORCED("external-interrupt exiting", MAY_CLEAR(VMX_WORD_PIN, 0)),
	[VMX_F_PREEMPTION_TIMER] = NICE("VMX-preemption timer", MAY_SET(VMX_WORD_PIN, 6), VMX_F_VMX),
	[VMX_F_POSTED_INTERRUPTS] = NICE("process posted interrupts", MAY_SET(VMX_WORD_PIN, 7), VMX_F_VMX),
	[VMX_F_PIN_FORCED] = NOT_FORCED("unknown pin-based control", ZERO(VMX_WORD_PIN, ALL_CONTROLS & ~PIN_KNOWN)),

	/* Optional ones serve the user partition and are not set for the service. */
	[VMX_F_NMI_WINDOW_EXITING] = {
		.name = "NMI-window exiting", .problem = MISSING, .advice = CPU_TOO_OLD,
		.holds = MAY_SET(VMX_WORD_PROC, 22), .parent = VMX_F_VMX, .need = VMX_REQUIRED,
	},
	[VMX_F_MSR_BITMAPS] = NEEDED("use MSR bitmaps", MAY_SET(VMX_WORD_PROC, 28), VMX_F_VMX),
	[VMX_F_SECONDARY] = NEEDED("activate secondary controls", MAY_SET(VMX_WORD_PROC, 31), VMX_F_VMX),
	[VMX_F_TSC_OFFSETTING] = NICE("use TSC offsetting", MAY_SET(VMX_WORD_PROC, 3), VMX_F_VMX),
	[VMX_F_INTERRUPT_WINDOW_EXITING] = NICE("interrupt-window exiting", MAY_SET(VMX_WORD_PROC, 2), VMX_F_VMX),
	[VMX_F_HLT_EXITING] = NICE("HLT exiting", MAY_SET(VMX_WORD_PROC, 7), VMX_F_VMX),
	[VMX_F_IO_BITMAPS] = NICE("use I/O bitmaps", MAY_SET(VMX_WORD_PROC, 25), VMX_F_VMX),
	[VMX_F_TPR_SHADOW] = NICE("use TPR shadow", MAY_SET(VMX_WORD_PROC, 21), VMX_F_VMX),
	[VMX_F_MONITOR_TRAP_FLAG] = NICE("monitor trap flag", MAY_SET(VMX_WORD_PROC, 27), VMX_F_VMX),
	[VMX_F_TERTIARY] = NICE("activate tertiary controls", MAY_SET(VMX_WORD_PROC, 17), VMX_F_VMX),
	[VMX_F_NO_TSC_OFFSETTING] = NOT_FORCED("use TSC offsetting", MAY_CLEAR(VMX_WORD_PROC, 3)),
	[VMX_F_NO_HLT_EXITING] = NOT_FORCED("HLT exiting", MAY_CLEAR(VMX_WORD_PROC, 7)),
	[VMX_F_NO_INVLPG_EXITING] = NOT_FORCED("INVLPG exiting", MAY_CLEAR(VMX_WORD_PROC, 9)),
	[VMX_F_NO_MWAIT_EXITING] = NOT_FORCED("MWAIT exiting", MAY_CLEAR(VMX_WORD_PROC, 10)),
	[VMX_F_NO_RDPMC_EXITING] = NOT_FORCED("RDPMC exiting", MAY_CLEAR(VMX_WORD_PROC, 11)),
	[VMX_F_NO_RDTSC_EXITING] = NOT_FORCED("RDTSC exiting", MAY_CLEAR(VMX_WORD_PROC, 12)),
	[VMX_F_NO_CR3_LOAD_EXITING] = NOT_FORCED("CR3-load exiting", MAY_CLEAR(VMX_WORD_PROC, 15)),
	[VMX_F_NO_CR3_STORE_EXITING] = NOT_FORCED("CR3-store exiting", MAY_CLEAR(VMX_WORD_PROC, 16)),
	[VMX_F_NO_CR8_LOAD_EXITING] = NOT_FORCED("CR8-load exiting", MAY_CLEAR(VMX_WORD_PROC, 19)),
	[VMX_F_NO_CR8_STORE_EXITING] = NOT_FORCED("CR8-store exiting", MAY_CLEAR(VMX_WORD_PROC, 20)),
	[VMX_F_NO_MOV_DR_EXITING] = NOT_FORCED("MOV-DR exiting", MAY_CLEAR(VMX_WORD_PROC, 23)),
	[VMX_F_NO_IO_EXITING] = NOT_FORCED("unconditional I/O exiting", MAY_CLEAR(VMX_WORD_PROC, 24)),
	[VMX_F_NO_MONITOR_EXITING] = NOT_FORCED("MONITOR exiting", MAY_CLEAR(VMX_WORD_PROC, 29)),
	[VMX_F_NO_PAUSE_EXITING] = NOT_FORCED("PAUSE exiting", MAY_CLEAR(VMX_WORD_PROC, 30)),
	[VMX_F_PROC_FORCED] = NOT_FORCED("unknown primary processor-based control",
					 ZERO(VMX_WORD_PROC, ALL_CONTROLS & ~PROC_KNOWN)),

	[VMX_F_EPT] = NEEDED("enable EPT", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 1), VMX_F_SECONDARY),
	[VMX_F_VPID] = NEEDED("enable VPID", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 5), VMX_F_SECONDARY),
	[VMX_F_UNRESTRICTED_GUEST] = NEEDED("unrestricted guest", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 7), VMX_F_EPT),
	[VMX_F_RDTSCP] = FOR_INSTRUCTION("enable RDTSCP", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 3),
					 SET(CPUID(VMX_LEAF_80000001, VMX_EDX), 27)),
	[VMX_F_INVPCID] = FOR_INSTRUCTION("enable INVPCID", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 12), SET(LEAF_7_EBX, 10)),
	[VMX_F_XSAVES] = FOR_INSTRUCTION("enable XSAVES/XRSTORS", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 20),
					 SET(CPUID(VMX_LEAF_D_1, VMX_EAX), 3)),
	[VMX_F_USER_WAIT_PAUSE] = FOR_INSTRUCTION("enable user wait and pause", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 26),
						  SET(LEAF_7_ECX, 5)),
	[VMX_F_PCONFIG] = FOR_INSTRUCTION("enable PCONFIG", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 27), SET(LEAF_7_EDX, 18)),
	[VMX_F_APIC_ACCESSES] = NICE("virtualize APIC accesses", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 0), VMX_F_SECONDARY),
	[VMX_F_X2APIC_MODE] = NICE("virtualize x2APIC mode", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 4), VMX_F_SECONDARY),
	[VMX_F_APIC_REGISTERS] = NICE("APIC-register virtualization", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 8),
				      VMX_F_SECONDARY),
	[VMX_F_VIRTUAL_INTERRUPTS] = NICE("virtual-interrupt delivery", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 9),
					  VMX_F_SECONDARY),
	[VMX_F_PAUSE_LOOP_EXITING] = NICE("PAUSE-loop exiting", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 10), VMX_F_SECONDARY),
	[VMX_F_PML] = NICE("enable PML", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 17), VMX_F_SECONDARY),
	[VMX_F_MODE_BASED_EXECUTE] = NICE("mode-based execute control for EPT", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 22),
					  VMX_F_SECONDARY),
	[VMX_F_TSC_SCALING] = NICE("use TSC scaling", MAY_SET(VMX_MSR_PROCBASED_CTLS2, 25), VMX_F_SECONDARY),

	/* All 64 bits of the tertiary register say "may be 1": SDM A.3.4. */
	[VMX_F_MSR_LIST] = {
		.name = "enable MSR-list instructions", .problem = MISSING,
		.holds = SET(VMX_MSR_PROCBASED_CTLS3, 6), .condition = SET(LEAF_7_1_EAX, 27),
		.parent = VMX_F_TERTIARY, .need = VMX_OPTIONAL,
	},
	[VMX_F_IPI_VIRTUALIZATION] = NICE("IPI virtualization", SET(VMX_MSR_PROCBASED_CTLS3, 4), VMX_F_TERTIARY),

	/* SDM A.10. */
	[VMX_F_EPT_4_LEVEL] = NEEDED("EPT page-walk length 4", SET(VMX_MSR_EPT_VPID_CAP, 6), VMX_F_EPT),
	[VMX_F_EPT_WB] = NEEDED("write-back EPT paging structures", SET(VMX_MSR_EPT_VPID_CAP, 14), VMX_F_EPT),
	[VMX_F_EPT_2M] = NEEDED("2-MByte EPT pages", SET(VMX_MSR_EPT_VPID_CAP, 16), VMX_F_EPT),
	[VMX_F_INVEPT] = NEEDED("INVEPT", SET(VMX_MSR_EPT_VPID_CAP, 20), VMX_F_EPT),
	[VMX_F_INVEPT_SINGLE] = NEEDED("single-context INVEPT", SET(VMX_MSR_EPT_VPID_CAP, 25), VMX_F_INVEPT),
	[VMX_F_INVEPT_ALL] = NEEDED("all-context INVEPT", SET(VMX_MSR_EPT_VPID_CAP, 26), VMX_F_INVEPT),
	[VMX_F_INVVPID] = NEEDED("INVVPID", SET(VMX_MSR_EPT_VPID_CAP, 32), VMX_F_VPID),
	[VMX_F_INVVPID_SINGLE] = NEEDED("single-context INVVPID", SET(VMX_MSR_EPT_VPID_CAP, 41), VMX_F_INVVPID),
	[VMX_F_INVVPID_ALL] = NEEDED("all-context INVVPID", SET(VMX_MSR_EPT_VPID_CAP, 42), VMX_F_INVVPID),
	[VMX_F_EPT_5_LEVEL] = NICE("EPT page-walk length 5", SET(VMX_MSR_EPT_VPID_CAP, 7), VMX_F_EPT),
	[VMX_F_EPT_1G] = NICE("1-GByte EPT pages", SET(VMX_MSR_EPT_VPID_CAP, 17), VMX_F_EPT),
	[VMX_F_EPT_AD] = NICE("accessed and dirty flags for EPT", SET(VMX_MSR_EPT_VPID_CAP, 21), VMX_F_EPT),

	[VMX_F_EXIT_SAVE_DEBUG] = NEEDED("save debug controls", MAY_SET(VMX_WORD_EXIT, 2), VMX_F_VMX),
	[VMX_F_EXIT_HOST_64BIT] = NEEDED("host address-space size", MAY_SET(VMX_WORD_EXIT, 9), VMX_F_VMX),
	[VMX_F_EXIT_SAVE_PAT] = NEEDED("save IA32_PAT", MAY_SET(VMX_WORD_EXIT, 18), VMX_F_VMX),
	[VMX_F_EXIT_LOAD_PAT] = NEEDED("load IA32_PAT (VM exit)", MAY_SET(VMX_WORD_EXIT, 19), VMX_F_VMX),
	[VMX_F_EXIT_SAVE_EFER] = NEEDED("save IA32_EFER", MAY_SET(VMX_WORD_EXIT, 20), VMX_F_VMX),
	[VMX_F_EXIT_LOAD_EFER] = NEEDED("load IA32_EFER (VM exit)", MAY_SET(VMX_WORD_EXIT, 21), VMX_F_VMX),
	/*
	 * The guest's CET state and PKRS are saved by every exit once the CPU has the control (SDM 28.3.1), the guest's
	 * IA32_PERF_GLOBAL_CTRL only by its own control: without that one, an entry would undo what the guest wrote.
	 */
	[VMX_F_EXIT_LOAD_CET] = MSR_SWITCH("load CET state (VM exit)", MAY_SET(VMX_WORD_EXIT, 28),
					   SET(VMX_WORD_CR4, 23), VMX_F_ENTRY_LOAD_CET),
	[VMX_F_EXIT_LOAD_PKRS] = MSR_SWITCH("load PKRS (VM exit)", MAY_SET(VMX_WORD_EXIT, 29), SET(VMX_WORD_CR4, 24),
					    VMX_F_ENTRY_LOAD_PKRS),
	[VMX_F_EXIT_LOAD_PERF] = COUNTER_SWITCH("load IA32_PERF_GLOBAL_CTRL (VM exit)", MAY_SET(VMX_WORD_EXIT, 12),
						VMX_F_EXIT_SAVE_PERF),
	[VMX_F_EXIT_SAVE_PERF] = COUNTER_SWITCH("save IA32_PERF_GLOBAL_CTRL", MAY_SET(VMX_WORD_EXIT, 30),
						VMX_F_ENTRY_LOAD_PERF),
	[VMX_F_EXIT_SAVE_TIMER] = NICE("save VMX-preemption timer value", MAY_SET(VMX_WORD_EXIT, 22), VMX_F_VMX),
	[VMX_F_EXIT_FORCED] = NOT_FORCED("unknown VM-exit control", ZERO(VMX_WORD_EXIT, ALL_CONTROLS & ~EXIT_KNOWN)),

	[VMX_F_ENTRY_LOAD_DEBUG] = NEEDED("load debug controls", MAY_SET(VMX_WORD_ENTRY, 2), VMX_F_VMX),
	[VMX_F_ENTRY_64BIT] = NEEDED("IA-32e mode guest", MAY_SET(VMX_WORD_ENTRY, 9), VMX_F_VMX),
	[VMX_F_ENTRY_LOAD_PAT] = NEEDED("load IA32_PAT (VM entry)", MAY_SET(VMX_WORD_ENTRY, 14), VMX_F_VMX),
	[VMX_F_ENTRY_LOAD_EFER] = NEEDED("load IA32_EFER (VM entry)", MAY_SET(VMX_WORD_ENTRY, 15), VMX_F_VMX),
	[VMX_F_ENTRY_LOAD_CET] = MSR_SWITCH("load CET state (VM entry)", MAY_SET(VMX_WORD_ENTRY, 20),
					    SET(VMX_WORD_CR4, 23), VMX_F_EXIT_LOAD_CET),
	[VMX_F_ENTRY_LOAD_PKRS] = MSR_SWITCH("load PKRS (VM entry)", MAY_SET(VMX_WORD_ENTRY, 22), SET(VMX_WORD_CR4, 24),
					     VMX_F_EXIT_LOAD_PKRS),
	[VMX_F_ENTRY_LOAD_PERF] = COUNTER_SWITCH("load IA32_PERF_GLOBAL_CTRL (VM entry)", MAY_SET(VMX_WORD_ENTRY, 13),
						 VMX_F_EXIT_LOAD_PERF),
	[VMX_F_ENTRY_FORCED] = NOT_FORCED("unknown VM-entry control",
					  ZERO(VMX_WORD_ENTRY, ALL_CONTROLS & ~ENTRY_KNOWN)),
};
