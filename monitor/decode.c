// SPDX-License-Identifier: GPL-2.0-only
/*
 * From instruction bytes to struct decoded, driven by three tables: one-byte opcodes, 0F opcodes, and the groups that
 * the reg field of ModRM selects from. A form that is in no table is DECODE_UNKNOWN; so is every form without a memory
 * operand, since that cannot be what a device was reached with.
 *
 * Intel SDM volume 2, chapter 2 and appendix A.
 */
#include "decode.h"

/* How an opcode takes its operands. */
enum {
	ROW_TO_MEM	= 1 << 0,	/* the memory operand is the destination */
	ROW_BYTE	= 1 << 1,	/* 8-bit operands */
	ROW_IMM8	= 1 << 2,	/* an immediate byte, sign-extended */
	ROW_IMM		= 1 << 3,	/* an immediate of the operand size, at most 4 bytes, sign-extended */
	ROW_OFFSET	= 1 << 4,	/* no ModRM: rAX and an absolute address */
	ROW_STRING	= 1 << 5,	/* no ModRM: rSI, rDI, rAX */
	ROW_EXTEND8	= 1 << 6,	/* the memory operand has 1 byte, the register the operand size */
	ROW_EXTEND16	= 1 << 7,	/* 2 bytes */
	ROW_EXTEND32	= 1 << 8,	/* 4 bytes; 64-bit mode only */
	ROW_STACK	= 1 << 9,	/* 8 bytes in 64-bit mode, unless there is a 66 prefix */
	ROW_DWORD	= 1 << 10,	/* 4 bytes or, with REX.W, 8 */
	ROW_XMM		= 1 << 11,	/* 16 bytes, an XMM register */

	/* Where a prefix selects the instruction: those that are this one. No bit: they select nothing. */
	ROW_ON_NONE	= 1 << 12,
	ROW_ON_66	= 1 << 13,
	ROW_ON_F3	= 1 << 14,
	ROW_ON_ANY	= ROW_ON_NONE | ROW_ON_66 | ROW_ON_F3,
};

/* Pseudo operations of the tables, behind the true ones. */
enum {
	ROW_PREFIX = OP_MOVXMM + 1,
	ROW_REX,
	ROW_ESCAPE,			/* 0F */
	ROW_GROUP,			/* flags: the group's number */
};

struct row {
	u8 op;
	u16 flags;
};

enum { GROUP_80, GROUP_81, GROUP_83, GROUP_8F, GROUP_C6, GROUP_C7, GROUP_F6, GROUP_F7, GROUP_FE, GROUP_FF, GROUP_BA };

#define ARITHMETIC(flags)								\
	{									\
		{ OP_ADD, ROW_TO_MEM | (flags) }, { OP_OR,  ROW_TO_MEM | (flags) },	\
		{ OP_ADC, ROW_TO_MEM | (flags) }, { OP_SBB, ROW_TO_MEM | (flags) },	\
		{ OP_AND, ROW_TO_MEM | (flags) }, { OP_SUB, ROW_TO_MEM | (flags) },	\
		{ OP_XOR, ROW_TO_MEM | (flags) }, { OP_CMP, ROW_TO_MEM | (flags) },	\
	}

