// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder against libzydis: whatever Zydis calls a memory form of an operation that docs/decoder.md lists must be
 * decoded to the same operands, and nothing else may be. All opcodes with all ModRM bytes under many prefixes in all
 * three modes, and random bytes.
 */
#include "unit.h"
#include <stdio.h>
#include <sys/mman.h>
#include <Zydis/Zydis.h>
#include "monitor/decode.h"

static const struct {
	ZydisMnemonic mnemonic;
	enum decode_op op;
} claimed[] = {
	{ ZYDIS_MNEMONIC_ADD, OP_ADD }, { ZYDIS_MNEMONIC_OR, OP_OR }, { ZYDIS_MNEMONIC_ADC, OP_ADC },
	{ ZYDIS_MNEMONIC_SBB, OP_SBB }, { ZYDIS_MNEMONIC_AND, OP_AND }, { ZYDIS_MNEMONIC_SUB, OP_SUB },
	{ ZYDIS_MNEMONIC_XOR, OP_XOR }, { ZYDIS_MNEMONIC_CMP, OP_CMP }, { ZYDIS_MNEMONIC_TEST, OP_TEST },
	{ ZYDIS_MNEMONIC_NOT, OP_NOT }, { ZYDIS_MNEMONIC_NEG, OP_NEG }, { ZYDIS_MNEMONIC_INC, OP_INC },
	{ ZYDIS_MNEMONIC_DEC, OP_DEC }, { ZYDIS_MNEMONIC_BT, OP_BT }, { ZYDIS_MNEMONIC_BTS, OP_BTS },
	{ ZYDIS_MNEMONIC_BTR, OP_BTR }, { ZYDIS_MNEMONIC_BTC, OP_BTC }, { ZYDIS_MNEMONIC_XADD, OP_XADD },
	{ ZYDIS_MNEMONIC_CMPXCHG, OP_CMPXCHG }, { ZYDIS_MNEMONIC_XCHG, OP_XCHG }, { ZYDIS_MNEMONIC_MOV, OP_MOV },
	{ ZYDIS_MNEMONIC_MOVNTI, OP_MOV }, { ZYDIS_MNEMONIC_MOVZX, OP_MOVZX }, { ZYDIS_MNEMONIC_MOVSX, OP_MOVSX },
	{ ZYDIS_MNEMONIC_MOVSXD, OP_MOVSX },
	{ ZYDIS_MNEMONIC_MOVSB, OP_MOVS }, { ZYDIS_MNEMONIC_MOVSW, OP_MOVS }, { ZYDIS_MNEMONIC_MOVSD, OP_MOVS },
	{ ZYDIS_MNEMONIC_MOVSQ, OP_MOVS }, { ZYDIS_MNEMONIC_STOSB, OP_STOS }, { ZYDIS_MNEMONIC_STOSW, OP_STOS },
	{ ZYDIS_MNEMONIC_STOSD, OP_STOS }, { ZYDIS_MNEMONIC_STOSQ, OP_STOS }, { ZYDIS_MNEMONIC_LODSB, OP_LODS },
	{ ZYDIS_MNEMONIC_LODSW, OP_LODS }, { ZYDIS_MNEMONIC_LODSD, OP_LODS }, { ZYDIS_MNEMONIC_LODSQ, OP_LODS },
	{ ZYDIS_MNEMONIC_PUSH, OP_PUSH }, { ZYDIS_MNEMONIC_POP, OP_POP },
	{ ZYDIS_MNEMONIC_MOVUPS, OP_MOVXMM }, { ZYDIS_MNEMONIC_MOVUPD, OP_MOVXMM },
	{ ZYDIS_MNEMONIC_MOVAPS, OP_MOVXMM }, { ZYDIS_MNEMONIC_MOVAPD, OP_MOVXMM },
	{ ZYDIS_MNEMONIC_MOVDQA, OP_MOVXMM }, { ZYDIS_MNEMONIC_MOVDQU, OP_MOVXMM },
	{ ZYDIS_MNEMONIC_MOVNTPS, OP_MOVXMM }, { ZYDIS_MNEMONIC_MOVNTPD, OP_MOVXMM },
	{ ZYDIS_MNEMONIC_MOVNTDQ, OP_MOVXMM },
};

