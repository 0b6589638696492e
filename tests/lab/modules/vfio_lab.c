// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user partition with a device behind an IOMMU is to Linux, without a monitor: user RAM behind /dev/avmm, the device,
 * the relay of its interrupts and its bus mastering, by the product's own files of module/. What they would say to the
 * monitor is counted here, and what the monitor would say to them is said by who writes to /proc/avmm_vfio:
 *
 *	assign ADDRESS, release ADDRESS		while there is no partition
 *	ram MIB, give				there is one, with so much RAM; it is gone
 *	hold ADDRESS DEVICE RAISED DONE		by files of the writer
 *	attach, go, halt			its start in two steps, its end
 *	ack					the guest has finished an interrupt of the first device
 *	master 0, master 1			the guest wants it to master the bus, or not to
 *
 * What is read: raised= interrupts, gone= ends because a process had ended, last= pages that vfio had mapped at this
 * moment, pages= of RAM, pinned= of these, flags= of the device as the monitor gets it, master= as the monitor was told; and
 * why the last command was refused.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <avmm/hypercall.h>
#include "module/module.h"
#include "module/device.h"
#include "module/partition.h"
#include "module/vfio.h"
#include "test_file.h"

static struct avmm_partition_page partition;
static struct avmm_refusal refusal;
static unsigned long ram_size, last;
static atomic_t raised, gone, master;
static u32 flags;

/* Of the product, but for other files of it. */

int avmm_refuse(struct avmm_refusal *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vscnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return err;
}

struct page *avmm_window_take(u64 base, u64 size, struct avmm_refusal *why)
{
	return ERR_PTR(-ENODEV);
}

void avmm_window_give(void)
{
}

bool avmm_window_taken(void)
{
	return false;
}

int avmm_flash_take(u64 size)
{
	return 0;
}

ssize_t avmm_partition_read_flash(char __user *to, size_t size, loff_t *offset)
{
	return 0;
}

bool avmm_partition_exists(void)
{
	return ram_size;
}

const struct avmm_partition_page *avmm_shared_partition(void)
{
	return &partition;
}

static unsigned long pinned_pages(void)
{
	unsigned long n = 0;
	u64 at;

	for (at = 0; at < ram_size; at += PAGE_SIZE)
		n += folio_maybe_dma_pinned(virt_to_folio(avmm_ram_at(at)));
	return n;
}

int avmm_partition_destroy(struct avmm_refusal *why)
{
	last = pinned_pages();
	avmm_device_halt();
	avmm_device_rest();
	atomic_inc(&gone);
	return 0;
}

/* The monitor */

s64 vmx_hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx)
{
	if (number == AVMM_HC_DEVICE_INTERRUPT)
		atomic_inc(&raised);
	else if (number == AVMM_HC_DEVICE_MASTER)
		atomic_set(&master, rcx);
	else
		return -ENOSYS;
	return 0;
}

int avmm_hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx)
{
	const struct avmm_device *device = phys_to_virt(rbx);

	if (number != AVMM_HC_PARTITION_DEVICE)
		return -ENOSYS;
	flags = device->flags;
	return 0;
}

static int take_ram(unsigned int mib)
{
	const struct avmm_partition_request request = { .memory = (u64)mib << 20 };
	static const bool never;
	int err = ram_size ? -EEXIST : avmm_ram_take(&request, &never, &refusal);

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

static int attach(void)
{
	void *page = (void *)__get_free_page(GFP_KERNEL);
	int err = page ? avmm_device_attach(page, &refusal) : -ENOMEM;

	free_page((unsigned long)page);
	memset(&partition, 0, sizeof(partition));
	atomic_set(&raised, 0);
	atomic_set(&master, 0);
	return err;
}

static void message(void)
{
	local_irq_disable();
	avmm_device_look();
	local_irq_enable();
}

static int run_device(const char *command)
{
	char address[16];
	struct avmm_vfio_files files;

	if (sscanf(command, "assign %15s", address) == 1)
		return avmm_device_assign(address, AVMM_DMA_IOMMU, false, &refusal);
	if (sscanf(command, "release %15s", address) == 1)
		return avmm_device_release(address, &refusal);
	if (sscanf(command, "hold %15s %d %d %d", address, &files.device, &files.raised, &files.done) == 4)
		return avmm_device_hold(address, &files, &refusal);
	return -EINVAL;
}

static int run(char *command)
{
	int a;

	refusal.text[0] = '\0';
	if (sscanf(command, "ram %d", &a) == 1)
		return take_ram(a);
	if (!strcmp(command, "attach"))
		return attach();
	if (!strcmp(command, "give")) {
		give_ram();
	} else if (!strcmp(command, "go")) {
		avmm_device_go();
	} else if (!strcmp(command, "halt")) {
		avmm_device_halt();
		avmm_device_rest();
	} else if (!strcmp(command, "ack")) {
		partition.device[0].acked++;
		message();
	} else if (sscanf(command, "master %d", &a) == 1) {
		partition.device[0].wants = a ? AVMM_WANTS_MASTER : 0;
		message();
	} else {
		return run_device(command);
	}
	return 0;
}

static int show(struct seq_file *m, void *unused)
{
	seq_printf(m, "raised=%d gone=%d last=%lu pages=%lu pinned=%lu flags=%u master=%d\n%s\n", atomic_read(&raised),
		   atomic_read(&gone), last, ram_size >> PAGE_SHIFT, pinned_pages(), flags, atomic_read(&master), refusal.text);
	return 0;
}

static struct test_file file = { .name = "avmm_vfio", .run = run, .show = show };

static int __init vfio_lab_init(void)
{
	int err = avmm_device_init();

	if (err)
		return err;
	err = avmm_chardev_init();
	if (err)
		goto device;
	err = test_file_create(&file);
	if (!err)
		return 0;
	avmm_chardev_exit();
device:
	avmm_device_exit();
	return err;
}

static void __exit vfio_lab_exit(void)
{
	test_file_remove(&file);
	avmm_device_exit();
	give_ram();
	avmm_chardev_exit();
}

module_init(vfio_lab_init);
module_exit(vfio_lab_exit);
MODULE_DESCRIPTION("A partition's RAM and its device behind an IOMMU, for tests");
MODULE_LICENSE("GPL");