static const struct row groups[][8] = {
	[GROUP_80] = ARITHMETIC(ROW_BYTE | ROW_IMM8),
	[GROUP_81] = ARITHMETIC(ROW_IMM),
	[GROUP_83] = ARITHMETIC(ROW_IMM8),
	[GROUP_8F] = { { OP_POP, ROW_TO_MEM | ROW_STACK } },
	[GROUP_C6] = { { OP_MOV, ROW_TO_MEM | ROW_BYTE | ROW_IMM8 } },
	[GROUP_C7] = { { OP_MOV, ROW_TO_MEM | ROW_IMM } },
	[GROUP_F6] = {
		[0 ... 1] = { OP_TEST, ROW_TO_MEM | ROW_BYTE | ROW_IMM8 },
		[2] = { OP_NOT, ROW_TO_MEM | ROW_BYTE }, [3] = { OP_NEG, ROW_TO_MEM | ROW_BYTE },
	},
	[GROUP_F7] = {
		[0 ... 1] = { OP_TEST, ROW_TO_MEM | ROW_IMM },
		[2] = { OP_NOT, ROW_TO_MEM }, [3] = { OP_NEG, ROW_TO_MEM },
	},
	[GROUP_FE] = { { OP_INC, ROW_TO_MEM | ROW_BYTE }, { OP_DEC, ROW_TO_MEM | ROW_BYTE } },
	[GROUP_FF] = {
		[0] = { OP_INC, ROW_TO_MEM }, [1] = { OP_DEC, ROW_TO_MEM },
		[6] = { OP_PUSH, ROW_STACK },
	},
	[GROUP_BA] = {
		[4] = { OP_BT,  ROW_TO_MEM | ROW_IMM8 }, [5] = { OP_BTS, ROW_TO_MEM | ROW_IMM8 },
		[6] = { OP_BTR, ROW_TO_MEM | ROW_IMM8 }, [7] = { OP_BTC, ROW_TO_MEM | ROW_IMM8 },
	},
};

#define OPERANDS(opcode, op)					\
	[(opcode) + 0] = { op, ROW_TO_MEM | ROW_BYTE },		\
	[(opcode) + 1] = { op, ROW_TO_MEM },			\
	[(opcode) + 2] = { op, ROW_BYTE },			\
	[(opcode) + 3] = { op, 0 }

static const struct row one_byte[256] = {
	OPERANDS(0x00, OP_ADD), OPERANDS(0x08, OP_OR), OPERANDS(0x10, OP_ADC), OPERANDS(0x18, OP_SBB),
	OPERANDS(0x20, OP_AND), OPERANDS(0x28, OP_SUB), OPERANDS(0x30, OP_XOR), OPERANDS(0x38, OP_CMP),
	[0x0f] = { ROW_ESCAPE, 0 },
	[0x26] = { ROW_PREFIX, 0 }, [0x2e] = { ROW_PREFIX, 0 }, [0x36] = { ROW_PREFIX, 0 }, [0x3e] = { ROW_PREFIX, 0 },
	[0x40 ... 0x4f] = { ROW_REX, 0 },
	[0x63] = { OP_MOVSX, ROW_EXTEND32 },
	[0x64 ... 0x67] = { ROW_PREFIX, 0 },
	[0x80] = { ROW_GROUP, GROUP_80 }, [0x81] = { ROW_GROUP, GROUP_81 }, [0x83] = { ROW_GROUP, GROUP_83 },
	[0x84] = { OP_TEST, ROW_TO_MEM | ROW_BYTE }, [0x85] = { OP_TEST, ROW_TO_MEM },
	[0x86] = { OP_XCHG, ROW_TO_MEM | ROW_BYTE }, [0x87] = { OP_XCHG, ROW_TO_MEM },
	OPERANDS(0x88, OP_MOV),
	[0x8f] = { ROW_GROUP, GROUP_8F },
	[0xa0] = { OP_MOV, ROW_OFFSET | ROW_BYTE }, [0xa1] = { OP_MOV, ROW_OFFSET },
	[0xa2] = { OP_MOV, ROW_OFFSET | ROW_TO_MEM | ROW_BYTE }, [0xa3] = { OP_MOV, ROW_OFFSET | ROW_TO_MEM },
	[0xa4] = { OP_MOVS, ROW_STRING | ROW_BYTE }, [0xa5] = { OP_MOVS, ROW_STRING },
	[0xaa] = { OP_STOS, ROW_STRING | ROW_BYTE }, [0xab] = { OP_STOS, ROW_STRING },
	[0xac] = { OP_LODS, ROW_STRING | ROW_BYTE }, [0xad] = { OP_LODS, ROW_STRING },
	[0xc6] = { ROW_GROUP, GROUP_C6 }, [0xc7] = { ROW_GROUP, GROUP_C7 },
	[0xf0] = { ROW_PREFIX, 0 }, [0xf2] = { ROW_PREFIX, 0 }, [0xf3] = { ROW_PREFIX, 0 },
	[0xf6] = { ROW_GROUP, GROUP_F6 }, [0xf7] = { ROW_GROUP, GROUP_F7 },
	[0xfe] = { ROW_GROUP, GROUP_FE }, [0xff] = { ROW_GROUP, GROUP_FF },
};

