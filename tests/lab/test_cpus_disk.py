# SPDX-License-Identifier: GPL-2.0
"""The disguised disk and firmware with several vCPUs. (The machine is another one than that of test_cpus.)"""

import pytest

import test_disk_ide
from lab import user
from test_cpus import launched  # noqa: F401
from test_disk_boot import BANNER, NOTHING, SEABIOS, wait_console


@pytest.mark.soak('cpus-disk')
class TestDiskShared(test_disk_ide.Story):
    """Two vCPUs, one of which runs beside the service."""
    shape = test_disk_ide.machine('6.1', '6.12', 2)
    parameters = 'split_cores=1'
    partition = {'user': 180, 'more': 'freeze_after = 10\ncpus = 2\nshared = yes'}
    test_03_exits = test_04_read_only = test_05_discs = test_06_errors = None


@pytest.mark.soak('cpus-disk')
class TestDiskApart(test_disk_ide.Story):
    """Three vCPUs, each of which has its CPU."""
    shape = test_disk_ide.machine('6.12', '6.1', 4)
    parameters = 'split_cores=1'
    partition = {'more': 'freeze_after = 10\ncpus = 3\nshared = no'}
    test_04_read_only = test_05_discs = test_06_errors = test_10_pio = None

    def check_exits(self, per):
        """A completion's interrupt goes in without an exit: the vCPU is notified (docs/cpus.md)."""
        assert per.get('Exception or NMI', 0) < 0.1, per


@pytest.mark.soak('cpus-disk')
class TestFirmwareCpus:
    shape = {'kernel': '6.1', 'cpus': 2, 'mem': 512, 'extra': ((SEABIOS, SEABIOS),)}

    # docs/lab-notes.md, "PAUSE"
    LOCKED_OUT = pytest.mark.skip(reason='the emulator never lets the second CPU into the lock that SeaBIOS waits with')

    @pytest.mark.parametrize('cpus, shared', [pytest.param(2, 'yes', marks=LOCKED_OUT), (1, 'no')])
    def test_seabios(self, m, launched, cpus, shared):  # noqa: F811
        m.write_file(user.INI, f'[partition]\nmemory = 128M\nfirmware = seabios\ncpus = {cpus}\nshared = {shared}\n'
                               '[shares]\nuser = 90\n')
        m.run(f'avmmctl start {user.INI}', timeout=120)
        assert wait_console(m, NOTHING).count(BANNER) == 1
        assert f'Found {cpus} cpu(s) max supported {cpus}' in m.out('avmmctl log')
        m.run('avmmctl reset', timeout=120)
        assert wait_console(m, NOTHING, 2).count(BANNER) == 2
