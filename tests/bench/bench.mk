# SPDX-License-Identifier: GPL-2.0-only
#
#   make bench [KERNEL=6.12] [MODEL=…] [JSON=1]   native, service, user partition and a guest of KVM side by side: the
#                                table, and what moved by more than 2 % since the saved figures
#   make bench SAVE=1            the same; saves the figures, the table in docs/performance.md and the charts
#   make bench-launch            what launch, leave and running above the monitor cost
#   make bench-net [SAVE=1]      what a packet costs by a direct-access network card, and natively
#   make bench-pack              the program for a PC with VT-x, with instructions: build/avmm-bench.tar.gz
#
# Saved figures are in tests/bench/results/.

BENCH_PYTHON := PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/lab /usr/bin/python3

.PHONY: bench bench-build bench-launch bench-net bench-pack
bench-build: lab-build
	@bash scripts/setup.sh bench
	@+$(AVMM_MAKE) -s -C tests/lab/programs
	@+$(AVMM_MAKE) -s -C tests/bench/program
	@+$(AVMM_MAKE) -s -C tests/bench/guest
	@mkdir -p $(BUILD)/$(lab-version)/bench
	@cp -au tests/bench/modules/. $(BUILD)/$(lab-version)/bench
	@+$(AVMM_MAKE) -s -C /usr/src/linux-headers-$(lab-version) M=$(BUILD)/$(lab-version)/bench \
		AVMM_INCLUDE=$(ROOT)/include modules >/dev/null

bench: bench-build
	@$(BENCH_PYTHON) tests/bench/bench.py --kernel $(lab-kernel) $(if $(MODEL),--model $(MODEL)) $(if $(JSON),--json) \
		$(if $(SAVE),--save)

bench-launch: bench-build
	@$(BENCH_PYTHON) tests/bench/launch.py --kernel $(lab-kernel) $(if $(MODEL),--model $(MODEL))

bench-net: bench-build
	@$(BENCH_PYTHON) tests/bench/net.py --kernel $(lab-kernel) $(if $(SAVE),--save)

bench-pack:
	@bash tests/bench/pack.sh $(BUILD)/avmm-bench.tar.gz
