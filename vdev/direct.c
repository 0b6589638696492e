// SPDX-License-Identifier: GPL-2.0-only
/* Configuration space of direct-access devices; see direct.h. */
#include "direct.h"

#define REG_COMMAND	0x04
#define REG_STATUS	0x06
#define REG_HEADER	0x0e
#define REG_BAR0	0x10
#define REG_ROM		0x30
#define REG_CAPS	0x34
#define REG_PIN		0x3d

#define COMMAND_IO	0x0001u
#define COMMAND_MEMORY	0x0002u
#define COMMAND_MASTER	0x0004u
#define COMMAND_PARITY	0x0040u
#define COMMAND_SERR	0x0100u
#define COMMAND_NO_INTX	0x0400u
#define ROM_ENABLE	0x0001u
#define STATUS_CAPS	0x0010u
#define STATUS_READ	0x06e0u		/* 66 MHz, fast back-to-back, DEVSEL timing: what passes */
#define STATUS_ERRORS	0xf900u

#define CAP_PM		0x01
#define CAP_MSI		0x05
#define CAP_MSIX	0x11
#define CAPS_FIRST	0x40
#define CAPS_MOST	48		/* as many as fit between 40h and FFh */

#define MSI_CONTROL	2
#define MSI_ENABLE	0x0001u
#define MSI_WANTED	0x0070u		/* messages, as a power of two: kept, but there is one */
#define MSI_64		0x0080u

#define MSIX_CONTROL	2
#define MSIX_MASK	0x4000u
#define MSIX_ENABLE	0x8000u

enum policy { PASS, SHADOW, VIRTUAL };

struct rule {
	u8 offset;		/* in configuration space, or in the capability */
	u8 size;
	u8 policy;
	u32 keep;		/* PASS and SHADOW: bits of the machine's value that show */
	u32 writable;		/* SHADOW */
};

/* The header. BARs and the ROM's register are apart. */
static const struct rule header_rules[] = {
	{ 0x00, 4, PASS, ~0u, 0 },			/* vendor, device */
	{ REG_COMMAND, 2, VIRTUAL, 0, 0 },
	{ REG_STATUS, 2, VIRTUAL, 0, 0 },
	{ 0x08, 4, PASS, ~0u, 0 },			/* revision, class */
	{ 0x0c, 1, SHADOW, 0xff, 0xff },		/* cache line size */
	{ 0x0d, 1, SHADOW, 0xff, 0xff },		/* latency timer */
	{ REG_HEADER, 1, VIRTUAL, 0, 0 },
	{ 0x2c, 4, PASS, ~0u, 0 },			/* subsystem */
	{ REG_CAPS, 1, VIRTUAL, 0, 0 },
	{ 0x3c, 1, SHADOW, 0, 0xff },			/* interrupt line: firmware's note to the system */
	{ REG_PIN, 1, VIRTUAL, 0, 0 },
	{ 0x3e, 2, PASS, 0xffff, 0 },			/* Min_Gnt, Max_Lat */
};

/* PCI Power Management 1.2: D0 and D3hot are shown and remembered, PME# is not. */
static const struct rule pm_rules[] = {
	{ 2, 2, PASS, 0x0007, 0 },
	{ 4, 2, SHADOW, 0x0008, 0x0003 },
};

/*
 * Vendors' registers that a driver cannot do without, read-only. Renesas's xHCI: does the card have its firmware, or a ROM to
 * get it from? If not, the guest has no way to bring it: that is the service's.
 */
static const struct vendor_rule {
	u16 vendor, device;
	struct rule rule;
} vendor_rules[] = {
	{ 0x1912, 0x0014, { 0xf4, 4, PASS, ~0u, 0 } },		/* uPD720201 */
	{ 0x1912, 0x0015, { 0xf4, 4, PASS, ~0u, 0 } },		/* uPD720202 */
};

static void add(struct direct *d, unsigned int offset, unsigned int size, u32 reset, u32 writable, u32 clear)
{
	if (d->model.nregisters == DIRECT_REGISTERS)
		return;
	d->reg[d->model.nregisters++] = (struct pci_register){
		.offset = (u8)offset, .size = (u8)size, .reset = reset, .writable = writable, .clear = clear,
	};
}

/* What the machine has there. */
static u32 real(const struct direct *d, unsigned int offset, unsigned int size)
{
	return avmm_device_config(&d->device, offset, size);
}

static u32 command_writable(const struct direct *d)
{
	u32 bits = COMMAND_IO | COMMAND_MEMORY | COMMAND_PARITY | COMMAND_SERR | COMMAND_NO_INTX;

	return d->device.flags & AVMM_DEVICE_MASTER ? bits | COMMAND_MASTER : bits;
}

