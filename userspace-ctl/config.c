// SPDX-License-Identifier: GPL-2.0-only
/*
 * avmm.ini(5). libinih splits the lines; it tells neither line numbers nor headings, so its reader, which it calls
 * once per line, keeps account of both.
 */
#define _GNU_SOURCE 1	/* asprintf() */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <avmm/partition.h>
#include "../include/uapi/avmm_netlink.h"
#include "config.h"

#define MEMORY_MIN	(4ull << 20)
#define MEMORY_MAX	(1ull << 40)
#define SHARE_MAX	999u		/* permille: each side has some */
#define WHOLE		1000u
#define DEFAULT_SERVICE	100u
#define DEFAULT_FREEZE	10u
#define FREEZE_MAX	86400u
#define OVERLAY_MIN	(1ull << 20)
#define OVERLAY_DEFAULT	(4ull << 30)
#define VARIABLES	"/var/lib/avmm/variables.fd"
#define FIRST_DISK	2		/* of the sections */
#define SECTIONS	(FIRST_DISK + CONFIG_DISKS)

struct key {
	const char *section;
	const char *name;
	const char *option;
	bool (*set)(struct config *config, enum config_key key, const char *value);
};

static bool set_bytes(struct config *config, enum config_key key, const char *value);
static bool set_memory_mode(struct config *config, enum config_key key, const char *value);
static bool set_cpus(struct config *config, enum config_key key, const char *value);
static bool set_shared(struct config *config, enum config_key key, const char *value);
static bool set_text(struct config *config, enum config_key key, const char *value);
static bool set_policy(struct config *config, enum config_key key, const char *value);
static bool set_percent(struct config *config, enum config_key key, const char *value);

static bool set_skew(struct config *config, enum config_key key, const char *value);
static bool set_seconds(struct config *config, enum config_key key, const char *value);
static bool set_bus(struct config *config, enum config_key key, const char *value);
static bool set_flag(struct config *config, enum config_key key, const char *value);

