// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl nbd connect */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <netlink/errno.h>
#include "manager.h"
#include "nbd.h"

#define TIMEOUT_DEFAULT	10
#define TIMEOUT_MAX	3600
#define BUSY_TRIES	20	/* of 100 ms: whoever looked at the device that was there before closes it soon */

struct connect_options {
	struct link_options link;
	int index;
	u32 timeout;
	u32 connections;
	bool read_only;
	bool foreground;
};

enum { OPTION_TLS = 256, OPTION_CERTIFICATES, OPTION_PSK, OPTION_USER };

static const struct option options[] = {
	{ "device", required_argument, NULL, 'd' },
	{ "connections", required_argument, NULL, 'c' },
	{ "timeout", required_argument, NULL, 't' },
	{ "read-only", no_argument, NULL, 'r' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "tls", no_argument, NULL, OPTION_TLS },
	{ "tls-certificates", required_argument, NULL, OPTION_CERTIFICATES },
	{ "tls-psk", required_argument, NULL, OPTION_PSK },
	{ "tls-user", required_argument, NULL, OPTION_USER },
	COMMON_OPTIONS
};

static int parse_number(const struct command *self, const char *option, u32 max, u32 *number)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(optarg, &end, 10);
	if (errno || end == optarg || *end || value < 1 || value > (long)max)
		return usage_error(self, "--%s %s: a number from 1 to %u", option, optarg, max);
	*number = (u32)value;
	return GO_ON;
}

static int one_option(const struct command *self, int c, char **argv, struct connect_options *o)
{
	int status = GO_ON;

	switch (c) {
	case 'd':
		o->index = parse_device(optarg);
		return o->index < 0 ? usage_error(self, "--device %s: is no /dev/nbdN", optarg) : GO_ON;
	case 'c':
		return parse_number(self, "connections", NBD_CONNECTIONS_MAX, &o->connections);
	case 't':
		return parse_number(self, "timeout", TIMEOUT_MAX, &o->timeout);
	case 'r':
		o->read_only = true;
		break;
	case 'f':
		o->foreground = true;
		break;
	case OPTION_TLS:
		o->link.tls = true;
		break;
	case OPTION_CERTIFICATES:
		o->link.tls_certificates = optarg;
		break;
	case OPTION_PSK:
		o->link.tls_psk = optarg;
		break;
	case OPTION_USER:
		o->link.tls_user = optarg;
		break;
	default:
		common_option(self, c, argv, &status);
	}
	/* What tells how to do it says that it is to be done. */
	o->link.tls |= c > OPTION_TLS;
	return status;
}

static int parse_options(const struct command *self, int argc, char **argv, struct connect_options *o)
{
	int c, status;

	while ((c = getopt_long(argc, argv, NBD_LETTERS, options, NULL)) != -1) {
		status = one_option(self, c, argv, o);
		if (status != GO_ON)
			return status;
	}
	if (optind == argc)
		return usage_error(self, "%s: which export? For example nbd://server/disk", self->name);
	o->link.uri = argv[optind];
	if (optind + 1 < argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind + 1]);
	return GO_ON;
}

/* Makes the connections; fds are theirs. The first one says what the export is, the others must say the same. */
static int make_links(struct manager *manager, const struct connect_options *o, int *fds)
{
	static struct link_report report;
	char why[512];
	u32 i, count = o->connections;

	for (i = 0; i < count; i++) {
		fds[i] = link_make(&o->link, &report);
		if (fds[i] < 0)
			return fail("%s", report.text);
		if (!i) {
			manager->record.export = report.export;
			if (count > 1 && !(report.export.flags & NBD_CAN_MULTI_CONN)) {
				notice("the export allows one connection only");
				count = 1;
			}
		} else if (export_compare(&manager->record.export, &report.export, report.export.flags, why,
					  sizeof(why)) != EXPORT_SAME) {
			return fail("the connections lead to different disks: %s", why);
		}
	}
	manager->record.connections = count;
	return EXIT_DONE;
}

/* What the kernel is told of the export. */
static struct kernel_device describe_device(struct nbd_record *record, const struct connect_options *o)
{
	record->block_size = export_block_size(&record->export);
	record->flags = record->export.flags;
	record->flags |= o->read_only ? NBD_READ_ONLY : 0;
	if (record->connections == 1)
		record->flags &= ~(u32)NBD_CAN_MULTI_CONN;
	record->timeout = o->timeout;
	if (record->export.size % record->block_size)
		notice("the last %" PRIu64 " bytes of the export are no whole block and cannot be used",
		       record->export.size % record->block_size);
	return (struct kernel_device){
		.index = o->index,
		.size = record->export.size / record->block_size * record->block_size,
		.block_size = record->block_size,
		.timeout = record->timeout,
		.flags = record->flags,
		.backend = record->backend,
	};
}

static int hand_over(struct manager *manager, const struct kernel_device *device, const int *fds)
{
	static const struct timespec pause = { .tv_nsec = 100000000 };
	struct nbd_record *record = &manager->record;
	int tries, ret;

	for (tries = 0; tries < BUSY_TRIES; tries++) {
		ret = kernel_connect(&manager->kernel, device, fds, record->connections, &record->index);
		if (ret != -NLE_BUSY)
			break;
		nanosleep(&pause, NULL);
	}
	if (ret == -NLE_BUSY)
		return fail("/dev/nbd%d is busy: somebody else has connected it, or has it open", device->index);
	if (ret == -NLE_PERM)
		return fail("permission denied: this needs root (CAP_SYS_ADMIN)");
	return ret ? fail("the kernel's nbd driver refused: %s", nl_geterror(ret)) : EXIT_DONE;
}

