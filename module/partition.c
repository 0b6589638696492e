// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of the user partition, on the module's side.
 *
 *	ABSENT	 create: RAM is taken from Linux
 *	LOADING	 the loader fills it through /dev/avmm; the monitor does not know of the partition. start: it does
 *	LIVE	 what the monitor's page says: running, paused, off. reload: back to LOADING, with the same RAM
 *
 * RAM goes back to Linux only when the monitor has no partition. The module cannot be removed while one exists.
 *
 * Everything here is guarded by `lock`, which is held across hypercalls and while RAM is taken. Hypercalls run on the
 * shared CPU. Lock order: main.c's lock, then `lock`, then ram.c's and chardev.c's.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/irq_vectors.h>
#include <avmm/hypercall.h>
#include "module.h"
#include "device.h"
#include "legacy.h"
#include "partition.h"

#define WHOLE		1000u	/* shares and caps are permille */
#define FREEZE_MAX	86400u

enum life { ABSENT, LOADING, LIVE };

static DEFINE_MUTEX(lock);
static enum life life;
static bool allowed;
static bool forbidden;				/* allocation in progress gives up */
static struct avmm_partition_request request;	/* of the partition that is */
static struct placement {
	bool shared;				/* vCPU 0 runs on the shared CPU */
	unsigned int dedicated;			/* vCPUs with a CPU of their own */
} placement;					/* of the one that is LIVE */
static u32 resets;
static u32 last_reason;
static u32 seen_state;				/* of the monitor's page, at the last look */
static u32 seen_resets;

static uint reserve = 128;
module_param(reserve, uint, 0644);
MODULE_PARM_DESC(reserve, "MiB of memory that a user partition leaves available to the service (default 128)");

static bool apicv = true;
module_param(apicv, bool, 0644);
MODULE_PARM_DESC(apicv, "let the CPU virtualise the local APIC of the user partition, if it can (default yes)");

u64 avmm_partition_default_reserve(void)
{
	return (u64)READ_ONCE(reserve) << 20;
}

int avmm_refuse(struct avmm_refusal *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vscnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return err;
}

struct call {
	u64 number, rbx, rcx, rdx;
	s64 result;
};

static void call_here(void *data)
{
	struct call *c = data;

	c->result = vmx_hypercall(c->number, c->rbx, c->rcx, c->rdx);
}

int avmm_hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx)
{
	struct call c = { number, rbx, rcx, rdx, 0 };
	int err = smp_call_function_single(AVMM_SHARED_CPU, call_here, &c, 1);

	return err ? err : c.result;
}

/* enum avmm_partition_state; a value that is none is a monitor's that is at its end. */
static u32 current_state(void)
{
	u32 state;

	if (life != LIVE)
		return life == ABSENT ? AVMM_PARTITION_NONE : AVMM_PARTITION_CREATED;
	state = smp_load_acquire(&avmm_shared_partition()->state);
	return state <= AVMM_PARTITION_OFF ? state : AVMM_PARTITION_OFF;
}

static void add_stats(struct avmm_user_stats *sum, const struct avmm_user_stats *stats)
{
	unsigned int i;

	for (i = 0; i < AVMM_EXIT_REASONS; i++)
		sum->exits[i] += READ_ONCE(stats->exits[i]);
	sum->io_exits += READ_ONCE(stats->io_exits);
	sum->mmio_exits += READ_ONCE(stats->mmio_exits);
	sum->unknown_msr += READ_ONCE(stats->unknown_msr);
	sum->stray += READ_ONCE(stats->stray);
	sum->injected += READ_ONCE(stats->injected);
}

