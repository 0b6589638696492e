// SPDX-License-Identifier: GPL-2.0-only
/* 82C54 and port 61h; see pit.h. Mode by mode after Intel's data sheet 231244. */
#include "pit.h"

#define TICK_BIAS		0x20000u	/* so that "start" may lie a period before TSC 0 */

#define CONTROL_READ_BACK	3	/* channel number in a control word */
#define READ_BACK_NO_COUNT	0x20
#define READ_BACK_NO_STATUS	0x10
#define STATUS_OUT		0x80
#define STATUS_NULL		0x40

#define PORT61_GATE2		0x01
#define PORT61_SPEAKER		0x02
#define PORT61_WRITABLE		0x0f
#define PORT61_REFRESH		0x10
#define PORT61_OUT2		0x20
#define REFRESH_TICKS		18u	/* channel 1's count on every PC */

static u64 pit_tick(const struct pit *pit, u64 now)
{
	return clock_ticks(&pit->clock, now) + TICK_BIAS;
}

static u32 channel_modulus(const struct pit_channel *ch)
{
	return ch->bcd ? 10000 : 65536;
}

static u64 channel_elapsed(const struct pit_channel *ch, u64 tick)
{
	if (!ch->running)
		return ch->frozen;
	return tick > ch->start ? tick - ch->start : 0;
}

static bool channel_periodic(const struct pit_channel *ch)
{
	return ch->mode == 2 || ch->mode == 3;
}

static bool channel_needs_trigger(const struct pit_channel *ch)
{
	return ch->mode == 1 || ch->mode == 5;
}

/* The square wave is high for the longer half. */
static u32 high_half(u32 count)
{
	return (count + 1) / 2;
}

static bool channel_out(const struct pit_channel *ch, u64 tick)
{
	u64 elapsed = channel_elapsed(ch, tick);

	if (!ch->loaded)
		return ch->mode != 0;
	switch (ch->mode) {
	case 0:
		return elapsed >= ch->count;
	case 1:
		return elapsed >= ch->count;
	case 2:
		return !ch->gate || ch->count == 1 || elapsed % ch->count != ch->count - 1;
	case 3:
		return !ch->gate || elapsed % ch->count < high_half(ch->count);
	default:
		return elapsed != ch->count;
	}
}

