// SPDX-License-Identifier: GPL-2.0-only
/* What all commands print in the same way. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include "avmmctl.h"
#include "names.h"

#define TIMEOUT_MAX	86400

bool output_json;
bool output_syslog;

static void print_error(const char *format, va_list args)
{
	struct json_object *object;
	char *text;

	if (output_syslog) {
		vsyslog(LOG_ERR, format, args);
		return;
	}
	if (vasprintf(&text, format, args) < 0) {
		fputs("avmmctl: out of memory\n", stderr);
		return;
	}
	fprintf(stderr, "avmmctl: %s\n", text);
	if (output_json) {
		object = json_object_new_object();
		json_object_object_add(object, "error", json_object_new_string(text));
		print_json(object, true);
	}
	free(text);
}

int fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
	return EXIT_REFUSED;
}

void notice(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (output_syslog) {
		vsyslog(LOG_NOTICE, format, args);
	} else {
		fputs("avmmctl: ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
	}
	va_end(args);
}

int usage_error(const struct command *self, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
	if (self)
		fprintf(stderr, "usage: avmmctl %s %s\n", self->name, self->usage);
	else
		fputs("`avmmctl --help` lists the commands\n", stderr);
	return EXIT_USAGE;
}

bool common_option(const struct command *self, int c, char **argv, int *status)
{
	switch (c) {
	case 'j':
		output_json = true;
		return false;
	case 'h':
		printf("usage: avmmctl %s %s\n\n%s\n", self->name, self->usage, self->summary);
		*status = EXIT_DONE;
		return true;
	case ':':
		*status = usage_error(self, "%s: option %s needs a value", self->name, argv[optind - 1]);
		return true;
	default:
		if (optopt)
			*status = usage_error(self, "%s: unknown option -%c", self->name, optopt);
		else
			*status = usage_error(self, "%s: unknown option %s", self->name, argv[optind - 1]);
		return true;
	}
}

int no_options(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS };
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS, options, NULL)) != -1) {
		if (common_option(self, c, argv, &status))
			return status;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);
	return GO_ON;
}

int parse_timeout(const struct command *self, const char *text, int *seconds)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value > TIMEOUT_MAX)
		return usage_error(self, "--timeout %s: seconds, from 0 to %d", text, TIMEOUT_MAX);
	*seconds = (int)value;
	return EXIT_DONE;
}

void print_json(struct json_object *object, bool compact)
{
	int flags = compact ? JSON_C_TO_STRING_PLAIN : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;

	puts(json_object_to_json_string_ext(object, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

struct json_object *exits_json(const u64 *exits, u32 count)
{
	struct json_object *object = json_object_new_object();
	char buf[32];
	u32 i;

	for (i = 0; i < count; i++) {
		if (exits[i])
			json_object_object_add(object, exit_reason_name(i, buf, sizeof(buf)),
					       json_object_new_uint64(exits[i]));
	}
	return object;
}

struct json_object *counters_json(const u64 *counters, u32 count, const char *(*name)(u32 counter))
{
	struct json_object *object = json_object_new_object();
	u32 i;

	for (i = 0; i < count; i++)
		json_object_object_add(object, name(i), json_object_new_uint64(counters[i]));
	return object;
}

const char *format_bytes(char *buf, size_t size, u64 bytes)
{
	if (bytes >= 1u << 20)
		snprintf(buf, size, "%.1f MiB", (double)bytes / (1u << 20));
	else if (bytes >= 1u << 10)
		snprintf(buf, size, "%.1f KiB", (double)bytes / (1u << 10));
	else
		snprintf(buf, size, "%" PRIu64 " bytes", bytes);
	return buf;
}

const char *format_ticks(char *buf, size_t size, u64 ticks, u32 tsc_khz)
{
	double us = tsc_khz ? (double)ticks * 1000 / tsc_khz : 0;

	if (!tsc_khz)
		snprintf(buf, size, "%" PRIu64 " ticks", ticks);
	else if (us >= 1000)
		snprintf(buf, size, "%.1f ms", us / 1000);
	else
		snprintf(buf, size, "%.1f us", us);
	return buf;
}

bool output_is_complete(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}
