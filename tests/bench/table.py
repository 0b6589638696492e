# SPDX-License-Identifier: GPL-2.0
"""What is made of the benchmark's figures: the table, modelled cycles, what moved since the saved ones, bar charts.

Figures are a dictionary, as it is saved:

    about           {what: text}
    instructions    {place: {row: median, instructions per operation}}
    least           {place: {row: least of all samples}}
    exits           {place: {row: {reason: per operation}}}
    boot            {place: {'instructions': n, 'exits': {reason: n}}}
    single          {exit of the user partition: [least, median]}
    other           {figure: number}
"""

PLACES = ('native', 'service', 'user', 'kvm')
TITLES = {'native': 'native', 'service': 'service', 'user': 'user', 'kvm': 'KVM'}

# (group, {row: what an operation is})
GROUPS = (
    ('Nanobenchmarks', {
        'syscall': 'getppid()', 'in': 'IN from port 80h', 'cr8wr': 'MOV to CR8', 'call': 'call and return',
        'pgfault': 'fault on a forbidden page, SIGSEGV handled', 'divzero': 'division by zero, SIGFPE handled',
        'ptemod': 'page table entry written, INVLPG', 'mprotect': 'mprotect() of a page in use'}),
    ('Memory and processes', {
        'fault-recycled': 'page fault, memory used before', 'fault-first': 'page fault, first use of the memory',
        'fault-file': 'page fault, file in the page cache', 'switch': 'two context switches, by pipes',
        'fork': 'fork, exit, wait', 'exec': 'fork, exec, exit, wait'}),
    ('Exits', {
        'cpuid': 'CPUID', 'port': 'IN from the ACPI timer', 'hpet': 'HPET counter read', 'nmi': 'NMI to oneself',
        'vmcall': 'hypercall of the service'}),
    ('Time', {
        'timer': "the CPU's timer set again", 'timer-set': 'timerfd set or stopped',
        'timer-wait': 'timerfd set to 0.2 ms and waited for, busy part', 'sleep': 'sleep of 1 ms, busy part',
        'timer-busy': 'from a timer to its handler, CPU busy', 'timer-idle': 'from a timer to its handler, CPU idle'}),
    ('Disk (IDE), busy part', {
        'disk-read-4k': '4 KiB read', 'disk-read-64k': '64 KiB read', 'disk-write-4k': '4 KiB written',
        'disk-write-64k': '64 KiB written'}),
    ('Disk (virtio), busy part', {
        'virtio-read-4k': '4 KiB read', 'virtio-read-64k': '64 KiB read', 'virtio-write-4k': '4 KiB written',
        'virtio-write-64k': '64 KiB written'}),
    ('Memory streams', {
        'mem-read-1k': '1 KiB read', 'mem-write-1k': '1 KiB written', 'mem-copy-1k': '1 KiB copied'}),
    ('Arithmetic', {f'{t}-{o}': f'{t} {o}' for t in ('int', 'int64', 'float', 'double')
                    for o in ('add', 'mul', 'div', 'mod') if t.startswith('int') or o != 'mod'}),
)
ABOUT = {row: about for _, rows in GROUPS for row, about in rows.items()}

# The issue's, for the user partition: at most so many instructions, or so many times native's.
GOALS = {'cpuid': 110, 'port': 200, 'hpet': 400, 'sleep': 8000, 'disk-read-4k': 60000}
RATIO_GOALS = {'fault-recycled': 1.001, 'fault-first': 1.001, 'exec': 1.015,
               **{row: 1.01 for row in ('syscall', 'call', 'pgfault', 'divzero', 'ptemod', 'mprotect', 'fault-file', 'switch',
                                        *GROUPS[-2][1], *GROUPS[-1][1])}}

MOVED, MOVED_LEAST = 0.02, 0.6      # what counts as moved: more than 2 %, and more than rounding
MOVED_EXITS = 0.05                  # exits per operation


def modelled(instructions, exits, costs):
    """Cycles: INSTRUCTIONS, and what each exit costs a CPU besides."""
    each = costs['exits']
    return instructions * costs['cycles per instruction'] + sum(n * each.get(reason, each['any other'])
                                                                for reason, n in (exits or {}).items())


def number(value):
    if value is None:
        return ''
    return f'{value:,.2f}' if abs(value) < 10 else f'{value:,.1f}' if abs(value) < 100 else f'{value:,.0f}'


def _exits(figures, place, row):
    found = figures['exits'].get(place, {}).get(row)
    return None if found is None else sum(found.values())


