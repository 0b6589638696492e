/* SPDX-License-Identifier: GPL-2.0-only */
/* avmm-nbd's commands see each other through this header. */
#ifndef NBD_NBD_H
#define NBD_NBD_H

#include "../avmmctl.h"

int nbd_connect_run(const struct command *self, int argc, char **argv);
int nbd_disconnect_run(const struct command *self, int argc, char **argv);
int nbd_status_run(const struct command *self, int argc, char **argv);
int nbd_accept_run(const struct command *self, int argc, char **argv);

/* Options may come after the URI or the device. */
#define NBD_LETTERS	":jh"

/* N of "/dev/nbdN", "nbdN" or "N"; -1 if it is none of them. */
int parse_device(const char *text);

/* For commands whose one argument is a device, and that have an option --force if FORCE is not NULL. */
int device_options(const struct command *self, int argc, char **argv, int *index, bool *force);

#endif
