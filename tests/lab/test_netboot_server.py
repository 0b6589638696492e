# SPDX-License-Identifier: GPL-2.0
"""Many clients of one server: scripted ones, against the real dnsmasq, nginx and nbd-server."""

import concurrent.futures
import hashlib
import os
import random
import re

import pytest

from lab import netboot

MIB = 1 << 20
INI = f'''
[dhcp]
mode = full
interface = br0
range = 10.99.0.100-10.99.0.199
netmask = 255.255.255.0
[boot]
menu_timeout = 0
'''


def _image(directory, name, vmlinuz, initrd):
    out = directory / name
    out.mkdir()
    (out / 'vmlinuz').write_bytes(vmlinuz)
    (out / 'initrd.img').write_bytes(initrd)
    return out


class Room:
    """A server with a golden disk in two versions, a Linux image and a service image; COUNT clients."""

    def __init__(self, directory, count, ini=INI):
        self.space = netboot.Namespace()
        self.clients = []
        self.server = netboot.Server(self.space, directory / 'server', ini)
        self.random = random.Random(8)
        self.golden = []
        for version in (1, 2):
            path = directory / f'golden{version}'
            path.write_bytes(self.random.randbytes(4 * MIB))
            self.golden.append(path.read_bytes())
            self.server.avmm('image', 'add', 'golden', path)
        self.kernel = self.random.randbytes(2 * MIB)
        self.initrd = self.random.randbytes(3 * MIB)
        for name in ('service', 'linux'):
            self.server.avmm('image', 'add', name, _image(directory, name, self.kernel, self.initrd + name.encode()))
        for n in range(1, count + 1):
            self.server.avmm('add-client', f'pc{n}', '--mac', f'52:54:00:00:00:{n:02x}', '--address', f'10.99.0.{n + 1}',
                             '--memory', f'{100 + 2 * n}M', *self.choice(n))
        self.server.start()
        self.clients = [netboot.Scripted(self.server, n, directory) for n in range(1, count + 1)]

    @staticmethod
    def choice(n):
        """Every fourth has Linux, every second of the rest is pinned to version 1."""
        if n % 4 == 0:
            return '--image', 'linux'
        return ('--image', 'golden', '--version', '1') if n % 2 else ('--image', 'golden')

    def files(self):
        """Content and mode of all that the server gives out."""
        found = {}
        for top in ('images', 'http', 'tftp'):
            for path in (self.server.root / top).rglob('*'):
                if path.is_file() and not path.is_symlink():
                    found[path] = (hashlib.sha256(path.read_bytes()).hexdigest(), os.stat(path).st_mode)
        return found

    def close(self):
        for client in self.clients:
            client.close()
        self.server.kill()
        self.space.close()


@pytest.fixture
def room(tmp_path, request):
    found = Room(tmp_path, getattr(request, 'param', 8))
    yield found
    found.close()


def firmware(client, arch):
    """The first stage: the network card's PXE, which is given iPXE."""
    answer = client.dhcp(f'-x 0x5d:{arch:04x}', '-V PXEClient')
    name = answer['boot_file']
    client.run(f'busybox tftp -g -r {name} -l {client.directory}/{name} {answer["siaddr"]}')
    return name, (client.directory / name).read_bytes()


def ipxe(room, client, n):
    """The second: iPXE's requests, one after the other as its scripts say."""
    answer = client.dhcp('-x 0xaf:010101', '-x 0x5d:0000')
    assert answer['ip'] == f'10.99.0.{n + 1}'
    base = re.search(r'^set base (\S+)', client.get(answer['boot_file']).stdout.decode(), re.M).group(1)
    script = client.get(f'{base}/client/{client.mac.replace(":", "-")}.ipxe').stdout.decode()
    service = re.search(r'^set service (\S+)', script, re.M).group(1)
    arguments = re.search(r'^kernel \S+/vmlinuz (.*) \|\|', script, re.M).group(1)
    assert client.get(f'{service}/vmlinuz').stdout == room.kernel
    assert client.get(f'{service}/initrd.img').stdout == room.initrd + b'service'
    return arguments.replace('${mac:hexhyp}', client.mac.replace(':', '-'))


def boot(room, client, n):
    """From the firmware to the user partition's disk; returns what it is to be started with."""
    arch = 0 if n % 2 else 7
    name, data = firmware(client, arch)
    assert name == ('snponly.efi' if arch else 'undionly.kpxe') and len(data) > 50000
    arguments = ipxe(room, client, n)
    ini = client.steps('network_step', 'config_step', 'boot_files_step', cmdline=arguments)
    assert f'memory = {100 + 2 * n}M' in ini
    if 'linux' in room.choice(n):
        assert (client.directory / 'run/initrd').read_bytes() == room.initrd + b'linux'
        return None
    netboot_ini = (client.directory / 'run/netboot').read_text()
    export = re.search(r'^nbd0=nbd://10\.99\.0\.1:10809/(\S+)', netboot_ini, re.M).group(1)
    assert export == ('golden-1' if '1' in room.choice(n) else 'golden-2')
    return export


