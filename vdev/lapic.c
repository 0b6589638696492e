// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC model; lapic.h says who may call what. Numbers in comments are sections of the Intel SDM, volume 3.
 *
 * State: the registers are in the page. Where a register's old value matters when a new one is written (timer mode,
 * software enable, logical ID), the old one is kept outside of the page, because the hardware stores into the page
 * before software hears of it.
 *
 * Sharing: another CPU touches only posted, soft, soft_on and watch (atomically), reads route (one atomic word, so
 * that model and ID always fit together), and reads IRR and TPR of the page as a hint. Everything else is the owner's.
 */
#include "lapic.h"

#define BASE_BSP	(1ull << 8)
#define BASE_EXTD	(1ull << 10)
#define BASE_ENABLE	(1ull << 11)
#define BASE_MODE	(BASE_EXTD | BASE_ENABLE)

#define MSR_APIC_BASE		0x1bu
#define MSR_TSC_DEADLINE	0x6e0u
#define MSR_X2APIC		0x800u
#define MSR_X2APIC_EOI		(MSR_X2APIC + LAPIC_EOI / 16)
#define MSR_X2APIC_ICR		(MSR_X2APIC + LAPIC_ICR / 16)

#define VERSION_VALUE		0x00050014u	/* integrated APIC, six LVT entries */
#define VERSION_EOI_SUPPRESS	(1u << 24)
#define ICR2_X2			(LAPIC_ICR + 4)	/* in x2APIC mode the hardware keeps ICR in 8 bytes */

#define SVR_ENABLE		(1u << 8)
#define SVR_EOI_SUPPRESS	(1u << 12)

#define LVT_MODE		(7u << 8)	/* 0: fixed */
#define LVT_REMOTE_IRR		(1u << 14)
#define LVT_LEVEL		(1u << 15)
#define LVT_MASKED		(1u << 16)
#define TIMER_MODE		(3u << 17)
#define TIMER_PERIODIC		(1u << 17)
#define TIMER_DEADLINE		(2u << 17)

#define ESR_SEND_VECTOR		(1u << 5)
#define ESR_RECEIVE_VECTOR	(1u << 6)
#define ESR_REGISTER		(1u << 7)

#define MODE_SHIFT		8
#define ICR_ASSERT		(1u << 14)
#define ICR_LEVEL		(1u << 15)
#define ICR_SHORTHAND_SHIFT	18

/* struct lapic's lint */
#define LINT0_HIGH		(1u << 0)
#define LINT0_IN_SERVICE	(1u << 2)

/* Kept out of the frequent paths, which then need fewer registers. */
#define SLOW	__attribute__((noinline))

enum shorthand { NO_SHORTHAND, SELF, ALL, ALL_BUT_SELF };

#define MIN_GAP_PER_SECOND	20000u	/* a periodic timer is looked at this often at most, its ticks are counted */

/* Fits in one word: logical ID in bits 31:0, how destinations match in 33:32, software enable in 34. */
#define ROUTE_MODEL_SHIFT	32
#define ROUTE_ENABLED		(1ull << 34)

enum model { MODEL_OFF, MODEL_FLAT, MODEL_CLUSTER, MODEL_X2APIC };

/* What is allowed with a register: in xAPIC mode (X) and as an MSR in x2APIC mode (M). */
#define XR	1u
#define XW	2u
#define MR	4u
#define MW	8u

struct reg_rule {
	u32 writable;	/* in x2APIC mode other bits are reserved: #GP, but … */
	u32 readonly;	/* … these are ignored */
	u32 access;
};

#define RULE(reg)	[(reg) / 16]
#define BITMAP(reg)	[(reg) / 16 ... (reg) / 16 + 7] = { 0, 0, XR | MR }

/* 11.4.1, table 11-1 and 11.12.1.2, table 11-6. The ID is fixed: a write to it in xAPIC mode does nothing. */
static const struct reg_rule rules[64] = {
	RULE(LAPIC_ID)			= { 0, 0, XR | XW | MR },
	RULE(LAPIC_VERSION)		= { 0, 0, XR | MR },
	RULE(LAPIC_TPR)			= { 0xff, 0, XR | XW | MR | MW },
	RULE(LAPIC_APR)			= { 0, 0, XR },
	RULE(LAPIC_PPR)			= { 0, 0, XR | MR },
	RULE(LAPIC_EOI)			= { 0, 0, XR | XW | MW },
	RULE(LAPIC_RRD)			= { 0, 0, XR },
	RULE(LAPIC_LDR)			= { 0xff000000, 0, XR | XW | MR },
	RULE(LAPIC_DFR)			= { 0xf0000000, 0, XR | XW },
	RULE(LAPIC_SVR)			= { 0x3ff, 0, XR | XW | MR | MW },
	BITMAP(LAPIC_ISR),
	BITMAP(LAPIC_TMR),
	BITMAP(LAPIC_IRR),
	RULE(LAPIC_ESR)			= { 0, 0, XR | XW | MR | MW },
	RULE(LAPIC_ICR)			= { 0xccfff, 0x1000, XR | XW | MR | MW },
	RULE(LAPIC_ICR2)		= { 0xff000000, 0, XR | XW },
	RULE(LAPIC_LVT_TIMER)		= { 0x300ff, 0x1000, XR | XW | MR | MW },
	RULE(LAPIC_LVT_THERMAL)		= { 0x107ff, 0x1000, XR | XW | MR | MW },
	RULE(LAPIC_LVT_PERF)		= { 0x107ff, 0x1000, XR | XW | MR | MW },
	RULE(LAPIC_LVT_LINT0)		= { 0x1a7ff, 0x5000, XR | XW | MR | MW },
	RULE(LAPIC_LVT_LINT1)		= { 0x1a7ff, 0x5000, XR | XW | MR | MW },
	RULE(LAPIC_LVT_ERROR)		= { 0x100ff, 0x1000, XR | XW | MR | MW },
	RULE(LAPIC_TIMER_INITIAL)	= { 0xffffffff, 0, XR | XW | MR | MW },
	RULE(LAPIC_TIMER_CURRENT)	= { 0, 0, XR | MR },
	RULE(LAPIC_TIMER_DIVIDE)	= { 0xb, 0, XR | XW | MR | MW },
	RULE(LAPIC_SELF_IPI)		= { 0xff, 0, MW },
};

