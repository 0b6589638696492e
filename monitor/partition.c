// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of the user partition, as the module's hypercalls make it: create, RAM, start, pause, destroy. Every argument is
 * checked; the module may be wrong, the monitor must not follow it.
 */
#include <avmm/x86.h>
#include <ept-shadow/mtrr.h>
#include <vmx/root/barriers.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include "core.h"
#include "direct.h"
#include "partition.h"

#define ENOENT	2
#define EIO	5
#define EBUSY	16
#define EOPNOTSUPP 95
#define USER_XCR0	0x2e7	/* x87, SSE, AVX, AVX-512, PKRU: what the guest's CPUID has */
#define EPT_CAP_1G	(1ul << 17)
#define SHORTEST_US	2	/* of an entry */
#define POLL_US		100
#define FOUR_GIB	(1ull << 32)
#define MSR_ARCH_CAPABILITIES 0x10a
#define EXEC_TABLES	1024u	/* at most: 2 GiB that can be executed from at a time */
#define EXEC_RESERVE	72u	/* pages of the pool for other tables, some of them needed later */

struct partition user;

u64 partition_now(void)
{
	return user.held ? user.held_at : rdtsc() + user.time_offset;
}

void partition_message(void)
{
	message_raise(this_cpu());
}

static void set_state(u32 state)
{
	user.state = state;
	user.page->state = state;
	partition_message();
}

static u64 *alloc_table(void *ctx, u64 *phys)
{
	u64 *page = pool_page();

	(void)ctx;
	if (page)
		*phys = monitor_phys(page);
	return page;
}

static u64 *find_table(void *ctx, u64 phys)
{
	(void)ctx;
	return monitor_virt(phys);
}

/* Not the monitor's, in whole or in part. */
static bool fw_cfg_good(const struct avmm_partition_config *c)
{
	u64 at;

	if (c->fw_cfg_size > AVMM_FW_CFG_MAX || c->fw_cfg % AVMM_PAGE_SIZE || c->fw_cfg >> machine.phys_bits)
		return false;
	for (at = 0; at < c->fw_cfg_size; at += AVMM_PAGE_SIZE)
		if (monitor_virt(c->fw_cfg + at))
			return false;
	return true;
}

/* CPUs that Linux has given up: launched, not the shared one, each once. Linux takes an offline CPU's vector away. */
static bool cpus_good(const struct avmm_partition_config *c)
{
	u32 i, j;

	for (i = c->shared ? 1 : 0; i < c->vcpus; i++) {
		if (!c->cpu[i] || c->cpu[i] >= machine.ncpus || machine.cpu[c->cpu[i]]->message_vector)
			return false;
		for (j = c->shared ? 1 : 0; j < i; j++)
			if (c->cpu[j] == c->cpu[i])
				return false;
	}
	return true;
}

/* A window lies behind the memory that any machine has at the bottom. */
static bool window_good(const struct avmm_partition_config *c)
{
	if (!c->window)
		return true;
	if (c->window % AVMM_BLOCK_SIZE || c->window < AVMM_WINDOW_LOW || c->window >= AVMM_PCI_HOLE)
		return false;
	return c->ram_size > AVMM_WINDOW_LOW && c->ram_size - AVMM_WINDOW_LOW <= AVMM_PCI_HOLE - c->window;
}

static bool config_good(const struct avmm_partition_config *c)
{
	return fw_cfg_good(c) && flash_good(c) && !(c->rom_size % AVMM_BLOCK_SIZE) && c->rom_size <= AVMM_ROM_MAX &&
	       window_good(c) && c->ram_size && !(c->ram_size % AVMM_BLOCK_SIZE) && c->ram_size < 1ull << 40 &&
	       c->vcpus && c->vcpus <= AVMM_MAX_VCPUS && c->shared <= 1 && cpus_good(c) &&
	       c->ncpus && c->service_cpus < c->ncpus &&
	       c->cap_service && c->cap_service <= SCHED_WHOLE && c->cap_user && c->cap_user <= SCHED_WHOLE &&
	       c->on_triple_fault <= AVMM_POLICY_RESET && c->disks <= 1 &&
	       (!c->max_skew || (c->max_skew >= SCHED_SKEW_MIN && c->max_skew <= SCHED_SKEW_MAX));
}

