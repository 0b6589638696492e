#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh FOLDER TEST…: runs cmocka binaries, shows what failed, prints the sum of their test cases as the last line.
# A binary that is missing, dies, or runs fewer cases than it announced counts as one more failure.

out=$1
shift
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for test in "$@"; do
	rm -f "$log"
	if [ ! -x "$out/$test" ]; then
		echo "$test: not built"
		failed=$((failed + 1))
		continue
	fi
	CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$out/$test" >"$log" 2>&1
	status=$?
	ok=$(grep -c '^ok ' "$log")
	bad=$(grep -c '^not ok ' "$log")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
	if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$ok" -lt "$plan" ] || [ "$plan" -eq 0 ]; }; then
		bad=1
	fi
	[ "$bad" -eq 0 ] || sed "/^ok /d; s/^/$test: /" "$log"
	echo "$test: $ok passed, $bad failed"
	passed=$((passed + ok))
	failed=$((failed + bad))
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
