# SPDX-License-Identifier: GPL-2.0
"""The user partition of a machine: what it boots, its start, and a shell in it over its serial console.

Its boot takes most of a minute, so it is done once: checkpoint() saves a machine whose user partition waits at its shell.
What is tested is in that checkpoint, so its name is a hash of the module, the tools and the guest too.
"""

import base64
import json
import lzma
import os
import re
import shutil
import tempfile
from pathlib import Path

from . import avmm, emulator, image, paths, payload
from .machine import PRELUDE, CommandFailed, Gone, Machine, Result, Shell

GUEST = Path(__file__).resolve().parent / 'guest-user'
MODULES = ['drivers/acpi/button.ko', 'drivers/input/evdev.ko']     # the power button
INI, IN, OUT, PID = '/root/user.ini', '/tmp/user.in', '/tmp/user.out', '/tmp/user.pid'
CMDLINE = 'console=ttyS0,115200 quiet panic=-1 rdinit=/init'
BOOT_SECONDS = 400

_failed = {}


def _programs():
    return sorted(p for p in (paths.BUILD / 'tests/bin').glob('*') if p.is_file())


def _module(series, name):
    found, = (paths.KERNELS / series / 'lib/modules' / paths.kernel_version(series) / 'kernel').glob(f'{name}*')
    data = found.read_bytes()
    return lzma.decompress(data) if found.suffix == '.xz' else data


def _fill(series, root):
    for d in ('bin', 'modules', 'usr/local/bin'):
        (root / d).mkdir(parents=True)
    shutil.copy('/bin/busybox', root / 'bin/busybox')
    shutil.copy(GUEST / 'init', root / 'init')
    (root / 'init').chmod(0o755)
    for name in MODULES:
        (root / 'modules' / Path(name).name).write_bytes(_module(series, name))
    for program in _programs():
        shutil.copy(program, root / 'usr/local/bin' / program.name)


def initramfs(series):
    """What a user partition's kernel of SERIES boots into; built once per content."""
    parts = [Path(__file__).read_text(), (GUEST / 'init').read_text(), paths.kernel_version(series)]
    final = paths.IMAGES / f'user-{series}-{paths.key(*parts, *map(paths.content, _programs()))}'
    if not final.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=paths.IMAGES))
        _fill(series, work / 'root')
        image.pack(work / 'root', work / 'initramfs')
        shutil.rmtree(work / 'root')
        paths.replace_dir(work, final)
    return final / 'initramfs'


def files(series):
    """What the payload has to bring for a user partition with a stock kernel of SERIES."""
    kernel = paths.KERNELS / series / 'boot' / f'vmlinuz-{paths.kernel_version(series)}'
    return [('/root/vmlinuz', kernel), ('/root/initrd', initramfs(series))]


def percent(machine, shared):
    """SHARED percent of the shared CPU, which is the user's only one, as a share of all of MACHINE's."""
    return round(shared / machine.shape.cpus, 1)


def ini(memory='256M', user=90, cmdline=CMDLINE, kernel='/root/vmlinuz', initrd='/root/initrd', more=''):
    return (f'[partition]\nmemory = {memory}\nkernel = {kernel}\n' + (f'initrd = {initrd}\n' if initrd else '') +
            (f'cmdline = {cmdline}\n' if cmdline else '') + f'{more}\n[shares]\nuser = {user}\n')


