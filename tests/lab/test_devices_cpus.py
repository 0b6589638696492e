# SPDX-License-Identifier: GPL-2.0
"""Direct-access devices of a partition with CPUs of its own: DMA, interrupts, BARs that move while another vCPU uses them."""

import json
import re

import pytest
from test_devices import BOARD as NE2000
from test_devices_desk import CMDLINE, KEYBOARD, RESETS, SCREEN, counters, display, hide_cursor, keys_arrive, shows_picture
from test_devices_dma import BOARD, CARD, OWN, SECTION, end_while_receiving

from lab import avmm, guest_image, kernel_log, screen, user, window
from lab.cards import Flood, Peer, devices, dhcp, digest, fetch, line_of, send
from lab.window import IDENTITY, MEMORY

__all__ = ['display']   # a fixture

AMOUNT = 4 << 20        # bytes each way
ELSEWHERE = 0xe8000000  # no BAR and no RAM of the guest's
STATUS = 8              # a register of the card's


@pytest.fixture
def peer():
    peer = Peer(AMOUNT)
    yield peer
    peer.close()


@pytest.fixture
def m(lab):
    return lab(extra=(guest_image.build(guest_image.WINDOW),))


@pytest.fixture
def quiet(m):
    """The service's log gets no warning."""
    before = kernel_log.warnings(m)
    yield
    assert kernel_log.new_warnings(m, before) == []


def boot(m, u, cpus, shared, sections=SECTION, memory=f'{MEMORY}M', more=IDENTITY['more'], cmdline=user.CMDLINE):
    before = m.out('avmmctl console --dump 2>/dev/null | grep -c GUEST-UP || true')
    m.write_file(user.INI, user.ini(memory=memory, user=90, more=f'{more}\ncpus = {cpus}\nshared = {shared}', disks=sections,
                                    cmdline=cmdline))
    m.run(f'avmmctl start {user.INI}', timeout=120)
    u.attach()
    u.wait_up(before=int(before))
    assert u.out('nproc') == str(cpus)


def user_exits(m):
    """{CPU: {reason: exits of the user's vCPU there}}"""
    return {c['cpu']: c['user_exits'] for c in json.loads(m.out('avmmctl stats --json'))['cpus']}


def interrupts(u, name):
    """Of the guest's device, by a pattern for its line: its number, and how many came on each vCPU."""
    line = u.out(f'grep "{name}$" /proc/interrupts').split()
    return line[0].rstrip(':'), [int(n) for n in line[1:] if n.isdigit()][:int(u.out('nproc'))]


def finished(card):
    return card['interrupts'] - card['interrupts_done'] <= 1


