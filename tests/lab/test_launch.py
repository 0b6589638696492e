# SPDX-License-Identifier: GPL-2.0
"""The monitor under a running Linux, and away again: what the running Linux may see of it, which is nothing."""

import re

import pytest

from lab import avmm, kernel_log
from lab.load import Load
from lab.memory import Usage, leaks

# Most of a cycle is waiting for grace periods, in which the loads cost the emulator its time.
EXPEDITE = 'echo {} >/sys/kernel/rcu_expedited'
CYCLE = 'for i in $(seq {n}); do insmod /root/avmm.ko && rmmod avmm || exit 1; done'
OFF = 'echo 0 >/sys/devices/system/cpu/cpu{}/online'
ON = 'echo 1 >/sys/devices/system/cpu/cpu{}/online'


@pytest.fixture
def clean(m):
    """The kernel log gets no warning from the test, and AVMM is gone after it."""
    before = kernel_log.warnings(m)
    yield
    if m.broken or not m.emulator.alive():
        return
    m.run('rmmod avmm 2>/dev/null', check=False, timeout=120)
    assert kernel_log.new_warnings(m, before) == []


def assert_no_leak(m, before, **control):
    """RCU and the work queues of Linux get time to free what is free."""
    for _ in range(6):
        found = leaks(before, Usage(m), **control)
        if not found:
            return
        m.run('sleep 3')
    pytest.fail(f'more than before (usual, noise): {found}')


def probe(m, what):
    m.run('grep -q avmm_probe /proc/modules || insmod /root/tests/avmm_probe.ko')
    m.run(f"echo '{what}' >/proc/avmm_probe", timeout=300)
    report = m.out('cat /proc/avmm_probe')
    assert report.endswith('verdict ok'), report
    return report


class Basics:
    """On one machine without AVMM's debug build."""
    cycle_load = ('cpu', 'timer', 'net')

    def test_modinfo(self, m):
        info = m.out('modinfo /root/avmm.ko')
        for name in ('license', 'description', 'author', 'version', 'vermagic', 'parm'):
            assert re.search(rf'^{name}: +\S', info, re.M), info
        assert m.out('uname -r') in info

    def test_check(self, m):
        status, found = avmm.check(m)
        assert (status, found['verdict']) == (0, 'ok'), found

    def test_load_only(self, m, clean):
        avmm.launch(m, parameters='launch=0')
        assert avmm.status(m)['state'] == 'loaded'
        avmm.leave(m)

    def test_launch(self, m, clean):
        avmm.launch(m)
        status = avmm.status(m)
        assert status['state'] == 'launched'
        assert [c['state'] for c in status['cpus']] == ['service'] * m.shape.cpus
        assert all(c['launch_ticks'] > 0 for c in status['cpus'])
        assert status['partitions'] == [{'name': 'service', 'cpus': list(range(m.shape.cpus))}]
        assert avmm.check(m)[1]['launched']
        avmm.leave(m)
        assert m.run('avmmctl status', check=False).status == 1

    def test_taint(self, m, clean):
        """A kernel may be tainted before: 6.12 warns on the emulator's Tiger Lake while it boots."""
        before = int(m.out('cat /proc/sys/kernel/tainted'))
        avmm.launch(m)
        out_of_tree, unsigned = 1 << 12, 1 << 13
        assert int(m.out('cat /proc/sys/kernel/tainted')) & ~(before | out_of_tree | unsigned) == 0
        assert m.out('cat /sys/module/avmm/taint') == 'OE'
        assert 'vmx' not in m.out('lsmod | grep -v ^avmm')

    def test_under_load(self, m, clean):
        with Load(m, settle=0.15):
            avmm.launch(m)
            m.run('sleep 0.2', timeout=120)
            assert avmm.status(m)['state'] == 'launched'
            avmm.leave(m)

    def test_cycles(self, m, clean):
        m.run(CYCLE.format(n=2), timeout=120)
        before = Usage(m)
        m.run(EXPEDITE.format(1))
        with Load(m, *self.cycle_load, settle=0.1):
            m.run(CYCLE.format(n=25), timeout=400)
        m.run(EXPEDITE.format(0))
        assert_no_leak(m, before)

    def test_steady_state(self, m, clean):
        """Load without CPUID: not one exit, on any CPU."""
        avmm.launch(m)
        with Load(m, 'cpu', 'timer', 'xsave', 'net', settle=0.1):
            exits = avmm.stats(m, seconds=0.3)
        assert {cpu: e for cpu, e in exits.items() if e} == {}

    def test_suspend(self, m, clean):
        """Vetoed while launched, and not any more when AVMM has gone."""
        avmm.launch(m)
        m.run('dmesg -c >/dev/null')
        for state in ('mem', 'freeze'):
            said = m.run(f'echo {state} >/sys/power/state', check=False)
            assert said.status and 'Device or resource busy' in said.output, said
        assert m.dmesg().count('avmm: this machine cannot sleep while the monitor is launched: rmmod avmm first') == 2
        assert avmm.status(m)['state'] == 'launched'
        avmm.leave(m)
        m.run('dmesg -c >/dev/null; echo 1 >/sys/module/suspend/parameters/pm_test_delay; '
              'echo freezer >/sys/power/pm_test; echo freeze >/sys/power/state; echo none >/sys/power/pm_test')
        assert 'suspend debug: Waiting for 1 second' in m.dmesg()

    def test_sysrq_l(self, m, clean):
        avmm.launch(m)
        m.run('echo l >/proc/sysrq-trigger; sleep 0.5')
        log = m.dmesg()
        assert 'Show backtrace of all active CPUs' in log
        # What the kernel prints for it is a trace by design.
        m.run('dmesg -c >/dev/null')

    def test_cpuid_hides(self, m, clean):
        avmm.launch(m)
        for cpu in range(m.shape.cpus):
            for what in ('cpuid', 'vmx', 'msr', 'cr', 'xcr'):
                probe(m, what)
            m.run(f'taskset {1 << cpu:x} user_vmcall -t 1')
        m.run('rmmod avmm_probe')