static void add_virtual(struct direct *d, const struct rule *rule, u8 first_cap)
{
	u32 preset = d->device.flags & AVMM_DEVICE_PRESET ? COMMAND_IO | COMMAND_MEMORY : 0;

	switch (rule->offset) {
	case REG_COMMAND:
		add(d, REG_COMMAND, 2, preset & real(d, REG_COMMAND, 2), command_writable(d), 0);
		break;
	case REG_STATUS:
		add(d, REG_STATUS, 2, (real(d, REG_STATUS, 2) & STATUS_READ) | (first_cap ? STATUS_CAPS : 0), 0,
		    STATUS_ERRORS);
		break;
	case REG_CAPS:
		add(d, REG_CAPS, 1, first_cap, 0, 0);
		break;
	case REG_PIN:
		add(d, REG_PIN, 1, d->pin, 0, 0);
		break;
	default:		/* the header type: one function, no bridge */
		add(d, rule->offset, rule->size, 0, 0, 0);
	}
}

static void apply(struct direct *d, const struct rule *rules, unsigned int n, unsigned int base, u8 first_cap)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		u32 value = real(d, base + rules[i].offset, rules[i].size) & rules[i].keep;

		if (rules[i].policy == VIRTUAL)
			add_virtual(d, &rules[i], first_cap);
		else
			add(d, base + rules[i].offset, rules[i].size, value, rules[i].writable, 0);
	}
}

u64 direct_bar_size(const struct direct *d, unsigned int i)
{
	const struct avmm_device_bar *bar = direct_bar(d, i);

	if (bar->size && !(bar->flags & AVMM_BAR_IO) && bar->size < DIRECT_MIN_MEMORY)
		return DIRECT_MIN_MEMORY;
	return bar->size;
}

static void add_bar(struct direct *d, unsigned int i)
{
	const struct avmm_device_bar *bar = &d->device.bar[i];
	u64 mask = ~(direct_bar_size(d, i) - 1), at = d->device.flags & AVMM_DEVICE_PRESET ? bar->base & mask : 0;
	u32 low = bar->flags & AVMM_BAR_IO ? 1 : (bar->flags & AVMM_BAR_64 ? 4 : 0) |
						 (bar->flags & AVMM_BAR_PREFETCH ? 8 : 0);

	add(d, REG_BAR0 + 4 * i, 4, (u32)at | low, (u32)mask & (bar->flags & AVMM_BAR_IO ? ~3u : ~15u), 0);
	if (bar->flags & AVMM_BAR_64)
		add(d, REG_BAR0 + 4 * i + 4, 4, (u32)(at >> 32), (u32)(mask >> 32), 0);
}

/* As if its decoder were not shared with BARs: behind it is a copy. Firmware leaves it disabled. */
static void add_rom(struct direct *d)
{
	u32 mask = (u32)~(d->rom.size - 1);

	add(d, REG_ROM, 4, d->device.flags & AVMM_DEVICE_PRESET ? real(d, REG_ROM, 4) & mask : 0, mask | ROM_ENABLE, 0);
}

/* One message, without masks: Linux gets no more without interrupt remapping, and both are optional. */
static void add_msi(struct direct *d, unsigned int at, u32 next)
{
	u32 control = real(d, at + MSI_CONTROL, 2) & MSI_64;

	add(d, at, 2, CAP_MSI | next << 8, 0, 0);
	add(d, at + MSI_CONTROL, 2, control, MSI_ENABLE | MSI_WANTED, 0);
	add(d, at + 4, 4, 0, ~3u, 0);
	if (control & MSI_64)
		add(d, at + 8, 4, 0, ~0u, 0);
	add(d, control & MSI_64 ? at + 12 : at + 8, 2, 0, 0xffff, 0);
}

static void add_msix(struct direct *d, unsigned int at, u32 next)
{
	add(d, at, 2, CAP_MSIX | next << 8, 0, 0);
	add(d, at + MSIX_CONTROL, 2, d->table.entries - 1, MSIX_ENABLE | MSIX_MASK, 0);
	add(d, at + 4, 4, real(d, at + 4, 4), 0, 0);
	add(d, at + 8, 4, real(d, at + 8, 4), 0, 0);
}

static unsigned int cap_size(const struct direct *d, unsigned int at, u8 id)
{
	u32 control = real(d, at + MSI_CONTROL, 2);

	if (id == CAP_PM)
		return 8;
	if (id == CAP_MSIX)
		return 12;
	return control & MSI_64 ? 14 : 10;
}

/* Its table in a memory BAR, where the guest's can be put in its place? */
static bool msix_good(struct direct *d, unsigned int at)
{
	u32 messages = d->device.messages;
	struct avmm_msix place;

	if (!(d->device.flags & AVMM_DEVICE_MSIX) || !messages || !avmm_device_msix(&d->device, at, &place))
		return false;
	msix_init(&d->table, &place, messages < place.entries ? messages : place.entries);
	return true;
}

