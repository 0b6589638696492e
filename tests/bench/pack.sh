#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pack.sh FILE: a tar of the benchmark program, static, and the source of its module, for somebody with a PC that has VT-x.
# There a tick of the time stamp counter is not an instruction but a time, and needs no emulator.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dir=$work/avmm-bench

make -s -C "$top/tests/bench/program" BUILD="$top/build"
mkdir -p "$dir/module" "$dir/include/avmm" "$(dirname "$out")"
cp "$top/build/tests/bench/bench" "$dir"
cp "$top/tests/bench/modules/Kbuild" "$top/tests/bench/modules/bench.c" "$dir/module"
cp "$top"/include/avmm/{hypercall,types}.h "$dir/include/avmm"
cp "$top/LICENSE" "$top/tests/bench/pack/README" "$top/tests/bench/pack/run.sh" "$dir"
git -C "$top" describe --always --dirty --abbrev=12 >"$dir/COMMIT"
tar -C "$work" --owner=0 --group=0 -czf "$out" avmm-bench
echo "$out"