static u32 to_bcd(u32 value)
{
	return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static u32 from_bcd(u32 bcd)
{
	return (bcd & 15) + (bcd >> 4 & 15) * 10 + (bcd >> 8 & 15) * 100 + (bcd >> 12 & 15) * 1000;
}

/* The counting element as the processor reads it. */
static u16 channel_value(const struct pit_channel *ch, u64 tick)
{
	u64 elapsed = channel_elapsed(ch, tick);
	u32 modulus = channel_modulus(ch), value, phase;

	switch (ch->mode) {
	case 2:
		value = ch->count - (u32)(elapsed % ch->count);
		break;
	case 3:	/* by twos, once for each half; an odd count starts one lower */
		phase = (u32)(elapsed % ch->count);
		if (phase >= high_half(ch->count))
			phase -= high_half(ch->count);
		value = (ch->count & ~1u) - 2 * phase;
		break;
	default:
		value = ch->count + modulus - (u32)(elapsed % modulus);
		break;
	}
	value %= modulus;
	return (u16)(ch->bcd ? to_bcd(value) : value);
}

/* A count written in mid-period takes effect at the end of the period, in mode 3 of the half-period. */
static void channel_sync(struct pit_channel *ch, u64 tick)
{
	bool at_period_end;

	if (!ch->reload_pending || !ch->running || !channel_periodic(ch) || tick < ch->reload_at)
		return;
	at_period_end = (ch->reload_at - ch->start) % ch->count == 0;
	ch->start = at_period_end ? ch->reload_at : ch->reload_at - high_half(ch->next_count);
	ch->count = ch->next_count;
	ch->reload_pending = false;
}

/* The counter loads on the next clock. */
static void channel_load(struct pit_channel *ch, u64 tick)
{
	ch->count = ch->next_count;
	ch->reload_pending = false;
	ch->loaded = true;
	ch->running = ch->gate || channel_needs_trigger(ch);
	ch->start = tick + 1;
	ch->frozen = 0;
}

static void channel_reload_later(struct pit_channel *ch, u64 tick)
{
	u64 elapsed = channel_elapsed(ch, tick), period = elapsed / ch->count * ch->count;
	u32 half = high_half(ch->count);

	ch->reload_pending = true;
	if (ch->mode == 3 && elapsed - period < half && half < ch->count)
		ch->reload_at = ch->start + period + half;
	else
		ch->reload_at = ch->start + period + ch->count;
}

static void channel_set_count(struct pit_channel *ch, u32 raw, u64 tick)
{
	u32 count = (ch->bcd ? from_bcd(raw) : raw) % channel_modulus(ch);

	ch->next_count = count ? count : channel_modulus(ch);
	ch->programmed = true;
	if (channel_needs_trigger(ch))
		ch->reload_pending = true;
	else if (channel_periodic(ch) && ch->loaded)
		channel_reload_later(ch, tick);
	else
		channel_load(ch, tick);
}

static void channel_write(struct pit_channel *ch, u8 value, u64 tick)
{
	channel_sync(ch, tick);
	if (ch->access == 3 && !ch->write_high) {
		ch->write_low = value;
		ch->write_high = true;
		if (ch->mode == 0) {	/* the first byte stops the count and puts OUT low */
			ch->frozen = channel_elapsed(ch, tick);
			ch->running = false;
			ch->loaded = false;
		}
		return;
	}
	ch->write_high = false;
	if (ch->access == 3)
		channel_set_count(ch, (u32)value << 8 | ch->write_low, tick);
	else
		channel_set_count(ch, ch->access == 2 ? (u32)value << 8 : value, tick);
}

static void channel_latch_count(struct pit_channel *ch, u64 tick)
{
	if (ch->latched)
		return;
	channel_sync(ch, tick);
	ch->latch = channel_value(ch, tick);
	ch->latched = ch->access == 3 ? 2 : 1;
}

static void channel_latch_status(struct pit_channel *ch, u64 tick)
{
	bool null;

	if (ch->status_latched)
		return;
	channel_sync(ch, tick);
	null = !ch->programmed || ch->reload_pending || (ch->running && tick < ch->start);
	ch->status = (u8)(ch->access << 4 | ch->mode << 1 | ch->bcd);
	if (channel_out(ch, tick))
		ch->status |= STATUS_OUT;
	if (null)
		ch->status |= STATUS_NULL;
	ch->status_latched = true;
}

static u8 channel_read(struct pit_channel *ch, u64 tick)
{
	bool high = ch->access == 2;
	u16 value;

	if (ch->status_latched) {
		ch->status_latched = false;
		return ch->status;
	}
	if (ch->latched) {
		value = ch->latch;
		if (ch->access == 3)
			high = ch->latched == 1;
		ch->latched--;
	} else {
		channel_sync(ch, tick);
		value = channel_value(ch, tick);
		if (ch->access == 3) {
			high = ch->read_high;
			ch->read_high = !high;
		}
	}
	return (u8)(high ? value >> 8 : value);
}

static void channel_set_gate(struct pit_channel *ch, bool gate, u64 tick)
{
	if (gate == ch->gate)
		return;
	channel_sync(ch, tick);
	ch->gate = gate;
	if (!gate) {
		if (channel_needs_trigger(ch))
			return;
		ch->frozen = channel_elapsed(ch, tick);
		ch->running = false;
	} else if (channel_needs_trigger(ch) || channel_periodic(ch)) {
		if (ch->programmed)
			channel_load(ch, tick);
	} else if (ch->loaded) {
		if (ch->start < tick - ch->frozen)	/* else the load is still to come */
			ch->start = tick - ch->frozen;
		ch->running = true;
	}
}

static void channel_control(struct pit_channel *ch, u8 control)
{
	ch->access = control >> 4 & 3;
	ch->mode = control >> 1 & 7;
	if (ch->mode > 5)
		ch->mode &= 3;	/* 6 and 7 are 2 and 3 */
	ch->bcd = control & 1;
	ch->running = false;
	ch->frozen = 0;
	ch->loaded = false;
	ch->programmed = false;
	ch->reload_pending = false;
	ch->write_high = false;
	ch->read_high = false;
	ch->latched = 0;
	ch->status_latched = false;
}

/* Rising edges of OUT after "from", up to "to". Only for channel 0, whose gate is always high. */
static u64 channel_edges(const struct pit_channel *ch, u64 from, u64 to)
{
	u64 at = ch->start + ch->count + (ch->mode == 4);

	if (!ch->loaded || channel_needs_trigger(ch))
		return 0;
	if (!channel_periodic(ch))
		return from < at && at <= to;
	return (to > ch->start ? (to - ch->start) / ch->count : 0) -
	       (from > ch->start ? (from - ch->start) / ch->count : 0);
}

/* The first rising edge after "from", CLOCK_NEVER if none. */
static u64 channel_next_edge(const struct pit_channel *ch, u64 from)
{
	u64 at = ch->start + ch->count + (ch->mode == 4);

	if (!ch->loaded || channel_needs_trigger(ch))
		return CLOCK_NEVER;
	if (!channel_periodic(ch))
		return from < at ? at : CLOCK_NEVER;
	if (from > ch->start)
		at = ch->start + ((from - ch->start) / ch->count + 1) * ch->count;
	if (ch->reload_pending && at > ch->reload_at)	/* mode 3, new low half */
		at = ch->reload_at + ch->next_count - high_half(ch->next_count);
	return at;
}

static void pit_edge(struct pit *pit)
{
	vdev_set_irq(&pit->irq, PIT_IRQ, false);
	vdev_set_irq(&pit->irq, PIT_IRQ, true);
}

static void pit_raised(struct pit *pit)
{
	pit->raised = pit->seen;
	pit->chances = 0;
}

static void pit_forget(struct pit *pit)
{
	pit->backlog = 0;
	pit->unfinished = false;
}

static void pit_tick_irq(struct pit *pit, u64 edges)
{
	if (!edges)
		return;
	if (!channel_periodic(&pit->channel[0]))
		return pit_edge(pit);
	if (pit->unfinished && ++pit->chances >= PIT_CHANCES && pit->seen - pit->raised > PIT_PATIENCE)
		pit_forget(pit);
	if (!pit->unfinished)
		pit_raised(pit);
	edges = edges - 1 + pit->backlog + pit->unfinished;	/* one goes out now */
	pit->backlog = edges < PIT_MAX_BACKLOG ? (u32)edges : PIT_MAX_BACKLOG;
	pit->unfinished = true;
	pit_edge(pit);
}

/* Accounts for channel 0's edges up to now, before and after a count that took effect meanwhile. */
static void pit_account(struct pit *pit, u64 tick)
{
	struct pit_channel *ch = &pit->channel[0];
	u64 edges = 0;

	if (tick <= pit->seen)
		return;
	if (ch->reload_pending && channel_periodic(ch) && tick >= ch->reload_at) {
		edges = channel_edges(ch, pit->seen, ch->reload_at);
		pit->seen = ch->reload_at;
		channel_sync(ch, tick);
	}
	edges += channel_edges(ch, pit->seen, tick);
	pit->seen = tick;
	pit_tick_irq(pit, edges);
}

void pit_advance(struct pit *pit, u64 now)
{
	pit_account(pit, pit_tick(pit, now));
}

u64 pit_next_deadline(const struct pit *pit, u64 now)
{
	const struct pit_channel *ch = &pit->channel[0];
	u64 edge = channel_next_edge(ch, pit->seen);

	(void)now;
	if (edge == CLOCK_NEVER)
		return CLOCK_NEVER;
	if (ch->count < PIT_MIN_INTERVAL && channel_periodic(ch) && edge < pit->seen + PIT_MIN_INTERVAL)
		edge = pit->seen + PIT_MIN_INTERVAL;
	return clock_when(&pit->clock, edge - TICK_BIAS);
}

void pit_irq_done(struct pit *pit)
{
	pit->unfinished = pit->backlog;
	if (!pit->backlog)
		return;
	pit->backlog--;
	pit_raised(pit);
	pit_edge(pit);
}

static u64 pit_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct pit *pit = ctx;
	u64 tick = pit_tick(pit, now);

	(void)size;
	if (port == 0x40)
		pit_account(pit, tick);
	return channel_read(&pit->channel[(port & 3) % 3], tick);
}

