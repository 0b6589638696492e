// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl device */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "avmmctl.h"
#include "config.h"
#include "device.h"
#include "legacy.h"
#include "vfio.h"

#define DEVICES_MAX	256u		/* of the machine that are listed */

/* A PCI function, as sysfs and the module tell, or a device that is none. */
struct entry {
	char address[16];
	bool legacy;
	u32 vendor, device, class;
	char driver[64];
	bool assigned;
	struct device_status status;	/* of an assigned one */
	char use[256];			/* of one of this Linux */
};

struct listing {
	struct entry entry[DEVICES_MAX + AVMM_LEGACIES];
	u32 count;
};

/* device: with what it is assigned; NULL: it is not. */
static int send_device(struct connection *connection, u8 cmd, const char *address, const struct config_device *device)
{
	struct nl_msg *msg = new_request(connection, cmd);

	if (msg && (nla_put_string(msg, AVMM_ATTR_DEVICE_ADDRESS, address) ||
		    (device && (nla_put_u32(msg, AVMM_ATTR_DEVICE_DMA, device->dma) ||
				nla_put_u32(msg, AVMM_ATTR_DEVICE_ROM, !device->hide_rom))))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return send_request(connection, msg, NULL, NULL);
}

static int is_assigned(struct nlmsghdr *header, void *opaque)
{
	struct device_status *wanted = opaque, found;
	int ret = parse_device(header, &found);

	if (!ret && !strcmp(found.address, wanted->address))
		*wanted = found;
	return ret;
}

int device_assign(struct connection *connection, const struct config_device *device, bool again)
{
	const char *address = device->address;
	struct device_status status = { .number = 0 };
	char words[256];
	int ret;

	snprintf(status.address, sizeof(status.address), "%s", address);
	ret = request(connection, AVMM_CMD_GET_DEVICES, is_assigned, &status);
	if (ret || (again && status.known))
		return ret;
	if (!config_legacy(address) && device_in_use(address, words, sizeof(words)))
		return fail("%s is in use by the service partition: %s", address, words);
	if (device->dma == AVMM_DMA_TRUSTED)
		notice("dma = trusted: by %s the user partition can reach all memory of this machine", address);
	/* the module refuses one that is assigned already, which stays where it is */
	if (device->dma != AVMM_DMA_IOMMU || status.known)
		return send_device(connection, AVMM_CMD_DEVICE_ASSIGN, address, device);
	ret = vfio_take(address);
	if (ret)
		return ret;
	ret = send_device(connection, AVMM_CMD_DEVICE_ASSIGN, address, device);
	if (ret)
		vfio_give(address);
	return ret;
}

int device_release(struct connection *connection, const char *address)
{
	return send_device(connection, AVMM_CMD_DEVICE_RELEASE, address, NULL);
}

/* list */

static u32 read_number(const char *address, const char *name)
{
	char path[PATH_MAX], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", address, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return (u32)strtoul(text, NULL, 16);
}

static void read_entry(struct entry *entry, const char *address)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t length;

	memset(entry, 0, sizeof(*entry));
	snprintf(entry->address, sizeof(entry->address), "%.15s", address);
	entry->vendor = read_number(address, "vendor");
	entry->device = read_number(address, "device");
	entry->class = read_number(address, "class");
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", address);
	length = readlink(path, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		slash = strrchr(target, '/');
		snprintf(entry->driver, sizeof(entry->driver), "%.63s", slash ? slash + 1 : target);
	}
	device_in_use(entry->address, entry->use, sizeof(entry->use));
}

static int by_address(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->address, ((const struct entry *)b)->address);
}

static void read_legacy(struct listing *listing)
{
	static const char *const names[AVMM_LEGACIES] = { "i8042", "vga" };
	u32 i;

	for (i = 0; i < AVMM_LEGACIES; i++) {
		struct entry *entry = &listing->entry[listing->count++];

		*entry = (struct entry){ .legacy = true };
		snprintf(entry->address, sizeof(entry->address), "%s", names[i]);
		legacy_driver(names[i], entry->driver, sizeof(entry->driver));
	}
}

