// SPDX-License-Identifier: GPL-2.0-only
/* Lines of the log. */
#include <string.h>
#include "lines.h"

void lines_end(struct lines *lines)
{
	if (lines->len && !lines->skip) {
		lines->text[lines->len] = '\0';
		lines->print(lines->start, lines->text, lines->opaque);
	}
	lines->len = 0;
}

static void add_byte(struct lines *lines, char c)
{
	if (!lines->len)
		lines->start = lines->next;
	lines->next++;
	if (c != '\n') {
		lines->text[lines->len++] = c;
		if (lines->len == LINE_MAX_BYTES)
			lines_end(lines);
		return;
	}
	if (!lines->len && !lines->skip)
		lines->print(lines->start, "", lines->opaque);
	lines_end(lines);
	lines->skip = false;
}

u64 lines_add(struct lines *lines, u64 offset, const char *text)
{
	u64 lost = 0;

	/* Bytes that were seen already can only come from a module that was loaded anew: begin with it. */
	if (offset != lines->next) {
		lines_end(lines);
		lost = offset > lines->next ? offset - lines->next : 0;
		lines->skip = lost != 0;
		lines->next = offset;
	}
	while (*text)
		add_byte(lines, *text++);
	return lost;
}
