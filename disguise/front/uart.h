/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Front half of the disguised serial port: a 16550D as the guest sees it.
 *
 * Registers are answered from here. What the guest sends collects in a buffer that crosses to the back half when it
 * is half full or 1 ms after its first byte; what the back half has for the guest is fetched a FIFO at a time. The
 * line has no speed: a byte is sent when it is written, and THRE is down only while the back half takes no more. No
 * byte is lost unless the guest writes without looking at THRE. Only the receiver's time-out follows the baud rate.
 *
 * As on a PC the interrupt goes through MCR's OUT2. Time and locking: vdev/vdev.h.
 */
#ifndef AVMM_FRONT_UART_H
#define AVMM_FRONT_UART_H

#include "vdev/bus.h"

#define UART_FIFO_SIZE	16u
#define UART_TX_SIZE	1024u	/* a power of two */

/* The way to the back half. Both return how many bytes they took or gave, at most n; fewer means: ask again later. */
struct uart_ring_ops {
	u32 (*put)(void *ctx, const u8 *buf, u32 n);
	u32 (*get)(void *ctx, u8 *buf, u32 n);
	void *ctx;
};

struct uart {
	struct vdev_irq irq;
	unsigned int irq_line;
	bool irq_level;
	struct uart_ring_ops ring;
	u32 tsc_khz;
	u8 ier;
	u8 fcr;
	u8 lcr;
	u8 mcr;
	u8 msr;			/* lines and their changes */
	u8 scratch;
	u8 errors;		/* LSR bits OE, PE, FE, BI */
	u8 modem;		/* the lines from outside, as in MSR */
	u16 divisor;
	bool thre_irq;		/* the transmitter became empty and nobody was told */
	bool rx_timeout;
	bool rx_more;		/* the back half may have bytes */
	bool tx_blocked;	/* the back half took less than it was offered */
	u8 rx_first;
	u8 rx_count;
	u8 rx_marked;		/* bytes in the FIFO with an error mark */
	u8 rx[UART_FIFO_SIZE];
	u8 rx_mark[UART_FIFO_SIZE];	/* LSR bits that go with a byte */
	u64 rx_timeout_at;
	u64 tx_flush_at;
	u32 tx_head;		/* free-running: bytes ever sent by the guest, and of them those that crossed */
	u32 tx_tail;
	u8 tx[UART_TX_SIZE];
};

#define UART_ROWS	2
extern const struct bus_row uart_rows[UART_ROWS];	/* map at 3F8h, 2F8h, …; context struct uart */

void uart_init(struct uart *uart, const struct vdev_irq *irq, unsigned int irq_line, const struct uart_ring_ops *ring,
	       u32 tsc_khz);
void uart_reset(struct uart *uart, u64 now);

/* The back half has bytes; it has room again; it saw a break on the console. */
void uart_rx_ready(struct uart *uart, u64 now);
void uart_tx_ready(struct uart *uart, u64 now);
void uart_rx_break(struct uart *uart, u64 now);
/* Lines from outside: MSR bits 4 (CTS) to 7 (DCD). At first CTS, DSR and DCD are up. */
void uart_set_modem(struct uart *uart, u8 lines);
/* Everything the guest sent crosses now, as far as it is taken; for a partition that stops. */
void uart_flush(struct uart *uart, u64 now);

u64 uart_next_deadline(const struct uart *uart, u64 now);
void uart_advance(struct uart *uart, u64 now);

#endif
