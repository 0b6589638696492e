// SPDX-License-Identifier: GPL-2.0-only
/* Reads the firmware, or the kernel and the initrd, and writes them to /dev/avmm. */
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
#include "variables.h"

#define KERNEL_MAX	(1ll << 30)
#define PHYS_BITS_LEAF	0x80000008u
#define PM_BASE_UEFI	0xb000		/* where OVMF puts PIIX4's power management block */

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

int image_read_file(const char *name, const char *what, u64 max, u8 **data, u64 *size)
{
	int fd = open_file(name, size), ret;

	if (fd < 0)
		return EXIT_REFUSED;
	if (*size > max) {
		ret = fail("%s: it is not %s: it is too large", name, what);
	} else {
		*data = malloc(*size + 1);
		ret = *data ? read_all(fd, name, *data, *size) : fail("out of memory");
	}
	close(fd);
	return ret;
}

static int read_kernel(struct image *image, const char *name)
{
	const char *problem;
	u64 size = 0;
	int ret = image_read_file(name, "a Linux kernel", KERNEL_MAX, &image->kernel, &size);

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

static int plan_kernel(struct image *image, const struct config *config)
{
	const struct image_devices *devices = &image->devices;

	image->request.memory = config->memory;
	image->request.window = config->window;
	image->request.image = &image->header;
	image->request.kernel = image->kernel + image->header.offset;
	image->request.cmdline = config->text[KEY_CMDLINE] ? config->text[KEY_CMDLINE] : "";
	image->request.screen = devices->console ? devices->screen : NULL;
	image->request.acpi = (struct acpi_config){
		.vcpus = config->cpus, .memory = config->memory, .phys_bits = phys_bits(),
		.pm_base = AVMM_PM_BASE, .ioapic_id = avmm_ioapic_id(config->cpus),
		.has = (devices->keyboard ? ACPI_HAS_I8042 : 0) | (devices->vga ? ACPI_HAS_VGA : 0),
	};
	if (boot_plan(&image->request, &image->layout))
		return EXIT_DONE;
	return fail("%s: %s", config->text[KEY_KERNEL], image->layout.problem);
}

static int plan_firmware(struct image *image, const struct config *config)
{
	const struct image_devices *devices = &image->devices;
	const struct firmware_machine machine = {
		.memory = config->memory, .window = config->window, .vcpus = config->cpus, .phys_bits = phys_bits(),
		.ioapic_id = avmm_ioapic_id(config->cpus), .vga = devices->vga,
		.pm_base = image->rom.kind == ROM_UEFI ? PM_BASE_UEFI : AVMM_PM_BASE,
		.video_bios = devices->video_bios, .video_bios_size = devices->video_bios_size,
	};

	return firmware_files(image->files, &machine) ? EXIT_DONE : fail("the files for the firmware are too large");
}

int image_plan(struct image *image, const struct config *config)
{
	return image->firmware ? plan_firmware(image, config) : plan_kernel(image, config);
}

static int open_variables(struct image *image, const struct config *config)
{
	u64 size = 0;
	int ret;

	if (!config->text[KEY_VARIABLES])
		return EXIT_DONE;
	ret = variables_read(config, &image->variables, &size);
	if (!ret && !rom_add_variables(&image->rom, image->variables, size))
		ret = fail("%s: %s", config->text[KEY_VARIABLES], image->rom.problem);
	return ret;
}

static int open_firmware(struct image *image, const struct config *config)
{
	const char *name = config->text[KEY_FIRMWARE];
	u64 size = 0;
	int ret = image_read_file(name, "firmware", AVMM_ROM_MAX, &image->firmware, &size);

	if (ret)
		return ret;
	if (!rom_parse(image->firmware, size, &image->rom))
		return fail("%s: %s", name, image->rom.problem);
	if (config->identity && image->rom.kind == ROM_UEFI)
		return fail("%s: UEFI firmware takes all memory below its end for its own: not supported with memory_mode = "
			    "identity", name);
	ret = open_variables(image, config);
	if (ret)
		return ret;
	image->files = malloc(sizeof(*image->files));
	if (!image->files)
		return fail("out of memory");
	return plan_firmware(image, config);
}

static int open_kernel(struct image *image, const struct config *config)
{
	int ret = read_kernel(image, config->text[KEY_KERNEL]);

	if (!ret && image->initrd_name) {
		image->initrd = open_file(image->initrd_name, &image->request.initrd_size);
		ret = image->initrd < 0 ? EXIT_REFUSED : EXIT_DONE;
	}
	return ret ? ret : plan_kernel(image, config);
}

int image_open(struct image *image, const struct config *config)
{
	int ret;

	*image = (struct image){ .initrd = -1, .initrd_name = config->text[KEY_INITRD] };
	ret = config->text[KEY_FIRMWARE] ? open_firmware(image, config) : open_kernel(image, config);
	if (ret)
		image_close(image);
	return ret;
}

/* Memory of the partition, mapped. */
struct mapping {
	u8 *low;		/* from 0 on */
	u64 low_size;
	u8 *window;		/* with an identity window only */
	u8 *rom;		/* with firmware only */
	u8 *fw_cfg;
};

static int fill(const struct image *image, const struct mapping *to)
{
	u8 *ram = to->window ? to->window : to->low;

	if (image->firmware) {
		rom_write(&image->rom, image->variables, image->firmware, to->rom, to->low + ROM_SHADOW);
		fw_cfg_write(image->files, to->fw_cfg);
		return EXIT_DONE;
	}
	boot_write(&image->request, &image->layout, to->low, ram);
	if (image->initrd < 0)
		return EXIT_DONE;
	return read_all(image->initrd, image->initrd_name, ram + (image->layout.initrd - image->layout.base),
			image->request.initrd_size);
}

static sigjmp_buf lost;

static void on_sigbus(int number)
{
	(void)number;
	siglongjmp(lost, 1);
}

/* A partition that is stopped meanwhile takes its RAM out of our mapping: the next store is a SIGBUS. */
static int fill_while_there(const struct image *image, const struct mapping *to)
{
	const struct sigaction guard = { .sa_handler = on_sigbus };
	struct sigaction old;
	int ret;

	sigaction(SIGBUS, &guard, &old);
	if (sigsetjmp(lost, 1))
		ret = fail("the user partition went while its memory was filled");
	else
		ret = fill(image, to);
	sigaction(SIGBUS, &old, NULL);
	return ret;
}

static bool map(int fd, u64 at, u64 size, u8 **to)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);

	*to = p == MAP_FAILED ? NULL : p;
	return *to || fail("cannot map %s: %s", AVMM_DEVICE, strerror(errno)) == EXIT_DONE;
}

