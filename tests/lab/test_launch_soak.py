# SPDX-License-Identifier: GPL-2.0
"""The long tests of the launch, and the rest of the matrix of kernels, CPU counts and CPU models."""

import pytest

from lab import avmm
from lab.load import Load
from lab.memory import Usage
from test_launch import CYCLE, Basics, Debug, Endings, Hotplug, Nmi, assert_no_leak, clean  # noqa: F401
from test_launch_kexec import Kexec
from test_launch_refused import assert_refused

# What newer models want to be told before Linux boots on them.
NEW = ('0x1a0 0 00000000 00000001 00000000 00000000 00000000 00000000',
       '0x8b 0 02000065 00000000 00000000 00000000 ffffffff ffffffff')


class Cycles:
    """CYCLES of insmod and rmmod in four quarters on one machine, each under another load and within a test's time.

    What the load alone leaves behind, in as long as 25 cycles take, is the yardstick. A leak of a page per cycle
    shows at the latest when all quarters are taken together.
    """
    cycles = 200
    first = {}      # of the machine

    @pytest.mark.parametrize('load', ['cpu timer', 'disk net', 'fork', 'mem xsave'])
    def test_cycles(self, m, clean, load):  # noqa: F811
        kinds = load.split()
        with Load(m, *kinds):
            m.run(CYCLE.format(n=5), timeout=300)
        control = [Usage(m)]
        with Load(m, *kinds):
            m.run('sleep 4', timeout=600)
        control.append(Usage(m))
        self.first.setdefault(m, control[0])
        for _ in range(0, self.cycles // 4, 25):
            with Load(m, *kinds):
                m.run(CYCLE.format(n=25), timeout=600)
        assert_no_leak(m, control[1], control=control)
        assert_no_leak(m, self.first[m], control=control)


@pytest.mark.soak('cycles-1cpu')
class TestCycles1(Cycles):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16}
    cycles = 1000


@pytest.mark.soak('cycles-4cpu')
class TestCycles4(Cycles):
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024, 'disk': 16}


@pytest.mark.soak('nmi')
class TestMillionNmis(Nmi):
    shape = {'kernel': '6.12', 'cpus': 2}
    test_storm_at_rest = test_storm_with_exits = test_storm_while_launching = None

    def test_million(self, m, clean):  # noqa: F811
        avmm.launch(m)

        def during():
            for _ in range(20):
                m.run('rmmod avmm; ' + CYCLE.format(n=5) + '; insmod /root/avmm.ko', timeout=600)

        self.storm(m, during, count=1000000, timeout=1500)


@pytest.mark.soak('matrix-6.1')
class TestMatrix61x2(Basics, Nmi, Hotplug):
    shape = {'kernel': '6.1', 'cpus': 2, 'disk': 16}


@pytest.mark.soak('matrix-6.1')
class TestMatrix61x4(Basics, Nmi, Hotplug):
    shape = {'kernel': '6.1', 'cpus': 4, 'mem': 1024, 'disk': 16}


@pytest.mark.soak('matrix-6.12')
class TestMatrix612x1(Basics, Nmi):
    shape = {'kernel': '6.12', 'cpus': 1, 'disk': 16}


@pytest.mark.soak('matrix-6.12')
class TestMatrix612x4(Basics, Nmi, Hotplug):
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024, 'disk': 16}


@pytest.mark.soak('endings')
class TestEndings4(Endings):
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024}


@pytest.mark.soak('endings')
class TestKexec4(Kexec):
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024, 'cmdline': '+crashkernel=256M'}


@pytest.mark.soak('debug-4cpu')
class TestDebug4(Debug):
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024}


@pytest.mark.soak('models')
class TestSapphireRapids(Basics):
    """Five-level paging."""
    shape = {'kernel': '6.12', 'cpus': 1, 'mem': 1024, 'disk': 16, 'model': 'sapphire_rapids', 'msrs': NEW}


@pytest.mark.soak('models')
class TestTigerLake(Basics):
    shape = {'kernel': '6.12', 'cpus': 1, 'disk': 16, 'model': 'tigerlake', 'msrs': NEW}


@pytest.mark.soak('models')
class TestHaswell(Basics):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16, 'model': 'corei7_haswell_4770'}


@pytest.mark.soak('models')
class TestArrandale(Basics):
    """The oldest with an unrestricted guest: no XSAVE, no INVPCID."""
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16, 'model': 'corei5_arrandale_m520'}
    test_under_load = test_steady_state = None      # they need load_xsave


@pytest.mark.soak('models')
class TestLynnfield:
    """EPT, but no unrestricted guest."""
    shape = {'kernel': '6.1', 'cpus': 1, 'model': 'corei5_lynnfield_750'}

    def test_refused(self, m):
        assert_refused(m, 'unrestricted guest')
