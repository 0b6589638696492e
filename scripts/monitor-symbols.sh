#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# monitor-symbols.sh NM [IMAGE]: assembly of the monitor's symbol table, from IMAGE's text symbols, or an empty table.
# Offsets count from the start of text, which the table's own size does not change.
set -eu
nm=$1

if [ $# -gt 1 ]; then
	start=$("$nm" "$2" | awk '$3 == "image_text" { print $1 }')
	"$nm" -n "$2" | awk -v start="$start" '$2 ~ /^[tT]$/ && $3 !~ /^(image_|\.)/ { print $3, "0x" $1 " - 0x" start }'
fi | awk '
	BEGIN {
		print "\t.section .symtab_data, \"a\"\n\t.balign 8\n\t.globl symbol_table, symbol_count, symbol_names"
		print "symbol_table:"
	}
	{
		name = $1
		sub(/^[^ ]* /, "")
		printf "\t.long %s, name%d - symbol_names\n", $0, NR
		names = names sprintf("name%d:\t.asciz \"%s\"\n", NR, name)
	}
	END {
		printf "symbol_count:\t.long %d\nsymbol_names:\n%s", NR, names
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
