# SPDX-License-Identifier: GPL-2.0
"""The user partition of a machine: what it boots, its start, and a shell in it over its serial console.

Its boot takes most of a minute, so it is done once: checkpoint() saves a machine whose user partition waits at its shell.
What is tested is in that checkpoint, so its name is a hash of the module, the tools and the guest too.
"""

import base64
import lzma
import os
import re
import shutil
import struct
import tempfile
from pathlib import Path

from . import avmm, emulator, image, paths, payload
from .machine import PRELUDE, CommandFailed, Gone, Machine, Result, Shell

GUEST = Path(__file__).resolve().parent / 'guest-user'
MODULES = ['drivers/acpi/button.ko', 'drivers/input/evdev.ko',     # the power button
           'drivers/net/ethernet/8390/8390.ko', 'drivers/net/ethernet/8390/ne2k-pci.ko']
DISK_MODULES = ['ata_piix', 'sd_mod', 'sr_mod']                     # with all that they need, by disk_drivers()
CARD_MODULES = {'net': ['e1000'],                                   # likewise, by card_drivers()
                'usb': ['uhci-hcd', 'xhci-pci', 'xhci-pci-renesas', 'usb-storage'],     # the last xhci with 6.12 only
                'sound': ['snd-ens1370', 'snd-pcm-oss'],
                'desk': ['psmouse']}
TOOLS = {'pci': [Path('/usr/bin/lspci')]}                             # programs of the distribution, likewise
INI, IN, OUT, PID = '/root/user.ini', '/tmp/user.in', '/tmp/user.out', '/tmp/user.pid'
CMDLINE = 'console=ttyS0,115200 quiet panic=-1 rdinit=/init'
SERVICE_CARDS = '/root/cards'
BOOT_SECONDS = 400
BOOT_SHARE = 90

_failed = {}


def _programs():
    return sorted(p for p in (paths.BUILD / 'tests/bin').glob('*') if p.is_file())


def module_bytes(series, name):
    found, = (paths.KERNELS / series / 'lib/modules' / paths.kernel_version(series) / 'kernel').glob(f'{name}*')
    data = found.read_bytes()
    return lzma.decompress(data) if found.suffix == '.xz' else data


def module_order(series, names):
    """Files of the modules NAMES and of all that they need, in the order of loading."""
    root = paths.KERNELS / series / 'lib/modules' / paths.kernel_version(series)
    order = []
    for line in (root / 'modules.dep').read_text().splitlines():
        name, _, needs = line.partition(':')
        if name.split('/')[-1].split('.')[0] in names:
            order += [n for n in [*reversed(needs.split()), name] if n not in order]
    return [n.removeprefix('kernel/').split('.ko')[0] + '.ko' for n in order]


def _folders(drivers):
    """{folder: modules} of an initramfs for DRIVERS."""
    found = {'disk': DISK_MODULES} if drivers else {}
    return {**found, 'card': CARD_MODULES[drivers]} if drivers in CARD_MODULES else found


def _fill(series, root, drivers):
    for d in ('bin', 'modules', *(f'modules/{folder}' for folder in _folders(drivers)), 'usr/local/bin'):
        (root / d).mkdir(parents=True)
    shutil.copy('/bin/busybox', root / 'bin/busybox')
    shutil.copy(GUEST / 'init', root / 'init')
    (root / 'init').chmod(0o755)
    for name in MODULES:
        (root / 'modules' / Path(name).name).write_bytes(module_bytes(series, name))
    for folder, names in _folders(drivers).items():
        for n, name in enumerate(module_order(series, names)):
            (root / 'modules' / folder / f'{n:02}-{Path(name).name}').write_bytes(module_bytes(series, name))
    for program in _programs():
        shutil.copy(program, root / 'usr/local/bin' / program.name)
    for program in TOOLS.get(drivers, ()):
        payload.program(program, root, str(program))


