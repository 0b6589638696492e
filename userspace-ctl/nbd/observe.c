// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "observe.h"

/* Sectors written and discarded so far; 0 if the device is gone. */
static u64 sectors_written(int index)
{
	u64 written = 0, discarded = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/nbd%d/stat", index);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %*u %*u %*u %*u %*u %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64, &written,
		   &discarded) < 1)
		written = 0;
	fclose(file);
	return written + discarded;
}

void observe_begin(struct observer *observer, int index)
{
	observer->index = index;
	observer->channel = -1;
	observer->written = UINT64_MAX;
}

/* Past the page cache, which may be older than what the back half wrote. */
_Noreturn static void reader(int index, int channel)
{
	static u8 data[NBD_LABEL_BYTES] __attribute__((aligned(4096)));
	struct nbd_label label;
	char path[32];
	ssize_t size;
	int device;

	if (dup2(channel, 3) < 0 || close_range(4, ~0U, 0))
		_exit(1);
	snprintf(path, sizeof(path), "/dev/nbd%d", index);
	device = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	size = device < 0 ? -1 : pread(device, data, sizeof(data), 0);
	if (size <= 0)
		_exit(1);
	label = label_find(data, (size_t)size);
	_exit(write(3, &label, sizeof(label)) != (ssize_t)sizeof(label));
}

void observe_start(struct observer *observer)
{
	u64 written = sectors_written(observer->index);
	int ends[2];

	if (observer->channel >= 0 || written == observer->written || pipe2(ends, O_CLOEXEC))
		return;
	fflush(NULL);
	observer->pid = fork();
	if (!observer->pid)
		reader(observer->index, ends[1]);
	close(ends[1]);
	if (observer->pid < 0) {
		close(ends[0]);
		return;
	}
	observer->channel = ends[0];
	observer->written = written;
}

bool observe_finish(struct observer *observer, struct nbd_label *label)
{
	ssize_t size = read(observer->channel, label, sizeof(*label));

	close(observer->channel);
	observer->channel = -1;
	return size == (ssize_t)sizeof(*label);
}

void observe_end(struct observer *observer)
{
	if (observer->channel < 0)
		return;
	kill(observer->pid, SIGKILL);
	close(observer->channel);
	observer->channel = -1;
}
