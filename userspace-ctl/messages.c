// SPDX-License-Identifier: GPL-2.0-only
/* Parses the module's messages; include/uapi/avmm_netlink.h says what is in them. */
#include <errno.h>
#include <string.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <linux/netlink.h>
#include "messages.h"

static struct nla_policy policy[AVMM_ATTR_MAX + 1] = {
	[AVMM_ATTR_VERSION] = { .type = NLA_STRING },
	[AVMM_ATTR_STATE] = { .type = NLA_U32 },
	[AVMM_ATTR_MEMORY_TOTAL] = { .type = NLA_U64 },
	[AVMM_ATTR_MEMORY_USED] = { .type = NLA_U64 },
	[AVMM_ATTR_TEXT_SIZE] = { .type = NLA_U64 },
	[AVMM_ATTR_PREPARE_TICKS] = { .type = NLA_U64 },
	[AVMM_ATTR_TSC_KHZ] = { .type = NLA_U32 },
	[AVMM_ATTR_CPUS] = { .type = NLA_NESTED },
	[AVMM_ATTR_CPU_ENTRY] = { .type = NLA_NESTED },
	[AVMM_ATTR_CPU] = { .type = NLA_U32 },
	[AVMM_ATTR_CPU_STATE] = { .type = NLA_U32 },
	[AVMM_ATTR_LAUNCH_TICKS] = { .type = NLA_U64 },
	[AVMM_ATTR_EXIT_TOTAL] = { .type = NLA_U64 },
	[AVMM_ATTR_LOG_OFFSET] = { .type = NLA_U64 },
	[AVMM_ATTR_LOG_TEXT] = { .type = NLA_STRING },
	[AVMM_ATTR_EVENT] = { .type = NLA_U32 },
	[AVMM_ATTR_CPU_ONLINE] = { .type = NLA_U32 },
	[AVMM_ATTR_LOG_END] = { .type = NLA_U64 },
	[AVMM_ATTR_PARTITION] = { .type = NLA_NESTED },
	[AVMM_ATTR_PARTITION_STATE] = { .type = NLA_U32 },
	[AVMM_ATTR_PARTITION_REASON] = { .type = NLA_U32 },
	[AVMM_ATTR_PARTITION_RESETS] = { .type = NLA_U32 },
	[AVMM_ATTR_PARTITION_MEMORY] = { .type = NLA_U64 },
	[AVMM_ATTR_MEMORY_RESERVE] = { .type = NLA_U64 },
	[AVMM_ATTR_VCPUS] = { .type = NLA_U32 },
	[AVMM_ATTR_SHARED] = { .type = NLA_U32 },
	[AVMM_ATTR_SERVICE_SHARE] = { .type = NLA_U32 },
	[AVMM_ATTR_CAP_SERVICE] = { .type = NLA_U32 },
	[AVMM_ATTR_CAP_USER] = { .type = NLA_U32 },
	[AVMM_ATTR_ON_TRIPLE_FAULT] = { .type = NLA_U32 },
	[AVMM_ATTR_TIME_SERVICE] = { .type = NLA_U64 },
	[AVMM_ATTR_TIME_USER] = { .type = NLA_U64 },
	[AVMM_ATTR_TIME_IDLE] = { .type = NLA_U64 },
	[AVMM_ATTR_TIME_MONITOR] = { .type = NLA_U64 },
	[AVMM_ATTR_GUEST_TIME] = { .type = NLA_U64 },
	[AVMM_ATTR_TSC] = { .type = NLA_U64 },
	[AVMM_ATTR_FREEZE_AFTER] = { .type = NLA_U32 },
	[AVMM_ATTR_MAX_SKEW] = { .type = NLA_U32 },
	[AVMM_ATTR_FROZEN] = { .type = NLA_STRING },
	[AVMM_ATTR_DISKS] = { .type = NLA_NESTED },
	[AVMM_ATTR_DISK_ENTRY] = { .type = NLA_NESTED },
	[AVMM_ATTR_DISK_NUMBER] = { .type = NLA_U32 },
	[AVMM_ATTR_DISK_PATH] = { .type = NLA_STRING },
	[AVMM_ATTR_DISK_CDROM] = { .type = NLA_FLAG },
	[AVMM_ATTR_DISK_READ_ONLY] = { .type = NLA_FLAG },
	[AVMM_ATTR_DISK_SIZE] = { .type = NLA_U64 },
	[AVMM_ATTR_DISK_WAITING] = { .type = NLA_U64 },
	[AVMM_ATTR_DEVICE_ADDRESS] = { .type = NLA_STRING },
	[AVMM_ATTR_DEVICE_DMA] = { .type = NLA_U32 },
	[AVMM_ATTR_DEVICE_DRIVER] = { .type = NLA_STRING },
	[AVMM_ATTR_DEVICE_IRQ] = { .type = NLA_U32 },
	[AVMM_ATTR_DEVICE_GUEST] = { .type = NLA_U32 },
	[AVMM_ATTR_DEVICE_LIVE] = { .type = NLA_U32 },
	[AVMM_ATTR_DEVICE_MESSAGES] = { .type = NLA_U32 },
	[AVMM_ATTR_DEVICE_MODE] = { .type = NLA_U32 },
};

