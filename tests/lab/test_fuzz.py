# SPDX-License-Identifier: GPL-2.0
"""Long fuzzing; no emulator is in it. What a part learns stays in build/fuzz/corpus, where the next one goes on."""

import subprocess

import pytest

from lab import paths

MINUTES = 28


def fuzz(targets):
    command = ['make', '--no-print-directory', '-C', paths.TOP / 'tests/fuzz', 'long', f'T={targets}',
               f'SECONDS={60 * MINUTES}']
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(result.stdout)
    assert result.returncode == 0 and ', 0 failed' in result.stdout, result.stdout


@pytest.mark.soak('fuzz-disk-1')
def test_disk_first_half():
    """Front and back half of the disguised disk with its bus master: with the other part, an hour."""
    fuzz('ide')


@pytest.mark.soak('fuzz-disk-2')
def test_disk_second_half():
    fuzz('ide')


@pytest.mark.soak('fuzz-all')
def test_all():
    fuzz('')
