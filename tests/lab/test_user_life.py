# SPDX-License-Identifier: GPL-2.0
"""Start and end of the user partition: what it takes it gives back, and what cannot be is refused in words."""

import re

import pytest

from lab import avmm, kernel_log, user
from lab.memory import Usage
from test_launch import assert_no_leak


@pytest.fixture
def launched(m):
    """AVMM without a user partition before and after; the service's log gets no warning."""
    m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
    before = kernel_log.warnings(m)
    yield
    if m.broken or not m.emulator.alive():
        return
    m.run('avmmctl stop --force --timeout 0 2>/dev/null', check=False)
    assert kernel_log.new_warnings(m, before) == []


def has_none(m):
    return [p['name'] for p in avmm.status(m)['partitions']] == ['service']


def refused(m, command):
    """What COMMAND says when it is refused."""
    result = m.run(command, check=False, timeout=120)
    assert result.status == 1, result
    return result.output


class Life:
    """Guests of a few instructions, and stock kernels that do not get far."""
    cycles, kills = 20, 10

    def test_start_and_stop(self, m, u, launched):
        def cycle():
            u.start_tiny('spin', memory='64M')
            u.stop()

        cycle()
        before = Usage(m)
        for _ in range(self.cycles):
            cycle()
        assert has_none(m) and avmm.status(m)['last_reason'] == 'forced'
        assert_no_leak(m, before)

    def test_killed_while_booting(self, m, u, launched):
        u.start()
        u.stop()
        before = Usage(m)
        for i in range(self.kills):
            u.start()
            m.run(f'sleep {0.05 * i:.2f}', timeout=240)
            u.stop()
        assert_no_leak(m, before)

    def test_rmmod(self, m, u, launched):
        """Refused while there is a partition, running or not; and then it works, and so does the next launch."""
        u.start_tiny('halt')
        for state in ('running', 'paused'):
            assert 'in use' in refused(m, 'rmmod avmm') and u.status()['state'] == state
            m.run('avmmctl pause', check=False)
        u.stop()
        u.wait_gone()
        avmm.leave(m)
        avmm.launch(m)
        u.start_tiny('halt')
        u.stop()

    def test_power_off(self, m, u, launched):
        u.start_tiny('power-off')
        assert u.wait_gone() == 'power-off'
        assert 'the last user partition ended:' in m.out('avmmctl status')

    def test_triple_fault_stops(self, m, u, launched):
        u.start_tiny('triple-fault')
        assert u.wait_gone() == 'triple-fault'
        assert 'user partition: triple fault, vCPU 0, rip' in m.out('avmmctl log')

    @pytest.mark.parametrize('guest, more', [('triple-fault', 'on_triple_fault = reset'), ('reset', '')])
    def test_resets(self, m, u, launched, guest, more):
        """Again and again, each time with fresh memory from the files; the service stays in command."""
        u.start_tiny(guest, more=more)
        m.run("until avmmctl status --json | grep -q '\"resets\": *[1-9][0-9]*[0-9]'; do sleep 0.1; done", timeout=240)
        m.run('avmmctl stop --force --timeout 0', timeout=120)
        u.wait_gone()
        assert has_none(m)

    def test_reset_by_command(self, m, u, launched):
        u.start_tiny('spin')
        for n in (1, 2):
            before = u.status()
            m.run('avmmctl reset')
            m.run("until avmmctl status --json | grep -q '\"state\": *\"running\"'; do sleep 0.1; done")
            after = u.status()
            assert after['resets'] == n and after['guest_time'] < before['guest_time'] + 400e6, (before, after)

    def test_supervisor_is_told_to_end(self, m, u, launched):
        """SIGTERM presses the power button, which this guest does not know; the second one ends it."""
        u.start_tiny('halt')
        m.run('kill $(cat /run/avmm.pid); sleep 1')
        assert u.status()['state'] == 'running'
        m.run('kill $(cat /run/avmm.pid)')
        assert u.wait_gone() == 'forced'

    def test_supervisor_dies(self, m, u, launched):
        """The partition goes on without it; a reset is refused then, and stop works."""
        u.start_tiny('spin')
        m.run('kill -KILL $(cat /run/avmm.pid); sleep 0.2')
        assert u.status()['state'] == 'running'
        assert 'nobody listens' in refused(m, 'avmmctl reset')
        u.stop()
        assert has_none(m)

    def test_flood_without_reader(self, m, u, launched):
        """Output as fast as the line takes it: the service goes on at its share, and the log has the newest."""
        u.start_tiny('flood')
        m.run('sleep 1; avmmctl status >/dev/null; avmmctl stats >/dev/null', timeout=240)
        u.stop()
        m.run('avmmctl console --dump >/tmp/dump')
        assert m.out('wc -c </tmp/dump') == '65536'
        assert m.out(r"tr -d '\001' </tmp/dump | wc -c") == '0'

    def test_pause(self, m, u, launched):
        """A partition that runs all the time stands still at once, and its CPU time goes to the service."""
        u.start_tiny('spin')
        m.run('avmmctl pause')
        times = u.times(1)
        assert times['user'] == 0, times
        assert 'paused' in refused(m, 'avmmctl pause')
        m.run('avmmctl resume')
        assert u.times(1)['user'] > 0
        assert 'running' in refused(m, 'avmmctl resume')

    def test_second_one_refused(self, m, u, launched):
        u.start_tiny('halt')
        assert 'there is a user partition already, it is running' in refused(m, f'avmmctl start {user.INI}')
        m.run('avmmctl pause')
        assert 'there is a user partition already, it is paused' in refused(m, f'avmmctl start {user.INI}')

    def test_nothing_there(self, m, launched):
        for command in ('stop', 'stop --force', 'pause', 'resume', 'reset', 'shares --user 50'):
            assert 'there is no user partition' in refused(m, f'avmmctl {command}'), command

    def test_memory_refused(self, m, u, launched):
        """More than there is: how much was asked for and could be had. The service is not driven out of memory."""
        before = Usage(m)
        for asked, more in (('4G', ''), ('512M', 'reserve = 800M')):
            m.write_file(user.INI, user.ini(user=user.percent(m, 90), memory=asked, more=more))
            said = refused(m, f'avmmctl start {user.INI}')
            mib = {'4G': 4096, '512M': 512}[asked]
            found = re.search(rf'{mib} MiB of memory asked for, (\d+) MiB could be had', said)
            assert found and int(found.group(1)) < mib, said
        assert has_none(m) and 'oom' not in m.dmesg()
        assert_no_leak(m, before)

    @pytest.mark.parametrize('text, words', [
        ('[partition]\nmemory = 64M\nkernel = /root/spin\ncolour = red\n', ':4: .*colour'),
        ('[partition]\nmemory = 63M\nkernel = /root/spin\n', ':2: .*a multiple of 2M'),
        ('[partition]\nmemory = 64M\nmemory = 64M\nkernel = /root/spin\n', ':3: .*memory'),
        ('[partition]\nmemory = 64M\n\n[engine]\n', r':4: unknown section \[engine\]'),
        ('[partition]\nmemory = 64M\nkernel = /root/spin\n[shares]\nuser = 101\n', ':5: .*percent'),
        ('[partition]\nmemory = 64M\nkernel = /root/none\n', r'/root/none.*No such file or directory'),
        ('[partition]\nmemory = 64M\nkernel = /bin/busybox\n', r'/bin/busybox: .*not a'),
        ('[partition]\nmemory = 64M\nkernel = /root/spin\ninitrd = /root/none\n', r'/root/none.*No such file or directory'),
        ('[partition]\nmemory = 64M\n', r'user.ini.*kernel'),
        ('[partition]\nkernel = /root/spin\n', r'user.ini.*memory'),
        ('[partition]\nmemory = 64M\nkernel = /root/spin\n[disk0]\nbus = ide\n', r'user.ini.*\[disk0\]: .backing. is missing'),
    ], ids=['key', 'value', 'twice', 'section', 'range', 'no-kernel', 'no-linux', 'no-initrd', 'lacks-kernel', 'lacks-memory',
            'disk'])
    def test_file_refused(self, m, launched, text, words):
        m.write_file('/root/user.ini', text)
        said = refused(m, 'avmmctl start /root/user.ini')
        assert re.search(words, said) and said.startswith('avmmctl: ') and said.count('\n') == 1, said
        assert has_none(m)

    def test_kernel_does_not_fit(self, m, u, launched):
        m.write_file(user.INI, user.ini(user=user.percent(m, 90), memory='16M'))
        assert re.search(r'/root/vmlinuz: the kernel needs \d+ bytes to unpack itself', refused(m, f'avmmctl start {user.INI}'))
        assert has_none(m)

    def test_shares_refused(self, m, u, launched):
        u.start_tiny('halt')
        too_much = 95 if m.shape.cpus > 1 else 100
        said = m.run(f'avmmctl shares --user {too_much}', check=False)
        assert said.status and re.search('range|from 0.1 to 99.9', said.output), said
        assert u.status()['share'] == user.percent(m, 90)

    def test_no_module(self, m):
        m.run('rmmod avmm 2>/dev/null', check=False, timeout=120)
        m.write_file(user.INI, user.ini())
        for command in (f'start {user.INI}', 'stop', 'console', 'shares'):
            assert 'insmod' in refused(m, f'avmmctl {command}'), command

    def test_not_launched(self, m):
        m.run('rmmod avmm 2>/dev/null', check=False, timeout=120)
        avmm.launch(m, parameters='launch=0')
        m.write_file(user.INI, user.ini(user=user.percent(m, 90)))
        assert 'not launched' in refused(m, f'avmmctl start {user.INI}')
        avmm.leave(m)


