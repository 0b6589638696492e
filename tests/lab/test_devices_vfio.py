# SPDX-License-Identifier: GPL-2.0
"""Devices behind an IOMMU, by stock vfio-pci: QEMU has one, and a device that does DMA on request. No monitor is there.

avmmctl's vfio.c and the module's ram.c, chardev.c and vfio.c are the product's; tests/lab/modules/vfio_lab.c counts where
avmm.ko would tell the monitor.
"""

import re

import pytest

from lab import paths, qemu

MODULES = ['vfio-pci', 'vfio_iommu_type1', 'pci-stub', 'e1000']
EDU, PAIR, CARD, FIXED = '0000:01:00.0', '0000:02:00.0', '0000:02:00.1', '0000:00:05.0'
BOARD = ('-device', 'pcie-root-port,id=a,chassis=1', '-device', 'edu,bus=a',
         '-device', 'pcie-root-port,id=b,chassis=2', '-device', 'edu,bus=b,addr=0.0,multifunction=on',
         '-device', 'e1000,bus=b,addr=0.1,romfile=', '-device', 'edu,addr=5.0')
LOAD = ('for m in /modules/more/*; do case $m in *pci-stub*) o=ids=1234:11e8;; *) o=;; esac; insmod $m $o || exit 1; done')
PAGE = 0x777000
OUTSIDE = 0x3000000


def initrd(series):
    built = paths.BUILD / paths.kernel_version(series) / 'tests/avmm_vfio.ko'
    return qemu.initramfs(series, MODULES, [('/modules/avmm_vfio.ko', built),
                                            ('/usr/local/bin/vfio_edu', paths.BUILD / 'tests/bin/vfio_edu')])


def faults(pc):
    return re.findall(r'DMAR:.*Request device \[?(\S+?)\]? .*fault addr (\w+)', pc.out('dmesg'))


def driver(pc, address):
    return pc.out(f'basename $(readlink /sys/bus/pci/devices/{address}/driver)')


def refused(pc, address):
    result = pc.run(f'vfio_edu take {address}', check=False)
    assert result.status == 1
    return result.output


class Iommu:
    """One machine; the tests build on each other."""

    @pytest.fixture(scope='class')
    def pc(self, request):
        machine = qemu.Pc(request.cls.__name__, self.series, initrd(self.series), (*qemu.IOMMU, *BOARD), 'intel_iommu=on')
        yield machine
        machine.stop()

    def test_refusals(self, pc):
        """Each says why, and changes nothing."""
        assert 'there is no vfio-pci' in refused(pc, EDU)
        pc.run(LOAD)
        assert f'does not tell it from {CARD}, which is in use: its driver is e1000' in refused(pc, PAIR)
        assert 'cannot be reset' in refused(pc, FIXED)
        assert 'there is no device' in refused(pc, '0000:00:1e.0')
        pc.run(f'echo other >/sys/bus/pci/devices/{EDU}/driver_override')
        assert 'reserved for the driver other' in refused(pc, EDU)
        pc.run(f'echo >/sys/bus/pci/devices/{EDU}/driver_override')
        assert (driver(pc, EDU), driver(pc, PAIR), driver(pc, FIXED)) == ('pci-stub',) * 3

    def test_a_partition_life(self, pc):
        """DMA goes to user RAM and nowhere else; interrupts are relayed, one at a time; pages are Linux's afterwards."""
        pc.run(f'vfio_edu take {EDU}')
        assert driver(pc, EDU) == 'vfio-pci'
        assert faults(pc) == []
        said = pc.run(f'vfio_edu run {EDU}', timeout=120, check=False).output
        print(said)
        names = re.findall(r'^ok ([\w ]+):', said, re.M)
        assert names == ['pinned', 'no master', 'map', 'outside', 'quiet', 'interrupts', 'pinned again', 'no master again',
                         'map again', 'interrupt again', 'freed'], said
        found = faults(pc)
        assert found and {(device, int(at, 16) & ~0xfff) for device, at in found} == {(EDU[5:], OUTSIDE)}

    def test_its_process_is_killed(self, pc):
        """The relay notices; bus mastering is off, and the device's writes reach no page that it had."""
        pc.run(f'vfio_edu hold {EDU} >/tmp/out 2>&1 & echo $! >/tmp/pid; '
               'for i in $(seq 600); do grep -q held /tmp/out && break; sleep 0.05; done; cat /tmp/out; '
               'grep -q "ok map" /tmp/out')
        assert 'pinned=8192' in pc.out('cat /proc/avmm_vfio')
        pc.run(f'vfio_edu fill {PAGE} 7; kill -9 $(cat /tmp/pid); for i in $(seq 200); do '
               'grep -q "gone=1 .* pinned=0$" /proc/avmm_vfio && exit; sleep 0.05; done; cat /proc/avmm_vfio; exit 1')
        command = pc.out(f'dd if=/sys/bus/pci/devices/{EDU}/config bs=1 skip=4 count=1 2>/dev/null | hexdump -e \'"%d"\'')
        assert not int(command) & 4
        before = faults(pc)
        assert 'done' in pc.out(f'vfio_edu dma {EDU} {PAGE}')
        assert pc.out(f'vfio_edu look {PAGE} 7') == 'same'
        assert (EDU[5:], f'{PAGE:#x}') in faults(pc)[len(before):]
        pc.run('echo drop >/proc/avmm_vfio; echo give >/proc/avmm_vfio')

    def test_the_service_drives_it_again(self, pc):
        pc.run(f'vfio_edu give {EDU}')
        assert driver(pc, EDU) == 'pci-stub'
        pc.run('rmmod avmm_vfio')
        log = pc.out('dmesg')
        assert not re.search(r'BUG|WARNING|Oops|nobody cared|Bad page', log), log


class TestIommu61(Iommu):
    series = '6.1'


class TestIommu612(Iommu):
    series = '6.12'


def test_without_iommu():
    """Switched off by the kernel's command line."""
    pc = qemu.Pc('test_without_iommu', '6.1', initrd('6.1'), (*qemu.IOMMU, *BOARD), 'intel_iommu=off')
    try:
        said = refused(pc, EDU)
        assert 'Linux has no IOMMU' in said and 'intel_iommu=on' in said
    finally:
        pc.stop()
