// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl: what it makes of the module's messages, good and bad, and of the log's pieces. */
#include "unit.h"
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include "include/uapi/avmm_netlink.h"
#include "userspace-ctl/lines.h"
#include "userspace-ctl/messages.h"
#include "userspace-ctl/names.h"

struct exit_row {
	u32 reason;
	u32 zero;
	u64 count;
};

static struct nl_msg *new_message(u8 cmd)
{
	struct nl_msg *msg = nlmsg_alloc_size(65536);

	assert_non_null(msg);
	assert_non_null(genlmsg_put(msg, 1, 1, 0x20, 0, 0, cmd, AVMM_GENL_VERSION));
	return msg;
}

static void put_cpu(struct nl_msg *msg, u32 cpu, u32 state, u64 ticks)
{
	struct nlattr *entry = nla_nest_start(msg, AVMM_ATTR_CPU_ENTRY);
	u64 counters[AVMM_COUNTERS] = { [AVMM_COUNT_UD] = 100 + cpu };

	assert_non_null(entry);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_CPU, cpu), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_CPU_STATE, state), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_CPU_ONLINE, 1), 0);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_LAUNCH_TICKS, ticks), 0);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_EXIT_TOTAL, 7), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_COUNTERS, sizeof(counters), counters), 0);
	nla_nest_end(msg, entry);
}

static struct nl_msg *status_message(u32 ncpus)
{
	struct nl_msg *msg = new_message(AVMM_CMD_GET_STATUS);
	struct nlattr *cpus;
	u32 i;

	assert_int_equal(nla_put_string(msg, AVMM_ATTR_VERSION, "1.2.3"), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_STATE, 1), 0);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_MEMORY_TOTAL, 2 << 20), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_TSC_KHZ, 400000), 0);
	cpus = nla_nest_start(msg, AVMM_ATTR_CPUS);
	for (i = 0; i < ncpus; i++)
		put_cpu(msg, i, AVMM_CPU_SERVICE, 1000 + i);
	nla_nest_end(msg, cpus);
	return msg;
}

static void status_is_understood(void **state)
{
	struct nl_msg *msg = status_message(3);
	struct machine_status status;

	(void)state;
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), 0);
	assert_string_equal(status.version, "1.2.3");
	assert_int_equal(status.state, 1);
	assert_int_equal(status.memory_total, 2 << 20);
	assert_int_equal(status.memory_used, 0);	/* was not in the message */
	assert_int_equal(status.tsc_khz, 400000);
	assert_int_equal(status.ncpus, 3);
	assert_int_equal(status.cpu[2].cpu, 2);
	assert_int_equal(status.cpu[2].launch_ticks, 1002);
	assert_int_equal(status.cpu[2].exit_total, 7);
	assert_int_equal(status.cpu[2].counters[AVMM_COUNT_UD], 102);
	nlmsg_free(msg);
}

static void as_many_cpus_as_there_can_be(void **state)
{
	struct machine_status status;
	struct nl_msg *msg;

	(void)state;
	msg = status_message(AVMM_MAX_CPUS);
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), 0);
	assert_int_equal(status.ncpus, AVMM_MAX_CPUS);
	nlmsg_free(msg);
	msg = status_message(AVMM_MAX_CPUS + 1);
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), -EINVAL);
	nlmsg_free(msg);
}

static void wrong_commands_and_short_messages_are_refused(void **state)
{
	struct nl_msg *msg = status_message(1);
	static struct machine_stats stats;
	static struct log_part part;
	struct machine_status status;

	(void)state;
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), -EINVAL);
	assert_int_equal(parse_log(nlmsg_hdr(msg), &part), -EINVAL);
	nlmsg_hdr(msg)->nlmsg_len = NLMSG_HDRLEN;
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), -EINVAL);
	nlmsg_free(msg);
}

static void attributes_of_wrong_size_are_refused(void **state)
{
	struct nl_msg *msg = new_message(AVMM_CMD_GET_STATUS);
	struct machine_status status;

	(void)state;
	assert_int_equal(nla_put_u8(msg, AVMM_ATTR_STATE, 1), 0);
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), -EINVAL);
	nlmsg_free(msg);

	msg = new_message(AVMM_CMD_GET_STATUS);
	assert_int_equal(nla_put(msg, AVMM_ATTR_VERSION, 3, "abc"), 0);	/* no zero at its end */
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), -EINVAL);
	nlmsg_free(msg);
}

