#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What operations cost on the bare machine, in the service partition and in the user partition, in instructions.

One emulated machine with one CPU, where a tick of the time stamp counter is an instruction. `cost` and a module measure
on all three; a guest without an operating system measures the user partition's exits one by one. The table goes to the
screen and to tests/bench/results/user.txt (user-KERNEL.txt for other kernels than the first).

The user partition's CPU says that it has fast string operations, the emulated machine's own does not, and in the emulator
each of their bytes costs an instruction: so the guest is told not to use them. Both run without mitigations, as KVM's
figures (docs/performance.md) were taken.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from lab import Machine, avmm, image, paths, payload, user

RESULTS = Path(__file__).resolve().parent / 'results'
FIRST_KERNEL = '6.1'
FAULT_MIB = 16
CMDLINE = f'{user.CMDLINE} mitigations=off clearcpuid=erms,rep_good'
EXITS_INI = '[partition]\nmemory = 64M\nkernel = /root/exits\n'

# The issue's, for the user partition
GOALS = {'cpuid': '<= 110', 'port': '<= 200', 'hpet': '<= 400', 'sleep': '<= 8,000', 'fault-recycled': '<= 1.001 x native'}


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kernel', default=FIRST_KERNEL, choices=['6.1', '6.12'])
    p.add_argument('--module-parameters', default='', help='of avmm.ko')
    return p.parse_args()


def cost(run):
    """{operation: (median, least)} by the cost program."""
    text = run(f'cost -m {FAULT_MIB}', timeout=1500).output
    return {name: (float(median), float(least))
            for name, median, least in re.findall(r'^(\S+) median (\S+) min (\S+)', text, re.M)}


def bench(run, module):
    """{operation: (median or least, least)} by the module, which does not stay."""
    text = run(f'dmesg -c >/dev/null; insmod {module} 2>/dev/null; dmesg', check=False, timeout=300).output
    least = {name: int(value) for name, value in re.findall(r'avmm_bench: (\S+) min (\d+) max', text)}
    found = {name: (value - least['rdtsc'],) * 2 for name, value in least.items() if name != 'rdtsc'}
    for name, median, low in re.findall(r'avmm_bench: (\S+) median (\d+) min (\d+)', text):
        found[name] = (int(median), int(low))
    return found


def exits_guest(m):
    """[(name, least, median)] by the guest that only measures."""
    m.write_file('/root/exits.ini', EXITS_INI)
    m.run('stty -F /dev/ttyAVMM0 raw -echo')
    reader = m.background('cat /dev/ttyAVMM0 >/tmp/exits.out')
    m.run('avmmctl start /root/exits.ini', timeout=120)
    m.run('until grep -q "^done" /tmp/exits.out; do sleep 0.2; done', timeout=300)
    text = m.out('cat /tmp/exits.out')
    reader.kill()
    m.run('avmmctl stop --force --timeout 0', timeout=120)
    if 'WRONG' in text or 'right' not in text:
        sys.exit(f'the guest without an operating system found a fault:\n{text}')
    return re.findall(r'^(\S+) min (\d+) median (\d+)', text, re.M)


def bench_initrd(series, module, home):
    """The lab's initramfs for a user partition, and the module."""
    root = home / 'root'
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(['strip', '-g', '-o', root / 'avmm_bench.ko', module], check=True)
    image.pack(root, home / 'more')
    both = home / 'initrd'
    both.write_bytes(user.initramfs(series).read_bytes() + (home / 'more').read_bytes())
    return both


def switching(m, g):
    """Instructions of the monitor per world switch, scheduler and all, while the user computes and the service wakes up."""
    g.run('(while :; do :; done) >/dev/null 2>&1 & echo $! >/tmp/spin')
    latency = bench(m.run, '/root/avmm_bench.ko')['timer-idle']
    before = stats(m)
    m.run('for i in $(seq 200); do usleep 1000; done', timeout=300)
    after = stats(m)
    g.run('kill $(cat /tmp/spin)')
    switches = after['counters']['switches'] - before['counters']['switches']
    return latency, (after['time_monitor'] - before['time_monitor']) / 2 / switches


def stats(m):
    """Of the user partition."""
    return json.loads(m.run('avmmctl stats --json').output)['user']


