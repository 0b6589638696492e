// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl console: what the guest wrote so far, and then its serial line until the escape character. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "messages.h"
#include "netlink.h"

#define ESCAPE		0x1d	/* Ctrl-] */

struct replay {
	bool started;
	u64 next;		/* offset of the byte expected next */
	u64 lost;
};

static int on_console(struct nlmsghdr *header, void *opaque)
{
	struct replay *replay = opaque;
	struct console_part part;
	int ret = parse_console(header, &part);

	if (ret || !part.size)
		return ret;
	/* What was written before the oldest byte that is kept is not lost to us: nobody expected it. */
	if (replay->started && part.offset > replay->next)
		replay->lost += part.offset - replay->next;
	replay->started = true;
	replay->next = part.offset + part.size;
	return fwrite(part.data, 1, part.size, stdout) == part.size ? 0 : -EIO;
}

/* Prints what was written since the last call, at first all that is kept. */
static int print_new(struct connection *connection, struct replay *replay)
{
	int ret = request_from(connection, AVMM_CMD_GET_CONSOLE, replay->next, on_console, replay);

	fflush(stdout);
	return ret;
}

static int dump(struct replay *replay)
{
	struct connection connection;
	int ret = connect_module(&connection);

	if (ret)
		return ret;
	ret = print_new(&connection, replay);
	disconnect(&connection);
	return ret;
}

static int write_all(int fd, const char *data, size_t size)
{
	ssize_t done;

	while (size) {
		done = write(fd, data, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		data += done;
		size -= (size_t)done;
	}
	return 0;
}

/* Copies what there is to read. Returns 1, 0 at the end (for input also after the escape), or a negative errno. */
static int copy(int from, int to, bool input)
{
	char data[4096], *escape = NULL;
	ssize_t size = read(from, data, sizeof(data));
	int ret;

	if (size < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	if (input)
		escape = memchr(data, ESCAPE, (size_t)size);
	ret = write_all(to, data, escape ? (size_t)(escape - data) : (size_t)size);
	return ret ? ret : size && !escape;
}

/* An end of the input (a script's) does not end the session: what the guest says to it is to be seen. */
static int talk(int tty)
{
	struct pollfd fds[] = { { .fd = tty, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
	int ret;

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail("cannot wait for the console: %s", strerror(errno));
		}
		if (fds[0].revents) {
			ret = copy(tty, STDOUT_FILENO, false);
			if (ret == -EIO || !ret)
				return EXIT_DONE;	/* hung up: the partition is gone */
			if (ret < 0)
				return fail("%s: %s", AVMM_CONSOLE_DEVICE, strerror(-ret));
		}
		if (fds[1].revents) {
			ret = copy(STDIN_FILENO, tty, true);
			if (ret < 0)
				return fail("cannot pass on the input: %s", strerror(-ret));
			if (!ret && isatty(STDIN_FILENO))
				return EXIT_DONE;
			if (!ret)
				fds[1].fd = -1;
		}
	}
}

/* Both ends raw: the guest's own terminal line does the echo. */
static int session(int tty)
{
	struct termios line, keyboard, raw;
	bool interactive = !tcgetattr(STDIN_FILENO, &keyboard);
	int ret;

	if (!tcgetattr(tty, &line)) {
		cfmakeraw(&line);
		line.c_cflag |= CLOCAL;
		tcsetattr(tty, TCSANOW, &line);
	}
	if (interactive) {
		fprintf(stderr, "[Ctrl-] leaves the console]\r\n");
		raw = keyboard;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	ret = talk(tty);
	if (interactive) {
		tcsetattr(STDIN_FILENO, TCSANOW, &keyboard);
		fputc('\n', stderr);
	}
	return ret;
}

static int interact(struct replay *replay)
{
	struct connection connection;
	int ret = connect_module(&connection), tty;	/* without the module the terminal's absence says little */

	if (ret)
		return ret;
	disconnect(&connection);
	tty = open(AVMM_CONSOLE_DEVICE, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return fail("%s: %s", AVMM_CONSOLE_DEVICE, strerror(errno));
	ret = dump(replay);
	if (!ret)
		ret = session(tty);
	close(tty);
	return ret;
}

/* Output only, until the reader has enough. */
static int follow(struct replay *replay)
{
	struct connection connection, events;
	int ret = connect_module(&connection);

	if (ret)
		return ret;
	ret = subscribe(&events);
	while (!ret) {
		ret = print_new(&connection, replay);
		if (ferror(stdout))
			break;
		if (!ret)
			ret = wait_event(&events, EVENT_INTERVAL, NULL);
	}
	disconnect(&events);
	disconnect(&connection);
	return ret;
}

int console_run(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dump", no_argument, NULL, 'd' },
		{ "follow", no_argument, NULL, 'f' },
		COMMON_OPTIONS
	};
	int (*how)(struct replay *replay) = interact;
	struct replay replay = { 0 };
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS "df", options, NULL)) != -1) {
		if (c == 'd')
			how = dump;
		else if (c == 'f')
			how = follow;
		else if (common_option(self, c, argv, &ret))
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);
	ret = how(&replay);
	if (replay.lost)
		notice("%" PRIu64 " bytes of output were overwritten by newer ones", replay.lost);
	return ret;
}
