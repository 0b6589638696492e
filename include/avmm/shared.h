/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages that the monitor shares with avmm.ko. They are ordinary Linux pages outside monitor memory. The monitor
 * only ever writes them (its own indexes are private) and never trusts what it could read there; the module maps
 * them read-only.
 *
 * Layout, in pages: the log (AVMM_LOG_PAGES), one page per possible CPU (struct avmm_cpu_stats), the user partition's
 * page, console and disk (avmm/partition.h), and last the boot information (avmm/boot.h), which the monitor forgets after
 * its init.
 */
#ifndef AVMM_SHARED_H
#define AVMM_SHARED_H

#include <avmm/types.h>

#define AVMM_LOG_PAGES		17	/* one page of header, 64 KiB of text */
#define AVMM_LOG_TEXT_SIZE	65536u	/* a power of two */
#define AVMM_EXIT_REASONS	96	/* basic exit reasons counted, Intel SDM volume 3, appendix C */

/*
 * A ring of text lines. head is the number of bytes ever written: the newest byte stands at
 * text[(head - 1) % AVMM_LOG_TEXT_SIZE]. It is stored after the bytes that it covers.
 */
struct avmm_log {
	u64 head;
	u8 pad[4088];
	char text[AVMM_LOG_TEXT_SIZE];
};

/* What a CPU counted since its launch; every field only grows, but the user's, which begin anew. */
enum avmm_counter {
	AVMM_COUNT_NMI_CAUGHT,		/* NMIs that the monitor took for the service */
	AVMM_COUNT_NMI_INJECTED,	/* NMIs that it gave to the service */
	AVMM_COUNT_MC_CAUGHT,		/* machine checks in root operation, passed on */
	AVMM_COUNT_STRAY_WRITE,		/* first writes of the service to a page of monitor memory */
	AVMM_COUNT_UNKNOWN_MSR,		/* accesses to MSRs that the policy does not name, answered by #GP */
	AVMM_COUNT_UD,			/* #UD for VMX instructions, VMCALL outside CPL 0, and such */
	AVMM_COUNT_GP,			/* #GP for refused CR, XCR and MSR values */
	AVMM_COUNT_UNKNOWN_EXIT,	/* exits with a reason that the monitor does not know */
	AVMM_COUNT_MESSAGE,		/* interrupts raised for the module */
	AVMM_COUNTERS
};

/* State of a CPU, as `avmmctl status` shows it. */
enum avmm_cpu_state {
	AVMM_CPU_NATIVE,		/* on the bare machine */
	AVMM_CPU_SERVICE,		/* runs the service partition above the monitor */
	AVMM_CPU_WAIT_SIPI,		/* service CPU between INIT and SIPI */
	AVMM_CPU_DEAD,			/* stopped after a monitor fault; the log has the report */
	AVMM_CPU_USER,			/* the user partition's alone */
};

/* What the user partition's vCPU on this CPU did since the partition began. */
struct avmm_user_stats {
	u64 exits[AVMM_EXIT_REASONS];
	u64 io_exits;			/* port accesses that devices answered */
	u64 mmio_exits;
	u64 unknown_msr;
	u64 stray;			/* accesses to memory that nobody owns */
	u64 injected;			/* interrupts given to the guest */
};

struct avmm_cpu_stats {
	u64 exits[AVMM_EXIT_REASONS];	/* of the service */
	u64 counters[AVMM_COUNTERS];
	u32 state;			/* enum avmm_cpu_state */
	u32 pad;
	struct avmm_user_stats user;
};

#endif