static bool erratum(void)
{
	u64 arch;

	return !large_pages_may_execute(rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch) ? arch : 0);
}

/* RAM is mapped without the right to execute, and ept_exec_allow() gives it, page table by page table. */
static s64 prepare_exec(void)
{
	u64 size = user.config.ram_size / AVMM_BLOCK_SIZE, left = pool_left();

	if (left < 2 * EXEC_RESERVE)
		return -ENOMEM;
	left -= EXEC_RESERVE;
	size = size < EXEC_TABLES ? size : EXEC_TABLES;
	size = size < left ? size : left;
	user.exec = (struct ept_exec){ .ept = &user.ept, .size = (u32)size, .flush = vcpu_flush, .flushed = vcpu_flushed };
	user.exec.slot = pool_pages((size * sizeof(*user.exec.slot) + AVMM_PAGE_SIZE - 1) / AVMM_PAGE_SIZE);
	return user.exec.slot ? 0 : -ENOMEM;
}

bool partition_fetch(u64 gpa, u64 qualification)
{
	bool done;

	if (!(qualification & VMX_EPT_FETCH) || !user.exec.slot)
		return false;
	platform_lock(&user.platform);
	done = ept_exec_allow(&user.exec, gpa);
	platform_unlock(&user.platform);
	return done;
}

/* Everything that vCPUs and the second-level tables need for a start, from the pool. */
static s64 take_pages(struct cpu *shared)
{
	bool small = erratum();
	u8 *idle;
	u32 i;

	user.ept = (struct ept){
		.phys_bits = machine.phys_bits,
		.max_level = !small && rdmsr(AVMM_MSR_VMX_EPT_VPID_CAP) & EPT_CAP_1G ? 3 : 2,
		.alloc = alloc_table,
		.table = find_table,
	};
	user.msr_bitmap = pool_page();
	idle = pool_page();
	if (!user.msr_bitmap || !idle || ept_init(&user.ept) || (small && prepare_exec()) ||
	    apicv_create())
		return -ENOMEM;
	*(u32 *)idle = vmx_revision();
	user.idle.vmcs_phys = monitor_phys(idle);
	for (i = 0; i < user.config.vcpus; i++) {
		struct cpu *cpu = user.config.shared && !i ? shared : machine.cpu[user.config.cpu[i]];

		user.vcpu[i] = pool_page();
		if (!user.vcpu[i] || vcpu_create(user.vcpu[i], i, cpu))
			return -ENOMEM;
	}
	return stray_init(&user.ept);
}

s64 partition_create(struct cpu *cpu, u64 config_phys)
{
	struct avmm_partition_config config;
	struct sched_split split;
	const char *lacks = user_lacks();
	s64 err;

	if (user.state != AVMM_PARTITION_NONE)
		return -EBUSY;
	if (lacks) {
		core_log("a user partition needs a VT-x control that this CPU lacks: %s", lacks);
		return -EOPNOTSUPP;
	}
	if (config_phys % AVMM_PAGE_SIZE || monitor_virt(config_phys))
		return -EINVAL;
	config = *(const struct avmm_partition_config *)window_map(config_phys);
	split = sched_shares(config.ncpus, config.service_cpus, config.service_share);
	if (!config_good(&config) || (config.shared && !split.s0))
		return -EINVAL;
	if (config.rom_size && !user_can_reset()) {
		core_log("firmware needs a VT-x control that this CPU lacks: unrestricted guest");
		return -EOPNOTSUPP;
	}

	pool_reset();
	direct_reset();
	vdev_clear(&user, sizeof(user));
	user.config = config;
	user_cpuid_reset();
	user.page = (struct avmm_partition_page *)(AVMM_SHARED_BASE + (AVMM_LOG_PAGES + machine.ncpus) * AVMM_PAGE_SIZE);
	user.console = (struct avmm_console *)((u8 *)user.page + AVMM_PAGE_SIZE);
	user.disk = (struct avmm_disk_page *)((u8 *)user.console + AVMM_CONSOLE_PAGES * AVMM_PAGE_SIZE);
	vdev_clear(user.page, sizeof(*user.page));
	err = take_pages(cpu);
	if (err)
		return err;
	user.service_share = config.service_share;
	user.page->service_share = config.service_share;
	user.page->cap_service = config.cap_service;
	user.page->cap_user = config.cap_user;
	set_state(AVMM_PARTITION_CREATED);
	return 0;
}