#define DISK_KEYS(n) \
	[KEY_DISKS + n * CONFIG_DISK_KEYS + DISK_BUS] = { "disk" #n, "bus", "disk" #n "-bus", set_bus }, \
	[KEY_DISKS + n * CONFIG_DISK_KEYS + DISK_BACKING] = { "disk" #n, "backing", "disk" #n "-backing", set_text }, \
	[KEY_DISKS + n * CONFIG_DISK_KEYS + DISK_CDROM] = { "disk" #n, "cdrom", "disk" #n "-cdrom", set_flag }, \
	[KEY_DISKS + n * CONFIG_DISK_KEYS + DISK_READONLY] = { "disk" #n, "readonly", "disk" #n "-readonly", set_flag }, \
	[KEY_DISKS + n * CONFIG_DISK_KEYS + DISK_OVERLAY] = { "disk" #n, "overlay", "disk" #n "-overlay", set_text }, \
	[KEY_DISKS + n * CONFIG_DISK_KEYS + DISK_OVERLAY_SIZE] = { \
		"disk" #n, "overlay_size", "disk" #n "-overlay-size", set_bytes }

static const struct key keys[CONFIG_KEYS] = {
	[KEY_MEMORY] = { "partition", "memory", "memory", set_bytes },
	[KEY_MEMORY_MODE] = { "partition", "memory_mode", "memory-mode", set_memory_mode },
	[KEY_RESERVE] = { "partition", "reserve", "reserve", set_bytes },
	[KEY_CPUS] = { "partition", "cpus", "cpus", set_cpus },
	[KEY_SHARED] = { "partition", "shared", "shared", set_shared },
	[KEY_FIRMWARE] = { "partition", "firmware", "firmware", set_text },
	[KEY_VARIABLES] = { "partition", "variables", "variables", set_text },
	[KEY_KERNEL] = { "partition", "kernel", "kernel", set_text },
	[KEY_INITRD] = { "partition", "initrd", "initrd", set_text },
	[KEY_CMDLINE] = { "partition", "cmdline", "cmdline", set_text },
	[KEY_ON_TRIPLE_FAULT] = { "partition", "on_triple_fault", "on-triple-fault", set_policy },
	[KEY_USER] = { "shares", "user", "user", set_percent },
	[KEY_SERVICE] = { "shares", "service", "service", set_percent },
	[KEY_CAP_USER] = { "shares", "cap_user", "cap-user", set_percent },
	[KEY_CAP_SERVICE] = { "shares", "cap_service", "cap-service", set_percent },
	[KEY_MAX_SKEW] = { "shares", "max_skew", "max-skew", set_skew },
	[KEY_FREEZE_AFTER] = { "partition", "freeze_after", "freeze-after", set_seconds },
	DISK_KEYS(0), DISK_KEYS(1), DISK_KEYS(2), DISK_KEYS(3),
};

static const char *const sections[SECTIONS] = { "partition", "shares", "disk0", "disk1", "disk2", "disk3" };

/* What libinih's callbacks know of the file. */
struct reader {
	struct config *config;
	FILE *stream;
	int line;
	bool indented;			/* this line begins with a blank */
	int previous;			/* the key that an indented line goes on with; -1: none */
	int heading[SECTIONS];		/* the line with it */
};

const char *config_option_name(enum config_key key)
{
	return keys[key].option;
}

void config_init(struct config *config)
{
	*config = (struct config){
		.cpus = 1, .cap_user = WHOLE, .cap_service = WHOLE, .on_triple_fault = AVMM_POLICY_STOP,
		.freeze_after = DEFAULT_FREEZE,
	};
}

void config_free(struct config *config)
{
	int i;

	for (i = 0; i < CONFIG_KEYS; i++)
		free(config->text[i]);
	config_init(config);
}

/* Keeps the first problem of the file. line: as in config->from. */
static bool __attribute__((format(printf, 3, 4))) refuse(struct config *config, int line, const char *format, ...)
{
	size_t len = 0;
	va_list args;

	if (config->problem[0] && config->problem_line <= line)
		return false;
	if (line > 0)
		len = (size_t)snprintf(config->problem, sizeof(config->problem), "%s:%d: ", config->file, line);
	else if (line == FROM_NOWHERE && config->file)
		len = (size_t)snprintf(config->problem, sizeof(config->problem), "%s: ", config->file);
	config->problem_line = line;
	if (len >= sizeof(config->problem))
		return false;
	va_start(args, format);
	vsnprintf(config->problem + len, sizeof(config->problem) - len, format, args);
	va_end(args);
	return false;
}

/* The value of a key is wrong: says how it was given, and what is expected. */
static bool __attribute__((format(printf, 3, 4))) refuse_value(struct config *config, enum config_key key,
							       const char *format, ...)
{
	int from = config->from[key];
	char expected[256];
	va_list args;

	va_start(args, format);
	vsnprintf(expected, sizeof(expected), format, args);
	va_end(args);
	if (from == FROM_OPTION)
		return refuse(config, from, "--%s %.160s: %s", keys[key].option, config->text[key], expected);
	return refuse(config, from, "%s = %.160s: %s", keys[key].name, config->text[key], expected);
}

bool config_bytes(const char *text, u64 *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno || !isdigit((unsigned char)*text))
		return false;
	if (!*end)
		return true;
	unit = strchr(units, toupper((unsigned char)*end));
	if (!unit || end[1] || *bytes >> (63 - 10 * (unit - units + 1)))
		return false;
	*bytes <<= 10 * (unit - units + 1);
	return true;
}

u32 config_percent(const char *text, u32 max)
{
	unsigned long whole;
	u32 permille;
	char *end;

	if (!isdigit((unsigned char)*text))
		return 0;
	whole = strtoul(text, &end, 10);
	if (whole > max)
		return 0;
	permille = (u32)whole * 10;
	if (*end == '.' && isdigit((unsigned char)end[1])) {
		permille += (u32)(end[1] - '0');
		end += 2;
	}
	return *end || permille > max * 10 ? 0 : permille;
}

static struct config_disk *disk_of(struct config *config, enum config_key key)
{
	return &config->disk[(key - KEY_DISKS) / CONFIG_DISK_KEYS];
}

static bool set_bytes(struct config *config, enum config_key key, const char *value)
{
	u64 bytes;

	if (!config_bytes(value, &bytes))
		return refuse_value(config, key, "a number of bytes is expected, as in 512M or 4G");
	if (key >= KEY_DISKS) {
		if (bytes < OVERLAY_MIN || bytes > MEMORY_MAX)
			return refuse_value(config, key, "from 1M to 1T");
		disk_of(config, key)->overlay_size = bytes;
		disk_of(config, key)->present = true;
		return true;
	}
	if (key == KEY_RESERVE) {
		config->reserve = bytes;
		return true;
	}
	if (bytes < MEMORY_MIN || bytes > MEMORY_MAX)
		return refuse_value(config, key, "from 4M to 1T");
	if (bytes % AVMM_BLOCK_SIZE)
		return refuse_value(config, key, "a multiple of 2M");
	config->memory = bytes;
	return true;
}

static bool set_memory_mode(struct config *config, enum config_key key, const char *value)
{
	config->identity = !strcmp(value, "identity");
	return config->identity || !strcmp(value, "normal") ||
	       refuse_value(config, key, "normal or identity is expected");
}

static bool set_cpus(struct config *config, enum config_key key, const char *value)
{
	char *end;
	unsigned long cpus = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || !cpus)
		return refuse_value(config, key, "a number of CPUs is expected");
	if (cpus > AVMM_MAX_VCPUS)
		return refuse_value(config, key, "this version can give %d at most", AVMM_MAX_VCPUS);
	config->cpus = (u32)cpus;
	return true;
}

static bool set_shared(struct config *config, enum config_key key, const char *value)
{
	static const char *const names[] = { [AVMM_SHARED_AUTO] = "auto", [AVMM_SHARED_YES] = "yes",
					     [AVMM_SHARED_NO] = "no" };
	u32 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(value, names[i])) {
			config->shared = i;
			return true;
		}
	}
	return refuse_value(config, key, "auto, yes or no");
}

static bool set_policy(struct config *config, enum config_key key, const char *value)
{
	if (!strcmp(value, "stop"))
		config->on_triple_fault = AVMM_POLICY_STOP;
	else if (!strcmp(value, "reset"))
		config->on_triple_fault = AVMM_POLICY_RESET;
	else
		return refuse_value(config, key, "stop or reset");
	return true;
}

static bool set_skew(struct config *config, enum config_key key, const char *value)
{
	static const u32 us = 1000, least = (AVMM_SKEW_MIN + us - 1) / us, most = AVMM_SKEW_MAX / us;
	char *end;
	unsigned long ms = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || (ms && (ms < least || ms > most)))
		return refuse_value(config, key, "milliseconds, from %u to %u, or 0 (any)", least, most);
	config->max_skew = (u32)ms * us;
	return true;
}

static bool set_seconds(struct config *config, enum config_key key, const char *value)
{
	char *end;
	unsigned long seconds = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || seconds > FREEZE_MAX)
		return refuse_value(config, key, "seconds, from 0 (never) to %u", FREEZE_MAX);
	config->freeze_after = (u32)seconds;
	return true;
}

