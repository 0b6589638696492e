/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long to wait before the next try: not at all at first, then twice as long each time. A room full of machines
 * whose server starts anew must not come all at once, so each wait is somewhere in the upper half of its length.
 */
#ifndef NBD_BACKOFF_H
#define NBD_BACKOFF_H

#include <avmm/types.h>

#define BACKOFF_FIRST_MS	100
#define BACKOFF_LAST_MS		5000

struct backoff {
	u32 ms;		/* the last wait's full length; 0: none yet */
	bool tried;
};

/* Milliseconds until the next try. */
static inline u32 backoff_next(struct backoff *backoff, u32 random)
{
	if (!backoff->tried) {
		backoff->tried = true;
		return 0;
	}
	backoff->ms = backoff->ms ? backoff->ms * 2 : BACKOFF_FIRST_MS;
	if (backoff->ms > BACKOFF_LAST_MS)
		backoff->ms = BACKOFF_LAST_MS;
	return backoff->ms / 2 + random % (backoff->ms / 2 + 1);
}

static inline void backoff_reset(struct backoff *backoff)
{
	*backoff = (struct backoff){ 0 };
}

#endif