static void fill_info(struct avmm_partition_info *info)
{
	unsigned int cpu;

	memset(info, 0, sizeof(*info));
	info->state = current_state();
	info->reason = last_reason;
	if (life == ABSENT)
		return;
	info->resets = resets;
	info->request = request;
	avmm_disk_info(info->disk);
	if (life != LIVE)
		return;
	info->request.shared = placement.shared ? AVMM_SHARED_YES : AVMM_SHARED_NO;
	memcpy(&info->page, avmm_shared_partition(), sizeof(info->page));
	if (placement.shared)
		add_stats(&info->stats, &avmm_shared_stats(AVMM_SHARED_CPU)->user);
	for_each_present_cpu(cpu)
		if (avmm_cpu_was_taken(cpu))
			add_stats(&info->stats, &avmm_shared_stats(cpu)->user);
	if (info->page.held & AVMM_HELD_FROZEN)
		avmm_disk_waits(request.freeze_after, info->frozen, sizeof(info->frozen));
}

void avmm_partition_info(struct avmm_partition_info *info)
{
	mutex_lock(&lock);
	if (life == LIVE)
		avmm_hypercall(AVMM_HC_PARTITION_TIMES, 0, 0, 0);
	fill_info(info);
	mutex_unlock(&lock);
}

static void tell(u32 event, const char *text)
{
	struct avmm_partition_info *info = kmalloc(sizeof(*info), GFP_KERNEL);

	pr_avmm(KERN_INFO, "user partition: %s\n", text);
	if (!info)
		return;
	fill_info(info);
	avmm_netlink_partition_event(event, info, text);
	kfree(info);
}

static int refuse_state(struct avmm_refusal *why, const char *wanted)
{
	static const char *const names[] = {
		[AVMM_PARTITION_CREATED] = "not started yet", [AVMM_PARTITION_RUNNING] = "running",
		[AVMM_PARTITION_PAUSED] = "paused", [AVMM_PARTITION_OFF] = "off",
	};
	u32 state = current_state();

	if (state == AVMM_PARTITION_NONE)
		return avmm_refuse(why, -ENOENT, "there is no user partition");
	return avmm_refuse(why, -EBUSY, "the user partition is %s: %s", names[state], wanted);
}

/* All that there are for the two partitions. */
static unsigned int machine_cpus(void)
{
	return num_online_cpus() + avmm_cpus_taken();
}

/* CPUs of which the user gets nothing. */
static unsigned int service_cpus(const struct placement *p)
{
	unsigned int n = machine_cpus(), users = p->dedicated + p->shared;

	return n > users ? n - users : 0;
}

/*
 * Whether vCPU 0 runs on the shared CPU. By default it does where the service needs less than half of that: one slow vCPU
 * stalls the others. It does in any case if there are not CPUs enough for all to have their own.
 */
static struct placement place(const struct avmm_partition_request *r)
{
	struct placement shared = { .shared = true, .dedicated = r->vcpus - 1 }, apart = { .dedicated = r->vcpus };
	unsigned int n = machine_cpus(), all = n * r->service_share, k = service_cpus(&shared) * WHOLE;

	if (r->shared == AVMM_SHARED_YES)
		return shared;
	if (r->shared == AVMM_SHARED_NO)
		return apart;
	if (n == 1 || (all > k && all < k + WHOLE / 2) || !avmm_cpus_possible(r->vcpus))
		return shared;
	return apart;
}

/*
 * The rest of a share after the CPUs that the service has anyway must be a share of the shared CPU. Without one, the
 * service has what is left, whatever its share says.
 */
static int check_shares(const struct avmm_partition_request *r, const struct placement *p, struct avmm_refusal *why)
{
	unsigned int n = machine_cpus(), k = service_cpus(p);
	unsigned int min = k * WHOLE / n + 1, max = (k + 1) * WHOLE / n;

	if (p->shared && (r->service_share < min || r->service_share > max))
		return avmm_refuse(why, -ERANGE, "a service share of %u permille is out of range: with %u CPUs, "
				   "of which %u are wholly the service's, it can be %u to %u",
				   r->service_share, n, k, min, max);
	if (!r->cap_service || r->cap_service > WHOLE || !r->cap_user || r->cap_user > WHOLE)
		return avmm_refuse(why, -ERANGE, "caps of %u and %u permille are out of range: they can be 1 to %u",
				   r->cap_service, r->cap_user, WHOLE);
	return 0;
}

