// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "avmmctl.h"
#include "legacy.h"
#include "messages.h"

#define VIDEO_BIOS		0xc0000		/* where a PC has the video BIOS that its firmware has started */
#define ROM_UNIT		512u
#define BOOT_PARAMS_FILE	"/sys/kernel/boot_params/data"
#define SCREEN_CURSOR		2		/* of struct screen_info: column and row come first */

static int on_device(struct nlmsghdr *header, void *opaque)
{
	struct image_devices *devices = opaque;
	struct device_status status;
	int ret = parse_device(header, &status);

	if (ret)
		return ret;
	if (!strcmp(status.address, "i8042"))
		devices->keyboard = true;
	if (strcmp(status.address, "vga"))
		return 0;
	devices->vga = true;
	devices->console = status.driver[0];
	return 0;
}

static bool read_at(const char *file, off_t at, void *to, size_t size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : pread(fd, to, size, at);

	if (fd >= 0)
		close(fd);
	return got == (ssize_t)size;
}

/* Without it firmware still runs, on its serial console. */
static void read_video_bios(struct image_devices *devices)
{
	u8 head[3];
	u32 size;

	if (!read_at("/dev/mem", VIDEO_BIOS, head, sizeof(head)) || head[0] != 0x55 || head[1] != 0xaa || !head[2]) {
		notice("there is no video BIOS at C0000h: the firmware does without a screen");
		return;
	}
	size = head[2] * ROM_UNIT;
	devices->video_bios = malloc(size);
	if (devices->video_bios && read_at("/dev/mem", VIDEO_BIOS, devices->video_bios, size))
		devices->video_bios_size = size;
}

/* As this Linux found it when it was started: the module restores that, with nothing on it. */
static void read_screen(struct image_devices *devices)
{
	if (!read_at(BOOT_PARAMS_FILE, 0, devices->screen, sizeof(devices->screen)))
		return;
	memset(devices->screen, 0, SCREEN_CURSOR);
	devices->console = true;
}

int legacy_fit(struct connection *connection, const struct config *config, struct image *image)
{
	struct image_devices *devices = &image->devices;
	int ret = request(connection, AVMM_CMD_GET_DEVICES, on_device, devices);
	bool text = devices->console;

	devices->console = false;
	if (ret || (!devices->keyboard && !devices->vga))
		return ret;
	if (devices->vga && image->firmware)
		read_video_bios(devices);
	else if (devices->vga && text)
		read_screen(devices);
	return image_plan(image, config);
}

void legacy_driver(const char *name, char *driver, size_t size)
{
	char target[PATH_MAX];
	ssize_t length = -1;
	const char *slash;

	if (!strcmp(name, "i8042"))
		length = readlink("/sys/bus/platform/devices/i8042/driver", target, sizeof(target) - 1);
	driver[0] = '\0';
	if (length <= 0)
		return;
	target[length] = '\0';
	slash = strrchr(target, '/');
	snprintf(driver, size, "%.60s", slash ? slash + 1 : target);
}
