// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shared CPU: who runs next. sched.c decides, this file tells it what happens and does what it says.
 *
 *	service runs	physical interrupts are its own; HLT, MWAIT and the timer come here
 *	user runs	a physical interrupt stays pending and comes here: the service is switched in and takes it natively
 *	both idle	the service is entered in activity state HLT, the timer set for the user's next deadline
 *	capped service	is not to run, nobody else wants to: a vCPU of its own waits in HLT, as interrupts exit there
 *
 * An interrupt that has to wait (sched.c says so) is held back by CR8, the local APIC's task priority: while the user or
 * nobody runs it is raised to the class below Linux's IPIs. So devices and the tick stay pending there, IPIs never do.
 *
 * The slice timer is set for the earliest of what the scheduler wants and, while the user runs, its devices' deadline.
 */
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include "core.h"
#include "direct.h"
#include "partition.h"
#include "vcpu.h"

#define ENOENT		2
#define RFLAGS_IF	(1ul << 9)
#define IDLE_ROUNDS	4	/* of deadlines that came to nothing, before an entry */
#define IDLE_LIMIT_MS	1	/* of the service's MWAIT: a store may wake it, which nobody sees */
#define CLASS_DEVICES	0xe	/* the highest class of vectors that may wait: above are Linux's IPIs */

/*
 * The service waits in MWAIT with interrupts off but as break events: in activity state HLT none would wake it, so when
 * both are idle nobody is entered, and the interrupt exits.
 */
static bool service_deaf;

static bool running(void)
{
	return user.state == AVMM_PARTITION_RUNNING || user.state == AVMM_PARTITION_PAUSED;
}

/* The vCPU that runs here. */
static struct user_vcpu *shared_vcpu(void)
{
	return user.vcpu[0];
}

/* Devices do what is due. */
static void advance(struct user_vcpu *u)
{
	u64 now;

	vcpu_looks(u);
	now = partition_now();
	if (now >= u->next)
		platform_advance(u, now);
}

/* Never so soon that whoever is entered makes no progress. */
static void set_timer(struct user_vcpu *u, u64 now)
{
	u64 at = user.until, device = vcpu_host_time(u->next);

	if (device < at && this_cpu()->current == &u->vcpu)
		at = device;
	/* held back with the service's interrupts are those by which other vCPUs call */
	if (unlikely(user.deferred && user.platform.smp) && at > now + user.poll)
		at = now + user.poll;
	if (at < now + user.shortest)
		at = now + user.shortest;
	user_set_timer(&u->timer, at, now);
}

/* A guest that sets its timer over and over must not put off the end of its slice. */
bool shared_retime(struct user_vcpu *u)
{
	u64 now = rdtsc();

	if (now >= user.until)
		return false;
	set_timer(u, now);
	return true;
}

static enum sched_safety safety(const struct cpu *cpu)
{
	if (user.service_wanted || cpu->current == &user.idle || debug_no_grace)
		return SCHED_SAFE;
	if (cpu->current == &shared_vcpu()->vcpu)
		return shared_vcpu()->halted || !vmx_guest_cpl0_64() ? SCHED_SAFE : SCHED_HOLDS_LOCK;
	return service_interruptible() ? SCHED_SAFE : SCHED_HOLDS_LOCK;
}

static enum sched_who pick(struct cpu *cpu, u64 now)
{
	struct user_vcpu *u = shared_vcpu();
	unsigned int round;
	enum sched_who who = SCHED_SERVICE;

	for (round = 0; round < IDLE_ROUNDS; round++) {
		who = sched_pick(&user.sched, safety(cpu), now);
		if (who != SCHED_USER)
			return who;
		advance(u);
		if (vcpu_has_work(u))
			return who;
		/* its deadline came to nothing that wakes it */
		now = rdtsc();
		sched_sleep(&user.sched, SCHED_USER, vcpu_host_time(u->next), now);
	}
	return SCHED_SERVICE;
}

