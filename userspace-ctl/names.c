// SPDX-License-Identifier: GPL-2.0-only
/* Tables of names. */
#include <stdio.h>
#include <avmm/partition.h>
#include <avmm/shared.h>
#include "../include/uapi/avmm_netlink.h"
#include "names.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const char *const exit_reasons[] = {
	[0] = "Exception or NMI", [1] = "External interrupt", [2] = "Triple fault", [3] = "INIT signal",
	[4] = "Start-up IPI", [5] = "I/O SMI", [6] = "Other SMI", [7] = "Interrupt window", [8] = "NMI window",
	[9] = "Task switch", [10] = "CPUID", [11] = "GETSEC", [12] = "HLT", [13] = "INVD", [14] = "INVLPG",
	[15] = "RDPMC", [16] = "RDTSC", [17] = "RSM", [18] = "VMCALL", [19] = "VMCLEAR", [20] = "VMLAUNCH",
	[21] = "VMPTRLD", [22] = "VMPTRST", [23] = "VMREAD", [24] = "VMRESUME", [25] = "VMWRITE", [26] = "VMXOFF",
	[27] = "VMXON", [28] = "Control-register access", [29] = "MOV DR", [30] = "I/O instruction", [31] = "RDMSR",
	[32] = "WRMSR", [33] = "VM-entry failure: guest state", [34] = "VM-entry failure: MSR loading",
	[36] = "MWAIT", [37] = "Monitor trap flag", [39] = "MONITOR", [40] = "PAUSE",
	[41] = "VM-entry failure: machine check", [43] = "TPR below threshold", [44] = "APIC access",
	[45] = "Virtualized EOI", [46] = "Access to GDTR or IDTR", [47] = "Access to LDTR or TR",
	[48] = "EPT violation", [49] = "EPT misconfiguration", [50] = "INVEPT", [51] = "RDTSCP",
	[52] = "VMX-preemption timer expired", [53] = "INVVPID", [54] = "WBINVD or WBNOINVD", [55] = "XSETBV",
	[56] = "APIC write", [57] = "RDRAND", [58] = "INVPCID", [59] = "VMFUNC", [60] = "ENCLS", [61] = "RDSEED",
	[62] = "Page-modification log full", [63] = "XSAVES", [64] = "XRSTORS", [65] = "PCONFIG",
	[66] = "SPP-related event", [67] = "UMWAIT", [68] = "TPAUSE", [69] = "LOADIWKEY", [70] = "ENCLV",
	[72] = "ENQCMD PASID translation failure", [73] = "ENQCMDS PASID translation failure", [74] = "Bus lock",
	[75] = "Instruction timeout", [76] = "SEAMCALL", [77] = "TDCALL", [78] = "RDMSRLIST", [79] = "WRMSRLIST",
};

static const struct {
	const char *name;
	const char *text;
} counters[] = {
	[AVMM_COUNT_NMI_CAUGHT] = { "nmi_caught", "NMIs taken for the service" },
	[AVMM_COUNT_NMI_INJECTED] = { "nmi_injected", "NMIs given to the service" },
	[AVMM_COUNT_MC_CAUGHT] = { "mc_caught", "machine checks passed on" },
	[AVMM_COUNT_STRAY_WRITE] = { "stray_write", "pages of monitor memory written to" },
	[AVMM_COUNT_UNKNOWN_MSR] = { "unknown_msr", "unknown MSRs, answered by #GP" },
	[AVMM_COUNT_UD] = { "ud", "#UD for VMX instructions and such" },
	[AVMM_COUNT_GP] = { "gp", "#GP for refused CR, XCR and MSR values" },
	[AVMM_COUNT_UNKNOWN_EXIT] = { "unknown_exit", "exits for unknown reasons" },
	[AVMM_COUNT_MESSAGE] = { "message", "interrupts raised for the module" },
};

_Static_assert(COUNT(counters) == AVMM_COUNTERS, "every counter needs a name here and in the man page");

static const char *const cpu_states[] = {
	[AVMM_CPU_NATIVE] = "native",
	[AVMM_CPU_SERVICE] = "service",
	[AVMM_CPU_WAIT_SIPI] = "wait-sipi",
	[AVMM_CPU_USER] = "user",
	[AVMM_CPU_DEAD] = "dead",
};

static const char *const machine_states[] = { "loaded", "launched", "partly-launched" };

