// SPDX-License-Identifier: GPL-2.0-only
/* Who may hold VMX operation: the hypervisor modules that people have, by their names in /sys/module. */
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include "module.h"

/* The first of them that is loaded; NULL: none. */
const char *avmm_vmx_owner(void)
{
	static const char *const names[] = { "kvm_intel", "vboxdrv", "vmmon", "jailhouse" };
	struct kset *modules = THIS_MODULE->mkobj.kobj.kset;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct kobject *k = kset_find_obj(modules, names[i]);

		if (k) {
			kobject_put(k);
			return names[i];
		}
	}
	return NULL;
}
