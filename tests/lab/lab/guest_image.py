# SPDX-License-Identifier: GPL-2.0
"""The bare-metal test guest of tests/guest: its image, and a run of some of its cases as user partition of a machine."""

import re
import subprocess
from pathlib import Path

from . import avmm, paths

KERNEL = '/guest/guest.bin'
WINDOW = '/guest/guest-window.bin'      # for an identity window at 512 MiB
INI = '/root/guest.ini'
MEMORY = 16
USER_SHARE = 50


def build(kernel=KERNEL):
    """(path in the machine, file) for the payload."""
    subprocess.run(['make', '-s', '-C', paths.TOP / 'tests/guest', f'BUILD={paths.BUILD}'], check=True)
    return kernel, paths.BUILD / 'tests' / Path(kernel).name


class Run:
    """What a run said: the names that passed, {name: why} of those that failed, and why the partition ended."""

    def __init__(self, output, reason):
        self.output = output
        self.reason = reason
        self.passed = re.findall(r'^ok (\S+)$', output, re.M)
        self.failed = dict(re.findall(r'^FAIL (\S+) (.*)$', output, re.M))
        self.ended = re.search(r'^end$', output, re.M) is not None

    def __repr__(self):
        return f'Run({self.reason}, {self.output!r})'


def start(machine, *cases, options='', more='', kernel=KERNEL, sections=''):
    """Start the guest with CASES; OPTIONS go to its command line, MORE are lines for [partition], SECTIONS whole ones."""
    machine.write_file(INI, f'[partition]\nmemory = {MEMORY}M\nkernel = {kernel}\n'
                            f'cmdline = run={",".join(cases)} mib={MEMORY} {options}\n{more}\n'
                            f'[shares]\nuser = {USER_SHARE}\n{sections}')
    machine.run(f'avmmctl start {INI}', timeout=120)


def console(machine):
    """What the guest has written since its last start."""
    text = machine.run('avmmctl console --dump | tail -n 40').output.replace('\r', '')
    return text[('\n' + text).rfind('\nguest '):]


def finish(machine, timeout=60):
    """Wait until the guest is gone by itself."""
    machine.run('while [ -s /run/avmm.pid ]; do sleep 0.02; done', timeout=timeout)
    return Run(console(machine), avmm.status(machine)['last_reason'])


def stop(machine):
    """The axe, for one that would not end."""
    machine.run('avmmctl stop --force --timeout 0', timeout=60)
    return Run(console(machine), avmm.status(machine)['last_reason'])


def run(machine, *cases, timeout=60, **more):
    start(machine, *cases, **more)
    return finish(machine, timeout)
