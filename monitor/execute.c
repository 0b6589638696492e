// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does what decode.c found: moves the data through the callbacks and changes registers and RFLAGS as the CPU would.
 * The order within an instruction is that memory comes first and registers change last, so that a callback that fails
 * leaves the guest as it was before the instruction (or, in a string, before the element).
 *
 * Intel SDM volume 1, 3.4.3 (flags) and volume 2 (each instruction). Flags that are undefined there are left alone.
 */
#include "decode.h"

#define CF	(1ull << 0)
#define PF	(1ull << 2)
#define AF	(1ull << 4)
#define ZF	(1ull << 6)
#define SF	(1ull << 7)
#define TF	(1ull << 8)
#define DF	(1ull << 10)
#define OF	(1ull << 11)

#define BIT(op)	(1u << (op))

static inline u64 mask(unsigned int size)
{
	return ~0ull >> (64 - 8 * size);
}

static inline u64 sign_extend(u64 value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (u64)((s64)(value << shift) >> shift);
}

/* Registers: 32-bit results clear the upper half, 8-bit and 16-bit ones leave the rest alone. */
static inline void put(u64 *reg, unsigned int size, u64 value)
{
	if (size == 8)
		*reg = value;
	else if (size == 4)
		*reg = (u32)value;
	else
		*reg = (*reg & ~mask(size)) | (value & mask(size));
}

static inline u64 get_register(const struct decoded *d, const struct execution *e)
{
	unsigned int shift = d->flags & DECODED_HIGH_BYTE ? 8 : 0;

	return (e->gpr[d->reg] >> shift) & mask(d->reg_size);
}

static inline void put_register(const struct decoded *d, struct execution *e, u64 value)
{
	u64 *reg = &e->gpr[d->reg];

	if (d->flags & DECODED_HIGH_BYTE)
		*reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
	else
		put(reg, d->reg_size, value);
}

static inline u64 offset_of(const struct decoded *d, const struct execution *e)
{
	u64 offset = (u64)d->displacement;

	if (d->base < REG_NONE)
		offset += e->gpr[d->base];
	else if (d->base == REG_RIP)
		offset += e->rip + d->length;
	if (d->index < REG_NONE)
		offset += e->gpr[d->index] << d->scale;
	return d->address_size == 8 ? offset : offset & mask(d->address_size);
}

u64 decoded_offset(const struct decoded *d, const struct execution *e)
{
	return offset_of(d, e);
}

static inline enum execute_result linear(const struct decoded *d, struct execution *e, unsigned int segment, u64 offset,
					 bool write, u64 *address)
{
	if (d->mode == DECODE_64 && segment < SEGMENT_FS) {
		*address = offset;
		return EXECUTE_DONE;
	}
	return e->ops->linear(e->ctx, segment, offset, d->size, write, address);
}

static u64 logic_flags(u64 result, unsigned int size)
{
	u64 flags = 0;

	result &= mask(size);
	if (!result)
		flags |= ZF;
	if (result >> (8 * size - 1))
		flags |= SF;
	if (!(0x6996 >> ((result ^ result >> 4) & 0xf) & 1))	/* 0x6996: parity of each nibble */
		flags |= PF;
	return flags;
}

static void set_flags(struct execution *e, u64 which, u64 flags)
{
	e->rflags = (e->rflags & ~which) | (flags & which);
}

#define ALL_FLAGS	(CF | PF | AF | ZF | SF | OF)

static u64 add(struct execution *e, u64 a, u64 b, u64 carry, unsigned int size)
{
	u64 result = a + b + carry, top = 1ull << (8 * size - 1);
	u64 flags = logic_flags(result, size) | ((a ^ b ^ result) & AF);

	if (((a & b) | ((a | b) & ~result)) & top)
		flags |= CF;
	if ((a ^ result) & (b ^ result) & top)
		flags |= OF;
	set_flags(e, ALL_FLAGS, flags);
	return result;
}

