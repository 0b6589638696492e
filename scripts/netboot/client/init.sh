#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# First process of the service partition of a diskless client: file systems, drivers of what is there, then client.sh,
# which does everything else and never ends.
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin /proc /sys /dev /tmp /run /root
# -s leaves alone what is there: kmod's names
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=755,size=90% run /run
mkdir -p /run/avmm
ulimit -c 0
echo 3 >/proc/sys/net/ipv4/tcp_syn_retries		# 15 s for a server that is not there
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

# busybox's shell prefers its own, whose insmod tries twice.
for name in insmod rmmod modprobe; do
	eval "$name() { /usr/sbin/$name \"\$@\"; }"
done

# Twice: what hangs on a bus is known once the driver of the bus is there.
for _ in 1 2; do
	find /sys/devices -name modalias -exec cat {} + | sort -u | while read -r alias; do
		modprobe -q -b "$alias"
	done
done
while read -r module; do modprobe -q "$module"; done </etc/modules

# shellcheck disable=SC1091
. /usr/lib/avmm/client.sh
main
