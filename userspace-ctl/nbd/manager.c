// SPDX-License-Identifier: GPL-2.0-only
/*
 * The manager sleeps in poll() and looks after what woke it. A connection is known to be dead by its socket, which
 * hangs up; the driver's link-dead event serves for those that another manager made. Everything that may take long
 * (a handshake, a read of the disk) is a child's.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <linux/prctl.h>
#include <netlink/errno.h>
#include "../avmmctl.h"
#include "manager.h"

#define OBSERVE_MS	2000
#define REPLACE_TRIES	20	/* of 50 ms: the driver has not seen yet that its connection is dead */
#define REPLACE_MS	50

enum { POLL_SIGNAL, POLL_EVENT, POLL_LINK, POLL_LABEL, POLL_SLOTS };

static s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (s64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static u32 random_u32(void)
{
	return (u32)random();
}

static u32 count_alive(const struct manager *manager)
{
	u32 i, alive = 0;

	for (i = 0; i < manager->record.connections; i++)
		alive += manager->slots[i].alive;
	return alive;
}

void manager_tell(struct manager *manager, enum nbd_state state, const char *reason)
{
	struct nbd_record *record = &manager->record;
	bool news = state != record->state || strcmp(reason, record->reason);
	int ret;

	if (state != record->state)
		record->since = time(NULL);
	record->state = state;
	record->alive = count_alive(manager);
	snprintf(record->reason, sizeof(record->reason), "%s", reason);
	ret = record_write(NBD_RUN_DIR, record);
	if (ret)
		notice("cannot write %s/nbd%d.json: %s", NBD_RUN_DIR, record->index, strerror(-ret));
	if (news)
		notice("/dev/nbd%d: %s%s%s", record->index, state_name(state), reason[0] ? ": " : "", reason);
}

/* The state that follows from the slots alone. */
static enum nbd_state slots_state(const struct manager *manager)
{
	u32 alive = count_alive(manager);

	if (alive == manager->record.connections)
		return NBD_CONNECTED;
	return alive ? NBD_DEGRADED : NBD_STALLED;
}

static void slot_died(struct manager *manager, u32 slot)
{
	if (manager->slots[slot].fd >= 0)
		close(manager->slots[slot].fd);
	manager->slots[slot].fd = NBD_UNKNOWN;
	manager->slots[slot].alive = false;
	manager->next_attempt = now_ms() + backoff_next(&manager->backoff, random_u32());
	manager_tell(manager, slots_state(manager), "the connection to the server broke");
}

static int dead_slot(const struct manager *manager)
{
	u32 i;

	for (i = 0; i < manager->record.connections; i++) {
		if (!manager->slots[i].alive)
			return (int)i;
	}
	return -1;
}

int manager_replace(struct manager *manager, u32 slot, int socket)
{
	static const struct timespec pause = { .tv_nsec = REPLACE_MS * 1000000l };
	bool taken = false;
	int tries, ret = 0;

	for (tries = 0; tries < REPLACE_TRIES && !taken && !ret; tries++) {
		if (tries)
			nanosleep(&pause, NULL);
		ret = kernel_replace(&manager->kernel, manager->record.index, manager->record.backend, socket, &taken);
	}
	if (!taken)
		close(socket);
	if (ret)
		return ret;
	/* If it was not taken, the driver has all that it wants: the slot was alive. */
	manager->slots[slot].alive = true;
	manager->slots[slot].fd = taken ? socket : NBD_UNKNOWN;
	manager->record.reconnects += taken;
	return 0;
}

/* The kernel refuses the socket: because somebody else disconnected the device, or for a reason to be told. */
static void not_replaced(struct manager *manager, int error)
{
	bool connected = true;
	char reason[160];

	if (!kernel_is_connected(&manager->kernel, manager->record.index, &connected) && !connected) {
		notice("/dev/nbd%d was disconnected by somebody else", manager->record.index);
		manager->over = true;
		return;
	}
	snprintf(reason, sizeof(reason), "the kernel did not take the new connection: %s", nl_geterror(error));
	manager_tell(manager, slots_state(manager), reason);
}

/* A server answered, and SOCKET is a connection to what it has. Is it the disk that it was? */
static void reconnect(struct manager *manager, int socket, const struct nbd_export *export)
{
	enum export_change change;
	char why[512], reason[640];
	int ret;

	change = export_compare(&manager->record.export, export, manager->record.flags, why, sizeof(why));
	if (change == EXPORT_RELABELLED && manager->accept) {
		notice("/dev/nbd%d: accepted: %s", manager->record.index, why);
		manager->record.export = *export;
		change = EXPORT_SAME;
	}
	if (change != EXPORT_SAME) {
		close(socket);
		snprintf(reason, sizeof(reason), "the server has another disk now: %s", why);
		manager_tell(manager, count_alive(manager) ? NBD_DEGRADED : NBD_REFUSED, reason);
		return;
	}
	ret = manager_replace(manager, (u32)dead_slot(manager), socket);
	if (ret) {
		not_replaced(manager, ret);
		return;
	}
	if (dead_slot(manager) < 0)
		manager_tell(manager, NBD_CONNECTED, "");
	else
		manager_tell(manager, NBD_DEGRADED, manager->record.reason);
	backoff_reset(&manager->backoff);
}

static void attempt_ends(struct manager *manager, bool in_time)
{
	static struct link_report report;
	int socket = -1;

	if (in_time) {
		socket = link_finish(&manager->attempt, &report);
	} else {
		link_abort(&manager->attempt);
		snprintf(report.text, sizeof(report.text), "%.200s: no answer within %d seconds", manager->options.uri,
			 LINK_TIMEOUT);
	}
	if (socket >= 0)
		reconnect(manager, socket, &report.export);
	else
		manager_tell(manager, slots_state(manager), report.text);
	manager->accept = false;
	manager->next_attempt = now_ms() + backoff_next(&manager->backoff, random_u32());
}

static void attempt_starts(struct manager *manager)
{
	int ret = link_start(&manager->attempt, &manager->options);

	manager->attempt_until = now_ms() + LINK_TIMEOUT * 1000;
	if (!ret)
		return;
	manager_tell(manager, slots_state(manager), strerror(-ret));
	manager->next_attempt = now_ms() + BACKOFF_LAST_MS;
}

/* What was seen may be accepted, and nothing that comes later. */
static void on_signal(struct manager *manager, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		manager->over = true;
	} else if (manager->record.state == NBD_REFUSED) {
		manager->accept = true;
		manager->next_attempt = now_ms();
	}
}

