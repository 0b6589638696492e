#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What the launch, the way back, and running above the monitor cost, on the emulated machine with one CPU.

There a tick of the time stamp counter is an instruction, so the numbers are counts, and repeat. The same operations
are measured before the launch, above the monitor, and after the way back. The table goes to the screen and to
tests/bench/results/launch.txt (launch-KERNEL.txt for other kernels than the first).
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from lab import Machine, avmm, paths, payload

RESULTS = Path(__file__).resolve().parent / 'results'
FIRST_KERNEL = '6.1'
FAULT_MIB = 16
ROWS = 'fault-first,cpuid,syscall,fault-recycled,fork,sleep'
ROUNDS, SINGLES = 10, 200       # of single operations, with and without the monitor in turn

# (name, unit, goal or None: the issue's)
GOALS = {'launch of a CPU': 1100, 'leave of a CPU': 320, 'CPUID round trip': 100, 'monitor text': 12 * 1024}


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kernel', default=FIRST_KERNEL, choices=['6.1', '6.12'])
    p.add_argument('--model', default='corei7_skylake_x', help='CPU model of the emulator')
    return p.parse_args()


def image_sizes(version):
    """Bytes of text, read-only and other data of the monitor, as the release build has them."""
    elf = paths.BUILD / version / 'source/monitor.elf'
    symbols = {}
    for line in subprocess.run(['nm', elf], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
        value, _, name = line.split()
        symbols[name] = int(value, 16)
    return {'monitor text': symbols['image_text_bytes'],
            'monitor read-only data, whole pages': symbols['image_rodata_size'],
            'monitor data, whole pages': symbols['image_data_size']}


def userspace(m):
    """{operation: (median, least)} by the benchmark program."""
    text = m.run(f'bench -m {FAULT_MIB} -o {ROWS}', timeout=900).output
    return {name: (float(median), float(least))
            for name, median, least in re.findall(r'^(\S+) median (\S+) min (\S+)', text, re.M)}


def singles(m):
    """{operation: (least, most frequent count of ticks)} of operations done one at a time."""
    text = m.run(f'bench -s {SINGLES} -o syscall,fault-recycled,fork,sleep', timeout=900).output
    return {name: (int(least), int(frequent))
            for name, least, frequent in re.findall(r'^(\S+) least (\d+) times \d+ frequent (\d+)', text, re.M)}


def same(m):
    """Lines: what single operations take, to the instruction, on the bare machine and above the monitor.

    What a fork or a sleep finds in the kernel's lists and trees differs from process to process, monitor or not, so
    the two are taken in turn, and what counts is the least of all rounds. The layout of the processes is fixed.
    """
    native, above, reasons = [], [], set()
    m.run('echo 0 >/proc/sys/kernel/randomize_va_space')
    for _ in range(ROUNDS):
        native.append(singles(m))
        avmm.launch(m)
        before = avmm.stats(m)[0]
        above.append(singles(m))
        reasons |= {reason for reason, count in avmm.stats(m)[0].items() if count != before.get(reason)}
        avmm.leave(m)
    lines = [f'{"":10} {"least: native":>14} {"above":>9} {"difference":>11}   range of the rounds\' least, most frequent']
    for name in native[0]:
        a, b = (min(r[name][0] for r in rounds) for rounds in (native, above))
        text = ' | '.join(f'{min(r[name][i] for r in rounds)}-{max(r[name][i] for r in rounds)}'
                          for i in (0, 1) for rounds in (native, above))
        lines.append(f'{name:10} {a:>14,} {b:>9,} {b - a:>11,}   {text}')
    others = ', '.join(sorted(reasons - {'CPUID'}))
    return [*lines, f'exits meanwhile, other than the CPUID of starting programs: {others or "none"}']


def kernel(m):
    """{operation: least} by the bench module, which reports to the kernel log and does not stay."""
    m.run('dmesg -c >/dev/null; insmod /root/avmm_bench.ko 2>/dev/null', check=False)
    found = re.findall(r'avmm_bench: (\S+) min (\d+) max', m.dmesg())
    ticks = {name: int(least) for name, least in found}
    return {name: value - ticks['rdtsc'] for name, value in ticks.items() if name != 'rdtsc'}


def launch(m):
    m.run('dmesg -c >/dev/null')
    avmm.launch(m)
    log = m.dmesg()
    status = avmm.status(m)
    off, init = re.search(r'interrupts off for at most (\d+) ticks \((\d+) in the preparation\)', log).groups()
    return {'launch of a CPU': status['cpus'][0]['launch_ticks'],
            'interrupts off, launch of a CPU': int(off),
            'interrupts off, preparation, the longest step': int(init),
            'preparation': status['prepare_ticks'],
            'memory taken': status['memory_total'],
            'memory used of it': status['memory_used']}


def leave(m):
    m.run('dmesg -c >/dev/null')
    avmm.leave(m)
    ticks, off = re.search(r'left, at most (\d+) ticks per CPU, interrupts off for (\d+)', m.dmesg()).groups()
    return {'leave of a CPU': int(ticks), 'interrupts off, launch and leave of a CPU': int(off)}


def row(name, value, unit='instructions'):
    goal = GOALS.get(name)
    return f'{name:58} {value:>10,} {unit}{f"   (goal: at most {goal:,})" if goal else ""}'


def number(value):
    return '' if value is None else f'{value:,.1f}' if isinstance(value, float) else f'{value:,}'


def comparison(native, above, after):
    lines = [f'{"":26} {"before":>12} {"above":>12} {"after":>12}']
    for name in above:
        lines.append(f'{name:26} ' + ' '.join(f'{number(d.get(name)):>12}' for d in (native, above, after)))
    return lines


def table(m, version):
    user, own = [userspace(m)], [kernel(m)]
    once = launch(m)
    user.append(userspace(m))
    own.append(kernel(m))
    once.update(leave(m))
    user.append(userspace(m))
    own.append(kernel(m))
    once['CPUID round trip'] = own[1]['cpuid'] - own[0]['cpuid']
    once['VMCALL round trip'] = own[1]['vmcall']
    once['NMI, more than on the bare machine'] = own[1]['nmi'] - own[0]['nmi']
    in_bytes = [row(name, once.pop(name), 'bytes') for name in ('memory taken', 'memory used of it')]
    in_bytes += [row(name, size, 'bytes') for name, size in image_sizes(version).items()]
    return [*(row(name, value) for name, value in once.items()), '', *in_bytes,
            '', 'in userspace, median, instructions per operation:',
            *comparison(*({n: v[0] for n, v in d.items()} for d in user)),
            '', 'the same, least:', *comparison(*({n: v[1] for n, v in d.items()} for d in user)),
            '', 'in the kernel, least of 64:', *comparison(*own),
            '', f'one at a time, {ROUNDS} rounds of {SINGLES} each:', *same(m)]


def main():
    o = options()
    version = paths.kernel_version(o.kernel)
    module = paths.BUILD / version / 'bench/avmm_bench.ko'
    extra = [('/root/avmm_bench.ko', module), ('/usr/local/bin/bench', paths.BUILD / 'tests/bench/bench')]
    root = payload.build(o.kernel, paths.LOGS / 'bench-launch.payload', extra=extra)
    git = ['git', 'describe', '--always', '--dirty', '--abbrev=12']
    commit = subprocess.run(git, cwd=paths.TOP, stdout=subprocess.PIPE, text=True).stdout.strip()
    command = 'make bench-launch' + (f' KERNEL={o.kernel}' if o.kernel != FIRST_KERNEL else '')
    with Machine(name='bench-launch', payload=root, kernel=o.kernel, model=o.model).start() as m:
        lines = [f'command: {command}', f'commit:  {commit}', f'kernel:  {m.out("uname -r")}',
                 f'machine: {o.model}, 1 CPU, {m.shape.mem} MiB, emulated: 1 tick of the TSC is 1 instruction', '',
                 *table(m, version)]
    text = '\n'.join(line.rstrip() for line in lines) + '\n'
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ('launch.txt' if o.kernel == FIRST_KERNEL else f'launch-{o.kernel}.txt')).write_text(text)
    print(text, end='')
    return 0


sys.exit(main())
