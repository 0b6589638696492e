// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct-access devices of the user partition: their BARs in its second-level translation and its I/O bitmap, their
 * interrupts on its lines. What may be where is decided in vdev/bars.c, what configuration space shows in vdev/direct.c.
 *
 *	memory BAR	in the user's EPT, uncached, where the guest put it; taken out of the service's EPT; but not the pages
 *			with an MSI-X table (direct-message.c)
 *	expansion ROM	likewise, but a copy in Linux's memory: read-only, cached, and not taken from the service
 *	port BAR	at the machine's own address: no exit, by the I/O bitmap; elsewhere: each access is forwarded
 *	INTx		the module masks the machine's line and relays; when the guest is done, the module unmasks it
 *
 * Each write to configuration space that may move something makes a new plan of all BARs; only what changed is mapped
 * anew. State is added to and forgotten by hypercalls while no vCPU runs; everything else is under the platform's lock.
 *
 * The write itself only notes that there is something to settle. The vCPU that made it stands still until the shared CPU
 * has settled it (direct_settle()), while no vCPU is in the guest: a CPU there must not find its I/O bitmap changed (SDM
 * volume 3, 25.11.4), and may use the old place of a BAR until it flushes. So all leave, the plan is made, and each flushes
 * before it goes on: nobody finds a BAR at two places, and behind its write the guest finds it at the new one only.
 */
#include <avmm/device.h>
#include <avmm/x86.h>
#include <ept-shadow/mtrr.h>
#include <vdev/bars.h>
#include <vdev/direct.h>
#include <vmx/root/insn.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include <vmx/root/user.h>
#include "core.h"
#include "direct.h"
#include "direct-message.h"
#include "legacy.h"
#include "partition.h"

#define ENOENT		2
#define BARS		(AVMM_MAX_DEVICES * DIRECT_BARS)
#define FOUR_GIB	(1ull << 32)
#define LEGACY_END	0x100000ull	/* below: RAM, video memory, ROMs */
#define FIXED_BASE	0xfec00000ull	/* from here to 4 GiB: APICs, HPET, message addresses, firmware */
#define ISA_PORTS	0x400u		/* below: devices of the board */
#define IO_PAGES	2
#define PARTS		2	/* of a memory BAR */
#define REG_BARS	0x10
#define REG_BARS_END	0x28
#define REG_ROM		0x30
#define REG_ROM_END	0x34
#define REG_COMMAND	0x04

struct lent_bar {
	struct bus_row row;	/* of a port BAR; the context of its handlers is this structure */
	struct avmm_device_counts *counts;
	u64 place;		/* where the guest has it; BARS_NOWHERE */
	u16 port;		/* the machine's */
	u32 lent;		/* parts that are taken from the service's EPT */
};

static struct slot {
	struct direct direct;
	struct lent_bar bar[DIRECT_BARS];
	struct messages messages;
	bool pending;		/* an interrupt that the guest has not finished */
	bool line;		/* as the chip set has it */
	u32 wants;		/* AVMM_WANTS_*, as the guest has it; … */
	u32 told;		/* … as the module was told; … */
	u32 has;		/* … and as it has set it */
	u32 refused;		/* BARs that the plan in force left out */
} slots[AVMM_MAX_DEVICES];

static u32 nslots;
static u8 *io_bitmap;

static u64 forward_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct lent_bar *bar = ctx;
	u16 port = (u16)(bar->port + offset);

	(void)now;
	bar->counts->forwarded++;
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void forward_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	const struct lent_bar *bar = ctx;
	u16 port = (u16)(bar->port + offset);

	(void)now;
	bar->counts->forwarded++;
	if (size == 1)
		outb(port, (u8)value);
	else if (size == 2)
		outw(port, (u16)value);
	else
		outl(port, (u32)value);
}

u64 direct_io_bitmap(void)
{
	return io_bitmap ? monitor_phys(io_bitmap) : 0;
}

bool direct_need_io_bitmap(void)
{
	u32 i;

	if (io_bitmap)
		return true;
	io_bitmap = pool_pages(IO_PAGES);
	for (i = 0; io_bitmap && i < IO_PAGES * AVMM_PAGE_SIZE; i++)
		((volatile u8 *)io_bitmap)[i] = 0xff;
	return io_bitmap;
}

