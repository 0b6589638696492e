# SPDX-License-Identifier: GPL-2.0
"""A stock kernel as user partition: what it finds, what its clock shows, what its console does."""

import base64
import re

import pytest

from lab import avmm, kernel_log, user

MIB = 1 << 20
MEMORY = 256 * MIB


@pytest.fixture
def clean(m, u):
    """Neither kernel log gets a warning from the test."""
    before = kernel_log.warnings(m), kernel_log.warnings(u)
    yield
    if m.broken or not m.emulator.alive():
        return
    assert kernel_log.new_warnings(m, before[0]) == []
    assert kernel_log.new_warnings(u, before[1]) == []


def clocks(shell):
    """{tsc, monotonic, realtime} of one moment; the last two in seconds."""
    found = re.search(r'tsc (\d+) monotonic-ns (\d+) realtime-ns (\d+)', shell.out('clocks', timeout=120))
    tsc, monotonic, realtime = map(int, found.groups())
    return {'tsc': tsc, 'monotonic': monotonic / 1e9, 'realtime': realtime / 1e9}


def passed(before, after):
    return {k: after[k] - before[k] for k in before}


def assert_clocks_agree(m, u, seconds):
    """Each kernel's seconds per tick of the time stamp counter, which runs at one speed for both, over SECONDS."""
    before = clocks(m), clocks(u)
    m.run(f'sleep {seconds}', timeout=60 + 10 * seconds)
    after = clocks(m), clocks(u)
    host, guest = passed(before[0], after[0]), passed(before[1], after[1])
    assert guest['monotonic'] >= seconds
    for clock in ('monotonic', 'realtime'):
        rate = (guest[clock] / guest['tsc']) / (host[clock] / host['tsc'])
        assert abs(rate - 1) < 0.001, (clock, rate, host, guest)


class Up:
    """On a machine whose user partition waits at its shell."""

    def test_shell(self, m, u):
        assert u.out('uname -r').startswith(m.guest + '.')
        assert u.out('nproc') == '1'
        assert u.out('echo some text; cat /proc/1/comm') == 'some text\ninit'
        assert u.run('exit 3', check=False).status == 3

    def test_output_before_the_console_was_opened(self, m, u):
        """Nobody had a terminal open while it booted: avmmctl console shows it all the same."""
        assert f'GUEST-UP {m.guest}.' in m.out('avmmctl console --dump')

    def test_status(self, m, u):
        found = u.status()
        assert (found['state'], found['reason'], found['resets']) == ('running', 'none', 0)
        assert (found['memory'], found['vcpus'], found['cpus']) == (MEMORY, 1, [0])
        assert found['share'] == user.percent(m, 90)
        text = m.out('avmmctl status')
        assert re.search(r'^user: running, 256.0 MiB of memory, 1 CPU, 0 resets$', text, re.M), text
        assert f'user with {user.percent(m, 90)} %' in text

    def test_who_its_local_apic_is(self, m, u):
        """The CPU, where it may: then the guest's EOIs do not exit. Its timer it sets by MSR either way."""
        before = avmm.user_stats(m)['exits']
        u.run('for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.01; done')
        went = {reason: count - before.get(reason, 0) for reason, count in avmm.user_stats(m)['exits'].items()}
        assert went['WRMSR'] >= 10, went
        if 'apicv=0' in self.shape.get('parameters', ''):
            assert went['EPT violation'] >= 10, went
        else:
            assert went.get('EPT violation', 0) < 5, went

    def test_times(self, m, u):
        """They are those of the answer, whatever the guest does: an idle one needs no switch."""
        shared = ('time_user', 'time_service', 'time_idle', 'time_monitor')
        before = u.status()
        m.run('sleep 1')
        after = u.status()
        went = {name: after[name] - before[name] for name in ('tsc', 'guest_time', *shared)}
        assert went['tsc'] > 400e6
        assert abs(went['guest_time'] - went['tsc']) < 4e6, went
        assert abs(sum(went[name] for name in shared) - went['tsc']) < 4e6, went
        u.run(':')
        assert u.status()['time_user'] > after['time_user']

    def test_memory(self, u):
        """All of it but the hole below 1 MiB is there, and Linux uses it."""
        ranges = re.findall(r'^([0-9a-f]+)-([0-9a-f]+) : System RAM$', u.out('cat /proc/iomem'), re.M)
        ram = sum(int(end, 16) + 1 - int(start, 16) for start, end in ranges)
        assert MEMORY - MIB // 2 < ram < MEMORY, ranges
        total = int(re.search(r'^MemTotal: +(\d+) kB', u.out('cat /proc/meminfo'), re.M).group(1)) * 1024
        assert 0.78 * MEMORY < total < MEMORY

    def test_no_warning_of_its_own(self, lab, m, u):
        """The guest's log has no warning that this kernel does not give when it runs on the bare machine."""
        with m.emulator.held():
            bare = lab(kernel=m.guest, cpus=1, mem=512, disk=0, guest=None)
            before = kernel_log.warnings(bare)
            bare.stop()
        assert kernel_log.new_warnings(u, before) == []

    def test_time_source(self, u):
        """The TSC, without calibration against another clock and without a doubt."""
        base = '/sys/devices/system/clocksource/clocksource0'
        assert u.out(f'cat {base}/current_clocksource') == 'tsc'
        log = u.out('dmesg')
        assert re.search(r'tsc: Detected 400\.000 MHz (TSC|processor)', log)
        assert 'Refined TSC' not in log and 'nstable' not in log

    def test_clock(self, m, u, clean):
        assert_clocks_agree(m, u, 10)

    def test_date(self, m, u):
        """The RTC showed the service's time when it was started."""
        assert abs(int(m.out('date +%s')) - int(u.out('date +%s'))) < 10

    def test_pause(self, m, u, clean):
        """Its time stands still, and nothing tells it so."""
        outside, before = clocks(m), clocks(u)
        m.run('avmmctl pause')
        assert u.status()['state'] == 'paused'
        stopped = u.status()['guest_time']
        m.run('sleep 30', timeout=120)
        assert u.status()['guest_time'] == stopped
        m.run('avmmctl resume')
        assert u.status()['state'] == 'running'
        went = passed(before, clocks(u))
        outside = passed(outside, clocks(m))
        for clock in went:
            paused = 30 * (400e6 if clock == 'tsc' else 1)
            assert 0 < went[clock] < outside[clock] - paused, (went, outside)

    def test_input_while_paused(self, m, u, clean):
        m.run('avmmctl pause')
        m.run('(sleep 1; avmmctl resume) >/dev/null 2>&1 &')
        assert u.out('echo there', timeout=120) == 'there'

    def test_flood(self, m, u, clean):
        """Output without end keeps neither the service nor the guest from their work, read or not."""
        u.run('yes "a line of a flood of output" | head -c 150000 >/dev/ttyS0', timeout=400)
        m.run('avmmctl status')
        m.run(f'kill $(cat {user.PID})')
        u.attach()
        u.run('(yes nobody reads this | head -c 150000 >/dev/ttyS0; echo done >/tmp/flooded) &')
        m.run(f'kill -STOP $(cat {user.PID}); sleep 3; avmmctl status', timeout=200)
        m.run(f'kill -CONT $(cat {user.PID})')
        assert u.out('until [ -s /tmp/flooded ]; do sleep 0.1; done; cat /tmp/flooded', timeout=400) == 'done'
        assert m.out('avmmctl console --dump | wc -c') == '65536'

    def test_rmmod_refused(self, m, u):
        result = m.run('rmmod avmm', check=False)
        assert result.status and 'in use' in result.output
        assert avmm.status(m)['state'] == 'launched' and u.status()['state'] == 'running'