static int check_request(const struct avmm_partition_request *r, struct avmm_refusal *why)
{
	struct placement p;

	if (!r->memory || r->memory % AVMM_BLOCK_SIZE || r->memory >> 40)
		return avmm_refuse(why, -ERANGE, "%llu bytes of memory: it must be a multiple of 2 MiB, and some",
				   r->memory);
	if (r->rom % AVMM_BLOCK_SIZE || r->rom > AVMM_ROM_MAX)
		return avmm_refuse(why, -ERANGE, "%llu bytes of firmware: it must be a multiple of 2 MiB, at most %u MiB",
				   r->rom, AVMM_ROM_MAX >> 20);
	if (r->flash % PAGE_SIZE || r->flash_size % PAGE_SIZE || r->flash_size > r->rom ||
	    (r->flash_size && (r->flash < SZ_4G - r->rom || r->flash > SZ_4G - r->flash_size)))
		return avmm_refuse(why, -ERANGE, "%llu bytes of flash at %llx: they must be pages of the firmware",
				   r->flash_size, r->flash);
	if (!r->vcpus || r->vcpus > AVMM_MAX_VCPUS)
		return avmm_refuse(why, -ERANGE, "%u CPUs asked for, 1 to %u can be had", r->vcpus, AVMM_MAX_VCPUS);
	if (r->on_triple_fault > AVMM_POLICY_RESET)
		return avmm_refuse(why, -ERANGE, "policy %u for triple faults is unknown", r->on_triple_fault);
	if (r->freeze_after > FREEZE_MAX)
		return avmm_refuse(why, -ERANGE, "%u seconds until a freeze: it can be 0 to %u", r->freeze_after,
				   FREEZE_MAX);
	if (r->shared > AVMM_SHARED_NO)
		return avmm_refuse(why, -ERANGE, "%u for a vCPU on the shared CPU is unknown", r->shared);
	if (r->max_skew && (r->max_skew < AVMM_SKEW_MIN || r->max_skew > AVMM_SKEW_MAX))
		return avmm_refuse(why, -ERANGE, "a skew of at most %u microseconds: it can be %u to %u, or 0", r->max_skew,
				   AVMM_SKEW_MIN, AVMM_SKEW_MAX);
	p = place(r);
	return avmm_cpus_check(p.dedicated, why) ?: check_shares(r, &p, why);
}

static int create(const struct avmm_partition_request *wanted, struct avmm_refusal *why)
{
	int err;

	if (!allowed)
		return avmm_refuse(why, -ENODEV, "the monitor is not launched");
	if (life != ABSENT)
		return avmm_refuse(why, -EEXIST, "there is a user partition already");
	err = check_request(wanted, why);
	if (err)
		return err;
	if (!try_module_get(THIS_MODULE))
		return avmm_refuse(why, -ENODEV, "the module is being removed");
	err = avmm_flash_take(wanted->flash_size);
	if (err)
		avmm_refuse(why, err, "no memory for a copy of the firmware's variables");
	else
		err = avmm_ram_take(wanted, &forbidden, why);
	if (err) {
		module_put(THIS_MODULE);
		return err;
	}
	request = *wanted;
	resets = 0;
	last_reason = AVMM_REASON_NONE;
	WRITE_ONCE(life, LOADING);
	tell(AVMM_EVENT_PARTITION_CREATED, "created");
	return 0;
}

int avmm_partition_create(const struct avmm_partition_request *wanted, struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	err = create(wanted, why);
	mutex_unlock(&lock);
	return err;
}

