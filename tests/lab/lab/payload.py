# SPDX-License-Identifier: GPL-2.0
"""What a machine gets to test: the module, avmmctl, test modules and load programs, and files that a test names."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import paths


def program(source, root, *dests):
    """Copy a dynamic program with the libraries that it needs to each of DESTS under ROOT."""
    libraries = subprocess.run(['ldd', source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for lib in re.findall(r'(/\S+) \(0x', libraries):
        out = root / lib.lstrip('/')
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(lib, out)
    for dest in dests:
        out = root / dest.lstrip('/')
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        shutil.copy(source, out)


def _module(source, dest):
    dest.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(['strip', '-g', '-o', dest, source], check=True)


def guest_program(name):
    """Compile guest/NAME.c to a static program, once per content."""
    source = paths.GUEST / f'{name}.c'
    out = paths.IMAGES / f'{name}-{paths.key(paths.content(source))}'
    if not out.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        tmp = out.with_suffix(f'.{os.getpid()}')
        subprocess.run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-s', '-o', tmp, source], check=True)
        tmp.rename(out)
    return out


def build(series, root, debug=False, extra=(), tests=True):
    """Fill ROOT for a kernel series; DEBUG: /root/avmm.ko is the debug build. EXTRA: (guest path, file) pairs. Not TESTS:
    without debug build, test modules and load programs.
    """
    root = Path(root)
    shutil.rmtree(root, ignore_errors=True)
    (root / 'root').mkdir(parents=True)
    version = paths.kernel_version(series)
    release, checked = paths.BUILD / version, paths.BUILD / f'{version}-debug'
    for source, dest in ((checked if debug else release, 'root'), (checked, 'root/debug')):
        if (source / 'avmm.ko').exists() and (tests or dest == 'root'):
            _module(source / 'avmm.ko', root / dest / 'avmm.ko')
    for source in sorted((release / 'tests').glob('*.ko')) if tests else ():
        _module(source, root / 'root/tests' / source.name)
    if (paths.BUILD / 'avmmctl').exists():
        program(paths.BUILD / 'avmmctl', root, '/usr/bin/avmmctl')
    for source in sorted((paths.BUILD / 'tests/bin').glob('*')) if tests else ():
        if source.is_file():
            program(source, root, f'/usr/local/bin/{source.name}')
    for dest, source in extra:
        program(source, root, dest)
    return root
