// SPDX-License-Identifier: GPL-2.0-only
/* Command line, console, and the cases one after the other. */
#include "guest.h"

#define PARAMS_CMDLINE	0x228		/* cmd_line_ptr in struct boot_params */
#define LINE_CONTROL	3
#define EIGHT_BITS	3
#define LINE_STATUS	5
#define THR_EMPTY	0x20
#define PM1_CONTROL	4
#define S5_NOW		0x2000		/* SLP_EN, SLP_TYP 0 */

static const struct test_group *const groups[] = {
	&crash_tests, &cpu_tests, &instruction_tests, &mode_tests, &port_tests, &mmio_tests, &apic_tests, &memory_tests,
	&delivery_tests, &clock_tests, &smp_tests, &card_tests,
};

u64 memory_size;
u64 tsc_khz;
u32 physical_bits;
static const char *cmdline;

static void put(char c)
{
	while (!(in8(COM1 + LINE_STATUS) & THR_EMPTY))
		;
	out8(COM1, (u8)c);
}

struct sink {
	char *at;		/* NULL: the console */
	char *end;
};

static void emit(struct sink *s, char c)
{
	if (!s->at)
		put(c);
	else if (s->at < s->end)
		*s->at++ = c;
}

static void emit_number(struct sink *s, u64 value, unsigned int base)
{
	char digits[24];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		emit(s, digits[--n]);
}

static void format_to(struct sink *s, const char *format, va_list args)
{
	for (; *format; format++) {
		const char *text;

		if (*format != '%') {
			emit(s, *format);
			continue;
		}
		while (*++format == 'l')
			;
		if (*format == 's')
			for (text = va_arg(args, const char *); *text; text++)
				emit(s, *text);
		else
			emit_number(s, va_arg(args, u64), *format == 'x' ? 16 : 10);
	}
}

void print(const char *format, ...)
{
	struct sink console = { NULL, NULL };
	va_list args;

	va_start(args, format);
	format_to(&console, format, args);
	va_end(args);
}

const char *fail(const char *format, ...)
{
	static char text[200];
	struct sink s = { text, text + sizeof(text) - 1 };
	va_list args;

	va_start(args, format);
	format_to(&s, format, args);
	va_end(args);
	*s.at = 0;
	return text;
}

/* name=value among the words of the command line. */
bool option(const char *name, const char **value)
{
	const char *word = cmdline;

	while (*word) {
		const char *w = word, *n = name;

		while (*n && *w == *n) {
			w++;
			n++;
		}
		if (!*n && *w == '=') {
			*value = w + 1;
			return true;
		}
		while (*word && *word != ' ')
			word++;
		while (*word == ' ')
			word++;
	}
	return false;
}

void power_off(void)
{
	out16(PM_BASE + PM1_CONTROL, S5_NOW);
	for (;;)
		asm volatile("cli; hlt");
}

static bool same(const char *word, size_t size, const char *name)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (word[i] != name[i])
			return false;
	return !name[size];
}

static const struct test *find(const char *word, size_t size)
{
	size_t g, i;

	for (g = 0; g < ARRAY_SIZE(groups); g++)
		for (i = 0; i < groups[g]->count; i++)
			if (same(word, size, groups[g]->test[i].name))
				return &groups[g]->test[i];
	return NULL;
}

static void run_one(const char *word, size_t size)
{
	const struct test *test = find(word, size);
	const char *why = test ? test->run() : "there is no such case";
	size_t i;

	cli();
	print(why ? "FAIL " : "ok ");
	for (i = 0; i < size; i++)
		put(word[i]);
	print(why ? " %s\n" : "\n", why);
}

static void run_all(const char *list)
{
	while (*list && *list != ' ') {
		size_t size = 0;

		while (list[size] && list[size] != ',' && list[size] != ' ')
			size++;
		run_one(list, size);
		list += size;
		if (*list == ',')
			list++;
	}
}

static void find_clock(void)
{
	u32 r[4];

	cpuid(0x15, 0, r);
	tsc_khz = (u64)r[2] * r[1] / r[0] / 1000;
	cpuid(0x80000008, 0, r);
	physical_bits = r[0] & 0xff;
}

static u64 number(const char *text)
{
	u64 value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (u64)(*text++ - '0');
	return value;
}

void guest_main(const u8 *params)
{
	const char *value;

	out8(COM1 + LINE_CONTROL, EIGHT_BITS);
	cmdline = (const char *)(u64)*(const u32 *)(params + PARAMS_CMDLINE);
	find_clock();
	paging_init();
	trap_init();
	memory_size = option("mib", &value) ? number(value) << 20 : 16 << 20;
	print("guest %lu kHz, %lu bits\n", tsc_khz, (u64)physical_bits);
	if (option("run", &value))
		run_all(value);
	print("end\n");
	power_off();
}
