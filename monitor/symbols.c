// SPDX-License-Identifier: GPL-2.0-only
/* Names for the addresses of a report. The table is made by scripts/monitor-symbols.sh after a first link. */
#include "core.h"

struct symbol {
	u32 offset;	/* from the start of text, ascending */
	u32 name;	/* offset into symbol_names */
};

extern const struct symbol symbol_table[];
extern const u32 symbol_count;
extern const char symbol_names[];
extern const char image_text[], image_text_end[];

/* The function that address lies in and how far; NULL when it is no monitor text. */
const char *symbol_name(u64 address, u64 *offset)
{
	u32 low = 0, high = symbol_count;
	u64 at = address - (u64)image_text;

	if (address < (u64)image_text || address >= (u64)image_text_end || !symbol_count)
		return NULL;
	while (high - low > 1) {
		u32 middle = (low + high) / 2;

		if (symbol_table[middle].offset <= at)
			low = middle;
		else
			high = middle;
	}
	*offset = at - symbol_table[low].offset;
	return symbol_names + symbol_table[low].name;
}
