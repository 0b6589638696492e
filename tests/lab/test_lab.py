# SPDX-License-Identifier: GPL-2.0
"""The harness itself."""

import socket
import threading

import pytest

from lab import CommandFailed, Gone, TimedOut, kernel_log


class Lab:
    def test_boot(self, m):
        assert m.out('uname -r').startswith(m.shape.kernel + '.')
        assert int(m.out('nproc')) == m.shape.cpus
        assert 'vmx' in m.out('grep -m1 flags /proc/cpuinfo').split()

    def test_output_and_status(self, m):
        result = m.run('echo out; echo err >&2; exit 7', check=False)
        assert (result.output, result.status) == ('out\nerr\n', 7)
        with pytest.raises(CommandFailed, match='status 1'):
            m.run('false')

    def test_quoting_and_length(self, m):
        text = ''.join(f'"{i}\' $x \\ \n' for i in range(1000))
        m.write_file('/tmp/quoted', text)
        assert m.run('cat /tmp/quoted').output == text

    def test_background(self, m):
        job = m.background('echo started; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo done; exit 3')
        assert not job.done()
        m.run('touch /tmp/go')
        result = job.wait()
        assert (result.output, result.status) == ('started\ndone\n', 3)

    def test_time_passes(self, m):
        before, after = (float(m.out('cut -d " " -f 1 /proc/uptime; sleep 3').split()[0]) for _ in range(2))
        assert 3 <= after - before < 30

    def test_payload(self, m):
        assert m.out('modinfo -F name e1000').endswith('e1000')
        assert m.run('readlink /usr/sbin/insmod').output == 'kmod\n'

    def test_modprobe(self, m):
        m.run('modprobe nbd nbds_max=1 && [ -b /dev/nbd0 ] && rmmod nbd')

    def test_ping(self, m):
        assert '0% packet loss' in m.out('ping -c 3 10.0.2.2')

    def test_tcp_to_host(self, m):
        with socket.create_server(('127.0.0.1', 0)) as server:
            def serve():
                with server.accept()[0] as peer:
                    while data := peer.recv(65536):
                        peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
            threading.Thread(target=serve, daemon=True).start()
            port = server.getsockname()[1]
            m.run(f'dd if=/dev/urandom of=/tmp/sent bs=1k count=300 2>/dev/null\n'
                  f'(cat /tmp/sent; sleep 1) | nc -w 10 10.0.2.2 {port} | head -c 307200 >/tmp/got\n'
                  f'cmp /tmp/sent /tmp/got', timeout=120)

    def test_log_is_clean(self, m):
        """What a boot without AVMM warns of is little and known; a new line here is worth a look."""
        suspect = [line for line in kernel_log.warnings(m) if kernel_log.SUSPECT.search(line)]
        assert [line for line in suspect if 'RETBleed' not in line] == []

    def test_warning_is_found(self, m):
        before = kernel_log.warnings(m)
        m.run("echo '<4>lab: a warning' >/dev/kmsg")
        assert any('lab: a warning' in line for line in kernel_log.new_warnings(m, before))

    @pytest.mark.fresh
    def test_timeout_breaks(self, m):
        with pytest.raises(TimedOut):
            m.run('sleep 1000000', timeout=1)
        with pytest.raises(Gone):
            m.run(':')

    @pytest.mark.fresh
    def test_panic_is_seen(self, m):
        m.fire('echo c >/proc/sysrq-trigger')
        m.wait_console(r'Kernel panic - not syncing: sysrq triggered crash', 60)
        m.wait_ready(240)
        assert float(m.out('cut -d " " -f 1 /proc/uptime')) < 60
        m.broken = True

    @pytest.mark.fresh
    def test_poweroff(self, m):
        m.expect_poweroff()


class TestLab61(Lab):
    shape = {'kernel': '6.1', 'cpus': 1}


class TestLab612(Lab):
    shape = {'kernel': '6.12', 'cpus': 2}

    def test_cpu_off_on(self, m):
        m.run('echo 0 >/sys/devices/system/cpu/cpu1/online; [ $(nproc) = 1 ]; '
              'echo 1 >/sys/devices/system/cpu/cpu1/online; [ $(nproc) = 2 ]')
