/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The variables of UEFI firmware: a file that is the flash's content. What the guest changes is in the file a second later,
 * and in any case before the supervisor ends or loads the firmware anew. The file is replaced, never written into, and what
 * is written is what the flash held at one moment: after a crash it is one that firmware can deal with, as after a power
 * failure of a real PC.
 */
#ifndef AVMMCTL_VARIABLES_H
#define AVMMCTL_VARIABLES_H

#include "config.h"

#define VARIABLES_SECONDS	1	/* they are looked at as often as this */

struct variables {
	const char *path;		/* NULL: there are none to keep */
	u8 *saved;			/* what the file has */
	u8 *now;
	u64 size;
	u64 seen;			/* writes of the guest's, at the last look */
	int device;
	bool failing;			/* the file could not be written, and that was said */
};

/* EXIT_DONE, or EXIT_REFUSED after having said why. Makes the file from the template if it is not there. */
int variables_read(const struct config *config, u8 **data, u64 *size);

/* For the supervisor of a partition that runs. */
int variables_begin(struct variables *v, const struct config *config);
void variables_look(struct variables *v, u64 writes);	/* so many the guest has made */
void variables_save(struct variables *v);
void variables_end(struct variables *v);		/* saves first */

#endif