/* What one instruction is, by Zydis. */
struct reference {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecodedOperand *memory;	/* the operand that struct decoded describes */
	const ZydisDecodedOperand *other;	/* register or immediate, or NULL */
	enum decode_op op;			/* OP_NONE: not claimed */
};

static ZydisDecoder decoders[3];
static u8 ops[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static u64 seen[OP_MOVXMM + 1];

static int setup(void **state)
{
	size_t i;

	(void)state;
	ZydisDecoderInit(&decoders[DECODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[DECODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[DECODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (i = 0; i < ARRAY_SIZE(claimed); i++)
		ops[claimed[i].mnemonic] = claimed[i].op;
	return 0;
}

static bool is_string(enum decode_op op)
{
	return op >= OP_MOVS && op <= OP_LODS;
}

/* Finds the operands that struct decoded speaks of; false where the form has none in memory or is none of ours. */
static bool find_operands(struct reference *ref)
{
	int i;

	ref->memory = ref->other = NULL;
	for (i = 0; i < ref->insn.operand_count; i++) {
		const ZydisDecodedOperand *o = &ref->operands[i];

		if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && !is_string(ref->op))
			continue;
		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			/* MOVS has two: the source is the second */
			if (o->mem.type == ZYDIS_MEMOP_TYPE_MEM)
				ref->memory = o;
		} else if (o->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
			ref->other = o;
		}
	}
	if (!ref->memory)
		return false;
	if (ref->other && ref->other->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		ZydisRegisterClass class = ZydisRegisterGetClass(ref->other->reg.value);

		/* MOV of a segment register; MOVSD is the name of an SSE form too */
		if (class == ZYDIS_REGCLASS_SEGMENT || (class == ZYDIS_REGCLASS_XMM && ref->op != OP_MOVXMM))
			return false;
	}
	return true;
}

/* 82 is 80 again, outside 64-bit mode, and CPUs differ in what a 16-bit MOVSXD reads: nobody writes either. */
static bool left_out(const ZydisDecodedInstruction *insn)
{
	return (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && insn->opcode == 0x82) ||
	       (insn->mnemonic == ZYDIS_MNEMONIC_MOVSXD && insn->operand_width == 16);
}

/* Zydis's answer; op is OP_NONE for what the decoder has to refuse. */
static void ask_zydis(struct reference *ref, enum decode_mode mode, const u8 *bytes, size_t length)
{
	ZydisDecoderContext context;

	ref->op = OP_NONE;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoders[mode], &context, bytes, length, &ref->insn)))
		return;
	if (ref->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !ops[ref->insn.mnemonic])
		return;
	ref->op = ops[ref->insn.mnemonic];
	assert_true(ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoders[mode], &context, &ref->insn, ref->operands,
							    ZYDIS_MAX_OPERAND_COUNT)));
	if (!find_operands(ref) || left_out(&ref->insn))
		ref->op = OP_NONE;
}

static int general_register(ZydisRegister reg, bool *high)
{
	*high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
	if (*high)
		return reg - ZYDIS_REGISTER_AH;
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)	/* behind AH … BH in Zydis's order */
		return reg - ZYDIS_REGISTER_SPL + 4;
	return ZydisRegisterGetId(reg);
}

static int address_register(ZydisRegister reg)
{
	bool high;

	if (reg == ZYDIS_REGISTER_NONE)
		return REG_NONE;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return REG_RIP;
	return general_register(reg, &high);
}

