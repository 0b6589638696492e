# SPDX-License-Identifier: GPL-2.0
"""A workstation of the lab, as tests see it: run a command, look at the kernel log, wait for its end."""

import base64
import re
import shlex
import time
from pathlib import Path

from . import emulator, paths

CHUNK = 1500        # a terminal's input buffer holds 4096
# busybox's shell prefers its own, whose insmod tries twice.
PRELUDE = '; '.join(f'{name}() {{ /usr/sbin/{name} "$@"; }}' for name in ('insmod', 'rmmod', 'modprobe', 'modinfo'))


class Gone(Exception):
    """The machine ended or started anew while something was expected from it."""


class TimedOut(Exception):
    pass


class CommandFailed(Exception):
    def __init__(self, command, result):
        super().__init__(f'status {result.status}: {command}\n{result.output}')
        self.result = result


class Result:
    """Output (stdout and stderr together) and exit status of a command."""

    def __init__(self, output, status):
        self.output = output
        self.status = status

    def __bool__(self):
        return self.status == 0

    def __repr__(self):
        return f'Result(status={self.status}, output={self.output!r})'


class Background:
    def __init__(self, machine, number):
        self.machine = machine
        self.file = f'/tmp/.background.{number}'

    def done(self):
        return bool(self.machine.run(f'[ -e {self.file}.status ]', check=False))

    def output(self):
        return self.machine.run(f'cat {self.file}.out').output

    def wait(self, timeout=60):
        loop = f'until [ -e {self.file}.status ]; do sleep 0.1; done; cat {self.file}.status'
        status = int(self.machine.run(loop, timeout=timeout).output)
        return Result(self.output(), status)

    def kill(self, sig='TERM'):
        self.machine.run(f'kill -{sig} -$(cat {self.file}.pid)', check=False)


class Shell:
    """What runs a command in a fresh shell: run(command, timeout=60, check=True) -> Result."""
    _number = 0

    def out(self, command, timeout=60):
        return self.run(command, timeout).output.strip()

    def background(self, command):
        """Start COMMAND; it goes on while others run."""
        self._number += 1
        b = Background(self, self._number)
        inner = (f'{PRELUDE}; trap : TERM; echo $$ >{b.file}.pid; ({command}); echo $? >{b.file}.status.new; '
                 f'mv {b.file}.status.new {b.file}.status')
        self.run(f'setsid sh -c {shlex.quote(inner)} >{b.file}.out 2>&1 &\n'
                 f'while [ ! -s {b.file}.pid ]; do sleep 0.01; done')
        return b

    def write_file(self, path, text):
        self.run(f"base64 -d >{shlex.quote(path)} <<'.'\n{base64.encodebytes(text.encode()).decode()}.\n")