static u32 u32_or_0(struct nlattr *attr)
{
	return attr ? nla_get_u32(attr) : 0;
}

static u64 u64_or_0(struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static int parse_message(struct nlmsghdr *header, u8 cmd, struct nlattr *attrs[])
{
	if (!genlmsg_valid_hdr(header, 0) || genlmsg_hdr(header)->cmd != cmd)
		return -EINVAL;
	return genlmsg_parse(header, 0, attrs, AVMM_ATTR_MAX, policy) < 0 ? -EINVAL : 0;
}

/* A newer module may count more things, an older one fewer. */
static void parse_counters(struct nlattr *attr, u64 *counters, size_t max)
{
	size_t size = attr ? (size_t)nla_len(attr) / sizeof(u64) * sizeof(u64) : 0;

	if (size > max * sizeof(u64))
		size = max * sizeof(u64);
	if (size)
		memcpy(counters, nla_data(attr), size);
}

static int parse_cpu(struct nlattr *entry, struct cpu_status *cpu)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];

	if (nla_parse_nested(attrs, AVMM_ATTR_MAX, entry, policy) < 0 || !attrs[AVMM_ATTR_CPU])
		return -EINVAL;
	memset(cpu, 0, sizeof(*cpu));
	cpu->cpu = nla_get_u32(attrs[AVMM_ATTR_CPU]);
	cpu->state = u32_or_0(attrs[AVMM_ATTR_CPU_STATE]);
	cpu->online = u32_or_0(attrs[AVMM_ATTR_CPU_ONLINE]);
	cpu->launch_ticks = u64_or_0(attrs[AVMM_ATTR_LAUNCH_TICKS]);
	cpu->exit_total = u64_or_0(attrs[AVMM_ATTR_EXIT_TOTAL]);
	parse_counters(attrs[AVMM_ATTR_COUNTERS], cpu->counters, AVMM_COUNTERS);
	return 0;
}

static int parse_cpus(struct nlattr *list, struct machine_status *status)
{
	struct nlattr *entry;
	int remaining, ret;

	nla_for_each_nested(entry, list, remaining) {
		if (nla_type(entry) != AVMM_ATTR_CPU_ENTRY)
			continue;
		if (status->ncpus == AVMM_MAX_CPUS)
			return -EINVAL;
		ret = parse_cpu(entry, &status->cpu[status->ncpus]);
		if (ret)
			return ret;
		status->ncpus++;
	}
	return 0;
}

/* Rows of { u32 reason; u32 zero; u64 count; }; reasons that are not known here are passed over. */
static int parse_exits(struct nlattr *attr, u64 exits[AVMM_EXIT_REASONS])
{
	struct {
		u32 reason;
		u32 zero;
		u64 count;
	} row;
	const char *data = nla_data(attr);
	size_t left = (size_t)nla_len(attr);

	for (; left >= sizeof(row); data += sizeof(row), left -= sizeof(row)) {
		memcpy(&row, data, sizeof(row));
		if (row.reason < AVMM_EXIT_REASONS)
			exits[row.reason] = row.count;
	}
	return left ? -EINVAL : 0;
}

static void copy_string(char *to, size_t size, struct nlattr *attr)
{
	to[0] = '\0';
	if (!attr)
		return;
	strncpy(to, nla_get_string(attr), size - 1);
	to[size - 1] = '\0';
}

