// SPDX-License-Identifier: GPL-2.0-only
/* 16550 UART, front half; see uart.h. Names follow National's PC16550D data sheet. */
#include "uart.h"

#define IER_RX		0x01
#define IER_THRE	0x02
#define IER_LINE	0x04
#define IER_MODEM	0x08

#define IIR_NONE	0x01
#define IIR_LINE	0x06
#define IIR_RX		0x04
#define IIR_TIMEOUT	0x0c
#define IIR_THRE	0x02
#define IIR_MODEM	0x00
#define IIR_FIFO	0xc0

#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define FCR_CLEAR	0x06	/* bits that clear themselves */
#define FCR_TRIGGER	6

#define LCR_BITS	0x03	/* 5 + n bits a byte */
#define LCR_STOP	0x04
#define LCR_PARITY	0x08
#define LCR_BREAK	0x40
#define LCR_DLAB	0x80

#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_WRITABLE	0x1f

#define LSR_DR		0x01
#define LSR_OE		0x02
#define LSR_BI		0x10
#define LSR_MARKS	0x1c	/* PE, FE, BI: go with a byte */
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define LSR_FIFO_ERROR	0x80

#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80
#define MSR_LINES	0xf0
#define MSR_CHANGES	0x0f
#define MSR_TERI	0x04	/* set only when RI falls */

#define CLOCK_KHZ_X10	18432u	/* 1.8432 MHz */
#define DIVISOR_9600	12

static bool uart_fifo(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE;
}

static u32 rx_size(const struct uart *uart)
{
	return uart_fifo(uart) ? UART_FIFO_SIZE : 1;
}

static u32 rx_trigger(const struct uart *uart)
{
	static const u8 level[4] = { 1, 4, 8, 14 };

	return uart_fifo(uart) ? level[uart->fcr >> FCR_TRIGGER] : 1;
}

/* A driver that sees THRE writes a FIFO full without looking again. */
static bool tx_ready(const struct uart *uart)
{
	return UART_TX_SIZE - (uart->tx_head - uart->tx_tail) >= UART_FIFO_SIZE;
}

/* The four interrupt sources in the order of their priority. */
static u8 uart_iir(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && uart->errors)
		return IIR_LINE;
	if ((uart->ier & IER_RX) && uart->rx_count >= rx_trigger(uart))
		return IIR_RX;
	if ((uart->ier & IER_RX) && uart->rx_timeout)
		return IIR_TIMEOUT;
	if ((uart->ier & IER_THRE) && uart->thre_irq)
		return IIR_THRE;
	if ((uart->ier & IER_MODEM) && (uart->msr & MSR_CHANGES))
		return IIR_MODEM;
	return IIR_NONE;
}

static void uart_update_irq(struct uart *uart)
{
	bool level = (uart->mcr & MCR_OUT2) && uart_iir(uart) != IIR_NONE;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	vdev_set_irq(&uart->irq, uart->irq_line, level);
}

/* Four byte times of 16 clocks a bit: after these the receiver reports what lies below the trigger level. */
static u64 rx_timeout_ticks(const struct uart *uart)
{
	u32 divisor = uart->divisor ? uart->divisor : 0x10000;
	u32 bits = 7 + (uart->lcr & LCR_BITS) + !!(uart->lcr & LCR_STOP) + !!(uart->lcr & LCR_PARITY);

	return (u64)uart->tsc_khz * 10 * 16 * divisor * bits * 4 / CLOCK_KHZ_X10;
}

static void rx_restart_timeout(struct uart *uart, u64 now)
{
	uart->rx_timeout = false;
	uart->rx_timeout_at = uart_fifo(uart) && uart->rx_count ? now + rx_timeout_ticks(uart) : CLOCK_NEVER;
}

/* The first byte's marks show in LSR, once. */
static void rx_show_marks(struct uart *uart)
{
	u8 *mark = &uart->rx_mark[uart->rx_first];

	if (!uart->rx_count || !*mark)
		return;
	uart->errors |= *mark;
	*mark = 0;
	uart->rx_marked--;
}

static void rx_push(struct uart *uart, u8 byte, u8 mark)
{
	u32 at = (uart->rx_first + uart->rx_count) % UART_FIFO_SIZE;

	if (uart->rx_count >= rx_size(uart)) {
		uart->errors |= LSR_OE;
		if (!uart_fifo(uart))	/* without FIFO the new byte replaces the old one */
			uart->rx[uart->rx_first] = byte;
		return;
	}
	uart->rx[at] = byte;
	uart->rx_mark[at] = mark;
	uart->rx_marked += mark != 0;
	uart->rx_count++;
	rx_show_marks(uart);
}

static void rx_clear(struct uart *uart)
{
	uart->rx_first = 0;
	uart->rx_count = 0;
	uart->rx_marked = 0;
	uart->rx_timeout = false;
	uart->rx_timeout_at = CLOCK_NEVER;
}

