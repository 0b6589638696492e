// SPDX-License-Identifier: GPL-2.0-only
/*
 * How late the handler of a timer interrupt is entered.
 *
 *	echo 'cpu=0 count=500 period=2000' >/proc/avmm_latency	a timer on CPU every so many microseconds; waits for the end
 *	cat /proc/avmm_latency					"count N mean-ns N max-ns N"
 */
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/smp.h>
#include "test_file.h"

static struct {
	struct hrtimer timer;
	struct completion done;
	ktime_t period;
	unsigned long left;
	unsigned long count;
	s64 sum;		/* ns */
	s64 max;
} test;

/* Late is what lies between the time that was asked for and now, on the clock that the timer is set by. */
static enum hrtimer_restart expired(struct hrtimer *timer)
{
	s64 late = ktime_to_ns(ktime_sub(ktime_get(), hrtimer_get_expires(timer)));

	test.count++;
	test.sum += late;
	test.max = max(test.max, late);
	if (!--test.left) {
		complete(&test.done);
		return HRTIMER_NORESTART;
	}
	hrtimer_forward_now(timer, test.period);
	return HRTIMER_RESTART;
}

static void start(void *unused)
{
	hrtimer_start(&test.timer, test.period, HRTIMER_MODE_REL_PINNED_HARD);
}

static int latency_run(char *command)
{
	unsigned long cpu = 0, count = 500, period = 2000;
	char *word;
	int err;

	while ((word = strsep(&command, " "))) {
		if (test_number(word, "cpu", &cpu) && test_number(word, "count", &count) &&
		    test_number(word, "period", &period))
			return -EINVAL;
	}
	if (!count || period < 100 || period > USEC_PER_SEC)
		return -ERANGE;
	init_completion(&test.done);
	test.period = ns_to_ktime((u64)period * NSEC_PER_USEC);
	test.left = count;
	test.count = 0;
	test.sum = 0;
	test.max = 0;
	hrtimer_init(&test.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	test.timer.function = expired;
	err = smp_call_function_single(cpu, start, NULL, 1);
	if (err)
		return err;
	if (wait_for_completion_interruptible(&test.done))
		err = -EINTR;
	hrtimer_cancel(&test.timer);
	return err;
}

static int latency_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "count %lu mean-ns %lld max-ns %lld\n", test.count,
		   test.count ? div64_s64(test.sum, test.count) : 0, test.max);
	return 0;
}

static struct test_file file = { .name = "avmm_latency", .run = latency_run, .show = latency_show };

static int __init latency_init(void)
{
	return test_file_create(&file);
}

static void __exit latency_exit(void)
{
	test_file_remove(&file);
}

module_init(latency_init);
module_exit(latency_exit);
MODULE_DESCRIPTION("AVMM lab: how late a timer interrupt is");
MODULE_LICENSE("GPL");
