# SPDX-License-Identifier: GPL-2.0
"""USB controllers and a sound card as direct-access devices of a partition in the identity window."""

import hashlib
import random
import struct

import pytest

from lab import kernel_log, paths
from lab.cards import devices

UHCI, SOUND, XHCI = '0000:00:01.2', '0000:00:02.0', '0000:00:03.0'
BASE, SIZE = 0x20000000, 256 << 20      # the window
MEMORY = 192                            # MiB of it that the partition has
STICK = 8 << 20
STICKS = {'uhci': paths.IMAGES / 'stick-uhci.img', 'xhci': paths.IMAGES / 'stick-xhci.img'}
BOARD = ('pci: enabled=1, chipset=i440fx, slot1=es1370, slot2=usb_xhci',
         f'usb_uhci: enabled=1, port1=disk, options1="path:{STICKS["uhci"]}"',
         f'usb_xhci: enabled=1, port1=disk, options1="speed:super, path:{STICKS["xhci"]}, proto:bbb"',
         'es1370: enabled=1, wavemode=2, wavefile=RUN/out.wav')
TONE = 500                              # Hz


def content(name):
    return random.Random(name).randbytes(STICK)


def boot(m, u, *addresses):
    """A guest with these; the machine's BIOS knows two interrupt lines, so that not all can be given at once."""
    sections = (f'[device{n}]\npci = {address}\ndma = trusted\n' for n, address in enumerate(addresses))
    u.boot(memory=f'{MEMORY}M', more='memory_mode = identity', disks=''.join(sections))
    found = devices(m)
    assert all(found[a]['live'] for a in addresses), found
    u.disk_drivers()
    u.card_drivers()


def check_stick(m, u, name, address):
    """All of a stick, as it is."""
    u.run('until [ -e /dev/sda ]; do sleep 0.2; done', timeout=240)
    slot = devices(m)[address]['guest']
    assert f'/0000:{slot}/' in u.out('readlink -f /sys/block/sda')
    assert int(u.out('cat /sys/block/sda/size')) * 512 == STICK
    assert u.out('sha256sum /dev/sda', timeout=600).split()[0] == hashlib.sha256(content(name)).hexdigest()
    card = devices(m)[address]
    assert card['interrupts'] > 100 and card['interrupts'] - card['interrupts_done'] <= 1


def stop_and_release(m, u, *addresses):
    """No device writes to the partition's memory any more."""
    u.stop()
    m.run(f'mem_pattern -b 0x{BASE:x} -m {MEMORY} -t 2', timeout=120)
    for address in addresses:
        m.run(f'avmmctl device release {address}')
        assert devices(m)[address]['owner'] == 'service'


@pytest.fixture
def m(lab):
    for name, path in STICKS.items():
        path.with_name(f'{path.name}.lock').unlink(missing_ok=True)
        if not path.exists():
            paths.IMAGES.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content(name))
    return lab()


def read_wav(path):
    """(rate, samples of the left channel from -1 to 1) of what the emulator has written; its header says no length yet."""
    data = path.read_bytes()
    channels, rate, _, _, bits = struct.unpack_from('<HIIHH', data, 22)
    step = channels * bits // 8
    raw = data[44:44 + (len(data) - 44) // step * step]
    if bits == 8:
        return rate, [(b - 128) / 128 for b in raw[::step]]
    return rate, [value / 32768 for value, in struct.iter_unpack(f'<h{step - 2}x', raw)]


def tone_of(rate, samples):
    """(Hz, seconds) of what is not silence."""
    loud = [i for i, s in enumerate(samples) if abs(s) > 0.2]
    assert loud, f'{len(samples)} samples of silence, {max(samples, default=None)}'
    part = samples[loud[0]:loud[-1] + 1]
    rises = sum(a < 0 <= b for a, b in zip(part, part[1:]))
    return rises * rate / len(part), len(part) / rate


class Desk:
    """One machine; the tests build on each other."""

    def test_uhci(self, m, u):
        m.run('insmod /root/avmm.ko')
        boot(m, u, UHCI, SOUND)
        check_stick(m, u, 'uhci', UHCI)

    def test_sound(self, m, u):
        """A tone, as the emulator has written it; it keeps the end for itself until there is more."""
        u.run(f'until [ -e /dev/dsp ]; do sleep 0.1; done; play_tone -f {TONE}', timeout=240)
        hertz, seconds = tone_of(*read_wav(m.emulator.run / 'out.wav'))
        assert abs(hertz - TONE) < 0.02 * TONE and 1 < seconds < 2.1, (hertz, seconds)
        card = devices(m)[SOUND]
        assert card['interrupts'] and card['interrupts'] - card['interrupts_done'] <= 1

    def test_xhci(self, m, u):
        before = kernel_log.warnings(m)
        stop_and_release(m, u, UHCI, SOUND)
        boot(m, u, XHCI)
        check_stick(m, u, 'xhci', XHCI)
        stop_and_release(m, u, XHCI)
        assert kernel_log.new_warnings(m, before) == []

    def test_the_service_drives_it_again(self, m):
        m.run('modprobe uhci_hcd; until ls -d /sys/bus/usb/devices/[0-9]*-*:1.0; do sleep 0.2; done', timeout=120)


@pytest.mark.soak('devices-usb')
class TestDesk61(Desk):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False, 'drivers': 'desk',
             'checkpoint': None, 'boot_extra': BOARD, 'cmdline': f'+memmap={SIZE >> 20}M$0x{BASE:x}'}


@pytest.mark.soak('devices-usb')
class TestDesk612(Desk):
    shape = {**TestDesk61.shape, 'kernel': '6.12', 'guest': '6.1'}
