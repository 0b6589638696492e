// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole platform, wired as in a partition, under any stream of port accesses, interrupt cycles, events and time
 * steps. After each step: deadlines lie ahead, structures are sound, queues are bounded, the interrupt controller gave
 * no spurious vector while it announced a request.
 *
 * Input: 4 bytes a step: what, which port, value, how much time passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disguise/front/uart.h"
#include "vdev/i8042.h"
#include "vdev/pci.h"
#include "vdev/pic.h"
#include "vdev/pit.h"
#include "vdev/pmtimer.h"
#include "vdev/rtc.h"

#define TSC_KHZ	3000001u

#define CHECK(cond)	do { if (!(cond)) failed(#cond, __LINE__); } while (0)

enum op { READ, WRITE, READ_WORD, WRITE_WORD, READ_DWORD, WRITE_DWORD, TIME, ACK, CONFIG, LINE, UART, PLATFORM, OPS };

struct world {
	struct bus bus;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct pm pm;
	struct pci pci;
	struct i8042 i8042;
	struct uart uart;
	u64 now;
	bool intr;
	bool want_reset;
	u16 pm_base;
	u8 room;		/* what the serial port's back half takes at a time */
	u8 typed;
};

/* The ports of all devices, so that most steps hit something. */
static const u16 port_of[] = {
	0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x72, 0x73, 0x64, 0x92, 0xb2,
	0xb3, 0xcf8, 0xcf9, 0xcfb, 0xcfc, 0xcfd, 0xcfe, 0xcff, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff,
	0x600, 0x601, 0x602, 0x604, 0x605, 0x608, 0x60a, 0x60c, 0x63e, 0x80, 0xffff, 0x1f0, 0x60,
};

static void failed(const char *what, int line)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

static void on_irq(void *ctx, unsigned int irq, bool level)
{
	struct world *w = ctx;

	CHECK(irq < 16);
	pic_set_irq(&w->pic, irq, level);
}

static void on_intr(void *ctx, bool level)
{
	struct world *w = ctx;

	CHECK(level != w->intr);
	w->intr = level;
}

static void on_done(void *ctx, unsigned int irq)
{
	struct world *w = ctx;

	CHECK(irq < 16 && irq != 2);
	if (irq == PIT_IRQ)
		pit_irq_done(&w->pit);
	if (irq == RTC_IRQ)
		rtc_irq_done(&w->rtc);
}

static void on_reset(void *ctx)
{
	struct world *w = ctx;

	w->want_reset = true;
}

static void on_pm_base(void *ctx, u16 base)
{
	struct world *w = ctx;

	CHECK(!(base & 0x3f));
	if (w->pm_base)
		bus_unmap(&w->bus, pm_rows, PM_ROWS, &w->pm);
	w->pm_base = 0;
	if (base && bus_map(&w->bus, base, pm_rows, PM_ROWS, &w->pm))
		w->pm_base = base;
}

static void on_pam(void *ctx, u32 base, u32 size, u32 attr)
{
	(void)ctx;
	CHECK(base >= 0xc0000 && base + size <= 0x100000 && attr < 4);
}

static u32 put(void *ctx, const u8 *buf, u32 n)
{
	struct world *w = ctx;
	CHECK(n && buf >= w->uart.tx && buf + n <= w->uart.tx + UART_TX_SIZE);
	return n < w->room ? n : w->room;
}

static u32 get(void *ctx, u8 *buf, u32 n)
{
	struct world *w = ctx;
	u32 i;

	for (i = 0; i < n && w->typed; i++)
		buf[i] = w->typed--;
	return i;
}