static void unknown_attributes_are_passed_over(void **state)
{
	struct nl_msg *msg = status_message(1);
	struct machine_status status;

	(void)state;
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_MAX + 7, 1), 0);
	assert_int_equal(parse_status(nlmsg_hdr(msg), &status), 0);
	assert_int_equal(status.ncpus, 1);
	nlmsg_free(msg);
}

static struct nl_msg *stats_message(u32 cpu, const struct exit_row *rows, size_t size, size_t counters)
{
	struct nl_msg *msg = new_message(AVMM_CMD_GET_STATS);
	u64 values[2 * AVMM_COUNTERS];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		values[i] = i + 1;
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_CPU, cpu), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_CPU_STATE, AVMM_CPU_USER), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_EXITS, (int)size, rows), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_COUNTERS, (int)(counters * sizeof(u64)), values), 0);
	return msg;
}

static void stats_are_understood(void **state)
{
	static const struct exit_row rows[] = { { 10, 0, 123 }, { 48, 0, ~0ull }, { 4000, 0, 5 } };
	struct nl_msg *msg = stats_message(5, rows, sizeof(rows), AVMM_COUNTERS);
	static struct machine_stats stats;

	(void)state;
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), 0);
	assert_true(stats.cpu[5].present);
	assert_int_equal(stats.cpu[5].state, AVMM_CPU_USER);
	assert_false(stats.cpu[4].present);
	assert_int_equal(stats.cpu[5].exits[10], 123);
	assert_int_equal(stats.cpu[5].exits[48], ~0ull);
	assert_int_equal(stats.cpu[5].exits[11], 0);
	assert_int_equal(stats.cpu[5].counters[AVMM_COUNTERS - 1], AVMM_COUNTERS);
	nlmsg_free(msg);
}

static void where_vcpus_run(void **state)
{
	static struct machine_stats stats;
	static struct partition_status user;

	(void)state;
	stats.cpu[3].state = AVMM_CPU_USER;
	stats.cpu[3].user_exits[1] = 7;
	stats.cpu[3].user_exits[AVMM_EXIT_REASONS - 1] = 8;
	assert_int_equal(exits_sum(stats.cpu[3].user_exits), 15);
	assert_false(has_vcpu(&stats, &user, AVMM_SHARED_CPU));
	user.state = AVMM_PARTITION_PAUSED;
	user.shared = AVMM_SHARED_YES;
	assert_true(has_vcpu(&stats, &user, AVMM_SHARED_CPU));
	assert_true(has_vcpu(&stats, &user, 3));
	assert_false(has_vcpu(&stats, &user, 2));
	user.shared = AVMM_SHARED_NO;
	assert_false(has_vcpu(&stats, &user, AVMM_SHARED_CPU));
}

static void other_modules_count_more_or_fewer_things(void **state)
{
	static struct machine_stats stats;
	struct nl_msg *msg;

	(void)state;
	msg = stats_message(0, NULL, 0, 2 * AVMM_COUNTERS);
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), 0);
	assert_int_equal(stats.cpu[0].counters[AVMM_COUNTERS - 1], AVMM_COUNTERS);
	nlmsg_free(msg);
	msg = stats_message(0, NULL, 0, 1);
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), 0);
	assert_int_equal(stats.cpu[0].counters[0], 1);
	assert_int_equal(stats.cpu[0].counters[1], 0);
	nlmsg_free(msg);
}

static void bad_stats_are_refused(void **state)
{
	static const struct exit_row rows[] = { { 10, 0, 123 }, { 12, 0, 1 } };
	static struct machine_stats stats;
	struct nl_msg *msg;

	(void)state;
	msg = stats_message(AVMM_MAX_CPUS, rows, sizeof(rows), 1);
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), -EINVAL);
	nlmsg_free(msg);
	msg = stats_message(0, rows, sizeof(rows) - 1, 1);
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), -EINVAL);
	nlmsg_free(msg);
	msg = new_message(AVMM_CMD_GET_STATS);
	assert_int_equal(parse_stats(nlmsg_hdr(msg), &stats), -EINVAL);
	nlmsg_free(msg);
}

