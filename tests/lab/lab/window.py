# SPDX-License-Identifier: GPL-2.0
"""The identity window of tests: where it is, a partition in it, and whether somebody wrote there who should not."""

BASE, SIZE = 0x20000000, 256 << 20
MEMORY = 192        # MiB of it that the partition has
PARAMETER = f'memmap={SIZE >> 20}M$0x{BASE:x}'        # for the command line of the service
IDENTITY = {'memory': f'{MEMORY}M', 'more': 'memory_mode = identity'}


def untouched(m, seconds=2, mib=MEMORY):
    """So much of it, which nobody has now, keeps a pattern so long."""
    m.run(f'mem_pattern -b 0x{BASE:x} -m {mib} -t {seconds}', timeout=120)