def use(room, client, export, seed):
    """As a user partition would: reads all over the disk; a write is refused."""
    golden = room.golden[int(export[-1]) - 1]
    chooser = random.Random(seed)
    disk = netboot.Nbd(client.server.space, export)
    assert disk.read_only() and disk.size == len(golden)
    for _ in range(100):
        offset = chooser.randrange(0, len(golden) - 65536, 512)
        assert disk.read(offset, 65536) == golden[offset:offset + 65536]
    assert disk.write(0, b'x' * 512) == 1      # EPERM
    disk.close()


def boot_all(room):
    with concurrent.futures.ThreadPoolExecutor(len(room.clients)) as pool:
        exports = list(pool.map(lambda c: boot(room, c[1], c[0]), enumerate(room.clients, 1)))
    for n, (client, export) in enumerate(zip(room.clients, exports), 1):
        if export:
            use(room, client, export, n)
    return exports


class TestServiceImage:
    def test_two_builds_are_the_same(self, tmp_path):
        first = netboot.service_image('6.1')
        netboot.build_service_image('6.1', tmp_path)
        for name in ('vmlinuz', 'initrd.img'):
            assert (first / name).read_bytes() == (tmp_path / name).read_bytes()
        size = sum((first / name).stat().st_size for name in ('vmlinuz', 'initrd.img'))
        assert size < 24_000_000, f'{size} bytes'

    def test_a_module_for_another_kernel_is_refused(self, tmp_path):
        done = netboot.build_service_image('6.1', tmp_path, module='6.12', check=False)
        assert done.returncode == 1 and re.search(r'avmm.ko is for the kernel 6\.12\S*, not 6\.1\.', done.stdout), done.stdout


class TestRoom:
    def test_each_gets_its_own_and_the_server_stays_as_it_was(self, room):
        before = room.files()
        exports = boot_all(room)
        assert set(exports) == {None, 'golden-1', 'golden-2'}
        assert room.files() == before
        said = room.server.avmm('check', '--verify', '--running')
        assert said.stdout.endswith('8 clients can boot\n')

    def test_life_of_a_server(self, room):
        """Restarted, rolled back, an image removed: what clients see of it."""
        client = room.clients[1]
        assert boot(room, client, 2) == 'golden-2'
        disk = netboot.Nbd(room.space, 'golden-2')
        refused = room.server.avmm('image', 'remove', 'golden', '2', check=False)
        assert refused.returncode == 1 and 'has disk.img open' in refused.stdout, refused.stdout
        assert '2 was' in room.server.avmm('image', 'rollback', 'golden').stdout
        # whoever runs goes on with what it has
        assert disk.read(0, 4096) == room.golden[1][:4096]
        disk.close()
        room.server.kill('nbd', 'http', 'dhcp')
        with pytest.raises(OSError):
            netboot.Nbd(room.space, 'golden-2')
        room.server.start()
        again = netboot.Nbd(room.space, 'golden-2')
        assert again.read(4096, 4096) == room.golden[1][4096:8192]
        again.close()
        # and has the older one at its next boot
        ini = client.steps('network_step', 'config_step', cmdline=ipxe(room, client, 2))
        assert 'backing = /dev/nbd0' in ini and 'golden-1' in (client.directory / 'run/netboot').read_text()
        room.server.kill('nbd')
        room.server.avmm('image', 'remove', 'golden', '2')
        room.server.start('nbd')
        with pytest.raises(OSError, match='golden-2'):
            netboot.Nbd(room.space, 'golden-2')

    def test_a_stranger(self, room, tmp_path):
        stranger = netboot.Scripted(room.server, 200, tmp_path)
        try:
            script = stranger.get(stranger.dhcp('-x 0xaf:010101')['boot_file']).stdout.decode()
            assert 'is not a client of 10.99.0.1' in script
            assert stranger.get(f'http://{netboot.ADDRESS}/client/52-54-00-00-00-c8.ipxe').returncode == 22    # 404
            for path in ('image/golden/2/disk.img', 'images/golden/2/disk.img', '../images/golden/2/disk.img'):
                assert stranger.get(f'http://{netboot.ADDRESS}/{path}').returncode
        finally:
            stranger.close()


@pytest.mark.soak('netboot-room')
class TestRoomOf64:
    @pytest.mark.parametrize('room', [64], indirect=True)
    def test_they_all_come_at_once(self, room):
        before = room.files()
        boot_all(room)
        assert room.files() == before