static void pit_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pit *pit = ctx;
	u64 tick = pit_tick(pit, now);

	(void)size;
	if (port == 0x40)
		pit_account(pit, tick);
	channel_write(&pit->channel[(port & 3) % 3], (u8)value, tick);
	if (port == 0x40 && pit->channel[0].mode == 0)
		vdev_set_irq(&pit->irq, PIT_IRQ, false);
}

static void pit_read_back(struct pit *pit, u8 command, u64 tick)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (!(command & 2 << i))
			continue;
		if (!(command & READ_BACK_NO_COUNT))
			channel_latch_count(&pit->channel[i], tick);
		if (!(command & READ_BACK_NO_STATUS))
			channel_latch_status(&pit->channel[i], tick);
	}
}

static void pit_write_control(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pit *pit = ctx;
	u8 control = (u8)value;
	u64 tick = pit_tick(pit, now);

	(void)port, (void)size;
	pit_account(pit, tick);
	if (control >> 6 == CONTROL_READ_BACK)
		return pit_read_back(pit, control, tick);
	if (!(control >> 4 & 3))
		return channel_latch_count(&pit->channel[control >> 6], tick);
	channel_control(&pit->channel[control >> 6], control);
	if (control >> 6 == 0) {
		pit_forget(pit);
		vdev_set_irq(&pit->irq, PIT_IRQ, channel_out(&pit->channel[0], tick));
	}
}

