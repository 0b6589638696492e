/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scheduler of one shared CPU: two sides, the service and the user partition, each with a share.
 * docs/scheduler.md has the mechanism, the bounds and why they hold.
 *
 * One struct sched per shared CPU. Only that CPU touches it, in root operation: there is no lock. Others ask it by a
 * kick (directed yield) or through the service (shares). Plain C on its arguments: no hardware, no clock of its own.
 * Times are absolute TSC values (below 2^63: 58 years at 5 GHz), lengths are TSC ticks.
 *
 * How the caller uses it:
 *
 *	exit that may end a slice	sched_wake, sched_sleep, … for what happened, then sched_pick
 *	just before the next entry	sched_enter: the time since sched_pick was the monitor's; the slice starts
 *	any other exit			nothing: its time is charged to the side that caused it
 *
 * sched_enter says when sched_pick wants to be called again; earlier calls are fine at any time.
 */
#ifndef MONITOR_SCHED_H
#define MONITOR_SCHED_H

#include <avmm/partition.h>
#include <avmm/types.h>

#define SCHED_WHOLE		1000u		/* shares and caps are permille */
#define SCHED_NEVER		(~0ull)		/* no end, no timer */

#define SCHED_SERVICE_REQUEST	1000u		/* µs that a side gets in one piece, if its share allows */
#define SCHED_USER_REQUEST	4000u
#define SCHED_PERIOD		10000u		/* µs: caps are budgets per period */
#define SCHED_BOOST		500u		/* µs of boost for one event */
#define SCHED_BOOST_MAX		2000u		/* µs of boost in any 100 ms */
#define SCHED_BOOST_SLOTS	11		/* periods that an interval of 100 ms can touch */
#define SCHED_DEFER		4000u		/* µs that an interrupt waits at most, without a cap */
#define SCHED_WINDOW		20u		/* µs that an interrupt gets; also the shortest useful slice */
#define SCHED_USER_GRACE	50u		/* µs, at most twice: the user may hold a lock */
#define SCHED_SERVICE_GRACE	200u		/* µs, once: the service has interrupts off */
#define SCHED_SKEW_MIN		AVMM_SKEW_MIN	/* µs: range of sched_set_skew() */
#define SCHED_SKEW_MAX		AVMM_SKEW_MAX
#define SCHED_MIN_KHZ		1000u
#define SCHED_MAX_KHZ		100000000u

/* Whose time it is; the first two are the sides. */
enum sched_who { SCHED_SERVICE, SCHED_USER, SCHED_IDLE, SCHED_MONITOR, SCHED_OWNERS };
#define SCHED_SIDES		2

enum sched_why {
	SCHED_ALONE,		/* the other side has nothing to run, or may not */
	SCHED_TURN,		/* eligible, and its request is not yet done */
	SCHED_BOOSTED,		/* service: snatches for an event, out of its turn */
	SCHED_INTERRUPT,	/* service: takes an interrupt, out of its turn */
	SCHED_YIELDED,		/* user: other vCPUs spin for this one, out of its turn */
};

enum sched_irq { SCHED_IRQ_TICK, SCHED_IRQ_DEVICE, SCHED_IRQ_IPI };

/* Can the side that runs be preempted without harm? User: CPL 3 or HLT. Service: interrupts on. */
enum sched_safety { SCHED_SAFE, SCHED_HOLDS_LOCK };

/* Ticks, where nothing else is said. Received time is in sched.time[]. */
struct sched_stats {
	u64 alone;		/* run while the other side had nothing to run: part of it was donated */
	u64 waited;		/* runnable, not throttled, and not running */
	u64 longest_wait;
	u64 switches;		/* times that it came onto the CPU */
	u64 jumps;		/* slices out of its turn: boosts, interrupt windows, yields */
	u64 graces;		/* graces granted to it */
	u64 preempted;		/* switched away from although not safe */
	u64 throttled;		/* times that its cap stopped it */
	u64 forgiven;		/* ticks × permille of overrun that the lag limit did not let it pay back */
};

#define SCHED_RUNNABLE	1u
#define SCHED_THROTTLED	2u		/* its budget is used up */

struct sched_side {
	s64 lag;		/* ticks × permille that it is owed (> 0) or owes (< 0); both sides' are opposite */
	u32 weight;		/* permille of this CPU; both sides together SCHED_WHOLE */
	u32 cap;		/* permille of this CPU; SCHED_WHOLE: none */
	u64 request;		/* ticks in one piece */
	u64 used;		/* … and how much of it is done */
	u64 done;		/* a request is done when this much is used: the rest is too short for a slice */
	s64 limit;		/* what it may owe at most; ticks × permille */
	s64 room;		/* what it may owe and still go out of turn: as much as one request, taken in turn, costs */
	s64 quota;		/* of a period, with a cap; ticks × permille */
	s64 budget;		/* what is left of it; negative: overrun, paid by the next periods */
	u64 wake_at;		/* asleep: wakes then */
	u64 since;		/* waiting: since then */
	u32 state;		/* SCHED_RUNNABLE, SCHED_THROTTLED */
} __attribute__((aligned(128)));

