# SPDX-License-Identifier: GPL-2.0
"""Dedicated CPUs: whole CPUs for the user partition, taken from the service and given back.

The emulator calls its CPUs hyperthreads of one core, which AVMM would not divide: split_cores=1.
"""

import json
import re

import pytest

from lab import avmm, guest_image, kernel_log, user
from lab.load import Load


AT_ONCE_MS = 100
LATE_MS = 10000     # of a load's sleep: a process waits for its own partition's other processes, too


@pytest.fixture
def m(lab):
    return lab(extra=(guest_image.build(),))


@pytest.fixture
def launched(m):
    """AVMM without a user partition before and after, all CPUs back; the service's log gets no warning."""
    m.run('grep -q "^avmm " /proc/modules || insmod /root/avmm.ko split_cores=1')
    before = kernel_log.warnings(m)
    yield
    if m.broken or not m.emulator.alive():
        return
    m.run('avmmctl stop --force --timeout 0 2>/dev/null', check=False)
    assert int(m.out('nproc')) == m.shape.cpus
    assert kernel_log.new_warnings(m, before) == []


def start(m, kernel, cpus, shared='no', share=90, memory='8M', more='', shares='', initrd=None, cmdline=None):
    """MORE are lines for [partition], SHARES for [shares]."""
    text = user.ini(memory=memory, user=share, kernel=f'/root/{kernel}', initrd=initrd, cmdline=cmdline,
                    more=f'cpus = {cpus}\nshared = {shared}\n{more}', disks=shares)
    m.write_file(user.INI, text)
    m.run(f'avmmctl start {user.INI}', timeout=120)


def refused(m, **more):
    with pytest.raises(Exception) as e:
        start(m, 'spin', **more)
    return str(e.value)


def start_guest(m, cases, cpus, shared='no', share=90, options='', **more):
    """tests/guest with CASES; OPTIONS go to its command line."""
    start(m, '../guest/guest.bin', cpus, shared, share, memory='16M',
          cmdline=f'run={",".join(cases)} cpus={cpus} {options}', **more)


def wait_ready(m, times=1):
    """Until a case that does not end says that it is there; for the TIMES-th time, after resets."""
    m.run(f'until [ $(avmmctl console --dump | grep -c ready) -ge {times} ]; do sleep 0.02; done', timeout=240)


def milliseconds(m, command):
    """Of the machine's time, from the begin of COMMAND to the first CPU that Linux starts meanwhile, or to its end."""
    m.run(f'echo "<6>lab-begin" >/dev/kmsg; {command}; echo "<6>lab-end" >/dev/kmsg', timeout=240)
    # the whole log takes long to read where the vCPUs keep the emulator busy
    lines = m.out("dmesg | grep -E 'lab-(begin|end)$|smpboot: Booting' | tail -n 20").splitlines()
    first = max(i for i, line in enumerate(lines) if line.endswith('lab-begin'))
    begin, end = (float(re.match(r'\[ *([\d.]+)', line).group(1)) for line in lines[first:first + 2])
    return 1000 * (end - begin)


def user_exits(m, seconds):
    """Exits of the user's vCPUs within SECONDS: {CPU: {reason: count}}."""
    stats = json.loads(m.out(f'avmmctl stats --json --interval {seconds}', timeout=60 + 30 * seconds))
    return {c['cpu']: c['user_exits'] for c in stats['cpus']}


