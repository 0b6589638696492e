// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI configuration space with i440FX, PIIX3 and PIIX4 power management; see pci.h. Reset values and writable bits
 * after Intel's data sheets 290549 (82441FX), 290550 (PIIX3) and 290562 (PIIX4); registers of functions that are not
 * there (DMA, USB, device monitors) are left out or only remembered.
 */
#include "pci.h"

#define ADDRESS_ENABLE	0x80000000u
#define ADDRESS_BITS	0x80fffffcu

#define RESET_BITS	0x02	/* CF9h: kind of reset; bit 2 does it */
#define RESET_CPU	0x04

#define SUBSYSTEM	0x11001af4u	/* what QEMU's devices have */

#define HOST_PAM	0x59
#define ISA_PIRQ	0x60
#define PIRQ_OFF	0x80
#define PM_BASE		0x40
#define PM_BASE_BITS	0xffc0u
#define PM_ENABLE	0x80	/* PMREGMISC bit 0 */
#define SMBUS_BASE	0x90
#define SMBUS_BASE_BITS	0xfff0u
#define SMBUS_CONFIG	0xd2	/* bit 0 enables; interrupt by IRQ 9 */
#define SMBUS_OFFSET	0x100	/* from the PM I/O block, where firmware is skipped */

static const struct pci_register host_registers[] = {
	{ 0x00, 4, 0x12378086, 0, 0 },
	{ 0x04, 2, 0x0006, 0x0100, 0 },		/* memory and master are fixed, SERR# can be enabled */
	{ 0x06, 2, 0x0280, 0, 0x7800 },
	{ 0x08, 4, 0x06000002, 0, 0 },
	{ 0x0d, 1, 0, 0xf8, 0 },		/* latency timer */
	{ 0x2c, 4, SUBSYSTEM, 0, 0 },
	{ 0x50, 4, 0, 0xffffffff, 0 },		/* PMC configuration, deturbo, DRAM: remembered */
	{ 0x54, 4, 0, 0xffffffff, 0 },
	{ 0x58, 1, 0, 0xff, 0 },
	{ 0x59, 1, 0, 0x30, 0 },		/* PAM0: only F0000h */
	{ 0x5a, 2, 0, 0x3333, 0 },		/* PAM1 to PAM6 */
	{ 0x5c, 4, 0, 0x33333333, 0 },
	{ 0x60, 4, 0x01010101, 0xffffffff, 0 },	/* DRAM row boundaries */
	{ 0x64, 4, 0x01010101, 0xffffffff, 0 },
	{ 0x68, 1, 0, 0xff, 0 },
	{ 0x70, 1, 0, 0xff, 0 },
	{ 0x71, 1, 0x10, 0xff, 0 },
	{ 0x72, 1, 0x02, 0x38, 0 },		/* SMRAM: there is none to open */
	{ 0x90, 1, 0x80, 0xff, 0 },
	{ 0x91, 1, 0, 0, 0x11 },
	{ 0x93, 1, 0, 0x3b, 0 },
};

static const struct pci_register isa_registers[] = {
	{ 0x00, 4, 0x70008086, 0, 0 },
	{ 0x04, 2, 0x0007, 0x0108, 0 },
	{ 0x06, 2, 0x0200, 0, 0x7800 },
	{ 0x08, 4, 0x06010000, 0, 0 },
	{ 0x0e, 1, 0x80, 0, 0 },		/* more functions */
	{ 0x2c, 4, SUBSYSTEM, 0, 0 },
	{ 0x4c, 1, 0x4d, 0x7f, 0 },		/* ISA recovery */
	{ 0x4e, 2, 0x0003, 0x07ff, 0 },		/* chip selects */
	{ 0x60, 4, 0x80808080, 0x8f8f8f8f, 0 },	/* PIRQA to PIRQD */
	{ 0x69, 1, 0x02, 0xfe, 0 },		/* top of memory for DMA */
	{ 0x6a, 2, 0, 0x8077, 0 },
	{ 0x70, 1, 0x80, 0xef, 0 },		/* MIRQ0 */
	{ 0x76, 2, 0x0c0c, 0x8f8f, 0 },
	{ 0x78, 2, 0x0002, 0xffff, 0 },
	{ 0x80, 1, 0, 0x7f, 0 },
	{ 0x82, 1, 0, 0x0f, 0 },
	{ 0xa0, 1, 0x08, 0x1f, 0 },		/* SMI control */
	{ 0xa2, 2, 0, 0x01ff, 0 },
	{ 0xa4, 4, 0, 0xffffffff, 0 },
	{ 0xa8, 1, 0x0f, 0xff, 0 },
	{ 0xaa, 2, 0, 0, 0x01ff },
};