static void log_texts_are_understood(void **state)
{
	static char longest[LOG_TEXT_MAX + 2];
	static struct log_part part;
	struct nl_msg *msg = new_message(AVMM_CMD_GET_LOG);

	(void)state;
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_LOG_END, 99), 0);
	assert_int_equal(parse_log(nlmsg_hdr(msg), &part), 0);
	assert_int_equal(part.end, 99);
	assert_string_equal(part.text, "");
	nlmsg_free(msg);

	memset(longest, 'x', LOG_TEXT_MAX);
	msg = new_message(AVMM_CMD_GET_LOG);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_LOG_OFFSET, 17), 0);
	assert_int_equal(nla_put_string(msg, AVMM_ATTR_LOG_TEXT, longest), 0);
	assert_int_equal(parse_log(nlmsg_hdr(msg), &part), 0);
	assert_int_equal(part.end, 0);
	assert_int_equal(part.offset, 17);
	assert_string_equal(part.text, longest);
	nlmsg_free(msg);

	longest[LOG_TEXT_MAX] = 'x';
	msg = new_message(AVMM_CMD_GET_LOG);
	assert_int_equal(nla_put_string(msg, AVMM_ATTR_LOG_TEXT, longest), 0);
	assert_int_equal(parse_log(nlmsg_hdr(msg), &part), -EINVAL);
	nlmsg_free(msg);
}

/* An error as the kernel sends it: its number, the request's head or all of it, then the text. */
static struct nl_msg *error_message(int flags, u32 request_size, const char *text)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsgerr *error;

	assert_non_null(nlmsg_put(msg, 1, 1, NLMSG_ERROR, 0, flags));
	error = nlmsg_reserve(msg, sizeof(*error), NLMSG_ALIGNTO);
	memset(error, 0, sizeof(*error));
	error->error = -ENODEV;
	error->msg.nlmsg_len = NLMSG_HDRLEN + request_size;
	if (!(flags & NLM_F_CAPPED) && request_size < 4096)
		memset(nlmsg_reserve(msg, request_size, NLMSG_ALIGNTO), 0xff, request_size);
	if (text)
		assert_int_equal(nla_put_string(msg, NLMSGERR_ATTR_MSG, text), 0);
	return msg;
}

static void assert_extack(int flags, u32 request_size, const char *text, const char *expected)
{
	struct nl_msg *msg = error_message(flags, request_size, text);
	const char *found = parse_extack(nlmsg_hdr(msg));

	if (expected)
		assert_string_equal(found, expected);
	else
		assert_null(found);
	nlmsg_free(msg);
}

static void the_kernels_words_are_found(void **state)
{
	(void)state;
	assert_extack(NLM_F_ACK_TLVS | NLM_F_CAPPED, 20, "no monitor", "no monitor");
	assert_extack(NLM_F_ACK_TLVS, 20, "no monitor", "no monitor");
	assert_extack(NLM_F_ACK_TLVS, 21, "no monitor", "no monitor");
	assert_extack(0, 20, NULL, NULL);
	assert_extack(NLM_F_ACK_TLVS | NLM_F_CAPPED, 20, NULL, NULL);
	assert_extack(NLM_F_ACK_TLVS, 0xffffff00, "no monitor", NULL);		/* longer than the message */
	assert_extack(NLM_F_ACK_TLVS, (u32)-NLMSG_HDRLEN, "no monitor", NULL);	/* shorter than its head */
}

static struct nl_msg *done_message(int flags, int error, const char *text)
{
	struct nl_msg *msg = nlmsg_alloc();

	assert_non_null(nlmsg_put(msg, 1, 1, NLMSG_DONE, 0, flags));
	assert_int_equal(nlmsg_append(msg, &error, sizeof(error), NLMSG_ALIGNTO), 0);
	if (text)
		assert_int_equal(nla_put_string(msg, NLMSGERR_ATTR_MSG, text), 0);
	return msg;
}

static void a_dump_that_fails_is_noticed(void **state)
{
	struct nl_msg *msg;

	(void)state;
	msg = done_message(NLM_F_ACK_TLVS, -ENODEV, "no monitor");
	assert_int_equal(parse_done(nlmsg_hdr(msg)), -ENODEV);
	assert_string_equal(parse_extack(nlmsg_hdr(msg)), "no monitor");
	nlmsg_hdr(msg)->nlmsg_len = NLMSG_HDRLEN + 2;
	assert_int_equal(parse_done(nlmsg_hdr(msg)), 0);
	assert_null(parse_extack(nlmsg_hdr(msg)));
	nlmsg_free(msg);
	msg = done_message(0, 0, NULL);
	assert_int_equal(parse_done(nlmsg_hdr(msg)), 0);
	assert_null(parse_extack(nlmsg_hdr(msg)));
	nlmsg_free(msg);
	msg = error_message(0, 20, NULL);
	assert_int_equal(parse_done(nlmsg_hdr(msg)), 0);
	nlmsg_free(msg);
}

