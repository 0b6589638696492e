/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the monitor's core offer to each other. */
#ifndef MONITOR_CORE_H
#define MONITOR_CORE_H

#include <avmm/boot.h>
#include <vmx/root/cpu.h>

/* init.c: the machine as the module described it. Written once, before the first launch. */
struct machine {
	u32 ncpus;
	u32 nblocks;
	u64 block[AVMM_MAX_BLOCKS];
	u32 tsc_khz;
	u32 serial_port;
	s32 panic_timeout;
	u64 linear_pt;
	u64 window_pt;
	u32 phys_bits;
	struct cpu *cpu[AVMM_MAX_CPUS];
};

extern struct machine machine;

/* heap.c: monitor memory. Only init() allocates; there is no free. */
void heap_init(u64 offset, u64 end);
void *heap_page(void);			/* zeroed, or NULL */
u64 heap_used(void);
u64 monitor_phys(const void *p);	/* of something in monitor memory */
void *monitor_virt(u64 phys);		/* NULL when it is not in monitor memory */
void monitor_unmap_page(void *p);	/* a guard page */

/* cpu.c: one CPU's tables and stacks. NULL: no memory. */
#define CPU_PAGES 10
struct cpu *cpu_create(const struct avmm_boot_info *info, u32 number, struct avmm_cpu_boot *boot);

/* fault.c */
struct fault_frame {
	u64 gpr[16];
	u64 vector;
	u64 error;
	u64 rip;
	u64 cs;
	u64 rflags;
	u64 rsp;
	u64 ss;
};

void idt_init(void);
u64 idt_base(void);

/* service.c: the service partition's memory. */
int service_init(const struct avmm_boot_info *info);
int service_build(void);		/* a step; -EAGAIN: there is more to do */
u64 service_eptp(void);

/* log.c, panic.c, symbols.c, serial.c, message.c */
void log_init(struct avmm_log *log);
void log_format(char *line, u32 size, const char *format, __builtin_va_list args);
void log_line(const char *line);
void serial_puts(const char *s);
const char *symbol_name(u64 address, u64 *offset);
void report_fault(const struct fault_frame *frame) __attribute__((noreturn));
void message_raise(struct cpu *cpu);

/* apic.c: this CPU's physical local APIC. An interrupt for the service on this CPU. */
void apic_self_ipi(u32 vector);
/* To another CPU. */
void apic_send_nmi(u32 apic_id);
void apic_send_ipi(u32 apic_id, u32 vector);
void apic_enable(bool on);	/* by software: SVR */
void apic_eoi(void);
/* The highest vector that was requested and not yet delivered; 0: none, as with an interrupt of the 8259 pair. */
u32 apic_requested(void);

/* debug.c */
s64 debug_fault(u64 which);
#ifdef AVMM_DEBUG
extern bool debug_no_grace;	/* AVMM_DEBUG_NO_GRACE */
#else
#define debug_no_grace false
#endif

/* partition.c */
void core_user_triple_fault(struct vcpu *v);

#endif