class Machine(Shell):
    """Machine(kernel='6.12', cpus=2, ...).start(payload) -> a shell on it. The fields are those of emulator.Shape."""

    def __init__(self, name='lab', checkpoint=True, payload=None, **shape):
        if 'cmdline' in shape and shape['cmdline'].startswith('+'):
            shape['cmdline'] = f'{emulator.STABLE_TSC} {shape["cmdline"][1:]}'
        self.shape = emulator.Shape(**shape)
        self.name = name
        self.checkpoint = checkpoint
        self.payload = payload
        self.emulator = None
        self.broken = False
        self.ready_seconds = None
        self._seen = 0

    def start(self):
        begin = time.monotonic()
        saved = emulator.checkpoint(self.shape) if self.checkpoint is True else self.checkpoint
        self.emulator = emulator.Emulator(self.shape, paths.LOGS / self.name)
        self.broken = False
        self._seen = 0
        if saved:
            begin = time.monotonic()
            self.emulator.restore(saved, self.payload)
        else:
            self.emulator.cold(self.payload)
            self.wait_ready(240)
        if self.payload:
            # Not to the end of the medium: reading costs emulated time.
            blocks = -(-self.emulator.payload_used // 65536)
            self.run(f'dd if=/dev/sr1 bs=64k count={blocks} 2>/dev/null | tar -x -C /', timeout=120)
        else:
            self.run(':')
        self.ready_seconds = time.monotonic() - begin
        return self

    def wait_ready(self, timeout=240):
        """Wait for the shell of a boot that has not been seen yet (after a reboot, for example)."""
        self.wait_console(r'<READY>', timeout)

    def stop(self):
        if self.emulator:
            self.emulator.kill()
            self.emulator.tidy()

    def __enter__(self):
        return self.start() if self.emulator is None else self

    def __exit__(self, *_):
        self.stop()

    # -- commands

    def run(self, command, timeout=60, check=True):
        """Run COMMAND in a fresh shell; raise unless it ends with status 0 (check=False: return the status).

        TIMEOUT, as all in the lab, counts seconds of the emulator's CPU time.
        """
        n = self.fire(command)
        output, match = self._expect(rf'<E:{n}:(\d+)>', timeout, command)
        result = Result(output, int(match.group(1)))
        if check and result.status:
            raise CommandFailed(command, result)
        return result

    def fire(self, command):
        """Start COMMAND and do not wait: for those that end the machine. Only wait_* and stop may follow."""
        self._number += 1
        n = self._number
        text = base64.b64encode(f'{PRELUDE}\n{command}\n'.encode()).decode()
        for i in range(0, len(text), CHUNK):
            self._send(f'a {n} {text[i:i + CHUNK]}\n')
            self._expect(rf'<A:{n}>\r?\n', 30, command)
        self._send(f'x {n}\n')
        self._expect(rf'<B:{n}>\r?\n', 30, command)
        return n

    def _send(self, line):
        if self.broken:
            raise Gone(f'{self.name}: an earlier command broke this machine')
        self.emulator.write(line.encode())

    def _expect(self, regex, timeout, what):
        try:
            return self._wait(regex, timeout, rebooted=True)
        except (Gone, TimedOut) as e:
            self.broken = True
            raise type(e)(f'{e}\nwhile running: {what}\n{self.last_words()}') from None

    # -- console

    def _text(self):
        return bytes(self.emulator.serial[self._seen:]).decode(errors='replace')

    def _wait(self, regex, timeout, rebooted=False):
        """(text before, match) of REGEX in what was not consumed yet."""
        pattern = re.compile(regex.encode())
        deadline = self.emulator.clock() + timeout
        while True:
            match = pattern.search(self.emulator.serial, self._seen)
            if match:
                before = bytes(self.emulator.serial[self._seen:match.start()]).decode(errors='replace')
                self._seen = match.end()
                return before.replace('\r\n', '\n'), _Decoded(match)
            if rebooted and b'<READY>' in self.emulator.serial[self._seen:]:
                fresh = self.emulator.serial.index(b'<READY>', self._seen)
                if self._seen or self.emulator.serial.count(b'<READY>') > 1:
                    raise Gone(f'{self.name}: the machine started anew ({fresh} bytes into the console)')
            if not self.emulator.read(0.2) and not self.emulator.alive():
                while self.emulator.socket and self.emulator.read(0):
                    pass
                if pattern.search(self.emulator.serial, self._seen):
                    continue
                raise Gone(f'{self.name}: the machine ended: {self.how_ended()}')
            if self.emulator.clock() > deadline:
                raise TimedOut(f'{self.name}: no {regex!r} after {timeout} s')

    def wait_console(self, regex, timeout=60):
        """Wait for console text (a panic, a boot); returns the text up to and with the match."""
        before, match = self._wait(regex, timeout)
        return before + match.group(0)

    def dmesg(self):
        return self.run('dmesg').output

    # -- the end

    def how_ended(self):
        """'poweroff', 'shutdown port', 'triple fault', 'killed', 'running' or the emulator's last words."""
        if self.emulator.alive():
            return 'running'
        last = self.emulator.last_log()
        for text, name in (('soft power off', 'poweroff'), ('Shutdown port', 'shutdown port'),
                           ('exception with no resolution', 'triple fault'), ('3rd (', 'triple fault')):
            if text in last:
                return name
        return last or f'status {self.emulator.process.returncode}'

    def expect_poweroff(self, command='sync; sleep 1; poweroff -f', timeout=60):
        self.fire(command)
        if not self.emulator.wait_end(timeout):
            raise TimedOut(f'{self.name}: not off after {timeout} s\n{self.last_words()}')
        self.broken = True
        if self.how_ended() != 'poweroff':
            raise Gone(f'{self.name}: ended otherwise: {self.how_ended()}')

    def last_words(self, lines=40):
        """For the failure report."""
        if not self.emulator:
            return ''
        serial = bytes(self.emulator.serial[-16384:]).decode(errors='replace')
        report = ['-- last serial lines', *serial.replace('\r', '').splitlines()[-lines:]]
        port_e9 = self.emulator.stdout()
        if port_e9.strip():
            report += ['-- port 0xE9 and emulator', *port_e9.splitlines()[-lines:]]
        report += [f'-- bochs.log (machine {self.how_ended()})', self.emulator.last_log()]
        return '\n'.join(report)

    def logs(self):
        return Path(self.emulator.run)


class _Decoded:
    def __init__(self, match):
        self.match = match

    def group(self, n):
        return self.match.group(n).decode(errors='replace')
