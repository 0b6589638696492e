#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What a packet costs: the same traffic by the same network card, on the bare machine, above the monitor, and as a
direct-access device of the user partition.

One emulated machine with one CPU, where a tick of the time stamp counter is an instruction: that is checked. Counted is all
that the machine executes and that is not idle (bench -b), and of the user partition's what the monitor and the service have
of it, and its exits; all that less the same programs with no data. The table goes to the screen; --save also to
tests/bench/results/net.json and net.txt and into docs/.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

from lab import Machine, avmm, image, paths, payload, user, window
from lab.cards import Peer, devices, dhcp, digest, fetch, send
from places import CMDLINE

HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results'
DOCS = ('performance.md', 'direct-devices.md')
FIRST_KERNEL = '6.1'
CARD = '0000:00:03.0'
AMOUNT = 8 << 20                            # bytes each way, …
ROUNDS = 3                                  # … so many times: the median counts
BOARD = ('pci: enabled=1, chipset=i440fx, slot1=e1000, slot2=e1000',
         'e1000: card=0, enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=none',
         'e1000: card=1, enabled=1, mac=52:54:00:12:34:57, ethmod=slirp, script=none')
MACHINE = {'mem': 1024, 'net': False, 'boot_extra': BOARD,
           'cmdline': f'+mitigations=off norandmaps nokaslr {window.PARAMETER}'}
SECTION = f'[device0]\npci = {CARD}\ndma = trusted\n'
DIRECTIONS = {'received': fetch, 'sent': send}


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kernel', default=FIRST_KERNEL, choices=['6.1', '6.12'])
    p.add_argument('--save', action='store_true', help='replace the saved figures and the tables in docs/')
    return p.parse_args()


class Guest(user.User):
    """Whoever waits for its answer looks once a second."""

    def run(self, command, timeout=600, check=True, poll=None):
        return super().run(command, timeout, check, poll)


class Measured:
    """A shell whose run() is measured. `busy`: the last one's instructions."""

    def __init__(self, shell):
        self.shell = shell
        self.busy = None

    def run(self, command, timeout=600):
        text = self.shell.run(f"cat >/tmp/measured <<'END'\n{command}\nEND\nbench -c -b 'sh /tmp/measured'", timeout).output
        ticks = float(re.search(r'^calibration (\S+)', text, re.M).group(1))
        if not 0.999 < ticks < 1.001:
            sys.exit(f'an instruction takes {ticks} ticks: figures would not be instructions')
        self.busy = int(re.search(r'^busy (\d+)', text, re.M).group(1))

    def out(self, command):
        return self.shell.out(command)


def packets(shell, card):
    return int(shell.out(f"awk '/{card}:/ {{ print $3 + $11 }}' /proc/net/dev"))


def transfer(shell, card, peer, move):
    """{packets, busy} of the peer's bytes one way."""
    measured, before = Measured(shell), packets(shell, card)
    if move(measured, peer) != digest(peer.data):
        sys.exit('the data has changed on its way')
    return {'packets': packets(shell, card) - before, 'busy': measured.busy}


def partition(m):
    """What the monitor counts of the user partition, and the card."""
    found = avmm.user_stats(m)
    return {'exits': sum(found['exits'].values()), 'monitor': found['time_monitor'], 'service': found['time_service'],
            'interrupts': devices(m)[CARD]['interrupts']}


def per_packet(rounds, nothing):
    """The median of the rounds, each less a round in which no data went."""
    less = [{key: r[key] - nothing[key] for key in r} for r in rounds]
    return {key: round(statistics.median(r[key] / r['packets'] for r in less), 2 if key in ('exits', 'interrupts') else 0)
            for key in nothing if key != 'packets'} | {'packets': statistics.median(r['packets'] for r in less)}


def measure(shell, card, counts=dict):
    """{direction: {…: per packet}}. COUNTS() has what else is counted."""
    def once(peer, move):
        fetch(shell, peer)                  # what is to be sent is there, and all code
        before = counts()
        found = transfer(shell, card, peer, move)
        return {**found, **{k: v - before[k] for k, v in counts().items()}}

    full, empty = Peer(AMOUNT), Peer(0)
    try:
        return {direction: per_packet([once(full, move) for _ in range(ROUNDS)], once(empty, move))
                for direction, move in DIRECTIONS.items()}
    finally:
        full.close()
        empty.close()