static u32 reg(const struct lapic *lapic, u32 offset)
{
	return lapic->page[offset / 4];
}

static void set_reg(struct lapic *lapic, u32 offset, u32 value)
{
	lapic->page[offset / 4] = value;
}

/* The word of a 256-bit register that has this vector's bit: there are 32 bits in every 16 bytes. */
static u32 *bitmap_word(const struct lapic *lapic, u32 base, u32 vector)
{
	return &lapic->page[base / 4 + vector / 32 * 4];
}

static u32 bit_of(u32 vector)
{
	return 1u << (vector & 31);
}

static u32 top_bit(u32 word)
{
	return (u32)__builtin_clz(word) ^ 31;
}

/* The highest vector of a 256-bit register; words says which of its words may have bits set. */
static int highest(const struct lapic *lapic, u32 base, u32 words)
{
	u32 i, word;

	for (; words; words &= ~(1u << i)) {
		i = top_bit(words);
		word = lapic->page[base / 4 + i * 4];
		if (word)
			return (int)(i * 32 + top_bit(word));
	}
	return LAPIC_NONE;
}

static int highest_irr(const struct lapic *lapic)
{
	return highest(lapic, LAPIC_IRR, lapic->features & LAPIC_HAS_HARDWARE ? 0xff : lapic->irr_words);
}

static int highest_isr(const struct lapic *lapic)
{
	return highest(lapic, LAPIC_ISR, lapic->isr_words);
}

static void set_irr(struct lapic *lapic, u32 vector)
{
	*bitmap_word(lapic, LAPIC_IRR, vector) |= bit_of(vector);
	lapic->irr_words = (u8)(lapic->irr_words | 1u << vector / 32);
}

/* Returns the set of words without this one, if it is empty; with hardware nobody knows but the page. */
static u8 clear_vector(const struct lapic *lapic, u32 base, u32 words, u32 vector)
{
	u32 *word = bitmap_word(lapic, base, vector);

	*word &= ~bit_of(vector);
	if (!*word && !(lapic->features & LAPIC_HAS_HARDWARE))
		words &= ~(1u << vector / 32);
	return (u8)words;
}

static bool is_x2apic(const struct lapic *lapic)
{
	return (lapic->base & BASE_MODE) == BASE_MODE;
}

static bool is_xapic(const struct lapic *lapic)
{
	return (lapic->base & BASE_MODE) == BASE_ENABLE;
}

/* Tell the senders how this APIC is addressed now. */
static void publish_route(struct lapic *lapic)
{
	u64 route, model = MODEL_OFF, logical = reg(lapic, LAPIC_LDR);

	if (is_x2apic(lapic)) {
		model = MODEL_X2APIC;
	} else if (is_xapic(lapic)) {
		model = reg(lapic, LAPIC_DFR) >> 28 ? MODEL_FLAT : MODEL_CLUSTER;
		logical >>= 24;
	}
	route = logical | model << ROUTE_MODEL_SHIFT;
	if (reg(lapic, LAPIC_SVR) & SVR_ENABLE && model != MODEL_OFF)
		route |= ROUTE_ENABLED;
	__atomic_store_n(&lapic->route, route, __ATOMIC_RELAXED);
}

static u64 load_route(const struct lapic *lapic)
{
	return __atomic_load_n(&lapic->route, __ATOMIC_RELAXED);
}

static bool software_enabled(const struct lapic *lapic)
{
	return load_route(lapic) & ROUTE_ENABLED;
}

/* An error happened (11.5.3). Its interrupt comes once, until a write to ESR arms it again. */
static SLOW void error(struct lapic *lapic, u32 bit)
{
	u32 lvt = reg(lapic, LAPIC_LVT_ERROR);
	u8 vector = (u8)lvt;

	lapic->esr |= bit;
	if (lapic->error_raised || lvt & LVT_MASKED)
		return;
	lapic->error_raised = 1;
	if (vector < 16)
		lapic->esr |= ESR_RECEIVE_VECTOR;
	else
		set_irr(lapic, vector);
}

/* An interrupt for this APIC, on its own CPU. */
static enum lapic_result raise(struct lapic *lapic, u32 vector, enum lapic_trigger trigger)
{
	u32 *tmr = bitmap_word(lapic, LAPIC_TMR, vector);
	u32 bit = bit_of(vector), pending = *bitmap_word(lapic, LAPIC_IRR, vector) & bit;

	if (vector < 16) {
		error(lapic, ESR_RECEIVE_VECTOR);
		return LAPIC_IGNORED;
	}
	set_irr(lapic, vector);
	*tmr = trigger == LAPIC_LEVEL ? *tmr | bit : *tmr & ~bit;
	return pending ? LAPIC_COALESCED : LAPIC_ACCEPTED;
}

/* A local source's event goes where its LVT entry says. */
static void lvt_fire(struct lapic *lapic, u32 lvt)
{
	const struct lapic_bus *bus = lapic->bus;
	enum lapic_mode mode = lvt >> MODE_SHIFT & 7;

	if (lvt & LVT_MASKED)
		return;
	if (mode == LAPIC_FIXED)
		raise(lapic, (u8)lvt, LAPIC_EDGE);
	else if (mode == LAPIC_NMI || mode == LAPIC_INIT || mode == LAPIC_EXTINT)
		bus->ops->deliver(bus->ctx, lapic->vcpu, mode, (u8)lvt);
}

/*
 * Posting, from any CPU: set the vector's bit, then set ON, and notify if ON was clear. The receiver clears ON, then
 * takes the bits. All four are locked operations. If the sender finds ON set, the receiver has not cleared it yet, so
 * its taking comes after our bit; if it finds ON clear, it notifies. Either way the bit is seen.
 *
 * The hardware may take posted.pir without software. Level-triggered (TMR), watched (EOI exit) and illegal (ESR)
 * vectors are software's: they go the same way through soft and soft_on.
 */
