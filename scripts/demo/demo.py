#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""make demo: the whole of AVMM on an emulated workstation, from insmod to rmmod.

A small Debian disk image is built and served by nbd-server on this machine. The workstation connects to it over its
network card, and the image boots, unmodified, in the user partition from an ordinary IDE disk. Each step says how long it
took; the last lines are a summary, and the status is 0 only if every step did what it should.

demo.py [--firmware seabios|ovmf]
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests/lab'))

from lab import Machine, payload, paths  # noqa: E402

KERNEL = '6.1'
FIRMWARE = {'seabios': ('stock SeaBIOS', ['/usr/share/seabios/bios-256k.bin']),
            'ovmf': ('stock OVMF', [f'/usr/share/OVMF/OVMF_{n}_4M.fd' for n in ('CODE', 'VARS')])}
HOST = '10.0.2.2'           # this machine, as the workstation sees it
FIRST_SECTOR = 2048         # of the image's partition
INI = """[partition]
memory = 320M
firmware = {firmware}
{more}freeze_after = 60
[shares]
user = 90
service = 10
[disk0]
bus = ide
backing = /dev/nbd0
"""
# what libata says of a disk that is not as it should be
TROUBLE = 'ata[0-9].*(exception|failed|error|timeout|slow|resetting|limiting|frozen)|I/O error'
ICU = '/lib/x86_64-linux-gnu/libicudata.so.72'
BOOT_SECONDS = 1500         # of the emulator's CPU time


class Demo:
    def __init__(self, work, firmware):
        self.work = Path(work)
        self.firmware = firmware
        self.begin = time.monotonic()
        self.times = []
        self.machine = None
        self.server = None
        self.screen = 0     # bytes of the console that were shown

    @contextlib.contextmanager
    def step(self, title):
        print(f'\n[{time.monotonic() - self.begin:4.0f} s] {title}', flush=True)
        begin = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - begin))

    def say(self, text):
        for line in text.splitlines():
            print(f'         | {line}', flush=True)

    def host(self, *command):
        subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.DEVNULL)

    def run(self, command, timeout=300):
        """A command on the workstation, shown with its output."""
        print(f'         # {command}', flush=True)
        output = self.machine.run(command, timeout=timeout).output
        self.say(output)
        return output

    # -- the server

    def serve(self, image):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        config = self.work / 'nbd-server.conf'
        config.write_text(f'[generic]\nport = {port}\nlistenaddr = 127.0.0.1\nallowlist = true\n'
                          f'[debian]\nexportname = {image}\n')
        self.server = self.work / 'nbd-server.pid'
        self.host('nbd-server', '-C', str(config), '-p', str(self.server))
        return port

    def stop_serving(self):
        if self.server and self.server.exists():
            os.killpg(int(self.server.read_text()), signal.SIGTERM)
        self.server = None

    # -- the workstation

    def files(self):
        """What it needs besides the module; the table of libicu is 31 MB that nobody asks for."""
        icu = self.work / 'icudata.so'
        subprocess.run(['gcc', '-shared', '-Wl,-soname,libicudata.so.72', '-x', 'c', '-', '-o', icu],
                       input='const char icudt72_dat[16];\n', text=True, check=True)
        return [('/usr/bin/avmm-nbd', paths.BUILD / 'avmm-nbd'), (ICU, icu),
                *((f, f) for f in FIRMWARE[self.firmware][1])]

    def boot(self):
        root = payload.build(KERNEL, self.work / 'payload', extra=self.files())
        self.machine = Machine(name='demo', payload=root, kernel=KERNEL, cpus=1, mem=1024)
        self.machine.start()

    # -- the user partition's console

    def attach(self):
        session = 'exec avmmctl console <>/tmp/in >/tmp/out 2>&1'
        self.machine.run(f"rm -f /tmp/in; mkfifo /tmp/in; setsid sh -c '{session}' &\nsleep 0.2")

    def wait(self, text, timeout=BOOT_SECONDS):
        """Until the console has shown TEXT since the last time; shows what there was."""
        deadline = self.machine.emulator.clock() + timeout
        seen = ''
        while not re.search(text, seen):
            found = self.machine.run(f'sleep 1; tail -c +{self.screen + 1} /tmp/out', timeout=600).output
            new = found[len(seen):]
            seen = found
            self.show(new)
            if self.machine.emulator.clock() > deadline:
                raise TimeoutError(f'the console did not show {text!r}')
        self.screen += len(seen.encode())
        return seen

    def show(self, text):
        """Without the terminal's control sequences."""
        text = re.sub(r'\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()c]?.?|[\x00-\x08\x0b-\x1f\ufffd]', '', text.replace('\r', ''))
        self.say('\n'.join(line for line in text.splitlines() if line.strip()))

    def type(self, line):
        self.machine.run(f"echo '{line}' >/tmp/in")

    def command(self, line):
        """A command in the user partition."""
        self.type(line)
        return self.wait(r'\S+@debian:\S*# $', timeout=600)

    def end(self):
        if self.machine:
            self.machine.stop()
        self.stop_serving()