static int send_config(void *page, const struct avmm_partition_entry *entry, const u32 *cpus)
{
	struct avmm_partition_config *config = page;

	BUILD_BUG_ON(sizeof(*config) > PAGE_SIZE);
	*config = (struct avmm_partition_config){
		.ram_size = request.memory + (request.window ? AVMM_WINDOW_LOW : 0),
		.window = request.window,
		.epoch = entry->epoch,
		.vcpus = request.vcpus,
		.shared = placement.shared,
		.service_share = request.service_share,
		.cap_service = request.cap_service,
		.cap_user = request.cap_user,
		.ncpus = machine_cpus(),
		.service_cpus = service_cpus(&placement),
		.on_triple_fault = request.on_triple_fault,
		.tick_vector = LOCAL_TIMER_VECTOR,
		.rom_size = request.rom,
		.rip = entry->rip,
		.rsi = entry->rsi,
		.cr3 = entry->cr3,
		.gdt_base = entry->gdt_base,
		.gdt_limit = entry->gdt_limit,
		.disks = avmm_disk_any(),
		.max_skew = request.max_skew,
		.apicv = READ_ONCE(apicv),
		.fw_cfg = avmm_ram_fw_cfg(),
		.fw_cfg_size = entry->fw_cfg_size,
		.flash = request.flash,
		.flash_size = request.flash_size,
	};
	memcpy(&config->cpu[placement.shared], cpus, placement.dedicated * sizeof(*cpus));
	return avmm_hypercall(AVMM_HC_PARTITION_CREATE, virt_to_phys(page), 0, 0);
}

static int send_ram(void *page)
{
	unsigned int first = 0, n;
	u64 guest;
	int err = 0;

	BUILD_BUG_ON(AVMM_RAM_LIST * sizeof(u64) > PAGE_SIZE);
	for (; !err; first += n) {
		n = avmm_ram_list(first, page, &guest);
		if (!n)
			break;
		err = avmm_hypercall(AVMM_HC_PARTITION_RAM, virt_to_phys(page), n, guest);
	}
	return err;
}

static void tell_off(void)
{
	static const char *const names[] = {
		[AVMM_REASON_NONE] = "off", [AVMM_REASON_POWER_OFF] = "off: it shut itself down",
		[AVMM_REASON_TRIPLE_FAULT] = "off after a triple fault",
		[AVMM_REASON_ENTRY_FAILED] = "off: the CPU refused its state, see avmmctl log",
		[AVMM_REASON_FORCED] = "off: forced",
	};

	if (last_reason == AVMM_REASON_RESET)
		return;		/* told as a reset */
	tell(AVMM_EVENT_PARTITION_OFF, last_reason < ARRAY_SIZE(names) ? names[last_reason] : "off");
}

static void halt_devices(void)
{
	avmm_device_halt();
	avmm_legacy_halt();
}

/* Tells what changed in the monitor since the last look. */
static void look(void)
{
	const struct avmm_partition_page *page = avmm_shared_partition();
	u32 state, wanted;

	if (life != LIVE)
		return;
	state = current_state();
	wanted = READ_ONCE(page->resets_wanted);
	if (state == AVMM_PARTITION_OFF && seen_state != state) {
		last_reason = READ_ONCE(page->reason);
		halt_devices();
		tell_off();
	} else if (state == AVMM_PARTITION_PAUSED && seen_state == AVMM_PARTITION_RUNNING) {
		tell(AVMM_EVENT_PARTITION_PAUSED, "paused by the monitor");
	} else if (state == AVMM_PARTITION_RUNNING && seen_state == AVMM_PARTITION_PAUSED) {
		tell(AVMM_EVENT_PARTITION_RESUMED, "resumed by the monitor");
	}
	if (state == AVMM_PARTITION_OFF && seen_state != state)
		avmm_cpus_give();
	seen_state = state;
	if (wanted != seen_resets) {
		resets += wanted - seen_resets;
		seen_resets = wanted;
		tell(AVMM_EVENT_PARTITION_RESET_WANTED, "wants a reset and waits for its boot image");
	}
}

static void flush_here(void *unused)
{
	vmx_hypercall(AVMM_HC_FLUSH, 0, 0, 0);
}

/* Devices' memory was lent, or came back: no CPU is to find it where it was. One that comes later flushes by itself. */
static void flush_everywhere(void)
{
	cpus_read_lock();
	on_each_cpu(flush_here, NULL, 1);
	cpus_read_unlock();
}

