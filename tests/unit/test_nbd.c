// SPDX-License-Identifier: GPL-2.0-only
/*
 * The NBD connection manager without a kernel: labels and identity, back-off, records, messages to the driver, and
 * links to real servers (nbdkit on a local socket), with and without TLS.
 */
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <endian.h>
#include <linux/nbd.h>
#include <netlink/genl/genl.h>
#include "userspace-ctl/nbd/backoff.h"
#include "userspace-ctl/nbd/export.h"
#include "userspace-ctl/nbd/kernel.h"
#include "userspace-ctl/nbd/link.h"
#include "userspace-ctl/nbd/record.h"

#define FAMILY	30

/* avmmctl's fail(), a name that cmocka has taken. */
int avmmctl_fail(const char *format, ...) __asm__("fail");
int avmmctl_fail(const char *format, ...)
{
	fail_msg("%s", format);
	return 1;
}

/* -- labels and identity */

static void put_mbr(u8 *disk, u32 signature)
{
	u32 value = htole32(signature);

	memcpy(disk + 440, &value, 4);
	disk[510] = 0x55;
	disk[511] = 0xaa;
}

static void test_labels(void **state)
{
	static const u8 guid[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47,
				     0x7d, 0xe4 };
	u8 disk[NBD_LABEL_BYTES] = { 0 };
	struct nbd_label label;
	char text[LABEL_TEXT];
	size_t sector;

	(void)state;
	label = label_find(disk, sizeof(disk));
	assert_string_equal(label_text(&label, text), "none");
	put_mbr(disk, 0x1badb002);
	label = label_find(disk, sizeof(disk));
	assert_string_equal(label_text(&label, text), "mbr 1badb002");
	for (sector = 512; sector <= 4096; sector *= 2) {
		memset(disk + 512, 0, sizeof(disk) - 512);
		memcpy(disk + sector, "EFI PART", 8);
		memcpy(disk + sector + 56, guid, 16);
		label = label_find(disk, sizeof(disk));
		assert_string_equal(label_text(&label, text), "gpt 0FC63DAF-8483-4772-8E79-3D69D8477DE4");
		/* the disk ends before it */
		label = label_find(disk, sector + 511);
		assert_string_equal(label_text(&label, text), "mbr 1badb002");
	}
	label = label_find(disk, 511);
	assert_int_equal(label.kind, NBD_LABEL_NONE);
}

static void test_label_text_and_back(void **state)
{
	static const char *const wrong[] = { "", "gpt", "gpt ", "mbr 1badb0", "mbr 1badb00200", "mbr 1badb00g", "nonesuch",
					     "gpt 0FC63DAF-8483-4772-8E79-3D69D8477D", "mbr -" };
	struct nbd_label label, back;
	u64 random = 5;
	char text[LABEL_TEXT];
	size_t i, j;

	(void)state;
	for (i = 0; i < 300; i++) {
		label = (struct nbd_label){ .kind = i % 3 };
		for (j = 0; j < (size_t[]){ 0, 4, 16 }[i % 3]; j++)
			label.id[j] = (u8)random_u64(&random);
		assert_true(label_parse(label_text(&label, text), &back));
		assert_true(label_equal(&label, &back));
	}
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(label_parse(wrong[i], &back));
}

static struct nbd_export disk_export(void)
{
	struct nbd_export export = { .size = 1 << 30, .min_block = 1, .name = "disk", .description = "golden",
				     .flags = NBD_HAS_FLAGS | NBD_CAN_FLUSH | NBD_CAN_FUA | NBD_CAN_MULTI_CONN,
				     .label = { NBD_LABEL_MBR, { 1, 2, 3, 4 } } };

	return export;
}

#define assert_change(expected, field, value, flags, text) do {					\
	struct nbd_export was = disk_export(), is = disk_export();				\
	is.field = value;									\
	assert_int_equal(export_compare(&was, &is, flags, why, sizeof(why)), expected);		\
	assert_non_null(strstr(why, text));							\
} while (0)

