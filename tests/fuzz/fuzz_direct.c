// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct-access devices with any description, and a guest that writes anything to their configuration space. After each
 * write the BARs are planned and mapped as the monitor does it. Asserted: identity never changes, bus mastering is never
 * on without permission, no BAR lies on what is reserved or on another one, and the guest's EPT maps its RAM, the
 * BARs of its devices to the machine's and their ROMs to copies, read-only, and nothing else (ept_check()).
 */
#include <assert.h>
#include <stdint.h>

#include "direct_unit.h"
#include "ept-shadow/mtrr.h"
#include "ept_supplier.h"
#include "vdev/bars.h"

#define DEVICES		2
#define BARS		(DEVICES * DIRECT_BARS)
#define RAM		(64ull << 20)
#define RAM_AT		(8ull << 30)	/* of the machine */
#define MONITOR		(32ull << 30)
#define MAX_PAGES	4096u		/* larger BARs are planned, not mapped here */

static struct supplier supplier;
static struct ept ept;
static struct pci pci;
static struct direct direct[DEVICES];
static u64 place[BARS];
static unsigned int ndevices;

static const struct bars_range memory[] = { { 0, RAM }, { 0xfec00000, 20u << 20 }, { 4ull << 30, 1ull << 30 } };
static const struct bars_range board[] = { { 0, 0x400 }, { 0x600, 0x40 }, { 0xcf8, 8 } };
static const struct bars_space space = { memory, 3, board, 3, 1ull << 39 };

struct input {
	const uint8_t *data;
	size_t size;
};

static u32 take(struct input *in, unsigned int bytes)
{
	u32 value = 0;

	while (bytes-- && in->size) {
		value = value << 8 | *in->data++;
		in->size--;
	}
	return value;
}

static void no_base(void *ctx, u16 base)
{
	(void)ctx, (void)base;
}

static void no_reset(void *ctx)
{
	(void)ctx;
}

/* As the monitor has it: the copy of a ROM is memory that nothing else has a part of. */
static bool apart(unsigned int n)
{
	unsigned int a, b;

	for (a = 0; a < n; a++)
		for (b = 0; b < n * DIRECT_BARS; b++) {
			const struct avmm_device_bar *bar = direct_bar(&direct[b / DIRECT_BARS], b % DIRECT_BARS);
			const struct avmm_device_bar *rom = &direct[a].rom;

			if (rom != bar && !(bar->flags & AVMM_BAR_IO) &&
			    bars_overlap(rom->base, rom->size, bar->base, bar->size))
				return false;
		}
	return true;
}

/* A known device with some bytes changed; most inputs are one that is accepted. */
static bool add(struct input *in)
{
	unsigned int kind = take(in, 1) % 3;
	struct avmm_device device = kind == 2 ? with_msix(4) : kind ? everything() : ne2000();
	unsigned int changes, i;

	device.rom = ROM_AT + ndevices * AVMM_DEVICE_ROM_MAX;
	device.rom_size = 1ull << (12 + ndevices);
	changes = take(in, 1) % 16;
	for (i = 0; i < changes; i++)
		((u8 *)&device)[take(in, 2) % sizeof(device)] = (u8)take(in, 1);
	device.guest_devfn = PCI_DEVFN(4 + ndevices, 0);
	if (!direct_init(&direct[ndevices], &device))
		return false;
	for (i = 0; i < DIRECT_BARS; i++) {		/* the monitor has looked at this */
		const struct avmm_device_bar *bar = direct_bar(&direct[ndevices], i);

		if (bars_overlap(bar->base, bar->size, MONITOR, 1ull << 30) || (bar->base + bar->size) >> 39)
			return false;
	}
	if (!apart(ndevices + 1))
		return false;
	assert(direct[ndevices].model.nregisters < DIRECT_REGISTERS);
	return pci_add(&pci, (u8)device.guest_devfn, &direct[ndevices].model, &direct[ndevices]);
}

static bool in_memory(unsigned int bar)
{
	const struct avmm_device_bar *real = direct_bar(&direct[bar / DIRECT_BARS], bar % DIRECT_BARS);

	return !(real->flags & AVMM_BAR_IO) && real->size <= MAX_PAGES * AVMM_PAGE_SIZE;
}

static void map(const struct bars_bar *bars)
{
	unsigned int i;

	for (i = 0; i < ndevices * DIRECT_BARS; i++)
		if (place[i] != bars[i].place && place[i] != BARS_NOWHERE && in_memory(i))
			assert(!ept_unmap(&ept, place[i], bars[i].size));
	for (i = 0; i < ndevices * DIRECT_BARS; i++) {
		u64 real = direct_bar(&direct[i / DIRECT_BARS], i % DIRECT_BARS)->base;
		bool rom = i % DIRECT_BARS == DIRECT_ROM;

		if (place[i] != bars[i].place && bars[i].place != BARS_NOWHERE && in_memory(i) &&
		    ept_map(&ept, bars[i].place, real, bars[i].size, rom ? EPT_R | EPT_X : EPT_RWX, rom ? MTRR_WB : MTRR_UC))
			place[i] = BARS_NOWHERE;	/* no table is left */
		else
			place[i] = bars[i].place;
	}
}

