#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh: Debian packages of this tree, as it is, in build/deb. `deb.sh check` says what lintian finds in them, too.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/build/deb
version=$(sed -n 's/^#define AVMM_VERSION[[:space:]]*"\(.*\)"/\1/p' "$top/include/avmm/version.h")
packaged=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$top/debian/changelog")

[ "$version" = "$packaged" ] || { echo "deb: version.h says $version, debian/changelog $packaged" >&2; exit 1; }
for package in debhelper dh-dkms; do
	dpkg-query -W "$package" >/dev/null 2>&1 || { echo "deb: apt install $package lintian" >&2; exit 1; }
done

rm -rf "$out"
mkdir -p "$out/avmm-$version"
cd "$top"
git ls-files -z --cached --others --exclude-standard | tar --ignore-failed-read --null -T - -c 2>/dev/null |
	tar -x -C "$out/avmm-$version"
cd "$out/avmm-$version"
dpkg-buildpackage -us -uc -b -j2 >"$out/build.log" 2>&1 || { tail -n 40 "$out/build.log"; exit 1; }
cd "$out"
rm -rf "$out/avmm-$version"
ls "$out"/*.deb
[ "${1:-}" != check ] || lintian --fail-on error,warning --allow-root "$out"/*.changes