static bool set_bus(struct config *config, enum config_key key, const char *value)
{
	disk_of(config, key)->present = true;
	if (!strcmp(value, "nvme"))
		return refuse_value(config, key, "not supported yet, there is ide");
	return !strcmp(value, "ide") ? true : refuse_value(config, key, "ide is expected");
}

static bool set_flag(struct config *config, enum config_key key, const char *value)
{
	struct config_disk *disk = disk_of(config, key);
	bool yes = !strcmp(value, "yes");

	if (!yes && strcmp(value, "no"))
		return refuse_value(config, key, "yes or no");
	disk->present = true;
	if ((key - KEY_DISKS) % CONFIG_DISK_KEYS == DISK_CDROM)
		disk->cdrom = yes;
	else
		disk->read_only = yes;
	return true;
}

static bool set_text(struct config *config, enum config_key key, const char *value)
{
	if (key >= KEY_DISKS)
		disk_of(config, key)->present = true;
	if (!*value && key != KEY_CMDLINE)
		return refuse_value(config, key, key == KEY_FIRMWARE ? "seabios, ovmf or a file is expected" :
				    "a file is expected");
	return true;
}

static bool set_percent(struct config *config, enum config_key key, const char *value)
{
	bool cap = key == KEY_CAP_USER || key == KEY_CAP_SERVICE;
	u32 permille = config_percent(value, 100);
	u32 *field[CONFIG_KEYS] = {
		[KEY_USER] = &config->user, [KEY_SERVICE] = &config->service,
		[KEY_CAP_USER] = &config->cap_user, [KEY_CAP_SERVICE] = &config->cap_service,
	};

	if (!permille || permille > (cap ? WHOLE : SHARE_MAX))
		return refuse_value(config, key, "percent, from 0.1 to %s", cap ? "100" : "99.9");
	*field[key] = permille;
	return true;
}