/* The monitor has no partition and no RAM of one afterwards; otherwise we say why and keep everything. */
static int leave_monitor(struct avmm_refusal *why)
{
	int err;

	if (life != LIVE)
		return 0;
	halt_devices();
	err = avmm_hypercall(AVMM_HC_PARTITION_DESTROY, 0, 0, 0);
	if (err && err != -ENOENT) {
		pr_avmm(KERN_ERR, "the monitor keeps the user partition (%d): its memory stays taken\n", err);
		return avmm_refuse(why, err, "the monitor keeps the partition: error %d", err);
	}
	flush_everywhere();
	avmm_device_rest();
	avmm_flash_copy(request.flash);
	avmm_cpus_give();
	avmm_console_stop();
	avmm_disk_stop();
	WRITE_ONCE(life, LOADING);
	return 0;
}

/* What the monitor does not like about a start, as far as its error says. */
static int refuse_start(struct avmm_refusal *why, int err, const char *step)
{
	struct avmm_refusal ignored;

	leave_monitor(&ignored);
	switch (err) {
	case -ENOMEM:
		return avmm_refuse(why, err, "the monitor has not memory enough to manage %llu MiB (%s)",
				   request.memory >> 20, step);
	case -EOPNOTSUPP:
		return avmm_refuse(why, err, "this CPU lacks what a user partition needs: avmmctl log says what");
	case -ENXIO:
		return avmm_refuse(why, err, "CPU %u, which the partitions share, is offline", AVMM_SHARED_CPU);
	default:
		return avmm_refuse(why, err, "the monitor refused it: error %d (%s)", err, step);
	}
}

static int start(const struct avmm_partition_entry *entry, struct avmm_refusal *why)
{
	const struct avmm_partition_page *page = avmm_shared_partition();
	u32 cpus[AVMM_MAX_VCPUS];
	void *buffer;
	int err;

	if (life != LOADING)
		return refuse_state(why, "only one that was just created or reloaded can be started");
	if (entry->fw_cfg_size > (request.rom ? AVMM_FW_CFG_MAX : 0))
		return avmm_refuse(why, -ERANGE, "%llu bytes of fw_cfg's files are too many", entry->fw_cfg_size);
	placement = place(&request);	/* CPUs may have come and gone */
	err = check_shares(&request, &placement, why);
	if (!err)
		err = avmm_disk_leave_ram(why);
	if (err)
		return err;
	err = avmm_cpus_take(placement.dedicated, cpus, why);
	if (err)
		return err;
	buffer = (void *)__get_free_page(GFP_KERNEL | __GFP_ZERO);
	if (!buffer) {
		avmm_cpus_give();
		return -ENOMEM;
	}
	avmm_console_start();
	avmm_disk_watch(request.freeze_after);
	if (avmm_disk_any())
		avmm_disk_start();
	WRITE_ONCE(life, LIVE);
	err = send_config(buffer, entry, cpus);
	if (err) {
		err = refuse_start(why, err, "create");
		goto out;
	}
	err = send_ram(buffer);
	if (err) {
		err = refuse_start(why, err, "memory");
		goto out;
	}
	err = avmm_device_attach(buffer, why) ?: avmm_legacy_attach(why);
	if (err) {
		leave_monitor(&(struct avmm_refusal){ });
		goto out;
	}
	flush_everywhere();
	seen_resets = READ_ONCE(page->resets_wanted);
	seen_state = AVMM_PARTITION_RUNNING;
	avmm_legacy_go();
	err = avmm_hypercall(AVMM_HC_PARTITION_START, 0, 0, 0);
	if (err)
		err = refuse_start(why, err, "start");
	else
		avmm_device_go();
	if (!err)
		tell(AVMM_EVENT_PARTITION_STARTED, "started");
out:
	free_page((unsigned long)buffer);
	return err;
}

int avmm_partition_start(const struct avmm_partition_entry *entry, struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	err = start(entry, why);
	mutex_unlock(&lock);
	return err;
}