/* Does the guest get to see this capability? Each kind once, and whole. */
static bool cap_shown(struct direct *d, unsigned int at)
{
	u8 id = (u8)real(d, at, 1), *slot;

	if (id == CAP_PM)
		slot = &d->pm;
	else if (id == CAP_MSI && d->device.flags & AVMM_DEVICE_MSI)
		slot = &d->msi;
	else if (id == CAP_MSIX)
		slot = &d->msix;
	else
		return false;
	if (*slot || at + cap_size(d, at, id) > AVMM_DEVICE_CONFIG || (id == CAP_MSIX && !msix_good(d, at)))
		return false;
	*slot = (u8)at;
	return true;
}

/* The list as the guest sees it, in the machine's order. A list that never ends is cut. */
static unsigned int list_caps(struct direct *d, u8 shown[3])
{
	unsigned int at = real(d, REG_STATUS, 2) & STATUS_CAPS ? real(d, REG_CAPS, 1) & 0xfc : 0, n = 0, rounds;

	for (rounds = 0; at >= CAPS_FIRST && rounds < CAPS_MOST; rounds++) {
		if (cap_shown(d, at))
			shown[n++] = (u8)at;
		at = real(d, at + 1, 1) & 0xfc;
	}
	return n;
}

static bool caps_overlap(const struct direct *d, const u8 *shown, unsigned int n)
{
	unsigned int i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++) {
			unsigned int a = shown[i], b = shown[k];

			if (a < b + cap_size(d, b, (u8)real(d, b, 1)) && b < a + cap_size(d, a, (u8)real(d, a, 1)))
				return true;
		}
	return false;
}

static void add_caps(struct direct *d, const u8 *shown, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		u32 next = i + 1 < n ? shown[i + 1] : 0;

		if (shown[i] == d->msi) {
			add_msi(d, shown[i], next);
		} else if (shown[i] == d->msix) {
			add_msix(d, shown[i], next);
		} else {
			add(d, shown[i], 2, CAP_PM | next << 8, 0, 0);
			apply(d, pm_rules, VDEV_ARRAY_SIZE(pm_rules), shown[i], 0);
		}
	}
}

/* Behind all capabilities; a card that has one there gets no such register. */
static void add_vendor(struct direct *d, const u8 *shown, unsigned int n)
{
	const struct vendor_rule *v;
	unsigned int end = 0, i;

	for (i = 0; i < n; i++) {
		unsigned int cap = shown[i] + cap_size(d, shown[i], (u8)real(d, shown[i], 1));

		end = cap > end ? cap : end;
	}
	for (v = vendor_rules; v < vendor_rules + VDEV_ARRAY_SIZE(vendor_rules); v++)
		if (v->vendor == real(d, 0, 2) && v->device == real(d, 2, 2) && v->rule.offset >= end)
			apply(d, &v->rule, 1, 0, 0);
}

static bool power_of_two(u64 n)
{
	return n && !(n & (n - 1));
}

static bool bar_good(const struct avmm_device *device, unsigned int i)
{
	const struct avmm_device_bar *bar = &device->bar[i];
	bool io = bar->flags & AVMM_BAR_IO, wide = bar->flags & AVMM_BAR_64;

	if (!bar->size)
		return !bar->flags;
	if (!power_of_two(bar->size) || bar->base & (bar->size - 1) || (io && wide))
		return false;
	if (io)
		return bar->size >= 4 && bar->size <= 0x100 && bar->base && bar->base <= 0x10000 - bar->size;
	if (bar->size < 16 || bar->base % DIRECT_MIN_MEMORY || !bar->base || bar->base >> 52)
		return false;
	if (!wide)
		return bar->size <= 1ull << 31 && bar->base <= (1ull << 32) - bar->size;
	return bar->size <= 1ull << 40 && i + 1 < AVMM_DEVICE_BARS && !device->bar[i + 1].size;
}

static bool rom_good(const struct avmm_device *device)
{
	if (!device->rom_size)
		return !device->rom;
	return power_of_two(device->rom_size) && device->rom_size >= DIRECT_MIN_MEMORY &&
	       device->rom_size <= AVMM_DEVICE_ROM_MAX && device->rom && !(device->rom % DIRECT_MIN_MEMORY) &&
	       !(device->rom >> 52);
}

