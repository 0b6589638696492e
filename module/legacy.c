// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct-access devices that are not on the PCI bus, on Linux's side: the keyboard controller, and with vga.c the VGA.
 * Linux knows such a device as a platform device; who is assigned has this module's stub for a driver, by
 * driver_override, as in device.c.
 *
 * The keyboard controller's lines are edges: an edge is relayed and that is all, nothing is masked or unmasked. A byte
 * that nobody has read keeps the controller from another edge, so an edge that overtakes a relay still on its way needs
 * no second one: the guest has been told of a byte, and reads it after both have come.
 *
 * `lock` guards everything and is held across other drivers' callbacks. Lock order: partition.c's lock, then `lock`,
 * then device locks.
 */
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <avmm/hypercall.h>
#include "module.h"
#include "device.h"
#include "legacy.h"
#include "override.h"
#include "partition.h"

#define STUB_NAME	"avmm"

static const char *const names[AVMM_LEGACIES] = { [AVMM_LEGACY_I8042] = "i8042", [AVMM_LEGACY_VGA] = "vga" };

struct line {
	unsigned int irq;
	u32 number;		/* for the monitor */
	call_single_data_t relay;
};

static struct line lines[] = { { .irq = 1, .number = AVMM_LINE_KEYBOARD }, { .irq = 12, .number = AVMM_LINE_MOUSE } };

static DEFINE_MUTEX(lock);
static bool assigned[AVMM_LEGACIES];
static bool live;
static struct avmm_held keyboard;
static struct platform_device *taking;	/* whom the stub may bind to */

/* Interrupts. On the shared CPU, with interrupts off; without a partition nobody wants to know. */
static void relay(void *data)
{
	struct line *line = data;

	vmx_hypercall(AVMM_HC_DEVICE_INTERRUPT, line->number, 0, 0);
}

static irqreturn_t on_edge(int irq, void *data)
{
	struct line *line = data;

	avmm_on_shared(&line->relay);
	return IRQ_HANDLED;
}

static void give_lines(unsigned int n)
{
	while (n--)
		free_irq(lines[n].irq, &lines[n]);
}

static int take_lines(struct avmm_refusal *why)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		int err = request_irq(lines[i].irq, on_edge, IRQF_NO_AUTOEN | IRQF_PROBE_SHARED, STUB_NAME, &lines[i]);

		if (err) {
			give_lines(i);
			return avmm_refuse(why, err, "i8042: its interrupt line %u is in use by another driver",
					   lines[i].irq);
		}
		irq_set_affinity(lines[i].irq, cpumask_of(AVMM_SHARED_CPU));
	}
	return 0;
}

/* The stub driver */

static int stub_probe(struct platform_device *pdev)
{
	return pdev == taking ? 0 : -ENODEV;
}

static struct platform_driver stub = {
	.probe = stub_probe,
	.driver = { .name = STUB_NAME, .suppress_bind_attrs = true },
};

static void give_back(struct platform_device *pdev, bool had_driver)
{
	avmm_override(pdev, "");
	if (device_attach(&pdev->dev) <= 0 && had_driver)
		pr_avmm(KERN_WARNING, "%s: its driver does not take it again\n", dev_name(&pdev->dev));
}

static int bind(struct avmm_held *held, struct avmm_refusal *why)
{
	struct platform_device *pdev = held->pdev;
	int err;

	if (avmm_is_overridden(pdev))
		return avmm_refuse(why, -EBUSY, "%s is reserved for another driver by driver_override",
				   dev_name(&pdev->dev));
	err = avmm_override(pdev, STUB_NAME);
	if (err)
		return avmm_refuse(why, err, "%s cannot be taken: error %d", dev_name(&pdev->dev), err);
	device_release_driver(&pdev->dev);
	taking = pdev;
	err = device_attach(&pdev->dev);
	taking = NULL;
	if (err == 1)
		return 0;
	give_back(pdev, held->was[0]);
	return avmm_refuse(why, -EBUSY, "%s cannot be taken: error %d", dev_name(&pdev->dev), err);
}

bool avmm_hold(struct avmm_held *held, const char *name, int *err, struct avmm_refusal *why)
{
	struct device *dev = bus_find_device_by_name(&platform_bus_type, NULL, name);

	if (!dev)
		return false;
	held->pdev = to_platform_device(dev);
	strscpy(held->was, dev->driver ? dev->driver->name : "", sizeof(held->was));
	*err = bind(held, why);
	if (*err) {
		held->pdev = NULL;
		put_device(dev);
	}
	return true;
}

void avmm_let_go(struct avmm_held *held)
{
	struct platform_device *pdev = held->pdev;

	if (!pdev)
		return;
	held->pdev = NULL;
	device_release_driver(&pdev->dev);
	give_back(pdev, held->was[0]);
	put_device(&pdev->dev);
}

/* Assigning and releasing, under `lock` */

