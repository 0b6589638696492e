/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before every C file of the monitor: all symbols are in the image, so no access goes through a GOT. */
#pragma GCC visibility push(hidden)
