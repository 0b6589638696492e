// SPDX-License-Identifier: GPL-2.0-only
/*
 * decoded_execute() against the CPU that the test runs on: random instructions with random operands are decoded and
 * executed on a model of memory, and run natively on the true one; registers, flags and memory must come out the same.
 * What user mode cannot show (other modes, callbacks that fail, the bound of strings) is checked by hand.
 */
#include "unit.h"
#include <stdio.h>
#include <sys/mman.h>
#include "monitor/decode.h"

#if !defined(__x86_64__)
#error "these instructions are x86-64's"
#endif

#define DATA		0x10000000ul	/* low, so that 32-bit addresses reach it */
#define DATA_SIZE	0x4000u
#define CODE		0x20000000ul

#define CF		(1u << 0)
#define PF		(1u << 2)
#define AF		(1u << 4)
#define ZF		(1u << 6)
#define SF		(1u << 7)
#define DF		(1u << 10)
#define OF		(1u << 11)
#define FLAGS		(CF | PF | AF | ZF | SF | OF)

/* The offsets are in the assembly below. */
struct native {
	u64 gpr[16];
	u64 rflags;
	u64 pad;
	u64 xmm[16][2];
	u64 entry;
	u64 host_rsp;
};

_Static_assert(offsetof(struct native, rflags) == 0x80, "known to the assembly");
_Static_assert(offsetof(struct native, xmm) == 0x90, "known to the assembly");
_Static_assert(offsetof(struct native, entry) == 0x190, "known to the assembly");

struct native native;
void native_run(void);
extern const u8 native_return[];

