/* SPDX-License-Identifier: GPL-2.0-only */
/* direct.c: devices that the user partition drives itself. */
#ifndef MONITOR_DIRECT_H
#define MONITOR_DIRECT_H

#include <avmm/types.h>

struct partition;

/* Hypercalls: 0 or a negative errno. */
s64 direct_add(u64 device_phys);		/* before the start */
s64 direct_interrupt(u64 number, u64 message);	/* 0: the machine's line is up, and masked; n: message n - 1 has come */
s64 direct_mastering(u64 number, u64 has);	/* AVMM_WANTS_*: so it is now, as the guest wanted */

/* A partition is created and has none; its platform is there; the vCPUs will not run any more. */
void direct_reset(void);
void direct_start(struct partition *p);
void direct_stop(void);

/*
 * platform.unsettled: the guest has moved a BAR, or a local APIC, or wants bus mastering otherwise, and no vCPU goes on that
 * has seen it. On the shared CPU, without the lock: done, or the partition is held until the module has done the rest.
 */
void direct_settle(void);
void direct_apic_moved(void);	/* by the vCPU whose exit this is */

/* Two pages for the VMCS, physical; 0: every port exits. */
u64 direct_io_bitmap(void);
bool direct_need_io_bitmap(void);	/* before direct_pass_ports(); false: there is no memory for it */
void direct_pass_ports(u64 first, u64 count, bool pass);

/* Is any of that physical memory the monitor's? */
bool direct_is_monitors(u64 base, u64 size);

/* The guest has finished an interrupt of this IRQ. */
void direct_irq_done(struct partition *p, u32 irq);

/* service.c: the service's memory loses a range, or gets it back. False: no page table is left. */
bool service_lend(u64 base, u64 size);
void service_return(u64 base, u64 size);

#endif
