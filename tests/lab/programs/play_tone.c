// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays a tone on the first sound card: a square wave of HZ by /dev/dsp as it is after being opened, 8,000 bytes a second,
 * a byte a sample. All that is for playback in the card's mixer is switched on and turned up before.
 */
#include <errno.h>
#include <fcntl.h>
#include <sound/asound.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lab.h"

#define RATE		8000u
#define SECONDS		2u
#define HIGH		0xf0
#define LOW		0x10
#define ELEMENTS	128u

static u64 hz = 500;

static void option(int letter, const char *value)
{
	(void)letter;
	hz = lab_number(value, 10, RATE / 2);
}

static void turn_up(int fd, const struct snd_ctl_elem_id *id)
{
	struct snd_ctl_elem_info info = { .id = *id };
	struct snd_ctl_elem_value value = { .id = *id };
	unsigned int i;

	if (!strstr((const char *)id->name, "Playback") || ioctl(fd, SNDRV_CTL_IOCTL_ELEM_INFO, &info) ||
	    !(info.access & SNDRV_CTL_ELEM_ACCESS_WRITE))
		return;
	for (i = 0; i < info.count; i++) {
		if (info.type == SNDRV_CTL_ELEM_TYPE_BOOLEAN)
			value.value.integer.value[i] = 1;
		else if (info.type == SNDRV_CTL_ELEM_TYPE_INTEGER)
			value.value.integer.value[i] = info.value.integer.max;
		else
			return;
	}
	if (ioctl(fd, SNDRV_CTL_IOCTL_ELEM_WRITE, &value) < 0)
		lab_fail("%s: %s", id->name, strerror(errno));
}

static void set_mixer(void)
{
	static struct snd_ctl_elem_id ids[ELEMENTS];
	struct snd_ctl_elem_list list = { .space = ELEMENTS, .pids = ids };
	int fd = open("/dev/snd/controlC0", O_RDWR);
	unsigned int i;

	if (fd < 0)
		lab_fail("/dev/snd/controlC0: %s", strerror(errno));
	if (ioctl(fd, SNDRV_CTL_IOCTL_ELEM_LIST, &list))
		lab_fail("the mixer has no list: %s", strerror(errno));
	for (i = 0; i < list.used; i++)
		turn_up(fd, &ids[i]);
	close(fd);
}

int main(int argc, char **argv)
{
	static u8 samples[SECONDS * RATE];
	size_t i, done = 0;
	int fd;

	lab_start(argc, argv, "f:", option, "[-f HZ]");
	set_mixer();
	for (i = 0; i < sizeof(samples); i++)
		samples[i] = i * 2 * hz / RATE % 2 ? LOW : HIGH;
	fd = open("/dev/dsp", O_WRONLY);
	if (fd < 0)
		lab_fail("/dev/dsp: %s", strerror(errno));
	while (done < sizeof(samples)) {
		ssize_t n = write(fd, samples + done, sizeof(samples) - done);

		if (n <= 0)
			lab_fail("after %zu samples: %s", done, strerror(errno));
		done += (size_t)n;
	}
	close(fd);		/* when all has been played */
	lab_ok("seconds %u", SECONDS);
}