static int destroy(struct avmm_refusal *why)
{
	int err;

	if (life == ABSENT)
		return refuse_state(why, "");
	look();
	if (current_state() == AVMM_PARTITION_RUNNING || current_state() == AVMM_PARTITION_PAUSED)
		last_reason = AVMM_REASON_FORCED;
	err = leave_monitor(why);
	if (err)
		return err;
	WRITE_ONCE(life, ABSENT);
	avmm_console_hangup();
	avmm_disk_forget();
	avmm_ram_give();
	tell(AVMM_EVENT_PARTITION_DESTROYED, "gone, its memory is free");
	module_put(THIS_MODULE);
	return 0;
}

int avmm_partition_destroy(struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	err = destroy(why);
	mutex_unlock(&lock);
	return err;
}

int avmm_partition_button(struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	switch (current_state()) {
	case AVMM_PARTITION_RUNNING:
		err = avmm_hypercall(AVMM_HC_PARTITION_BUTTON, 0, 0, 0);
		if (err)
			avmm_refuse(why, err, "the monitor did not press the power button: error %d", err);
		break;
	case AVMM_PARTITION_PAUSED:
		err = refuse_state(why, "it cannot notice its power button; resume it first, or force it");
		break;
	default:
		err = destroy(why);
	}
	mutex_unlock(&lock);
	return err;
}

/* Zeroing is for who does not trust the next boot with what this one leaves behind. */
int avmm_partition_reload(bool zero, struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	look();
	err = life == ABSENT ? refuse_state(why, "") : leave_monitor(why);
	if (!err)
		err = avmm_disk_leave_ram(why);
	if (!err && zero)
		avmm_ram_zero();
	mutex_unlock(&lock);
	return err;
}

static int reset(struct avmm_refusal *why)
{
	int err;

	if (life != LIVE)
		return refuse_state(why, "there is nothing to reset");
	if (!avmm_netlink_has_listeners())
		return avmm_refuse(why, -EUNATCH, "nobody listens to events who would load the boot image again");
	look();
	err = leave_monitor(why);
	if (err)
		return err;
	resets++;
	last_reason = AVMM_REASON_RESET;
	tell(AVMM_EVENT_PARTITION_RESET_WANTED, "was reset and waits for its boot image");
	return 0;
}

int avmm_partition_reset(struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	err = reset(why);
	mutex_unlock(&lock);
	return err;
}

int avmm_partition_pause(bool pause, struct avmm_refusal *why)
{
	u32 from = pause ? AVMM_PARTITION_RUNNING : AVMM_PARTITION_PAUSED;
	const char *wanted = pause ? "only one that runs can be paused" : "only a paused one can be resumed";
	int err;

	mutex_lock(&lock);
	if (current_state() != from) {
		err = refuse_state(why, wanted);
	} else {
		err = avmm_hypercall(AVMM_HC_PARTITION_PAUSE, pause, 0, 0);
		if (err)
			avmm_refuse(why, err, "the monitor refused it: error %d", err);
	}
	if (!err) {
		seen_state = pause ? AVMM_PARTITION_PAUSED : AVMM_PARTITION_RUNNING;
		if (!pause)	/* input may have come meanwhile */
			avmm_hypercall(AVMM_HC_CONSOLE_KICK, 0, 0, 0);
		tell(pause ? AVMM_EVENT_PARTITION_PAUSED : AVMM_EVENT_PARTITION_RESUMED, pause ? "paused" : "resumed");
	}
	mutex_unlock(&lock);
	return err;
}

/* A partition that the monitor does not have has left a copy behind, if it ever ran. */
ssize_t avmm_partition_read_flash(char __user *to, size_t size, loff_t *offset)
{
	ssize_t ret = 0;

	mutex_lock(&lock);
	if (life == LIVE && !*offset)
		ret = avmm_flash_copy(request.flash);
	if (!ret)
		ret = avmm_flash_read(to, size, offset);
	mutex_unlock(&lock);
	return ret;
}