/* Becomes the manager of device INDEX. */
static int lock_device(struct manager *manager, int index)
{
	int holder = 0;

	manager->lock = record_lock(NBD_RUN_DIR, index, &holder);
	if (manager->lock >= 0)
		return EXIT_DONE;
	if (manager->lock == -EWOULDBLOCK)
		return fail("/dev/nbd%d is managed by process %d already", index, holder);
	return fail("cannot lock %s/nbd%d.lock: %s", NBD_RUN_DIR, index, strerror(-manager->lock));
}

static int connect_anew(struct manager *manager, const struct connect_options *o)
{
	struct kernel_device device;
	int fds[NBD_CONNECTIONS_MAX], status;
	u32 i;

	status = make_links(manager, o, fds);
	if (status)
		return status;
	device = describe_device(&manager->record, o);
	status = hand_over(manager, &device, fds);
	if (status)
		return status;
	if (manager->lock < 0)
		status = lock_device(manager, manager->record.index);
	if (status)
		kernel_disconnect(&manager->kernel, manager->record.index);
	for (i = 0; i < manager->record.connections; i++) {
		manager->slots[i].alive = true;
		manager->slots[i].fd = fds[i];
	}
	manager->record.since = time(NULL);
	return status;
}

/*
 * The device is connected and its manager is gone. The kernel has the connections, we know nothing of them: each is
 * tried to be replaced, and the driver does not take a socket for one that is alive.
 */
static int take_over(struct manager *manager, struct nbd_record *former)
{
	if (strcmp(former->uri, manager->options.uri)) {
		fail("/dev/nbd%d is connected to %s", former->index, former->uri);
		record_free(former);
		return EXIT_REFUSED;
	}
	notice("/dev/nbd%d is connected, its manager is gone: taking over", former->index);
	record_free(&manager->record);
	manager->record = *former;
	return EXIT_DONE;
}

/* A device that was named may be connected already. GO_ON: it is not. */
static int look_at_device(struct manager *manager, int index)
{
	struct nbd_record former;
	bool connected = false;
	int status;

	status = lock_device(manager, index);
	if (status)
		return status;
	if (kernel_is_connected(&manager->kernel, index, &connected) || !connected)
		return GO_ON;
	if (!record_read(NBD_RUN_DIR, index, &former))
		return take_over(manager, &former);
	record_free(&former);
	/* It may be open only, which the driver does not tell apart; connecting will. */
	return GO_ON;
}

static void print_result(const struct nbd_record *record)
{
	char size[32];

	if (output_json)
		print_json(record_json(record), false);
	else
		printf("/dev/nbd%d: %s, %s%s, %u %s%s\n", record->index, record->uri,
		       format_bytes(size, sizeof(size), record->export.size),
		       record->flags & NBD_READ_ONLY ? ", read-only" : "", record->connections,
		       record->connections == 1 ? "connection" : "connections", record->export.tls ? ", TLS" : "");
}

/* The child is the manager; the parent returns when that has written its record. */
static int leave_behind(struct manager *manager)
{
	int ready[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), pid;
	char byte;

	if (null < 0 || pipe2(ready, O_CLOEXEC))
		return fail("cannot leave a manager behind: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail("cannot leave a manager behind: %s", strerror(errno));
	if (pid) {
		close(ready[1]);
		while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
			;
		manager->record.pid = pid;
		manager->record.alive = manager->record.connections;
		print_result(&manager->record);
		return EXIT_DONE;
	}
	openlog("avmm-nbd", LOG_PID, LOG_DAEMON);
	output_syslog = true;
	setsid();
	if (chdir("/") < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		notice("cannot detach: %s", strerror(errno));
	close(ready[0]);
	manager->record.pid = getpid();
	record_lock_pid(manager->lock);
	manager_tell(manager, manager->record.state, manager->record.reason);
	close(ready[1]);
	_exit(manage(manager));
}

static int stay(struct manager *manager)
{
	manager->record.pid = getpid();
	manager_tell(manager, manager->record.state, manager->record.reason);
	print_result(&manager->record);
	fflush(stdout);
	return manage(manager);
}

int nbd_connect_run(const struct command *self, int argc, char **argv)
{
	struct connect_options o = { .index = NBD_ANY_DEVICE, .timeout = TIMEOUT_DEFAULT, .connections = 1 };
	static struct manager manager = { .lock = -1 };
	int status;

	status = parse_options(self, argc, argv, &o);
	if (status != GO_ON)
		return status;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	manager.options = o.link;
	manager.record.uri = strdup(o.link.uri);
	if (!manager.record.uri || asprintf(&manager.record.backend, "avmm %s", o.link.uri) < 0)
		return fail("out of memory");
	for (status = 0; status < NBD_CONNECTIONS_MAX; status++)
		manager.slots[status].fd = NBD_UNKNOWN;
	status = kernel_open(&manager.kernel, false);
	if (!status)
		status = o.index == NBD_ANY_DEVICE ? GO_ON : look_at_device(&manager, o.index);
	if (status == GO_ON)
		status = connect_anew(&manager, &o);
	kernel_close(&manager.kernel);
	if (status)
		return status;
	return o.foreground ? stay(&manager) : leave_behind(&manager);
}
