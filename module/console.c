// SPDX-License-Identifier: GPL-2.0-only
/*
 * The serial console of the user partition: /dev/ttyAVMM0, and a log of the last 64 KiB that it put out.
 *
 * Output goes into the log at once and from the ring to the terminal if one is open. If the terminal is full it stays
 * in the ring, and the guest's transmitter waits as on a line with flow control. Without a partition the terminal can
 * be opened; what is written to it goes nowhere. It starts raw: the guest does the echoing.
 *
 * `out_lock` guards the log, the module's side of the output ring and `live` (changes under both locks); `in_lock`
 * guards its side of the input ring, and is taken in any context. The monitor's positions are read once and checked:
 * one that cannot be makes the ring empty (output) or full (input). Lock order: partition.c's lock, out_lock, in_lock;
 * the hypercall that tells the monitor is therefore left to a work item.
 */
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/serial.h>
#include <linux/spinlock.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>
#include <linux/tty_port.h>
#include <linux/workqueue.h>
#include "module.h"
#include "partition.h"

#define LOG_SIZE	65536u	/* a power of two */
#define TTY_LIMIT	65536	/* bytes that wait for a terminal's reader before the guest has to */
#define RETRY_MS	20	/* until a full terminal is tried again */

static DEFINE_MUTEX(out_lock);
static DEFINE_SPINLOCK(in_lock);
static struct tty_driver *driver;
static struct tty_port port;
static bool live;
static struct avmm_console *rings;
static u32 out_tail;		/* to the terminal, or dropped */
static u32 out_logged;		/* into the log; out_tail … the monitor's head */
static u32 in_head;
static u8 log[LOG_SIZE];
static u64 log_end;

static void kick_monitor(struct work_struct *work)
{
	avmm_partition_kick_console();
}

static void retry(struct work_struct *work)
{
	avmm_console_poll();
}

static DECLARE_WORK(kick_work, kick_monitor);
static DECLARE_DELAYED_WORK(retry_work, retry);

/* Output */

static void add_to_log(u32 head)
{
	for (; out_logged != head; out_logged++)
		log[log_end++ % LOG_SIZE] = READ_ONCE(rings->out[out_logged % AVMM_CONSOLE_RING]);
}

/* Returns the number of bytes that the terminal took of those up to head. */
static u32 pass_to_tty(u32 head)
{
	u32 passed = 0;

	while (out_tail + passed != head) {
		u32 at = (out_tail + passed) % AVMM_CONSOLE_RING;
		u32 n = min(head - out_tail - passed, AVMM_CONSOLE_RING - at);
		u32 taken = tty_insert_flip_string(&port, rings->out + at, n);

		passed += taken;
		if (taken < n)
			break;
	}
	tty_flip_buffer_push(&port);
	return passed;
}

/*
 * Stores the tail. The monitor may have found the ring full between our look at head and this: then head has come a
 * whole ring from the old tail, and the monitor wants to know.
 */
static void store_tail(u32 tail)
{
	u32 old = out_tail;

	out_tail = tail;
	smp_store_release(&rings->out_tail, tail);
	smp_mb();
	if (READ_ONCE(rings->out_head) - old >= AVMM_CONSOLE_RING)
		schedule_work(&kick_work);
}

static void take_output(void)
{
	u32 head = smp_load_acquire(&rings->out_head), tail = head;

	if (head - out_tail > AVMM_CONSOLE_RING || head - out_logged > AVMM_CONSOLE_RING) {
		out_logged = head;
		store_tail(head);
		return;
	}
	if (head == out_tail)
		return;
	add_to_log(head);
	if (tty_port_initialized(&port))
		tail = out_tail + pass_to_tty(head);
	if (tail != head)
		schedule_delayed_work(&retry_work, msecs_to_jiffies(RETRY_MS));
	store_tail(tail);
}

void avmm_console_poll(void)
{
	mutex_lock(&out_lock);
	if (live) {
		take_output();
		tty_port_tty_wakeup(&port);	/* the guest may have read input */
	}
	mutex_unlock(&out_lock);
}

void avmm_console_start(void)
{
	mutex_lock(&out_lock);
	spin_lock_irq(&in_lock);
	rings = avmm_shared_console();
	rings->out_head = 0;
	rings->out_tail = 0;
	rings->in_head = 0;
	rings->in_tail = 0;
	out_tail = 0;
	out_logged = 0;
	in_head = 0;
	live = true;
	spin_unlock_irq(&in_lock);
	mutex_unlock(&out_lock);
}

void avmm_console_stop(void)
{
	mutex_lock(&out_lock);
	if (live)
		take_output();
	spin_lock_irq(&in_lock);
	live = false;
	spin_unlock_irq(&in_lock);
	mutex_unlock(&out_lock);
	tty_port_tty_wakeup(&port);	/* whoever waits for room in the ring */
}

void avmm_console_hangup(void)
{
	tty_port_tty_hangup(&port, false);
}

