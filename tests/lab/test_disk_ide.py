# SPDX-License-Identifier: GPL-2.0
"""The disguised disk, end to end: a stock kernel's ata_piix in the user partition, block devices in the service."""

import json
import re

import pytest

from lab import avmm, user

DISK = '/dev/ram0'


def initrd(series):
    return ('/root/initrd-disk', user.initramfs(series, disk=True))


def boot(m, u, disks, more=''):
    m.run('modprobe brd rd_nr=2 rd_size=32768')
    if avmm.status(m)['state'] != 'launched':
        avmm.launch(m)
    u.boot(initrd='/root/initrd-disk', disks=disks, more=more)


class TestDisk:
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'extra': (initrd('6.12'),)}

    def test_first(self, m, u):
        m.run('insmod /root/avmm.ko')
        boot(m, u, f'[disk0]\nbus = ide\nbacking = {DISK}\n')
        u.disk_drivers()
        for side, c in ((u, 'dmesg | grep -i "ata\\|sd " | tail -30'),
            (m, 'avmmctl status'),
            (u, 'dd if=/dev/sda of=/dev/null bs=4k count=1 iflag=direct; cat /proc/interrupts | grep ata'),
            (u, 'disk_check -d /dev/sda -n 20; dmesg | tail -20'),
            (m, 'avmmctl disk list --json'),
            (u, 'dd if=/dev/sda bs=1M | sha256sum'),
            (m, f'dd if={DISK} bs=1M | sha256sum'),
            (m, 'avmmctl disk list'),
            (m, 'avmmctl stats --json'),
            (u, 'for i in $(seq 100); do dd if=/dev/sda of=/dev/null bs=4k count=1 skip=$i iflag=direct; done 2>/dev/null'),
            (m, 'avmmctl stats --json'),
            (m, 'avmmctl stop --force --timeout 0; dmesg | tail'),
            (m, 'rmmod avmm; lsmod')):
            try:
                print(c, side.run(c, timeout=300, check=False))
            except Exception as e:
                print(c, 'EXC', e)
