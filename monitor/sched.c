// SPDX-License-Identifier: GPL-2.0-only
/*
 * Earliest eligible virtual deadline first, for two sides: docs/scheduler.md.
 *
 * With two sides the lags are opposite, so one integer holds the whole state of fairness: what the service is owed, in
 * ticks × permille. A tick of the service takes the user's weight from it, a tick of the user adds the service's
 * weight. No division, no remainder. (It is kept twice, once with each sign, to spare the hot path the question.)
 * A side is eligible when its lag is not negative; where both are (lag 0) the earlier virtual deadline decides.
 *
 * The other invariant: neither side ever owes more than its limit (one request × SCHED_WHOLE). All waits follow.
 */
#include "monitor/sched.h"

#define COLD		__attribute__((cold, noinline))

#define MAX_CHARGE	(1ull << 53)	/* ticks; × SCHED_WHOLE fits. Weeks without a decision need no more */
#define MAX_REFILLS	(1ull << 20)
#define MAX_DEBT	100		/* periods of overrun over a cap that are paid back */
#define SLICES_PER_S	20		/* a request is at most a 20th of what a side gets in a second */

static const struct {
	u32 length;			/* µs */
	u32 times;
} graces[SCHED_SIDES] = {
	[SCHED_SERVICE]	= { SCHED_SERVICE_GRACE, 1 },
	[SCHED_USER]	= { SCHED_USER_GRACE, 2 },
};

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline s64 max_s64(s64 a, s64 b)
{
	return a > b ? a : b;
}

static inline u64 later(u64 now, u64 ticks)
{
	return now + ticks < now ? SCHED_NEVER : now + ticks;
}

static inline u64 us(const struct sched *s, u32 n)
{
	return (u64)n * s->khz / 1000;
}

static inline bool active(const struct sched_side *side)
{
	return side->state == SCHED_RUNNABLE;
}

static inline void set_lag(struct sched *s, u32 who, s64 lag)
{
	s->side[who].lag = lag;
	s->side[!who].lag = -lag;
}

/* May a side run out of its turn for a useful while, and then still owe no more than a request in turn costs? */
static inline bool may_jump(const struct sched *s, u32 who)
{
	return s->side[who].lag + s->side[who].room >= (s64)(s->window * s->side[!who].weight);
}

/* --- Shares ------------------------------------------------------------------------------------------------------- */

COLD struct sched_split sched_shares(u32 n_cpus, u32 k_service, u32 service_share)
{
	struct sched_split split = { .s0 = 0, .min = SCHED_WHOLE, .max = 0 };
	u64 whole = SCHED_WHOLE;

	if (!n_cpus || k_service >= n_cpus)
		return split;
	split.min = k_service * whole / n_cpus + 1;
	split.max = (k_service + 1) * whole / n_cpus;
	if (service_share >= split.min && service_share <= split.max)
		split.s0 = (u64)n_cpus * service_share - k_service * whole;
	return split;
}

bool sched_share_auto(u32 n_cpus, u32 s0)
{
	return n_cpus == 1 || s0 < SCHED_WHOLE / 2;
}

/* A small share gets small requests, or it would be served in few big pieces. */
static COLD u64 request_of(const struct sched *s, u32 who)
{
	u32 weight = s->side[who].weight;
	u64 length = who == SCHED_SERVICE ? SCHED_SERVICE_REQUEST : SCHED_USER_REQUEST;

	length = min_u64(length, weight * (1000000 / SLICES_PER_S / SCHED_WHOLE));
	if (who == SCHED_USER && s->skew)
		length = min_u64(length, (s->skew - SCHED_SERVICE_REQUEST) * (u64)weight /
				 s->side[SCHED_SERVICE].weight);
	if (length < 2 * SCHED_WINDOW)
		length = 2 * SCHED_WINDOW;
	return us(s, length);
}

/* What follows from khz, weights and skew. The lag is cut to what the new requests could have led to. */
static COLD void configure(struct sched *s)
{
	u32 i;

	for (i = 0; i < SCHED_SIDES; i++) {
		struct sched_side *side = &s->side[i];
		u64 late = s->window;

		/* Requests shortened for the skew can be no longer than a grace: then it is paid back, not forgiven. */
		if (s->skew && i == SCHED_USER)
			late += us(s, SCHED_USER_GRACE * graces[i].times);
		side->request = request_of(s, i);
		side->done = side->request - s->window;
		side->room = side->request * s->side[!i].weight;
		side->limit = max_s64(side->request * SCHED_WHOLE, side->room + late * s->side[!i].weight);
	}
	for (i = 0; i < SCHED_SIDES; i++)
		set_lag(s, i, max_s64(s->side[i].lag, -s->side[i].room));
	s->repick = true;
}