/* Lines */

struct printed {
	unsigned int count;
	u64 offset;
	char text[LINE_MAX_BYTES + 1];
};

static void print(u64 offset, const char *text, void *opaque)
{
	struct printed *printed = opaque;

	printed->count++;
	printed->offset = offset;
	strcpy(printed->text, text);
}

static void lines_are_put_together(void **state)
{
	struct printed printed = { .count = 0 };
	struct lines lines = { .print = print, .opaque = &printed };

	(void)state;
	assert_int_equal(lines_add(&lines, 0, "one\ntw"), 0);
	assert_int_equal(printed.count, 1);
	assert_string_equal(printed.text, "one");
	assert_int_equal(lines_add(&lines, 6, "o\n\nthree"), 0);
	assert_int_equal(printed.count, 3);
	assert_string_equal(printed.text, "");
	assert_int_equal(printed.offset, 8);
	lines_end(&lines);
	assert_int_equal(printed.count, 4);
	assert_string_equal(printed.text, "three");
	assert_int_equal(printed.offset, 9);
	assert_int_equal(lines.next, 14);
	lines_end(&lines);
	assert_int_equal(printed.count, 4);
}

static void a_line_whose_beginning_is_lost_is_dropped(void **state)
{
	struct printed printed = { .count = 0 };
	struct lines lines = { .print = print, .opaque = &printed };

	(void)state;
	assert_int_equal(lines_add(&lines, 100, "st of it\nwhole\npart"), 100);
	assert_int_equal(printed.count, 1);
	assert_string_equal(printed.text, "whole");
	assert_int_equal(printed.offset, 109);
	assert_int_equal(lines_add(&lines, 200, "x\n"), 81);
	assert_int_equal(printed.count, 2);		/* what there is of the broken line */
	assert_string_equal(printed.text, "part");
	assert_int_equal(lines_add(&lines, 0, "new\n"), 0);	/* the module was loaded anew */
	assert_string_equal(printed.text, "new");
	assert_int_equal(printed.offset, 0);
}

static void endless_lines_are_cut(void **state)
{
	static char text[3 * LINE_MAX_BYTES + 2];
	struct printed printed = { .count = 0 };
	struct lines lines = { .print = print, .opaque = &printed };

	(void)state;
	memset(text, 'x', 3 * LINE_MAX_BYTES);
	lines_add(&lines, 0, text);
	assert_int_equal(printed.count, 3);
	assert_int_equal(printed.offset, 2 * LINE_MAX_BYTES);
	assert_int_equal(strlen(printed.text), LINE_MAX_BYTES);
}

static void every_number_has_a_name(void **state)
{
	char buf[32];
	u32 i;

	(void)state;
	for (i = 0; i < AVMM_COUNTERS; i++) {
		assert_non_null(counter_name(i));
		assert_non_null(counter_text(i));
	}
	assert_null(counter_name(AVMM_COUNTERS));
	for (i = 0; i < AVMM_EXIT_REASONS + 10; i++)
		assert_non_null(exit_reason_name(i, buf, sizeof(buf)));
	assert_string_equal(exit_reason_name(10, buf, sizeof(buf)), "CPUID");
	assert_string_equal(exit_reason_name(35, buf, sizeof(buf)), "reason 35");
	assert_string_equal(exit_reason_name(~0u, buf, sizeof(buf)), "reason 4294967295");
	assert_string_equal(cpu_state_name(AVMM_CPU_DEAD), "dead");
	assert_string_equal(cpu_state_name(~0u), "unknown");
	assert_string_equal(machine_state_name(2), "partly-launched");
	assert_string_equal(machine_state_name(3), "unknown");
}

