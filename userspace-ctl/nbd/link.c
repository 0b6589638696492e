// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <libnbd.h>
#include "link.h"
#include "proxy.h"

#define CHANNEL		3		/* the child's only descriptor besides standard ones */
#define KEEPALIVE_IDLE	10		/* seconds of silence until the server is asked whether it is there, */
#define KEEPALIVE_EVERY	5		/* seconds between questions, */
#define KEEPALIVE_TRIES	3		/* and how many may remain without an answer */

/* libnbd begins its messages with the function that was called, and repeats the errno at the end. */
static void explain(struct link_report *report, const struct link_options *options)
{
	const char *text = nbd_get_error(), *colon = text ? strstr(text, ": ") : NULL;

	report->failed = true;
	if (colon && !strncmp(text, "nbd_", 4))
		text = colon + 2;
	snprintf(report->text, sizeof(report->text), "%.200s: %.280s", options->uri, text ? text : "no connection");
}

static int configure(struct nbd_handle *handle, const struct link_options *options)
{
	return nbd_set_opt_mode(handle, true) ||
	       nbd_set_full_info(handle, true) ||
	       /* the kernel reads simple replies only */
	       nbd_set_request_structured_replies(handle, false) ||
	       nbd_set_uri_allow_local_file(handle, true) ||
	       (options->tls && nbd_set_tls(handle, LIBNBD_TLS_REQUIRE)) ||
	       (options->tls_certificates && nbd_set_tls_certificates(handle, options->tls_certificates)) ||
	       (options->tls_psk && nbd_set_tls_psk_file(handle, options->tls_psk)) ||
	       (options->tls_user && nbd_set_tls_username(handle, options->tls_user));
}

/* What libnbd says when it is TLS that the two sides do not agree about tells nothing of it. */
static void explain_tls(struct link_report *report, struct nbd_handle *handle, const struct link_options *options)
{
	if (nbd_get_tls_negotiated(handle) > 0)
		return;
	if (nbd_get_tls(handle) == LIBNBD_TLS_REQUIRE && strstr(report->text, "connection is closed"))
		snprintf(report->text, sizeof(report->text), "%.200s: the server does not speak TLS, and it was asked for",
			 options->uri);
	else if (nbd_get_errno() == ENOTSUP)
		snprintf(report->text, sizeof(report->text), "%.200s: the server wants TLS: say nbds:// or --tls",
			 options->uri);
}

static int add_name(void *opaque, const char *name, const char *description)
{
	char *list = opaque;
	size_t used = strlen(list);

	(void)description;
	if (used < 150)
		snprintf(list + used, 200 - used, "%s`%.40s`", used ? ", " : "", name);
	return 0;
}

/* It has another name more often than not: say which there are. */
static void explain_export(struct link_report *report, struct nbd_handle *handle, const struct link_options *options)
{
	char list[200] = "", *name;

	explain(report, options);
	explain_tls(report, handle, options);
	if (nbd_get_errno() != ENOENT || nbd_aio_is_negotiating(handle) <= 0 ||
	    nbd_opt_list(handle, (nbd_list_callback){ .callback = add_name, .user_data = list }) < 0)
		return;
	name = nbd_get_export_name(handle);
	snprintf(report->text, sizeof(report->text), "%.200s: the server has no export `%.60s`; it has %s", options->uri,
		 name ? name : "", list[0] ? list : "none that it tells of");
	free(name);
}

static void copy_string(char *to, char *from)
{
	snprintf(to, NBD_STRING_MAX + 1, "%s", from ? from : "");
	free(from);
}

