// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of the user partition to ports and to memory that is no RAM. Memory accesses are decoded and executed on the
 * MMIO bus; where no device answers, reads give ones and writes vanish, and it is counted. What cannot be decoded or
 * executed is stray.c's.
 */
#include <avmm/x86.h>
#include <monitor/decode.h>
#include <monitor/guest-memory.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "partition.h"

#define CPL3		3
#define SS_DPL(ar)	(((ar) >> 5) & 3)
#define AR_L		(1u << 13)
#define AR_DB		(1u << 14)
#define RFLAGS_RF	(1ul << 16)
#define RFLAGS_AC	(1ul << 18)
#define IO_SIZE(q)	(((q) & 7) + 1)
#define IO_IN		(1u << 3)
#define IO_REP		(1u << 5)
#define IO_PORT(q)	(((q) >> 16) & 0xffff)
#define IO_BURST	512	/* elements of a string per exit */
#define BLOCK_COST	32	/* … of which a block of a disk's data counts as so many */
#define RFLAGS_DF	(1ul << 10)
#define INFO_ADDRESS(i)	(((i) >> 7) & 7)	/* 16, 32 or 64 bits */
#define INFO_SEGMENT(i)	(((i) >> 15) & 7)
#define VMX_BASIC_IO_INFO (1ul << 54)

u64 core_io(struct vcpu *v, u32 port, u32 size, bool write, u64 value)
{
	if (!write)
		return core_in(v, port, size);
	core_out(v, port, size, value);
	return 0;
}

/* A page of the partition's RAM in the window. */
static void *map_ram(void *ctx, u64 gpa, bool write)
{
	u64 hpa = user_memory(gpa, write ? EPT_W : EPT_RWX);

	(void)ctx;
	return hpa ? window_map(hpa) : NULL;
}

/* Devices reach RAM only, also while a step shows something else in its place. */
static void *map_for_device(void *ctx, u64 gpa, bool write)
{
	return stray_running() ? NULL : map_ram(ctx, gpa, write);
}

bool user_dma_read(void *ctx, u64 gpa, u8 *to, u32 n)
{
	struct guest_memory m = { .map = map_for_device };

	(void)ctx;
	return guest_read_physical(&m, gpa, to, n) == GUEST_DONE;
}

bool user_dma_write(void *ctx, u64 gpa, const u8 *from, u32 n)
{
	struct guest_memory m = { .map = map_for_device };

	(void)ctx;
	return guest_write_physical(&m, gpa, from, n) == GUEST_DONE;
}

static void describe(struct guest_memory *m)
{
	*m = (struct guest_memory){
		.cr0 = vmread(VMCS_GUEST_CR0),
		.cr3 = vmread(VMCS_GUEST_CR3),
		.cr4 = vmread(VMCS_GUEST_CR4) & ~AVMM_CR4_VMXE,
		.efer = vmread(VMCS_GUEST_EFER),
		.physical_bits = machine.phys_bits,
		.gigabyte_pages = true,
		.pse36 = true,
		.alignment_check = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_AC,
		.map = map_ram,
	};
	m->long_code = (m->efer & AVMM_EFER_LMA) && (vmread(VMCS_GUEST_CS_AR) & AR_L);
	if (guest_paging(m) == PAGING_PAE) {
		unsigned int i;

		for (i = 0; i < 4; i++)
			m->pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
	}
	if (m->cr4 & AVMM_CR4_PKE) {
		u32 eax, edx;

		/* the guest's PKRU is in the register; the monitor's CR4 has PKE as Linux does */
		asm volatile("rdpkru" : "=a"(eax), "=d"(edx) : "c"(0));
		m->pkru = eax;
	}
}

static u32 privilege(void)
{
	return SS_DPL(vmread(VMCS_GUEST_SS_AR)) == CPL3 ? GUEST_USER : 0;
}

static void inject_fault(struct vcpu *v, const struct guest_fault *fault)
{
	if (fault->vector == 14)
		asm volatile("mov %0, %%cr2" : : "r"(fault->cr2));
	vmx_inject_exception(v, fault->vector, fault->error_code);
}

/* One MMIO instruction on its way. */
struct mmio {
	struct vcpu *v;
	struct guest_memory memory;
	u32 access;
};

static enum execute_result result_of(struct mmio *m, enum guest_result r)
{
	if (r == GUEST_FAULT)
		inject_fault(m->v, &m->memory.fault);
	/* a retry is a fault without an exception: the instruction begins anew */
	if (r == GUEST_FAULT || r == GUEST_RETRY)
		return EXECUTE_FAULT;
	return r == GUEST_DONE ? EXECUTE_DONE : EXECUTE_REFUSED;
}

