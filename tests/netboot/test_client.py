# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a client's start, one by one, with programs of the test's on the path: what a person is told when."""

import http.server
import os
import shutil
import stat
import subprocess
import threading
import time

import pytest

from conftest import TOP

CLIENT = TOP / 'scripts/netboot/client'
INI = '''; from the server
[netboot]
name = ada
nbd0 = nbd://10.0.0.1/golden-1   ; read-only
overlay0 = 25%
[partition]
memory = auto
cmdline = console=ttyS0 a=b   ; a comment
[disk0]
backing = /dev/nbd0
'''


class Machine:
    """What a step sees of a machine, all in one directory."""

    def __init__(self, root):
        self.root = root
        for name in ('run', 'bin', 'dev', 'sys/class/net/eth0/device', 'sys/class/net/lo', 'sys/block/nbd0'):
            (root / name).mkdir(parents=True)
        self.write('sys/class/net/eth0/address', '52:54:00:aa:bb:cc\n')
        self.write('sys/class/net/eth0/carrier', '1\n')
        self.write('sys/block/nbd0/size', '65536\n')
        self.write('meminfo', 'MemTotal: 1048576 kB\nMemAvailable: 921600 kB\n')
        self.write('consoles', 'tty0 ttyS0\n')
        self.write('cmdline', 'quiet\n')
        self.program('wget', 'exec busybox wget "$@"')
        self.program('ip', ':')

    def write(self, name, text):
        (self.root / name).write_text(text)

    def program(self, name, script):
        path = self.root / 'bin' / name
        path.write_text(f'#!/bin/sh\nroot={self.root}\necho "$0 $*" >>$root/calls\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def command(self, script):
        r = self.root
        env = {'PATH': f'{r}/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'AVMM_RUN': f'{r}/run', 'AVMM_LIBRARY': str(CLIENT),
               'AVMM_CMDLINE': f'{r}/cmdline', 'AVMM_CONSOLES': f'{r}/consoles', 'AVMM_SYS': f'{r}/sys', 'AVMM_DEV': f'{r}/dev',
               'AVMM_MEMINFO': f'{r}/meminfo', 'AVMM_PAUSE': '0.05'}
        return ['dash', '-uc', f'AVMM_ANY_CARD=; . {CLIENT}/steps.sh\n{script}'], env

    def run(self, script, timeout=20):
        argv, env = self.command(script)
        return subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                              check=False)

    def failing(self, step):
        """The reason that STEP fails with."""
        done = self.run(f'{step}; status=$?; echo "$problem"; exit $status')
        assert done.returncode == 1, done.stdout
        return done.stdout

    def start(self, script):
        argv, env = self.command(script)
        return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def said(self):
        log = self.root / 'run/log'
        return log.read_text() if log.exists() else ''

    def wait_said(self, text):
        for _ in range(400):
            if text in self.said():
                return
            time.sleep(0.02)
        raise AssertionError(f'{text!r} was not said: {self.said()}')

    def read(self, name):
        return (self.root / 'run' / name).read_text()


@pytest.fixture
def m(tmp_path):
    return Machine(tmp_path)


class Web:
    """Serves one text, at a port that stays the same."""

    def __init__(self, text):
        self.text = text
        self.port = 0
        self.start()

    def start(self):
        text = self.text

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if text else 404)
                self.end_headers()
                self.wfile.write((text or '').encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self):
        return f'http://127.0.0.1:{self.port}/config/ada.ini'


@pytest.fixture
def web():
    found = Web(INI)
    yield found
    found.stop()


# -- configuration

def test_configuration_is_fetched_and_split(m, web):
    m.write('cmdline', f'quiet avmm.config={web.url()} other=1\n')
    done = m.run('config_step; setting nbd0 none; setting on_power_off power-off')
    assert done.stdout.split('\n')[-3:-1] == ['nbd://10.0.0.1/golden-1', 'power-off'], done.stdout
    assert m.read('user.ini') == '[partition]\nmemory = auto\ncmdline = console=ttyS0 a=b   ; a comment\n' \
        '[disk0]\nbacking = /dev/nbd0\n'
    assert web.url() in m.said()


