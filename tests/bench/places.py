# SPDX-License-Identifier: GPL-2.0
"""The places where the benchmark runs, all on one emulated machine: each runs a command and tells its exits so far.

Native and service are the machine itself; user and KVM are guests of it that boot the same kernel and initramfs and
answer over their serial console.
"""

import os
import re
import subprocess
from pathlib import Path

from lab import avmm, image, paths, payload, user

# The user partition's CPU and KVM's say that they have fast string operations, the emulated machine's own does not, and in
# the emulator each of their bytes costs an instruction: so guests are told not to use them. CPUID claims another
# frequency than the emulated one: see lab.emulator.
CMDLINE = ('console=ttyS0,115200 quiet panic=-1 rdinit=/bench-init mitigations=off norandmaps nokaslr '
           'clearcpuid=erms,rep_good tsc=reliable tsc_early_khz=400000')
MEMORY = '256M'                                         # of the guests
VIRTIO_MODULES = ['virtio_blk', 'virtio_pci']
QEMU = '/usr/bin/qemu-system-x86_64'
QEMU_FILES = ['/usr/share/seabios/bios-256k.bin', '/usr/share/qemu/kvmvapic.bin', '/usr/share/qemu/linuxboot_dma.bin']
HIST = '/sys/kernel/tracing/events/kvm/kvm_exit'

# Basic exit reasons, Intel SDM appendix C, as KVM numbers them in its trace; named as avmmctl stats does.
REASONS = {0: 'Exception or NMI', 1: 'External interrupt', 2: 'Triple fault', 7: 'Interrupt window', 8: 'NMI window',
           9: 'Task switch', 10: 'CPUID', 12: 'HLT', 14: 'INVLPG', 18: 'VMCALL', 28: 'Control-register access',
           29: 'MOV DR', 30: 'I/O instruction', 31: 'RDMSR', 32: 'WRMSR', 36: 'MWAIT', 40: 'PAUSE', 43: 'TPR below threshold',
           44: 'APIC access', 45: 'Virtualized EOI', 48: 'EPT violation', 49: 'EPT misconfiguration',
           52: 'VMX-preemption timer expired', 55: 'XSETBV', 56: 'APIC write'}


class Native:
    """The machine without AVMM."""
    name = 'native'
    module = '/root/avmm_bench.ko'
    program = 'bench'

    def __init__(self, m):
        self.m = m

    def run(self, command, timeout=1500, check=True):
        return self.m.run(command, timeout=timeout, check=check)

    def exits(self):
        return None

    def disk(self):
        """A disk that may be overwritten, or None."""
        return '/dev/sda'


class Service(Native):
    """The machine with AVMM underneath."""
    name = 'service'

    def exits(self):
        return avmm.stats(self.m)[0]


class UserPartition(user.User):
    """Beside the service partition; its disk is disguised, RAM-backed."""
    name = 'user'
    module = '/avmm_bench.ko'
    program = '/bench-init'

    def run(self, command, timeout=1500, check=True, poll=None):
        return super().run(command, timeout, check, poll)

    def load_drivers(self):
        self.disk_drivers()

    def exits(self):
        return avmm.user_stats(self.machine)['exits']

    def disk(self):
        found = self.run('for d in sda vda; do [ -b /dev/$d ] && echo /dev/$d && break; done; true').output.strip()
        return found or None


class Kvm(UserPartition):
    """A guest of QEMU and KVM with EPT; its disk is QEMU's IDE, RAM-backed, and a second one virtio."""
    name = 'kvm'

    def load_drivers(self):
        self.disk_drivers()
        self.run('for m in /modules/virtio/*; do busybox insmod $m; done; sleep 0.5')

    def load(self):
        self.machine.run('tar -xzf /root/qemu.tgz -C / && modprobe kvm_intel', timeout=300)
        assert self.machine.out('cat /sys/module/kvm_intel/parameters/ept') == 'Y'

    def command(self, kernel, memory):
        drives = ' '.join(f'-drive file=/dev/ram{n},if={bus},format=raw,cache=none' for n, bus in enumerate(('ide', 'virtio')))
        return (f'qemu-system-x86_64 -enable-kvm -cpu host -machine pc -smp 1 -m {memory} -nodefaults -no-user-config '
                f'-display none -monitor none -no-reboot -L /qemu {drives} '
                f"-kernel {kernel} -initrd /root/initrd -append '{CMDLINE}' -serial stdio")

    def start(self, kernel='/root/vmlinuz', memory=MEMORY, **_):
        self.machine.write_file('/root/kvm.sh', f'echo $$ >{user.PID}\nexec {self.command(kernel, memory)} <>{user.IN} '
                                                f'>>{user.OUT} 2>/tmp/qemu.err\n')
        self.machine.run(f'rm -f {user.IN} {user.PID}; mkfifo {user.IN}; : >{user.OUT}; setsid sh /root/kvm.sh &\n'
                         f'until [ -s {user.PID} ]; do sleep 0.01; done')

    def attach(self):
        pass

    def count_exits(self, on):
        self.machine.run(f"echo '{'' if on else '!'}hist:keys=exit_reason' >{HIST}/trigger")

    def exits(self):
        text = self.machine.out(f'cat {HIST}/hist')
        found = re.findall(r'exit_reason: +(\d+) \} hitcount: +(\d+)', text)
        return {REASONS.get(int(n) & 0xffff, f'reason {n}'): int(count) for n, count in found}

    def stop(self):
        pid = f'$(cat {user.PID})'
        self.machine.run(f'kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done', timeout=120)


def qemu_archive(home):
    """QEMU with what it needs, compressed: the payload's medium is small."""
    root = home / 'qemu-root'
    payload.program(QEMU, root, QEMU)
    (root / 'qemu').mkdir(exist_ok=True)
    for name in QEMU_FILES:
        data = Path(name).read_bytes()
        (root / 'qemu' / Path(name).name).write_bytes(data)
    out = home / 'qemu.tgz'
    subprocess.run(['tar', '-C', root, '--owner=0', '--group=0', '-czf', out, '.'], check=True)
    return out


def initrd(series, module, program, home):
    """The lab's initramfs for a user partition, with the benchmark in it as program and as first process."""
    root = home / 'root'
    (root / 'modules/virtio').mkdir(parents=True, exist_ok=True)
    subprocess.run(['strip', '-g', '-o', root / 'avmm_bench.ko', module], check=True)
    (root / 'bench-init').write_bytes(program.read_bytes())
    (root / 'bench-init').chmod(0o755)
    for i, name in enumerate(user.module_order(series, VIRTIO_MODULES)):
        (root / 'modules/virtio' / f'{i:02}-{Path(name).name}').write_bytes(user.module_bytes(series, name))
    image.pack(root, home / 'more')
    both = home / 'initrd'
    both.write_bytes(user.initramfs(series, drivers='disk').read_bytes() + (home / 'more').read_bytes())
    return both


def padded(source, like, out):
    """SOURCE made as large as LIKE."""
    out.write_bytes(source.read_bytes())
    os.truncate(out, max(source.stat().st_size, like.stat().st_size))
    return out