void direct_pass_ports(u64 first, u64 count, bool pass)
{
	for (; count; first++, count--) {
		if (pass)
			io_bitmap[first / 8] &= (u8)~(1u << (first % 8));
		else
			io_bitmap[first / 8] |= (u8)(1u << (first % 8));
	}
}

static bool has_table(const struct slot *s, unsigned int i)
{
	return s->direct.table.entries && s->direct.table.place.bar == i;
}

/* The parts of a memory BAR that are the guest's, by offset: before and behind the pages with an MSI-X table. */
static void parts_of(const struct slot *s, unsigned int i, struct bars_range part[PARTS])
{
	const struct avmm_msix *table = &s->direct.table.place;
	u64 size = direct_bar_size(&s->direct, i), end = table->first + table->size;

	part[0] = (struct bars_range){ 0, size };
	part[1] = (struct bars_range){ 0, 0 };
	if (has_table(s, i)) {
		part[0].size = table->first;
		part[1] = (struct bars_range){ end, size - end };
	}
}

static void unmap_memory(struct slot *s, unsigned int i)
{
	struct bars_range part[PARTS];
	u32 k;

	if (has_table(s, i))
		messages_unmap(&s->messages);
	parts_of(s, i, part);
	for (k = 0; k < PARTS; k++)
		/* cannot fail: this range was mapped */
		if (part[k].size)
			ept_unmap(&user.ept, s->bar[i].place + part[k].base, part[k].size);
}

static void unmap(struct slot *s, unsigned int i)
{
	struct lent_bar *bar = &s->bar[i];

	if (bar->place == BARS_NOWHERE)
		return;
	if (direct_bar(&s->direct, i)->flags & AVMM_BAR_IO) {
		bus_unmap(&user.platform.ports, &bar->row, 1, bar);
		direct_pass_ports(bar->place, direct_bar_size(&s->direct, i), false);
	} else {
		unmap_memory(s, i);
	}
	bar->place = BARS_NOWHERE;
}

/*
 * What the guest writes to a ROM is an access to what nobody has, as with its firmware's. Rights of the rest as RAM has
 * them: what a guest fetches from its device is its own affair, except where large pages must not be executed (exec.h).
 * False: a table is missing.
 */
static bool map_memory(struct slot *s, unsigned int i, u64 place)
{
	u64 base = direct_bar(&s->direct, i)->base, rights = user.exec.slot ? EPT_RW : EPT_RWX;
	u32 type = MTRR_UC, k;
	struct bars_range part[PARTS];

	if (i == DIRECT_ROM) {
		rights = EPT_R | EPT_X;
		type = MTRR_WB;
	}
	parts_of(s, i, part);
	for (k = 0; k < PARTS; k++)
		if (part[k].size &&
		    ept_map(&user.ept, place + part[k].base, base + part[k].base, part[k].size, rights, type))
			break;
	if (k == PARTS && (!has_table(s, i) || messages_map(&s->messages, place)))
		return true;
	while (k--)
		if (part[k].size)
			ept_unmap(&user.ept, place + part[k].base, part[k].size);
	return false;
}

static bool map(struct slot *s, unsigned int i, u64 place)
{
	const struct avmm_device_bar *real = direct_bar(&s->direct, i);
	struct lent_bar *bar = &s->bar[i];
	u64 size = direct_bar_size(&s->direct, i);

	if (!(real->flags & AVMM_BAR_IO)) {
		if (!map_memory(s, i, place))
			return false;
	} else {
		if (!bus_map(&user.platform.ports, place, &bar->row, 1, bar))
			return false;
		direct_pass_ports(place, size, place == real->base);
	}
	bar->place = place;
	return true;
}

static u32 reserved_memory(struct bars_range *range)
{
	u64 low = partition_low_ram(), window = user.config.window;
	u32 n = 0, i;

	range[n++] = (struct bars_range){ 0, low > LEGACY_END ? low : LEGACY_END };
	range[n++] = (struct bars_range){ FOUR_GIB, partition_high_ram() };
	range[n++] = (struct bars_range){ window, window ? partition_window_end() - window : 0 };
	range[n++] = (struct bars_range){ FIXED_BASE, FOUR_GIB - FIXED_BASE };
	range[n++] = legacy_frame_buffer();
	for (i = 0; i < user.config.vcpus; i++) {
		u64 apic = lapic_mmio_base(&user.vcpu[i]->lapic);

		range[n++] = (struct bars_range){ apic, apic ? AVMM_PAGE_SIZE : 0 };
	}
	return n;
}

