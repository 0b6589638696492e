# SPDX-License-Identifier: GPL-2.0
"""USB controllers as direct-access devices of a partition in the identity window."""

import hashlib
import random

import pytest

from lab import kernel_log, paths, user, window
from lab.cards import devices, line_of, refused

UHCI, XHCI = '0000:00:01.2', '0000:00:02.0'
STICK = 8 << 20
STICKS = {'uhci': paths.IMAGES / 'stick-uhci.img', 'xhci': paths.IMAGES / 'stick-xhci.img'}
BOARD = ('pci: enabled=1, chipset=i440fx, slot1=usb_xhci',
         f'usb_uhci: enabled=1, port1=disk, options1="path:{STICKS["uhci"]}"',
         f'usb_xhci: enabled=1, port1=disk, options1="speed:super, path:{STICKS["xhci"]}, proto:bbb"')
SECTIONS = ''.join(f'[device{n}]\npci = {address}\ndma = trusted\n' for n, address in enumerate((UHCI, XHCI)))


def content(name):
    return random.Random(name).randbytes(STICK)


def disk_of(shell, slot):
    """The name of the disk at the controller in this SLOT."""
    return shell.out(f'for d in /sys/block/sd?; do case $(readlink -f $d) in */0000:{slot}/*) echo ${{d##*/}};; esac; done')


def hash_of(shell, name, slot):
    disk = disk_of(shell, slot)
    assert int(shell.out(f'cat /sys/block/{disk}/size')) * 512 == STICK
    return shell.out(f'sha256sum /dev/{disk}', timeout=600).split()[0]


@pytest.fixture
def m(lab, request):
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    for name, path in STICKS.items():
        path.with_name(f'{path.name}.lock').unlink(missing_ok=True)
        if not path.exists() or path.read_bytes() != content(name):
            path.write_bytes(content(name))
    return lab(extra=user.card_files(request.cls.shape['kernel'], 'usb'))


class Sticks:
    """One machine; the tests build on each other."""

    def test_guest(self, m, u):
        m.run('insmod /root/avmm.ko')
        assert line_of(m, UHCI) != line_of(m, XHCI)
        u.boot(**window.IDENTITY, disks=SECTIONS)
        found = devices(m)
        assert all(found[a]['live'] for a in (UHCI, XHCI)), found
        u.disk_drivers()
        u.card_drivers()
        u.run('for i in $(seq 600); do [ -e /dev/sda ] && [ -e /dev/sdb ] && exit; sleep 0.2; done; dmesg; exit 1', timeout=240)

    @pytest.mark.parametrize('name,address', [('uhci', UHCI), ('xhci', XHCI)])
    def test_stick(self, m, u, name, address):
        """All of a stick, as it is."""
        before = devices(m)[address]
        assert hash_of(u, name, before['guest']) == hashlib.sha256(content(name)).hexdigest()
        card = devices(m)[address]
        print(f'{name}: {card["interrupts"] - before["interrupts"]} interrupts')
        assert card['interrupts'] - before['interrupts'] > 60 and card['interrupts'] - card['interrupts_done'] <= 1

    def test_end(self, m, u):
        """While they are being read: no controller writes to the partition's memory any more; the service drives them again."""
        before = kernel_log.warnings(m)
        u.send('for d in a b; do while dd if=/dev/sd$d of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done & done')
        read = {a: devices(m)[a]['interrupts'] for a in (UHCI, XHCI)}
        m.run('sleep 1')
        assert all(devices(m)[a]['interrupts'] > read[a] for a in (UHCI, XHCI))
        u.stop()
        window.untouched(m)
        for address in (UHCI, XHCI):
            m.run(f'avmmctl device release {address}')
            assert devices(m)[address]['owner'] == 'service'
        assert kernel_log.new_warnings(m, before) == []
        user.load_cards(m)
        m.run('for i in $(seq 300); do [ -e /dev/sda ] && [ -e /dev/sdb ] && exit; sleep 0.2; done; exit 1', timeout=120)
        for name, address in (('uhci', UHCI), ('xhci', XHCI)):
            assert hash_of(m, name, address.removeprefix('0000:')) == hashlib.sha256(content(name)).hexdigest()

    def test_in_use(self, m):
        """A disk that hangs on a controller keeps it from being taken."""
        disk = disk_of(m, UHCI.removeprefix('0000:'))
        m.run(f'mkswap /dev/{disk}; swapon /dev/{disk}', timeout=120)
        assert f'its disk {disk} is swap space' in refused(m, f'avmmctl device assign {UHCI} --dma trusted')
        m.run(f'swapoff /dev/{disk}')
        m.run(f'avmmctl device assign {UHCI} --dma trusted; avmmctl device release {UHCI}', timeout=120)


@pytest.mark.soak('devices-usb')
class TestSticks61(Sticks):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False, 'drivers': 'usb',
             'checkpoint': None, 'boot_extra': BOARD, 'cmdline': f'+{window.PARAMETER}'}


@pytest.mark.soak('devices-usb')
class TestSticks612(Sticks):
    shape = {**TestSticks61.shape, 'kernel': '6.12', 'guest': '6.1'}