/* Drives that this program has no room for are passed over. */
static int parse_disk(struct nlattr *entry, struct partition_status *partition)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	struct disk_status *disk;

	if (nla_parse_nested(attrs, AVMM_ATTR_MAX, entry, policy) < 0 || !attrs[AVMM_ATTR_DISK_NUMBER])
		return -EINVAL;
	if (nla_get_u32(attrs[AVMM_ATTR_DISK_NUMBER]) >= AVMM_DISK_UNITS)
		return 0;
	disk = &partition->disk[nla_get_u32(attrs[AVMM_ATTR_DISK_NUMBER])];
	disk->present = true;
	disk->cdrom = attrs[AVMM_ATTR_DISK_CDROM];
	disk->read_only = attrs[AVMM_ATTR_DISK_READ_ONLY];
	copy_string(disk->path, sizeof(disk->path), attrs[AVMM_ATTR_DISK_PATH]);
	disk->size = u64_or_0(attrs[AVMM_ATTR_DISK_SIZE]);
	disk->waiting = u64_or_0(attrs[AVMM_ATTR_DISK_WAITING]);
	parse_counters(attrs[AVMM_ATTR_DISK_COUNTERS], disk->counters, AVMM_DISK_COUNTERS);
	return 0;
}

static int parse_disks(struct nlattr *list, struct partition_status *partition)
{
	struct nlattr *entry;
	int remaining, ret;

	nla_for_each_nested(entry, list, remaining) {
		ret = nla_type(entry) == AVMM_ATTR_DISK_ENTRY ? parse_disk(entry, partition) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

static int parse_partition_entry(struct nlattr *entry, struct partition_status *partition)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];

	if (nla_parse_nested(attrs, AVMM_ATTR_MAX, entry, policy) < 0)
		return -EINVAL;
	partition->state = u32_or_0(attrs[AVMM_ATTR_PARTITION_STATE]);
	partition->reason = u32_or_0(attrs[AVMM_ATTR_PARTITION_REASON]);
	partition->resets = u32_or_0(attrs[AVMM_ATTR_PARTITION_RESETS]);
	partition->memory = u64_or_0(attrs[AVMM_ATTR_PARTITION_MEMORY]);
	partition->vcpus = u32_or_0(attrs[AVMM_ATTR_VCPUS]);
	partition->shared = u32_or_0(attrs[AVMM_ATTR_SHARED]);
	partition->service_share = u32_or_0(attrs[AVMM_ATTR_SERVICE_SHARE]);
	partition->cap_service = u32_or_0(attrs[AVMM_ATTR_CAP_SERVICE]);
	partition->cap_user = u32_or_0(attrs[AVMM_ATTR_CAP_USER]);
	partition->on_triple_fault = u32_or_0(attrs[AVMM_ATTR_ON_TRIPLE_FAULT]);
	partition->time_service = u64_or_0(attrs[AVMM_ATTR_TIME_SERVICE]);
	partition->time_user = u64_or_0(attrs[AVMM_ATTR_TIME_USER]);
	partition->time_idle = u64_or_0(attrs[AVMM_ATTR_TIME_IDLE]);
	partition->time_monitor = u64_or_0(attrs[AVMM_ATTR_TIME_MONITOR]);
	partition->guest_time = u64_or_0(attrs[AVMM_ATTR_GUEST_TIME]);
	partition->freeze_after = u32_or_0(attrs[AVMM_ATTR_FREEZE_AFTER]);
	partition->max_skew = u32_or_0(attrs[AVMM_ATTR_MAX_SKEW]);
	copy_string(partition->frozen, sizeof(partition->frozen), attrs[AVMM_ATTR_FROZEN]);
	if (attrs[AVMM_ATTR_DISKS] && parse_disks(attrs[AVMM_ATTR_DISKS], partition))
		return -EINVAL;
	parse_counters(attrs[AVMM_ATTR_PARTITION_COUNTERS], partition->counters, AVMM_PARTITION_COUNTERS);
	return attrs[AVMM_ATTR_PARTITION_EXITS] ? parse_exits(attrs[AVMM_ATTR_PARTITION_EXITS], partition->exits) : 0;
}

/* What a message says beside its PARTITION belongs to it; without one there is no partition. */
static int parse_partition_attrs(struct nlattr *attrs[], struct partition_status *partition)
{
	memset(partition, 0, sizeof(*partition));
	partition->tsc = u64_or_0(attrs[AVMM_ATTR_TSC]);
	return attrs[AVMM_ATTR_PARTITION] ? parse_partition_entry(attrs[AVMM_ATTR_PARTITION], partition) : 0;
}

