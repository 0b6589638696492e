# SPDX-License-Identifier: GPL-2.0
"""A server of diskless clients in a network namespace, what avmm-server makes of it, and clients that boot from it.

Nothing of it can be reached from outside: the namespace has a bridge and its machines, and no way out.
"""

import base64
import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from . import emulator, paths
from .machine import Gone, Machine, TimedOut

CLONE_NEWNET = 0x40000000
SERVER = paths.TOP / 'userspace-ctl/server/avmm-server'
ADDRESS = '10.99.0.1'
MAC = '52:54:00:12:34:56'
ROM = '/usr/lib/ipxe/qemu/pxe-e1000.rom'        # as a card's own
BIOS = '/usr/share/seabios/bios-256k.bin'       # that of Bochs knows no network
# Much of netboot is waiting, and iPXE waits by counting: a slower clock makes that shorter.
IPS = 100_000_000
# SeaBIOS's ACPI tables have QEMU's PCI hotplug registers. Bochs has none there, so all its cards would seem to be pulled.
NO_HOTPLUG = 'acpiphp.disable=1 acpi_mask_gpe=0x01'

libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with a bridge that has ADDRESS. It ends with its holder."""

    def __init__(self):
        self.holder = subprocess.Popen(['unshare', '-n', 'sh', '-c', 'echo; exec sleep 100000'], stdout=subprocess.PIPE,
                                       preexec_fn=emulator._in_child)
        self.holder.stdout.readline()
        self.run('ip link set lo up; ip link add br0 type bridge; '
                 f'ip addr add {ADDRESS}/24 dev br0; ip link set br0 up')

    @contextmanager
    def entered(self):
        """This thread, and the processes that it starts, are in it."""
        with open('/proc/thread-self/ns/net') as home, open(f'/proc/{self.holder.pid}/ns/net') as here:
            self._set(here)
            try:
                yield
            finally:
                self._set(home)

    @staticmethod
    def _set(file):
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'setns')

    def command(self, *argv):
        return ['nsenter', f'--net=/proc/{self.holder.pid}/ns/net', *map(str, argv)]

    def run(self, script, check=True):
        return subprocess.run(self.command('sh', '-ec', script), check=check, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def tap(self, name):
        self.run(f'ip tuntap add dev {name} mode tap; ip link set {name} master br0 up')

    def close(self):
        self.holder.kill()
        self.holder.wait()


class Server:
    """avmm-server in DIRECTORY, and the programs that it makes configurations for."""

    def __init__(self, space, directory, ini=''):
        self.space = space
        self.directory = Path(directory)
        self.file = self.directory / 'server.ini'
        self.root = self.directory / 'avmm'
        self.processes = {}
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file.write_text(f'[server]\naddress = {ADDRESS}\ndirectory = {self.root}\n' + ini)

    def avmm(self, *arguments, check=True):
        command = ['/usr/bin/python3', str(SERVER), '--config', str(self.file), '--no-reload', *map(str, arguments)]
        with self.space.entered():
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or not done.returncode, done.stdout
        return done

    def _spawn(self, name, *argv):
        log = open(self.directory / f'{name}.log', 'ab')
        self.processes[name] = subprocess.Popen(self.space.command(*argv), stdout=log, stderr=subprocess.STDOUT,
                                                stdin=subprocess.DEVNULL, preexec_fn=emulator._in_child)
        log.close()

    def start(self, *names):
        generated = self.root / 'generated'
        commands = {
            'dhcp': ('dnsmasq', '--no-daemon', f'--conf-file={generated}/dnsmasq.conf', '--user=root'),
            'http': ('nginx', '-g', 'user root; daemon off;', '-c', generated / 'nginx.conf'),
            'nbd': ('nbd-server', '-C', generated / 'nbd-server.conf', '-p', self.directory / 'nbd.pid'),
        }
        for name in names or commands:
            conf = {'dhcp': 'dnsmasq.conf', 'nbd': 'nbd-server.conf', 'http': 'nginx.conf'}[name]
            if not (generated / conf).exists():
                continue
            self._spawn(name, *commands[name])
            if name == 'nbd':
                self.processes[name].wait()
                self._listening(10809)
            if name == 'http':
                self._listening(80)
        return self

    def _listening(self, port):
        with self.space.entered():
            for _ in range(500):
                try:
                    return socket.create_connection((ADDRESS, port), timeout=5).close()
                except OSError:
                    time.sleep(0.02)
        raise AssertionError(f'nothing listens on port {port}: {self.log("http")}{self.log("nbd")}')

    def kill(self, *names):
        for name in names or list(self.processes):
            process = self.processes.pop(name, None)
            if name == 'nbd' and process:
                try:
                    os.killpg(int((self.directory / 'nbd.pid').read_text()), signal.SIGKILL)
                except (OSError, ValueError):
                    pass
            elif process:
                process.terminate()
                process.wait()

    def log(self, name):
        path = self.directory / f'{name}.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def fetched(self):
        """(path, status, bytes) of each HTTP request."""
        path = self.root / 'generated/http.log'
        text = path.read_text() if path.exists() else ''
        return [(p, int(s), int(n)) for p, s, n in re.findall(r'"GET (\S+) [^"]*" (\d+) (\d+)', text)]


def build_service_image(series, out, module=None, check=True):
    """Run the builder; MODULE: take avmm.ko of this series."""
    ko = paths.BUILD / paths.kernel_version(module or series) / 'avmm.ko'
    return subprocess.run(['/usr/bin/python3', '-B', paths.TOP / 'scripts/netboot/build.py', '--kernel', paths.KERNELS / series,
                           '--module', ko, out], check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def service_image(series):
    """The service image for a kernel of SERIES; build.py's output, made anew when a part of it is newer."""
    version = paths.kernel_version(series)
    out = paths.BUILD / 'netboot' / series
    parts = [paths.BUILD / version / 'avmm.ko', paths.BUILD / 'avmmctl', paths.BUILD / 'avmm-nbd',
             *sorted(p for p in (paths.TOP / 'scripts/netboot').rglob('*') if p.is_file() and p.suffix != '.pyc')]
    key = paths.key(version, *map(paths.content, parts))
    with emulator.locked(paths.BUILD / 'netboot' / f'{series}.lock'):
        if not (out / 'key').exists() or (out / 'key').read_text() != key:
            build_service_image(series, out)
            (out / 'key').write_text(key)
    return out