static int read_machine(struct listing *listing)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *file;

	if (!dir)
		return fail(PCI_DEVICES ": %s", strerror(errno));
	while ((file = readdir(dir)) && listing->count < DEVICES_MAX)
		if (file->d_name[0] != '.')
			read_entry(&listing->entry[listing->count++], file->d_name);
	closedir(dir);
	qsort(listing->entry, listing->count, sizeof(listing->entry[0]), by_address);
	read_legacy(listing);
	return EXIT_DONE;
}

static int on_device(struct nlmsghdr *header, void *opaque)
{
	struct listing *listing = opaque;
	struct device_status status;
	int ret = parse_device(header, &status);
	u32 i;

	for (i = 0; !ret && i < listing->count; i++)
		if (!strcmp(listing->entry[i].address, status.address)) {
			listing->entry[i].assigned = true;
			listing->entry[i].status = status;
		}
	return ret;
}

static const char *const dma_names[] = { "none", "off", "trusted", "iommu" };

static void add_pci_json(struct json_object *object, const struct entry *entry)
{
	char id[16];

	snprintf(id, sizeof(id), "%04x:%04x", entry->vendor & 0xffff, entry->device & 0xffff);
	json_object_object_add(object, "id", json_object_new_string(id));
	snprintf(id, sizeof(id), "%06x", entry->class & 0xffffff);
	json_object_object_add(object, "class", json_object_new_string(id));
}

static const char *const mode_names[] = { "line", "msi", "msix" };

static void add_place_json(struct json_object *object, const struct device_status *status)
{
	char guest[16];

	snprintf(guest, sizeof(guest), "00:%02x.%u", status->guest >> 3 & 31, status->guest & 7);
	json_object_object_add(object, "guest", json_object_new_string(guest));
	json_object_object_add(object, "dma", json_object_new_string(dma_names[status->dma % 4]));
	json_object_object_add(object, "rom", json_object_new_uint64(status->rom));
	json_object_object_add(object, "mode", json_object_new_string(mode_names[status->mode % 3]));
	json_object_object_add(object, "vectors", json_object_new_uint64(status->messages));
}

static struct json_object *entry_json(const struct entry *entry)
{
	const char *const counters[AVMM_DEVICE_COUNTERS] = {
		"interrupts", "interrupts_done", entry->legacy ? "commands_refused" : "bars_refused", "ports_forwarded",
		"messages", "messages_lost",
	};
	struct json_object *object = json_object_new_object();
	const struct device_status *status = &entry->status;
	u32 i;

	json_object_object_add(object, "address", json_object_new_string(entry->address));
	if (!entry->legacy)
		add_pci_json(object, entry);
	json_object_object_add(object, "owner", json_object_new_string(entry->assigned ? "user" : "service"));
	json_object_object_add(object, "driver",
			       json_object_new_string(entry->assigned ? status->driver : entry->driver));
	if (!entry->assigned) {
		json_object_object_add(object, "use", json_object_new_string(entry->use));
		return object;
	}
	if (!entry->legacy)
		add_place_json(object, status);
	json_object_object_add(object, "irq", json_object_new_uint64(status->irq));
	json_object_object_add(object, "live", json_object_new_boolean(status->live));
	for (i = 0; i < AVMM_DEVICE_COUNTERS; i++)
		json_object_object_add(object, counters[i], json_object_new_uint64(status->counters[i]));
	return object;
}

static void show_json(const struct listing *listing)
{
	struct json_object *object = json_object_new_object(), *list = json_object_new_array();
	u32 i;

	for (i = 0; i < listing->count; i++)
		json_object_array_add(list, entry_json(&listing->entry[i]));
	json_object_object_add(object, "devices", list);
	print_json(object, false);
}