static const struct pci_register pm_registers[] = {
	{ 0x00, 4, 0x71138086, 0, 0 },
	{ 0x04, 2, 0, 0x0101, 0 },
	{ 0x06, 2, 0x0280, 0, 0x7800 },
	{ 0x08, 4, 0x06800003, 0, 0 },
	{ 0x2c, 4, SUBSYSTEM, 0, 0 },
	{ 0x3c, 1, 0x09, 0xff, 0 },
	{ 0x3d, 1, 0x01, 0, 0 },
	{ PM_BASE, 4, 0x00000001, PM_BASE_BITS, 0 },
	{ 0x44, 4, 0, 0xffffffff, 0 },		/* device monitors: remembered */
	{ 0x48, 4, 0, 0xffffffff, 0 },
	{ 0x4c, 4, 0, 0xffffffff, 0 },
	{ 0x50, 4, 0, 0xffffffff, 0 },
	{ 0x54, 4, 0, 0xffffffff, 0 },
	{ 0x58, 4, 0x02000000, 0xffffffff, 0 },	/* DEVACTB with APMC_EN */
	{ 0x5c, 4, 0, 0xffffffff, 0 },
	{ 0x60, 4, 0x60000000, 0xffffffff, 0 },
	{ 0x64, 4, 0, 0xffffffff, 0 },
	{ 0x68, 4, 0, 0xffffffff, 0 },
	{ 0x6c, 4, 0, 0xffffffff, 0 },
	{ 0x70, 4, 0, 0xffffffff, 0 },
	{ 0x74, 4, 0, 0xffffffff, 0 },
	{ 0x78, 4, 0, 0xffffffff, 0 },
	{ PM_ENABLE, 1, 0, 0x01, 0 },
	{ SMBUS_BASE, 4, 0x00000001, SMBUS_BASE_BITS, 0 },
	{ SMBUS_CONFIG, 1, 0, 0x0f, 0 },
};

static u32 config_get(const struct pci_function *fn, unsigned int offset, unsigned int size)
{
	u32 value = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		value |= (u32)fn->config[offset + i] << 8 * i;
	return value;
}

static void config_set(struct pci_function *fn, unsigned int offset, unsigned int size, u32 value)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		fn->config[offset + i] = (u8)(value >> 8 * i);
}

static void function_reset(struct pci_function *fn)
{
	unsigned int i;

	vdev_clear(fn->config, sizeof(fn->config));
	for (i = 0; i < fn->model->nregisters; i++)
		config_set(fn, fn->model->registers[i].offset, fn->model->registers[i].size,
			   fn->model->registers[i].reset);
}

static void function_write_byte(struct pci_function *fn, unsigned int offset, u8 value)
{
	const struct pci_model *model = fn->model;
	unsigned int i;

	for (i = 0; i < model->nregisters; i++) {
		const struct pci_register *reg = &model->registers[i];
		unsigned int shift = 8 * (offset - reg->offset);
		u8 writable, old = fn->config[offset];

		if (offset < reg->offset || offset >= reg->offset + reg->size)
			continue;
		writable = (u8)(reg->writable >> shift);
		old &= (u8)~((u8)(reg->clear >> shift) & value);
		fn->config[offset] = (u8)((old & ~writable) | (value & writable));
		return;
	}
}

static struct pci_function *pci_find(struct pci *pci, u8 devfn)
{
	return pci->index[devfn] ? &pci->function[pci->index[devfn] - 1] : NULL;
}

static struct pci_function *pci_decode(struct pci *pci, u32 address)
{
	if (!(address & ADDRESS_ENABLE) || (address >> 16 & 0xff))
		return NULL;
	return pci_find(pci, (u8)(address >> 8));
}

