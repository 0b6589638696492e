#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# monitor-symbols.sh NM [IMAGE]: assembly of the monitor's symbol table, from IMAGE's text symbols, or an empty table.
set -eu
nm=$1

if [ $# -gt 1 ]; then
	"$nm" -n "$2" | awk '$2 ~ /^[tT]$/ && $3 !~ /^(image_|\.)/ { print $3 }'
fi | awk '
	BEGIN {
		print "\t.section .symtab_data, \"a\"\n\t.balign 8\n\t.globl symbol_table, symbol_count, symbol_names"
		print "symbol_table:"
	}
	{
		printf "\t.long %s - image_start, name%d - symbol_names\n", $1, NR
		names = names sprintf("name%d:\t.asciz \"%s\"\n", NR, $1)
	}
	END {
		printf "symbol_count:\t.long %d\nsymbol_names:\n%s", NR, names
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