class Nmi:
    """NMIs: as many received as sent, whatever goes on."""

    def storm(self, m, during, count=2000, nest=10, timeout=400):
        m.run('grep -q avmm_nmi /proc/modules || insmod /root/tests/avmm_nmi.ko')
        m.run(f"echo 'storm {count} nest={nest}' >/proc/avmm_nmi")
        during()
        m.run('echo wait >/proc/avmm_nmi', timeout=timeout)
        report = m.out('cat /proc/avmm_nmi')
        m.run('rmmod avmm_nmi')
        assert report.endswith('verdict ok'), report
        return report

    def test_storm_at_rest(self, m, clean):
        avmm.launch(m)
        self.storm(m, lambda: m.run('sleep 0.2', timeout=120))

    def test_one_exit_each(self, m, clean):
        """By itself, or by the NMI window where it came while its CPU was in the monitor for a CPUID of the storm's."""
        avmm.launch(m)
        report = self.storm(m, lambda: m.run('sleep 0.2', timeout=120), nest=0)
        for cpu, exits in avmm.stats(m).items():
            received = int(re.search(rf'^cpu {cpu} sent \d+ received (\d+)', report, re.M)[1])
            assert received > 100
            assert exits.pop('Exception or NMI') + exits.pop('NMI window', 0) == received, (exits, report)
            assert set(exits) <= {'CPUID', 'VMCALL', 'Control-register access'}, exits

    def test_storm_with_exits(self, m, clean):
        avmm.launch(m)
        with Load(m, 'cpuid', 'xsave', settle=0.1):
            self.storm(m, lambda: None, count=200)

    def test_storm_while_launching(self, m, clean):
        self.storm(m, lambda: m.run(CYCLE.format(n=10), timeout=300), count=4000)


