# SPDX-License-Identifier: GPL-2.0
"""Firmware: stock OVMF in the user partition, its variables in a file of the service's."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab import kernel_log, paths
from test_disk_boot import refused
from test_user_life import launched  # noqa: F401

CODE, TEMPLATE = (f'/usr/share/OVMF/OVMF_{name}_4M.fd' for name in ('CODE', 'VARS'))
VARIABLES = '/root/variables.fd'
ESP = '/root/esp.img'
SOURCE = Path(__file__).resolve().parent / 'lab/guest-efi/starts.c'


def build_program(work):
    subprocess.run(['clang', '--target=x86_64-unknown-windows', '-O2', '-Wall', '-Wextra', '-Werror', '-ffreestanding',
                    '-mno-red-zone', '-mgeneral-regs-only', '-c', SOURCE, '-o', work / 'program.o'], check=True)
    subprocess.run(['ld', '-m', 'i386pep', '--subsystem', '10', '-e', 'start', '--image-base', '0x100000', '-s',
                    '-o', work / 'program.efi', work / 'program.o'], check=True)


def esp_image():
    """A disk with a FAT file system and the program where firmware looks for it; built once per content."""
    out = paths.IMAGES / f'esp-{paths.key(paths.content(SOURCE), "clang")}'
    if not out.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=paths.IMAGES) as name:
            work = Path(name)
            build_program(work)
            subprocess.run(['mkfs.vfat', '-C', work / 'esp', '1440'], stdout=subprocess.DEVNULL, check=True)
            subprocess.run(['mmd', '-i', work / 'esp', '::/EFI', '::/EFI/BOOT'], check=True)
            subprocess.run(['mcopy', '-i', work / 'esp', work / 'program.efi', '::/EFI/BOOT/BOOTX64.EFI'], check=True)
            (work / 'esp').rename(out)
    return out


def starts(m):
    """What the program has said so far."""
    return re.findall(r'UEFI program: start (.) of', m.out('avmmctl console --dump'))


def wait_starts(m, n, timeout=400):
    m.run(f'until [ $(avmmctl console --dump | grep -c "UEFI program") -ge {n} ]; do sleep 0.2; done', timeout=timeout)


class TestOvmf:
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 512,
             'extra': ((CODE, CODE), (TEMPLATE, TEMPLATE), (ESP, esp_image()))}
    options = f'--memory 128M --firmware ovmf --disk0-backing {ESP}'

    def start(self, m):
        m.run(f'avmmctl start {self.options} --variables {VARIABLES}')

    def test_refusals(self, m, launched):  # noqa: F811
        assert 'its folder: No such file' in refused(m, '--firmware ovmf --variables /no/folder/file')
        assert 'there is no `firmware`' in refused(m, '--kernel /root/avmm.ko --variables /root/new')
        m.run(f'head -c 65536 {TEMPLATE} >/root/short; mkdir /root/ro; mount -t tmpfs -o ro none /root/ro')
        assert 'the variables of this firmware have 540672' in refused(m, '--firmware ovmf --variables /root/short')
        assert 'Read-only file system' in refused(m, '--firmware ovmf --variables /root/ro/new')
        assert 'no store of UEFI variables' in refused(m, f'--firmware {CODE} --variables {CODE}')
        m.run(f'mv {TEMPLATE} /root/template')
        assert 'package `ovmf` has it' in refused(m, '--firmware ovmf')
        m.run(f'mv /root/template {TEMPLATE}; umount /root/ro')

    def test_variables_are_kept(self, m, launched):  # noqa: F811
        """A program of the guest's counts its starts: over a reset of its own, after which it powers off."""
        before = kernel_log.warnings(m)
        self.start(m)
        wait_starts(m, 2)
        m.run('while [ -s /run/avmm.pid ]; do sleep 0.2; done', timeout=240)
        assert starts(m)[-2:] == ['1', '2']
        assert 'powered itself off' in m.out('avmmctl status')
        m.run(f"tr -d '\\000' <{VARIABLES} | grep -q AvmmStarts")
        assert m.out(f"stat -c '%s %a' {VARIABLES}; ls {VARIABLES}*") == f'540672 600\n{VARIABLES}'
        assert not kernel_log.new_warnings(m, before)

    @pytest.mark.soak('firmware-ovmf')
    def test_stop_by_force(self, m, launched):  # noqa: F811
        """At the next start the variable is there, also if the partition was stopped as soon as it was written."""
        m.run(f'rm -f {VARIABLES}')
        self.start(m)
        wait_starts(m, 1)
        m.run('avmmctl stop --force --timeout 0')
        self.start(m)
        m.run('while [ -s /run/avmm.pid ]; do sleep 0.2; done', timeout=400)
        assert starts(m) == ['1', '2']


@pytest.mark.soak('firmware-ovmf')
def test_debian():
    """The image of make demo, by OVMF: to login; a boot variable that its kernel sets is in the file."""
    result = subprocess.run([sys.executable, paths.TOP / 'scripts/demo/demo.py', '--firmware', 'ovmf'],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    assert 'status 0' in result.stdout and 'Everything worked' in result.stdout
    print(result.stdout)