static void post(struct lapic *to, u32 vector)
{
	const struct lapic_bus *bus = to->bus;

	__atomic_fetch_or(&to->posted.pir[vector / 64], 1ull << (vector & 63), __ATOMIC_SEQ_CST);
	if (!__atomic_exchange_n(&to->posted.on, 1, __ATOMIC_SEQ_CST))
		bus->ops->deliver(bus->ctx, to->vcpu, LAPIC_FIXED, (u8)vector);
}

static SLOW void post_soft(struct lapic *to, u32 vector, u32 msg)
{
	const struct lapic_bus *bus = to->bus;
	u64 bit = 1ull << (vector & 63);

	if (msg & LAPIC_MSG_WATCH)
		__atomic_fetch_or(&to->watch[vector / 64], bit, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&to->soft[vector / 64], bit, __ATOMIC_SEQ_CST);
	if (!__atomic_exchange_n(&to->soft_on, 1, __ATOMIC_SEQ_CST))
		bus->ops->deliver(bus->ctx, to->vcpu, LAPIC_SYNC, (u8)vector);
}

/*
 * Another CPU's view of whether this vector would merge with one that is pending. If the owner takes that one at this
 * very moment, the answer is too pessimistic: a timer that counts merged ticks may give one too many, never one too few.
 */
static bool is_pending(const struct lapic *lapic, u32 vector)
{
	u64 posted = __atomic_load_n(&lapic->posted.pir[vector / 64], __ATOMIC_RELAXED) |
		     __atomic_load_n(&lapic->soft[vector / 64], __ATOMIC_RELAXED);

	return posted >> (vector & 63) & 1 ||
	       __atomic_load_n(bitmap_word(lapic, LAPIC_IRR, vector), __ATOMIC_RELAXED) & bit_of(vector);
}

static u64 take_word(u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED) ? __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST) : 0;
}

/* Take vectors 64 · index and up over into the page. */
static void take_posted(struct lapic *lapic, u32 index)
{
	u64 soft = take_word(&lapic->soft[index]), all = soft | take_word(&lapic->posted.pir[index]);
	u64 level = soft & ~__atomic_load_n(&lapic->watch[index], __ATOMIC_RELAXED);
	u32 *irr = &lapic->page[LAPIC_IRR / 4 + index * 8], *tmr = &lapic->page[LAPIC_TMR / 4 + index * 8];

	if (!all || !(load_route(lapic) >> ROUTE_MODEL_SHIFT & 3))
		return;
	if (index == 0 && all & 0xffff) {
		error(lapic, ESR_RECEIVE_VECTOR);
		all &= ~0xffffull;
		level &= all;
	}
	irr[0] |= (u32)all;
	irr[4] |= (u32)(all >> 32);
	lapic->irr_words |= (u8)(3u << index * 2);
	tmr[0] = (tmr[0] & ~(u32)all) | (u32)level;
	tmr[4] = (tmr[4] & ~(u32)(all >> 32)) | (u32)(level >> 32);
}

static void take_all_posted(struct lapic *lapic)
{
	u32 i;

	__atomic_store_n(&lapic->posted.on, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&lapic->soft_on, 0, __ATOMIC_SEQ_CST);
	for (i = 0; i < 4; i++)
		take_posted(lapic, i);
}

void lapic_sync(struct lapic *lapic)
{
	if (__atomic_load_n(&lapic->posted.on, __ATOMIC_RELAXED) |
	    __atomic_load_n(&lapic->soft_on, __ATOMIC_RELAXED))
		take_all_posted(lapic);
}

/* Processor priority from task priority and the highest interrupt in service, 11.8.3.1. */
static u32 update_ppr(struct lapic *lapic, int in_service)
{
	u32 ppr = reg(lapic, LAPIC_TPR) & 0xff;

	if (in_service >= 0 && (u32)in_service >> 4 > ppr >> 4)
		ppr = (u32)in_service & 0xf0;
	set_reg(lapic, LAPIC_PPR, ppr);
	return ppr;
}

int lapic_highest_irr(const struct lapic *lapic)
{
	return highest_irr(lapic);
}

int lapic_highest_isr(const struct lapic *lapic)
{
	return highest_isr(lapic);
}

int lapic_pending(struct lapic *lapic)
{
	u32 ppr;
	int vector;

	lapic_sync(lapic);
	ppr = update_ppr(lapic, highest_isr(lapic));
	vector = highest_irr(lapic);
	return vector >= 0 && (u32)vector >> 4 > ppr >> 4 ? vector : LAPIC_NONE;
}

void lapic_accept(struct lapic *lapic, u8 vector)
{
	lapic->irr_words = clear_vector(lapic, LAPIC_IRR, lapic->irr_words, vector);
	*bitmap_word(lapic, LAPIC_ISR, vector) |= bit_of(vector);
	lapic->isr_words = (u8)(lapic->isr_words | 1u << vector / 32);
	update_ppr(lapic, vector);
}

/* Only TPR keeps the highest vector back: exit when the guest lowers it below that vector's class. */
u32 lapic_tpr_threshold(const struct lapic *lapic)
{
	int irr = highest_irr(lapic), isr = highest_isr(lapic);

	if (irr < 0 || (isr >= 0 && isr >> 4 >= irr >> 4) || (u32)irr >> 4 > lapic_cr8(lapic))
		return 0;
	return (u32)irr >> 4;
}

/* Put one of the timer ticks that had to wait into IRR. */
static void timer_reinject(struct lapic *lapic)
{
	struct lapic_timer *timer = &lapic->timer;

	if (!timer->backlog || timer->lvt & LVT_MASKED)
		return;
	if (raise(lapic, (u8)timer->lvt, LAPIC_EDGE) == LAPIC_ACCEPTED)
		timer->backlog--;
}