asm(".text\n"
    "native_run:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	lea native(%rip), %rax\n"
    "	mov %rsp, 0x198(%rax)\n"
    "	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "	movdqu 0x90 + 16 * \\n(%rax), %xmm\\n\n"
    "	.endr\n"
    "	push 0x80(%rax); popfq\n"
    "	mov 0x08(%rax), %rcx; mov 0x10(%rax), %rdx; mov 0x18(%rax), %rbx; mov 0x20(%rax), %rsp\n"
    "	mov 0x28(%rax), %rbp; mov 0x30(%rax), %rsi; mov 0x38(%rax), %rdi\n"
    "	.irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "	mov 8 * \\n(%rax), %r\\n\n"
    "	.endr\n"
    "	mov (%rax), %rax\n"
    "	jmp *native + 0x190(%rip)\n"
    "native_return:\n"
    "	mov %rax, native(%rip); mov %rcx, native + 0x08(%rip); mov %rdx, native + 0x10(%rip)\n"
    "	mov %rbx, native + 0x18(%rip); mov %rsp, native + 0x20(%rip); mov %rbp, native + 0x28(%rip)\n"
    "	mov %rsi, native + 0x30(%rip); mov %rdi, native + 0x38(%rip)\n"
    "	.irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "	mov %r\\n, native + 8 * \\n(%rip)\n"
    "	.endr\n"
    "	lea native(%rip), %rax\n"
    "	mov 0x198(%rax), %rsp\n"
    "	pushfq; pop 0x80(%rax); cld\n"
    "	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "	movdqu %xmm\\n, 0x90 + 16 * \\n(%rax)\n"
    "	.endr\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

/* The other side: memory and XMM registers of the model. */
struct model {
	u8 data[DATA_SIZE];
	u64 xmm[16][2];
	u64 base[6];
	int fail_at;		/* counts down at each access; the one that finds 1 fails. 0: none */
	unsigned int accesses;
};

static enum execute_result model_access(struct model *m, u64 linear, unsigned int size)
{
	m->accesses++;
	if (m->fail_at && !--m->fail_at)
		return EXECUTE_FAULT;
	if (linear < DATA || linear > DATA + DATA_SIZE - size)
		return EXECUTE_REFUSED;
	return EXECUTE_DONE;
}

static enum execute_result model_read(void *ctx, u64 linear, unsigned int size, u64 *value)
{
	struct model *m = ctx;
	enum execute_result r = model_access(m, linear, size);

	if (r != EXECUTE_DONE)
		return r;
	*value = 0;
	memcpy(value, m->data + (linear - DATA), size);
	return r;
}

static enum execute_result model_write(void *ctx, u64 linear, unsigned int size, u64 value)
{
	struct model *m = ctx;
	enum execute_result r = model_access(m, linear, size);

	if (r == EXECUTE_DONE)
		memcpy(m->data + (linear - DATA), &value, size);
	return r;
}

static enum execute_result model_linear(void *ctx, enum decode_segment segment, u64 offset, unsigned int size,
					bool write, u64 *linear)
{
	struct model *m = ctx;

	(void)size;
	(void)write;
	*linear = m->base[segment] + offset;
	return EXECUTE_DONE;
}

static void model_get_xmm(void *ctx, unsigned int reg, u64 value[2])
{
	memcpy(value, ((struct model *)ctx)->xmm[reg], 16);
}

static void model_set_xmm(void *ctx, unsigned int reg, const u64 value[2])
{
	memcpy(((struct model *)ctx)->xmm[reg], value, 16);
}

static const struct execute_ops model_ops = {
	model_read, model_write, model_linear, model_get_xmm, model_set_xmm,
};

/* One random case: an instruction and the state before it. */
struct trial {
	u8 bytes[32];
	unsigned int displacement_at;	/* offset of the displacement in bytes[] */
	struct decoded d;
	u64 gpr[16];
	u64 rflags;
};

static u64 seed = 7;
static struct model model;

static u64 edge_value(void)
{
	static const u64 edges[] = { 0, 1, -1ull, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff,
				     0x7fffffffffffffff, 0x8000000000000000, 0x0f, 0x10, 0xff, 0xffff };
	u64 r = random_below(&seed, 32);

	return r < ARRAY_SIZE(edges) ? edges[r] : random_u64(&seed);
}

/* 0x1xx: behind 0F. MOVs and the like once, groups by all that they hold. */
static const u16 opcodes[] = {
	0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a, 0x1b,
	0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b,
	0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8f, 0xa0, 0xa1, 0xa2, 0xa3,
	0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff,
	0x110, 0x111, 0x128, 0x129, 0x12b, 0x16f, 0x17f, 0x1e7, 0x1a3, 0x1ab, 0x1b3, 0x1bb, 0x1b0, 0x1b1,
	0x1b6, 0x1b7, 0x1ba, 0x1be, 0x1bf, 0x1c0, 0x1c1, 0x1c3,
};

static bool random_instruction(struct trial *t)
{
	static const u8 legacy[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x66, 0x67, 0x65, 0x3e };
	u16 opcode = opcodes[random_below(&seed, ARRAY_SIZE(opcodes))];
	u8 *p = t->bytes;
	int i, modrm;

	for (i = 0; i < (int)sizeof(t->bytes); i++)
		t->bytes[i] = random_u64(&seed) >> 16;
	for (i = random_below(&seed, 3); i; i--)
		*p++ = legacy[random_below(&seed, sizeof(legacy))];
	if (random_below(&seed, 2))
		*p++ = 0x40 | random_below(&seed, 16);
	if (opcode & 0x100)
		*p++ = 0x0f;
	*p++ = opcode;
	modrm = *p;
	t->displacement_at = p - t->bytes;
	if (opcode < 0xa0 || opcode > 0xad)
		t->displacement_at += (modrm & 7) == 4 ? 2 : 1;
	return decode(t->bytes, DECODE_MAX_LENGTH, DECODE_64, &t->d) == DECODE_OK;
}

/* Junk above an address of 32 bits must not matter. */
static u64 junk_above(const struct trial *t, u64 address)
{
	return t->d.address_size == 8 ? address : (u32)address | (random_u64(&seed) & ~0xffffffffull);
}

/* Chooses the registers, or the displacement where there are none, such that the operand lies at the target. */
static void aim(struct trial *t, u64 target)
{
	struct decoded *d = &t->d;
	u64 displacement;

	if (d->index < REG_NONE && d->base == REG_NONE)
		t->gpr[d->index] = (u64)((s64)(target - (u64)d->displacement) >> d->scale);
	else if (d->index < REG_NONE && d->index == d->base)
		t->gpr[d->index] = (target - (u64)d->displacement) / (1 + (1u << d->scale));
	else if (d->index < REG_NONE)
		t->gpr[d->index] = random_below(&seed, 64) - 32;
	if (d->base < REG_NONE && d->base != d->index) {
		u64 index = d->index < REG_NONE ? t->gpr[d->index] << d->scale : 0;

		t->gpr[d->base] = junk_above(t, target - index - (u64)d->displacement);
	}
	if (d->base >= REG_NONE && d->index == REG_NONE) {
		bool offset = (t->bytes[t->displacement_at - 1] & 0xfc) == 0xa0 && d->op == OP_MOV;	/* A0 to A3 */

		displacement = d->base == REG_RIP ? target - CODE - d->length : target;
		memcpy(t->bytes + t->displacement_at, &displacement, offset ? d->address_size : 4);
		assert_int_equal(decode(t->bytes, DECODE_MAX_LENGTH, DECODE_64, d), DECODE_OK);
	}
}

static void random_state(struct trial *t)
{
	struct decoded *d = &t->d;
	u64 align = d->op == OP_MOVXMM ? 16 : d->flags & DECODED_LOCK || d->op == OP_XCHG ? 8 : 1;
	u64 middle = DATA + DATA_SIZE / 2, i;

	for (i = 0; i < 16; i++)
		t->gpr[i] = edge_value();
	t->rflags = 2 | (random_u64(&seed) & (FLAGS | DF));
	if (d->op >= OP_BT && d->op <= OP_BTC && !(d->flags & DECODED_IMMEDIATE))
		t->gpr[d->reg] = random_below(&seed, 0x8000) - 0x4000;
	if (d->op >= OP_MOVS && d->op <= OP_LODS) {
		t->gpr[REG_RSI] = junk_above(t, middle + random_below(&seed, 512));
		t->gpr[REG_RDI] = junk_above(t, middle + random_below(&seed, 512));
		/* never 0: what then happens to the upper halves differs by CPU, and it cannot reach a device */
		t->gpr[REG_RCX] = junk_above(t, 1 + random_below(&seed, 20));
	} else {
		if (d->op == OP_PUSH || d->op == OP_POP)
			t->gpr[REG_RSP] = middle + random_below(&seed, 512);
		aim(t, (middle + random_below(&seed, 1024) - 512) & ~(align - 1));
	}
}

static void random_memory(void)
{
	size_t i;

	for (i = 0; i < DATA_SIZE; i += 8) {
		u64 value = edge_value();

		memcpy(model.data + i, &value, 8);
	}
	for (i = 0; i < 32; i++)
		model.xmm[i / 2][i % 2] = random_u64(&seed);
}

/* In half of the CMPXCHGs the accumulator has memory's value. */
static void make_equal(struct trial *t)
{
	struct execution e = { .gpr = t->gpr, .rip = CODE };
	u64 at = decoded_offset(&t->d, &e) - DATA;

	if (t->d.op == OP_CMPXCHG && at < DATA_SIZE - 8 && t->d.base != REG_RAX && t->d.index != REG_RAX &&
	    random_below(&seed, 2))
		memcpy(&t->gpr[REG_RAX], model.data + at, t->d.size);
}

/* aim() misses by some bytes where one register counts twice or is scaled; most XMM stores would fault. */
static bool misaligned(struct trial *t)
{
	struct execution e = { .gpr = t->gpr, .rip = CODE };

	return t->d.op == OP_MOVXMM && decoded_offset(&t->d, &e) & 15;
}

static u64 undefined_flags(enum decode_op op)
{
	if (op == OP_AND || op == OP_OR || op == OP_XOR || op == OP_TEST)
		return AF;
	return op >= OP_BT && op <= OP_BTC ? OF | SF | AF | PF : 0;
}

static void run_native(const struct trial *t)
{
	static const u8 jump[6] = { 0xff, 0x25 };	/* jmp *0(%rip) */
	u8 *code = (u8 *)CODE;
	u64 back = (u64)native_return;

	memcpy(code, t->bytes, t->d.length);
	memcpy(code + t->d.length, jump, sizeof(jump));
	memcpy(code + t->d.length + sizeof(jump), &back, sizeof(back));
	memcpy(native.gpr, t->gpr, sizeof(native.gpr));
	native.rflags = t->rflags | 0x200;
	native.entry = CODE;
	native_run();
}

static bool same_outcome(const struct trial *t, const struct execution *e)
{
	u64 flags = (FLAGS | DF) & ~undefined_flags(t->d.op);

	return !memcmp(native.gpr, e->gpr, sizeof(native.gpr)) && !((native.rflags ^ e->rflags) & flags) &&
	       !memcmp(native.xmm, model.xmm, sizeof(native.xmm)) && !memcmp((void *)DATA, model.data, DATA_SIZE);
}

static void show(const struct trial *t, const struct execution *e)
{
	int i;

	for (i = 0; i < t->d.length; i++)
		fprintf(stderr, "%02x ", t->bytes[i]);
	fprintf(stderr, "op %d size %d\n", t->d.op, t->d.size);
	for (i = 0; i < 16; i++)
		fprintf(stderr, "%2d: before %016llx native %016llx ours %016llx\n", i, (long long)t->gpr[i],
			(long long)native.gpr[i], (long long)e->gpr[i]);
	fprintf(stderr, "rflags: before %llx native %llx ours %llx, memory %s\n", (long long)t->rflags,
		(long long)native.rflags, (long long)e->rflags,
		memcmp((void *)DATA, model.data, DATA_SIZE) ? "differs" : "is the same");
}

/* Returns whether the case came off: an address beside the buffer is none. */
static bool compare_once(struct trial *t)
{
	u64 gpr[16];
	struct execution e = { .gpr = gpr, .rip = CODE, .ctx = &model, .ops = &model_ops };

	random_state(t);
	make_equal(t);
	if (misaligned(t))
		return false;
	memcpy(gpr, t->gpr, sizeof(gpr));
	e.rflags = t->rflags;
	memcpy((void *)DATA, model.data, DATA_SIZE);
	memcpy(native.xmm, model.xmm, sizeof(native.xmm));
	if (decoded_execute(&t->d, &e) != EXECUTE_DONE) {
		memcpy(model.data, (void *)DATA, DATA_SIZE);
		return false;
	}
	run_native(t);
	if (!same_outcome(t, &e)) {
		show(t, &e);
		fail();
	}
	return true;
}

static void map_native(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	assert_ptr_equal(mmap((void *)DATA, DATA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0), (void *)DATA);
	assert_ptr_equal(mmap((void *)CODE, AVMM_PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0),
			 (void *)CODE);
}

static void as_the_cpu_does(void **state)
{
	static u32 done[OP_MOVXMM + 1];
	int i;

	(void)state;
	map_native();
	for (i = 0; i < 1000000; i++) {
		struct trial t;

		if (i % 64 == 0)
			random_memory();
		if (random_instruction(&t) && t.d.segment != SEGMENT_FS && compare_once(&t))
			done[t.d.op]++;
	}
	for (i = OP_NONE + 1; i <= OP_MOVXMM; i++)
		if (done[i] < 300)
			fail_msg("operation %d was tried %u times", i, done[i]);
}

static struct decoded decoded(enum decode_mode mode, const char *bytes, size_t length)
{
	struct decoded d;

	assert_int_equal(decode((const u8 *)bytes, length, mode, &d), DECODE_OK);
	assert_int_equal(d.length, length);
	return d;
}

#define DECODED(mode, bytes)	decoded(mode, bytes, sizeof(bytes) - 1)

static struct execution fresh(u64 *gpr)
{
	memset(&model, 0, sizeof(model));
	return (struct execution) { .gpr = gpr, .ctx = &model, .ops = &model_ops, .stack_size = 2 };
}

/* A callback that fails leaves registers, flags and memory behind the failure as they were. */
static void failing_callbacks_change_nothing(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		struct trial t;
		u64 gpr[16];
		struct execution e = fresh(gpr);
		unsigned int accesses;

		if (!random_instruction(&t) || (t.d.op >= OP_MOVS && t.d.op <= OP_LODS))
			continue;
		random_state(&t);
		e.rip = CODE;
		memcpy(gpr, t.gpr, sizeof(gpr));
		if (decoded_execute(&t.d, &e) != EXECUTE_DONE)
			continue;
		accesses = model.accesses;
		for (; accesses; accesses--) {
			e = fresh(gpr);
			e.rip = CODE;
			e.rflags = t.rflags;
			memcpy(gpr, t.gpr, sizeof(gpr));
			model.fail_at = accesses;
			assert_int_equal(decoded_execute(&t.d, &e), EXECUTE_FAULT);
			assert_memory_equal(gpr, t.gpr, sizeof(gpr));
			assert_true(e.rflags == t.rflags);
		}
	}
}