class Hotplug:
    """Needs two CPUs."""
    hotplug_load = ('cpu', 'timer', 'xsave')

    def test_off_and_on(self, m, clean):
        avmm.launch(m)
        with Load(m, *self.hotplug_load, settle=0.1):
            for _ in range(2):
                m.run(f'{OFF.format(1)} && sleep 0.05 && {ON.format(1)}', timeout=120)
        assert [c['state'] for c in avmm.status(m)['cpus']] == ['service'] * m.shape.cpus

    def test_off_at_insmod(self, m, clean):
        m.run(OFF.format(1))
        avmm.launch(m)
        assert avmm.status(m)['cpus'][1]['state'] == 'native'
        m.run(ON.format(1))
        assert avmm.status(m)['cpus'][1]['state'] == 'service'
        probe(m, 'vmx')
        m.run('rmmod avmm_probe')

    def test_off_at_rmmod(self, m, clean):
        avmm.launch(m)
        m.run(OFF.format(1))
        avmm.leave(m)
        assert m.out('cat /sys/devices/system/cpu/cpu1/online') == '0'
        m.run(ON.format(1))
        assert int(m.out('nproc')) == m.shape.cpus

    def test_with_nmi_storm(self, m, clean):
        avmm.launch(m)

        def during():
            for _ in range(3):
                m.run(f'{OFF.format(1)}; {ON.format(1)}', timeout=120)

        Nmi().storm(m, during)


class Endings:
    """How a machine with AVMM ends. Each test takes the machine with it."""

    @pytest.mark.fresh
    def test_poweroff(self, m):
        avmm.launch(m)
        m.expect_poweroff()

    @pytest.mark.fresh
    def test_reboot(self, m):
        avmm.launch(m)
        m.fire('reboot -f')
        m.wait_ready()
        assert float(m.out('cut -d " " -f 1 /proc/uptime')) < 60
        m.broken = True

    @pytest.mark.fresh
    def test_panic_reboots(self, m):
        avmm.launch(m)
        m.fire('echo c >/proc/sysrq-trigger')
        m.wait_console('Kernel panic - not syncing: sysrq triggered crash', 60)
        m.wait_ready()
        m.broken = True


class Debug:
    """With the debug build: faults on request."""
    machine_check = 3
    causes = {1: 'injected by fail_step', 2: 'VMLAUNCH failed, VM-instruction error 0x8$',
              3: 'VM entry failed, exit reason 0x80000021$', 4: 'injected by fail_step', 5: 'other VT-x features'}

    def test_launch_fails(self, m, clean):
        """At each step, on the last CPU, when all others are launched: they roll back, the next try succeeds."""
        cpu = m.shape.cpus - 1
        with Load(m, 'timer', 'xsave', settle=0.1):
            for step in self.causes:
                m.run('dmesg -c >/dev/null')
                result = m.run(f'insmod {avmm.DEBUG_MODULE} fail_cpu={cpu} fail_step={step}', check=False)
                assert result.status == 1 and 'insmod: ERROR' in result.output, step
                m.run('! grep ^avmm /proc/modules')
                assert re.search(rf'CPU {cpu}\b.*{self.causes[step]}', m.out('dmesg | grep avmm:'), re.M), step
                m.run('dmesg -c >/dev/null')
                avmm.launch(m, avmm.DEBUG_MODULE)
                avmm.leave(m)

    @pytest.mark.fresh
    def test_machine_check(self, m):
        """A machine check in root operation reaches Linux, which panics: no bank says where it came from."""
        avmm.launch(m, avmm.DEBUG_MODULE)
        m.fire(f'echo {self.machine_check} >{avmm.DEBUGFS}/fault')
        m.wait_console(r'Kernel panic - not syncing: (Fatal machine check|Timeout: Not all CPUs entered broadcast)', 120)
        m.broken = True

    def test_nmi_in_root(self, m):
        avmm.launch(m, avmm.DEBUG_MODULE)
        before = avmm.counter(m, 'nmi_caught')
        m.run(f'echo 4 >{avmm.DEBUGFS}/fault')
        assert avmm.counter(m, 'nmi_caught') == before + 1
        avmm.leave(m)

    def test_isolation(self, m, clean):
        """Every page of the monitor, read and written by physical address with all kinds of instructions."""
        avmm.launch(m, avmm.DEBUG_MODULE)
        ranges = ','.join(m.out(f'cat {avmm.DEBUGFS}/blocks').split())
        report = probe(m, f'memory {ranges}')
        pages = sum(int(r.split('+')[1], 0) for r in ranges.split(',')) // 4096
        assert avmm.counter(m, 'stray_write') == pages, report
        m.run('rmmod avmm_probe')
        assert avmm.status(m)['state'] == 'launched'
        avmm.leave(m)
        avmm.launch(m)

    def monitor_fault(self, m, which):
        avmm.launch(m, avmm.DEBUG_MODULE)
        m.fire(f'echo {which} >{avmm.DEBUGFS}/fault')
        report = m.wait_console(r'guest rsi', 60)
        m.broken = True
        assert re.search(r'rip.*debug_fault\+|debug_fault\+0x|recurse\+0x', report), report
        assert 'backtrace' in report and 'guest cr0' in report

    @pytest.mark.fresh
    def test_stack_overflow(self, m):
        self.monitor_fault(m, 2)

    @pytest.mark.fresh
    @pytest.mark.parametrize('which', [0, 1])
    def test_monitor_fault(self, m, which):
        self.monitor_fault(m, which)

    @pytest.mark.fresh
    def test_entry_fails(self, m):
        """Not at the launch, but when the guest is in the middle of something."""
        avmm.launch(m, avmm.DEBUG_MODULE)
        m.fire(f'echo 6 >{avmm.DEBUGFS}/fault')
        assert 'VM entry failed, exit reason 80000021' in m.wait_console(r'guest rsi', 60)
        m.broken = True


