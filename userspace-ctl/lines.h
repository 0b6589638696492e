/* SPDX-License-Identifier: GPL-2.0-only */
/* Cuts the log, which comes in pieces of any length, into lines. */
#ifndef AVMMCTL_LINES_H
#define AVMMCTL_LINES_H

#include <avmm/types.h>

#define LINE_MAX_BYTES	1024	/* longer lines are printed as several */

struct lines {
	void (*print)(u64 offset, const char *text, void *opaque);	/* a line without its newline */
	void *opaque;
	u64 next;			/* offset of the byte expected next */
	u64 start;			/* offset of the unfinished line */
	size_t len;			/* bytes of it in text */
	char text[LINE_MAX_BYTES + 1];
	bool skip;			/* in the middle of a line whose beginning is lost */
};

/* Returns how many bytes between the last piece and this one are lost. */
u64 lines_add(struct lines *lines, u64 offset, const char *text);

/* Prints what has no newline at its end yet. */
void lines_end(struct lines *lines);

#endif
