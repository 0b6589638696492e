// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debug builds: /sys/kernel/debug/avmm/
 *   blocks	physical ranges of monitor memory, one 0xADDRESS+0xSIZE per line
 *   fault	a write of N (enum avmm_debug_fault) provokes that fault in root operation, on the writer's CPU
 */
#include <linux/debugfs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <avmm/hypercall.h>
#include "module.h"

static struct dentry *directory;

static int blocks_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < avmm_memory.nblocks; i++)
		seq_printf(m, "%#llx+%#lx\n", (u64)page_to_phys(avmm_memory.block[i]), AVMM_BLOCK_SIZE);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(blocks);

static int fault_set(void *data, u64 value)
{
	return avmm_memory.nblocks ? vmx_hypercall(AVMM_HC_DEBUG_FAULT, value, 0, 0) : -ENODEV;
}
DEFINE_DEBUGFS_ATTRIBUTE(fault_fops, NULL, fault_set, "%llu\n");

void avmm_debug_init(void)
{
	directory = debugfs_create_dir("avmm", NULL);
	debugfs_create_file("blocks", 0400, directory, NULL, &blocks_fops);
	debugfs_create_file_unsafe("fault", 0200, directory, NULL, &fault_fops);
}

void avmm_debug_exit(void)
{
	debugfs_remove(directory);
}
