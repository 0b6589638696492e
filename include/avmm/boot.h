/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How avmm.ko starts the monitor's image.
 *
 * The module lays the image into blocks of contiguous memory, maps these at AVMM_MONITOR_BASE (image first, the rest
 * is the monitor's heap), the shared pages at AVMM_SHARED_BASE, and the trampoline page and every CPU's data page at
 * the addresses that they have in Linux. Then it calls the image's init() on the monitor's own page tables, again and
 * again until the answer is not -EAGAIN. init() builds everything that a CPU needs and says in avmm_cpu_boot what the
 * module has to put into the VMCS. After -ENOMEM the module may start anew with more blocks.
 */
#ifndef AVMM_BOOT_H
#define AVMM_BOOT_H

#ifdef __ASSEMBLY__
#define AVMM_ADDRESS(x)		x
#else
#include <avmm/types.h>
#define AVMM_ADDRESS(x)		x##ul
#endif

#define AVMM_MONITOR_BASE	AVMM_ADDRESS(0xffff800000000000)	/* Linux leaves this hole to hypervisors */
#define AVMM_SHARED_BASE	AVMM_ADDRESS(0xffff804000000000)
#define AVMM_WINDOW_BASE	AVMM_ADDRESS(0xffff808000000000)	/* per-CPU mapping window */
#define AVMM_APIC_BASE		AVMM_ADDRESS(0xffff80c000000000)	/* the local APIC's registers, uncached */

#define AVMM_IMAGE_MAGIC	0x314d4e4f4d4d5641ull	/* "AVMMNOM1" */
#define AVMM_MAX_BLOCKS		64
#define AVMM_MAX_CPUS		256
#define AVMM_MAX_VAR_MTRRS	32

#ifndef __ASSEMBLY__

/* The head of the image: read-only data (this header first), text, data. Sizes in bytes, whole pages. */
struct avmm_image_header {
	u64 magic;
	u64 init;		/* address of int init(struct avmm_boot_info *) */
	u64 rodata_size;	/* read */
	u64 text_size;		/* read, execute */
	u64 data_size;		/* read, write; zeroed memory included */
	u64 text_bytes;		/* of text proper, for the statistics */
};

/* The memory type registers, Intel SDM volume 3, 12.11. */
struct avmm_mtrr {
	u64 cap;		/* IA32_MTRRCAP */
	u64 def_type;		/* IA32_MTRR_DEF_TYPE */
	u64 fixed[11];		/* 64K_00000, 16K_80000, 16K_A0000, 4K_C0000 … 4K_F8000 */
	struct {
		u64 base;
		u64 mask;
	} var[AVMM_MAX_VAR_MTRRS];
};

/* An entry of an MSR-load or MSR-store area, Intel SDM volume 3, table 25-15. */
struct avmm_msr_entry {
	u32 number;
	u32 reserved;
	u64 value;
};

#define AVMM_MAX_SWITCHED_MSRS	4

/* What the monitor wants in a CPU's VMCS and registers; written by init(). */
struct avmm_cpu_boot {
	u64 vmxon_phys;
	u64 vmcs_phys;
	u64 fresh_phys;		/* a word that is 0 when the CPU is launched */
	u64 host_rip;
	u64 host_rsp;
	u64 host_gs_base;
	u64 host_tr_base;
	u64 host_gdtr_base;
	u64 host_idtr_base;
	u64 msr_store_phys;	/* area of the switched MSRs: stored at exit, loaded at entry; filled in by the launch */
	u64 msr_host_phys;	/* their values in root operation: 0 */
};

struct avmm_boot_info {
	u64 size;		/* of this structure: both sides must agree */

	/* from the module */
	u32 ncpus;		/* CPUs that may ever come, indexed by Linux's number */
	u32 nblocks;
	u64 block[AVMM_MAX_BLOCKS];	/* physical addresses of the 2 MiB blocks, the image in the first */
	u64 heap_offset;	/* first byte after image and the module's page tables */
	u64 cr3;		/* of the monitor's page tables */
	u64 linear_pt;		/* offset of the page tables that map the blocks: a page each, side by side */
	u64 window_pt;		/* offset of the page table under AVMM_WINDOW_BASE: an entry per CPU */
	u32 phys_bits;		/* physical address width, CPUID.80000008h:EAX[7:0] */
	u32 tsc_khz;
	u32 serial_port;	/* I/O port of a 16550 for fault reports, 0: none */
	s32 panic_timeout;	/* Linux's panic=: seconds to a reset after a fault, 0: never, negative: at once */
	u32 msr_count;		/* MSRs that hardware switches at exit and entry, such as IA32_PERF_GLOBAL_CTRL */
	u32 msr_number[AVMM_MAX_SWITCHED_MSRS];
	struct avmm_mtrr mtrr;
	u64 leave_page[AVMM_MAX_CPUS];	/* struct avmm_leave of each CPU: the same address on both sides */
	u64 leave_entry;	/* address of the trampoline, the same on both sides */
	u32 apic_id[AVMM_MAX_CPUS];

	/* from init() */
	u64 eptp;
	u64 msr_bitmap_phys;
	u64 heap_used;		/* bytes of monitor memory in use, image included */
	struct avmm_cpu_boot cpu[AVMM_MAX_CPUS];
};

#endif /* __ASSEMBLY__ */

#endif