static bool set(struct config *config, enum config_key key, const char *value, int from)
{
	free(config->text[key]);
	config->from[key] = from;
	config->text[key] = strdup(value);
	if (!config->text[key])
		return refuse(config, from, "out of memory");
	return keys[key].set(config, key, value);
}

static int find_section(const char *name, size_t len)
{
	int i;

	for (i = 0; i < SECTIONS; i++) {
		if (strlen(sections[i]) == len && !memcmp(name, sections[i], len))
			return i;
	}
	return -1;
}

/* N of "deviceN"; -1: another section. */
static int find_device(const char *name, size_t len)
{
	if (len != 7 || memcmp(name, "device", 6) || name[6] < '0' || name[6] >= '0' + CONFIG_DEVICES)
		return -1;
	return name[6] - '0';
}

bool config_address(const char *text, char address[16])
{
	unsigned int domain = 0, bus, slot, function;
	int end = 0;

	if ((sscanf(text, "%4x:%2x:%2x.%1u%n", &domain, &bus, &slot, &function, &end) != 4 || text[end]) &&
	    (domain = 0, end = 0, sscanf(text, "%2x:%2x.%1u%n", &bus, &slot, &function, &end) != 3 || text[end]))
		return false;
	if (slot > 31 || function > 7)
		return false;
	snprintf(address, 16, "%04x:%02x:%02x.%u", domain & 0xffff, bus & 0xff, slot, function);
	return true;
}

bool config_dma(const char *text, u32 *dma)
{
	static const char *const names[] = {
		[AVMM_DMA_OFF] = "off", [AVMM_DMA_TRUSTED] = "trusted", [AVMM_DMA_IOMMU] = "iommu",
	};

	for (*dma = AVMM_DMA_OFF; *dma <= AVMM_DMA_IOMMU; ++*dma)
		if (!strcmp(text, names[*dma]))
			return true;
	*dma = AVMM_DMA_NONE;
	return false;
}

bool config_rom(const char *text, bool *hide)
{
	*hide = !strcmp(text, "no");
	return *hide || !strcmp(text, "yes");
}

bool config_legacy(const char *text)
{
	return !strcmp(text, "i8042") || !strcmp(text, "vga");
}

/* Which device a section is about: by one of three keys. */
static bool name_device(struct config *config, struct config_device *device, const char *name, const char *value, int line)
{
	bool pci = !strcmp(name, "pci"), vga = !strcmp(name, "vga");

	if (pci)
		return config_address(value, device->address) ||
		       refuse(config, line, "pci = %.160s: an address is expected, as in 0000:00:04.0", value);
	if (strcmp(value, vga ? "yes" : "i8042"))
		return refuse(config, line, "%s = %.160s: only %s is known", name, value, vga ? "yes" : "i8042");
	snprintf(device->address, sizeof(device->address), "%s", vga ? "vga" : "i8042");
	return true;
}

static bool device_key(struct config *config, int n, const char *name, const char *value, int line)
{
	struct config_device *device = &config->device[n];
	bool dma = !strcmp(name, "dma"), rom = !strcmp(name, "rom");
	int *from = dma ? &device->from_dma : rom ? &device->from_rom : &device->from_device;

	if (!dma && !rom && strcmp(name, "pci") && strcmp(name, "isa") && strcmp(name, "vga"))
		return refuse(config, line, "unknown key `%s` in section [device%d]", name, n);
	if (*from && (dma || rom || !strcmp(name, "pci")))
		return refuse(config, line, "`%s` stands in line %d already", name, *from);
	if (*from)
		return refuse(config, line, "`%s`: the device of this section stands in line %d already", name, *from);
	*from = line;
	if (dma)
		return config_dma(value, &device->dma) ||
		       refuse(config, line, "dma = %.160s: iommu, off or trusted", value);
	if (rom)
		return config_rom(value, &device->hide_rom) ||
		       refuse(config, line, "rom = %.160s: yes or no", value);
	return name_device(config, device, name, value, line);
}

