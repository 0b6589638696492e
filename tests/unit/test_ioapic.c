// SPDX-License-Identifier: GPL-2.0-only
/* I/O APIC: 82093AA data sheet, chapter 3, together with local APICs that take its messages. */
#include "unit.h"
#include "lapics.h"
#include "vdev/ioapic.h"

static struct lapics all;
static struct ioapic ioapic;
static struct bus bus;
static u32 acks[IOAPIC_PINS];
static bool lower_at_ack;

static void ack(void *ctx, u32 pin)
{
	(void)ctx;
	acks[pin]++;
	if (lower_at_ack)
		ioapic_set_line(&ioapic, pin, false);
}

static void init(bool has_eoi_register, u32 watched)
{
	const struct ioapic_config config = {
		.bus = &all.bus, .id = 4, .has_eoi_register = has_eoi_register, .watched = watched, .ack = ack,
	};

	lapics_init(&all, 4);
	lapics_enable(&all);
	memset(acks, 0, sizeof(acks));
	lower_at_ack = false;
	ioapic_init(&ioapic, &config);
	bus_init(&bus);
	assert_true(bus_map(&bus, IOAPIC_BASE, ioapic_rows, IOAPIC_ROWS, &ioapic));
}

static int start(void **state)
{
	(void)state;
	init(false, 0);
	return 0;
}

static u32 read_index(u8 index)
{
	bus_write(&bus, IOAPIC_BASE, 4, index, 0);
	return (u32)bus_read(&bus, IOAPIC_BASE + 0x10, 4, 0);
}

static void write_index(u8 index, u32 value)
{
	bus_write(&bus, IOAPIC_BASE, 4, index, 0);
	bus_write(&bus, IOAPIC_BASE + 0x10, 4, value, 0);
}

static void program(u32 pin, u32 low, u8 dest)
{
	write_index((u8)(0x11 + 2 * pin), (u32)dest << 24);
	write_index((u8)(0x10 + 2 * pin), low);
}

/* The vCPU takes what is pending and finishes it; its vector or LAPIC_NONE. */
static int serve(u32 vcpu)
{
	int vector = lapic_pending(&all.lapic[vcpu]);

	if (vector < 0)
		return vector;
	lapic_accept(&all.lapic[vcpu], (u8)vector);
	all.eois = 0;
	put(&all, vcpu, LAPIC_EOI, 0);
	if (all.eois)
		ioapic_eoi(&ioapic, all.eoi[0]);
	return vector;
}

static void registers(void **state)
{
	u32 pin;

	(void)state;
	assert_int_equal(read_index(0), 4 << 24);
	assert_int_equal(read_index(1), 0x00170011);
	assert_int_equal(read_index(2), 4 << 24);
	write_index(0, 0xffffffff);
	write_index(1, 0xffffffff);
	assert_int_equal(read_index(0), 0x0f000000);
	assert_int_equal(read_index(1), 0x00170011);
	for (pin = 0; pin < 24; pin++) {
		assert_int_equal(read_index((u8)(0x10 + 2 * pin)), 0x10000);
		assert_int_equal(read_index((u8)(0x11 + 2 * pin)), 0);
		write_index((u8)(0x10 + 2 * pin), 0xffffffff);
		write_index((u8)(0x11 + 2 * pin), 0xffffffff);
		assert_int_equal(read_index((u8)(0x10 + 2 * pin)), 0x1afff);
		assert_int_equal(read_index((u8)(0x11 + 2 * pin)), 0xff000000);
	}
	write_index(0x40, 0xffffffff);
	write_index(0xff, 0xffffffff);
	assert_int_equal(read_index(0x40), 0);
	assert_int_equal(read_index(0xff), 0);
	assert_int_equal(bus_read(&bus, IOAPIC_BASE, 1, 0), 0xff);
	ioapic_reset(&ioapic);
	assert_int_equal(read_index(0), 4 << 24);
	assert_int_equal(read_index(0x10 + 46), 0x10000);
}

static void edges(void **state)
{
	(void)state;
	program(5, 0x35, 1);
	assert_int_equal(ioapic_set_line(&ioapic, 5, true), LAPIC_ACCEPTED);
	assert_int_equal(ioapic_set_line(&ioapic, 5, true), LAPIC_IGNORED);	/* not a new edge */
	ioapic_set_line(&ioapic, 5, false);
	assert_int_equal(ioapic_set_line(&ioapic, 5, true), LAPIC_COALESCED);
	assert_int_equal(serve(0), LAPIC_NONE);
	assert_int_equal(serve(1), 0x35);
	assert_int_equal(serve(1), LAPIC_NONE);
	assert_int_equal(all.eois, 0);
	program(5, 0x10035, 1);				/* masked: lost */
	ioapic_set_line(&ioapic, 5, false);
	assert_int_equal(ioapic_set_line(&ioapic, 5, true), LAPIC_IGNORED);
	program(5, 0x35, 1);
	assert_int_equal(serve(1), LAPIC_NONE);
	assert_int_equal(ioapic_set_line(&ioapic, 24, true), LAPIC_IGNORED);
	assert_int_equal(ioapic_set_line(&ioapic, ~0u, true), LAPIC_IGNORED);
}

