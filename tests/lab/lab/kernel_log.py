# SPDX-License-Identifier: GPL-2.0
"""The guest kernel's log: what in it is a warning, and what a failed test shows of it."""

import re

SUSPECT = re.compile(r'WARNING:|BUG:|Oops|Call Trace|[Ss]tall|lockup|unstable|hrtimer: interrupt took|'
                     r'perf: interrupt took too long|NMI handler .* took too long|Uhhuh|Dazed|clocksource: .*skew|'
                     r'hung_task|blocked for more than|rcu: .*detected|scheduling while atomic|'
                     r'NETDEV WATCHDOG|ata\d.*(exception|failed|timeout)|[Mm]achine [Cc]heck|mce:|'
                     r'TSC .*(warp|ADJUST)|Bad page|kernel NULL pointer|general protection|segfault')
# The module itself is out of tree and unsigned, which is said once per boot. A CPU that goes off takes the affinity of
# processes with it, with or without AVMM. Under the lab's loads the timer interrupt takes a while on the emulated
# machine: 91 us were seen without AVMM on 2 CPUs; a millisecond and more is a warning. The emulator's local APIC takes fixed
# interrupts while it is software-disabled, as that of a CPU that is off: so the call-function IPI (FCh) that Linux
# broadcasts waits there, if INIT exits instead of resetting the APIC (docs/lab-notes.md).
EXPECTED = re.compile(r'loading out-of-tree module taints kernel|'
                      r'module verification failed: signature and/or required key missing|'
                      r'process \d+ \(.*\) no longer affine to cpu\d+|'
                      r'APIC: Stale IRR: 10000000(,0{8}){7} ISR: 0{8}(,0{8}){7}$|'
                      r'hrtimer: interrupt took \d{1,6} ns$')


def _strip(line):
    """Without level, time and numbers that differ between two boots."""
    line = re.sub(r'^<\d+>', '', line)
    line = re.sub(r'^\[ *\d+\.\d+\] ?(\[ *[CT]\d+\] ?)?', '', line)
    return re.sub(r'0x[0-9a-f]+|\d+', '#', line)


def warnings(machine):
    """Lines of level warning and worse, and suspect ones of any level, in order."""
    lines = machine.run('dmesg -r').output.splitlines()
    found = []
    for line in lines:
        level = re.match(r'<(\d+)>', line)
        text = re.sub(r'^<\d+>', '', line)
        if EXPECTED.search(line):
            continue
        if (level and int(level.group(1)) & 7 <= 4) or SUSPECT.search(text):
            found.append(text)
    return found


def new_warnings(machine, before):
    """Warnings that are not, but for numbers, in BEFORE (taken on this machine or on one without AVMM)."""
    known = {_strip(line) for line in before}
    return [line for line in warnings(machine) if _strip(line) not in known]


def failure_report(machine):
    """The last words of a machine; its kernel log and the monitor's log too when it still answers."""
    parts = [machine.last_words()]
    if machine.emulator and machine.emulator.alive() and not machine.broken:
        for command in ('dmesg | tail -n 40', 'avmmctl log | tail -n 60', 'avmmctl stats'):
            try:
                parts.append(f'-- {command}\n{machine.run(command, timeout=20, check=False).output}')
            except Exception as e:      # the report must come whatever the machine does
                parts.append(f'-- {command}: {e}')
                break
    return '\n'.join(parts)