def initramfs(series, drivers=None):
    """
    What a user partition's kernel of SERIES boots into; built once per content. DRIVERS: 'disk', or one of CARD_MODULES or
    TOOLS for direct-access devices, too.
    """
    parts = [MODULES, _folders(drivers), (GUEST / 'init').read_text(), paths.kernel_version(series)]
    final = paths.IMAGES / f'user-{series}-{paths.key(*parts, *map(paths.content, _programs() + TOOLS.get(drivers, [])))}'
    if not final.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=paths.IMAGES))
        _fill(series, work / 'root', drivers)
        image.pack(work / 'root', work / 'initramfs')
        shutil.rmtree(work / 'root')
        paths.replace_dir(work, final)
    return final / 'initramfs'


def load_cards(shell, folder=SERVICE_CARDS):
    """The drivers in FOLDER, but for those that are there already."""
    shell.run(f'for m in {folder}/*; do n=${{m##*/??-}}; n=${{n%.ko}}; '
              '[ -d /sys/module/$(echo $n | tr - _) ] || busybox insmod $m || exit 1; done', timeout=240)


def card_files(series, drivers):
    """What the payload has to bring for a service of SERIES to drive such a card itself, by load_cards()."""
    found = []
    for n, name in enumerate(module_order(series, CARD_MODULES[drivers])):
        data = module_bytes(series, name)
        path = paths.IMAGES / f'module-{paths.key(data)}.ko'
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(data)
        found.append((f'{SERVICE_CARDS}/{n:02}-{Path(name).name}', path))
    return tuple(found)


# Guests of a few bytes of 64-bit code, for what needs no operating system.
TINY = {
    'spin': bytes.fromhex('ebfe'),
    'halt': bytes.fromhex('faf4ebfd'),
    'triple-fault': bytes.fromhex('0f0b'),              # ud2, and there is no IDT
    'reset': bytes.fromhex('66baf90cb006eeebfe'),       # 6 to port CF9h
    'reset-kbc': bytes.fromhex('b0fee664ebfe'),         # FEh to port 64h
    'reset-pulse': bytes.fromhex('b0f0e664ebfe'),       # F0h: all lines of the output port
    'reset-output': bytes.fromhex('b0d1e664b0fee660ebfe'),  # D1h, and the output port without its lowest bit
    'reset-92': bytes.fromhex('b001e692ebfe'),
    # what must not reach the keyboard controller and resets nothing: FFh, A20 closed by DDh and by the output port
    'no-reset': bytes.fromhex('b0ffe664b0dde664b0d1e664b0dde660faf4ebfd'),
    'power-off': bytes.fromhex('66ba040666b8002066efebfe'),  # S5 to PM1 control
    # output without end, as fast as the line takes it; characters have five bits after a reset, so that 'A' is 1
    'flood': bytes.fromhex('66bafd03eca82074fb66baf803b041eeebee'),
}


def _kernel(code):
    """A kernel as the boot protocol wants it, with CODE at its 64-bit entry."""
    data = bytearray(0x600 + max(512, len(code)))
    struct.pack_into('<B', data, 0x1f1, 1)                            # setup_sects
    struct.pack_into('<HBB4sH', data, 0x1fe, 0xaa55, 0xeb, 0x66, b'HdrS', 0x20f)
    struct.pack_into('<B', data, 0x211, 1)                            # LOADED_HIGH
    struct.pack_into('<II', data, 0x22c, 0x7fffffff, 0x1000)          # initrd_addr_max, kernel_alignment
    struct.pack_into('<BBHI', data, 0x234, 0, 12, 1, 0xfff)           # XLF_KERNEL_64, cmdline_size
    struct.pack_into('<QI', data, 0x258, 1 << 20, 1 << 20)            # pref_address, init_size
    data[0x600:0x600 + len(code)] = code
    return bytes(data)


