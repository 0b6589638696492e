# SPDX-License-Identifier: GPL-2.0-only
# make                  build/KVER/avmm.ko and build/avmmctl; KDIR=… chooses the kernel headers
# make DEBUG=1          build/KVER-debug/avmm.ko, with fault injection
# make deb              Debian packages in build/deb
# make netboot          the service image of diskless clients, in build/netboot/KVER
# make check [T=NAME]   all tests, or one part; sets up what it needs
# make soak, make lab   the long tests; a shell on the emulated workstation

ROOT := $(CURDIR)
BUILD := $(ROOT)/build

KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
		    $(shell ls -d /usr/src/linux-headers-*-amd64 2>/dev/null | sort -V | tail -n 1))
KVER = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)
OUT = $(BUILD)/$(KVER)$(if $(DEBUG),-debug)
KBUILD_DIRS := include module monitor vmx ept-shadow vdev disguise scripts
AVMM_MAKE = $(MAKE) --no-print-directory

.PHONY: all module avmmctl test-modules deb netboot clean
all: module avmmctl

# Kbuild writes beside its sources: each kernel gets its own copy of them.
module:
	@test -n "$(KDIR)" || { echo "no kernel headers found: install linux-headers-amd64 or set KDIR=" >&2; exit 1; }
	@mkdir -p $(OUT)/source
	@cp -au --parents Kbuild $(KBUILD_DIRS) $(OUT)/source
	+$(AVMM_MAKE) -C $(KDIR) M=$(OUT)/source $(if $(DEBUG),AVMM_DEBUG=y) modules
	@cp $(OUT)/source/avmm.ko $(OUT)/avmm.ko

test-modules:
	@mkdir -p $(OUT)/tests
	@cp -au tests/lab/modules/. $(OUT)/tests
	@cp -au module $(OUT)/tests
	+$(AVMM_MAKE) -C $(KDIR) M=$(OUT)/tests AVMM_INCLUDE=$(ROOT)/include modules

avmmctl:
	+$(AVMM_MAKE) -C userspace-ctl BUILD=$(BUILD)

deb:
	@bash scripts/deb.sh

# KERNEL_ROOT: where boot/vmlinuz-KVER and lib/modules/KVER are, of an unpacked kernel package or of this machine
netboot: module avmmctl
	@scripts/netboot/build.py $(if $(KERNEL_ROOT),--kernel $(KERNEL_ROOT)) --kernel-version $(KVER) --module $(OUT)/avmm.ko \
		$(BUILD)/netboot/$(KVER)

clean:
	rm -rf $(BUILD)/*-amd64 $(BUILD)/*-debug $(BUILD)/avmmctl $(BUILD)/unit $(BUILD)/fuzz \
		$(BUILD)/deb $(BUILD)/netboot

-include scripts/test.mk
-include tests/bench/bench.mk
