#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""make check and make soak: run the parts one after the other, count what passed, compare the time with the budget.

check.py            all parts; the last line is "N passed, N failed", and the status is 0 only if none failed
check.py PART...    these parts, after the set-up and the builds that they need
check.py --soak [PART...]   the long parts, the least recently run first; results go to tests/soak/PART.txt
"""

import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
OUT = TOP / 'build' / 'check'
LAB = TOP / 'tests' / 'lab'
SOAK = TOP / 'tests' / 'soak'
PYTHON = '/usr/bin/python3'     # the distribution's, which has its pytest
GOAL, LIMIT = 50, 65            # minutes for all
SOAK_MINUTES = 30
ROOM = 6                        # GiB of disk that a fresh clone needs for all

# name: (minutes, lab tests as globs). A part whose tests are not written yet is left out.
LAB_PARTS = {
    'launch': (8, ['test_launch*.py']),
    'user': (8, ['test_user*.py']),
    'disk': (8, ['test_disk*.py']),
    'cpus': (5, ['test_cpus*.py']),
    'devices': (5, ['test_devices*.py']),
    'netboot': (4, ['test_netboot*.py']),
}
MONITOR = ('monitor/*.c', 'vmx/root/*.c', 'ept-shadow/*.c', 'vdev/*.c', 'disguise/front/*.c')
MINUTES = {'setup': 8, 'unit': 3, 'static': 1, **{name: part[0] for name, part in LAB_PARTS.items()}}


class Count:
    def __init__(self, passed=0, failed=0):
        self.passed = passed
        self.failed = failed

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        return self

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed)

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed'


def run(command, show=True, **kwargs):
    """(status, output) of COMMAND, shown as it comes or only when it failed."""
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors='replace', **kwargs)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if show:
            print(line, end='', flush=True)
    status = process.wait()
    if status and not show:
        print(''.join(lines[-60:]), flush=True)
    return status, ''.join(lines)


def one(name, command, forbidden=None):
    """A check that is one command; FORBIDDEN must not be in what it says."""
    begin = time.monotonic()
    status, output = run(command, show=False)
    if not status and forbidden and re.search(forbidden, output, re.M):
        print(output)
        status = 1
    print(f'{"FAIL" if status else "ok":5} {name} ({time.monotonic() - begin:.0f} s)', flush=True)
    return Count(0, 1) if status else Count(1, 0)


def series():
    for name in ('6.1', '6.12'):
        yield (TOP / 'build/cache/kernels' / name / 'version').read_text().strip()


def files(*patterns):
    out = subprocess.run(['git', 'ls-files', '--cached', '--others', '--exclude-standard', *patterns], cwd=TOP,
                         stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return [f for f in out if (TOP / f).exists()]


# -- parts

def setup():
    return Count(*((0, 1) if run(['bash', 'scripts/setup.sh'])[0] else (1, 0)))


def build():
    """Both kernels, release and debug, without a warning."""
    count = Count()
    warning = r'\bwarning:|\bWARNING:'
    for version in series():
        kdir = f'KDIR=/usr/src/linux-headers-{version}'
        for debug in ([], ['DEBUG=1']):
            name = f'avmm.ko for {version}{" debug" if debug else ""}'
            count += one(name, ['make', '-j2', 'module', kdir, *debug], warning)
        if files('tests/lab/modules/*.c'):
            count += one(f'test modules for {version}', ['make', '-j2', 'test-modules', kdir], warning)
    count += one('avmmctl', ['make', '-j2', 'avmmctl'], warning)
    if files('tests/lab/programs/*.c'):
        count += one('load programs', ['make', '-j2', '-C', 'tests/lab/programs'], warning)
    return count


def counted(*command):
    """A command that counts by itself."""
    status, output = run(['make', '--no-print-directory', '-C', *command])
    found = re.findall(r'^(\d+) passed, (\d+) failed', output, re.M)
    count = Count(*map(int, found[-1])) if found else Count()
    if status and not count.failed:
        count.failed = 1
    return count


def unit():
    """With all that once was found by fuzzing, and two seconds more of each fuzzer."""
    count = counted('tests/unit', 'check', 'T=')
    return count + counted('tests/fuzz', 'long', 'T=', 'SECONDS=30') + netboot_unit()


def netboot_unit():
    """The server of diskless clients, and the steps of a client: no machine is needed."""
    home = TOP / 'tests/netboot'
    return pytest('unit-netboot', [home], '-q', '-n', '2', home=home) if home.exists() else Count()


def sparse():
    """Kbuild runs it on the module; the monitor is compiled by rules of its own, so here."""
    count = Count()
    for version in series():
        command = ['make', 'module', f'KDIR=/usr/src/linux-headers-{version}', 'C=2']
        count += one(f'sparse, module, {version}', command, r'(warning|error):')
    include = subprocess.run(['gcc', '-print-file-name=include'], stdout=subprocess.PIPE, text=True).stdout.strip()
    flags = ['-m64', '-ffreestanding', '-Wno-unknown-attribute', '-Wno-decl', '-Wno-cast-truncate', '-Iinclude', '-I.',
             '-DAVMM_MONITOR', '-DAVMM_DEBUG', '-isystem', include]
    sources = files(*MONITOR)
    if sources:
        count += one('sparse, monitor', ['sparse', *flags, *sources], r'(warning|error):')
    return count


def cppcheck():
    flags = ['--quiet', '--enable=warning,portability', '--inline-suppr', '--std=c11', '-Iinclude', '-I.',
             '--error-exitcode=1', '--suppressions-list=scripts/cppcheck.txt']
    count = Count()
    for name, extra, patterns in (
            ('monitor', ['-DAVMM_MONITOR', '-DAVMM_DEBUG'], MONITOR),
            ('back halves', [], ('disguise/back/*.c',)),
            ('userspace', ['-Itests/lab/programs'],
             ('userspace-ctl/*.c', 'tests/lab/programs/*.c', 'tests/bench/program/*.c'))):
        sources = files(*patterns)
        if sources:
            count += one(f'cppcheck, {name}', ['cppcheck', *flags, *extra, *sources])
    return count


def static():
    count = sparse()
    count += cppcheck()
    ours = [f for f in files() if Path(f).suffix in ('.c', '.h', '.S', '.sh', '.py', '.mk', '.md') or f == '.ci/run']
    count += one('style', [PYTHON, 'scripts/style.py', *ours])
    count += one('shellcheck', ['shellcheck', *files('*.sh'), '.ci/run'])
    pages = files('*.8', '*.5', '*.1')
    if pages:
        count += one('man pages', ['mandoc', '-T', 'lint', '-W', 'warning', *pages])
    count += one('python', [PYTHON, '-m', 'compileall', '-q', 'scripts', 'tests/lab', 'tests/netboot', 'tests/bench',
                           'userspace-ctl'])
    if files('tests/bench/test_table.py'):
        count += one('table of the benchmark', [PYTHON, 'tests/bench/test_table.py'])
    return count


def pytest(name, tests, *options, home=LAB):
    """Run lab tests, two emulators at a time."""
    report = OUT / f'{name}.xml'
    report.unlink(missing_ok=True)
    env = {**os.environ, 'PYTHONUNBUFFERED': '1', 'PYTHONDONTWRITEBYTECODE': '1'}
    status, _ = run([PYTHON, '-m', 'pytest', '-v', '--tb=short', '-c', str(home / 'pytest.ini'),
                     f'--rootdir={home}', f'--junitxml={report}', *options, *map(str, tests)], env=env)
    count = Count()
    if report.exists():
        for suite in ET.parse(report).getroot().iter('testsuite'):
            total, bad, skipped = (int(suite.get(k, 0)) for k in ('tests', 'failures', 'skipped'))
            bad += int(suite.get('errors', 0))
            count += Count(total - bad - skipped, bad)
    if status and not count.failed:
        count.failed = 1
    return count


def lab_tests(globs):
    return sorted(p for g in globs for p in LAB.glob(g))


def run_part(name):
    if name == 'setup':
        count = setup()
        if not count.failed:
            count += build()
            count += pytest('lab', [LAB / 'test_lab.py'], '-n', '2', '--dist', 'loadscope')
        return count
    if name in ('unit', 'static'):
        return unit() if name == 'unit' else static()
    return pytest(name, lab_tests(LAB_PARTS[name][1]), '-n', '2', '--dist', 'loadscope')


def available():
    names = ['setup']
    names += ['unit'] if (TOP / 'tests/unit/Makefile').exists() else []
    names += ['static']
    return names + [n for n, part in LAB_PARTS.items() if lab_tests(part[1])]


def prepare():
    """For a single part: what the others would have made. The count is of what failed."""
    count = setup()
    if not count.failed:
        count += build()
    return Count(0, count.failed)


def check(wanted):
    have = available()
    for name in wanted:
        if name not in MINUTES:
            sys.exit(f'check: no part {name!r}; there are {" ".join(MINUTES)}')
        if name not in have:
            sys.exit(f'check: part {name!r} has no tests yet')
    total, times = Count(), []
    room = shutil.disk_usage(OUT).free / 2**30
    print(f'{room:.1f} GiB of disk are free for build/' + (f': WARNING: less than {ROOM}' if room < ROOM else ''))
    if wanted and 'setup' not in wanted:
        total += prepare()
    for name in wanted or have:
        print(f'\n== {name}', flush=True)
        begin = time.monotonic()
        count = run_part(name)
        times.append((name, time.monotonic() - begin, count))
        total += count
        if name == 'setup' and count.failed and not wanted and not (TOP / 'build/cache/bochs/key').exists():
            break
    total += summary(times, all_parts=not wanted)
    print(total, flush=True)
    return 1 if total.failed else 0


def summary(times, all_parts):
    print('\n== time')
    for name, seconds, count in times:
        over = '  over its budget' if seconds > 60 * MINUTES[name] else ''
        print(f'{name:10} {seconds / 60:5.1f} min of {MINUTES[name]:2}   {count}{over}')
    minutes = sum(t[1] for t in times) / 60
    late = all_parts and minutes > LIMIT
    print(f'{"all":10} {minutes:5.1f} min; goal {GOAL}, limit {LIMIT}{": FAIL" if late else ""}')
    return Count(0, 1) if late else Count()


# -- soak

def soak_parts():
    out = subprocess.run([PYTHON, '-m', 'pytest', '-c', str(LAB / 'pytest.ini'), f'--rootdir={LAB}', '--soak=list', '-q',
                          '--collect-only', str(LAB)], cwd=TOP, stdout=subprocess.PIPE, text=True).stdout
    return sorted(set(re.findall(r'^soak part (\S+)', out, re.M)))


def last_run(part):
    try:
        return re.search(r'^date: (.*)', (SOAK / f'{part}.txt').read_text(), re.M).group(1)
    except (OSError, AttributeError):
        return ''


def soak_one(part):
    git = ['git', 'rev-parse', '--short=12', 'HEAD']
    commit = subprocess.run(git, cwd=TOP, stdout=subprocess.PIPE, text=True).stdout.strip()
    begin = time.monotonic()
    count = pytest(f'soak-{part}', [LAB], f'--soak={part}', f'--timeout={SOAK_MINUTES * 60}')
    seconds = time.monotonic() - begin
    cases = [f'{c.get("time"):>9} s  {"FAILED" if len(c) and c[0].tag != "skipped" and c[0].tag != "system-out" else "ok":6}'
             f' {c.get("classname").split(".")[-1]}::{c.get("name")}'
             for c in ET.parse(OUT / f'soak-{part}.xml').getroot().iter('testcase')]
    SOAK.mkdir(exist_ok=True)
    (SOAK / f'{part}.txt').write_text(
        f'part: {part}\ncommit: {commit}\ndate: {time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())} UTC\n'
        f'minutes: {seconds / 60:.1f}\nresult: {count}\n\n' + '\n'.join(cases) + '\n')
    return count


def soak(wanted):
    total = prepare()
    if run(['bash', 'scripts/setup.sh', 'soak'])[0]:
        total += Count(0, 1)
    parts = soak_parts()
    unknown = set(wanted) - set(parts)
    if unknown:
        sys.exit(f'soak: no part {" ".join(unknown)}; there are {" ".join(parts)}')
    for part in wanted or sorted(parts, key=last_run):
        print(f'\n== soak {part} (last run: {last_run(part) or "never"})', flush=True)
        total += soak_one(part)
    print(total)
    return 1 if total.failed else 0


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    args = sys.argv[1:]
    if args and args[0] == '--soak':
        return soak(args[1:])
    return check(args)


sys.exit(main())
