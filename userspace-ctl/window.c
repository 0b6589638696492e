// SPDX-License-Identifier: GPL-2.0-only
/* Where an identity window may be; see window.h. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "window.h"

#define LOW_END	(16ull << 20)	/* below: firmware's, ISA DMA's */

static u64 min(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* The highest place for size bytes in [first, end); false: none. *room: the most that fits. */
static bool fits(u64 first, u64 end, u64 size, u64 *base, u64 *room)
{
	first = (first < LOW_END ? LOW_END : first) + WINDOW_ALIGN - 1;
	first -= first % WINDOW_ALIGN;
	end = min(end, WINDOW_END);
	end -= end % WINDOW_ALIGN;
	if (end <= first)
		return false;
	if (end - first > *room)
		*room = end - first;
	if (end - first < size)
		return false;
	*base = end - size;
	return true;
}

/* "512M", "0x20000000": as the kernel's memparse() reads it. */
static const char *parse_bytes(const char *text, u64 *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)*text))
		return NULL;
	*bytes = strtoull(text, &end, 0);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (!unit)
		return end;
	*bytes <<= 10 * (unit - units + 1);
	return end + 1;
}

/* memmap=SIZE$BASE on the command line, maybe several with commas. The first that is large enough. */
static bool reserved(const char *cmdline, u64 *size, u64 *base)
{
	const char *at = cmdline;

	while ((at = strstr(at, "memmap="))) {
		bool word = at == cmdline || at[-1] == ' ';

		for (at += strlen("memmap="); word && at && *at && *at != ' '; at += *at == ',') {
			u64 bytes, where;
			const char *end = parse_bytes(at, &bytes);

			if (!end || *end != '$')
				break;
			at = parse_bytes(end + 1, &where);
			if (!at)
				return false;
			if (bytes >= *size && where % WINDOW_ALIGN == 0) {
				*size = bytes;
				*base = where;
				return true;
			}
		}
		if (!at)
			return false;
	}
	return false;
}

enum window_state window_find(FILE *iomem, const char *cmdline, u64 *size, u64 *base)
{
	bool shown = false, found = false;
	u64 first, last, room = 0;
	char line[256];

	if (reserved(cmdline, size, base))
		return WINDOW_RESERVED;
	while (fgets(line, sizeof(line), iomem)) {
		/* ranges within others are indented */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " : ", &first, &last) != 2)
			continue;
		shown |= last != 0;
		if (isspace((unsigned char)line[0]) || !strstr(line, " : System RAM") || last < first)
			continue;
		found |= fits(first, last + 1, *size, base, &room);
	}
	if (!shown)
		return WINDOW_HIDDEN;
	if (!found)
		*size = room;
	return found ? WINDOW_FOUND : WINDOW_TOO_LARGE;
}
