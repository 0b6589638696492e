#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh FOLDER SECONDS "TARGET FLAGS"…: replays each target's inputs, then fuzzes it for its part of SECONDS.

out=$1
seconds=$(($2 / ($# - 2)))
shift 2
passed=0
failed=0
[ "$seconds" -gt 0 ] || seconds=1

# fuzz TARGET FLAGS…
fuzz()
{
	target=$1
	name=${target#fuzz_}
	shift
	mkdir -p "$out/corpus/$name" "$out/failed"
	set -- "$@" -artifact_prefix="$out/failed/$name-" -print_final_stats=1 -timeout=20 -rss_limit_mb=2048
	inputs=$(find "corpus/$name" "regress/$name" -type f 2>/dev/null | sort)
	if [ -n "$inputs" ]; then
		# shellcheck disable=SC2086 # one word per file; their names have no blanks
		"$out/$target" "$@" $inputs >"$out/$target.log" 2>&1 || return 1
	fi
	seeds=
	[ ! -d "corpus/$name" ] || seeds=corpus/$name
	# shellcheck disable=SC2086
	"$out/$target" "$@" -max_total_time="$seconds" "$out/corpus/$name" $seeds >"$out/$target.log" 2>&1
}

for row in "$@"; do
	# shellcheck disable=SC2086 # the row's words are arguments
	if fuzz $row; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log" | tail -n 1)
		echo "$target: $runs runs in $seconds s"
		passed=$((passed + 1))
	else
		echo "$target: failed, the input is in $out/failed/, the end of $out/$target.log is"
		tail -n 40 "$out/$target.log"
		failed=$((failed + 1))
	fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
