# SPDX-License-Identifier: GPL-2.0
"""Another kernel takes over from a launched one: by kexec -e, and after a crash to write the dump."""

import pytest

from lab import avmm, emulator, image

CRASH_MEMORY = '256M'
# Without the checksums over the new kernel: they take twenty seconds each time, and nothing here writes to it.
LOAD = 'kexec --no-checks'
SECOND = emulator.BASE_CMDLINE + ' ' + emulator.STABLE_TSC


class Kexec:
    @pytest.fixture
    def m(self, lab):
        kernel, initramfs = image.base(self.shape['kernel'])
        return lab(fresh=True, extra=(('/usr/sbin/kexec', '/usr/sbin/kexec'), ('/root/vmlinuz', str(kernel)),
                                      ('/root/initramfs', str(initramfs))))

    def test_kexec(self, m):
        """The next kernel finds a machine without a monitor: CPUID shows VMX again."""
        avmm.launch(m)
        m.run(f"{LOAD} -l /root/vmlinuz --initrd=/root/initramfs --command-line='{SECOND} second=1'", timeout=240)
        m.fire('kexec -e')
        m.wait_ready()
        assert 'second=1' in m.out('cat /proc/cmdline')
        assert int(m.out('nproc')) == m.shape.cpus
        m.run('grep -qw vmx /proc/cpuinfo && modprobe kvm_intel && [ -e /dev/kvm ]')
        m.broken = True

    def test_crash_dump(self, m):
        avmm.launch(m)
        m.run(f"{LOAD} -p /root/vmlinuz --initrd=/root/initramfs "
              f"--command-line='{SECOND} second=1 nr_cpus=1 reset_devices'", timeout=240)
        m.fire('echo c >/proc/sysrq-trigger')
        m.wait_console('sysrq: Trigger a crash', 60)
        m.wait_ready()
        assert 'second=1' in m.out('cat /proc/cmdline')
        assert m.out('head -c 4 /proc/vmcore | tail -c 3') == 'ELF'
        m.run('dd if=/proc/vmcore of=/dev/null bs=1M count=64', timeout=240)
        m.broken = True


class TestKexec61(Kexec):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'cmdline': f'+crashkernel={CRASH_MEMORY}'}


class TestKexec612(Kexec):
    shape = {'kernel': '6.12', 'cpus': 2, 'mem': 1024, 'cmdline': f'+crashkernel={CRASH_MEMORY}'}
