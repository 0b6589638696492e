// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes and executes what the input says. Zydis must know every instruction that the decoder claims, with the same
 * length; fewer bytes than that must be truncated ones; execution must not leave its bounds, whatever registers hold.
 *
 * Input: a byte (mode, and which access fails), an instruction in 15 bytes, then registers and what reads return.
 */
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>
#include "monitor/decode.h"

struct machine {
	const u8 *data;
	size_t size;
	unsigned int accesses;
	unsigned int fail_at;
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static u64 next(struct machine *m)
{
	u64 value = 0;
	size_t n = m->size < 8 ? m->size : 8;

	memcpy(&value, m->data, n);
	m->data += n;
	m->size -= n;
	return value;
}

static enum execute_result access_memory(struct machine *m, unsigned int size)
{
	require(size == 1 || size == 2 || size == 4 || size == 8);
	require(++m->accesses <= 2 * EXECUTE_MAX_ELEMENTS);
	return m->accesses == m->fail_at ? EXECUTE_FAULT : EXECUTE_DONE;
}

static enum execute_result read_memory(void *ctx, u64 linear, unsigned int size, u64 *value)
{
	(void)linear;
	*value = next(ctx);		/* more than size asks for */
	return access_memory(ctx, size);
}

static enum execute_result write_memory(void *ctx, u64 linear, unsigned int size, u64 value)
{
	(void)linear;
	require(size == 8 || !(value >> (8 * size)));
	return access_memory(ctx, size);
}

static enum execute_result linear_address(void *ctx, enum decode_segment segment, u64 offset, unsigned int size,
					  bool write, u64 *linear)
{
	(void)write;
	(void)ctx;
	require(segment <= SEGMENT_GS && size);
	*linear = offset;
	return EXECUTE_DONE;
}

static void get_xmm(void *ctx, unsigned int reg, u64 value[2])
{
	require(reg < 16);
	value[0] = value[1] = next(ctx);
}

static void set_xmm(void *ctx, unsigned int reg, const u64 value[2])
{
	(void)ctx;
	(void)value;
	require(reg < 16);
}

static const struct execute_ops ops = { read_memory, write_memory, linear_address, get_xmm, set_xmm };

static void ask_zydis(const u8 *bytes, const struct decoded *d)
{
	static const ZydisMachineMode modes[] = {
		ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64,
	};
	static const ZydisStackWidth widths[] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64 };
	ZydisDecoder decoder;
	ZydisDecodedInstruction insn;

	ZydisDecoderInit(&decoder, modes[d->mode], widths[d->mode]);
	require(ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, DECODE_MAX_LENGTH, &insn)));
	require(insn.length == d->length);
}

static void truncate(const u8 *bytes, const struct decoded *d)
{
	struct decoded part;
	size_t n;

	for (n = 0; n < d->length; n++) {
		u8 *copy = malloc(n);		/* its end is guarded */

		memcpy(copy, bytes, n);
		require(decode(copy, n, d->mode, &part) == DECODE_TRUNCATED);
		free(copy);
	}
}

static void execute(const struct decoded *d, struct machine *m)
{
	u64 gpr[16];
	struct execution e = { .gpr = gpr, .ctx = m, .ops = &ops };
	enum execute_result r;
	int i;

	for (i = 0; i < 16; i++)
		gpr[i] = next(m);
	e.rip = next(m);
	e.rflags = next(m);
	e.stack_size = e.rip & 1 ? 2 : 4;
	r = decoded_execute(d, &e);
	require(r != EXECUTE_REFUSED);
	require((r == EXECUTE_FAULT) == (m->fail_at && m->accesses >= m->fail_at));
	require(r != EXECUTE_AGAIN || (d->flags & DECODED_REP));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct machine m = { data + 16, size - 16, 0, 0 };
	struct decoded d;

	if (size < 16)
		return -1;
	m.fail_at = data[0] >> 2;
	if (decode(data + 1, DECODE_MAX_LENGTH, data[0] % 3, &d) != DECODE_OK)
		return 0;
	ask_zydis(data + 1, &d);
	truncate(data + 1, &d);
	execute(&d, &m);
	return 0;
}