static void describe(struct nbd_handle *handle, struct nbd_export *export)
{
	static const struct {
		int (*has)(struct nbd_handle *handle);
		u32 flag;
	} abilities[] = {
		{ nbd_is_read_only, NBD_READ_ONLY }, { nbd_can_flush, NBD_CAN_FLUSH }, { nbd_can_fua, NBD_CAN_FUA },
		{ nbd_is_rotational, NBD_ROTATIONAL }, { nbd_can_trim, NBD_CAN_TRIM }, { nbd_can_zero, NBD_CAN_ZERO },
		{ nbd_can_multi_conn, NBD_CAN_MULTI_CONN },
	};
	int64_t size = nbd_get_size(handle), block = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
	size_t i;

	export->size = size > 0 ? (u64)size : 0;
	export->min_block = block > 0 ? (u32)block : 1;
	export->flags = NBD_HAS_FLAGS;
	for (i = 0; i < sizeof(abilities) / sizeof(abilities[0]); i++)
		export->flags |= abilities[i].has(handle) > 0 ? abilities[i].flag : 0;
	export->tls = nbd_get_tls_negotiated(handle) > 0;
	/* A server need not tell the name that it goes by, and then it is the one that was asked for. */
	copy_string(export->name, nbd_get_canonical_export_name(handle) ?: nbd_get_export_name(handle));
	copy_string(export->description, nbd_get_export_description(handle));
}

static int read_label(struct nbd_handle *handle, struct nbd_export *export)
{
	u64 block = export->min_block > NBD_SECTOR ? export->min_block : NBD_SECTOR;
	u64 bytes = export->size < NBD_LABEL_BYTES ? export->size / block * block : NBD_LABEL_BYTES;
	u8 data[NBD_LABEL_BYTES] = { 0 };

	if (bytes && nbd_pread(handle, data, bytes, 0, 0) < 0)
		return -1;
	export->label = label_find(data, sizeof(data));
	return 0;
}

/* A link that is down says so only when something is sent; an idle disk sends nothing. */
static void keep_alive(int socket)
{
	static const int on = 1, idle = KEEPALIVE_IDLE, every = KEEPALIVE_EVERY, tries = KEEPALIVE_TRIES;

	/* Not for a local socket, where they fail and nothing is lost. */
	(void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void negotiate(struct nbd_handle *handle, const struct link_options *options, struct link_report *report)
{
	if (configure(handle, options) || nbd_connect_uri(handle, options->uri)) {
		explain(report, options);
		explain_tls(report, handle, options);
		return;
	}
	/* A server of the oldest kind has no options to negotiate, and is ready. */
	if (nbd_aio_is_negotiating(handle) > 0 && nbd_opt_go(handle)) {
		explain_export(report, handle, options);
		return;
	}
	describe(handle, &report->export);
	if (report->export.size && read_label(handle, &report->export)) {
		explain(report, options);
		return;
	}
	keep_alive(nbd_aio_get_fd(handle));
}

static bool send_report(const struct link_report *report, int socket)
{
	struct iovec data = { .iov_base = (void *)report, .iov_len = sizeof(*report) };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (socket >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &socket, sizeof(int));
	}
	return sendmsg(CHANNEL, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*report);
}

/* The disk's own writeback may run through this process: it must not wait for memory that waits for the disk. */
static void stay_in_memory(void)
{
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

/* Whoever reads what the command prints must not wait for the end of the proxy. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR), fd;

	for (fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static void proxy(struct nbd_handle *handle, struct link_report *report)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		report->failed = true;
		snprintf(report->text, sizeof(report->text), "no sockets for the TLS proxy: %s", strerror(errno));
		send_report(report, -1);
		return;
	}
	prctl(PR_SET_NAME, "avmm-nbd-tls");
	stay_in_memory();
	if (!send_report(report, pair[0]))
		return;
	close(pair[0]);
	close(CHANNEL);
	detach();
	proxy_run(handle, pair[1]);
}

/*
 * Signals as at the beginning of a program, and no descriptor but the channel: the manager's lock must not live on in
 * a proxy.
 */
_Noreturn static void child(int channel, const struct link_options *options)
{
	static struct link_report report;
	struct nbd_handle *handle;
	sigset_t none;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(channel, CHANNEL) < 0 || close_range(CHANNEL + 1, ~0U, 0))
		_exit(1);
	setsid();
	handle = nbd_create();
	if (!handle) {
		explain(&report, options);
		send_report(&report, -1);
		_exit(1);
	}
	negotiate(handle, options, &report);
	if (!report.failed && report.export.tls)
		proxy(handle, &report);
	else
		send_report(&report, report.failed ? -1 : nbd_aio_get_fd(handle));
	_exit(0);	/* without nbd_close(), for the connection goes on */
}

int link_start(struct link_attempt *attempt, const struct link_options *options)
{
	int pair[2], pid;

	attempt->channel = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		pid = -errno;
		close(pair[0]);
		close(pair[1]);
		return pid;
	}
	if (!pid)
		child(pair[1], options);
	close(pair[1]);
	attempt->channel = pair[0];
	attempt->pid = pid;
	return 0;
}