def goal(row, figures):
    """(text, reached or None) of ROW's goal."""
    value, native = (figures['instructions'].get(p, {}).get(row) for p in ('user', 'native'))
    if row in GOALS:
        return f'{GOALS[row]:,}', None if value is None else value <= GOALS[row]
    if row in RATIO_GOALS:
        # Rounding must not decide: both are medians of whole ticks.
        return f'{RATIO_GOALS[row]} x', None if None in (value, native) else value <= native * RATIO_GOALS[row] + 0.5
    return '', None


def rows(figures, costs):
    """[(group, [(row, {place: instructions}, {place: exits}, {place: cycles}, goal, reached)])], without empty ones."""
    out = []
    for group, names in GROUPS:
        found = []
        for row in names:
            counts = {p: figures['instructions'].get(p, {}).get(row) for p in PLACES}
            if all(v is None for v in counts.values()):
                continue
            exits = {p: _exits(figures, p, row) for p in PLACES}
            cycles = {p: None if v is None else modelled(v, figures['exits'].get(p, {}).get(row), costs)
                      for p, v in counts.items()}
            found.append((row, counts, exits, cycles, *goal(row, figures)))
        if found:
            out.append((group, found))
    return out


def _cells(row, counts, exits, cycles, text, reached):
    mark = '' if reached is None else ' ok' if reached else ' MISSED'
    return [row, *(number(counts[p]) for p in PLACES), *(number(exits[p]) for p in PLACES[1:]),
            *(number(cycles[p]) for p in ('user', 'kvm')), text + mark]


HEAD = ['', *(TITLES[p] for p in PLACES), 'exits: service', 'user', 'KVM', 'cycles: user', 'KVM', 'goal for user']


def text(figures, costs):
    """The table as it is printed."""
    lines = [f'{what}: {value}' for what, value in figures['about'].items()]
    width = (16, *(11,) * 4, 15, 8, 8, 13, 11, 16)

    def line(cells):
        return ''.join(f'{c:<{w}}' if i == 0 else f'{c:>{w}}' for i, (c, w) in enumerate(zip(cells, width))).rstrip()

    lines += ['', 'Instructions per operation, median; exits per operation; modelled cycles per operation.', line(HEAD)]
    for group, found in rows(figures, costs):
        lines += ['', group]
        lines += [f'{line(_cells(*r))}' for r in found]
    lines += ['', *_boot(figures), '', *(f'{name:62} {number(value):>12}' for name, value in figures['other'].items())]
    if figures['single']:
        lines += ['', 'Exits of the user partition, one by one (guest without an operating system): least and median']
        lines += [f'{name:30} {number(least):>10} {number(median):>10}' for name, (least, median) in figures['single'].items()]
    return '\n'.join(lines) + '\n'


def _boot(figures):
    lines = [f'{"Boot of the stock kernel":30} ' + ''.join(f'{TITLES[p]:>16}' for p in PLACES if p in figures['boot'])]
    for what, key in (('kernel to init, instructions', 'instructions'), ('before the kernel, instructions', 'before')):
        lines.append(f'{what:30} ' + ''.join(f'{number(b.get(key)):>16}' for b in figures['boot'].values()))
    reasons = sorted({r for b in figures['boot'].values() for r, n in b.get('exits', {}).items() if n},
                     key=lambda r: -max(b.get('exits', {}).get(r, 0) for b in figures['boot'].values()))
    all_exits = [sum(b['exits'].values()) if 'exits' in b else None for b in figures['boot'].values()]
    lines.append(f'{"exits until it waits at its shell":30} ' + ''.join(f'{number(n):>16}' for n in all_exits))
    for reason in reasons:
        counts = (b.get('exits', {}).get(reason) for b in figures['boot'].values())
        lines.append(f'  {reason:28} ' + ''.join(f'{number(n):>16}' for n in counts))
    return lines


def markdown(figures, costs):
    """The table as documentation has it."""
    lines = ['| | ' + ' | '.join(HEAD[1:]) + ' |', '|---' * len(HEAD) + '|']
    for group, found in rows(figures, costs):
        if group == 'Arithmetic' and _all_equal(found):
            lines.append(f'| {group}, {len(found)} rows | the same in all places |' + ' |' * (len(HEAD) - 2))
            continue
        lines.append(f'| **{group}** |' + ' |' * (len(HEAD) - 1))
        for r in found:
            cells = _cells(*r)
            cells[0] = f'{cells[0]}: {ABOUT[r[0]]}'
            cells[-1] = cells[-1].replace(' MISSED', ', **missed**').replace(' ok', ', reached')
            lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def _all_equal(found):
    return all(abs(v - counts['native']) <= 0.01 * counts['native'] for _, counts, *_ in found for v in counts.values()
               if v is not None and counts['native'])