/* LINT0 as a level-triggered fixed interrupt: delivered again while it stays asserted. */
static void lint0_level(struct lapic *lapic)
{
	u32 lvt = reg(lapic, LAPIC_LVT_LINT0);

	if ((lapic->lint & (LINT0_HIGH | LINT0_IN_SERVICE)) == LINT0_HIGH &&
	    (lvt & (LVT_MASKED | LVT_LEVEL | LVT_MODE)) == LVT_LEVEL &&
	    raise(lapic, (u8)lvt, LAPIC_LEVEL) != LAPIC_IGNORED)
		lapic->lint |= LINT0_IN_SERVICE;
	if (!(lvt & LVT_LEVEL))
		lapic->lint &= (u8)~LINT0_IN_SERVICE;
	set_reg(lapic, LAPIC_LVT_LINT0,
		(lvt & ~LVT_REMOTE_IRR) | (lapic->lint & LINT0_IN_SERVICE ? LVT_REMOTE_IRR : 0));
}

static bool is_watched(const struct lapic *lapic, u32 vector)
{
	return __atomic_load_n(&lapic->watch[vector / 64], __ATOMIC_RELAXED) >> (vector & 63) & 1;
}

static bool is_level(const struct lapic *lapic, u32 vector)
{
	return *bitmap_word(lapic, LAPIC_TMR, vector) & bit_of(vector);
}

SLOW void lapic_eoi_exit(struct lapic *lapic, u8 vector)
{
	const struct lapic_bus *bus = lapic->bus;

	if (is_watched(lapic, vector)) {
		__atomic_fetch_and(&lapic->watch[vector / 64], ~(1ull << (vector & 63)), __ATOMIC_SEQ_CST);
		bus->ops->eoi(bus->ctx, lapic->vcpu, vector);
	}
	if (is_level(lapic, vector)) {
		if (!(reg(lapic, LAPIC_SVR) & SVR_EOI_SUPPRESS))
			bus->ops->eoi(bus->ctx, lapic->vcpu, vector);
		if (lapic->lint & LINT0_IN_SERVICE && (u8)reg(lapic, LAPIC_LVT_LINT0) == vector) {
			lapic->lint &= (u8)~LINT0_IN_SERVICE;
			lint0_level(lapic);
		}
	}
	if (vector == (u8)lapic->timer.lvt)
		timer_reinject(lapic);
}

static void eoi(struct lapic *lapic)
{
	int in_service = highest_isr(lapic);
	u32 vector = (u32)in_service;

	if (in_service < 0)
		return;
	lapic->isr_words = clear_vector(lapic, LAPIC_ISR, lapic->isr_words, vector);
	if (lapic->features & LAPIC_HAS_HARDWARE)
		lapic->irr_words = LAPIC_TELL_ALL;
	if (is_level(lapic, vector) || is_watched(lapic, vector) || lapic->timer.backlog)
		lapic_eoi_exit(lapic, (u8)vector);
}

void lapic_eoi_exits(const struct lapic *lapic, u64 map[4])
{
	const u32 *tmr = &lapic->page[LAPIC_TMR / 4];
	u8 timer = (u8)lapic->timer.lvt;
	u32 i;

	for (i = 0; i < 4; i++)
		map[i] = tmr[i * 8] | (u64)tmr[i * 8 + 4] << 32 | __atomic_load_n(&lapic->watch[i], __ATOMIC_RELAXED);
	if (lapic->timer.backlog)
		map[timer / 64] |= 1ull << (timer & 63);
}

static u32 timer_mode(const struct lapic_timer *timer)
{
	return timer->lvt & TIMER_MODE;
}

static void timer_stop(struct lapic_timer *timer)
{
	timer->expiry = LAPIC_NEVER;
	timer->due = LAPIC_NEVER;
	timer->deadline = 0;
	timer->backlog = 0;
}

static u64 timer_period(const struct lapic_timer *timer)
{
	return (u64)timer->initial << timer->shift;
}

static void timer_set_expiry(struct lapic_timer *timer, u64 expiry)
{
	timer->expiry = expiry;
	timer->due = clock_when(&timer->clock, expiry);
}

/* So many periods ended. IRR holds one interrupt; a periodic guest gets the rest one by one with its EOIs. */
static void timer_expired(struct lapic *lapic, u64 ticks)
{
	struct lapic_timer *timer = &lapic->timer;

	if (timer->lvt & LVT_MASKED)
		return;
	switch (raise(lapic, (u8)timer->lvt, LAPIC_EDGE)) {
	case LAPIC_IGNORED:
		return;
	case LAPIC_ACCEPTED:
		ticks--;
		break;
	case LAPIC_COALESCED:
		break;
	}
	if (timer_mode(timer) != TIMER_PERIODIC)
		return;
	if (ticks > LAPIC_MAX_BACKLOG - timer->backlog) {
		timer->lost += ticks - (LAPIC_MAX_BACKLOG - timer->backlog);
		ticks = LAPIC_MAX_BACKLOG - timer->backlog;
	}
	timer->backlog += (u32)ticks;
}

void lapic_advance(struct lapic *lapic, u64 now)
{
	struct lapic_timer *timer = &lapic->timer;
	u64 ticks = 1;

	if (now < timer->due || timer->due == LAPIC_NEVER)
		return;
	if (timer_mode(timer) == TIMER_PERIODIC) {
		ticks += (clock_ticks(&timer->clock, now) - timer->expiry) / timer_period(timer);
		timer_set_expiry(timer, timer->expiry + ticks * timer_period(timer));
	} else {
		timer->expiry = LAPIC_NEVER;
		timer->due = LAPIC_NEVER;
		timer->deadline = 0;
	}
	timer_expired(lapic, ticks);
}

u64 lapic_next_deadline(const struct lapic *lapic, u64 now)
{
	const struct lapic_timer *timer = &lapic->timer;

	if (timer->lvt & LVT_MASKED)
		return LAPIC_NEVER;
	if (timer_mode(timer) == TIMER_PERIODIC && timer->due < now + timer->min_gap &&
	    clock_when(&timer->clock, timer_period(timer)) < timer->min_gap)
		return now + timer->min_gap;
	return timer->due;
}

