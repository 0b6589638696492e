// SPDX-License-Identifier: GPL-2.0-only
/* Where BARs may be; see bars.h. */
#include "bars.h"

/* Neither range wraps: what could has been refused before. */
bool bars_overlap(u64 a, u64 asize, u64 b, u64 bsize)
{
	return asize && bsize && a < b + bsize && b < a + asize;
}

static bool touches(const struct bars_bar *bar, const struct bars_range *range, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (bars_overlap(bar->base, bar->size, range[i].base, range[i].size))
			return true;
	return false;
}

/* Address 0 is where BARs are before anybody has placed them. */
static bool inside(const struct bars_bar *bar, u64 end)
{
	return bar->base && !(bar->base & (bar->size - 1)) && bar->size <= end && bar->base <= end - bar->size;
}

static bool allowed(const struct bars_bar *bars, unsigned int n, const struct bars_space *space)
{
	const struct bars_bar *bar = &bars[n];
	unsigned int i;

	if (!inside(bar, bar->io ? BARS_PORTS : space->memory_end))
		return false;
	if (bar->io ? touches(bar, space->ports, space->nports) : touches(bar, space->memory, space->nmemory))
		return false;
	for (i = 0; i < n; i++)
		if (bars[i].io == bar->io && bars[i].place != BARS_NOWHERE &&
		    bars_overlap(bar->base, bar->size, bars[i].place, bars[i].size))
			return false;
	return true;
}

unsigned int bars_plan(struct bars_bar *bars, unsigned int nbars, const struct bars_space *space)
{
	unsigned int i, refused = 0;

	for (i = 0; i < nbars; i++) {
		struct bars_bar *bar = &bars[i];
		bool wanted = bar->enabled && bar->size;

		bar->place = BARS_NOWHERE;
		if (wanted && allowed(bars, i, space))
			bar->place = bar->base;
		refused += wanted && bar->place == BARS_NOWHERE;
	}
	return refused;
}
