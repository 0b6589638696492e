/* SPDX-License-Identifier: GPL-2.0-only */
/* Direct-access devices for tests: a snapshot of configuration space, and what the guest reads and writes there. */
#ifndef TESTS_DIRECT_UNIT_H
#define TESTS_DIRECT_UNIT_H

#include <string.h>

#include "vdev/direct.h"

#define ROM_AT	0x300000000ull	/* of the machine's memory: copies of expansion ROMs */

static inline void config_put(struct avmm_device *device, unsigned int offset, unsigned int size, u32 value)
{
	for (; size; size--, offset++, value >>= 8)
		device->config[offset] = (u8)value;
}

/* The RTL8029: one port BAR, an interrupt pin, no capability, no DMA. */
static inline struct avmm_device ne2000(void)
{
	struct avmm_device device = { .guest_devfn = PCI_DEVFN(4, 0), .flags = AVMM_DEVICE_PRESET };

	config_put(&device, 0x00, 4, 0x802910ec);
	config_put(&device, 0x04, 2, 0x0003);
	config_put(&device, 0x06, 2, 0x0200);
	config_put(&device, 0x08, 4, 0x02000000);
	config_put(&device, 0x10, 4, 0x0000c061);
	config_put(&device, 0x2c, 4, 0x802910ec);
	config_put(&device, 0x3c, 2, 0x010b);
	device.bar[0] = (struct avmm_device_bar){ .base = 0xc060, .size = 32, .flags = AVMM_BAR_IO };
	return device;
}

/* Something with everything: 32-bit, 64-bit and port BARs, and five capabilities. */
static inline struct avmm_device everything(void)
{
	struct avmm_device device = {
		.number = 1, .guest_devfn = PCI_DEVFN(5, 0),
		.flags = AVMM_DEVICE_PRESET | AVMM_DEVICE_MASTER | AVMM_DEVICE_MSI, .messages = 1,
	};

	config_put(&device, 0x00, 4, 0x100e8086);
	config_put(&device, 0x04, 2, 0x0107);
	config_put(&device, 0x06, 2, 0x0290);
	config_put(&device, 0x08, 4, 0x02000003);
	config_put(&device, 0x0c, 2, 0x4010);
	config_put(&device, 0x30, 4, 0xfebe0001);
	config_put(&device, 0x34, 1, 0x40);
	config_put(&device, 0x3c, 4, 0x10ff020a);
	config_put(&device, 0x40, 4, 0xaa105009);	/* vendor specific */
	config_put(&device, 0x50, 4, 0xc8225801);	/* power management */
	config_put(&device, 0x54, 4, 0x00002108);
	config_put(&device, 0x58, 4, 0x01867005);	/* MSI: 64 bits, masks, 8 vectors */
	config_put(&device, 0x70, 4, 0x0003a011);	/* MSI-X: 4 vectors */
	config_put(&device, 0x74, 4, 0x00000004);
	config_put(&device, 0x78, 4, 0x00000804);
	config_put(&device, 0xa0, 4, 0x00020010);	/* PCI Express */
	device.bar[0] = (struct avmm_device_bar){ .base = 0xfeb00000, .size = 0x20000 };
	device.bar[1] = (struct avmm_device_bar){ .base = 0xd000, .size = 64, .flags = AVMM_BAR_IO };
	device.bar[2] = (struct avmm_device_bar){ .base = 0xfeb40000, .size = 256 };
	device.bar[4] = (struct avmm_device_bar){
		.base = 0x2000000000ull, .size = 0x100000000ull, .flags = AVMM_BAR_64 | AVMM_BAR_PREFETCH,
	};
	return device;
}

/* The same, of which the module relays as many messages by MSI-X. Its table is at the beginning of BAR 4. */
static inline struct avmm_device with_msix(u32 messages)
{
	struct avmm_device device = everything();

	device.flags = (device.flags & ~AVMM_DEVICE_MSI) | AVMM_DEVICE_MSIX;
	device.messages = messages;
	return device;
}

static inline u32 config_address(const struct direct *d, unsigned int offset)
{
	return 0x80000000u | d->device.guest_devfn << 8 | (offset & 0xfc);
}

static inline u32 guest_get(const struct direct *d, struct pci *pci, unsigned int offset, unsigned int size)
{
	return pci_config_read(pci, config_address(d, offset), offset & 3, size);
}

static inline void guest_set(const struct direct *d, struct pci *pci, unsigned int offset, unsigned int size, u32 value)
{
	pci_config_write(pci, config_address(d, offset), offset & 3, size, value);
}

#endif
