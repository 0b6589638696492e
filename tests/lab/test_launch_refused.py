# SPDX-License-Identifier: GPL-2.0
"""Machines on which AVMM cannot run: avmmctl check and insmod say what is missing, and nothing stays behind."""

import re

import pytest

from lab import avmm, kernel_log, payload

KVM_SEES_NO_VMX = re.compile(r"kvm: no hardware support for 'kvm_intel'|kvm_intel: VMX not supported by CPU \d+")


def assert_refused(m, *words):
    """avmmctl check and insmod both name all of WORDS."""
    before = [line for line in kernel_log.warnings(m)]
    status, found = avmm.check(m)
    text = ' '.join(avmm.refusals(found)) + str(found['vmx_module'])
    assert (status, found['verdict']) == (1, 'refused'), found
    m.run('dmesg -c >/dev/null')
    result = m.run('insmod /root/avmm.ko', check=False)
    assert result.status == 1 and 'insmod: ERROR' in result.output
    m.run('! grep ^avmm /proc/modules')
    said = m.out('dmesg')
    for word in words:
        assert word in text, text
        assert word in said, said
    assert [line for line in kernel_log.new_warnings(m, before) if 'avmm' not in line] == []


def assert_kvm_sees_no_vmx(m):
    """kvm_intel goes away by itself, with a line in the log, as on a CPU that never had VMX."""
    before = kernel_log.warnings(m)
    assert 'Operation not supported' in m.run('modprobe kvm_intel', check=False).output
    m.run('! [ -e /dev/kvm ] && ! grep ^kvm_intel /proc/modules && modprobe -r kvm')
    said = kernel_log.new_warnings(m, before)
    assert len(said) == 1 and KVM_SEES_NO_VMX.search(said[0]), said


class TestNoVtx:
    shape = {'kernel': '6.1', 'exclude': ('vmx',)}

    def test_refused(self, m):
        assert_refused(m, 'VMX')


class TestLockedOff:
    shape = {'kernel': '6.12', 'feature_control': 1}

    def test_refused(self, m):
        assert_refused(m, 'IA32_FEATURE_CONTROL')


class TestNoEpt:
    shape = {'kernel': '6.1', 'model': 'core2_penryn_t9600', 'cpus': 1}

    def test_refused(self, m):
        assert_refused(m, 'EPT')


class Kvm:
    @pytest.fixture
    def m(self, lab):
        m = lab(extra=(('/usr/local/bin/kvm_hold', str(payload.guest_program('kvm_hold'))),))
        m.run('modprobe kvm_intel')
        yield m
        if not m.broken:
            m.run('rmmod avmm 2>/dev/null; rmmod kvm_intel', check=False)

    def test_in_use(self, m):
        job = m.background('kvm_hold')
        m.run('until grep -q . /tmp/.background.*.out; do sleep 0.05; done')
        assert_refused(m, 'kvm_intel')
        job.kill()
        job.wait()

    def test_idle(self, m):
        """Where KVM holds VMX only while a machine runs, AVMM may launch; where it always does, AVMM is refused."""
        if avmm.check(m)[0] == 0:
            avmm.launch(m)
            assert m.run('kvm_hold', check=False).output.startswith('refused')
            assert avmm.status(m)['state'] == 'launched'
            avmm.leave(m)
            job = m.background('kvm_hold')
            m.run('until grep -q running /tmp/.background.*.out; do sleep 0.05; done')
            job.kill()
            job.wait()
        else:
            assert_refused(m, 'kvm_intel')

    def test_loaded_after_launch(self, m):
        m.run('modprobe -r kvm_intel')
        avmm.launch(m)
        assert_kvm_sees_no_vmx(m)
        assert avmm.status(m)['state'] == 'launched'
        avmm.leave(m)
        m.run('modprobe kvm_intel && [ -e /dev/kvm ]')

    def test_held_by_another(self, m):
        """By a module whose name AVMM does not know, on all CPUs and on each alone."""
        m.run('modprobe -r kvm_intel')
        for cpu in [None, *range(m.shape.cpus)]:
            m.run(f'dmesg -c >/dev/null; insmod /root/tests/avmm_vmxon.ko {"" if cpu is None else f"cpus={cpu}"}')
            assert m.run('insmod /root/avmm.ko', check=False).status == 1
            m.run('! grep ^avmm /proc/modules | grep -v vmxon')
            assert f'avmm: CPU {cpu or 0}: VMX operation is in use by another hypervisor' in m.dmesg()
            m.run('rmmod avmm_vmxon')
        avmm.launch(m)
        assert m.run('insmod /root/tests/avmm_vmxon.ko', check=False).status == 1
        avmm.leave(m)


class TestKvm61(Kvm):
    shape = {'kernel': '6.1', 'cpus': 1, 'disk': 16}


class TestKvm612(Kvm):
    shape = {'kernel': '6.12', 'cpus': 2}
