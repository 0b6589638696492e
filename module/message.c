// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the monitor: one Linux interrupt per CPU, with a vector from the kernel's own vector domain, so that no
 * vector is stolen. The monitor raises it by an IPI to its own CPU. The handler wakes the disk's worker if there are
 * commands for it, and a work item if there is anything else: that passes new lines of the monitor's log to the kernel log
 * and to netlink, and lets the user partition's parts look at theirs.
 *
 * The shared CPU has one more, by which dedicated CPUs call it: its handler enters the monitor, and that is all.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/hw_irq.h>
#include <asm/irqdomain.h>
#include <avmm/hypercall.h>
#include "device.h"
#include "module.h"
#include "partition.h"

#define LINE_SIZE 200

static struct irq_domain *domain;
static struct fwnode_handle *fwnode;
static unsigned int irqs[AVMM_MAX_CPUS];
static unsigned int kick_irq;		/* of the shared CPU */
static u64 log_seen;

static void pass_log(void)
{
	const struct avmm_log *log = avmm_shared_log();
	u64 head = smp_load_acquire(&log->head);
	char line[LINE_SIZE];
	unsigned int n = 0;

	if (head < log_seen || head - log_seen > AVMM_LOG_TEXT_SIZE)
		log_seen = head > AVMM_LOG_TEXT_SIZE ? head - AVMM_LOG_TEXT_SIZE : 0;
	for (; log_seen < head; log_seen++) {
		char c = log->text[log_seen % AVMM_LOG_TEXT_SIZE];

		if (c != '\n') {
			if (n < sizeof(line) - 1)
				line[n++] = c;
			continue;
		}
		line[n] = 0;
		n = 0;
		pr_avmm(KERN_NOTICE, "monitor: %s\n", line);
		avmm_netlink_event(AVMM_EVENT_LOG, line);
	}
}

static void look_everywhere(struct work_struct *work)
{
	pass_log();
	avmm_console_poll();
	avmm_partition_poll();
}

static DECLARE_WORK(look_work, look_everywhere);

/* A word that is not what it was at the last message. Of two CPUs at a time one is late, and the next message looks again. */
#define moved(kept, word)	({ u64 now_ = READ_ONCE(word); bool moved_ = READ_ONCE(kept) != now_; \
				   WRITE_ONCE(kept, now_); moved_; })

/* All that look_everywhere() looks at. The commonest message is of the disk, which has nothing of it. */
static bool something_new(void)
{
	static u64 state, resets, output, input;
	const struct avmm_partition_page *page = avmm_shared_partition();
	const struct avmm_console *console = avmm_shared_console();

	/* each of them, as all are to be kept */
	return (READ_ONCE(avmm_shared_log()->head) != READ_ONCE(log_seen)) | moved(state, page->state) |
	       moved(resets, page->resets_wanted) | moved(output, console->out_head) | moved(input, console->in_tail);
}

static irqreturn_t on_message(int irq, void *data)
{
	avmm_disk_message();
	avmm_device_look();
	if (something_new())
		schedule_work(&look_work);
	return IRQ_HANDLED;
}

/* vCPUs on dedicated CPUs have something for the one here: only the monitor can look. */
static irqreturn_t on_kick(int irq, void *data)
{
	vmx_hypercall(AVMM_HC_PARTITION_LOOK, 0, 0, 0);
	return IRQ_HANDLED;
}

static void nothing(struct irq_data *data)
{
	/* nobody but the monitor raises it: there is no line to mask */
}

static struct irq_chip chip = {
	.name = "AVMM",
	.irq_ack = irq_chip_ack_parent,
	.irq_mask = nothing,
	.irq_unmask = nothing,
	.irq_set_affinity = irq_chip_set_affinity_parent,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static int domain_alloc(struct irq_domain *d, unsigned int virq, unsigned int nr, void *arg)
{
	unsigned int i;
	int err = irq_domain_alloc_irqs_parent(d, virq, nr, arg);

	if (err)
		return err;
	for (i = 0; i < nr; i++) {
		irq_domain_set_info(d, virq + i, virq + i, &chip, NULL, handle_edge_irq, NULL, "edge");
		irq_set_status_flags(virq + i, IRQ_MOVE_PCNTXT | IRQ_NO_BALANCING);
	}
	return 0;
}

static const struct irq_domain_ops domain_ops = {
	.alloc = domain_alloc,
	.free = irq_domain_free_irqs_common,
};

int avmm_message_init(void)
{
	fwnode = irq_domain_alloc_named_fwnode("avmm");
	if (!fwnode)
		return -ENOMEM;
	domain = irq_domain_create_hierarchy(x86_vector_domain, 0, 0, fwnode, &domain_ops, NULL);
	if (!domain) {
		irq_domain_free_fwnode(fwnode);
		return -ENOMEM;
	}
	log_seen = 0;
	return 0;
}

/* All CPUs have left, so nobody asks for a look any more; what the monitor said last is passed on here. */
void avmm_message_exit(void)
{
	cancel_work_sync(&look_work);
	if (avmm_shared_log())
		pass_log();
	irq_domain_remove(domain);
	irq_domain_free_fwnode(fwnode);
}

static void give_irq(unsigned int *irq)
{
	free_irq(*irq, irq);
	irq_dispose_mapping(*irq);
	*irq = 0;
}

static int take_irq(unsigned int *kept, unsigned int cpu, irq_handler_t handler, const char *name)
{
	struct irq_alloc_info info = { .mask = cpumask_of(cpu) };
	int irq, err;

	irq = __irq_domain_alloc_irqs(domain, -1, 1, cpu_to_node(cpu), &info, false, NULL);
	if (irq < 0)
		return irq;
	err = request_irq(irq, handler, IRQF_NOBALANCING, name, kept);
	if (err) {
		irq_dispose_mapping(irq);
		return err;
	}
	*kept = irq;
	return 0;
}

/* Takes an interrupt and tells the monitor its vector on this CPU, by that hypercall. */
static int connect(unsigned int *kept, unsigned int cpu, irq_handler_t handler, const char *name, u64 hypercall)
{
	struct irq_cfg *cfg;
	int err;

	err = take_irq(kept, cpu, handler, name);
	if (err)
		return err;
	err = irq_force_affinity(*kept, cpumask_of(cpu));
	cfg = irqd_cfg(irq_get_irq_data(*kept));
	if (!err && !cfg)
		err = -ENODEV;
	if (!err)
		err = vmx_hypercall(hypercall, cfg->vector, 0, 0);
	if (err)
		give_irq(kept);
	return err;
}

static void disconnect(unsigned int *kept, u64 hypercall)
{
	if (!*kept)
		return;
	vmx_hypercall(hypercall, 0, 0, 0);
	give_irq(kept);
}

int avmm_message_cpu_up(unsigned int cpu)
{
	int err = connect(&irqs[cpu], cpu, on_message, "avmm", AVMM_HC_MESSAGE_VECTOR);

	if (err || cpu != AVMM_SHARED_CPU)
		return err;
	err = connect(&kick_irq, cpu, on_kick, "avmm-kick", AVMM_HC_KICK_VECTOR);
	if (err)
		disconnect(&irqs[cpu], AVMM_HC_MESSAGE_VECTOR);
	return err;
}

void avmm_message_cpu_down(unsigned int cpu)
{
	if (cpu == AVMM_SHARED_CPU)
		disconnect(&kick_irq, AVMM_HC_KICK_VECTOR);
	disconnect(&irqs[cpu], AVMM_HC_MESSAGE_VECTOR);
}
