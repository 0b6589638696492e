// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of the user partition to ports and to memory that is no RAM. Memory accesses are decoded and executed on the
 * MMIO bus; where no device answers, reads give ones and writes vanish, and it is counted.
 */
#include <avmm/x86.h>
#include <monitor/decode.h>
#include <monitor/guest-memory.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "partition.h"

#define STRAY_REPORTS	16
#define MAX_ACCESS	8
#define CPL3		3
#define SS_DPL(ar)	(((ar) >> 5) & 3)
#define CS_L		(1u << 13)
#define CS_D		(1u << 14)
#define RFLAGS_AC	(1ul << 18)
#define RFLAGS_DF	(1ul << 10)
#define IO_SIZE(q)	(((q) & 7) + 1)
#define IO_IN		(1u << 3)
#define IO_REP		(1u << 5)
#define IO_PORT(q)	(((q) >> 16) & 0xffff)
#define IO_BURST	512	/* elements of a string per exit */

u64 core_io(struct vcpu *v, u32 port, u32 size, bool write, u64 value)
{
	(void)v;
	if (!write)
		return core_in(port, size);
	core_out(port, size, value);
	return 0;
}

/* A page of the partition's RAM in the window. */
static void *map_ram(void *ctx, u64 gpa, bool write)
{
	struct ept_entry e = ept_walk(&user.ept, gpa);
	u64 span = EPT_SPAN(e.level);

	(void)ctx;
	(void)write;
	if (!(e.entry & EPT_RWX))
		return NULL;
	return window_map((e.entry & EPT_ADDRESS & ~(span - 1)) + (gpa & (span - 1)));
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
	m->long_code = (m->efer & AVMM_EFER_LMA) && (vmread(VMCS_GUEST_CS_AR) & CS_L);
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
	u64 gpa;		/* of the exit; the first access to a device is there */
	u32 access;
};

static enum execute_result result_of(struct mmio *m, enum guest_result r)
{
	if (r == GUEST_FAULT) {
		inject_fault(m->v, &m->memory.fault);
		return EXECUTE_FAULT;
	}
	return r == GUEST_DONE ? EXECUTE_DONE : EXECUTE_REFUSED;
}

static u64 device_read(struct mmio *m, u64 gpa, u32 size)
{
	(void)m;
	return platform_mmio_read(&user, gpa, size);
}

static void device_write(struct mmio *m, u64 gpa, u32 size, u64 value)
{
	(void)m;
	platform_mmio_write(&user, gpa, size, value);
}

static enum execute_result mmio_read(void *ctx, u64 linear, unsigned int size, u64 *value)
{
	struct mmio *m = ctx;
	enum guest_result r;

	*value = 0;
	r = guest_read(&m->memory, linear, value, size, m->access | GUEST_READ);
	if (r != GUEST_UNBACKED)
		return result_of(m, r);
	*value = device_read(m, m->memory.unbacked, size);
	return EXECUTE_DONE;
}

static enum execute_result mmio_write(void *ctx, u64 linear, unsigned int size, u64 value)
{
	struct mmio *m = ctx;
	enum guest_result r = guest_write(&m->memory, linear, &value, size, m->access | GUEST_WRITE);

	if (r != GUEST_UNBACKED)
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
	(void)ctx;
	switch_get_xmm(&user.world, reg, value);
}

static void set_xmm(void *ctx, unsigned int reg, const u64 value[2])
{
	(void)ctx;
	switch_set_xmm(&user.world, reg, value);
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

	return m->long_code ? DECODE_64 : ar & CS_D ? DECODE_32 : DECODE_16;
}