/*
 * SIB's base 5 under mod 0 is no base but a displacement, REX.B or not (SDM volume 2, table 2-5). Zydis 4.0 agrees with
 * 64-bit addresses and forgets it with 32-bit ones, though it counts the displacement's bytes. test_execute.c asks the
 * CPU.
 */
static bool zydis_is_wrong(const ZydisDecodedInstruction *insn)
{
	return insn->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 && insn->address_width == 32 &&
	       insn->raw.modrm.mod == 0 && insn->raw.modrm.rm == 4 && insn->raw.sib.base == 5 && insn->raw.rex.B;
}

static bool same_memory(const struct decoded *d, const struct reference *ref)
{
	const ZydisDecodedOperandMem *m = &ref->memory->mem;
	u64 mask = ~0ull >> (64 - ref->insn.address_width);

	if (d->size * 8 != ref->memory->size || d->address_size * 8 != ref->insn.address_width)
		return false;
	if (zydis_is_wrong(&ref->insn))
		return d->base == REG_NONE;
	if (is_string(d->op))
		return d->op == OP_STOS || d->segment == ZydisRegisterGetId(m->segment);
	return d->segment == ZydisRegisterGetId(m->segment) && d->base == address_register(m->base) &&
	       d->index == address_register(m->index) && 1 << d->scale == (m->scale ? m->scale : 1) &&
	       !(((u64)d->displacement ^ (u64)m->disp.value) & mask);
}

static bool same_other(const struct decoded *d, const struct reference *ref)
{
	const ZydisDecodedOperand *o = ref->other;
	u64 mask = ~0ull >> (64 - 8 * (d->size > 8 ? 8 : d->size));
	bool high, immediate = o && o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

	if (immediate != !!(d->flags & DECODED_IMMEDIATE))
		return false;
	if (immediate)
		return !((d->immediate ^ o->imm.value.u) & (d->op >= OP_BT && d->op <= OP_BTC ? 0xff : mask));
	if (!o || is_string(d->op))
		return true;
	if (d->reg_size * 8 != o->size)
		return false;
	if (d->op == OP_MOVXMM)
		return d->reg == ZydisRegisterGetId(o->reg.value);
	return d->reg == general_register(o->reg.value, &high) && high == !!(d->flags & DECODED_HIGH_BYTE);
}

static bool same_flags(const struct decoded *d, const struct reference *ref)
{
	const ZydisAccessedFlags *f = ref->insn.cpu_flags;
	bool rep = ref->insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
	bool lock = ref->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK;
	bool rflags = f && (f->tested | f->modified | f->set_0 | f->set_1 | f->undefined);

	/* F2 before a string repeats it on every CPU, though Zydis has no name for it */
	if (is_string(d->op) && ref->insn.attributes & (ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_REP))
		rep = true;
	if (is_string(d->op) && rep != !!(d->flags & DECODED_REP))
		return false;
	if (lock != !!(d->flags & DECODED_LOCK) || rflags != !!(d->flags & DECODED_RFLAGS))
		return false;
	/* the first operand is memory; for a string the direction is the operation's */
	return is_string(d->op) || (ref->memory == &ref->operands[0]) == !!(d->flags & DECODED_TO_MEMORY) ||
	       d->op == OP_PUSH;
}

static void show(const char *what, enum decode_mode mode, const u8 *bytes, const struct decoded *d,
		 const struct reference *ref)
{
	int i;

	fprintf(stderr, "%s, mode %d:", what, mode);
	for (i = 0; i < DECODE_MAX_LENGTH; i++)
		fprintf(stderr, " %02x", bytes[i]);
	fprintf(stderr, "\n  op %u length %u size %u/%u reg %u flags %#x address %u segment %u base %u index %u scale %u"
		" disp %llx imm %llx\n", d->op, d->length, d->size, d->reg_size, d->reg, d->flags, d->address_size,
		d->segment, d->base, d->index, d->scale, (long long)d->displacement, (long long)d->immediate);
	if (ref->op)
		fprintf(stderr, "  Zydis: %s length %u\n", ZydisMnemonicGetString(ref->insn.mnemonic), ref->insn.length);
}

