// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device accesses by instructions that were seen before. Drivers reach a device's registers from a few places, so the
 * walk to the instruction and its decoding are kept for these: a plain MOV or MOVZX in 64-bit code, between a register or
 * an immediate and memory.
 *
 * What is kept is used only after all that it was made from was compared again, since a guest may change its code and its
 * page tables at any time and needs tell nobody: the entries of the page walk to the instruction (the top-level table is
 * where CR3 says), and the instruction's bytes. That it may be fetched there was the CPU's to say, which has just done so.
 * The operand's address comes from the exit, if it is the one that the instruction computes: then the CPU has translated
 * it and found the access allowed, and this is the only access of the instruction.
 *
 * The pages with these entries and bytes stay mapped, read-only, in entries of the mapping window behind the CPUs' own,
 * which only the vCPU's CPU uses.
 * They are the partition's RAM: everything is forgotten when a partition begins and before it goes.
 */
#include <avmm/x86.h>
#include <monitor/decode.h>
#include <vmx/root/instr.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "partition.h"

#define COLD		__attribute__((cold, noinline))
#define WAYS		2	/* instructions whose addresses collide */
#define KNOWN		16	/* instructions of a vCPU */
#define KEEPERS		3	/* vCPUs that keep any: so much room the window has */
#define LEVELS		4	/* of the guest's page walk: its CR4 has no LA57 */
#define PAGES		(LEVELS + 1)
#define ENTRIES		(AVMM_PAGE_SIZE / 8)
#define PTE_PRESENT	(1ul << 0)
#define PTE_LARGE	(1ul << 7)
#define CS_L		(1u << 13)
#define RFLAGS_RF	(1ul << 16)
#define ADDRESS		0x000ffffffffff000ul
#define CODE_BYTES	16	/* compared as two words: an instruction has 15 at most */

/* Exit qualification of EPT violations, Intel SDM volume 3, table 28-7. */
#define QUAL_READ	(1u << 0)
#define QUAL_WRITE	(1u << 1)
#define QUAL_FETCH	(1u << 2)
#define QUAL_LINEAR	(1u << 7)	/* the linear address is valid … */
#define QUAL_FINAL	(1u << 8)	/* … and was translated */
#define QUAL_KIND	(QUAL_READ | QUAL_WRITE | QUAL_FETCH | QUAL_LINEAR | QUAL_FINAL)

_Static_assert(AVMM_MAX_CPUS + KEEPERS * KNOWN * PAGES <= ENTRIES, "the window has entries for them");

static struct known {
	u64 rip;
	u64 cr3;
	u64 cs;				/* access rights; 0: nothing is kept here */
	u64 qualification;		/* of an exit by this instruction; 0: not one of those that are kept */
	volatile const u64 *entry[LEVELS];	/* of the walk, the top level first; large pages: the last one again */
	u64 value[LEVELS];
	volatile const u64 *code;
	u64 bytes[2];
	u64 mask[2];			/* those that are the instruction's */
	u64 displacement;		/* with RIP in it, if the address has */
	u64 immediate;
	u8 base;			/* register or REG_NONE */
	u8 reg;				/* register or REG_NONE: the immediate */
	u8 size;
	u8 length;
} known[KEEPERS][KNOWN];

/* Where the instruction at rip may be: here or behind. */
static struct known *ways_of(u32 vcpu, u64 rip)
{
	return &known[vcpu][(rip >> 3 ^ rip >> 7) % (KNOWN / WAYS) * WAYS];
}

/*
 * A page of the partition's RAM, to be read until the same slot is mapped again. NULL: no RAM. Nor a ROM: at an address
 * in one of a device there may be another one later.
 */
static COLD void *map(const struct known *k, unsigned int page, u64 gpa)
{
	u64 hpa = user_memory(gpa, EPT_W);

	return hpa ? window_keep((u32)(k - known[0]) * PAGES + page, hpa) : NULL;
}

static unsigned int index_at(u64 linear, unsigned int level)
{
	return linear >> (39 - 9 * level) & (ENTRIES - 1);
}

/* Where the entries of the walk to linear are, and what they say. False: somewhere that is not kept. */
static COLD bool walk(struct known *k, u64 linear, u64 *gpa)
{
	u64 table = k->cr3 & ADDRESS, span;
	unsigned int level;

	for (level = 0; level < LEVELS; level++) {
		volatile const u64 *page = map(k, level, table);

		if (!page)
			return false;
		k->entry[level] = &page[index_at(linear, level)];
		k->value[level] = *k->entry[level];
		if (!(k->value[level] & PTE_PRESENT))
			return false;
		table = k->value[level] & ADDRESS;
		if (level && (k->value[level] & PTE_LARGE))
			break;
	}
	if (level == LEVELS)
		level--;
	span = 1ull << (39 - 9 * level);
	*gpa = (table & ~(span - 1)) + (linear & (span - 1));
	for (; level < LEVELS - 1; level++) {
		k->entry[level + 1] = k->entry[level];
		k->value[level + 1] = k->value[level];
	}
	return true;
}

static COLD bool kept(const struct decoded *d)
{
	bool to_memory = d->flags & DECODED_TO_MEMORY;

	if (d->flags & ~(DECODED_TO_MEMORY | DECODED_IMMEDIATE) || d->address_size != 8 || d->segment >= SEGMENT_FS ||
	    d->index != REG_NONE || d->base == REG_RSP || (!(d->flags & DECODED_IMMEDIATE) && d->reg == REG_RSP))
		return false;
	/* registers are written whole */
	return d->op == OP_MOV ? to_memory || d->size >= 4 : d->op == OP_MOVZX && d->reg_size >= 4;
}