def test_the_command_line_wins(m, web):
    m.write('cmdline', f'avmm.config={web.url()} avmm.partition.memory=256M avmm.netboot.overlay0=none '
                       'avmm.netboot.on_power_off=menu avmm.shares.user=70\n')
    done = m.run('config_step; setting overlay0 25%; setting on_power_off x')
    assert done.stdout.split('\n')[-3:-1] == ['none', 'menu'], done.stdout
    ini = m.read('user.ini')
    assert 'memory = 256M' in ini and 'auto' not in ini and '[shares]\nuser = 70\n' in ini


def test_without_a_server_from_the_command_line_alone(m):
    m.write('cmdline', 'avmm.partition.memory=64M avmm.partition.kernel=http://x/vmlinuz avmm.netboot.nbd0=nbd://x/y=z\n')
    done = m.run('config_step; setting nbd0 none')
    assert 'nbd://x/y=z' in done.stdout
    assert m.read('user.ini') == '[partition]\nmemory = 64M\nkernel = http://x/vmlinuz\n'


def test_no_configuration_at_all(m):
    assert 'neither avmm.config=URL' in m.failing('config_step')


def test_something_else_than_a_configuration(m, web):
    web.stop()
    web.text = '<html>router login</html>'
    web.start()
    m.write('cmdline', f'avmm.config={web.url()}\n')
    assert 'no section [partition]' in m.failing('config_step')


def test_web_server_down_then_up(m, web):
    m.write('cmdline', f'avmm.config={web.url()}\n')
    web.stop()
    step = m.start('config_step && echo done')
    m.wait_said(f'cannot fetch {web.url()}')
    assert 'refused' in m.said()
    web.start()
    assert 'done' in step.communicate(timeout=20)[0]
    assert m.said().count('cannot fetch') == 1      # not once a second


def test_missing_on_the_server(m, web):
    web.stop()
    web.text = None
    web.start()
    m.write('cmdline', f'avmm.config={web.url()}\n')
    step = m.start('config_step')
    m.wait_said('404')
    step.kill()
    step.communicate()


# -- network

def test_dhcp_that_comes_late(m):
    m.program('udhcpc', f'[ -e {m.root}/up ] || exit 1; echo 10.0.0.9/24 >{m.root}/run/address')
    step = m.start('network_step && echo done')
    m.wait_said('no answer to DHCP on eth0 (52:54:00:aa:bb:cc)')
    m.write('up', '')
    assert 'done' in step.communicate(timeout=20)[0]
    assert 'network: eth0 has 10.0.0.9/24' in m.said()


def test_no_cable(m):
    m.write('sys/class/net/eth0/carrier', '0\n')
    m.program('udhcpc', f'echo 10.0.0.9/24 >{m.root}/run/address')
    step = m.start('network_step && echo done')
    m.wait_said('eth0 (52:54:00:aa:bb:cc) has no link')
    m.write('sys/class/net/eth0/carrier', '1\n')
    assert 'done' in step.communicate(timeout=20)[0]


def test_no_card(m):
    shutil.rmtree(m.root / 'sys/class/net/eth0')
    assert 'no network card' in m.failing('network_step')
    m.write('cmdline', 'BOOTIF=01-52-54-00-AA-BB-CC\n')
    assert 'no driver in this image for the network card 52:54:00:aa:bb:cc that iPXE booted from' in m.failing('network_step')


def test_the_card_that_booted(m):
    (m.root / 'sys/class/net/eth1/device').mkdir(parents=True)
    m.write('sys/class/net/eth1/address', '52:54:00:aa:bb:cd\n')
    m.write('cmdline', 'BOOTIF=01-52-54-00-aa-bb-cd\n')
    assert m.run('interfaces').stdout.split() == ['eth1']


def test_lease(m):
    env = {'interface': 'eth0', 'ip': '10.0.0.9', 'mask': '24', 'router': '10.0.0.1', 'dns': '10.0.0.2 10.0.0.3',
           'PATH': f'{m.root}/bin:/usr/bin:/bin', 'AVMM_RUN': f'{m.root}/run', 'AVMM_RESOLV': f'{m.root}/resolv'}
    for event in ('bound', 'renew'):      # a renewal with the same address changes nothing
        subprocess.run(['dash', CLIENT / 'udhcpc.sh', event], env=env, check=True)
    calls = (m.root / 'calls').read_text()
    assert calls.count('addr add 10.0.0.9/24 dev eth0') == 1 and 'route add default via 10.0.0.1' in calls
    assert (m.root / 'resolv').read_text() == 'nameserver 10.0.0.2\nnameserver 10.0.0.3\n'


