// SPDX-License-Identifier: GPL-2.0-only
/*
 * From instruction bytes to struct decoded, driven by three tables: one-byte opcodes, 0F opcodes, and the groups that
 * the reg field of ModRM selects from. A form that is in no table is DECODE_UNKNOWN; so is every form without a memory
 * operand, since that cannot be what a device was reached with.
 *
 * Intel SDM volume 2, chapter 2 and appendix A.
 */
#include "decode.h"

/* How an opcode takes its operands, where that is not a register and memory of the operand size. */
enum {
	ROW_BYTE	= 1 << 0,	/* 8-bit operands */
	ROW_IMM8	= 1 << 1,	/* an immediate byte, sign-extended */
	ROW_IMM		= 1 << 2,	/* an immediate of the operand size, at most 4 bytes, sign-extended */
	ROW_OFFSET	= 1 << 3,	/* no ModRM: rAX and an absolute address */
	ROW_STRING	= 1 << 4,	/* no ModRM: rSI, rDI, rAX */
	ROW_EXTEND8	= 1 << 5,	/* the memory operand has 1 byte, the register the operand size */
	ROW_EXTEND16	= 1 << 6,	/* 2 bytes */
	ROW_EXTEND32	= 1 << 7,	/* 4 bytes; 64-bit mode only */
	ROW_STACK	= 1 << 8,	/* 8 bytes in 64-bit mode, unless there is a 66 prefix */
	ROW_DWORD	= 1 << 9,	/* 4 bytes or, with REX.W, 8 */
	ROW_XMM		= 1 << 10,	/* 16 bytes, an XMM register */

	/* Where a prefix selects the instruction: those that are this one. No bit: they select nothing. */
	ROW_ON_NONE	= 1 << 11,
	ROW_ON_66	= 1 << 12,
	ROW_ON_F3	= 1 << 13,
	ROW_ON_ANY	= ROW_ON_NONE | ROW_ON_66 | ROW_ON_F3,

	ROW_TO_MEM	= 1 << 14,	/* the memory operand is the destination */
};

/* Pseudo operations of the tables, behind the true ones. */
enum {
	ROW_GROUP = OP_MOVXMM + 1,	/* flags: the group's number */
	ROW_ESCAPE,			/* 0F */
	ROW_REX,
	ROW_PREFIX,
};

#define BIT(op)		(1u << (op))
#define ARITHMETIC_OPS	(BIT(OP_ADD) | BIT(OP_OR) | BIT(OP_ADC) | BIT(OP_SBB) | BIT(OP_AND) | BIT(OP_SUB) | BIT(OP_XOR))
#define BIT_OPS		(BIT(OP_BTS) | BIT(OP_BTR) | BIT(OP_BTC))
#define LOCK_OPS	(ARITHMETIC_OPS | BIT_OPS | BIT(OP_NOT) | BIT(OP_NEG) | BIT(OP_INC) | BIT(OP_DEC) | \
			 BIT(OP_XADD) | BIT(OP_CMPXCHG) | BIT(OP_XCHG))
#define STRING_OPS	(BIT(OP_MOVS) | BIT(OP_STOS) | BIT(OP_LODS))
#define RFLAGS_OPS	(ARITHMETIC_OPS | BIT_OPS | BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_NEG) | BIT(OP_INC) | BIT(OP_DEC) | \
			 BIT(OP_BT) | BIT(OP_XADD) | BIT(OP_CMPXCHG) | STRING_OPS)

struct row {
	u8 op;
	u8 flags;	/* of struct decoded */
	u16 how;	/* ROW_* */
};

#define ROW_FLAGS(op, how) \
	(((how) & ROW_TO_MEM ? DECODED_TO_MEMORY : 0) | (BIT(op) & RFLAGS_OPS ? DECODED_RFLAGS : 0))
#define ROW(op, how)	{ op, ROW_FLAGS(op, how), how }
#define GROUP(number)	{ ROW_GROUP, number, 0 }
#define PREFIX		{ ROW_PREFIX, 0, 0 }

static const struct row no_row = { OP_NONE, 0, 0 };

