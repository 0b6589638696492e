// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl: finds the command in the table and runs it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <avmm/version.h>
#include "avmmctl.h"

static const struct command commands[] = {
	{ "check", "Tell whether this machine can run AVMM; works without the module.", "[--all] [--json]", check_run },
	{ "status", "Show the monitor, the CPUs and the partitions.", "[--json]", status_run },
	{ "start", "Start the user partition that an INI file describes, see avmm.ini(5).",
	  "[FILE] [--KEY VALUE]... [--foreground] [--json]", start_run },
	{ "stop", "Press the user partition's power button, and wait.", "[--force] [--timeout SECONDS] [--json]",
	  stop_run },
	{ "reset", "Reset the user partition: its boot image is loaded again.", "[--json]", reset_run },
	{ "pause", "Pause the user partition; its time stands still.", "[--json]", pause_run },
	{ "resume", "Let a paused user partition go on.", "[--json]", resume_run },
	{ "shares", "Show or change how the shared CPU is divided, in percent of the machine.",
	  "[--user P | --service P] [--cap-user P] [--cap-service P] [--json]", shares_run },
	{ "console", "Talk with the user partition's serial console; Ctrl-] leaves it.", "[--dump | --follow]",
	  console_run },
	{ "stats", "Show VM exits by reason, and other counts.", "[--interval SECONDS] [--cpu N] [--json]", stats_run },
	{ "top", "Show live how the shared CPU is divided, and what exits there are.",
	  "[--interval SECONDS] [--count N] [--json]", top_run },
	{ "disk", "Show the user partition's disks; put a disc into a CD-ROM drive, or take it out.",
	  "[list | attach DISK FILE | detach DISK | reset DISK FOLDER] [--json]", disk_run },
	{ "device", "Show the PCI devices; give one to the user partition, or take it back.",
	  "list | assign ADDRESS [--dma iommu | off | trusted] [--rom no] | release ADDRESS | window SIZE", device_run },
	{ "nbd", "Connect block devices to disks on NBD servers.", "connect | disconnect | status | accept ...", nbd_run },
	{ "log", "Print the monitor's log.", "[-f | --follow] [--json]", log_run },
};

#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	size_t i;

	puts("usage: avmmctl [--json] COMMAND [OPTION]...\n\nCommands:");
	for (i = 0; i < COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	puts("\n`avmmctl COMMAND --help` tells a command's options; all are in avmmctl(8).\n"
	     "Exit status: 0 done, 1 refused, 2 wrong usage.");
	return EXIT_DONE;
}

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		COMMON_OPTIONS
	};
	const struct command *command;
	int c;

	while ((c = getopt_long(argc, argv, "+:jhV", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			output_json = true;
			break;
		case 'h':
			return help();
		case 'V':
			puts("avmmctl " AVMM_VERSION);
			return EXIT_DONE;
		default:
			return usage_error(NULL, "unknown option %s", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return usage_error(NULL, "which command?");

	command = find(argv[optind]);
	if (!command)
		return usage_error(NULL, "unknown command `%s`", argv[optind]);
	argc -= optind;
	argv += optind;
	optind = 0;	/* glibc: start anew */
	return command->run(command, argc, argv);
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
