# SPDX-License-Identifier: GPL-2.0
"""The NBD connection manager, against real servers on the host; and the disguised disk with one behind it.

The guest's idle time passes some forty times as fast as the host's: a second of the host is more than any time-out.
"""

import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time

import pytest

from lab import avmm, paths

MIB = 1 << 20
SIZE = 32 * MIB
HOST = '10.0.2.2'       # as the guest sees it
LIBRARIES = '/lib/x86_64-linux-gnu'


def without_icu_data():
    """libxml2, which libnbd parses URIs with, wants 31 MB of tables that nobody asks for; the payload has to be read."""
    source = 'const char icudt72_dat[16];\n'
    out = paths.IMAGES / f'icudata-{paths.key(source)}.so'
    if not out.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        subprocess.run(['gcc', '-shared', '-Wl,-soname,libicudata.so.72', '-x', 'c', '-', '-o', out], input=source,
                       text=True, check=True)
    return out


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """nbdkit with a file, or whatever ARGS say."""

    def __init__(self, *args, port=None):
        self.port = port or free_port()
        self.args = args
        self.process = None
        self.start()

    def command(self):
        return ['nbdkit', '-f', '-i', '127.0.0.1', '-p', str(self.port), *map(str, self.args)]

    def start(self, *args):
        self.args = args or self.args
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_listening()

    def wait_listening(self):
        for _ in range(200):
            try:
                socket.create_connection(('127.0.0.1', self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise AssertionError(f'nothing listens on port {self.port}: {self.command()}')

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self, *args):
        self.kill()
        self.start(*args)

    def uri(self, export='', scheme='nbd'):
        return f'{scheme}://{HOST}:{self.port}/{export}'


class NbdServer(Server):
    """A daemon, with a process for each connection."""

    def __init__(self, directory, **exports):
        self.pid_file = directory / 'nbd-server.pid'
        self.config = directory / 'nbd-server.conf'
        port = free_port()
        text = f'[generic]\nport = {port}\nlistenaddr = 127.0.0.1\nallowlist = true\n'
        self.config.write_text(text + ''.join(f'[{name}]\nexportname = {path}\n' for name, path in exports.items()))
        super().__init__(port=port)

    def command(self):
        return ['nbd-server', '-C', str(self.config), '-p', str(self.pid_file)]

    def start(self):
        subprocess.run(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        self.wait_listening()

    def kill(self):
        os.killpg(int(self.pid_file.read_text()), signal.SIGKILL)


def image(path, signature=0x1badb002, size=SIZE):
    """A disk with an MBR and nothing else."""
    with open(path, 'wb') as f:
        f.write(bytes(440) + signature.to_bytes(4, 'little') + bytes(66) + b'\x55\xaa')
        f.truncate(size)
    return path


@pytest.fixture
def disk(tmp_path):
    return image(tmp_path / 'disk')


@pytest.fixture
def serve():
    servers = []

    def make(*args, kind=Server, **kwargs):
        servers.append(kind(*args, **kwargs))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def m(lab):
    machine = lab(mem=1024, extra=(('/usr/bin/avmm-nbd', paths.BUILD / 'avmm-nbd'),
                                   (f'{LIBRARIES}/libicudata.so.72', without_icu_data())))
    yield machine
    if not machine.broken:
        machine.run('for d in $(ls /run/avmm/nbd 2>/dev/null | grep json); do '
                    'avmmctl nbd disconnect --force ${d%.json}; done; ip link set eth0 up', timeout=240)


def connect(m, server, *options, uri=None):
    """The idle guest's time-outs are too short for a busy host, so it is kept busy."""
    command = ' '.join(['avmmctl nbd connect', uri or server.uri(), '--device /dev/nbd0', *options])
    return m.run(f'(while :; do :; done) & busy=$!; {command}; status=$?; kill $busy; exit $status', check=False,
                 timeout=240)


def status(m):
    return json.loads(m.out('avmmctl nbd status /dev/nbd0 --json'))['devices'][0]


def wait_state(m, state, reason=''):
    """In short steps of the host's time: what is waited for happens there. The record costs less than the command."""
    for _ in range(200):
        now = json.loads(m.out('cat /run/avmm/nbd/nbd0.json'))
        if now['state'] == state and re.search(reason, now['reason'] or ''):
            return now
        m.run('sleep 0.5')
        time.sleep(0.02)
    raise AssertionError(f'not {state} {reason!r}: {now}')


class Writer:
    """
    Writes 256 KiB at a time, each flushed to the server before the next, while another reads past the cache. At least PIECES,
    and more until it may finish: a quick machine must not be done before the test is.
    """
    most = 90       # that fit on the disk

    def __init__(self, m, pieces=10):
        self.m = m
        m.run('rm -f /tmp/.stop /tmp/.enough /tmp/.pieces; dd if=/dev/urandom of=/tmp/data bs=64k count=4 2>/dev/null; '
              'dd if=/tmp/data of=/dev/nbd0 bs=64k seek=64 conv=notrunc,fsync 2>/dev/null', timeout=240)
        self.reader = m.background(
            'until [ -e /tmp/.stop ]; do dd if=/dev/nbd0 bs=64k skip=64 count=4 iflag=direct 2>/dev/null | '
            'cmp - /tmp/data || exit 1; sleep 0.3; done; echo ok')
        self.writer = m.background(
            f'i=0; while [ $i -lt {pieces} ] || [ ! -e /tmp/.enough -a $i -lt {self.most} ]; do '
            'dd if=/tmp/data of=/dev/nbd0 bs=64k seek=$((128 + i * 4)) conv=notrunc,fsync 2>/dev/null || exit 1; '
            'i=$((i + 1)); echo $i >/tmp/.pieces; sleep 0.2; done')

    def progress(self):
        return int(self.m.out('cat /tmp/.pieces 2>/dev/null || echo 0'))

    def finish(self, disk):
        """Everything was acknowledged, and is on the server's disk."""
        self.m.run('touch /tmp/.enough')
        result = self.writer.wait(timeout=600)
        assert result.status == 0, f'{result.output}\n{self.m.dmesg()[-2000:]}'
        self.m.run('touch /tmp/.stop')
        result = self.reader.wait(timeout=600)
        assert result.status == 0 and result.output == 'ok\n', f'{result.output}\n{self.m.dmesg()[-2000:]}'
        expected = self.m.out('md5sum </tmp/data').split()[0]
        with open(disk, 'rb') as f:
            f.seek(8 * MIB)
            for piece in range(self.progress()):
                assert hashlib.md5(f.read(256 << 10)).hexdigest() == expected, f'piece {piece} was lost'


class Faults:
    """What must hold on each kernel."""

    def test_server_killed_while_writing(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server)
        writer = Writer(m)
        for pause in (0.2, 0.5, 0):
            before = writer.progress()
            server.kill()
            time.sleep(pause)
            server.start()
            wait_state(m, 'connected')
            m.run(f'until [ $(cat /tmp/.pieces || echo 0) -gt {before} ]; do sleep 0.2; done', timeout=240)
        writer.finish(disk)
        now = status(m)
        assert now['reconnects'] >= 3 and now['alive'] == 1 and now['reason'] is None

    def test_another_disk_is_refused(self, m, serve, disk, tmp_path):
        server = serve('file', disk)
        assert connect(m, server)
        assert status(m)['label'] == 'mbr 1badb002'
        writer = Writer(m)
        server.restart('file', image(tmp_path / 'short', size=SIZE - MIB))
        assert 'another size' in wait_state(m, 'refused')['reason']
        before = writer.progress()
        server.restart('file', image(tmp_path / 'other', signature=0xbadc0de))
        assert 'it was mbr 1badb002 and is mbr 0badc0de' in wait_state(m, 'refused', 'label')['reason']
        server.restart('-r', 'file', disk)
        wait_state(m, 'refused', 'read-only')
        assert writer.progress() <= before + 1 and not writer.writer.done()
        server.kill()
        wait_state(m, 'stalled', 'refused')
        server.start('file', disk)
        writer.finish(disk)
        for name in ('short', 'other'):
            assert not any((tmp_path / name).read_bytes()[512:]), f'{name} was written to'

    def test_tls(self, m, serve, disk, tmp_path):
        (tmp_path / 'psk').write_text('lab:' + '5a' * 32 + '\n')
        m.write_file('/tmp/psk', (tmp_path / 'psk').read_text())
        server = serve('--tls=require', f'--tls-psk={tmp_path}/psk', 'file', disk)
        result = connect(m, server)
        assert result.status == 1 and 'TLS' in result.output, result.output
        assert connect(m, server, '--tls-psk /tmp/psk --tls-user lab')
        assert status(m)['tls'] is True
        writer = Writer(m)
        server.restart()
        wait_state(m, 'connected')
        m.run('killall -9 avmm-nbd-tls; sleep 0.5')
        writer.finish(disk)
        assert status(m)['reconnects'] >= 2
        m.run('avmmctl nbd disconnect nbd0; sleep 1; ! pidof avmm-nbd-tls')


class TestNbd(Faults):
    shape = {'kernel': '6.1'}

    def test_connect_use_disconnect(self, m, serve, disk):
        server = serve('--filter=exportname', 'file', disk, 'exportdesc=fixed:golden')
        result = connect(m, server, '--json')
        assert result, result.output
        now = status(m)
        assert json.loads(result.output) == now
        assert (now['device'], now['state'], now['size'], now['block_size'], now['connections'], now['alive'],
                now['read_only'], now['tls'], now['description'], now['label']) == \
            ('/dev/nbd0', 'connected', SIZE, 512, 1, 1, False, False, 'golden', 'mbr 1badb002')
        assert m.out('cat /sys/block/nbd0/size /sys/block/nbd0/queue/write_cache').split('\n') == \
            [str(SIZE // 512), 'write back']
        m.run('dd if=/dev/urandom of=/tmp/d bs=1M count=4; dd if=/tmp/d of=/dev/nbd0 bs=1M seek=8 conv=fsync; '
              'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/nbd0 bs=1M skip=8 count=4 | cmp - /tmp/d')
        with open(disk, 'rb') as f:
            f.seek(8 * MIB)
            assert hashlib.md5(f.read(4 * MIB)).hexdigest() in m.out('md5sum /tmp/d')
        assert 'of 1 connections' in m.out('avmmctl nbd status')
        assert m.out('avmmctl nbd disconnect /dev/nbd0') == '/dev/nbd0: disconnected'
        assert json.loads(m.out('avmmctl nbd status --json')) == {'devices': []}
        m.run('! pidof avmm-nbd; ! ls /run/avmm/nbd/*.json')

    def test_errors_name_the_cause(self, m, serve, disk, tmp_path):
        server = serve('null', '0')
        for arguments, code, why in (
                ('', 2, 'which export'),
                (f'{server.uri()} --connections 0', 2, 'from 1 to 16'),
                (f'{server.uri()} --device /dev/sda', 2, 'no /dev/nbdN'),
                ('gopher://x/', 1, 'scheme'),
                (server.uri(), 1, 'size is 0'),
                (f'nbd://{HOST}:{free_port()}/', 1, 'Connection refused'),
                ('nbd://no-such-host.invalid/', 1, 'no-such-host.invalid'),
                (f'{server.uri(scheme="nbds")}', 1, 'TLS')):
            result = m.run(f'avmmctl nbd connect {arguments}', check=False, timeout=240)
            assert result.status == code and why in result.output, result.output
        exports = serve(tmp_path, kind=NbdServer, windows=disk, linux=disk)
        result = connect(m, exports, uri=exports.uri('mac'))
        assert result.status == 1 and 'no export `mac`' in result.output and '`linux`' in result.output, result.output
        for command in ('disconnect nbd0', 'status nbd0', 'accept nbd0'):
            assert m.run(f'avmmctl nbd {command}', check=False).status == 1
        result = m.run('rmmod nbd; echo install nbd false >/etc/modprobe.conf; mkdir -p /etc/modprobe.d; '
                       'mv /etc/modprobe.conf /etc/modprobe.d/nbd.conf; avmmctl nbd status; status=$?; '
                       'rm /etc/modprobe.d/nbd.conf; exit $status', check=False)
        assert result.status == 1 and 'the module nbd is missing' in result.output, result.output

    def test_nbd_server(self, m, serve, disk, tmp_path):
        server = serve(tmp_path, kind=NbdServer, disk=disk)
        assert connect(m, server, uri=server.uri('disk'))
        assert status(m)['export'] == 'disk'
        writer = Writer(m)
        server.restart()
        writer.finish(disk)

    def test_device_in_use(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server)
        result = connect(m, server)
        assert result.status == 1 and 'managed by process' in result.output, result.output
        m.run('mkswap /dev/nbd0; swapon /dev/nbd0')
        result = m.run('avmmctl nbd disconnect nbd0', check=False)
        assert result.status == 1 and 'in use' in result.output, result.output
        assert status(m)['state'] == 'connected'
        m.run('swapoff /dev/nbd0; avmmctl nbd disconnect nbd0')

    def test_link_down(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server)
        writer = Writer(m)
        m.run('ip link set eth0 down; sleep 30', timeout=240)
        assert status(m)['state'] == 'stalled'
        assert not writer.writer.done()
        m.run('ip link set eth0 up; ip route add default via 10.0.2.2')
        wait_state(m, 'connected')
        writer.finish(disk)

    def test_server_that_hangs(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server)
        writer = Writer(m)
        server.process.send_signal(signal.SIGSTOP)
        m.run('sleep 45', timeout=240)
        assert status(m)['state'] == 'stalled'
        server.process.send_signal(signal.SIGCONT)
        writer.finish(disk)

    def test_slow_server_and_errors(self, m, serve, disk):
        server = serve('--filter=delay', 'file', disk, 'rdelay=50ms', 'wdelay=50ms')
        assert connect(m, server, '--timeout 60')
        Writer(m, pieces=4).finish(disk)
        server.restart('--filter=error', 'file', disk, 'error=EIO', 'error-pwrite-rate=100%')
        wait_state(m, 'connected')
        result = m.run('dd if=/tmp/data of=/dev/nbd0 bs=64k seek=256 conv=fsync', check=False, timeout=240)
        assert result.status and 'Input/output error' in result.output, result.output
        assert status(m)['state'] == 'connected'

    def test_label_is_followed(self, m, serve, disk):
        """An installer in the guest may write a new one."""
        server = serve('file', disk)
        assert connect(m, server)
        m.run(r"printf '\004\003\002\001' | dd of=/dev/nbd0 bs=1 seek=440 conv=notrunc,fsync; sleep 12")
        assert status(m)['label'] == 'mbr 01020304'
        server.restart()
        wait_state(m, 'connected')

    def test_accept(self, m, serve, disk, tmp_path):
        server = serve('file', disk)
        assert connect(m, server)
        result = m.run('avmmctl nbd accept nbd0', check=False)
        assert result.status == 1 and 'nothing to accept' in result.output, result.output
        server.restart('file', image(tmp_path / 'other', signature=0xbadc0de))
        m.run('dd if=/dev/nbd0 of=/dev/null bs=64k count=1 iflag=direct & sleep 1')
        wait_state(m, 'refused')
        m.run('avmmctl nbd accept nbd0')
        assert wait_state(m, 'connected')['label'] == 'mbr 0badc0de'

    def test_two_connections(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server, '--connections 2')
        assert (status(m)['connections'], status(m)['alive']) == (2, 2)
        established = f'netstat -tn | grep -c "{HOST}:{server.port} *ESTABLISHED"'
        assert m.out(established) == '2'
        writer = Writer(m)
        server.restart()
        now = wait_state(m, 'connected')
        assert now['alive'] == 2 and now['reconnects'] >= 2 and m.out(established) == '2'
        writer.finish(disk)

    def test_export_with_one_connection(self, m, serve, disk):
        server = serve('--filter=multi-conn', 'file', disk, 'multi-conn-mode=disable')
        result = connect(m, server, '--connections 2')
        assert result and 'one connection only' in result.output, result.output
        assert status(m)['connections'] == 1

    def test_take_over(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server)
        writer = Writer(m)
        m.run('kill -9 $(pidof avmm-nbd); sleep 0.5')
        assert status(m)['state'] == 'unmanaged'
        result = connect(m, server, uri=server.uri('other'))
        assert result.status == 1 and 'is connected to' in result.output, result.output
        assert connect(m, server)
        wait_state(m, 'connected')
        server.restart()
        wait_state(m, 'connected')
        writer.finish(disk)
        m.run('avmmctl nbd disconnect nbd0')

    def test_golden_image(self, m, serve, disk):
        server = serve('-r', 'file', disk)
        assert connect(m, server)
        assert status(m)['read_only'] is True and m.out('cat /sys/block/nbd0/ro') == '1'
        m.run('avmmctl nbd disconnect nbd0')
        server.restart('file', disk)
        assert connect(m, server, '--read-only')
        assert m.out('cat /sys/block/nbd0/ro') == '1'


class TestNbdLaterKernel(Faults):
    shape = {'kernel': '6.12'}


@pytest.mark.soak('nbd')
class TestNbdSoak:
    shape = {'kernel': '6.12', 'cpus': 2}

    def test_server_killed_again_and_again(self, m, serve, disk):
        """At any moment: in a handshake, between the sockets of two connections, while requests are sent again."""
        server = serve('file', disk)
        assert connect(m, server, '--connections 2')
        writer = Writer(m, pieces=80)
        pauses = random.Random(5)
        for _ in range(60):
            server.kill()
            time.sleep(pauses.choice((0, 0.05, 0.3)))
            server.start()
            time.sleep(pauses.choice((0, 0.02, 0.1, 0.5, 1)))
        assert wait_state(m, 'connected')['alive'] == 2
        writer.finish(disk)

    def test_ten_minutes_without_a_server(self, m, serve, disk):
        server = serve('file', disk)
        assert connect(m, server)
        writer = Writer(m)
        server.kill()
        m.run('sleep 600', timeout=1200)
        server.start()
        wait_state(m, 'connected')
        writer.finish(disk)


class TestDisguised:
    """The user partition's disk lies on the server."""
    shape = {'kernel': '6.1', 'cpus': 1, 'guest': '6.12', 'up': False, 'drivers': 'disk'}

    def begin(self, m, u, server, pieces=60):
        avmm.launch(m)
        assert connect(m, server)
        u.boot(disks='[disk0]\nbacking = /dev/nbd0\n')
        u.disk_drivers()
        u.run(f'disk_check -d /dev/disk0 -n {pieces} >/tmp/check 2>&1 &')

    def end(self, m, u, disk):
        u.run('until grep disk_check /tmp/check; do sleep 0.2; done', timeout=900)
        assert u.out('cat /tmp/check').startswith('disk_check ok')
        assert not [w for w in u.out('dmesg').splitlines() if re.search(r'ata\d.*(exception|failed|timeout)|I/O error', w)]
        u.run('sync; echo 3 >/proc/sys/vm/drop_caches')
        theirs = u.out('sha256sum </dev/disk0', timeout=400).split()[0]
        u.stop()
        # the console's log goes with the module: the next guest would be taken for up by this one's words
        m.run('while [ -s /run/avmm.pid ]; do sleep 0.1; done; avmmctl nbd disconnect nbd0; rmmod avmm', timeout=240)
        assert hashlib.sha256(disk.read_bytes()).hexdigest() == theirs

    def test_server_killed_and_stopped_while_the_guest_writes(self, m, u, serve, disk):
        server = serve('file', disk)
        self.begin(m, u, server)
        for pause in (0.1, 0.4):
            server.kill()
            time.sleep(pause)
            server.start()
            wait_state(m, 'connected')
            m.run('sleep 1')
        server.process.send_signal(signal.SIGSTOP)
        m.run('sleep 5')
        server.process.send_signal(signal.SIGCONT)
        self.end(m, u, disk)

    @pytest.mark.soak('disk-stalls')
    @pytest.mark.parametrize('seconds', [45, 120])
    def test_server_that_hangs_for_long(self, m, u, serve, disk, seconds):
        server = serve('file', disk)
        self.begin(m, u, server)
        server.process.send_signal(signal.SIGSTOP)
        m.run(f'sleep {seconds}', timeout=600)
        assert 'disk0 (/dev/nbd0) has not answered' in u.status()['frozen']
        server.process.send_signal(signal.SIGCONT)
        self.end(m, u, disk)

    @pytest.mark.soak('disk-stalls')
    def test_another_image_freezes(self, m, u, serve, disk, tmp_path):
        server = serve('file', disk)
        self.begin(m, u, server)
        server.restart('file', image(tmp_path / 'short', size=SIZE - MIB))
        wait_state(m, 'refused')
        m.run('sleep 60', timeout=600)
        assert u.status()['frozen'] and status(m)['state'] == 'refused'
        server.restart('file', disk)
        self.end(m, u, disk)

    @pytest.mark.soak('disk-stalls')
    def test_link_down(self, m, u, serve, disk):
        server = serve('file', disk)
        self.begin(m, u, server)
        m.run('ip link set eth0 down; sleep 30', timeout=240)
        assert 'disk0 (/dev/nbd0) has not answered' in u.status()['frozen'] and status(m)['state'] == 'stalled'
        m.run('ip link set eth0 up; ip route add default via 10.0.2.2')
        wait_state(m, 'connected')
        self.end(m, u, disk)

    @pytest.mark.soak('disk-stalls')
    def test_read_only_export(self, m, u, serve, disk):
        """The guest reads it, and its writes are a disk's errors; nothing reaches the server."""
        before = disk.read_bytes()
        server = serve('-r', 'file', disk)
        self.begin(m, u, server, pieces=1)
        u.run('until grep disk_check /tmp/check; do sleep 0.2; done', timeout=900)
        assert 'Input/output error' in u.out('cat /tmp/check')
        assert [d['read_only'] for d in u.status()['disks']] == [True]
        assert u.out('sha256sum </dev/disk0', timeout=400).split()[0] == hashlib.sha256(before).hexdigest()
        u.stop()
        m.run('while [ -s /run/avmm.pid ]; do sleep 0.1; done; avmmctl nbd disconnect nbd0; rmmod avmm', timeout=240)
        assert disk.read_bytes() == before

    @pytest.mark.soak('disk-stalls')
    def test_slow_server_and_errors(self, m, u, serve, disk):
        """The guest gets the server's errors as a disk's, and its data when the server is well again."""
        server = serve('--filter=delay', 'file', disk, 'rdelay=50ms', 'wdelay=50ms')
        self.begin(m, u, server, pieces=20)
        u.run('until grep disk_check /tmp/check; do sleep 0.2; done', timeout=900)
        write = 'dd if=/dev/zero of=/dev/disk0 bs=4k count=1 seek=100 oflag=direct'
        for error in ('EIO', 'ENOSPC'):
            server.restart('--filter=error', 'file', disk, f'error={error}', 'error-pwrite-rate=100%')
            wait_state(m, 'connected')
            result = u.run(write, check=False, timeout=240)
            assert not result and 'Input/output error' in result.output, result.output
            assert u.run('dd if=/dev/disk0 of=/dev/null bs=4k count=1 skip=100 iflag=direct')
        server.restart('file', disk)
        wait_state(m, 'connected')
        u.run(write, timeout=240)
        u.run('dmesg -c >/dev/null')
        self.end(m, u, disk)
