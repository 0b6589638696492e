/* SPDX-License-Identifier: GPL-2.0-only */
/* Names that kernels have changed, by what the build probes found (module/probe.mk). */
#ifndef VMX_LAUNCH_OBJTOOL_COMPAT_H
#define VMX_LAUNCH_OBJTOOL_COMPAT_H

#include <asm/nospec-branch.h>

#ifdef AVMM_HAVE_UNWIND_HINT_UNDEFINED
#define AVMM_UNWIND_HINT UNWIND_HINT_UNDEFINED
#else
#define AVMM_UNWIND_HINT UNWIND_HINT_EMPTY
#endif

/* RET is the kernel's macro where return thunks are in use. */
#define AVMM_RET RET

#endif