static u64 subtract(struct execution *e, u64 a, u64 b, u64 borrow, unsigned int size)
{
	u64 result = a - b - borrow, top = 1ull << (8 * size - 1);
	u64 flags = logic_flags(result, size) | ((a ^ b ^ result) & AF);

	if (((~a & b) | ((~a | b) & result)) & top)
		flags |= CF;
	if ((a ^ b) & (a ^ result) & top)
		flags |= OF;
	set_flags(e, ALL_FLAGS, flags);
	return result;
}

static u64 logic(struct execution *e, u64 result, unsigned int size)
{
	set_flags(e, ALL_FLAGS & ~AF, logic_flags(result, size));
	return result;
}

/* What a result with destination a and source b is; CMP and TEST give one too, that nobody stores. */
static u64 compute(enum decode_op op, struct execution *e, u64 a, u64 b, unsigned int size)
{
	u64 bit = 1ull << (b & (8 * size - 1)), carry = e->rflags & CF, result;

	switch (op) {
	case OP_ADD: case OP_XADD:
		return add(e, a, b, 0, size);
	case OP_ADC:
		return add(e, a, b, carry, size);
	case OP_SBB:
		return subtract(e, a, b, carry, size);
	case OP_SUB: case OP_CMP:
		return subtract(e, a, b, 0, size);
	case OP_OR:
		return logic(e, a | b, size);
	case OP_AND: case OP_TEST:
		return logic(e, a & b, size);
	case OP_XOR:
		return logic(e, a ^ b, size);
	case OP_NOT:
		return ~a;
	case OP_NEG:
		return subtract(e, 0, a, 0, size);
	case OP_INC: case OP_DEC:
		result = op == OP_INC ? add(e, a, 1, 0, size) : subtract(e, a, 1, 0, size);
		set_flags(e, CF, carry);
		return result;
	case OP_BT: case OP_BTS: case OP_BTR: case OP_BTC:
		set_flags(e, CF, a & bit ? CF : 0);
		return op == OP_BTS ? a | bit : op == OP_BTR ? a & ~bit : op == OP_BTC ? a ^ bit : a;
	default:				/* XCHG */
		return b;
	}
}

/* The register bit offset of BT and its kin reaches beyond the operand: whole operands before or behind it. */
static u64 bit_string_offset(const struct decoded *d, u64 offset, u64 bit)
{
	s64 operand = (s64)sign_extend(bit, d->size) >> (d->size == 8 ? 6 : d->size == 4 ? 5 : 4);

	return (offset + (u64)operand * d->size) & mask(d->address_size);
}

/* The one that nearly all drivers use, so it is kept short. */
static inline enum execute_result execute_mov(const struct decoded *d, struct execution *e)
{
	u64 address, value;
	enum execute_result r = linear(d, e, d->segment, offset_of(d, e), d->flags & DECODED_TO_MEMORY, &address);

	if (r != EXECUTE_DONE)
		return r;
	if (d->flags & DECODED_TO_MEMORY) {
		value = d->flags & DECODED_IMMEDIATE ? d->immediate & mask(d->size) : get_register(d, e);
		return e->ops->write(e->ctx, address, d->size, value);
	}
	r = e->ops->read(e->ctx, address, d->size, &value);
	if (r == EXECUTE_DONE)
		put_register(d, e, value);
	return r;
}

/* Memory is the source: MOVZX, MOVSX and arithmetic to a register. */
static enum execute_result execute_load(const struct decoded *d, struct execution *e, u64 address)
{
	u64 value;
	enum execute_result r = e->ops->read(e->ctx, address, d->size, &value);

	if (r != EXECUTE_DONE)
		return r;
	value &= mask(d->size);
	if (d->op == OP_MOVSX)
		value = sign_extend(value, d->size);
	else if (d->op != OP_MOVZX)
		value = compute(d->op, e, get_register(d, e), value, d->size);
	if (d->op != OP_CMP)
		put_register(d, e, value);
	return EXECUTE_DONE;
}

