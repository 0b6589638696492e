// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disguised disk on the user partition's board: its ports, its PCI function, the way to and from the back half in
 * the module. The controller itself is disguise/front/ide.c.
 */
#include <avmm/hypercall.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "partition.h"

#define ENOENT		2
#define PRIMARY		0x1f0
#define SECONDARY	0x170

static void kick(void *ctx)
{
	struct partition *p = ctx;

	p->page->disk_messages++;
	partition_message();
	shared_forwarded();
}

static void moved(void *ctx, u16 base)
{
	struct partition *p = ctx;

	bus_unmap(&p->platform.ports, ide_bm_rows, IDE_BM_ROWS, &p->platform.ide);
	if (base)
		bus_map(&p->platform.ports, base, ide_bm_rows, IDE_BM_ROWS, &p->platform.ide);
}

static bool attach(struct partition *p)
{
	u8 *area = (u8 *)p->disk + AVMM_PAGE_SIZE;
	u8 *const data[IDE_CHANNELS] = { area, area + AVMM_DISK_DATA_SIZE };

	return ide_attach(&p->platform.ide, p->disk, data);
}

void disk_init(struct partition *p, const struct vdev_irq *irq)
{
	struct platform *b = &p->platform;
	struct ide_ops ops = { .kick = kick, .moved = moved, .ctx = p };

	ide_init(&b->ide, irq, &ops);
	pci_add(&b->pci, IDE_DEVFN, &ide_pci_model, &b->ide);
	bus_map(&b->ports, PRIMARY, ide_rows, IDE_ROWS, &b->ide.channel[0]);
	bus_map(&b->ports, SECONDARY, ide_rows, IDE_ROWS, &b->ide.channel[1]);
	if (p->config.disks && !attach(p))
		core_log("user partition: the module's page of the disk makes no sense");
}

struct ide_channel *disk_data_port(u32 port)
{
	struct ide *ide = &user.platform.ide;

	if (port == PRIMARY)
		return &ide->channel[0];
	return port == SECONDARY ? &ide->channel[1] : NULL;
}

/* What the guest gave up may have been answered: then a reset that waited for it has ended. */
static void after(void)
{
	if (!ide_cancelling(&user.platform.ide))
		partition_release(AVMM_HELD_RESET);
	partition_wake();
}

s64 partition_disk(u64 call)
{
	s64 result = 0;

	if (user.state != AVMM_PARTITION_RUNNING && user.state != AVMM_PARTITION_PAUSED)
		return -ENOENT;
	user.page->disk_calls++;
	platform_lock(&user.platform);
	if (call == AVMM_DISK_COMPLETIONS)
		ide_completions(&user.platform.ide);
	else if (call == AVMM_DISK_DETACH)
		ide_detach(&user.platform.ide);
	else if (call != AVMM_DISK_ATTACH || !attach(&user))
		result = -EINVAL;
	platform_unlock(&user.platform);
	after();
	return result;
}