u32 pci_config_read(struct pci *pci, u32 address, unsigned int offset, unsigned int size)
{
	const struct pci_function *fn = pci_decode(pci, address);

	if (!fn)
		return ~0u >> (32 - 8 * size);
	return config_get(fn, (address & 0xfc) + offset, size);
}

void pci_config_write(struct pci *pci, u32 address, unsigned int offset, unsigned int size, u32 value)
{
	struct pci_function *fn = pci_decode(pci, address);
	unsigned int first = (address & 0xfc) + offset, i;

	if (!fn)
		return;
	for (i = 0; i < size; i++)
		function_write_byte(fn, first + i, (u8)(value >> 8 * i));
	if (fn->model->written)
		fn->model->written(pci, fn->ctx, first, size);
}

/* Segment 0 is F0000h (the upper half of PAM0), then two for each of PAM1 (C0000h) to PAM6 (E8000h). */
static u32 host_pam(const struct pci_function *fn, unsigned int segment)
{
	unsigned int nibble = segment + 1;

	return fn->config[HOST_PAM + nibble / 2] >> (nibble & 1 ? 4 : 0) & 3;
}

static void host_report_pam(struct pci *pci, bool all)
{
	const struct pci_function *fn = pci_find(pci, PCI_DEV_HOST);
	unsigned int i;

	for (i = 0; i < PCI_PAMS; i++) {
		u8 attr = (u8)host_pam(fn, i);

		if (!all && attr == pci->pam[i])
			continue;
		pci->pam[i] = attr;
		if (pci->ops.pam)
			pci->ops.pam(pci->ops.ctx, i ? 0xc0000 + (i - 1) * 0x4000 : 0xf0000, i ? 0x4000 : 0x10000,
				     attr);
	}
}

static void host_written(struct pci *pci, void *ctx, unsigned int offset, unsigned int size)
{
	(void)ctx, (void)offset, (void)size;
	host_report_pam(pci, false);
}

static unsigned int isa_pirq(u8 devfn, unsigned int pin0)
{
	return ((devfn >> 3) + pin0 + 3) % PCI_PIRQS;
}

/* PIRQs that are up, a bit each. */
static u32 isa_pirqs(const struct pci *pci)
{
	unsigned int i, pin;
	u32 pirqs = 0;

	for (i = 0; i < pci->count; i++)
		for (pin = 0; pin < 4; pin++)
			if (pci->function[i].intx >> pin & 1)
				pirqs |= 1u << isa_pirq(pci->function[i].devfn, pin);
	return pirqs;
}

static void isa_update_irqs(struct pci *pci)
{
	const struct pci_function *fn = pci_find(pci, PCI_DEV_ISA);
	u32 pirqs = isa_pirqs(pci);
	u16 level = 0, changed;
	unsigned int i;

	for (i = 0; i < PCI_PIRQS; i++)
		if ((pirqs >> i & 1) && !(fn->config[ISA_PIRQ + i] & PIRQ_OFF))
			level |= (u16)(1u << (fn->config[ISA_PIRQ + i] & 15));
	changed = level ^ pci->irq_level;
	pci->irq_level = level;
	for (i = 0; i < 16; i++)
		if (changed >> i & 1)
			vdev_set_irq(&pci->irq, i, level >> i & 1);
}

static void isa_written(struct pci *pci, void *ctx, unsigned int offset, unsigned int size)
{
	(void)ctx, (void)offset, (void)size;
	isa_update_irqs(pci);
}

void pci_set_intx(struct pci *pci, u8 devfn, unsigned int pin, bool level)
{
	struct pci_function *fn = pci_find(pci, devfn);
	u8 bit = (u8)(1u << ((pin - 1) & 3));

	if (!fn)
		return;
	fn->intx = level ? fn->intx | bit : fn->intx & (u8)~bit;
	isa_update_irqs(pci);
}

unsigned int pci_intx_irq(struct pci *pci, u8 devfn, unsigned int pin)
{
	u8 route = pci_find(pci, PCI_DEV_ISA)->config[ISA_PIRQ + isa_pirq(devfn, (pin - 1) & 3)];

	return route & PIRQ_OFF ? PCI_NO_IRQ : route & 15;
}