static int receive(int channel, struct link_report *report, int *socket)
{
	struct iovec data = { .iov_base = report, .iov_len = sizeof(*report) };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	ssize_t size;

	do {
		size = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	} while (size < 0 && errno == EINTR);
	header = CMSG_FIRSTHDR(&message);
	if (size > 0 && header && header->cmsg_type == SCM_RIGHTS)
		memcpy(socket, CMSG_DATA(header), sizeof(int));
	return size == (ssize_t)sizeof(*report) ? 0 : -1;
}

/* True if nobody could use such an export; the report says why. */
static bool useless(struct link_report *report)
{
	if (!report->export.size)
		snprintf(report->text, sizeof(report->text), "the export `%.200s` is empty: its size is 0",
			 report->export.name);
	else if (!export_block_size(&report->export))
		snprintf(report->text, sizeof(report->text), "the server wants blocks of %u bytes, the kernel takes "
			 "powers of two from 512 to 4096", report->export.min_block);
	else if (report->export.size < export_block_size(&report->export))
		snprintf(report->text, sizeof(report->text), "the export is smaller than a block");
	else
		return false;
	report->failed = true;
	return true;
}

/* A server's words end, and tell a terminal nothing. */
static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			*text = '?';
	}
}

/* The child of a TLS connection lives on, and is nobody's to wait for: the parent ignores SIGCHLD. */
int link_finish(struct link_attempt *attempt, struct link_report *report)
{
	int socket = -1;

	memset(report, 0, sizeof(*report));
	if (receive(attempt->channel, report, &socket)) {
		report->failed = true;
		snprintf(report->text, sizeof(report->text), "the connecting process ended without a word");
	}
	close(attempt->channel);
	attempt->channel = -1;
	clean(report->text, sizeof(report->text));
	clean(report->export.name, sizeof(report->export.name));
	clean(report->export.description, sizeof(report->export.description));
	if (!report->failed && !useless(report))
		return socket;
	if (socket >= 0)
		close(socket);
	return -1;
}

void link_abort(struct link_attempt *attempt)
{
	if (attempt->channel < 0)
		return;
	kill(attempt->pid, SIGKILL);
	close(attempt->channel);
	attempt->channel = -1;
}

int link_make(const struct link_options *options, struct link_report *report)
{
	struct link_attempt attempt;
	struct pollfd polled = { .events = POLLIN };
	int ret = link_start(&attempt, options);

	memset(report, 0, sizeof(*report));
	report->failed = true;
	if (ret) {
		snprintf(report->text, sizeof(report->text), "no process to connect with: %s", strerror(-ret));
		return -1;
	}
	polled.fd = attempt.channel;
	do {
		ret = poll(&polled, 1, LINK_TIMEOUT * 1000);
	} while (ret < 0 && errno == EINTR);
	if (ret > 0)
		return link_finish(&attempt, report);
	link_abort(&attempt);
	snprintf(report->text, sizeof(report->text), "%.200s: no answer within %d seconds", options->uri, LINK_TIMEOUT);
	return -1;
}
