// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of this Linux uses a PCI device: network interfaces that are up, disks that somebody has mounted or claimed, its own
 * and those that hang on it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>
#include <net/if.h>
#include <sys/socket.h>
#include "device.h"

#define NBD_RUN_DIR	"/run/avmm/nbd"

/* The first word of a file; "" if there is none. */
static void read_word(const char *path, char *word, size_t size)
{
	FILE *file = fopen(path, "re");

	word[0] = '\0';
	if (!file)
		return;
	if (!fgets(word, (int)size, file))
		word[0] = '\0';
	word[strcspn(word, " \n")] = '\0';
	fclose(file);
}

/* Do we reach a server through this interface? The kernel's route says so, without a packet. */
static bool reaches(const char *interface, const char *host)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct ifaddrs *all = NULL, *one;
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);
	struct addrinfo *found;
	bool ours = false;
	int fd;

	if (getaddrinfo(host, "10809", &hints, &found))
		return false;
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, found->ai_addr, found->ai_addrlen) &&
	    !getsockname(fd, (struct sockaddr *)&own, &length) && !getifaddrs(&all)) {
		for (one = all; one; one = one->ifa_next) {
			if (!one->ifa_addr || one->ifa_addr->sa_family != own.ss_family ||
			    strcmp(one->ifa_name, interface))
				continue;
			if (own.ss_family == AF_INET)
				ours |= !memcmp(one->ifa_addr->sa_data + 2, ((struct sockaddr *)&own)->sa_data + 2, 4);
			else
				ours |= !memcmp(one->ifa_addr->sa_data + 6, ((struct sockaddr *)&own)->sa_data + 6, 8);
		}
		freeifaddrs(all);
	}
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return ours;
}

/* The host of "nbd://host:port/name", as the connection manager noted it. */
static bool nbd_host(const char *file, char *host, size_t size)
{
	struct json_object *record = json_object_from_file(file), *uri = NULL;
	const char *text = NULL, *start;
	size_t length = 0;

	if (record && json_object_object_get_ex(record, "uri", &uri))
		text = json_object_get_string(uri);
	start = text ? strstr(text, "://") : NULL;
	if (start) {
		start += 3;
		length = *start == '[' ? strcspn(++start, "]") : strcspn(start, ":/?");
	}
	if (length && length < size)
		snprintf(host, size, "%.*s", (int)length, start);
	json_object_put(record);
	return length && length < size;
}

static bool carries_nbd(const char *interface, char *words, size_t size)
{
	DIR *dir = opendir(NBD_RUN_DIR);
	struct dirent *entry;
	bool carries = false;

	while (dir && !carries && (entry = readdir(dir))) {
		char path[PATH_MAX], host[256];

		snprintf(path, sizeof(path), NBD_RUN_DIR "/%s", entry->d_name);
		carries = strstr(entry->d_name, ".json") && nbd_host(path, host, sizeof(host)) &&
			  reaches(interface, host);
		if (carries)
			snprintf(words, size, "it carries the NBD link of %.*s, to %.200s",
				 (int)strcspn(entry->d_name, "."), entry->d_name, host);
	}
	if (dir)
		closedir(dir);
	return carries;
}

/* Is this member of a class the device's own, or that of something which hangs on it (a USB controller's, say)? */
static bool is_below(const char *class, const char *name, const char *address)
{
	char path[PATH_MAX], real[PATH_MAX], part[32];

	snprintf(path, sizeof(path), "/sys/class/%s/%s", class, name);
	snprintf(part, sizeof(part), "/%s/", address);
	return name[0] != '.' && realpath(path, real) && strstr(real, part);
}

static bool interface_in_use(const char *name, char *words, size_t size)
{
	char path[PATH_MAX], flags[32];

	snprintf(path, sizeof(path), "/sys/class/net/%s/flags", name);
	read_word(path, flags, sizeof(flags));
	if (!(strtoul(flags, NULL, 16) & IFF_UP))
		return false;
	if (!carries_nbd(name, words, size))
		snprintf(words, size, "its network interface %s is up", name);
	return true;
}

/* Does a line of the file begin with this disk, or a partition of it? */
static bool is_listed(const char *list, const char *name)
{
	FILE *file = fopen(list, "re");
	char line[1024], prefix[300];
	bool listed = false;

	snprintf(prefix, sizeof(prefix), "/dev/%s", name);
	while (file && !listed && fgets(line, sizeof(line), file))
		listed = !strncmp(line, prefix, strlen(prefix));
	if (file)
		fclose(file);
	return listed;
}

/* The name of the block device that this one is a part of. */
static bool holder(const char *name, char *found, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	found[0] = '\0';
	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", name);
	dir = opendir(path);
	while (dir && !found[0] && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(found, size, "%s", entry->d_name);
	if (dir)
		closedir(dir);
	return found[0];
}

static bool disk_in_use(const char *name, char *words, size_t size)
{
	char by[256];

	if (is_listed("/proc/self/mounts", name))
		snprintf(words, size, "its disk %s is mounted", name);
	else if (is_listed("/proc/swaps", name))
		snprintf(words, size, "its disk %s is swap space", name);
	else if (holder(name, by, sizeof(by)))
		snprintf(words, size, "its disk %s is a part of %.64s", name, by);
	return words[0];
}

/* Who has a disk to himself, for whatever reason, keeps out others who want that: open(2), O_EXCL. */
static bool disk_claimed(const char *name, char *words, size_t size)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EBUSY)
		snprintf(words, size, "its disk %s is in use", name);
	return words[0];
}

static bool any_in_use(const char *class, bool (*in_use)(const char *name, char *words, size_t size),
		       const char *address, char *words, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool used = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/%s", class);
	dir = opendir(path);
	while (dir && !used && (entry = readdir(dir)))
		used = is_below(class, entry->d_name, address) && in_use(entry->d_name, words, size);
	if (dir)
		closedir(dir);
	return used;
}

bool device_in_use(const char *address, char *words, size_t size)
{
	words[0] = '\0';
	return any_in_use("net", interface_in_use, address, words, size) ||
	       any_in_use("block", disk_in_use, address, words, size) ||
	       any_in_use("block", disk_claimed, address, words, size);
}