/* Up to 15 bytes at RIP. How many; 0: the fetch faults, and the fault is injected. */
static size_t fetch(struct mmio *m, u8 bytes[DECODE_MAX_LENGTH])
{
	u64 linear = vmread(VMCS_GUEST_RIP) + (m->memory.long_code ? 0 : vmread(VMCS_GUEST_CS_BASE));
	size_t first = AVMM_PAGE_SIZE - linear % AVMM_PAGE_SIZE;
	u32 access = (m->access & GUEST_USER) | GUEST_FETCH;
	enum guest_result r;

	if (first > DECODE_MAX_LENGTH)
		first = DECODE_MAX_LENGTH;
	r = guest_read(&m->memory, linear, bytes, first, access);
	if (r != GUEST_DONE) {
		result_of(m, r);
		return 0;
	}
	/* the second page counts only if the instruction reaches it, which decode() will tell */
	if (first < DECODE_MAX_LENGTH &&
	    guest_read(&m->memory, linear + first, bytes + first, DECODE_MAX_LENGTH - first, access) != GUEST_DONE)
		return first;
	return DECODE_MAX_LENGTH;
}

static void execute(struct mmio *m, const struct decoded *d)
{
	struct vcpu *v = m->v;
	struct execution e = {
		.gpr = v->gpr,
		.rip = vmread(VMCS_GUEST_RIP),
		.rflags = vmread(VMCS_GUEST_RFLAGS),
		.stack_size = 4,
		.ctx = m,
		.ops = &mmio_ops,
	};
	enum execute_result r;

	v->gpr[RSP] = vmread(VMCS_GUEST_RSP);
	r = decoded_execute(d, &e);
	if (r == EXECUTE_REFUSED) {
		vmx_inject_gp(v);
		return;
	}
	if (r == EXECUTE_FAULT)
		return;
	vmwrite(VMCS_GUEST_RSP, v->gpr[RSP]);
	if (d->flags & DECODED_RFLAGS)
		vmwrite(VMCS_GUEST_RFLAGS, e.rflags);
	if (r == EXECUTE_DONE)
		vmx_advance(d->length);
}

void user_mmio(struct vcpu *v, u64 gpa, u64 qualification)
{
	struct mmio m = { .v = v, .gpa = gpa, .access = privilege() };
	u8 bytes[DECODE_MAX_LENGTH];
	struct decoded d;
	size_t n;

	(void)qualification;
	describe(&m.memory);
	n = fetch(&m, bytes);
	if (!n)
		return;
	if (decode(bytes, n, code_mode(&m.memory), &d) != DECODE_OK) {
		user.page->stray++;
		if (user.page->stray <= STRAY_REPORTS)
			core_log("user partition: no emulation of the instruction at %lx for %lx",
				 vmread(VMCS_GUEST_RIP), gpa);
		vmx_inject_gp(v);
		return;
	}
	execute(&m, &d);
}

/* One element of INS or OUTS. */
static enum execute_result io_element(struct mmio *m, u64 q, u64 linear)
{
	u64 value = 0;
	enum execute_result r;

	if (q & IO_IN) {
		value = core_io(m->v, IO_PORT(q), IO_SIZE(q), false, 0);
		return mmio_write(m, linear, IO_SIZE(q), value);
	}
	r = mmio_read(m, linear, IO_SIZE(q), &value);
	if (r == EXECUTE_DONE)
		core_io(m->v, IO_PORT(q), IO_SIZE(q), true, value);
	return r;
}

/*
 * In 64-bit mode with 64-bit addresses only: whoever uses others gets #GP for now (firmware boot will need them).
 * A burst of elements per exit; RIP stays until the count is used up.
 */
bool core_io_string(struct vcpu *v, u64 q)
{
	struct mmio m = { .v = v, .access = privilege() };
	u64 rflags = vmread(VMCS_GUEST_RFLAGS);
	unsigned int reg = q & IO_IN ? RDI : RSI;
	s64 step = rflags & RFLAGS_DF ? -(s64)IO_SIZE(q) : (s64)IO_SIZE(q);
	u64 left = q & IO_REP ? v->gpr[RCX] : 1, burst;

	describe(&m.memory);
	if (!m.memory.long_code)
		return false;
	for (burst = 0; left && burst < IO_BURST; burst++) {
		enum execute_result r = io_element(&m, q, v->gpr[reg]);

		if (r == EXECUTE_FAULT)
			return true;
		if (r != EXECUTE_DONE)
			return false;
		v->gpr[reg] += (u64)step;
		left--;
		if (q & IO_REP)
			v->gpr[RCX] = left;
	}
	if (!left)
		vmx_skip_instruction();
	return true;
}
