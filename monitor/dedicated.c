// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dedicated CPUs: the service has given them up (Linux has them offline, parked in its idle loop), and each runs one vCPU
 * of the user, without a tick, a slice or a scheduler.
 *
 *	shared CPU		user.order = …, an NMI to each		waits until all obey
 *	dedicated CPU		NMI: an exit, in whatever world		core_dedicated() or dedicated_enter(): does as ordered
 *
 * Fixed interrupts do not reach these CPUs: the local APIC is software-disabled, as Linux has left it, and CR8 holds back
 * what may still be in it. Where the CPU takes posted interrupts it is enabled, and the class of their notifications
 * comes through; what else is of that class has been Linux's, and goes to nobody. NMIs come always, and each of them
 * means "look": at the orders, at what other vCPUs want of this one (user_vcpu.wanted), at its local APIC's mailboxes.
 * Whoever wants something writes that first, then sets `kicked`, and sends an NMI if it was clear; who looks clears
 * `kicked` first. An NMI in root operation opens the NMI window, so that the next entry exits at once: none is lost.
 *
 * A vCPU that is not to run, since the partition is paused or off, since it waits for a SIPI, or until what it did to a
 * direct-access device is settled (direct.c; the order to run comes when it is), leaves the CPU to the service's world:
 * Linux, parked, in activity state HLT with interrupts off, where only NMI, INIT and SIPI exit. So a CPU that was handed
 * back is as Linux parked it, and comes up by the INIT and SIPI of startup.c.
 */
#include <avmm/x86.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include "core.h"
#include "partition.h"
#include "vcpu.h"

#define CR8_NOTHING	15
#define CR8_POSTED	(VCPU_POSTED_VECTOR / 16 - 1)
#define MSR_MCG_STATUS	0x17a
#define OBEY_MS		50	/* an exit and its handler take microseconds */

static void obey(struct user_vcpu *u, u32 order)
{
	__atomic_store_n(&u->obeys, order, __ATOMIC_RELEASE);
}

/* INIT first: its SIPI comes later, and one that came before is void. */
static void take_wanted(struct user_vcpu *u)
{
	u32 wanted = __atomic_fetch_and(&u->wanted, ~(WANTED_INIT | WANTED_SIPI), __ATOMIC_SEQ_CST);

	if (wanted & WANTED_INIT) {
		lapic_take_init(&u->lapic);
		__atomic_fetch_and(&u->wanted, ~WANTED_NMI, __ATOMIC_SEQ_CST);
		u->waits = true;
	}
	if ((wanted & WANTED_SIPI) && u->waits) {
		u->waits = false;
		u->start = true;
	}
}

static void set_timer(struct user_vcpu *u, u64 now)
{
	u64 at = vcpu_host_time(u->next);
	bool on = at != SCHED_NEVER;

	if (on != u->timing)
		user_want_timer(on);
	u->timing = on;
	if (!on) {
		u->timer.at = SCHED_NEVER;
		return;
	}
	if (at < now + user.shortest)
		at = now + user.shortest;
	user_set_timer(&u->timer, at, now);
}

bool dedicated_retime(struct user_vcpu *u)
{
	set_timer(u, rdtsc());
	return true;
}

static void to_user(struct cpu *cpu, struct user_vcpu *u)
{
	if (!u->ready) {
		u->service_cr8 = read_cr8();
		write_cr8(user.posting ? CR8_POSTED : CR8_NOTHING);
		vcpu_setup(u);
		if (user.posting)
			apic_enable(true);
		__atomic_store_n(&u->posted, user.posting, __ATOMIC_RELAXED);
		u->ready = true;
	}
	vmx_switch(cpu, &u->vcpu);
	user_set_tsc_offset(user.time_offset + u->tsc_delta);
}

static void call_shared(void)
{
	const struct cpu *shared = machine.cpu[AVMM_SHARED_CPU];

	if (shared->kick_vector)
		apic_send_ipi(shared->apic_id, shared->kick_vector);
}

static void to_service(struct cpu *cpu)
{
	if (!cpu->current->service)
		vmx_switch(cpu, &cpu->service);
	service_halt(true);
}

/* Nothing of this vCPU is touched by this CPU afterwards. */
static void hand_back(struct cpu *cpu, struct user_vcpu *u)
{
	if (u->ready) {
		vmclear(u->vcpu.vmcs_phys);
		if (u->posted)
			apic_enable(false);
		write_cr8(u->service_cr8);
	}
	cpu->stats->state = AVMM_CPU_SERVICE;
	cpu->user = NULL;
	cpu->service.world = NULL;
	cpu->dedicated = 0;
	obey(u, ORDER_LEAVE);
}

