// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices of vfio-pci, by the group interface: one container for all, whose addresses are the guest's. User RAM is mapped
 * through /dev/avmm and pinned by vfio: no page of it returns to Linux before vfio has unmapped it.
 *
 * Bus mastering is not switched here: avmm.ko does that, when the guest asks for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <avmm/partition.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "vfio.h"

#define CONTAINER	"/dev/vfio/vfio"
#define BUSY_TRIES	40		/* of 50 ms: avmm.ko lets a device go soon after the process that held it */
#define FOUR_GIB	(4ull << 30)

void vfio_begin(struct vfio *vfio)
{
	*vfio = (struct vfio){ .container = -1 };
}

/* Groups and the container */

static int open_container(struct vfio *vfio)
{
	if (vfio->container >= 0)
		return EXIT_DONE;
	vfio->container = open(CONTAINER, O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return fail(CONTAINER ": %s", strerror(errno));
	if (ioctl(vfio->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(vfio->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		return fail(CONTAINER ": this kernel's vfio has no IOMMU of type 1: is vfio_iommu_type1 loaded?");
	return EXIT_DONE;
}

static int read_group(struct vfio_device *device)
{
	char path[96], target[256];
	ssize_t length;
	char *slash;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", device->address);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return fail("%s is in no IOMMU group: %s", device->address, strerror(errno));
	target[length] = '\0';
	slash = strrchr(target, '/');
	device->group_number = (u32)strtoul(slash ? slash + 1 : target, NULL, 10);
	return EXIT_DONE;
}

/* Its container has an IOMMU from the first group on. */
static int join(const struct vfio *vfio, const struct vfio_device *device)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	bool first = vfio->count == 0;

	if (ioctl(device->group, VFIO_GROUP_GET_STATUS, &status) || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return fail("%s: another device of its IOMMU group %u is in use", device->address, device->group_number);
	if (ioctl(device->group, VFIO_GROUP_SET_CONTAINER, &vfio->container))
		return fail("%s: its IOMMU group %u cannot be used: %s", device->address, device->group_number,
			    strerror(errno));
	if (first && ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return fail("%s: the IOMMU does not take its group %u: %s%s", device->address, device->group_number,
			    strerror(errno), errno == EPERM ? "; does it remap interrupts, or has firmware reserved memory "
			    "for the device? the kernel log says" : "");
	return EXIT_DONE;
}

static int open_group(const struct vfio *vfio, struct vfio_device *device)
{
	static const struct timespec pause = { .tv_nsec = 50000000 };
	char path[32];
	u32 i;
	int ret = read_group(device);

	if (ret)
		return ret;
	for (i = 0; i < vfio->count; i++)
		if (vfio->device[i].group_number == device->group_number) {
			device->group = vfio->device[i].group;
			return EXIT_DONE;
		}
	snprintf(path, sizeof(path), "/dev/vfio/%u", device->group_number);
	for (i = 0; i < BUSY_TRIES; i++) {
		device->group = open(path, O_RDWR | O_CLOEXEC);
		if (device->group >= 0 || errno != EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	if (device->group < 0)
		return fail("%s: %s: %s", device->address, path,
			    errno == EBUSY ? "another process has opened its IOMMU group" : strerror(errno));
	return join(vfio, device);
}

/* Interrupts */

static int set_eventfd(const struct vfio_device *device, u32 action, int fd)
{
	union {
		struct vfio_irq_set set;
		u8 bytes[sizeof(struct vfio_irq_set) + sizeof(int)];
	} irq = { .set = { .argsz = sizeof(irq), .flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
			   .index = VFIO_PCI_INTX_IRQ_INDEX, .count = 1 } };

	memcpy(irq.bytes + sizeof(irq.set), &fd, sizeof(fd));
	return ioctl(device->device, VFIO_DEVICE_SET_IRQS, &irq);
}

/* Without a pin there are eventfds, too: by one of them avmm.ko notices the end of this process. */
static int take_interrupt(struct vfio_device *device)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_INTX_IRQ_INDEX };

	device->raised = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	device->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->raised < 0 || device->done < 0)
		return fail("%s: no eventfd: %s", device->address, strerror(errno));
	if (ioctl(device->device, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return fail("%s: vfio does not tell its interrupts: %s", device->address, strerror(errno));
	if (!info.count)
		return EXIT_DONE;
	if (set_eventfd(device, VFIO_IRQ_SET_ACTION_TRIGGER, device->raised))
		return fail("%s: its interrupt line cannot be had: %s%s", device->address, strerror(errno),
			    errno == EBUSY ? "; it is shared with another device, and this one cannot mask its own" : "");
	if (set_eventfd(device, VFIO_IRQ_SET_ACTION_UNMASK, device->done))
		return fail("%s: its interrupt line cannot be unmasked by eventfd: %s", device->address, strerror(errno));
	return EXIT_DONE;
}

static int open_device(struct vfio_device *device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	device->device = ioctl(device->group, VFIO_GROUP_GET_DEVICE_FD, device->address);
	if (device->device < 0)
		return fail("%s: vfio-pci does not open it: %s", device->address, strerror(errno));
	fcntl(device->device, F_SETFD, FD_CLOEXEC);
	if (ioctl(device->device, VFIO_DEVICE_GET_INFO, &info) || !(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return fail("%s: vfio does not know it as a PCI device", device->address);
	if (!(info.flags & VFIO_DEVICE_FLAGS_RESET))
		return fail("%s: vfio-pci cannot reset it", device->address);
	return take_interrupt(device);
}

static void shut(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_device(struct vfio *vfio, struct vfio_device *device)
{
	bool shared = false;
	u32 i;

	for (i = 0; i < vfio->count; i++)
		shared |= &vfio->device[i] != device && vfio->device[i].group == device->group;
	shut(device->device);
	shut(device->raised);
	shut(device->done);
	if (!shared)
		shut(device->group);
}

int vfio_open(struct vfio *vfio, const char *address)
{
	struct vfio_device *device = &vfio->device[vfio->count];
	int ret;

	if (vfio->count == VFIO_DEVICES)
		return fail("%s: %u devices are open, more cannot be", address, VFIO_DEVICES);
	*device = (struct vfio_device){ .group = -1, .device = -1, .raised = -1, .done = -1 };
	snprintf(device->address, sizeof(device->address), "%s", address);
	ret = open_container(vfio);
	if (!ret)
		ret = open_group(vfio, device);
	if (!ret)
		ret = open_device(device);
	if (ret)
		close_device(vfio, device);
	else
		vfio->count++;
	return ret;
}

/* Memory */

u32 vfio_stretches(u64 memory, struct vfio_stretch stretch[2])
{
	u64 low = memory < AVMM_PCI_HOLE ? memory : AVMM_PCI_HOLE;
	u32 n = 0;

	if (low)
		stretch[n++] = (struct vfio_stretch){ 0, low };
	if (memory > low)
		stretch[n++] = (struct vfio_stretch){ FOUR_GIB, memory - low };
	return n;
}

/* The mapping of this process is needed only until vfio has pinned what it leads to. */
static int map_stretch(const struct vfio *vfio, int ram, const struct vfio_stretch *stretch)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map),
						.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE };
	void *at = mmap(NULL, stretch->size, PROT_READ | PROT_WRITE, MAP_SHARED, ram, (off_t)stretch->guest);
	int err;

	if (at == MAP_FAILED)
		return fail(AVMM_DEVICE ": %s", strerror(errno));
	map.vaddr = (uintptr_t)at;
	map.iova = stretch->guest;
	map.size = stretch->size;
	err = ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0;
	munmap(at, stretch->size);
	if (err)
		return fail("the IOMMU does not map %llu MiB of the partition's memory at %llx: %s",
			    (unsigned long long)stretch->size >> 20, (unsigned long long)stretch->guest, strerror(err));
	return EXIT_DONE;
}

static void unmap(struct vfio *vfio)
{
	struct vfio_iommu_type1_dma_unmap all = { .argsz = sizeof(all), .flags = VFIO_DMA_UNMAP_FLAG_ALL };

	if (vfio->memory && ioctl(vfio->container, VFIO_IOMMU_UNMAP_DMA, &all))
		notice(CONTAINER ": the partition's memory is not unmapped: %s", strerror(errno));
	vfio->memory = 0;
}

int vfio_map(struct vfio *vfio, u64 memory)
{
	struct vfio_stretch stretch[2];
	int ram, ret = EXIT_DONE;
	u32 i, n = vfio_stretches(memory, stretch);

	if (!vfio->count)
		return EXIT_DONE;
	ram = open(AVMM_DEVICE, O_RDWR | O_CLOEXEC);
	if (ram < 0)
		return fail(AVMM_DEVICE ": %s", strerror(errno));
	vfio->memory = memory;
	for (i = 0; !ret && i < n; i++)
		ret = map_stretch(vfio, ram, &stretch[i]);
	close(ram);
	return ret;
}

int vfio_renew(struct vfio *vfio)
{
	u64 memory = vfio->memory;
	u32 i;

	for (i = 0; i < vfio->count; i++)
		if (ioctl(vfio->device[i].device, VFIO_DEVICE_RESET))
			return fail("%s is not reset: %s", vfio->device[i].address, strerror(errno));
	unmap(vfio);
	return vfio_map(vfio, memory);
}

void vfio_close(struct vfio *vfio)
{
	/* in this order: no DMA, then no memory, which goes with the container's last group */
	while (vfio->count)
		close_device(vfio, &vfio->device[--vfio->count]);
	shut(vfio->container);
	vfio_begin(vfio);
}
