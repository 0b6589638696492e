/* SPDX-License-Identifier: GPL-2.0-only */
/* avmmctl's files see each other through this header. */
#ifndef AVMMCTL_H
#define AVMMCTL_H

#include <json-c/json.h>
#include <avmm/types.h>

/* The exit status of every command. */
enum {
	EXIT_DONE,		/* it was done; for `check`: this machine can run AVMM */
	EXIT_REFUSED,		/* it could not be done, standard error says why */
	EXIT_USAGE,		/* the command line is wrong */
};

/* One row per command; run() gets its own name as argv[0] and returns the exit status. */
struct command {
	const char *name;
	const char *summary;
	const char *usage;	/* what follows the name, and one line per option */
	int (*run)(const struct command *self, int argc, char **argv);
};

int check_run(const struct command *self, int argc, char **argv);
int status_run(const struct command *self, int argc, char **argv);
int stats_run(const struct command *self, int argc, char **argv);
int log_run(const struct command *self, int argc, char **argv);
int start_run(const struct command *self, int argc, char **argv);
int stop_run(const struct command *self, int argc, char **argv);
int reset_run(const struct command *self, int argc, char **argv);
int pause_run(const struct command *self, int argc, char **argv);
int resume_run(const struct command *self, int argc, char **argv);
int shares_run(const struct command *self, int argc, char **argv);
int top_run(const struct command *self, int argc, char **argv);
int console_run(const struct command *self, int argc, char **argv);
int disk_run(const struct command *self, int argc, char **argv);
int device_run(const struct command *self, int argc, char **argv);
int nbd_run(const struct command *self, int argc, char **argv);

/* output.c */

/* --json was given. */
extern bool output_json;

/* This process is a daemon: what it has to say goes to syslog. */
extern bool output_syslog;

/* Says on standard error, and with --json as {"error": …} on standard output, what went wrong. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));	/* returns EXIT_REFUSED */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const struct command *self, const char *format, ...)
	__attribute__((format(printf, 2, 3)));					/* returns EXIT_USAGE */

/*
 * Options that every command has. Returns true if c, from getopt_long() with COMMON_OPTIONS, says that the command
 * is to return *status at once.
 */
#define COMMON_OPTIONS	{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
#define COMMON_LETTERS	"+:jh"
bool common_option(const struct command *self, int c, char **argv, int *status);

/* For commands that have no other options and no arguments. Returns GO_ON, or the command's exit status. */
#define GO_ON	(-1)
int no_options(const struct command *self, int argc, char **argv);

/* Seconds of a --timeout, from 0 to 86400. Returns EXIT_DONE or EXIT_USAGE. */
int parse_timeout(const struct command *self, const char *text, int *seconds);

/* Prints one object, on one line if compact, and releases it. */
void print_json(struct json_object *object, bool compact);

/* An object of the exits by reason that are not 0; of all counters by name. */
struct json_object *exits_json(const u64 *exits, u32 count);
struct json_object *counters_json(const u64 *counters, u32 count, const char *(*name)(u32 counter));

/* "3.5 MiB", "120 KiB", "17 bytes"; returns buf. */
const char *format_bytes(char *buf, size_t size, u64 bytes);

/* TSC ticks as "2.6 us", "1.7 ms"; as ticks where the rate is not known (0). Returns buf. */
const char *format_ticks(char *buf, size_t size, u64 ticks, u32 tsc_khz);

/* Success says nothing about the text that is still buffered: main() asks at the end. */
bool output_is_complete(void);

#endif
