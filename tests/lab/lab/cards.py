# SPDX-License-Identifier: GPL-2.0
"""Network cards under test: a server for them to talk to, and what a shell does with one."""

import hashlib
import json
import os
import re
import socket
import struct
import threading
from pathlib import Path

from . import paths

HOST = '10.0.2.2'       # this machine, as the emulated network's cards reach it


class Peer:
    """A server on this machine that gives SIZE bytes and takes as many."""

    def __init__(self, size):
        self.size = size
        self.data = os.urandom(size)
        self.received = []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                if connection.recv(1) == b'G':
                    connection.sendall(self.data)
                else:
                    self._take(connection)

    def _take(self, connection):
        data = bytearray()
        while len(data) < self.size:
            piece = connection.recv(65536)
            if not piece:
                break
            data += piece
        self.received.append(digest(data))
        connection.sendall(b'K')

    def close(self):
        self.listener.close()


class Flood:
    """Small packets without end, to the card of MACHINE that has a forwarded port."""

    def __init__(self, machine):
        self.address = ('127.0.0.1', machine.emulator.udp_port)
        self.stop = threading.Event()
        self.sent = 0
        self.thread = threading.Thread(target=self._send, daemon=True)

    def _send(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not self.stop.wait(0.002):
                s.sendto(self.sent.to_bytes(4, 'little') * 64, self.address)
                self.sent += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def devices(m):
    return {d['address']: d for d in json.loads(m.out('avmmctl device list --json'))['devices']}


LSPCI = '/usr/bin/lspci'
LISTER = ((LSPCI, LSPCI),)      # for a machine's payload; a guest with drivers = 'pci' has it


def lspci(shell, card=None):
    """{address: (vendor:device, driver or None)} of all devices or of CARD, by lspci."""
    found = {}
    for line in shell.out(f'lspci -Dnk{f" -s {card}" if card else ""}').splitlines():
        device = re.match(r'([0-9a-f:.]+) [0-9a-f]{4}: ([0-9a-f]{4}:[0-9a-f]{4})', line)
        driver = re.match(r'\s+Kernel driver in use: (\S+)', line)
        if device:
            found[device.group(1)] = (device.group(2), None)
        elif driver:
            last = list(found)[-1]
            found[last] = (found[last][0], driver.group(1))
    return found


def option_rom(source, ids):
    """The file of an expansion ROM for a card of IDS, from SOURCE, which may be for several: made once per content."""
    out = paths.IMAGES / f'rom-{ids.replace(":", "-")}-{paths.key(paths.content(source))}'
    if not out.exists():
        rom = bytearray(Path(source).read_bytes())
        pcir, = struct.unpack_from('<H', rom, 0x18)
        struct.pack_into('<HH', rom, pcir + 4, *(int(n, 16) for n in ids.split(':')))
        rom[6] = (rom[6] - sum(rom[:512 * rom[2]])) & 0xff      # a byte of iPXE's for the checksum
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        out.write_bytes(rom)
    return out


def refused(m, command):
    result = m.run(command, check=False, timeout=120)
    assert result.status == 1, result
    return result.output


def line_of(m, address):
    return int(m.out(f'cat /sys/bus/pci/devices/{address}/irq'))


def dhcp(shell, card='eth0'):
    """CARD gets an address from the emulated network's server; returns it."""
    script = ('#!/bin/sh\\n[ "$1" = bound ] || exit 0\\nip addr add $ip/$mask dev $interface\\n'
              'ip route add default via $router\\n')
    shell.run(f"printf '{script}' >/tmp/dhcp; chmod +x /tmp/dhcp; ip link set {card} up; "
              f'udhcpc -i {card} -n -q -f -t 20 -s /tmp/dhcp', timeout=300)
    return re.search(r'inet ([\d.]+)/', shell.out(f'ip -4 addr show {card}')).group(1)


def fetch(shell, peer, timeout=600):
    """All bytes of the peer; their hash as it came to be there."""
    shell.run(f'rm -f /tmp/ask /tmp/got; mkfifo /tmp/ask; (printf G; until [ -e /tmp/got ]; do sleep 0.2; done) >/tmp/ask & '
              f'nc {HOST} {peer.port} </tmp/ask | head -c {peer.size} >/tmp/data; : >/tmp/got', timeout=timeout)
    return shell.out('sha256sum /tmp/data').split()[0]


def send(shell, peer, timeout=600):
    """The same bytes back; their hash as it came to be at the peer."""
    shell.run(f'rm -f /tmp/sent; (printf P; cat /tmp/data; until [ -e /tmp/sent ]; do sleep 0.2; done) | '
              f'(nc {HOST} {peer.port} | head -c 1 >/tmp/ok; : >/tmp/sent); [ "$(cat /tmp/ok)" = K ]', timeout=timeout)
    return peer.received[-1]
