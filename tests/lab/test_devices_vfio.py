# SPDX-License-Identifier: GPL-2.0
"""Devices behind an IOMMU, by stock vfio-pci: QEMU has one, and a device that does DMA on request. No monitor is there.

avmmctl's vfio.c and what the module has for devices are the product's; tests/lab/modules/vfio_lab.c stands for the monitor.
"""

import json
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
REFUSED = ['is assigned already', 'there is a user partition', 'no process holds it by vfio', 'its files cannot be used',
           'vfio does not have all memory']
DONE = [*REFUSED, 'pinned', 'not started', 'flags', 'a user partition runs with it', 'no master', 'told', 'map', 'master off',
        'outside', 'quiet', 'interrupts', 'halted', 'pinned again', 'no master again', 'map again',
        'interrupt again', 'freed', 'not lost']


def initrd(series):
    built = paths.BUILD / paths.kernel_version(series)
    return qemu.initramfs(series, MODULES, [('/root/avmm.ko', built / 'avmm.ko'),
                                            ('/root/avmm_vfio.ko', built / 'tests/avmm_vfio.ko'),
                                            ('/usr/local/bin/vfio_edu', paths.BUILD / 'tests/bin/vfio_edu'),
                                            ('/usr/local/bin/avmmctl', paths.BUILD / 'avmmctl')])


def faults(pc):
    return re.findall(r'DMAR:.*Request device \[?(\S+?)\]? .*fault addr (\w+)', pc.out('dmesg'))


def driver(pc, address):
    return pc.out(f'basename $(readlink /sys/bus/pci/devices/{address}/driver)')