static void publish(void)
{
	struct avmm_partition_page *page = user.page;
	const u64 *time = user.sched.time;

	page->time_service = time[SCHED_SERVICE];
	page->time_user = time[SCHED_USER];
	page->time_idle = time[SCHED_IDLE];
	page->time_monitor = time[SCHED_MONITOR];
	page->guest_time = partition_now();
	page->yields = user.sched.yields;
}

/* Without a switch the page's times stand still, and an idle guest needs none: for who asks. */
s64 shared_times(void)
{
	if (user.state != AVMM_PARTITION_RUNNING && user.state != AVMM_PARTITION_PAUSED)
		return -ENOENT;
	if (user.config.shared)
		sched_account(&user.sched, rdtsc());
	publish();
	return 0;
}

static void to_service(struct cpu *cpu)
{
	if (user.deferred)
		write_cr8(user.service_cr8);
	user.deferred = false;
	user.preempted = cpu->current == &shared_vcpu()->vcpu && !shared_vcpu()->halted;
	vmx_switch(cpu, &cpu->service);
	publish();
}

static void to_user(struct cpu *cpu, struct user_vcpu *u)
{
	user.page->switches++;
	user.preempted = false;
	vmx_switch(cpu, &u->vcpu);
	user_set_tsc_offset(user.time_offset + u->tsc_delta);
}

static void to_nobody(struct cpu *cpu)
{
	user.idle.world = cpu->current->world;
	vmx_switch(cpu, &user.idle);
}

/* The service's VMCS is loaded: its MWAIT ends, as MWAIT may at any time. */
static void end_mwait(void)
{
	if (user.service_mwait)
		service_halt(false);
	user.service_mwait = false;
	service_deaf = false;
}

static void switch_to(struct cpu *cpu, enum sched_who who)
{
	bool idle_as_service = !(user.sched.side[SCHED_SERVICE].state & SCHED_THROTTLED) && !service_deaf;

	if (user.service_wanted || who == SCHED_SERVICE || (who == SCHED_IDLE && idle_as_service)) {
		if (!cpu->current->service)
			to_service(cpu);
		if (user.service_wanted || who == SCHED_SERVICE)
			end_mwait();
	} else if (who == SCHED_USER) {
		if (cpu->current != &shared_vcpu()->vcpu)
			to_user(cpu, shared_vcpu());
	} else if (cpu->current != &user.idle) {
		to_nobody(cpu);
	}
	user.service_wanted = false;
}

/* The monitor's time ends, a slice begins. */
static void start_slice(struct user_vcpu *u)
{
	u64 now = rdtsc();

	user.until = sched_enter(&user.sched, now);
	user.resched = false;
	set_timer(u, now);
}

/* Decides, switches, sets the timer. The vCPU to enter is cpu->current afterwards. */
static void decide(struct cpu *cpu, u64 now)
{
	struct user_vcpu *u = shared_vcpu();

	switch_to(cpu, pick(cpu, now));
	if (cpu->current == &u->vcpu)
		vcpu_inject(u);
	start_slice(u);
}

void shared_reschedule(struct cpu *cpu)
{
	if (user.config.shared && running())
		decide(cpu, rdtsc());
}

void shared_look(void)
{
	if (!user.config.shared)
		return;
	partition_wake();
	if (__atomic_exchange_n(&user.yield, 0, __ATOMIC_SEQ_CST) && user.preempted)
		sched_directed_yield(&user.sched, rdtsc());
}

void shared_start(struct cpu *cpu)
{
	const struct avmm_partition_config *c = &user.config;
	u64 now = rdtsc();

	sched_init(&user.sched, machine.tsc_khz, sched_shares(c->ncpus, c->service_cpus, c->service_share).s0, now);
	sched_set_caps(&user.sched, c->cap_service, c->cap_user, now);
	sched_set_skew(&user.sched, c->max_skew, now);
	sched_wake(&user.sched, SCHED_SERVICE, now);
	sched_wake(&user.sched, SCHED_USER, now);
	service_share(true);
	shared_reschedule(cpu);
}