class TestLaunch61(Basics):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16}

    def test_mwait_idle(self, m, clean):
        """An idle CPU sleeps in MWAIT and is woken, and no exit comes of it."""
        assert m.out('cat /sys/devices/system/cpu/cpuidle/current_driver') == 'intel_idle'
        used = 'cat /sys/devices/system/cpu/cpu0/cpuidle/state[1-9]/usage'
        avmm.launch(m)
        before = sum(map(int, m.out(used).split()))
        exits = avmm.stats(m, seconds=1)
        assert sum(map(int, m.out(used).split())) > before + 10
        assert {cpu: e for cpu, e in exits.items() if e} == {}


class TestLaunch612(Basics):
    """Without tsc=reliable: Linux checks the time stamp counters against each other and other clocks."""
    shape = {'kernel': '6.12', 'cpus': 2, 'disk': 16, 'cmdline': 'tsc_early_khz=400000'}
    cycle_load = ('timer', 'net')   # make soak has the others on several CPUs


class TestNmi61(Nmi):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16}


class TestNmi612(Nmi, Hotplug):
    shape = {'kernel': '6.12', 'cpus': 2}
    hotplug_load = ('timer', 'xsave')


class TestFourCpus(Nmi, Hotplug):
    """What needs more than two CPUs most; make soak has the rest."""
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024}
    test_storm_at_rest = test_storm_with_exits = test_off_and_on = test_off_at_insmod = None


class TestEndings61(Endings):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16}
    test_panic_reboots = None   # one boot less; make soak has it


class TestEndings612(Endings):
    shape = {'kernel': '6.12', 'cpus': 2}
    test_panic_reboots = None


class TestDebug61(Debug):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16}


class TestDebug612(Debug):
    shape = {'kernel': '6.12', 'cpus': 2}
    machine_check = 5   # in the NMI handler
    test_monitor_fault = test_entry_fails = None    # the kernel has no part in them

    def test_late_cpu_refused(self, m, clean):
        """A CPU that was off at the launch and is not like the others stays off, until AVMM has gone."""
        m.run(OFF.format(1))
        avmm.launch(m, avmm.DEBUG_MODULE, 'fail_cpu=1 fail_step=5')
        m.run('dmesg -c >/dev/null')
        assert m.run(ON.format(1), check=False).status
        assert 'avmm: CPU 1 cannot be launched and stays off' in m.dmesg()
        m.run('dmesg -c >/dev/null')
        assert [c['state'] for c in avmm.status(m)['cpus']] == ['service', 'native']
        assert int(m.out('nproc')) == 1
        avmm.leave(m)
        m.run(ON.format(1))
        assert int(m.out('nproc')) == 2
