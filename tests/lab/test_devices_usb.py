# SPDX-License-Identifier: GPL-2.0
"""A USB controller as direct-access device of a partition in the identity window."""

import hashlib
import random

import pytest

from lab import kernel_log, paths
from lab.cards import devices

UHCI = '0000:00:01.2'
BASE, SIZE = 0x20000000, 256 << 20      # the window
MEMORY = 192                            # MiB of it that the partition has
STICK = paths.IMAGES / 'stick-uhci.img'
CONTENT = random.Random(8).randbytes(8 << 20)
BOARD = ('pci: enabled=1, chipset=i440fx', f'usb_uhci: enabled=1, port1=disk, options1="path:{STICK}"')
SECTION = f'[device0]\npci = {UHCI}\ndma = trusted\n'


@pytest.fixture
def m(lab):
    STICK.with_name(f'{STICK.name}.lock').unlink(missing_ok=True)
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    if not STICK.exists():
        STICK.write_bytes(CONTENT)
    return lab()


class Stick:
    """One machine; the tests build on each other."""

    def test_guest(self, m, u):
        m.run('insmod /root/avmm.ko')
        u.boot(memory=f'{MEMORY}M', more='memory_mode = identity', disks=SECTION)
        assert devices(m)[UHCI]['live']
        u.disk_drivers()
        u.card_drivers()
        u.run('until [ -e /dev/sda ]; do sleep 0.2; done', timeout=240)

    def test_stick(self, m, u):
        """All of it, as it is."""
        card = devices(m)[UHCI]
        assert f'/0000:{card["guest"]}/' in u.out('readlink -f /sys/block/sda')
        assert int(u.out('cat /sys/block/sda/size')) * 512 == len(CONTENT)
        assert u.out('sha256sum /dev/sda', timeout=600).split()[0] == hashlib.sha256(CONTENT).hexdigest()
        card = devices(m)[UHCI]
        assert card['interrupts'] > 100 and card['interrupts'] - card['interrupts_done'] <= 1

    def test_end(self, m, u):
        """The controller writes to the partition's memory no more; the service drives it again."""
        before = kernel_log.warnings(m)
        u.stop()
        m.run(f'mem_pattern -b 0x{BASE:x} -m {MEMORY} -t 2', timeout=120)
        m.run(f'avmmctl device release {UHCI}')
        assert devices(m)[UHCI]['owner'] == 'service'
        assert kernel_log.new_warnings(m, before) == []
        m.run('modprobe uhci_hcd; until ls -d /sys/bus/usb/devices/[0-9]*-*:1.0; do sleep 0.2; done', timeout=120)


@pytest.mark.soak('devices-usb')
class TestStick61(Stick):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False, 'drivers': 'usb',
             'checkpoint': None, 'boot_extra': BOARD, 'cmdline': f'+memmap={SIZE >> 20}M$0x{BASE:x}'}


@pytest.mark.soak('devices-usb')
class TestStick612(Stick):
    shape = {**TestStick61.shape, 'kernel': '6.12', 'guest': '6.1'}