static bool device_good(const struct avmm_device *device)
{
	unsigned int i;

	for (i = 0; i < AVMM_DEVICE_BARS; i++)
		if (!bar_good(device, i))
			return false;
	return rom_good(device) && device->messages <= AVMM_DEVICE_MESSAGES && device->number < AVMM_MAX_DEVICES &&
	       device->guest_devfn < 256 && !(device->guest_devfn & 7) && !(device->config[REG_HEADER] & 0x7f) &&
	       device->config[REG_PIN] <= 4;
}

bool direct_init(struct direct *d, const struct avmm_device *device)
{
	u8 shown[3];
	unsigned int n, i;

	vdev_clear(d, sizeof(*d));
	d->device = *device;
	if (!device_good(&d->device))
		return false;
	d->rom = (struct avmm_device_bar){ .base = d->device.rom, .size = d->device.rom_size };
	d->pin = d->device.config[REG_PIN];
	n = list_caps(d, shown);
	if (caps_overlap(d, shown, n))
		return false;
	apply(d, header_rules, VDEV_ARRAY_SIZE(header_rules), 0, n ? shown[0] : 0);
	for (i = 0; i < AVMM_DEVICE_BARS; i++)
		if (d->device.bar[i].size)
			add_bar(d, i);
	if (d->rom.size)
		add_rom(d);
	add_caps(d, shown, n);
	add_vendor(d, shown, n);
	d->model.registers = d->reg;
	return true;
}

static u32 config(const struct direct *d, struct pci *pci, unsigned int offset, unsigned int size)
{
	return pci_config_read(pci, 0x80000000u | d->device.guest_devfn << 8 | (offset & 0xfc), offset & 3, size);
}

u64 direct_bar_base(const struct direct *d, struct pci *pci, unsigned int i)
{
	const struct avmm_device_bar *bar = direct_bar(d, i);
	u32 low = config(d, pci, i == DIRECT_ROM ? REG_ROM : REG_BAR0 + 4 * i, 4);

	if (bar->flags & AVMM_BAR_IO)
		return low & ~3u;
	if (!(bar->flags & AVMM_BAR_64))
		return low & ~15u;
	return (u64)config(d, pci, REG_BAR0 + 4 * i + 4, 4) << 32 | (low & ~15u);
}

bool direct_bar_enabled(const struct direct *d, struct pci *pci, unsigned int i)
{
	u32 bit = direct_bar(d, i)->flags & AVMM_BAR_IO ? COMMAND_IO : COMMAND_MEMORY;

	if (i == DIRECT_ROM && !(config(d, pci, REG_ROM, 4) & ROM_ENABLE))
		return false;
	return config(d, pci, REG_COMMAND, 2) & bit;
}

bool direct_intx_enabled(const struct direct *d, struct pci *pci)
{
	return d->pin && !(config(d, pci, REG_COMMAND, 2) & COMMAND_NO_INTX) && !direct_messages(d, pci);
}

bool direct_master(const struct direct *d, struct pci *pci)
{
	return d->device.flags & AVMM_DEVICE_MASTER && config(d, pci, REG_COMMAND, 2) & COMMAND_MASTER;
}

static bool msi_enabled(const struct direct *d, struct pci *pci)
{
	return d->msi && config(d, pci, d->msi + MSI_CONTROL, 2) & MSI_ENABLE;
}

static bool msix_enabled(const struct direct *d, struct pci *pci, u32 how)
{
	return d->msix && (config(d, pci, d->msix + MSIX_CONTROL, 2) & (MSIX_ENABLE | MSIX_MASK)) == how;
}

bool direct_messages(const struct direct *d, struct pci *pci)
{
	return msi_enabled(d, pci) || msix_enabled(d, pci, MSIX_ENABLE) || msix_enabled(d, pci, MSIX_ENABLE | MSIX_MASK);
}

static void msi_message(const struct direct *d, struct pci *pci, struct direct_message *message)
{
	bool wide = config(d, pci, d->msi + MSI_CONTROL, 2) & MSI_64;

	message->address = config(d, pci, d->msi + 4, 4);
	if (wide)
		message->address |= (u64)config(d, pci, d->msi + 8, 4) << 32;
	message->data = config(d, pci, d->msi + (wide ? 12 : 8), 2);
}

bool direct_message(const struct direct *d, struct pci *pci, unsigned int vector, struct direct_message *message)
{
	if (msix_enabled(d, pci, MSIX_ENABLE))
		return msix_message(&d->table, vector, message);
	if (vector || !msi_enabled(d, pci))
		return false;
	msi_message(d, pci, message);
	return true;
}

static bool touches(unsigned int offset, unsigned int size, unsigned int cap)
{
	return cap && offset < cap + MSI_CONTROL + 2 && offset + size > cap + MSI_CONTROL;
}

bool direct_is_message_control(const struct direct *d, unsigned int offset, unsigned int size)
{
	return touches(offset, size, d->msi) || touches(offset, size, d->msix);
}
