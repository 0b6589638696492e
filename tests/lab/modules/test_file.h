/* SPDX-License-Identifier: GPL-2.0-only */
/* How the shell talks to a test module: a command is written to /proc/NAME, the result is read from it. */
#ifndef AVMM_TEST_FILE_H
#define AVMM_TEST_FILE_H

#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define TEST_COMMAND_MAX	8192

struct test_file {
	const char *name;
	int (*run)(char *command);		/* 0 or a negative errno, which the writer gets */
	int (*show)(struct seq_file *m, void *unused);
};

static int test_file_open(struct inode *inode, struct file *file)
{
	struct test_file *test = pde_data(inode);

	return single_open(file, test->show, NULL);
}

static ssize_t test_file_write(struct file *file, const char __user *user, size_t len, loff_t *pos)
{
	struct test_file *test = pde_data(file_inode(file));
	char *command;
	int err;

	if (len > TEST_COMMAND_MAX)
		return -E2BIG;
	command = memdup_user_nul(user, len);
	if (IS_ERR(command))
		return PTR_ERR(command);
	err = test->run(strim(command));
	kfree(command);
	return err ?: len;
}

static const struct proc_ops test_file_ops = {
	.proc_open	= test_file_open,
	.proc_read	= seq_read,
	.proc_lseek	= seq_lseek,
	.proc_release	= single_release,
	.proc_write	= test_file_write,
};

static inline int test_file_create(struct test_file *test)
{
	return proc_create_data(test->name, 0600, NULL, &test_file_ops, test) ? 0 : -ENOMEM;
}

static inline void test_file_remove(struct test_file *test)
{
	remove_proc_entry(test->name, NULL);
}

/* Parses KEY=NUMBER; -ENOENT where the word is about something else. */
static inline int test_number(const char *word, const char *key, unsigned long *value)
{
	size_t len = strlen(key);

	if (strncmp(word, key, len) || word[len] != '=')
		return -ENOENT;
	return kstrtoul(word + len + 1, 0, value);
}

/* Parses cpus=LIST, as in 0,2-3. */
static inline int test_cpus(const char *word, struct cpumask *cpus)
{
	if (strncmp(word, "cpus=", 5))
		return -ENOENT;
	return cpulist_parse(word + 5, cpus);
}

#endif