static void show_text(const struct listing *listing)
{
	static const char *const in_words[] = { "", ", by MSI", ", by MSI-X" };
	u32 i;

	printf("%-12s  %-9s  %-6s  %-7s  %s\n", "ADDRESS", "ID", "CLASS", "OWNER", "");
	for (i = 0; i < listing->count; i++) {
		const struct entry *entry = &listing->entry[i];
		const struct device_status *status = &entry->status;

		printf("%-12s  ", entry->address);
		if (entry->legacy)
			printf("%-9s  %-6s  ", "-", "-");
		else
			printf("%04x:%04x  %06x  ", entry->vendor & 0xffff, entry->device & 0xffff, entry->class & 0xffffff);
		printf("%-7s  ", entry->assigned ? "user" : "service");
		if (entry->assigned && entry->legacy)
			printf("%" PRIu32 " interrupts raised%s\n", status->counters[AVMM_DEVICE_COUNT_RAISED],
			       status->live ? ", in use" : "");
		else if (entry->assigned)
			printf("there 00:%02x.%u, interrupt %" PRIu32 ", %" PRIu32 " raised%s%s\n",
			       status->guest >> 3 & 31, status->guest & 7, status->irq,
			       status->counters[AVMM_DEVICE_COUNT_RAISED], in_words[status->mode % 3],
			       status->live ? ", in use" : "");
		else
			printf("%s%s%s\n", entry->driver, entry->use[0] ? ": " : "", entry->use);
	}
}

static int list(struct connection *connection)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	int ret;

	if (!listing)
		return fail("out of memory");
	ret = read_machine(listing);
	if (!ret)
		ret = request(connection, AVMM_CMD_GET_DEVICES, on_device, listing);
	if (!ret && output_json)
		show_json(listing);
	else if (!ret)
		show_text(listing);
	free(listing);
	return ret;
}

/* window */

static void show_window(enum window_state state, u64 size, u64 base)
{
	struct json_object *object;
	char parameter[64], text[32];

	snprintf(parameter, sizeof(parameter), "memmap=%" PRIu64 "M$0x%" PRIx64, size >> 20, base);
	if (output_json) {
		object = json_object_new_object();
		json_object_object_add(object, "reserved", json_object_new_boolean(state == WINDOW_RESERVED));
		json_object_object_add(object, "base", json_object_new_uint64(base));
		json_object_object_add(object, "size", json_object_new_uint64(size));
		json_object_object_add(object, "parameter", json_object_new_string(parameter));
		print_json(object, false);
	} else if (state == WINDOW_RESERVED) {
		printf("a window of %s at 0x%" PRIx64 " is reserved\n", format_bytes(text, sizeof(text), size), base);
	} else {
		printf("%s\n", parameter);
		notice("add this to the kernel's command line and start anew; GRUB wants the $ as \\\\\\$ in "
		       "/etc/default/grub");
	}
}

int device_window(u64 *size, u64 *base, enum window_state *state)
{
	char cmdline[4096] = "";
	FILE *file;

	file = fopen("/proc/cmdline", "re");
	if (!file || !fgets(cmdline, sizeof(cmdline), file))
		cmdline[0] = '\0';
	if (file)
		fclose(file);
	file = fopen("/proc/iomem", "re");
	if (!file)
		return fail("/proc/iomem: %s", strerror(errno));
	*state = window_find(file, cmdline, size, base);
	fclose(file);
	if (*state == WINDOW_HIDDEN)
		return fail("/proc/iomem shows no addresses: this needs root");
	return EXIT_DONE;
}

static int window(const char *wanted)
{
	enum window_state state;
	u64 size, base = 0;
	char text[32];
	int ret;

	if (!config_bytes(wanted, &size) || !size || size % WINDOW_ALIGN)
		return fail("window %s: a multiple of 2M is expected, as in 512M", wanted);
	ret = device_window(&size, &base, &state);
	if (ret)
		return ret;
	if (state == WINDOW_TOO_LARGE)
		return fail("no range of memory below 3 GiB is that large: there are %s",
			    format_bytes(text, sizeof(text), size));
	show_window(state, size, base);
	return EXIT_DONE;
}

