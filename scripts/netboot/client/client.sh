# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash disable=SC1091,SC2154 # what steps.sh has
#
# The life of a client: steps until the user partition runs, its console here meanwhile, and what its end means.

. "${AVMM_LIBRARY:-/usr/lib/avmm}/steps.sh"

# A shell on the console for whoever is there. With no answer within a minute the machine starts anew: a room of PCs
# must come up when what was wrong is right again.
rescue()
{
	local _answer

	echo "$1" | while IFS= read -r line; do say "$line"; done
	[ -z "$2" ] || say "$2"
	say "press Enter for a shell; exit from it restarts the machine${3:+, as will $3 seconds without it}"
	if [ -n "$3" ]; then
		# shellcheck disable=SC3045 # busybox's read can
		read -r -t "$3" _answer <"$(terminal)" || machine reboot "nobody was there"
	else
		read -r _answer <"$(terminal)"
	fi
	shell
	machine reboot "the shell has ended"
}

shell() { on_terminal sh -i; }

# The console's own device, for /dev/console cannot be a controlling terminal.
terminal() { sed 's,^.* ,,; s,^,/dev/,' "$CONSOLES"; }

on_terminal()
{
	local tty

	tty=$(terminal)
	# shellcheck disable=SC2094 # a terminal
	setsid -c "$@" <"$tty" >"$tty" 2>&1
}

# machine reboot|poweroff WHY
machine()
{
	say "$1: $2"
	sleep 1
	"$1" -f
	sleep 3600
}

# The guest's serial console on ours, until the partition is gone. Ctrl-] leads to a shell of the service; the console also
# ends by itself, at a reset and at the end, while somebody is still there to see to that.
attend()
{
	while partition_is_there; do
		if [ "$(setting console yes)" != yes ] || ! partition_is_on; then
			sleep 0.5
			continue
		fi
		on_terminal avmmctl console
		partition_is_on || continue
		say "this is the service partition; exit leads back to the user partition's console"
		shell
	done
}

partition_is_on() { avmmctl status | grep -Eq '^user: (running|paused)'; }

partition_is_there() { [ -s /run/avmm.pid ]; }

last_reason() { avmmctl status --json | sed -n 's/.*"last_reason": *"\([^"]*\)".*/\1/p'; }

# What the end of the user partition means: [netboot] on_power_off for its own, and after a crash it is started again.
ended()
{
	local reason

	reason=$(last_reason)
	say "user partition: it is off: $reason"
	if [ "$reason" != power-off ]; then
		crashes=$((crashes + 1))
		[ $crashes -lt 4 ] || rescue "the user partition crashed $crashes times, the last time: $reason" \
			"$(avmmctl log 2>/dev/null | tail -n 5)" 300
		return 0
	fi
	crashes=0
	case $(setting on_power_off power-off) in
	restart) return 0 ;;
	menu) machine reboot "back to the boot menu" ;;
	*) machine poweroff "the user partition has switched itself off" ;;
	esac
}

main()
{
	local step

	crashes=0
	say "service partition: Linux $(uname -r), $(($(memory MemTotal) >> 20)) MiB"
	check_step || rescue "$problem" 'The user partition is not started.'
	for step in network_step config_step launch_step 'nbd_step 0' 'nbd_step 1' 'overlay_step 0' 'overlay_step 1' \
		boot_files_step memory_step; do
		$step || rescue "$problem" '' 300
	done
	while :; do
		start_step || rescue "$problem" '' 300
		attend
		ended
	done
}