class Dedicated:
    """Guests of a few instructions, and tests/guest, on all CPUs but the service's."""
    resets = ('smp_deaf', 'smp_spin', 'smp_init_storm')

    @property
    def n(self):
        return self.shape['cpus'] - 1

    def test_start_stop(self, m, u, launched):
        start(m, 'spin', self.n)
        status = avmm.status(m)
        assert [c['state'] for c in status['cpus']] == ['service'] + ['user'] * self.n
        assert u.status()['cpus'] == list(range(1, self.n + 1))
        assert int(m.out('nproc')) == 1
        m.run('avmmctl pause; avmmctl resume')
        assert u.status()['state'] == 'running'
        u.stop()
        assert [c['state'] for c in avmm.status(m)['cpus']] == ['service'] * (self.n + 1)

    def test_cycles(self, m, u, launched):
        for _ in range(10):
            start(m, 'spin', self.n)
            u.stop()
        assert int(m.out('nproc')) == self.n + 1

    @pytest.mark.parametrize('shared', ['yes', 'no'])
    @pytest.mark.parametrize('apicv', [1, 0])
    def test_smp(self, m, launched, shared, apicv):
        """Start-up, numbers, time stamp counters, IPIs and interrupts of devices of all kinds."""
        n = self.n + (shared == 'yes')
        if n == 1:
            pytest.skip('one vCPU has nobody to call')
        cases = ['smp_start', 'smp_topology', 'smp_ipi', 'smp_ioapic', 'smp_relay', 'smp_x2apic']
        m.run(f'echo {apicv} >/sys/module/avmm/parameters/apicv')
        start_guest(m, cases, n, shared)
        found = guest_image.finish(m, timeout=240)
        m.run('echo 1 >/sys/module/avmm/parameters/apicv')
        assert (found.failed, found.passed, found.reason) == ({}, cases, 'power-off'), found

    @pytest.mark.parametrize('case', ['smp_deaf', 'smp_spin', 'smp_init_storm'])
    def test_nasty(self, m, u, launched, case):
        """Whatever the vCPUs do, they stop at once, stand still and go on when told."""
        start_guest(m, [case], self.n)
        wait_ready(m)
        assert milliseconds(m, 'avmmctl pause') < AT_ONCE_MS
        assert u.status()['state'] == 'paused'
        before = user_exits(m, 0.1)
        assert not any(before[cpu] for cpu in range(1, self.n + 1)), before
        m.run('avmmctl resume; sleep 0.05')
        assert u.status()['state'] == 'running'
        if case in self.resets:
            assert milliseconds(m, 'avmmctl reset') < AT_ONCE_MS
            wait_ready(m, 2)
            assert u.status()['resets'] == 1
        assert milliseconds(m, 'avmmctl stop --force --timeout 0') < AT_ONCE_MS
        assert avmm.status(m)['last_reason'] == 'forced'

    def test_triple_fault(self, m, launched):
        start_guest(m, ['smp_triple_fault'], self.n + 1, 'yes')
        found = guest_image.finish(m, timeout=120)
        assert found.reason == 'triple-fault', found

    def test_no_exits(self, m, launched):
        """Guests without a tick that compute: not a single exit."""
        start_guest(m, ['smp_compute'], self.n)
        wait_ready(m)
        m.run('sleep 0.1')
        found = user_exits(m, 1)
        assert not any(found.values()), found
        top = json.loads(m.out('avmmctl top --json --interval 0.5 --count 1', timeout=120))
        assert [(c['cpu'], c['runs'], c['user_exits']) for c in top['cpus'][1:]] == \
            [(n, 'user', 0) for n in range(1, self.n + 1)], top
        rows = [line.split() for line in m.out('avmmctl top --interval 0.5 --count 1', timeout=120).splitlines()]
        assert [(row[0], row[-1]) for row in rows[-self.n:]] == [(str(n), '0.0') for n in range(1, self.n + 1)], rows

    def test_refused(self, m, launched):
        """In words, and before anything is taken."""
        n = self.n + 1
        assert f'{n} dedicated CPUs asked for, {self.n} can be had' in refused(m, cpus=n)
        why = refused(m, cpus=n, shared='yes', share=40)
        assert re.search('service share of 600 permille is out of range.* it can be', why), why
        m.run('echo 0 >/sys/module/avmm/parameters/split_cores')
        assert 'whole cores' in refused(m, cpus=self.n)
        m.run('echo 1 >/sys/module/avmm/parameters/split_cores')

    def test_kept_from_linux(self, m, u, launched):
        """Linux cannot start a CPU that it has given up, and takes a CPU of its own down and up."""
        start(m, 'spin', 1)
        cpu = u.status()['cpus'][0]
        assert not m.run(f'echo 1 >/sys/devices/system/cpu/cpu{cpu}/online', check=False)
        if self.n > 1:
            m.run('echo 0 >/sys/devices/system/cpu/cpu1/online; echo 1 >/sys/devices/system/cpu/cpu1/online')
        assert u.status()['state'] == 'running'
        u.stop()


class Stock:
    """A stock kernel."""
    of_service, of_user = ('cpu', 'timer'), ('cpu', 'fork', 'timer')

    @pytest.fixture
    def bare(self, lab, m):
        with m.emulator.held():
            machine = lab(kernel=m.guest, cpus=1, mem=512, guest=None)
            found = kernel_log.warnings(machine)
            machine.stop()
        return found

    def boot(self, m, u, bare, cpus, shared):
        m.write_file(user.INI, user.ini(user=90, more=f'cpus = {cpus}\nshared = {shared}'))
        m.run(f'avmmctl start {user.INI}', timeout=120)
        u.attach()
        u.wait_up()
        assert u.out('nproc') == str(cpus)
        total = int(re.search(r'^MemTotal: +(\d+) kB', u.out('cat /proc/meminfo'), re.M).group(1))
        assert 0.7 < total / (256 << 10) < 1
        assert kernel_log.new_warnings(u, bare) == []
        for n in range(cpus):
            assert u.out(f'cat /sys/devices/system/cpu/cpu{n}/topology/core_cpus_list') == str(n)
        with Load(m, *self.of_service, late_ms=LATE_MS), Load(u, *self.of_user, late_ms=LATE_MS):
            m.run('sleep 0.5', timeout=240)
        assert kernel_log.new_warnings(u, bare) == []
        u.stop()

    @pytest.mark.fresh
    def test_shared(self, m, u, bare, launched):
        self.boot(m, u, bare, m.shape.cpus, 'yes')

    @pytest.mark.fresh
    def test_apart(self, m, u, bare, launched):
        self.boot(m, u, bare, m.shape.cpus - 1, 'no')


class TestStock2(Stock):
    shape = {'kernel': '6.12', 'cpus': 2, 'mem': 1024, 'guest': '6.1', 'up': False}


@pytest.mark.soak('cpus-4cpu')
class TestStock4(Stock):
    """With all that there is: membarrier and changes of page tables call the other vCPUs, AVX-512 state is everywhere."""
    shape = {'kernel': '6.1', 'cpus': 4, 'mem': 1024, 'disk': 16, 'guest': '6.12', 'up': False}
    of_service = 'cpu', 'timer', 'xsave', 'disk', 'net'
    of_user = 'cpu', 'timer', 'fork', 'mem', 'xsave'


class TestDedicated2(Dedicated):
    resets = ('smp_spin',)
    shape = {'kernel': '6.12', 'cpus': 2, 'mem': 1024, 'guest': '6.1', 'up': False}


class TestCycles4:
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024, 'guest': '6.1', 'up': False}
    n = 3
    test_cycles = Dedicated.test_cycles


@pytest.mark.soak('cpus-4cpu')
class TestDedicated4(Dedicated):
    shape = {'kernel': '6.12', 'cpus': 4, 'mem': 1024, 'guest': '6.1', 'up': False}
