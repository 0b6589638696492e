# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash disable=SC2034 # problem is read by client.sh
#
# What a client does until its user partition runs, a function each. Sourced by client.sh, and by the tests, which put
# programs of their own on the path.
#
# A step that has to wait for somebody says for whom, once per change, and goes on as soon as it can. A step that
# cannot be done returns 1, and $problem says why.

RUN=${AVMM_RUN:-/run/avmm}
LIBRARY=${AVMM_LIBRARY:-/usr/lib/avmm}
CMDLINE=${AVMM_CMDLINE:-/proc/cmdline}
CONSOLES=${AVMM_CONSOLES:-/sys/class/tty/console/active}
SYS=${AVMM_SYS:-/sys}
MEMINFO=${AVMM_MEMINFO:-/proc/meminfo}
DEV=${AVMM_DEV:-/dev}
PAUSE=${AVMM_PAUSE:-3}		# seconds between two attempts
problem=

# On every console that the kernel has, that is on the screen and on the serial line, and in the log.
say()
{
	local tty

	# shellcheck disable=SC2013 # words
	for tty in $(cat "$CONSOLES" 2>/dev/null); do
		printf 'avmm: %s\r\n' "$*" >"$DEV/$tty" 2>/dev/null || :
	done
	echo "$(cut -d ' ' -f 1 /proc/uptime) $*" >>"$RUN/log"
}

# waiting TEXT: say it unless it was the last that was waited for
waiting()
{
	[ "$1" = "$waited" ] || say "$1"
	waited=$1
}
waited=

# option NAME: the value of avmm.NAME on the kernel command line
option()
{
	tr ' ' '\n' <"$CMDLINE" | sed -n "s/^avmm\\.$1=//p" | tail -n 1
}

# setting KEY DEFAULT: of [netboot]
setting()
{
	local value

	value=$(sed -n "s/^$1=//p" "$RUN/netboot" | tail -n 1)
	echo "${value:-$2}"
}

# -- the network

# The card that iPXE booted from, else every one that has a link.
interfaces()
{
	local mac found=

	mac=$(tr ' ' '\n' <"$CMDLINE" | sed -n 's/^BOOTIF=\(01-\)\?//p' | tr 'A-F-' 'a-f:')
	for card in "$SYS"/class/net/*; do
		[ -e "$card/device" ] || [ -n "$AVMM_ANY_CARD" ] || continue
		[ "${card##*/}" != lo ] || continue
		if [ -z "$mac" ] || [ "$(cat "$card/address")" = "$mac" ]; then
			found="$found ${card##*/}"
		fi
	done
	if [ -z "$found" ] && [ -n "$mac" ]; then
		problem="no driver in this image for the network card $mac that iPXE booted from"
	elif [ -z "$found" ]; then
		problem="no network card that this image has a driver for"
	fi
	echo "$found"
	[ -n "$found" ]
}

network_step()
{
	local cards card

	interfaces >"$RUN/cards" || return 1
	cards=$(cat "$RUN/cards")
	for card in $cards; do ip link set "$card" up; done
	while :; do
		for card in $cards; do
			[ "$(cat "$SYS/class/net/$card/carrier" 2>/dev/null)" != 0 ] || {
				waiting "network: $card ($(cat "$SYS/class/net/$card/address")) has no link: is the cable in?"
				continue
			}
			# It stays, and renews the lease.
			if udhcpc -i "$card" -n -t 4 -T 2 -A 1 -s "$LIBRARY/udhcpc.sh" >>"$RUN/log" 2>&1; then
				say "network: $card has $(cat "$RUN/address" 2>/dev/null)"
				return 0
			fi
			waiting "network: no answer to DHCP on $card ($(cat "$SYS/class/net/$card/address")); asking on"
		done
		sleep "$PAUSE"
	done
}

# -- its configuration

# fetch URL FILE: what is waited for is said
fetch_step()
{
	local why

	# Not -T: busybox-static 1.35 crashes of it.
	while ! why=$(timeout 600 wget -q -O "$2.new" "$1" 2>&1); do
		waiting "cannot fetch $1: ${why#wget: }; trying again"
		sleep "$PAUSE"
	done
	mv "$2.new" "$2"
}

