# SPDX-License-Identifier: GPL-2.0
"""A sound card, ES1370, as direct-access device of a partition in the identity window: it plays to a file."""

import struct
import time

import pytest

from lab import kernel_log, user, window
from lab.cards import devices

CARD = '0000:00:02.0'
RATE, SECONDS, HERTZ = 44100, 2, 440
CHANNELS = 0x70                         # of the card's control register: two DACs and an ADC
HEADER = 44                             # bytes of the file before the first frame
HEIGHT = 24000                          # of the wave, as in programs/play_tone.c
BOARD = ('pci: enabled=1, chipset=i440fx, slot1=es1370', 'es1370: enabled=1, wavemode=2, wavefile=RUN/out.wav')
SECTION = f'[device0]\npci = {CARD}\ndma = trusted\n'
PLAY = f'until [ -e /dev/dsp ]; do sleep 0.1; done; play_tone -f {HERTZ}'


def wave(i):
    phase = i * HERTZ % RATE
    way = phase * 4 * HEIGHT // RATE
    return way - HEIGHT if phase * 2 < RATE else 3 * HEIGHT - way


def tone():
    """The bytes that play_tone gives to its driver."""
    left = [wave(i) for i in range(RATE * SECONDS)]
    return b''.join(struct.pack('<hh', s, -s // 2 if s <= 0 else -(s // 2)) for s in left)


def frequency(samples):
    """Hz, by where the wave rises through zero; 0 for silence."""
    rises = [i for i, (a, b) in enumerate(zip(samples, samples[1:])) if a < 0 <= b]
    return (len(rises) - 1) * RATE / (rises[-1] - rises[0]) if len(rises) > 1 else 0


def in_tune(data):
    """The part of DATA's time in which the left channel has the tone, by tenths of a second."""
    left = [s for s, _ in struct.iter_unpack('<hh', data[:len(data) // 4 * 4])]
    step = RATE // 10
    pieces = [left[i:i + step] for i in range(0, len(left) - step + 1, step)]
    return sum(abs(frequency(p) - HERTZ) < 0.01 * HERTZ for p in pieces) / len(pieces)


def new_sound(m, before, amount, seconds=30):
    """What the file has got since it had BEFORE bytes, at least AMOUNT; the emulator's mixer is a thread of its own."""
    path = m.emulator.run / 'out.wav'
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and path.stat().st_size < before + amount:
        m.run('sleep 0.1')
    return path.read_bytes()[before:]


@pytest.fixture
def m(lab, request):
    return lab(extra=user.card_files(request.cls.shape['kernel'], 'sound'))


class Sound:
    """One machine; the tests build on each other."""

    def test_guest(self, m, u):
        m.run('insmod /root/avmm.ko')
        u.boot(**window.IDENTITY, disks=SECTION)
        assert devices(m)[CARD]['live']
        u.card_drivers()

    def test_tone(self, m, u):
        """What the guest plays is in the file, byte by byte, and is a tone."""
        u.run(PLAY, timeout=240)
        data = new_sound(m, HEADER, len(tone()))
        print(f'{len(data)} bytes, {frequency([s for s, _ in struct.iter_unpack("<hh", data[:len(tone())])]):.1f} Hz, '
              f'{in_tune(data):.0%} of the time')
        assert tone() in data
        assert in_tune(data) >= 0.8
        card = devices(m)[CARD]
        print(f'{card["interrupts"]} interrupts')
        assert card['interrupts'] > 10 and card['interrupts'] - card['interrupts_done'] <= 1

    def test_end(self, m, u):
        """While it plays: its channels are off, nothing more comes, and the window stays as it is."""
        before = kernel_log.warnings(m)
        played = devices(m)[CARD]['interrupts']
        u.send(PLAY)
        assert any(devices(m)[CARD]['interrupts'] > played + 2 for _ in range(50))
        u.stop()
        port = int(m.out(f'cut -d" " -f1 /sys/bus/pci/devices/{CARD}/resource | head -n 1'), 16)
        control = m.out(f"dd if=/dev/port bs=1 skip={port} count=1 2>/dev/null | hexdump -e '1/1 \"%02x\"'")
        assert int(control, 16) & CHANNELS == 0, control
        window.untouched(m)
        m.run(f'avmmctl device release {CARD}')
        assert devices(m)[CARD]['owner'] == 'service'
        assert kernel_log.new_warnings(m, before) == []

    def test_service_plays(self, m):
        """Afterwards it is a card as any other."""
        path = m.emulator.run / 'out.wav'
        user.load_cards(m)
        at = path.stat().st_size
        m.run(PLAY, timeout=240)
        assert tone() in new_sound(m, at, len(tone()))


@pytest.mark.soak('devices-sound')
class TestSound61(Sound):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False, 'drivers': 'sound',
             'checkpoint': None, 'boot_extra': BOARD, 'cmdline': f'+{window.PARAMETER}'}


@pytest.mark.soak('devices-sound')
class TestSound612(Sound):
    shape = {**TestSound61.shape, 'kernel': '6.12', 'guest': '6.1'}