enum { GROUP_80, GROUP_81, GROUP_83, GROUP_8F, GROUP_C6, GROUP_C7, GROUP_F6, GROUP_F7, GROUP_FE, GROUP_FF, GROUP_BA };

#define ARITHMETIC(flags)								\
	{									\
		ROW(OP_ADD, ROW_TO_MEM | (flags)), ROW(OP_OR, ROW_TO_MEM | (flags)),	\
		ROW(OP_ADC, ROW_TO_MEM | (flags)), ROW(OP_SBB, ROW_TO_MEM | (flags)),	\
		ROW(OP_AND, ROW_TO_MEM | (flags)), ROW(OP_SUB, ROW_TO_MEM | (flags)),	\
		ROW(OP_XOR, ROW_TO_MEM | (flags)), ROW(OP_CMP, ROW_TO_MEM | (flags)),	\
	}

static const struct row groups[][8] = {
	[GROUP_80] = ARITHMETIC(ROW_BYTE | ROW_IMM8),
	[GROUP_81] = ARITHMETIC(ROW_IMM),
	[GROUP_83] = ARITHMETIC(ROW_IMM8),
	[GROUP_8F] = { ROW(OP_POP, ROW_TO_MEM | ROW_STACK) },
	[GROUP_C6] = { ROW(OP_MOV, ROW_TO_MEM | ROW_BYTE | ROW_IMM8) },
	[GROUP_C7] = { ROW(OP_MOV, ROW_TO_MEM | ROW_IMM) },
	[GROUP_F6] = {
		[0 ... 1] = ROW(OP_TEST, ROW_TO_MEM | ROW_BYTE | ROW_IMM8),
		[2] = ROW(OP_NOT, ROW_TO_MEM | ROW_BYTE), [3] = ROW(OP_NEG, ROW_TO_MEM | ROW_BYTE),
	},
	[GROUP_F7] = {
		[0 ... 1] = ROW(OP_TEST, ROW_TO_MEM | ROW_IMM),
		[2] = ROW(OP_NOT, ROW_TO_MEM), [3] = ROW(OP_NEG, ROW_TO_MEM),
	},
	[GROUP_FE] = { ROW(OP_INC, ROW_TO_MEM | ROW_BYTE), ROW(OP_DEC, ROW_TO_MEM | ROW_BYTE) },
	[GROUP_FF] = {
		[0] = ROW(OP_INC, ROW_TO_MEM), [1] = ROW(OP_DEC, ROW_TO_MEM),
		[6] = ROW(OP_PUSH, ROW_STACK),
	},
	[GROUP_BA] = {
		[4] = ROW(OP_BT, ROW_TO_MEM | ROW_IMM8), [5] = ROW(OP_BTS, ROW_TO_MEM | ROW_IMM8),
		[6] = ROW(OP_BTR, ROW_TO_MEM | ROW_IMM8), [7] = ROW(OP_BTC, ROW_TO_MEM | ROW_IMM8),
	},
};

#define OPERANDS(opcode, op)					\
	[(opcode) + 0] = ROW(op, ROW_TO_MEM | ROW_BYTE),	\
	[(opcode) + 1] = ROW(op, ROW_TO_MEM),			\
	[(opcode) + 2] = ROW(op, ROW_BYTE),		\
	[(opcode) + 3] = ROW(op, 0)