# The file that avmm.config names, with avmm.SECTION.KEY=VALUE of the command line put in: [netboot] is for us, the
# rest for avmmctl start.
config_step()
{
	local url

	url=$(option config)
	: >"$RUN/config"
	if [ -n "$url" ]; then
		fetch_step "$url" "$RUN/config"
		say "configuration: $url"
	elif ! grep -q 'avmm\.partition\.' "$CMDLINE"; then
		problem="the kernel command line has neither avmm.config=URL nor avmm.partition.memory=…"
		return 1
	fi
	if ! grep -q '^\[partition\]' "$RUN/config" && ! grep -q 'avmm\.partition\.' "$CMDLINE"; then
		problem="$url has no section [partition]: is it what it should be?"
		return 1
	fi
	tr ' ' '\n' <"$CMDLINE" | sed -n 's/^avmm\.\([a-z0-9]*\.[a-z_0-9]*=\)/\1/p' >"$RUN/options"
	awk -v options="$RUN/options" -v netboot="$RUN/netboot" -v user="$RUN/user.ini" -f "$LIBRARY/config.awk" "$RUN/config"
}

# -- the monitor

check_step()
{
	say "this machine: $(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
	avmmctl check >"$RUN/check" 2>&1 && return 0
	problem="this machine cannot run AVMM:
$(cat "$RUN/check")"
	return 1
}

launch_step()
{
	local why

	! grep -q '^avmm ' /proc/modules 2>/dev/null || return 0
	why=$(insmod "$LIBRARY/avmm.ko" "reserve=$(setting reserve 64)" 2>&1) && return 0
	problem="avmm.ko: ${why#insmod: }
$(dmesg 2>/dev/null | grep -E 'avmm|vermagic|Unknown symbol|disagrees' | tail -n 6)"
	return 1
}

# -- disks

# nbd_step N: [netboot] nbdN
nbd_step()
{
	local uri why

	uri=$(setting "nbd$1" '')
	[ -n "$uri" ] || return 0
	while ! why=$(avmmctl nbd connect "$uri" --device "$DEV/nbd$1" 2>&1); do
		waiting "disk $1: $uri: ${why#avmmctl: }; waiting for it"
		sleep "$PAUSE"
	done
	waited=
	say "disk $1: $uri is $DEV/nbd$1, $(($(cat "$SYS/block/nbd$1/size") / 2048)) MiB"
}

memory() { awk -v key="$1:" '$1 == key { print $2 * 1024 }' "$MEMINFO"; }

# bytes TEXT: a size, or a percentage of the machine's memory
bytes()
{
	case $1 in
	*%) echo $(($(memory MemTotal) * ${1%\%} / 100)) ;;
	*K) echo $((${1%K} << 10)) ;;
	*M) echo $((${1%M} << 20)) ;;
	*G) echo $((${1%G} << 30)) ;;
	*T) echo $((${1%T} << 40)) ;;
	*) echo "$1" ;;
	esac
}

# overlay_step N: what is written to the read-only /dev/nbdN goes to memory, in an overlay that avmmctl makes.
overlay_step()
{
	local want size

	want=$(setting "overlay$1" none)
	[ -n "$(setting "nbd$1" '')" ] && [ "$want" != none ] || return 0
	size=$(($(bytes "$want") & ~0x1fffff))
	modprobe dm-thin-pool
	sed -i "s,^backing *= *$DEV/nbd$1\$,&\noverlay = ram\noverlay_size = $size," "$RUN/user.ini"
	say "disk $1: changes go to memory, up to $((size >> 20)) MiB, and are gone at the next boot"
}

# -- the user partition

# Kernels and initial RAM disks may be given by URL.
boot_files_step()
{
	local key url

	for key in kernel initrd; do
		url=$(sed -n "s,^$key *= *\\(https\\?://.*\\),\\1,p" "$RUN/user.ini")
		[ -n "$url" ] || continue
		fetch_step "$url" "$RUN/$key"
		sed -i "s,^$key *= *http.*,$key = $RUN/$key," "$RUN/user.ini"
		say "user partition: $url"
	done
}

# memory = auto: all but what the service and the overlays need
memory_step()
{
	local left n want

	grep -q '^memory *= *auto' "$RUN/user.ini" || return 0
	left=$(($(memory MemAvailable) - ($(setting reserve 64) << 20) - (8 << 20)))
	for n in 0 1 2 3; do
		want=$(setting "overlay$n" none)
		[ -z "$(setting "nbd$n" '')" ] || [ "$want" = none ] || left=$((left - $(bytes "$want")))
	done
	left=$((left >> 21 << 1))
	if [ $left -lt 16 ]; then
		problem="memory = auto: $left MiB are left for the user partition; give the machine more, or the overlay less"
		return 1
	fi
	sed -i "s,^memory *= *auto,memory = ${left}M," "$RUN/user.ini"
}

start_step()
{
	local why

	why=$(avmmctl start "$RUN/user.ini" 2>&1) || {
		problem="the user partition was not started: ${why#avmmctl: }"
		return 1
	}
	say "user partition: started with $(sed -n 's/^memory *= *//p' "$RUN/user.ini")"
}