static u64 low_bytes(unsigned int n)
{
	return n >= 8 ? ~0ull : (1ull << 8 * n) - 1;
}

static COLD void fill(struct known *k, const struct decoded *d)
{
	k->mask[0] = low_bytes(d->length);
	k->mask[1] = d->length > 8 ? low_bytes(d->length - 8u) : 0;
	k->bytes[0] &= k->mask[0];
	k->bytes[1] &= k->mask[1];
	k->displacement = (u64)d->displacement + (d->base == REG_RIP ? k->rip + d->length : 0);
	k->base = d->base == REG_RIP ? REG_NONE : d->base;
	k->immediate = d->immediate;
	k->reg = d->flags & DECODED_IMMEDIATE ? REG_NONE : d->reg;
	k->size = d->size;
	k->length = d->length;
	k->qualification = QUAL_LINEAR | QUAL_FINAL | (d->flags & DECODED_TO_MEMORY ? QUAL_WRITE : QUAL_READ);
}

/* The instruction at rip has made a device access. k: it was kept there. */
static COLD void learn(u32 vcpu, struct known *k, u64 rip, u64 cr3, u64 cs)
{
	static u32 turn;
	struct decoded d;
	u64 gpa;

	if (k->rip != rip)
		k = &ways_of(vcpu, rip)[turn++ % WAYS];
	k->rip = rip;
	k->cr3 = cr3;
	k->cs = cs;
	k->qualification = 0;
	if (!(cs & CS_L) || rip % AVMM_PAGE_SIZE > AVMM_PAGE_SIZE - CODE_BYTES || !walk(k, rip, &gpa))
		return;
	k->code = map(k, LEVELS, gpa);
	if (!k->code)
		return;
	k->bytes[0] = k->code[0];
	k->bytes[1] = k->code[1];
	if (decode((const u8 *)k->bytes, DECODE_MAX_LENGTH, DECODE_64, &d) == DECODE_OK && kept(&d))
		fill(k, &d);
}

/* Another address space: all but the top-level table may be the same. */
static COLD bool change_cr3(struct known *k, u64 cr3)
{
	volatile const u64 *page = map(k, 0, cr3 & ADDRESS);

	k->cr3 = cr3;
	if (!page) {
		k->cs = 0;
		return false;
	}
	k->entry[0] = &page[index_at(k->rip, 0)];
	return true;
}

static inline bool unchanged(const struct known *k)
{
	return *k->entry[0] == k->value[0] && *k->entry[1] == k->value[1] && *k->entry[2] == k->value[2] &&
	       *k->entry[3] == k->value[3] && (k->code[0] & k->mask[0]) == k->bytes[0] &&
	       (k->code[1] & k->mask[1]) == k->bytes[1];
}

static inline void access(const struct known *k, struct vcpu *v, u64 gpa)
{
	u64 rflags = vmread(VMCS_GUEST_RFLAGS);

	if (!(k->qualification & QUAL_WRITE))
		v->gpr[k->reg] = platform_mmio_read(to_user_vcpu(v), gpa, k->size);
	else
		platform_mmio_write(to_user_vcpu(v), gpa, k->size, k->reg == REG_NONE ? k->immediate : v->gpr[k->reg]);
	/* faults, and so these exits, leave RF set; it lasts until the instruction is done */
	if (rflags & RFLAGS_RF)
		vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	vmx_advance(k->length);
}

void user_access(struct vcpu *v, u64 gpa, u64 qualification)
{
	u64 rip = vmread(VMCS_GUEST_RIP), cr3 = vmread(VMCS_GUEST_CR3), cs = vmread(VMCS_GUEST_CS_AR);
	u32 vcpu = to_user_vcpu(v)->number;
	struct known *k;
	u64 linear;
	bool same;

	if (unlikely(vcpu >= KEEPERS)) {
		user_mmio(v, gpa, qualification);
		return;
	}
	k = ways_of(vcpu, rip);
	if (k->rip != rip)
		k++;
	same = k->rip == rip && k->cs == cs;
	if (same && (qualification & QUAL_KIND) == k->qualification && !(vmread(VMCS_VECTORING_INFO) & VMX_EVENT_VALID) &&
	    (k->cr3 == cr3 || change_cr3(k, cr3)) && unchanged(k)) {
		linear = k->displacement + (k->base == REG_NONE ? 0 : v->gpr[k->base]);
		if (linear == vmread(VMCS_GUEST_LINEAR_ADDR) && linear % AVMM_PAGE_SIZE <= AVMM_PAGE_SIZE - k->size) {
			access(k, v, gpa);
			return;
		}
	}
	user_mmio(v, gpa, qualification);
	/* not again and again for one that is not kept */
	if (!same || k->qualification)
		learn(vcpu, k, rip, cr3, cs);
}

COLD void user_access_forget(void)
{
	u32 i;

	for (i = 0; i < KEEPERS * KNOWN; i++)
		known[i / KNOWN][i % KNOWN].cs = 0;
	for (i = 0; i < KEEPERS * KNOWN * PAGES; i++)
		window_drop(i);
}
