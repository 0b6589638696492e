# SPDX-License-Identifier: GPL-2.0
"""The screen, the keyboard and the mouse of an emulated machine, by the emulator's VNC server (RFB 3.3, RFC 6143).

A pixel is one byte: red in bits 0 to 2, green in 3 to 5, blue in 6 and 7. Above the machine's screen the emulator has a bar
with buttons, below it one that tells its speed each second. Its window stays as large as it is at first, so modes have
720 x 480 pixels at most; and 8 bits.
"""

import functools
import os
import re
import socket
import struct
import threading
import time
from pathlib import Path

BOARD = ('display_library: rfb, options="timeout=0"', 'mouse: type=ps2, enabled=1')       # for a shape's boot_extra
BAR, STATUS = 32, 18
RAW = 0
QUIET = 8               # half seconds without a change
KEYS = {'\n': 0xff0d}
VIDEO_BIOS = Path('/usr/share/vgabios/vgabios.bin')
LETTER_A = bytes.fromhex('000010386cc6c6fec6c6c6c600000000')
CELL = (9, 16)


def _listening_port(pid):
    """The TCP port that process PID listens at."""
    inodes = set()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            inodes.update(re.findall(r'socket:\[(\d+)\]', os.readlink(f'/proc/{pid}/fd/{fd}')))
        except OSError:
            pass
    for line in Path('/proc/net/tcp').read_text().splitlines()[1:]:
        fields = line.split()
        port = int(fields[1].split(':')[1], 16)
        if fields[3] == '0A' and fields[9] in inodes and 5900 <= port < 6000:
            return port
    raise RuntimeError('the emulator has no VNC server')


@functools.cache
def _glyphs():
    """{bits: character} of the font of 8 x 16 pixels in the video BIOS."""
    rom = VIDEO_BIOS.read_bytes()
    base = rom.index(LETTER_A) - 16 * ord('A')
    return {rom[base + 16 * c:base + 16 * c + 16]: chr(c) for c in reversed(range(32, 127))}


class Picture:
    """What was on the screen."""

    def __init__(self, width, height, pixels):
        self.width = width
        self.height = height
        self.pixels = pixels

    def at(self, x, y):
        return self.pixels[y * self.width + x]

    def _character(self, column, row):
        left, top = column * CELL[0], row * CELL[1]
        back = self.at(left + 8, top)
        lines = ((self.pixels[(top + y) * self.width + left:(top + y) * self.width + left + 8]) for y in range(CELL[1]))
        bits = bytes(sum(128 >> x for x in range(8) if line[x] != back) for line in lines)
        return _glyphs().get(bits, ' ' if not any(bits) else '?')

    def text(self):
        """Lines of a text mode of 80 x 25."""
        return '\n'.join(''.join(self._character(c, r) for c in range(80)).rstrip() for r in range(25))


class Screen:
    """Of MACHINE, which was started with BOARD. A thread takes what comes: the emulator would wait for a slow reader."""

    def __init__(self, machine):
        self.machine = machine
        self.socket = socket.create_connection(('127.0.0.1', _listening_port(machine.emulator.process.pid)), timeout=60)
        self._greet()
        self.socket.settimeout(None)
        self.changed = threading.Condition()        # guards what follows
        self.whole = 0                              # updates of the whole screen
        threading.Thread(target=self._follow, daemon=True).start()

    def _greet(self):
        self._read(12)
        self.socket.sendall(b'RFB 003.003\n')
        if self._read(4) != b'\0\0\0\1':
            raise RuntimeError('the VNC server wants a password')
        self.socket.sendall(b'\1')
        self.width, self.height = struct.unpack('>HH', self._read(4))
        self._read(16)
        self._read(struct.unpack('>I', self._read(4))[0])
        self.pixels = bytearray(self.width * self.height)
        self.socket.sendall(struct.pack('>B3xBBBBHHHBBB3x', 0, 8, 8, 1, 1, 7, 7, 3, 0, 3, 6))

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise RuntimeError('the VNC server has gone')
            data += piece
        return bytes(data)

    def _rectangle(self):
        x, y, width, height, encoding = struct.unpack('>HHHHi', self._read(12))
        if encoding != RAW:
            raise RuntimeError(f'encoding {encoding} of the VNC server')
        data = self._read(width * height)
        with self.changed:
            for line in range(height):
                at = (y + line) * self.width + x
                self.pixels[at:at + width] = data[line * width:(line + 1) * width]
            self.whole += len(data) == self.width * self.height
            if y < self.height - STATUS:
                self.changed.notify_all()

    def _follow(self):
        try:
            while self._read(1) == b'\0':           # an update: the emulator has nothing else to say
                for _ in range(struct.unpack('>xH', self._read(3))[0]):
                    self._rectangle()
        except (OSError, RuntimeError):
            pass                                    # it has ended

    def capture(self, width=720, height=400, timeout=120):
        """A Picture of all that the machine shows now; it draws a few times a second of its time.

        In text modes the emulator answers requests. In graphics modes it sends what changes, and nothing while nothing does:
        then all has come.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            wanted = self.whole + 2     # what was on its way may be older
            quiet = 0
            while self.whole < wanted and (not self.whole or quiet < QUIET):
                # the emulator forgets a request that comes while it answers one
                self.socket.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, self.width, self.height))
                quiet = 0 if self.changed.wait(0.5) else quiet + 1
                if time.monotonic() > deadline:
                    raise AssertionError('the emulator sends no picture')
            rows = (bytes(self.pixels[(BAR + y) * self.width:(BAR + y) * self.width + width]) for y in range(height))
            return Picture(width, height, b''.join(rows))

    def wait_text(self, pattern, timeout=120):
        """Until the text screen has PATTERN; the text. TIMEOUT is the emulator's CPU time."""
        deadline = self.machine.emulator.clock() + timeout
        while True:
            text = self.capture().text()
            if re.search(pattern, text):
                return text
            if self.machine.emulator.clock() > deadline:
                raise AssertionError(f'no {pattern!r} on the screen:\n{text}')
            self.machine.emulator.read(0.5)

    def key(self, name):
        code = KEYS.get(name) or ord(name)
        for down in (1, 0):
            self.socket.sendall(struct.pack('>BBxxI', 4, down, code))

    def type(self, text):
        """Slowly: the emulated keyboard holds few keys. No capital letters."""
        for character in text:
            self.key(character)
            self._pause()

    def _pause(self):
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            self.machine.emulator.read(0.05)

    def point(self, x, y, buttons=0):
        """The pointer is there, in pixels of the machine's screen, with BUTTONS down: 1 is the left one."""
        self.socket.sendall(struct.pack('>BBHH', 5, buttons, x, BAR + y))
        self._pause()

    def close(self):
        self.socket.close()
