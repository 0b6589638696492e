// SPDX-License-Identifier: GPL-2.0-only
/* The identity window: its place in /proc/iomem, and how it is found again on the kernel's command line. */
#include "unit.h"
#include <stdio.h>
#include "userspace-ctl/window.h"

#define MIB	(1ull << 20)

static const char iomem[] =
	"00000000-00000fff : Reserved\n"
	"00001000-0009efff : System RAM\n"
	"00100000-3ffeffff : System RAM\n"
	"  15200000-16001d31 : Kernel code\n"
	"3fff0000-3fffffff : ACPI Tables\n"
	"c0000000-febfffff : PCI Bus 0000:00\n"
	"100000000-23fffffff : System RAM\n";

static u64 size, base;

static enum window_state find(const char *text, const char *cmdline, u64 wanted)
{
	FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	enum window_state state;

	assert_non_null(stream);
	size = wanted;
	base = 1;
	state = window_find(stream, cmdline, &size, &base);
	fclose(stream);
	return state;
}

static void the_highest_place_is_taken(void **state)
{
	(void)state;
	assert_int_equal(find(iomem, "quiet", 256 * MIB), WINDOW_FOUND);
	assert_true(base == 0x2fe00000 && size == 256 * MIB);
	assert_int_equal(find(iomem, "", 0x3fe00000 - 16 * MIB), WINDOW_FOUND);
	assert_true(base == 16 * MIB);
}

static void too_large_says_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(find(iomem, "", 0x3fe00000), WINDOW_TOO_LARGE);
	assert_true(size == 0x3fe00000 - 16 * MIB);
}

static void only_memory_below_the_hole(void **state)
{
	(void)state;
	assert_int_equal(find("00100000-13fffffff : System RAM\n", "", 512 * MIB), WINDOW_FOUND);
	assert_true(base == WINDOW_END - 512 * MIB);
	assert_int_equal(find("100000000-23fffffff : System RAM\n", "", 2 * MIB), WINDOW_TOO_LARGE);
	assert_true(size == 0);
}

static void addresses_may_be_hidden(void **state)
{
	(void)state;
	assert_int_equal(find("00000000-00000000 : System RAM\n", "", 2 * MIB), WINDOW_HIDDEN);
}

static void a_reserved_window_is_found(void **state)
{
	(void)state;
	assert_int_equal(find(iomem, "a=b memmap=512M$0x20000000 quiet", 256 * MIB), WINDOW_RESERVED);
	assert_true(base == 512 * MIB && size == 512 * MIB);
	assert_int_equal(find(iomem, "memmap=1M$0x1000,256M$768M", 256 * MIB), WINDOW_RESERVED);
	assert_true(base == 768 * MIB && size == 256 * MIB);
	assert_int_equal(find(iomem, "memmap=128M$0x20000000", 256 * MIB), WINDOW_FOUND);
	assert_int_equal(find(iomem, "memmap=512M@0x20000000", 256 * MIB), WINDOW_FOUND);
	assert_int_equal(find(iomem, "xmemmap=512M$0x20000000", 256 * MIB), WINDOW_FOUND);
	assert_int_equal(find(iomem, "memmap=512M$0x20000001", 256 * MIB), WINDOW_FOUND);
	assert_int_equal(find(iomem, "memmap=512M$", 256 * MIB), WINDOW_FOUND);
	assert_int_equal(find(iomem, "memmap=exactmap memmap=", 256 * MIB), WINDOW_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_place_is_taken),
		cmocka_unit_test(too_large_says_what_there_is),
		cmocka_unit_test(only_memory_below_the_hole),
		cmocka_unit_test(addresses_may_be_hidden),
		cmocka_unit_test(a_reserved_window_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
