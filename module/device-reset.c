// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of direct-access devices. A device that goes on with what the last guest told it would do DMA by addresses of that
 * as soon as the next guest lets it master the bus, which drivers do before they reset it. So a device is reset by PCI
 * (FLR, power management, bus) or, where it has nothing of that, as its programming interface says.
 *
 * Called while Linux may reach the device's registers, with bus mastering off; may sleep.
 */
#include <linux/delay.h>
#include <linux/iopoll.h>
#include <linux/pci.h>
#include "module.h"
#include "device.h"

#define ANY		PCI_ANY_ID
#define CLASS_UHCI	0x0c0300
#define CLASS_XHCI	0x0c0330
#define EVERYTHING	0xffffff

/* Intel 8254x */
#define E1000_CTRL	0x0000
#define E1000_CTRL_RST	BIT(26)
#define E1000_IMC	0x00d8
#define E1000_RCTL	0x0100
#define E1000_TCTL	0x0400
#define E1000_SIZE	0x1000

/* Universal Host Controller Interface 1.1, in BAR 4 */
#define UHCI_COMMAND	0x00
#define UHCI_HCRESET	BIT(1)
#define UHCI_INTERRUPTS	0x04

/* xHCI 1.2, 5.4; operational registers, behind CAPLENGTH bytes of BAR 0 */
#define XHCI_COMMAND	0x00
#define XHCI_RUN	BIT(0)
#define XHCI_HCRST	BIT(1)
#define XHCI_INTE	BIT(2)
#define XHCI_STATUS	0x04
#define XHCI_HALTED	BIT(0)
#define XHCI_EVENT	BIT(3)
#define XHCI_NOT_READY	BIT(11)
#define XHCI_HALT_US	16000
#define XHCI_RESET_US	1000000

/* Ensoniq ES1370, in BAR 0 */
#define ES1370_CONTROL	0x00
#define ES1370_CHANNELS	(BIT(6) | BIT(5) | BIT(4) | BIT(3))	/* both DACs, ADC, UART */
#define ES1370_UART	0x09
#define ES1370_SERIAL	0x20
#define ES1370_ENABLES	(BIT(10) | BIT(9) | BIT(8))		/* of the channels' interrupts */
#define ES1370_SIZE	64

static int reset_e1000(struct pci_dev *pdev)
{
	void __iomem *registers = pci_iomap(pdev, 0, E1000_SIZE);

	if (!registers)
		return -ENOMEM;
	writel(~0u, registers + E1000_IMC);
	writel(0, registers + E1000_RCTL);
	writel(0, registers + E1000_TCTL);
	writel(readl(registers + E1000_CTRL) | E1000_CTRL_RST, registers + E1000_CTRL);
	msleep(20);		/* it reads its EEPROM */
	writel(~0u, registers + E1000_IMC);
	pci_iounmap(pdev, registers);
	return 0;
}

static int reset_uhci(struct pci_dev *pdev)
{
	unsigned long ports = pci_resource_start(pdev, 4);

	outw(UHCI_HCRESET, ports + UHCI_COMMAND);
	msleep(1);
	outw(0, ports + UHCI_INTERRUPTS);
	outw(0, ports + UHCI_COMMAND);
	return 0;
}

/*
 * Halted, by 5.4.1.1 within 16 ms, it may be reset; a controller that does not halt is reset all the same. Until it is ready
 * again nothing but the status may be read. The event interrupt is taken back before, for a level that stays would be the
 * next owner's.
 */
static int reset_xhci(struct pci_dev *pdev)
{
	void __iomem *registers = pci_iomap(pdev, 0, PAGE_SIZE), *operational;
	u32 command, value;
	int err;

	if (!registers)
		return -ENOMEM;
	operational = registers + readb(registers);
	command = readl(operational + XHCI_COMMAND) & ~(XHCI_RUN | XHCI_INTE);
	writel(command, operational + XHCI_COMMAND);
	readl_poll_timeout(operational + XHCI_STATUS, value, value & XHCI_HALTED, 100, XHCI_HALT_US);
	writel(XHCI_EVENT, operational + XHCI_STATUS);
	writel(command | XHCI_HCRST, operational + XHCI_COMMAND);
	err = readl_poll_timeout(operational + XHCI_COMMAND, value, !(value & XHCI_HCRST), 100, XHCI_RESET_US) ?:
	      readl_poll_timeout(operational + XHCI_STATUS, value, !(value & XHCI_NOT_READY), 100, XHCI_RESET_US);
	pci_iounmap(pdev, registers);
	return err;
}

/* Channels first, so that none asks again; then what they have asked for falls. */
static int reset_es1370(struct pci_dev *pdev)
{
	unsigned long ports = pci_resource_start(pdev, 0);

	outl(inl(ports + ES1370_CONTROL) & ~(u32)ES1370_CHANNELS, ports + ES1370_CONTROL);
	outb(0, ports + ES1370_UART);
	outl(0, ports + ES1370_SERIAL);
	return inl(ports + ES1370_CONTROL) & ES1370_CHANNELS || inl(ports + ES1370_SERIAL) & ES1370_ENABLES ?
	       -EIO : 0;
}

static const struct way {
	struct pci_device_id id;
	unsigned int bar;
	unsigned long flags;		/* of the BAR */
	unsigned long size;		/* of it at least */
	int (*reset)(struct pci_dev *pdev);
} ways[] = {
	{ { PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x100e) }, 0, IORESOURCE_MEM, E1000_SIZE, reset_e1000 },	/* 82540EM */
	{ { PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x100f) }, 0, IORESOURCE_MEM, E1000_SIZE, reset_e1000 },	/* 82545EM */
	{ { PCI_DEVICE_CLASS(CLASS_UHCI, EVERYTHING) }, 4, IORESOURCE_IO, UHCI_INTERRUPTS + 2, reset_uhci },
	{ { PCI_DEVICE_CLASS(CLASS_XHCI, EVERYTHING) }, 0, IORESOURCE_MEM, PAGE_SIZE, reset_xhci },
	{ { PCI_DEVICE(PCI_VENDOR_ID_ENSONIQ, PCI_DEVICE_ID_ENSONIQ_ES1370) }, 0, IORESOURCE_IO, ES1370_SIZE, reset_es1370 },
};

static bool matches(const struct pci_device_id *id, const struct pci_dev *pdev)
{
	return (id->vendor == ANY || id->vendor == pdev->vendor) && (id->device == ANY || id->device == pdev->device) &&
	       !((id->class ^ pdev->class) & id->class_mask);
}

static const struct way *find_way(struct pci_dev *pdev)
{
	const struct way *way;

	for (way = ways; way < ways + ARRAY_SIZE(ways); way++)
		if (matches(&way->id, pdev) && pci_resource_flags(pdev, way->bar) & way->flags &&
		    pci_resource_len(pdev, way->bar) >= way->size)
			return way;
	return NULL;
}

bool avmm_device_can_reset(struct pci_dev *pdev)
{
	return pdev->reset_methods[0] || find_way(pdev);
}

int avmm_device_reset(struct pci_dev *pdev, bool locked)
{
	const struct way *way = find_way(pdev);

	if (pdev->reset_methods[0])
		return locked ? __pci_reset_function_locked(pdev) : pci_try_reset_function(pdev);
	return way ? way->reset(pdev) : -ENOTTY;
}