class Cpus:
    """One machine; the tests build on each other."""
    cpus, shared = 2, 'yes'
    vcpus = (0, 1)      # that take the card's interrupts
    ends = 2

    def test_guest(self, m, u, quiet):
        """The card's line stays on the shared CPU when others go."""
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko split_cores=1')
        m.run('ip link set eth1 down')
        boot(m, u, self.cpus, self.shared)
        assert devices(m)[CARD]['live']
        assert u.status()['cpus'] == list(range(0 if self.shared == 'yes' else m.shape.cpus - self.cpus,
                                                m.shape.cpus))[-self.cpus:]
        assert m.out(f'cat /proc/irq/{line_of(m, CARD)}/effective_affinity_list') == '0'
        u.card_drivers()
        assert dhcp(u).startswith('10.0.2.')

    def test_network(self, m, u, peer, quiet):
        """The same data both ways with the card's interrupts on each vCPU in turn; no access to the card exits."""
        number, _ = interrupts(u, 'eth0')
        for vcpu in self.vcpus:
            u.run(f'echo {vcpu} >/proc/irq/{number}/smp_affinity_list')
            first, before, came = avmm.user_stats(m), user_exits(m), interrupts(u, 'eth0')[1]
            assert fetch(u, peer) == digest(peer.data)
            assert send(u, peer) == digest(peer.data)
            last, after, card = avmm.user_stats(m), user_exits(m), devices(m)[CARD]
            came = [b - a for a, b in zip(came, interrupts(u, 'eth0')[1])]
            print(f'vCPU {vcpu}: interrupts {came}, of the card {card["interrupts"]}, exits '
                  f'{({cpu: {r: n - before[cpu].get(r, 0) for r, n in e.items()} for cpu, e in after.items()})}')
            assert came[vcpu] > 100 and sum(came) - came[vcpu] < came[vcpu] / 10
            assert finished(card) and card['bars_refused'] == 0 and card['ports_forwarded'] == 0
            # all second-level faults were of virtual devices
            faults = last['exits']['EPT violation'] - first['exits']['EPT violation']
            assert faults <= last['counters']['mmio'] - first['counters']['mmio']

    def test_bar_moves(self, m, u, quiet):
        """While one vCPU reads the card's registers another one moves them."""
        config, driver = f'/sys/bus/pci/devices/{CARD}/config', '/sys/bus/pci/drivers/e1000'
        place = int(u.out(f'head -n 1 /sys/bus/pci/devices/{CARD}/resource').split()[0], 16)
        u.run(f"echo {CARD} >{driver}/unbind; printf '\\002' | dd of={config} bs=1 seek=4 count=1 conv=notrunc")
        for mover in 0, 1:
            found = u.out(f'bar_moves -t 1 -m {mover} -c {config} -a 0x{place:x} -b 0x{ELSEWHERE:x} -o {STATUS}', timeout=240)
            print(f'vCPU {mover} moves it: {found}')
            moves, between = map(int, re.search(r'moves (\d+) looks \d+ between (\d+)', found).groups())
            assert moves > 100 and between >= moves - 1
        assert devices(m)[CARD]['bars_refused'] == 0
        u.run(f'echo {CARD} >{driver}/bind')
        assert dhcp(u).startswith('10.0.2.')

    def test_reset_while_receiving(self, m, u, quiet):
        """The new guest has the card again, whichever vCPU it had interrupted, and all its CPUs."""
        if self.shape['cpus'] < 3:
            pytest.skip('another boot of the guest')
        with Flood(m):
            m.run('avmmctl reset', timeout=120)
            u.wait_up()
            assert u.out('nproc') == str(self.cpus)
            u.card_drivers()
            assert dhcp(u).startswith('10.0.2.')
            before = interrupts(u, 'eth0')[1]
            u.run('sleep 1')
            assert sum(interrupts(u, 'eth0')[1]) > sum(before) + 10

    def test_stop_while_receiving(self, m, u, quiet):
        """Its memory stays as it is, and its CPUs are Linux's again."""
        with Flood(m) as flood:
            u.run('sleep 1')
            u.stop()
            sent = flood.sent
            window.untouched(m)
            assert flood.sent > sent + 10
        assert not devices(m)[CARD]['live'] and int(m.out('nproc')) == m.shape.cpus
        assert m.out(f'cat /proc/irq/{line_of(m, CARD)}/smp_affinity_list') == '0'

    def test_ends_while_receiving(self, m, quiet):
        """Again and again, with one CPU, of its own."""
        end_while_receiving(m, self.ends, IDENTITY['more'] + '\ncpus = 1\nshared = no')

    def test_the_service_drives_it_again(self, m, peer, quiet):
        m.run(f'avmmctl device release {CARD}; sleep 1')
        m.run('ip addr flush dev eth0; ip link set eth0 down')
        assert dhcp(m, 'eth1').startswith('10.0.2.')
        assert fetch(m, peer) == digest(peer.data)
        m.run('rmmod avmm', timeout=120)
        assert line_of(m, OWN) != line_of(m, CARD)


class TestShared2(Cpus):
    """One of its vCPUs is beside the service."""
    vcpus = (1,)
    shape = {'kernel': '6.12', 'cpus': 2, 'mem': 1024, 'guest': '6.1', 'up': False, 'net': False, 'drivers': 'net',
             'boot_extra': BOARD, 'cmdline': f'+{window.PARAMETER}'}


@pytest.mark.soak('devices-cpus')
class TestShared3(Cpus):
    cpus = 3
    vcpus = (0, 1, 2)
    ends = 20
    shape = {**TestShared2.shape, 'kernel': '6.1', 'cpus': 3, 'guest': '6.12'}


@pytest.mark.soak('devices-cpus')
class TestApart3(Cpus):
    cpus, shared = 2, 'no'
    ends = 20
    shape = {**TestShared2.shape, 'cpus': 3}