/* A count that is reached is advance()'s affair: here at least 1 is left while the timer runs. */
static u32 timer_count(struct lapic *lapic, u64 now)
{
	struct lapic_timer *timer = &lapic->timer;
	u64 left;

	lapic_advance(lapic, now);
	if (timer->expiry == LAPIC_NEVER)
		return 0;
	left = timer->expiry - clock_ticks(&timer->clock, now);
	left = (left + (1u << timer->shift) - 1) >> timer->shift;
	return left < timer->initial ? (u32)left : timer->initial;
}

static void timer_write_initial(struct lapic *lapic, u32 count, u64 now)
{
	struct lapic_timer *timer = &lapic->timer;

	if (timer_mode(timer) == TIMER_DEADLINE) {
		set_reg(lapic, LAPIC_TIMER_INITIAL, 0);
		return;
	}
	set_reg(lapic, LAPIC_TIMER_INITIAL, count);
	timer_stop(timer);
	timer->initial = count;
	if (count)
		timer_set_expiry(timer, clock_ticks(&timer->clock, now) + timer_period(timer));
}

/* A running timer goes on from its current count at the new rate. */
static void timer_write_divide(struct lapic *lapic, u32 divide, u64 now)
{
	struct lapic_timer *timer = &lapic->timer;
	u64 count = timer_count(lapic, now);

	set_reg(lapic, LAPIC_TIMER_DIVIDE, divide);
	timer->shift = ((divide >> 1 & 4) + (divide & 3) + 1) & 7;
	if (count)
		timer_set_expiry(timer, clock_ticks(&timer->clock, now) + (count << timer->shift));
}

static void timer_write_deadline(struct lapic *lapic, u64 deadline, u64 now)
{
	struct lapic_timer *timer = &lapic->timer;
	u64 guest_now = now + timer->tsc_offset;

	if (timer_mode(timer) != TIMER_DEADLINE)
		return;
	timer_stop(timer);
	if (!deadline)
		return;
	timer->deadline = deadline;
	if (deadline <= guest_now)
		timer->due = now;
	else if (__builtin_add_overflow(now, deadline - guest_now, &timer->due))
		timer->due = LAPIC_NEVER;
	lapic_advance(lapic, now);
}

void lapic_set_tsc_offset(struct lapic *lapic, u64 offset, u64 now)
{
	lapic->timer.tsc_offset = offset;
	timer_write_deadline(lapic, lapic->timer.deadline, now);
}

/* To and from TSC-deadline mode the timer is disarmed, 11.5.4.1. */
static void timer_write_lvt(struct lapic *lapic, u32 lvt, u64 now)
{
	struct lapic_timer *timer = &lapic->timer;
	u32 changed;

	lapic_advance(lapic, now);
	changed = timer->lvt ^ lvt;
	timer->lvt = lvt;
	if (changed & TIMER_DEADLINE) {
		timer_stop(timer);
		timer->initial = 0;
		set_reg(lapic, LAPIC_TIMER_INITIAL, 0);
	}
	if (changed)
		timer->backlog = 0;
}

static void write_lvt(struct lapic *lapic, u32 offset, u32 value, u64 now)
{
	if (!software_enabled(lapic))
		value |= LVT_MASKED;
	if (offset == LAPIC_LVT_TIMER)
		timer_write_lvt(lapic, value, now);
	set_reg(lapic, offset, value);
	if (offset == LAPIC_LVT_LINT0)
		lint0_level(lapic);
}

/* Software disable masks all local sources, and they stay masked, 11.4.7.2. */
static void write_svr(struct lapic *lapic, u32 value, u64 now)
{
	u32 offset;

	set_reg(lapic, LAPIC_SVR, value);
	publish_route(lapic);
	if (value & SVR_ENABLE)
		return;
	for (offset = LAPIC_LVT_TIMER; offset <= LAPIC_LVT_ERROR; offset += 16)
		write_lvt(lapic, offset, reg(lapic, offset), now);
}

static bool matches(const struct lapic *lapic, u32 dest, u32 msg)
{
	u64 route = load_route(lapic);
	u32 logical = (u32)route;

	if (msg & LAPIC_MSG_ALL)
		return true;
	if (!(msg & LAPIC_MSG_LOGICAL))
		return dest == lapic->id;
	switch ((enum model)(route >> ROUTE_MODEL_SHIFT & 3)) {
	case MODEL_FLAT:
		return dest >> 8 == 0 && dest & logical;
	case MODEL_CLUSTER:
		return dest >> 4 == logical >> 4 && dest & logical & 0xf;
	case MODEL_X2APIC:
		return dest >> 16 == logical >> 16 && dest & logical & 0xffff;
	case MODEL_OFF:
		break;
	}
	return false;
}

/* What is not an interrupt with a vector of its own. There is no SMM here, and mode 3 is reserved. */
static SLOW enum lapic_result deliver_event(struct lapic *to, u32 msg)
{
	const struct lapic_bus *bus = to->bus;
	enum lapic_mode mode = msg >> MODE_SHIFT & 7;

	if (!(load_route(to) >> ROUTE_MODEL_SHIFT & 3) || mode == LAPIC_SMI || mode == LAPIC_SYNC)
		return LAPIC_IGNORED;
	bus->ops->deliver(bus->ctx, to->vcpu, mode, (u8)msg);
	return LAPIC_ACCEPTED;
}

/*
 * self is the APIC that sends, on whose CPU we are: a self-directed IPI is there before the next instruction. NULL: the
 * sender is a device, and wants to know whether its interrupt merged.
 */
static enum lapic_result deliver_to(struct lapic *to, u32 msg, struct lapic *self)
{
	enum lapic_result result = LAPIC_ACCEPTED;
	u32 vector = msg & 0xff;

	if ((msg >> MODE_SHIFT & 7) > LAPIC_LOWEST)
		return deliver_event(to, msg);
	if (!software_enabled(to))
		return LAPIC_IGNORED;
	if (to == self)
		return raise(to, vector, LAPIC_EDGE);
	if (!self && is_pending(to, vector))
		result = LAPIC_COALESCED;
	if (msg & (LAPIC_MSG_LEVEL | LAPIC_MSG_WATCH) || vector < 16)
		post_soft(to, vector, msg);
	else
		post(to, vector);
	return result;
}