static u64 port61_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	struct pit *pit = ctx;
	u64 tick = pit_tick(pit, now);
	u8 value = pit->port61;

	(void)port, (void)size;
	channel_sync(&pit->channel[2], tick);
	if (channel_out(&pit->channel[2], tick))
		value |= PORT61_OUT2;
	if (tick / REFRESH_TICKS & 1)
		value |= PORT61_REFRESH;
	return value;
}

static void port61_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pit *pit = ctx;

	(void)port, (void)size;
	pit->port61 = value & PORT61_WRITABLE;
	channel_set_gate(&pit->channel[2], value & PORT61_GATE2, pit_tick(pit, now));
}

bool pit_speaker(const struct pit *pit, u64 now)
{
	struct pit_channel ch = pit->channel[2];
	u64 tick = pit_tick(pit, now);

	channel_sync(&ch, tick);
	return (pit->port61 & PORT61_SPEAKER) && channel_out(&ch, tick);
}

const struct bus_row pit_rows[PIT_ROWS] = {
	{ 0x40, 3, 1 | BUS_QUIET, pit_read, pit_write },
	{ 0x43, 1, 1, NULL, pit_write_control },
	{ 0x61, 1, 1 | BUS_QUIET, port61_read, port61_write },
};

void pit_reset(struct pit *pit, u64 now)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		vdev_clear(&pit->channel[i], sizeof(pit->channel[i]));
		pit->channel[i].count = 65536;
		pit->channel[i].next_count = 65536;
		pit->channel[i].access = 3;
		pit->channel[i].mode = 3;
		pit->channel[i].gate = i != 2;
	}
	pit->seen = pit_tick(pit, now);
	pit->port61 = 0;
	pit_forget(pit);
	vdev_set_irq(&pit->irq, PIT_IRQ, false);
}

void pit_init(struct pit *pit, const struct vdev_irq *irq, u32 tsc_khz, u64 now)
{
	vdev_clear(pit, sizeof(*pit));
	pit->irq = *irq;
	pit->clock = vdev_clock(tsc_khz, PIT_HZ);
	pit_reset(pit, now);
}