/* Fetches from the back half what the empty FIFO holds. In loopback the line is cut. */
static void rx_fill(struct uart *uart, u64 now)
{
	u8 buf[UART_FIFO_SIZE];
	u32 n, i;

	if (!uart->rx_more || uart->rx_count || (uart->mcr & MCR_LOOP))
		return;
	n = uart->ring.get(uart->ring.ctx, buf, rx_size(uart));
	uart->rx_more = n != 0;
	for (i = 0; i < n && i < rx_size(uart); i++)
		rx_push(uart, buf[i], 0);
	rx_restart_timeout(uart, now);
}

static void tx_cross(struct uart *uart, u64 now)
{
	bool was_ready = tx_ready(uart);

	uart->tx_blocked = false;
	while (uart->tx_head != uart->tx_tail && !uart->tx_blocked) {	/* twice when the buffer wraps */
		u32 at = uart->tx_tail % UART_TX_SIZE, n = uart->tx_head - uart->tx_tail, taken;

		if (n > UART_TX_SIZE - at)
			n = UART_TX_SIZE - at;
		taken = uart->ring.put(uart->ring.ctx, uart->tx + at, n);
		uart->tx_tail += taken < n ? taken : n;
		uart->tx_blocked = taken < n;
	}
	uart->tx_flush_at = uart->tx_blocked ? now + uart->tsc_khz : CLOCK_NEVER;
	if (!was_ready && tx_ready(uart))
		uart->thre_irq = true;
}

static void tx_push(struct uart *uart, u8 byte, u64 now)
{
	u32 count = uart->tx_head - uart->tx_tail;

	if (count == UART_TX_SIZE)
		return;
	if (!count)
		uart->tx_flush_at = now + uart->tsc_khz;
	uart->tx[uart->tx_head++ % UART_TX_SIZE] = byte;
	if (count + 1 >= UART_TX_SIZE / 2 && !uart->tx_blocked)
		tx_cross(uart, now);
}

/* In loopback the modem control outputs are the modem status inputs. */
static u8 uart_lines(const struct uart *uart)
{
	u8 lines = 0;

	if (!(uart->mcr & MCR_LOOP))
		return uart->modem;
	if (uart->mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

static void uart_update_modem(struct uart *uart)
{
	u8 lines = uart_lines(uart), changes = (u8)((lines ^ uart->msr) & MSR_LINES) >> 4;

	if (lines & MSR_RI)
		changes &= (u8)~MSR_TERI;
	uart->msr = lines | (uart->msr & MSR_CHANGES) | changes;
}

static u8 data_read(struct uart *uart, u64 now)
{
	u8 byte;

	if (uart->lcr & LCR_DLAB)
		return (u8)uart->divisor;
	if (!uart->rx_count)
		return 0;
	byte = uart->rx[uart->rx_first];
	uart->rx_first = (u8)((uart->rx_first + 1) % UART_FIFO_SIZE);
	uart->rx_count--;
	rx_show_marks(uart);
	rx_restart_timeout(uart, now);
	rx_fill(uart, now);
	return byte;
}

static void data_write(struct uart *uart, u8 value, u64 now)
{
	u8 byte = value & (u8)(0xff >> (3 - (uart->lcr & LCR_BITS)));

	if (uart->lcr & LCR_DLAB) {
		uart->divisor = (uart->divisor & 0xff00) | value;
		return;
	}
	if (uart->mcr & MCR_LOOP) {
		rx_push(uart, byte, 0);
		rx_restart_timeout(uart, now);
	} else {
		tx_push(uart, byte, now);
	}
	uart->thre_irq = tx_ready(uart);
}

static u8 ier_read(struct uart *uart, u64 now)
{
	(void)now;
	return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
}

static void ier_write(struct uart *uart, u8 value, u64 now)
{
	(void)now;
	if (uart->lcr & LCR_DLAB) {
		uart->divisor = (u16)((uart->divisor & 0xff) | value << 8);
		return;
	}
	if ((value & IER_THRE) && !(uart->ier & IER_THRE) && tx_ready(uart))
		uart->thre_irq = true;	/* enabling it while the transmitter is empty interrupts */
	uart->ier = value & (IER_RX | IER_THRE | IER_LINE | IER_MODEM);
}

static u8 iir_read(struct uart *uart, u64 now)
{
	u8 iir = uart_iir(uart);

	(void)now;
	if (iir == IIR_THRE)
		uart->thre_irq = false;
	return iir | (uart_fifo(uart) ? IIR_FIFO : 0);
}

static void fcr_write(struct uart *uart, u8 value, u64 now)
{
	bool toggled = (value ^ uart->fcr) & FCR_ENABLE;

	/* Bytes to send are not taken back: on a real line they would be gone already. */
	if (toggled || (value & FCR_CLEAR_RX && value & FCR_ENABLE))
		rx_clear(uart);
	uart->fcr = value & FCR_ENABLE ? value & (u8)~FCR_CLEAR : 0;
	rx_fill(uart, now);
}

static u8 lcr_read(struct uart *uart, u64 now)
{
	(void)now;
	return uart->lcr;
}

static void lcr_write(struct uart *uart, u8 value, u64 now)
{
	bool breaks = (value & LCR_BREAK) && !(uart->lcr & LCR_BREAK);

	uart->lcr = value;
	if (!breaks || !(uart->mcr & MCR_LOOP))
		return;
	rx_push(uart, 0, LSR_BI);
	rx_restart_timeout(uart, now);
}

static u8 mcr_read(struct uart *uart, u64 now)
{
	(void)now;
	return uart->mcr;
}

static void mcr_write(struct uart *uart, u8 value, u64 now)
{
	uart->mcr = value & MCR_WRITABLE;
	uart_update_modem(uart);
	rx_fill(uart, now);
}

static u8 lsr_read(struct uart *uart, u64 now)
{
	u8 lsr = uart->errors | (uart->rx_count ? LSR_DR : 0) | (tx_ready(uart) ? LSR_THRE | LSR_TEMT : 0);

	(void)now;
	if (uart_fifo(uart) && (uart->rx_marked || (uart->errors & LSR_MARKS)))
		lsr |= LSR_FIFO_ERROR;
	uart->errors = 0;
	return lsr;
}

static u8 msr_read(struct uart *uart, u64 now)
{
	u8 msr = uart->msr;

	(void)now;
	uart->msr &= MSR_LINES;
	return msr;
}

static u8 scratch_read(struct uart *uart, u64 now)
{
	(void)now;
	return uart->scratch;
}

static void scratch_write(struct uart *uart, u8 value, u64 now)
{
	(void)now;
	uart->scratch = value;
}

/* LSR and MSR are read-only: what factory tests would write there is nothing a driver uses. */
static const struct {
	u8 (*read)(struct uart *uart, u64 now);
	void (*write)(struct uart *uart, u8 value, u64 now);
} registers[8] = {
	{ data_read, data_write },
	{ ier_read, ier_write },
	{ iir_read, fcr_write },
	{ lcr_read, lcr_write },
	{ mcr_read, mcr_write },
	{ lsr_read, NULL },
	{ msr_read, NULL },
	{ scratch_read, scratch_write },
};

static u64 uart_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	struct uart *uart = ctx;
	u8 value = registers[offset & 7].read(uart, now);

	(void)size;
	uart_update_irq(uart);
	return value;
}

static void uart_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct uart *uart = ctx;

	(void)size;
	if (!registers[offset & 7].write)
		return;
	registers[offset & 7].write(uart, (u8)value, now);
	uart_update_irq(uart);
}