static const struct row one_byte[256] = {
	OPERANDS(0x00, OP_ADD), OPERANDS(0x08, OP_OR), OPERANDS(0x10, OP_ADC), OPERANDS(0x18, OP_SBB),
	OPERANDS(0x20, OP_AND), OPERANDS(0x28, OP_SUB), OPERANDS(0x30, OP_XOR), OPERANDS(0x38, OP_CMP),
	[0x0f] = { ROW_ESCAPE, 0, 0 },
	[0x26] = PREFIX, [0x2e] = PREFIX, [0x36] = PREFIX, [0x3e] = PREFIX,
	[0x40 ... 0x4f] = { ROW_REX, 0, 0 },
	[0x63] = ROW(OP_MOVSX, ROW_EXTEND32),
	[0x64 ... 0x67] = PREFIX,
	[0x80] = GROUP(GROUP_80), [0x81] = GROUP(GROUP_81), [0x83] = GROUP(GROUP_83),
	[0x84] = ROW(OP_TEST, ROW_TO_MEM | ROW_BYTE), [0x85] = ROW(OP_TEST, ROW_TO_MEM),
	[0x86] = ROW(OP_XCHG, ROW_TO_MEM | ROW_BYTE), [0x87] = ROW(OP_XCHG, ROW_TO_MEM),
	OPERANDS(0x88, OP_MOV),
	[0x8f] = GROUP(GROUP_8F),
	[0xa0] = ROW(OP_MOV, ROW_OFFSET | ROW_BYTE), [0xa1] = ROW(OP_MOV, ROW_OFFSET),
	[0xa2] = ROW(OP_MOV, ROW_OFFSET | ROW_TO_MEM | ROW_BYTE), [0xa3] = ROW(OP_MOV, ROW_OFFSET | ROW_TO_MEM),
	[0xa4] = ROW(OP_MOVS, ROW_STRING | ROW_BYTE), [0xa5] = ROW(OP_MOVS, ROW_STRING),
	[0xaa] = ROW(OP_STOS, ROW_STRING | ROW_BYTE), [0xab] = ROW(OP_STOS, ROW_STRING),
	[0xac] = ROW(OP_LODS, ROW_STRING | ROW_BYTE), [0xad] = ROW(OP_LODS, ROW_STRING),
	[0xc6] = GROUP(GROUP_C6), [0xc7] = GROUP(GROUP_C7),
	[0xf0] = PREFIX, [0xf2] = PREFIX, [0xf3] = PREFIX,
	[0xf6] = GROUP(GROUP_F6), [0xf7] = GROUP(GROUP_F7),
	[0xfe] = GROUP(GROUP_FE), [0xff] = GROUP(GROUP_FF),
};

static const struct row two_byte[256] = {
	[0x10] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66),			/* movups, movupd */
	[0x11] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 | ROW_TO_MEM),
	[0x28] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66),			/* movaps, movapd */
	[0x29] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 | ROW_TO_MEM),
	[0x2b] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 | ROW_TO_MEM),	/* movntps, movntpd */
	[0x6f] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_66 | ROW_ON_F3),			/* movdqa, movdqu */
	[0x7f] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_66 | ROW_ON_F3 | ROW_TO_MEM),
	[0xe7] = ROW(OP_MOVXMM, ROW_XMM | ROW_ON_66 | ROW_TO_MEM),			/* movntdq */
	[0xa3] = ROW(OP_BT, ROW_TO_MEM), [0xab] = ROW(OP_BTS, ROW_TO_MEM),
	[0xb3] = ROW(OP_BTR, ROW_TO_MEM), [0xbb] = ROW(OP_BTC, ROW_TO_MEM),
	[0xb0] = ROW(OP_CMPXCHG, ROW_TO_MEM | ROW_BYTE), [0xb1] = ROW(OP_CMPXCHG, ROW_TO_MEM),
	[0xb6] = ROW(OP_MOVZX, ROW_EXTEND8), [0xb7] = ROW(OP_MOVZX, ROW_EXTEND16),
	[0xba] = GROUP(GROUP_BA),
	[0xbe] = ROW(OP_MOVSX, ROW_EXTEND8), [0xbf] = ROW(OP_MOVSX, ROW_EXTEND16),
	[0xc0] = ROW(OP_XADD, ROW_TO_MEM | ROW_BYTE), [0xc1] = ROW(OP_XADD, ROW_TO_MEM),
	[0xc3] = ROW(OP_MOV, ROW_TO_MEM | ROW_DWORD | ROW_ON_NONE),			/* movnti */
};

