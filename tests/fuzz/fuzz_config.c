// SPDX-License-Identifier: GPL-2.0-only
/*
 * avmm.ini: any bytes. Either they are taken, and then every number is in its range, or there is a message that names
 * the file.
 */
#include <stdlib.h>
#include <string.h>
#include "userspace-ctl/config.h"

#define NAME	"/nowhere/avmm/user.ini"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_values(const struct config *config)
{
	unsigned int i;

	check(config->memory >= 4u << 20 && config->memory <= 1ull << 40 && config->memory % (2u << 20) == 0);
	check(config->cpus >= 1);
	check(config->user && config->service && config->user + config->service == 1000);
	check(config->cap_user >= 1 && config->cap_user <= 1000);
	check(config->cap_service >= 1 && config->cap_service <= 1000);
	check(!config->text[KEY_KERNEL] != !config->text[KEY_FIRMWARE]);
	check(!config->text[KEY_KERNEL] || config->text[KEY_KERNEL][0] == '/');
	check(!config->text[KEY_FIRMWARE] || config->text[KEY_FIRMWARE][0] == '/');
	check(config->freeze_after <= 86400);
	for (i = 0; i < CONFIG_DISKS; i++) {
		const char *backing = config->text[config_disk_key(i, DISK_BACKING)];

		check(!config->disk[i].present || backing || config->disk[i].cdrom);
		check(!backing || (config->disk[i].present && backing[0] == '/'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	FILE *stream;
	bool good;

	if (!size)
		return 0;
	stream = fmemopen((void *)(uintptr_t)data, size, "r");
	check(stream);
	config_init(&config);
	good = config_read(&config, stream, NAME);
	check(good == !config.problem[0]);
	if (good && config_finish(&config))
		check_values(&config);
	else
		check(!strncmp(config.problem, NAME ":", strlen(NAME) + 1));
	fclose(stream);
	config_free(&config);
	return 0;
}