static const struct row two_byte[256] = {
	[0x10] = { OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 },			/* movups, movupd */
	[0x11] = { OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 | ROW_TO_MEM },
	[0x28] = { OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 },			/* movaps, movapd */
	[0x29] = { OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 | ROW_TO_MEM },
	[0x2b] = { OP_MOVXMM, ROW_XMM | ROW_ON_NONE | ROW_ON_66 | ROW_TO_MEM },	/* movntps, movntpd */
	[0x6f] = { OP_MOVXMM, ROW_XMM | ROW_ON_66 | ROW_ON_F3 },			/* movdqa, movdqu */
	[0x7f] = { OP_MOVXMM, ROW_XMM | ROW_ON_66 | ROW_ON_F3 | ROW_TO_MEM },
	[0xe7] = { OP_MOVXMM, ROW_XMM | ROW_ON_66 | ROW_TO_MEM },			/* movntdq */
	[0xa3] = { OP_BT, ROW_TO_MEM }, [0xab] = { OP_BTS, ROW_TO_MEM },
	[0xb3] = { OP_BTR, ROW_TO_MEM }, [0xbb] = { OP_BTC, ROW_TO_MEM },
	[0xb0] = { OP_CMPXCHG, ROW_TO_MEM | ROW_BYTE }, [0xb1] = { OP_CMPXCHG, ROW_TO_MEM },
	[0xb6] = { OP_MOVZX, ROW_EXTEND8 }, [0xb7] = { OP_MOVZX, ROW_EXTEND16 },
	[0xba] = { ROW_GROUP, GROUP_BA },
	[0xbe] = { OP_MOVSX, ROW_EXTEND8 }, [0xbf] = { OP_MOVSX, ROW_EXTEND16 },
	[0xc0] = { OP_XADD, ROW_TO_MEM | ROW_BYTE }, [0xc1] = { OP_XADD, ROW_TO_MEM },
	[0xc3] = { OP_MOV, ROW_TO_MEM | ROW_DWORD | ROW_ON_NONE },			/* movnti */
};

#define BIT(op)		(1u << (op))
#define ARITHMETIC_OPS	(BIT(OP_ADD) | BIT(OP_OR) | BIT(OP_ADC) | BIT(OP_SBB) | BIT(OP_AND) | BIT(OP_SUB) | BIT(OP_XOR))
#define BIT_OPS		(BIT(OP_BTS) | BIT(OP_BTR) | BIT(OP_BTC))
#define LOCK_OPS	(ARITHMETIC_OPS | BIT_OPS | BIT(OP_NOT) | BIT(OP_NEG) | BIT(OP_INC) | BIT(OP_DEC) | \
			 BIT(OP_XADD) | BIT(OP_CMPXCHG) | BIT(OP_XCHG))
#define STRING_OPS	(BIT(OP_MOVS) | BIT(OP_STOS) | BIT(OP_LODS))
#define RFLAGS_OPS	(ARITHMETIC_OPS | BIT_OPS | BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_NEG) | BIT(OP_INC) | BIT(OP_DEC) | \
			 BIT(OP_BT) | BIT(OP_XADD) | BIT(OP_CMPXCHG) | STRING_OPS)

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8, REX = 0x40 };

struct prefixes {
	u8 rex;			/* 0: none */
	u8 repeat;		/* F2, F3 or 0: the last one counts */
	u8 segment;		/* an override, or NO_SEGMENT */
	bool operand_size;	/* 66 */
	bool address_size;	/* 67 */
	bool lock;		/* F0 */
};