class User(Shell):
    """The user partition of MACHINE; run() runs a command in it."""

    def __init__(self, machine, series):
        self.machine = machine
        self.series = series

    def start(self, timeout=120, user=90, **keys):
        self.machine.write_file(INI, ini(user=percent(self.machine, user), **keys))
        self.machine.run(f'avmmctl start {INI}', timeout=timeout)
        self.attach()

    def attach(self):
        """A session of avmmctl console that lasts as long as the partition; it begins with all output so far."""
        session = f'echo $$ >{PID}; exec avmmctl console <>{IN} >>{OUT} 2>&1'
        self.machine.run(f'rm -f {IN} {PID}; mkfifo {IN}; : >{OUT}; setsid sh -c {session!r} &\n'
                         f'until [ -s {PID} ]; do sleep 0.01; done')

    def wait_up(self, timeout=BOOT_SECONDS):
        """Until it waits at its shell; returns what it wrote."""
        loop = f'until grep -q GUEST-UP {OUT}; do kill -0 $(cat {PID}) 2>/dev/null || exit 1; sleep 0.2; done'
        result = self.machine.run(loop, timeout=timeout, check=False)
        output = self.machine.run(f'cat {OUT}').output
        if not result:
            raise Gone(f'the user partition ended while booting: {output}\n{self.machine.out("avmmctl status")}')
        return output

    def boot(self, **keys):
        self.start(**keys)
        return self.wait_up()

    def run(self, command, timeout=60, check=True):
        """As Machine.run(), in the user partition. TIMEOUT is the emulator's CPU time for both."""
        self._number += 1
        n = self._number
        text = base64.b64encode(f'{PRELUDE}\n{command}\n'.encode()).decode()
        loop = (f': >{OUT}; echo {n} {text} >{IN}\n'
                f"until grep -q '>{n}:[0-9]*]' {OUT}; do kill -0 $(cat {PID}) || exit 1; sleep 0.05; done\ncat {OUT}")
        answer = self.machine.run(loop, timeout=timeout, check=False)
        match = re.search(rf'\[{n}<(.*)>{n}:(\d+)\]', answer.output, re.S)
        if not answer or not match:
            raise Gone(f'the user partition did not answer: {answer.output}\nwhile running there: {command}')
        result = Result(match.group(1), int(match.group(2)))
        if check and result.status:
            raise CommandFailed(f'in the user partition: {command}', result)
        return result

    def send(self, command):
        """Start COMMAND and do not wait for an answer: for those that end the partition."""
        text = base64.b64encode(f'{command}\n'.encode()).decode()
        self.machine.run(f': >{OUT}; echo 0 {text} >{IN}')

    def status(self):
        return next(p for p in avmm.status(self.machine)['partitions'] if p['name'] == 'user')

    def shares(self, user, caps=''):
        """USER percent of the shared CPU."""
        self.machine.run(f'avmmctl shares --user {percent(self.machine, user)} {caps}')

    def times(self, seconds):
        """What passed within SECONDS of the service's time: {user, service, idle, monitor, all} in ticks."""
        found = self.machine.run(f'avmmctl stats --json --interval {seconds}', timeout=60 + 30 * seconds)
        user = json.loads(found.output)['user']
        times = {k: user[f'time_{k}'] for k in ('user', 'service', 'idle', 'monitor')}
        return {**times, 'all': sum(times.values())}

    def stop(self):
        self.machine.run('avmmctl stop --force --timeout 0', timeout=120)


def _content(root):
    return [(str(p.relative_to(root)), paths.content(p)) for p in sorted(root.rglob('*')) if p.is_file()]


def _boot_and_save(home, series, root, shape):
    with Machine(name=f'boot-user/{home.name}', payload=root, **shape) as m:
        avmm.launch(m)
        User(m, series).boot()
        m.emulator.save()
        run = m.emulator.run
        shutil.rmtree(home, ignore_errors=True)
        work = Path(tempfile.mkdtemp(dir=paths.CHECKPOINTS))
        shutil.move(run / 'saved', work / 'ck')
        config = work / 'ck' / 'config'
        config.write_text(config.read_text().replace(str(run), str(home)))
        for f in ('boot.iso', 'msrs.def', 'disk.img', 'bios.bin'):
            if (run / f).exists():
                shutil.move(run / f, work / f)
        paths.replace_dir(work, home)


def checkpoint(series, root, shape):
    """The directory of a machine of SHAPE with the payload in ROOT and a user partition that is up."""
    whole = emulator.Shape(**shape)
    key = paths.key(whole.key(), _content(root), Path(__file__).read_text())
    home = paths.CHECKPOINTS / f'{whole}-user-{series}-{key}'
    if home in _failed:
        raise RuntimeError(f'the user partition did not boot before: {_failed[home]}')
    with emulator.locked(paths.CHECKPOINTS / f'{home.name}.lock'):
        if not (home / 'ck' / 'SAVED').exists():
            try:
                _boot_and_save(home, series, root, shape)
            except Exception as e:
                _failed[home] = str(e)
                raise
        os.utime(home)
    return home / 'ck'
