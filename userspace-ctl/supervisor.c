// SPDX-License-Identifier: GPL-2.0-only
/*
 * The supervisor. Events only wake it: what is to be done follows from the partition's state, so none can be missed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "avmmctl.h"
#include "disk.h"
#include "legacy.h"
#include "names.h"
#include "partition.h"
#include "supervisor.h"
#include "variables.h"

#define OVERLAY_SECONDS	5		/* an overlay is looked at as often as this */
#define LOCK_TRIES	50		/* of 100 ms: a supervisor whose partition is gone ends soon */

static volatile sig_atomic_t signals;
static sigset_t outside_mask;		/* signals that stay blocked while supervise() waits */

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void pause_ms(long ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

int supervisor_lock(void)
{
	int fd = open(SUPERVISOR_PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644), tries;
	char pid[16] = "";

	if (fd < 0) {
		fail("%s: %s", SUPERVISOR_PID_FILE, strerror(errno));
		return -1;
	}
	for (tries = 0; tries < LOCK_TRIES; tries++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		pause_ms(100);
	}
	if (pread(fd, pid, sizeof(pid) - 1, 0) < 0)
		pid[0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	fail("process %s holds %s: it starts or supervises a user partition", pid[0] ? pid : "?", SUPERVISOR_PID_FILE);
	close(fd);
	return -1;
}

int supervisor_announce(int lock)
{
	if (ftruncate(lock, 0) < 0 || lseek(lock, 0, SEEK_SET) < 0 || dprintf(lock, "%d\n", getpid()) < 0)
		return fail("%s: %s", SUPERVISOR_PID_FILE, strerror(errno));
	return EXIT_DONE;
}

/*
 * The file stays, empty: who waits for the lock has it open, and would lock a file that is no more if it were
 * removed.
 */
void supervisor_unlock(int lock)
{
	if (ftruncate(lock, 0) < 0)
		notice("%s: %s", SUPERVISOR_PID_FILE, strerror(errno));
	close(lock);
}

int supervisor_daemonise(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), pid;

	if (null < 0) {
		fail("/dev/null: %s", strerror(errno));
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		fail("cannot leave a supervisor behind: %s", strerror(errno));
	if (!pid) {
		openlog("avmm", LOG_PID, LOG_DAEMON);
		output_syslog = true;
		setsid();
		if (chdir("/") < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
			notice("cannot detach: %s", strerror(errno));
	}
	close(null);
	return pid;
}

void supervisor_catch_signals(void)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&blocked, caught[i]);
	sigprocmask(SIG_BLOCK, &blocked, &outside_mask);
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		sigdelset(&outside_mask, caught[i]);
		sigaction(caught[i], &action, NULL);
	}
}

/* vfio's memory is that of before until it is told: the module may have had to exchange pages that a disk still had. */
static int reload(struct connection *connection, const struct config *config, struct vfio *vfio, struct variables *variables)
{
	struct image image;
	int ret;

	notice("the guest resets: its boot image is loaded again");
	variables_save(variables);
	ret = image_open(&image, config);
	if (ret)
		return ret;
	ret = legacy_fit(connection, config, &image);
	if (!ret)
		ret = partition_reload(connection);
	if (!ret)
		ret = vfio_renew(vfio);
	if (!ret)
		ret = partition_boot(connection, &image);
	image_close(&image);
	return ret;
}

/* A signal came: the first one asks the guest, who has some time; then the axe. Returns milliseconds left, -1: axe. */
static int shut_down(struct connection *connection, const struct partition_status *partition, time_t *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!*deadline) {
		*deadline = now.tv_sec + STOP_TIMEOUT;
		if (partition->state != AVMM_PARTITION_RUNNING || partition_stop(connection, false))
			return -1;
		notice("the guest has %d seconds to shut down", STOP_TIMEOUT);
	}
	return signals > 1 || now.tv_sec >= *deadline ? -1 : (int)(*deadline - now.tv_sec) * 1000;
}

/*
 * Looks after the partition once. Returns false if it needs no supervisor any more. A guest that resets is OFF first,
 * and the module may not have told why yet: with the reason of something older, or none, an event is still to come.
 */
static bool attend(struct connection *connection, const struct config *config, struct vfio *vfio,
		   struct partition_status *partition, struct variables *variables, u32 *resets, int *status)
{
	*status = partition_get(connection, partition);
	if (*status)
		return false;
	if (partition->state == AVMM_PARTITION_NONE) {
		notice("the user partition is gone");
		return false;
	}
	if (partition->resets != *resets) {
		*resets = partition->resets;
		*status = reload(connection, config, vfio, variables);
		return !*status;
	}
	if (partition->state != AVMM_PARTITION_OFF || partition->reason == AVMM_REASON_NONE ||
	    partition->reason == AVMM_REASON_RESET)
		return true;
	notice("the user partition is off: %s", partition_reason_text(partition->reason));
	*status = partition_stop(connection, false);
	return false;
}

static int watch(struct connection *connection, struct connection *events, const struct config *config,
		 struct vfio *vfio, struct variables *variables)
{
	struct partition_status partition;
	time_t deadline = 0;
	unsigned int full = 0;
	u32 resets = 0;
	int status, wait;

	while (attend(connection, config, vfio, &partition, variables, &resets, &status)) {
		variables_look(variables, partition.counters[AVMM_PARTITION_COUNT_FLASH]);
		wait = signals ? shut_down(connection, &partition, &deadline) : -1;
		if (disks_look(config, &full) && wait < 0 && !signals)
			wait = OVERLAY_SECONDS * 1000;
		if (variables->path && !signals)
			wait = VARIABLES_SECONDS * 1000;
		if (signals && wait < 0) {
			notice("the user partition is stopped by force");
			return partition_stop(connection, true);
		}
		status = wait_event(events, wait, &outside_mask);
		if (status)
			break;
	}
	if (status)
		partition_stop(connection, true);
	return status;
}

int supervise(struct connection *connection, struct connection *events, const struct config *config, struct vfio *vfio)
{
	struct variables variables;
	int status = variables_begin(&variables, config);

	if (status)
		partition_stop(connection, true);
	else
		status = watch(connection, events, config, vfio, &variables);
	variables_end(&variables);
	return status;
}
