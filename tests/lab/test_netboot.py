# SPDX-License-Identifier: GPL-2.0
"""A diskless PC, from its network card's ROM to the user partition, against dnsmasq, nginx and nbd-server."""

import hashlib
import random
import re
import subprocess

import pytest

from lab import netboot, paths, user

MIB = 1 << 20
INI = '''
[dhcp]
mode = full
interface = br0
range = 10.99.0.100-10.99.0.199
netmask = 255.255.255.0
[boot]
menu_timeout = 0
[defaults]
image = golden
'''
LINUX = f'''kernel = guest
memory = 160M
overlay = 16M
cmdline = {user.CMDLINE}
'''
DEBIAN = '''memory = 320M
overlay = 64M
'''
CLIENT = f'''
[client pc1]
mac = {netboot.MAC}
address = 10.99.0.42
service_cmdline = tsc=reliable tsc_early_khz={netboot.IPS // 1000} {netboot.NO_HOTPLUG}'''


@pytest.fixture
def space():
    found = netboot.Namespace()
    yield found
    found.close()


class Room:
    """A server with a service image for kernel SERVICE, the disk image GOLDEN, and DEFAULTS for user partitions."""

    def __init__(self, space, directory, service, golden, defaults, **images):
        self.server = netboot.Server(space, directory / 'server', INI + defaults)
        self.golden = golden
        for name, source in {'service': netboot.service_image(service), 'golden': golden, **images}.items():
            self.server.avmm('image', 'add', name, source)
        self.stored = self.server.root / 'images/golden/1/disk.img'
        self.server.file.write_text(self.server.file.read_text() + CLIENT + '\n')
        self.server.avmm('apply')

    def assert_untouched(self):
        assert md5(self.stored) == md5(self.golden)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def room(space, tmp_path, request):
    """The user partition is a stock kernel, which firmware does not boot, beside a small disk."""
    service, guest = getattr(request, 'param', ('6.1', '6.12'))
    golden = tmp_path / 'golden'
    golden.write_bytes(random.Random(3).randbytes(8 * MIB))
    linux = netboot.linux_image(tmp_path / 'guest', user.kernel_of(guest), user.initramfs(guest, drivers='disk'))
    found = Room(space, tmp_path, service, golden, LINUX, guest=linux)
    yield found
    found.server.kill()


@pytest.fixture
def debian(space, tmp_path):
    """The user partition is Debian on the disk of make demo, by SeaBIOS."""
    golden = tmp_path / 'debian.img'
    subprocess.run(['bash', paths.TOP / 'scripts/demo/build-image.sh', golden], check=True, stdout=subprocess.DEVNULL)
    found = Room(space, tmp_path, '6.1', golden, DEBIAN)
    yield found
    found.server.kill()


@pytest.fixture
def pc(space, request):
    name = re.sub(r'[^\w.-]+', '_', request.node.name)
    machine = netboot.Diskless(space, name, mem=getattr(request.cls, 'mem', 512))
    request.node.machines = [machine]
    yield machine
    machine.broken = True       # its serial line has no agent that could be asked
    machine.stop()


def to_the_service(pc):
    pc.type('\x1d')
    pc.expect('this is the service partition')
    pc.expect('# ')


def disk_tests(room, pc):
    """The guest's disk is the server's, what it writes is not; and it outlives the server."""
    pc.guest('for m in /modules/disk/*; do busybox insmod $m; done; '
             'for i in $(seq 100); do [ -e /dev/sda ] && break; sleep 0.1; done; [ -e /dev/sda ]', 300)
    assert md5(room.golden) in pc.guest('md5sum </dev/sda', 200)
    pc.guest('head -c 2000000 /dev/urandom >/tmp/new; dd if=/tmp/new of=/dev/sda bs=1M seek=4 conv=fsync', 200)
    room.server.kill('nbd')
    room.server.start('nbd')
    pc.guest('echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/sda bs=1M seek=0 skip=4 | head -c 2000000 | cmp - /tmp/new', 300)
    first = hashlib.md5(room.golden.read_bytes()[:4 * MIB]).hexdigest()
    assert first in pc.guest('dd if=/dev/sda bs=1M count=4 | md5sum', 300)
    room.assert_untouched()


def boot(room, pc):
    """Power on; the NBD server comes late. Returns what the PC showed until its user partition was up."""
    room.server.start('dhcp', 'http')
    pc.start()
    shown = pc.expect(r'avmm: disk 0: .*waiting for it|press Enter', 600)
    assert 'Connection refused; waiting for it' in shown, shown
    room.server.start('nbd')
    shown += pc.expect('GUEST-UP|press Enter', 600)
    assert 'GUEST-UP' in shown, shown
    return shown


@pytest.mark.soak('netboot-pc')
class TestDiskless:
    def test_from_power_on_to_power_off(self, room, pc):
        shown = boot(room, pc)
        for said in ('network: eth0 has 10.99.0.42/24', 'config/52-54-00-12-34-56.ini', 'golden-1 is /dev/nbd0, 8 MiB',
                     'changes go to memory, up to 16 MiB', 'user partition: started with 160M'):
            assert said in shown, shown
        assert '6.12' in pc.guest('uname -r') and 'GenuineIntel' in pc.guest('grep vendor /proc/cpuinfo')
        disk_tests(room, pc)
        to_the_service(pc)
        assert '6.1.' in pc.service('uname -r') and ' connected' in pc.service('avmmctl nbd status')
        pc.type('exit\n')
        pc.expect('GUEST-UP')      # the console's last 64 KiB
        pc.type('1 cG93ZXJvZmYgLWYK\n')
        pc.expect('poweroff: the user partition has switched itself off')
        assert pc.emulator.wait_end(60) and pc.how_ended() == 'poweroff'

    @pytest.mark.parametrize('room', [('6.12', '6.1')], indirect=True)
    def test_the_other_kernels(self, room, pc):
        boot(room, pc)
        disk_tests(room, pc)

    def test_what_it_costs(self, room, pc):
        """For docs/netboot.md: bytes, instructions, memory."""
        boot(room, pc)
        to_the_service(pc)
        print(pc.service('cat /proc/meminfo; avmmctl status; avmmctl status --json'))
        print(sum(n for _, _, n in room.server.fetched()), 'bytes by HTTP', room.server.fetched())
        print(room.server.space.run('ip -s link show tap0').stdout)


@pytest.mark.soak('netboot-debian')
class TestDebian:
    mem = 704

    def test_login(self, debian, pc):
        """No hand on it until the login; the disk is the server's, and stays as it was."""
        debian.server.start()
        pc.start()
        shown = pc.expect('login: |press Enter', 2400)
        assert 'golden-1 is /dev/nbd0' in shown and 'user partition: started with 320M' in shown, shown[-3000:]
        pc.type('root\n')
        pc.expect('assword: ', 120)
        pc.type('demo\n')
        pc.expect('# ', 240)
        pc.type('echo kept >/root/note; sync; findmnt -no SOURCE /; echo said-$((6 * 7))\n')
        assert '/dev/sda1' in pc.expect('said-42', 120)
        pc.type('poweroff\n')
        pc.expect('poweroff: the user partition has switched itself off', 400)
        assert pc.emulator.wait_end(60) and pc.how_ended() == 'poweroff'
        debian.assert_untouched()