def _flat(figures):
    """{name of a figure: (number, least difference that counts)}"""
    out = {}
    for place, found in figures['instructions'].items():
        out.update({f'{place} {row}': (value, MOVED_LEAST) for row, value in found.items()})
    for place in figures['exits']:
        out.update({f'{place} {row}, exits': (_exits(figures, place, row), MOVED_EXITS) for row in figures['exits'][place]})
    for place, found in figures['boot'].items():
        if found.get('instructions'):
            out[f'{place} kernel to init'] = (found['instructions'], MOVED_LEAST)
        if 'exits' in found:
            out[f'{place} boot, exits'] = (sum(found['exits'].values()), MOVED_LEAST)
    out.update({f'single {name}': (median, MOVED_LEAST) for name, (_, median) in figures['single'].items()})
    out.update({name: (value, MOVED_LEAST) for name, value in figures['other'].items()})
    return out


def moved(old, new, share=MOVED):
    """[(figure, old, new)] of those that moved by more than SHARE, or are there only once (None)."""
    before, after = _flat(old), _flat(new)
    out = []
    for name in sorted({*before, *after}):
        (a, least), (b, _) = before.get(name, (None, 0)), after.get(name, (None, 0))
        if a is None or b is None:
            out.append((name, a, b))
        elif abs(b - a) > max(least, share * abs(a)):
            out.append((name, a, b))
    return out


def moved_text(found, share=MOVED):
    if not found:
        return f'no figure moved by more than {share:.0%}\n'
    lines = [f'{len(found)} figures moved by more than {share:.0%}:']
    for name, a, b in found:
        change = f'{(b - a) / a:+.1%}' if a and b is not None else 'new' if a is None else 'gone' if b is None else ''
        lines.append(f'{name:44} {number(a):>14} {number(b):>14} {change:>9}')
    return '\n'.join(lines) + '\n'


COLOURS = {'native': '#8c8c8c', 'service': '#4c9f70', 'user': '#2f6db3', 'kvm': '#d1793b'}
BAR, GAP, LEFT, WIDE = 11, 12, 130, 460


def bars(title, figures, names, relative):
    """An SVG bar chart of the rows NAMES: instructions, or RELATIVE to native; longer bars than the scale are cut."""
    places = PLACES[1:] if relative else ('user', 'kvm')
    values = {}
    for row in names:
        counts = {p: figures['instructions'].get(p, {}).get(row) for p in PLACES}
        base = counts['native'] if relative else 1
        if base and all(counts[p] is not None for p in places):
            values[row] = {p: counts[p] / base for p in places}
    top = 2.0 if relative else max([v for found in values.values() for v in found.values()], default=1)
    height = 64 + len(values) * (BAR * len(places) + GAP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDE + 90}" height="{height}" font-family="sans-serif" '
           'font-size="11">', '<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="10" y="18" font-size="13" font-weight="bold">{title}</text>']
    for i, p in enumerate(places):
        out.append(f'<rect x="{LEFT + i * 90}" y="28" width="10" height="10" fill="{COLOURS[p]}"/>'
                   f'<text x="{LEFT + i * 90 + 15}" y="37">{TITLES[p]}</text>')
    y = 50
    for row, found in values.items():
        out.append(f'<text x="{LEFT - 8}" y="{y + BAR * len(places) / 2 + 4:.0f}" text-anchor="end">{row}</text>')
        for p in places:
            length = min(found[p] / top, 1) * WIDE
            label = f'{found[p]:.3f}' if relative else number(found[p])
            out.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS[p]}"/>'
                       f'<text x="{LEFT + length + 4:.1f}" y="{y + BAR - 3}" font-size="9">{label}</text>')
            y += BAR
        y += GAP
    if relative:
        x = LEFT + WIDE / top
        out.append(f'<line x1="{x}" y1="44" x2="{x}" y2="{y}" stroke="#000000" stroke-dasharray="3,3"/>')
    return '\n'.join([*out, '</svg>']) + '\n'


CHARTS = {
    'bench-relative.svg': ('Instructions per operation, relative to native (cut at 2)',
                           ('syscall', 'pgfault', 'divzero', 'mprotect', 'fault-recycled', 'fault-first', 'fault-file',
                            'switch', 'fork', 'exec', 'sleep', 'mem-copy-1k'), True),
    'bench-exits.svg': ('Instructions per operation, where a guest has exits',
                        ('cpuid', 'port', 'hpet', 'timer', 'timer-idle', 'sleep'), False),
}