/* The service has the CPU alone again; its VMCS is loaded afterwards. */
void shared_stop(struct cpu *cpu)
{
	if (!cpu->current->service)
		to_service(cpu);
	end_mwait();
	publish();
	service_share(false);
}

/*
 * HLT, or MWAIT, whose wake-up by a store nobody sees: where there is another CPU that could store, it ends after
 * IDLE_LIMIT_MS at the latest. (Linux waits for a store to its own flags, which no device reaches.) Both wait in activity
 * state HLT. The service may have been woken by an interrupt since it was entered there, so it wakes for sched.c first.
 */
void core_service_idle(struct vcpu *v, bool may_wake)
{
	u64 now = rdtsc(), until = SCHED_NEVER;

	if (may_wake && machine.ncpus > 1)
		until = now + (u64)IDLE_LIMIT_MS * machine.tsc_khz;
	sched_wake(&user.sched, SCHED_SERVICE, now);
	sched_sleep(&user.sched, SCHED_SERVICE, until, now);
	user.service_mwait = may_wake;
	service_deaf = may_wake && !service_interruptible();
	service_halt(true);
	shared_reschedule(v->cpu);
}

/*
 * An interrupt that ended the service's HLT went straight to it, so sched.c still has it asleep: whoever is about to wake
 * the user would leave the service where it is, perhaps in a handler that another CPU waits for, until something else
 * interrupts.
 */
void shared_service_awake(void)
{
	if (user.config.shared && (user.state == AVMM_PARTITION_RUNNING || user.state == AVMM_PARTITION_PAUSED))
		sched_wake(&user.sched, SCHED_SERVICE, rdtsc());
}

void core_timer(struct vcpu *v)
{
	if (!v->service)
		return;		/* core_user_enter() looks what it was for */
	if (!service_halted())
		sched_wake(&user.sched, SCHED_SERVICE, rdtsc());
	shared_reschedule(v->cpu);
}

/* An NMI or INIT waits for the service. It goes in at once. */
void core_service_wanted(struct vcpu *v)
{
	u64 now = rdtsc();

	if (v->cpu->dedicated) {
		dedicated_event(v);
		return;
	}
	sched_wake(&user.sched, SCHED_SERVICE, now);
	sched_service_interrupt(&user.sched, SCHED_IRQ_IPI, now);
	user.service_wanted = true;
	user.resched = true;
}

void core_service_now(struct vcpu *v)
{
	if (v->cpu->dedicated) {
		dedicated_event(v);
		dedicated_enter(v);
		return;
	}
	core_service_wanted(v);
	shared_reschedule(v->cpu);
}

static enum sched_irq kind_of_interrupt(u32 vector)
{
	/* what comes past the local APIC, from the 8259 pair, cannot be held back */
	if (!vector || vector >> 4 > CLASS_DEVICES)
		return SCHED_IRQ_IPI;
	return vector == user.config.tick_vector ? SCHED_IRQ_TICK : SCHED_IRQ_DEVICE;
}

static bool is_kick(u32 vector)
{
	return vector && vector == this_cpu()->kick_vector;
}

/* As long as an interrupt is pending and not held back, whoever but the service is entered exits at once. */
static void note_interrupt(u32 vector, u64 now)
{
	/* other vCPUs call: the service takes it, and hands the CPU back at once (partition_look) */
	if (is_kick(vector)) {
		user.service_wanted = true;
		return;
	}
	if (sched_service_interrupt(&user.sched, kind_of_interrupt(vector), now) <= now) {
		user.service_wanted = true;
	} else if (!user.deferred) {
		user.service_cr8 = read_cr8();
		user.deferred = true;
		if (user.service_cr8 < CLASS_DEVICES)
			write_cr8(CLASS_DEVICES);
	}
}

/* Nothing else can have happened: this is the way that has to be short. */
void core_user_interrupt(struct vcpu *v)
{
	u64 now = rdtsc();
	u32 vector;

	if (unlikely(v->cpu->dedicated)) {
		dedicated_interrupt(v);
		dedicated_enter(v);
		return;
	}
	v->launched = 1;
	vector = apic_requested();
	if (likely(!is_kick(vector) && sched_take_interrupt(&user.sched, kind_of_interrupt(vector), now))) {
		to_service(v->cpu);
		end_mwait();
		user.service_wanted = false;
		start_slice(to_user_vcpu(v));
		return;
	}
	note_interrupt(vector, now);
	decide(v->cpu, now);
}