/* The prefixes of an instruction, in one word: most have none, or only REX. */
enum {
	REX_B		= 1 << 0,
	REX_X		= 1 << 1,
	REX_R		= 1 << 2,
	REX_W		= 1 << 3,
	REX		= 1 << 6,	/* the byte as it is in the instruction: 0x40 to 0x4f */
	REX_MASK	= 0xff,
	PREFIX_66	= 1 << 8,
	PREFIX_67	= 1 << 9,
	PREFIX_LOCK	= 1 << 10,
	PREFIX_F2	= 1 << 11,	/* of these two the last one counts */
	PREFIX_F3	= 1 << 12,
	PREFIX_SEGMENT	= 1 << 13,	/* with the segment's number above */
	SEGMENT_SHIFT	= 14,
};

struct cursor {
	const u8 *next;
	const u8 *end;
};

/* An unaligned little-endian number of the instruction. */
union number {
	u16 u16;
	u32 u32;
	u64 u64;
} __attribute__((packed, may_alias));

static inline bool lacks(const struct cursor *c, size_t bytes)
{
	return (size_t)(c->end - c->next) < bytes;
}

/* Takes a sign-extended number of 1, 2, 4 or 8 bytes. */
static inline bool take_number(struct cursor *c, unsigned int bytes, s64 *value)
{
	const union number *n = (const void *)c->next;

	if (lacks(c, bytes))
		return false;
	c->next += bytes;
	if (bytes == 4)
		*value = (s32)n->u32;
	else if (bytes == 1)
		*value = *(const s8 *)n;
	else if (bytes == 2)
		*value = (s16)n->u16;
	else
		*value = (s64)n->u64;
	return true;
}

static u32 add_prefix(u32 prefixes, u8 byte, enum decode_mode mode)
{
	u32 others = prefixes & (PREFIX_SEGMENT - 1);

	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e:
		/* 64-bit mode ignores them, also behind one that counts */
		if (mode == DECODE_64)
			return prefixes;
		return others | PREFIX_SEGMENT | ((byte >> 3) & 3) << SEGMENT_SHIFT;
	case 0x64: case 0x65:
		return others | PREFIX_SEGMENT | (SEGMENT_FS + (byte & 1)) << SEGMENT_SHIFT;
	case 0x66:
		return prefixes | PREFIX_66;
	case 0x67:
		return prefixes | PREFIX_67;
	case 0xf0:
		return prefixes | PREFIX_LOCK;
	default:
		prefixes &= ~(PREFIX_F2 | PREFIX_F3);
		return prefixes | (byte == 0xf2 ? PREFIX_F2 : PREFIX_F3);
	}
}

/* Prefixes and opcode; NULL where the bytes end. At most 15 rounds: the cursor ends there. */
static inline const struct row *take_opcode(struct cursor *c, u32 *prefixes, enum decode_mode mode)
{
	while (!lacks(c, 1)) {
		u8 byte = *c->next++;
		const struct row *row = &one_byte[byte];

		if (row->op <= ROW_GROUP)
			return row;
		if (row->op == ROW_ESCAPE)
			return lacks(c, 1) ? NULL : &two_byte[*c->next++];
		*prefixes &= ~REX_MASK;		/* REX counts directly before the opcode only */
		if (row->op == ROW_PREFIX)
			*prefixes = add_prefix(*prefixes, byte, mode);
		else if (mode == DECODE_64)
			*prefixes |= byte;
		else
			return &no_row;		/* INC or DEC of a register */
	}
	return NULL;
}

/* Whether mode and prefixes make the opcode the instruction that the row means. */
static inline bool selected(u16 how, u32 prefixes, enum decode_mode mode)
{
	if (!(how & (ROW_ON_ANY | ROW_EXTEND32)))
		return true;
	/* MOVSXD; with 16 bits vendors differ in what it reads */
	if (how & ROW_EXTEND32)
		return mode == DECODE_64 && (!(prefixes & PREFIX_66) || (prefixes & REX_W));
	if (prefixes & PREFIX_F2)
		return false;
	if (prefixes & PREFIX_F3)
		return how & ROW_ON_F3;
	return how & (prefixes & PREFIX_66 ? ROW_ON_66 : ROW_ON_NONE);
}