class Desk:
    """An NE2000, which has ports only, the keyboard controller and the VGA, with vCPUs of which none is on the shared CPU."""
    cpus, shared = 2, 'no'

    def test_guest(self, m, u, display, quiet):
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko split_cores=1')
        boot(m, u, self.cpus, self.shared, sections=f'[device2]\npci = {CARD}\n{KEYBOARD}{SCREEN}', memory='256M', more='',
             cmdline=CMDLINE)
        assert all(devices(m)[name]['live'] for name in (CARD, 'i8042', 'vga'))
        u.run('echo here-i-am >/dev/tty1')
        display.wait_text('here-i-am')

    def test_keyboard(self, m, u, display, quiet):
        """Edges come to whichever vCPU the guest wants."""
        for vcpu in range(self.cpus):
            u.run(f'for n in 1 12; do echo {vcpu} >/proc/irq/$n/smp_affinity_list; done')
            before = interrupts(u, '^ *1:.*i8042')[1]
            assert keys_arrive(u, display)
            after = interrupts(u, '^ *1:.*i8042')[1]
            came = [b - a for a, b in zip(before, after)]
            print(f'vCPU {vcpu}: interrupts {came}')
            # of eight bytes an interrupt may find more than one, and Linux moves an edge when it has one
            assert came[vcpu] >= 4 and sum(came) - came[vcpu] <= 1
        assert finished(devices(m)['i8042']) and devices(m)['i8042']['commands_refused'] == 0

    def test_screen(self, m, u, display, quiet):
        """Drawn on by both vCPUs, without an exit."""
        hide_cursor(u)
        for vcpu in range(self.cpus):
            before = counters(m)
            u.run(f'taskset {1 << vcpu:x} paint vbe 2', timeout=240)
            after = counters(m)
            assert shows_picture(m, display)
            print(f'vCPU {vcpu}: {before}, {after}')
            assert after['io'] - before['io'] < 5_000 and after['mmio'] - before['mmio'] < 100
            assert after['stray'] == before['stray']

    def test_network(self, m, u, peer, quiet):
        """No port access exits on any vCPU."""
        assert dhcp(u).startswith('10.0.2.')
        number, _ = interrupts(u, 'eth0')
        for vcpu in range(self.cpus):
            u.run(f'echo {vcpu} >/proc/irq/{number}/smp_affinity_list')
            before, came = counters(m)['io'], interrupts(u, 'eth0')[1]
            assert fetch(u, peer) == digest(peer.data)
            assert send(u, peer) == digest(peer.data)
            came = [b - a for a, b in zip(came, interrupts(u, 'eth0')[1])]
            card = devices(m)[CARD]
            print(f'vCPU {vcpu}: interrupts {came}, of the card {card["interrupts"]}, ports {counters(m)["io"] - before}')
            assert came[vcpu] > 1000 and sum(came) - came[vcpu] < came[vcpu] / 10
            assert finished(card) and card['ports_forwarded'] == 0 and counters(m)['io'] - before < 100_000

    def test_ports_move(self, m, u, quiet):
        """Elsewhere the monitor forwards, for all vCPUs; back again none does; while another one uses the card."""
        config = f'/sys/bus/pci/devices/{CARD}/config'
        u.run(f'dd if={config} of=/tmp/bar bs=4 skip=4 count=1; '
              '(while [ ! -e /tmp/.enough ]; do taskset 2 ping -c 1 -W 1 10.0.2.2; done) >/dev/null 2>&1 &')
        for n in range(20):
            u.run(f"printf '\\001\\340\\000\\000' | taskset 1 dd of={config} bs=4 seek=4 count=1 conv=notrunc; "
                  'for mask in 1 2; do taskset $mask dd if=/dev/port of=/dev/null bs=1 skip=57344 count=32; done 2>/dev/null; '
                  f'taskset 1 dd if=/tmp/bar of={config} bs=4 seek=4 count=1 conv=notrunc')
        assert devices(m)[CARD]['ports_forwarded'] == 20 * 64 and devices(m)[CARD]['bars_refused'] == 0
        u.run('touch /tmp/.enough; ip link set eth0 down; ip link set eth0 up; ping -c 2 10.0.2.2', timeout=240)
        u.stop()

    @pytest.mark.parametrize('guest', RESETS)
    def test_resets(self, m, u, quiet, guest):
        """Whichever way a guest with a CPU of its own resets: it starts anew, and the machine does not."""
        m.write_file(user.INI, user.ini(memory='8M', kernel=f'/root/{guest}', initrd=None, cmdline=None,
                                        more='cpus = 1\nshared = no', disks=KEYBOARD))
        m.run(f'avmmctl start {user.INI}', timeout=120)
        m.run("until avmmctl status --json | grep -q '\"resets\": *[2-9]'; do sleep 0.1; done", timeout=240)
        u.stop()

    def test_the_service_again(self, m, display, quiet):
        m.run(f'avmmctl device release vga; avmmctl device release i8042; avmmctl device release {CARD}')
        m.run('echo back-at-the-service >/dev/tty1')
        display.wait_text('back-at-the-service')
        assert keys_arrive(m, display)
        m.run('rmmod avmm', timeout=120)


@pytest.mark.soak('devices-cpus')
class TestDesk3(Desk):
    shape = {'kernel': '6.1', 'cpus': 3, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False,
             'boot_extra': (*screen.BOARD, *NE2000)}