void core_idle_interrupt(struct vcpu *v)
{
	(void)v;
	note_interrupt(apic_requested(), rdtsc());
}

/* Exceptions without an end come before an interrupt at every entry, so none would ever exit: one is looked for. */
void core_user_hides_interrupts(void)
{
	if (this_cpu()->dedicated || user.deferred || !apic_requested())
		return;
	note_interrupt(apic_requested(), rdtsc());
	user.resched = true;
}

void core_idle_enter(struct vcpu *v)
{
	v->launched = 1;
	if (__atomic_load_n(&shared_vcpu()->kicked, __ATOMIC_RELAXED))
		partition_wake();
	if (platform_unsettled(&user.platform))
		direct_settle();	/* who waits for it cannot call while interrupts are held back */
	shared_reschedule(v->cpu);
}

void core_user_halt(struct vcpu *v)
{
	struct user_vcpu *u = to_user_vcpu(v);

	u->halted = true;
	u->deaf = !(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF);
}

void core_user_window(struct vcpu *v)
{
	/* vcpu_inject() comes before the next entry anyway */
	(void)v;
}

void core_user_entry_failed(struct vcpu *v, u64 reason)
{
	core_log("user partition: VM entry of vCPU %u failed, exit reason %lx, qualification %lx",
		 to_user_vcpu(v)->number, reason, vmread(VMCS_EXIT_QUALIFICATION));
	partition_off_here(v, AVMM_REASON_ENTRY_FAILED);
	if (v->cpu->dedicated)
		dedicated_enter(v);
}

/*
 * The message that tells of it is pending already. The service gets in for it as for any device's interrupt, with a boost
 * as far as it may have one; that is settled here, without an exit for the interrupt.
 */
void shared_forwarded(void)
{
	u64 now = rdtsc();

	/* of a vCPU elsewhere: the message that it has sent is all */
	if (!user.config.shared || this_cpu()->dedicated)
		return;
	sched_boost(&user.sched, now);
	if (this_cpu()->current != &shared_vcpu()->vcpu)
		return;
	if (!user.deferred && apic_requested())
		note_interrupt(apic_requested(), now);
	user.resched = true;
	vcpu_look(shared_vcpu());
}


/* The end of an exit of the user's vCPU that may have changed anything. */
void core_user_enter(struct vcpu *v)
{
	struct user_vcpu *u = to_user_vcpu(v);

	if (unlikely(v->cpu->dedicated)) {
		dedicated_enter(v);
		return;
	}
	v->launched = 1;
	if (user.platform.off_wanted || user.platform.reset_wanted) {
		partition_stop(v->cpu);
		return;
	}
	if (!running())
		return;
	advance(u);
	/* Any exit may be the first one after the slice, and a guest that polls keeps the timer from ever ending it. */
	if (rdtsc() >= user.until)
		user.resched = true;
	if (platform_unsettled(&user.platform))
		direct_settle();
	if (ide_cancelling(&user.platform.ide))
		partition_hold(AVMM_HELD_RESET);
	if (!vcpu_has_work(u) && !user.held) {
		sched_sleep(&user.sched, SCHED_USER, vcpu_host_time(u->next), rdtsc());
		user.resched = true;
	}
	if (user.resched) {
		shared_reschedule(v->cpu);
	} else {
		vcpu_inject(u);
		set_timer(u, rdtsc());
	}
}

/* The end of an exit that did nothing but what the platform has noted. The timer is set again: it stood still since. */
void core_user_resume(struct vcpu *v)
{
	const struct user_timer *timer = &to_user_vcpu(v)->timer;
	u64 now = rdtsc();

	if (now >= timer->at) {
		core_user_enter(v);
		return;
	}
	v->launched = 1;
	user_continue_timer(timer, now);
}