def linux_image(out, kernel, initrd):
    """What `avmm-server image add` takes for a user partition that is booted directly."""
    out.mkdir(parents=True, exist_ok=True)
    for name, source in (('vmlinuz', kernel), ('initrd.img', initrd)):
        (out / name).unlink(missing_ok=True)
        os.symlink(source, out / name)
    return out


class _Diskless(emulator.Emulator):
    """A PC without disk or CD, whose network card has iPXE in its ROM."""

    def __init__(self, shape, run, space, tap):
        super().__init__(shape, run)
        self.space = space
        self.tap = tap

    def cold(self, payload=None):
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        self.space.tap(self.tap)
        port = emulator.free_port()
        text = emulator.bochsrc(self.shape, self.run, port)
        changes = ((r'^romimage:.*', f'romimage: file={BIOS}'), (r'^boot:.*', 'boot: network'), (r'^ata.*\n', ''),
                   (r'^cpu:(.*)ips=\d+', rf'cpu:\1ips={IPS}'))
        for pattern, new in changes:
            text = re.sub(pattern, new, text, flags=re.M)
        text += f'e1000: enabled=1, mac={MAC}, ethmod=tuntap, ethdev=/dev/net/tun:{self.tap}, script=none, bootrom={ROM}\n'
        (self.run / 'bochsrc').write_text(text)
        with self.space.entered():
            self._spawn(['-f', str(self.run / 'bochsrc')], port, save='ck')