static int set_shares(const struct avmm_partition_request *wanted, struct avmm_refusal *why)
{
	struct placement p = life == LIVE ? placement : place(wanted);
	int err = check_shares(wanted, &p, why);

	if (err)
		return err;
	if (life == LIVE)
		err = avmm_hypercall(AVMM_HC_PARTITION_SHARES, wanted->service_share, wanted->cap_service, wanted->cap_user);
	if (err)
		return avmm_refuse(why, err, "the monitor refused these shares: error %d", err);
	request = *wanted;
	tell(AVMM_EVENT_PARTITION_SHARES, "shares changed");
	return 0;
}

int avmm_partition_shares(u32 *service, u32 *cap_service, u32 *cap_user, struct avmm_refusal *why)
{
	struct avmm_partition_request wanted;
	int err = 0;

	mutex_lock(&lock);
	wanted = request;
	if (*service != UINT_MAX)
		wanted.service_share = *service;
	if (*cap_service != UINT_MAX)
		wanted.cap_service = *cap_service;
	if (*cap_user != UINT_MAX)
		wanted.cap_user = *cap_user;
	if (life == ABSENT)
		err = refuse_state(why, "");
	else if (memcmp(&wanted, &request, sizeof(wanted)))
		err = set_shares(&wanted, why);
	*service = request.service_share;
	*cap_service = request.cap_service;
	*cap_user = request.cap_user;
	mutex_unlock(&lock);
	return err;
}

void avmm_partition_allow(void)
{
	mutex_lock(&lock);
	allowed = true;
	WRITE_ONCE(forbidden, false);
	mutex_unlock(&lock);
}

void avmm_partition_forbid(void)
{
	struct avmm_refusal why;

	WRITE_ONCE(forbidden, true);
	mutex_lock(&lock);
	allowed = false;
	if (life != ABSENT)
		destroy(&why);
	mutex_unlock(&lock);
}

bool avmm_partition_exists(void)
{
	return READ_ONCE(life) != ABSENT;
}

void avmm_partition_poll(void)
{
	mutex_lock(&lock);
	look();
	mutex_unlock(&lock);
}

/* A pause is the administrator's and a freeze is ours: the monitor keeps them apart. */
static void watch_disk(void)
{
	bool frozen = READ_ONCE(avmm_shared_partition()->held) & AVMM_HELD_FROZEN, waits;
	char text[sizeof(((struct avmm_partition_info *)0)->frozen)], words[sizeof(text) + 16];

	waits = avmm_disk_waits(request.freeze_after, text, sizeof(text));
	if (waits == frozen || avmm_hypercall(AVMM_HC_PARTITION_FREEZE, waits, 0, 0))
		return;
	scnprintf(words, sizeof(words), "frozen: %s", waits ? text : "");
	tell(waits ? AVMM_EVENT_PARTITION_FROZEN : AVMM_EVENT_PARTITION_THAWED,
	     waits ? words : "goes on: its disk has answered");
}

void avmm_partition_watch_disk(void)
{
	mutex_lock(&lock);
	if (current_state() == AVMM_PARTITION_RUNNING || current_state() == AVMM_PARTITION_PAUSED)
		watch_disk();
	mutex_unlock(&lock);
}

int avmm_partition_disk_attach(const struct avmm_disk_request *disk, struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	err = life == ABSENT ? refuse_state(why, "") : avmm_disk_attach(disk, life == LIVE, why);
	if (!err)
		tell(AVMM_EVENT_DISK, "a disk was attached");
	mutex_unlock(&lock);
	return err;
}

int avmm_partition_disk_detach(u32 number, struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	err = life == ABSENT ? refuse_state(why, "") : avmm_disk_detach(number, life == LIVE, why);
	if (!err)
		tell(AVMM_EVENT_DISK, "a disk was detached");
	mutex_unlock(&lock);
	return err;
}

void avmm_partition_kick_console(void)
{
	mutex_lock(&lock);
	if (life == LIVE)
		avmm_hypercall(AVMM_HC_CONSOLE_KICK, 0, 0, 0);
	mutex_unlock(&lock);
}
