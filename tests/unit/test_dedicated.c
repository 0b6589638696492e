// SPDX-License-Identifier: GPL-2.0-only
/*
 * Orders to dedicated CPUs, with two of them and a shared one that are this one thread: an NMI makes the CPU that it is sent to
 * look at once, unless that is at the end of an exit already.
 */
#include "unit.h"

#define this_cpu	gs_this_cpu	/* these instructions are not for us */
#define read_cr8	insn_read_cr8
#define write_cr8	insn_write_cr8
#define vmclear		insn_vmclear
#include <vmx/root/cpu.h>
#include <vmx/root/insn.h>
#undef this_cpu
#undef read_cr8
#undef write_cr8
#undef vmclear

static struct cpu *here;

static struct cpu *this_cpu(void)
{
	return here;
}

static u64 read_cr8(void)
{
	return 0;
}

static void write_cr8(u64 value)
{
	(void)value;
}

static void vmclear(u64 phys)
{
	(void)phys;
}

#include "monitor/dedicated.c"

#define CPUS		3
#define KICK		0x55

struct machine machine;
struct partition user;

static struct cpu cpus[CPUS];
static struct user_vcpu vcpus[CPUS - 1];
static struct avmm_cpu_stats stats[CPUS];
static struct avmm_user_stats user_stats[CPUS - 1];
static struct avmm_partition_page page;
static u32 kicks;
static bool cancelling;

void apic_send_nmi(u32 apic_id)
{
	struct cpu *sender = here;

	here = &cpus[apic_id];
	core_dedicated(here);
	here = sender;
}

void apic_send_ipi(u32 apic_id, u32 vector)
{
	assert_int_equal(apic_id, 0);
	assert_int_equal(vector, KICK);
	kicks++;
}

void apic_enable(bool on)
{
	(void)on;
}

void apic_eoi(void)
{
}

void vmx_switch(struct cpu *cpu, struct vcpu *next)
{
	assert_ptr_equal(cpu, here);
	assert_ptr_not_equal(cpu->current, next);
	cpu->current = next;
}

void vmx_drop_nmis(struct cpu *cpu)
{
	(void)cpu;
}

void vmx_start_at(struct vcpu *v, u64 cs_sel, u64 cs_base, u64 rip)
{
	(void)v, (void)cs_sel, (void)cs_base, (void)rip;
}

void vcpu_setup(struct user_vcpu *u)
{
	(void)u;
}

void vcpu_kicked(struct user_vcpu *u)
{
	u->kicked = 0;
}

void service_halt(bool on)
{
	assert_true(on && here->current->service);
}

bool ide_cancelling(const struct ide *ide)
{
	(void)ide;
	return cancelling;
}

void user_set_timer(struct user_timer *timer, u64 at, u64 now)
{
	(void)now;
	timer->at = at;
}

void user_want_timer(bool on)
{
	(void)on;
}

void user_set_tsc_offset(u64 offset)
{
	(void)offset;
}

void user_want_window(bool on)
{
	(void)on;
}

void user_set_tpr_threshold(u32 class)
{
	(void)class;
}

bool user_can_take_nmi(void)
{
	return true;
}

void user_inject_nmi(void)
{
}

void user_want_nmi_window(bool on)
{
	(void)on;
}

void user_wake(void)
{
}

void user_inject_interrupt(u8 vector)
{
	(void)vector;
}

bool user_can_take_interrupt(void)
{
	return false;
}

void user_spin_longer(bool longer)
{
	(void)longer;
}

void apicv_inject(struct user_vcpu *u)
{
	(void)u;
}

void platform_advance(struct user_vcpu *u, u64 now)
{
	(void)u, (void)now;
}

bool platform_pending(struct user_vcpu *u)
{
	(void)u;
	return false;
}

int platform_take(struct user_vcpu *u)
{
	(void)u;
	return LAPIC_NONE;
}

void core_log(const char *format, ...)
{
	fail_msg("%s", format);		/* that a CPU does not answer */
}

static bool runs(u32 i)
{
	return !cpus[i].current->service;
}

/* The end of an exit of the vCPU on this CPU. */
static void exit_ends(u32 i)
{
	assert_true(runs(i));
	here = &cpus[i];
	dedicated_enter(here->current);
	here = &cpus[0];
}

