# SPDX-License-Identifier: GPL-2.0-only
"""The store of images: DIRECTORY/images/NAME/VERSION, each version never changed once it is there.

A version has a `manifest.json` (kind, date, sizes and SHA-256 of its files) and
  kind `linux`: vmlinuz and initrd.img, fetched by HTTP: a service image, or what a user partition boots directly
  kind `disk`:  disk.img, exported read-only by NBD
NAME/history lists which versions were `current`, the last line is; NAME/last is the highest number ever given.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from . import Problem, config, files

LINUX = ('vmlinuz', 'initrd.img')
DISK = 'disk.img'


def _copy(source, dest):
    """Copy, holes stay holes; the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with open(source, 'rb') as src, open(dest, 'wb') as out:
        while block := src.read(1 << 20):
            digest.update(block)
            if block.count(0) == len(block):
                out.seek(len(block), os.SEEK_CUR)
            else:
                out.write(block)
        out.truncate()
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_by(path):
    """Process numbers of those who have PATH open, as nbd-server has while a client uses it."""
    users = []
    wanted = os.stat(path)
    for process in Path('/proc').glob('[0-9]*'):
        try:
            for fd in (process / 'fd').iterdir():
                found = os.stat(fd)
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    users.append(int(process.name))
                    break
        except OSError:
            continue        # it ended, or is not ours to look at
    return sorted(users)


class Store:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.root = self.directory / 'images'

    @contextmanager
    def locked(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / '.lock', 'w') as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield

    # -- looking

    def names(self):
        return sorted(p.name for p in self.root.glob('*') if p.is_dir()) if self.root.is_dir() else []

    def versions(self, name):
        return sorted(int(p.name) for p in (self.root / name).glob('[0-9]*') if p.is_dir())

    def history(self, name):
        try:
            return [int(v) for v in (self.root / name / 'history').read_text().split()]
        except FileNotFoundError:
            return []

    def current(self, name):
        history = self.history(name)
        return history[-1] if history else None

    def path(self, name, version):
        return self.root / name / str(version)

    def manifest(self, name, version):
        try:
            return json.loads((self.path(name, version) / 'manifest.json').read_text())
        except OSError as e:
            raise Problem(f'image {name} version {version}: manifest.json: {e.strerror}') from None
        except ValueError:
            raise Problem(f'image {name} version {version}: manifest.json is damaged') from None

    def resolve(self, name, version):
        """The number that VERSION, which may be `current`, means now."""
        if not self.versions(name):
            raise Problem(f'there is no image {name!r}; there are: {", ".join(self.names()) or "none"}')
        number = self.current(name) if str(version) == 'current' else int(version)
        if number not in self.versions(name):
            have = ', '.join(map(str, self.versions(name)))
            raise Problem(f'image {name} has no version {number}; it has {have}')
        return number

    def verify(self, name, version):
        """What is wrong with the files of a version; a line each."""
        manifest = self.manifest(name, version)
        for file, entry in manifest['files'].items():
            path = self.path(name, version) / file
            if not path.is_file():
                yield f'image {name} version {version}: {file} is missing'
            elif path.stat().st_size != entry['size']:
                yield f'image {name} version {version}: {file} has {path.stat().st_size} bytes, not {entry["size"]}'
            elif _sha256(path) != entry['sha256']:
                yield f'image {name} version {version}: {file} was changed, its SHA-256 is another'

    # -- changing; under the lock

    def add(self, name, source):
        """Take SOURCE as NAME's next version and make it current. Returns its number."""
        source = Path(source)
        if not re.fullmatch(config.NAME, name):
            raise Problem(f'{name!r}: names of images have small letters, digits, dots and hyphens')
        if not source.exists():
            raise Problem(f'{source}: no such file or directory')
        names = self._content(source)
        self._same_kind(name, 'linux' if source.is_dir() else 'disk')
        home = self.root / name
        home.mkdir(parents=True, exist_ok=True)
        number = self._next(name)
        work = home / f'.new-{number}'
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            self._fill(work, source, names)
            work.chmod(0o555)
            os.rename(work, home / str(number))
        except OSError as e:
            work.chmod(0o755)
            shutil.rmtree(work, ignore_errors=True)
            raise Problem(f'{source}: {e.strerror}') from None
        self._make_current(name, number)
        return number

    @staticmethod
    def _content(source):
        """{name in the store: file}"""
        if not source.is_dir():
            if source.stat().st_size % 512 or not source.stat().st_size:
                raise Problem(f'{source}: {source.stat().st_size} bytes are no whole number of sectors')
            return {DISK: source}
        for file in LINUX:
            if not (source / file).is_file():
                raise Problem(f'{source}: no {file} in it; an image is a file with a disk, '
                              f'or a directory with {" and ".join(LINUX)}')
        extra = [source / 'build.json'] if (source / 'build.json').is_file() else []
        return {**{file: source / file for file in LINUX}, **{e.name: e for e in extra}}

    def _same_kind(self, name, kind):
        for version in self.versions(name)[-1:]:
            if self.manifest(name, version)['kind'] != kind:
                raise Problem(f'image {name} is a {self.manifest(name, version)["kind"]} image, this is a {kind} one')

    @staticmethod
    def _fill(work, source, names):
        entries = {}
        for name, file in names.items():
            entries[name] = {'sha256': _copy(file, work / name), 'size': (work / name).stat().st_size}
            (work / name).chmod(0o444)
        manifest = {'kind': 'linux' if source.is_dir() else 'disk', 'added': int(time.time()),
                    'source': str(source), 'files': entries}
        files.write(work / 'manifest.json', json.dumps(manifest, indent=1) + '\n', mode=0o444)

    def _next(self, name):
        last = self.root / name / 'last'
        given = int(last.read_text()) if last.exists() else 0
        number = max([given, *self.versions(name)]) + 1
        files.write(last, f'{number}\n')
        return number

    def _make_current(self, name, number):
        history = [v for v in self.history(name) if v in self.versions(name)]
        self._write_history(name, [*history, number])

    def _write_history(self, name, history):
        files.write(self.root / name / 'history', ''.join(f'{v}\n' for v in history[-100:]))

    def rollback(self, name, version=None):
        """Make VERSION current, or what was current before. Returns (old, new)."""
        old = self.resolve(name, 'current')
        if version is not None:
            new = self.resolve(name, version)
            self._make_current(name, new)
            return old, new
        history = [v for v in self.history(name) if v in self.versions(name)]
        while history and history[-1] == old:
            history.pop()
        if not history:
            raise Problem(f'image {name}: nothing was current before version {old}')
        self._write_history(name, history)
        return old, history[-1]

    def remove(self, name, version, users):
        """Remove a version. USERS(version): lines that say who is configured to use it."""
        number = self.resolve(name, version)
        why = list(users(number))
        if number == self.current(name) and self.versions(name) != [number]:
            why.append('it is the current one (`image rollback` makes another one that)')
        for file in self.manifest(name, number)['files']:
            why += [f'process {pid} has {file} open' for pid in open_by(self.path(name, number) / file)]
        if why:
            raise Problem(f'image {name} version {number} is in use: ' + '; '.join(why))
        path = self.path(name, number)
        path.chmod(0o755)
        gone = path.with_name(f'.removed-{number}')
        os.rename(path, gone)
        shutil.rmtree(gone)
        history = [v for v in self.history(name) if v != number]
        self._write_history(name, history)
        return number
