# SPDX-License-Identifier: GPL-2.0-only
#
#   make check [T=PART]     setup unit static launch user disk cpus devices netboot; all that exist without T
#   make soak [PART=NAME]   the long parts, the least recently run first
#   make lab [KERNEL=6.12] [CPUS=2] [MODEL=…] [MEM=MiB] [CMDLINE=…] [DEBUG=1] [RUN=COMMAND]
#   make setup              packages, kernels, the emulator
#   make demo               Debian in the user partition from a disk on a server, start to end

LAB_PYTHON := PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/lab /usr/bin/python3
lab-kernel = $(if $(KERNEL),$(KERNEL),6.1)
lab-version = $(shell cat $(ROOT)/build/cache/kernels/$(lab-kernel)/version 2>/dev/null)

.PHONY: setup check soak lab lab-build demo
setup:
	@bash scripts/setup.sh

# The runner is Python, and on a fresh machine it is not there yet.
check soak: setup
	@/usr/bin/python3 scripts/check.py $(if $(filter soak,$@),--soak $(PART),$(T))

demo: setup
	@PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 /usr/bin/python3 scripts/demo/demo.py

lab-build: setup
	@+$(AVMM_MAKE) -s module avmmctl KDIR=/usr/src/linux-headers-$(lab-version) >/dev/null
	@+$(if $(DEBUG),,$(AVMM_MAKE) -s module DEBUG=1 KDIR=/usr/src/linux-headers-$(lab-version) >/dev/null)

lab: lab-build
	@$(LAB_PYTHON) -m lab --kernel $(lab-kernel) $(if $(CPUS),--cpus $(CPUS)) $(if $(MEM),--mem $(MEM)) \
		$(if $(MODEL),--model $(MODEL)) $(if $(CMDLINE),--cmdline '$(CMDLINE)') \
		$(if $(DEBUG),--debug) $(if $(RUN),'$(RUN)')
