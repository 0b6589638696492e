/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks at the machine without the module: CPUID, MSRs, and who else uses VMX. */
#ifndef AVMMCTL_HARDWARE_H
#define AVMMCTL_HARDWARE_H

#include <vmx/caps/caps.h>

struct cpu_facts {
	struct vmx_caps_input input;
	bool above_avmm;		/* CPUID is answered by AVMM's monitor */
	char hypervisor[13];		/* signature of the hypervisor that Linux runs on, "" for none */
	char msr_problem[128];		/* why MSRs could not be read, "" if they could */
};

/* A Linux module that uses VMX. */
struct vmx_owner {
	char module[32];		/* "" if none is loaded */
	long users;			/* of the module; -1: not known, it is built in */
	bool holds;			/* it keeps CPUs in VMX operation now */
	char text[80];			/* "kvm_intel (2 users)" */
};

/* Fills cpus with the numbers of the online CPUs, at most max. Returns their count or a negative errno. */
int online_cpus(unsigned int *cpus, unsigned int max);

/* Moves this process to the CPU and reads it. Returns 0 or a negative errno. */
int read_cpu(unsigned int cpu, struct cpu_facts *facts);

void find_vmx_owner(struct vmx_owner *owner);

/* True if this kernel loads signed modules only. */
bool modules_must_be_signed(void);

#endif
