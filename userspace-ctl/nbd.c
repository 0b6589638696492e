// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl nbd: runs avmm-nbd, which is installed beside avmmctl. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "avmmctl.h"

#define PROGRAM	"avmm-nbd"

int nbd_run(const struct command *self, int argc, char **argv)
{
	char path[PATH_MAX], *arguments[argc + 2];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(PROGRAM));
	char *slash;

	(void)self;
	if (length < 0)
		return fail("/proc/self/exe: %s", strerror(errno));
	path[length] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, PROGRAM);
	memcpy(arguments, argv, (size_t)(argc + 1) * sizeof(*argv));
	arguments[0] = PROGRAM;
	if (output_json) {
		arguments[1] = "--json";
		memcpy(arguments + 2, argv + 1, (size_t)argc * sizeof(*argv));
	}
	execv(path, arguments);
	return fail("%s: %s", path, strerror(errno));
}
