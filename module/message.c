// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the monitor: one Linux interrupt per CPU, with a vector from the kernel's own vector domain, so that no
 * vector is stolen. The monitor raises it by an IPI to its own CPU. The handler only wakes a work item, which passes
 * new lines of the monitor's log to the kernel log and to netlink, and lets the user partition's parts look at theirs.
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

static irqreturn_t on_message(int irq, void *data)
{
	avmm_disk_message();
	avmm_device_look();
	schedule_work(&look_work);
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

static int take_irq(unsigned int cpu)
{
	struct irq_alloc_info info = { .mask = cpumask_of(cpu) };
	int irq, err;

	irq = __irq_domain_alloc_irqs(domain, -1, 1, cpu_to_node(cpu), &info, false, NULL);
	if (irq < 0)
		return irq;
	err = request_irq(irq, on_message, IRQF_NOBALANCING, "avmm", &irqs[cpu]);
	if (err) {
		irq_dispose_mapping(irq);
		return err;
	}
	irqs[cpu] = irq;
	return 0;
}

static void give_irq(unsigned int cpu)
{
	free_irq(irqs[cpu], &irqs[cpu]);
	irq_dispose_mapping(irqs[cpu]);
	irqs[cpu] = 0;
}

int avmm_message_cpu_up(unsigned int cpu)
{
	struct irq_cfg *cfg;
	int err;

	err = take_irq(cpu);
	if (err)
		return err;
	err = irq_force_affinity(irqs[cpu], cpumask_of(cpu));
	cfg = irqd_cfg(irq_get_irq_data(irqs[cpu]));
	if (!err && !cfg)
		err = -ENODEV;
	if (!err)
		err = vmx_hypercall(AVMM_HC_MESSAGE_VECTOR, cfg->vector, 0, 0);
	if (err)
		give_irq(cpu);
	return err;
}

void avmm_message_cpu_down(unsigned int cpu)
{
	if (!irqs[cpu])
		return;
	vmx_hypercall(AVMM_HC_MESSAGE_VECTOR, 0, 0, 0);
	give_irq(cpu);
}