/* The accumulator equals memory: memory gets the register. It does not: the accumulator gets memory's old value. */
static enum execute_result execute_cmpxchg(const struct decoded *d, struct execution *e, u64 address, u64 old)
{
	u64 accumulator = e->gpr[REG_RAX] & mask(d->size);
	bool equal = accumulator == old;
	enum execute_result r;

	/* the CPU writes in both cases, the old value back */
	r = e->ops->write(e->ctx, address, d->size, equal ? get_register(d, e) : old);
	if (r != EXECUTE_DONE)
		return r;
	subtract(e, accumulator, old, 0, d->size);
	if (!equal)
		put(&e->gpr[REG_RAX], d->size, old);
	return EXECUTE_DONE;
}

/* Memory is the destination, and read before. */
static enum execute_result execute_store(const struct decoded *d, struct execution *e, u64 address)
{
	u64 source = d->flags & DECODED_IMMEDIATE ? d->immediate & mask(d->size) : get_register(d, e);
	u64 flags = e->rflags, old = 0, result;
	enum execute_result r;

	r = e->ops->read(e->ctx, address, d->size, &old);
	if (r != EXECUTE_DONE)
		return r;
	old &= mask(d->size);
	if (d->op == OP_CMPXCHG)
		return execute_cmpxchg(d, e, address, old);
	result = compute(d->op, e, old, source, d->size);
	if (BIT(d->op) & (BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT)))
		return EXECUTE_DONE;
	r = e->ops->write(e->ctx, address, d->size, result & mask(d->size));
	if (r != EXECUTE_DONE)
		e->rflags = flags;
	else if (d->op == OP_XCHG || d->op == OP_XADD)
		put_register(d, e, old);
	return r;
}

static enum execute_result execute_plain(const struct decoded *d, struct execution *e)
{
	bool write = d->flags & DECODED_TO_MEMORY && !(BIT(d->op) & (BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT)));
	u64 offset = offset_of(d, e), address;
	enum execute_result r;

	if (d->op >= OP_BT && d->op <= OP_BTC && !(d->flags & DECODED_IMMEDIATE))
		offset = bit_string_offset(d, offset, get_register(d, e));
	r = linear(d, e, d->segment, offset, write, &address);
	if (r != EXECUTE_DONE)
		return r;
	return d->flags & DECODED_TO_MEMORY ? execute_store(d, e, address) : execute_load(d, e, address);
}

/* rSI and rDI walk up or down, with the width of an address. */
static void advance(const struct decoded *d, struct execution *e, enum decode_register reg)
{
	u64 step = e->rflags & DF ? -(u64)d->size : d->size;

	put(&e->gpr[reg], d->address_size, e->gpr[reg] + step);
}

static enum execute_result execute_element(const struct decoded *d, struct execution *e)
{
	u64 value = e->gpr[REG_RAX] & mask(d->size), from, to;
	enum execute_result r = EXECUTE_DONE;

	if (d->op != OP_STOS) {
		r = linear(d, e, d->segment, e->gpr[REG_RSI] & mask(d->address_size), false, &from);
		if (r == EXECUTE_DONE)
			r = e->ops->read(e->ctx, from, d->size, &value);
	}
	if (r == EXECUTE_DONE && d->op != OP_LODS) {
		r = linear(d, e, SEGMENT_ES, e->gpr[REG_RDI] & mask(d->address_size), true, &to);
		if (r == EXECUTE_DONE)
			r = e->ops->write(e->ctx, to, d->size, value & mask(d->size));
	}
	if (r != EXECUTE_DONE)
		return r;
	if (d->op == OP_LODS)
		put(&e->gpr[REG_RAX], d->size, value);
	if (d->op != OP_STOS)
		advance(d, e, REG_RSI);
	if (d->op != OP_LODS)
		advance(d, e, REG_RDI);
	return EXECUTE_DONE;
}

