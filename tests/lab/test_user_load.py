# SPDX-License-Identifier: GPL-2.0
"""Both partitions at work: nothing gets lost, nobody notices the other, and each gets its share of the shared CPU."""

import re
from contextlib import contextmanager

import pytest

from lab import kernel_log, user
from lab.load import Load
from test_user import clean, clocks, passed  # noqa: F401

# A process waits for its own partition's other processes too: with a tenth of the CPU ten times as long.
LATE_MS = 10000


@contextmanager
def burning(shell, where=''):
    """A process that wants all of a CPU, and checks what it computes."""
    stop = '/tmp/.burning.stop'
    shell.run(f'rm -f {stop}')
    job = shell.background(f'{where} load_cpu -u {stop}')
    yield
    shell.run(f'touch {stop}', timeout=120)
    result = job.wait(240)
    assert result.status == 0 and ' ok' in result.output, result


def share(times, who='user'):
    """Percent that WHO had of what both had."""
    return 100 * times[who] / (times['user'] + times['service'])


class Busy:
    """Everything that the machine has, on both sides at once. The programs check themselves."""
    # the user's percent: what runs in the service partition, what in the user partition
    loads = {
        90: (('cpu', 'timer', 'xsave', 'disk', 'net'), ('cpu', 'timer', 'fork', 'mem', 'xsave')),
        10: (('cpu', 'timer', 'fork', 'mem', 'xsave', 'disk', 'net'), ('cpu', 'timer', 'xsave')),
    }

    @pytest.mark.parametrize('part', [90, 10])
    def test_both(self, m, u, clean, part):  # noqa: F811
        u.shares(part)
        before = clocks(m), clocks(u)
        of_service, of_user = self.loads[part]
        with Load(m, *of_service, late_ms=LATE_MS), Load(u, *of_user, late_ms=LATE_MS):
            m.run('sleep 0.5', timeout=240)
        # the clocks went on as the time stamp counter did
        for shell, was in zip((m, u), before):
            went = passed(was, clocks(shell))
            for clock in ('monotonic', 'realtime'):
                assert abs(went[clock] * 400e6 / went['tsc'] - 1) < 0.001, went


class Shares:
    def test_received(self, m, u, clean):  # noqa: F811
        """Both want all they can have, and the shares change meanwhile."""
        with burning(m, 'taskset 1'), burning(u):
            for part in (90, 50, 10, 50, 90, 10):
                u.shares(part)
                times = u.times(1)
                assert abs(share(times) - part) <= 1, (part, times)
                assert times['idle'] == 0 and times['monitor'] < 0.05 * times['all'], times

    def test_service_leaves_its_part(self, m, u):
        u.shares(10)
        with burning(u):
            times = u.times(1)
        assert share(times) >= 99, times

    def test_user_leaves_its_part(self, m, u):
        u.shares(90)
        with burning(m, 'taskset 1'):
            times = u.times(1)
        assert share(times, 'service') >= 99, times

    def test_cap_of_user(self, m, u, clean):  # noqa: F811
        u.shares(90, '--cap-user 30')
        with burning(u), Load(m, 'timer', settle=0):
            times = u.times(1)
        u.shares(90, '--cap-user 100')
        assert abs(100 * times['user'] / times['all'] - 30) <= 1, times

    def test_cap_of_service(self, m, u, clean):  # noqa: F811
        u.shares(90, '--cap-service 30')
        with burning(m, 'taskset 1'):
            times = u.times(1)
        u.shares(90, '--cap-service 100')
        assert abs(100 * times['service'] / times['all'] - 30) <= 1, times

    @pytest.mark.parametrize('part', [50, 90])
    def test_interrupt_of_service(self, m, u, clean, part):  # noqa: F811
        """The user partition has work all the time: a handler of the service is entered at once all the same."""
        m.run('grep -q avmm_latency /proc/modules || insmod /root/tests/avmm_latency.ko')
        u.shares(part)
        with burning(u):
            m.run("echo 'cpu=0 count=300 period=2100' >/proc/avmm_latency", timeout=240)
        found = re.search(r'count (\d+) mean-ns (\d+) max-ns (\d+)', m.out('cat /proc/avmm_latency'))
        count, mean, most = map(int, found.groups())
        assert count == 300 and most < 4e6 and mean < 100e3, found.group(0)


class TestLoad61(Busy, Shares):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'disk': 16, 'guest': '6.12'}
