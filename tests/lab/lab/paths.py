# SPDX-License-Identifier: GPL-2.0
"""Where things are, and content keys."""

import hashlib
import os
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
BUILD = TOP / 'build'
CACHE = BUILD / 'cache'
BOCHS = CACHE / 'bochs' / 'bin' / 'bochs'
KERNELS = CACHE / 'kernels'
IMAGES = CACHE / 'images'
CHECKPOINTS = CACHE / 'checkpoints'
LOGS = BUILD / 'lab-logs'
GUEST = Path(__file__).resolve().parent / 'guest'


def key(*parts):
    """A short name for everything that went into PARTS."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def content(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def kernel_version(series):
    """'6.1' -> '6.1.0-NN-amd64', as scripts/setup.sh unpacked it."""
    return (KERNELS / series / 'version').read_text().strip()


def replace_dir(tmp, final):
    """Put a finished directory in place at once; who comes second keeps the first one's."""
    try:
        os.rename(tmp, final)
    except OSError:
        if not final.exists():
            raise
