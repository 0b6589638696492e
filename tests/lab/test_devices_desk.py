# SPDX-License-Identifier: GPL-2.0
"""Direct-access devices of the person at the desk: the keyboard controller and the VGA, seen over the emulator's VNC."""

import re
import struct

import pytest

from lab import avmm, kernel_log, screen, user
from lab.cards import devices, refused

KEYBOARD = '[device0]\nisa = i8042\n'
SCREEN = '[device1]\nvga = yes\n'
CMDLINE = 'console=tty0 ' + user.CMDLINE
SEABIOS = '/usr/share/seabios/bios-256k.bin'
RESETS = ('reset', 'reset-kbc', 'reset-pulse', 'reset-output', 'reset-92')
EV_KEY, EV_REL = 1, 2
REL_X, REL_Y, BTN_LEFT = 0, 1, 272
CODES = {'a': 30, 'v': 47, 'm': 50}


def device(m, name):
    return devices(m)[name]


def counters(m):
    """Accesses of the guest that exited, and came to a device or to nobody."""
    found = avmm.user_stats(m)['counters']
    return {k: found[k] for k in ('io', 'mmio', 'stray')}


def events(shell, name, act):
    """(kind, code, value) of what arrives at the event device of SHELL whose name has NAME, while ACT()."""
    shell.run(f'e=$(grep -l "{name}" /sys/class/input/event*/device/name) || exit 1; e=/dev/input/$(echo $e | cut -d/ -f5); '
              'killall dd 2>/dev/null; dd if=$e of=/tmp/keys bs=24 2>/dev/null & sleep 0.5')
    act()
    data = bytes.fromhex(shell.out('sleep 1; killall dd; sleep 0.2; hexdump -v -e \'1/1 "%02x"\' /tmp/keys'))
    return [struct.unpack_from('<16xHHi', data, at) for at in range(0, len(data) - 23, 24)]


def read_keys(shell, display, text):
    """The key presses that arrive while TEXT is typed."""
    found = events(shell, '^AT ', lambda: display.type(text))
    return [code for kind, code, value in found if kind == EV_KEY and value == 1]


def keys_arrive(shell, display):
    return read_keys(shell, display, 'avmm') == [CODES[c] for c in 'avmm']


def hide_cursor(shell):
    shell.run("printf '\\033[?25l' >/dev/tty1; b=/sys/class/graphics/fbcon/cursor_blink; [ ! -e $b ] || echo 0 >$b")