/* The lowest task priority class wins; equals take turns. Another CPU's TPR is a hint and may be stale. */
static SLOW enum lapic_result send_lowest(struct lapic_bus *bus, u32 dest, u32 msg, struct lapic *self)
{
	u32 i, class, best_class = 16, at = __atomic_load_n(&bus->rotor, __ATOMIC_RELAXED);
	struct lapic *lapic, *best = NULL;

	for (i = 0; i < bus->count; i++) {
		at = at + 1 < bus->count ? at + 1 : 0;
		lapic = bus->lapic[at];
		if (!software_enabled(lapic) || !matches(lapic, dest, msg) ||
		    (msg & LAPIC_MSG_NOT_SELF && lapic == self))
			continue;
		class = __atomic_load_n(&lapic->page[LAPIC_TPR / 4], __ATOMIC_RELAXED) >> 4 & 15;
		if (class >= best_class)
			continue;
		best_class = class;
		best = lapic;
	}
	if (!best)
		return LAPIC_IGNORED;
	__atomic_store_n(&bus->rotor, best->vcpu, __ATOMIC_RELAXED);
	return deliver_to(best, msg, self);
}

static SLOW enum lapic_result send_many(struct lapic_bus *bus, u32 dest, u32 msg, struct lapic *self)
{
	enum lapic_result one, result = LAPIC_IGNORED;
	struct lapic *to;
	u32 i;

	for (i = 0; i < bus->count; i++) {
		to = bus->lapic[i];
		if (!matches(to, dest, msg) || (msg & LAPIC_MSG_NOT_SELF && to == self))
			continue;
		one = deliver_to(to, msg, self);
		if (one > result)
			result = one;
	}
	return result;
}

static enum lapic_result send(struct lapic_bus *bus, u32 dest, u32 msg, struct lapic *self)
{
	if ((msg >> MODE_SHIFT & 7) == LAPIC_LOWEST)
		return send_lowest(bus, dest, msg, self);
	if (!(msg & (LAPIC_MSG_ALL | LAPIC_MSG_LOGICAL)) && dest < bus->count && bus->lapic[dest]->id == dest)
		return deliver_to(bus->lapic[dest], msg, self);	/* the usual numbering: no search */
	return send_many(bus, dest, msg, self);
}

enum lapic_result lapic_bus_send(struct lapic_bus *bus, u32 dest, u32 message)
{
	return send(bus, dest, message, NULL);
}

enum lapic_result lapic_bus_msi(struct lapic_bus *bus, u64 address, u32 data)
{
	u32 dest = address >> 12 & 0xff, msg = data & 0x87ff;

	if (address >> 20 != 0xfee)
		return LAPIC_IGNORED;
	if (address & 4)
		msg |= LAPIC_MSG_LOGICAL;
	return send(bus, dest, dest == 0xff ? msg | LAPIC_MSG_ALL : msg, NULL);
}

/* IPIs with a shorthand. Beyond fixed ones and NMIs, those that include the sender are not valid, table 11-3. */
static SLOW void send_shorthand(struct lapic *lapic, u32 icr, u32 msg)
{
	enum shorthand shorthand = icr >> ICR_SHORTHAND_SHIFT & 3;
	enum lapic_mode mode = msg >> MODE_SHIFT & 7;

	if (shorthand == ALL_BUT_SELF)
		send(lapic->bus, 0, msg | LAPIC_MSG_ALL | LAPIC_MSG_NOT_SELF, lapic);
	else if (mode != LAPIC_FIXED && mode != LAPIC_NMI)
		return;
	else if (shorthand == SELF)
		deliver_to(lapic, msg, lapic);
	else
		send(lapic->bus, 0, msg | LAPIC_MSG_ALL, lapic);
}