const struct bus_row uart_rows[UART_ROWS] = {
	{ 0, 5, 1, uart_read, uart_write },
	{ 5, 3, 1 | BUS_QUIET, uart_read, uart_write },		/* the status, which drivers poll */
};

u64 uart_next_deadline(const struct uart *uart, u64 now)
{
	(void)now;
	return uart->tx_flush_at < uart->rx_timeout_at ? uart->tx_flush_at : uart->rx_timeout_at;
}

void uart_advance(struct uart *uart, u64 now)
{
	if (now >= uart->tx_flush_at)
		tx_cross(uart, now);
	if (now >= uart->rx_timeout_at) {
		uart->rx_timeout = true;
		uart->rx_timeout_at = CLOCK_NEVER;
	}
	uart_update_irq(uart);
}

void uart_rx_ready(struct uart *uart, u64 now)
{
	uart->rx_more = true;
	rx_fill(uart, now);
	uart_update_irq(uart);
}

void uart_tx_ready(struct uart *uart, u64 now)
{
	if (!uart->tx_blocked)
		return;
	tx_cross(uart, now);
	uart_update_irq(uart);
}

void uart_rx_break(struct uart *uart, u64 now)
{
	if (uart->mcr & MCR_LOOP)
		return;
	rx_push(uart, 0, LSR_BI);
	rx_restart_timeout(uart, now);
	uart_update_irq(uart);
}

void uart_set_modem(struct uart *uart, u8 lines)
{
	uart->modem = lines & MSR_LINES;
	uart_update_modem(uart);
	uart_update_irq(uart);
}

void uart_flush(struct uart *uart, u64 now)
{
	tx_cross(uart, now);
	uart_update_irq(uart);
}

/* What the guest sent before still crosses. */
void uart_reset(struct uart *uart, u64 now)
{
	uart->ier = 0;
	uart->fcr = 0;
	uart->lcr = 0;
	uart->mcr = 0;
	uart->msr = uart->modem;
	uart->scratch = 0;
	uart->errors = 0;
	uart->divisor = DIVISOR_9600;
	rx_clear(uart);
	tx_cross(uart, now);
	uart->thre_irq = false;
	uart_update_irq(uart);
}

void uart_init(struct uart *uart, const struct vdev_irq *irq, unsigned int irq_line, const struct uart_ring_ops *ring,
	       u32 tsc_khz)
{
	vdev_clear(uart, sizeof(*uart));
	uart->irq = *irq;
	uart->irq_line = irq_line;
	uart->ring = *ring;
	uart->tsc_khz = tsc_khz ? tsc_khz < VDEV_MAX_TSC_KHZ ? tsc_khz : VDEV_MAX_TSC_KHZ : 1;
	uart->modem = MSR_CTS | MSR_DSR | MSR_DCD;
	uart_reset(uart, 0);
}