def _tiny(name):
    out = paths.IMAGES / f'tiny-{name}-{paths.key(TINY[name])}'
    if not out.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=paths.IMAGES, delete=False) as f:
            f.write(_kernel(TINY[name]))
        os.rename(f.name, out)
    return out


def kernel_of(series):
    return paths.KERNELS / series / 'boot' / f'vmlinuz-{paths.kernel_version(series)}'


def files(series, drivers=None):
    """What the payload has to bring for a user partition with a stock kernel of SERIES, and DRIVERS as for initramfs()."""
    return [('/root/vmlinuz', kernel_of(series)), ('/root/initrd', initramfs(series, drivers)),
            *((f'/root/{name}', _tiny(name)) for name in TINY)]


def percent(machine, shared):
    """SHARED percent of the shared CPU, which is the user's only one, as a share of all of MACHINE's."""
    return round(shared / machine.shape.cpus, 1)


def ini(memory='256M', user=BOOT_SHARE, cmdline=CMDLINE, kernel='/root/vmlinuz', initrd='/root/initrd', more='',
        disks='', firmware=None):
    """MORE are lines for [partition], DISKS are whole sections. FIRMWARE: instead of a kernel."""
    direct = (f'kernel = {kernel}\n' + (f'initrd = {initrd}\n' if initrd else '') +
              (f'cmdline = {cmdline}\n' if cmdline else ''))
    boots = f'firmware = {firmware}\n' if firmware else direct
    return f'[partition]\nmemory = {memory}\n{boots}{more}\n[shares]\nuser = {user}\n{disks}'


def until_said(pattern):
    """Shell text: wait for PATTERN in what the partition says. Looks once a second and starts nothing meanwhile: whoever
    does takes a share of the CPU, which is no good where the partition is measured.
    """
    return (f"sh -c 'echo $$ >/tmp/tail.pid; exec tail -f -n +1 {OUT}' | (grep -qm1 '{pattern}'; kill $(cat /tmp/tail.pid))")