static int begin(void **state)
{
	u32 i;

	(void)state;
	memset(&user, 0, sizeof(user));
	memset(cpus, 0, sizeof(cpus));
	memset(vcpus, 0, sizeof(vcpus));
	kicks = 0;
	cancelling = false;
	machine.ncpus = CPUS;
	machine.tsc_khz = 2000000;
	user.page = &page;
	user.config.vcpus = CPUS - 1;
	user.platform.smp = true;
	for (i = 0; i < CPUS; i++) {
		cpus[i].number = cpus[i].apic_id = i;
		cpus[i].stats = &stats[i];
		cpus[i].service.service = true;
		cpus[i].current = &cpus[i].service;
		machine.cpu[i] = &cpus[i];
	}
	cpus[0].kick_vector = KICK;
	for (i = 0; i < CPUS - 1; i++) {
		vcpus[i].number = i;
		vcpus[i].next = CLOCK_NEVER;
		vcpus[i].vcpu.cpu = &cpus[i + 1];
		vcpus[i].stats = &user_stats[i];
		user.vcpu[i] = &vcpus[i];
	}
	here = &cpus[0];
	assert_true(dedicated_start());
	assert_true(runs(1) && runs(2));
	return 0;
}

static void all_obey(void **state)
{
	(void)state;
	exit_ends(1);
	assert_true(runs(1) && !kicks);
	assert_true(dedicated_order(ORDER_WAIT));
	assert_false(runs(1) || runs(2));
	assert_true(dedicated_order(ORDER_RUN));
	assert_true(runs(1) && runs(2));
	assert_true(dedicated_order(ORDER_LEAVE));
	assert_false(runs(1) || runs(2) || cpus[1].dedicated || cpus[2].dedicated);
}

/* Who sees that there is something to settle calls the shared CPU and stands still; who does not see it goes on. */
static void a_vcpu_waits_until_it_is_settled(void **state)
{
	(void)state;
	user.platform.unsettled = true;
	exit_ends(1);
	assert_int_equal(kicks, 1);
	assert_true(!runs(1) && runs(2));
	apic_send_nmi(1);			/* whatever it is that calls */
	assert_false(runs(1));
	assert_true(dedicated_order(ORDER_WAIT));
	user.platform.unsettled = false;
	assert_false(runs(1) || runs(2));
	assert_true(dedicated_order(ORDER_RUN));
	assert_true(runs(1) && runs(2));
}

/* The order to run that ends a pause is not what it waits for; and the shared CPU was called. */
static void also_while_all_are_told_to_wait(void **state)
{
	(void)state;
	user.platform.unsettled = true;
	user.order = ORDER_WAIT;		/* whose NMI is on its way */
	exit_ends(1);
	assert_int_equal(kicks, 1);
	assert_true(dedicated_order(ORDER_WAIT));
	assert_true(dedicated_order(ORDER_RUN));
	assert_false(runs(1) || runs(2));
	user.platform.unsettled = false;
	assert_true(dedicated_order(ORDER_RUN));
	assert_true(runs(1) && runs(2));
}

static void who_stops_all_calls_the_shared_cpu(void **state)
{
	static const u32 orders[] = { ORDER_RUN, ORDER_WAIT, ORDER_LEAVE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		begin(state);
		user.order = orders[i];
		user.platform.reset_wanted = true;
		exit_ends(1);
		assert_int_equal(kicks, 1);
		assert_false(runs(1));
		/* no order but that to run is replaced */
		assert_int_equal(user.order, orders[i] == ORDER_RUN ? ORDER_WAIT : orders[i]);
		assert_true(runs(2) == (orders[i] != ORDER_RUN));
	}
	begin(state);
	cancelling = true;
	exit_ends(2);
	assert_int_equal(kicks, 1);
	assert_false(runs(1) || runs(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_obey, begin),
		cmocka_unit_test_setup(a_vcpu_waits_until_it_is_settled, begin),
		cmocka_unit_test_setup(also_while_all_are_told_to_wait, begin),
		cmocka_unit_test_setup(who_stops_all_calls_the_shared_cpu, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