int parse_status(struct nlmsghdr *header, struct machine_status *status)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	int ret = parse_message(header, AVMM_CMD_GET_STATUS, attrs);

	if (ret)
		return ret;
	memset(status, 0, sizeof(*status));
	if (attrs[AVMM_ATTR_VERSION])
		strncpy(status->version, nla_get_string(attrs[AVMM_ATTR_VERSION]), sizeof(status->version) - 1);
	status->state = u32_or_0(attrs[AVMM_ATTR_STATE]);
	status->memory_total = u64_or_0(attrs[AVMM_ATTR_MEMORY_TOTAL]);
	status->memory_used = u64_or_0(attrs[AVMM_ATTR_MEMORY_USED]);
	status->text_size = u64_or_0(attrs[AVMM_ATTR_TEXT_SIZE]);
	status->prepare_ticks = u64_or_0(attrs[AVMM_ATTR_PREPARE_TICKS]);
	status->tsc_khz = u32_or_0(attrs[AVMM_ATTR_TSC_KHZ]);
	status->reserve = u64_or_0(attrs[AVMM_ATTR_MEMORY_RESERVE]);
	ret = parse_partition_attrs(attrs, &status->partition);
	if (ret)
		return ret;
	return attrs[AVMM_ATTR_CPUS] ? parse_cpus(attrs[AVMM_ATTR_CPUS], status) : 0;
}

int parse_stats(struct nlmsghdr *header, struct machine_stats *stats)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	int ret = parse_message(header, AVMM_CMD_GET_STATS, attrs);
	struct cpu_stats *cpu;

	if (ret)
		return ret;
	if (!attrs[AVMM_ATTR_CPU] || nla_get_u32(attrs[AVMM_ATTR_CPU]) >= AVMM_MAX_CPUS)
		return -EINVAL;
	cpu = &stats->cpu[nla_get_u32(attrs[AVMM_ATTR_CPU])];
	memset(cpu, 0, sizeof(*cpu));
	cpu->present = true;
	cpu->state = u32_or_0(attrs[AVMM_ATTR_CPU_STATE]);
	parse_counters(attrs[AVMM_ATTR_COUNTERS], cpu->counters, AVMM_COUNTERS);
	if (attrs[AVMM_ATTR_USER_EXITS] && parse_exits(attrs[AVMM_ATTR_USER_EXITS], cpu->user_exits))
		return -EINVAL;
	return attrs[AVMM_ATTR_EXITS] ? parse_exits(attrs[AVMM_ATTR_EXITS], cpu->exits) : 0;
}

bool has_vcpu(const struct machine_stats *stats, const struct partition_status *user, u32 cpu)
{
	if (cpu == AVMM_SHARED_CPU && user->state != AVMM_PARTITION_NONE && user->shared != AVMM_SHARED_NO)
		return true;
	return stats->cpu[cpu].state == AVMM_CPU_USER;
}

u64 exits_sum(const u64 exits[AVMM_EXIT_REASONS])
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < AVMM_EXIT_REASONS; i++)
		sum += exits[i];
	return sum;
}

int parse_log(struct nlmsghdr *header, struct log_part *part)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	int ret = parse_message(header, AVMM_CMD_GET_LOG, attrs);

	if (ret)
		return ret;
	part->end = u64_or_0(attrs[AVMM_ATTR_LOG_END]);
	part->offset = u64_or_0(attrs[AVMM_ATTR_LOG_OFFSET]);
	part->text[0] = '\0';
	if (!attrs[AVMM_ATTR_LOG_TEXT])
		return 0;
	if (strlen(nla_get_string(attrs[AVMM_ATTR_LOG_TEXT])) > LOG_TEXT_MAX)
		return -EINVAL;
	strcpy(part->text, nla_get_string(attrs[AVMM_ATTR_LOG_TEXT]));
	return 0;
}

int parse_console(struct nlmsghdr *header, struct console_part *part)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	int ret = parse_message(header, AVMM_CMD_GET_CONSOLE, attrs);

	if (ret)
		return ret;
	memset(part, 0, sizeof(*part));
	part->end = u64_or_0(attrs[AVMM_ATTR_LOG_END]);
	part->offset = u64_or_0(attrs[AVMM_ATTR_LOG_OFFSET]);
	if (attrs[AVMM_ATTR_CONSOLE_DATA]) {
		part->data = nla_data(attrs[AVMM_ATTR_CONSOLE_DATA]);
		part->size = (size_t)nla_len(attrs[AVMM_ATTR_CONSOLE_DATA]);
	}
	return 0;
}