static const char *const partition_states[] = {
	[AVMM_PARTITION_NONE] = "none",
	[AVMM_PARTITION_CREATED] = "created",
	[AVMM_PARTITION_RUNNING] = "running",
	[AVMM_PARTITION_PAUSED] = "paused",
	[AVMM_PARTITION_OFF] = "off",
};

static const struct {
	const char *name;
	const char *text;
} partition_reasons[] = {
	[AVMM_REASON_NONE] = { "none", "it did not go off" },
	[AVMM_REASON_POWER_OFF] = { "power-off", "the guest powered itself off" },
	[AVMM_REASON_RESET] = { "reset", "it was reset" },
	[AVMM_REASON_TRIPLE_FAULT] = { "triple-fault", "triple fault" },
	[AVMM_REASON_ENTRY_FAILED] = { "entry-failed", "the CPU refused the guest's state" },
	[AVMM_REASON_FORCED] = { "forced", "it was stopped by force" },
}, partition_counters[] = {
	[AVMM_PARTITION_COUNT_IO] = { "io", "port accesses answered" },
	[AVMM_PARTITION_COUNT_MMIO] = { "mmio", "accesses to devices' memory" },
	[AVMM_PARTITION_COUNT_UNKNOWN_MSR] = { "unknown_msr", "unknown MSRs, answered by #GP" },
	[AVMM_PARTITION_COUNT_STRAY] = { "stray", "accesses to memory that nobody owns" },
	[AVMM_PARTITION_COUNT_INJECTED] = { "injected", "interrupts that the monitor gave to the guest" },
	[AVMM_PARTITION_COUNT_SWITCHES] = { "switches", "world switches into the user partition" },
	[AVMM_PARTITION_COUNT_DISK_MESSAGES] = { "disk_messages", "disk commands that went to the service" },
	[AVMM_PARTITION_COUNT_DISK_CALLS] = { "disk_calls", "answers to them" },
	[AVMM_PARTITION_COUNT_YIELDS] = { "yields", "times that spinning vCPUs let vCPU 0 in" },
	[AVMM_PARTITION_COUNT_FLASH] = { "flash", "writes to firmware's variables" },
};

_Static_assert(COUNT(partition_counters) == AVMM_PARTITION_COUNTERS,
	       "every counter needs a name here and in the man page");

static const char *const disk_counters[AVMM_DISK_COUNTERS] = {
	[AVMM_DISK_COUNT_READS] = "reads",
	[AVMM_DISK_COUNT_WRITES] = "writes",
	[AVMM_DISK_COUNT_FLUSHES] = "flushes",
	[AVMM_DISK_COUNT_DISCARDS] = "discards",
	[AVMM_DISK_COUNT_SECTORS_READ] = "sectors_read",
	[AVMM_DISK_COUNT_SECTORS_WRITTEN] = "sectors_written",
	[AVMM_DISK_COUNT_ERRORS] = "errors",
};

const char *exit_reason_name(u32 reason, char *buf, size_t size)
{
	if (reason < COUNT(exit_reasons) && exit_reasons[reason])
		return exit_reasons[reason];
	snprintf(buf, size, "reason %u", reason);
	return buf;
}

const char *counter_name(u32 counter)
{
	return counter < COUNT(counters) ? counters[counter].name : NULL;
}

const char *counter_text(u32 counter)
{
	return counter < COUNT(counters) ? counters[counter].text : NULL;
}

const char *cpu_state_name(u32 state)
{
	return state < COUNT(cpu_states) && cpu_states[state] ? cpu_states[state] : "unknown";
}

const char *machine_state_name(u32 state)
{
	return state < COUNT(machine_states) ? machine_states[state] : "unknown";
}

const char *partition_state_name(u32 state)
{
	return state < COUNT(partition_states) ? partition_states[state] : "unknown";
}

const char *partition_reason_name(u32 reason)
{
	return reason < COUNT(partition_reasons) ? partition_reasons[reason].name : "unknown";
}

const char *partition_reason_text(u32 reason)
{
	return reason < COUNT(partition_reasons) ? partition_reasons[reason].text : "for an unknown reason";
}

const char *partition_counter_name(u32 counter)
{
	return counter < COUNT(partition_counters) ? partition_counters[counter].name : NULL;
}

const char *disk_counter_name(u32 counter)
{
	return counter < COUNT(disk_counters) ? disk_counters[counter] : NULL;
}

const char *partition_counter_text(u32 counter)
{
	return counter < COUNT(partition_counters) ? partition_counters[counter].text : NULL;
}
