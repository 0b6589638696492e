# SPDX-License-Identifier: GPL-2.0
"""One Bochs process: its configuration, its serial port, its checkpoints, its end."""

import atexit
import ctypes
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import image, paths

BASE_CMDLINE = 'console=ttyS0,115200 panic=-1 quiet rdinit=/init'
# CPUID claims another frequency than the emulated one, so that the kernel has to be told.
STABLE_TSC = 'tsc=reliable tsc_early_khz=400000'

KEEP, KEEP_SECONDS = 24, 3600       # checkpoints; what was used within the hour stays in any case

LOG_BYTES = 1 << 20                 # of the emulator's log that stay: it has a line for each MSR that it does not know

running = set()


PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def _in_child():
    """Dies with the test, however that ends; a guest's output after the reader has gone is no reason to."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@atexit.register
def _kill_all():
    for emulator in list(running):
        emulator.kill()


@dataclass(frozen=True)
class Shape:
    """All that a checkpoint depends on, besides the images' contents."""
    kernel: str = '6.1'
    cpus: int = 1
    mem: int = 512
    model: str = 'corei7_skylake_x'
    cmdline: str = STABLE_TSC
    mwait: bool = None          # None: only where it does not spin, that is on one CPU
    exclude: tuple = ()         # CPU features taken away
    msrs: tuple = ()            # lines of Bochs's msrs.def
    feature_control: int = None  # what the BIOS puts there instead of 5
    net: bool = True
    disk: int = 0               # MiB of a disk on ata0-master
    ips: int = 400_000_000
    boot_extra: tuple = field(default=())   # lines of bochsrc; RUN in one is the machine's directory

    def full_cmdline(self):
        return ' '.join(filter(None, (BASE_CMDLINE, self.cmdline)))

    def key(self):
        rc = bochsrc(self, Path('/'), 0)
        bochs = (paths.CACHE / 'bochs' / 'key').read_text()
        return paths.key(self, rc, bochs, self.full_cmdline(), image.base_key(self.kernel), image.PAYLOAD_SIZE)

    def __str__(self):
        return f'{self.kernel}-{self.cpus}cpu-{self.mem}M-{self.model}'