/* What devices of the board answer, and the BARs of ours do not count: they are planned anew. */
static u32 reserved_ports(struct bars_range *range)
{
	const struct bus *ports = &user.platform.ports;
	u32 i, n = 0;

	range[n++] = (struct bars_range){ 0, ISA_PORTS };
	for (i = 0; i < ports->count; i++)
		if (ports->slot[i].row->read != forward_read)
			range[n++] = (struct bars_range){ ports->slot[i].first, ports->slot[i].count };
	return n;
}

static void describe(struct bars_bar *bars)
{
	u32 n, i;

	for (n = 0; n < nslots; n++)
		for (i = 0; i < DIRECT_BARS; i++) {
			struct direct *d = &slots[n].direct;

			*bars++ = (struct bars_bar){
				.base = direct_bar_base(d, &user.platform.pci, i),
				.size = direct_bar_size(d, i),
				.io = direct_bar(d, i)->flags & AVMM_BAR_IO,
				.enabled = direct_bar_enabled(d, &user.platform.pci, i),
			};
		}
}

/* No vCPU is in the guest; under the platform's lock. */
static void plan(void)
{
	static struct bars_bar bars[BARS];
	static struct bars_range memory[5 + AVMM_MAX_VCPUS], ports[1 + BUS_SLOTS];
	struct bars_space space = { .memory = memory, .ports = ports, .memory_end = 1ull << EPT_GPA_BITS };
	u32 n, i;

	if (machine.phys_bits < EPT_GPA_BITS)
		space.memory_end = 1ull << machine.phys_bits;
	space.nmemory = reserved_memory(memory);
	space.nports = reserved_ports(ports);
	describe(bars);
	bars_plan(bars, nslots * DIRECT_BARS, &space);
	for (n = 0; n < nslots; n++)
		for (i = 0; i < DIRECT_BARS; i++)
			if (slots[n].bar[i].place != bars[n * DIRECT_BARS + i].place)
				unmap(&slots[n], i);
	for (n = 0; n < nslots; n++) {
		struct slot *s = &slots[n];
		u32 refused = 0;

		for (i = 0; i < DIRECT_BARS; i++) {
			const struct bars_bar *bar = &bars[n * DIRECT_BARS + i];
			bool good = bar->place != BARS_NOWHERE;

			if (good && s->bar[i].place == BARS_NOWHERE)
				good = map(s, i, bar->place);
			refused += bar->enabled && bar->size && !good;
		}
		if (refused > s->refused)
			s->bar[0].counts->refused += refused - s->refused;
		s->refused = refused;
	}
}

static void set_line(struct slot *s)
{
	bool up = s->pending && direct_intx_enabled(&s->direct, &user.platform.pci);

	if (up == s->line)
		return;
	s->line = up;
	pci_set_intx(&user.platform.pci, (u8)s->direct.device.guest_devfn, s->direct.pin, up);
}

/* Seen by the vCPU that is here before it goes on, by others when they are told to leave the guest. */
static void unsettle(void)
{
	__atomic_store_n(&user.platform.unsettled, true, __ATOMIC_RELEASE);
	platform_look_here();
}

/* Configuration space is Linux's: all vCPUs stand still until the module has done it. */
static void settle_wants(void)
{
	u32 i;

	for (i = 0; i < nslots; i++) {
		struct slot *s = &slots[i];

		if (s->told == s->wants)
			continue;
		partition_hold(AVMM_HELD_MASTER);
		s->told = s->wants;
		s->bar[0].counts->wants = s->wants;
		partition_message();
	}
}