/* 11.6.1. Fixed IPIs are always edge-triggered; an INIT level de-assert does nothing, nor does ExtINT. */
static void send_ipi(struct lapic *lapic, u32 icr, u32 dest, u32 broadcast)
{
	enum lapic_mode mode = icr >> MODE_SHIFT & 7;
	u32 msg = icr & 0xfff;

	if (mode <= LAPIC_LOWEST) {
		if ((u8)icr < 16) {
			error(lapic, ESR_SEND_VECTOR);
			return;
		}
	} else if (mode == LAPIC_EXTINT ||
		   (mode == LAPIC_INIT && (icr & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)) {
		return;
	}
	if (icr >> ICR_SHORTHAND_SHIFT)
		send_shorthand(lapic, icr, msg);
	else
		send(lapic->bus, dest, dest == broadcast ? msg | LAPIC_MSG_ALL : msg, lapic);
}

static void write_icr(struct lapic *lapic, u32 value)
{
	value &= rules[LAPIC_ICR / 16].writable;
	set_reg(lapic, LAPIC_ICR, value);
	send_ipi(lapic, value, reg(lapic, LAPIC_ICR2) >> 24, 0xff);
}

static void write_esr(struct lapic *lapic)
{
	set_reg(lapic, LAPIC_ESR, lapic->esr);
	lapic->esr = 0;
	lapic->error_raised = 0;
}

static u32 writable_bits(const struct lapic *lapic, u32 offset)
{
	u32 bits = rules[offset / 16].writable;

	if (offset == LAPIC_LVT_TIMER && lapic->features & LAPIC_HAS_DEADLINE)
		bits |= TIMER_DEADLINE;
	if (offset == LAPIC_SVR && lapic->features & LAPIC_HAS_EOI_SUPPRESS)
		bits |= SVR_EOI_SUPPRESS;
	return bits;
}

/* A write that both modes have, of a value without reserved bits. */
static void write_reg(struct lapic *lapic, u32 offset, u32 value, u64 now)
{
	switch (offset) {
	case LAPIC_ID:
		set_reg(lapic, LAPIC_ID, lapic->id << 24);	/* the hardware may have stored another */
		break;
	case LAPIC_EOI:
		eoi(lapic);
		break;
	case LAPIC_LDR:
	case LAPIC_DFR:
		set_reg(lapic, offset, offset == LAPIC_DFR ? value | 0x0fffffff : value);
		publish_route(lapic);
		break;
	case LAPIC_SVR:
		write_svr(lapic, value, now);
		break;
	case LAPIC_ESR:
		write_esr(lapic);
		break;
	case LAPIC_TPR:
	case LAPIC_ICR2:
		set_reg(lapic, offset, value);
		break;
	case LAPIC_TIMER_INITIAL:
		timer_write_initial(lapic, value, now);
		break;
	case LAPIC_TIMER_DIVIDE:
		timer_write_divide(lapic, value, now);
		break;
	case LAPIC_SELF_IPI:
		if (software_enabled(lapic))
			raise(lapic, (u8)value, LAPIC_EDGE);
		break;
	default:
		write_lvt(lapic, offset, value, now);
	}
}

static u32 read_reg(struct lapic *lapic, u32 offset, u64 now)
{
	if (offset == LAPIC_TIMER_CURRENT)
		return timer_count(lapic, now);
	if (offset == LAPIC_PPR)
		return update_ppr(lapic, highest_isr(lapic));
	if (offset >= LAPIC_TMR && offset < LAPIC_ESR)
		lapic_sync(lapic);
	return reg(lapic, offset);
}

bool lapic_x2apic(const struct lapic *lapic)
{
	return is_x2apic(lapic);
}

u64 lapic_mmio_base(const struct lapic *lapic)
{
	return is_xapic(lapic) ? lapic->base & ~(u64)(AVMM_PAGE_SIZE - 1) : 0;
}

u64 lapic_mmio_read(struct lapic *lapic, u32 offset, u32 size, u64 now)
{
	u32 value, index = offset / 16 & 63, shift = (offset & 3) * 8;

	if (!is_xapic(lapic) || offset >= AVMM_PAGE_SIZE || offset & 0xc)
		return 0;
	if (offset >= 0x400 || !(rules[index].access & (XR | XW))) {
		error(lapic, ESR_REGISTER);
		return 0;
	}
	value = read_reg(lapic, index * 16, now) >> shift;
	return size >= 4 ? value : value & ((1u << size * 8) - 1);
}

void lapic_mmio_written(struct lapic *lapic, u32 offset, u64 now)
{
	offset &= 0xff0;	/* it may have been a byte of the register */
	if (!is_x2apic(lapic))
		lapic_mmio_write(lapic, offset, 4, reg(lapic, offset), now);
	else if (offset == LAPIC_SELF_IPI)
		write_reg(lapic, offset, reg(lapic, offset) & 0xff, now);
}

void lapic_mmio_write(struct lapic *lapic, u32 offset, u32 size, u32 value, u64 now)
{
	if (!is_xapic(lapic) || size != 4 || offset & ~0xff0u)
		return;
	if (offset == LAPIC_EOI)	/* the frequent ones first */
		eoi(lapic);
	else if (offset == LAPIC_ICR)
		write_icr(lapic, value);
	else if (offset == LAPIC_TIMER_INITIAL)
		timer_write_initial(lapic, value, now);
	else if (offset == LAPIC_TPR)
		set_reg(lapic, LAPIC_TPR, value & 0xff);
	else if (offset < 0x400 && rules[offset / 16].access & XW)
		write_reg(lapic, offset, value & writable_bits(lapic, offset), now);
	else if (offset >= 0x400 || !(rules[offset / 16].access & XR))
		error(lapic, ESR_REGISTER);
}

static bool x2apic_read(struct lapic *lapic, u32 msr, u64 *value, u64 now)
{
	u32 offset = (msr - MSR_X2APIC) * 16;

	if (!is_x2apic(lapic) || msr - MSR_X2APIC > 0x3f || !(rules[offset / 16].access & MR))
		return false;
	*value = read_reg(lapic, offset, now);
	if (offset == LAPIC_ICR)
		*value |= (u64)reg(lapic, ICR2_X2) << 32;
	return true;
}

static bool x2apic_write_icr(struct lapic *lapic, u64 value)
{
	const struct reg_rule *rule = &rules[LAPIC_ICR / 16];

	if ((u32)value & ~(rule->writable | rule->readonly))
		return false;
	set_reg(lapic, LAPIC_ICR, (u32)value & rule->writable);
	set_reg(lapic, ICR2_X2, (u32)(value >> 32));
	send_ipi(lapic, (u32)value & rule->writable, (u32)(value >> 32), 0xffffffff);
	return true;
}

/* Reserved bits and registers: #GP, 11.12.1.3. */
static bool x2apic_write(struct lapic *lapic, u32 msr, u64 value, u64 now)
{
	u32 bits, offset = (msr - MSR_X2APIC) * 16;

	if (!is_x2apic(lapic) || msr - MSR_X2APIC > 0x3f || !(rules[offset / 16].access & MW))
		return false;
	bits = writable_bits(lapic, offset);
	if (value & ~(u64)(bits | rules[offset / 16].readonly))
		return false;
	write_reg(lapic, offset, (u32)value & bits, now);
	return true;
}

/* Everything but mode, base and ID, 11.4.7.1. */
static void power_up(struct lapic *lapic)
{
	u32 offset;

	take_all_posted(lapic);
	for (offset = LAPIC_TPR; offset <= LAPIC_TIMER_DIVIDE; offset += 16)
		__atomic_store_n(&lapic->page[offset / 4], 0, __ATOMIC_RELAXED);	/* not a memset */
	for (offset = LAPIC_LVT_TIMER; offset <= LAPIC_LVT_ERROR; offset += 16)
		set_reg(lapic, offset, LVT_MASKED);
	set_reg(lapic, ICR2_X2, 0);
	set_reg(lapic, LAPIC_DFR, 0xffffffff);
	set_reg(lapic, LAPIC_SVR, 0xff);
	set_reg(lapic, LAPIC_VERSION,
		VERSION_VALUE | (lapic->features & LAPIC_HAS_EOI_SUPPRESS ? VERSION_EOI_SUPPRESS : 0));
	timer_stop(&lapic->timer);
	lapic->timer.lvt = LVT_MASKED;
	lapic->timer.initial = 0;
	lapic->timer.shift = 1;
	lapic->esr = 0;
	lapic->error_raised = 0;
	lapic->lint &= 3;
	lapic->irr_words = lapic->isr_words = lapic->features & LAPIC_HAS_HARDWARE ? LAPIC_TELL_ALL : 0;
}

/* ID and logical ID as the mode wants them, 11.12.5 and 11.12.10.2. */
static void mode_changed(struct lapic *lapic)
{
	u32 id = lapic->id;

	set_reg(lapic, LAPIC_ID, is_x2apic(lapic) ? id : id << 24);
	if (is_x2apic(lapic)) {
		set_reg(lapic, LAPIC_LDR, id >> 4 << 16 | 1u << (id & 15));
		set_reg(lapic, ICR2_X2, 0);
	}
	publish_route(lapic);
}

/* The transitions of figure 11-27: off ↔ xAPIC → x2APIC → off, and nothing else. */
static bool write_base(struct lapic *lapic, u64 value)
{
	u64 from = lapic->base & BASE_MODE, to = value & BASE_MODE;

	if (value & lapic->base_reserved || to == BASE_EXTD)
		return false;
	if ((from == 0 && to == BASE_MODE) || (from == BASE_MODE && to == BASE_ENABLE))
		return false;
	lapic->base = value;
	if (from == to)
		return true;
	if (!to)
		power_up(lapic);
	mode_changed(lapic);
	return true;
}

bool lapic_msr_read(struct lapic *lapic, u32 msr, u64 *value, u64 now)
{
	if (msr == MSR_APIC_BASE) {
		*value = lapic->base;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		lapic_advance(lapic, now);
		*value = lapic->timer.deadline;
		return lapic->features & LAPIC_HAS_DEADLINE;
	}
	return x2apic_read(lapic, msr, value, now);
}

bool lapic_msr_write(struct lapic *lapic, u32 msr, u64 value, u64 now)
{
	if (is_x2apic(lapic)) {		/* the frequent ones first */
		if (msr == MSR_X2APIC_ICR)
			return x2apic_write_icr(lapic, value);
		if (msr == MSR_X2APIC_EOI && value == 0) {
			eoi(lapic);
			return true;
		}
	}
	if (msr == MSR_TSC_DEADLINE) {
		timer_write_deadline(lapic, value, now);
		return lapic->features & LAPIC_HAS_DEADLINE;
	}
	if (msr == MSR_APIC_BASE)
		return write_base(lapic, value);
	return x2apic_write(lapic, msr, value, now);
}

void lapic_take_init(struct lapic *lapic)
{
	power_up(lapic);
	mode_changed(lapic);
}

void lapic_virtual_wire(struct lapic *lapic)
{
	set_reg(lapic, LAPIC_SVR, SVR_ENABLE | 0xff);
	set_reg(lapic, LAPIC_LVT_LINT0, LAPIC_EXTINT << MODE_SHIFT);
	set_reg(lapic, LAPIC_LVT_LINT1, LAPIC_NMI << MODE_SHIFT);
	publish_route(lapic);
}

bool lapic_takes_extint(const struct lapic *lapic)
{
	u32 lvt = reg(lapic, LAPIC_LVT_LINT0);

	if (!(lapic->base & BASE_ENABLE))
		return true;
	return !(lvt & LVT_MASKED) && (lvt >> MODE_SHIFT & 7) == LAPIC_EXTINT;
}

void lapic_set_lint(struct lapic *lapic, u32 pin, bool level)
{
	u32 bit = 1u << (pin & 1), lvt = reg(lapic, pin & 1 ? LAPIC_LVT_LINT1 : LAPIC_LVT_LINT0);
	bool rises = level && !(lapic->lint & bit);

	lapic->lint = (u8)(level ? lapic->lint | bit : lapic->lint & ~bit);
	if (!(lapic->base & BASE_ENABLE))
		return;
	if (bit == 1 && lvt & LVT_LEVEL && (lvt >> MODE_SHIFT & 7) == LAPIC_FIXED)
		lint0_level(lapic);
	else if (rises)
		lvt_fire(lapic, lvt);
}

/* A performance interrupt masks its own entry, 21.6.3. */
void lapic_local_event(struct lapic *lapic, enum lapic_reg lvt)
{
	u32 value = reg(lapic, lvt);

	if (!(lapic->base & BASE_ENABLE))
		return;
	if (lvt == LAPIC_LVT_PERF)
		set_reg(lapic, lvt, value | LVT_MASKED);
	lvt_fire(lapic, value);
}

void lapic_bus_init(struct lapic_bus *bus, const struct lapic_ops *ops, void *ctx)
{
	bus->ops = ops;
	bus->ctx = ctx;
	bus->count = 0;
	bus->rotor = 0;
}

bool lapic_init(struct lapic *lapic, struct lapic_bus *bus, const struct lapic_config *config)
{
	u32 i;

	if (bus->count >= LAPIC_MAX_VCPUS)
		return false;
	for (i = 0; i < 4; i++) {
		__atomic_store_n(&lapic->posted.pir[i], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&lapic->soft[i], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&lapic->watch[i], 0, __ATOMIC_RELAXED);
	}
	lapic->page = config->page;
	lapic->bus = bus;
	lapic->vcpu = bus->count;
	lapic->id = config->id;
	lapic->features = config->features;
	lapic->base = LAPIC_DEFAULT_BASE | BASE_ENABLE | (config->features & LAPIC_IS_BSP ? BASE_BSP : 0);
	lapic->base_reserved = ~0ull << config->phys_bits | 0x2ff |
			       (config->features & LAPIC_HAS_X2APIC ? 0 : BASE_EXTD);
	lapic->lint = 0;
	lapic->timer.clock = clock_make(config->tsc_khz, config->bus_khz);
	lapic->timer.min_gap = config->tsc_khz * 1000ull / MIN_GAP_PER_SECOND;
	lapic->timer.tsc_offset = 0;
	lapic->timer.lost = 0;
	lapic_take_init(lapic);
	bus->lapic[bus->count] = lapic;
	bus->count++;
	return true;
}