/* Does as ordered: afterwards cpu->current is to be entered. */
static void decide(struct cpu *cpu, struct user_vcpu *u)
{
	u32 order;

	cpu->stats->state = AVMM_CPU_USER;
	vcpu_looks(u);
	order = __atomic_load_n(&user.order, __ATOMIC_ACQUIRE);
	take_wanted(u);
	if (order != ORDER_RUN || u->waits || platform_unsettled(&user.platform)) {
		to_service(cpu);
		if (order == ORDER_LEAVE)
			hand_back(cpu, u);
		else
			obey(u, order);
		return;
	}
	if (cpu->current->service)
		to_user(cpu, u);
	obey(u, order);
	if (u->start)
		vmx_start_at(&u->vcpu, (u64)u->sipi << 8, (u64)u->sipi << 12, 0);
	u->start = false;
	if (running_now() >= u->next)
		platform_advance(u, running_now());
	vcpu_inject(u);
	set_timer(u, rdtsc());
}

/* The service's VMCS is loaded. */
void core_dedicated(struct cpu *cpu)
{
	decide(cpu, cpu->user);
}

/* The end of an exit of the vCPU. */
void dedicated_enter(struct vcpu *v)
{
	v->launched = 1;
	if (user.platform.off_wanted || user.platform.reset_wanted || ide_cancelling(&user.platform.ide))
		dedicated_stop();
	if (platform_unsettled(&user.platform))
		call_shared();
	decide(v->cpu, to_user_vcpu(v));
}

/* An NMI, which says that there is something to look at; a machine check, which is Linux's, but for a CPU that it has not. */
void dedicated_event(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;

	if (cpu->event.mc) {
		cpu->event.mc = 0;
		core_log("CPU %u: machine check while the user partition ran", cpu->number);
		wrmsr(MSR_MCG_STATUS, 0);
	}
	vmx_drop_nmis(cpu);
}

/* Acknowledged by its exit, which comes where interrupts are posted only. It was left from the time when Linux had the CPU. */
void dedicated_interrupt(struct vcpu *v)
{
	if (to_user_vcpu(v)->posted)
		apic_eoi();
}

/* The vCPU of the shared CPU may hold the lock, and be preempted: one request at a time for it. */
void core_user_spins(struct vcpu *v)
{
	bool preempted = __atomic_load_n(&user.preempted, __ATOMIC_RELAXED);

	(void)v;
	user_spin_longer(!preempted);
	if (preempted && !__atomic_exchange_n(&user.yield, 1, __ATOMIC_SEQ_CST))
		call_shared();
}

static bool is_dedicated(u32 i)
{
	return i || !user.config.shared;
}

/* There is an order. */
static void call_all(void)
{
	u32 i;

	for (i = 0; i < user.config.vcpus; i++) {
		struct user_vcpu *u = user.vcpu[i];

		if (!is_dedicated(i) || !u || __atomic_load_n(&u->obeys, __ATOMIC_ACQUIRE) == ORDER_LEAVE)
			continue;
		__atomic_store_n(&u->kicked, 1, __ATOMIC_SEQ_CST);
		if (u->vcpu.cpu != this_cpu())
			apic_send_nmi(u->vcpu.cpu->apic_id);
	}
}

/* The first one that does not obey, or NULL. */
static const struct user_vcpu *disobedient(u32 order)
{
	u32 i;

	for (i = 0; i < user.config.vcpus; i++) {
		const struct user_vcpu *u = user.vcpu[i];

		if (is_dedicated(i) && u && __atomic_load_n(&u->obeys, __ATOMIC_ACQUIRE) != order &&
		    __atomic_load_n(&u->obeys, __ATOMIC_ACQUIRE) != ORDER_LEAVE)
			return u;
	}
	return NULL;
}

/* On the shared CPU. */
bool dedicated_order(u32 order)
{
	u64 end = rdtsc() + (u64)OBEY_MS * machine.tsc_khz;
	const struct user_vcpu *u;

	__atomic_store_n(&user.order, order, __ATOMIC_SEQ_CST);
	call_all();
	while ((u = disobedient(order)) && rdtsc() < end)
		pause();
	if (!u)
		return true;
	core_log("CPU %u does not answer: vCPU %u, order %u", u->vcpu.cpu->number, u->number, order);
	return false;
}

/*
 * On a dedicated CPU: all vCPUs stop now, the shared CPU does the rest. It is called also where another order is in force: it
 * may be about to let them run again, without having seen why this one stops.
 */
void dedicated_stop(void)
{
	u32 run = ORDER_RUN;

	if (__atomic_compare_exchange_n(&user.order, &run, ORDER_WAIT, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		call_all();
	call_shared();
}

/* Linux has given these CPUs up: from now on NMIs mean us. */
bool dedicated_start(void)
{
	u32 i;

	for (i = 0; i < user.config.vcpus; i++) {
		struct cpu *cpu = user.vcpu[i]->vcpu.cpu;

		if (!is_dedicated(i))
			continue;
		cpu->user = user.vcpu[i];
		cpu->dedicated = 1;
	}
	return dedicated_order(ORDER_RUN);
}