static void strings_are_bounded_and_resume(void **state)
{
	struct decoded d = DECODED(DECODE_64, "\xf3\x48\xa5");
	u64 gpr[16] = { [REG_RCX] = 1000, [REG_RSI] = DATA, [REG_RDI] = DATA + 0x2000 };
	struct execution e = fresh(gpr);

	(void)state;
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_AGAIN);
	assert_int_equal(gpr[REG_RCX], 1000 - EXECUTE_MAX_ELEMENTS);
	assert_int_equal(gpr[REG_RSI], DATA + 8 * EXECUTE_MAX_ELEMENTS);
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_DONE);
	assert_int_equal(gpr[REG_RCX], 0);
	assert_int_equal(gpr[REG_RDI], DATA + 0x2000 + 8000);

	gpr[REG_RCX] = 10;
	gpr[REG_RSI] = gpr[REG_RDI] = DATA;
	model.fail_at = 8;		/* the write of the fourth */
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_FAULT);
	assert_int_equal(gpr[REG_RCX], 7);
	assert_int_equal(gpr[REG_RSI], DATA + 24);
	assert_int_equal(gpr[REG_RDI], DATA + 24);
	gpr[REG_RCX] = 0;
	model.accesses = 0;
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_DONE);
	assert_int_equal(model.accesses, 0);
}