static void test_identity(void **state)
{
	struct nbd_export was = disk_export(), is = disk_export();
	u32 flags = was.flags;
	char why[512] = "";

	(void)state;
	assert_int_equal(export_compare(&was, &is, flags, why, sizeof(why)), EXPORT_SAME);
	assert_change(EXPORT_CHANGED, size, 1 << 29, flags, "it was 1073741824 bytes and is 536870912");
	assert_change(EXPORT_CHANGED, size, 1u << 31, flags, "another size");
	assert_change(EXPORT_CHANGED, name[0], 'r', flags, "`disk` and is `risk`");
	assert_change(EXPORT_CHANGED, flags, flags | NBD_READ_ONLY, flags, "read-only");
	assert_change(EXPORT_CHANGED, min_block, 4096, flags, "block size");
	assert_change(EXPORT_CHANGED, flags, flags & ~(u32)NBD_CAN_FLUSH, flags, "flush");
	assert_change(EXPORT_CHANGED, flags, flags & ~(u32)NBD_CAN_MULTI_CONN, flags, "several connections");
	assert_change(EXPORT_RELABELLED, description[0], 'G', flags, "`golden` and is `Golden`");
	assert_change(EXPORT_RELABELLED, label.id[0], 9, flags, "mbr 04030201 and is mbr 04030209");
	assert_change(EXPORT_RELABELLED, label.kind, NBD_LABEL_NONE, flags, "is none");
	/* A disk used read-only may be exported so; abilities that the kernel does not use may go, and new ones come. */
	is.flags |= NBD_READ_ONLY | NBD_CAN_TRIM;
	assert_int_equal(export_compare(&was, &is, flags | NBD_READ_ONLY, why, sizeof(why)), EXPORT_SAME);
	is.flags = NBD_HAS_FLAGS;
	assert_int_equal(export_compare(&was, &is, NBD_HAS_FLAGS, why, sizeof(why)), EXPORT_SAME);
}

static void test_identity_with_long_strings(void **state)
{
	struct nbd_export was = disk_export(), is = disk_export();
	char why[512];

	(void)state;
	memset(is.description, 'x', NBD_STRING_MAX);
	assert_int_equal(export_compare(&was, &is, was.flags, why, sizeof(why)), EXPORT_RELABELLED);
	memset(is.name, 'x', NBD_STRING_MAX);
	assert_int_equal(export_compare(&was, &is, was.flags, why, sizeof(why)), EXPORT_CHANGED);
	assert_true(strlen(why) < sizeof(why));
}

static void test_block_size(void **state)
{
	static const u32 table[][2] = { { 0, 512 }, { 1, 512 }, { 512, 512 }, { 1024, 1024 }, { 4096, 4096 }, { 8192, 0 },
					{ 513, 0 }, { 3072, 0 }, { 65536, 0 } };
	struct nbd_export export = disk_export();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		export.min_block = table[i][0];
		assert_int_equal(export_block_size(&export), table[i][1]);
	}
}

static void test_backoff(void **state)
{
	static const u32 random[] = { 0, UINT32_MAX, 12345 };
	struct backoff backoff = { 0 };
	u32 i, wait, expected;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(random); i++) {
		assert_int_equal(backoff_next(&backoff, random[i]), 0);
		for (expected = BACKOFF_FIRST_MS; expected < 20 * BACKOFF_LAST_MS; expected *= 2) {
			u32 length = expected < BACKOFF_LAST_MS ? expected : BACKOFF_LAST_MS;

			wait = backoff_next(&backoff, random[i]);
			assert_in_range(wait, length / 2, length);
		}
		backoff_reset(&backoff);
	}
}

/* -- records */

static struct nbd_record full_record(void)
{
	struct nbd_record record = { .index = 3, .pid = 77, .export = disk_export(), .block_size = 512, .timeout = 10,
				     .connections = 2, .alive = 1, .reconnects = 4, .state = NBD_DEGRADED,
				     .reason = "no \"answer\"", .since = 1700000000 };

	record.flags = record.export.flags | NBD_READ_ONLY;
	record.uri = strdup("nbd://server/disk");
	record.backend = strdup("avmm nbd://server/disk");
	return record;
}