def sizes(version):
    elf = paths.BUILD / version / 'source/monitor.elf'
    found = subprocess.run(['nm', elf], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(r'(\S+) A image_text_bytes', found).group(1), 16)


def number(pair, which):
    return '' if pair is None else f'{pair[which]:,.0f}'


def comparison(columns, which):
    names = [n for n in columns['user'] if n in columns['service'] or n in columns['native']]
    lines = [f'{"":18} {"native":>10} {"service":>10} {"user":>10}']
    for name in names:
        values = ' '.join(f'{number(columns[c].get(name), which):>10}' for c in ('native', 'service', 'user'))
        goal = f'   (goal: {GOALS[name]})' if name in GOALS else ''
        lines.append(f'{name:18} {values}{goal}')
    return lines


def table(m, o, version):
    columns = {'native': {**cost(m.run), **bench(m.run, '/root/avmm_bench.ko')}}
    avmm.launch(m, parameters=o.module_parameters)
    columns['service'] = {**cost(m.run), **bench(m.run, '/root/avmm_bench.ko')}
    single = exits_guest(m)
    g = user.User(m, o.kernel)
    g.boot(cmdline=CMDLINE)
    boot = stats(m)['exits']
    columns['user'] = {**quiet_cost(m, g), **bench(g.run, '/avmm_bench.ko')}
    latency, switch = switching(m, g)
    g.stop()
    wake = latency[0] - columns['native']['timer-idle'][0]
    return ['median, instructions per operation:', *comparison(columns, 0), '', 'the same, least:', *comparison(columns, 1),
            '', f'{"interrupt while the user runs until the service is ready":58} {wake:>8,.0f}   (goal: <= 300)',
            f'{"world switch, one way, with the scheduler":58} {switch:>8,.0f}   (goal: <= 300)',
            f'{"monitor text, bytes":58} {sizes(version):>8,}',
            '', 'exits of the user partition, guest without an operating system, least and median:',
            *(f'{name:30} {int(least):>8,} {int(median):>8,}' for name, least, median in single),
            '', f'exits while the kernel boots to its shell: {sum(boot.values()):,} (KVM and QEMU, with firmware: 9,238)',
            *(f'{name:30} {count:>8,}' for name, count in sorted(boot.items(), key=lambda x: -x[1]) if count)]


def quiet_cost(m, g):
    """As cost(), while nobody in the service asks whether it is done."""
    g.run(f'(sleep 1; cost -m {FAULT_MIB} >/tmp/cost; echo 1 >/tmp/cost.done) >/dev/null 2>&1 &')
    for _ in range(60):
        m.run('sleep 10', timeout=600)
        if g.run('test -e /tmp/cost.done', check=False):
            break
    return cost(lambda command, timeout: g.run('cat /tmp/cost'))


def main():
    o = options()
    version = paths.kernel_version(o.kernel)
    module = paths.BUILD / version / 'bench/avmm_bench.ko'
    home = paths.LOGS / 'bench-user.files'
    files = dict(user.files(o.kernel))
    files['/root/initrd'] = bench_initrd(o.kernel, module, home)
    extra = [*files.items(), ('/root/avmm_bench.ko', module), ('/root/exits', paths.BUILD / 'tests/exits.bzimage')]
    root = payload.build(o.kernel, paths.LOGS / 'bench-user.payload', extra=extra)
    git = ['git', 'describe', '--always', '--dirty', '--abbrev=12']
    commit = subprocess.run(git, cwd=paths.TOP, stdout=subprocess.PIPE, text=True).stdout.strip()
    command = 'make bench-user' + (f' KERNEL={o.kernel}' if o.kernel != FIRST_KERNEL else '')
    with Machine(name='bench-user', payload=root, kernel=o.kernel, mem=1024, cmdline='+mitigations=off').start() as m:
        lines = [f'command: {command}', f'commit:  {commit}', f'kernel:  {m.out("uname -r")}, in both partitions',
                 'machine: corei7_skylake_x, 1 CPU, emulated: 1 tick of the TSC is 1 instruction; mitigations=off', '',
                 *table(m, o, version)]
    text = '\n'.join(line.rstrip() for line in lines) + '\n'
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ('user.txt' if o.kernel == FIRST_KERNEL else f'user-{o.kernel}.txt')).write_text(text)
    print(text, end='')
    return 0


sys.exit(main())
