# SPDX-License-Identifier: GPL-2.0-only
"""What needs no machine: avmm-server, and the steps of a client with programs of the test's on its path."""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'userspace-ctl/server'))
