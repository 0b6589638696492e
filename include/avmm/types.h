/* SPDX-License-Identifier: GPL-2.0-only */
/* Fixed-width types for code that is compiled in Linux, in the monitor and in userspace. */
#ifndef AVMM_TYPES_H
#define AVMM_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#endif

#define AVMM_PAGE_SHIFT	12
#define AVMM_PAGE_SIZE	4096ul
#define AVMM_BLOCK_SIZE	(2ul << 20)	/* monitor memory and user RAM come in blocks of 2 MiB */

#endif