static void levels(void **state)
{
	(void)state;
	program(16, 0x1a040, 0);			/* level, active low, masked */
	ioapic_set_line(&ioapic, 16, true);
	assert_int_equal(serve(0), LAPIC_NONE);
	program(16, 0xa040, 0);				/* a level outlasts the mask */
	assert_int_equal(read_index(0x30), 0xe040);
	ioapic_set_line(&ioapic, 16, true);
	assert_int_equal(all.events, 1);		/* in service: not sent again */
	assert_int_equal(serve(0), 0x40);
	assert_int_equal(read_index(0x30), 0xe040);	/* asserted after the EOI: sent again */
	ioapic_set_line(&ioapic, 16, false);
	assert_int_equal(serve(0), 0x40);
	assert_int_equal(read_index(0x30), 0xa040);
	assert_int_equal(serve(0), LAPIC_NONE);
	ioapic_set_line(&ioapic, 16, true);
	program(16, 0x1a040, 0);			/* masking what was accepted changes nothing */
	assert_int_equal(read_index(0x30), 0x1e040);
	assert_int_equal(serve(0), 0x40);
	assert_int_equal(read_index(0x30), 0x1a040);
	assert_int_equal(serve(0), LAPIC_NONE);
}

static void not_sent_again_before_the_eoi(void **state)
{
	(void)state;
	program(16, 0x8040, 0);
	ioapic_set_line(&ioapic, 16, true);
	lapic_accept(&all.lapic[0], (u8)lapic_pending(&all.lapic[0]));
	ioapic_set_line(&ioapic, 16, false);
	ioapic_set_line(&ioapic, 16, true);
	assert_int_equal(get(&all, 0, LAPIC_IRR + 0x20), 0);
	put(&all, 0, LAPIC_EOI, 0);
	ioapic_eoi(&ioapic, all.eoi[0]);
	assert_int_equal(lapic_pending(&all.lapic[0]), 0x40);
}

/* Linux's way to send an EOI for one pin of version 0x11: to edge, masked, and back. */
static void switching_to_edge_ends_service(void **state)
{
	(void)state;
	program(16, 0x8040, 0);
	ioapic_set_line(&ioapic, 16, true);
	ioapic_set_line(&ioapic, 16, false);
	assert_int_equal(read_index(0x30), 0xc040);
	write_index(0x30, 0x10040);
	assert_int_equal(read_index(0x30), 0x10040);
	write_index(0x30, 0x8040);
	assert_int_equal(read_index(0x30), 0x8040);
}

static void shared_vectors(void **state)
{
	(void)state;
	program(16, 0x8040, 0);
	program(17, 0x8040, 0);
	program(18, 0x8041, 0);
	ioapic_set_line(&ioapic, 16, true);
	ioapic_set_line(&ioapic, 17, true);
	ioapic_set_line(&ioapic, 18, true);
	lapic_pending(&all.lapic[0]);
	ioapic_set_line(&ioapic, 16, false);
	ioapic_eoi(&ioapic, 0x40);			/* both pins' */
	assert_int_equal(read_index(0x30), 0x8040);
	assert_int_equal(read_index(0x32), 0xc040);
	assert_int_equal(read_index(0x34), 0xc041);
}

static void eoi_register(void **state)
{
	(void)state;
	program(16, 0x8040, 0);
	ioapic_set_line(&ioapic, 16, true);
	ioapic_set_line(&ioapic, 16, false);
	bus_write(&bus, IOAPIC_BASE + 0x40, 4, 0x40, 0);
	assert_int_equal(read_index(0x30), 0xc040);	/* version 0x11 has none */
	init(true, 0);
	assert_int_equal(read_index(1), 0x00170020);
	program(16, 0x8040, 0);
	ioapic_set_line(&ioapic, 16, true);
	ioapic_set_line(&ioapic, 16, false);
	put(&all, 0, LAPIC_SVR, 0x11ff);		/* the local APIC does not broadcast */
	assert_int_equal(serve(0), 0x40);
	assert_int_equal(read_index(0x30), 0xc040);
	bus_write(&bus, IOAPIC_BASE + 0x40, 4, 0x41, 0);
	assert_int_equal(read_index(0x30), 0xc040);
	bus_write(&bus, IOAPIC_BASE + 0x40, 4, 0x40, 0);
	assert_int_equal(read_index(0x30), 0x8040);
}