static void build(struct world *w)
{
	const struct pic_ops pic_ops = { on_intr, on_done, w };
	const struct pm_ops pm_ops = { on_reset, on_reset, w };
	const struct pci_ops pci_ops = { on_pam, on_pm_base, NULL, on_reset, w };
	const struct uart_ring_ops ring = { put, get, w };
	const struct vdev_irq irq = { on_irq, w };
	const struct i8042_ops keyboard = { on_reset, w };

	w->room = 255;
	bus_init(&w->bus);
	pic_init(&w->pic, &pic_ops);
	pit_init(&w->pit, &irq, TSC_KHZ, w->now);
	rtc_init(&w->rtc, &irq, TSC_KHZ, 1700000000, w->now);
	pm_init(&w->pm, &irq, &pm_ops, TSC_KHZ, true, w->now);
	pci_init(&w->pci, &irq, &pci_ops, 0x600);
	uart_init(&w->uart, &irq, 4, &ring, TSC_KHZ);
	i8042_init(&w->i8042, &irq, &keyboard);
	CHECK(bus_map(&w->bus, 0, pic_rows, PIC_ROWS, &w->pic));
	CHECK(bus_map(&w->bus, 0, pit_rows, PIT_ROWS, &w->pit));
	CHECK(bus_map(&w->bus, 0, rtc_rows, RTC_ROWS, &w->rtc));
	CHECK(bus_map(&w->bus, 0, pm_port_rows, PM_PORT_ROWS, &w->pm));
	CHECK(bus_map(&w->bus, 0, i8042_rows, I8042_ROWS, &w->i8042));
	CHECK(bus_map(&w->bus, 0, pci_rows, PCI_ROWS, &w->pci));
	CHECK(bus_map(&w->bus, 0x3f8, uart_rows, UART_ROWS, &w->uart));
}

static void reset(struct world *w)
{
	w->want_reset = false;
	pic_reset(&w->pic);
	pit_reset(&w->pit, w->now);
	rtc_reset(&w->rtc, w->now);
	pm_reset(&w->pm, w->now);
	pci_reset(&w->pci, 0x600);
	uart_reset(&w->uart, w->now);
}

/* Log scale: a few ticks to a day. */
static void pass_time(struct world *w, u8 time)
{
	u64 ticks = (u64)(8 + (time & 7)) << (time >> 3) * 3 / 2;

	w->now += ticks;
	if (w->now > 1ull << 60)
		w->now = 1ull << 60;
}

static void advance(struct world *w)
{
	pit_advance(&w->pit, w->now);
	CHECK(pit_next_deadline(&w->pit, w->now) > w->now);
	rtc_advance(&w->rtc, w->now);
	CHECK(rtc_next_deadline(&w->rtc, w->now) > w->now);
	pm_advance(&w->pm, w->now);
	CHECK(pm_next_deadline(&w->pm, w->now) > w->now);
	uart_advance(&w->uart, w->now);
	CHECK(uart_next_deadline(&w->uart, w->now) > w->now);
}

static u64 next_deadline(const struct world *w)
{
	u64 next[4] = { pit_next_deadline(&w->pit, w->now), rtc_next_deadline(&w->rtc, w->now),
			pm_next_deadline(&w->pm, w->now), uart_next_deadline(&w->uart, w->now) };
	u64 first = CLOCK_NEVER;
	int i;

	for (i = 0; i < 4; i++)
		first = next[i] < first ? next[i] : first;
	return first;
}

/* The caller's timer, for a few deadlines; then a jump, as when the vCPU was off its CPU. */
static void run_timers(struct world *w, u8 time)
{
	u64 from = w->now, end;
	int i;

	pass_time(w, time);
	end = w->now;
	w->now = from;
	for (i = 0; i < 8 && next_deadline(w) <= end; i++) {
		if (next_deadline(w) > w->now)
			w->now = next_deadline(w);
		advance(w);
	}
	w->now = end;
	advance(w);
}

static void ack(struct world *w)
{
	bool pending = w->intr;
	u8 master = w->pic.chip[0].isr, slave = w->pic.chip[1].isr, vector = pic_ack(&w->pic);
	const struct pic_chip *chip = &w->pic.chip[0];

	CHECK((vector & 7) == (u8)(vector - chip->base) || (vector & 7) == (u8)(vector - chip[1].base));
	if (!pending)
		CHECK(w->pic.chip[0].isr == master && w->pic.chip[1].isr == slave);
	else if (!chip[0].auto_eoi && !chip[0].fully_nested)
		CHECK(chip[0].isr != master);
}