static void put_disks(struct nl_msg *msg)
{
	const u64 counters[AVMM_DISK_COUNTERS] = { [AVMM_DISK_COUNT_WRITES] = 7 };
	struct nlattr *list = nla_nest_start(msg, AVMM_ATTR_DISKS), *entry;
	u32 number;

	for (number = 2; number < 5; number++) {	/* one more than this program knows */
		entry = nla_nest_start(msg, AVMM_ATTR_DISK_ENTRY);
		assert_int_equal(nla_put_u32(msg, AVMM_ATTR_DISK_NUMBER, number), 0);
		assert_int_equal(number == 3 && nla_put_flag(msg, AVMM_ATTR_DISK_CDROM), 0);
		assert_int_equal(number != 3 && nla_put_string(msg, AVMM_ATTR_DISK_PATH, "/dev/nbd0"), 0);
		assert_int_equal(nla_put_u64(msg, AVMM_ATTR_DISK_SIZE, 1 << 20), 0);
		assert_int_equal(nla_put(msg, AVMM_ATTR_DISK_COUNTERS, sizeof(counters), counters), 0);
		nla_nest_end(msg, entry);
	}
	nla_nest_end(msg, list);
	assert_int_equal(nla_put_string(msg, AVMM_ATTR_FROZEN, "it waits"), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_FREEZE_AFTER, 20), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_MAX_SKEW, 3000), 0);
}

static void check_disks(const struct partition_status *partition)
{
	assert_false(partition->disk[0].present || partition->disk[1].present);
	assert_true(partition->disk[2].present && !partition->disk[2].cdrom && !partition->disk[2].read_only);
	assert_string_equal(partition->disk[2].path, "/dev/nbd0");
	assert_int_equal(partition->disk[2].size, 1 << 20);
	assert_int_equal(partition->disk[2].counters[AVMM_DISK_COUNT_WRITES], 7);
	assert_true(partition->disk[3].cdrom);
	assert_string_equal(partition->disk[3].path, "");
	assert_string_equal(partition->frozen, "it waits");
	assert_int_equal(partition->freeze_after, 20);
	assert_int_equal(partition->max_skew, 3000);
}

static void put_partition(struct nl_msg *msg)
{
	const struct exit_row rows[] = { { 12, 0, 5 }, { 30, 0, 900 } };
	const u64 counters[AVMM_PARTITION_COUNTERS + 1] = { 11, 12, [AVMM_PARTITION_COUNTERS] = 99 };
	struct nlattr *entry = nla_nest_start(msg, AVMM_ATTR_PARTITION);

	assert_non_null(entry);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_PARTITION_STATE, AVMM_PARTITION_PAUSED), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_PARTITION_RESETS, 3), 0);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_PARTITION_MEMORY, 1 << 30), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_SERVICE_SHARE, 125), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_PARTITION_EXITS, sizeof(rows), rows), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_PARTITION_COUNTERS, sizeof(counters), counters), 0);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_TIME_USER, 77), 0);
	put_disks(msg);
	nla_nest_end(msg, entry);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_TSC, 1000), 0);
}

static void check_partition(const struct partition_status *partition)
{
	assert_int_equal(partition->state, AVMM_PARTITION_PAUSED);
	assert_int_equal(partition->reason, AVMM_REASON_NONE);	/* was not in the message */
	assert_int_equal(partition->resets, 3);
	assert_int_equal(partition->memory, 1 << 30);
	assert_int_equal(partition->service_share, 125);
	assert_int_equal(partition->exits[12], 5);
	assert_int_equal(partition->exits[30], 900);
	assert_int_equal(partition->counters[AVMM_PARTITION_COUNT_MMIO], 12);
	assert_int_equal(partition->counters[AVMM_PARTITION_COUNTERS - 1], 0);
	assert_int_equal(partition->time_user, 77);
	assert_int_equal(partition->tsc, 1000);
	check_disks(partition);
}

static void partition_is_understood(void **state)
{
	struct nl_msg *msg = new_message(AVMM_CMD_GET_PARTITION);
	struct partition_status partition;
	struct machine_status machine;

	(void)state;
	put_partition(msg);
	assert_int_equal(parse_partition(nlmsg_hdr(msg), &partition), 0);
	check_partition(&partition);
	nlmsg_free(msg);

	msg = status_message(1);
	put_partition(msg);
	assert_int_equal(parse_status(nlmsg_hdr(msg), &machine), 0);
	check_partition(&machine.partition);
	nlmsg_free(msg);

	/* from a module that knows no partition */
	msg = status_message(1);
	assert_int_equal(parse_status(nlmsg_hdr(msg), &machine), 0);
	assert_int_equal(machine.partition.state, AVMM_PARTITION_NONE);
	assert_int_equal(parse_partition(nlmsg_hdr(msg), &partition), -EINVAL);
	nlmsg_free(msg);
}