#define NO_SEGMENT	0xff

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
	switch (bytes) {
	case 1:
		*value = (s8)*c->next;
		break;
	case 2:
		*value = (s16)n->u16;
		break;
	case 4:
		*value = (s32)n->u32;
		break;
	default:
		*value = (s64)n->u64;
	}
	c->next += bytes;
	return true;
}

static void take_prefix(struct prefixes *p, u8 byte, enum decode_mode mode)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e:
		/* 64-bit mode ignores them, also behind one that counts */
		if (mode != DECODE_64)
			p->segment = (byte >> 3) & 3;
		break;
	case 0x64: case 0x65:
		p->segment = SEGMENT_FS + (byte & 1);
		break;
	case 0x66:
		p->operand_size = true;
		break;
	case 0x67:
		p->address_size = true;
		break;
	case 0xf0:
		p->lock = true;
		break;
	default:
		p->repeat = byte;
	}
}

/* Prefixes and opcode; NULL where the bytes end. At most 15 rounds: the cursor ends there. */
static inline const struct row *take_opcode(struct cursor *c, struct prefixes *p, enum decode_mode mode)
{
	while (!lacks(c, 1)) {
		u8 byte = *c->next++;
		const struct row *row = &one_byte[byte];

		if (row->op < ROW_PREFIX || row->op == ROW_GROUP)
			return row;
		if (row->op == ROW_ESCAPE)
			return lacks(c, 1) ? NULL : &two_byte[*c->next++];
		if (row->op == ROW_REX) {
			if (mode != DECODE_64)
				return &one_byte[0x82];		/* INC and DEC of a register: an unknown row */
			p->rex = byte;
			continue;
		}
		p->rex = 0;		/* REX counts directly before the opcode only */
		take_prefix(p, byte, mode);
	}
	return NULL;
}

/* Whether mode and prefixes make the opcode the instruction that the row means. */
static inline bool selected(const struct row *row, const struct prefixes *p, enum decode_mode mode)
{
	/* MOVSXD; with 16 bits vendors differ in what it reads */
	if (row->flags & ROW_EXTEND32)
		return mode == DECODE_64 && (!p->operand_size || (p->rex & REX_W));
	if (!(row->flags & ROW_ON_ANY))
		return true;
	if (p->repeat)
		return p->repeat == 0xf3 && (row->flags & ROW_ON_F3);
	return row->flags & (p->operand_size ? ROW_ON_66 : ROW_ON_NONE);
}

static inline void set_sizes(struct decoded *d, u16 flags, const struct prefixes *p)
{
	bool wide = (d->mode != DECODE_16) != p->operand_size;

	d->reg_size = (p->rex & REX_W) ? 8 : wide ? 4 : 2;
	if (flags & ROW_BYTE)
		d->reg_size = 1;
	else if ((flags & ROW_STACK) && d->mode == DECODE_64)
		d->reg_size = p->operand_size && !(p->rex & REX_W) ? 2 : 8;
	else if (flags & ROW_DWORD)
		d->reg_size = (p->rex & REX_W) ? 8 : 4;
	else if (flags & ROW_XMM)
		d->reg_size = 16;
	d->size = d->reg_size;
	if (flags & ROW_EXTEND8)
		d->size = 1;
	else if (flags & ROW_EXTEND16)
		d->size = 2;
	else if ((flags & ROW_EXTEND32) && d->size > 4)
		d->size = 4;
}

