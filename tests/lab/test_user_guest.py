# SPDX-License-Identifier: GPL-2.0
"""A user partition that does what it must not: neither monitor nor service notice, and what it sees is what it should see.

The cases are in tests/guest, where each says what it expects. Those of one test share a boot of that guest. After each
test the service is asked whether it is well, and the next start is the next test's.
"""

import json

import pytest

from lab import avmm, guest_image, kernel_log
from lab.load import Load
from test_launch import probe


@pytest.fixture
def m(lab, request):
    """A machine above the monitor, with the guest's image."""
    machine = lab(extra=(guest_image.build(),), debug=getattr(request.cls, 'debug', False))
    if not machine.run('grep -q "^avmm " /proc/modules', check=False):
        machine.run('echo 0 >/proc/sys/kernel/panic')
        avmm.launch(machine)
    return machine


# One command instead of lab.load's dozen: this runs after every test.
SHORT_LOAD = ('rm -f /tmp/stop; for p in "load_cpu -a" load_timer; do $p -u /tmp/stop & done; sleep 0.05; touch /tmp/stop; '
              'wait')


@pytest.fixture(autouse=True)
def well(m):
    """After the test: the service computes, its timers come, its log is clean, and there is no partition left."""
    m.run('dmesg -c >/dev/null')
    yield
    if m.broken or not m.emulator.alive():
        return
    found = avmm.status(m)
    assert found['state'] == 'launched'
    assert [p['name'] for p in found['partitions']] == ['service']
    load = m.out(SHORT_LOAD)
    assert load.count(' ok ') == 2, load
    assert kernel_log.warnings(m) == []


def run(m, *cases, reason='power-off', **more):
    """All of CASES pass in one boot, after which the guest has switched itself off."""
    found = guest_image.run(m, *cases, **more)
    assert (found.failed, found.passed, found.reason) == ({}, list(cases), reason), found


def run_into_the_end(m, case, reason, **more):
    """CASE ends the guest before it can say anything."""
    found = guest_image.run(m, case, **more)
    assert (found.reason, found.ended) == (reason, False), found


def run_and_stop(m, case):
    """CASE never ends: what each had of the CPU meanwhile, while the service computed; then it is stopped."""
    guest_image.start(m, case)
    measured = m.out('rm -f /tmp/stop; load_cpu -u /tmp/stop >/dev/null & avmmctl stats --json --interval 0.1; '
                     'touch /tmp/stop; wait', timeout=120)
    found = guest_image.stop(m)
    assert (found.reason, found.ended, found.failed) == ('forced', False, {}), found
    times = {side: json.loads(measured)['user'][f'time_{side}'] for side in ('user', 'service', 'idle', 'monitor')}
    # nothing at all: there was no switch, for one side was idle all the time
    return {side: time / (sum(times.values()) or 1) for side, time in times.items()}


# What Linux sets once: SYSENTER, PAT, EFER, the STAR family, TSC_AUX.
SERVICE_MSRS = (0x174, 0x175, 0x176, 0x277, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000103)


def service_msrs(m):
    numbers = ' '.join(map(str, SERVICE_MSRS))
    found = m.out(f'for n in {numbers}; do dd if=/dev/cpu/0/msr bs=8 count=1 iflag=skip_bytes skip=$n 2>/dev/null; done | '
                  'hexdump -v -e \'8/1 "%02x" "\\n"\'').split()
    assert len(found) == len(SERVICE_MSRS), found
    return found


@pytest.fixture(params=['by the CPU', 'by software'])
def lapic(m, request):
    """Who plays the local APIC of the partitions that start from now on."""
    m.run(f'echo {int(request.param == "by the CPU")} >/sys/module/avmm/parameters/apicv')
    yield
    m.run('echo 1 >/sys/module/avmm/parameters/apicv')


# The emulator's IDT-vectoring information is that of an earlier event when it delivers a virtual interrupt.
BY_SOFTWARE = pytest.mark.parametrize('lapic', ['by software'], indirect=True)