/* A CPU that does not answer in time is not in the guest, and flushes before it is. */
void direct_settle(void)
{
	dedicated_order(ORDER_WAIT);
	platform_lock(&user.platform);
	__atomic_store_n(&user.platform.unsettled, false, __ATOMIC_RELEASE);
	stray_forget();
	plan();
	vcpu_flush(NULL);
	platform_unlock(&user.platform);
	settle_wants();
	if (!user.held)
		dedicated_order(ORDER_RUN);
}

void direct_apic_moved(void)
{
	if (nslots)
		unsettle();
}

/* The line falls; if the device has more to say, it rises again as soon as the module lets it. */
static void finish(struct slot *s)
{
	s->pending = false;
	set_line(s);
	s->bar[0].counts->acked++;
	partition_message();
}

static void set_wants(struct slot *s)
{
	u32 wants = (direct_master(&s->direct, &user.platform.pci) ? AVMM_WANTS_MASTER : 0) |
		    (direct_messages(&s->direct, &user.platform.pci) ? AVMM_WANTS_MESSAGES : 0);

	if (wants == s->wants)
		return;
	/* what the line said before is the messages' to say */
	if (wants & AVMM_WANTS_MESSAGES && s->pending)
		finish(s);
	s->wants = wants;
	unsettle();
}

static void written(struct pci *pci, void *ctx, unsigned int offset, unsigned int size)
{
	struct slot *s = ctx;

	(void)pci;
	if (offset < REG_COMMAND + 2 && offset + size > REG_COMMAND) {
		set_line(s);
		set_wants(s);
		unsettle();
	} else if (direct_is_message_control(&s->direct, offset, size)) {
		set_line(s);
		set_wants(s);
		messages_look(&s->messages);
	} else if ((offset < REG_BARS_END && offset + size > REG_BARS) ||
		   (offset < REG_ROM_END && offset + size > REG_ROM)) {
		unsettle();
	}
}

bool direct_is_monitors(u64 base, u64 size)
{
	u32 i;

	for (i = 0; i < machine.nblocks; i++)
		if (bars_overlap(base, size, machine.block[i], AVMM_BLOCK_SIZE))
			return true;
	return false;
}

static void take_back(struct slot *s)
{
	struct bars_range part[PARTS];
	u32 i, k;

	for (i = 0; i < AVMM_DEVICE_BARS; i++) {
		parts_of(s, i, part);
		for (k = 0; k < s->bar[i].lent; k++)
			if (part[k].size)
				service_return(s->direct.device.bar[i].base + part[k].base, part[k].size);
	}
}

/* An MSI-X table stays Linux's. False: no page table is left. */
static bool lend_memory(struct slot *s, unsigned int i)
{
	struct bars_range part[PARTS];
	u32 *lent = &s->bar[i].lent;

	parts_of(s, i, part);
	for (*lent = 0; *lent < PARTS; ++*lent)
		if (part[*lent].size &&
		    !service_lend(s->direct.device.bar[i].base + part[*lent].base, part[*lent].size))
			return false;
	return true;
}

/* Not yet a device of the guest's: its BARs are not the service's any more, and nobody's. */
static s64 lend(struct slot *s)
{
	u32 i;

	for (i = 0; i < DIRECT_BARS; i++) {
		const struct avmm_device_bar *real = direct_bar(&s->direct, i);
		struct lent_bar *bar = &s->bar[i];

		*bar = (struct lent_bar){
			.row = { 0, (u32)real->size, 1 | 2 | 4 | BUS_QUIET, forward_read, forward_write },
			.counts = &user.page->device[s->direct.device.number],
			.place = BARS_NOWHERE,
			.port = (u16)real->base,
		};
		if (!real->size || real->flags & AVMM_BAR_IO)
			continue;
		if (direct_is_monitors(real->base, real->size) || (real->base + real->size - 1) >> machine.phys_bits)
			return -EINVAL;
		if (i != DIRECT_ROM && !lend_memory(s, i))
			return -ENOMEM;
	}
	return 0;
}

/* The copy of a ROM is memory that no other copy and no BAR has a part of. Of the first n devices. */
static bool roms_apart(u32 n)
{
	u32 a, b, i;

	for (a = 0; a < n; a++)
		for (b = 0; b < n; b++)
			for (i = 0; i < DIRECT_BARS; i++) {
				const struct avmm_device_bar *other = direct_bar(&slots[b].direct, i);
				const struct avmm_device_bar *rom = &slots[a].direct.rom;

				if (rom != other && !(other->flags & AVMM_BAR_IO) &&
				    bars_overlap(rom->base, rom->size, other->base, other->size))
					return false;
			}
	return true;
}

