// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user partition with a device behind an IOMMU is to Linux, without a monitor: user RAM behind /dev/avmm and the
 * relay of interrupts, by the product's own ram.c, chardev.c and vfio.c. Where avmm.ko would tell the monitor, this counts.
 *
 *	echo ram 32 >/proc/avmm_vfio		takes 32 MiB
 *	echo hold 5 6 >/proc/avmm_vfio		relays eventfd 5 of the writer; 6 is signalled when the guest has finished
 *	echo done >/proc/avmm_vfio		it has finished
 *	echo drop, echo give			undo the former
 *	cat /proc/avmm_vfio			raised=N gone=N pages=N pinned=N
 */
#include <linux/mm.h>
#include <linux/module.h>
#include "module/module.h"
#include "module/partition.h"
#include "module/vfio.h"
#include "test_file.h"

static struct avmm_vfio *held;
static unsigned long ram_size;
static atomic_t raised, gone;

/* Of the product, but for other files of it. */

int avmm_refuse(struct avmm_refusal *why, int err, const char *format, ...)
{
	return err;
}

struct page *avmm_window_take(u64 base, u64 size, struct avmm_refusal *why)
{
	return ERR_PTR(-ENODEV);
}

void avmm_window_give(void)
{
}

int avmm_flash_take(u64 size)
{
	return 0;
}

ssize_t avmm_partition_read_flash(char __user *to, size_t size, loff_t *offset)
{
	return 0;
}

/* Instead of hypercalls */

static void on_raised(void *data)
{
	atomic_inc(&raised);
}

static void on_gone(void *data)
{
	atomic_inc(&gone);
}

static const struct avmm_vfio_calls calls = { .raised = on_raised, .gone = on_gone };

static int take_ram(unsigned int mib)
{
	const struct avmm_partition_request request = { .memory = (u64)mib << 20 };
	static const bool never;
	struct avmm_refusal why;
	int err = ram_size ? -EEXIST : avmm_ram_take(&request, &never, &why);

	if (!err)
		ram_size = request.memory;
	return err;
}

static void give_ram(void)
{
	if (ram_size)
		avmm_ram_give();
	ram_size = 0;
}

static int hold(int raised_fd, int done_fd)
{
	struct avmm_vfio *new;

	if (held)
		return -EBUSY;
	atomic_set(&raised, 0);
	atomic_set(&gone, 0);
	new = avmm_vfio_hold(raised_fd, done_fd, &calls, NULL);
	if (IS_ERR(new))
		return PTR_ERR(new);
	held = new;
	return 0;
}

static void drop(void)
{
	if (held)
		avmm_vfio_drop(held);
	held = NULL;
}

static int run(char *command)
{
	int a, b;

	if (sscanf(command, "ram %d", &a) == 1)
		return take_ram(a);
	if (sscanf(command, "hold %d %d", &a, &b) == 2)
		return hold(a, b);
	if (!strcmp(command, "drop"))
		drop();
	else if (!strcmp(command, "give"))
		give_ram();
	else if (!strcmp(command, "done") && held)
		avmm_vfio_done(held);
	else
		return -EINVAL;
	return 0;
}

static unsigned long pinned_pages(void)
{
	unsigned long n = 0;
	u64 at;

	for (at = 0; at < ram_size; at += PAGE_SIZE)
		n += folio_maybe_dma_pinned(virt_to_folio(avmm_ram_at(at)));
	return n;
}

static int show(struct seq_file *m, void *unused)
{
	seq_printf(m, "raised=%d gone=%d pages=%lu pinned=%lu\n", atomic_read(&raised), atomic_read(&gone),
		   ram_size >> PAGE_SHIFT, pinned_pages());
	return 0;
}

static struct test_file file = { .name = "avmm_vfio", .run = run, .show = show };

static int __init vfio_lab_init(void)
{
	int err = avmm_chardev_init();

	if (err)
		return err;
	err = test_file_create(&file);
	if (err)
		avmm_chardev_exit();
	return err;
}

static void __exit vfio_lab_exit(void)
{
	test_file_remove(&file);
	drop();
	give_ram();
	avmm_chardev_exit();
}

module_init(vfio_lab_init);
module_exit(vfio_lab_exit);
MODULE_DESCRIPTION("User RAM and interrupts of a device behind an IOMMU, for tests");
MODULE_LICENSE("GPL");
