// SPDX-License-Identifier: GPL-2.0-only
/* 16550 front: what Linux's 8250 driver and Windows probe, interrupts, FIFOs, loopback, and when bytes cross. */
#include "vdev_unit.h"
#include "disguise/front/uart.h"

enum { RBR = 0x3f8, THR = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct uart uart;
static struct lines lines;
static u8 sent[65536], typed[65536];
static u32 nsent, crossings, room, ntyped, taken;

static u32 put(void *ctx, const u8 *buf, u32 n)
{
	u32 i;

	(void)ctx;
	crossings++;
	for (i = 0; i < n && nsent < room; i++)
		sent[nsent++] = buf[i];
	return i;
}

static u32 get(void *ctx, u8 *buf, u32 n)
{
	u32 i;

	(void)ctx;
	for (i = 0; i < n && taken < ntyped; i++)
		buf[i] = typed[taken++];
	return i;
}

static void start(void)
{
	static const struct uart_ring_ops ops = { put, get, NULL };
	struct vdev_irq irq = lines_irq(&lines);

	now = 1000 * SECOND;
	nsent = 0;
	crossings = 0;
	room = sizeof(sent);
	ntyped = 0;
	taken = 0;
	bus_init(&ports);
	uart_init(&uart, &irq, 4, &ops, TSC_KHZ);
	assert_true(bus_map(&ports, 0x3f8, uart_rows, UART_ROWS, &uart));
}

static void type(const char *text, u32 n)
{
	memcpy(typed + ntyped, text, n);
	ntyped += n;
	uart_rx_ready(&uart, now);
}

static void run(u64 ticks)
{
	u64 end = now + ticks;

	for (;;) {
		u64 next = uart_next_deadline(&uart, now);

		if (next > end)
			break;
		assert_true(next > now || next == now);
		now = next;
		uart_advance(&uart, now);
		assert_true(uart_next_deadline(&uart, now) > now);
	}
	now = end;
}

static void after_reset(void **state)
{
	(void)state;
	start();
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	assert_false(lines.level[4]);
	assert_true(uart_next_deadline(&uart, now) == CLOCK_NEVER);
}

/* Linux, 8250_port.c: autoconfig(), autoconfig_16550a(), size_fifo() decide that this is a 16550A and nothing else. */
static void linux_autoconfig(void **state)
{
	u8 mcr, msr;

	(void)state;
	start();
	out(IER, 0);
	assert_int_equal(in(IER) & 0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER) & 0x0f, 0x0f);
	out(IER, 0);
	mcr = in(MCR);
	out(MCR, 0x1a);
	msr = in(MSR) & 0xf0;
	out(MCR, mcr);
	assert_int_equal(msr, 0x90);
	out(LCR, 0xbf);
	out(IIR, 0);			/* EFR on others */
	out(LCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3);
	out(LCR, 0x80);
	assert_int_not_equal(in(IIR), 0);	/* no EFR of a 16650 */
	out(LCR, 0xbf);
	assert_int_not_equal(in(IIR), 0);
	out(LCR, 0);
	out(MCR, 0x10);
	out(LCR, 0xe0);
	assert_int_equal(in(IIR) & 0x10, 0);	/* no EXCR1 of a National chip */
	out(LCR, 0);
	out(MCR, 0);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);	/* no 64 byte FIFO of a 16750 */
	out(LCR, 0x80);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);
	out(LCR, 0);
	out(IER, 0x40);
	assert_int_equal(in(IER), 0);		/* no UUE of an XScale */
	out(FCR, 0);
	assert_int_equal(in(IIR) >> 6, 0);
}

