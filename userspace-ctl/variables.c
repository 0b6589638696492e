// SPDX-License-Identifier: GPL-2.0-only
/* The variables of UEFI firmware; see variables.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <avmm/partition.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "image.h"
#include "variables.h"

static bool write_all(int fd, const u8 *data, u64 size)
{
	ssize_t n;

	for (; size; data += n, size -= (u64)n) {
		n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return false;
	}
	return !fsync(fd);
}

/* The name is in the folder for good. */
static void sync_folder(const char *path)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s", path);
	fd = open(dirname(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* Either the old file or the new one is there, whatever happens. 0 or an errno. */
static int replace(const char *path, const u8 *data, u64 size)
{
	char fresh[PATH_MAX];
	int fd, err = 0;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return ENAMETOOLONG;
	if (unlink(fresh) < 0 && errno != ENOENT)
		return errno;
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	if (!write_all(fd, data, size))
		err = errno;
	if (close(fd) < 0 && !err)
		err = errno;
	if (!err && rename(fresh, path) < 0)
		err = errno;
	if (err)
		unlink(fresh);
	else
		sync_folder(path);
	return err;
}

/* The first start of a partition, or of one whose file was removed. */
static int create(const char *path, const char *template, u64 *size)
{
	u8 *data = NULL;
	int ret = image_read_file(template, "a store of UEFI variables", AVMM_ROM_MAX, &data, size), err;

	if (!ret) {
		err = replace(path, data, *size);
		ret = err ? fail("%s: %s; the firmware's variables cannot be kept there", path, strerror(err)) : EXIT_DONE;
	}
	free(data);
	return ret;
}

/* Another size than the template's would be another firmware's. */
static int check_size(const struct config *config, const char *path, u64 size)
{
	struct stat info;

	if (!config->variables_template)
		return EXIT_DONE;
	if (stat(config->variables_template, &info) < 0)
		return fail("%s: %s", config->variables_template, strerror(errno));
	if ((u64)info.st_size != size)
		return fail("%s: it has %" PRIu64 " bytes, but the variables of this firmware have %" PRIu64, path, size,
			    (u64)info.st_size);
	return EXIT_DONE;
}

/* Saving replaces the file: what counts is whether a file may be made beside it. */
static int check_writable(const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s", path);
	if (access(path, R_OK | W_OK) < 0 || access(dirname(name), W_OK | X_OK) < 0)
		return fail("%s: %s; the firmware's variables could not be kept there", path, strerror(errno));
	return EXIT_DONE;
}

int variables_read(const struct config *config, u8 **data, u64 *size)
{
	const char *path = config->text[KEY_VARIABLES];
	int ret = EXIT_DONE;

	if (access(path, F_OK) < 0 && errno == ENOENT && config->variables_template)
		ret = create(path, config->variables_template, size);
	if (!ret)
		ret = check_writable(path);
	if (!ret)
		ret = image_read_file(path, "a store of UEFI variables", AVMM_ROM_MAX, data, size);
	return ret ? ret : check_size(config, path, *size);
}

int variables_begin(struct variables *v, const struct config *config)
{
	int ret;

	*v = (struct variables){ .path = config->text[KEY_VARIABLES], .device = -1 };
	if (!v->path)
		return EXIT_DONE;
	ret = variables_read(config, &v->saved, &v->size);
	if (ret)
		return ret;
	v->now = malloc(v->size);
	v->device = open(AVMM_DEVICE, O_RDONLY | O_CLOEXEC);
	if (!v->now || v->device < 0)
		return fail("%s: %s", AVMM_DEVICE, strerror(v->now ? errno : ENOMEM));
	return EXIT_DONE;
}

/* False: to be tried again. */
static bool save(struct variables *v)
{
	ssize_t got = pread(v->device, v->now, v->size, 0);
	int err;

	if (got != (ssize_t)v->size)
		return false;
	if (!memcmp(v->now, v->saved, v->size))
		return true;
	err = replace(v->path, v->now, v->size);
	if (err && !v->failing)
		notice("%s: %s; the firmware's variables are not kept", v->path, strerror(err));
	v->failing = err;
	if (err)
		return false;
	memcpy(v->saved, v->now, v->size);
	return true;
}

void variables_look(struct variables *v, u64 writes)
{
	if (v->path && writes != v->seen && save(v))
		v->seen = writes;
}

void variables_save(struct variables *v)
{
	if (v->path && !save(v) && !v->failing)
		notice("%s: the firmware's last variables could not be read", v->path);
}

void variables_end(struct variables *v)
{
	if (v->now && v->device >= 0)
		variables_save(v);
	if (v->device >= 0)
		close(v->device);
	free(v->saved);
	free(v->now);
	*v = (struct variables){ .device = -1 };
}