static void strings_stop_for_a_single_step(void **state)
{
	struct decoded d = DECODED(DECODE_64, "\xf3\x48\xa5");
	u64 gpr[16] = { [REG_RCX] = 2, [REG_RSI] = DATA, [REG_RDI] = DATA + 0x2000 };
	struct execution e = fresh(gpr);

	(void)state;
	e.rflags |= 1 << 8;
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_AGAIN);
	assert_int_equal(gpr[REG_RCX], 1);
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_DONE);
	assert_int_equal(gpr[REG_RCX], 0);
}

/* Offsets wrap within 64 KiB, strings too, and only the low halves of the registers move. */
static void addresses_of_16_bits(void **state)
{
	struct decoded load = DECODED(DECODE_16, "\x8b\x40\x10");		/* mov ax, [bx+si+16] */
	struct decoded string = DECODED(DECODE_16, "\xf3\xaa");			/* rep stosb */
	u64 gpr[16] = { [REG_RAX] = 0x11112222, [REG_RBX] = 0xabcdfff0, [REG_RSI] = 0x12340008 };
	struct execution e = fresh(gpr);

	(void)state;
	model.base[SEGMENT_DS] = DATA;
	memcpy(model.data + 8, "\xcd\xab", 2);
	assert_int_equal(decoded_execute(&load, &e), EXECUTE_DONE);
	assert_int_equal(gpr[REG_RAX], 0x1111abcd);

	model.base[SEGMENT_ES] = DATA - 0xf000;
	gpr[REG_RDI] = 0x5555ffff;
	gpr[REG_RCX] = 0x77770002;
	assert_int_equal(decoded_execute(&string, &e), EXECUTE_REFUSED);	/* the second one is at ES:0 */
	assert_int_equal(gpr[REG_RDI], 0x55550000);
	assert_int_equal(gpr[REG_RCX], 0x77770001);
	assert_int_equal(model.data[0xfff], 0xcd);
}