static void test_record_and_back(void **state)
{
	char dir[] = "/tmp/test_nbd.XXXXXX", path[64];
	struct nbd_record record = full_record(), back;
	int i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(record_read(path, 3, &back), -ENOENT);
	for (i = 0; i < NBD_STATES; i++) {
		record.state = i;
		assert_int_equal(record_write(path, &record), 0);
		assert_int_equal(record_read(path, 3, &back), 0);
		assert_string_equal(back.uri, record.uri);
		assert_string_equal(back.backend, record.backend);
		assert_string_equal(back.reason, record.reason);
		assert_int_equal(back.state, i);
		assert_int_equal(back.since, record.since);
		assert_memory_equal(&back.export, &record.export, sizeof(back.export));
		assert_int_equal(back.flags, record.flags);
		assert_int_equal(back.connections, 2);
		assert_int_equal(back.alive, 1);
		assert_int_equal(back.timeout, 10);
		record_free(&back);
	}
	assert_int_equal(record_read(path, 4, &back), -ENOENT);
	assert_int_equal(record_remove(path, 3), 0);
	assert_int_equal(record_remove(path, 3), 0);
	assert_int_equal(record_read(path, 3, &back), -ENOENT);
	record_free(&record);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

/* Every key is needed, and none may be of another type. */
static void test_broken_records(void **state)
{
	static const char *const optional[] = { "reason", "read_only", "multi_conn" };
	struct nbd_record record = full_record(), back;
	struct json_object *good = record_json(&record);
	size_t i;

	(void)state;
	json_object_object_foreach(good, key, value) {
		struct json_object *bad = record_json(&record);
		bool needed = true;

		(void)value;
		for (i = 0; i < ARRAY_SIZE(optional); i++)
			needed = needed && strcmp(key, optional[i]);
		json_object_object_del(bad, key);
		assert_int_equal(record_parse(bad, &back), !needed);
		record_free(&back);
		json_object_object_add(bad, key, json_object_new_array());
		assert_int_equal(record_parse(bad, &back), !needed || !strcmp(key, "tls"));
		record_free(&back);
		json_object_put(bad);
	}
	json_object_object_add(good, "size", json_object_new_int64(-1));
	assert_false(record_parse(good, &back));
	record_free(&back);
	json_object_put(good);
	record_free(&record);
}

static void test_lock(void **state)
{
	char dir[] = "/tmp/test_nbd.XXXXXX", path[64];
	int holder = 0, lock, again;

	(void)state;
	assert_non_null(mkdtemp(dir));
	lock = record_lock(dir, 0, &holder);
	assert_true(lock >= 0);
	assert_int_equal(record_lock(dir, 0, &holder), -EWOULDBLOCK);
	assert_int_equal(holder, getpid());
	close(lock);
	again = record_lock(dir, 0, &holder);
	assert_true(again >= 0);
	close(again);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

/* -- messages */

static void test_connect_message(void **state)
{
	struct kernel_device device = { .index = 5, .size = 1 << 30, .block_size = 512, .timeout = 10,
					.flags = NBD_CAN_FLUSH, .backend = "avmm x" };
	struct nlattr *a[NBD_ATTR_MAX + 1], *item;
	const int fds[] = { 8, 9 };
	struct nl_msg *msg = kernel_connect_message(FAMILY, &device, fds, 2);
	int left, count = 0;

	(void)state;
	assert_non_null(msg);
	assert_int_equal(nlmsg_hdr(msg)->nlmsg_type, FAMILY);
	assert_int_equal(genlmsg_parse(nlmsg_hdr(msg), 0, a, NBD_ATTR_MAX, NULL), 0);
	assert_int_equal(nla_get_u32(a[NBD_ATTR_INDEX]), 5);
	assert_int_equal(nla_get_u64(a[NBD_ATTR_SIZE_BYTES]), 1 << 30);
	assert_int_equal(nla_get_u64(a[NBD_ATTR_BLOCK_SIZE_BYTES]), 512);
	assert_int_equal(nla_get_u64(a[NBD_ATTR_TIMEOUT]), 10);
	assert_int_equal(nla_get_u64(a[NBD_ATTR_SERVER_FLAGS]), NBD_CAN_FLUSH);
	assert_string_equal(nla_get_string(a[NBD_ATTR_BACKEND_IDENTIFIER]), "avmm x");
	/* It must not overflow at any rate of the kernel's clock, nor be short. */
	assert_true(nla_get_u64(a[NBD_ATTR_DEAD_CONN_TIMEOUT]) <= INT64_MAX / 1000);
	assert_true(nla_get_u64(a[NBD_ATTR_DEAD_CONN_TIMEOUT]) > 100ull * 365 * 86400);
	nla_for_each_nested(item, a[NBD_ATTR_SOCKETS], left) {
		struct nlattr *socket[NBD_SOCK_MAX + 1];

		assert_int_equal(nla_type(item), NBD_SOCK_ITEM);
		assert_int_equal(nla_parse_nested(socket, NBD_SOCK_MAX, item, NULL), 0);
		assert_int_equal(nla_get_u32(socket[NBD_SOCK_FD]), fds[count++]);
	}
	assert_int_equal(count, 2);
	nlmsg_free(msg);

	device.index = NBD_ANY_DEVICE;
	msg = kernel_connect_message(FAMILY, &device, fds, 1);
	assert_int_equal(genlmsg_parse(nlmsg_hdr(msg), 0, a, NBD_ATTR_MAX, NULL), 0);
	assert_null(a[NBD_ATTR_INDEX]);
	nlmsg_free(msg);
}

static void test_other_messages(void **state)
{
	struct nl_msg *msg = kernel_device_message(FAMILY, NBD_CMD_DISCONNECT, 7);
	struct nlattr *a[NBD_ATTR_MAX + 1];

	(void)state;
	assert_int_equal(kernel_message_index(nlmsg_hdr(msg), NBD_CMD_DISCONNECT), 7);
	assert_int_equal(kernel_message_index(nlmsg_hdr(msg), NBD_CMD_LINK_DEAD), -1);
	nlmsg_free(msg);
	msg = kernel_device_message(FAMILY, NBD_CMD_STATUS, NBD_ANY_DEVICE);
	assert_int_equal(kernel_message_index(nlmsg_hdr(msg), NBD_CMD_STATUS), -1);
	nlmsg_free(msg);
	msg = kernel_reconfigure_message(FAMILY, 2, "avmm x", 11);
	assert_int_equal(genlmsg_parse(nlmsg_hdr(msg), 0, a, NBD_ATTR_MAX, NULL), 0);
	assert_int_equal(nla_get_u32(a[NBD_ATTR_INDEX]), 2);
	assert_string_equal(nla_get_string(a[NBD_ATTR_BACKEND_IDENTIFIER]), "avmm x");
	assert_non_null(a[NBD_ATTR_SOCKETS]);
	/* the driver would take a size for a new one */
	assert_null(a[NBD_ATTR_SIZE_BYTES]);
	nlmsg_free(msg);
}

static void note_device(int index, bool connected, void *opaque)
{
	u32 *seen = opaque;

	assert_in_range(index, 0, 31);
	if (connected)
		*seen |= 1u << index;
}

/* As the driver makes it: without the flag that says "nested". */
static void test_status_message(void **state)
{
	struct nl_msg *msg = kernel_device_message(FAMILY, NBD_CMD_STATUS, NBD_ANY_DEVICE);
	struct nlattr *list = nla_nest_start(msg, NBD_ATTR_DEVICE_LIST), *item;
	u32 i, seen = 0;

	(void)state;
	for (i = 0; i < 4; i++) {
		item = nla_nest_start(msg, NBD_DEVICE_ITEM);
		nla_put_u32(msg, NBD_DEVICE_INDEX, i);
		if (i != 3)
			nla_put_u8(msg, NBD_DEVICE_CONNECTED, i != 1);
		nla_nest_end(msg, item);
		item->nla_type &= NLA_TYPE_MASK;
	}
	nla_nest_end(msg, list);
	list->nla_type &= NLA_TYPE_MASK;
	assert_true(kernel_parse_status(nlmsg_hdr(msg), note_device, &seen));
	assert_int_equal(seen, 1 << 0 | 1 << 2);
	nlmsg_free(msg);
	msg = kernel_device_message(FAMILY, NBD_CMD_STATUS, NBD_ANY_DEVICE);
	assert_false(kernel_parse_status(nlmsg_hdr(msg), note_device, &seen));
	nlmsg_free(msg);
}

/* -- links */

struct server {
	char dir[32];
	char uri[128];
	pid_t pid;
};

static void run_server(struct server *server, const char *scheme, char *const *arguments)
{
	char *argv[16] = { "nbdkit", "-f", "-U", NULL };
	char socket[64];
	int i, tries;

	strcpy(server->dir, "/tmp/test_nbd.XXXXXX");
	assert_non_null(mkdtemp(server->dir));
	snprintf(socket, sizeof(socket), "%s/s", server->dir);
	snprintf(server->uri, sizeof(server->uri), "%s+unix:///?socket=%s", scheme, socket);
	argv[3] = socket;
	for (i = 0; arguments[i]; i++)
		argv[4 + i] = arguments[i];
	server->pid = fork();
	if (!server->pid) {
		execvp("nbdkit", argv);
		_exit(127);
	}
	for (tries = 0; access(socket, F_OK); tries++) {
		assert_int_equal(waitpid(server->pid, NULL, WNOHANG), 0);
		assert_true(tries < 1000);
		usleep(10000);
	}
}

static void end_server(struct server *server)
{
	char command[64];

	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", server->dir);
	assert_int_equal(system(command), 0);
}

static bool read_all(int socket, void *data, size_t size)
{
	return recv(socket, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* What the kernel does with the socket. Returns the server's error, -1 if the link is down. */
static int command(int socket, u32 type, u64 from, u32 length, void *data)
{
	static u64 cookie;
	struct nbd_request request = { .magic = htobe32(NBD_REQUEST_MAGIC), .type = htobe32(type),
				       .from = htobe64(from), .len = htobe32(length) };
	struct nbd_reply reply;

	cookie++;
	memcpy(request.handle, &cookie, sizeof(cookie));
	if (send(socket, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
		return -1;
	if ((type & 0xffff) == NBD_CMD_WRITE && send(socket, data, length, MSG_NOSIGNAL) != (ssize_t)length)
		return -1;
	if (!read_all(socket, &reply, sizeof(reply)))
		return -1;
	assert_int_equal(be32toh(reply.magic), NBD_REPLY_MAGIC);
	assert_memory_equal(reply.handle, &cookie, sizeof(cookie));
	if (type == NBD_CMD_READ && !reply.error && !read_all(socket, data, length))
		return -1;
	return (int)be32toh(reply.error);
}

static void use_link(int socket)
{
	static u8 written[65536], read[65536];
	u64 random = 7, from;
	size_t i;
	int turn;

	for (turn = 0; turn < 50; turn++) {
		for (i = 0; i < sizeof(written); i += 8)
			memcpy(written + i, &(u64){ random_u64(&random) }, 8);
		from = random_below(&random, 15) * sizeof(written);
		assert_int_equal(command(socket, NBD_CMD_WRITE | NBD_CMD_FLAG_FUA, from, sizeof(written), written), 0);
		assert_int_equal(command(socket, NBD_CMD_FLUSH, 0, 0, NULL), 0);
		assert_int_equal(command(socket, NBD_CMD_READ, from, sizeof(read), read), 0);
		assert_memory_equal(written, read, sizeof(read));
	}
	assert_int_equal(command(socket, NBD_CMD_TRIM, from, sizeof(read), NULL), 0);
	assert_int_equal(command(socket, 6 /* write zeroes */, from, sizeof(read), NULL), 0);
	assert_int_equal(command(socket, NBD_CMD_READ, from, sizeof(read), read), 0);
	assert_true(!read[0] && !memcmp(read, read + 1, sizeof(read) - 1));
	assert_int_equal(command(socket, NBD_CMD_READ, 1 << 20, 512, read), EINVAL);
}

static void test_link(void **state)
{
	char *const arguments[] = { "--filter=exportname", "memory", "1M", "exportdesc=fixed:golden\33[2J", NULL };
	struct link_options options = { 0 };
	static struct link_report report;
	struct server server;
	int socket;

	(void)state;
	run_server(&server, "nbd", arguments);
	options.uri = server.uri;
	socket = link_make(&options, &report);
	assert_true(socket >= 0);
	assert_int_equal(report.export.size, 1 << 20);
	assert_string_equal(report.export.description, "golden?[2J");
	assert_int_equal(report.export.label.kind, NBD_LABEL_NONE);
	assert_int_equal(report.export.tls, 0);
	assert_true(report.export.flags & NBD_CAN_FLUSH && !(report.export.flags & NBD_READ_ONLY));
	/* libnbd's way, and the kernel does not mind */
	assert_int_equal(fcntl(socket, F_SETFL, 0), 0);
	use_link(socket);
	kill(server.pid, SIGKILL);
	assert_int_equal(command(socket, NBD_CMD_FLUSH, 0, 0, NULL), -1);
	close(socket);
	end_server(&server);
}

/* Where the server is gone the proxy goes too, and answers nothing. */
static void test_link_with_tls(void **state)
{
	char psk[] = "/tmp/test_nbd_psk.XXXXXX", argument[64];
	char *const arguments[] = { "--tls=require", argument, "memory", "1M", NULL };
	struct link_options options = { .tls = true, .tls_psk = psk, .tls_user = "unit" };
	static struct link_report report;
	int socket, file = mkstemp(psk);
	struct server server;

	(void)state;
	assert_true(dprintf(file, "unit:%064x\n", 0x5a) > 0);
	close(file);
	snprintf(argument, sizeof(argument), "--tls-psk=%s", psk);
	run_server(&server, "nbd", arguments);
	options.uri = server.uri;
	socket = link_make(&options, &report);
	if (socket < 0)
		fail_msg("%s", report.text);
	assert_int_equal(report.export.tls, 1);
	use_link(socket);
	kill(server.pid, SIGKILL);
	assert_int_equal(command(socket, NBD_CMD_FLUSH, 0, 0, NULL), -1);
	close(socket);

	options = (struct link_options){ .uri = server.uri };
	assert_int_equal(link_make(&options, &report), -1);
	end_server(&server);
	unlink(psk);
}

#define assert_no_link(link_uri, words) do {							\
	struct link_options wrong = { .uri = link_uri };					\
	static struct link_report said;								\
	assert_int_equal(link_make(&wrong, &said), -1);						\
	if (!strstr(said.text, words))								\
		fail_msg("`%s` does not say `%s`", said.text, words);				\
} while (0)

static void test_no_link(void **state)
{
	char *const nothing[] = { "null", "0", NULL }, *const small[] = { "null", "100", NULL };
	char *const large[] = { "--filter=blocksize-policy", "null", "1M", "blocksize-minimum=8192",
				"blocksize-preferred=8192", NULL };
	struct server server;

	(void)state;
	assert_no_link("nbd+unix:///?socket=/nowhere", "No such file");
	assert_no_link("gopher://x/", "scheme");
	assert_no_link("", "URI");
	assert_no_link("nbd://127.0.0.1:1/", "Connection refused");
	run_server(&server, "nbd", nothing);
	assert_no_link(server.uri, "size is 0");
	end_server(&server);
	run_server(&server, "nbds", small);
	assert_no_link(server.uri, "TLS");
	memmove(server.uri + 3, server.uri + 4, strlen(server.uri + 3));
	assert_no_link(server.uri, "smaller than a block");
	end_server(&server);
	run_server(&server, "nbd", large);
	assert_no_link(server.uri, "blocks of 8192 bytes");
	end_server(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_label_text_and_back),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_identity_with_long_strings),
		cmocka_unit_test(test_block_size),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_record_and_back),
		cmocka_unit_test(test_broken_records),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_connect_message),
		cmocka_unit_test(test_other_messages),
		cmocka_unit_test(test_status_message),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_link_with_tls),
		cmocka_unit_test(test_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