def bochsrc(shape, run, port):
    """The text of the configuration for SHAPE with its files in RUN."""
    mwait = shape.cpus == 1 if shape.mwait is None else shape.mwait
    exclude = ','.join((*shape.exclude, *(() if mwait else ('mwait',))))
    excluded = f'exclude_features="{exclude}", ' if exclude else ''
    rom = image.BIOS if shape.feature_control is None else f'{run}/bios.bin'
    msrs = f'msrs="{run}/msrs.def", ' if shape.msrs else ''
    lines = [
        'display_library: nogui',
        f'memory: guest={shape.mem}, host={min(shape.mem, 2048)}',
        f'romimage: file={rom}',
        'vgaromimage: file=/usr/share/vgabios/vgabios.bin',
        f'cpu: model={shape.model}, count={shape.cpus}, ips={shape.ips}, {excluded}{msrs}reset_on_triple_fault=0',
        'ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14',
        'ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15',
        f'ata1-master: type=cdrom, path={run}/boot.iso, status=inserted',
        f'ata1-slave: type=cdrom, path={run}/payload.cd, status=inserted',
        'boot: cdrom',
        'clock: sync=none, time0=1700000000',
        f'com1: enabled=1, mode=socket-server, dev=127.0.0.1:{port}',
        'sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy',
        'port_e9_hack: enabled=1',
        f'log: {run}/bochs.log',
        'panic: action=fatal',
        'error: action=report',
        'info: action=ignore',
        *(line.replace('RUN', str(run)) for line in shape.boot_extra),
    ]
    if shape.net:
        lines.append('e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=none')
    if shape.disk:
        lines.append(f'ata0-master: type=disk, mode=flat, path={run}/disk.img')
    return '\n'.join(lines) + '\n'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Emulator:
    """A running machine. `serial` collects all bytes that its serial port sent."""

    def __init__(self, shape, run):
        self.shape = shape
        self.run = Path(run)
        self.process = None
        self.socket = None
        self.serial = bytearray()
        self.log = None
        self.udp_port = free_port()         # of this machine; by slirp.conf what comes there goes to port 9 of who has the card
        self.payload_used = 0
        self.saved = None

    def _files(self, payload):
        self.run.mkdir(parents=True, exist_ok=True)
        for stale in ('serial.log', 'bochs.log', 'stdout.log', 'disk.img.lock'):
            (self.run / stale).unlink(missing_ok=True)
        (self.run / 'slirp.conf').write_text('# slirp config\nbootfile = boot.ipxe\n'
                                             f'hostfwd = udp:127.0.0.1:{self.udp_port}-:9\n')
        self.payload_used = image.payload_cd(payload, self.run / 'payload.cd')

    def cold(self, payload=None, boot=None):
        """Start from power-on. BOOT: another (kernel, initramfs, command line) than the shape's."""
        self._files(payload)
        shape = self.shape
        image.boot_cd(*(boot or (*image.base(shape.kernel), shape.full_cmdline())), self.run / 'boot.iso')
        if shape.feature_control is not None:
            image.bios(shape.feature_control, self.run / 'bios.bin')
        if shape.msrs:
            (self.run / 'msrs.def').write_text('\n'.join(shape.msrs) + '\n')
        if shape.disk:
            with open(self.run / 'disk.img', 'wb') as f:
                f.truncate(shape.disk << 20)
        port = free_port()
        (self.run / 'bochsrc').write_text(bochsrc(shape, self.run, port))
        self._spawn(['-f', str(self.run / 'bochsrc')], port, save='ck')

    def restore(self, checkpoint, payload=None):
        """Start from CHECKPOINT, whose big files are shared and not modified."""
        self._files(payload)
        ck = self.run / 'ck'
        shutil.rmtree(ck, ignore_errors=True)
        ck.mkdir()
        for f in checkpoint.iterdir():
            if f.name == 'config':
                continue
            if f.name == 'memory.ram':
                (ck / f.name).symlink_to(f)
            else:
                shutil.copy(f, ck / f.name)
        for name in ('boot.iso', 'msrs.def', 'disk.img', 'bios.bin'):
            if (checkpoint.parent / name).exists():
                shutil.copy(checkpoint.parent / name, self.run / name)
        port = free_port()
        config = (checkpoint / 'config').read_text().replace(str(checkpoint.parent), str(self.run))
        config = re.sub(r'dev="127\.0\.0\.1:\d+"', f'dev="127.0.0.1:{port}"', config)
        (ck / 'config').write_text(config)
        self._spawn(['-r', str(ck)], port, save='saved')

    def _spawn(self, args, port, save):
        self.saved = self.run / save
        self.saved.mkdir(exist_ok=True)
        env = {'BX_SAVE_DIR': str(self.saved), 'BX_SAVE_EXIT': '1'}
        out = open(self.run / 'stdout.log', 'wb')
        self.process = subprocess.Popen([str(paths.BOCHS), '-q', *args], cwd=self.run, stdin=subprocess.DEVNULL,
                                        stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **env},
                                        preexec_fn=_in_child)
        out.close()
        running.add(self)
        self.log = open(self.run / 'serial.log', 'wb', buffering=0)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.socket = socket.create_connection(('127.0.0.1', port), timeout=5)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f'the emulator did not start: {self.stdout()[-2000:]}') from None
                time.sleep(0.05)
        self.socket.setblocking(False)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def clock(self):
        """Seconds of CPU time that the emulator had: deadlines by it do not depend on what else the host does."""
        try:
            fields = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def read(self, timeout):
        """Wait at most TIMEOUT for serial output; False when there was none."""
        if self.socket is None:
            return False
        if not select.select([self.socket], [], [], timeout)[0]:
            return False
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b''
        if not data:
            self.socket.close()
            self.socket = None
            return False
        self.serial += data
        self.log.write(data)
        return True

    def write(self, data):
        if self.socket is None:
            return
        self.socket.setblocking(True)
        try:
            self.socket.sendall(data)
        except OSError:
            pass
        finally:
            self.socket.setblocking(False)

    def save(self, timeout=120):
        """Save a checkpoint to self.saved; the emulator ends."""
        self.process.send_signal(signal.SIGUSR1)
        deadline = self.clock() + timeout
        while self.process.poll() is None:
            self.read(0.2)
            if self.clock() > deadline:
                raise RuntimeError('the checkpoint was not saved in time')
        if not (self.saved / 'SAVED').exists():
            raise RuntimeError(f'the checkpoint failed: {self.last_log()}')
        for cpu in self.saved.glob('cpu?'):
            # The emulator loses the sign of a guest's TSC offset (docs/lab-notes.md).
            if not re.search(r'tsc_offset = 0x0\b', cpu.read_text()):
                raise RuntimeError(f'the checkpoint is useless: {cpu.name} was in a guest with a TSC offset')
        # Memory that is all zeroes takes no room: a machine with a user partition would take 1 GiB.
        subprocess.run(['fallocate', '--dig-holes', self.saved / 'memory.ram'], check=True)

    @contextmanager
    def held(self):
        """No time passes: an idle machine takes as much of the host as a busy one."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def wait_end(self, timeout):
        deadline = self.clock() + timeout
        while self.process.poll() is None and self.clock() < deadline:
            self.read(0.1)
        return not self.alive()

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
        while self.socket is not None and self.read(0):
            pass
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        if self.log:
            self.log.close()
            self.log = None
        running.discard(self)

    def tidy(self):
        """Leave only the logs."""
        for name in ('ck', 'saved'):
            shutil.rmtree(self.run / name, ignore_errors=True)
        for name in ('boot.iso', 'payload.cd', 'disk.img', 'bios.bin'):
            (self.run / name).unlink(missing_ok=True)
        log = self.run / 'bochs.log'
        if log.exists() and log.stat().st_size > LOG_BYTES:
            with open(log, 'rb') as f:
                f.seek(-LOG_BYTES, os.SEEK_END)
                end = f.read()
            log.write_bytes(end)

    def last_log(self, lines=6):
        try:
            text = (self.run / 'bochs.log').read_text(errors='replace')
        except OSError:
            return ''
        return '\n'.join(text.splitlines()[-lines:])

    def stdout(self):
        """What the guest wrote to port 0xE9, and the emulator's own words."""
        return (self.run / 'stdout.log').read_text(errors='replace')