def shows_picture(m, display):
    """Is what programs/paint.c draws on the screen, pixel by pixel? The capture stays in the logs."""
    found = display.capture(640, 480).pixels
    wanted = bytes(x // 8 % 8 | (y // 8 % 8) << 3 | ((x // 64 + y // 64) % 4) << 6 for y in range(480) for x in range(640))
    (m.logs() / 'screen.raw').write_bytes(found)
    wrong = [i for i in range(len(wanted)) if found[i] != wanted[i]]
    for i in wrong[:8]:
        print(f'({i % 640}, {i // 640}) is {found[i]:#x} instead of {wanted[i]:#x}, {len(wrong)} are wrong')
    return not wrong


@pytest.fixture
def display(m):
    if not hasattr(m, 'display'):
        m.display = screen.Screen(m)
    return m.display


class Console:
    """One machine; the tests build on each other."""

    def test_refusals(self, m):
        """Each says why."""
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
        assert 'is not assigned' in refused(m, 'avmmctl device release i8042')
        assert 'is not assigned' in refused(m, 'avmmctl device release vga')
        assert m.run('avmmctl device assign vga --dma off', check=False).status == 2
        override = '/sys/bus/platform/devices/i8042/driver_override'
        m.run(f'echo somebody >{override}')
        assert 'reserved for another driver' in refused(m, 'avmmctl device assign i8042')
        m.run(f'echo >{override}; insmod /root/tests/avmm_line.ko irq=12')
        assert 'interrupt line 12 is in use' in refused(m, 'avmmctl device assign i8042')
        m.run('rmmod avmm_line')
        assert device(m, 'i8042')['owner'] == 'service' and device(m, 'i8042')['driver'] == 'i8042'

    def test_assign_and_release(self, m, display):
        """The service loses keyboard and console, and has them again."""
        before = kernel_log.warnings(m)
        m.run('echo the-service-is-here >/dev/tty1')
        display.wait_text('the-service-is-here')
        assert keys_arrive(m, display)
        m.run('avmmctl device assign i8042; avmmctl device assign vga')
        assert m.out('readlink /sys/bus/platform/devices/i8042/driver').endswith('/avmm')
        assert m.out("awk '/^ *(1|12):.*avmm$/ { print $1 }' /proc/interrupts").split() == ['1:', '12:']
        assert m.run('grep -q "^AT " /sys/class/input/event*/device/name', check=False).status
        assert 'already' in refused(m, 'avmmctl device assign i8042') and 'already' in refused(m, 'avmmctl device assign vga')
        assert device(m, 'vga')['driver'] == 'vgacon' and device(m, 'i8042')['owner'] == 'user'
        m.run('echo nobody-reads-this >/dev/tty1; sleep 0.5')
        assert 'nobody-reads-this' not in display.capture().text()
        m.run('avmmctl device release vga; avmmctl device release i8042')
        display.wait_text('nobody-reads-this')
        assert keys_arrive(m, display)
        assert kernel_log.new_warnings(m, before) == []

    def test_guest_has_them(self, m, u, display):
        """Its console is on the screen, and what is typed comes to it."""
        u.boot(more=KEYBOARD + SCREEN, cmdline=CMDLINE)
        assert device(m, 'vga')['live'] and device(m, 'i8042')['live']
        assert 'there is a user partition' in refused(m, 'avmmctl device release vga')
        assert 'there is a user partition' in refused(m, 'avmmctl device release i8042')
        u.run('killall dd; dmesg -n 7; echo "<1>the guest has the screen" >/dev/kmsg; dmesg -n 1')
        display.wait_text('the guest has the screen')
        m.run('dd if=/dev/zero of=/dev/mem bs=4k seek=184 count=2 conv=notrunc')    # not the guest's screen, and no fault
        assert 'the guest has the screen' in display.capture().text()
        assert keys_arrive(u, display)
        u.run('head -n 2 </dev/tty1 >/tmp/lines 2>&1 &')
        display.type('\ntyped by hand\n')
        assert u.out('sleep 1; cat /tmp/lines').splitlines() == ['avmm', 'typed by hand']
        assert 'typed by hand' in display.capture().text()

    def test_mouse(self, m, u, display):
        """It moves, right and down, and clicks."""
        u.card_drivers()
        u.run('for i in $(seq 50); do grep -q Mouse /sys/class/input/event*/device/name && break; sleep 0.1; done')

        def act():
            for x in range(100, 201, 20):
                display.point(x, 100)
            for y in range(120, 181, 20):
                display.point(200, y)
            display.point(200, 180, buttons=1)
            display.point(200, 180)

        display.point(100, 100)
        found = events(u, 'Mouse', act)
        # the emulator halves what the pointer moves
        assert sum(value for kind, code, value in found if (kind, code) == (EV_REL, REL_X)) == 50, found
        assert sum(value for kind, code, value in found if (kind, code) == (EV_REL, REL_Y)) == 40, found
        assert [(code, value) for kind, code, value in found if kind == EV_KEY] == [(BTN_LEFT, 1), (BTN_LEFT, 0)], found
        assert keys_arrive(u, display)

    def test_interrupts(self, m, u, display):
        """Both lines came through, and none is waiting."""
        lines = u.out('grep i8042 /proc/interrupts')
        counts = {int(n): int(count) for n, count in re.findall(r'^ *(\d+): +(\d+)', lines, re.M)}
        assert counts[1] > 20 and counts[12] > 20, lines
        found = device(m, 'i8042')
        assert found['interrupts'] >= counts[1] and found['interrupts'] - found['interrupts_done'] <= 2, found
        assert found['commands_refused'] == 0
        read_keys(u, display, 'a' * 40)
        again = device(m, 'i8042')
        assert again['interrupts'] - found['interrupts'] >= 80, (found, again)

    def test_drawing(self, m, u, display):
        """Text and a picture, without an exit."""
        hide_cursor(u)
        before = counters(m)
        u.run('paint text 200', timeout=120)
        between = counters(m)
        line = display.capture().text().splitlines()[10]
        assert line == ''.join(chr(97 + (800 + i) % 26) for i in range(80))
        u.run('paint vbe 5', timeout=240)
        after = counters(m)
        assert shows_picture(m, display)
        # 800,000 and 1.5 million accesses; what is left is the console and the clock
        print(f'counters of the guest: {before}, {between}, {after}')
        for a, b in ((before, between), (between, after)):
            assert b['io'] - a['io'] < 5_000 and (b['mmio'], b['stray']) == (a['mmio'], a['stray'])
        assert device(m, 'vga')['ports_forwarded'] == 0

    def test_text_again(self, m, u, display):
        """The next partition begins in text mode, whatever the last one did to the screen."""
        u.stop()
        u.wait_gone()
        u.boot(more=KEYBOARD + SCREEN, cmdline=CMDLINE)
        u.run('killall dd; echo here-i-am-again >/dev/tty1')
        text = display.wait_text('here-i-am-again')
        assert 'the-service-is-here' not in text
        u.stop()
        u.wait_gone()

    @pytest.mark.parametrize('guest', RESETS)
    def test_resets(self, m, u, guest):
        """Whichever way the guest resets: it starts anew, and the machine does not."""
        u.start_tiny(guest, more=KEYBOARD)
        m.run("until avmmctl status --json | grep -q '\"resets\": *[2-9]'; do sleep 0.1; done", timeout=240)
        u.stop()
        u.wait_gone()

    def test_what_resets_nothing(self, m, u):
        """… and does not reach the machine either: it has all its memory afterwards."""
        u.start_tiny('no-reset', more=KEYBOARD)
        m.run('sleep 1')
        assert u.status()['resets'] == 0 and device(m, 'i8042')['commands_refused'] == 3
        m.run('dd if=/dev/zero of=/tmp/x bs=1M count=64 2>/dev/null; cmp -n $((64 << 20)) /tmp/x /dev/zero && rm /tmp/x')
        u.stop()
        u.wait_gone()

    def test_firmware(self, m, u, display):
        """SeaBIOS is on the screen, by the machine's video BIOS, and has found the keyboard."""
        m.write_file(user.INI, f'[partition]\nmemory = 64M\nfirmware = seabios\n{KEYBOARD}{SCREEN}[shares]\nuser = 90\n')
        m.run(f'avmmctl start {user.INI}', timeout=120)
        display.wait_text(r'SeaBIOS \(version(.|\n)*No bootable device')
        assert 'PS2 keyboard initialized' in m.out('avmmctl log')
        u.stop()
        u.wait_gone()

    def test_the_service_again(self, m, display):
        before = kernel_log.warnings(m)
        m.run('avmmctl device release vga; avmmctl device release i8042')
        m.run('echo back-at-the-service >/dev/tty1')
        display.wait_text('back-at-the-service')
        assert keys_arrive(m, display)
        m.run('avmmctl device assign i8042; avmmctl device assign vga; rmmod avmm', timeout=120)
        m.run('echo and-without-avmm >/dev/tty1')
        display.wait_text('and-without-avmm')
        assert keys_arrive(m, display)
        assert kernel_log.new_warnings(m, before) == []


def shape(kernel, guest, **more):
    return {'kernel': kernel, 'cpus': 1, 'mem': 1024, 'guest': guest, 'up': False, 'net': False, 'drivers': 'desk',
            'boot_extra': screen.BOARD, 'extra': ((SEABIOS, SEABIOS),), **more}


class TestConsole61(Console):
    shape = shape('6.1', '6.12')


@pytest.mark.soak('desk-612')
class TestConsole612(Console):
    shape = shape('6.12', '6.1')


class FrameBuffer:
    """The service's console is in a graphics mode that its firmware has set; the guest goes on in it."""

    def painted(self, m, display):
        hide_cursor(m)
        m.run('paint fb 1', timeout=120)
        return shows_picture(m, display)

    def test_frame_buffer(self, m, u, display):
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
        before = kernel_log.warnings(m)
        assert self.painted(m, display)
        u.boot(more=SCREEN, cmdline=CMDLINE)
        assert device(m, 'vga')['driver'] == 'vesa-framebuffer' and m.run('[ -e /dev/fb0 ]', check=False).status
        assert not shows_picture(m, display)
        hide_cursor(u)
        first = counters(m)
        assert '640x480' in u.out('paint fb 5', timeout=240)
        last = counters(m)
        assert shows_picture(m, display)
        assert last['io'] - first['io'] < 5_000 and (last['mmio'], last['stray']) == (first['mmio'], first['stray'])
        u.stop()
        u.wait_gone()
        m.run('avmmctl device release vga')
        m.run('echo anything >/dev/tty1')
        assert not shows_picture(m, display) and self.painted(m, display)
        assert kernel_log.new_warnings(m, before) == []


class TestFrameBuffer61(FrameBuffer):
    shape = shape('6.1', '6.12', cmdline='+vga=769')


@pytest.mark.soak('desk-612')
class TestFrameBuffer612(FrameBuffer):
    shape = shape('6.12', '6.1', cmdline='+vga=769')


@pytest.mark.soak('desk-612')
class TestVideoCard61:
    """The screen is that of a device on the PCI bus."""
    card = '0000:00:02.0'
    shape = shape('6.1', '6.12', boot_extra=(*screen.BOARD, 'pci: enabled=1, chipset=i440fx, slot1=pcivga'))

    def test_card(self, m, u, display):
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
        before = kernel_log.warnings(m)
        m.write_file(user.INI, user.ini(cmdline=CMDLINE, more=SCREEN))
        assert f'the screen is that of {self.card}' in refused(m, f'avmmctl start {user.INI}')
        u.boot(more=f'{SCREEN}[device0]\npci = {self.card}\ndma = off\n', cmdline=CMDLINE)
        u.run('echo here-i-am >/dev/tty1')
        display.wait_text('here-i-am')
        assert u.out(f'cat /sys/bus/pci/devices/{self.card}/class') == '0x030000'
        u.stop()
        u.wait_gone()
        m.run(f'avmmctl device release {self.card}; avmmctl device release vga; echo it-is-back >/dev/tty1')
        display.wait_text('it-is-back')
        assert kernel_log.new_warnings(m, before) == []