class TestLife61(Life):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False}


class TestLife612(Life):
    """What CPUs of the service's own may change; make soak has the rest."""
    kills = 4
    test_power_off = test_supervisor_is_told_to_end = test_supervisor_dies = test_second_one_refused = None
    test_nothing_there = test_memory_refused = test_file_refused = test_kernel_does_not_fit = test_no_module = None
    test_not_launched = None
    shape = {'kernel': '6.12', 'cpus': 2, 'mem': 1024, 'guest': '6.1', 'up': False}


class Ends:
    """How a stock kernel ends, each time on a machine of its own."""

    @pytest.mark.fresh
    def test_power_off(self, m, u):
        before = kernel_log.warnings(m)
        u.send('sync; poweroff -f')
        assert u.wait_gone() == 'power-off'
        assert has_none(m) and kernel_log.new_warnings(m, before) == []
        avmm.leave(m)

    @pytest.mark.fresh
    def test_power_button(self, m, u):
        m.run('avmmctl stop', timeout=240)
        assert avmm.status(m)['last_reason'] == 'power-off' and has_none(m)
        assert 'POWER-BUTTON' in m.out('avmmctl console --dump')

    @pytest.mark.fresh
    def test_power_button_not_obeyed(self, m, u):
        u.run('killall dd')
        said = refused(m, 'avmmctl stop --timeout 3')
        assert 'did not shut down within 3 seconds' in said and '--force' in said
        assert u.out('echo still there') == 'still there'
        m.run('avmmctl stop --force --timeout 1', timeout=120)
        assert avmm.status(m)['last_reason'] == 'forced' and has_none(m)

    @pytest.mark.fresh
    def test_triple_fault(self, m, u):
        before = kernel_log.warnings(m)
        u.send('echo triple >/sys/kernel/reboot/type; reboot -f')
        assert u.wait_gone() == 'triple-fault'
        assert kernel_log.new_warnings(m, before) == []

    @pytest.mark.fresh
    def test_reboot(self, m, u):
        """It starts anew from its files."""
        u.run('echo mine >/tmp/mine; [ -s /tmp/mine ]')
        u.send('reboot -f')
        m.run("until avmmctl status --json | grep -q '\"resets\": *1'; do sleep 0.1; done", timeout=240)
        m.run(f'until [ "$(grep -c GUEST-UP {user.OUT})" = 1 ]; do sleep 0.2; done', timeout=user.BOOT_SECONDS)
        assert u.out('ls /tmp/mine 2>/dev/null | wc -l') == '0'
        assert u.status()['resets'] == 1

    @pytest.mark.fresh
    def test_rmmod_of_a_reboot(self, m, u):
        """The service partition reboots with a user partition at work."""
        u.run('load_cpu -t 100 >/dev/null 2>&1 &')
        m.fire('reboot -f')
        m.wait_ready()
        m.broken = True


class TestEnds61(Ends):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'disk': 16, 'guest': '6.12'}
