#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# setup.sh [all|packages|kernels|bochs|bench|soak]: what building and testing AVMM needs, on Debian 12, as root. What only
# the benchmark or the long tests need (bench, soak) is not among all.
# Everything that is not a Debian package goes to build/cache. Each step leaves a stamp with a key of its
# inputs, so that a second run takes a second.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cache=$top/build/cache
lab=$top/scripts/lab
start=$SECONDS

packages="build-essential bc pkg-config kmod cpio xz-utils zstd patch
	bochsbios vgabios isolinux syslinux-common xorriso
	busybox-static kexec-tools pciutils
	libcmocka-dev libnl-3-dev libnl-genl-3-dev libzydis-dev libinih-dev libjson-c-dev
	libnbd-dev nbdkit nbd-server cryptsetup-bin
	debhelper dh-dkms dkms lintian dnsmasq-base nginx-light ipxe ipxe-qemu seabios ovmf
	qemu-system-x86 dmsetup curl iproute2
	debootstrap grub-pc-bin grub-efi-amd64-bin grub-common fdisk e2fsprogs dosfstools mtools
	sparse cppcheck clang clang-tidy llvm libclang-rt-14-dev shellcheck mandoc acpica-tools
	python3 python3-pytest python3-pytest-xdist python3-pytest-timeout"

bench_packages="qemu-system-x86 seabios"
soak_packages="debian-installer-12-netboot-amd64"

say() { printf '%4d s  %s\n' $((SECONDS - start)) "$*"; }

die() { echo "setup: $*" >&2; exit 1; }

# installed PACKAGE...: prints those that are not
missing()
{
	local p

	for p in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*' installed') ;;
		*) echo "$p" ;;
		esac
	done
}

# The lists are read anew at most once a run, and only when something has to come from them.
updated=
apt_update()
{
	[ -z "$updated" ] || return 0
	say "apt-get update"
	apt-get -qq update
	updated=1
}

# setup_packages PACKAGE...
setup_packages()
{
	local want

	want=$(missing "$@")
	[ -n "$want" ] || { say "packages: present"; return 0; }
	apt_update
	say "installing ${want//$'\n'/ }"
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $want \
		</dev/null >"$cache/apt.log" 2>&1 || { tail -n 20 "$cache/apt.log"; die "apt-get install failed"; }
}

# newest_image SERIES: the name of the newest amd64 flavour
newest_image()
{
	apt-cache search --names-only "^linux-image-$1[-.][-.0-9]*(\\+deb12)?-amd64\$" |
		awk '{ print $1 }' | grep -v -x "linux-image-$1-amd64" | sort -V | tail -n 1
}

# kernel SERIES: the image unpacked under build/cache/kernels/SERIES (not installed: this machine boots
# something else), the headers installed. The version that was first taken is kept.
setup_kernel()
{
	local series=$1 dir=$cache/kernels/$1 image version want

	if [ -f "$dir/version" ]; then
		version=$(cat "$dir/version")
		if [ -z "$(missing "linux-headers-$version")" ]; then
			say "kernel $series: $version, present"
			return 0
		fi
	fi
	apt_update
	image=$(newest_image "$series")
	[ -n "$image" ] || die "no linux-image-$series*-amd64 in the package lists"
	version=${image#linux-image-}
	say "kernel $series: $version"
	want=$(missing "linux-headers-$version")
	if [ -n "$want" ]; then
		DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$want" \
			</dev/null >"$cache/apt.log" 2>&1 ||
			{ tail -n 20 "$cache/apt.log"; die "no headers for $version"; }
	fi
	rm -rf "$dir" "$dir.new"
	mkdir -p "$dir.new"
	(cd "$dir.new" && apt-get -qq -o APT::Sandbox::User=root download "$image" && dpkg-deb -x ./*.deb . &&
		rm ./*.deb && depmod -b . "$version")
	echo "$version" >"$dir.new/version"
	mv "$dir.new" "$dir"
}

# -march=native: a build is good on this CPU model only.
bochs_key()
{
	{
		cat "$lab/build-bochs.sh" "$lab"/bochs/*.patch
		grep -m1 '^model name' /proc/cpuinfo
		grep -m1 '^flags' /proc/cpuinfo
	} | sha256sum | cut -d ' ' -f 1
}

setup_bochs()
{
	local key

	key=$(bochs_key)
	if [ "$(cat "$cache/bochs/key" 2>/dev/null)" = "$key" ]; then
		say "bochs: present"
		return 0
	fi
	say "bochs: building, about two minutes"
	rm -rf "$cache/bochs"
	bash "$lab/build-bochs.sh" "$cache/bochs" >"$cache/bochs.log" 2>&1 ||
		{ tail -n 30 "$cache/bochs.log"; die "bochs was not built"; }
	echo "$key" >"$cache/bochs/key"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
# shellcheck disable=SC2086 # lists
case ${1:-all} in
all) setup_packages $packages; setup_kernel 6.1; setup_kernel 6.12; setup_bochs ;;
packages) setup_packages $packages ;;
bench) setup_packages $bench_packages ;;
soak) setup_packages $soak_packages ;;
kernels) setup_kernel 6.1; setup_kernel 6.12 ;;
bochs) setup_bochs ;;
bochs-key) bochs_key; exit 0 ;;
*) die "usage: setup.sh [all|packages|kernels|bochs|bench|soak]" ;;
esac
say "set-up done"
