// SPDX-License-Identifier: GPL-2.0-only
/* Every I/O port in every size, and the string forms with whatever operands. */
#include "guest.h"

#define PORTS		0x10000u
#define DEVICE_PORTS	0x1000u
#define SPARSE		37u
#define STRING_PORT	0x80u		/* takes all, gives ones or what was written */
#define NOBODY		0x5000u

/* Where a write ends the run by design (power and reset, each a case below), or ends our console. */
static bool spared(u32 port, u32 size)
{
	static const struct { u16 first, last; } ranges[] = {
		{ 0x64, 0x64 }, { 0x92, 0x92 }, { 0xcf8, 0xcff }, { PM_BASE, PM_BASE + 7 }, { COM1, COM1 + 7 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		if (port <= ranges[i].last && port + size > ranges[i].first)
			return true;
	return false;
}

static u32 in_size(u16 port, u32 size)
{
	return size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
}

static void out_size(u16 port, u32 size, u32 value)
{
	if (size == 1)
		out8(port, (u8)value);
	else if (size == 2)
		out16(port, (u16)value);
	else
		out32(port, value);
}

/* How far to the next port. `full=1` on the command line: every one; else fewer of those that have no device, if wide. */
static u32 stride(u32 port, u32 size)
{
	static bool asked, full;
	const char *text;

	if (!asked)
		full = option("full", &text);
	asked = true;
	return full || size == 1 || port < DEVICE_PORTS ? 1 : SPARSE;
}

static const char *run_ports_read(void)
{
	u32 port, size;

	for (size = 1; size <= 4; size *= 2)
		for (port = 0; port < PORTS; port += stride(port, size))
			in_size((u16)port, size);
	if (in8(NOBODY) != 0xff || in16(NOBODY) != 0xffff || in32(NOBODY) != 0xffffffff)
		return "a port of nobody does not read as ones";
	return NULL;
}

static const char *write_all(u32 value)
{
	u32 port, size;

	for (size = 1; size <= 4; size *= 2)
		for (port = 0; port < PORTS; port += stride(port, size))
			if (!spared(port, size))
				out_size((u16)port, size, value);
	if (in32(NOBODY) != 0xffffffff)
		return "a port of nobody has a memory";
	return NULL;
}

static const char *run_ports_zero(void)
{
	return write_all(0);
}

static const char *run_ports_ones(void)
{
	return write_all(0xffffffff);
}

static const char *run_ports_pattern(void)
{
	return write_all(0x5aa5c33c);
}

/* PCI configuration space: all registers of all functions of bus 0, and of one of another bus. */
static const char *run_pci_config(void)
{
	u32 at, size;

	for (at = 0; at < 0x10100; at += 4) {
		out32(0xcf8, 0x80000000 | at);
		for (size = 1; size <= 4; size *= 2)
			in_size((u16)(0xcfc + (at / 4) % (5 - size)), size);
	}
	out32(0xcf8, 0x80ff0000);
	if (in32(0xcfc) != 0xffffffff)
		return "there is something on bus 255";
	/* all but the function with the PM block, whose base we need for the end */
	for (at = 0; at < 0x10000; at += 4) {
		if (at >> 8 == 0xb)
			continue;
		out32(0xcf8, 0x80000000 | at);
		out32(0xcfc, 0xffffffff);
	}
	out32(0xcf8, 0x80000000);
	return in32(0xcfc) == 0x12378086 ? NULL : fail("the host bridge is %lx now", (u64)in32(0xcfc));
}

/* String forms: prefix bytes, opcode. Address size 67, operand size 66, segment 64, REP. */
static int string(const u8 *code, unsigned int size, u64 count, u64 memory, u16 port, struct registers *r)
{
	*r = (struct registers){ .rcx = count, .rsi = memory, .rdi = memory, .rdx = port };
	return run_code(code, size, r);
}

static const char *run_strings(void)
{
	static u8 data[PAGE] __attribute__((aligned(4096)));
	static const u8 forms[][5] = {
		{ 1, 0x6c }, { 2, 0x66, 0x6d }, { 1, 0x6d }, { 2, 0xf3, 0x6c }, { 3, 0xf3, 0x66, 0x6d }, { 2, 0xf3, 0x6d },
		{ 2, 0xf2, 0x6c }, { 1, 0x6e }, { 2, 0x66, 0x6f }, { 1, 0x6f }, { 2, 0xf3, 0x6e }, { 3, 0xf3, 0x66, 0x6f },
		{ 2, 0xf3, 0x6f }, { 2, 0x67, 0x6c }, { 3, 0x67, 0xf3, 0x6d }, { 2, 0x67, 0x6e }, { 3, 0x67, 0xf3, 0x6f },
		{ 2, 0x64, 0x6e }, { 3, 0x64, 0xf3, 0x6f }, { 2, 0x48, 0x6d }, { 3, 0xf3, 0x48, 0x6d },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		bool rep = forms[i][1] == 0xf3 || forms[i][1] == 0xf2 || forms[i][2] == 0xf3;
		u8 opcode = forms[i][forms[i][0]];
		u32 size = opcode & 1 ? forms[i][1] == 0x66 || forms[i][2] == 0x66 ? 2 : 4 : 1;
		u64 count = 100, moved = (rep ? count : 1) * size;
		struct registers r;
		int vector;

		data[0] = data[moved - 1] = data[moved] = 0x55;
		vector = string(&forms[i][1], forms[i][0], count, (u64)data, NOBODY, &r);
		if (vector != NO_FAULT)
			return fail("form %lu: vector %lu", (u64)i, (u64)vector);
		if ((opcode <= 0x6d ? r.rdi : r.rsi) != (u64)data + moved || (rep && r.rcx))
			return fail("form %lu: at %lx, count %lu", (u64)i, r.rdi - (u64)data, r.rcx);
		if (opcode <= 0x6d && (data[0] != 0xff || data[moved - 1] != 0xff || data[moved] != 0x55))
			return fail("form %lu: %lx %lx %lx", (u64)i, (u64)data[0], (u64)data[moved - 1], (u64)data[moved]);
	}
	return NULL;
}

/* Count 0 does nothing, DF goes down, a fault in the middle leaves registers as far as it got. */
static const char *run_strings_fault(void)
{
	static const u8 insb[] = { 0xf3, 0x6c }, outsl[] = { 0xf3, 0x6f }, down[] = { 0xfd, 0xf3, 0x6d, 0xfc };
	static u8 data[2 * PAGE] __attribute__((aligned(4096)));
	struct registers r;
	u64 slot = slot_address(0);

	if (string(insb, 2, 0, 0x400000000000, NOBODY, &r) != NO_FAULT || r.rcx)
		return "count 0 faults";
	if (string(down, 4, 10, (u64)data + PAGE, NOBODY, &r) != NO_FAULT || r.rdi != (u64)data + PAGE - 40)
		return "downwards";
	slot_map(0, (u64)data, PTE_P | PTE_W);
	slot_map(1, 0, 0);
	if (string(insb, 2, 200, slot + PAGE - 100, NOBODY, &r) != PF || last_cr2 != slot + PAGE)
		return fail("INS onto an unmapped page: cr2 %lx", last_cr2);
	if (last_fault.rcx != 100 || last_fault.rdi != slot + PAGE)
		return fail("INS onto an unmapped page: count %lu", last_fault.rcx);
	if (string(outsl, 2, 200, slot + PAGE - 100, NOBODY, &r) != PF || last_fault.rcx != 175)
		return fail("OUTS from an unmapped page: count %lu", last_fault.rcx);
	slot_map(1, (u64)data + PAGE, PTE_P);
	if (string(insb, 2, 200, slot + PAGE - 100, NOBODY, &r) != PF || !(last_fault.error & 2))
		return "INS onto a read-only page";
	if (string(insb, 2, 5, 0x8000000000000000, NOBODY, &r) != GP)
		return "INS to an address that is not canonical";
	/* a count of ones walks up to the first page that is not there */
	slot_map(1, 0, 0);
	if (string(outsl, 2, ~0ull, slot, NOBODY, &r) != PF || last_fault.rcx != ~0ull - PAGE / 4)
		return fail("OUTS without an end: count %lx", last_fault.rcx);
	return NULL;
}

/* Strings from and to devices and holes. */
static const char *run_strings_mmio(void)
{
	static const u8 insl[] = { 0xf3, 0x6d }, outsb[] = { 0xf3, 0x6e };
	static const u32 where[] = { HOLE, LAPIC + 0x80, IOAPIC, HPET + 0x100 };
	struct registers r;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		if (string(outsb, 2, 16, where[i], NOBODY, &r) != NO_FAULT || r.rcx)
			return fail("OUTS from %lx", (u64)where[i]);
		if (string(insl, 2, 4, where[i], NOBODY, &r) != NO_FAULT || r.rcx)
			return fail("INS to %lx", (u64)where[i]);
	}
	return NULL;
}

/* Each of these ends the guest: by power-off, or by a reset. */
static const char *run_off_s5(void)
{
	power_off();
}

static const char *run_reset_cf9(void)
{
	out8(0xcf9, 0x06);
	return "it came back";
}

static const char *run_reset_92(void)
{
	out8(0x92, 0x01);
	return "it came back";
}

static const char *run_reset_64(void)
{
	out8(0x64, 0xfe);
	return "it came back";
}

static const struct test tests[] = {
	{ "ports_read", run_ports_read },
	{ "ports_zero", run_ports_zero },
	{ "ports_ones", run_ports_ones },
	{ "ports_pattern", run_ports_pattern },
	{ "pci_config", run_pci_config },
	{ "strings", run_strings },
	{ "strings_fault", run_strings_fault },
	{ "strings_mmio", run_strings_mmio },
	{ "off_s5", run_off_s5 },
	{ "reset_cf9", run_reset_cf9 },
	{ "reset_92", run_reset_92 },
	{ "reset_64", run_reset_64 },
};

const struct test_group port_tests = { tests, ARRAY_SIZE(tests) };