/* The first block, with the hole where a VGA would be: pages of 4 KiB. */
static int map_first(u64 block)
{
	u64 high = AVMM_VGA_HOLE_END;
	int err = ept_map(&user.ept, 0, block, AVMM_VGA_HOLE, EPT_RWX, MTRR_WB);

	return err ? err : ept_map(&user.ept, high, block + high, AVMM_BLOCK_SIZE - high, EPT_RWX, MTRR_WB);
}

/* Pages of 4 KiB: firmware is executed from here (exec.h), and parts of it may be flash. */
static int map_rom(u64 gpa, u64 block)
{
	u64 half = AVMM_BLOCK_SIZE / 2;
	int err = ept_map(&user.ept, gpa, block, half, EPT_R | EPT_X, MTRR_WB);

	return err ? err : ept_map(&user.ept, gpa + half, block + half, half, EPT_R | EPT_X, MTRR_WB);
}

/* RAM that cannot be executed at first, where that is necessary (exec.h). */
static int map_ram(u64 gpa, u64 block)
{
	return ept_map(&user.ept, gpa, block, AVMM_BLOCK_SIZE, user.exec.slot ? EPT_EXEC_LATER : EPT_RWX, MTRR_WB);
}

static int map_block(u64 gpa, u64 block)
{
	bool rom = gpa < FOUR_GIB && gpa >= FOUR_GIB - user.config.rom_size;
	u64 *mapped = rom ? &user.rom : &user.ram;
	int err;

	if (*mapped + AVMM_BLOCK_SIZE > (rom ? user.config.rom_size : user.config.ram_size))
		return -EINVAL;
	if (!gpa && user.config.rom_size)
		err = map_first(block);
	else
		err = rom ? map_rom(gpa, block) : map_ram(gpa, block);
	if (!err)
		*mapped += AVMM_BLOCK_SIZE;
	if (rom)
		user.rom_block[(gpa - (FOUR_GIB - user.config.rom_size)) / AVMM_BLOCK_SIZE] = block;
	return err;
}

/* Below 4 GiB, RAM ends where the PCI hole begins, and the ROM fills the hole's end. */
static bool range_good(u64 gpa, u64 end)
{
	if (gpa % AVMM_BLOCK_SIZE || gpa >> 40)
		return false;
	if (user.config.rom_size && gpa >= FOUR_GIB - user.config.rom_size && end <= FOUR_GIB)
		return true;
	if (user.config.window)
		return gpa ? gpa >= user.config.window && end <= partition_window_end() : end == AVMM_WINDOW_LOW;
	return gpa >= FOUR_GIB || end <= AVMM_PCI_HOLE;
}

static bool in_window(u64 gpa)
{
	return user.config.window && gpa >= user.config.window && gpa < partition_window_end();
}

/* RAM may be anything of Linux's but not the monitor's. */
s64 partition_ram(u64 list_phys, u64 count, u64 gpa)
{
	u64 i, end = gpa + count * AVMM_BLOCK_SIZE;

	if (user.state != AVMM_PARTITION_CREATED)
		return -ENOENT;
	if (list_phys % AVMM_PAGE_SIZE || monitor_virt(list_phys) || !count || count > AVMM_RAM_LIST ||
	    !range_good(gpa, end))
		return -EINVAL;
	for (i = 0; i < count; i++) {
		u64 block = ((const volatile u64 *)window_map(list_phys))[i];
		int err;

		if (block % AVMM_BLOCK_SIZE || block >> machine.phys_bits || monitor_virt(block))
			return -EINVAL;
		if (in_window(gpa) && block != gpa + i * AVMM_BLOCK_SIZE)
			return -EINVAL;
		err = map_block(gpa + i * AVMM_BLOCK_SIZE, block);
		if (err)
			return err;
	}
	return 0;
}

static void setup_idle(struct cpu *cpu)
{
	struct user_setup setup = {
		.eptp = ept_pointer(&user.ept),
		.msr_bitmap = monitor_phys(user.msr_bitmap),
		.io_bitmap = direct_io_bitmap(),
		.virtual_apic = monitor_phys(user.vcpu[0]->lapic_page),
		.vpid = 1,
		.idle = true,
	};

	user.idle.cpu = cpu;
	user.idle.stack = cpu->service.stack;
	user.idle.exits = vmx_idle_exits;
	user.idle.exit_counts = user.vcpu[0]->stats->exits;
	user_setup(&user.idle, &setup);
}