def assert_no_warning(pc):
    log = pc.out('dmesg')
    assert not re.search(r'BUG|WARNING|Oops|nobody cared|Bad page', log), log


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
        pc.run(LOAD + '; insmod /root/avmm_vfio.ko')
        assert f'does not tell it from {CARD}, which is in use: its driver is e1000' in refused(pc, PAIR)
        assert 'cannot be reset' in refused(pc, FIXED)
        assert 'there is no device' in refused(pc, '0000:00:1e.0')
        pc.run(f'echo other >/sys/bus/pci/devices/{EDU}/driver_override')
        assert 'reserved for the driver other' in refused(pc, EDU)
        pc.run(f'echo >/sys/bus/pci/devices/{EDU}/driver_override')
        assert (driver(pc, EDU), driver(pc, PAIR), driver(pc, FIXED)) == ('pci-stub',) * 3
        assert pc.run(f'echo assign {EDU} >/proc/avmm_vfio', check=False).status
        assert 'its driver is not vfio-pci' in pc.out('cat /proc/avmm_vfio')

    def test_a_partition_life(self, pc):
        """DMA goes to user RAM and nowhere else; interrupts are relayed, one at a time; pages are Linux's afterwards."""
        pc.run(f'vfio_edu take {EDU}')
        assert driver(pc, EDU) == 'vfio-pci'
        assert faults(pc) == []
        said = pc.run(f'vfio_edu run {EDU}', timeout=300, check=False).output
        print(said)
        assert re.findall(r'^ok ([\w ]+):', said, re.M) == DONE and 'FAIL' not in said, said
        assert driver(pc, EDU) == 'pci-stub'
        found = faults(pc)
        assert found and {(device, int(at, 16) & ~0xfff) for device, at in found} == {(EDU[5:], OUTSIDE)}

    def test_its_process_is_killed(self, pc):
        """The module notices, and ends the partition before vfio lets go. Then bus mastering is off, and DMA has no effect."""
        pc.run(f'vfio_edu take {EDU}')
        pc.run(f'vfio_edu hold {EDU} >/tmp/out 2>&1 & echo $! >/tmp/pid; '
               'for i in $(seq 600); do grep -q held /tmp/out && break; sleep 0.05; done; cat /tmp/out; '
               'grep -q "ok map" /tmp/out')
        assert 'pinned=8192' in pc.out('cat /proc/avmm_vfio')
        pc.run(f'vfio_edu fill {PAGE} 7; kill -9 $(cat /tmp/pid); for i in $(seq 200); do '
               'grep -q "gone=1 last=8192 .* pinned=0 " /proc/avmm_vfio && exit; sleep 0.05; done; cat /proc/avmm_vfio; exit 1')
        command = pc.out(f'dd if=/sys/bus/pci/devices/{EDU}/config bs=1 skip=4 count=1 2>/dev/null | hexdump -e \'"%d"\'')
        assert not int(command) & 4
        before = faults(pc)
        assert 'done' in pc.out(f'vfio_edu dma {EDU} {PAGE}')
        assert pc.out(f'vfio_edu look {PAGE} 7') == 'same'
        assert (EDU[5:], f'{PAGE:#x}') in faults(pc)[len(before):]
        assert 'has ended: the user partition is stopped' in pc.out('dmesg')
        pc.run(f'echo give >/proc/avmm_vfio; echo release {EDU} >/proc/avmm_vfio')
        assert driver(pc, EDU) == 'pci-stub'

    def test_its_process_is_killed_in_the_start(self, pc):
        """As soon as the partition has begun, it is ended."""
        pc.run(f'vfio_edu take {EDU}')
        pc.run(f'vfio_edu attach {EDU} >/tmp/out 2>&1 & echo $! >/tmp/pid; '
               'for i in $(seq 600); do grep -q held /tmp/out && break; sleep 0.05; done; cat /tmp/out; '
               'grep -q held /tmp/out && ! grep FAIL /tmp/out')
        assert 'gone=1' in pc.out('cat /proc/avmm_vfio')
        pc.run('kill -9 $(cat /tmp/pid); '
               'for i in $(seq 200); do grep -q "gone=1 .* pinned=0 " /proc/avmm_vfio && break; sleep 0.05; done; '
               'echo go >/proc/avmm_vfio; for i in $(seq 200); do grep -q "gone=2 " /proc/avmm_vfio && exit; sleep 0.05; done; '
               'cat /proc/avmm_vfio; exit 1')
        pc.run(f'echo give >/proc/avmm_vfio; echo release {EDU} >/proc/avmm_vfio')
        assert driver(pc, EDU) == 'pci-stub'

    def test_what_was_not_assigned_is_given_back(self, pc):
        """As avmmctl does when the module refuses."""
        pc.run(f'vfio_edu take {EDU}; vfio_edu give {EDU}')
        assert driver(pc, EDU) == 'pci-stub'
        pc.run('rmmod avmm_vfio')
        assert_no_warning(pc)

    def test_by_avmmctl(self, pc):
        """With the module that is not launched, for there is no VT-x: a device's ways up to the partition."""
        pc.run('insmod /root/avmm.ko launch=0')
        assign = f'avmmctl device assign {EDU}'
        assert 'say dma = iommu, dma = off, or dma = trusted' in pc.run(assign, check=False).output
        assert driver(pc, EDU) == 'pci-stub'
        pc.run(f'{assign} --dma iommu')
        assert driver(pc, EDU) == 'vfio-pci'
        entry, = [e for e in json.loads(pc.out('avmmctl device list --json'))['devices'] if e['address'] == EDU]
        assert (entry['owner'], entry['dma'], entry['driver']) == ('user', 'iommu', 'vfio-pci')
        assert 'is assigned already' in pc.run(f'{assign} --dma iommu', check=False).output
        assert driver(pc, EDU) == 'vfio-pci'
        pc.run(f'avmmctl device release {EDU}')
        assert driver(pc, EDU) == 'pci-stub'
        pc.run(f'{assign} --dma iommu')
        pc.run('vfio_edu tell >/tmp/out 2>&1 & for i in $(seq 200); do grep -q "held 1" /tmp/out && break; sleep 0.05; done; '
               'cat /tmp/out; grep -q "held 1" /tmp/out; s=$?; kill -9 $!; exit $s')
        pc.run('rmmod avmm')
        assert driver(pc, EDU) == 'pci-stub'
        assert_no_warning(pc)


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