/* An access that reaches two pages is none of a device: the second may be elsewhere. */
static bool on_one_page(u64 linear, unsigned int size)
{
	return linear % AVMM_PAGE_SIZE + size <= AVMM_PAGE_SIZE;
}

static u64 device_read(struct mmio *m, u64 gpa, u32 size)
{
	return platform_mmio_read(to_user_vcpu(m->v), gpa, size);
}

static void device_write(struct mmio *m, u64 gpa, u32 size, u64 value)
{
	platform_mmio_write(to_user_vcpu(m->v), gpa, size, value);
}

static enum execute_result mmio_read(void *ctx, u64 linear, unsigned int size, u64 *value)
{
	struct mmio *m = ctx;
	enum guest_result r;

	*value = 0;
	r = guest_read(&m->memory, linear, value, size, m->access | GUEST_READ);
	if (r != GUEST_UNBACKED || !on_one_page(linear, size))
		return result_of(m, r);
	*value = device_read(m, m->memory.unbacked, size);
	return EXECUTE_DONE;
}

static enum execute_result mmio_write(void *ctx, u64 linear, unsigned int size, u64 value)
{
	struct mmio *m = ctx;
	enum guest_result r = guest_write(&m->memory, linear, &value, size, m->access | GUEST_WRITE);

	if (r != GUEST_UNBACKED || !on_one_page(linear, size))
		return result_of(m, r);
	device_write(m, m->memory.unbacked, size, value);
	return EXECUTE_DONE;
}

static enum execute_result mmio_linear(void *ctx, enum decode_segment segment, u64 offset, unsigned int size, bool write,
				       u64 *linear)
{
	struct mmio *m = ctx;
	struct guest_segment s = {
		.base = vmread(VMCS_GUEST_ES_BASE + 2 * segment),
		.limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + 2 * segment),
		.access_rights = (u32)vmread(VMCS_GUEST_ES_AR + 2 * segment),
	};

	return result_of(m, guest_linear(&m->memory, &s, offset, size,
					 (write ? GUEST_WRITE : GUEST_READ) |
					 (segment == SEGMENT_SS ? GUEST_STACK : 0), linear));
}

/* The FPU's registers are the guest's own while its exit is handled: through the save area of its world. */
static void get_xmm(void *ctx, unsigned int reg, u64 value[2])
{
	const struct mmio *m = ctx;

	switch_get_xmm(m->v->world, reg, value);
}

static void set_xmm(void *ctx, unsigned int reg, const u64 value[2])
{
	const struct mmio *m = ctx;

	switch_set_xmm(m->v->world, reg, value);
}

static const struct execute_ops mmio_ops = {
	.read = mmio_read,
	.write = mmio_write,
	.linear = mmio_linear,
	.get_xmm = get_xmm,
	.set_xmm = set_xmm,
};

static enum decode_mode code_mode(const struct guest_memory *m)
{
	u64 ar = vmread(VMCS_GUEST_CS_AR);

	return m->long_code ? DECODE_64 : ar & AR_DB ? DECODE_32 : DECODE_16;
}

/* Up to 15 bytes at RIP. *n: how many. */
static enum guest_result fetch(struct mmio *m, u8 bytes[DECODE_MAX_LENGTH], size_t *n)
{
	u64 linear = vmread(VMCS_GUEST_RIP) + (m->memory.long_code ? 0 : vmread(VMCS_GUEST_CS_BASE));
	size_t first = AVMM_PAGE_SIZE - linear % AVMM_PAGE_SIZE;
	u32 access = (m->access & GUEST_USER) | GUEST_FETCH;
	enum guest_result r;

	if (first > DECODE_MAX_LENGTH)
		first = DECODE_MAX_LENGTH;
	r = guest_read(&m->memory, linear, bytes, first, access);
	*n = first;
	/* the second page counts only if the instruction reaches it, which decode() will tell */
	if (r == GUEST_DONE && first < DECODE_MAX_LENGTH &&
	    guest_read(&m->memory, linear + first, bytes + first, DECODE_MAX_LENGTH - first, access) == GUEST_DONE)
		*n = DECODE_MAX_LENGTH;
	return r;
}

static enum execute_result execute(struct mmio *m, const struct decoded *d)
{
	struct vcpu *v = m->v;
	struct execution e = {
		.gpr = v->gpr,
		.rip = vmread(VMCS_GUEST_RIP),
		.rflags = vmread(VMCS_GUEST_RFLAGS),
		.stack_size = vmread(VMCS_GUEST_SS_AR) & AR_DB ? 4 : 2,
		.ctx = m,
		.ops = &mmio_ops,
	};
	enum execute_result r;

