# SPDX-License-Identifier: GPL-2.0
"""A PC of QEMU with an IOMMU, for what the emulator lacks; it has no VT-x. A stock kernel, and a shell on its serial line."""

import base64
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from . import emulator, image, paths, payload, user
from .machine import CommandFailed, Gone, Result, Shell, TimedOut

# On a busy host an emulated timer is late, which the kernel's check at the boot takes for one that does not work.
CMDLINE = 'console=ttyS0,115200 quiet panic=-1 rdinit=/init no_timer_check'
IOMMU = ('-device', 'intel-iommu,intremap=on')


def initramfs(series, modules, files):
    """The lab's user partition's, with MODULES, to be loaded by hand in the order of /modules, and (guest path, file) FILES."""
    parts = [modules, [(dest, paths.content(source)) for dest, source in files], (user.GUEST / 'init').read_text(),
             paths.kernel_version(series)]
    final = paths.IMAGES / f'qemu-{series}-{paths.key(*parts)}'
    if not final.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=paths.IMAGES))
        root = work / 'root'
        for d in ('bin', 'modules/more'):
            (root / d).mkdir(parents=True)
        shutil.copy('/bin/busybox', root / 'bin/busybox')
        shutil.copy(user.GUEST / 'init', root / 'init')
        (root / 'init').chmod(0o755)
        for n, name in enumerate(user.module_order(series, modules)):
            (root / 'modules/more' / f'{n:02}-{Path(name).name}').write_bytes(user.module_bytes(series, name))
        for dest, source in files:
            payload.program(source, root, dest)
        image.pack(root, work / 'initramfs')
        shutil.rmtree(root)
        paths.replace_dir(work, final)
    return final / 'initramfs'


class Pc(Shell):
    """run() runs a command in it. DEVICES: more options of QEMU."""

    def __init__(self, name, series, initrd, devices=(), cmdline=''):
        self.log = paths.LOGS / f'{name}.log'
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.seen = 0
        argv = ['qemu-system-x86_64', '-M', 'q35', '-m', '384', '-nodefaults', '-display', 'none', '-serial', 'stdio',
                '-no-reboot', '-kernel', user.kernel_of(series), '-initrd', initrd, '-append', f'{CMDLINE} {cmdline}', *devices]
        with open(self.log, 'wb') as out, open(self.log.with_suffix('.qemu'), 'wb') as complaints:
            self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=out, stderr=complaints,
                                            preexec_fn=emulator._in_child)
        self._wait('GUEST-UP', 180)
        self._greet()

    def _greet(self):
        """What comes while its shell opens the line may be lost: ask until there is an answer."""
        for n in range(20):
            self._type(f'\n{n} {base64.b64encode(b":").decode()}\n')
            try:
                self._wait(rf'\[{n}<>{n}:0\]', 3)
                break
            except TimedOut:
                pass
        self._number = n

    def _type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def _wait(self, regex, timeout):
        """The match of REGEX behind the last one."""
        deadline = time.monotonic() + timeout
        while True:
            text = self.log.read_bytes().decode(errors='replace').replace('\r', '')
            match = re.compile(regex, re.S).search(text, self.seen)
            if match:
                self.seen = match.end()
                return match
            if self.process.poll() is not None:
                raise Gone(f'QEMU has ended\n{text[-3000:]}')
            if time.monotonic() > deadline:
                raise TimedOut(f'{regex!r}: not after {timeout} s\n{text[-3000:]}')
            time.sleep(0.02)

    def run(self, command, timeout=60, check=True):
        self._number += 1
        n = self._number
        self._type(f'{n} {base64.b64encode(command.encode()).decode()}\n')
        match = self._wait(rf'\[{n}<(.*)>{n}:(\d+)\]', timeout)
        result = Result(match.group(1), int(match.group(2)))
        if check and result.status:
            raise CommandFailed(command, result)
        return result

    def stop(self):
        self.process.kill()
        self.process.wait()