/* serial8250_do_startup(): enabling THRI must interrupt every time, and IIR must say so. */
static void linux_thre_tests(void **state)
{
	int i;

	(void)state;
	start();
	out(MCR, 0x0b);
	for (i = 0; i < 3; i++) {
		out(IER, 0x02);
		assert_true(lines.level[4]);
		assert_int_equal(in(LSR) & 0x40, 0x40);
		assert_int_equal(in(IIR) & 0x0f, 0x02);
		assert_false(lines.level[4]);
		assert_int_equal(in(IIR) & 0x0f, 0x01);	/* reading it cleared it */
		out(IER, 0);
	}
	out(IER, 0x02);
	in(IIR);
	out(IER, 0x02);				/* no change: no interrupt */
	assert_false(lines.level[4]);
	out(THR, 'a');				/* sent at once: empty again */
	assert_true(lines.level[4]);
	assert_int_equal(in(IIR), 0x02);
}

/* Windows' serial driver: scratch, divisor latch behind DLAB, modem control in loopback. */
static void windows_probe(void **state)
{
	u32 i;

	(void)state;
	start();
	for (i = 0; i < 256; i++) {
		out(SCR, (u8)i);
		assert_int_equal(in(SCR), i);
	}
	out(IER, 0x05);
	out(LCR, 0x83);
	out(RBR, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(RBR), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0x05);
	assert_int_equal(in(RBR), 0);
	assert_int_equal(nsent, 0);
	for (i = 0; i < 16; i++) {
		out(MCR, (u8)(0x10 | i));
		assert_int_equal(in(MSR) >> 4, (i & 2) >> 1 | (i & 1) << 1 | (i & 4) | (i & 8));
	}
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
}

static void interrupt_goes_through_out2(void **state)
{
	(void)state;
	start();
	out(IER, 0x02);
	assert_int_equal(uart.thre_irq, true);
	assert_false(lines.level[4]);
	out(MCR, 0x08);
	assert_true(lines.level[4]);
	out(MCR, 0x00);
	assert_false(lines.level[4]);
}

static void interrupt_priorities(void **state)
{
	(void)state;
	start();
	out(MCR, 0x08);
	out(FCR, 0x01);
	out(IER, 0x0f);
	in(IIR);
	uart_set_modem(&uart, 0xa0);	/* CTS falls */
	out(THR, 'x');
	type("a", 1);
	uart_rx_break(&uart, now);
	in(RBR);			/* the break is at the top of the FIFO now */
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR) & 0x91, 0x91);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(RBR), 0);
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(IIR), 0xc0);
	assert_true(lines.level[4]);
	assert_int_equal(in(MSR), 0xa1);
	assert_int_equal(in(IIR), 0xc1);
	assert_false(lines.level[4]);
	assert_int_equal(in(MSR), 0xa0);
}

static void modem_changes(void **state)
{
	(void)state;
	start();
	uart_set_modem(&uart, 0x00);
	assert_int_equal(in(MSR), 0x0b);
	uart_set_modem(&uart, 0x40);
	assert_int_equal(in(MSR), 0x40);	/* RI: only its fall counts */
	uart_set_modem(&uart, 0xb0);
	assert_int_equal(in(MSR), 0xbf);
	assert_int_equal(in(MSR), 0xb0);
}

static void trigger_levels(void **state)
{
	static const u8 level[4] = { 1, 4, 8, 14 };
	u32 i, n;

	(void)state;
	for (i = 0; i < 4; i++)
		for (n = 1; n <= 16; n++) {
			start();
			out(FCR, (u8)(0x01 | i << 6));
			out(IER, 0x01);
			type("0123456789abcdef", n);
			assert_int_equal(in(IIR), n >= level[i] ? 0xc4 : 0xc1);
		}
}