class User(Shell):
    """The user partition of MACHINE; run() runs a command in it."""

    def __init__(self, machine, series):
        self.machine = machine
        self.series = series

    def start_file(self, user=BOOT_SHARE, **keys):
        self.machine.write_file(INI, ini(user=percent(self.machine, user), **keys))

    def start(self, timeout=120, **keys):
        self.start_file(**keys)
        self.machine.run(f'avmmctl start {INI}', timeout=timeout)

    def start_tiny(self, name, memory='8M', more=''):
        """One of TINY."""
        self.start(kernel=f'/root/{name}', initrd=None, cmdline=None, memory=memory, more=more)

    def attach(self):
        """A session of avmmctl console that lasts as long as the partition; it begins with all output so far."""
        session = f'echo $$ >{PID}; exec avmmctl console <>{IN} >>{OUT} 2>&1'
        self.machine.run(f'rm -f {IN} {PID}; mkfifo {IN}; : >{OUT}; setsid sh -c {session!r} &\n'
                         f'until [ -s {PID} ]; do sleep 0.01; done')

    def wait_up(self, timeout=BOOT_SECONDS, before=0):
        """Until it waits at its shell; returns what it wrote, and BEFORE others did."""
        loop = (f'until [ $(grep -c GUEST-UP {OUT}) -gt {before} ]; do '
                f'kill -0 $(cat {PID}) 2>/dev/null || exit 1; sleep 0.2; done')
        result = self.machine.run(loop, timeout=timeout, check=False)
        output = self.machine.run(f'cat {OUT}').output
        if not result:
            raise Gone(f'the user partition ended while booting: {output}\n{self.machine.out("avmmctl status")}')
        return output

    def disk_drivers(self, options=''):
        """Of an initramfs with drivers for a disk; OPTIONS are libata's. Disks are /dev/disk0 to /dev/disk3 then."""
        self.run(f'for m in /modules/disk/*; do case $m in *libata*) o="{options}";; *) o=;; esac; '
                 'busybox insmod $m $o || exit 1; done; '
                 'for i in $(seq 100); do [ -e /sys/class/ata_port/ata2 ] && break; sleep 0.1; done; '
                 'sleep 0.5; for n in 0 1 2 3; do b=/sys/bus/scsi/devices/$((n / 2)):0:$((n % 2)):0/block; '
                 '[ -d $b ] && ln -sf $(ls $b) /dev/disk$n; done; true', timeout=240)

    def card_drivers(self):
        """Of an initramfs with these. What disk_drivers() has loaded already does not matter."""
        load_cards(self, '/modules/card')

    def boot(self, **keys):
        # the console's log outlives partitions
        before = self.machine.out('avmmctl console --dump 2>/dev/null | grep -c GUEST-UP || true')
        self.start(**keys)
        self.attach()
        return self.wait_up(before=int(before))

    def run(self, command, timeout=60, check=True, poll=0.05):
        """As Machine.run(), in the user partition. TIMEOUT is the emulator's CPU time for both, POLL in seconds of the
        machine's time how often it looks for the end; None: as until_said() does.
        """
        self._number += 1
        n = self._number
        text = base64.b64encode(f'{PRELUDE}\n{command}\n'.encode()).decode()
        end = f'>{n}:[0-9]*]'
        wait = f"until grep -q '{end}' {OUT}; do kill -0 $(cat {PID}) || exit 1; sleep {poll}; done"
        answer = self.machine.run(f': >{OUT}; echo {n} {text} >{IN}\n{until_said(end) if poll is None else wait}\ncat {OUT}',
                                  timeout=timeout, check=False)
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

    def wait_gone(self, timeout=120):
        """Until there is none any more and its supervisor has ended; why it ended, in status's words."""
        there = """avmmctl status --json | grep -q '"name": *"user"'"""
        self.machine.run(f'while {there} || [ -s /run/avmm.pid ]; do sleep 0.1; done', timeout=timeout)
        return avmm.status(self.machine)['last_reason']

    def status(self):
        return next(p for p in avmm.status(self.machine)['partitions'] if p['name'] == 'user')

    def shares(self, user, caps=''):
        """USER percent of the shared CPU."""
        self.machine.run(f'avmmctl shares --user {percent(self.machine, user)} {caps}')

    def times(self, seconds):
        """What passed within SECONDS of the service's time: {user, service, idle, monitor, all} in ticks."""
        user = avmm.user_stats(self.machine, seconds)
        times = {k: user[f'time_{k}'] for k in ('user', 'service', 'idle', 'monitor')}
        return {**times, 'all': sum(times.values())}

    def stop(self):
        self.machine.run('avmmctl stop --force --timeout 0', timeout=120)


def _content(root):
    return [(str(p.relative_to(root)), paths.content(p)) for p in sorted(root.rglob('*')) if p.is_file()]


def _boot_and_save(home, series, root, shape, parameters):
    with Machine(name=f'boot-user/{home.name}', payload=root, **shape) as m:
        avmm.launch(m, parameters=parameters)
        User(m, series).boot()
        m.run('avmmctl pause')
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


def checkpoint(series, root, shape, parameters=''):
    """
    The directory of a machine of SHAPE with the payload in ROOT and a user partition that is up, but paused: no CPU
    is in it, whose TSC offset the emulator would not save right.
    """
    whole = emulator.Shape(**shape)
    key = paths.key(whole.key(), _content(root), ini(user=BOOT_SHARE), parameters)
    home = paths.CHECKPOINTS / f'{whole}-user-{series}-{key}'
    if home in _failed:
        raise RuntimeError(f'the user partition did not boot before: {_failed[home]}')
    with emulator.locked(paths.CHECKPOINTS / f'{home.name}.lock'):
        if not (home / 'ck' / 'SAVED').exists():
            try:
                _boot_and_save(home, series, root, shape, parameters)
            except Exception as e:
                _failed[home] = str(e)
                raise
        os.utime(home)
    return home / 'ck'
