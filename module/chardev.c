// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/avmm: user RAM for the loader, and for whoever has to pin it. An offset is a guest-physical address. What is read
 * are the variables of its firmware, which outlive it here.
 *
 * One call takes the RAM out of every process that has mapped it, for all of them came by the same inode: while one
 * device node is open, another (in a container, say) cannot be. `node` and `users` are guarded by `lock`; an open file
 * holds its inode, a mapping holds its file.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include "module.h"
#include "partition.h"

static DEFINE_MUTEX(lock);
static struct inode *node;
static unsigned int users;

static const struct vm_operations_struct vm_ops = { .fault = avmm_ram_fault };

static void set_vm_flags(struct vm_area_struct *vma, unsigned long flags)
{
#ifdef AVMM_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (!avmm_ram_covers((u64)vma->vm_pgoff << PAGE_SHIFT, vma->vm_end - vma->vm_start))
		return -ENXIO;
	set_vm_flags(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &vm_ops;
	return 0;
}

static int device_open(struct inode *inode, struct file *file)
{
	int err = 0;

	mutex_lock(&lock);
	if (!users)
		node = inode;
	if (node == inode)
		users++;
	else
		err = -EBUSY;
	mutex_unlock(&lock);
	return err;
}

static int device_release(struct inode *inode, struct file *file)
{
	mutex_lock(&lock);
	if (!--users)
		node = NULL;
	mutex_unlock(&lock);
	return 0;
}

static ssize_t device_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	return avmm_partition_read_flash(to, size, offset);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.read = device_read,
	.open = device_open,
	.release = device_release,
	.mmap = device_mmap,
	.llseek = noop_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "avmm",
	.fops = &device_fops,
	.mode = 0600,
};

void avmm_chardev_zap(void)
{
	mutex_lock(&lock);
	if (node)
		unmap_mapping_range(node->i_mapping, 0, 0, 1);
	mutex_unlock(&lock);
}

int avmm_chardev_init(void)
{
	return misc_register(&device);
}

void avmm_chardev_exit(void)
{
	misc_deregister(&device);
	avmm_flash_take(0);
}