static bool in_range(u32 permille)
{
	return permille > 0 && permille <= SCHED_WHOLE;
}

static COLD void set_weights(struct sched *s, u32 s0)
{
	s->side[SCHED_SERVICE].weight = s0;
	s->side[SCHED_USER].weight = SCHED_WHOLE - s0;
	configure(s);
}

/* --- Accounts ----------------------------------------------------------------------------------------------------- */

static COLD void charge_budget(struct sched *s, u32 who, u64 ticks)
{
	struct sched_side *side = &s->side[who];

	side->budget -= ticks * SCHED_WHOLE;
	side->budget = max_s64(side->budget, -(s64)(MAX_DEBT * SCHED_WHOLE * s->period));
	if (side->budget <= 0 && !(side->state & SCHED_THROTTLED)) {
		side->state |= SCHED_THROTTLED;
		s->stats[who].throttled++;
	}
}

/* A grant is worked off whenever its side runs, but only time out of turn is taken from the bucket. */
static COLD void charge_grants(struct sched *s, u32 who, u64 ticks)
{
	if (who == SCHED_USER) {
		s->yield_left -= min_u64(ticks, s->yield_left);
	} else {
		s->window_left -= min_u64(ticks, s->window_left);
		s->boost_left -= min_u64(ticks, s->boost_left);
		if (s->why == SCHED_BOOSTED) {
			s->boost_used[s->boost_slot] += ticks;
			s->boost_sum += ticks;
		}
	}
	s->grants = s->window_left || s->boost_left || s->yield_left;
}

/*
 * A side ran. With the other one active its lag falls, down to its limit. With the other one idle there is no
 * competition, so only what was owed before is settled, and the rest is a gift: it is never asked back.
 */
static inline void charge_side(struct sched *s, u32 who, u64 ticks)
{
	struct sched_side *me = &s->side[who];
	struct sched_side *other = &s->side[!who];
	s64 lag = me->lag - (s64)(ticks * other->weight);

	me->used += ticks;
	if (active(other)) {
		if (lag < -me->limit) {
			s->stats[who].forgiven += -me->limit - lag;
			lag = -me->limit;
		}
	} else {
		s->stats[who].alone += ticks;
		if (lag < 0)
			lag = me->lag < 0 ? me->lag : 0;
	}
	me->lag = lag;
	other->lag = -lag;
	if (me->cap != SCHED_WHOLE)
		charge_budget(s, who, ticks);
	if (s->grants)
		charge_grants(s, who, ticks);
}

static inline void charge_until(struct sched *s, u64 t)
{
	u64 dt = t - s->last;

	s->time[s->owner] += dt;
	s->last = t;
	if (s->owner < SCHED_SIDES)
		charge_side(s, s->owner, dt);
}

/* n periods are over: budgets are filled up, overrun is paid back, boosts of more than 100 ms ago are forgotten. */
static COLD void roll(struct sched *s, u64 n)
{
	u64 slots = min_u64(n, SCHED_BOOST_SLOTS);
	u32 i;

	s->period_end += n * s->period;
	for (i = 0; i < SCHED_SIDES; i++) {
		struct sched_side *side = &s->side[i];

		side->budget += (s64)min_u64(n, MAX_REFILLS) * side->quota;
		if (side->budget > side->quota)
			side->budget = side->quota;
		if ((side->state & SCHED_THROTTLED) && side->budget > 0) {
			side->state &= ~SCHED_THROTTLED;
			side->since = s->last;
		}
	}
	while (slots--) {
		s->boost_slot = s->boost_slot + 1 < SCHED_BOOST_SLOTS ? s->boost_slot + 1 : 0;
		s->boost_sum -= s->boost_used[s->boost_slot];
		s->boost_used[s->boost_slot] = 0;
	}
}

