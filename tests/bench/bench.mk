# SPDX-License-Identifier: GPL-2.0-only
#
#   make bench-launch [KERNEL=6.12] [MODEL=…]   what launch, leave and running above the monitor cost
#
# Tables go to tests/bench/results/.

.PHONY: bench-launch
bench-launch: lab-build
	@+$(AVMM_MAKE) -s -C tests/lab/programs
	@mkdir -p $(BUILD)/$(lab-version)/bench
	@cp -au tests/bench/modules/. $(BUILD)/$(lab-version)/bench
	@+$(AVMM_MAKE) -s -C /usr/src/linux-headers-$(lab-version) M=$(BUILD)/$(lab-version)/bench \
		AVMM_INCLUDE=$(ROOT)/include modules >/dev/null
	@$(LAB_PYTHON) tests/bench/launch.py --kernel $(lab-kernel) $(if $(MODEL),--model $(MODEL))