static void check(const struct bars_bar *bars, unsigned int n)
{
	struct ept_rule rules[2 + BARS] = { { MONITOR, 1ull << 30, 0 }, { RAM_AT, RAM, EPT_RWX } };
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		const struct avmm_device_bar *real = direct_bar(&direct[i / DIRECT_BARS], i % DIRECT_BARS);

		rules[2 + i] = (struct ept_rule){
			real->base, bars[i].size, i % DIRECT_BARS == DIRECT_ROM ? EPT_R | EPT_X : EPT_RWX,
		};
		if (real->flags & AVMM_BAR_IO)
			rules[2 + i].size = 0;
		if (bars[i].place == BARS_NOWHERE)
			continue;
		assert(bars[i].enabled && bars[i].place == bars[i].base);
		for (k = 0; k < 3; k++) {
			const struct bars_range *r = bars[i].io ? &board[k] : &memory[k];

			assert(!bars_overlap(bars[i].place, bars[i].size, r->base, r->size));
		}
		for (k = 0; k < i; k++)
			assert(bars[k].place == BARS_NOWHERE || bars[k].io != bars[i].io ||
			       !bars_overlap(bars[i].place, bars[i].size, bars[k].place, bars[k].size));
	}
	assert(ept_check(&ept, rules, 2 + n, 0) == EPT_CLEAN);
}

static void plan(void)
{
	struct bars_bar bars[BARS];
	unsigned int n, i;

	for (n = 0; n < ndevices; n++)
		for (i = 0; i < DIRECT_BARS; i++)
			bars[n * DIRECT_BARS + i] = (struct bars_bar){
				.base = direct_bar_base(&direct[n], &pci, i),
				.size = direct_bar_size(&direct[n], i),
				.io = direct_bar(&direct[n], i)->flags & AVMM_BAR_IO,
				.enabled = direct_bar_enabled(&direct[n], &pci, i),
			};
	bars_plan(bars, ndevices * DIRECT_BARS, &space);
	map(bars);
	check(bars, ndevices * DIRECT_BARS);
}

static void access_config(struct input *in)
{
	const struct direct *d = &direct[take(in, 1) % ndevices];
	unsigned int size = 1u << take(in, 1) % 3, offset = take(in, 1) & ~(size - 1);
	struct direct_message message;

	guest_set(d, &pci, offset, size, take(in, size));
	assert(guest_get(d, &pci, 0, 1) == d->device.config[0] && guest_get(d, &pci, 9, 1) == d->device.config[9]);
	assert(d->device.flags & AVMM_DEVICE_MASTER || !(guest_get(d, &pci, 4, 2) & 4));
	if (direct_message(d, &pci, offset, &message))
		assert(d->device.flags & (AVMM_DEVICE_MSI | AVMM_DEVICE_MSIX) && direct_messages(d, &pci) &&
		       offset < d->device.messages);
	plan();
}

/* Anywhere on the pages with the table. */
static void access_table(struct input *in)
{
	struct msix *x = &direct[take(in, 1) % ndevices].table;
	unsigned int size = 1u << take(in, 1) % 4;
	u64 at = x->place.first + take(in, 3), value;
	struct direct_message message;

	if (!x->entries)
		return;
	assert(x->place.first + x->place.size <= x->place.first + AVMM_MSIX_SPAN && x->entries <= x->place.entries);
	if (take(in, 1) & 1)
		msix_write(x, at, size, (u64)take(in, 4) << 32 | take(in, 4));
	if (msix_read(x, at, size, &value))
		assert(at + size > x->place.first && at < x->place.first + x->place.size);
	if (msix_message(x, take(in, 1), &message))
		assert(!(x->place.first % AVMM_PAGE_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pci_ops ops = { .pm_base = no_base, .reset = no_reset };
	struct vdev_irq irq = { 0 };
	struct input in = { data, size };
	unsigned int i;

	supplier_init(&supplier, &ept, MONITOR);
	supplier.limit = 64;
	assert(!ept_init(&ept) && !ept_map(&ept, 0, RAM_AT, RAM, EPT_RWX, MTRR_WB));
	pci_init(&pci, &irq, &ops, 0x600);
	for (i = 0; i < BARS; i++)
		place[i] = BARS_NOWHERE;
	for (i = ndevices = 0; i < DEVICES; i++)
		ndevices += add(&in);
	if (ndevices)
		plan();
	while (in.size && ndevices) {
		if (take(&in, 1) & 1)
			access_config(&in);
		else
			access_table(&in);
	}
	supplier_free(&supplier);
	return 0;
}