/* Sizes and register of the opcodes that are not simply of the operand size. */
static inline void set_special(struct decoded *d, u16 how, u32 prefixes)
{
	if (how & ROW_BYTE) {
		d->size = d->reg_size = 1;
		if (!(prefixes & REX) && d->reg >= 4) {
			d->reg -= 4;
			d->flags |= DECODED_HIGH_BYTE;
		}
	} else if (how & ROW_EXTEND8) {
		d->size = 1;
	} else if (how & ROW_EXTEND16) {
		d->size = 2;
	} else if (how & ROW_EXTEND32) {
		d->size = 4;
	} else if ((how & ROW_STACK) && d->mode == DECODE_64 && d->size == 4) {
		d->size = d->reg_size = 8;
	} else if ((how & ROW_DWORD) && d->size == 2) {
		d->size = d->reg_size = 4;
	} else if (how & ROW_XMM) {
		d->size = d->reg_size = 16;
	}
}

/* Returns the bytes of displacement that follow. */
static unsigned int address16(struct decoded *d, u8 modrm)
{
	static const u8 base[8] = { REG_RBX, REG_RBX, REG_RBP, REG_RBP, REG_RSI, REG_RDI, REG_RBP, REG_RBX };
	static const u8 index[8] = { REG_RSI, REG_RDI, REG_RSI, REG_RDI, REG_NONE, REG_NONE, REG_NONE, REG_NONE };
	u8 mod = modrm >> 6, rm = modrm & 7;

	if (mod == 0 && rm == 6)
		return 2;
	d->base = base[rm];
	d->index = index[rm];
	if (d->base == REG_RBP)
		d->segment = SEGMENT_SS;
	return mod;		/* 0, 1, 2: that many bytes */
}

/* The same for 32-bit and 64-bit addresses. */
static inline unsigned int address32(struct decoded *d, u8 modrm, u8 sib, u32 prefixes)
{
	u8 mod = modrm >> 6, base = modrm & 7;

	if (base == 4) {
		u8 index = ((sib >> 3) & 7) | ((prefixes & REX_X) << 2);

		if (index != 4) {
			d->index = index;
			d->scale = sib >> 6;
		}
		base = sib & 7;
		if (base == 5 && mod == 0)
			return 4;
	} else if (base == 5 && mod == 0) {
		d->base = d->mode == DECODE_64 ? REG_RIP : REG_NONE;
		return 4;
	}
	base |= (prefixes & REX_B) << 3;
	d->base = base;
	if (base == REG_RSP || base == REG_RBP)
		d->segment = SEGMENT_SS;
	return mod == 2 ? 4 : mod;
}

/* The memory operand that ModRM names, with SIB and displacement. A call would cost the hot path 20 instructions. */
static inline __attribute__((always_inline))
bool take_address(struct cursor *c, struct decoded *d, u8 modrm, u32 prefixes)
{
	unsigned int bytes;

	if (d->address_size == 2) {
		bytes = address16(d, modrm);
	} else {
		u8 sib = 0;

		if ((modrm & 7) == 4) {
			if (lacks(c, 1))
				return false;
			sib = *c->next++;
		}
		bytes = address32(d, modrm, sib, prefixes);
	}
	return !bytes || take_number(c, bytes, &d->displacement);
}

static inline bool take_immediate(struct cursor *c, struct decoded *d, u16 how)
{
	unsigned int bytes = d->size > 4 ? 4 : d->size;
	s64 value;

	if (!(how & (ROW_IMM8 | ROW_IMM)))
		return true;
	if (!take_number(c, how & ROW_IMM8 ? 1 : bytes, &value))
		return false;
	d->immediate = (u64)value;
	d->flags |= DECODED_IMMEDIATE;
	return true;
}

static inline u8 reg_field(u8 modrm, u32 prefixes)
{
	return ((modrm >> 3) & 7) | ((prefixes & REX_R) << 1);
}

/* Operands of the opcodes for which their row says how; apart from the others, which are most and have to be fast. */
static bool __attribute__((noinline)) take_special(struct cursor *c, struct decoded *d, u8 modrm, u16 how, u32 prefixes)
{
	d->reg = how & (ROW_OFFSET | ROW_STRING) ? REG_RAX : reg_field(modrm, prefixes);
	set_special(d, how, prefixes);
	if (how & ROW_STRING)
		return true;
	if (how & ROW_OFFSET)
		return take_number(c, d->address_size, &d->displacement);
	return take_address(c, d, modrm, prefixes) && take_immediate(c, d, how);
}

