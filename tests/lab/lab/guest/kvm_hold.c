// SPDX-License-Identifier: GPL-2.0-only
/* Creates a virtual machine and keeps it: KVM is in use. Says so, and how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
		printf("refused: %s\n", strerror(errno));
		return 1;
	}
	printf("running\n");
	fflush(stdout);
	pause();
	return 0;
}
