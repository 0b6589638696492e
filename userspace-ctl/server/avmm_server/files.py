# SPDX-License-Identifier: GPL-2.0-only
"""Files that others read meanwhile: they change at once or not at all."""

import os
import tempfile
from pathlib import Path


def write(path, text, mode=0o644):
    """Put TEXT in PATH's place. Returns whether that changed anything."""
    path = Path(path)
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    with os.fdopen(fd, 'w') as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.chmod(temporary, mode)
    os.rename(temporary, path)
    return True