/* Both have the same opinion of these 15 bytes. */
static enum decode_result compare(enum decode_mode mode, const u8 *bytes)
{
	struct decoded d = { 0 };
	struct reference ref;
	enum decode_result r = decode(bytes, DECODE_MAX_LENGTH, mode, &d);

	ask_zydis(&ref, mode, bytes, DECODE_MAX_LENGTH);
	if ((r == DECODE_OK) != (ref.op != OP_NONE) || r == DECODE_TRUNCATED) {
		show(ref.op ? "not decoded" : "decoded wrongly", mode, bytes, &d, &ref);
		fail();
	}
	if (r != DECODE_OK)
		return r;
	seen[d.op]++;
	if (d.op != ref.op || d.mode != mode || d.length != ref.insn.length || !same_memory(&d, &ref) ||
	    !same_other(&d, &ref) || !same_flags(&d, &ref)) {
		show("different", mode, bytes, &d, &ref);
		fail();
	}
	return r;
}

/* Every opcode with every ModRM, and every SIB where there is one, behind these prefixes. */
static const u8 prefixes[][4] = {
	{ 0 }, { 0x66 }, { 0x67 }, { 0x66, 0x67 }, { 0xf0 }, { 0xf2 }, { 0xf3 }, { 0x64 }, { 0x2e }, { 0x65, 0x3e },
	{ 0x40 }, { 0x48 }, { 0x4f }, { 0x66, 0x48 }, { 0x67, 0x47 }, { 0xf3, 0x66 }, { 0x66, 0xf2 }, { 0x48, 0x66 },
	{ 0xf0, 0x66, 0x45 }, { 0xf0, 0xf2, 0x67 }, { 0x36, 0x26, 0x48 }, { 0xf3, 0xf2 }, { 0xf2, 0xf3, 0x4c },
};

static u8 *append_prefixes(u8 *p, const u8 *prefix)
{
	while (*prefix)
		*p++ = *prefix++;
	return p;
}

static void try_modrms(enum decode_mode mode, u8 *bytes, u8 *modrm, u64 *seed)
{
	unsigned int m, sib;

	for (m = 0; m < 256; m++) {
		bool has_sib = m >> 6 != 3 && (m & 7) == 4;

		*modrm = m;
		for (sib = has_sib ? 0 : 255; sib < 256; sib += 1 + (m >> 3 & 7) * 8) {
			modrm[1] = has_sib ? sib : random_u64(seed);
			compare(mode, bytes);
		}
	}
}

static void try_opcodes(enum decode_mode mode, const u8 *prefix, u64 *seed)
{
	unsigned int opcode, i;

	for (opcode = 0; opcode < 512; opcode++) {
		u8 bytes[DECODE_MAX_LENGTH + 1], *p;

		for (i = 0; i < sizeof(bytes); i++)
			bytes[i] = random_u64(seed) >> 32;
		p = append_prefixes(bytes, prefix);
		if (opcode & 0x100)
			*p++ = 0x0f;
		*p++ = opcode;
		try_modrms(mode, bytes, p, seed);
	}
}

static void every_opcode_and_modrm(void **state)
{
	u64 seed = 1;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		try_opcodes(DECODE_16, prefixes[i], &seed);
		try_opcodes(DECODE_32, prefixes[i], &seed);
		try_opcodes(DECODE_64, prefixes[i], &seed);
	}
	for (i = OP_NONE + 1; i <= OP_MOVXMM; i++)
		assert_true(seen[i]);
}