static void delivery_modes(void **state)
{
	static const u32 modes[] = { LAPIC_NMI, LAPIC_INIT, LAPIC_EXTINT };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		all.events = 0;
		program(0, modes[i] << 8 | 0x30, 3);
		ioapic_set_line(&ioapic, 0, true);
		ioapic_set_line(&ioapic, 0, false);
		assert_int_equal(all.events, 1);
		assert_int_equal(all.event[0].vcpu, 3);
		assert_int_equal(all.event[0].mode, modes[i]);
	}
	all.events = 0;
	program(0, 0x8430, 3);				/* a level NMI is taken as an edge */
	ioapic_set_line(&ioapic, 0, true);
	assert_int_equal(all.events, 1);
	assert_int_equal(read_index(0x10), 0x8430);
	program(1, 0x930, 0x0e);			/* lowest priority, logical */
	put(&all, 1, LAPIC_TPR, 0x20);
	put(&all, 3, LAPIC_TPR, 0x20);
	ioapic_set_line(&ioapic, 1, true);
	assert_int_equal(serve(2), 0x30);
	program(1, 0x30, 0xff);				/* physical broadcast */
	ioapic_set_line(&ioapic, 1, false);
	ioapic_set_line(&ioapic, 1, true);
	for (i = 0; i < 4; i++)
		assert_int_equal(serve(i), 0x30);
}

/* A level that no local APIC takes is not in service, and is sent when one does. */
static void nobody_takes_it(void **state)
{
	(void)state;
	program(16, 0x8040, 9);
	assert_int_equal(ioapic_set_line(&ioapic, 16, true), LAPIC_IGNORED);
	assert_int_equal(read_index(0x30), 0x8040);
	program(16, 0x8040, 1);
	assert_int_equal(serve(1), 0x40);
}

/* A line that falls by the acknowledgement has said all: the guest gets no second interrupt. */
static void watched_levels(void **state)
{
	(void)state;
	init(false, 1 << 11);
	program(11, 0x8041, 0);
	ioapic_set_line(&ioapic, 11, true);
	assert_int_equal(serve(0), 0x41);
	assert_int_equal(acks[11], 1);
	assert_int_equal(serve(0), 0x41);		/* still up */
	lower_at_ack = true;
	assert_int_equal(serve(0), 0x41);
	assert_int_equal(serve(0), LAPIC_NONE);
	assert_int_equal(acks[11], 3);
}

static void watched_edges(void **state)
{
	(void)state;
	init(false, 1 << 2);
	program(2, 0x30, 0);
	program(3, 0x31, 0);
	ioapic_set_line(&ioapic, 2, true);
	ioapic_set_line(&ioapic, 3, true);
	assert_int_equal(serve(0), 0x31);
	assert_int_equal(serve(0), 0x30);
	assert_int_equal(acks[2], 1);
	assert_int_equal(acks[3], 0);
	assert_int_equal(serve(0), LAPIC_NONE);
	assert_int_equal(ioapic_isa_pin(0), 2);
	assert_int_equal(ioapic_isa_pin(8), 8);
}

/* A level is never lost and never comes twice: against a model of what the guest has to see. */
static void random_levels(void **state)
{
	u64 seed = 5;
	bool line = false, in_service = false, masked = false;
	u32 i;

	(void)state;
	program(16, 0x8040, 0);
	for (i = 0; i < 100000; i++) {
		switch (random_below(&seed, 3)) {
		case 0:
			line = random_below(&seed, 2);
			ioapic_set_line(&ioapic, 16, line);
			break;
		case 1:
			masked = random_below(&seed, 2);
			write_index(0x30, masked ? 0x18040 : 0x8040);
			break;
		default:
			assert_int_equal(serve(0), in_service ? 0x40 : LAPIC_NONE);
			in_service = false;
		}
		in_service |= line && !masked;
		assert_int_equal(read_index(0x30) >> 14 & 1, in_service);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers, start),
		cmocka_unit_test_setup(edges, start),
		cmocka_unit_test_setup(levels, start),
		cmocka_unit_test_setup(not_sent_again_before_the_eoi, start),
		cmocka_unit_test_setup(switching_to_edge_ends_service, start),
		cmocka_unit_test_setup(shared_vectors, start),
		cmocka_unit_test_setup(eoi_register, start),
		cmocka_unit_test_setup(delivery_modes, start),
		cmocka_unit_test_setup(nobody_takes_it, start),
		cmocka_unit_test_setup(watched_levels, start),
		cmocka_unit_test_setup(watched_edges, start),
		cmocka_unit_test_setup(random_levels, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
