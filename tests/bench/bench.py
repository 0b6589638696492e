#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The benchmark: the same operations on the bare machine, in the service and the user partition, and in a guest of KVM.

One emulated machine with one CPU, where a tick of the time stamp counter is an instruction: that is checked first. A
second run of the operations counts exits. The table goes to the screen with what moved by more than 2 % since the saved
figures (tests/bench/results/bench.json); --save replaces those, the table in docs/performance.md and the charts.
"""

import argparse
import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import places
import table
from lab import Machine, avmm, emulator, paths, payload, user

HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results'
DOCS = paths.TOP / 'docs'
LATEST = paths.BUILD / 'bench-latest.json'
FIRST_KERNEL = '6.1'
FIRST_MIB = 16
EXITS_INI = '[partition]\nmemory = 64M\nkernel = /root/exits\n'
DISKS = '[disk0]\nbacking = /dev/ram0\n'
MACHINE = {'mem': 1024, 'disk': 16, 'cmdline': '+mitigations=off norandmaps nokaslr'}

# Rows of the module that have a meaning as exits per operation
KERNEL_ROWS = {'cpuid': 2000, 'in': 2000, 'cr8wr': 2000, 'port': 2000, 'hpet': 2000, 'ptemod': 2000, 'timer': 2000, 'nmi': 200,
               'vmcall': 2000}
# The scheduler's row: the small side's share in percent, how long. The start gave the user the rest.
SMALL, SECONDS = 10, 3
CGROUPS = f'''mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && cd /sys/fs/cgroup &&
echo +cpu >cgroup.subtree_control && mkdir small large &&
echo {SMALL} >small/cpu.weight && echo {100 - SMALL} >large/cpu.weight && cat {user.PID} >large/cgroup.procs'''
PLAIN = re.compile(r'(int|int64|float|double)-')      # rows whose exits are counted together

started = time.monotonic()


def say(text):
    print(f'{time.monotonic() - started:5.0f} s  {text}', file=sys.stderr, flush=True)


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kernel', default=FIRST_KERNEL, choices=['6.1', '6.12'])
    p.add_argument('--model', default='corei7_skylake_x', help='CPU model of the emulator')
    p.add_argument('--places', default='native,service,user,kvm', help='some of these, comma-separated')
    p.add_argument('--json', action='store_true', help='figures instead of the table')
    p.add_argument('--save', action='store_true', help='replace the saved figures, the table in docs/ and the charts')
    p.add_argument('--costs', default=HERE / 'costs.json', type=Path, help="what exits cost a CPU")
    p.add_argument('--no-boot', action='store_true', help='without the boot of the machine itself')
    p.add_argument('--no-exits', action='store_true', help='instructions only')
    p.add_argument('--compare', type=Path, nargs=2, metavar='FILE', help='no run: what moved between two saved ones')
    return p.parse_args()


# -- one place

def measured(text):
    return {name: (float(median), float(least))
            for name, median, least in re.findall(r'^(\S+) median (\S+) min (\S+)', text, re.M)}


def kernel_rows(place):
    """{row: (median or least, least)} by the module, which does not stay."""
    text = place.run(f'dmesg -c >/dev/null; {place.program} -k {place.module}; dmesg', check=False).output
    least = {name: int(value) for name, value in re.findall(r'avmm_bench: (\S+) min (\d+) max', text)}
    found = {name: (value - least['rdtsc'],) * 2 for name, value in least.items() if name != 'rdtsc'}
    for name, median, low in re.findall(r'avmm_bench: (\S+) median (\d+) min (\d+)', text):
        found[name] = (int(median), int(low))
    return found


def instructions(place):
    """({row: median}, {row: least})"""
    disk = place.disk()
    text = place.run(f'sleep 1; {place.program} -c -m {FIRST_MIB}' + (f' -d {disk}' if disk else '')).output
    ticks = float(re.search(r'^calibration (\S+)', text, re.M).group(1))
    if not 0.999 < ticks < 1.001:
        sys.exit(f'{place.name}: an instruction takes {ticks} ticks: figures would not be instructions')
    found = {**kernel_rows(place), **measured(text)}
    if place.name == 'kvm':
        text = place.run(f'{place.program} -d /dev/vda -o disk-read-4k,disk-read-64k,disk-write-4k,disk-write-64k').output
        found.update({name.replace('disk', 'virtio'): v for name, v in measured(text).items()})
    return {n: v[0] for n, v in found.items()}, {n: v[1] for n, v in found.items()}


class Counter:
    """Exits per operation: those of a run of many, less those of a run of none."""

    def __init__(self, place):
        self.place = place

    def _during(self, command):
        before = self.place.exits()
        text = self.place.run(command, check=False).output
        after = self.place.exits()
        return text, {r: n - before.get(r, 0) for r, n in after.items() if n != before.get(r, 0)}

    def _less(self, full, empty, did):
        found = {r: (n - empty.get(r, 0)) / did for r, n in full.items()}
        return {r: round(n, 3) for r, n in found.items() if n >= 0.005}

    def program(self, row, options=''):
        command = f'{self.place.program} -m {FIRST_MIB} {options} -o {row}'
        _, empty = self._during(f'{command} -n')
        text, full = self._during(f'{command} -r 0')
        did = sum(map(int, re.findall(r'^\S+ did (\d+)', text, re.M)))
        return self._less(full, empty, did) if did else None

    def module(self, row, count):
        command = f'{self.place.program} -k "{self.place.module} only={row} repeat='
        _, empty = self._during(f'{command}0"')
        return self._less(self._during(f'{command}{count}"')[1], empty, count)


def exits(place, rows):
    """{row: {reason: per operation}}"""
    counter, found = Counter(place), {}
    disk = place.disk()
    plain = [r for r in rows if PLAIN.match(r)]
    together = counter.program(','.join(plain)) if plain else {}
    for row in rows:
        if row in plain:
            found[row] = together
        elif row in KERNEL_ROWS:
            found[row] = counter.module(row, KERNEL_ROWS[row])
        elif row.startswith('virtio-'):
            found[row] = counter.program(row.replace('virtio', 'disk'), '-d /dev/vda')
        elif not row.startswith('timer-') or row in ('timer-set', 'timer-wait'):
            found[row] = counter.program(row, f'-d {disk}' if disk else '')
    return {row: v for row, v in found.items() if v is not None}


def take(figures, place, o):
    """All rows of PLACE into FIGURES."""
    say(f'{place.name}: instructions')
    figures['instructions'][place.name], figures['least'][place.name] = instructions(place)
    if place.exits() is not None and not o.no_exits:
        say(f'{place.name}: exits')
        figures['exits'][place.name] = exits(place, figures['instructions'][place.name])
    keep(figures)


def keep(figures):
    """What there is so far, should a later place fail."""
    LATEST.write_text(json.dumps(figures, indent=1) + '\n')


# -- what only some places have

def entered(text):
    return int(re.search(r'====([0-9a-f]{16})', text).group(1), 16)


def native_boot(o, files):
    """The guests' kernel and initramfs on the machine itself with as much memory as they have, and what came before the kernel;
    and fault-first there: how many free pages Linux keeps at hand depends on the memory.
    """
    say('native: boot')
    cmdline = f'{places.CMDLINE} mem={places.MEMORY}'
    shape = emulator.Shape(kernel=o.kernel, model=o.model, mem=MACHINE['mem'])
    ticks = {}
    for name, kernel in (('entry', files['/root/entry']), ('init', files['/root/vmlinuz'])):
        e = emulator.Emulator(shape, paths.LOGS / f'bench-boot-{name}')
        try:
            e.cold(boot=(kernel, files['/root/initrd'], cmdline))
            if name == 'entry':
                ticks[name] = entered(_serial(e, rb'====[0-9a-f]{16}'))
            else:
                _serial(e, rb'GUEST-UP \S+\r?\n')
                ticks[name] = int(_ask(e, 1, 'cat /boot-ticks'))
                first = measured(_ask(e, 2, f'sleep 1; /bench-init -m {FIRST_MIB} -o fault-first'))
        finally:
            e.kill()
            e.tidy()
    return {'instructions': ticks['init'] - ticks['entry'], 'before': ticks['entry']}, first


def _ask(e, number, command):
    """As user.User.run(), of the machine itself."""
    e.write(b'%d %s\n' % (number, base64.b64encode(command.encode())))
    return re.search(rf'\[{number}<(.*)>{number}:0\]', _serial(e, rb'>%d:0\]' % number), re.S).group(1)


def _serial(e, pattern, timeout=240):
    deadline = e.clock() + timeout
    while not re.search(pattern, e.serial):
        if (not e.read(0.2) and not e.alive()) or e.clock() > deadline:
            raise RuntimeError(f'no {pattern} from the machine: {bytes(e.serial[-1000:])}')
    return e.serial.decode(errors='replace')


def guest_boot(guest):
    """Boots it, and leaves it up."""
    say(f'{guest.name}: boot')
    guest.start(kernel='/root/entry', cmdline=places.CMDLINE, memory=places.MEMORY)
    guest.attach()
    guest.machine.run(f"until grep -q '====[0-9a-f]\\{{16\\}}' {user.OUT}; do sleep 0.1; done", timeout=300)
    before = entered(guest.machine.out(f'cat {user.OUT}'))
    guest.stop()
    guest.start(cmdline=places.CMDLINE, memory=places.MEMORY, disks=DISKS)
    guest.attach()
    guest.machine.run(user.until_said('GUEST-UP'), timeout=user.BOOT_SECONDS)
    found = guest.exits()
    init = int(guest.run('cat /boot-ticks').output)
    guest.load_drivers()
    if not guest.disk():
        sys.exit(f'{guest.name} has no disk')
    return {'instructions': init - before, 'before': before, 'exits': found}


def single_exits(m):
    """{exit of the user partition: (least, median)} by the guest that only measures."""
    say('user: exits one by one')
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
    found = re.findall(r'^(\S+) min (\d+) median (\d+)', text, re.M)
    return {name: [int(least), int(median)] for name, least, median in found}


def wake(native, service, guest):
    """From a timer of the service to its handler while the guest computes, more than natively."""
    guest.run('(while :; do :; done) >/dev/null 2>&1 & echo $! >/tmp/spin')
    latency = kernel_rows(service)['timer-idle'][0] - native['timer-idle']
    return latency


def shares(m, small):
    """(greatest error of the small side's share over a second in percentage points, its longest wait in µs)"""
    text = m.run(f'{small} bench -w {SECONDS}', timeout=1200).output
    found = [(int(permille), int(us)) for permille, us in re.findall(r'^second (\d+) permille (\d+) us', text, re.M)]
    return max(abs(p / 10 - SMALL) for p, _ in found), max(us for _, us in found)


def note_shares(figures, name, found):
    error, wait = found
    figures['other'][f'{name}, {100 - SMALL}/{SMALL}, both computing: error of the share in a second, points'] = round(error, 1)
    figures['other'][f'{name}, {100 - SMALL}/{SMALL}, both computing: longest wait of the small side, us'] = wait


def switch_cost(m):
    """Instructions of the monitor per world switch while the user computes and the service wakes up."""
    before = avmm.user_stats(m)
    m.run('for i in $(seq 200); do usleep 1000; done', timeout=300)
    after = avmm.user_stats(m)
    switches = after['counters']['switches'] - before['counters']['switches']
    return round((after['time_monitor'] - before['time_monitor']) / 2 / switches, 1)


def image_text(version):
    elf = paths.BUILD / version / 'source/monitor.elf'
    found = subprocess.run(['nm', elf], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(r'(\S+) A image_text_bytes', found).group(1), 16)


# -- all

def take_kvm(m, o, figures):
    native = figures['instructions']['native']
    guest = places.Kvm(m, o.kernel)
    guest.load()
    guest.count_exits(True)
    figures['boot']['kvm'] = guest_boot(guest)
    guest.count_exits(False)
    say('kvm: instructions')
    figures['instructions']['kvm'], figures['least']['kvm'] = instructions(guest)
    if not o.no_exits:
        say('kvm: exits')
        guest.count_exits(True)
        figures['exits']['kvm'] = exits(guest, figures['instructions']['kvm'])
        guest.count_exits(False)
    keep(figures)
    figures['other']['interrupt of the host while a guest of KVM computes, until its handler'] = \
        wake(native, places.Native(m), guest)
    if not o.no_exits:
        say('kvm: shares')
        m.run(CGROUPS)
        found = shares(m, 'echo $$ >/sys/fs/cgroup/small/cgroup.procs;')
        note_shares(figures, 'host and guest of KVM by cgroup weights', found)
    guest.stop()
    m.run('rmmod kvm_intel')


def take_user(m, o, figures):
    native = figures['instructions']['native']
    figures['single'] = single_exits(m)
    guest = places.UserPartition(m, o.kernel)
    figures['boot']['user'] = guest_boot(guest)
    take(figures, guest, o)
    figures['other']['interrupt of the service while the user computes, until its handler'] = \
        wake(native, places.Service(m), guest)
    figures['other']['world switch one way, with the scheduler'] = switch_cost(m)
    if not o.no_exits:
        say('user: shares')
        note_shares(figures, 'service and user', shares(m, ''))
    guest.run('kill $(cat /tmp/spin)')
    guest.stop()


def run(o, files, root):
    version = paths.kernel_version(o.kernel)
    wanted = o.places.split(',')
    figures = {'about': about(o), **{k: {} for k in ('instructions', 'least', 'exits', 'boot', 'single', 'other')}}
    first = {}
    if not o.no_boot:
        figures['boot']['native'], first = native_boot(o, files)
    with Machine(name='bench', payload=root, kernel=o.kernel, model=o.model, **MACHINE).start() as m:
        m.run('modprobe brd rd_nr=2 rd_size=16384')
        take(figures, places.Native(m), o)
        for row, (median, least) in first.items():
            figures['instructions']['native'][row], figures['least']['native'][row] = median, least
        if 'kvm' in wanted:
            take_kvm(m, o, figures)
        if 'service' in wanted or 'user' in wanted:
            avmm.launch(m)
            take(figures, places.Service(m), o)
        if 'user' in wanted:
            take_user(m, o, figures)
    figures['boot'] = {p: figures['boot'][p] for p in table.PLACES if p in figures['boot']}
    figures['other']['text of the monitor, bytes'] = image_text(version)
    return figures


def about(o):
    git = ['git', 'describe', '--always', '--dirty', '--abbrev=12']
    commit = subprocess.run(git, cwd=paths.TOP, stdout=subprocess.PIPE, text=True).stdout.strip()
    qemu = subprocess.run([places.QEMU, '--version'], stdout=subprocess.PIPE, text=True).stdout.splitlines()[0]
    return {'command': 'make bench' + (f' KERNEL={o.kernel}' if o.kernel != FIRST_KERNEL else ''), 'commit': commit,
            'kernel': f'{paths.kernel_version(o.kernel)} in all places, mitigations=off',
            'machine': f'Bochs 3.0, {o.model}, 1 CPU, {MACHINE["mem"]} MiB; 1 tick of the TSC is 1 instruction (checked)',
            'KVM': f"{qemu}, -cpu host, EPT, the kernel's own KVM"}


def build(o):
    """(files of the guests, payload)"""
    home = paths.LOGS / 'bench.files'
    home.mkdir(parents=True, exist_ok=True)
    module = paths.BUILD / paths.kernel_version(o.kernel) / 'bench/avmm_bench.ko'
    program = paths.BUILD / 'tests/bench/bench'
    files = {name: file for name, file in user.files(o.kernel) if name in ('/root/vmlinuz', '/root/initrd')}
    files['/root/initrd'] = places.initrd(o.kernel, module, program, home)
    files['/root/entry'] = places.padded(paths.BUILD / 'tests/entry.bzimage', files['/root/vmlinuz'], home / 'entry')
    extra = [*files.items(), ('/root/avmm_bench.ko', module), ('/root/exits', paths.BUILD / 'tests/exits.bzimage'),
             ('/usr/local/bin/bench', program), ('/root/qemu.tgz', places.qemu_archive(home))]
    return files, payload.build(o.kernel, paths.LOGS / 'bench.payload', extra=extra, tests=False)


def save(figures, costs, out):
    RESULTS.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + '\n')
    out.with_suffix('.txt').write_text(table.text(figures, costs))
    if out.stem != 'bench':
        return
    for name, (title, rows, relative) in table.CHARTS.items():
        (DOCS / name).write_text(table.bars(title, figures, rows, relative))
    page = DOCS / 'performance.md'
    marked = re.sub(r'(<!-- bench -->\n).*?(<!-- end -->)', lambda m: m.group(1) + table.markdown(figures, costs) + m.group(2),
                    page.read_text(), flags=re.S)
    page.write_text(marked)


def main():
    o = options()
    costs = json.loads(o.costs.read_text())
    if o.compare:
        old, new = (json.loads(f.read_text()) for f in o.compare)
        found = table.moved(old, new)
        print(table.moved_text(found), end='')
        return 1 if found else 0
    figures = run(o, *build(o))
    out = RESULTS / ('bench.json' if o.kernel == FIRST_KERNEL else f'bench-{o.kernel}.json')
    keep(figures)
    print(json.dumps(figures, indent=1) if o.json else table.text(figures, costs))
    if out.exists():
        print(table.moved_text(table.moved(json.loads(out.read_text()), figures)), file=sys.stderr if o.json else sys.stdout)
    if o.save:
        save(figures, costs, out)
    say('done')
    return 0


sys.exit(main())