s64 partition_start(struct cpu *cpu)
{
	s64 err;

	if (user.state != AVMM_PARTITION_CREATED)
		return -ENOENT;
	if (user.ram != user.config.ram_size || user.rom != user.config.rom_size)
		return -EINVAL;
	user.shortest = machine.tsc_khz / 1000 * SHORTEST_US;
	user.poll = machine.tsc_khz / 1000 * POLL_US;
	user.time_offset = -rdtsc();
	switch_init(&user.vcpu[0]->service_world, &user.xcr0_mask);
	user.xcr0_mask &= USER_XCR0;
	user_msr_bitmap(user.msr_bitmap);
	platform_init(&user, partition_now(), machine.tsc_khz, machine.phys_bits);
	err = flash_start(&user);
	if (err)
		return err;
	user.platform.smp = user.config.vcpus > 1 || !user.config.shared;
	if (user.config.shared) {
		vcpu_setup(user.vcpu[0]);
		setup_idle(cpu);
	}
	set_state(AVMM_PARTITION_RUNNING);
	if (!dedicated_start()) {
		partition_off(cpu, AVMM_REASON_FORCED);
		return -EIO;
	}
	if (user.config.shared)
		shared_start(cpu);
	return 0;
}

/* All vCPUs stop for good, RAM stays. Called from either side's exits on the shared CPU. */
void partition_off(struct cpu *cpu, u32 reason)
{
	if (user.state == AVMM_PARTITION_RUNNING || user.state == AVMM_PARTITION_PAUSED) {
		dedicated_order(ORDER_LEAVE);
		platform_lock(&user.platform);
		uart_flush(&user.platform.uart, platform_time(&user.platform));
		platform_unlock(&user.platform);
		if (user.config.shared)
			shared_stop(cpu);
	}
	user.page->reason = reason;
	set_state(AVMM_PARTITION_OFF);
}

void partition_stop(struct cpu *cpu)
{
	if (user.platform.reset_wanted)
		user.page->resets_wanted++;
	partition_off(cpu, user.platform.reset_wanted ? AVMM_REASON_RESET : user.off_reason);
}

void partition_off_here(struct vcpu *v, u32 reason)
{
	if (!v->cpu->dedicated) {
		partition_off(v->cpu, reason);
		return;
	}
	/* the end of the exit looks, and tells the shared CPU */
	user.off_reason = reason;
	user.platform.off_wanted = true;
}

void core_user_triple_fault(struct vcpu *v)
{
	core_log("user partition: triple fault, vCPU %u, rip %lx, cr2 %lx, cr3 %lx", to_user_vcpu(v)->number,
		 vmread(VMCS_GUEST_RIP), vmread(VMCS_EXIT_QUALIFICATION), vmread(VMCS_GUEST_CR3));
	if (user.config.on_triple_fault == AVMM_POLICY_RESET)
		user.platform.reset_wanted = true;
	else
		partition_off_here(v, AVMM_REASON_TRIPLE_FAULT);
}

/* Other CPUs have called this one: one of them wants all to stop, or there is something for the vCPU here. */
s64 partition_look(struct cpu *cpu)
{
	if (user.state != AVMM_PARTITION_RUNNING && user.state != AVMM_PARTITION_PAUSED)
		return 0;
	if (user.platform.off_wanted || user.platform.reset_wanted) {
		partition_stop(cpu);
		return 0;
	}
	if (platform_unsettled(&user.platform))
		direct_settle();
	if (ide_cancelling(&user.platform.ide)) {
		partition_hold(AVMM_HELD_RESET);
	} else {
		if (!user.held && user.order == ORDER_WAIT)
			dedicated_order(ORDER_RUN);
		shared_look();
	}
	return 0;
}

