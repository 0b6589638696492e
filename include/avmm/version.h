/* SPDX-License-Identifier: GPL-2.0-only */
/* The version that modinfo, avmmctl and the packages show. */
#ifndef AVMM_VERSION_H
#define AVMM_VERSION_H

#define AVMM_VERSION	"0.1.0"

#endif