static enum execute_result execute_string(const struct decoded *d, struct execution *e)
{
	u64 *count = &e->gpr[REG_RCX];
	unsigned int i, most = e->rflags & TF ? 1 : EXECUTE_MAX_ELEMENTS;	/* a trap after each */

	if (!(d->flags & DECODED_REP))
		return execute_element(d, e);
	for (i = 0; i < most && *count & mask(d->address_size); i++) {
		enum execute_result r = execute_element(d, e);

		if (r != EXECUTE_DONE)
			return r;
		put(count, d->address_size, *count - 1);
	}
	return *count & mask(d->address_size) ? EXECUTE_AGAIN : EXECUTE_DONE;
}

static inline unsigned int stack_size(const struct decoded *d, const struct execution *e)
{
	return d->mode == DECODE_64 ? 8 : e->stack_size == 2 ? 2 : 4;
}

static enum execute_result execute_push(const struct decoded *d, struct execution *e)
{
	u64 *sp = &e->gpr[REG_RSP], value, address;
	enum execute_result r;

	r = linear(d, e, d->segment, decoded_offset(d, e), false, &address);
	if (r == EXECUTE_DONE)
		r = e->ops->read(e->ctx, address, d->size, &value);
	if (r == EXECUTE_DONE)
		r = linear(d, e, SEGMENT_SS, (*sp - d->size) & mask(stack_size(d, e)), true, &address);
	if (r == EXECUTE_DONE)
		r = e->ops->write(e->ctx, address, d->size, value & mask(d->size));
	if (r == EXECUTE_DONE)
		put(sp, stack_size(d, e), *sp - d->size);
	return r;
}

/* An address with rSP in it is computed with rSP as it is after the pop. */
static enum execute_result execute_pop(const struct decoded *d, struct execution *e)
{
	u64 *sp = &e->gpr[REG_RSP], old = *sp, value, address;
	enum execute_result r;

	r = linear(d, e, SEGMENT_SS, old & mask(stack_size(d, e)), false, &address);
	if (r == EXECUTE_DONE)
		r = e->ops->read(e->ctx, address, d->size, &value);
	if (r != EXECUTE_DONE)
		return r;
	put(sp, stack_size(d, e), old + d->size);
	r = linear(d, e, d->segment, decoded_offset(d, e), true, &address);
	if (r == EXECUTE_DONE)
		r = e->ops->write(e->ctx, address, d->size, value & mask(d->size));
	if (r != EXECUTE_DONE)
		*sp = old;
	return r;
}

static enum execute_result execute_xmm(const struct decoded *d, struct execution *e)
{
	bool write = d->flags & DECODED_TO_MEMORY;
	enum execute_result r;
	u64 value[2], address;
	unsigned int i;

	if (write)
		e->ops->get_xmm(e->ctx, d->reg, value);
	r = linear(d, e, d->segment, decoded_offset(d, e), write, &address);
	for (i = 0; i < 2 && r == EXECUTE_DONE; i++) {
		u64 half = address + 8 * i;

		if (d->mode != DECODE_64)
			half = (u32)half;
		r = write ? e->ops->write(e->ctx, half, 8, value[i]) : e->ops->read(e->ctx, half, 8, &value[i]);
	}
	if (r == EXECUTE_DONE && !write)
		e->ops->set_xmm(e->ctx, d->reg, value);
	return r;
}

static enum execute_result __attribute__((noinline)) execute_other(const struct decoded *d, struct execution *e)
{
	switch (d->op) {
	case OP_MOVS: case OP_STOS: case OP_LODS:
		return execute_string(d, e);
	case OP_PUSH:
		return execute_push(d, e);
	case OP_POP:
		return execute_pop(d, e);
	case OP_MOVXMM:
		return execute_xmm(d, e);
	default:
		return execute_plain(d, e);
	}
}

enum execute_result decoded_execute(const struct decoded *d, struct execution *e)
{
	return d->op == OP_MOV ? execute_mov(d, e) : execute_other(d, e);
}