class Misbehaviour:
    """What every kernel and every build of the monitor has to stand."""

    def test_registers(self, m):
        run(m, 'cr0', 'cr0_ne', 'cr3', 'cr4', 'cr8', 'xcr', 'efer', 'lmsw', 'dr')

    def test_caches_off(self, m):
        """CR0.CD is no part of a VMCS: the guest sees it as it has set it, and the service's caches stay on."""
        run(m, 'cr0_cd')
        probe(m, 'cr')
        m.run('rmmod avmm_probe')

    def test_msrs(self, m):
        """Whatever the guest writes, the service's are its own; and unknown ones are counted."""
        counted, before = avmm.counter(m, 'unknown_msr'), service_msrs(m)
        run(m, 'msr_read', 'msr_write')
        assert avmm.counter(m, 'unknown_msr') - counted > 16384
        assert service_msrs(m) == before

    def test_instructions(self, m):
        run(m, 'forms', 'forms_user', 'single_step')

    def test_modes(self, m):
        run(m, 'protected', 'compatibility', 'pae', 'pae_ne', 'pae_reserved', 'legacy_paging', 'segments_16', 'real', 'v86')

    def test_task_switches(self, m):
        for case in ('task_switch', 'task_gate', 'into'):
            run(m, case)

    def test_faults(self, m):
        run(m, 'wild_rip', 'stack_fault', 'double_fault', 'reserved_bits', 'table_loops', 'jump_0')

    def test_triple_fault(self, m):
        for case in ('triple_fault', 'triple_stack', 'triple_cr3'):
            run_into_the_end(m, case, 'triple-fault')

    def test_ports(self, m):
        run(m, 'ports_read', 'pci_config')
        run(m, 'ports_pattern')

    def test_strings(self, m):
        run(m, 'strings', 'strings_fault', 'strings_mmio')

    def test_reset(self, m):
        """The supervisor starts it again and again."""
        for case in ('reset_cf9', 'reset_92', 'reset_64', 'init_self', 'triple_fault'):
            guest_image.start(m, case, more='on_triple_fault = reset')
            m.run('until avmmctl status --json | grep -Eq \'"resets": *[2-9]\'; do sleep 0.02; done', timeout=120)
            assert not guest_image.stop(m).ended

    def test_stray_instructions(self, m):
        """Whatever the decoder does not know, in memory of nobody and in pages of devices."""
        run(m, 'forms_hole', 'forms_slot', 'values', 'crossing', 'fetch', 'fetch_device')
        for case in ('forms_hpet', 'forms_ioapic', 'forms_lapic'):
            run(m, case)

    @BY_SOFTWARE
    def test_delivery(self, m, lapic):
        """The CPU exits in the middle of an event's delivery, whose stack is no RAM."""
        run(m, 'stack_hole', 'stack_crossing')
        for case in ('stack_nmi', 'stack_hpet', 'stack_ioapic', 'stack_lapic'):
            run(m, case)

    def test_delivery_fails(self, m):
        for case in ('idt_hole', 'idt_device', 'gdt_hole', 'tss_hole', 'cr3_hole', 'cr3_device'):
            run_into_the_end(m, case, 'triple-fault')

    def test_sweeps(self, m):
        for case in ('sweep_hpet', 'sweep_ioapic', 'sweep_lapic'):
            run(m, case)

    def test_apic(self, m, lapic):
        run(m, 'self_ipi', 'tpr')
        for case in ('nmi', 'low_vectors', 'timer_period_1', 'deadline_past', 'level', 'x2apic', 'x2apic_registers'):
            run(m, case)

    def test_apic_values(self, m, lapic):
        for case in ('init_shorthand', 'icr_values', 'ioapic_values', 'base_moved'):
            run(m, case)

    @pytest.mark.parametrize('case', ['spin', 'ipi_storm', 'nmi_storm', 'endless_ac', 'endless_db', 'endless_deadlines'])
    def test_endless(self, m, case):
        got = run_and_stop(m, case)
        assert got['service'] > 0.45, got

    def test_halted_for_ever(self, m):
        """HLT with interrupts off is idle, whatever interrupt is pending."""
        got = run_and_stop(m, 'hlt_if0')
        assert got['user'] < 0.05, got

    def test_isolation(self, m):
        with Load(m, 'mem', settle=0):
            run(m, 'zeroed', 'devices', 'edges', 'gigabytes', 'powers_of_two', 'ram')
            run(m, 'pages', options='step=64')

    def test_clocks(self, m):
        run(m, 'tsc', 'pm_timer', 'hpet_counter', 'lapic_counter')

    def test_timers(self, m):
        for case in ('pit_periodic', 'lapic_periodic', 'lapic_deadline', 'lapic_one_shot', 'hpet_periodic', 'rtc_periodic'):
            run(m, case)


class TestUserGuest(Misbehaviour):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024}
    debug = True


@pytest.mark.soak('user-guest')
class TestUserGuestSoak(Misbehaviour):
    """The other kernel, the release build, and the sweeps in full."""
    shape = {'kernel': '6.12', 'cpus': 1, 'mem': 1024}

    @pytest.mark.parametrize('case', ['spin_pause', 'spin_cpuid', 'nmi_storm_self', 'endless_pf'])
    def test_endless_more(self, m, case):
        got = run_and_stop(m, case)
        assert got['service'] > 0.45, got

    def test_every_page(self, m):
        run(m, 'pages', timeout=600)

    @pytest.mark.parametrize('case', ['ports_read', 'ports_pattern', 'ports_zero', 'ports_ones'])
    def test_every_port(self, m, case):
        run(m, case, options='full=1', timeout=300)

    @pytest.mark.parametrize('case', ['sweep_hpet', 'sweep_ioapic', 'sweep_lapic'])
    def test_every_register(self, m, case):
        run(m, case, options='full=1', timeout=300)