s64 direct_add(u64 device_phys)
{
	struct slot *s = &slots[nslots];
	s64 err;
	u32 i;

	if (user.state != AVMM_PARTITION_CREATED)
		return -ENOENT;
	if (nslots == AVMM_MAX_DEVICES || device_phys % AVMM_PAGE_SIZE || device_phys >> machine.phys_bits ||
	    monitor_virt(device_phys))
		return -EINVAL;
	if (!direct_need_io_bitmap())
		return -ENOMEM;
	vdev_clear(s, sizeof(*s));
	if (!direct_init(&s->direct, window_map(device_phys)))
		return -EINVAL;
	for (i = 0; i < nslots; i++)
		if (slots[i].direct.device.number == s->direct.device.number ||
		    slots[i].direct.device.guest_devfn == s->direct.device.guest_devfn)
			return -EINVAL;
	if (!roms_apart(nslots + 1) || (s->direct.device.flags & AVMM_DEVICE_MASTER && !user.config.window &&
					!(s->direct.device.flags & AVMM_DEVICE_IOMMU)))
		return -EINVAL;
	s->direct.model.written = written;
	messages_init(&s->messages, &s->direct, &user.page->device[s->direct.device.number]);
	err = lend(s);
	if (err)
		take_back(s);
	else
		nslots++;
	return err;
}

void direct_reset(void)
{
	nslots = 0;
	io_bitmap = NULL;
	legacy_reset();
}

void direct_start(struct partition *p)
{
	u32 i;

	for (i = 0; i < nslots; i++) {
		const struct avmm_device *device = &slots[i].direct.device;

		if (!pci_add(&p->platform.pci, (u8)device->guest_devfn, &slots[i].direct.model, &slots[i]))
			core_log("user partition: no place for device %x at %x", device->address, device->guest_devfn);
	}
	if (nslots)
		plan();
}

void direct_stop(void)
{
	u32 i;

	for (i = 0; i < nslots; i++)
		take_back(&slots[i]);
	legacy_stop();
	direct_reset();
}

static struct slot *find(u64 number)
{
	u32 i;

	for (i = 0; i < nslots; i++)
		if (slots[i].direct.device.number == number)
			return &slots[i];
	return NULL;
}

static bool runs(void)
{
	return user.state == AVMM_PARTITION_RUNNING || user.state == AVMM_PARTITION_PAUSED;
}

/* Under the platform's lock. message: its vector + 1; 0: the line. */
static bool raise(u64 number, u64 message)
{
	struct slot *s = find(number);

	if (!s)
		return legacy_edge(number);
	s->bar[0].counts->raised++;
	if (message) {
		messages_raise(&s->messages, message - 1);
	} else {
		s->pending = true;
		set_line(s);
	}
	return true;
}

s64 direct_interrupt(u64 number, u64 message)
{
	bool known;

	if (!runs())
		return -ENOENT;
	platform_lock(&user.platform);
	known = raise(number, message);
	platform_unlock(&user.platform);
	if (!known)
		return -EINVAL;
	if (user.state == AVMM_PARTITION_RUNNING)
		partition_wake();
	return 0;
}

/* Which the module does only when it was told so: all vCPUs stand still. */
s64 direct_mastering(u64 number, u64 has)
{
	struct slot *s = find(number);
	bool all = true;
	u32 i;

	if (!runs())
		return -ENOENT;
	if (!s)
		return -EINVAL;
	s->has = (u32)has;
	for (i = 0; i < nslots; i++)
		all &= slots[i].has == slots[i].wants;
	if (all)
		partition_release(AVMM_HELD_MASTER);
	return 0;
}

void direct_irq_done(struct partition *p, u32 irq)
{
	u32 i;

	for (i = 0; i < nslots; i++) {
		struct slot *s = &slots[i];

		if (!s->line || pci_intx_irq(&p->platform.pci, (u8)s->direct.device.guest_devfn, s->direct.pin) != irq)
			continue;
		finish(s);
	}
}