class Diskless(Machine):
    """A machine of the lab that boots from the network; its serial line shows what a person at it would see."""

    def __init__(self, space, name, tap='tap0', **shape):
        super().__init__(name, checkpoint=False, **{'net': False, 'mem': 512, **shape})
        self.space = space
        self.tap = tap

    def start(self):
        self.emulator = _Diskless(self.shape, paths.LOGS / self.name, self.space, self.tap)
        self.emulator.cold()
        return self

    def expect(self, regex, timeout=300):
        """The text up to and with REGEX."""
        try:
            return self.wait_console(regex, timeout)
        except (Gone, TimedOut) as e:
            raise type(e)(f'{e}\n{self.last_words()}') from None

    def type(self, text):
        self.emulator.write(text.encode())

    def guest(self, command, timeout=60):
        """Run COMMAND in the lab's user partition, whose console this is."""
        self._number += 1
        n = self._number
        self.type(f'{n} {base64.b64encode(command.encode()).decode()}\n')
        before, match = self._wait(rf'>{n}:(\d+)\]', timeout)
        assert match.group(1) == '0', before
        return before.split(f'[{n}<', 1)[1]

    def service(self, command, timeout=60):
        """Run COMMAND in the service partition's shell, which Ctrl-] or a failure led to."""
        self._number += 1
        self.type(f'{command}; echo "<$?:{self._number}>"\n')
        return self._wait(rf'<0:{self._number}>', timeout)[0].split('\n', 1)[-1]


class Quick:
    """A PC of QEMU, without VT-x: three times as fast, and its screen is on the serial line, iPXE's words too."""

    def __init__(self, space, directory, tap='tap1', mac=MAC, uefi=False):
        self.space = space
        self.log = Path(directory) / 'serial.log'
        self.seen = 0
        space.tap(tap)
        card = 'virtio-net-pci,romfile=' if uefi else f'e1000,romfile={ROM}'
        firmware = ['-bios', '/usr/share/ovmf/OVMF.fd'] if uefi else []
        self.argv = ['qemu-system-x86_64', '-M', 'pc', '-m', '512', '-nographic', '-monitor', 'none', '-serial', 'stdio',
                     '-no-reboot', *firmware, '-netdev', f'tap,id=n,ifname={tap},script=no,downscript=no',
                     '-device', f'{card},netdev=n,mac={mac},bootindex=1'.replace(',,', ',')]
        self.process = None

    def start(self):
        out = open(self.log, 'wb')
        self.process = subprocess.Popen(self.space.command(*self.argv), stdin=subprocess.PIPE, stdout=out,
                                        stderr=subprocess.STDOUT, preexec_fn=emulator._in_child)
        out.close()
        return self

    def text(self):
        """What it wrote, without the colours and movements of a terminal."""
        text = self.log.read_bytes().decode(errors='replace')
        return re.sub(r'\x1b\[[0-9;?=]*[A-Za-z]|\x1b[c=>()][0B]?|\r', '', text)

    def clock(self):
        """Seconds of CPU time, as Emulator.clock()."""
        try:
            fields = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def expect(self, regex, timeout=120):
        """The text since the last call up to and with REGEX. TIMEOUT is CPU time, and ten times that of the clock."""
        deadline, late = self.clock() + timeout, time.monotonic() + 10 * timeout
        while True:
            text = self.text()
            match = re.compile(regex).search(text, self.seen)
            if match:
                found, self.seen = text[self.seen:match.end()], match.end()
                return found
            ended = self.process.poll() is not None
            if ended or self.clock() > deadline or time.monotonic() > late:
                what = 'it ended' if ended else f'not after {timeout} s'
                raise TimedOut(f'{regex!r}: {what}\n{text[-3000:]}')
            time.sleep(0.1)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Nbd:
    """A client of one export: reads, tries to write. Enough of the protocol for that."""

    def __init__(self, space, name, address=ADDRESS, port=10809):
        with space.entered():
            self.socket = socket.create_connection((address, port), timeout=60)
        magic, option, flags = struct.unpack('>8s8sH', self._read(18))
        assert (magic, option) == (b'NBDMAGIC', b'IHAVEOPT')
        self.socket.sendall(struct.pack('>I', flags & 3))
        # NBD_OPT_GO with no information requests; EXPORT_NAME would just hang up for a name that is not there
        payload = struct.pack('>I', len(name)) + name.encode() + struct.pack('>H', 0)
        self.socket.sendall(b'IHAVEOPT' + struct.pack('>II', 7, len(payload)) + payload)
        while True:
            _, _, kind, length = struct.unpack('>QIII', self._read(20))
            data = self._read(length)
            if kind == 1:
                return
            if kind & 0x80000000:
                raise OSError(f'export {name}: {data.decode(errors="replace")}')
            if kind == 3 and data[:2] == b'\0\0':
                self.size, self.flags = struct.unpack('>QH', data[2:12])

    def _read(self, size):
        data = b''
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError('the server hung up')
            data += part
        return data

    def _request(self, kind, offset, length, data=b''):
        self.socket.sendall(struct.pack('>IHHQQI', 0x25609513, 0, kind, 1, offset, length) + data)
        magic, error, _ = struct.unpack('>IIQ', self._read(16))
        assert magic == 0x67446698
        return error

    def read(self, offset, length):
        assert self._request(0, offset, length) == 0
        return self._read(length)

    def write(self, offset, data):
        """The error number, 0 for none."""
        return self._request(1, offset, len(data), data)

    def read_only(self):
        return bool(self.flags & 2)

    def close(self):
        self.socket.close()