/* Fewer bytes than the trigger level: reported after four byte times. */
static void character_timeout(void **state)
{
	u64 four = SECOND * 40 / 115200;

	(void)state;
	start();
	out(LCR, 0x83);
	out(THR, 1);
	out(IER, 0);
	out(LCR, 0x03);
	out(FCR, 0x81);
	out(IER, 0x01);
	out(MCR, 0x08);
	type("ab", 2);
	run(four - 10);
	assert_int_equal(in(IIR), 0xc1);
	run(20);
	assert_int_equal(in(IIR), 0xcc);
	assert_true(lines.level[4]);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(IIR), 0xc1);	/* a read restarts it */
	assert_false(lines.level[4]);
	run(four + 10);
	assert_int_equal(in(IIR), 0xcc);
	assert_int_equal(in(RBR), 'b');
	run(SECOND);
	assert_int_equal(in(IIR), 0xc1);
}

static void without_fifo(void **state)
{
	(void)state;
	start();
	out(IER, 0x01);
	type("xyz", 3);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'x');
	assert_int_equal(in(RBR), 'y');
	assert_int_equal(in(RBR), 'z');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
}

/* Nothing is lost, however long the text and however small the FIFO. */
static void long_input(void **state)
{
	static char text[5000];
	u32 i;

	(void)state;
	start();
	out(FCR, 0x01);
	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	type(text, sizeof(text));
	for (i = 0; i < sizeof(text); i++) {
		assert_int_equal(in(LSR) & 0x83, 0x01);
		assert_int_equal(in(RBR), (u8)text[i]);
	}
	assert_int_equal(in(LSR), 0x60);
}

static void loopback(void **state)
{
	u32 i;

	(void)state;
	start();
	out(LCR, 0x03);
	out(MCR, 0x10);
	out(FCR, 0x07);
	in(MSR);
	for (i = 0; i < 16; i++)
		out(THR, (u8)(0x80 + i));
	assert_int_equal(in(LSR), 0x61);
	out(THR, 0xff);				/* one too many: overrun, the FIFO is kept */
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	type("outside", 7);			/* the line is cut */
	for (i = 0; i < 16; i++)
		assert_int_equal(in(RBR), 0x80 + i);
	assert_int_equal(in(LSR), 0x60);
	out(LCR, 0x00);				/* five bits */
	out(THR, 0xff);
	assert_int_equal(in(RBR), 0x1f);
	out(LCR, 0x43);				/* break */
	assert_int_equal(in(LSR), 0xf1);
	assert_int_equal(in(RBR), 0);
	assert_int_equal(nsent + uart.tx_head, 0);
	out(MCR, 0);
	assert_int_equal(in(RBR), 'o');
	out(FCR, 0);
	out(MCR, 0x10);
	out(THR, 'a');
	out(THR, 'b');				/* without FIFO the newer byte wins */
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(RBR), 'b');
}

static void fifo_clear(void **state)
{
	(void)state;
	start();
	out(FCR, 0x01);
	type("0123456789abcdef", 16);
	uart_rx_break(&uart, now);		/* no room: overrun */
	assert_int_equal(in(LSR) & 0x9f, 0x03);
	out(FCR, 0x03);
	uart_rx_break(&uart, now);
	type("0123456789abcdef", 16);		/* waits outside while the FIFO holds the break */
	out(MCR, 0x10);
	for (taken = 0; taken < 16; taken++)
		out(THR, 'l');
	assert_int_equal(in(LSR) & 0x9f, 0x93);	/* overrun does not hide the break */
	out(MCR, 0);
	taken = ntyped;
	out(FCR, 0x03);
	assert_int_equal(in(LSR), 0x60);
	type("x", 1);
	out(FCR, 0x00);				/* toggling the enable bit clears as well */
	assert_int_equal(in(LSR), 0x60);
	out(FCR, 0xc6);				/* without enable nothing else is taken */
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(uart.fcr, 0);
}