	v->gpr[RSP] = vmread(VMCS_GUEST_RSP);
	r = decoded_execute(d, &e);
	if (r == EXECUTE_REFUSED || r == EXECUTE_FAULT)
		return r;
	vmwrite(VMCS_GUEST_RSP, v->gpr[RSP]);
	/* EPT violations leave RF set, as faults do; it lasts until the instruction is done */
	vmwrite(VMCS_GUEST_RFLAGS, e.rflags & ~RFLAGS_RF);
	vmx_advance(r == EXECUTE_DONE ? d->length : 0);
	return r;
}

/* False: this takes a step on filler pages. Nothing has changed then, but for finished elements of a string. */
static bool emulate(struct vcpu *v)
{
	struct mmio m = { .v = v, .access = privilege() };
	u8 bytes[DECODE_MAX_LENGTH];
	enum guest_result r;
	struct decoded d;
	size_t n;

	describe(&m.memory);
	r = fetch(&m, bytes, &n);
	if (r != GUEST_DONE)
		return result_of(&m, r) == EXECUTE_FAULT;
	return decode(bytes, n, code_mode(&m.memory), &d) == DECODE_OK && execute(&m, &d) != EXECUTE_REFUSED;
}

void user_mmio(struct vcpu *v, u64 gpa, u64 qualification)
{
	/* the delivery of an event, or an instruction already known for one that cannot be executed */
	bool delivery = vmread(VMCS_VECTORING_INFO) & VMX_EVENT_VALID;

	if (delivery || stray_stepping(v) || !emulate(v))
		stray_step(v, gpa, qualification);
}

/* INS or OUTS on its way. Registers are as wide as addresses, and keep what is above unless that is 32 bits. */
struct string_io {
	struct mmio mmio;
	u64 q;			/* the exit's qualification */
	u64 mask;		/* of an address */
	enum decode_segment segment;
	bool flat;		/* 64-bit code, and a segment without a base */
};

static void put_address(const struct string_io *s, unsigned int reg, u64 value)
{
	u64 *r = &s->mmio.v->gpr[reg];

	*r = s->mask == 0xffff ? (*r & ~0xffffull) | (value & 0xffff) : value & s->mask;
}

/* The memory side of an element: whole, or byte by byte where it lies on two pages of which one is no RAM. */
static enum execute_result string_memory(struct mmio *m, u64 linear, unsigned int size, bool write, u64 *value)
{
	enum execute_result r = write ? mmio_write(m, linear, size, *value) : mmio_read(m, linear, size, value);
	u64 all = 0, byte;
	unsigned int i;

	if (r != EXECUTE_REFUSED)
		return r;
	for (i = 0, r = EXECUTE_DONE; i < size && r == EXECUTE_DONE; i++) {
		byte = *value >> 8 * i;
		r = write ? mmio_write(m, linear + i, 1, byte) : mmio_read(m, linear + i, 1, &byte);
		all |= (byte & 0xff) << 8 * i;
	}
	if (!write)
		*value = all;
	return r;
}

/* A port is read only if what it says can be kept. */
static enum execute_result can_write(struct mmio *m, u64 linear, unsigned int size)
{
	u32 access = m->access | GUEST_WRITE | GUEST_PROBE;
	u64 gpa;
	enum guest_result r = guest_translate(&m->memory, linear, access, &gpa);

	if (r == GUEST_DONE && !on_one_page(linear, size))
		r = guest_translate(&m->memory, linear + size - 1, access, &gpa);
	return result_of(m, r);
}

static enum execute_result string_element(struct string_io *s)
{
	struct vcpu *v = s->mmio.v;
	bool in = s->q & IO_IN;
	unsigned int reg = in ? RDI : RSI, size = IO_SIZE(s->q);
	u64 offset = v->gpr[reg] & s->mask, linear = offset, value = 0;
	enum execute_result r = EXECUTE_DONE;

	if (!s->flat)
		r = mmio_linear(&s->mmio, s->segment, offset, size, in, &linear);
	if (r == EXECUTE_DONE && in)
		r = can_write(&s->mmio, linear, size);
	if (r == EXECUTE_DONE && in)
		value = core_io(v, IO_PORT(s->q), size, false, 0);
	if (r == EXECUTE_DONE)
		r = string_memory(&s->mmio, linear, size, in, &value);
	if (r != EXECUTE_DONE)
		return r;
	if (!in)
		core_io(v, IO_PORT(s->q), size, true, value);
	put_address(s, reg, vmread(VMCS_GUEST_RFLAGS) & RFLAGS_DF ? offset - size : offset + size);
	return EXECUTE_DONE;
}