/* Only for connections of a former manager's; events that were lost may have been theirs. */
static void on_events(struct manager *manager)
{
	int deaths = kernel_events(&manager->events, manager->record.index);
	u32 i;

	for (i = 0; i < manager->record.connections && deaths; i++) {
		if (!manager->slots[i].alive || manager->slots[i].fd != NBD_UNKNOWN)
			continue;
		slot_died(manager, i);
		deaths -= deaths > 0;
	}
}

static void on_label(struct manager *manager)
{
	struct nbd_label label;

	if (!observe_finish(&manager->observer, &label) || label_equal(&label, &manager->record.export.label))
		return;
	manager->record.export.label = label;
	manager_tell(manager, manager->record.state, manager->record.reason);
}

/* Milliseconds until something is to be done; -1: nothing is. Does what is due. */
static int due(struct manager *manager)
{
	s64 now = now_ms(), next = INT64_MAX;

	if (manager->attempt.channel >= 0 && now >= manager->attempt_until)
		attempt_ends(manager, false);
	if (dead_slot(manager) >= 0 && manager->attempt.channel < 0 && now >= manager->next_attempt)
		attempt_starts(manager);
	if (manager->attempt.channel >= 0)
		next = manager->attempt_until;
	else if (dead_slot(manager) >= 0)
		next = manager->next_attempt;
	if (!(manager->record.flags & NBD_READ_ONLY)) {
		if (now >= manager->next_observation) {
			manager->next_observation = now + OBSERVE_MS;
			if (count_alive(manager))
				observe_start(&manager->observer);
		}
		if (manager->next_observation < next)
			next = manager->next_observation;
	}
	now = now_ms();
	return next == INT64_MAX ? -1 : next > now ? (int)(next - now) : 0;
}

static void attend(struct manager *manager, const struct pollfd *polled)
{
	u32 i;

	if (polled[POLL_SIGNAL].revents)
		on_signal(manager, polled[POLL_SIGNAL].fd);
	for (i = 0; i < manager->record.connections; i++) {
		if (polled[POLL_SLOTS + i].revents)
			slot_died(manager, i);
	}
	if (polled[POLL_EVENT].revents)
		on_events(manager);
	if (polled[POLL_LABEL].revents)
		on_label(manager);
	if (polled[POLL_LINK].revents)
		attempt_ends(manager, true);
}

static int run(struct manager *manager, int signals)
{
	struct pollfd polled[POLL_SLOTS + NBD_CONNECTIONS_MAX];
	int timeout, ready;
	u32 i;

	while (!manager->over) {
		timeout = due(manager);
		polled[POLL_SIGNAL] = (struct pollfd){ .fd = signals, .events = POLLIN };
		polled[POLL_EVENT] = (struct pollfd){ nl_socket_get_fd(manager->events.socket), .events = POLLIN };
		polled[POLL_LINK] = (struct pollfd){ .fd = manager->attempt.channel, .events = POLLIN };
		polled[POLL_LABEL] = (struct pollfd){ .fd = manager->observer.channel, .events = POLLIN };
		for (i = 0; i < manager->record.connections; i++)
			polled[POLL_SLOTS + i] = (struct pollfd){ .fd = manager->slots[i].fd, .events = POLLRDHUP };
		ready = poll(polled, POLL_SLOTS + manager->record.connections, timeout);
		if (ready > 0)
			attend(manager, polled);
		else if (ready < 0 && errno != EINTR)
			return fail("poll: %s", strerror(errno));
	}
	return EXIT_DONE;
}

/* The record stays: the device is connected, and the next manager may want to take over. */
int manage(struct manager *manager)
{
	bool connected = true;
	sigset_t caught;
	int signals, status;

	sigemptyset(&caught);
	sigaddset(&caught, SIGTERM);
	sigaddset(&caught, SIGINT);
	sigaddset(&caught, SIGUSR1);
	sigprocmask(SIG_BLOCK, &caught, NULL);
	signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return fail("signalfd: %s", strerror(errno));
	if (kernel_open(&manager->events, true) || kernel_open(&manager->kernel, false))
		return EXIT_REFUSED;
	/* The memory that this process would need may wait for the disk that it looks after. */
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	srandom((unsigned int)(getpid() ^ now_ms()));
	manager->attempt.channel = -1;
	observe_begin(&manager->observer, manager->record.index);
	manager->next_observation = now_ms() + OBSERVE_MS;
	status = run(manager, signals);
	link_abort(&manager->attempt);
	observe_end(&manager->observer);
	if (!kernel_is_connected(&manager->kernel, manager->record.index, &connected) && !connected)
		record_remove(NBD_RUN_DIR, manager->record.index);
	return status;
}
