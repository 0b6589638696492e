# SPDX-License-Identifier: GPL-2.0
"""The emulated workstation: stock Debian kernels on an emulated VT-x machine, driven over its serial port."""

from .machine import CommandFailed, Gone, Machine, TimedOut

__all__ = ['CommandFailed', 'Gone', 'Machine', 'TimedOut']
