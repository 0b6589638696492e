// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "record.h"

#define PATH_SIZE	512

static const char *const state_names[NBD_STATES] = {
	[NBD_CONNECTED] = "connected",
	[NBD_DEGRADED] = "degraded",
	[NBD_STALLED] = "stalled",
	[NBD_REFUSED] = "refused",
};

const char *state_name(enum nbd_state state)
{
	return state < NBD_STATES ? state_names[state] : "unknown";
}

static void add_string(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, u64 number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_flag(struct json_object *object, const char *key, bool flag)
{
	json_object_object_add(object, key, json_object_new_boolean(flag));
}

struct json_object *record_json(const struct nbd_record *record)
{
	struct json_object *object = json_object_new_object();
	char text[LABEL_TEXT];

	snprintf(text, sizeof(text), "/dev/nbd%d", record->index);
	add_string(object, "device", text);
	add_string(object, "uri", record->uri);
	add_string(object, "state", state_name(record->state));
	json_object_object_add(object, "reason", record->reason[0] ? json_object_new_string(record->reason) : NULL);
	json_object_object_add(object, "since", json_object_new_int64(record->since));
	add_number(object, "pid", (u64)record->pid);
	add_number(object, "size", record->export.size);
	add_number(object, "block_size", record->block_size);
	add_flag(object, "read_only", record->flags & NBD_READ_ONLY);
	add_flag(object, "multi_conn", record->export.flags & NBD_CAN_MULTI_CONN);
	add_flag(object, "tls", record->export.tls);
	add_number(object, "connections", record->connections);
	add_number(object, "alive", record->alive);
	add_number(object, "reconnects", record->reconnects);
	add_number(object, "timeout", record->timeout);
	add_string(object, "export", record->export.name);
	add_string(object, "description", record->export.description);
	add_string(object, "label", label_text(&record->export.label, text));
	add_string(object, "backend", record->backend);
	add_number(object, "flags", record->flags);
	add_number(object, "export_flags", record->export.flags);
	add_number(object, "min_block", record->export.min_block);
	return object;
}

static const char *get_string(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static bool get_number(struct json_object *object, const char *key, u64 max, u64 *number)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_int))
		return false;
	*number = json_object_get_uint64(value);
	return *number <= max && (json_object_get_int64(value) >= 0);
}

static bool get_u32(struct json_object *object, const char *key, u32 *number)
{
	u64 value;

	if (!get_number(object, key, UINT32_MAX, &value))
		return false;
	*number = (u32)value;
	return true;
}

static bool get_text(struct json_object *object, const char *key, char *text, size_t size)
{
	const char *value = get_string(object, key);

	return value && (size_t)snprintf(text, size, "%s", value) < size;
}

static bool parse_state(struct json_object *object, struct nbd_record *record)
{
	const char *name = get_string(object, "state");

	for (record->state = 0; name && record->state < NBD_STATES; record->state++) {
		if (!strcmp(name, state_names[record->state]))
			return true;
	}
	return false;
}

static bool parse_export(struct json_object *object, struct nbd_export *export)
{
	const char *label = get_string(object, "label");
	struct json_object *tls;

	if (!json_object_object_get_ex(object, "tls", &tls))
		return false;
	export->tls = json_object_get_boolean(tls);
	return label && label_parse(label, &export->label) && get_number(object, "size", INT64_MAX, &export->size) &&
	       get_u32(object, "export_flags", &export->flags) && get_u32(object, "min_block", &export->min_block) &&
	       get_text(object, "export", export->name, sizeof(export->name)) &&
	       get_text(object, "description", export->description, sizeof(export->description));
}

bool record_parse(struct json_object *object, struct nbd_record *record)
{
	const char *uri = get_string(object, "uri"), *backend = get_string(object, "backend");
	const char *device = get_string(object, "device");
	u64 pid, since;

	memset(record, 0, sizeof(*record));
	if (!uri || !backend || !device || sscanf(device, "/dev/nbd%d", &record->index) != 1)
		return false;
	record->uri = strdup(uri);
	record->backend = strdup(backend);
	if (!record->uri || !record->backend || !get_number(object, "pid", INT32_MAX, &pid) ||
	    !get_number(object, "since", INT64_MAX, &since))
		return false;
	record->pid = (int)pid;
	record->since = (s64)since;
	/* null where there is no reason */
	if (get_string(object, "reason") && !get_text(object, "reason", record->reason, sizeof(record->reason)))
		return false;
	return parse_state(object, record) && parse_export(object, &record->export) &&
	       get_u32(object, "flags", &record->flags) && get_u32(object, "block_size", &record->block_size) &&
	       get_u32(object, "timeout", &record->timeout) &&
	       get_u32(object, "connections", &record->connections) && get_u32(object, "alive", &record->alive) &&
	       get_u32(object, "reconnects", &record->reconnects);
}

void record_free(struct nbd_record *record)
{
	free(record->uri);
	free(record->backend);
	record->uri = record->backend = NULL;
}

static void make_path(char path[PATH_SIZE], const char *dir, int index, const char *end)
{
	snprintf(path, PATH_SIZE, "%s/nbd%d.%s", dir, index, end);
}

static int make_dir(const char *dir)
{
	char path[PATH_SIZE], *slash;

	snprintf(path, sizeof(path), "%s", dir);
	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

/* Whoever reads it sees the former record or this one. */
int record_write(const char *dir, const struct nbd_record *record)
{
	struct json_object *object = record_json(record);
	char path[PATH_SIZE], new[PATH_SIZE];
	int ret = make_dir(dir);

	make_path(path, dir, record->index, "json");
	make_path(new, dir, record->index, "json.new");
	errno = EIO;
	if (!ret && (json_object_to_file_ext(new, object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					     JSON_C_TO_STRING_NOSLASHESCAPE) || rename(new, path)))
		ret = -errno;
	json_object_put(object);
	return ret;
}

int record_read(const char *dir, int index, struct nbd_record *record)
{
	struct json_object *object;
	char path[PATH_SIZE];
	bool good;

	memset(record, 0, sizeof(*record));
	make_path(path, dir, index, "json");
	if (access(path, R_OK))
		return -errno;
	object = json_object_from_file(path);
	if (!object)
		return -EBADMSG;
	good = record_parse(object, record) && record->index == index;
	json_object_put(object);
	return good ? 0 : -EBADMSG;
}

int record_remove(const char *dir, int index)
{
	char path[PATH_SIZE];

	make_path(path, dir, index, "json");
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int record_lock_pid(int lock)
{
	char pid[16];
	int length = snprintf(pid, sizeof(pid), "%d\n", getpid());

	return ftruncate(lock, 0) || pwrite(lock, pid, (size_t)length, 0) != length ? -errno : 0;
}

int record_lock(const char *dir, int index, int *holder)
{
	char path[PATH_SIZE], pid[16] = "";
	int lock, ret = make_dir(dir);

	if (ret)
		return ret;
	make_path(path, dir, index, "lock");
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (lock < 0)
		return -errno;
	if (!flock(lock, LOCK_EX | LOCK_NB)) {
		ret = record_lock_pid(lock);
		if (!ret)
			return lock;
	} else {
		ret = -errno;
		*holder = pread(lock, pid, sizeof(pid) - 1, 0) > 0 ? atoi(pid) : 0;
	}
	close(lock);
	return ret;
}
