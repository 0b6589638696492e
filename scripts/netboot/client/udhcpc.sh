#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# What udhcpc calls: an address came, or was lost. Connections survive a renewal, so addresses are only ever replaced.
RUN=${AVMM_RUN:-/run/avmm}

# shellcheck disable=SC2154 # udhcpc's variables
case $1 in
bound | renew)
	[ "$1" = renew ] && [ "$(cat "$RUN/address" 2>/dev/null)" = "$ip/$mask" ] && exit 0
	ip addr flush dev "$interface"
	ip addr add "$ip/$mask" dev "$interface"
	for gateway in $router; do
		ip route add default via "$gateway" dev "$interface" && break
	done
	: >"${AVMM_RESOLV:-/etc/resolv.conf}"
	for server in $dns; do echo "nameserver $server" >>"${AVMM_RESOLV:-/etc/resolv.conf}"; done
	echo "$ip/$mask" >"$RUN/address"
	;;
esac
exit 0