/* Periods end exactly at their boundary, whenever that is noticed. (If sched_enter passed it: at sched_enter.) */
static COLD void cross(struct sched *s, u64 now)
{
	u64 n = (now - s->period_end) / s->period;
	u64 boundary = s->period_end + n * s->period;

	if (boundary > s->last + MAX_CHARGE) {
		s->time[s->owner] += boundary - MAX_CHARGE - s->last;
		s->last = boundary - MAX_CHARGE;
	}
	if (boundary > s->last)
		charge_until(s, boundary);
	roll(s, n + 1);
}

static inline void shift(u64 *time, u64 back)
{
	if (*time != SCHED_NEVER)
		*time -= min_u64(back, *time);
}

/* The service wrote its TSC. What was left of every time stays left; the jump itself is nobody's time. */
static COLD void clock_went_back(struct sched *s, u64 now)
{
	u64 back = s->last - now;
	u32 i;

	if (s->last >= s->period_end)
		cross(s, s->last);
	for (i = 0; i < SCHED_SIDES; i++) {
		shift(&s->side[i].wake_at, back);
		shift(&s->side[i].since, back);
	}
	shift(&s->next_timer, back);
	shift(&s->defer_at, back);
	shift(&s->grace_end, back);
	s->period_end -= back;
	s->epoch -= back;
	s->last = now;
	s->backwards++;
}

static inline void account(struct sched *s, u64 now)
{
	if (now < s->last)
		clock_went_back(s, now);
	if (now >= s->period_end)
		cross(s, now);
	if (now != s->last)
		charge_until(s, now);
}

__attribute__((noinline)) void sched_account(struct sched *s, u64 now)
{
	account(s, now);
}

COLD u64 sched_ns(u32 khz, u64 ticks)
{
	return ticks / khz * 1000000 + ticks % khz * 1000000 / khz;
}

/* --- Events ------------------------------------------------------------------------------------------------------- */

static void arm(struct sched *s)
{
	s->next_timer = min_u64(s->defer_at, min_u64(s->side[SCHED_SERVICE].wake_at, s->side[SCHED_USER].wake_at));
}

/* The side that runs may be in the midst of a long time alone: its present request is what the last piece leaves. */
static void wake(struct sched *s, u32 who)
{
	struct sched_side *side = &s->side[who];
	struct sched_side *other = &s->side[!who];

	if (side->state & SCHED_RUNNABLE)
		return;
	side->state |= SCHED_RUNNABLE;
	side->since = s->last;
	if (side->wake_at != SCHED_NEVER) {
		side->wake_at = SCHED_NEVER;
		arm(s);
	}
	if (other->used >= other->request)
		other->used %= other->request;
	s->repick = true;
}

static void open_window(struct sched *s)
{
	wake(s, SCHED_SERVICE);
	s->window_left = s->window;
	s->grants = true;
	s->repick = true;
}

static COLD void expire(struct sched *s)
{
	struct sched_side *service = &s->side[SCHED_SERVICE];

	if (s->side[SCHED_USER].wake_at <= s->last)
		wake(s, SCHED_USER);
	if (service->wake_at <= s->last) {
		wake(s, SCHED_SERVICE);
		if (active(service) && may_jump(s, SCHED_SERVICE))
			open_window(s);
	}
	if (s->defer_at <= s->last) {
		s->defer_at = SCHED_NEVER;
		if (service->state & SCHED_THROTTLED)
			s->defer_at = s->period_end;
		else
			open_window(s);
	}
	arm(s);
}

void sched_wake(struct sched *s, enum sched_who who, u64 now)
{
	sched_account(s, now);
	wake(s, who);
}

void sched_sleep(struct sched *s, enum sched_who who, u64 until, u64 now)
{
	struct sched_side *side = &s->side[who];

	sched_account(s, now);
	side->state &= ~SCHED_RUNNABLE;
	side->used = 0;
	side->wake_at = until;
	if (who == SCHED_SERVICE) {
		s->window_left = 0;
		s->boost_left = 0;
	} else {
		s->yield_left = 0;
		/* Nobody is left whom an interrupt could rob. */
		if (s->defer_at != SCHED_NEVER && !(s->side[SCHED_SERVICE].state & SCHED_THROTTLED))
			s->defer_at = now;
	}
	if (s->grants)
		s->grants = s->window_left || s->boost_left || s->yield_left;
	/* Time not wanted is not saved up. */
	if (side->lag > side->limit)
		set_lag(s, who, side->limit);
	arm(s);
}

