# SPDX-License-Identifier: GPL-2.0-only
#
#   make bench-launch [KERNEL=6.12] [MODEL=…]   what launch, leave and running above the monitor cost
#   make bench-user [KERNEL=6.12]               native, service and user partition, and the user's exits one by one
#   make bench                                  both
#
# Tables go to tests/bench/results/.

.PHONY: bench bench-build bench-launch bench-user
bench: bench-launch
	@+$(AVMM_MAKE) bench-user

bench-build: lab-build
	@+$(AVMM_MAKE) -s -C tests/lab/programs
	@+$(AVMM_MAKE) -s -C tests/bench/guest
	@mkdir -p $(BUILD)/$(lab-version)/bench
	@cp -au tests/bench/modules/. $(BUILD)/$(lab-version)/bench
	@+$(AVMM_MAKE) -s -C /usr/src/linux-headers-$(lab-version) M=$(BUILD)/$(lab-version)/bench \
		AVMM_INCLUDE=$(ROOT)/include modules >/dev/null

bench-launch: bench-build
	@$(LAB_PYTHON) tests/bench/launch.py --kernel $(lab-kernel) $(if $(MODEL),--model $(MODEL))

bench-user: bench-build
	@$(LAB_PYTHON) tests/bench/user.py --kernel $(lab-kernel)