/* Which segment and how wide the addresses are: from the exit, Intel SDM volume 3, table 28-8. False: it cannot say. */
static bool describe_string(struct string_io *s)
{
	u64 info = vmread(VMCS_EXIT_INSTR_INFO);

	if (!(rdmsr(AVMM_MSR_VMX_BASIC) & VMX_BASIC_IO_INFO))
		return false;
	s->mask = INFO_ADDRESS(info) == 2 ? ~0ull : INFO_ADDRESS(info) ? 0xffffffff : 0xffff;
	s->segment = s->q & IO_IN ? SEGMENT_ES : INFO_SEGMENT(info) % 6;
	describe(&s->mmio.memory);
	s->flat = s->mmio.memory.long_code && s->segment < SEGMENT_FS;
	return true;
}

/*
 * The bytes of a disk's data that can go at once: up to the next interrupt, the end of a page, of the segment, of the
 * count. 0: go by elements, which also finds out what is wrong.
 */
static u32 block_size(struct string_io *s, u64 left, u64 offset, u32 data)
{
	u32 size = IO_SIZE(s->q), n = data / size;
	u64 room = (AVMM_PAGE_SIZE - offset % AVMM_PAGE_SIZE) / size, base = 0, last;

	if (!s->flat) {
		base = vmread(VMCS_GUEST_ES_BASE + 2 * s->segment);
		last = vmread(VMCS_GUEST_ES_LIMIT + 2 * s->segment);
		if (last > s->mask)
			last = s->mask;
		if (offset > last)
			return 0;
		room = (AVMM_PAGE_SIZE - (base + offset) % AVMM_PAGE_SIZE) / size;
		if (room > (last - offset + 1) / size)
			room = (last - offset + 1) / size;
	}
	if (n > room)
		n = (u32)room;
	return (n < left ? n : (u32)left) * size;
}

/*
 * Data between a disk's buffer and the guest, a block at a time. The device learns of it when the bytes are where they
 * belong. Returns how many elements went; 0: none, *r says whether that is a fault.
 */
static u64 move_block(struct string_io *s, struct ide_channel *ch, u64 left, enum execute_result *r)
{
	bool in = s->q & IO_IN;
	struct vcpu *v = s->mmio.v;
	unsigned int reg = in ? RDI : RSI;
	u64 offset = v->gpr[reg] & s->mask, linear = offset;
	enum guest_result result;
	u32 bytes = 0;
	u8 *data = ide_data(ch, in ? IDE_READS : IDE_WRITES, &bytes);

	if (!data || (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_DF))
		return 0;
	bytes = block_size(s, left, offset, bytes);
	if (!bytes)
		return 0;
	if (!s->flat)
		*r = mmio_linear(&s->mmio, s->segment, offset, bytes, in, &linear);
	if (*r != EXECUTE_DONE)
		return 0;
	if (in)
		result = guest_write(&s->mmio.memory, linear, data, bytes, s->mmio.access | GUEST_WRITE);
	else
		result = guest_read(&s->mmio.memory, linear, data, bytes, s->mmio.access | GUEST_READ);
	if (result == GUEST_FAULT || result == GUEST_RETRY)
		*r = result_of(&s->mmio, result);
	if (result != GUEST_DONE)
		return 0;
	to_user_vcpu(v)->stats->io_exits++;
	ide_data_advance(ch, bytes);
	put_address(s, reg, offset + bytes);
	return bytes / IO_SIZE(s->q);
}

static u64 string_block(struct string_io *s, u64 left, enum execute_result *r)
{
	struct ide_channel *ch = disk_data_port(IO_PORT(s->q));
	u64 done = 0;

	if (!ch)
		return 0;
	platform_lock(&user.platform);
	done = move_block(s, ch, left, r);
	platform_unlock(&user.platform);
	return done;
}

/* A burst of elements per exit, with a single step one; RIP stays until the count is used up. */
bool core_io_string(struct vcpu *v, u64 q)
{
	struct string_io s = { .mmio = { .v = v, .access = privilege() }, .q = q };
	enum execute_result r = EXECUTE_DONE;
	u64 left, burst = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF ? 1 : IO_BURST;

	if (!describe_string(&s))
		return false;
	left = q & IO_REP ? v->gpr[RCX] & s.mask : 1;
	for (; left && burst && r == EXECUTE_DONE; burst--) {
		u64 done = burst > BLOCK_COST ? string_block(&s, left, &r) : 0;

		if (done)
			burst -= BLOCK_COST;
		else if (r == EXECUTE_DONE)
			r = string_element(&s);
		if (r != EXECUTE_DONE)
			break;
		left -= done ? done : 1;
		if (q & IO_REP)
			put_address(&s, RCX, left);
	}
	if (r == EXECUTE_DONE)
		vmx_advance(left ? 0 : vmread(VMCS_EXIT_INSTR_LENGTH));
	return r != EXECUTE_REFUSED;
}