s64 partition_destroy(struct cpu *cpu)
{
	u32 i;

	if (user.state == AVMM_PARTITION_NONE)
		return -ENOENT;
	if (user.state == AVMM_PARTITION_RUNNING || user.state == AVMM_PARTITION_PAUSED)
		partition_off(cpu, AVMM_REASON_FORCED);
	/* no CPU uses the pool any more */
	if (user.order && !dedicated_order(ORDER_LEAVE))
		return -EBUSY;
	for (i = 0; i < user.config.vcpus; i++)
		if (user.vcpu[i] && user.vcpu[i]->vcpu.vmcs_phys)
			vmclear(user.vcpu[i]->vcpu.vmcs_phys);
	user_access_forget();
	if (user.idle.vmcs_phys)
		vmclear(user.idle.vmcs_phys);
	if (user.config.shared)
		cpu->user = NULL;
	direct_stop();
	invept(INV_ALL_CONTEXTS, 0);
	set_state(AVMM_PARTITION_NONE);
	pool_reset();
	return 0;
}

void partition_hold(u32 why)
{
	if (!user.held) {
		/* their time goes on until the last one has stopped */
		dedicated_order(ORDER_WAIT);
		user.held_at = partition_now();
		if (user.config.shared)
			sched_sleep(&user.sched, SCHED_USER, SCHED_NEVER, rdtsc());
		user.resched = true;
	}
	user.held |= why;
	user.page->held = user.held;
}

void partition_release(u32 why)
{
	if (!(user.held & why))
		return;
	user.held &= ~why;
	user.page->held = user.held;
	if (user.held)
		return;
	user.time_offset = user.held_at - rdtsc();
	partition_wake();
	dedicated_order(ORDER_RUN);
}

void partition_wake(void)
{
	if (user.config.shared && !user.held)
		sched_wake(&user.sched, SCHED_USER, rdtsc());
}

s64 partition_pause(bool pause)
{
	if (user.state != (pause ? AVMM_PARTITION_RUNNING : AVMM_PARTITION_PAUSED))
		return -ENOENT;
	if (pause)
		partition_hold(AVMM_HELD_PAUSED);
	else
		partition_release(AVMM_HELD_PAUSED);
	set_state(pause ? AVMM_PARTITION_PAUSED : AVMM_PARTITION_RUNNING);
	return 0;
}

s64 partition_freeze(bool freeze)
{
	if (user.state != AVMM_PARTITION_RUNNING && user.state != AVMM_PARTITION_PAUSED)
		return -ENOENT;
	if (freeze)
		partition_hold(AVMM_HELD_FROZEN);
	else
		partition_release(AVMM_HELD_FROZEN);
	return 0;
}

s64 partition_button(void)
{
	u64 now;

	if (user.state != AVMM_PARTITION_RUNNING)
		return -ENOENT;
	platform_lock(&user.platform);
	now = platform_time(&user.platform);
	pm_power_button(&user.platform.pm, now);
	platform_refresh(&user, now);
	platform_unlock(&user.platform);
	partition_wake();
	return 0;
}

s64 partition_shares(u64 service, u64 cap_service, u64 cap_user)
{
	struct sched_split split;
	u64 now = rdtsc();

	if (user.state == AVMM_PARTITION_NONE)
		return -ENOENT;
	if (service > SCHED_WHOLE || !cap_service || cap_service > SCHED_WHOLE || !cap_user || cap_user > SCHED_WHOLE)
		return -EINVAL;
	split = sched_shares(user.config.ncpus, user.config.service_cpus, (u32)service);
	if (user.config.shared && !split.s0)
		return -EINVAL;
	if (user.config.shared && (user.state == AVMM_PARTITION_RUNNING || user.state == AVMM_PARTITION_PAUSED)) {
		sched_set_shares(&user.sched, split.s0, now);
		sched_set_caps(&user.sched, (u32)cap_service, (u32)cap_user, now);
	}
	user.config.service_share = (u32)service;
	user.config.cap_service = (u32)cap_service;
	user.config.cap_user = (u32)cap_user;
	user.page->service_share = (u32)service;
	user.page->cap_service = (u32)cap_service;
	user.page->cap_user = (u32)cap_user;
	return 0;
}

/* The module has put input into the ring, or taken output out of it. */
s64 partition_console(void)
{
	u64 now;

	if (user.state != AVMM_PARTITION_RUNNING)
		return -ENOENT;
	platform_lock(&user.platform);
	now = platform_time(&user.platform);
	uart_rx_ready(&user.platform.uart, now);
	uart_tx_ready(&user.platform.uart, now);
	platform_refresh(&user, now);
	platform_unlock(&user.platform);
	partition_wake();
	return 0;
}