static void bytes_cross_in_bulk(void **state)
{
	u32 i;

	(void)state;
	start();
	out(LCR, 0x03);
	for (i = 0; i < 80; i++)
		out(THR, (u8)i);
	assert_int_equal(nsent, 0);
	run(MS - 1);
	assert_int_equal(nsent, 0);
	run(1);
	assert_int_equal(nsent, 80);
	assert_int_equal(crossings, 1);
	for (i = 0; i < 10000; i++) {
		assert_int_equal(in(LSR) & 0x60, 0x60);
		out(THR, (u8)i);
	}
	assert_in_range(crossings, 1 + 10000 / 512, 1 + 10000 / 512 * 2);	/* a wrap takes two */
	uart_flush(&uart, now);
	assert_int_equal(nsent, 10080);
	for (i = 0; i < 10000; i++)
		assert_int_equal(sent[80 + i], (u8)i);
	assert_true(uart_next_deadline(&uart, now) == CLOCK_NEVER);
}

/* A back half that takes nothing: THRE goes down in time, the guest's polling waits, nothing is lost. */
static void back_half_is_slow(void **state)
{
	u32 i, n = 0;

	(void)state;
	start();
	out(LCR, 0x03);
	out(MCR, 0x08);
	room = 100;
	while (in(LSR) & 0x20)
		for (i = 0; i < 16; i++)	/* as a driver does after THRE */
			out(THR, (u8)n++);
	assert_in_range(n, 1024 - 16 + 100, 1024 + 100);
	assert_int_equal(in(LSR) & 0x60, 0);
	assert_int_equal(nsent, 100);
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x01);
	run(10 * MS);
	assert_in_range(crossings, 2, 14);
	room = 200;
	uart_tx_ready(&uart, now);
	assert_int_equal(in(LSR) & 0x60, 0x60);
	assert_true(lines.level[4]);		/* there is room again */
	room = sizeof(sent);
	run(2 * MS);
	assert_int_equal(nsent, n);
	for (i = 0; i < n; i++)
		assert_int_equal(sent[i], (u8)i);
}

static void crosses_at_half(void **state)
{
	u32 i;

	(void)state;
	start();
	out(LCR, 0x03);
	for (i = 0; i < UART_TX_SIZE / 2 - 1; i++)
		out(THR, 'x');
	assert_int_equal(crossings, 0);
	out(THR, 'x');
	assert_int_equal(crossings, 1);
	assert_int_equal(nsent, UART_TX_SIZE / 2);
	out(THR, 'y');
	out(FCR, 0x01);
	type("a", 1);			/* of two deadlines the earlier one */
	out(IER, 0x01);
	run(MS - 1);
	assert_int_equal(nsent, UART_TX_SIZE / 2);
	run(1);
	assert_int_equal(nsent, UART_TX_SIZE / 2 + 1);
	out(IER, 0x02);
	in(IIR);
	uart_flush(&uart, now);		/* the transmitter was ready all the time: nothing new */
	assert_int_equal(in(IIR), 0xc1);
}

static void reset_lets_the_last_words_out(void **state)
{
	(void)state;
	start();
	out(LCR, 0x03);
	out(THR, '!');
	out(IER, 0x0f);
	uart_reset(&uart, now);
	assert_int_equal(nsent, 1);
	assert_int_equal(in(IER), 0);
	assert_false(uart.thre_irq);
	assert_false(lines.level[4]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_reset), cmocka_unit_test(linux_autoconfig), cmocka_unit_test(linux_thre_tests),
		cmocka_unit_test(windows_probe), cmocka_unit_test(interrupt_goes_through_out2),
		cmocka_unit_test(interrupt_priorities), cmocka_unit_test(modem_changes),
		cmocka_unit_test(trigger_levels), cmocka_unit_test(character_timeout), cmocka_unit_test(without_fifo),
		cmocka_unit_test(long_input), cmocka_unit_test(loopback), cmocka_unit_test(fifo_clear),
		cmocka_unit_test(bytes_cross_in_bulk), cmocka_unit_test(back_half_is_slow),
		cmocka_unit_test(crosses_at_half),
		cmocka_unit_test(reset_lets_the_last_words_out),
	};

	return cmocka_run_group_tests_name("uart", tests, NULL, NULL);
}
