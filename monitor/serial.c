// SPDX-License-Identifier: GPL-2.0-only
/* A 16550 for the report of a fault, polled, with a bound on each wait. Linux owns the line and has set its speed. */
#include <vmx/root/insn.h>
#include "core.h"

#define UART_TX		0
#define UART_LSR	5
#define LSR_THRE	0x20
#define TRIES		100000u

static void serial_putc(char c)
{
	u32 tries = TRIES;

	while (!(inb(machine.serial_port + UART_LSR) & LSR_THRE) && --tries)
		pause();
	outb(machine.serial_port + UART_TX, (u8)c);
}

void serial_puts(const char *s)
{
	if (!machine.serial_port)
		return;
	for (; *s; s++) {
		if (*s == '\n')
			serial_putc('\r');
		serial_putc(*s);
	}
}
