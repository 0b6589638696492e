/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction decoder for emulated MMIO, and the execution of what it decodes. docs/decoder.md tells which forms
 * it knows and how an exit uses it.
 *
 * Plain C on its arguments: no state, no guest memory other than the bytes handed in (a copy: a guest changes its code
 * under our eyes), no hardware. decode.c says what the instruction is, execute.c does it.
 */
#ifndef MONITOR_DECODE_H
#define MONITOR_DECODE_H

#include <avmm/types.h>

#define DECODE_MAX_LENGTH	15	/* of an instruction: architectural */
#define EXECUTE_MAX_ELEMENTS	512	/* of a string instruction per call: at most 4096 bytes */

/* What CS.L and CS.D of the guest say. */
enum decode_mode { DECODE_16, DECODE_32, DECODE_64 };

enum decode_result {
	DECODE_OK,
	DECODE_TRUNCATED,	/* the given bytes are the start of an instruction: give more */
	DECODE_UNKNOWN,		/* no form that the table knows, or no instruction at all */
};

enum decode_op {
	OP_NONE,
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,	/* in the order of the opcodes */
	OP_TEST, OP_NOT, OP_NEG, OP_INC, OP_DEC,
	OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_XADD, OP_CMPXCHG, OP_XCHG,
	OP_MOV, OP_MOVZX, OP_MOVSX,
	OP_MOVS, OP_STOS, OP_LODS,
	OP_PUSH, OP_POP,
	OP_MOVXMM,		/* 16 bytes between memory and an XMM register */
};

/* Segment registers in the encoding order, which is also that of the VMCS fields. */
enum decode_segment { SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS };

/* General registers in the encoding order, the order of every gpr[16] here. */
enum decode_register {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	REG_NONE,
	REG_RIP,		/* as a base only: the address of the next instruction */
};

enum {
	DECODED_TO_MEMORY	= 1 << 0,	/* memory is the destination (also of CMP and TEST: the first operand) */
	DECODED_IMMEDIATE	= 1 << 1,	/* the other operand is the immediate, not the register */
	DECODED_HIGH_BYTE	= 1 << 2,	/* reg 0 to 3 means AH, CH, DH, BH */
	DECODED_LOCK		= 1 << 3,
	DECODED_REP		= 1 << 4,
	DECODED_RFLAGS		= 1 << 5,	/* reads or changes RFLAGS; others leave execution.rflags alone */
};

struct decoded {
	u8 op;			/* enum decode_op */
	u8 length;		/* of the instruction, 1 to 15 */
	u8 mode;		/* enum decode_mode */
	u8 flags;		/* DECODED_* */
	u8 size;		/* bytes of the memory operand, of one element for strings */
	u8 reg_size;		/* bytes of the register operand: larger than size for MOVZX and MOVSX */
	u8 reg;			/* register operand: general, or XMM for OP_MOVXMM */
	u8 address_size;	/* bytes: 2, 4, 8 */
	u8 segment;		/* enum decode_segment; for strings that of the source */
	u8 base;		/* general register, REG_RIP or REG_NONE */
	u8 index;		/* general register or REG_NONE */
	u8 scale;		/* shift: 0 to 3 */
	s64 displacement;
	u64 immediate;		/* sign-extended to 64 bits */
};

/* length may be more or less than an instruction; no byte behind it is read. *d is valid with DECODE_OK only. */
enum decode_result decode(const u8 *bytes, size_t length, enum decode_mode mode, struct decoded *d);

enum execute_result {
	EXECUTE_DONE,		/* the caller advances RIP by decoded.length */
	EXECUTE_AGAIN,		/* a string with elements left: the caller leaves RIP where it is and enters the guest */
	EXECUTE_FAULT,		/* a callback has noted an exception for the guest */
	EXECUTE_REFUSED,	/* a callback cannot do it: step the instruction by other means */
};

/*
 * What the instruction reaches, all with the ctx of the execution. A result other than EXECUTE_DONE ends the
 * instruction and is passed on; then no register has changed, save for the finished elements of a string.
 * size is 1, 2, 4 or 8: 16 bytes come as two times 8. Values are zero-extended.
 */
struct execute_ops {
	enum execute_result (*read)(void *ctx, u64 linear, unsigned int size, u64 *value);
	enum execute_result (*write)(void *ctx, u64 linear, unsigned int size, u64 value);
	/* Adds the segment's base after its checks. Not called in 64-bit mode, except for FS and GS. */
	enum execute_result (*linear)(void *ctx, enum decode_segment segment, u64 offset, unsigned int size,
				      bool write, u64 *linear);
	void (*get_xmm)(void *ctx, unsigned int reg, u64 value[2]);
	void (*set_xmm)(void *ctx, unsigned int reg, const u64 value[2]);
};

struct execution {
	u64 *gpr;		/* gpr[16] in the encoding order */
	u64 rip;		/* of the instruction; looked at if decoded.base is REG_RIP */
	u64 rflags;		/* looked at and changed if DECODED_RFLAGS; TF of strings */
	u8 stack_size;		/* bytes of the stack pointer, 2 or 4 by SS.B; for OP_PUSH and OP_POP outside 64-bit mode */
	void *ctx;
	const struct execute_ops *ops;
};

enum execute_result decoded_execute(const struct decoded *d, struct execution *e);

/* The offset in its segment of the first byte of the memory operand; for strings there is no such single one. */
u64 decoded_offset(const struct decoded *d, const struct execution *e);

#endif
