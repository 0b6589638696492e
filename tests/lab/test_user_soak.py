# SPDX-License-Identifier: GPL-2.0
"""The long tests of the user partition, and the rest of the matrix of kernels and CPU counts."""

import pytest

from lab import avmm, kernel_log
from lab.load import Load
from lab.memory import Usage
from test_launch import assert_no_leak
from test_user import Up, assert_clocks_agree, clean  # noqa: F401
from test_user_life import Ends, Life, launched  # noqa: F401
from test_user_load import LATE_MS, Busy, Shares, burning


class Minute(Up):
    def test_clock(self, m, u, clean):  # noqa: F811
        assert_clocks_agree(m, u, 60)


class Cycles:
    """Stock kernels: CYCLES to the shell and off again, KILLS by force on the way there."""
    cycles, kills = 10, 20

    def test_boot_and_power_off(self, m, u, launched):  # noqa: F811
        u.boot()
        u.send('poweroff -f')
        assert u.wait_gone() == 'power-off'
        before = Usage(m)
        for _ in range(self.cycles):
            u.boot()
            u.send('poweroff -f')
            assert u.wait_gone() == 'power-off'
        assert_no_leak(m, before)

    def test_killed_while_booting(self, m, u, launched):  # noqa: F811
        u.start()
        u.stop()
        before = Usage(m)
        for i in range(self.kills):
            u.start()
            m.run(f'sleep {0.4 * i:.1f}', timeout=400)
            u.stop()
        assert_no_leak(m, before)


class Commands:
    """Pause, resume, shares, reset and triple faults in any order under load: everything is answered, every time."""
    rounds = 40

    @pytest.mark.parametrize('guest', ['spin', 'halt', 'flood', 'triple-fault', 'reset'])
    def test_storm(self, m, u, launched, guest):  # noqa: F811
        with Load(m, 'cpu', 'timer', 'fork'):
            for n in range(self.rounds // 5):
                u.start_tiny(guest, more='on_triple_fault = reset')
                for part in (90, 10, 50):
                    m.run('avmmctl pause', check=False)
                    u.shares(part)
                    m.run('avmmctl resume', check=False)
                    m.run('avmmctl reset', check=False)
                    m.run('avmmctl status >/dev/null')
                u.stop()
        assert avmm.status(m)['state'] == 'launched'


class LongLoad(Busy, Shares):
    ALL = ('cpu', 'timer', 'fork', 'mem', 'xsave')
    loads = dict.fromkeys((90, 10), ((*ALL, 'disk', 'net'), ALL))

    def test_ten_seconds(self, m, u, clean):  # noqa: F811
        u.shares(10)
        # The user's tenth is too little for what it is to do 1,000 times a second: it is late by all of the time in the end.
        with Load(m, late_ms=LATE_MS), Load(u, *self.ALL, late_ms=2 * LATE_MS):
            m.run('sleep 10', timeout=900)

    def test_long_shares(self, m, u, clean):  # noqa: F811
        with burning(m, 'taskset 1'), burning(u):
            for part in (99, 90, 75, 50, 25, 10, 1):
                u.shares(part)
                times = u.times(2)
                assert abs(100 * times['user'] / (times['user'] + times['service']) - part) <= 1, (part, times)


def shape(host, guest, cpus, **more):
    return {'kernel': host, 'cpus': cpus, 'mem': 1024, 'disk': 16, 'guest': guest, **more}


@pytest.mark.soak('user-6.1-6.1')
class TestUser61x61(Minute):
    shape = shape('6.1', '6.1', 2)


@pytest.mark.soak('user-6.1-6.1')
class TestLoad61x61(LongLoad):
    shape = shape('6.1', '6.1', 2)


@pytest.mark.soak('user-6.12-6.12')
class TestUser612x612(Minute):
    shape = shape('6.12', '6.12', 1)


@pytest.mark.soak('user-6.12-6.12')
class TestLoad612x612(LongLoad):
    shape = shape('6.12', '6.12', 1)


@pytest.mark.soak('user-4cpu')
class TestUser4(Minute):
    shape = shape('6.12', '6.12', 4)


@pytest.mark.soak('user-4cpu')
class TestLoad4(LongLoad):
    shape = shape('6.12', '6.12', 4)


@pytest.mark.soak('user-2cpu')
class TestUser612Long(Up):
    shape = shape('6.12', '6.1', 2)


@pytest.mark.soak('user-2cpu')
class TestLoad612(Busy, Shares):
    shape = shape('6.12', '6.1', 2)


@pytest.mark.soak('user-2cpu')
class TestEnds612(Ends):
    shape = shape('6.12', '6.1', 2)


@pytest.mark.soak('user-ends')
class TestEnds61x61(Ends):
    shape = shape('6.1', '6.1', 1)


@pytest.mark.soak('user-cycles-6.12')
class TestCycles612(Cycles):
    shape = shape('6.1', '6.12', 1, up=False)


@pytest.mark.soak('user-cycles-6.1')
class TestCycles61(Cycles):
    shape = shape('6.12', '6.1', 1, up=False)
    cycles, kills = 5, 10


@pytest.mark.soak('user-life')
class TestLife100(Life):
    shape = shape('6.12', '6.12', 4, up=False)
    cycles, kills = 100, 20


@pytest.mark.soak('user-commands')
class TestCommands61(Commands):
    shape = shape('6.1', '6.12', 1, up=False)


@pytest.mark.soak('user-commands')
class TestCommands612(Commands):
    shape = shape('6.12', '6.12', 1, up=False)