def run(o, root):
    figures = {}
    with Machine(name='bench-net', payload=root, kernel=o.kernel, **MACHINE).start() as m:
        m.run('ip link set eth0 down')
        dhcp(m, 'eth1')
        figures['native'] = measure(m, 'eth1')
        avmm.launch(m)
        figures['service'] = measure(m, 'eth1')
        m.run('ip link set eth1 down')
        guest = Guest(m, o.kernel)
        guest.start(cmdline=CMDLINE.replace('/bench-init', '/init'), **window.IDENTITY, disks=SECTION)
        guest.attach()
        m.run(user.until_said('GUEST-UP'), timeout=user.BOOT_SECONDS)
        guest.card_drivers()
        dhcp(guest)
        figures['user'] = measure(guest, 'eth0', lambda: partition(m))
    return figures


def about(o):
    git = ['git', 'describe', '--always', '--dirty', '--abbrev=12']
    commit = subprocess.run(git, cwd=paths.TOP, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {'command': 'make bench-net' + (f' KERNEL={o.kernel}' if o.kernel != FIRST_KERNEL else ''), 'commit': commit,
            'kernel': f'{paths.kernel_version(o.kernel)} in all places, mitigations=off',
            'machine': f'Bochs 3.0, 1 CPU, two e1000; 1 tick of the TSC is 1 instruction (checked); {AMOUNT >> 20} MiB by TCP, '
                       f'median of {ROUNDS} times'}


ROWS = (('busy', 'all that the machine executes'), ('service', 'of it the service'), ('monitor', 'of it the monitor'),
        ('exits', 'exits of all reasons'), ('interrupts', 'interrupts of the card'))


def rows(figures):
    """[[what, native, service, user, user / native]]"""
    out = []
    for direction in DIRECTIONS:
        found = {place: figures[place][direction] for place in ('native', 'service', 'user')}
        for key, what in ROWS:
            cells = ['' if key not in f else f'{f[key]:,.2f}' if key in ('exits', 'interrupts') else f'{f[key]:,.0f}'
                     for f in found.values()]
            ratio = f"{found['user'][key] / found['native'][key]:.2f} x" if key in found['native'] else ''
            out.append([f'packet {direction}: {what}', *cells, ratio])
    return out


HEAD = ['instructions', 'native', 'service', 'user', 'user to native']


def text(figures):
    lines = [*(f'{what}: {value}' for what, value in figures['about'].items()), '']
    for name, *cells in [HEAD, *rows(figures)]:
        lines.append((f'{name:<48}' + ''.join(f'{c:>16}' for c in cells)).rstrip())
    return '\n'.join(lines) + '\n'


def markdown(figures):
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in [HEAD, ['---'] * len(HEAD), *rows(figures)]) + '\n'


def save(o, figures):
    out = RESULTS / ('net.json' if o.kernel == FIRST_KERNEL else f'net-{o.kernel}.json')
    out.write_text(json.dumps(figures, indent=1) + '\n')
    out.with_suffix('.txt').write_text(text(figures))
    for name in DOCS if o.kernel == FIRST_KERNEL else ():
        page = paths.TOP / 'docs' / name
        page.write_text(re.sub(r'(<!-- bench-net -->\n).*?(<!-- end of bench-net -->)',
                               lambda match: match.group(1) + markdown(figures) + match.group(2), page.read_text(), flags=re.S))


def initrd(o):
    """The lab's initramfs with the card's driver, and the benchmark program."""
    home = paths.LOGS / 'bench-net.files'
    program = home / 'root/usr/local/bin/bench'
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_bytes((paths.BUILD / 'tests/bench/bench').read_bytes())
    program.chmod(0o755)
    image.pack(home / 'root', home / 'more')
    both = home / 'initrd'
    both.write_bytes(user.initramfs(o.kernel, drivers='net').read_bytes() + (home / 'more').read_bytes())
    return both


def main():
    o = options()
    extra = [('/root/vmlinuz', user.kernel_of(o.kernel)), ('/root/initrd', initrd(o)),
             ('/usr/local/bin/bench', paths.BUILD / 'tests/bench/bench')]
    root = payload.build(o.kernel, paths.LOGS / 'bench-net.payload', extra=extra, tests=False)
    figures = {'about': about(o), **run(o, root)}
    print(text(figures), end='')
    if o.save:
        save(o, figures)
    return 0


sys.exit(main())
