// SPDX-License-Identifier: GPL-2.0-only
/* Reads the machine through CPUID, /dev/cpu and sysfs. */
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <avmm/hypercall.h>
#include "hardware.h"

#define LEAF_1_ECX_HYPERVISOR	(1u << 31)

/* The MSR device of a CPU, opened at the first register that is wanted. */
struct msr_device {
	unsigned int cpu;
	int fd;			/* -1: not open */
	char *problem;		/* see struct cpu_facts */
	size_t size;
};

/* Returns the bytes read, 0 if there is no such file; text is one line without its newline. */
static size_t read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");

	text[0] = '\0';
	if (!file)
		return 0;
	if (!fgets(text, (int)size, file))
		text[0] = '\0';
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return strlen(text);
}

/* The kernel writes such lists as "0-3,8": ascending and well-formed. */
int online_cpus(unsigned int *cpus, unsigned int max)
{
	unsigned int count = 0, cpu, last;
	char text[4096], *next = text;

	if (!read_line("/sys/devices/system/cpu/online", text, sizeof(text)))
		return -ENOENT;
	while (*next) {
		cpu = (unsigned int)strtoul(next, &next, 10);
		last = *next == '-' ? (unsigned int)strtoul(next + 1, &next, 10) : cpu;
		for (; cpu <= last && count < max; cpu++)
			cpus[count++] = cpu;
		if (*next && *next++ != ',')
			return -EINVAL;
	}
	return (int)count;
}

static void load_msr_module(void)
{
	static char *const argv[] = { "modprobe", "-q", "msr", NULL };
	static char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	static bool tried;
	posix_spawn_file_actions_t quiet;
	pid_t child;

	if (tried || geteuid())
		return;
	tried = true;
	if (posix_spawn_file_actions_init(&quiet))
		return;
	posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!posix_spawn(&child, "/sbin/modprobe", &quiet, NULL, argv, envp))
		waitpid(child, NULL, 0);
	posix_spawn_file_actions_destroy(&quiet);
}

static int open_msr(unsigned int cpu)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/cpu/%u/msr", cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		load_msr_module();
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

static void explain_msr(struct msr_device *device, int error)
{
	if (geteuid())
		snprintf(device->problem, device->size, "only root can read MSRs");
	else if (error == ENOENT || error == ENXIO)
		snprintf(device->problem, device->size, "there is no /dev/cpu/%u/msr: `modprobe msr` first",
			 device->cpu);
	else
		snprintf(device->problem, device->size, "/dev/cpu/%u/msr: %s", device->cpu, strerror(error));
}

/* A register that the CPU lacks gives EIO; that is an answer, not a problem. */
static bool rdmsr(void *opaque, u32 msr, u64 *value)
{
	struct msr_device *device = opaque;
	ssize_t size;

	if (device->problem[0])
		return false;
	if (device->fd < 0)
		device->fd = open_msr(device->cpu);
	if (device->fd < 0) {
		explain_msr(device, errno);
		return false;
	}
	size = pread(device->fd, value, sizeof(*value), msr);
	if (size < 0 && errno != EIO)
		explain_msr(device, errno);
	return size == sizeof(*value);
}

static void cpuid(void *opaque, u32 leaf, u32 subleaf, u32 regs[VMX_REG_COUNT])
{
	(void)opaque;
	__cpuid_count(leaf, subleaf, regs[VMX_EAX], regs[VMX_EBX], regs[VMX_ECX], regs[VMX_EDX]);
}

/* Without a hypervisor this leaf repeats that of the highest one, which is no signature. */
static void read_signature(struct cpu_facts *facts)
{
	u32 regs[VMX_REG_COUNT];

	cpuid(NULL, AVMM_SIGNATURE_LEAF, 0, regs);
	facts->above_avmm = !memcmp(&regs[VMX_EBX], AVMM_SIGNATURE, 12);
	if (facts->input.cpuid[VMX_LEAF_1][VMX_ECX] & LEAF_1_ECX_HYPERVISOR)
		memcpy(facts->hypervisor, &regs[VMX_EBX], 12);
}

static int move_to(unsigned int cpu)
{
	cpu_set_t *set = CPU_ALLOC(cpu + 1);
	size_t size = CPU_ALLOC_SIZE(cpu + 1);
	int ret = 0;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	if (sched_setaffinity(0, size, set))
		ret = -errno;
	CPU_FREE(set);
	return ret;
}

int read_cpu(unsigned int cpu, struct cpu_facts *facts)
{
	struct msr_device device = {
		.cpu = cpu, .fd = -1, .problem = facts->msr_problem, .size = sizeof(facts->msr_problem),
	};
	const struct vmx_caps_reader reader = { .cpuid = cpuid, .rdmsr = rdmsr, .opaque = &device };
	int ret = move_to(cpu);

	memset(facts, 0, sizeof(*facts));
	if (ret)
		return ret;
	vmx_caps_read(&facts->input, &reader);
	if (device.fd >= 0)
		close(device.fd);
	read_signature(facts);
	return 0;
}

/*
 * Linux modules that put CPUs into VMX operation. Most do so while a virtual machine runs, that is while somebody
 * holds the module; kvm_intel since Linux 6.12 from the moment it is loaded, unless a parameter says otherwise.
 */
static bool holds_when_idle(const char *module)
{
	char text[8];

	if (strcmp(module, "kvm_intel"))
		return false;
	read_line("/sys/module/kvm/parameters/enable_virt_at_load", text, sizeof(text));
	return text[0] == 'Y' || text[0] == '1';
}

/*
 * Who merely has /dev/kvm open is a user of kvm_intel without a virtual machine. These have folders in debugfs, called
 * PID-FD. Where these cannot be seen, a user counts as one.
 */
static bool users_have_machines(const char *module)
{
	DIR *machines = strcmp(module, "kvm_intel") ? NULL : opendir("/sys/kernel/debug/kvm");
	struct dirent *entry;
	bool found = false;

	if (!machines)
		return true;
	while (!found && (entry = readdir(machines)))
		found = entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
	closedir(machines);
	return found;
}

static bool module_is_there(const char *module, struct vmx_owner *owner)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	if (access(path, F_OK))
		return false;
	snprintf(owner->module, sizeof(owner->module), "%s", module);
	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	owner->users = read_line(path, text, sizeof(text)) ? strtol(text, NULL, 10) : -1;
	owner->holds = (owner->users > 0 && users_have_machines(module)) || holds_when_idle(module);
	if (owner->users > 0)
		snprintf(owner->text, sizeof(owner->text), "%s (%ld %s)", module, owner->users,
			 owner->users == 1 ? "user" : "users");
	else
		snprintf(owner->text, sizeof(owner->text), "%s (loaded)", module);
	return true;
}

void find_vmx_owner(struct vmx_owner *owner)
{
	static const char *const modules[] = { "kvm_intel", "vboxdrv", "vmmon", "jailhouse" };
	size_t i;

	memset(owner, 0, sizeof(*owner));
	for (i = 0; i < sizeof(modules) / sizeof(modules[0]) && !owner->holds; i++)
		module_is_there(modules[i], owner);
}

bool modules_must_be_signed(void)
{
	char text[64];

	read_line("/sys/module/module/parameters/sig_enforce", text, sizeof(text));
	if (text[0] == 'Y')
		return true;
	read_line("/sys/kernel/security/lockdown", text, sizeof(text));
	return strstr(text, "[integrity]") || strstr(text, "[confidentiality]");
}