def prepare(demo, image):
    with demo.step('Build avmm.ko, its tools, and a small Debian 12 disk image (cached)'):
        version = (paths.KERNELS / KERNEL / 'version').read_text().strip()
        demo.host('make', '-s', 'module', f'KDIR=/usr/src/linux-headers-{version}')
        demo.host('make', '-s', 'avmmctl')
        demo.host('bash', 'scripts/demo/build-image.sh', str(image))
        demo.say(f'{image.stat().st_size >> 20} MiB, {image.stat().st_blocks >> 11} MiB of them in use')
    with demo.step('Serve it with nbd-server'):
        return demo.serve(image)


def launch(demo, port):
    with demo.step('Boot the workstation: an emulated PC with VT-x and a stock Debian kernel'):
        demo.boot()
        demo.run('uname -a')
    with demo.step('Slide the monitor underneath it'):
        demo.run('insmod /root/avmm.ko')
        assert 'launched' in demo.run('avmmctl status')
    with demo.step('Connect to the server over the emulated network card'):
        # an idle machine's time passes some forty times too fast for a server in real time
        demo.machine.run('modprobe nbd; (while :; do :; done) >/dev/null 2>&1 & echo $! >/tmp/busy')
        demo.run(f'avmmctl nbd connect nbd://{HOST}:{port}/debian --device /dev/nbd0', timeout=600)
        demo.run('avmmctl nbd status')


def change_variables(demo):
    """A boot variable of the guest's is in the service's file."""
    demo.command('ls /sys/firmware/efi/efivars | grep Boot')
    demo.command('printf "\\007\\000\\000\\000\\003\\000" '
                 '>/sys/firmware/efi/efivars/BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c; echo status $?')
    demo.machine.run('sleep 2')
    demo.run("tr -d '\\000' </root/variables.fd | grep -c BootNext")


def use(demo):
    uefi = demo.firmware == 'ovmf'
    with demo.step(f'Start the user partition: {FIRMWARE[demo.firmware][0]}, GRUB and Debian, from the disguised disk'):
        more = 'variables = /root/variables.fd\n' if uefi else ''
        demo.machine.write_file('/root/user.ini', INI.format(firmware=demo.firmware, more=more))
        demo.run('cat /root/user.ini; avmmctl start /root/user.ini')
        demo.attach()
        demo.wait('login: $')
        demo.run('avmmctl stats')
    with demo.step('Log in and look around'):
        demo.type('root')
        demo.wait('Password: ', timeout=300)
        demo.type('demo')
        demo.wait('# $', timeout=600)
        for line in ('uname -a', 'cat /proc/cmdline', 'lsblk', 'dmesg | grep -i -E "ata[0-9]|sda|SMBIOS|ACPI: RSDP"'):
            demo.command(line)
        found = demo.command(f'echo complaints: $(dmesg | grep -i -E -c "{TROUBLE}")')
        assert re.search(r'complaints: 0\b', found), 'the guest complains about its disk'
        demo.command('echo kept >/root/note; sync; echo $((6 * 7))')
        if uefi:
            change_variables(demo)
    with demo.step('Give it half of the CPU, live'):
        demo.run('avmmctl shares --user 50')
        demo.run('avmmctl status')


def leave(demo, image):
    with demo.step('Press its power button, and wait until it is off'):
        demo.run('avmmctl shares --user 90')
        demo.run('avmmctl stop --timeout 600', timeout=BOOT_SECONDS)
        demo.machine.run('while [ -s /run/avmm.pid ]; do sleep 0.5; done', timeout=BOOT_SECONDS)
        assert 'the guest powered itself off' in demo.run('avmmctl status')
    with demo.step('Disconnect, and put Linux back on the bare machine'):
        demo.run('avmmctl nbd disconnect nbd0', timeout=600)
        demo.machine.run('kill $(cat /tmp/busy)')
        demo.run('rmmod avmm; lsmod')
    with demo.step('Check the file system on the server'):
        demo.stop_serving()
        part = demo.work / 'part'
        demo.host('dd', f'if={image}', f'of={part}', 'bs=512', f'skip={FIRST_SECTOR}', 'conv=sparse', 'status=none')
        check = subprocess.run(['fsck.ext4', '-f', '-n', part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
        demo.say(check.stdout)
        assert check.returncode == 0, 'the file system is not clean'
        note = subprocess.run(['debugfs', '-R', 'cat /root/note', part], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        assert note.stdout == 'kept\n', 'what the user wrote did not reach the server'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--firmware', choices=FIRMWARE, default='seabios')
    firmware = parser.parse_args().firmware
    work = tempfile.mkdtemp(prefix='avmm-demo-')
    demo = Demo(work, firmware)
    image = demo.work / 'debian.img'
    failure = None
    try:
        port = prepare(demo, image)
        launch(demo, port)
        use(demo)
        leave(demo, image)
    except (Exception, KeyboardInterrupt) as e:     # pylint: disable=broad-except
        failure = e
    finally:
        demo.end()
        shutil.rmtree(work, ignore_errors=True)
    print('\nSummary')
    for title, seconds in demo.times:
        print(f'  {seconds:5.0f} s  {title}')
    print(f'  {time.monotonic() - demo.begin:5.0f} s  in all')
    if failure:
        print(f'The demonstration failed: {failure!r}')
        return 1
    print('Everything worked: Linux is back on the bare machine, and the disk is clean.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