static void console_is_bytes(void **state)
{
	struct nl_msg *msg = new_message(AVMM_CMD_GET_CONSOLE);
	struct console_part part;

	(void)state;
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_LOG_END, 1 << 20), 0);
	assert_int_equal(parse_console(nlmsg_hdr(msg), &part), 0);
	assert_int_equal(part.end, 1 << 20);
	assert_int_equal(part.size, 0);
	assert_int_equal(nla_put_u64(msg, AVMM_ATTR_LOG_OFFSET, 17), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_CONSOLE_DATA, 4, "a\0b"), 0);
	assert_int_equal(parse_console(nlmsg_hdr(msg), &part), 0);
	assert_int_equal(part.offset, 17);
	assert_int_equal(part.size, 4);
	assert_memory_equal(part.data, "a\0b", 4);
	nlmsg_free(msg);
}

static void shares_are_understood(void **state)
{
	struct nl_msg *msg = new_message(AVMM_CMD_PARTITION_SHARES);
	struct shares shares;

	(void)state;
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_SERVICE_SHARE, 100), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_CAP_USER, 1000), 0);
	assert_int_equal(parse_shares(nlmsg_hdr(msg), &shares), 0);
	assert_int_equal(shares.service_share, 100);
	assert_int_equal(shares.cap_user, 1000);
	assert_int_equal(shares.cap_service, 0);
	nlmsg_free(msg);
}

static void devices_are_understood(void **state)
{
	struct nl_msg *msg = new_message(AVMM_CMD_GET_DEVICES);
	const u32 counters[] = { 7, 6, 5 };
	struct device_status device;

	(void)state;
	assert_int_equal(nla_put_string(msg, AVMM_ATTR_DEVICE_ADDRESS, "0000:00:04.0"), 0);
	assert_int_equal(nla_put_string(msg, AVMM_ATTR_DEVICE_DRIVER,
					"a driver whose name is longer than what there is room for"), 0);
	assert_int_equal(nla_put_u32(msg, AVMM_ATTR_DEVICE_GUEST, 0x20), 0);
	assert_int_equal(nla_put(msg, AVMM_ATTR_DEVICE_COUNTERS, sizeof(counters), counters), 0);
	assert_int_equal(parse_device(nlmsg_hdr(msg), &device), 0);
	assert_true(device.known);
	assert_string_equal(device.address, "0000:00:04.0");
	assert_string_equal(device.driver, "a driver whose name is longer t");
	assert_int_equal(device.guest, 0x20);
	assert_int_equal(device.counters[AVMM_DEVICE_COUNT_RAISED], 7);
	assert_int_equal(device.counters[AVMM_DEVICE_COUNT_REFUSED], 5);
	assert_int_equal(device.counters[AVMM_DEVICE_COUNT_FORWARDED], 0);
	nlmsg_free(msg);
}

static void partitions_have_names(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < AVMM_PARTITION_COUNTERS; i++)
		assert_true(partition_counter_name(i) && partition_counter_text(i));
	assert_null(partition_counter_name(AVMM_PARTITION_COUNTERS));
	assert_string_equal(partition_state_name(AVMM_PARTITION_OFF), "off");
	assert_string_equal(partition_state_name(AVMM_PARTITION_OFF + 1), "unknown");
	assert_string_equal(partition_reason_name(AVMM_REASON_FORCED), "forced");
	assert_string_equal(partition_reason_name(AVMM_REASON_FORCED + 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_understood),
		cmocka_unit_test(as_many_cpus_as_there_can_be),
		cmocka_unit_test(wrong_commands_and_short_messages_are_refused),
		cmocka_unit_test(attributes_of_wrong_size_are_refused),
		cmocka_unit_test(unknown_attributes_are_passed_over),
		cmocka_unit_test(stats_are_understood),
		cmocka_unit_test(where_vcpus_run),
		cmocka_unit_test(other_modules_count_more_or_fewer_things),
		cmocka_unit_test(bad_stats_are_refused),
		cmocka_unit_test(log_texts_are_understood),
		cmocka_unit_test(the_kernels_words_are_found),
		cmocka_unit_test(a_dump_that_fails_is_noticed),
		cmocka_unit_test(lines_are_put_together),
		cmocka_unit_test(a_line_whose_beginning_is_lost_is_dropped),
		cmocka_unit_test(endless_lines_are_cut),
		cmocka_unit_test(every_number_has_a_name),
		cmocka_unit_test(partition_is_understood),
		cmocka_unit_test(console_is_bytes),
		cmocka_unit_test(shares_are_understood),
		cmocka_unit_test(devices_are_understood),
		cmocka_unit_test(partitions_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
