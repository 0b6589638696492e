# SPDX-License-Identifier: GPL-2.0-only
"""avmm-server as an administrator uses it: commands, and the files that follow from them."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from conftest import TOP

INI = '''; the room
[server]
address = 192.0.2.1
directory = {directory}
[dhcp]
mode = full
interface = eth1
range = 192.0.2.100-192.0.2.199
netmask = 255.255.255.0
[defaults]
image = golden     ; for all
[client ada]
mac = 52:54:00:12:34:56
address = 192.0.2.10
'''


class Room:
    def __init__(self, path):
        self.path = path
        self.file = path / 'server.ini'
        self.root = path / 'avmm'
        self.file.write_text(INI.format(directory=self.root))

    def run(self, *arguments):
        command = ['/usr/bin/python3', TOP / 'userspace-ctl/server/avmm-server', '--config', self.file, '--no-reload']
        done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert 'Traceback' not in done.stderr, done.stderr
        return done

    def do(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def list(self):
        return json.loads(self.do('--json', 'list'))

    def linux(self, text):
        source = self.path / text
        source.mkdir()
        for name in ('vmlinuz', 'initrd.img'):
            (source / name).write_text(f'{name} {text}')
        return source

    def disk(self, text, size=1 << 20):
        source = self.path / f'{text}.img'
        source.write_bytes(text.encode().ljust(size, b'\0'))
        return source

    def read(self, name):
        return (self.root / name).read_text()


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


@pytest.fixture
def full(room):
    room.do('image', 'add', 'service', room.linux('service'))
    room.do('image', 'add', 'golden', room.disk('first'))
    room.do('image', 'add', 'golden', room.disk('second'))
    return room


def test_images_are_versioned_and_immutable(full):
    golden = full.root / 'images/golden'
    assert (golden / '1/disk.img').read_bytes().startswith(b'first')
    assert (golden / '2/disk.img').read_bytes().startswith(b'second')
    assert oct(os.stat(golden / '1/disk.img').st_mode)[-3:] == '444' and oct(os.stat(golden / '1').st_mode)[-3:] == '555'
    image, = (i for i in full.list()['images'] if i['name'] == 'golden')
    assert (image['current'], image['kind'], [v['version'] for v in image['versions']]) == (2, 'disk', [1, 2])
    assert image['versions'][1]['users'] == ['ada', 'defaults'] and not image['versions'][0]['users']


def test_a_number_is_never_given_again(full):
    full.do('image', 'rollback', 'golden')
    full.do('image', 'remove', 'golden', '2')
    assert 'version 3' in full.do('image', 'add', 'golden', full.disk('third'))


def test_rollback_and_forward(full):
    config = 'http/config/52-54-00-12-34-56.ini'
    assert '/golden-2\n' in full.read(config)
    assert 'version 1 is current, 2 was' in full.do('image', 'rollback', 'golden')
    assert '/golden-1\n' in full.read(config)
    assert 'nothing was current before' in full.refused('image', 'rollback', 'golden')
    full.do('image', 'rollback', 'golden', '2')
    assert '/golden-2\n' in full.read(config)
    assert 'no version 9; it has 1, 2' in full.refused('image', 'rollback', 'golden', '9')


def test_pinned_client_stays(full):
    full.do('image', 'pin', 'ada', '1')
    assert 'version = 1' in full.file.read_text() and '; the room' in full.file.read_text()
    full.do('image', 'add', 'golden', full.disk('third'))
    assert '/golden-1\n' in full.read('http/config/52-54-00-12-34-56.ini')
    assert 'ada is configured for it' in full.refused('image', 'remove', 'golden', '1')
    full.do('image', 'pin', 'ada', 'current')
    assert '/golden-3\n' in full.read('http/config/52-54-00-12-34-56.ini')
    full.do('image', 'remove', 'golden', '1')
    assert not (full.root / 'images/golden/1').exists()
    assert 'no version 7' in full.refused('image', 'pin', 'ada', '7')
    assert 'no [client eve]' in full.refused('image', 'pin', 'eve', '2')


def test_an_image_in_use_is_not_removed(full):
    assert 'it is the current one' in full.refused('image', 'remove', 'golden', '2')
    with open(full.root / 'images/golden/1/disk.img'):
        said = full.refused('image', 'remove', 'golden', '1')
        assert f'process {os.getpid()} has disk.img open' in said, said
    full.do('image', 'remove', 'golden', '1')
    assert 'service_version' not in full.file.read_text()
    assert 'ada is configured' in full.refused('image', 'remove', 'service', '1')


def test_what_cannot_be_an_image(room):
    assert 'no such file' in room.refused('image', 'add', 'golden', room.path / 'none')
    (room.path / 'empty').mkdir()
    assert 'no vmlinuz in it' in room.refused('image', 'add', 'golden', room.path / 'empty')
    assert 'no whole number of sectors' in room.refused('image', 'add', 'golden', room.disk('odd', 1000))
    assert 'small letters' in room.refused('image', 'add', '../evil', room.disk('evil'))
    assert not (room.root / 'images').exists() or not list((room.root / 'images').glob('*/[0-9]*'))


def test_a_name_keeps_its_kind(full):
    assert 'is a disk image, this is a linux one' in full.refused('image', 'add', 'golden', full.linux('other'))


def test_holes_stay_holes(room):
    source = room.path / 'sparse'
    with open(source, 'wb') as f:
        f.truncate(64 << 20)
    room.do('image', 'add', 'sparse', source)
    stored = room.root / 'images/sparse/1/disk.img'
    assert stored.stat().st_size == 64 << 20 and stored.stat().st_blocks < 1000


def test_clients_come_and_go(full):
    full.do('add-client', 'bob', '--mac', '52:54:00:00:00:02', '--version', '1')
    assert (full.root / 'http/client/52-54-00-00-00-02.ipxe').exists()
    assert 'dhcp-host=52:54:00:00:00:02,bob' in full.read('generated/dnsmasq.conf')
    assert [c['name'] for c in full.list()['clients']] == ['ada', 'bob']
    before = full.file.read_text()
    for arguments, why in ((('bob', '--mac', '52:54:00:00:00:03'), 'there already'),
                           (('eve', '--mac', '52:54:00:00:00:02'), 'that of [client bob] already'),
                           (('eve', '--mac', 'x'), 'not a MAC address'),
                           (('eve', '--mac', '52:54:00:00:00:03', '--image', 'none'), "no image 'none'")):
        assert why in full.refused('add-client', *arguments)
    assert full.file.read_text() == before
    full.do('remove-client', 'bob')
    assert not (full.root / 'http/client/52-54-00-00-00-02.ipxe').exists() and 'bob' not in full.file.read_text()
    assert '[client ada]' in full.file.read_text()


def test_disks_are_exported_read_only_and_not_by_http(full):
    conf = full.read('generated/nbd-server.conf')
    assert conf.count('[golden-') == 2 == conf.count('readonly = true') and 'service' not in conf
    assert not [p for p in (full.root / 'http').rglob('*') if p.name == 'disk.img']
    assert (full.root / 'http/image/service/1/vmlinuz').read_text() == 'vmlinuz service'


def test_a_disk_with_a_kernel_beside_it(full):
    full.do('image', 'add', 'linux', full.linux('linux'))
    full.file.write_text(full.file.read_text() + 'kernel = linux\ncmdline = root=/dev/sda1\n')
    full.do('apply')
    config = full.read('http/config/52-54-00-12-34-56.ini')
    assert 'kernel = http://192.0.2.1/image/linux/1/vmlinuz\n' in config and 'cmdline = root=/dev/sda1\n' in config
    assert 'backing = /dev/nbd0' in config and 'firmware' not in config
    assert 'ada is configured' in full.refused('image', 'remove', 'linux', '1')
    full.file.write_text(full.file.read_text().replace('kernel = linux', 'kernel = golden'))
    assert 'image golden is a disk image, and has no kernel' in full.run('check').stdout


def test_scripts_fit_both_firmwares(full):
    script = full.read('http/client/52-54-00-12-34-56.ipxe')
    assert 'initrd=initrd.img' in script and 'initrd --name initrd.img' in script     # UEFI finds it by name
    conf = full.read('generated/dnsmasq.conf')
    assert 'tag:!ipxe,tag:bios,undionly.kpxe' in conf and 'tag:!ipxe,tag:efi,snponly.efi' in conf


def test_proxy_leaves_addresses_to_others(full):
    full.file.write_text(full.file.read_text().replace('mode = full', 'mode = proxy'))
    full.do('apply')
    conf = full.read('generated/dnsmasq.conf')
    assert 'dhcp-range=192.0.2.0,proxy,255.255.255.0' in conf and 'dhcp-host' not in conf and 'pxe-service' in conf
    full.file.write_text(full.file.read_text().replace('mode = proxy', 'mode = off'))
    full.do('apply')
    assert not (full.root / 'generated/dnsmasq.conf').exists()
    assert 'nothing has changed' in full.do('apply')


@pytest.mark.skipif(not shutil.which('dnsmasq', path='/usr/sbin:/usr/bin'), reason='dnsmasq-base is not installed')
@pytest.mark.parametrize('mode', ['full', 'proxy'])
def test_dnsmasq_takes_it(full, mode):
    full.file.write_text(full.file.read_text().replace('mode = full', f'mode = {mode}'))
    full.do('apply')
    subprocess.run(['dnsmasq', '--test', f'--conf-file={full.root}/generated/dnsmasq.conf'], check=True)


def test_check_says_what_is_wrong(full):
    said = full.run('check').stdout
    assert 'address 192.0.2.1 is none of this machine' in said and 'image' not in said.replace('images', '')
    os.chmod(full.root / 'images/golden/2/disk.img', 0o644)
    with open(full.root / 'images/golden/2/disk.img', 'r+b') as f:
        f.write(b'changed')
    (full.root / 'http/boot.ipxe').write_text('#!ipxe\n')
    said = full.run('check', '--verify').stdout
    assert 'golden version 2: disk.img was changed' in said and 'boot.ipxe is not what the configuration says' in said
    full.file.write_text(full.file.read_text() + 'version = 8\n')
    assert '[client ada]: image golden has no version 8' in full.run('check').stdout
    assert '[client ada]: image golden has no version 8' in full.refused('apply')


def test_a_broken_file_changes_nothing(full):
    before = {p: p.read_bytes() for p in full.root.rglob('*') if p.is_file()}
    good = full.file.read_text()
    full.file.write_text(good + 'nonsense\n')
    for command in (['apply'], ['list'], ['image', 'rollback', 'golden']):
        assert f'{full.file}:{len(good.splitlines()) + 1}: ' in full.refused(*command)
    assert before == {p: p.read_bytes() for p in full.root.rglob('*') if p.is_file()}


def test_manifest_has_the_checksum(full):
    manifest = json.loads(full.read('images/golden/2/manifest.json'))
    assert manifest['files']['disk.img']['sha256'] == hashlib.sha256((full.path / 'second.img').read_bytes()).hexdigest()


def test_usage(room):
    assert room.run('image', 'explode').returncode == 2 and room.run().returncode == 2