# -- monitor

def test_machine_without_vtx(m):
    m.program('avmmctl', 'echo "refused: VT-x is locked off by the firmware (IA32_FEATURE_CONTROL)"; exit 1')
    why = m.failing('check_step')
    assert why.startswith('this machine cannot run AVMM:') and 'VT-x is locked off' in why


def test_module_for_another_kernel(m):
    m.program('insmod', "echo 'insmod: ERROR: could not insert module avmm.ko: Invalid module format' >&2; exit 1")
    m.program('dmesg', "echo \"[    5.1] avmm: version magic '6.12.1-amd64 SMP' should be '6.1.0-9-amd64 SMP'\"")
    why = m.failing(': >$RUN/netboot; launch_step')
    assert 'Invalid module format' in why and "should be '6.1.0-9-amd64 SMP'" in why


# -- disks

def test_nbd_server_down_at_boot(m):
    m.write('run/netboot', 'nbd0=nbd://10.0.0.1/golden-1\n')
    m.program('avmmctl', f'[ -e {m.root}/up ] || {{ echo "avmmctl: nbd://10.0.0.1/golden-1: Connection refused"; exit 1; }}')
    step = m.start('nbd_step 0 && echo done')
    m.wait_said('Connection refused; waiting for it')
    time.sleep(0.3)
    m.write('up', '')
    assert 'done' in step.communicate(timeout=20)[0]
    assert m.said().count('Connection refused') == 1 and '/dev/nbd0, 32 MiB' in m.said()


def test_no_disk_no_overlay(m):
    m.write('run/netboot', 'overlay0=25%\n')
    assert m.run('nbd_step 0 && overlay_step 0 && overlay_step 1').returncode == 0


def test_overlay_goes_before_the_disk(m):
    m.write('run/netboot', 'nbd0=nbd://x/y\noverlay0=25%\n')
    m.write('run/user.ini', f'[disk0]\nbus = ide\nbacking = {m.root}/dev/nbd0\n')
    m.program('modprobe', '')
    assert m.run('overlay_step 0').returncode == 0
    assert m.read('user.ini') == (f'[disk0]\nbus = ide\nbacking = {m.root}/dev/nbd0\noverlay = ram\n'
                                  f'overlay_size = {256 << 20}\n')
    assert 'up to 256 MiB' in m.said()


# -- the user partition

def test_kernels_by_url(m, web):
    m.write('run/user.ini', f'[partition]\nkernel = {web.url()}\ninitrd = {web.url()}\nmemory = 64M\n')
    m.run('boot_files_step')
    assert m.read('user.ini') == f'[partition]\nkernel = {m.root}/run/kernel\ninitrd = {m.root}/run/initrd\nmemory = 64M\n'
    assert m.read('kernel') == INI


@pytest.mark.parametrize('netboot, memory', [('', 828), ('reserve=128\n', 764), ('nbd0=nbd://x/y\noverlay0=25%\n', 572),
                                             ('overlay0=25%\n', 828), ('nbd0=nbd://x/y\noverlay0=none\n', 828)])
def test_all_the_memory_that_is_left(m, netboot, memory):
    m.write('run/netboot', netboot)
    m.write('run/user.ini', '[partition]\nmemory = auto\n')
    m.run('memory_step')
    assert m.read('user.ini') == f'[partition]\nmemory = {memory}M\n'


def test_too_little_memory(m):
    m.write('run/netboot', '')
    m.write('run/user.ini', '[partition]\nmemory = auto\n')
    m.write('meminfo', 'MemTotal: 131072 kB\nMemAvailable: 81920 kB\n')
    assert '8 MiB are left' in m.failing('memory_step')


def test_refused_start(m):
    m.program('avmmctl', 'echo "avmmctl: user.ini:3: unknown key colour"; exit 1')
    assert 'not started: user.ini:3: unknown key colour' in m.failing('start_step')


def test_every_console_shows_it(m):
    m.run('say hello')
    assert (m.root / 'dev/tty0').read_bytes() == (m.root / 'dev/ttyS0').read_bytes() == b'avmm: hello\r\n'
    assert os.listdir(m.root / 'dev') and 'hello' in m.said()