static void access_port(struct world *w, u8 op, u16 port, u32 value)
{
	unsigned int size = op < READ_WORD ? 1 : op < READ_DWORD ? 2 : 4;
	u64 got;

	if (op & 1) {
		bus_write(&w->bus, port, size, value, w->now);
		return;
	}
	got = bus_read(&w->bus, port, size, w->now);
	CHECK(!(got >> 8 * size));
	if (w->pm_base && port == w->pm_base + 8u && size == 4)
		CHECK(got == (clock_ticks(&w->pm.clock, w->now) & 0xffffff));
}

static void event(struct world *w, u8 op, u8 which, u8 value)
{
	switch (op) {
	case LINE:
		pic_set_irq(&w->pic, which % 20, value & 1);
		if (value & 2)
			pci_set_intx(&w->pci, which, value >> 2 & 7, value & 1);
		break;
	case UART:
		w->room = which & 4 ? value : w->room;
		w->typed = which & 8 ? value : w->typed;
		if (which & 1)
			uart_rx_ready(&w->uart, w->now);
		if (which & 2)
			uart_tx_ready(&w->uart, w->now);
		if (which & 16)
			uart_rx_break(&w->uart, w->now);
		if (which & 32)
			uart_set_modem(&w->uart, value);
		break;
	case CONFIG:
		bus_write(&w->bus, 0xcf8, 4, 0x80000000u | (which % 4 == 3 ? 0xb : which % 4 * 8) << 8 |
			  (value & 0xfc), w->now);
		break;
	default:
		if (which == 0)
			pm_power_button(&w->pm, w->now);
		else if (which == 1)
			rtc_set_time(&w->rtc, (s64)value << 24, w->now);
		else if (which == 2)
			w->want_reset = true;
		break;
	}
}

static void check_state(const struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->bus.count; i++)
		CHECK(!i || w->bus.slot[i - 1].first + w->bus.slot[i - 1].count <= w->bus.slot[i].first);
	for (i = 0; i < 3; i++) {
		const struct pit_channel *ch = &w->pit.channel[i];

		CHECK(ch->count >= 1 && ch->count <= 65536 && ch->next_count >= 1 && ch->next_count <= 65536);
		CHECK(ch->mode < 6 && ch->access && ch->latched <= 2);
	}
	CHECK(w->pit.backlog <= PIT_MAX_BACKLOG && (!w->pit.backlog || w->pit.unfinished));
	CHECK(w->rtc.backlog <= RTC_MAX_BACKLOG);
	CHECK(w->rtc.raised == ((w->rtc.ram[0x0c] & 0x80) != 0));
	CHECK(w->rtc.raised == ((w->rtc.ram[0x0b] & w->rtc.ram[0x0c] & 0x70) != 0));
	CHECK(w->uart.rx_count <= UART_FIFO_SIZE && w->uart.rx_marked <= w->uart.rx_count);
	CHECK(w->uart.tx_head - w->uart.tx_tail <= UART_TX_SIZE);
	CHECK(w->uart.tx_head == w->uart.tx_tail || w->uart.tx_flush_at != CLOCK_NEVER);
	CHECK(w->intr == pic_pending(&w->pic));
}

static void step(struct world *w, const u8 *in)
{
	u8 op = in[0] % OPS;

	if (op <= WRITE_DWORD)
		access_port(w, op, in[1] & 0x80 ? port_of[in[1] % 46] + w->pm_base - 0x600 :
			    port_of[in[1] % 46], in[2] * 0x01010101u + in[3]);
	else if (op == TIME)
		run_timers(w, in[3]);
	else if (op == ACK)
		ack(w);
	else
		event(w, op, in[1], in[2]);
	if (in[0] & 0x80)
		pass_time(w, in[3] & 0x7f);
	if (w->want_reset)
		reset(w);
	check_state(w);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	build(&w);
	for (; size >= 4; data += 4, size -= 4)
		step(&w, data);
	return 0;
}
