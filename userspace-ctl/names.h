/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the numbers that the module tells; the JSON keys and values are these and stay as they are. */
#ifndef AVMMCTL_NAMES_H
#define AVMMCTL_NAMES_H

#include <avmm/types.h>

/* Basic exit reason, Intel SDM volume 3, appendix C; "reason N" in buf where it has no name. */
const char *exit_reason_name(u32 reason, char *buf, size_t size);

const char *counter_name(u32 counter);		/* enum avmm_counter; NULL: not known here */
const char *counter_text(u32 counter);		/* the same for people */
const char *cpu_state_name(u32 state);		/* enum avmm_cpu_state; "unknown" for others */
const char *machine_state_name(u32 state);	/* AVMM_ATTR_STATE; "unknown" for others */
const char *partition_state_name(u32 state);	/* enum avmm_partition_state; "unknown" for others */
const char *partition_reason_name(u32 reason);	/* enum avmm_partition_reason; "unknown" for others */
const char *partition_reason_text(u32 reason);
const char *partition_counter_name(u32 counter);	/* enum avmm_partition_counter; NULL: not known here */
const char *partition_counter_text(u32 counter);
const char *disk_counter_name(u32 counter);	/* enum avmm_disk_counter; NULL: not known here */

#endif
