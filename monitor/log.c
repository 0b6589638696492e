// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor's log: a ring of lines in pages shared with the module. The lock guards the ring and head; it is taken
 * with a bounded number of tries (a CPU that stopped inside may hold it for ever), then the line goes in unguarded:
 * a torn line is better than none.
 */
#include <vmx/root/insn.h>
#include <vmx/root/upcalls.h>
#include "core.h"

#define LINE_SIZE	160
#define LOCK_TRIES	1000000u

static struct {
	struct avmm_log *ring;
	u64 head;		/* the shared copy is never read */
	u32 locked;
} log;

struct cursor {
	char *at;
	char *end;
};

static void put(struct cursor *c, char ch)
{
	if (c->at < c->end)
		*c->at++ = ch;
}

static void put_number(struct cursor *c, u64 value, u32 base, u32 width)
{
	char digits[20];
	u32 n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (width > n) {
		put(c, '0');
		width--;
	}
	while (n)
		put(c, digits[--n]);
}

static void put_string(struct cursor *c, const char *s)
{
	while (*s)
		put(c, *s++);
}

/* %s, %u, %x, %lx and %016lx only. */
void log_format(char *line, u32 size, const char *format, __builtin_va_list args)
{
	struct cursor c = { line, line + size - 1 };
	u32 width;

	for (; *format; format++) {
		if (*format != '%') {
			put(&c, *format);
			continue;
		}
		width = 0;
		for (format++; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (u32)(*format - '0');
		if (*format == 's')
			put_string(&c, __builtin_va_arg(args, const char *));
		else if (*format == 'u')
			put_number(&c, __builtin_va_arg(args, u32), 10, width);
		else if (*format == 'x')
			put_number(&c, __builtin_va_arg(args, u32), 16, width);
		else if (*format == 'l' && *++format == 'x')
			put_number(&c, __builtin_va_arg(args, u64), 16, width);
		else
			break;
	}
	*c.at = 0;
}

void log_init(struct avmm_log *ring)
{
	log.ring = ring;
	log.head = 0;
	log.locked = 0;
}

void log_line(const char *line)
{
	u32 tries = LOCK_TRIES;
	bool owner;

	while (!(owner = !__atomic_exchange_n(&log.locked, 1, __ATOMIC_ACQUIRE)) && --tries)
		pause();
	while (*line)
		log.ring->text[log.head++ % AVMM_LOG_TEXT_SIZE] = *line++;
	log.ring->text[log.head++ % AVMM_LOG_TEXT_SIZE] = '\n';
	__atomic_store_n(&log.ring->head, log.head, __ATOMIC_RELEASE);
	if (owner)
		__atomic_store_n(&log.locked, 0, __ATOMIC_RELEASE);
}

void core_log(const char *format, ...)
{
	char line[LINE_SIZE];
	__builtin_va_list args;

	__builtin_va_start(args, format);
	log_format(line, sizeof(line), format, args);
	__builtin_va_end(args);
	log_line(line);
	message_raise(this_cpu());
}