static bool finish_devices(struct config *config)
{
	int i, k;

	for (i = 0; i < CONFIG_DEVICES; i++) {
		const struct config_device *device = &config->device[i];

		if (device->heading && !device->address[0])
			return refuse(config, device->heading, "[device%d]: `pci`, `isa` or `vga` is missing", i);
		if (device->from_dma && config_legacy(device->address))
			return refuse(config, device->from_dma, "`dma` is for PCI devices: %s cannot do any", device->address);
		if (device->from_rom && config_legacy(device->address))
			return refuse(config, device->from_rom, "`rom` is for PCI devices: %s has none", device->address);
		for (k = 0; k < i && device->heading; k++)
			if (!strcmp(config->device[k].address, device->address))
				return refuse(config, device->from_device, "%s: that is device%d already", device->address, k);
		if (device->heading && device->dma == AVMM_DMA_TRUSTED && !config->identity)
			return refuse(config, device->from_dma, "dma = trusted needs memory_mode = identity");
		if (device->heading && device->dma == AVMM_DMA_IOMMU && config->identity)
			return refuse(config, device->from_dma, "dma = iommu does not go together with memory_mode = identity");
	}
	return true;
}

/* A heading without its end is left to libinih, which refuses the line. */
static bool note_heading(struct reader *reader, const char *name)
{
	const char *end = strchr(name, ']');
	int section, device, *heading, len = end ? (int)(end - name) : 0;

	if (!end)
		return true;
	reader->previous = -1;
	device = find_device(name, (size_t)len);
	heading = device < 0 ? NULL : &reader->config->device[device].heading;
	section = find_section(name, (size_t)len);
	if (section >= 0)
		heading = &reader->heading[section];
	if (!heading)
		return refuse(reader->config, reader->line, "unknown section [%.*s]", len > 60 ? 60 : len, name);
	if (*heading)
		return refuse(reader->config, reader->line, "section [%.*s] stands in line %d already", len, name,
			      *heading);
	*heading = reader->line;
	if (section >= FIRST_DISK)
		reader->config->disk[section - FIRST_DISK].present = true;
	return true;
}

static void refuse_line(struct reader *reader, int c, int size)
{
	if (c)
		refuse(reader->config, reader->line, "the line is longer than %d bytes; cmdline goes on in the next "
		       "line if that is indented", size - 2);
	else
		refuse(reader->config, reader->line, "this is not a text file");
}

/* Like fgets(). Nothing more is read after a problem. */
static char *read_line(char *line, int size, void *stream)
{
	struct reader *reader = stream;
	const char *start = line;
	int len = 0, c;

	if (reader->config->problem[0])
		return NULL;
	reader->line++;
	while ((c = getc(reader->stream)) != EOF) {
		if (!c || len == size - 1) {
			refuse_line(reader, c, size);
			return NULL;
		}
		line[len++] = (char)c;
		if (c == '\n')
			break;
	}
	line[len] = '\0';
	if (!len)
		return NULL;
	reader->indented = isspace((unsigned char)*start);
	if (reader->line == 1 && !strncmp(start, "\xef\xbb\xbf", 3))
		start += 3;
	while (isspace((unsigned char)*start))
		start++;
	if (*start == '[' && (reader->previous < 0 || !reader->indented) && !note_heading(reader, start + 1))
		return NULL;
	return line;
}

static int find_key(const char *section, const char *name)
{
	int i;

	for (i = 0; i < CONFIG_KEYS; i++) {
		if (!strcmp(keys[i].section, section) && !strcmp(keys[i].name, name))
			return i;
	}
	return -1;
}

/* The command line may be long: it goes on in indented lines. libinih leaves comments in them to us. */
static bool continue_value(struct reader *reader, const char *more)
{
	struct config *config = reader->config;
	const char *comment = *more == ';' ? more : strstr(more, " ;");
	int len = comment ? (int)(comment - more) : (int)strlen(more);
	char *old = config->text[reader->previous], *text;

	if (reader->previous != KEY_CMDLINE)
		return refuse(config, reader->line, "this line is indented: only cmdline goes on in a second line");
	while (len && isspace((unsigned char)more[len - 1]))
		len--;
	if (!len)
		return true;
	if (asprintf(&text, "%s%s%.*s", old, *old ? " " : "", len, more) < 0)
		return refuse(config, reader->line, "out of memory");
	free(old);
	config->text[reader->previous] = text;
	return true;
}