int parse_partition(struct nlmsghdr *header, struct partition_status *partition)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	int ret = parse_message(header, AVMM_CMD_GET_PARTITION, attrs);

	return ret ? ret : parse_partition_attrs(attrs, partition);
}

int parse_shares(struct nlmsghdr *header, struct shares *shares)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1];
	int ret = parse_message(header, AVMM_CMD_PARTITION_SHARES, attrs);

	if (ret)
		return ret;
	shares->service_share = u32_or_0(attrs[AVMM_ATTR_SERVICE_SHARE]);
	shares->cap_service = u32_or_0(attrs[AVMM_ATTR_CAP_SERVICE]);
	shares->cap_user = u32_or_0(attrs[AVMM_ATTR_CAP_USER]);
	return 0;
}

static void copy_text(struct nlattr *attr, char *text, size_t size)
{
	text[0] = '\0';
	if (attr)
		strncat(text, nla_get_string(attr), size - 1);
}

int parse_device(struct nlmsghdr *header, struct device_status *device)
{
	struct nlattr *attrs[AVMM_ATTR_MAX + 1], *counters;
	int ret = parse_message(header, AVMM_CMD_GET_DEVICES, attrs);
	size_t size;

	if (ret)
		return ret;
	memset(device, 0, sizeof(*device));
	device->known = true;
	copy_text(attrs[AVMM_ATTR_DEVICE_ADDRESS], device->address, sizeof(device->address));
	copy_text(attrs[AVMM_ATTR_DEVICE_DRIVER], device->driver, sizeof(device->driver));
	device->dma = u32_or_0(attrs[AVMM_ATTR_DEVICE_DMA]);
	device->rom = u32_or_0(attrs[AVMM_ATTR_DEVICE_ROM]);
	device->irq = u32_or_0(attrs[AVMM_ATTR_DEVICE_IRQ]);
	device->guest = u32_or_0(attrs[AVMM_ATTR_DEVICE_GUEST]);
	device->live = u32_or_0(attrs[AVMM_ATTR_DEVICE_LIVE]);
	device->messages = u32_or_0(attrs[AVMM_ATTR_DEVICE_MESSAGES]);
	device->mode = u32_or_0(attrs[AVMM_ATTR_DEVICE_MODE]);
	counters = attrs[AVMM_ATTR_DEVICE_COUNTERS];
	size = counters ? (size_t)nla_len(counters) : 0;
	if (size > sizeof(device->counters))
		size = sizeof(device->counters);
	if (size)
		memcpy(device->counters, nla_data(counters), size);
	return 0;
}

int parse_done(struct nlmsghdr *header)
{
	int error;

	if (header->nlmsg_type != NLMSG_DONE || nlmsg_datalen(header) < (int)sizeof(error))
		return 0;
	memcpy(&error, nlmsg_data(header), sizeof(error));
	return error < 0 ? error : 0;
}

/* Where the attributes of an error or of a dump's end begin in its data; -1: nowhere. */
static int extack_offset(struct nlmsghdr *header)
{
	struct nlmsgerr *error = nlmsg_data(header);
	int size = nlmsg_datalen(header);

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return -1;
	if (header->nlmsg_type == NLMSG_DONE)
		return sizeof(int);
	if (header->nlmsg_type != NLMSG_ERROR || size < (int)sizeof(*error))
		return -1;
	/* The request is repeated in front of the attributes unless the kernel was asked not to. */
	if (header->nlmsg_flags & NLM_F_CAPPED)
		return sizeof(*error);
	if (error->msg.nlmsg_len < NLMSG_HDRLEN || error->msg.nlmsg_len > (u32)size)
		return -1;
	return (int)(sizeof(*error) + NLMSG_ALIGN(error->msg.nlmsg_len - NLMSG_HDRLEN));
}

const char *parse_extack(struct nlmsghdr *header)
{
	int offset = extack_offset(header), left = nlmsg_datalen(header) - offset;
	struct nlattr *attr;

	if (offset < 0 || left <= 0)
		return NULL;
	attr = nla_find((struct nlattr *)((char *)nlmsg_data(header) + offset), left, NLMSGERR_ATTR_MSG);
	if (!attr || nla_len(attr) < 1 || ((char *)nla_data(attr))[nla_len(attr) - 1])
		return NULL;
	return nla_get_string(attr);
}
