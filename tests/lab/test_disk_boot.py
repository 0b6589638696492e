# SPDX-License-Identifier: GPL-2.0
"""Firmware: stock SeaBIOS in the user partition, from the reset vector to its boot devices."""

import json
import re

import pytest

from lab import avmm, kernel_log, user

SEABIOS = '/usr/share/seabios/bios-256k.bin'
BANNER = 'SeaBIOS (version '
NOTHING = 'No bootable device'


def wait_console(m, text, count=1, timeout=240):
    """Until the console has shown TEXT that many times; all that it showed."""
    m.run(f'until [ $(avmmctl console --dump | grep -c "{text}") -ge {count} ]; do sleep 0.2; done', timeout=timeout)
    return m.out('avmmctl console --dump')


@pytest.fixture
def launched(m):
    m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
    before = kernel_log.warnings(m)
    yield
    if m.broken or not m.emulator.alive():
        return
    m.run('avmmctl stop --force --timeout 0 2>/dev/null', check=False)
    assert kernel_log.new_warnings(m, before) == []


def refused(m, *options):
    result = m.run(f'avmmctl start --memory 64M {" ".join(options)}', check=False)
    assert result.status == 1, result
    return result.output


class TestFirmware:
    """No disk: SeaBIOS gets as far as it can."""
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 512, 'extra': ((SEABIOS, SEABIOS),)}

    def test_seabios(self, m, launched):
        """It finds memory, tables and console, and misses nothing but a disk; after a reset once more."""
        m.write_file(user.INI, '[partition]\nmemory = 128M\nfirmware = seabios\n[shares]\nuser = 90\n')
        m.run(f'avmmctl start {user.INI}')
        console = wait_console(m, NOTHING)
        assert console.count(BANNER) == 1, console
        log = m.out('avmmctl log')
        for line in (r'Running on QEMU \(i440fx\)', r'fw_cfg DMA interface supported', r'len 0x0+8000000 \[RAM\]',
                     r'Found 1 cpu\(s\) max supported 1', r'Using pmtimer, ioport 0x608', r'Copying SMBIOS',
                     r'table\(50434146\)=0x07ff.*via xsdt', r'Found 1 serial ports', r'2: 00000000000f0000.*RESERVED'):
            assert re.search(line, log), (line, log)
        assert not re.search(r'[Ww]arning|internal error|[Tt]imeout at|nobody is|No room', log), log
        m.run('avmmctl reset')
        assert wait_console(m, NOTHING, 2).count(BANNER) == 2
        assert avmm.status(m)['partitions'][-1]['resets'] == 1

    def test_idle(self, m, launched):
        """A BIOS that waits leaves the CPU to the service."""
        m.run('avmmctl start --memory 64M --firmware seabios')
        wait_console(m, NOTHING)
        times = json.loads(m.out('avmmctl stats --json --interval 5', timeout=240))['user']
        spent = {k: times[f'time_{k}'] for k in ('user', 'service', 'idle', 'monitor')}
        assert spent['user'] < 0.05 * sum(spent.values()), spent

    def test_refusals(self, m, launched):
        assert 'there is `kernel` too' in refused(m, '--firmware seabios --kernel /root/avmm.ko')
        assert '/no/file: No such file' in refused(m, '--firmware /no/file')
        assert 'less than 64 KiB' in refused(m, '--firmware /agent')
        assert 'package `ovmf` has it' in refused(m, '--firmware ovmf')
        assert '`firmware` is missing, or `kernel`' in refused(m)