static COLD bool boost(struct sched *s)
{
	if (s->boost_sum + s->window > us(s, SCHED_BOOST_MAX) || !may_jump(s, SCHED_SERVICE)) {
		s->boosts_refused++;
		return false;
	}
	s->boost_left = us(s, SCHED_BOOST);
	s->grants = true;
	s->boosts++;
	return true;
}

COLD bool sched_boost(struct sched *s, u64 now)
{
	sched_account(s, now);
	return boost(s);
}

COLD bool sched_directed_yield(struct sched *s, u64 now)
{
	sched_account(s, now);
	if (!active(&s->side[SCHED_USER]) || !may_jump(s, SCHED_USER)) {
		s->yields_refused++;
		return false;
	}
	s->yield_left = us(s, SCHED_BOOST);
	s->grants = true;
	s->yields++;
	return true;
}

/*
 * A device or a tick waits for a cap's next period, or until the service has paid for its window, at most 4 ms. While the
 * user has nothing to run the window robs nobody, and the service could not pay either.
 */
static u64 not_before(const struct sched *s)
{
	const struct sched_side *service = &s->side[SCHED_SERVICE];
	s64 price = s->window * s->side[SCHED_USER].weight;
	s64 room = service->lag + service->room;

	if (s->defer_at != SCHED_NEVER && s->defer_at > s->last)
		return s->defer_at;
	if (service->state & SCHED_THROTTLED)
		return s->period_end;
	if (room >= price || s->defer_at != SCHED_NEVER || !active(&s->side[SCHED_USER]))
		return s->last;
	return later(s->last, min_u64((u64)(price - room) / service->weight + 1, us(s, SCHED_DEFER)));
}

u64 sched_service_interrupt(struct sched *s, enum sched_irq kind, u64 now)
{
	u64 at;

	account(s, now);
	if (kind == SCHED_IRQ_DEVICE)
		boost(s);
	at = kind == SCHED_IRQ_IPI ? now : not_before(s);
	if (at > now) {
		s->defer_at = at;
		s->deferred++;
		arm(s);
	} else {
		open_window(s);
		s->interrupts++;
	}
	return at;
}

/* --- The decision ------------------------------------------------------------------------------------------------- */

static inline u64 left_of_request(const struct sched_side *side)
{
	return side->used < side->done ? side->request - side->used : side->request;
}

/* Both v are equal to V where the lag is 0, so virtual deadlines compare as the rests of the requests / weight do. */
static u8 earliest_eligible(const struct sched *s)
{
	const struct sched_side *service = &s->side[SCHED_SERVICE];
	const struct sched_side *user = &s->side[SCHED_USER];

	if (service->lag)
		return service->lag > 0 ? SCHED_SERVICE : SCHED_USER;
	return left_of_request(service) * user->weight <= left_of_request(user) * service->weight ?
		SCHED_SERVICE : SCHED_USER;
}

/* Both sides want the CPU. A request that was begun in turn is finished, unless something woke up or changed. */
static inline u32 contest(struct sched *s)
{
	u32 who = s->cur;

	if (s->why != SCHED_TURN || s->repick || s->side[who].used >= s->side[who].done)
		who = earliest_eligible(s);
	s->why_next = SCHED_TURN;
	if (!s->grants)
		return who;
	if (who == SCHED_USER && s->boost_left && s->boost_sum < us(s, SCHED_BOOST_MAX) &&
	    may_jump(s, SCHED_SERVICE)) {
		s->why_next = SCHED_BOOSTED;
		return SCHED_SERVICE;
	}
	if (who == SCHED_SERVICE && s->yield_left && may_jump(s, SCHED_USER)) {
		s->why_next = SCHED_YIELDED;
		return SCHED_USER;
	}
	return who;
}

static inline u32 choose(struct sched *s)
{
	bool service = active(&s->side[SCHED_SERVICE]);
	bool user = active(&s->side[SCHED_USER]);
	u32 who = SCHED_IDLE;

	s->why_next = SCHED_ALONE;
	if (service && user)
		who = contest(s);
	else if (service)
		who = SCHED_SERVICE;
	else if (user)
		who = SCHED_USER;
	if (who != SCHED_SERVICE && s->window_left) {
		s->why_next = SCHED_INTERRUPT;
		return SCHED_SERVICE;
	}
	return who;
}

