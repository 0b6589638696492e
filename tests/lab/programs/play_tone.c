// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays a tone on the first sound card: a triangle wave of HZ for two seconds, 44,100 frames a second, two channels of
 * 16 bits; the right one has half of the left one's height, and the other sign. All in the card's mixer that this passes is
 * switched on and turned up before. tests/lab/test_devices_sound.py knows the same wave.
 */
#include <errno.h>
#include <fcntl.h>
#include <sound/asound.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/soundcard.h>
#include <unistd.h>

#include "lab.h"

#define RATE		44100u
#define SECONDS		2u
#define HEIGHT		24000
#define ELEMENTS	128u

struct frame {
	s16 left, right;
};

static u64 hz = 440;

static void option(int letter, const char *value)
{
	(void)letter;
	hz = lab_number(value, 10, RATE / 4);
}

static void turn_up(int fd, const struct snd_ctl_elem_id *id)
{
	struct snd_ctl_elem_info info = { .id = *id };
	struct snd_ctl_elem_value value = { .id = *id };
	const char *name = (const char *)id->name;
	unsigned int i;

	if ((strncmp(name, "Master ", 7) && strncmp(name, "PCM ", 4)) || ioctl(fd, SNDRV_CTL_IOCTL_ELEM_INFO, &info))
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
		lab_fail("%s: %s", name, strerror(errno));
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

static void set(int fd, unsigned long what, int value)
{
	int got = value;

	if (ioctl(fd, what, &got) || got != value)
		lab_fail("/dev/dsp: %d instead of %d", got, value);
}

static int open_sound(void)
{
	int fd = open("/dev/dsp", O_WRONLY);

	if (fd < 0)
		lab_fail("/dev/dsp: %s", strerror(errno));
	set(fd, SNDCTL_DSP_SETFMT, AFMT_S16_LE);
	set(fd, SNDCTL_DSP_CHANNELS, 2);
	set(fd, SNDCTL_DSP_SPEED, RATE);
	return fd;
}

/* Up from -HEIGHT to HEIGHT in half a period, and down again. */
static s16 wave(u64 i)
{
	s64 phase = (s64)(i * hz % RATE), way = phase * 4 * HEIGHT / RATE;

	return (s16)(phase * 2 < RATE ? way - HEIGHT : 3 * HEIGHT - way);
}

int main(int argc, char **argv)
{
	static struct frame frames[SECONDS * RATE];
	size_t i, done = 0;
	int fd;

	lab_start(argc, argv, "f:", option, "[-f HZ]");
	set_mixer();
	for (i = 0; i < SECONDS * RATE; i++)
		frames[i] = (struct frame){ .left = wave(i), .right = (s16)(-wave(i) / 2) };
	fd = open_sound();
	while (done < sizeof(frames)) {
		ssize_t n = write(fd, (const u8 *)frames + done, sizeof(frames) - done);

		if (n <= 0)
			lab_fail("after %zu bytes: %s", done, strerror(errno));
		done += (size_t)n;
	}
	close(fd);		/* when all has been played */
	lab_ok("seconds %u", SECONDS);
}