static int take_keyboard(struct avmm_refusal *why)
{
	int err;

	if (!avmm_hold(&keyboard, "i8042", &err, why))
		return avmm_refuse(why, -ENODEV, "Linux knows no keyboard controller (i8042) of this machine");
	if (err)
		return err;
	err = take_lines(why);
	if (err)
		avmm_let_go(&keyboard);
	return err;
}

static void release(enum avmm_legacy which)
{
	assigned[which] = false;
	if (which == AVMM_LEGACY_I8042) {
		give_lines(ARRAY_SIZE(lines));
		avmm_let_go(&keyboard);
	} else {
		avmm_vga_give();
	}
	pr_avmm(KERN_INFO, "%s is Linux's again\n", names[which]);
}

int avmm_legacy_find(const char *name)
{
	return match_string(names, AVMM_LEGACIES, name);
}

int avmm_legacy_assign(enum avmm_legacy which, struct avmm_refusal *why)
{
	int err;

	mutex_lock(&lock);
	if (assigned[which])
		err = avmm_refuse(why, -EEXIST, "%s is assigned already", names[which]);
	else if (avmm_partition_exists())
		err = avmm_refuse(why, -EBUSY, "there is a user partition: devices are assigned before it is created");
	else
		err = which == AVMM_LEGACY_I8042 ? take_keyboard(why) : avmm_vga_take(why);
	if (!err) {
		assigned[which] = true;
		pr_avmm(KERN_INFO, "%s is assigned to the user partition\n", names[which]);
	}
	mutex_unlock(&lock);
	return err;
}

int avmm_legacy_release(enum avmm_legacy which, struct avmm_refusal *why)
{
	int err = 0;

	mutex_lock(&lock);
	if (!assigned[which])
		err = avmm_refuse(why, -ENOENT, "%s is not assigned", names[which]);
	else if (avmm_partition_exists())
		err = avmm_refuse(why, -EBUSY, "there is a user partition: devices are released after it is gone");
	else
		release(which);
	mutex_unlock(&lock);
	return err;
}

bool avmm_legacy_info(enum avmm_legacy which, struct avmm_device_info *info)
{
	mutex_lock(&lock);
	*info = (struct avmm_device_info){ .number = AVMM_MAX_DEVICES + which };
	if (assigned[which]) {
		strscpy(info->address, names[which], sizeof(info->address));
		strscpy(info->driver, which == AVMM_LEGACY_I8042 ? keyboard.was : avmm_vga_was(), sizeof(info->driver));
		info->irq = which == AVMM_LEGACY_I8042 ? lines[0].irq : 0;
		info->live = live;
		if (live)
			info->counts = avmm_shared_partition()->legacy[which];
	}
	mutex_unlock(&lock);
	return info->address[0];
}

/* For the partition */

static int attach(enum avmm_legacy which, struct avmm_refusal *why)
{
	u64 lfb = 0, size = 0;
	int err = which == AVMM_LEGACY_VGA ? avmm_vga_ready(&lfb, &size, why) : 0;

	if (err)
		return err;
	err = avmm_hypercall(AVMM_HC_PARTITION_LEGACY, which, lfb, size);
	if (err && size)
		return avmm_refuse(why, err, "the monitor does not take %s with its frame buffer, %llx bytes at %llx: error %d",
				   names[which], size, lfb, err);
	return err ? avmm_refuse(why, err, "the monitor does not take %s: error %d", names[which], err) : 0;
}

int avmm_legacy_attach(struct avmm_refusal *why)
{
	unsigned int i;
	int err = 0;

	mutex_lock(&lock);
	for (i = 0; !err && i < AVMM_LEGACIES; i++)
		if (assigned[i])
			err = attach(i, why);
	mutex_unlock(&lock);
	return err;
}

/*
 * The start empties the keyboard controller's buffer: an edge before it is of no use, and none that comes behind is missed,
 * which a line that is enabled later could.
 */
void avmm_legacy_go(void)
{
	unsigned int i;

	mutex_lock(&lock);
	live = true;
	for (i = 0; assigned[AVMM_LEGACY_I8042] && i < ARRAY_SIZE(lines); i++)
		enable_irq(lines[i].irq);
	mutex_unlock(&lock);
}

static void nothing(void *data)
{
	/* what was queued on that CPU before this has been called */
}

void avmm_legacy_halt(void)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; live && assigned[AVMM_LEGACY_I8042] && i < ARRAY_SIZE(lines); i++)
		disable_irq(lines[i].irq);
	if (live)
		smp_call_function_single(AVMM_SHARED_CPU, nothing, NULL, 1);
	live = false;
	mutex_unlock(&lock);
}

int avmm_legacy_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		INIT_CSD(&lines[i].relay, relay, &lines[i]);
	return platform_driver_register(&stub);
}

void avmm_legacy_exit(void)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < AVMM_LEGACIES; i++)
		if (assigned[i])
			release(i);
	mutex_unlock(&lock);
	platform_driver_unregister(&stub);
}