static inline void set_register(struct decoded *d, u8 modrm, u16 flags, const struct prefixes *p)
{
	d->reg = ((modrm >> 3) & 7) | ((p->rex & REX_R) << 1);
	if ((flags & ROW_BYTE) && !p->rex && d->reg >= 4) {
		d->reg -= 4;
		d->flags |= DECODED_HIGH_BYTE;
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
static inline unsigned int address32(struct decoded *d, u8 modrm, u8 sib, u8 rex)
{
	u8 mod = modrm >> 6, base = modrm & 7;

	if (base == 4) {
		u8 index = ((sib >> 3) & 7) | ((rex & REX_X) << 2);

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
	d->base = base | ((rex & REX_B) << 3);
	if (d->base == REG_RSP || d->base == REG_RBP)
		d->segment = SEGMENT_SS;
	return mod == 2 ? 4 : mod;
}

/* The memory operand that ModRM names, including SIB and displacement. */
static inline bool take_address(struct cursor *c, struct decoded *d, u8 modrm, u8 rex)
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
		bytes = address32(d, modrm, sib, rex);
	}
	return !bytes || take_number(c, bytes, &d->displacement);
}

static inline bool take_immediate(struct cursor *c, struct decoded *d, u16 flags)
{
	unsigned int bytes = d->size > 4 ? 4 : d->size;
	s64 value;

	if (!(flags & (ROW_IMM8 | ROW_IMM)))
		return true;
	if (!take_number(c, flags & ROW_IMM8 ? 1 : bytes, &value))
		return false;
	d->immediate = (u64)value;
	d->flags |= DECODED_IMMEDIATE;
	return true;
}

static inline bool take_operands(struct cursor *c, struct decoded *d, u8 modrm, u16 flags, const struct prefixes *p)
{
	set_sizes(d, flags, p);
	if (flags & ROW_OFFSET)
		return take_number(c, d->address_size, &d->displacement);
	if (flags & ROW_STRING)
		return true;
	set_register(d, modrm, flags, p);
	return take_address(c, d, modrm, p->rex) && take_immediate(c, d, flags);
}

static inline bool set_op(struct decoded *d, const struct row *row, const struct prefixes *p)
{
	d->op = row->op;
	if (row->flags & ROW_TO_MEM)
		d->flags |= DECODED_TO_MEMORY;
	if (BIT(row->op) & RFLAGS_OPS)
		d->flags |= DECODED_RFLAGS;
	if (p->repeat && (row->flags & ROW_STRING))
		d->flags |= DECODED_REP;
	if (p->lock) {
		if (!(BIT(row->op) & LOCK_OPS) || !(row->flags & ROW_TO_MEM))
			return false;
		d->flags |= DECODED_LOCK;
	}
	if (p->segment != NO_SEGMENT)
		d->segment = p->segment;
	return true;
}

static inline void decoded_init(struct decoded *d, enum decode_mode mode, bool other_address_size)
{
	static const u8 sizes[2][3] = { { 2, 4, 8 }, { 4, 2, 4 } };

	*d = (struct decoded) {
		.mode = mode,
		.segment = SEGMENT_DS,
		.base = REG_NONE,
		.index = REG_NONE,
		.address_size = sizes[other_address_size][mode],
	};
}

enum decode_result decode(const u8 *bytes, size_t length, enum decode_mode mode, struct decoded *d)
{
	bool whole = length >= DECODE_MAX_LENGTH;
	enum decode_result at_end = whole ? DECODE_UNKNOWN : DECODE_TRUNCATED;
	struct cursor c = { bytes, bytes + (whole ? DECODE_MAX_LENGTH : length) };
	struct prefixes p = { .segment = NO_SEGMENT };
	const struct row *row = take_opcode(&c, &p, mode);
	u8 modrm = 0;

	if (!row)
		return at_end;
	if (row->op == OP_NONE)
		return DECODE_UNKNOWN;
	if (!(row->flags & (ROW_OFFSET | ROW_STRING)) || row->op == ROW_GROUP) {
		if (lacks(&c, 1))
			return at_end;
		modrm = *c.next++;
		if (row->op == ROW_GROUP)
			row = &groups[row->flags][(modrm >> 3) & 7];
		if (row->op == OP_NONE || modrm >> 6 == 3)
			return DECODE_UNKNOWN;
	}
	if (!selected(row, &p, mode))
		return DECODE_UNKNOWN;
	decoded_init(d, mode, p.address_size);
	if (!take_operands(&c, d, modrm, row->flags, &p))
		return at_end;
	if (!set_op(d, row, &p))
		return DECODE_UNKNOWN;
	d->length = c.next - bytes;
	return DECODE_OK;
}
