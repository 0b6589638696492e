#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# run.sh NAME [DISK]: measures this machine, or this virtual machine, into NAME.txt. As root, on an idle machine. NAME says
# where: native, service, user, kvm. DISK is overwritten.
set -eu

name=${1:?"usage: run.sh NAME [DISK-THAT-IS-OVERWRITTEN]"}
disk=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
out=$here/$name.txt

{
	echo "place: $name"
	echo "commit: $(cat "$here/COMMIT")"
	uname -srm
	grep -m 1 '^model name' /proc/cpuinfo || true
	grep -m 1 '^microcode' /proc/cpuinfo || true
	echo "mitigations: $(cat /sys/devices/system/cpu/vulnerabilities/spectre_v2 2>/dev/null || true)"
	cat /proc/cmdline
	# ticks are cycles only while the clock does not change
	for f in scaling_governor scaling_driver scaling_min_freq scaling_max_freq; do
		echo "$f: $(cat /sys/devices/system/cpu/cpu0/cpufreq/$f 2>/dev/null || true)"
	done
	echo "turbo off: $(cat /sys/devices/system/cpu/intel_pstate/no_turbo 2>/dev/null || true)"
	set -- -c -m 64
	[ -z "$disk" ] || set -- "$@" -d "$disk"
	for run in 1 2 3; do
		echo "run $run"
		taskset -c 0 "$here/bench" "$@"
	done
	if [ -f "$here/module/avmm_bench.ko" ]; then
		taskset -c 0 insmod "$here/module/avmm_bench.ko" 2>/dev/null || true
		dmesg | grep avmm_bench: | tail -n 20
	fi
} >"$out" 2>&1
echo "$out"
