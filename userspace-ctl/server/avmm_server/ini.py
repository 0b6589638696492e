# SPDX-License-Identifier: GPL-2.0-only
"""The INI file: read strictly, each value with its place; changed line by line, so that comments stay."""

import re

from . import Problem


class Fault(Problem):
    """What is wrong in line LINE of FILE."""

    def __init__(self, file, line, text):
        super().__init__(f'{file}:{line}: {text}')


class Value(str):
    """A string that knows where it was written."""
    file = ''
    line = 0

    def fault(self, text):
        return Fault(self.file, self.line, text)


class Section:
    def __init__(self, file, line, kind, name):
        self.file = file
        self.line = line
        self.kind = kind        # 'client' of [client ada]
        self.name = name        # 'ada', or None
        self.values = {}

    def title(self):
        return f'[{self.kind} {self.name}]' if self.name else f'[{self.kind}]'

    def fault(self, text):
        return Fault(self.file, self.line, text)


def _value(file, line, text):
    value = Value(re.sub(r'\s+[;#].*$', '', text).strip())
    value.file, value.line = file, line
    return value


def _open_section(file, number, text, sections):
    match = re.fullmatch(r'\[\s*([a-z]+)(?:\s+([^\]\s]+))?\s*\]\s*(?:[;#].*)?', text)
    if not match:
        raise Fault(file, number, f'not a section: {text!r}; expected [name] or [client NAME]')
    section = Section(file, number, *match.groups())
    for other in sections:
        if (other.kind, other.name) == (section.kind, section.name):
            raise Fault(file, number, f'{section.title()} is there already, in line {other.line}')
    return section


def parse(text, file):
    """The sections of TEXT, in order. Nothing is passed over but empty lines and comments."""
    sections = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in ';#':
            continue
        if stripped.startswith('['):
            sections.append(_open_section(file, number, stripped, sections))
            continue
        match = re.fullmatch(r'([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)', stripped)
        if not match:
            raise Fault(file, number, f'not "key = value": {stripped!r}')
        if not sections:
            raise Fault(file, number, 'a key before the first section')
        key, value = match.group(1), _value(file, number, match.group(2))
        values = sections[-1].values
        if key in values:
            raise Fault(file, number, f'{key} is given twice, first in line {values[key].line}')
        if not value:
            raise Fault(file, number, f'{key} has no value')
        values[key] = value
    return sections


def set_value(text, section, key, value):
    """TEXT with KEY of SECTION (as parse() found it) set to VALUE, or removed if VALUE is None."""
    lines = text.splitlines()
    old = section.values.get(key)
    if value is None:
        if old is not None:
            del lines[old.line - 1]
    elif old is not None:
        indent = re.match(r'\s*', lines[old.line - 1]).group()
        comment = re.search(r'\s+[;#].*$', lines[old.line - 1])
        lines[old.line - 1] = f'{indent}{key} = {value}{comment.group() if comment else ""}'
    else:
        last = max([section.line, *(v.line for v in section.values.values())])
        lines.insert(last, f'{key} = {value}')
    return '\n'.join(lines) + '\n'


def append_section(text, title, values):
    lines = [f'[{title}]', *(f'{k} = {v}' for k, v in values.items() if v is not None)]
    return text.rstrip('\n') + '\n\n' + '\n'.join(lines) + '\n'
