// SPDX-License-Identifier: GPL-2.0-only
/* Reads the kernel and the initrd, and writes them to /dev/avmm. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <avmm/partition.h>
#include "../include/uapi/avmm_netlink.h"
#include "avmmctl.h"
#include "image.h"

#define KERNEL_MAX	(1ll << 30)
#define PHYS_BITS_LEAF	0x80000008u
#define IOAPIC_ID	1		/* in the monitor's I/O APIC */

static int open_file(const char *name, u64 *size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0) {
		fail("%s: %s", name, strerror(errno));
	} else if (!S_ISREG(info.st_mode)) {
		fail("%s is not a regular file", name);
	} else {
		*size = (u64)info.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static int read_all(int fd, const char *name, u8 *to, u64 size)
{
	u64 done = 0;
	ssize_t got;

	while (done < size) {
		got = pread(fd, to + done, size - done, (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail("%s: %s", name, strerror(errno));
		if (!got)
			return fail("%s became shorter while it was read", name);
		done += (u64)got;
	}
	return EXIT_DONE;
}

static int read_kernel(struct image *image, const char *name)
{
	const char *problem;
	u64 size = 0;
	int fd = open_file(name, &size), ret;

	if (fd < 0)
		return EXIT_REFUSED;
	if (size > KERNEL_MAX) {
		ret = fail("%s: it is not a Linux kernel: it is too large", name);
	} else {
		image->kernel = malloc(size + 1);
		ret = image->kernel ? read_all(fd, name, image->kernel, size) : fail("out of memory");
	}
	close(fd);
	if (ret)
		return ret;
	problem = bzimage_parse(image->kernel, size < BZIMAGE_HEAD ? size : BZIMAGE_HEAD, size, &image->header);
	return problem ? fail("%s: %s", name, problem) : EXIT_DONE;
}

/* As wide as this machine's: the monitor does not change what CPUID says of it. */
static u32 phys_bits(void)
{
	u32 eax, ebx, ecx, edx;

	return __get_cpuid(PHYS_BITS_LEAF, &eax, &ebx, &ecx, &edx) ? eax & 0xff : 36;
}

static int plan(struct image *image, const struct config *config)
{
	image->request.memory = config->memory;
	image->request.image = &image->header;
	image->request.kernel = image->kernel + image->header.offset;
	image->request.cmdline = config->text[KEY_CMDLINE] ? config->text[KEY_CMDLINE] : "";
	image->request.acpi = (struct acpi_config){
		.vcpus = config->cpus, .memory = config->memory, .phys_bits = phys_bits(),
		.pm_base = AVMM_PM_BASE, .ioapic_id = IOAPIC_ID,
	};
	if (boot_plan(&image->request, &image->layout))
		return EXIT_DONE;
	return fail("%s: %s", config->text[KEY_KERNEL], image->layout.problem);
}

int image_open(struct image *image, const struct config *config)
{
	int ret;

	*image = (struct image){ .initrd = -1, .initrd_name = config->text[KEY_INITRD] };
	ret = read_kernel(image, config->text[KEY_KERNEL]);
	if (!ret && image->initrd_name) {
		image->initrd = open_file(image->initrd_name, &image->request.initrd_size);
		ret = image->initrd < 0 ? EXIT_REFUSED : EXIT_DONE;
	}
	if (!ret)
		ret = plan(image, config);
	if (ret)
		image_close(image);
	return ret;
}

static int fill(const struct image *image, u8 *ram)
{
	boot_write(&image->request, &image->layout, ram);
	if (image->initrd < 0)
		return EXIT_DONE;
	return read_all(image->initrd, image->initrd_name, ram + image->layout.initrd, image->request.initrd_size);
}

static sigjmp_buf lost;

static void on_sigbus(int number)
{
	(void)number;
	siglongjmp(lost, 1);
}

/* A partition that is stopped meanwhile takes its RAM out of our mapping: the next store is a SIGBUS. */
static int fill_while_there(const struct image *image, u8 *ram)
{
	const struct sigaction guard = { .sa_handler = on_sigbus };
	struct sigaction old;
	int ret;

	sigaction(SIGBUS, &guard, &old);
	if (sigsetjmp(lost, 1))
		ret = fail("the user partition went while its memory was filled");
	else
		ret = fill(image, ram);
	sigaction(SIGBUS, &old, NULL);
	return ret;
}

int image_write(const struct image *image)
{
	u64 size = image->layout.low_end;
	int fd = open(AVMM_DEVICE, O_RDWR | O_CLOEXEC), ret;
	u8 *ram;

	if (fd < 0)
		return fail("%s: %s", AVMM_DEVICE, strerror(errno));
	ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (ram == MAP_FAILED)
		return fail("cannot map %s: %s", AVMM_DEVICE, strerror(errno));
	ret = fill_while_there(image, ram);
	munmap(ram, size);
	return ret;
}

void image_close(struct image *image)
{
	free(image->kernel);
	image->kernel = NULL;
	if (image->initrd >= 0)
		close(image->initrd);
	image->initrd = -1;
}
