// SPDX-License-Identifier: GPL-2.0-only
/*
 * A direct-access device that stock vfio-pci holds for a process, with an IOMMU between it and memory. vfio masks the line,
 * signals one eventfd at an interrupt, and unmasks when another one is signalled. Here the first is waited for and the
 * second signalled. No hypercall and no partition in this file: who has to hear of an interrupt is told by a call.
 *
 * The process ends with its eventfd: the last reference to that file is its own, for here only the context is held. So a
 * process that was killed is noticed, whatever killed it. vfio's file of the device is held here, too: so vfio does not
 * reset the device, nor unmap memory, before the partition has let it go.
 *
 * The wake-up function runs under the lock of the eventfd's queue, in interrupt context. What it calls may take
 * device.c's irq_lock; so the other eventfd is never signalled under that.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "partition.h"
#include "vfio.h"

struct avmm_vfio {
	struct file *file;
	struct eventfd_ctx *raised;
	struct eventfd_ctx *done;
	wait_queue_entry_t wait;
	poll_table table;
	const struct avmm_vfio_calls *calls;
	void *data;
	bool gone;
	struct work_struct drop;
};

/* Under the lock of the eventfd's queue. The count is of no interest: what was raised twice and not heard is one. */
static int on_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct avmm_vfio *v = container_of(wait, struct avmm_vfio, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(v->raised, &count);
		v->calls->raised(v->data);
	}
	if (events & EPOLLHUP) {
		WRITE_ONCE(v->gone, true);
		v->calls->gone(v->data);
	}
	return 0;
}

static void on_poll(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	add_wait_queue(queue, &container_of(table, struct avmm_vfio, table)->wait);
}

static int take_files(struct avmm_vfio *v, const struct avmm_vfio_files *files, struct file *raised)
{
	int err;

	v->raised = eventfd_ctx_fileget(raised);
	if (IS_ERR(v->raised))
		return PTR_ERR(v->raised);
	v->done = eventfd_ctx_fdget(files->done);
	if (IS_ERR(v->done)) {
		err = PTR_ERR(v->done);
		goto no_done;
	}
	v->file = fget(files->device);
	if (v->file)
		return 0;
	err = -EBADF;
	eventfd_ctx_put(v->done);
no_done:
	eventfd_ctx_put(v->raised);
	return err;
}

static void drop(struct work_struct *work)
{
	struct avmm_vfio *v = container_of(work, struct avmm_vfio, drop);
	u64 count;

	eventfd_ctx_remove_wait_queue(v->raised, &v->wait, &count);
	eventfd_ctx_put(v->raised);
	eventfd_ctx_put(v->done);
	__fput_sync(v->file);
}

struct avmm_vfio *avmm_vfio_hold(const struct avmm_vfio_files *files, const struct avmm_vfio_calls *calls, void *data)
{
	struct avmm_vfio *v = kzalloc(sizeof(*v), GFP_KERNEL);
	struct file *file = fget(files->raised);
	int err = -EBADF;

	if (!v)
		err = -ENOMEM;
	else if (file)
		err = take_files(v, files, file);
	if (err) {
		kfree(v);
		v = ERR_PTR(err);
		goto out;
	}
	INIT_WORK(&v->drop, drop);
	v->calls = calls;
	v->data = data;
	init_waitqueue_func_entry(&v->wait, on_wake);
	init_poll_funcptr(&v->table, on_poll);
	if (vfs_poll(file, &v->table) & EPOLLIN)
		calls->raised(data);
out:
	if (file)
		fput(file);
	return v;
}

/* By a kernel thread: a process would close a last reference only on its way to userspace, and first wait for that. */
void avmm_vfio_drop(struct avmm_vfio *v)
{
	schedule_work(&v->drop);
	flush_work(&v->drop);
	kfree(v);
}

void avmm_vfio_done(struct avmm_vfio *v)
{
#ifdef AVMM_HAVE_EVENTFD_SIGNAL_COUNT
	eventfd_signal(v->done, 1);
#else
	eventfd_signal(v->done);
#endif
}

bool avmm_vfio_gone(const struct avmm_vfio *v)
{
	return READ_ONCE(v->gone);
}