/* The side that runs is not safe to preempt: does it get a grace, or what is left of one? Interrupts do not wait. */
static COLD bool grace(struct sched *s)
{
	struct sched_stats *stats = &s->stats[s->cur];

	if (s->cur >= SCHED_SIDES || !(s->side[s->cur].state & SCHED_RUNNABLE))
		return false;
	if (s->graces && s->last < s->grace_end && s->why_next != SCHED_INTERRUPT)
		return true;
	if (s->graces >= graces[s->cur].times || s->why_next == SCHED_INTERRUPT) {
		stats->preempted++;
		return false;
	}
	s->graces++;
	s->grace_end = later(s->last, us(s, graces[s->cur].length));
	stats->graces++;
	return true;
}

static inline void switch_to(struct sched *s, u32 who)
{
	struct sched_stats *stats = &s->stats[who];
	u64 wait;

	if (s->cur < SCHED_SIDES)
		s->side[s->cur].since = s->last;
	s->cur = who;
	if (who >= SCHED_SIDES)
		return;
	stats->switches++;
	if (!active(&s->side[who]))
		return;
	wait = s->last - s->side[who].since;
	stats->waited += wait;
	if (wait > stats->longest_wait)
		stats->longest_wait = wait;
}

/* How long a jump may last: until its grant is used up or the side owes as much as one request costs. */
static COLD u64 jump_length(const struct sched *s, u32 who, u64 grant)
{
	u32 weight = s->side[!who].weight;

	return weight ? min_u64(grant, (u64)(s->side[who].lag + s->side[who].room) / weight) : grant;
}

static COLD u64 length_out_of_turn(struct sched *s)
{
	if (s->why == SCHED_ALONE)
		return SCHED_NEVER;
	s->stats[s->cur].jumps++;
	switch (s->why) {
	case SCHED_BOOSTED:
		return jump_length(s, SCHED_SERVICE, min_u64(s->boost_left, us(s, SCHED_BOOST_MAX) - s->boost_sum));
	case SCHED_YIELDED:
		return jump_length(s, SCHED_USER, s->yield_left);
	default:
		return s->window_left;
	}
}

/* Requests that the same side will win after this one, since it is still owed so much: no need to ask each time. */
static COLD u64 next_requests(const struct sched_side *side, u64 owed, u32 weight)
{
	u64 price = side->request * weight;

	return price ? (owed + price - 1) / price * side->request : 0;
}

static inline u64 slice_length(struct sched *s)
{
	struct sched_side *side = &s->side[s->cur];
	u32 weight;
	u64 left;
	s64 owed;

	if (s->why != SCHED_TURN)
		return length_out_of_turn(s);
	if (side->used >= side->done)
		side->used = 0;
	left = side->request - side->used;
	weight = s->side[!s->cur].weight;
	owed = side->lag - (s64)(left * weight);
	return owed > 0 ? left + next_requests(side, owed, weight) : left;
}

/* A period's end may free one side and ends the other one's budget. */
static COLD void limit_by_caps(struct sched *s)
{
	struct sched_side *side = &s->side[s->cur];

	s->limit = min_u64(s->limit, s->period_end);
	if (s->cur < SCHED_SIDES && side->cap != SCHED_WHOLE && s->why != SCHED_INTERRUPT)
		s->length = min_u64(s->length, (u64)side->budget / SCHED_WHOLE + 1);
}

enum sched_who sched_pick(struct sched *s, enum sched_safety safety, u64 now)
{
	u32 who;

	account(s, now);
	s->owner = SCHED_MONITOR;
	if (now >= s->next_timer)
		expire(s);
	who = choose(s);
	if (who != s->cur) {
		if (safety != SCHED_SAFE && grace(s)) {
			s->grace = true;
			s->length = SCHED_NEVER;
			s->limit = min_u64(s->grace_end, s->next_timer);
			return s->cur;
		}
		switch_to(s, who);
	}
	s->why = s->why_next;
	s->repick = false;
	s->grace = false;
	s->graces = 0;
	/* The service gets every interrupt that waits when it runs. */
	if (who == SCHED_SERVICE && s->defer_at != SCHED_NEVER) {
		s->defer_at = SCHED_NEVER;
		arm(s);
	}
	s->length = slice_length(s);
	s->limit = s->next_timer;
	if (s->capped)
		limit_by_caps(s);
	return who;
}

u64 sched_enter(struct sched *s, u64 now)
{
	if (now >= s->last) {
		s->time[SCHED_MONITOR] += now - s->last;
		s->last = now;
	}
	s->owner = s->cur;
	return min_u64(later(s->last, s->length), s->limit);
}

