// SPDX-License-Identifier: GPL-2.0-only
/* A driver that shares an interrupt line, and never has anything to say: insmod avmm_line.ko irq=12 */
#include <linux/interrupt.h>
#include <linux/module.h>

static unsigned int irq;
module_param(irq, uint, 0);

static irqreturn_t not_mine(int number, void *data)
{
	return IRQ_NONE;
}

static int __init line_init(void)
{
	return request_irq(irq, not_mine, IRQF_SHARED, KBUILD_MODNAME, &irq);
}

static void __exit line_exit(void)
{
	free_irq(irq, &irq);
}

module_init(line_init);
module_exit(line_exit);
MODULE_DESCRIPTION("Holds an interrupt line");
MODULE_LICENSE("GPL");
