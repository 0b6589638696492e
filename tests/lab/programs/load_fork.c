// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm of processes: each child fills memory shared with its parent, sends pseudo-random data through a pipe, and
 * every other one executes this program again to do so. The parent checks data, memory and exit status.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define PIPE_BYTES	20000		/* several pages, not a multiple of anything */
#define SHARED_BYTES	16384

static unsigned int workers = 4;
static u64 *forks;

static void write_all(int fd, const u8 *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(99);
		data += n;
		size -= n;
	}
}

static size_t read_all(int fd, u8 *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

_Noreturn static void child_data(u64 seed, int fd)
{
	static u8 data[PIPE_BYTES];

	lab_fill(data, sizeof(data), seed);
	write_all(fd, data, sizeof(data));
	_exit(seed & 0x3f);
}

_Noreturn static void child(u64 seed, int fd, u8 *shared)
{
	char seed_text[32], fd_text[16];

	signal(SIGTERM, SIG_IGN);	/* the parent's affair, also after exec */
	signal(SIGINT, SIG_IGN);
	lab_fill(shared, SHARED_BYTES, ~seed);
	if (seed & 1) {
		snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
		snprintf(fd_text, sizeof(fd_text), "%d", fd);
		execl("/proc/self/exe", "load_fork", "--child", seed_text, fd_text, (char *)NULL);
		_exit(98);
	}
	child_data(seed, fd);
}

static void one_fork(u64 seed, u8 *shared)
{
	static u8 data[PIPE_BYTES];
	int fd[2], status;
	pid_t pid;

	if (pipe(fd))
		lab_fail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		lab_fail("fork: %s", strerror(errno));
	if (!pid) {
		close(fd[0]);
		child(seed, fd[1], shared);
	}
	close(fd[1]);
	if (read_all(fd[0], data, sizeof(data)) != sizeof(data))
		lab_fail("a pipe ended early");
	close(fd[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			lab_fail("waitpid: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != (seed & 0x3f))
		lab_fail("a child ended with wait status %#x", status);
	if (!lab_check(data, sizeof(data), seed, NULL))
		lab_fail("wrong data from a pipe");
	if (!lab_check(shared, SHARED_BYTES, ~seed, NULL))
		lab_fail("wrong data in shared memory");
}

static void work(unsigned int worker)
{
	u64 state = worker * 1000003 + 1;

	while (lab_go_on()) {
		u8 *shared = lab_shared(SHARED_BYTES);

		one_fork(lab_random(&state), shared);
		munmap(shared, SHARED_BYTES);
		forks[worker]++;
	}
}

static void option(int letter, const char *value)
{
	(void)letter;
	workers = lab_number(value, 1, 1000);
}

int main(int argc, char **argv)
{
	unsigned int i;
	u64 sum = 0;

	if (argc == 4 && !strcmp(argv[1], "--child"))
		child_data(strtoull(argv[2], NULL, 10), atoi(argv[3]));
	lab_start(argc, argv, "p:", option, "[-p WORKERS (4)]");
	forks = lab_shared(workers * sizeof(*forks));
	for (i = 0; i < workers; i++) {
		if (!fork()) {
			work(i);
			_exit(0);
		}
	}
	lab_wait_children(workers);
	for (i = 0; i < workers; i++)
		sum += forks[i];
	lab_ok("workers %u forks %llu", workers, (unsigned long long)sum);
}