static int on_key(void *opaque, const char *section, const char *name, const char *value)
{
	struct reader *reader = opaque;
	struct config *config = reader->config;
	int key, device;

	if (reader->previous >= 0 && reader->indented)
		return continue_value(reader, value);
	device = find_device(section, strlen(section));
	if (device >= 0) {
		reader->previous = -1;
		return device_key(config, device, name, value, reader->line);
	}
	key = find_key(section, name);
	if (!*section)
		return refuse(config, reader->line, "`%s` stands in no section", name);
	if (key < 0)
		return refuse(config, reader->line, "unknown key `%s` in section [%s]", name, section);
	if (config->from[key])
		return refuse(config, reader->line, "`%s` stands in line %d already", name, config->from[key]);
	reader->previous = key;
	return set(config, (enum config_key)key, value, reader->line);
}

bool config_read(struct config *config, FILE *stream, const char *file)
{
	struct reader reader = { .config = config, .stream = stream, .previous = -1 };
	int line;

	config->file = file;
	line = ini_parse_stream(read_line, &reader, on_key, &reader);
	if (ferror(stream))
		return refuse(config, FROM_NOWHERE, "%s", strerror(errno));
	if (line < 0)
		return refuse(config, FROM_NOWHERE, "out of memory");
	if (line > 0 && (!config->problem[0] || line < config->problem_line)) {
		config->problem[0] = '\0';
		return refuse(config, line, "neither [section] nor key = value");
	}
	return !config->problem[0];
}

bool config_option(struct config *config, enum config_key key, const char *value)
{
	enum config_key other = key == KEY_USER ? KEY_SERVICE : KEY_USER;

	/* Each of the two says both: the option wins over either line of the file. */
	if ((key == KEY_USER || key == KEY_SERVICE) && config->from[other] != FROM_OPTION)
		config->from[other] = FROM_NOWHERE;
	return set(config, key, value, FROM_OPTION);
}

/* Relative to the folder of the file that names it, or to where we are if an option names it. NULL: out of memory. */
static char *full_name(struct config *config, enum config_key key)
{
	const char *slash = config->file ? strrchr(config->file, '/') : NULL;
	const char *name = config->text[key];
	char *path;

	if (config->from[key] <= 0 || *name == '/' || !slash)
		path = strdup(name);
	else if (asprintf(&path, "%.*s%s", (int)(slash + 1 - config->file), config->file, name) < 0)
		path = NULL;
	if (!path)
		refuse(config, FROM_NOWHERE, "out of memory");
	return path;
}

static bool set_path(struct config *config, enum config_key key, char *path)
{
	free(config->text[key]);
	config->text[key] = path;
	return true;
}

static bool find_file(struct config *config, enum config_key key)
{
	char *path = full_name(config, key), *found = path ? realpath(path, NULL) : NULL;
	int err = errno;

	if (!path)
		return false;
	free(path);
	return found ? set_path(config, key, found) : refuse_value(config, key, "%s", strerror(err));
}

/* A file that may have to be made: then its folder is there. */
static bool find_new_file(struct config *config, enum config_key key)
{
	char *path = full_name(config, key), *slash, *folder, *found;
	int n;

	if (!path)
		return false;
	slash = strrchr(path, '/');
	if (!access(path, F_OK) || errno != ENOENT || (slash && !slash[1])) {
		free(path);
		return find_file(config, key);
	}
	if (slash)
		*slash = '\0';
	folder = realpath(!slash ? "." : slash == path ? "/" : path, NULL);
	if (!folder) {
		free(path);
		return refuse_value(config, key, "its folder: %s", strerror(errno));
	}
	n = asprintf(&found, "%s/%s", folder, slash ? slash + 1 : path);
	free(folder);
	free(path);
	return n < 0 ? refuse(config, FROM_NOWHERE, "out of memory") : set_path(config, key, found);
}

