// SPDX-License-Identifier: GPL-2.0-only
/*
 * IDE, front half: commands to the back half and its completions.
 *
 * A tag is free, running (ch->tag in phase RUN), or an orphan: given up by the guest. An orphan's tag is used again
 * when both its cancellation and the command itself have been answered. Four tags are enough: a channel that has none
 * left keeps its command until an orphan has ended, and a guest cannot have more than one on its way.
 */
#include "ide-internal.h"

static void ring_put(struct ide *ide, const struct avmm_disk_command *cmd)
{
	struct avmm_disk_page *page = ide->page;

	page->command[ide->command_head % AVMM_DISK_RING] = *cmd;
	__atomic_store_n(&page->command_head, ++ide->command_head, __ATOMIC_RELEASE);
	ide->ops.kick(ide->ops.ctx);
}

static u8 full_tag(const struct ide_channel *ch, unsigned int tag)
{
	return (u8)(ch->index * AVMM_DISK_TAGS + tag);
}

void ide_post(struct ide_channel *ch)
{
	struct ide *ide = ch->ide;
	u8 taken = ch->orphans | ch->cancelling;

	ch->phase = IDE_WAIT;
	if (!ide->page || (taken && ide_touches_medium(ch)))
		return;
	for (ch->tag = 0; ch->tag < AVMM_DISK_TAGS; ch->tag++)
		if (!(taken >> ch->tag & 1))
			break;
	if (ch->tag == AVMM_DISK_TAGS)
		return;
	ch->phase = IDE_RUN;
	ch->cmd.generation = ide->generation;
	ch->cmd.tag = full_tag(ch, ch->tag);
	ch->cmd.state = ch->drive[ch->active].state;
	ring_put(ide, &ch->cmd);
}

void ide_abandon(struct ide_channel *ch)
{
	struct avmm_disk_command cancel = { .message = AVMM_DISK_CANCEL };

	if (ch->phase != IDE_RUN)
		return;
	cancel.generation = ch->ide->generation;
	cancel.tag = ch->cmd.tag;
	cancel.unit = ch->cmd.unit;
	ch->orphans |= (u8)(1u << ch->tag);
	ch->cancelling |= (u8)(1u << ch->tag);
	ring_put(ch->ide, &cancel);
}

/* False: it makes no sense. */
static bool take(struct ide *ide, const struct avmm_disk_completion *c)
{
	struct ide_channel *ch = &ide->channel[c->tag / AVMM_DISK_TAGS % IDE_CHANNELS];
	unsigned int tag = c->tag % AVMM_DISK_TAGS;
	u8 bit = (u8)(1u << tag);

	if (c->generation != ide->generation || c->tag >= IDE_CHANNELS * AVMM_DISK_TAGS)
		return false;
	if (c->message == AVMM_DISK_CANCEL && (ch->cancelling & bit)) {
		ch->cancelling &= (u8)~bit;
		ide_end_reset(ch);
	} else if (c->message == AVMM_DISK_COMMAND && (ch->orphans & bit)) {
		ch->orphans &= (u8)~bit;
	} else if (c->message == AVMM_DISK_COMMAND && ch->phase == IDE_RUN && ch->tag == tag) {
		ide_complete(ch, c);
	} else {
		return false;
	}
	if (ch->phase == IDE_WAIT)
		ide_post(ch);
	return true;
}

void ide_completions(struct ide *ide)
{
	struct avmm_disk_page *page = ide->page;
	u32 count;

	if (!page)
		return;
	count = __atomic_load_n(&page->completion_head, __ATOMIC_ACQUIRE) - ide->completion_tail;
	if (count > AVMM_DISK_RING) {
		ide->rejected++;
		return;
	}
	for (; count; count--) {
		struct avmm_disk_completion c = page->completion[ide->completion_tail % AVMM_DISK_RING];

		asm volatile("" : "+m" (c));	/* a copy: nothing is read from the page twice */
		__atomic_store_n(&page->completion_tail, ++ide->completion_tail, __ATOMIC_RELEASE);
		if (!take(ide, &c))
			ide->rejected++;
	}
}

bool ide_cancelling(const struct ide *ide)
{
	return ide->channel[0].cancelling || ide->channel[1].cancelling;
}

/* From now on the shared pages are not touched. */
void ide_detach(struct ide *ide)
{
	unsigned int i;

	ide->page = NULL;
	for (i = 0; i < IDE_CHANNELS; i++) {
		struct ide_channel *ch = &ide->channel[i];
		bool waits = ch->phase == IDE_RUN || ch->phase == IDE_WAIT;

		ch->data = NULL;
		ch->orphans = 0;
		ch->cancelling = 0;
		ide_end_reset(ch);
		if (waits && !ch->cmd.bytes)
			ch->phase = IDE_WAIT;
		else if (waits || ch->phase == IDE_OUT || ch->phase == IDE_IN)
			ide_fail(ch);
	}
}

static void take_units(struct ide *ide, const struct avmm_disk_page *page)
{
	unsigned int i;

	for (i = 0; i < AVMM_DISK_UNITS; i++) {
		struct ide_drive *drive = &ide->channel[i / IDE_DRIVES].drive[i % IDE_DRIVES];
		struct avmm_disk_unit *unit = &ide->unit[i];

		*unit = page->unit[i];
		asm volatile("" : "+m" (*unit));
		if (unit->kind > AVMM_DISK_ATAPI)
			unit->kind = AVMM_DISK_NONE;
		ide_power_on(drive, unit);
	}
}

bool ide_attach(struct ide *ide, struct avmm_disk_page *page, u8 *const data[IDE_CHANNELS])
{
	u32 generation = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
	unsigned int i;

	if (!generation || generation == ide->generation)
		return false;
	ide_detach(ide);
	if (!ide->generation)
		take_units(ide, page);
	ide->generation = generation;
	ide->command_head = 0;
	ide->completion_tail = 0;
	page->command_head = 0;
	page->completion_tail = 0;
	ide->page = page;
	for (i = 0; i < IDE_CHANNELS; i++) {
		struct ide_channel *ch = &ide->channel[i];

		ch->data = data[i];
		if (ch->phase == IDE_WAIT)
			ide_post(ch);
		else if (ch->phase == IDE_HOLD)
			ide_begin(ch);
	}
	return true;
}
