#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# build-image.sh FILE: a small Debian 12 as a raw disk image: MBR, GRUB, one ext4 partition with a stock kernel, its
# console on ttyS0; root's password is "demo". It boots by BIOS and by UEFI, for which a second, small partition has
# GRUB where removable disks have it. As root; without loop devices: mke2fs and mtools fill the file systems, and GRUB's
# boot sector and core image are put where grub-install would put them.
#
# Built once per content of this script: the image stays under build/cache/demo, FILE is a sparse copy.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=$top/build/cache/demo
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
grub=/usr/lib/grub/i386-pc
first=2048		# sector of the partition, 1 MiB
size=1024		# MiB
esp=8192		# sectors of the EFI system partition, at the end
label=avmm-demo

die() { echo "build-image: $*" >&2; exit 1; }

[ $# = 1 ] || die "usage: build-image.sh FILE"
[ "$(id -u)" = 0 ] || die "must be root"

# What nobody looks at on this disk stays in its packages.
exclude()
{
	local path

	mkdir -p "$1/etc/dpkg/dpkg.cfg.d"
	for path in /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info \
		/lib/modules/*/kernel/drivers/{gpu,media,net,infiniband,staging,usb,iio,hwmon,scsi,bluetooth,isdn} \
		/lib/modules/*/kernel/sound; do
		echo "path-exclude=$path/*"
	done >"$1/etc/dpkg/dpkg.cfg.d/small"
	echo 'path-include=/lib/modules/*/kernel/drivers/scsi/s[dr]_mod.ko' >>"$1/etc/dpkg/dpkg.cfg.d/small"
	echo 'path-include=/lib/modules/*/kernel/drivers/scsi/scsi_*' >>"$1/etc/dpkg/dpkg.cfg.d/small"
}

# The initial RAM disk has what this disk needs: it is read by the BIOS and unpacked at every boot.
install_kernel()
{
	mkdir -p "$1/etc/initramfs-tools/conf.d"
	printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\nRESUME=none\n' >"$1/etc/initramfs-tools/conf.d/small"
	printf 'ata_piix\nsd_mod\next4\n' >"$1/etc/initramfs-tools/modules"
	cp /etc/resolv.conf "$1/etc/resolv.conf"
	mount -t proc proc "$1/proc"
	DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get -qq -y --no-install-recommends install linux-image-amd64 \
		</dev/null
	umount "$1/proc"
	rm "$1/etc/resolv.conf"
}

configure()
{
	echo debian >"$1/etc/hostname"
	echo '127.0.0.1 localhost debian' >"$1/etc/hosts"
	echo "LABEL=$label / ext4 errors=remount-ro 0 1" >"$1/etc/fstab"
	echo 'root:demo' | chroot "$1" chpasswd
	chroot "$1" systemctl -q disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer \
		fstrim.timer e2scrub_reap.service
	chroot "$1" systemctl -q mask systemd-timesyncd.service systemd-firstboot.service
	echo uninitialized >"$1/etc/machine-id"
	rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*_* "$1"/var/log/*.log
}

# GRUB's menu as update-grub would write it; the serial console is the only one.
write_menu()
{
	mkdir -p "$1/boot/grub/i386-pc"
	cp "$grub"/*.mod "$grub"/*.lst "$1/boot/grub/i386-pc/"
	cat >"$1/boot/grub/grub.cfg" <<-MENU
	serial --unit=0 --speed=115200
	terminal_input serial
	terminal_output serial
	set timeout=1
	search --no-floppy --label --set=root $label
	menuentry 'Debian GNU/Linux' {
		linux /vmlinuz root=LABEL=$label ro console=ttyS0,115200 quiet
		initrd /initrd.img
	}
	MENU
}

# 440 bytes of code in front of the partition table, and behind it, in the gap, the core image.
install_grub()
{
	local core=$work/core.img boot=$work/boot.img

	grub-mkimage -d "$grub" -O i386-pc -o "$core" -p '(hd0,msdos1)/boot/grub' \
		biosdisk part_msdos ext2 normal serial terminal search search_label linux echo test
	[ "$(stat -c %s "$core")" -lt $(((first - 1) * 512)) ] || die "GRUB's core image does not fit before the partition"
	cp "$grub/boot.img" "$boot"
	# as grub-install does for hard disks: believe the BIOS's drive number
	printf '\x90\x90' | dd of="$boot" bs=1 seek=$((0x66)) conv=notrunc status=none
	dd if="$boot" of="$1" bs=440 count=1 conv=notrunc status=none
	dd if="$core" of="$1" bs=512 seek=1 conv=notrunc status=none
}

# One program, with its modules and the menu's place built in.
install_grub_efi()
{
	local app=$work/bootx64.efi start=$work/start.cfg

	printf 'search --no-floppy --label --set=root %s\nconfigfile /boot/grub/grub.cfg\n' "$label" >"$start"
	grub-mkimage -d /usr/lib/grub/x86_64-efi -O x86_64-efi -o "$app" -p /boot/grub -c "$start" \
		part_msdos ext2 fat normal configfile serial terminal search search_label linux echo test
	mkfs.vfat -n ESP -C "$work/esp" $((esp / 2)) >/dev/null
	mmd -i "$work/esp" ::/EFI ::/EFI/BOOT
	mcopy -i "$work/esp" "$app" ::/EFI/BOOT/BOOTX64.EFI
	dd if="$work/esp" of="$1" bs=512 seek=$((size * 2048 - esp)) conv=notrunc,sparse status=none
}

build()
{
	local root=$work/root sectors=$((size * 2048 - first - esp))

	debootstrap --variant=minbase \
		--include=systemd-sysv,udev,kmod,initramfs-tools,zstd,util-linux,e2fsprogs,procps,iproute2,dbus \
		bookworm "$root" "$mirror" >"$work/log" 2>&1 || { tail -n 20 "$work/log"; die "debootstrap failed"; }
	exclude "$root"
	install_kernel "$root" >>"$work/log" 2>&1 || { tail -n 20 "$work/log"; die "the kernel was not installed"; }
	configure "$root"
	write_menu "$root"
	rm -f "$work/part" "$work/disk" "$work/esp"
	truncate -s $((sectors * 512)) "$work/part"
	mke2fs -q -t ext4 -L "$label" -d "$root" "$work/part"
	truncate -s "${size}M" "$work/disk"
	printf '%s\n' "$first,$sectors,83,*" "$((first + sectors)),$esp,ef" | sfdisk -q "$work/disk"
	dd if="$work/part" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none
	install_grub "$work/disk"
	install_grub_efi "$work/disk"
}

key=$(sha256sum <"$0" | cut -c 1-16)
image=$cache/debian-$key.img
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$image" ]; then
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'mountpoint -q "$work/root/proc" && umount "$work/root/proc"; rm -rf "$work"' EXIT
	build
	rm -f "$cache"/debian-*.img
	mv "$work/disk" "$image"
fi
cp --sparse=always "$image" "$1"