/* By the name of a Debian package, else a file. */
static bool find_firmware(struct config *config)
{
	static const struct { const char *name, *package, *file, *variables; } known[] = {
		{ "seabios", "seabios", "/usr/share/seabios/bios-256k.bin", NULL },
		{ "ovmf", "ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd" },
	};
	u32 i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(config->text[KEY_FIRMWARE], known[i].name))
			continue;
		if (access(known[i].file, R_OK) || (known[i].variables && access(known[i].variables, R_OK)))
			return refuse_value(config, KEY_FIRMWARE, "%s: %s; Debian's package `%s` has it", known[i].file,
					    strerror(errno), known[i].package);
		config->variables_template = known[i].variables;
		free(config->text[KEY_FIRMWARE]);
		config->text[KEY_FIRMWARE] = strdup(known[i].file);
		return config->text[KEY_FIRMWARE] || refuse(config, FROM_NOWHERE, "out of memory");
	}
	return find_file(config, KEY_FIRMWARE);
}

static bool find_variables(struct config *config)
{
	if (config->from[KEY_VARIABLES])
		return config->variables_template ? find_new_file(config, KEY_VARIABLES) : find_file(config, KEY_VARIABLES);
	if (!config->variables_template)
		return true;
	config->text[KEY_VARIABLES] = strdup(VARIABLES);
	return config->text[KEY_VARIABLES] || refuse(config, FROM_NOWHERE, "out of memory");
}

static bool finish_boot(struct config *config)
{
	static const enum config_key with_kernel[] = { KEY_INITRD, KEY_CMDLINE };
	u32 i;

	if (config->from[KEY_FIRMWARE] && config->from[KEY_KERNEL])
		return refuse_value(config, KEY_FIRMWARE, "there is `kernel` too: it is either of them");
	for (i = 0; i < sizeof(with_kernel) / sizeof(with_kernel[0]); i++) {
		if (config->from[with_kernel[i]] && !config->from[KEY_KERNEL])
			return refuse_value(config, with_kernel[i], "there is no `kernel` that it is for");
	}
	if (config->from[KEY_VARIABLES] && !config->from[KEY_FIRMWARE])
		return refuse_value(config, KEY_VARIABLES, "there is no `firmware` whose variables they are");
	if (config->from[KEY_FIRMWARE])
		return find_firmware(config) && find_variables(config);
	if (!config->from[KEY_KERNEL])
		return refuse(config, FROM_NOWHERE, "`firmware` is missing, or `kernel`");
	return find_file(config, KEY_KERNEL) && (!config->from[KEY_INITRD] || find_file(config, KEY_INITRD));
}

static bool finish_overlay(struct config *config, unsigned int number)
{
	enum config_key overlay = config_disk_key(number, DISK_OVERLAY), size = config_disk_key(number, DISK_OVERLAY_SIZE);
	struct config_disk *disk = &config->disk[number];

	if (config->from[size] && !config->from[overlay])
		return refuse_value(config, size, "there is no `overlay`");
	if (!config->from[overlay])
		return true;
	if (disk->cdrom || disk->read_only)
		return refuse_value(config, overlay, "nothing is written to a disk that is read-only");
	if (!disk->overlay_size)
		disk->overlay_size = OVERLAY_DEFAULT;
	return !strcmp(config->text[overlay], "ram") || find_file(config, overlay);
}

static bool finish_disk(struct config *config, unsigned int number)
{
	enum config_key backing = config_disk_key(number, DISK_BACKING);

	if (!finish_overlay(config, number))
		return false;
	if (config->from[backing])
		return find_file(config, backing);
	if (config->disk[number].present && !config->disk[number].cdrom)
		return refuse(config, FROM_NOWHERE, "[disk%u]: `backing` is missing", number);
	return true;
}

static bool finish_disks(struct config *config)
{
	unsigned int i;

	for (i = 0; i < CONFIG_DISKS; i++)
		if (!finish_disk(config, i))
			return false;
	return true;
}

static bool finish_shares(struct config *config)
{
	bool user = config->from[KEY_USER], service = config->from[KEY_SERVICE];

	if (user && service && config->user + config->service != WHOLE)
		return refuse_value(config, KEY_SERVICE, "with user = %s that is not 100 percent",
				    config->text[KEY_USER]);
	if (!service)
		config->service = user ? WHOLE - config->user : DEFAULT_SERVICE;
	config->user = WHOLE - config->service;
	return true;
}

bool config_finish(struct config *config)
{
	if (!config->from[KEY_MEMORY])
		return refuse(config, FROM_NOWHERE, "`memory` is missing");
	return finish_boot(config) && finish_shares(config) && finish_disks(config) && finish_devices(config);
}
