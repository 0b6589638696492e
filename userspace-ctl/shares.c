// SPDX-License-Identifier: GPL-2.0-only
/* avmmctl shares */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include "avmmctl.h"
#include "config.h"
#include "partition.h"

#define WHOLE	1000u		/* permille */

/* Permille; 0: leave it as it is. */
struct choice {
	u32 user;
	u32 service;
	u32 cap_user;
	u32 cap_service;
};

static int on_shares(struct nlmsghdr *header, void *opaque)
{
	return parse_shares(header, opaque);
}

static double percent(u32 permille)
{
	return permille / 10.0;
}

static void show_cap(const char *side, u32 share, u32 cap)
{
	printf("%-10s %5.1f %%", side, percent(share));
	if (cap < WHOLE)
		printf("   at most %.1f %% of the shared CPU", percent(cap));
	putchar('\n');
}

static void show(const struct shares *shares)
{
	u32 user = WHOLE - shares->service_share;
	struct json_object *object;

	if (!output_json) {
		show_cap("user", user, shares->cap_user);
		show_cap("service", shares->service_share, shares->cap_service);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "user", json_object_new_double(percent(user)));
	json_object_object_add(object, "service", json_object_new_double(percent(shares->service_share)));
	json_object_object_add(object, "cap_user", json_object_new_double(percent(shares->cap_user)));
	json_object_object_add(object, "cap_service", json_object_new_double(percent(shares->cap_service)));
	print_json(object, false);
}

static int parse_percent(const struct command *self, const char *option, const char *text, u32 max, u32 *permille)
{
	*permille = config_percent(text, 100);
	if (*permille && *permille <= max)
		return EXIT_DONE;
	return usage_error(self, "%s %s: percent, from 0.1 to %s", option, text, max < WHOLE ? "99.9" : "100");
}

/* Returns GO_ON, or the command's exit status. */
static int parse_options(const struct command *self, int argc, char **argv, struct choice *choice)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "service", required_argument, NULL, 's' },
		{ "cap-user", required_argument, NULL, 'U' },
		{ "cap-service", required_argument, NULL, 'S' },
		COMMON_OPTIONS
	};
	int c, ret = EXIT_DONE;

	while ((c = getopt_long(argc, argv, COMMON_LETTERS, options, NULL)) != -1) {
		if (c == 'u')
			ret = parse_percent(self, "--user", optarg, WHOLE - 1, &choice->user);
		else if (c == 's')
			ret = parse_percent(self, "--service", optarg, WHOLE - 1, &choice->service);
		else if (c == 'U')
			ret = parse_percent(self, "--cap-user", optarg, WHOLE, &choice->cap_user);
		else if (c == 'S')
			ret = parse_percent(self, "--cap-service", optarg, WHOLE, &choice->cap_service);
		else if (common_option(self, c, argv, &ret))
			return ret;
		if (ret)
			return ret;
	}
	if (optind != argc)
		return usage_error(self, "%s: what is `%s`?", self->name, argv[optind]);
	if (choice->user && choice->service && choice->user + choice->service != WHOLE)
		return usage_error(self, "%s: user and service make 100 percent together", self->name);
	if (choice->user)
		choice->service = WHOLE - choice->user;
	return GO_ON;
}

static size_t fill(const struct choice *choice, struct value values[3])
{
	const struct value all[] = {
		{ AVMM_ATTR_SERVICE_SHARE, choice->service, sizeof(u32) },
		{ AVMM_ATTR_CAP_USER, choice->cap_user, sizeof(u32) },
		{ AVMM_ATTR_CAP_SERVICE, choice->cap_service, sizeof(u32) },
	};
	size_t i, count = 0;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].value)
			values[count++] = all[i];
	}
	return count;
}

int shares_run(const struct command *self, int argc, char **argv)
{
	struct choice choice = { 0 };
	struct shares shares = { 0 };
	struct value values[3];
	struct connection connection;
	int ret = parse_options(self, argc, argv, &choice);

	if (ret != GO_ON)
		return ret;
	ret = connect_module(&connection);
	if (ret)
		return ret;
	ret = partition_request(&connection, AVMM_CMD_PARTITION_SHARES, values, fill(&choice, values), on_shares,
				&shares);
	disconnect(&connection);
	if (!ret)
		show(&shares);
	return ret;
}
