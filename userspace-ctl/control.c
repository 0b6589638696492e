// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl reset, pause and resume: one request each. */
#include "avmmctl.h"
#include "names.h"
#include "partition.h"

/* Shows how the partition is afterwards; a reset one may not be running again yet. */
static int show(struct connection *connection)
{
	struct partition_status partition;
	struct json_object *object;
	int ret;

	if (!output_json)
		return EXIT_DONE;
	ret = partition_get(connection, &partition);
	if (ret)
		return ret;
	object = json_object_new_object();
	json_object_object_add(object, "state", json_object_new_string(partition_state_name(partition.state)));
	json_object_object_add(object, "resets", json_object_new_uint64(partition.resets));
	print_json(object, false);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv, u8 cmd)
{
	struct connection connection;
	int ret = no_options(self, argc, argv);

	if (ret != GO_ON)
		return ret;
	ret = connect_module(&connection);
	if (ret)
		return ret;
	ret = partition_command(&connection, cmd);
	if (!ret)
		ret = show(&connection);
	disconnect(&connection);
	return ret;
}

int reset_run(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, AVMM_CMD_PARTITION_RESET);
}

int pause_run(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, AVMM_CMD_PARTITION_PAUSE);
}

int resume_run(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, AVMM_CMD_PARTITION_RESUME);
}