class TestUser61(Up):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'disk': 16, 'guest': '6.12'}


class TestUser612(Up):
    """What CPUs of the service's own may change; make soak has the rest."""
    shape = {'kernel': '6.12', 'cpus': 2, 'mem': 1024, 'disk': 16, 'guest': '6.1', 'parameters': 'apicv=0'}
    test_no_warning_of_its_own = test_flood = test_output_before_the_console_was_opened = None

    def test_nmi_of_the_service(self, m, u):
        """It goes in at once: the guest, which computes and owns most of the CPU, is left amid its slice."""
        u.run('(timeout 60 sh -c "while :; do :; done") >/dev/null 2>&1 & echo $! >/tmp/spin')
        before = avmm.user_stats(m)['exits'].get('Exception or NMI', 0)
        m.run('insmod /root/tests/avmm_nmi.ko; echo "storm 400 cpus=0 gap=500" >/proc/avmm_nmi', timeout=120)
        m.run('echo wait >/proc/avmm_nmi', timeout=400)
        report = m.out('cat /proc/avmm_nmi; rmmod avmm_nmi')
        found = avmm.user_stats(m)['exits'].get('Exception or NMI', 0) - before
        u.run('kill $(cat /tmp/spin)')
        assert report.endswith('verdict ok'), report
        assert found >= 100, (found, report)
        assert int(re.search(r'cpu 0 .*slowest_us (\d+)', report)[1]) < 200, report

    def test_command_of_another_cpu(self, m, u):
        """Both sides of the shared CPU are idle when a command from CPU 1 wakes the guest, which then computes."""
        spin = base64.b64encode(b'timeout 3 sh -c "while :; do :; done"').decode()
        for _ in range(3):
            took = m.out(f"""sleep 4; read before rest </proc/uptime
                taskset 2 sh -c 'echo 0 {spin} >/dev/ttyAVMM0; avmmctl shares >/dev/null'
                read after rest </proc/uptime; echo $before $after; sleep 4""", timeout=240)
            before, after = map(float, took.split())
            assert after - before < 0.3, took