u64 avmm_console_end(void)
{
	u64 end;

	mutex_lock(&out_lock);
	end = log_end;
	mutex_unlock(&out_lock);
	return end;
}

unsigned int avmm_console_read(u64 *offset, u64 end, u8 *data, unsigned int size)
{
	unsigned int i = 0;

	mutex_lock(&out_lock);
	if (log_end > LOG_SIZE)
		*offset = max(*offset, log_end - LOG_SIZE);
	for (; i < size && *offset + i < end; i++)
		data[i] = log[(*offset + i) % LOG_SIZE];
	mutex_unlock(&out_lock);
	return i;
}

/* Input */

/* Bytes in the input ring, as the monitor's tail says; under in_lock. */
static u32 in_used(void)
{
	return min(in_head - smp_load_acquire(&rings->in_tail), AVMM_CONSOLE_RING);
}

#ifdef AVMM_HAVE_TTY_WRITE_SSIZE
static ssize_t console_write(struct tty_struct *tty, const u8 *data, size_t count)
#else
static int console_write(struct tty_struct *tty, const u8 *data, int count)
#endif
{
	unsigned long flags;
	u32 i, n = count;

	spin_lock_irqsave(&in_lock, flags);
	if (live) {
		n = min_t(size_t, count, AVMM_CONSOLE_RING - in_used());
		for (i = 0; i < n; i++)
			WRITE_ONCE(rings->in[(in_head + i) % AVMM_CONSOLE_RING], data[i]);
		in_head += n;
		smp_store_release(&rings->in_head, in_head);
		if (n)
			schedule_work(&kick_work);
	}
	spin_unlock_irqrestore(&in_lock, flags);
	return n;
}

static unsigned int console_used(void)
{
	unsigned long flags;
	unsigned int used;

	spin_lock_irqsave(&in_lock, flags);
	used = live ? in_used() : 0;
	spin_unlock_irqrestore(&in_lock, flags);
	return used;
}

static unsigned int console_chars_in_buffer(struct tty_struct *tty)
{
	return console_used();
}

static unsigned int console_write_room(struct tty_struct *tty)
{
	return AVMM_CONSOLE_RING - console_used();
}

static int console_open(struct tty_struct *tty, struct file *file)
{
	return tty_port_open(&port, tty, file);
}

static void console_close(struct tty_struct *tty, struct file *file)
{
	tty_port_close(&port, tty, file);
}

static void console_hangup(struct tty_struct *tty)
{
	tty_port_hangup(&port);
}

static void console_unthrottle(struct tty_struct *tty)
{
	mod_delayed_work(system_wq, &retry_work, 0);
}

static const struct tty_operations console_ops = {
	.open = console_open,
	.close = console_close,
	.hangup = console_hangup,
	.write = console_write,
	.write_room = console_write_room,
	.chars_in_buffer = console_chars_in_buffer,
	.unthrottle = console_unthrottle,
};

static const struct tty_port_operations port_ops = { };

static void describe_driver(void)
{
	driver->driver_name = "avmm";
	driver->name = "ttyAVMM";
	driver->type = TTY_DRIVER_TYPE_SERIAL;
	driver->subtype = SERIAL_TYPE_NORMAL;
	driver->init_termios = tty_std_termios;
	driver->init_termios.c_iflag = 0;
	driver->init_termios.c_oflag = 0;
	driver->init_termios.c_lflag = 0;
	driver->init_termios.c_cflag = B115200 | CS8 | CREAD | CLOCAL;
	driver->init_termios.c_ispeed = 115200;
	driver->init_termios.c_ospeed = 115200;
	tty_set_operations(driver, &console_ops);
}

int avmm_console_init(void)
{
	struct device *device;
	int err;

	driver = tty_alloc_driver(1, TTY_DRIVER_REAL_RAW | TTY_DRIVER_RESET_TERMIOS | TTY_DRIVER_DYNAMIC_DEV);
	if (IS_ERR(driver))
		return PTR_ERR(driver);
	describe_driver();
	tty_port_init(&port);
	tty_buffer_set_limit(&port, TTY_LIMIT);
	port.ops = &port_ops;
	port.closing_wait = ASYNC_CLOSING_WAIT_NONE;	/* a guest that does not read must not keep us */
	err = tty_register_driver(driver);
	if (err)
		goto no_driver;
	device = tty_port_register_device(&port, driver, 0, NULL);
	if (!IS_ERR(device))
		return 0;
	err = PTR_ERR(device);
	tty_unregister_driver(driver);
no_driver:
	tty_driver_kref_put(driver);
	tty_port_destroy(&port);
	return err;
}

void avmm_console_exit(void)
{
	cancel_delayed_work_sync(&retry_work);
	cancel_work_sync(&kick_work);
	tty_unregister_device(driver, 0);
	tty_unregister_driver(driver);
	tty_driver_kref_put(driver);
	tty_port_destroy(&port);
}