static void pm_report_bases(struct pci *pci, bool always)
{
	const struct pci_function *fn = pci_find(pci, PCI_DEV_PM);
	u16 pm = fn->config[PM_ENABLE] & 1 ? config_get(fn, PM_BASE, 2) & PM_BASE_BITS : 0;
	u16 smbus = fn->config[SMBUS_CONFIG] & 1 ? config_get(fn, SMBUS_BASE, 2) & SMBUS_BASE_BITS : 0;
	bool pm_moved = pm != pci->pm_base, smbus_moved = smbus != pci->smbus_base;

	pci->pm_base = pm;
	pci->smbus_base = smbus;
	if (pm_moved || always)
		pci->ops.pm_base(pci->ops.ctx, pm);
	if ((smbus_moved || always) && pci->ops.smbus_base)
		pci->ops.smbus_base(pci->ops.ctx, smbus);
}

static void pm_written(struct pci *pci, void *ctx, unsigned int offset, unsigned int size)
{
	(void)ctx, (void)offset, (void)size;
	pm_report_bases(pci, false);
}

static const struct pci_model host_model = { host_registers, VDEV_ARRAY_SIZE(host_registers), host_written };
static const struct pci_model isa_model = { isa_registers, VDEV_ARRAY_SIZE(isa_registers), isa_written };
static const struct pci_model pm_model = { pm_registers, VDEV_ARRAY_SIZE(pm_registers), pm_written };

static u64 address_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	const struct pci *pci = ctx;

	(void)now;
	if (size == 4)
		return pci->address;
	return port == 0xcf9 && size == 1 ? pci->reset_control : ~0ull;
}

static void address_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pci *pci = ctx;

	(void)now;
	if (size == 4) {
		pci->address = (u32)value & ADDRESS_BITS;
		return;
	}
	if (port != 0xcf9 || size != 1)
		return;
	pci->reset_control = value & RESET_BITS;
	if (value & RESET_CPU)
		pci->ops.reset(pci->ops.ctx);
}

static u64 data_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct pci *pci = ctx;

	(void)now;
	return pci_config_read(pci, pci->address, port & 3, size);
}

static void data_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pci *pci = ctx;

	(void)now;
	pci_config_write(pci, pci->address, port & 3, size, (u32)value);
}

const struct bus_row pci_rows[PCI_ROWS] = {
	{ 0xcf8, 4, 1 | 2 | 4 | BUS_QUIET, address_read, address_write },
	{ 0xcfc, 4, 1 | 2 | 4 | BUS_QUIET, data_read, data_write },
};

bool pci_add(struct pci *pci, u8 devfn, const struct pci_model *model, void *ctx)
{
	struct pci_function *fn = &pci->function[pci->count];

	if (pci->count == PCI_FUNCTIONS || pci->index[devfn])
		return false;
	fn->model = model;
	fn->ctx = ctx;
	fn->devfn = devfn;
	pci->index[devfn] = (u8)++pci->count;
	function_reset(fn);
	return true;
}

void pci_reset(struct pci *pci, u16 pm_base)
{
	struct pci_function *pm;
	unsigned int i;

	for (i = 0; i < pci->count; i++)
		function_reset(&pci->function[i]);
	pci->address = 0;
	pci->reset_control = 0;
	pm = pci_find(pci, PCI_DEV_PM);
	if (pm_base) {
		config_set(pm, PM_BASE, 2, (pm_base & PM_BASE_BITS) | 1);
		config_set(pm, SMBUS_BASE, 2, ((pm_base + SMBUS_OFFSET) & SMBUS_BASE_BITS) | 1);
		pm->config[PM_ENABLE] = 0x01;
		pm->config[SMBUS_CONFIG] = 0x09;
	}
	isa_update_irqs(pci);
	host_report_pam(pci, true);
	pm_report_bases(pci, true);
}

void pci_init(struct pci *pci, const struct vdev_irq *irq, const struct pci_ops *ops, u16 pm_base)
{
	vdev_clear(pci, sizeof(*pci));
	pci->irq = *irq;
	pci->ops = *ops;
	pci_add(pci, PCI_DEV_HOST, &host_model, NULL);
	pci_add(pci, PCI_DEV_ISA, &isa_model, NULL);
	pci_add(pci, PCI_DEV_PM, &pm_model, NULL);
	pci_reset(pci, pm_base);
}