struct sched {
	struct sched_side side[SCHED_SIDES];
	u64 last;		/* accounted up to here */
	u64 period_end;
	u64 next_timer;		/* the earliest of wake_at and defer_at */
	u8 owner;		/* enum sched_who that the time since last belongs to */
	u8 cur;			/* who was picked last: SERVICE, USER or IDLE */
	u8 why;			/* … and why: enum sched_why */
	u8 why_next;		/* of the candidate, within sched_pick */
	bool grace;		/* cur would have been preempted were it safe: ask again as soon as it is */
	bool repick;		/* the request that runs has to compete again */
	bool capped;		/* any side */
	bool grants;		/* a window, boost or yield is open */
	u8 graces;		/* used for this preemption */
	u64 grace_end;		/* of the last of them */

	u64 length;		/* of the slice that was picked, SCHED_NEVER: none */
	u64 limit;		/* when it has to end in any case */
	u64 window_left;	/* the service takes an interrupt for so long */
	u64 defer_at;		/* an interrupt waits until then */
	u64 boost_left;		/* of the last event */
	u64 boost_sum;		/* used in the slots */
	u64 boost_used[SCHED_BOOST_SLOTS];
	u32 boost_slot;
	u64 yield_left;		/* of the last directed yield */

	u32 khz;
	u32 skew;		/* µs, 0: no co-scheduling */
	u64 period;
	u64 window;
	u64 epoch;		/* the sum of time[] is last - epoch */
	u64 time[SCHED_OWNERS];
	struct sched_stats stats[SCHED_SIDES];
	u64 boosts;		/* events that got one */
	u64 boosts_refused;
	u64 yields;
	u64 yields_refused;
	u64 interrupts;		/* let in at once */
	u64 deferred;
	u64 backwards;		/* the clock went back */
};

/* What the service may have of a machine, and what a share of it comes to on the shared CPU. All in permille. */
struct sched_split {
	u32 s0;			/* of the shared CPU; 0: refused, the share is outside of min … max */
	u32 min;		/* shares of the whole machine; min > max: no share fits */
	u32 max;
};

/* n_cpus CPUs, of which k_service belong to the service wholly; the share is the service's, of the whole machine. */
struct sched_split sched_shares(u32 n_cpus, u32 k_service, u32 service_share);

/* shared = auto: is a vCPU of the user on the shared CPU worth while? */
bool sched_share_auto(u32 n_cpus, u32 s0);

/*
 * Both sides asleep, no caps, the time is the monitor's. False, and nothing done: khz or s0 (1 … 1000) out of range.
 */
bool sched_init(struct sched *s, u32 khz, u32 s0, u64 now);

/* Live, effective at the next sched_pick. False: out of range (1 … 1000), nothing done. */
bool sched_set_shares(struct sched *s, u32 s0, u64 now);
bool sched_set_caps(struct sched *s, u32 service, u32 user, u64 now);
/* Relaxed co-scheduling: a runnable user waits at most skew µs (0: off) and a grace, where its share allows. */
bool sched_set_skew(struct sched *s, u32 skew, u64 now);

void sched_wake(struct sched *s, enum sched_who who, u64 now);
/* Wakes by itself at until: the guest's next timer, 1 ms from now for the service's MWAIT, or SCHED_NEVER. */
void sched_sleep(struct sched *s, enum sched_who who, u64 until, u64 now);

/* Heuristic 2: a disguised request was forwarded to the service. False: no boost, the bucket or the share is used up. */
bool sched_boost(struct sched *s, u64 now);
/* Other vCPUs of the user spin while this one is preempted. False: the user owes the service too much. */
bool sched_directed_yield(struct sched *s, u64 now);
/* An interrupt for the service is pending while the user runs. When to let it in: now, or not before. */
u64 sched_service_interrupt(struct sched *s, enum sched_irq kind, u64 now);

/*
 * The same, and the decision with it, in the usual case: true, the service goes in at once. False: as if not called, but
 * for accounts brought up to date.
 */
bool sched_take_interrupt(struct sched *s, enum sched_irq kind, u64 now);

/* The decision: SERVICE, USER or IDLE. Charges the time up to now; from now on it is the monitor's. */
enum sched_who sched_pick(struct sched *s, enum sched_safety safety, u64 now);
/* After sched_pick: from now on the time belongs to who was picked. Returns when to come back; in the past: at once. */
u64 sched_enter(struct sched *s, u64 now);

/* Brings the accounts up to date, for readers. */
void sched_account(struct sched *s, u64 now);
u64 sched_ns(u32 khz, u64 ticks);

#endif
