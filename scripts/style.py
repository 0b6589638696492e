#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""style.py FILE...: rules of this repository that no other tool checks. A line per fault; status 1 if there are any."""

import re
import sys
from pathlib import Path

MAX_LINE = 128       # written at 120; a word may stick out
MAX_FUNCTION = 60
SOURCES = {'.c', '.h', '.S', '.sh', '.py', '.mk'}
C = {'.c', '.h'}


def line_faults(path, lines):
    for n, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield n, 'space at the end of the line'
        if len(line.expandtabs(8)) > MAX_LINE and path.suffix in SOURCES:
            yield n, f'longer than {MAX_LINE} columns'
        if path.suffix in C | {'.S'} and re.match(r' {8}|\t* {8}', line) and not re.match(r'\s*\*', line):
            yield n, 'spaces where a tab belongs'
        if path.suffix in C and n > 1 and re.match(r'\s*//', line):
            yield n, 'a // comment'


def function_faults(lines):
    """Functions by their braces in the first column."""
    begin = None
    for n, line in enumerate(lines, 1):
        if line == '{':
            begin = n
        elif line == '}' and begin:
            if n - begin - 1 > MAX_FUNCTION:
                yield begin, f'a function of {n - begin - 1} lines, {MAX_FUNCTION} are allowed'
            begin = None


def faults(path):
    text = path.read_text(errors='replace')
    lines = text.split('\n')
    if path.suffix in SOURCES and not any('SPDX-License-Identifier:' in line for line in lines[:3]):
        yield 1, 'no SPDX line'
    if text and not text.endswith('\n'):
        yield len(lines), 'no newline at the end'
    if text.endswith('\n\n'):
        yield len(lines), 'an empty line at the end'
    yield from line_faults(path, lines)
    if path.suffix == '.c':
        yield from function_faults(lines)


def main():
    found = [f'{name}:{n}: {what}' for name in sys.argv[1:] for n, what in faults(Path(name))]
    print('\n'.join(found), end='\n' if found else '')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