static inline bool take_operands(struct cursor *c, struct decoded *d, u8 modrm, u16 how, u32 prefixes)
{
	if (how & ~ROW_TO_MEM) {
		struct cursor at = *c;		/* so that *c stays in registers */
		bool whole = take_special(&at, d, modrm, how, prefixes);

		c->next = at.next;
		return whole;
	}
	d->reg = reg_field(modrm, prefixes);
	return take_address(c, d, modrm, prefixes);
}

/* What the legacy prefixes other than sizes mean for this operation; false where they make it none. */
static bool apply_prefixes(struct decoded *d, u16 how, u32 prefixes)
{
	if (prefixes & PREFIX_SEGMENT)
		d->segment = prefixes >> SEGMENT_SHIFT;
	if ((prefixes & (PREFIX_F2 | PREFIX_F3)) && (how & ROW_STRING))
		d->flags |= DECODED_REP;
	if (!(prefixes & PREFIX_LOCK))
		return true;
	d->flags |= DECODED_LOCK;
	return (BIT(d->op) & LOCK_OPS) && (how & ROW_TO_MEM);
}

/* The sizes that 66, 67 and REX.W give. */
static void set_sizes(struct decoded *d, u32 prefixes)
{
	if (prefixes & REX_W)
		d->size = 8;
	else if (prefixes & PREFIX_66)
		d->size = d->mode == DECODE_16 ? 4 : 2;
	d->reg_size = d->size;
	if (prefixes & PREFIX_67)
		d->address_size = d->mode == DECODE_32 ? 2 : 4;
}

/* An instruction without prefixes, before its operation and operands are known. */
#define NOTHING_YET(mode_, size_, address_size_)						\
	[mode_] = {										\
		.mode = mode_, .size = size_, .reg_size = size_, .address_size = address_size_,	\
		.segment = SEGMENT_DS, .base = REG_NONE, .index = REG_NONE,			\
	}

static const struct decoded nothing_yet[] = {
	NOTHING_YET(DECODE_16, 2, 2), NOTHING_YET(DECODE_32, 4, 4), NOTHING_YET(DECODE_64, 4, 8),
};

/* The row of the instruction, by its ModRM where there is one; &no_row for those without a memory operand. */
static inline const struct row *take_modrm(struct cursor *c, const struct row *row, u8 *modrm)
{
	if (row->op == OP_NONE || (row->how & (ROW_OFFSET | ROW_STRING)))
		return row;
	if (lacks(c, 1))
		return NULL;
	*modrm = *c->next++;
	if (*modrm >= 0xc0)
		return &no_row;
	return row->op == ROW_GROUP ? &groups[row->flags][(*modrm >> 3) & 7] : row;
}

static inline enum decode_result at_end(size_t length)
{
	return length < DECODE_MAX_LENGTH ? DECODE_TRUNCATED : DECODE_UNKNOWN;
}

enum decode_result decode(const u8 *bytes, size_t length, enum decode_mode mode, struct decoded *d)
{
	struct cursor c = { bytes, bytes + (length < DECODE_MAX_LENGTH ? length : DECODE_MAX_LENGTH) };
	u32 prefixes = 0;
	const struct row *row = take_opcode(&c, &prefixes, mode);
	u8 modrm = 0;

	if (row)
		row = take_modrm(&c, row, &modrm);
	if (!row)
		return at_end(length);
	if (row->op == OP_NONE || !selected(row->how, prefixes, mode))
		return DECODE_UNKNOWN;
	*d = nothing_yet[mode];
	d->op = row->op;
	d->flags = row->flags;
	if (prefixes)
		set_sizes(d, prefixes);
	if (!take_operands(&c, d, modrm, row->how, prefixes))
		return at_end(length);
	if (prefixes >= PREFIX_LOCK && !apply_prefixes(d, row->how, prefixes))
		return DECODE_UNKNOWN;
	d->length = c.next - bytes;
	return DECODE_OK;
}
