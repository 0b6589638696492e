# SPDX-License-Identifier: GPL-2.0
"""Messages of a direct-access device: a USB controller with MSI, and one with MSI-X."""

import hashlib
import random
import re

import pytest

from lab import kernel_log, paths, user, window
from lab.cards import devices

XHCI = '0000:00:02.0'
STICK = paths.IMAGES / 'stick-msi.img'
CONTENT = random.Random('msi').randbytes(2 << 20)
IDENTITY = {**window.IDENTITY, 'disks': f'[device0]\npci = {XHCI}\ndma = trusted\n'}
STICK_IS_THERE = 'for i in $(seq 100); do [ -e /dev/sda ] && exit; sleep 0.2; done; dmesg; exit 1'


def board(model):
    return ('pci: enabled=1, chipset=i440fx, slot1=usb_xhci',
            f'usb_xhci: enabled=1, model={model}, port1=disk, options1="speed:super, path:{STICK}, proto:bbb"')


def messages(shell, name):
    """How often each of Linux's message interrupts of NAME came, on all CPUs."""
    lines = re.findall(rf'^ *\d+: +([\d ]+) PCI-MSI.* {name}\S*$', shell.out('cat /proc/interrupts'), re.M)
    return [sum(map(int, line.split())) for line in lines]


def read_stick(shell):
    """All of it, past any cache."""
    shell.run(STICK_IS_THERE, timeout=240)
    out = shell.out('dd if=/dev/sda bs=64k iflag=direct 2>/dev/null | sha256sum', timeout=300)
    assert out.split()[0] == hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def m(lab, request):
    STICK.with_name(f'{STICK.name}.lock').unlink(missing_ok=True)
    if not STICK.exists() or STICK.read_bytes() != CONTENT:
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        STICK.write_bytes(CONTENT)
    return lab(extra=user.card_files(request.cls.shape['kernel'], 'usb'))


class Messages:
    """One machine; the tests build on each other."""

    def drive(self, m, u, command):
        """The guest's driver, which COMMAND starts, takes the controller from its line to messages; the stick is read so."""
        before = devices(m)[XHCI]
        assert before['mode'] == 'line' and before['live'], before
        command()
        read_stick(u)
        card = devices(m)[XHCI]
        assert card['mode'] == self.mode, card
        assert card['messages'] - before['messages'] > 60 and card['interrupts'] - card['interrupts_done'] <= 1
        assert card['messages_lost'] == 0 and card['bars_refused'] == 0
        return card

    def test_native(self, m):
        """So does the service's own."""
        user.load_cards(m)
        read_stick(m)
        assert sum(messages(m, 'xhci_hcd')) > 60

    def test_guest(self, m, u):
        """Linux's vectors in the service, messages in the guest; as many of the guest's as there were, but for merged ones."""
        m.run('insmod /root/avmm.ko')
        u.boot(**IDENTITY)
        assert devices(m)[XHCI]['vectors'] == self.vectors
        u.disk_drivers()
        card = self.drive(m, u, u.card_drivers)
        there, here = messages(u, 'xhci_hcd'), messages(m, 'avmm')
        print(f'{card["interrupts"]} messages, of Linux {here}, of the guest {there}')
        assert len(here) == self.vectors and len(there) == self.used
        assert sum(here) >= card['messages'] >= sum(there) > 60
        assert card['ports_forwarded'] == 0

    def test_off_and_on(self, m, u):
        """Without its driver the controller has its line again, and then messages as before."""
        address = f'0000:{devices(m)[XHCI]["guest"]}'
        driver = u.out(f'readlink -f /sys/bus/pci/devices/{address}/driver').strip()
        u.run(f'echo {address} >{driver}/unbind; while [ -e /dev/sda ]; do sleep 0.2; done', timeout=120)
        self.drive(m, u, lambda: u.run(f'echo {address} >{driver}/bind', timeout=120))

    def test_anything_written(self, m, u):
        """What a guest writes to configuration space, enable bits among it, is its own trouble."""
        before = kernel_log.warnings(m)
        address = f'0000:{devices(m)[XHCI]["guest"]}'
        config = f'/sys/bus/pci/devices/{address}/config'
        u.run(f'echo {address} >$(readlink -f /sys/bus/pci/devices/{address}/driver)/unbind', timeout=120)
        u.run(f'for i in $(seq 200); do dd if=/dev/urandom of={config} bs=4 count=1 seek=$((RANDOM % 40)) conv=notrunc; '
              'done 2>/dev/null', timeout=240)
        card = devices(m)[XHCI]
        assert u.out('date') and card['live'] and card['interrupts'] - card['interrupts_done'] <= 1
        assert kernel_log.new_warnings(m, before) == []

    def test_reset(self, m, u):
        """A new guest finds it with its line."""
        m.run('avmmctl reset', timeout=120)
        u.wait_up()
        u.disk_drivers()
        self.drive(m, u, u.card_drivers)

    def test_end(self, m, u):
        """While the stick is being read; then the service's own driver has messages again."""
        before = kernel_log.warnings(m)
        u.send('while dd if=/dev/sda of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done &')
        read = devices(m)[XHCI]['messages']
        m.run('sleep 1')
        assert devices(m)[XHCI]['messages'] > read
        u.stop()
        window.untouched(m)
        m.run(f'avmmctl device release {XHCI}')
        assert messages(m, 'avmm') == []
        read_stick(m)
        assert sum(messages(m, 'xhci_hcd')) > 60
        assert kernel_log.new_warnings(m, before) == []


class TestMsi(Messages):
    mode, vectors, used = 'msi', 1, 1
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False, 'drivers': 'usb',
             'checkpoint': None, 'boot_extra': board('uPD720202'), 'cmdline': f'+{window.PARAMETER}'}


@pytest.mark.soak('devices-usb')
class TestMsix(Messages):
    mode, vectors, used = 'msix', 8, 2     # this driver asks for one more than there are CPUs
    shape = {**TestMsi.shape, 'kernel': '6.12', 'guest': '6.1', 'cpus': 2, 'mwait': True,
             'boot_extra': board('uPD720201')}
