// SPDX-License-Identifier: GPL-2.0-only
/* avmm-nbd, which `avmmctl nbd` runs: a program of its own, for the libraries that only it needs are large. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nbd.h"

#define INDEX_MAX	0xfffff		/* minor numbers */

static const struct command commands[] = {
	{ "nbd connect", "Connect a device to an NBD export, and keep it connected.",
	  "URI [--device DEVICE] [--connections N] [--read-only] [--timeout SECONDS]\n"
	  "       [--tls] [--tls-certificates DIR] [--tls-psk FILE] [--tls-user NAME] [--foreground] [--json]",
	  nbd_connect_run },
	{ "nbd disconnect", "Disconnect a device from its export.", "DEVICE [--force] [--json]", nbd_disconnect_run },
	{ "nbd status", "Show the connected devices.", "[DEVICE] [--json]", nbd_status_run },
	{ "nbd accept", "Take the disk that the server has now for the one that it was, whatever its label says.",
	  "DEVICE [--json]", nbd_accept_run },
};

#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	size_t i;

	puts("usage: avmmctl nbd COMMAND [OPTION]...\n\nCommands:");
	for (i = 0; i < COMMANDS; i++)
		printf("  %-14s %s\n", commands[i].name, commands[i].summary);
	puts("\n`avmmctl nbd COMMAND --help` tells a command's options; all are in avmmctl(8).");
	return EXIT_DONE;
}

int parse_device(const char *text)
{
	char *end;
	long index;

	if (!strncmp(text, "/dev/", 5))
		text += 5;
	if (!strncmp(text, "nbd", 3))
		text += 3;
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	index = strtol(text, &end, 10);
	return errno || *end || index > INDEX_MAX ? -1 : (int)index;
}

int device_options(const struct command *self, int argc, char **argv, int *index, bool *force)
{
	static const struct option options[] = { { "force", no_argument, NULL, 'f' }, COMMON_OPTIONS };
	int c, status;

	while ((c = getopt_long(argc, argv, NBD_LETTERS, force ? options : options + 1, NULL)) != -1) {
		if (c == 'f')
			*force = true;
		else if (common_option(self, c, argv, &status))
			return status;
	}
	if (optind == argc)
		return usage_error(self, "%s: which device?", self->name);
	*index = parse_device(argv[optind]);
	if (*index < 0)
		return usage_error(self, "%s: `%s` is no /dev/nbdN", self->name, argv[optind]);
	if (optind + 1 < argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind + 1]);
	return GO_ON;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS };
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS, options, NULL)) != -1) {
		if (c == 'h')
			return help();
		if (c != 'j')
			return usage_error(NULL, "nbd: unknown option %s", argv[optind - 1]);
		output_json = true;
	}
	if (optind == argc)
		return usage_error(NULL, "nbd: connect, disconnect, status or accept?");
	for (i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[optind], commands[i].name + strlen("nbd ")))
			continue;
		argc -= optind;
		argv += optind;
		optind = 0;	/* glibc: start anew */
		return commands[i].run(&commands[i], argc, argv);
	}
	return usage_error(NULL, "unknown command `nbd %s`", argv[optind]);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	if (!output_is_complete()) {
		fprintf(stderr, "avmmctl: cannot write the output: %s\n", strerror(errno));
		return EXIT_REFUSED;
	}
	return status;
}
