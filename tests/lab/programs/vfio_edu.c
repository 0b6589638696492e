// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's educational PCI device behind an IOMMU, by avmmctl's own vfio-bind.c and vfio.c, and by the test module avmm_vfio,
 * which has the product's module but no monitor. ADDRESS is the device's.
 *
 *	vfio_edu take ADDRESS		binds it to vfio-pci
 *	vfio_edu give ADDRESS		undoes that
 *	vfio_edu run ADDRESS		from assigning to release: "ok NAME", "FAIL NAME: what"
 *	vfio_edu hold ADDRESS		as run, but after the start and "held" it waits for a signal
 *	vfio_edu attach ADDRESS		likewise, but it waits in the middle of the start
 *	vfio_edu tell			holds what is assigned and tells avmm.ko, as avmmctl start does; "held", and waits
 *	vfio_edu fill AT SEED		a page of user RAM; look: says "same" if it is as fill left it
 *	vfio_edu dma ADDRESS AT		while nobody holds the device: lets it master the bus and write to user RAM's address
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../../../userspace-ctl/avmmctl.h"
#include "../../../userspace-ctl/device.h"
#include "lab.h"
#include <avmm/device.h>

#define MIB		(1ull << 20)
#define RAM_MIB		32
#define RAM		(RAM_MIB * MIB)
#define MODULE		"/proc/avmm_vfio"
#define ROUNDS		10
#define QUIET_MS	100	/* so long nothing comes that is not to come */

/* Registers in BAR 0 of the device, as QEMU's docs/specs/edu.txt has them. */
#define EDU_RAISE	0x60
#define EDU_ACK		0x64
#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_START	1u
#define EDU_TO_RAM	2u
#define EDU_BUFFER	0x40000
#define EDU_BYTES	2048	/* of the 4096 that it has: QEMU 7.2 refuses the last one */
#define EDU_WINDOW	4096

#define SOURCE		0x123000
#define TARGET		0x1456000
#define OUTSIDE		(RAM + 16 * MIB)

static bool failed;

/* What vfio.c says, says this. */

int fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts("");
	return EXIT_REFUSED;
}

void notice(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts("");
}

static void report(const char *name, bool good, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("%s %s: ", good ? "ok" : "FAIL", name);
	vprintf(format, args);
	va_end(args);
	puts("");
	failed |= !good;
}

static void die(const char *what)
{
	printf("FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The test module */

static bool try(const char *format, va_list args)
{
	int fd = open(MODULE, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && vdprintf(fd, format, args) >= 0;

	if (fd >= 0)
		close(fd);
	return done;
}

static void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!try(format, args))
		die(format);
	va_end(args);
}

/* What it is told is refused, with these words. */
static void refused(const char *words, const char *format, ...)
{
	char text[512] = "";
	va_list args;
	bool done;
	int fd;

	va_start(args, format);
	done = try(format, args);
	va_end(args);
	fd = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die(MODULE);
	close(fd);
	report(words, !done && strstr(text, words), "%s", text);
}

static long ask(const char *what)
{
	char text[128] = "";
	const char *found;
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die(MODULE);
	close(fd);
	found = strstr(text, what);
	return found ? strtol(found + strlen(what) + 1, NULL, 10) : -1;
}

static void sleep_ms(long ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Waits until so many interrupts were relayed, and longer, to see more. */
static long interrupts(long expected)
{
	u64 deadline = lab_now(CLOCK_MONOTONIC) + 10 * NS_PER_S;

	while (ask("raised") < expected && lab_now(CLOCK_MONOTONIC) < deadline)
		sleep_ms(5);
	sleep_ms(QUIET_MS);
	return ask("raised");
}

static long free_mib(void)
{
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");
	long kib = -1;

	while (file && fgets(line, sizeof(line), file) && sscanf(line, "MemFree: %ld", &kib) != 1)
		;
	if (file)
		fclose(file);
	return kib / 1024;
}

static u8 *map_ram(void)
{
	int fd = open("/dev/avmm", O_RDWR | O_CLOEXEC);
	u8 *ram = fd < 0 ? MAP_FAILED : mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (ram == MAP_FAILED)
		die("/dev/avmm");
	close(fd);
	return ram;
}

/* The device: its registers by vfio's file, or by a mapping of sysfs's. */

struct edu {
	int fd;
	u64 offset;
	volatile u32 *at;
};

static void put(const struct edu *edu, u32 reg, u32 value)
{
	if (edu->at)
		edu->at[reg / 4] = value;
	else if (pwrite(edu->fd, &value, sizeof(value), (off_t)(edu->offset + reg)) != sizeof(value))
		die("a register");
}

static u32 get(const struct edu *edu, u32 reg)
{
	u32 value = 0;

	if (edu->at)
		value = edu->at[reg / 4];
	else if (pread(edu->fd, &value, sizeof(value), (off_t)(edu->offset + reg)) != sizeof(value))
		die("a register");
	return value;
}

static struct edu edu_of(const struct vfio_device *device)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX };

	if (ioctl(device->device, VFIO_DEVICE_GET_REGION_INFO, &info))
		die("region of BAR 0");
	return (struct edu){ .fd = device->device, .offset = info.offset };
}