/*
 * Most interrupts find the user in the midst of its slice, with no cap, grant or deferral anywhere. They are decided here
 * as sched_service_interrupt() and sched_pick() would, but for the length of a slice in turn, which may be shorter.
 */
bool sched_take_interrupt(struct sched *s, enum sched_irq kind, u64 now)
{
	struct sched_side *service = &s->side[SCHED_SERVICE];

	if (s->owner != SCHED_USER || s->side[SCHED_USER].state != SCHED_RUNNABLE || s->grants || s->capped ||
	    s->defer_at != SCHED_NEVER || kind == SCHED_IRQ_DEVICE || now < s->last || now >= s->period_end ||
	    now >= s->next_timer)
		return false;
	charge_until(s, now);
	if (kind != SCHED_IRQ_IPI && !may_jump(s, SCHED_SERVICE))
		return false;
	open_window(s);
	s->interrupts++;
	s->owner = SCHED_MONITOR;
	switch_to(s, SCHED_SERVICE);
	s->repick = false;
	s->grace = false;
	s->graces = 0;
	s->limit = s->next_timer;
	s->why = SCHED_INTERRUPT;
	s->length = s->window_left;
	if (service->lag > 0) {
		s->why = SCHED_TURN;
		if (service->used >= service->done)
			service->used = 0;
		s->length = service->request - service->used;
	} else {
		s->stats[SCHED_SERVICE].jumps++;
	}
	return true;
}

/* --- Set-up ------------------------------------------------------------------------------------------------------- */

/* What was used of this period counts. A lower cap makes no debt of it: it holds from the next period on. */
static COLD void set_cap(struct sched *s, struct sched_side *side, u32 cap)
{
	s64 quota = cap * s->period;
	s64 used = side->cap == SCHED_WHOLE ? 0 : side->quota - side->budget;
	s64 debt = side->cap == SCHED_WHOLE || side->budget > 0 ? 0 : side->budget;

	side->cap = cap;
	side->quota = quota;
	side->budget = max_s64(quota - used, debt);
	side->state &= ~SCHED_THROTTLED;
	if (cap != SCHED_WHOLE && side->budget <= 0)
		side->state |= SCHED_THROTTLED;
}

COLD bool sched_set_caps(struct sched *s, u32 service, u32 user, u64 now)
{
	if (!in_range(service) || !in_range(user))
		return false;
	sched_account(s, now);
	set_cap(s, &s->side[SCHED_SERVICE], service);
	set_cap(s, &s->side[SCHED_USER], user);
	s->capped = service != SCHED_WHOLE || user != SCHED_WHOLE;
	s->repick = true;
	return true;
}

COLD bool sched_set_shares(struct sched *s, u32 s0, u64 now)
{
	if (!in_range(s0))
		return false;
	sched_account(s, now);
	set_weights(s, s0);
	return true;
}

COLD bool sched_set_skew(struct sched *s, u32 skew, u64 now)
{
	if (skew && (skew < SCHED_SKEW_MIN || skew > SCHED_SKEW_MAX))
		return false;
	sched_account(s, now);
	s->skew = skew;
	configure(s);
	return true;
}

/* Volatile, or compilers make it a call of memset. */
static COLD void clear(struct sched *s)
{
	volatile u8 *byte = (volatile u8 *)s;
	size_t i;

	for (i = 0; i < sizeof(*s); i++)
		byte[i] = 0;
}

COLD bool sched_init(struct sched *s, u32 khz, u32 s0, u64 now)
{
	u32 i;

	if (khz < SCHED_MIN_KHZ || khz > SCHED_MAX_KHZ || !in_range(s0))
		return false;
	clear(s);
	s->last = now;
	s->epoch = now;
	s->khz = khz;
	s->cur = SCHED_IDLE;
	s->owner = SCHED_MONITOR;
	for (i = 0; i < SCHED_SIDES; i++) {
		s->side[i].cap = SCHED_WHOLE;
		s->side[i].wake_at = SCHED_NEVER;
	}
	s->period = us(s, SCHED_PERIOD);
	s->period_end = later(now, s->period);
	s->window = us(s, SCHED_WINDOW);
	s->defer_at = SCHED_NEVER;
	s->next_timer = SCHED_NEVER;
	for (i = 0; i < SCHED_SIDES; i++)
		set_cap(s, &s->side[i], SCHED_WHOLE);
	set_weights(s, s0);
	return true;
}