static void stacks_of_other_modes(void **state)
{
	struct decoded push = DECODED(DECODE_16, "\xff\x36\x34\x02");		/* push word [0x234] */
	struct decoded pop = DECODED(DECODE_32, "\x8f\x44\x24\x08");		/* pop dword [esp+8] */
	u64 gpr[16] = { [REG_RSP] = 0x99990000 };
	struct execution e = fresh(gpr);

	(void)state;
	model.base[SEGMENT_DS] = DATA;
	model.base[SEGMENT_SS] = DATA - 0xf000;
	memcpy(model.data + 0x234, "\x78\x56", 2);
	assert_int_equal(decoded_execute(&push, &e), EXECUTE_DONE);
	assert_int_equal(gpr[REG_RSP], 0x9999fffe);
	assert_memory_equal(model.data + 0xffe, "\x78\x56", 2);

	e.stack_size = 4;
	gpr[REG_RSP] = 0xf200;
	memcpy(model.data + 0x200, "\x01\x02\x03\x04", 4);
	assert_int_equal(decoded_execute(&pop, &e), EXECUTE_DONE);
	assert_int_equal(gpr[REG_RSP], 0xf204);
	assert_memory_equal(model.data + 0x20c, "\x01\x02\x03\x04", 4);		/* with the new ESP */
}

static void segments_with_a_base(void **state)
{
	struct decoded d = DECODED(DECODE_64, "\x65\x8b\x04\x25\x10\x00\x00\x00");	/* mov eax, gs:[16] */
	u64 gpr[16] = { -1ull };
	struct execution e = fresh(gpr);

	(void)state;
	model.base[SEGMENT_GS] = DATA;
	memcpy(model.data + 16, "\x01\x02\x03\x84", 4);
	assert_int_equal(decoded_execute(&d, &e), EXECUTE_DONE);
	assert_int_equal(gpr[REG_RAX], 0x84030201);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_cpu_does),
		cmocka_unit_test(failing_callbacks_change_nothing),
		cmocka_unit_test(strings_are_bounded_and_resume),
		cmocka_unit_test(strings_stop_for_a_single_step),
		cmocka_unit_test(addresses_of_16_bits),
		cmocka_unit_test(stacks_of_other_modes),
		cmocka_unit_test(segments_with_a_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