class Scripted:
    """A client without a machine: the requests of firmware, iPXE and the service image's own steps, in a namespace."""

    def __init__(self, server, number, directory):
        self.server = server
        self.mac = f'52:54:00:00:00:{number:02x}'
        self.directory = Path(directory) / f'client{number}'
        for name in ('bin', 'run', 'dev'):
            (self.directory / name).mkdir(parents=True)
        self.holder = subprocess.Popen(['unshare', '-n', 'sh', '-c', 'echo; exec sleep 100000'], stdout=subprocess.PIPE,
                                       preexec_fn=emulator._in_child)
        self.holder.stdout.readline()
        name = f'veth{number}'
        server.space.run(f'ip link add {name} type veth peer name eth0 netns {self.holder.pid} address {self.mac}; '
                         f'ip link set {name} master br0 up')
        self.run('ip link set lo up; ip link set eth0 up')

    def command(self, *argv):
        return ['nsenter', f'--net=/proc/{self.holder.pid}/ns/net', *map(str, argv)]

    def run(self, script, env=None):
        done = subprocess.run(self.command('sh', '-ec', script), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, **(env or {})}, check=False)
        assert done.returncode == 0, f'{script}: {done.stdout}'
        return done.stdout

    def dhcp(self, *options):
        """What a DHCP answer to OPTIONS of udhcpc has, as its script sees it."""
        script = self.directory / 'dhcp.sh'
        script.write_text('#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr flush dev eth0; '
                          'ip addr add "$ip/$mask" dev eth0; env\n')
        script.chmod(0o755)
        out = self.run(f'busybox udhcpc -i eth0 -n -q -f -t 10 -T 1 {" ".join(options)} -s {script}')
        found = dict(re.findall(r'^(\w+)=(.*)$', out, re.M))
        return {**found, 'boot_file': found.get('boot_file') or found.get('bootfile')}

    def get(self, url):
        return subprocess.run(self.command('curl', '-sf', '--noproxy', '*', url), stdout=subprocess.PIPE, check=False)

    def steps(self, *names, cmdline=''):
        """Run steps of the service image's own script; returns user.ini."""
        d, client = self.directory, paths.TOP / 'scripts/netboot/client'
        (d / 'cmdline').write_text(cmdline + '\n')
        (d / 'consoles').write_text('tty0\n')
        for name, script in (('udhcpc', 'exec busybox udhcpc "$@" -q'), ('wget', 'exec busybox wget "$@"')):
            (d / 'bin' / name).write_text(f'#!/bin/sh\n{script}\n')
            (d / 'bin' / name).chmod(0o755)
        env = {'PATH': f'{d}/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'AVMM_RUN': f'{d}/run', 'AVMM_LIBRARY': f'{client}',
               'AVMM_CMDLINE': f'{d}/cmdline', 'AVMM_CONSOLES': f'{d}/consoles', 'AVMM_DEV': f'{d}/dev', 'AVMM_ANY_CARD': 'y',
               'AVMM_RESOLV': f'{d}/resolv.conf', 'AVMM_PAUSE': '0.2'}
        # /sys shows the network cards of whoever mounted it
        script = f'mount -t sysfs sys /sys; . {client}/steps.sh; {" && ".join(names)} || {{ echo "$problem"; exit 1; }}'
        done = subprocess.run(self.command('unshare', '-m', 'dash', '-c', script), env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        assert done.returncode == 0, f'{done.stdout}{(d / "run/log").read_text()}'
        return (d / 'run/user.ini').read_text()

    def close(self):
        self.holder.kill()
        self.holder.wait()