/* The command line */

struct choice {
	const char *verb;
	const char *argument;
	const char *dma;
	const char *rom;
};

static int parse(const struct command *self, int argc, char **argv, struct choice *choice)
{
	static const struct option options[] = {
		{ "dma", required_argument, NULL, 'd' }, { "rom", required_argument, NULL, 'r' }, COMMON_OPTIONS
	};
	int c, status;

	while ((c = getopt_long(argc, argv, "-:jh", options, NULL)) != -1) {
		if (c == 'd')
			choice->dma = optarg;
		else if (c == 'r')
			choice->rom = optarg;
		else if (c == 1 && !choice->verb)
			choice->verb = optarg;
		else if (c == 1 && !choice->argument)
			choice->argument = optarg;
		else if (c == 1)
			return usage_error(self, "device: what is `%s`?", optarg);
		else if (common_option(self, c, argv, &status))
			return status;
	}
	return GO_ON;
}

static int act(struct connection *connection, const struct choice *choice, const struct config_device *device)
{
	struct json_object *object;
	bool take = !strcmp(choice->verb, "assign");
	int ret;

	ret = take ? device_assign(connection, device, false) : device_release(connection, device->address);
	if (ret || !output_json)
		return ret;
	object = json_object_new_object();
	json_object_object_add(object, "address", json_object_new_string(device->address));
	json_object_object_add(object, "owner", json_object_new_string(take ? "user" : "service"));
	print_json(object, false);
	return EXIT_DONE;
}

static int check(const struct command *self, const struct choice *choice, struct config_device *device)
{
	const char *verb = choice->verb;

	if (!verb || (strcmp(verb, "list") && strcmp(verb, "assign") && strcmp(verb, "release") && strcmp(verb, "window")))
		return usage_error(self, "device: list, assign, release or window?");
	if (choice->dma && (strcmp(verb, "assign") || !config_dma(choice->dma, &device->dma)))
		return usage_error(self, "device: --dma iommu, --dma off or --dma trusted, with assign");
	if (choice->rom && (strcmp(verb, "assign") || !config_rom(choice->rom, &device->hide_rom)))
		return usage_error(self, "device: --rom yes or --rom no, with assign");
	if (!strcmp(verb, "list"))
		return choice->argument ? usage_error(self, "device: what is `%s`?", choice->argument) : EXIT_DONE;
	if (!strcmp(verb, "window"))
		return choice->argument ? EXIT_DONE : usage_error(self, "device: how large a window?");
	if (choice->argument && config_legacy(choice->argument)) {
		snprintf(device->address, sizeof(device->address), "%s", choice->argument);
		if (choice->dma || choice->rom)
			return usage_error(self, "device: --dma and --rom are for PCI devices");
		return EXIT_DONE;
	}
	if (!choice->argument || !config_address(choice->argument, device->address))
		return usage_error(self, "device: which one? An address is expected, as in 0000:00:04.0, or i8042, or vga");
	return EXIT_DONE;
}

int device_run(const struct command *self, int argc, char **argv)
{
	struct choice choice = { NULL, NULL, NULL, NULL };
	struct config_device device = { .dma = AVMM_DMA_NONE };
	struct connection connection;
	int ret = parse(self, argc, argv, &choice);

	if (ret != GO_ON)
		return ret;
	ret = check(self, &choice, &device);
	if (!ret && !strcmp(choice.verb, "window"))
		return window(choice.argument);
	if (!ret)
		ret = connect_module(&connection);
	if (ret)
		return ret;
	ret = !strcmp(choice.verb, "list") ? list(&connection) : act(&connection, &choice, &device);
	disconnect(&connection);
	return ret;
}
