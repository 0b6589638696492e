# SPDX-License-Identifier: GPL-2.0
"""make lab: a person at the lab's machine."""

import argparse
import os
import select
import shutil
import sys
import termios
import tty
from pathlib import Path

from . import Machine, emulator, payload

QUIT = b'\x1d'      # Ctrl-]


def options():
    p = argparse.ArgumentParser(prog='lab', description='An interactive shell on the emulated machine.')
    p.add_argument('--kernel', default='6.1', choices=['6.1', '6.12'])
    p.add_argument('--cpus', type=int, default=1)
    p.add_argument('--mem', type=int, default=512, help='MiB')
    p.add_argument('--model', default='corei7_skylake_x', help='CPU model of the emulator')
    p.add_argument('--cmdline', default=emulator.STABLE_TSC, help="kernel command line; '+WORD' adds to the usual one")
    p.add_argument('--debug', action='store_true', help='/root/avmm.ko is the debug build')
    p.add_argument('--cold', action='store_true', help='boot, do not restore a checkpoint')
    p.add_argument('command', nargs='?', help='run this instead, and end with its status')
    return p.parse_args()


def interact(machine):
    emu = machine.emulator
    emu.write(b'i 0\n')
    old = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        shown = len(emu.serial)
        while emu.alive() and emu.socket:
            ready = select.select([0, emu.socket], [], [])[0]
            if 0 in ready:
                typed = os.read(0, 1024)
                if QUIT in typed or not typed:
                    break
                emu.write(typed)
            emu.read(0)
            os.write(1, emu.serial[shown:])
            shown = len(emu.serial)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, old)
    print(f'\r\nlab: machine {machine.how_ended()}; logs in {emu.run}')


def main():
    o = options()
    name = f'interactive-{os.getpid()}'
    root = payload.build(o.kernel, Path(emulator.paths.LOGS) / f'{name}.payload', debug=o.debug)
    machine = Machine(name=name, checkpoint=not o.cold, payload=root, kernel=o.kernel, cpus=o.cpus, mem=o.mem,
                      model=o.model, cmdline=o.cmdline)
    print(f'lab: {machine.shape}; the first start of this kind boots, later ones restore', file=sys.stderr)
    with machine.start():
        shutil.rmtree(root)
        if o.command:
            result = machine.run(o.command, timeout=3600, check=False)
            print(result.output, end='')
            return result.status
        print(f'lab: ready after {machine.ready_seconds:.1f} s; Ctrl-] quits; /root/avmm.ko, avmmctl\r')
        interact(machine)
    return 0


sys.exit(main())