static bool map_all(const struct image *image, int fd, struct mapping *m)
{
	const struct boot_layout *layout = &image->layout;

	m->low_size = image->firmware ? ROM_SHADOW + ROM_SHADOW_SIZE : layout->base ? AVMM_WINDOW_LOW : layout->end;
	if (!map(fd, 0, m->low_size, &m->low))
		return false;
	if (layout->base)
		return map(fd, layout->base, layout->end - layout->base, &m->window);
	return !image->firmware || (map(fd, ROM_END - image->rom.size, image->rom.size, &m->rom) &&
				    map(fd, AVMM_FW_CFG_OFFSET, AVMM_FW_CFG_MAX, &m->fw_cfg));
}

int image_write(const struct image *image)
{
	int fd = open(AVMM_DEVICE, O_RDWR | O_CLOEXEC), ret;
	struct mapping m = { NULL, 0, NULL, NULL, NULL };

	if (fd < 0)
		return fail("%s: %s", AVMM_DEVICE, strerror(errno));
	ret = map_all(image, fd, &m) ? fill_while_there(image, &m) : EXIT_REFUSED;
	close(fd);
	if (m.low)
		munmap(m.low, m.low_size);
	if (m.window)
		munmap(m.window, image->layout.end - image->layout.base);
	if (m.rom)
		munmap(m.rom, image->rom.size);
	if (m.fw_cfg)
		munmap(m.fw_cfg, AVMM_FW_CFG_MAX);
	return ret;
}

void image_close(struct image *image)
{
	free(image->firmware);
	free(image->variables);
	free(image->files);
	free(image->kernel);
	free(image->devices.video_bios);
	image->devices.video_bios = NULL;
	image->firmware = NULL;
	image->variables = NULL;
	image->files = NULL;
	image->kernel = NULL;
	if (image->initrd >= 0)
		close(image->initrd);
	image->initrd = -1;
}
