// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends pseudo-random data to a TCP echo server and checks what comes back, in both directions at once. With -l the
 * server is a child of its own behind the loopback device.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab.h"

#define STREAM		(256u << 10)	/* bytes sent per connection */
#define SILENCE_MS	30000		/* longer than this is a lost byte */

static struct sockaddr_in server = { .sin_family = AF_INET };
static bool loopback;
static u64 connections, bytes;

_Noreturn static void echo(int connection)
{
	static u8 data[32768];

	for (;;) {
		ssize_t n = read(connection, data, sizeof(data)), done = 0;

		if (n <= 0)
			_exit(0);
		while (done < n) {
			ssize_t m = write(connection, data + done, n - done);

			if (m <= 0)
				_exit(0);
			done += m;
		}
	}
}

static void start_server(void)
{
	socklen_t len = sizeof(server);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&server, len) || listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&server, &len))
		lab_fail("loopback server: %s", strerror(errno));
	if (fork()) {
		close(listener);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection >= 0 && !fork())
			echo(connection);
		close(connection);
	}
}

static int connect_server(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server))) {
		if (errno == EINTR && !lab_go_on())
			return -1;
		lab_fail("connect: %s", strerror(errno));
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void receive(int fd, const u8 *data, size_t *received)
{
	static u8 buffer[65536];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		lab_fail("receive: %s", n ? strerror(errno) : "connection closed");
	if (*received + n > STREAM || memcmp(buffer, data + *received, n))
		lab_fail("wrong data after %zu bytes", *received);
	*received += n;
}

static void one_connection(u64 seed)
{
	static u8 data[STREAM];
	size_t sent = 0, received = 0;
	int fd = connect_server();
	u64 state = seed;

	if (fd < 0)
		return;
	lab_fill(data, STREAM, seed);
	while (received < STREAM) {
		struct pollfd p = { .fd = fd, .events = POLLIN | (sent < STREAM ? POLLOUT : 0) };
		int ready = poll(&p, 1, SILENCE_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		if (!ready)
			lab_fail("nothing for %d s, %zu bytes sent, %zu received", SILENCE_MS / 1000, sent, received);
		if (p.revents & (POLLIN | POLLHUP | POLLERR))
			receive(fd, data, &received);
		if (p.revents & POLLOUT && sent < STREAM) {
			size_t piece = 1 + lab_random(&state) % 8192;
			ssize_t n = send(fd, data + sent, piece < STREAM - sent ? piece : STREAM - sent,
					 MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n < 0 && errno != EAGAIN && errno != EINTR)
				lab_fail("send: %s", strerror(errno));
			sent += n > 0 ? n : 0;
		}
	}
	close(fd);
	connections++;
	bytes += STREAM;
}

static void option(int letter, const char *value)
{
	if (letter == 'l')
		loopback = true;
	else if (letter == 'p')
		server.sin_port = htons(lab_number(value, 1, 65535));
	else if (!inet_aton(value, &server.sin_addr))
		lab_usage();
}

int main(int argc, char **argv)
{
	u64 seed = 1;

	lab_start(argc, argv, "lh:p:", option, "-l (loopback) | -h ADDRESS -p PORT");
	if (loopback)
		start_server();
	else if (!server.sin_port || !server.sin_addr.s_addr)
		lab_usage();
	while (lab_go_on())
		one_connection(seed++);
	lab_ok("connections %llu kib %llu", (unsigned long long)connections, (unsigned long long)bytes / 1024);
}