static int open_sysfs(const char *address, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static void set_command(const char *address, u8 clear, u8 set)
{
	int fd = open_sysfs(address, "config");
	u8 command;

	if (pread(fd, &command, 1, PCI_COMMAND) != 1)
		die("configuration space");
	command = (u8)((command & ~clear) | set);
	if (pwrite(fd, &command, 1, PCI_COMMAND) != 1)
		die("configuration space");
	close(fd);
}

static void dma(const struct edu *edu, u64 source, u64 target, u32 direction)
{
	u64 deadline = lab_now(CLOCK_MONOTONIC) + 20 * NS_PER_S;

	put(edu, EDU_SOURCE, (u32)source);
	put(edu, EDU_TARGET, (u32)target);
	put(edu, EDU_COUNT, EDU_BYTES);
	put(edu, EDU_COMMAND, EDU_START | direction);
	while (get(edu, EDU_COMMAND) & EDU_START && lab_now(CLOCK_MONOTONIC) < deadline)
		sleep_ms(5);
}

static void dma_to_ram(const struct edu *edu, u64 at)
{
	dma(edu, EDU_BUFFER, at, EDU_TO_RAM);
}

static void dma_from_ram(const struct edu *edu, u64 at)
{
	dma(edu, at, EDU_BUFFER, 0);
}

/* run */

struct run {
	const char *address;
	struct vfio vfio;
	struct edu edu;
	u8 *ram;
	u64 seed;
};

static void start(void)
{
	tell("attach");
	tell("go");
}

/* In avmmctl's order, and with what the module does not take on the way. All but the start. */
static void prepare(struct run *run)
{
	const struct vfio_device *device = &run->vfio.device[0];

	tell("assign %s", run->address);
	refused("is assigned already", "assign %s", run->address);
	tell("ram %d", RAM_MIB);
	refused("there is a user partition", "release %s", run->address);
	run->ram = map_ram();
	vfio_begin(&run->vfio);
	if (vfio_open(&run->vfio, run->address))
		exit(1);
	run->edu = edu_of(device);
	refused("no process holds it by vfio", "attach");
	refused("its files cannot be used", "hold %s %d 0 %d", run->address, device->device, device->done);
	tell("hold %s %d %d %d", run->address, device->device, device->raised, device->done);
	refused("vfio does not have all memory", "attach");
	if (vfio_map(&run->vfio, RAM))
		exit(1);
	report("pinned", ask("pinned") == (long)(RAM / 4096), "%ld of %ld pages", ask("pinned"), ask("pages"));
	put(&run->edu, EDU_RAISE, 1);
	report("not started", interrupts(0) == 0, "an interrupt before that is not relayed");
	put(&run->edu, EDU_ACK, 1);
}

static void begin(struct run *run)
{
	const struct vfio_device *device = &run->vfio.device[0];

	prepare(run);
	start();
	report("flags", ask("flags") == (AVMM_DEVICE_PRESET | AVMM_DEVICE_MASTER | AVMM_DEVICE_IOMMU), "%lx", ask("flags"));
	refused("a user partition runs with it", "hold %s %d %d %d", run->address, device->device, device->raised,
		device->done);
}

/* Returns whether what lies at one address of user RAM is found at another one by way of the device. */
static bool copies(struct run *run, u64 source, u64 target)
{
	u64 seed = ++run->seed;

	lab_fill(run->ram + source, EDU_BYTES, seed);
	lab_fill(run->ram + target, EDU_BYTES, ~seed);
	dma_from_ram(&run->edu, source);
	dma_to_ram(&run->edu, target);
	return lab_check(run->ram + target, EDU_BYTES, seed, NULL);
}

static void check_dma(struct run *run)
{
	u64 at;
	u32 bad = 0;

	report("no master", !copies(run, SOURCE, TARGET), "without bus mastering nothing arrives");
	tell("master 1");
	report("told", ask("master") == 1, "the monitor knows");
	for (at = 0; at < RAM; at += RAM / 4)
		bad += !copies(run, at, RAM - at - EDU_WINDOW);
	report("map", !bad, "%u of 4 copies wrong", bad);
	tell("master 0");
	report("master off", ask("master") == 0 && !copies(run, SOURCE, TARGET), "nothing arrives again");
	tell("master 1");
}

/* Nothing of user RAM changes by it, and the device keeps what it had. */
static void check_outside(struct run *run)
{
	u64 seed = ++run->seed;

	lab_fill(run->ram, RAM, seed);
	dma_from_ram(&run->edu, SOURCE);
	dma_to_ram(&run->edu, OUTSIDE);
	report("outside", lab_check(run->ram, RAM, seed, NULL), "a write to %" PRIx64 " changes nothing", (u64)OUTSIDE);
}

static void check_interrupts(struct run *run)
{
	long seen = ask("raised"), lost = 0, early = 0;
	u32 i;

	report("quiet", interrupts(seen) == seen, "no interrupt before one is raised");
	for (i = 0; i < ROUNDS; i++) {
		put(&run->edu, EDU_RAISE, 1);
		lost += interrupts(seen + 1) != seen + 1;
		/* the driver has seen to it, and the next one comes, but the guest has not finished the first yet */
		put(&run->edu, EDU_ACK, 1);
		put(&run->edu, EDU_RAISE, 2);
		early += interrupts(seen + 1) != seen + 1;
		tell("ack");
		lost += interrupts(seen + 2) != seen + 2;
		put(&run->edu, EDU_ACK, 2);
		tell("ack");
		seen += 2;
		early += interrupts(seen) != seen;
	}
	report("interrupts", !lost && !early, "%u rounds: %ld lost, %ld early, %ld in all", ROUNDS, lost, early, seen);
}

/* An interrupt that the former guest did not finish is no hindrance, and one after its end is not relayed. */
static void check_renew(struct run *run)
{
	long seen = ask("raised");

	put(&run->edu, EDU_RAISE, 1);
	seen = interrupts(seen + 1);
	put(&run->edu, EDU_ACK, 1);
	tell("halt");
	put(&run->edu, EDU_RAISE, 1);
	report("halted", interrupts(seen) == seen && !copies(run, SOURCE, TARGET), "no interrupt, no DMA");
	put(&run->edu, EDU_ACK, 1);
	if (vfio_renew(&run->vfio))
		report("renew", false, "see above");
	report("pinned again", ask("pinned") == (long)(RAM / 4096), "%ld of %ld pages", ask("pinned"), ask("pages"));
	start();
	report("no master again", !copies(run, SOURCE, TARGET), "a reset does not switch it on");
	tell("master 1");
	report("map again", copies(run, TARGET, SOURCE), "new mapping");
	put(&run->edu, EDU_RAISE, 1);
	report("interrupt again", interrupts(1) == 1, "%ld", ask("raised"));
	put(&run->edu, EDU_ACK, 1);
}

/* RAM that is given back returns to Linux when vfio has let it go, and not before. */
static void check_end(struct run *run)
{
	long before, held, after;
	u32 tries;

	tell("halt");
	munmap(run->ram, RAM);
	before = free_mib();
	tell("give");
	sleep_ms(QUIET_MS);
	held = free_mib();
	vfio_close(&run->vfio);
	for (tries = 0, after = held; tries < 100 && after - before <= RAM_MIB * 3 / 4; tries++) {
		sleep_ms(QUIET_MS / 2);		/* the module lets go by a kernel thread */
		after = free_mib();
	}
	report("freed", held - before < RAM_MIB / 4 && after - before > RAM_MIB * 3 / 4,
	       "%ld MiB free, %ld after the partition's end, %ld after vfio's", before, held, after);
	report("not lost", !ask("gone"), "its process ended after the partition");
	tell("release %s", run->address);
}

static int run_all(const char *address)
{
	struct run run = { .address = address };

	begin(&run);
	check_dma(&run);
	check_outside(&run);
	check_interrupts(&run);
	check_renew(&run);
	check_end(&run);
	return failed;
}

/* The others */

_Noreturn static void hold(const char *address, bool started)
{
	struct run run = { .address = address };

	if (started) {
		begin(&run);
		tell("master 1");
		report("map", copies(&run, SOURCE, TARGET), "before the end");
	} else {
		prepare(&run);
		tell("attach");
	}
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

static int tell_module(void)
{
	struct connection connection;
	struct vfio vfio;

	vfio_begin(&vfio);
	if (connect_module(&connection) || devices_hold(&connection, &vfio, 0))
		return 1;
	printf("held %u\n", vfio.count);
	for (;;)
		pause();
}

static int unheld_dma(const char *address, u64 at)
{
	struct edu edu = { .fd = -1 };
	int power = open_sysfs(address, "power/control"), fd;

	if (write(power, "on", 2) != 2)
		die("power/control");
	set_command(address, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fd = open_sysfs(address, "resource0");
	edu.at = mmap(NULL, EDU_WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (edu.at == MAP_FAILED)
		die("resource0");
	dma_to_ram(&edu, at);
	set_command(address, PCI_COMMAND_MASTER, 0);
	printf("dma to %" PRIx64 " done\n", at);
	return 0;
}

static int page(u64 at, u64 seed, bool fill)
{
	u8 *ram = map_ram();

	if (fill)
		lab_fill(ram + at, 4096, seed);
	printf("%s\n", lab_check(ram + at, 4096, seed, NULL) ? "same" : "changed");
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "tell"))
		return tell_module();
	if (!strcmp(verb, "take"))
		return vfio_take(argv[2]);
	if (!strcmp(verb, "give"))
		return vfio_give(argv[2]);
	if (!strcmp(verb, "run"))
		return run_all(argv[2]);
	if (!strcmp(verb, "hold") || !strcmp(verb, "attach"))
		hold(argv[2], verb[0] == 'h');
	if (!strcmp(verb, "dma") && argc == 4)
		return unheld_dma(argv[2], strtoull(argv[3], NULL, 0));
	if ((!strcmp(verb, "fill") || !strcmp(verb, "look")) && argc == 4)
		return page(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0), verb[0] == 'f');
	return 2;
}