@contextmanager
def locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _prune():
    """Checkpoints of kernels, emulators and initramfs that are no more: the least recently used go."""
    homes = [p for p in paths.CHECKPOINTS.glob('*') if p.is_dir()]
    for home in sorted(homes, key=lambda p: p.stat().st_mtime)[:-KEEP]:
        if time.time() - home.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(home, ignore_errors=True)


def checkpoint(shape):
    """The directory of SHAPE's checkpoint, made by a cold boot when it is not there."""
    home = paths.CHECKPOINTS / f'{shape}-{shape.key()}'
    _prune()
    with locked(paths.CHECKPOINTS / f'{home.name}.lock'):
        if not (home / 'ck' / 'SAVED').exists():
            shutil.rmtree(home, ignore_errors=True)
            boot = Emulator(shape, home)
            try:
                boot.cold()
                wait_ready(boot, 240)
                boot.read(0.5)
                boot.save()
            finally:
                boot.kill()
            (home / 'payload.cd').unlink()
        os.utime(home)
    return home / 'ck'


def wait_ready(emulator, timeout):
    deadline = emulator.clock() + timeout
    while b'<READY>' not in emulator.serial:
        if not emulator.read(0.2) and not emulator.alive():
            raise RuntimeError(f'the machine ended while booting: {emulator.last_log()}\n'
                               f'{emulator.serial[-2000:].decode(errors="replace")}')
        if emulator.clock() > deadline:
            raise RuntimeError(f'no shell after {timeout} s: {emulator.serial[-2000:].decode(errors="replace")}')