/* Random bytes, most often with prefixes first and then an opcode that is known. */
static void random_bytes(u8 *bytes, u64 *seed)
{
	static const u8 all[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x48, 0x4f, 0x45 };
	static const u8 opcodes[] = { 0x89, 0x8b, 0x88, 0xc7, 0xc6, 0xa5, 0xab, 0xac, 0x81, 0x83, 0x0f, 0x0f, 0x0f, 0x63,
				      0xa0, 0xa3, 0xf7, 0xff, 0x8f, 0x87, 0x85 };
	size_t i;

	for (i = 0; i < DECODE_MAX_LENGTH; i++)
		bytes[i] = random_u64(seed) >> 24;
	for (i = 0; i < DECODE_MAX_LENGTH && random_below(seed, 3); i++)
		bytes[i] = all[random_below(seed, sizeof(all))];
	if (i < DECODE_MAX_LENGTH && random_below(seed, 2))
		bytes[i] = opcodes[random_below(seed, sizeof(opcodes))];
}

static void random_instructions(void **state)
{
	u64 seed = 2, decoded = 0;
	int i;

	(void)state;
	for (i = 0; i < 3000000; i++) {
		u8 bytes[DECODE_MAX_LENGTH];

		random_bytes(bytes, &seed);
		decoded += compare(i % 3, bytes) == DECODE_OK;
	}
	assert_true(decoded > 300000);
}

/* The same bytes, so many of them, at the end of a page before one that cannot be read. */
static enum decode_result decode_at_end(u8 *page, const u8 *bytes, size_t length, enum decode_mode mode,
					struct decoded *d)
{
	u8 *start = page + AVMM_PAGE_SIZE - length;

	memcpy(start, bytes, length);
	return decode(start, length, mode, d);
}

static void reads_no_further_than_the_end(void **state)
{
	u8 *page = mmap(NULL, 2 * AVMM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 seed = 3;
	int i;

	(void)state;
	assert_true(page != MAP_FAILED);
	assert_int_equal(mprotect(page + AVMM_PAGE_SIZE, AVMM_PAGE_SIZE, PROT_NONE), 0);
	for (i = 0; i < 300000; i++) {
		enum decode_mode mode = i % 3;
		u8 bytes[DECODE_MAX_LENGTH];
		struct decoded whole = { 0 }, part = { 0 };
		enum decode_result r, short_result;
		size_t length;

		random_bytes(bytes, &seed);
		r = decode_at_end(page, bytes, DECODE_MAX_LENGTH, mode, &whole);
		for (length = 0; length < DECODE_MAX_LENGTH; length++) {
			short_result = decode_at_end(page, bytes, length, mode, &part);
			if (r == DECODE_OK)
				assert_int_equal(short_result, length < whole.length ? DECODE_TRUNCATED : DECODE_OK);
			else
				assert_int_not_equal(short_result, DECODE_OK);
		}
		if (r == DECODE_OK && whole.length < DECODE_MAX_LENGTH)
			assert_memory_equal(&whole, &part, sizeof(whole));
	}
	munmap(page, 2 * AVMM_PAGE_SIZE);
}

/* One more prefix than fits makes an instruction too long for any CPU. */
static void longer_than_15_bytes(void **state)
{
	u8 bytes[32];
	struct decoded d;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	bytes[13] = 0x8b;
	bytes[14] = 0x00;
	assert_int_equal(decode(bytes, sizeof(bytes), DECODE_64, &d), DECODE_OK);
	assert_int_equal(d.length, 15);
	bytes[13] = 0x66;
	bytes[14] = 0x8b;
	bytes[15] = 0x00;
	assert_int_equal(decode(bytes, sizeof(bytes), DECODE_64, &d), DECODE_UNKNOWN);
	assert_int_equal(decode(bytes, 14, DECODE_64, &d), DECODE_TRUNCATED);
	assert_int_equal(decode(bytes, 0, DECODE_64, &d), DECODE_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_opcode_and_modrm),
		cmocka_unit_test(random_instructions),
		cmocka_unit_test(reads_no_further_than_the_end),
		cmocka_unit_test(longer_than_15_bytes),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
