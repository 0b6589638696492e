# SPDX-License-Identifier: GPL-2.0
"""The Debian packages: built, looked at by lintian, installed by apt, upgraded, removed, in a root of their own."""

import os
import re
import shutil
import subprocess

import pytest

from lab import emulator, paths

DEB = paths.BUILD / 'deb'
PACKAGES = ('avmm-dkms', 'avmm-tools', 'avmm-server')
VERSION = re.search(r'AVMM_VERSION\s+"(.*)"', (paths.TOP / 'include/avmm/version.h').read_text()).group(1)
NEXT = f'{VERSION}.1'


class Root:
    """A root directory, on top of another that stays as it is; in a mount and network namespace of its own."""

    def __init__(self, lower, work):
        self.lower = lower
        self.upper, self.work, self.merged = (work / n for n in ('upper', 'work', 'merged'))
        for path in (self.upper, self.work, self.merged):
            path.mkdir(parents=True)

    def run(self, script, check=True, net=False):
        """NET: with the network, for apt."""
        inside = f'export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive; {script}'
        layers = f'lowerdir={self.lower},upperdir={self.upper},workdir={self.work}'
        setup = (f'mount -t overlay overlay -o {layers} {self.merged} && '
                 f'cd {self.merged} && mount -t tmpfs run run && mount -t proc proc proc && mount --rbind /dev dev && '
                 f'mkdir -p run/debs && mount --bind {DEB} run/debs && '
                 'printf "#!/bin/sh\\nexit 101\\n" >usr/sbin/policy-rc.d && chmod 755 usr/sbin/policy-rc.d && '
                 'exec chroot . /bin/sh -ec "$0"')
        done = subprocess.run(['unshare', '-m', *([] if net else ['-n']), '--fork', '-p', 'sh', '-ec', setup, inside],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or not done.returncode, f'{script}:\n{done.stdout[-6000:]}'
        return done.stdout

    def install(self, version=VERSION, net=False):
        files = ' '.join(f'/run/debs/{p}_{version}_{"all" if p == "avmm-server" else "amd64"}.deb' for p in PACKAGES)
        return self.run(f'apt-get -y -q --no-install-recommends install {files}', net=net)


@pytest.fixture(scope='module')
def debs():
    with emulator.locked(paths.BUILD / 'deb.lock'):
        done = subprocess.run(['bash', paths.TOP / 'scripts/deb.sh', 'check'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert not re.search(r'^[EW]: ', done.stdout, re.M), done.stdout


def later(directory):
    """The same packages with a higher version, beside the others."""
    directory.mkdir()
    for package in PACKAGES:
        old, = DEB.glob(f'{package}_{VERSION}_*.deb')
        root = directory / package
        subprocess.run(['dpkg-deb', '-R', old, root], check=True)
        for path in [*(root / 'DEBIAN').iterdir(), *root.glob('usr/src/*/dkms.conf')]:
            path.write_text(path.read_text().replace(VERSION, NEXT))
        for source in root.glob(f'usr/src/avmm-{VERSION}'):
            source.rename(source.with_name(f'avmm-{NEXT}'))
        subprocess.run(['dpkg-deb', '--root-owner-group', '-b', root, DEB / old.name.replace(VERSION, NEXT)], check=True,
                       stdout=subprocess.DEVNULL)


def built(root, version, series):
    kernel = paths.kernel_version(series)
    assert re.search(rf'^avmm/{re.escape(version)}, {re.escape(kernel)}, x86_64: installed', root.run('dkms status avmm'), re.M)
    assert root.run(f'modinfo -k {kernel} -F vermagic avmm').split()[0] == kernel
    assert root.run(f'modinfo -k {kernel} -n avmm').startswith(f'/lib/modules/{kernel}/updates/dkms/')


def works(root):
    """What each package is for, as far as that needs no VT-x."""
    assert VERSION in root.run('avmmctl --version')
    assert 'kvm enable_virt_at_load=0' in root.run('modprobe -c | grep virt_at_load')
    for page in ('man8/avmmctl.8', 'man8/avmm-nbd.8', 'man8/avmm-server.8', 'man5/avmm-server.ini.5', 'man5/avmm.ini.5',
                 'man8/avmm-service-image.8'):
        assert root.run(f'gzip -dc /usr/share/man/{page}.gz | grep -c .').strip() != '0'
    root.run('bash -n /usr/share/bash-completion/completions/avmmctl /usr/share/bash-completion/completions/avmm-server')
    said = root.run('avmm-server check', check=False)
    assert '[server] has no address' in said and '/etc/avmm/server.ini' in said, said
    root.run('ip link set lo up; printf "[server]\\naddress = 127.0.0.1\\n[defaults]\\nimage = disk\\n" >/etc/avmm/server.ini; '
             'truncate -s 1M /tmp/disk; avmm-server image add disk /tmp/disk; test -f /var/lib/avmm/images/disk/1/disk.img')


def removed(root):
    root.run(f'apt-get -y -q purge {" ".join(PACKAGES)}')
    left = root.run('ls /usr/sbin/avmm* /usr/share/avmm* /usr/src/avmm* /etc/avmm/* /usr/lib/modprobe.d/avmm* '
                    '/lib/modules/*/updates/dkms/avmm* /lib/systemd/system/avmm* /var/lib/avmm/generated 2>/dev/null || true')
    assert not left, left
    assert root.run('dkms status avmm') == ''
    root.run('test -f /var/lib/avmm/images/disk/1/disk.img')       # somebody's work


class TestPackages:
    def test_install_use_upgrade_remove(self, debs, tmp_path):
        """On this machine's root, which has what they depend on."""
        root = Root('/', tmp_path / 'root')
        root.install()
        for series in ('6.1', '6.12'):
            built(root, VERSION, series)
        works(root)
        later(tmp_path / 'later')
        # one build more is enough
        root.run(f'rm /lib/modules/{paths.kernel_version("6.1")}/build')
        root.install(NEXT)
        built(root, NEXT, '6.12')
        status = root.run('dkms status avmm')
        assert NEXT in status and not re.search(rf'\b{re.escape(VERSION)}(?!\.)', status), status
        assert 'image = disk' in root.run('cat /etc/avmm/server.ini')
        removed(root)


@pytest.mark.soak('netboot-packages')
class TestCleanRoot:
    def test_install_use_upgrade_remove(self, debs, tmp_path):
        """On a Debian 12 that has nothing else: apt has to find all that they need."""
        base = clean_root()
        root = Root(base, tmp_path / 'root')
        headers = ' '.join(f'linux-headers-{paths.kernel_version(s)}' for s in ('6.1', '6.12'))
        root.run(f'apt-get -q update; apt-get -y -q --no-install-recommends install {headers} busybox-static seabios dmsetup '
                 'zstd cpio', net=True)
        root.install(net=True)
        for series in ('6.1', '6.12'):
            built(root, VERSION, series)
        works(root)
        later(tmp_path / 'later')
        root.install(NEXT, net=True)
        removed(root)


def clean_root():
    """debootstrap's smallest Debian 12, made once."""
    final = paths.CACHE / 'debootstrap-bookworm'
    with emulator.locked(paths.CACHE / 'debootstrap.lock'):
        if not final.exists():
            assert shutil.which('debootstrap', path='/usr/sbin:/usr/bin'), 'apt install debootstrap'
            work = paths.CACHE / f'debootstrap.{os.getpid()}'
            shutil.rmtree(work, ignore_errors=True)
            subprocess.run(['debootstrap', '--variant=minbase', 'bookworm', work, 'http://deb.debian.org/debian'],
                           check=True, stdout=subprocess.DEVNULL)
            (work / 'etc/apt/sources.list').write_text(''.join(
                f'deb http://deb.debian.org/{place} main\n'
                for place in ('debian bookworm', 'debian bookworm-updates', 'debian-security bookworm-security')))
            work.rename(final)
    return final
